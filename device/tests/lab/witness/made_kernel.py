# SPDX-License-Identifier: Apache-2.0
"""Makes small kernels: an ELF file with tables of exported symbols and type information, and boot images of it."""

import gzip
import lzma
import struct
from collections.abc import Mapping, Sequence

import lz4.block
import zstandard

TEXT = 0xFFFFFFFF81000000
RODATA = 0xFFFFFFFF82000000
BTF_AT = 0xFFFFFFFF83000000

Members = Sequence[tuple[str, int, int]]
"""Name, type, offset in bytes."""


class Types:
    """Makes BTF: each method gives the number of the type that it adds."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"
        self.count = 0

    def text(self, name: str) -> int:
        if not name:
            return 0
        self.strings += name.encode() + b"\0"
        return len(self.strings) - len(name) - 1

    def add(self, name: str, kind: int, members: int, size: int, rest: bytes = b"", *, bits: bool = False) -> int:
        self.types += struct.pack("<III", self.text(name), bits << 31 | kind << 24 | members, size) + rest
        self.count += 1
        return self.count

    def integer(self, size: int) -> int:
        return self.add(f"u{size * 8}", 1, 0, size, struct.pack("<I", size * 8))

    def struct(self, name: str, size: int, members: Members, *, kind: int = 4, bits: bool = False) -> int:
        rest = b"".join(struct.pack("<III", self.text(member), type_, 8 * at) for member, type_, at in members)
        return self.add(name, kind, len(members), size, rest, bits=bits)

    def array(self, of: int, count: int) -> int:
        return self.add("", 3, 0, 0, struct.pack("<III", of, of, count))

    def enum(self, name: str, values: Mapping[str, int]) -> int:
        rest = b"".join(struct.pack("<Ii", self.text(key), value) for key, value in values.items())
        return self.add(name, 6, len(values), 4, rest)

    def alias(self, name: str, of: int, *, kind: int = 8) -> int:
        return self.add(name, kind, 0, of)

    def btf(self) -> bytes:
        head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings))
        return head + self.types + self.strings


def kernel_types(*, old: bool, without: str = "") -> Types:
    """The structures that the facts need, as before Linux 6.4 (`old`) or since, but for one of them."""
    types = Types()
    u64, u32 = types.integer(8), types.integer(4)
    pointer = types.alias("", u64, kind=2)
    kobject = types.struct("kobject", 64, [("name", pointer, 0)])
    device = types.struct("device", 800, [("kobj", kobject, 16), ("init_name", pointer, 0x50)])
    wanted: dict[str, Members] = {
        "pci_dev": [("dev", device, 0xD0)],
        "page": [("flags", u64, 0)],
        "scatterlist": [
            *(("page_link", u64, 0), ("offset", u32, 8), ("length", u32, 12)),
            *(("dma_address", u64, 16), ("dma_length", u32, 24)),
        ],
        "sg_table": [("sgl", pointer, 0), ("nents", u32, 8), ("orig_nents", u32, 12)],
        "dma_pool": [("dev", pointer, 32)],
    }
    sizes = {"page": 64, "scatterlist": 32}
    for name, members in wanted.items():
        if name != without:
            types.struct(name, sizes.get(name, 1000), members)
    state = types.enum("module_state", {"MODULE_STATE_LIVE": 0})
    name = types.array(u32, 14)
    common = [("state", state, 0), ("name", name, 0x18)]
    if old:
        layout = types.struct("module_layout", 80, [("base", pointer, 0), ("size", u32, 8), ("text_size", u32, 12)])
        types.struct("module", 900, [*common, ("core_layout", layout, 0x140), ("init_layout", layout, 0x190)])
    else:
        memory = types.struct("module_memory", 72, [("base", pointer, 0), ("size", u32, 8)])
        types.enum("mod_mem_type", {"MOD_INVALID": -1, "MOD_TEXT": 0, "MOD_DATA": 1, "MOD_INIT_TEXT": 4})
        # In a union without a name, as members often are.
        inner = types.struct("", 600, [("mem", types.array(memory, 7), 0x40)], kind=5)
        types.struct("module", 900, [*common, ("", inner, 0x100)], bits=True)
    return types


def elf(symbols: Mapping[str, int], btf: bytes | None) -> bytes:
    """A kernel that exports these symbols, every second one to GPL modules alone."""
    strings = b"\0"
    at = {}
    for name in symbols:
        at[name] = len(strings)
        strings += name.encode() + b"\0"
    sections = [("", 0, b""), (".text", TEXT, bytes(256)), ("__ksymtab_strings", RODATA, strings)]
    for number, table in enumerate(("__ksymtab", "__ksymtab_gpl")):
        start, data = RODATA + 0x10_0000 * (number + 1), b""
        for name in list(symbols)[number::2]:
            here = start + len(data)
            data += struct.pack("<iii", symbols[name] - here, RODATA + at[name] - here - 4, 0)
        sections.append((table, start, data))
    if btf is not None:
        sections.append((".BTF", BTF_AT, btf))
    names = b"\0"
    headers, body = b"", b""
    for name, address, data in sections:
        headers += struct.pack("<IIQQQQIIQQ", len(names), 1, 0, address, 64 + len(body), len(data), 0, 0, 1, 0)
        names += name.encode() + b"\0"
        body += data
    headers += struct.pack("<IIQQQQIIQQ", len(names), 3, 0, 0, 64 + len(body), len(names) + 9, 0, 0, 1, 0)
    body += names + b".strings\0"
    count = len(sections) + 1
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, TEXT, 0, 64 + len(body), 0, 64, 0, 0, 64, count, count - 1)
    return head + body + headers


def lz4_legacy(data: bytes) -> bytes:
    """As the kernel's build makes it: blocks of 8 MiB, and the size of all at the end."""
    packed = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        block = lz4.block.compress(data[start : start + (8 << 20)], store_size=False)
        packed += struct.pack("<I", len(block)) + block
    return packed + struct.pack("<I", len(data))


PACKED = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lz4": lz4_legacy,
    "zstd": lambda data: zstandard.compress(data) + struct.pack("<I", len(data)),
    "none": bytes,
}


def boot_image(payload: bytes, *, sectors: int = 3) -> bytes:
    """A bzImage that carries these bytes."""
    head = bytearray((sectors + 1) * 512)
    head[0x1F1] = sectors
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 100, len(payload))
    return bytes(head) + bytes(100) + payload
