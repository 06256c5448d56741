# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, ARG001, ARG002  (the DDK's names and parameter names are the point of a façade)
"""The WDM façade: IoGetDmaAdapter, DMA_ADAPTER and its DMA_OPERATIONS table, MDL routines. No logic of its own.

The table of version 1 has 12 routines, of version 2 three more, of version 3 the extended ones; reaching for a routine
that the table lacks is a violation, as calling past the end of the structure would be. The module is long because the
table is one structure with many parameters; each routine is a call of an operation.
Source: reference hal-contract 1.7.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nthal import routines, windows
from nthal.arguments import checked_module, checked_routines
from nthal.machine import DeviceObject, Machine, current_machine
from nthal.operations import adapter as _adapter
from nthal.operations import buffer_vector as _vector
from nthal.operations import channel as _channel
from nthal.operations import common_buffer as _buffer
from nthal.operations import mdl as _mdl
from nthal.operations import packet as _packet
from nthal.operations import scatter_gather as _list
from nthal.operations import transfer as _transfer
from nthal.policy import Routine
from nthal.records.adapter import (
    Adapter,
    AdapterControl,
    BufferVector,
    DmaCompletion,
    DmaTransferContext,
    ListControl,
    MapRegisterFile,
    ScatterGatherList,
    SystemTransfer,
)
from nthal.records.mdl import Mdl
from nthal.records.request import BufferRequest, FreeRequest
from nthal.types import La, Out, Pa, Va
from nthal.verifier import Misuse
from nthal.windows import (
    AllocationAction,
    Caching,
    DeviceDescription,
    DmaAdapterInfo,
    DmaCompletionStatus,
    DmaTransferInfo,
    NtStatus,
)

DEVICE_DESCRIPTION = DeviceDescription
DMA_TRANSFER_CONTEXT = DmaTransferContext
DMA_ADAPTER_INFO = DmaAdapterInfo
DMA_TRANSFER_INFO = DmaTransferInfo
DMA_COMPLETION_STATUS = DmaCompletionStatus
DMA_SYNCHRONOUS_CALLBACK: Final = windows.DMA_SYNCHRONOUS_CALLBACK
DOMAIN_COMMON_BUFFER_LARGE_PAGE: Final = 0x1


def _within(length: int, low: La | None, high: La | None, cache_type: Caching | None, flags: int) -> BufferRequest:
    large = bool(flags & DOMAIN_COMMON_BUFFER_LARGE_PAGE)
    return BufferRequest(
        length, routine=Routine.BOUNDS, minimum=low, maximum=high, cache_type=cache_type, large_pages=large
    )


# fmt: off
@checked_routines
class DMA_OPERATIONS:
    """The routines that an adapter offers. A bound one may be saved and called later (CB-03)."""

    def __init__(self, machine: Machine, version: int) -> None:
        self._machine = machine
        self.names = routines.names(version, machine.platform)
        self.Size = 8 + 8 * len(self.names)

    def _at(self, adapter: "DMA_ADAPTER | None") -> tuple[Machine, Adapter | None]:
        return self._machine, None if adapter is None else adapter.core

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def offers(self, name: str) -> bool:
        """True if the table has the routine; what is past its end is told (CB-04)."""
        if name not in self.names:
            self._machine.verifier.violate(Misuse.ABSENT_ROUTINE, name)
        return name in self.names

    if not TYPE_CHECKING:  # a type checker must go on finding slips of the pen

        def __getattr__(self, name: str) -> Callable[..., None]:
            # What the class has not: places of the table that are not modelled.
            if name not in routines.NOT_MODELLED or name not in self.names:
                raise AttributeError(f"DMA_OPERATIONS has no {name}")
            words = f"{name} is not modelled: {routines.NOT_MODELLED[name]}"
            return lambda *_: self._machine.verifier.violate(Misuse.ABSENT_ROUTINE, words)

    def PutDmaAdapter(self, DmaAdapter: "DMA_ADAPTER | None") -> None:
        """Release the adapter; everything allocated through it must be free (CB-08)."""
        _adapter.put(*self._at(DmaAdapter))

    def AllocateCommonBuffer(
        self, DmaAdapter: "DMA_ADAPTER | None", Length: int, LogicalAddress: Out[La], CacheEnabled: bool
    ) -> Va | None:
        """Allocate `Length` bytes for driver and device; `CacheEnabled` is ignored (CB-60)."""
        return self._allocate(DmaAdapter, BufferRequest(Length, CacheEnabled), LogicalAddress)

    def AllocateCommonBufferEx(self, DmaAdapter: "DMA_ADAPTER | None", MaximumAddress: La | None, Length: int,
            LogicalAddress: Out[La], CacheEnabled: bool, PreferredNode: int) -> Va | None:
        """Allocate below `MaximumAddress`; `CacheEnabled` counts here (CB-63, CB-130)."""
        if PreferredNode < 0:
            return None
        request = BufferRequest(Length, CacheEnabled, Routine.EX, maximum=MaximumAddress)
        return self._allocate(DmaAdapter, request, LogicalAddress)

    def AllocateCommonBufferWithBounds(self, DmaAdapter: "DMA_ADAPTER | None", MinimumAddress: La | None,
            MaximumAddress: La | None, Length: int, Flags: int, CacheType: Caching | None, PreferredNode: int,
            LogicalAddress: Out[La]) -> Va | None:
        """Allocate inside an address window, with a caching of one's own choice (CB-65, CB-132)."""
        if PreferredNode < 0:
            return None
        request = _within(Length, MinimumAddress, MaximumAddress, CacheType, Flags)
        return self._allocate(DmaAdapter, request, LogicalAddress)

    def _allocate(self, adapter: "DMA_ADAPTER | None", request: BufferRequest, logical: Out[La]) -> Va | None:
        made = _buffer.allocate(*self._at(adapter), request)
        logical.value = La(0) if made is None else made.la
        return None if made is None else made.va

    def FreeCommonBuffer(self, DmaAdapter: "DMA_ADAPTER | None", Length: int, LogicalAddress: La,
            VirtualAddress: Va | None, CacheEnabled: bool) -> None:
        """Free a common buffer, whichever routine made it; all arguments are those of the allocation (CB-81, CB-87)."""
        request = FreeRequest(Length, LogicalAddress, VirtualAddress, CacheEnabled)
        _buffer.free(*self._at(DmaAdapter), request)

    def AllocateAdapterChannel(self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject,
            NumberOfMapRegisters: int, ExecutionRoutine: AdapterControl, Context: object) -> NtStatus:
        """Ask for channel and registers; `ExecutionRoutine` runs when they are there, now or later."""
        return _channel.allocate(*self._at(DmaAdapter), DeviceObject, NumberOfMapRegisters, ExecutionRoutine, Context)

    def MapTransfer(self, DmaAdapter: "DMA_ADAPTER | None", Mdl: Mdl, MapRegisterBase: MapRegisterFile | None,
            CurrentVa: Va, Length: Out[int], WriteToDevice: bool) -> La:
        """Map a piece; `Length` says how much was mapped, La(0) and 0 if nothing was."""
        mapped = _packet.map_transfer(
            *self._at(DmaAdapter), Mdl, MapRegisterBase, CurrentVa, Length.taken, to_device=WriteToDevice
        )
        la, Length.value = mapped or (La(0), 0)
        return la

    def FlushAdapterBuffers(self, DmaAdapter: "DMA_ADAPTER | None", Mdl: Mdl, MapRegisterBase: MapRegisterFile | None,
            CurrentVa: Va, Length: int, WriteToDevice: bool) -> bool:
        """End the transfer; data that was bounced arrives now."""
        return _packet.flush(*self._at(DmaAdapter), Mdl, MapRegisterBase, CurrentVa, Length, to_device=WriteToDevice)

    def FreeAdapterChannel(self, DmaAdapter: "DMA_ADAPTER | None") -> None:
        """Free the channel that KeepObject kept."""
        _channel.free_channel(*self._at(DmaAdapter))

    def FreeMapRegisters(
        self, DmaAdapter: "DMA_ADAPTER | None", MapRegisterBase: MapRegisterFile | None, NumberOfMapRegisters: int
    ) -> None:
        """Free the registers that DeallocateObjectKeepRegisters kept."""
        _channel.free_registers(*self._at(DmaAdapter), MapRegisterBase, NumberOfMapRegisters)

    def GetDmaAlignment(self, DmaAdapter: "DMA_ADAPTER | None") -> int:
        """Bytes that transfers must be aligned to."""
        return _adapter.alignment(*self._at(DmaAdapter))

    def ReadDmaCounter(self, DmaAdapter: "DMA_ADAPTER | None") -> int:
        """Bytes that the system DMA channel has left in this pass."""
        return _adapter.read_counter(*self._at(DmaAdapter))

    def GetScatterGatherList(self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject, Mdl: Mdl,
            CurrentVa: Va, Length: int, ExecutionRoutine: ListControl, Context: object,
            WriteToDevice: bool) -> NtStatus:
        """Map a whole buffer and hand its list to `ExecutionRoutine`."""
        at = self._at(DmaAdapter)
        return _list.get(*at, DeviceObject, Mdl, CurrentVa, Length, ExecutionRoutine, Context, to_device=WriteToDevice)

    def PutScatterGatherList(
        self, DmaAdapter: "DMA_ADAPTER | None", ScatterGather: ScatterGatherList | None, WriteToDevice: bool
    ) -> None:
        """Flush and free a list; required before its data is read."""
        _list.put(*self._at(DmaAdapter), ScatterGather, to_device=bool(WriteToDevice))

    def CalculateScatterGatherList(self, DmaAdapter: "DMA_ADAPTER | None", Mdl: Mdl | None, CurrentVa: Va | None,
            Length: int, ScatterGatherListSize: Out[int], NumberOfMapRegisters: Out[int] | None) -> NtStatus:
        """Bytes that a list for the buffer needs, and map registers, which may be NULL as `CurrentVa` may."""
        found = _list.calculate(*self._at(DmaAdapter), Mdl, CurrentVa, Length)
        if isinstance(found, NtStatus):
            return found
        ScatterGatherListSize.value, registers = found
        if NumberOfMapRegisters is not None:
            NumberOfMapRegisters.value = registers
        return NtStatus.SUCCESS

    def BuildScatterGatherList(self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject, Mdl: Mdl,
            CurrentVa: Va, Length: int, ExecutionRoutine: ListControl, Context: object, WriteToDevice: bool,
            ScatterGatherLength: int) -> NtStatus:
        """As GetScatterGatherList, into `ScatterGatherLength` bytes of the caller."""
        at, room, write = self._at(DmaAdapter), ScatterGatherLength, WriteToDevice
        return _list.get(
            *at, DeviceObject, Mdl, CurrentVa, Length, ExecutionRoutine, Context, to_device=write, room=room
        )

    def BuildMdlFromScatterGatherList(
        self, DmaAdapter: "DMA_ADAPTER | None", ScatterGather: ScatterGatherList, TargetMdl: Out[Mdl]
    ) -> NtStatus:
        """Make an MDL over what a list describes, once."""
        made = _list.build_mdl(self._machine, ScatterGather)
        if isinstance(made, NtStatus):
            return made
        TargetMdl.value = made
        return NtStatus.SUCCESS

    # --- version 3 ---------------------------------------------------------------------------------------------------

    def GetDmaAdapterInfo(self, DmaAdapter: "DMA_ADAPTER | None", AdapterInfo: DmaAdapterInfo) -> NtStatus:
        """Tell what the controller of a channel can do."""
        return _transfer.adapter_info(*self._at(DmaAdapter), AdapterInfo)

    def GetDmaTransferInfo(self, DmaAdapter: "DMA_ADAPTER | None", Mdl: Mdl, Offset: int, Length: int,
            WriteOnly: bool, TransferInfo: DmaTransferInfo) -> NtStatus:
        """Tell what a transfer takes: map registers, elements, bytes of the list."""
        return _transfer.transfer_info(
            *self._at(DmaAdapter), _transfer.Part(Mdl, Offset, Length, WriteOnly), TransferInfo
        )

    def InitializeDmaTransferContext(
        self, DmaAdapter: "DMA_ADAPTER | None", DmaTransferContext: DmaTransferContext
    ) -> NtStatus:
        """Make a context ready for one request."""
        return _transfer.initialize(*self._at(DmaAdapter), DmaTransferContext)

    def AllocateAdapterChannelEx(self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject,
            DmaTransferContext: DmaTransferContext, NumberOfMapRegisters: int, Flags: int,
            ExecutionRoutine: AdapterControl | None, ExecutionContext: object,
            MapRegisterBase: Out[MapRegisterFile] | None) -> NtStatus:
        """Ask for channel and registers, so that the request can be cancelled, or served now or not at all."""
        asked = _transfer.Asked(DeviceObject, DmaTransferContext, Flags, ExecutionRoutine, ExecutionContext)
        return _transfer.allocate_channel(*self._at(DmaAdapter), asked, NumberOfMapRegisters, MapRegisterBase)

    def ConfigureAdapterChannel(
        self, DmaAdapter: "DMA_ADAPTER | None", FunctionNumber: int, Context: object
    ) -> NtStatus:
        """Ask for a function of the controller's own; the 8237 has none."""
        _adapter.usable(*self._at(DmaAdapter), "ConfigureAdapterChannel")
        return NtStatus.NOT_IMPLEMENTED

    def CancelAdapterChannel(
        self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject, DmaTransferContext: DmaTransferContext
    ) -> bool:
        """Cancel a request that waits; TRUE if its routine will not run."""
        return _transfer.cancel_channel(*self._at(DmaAdapter), DmaTransferContext)

    def MapTransferEx(self, DmaAdapter: "DMA_ADAPTER | None", Mdl: Mdl, MapRegisterBase: MapRegisterFile | None,
            Offset: int, DeviceOffset: int, Length: Out[int], WriteToDevice: bool,
            ScatterGatherBuffer: Out[ScatterGatherList] | None, ScatterGatherBufferLength: int,
            DmaCompletionRoutine: DmaCompletion | None, CompletionContext: object) -> NtStatus:
        """Map as much of a chain of MDLs as fits, and say in `Length` how much that was."""
        part = _transfer.Part(Mdl, Offset, Length.taken, WriteToDevice)
        end = SystemTransfer(DmaAdapter, DmaCompletionRoutine, CompletionContext)
        where = ScatterGatherBuffer, ScatterGatherBufferLength
        return _transfer.map_transfer(*self._at(DmaAdapter), part, MapRegisterBase, Length, end, *where)

    def GetScatterGatherListEx(self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject,
            DmaTransferContext: DmaTransferContext, Mdl: Mdl, Offset: int, Length: int, Flags: int,
            ExecutionRoutine: ListControl | None, Context: object, WriteToDevice: bool,
            DmaCompletionRoutine: DmaCompletion | None, CompletionContext: object,
            ScatterGatherList: Out[ScatterGatherList] | None) -> NtStatus:
        """As GetScatterGatherList, so that the request can be cancelled, or served now or not at all."""
        part = _transfer.Part(Mdl, Offset, Length, WriteToDevice)
        asked = _transfer.Asked(DeviceObject, DmaTransferContext, Flags, ExecutionRoutine, Context)
        return _transfer.get_list(*self._at(DmaAdapter), asked, part, ScatterGatherList)

    def BuildScatterGatherListEx(self, DmaAdapter: "DMA_ADAPTER | None", DeviceObject: DeviceObject,
            DmaTransferContext: DmaTransferContext, Mdl: Mdl, Offset: int, Length: int, Flags: int,
            ExecutionRoutine: ListControl | None, Context: object, WriteToDevice: bool, ScatterGatherLength: int,
            DmaCompletionRoutine: DmaCompletion | None, CompletionContext: object,
            ScatterGatherList: Out[ScatterGatherList] | None) -> NtStatus:
        """As GetScatterGatherListEx, into `ScatterGatherLength` bytes of the caller."""
        part = _transfer.Part(Mdl, Offset, Length, WriteToDevice)
        asked = _transfer.Asked(DeviceObject, DmaTransferContext, Flags, ExecutionRoutine, Context)
        return _transfer.get_list(*self._at(DmaAdapter), asked, part, ScatterGatherList, room=ScatterGatherLength)

    def FlushAdapterBuffersEx(self, DmaAdapter: "DMA_ADAPTER | None", Mdl: Mdl,
            MapRegisterBase: MapRegisterFile | None, Offset: int, Length: int, WriteToDevice: bool) -> NtStatus:
        """End what MapTransferEx mapped, for the whole chain."""
        part = _transfer.Part(Mdl, Offset, Length, WriteToDevice)
        return _transfer.flush(*self._at(DmaAdapter), part, MapRegisterBase)

    def FreeAdapterObject(self, DmaAdapter: "DMA_ADAPTER | None", AllocationAction: AllocationAction) -> None:
        """Free what a request without a routine got; `AllocationAction` as AdapterControl's answer."""
        _transfer.free_object(*self._at(DmaAdapter), AllocationAction)

    def CancelMappedTransfer(
        self, DmaAdapter: "DMA_ADAPTER | None", DmaTransferContext: DmaTransferContext
    ) -> NtStatus:
        """Stop a transfer of system DMA, and those that would follow under its context."""
        return _transfer.cancel_mapped(*self._at(DmaAdapter), DmaTransferContext)

    # --- Windows 10 --------------------------------------------------------------------------------------------------

    def AllocateCommonBufferVector(self, DmaAdapter: "DMA_ADAPTER | None", LowAddress: La | None,
            HighAddress: La | None, CacheType: Caching | None, IdealNode: int, Flags: int, NumberOfElements: int,
            SizeOfElements: int, VectorOut: Out[BufferVector]) -> NtStatus:
        """Allocate buffers of one size, all or none (CB-133)."""
        request = _within(SizeOfElements, LowAddress, HighAddress, CacheType, Flags)
        made = _vector.allocate(*self._at(DmaAdapter), request, NumberOfElements)
        if isinstance(made, NtStatus):
            return made
        VectorOut.value = made
        return NtStatus.SUCCESS

    def GetCommonBufferFromVectorByIndex(self, DmaAdapter: "DMA_ADAPTER | None", Vector: BufferVector, Index: int,
            VirtualAddressOut: Out[Va], LogicalAddressOut: Out[La]) -> None:
        """Give both addresses of an element."""
        found = _vector.element(self._machine, Vector, Index)
        VirtualAddressOut.value, LogicalAddressOut.value = found.va, found.la

    def FreeCommonBufferFromVector(self, DmaAdapter: "DMA_ADAPTER | None", Vector: BufferVector, Index: int) -> None:
        """Free one element."""
        _vector.free_element(self._machine, Vector, Index)

    def FreeCommonBufferVector(self, DmaAdapter: "DMA_ADAPTER | None", Vector: BufferVector) -> None:
        """Free the vector, which must be empty."""
        _vector.free(self._machine, Vector)


@dataclass(eq=False)
class DMA_ADAPTER:
    """DMA_ADAPTER. `core` is what the machine knows it by.

    `Version` reads 1 whatever was asked for (CB-04); ReactOS alone shows what was.
    """

    core: Adapter
    DmaOperations: DMA_OPERATIONS
    Version: int = 1
    Size: int = 16


def IoGetDmaAdapter(PhysicalDeviceObject: DeviceObject | None, DeviceDescription: DeviceDescription,
        NumberOfMapRegisters: Out[int]) -> DMA_ADAPTER | None:
    """Give the adapter for a device, NULL if it cannot be made or the version is unknown (CB-04)."""
    machine = current_machine()
    made = _adapter.create(machine, DeviceDescription, PhysicalDeviceObject)
    NumberOfMapRegisters.value = 0 if made is None else made.granted
    return None if made is None else DMA_ADAPTER(made, DMA_OPERATIONS(machine, made.description.version), made.version)


def IoAllocateMdl(VirtualAddress: Va, Length: int, SecondaryBuffer: bool, ChargeQuota: bool,
        Irp: object = None) -> Mdl | None:
    """Describe a range; the last three parameters play no part in DMA."""
    return _mdl.allocate(current_machine(), VirtualAddress, Length)


def MmBuildMdlForNonPagedPool(MemoryDescriptorList: Mdl) -> None:
    """Fill in the frames of resident memory, as of a common buffer (CB-142)."""
    _mdl.build_for_nonpaged_pool(current_machine(), MemoryDescriptorList)


def MmProbeAndLockPages(MemoryDescriptorList: Mdl, AccessMode: int = 0, Operation: int = 0) -> None:
    """Make pageable memory resident."""
    _mdl.probe_and_lock(current_machine(), MemoryDescriptorList)


def MmUnlockPages(MemoryDescriptorList: Mdl) -> None:
    """Let the memory page out again."""
    _mdl.unlock(current_machine(), MemoryDescriptorList)


def MmGetMdlVirtualAddress(Mdl: Mdl) -> Va:
    """Address that the MDL was made for."""
    return Mdl.va


def MmGetMdlByteCount(Mdl: Mdl) -> int:
    """Bytes that the MDL describes."""
    return Mdl.byte_count


def MmGetPhysicalAddress(BaseAddress: Va) -> Pa:
    """Physical address behind a virtual one; never for a device (CB-36)."""
    return current_machine().physical_address(BaseAddress)


def KeFlushIoBuffers(Mdl: Mdl, ReadOperation: bool, DmaOperation: bool) -> None:
    """Make caches and memory agree about a buffer; does nothing where DMA is coherent (CB-67)."""
    _mdl.flush_io_buffers(current_machine(), Mdl)


def IoCompleteRequest(DmaAdapter: DMA_ADAPTER, MdlAddress: Mdl | None = None) -> None:
    """End the IRP of a transfer: the moment when DMA verification looks for what was not flushed.

    The IRP is known by its MDL here; without one every transfer of the adapter must be done.
    """
    _packet.complete_request(current_machine(), DmaAdapter.core, MdlAddress)


def adapter_of(machine: Machine, core: Adapter) -> DMA_ADAPTER:
    """Give the structure through which WDM's routines know an adapter that somebody else made, as KMDF does."""
    return DMA_ADAPTER(core, DMA_OPERATIONS(machine, core.description.version))


def MmAllocateContiguousMemory(NumberOfBytes: int, HighestAcceptableAddress: Pa) -> Va | None:
    """Give nonpaged memory in one physical run; no buffer for DMA, since it has no logical address (CB-150)."""
    return current_machine().allocate_pool(NumberOfBytes, highest=HighestAcceptableAddress)


def MmFreeContiguousMemory(BaseAddress: Va) -> None:
    """Give the memory back."""
    current_machine().free_pool(BaseAddress)
# fmt: on


checked_module(globals())
