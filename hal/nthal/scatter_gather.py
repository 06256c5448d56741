# SPDX-License-Identifier: Apache-2.0
"""Scatter/gather lists: map a whole MDL at once and hand the device's view of it to the driver.

Source: reference hal-contract 5.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nthal import channel, packet
from nthal.adapter import usable
from nthal.mdl import Mdl, MdlFlags
from nthal.memory import FrameList
from nthal.runs import Run
from nthal.types import La, Va, span_pages
from nthal.verifier import Misuse
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from nthal.adapter import Adapter
    from nthal.channel import MapRegisterFile
    from nthal.machine import DeviceObject, Machine

HEADER_BYTES: Final = 16
ELEMENT_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class ScatterGatherElement:
    """A piece that is contiguous for the device: logical address and length in bytes."""

    address: La
    length: int


@dataclass(eq=False, slots=True)
class ScatterGatherList:
    """SCATTER_GATHER_LIST with what Put needs to undo it."""

    elements: tuple[ScatterGatherElement, ...]
    adapter: Adapter
    file: MapRegisterFile
    mdl: Mdl
    va: Va
    length: int
    to_device: bool
    live: bool = True
    has_mdl: bool = False


ListControl = Callable[["DeviceObject", object, ScatterGatherList, object], None]
"""PDRIVER_LIST_CONTROL: (DeviceObject, Irp, ScatterGather, Context)."""


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
) -> NtStatus:
    """GetScatterGatherList, and BuildScatterGatherList with `room` bytes for the list: map all, then call `routine`."""
    if not usable(machine, adapter, "GetScatterGatherList") or adapter is None:
        return NtStatus.INVALID_PARAMETER
    if not machine.irql_is(Irql.DISPATCH_LEVEL, "GetScatterGatherList"):
        return NtStatus.INVALID_PARAMETER
    size, pages = calculate(machine, mdl, va, length)
    if (room is not None and room < size) or int(va) - int(mdl.va) + length > mdl.byte_count:
        return NtStatus.BUFFER_TOO_SMALL
    if pages > adapter.granted or (adapter.needs_registers and not adapter.registers_free(pages)):
        return NtStatus.INSUFFICIENT_RESOURCES
    file = channel.grant_registers(adapter, pages)
    elements = _map_all(machine, adapter, mdl, file, va, length, to_device=to_device)
    if elements is None:
        channel.give_registers(file, pages)
        return NtStatus.INSUFFICIENT_RESOURCES
    made = ScatterGatherList(elements, adapter, file, mdl, va, length, to_device)
    adapter.lists.append(made)
    adapter.books.lists.allocated += 1
    routine(device, device.current_irp, made, context)
    return NtStatus.SUCCESS


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
    if not machine.irql_is(Irql.DISPATCH_LEVEL, "PutScatterGatherList"):
        return
    if not made.live or made.adapter is not adapter:
        tally = adapter.books.lists
        machine.verifier.violate(Misuse.LIST_OVERFREED, f"on {adapter!r}", tally.allocated, tally.freed + 1)
        return
    packet.flush(machine, adapter, made.mdl, made.file, made.va, made.length, to_device=made.to_device)
    channel.give_registers(made.file, made.file.count)
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
