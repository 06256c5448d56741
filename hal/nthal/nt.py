# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, ARG001  (the DDK's names and parameter names are the point of a façade)
"""The NT façade: HalGetAdapter and its family, with the names and parameters of the NT DDK. No logic of its own.

Out parameters are `Out` objects; NULL is None. Source: reference hal-contract 1.7 and 2.14.
"""

from nthal.arguments import checked_module
from nthal.machine import DeviceObject, current_machine
from nthal.operations import adapter as _adapter
from nthal.operations import channel as _channel
from nthal.operations import common_buffer as _buffer
from nthal.operations import packet as _packet
from nthal.records.adapter import Adapter, AdapterControl, MapRegisterFile
from nthal.records.mdl import Mdl
from nthal.records.request import BufferRequest, FreeRequest
from nthal.types import PAGE_SHIFT, PAGE_SIZE, La, Out, Va, byte_offset, bytes_to_pages, round_to_pages, span_pages
from nthal.windows import DeviceDescription, NtStatus

PADAPTER_OBJECT = Adapter
DEVICE_DESCRIPTION = DeviceDescription

# fmt: off
__all__ = [
    "ADDRESS_AND_SIZE_TO_SPAN_PAGES", "BYTES_TO_PAGES", "BYTE_OFFSET", "COMPUTE_PAGES_SPANNED", "DEVICE_DESCRIPTION",
    "PADAPTER_OBJECT", "PAGE_ALIGN", "PAGE_SHIFT", "PAGE_SIZE", "ROUND_TO_PAGES", "HalAllocateCommonBuffer",
    "HalFlushCommonBuffer", "HalFreeCommonBuffer", "HalGetAdapter", "HalReadDmaCounter", "IoAllocateAdapterChannel",
    "IoFlushAdapterBuffers", "IoFreeAdapterChannel", "IoFreeMapRegisters", "IoMapTransfer",
]

BYTES_TO_PAGES = bytes_to_pages
BYTE_OFFSET = byte_offset
ROUND_TO_PAGES = round_to_pages
ADDRESS_AND_SIZE_TO_SPAN_PAGES = span_pages
COMPUTE_PAGES_SPANNED = span_pages


def PAGE_ALIGN(Va_: Va, page_size: int = PAGE_SIZE) -> Va:
    """Give the start of the page that the address is in."""
    return Va(int(Va_) - byte_offset(Va_, page_size))


def HalGetAdapter(DeviceDescription: DeviceDescription, NumberOfMapRegisters: Out[int]) -> Adapter | None:
    """Give the adapter object for a device, NULL if there is none; obsolete since Windows 2000 (CB-153)."""
    made = _adapter.create(current_machine(), DeviceDescription, nt=True)
    NumberOfMapRegisters.value = 0 if made is None else made.granted
    return made


def HalAllocateCommonBuffer(AdapterObject: Adapter | None, Length: int, LogicalAddress: Out[La],
        CacheEnabled: bool) -> Va | None:
    """Allocate a buffer of `Length` bytes for driver and device; NULL if there is none (CB-160)."""
    request = BufferRequest(Length, CacheEnabled)
    made = _buffer.allocate(current_machine(), AdapterObject, request)
    LogicalAddress.value = La(0) if made is None else made.la
    return None if made is None else made.va


def HalFreeCommonBuffer(AdapterObject: Adapter | None, Length: int, LogicalAddress: La, VirtualAddress: Va | None,
        CacheEnabled: bool) -> None:
    """Free a common buffer; every argument must be that of its allocation (CB-81)."""
    request = FreeRequest(Length, LogicalAddress, VirtualAddress, CacheEnabled)
    _buffer.free(current_machine(), AdapterObject, request)


def HalFlushCommonBuffer(AdapterObject: Adapter | None, Length: int, LogicalAddress: La, VirtualAddress: Va) -> bool:
    """Do nothing: a common buffer needs no flush (CB-66)."""
    return _adapter.usable(current_machine(), AdapterObject, f"HalFlushCommonBuffer({VirtualAddress!r}, {Length})")


def HalReadDmaCounter(AdapterObject: Adapter | None) -> int:
    """Bytes that the system DMA channel has left in this pass."""
    return _adapter.read_counter(current_machine(), AdapterObject)


def IoAllocateAdapterChannel(AdapterObject: Adapter | None, DeviceObject: DeviceObject, NumberOfMapRegisters: int,
        ExecutionRoutine: AdapterControl, Context: object) -> NtStatus:
    """Ask for the channel; `ExecutionRoutine` runs when it is there."""
    asked = (AdapterObject, DeviceObject, NumberOfMapRegisters, ExecutionRoutine, Context)
    return _channel.allocate(current_machine(), *asked)


def IoMapTransfer(AdapterObject: Adapter | None, Mdl: Mdl, MapRegisterBase: MapRegisterFile | None, CurrentVa: Va,
        Length: Out[int], WriteToDevice: bool) -> La:
    """Map a piece; `Length` says how much was mapped, La(0) and 0 if nothing was."""
    asked = (AdapterObject, Mdl, MapRegisterBase, CurrentVa, Length.taken)
    mapped = _packet.map_transfer(current_machine(), *asked, to_device=WriteToDevice)
    la, Length.value = mapped or (La(0), 0)
    return la


def IoFlushAdapterBuffers(AdapterObject: Adapter | None, Mdl: Mdl, MapRegisterBase: MapRegisterFile | None,
        CurrentVa: Va, Length: int, WriteToDevice: bool) -> bool:
    """End the transfer; data that was bounced arrives now."""
    mapped = (AdapterObject, Mdl, MapRegisterBase, CurrentVa, Length)
    return _packet.flush(current_machine(), *mapped, to_device=WriteToDevice)


def IoFreeAdapterChannel(AdapterObject: Adapter | None) -> None:
    """Free the channel that KeepObject kept."""
    _channel.free_channel(current_machine(), AdapterObject)


def IoFreeMapRegisters(AdapterObject: Adapter | None, MapRegisterBase: MapRegisterFile | None,
        NumberOfMapRegisters: int) -> None:
    """Free the registers that DeallocateObjectKeepRegisters kept."""
    _channel.free_registers(current_machine(), AdapterObject, MapRegisterBase, NumberOfMapRegisters)
# fmt: on


checked_module(globals())
