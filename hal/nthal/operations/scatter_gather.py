# SPDX-License-Identifier: Apache-2.0
"""Scatter/gather lists: map a whole MDL, or chain of MDLs, at once and hand the device's view of it to the driver.

Source: reference hal-contract 5.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nthal.operations import channel, pieces
from nthal.operations.adapter import owned, usable
from nthal.records import mdl as mdls
from nthal.records.adapter import ScatterGatherList, Waiter
from nthal.records.mdl import Mdl, MdlFlags, Segment
from nthal.records.region import FrameList
from nthal.runs import Run
from nthal.types import Va, span_pages
from nthal.verifier import Misuse, driver_place
from nthal.windows import AllocationAction, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import (
        Adapter,
        DeviceObject,
        DmaTransferContext,
        ListControl,
        MapRegisterFile,
    )

HEADER_BYTES: Final = 16
ELEMENT_BYTES: Final = 24


def list_bytes(elements: int) -> int:
    """Bytes of a list."""
    return HEADER_BYTES + ELEMENT_BYTES * elements


def calculate(
    machine: Machine, adapter: Adapter | None, mdl: Mdl | None, va: Va | None, length: int
) -> tuple[int, int] | NtStatus:
    """CalculateScatterGatherList: (bytes of the list, map registers), or why there are none.

    Without an MDL every page from `va` on counts as an element; NULL is the start of a page, and with it as many pages
    as were granted take exactly the registers that were. Source: WDF fxdmaenabler.cpp, which asks so for its lists.
    """
    page, name = machine.platform.page_size, "CalculateScatterGatherList"
    if not usable(machine, adapter, name) or adapter is None or length < 0:
        return NtStatus.INVALID_PARAMETER
    if mdl is None:
        pages = span_pages(0 if va is None else va, length, page)
    else:
        owned(machine, name, mdl)
        segments = mdls.segments(mdl, 0 if va is None else int(va) - int(mdl.va), length)
        if sum(one.length for one in segments) < length:
            return NtStatus.BUFFER_TOO_SMALL
        pages = pieces.pages_of(adapter, segments, page)
    return NtStatus.INSUFFICIENT_RESOURCES if pages > adapter.granted else (list_bytes(pages), pages)


def get(  # the shape of the real routine
    machine: Machine,
    adapter: Adapter | None,
    device: DeviceObject,
    mdl: Mdl,
    va: Va,
    length: int,
    routine: ListControl,
    context: object,
    *,
    to_device: bool,
    room: int | None = None,
) -> NtStatus:
    """GetScatterGatherList, and BuildScatterGatherList with `room` bytes for the list: map all, then call `routine`.

    `va` lies in the first MDL of the chain. While channel or map registers are held by others the request waits its
    turn, and the status is success all the same. What can never be mapped is refused at once.
    """
    if not usable(machine, adapter, "GetScatterGatherList") or adapter is None:
        return NtStatus.INVALID_PARAMETER
    owned(machine, "GetScatterGatherList", mdl)
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "GetScatterGatherList"):
        return NtStatus.INVALID_PARAMETER
    offset = int(va) - int(mdl.va)
    if _invalid(machine, adapter, mdl, va, length) or not _inside(machine, mdl, va, length):
        return NtStatus.INVALID_PARAMETER
    segments = mdls.segments(mdl, offset, length)
    if sum(segment.length for segment in segments) < length:
        return NtStatus.BUFFER_TOO_SMALL
    if not pieces.resident(machine, segments):
        return NtStatus.INVALID_PARAMETER
    return enqueue(machine, adapter, device, Wanted(segments, to_device, routine, context), room=room)[0]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list that is asked for: of which memory, and what runs once it is made."""

    segments: tuple[Segment, ...]
    to_device: bool
    routine: ListControl | None
    context: object


def enqueue(
    machine: Machine,
    adapter: Adapter,
    device: DeviceObject,
    wanted: Wanted,
    *,
    room: int | None = None,
    ticket: DmaTransferContext | None = None,
    now: bool = False,
) -> tuple[NtStatus, ScatterGatherList | None]:
    """Ask for channel and registers of a list; with `now` fail instead of waiting. The list, if it is made already.

    Without a routine the channel stays with the caller.
    """
    pages = pieces.pages_of(adapter, wanted.segments, machine.platform.page_size)
    if room is not None and room < list_bytes(pages):
        return NtStatus.BUFFER_TOO_SMALL, None
    if pages > adapter.granted:
        return NtStatus.INSUFFICIENT_RESOURCES, None
    status, made, place = NtStatus.SUCCESS, None, driver_place()

    def granted(_device: object, irp: object, file: MapRegisterFile | None, _context: object) -> AllocationAction:
        nonlocal status, made
        assert file is not None  # the HAL's own requests see it always
        elements = pieces.map_all(machine, file, wanted.segments, to_device=wanted.to_device, most=None)
        if elements is None:
            status = NtStatus.INSUFFICIENT_RESOURCES
            return AllocationAction.DEALLOCATE_OBJECT
        made = ScatterGatherList(elements, adapter, file, wanted.segments, wanted.to_device)
        adapter.lists.append(made)
        adapter.books.lists.allocated += 1
        if wanted.routine is None:
            return AllocationAction.KEEP_OBJECT
        wanted.routine(device, irp, made, wanted.context)
        return AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS

    waiter = Waiter(adapter, device, pages, granted, None, sees_hidden=True, made_at=place, ticket=ticket)
    refused = channel.request(machine, waiter, now=now)
    return (status if refused is None else refused), made


def _invalid(machine: Machine, adapter: Adapter, mdl: Mdl, va: Va, length: int) -> bool:
    """DMA verification's look at the buffer of a list (0xE6/0x1F); parameter 2 says what is wrong."""
    if not machine.verifier.on:
        return False
    start, grain = int(va) - int(mdl.va), machine.platform.hal_alignment
    kind = 1 if start < 0 else 2 if start >= mdl.byte_count else 4 if int(va) % grain else 5 if length % grain else 0
    if kind:
        detail = f"{length} bytes at {va!r} on {adapter!r}; the MDL has {mdl.byte_count} at {mdl.va!r}, grain {grain}"
        machine.verifier.violate(Misuse.INVALID_BUFFER, detail, kind)
    return bool(kind)


def _inside(machine: Machine, mdl: Mdl, va: Va, length: int) -> bool:
    """Check that there is something to map and that it starts in the first MDL."""
    if length <= 0:
        machine.verifier.violate(Misuse.ZERO_MAP, f"{length} bytes at {va!r}")
        return False
    if not 0 <= int(va) - int(mdl.va) < mdl.byte_count:
        machine.verifier.violate(Misuse.OUTSIDE_MDL, f"{va!r}, the MDL has {mdl.byte_count} at {mdl.va!r}", int(va))
        return False
    return True


def put(machine: Machine, adapter: Adapter | None, made: ScatterGatherList | None, *, to_device: bool) -> None:
    """PutScatterGatherList: flush, then free registers and list."""
    if not usable(machine, adapter, "PutScatterGatherList") or adapter is None:
        return
    if made is None:
        machine.verifier.violate(Misuse.NULL_USED, f"PutScatterGatherList({adapter!r}, NULL)")
        return
    owned(machine, "PutScatterGatherList", made)
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "PutScatterGatherList"):
        return
    if not made.live or made.adapter is not adapter:
        tally = adapter.books.lists
        machine.verifier.violate(Misuse.LIST_OVERFREED, f"on {adapter!r}", tally.allocated, tally.freed + 1)
        return
    if to_device != made.to_device:
        detail = f"PutScatterGatherList with WriteToDevice {to_device}, the list was made with {made.to_device}"
        machine.verifier.violate(Misuse.FLUSH_NOT_MAPPED, detail)
    pieces.flush(machine, made.file, made.segments, to_device=made.to_device)
    made.live = False
    adapter.lists.remove(made)
    adapter.books.lists.freed += 1
    channel.give_registers(machine, made.file, made.file.count - made.file.freed)


def build_mdl(machine: Machine, made: ScatterGatherList) -> Mdl | NtStatus:
    """BuildMdlFromScatterGatherList: an MDL over what the list describes; NONE_MAPPED the second time."""
    owned(machine, "BuildMdlFromScatterGatherList", made)
    if made.has_mdl or not made.elements:
        return NtStatus.NONE_MAPPED
    made.has_mdl = True
    page = machine.platform.page_size
    offset = int(made.elements[0].address) % page
    runs = [
        Run(int(element.address) // page, span_pages(element.address, element.length, page))
        for element in made.elements
    ]
    return Mdl(0, made.length, offset, page, MdlFlags.PAGES_LOCKED, FrameList(runs, page), owner=machine)
