# SPDX-License-Identifier: Apache-2.0
"""Common buffers: find the memory, map it, hand it out, take it back. All façades end here.

What a buffer must be is decided in `policy`; this module finds it, and undoes everything when one step fails.
Source: reference hal-contract 2.3 to 2.9 and 2.11.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nthal import policy
from nthal.events import AllocationFailed, BufferAllocated, BufferFreed, NullReason
from nthal.operations import channel
from nthal.operations.adapter import owned, usable
from nthal.platforms import Translation
from nthal.records.adapter import CommonBuffer
from nthal.records.region import FrameList
from nthal.runs import Run, Where
from nthal.types import MAX_ADDRESS, MAXULONG, La
from nthal.verifier import Misuse, Rank, driver_place
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter
    from nthal.records.request import BufferRequest, FreeRequest
    from nthal.windows import Caching


@dataclass(frozen=True, slots=True)
class Place:
    """What was found for a buffer, before any of it is taken."""

    runs: list[Run]
    page_la: int
    registers: Run | None = None
    iova: Run | None = None


def find_place(machine: Machine, adapter: Adapter, request: BufferRequest) -> Place | NullReason:
    """Look for memory and addresses; takes nothing."""
    platform = machine.platform
    size = platform.page_size
    pages = policy.pages_for(request.length, size)
    align = 1
    if request.large_pages:
        align = policy.LARGE_PAGE_FACTOR
        pages = -(-pages // align) * align
    low, last = request.window(adapter.limit, inclusive=platform.switches.maximum_address_inclusive)
    if last < low or last - low + 1 < min(request.length, MAX_ADDRESS):
        return NullReason.EMPTY_WINDOW
    limits = Where(-(-low // size), (last + 1) // size - 1, adapter.boundary // size, align)
    match platform.translation:
        case Translation.MAPREG:
            return _through_registers(machine, adapter, pages, limits)
        case Translation.IOMMU:
            return _through_iommu(machine, pages, limits)
        case _:
            return _contiguous(machine, pages, limits)


def _contiguous(machine: Machine, pages: int, limits: Where) -> Place | NullReason:
    size = machine.platform.page_size
    offset = machine.platform.bus_offset // size
    # The limits speak of logical pages; on this bus a frame's logical page is a constant further.
    frames = replace(limits, low=max(limits.low - offset, 0), last=limits.last - offset, shift=offset)
    if frames.last < frames.low:
        return NullReason.EMPTY_WINDOW
    runs = machine.frames.find(pages, frames)
    if runs is None:
        return NullReason.NO_MEMORY if machine.frames.free.total < pages else NullReason.NO_RUN
    return Place(runs, (runs[0].start + offset) * size)


def _through_iommu(machine: Machine, pages: int, limits: Where) -> Place | NullReason:
    runs = machine.frames.find_scattered(pages)
    if runs is None:
        return NullReason.NO_MEMORY
    start = machine.iova.find(pages, limits)
    if start is None:
        return NullReason.NO_LOGICAL_SPACE
    return Place(runs, start * machine.platform.page_size, iova=Run(start, pages))


def _through_registers(machine: Machine, adapter: Adapter, pages: int, limits: Where) -> Place | NullReason:
    size = machine.platform.page_size
    first = machine.platform.register_base // size
    if adapter.held_registers + pages > adapter.granted:
        return NullReason.REGISTERS_BUSY
    wanted = replace(limits, low=max(limits.low - first, 0), last=limits.last - first, shift=first)
    if wanted.last < 0:
        return NullReason.NO_LOGICAL_SPACE
    start = machine.registers.find(pages, wanted)
    if start is None:
        return NullReason.REGISTERS_BUSY
    runs = machine.frames.find_scattered(pages)
    if runs is None:
        return NullReason.NO_MEMORY
    return Place(runs, (first + start) * size, registers=Run(start, pages))


def allocate(machine: Machine, adapter: Adapter | None, request: BufferRequest) -> CommonBuffer | None:
    """Make a common buffer; None with the reason in `machine.last_failure`, and then nothing is held (CB-70)."""
    routine = request.routine.value
    if not usable(machine, adapter, routine) or adapter is None:
        machine.processor.fail(NullReason.BAD_CALL, "no usable adapter")
        return None
    if not machine.processor.irql_is(Irql.PASSIVE_LEVEL, routine):
        return _null(machine, adapter, request, NullReason.BAD_CALL, "wrong IRQL")
    if request.length == 0:
        machine.verifier.note(Misuse.ZERO_LENGTH, f"{routine} on {adapter!r}", rank=Rank.WARNING)
        if not machine.platform.switches.zero_length_gives_page:
            return _null(machine, adapter, request, NullReason.ZERO_LENGTH, "Length is 0")
    if not 0 <= request.length <= MAXULONG:
        machine.verifier.note(Misuse.NOT_A_ULONG, f"{routine}: {request.length:#x} bytes")
        return _null(machine, adapter, request, NullReason.NOT_A_ULONG, f"{request.length:#x} bytes")
    if _refused_by_registers(machine, adapter, request):
        detail = f"{request.length} bytes, {adapter.granted} map registers"
        return _null(machine, adapter, request, NullReason.REGISTER_LIMIT, detail)
    caching = policy.effective_caching(
        machine.platform, request.routine, cache_enabled=request.cache_enabled, cache_type=request.cache_type
    )
    if caching is None:
        return _null(machine, adapter, request, NullReason.UNSUPPORTED_CACHING, str(request.cache_type))
    _advise(machine, adapter, request)
    place = find_place(machine, adapter, request)
    if isinstance(place, NullReason):
        return _null(machine, adapter, request, place, _looked_for(machine, adapter, request, place))
    buffer = _take(machine, adapter, request, place, caching)
    if buffer is None:
        return _null(machine, adapter, request, NullReason.NO_VIRTUAL_SPACE, f"{request.length} bytes")
    return buffer


def _null(
    machine: Machine, adapter: Adapter, request: BufferRequest, reason: NullReason, detail: str
) -> CommonBuffer | None:
    machine.processor.fail(reason, detail)
    machine.processor.emit(
        AllocationFailed(machine.processor.clock, adapter.number, request.routine.value, request.length, reason)
    )
    return None


def _looked_for(machine: Machine, adapter: Adapter, request: BufferRequest, reason: NullReason) -> str:
    """Words for what was looked for where, and for where it could have been."""
    low, last = request.window(adapter.limit, inclusive=machine.platform.switches.maximum_address_inclusive)
    words = f"{request.length} bytes{f' from {low:#x} on' if low else ''} up to {max(last, 0):#x}"
    match reason:
        case NullReason.REGISTERS_BUSY:
            return f"{words}: {adapter!r} holds {adapter.held_registers} of {adapter.granted} map registers"
        case NullReason.NO_LOGICAL_SPACE:
            return words
    return f"{words}: {machine.frames.where_free(machine.platform)}"


def _refused_by_registers(machine: Machine, adapter: Adapter, request: BufferRequest) -> bool:
    if not policy.over_register_limit(request.length, adapter.granted, machine.platform.page_size):
        return False
    machine.verifier.note(
        Misuse.OVER_REGISTERS, f"{request.length} bytes on {adapter!r} with {adapter.granted}", adapter.granted
    )
    return machine.platform.switches.enforce_map_register_limit


def _advise(machine: Machine, adapter: Adapter, request: BufferRequest) -> None:
    size = machine.platform.page_size
    if request.length > size:
        detail = f"{request.length} bytes on {adapter!r}"
        if request.length % size:
            machine.verifier.note(Misuse.WASTEFUL, detail, rank=Rank.ADVISORY)
        machine.verifier.note(Misuse.MANY_SMALL, detail, rank=Rank.ADVISORY)


def _take(
    machine: Machine, adapter: Adapter, request: BufferRequest, place: Place, caching: Caching
) -> CommonBuffer | None:
    platform = machine.platform
    frames = FrameList(place.runs, platform.page_size)
    page_va = machine.space.reserve(frames.count)
    if page_va is None:
        return None
    machine.frames.take(place.runs)
    if place.iova is not None:
        machine.iova.take(place.iova.start, place.iova.count)
    if place.registers is not None:
        machine.registers.take(place.registers.start, place.registers.count)
        adapter.held_registers += place.registers.count
        adapter.books.registers.allocated += place.registers.count
    verified = machine.verifier.on
    offset = 0
    if verified and platform.switches.verifier_offsets and not request.page_aligned:
        offset = policy.verifier_offset(request.length, platform)
    region = machine.regions.map(page_va, offset, request.length, frames, caching, what="common buffer")
    region.is_common_buffer = True
    if verified:
        machine.guards.arm(region)
    la = La(place.page_la + offset)
    buffer = CommonBuffer(
        adapter, request, region.base, la, place.page_la, region, frames, place.registers, place.iova, driver_place()
    )
    machine.bus.attach(buffer)
    adapter.buffers.append(buffer)
    adapter.books.buffers.allocated += 1
    machine.processor.emit(
        BufferAllocated(
            machine.processor.clock,
            adapter.number,
            request.routine.value,
            request.length,
            buffer.va,
            la,
            frames.count,
            place.registers.count if place.registers else 0,
            bool(request.cache_enabled),
        )
    )
    return buffer


def free(machine: Machine, adapter: Adapter | None, request: FreeRequest) -> bool:
    """Take a common buffer back; True if it is gone. A free with other arguments than the allocation's is refused."""
    if adapter is not None:
        owned(machine, "FreeCommonBuffer", adapter)
    if adapter is not None and adapter.gone and not machine.verifier.on:
        # Undefined on Windows; the buffer must stay freeable, so this is a finding and the call goes on (AM-19).
        machine.verifier.note(Misuse.ADAPTER_GONE, f"FreeCommonBuffer({adapter!r}, ...)", adapter.number)
    elif not usable(machine, adapter, "FreeCommonBuffer"):
        return False
    if adapter is None or not machine.processor.irql_is(Irql.PASSIVE_LEVEL, "FreeCommonBuffer"):
        return False
    buffer = _buffer_meant(machine, request)
    if buffer is None:
        _refuse_unknown(machine, adapter, request)
        return False
    wrong = _differences(buffer, adapter, request)
    if wrong:
        detail = f"buffer made at {buffer.made_at}: " + ", ".join(wrong)
        if not machine.platform.switches.bad_free_as_reactos:
            machine.verifier.violate(Misuse.FREE_MISMATCH, detail)
            return False
        machine.verifier.note(Misuse.FREE_MISMATCH, detail)
    release(machine, buffer)
    return True


def _buffer_meant(machine: Machine, request: FreeRequest) -> CommonBuffer | None:
    """Buffer that the arguments point at: by either address, so that a wrong one of the two can be named."""
    region = None if request.va is None else machine.space.find(request.va)
    if region is not None and region.base == request.va:
        return machine.bus.buffer_of(region)
    return machine.bus.buffer_from(request.la)


def _differences(buffer: CommonBuffer, adapter: Adapter, request: FreeRequest) -> list[str]:
    wrong = []
    if buffer.adapter is not adapter:
        wrong.append(f"it belongs to {buffer.adapter!r}, not {adapter!r}")
    if buffer.length != request.length:
        wrong.append(f"Length {request.length}, allocated {buffer.length}")
    if buffer.la != request.la:
        wrong.append(f"LogicalAddress {request.la!r}, allocated {buffer.la!r}")
    if buffer.va != request.va:
        wrong.append(f"VirtualAddress {request.va!r}, allocated {buffer.va!r}")
    # A BOOLEAN of C: whatever is not 0 says yes.
    if bool(buffer.request.cache_enabled) != bool(request.cache_enabled):
        wrong.append(f"CacheEnabled {request.cache_enabled}, allocated {buffer.request.cache_enabled}")
    return wrong


def _refuse_unknown(machine: Machine, adapter: Adapter, request: FreeRequest) -> None:
    detail = f"{request.length} bytes at {request.va!r}, {request.la!r}"
    if request.va is None:
        machine.verifier.violate(Misuse.NULL_USED, f"FreeCommonBuffer of {detail} on {adapter!r}")
        return
    ghost = machine.space.ghost(request.va)
    if ghost is not None and ghost.is_common_buffer and ghost.base == request.va:
        machine.verifier.violate(Misuse.DOUBLE_FREE, detail, 1)
    else:
        machine.verifier.violate(Misuse.UNKNOWN_FREE, f"{detail} on {adapter!r}")


def release(machine: Machine, buffer: CommonBuffer) -> None:
    """Give everything back (CB-80). Broken guard bytes are reported after that, since the free itself is right."""
    adapter = buffer.adapter
    broken = machine.guards.broken(buffer.region)
    machine.bus.detach(buffer)
    machine.regions.unmap(buffer.region)
    machine.frames.give(buffer.frames.runs)
    if buffer.iova is not None:
        machine.iova.give(buffer.iova.start, buffer.iova.count)
    if buffer.registers is not None:
        machine.registers.give(buffer.registers.start, buffer.registers.count)
        adapter.held_registers -= buffer.registers.count
        adapter.books.registers.freed += buffer.registers.count
    adapter.buffers.remove(buffer)
    adapter.books.buffers.freed += 1
    machine.processor.emit(BufferFreed(machine.processor.clock, adapter.number, buffer.length, buffer.va, buffer.la))
    if buffer.registers is not None and adapter.channel_state is not None:
        channel.wake(machine, adapter.channel_state)
    if broken is not None:
        kind, offset = broken
        detail = f"the byte at offset {offset} of {buffer.length} bytes made at {buffer.made_at}"
        machine.verifier.violate(Misuse.OUTSIDE_BUFFER, detail, kind, buffer.length)
