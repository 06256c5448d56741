# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, N814  (the framework's names and parameter names are the point of a façade)
"""The KMDF façade: enablers, common buffers and transactions with the framework's names. No logic of its own.

Handles are objects; a handle that is none is a bug check. Source: reference hal-contract 1.7 and 2.10.
"""

from typing import Final

from nthal import framework as _fx
from nthal import transaction as _transaction
from nthal.framework import CommonBuffer, Device, Enabler, ObjectAttributes, WdfObject
from nthal.framework import CommonBufferConfig as WDF_COMMON_BUFFER_CONFIG
from nthal.framework import EnablerConfig as WDF_DMA_ENABLER_CONFIG
from nthal.framework import Profile as WDF_DMA_PROFILE
from nthal.records.mdl import Mdl
from nthal.transaction import Direction as WDF_DMA_DIRECTION
from nthal.transaction import ProgramDma, Transaction
from nthal.types import La, Out, Va
from nthal.windows import ALIGNMENT_MASKS, DeviceDescription, NtStatus

WDF_NO_OBJECT_ATTRIBUTES: Final = None
FILE_OCTA_ALIGNMENT: Final = ALIGNMENT_MASKS["FILE_OCTA_ALIGNMENT"]

__all__ = [
    "FILE_OCTA_ALIGNMENT",
    "WDF_COMMON_BUFFER_CONFIG",
    "WDF_DMA_DIRECTION",
    "WDF_DMA_ENABLER_CONFIG",
    "WDF_DMA_PROFILE",
    "WDF_NO_OBJECT_ATTRIBUTES",
    "WdfCommonBufferCreate",
    "WdfCommonBufferCreateWithConfig",
    "WdfCommonBufferGetAlignedLogicalAddress",
    "WdfCommonBufferGetAlignedVirtualAddress",
    "WdfCommonBufferGetLength",
    "WdfDeviceSetAlignmentRequirement",
    "WdfDmaEnablerConfigureSystemProfile",
    "WdfDmaEnablerCreate",
    "WdfDmaEnablerGetFragmentLength",
    "WdfDmaEnablerGetMaximumScatterGatherElements",
    "WdfDmaEnablerSetMaximumScatterGatherElements",
    "WdfDmaTransactionCreate",
    "WdfDmaTransactionDmaCompleted",
    "WdfDmaTransactionDmaCompletedFinal",
    "WdfDmaTransactionDmaCompletedWithLength",
    "WdfDmaTransactionExecute",
    "WdfDmaTransactionInitialize",
    "WdfDmaTransactionRelease",
    "WdfObjectDelete",
]


def WdfDeviceSetAlignmentRequirement(Device: Device, AlignmentRequirement: int) -> None:
    """Set the alignment mask for enablers that are created later (CB-102)."""
    _fx.live(Device, _fx.Device).set_alignment_requirement(AlignmentRequirement)


def WdfDmaEnablerCreate(
    Device: Device,
    Config: WDF_DMA_ENABLER_CONFIG,
    Attributes: ObjectAttributes | None,
    DmaEnablerHandle: Out[Enabler],
) -> NtStatus:
    """Make a DMA enabler; the handle is NULL unless the status is success."""
    made = _fx.create_enabler(_fx.live(Device, _fx.Device), Config, Attributes)
    DmaEnablerHandle.value = None if isinstance(made, NtStatus) else made
    return made if isinstance(made, NtStatus) else NtStatus.SUCCESS


def WdfDmaEnablerConfigureSystemProfile(
    DmaEnabler: Enabler, ProfileConfig: DeviceDescription, ConfigDirection: WDF_DMA_DIRECTION
) -> NtStatus:
    """Give a system-profile enabler its adapter; this model takes the DEVICE_DESCRIPTION that the framework builds."""
    del ConfigDirection  # both directions share the description here
    return _fx.configure_system_profile(DmaEnabler, ProfileConfig)


def WdfDmaEnablerGetFragmentLength(DmaEnabler: Enabler, DmaDirection: WDF_DMA_DIRECTION) -> int:
    """Bytes of the longest transfer (CB-45)."""
    del DmaDirection  # both adapters of a duplex enabler are granted alike
    _fx.live(DmaEnabler, _fx.Enabler)
    return DmaEnabler.fragment_length


def WdfDmaEnablerSetMaximumScatterGatherElements(DmaEnabler: Enabler, MaximumElements: int) -> None:
    """Bound the elements of each list."""
    _fx.live(DmaEnabler, _fx.Enabler)
    DmaEnabler.maximum_elements = MaximumElements


def WdfDmaEnablerGetMaximumScatterGatherElements(DmaEnabler: Enabler) -> int:
    """Elements that a list may have."""
    _fx.live(DmaEnabler, _fx.Enabler)
    return DmaEnabler.maximum_elements


def WdfCommonBufferCreate(
    DmaEnabler: Enabler, Length: int, Attributes: ObjectAttributes | None, CommonBuffer: Out[CommonBuffer]
) -> NtStatus:
    """Make a common buffer with the enabler's alignment (CB-100)."""
    return _create(DmaEnabler, Length, Attributes, None, CommonBuffer)


def WdfCommonBufferCreateWithConfig(
    DmaEnabler: Enabler,
    Length: int,
    Config: WDF_COMMON_BUFFER_CONFIG,
    Attributes: ObjectAttributes | None,
    CommonBuffer: Out[CommonBuffer],
) -> NtStatus:
    """Make a common buffer with an alignment of its own (CB-105)."""
    return _create(DmaEnabler, Length, Attributes, Config, CommonBuffer)


def _create(
    enabler: Enabler,
    length: int,
    attributes: ObjectAttributes | None,
    config: WDF_COMMON_BUFFER_CONFIG | None,
    handle: Out[CommonBuffer],
) -> NtStatus:
    made = _fx.create_common_buffer(_fx.live(enabler, _fx.Enabler), length, attributes, config, handle.clear)
    if isinstance(made, NtStatus):
        return made
    handle.value = made
    return NtStatus.SUCCESS


def WdfCommonBufferGetAlignedVirtualAddress(CommonBuffer: CommonBuffer) -> Va:
    """Address for the driver."""
    _fx.live(CommonBuffer, _fx.CommonBuffer).read("WdfCommonBufferGetAlignedVirtualAddress")
    return CommonBuffer.aligned_va


def WdfCommonBufferGetAlignedLogicalAddress(CommonBuffer: CommonBuffer) -> La:
    """Address for the device."""
    _fx.live(CommonBuffer, _fx.CommonBuffer).read("WdfCommonBufferGetAlignedLogicalAddress")
    return CommonBuffer.aligned_la


def WdfCommonBufferGetLength(CommonBuffer: CommonBuffer) -> int:
    """Bytes that were asked for (CB-117)."""
    _fx.live(CommonBuffer, _fx.CommonBuffer).read("WdfCommonBufferGetLength")
    return CommonBuffer.length


def WdfObjectDelete(Object: WdfObject) -> None:
    """Delete an object and its children (CB-118)."""
    _fx.live(Object, _fx.WdfObject).delete()


def WdfDmaTransactionCreate(
    DmaEnabler: Enabler, Attributes: ObjectAttributes | None, DmaTransaction: Out[Transaction]
) -> NtStatus:
    """Make a transaction under the enabler."""
    del Attributes  # the parent is the enabler
    _fx.live(DmaEnabler, _fx.Enabler)
    DmaTransaction.value = Transaction(DmaEnabler)
    return NtStatus.SUCCESS


def WdfDmaTransactionInitialize(
    DmaTransaction: Transaction,
    EvtProgramDmaFunction: ProgramDma,
    DmaDirection: WDF_DMA_DIRECTION,
    Mdl: Mdl,
    VirtualAddress: Va,
    Length: int,
) -> NtStatus:
    """Say what is to be moved."""
    return _fx.live(DmaTransaction, Transaction).initialize(
        EvtProgramDmaFunction, DmaDirection, Mdl, VirtualAddress, Length
    )


def WdfDmaTransactionExecute(DmaTransaction: Transaction, Context: object) -> NtStatus:
    """Start the transfers."""
    return _fx.live(DmaTransaction, Transaction).execute(Context)


def WdfDmaTransactionDmaCompleted(DmaTransaction: Transaction, Status: Out[NtStatus]) -> bool:
    """The piece is done; TRUE if it was the last."""
    done, Status.value = _fx.live(DmaTransaction, Transaction).completed()
    return done


def WdfDmaTransactionDmaCompletedWithLength(
    DmaTransaction: Transaction, TransferredLength: int, Status: Out[NtStatus]
) -> bool:
    """The piece is done as far as `TransferredLength` bytes; 0 repeats it."""
    done, Status.value = _fx.live(DmaTransaction, Transaction).completed(TransferredLength)
    return done


def WdfDmaTransactionDmaCompletedFinal(
    DmaTransaction: Transaction, FinalTransferredLength: int, Status: Out[NtStatus]
) -> bool:
    """The piece is done and no other follows."""
    done, Status.value = _fx.live(DmaTransaction, Transaction).completed(FinalTransferredLength, final=True)
    return done


def WdfDmaTransactionRelease(DmaTransaction: Transaction) -> NtStatus:
    """End the transaction; it may be initialized again."""
    _fx.live(DmaTransaction, Transaction).release()
    return NtStatus.SUCCESS


# The module that holds the states is private to the façade; drivers meet them in bug checks only.
WDF_DMA_TRANSACTION_STATE = _transaction.State
