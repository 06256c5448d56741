# SPDX-License-Identifier: Apache-2.0
"""Places along a chain of MDLs, and the map registers that the framework counts from one of them on.

Source: the framework's fxdmatransactionbase.cpp (2.33).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nthal.types import MAXULONG, byte_offset, span_pages

if TYPE_CHECKING:
    from nthal.records.mdl import Mdl
    from nthal.types import Va


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a chain of MDLs: `offset` bytes into `mdl`."""

    mdl: Mdl
    offset: int

    @property
    def va(self) -> Va:
        """Virtual address of the place."""
        return self.mdl.va + self.offset

    def after(self, length: int) -> Spot | None:
        """Place `length` bytes on; None behind the end of the chain."""
        left, mdl, offset = length, self.mdl, self.offset
        while left >= mdl.byte_count - offset:
            left -= mdl.byte_count - offset
            if mdl.next is None:
                return None
            mdl, offset = mdl.next, 0
        return Spot(mdl, offset + left)


@dataclass(frozen=True, slots=True)
class Need:
    """What a transfer takes: map registers for all of it, and the bytes that fit into those that there are."""

    registers: int
    possible: int


def required_registers(spot: Spot, length: int, available: int, page_size: int) -> Need | None:
    """Count the map registers of `length` bytes along the chain; None if the chain is too short.

    As the framework counts, in 32 bits: an MDL of 4 GiB less a page wraps around and is found too short, and one that
    lacks less than a page is found long enough.
    """
    mdl: Mdl = spot.mdl
    piece = mdl.byte_count - spot.offset
    reached, within = piece, byte_offset(spot.va, page_size)
    registers = possible = 0
    while reached < length and mdl.next is not None:
        registers += span_pages(within, piece, page_size)
        if registers <= available:
            possible = reached
        mdl = mdl.next
        within, piece = mdl.byte_offset, mdl.byte_count
        reached += piece
    if (reached + page_size) & MAXULONG < length + within:
        return None
    last = length + piece - reached
    registers += span_pages(within, last, page_size)
    if registers <= available:
        possible += last
    return Need(registers, possible)
