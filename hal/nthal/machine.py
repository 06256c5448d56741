# SPDX-License-Identifier: Apache-2.0
"""A platform at run time: one processor's view, the devices' view, IRQL, clock, events and findings.

The driver's world is a context: ``with Machine(FLAT): ...`` makes it the machine that the façades talk to, since the
real routines take no machine.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from nthal.bus import Bus
from nthal.cache import Cache
from nthal.events import CpuAccess, Event, Failure, IrqlChanged, NullReason
from nthal.memory import FrameAllocator, FrameList, PhysicalMemory
from nthal.platforms import Platform, Tail, Translation
from nthal.runs import Run, RunSet, Where
from nthal.space import Region, VirtualSpace
from nthal.types import AddressKindError, La, Pa, Va, bytes_to_pages
from nthal.verifier import PADDING, TAG, Misuse, Verifier
from nthal.windows import Caching, Irql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nthal.adapter import Adapter
    from nthal.system_dma import SystemDma


class NotRunning(RuntimeError):
    """A façade was used outside `with Machine(...)`."""


@dataclass(slots=True)
class DeviceObject:
    """DEVICE_OBJECT, as far as DMA needs it: whose it is, and the IRP that AdapterControl is shown."""

    driver: str = "driver"
    current_irp: object = None


_current: ContextVar[Machine | None] = ContextVar("nthal_machine", default=None)


def current_machine() -> Machine:
    """Give the machine of the innermost `with`. Raises: NotRunning outside of one."""
    machine = _current.get()
    if machine is None:
        raise NotRunning("no machine runs: put the driver's calls inside `with Machine(platform):`")
    return machine


class Machine:
    """One computer. Two machines share nothing."""

    def __init__(self, platform: Platform) -> None:
        switches = platform.switches
        self.platform = platform
        self.verifier = Verifier(on=platform.verifier, stop=switches.stop, advisories=switches.advisories)
        self.memory = PhysicalMemory(page_size=platform.page_size, fill=switches.fill)
        self.frames = FrameAllocator(platform.free_frames())
        self.space = VirtualSpace(platform.arch, platform.page_size)
        self.cache = None if platform.coherent else Cache(self.memory)
        self.registers = RunSet([(0, platform.register_pool)])
        first_iova = platform.iova_base // platform.page_size
        iommu = platform.translation is Translation.IOMMU
        self.iova = RunSet([(first_iova, (1 << 64) // platform.page_size - first_iova)] if iommu else [])
        self.bus = Bus(self)
        self.adapters: list[Adapter] = []
        self.events: list[Event] = []
        self.recording = True
        self.irql = Irql.PASSIVE_LEVEL
        self.clock = 0
        self.last_failure: Failure | None = None
        self._dma: SystemDma | None = None
        self._tokens: list[Token[Machine | None]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._tokens.pop())

    @property
    def dma(self) -> SystemDma:
        """The pair of 8237 controllers, made at first use."""
        if self._dma is None:
            from nthal.system_dma import SystemDma  # noqa: PLC0415  (most machines have none)

            self._dma = SystemDma(self)
        return self._dma

    def emit(self, event: Event) -> None:
        """Take one event. `recording = False` drops them, for long runs."""
        if self.recording:
            self.events.append(event)

    def fail(self, reason: NullReason, detail: str) -> None:
        """Remember why the call that is about to give NULL does so."""
        self.last_failure = Failure(reason, detail)

    # --- processor state -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def at_irql(self, irql: Irql) -> Iterator[None]:
        """Run at `irql`, then go back."""
        before, self.irql = self.irql, irql
        self.emit(IrqlChanged(self.clock, irql))
        try:
            yield
        finally:
            self.irql = before
            self.emit(IrqlChanged(self.clock, before))

    def irql_is(self, expected: Irql, routine: str) -> bool:
        """Check that the IRQL equals `expected`; False if the call must not go on (CB-10)."""
        return self.irql == expected or self._bad_irql(1, expected, routine)

    def irql_at_most(self, maximum: Irql, routine: str) -> bool:
        """Check that the IRQL is at most `maximum`; False if the call must not go on."""
        return self.irql <= maximum or self._bad_irql(2, maximum, routine)

    def _bad_irql(self, kind: int, expected: Irql, routine: str) -> bool:
        detail = f"{routine} wants {'' if kind == 1 else 'at most '}{expected.name}, the IRQL is {self.irql.name}"
        if self.platform.switches.irql_raises or self.verifier.on:
            self.verifier.violate(Misuse.WRONG_IRQL, detail, kind, expected, self.irql)
            return False
        self.verifier.note(Misuse.WRONG_IRQL, detail, kind, expected, self.irql)
        return True

    # --- regions ---------------------------------------------------------------------------------------------------

    def map_region(
        self, page_base: int, offset: int, length: int, frames: FrameList, caching: Caching, *, what: str
    ) -> Region:
        """Make frames visible at a reserved virtual range."""
        region = Region(page_base, offset, length, frames, caching, what=what)
        self.memory.forget(frames.runs)
        self.space.add(region)
        return region

    def unmap_region(self, region: Region) -> None:
        """Take the frames away from the processor; what caches hold of them is lost."""
        if self.cache is not None:
            for pa, size in region.frames.pieces(0, region.page_bytes):
                self.cache.drop(pa, size)
        self.space.remove(region)

    def allocate_pool(
        self, length: int, *, pageable: bool = False, frame: int | None = None, scattered: bool = False
    ) -> Va | None:
        """Give memory that is no common buffer, at page frame `frame` if one is named; None if there is none.

        This is what packet DMA moves. As it stands it is what MmAllocateContiguousMemory would give: contiguous,
        anywhere. A program's buffer is `scattered` over whatever pages are free.
        """
        pages = max(1, bytes_to_pages(length, self.platform.page_size))
        if frame is not None:
            runs: list[Run] | None = [Run(frame, pages)] if self.frames.free.contains(frame, pages) else None
        else:
            runs = self.frames.find_scattered(pages) if scattered else self.frames.find(pages, Where())
        base = None if runs is None else self.space.reserve(pages)
        if runs is None or base is None:
            self.fail(NullReason.NO_MEMORY, f"{pages} pages of pool")
            return None
        self.frames.take(runs)
        frames = FrameList(runs, self.platform.page_size)
        region = self.map_region(base, 0, length, frames, Caching.CACHED, what="pool")
        region.pageable = pageable
        return region.base

    def free_pool(self, va: Va) -> None:
        """Give pool memory back."""
        region = self.space.find(va)
        if region is None or region.is_common_buffer:
            self.verifier.violate(Misuse.UNKNOWN_FREE, f"{va!r} is no pool memory")
            return
        self.unmap_region(region)
        self.frames.give(region.frames.runs)

    def physical_address(self, va: Va) -> Pa:
        """MmGetPhysicalAddress: right for an MDL, wrong for a device (CB-36). Pa(0) where nothing is mapped."""
        region = self.space.find(va)
        if region is None or not region.in_pages(int(va), 1):
            self.verifier.violate(Misuse.WILD_ADDRESS, f"no page behind {va!r}")
            return Pa(0)
        return region.frames.pa(int(va) - region.page_base)

    # --- the processor's view --------------------------------------------------------------------------------------

    def cpu_read(self, va: Va | None, length: int) -> bytes:
        """Read bytes as driver code does. In report mode a refused access gives the fill byte."""
        region = self._cpu_region(va, length, write=False)
        if region is None or va is None:
            return bytes([self.memory.fill]) * length
        self.emit(CpuAccess(self.clock, va, length, write=False))
        self.must_be_written(region, va - region.base, length, f"CPU read of {length} bytes at {va!r}")
        return self._region_read(region, int(va) - region.page_base, length)

    def must_be_written(self, region: Region, offset: int, length: int, doing: str) -> None:
        """Tell, once a buffer, of a read of bytes that nobody wrote: what they hold is unspecified (CB-28)."""
        if region.unwritten is not None and region.unwritten.meets(offset, length):
            region.unwritten = None
            self.verifier.note(Misuse.NEVER_WRITTEN, f"{doing}: {region.what} of {region.length} bytes")

    def cpu_write(self, va: Va | None, data: bytes) -> None:
        """Write bytes as driver code does. In report mode a refused access changes nothing."""
        region = self._cpu_region(va, len(data), write=True)
        if region is not None and va is not None:
            if region.unwritten is not None:
                region.unwritten.discard(va - region.base, len(data))
            self.emit(CpuAccess(self.clock, va, len(data), write=True))
            self._region_write(region, int(va) - region.page_base, data)

    def load(self, va: Va, width: int) -> int:
        """Read one little-endian word of `width` bytes: the access that ARM's Device memory wants aligned (CB-64)."""
        return int.from_bytes(self.cpu_read(va, width), "little") if self._aligned(va, width) else 0

    def store(self, va: Va, value: int, width: int) -> None:
        """Write one little-endian word of `width` bytes."""
        if self._aligned(va, width):
            self.cpu_write(va, value.to_bytes(width, "little"))

    def flush_io_buffers(self, va: Va, length: int) -> None:
        """KeFlushIoBuffers on a range: does nothing where DMA is coherent (CB-67)."""
        region = self._cpu_region(va, length, write=False)
        if self.cache is not None and region is not None:
            for pa, size in region.frames.pieces(int(va) - region.page_base, length):
                self.cache.flush(pa, size)

    def _aligned(self, va: Va, width: int) -> bool:
        region = self.space.find(va)
        device_memory = self.platform.arch.is_arm and region is not None and region.caching is Caching.NON_CACHED
        if device_memory and int(va) % width:
            self.verifier.violate(Misuse.MISALIGNED, f"{width} bytes at {va!r}")
            return False
        return True

    def _cpu_region(self, va: Va | None, length: int, *, write: bool) -> Region | None:
        if va is not None and not isinstance(va, Va):
            raise AddressKindError(f"driver code dereferences virtual addresses, not {va!r}")
        doing = f"CPU {'write' if write else 'read'} of {length} bytes at {va!r}"
        if va is None or not int(va):
            failed = "" if self.last_failure is None else f"; what gave NULL last: {self.last_failure}"
            self.verifier.violate(Misuse.NULL_USED, f"{doing}{failed}")
            return None
        region = self.space.find(va)
        if region is None:
            ghost = self.space.ghost(va)
            if ghost is not None:
                self.verifier.violate(Misuse.USE_AFTER_FREE, f"{doing}, {ghost.what} freed before")
            else:
                self.verifier.violate(Misuse.WILD_ADDRESS, doing)
            return None
        if region.inside(int(va), length):
            return region
        return region if self._may_stray(region, int(va), length, doing) else None

    def _may_stray(self, region: Region, va: int, length: int, doing: str) -> bool:
        start = va - int(region.base)
        which = 1 if start < 0 else 2
        reachable = region.in_pages(va, length) or region.shadow is not None
        tail = self.platform.switches.tail
        detail = f"{doing}: {region.what} of {region.length} bytes at {region.base!r}, offset {start}"
        if not region.is_common_buffer or tail is Tail.VIOLATION or not reachable:
            self.verifier.violate(Misuse.OUTSIDE_BUFFER, detail, which, region.length)
            return False
        if tail is Tail.FINDING:
            self.verifier.note(Misuse.OUTSIDE_BUFFER, detail, which, region.length)
        return True

    def _region_read(self, region: Region, offset: int, length: int) -> bytes:
        if region.shadow is not None and not 0 <= offset <= region.page_bytes - length:
            return bytes(region.shadow[0 if offset < 0 else 1][:length])
        out = bytearray()
        through_cache = self.cache is not None and region.caching is Caching.CACHED
        for pa, size in region.frames.pieces(offset, length):
            out += self.cache.read(pa, size) if through_cache and self.cache else self.memory.read(pa, size)
        return bytes(out)

    def _region_write(self, region: Region, offset: int, data: bytes) -> None:
        if region.shadow is not None and not 0 <= offset <= region.page_bytes - len(data):
            self._shadow_write(region, offset, data)
            return
        done = 0
        through_cache = self.cache is not None and region.caching is Caching.CACHED
        for pa, size in region.frames.pieces(offset, len(data)):
            piece = data[done : done + size]
            if through_cache and self.cache:
                self.cache.write(pa, piece)
            else:
                self.memory.write(pa, piece)
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
                self.memory.write(region.frames.pa(at), bytes([byte]))

    # --- guard bytes of DMA verification ---------------------------------------------------------------------------

    def arm_guards(self, region: Region) -> None:
        """Put tag and padding around a verified buffer: on the rest of its pages, and on a page on either side."""
        size = self.platform.page_size
        before, after = self._guard_image(region, size)
        self.memory.write(region.frames.pa(0), before[size:])
        tail = region.offset + region.length
        if tail < region.page_bytes:
            self.memory.write(region.frames.pa(tail), after[: region.page_bytes - tail])
        region.shadow = (bytearray(before[:size]), bytearray(after[region.page_bytes - tail :]))

    def _guard_image(self, region: Region, size: int) -> tuple[bytes, bytes]:
        before = bytes([PADDING]) * (size + region.offset - len(TAG)) + TAG
        after_length = region.page_bytes - region.offset - region.length + size
        return before, TAG + bytes([PADDING]) * (after_length - len(TAG))

    def broken_guard(self, region: Region) -> tuple[int, int] | None:
        """Look at the guard bytes: (parameter 2 of 0xE6/0x0F, offset from the base), or None if all are whole."""
        if region.shadow is None:
            return None
        before, after = self._guard_image(region, self.platform.page_size)
        tail = region.offset + region.length
        now_before = bytes(region.shadow[0]) + self.memory.read(region.frames.pa(0), region.offset)
        in_page = region.page_bytes - tail
        now_after = (self.memory.read(region.frames.pa(tail), in_page) if in_page else b"") + bytes(region.shadow[1])
        if (now_before, now_after) == (before, after):
            return None
        for back in range(1, len(before) + 1):
            if now_before[-back] != before[-back]:
                return (1 if back <= len(TAG) else 4), -back
        for ahead, (now, due) in enumerate(zip(now_after, after, strict=True)):
            if now != due:
                return (2 if ahead < len(TAG) else 5), region.length + ahead
        return None

    # --- the devices' view -----------------------------------------------------------------------------------------

    def device_read(self, la: La, length: int, adapter: Adapter | None = None) -> bytes:
        """Read memory as a device does. Raises: AddressKindError for anything but an La."""
        return self.bus.read(la, length, adapter)

    def device_write(self, la: La, data: bytes, adapter: Adapter | None = None) -> None:
        """Write memory as a device does. Raises: AddressKindError for anything but an La."""
        self.bus.write(la, data, adapter)
