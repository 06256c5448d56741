# SPDX-License-Identifier: Apache-2.0
"""Scatter/gather lists: map a whole MDL at once and hand the device's view of it to the driver.

Source: reference hal-contract 5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.operations import channel, packet
from nthal.operations.adapter import usable
from nthal.records.adapter import ScatterGatherElement, ScatterGatherList
from nthal.records.mdl import Mdl, MdlFlags
from nthal.records.region import FrameList
from nthal.runs import Run
from nthal.types import Va, span_pages
from nthal.verifier import Misuse
from nthal.windows import AllocationAction, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import Adapter, DeviceObject, ListControl, MapRegisterFile

HEADER_BYTES: Final = 16
ELEMENT_BYTES: Final = 24


def calculate(machine: Machine, mdl: Mdl | None, va: Va, length: int) -> tuple[int, int]:
    """CalculateScatterGatherList: (bytes of the list, map registers). Without an MDL the worst case."""
    page = machine.platform.page_size
    pages = span_pages(va if mdl is not None else page - 1, length, page)
    return HEADER_BYTES + ELEMENT_BYTES * pages, pages


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
    transfer_context: object = None,
    flags: int = 0,
) -> NtStatus:
    """GetScatterGatherList, and BuildScatterGatherList with `room` bytes for the list: map all, then call `routine`.

    While channel or map registers are held by others the request waits its turn, and the status is success all the
    same. What can never be mapped is refused at once.
    """
    if not usable(machine, adapter, "GetScatterGatherList") or adapter is None:
        return NtStatus.INVALID_PARAMETER
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "GetScatterGatherList"):
        return NtStatus.INVALID_PARAMETER
    if _invalid(machine, adapter, mdl, va, length):
        return NtStatus.INVALID_PARAMETER
    size, pages = calculate(machine, mdl, va, length)
    if (room is not None and room < size) or int(va) - int(mdl.va) + length > mdl.byte_count:
        return NtStatus.BUFFER_TOO_SMALL
    if pages > adapter.granted:
        return NtStatus.INSUFFICIENT_RESOURCES
    status = NtStatus.SUCCESS

    def granted(_device: object, irp: object, file: MapRegisterFile | None, _context: object) -> AllocationAction:
        nonlocal status
        assert file is not None  # the HAL's own requests see it always
        elements = _map_all(machine, adapter, mdl, file, va, length, to_device=to_device)
        if elements is None:
            status = NtStatus.INSUFFICIENT_RESOURCES
            return AllocationAction.DEALLOCATE_OBJECT
        made = ScatterGatherList(elements, adapter, file, mdl, va, length, to_device)
        adapter.lists.append(made)
        adapter.books.lists.allocated += 1
        routine(device, irp, made, context)
        return AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS

    asked = channel.request(
        machine, adapter, device, pages, granted, transfer_context=transfer_context, synchronous=bool(flags)
    )
    return asked or status


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


def _map_all(
    machine: Machine, adapter: Adapter, mdl: Mdl, file: MapRegisterFile, va: Va, length: int, *, to_device: bool
) -> tuple[ScatterGatherElement, ...] | None:
    elements: list[ScatterGatherElement] = []
    done = 0
    while done < length:
        mapped = packet.map_transfer(machine, adapter, mdl, file, va + done, length - done, to_device=to_device)
        if mapped is None:
            if done:
                packet.flush(machine, adapter, mdl, file, va, done, to_device=to_device)
            return None
        la, size = mapped
        elements.append(ScatterGatherElement(la, size))
        done += size
    return tuple(elements)


def put(machine: Machine, adapter: Adapter | None, made: ScatterGatherList) -> None:
    """PutScatterGatherList: flush, then free registers and list."""
    if not usable(machine, adapter, "PutScatterGatherList") or adapter is None:
        return
    if not machine.processor.irql_is(Irql.DISPATCH_LEVEL, "PutScatterGatherList"):
        return
    if not made.live or made.adapter is not adapter:
        tally = adapter.books.lists
        machine.verifier.violate(Misuse.LIST_OVERFREED, f"on {adapter!r}", tally.allocated, tally.freed + 1)
        return
    packet.flush(machine, adapter, made.mdl, made.file, made.va, made.length, to_device=made.to_device)
    channel.give_registers(machine, made.file, made.file.count)
    made.live = False
    adapter.lists.remove(made)
    adapter.books.lists.freed += 1


def build_mdl(machine: Machine, made: ScatterGatherList) -> Mdl | NtStatus:
    """BuildMdlFromScatterGatherList: an MDL over what the list describes; NONE_MAPPED the second time."""
    if made.has_mdl:
        return NtStatus.NONE_MAPPED
    made.has_mdl = True
    page = machine.platform.page_size
    offset = int(made.elements[0].address) % page
    runs = [
        Run(int(element.address) // page, span_pages(element.address, element.length, page))
        for element in made.elements
    ]
    return Mdl(0, made.length, offset, page, MdlFlags.PAGES_LOCKED, FrameList(runs, page))
