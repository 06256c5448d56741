# SPDX-License-Identifier: Apache-2.0
"""A piece of memory that a guest gave its device."""

import enum
from dataclasses import dataclass
from typing import Final

from plx9x5x.findings.place import Spot
from plx9x5x.witness.modules import Module

ALL_ONES: Final = (1 << 64) - 1


def is_translated(handle: int, physical: int) -> bool:
    """True if memory has another address for the device than for the processor's memory: there is an IOMMU.

    `physical` is 0 where it is not known.
    """
    return physical not in (0, handle)


class Held(enum.Enum):
    """How memory came to be the device's."""

    ALLOCATION = "allocation"
    POOL_PAGE = "page of a pool"
    BLOCK = "block of a pool"
    MAPPING = "mapping"


class Direction(enum.Enum):
    """What a mapping is for; the values are the kernel's (enum dma_data_direction)."""

    BOTH = 0
    TO_DEVICE = 1
    FROM_DEVICE = 2

    @property
    def words(self) -> str:
        """As drivers write it."""
        return {0: "DMA_BIDIRECTIONAL", 1: "DMA_TO_DEVICE", 2: "DMA_FROM_DEVICE"}[self.value]

    def allows(self, *, write: bool) -> bool:
        """True if the device may write to such memory, or read it."""
        return self is not (Direction.TO_DEVICE if write else Direction.FROM_DEVICE)


@dataclass(slots=True, eq=False)
class Memory:
    """`size` bytes from bus address `start`; `va` and `physical` are 0 where they are not known.

    `list` is the scatter/gather list that a mapping is a segment of, `pool` a block's pool. `module` is whose call it
    was, None: nobody's who is watched; `order` how many modules had been loaded by then.
    """

    held: Held
    start: int
    size: int
    direction: Direction
    va: int
    physical: int
    made: Spot
    module: Module | None
    order: int
    managed: bool = False
    list: int = 0
    entries: int = 0
    """Of the list, as it was mapped; 0 if that is not known."""
    pool: int = 0
    released: Spot | None = None
    live: bool = True
    dirty: tuple[int, int] | None = None
    """The bytes that the device wrote last and nobody has synced since: from, to."""
    dirty_round: int = 0
    looked: Spot | None = None
    """Where the driver's own code last read it."""

    @property
    def end(self) -> int:
        """The address after its last byte."""
        return self.start + self.size

    def may_be_of(self, module: Module | None) -> bool:
        """True if what a module does may be about it: what an earlier load gave back was somebody else's since."""
        if self.module is None:
            return module is None or self.order >= module.order
        return self.module is module or not self.module.gone

    @property
    def made_by(self) -> str:
        """The role of the place that made it."""
        return "mapped" if self.held is Held.MAPPING else "allocated"

    @property
    def released_by(self) -> str:
        """The role of the place that gave it back."""
        return "unmapped" if self.held is Held.MAPPING else "freed"

    def holds(self, start: int, end: int) -> bool:
        """True if all of a range is in it."""
        return self.start <= start and end <= self.end

    def __str__(self) -> str:
        """As findings show it."""
        told = f"{self.start:#x}-{self.end - 1:#x}"
        if self.held is Held.MAPPING:
            return f"{told} ({self.size} bytes, {self.direction.words})"
        return f"{told} ({self.size} bytes{', of a pool' if self.held is not Held.ALLOCATION else ''})"
