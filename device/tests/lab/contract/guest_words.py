# SPDX-License-Identifier: Apache-2.0
"""What a guest says of its common buffers, for tests; each line as guest-tests/user/observe.c writes it."""

from collections.abc import Sequence

from plx9x5x.lab.report.ktap import Report, parse

VA = 0xFFFF_8880_0560_E000
LA = 0x560_E000

BEGIN = "begin limit=0xffffffff translated=0 page=4096"
BEGIN_TRANSLATED = "begin limit=0xffffffff translated=1 page=4096"


def alloc(order: int = 1, length: int = 4097, **changed: object) -> list[str]:
    """An allocation at LA, on page frames that fit."""
    la = changed.get("la", LA)
    assert isinstance(la, int)
    pages = max(1, -(-length // 4096))
    words = {
        "order": order,
        "length": length,
        "limit": "0xffffffff",
        "va": hex(VA - LA + la),
        "la": hex(la),
        "given": hex(la),
        "usable": length,
        "pages": pages,
        "zeroed": 1,
        "cached": 1,
        **{name: hex(value) if name in ("va", "la", "given") else value for name, value in changed.items()},  # type: ignore[arg-type]
    }
    run = f"frames order={order} run={la >> 12:#x}+{pages}"
    return ["alloc " + " ".join(f"{name}={value}" for name, value in words.items()), run]


def free(order: int = 2, of: int = 1, length: int = 4097, *, la: int = LA, refused: int = 0) -> list[str]:
    """A free with the arguments of `alloc`."""
    va = VA - LA + la
    return [f"free order={order} of={of} length={length} va={va:#x} la={la:#x} refused={refused} cached=1"]


def used(order: int = 1, length: int = 4097, *, address: int = LA, cpu: int = 7, device: int = 7) -> list[str]:
    """A transfer of the whole buffer, and its first and last byte."""
    return [
        f"dma order={order} address={address:#x} bytes={length} wrong={int(cpu != device)}",
        f"byte order={order} offset=0 cpu={cpu} device={device}",
        f"byte order={order} offset={length - 1} cpu=0x5a device=0x5a",
    ]


GOOD = [BEGIN, *used(), "past order=1 cpu=0", "gone order=1 cpu=0", *alloc(), *free(), "end order=2"]
"""One buffer's life."""


TEXT = 0xFFFF_FFFF_C020_0000
CALLS: Sequence[dict[str, object]] = (
    {"kind": "module", "seq": 1, "pc": 0, "name": "plx_test", "gone": False, "module": 5}
    | {"core": TEXT, "core_size": 4096, "init": 0, "init_size": 0},
    {"kind": "alloc", "seq": 2, "pc": TEXT + 8, "va": VA, "handle": LA, "size": 4097, "physical": LA}
    | {"gfp": 0, "attrs": 0, "pool_page": False, "managed": False},
    {"kind": "free", "seq": 3, "pc": TEXT + 16, "va": VA, "handle": LA, "size": 4097}
    | {"pool_page": False, "managed": False},
)
"""Its calls, as a server keeps them (calls.jsonl)."""


def report(lines: Sequence[str], *, case: str = "a") -> Report:
    """A report of one case that said `lines`; those from `end` on come after it, as the guest does it."""
    cut = next((i for i, line in enumerate(lines) if line.startswith("end")), len(lines))
    said = ["KTAP version 1", "1..1", *(f"# observed {line}" for line in lines[:cut]), f"ok 1 {case}"]
    said += [f"# observed {line}" for line in lines[cut:]]
    return parse("\n".join([*said, ""]).encode())
