# SPDX-License-Identifier: Apache-2.0
"""Regions of memory that the processor sees: made over page frames, taken away again; and plain pool memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.arguments import size_t
from nthal.events import NullReason
from nthal.records.region import FrameList, Region
from nthal.runs import Run, Where
from nthal.types import Pa, Va, bytes_to_pages
from nthal.verifier import Misuse, driver_place
from nthal.windows import Caching

if TYPE_CHECKING:
    from nthal.hardware.backings import Backings
    from nthal.hardware.cache import Cache
    from nthal.hardware.memory import FrameAllocator, PhysicalMemory
    from nthal.hardware.processor import Processor
    from nthal.hardware.space import VirtualSpace


class Regions:
    """Joins page frames and virtual space. Frames of a region belong to who asked for it; those of pool are its own."""

    def __init__(
        self,
        memory: PhysicalMemory,
        frames: FrameAllocator,
        space: VirtualSpace,
        cache: Cache | None,
        processor: Processor,
        backings: Backings,
    ) -> None:
        self._memory = memory
        self._frames = frames
        self._space = space
        self._cache = cache
        self._processor = processor
        self._verifier = processor.verifier
        self._page_size = memory.page_size
        self._backings = backings

    def map(
        self, page_base: int, offset: int, length: int, frames: FrameList, caching: Caching, *, what: str
    ) -> Region:
        """Make frames visible at a reserved virtual range."""
        region = Region(page_base, offset, length, frames, caching, what=what)
        self._memory.forget(frames.runs)
        self._backings.begin(region)
        self._space.add(region)
        return region

    def unmap(self, region: Region) -> None:
        """Take the frames away from the processor; what caches hold of them is lost."""
        if self._cache is not None:
            for pa, size in region.frames.pieces(0, region.page_bytes):
                self._cache.drop(pa, size)
        self._space.remove(region)
        self._backings.end(region)

    def allocate_pool(
        self,
        length: int,
        *,
        pageable: bool = False,
        frame: int | None = None,
        scattered: bool = False,
        highest: Pa | None = None,
    ) -> Va | None:
        """Give memory that is no common buffer, at page frame `frame` if one is named; None if there is none.

        This is what packet DMA moves. As it stands it is what MmAllocateContiguousMemory gives: contiguous, up to
        `highest`. A program's buffer is `scattered` over whatever pages are free.
        """
        pages = max(1, bytes_to_pages(size_t(length, "length"), self._page_size))
        if frame is not None:
            runs: list[Run] | None = [Run(frame, pages)] if self._frames.free.contains(frame, pages) else None
        else:
            where = Where() if highest is None else Where(last=(int(highest) + 1) // self._page_size - 1)
            runs = self._frames.find_scattered(pages) if scattered else self._frames.find(pages, where)
        base = None if runs is None else self._space.reserve(pages)
        if runs is None or base is None:
            self._processor.fail(
                NullReason.NO_MEMORY, f"{pages} pages of pool{'' if highest is None else f' up to {int(highest):#x}'}"
            )
            return None
        self._frames.take(runs)
        region = self.map(base, 0, length, FrameList(runs, self._page_size), Caching.CACHED, what="pool")
        region.pageable = pageable
        region.made_at = driver_place()
        return region.base

    def free_pool(self, va: Va) -> None:
        """Give pool memory back."""
        region = self._space.find(va)
        if region is None or region.is_common_buffer:
            self._verifier.violate(Misuse.UNKNOWN_FREE, f"{va!r} is no pool memory")
            return
        self.unmap(region)
        self._frames.give(region.frames.runs)

    def physical_address(self, va: Va) -> Pa:
        """MmGetPhysicalAddress: right for an MDL, wrong for a device (CB-36). Pa(0) where nothing is mapped."""
        region = self._space.find(va)
        if region is None or not region.in_pages(int(va), 1):
            self._verifier.violate(Misuse.WILD_ADDRESS, f"no page behind {va!r}")
            return Pa(0)
        return region.frames.pa(int(va) - region.page_base)
