# SPDX-License-Identifier: Apache-2.0
"""Transfers of more than one piece: a chain of MDLs mapped as a whole or in part, flushed, and undone.

A device with scatter/gather gets the pieces of each MDL. One without wants a single run of addresses, so a chain is
copied into pages of the HAL, which are mapped in its place. Source: reference hal-contract 5.1; DDI pages of
GetScatterGatherList and MapTransferEx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.events import NullReason
from nthal.operations import packet
from nthal.records.adapter import Gathered, ScatterGatherElement
from nthal.records.mdl import Mdl, MdlFlags, Segment
from nthal.records.region import FrameList
from nthal.runs import Where
from nthal.types import bytes_to_pages, span_pages
from nthal.verifier import Misuse

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter, MapRegisterFile


def pages_of(adapter: Adapter, segments: tuple[Segment, ...], page: int) -> int:
    """Map registers that mapping all of it takes."""
    if len(segments) > 1 and not adapter.description.scatter_gather:
        return bytes_to_pages(sum(segment.length for segment in segments), page)
    return sum(span_pages(segment.va, segment.length, page) for segment in segments)


def resident(machine: Machine, segments: tuple[Segment, ...]) -> bool:
    """Check that every page is locked, before any is mapped."""
    for segment in segments:
        if not segment.mdl.resident or segment.mdl.frames is None:
            machine.verifier.violate(Misuse.NOT_LOCKED, f"the MDL of {segment.mdl.va!r}")
            return False
    return True


def map_all(
    machine: Machine, file: MapRegisterFile, segments: tuple[Segment, ...], *, to_device: bool, most: int | None
) -> tuple[ScatterGatherElement, ...] | None:
    """Map everything; with `most` as much as fits that many elements and the map registers. None: nothing is mapped."""
    adapter, before = file.adapter, len(file.mappings)
    if len(segments) > 1 and not adapter.description.scatter_gather:
        gathered = _gather(machine, file, segments, to_device=to_device, partial=most is not None)
        if gathered is None:
            return None
        segments = (Segment(gathered.mdl, gathered.mdl.va, gathered.mdl.byte_count),)
    try:
        elements = _map(machine, file, segments, to_device=to_device, most=most)
    except BaseException:
        _undo(machine, file, before)
        raise
    if elements is None:
        _undo(machine, file, before)
    return elements


def _map(
    machine: Machine, file: MapRegisterFile, segments: tuple[Segment, ...], *, to_device: bool, most: int | None
) -> tuple[ScatterGatherElement, ...] | None:
    elements: list[ScatterGatherElement] = []
    page, left = machine.platform.page_size, file.count if file.adapter.needs_registers else None
    for segment in segments:
        done = 0
        while done < segment.length:
            va, size = segment.va + done, segment.length - done
            if most is not None and left is not None:
                size = min(size, left * page - int(va) % page)
            if most is not None and (size <= 0 or len(elements) == most):
                return tuple(elements)
            mapped = packet.map_transfer(machine, file.adapter, segment.mdl, file, va, size, to_device=to_device)
            if mapped is None:
                return None
            elements.append(ScatterGatherElement(*mapped))
            done += mapped[1]
            if left is not None:
                left -= span_pages(va, mapped[1], page)
    return tuple(elements)


def _undo(machine: Machine, file: MapRegisterFile, before: int) -> None:
    packet.undo(machine, file, before)
    _scatter(machine, file, copy=False)


def flush(machine: Machine, file: MapRegisterFile, segments: tuple[Segment, ...], *, to_device: bool) -> bool:
    """End the mappings of all segments; what a device wrote into pages of the HAL arrives now."""
    gathered = file.gathered
    if gathered is None:
        ok = True
        for one in segments:  # each of them: one that was not mapped must not keep the others mapped
            ok &= packet.flush(machine, file.adapter, one.mdl, file, one.va, one.length, to_device=to_device)
        return ok
    mdl = gathered.mdl
    same_start = [(one.mdl, one.va) for one in segments[:1]] == [(one.mdl, one.va) for one in gathered.segments[:1]]
    if not same_start or sum(one.length for one in segments) != mdl.byte_count:
        machine.verifier.violate(Misuse.FLUSH_NOT_MAPPED, f"a chain of {mdl.byte_count} bytes is mapped as a whole")
        return False
    ok = packet.flush(machine, file.adapter, mdl, file, mdl.va, mdl.byte_count, to_device=to_device)
    if ok:
        _scatter(machine, file, copy=not to_device)
    return ok


def _gather(
    machine: Machine, file: MapRegisterFile, segments: tuple[Segment, ...], *, to_device: bool, partial: bool
) -> Gathered | None:
    """Copy a chain into pages of the HAL, contiguous where nothing translates."""
    adapter, page = file.adapter, machine.platform.page_size
    length = sum(segment.length for segment in segments)
    if partial and adapter.needs_registers:
        length = min(length, file.count * page)
    pages, offset = bytes_to_pages(length, page), machine.platform.bus_offset
    if machine.platform.translation.scatters:
        runs = machine.frames.find_scattered(pages)
    else:
        where = Where(0, (adapter.limit - offset + 1) // page - 1, adapter.boundary // page)
        runs = machine.frames.find(pages, where)
    if not runs:
        machine.processor.fail(NullReason.NO_RUN, f"{pages} pages for a chain of MDLs")
        return None
    machine.frames.take(runs)
    frames = FrameList(runs, page)
    file.gathered = Gathered(Mdl(0, length, 0, page, MdlFlags.PAGES_LOCKED, frames), frames, segments)
    if to_device:
        _copy(machine, file.gathered, out=False)
    return file.gathered


def _scatter(machine: Machine, file: MapRegisterFile, *, copy: bool) -> None:
    """Give the pages of a chain back, and what the device wrote to whom it belongs."""
    gathered, file.gathered = file.gathered, None
    if gathered is None:
        return
    if copy:
        _copy(machine, gathered, out=True)
    machine.frames.give(gathered.frames.runs)
    machine.memory.forget(gathered.frames.runs)


def _copy(machine: Machine, gathered: Gathered, *, out: bool) -> None:
    done = 0
    for segment in gathered.segments:
        frames, size = segment.mdl.frames, min(segment.length, gathered.mdl.byte_count - done)
        assert frames is not None  # resident() asked
        at = int(segment.va) - segment.mdl.start_va
        if out:
            packet.copy(machine, gathered.frames, done, frames, at, size)
        else:
            packet.copy(machine, frames, at, gathered.frames, done, size)
        done += max(0, size)
