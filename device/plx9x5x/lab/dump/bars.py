# SPDX-License-Identifier: Apache-2.0
"""A board's BARs in words, as one would lay them beside lspci: kind, size, and the local addresses that each shows."""

from collections.abc import Iterator
from typing import Final

from plx9x5x.board import Board
from plx9x5x.model.chip import Chip
from plx9x5x.model.windows import Bar, arrange
from plx9x5x.regs import local
from plx9x5x.units import KIB, MIB

_TYPES: Final = {0: "", 2: ", below 1 MiB", 4: ", 64-bit", 6: ", type 3"}


def of(chip: Chip) -> tuple[Bar, ...]:
    """What each BAR decodes as the chip stands."""
    return arrange(chip.profile, chip.registers)


def rom_size(chip: Chip) -> int:
    """Bytes of the expansion ROM's window, 0 if there is none."""
    mask = chip.registers[local.EROMRR] & local.EROMRR.mask.mask
    return mask & -mask


def size_text(size: int) -> str:
    """'64 KiB', '512 bytes'."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"


def kind_text(kind: int) -> str:
    """What the low bits of a BAR say: 'I/O', 'memory, prefetchable'."""
    if kind & 1:
        return "I/O"
    return f"memory{_TYPES[kind & 6]}{', prefetchable' if kind & 8 else ''}"


def lines(board: Board, chip: Chip) -> Iterator[str]:
    """A line for each BAR, and for the expansion ROM if there is one."""
    space = 0
    for index, bar in enumerate(of(chip)):
        if not bar.size:
            yield f"BAR{index}  off"
            continue
        what = "registers"
        if not bar.registers:
            last = bar.local_base + bar.size - 1
            there = ", ".join(_windows(board, bar.local_base, last)) or "nothing is there"
            what = f"space {space}: local {bar.local_base:08x}-{last:08x}, {there}"
        space += not bar.registers
        yield f"BAR{index}  {kind_text(bar.kind)}, {size_text(bar.size)}  {what}"
    if size := rom_size(chip):
        base = chip.registers[local.EROMBA] & local.EROMBA.base.mask
        yield f"ROM   memory, {size_text(size)}  local {base:08x}-{base + size - 1 & 0xFFFF_FFFF:08x}"


def _windows(board: Board, first: int, last: int) -> Iterator[str]:
    """Names of what stands at these local addresses, in their order."""
    for window in sorted(board.windows, key=lambda window: window.local_base):
        base = int(window.local_base)
        if base <= last and first < base + window.target().size:
            yield window.name
