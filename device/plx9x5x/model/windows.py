# SPDX-License-Identifier: Apache-2.0
"""What the base address registers decode, worked out from the local configuration registers."""

from dataclasses import dataclass, replace
from typing import Final

from plx9x5x.regs import intr, local
from plx9x5x.regs.dma import LocalWidth
from plx9x5x.regs.kernel import RegisterFile
from plx9x5x.regs.profile import Profile

IO_WINDOW: Final = 0x100
"""Bytes of BAR1, which shows the first part of the registers."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a base address register decodes. `kind`: its low bits as they read, bit 0 is I/O.

    The first `registers` bytes are the chip's registers, the rest a local address space from `local_base` on.
    """

    size: int
    kind: int = 0
    registers: int = 0
    local_base: int = 0
    swapped: int = 0
    """Bytes of the local bus words whose bytes change places (BIGEND), or 0."""
    word: int = 4
    """Bytes of a word of the local bus there: a wider access is several."""


OFF: Final = Bar(0)

SHAPING: Final = (
    local.LAS0RR, local.LAS0BA, local.LAS1RR, local.LAS1BA, local.LMISC1, local.BIGEND, local.LBRD0, local.LBRD1,
    intr.QSR,
)  # fmt: skip
"""The registers that `arrange` looks at."""


def arrange(profile: Profile, regs: RegisterFile) -> tuple[Bar, Bar, Bar, Bar]:
    """Give BAR0 to BAR3 as the registers shape them now.

    Source: PLX SDK. UNVERIFIED: that the queue ports' mode keeps the registers at the start of BAR0, before space 1.
    """
    big, misc = local.BIGEND(regs[local.BIGEND]), local.LMISC1(regs[local.LMISC1])
    space0 = space_bar(regs[local.LAS0RR], regs[local.LAS0BA])
    space1 = space_bar(regs[local.LAS1RR], regs[local.LAS1BA])
    word0, word1 = (_word(reg(regs[reg]).bus_width) for reg in (local.LBRD0, local.LBRD1))
    space0 = replace(space0, word=word0, swapped=word0 if big.space0 else 0)
    space1 = replace(space1, word=word1, swapped=word1 if big.space1 else 0)
    bar0 = Bar(profile.register_window, registers=profile.register_window)
    if regs[intr.QSR] & intr.QSR.i2o_enable.mask:
        if space1.size and not space1.kind & 1:  # BAR0 is memory: a space in I/O has no place there
            bar0 = replace(space1, size=max(space1.size, bar0.size), kind=bar0.kind, registers=bar0.size)
        space1 = OFF
    if misc.io_bar:
        return bar0, Bar(IO_WINDOW, kind=1, registers=IO_WINDOW), space0, space1
    if misc.shift:
        return bar0, space0, space1, OFF
    return bar0, OFF, space0, space1


def space_bar(size_mask: int, base: int) -> Bar:
    """Give the BAR of a local address space from its LASnRR and LASnBA."""
    if not base & local.LAS0BA.enable.mask:
        return OFF
    io = size_mask & local.LAS0RR.io.mask
    mask = range_mask(size_mask)
    # A mask that is no run of ones decodes no clean window on silicon either; its lowest one sets the size.
    size = mask & -mask
    return Bar(size, kind=size_mask & (0x1 if io else 0xF), local_base=base & mask & -size)


def range_mask(value: int) -> int:
    """Give the bits of a LASnRR that are its range: not those that say the kind, of which I/O has fewer."""
    return value & (0xFFFF_FFFC if value & local.LAS0RR.io.mask else 0xFFFF_FFF0)


def _word(width: int) -> int:
    return LocalWidth(width).bytes
