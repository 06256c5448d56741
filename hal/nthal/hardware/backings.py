# SPDX-License-Identifier: Apache-2.0
"""Real memory under regions: laid when a view of one is asked for, or under all of them for a native driver.

Processor, device and native code then share the very same bytes. What only they touch is not seen as it happens: guard
bytes are looked at when the buffer is freed, as DMA verification does, and freed memory is filled and looked at later.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from nthal.hardware.guards import mark_unwritten
from nthal.records.backing import Backing
from nthal.types import MIB
from nthal.verifier import Misuse, driver_place
from nthal.windows import Caching

if TYPE_CHECKING:
    from nthal.hardware.cache import Cache
    from nthal.hardware.memory import PhysicalMemory
    from nthal.hardware.space import VirtualSpace
    from nthal.records.region import Region
    from nthal.verifier import Verifier

KEPT: Final = 64 * MIB
"""Bytes of freed memory that are kept, so that a stale native pointer meets memory; the oldest goes first."""
FREED: Final = 0xDD
"""What freed memory is filled with."""


class Backings:
    """Lays memory under regions. `native()` makes a region's virtual address the address in this process."""

    def __init__(self, memory: PhysicalMemory, cache: Cache | None, space: VirtualSpace, verifier: Verifier) -> None:
        self._memory = memory
        self._cache = cache
        self._space = space
        self._verifier = verifier
        self._reserved: dict[int, Backing] = {}
        self._freed: deque[tuple[Region, str]] = deque()
        self._freed_bytes = 0

    def native(self) -> None:
        """From now on driver code is native: each new region stands at its real address."""
        self._space.lay = self._reserve

    def _reserve(self, pages: int) -> int:
        backing = Backing(pages, self._memory.page_size)
        self._reserved[backing.address] = backing
        return backing.address

    def begin(self, region: Region) -> None:
        """Put the memory that was reserved for a new region under it."""
        backing = self._reserved.pop(region.page_base, None)
        if backing is not None:
            self._join(region, backing)

    def under(self, region: Region) -> Backing:
        """Memory under a region, laid now if need be; what the region holds stays as it is."""
        return region.backing or self._join(region, Backing(region.frames.count, self._memory.page_size))

    def _join(self, region: Region, backing: Backing) -> Backing:
        if self._cache is not None and region.caching is Caching.CACHED:
            self._cache.adopt(region.frames.frames(), backing.pages)
        else:
            self._memory.lay(region.frames.frames(), backing.pages)
        region.backing = backing
        if region.shadow is not None:
            backing.before[:], backing.after[:] = region.shadow
            region.shadow = backing.before, backing.after
        mark_unwritten(self._memory, region)
        return backing

    def end(self, region: Region) -> None:
        """A region is gone: its memory stays for who still points at it, and belongs to nobody else."""
        if region.backing is None:
            return
        self._memory.forget(region.frames.runs)
        region.backing.pages[:] = bytes([FREED]) * region.backing.size
        self._freed.append((region, driver_place()))
        self._freed_bytes += region.backing.size
        while self._freed_bytes > KEPT and len(self._freed) > 1:
            oldest, place = self._freed.popleft()
            self._look(oldest, place)
            self._freed_bytes -= oldest.page_bytes

    def look_at_freed(self) -> None:
        """Tell of each freed region that was written after its end, once."""
        for region, place in self._freed:
            self._look(region, place)

    def _look(self, region: Region, place: str) -> None:
        assert region.backing is not None  # only such are remembered
        now = bytes(region.backing.pages)
        if now == bytes([FREED]) * len(now):
            return
        at = next(index for index, byte in enumerate(now) if byte != FREED) - region.offset
        region.backing.pages[:] = bytes([FREED]) * len(now)
        what = f"{region.what} of {region.length} bytes at {region.base!r}"
        detail = f"native write at offset {at}: {what}, freed at {place}"
        self._verifier.note(Misuse.USE_AFTER_FREE, detail)
