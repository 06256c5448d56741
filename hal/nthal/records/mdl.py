# SPDX-License-Identifier: Apache-2.0
"""The memory descriptor list: which physical pages are behind a range of virtual addresses.

Source: reference hal-contract 4.7.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nthal.arguments import WrongArgument
from nthal.types import Va, span_pages

if TYPE_CHECKING:
    from nthal.records.region import FrameList

HEADER: Final = 0x30
"""Bytes of an MDL before its page-frame array, on 64-bit Windows."""


class MdlFlags(enum.IntFlag):
    """MdlFlags that matter to DMA."""

    MAPPED_TO_SYSTEM_VA = 0x1
    PAGES_LOCKED = 0x2
    SOURCE_IS_NONPAGED_POOL = 0x4
    ALLOCATED_FIXED_SIZE = 0x8


@dataclass(eq=False, slots=True)
class Mdl:
    """One MDL. `start_va` is page aligned, `byte_count` and `byte_offset` in bytes; `frames` is None until built.

    `next` chains it to another, `owner` is the machine that made it.
    """

    start_va: int
    byte_count: int
    byte_offset: int
    page_size: int
    flags: MdlFlags = field(default_factory=lambda: MdlFlags(0))
    frames: FrameList | None = None
    next: Mdl | None = None
    mapped_system_va: Va | None = None
    owner: object = None
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = HEADER + 8 * span_pages(self.byte_offset, self.byte_count, self.page_size)

    @property
    def va(self) -> Va:
        """MmGetMdlVirtualAddress."""
        return Va(self.start_va + self.byte_offset)

    @property
    def page_frames(self) -> tuple[int, ...]:
        """The page-frame array; empty until the MDL is built or locked."""
        return () if self.frames is None else self.frames.frames()

    @property
    def resident(self) -> bool:
        """True if its pages cannot move."""
        return bool(self.flags & (MdlFlags.PAGES_LOCKED | MdlFlags.SOURCE_IS_NONPAGED_POOL))


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a transfer that lies in one MDL of a chain: `length` bytes at `va`."""

    mdl: Mdl
    va: Va
    length: int


def chain(mdl: Mdl) -> list[Mdl]:
    """Every MDL of a chain. Raises: WrongArgument if the chain leads back to itself."""
    found: dict[Mdl, None] = {}
    at: Mdl | None = mdl
    while at is not None:
        if at in found:
            raise WrongArgument(f"the chain of the MDL of {mdl.va!r} leads back to itself")
        found[at] = None
        at = at.next
    return list(found)


def segments(mdl: Mdl, offset: int, length: int) -> tuple[Segment, ...]:
    """Cut `length` bytes from `offset` on in a chain into what lies in each MDL; less where the chain is shorter."""
    found = []
    for one in chain(mdl):
        size = min(one.byte_count - offset, length)
        if size > 0:
            found.append(Segment(one, one.va + offset, size))
            length -= size
        offset = max(0, offset - one.byte_count)
    return tuple(found)
