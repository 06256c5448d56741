# SPDX-License-Identifier: Apache-2.0
"""Packet DMA: map a piece of a locked buffer for the device, bounce it where the device cannot reach, flush it.

Source: reference hal-contract 4.6, 5.1 and 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nthal import policy
from nthal.events import Flushed, Mapped, NullReason
from nthal.operations import system_dma
from nthal.operations.adapter import owned, usable
from nthal.operations.channel import state_of
from nthal.platforms import Translation
from nthal.records.adapter import Mapping, MapRegisterFile, Window
from nthal.records.region import FrameList
from nthal.runs import Run, Where
from nthal.types import La, Va, span_pages
from nthal.verifier import Misuse, Rank, driver_place
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.hardware.cache import Cache
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter, CommonBuffer
    from nthal.records.mdl import Mdl


@dataclass(eq=False, slots=True)
class _Piece:
    """What is to be mapped: `length` bytes from `offset` on in the frames of a resident MDL; it may become shorter."""

    adapter: Adapter
    file: MapRegisterFile
    mdl: Mdl
    frames: FrameList
    offset: int
    length: int
    to_device: bool


def _file_of(machine: Machine, adapter: Adapter, file: MapRegisterFile | None) -> MapRegisterFile:
    """The NULL base of an adapter without registers still has its books (reference 4.5)."""
    if file is not None:
        return file
    owner = state_of(machine, adapter).owner
    return owner if owner is not None else MapRegisterFile(adapter, adapter.granted)


def map_transfer(  # the shape of the real routine
    machine: Machine,
    adapter: Adapter | None,
    mdl: Mdl,
    file: MapRegisterFile | None,
    va: Va,
    length: int,
    *,
    to_device: bool,
) -> tuple[La, int] | None:
    """MapTransfer: (logical address, bytes mapped), or None if refused. Fewer bytes than asked: scatter/gather only."""
    if not usable(machine, adapter, "MapTransfer") or adapter is None:
        return None
    owned(machine, "MapTransfer", mdl, file)
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "MapTransfer"):
        return None
    if not _range_ok(machine, mdl, va, length):
        return None
    file = _file_of(machine, adapter, file)
    loops = adapter.description.auto_initialize and not adapter.description.master
    if not loops and file.mappings.overlap(mdl, int(va), length):
        machine.verifier.violate(Misuse.ALREADY_MAPPED, f"{length} bytes at {va!r}", int(va), int(va) + length)
        return None
    file.map_calls += 1
    if file.map_calls > 1 and loops:
        detail = f"call {file.map_calls} on {adapter!r}"
        machine.verifier.note(Misuse.MAPPED_TWICE, detail, rank=Rank.WARNING)
    frames = mdl.frames
    assert frames is not None  # _range_ok asked
    made = _map(machine, _Piece(adapter, file, mdl, frames, int(va) - mdl.start_va, length, bool(to_device)))
    if made is None:
        return None
    la, mapping = made
    size = mapping.length
    machine.processor.emit(
        Mapped(machine.processor.clock, adapter.number, va, la, size, mapping.to_device, mapping.bounce is not None)
    )
    if not adapter.description.master and not system_dma.program(machine, adapter, la, size, to_device=to_device):
        _unmap(machine, file, mapping)
        return None
    return la, size


def _range_ok(machine: Machine, mdl: Mdl, va: Va, length: int) -> bool:
    if length <= 0:
        machine.verifier.violate(Misuse.ZERO_MAP, f"{length} bytes at {va!r}")
        return False
    if not mdl.resident or mdl.frames is None:
        machine.verifier.violate(Misuse.NOT_LOCKED, f"the MDL of {mdl.va!r}")
        return False
    start = int(va) - int(mdl.va)
    if not 0 <= start < mdl.byte_count:
        machine.verifier.violate(Misuse.OUTSIDE_MDL, f"{va!r}, the MDL has {mdl.byte_count} at {mdl.va!r}", int(va))
        return False
    missing = start + length - mdl.byte_count
    if missing > 0:
        machine.verifier.violate(Misuse.MDL_TOO_SHORT, f"{missing} bytes are missing at {va!r}", missing)
        return False
    return True


def _map(machine: Machine, piece: _Piece) -> tuple[La, Mapping] | None:
    adapter, file, mdl = piece.adapter, piece.file, piece.mdl
    buffer = _common_buffer_at(machine, mdl)
    if buffer is not None:
        # A common buffer is never bounced: it has a logical address already (CB-54).
        va = mdl.start_va + piece.offset
        mapping = Mapping(mdl, va, piece.length, piece.to_device, None, 0, file.used, 0)
        file.mappings.append(mapping)
        file.ever_mapped = True
        return La(int(buffer.la) + va - int(buffer.va)), mapping
    if machine.platform.translation.scatters:
        return _translate(machine, piece)
    direct = _direct_bytes(machine, piece)
    if direct and (adapter.description.scatter_gather or direct == piece.length):
        la = La(int(piece.frames.pa(piece.offset)) + machine.platform.bus_offset)
        piece.length = direct
        return _open(machine, piece, la)
    if adapter.description.scatter_gather:
        page = piece.frames.page_size
        piece.length = min(piece.length, page - piece.offset % page)
    return _bounce(machine, piece)


def _common_buffer_at(machine: Machine, mdl: Mdl) -> CommonBuffer | None:
    region = machine.space.find(mdl.va)
    if region is None:
        return None
    region.was_mapped = True
    return machine.bus.buffer_of(region)


def _direct_bytes(machine: Machine, piece: _Piece) -> int:
    """Bytes from the piece's start on that are contiguous and that the device reaches by itself."""
    adapter, pieces = piece.adapter, iter(piece.frames.pieces(piece.offset, piece.length))
    pa, total = next(pieces)
    la = int(pa) + machine.platform.bus_offset
    most = adapter.limit - la + 1
    if adapter.boundary:
        most = min(most, adapter.boundary - la % adapter.boundary)
    while total < most and (following := next(pieces, None)) is not None and int(following[0]) == int(pa) + total:
        total += following[1]
    return max(0, min(total, most))


def _registers_for(machine: Machine, piece: _Piece, pages: int) -> bool:
    file = piece.file
    if file.used + pages <= file.count or not piece.adapter.needs_registers:
        return True
    detail = f"{pages} more pages, {file.count - file.used} of {file.count} registers are left"
    machine.verifier.violate(Misuse.NO_CONTIGUOUS_REGISTERS, detail, 2, pages, file.count - file.used)
    return False


def _open(
    machine: Machine, piece: _Piece, la: La, *, bounce: FrameList | None = None, registers: int = 0
) -> tuple[La, Mapping]:
    file, mdl, frames, offset = piece.file, piece.mdl, piece.frames, piece.offset
    if cache := _kept_cache(machine, piece.adapter):
        cache.clean(frames, offset, piece.length)
    bounce_offset = offset % frames.page_size
    mapping = Mapping(
        mdl, mdl.start_va + offset, piece.length, piece.to_device, bounce, bounce_offset, file.used, registers
    )
    file.mappings.append(mapping)
    file.ever_mapped = True
    file.used += registers
    shown = bounce or frames, bounce_offset if bounce else offset
    machine.bus.open(mapping, Window(la, piece.length, *shown, piece.adapter, piece.to_device, driver_place()))
    return la, mapping


def _bounce(machine: Machine, piece: _Piece) -> tuple[La, Mapping] | None:
    adapter, page = piece.adapter, machine.platform.page_size
    pages = span_pages(piece.offset, piece.length, page)
    if not _registers_for(machine, piece, pages):
        return None
    limit = adapter.limit - machine.platform.bus_offset
    runs = machine.frames.find(pages, Where(0, (limit + 1) // page - 1, adapter.boundary // page))
    if runs is None:
        detail = f"{pages} bounce pages up to {limit:#x}: {machine.frames.where_free(machine.platform)}"
        machine.processor.fail(NullReason.NO_RUN, detail)
        machine.verifier.note(Misuse.NO_CONTIGUOUS_REGISTERS, detail, 2, pages)
        return None
    machine.frames.take(runs)
    bounce = FrameList(runs, page)
    within = piece.offset % page
    if not adapter.description.master and policy.ignores_count(adapter.description):
        for pa, size in bounce.pieces(within, piece.length):
            machine.memory.write(pa, bytes(size))
    if piece.to_device:
        if cache := _kept_cache(machine, adapter):
            cache.clean(piece.frames, piece.offset, piece.length)
        copy(machine, piece.frames, piece.offset, bounce, within, piece.length)
    la = La(int(bounce.pa(within)) + machine.platform.bus_offset)
    return _open(machine, piece, la, bounce=bounce, registers=pages)


def _translate(machine: Machine, piece: _Piece) -> tuple[La, Mapping] | None:
    adapter, file, page = piece.adapter, piece.file, machine.platform.page_size
    pages, within = span_pages(piece.offset, piece.length, page), piece.offset % page
    if machine.platform.translation is Translation.MAPREG:
        if not _registers_for(machine, piece, pages) or file.hardware is None:
            return None
        first = machine.platform.register_base // page + file.hardware.start + file.used
        return _open(machine, piece, La(first * page + within), registers=pages)
    start = machine.iova.find(pages, Where(0, (adapter.limit + 1) // page - 1, adapter.boundary // page))
    if start is None:
        machine.processor.fail(NullReason.NO_LOGICAL_SPACE, f"{pages} pages up to {adapter.limit:#x}")
        return None
    machine.iova.take(start, pages)
    return _open(machine, piece, La(start * page + within))


def _kept_cache(machine: Machine, adapter: Adapter) -> Cache | None:
    """The processor's cache, where these routines keep it in step with the device (CB-67)."""
    if machine.cache is None or not policy.map_keeps_caches(adapter.description, machine.platform.switches):
        return None
    return machine.cache


def copy(machine: Machine, source: FrameList, at: int, target: FrameList, into: int, length: int) -> None:
    """Copy bytes from frames to frames."""
    data = b"".join(machine.memory.read(pa, size) for pa, size in source.pieces(at, length))
    done = 0
    for pa, size in target.pieces(into, length):
        machine.memory.write(pa, data[done : done + size])
        done += size


def flush(  # the shape of the real routine
    machine: Machine,
    adapter: Adapter | None,
    mdl: Mdl,
    file: MapRegisterFile | None,
    va: Va,
    length: int,
    *,
    to_device: bool,
    moved: int | None = None,
) -> bool:
    """FlushAdapterBuffers: end the mappings of a range; what the device wrote into bounce pages arrives now.

    `moved` is how many bytes of the range the device has moved; all of them by default.
    """
    if not usable(machine, adapter, "FlushAdapterBuffers") or adapter is None:
        return False
    owned(machine, "FlushAdapterBuffers", mdl, file)
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "FlushAdapterBuffers"):
        return False
    file = _file_of(machine, adapter, file)
    if not file.ever_mapped:
        machine.verifier.violate(Misuse.FLUSH_NEVER_MAPPED, f"{length} bytes at {va!r}", 0, int(va))
        return False
    inside = file.mappings.inside(mdl, int(va), length)
    if not inside or any(mapping.to_device != bool(to_device) for mapping in inside):
        machine.verifier.violate(Misuse.FLUSH_NOT_MAPPED, f"{length} bytes at {va!r}", int(va))
        return False
    past = int(va) + length - max(mapping.va + mapping.length for mapping in inside)
    if past > 0:
        machine.verifier.violate(Misuse.FLUSH_PAST_FILE, f"{past} bytes more than mapped at {va!r}", 1, past, length)
        return False
    left = 0
    if not adapter.description.master:
        left = system_dma.not_moved(machine, adapter)
        system_dma.stop(machine, adapter.description.dma_channel)
    for mapping in inside:
        arrived = mapping.length if moved is None else min(mapping.length, int(va) + moved - mapping.va)
        _unmap(machine, file, mapping, moved=arrived - left)
    machine.processor.emit(Flushed(machine.processor.clock, adapter.number, va, length))
    return True


def undo(machine: Machine, file: MapRegisterFile, before: int) -> None:
    """Take back every mapping of a file but the first `before`, as if it had never been."""
    for mapping in list(file.mappings)[before:]:
        _unmap(machine, file, mapping)


def _unmap(machine: Machine, file: MapRegisterFile, mapping: Mapping, *, moved: int = 0) -> None:
    """End a mapping of which the device moved `moved` bytes."""
    file.mappings.remove(mapping)
    if not file.mappings:
        file.used = 0
        file.map_calls = 0
    window = machine.bus.close(mapping)
    if window is None:
        return
    page = machine.platform.page_size
    if mapping.bounce is not None:
        if moved > 0 and not mapping.to_device and mapping.mdl.frames is not None:
            at = mapping.va - mapping.mdl.start_va
            copy(machine, mapping.bounce, mapping.bounce_offset, mapping.mdl.frames, at, moved)
        machine.frames.give(mapping.bounce.runs)
        machine.memory.forget(mapping.bounce.runs)
    elif machine.platform.translation is Translation.IOMMU:
        run = Run(int(window.la) // page, span_pages(window.la, window.length, page))
        machine.iova.give(run.start, run.count)
    cache = _kept_cache(machine, file.adapter) if moved > 0 and not mapping.to_device else None
    if cache is not None and mapping.mdl.frames is not None:
        cache.renew(mapping.mdl.frames, mapping.va - mapping.mdl.start_va, mapping.length)


def complete_request(machine: Machine, adapter: Adapter, mdl: Mdl | None = None) -> None:
    """IoCompleteRequest as DMA verification sees it: the transfer must have been flushed (0xE6/0x0D).

    With `mdl` only its mappings count: other requests may be under way on the adapter.
    """
    owned(machine, "IoCompleteRequest", adapter)
    if not machine.verifier.on:
        return
    open_ones = [one for file in adapter.files for one in file.mappings if mdl is None or one.mdl is mdl]
    if open_ones:
        mapped = sum(mapping.length for mapping in open_ones)
        machine.verifier.violate(Misuse.NOT_FLUSHED, f"{mapped} bytes on {adapter!r}", mapped)
