# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803  (the framework's names and parameter names are the point)
"""What a driver in C calls of the framework and the façade does not have: driver, device, interrupt, queues, requests.

Source: the driver documentation of each routine; only what a driver for one device on its own needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal import kmdf
from nthal.framework import Device, WdfObject, live
from nthal.native import marshal
from nthal.native.kernel_routines import REGISTERS_AT, set_irql
from nthal.native.objects import DeviceInit, FxDriver, FxInterrupt, FxQueue, FxRequest, FxSpinLock, Resources
from nthal.operations import packet
from nthal.verifier import BugCheck
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.framework import ObjectAttributes
    from nthal.native.cdata import CData
    from nthal.native.session import Session
    from nthal.records.mdl import Mdl
    from nthal.transaction import Transaction
    from nthal.types import Out, Va

_make_device = Device
READ: Final = 3
WRITE: Final = 4
CONTROL: Final = 14
_MEMORY: Final = 3
_INTERRUPT: Final = 2
_PNP: Final = (
    "EvtDeviceD0Entry", "EvtDeviceD0EntryPostInterruptsEnabled", "EvtDeviceD0Exit",
    "EvtDeviceD0ExitPreInterruptsDisabled", "EvtDevicePrepareHardware", "EvtDeviceReleaseHardware",
)  # fmt: skip
_QUEUE: Final = ("EvtIoDefault", "EvtIoRead", "EvtIoWrite", "EvtIoDeviceControl")


def addresses(session: Session, structure: CData, names: tuple[str, ...]) -> dict[str, int]:
    """The callbacks that a structure names."""
    return {name: session.address(getattr(structure, name)) for name in names}


# --- driver and device -----------------------------------------------------------------------------------------------


def WdfDriverCreate(
    session: Session,
    DriverObject: CData,
    RegistryPath: CData,
    DriverAttributes: ObjectAttributes | None,
    DriverConfig: CData,
    Driver: Out[WdfObject],
) -> NtStatus:
    """Make the driver object."""
    del DriverObject, RegistryPath, DriverAttributes
    add, unload = addresses(session, DriverConfig, ("EvtDriverDeviceAdd", "EvtDriverUnload")).values()
    session.driver = Driver.value = FxDriver(add, unload)
    return NtStatus.SUCCESS


def WdfDeviceInitSetPnpPowerEventCallbacks(session: Session, DeviceInit: CData, PnpPowerEventCallbacks: CData) -> None:
    """Take the device's callbacks."""
    _init(session, DeviceInit).callbacks = addresses(session, PnpPowerEventCallbacks, _PNP)


def WdfDeviceInitSetIoType(session: Session, DeviceInit: CData, IoType: int) -> None:
    """Take how buffers are reached: both ways lead to the same memory here."""
    del IoType
    _init(session, DeviceInit)


def _init(session: Session, handle: CData) -> DeviceInit:
    found = session.object_of(session.address(handle))
    if not isinstance(found, DeviceInit):
        raise BugCheck("DeviceInit is NULL, or its device is made already")
    return found


def WdfDeviceCreate(
    session: Session, DeviceInit: CData, DeviceAttributes: ObjectAttributes | None, Device: Out[Device]
) -> NtStatus:
    """Make the device object; the driver's DeviceInit is NULL from then on."""
    del DeviceAttributes
    session.callbacks = _init(session, DeviceInit[0]).callbacks
    session.device = Device.value = _make_device(session.machine, driver=session.name, pdo=session.host.pdo)
    DeviceInit[0] = session.ffi.NULL
    return NtStatus.SUCCESS


def WdfDeviceCreateDeviceInterface(
    session: Session, Device: Device, InterfaceClassGUID: CData, ReferenceString: CData
) -> NtStatus:
    """Take the interface's name: programs reach the device through the loaded driver here."""
    del session, Device, InterfaceClassGUID, ReferenceString
    return NtStatus.SUCCESS


def WdfDeviceWdmGetPhysicalDevice(session: Session, Device: Device) -> int:
    """Give the bus driver's device object."""
    return marshal.show_device(session, Device.pdo)


def WdfDeviceWdmGetDeviceObject(session: Session, Device: Device) -> int:
    """Give the function driver's device object; the model tells the two apart nowhere."""
    return marshal.show_device(session, Device.pdo)


def resources(session: Session) -> Resources:
    """What the device has: BAR 0 and its interrupt."""
    memory = session.ffi.new("CM_PARTIAL_RESOURCE_DESCRIPTOR *")
    memory.Type = _MEMORY
    memory.u.Memory.Start.QuadPart, memory.u.Memory.Length = REGISTERS_AT, session.register_bytes
    interrupt = session.ffi.new("CM_PARTIAL_RESOURCE_DESCRIPTOR *")
    interrupt.Type = _INTERRUPT
    interrupt.u.Interrupt.Level = interrupt.u.Interrupt.Vector = Irql.DEVICE_LEVEL
    return Resources([memory, interrupt])


def WdfCmResourceListGetCount(session: Session, List: Resources) -> int:
    """Count the descriptors."""
    del session
    return len(List.descriptors)


def WdfCmResourceListGetDescriptor(session: Session, List: Resources, Index: int) -> int:
    """Give a descriptor; NULL past the last."""
    return session.address(List.descriptors[Index]) if Index < len(List.descriptors) else 0


# --- interrupts and locks --------------------------------------------------------------------------------------------


def WdfInterruptCreate(
    session: Session,
    Device: Device,
    Configuration: CData,
    Attributes: ObjectAttributes | None,
    Interrupt: Out[WdfObject],
) -> NtStatus:
    """Make the interrupt object; a device has one here."""
    del Attributes
    if session.interrupt is not None:
        return NtStatus.NOT_SUPPORTED
    names = ("EvtInterruptIsr", "EvtInterruptDpc", "EvtInterruptEnable", "EvtInterruptDisable")
    session.interrupt = FxInterrupt(Device, addresses(session, Configuration, names))
    Interrupt.value = session.interrupt
    return NtStatus.SUCCESS


def WdfInterruptQueueDpcForIsr(session: Session, Interrupt: FxInterrupt) -> bool:
    """Ask for the DPC; FALSE if it is queued already."""
    del session
    return Interrupt.line is not None and Interrupt.line.queue_dpc()


def WdfInterruptSynchronize(session: Session, Interrupt: FxInterrupt, Callback: CData, Context: int) -> bool:
    """Call a function at the interrupt's level."""
    number = session.number(Interrupt)
    what, irql = "EvtInterruptSynchronize", Irql.DEVICE_LEVEL
    return bool(session.enter(Callback, number, Context, what=what, irql=irql) & 0xFF)


def WdfInterruptAcquireLock(session: Session, Interrupt: FxInterrupt) -> None:
    """Keep the service routine out."""
    Interrupt.level_before = Irql(set_irql(session, Irql.DEVICE_LEVEL))


def WdfInterruptReleaseLock(session: Session, Interrupt: FxInterrupt) -> None:
    """Let it in again."""
    set_irql(session, Interrupt.level_before)


def WdfInterruptGetDevice(session: Session, Interrupt: FxInterrupt) -> Device:
    """Give the interrupt's device."""
    del session
    return Interrupt.device


def WdfSpinLockCreate(
    session: Session, SpinLockAttributes: ObjectAttributes | None, SpinLock: Out[WdfObject]
) -> NtStatus:
    """Make a lock, under the parent that the attributes name or the driver."""
    parent = SpinLockAttributes.parent_object if SpinLockAttributes is not None else None
    owner = parent or session.driver
    if owner is None:
        return NtStatus.INVALID_DEVICE_REQUEST
    SpinLock.value = FxSpinLock(owner)
    return NtStatus.SUCCESS


def WdfSpinLockAcquire(session: Session, SpinLock: FxSpinLock) -> None:
    """Take a lock, at DISPATCH_LEVEL. Raises: BugCheck if it is held: there is one processor."""
    if SpinLock.level_before is not None:
        raise BugCheck(f"a spin lock is acquired again at {session.place()}: the processor waits for itself", 0x0F)
    SpinLock.level_before = set_irql(session, Irql.DISPATCH_LEVEL)


def WdfSpinLockRelease(session: Session, SpinLock: FxSpinLock) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    if SpinLock.level_before is None:
        raise BugCheck(f"a spin lock is released at {session.place()} that nobody holds", 0x0F)
    set_irql(session, SpinLock.level_before)
    SpinLock.level_before = None


def WdfObjectGetTypedContextWorker(session: Session, Handle: WdfObject, TypeInfo: CData) -> int:
    """Give an object's context."""
    return session.context(session.number(Handle), TypeInfo)


# --- queues and requests ---------------------------------------------------------------------------------------------


def WdfIoQueueCreate(
    session: Session, Device: Device, Config: CData, QueueAttributes: ObjectAttributes | None, Queue: Out[WdfObject]
) -> NtStatus:
    """Make a queue; the default one takes what programs ask for."""
    del QueueAttributes
    zero_length = bool(int(Config.AllowZeroLengthRequests))
    Queue.value = FxQueue(Device, addresses(session, Config, _QUEUE), zero_length=zero_length)
    if int(Config.DefaultQueue):
        session.queue = Queue.value
    return NtStatus.SUCCESS


def WdfIoQueueGetDevice(session: Session, Queue: FxQueue) -> Device:
    """Give the queue's device."""
    del session
    return Queue.device


def WdfRequestGetIoQueue(session: Session, Request: FxRequest) -> FxQueue:
    """Give the request's queue."""
    del session
    return Request.queue


def WdfRequestGetParameters(session: Session, Request: FxRequest, Parameters: CData) -> None:
    """Say what is asked for."""
    del session
    Parameters.Type = Request.kind
    inner = Parameters.Parameters
    if Request.kind == CONTROL:
        control = inner.DeviceIoControl
        control.OutputBufferLength, control.InputBufferLength = Request.output_length, Request.input_length
        control.IoControlCode = Request.code
        return
    inner.Read.Length, inner.Read.DeviceOffset = max(Request.input_length, Request.output_length), Request.offset


def WdfRequestComplete(session: Session, Request: FxRequest, Status: int) -> None:
    """End a request."""
    WdfRequestCompleteWithInformation(session, Request, Status, Request.information)


def WdfRequestCompleteWithInformation(session: Session, Request: FxRequest, Status: int, Information: int) -> None:
    """End a request, with the bytes moved: DMA verification looks whether its transfers were flushed."""
    live(Request, FxRequest)
    if Request.status is not None:
        raise BugCheck(f"the request is completed twice, at {session.place()}")
    for adapter in session.machine.adapters:
        if adapter.device is session.host.pdo and not adapter.gone:
            packet.complete_request(session.machine, adapter, Request.mdl)
    Request.status, Request.information = Status, Information


def WdfRequestSetInformation(session: Session, Request: FxRequest, Information: int) -> None:
    """Say how many bytes were moved."""
    del session
    Request.information = Information


def _memory(request: FxRequest, length: int, least: int) -> NtStatus:
    live(request, FxRequest)
    if not length:
        return NtStatus.INVALID_DEVICE_REQUEST
    return NtStatus.BUFFER_TOO_SMALL if length < least else NtStatus.SUCCESS


def WdfRequestRetrieveInputWdmMdl(session: Session, Request: FxRequest, Mdl: Out[Mdl]) -> NtStatus:
    """Give the MDL of what a write brings."""
    del session
    Mdl.value = Request.mdl if Request.input_length else None
    return _memory(Request, Request.input_length, 0)


def WdfRequestRetrieveOutputWdmMdl(session: Session, Request: FxRequest, Mdl: Out[Mdl]) -> NtStatus:
    """Give the MDL of what a read is to fill."""
    del session
    Mdl.value = Request.mdl if Request.output_length else None
    return _memory(Request, Request.output_length, 0)


def _buffer(request: FxRequest, length: int, least: int, buffer: Out[Va], size: Out[int]) -> NtStatus:
    status = _memory(request, length, least)
    if status == NtStatus.SUCCESS:
        buffer.value, size.value = request.mdl.va, length
    return status


def WdfRequestRetrieveInputBuffer(
    session: Session, Request: FxRequest, MinimumRequiredLength: int, Buffer: Out[Va], Length: Out[int]
) -> NtStatus:
    """Give the memory of what a write or control brings."""
    del session
    return _buffer(Request, Request.input_length, MinimumRequiredLength, Buffer, Length)


def WdfRequestRetrieveOutputBuffer(
    session: Session, Request: FxRequest, MinimumRequiredSize: int, Buffer: Out[Va], Length: Out[int]
) -> NtStatus:
    """Give the memory of what a read or control is to fill."""
    del session
    return _buffer(Request, Request.output_length, MinimumRequiredSize, Buffer, Length)


# --- transactions for requests ---------------------------------------------------------------------------------------


def WdfDmaTransactionInitializeUsingRequest(
    session: Session,
    DmaTransaction: Transaction,
    Request: FxRequest,
    EvtProgramDmaFunction: Callable[..., bool],
    DmaDirection: kmdf.WDF_DMA_DIRECTION,
) -> NtStatus:
    """Say that a whole request is to be moved."""
    mdl = live(Request, FxRequest).mdl
    status = kmdf.WdfDmaTransactionInitialize(
        DmaTransaction, EvtProgramDmaFunction, DmaDirection, mdl, mdl.va, mdl.byte_count
    )
    if status == NtStatus.SUCCESS:
        session.requests[DmaTransaction] = Request
    return status


def WdfDmaTransactionGetRequest(session: Session, DmaTransaction: Transaction) -> WdfObject | None:
    """Give the request that a transaction was initialized with."""
    return session.requests.get(DmaTransaction)


def WdfDmaTransactionGetDevice(session: Session, DmaTransaction: Transaction) -> Device:
    """Give the device of a transaction's enabler."""
    del session
    return DmaTransaction.enabler.device
