# SPDX-License-Identifier: Apache-2.0
"""What a base address register decodes, worked out from the local configuration registers."""

from dataclasses import dataclass
from typing import Final

from plx9x5x.regs import local

REGISTER_WINDOW: Final = 0x200
"""Bytes of BAR0."""
IO_WINDOW: Final = 0x100
"""Bytes of BAR1, which shows the first half of the same registers."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a base address register decodes. `kind`: its low bits as they read, bit 0 is I/O."""

    size: int
    kind: int = 0
    local_base: int = 0


def space_bar(size_mask: int, base: int) -> Bar:
    """Give the BAR of a local address space from its LASnRR and LASnBA."""
    if not base & local.LAS0BA.enable.mask:
        return Bar(0)
    io = size_mask & local.LAS0RR.io.mask
    mask = size_mask & (0xFFFF_FFFC if io else 0xFFFF_FFF0)
    # A mask that is no run of ones decodes no clean window on silicon either; its lowest one sets the size.
    size = mask & -mask
    return Bar(size, kind=size_mask & (0x1 if io else 0xF), local_base=base & mask & -size)
