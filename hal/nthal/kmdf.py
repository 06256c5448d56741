# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803  (the framework's names and parameter names are the point of a façade)
"""The KMDF façade: enablers, common buffers and transactions with the framework's names. No logic of its own.

Handles are objects; a handle that is none is a bug check. Source: reference hal-contract 1.7 and 2.10.
"""

from typing import Final, TypeVar

from nthal import enabler as _enabler
from nthal import framework as _fx
from nthal import objects as _objects
from nthal import packet_transaction as _packet
from nthal import transaction as _transaction
from nthal import wdm as _wdm
from nthal.arguments import checked_module
from nthal.enabler import Enabler
from nthal.framework import CommonBuffer
from nthal.objects import Device, ObjectAttributes, Request, WdfObject
from nthal.records.adapter import DmaTransferContext, ScatterGatherList
from nthal.records.mdl import Mdl
from nthal.transaction import ConfigureChannel, ProgramDma, ReserveDma, Transaction, TransferComplete
from nthal.types import La, Out, Va
from nthal.windows import ALIGNMENT_MASKS, DeviceDescription, NtStatus

WDFDEVICE = Device
SCATTER_GATHER_LIST = ScatterGatherList
WDFREQUEST = Request
WDF_COMMON_BUFFER_CONFIG = _fx.CommonBufferConfig
WDF_DMA_DIRECTION = _objects.Direction
WDF_DMA_ENABLER_CONFIG = _enabler.EnablerConfig
WDF_DMA_ENABLER_CONFIG_FLAGS = _enabler.ConfigFlags
WDF_DMA_PROFILE = _enabler.Profile
WDF_DMA_SYSTEM_PROFILE_CONFIG = _enabler.SystemProfileConfig
DmaResource = _enabler.DmaResource
WDF_OBJECT_ATTRIBUTES = ObjectAttributes
WDF_NO_OBJECT_ATTRIBUTES: Final = None
T = TypeVar("T")
FILE_OCTA_ALIGNMENT: Final = ALIGNMENT_MASKS["FILE_OCTA_ALIGNMENT"]


# fmt: off
(WdfDmaProfilePacket, WdfDmaProfileScatterGather, WdfDmaProfilePacket64, WdfDmaProfileScatterGather64,
    WdfDmaProfileScatterGatherDuplex, WdfDmaProfileScatterGather64Duplex, WdfDmaProfileSystem,
    WdfDmaProfileSystemDuplex) = WDF_DMA_PROFILE
WdfDmaDirectionReadFromDevice, WdfDmaDirectionWriteToDevice = WDF_DMA_DIRECTION


def _hand_over(handle: Out[T], made: T | NtStatus) -> NtStatus:
    if isinstance(made, NtStatus):
        return made
    handle.value = made
    return NtStatus.SUCCESS


def WdfDeviceSetAlignmentRequirement(Device: Device, AlignmentRequirement: int) -> None:
    """Set the alignment mask for enablers that are created later (CB-102)."""
    _objects.live(Device, _objects.Device).set_alignment_requirement(AlignmentRequirement)


def WdfDmaEnablerCreate(Device: Device, Config: WDF_DMA_ENABLER_CONFIG, Attributes: ObjectAttributes | None,
        DmaEnablerHandle: Out[Enabler]) -> NtStatus:
    """Make a DMA enabler; the handle is NULL unless the status is success."""
    handle = _objects.given(DmaEnablerHandle, "DmaEnablerHandle")
    made = _enabler.create_enabler(_objects.live(Device, _objects.Device), Config, Attributes, handle.clear)
    return _hand_over(handle, made)


def WdfDmaEnablerConfigureSystemProfile(DmaEnabler: Enabler,
        ProfileConfig: WDF_DMA_SYSTEM_PROFILE_CONFIG | DeviceDescription | None,
        ConfigDirection: WDF_DMA_DIRECTION) -> NtStatus:
    """Give a system-profile enabler its adapter for one direction, or for both if it is simplex."""
    return _enabler.configure_system_profile(_objects.live(DmaEnabler, Enabler), ProfileConfig, ConfigDirection)


def WdfDmaEnablerGetMaximumLength(DmaEnabler: Enabler) -> int:
    """Bytes of the longest operation that the configuration named."""
    return _objects.live(DmaEnabler, Enabler).maximum_length


def WdfDmaEnablerGetFragmentLength(DmaEnabler: Enabler, DmaDirection: WDF_DMA_DIRECTION) -> int:
    """Bytes of the longest transfer (CB-45); 0 for a direction that is none."""
    return _objects.live(DmaEnabler, Enabler).fragment_length(DmaDirection)


def WdfDmaEnablerSetMaximumScatterGatherElements(DmaEnabler: Enabler, MaximumElements: int) -> None:
    """Bound the elements of each list; 0 is passed over."""
    _objects.live(DmaEnabler, Enabler).set_maximum_elements(MaximumElements)


def WdfDmaEnablerGetMaximumScatterGatherElements(DmaEnabler: Enabler) -> int:
    """Elements that a list may have."""
    return _objects.live(DmaEnabler, Enabler).maximum_elements


def WdfDmaEnablerWdmGetDmaAdapter(DmaEnabler: Enabler, DmaDirection: WDF_DMA_DIRECTION) -> _wdm.DMA_ADAPTER | None:
    """WDM's adapter of a direction; NULL for a direction that is none, and before a system profile is configured."""
    enabler = _objects.live(DmaEnabler, Enabler)
    adapter = enabler.wdm_adapter(DmaDirection)
    return None if adapter is None else _wdm.adapter_of(enabler.machine, adapter)


def WdfCommonBufferCreate(
    DmaEnabler: Enabler, Length: int, Attributes: ObjectAttributes | None, CommonBuffer: Out[CommonBuffer]
) -> NtStatus:
    """Make a common buffer with the enabler's alignment (CB-100)."""
    return _create(DmaEnabler, Length, Attributes, None, CommonBuffer)


def WdfCommonBufferCreateWithConfig(DmaEnabler: Enabler, Length: int, Config: WDF_COMMON_BUFFER_CONFIG,
        Attributes: ObjectAttributes | None, CommonBuffer: Out[CommonBuffer]) -> NtStatus:
    """Make a common buffer with an alignment of its own (CB-105)."""
    return _create(DmaEnabler, Length, Attributes, Config, CommonBuffer)


def _create(enabler: Enabler, length: int, attributes: ObjectAttributes | None,
        config: WDF_COMMON_BUFFER_CONFIG | None, handle: Out[CommonBuffer]) -> NtStatus:
    given = _objects.given(handle, "CommonBuffer")
    made = _fx.create_common_buffer(_objects.live(enabler, Enabler), length, attributes, config, given.clear)
    return _hand_over(given, made)


def WdfCommonBufferGetAlignedVirtualAddress(CommonBuffer: CommonBuffer) -> Va:
    """Address for the driver."""
    _objects.live(CommonBuffer, _fx.CommonBuffer).read("WdfCommonBufferGetAlignedVirtualAddress")
    return CommonBuffer.aligned_va


def WdfCommonBufferGetAlignedLogicalAddress(CommonBuffer: CommonBuffer) -> La:
    """Address for the device."""
    _objects.live(CommonBuffer, _fx.CommonBuffer).read("WdfCommonBufferGetAlignedLogicalAddress")
    return CommonBuffer.aligned_la


def WdfCommonBufferGetLength(CommonBuffer: CommonBuffer) -> int:
    """Bytes that were asked for (CB-117)."""
    _objects.live(CommonBuffer, _fx.CommonBuffer).read("WdfCommonBufferGetLength")
    return CommonBuffer.length


def WdfObjectDelete(Object: WdfObject) -> None:
    """Delete an object and its children (CB-118)."""
    _objects.live(Object, WdfObject).delete()


def WdfDmaTransactionCreate(
    DmaEnabler: Enabler, Attributes: ObjectAttributes | None, DmaTransaction: Out[Transaction]
) -> NtStatus:
    """Make a transaction under the enabler, which is its parent and no other."""
    enabler = _objects.live(DmaEnabler, Enabler)
    handle = _objects.given(DmaTransaction, "DmaTransactionHandle")
    handle.clear()
    made = _packet.create_transaction(enabler, Attributes)
    return _hand_over(handle, made)


def WdfDmaTransactionInitialize(DmaTransaction: Transaction, EvtProgramDmaFunction: ProgramDma | None,
        DmaDirection: WDF_DMA_DIRECTION, Mdl: Mdl | None, VirtualAddress: Va, Length: int) -> NtStatus:
    """Say what is to be moved."""
    return _objects.live(DmaTransaction, Transaction).initialize(
        EvtProgramDmaFunction, DmaDirection, Mdl, VirtualAddress, Length
    )


def WdfDmaTransactionInitializeUsingOffset(DmaTransaction: Transaction, EvtProgramDmaFunction: ProgramDma | None,
        DmaDirection: WDF_DMA_DIRECTION, Mdl: Mdl | None, Offset: int, Length: int) -> NtStatus:
    """Say what is to be moved, from `Offset` bytes into the MDL."""
    return _objects.live(DmaTransaction, Transaction).initialize_using_offset(
        EvtProgramDmaFunction, DmaDirection, Mdl, Offset, Length
    )


def WdfDmaTransactionInitializeUsingRequest(DmaTransaction: Transaction, Request: Request,
        EvtProgramDmaFunction: ProgramDma | None, DmaDirection: WDF_DMA_DIRECTION) -> NtStatus:
    """Move the buffer of a request."""
    request = _objects.live(Request, _objects.Request)
    transaction = _objects.live(DmaTransaction, Transaction)
    return transaction.initialize_using_request(request, EvtProgramDmaFunction, DmaDirection)


def WdfDmaTransactionExecute(DmaTransaction: Transaction, Context: object) -> NtStatus:
    """Start the transfers."""
    return _objects.live(DmaTransaction, Transaction).execute(Context)


def WdfDmaTransactionDmaCompleted(DmaTransaction: Transaction, Status: Out[NtStatus]) -> bool:
    """The piece is done; TRUE if it was the last."""
    return _completed(DmaTransaction, Status, None)


def WdfDmaTransactionDmaCompletedWithLength(
    DmaTransaction: Transaction, TransferredLength: int, Status: Out[NtStatus]
) -> bool:
    """The piece is done as far as `TransferredLength` bytes; 0 repeats it, too many end the transaction."""
    return _completed(DmaTransaction, Status, TransferredLength)


def WdfDmaTransactionDmaCompletedFinal(
    DmaTransaction: Transaction, FinalTransferredLength: int, Status: Out[NtStatus]
) -> bool:
    """The piece is done and no other follows."""
    return _completed(DmaTransaction, Status, FinalTransferredLength, final=True)


def _completed(transaction: Transaction, status: Out[NtStatus], moved: int | None, *, final: bool = False) -> bool:
    out = _objects.given(status, "Status")
    done, out.value = _objects.live(transaction, Transaction).completed(moved, final=final)
    return done


def WdfDmaTransactionRelease(DmaTransaction: Transaction) -> NtStatus:
    """End the transaction; it may be initialized again."""
    _objects.live(DmaTransaction, Transaction).release()
    return NtStatus.SUCCESS


def WdfDmaTransactionGetBytesTransferred(DmaTransaction: Transaction) -> int:
    """Bytes of the whole transaction that are done; 0 after Release."""
    return _objects.live(DmaTransaction, Transaction).transferred


def WdfDmaTransactionGetCurrentDmaTransferLength(DmaTransaction: Transaction) -> int:
    """Bytes of the transfer under way; 0 after the last."""
    return _objects.live(DmaTransaction, Transaction).current_length


def WdfDmaTransactionGetDevice(DmaTransaction: Transaction) -> Device:
    """Device of the enabler."""
    return _objects.live(DmaTransaction, Transaction).device


def WdfDmaTransactionGetRequest(DmaTransaction: Transaction) -> Request | None:
    """Request that it was initialized with; NULL without one, and after Release."""
    return _objects.live(DmaTransaction, Transaction).request


def WdfDmaTransactionGetTransferInfo(
    DmaTransaction: Transaction, MapRegisterCount: Out[int] | None, ScatterGatherElementCount: Out[int] | None
) -> None:
    """Map registers and elements that one transfer of all would take; either out parameter may be NULL."""
    registers, elements = _objects.live(DmaTransaction, Transaction).transfer_info()
    for out, value in ((MapRegisterCount, registers), (ScatterGatherElementCount, elements)):
        if out is not None:
            out.value = value


def WdfDmaTransactionSetMaximumLength(DmaTransaction: Transaction, MaximumLength: int) -> None:
    """Fewer bytes a transfer; after Initialize, before Execute."""
    _objects.live(DmaTransaction, Transaction).set_maximum_length(MaximumLength)


def WdfDmaTransactionSetSingleTransferRequirement(DmaTransaction: Transaction, RequireSingleTransfer: bool) -> None:
    """Forbid the framework to cut the request; before Initialize, DMA version 3."""
    _objects.live(DmaTransaction, Transaction).set_single_transfer(single=bool(RequireSingleTransfer))


def WdfDmaTransactionSetImmediateExecution(DmaTransaction: Transaction, UseImmediateExecution: bool) -> None:
    """Fail rather than wait for map registers; DMA version 3."""
    _objects.live(DmaTransaction, Transaction).set_immediate(immediate=bool(UseImmediateExecution))


def WdfDmaTransactionAllocateResources(DmaTransaction: Transaction, DmaDirection: WDF_DMA_DIRECTION,
        RequiredMapRegisters: int, EvtReserveDmaFunction: ReserveDma | None,
        EvtReserveDmaContext: object) -> NtStatus:
    """Get the map registers before Execute; packet and system profiles, DMA version 3."""
    transaction = _objects.live(DmaTransaction, Transaction)
    return transaction.reserve(DmaDirection, RequiredMapRegisters, EvtReserveDmaFunction, EvtReserveDmaContext)


def WdfDmaTransactionFreeResources(DmaTransaction: Transaction) -> None:
    """Give back what AllocateResources got."""
    _objects.live(DmaTransaction, Transaction).free_reserved()


def WdfDmaTransactionCancel(DmaTransaction: Transaction) -> bool:
    """Stop waiting for map registers; FALSE if nothing waits. DMA version 3."""
    return _objects.live(DmaTransaction, Transaction).cancel()


def WdfDmaTransactionWdmGetTransferContext(DmaTransaction: Transaction) -> DmaTransferContext | None:
    """Transfer context for WDM's routines of version 3; NULL before Initialize and without that version."""
    return _objects.live(DmaTransaction, Transaction).wdm_context()


def WdfDmaTransactionStopSystemTransfer(DmaTransaction: Transaction) -> None:
    """Stop a transfer of the system DMA controller."""
    _objects.live(DmaTransaction, Transaction).stop()


def WdfDmaTransactionSetChannelConfigurationCallback(
    DmaTransaction: Transaction, ConfigureRoutine: ConfigureChannel | None, ConfigureContext: object
) -> None:
    """Have a routine called before each transfer of a system profile."""
    _objects.live(DmaTransaction, Transaction).set_configure(ConfigureRoutine, ConfigureContext)


def WdfDmaTransactionSetTransferCompleteCallback(
    DmaTransaction: Transaction, DmaCompletionRoutine: TransferComplete | None, DmaCompletionContext: object
) -> None:
    """Have a routine told how each transfer of a system profile ended."""
    _objects.live(DmaTransaction, Transaction).set_complete(DmaCompletionRoutine, DmaCompletionContext)


def WdfDmaTransactionSetDeviceAddressOffset(DmaTransaction: Transaction, Offset: int) -> None:
    """Bytes from the device's address to its register; system profiles. An 8237 has none, so that nothing changes."""
    _objects.live(DmaTransaction, Transaction).set_address_offset(Offset)

WDF_DMA_TRANSACTION_STATE = _transaction.State

# A handle or an out parameter that is none is the framework's own bug check; of the rest nothing wrong gets that far.
checked_module(globals(), leave=(WdfObject, Out))
# fmt: on
