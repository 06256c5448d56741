# SPDX-License-Identifier: Apache-2.0
"""What a DMA channel latches: its mode taken apart, and one descriptor or block."""

import functools
from dataclasses import dataclass
from typing import Final

from plx9x5x.regs.dma import DescriptorPointer, DmaMode

_TO_PCI: Final = DescriptorPointer.to_pci.mask


@dataclass(frozen=True, slots=True)
class Mode:
    """DMAMODE taken apart, for the loop that looks at it for every descriptor."""

    chain: bool
    hold_local: bool
    word: int
    """Bytes of one local bus word."""
    clear_count: bool
    dac_chain: bool
    valid_mode: bool
    valid_stop: bool
    demand: bool
    eot_enable: bool
    eot_end_link: bool


@functools.lru_cache(maxsize=64)
def decode(raw: int) -> Mode:
    """Take a value of DMAMODE apart."""
    mode = DmaMode(raw)
    return Mode(
        chain=mode.chain,
        hold_local=mode.hold_local,
        word=mode.local_width.bytes,
        clear_count=mode.clear_count,
        dac_chain=mode.dac_chain,
        valid_mode=mode.valid_mode,
        valid_stop=mode.valid_stop,
        demand=mode.demand,
        eot_enable=mode.eot_enable,
        eot_end_link=mode.eot_end_link,
    )


@dataclass(slots=True)
class Transfer:
    """One descriptor, or one block, as the channel latched it. `pointer` is its DMADPR value."""

    mode: Mode
    pci: int
    upper: int
    local: int
    count: int
    pointer: int
    chained: bool
    size_word: int = 0
    """Where the descriptor's size stands, for the write-back."""
    size_word_in_pci: bool = False
    swapped: int = 0
    """Bytes of the local bus words whose bytes change places (BIGEND), or 0."""
    moved: int = 0

    @property
    def to_pci(self) -> bool:
        """Direction."""
        return bool(self.pointer & _TO_PCI)
