# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, ARG001  (the headers' names and parameter names are the point)
"""What a driver in C calls of kernel and framework, and the façades do not have; by the header's names, session first.

Registers are reached by READ_REGISTER_ULONG and its kin alone: the mapped address itself leads to memory that no device
sees, and that is looked at when it is unmapped. A device has one interrupt here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from nthal import kmdf, nt, wdm
from nthal.events import IrqlChanged
from nthal.native import marshal
from nthal.native.prototypes import TABLE
from nthal.native.session import INVALID_HANDLE, FxObject, FxRequest, IoWindow
from nthal.objects import Device, WdfObject, live
from nthal.operations import packet
from nthal.records.backing import Backing
from nthal.types import PAGE_SIZE, La, Out, Va, bytes_to_pages
from nthal.verifier import BugCheck, Misuse, driver_place
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.framework import ObjectAttributes
    from nthal.native.prototypes import Prototype
    from nthal.native.session import Session
    from nthal.native.shapes import CData, Window
    from nthal.records.mdl import Mdl
    from nthal.transaction import Transaction

MEMORY_AT: Final = 0xF000_0000
PORTS_AT: Final = 0xC000
"""Where the bus driver puts the BARs of either kind, each at the next multiple of its size."""
ANY: Final = -1
"""The default queue takes what no other queue was configured for."""
CONTROL: Final = 14
PATIENCE: Final = 1_000_000
"""Reads of registers in a row, with no write and no wait between, after which a driver is held to poll for good."""
_WORKS_EVERY: Final = 64
"""Reads in a row after which the device gets to work a little: a driver that polls waits for it."""
_ONES: Final = b"\xff"
_PAGED_POOL: Final = 1
_ASSERTION: Final = 0x8B
_SPIN_LOCK: Final = 0x0F
_HANDLES: Final = {
    "WdfInterruptGetDevice": "device", "WdfIoQueueGetDevice": "device", "WdfRequestGetIoQueue": "parent",
}  # fmt: skip
"""Routines that give a member of their object."""
_make_device = Device


def played(prototype: Prototype) -> bool:
    """True if there is Python for a routine."""
    if prototype.in_operations:
        return hasattr(wdm.DMA_OPERATIONS, prototype.name.removeprefix(TABLE))
    return prototype.name in globals() or prototype.name in _HANDLES or _facade(prototype.name) is not None


def target(session: Session, prototype: Prototype) -> Callable[..., object]:
    """The Python that plays a routine: ours, else a façade's, looked up at each call."""
    name = prototype.name
    if prototype.in_operations:
        return partial(_through_table, name.removeprefix(TABLE))
    if name in _HANDLES:
        return lambda thing: getattr(live(thing, WdfObject), _HANDLES[name])
    own, found = globals().get(name), _facade(name)
    assert own is not None or found is not None  # C is given what is played, and nothing else
    return partial(own, session) if own is not None else cast("Callable[..., object]", found)


def _facade(name: str) -> Callable[..., object] | None:
    found = next((module for module in (kmdf, wdm, nt) if hasattr(module, name)), None)
    return None if found is None else cast("Callable[..., object]", getattr(found, name))


def _through_table(name: str, adapter: wdm.DMA_ADAPTER, *arguments: object) -> object:
    return getattr(adapter.DmaOperations, name)(adapter, *arguments)


# --- kernel ----------------------------------------------------------------------------------------------------------


def nthal_print(session: Session, Text: CData) -> None:
    """DbgPrint: keep the text."""
    session.printed.append(session.ffi.string(Text).decode(errors="replace"))


def nthal_assert(session: Session, Text: CData) -> None:
    """ASSERT that does not hold. Raises: BugCheck."""
    raise BugCheck(f"ASSERT({session.ffi.string(Text).decode()}) at {session.place()}", _ASSERTION)


def ExAllocatePoolWithTag(session: Session, PoolType: int, NumberOfBytes: int, Tag: int) -> Va | None:
    """Give memory that is not zero; NULL if there is none."""
    va = session.machine.allocate_pool(NumberOfBytes, pageable=PoolType == _PAGED_POOL)
    if va is not None:
        session.held[int(va)] = f"{NumberOfBytes} bytes of pool allocated at {driver_place()}"
    return va


def ExFreePool(session: Session, P: int) -> None:
    """Give memory back."""
    session.held.pop(P, None)
    session.machine.free_pool(Va(P))


def MmMapIoSpace(session: Session, PhysicalAddress: La, NumberOfBytes: int, CacheType: int) -> int:
    """Map registers or memory of a BAR; NULL for anything else."""
    for start, bar in places(session):
        offset = int(PhysicalAddress) - start
        if bar.is_io or not 0 <= offset < offset + NumberOfBytes <= bar.length:
            continue
        backing = Backing(bytes_to_pages(NumberOfBytes), PAGE_SIZE)
        backing.pages[:] = _ONES * backing.size
        session.windows[backing.address] = IoWindow(backing, bar, offset, NumberOfBytes)
        session.held[backing.address] = f"{NumberOfBytes} bytes of registers mapped at {driver_place()}"
        return backing.address
    there = ", ".join(f"{bar.length:#x} at {start:#x}" for start, bar in places(session) if not bar.is_io)
    detail = f"MmMapIoSpace of {NumberOfBytes} bytes at {int(PhysicalAddress):#x}: the device has {there}"
    session.machine.verifier.violate(Misuse.WILD_ADDRESS, detail)
    return 0


def places(session: Session) -> list[tuple[int, Window]]:
    """(physical address, BAR) of each BAR that the device has."""
    at, found = {False: MEMORY_AT, True: PORTS_AT}, []
    for bar in session.host.bars:
        if bar.length:
            at[bar.is_io] += -at[bar.is_io] % bar.length
            found.append((at[bar.is_io], bar))
            at[bar.is_io] += bar.length
    return found


def MmUnmapIoSpace(session: Session, BaseAddress: Va, NumberOfBytes: int) -> None:
    """Unmap registers, with the length that was mapped."""
    window, verifier = session.windows.pop(int(BaseAddress), None), session.machine.verifier
    if window is None:
        verifier.violate(Misuse.UNKNOWN_FREE, f"MmUnmapIoSpace({BaseAddress!r}): nothing is mapped there")
        return
    was = session.held.pop(int(BaseAddress))
    now = bytes(window.backing.pages)
    if now.strip(_ONES):
        at = window.offset + len(now) - len(now.lstrip(_ONES))
        detail = f"a plain pointer wrote register {at:#x}, which no device saw: use WRITE_REGISTER_ULONG or its kin"
        verifier.note(Misuse.WILD_ADDRESS, detail)
    if NumberOfBytes != window.length:
        verifier.violate(Misuse.FREE_MISMATCH, f"MmUnmapIoSpace of {NumberOfBytes} bytes: {was}")


def _register(session: Session, register: CData, width: int) -> tuple[Window, int] | None:
    """BAR and offset of a mapped register; None, and a violation, for another address."""
    address = session.address(register)
    for base, window in session.windows.items():
        if base <= address <= base + window.length - width:
            return window.bar, window.offset + address - base
    session.machine.verifier.violate(Misuse.WILD_ADDRESS, f"no register is mapped at {address:#x}")
    return None


def nthal_read(session: Session, Register: CData, Width: int) -> int:
    """READ_REGISTER_ULONG and its kin. Raises: BugCheck once a driver reads for ever."""
    found = _register(session, Register, Width)
    if found is None:
        return (1 << 8 * Width) - 1
    bar, offset = found
    session.reads_in_a_row += 1
    if session.reads_in_a_row % _WORKS_EVERY == 0:
        session.host.step()
    if session.reads_in_a_row > PATIENCE:
        raise BugCheck(f"register {offset:#x} is read for ever at {session.place()}: what is waited for does not come")
    return bar.read(offset, Width)


def nthal_write(session: Session, Register: CData, Width: int, Value: int) -> None:
    """WRITE_REGISTER_ULONG and its kin."""
    found = _register(session, Register, Width)
    session.reads_in_a_row = 0
    if found is not None:
        found[0].write(found[1], Width, Value)


def KeGetCurrentIrql(session: Session) -> int:
    """Give the level."""
    return session.machine.irql


def KfRaiseIrql(session: Session, NewIrql: int) -> int:
    """Run at another level; give the level before."""
    processor = session.machine.processor
    before, processor.irql = processor.irql, Irql(min(NewIrql, Irql.DEVICE_LEVEL))
    processor.emit(IrqlChanged(processor.clock, processor.irql))
    return before


def KeLowerIrql(session: Session, NewIrql: int) -> None:
    """Lower the level again."""
    KfRaiseIrql(session, NewIrql)


def _acquire(session: Session, *, held: bool) -> int:
    if held:
        raise BugCheck(
            f"a spin lock is acquired again at {session.place()}: the processor waits for itself", _SPIN_LOCK
        )
    return KfRaiseIrql(session, Irql.DISPATCH_LEVEL)


def _release(session: Session, level: int, *, held: bool) -> None:
    if not held:
        raise BugCheck(f"a spin lock is released at {session.place()} that nobody holds", _SPIN_LOCK)
    KfRaiseIrql(session, level)


def KeAcquireSpinLockRaiseToDpc(session: Session, SpinLock: CData) -> int:
    """Take a lock. Raises: BugCheck if it is held: there is one processor."""
    before = _acquire(session, held=bool(int(SpinLock[0])))
    SpinLock[0] = 1
    return before


def KeReleaseSpinLock(session: Session, SpinLock: CData, NewIrql: int) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    _release(session, NewIrql, held=bool(int(SpinLock[0])))
    SpinLock[0] = 0


def KeStallExecutionProcessor(session: Session, MicroSeconds: int) -> None:
    """Let time pass, in which the device works."""
    session.machine.clock += MicroSeconds * 1000
    session.reads_in_a_row = 0
    session.host.step()


def IoAllocateMdl(
    session: Session, VirtualAddress: Va, Length: int, SecondaryBuffer: bool, ChargeQuota: bool, Irp: CData
) -> int:
    """Describe a range of memory; NULL if it is too long."""
    address = session.show_mdl(wdm.IoAllocateMdl(VirtualAddress, Length, SecondaryBuffer, ChargeQuota))
    if address:
        session.held[address] = f"an MDL for {Length} bytes allocated at {driver_place()}"
    return address


def IoFreeMdl(session: Session, Mdl: Mdl) -> None:
    """Free an MDL that the driver allocated."""
    address = session.show_mdl(Mdl)
    session.held.pop(address, None)
    session.hide(address)


# --- framework: driver, device, interrupt, locks ---------------------------------------------------------------------


def WdfDriverCreate(
    session: Session,
    DriverObject: CData,
    RegistryPath: CData,
    DriverAttributes: ObjectAttributes | None,
    DriverConfig: CData,
    Driver: Out[WdfObject],
) -> NtStatus:
    """Make the driver object."""
    session.driver = Driver.value = FxObject(None, session.callbacks_of(DriverConfig))
    return NtStatus.SUCCESS


def WdfDeviceInitSetPnpPowerEventCallbacks(session: Session, DeviceInit: CData, PnpPowerEventCallbacks: CData) -> None:
    """Take the device's callbacks."""
    session.pnp = session.callbacks_of(PnpPowerEventCallbacks)


def WdfDeviceCreate(
    session: Session, DeviceInit: CData, DeviceAttributes: ObjectAttributes | None, Device: Out[Device]
) -> NtStatus:
    """Make the device object; the driver's DeviceInit is NULL from then on. Raises: BugCheck if it was already."""
    if not DeviceInit[0]:
        raise BugCheck("DeviceInit is NULL: its device is made already", INVALID_HANDLE)
    session.device = Device.value = _make_device(session.machine, driver=session.name, pdo=session.host.pdo)
    DeviceInit[0] = session.ffi.NULL
    return NtStatus.SUCCESS


def WdfDeviceWdmGetPhysicalDevice(session: Session, Device: Device) -> int:
    """Give the bus driver's device object; the function driver's is the same one here."""
    return marshal.show_device(session, live(Device, _make_device).pdo)


def WdfInterruptCreate(
    session: Session,
    Device: Device,
    Configuration: CData,
    Attributes: ObjectAttributes | None,
    Interrupt: Out[WdfObject],
) -> NtStatus:
    """Make the interrupt object."""
    if session.interrupt is not None:
        return NtStatus.NOT_SUPPORTED
    session.interrupt = Interrupt.value = FxObject(live(Device, _make_device), session.callbacks_of(Configuration))
    return NtStatus.SUCCESS


def WdfInterruptQueueDpcForIsr(session: Session, Interrupt: FxObject) -> bool:
    """Ask for the DPC; FALSE if it is queued already."""
    return session.line is not None and session.line.queue_dpc()


def WdfInterruptSynchronize(session: Session, Interrupt: FxObject, Callback: CData, Context: int) -> bool:
    """Call a function at the interrupt's level."""
    numbers = session.number(Interrupt), Context
    return bool(session.enter(Callback, *numbers, what="EvtInterruptSynchronize", irql=Irql.DEVICE_LEVEL) & 0xFF)


def WdfInterruptAcquireLock(session: Session, Interrupt: FxObject) -> None:
    """Keep the service routine out."""
    live(Interrupt, FxObject).level = KfRaiseIrql(session, Irql.DEVICE_LEVEL)


def WdfInterruptReleaseLock(session: Session, Interrupt: FxObject) -> None:
    """Let it in again. Raises: BugCheck if it was not kept out."""
    WdfSpinLockRelease(session, Interrupt)


def WdfSpinLockCreate(
    session: Session, SpinLockAttributes: ObjectAttributes | None, SpinLock: Out[WdfObject]
) -> NtStatus:
    """Make a lock, under the parent that the attributes name or the driver."""
    parent = SpinLockAttributes.parent_object if SpinLockAttributes is not None else None
    SpinLock.value = FxObject(parent or session.driver, {})
    return NtStatus.SUCCESS


def WdfSpinLockAcquire(session: Session, SpinLock: FxObject) -> None:
    """Take a lock. Raises: BugCheck if it is held: there is one processor."""
    SpinLock.level = _acquire(session, held=live(SpinLock, FxObject).level is not None)


def WdfSpinLockRelease(session: Session, SpinLock: FxObject) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    level, SpinLock.level = live(SpinLock, FxObject).level, None
    _release(session, level or 0, held=level is not None)


def WdfObjectGetTypedContextWorker(session: Session, Handle: WdfObject, TypeInfo: CData) -> int:
    """Give an object's context."""
    return session.context(session.number(live(Handle, WdfObject)), TypeInfo)


# --- framework: queues and requests ----------------------------------------------------------------------------------


def WdfIoQueueCreate(
    session: Session, Device: Device, Config: CData, QueueAttributes: ObjectAttributes | None, Queue: Out[WdfObject]
) -> NtStatus:
    """Make a queue; the default one takes what no other is configured for."""
    made = Queue.value = FxObject(live(Device, _make_device), session.callbacks_of(Config))
    made.zero_length = bool(int(Config.AllowZeroLengthRequests))
    if int(Config.DefaultQueue):
        session.queues[ANY] = made
    return NtStatus.SUCCESS


def WdfDeviceConfigureRequestDispatching(
    session: Session, Device: Device, Queue: FxObject, RequestType: int
) -> NtStatus:
    """Let a queue take the requests of one kind; a kind has one queue."""
    if RequestType in session.queues:
        return NtStatus.INVALID_PARAMETER
    session.queues[RequestType] = live(Queue, FxObject)
    return NtStatus.SUCCESS


def nthal_request(session: Session, Request: FxRequest, Output: bool, Buffer: Out[Va], Mdl: Out[Mdl]) -> int:
    """WdfRequestRetrieveInputBuffer and its kin: give one side of a request and its bytes, 0 for a side it has not."""
    length = live(Request, FxRequest).output_length if Output else Request.input_length
    if length:
        Buffer.value, Mdl.value = Request.mdl.va, Request.mdl
    return length


def WdfRequestGetParameters(session: Session, Request: FxRequest, Parameters: CData) -> None:
    """Say what is asked for."""
    Parameters.Type = live(Request, FxRequest).kind
    inner = Parameters.Parameters
    if Request.kind == CONTROL:
        control = inner.DeviceIoControl
        control.OutputBufferLength, control.InputBufferLength = Request.output_length, Request.input_length
        control.IoControlCode = Request.code
    else:
        inner.Read.Length, inner.Read.DeviceOffset = max(Request.input_length, Request.output_length), Request.offset


def WdfRequestSetInformation(session: Session, Request: FxRequest, Information: int) -> None:
    """Say how many bytes were moved."""
    live(Request, FxRequest).information = Information


def nthal_complete(session: Session, Request: FxRequest, Status: int) -> None:
    """WdfRequestComplete: DMA verification looks whether the request's transfers were flushed. Raises: BugCheck."""
    if live(Request, FxRequest).status is not None:
        raise BugCheck(f"the request is completed twice, at {session.place()}")
    for adapter in session.machine.adapters:
        if adapter.device is session.host.pdo and not adapter.gone:
            packet.complete_request(session.machine, adapter, Request.mdl)
    Request.status = Status


def WdfRequestCompleteWithInformation(session: Session, Request: FxRequest, Status: int, Information: int) -> None:
    """End a request, with the bytes moved."""
    WdfRequestSetInformation(session, Request, Information)
    nthal_complete(session, Request, Status)


def WdfDmaTransactionInitializeUsingRequest(
    session: Session,
    DmaTransaction: Transaction,
    Request: FxRequest,
    EvtProgramDmaFunction: Callable[..., bool],
    DmaDirection: kmdf.WDF_DMA_DIRECTION,
) -> NtStatus:
    """Say that a whole request is to be moved."""
    mdl = live(Request, FxRequest).mdl
    session.requests[DmaTransaction] = Request
    return kmdf.WdfDmaTransactionInitialize(
        DmaTransaction, EvtProgramDmaFunction, DmaDirection, mdl, mdl.va, mdl.byte_count
    )


def WdfDmaTransactionGetRequest(session: Session, DmaTransaction: Transaction) -> WdfObject | None:
    """Give the request that a transaction was initialized with."""
    return session.requests.get(DmaTransaction)


def WdfDmaTransactionGetDevice(session: Session, DmaTransaction: Transaction) -> Device | None:
    """Give the device of a transaction's enabler."""
    return session.device
