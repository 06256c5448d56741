# SPDX-License-Identifier: Apache-2.0
"""Values as findings show them."""

from collections.abc import Sequence
from typing import Final

Evidence = tuple[tuple[str, str], ...]

ONES: Final = 0xFFFF_FFFF


def registers(shown: Sequence[tuple[str, int]], *wanted: str) -> Evidence:
    """The registers whose names begin with one of `wanted`, in hex."""
    return tuple((name, f"{value:#x}") for name, value in shown if name.startswith(wanted))


def descriptor(address: int | None, *, in_pci: bool = True) -> Evidence:
    """Where a transfer's descriptor stands; a block has none."""
    where = "descriptor" if in_pci else "descriptor in local memory"
    return () if address is None else ((where, f"{address:#x}"),)


def around(near: Sequence[tuple[int, int]]) -> Evidence:
    """The mapped ranges around an address, first and last byte each."""
    text = " ".join(f"{start:#x}-{start + length - 1:#x}" for start, length in near)
    return (("mapped around it", text or "nothing at all"),)


def windows(near: Sequence[tuple[str, int, int]]) -> str:
    """A board's windows around a local address."""
    return " ".join(f"{name} {base:#x}-{base + size - 1:#x}" for name, base, size in near) or "none"


def of_ones(shown: Sequence[tuple[str, int]]) -> bool:
    """True if a channel's registers are a descriptor of ones: nobody answered for it, and that has been said."""
    return any(name.startswith("DMAPADR") and value == ONES for name, value in shown)
