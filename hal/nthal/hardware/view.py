# SPDX-License-Identifier: Apache-2.0
"""The processor's view of memory: what driver code reads and writes by virtual address, and what it must not touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.arguments import size_t
from nthal.events import CpuAccess
from nthal.hardware.guards import tell_unwritten
from nthal.platforms import Tail
from nthal.types import AddressKindError, Va
from nthal.verifier import Misuse
from nthal.windows import Caching

if TYPE_CHECKING:
    from nthal.hardware.backings import Backings
    from nthal.hardware.cache import Cache
    from nthal.hardware.memory import PhysicalMemory
    from nthal.hardware.processor import Processor
    from nthal.hardware.space import VirtualSpace
    from nthal.platforms import Platform
    from nthal.records.region import Region


class ProcessorView:
    """Finds the region behind a virtual address, asks whether the driver may, and goes through the cache or past it."""

    def __init__(
        self,
        memory: PhysicalMemory,
        space: VirtualSpace,
        cache: Cache | None,
        platform: Platform,
        processor: Processor,
        backings: Backings,
    ) -> None:
        self._memory = memory
        self._space = space
        self._cache = cache
        self._platform = platform
        self._processor = processor
        self._verifier = processor.verifier
        self._backings = backings

    def read(self, va: Va | None, length: int) -> bytes:
        """Read bytes as driver code does. In report mode a refused access gives the fill byte."""
        region = self._region(va, length, write=False)
        if region is None or va is None:
            return bytes([self._memory.fill]) * length
        self._processor.emit(CpuAccess(self._processor.clock, va, length, write=False))
        if region.unwritten is not None:
            tell_unwritten(self._verifier, region, va - region.base, length, f"CPU read of {length} bytes at {va!r}")
        return self._read(region, int(va) - region.page_base, length)

    def write(self, va: Va | None, data: bytes) -> None:
        """Write bytes as driver code does. In report mode a refused access changes nothing."""
        region = self._region(va, len(data), write=True)
        if region is not None and va is not None:
            if region.unwritten is not None:
                region.unwritten.discard(va - region.base, len(data))
            self._processor.emit(CpuAccess(self._processor.clock, va, len(data), write=True))
            self._write(region, int(va) - region.page_base, data)

    def window(self, va: Va | None, length: int) -> memoryview:
        """Give the bytes themselves, writable. In report mode a refused range gives bytes that are nobody's."""
        region = self._region(va, length, write=True)
        if region is None or va is None:
            return memoryview(bytearray([self._memory.fill]) * length)
        start = int(va) - region.page_base
        if not region.inside(int(va), length):
            self._verifier.violate(Misuse.OUTSIDE_BUFFER, f"a view of {length} bytes at {va!r}", 2, region.length)
            return memoryview(bytearray([self._memory.fill]) * length)
        return self._backings.under(region).pages[start : start + length]

    def load(self, va: Va, width: int) -> int:
        """Read one little-endian word of `width` bytes: the access that ARM's Device memory wants aligned (CB-64)."""
        return int.from_bytes(self.read(va, width), "little") if self._aligned(va, width) else 0

    def store(self, va: Va, value: int, width: int) -> None:
        """Write one little-endian word of `width` bytes."""
        if self._aligned(va, width):
            self.write(va, value.to_bytes(width, "little"))

    def flush_io_buffers(self, va: Va, length: int) -> None:
        """KeFlushIoBuffers on a range: does nothing where DMA is coherent (CB-67)."""
        region = self._region(va, length, write=False)
        if self._cache is not None and region is not None:
            self._cache.clean(region.frames, int(va) - region.page_base, length)

    def _aligned(self, va: Va, width: int) -> bool:
        region = self._space.find(va)
        device_memory = self._platform.arch.is_arm and region is not None and region.caching is Caching.NON_CACHED
        if device_memory and int(va) % width:
            self._verifier.violate(Misuse.MISALIGNED, f"{width} bytes at {va!r}")
            return False
        return True

    def _region(self, va: Va | None, length: int, *, write: bool) -> Region | None:
        if va is not None and not isinstance(va, Va):
            raise AddressKindError(f"driver code dereferences virtual addresses, not {va!r}")
        size_t(length, "length")
        doing = f"CPU {'write' if write else 'read'} of {length} bytes at {va!r}"
        if va is None or not int(va):
            failure = self._processor.last_failure
            failed = "" if failure is None else f"; what gave NULL last: {failure}"
            self._verifier.violate(Misuse.NULL_USED, f"{doing}{failed}")
            return None
        region = self._space.find(va)
        if region is None:
            ghost = self._space.ghost(va)
            if ghost is not None:
                self._verifier.violate(Misuse.USE_AFTER_FREE, f"{doing}, {ghost.what} freed before")
            else:
                self._verifier.violate(Misuse.WILD_ADDRESS, doing)
            return None
        if region.inside(int(va), length):
            return region
        return region if self._may_stray(region, int(va), length, doing) else None

    def _may_stray(self, region: Region, va: int, length: int, doing: str) -> bool:
        start = va - int(region.base)
        which = 1 if start < 0 else 2
        reachable = region.in_pages(va, length) or region.shadow is not None
        tail = self._platform.switches.tail
        detail = f"{doing}: {region.what} of {region.length} bytes at {region.base!r}, offset {start}"
        if not region.is_common_buffer or tail is Tail.VIOLATION or not reachable:
            self._verifier.violate(Misuse.OUTSIDE_BUFFER, detail, which, region.length)
            return False
        if tail is Tail.FINDING:
            self._verifier.note(Misuse.OUTSIDE_BUFFER, detail, which, region.length)
        return True

    def _read(self, region: Region, offset: int, length: int) -> bytes:
        if region.shadow is not None and not 0 <= offset <= region.page_bytes - length:
            return bytes(region.shadow[0 if offset < 0 else 1][:length])
        out = bytearray()
        through_cache = self._cache is not None and region.caching is Caching.CACHED
        for pa, size in region.frames.pieces(offset, length):
            out += self._cache.read(pa, size) if through_cache and self._cache else self._memory.read(pa, size)
        return bytes(out)

    def _write(self, region: Region, offset: int, data: bytes) -> None:
        if region.shadow is not None and not 0 <= offset <= region.page_bytes - len(data):
            self._shadow_write(region, offset, data)
            return
        done = 0
        through_cache = self._cache is not None and region.caching is Caching.CACHED
        for pa, size in region.frames.pieces(offset, len(data)):
            piece = data[done : done + size]
            if through_cache and self._cache:
                self._cache.write(pa, piece)
            else:
                self._memory.write(pa, piece)
            done += size

    def _shadow_write(self, region: Region, offset: int, data: bytes) -> None:
        before, after = region.shadow or (bytearray(), bytearray())
        for index, byte in enumerate(data):
            at = offset + index
            if at < 0:
                before[at % len(before)] = byte
            elif at >= region.page_bytes:
                after[(at - region.page_bytes) % len(after)] = byte
            else:
                self._memory.write(region.frames.pa(at), bytes([byte]))
