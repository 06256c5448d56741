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
from nthal.operations.adapter import usable
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
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "MapTransfer"):
        return None
    if not _range_ok(machine, mdl, va, length):
        return None
    file = _file_of(machine, adapter, file)
    loops = adapter.description.auto_initialize and not adapter.description.master
    if not loops and any(_overlaps(mapping, mdl, int(va), length) for mapping in file.mappings):
        machine.verifier.violate(Misuse.ALREADY_MAPPED, f"{length} bytes at {va!r}", int(va), int(va) + length)
        return None
    file.map_calls += 1
    if file.map_calls > 1 and loops:
        detail = f"call {file.map_calls} on {adapter!r}"
        machine.verifier.note(Misuse.MAPPED_TWICE, detail, rank=Rank.WARNING)
    frames = mdl.frames
    assert frames is not None  # _range_ok asked
    mapped = _map(machine, _Piece(adapter, file, mdl, frames, int(va) - mdl.start_va, length, to_device))
    if mapped is None:
        return None
    la, size = mapped
    machine.processor.emit(
        Mapped(machine.processor.clock, adapter.number, va, la, size, to_device, file.mappings[-1].bounce is not None)
    )
    if not adapter.description.master and not system_dma.program(machine, adapter, la, size, to_device=to_device):
        _unmap(machine, file, file.mappings[-1], copy=False)
        return None
    return la, size


def _range_ok(machine: Machine, mdl: Mdl, va: Va, length: int) -> bool:
    if length == 0:
        machine.verifier.violate(Misuse.ZERO_MAP, f"at {va!r}")
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


def _overlaps(mapping: Mapping, mdl: Mdl, va: int, length: int) -> bool:
    return mapping.mdl is mdl and mapping.va < va + length and va < mapping.va + mapping.length


def _map(machine: Machine, piece: _Piece) -> tuple[La, int] | None:
    adapter, file, mdl = piece.adapter, piece.file, piece.mdl
    buffer = _common_buffer_at(machine, mdl)
    if buffer is not None:
        # A common buffer is never bounced: it has a logical address already (CB-54).
        va = mdl.start_va + piece.offset
        file.mappings.append(Mapping(mdl, va, piece.length, piece.to_device, None, 0, file.used, 0))
        file.ever_mapped = True
        return La(int(buffer.la) + va - int(buffer.va)), piece.length
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
    if region is None or not region.is_common_buffer:
        return None
    return next((buffer for buffer in machine.bus.buffers() if buffer.region is region), None)


def _direct_bytes(machine: Machine, piece: _Piece) -> int:
    """Bytes from the piece's start on that are contiguous and that the device reaches by itself."""
    adapter, pieces = piece.adapter, iter(piece.frames.pieces(piece.offset, piece.length))
    pa, total = next(pieces)
    for next_pa, next_size in pieces:
        if int(next_pa) != int(pa) + total:
            break
        total += next_size
    la = int(pa) + machine.platform.bus_offset
    if adapter.boundary:
        total = min(total, adapter.boundary - la % adapter.boundary)
    return max(0, min(total, adapter.limit - la + 1))


def _registers_for(machine: Machine, piece: _Piece, pages: int) -> bool:
    file = piece.file
    if file.used + pages <= file.count or not piece.adapter.needs_registers:
        return True
    detail = f"{pages} more pages, {file.count - file.used} of {file.count} registers are left"
    machine.verifier.violate(Misuse.NO_CONTIGUOUS_REGISTERS, detail, 2, pages, file.count - file.used)
    return False


def _open(
    machine: Machine, piece: _Piece, la: La, *, bounce: FrameList | None = None, registers: int = 0
) -> tuple[La, int]:
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
    return la, piece.length


def _bounce(machine: Machine, piece: _Piece) -> tuple[La, int] | None:
    adapter, page = piece.adapter, machine.platform.page_size
    pages = span_pages(piece.offset, piece.length, page)
    if not _registers_for(machine, piece, pages):
        return None
    limit = adapter.limit - machine.platform.bus_offset
    runs = machine.frames.find(pages, Where(0, (limit + 1) // page - 1, adapter.boundary // page))
    if runs is None:
        machine.processor.fail(NullReason.NO_RUN, f"{pages} bounce pages up to {limit:#x}")
        machine.verifier.note(Misuse.NO_CONTIGUOUS_REGISTERS, f"{pages} bounce pages up to {limit:#x}", 2, pages)
        return None
    machine.frames.take(runs)
    bounce = FrameList(runs, page)
    within = piece.offset % page
    if piece.to_device:
        if cache := _kept_cache(machine, adapter):
            cache.clean(piece.frames, piece.offset, piece.length)
        _copy(machine, piece.frames, piece.offset, bounce, within, piece.length)
    la = La(int(bounce.pa(within)) + machine.platform.bus_offset)
    return _open(machine, piece, la, bounce=bounce, registers=pages)


def _translate(machine: Machine, piece: _Piece) -> tuple[La, int] | None:
    adapter, file, page = piece.adapter, piece.file, machine.platform.page_size
    pages, within = span_pages(piece.offset, piece.length, page), piece.offset % page
    if machine.platform.translation is Translation.MAPREG:
        if not _registers_for(machine, piece, pages) or file.hardware is None:
            return None
        first = machine.platform.register_base // page + file.hardware.start + file.used
        return _open(machine, piece, La(first * page + within), registers=pages)
    start = machine.iova.find(pages, Where(0, (adapter.limit + 1) // page - 1, adapter.boundary // page))
    if start is None:
        machine.processor.fail(NullReason.NO_LOGICAL_SPACE, f"{pages} pages")
        return None
    machine.iova.take(start, pages)
    return _open(machine, piece, La(start * page + within))


def _kept_cache(machine: Machine, adapter: Adapter) -> Cache | None:
    """The processor's cache, where these routines keep it in step with the device (CB-67)."""
    if machine.cache is None or not policy.map_keeps_caches(adapter.description, machine.platform.switches):
        return None
    return machine.cache


def _copy(machine: Machine, source: FrameList, at: int, target: FrameList, into: int, length: int) -> None:
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
) -> bool:
    """FlushAdapterBuffers: end the mappings of a range; what the device wrote into bounce pages arrives now."""
    if not usable(machine, adapter, "FlushAdapterBuffers") or adapter is None:
        return False
    if not machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "FlushAdapterBuffers"):
        return False
    file = _file_of(machine, adapter, file)
    if not file.ever_mapped:
        machine.verifier.violate(Misuse.FLUSH_NEVER_MAPPED, f"{length} bytes at {va!r}", 0, int(va))
        return False
    start, end = int(va), int(va) + length
    inside = [m for m in file.mappings if m.mdl is mdl and start <= m.va and m.va + m.length <= end]
    if not inside or any(mapping.to_device is not to_device for mapping in inside):
        machine.verifier.violate(Misuse.FLUSH_NOT_MAPPED, f"{length} bytes at {va!r}", int(va))
        return False
    past = end - max(mapping.va + mapping.length for mapping in inside)
    if past > 0:
        machine.verifier.violate(Misuse.FLUSH_PAST_FILE, f"{past} bytes more than mapped at {va!r}", 1, past, length)
        return False
    if not adapter.description.master:
        system_dma.stop(machine, adapter.description.dma_channel)
    for mapping in inside:
        _unmap(machine, file, mapping, copy=True)
    machine.processor.emit(Flushed(machine.processor.clock, adapter.number, va, length))
    return True


def _unmap(machine: Machine, file: MapRegisterFile, mapping: Mapping, *, copy: bool) -> None:
    file.mappings.remove(mapping)
    if not file.mappings:
        file.used = 0
        file.map_calls = 0
    window = machine.bus.close(mapping)
    if window is None:
        return
    page = machine.platform.page_size
    if mapping.bounce is not None:
        if copy and not mapping.to_device and mapping.mdl.frames is not None:
            at = mapping.va - mapping.mdl.start_va
            _copy(machine, mapping.bounce, mapping.bounce_offset, mapping.mdl.frames, at, mapping.length)
        machine.frames.give(mapping.bounce.runs)
        machine.memory.forget(mapping.bounce.runs)
    elif machine.platform.translation is Translation.IOMMU:
        run = Run(int(window.la) // page, span_pages(window.la, window.length, page))
        machine.iova.give(run.start, run.count)
    cache = _kept_cache(machine, file.adapter) if copy and not mapping.to_device else None
    if cache is not None and mapping.mdl.frames is not None:
        cache.renew(mapping.mdl.frames, mapping.va - mapping.mdl.start_va, mapping.length)


def complete_request(machine: Machine, adapter: Adapter, mdl: Mdl | None = None) -> None:
    """IoCompleteRequest as DMA verification sees it: the transfer must have been flushed (0xE6/0x0D).

    With `mdl` only its mappings count: other requests may be under way on the adapter.
    """
    open_ones = [one for file in adapter.files for one in file.mappings if mdl is None or one.mdl is mdl]
    if machine.verifier.on and open_ones:
        mapped = sum(mapping.length for mapping in open_ones)
        machine.verifier.violate(Misuse.NOT_FLUSHED, f"{mapped} bytes on {adapter!r}", mapped)
