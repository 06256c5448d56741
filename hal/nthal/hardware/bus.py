# SPDX-License-Identifier: Apache-2.0
"""The devices' view of memory: logical addresses, the windows that translate them, and who answers where none does.

Source: reference hal-contract 3.1 and 3.2.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nthal import policy
from nthal.events import DeviceAccess
from nthal.hardware.guards import tell_unwritten
from nthal.hardware.space import IntervalMap, OverlapMap
from nthal.platforms import Tail, Translation
from nthal.types import MAX_ADDRESS, MAXULONG, Address, AddressKindError, La, Pa
from nthal.verifier import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nthal.hardware.cache import Cache
    from nthal.hardware.memory import PhysicalMemory
    from nthal.hardware.processor import Processor
    from nthal.hardware.space import VirtualSpace
    from nthal.platforms import Platform
    from nthal.records.adapter import Adapter, CommonBuffer, Mapping, Window
    from nthal.records.region import Region

_REMEMBERED: Final = 64
"""Ranges that a device may not use any more, kept for the words of a finding."""


@dataclass(frozen=True, slots=True)
class Past:
    """A logical range that was given back; `what` says what it was."""

    la: int
    length: int
    what: str


class Bus:
    """Translates, refuses, and says why."""

    def __init__(
        self,
        memory: PhysicalMemory,
        space: VirtualSpace,
        cache: Cache | None,
        platform: Platform,
        processor: Processor,
    ) -> None:
        self._memory = memory
        self._space = space
        self._cache = cache
        self._platform = platform
        self._processor = processor
        self._verifier = processor.verifier
        self._buffers: IntervalMap[CommonBuffer] = IntervalMap()
        self._past: deque[Past] = deque(maxlen=_REMEMBERED)
        self._by_region: dict[Region, CommonBuffer] = {}
        self._stale_told: set[str] = set()
        self.windows: OverlapMap[Window] = OverlapMap()
        self.by_mapping: dict[Mapping, Window] = {}

    def attach(self, buffer: CommonBuffer) -> None:
        """Set up the translation of a common buffer (CB-34)."""
        self._buffers.add(buffer.page_la // buffer.frames.page_size, buffer.frames.count, buffer)
        self._by_region[buffer.region] = buffer

    def detach(self, buffer: CommonBuffer) -> None:
        """Take the translation away (CB-80)."""
        self._buffers.remove(buffer.page_la // buffer.frames.page_size)
        del self._by_region[buffer.region]
        what = f"the common buffer made at {buffer.made_at} was there until it was freed"
        self._past.append(Past(int(buffer.la), buffer.length, what))

    def open(self, mapping: Mapping, window: Window) -> None:
        """Show a packet mapping to the device."""
        self.windows.add(int(window.la), window.length, window)
        self.by_mapping[mapping] = window

    def close(self, mapping: Mapping) -> Window | None:
        """Hide a packet mapping again; None if it had no window of its own."""
        window = self.by_mapping.pop(mapping, None)
        if window is not None:
            self.windows.remove(window)
            what = f"the transfer mapped at {window.made_at} was there until it was flushed"
            self._past.append(Past(int(window.la), window.length, what))
        return window

    def buffers(self) -> list[CommonBuffer]:
        """Every live common buffer by logical address."""
        return self._buffers.values()

    def buffer_of(self, region: Region) -> CommonBuffer | None:
        """The live common buffer on the region."""
        return self._by_region.get(region)

    def buffer_from(self, la: object) -> CommonBuffer | None:
        """The live common buffer whose logical address is `la`. Raises: AddressKindError for one of another kind."""
        if not isinstance(la, La):
            if isinstance(la, Address):
                raise AddressKindError(f"a common buffer has a logical address, not {la!r}")
            return None
        buffer = self._buffers.find(int(la) // self._platform.page_size)
        return buffer if buffer is not None and buffer.la == la else None

    def ranges(self) -> list[tuple[int, int]]:
        """(logical address, bytes) of everything that answers, ascending."""
        buffers = [(int(buffer.la), buffer.length) for buffer in self._buffers.values()]
        return sorted(buffers + [(int(window.la), window.length) for window in self.windows])

    def reach(self, la: La, length: int, adapter: Adapter | None) -> int:
        """Bytes from `la` on, `length` at most, that the device may touch. Asks only: leaves no finding."""
        at = int(la)
        end = at + length if adapter is None else min(at + length, adapter.limit + 1)
        while at < end:
            answering = self._window_at(at, adapter)
            if answering is not None:
                at = min(end, int(answering.la) + answering.length)
                continue
            buffer = self._buffer_at(at, adapter)
            if buffer is None:
                break
            first, last = int(buffer.la), int(buffer.la) + buffer.length
            if self._platform.switches.tail is not Tail.VIOLATION:
                first, last = buffer.page_la, buffer.page_la + buffer.frames.count * buffer.frames.page_size
            if not first <= at < last:
                break
            at = min(end, last)
        return max(0, at - int(la))

    def read(self, la: La, length: int, adapter: Adapter | None) -> bytes:
        """Read for a device; in report mode a refused access gives all ones, as a bus that nobody drives."""
        pieces = self._resolve(la, length, adapter, write=False)
        if pieces is None:
            return b"\xff" * length
        return b"".join(self._memory.read(pa, size) for pa, size in pieces)

    def write(self, la: La, data: bytes, adapter: Adapter | None) -> None:
        """Write for a device; all of it or nothing."""
        pieces = self._resolve(la, len(data), adapter, write=True)
        done = 0
        for pa, size in pieces or ():
            self._memory.write(pa, data[done : done + size])
            done += size

    def _resolve(self, la: La, length: int, adapter: Adapter | None, *, write: bool) -> list[tuple[Pa, int]] | None:
        if not isinstance(la, La):
            raise AddressKindError(f"a device takes logical addresses, not {la!r} (CB-35)")
        pieces: list[tuple[Pa, int]] = []
        doing = f"device {'write' if write else 'read'} of {length} bytes at {la!r}"
        at, left = int(la), length
        ok = self._in_width(la, length, adapter, doing)
        while ok and left > 0:
            found = self._one(at, left, adapter, doing, write=write)
            ok = found is not None
            for pa, size in found or ():
                pieces.append((pa, size))
                at += size
                left -= size
        self._processor.emit(DeviceAccess(self._processor.clock, la, length, write, ok))
        return pieces if ok else None

    def _in_width(self, la: La, length: int, adapter: Adapter | None, doing: str) -> bool:
        if adapter is None or int(la) + length - 1 <= adapter.limit:
            return True
        self._refuse(Misuse.BEYOND_WIDTH, f"{doing}: the adapter reaches {adapter.limit:#x}", int(la), adapter)
        return False

    def _refuse(self, misuse: Misuse, doing: str, at: int, adapter: Adapter | None, *parameters: int) -> None:
        """Say what was refused, and which mistake of the driver the number betrays."""
        limit = MAX_ADDRESS if adapter is None else adapter.limit
        guesses, pool = list(self._guesses(at, limit)), list(self._pool_guesses(at, limit))
        # What was given back and is pool by now may have been kept too long as well: then nobody knows which it was.
        cause = Misuse.PHYSICAL_ADDRESS if pool and not guesses else None
        self._verifier.violate(misuse, "; ".join((doing, *guesses, *pool)), *parameters, cause=cause)

    def _window_at(self, at: int, adapter: Adapter | None) -> Window | None:
        return next((one for one in self.windows.over(at) if self._may_use(one.adapter, adapter)), None)

    def _buffer_at(self, at: int, adapter: Adapter | None) -> CommonBuffer | None:
        buffer = self._buffers.find(at // self._platform.page_size)
        return buffer if buffer is not None and self._may_use(buffer.adapter, adapter) else None

    def _one(
        self, at: int, left: int, adapter: Adapter | None, doing: str, *, write: bool
    ) -> list[tuple[Pa, int]] | None:
        window = self._window_at(at, adapter)
        if window is not None:
            start = at - int(window.la)
            pieces = list(window.frames.pieces(window.offset + start, min(left, window.length - start)))
            # What a device writes under a kept mapping arrives with the flush, whatever the cache holds till then.
            if not write or not policy.map_keeps_caches(window.adapter.description, self._platform.switches):
                self._look_for_stale(pieces, f"{doing}, mapped at {window.made_at}", write=write)
            return pieces
        buffer = self._buffer_at(at, adapter)
        if buffer is None:
            return self._astray(at, adapter, doing)
        start = at - buffer.page_la
        offset = at - int(buffer.la)
        inside = offset >= 0 and offset + left <= buffer.length
        if not inside:
            return self._tail(buffer, at, left, doing)
        doing = f"{doing}, made at {buffer.made_at}"
        if write and buffer.region.unwritten is not None:
            buffer.region.unwritten.discard(offset, left)
        elif not write:
            tell_unwritten(self._verifier, buffer.region, offset, left, doing)
        pieces = list(buffer.frames.pieces(start, left))
        self._look_for_stale(pieces, doing, write=write)
        return pieces

    def _look_for_stale(self, pieces: list[tuple[Pa, int]], doing: str, *, write: bool) -> None:
        """Tell of a read that misses what the CPU has newer in its cache, and of a write behind its back (AM-20)."""
        cache = self._cache
        if cache is None or not any(cache.holds(pa, size, dirty=not write) for pa, size in pieces):
            return
        what = "the CPU goes on reading its old line" if write else "the device gets bytes older than the CPU's"
        detail = f"{doing}: {what}"
        if detail not in self._stale_told:
            self._stale_told.add(detail)
            self._verifier.note(Misuse.STALE_DATA, detail)

    def _may_use(self, owner: Adapter, adapter: Adapter | None) -> bool:
        if adapter is None or adapter is owner or self._platform.translation is not Translation.IOMMU:
            return True
        # The domain of an IOMMU belongs to the device: the two adapters of a duplex enabler share it.
        return owner.device is not None and owner.device is adapter.device

    def _tail(self, buffer: CommonBuffer, at: int, left: int, doing: str) -> list[tuple[Pa, int]] | None:
        offset = at - int(buffer.la)
        detail = f"{doing}: buffer of {buffer.length} bytes at {buffer.la!r} made at {buffer.made_at}, offset {offset}"
        tail = self._platform.switches.tail
        parameters = (1 if offset < 0 else 2, buffer.length)
        if tail is Tail.VIOLATION:
            self._verifier.violate(Misuse.OUTSIDE_BUFFER, detail, *parameters)
            return None
        if tail is Tail.FINDING:
            self._verifier.note(Misuse.OUTSIDE_BUFFER, detail, *parameters)
        start = at - buffer.page_la
        return list(buffer.frames.pieces(start, min(left, buffer.frames.count * buffer.frames.page_size - start)))

    def _astray(self, at: int, adapter: Adapter | None, doing: str) -> list[tuple[Pa, int]] | None:
        platform = self._platform
        misuse = Misuse.DEVICE_ASTRAY
        if platform.translation is Translation.IOMMU:
            misuse = Misuse.DMA_FAULT
        elif platform.translation is Translation.MAPREG or at < platform.bus_offset:
            misuse = Misuse.BUS_FAULT
        self._refuse(misuse, doing, at, adapter, at)
        return None

    def _guesses(self, at: int, limit: int) -> Iterator[str]:
        """Words for the mistakes that a number betrays."""
        for buffer in self.buffers():
            whose = f"of the buffer whose logical address is {buffer.la!r}, made at {buffer.made_at}"
            for which in _physical(at, buffer.region, limit):
                yield f"that is {which} {whose} (CB-36)"
            if 0 <= at - int(buffer.va) < buffer.length or 0 <= at - buffer.va.low < buffer.length:
                yield f"that is the virtual address {whose} (CB-35)"
            if buffer.la.high and 0 <= at - buffer.la.low < buffer.length:
                yield f"that is {buffer.la!r} without its upper half, made at {buffer.made_at} (CB-154)"
        for window in self.windows:
            whose = f"{window.la!r}, mapped at {window.made_at}"
            if window.la.high and 0 <= at - window.la.low < window.length:
                yield f"that is {whose}, without its upper half (CB-154)"
            if any(int(pa) <= at < int(pa) + size for pa, size in window.frames.pieces(window.offset, window.length)):
                yield f"that is the physical address of the transfer at {whose} (CB-36)"
            if at - int(window.la) == window.length:
                yield f"that is the byte after the transfer of {window.length} bytes at {whose}"
        yield from (f"{past.what} (CB-80)" for past in reversed(self._past) if 0 <= at - past.la < past.length)

    def _pool_guesses(self, at: int, limit: int) -> Iterator[str]:
        """Words for pool memory whose physical address the number is, whole or what a narrower register holds of it."""
        for region in self._space.regions():
            if region.is_common_buffer:
                continue
            mapped = "which no transfer maps now" if region.was_mapped else "which was never mapped for DMA"
            whose = f"{region.length} bytes of pool memory allocated at {region.made_at}, {mapped} (CB-36, CB-150)"
            for which in _physical(at, region, limit):
                yield f"that is {which} of {whose}"


def _physical(at: int, region: Region, limit: int) -> Iterator[str]:
    """Words for the number as a physical address of the region, whole or what a narrower register holds of one."""
    for pa, size in region.frames.pieces(0, region.page_bytes):
        if int(pa) <= at < int(pa) + size:
            yield "the physical address"
        for mask in sorted({MAXULONG, limit} - {MAX_ADDRESS}):
            kept = int(pa) & mask
            if kept != int(pa) and kept <= at < kept + size:
                yield f"{pa + (at - kept)!r} cut to {mask.bit_length()} bits, the physical address"
