# SPDX-License-Identifier: Apache-2.0
"""What version 3 adds: requests that can be cancelled or must be served now, partial mappings, an end that is told.

INVALID_PARAMETER and CANCELLED leave their reason in `machine.last_failure`. Source: DDI pages of the routines (wdm.h),
"Using the MapTransferEx Routine"; what they leave open is argued at its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from nthal import policy
from nthal.events import NullReason
from nthal.operations import channel, pieces, scatter_gather, system_dma
from nthal.operations.adapter import owned, usable
from nthal.records import mdl as mdls
from nthal.records.adapter import ScatterGatherList, SystemTransfer, Waiter
from nthal.types import MAXULONG
from nthal.verifier import Misuse, Rank, driver_place
from nthal.windows import DMA_SYNCHRONOUS_CALLBACK, AllocationAction, DmaCompletionStatus, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.machine import Machine
    from nthal.records.adapter import (
        Adapter,
        AdapterControl,
        DeviceObject,
        DmaTransferContext,
        ListControl,
        MapRegisterFile,
    )
    from nthal.records.mdl import Mdl, Segment
    from nthal.types import Out
    from nthal.windows import DmaAdapterInfo, DmaTransferInfo


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be moved: `length` bytes from `offset` on in a chain of MDLs."""

    mdl: Mdl
    offset: int
    length: int
    to_device: bool


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """A request: for which device, under which context, with which flags, and what runs when it is served."""

    device: DeviceObject
    ticket: DmaTransferContext
    flags: int
    routine: R | None
    context: object

    @property
    def now(self) -> bool:
        """True for DMA_SYNCHRONOUS_CALLBACK: fail instead of waiting."""
        return bool(self.flags & DMA_SYNCHRONOUS_CALLBACK)


def _refused(machine: Machine, why: str, status: NtStatus = NtStatus.INVALID_PARAMETER) -> NtStatus:
    machine.processor.fail(NullReason.BAD_CALL, why)
    return status


def _entered(machine: Machine, adapter: Adapter | None, routine: str, *, exact: bool = False) -> Adapter | None:
    """Give the adapter if it and the IRQL allow the call: at most DISPATCH_LEVEL, or exactly."""
    level = machine.processor.irql_is if exact else machine.processor.irql_at_most
    return adapter if usable(machine, adapter, routine) and level(Irql.DISPATCH_LEVEL, routine) else None


def adapter_info(machine: Machine, adapter: Adapter | None, info: DmaAdapterInfo) -> NtStatus:
    """GetDmaAdapterInfo: what the controller can do; of a bus master only the width is its own."""
    adapter = _entered(machine, adapter, "GetDmaAdapterInfo")
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    if info.version != 1:
        return _refused(machine, f"DMA_ADAPTER_INFO has no version {info.version}", NtStatus.NOT_SUPPORTED)
    master = adapter.description.master
    info.read_dma_counter_available = not master
    info.scatter_gather_limit = MAXULONG if master else 1
    info.dma_address_width = policy.address_bits(adapter.limit)
    info.flags = 0  # the page defines none
    info.minimum_transfer_unit = 2 if policy.is_word_channel(adapter.description) else 1
    return NtStatus.SUCCESS


def transfer_info(machine: Machine, adapter: Adapter | None, part: Part, info: DmaTransferInfo) -> NtStatus:
    """GetDmaTransferInfo: what a list for a part of a chain takes, at most."""
    adapter = _entered(machine, adapter, "GetDmaTransferInfo")
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    if info.version != 1:
        return _refused(machine, f"DMA_TRANSFER_INFO has no version {info.version}", NtStatus.NOT_SUPPORTED)
    segments = _segments(machine, "GetDmaTransferInfo", part)
    if not segments:
        return NtStatus.INVALID_PARAMETER
    pages = pieces.pages_of(adapter, segments, machine.platform.page_size)
    info.map_register_count = pages
    info.scatter_gather_element_count = pages if adapter.description.scatter_gather else 1
    info.scatter_gather_list_size = scatter_gather.list_bytes(pages)
    return NtStatus.SUCCESS


def _segments(machine: Machine, routine: str, part: Part) -> tuple[Segment, ...] | None:
    """The part of each MDL that is meant; None with the reason kept if the chain does not have it."""
    owned(machine, routine, part.mdl)
    total = sum(one.byte_count for one in mdls.chain(part.mdl))
    if 0 <= part.offset < total and 0 <= part.length <= total - part.offset:
        return mdls.segments(part.mdl, part.offset, part.length)
    words = f"{routine}: the chain has {total} bytes, {part.length} from {part.offset} on are asked for"
    if machine.verifier.on and part.offset >= 0:
        machine.verifier.violate(Misuse.MDL_TOO_SHORT, words, part.offset + part.length - total)
    _refused(machine, words)
    return None


# --- who asks for a channel ----------------------------------------------------------------------------------------


def initialize(machine: Machine, adapter: Adapter | None, ticket: DmaTransferContext) -> NtStatus:
    """InitializeDmaTransferContext: make the driver's memory a context for one request."""
    adapter = _entered(machine, adapter, "InitializeDmaTransferContext")
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    if _in_use(machine, ticket, "InitializeDmaTransferContext"):
        return NtStatus.INVALID_PARAMETER
    ticket.adapter, ticket.cancelled, ticket.file, ticket.transfer = adapter, False, None, None
    return NtStatus.SUCCESS


def _in_use(machine: Machine, ticket: DmaTransferContext, routine: str) -> bool:
    """True, and told, while a request with the context waits or holds something."""
    owned(machine, routine, ticket)
    adapter = ticket.adapter
    if adapter is None or not (channel.waits(machine, adapter, ticket) or ticket.file in adapter.files):
        return False
    machine.verifier.violate(Misuse.CONTEXT_IN_USE, f"{routine} on {adapter!r}")
    return True


def _ticket(machine: Machine, adapter: Adapter, ticket: DmaTransferContext, routine: str) -> NtStatus | None:
    """Status that a request with this context ends with at once, or None."""
    if ticket.adapter is not adapter:
        return _refused(machine, f"{routine}: the context was not initialized for {adapter!r}")
    if _in_use(machine, ticket, routine):
        return NtStatus.INVALID_PARAMETER
    ticket.file = None
    if ticket.cancelled:
        return _refused(machine, f"{routine}: the context was cancelled before", NtStatus.CANCELLED)
    return None


def allocate_channel(
    machine: Machine,
    adapter: Adapter | None,
    asked: Asked[AdapterControl],
    count: int,
    base: Out[MapRegisterFile] | None,
) -> NtStatus:
    """AllocateAdapterChannelEx: as AllocateAdapterChannel, or now or not at all, then with a routine or without."""
    name, routine = "AllocateAdapterChannelEx", asked.routine
    adapter = _entered(machine, adapter, name, exact=True)
    if adapter is None or channel.inside_callback(machine, adapter, name):
        return NtStatus.INVALID_PARAMETER
    if (routine is None) == (base is None) or (base is not None and not asked.now) or count < 0:
        words = "a routine, or with DMA_SYNCHRONOUS_CALLBACK a MapRegisterBase, and not both"
        return _refused(machine, f"{name} wants {words}")
    refused = _ticket(machine, adapter, asked.ticket, name)
    if refused is not None:
        return refused
    if channel.too_many(machine, adapter, count):
        return NtStatus.INSUFFICIENT_RESOURCES
    waiter = Waiter(adapter, asked.device, count, routine or _keep, asked.context)
    waiter.made_at, waiter.ticket = driver_place(), asked.ticket
    refused = channel.request(machine, waiter, now=asked.now)
    if refused is None and base is not None:
        base.value = asked.ticket.file
    return refused or NtStatus.SUCCESS


def _keep(*_: object) -> AllocationAction:
    return AllocationAction.KEEP_OBJECT


def get_list(
    machine: Machine,
    adapter: Adapter | None,
    asked: Asked[ListControl],
    part: Part,
    out: Out[ScatterGatherList] | None,
    *,
    room: int | None = None,
) -> NtStatus:
    """GetScatterGatherListEx, and BuildScatterGatherListEx with `room` bytes for the list."""
    name = "GetScatterGatherListEx" if room is None else "BuildScatterGatherListEx"
    adapter = _entered(machine, adapter, name, exact=room is not None)
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    if not adapter.description.master:
        return _refused(machine, f"{name} is for bus masters")
    if asked.routine is None and (not asked.now or out is None):
        return _refused(machine, f"{name} wants a routine, or with DMA_SYNCHRONOUS_CALLBACK a place for the list")
    segments = _segments(machine, name, part)
    if not segments or not pieces.resident(machine, segments):
        return NtStatus.INVALID_PARAMETER
    refused = _ticket(machine, adapter, asked.ticket, name)
    if refused is not None:
        return refused
    wanted = scatter_gather.Wanted(segments, part.to_device, asked.routine, asked.context)
    with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
        ticket, now = asked.ticket, asked.now
        status, made = scatter_gather.enqueue(machine, adapter, asked.device, wanted, room=room, ticket=ticket, now=now)
    if out is not None and made is not None:
        out.value = made
    return status


def cancel_channel(machine: Machine, adapter: Adapter | None, ticket: DmaTransferContext) -> bool:
    """CancelAdapterChannel: True if the request's routine will not run; one that is still to come is cancelled too."""
    adapter = _entered(machine, adapter, "CancelAdapterChannel")
    if adapter is None:
        return False
    if ticket.adapter is not adapter:
        _refused(machine, f"CancelAdapterChannel: the context was not initialized for {adapter!r}")
        return False
    with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
        if channel.cancel(machine, adapter, ticket):
            return True
    if ticket.file is not None:
        return False
    ticket.cancelled = True
    return True


def free_object(machine: Machine, adapter: Adapter | None, action: int) -> None:
    """FreeAdapterObject: give back the channel, and unless they are kept its map registers; KeepObject does nothing."""
    adapter = _entered(machine, adapter, "FreeAdapterObject")
    keep = action == AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS
    if adapter is not None and (keep or action == AllocationAction.DEALLOCATE_OBJECT):
        with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
            channel.free_object(machine, adapter, "FreeAdapterObject", keep_registers=keep)


# --- transfers -----------------------------------------------------------------------------------------------------


def map_transfer(
    machine: Machine,
    adapter: Adapter | None,
    part: Part,
    file: MapRegisterFile | None,
    length: Out[int],
    completion: SystemTransfer,
    out: Out[ScatterGatherList] | None,
    room: int,
) -> NtStatus:
    """MapTransferEx: map as much as map registers and `room` bytes of list allow; `length` says how much that was."""
    adapter = _entered(machine, adapter, "MapTransferEx")
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    owned(machine, "MapTransferEx", file)
    master = adapter.description.master
    if file is None or file not in adapter.files:
        return _refused(machine, "MapTransferEx: MapRegisterBase is none that is allocated")
    elements = (room - scatter_gather.HEADER_BYTES) // scatter_gather.ELEMENT_BYTES
    if (out is None and (master or room)) or (out is not None and elements < 1):
        return _refused(machine, f"MapTransferEx: {room} bytes hold no list of one element")
    segments = _segments(machine, "MapTransferEx", part)
    if segments is None or not pieces.resident(machine, segments):
        return NtStatus.INVALID_PARAMETER
    if file.ticket is not None and file.ticket.cancelled:
        return _refused(machine, "MapTransferEx: the transfer was cancelled", NtStatus.CANCELLED)
    if file.mappings:
        machine.verifier.violate(Misuse.MAP_BEFORE_FLUSH, f"{len(file.mappings)} mappings on {adapter!r}")
        return NtStatus.INVALID_PARAMETER
    if not segments and machine.verifier.on:
        machine.verifier.violate(Misuse.ZERO_MAP, f"at offset {part.offset} on {adapter!r}")
        return NtStatus.INVALID_PARAMETER
    most = elements if master else 1  # an 8237 takes one piece at a time
    made = pieces.map_all(machine, file, segments, to_device=part.to_device, most=most)
    if made is None or (segments and not made):
        return NtStatus.INSUFFICIENT_RESOURCES
    length.value = sum(element.length for element in made)
    if out is not None:
        # What FlushAdapterBuffersEx and FreeMapRegisters undo is nothing that could be put.
        out.value = ScatterGatherList(made, adapter, file, segments, part.to_device, live=False)
    watch(machine, adapter, file, completion)
    return NtStatus.SUCCESS


def watch(machine: Machine, adapter: Adapter, file: MapRegisterFile, transfer: SystemTransfer) -> None:
    """Wait for the end of a system DMA transfer. One that starts over by itself has none."""
    why = "a bus master ends its transfers itself" if adapter.description.master else ""
    if not why and not machine.platform.dma_interrupts:
        why = "the system DMA controller of this machine does not interrupt"
    if transfer.routine is not None and why:
        machine.verifier.note(Misuse.NEVER_CALLED, f"{why}: MapTransferEx on {adapter!r}", rank=Rank.WARNING)
    if adapter.description.master or file.ticket is None:
        return
    file.ticket.transfer = transfer
    transfer.device = channel.state_of(machine, adapter).owner_device

    def ended() -> None:
        transfer.done = True
        if machine.platform.dma_interrupts:
            _complete(machine, transfer, DmaCompletionStatus.COMPLETE)

    machine.dma.at_end[adapter.description.dma_channel] = ended


def _complete(machine: Machine, transfer: SystemTransfer, status: DmaCompletionStatus) -> None:
    if transfer.routine is not None:
        with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
            transfer.routine(transfer.adapter, transfer.device, transfer.context, status)


def flush(machine: Machine, adapter: Adapter | None, part: Part, file: MapRegisterFile | None) -> NtStatus:
    """FlushAdapterBuffersEx: end what MapTransferEx mapped, in one call for the whole chain."""
    adapter = _entered(machine, adapter, "FlushAdapterBuffersEx")
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    owned(machine, "FlushAdapterBuffersEx", file)
    if file is None or file.adapter is not adapter:
        return _refused(machine, "FlushAdapterBuffersEx: MapRegisterBase is none that is allocated")
    segments = _segments(machine, "FlushAdapterBuffersEx", part)
    if segments is None or _unfinished(machine, adapter, file):
        return NtStatus.INVALID_PARAMETER
    if not pieces.flush(machine, file, segments, to_device=part.to_device):
        return NtStatus.INVALID_PARAMETER
    if file.ticket is not None:
        file.ticket.transfer = None
    return NtStatus.SUCCESS


def _unfinished(machine: Machine, adapter: Adapter, file: MapRegisterFile) -> bool:
    """0xE6/0x23: a system DMA transfer that is flushed runs still. Without verification the flush stops it."""
    ticket, number = file.ticket, adapter.description.dma_channel
    if ticket is None or ticket.transfer is None or ticket.transfer.done or ticket.cancelled:
        return False
    detail = f"FlushAdapterBuffersEx({adapter!r}) on channel {number}"
    if not machine.verifier.on:
        machine.verifier.note(Misuse.FLUSH_UNFINISHED, detail, 0, number // 4, number)
        return False
    machine.verifier.violate(Misuse.FLUSH_UNFINISHED, detail, 0, number // 4, number)
    return True


def cancel_mapped(machine: Machine, adapter: Adapter | None, ticket: DmaTransferContext) -> NtStatus:
    """CancelMappedTransfer: stop a system DMA transfer and any that would follow under its context.

    Its completion routine runs, with DmaCancelled, since it is the HAL that ends the transfer here.
    """
    adapter = _entered(machine, adapter, "CancelMappedTransfer")
    if adapter is None:
        return NtStatus.INVALID_PARAMETER
    if adapter.description.master or ticket.adapter is not adapter or ticket.file not in adapter.files:
        return _refused(machine, "CancelMappedTransfer is for the context that holds a system DMA channel")
    ticket.cancelled = True
    transfer = ticket.transfer
    if transfer is not None and not transfer.done:
        transfer.done = True
        system_dma.stop(machine, adapter.description.dma_channel)
        _complete(machine, transfer, DmaCompletionStatus.CANCELLED)
    return NtStatus.SUCCESS
