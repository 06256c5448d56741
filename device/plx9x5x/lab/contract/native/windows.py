# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, N803, ARG001  (the headers' names and parameter names are the point)
"""Windows around a driver in C, as far as it calls it: registers, device, interrupt, locks, queues, requests.

The routines have the header's names and parameters, what is loaded first. Registers are reached by READ_REGISTER_ULONG
and its kin alone: the mapped address itself leads to memory of ones that no device sees; what was written there is
told when it is unmapped, a read is not seen. A device has one interrupt here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from nthal.events import NullReason
from nthal.objects import Device, Major, Request, WdfObject, live
from nthal.operations import packet
from nthal.records.backing import Backing
from nthal.types import PAGE_SIZE, La, Out, Va, bytes_to_pages
from nthal.verifier import BugCheck, Misuse, driver_place
from nthal.windows import Irql, NtStatus
from nthal_c import marshal
from nthal_c.calls import acquire, deadlock, release
from nthal_c.session import INVALID_HANDLE, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nthal.framework import ObjectAttributes
    from nthal.machine import DeviceObject, Machine
    from nthal.records.mdl import Mdl
    from nthal_c.builder import Built
    from nthal_c.shapes import CData

MEMORY_AT: Final = 0xF000_0000
PORTS_AT: Final = 0xC000
"""Where the bus driver puts the BARs of either kind, each at the next multiple of its size."""
ANY: Final = -1
"""The default queue takes what no other queue was configured for."""
INIT: Final = "WDFDEVICE_INIT"
"""What stands for the one DeviceInit."""
_DRIVER_INTERNAL_ERROR: Final = 0xC000_0183
PATIENCE: Final = 1_000_000
"""Reads of registers in a row, with no write and no wait between, after which a driver is held to poll for good."""
_WORKS_EVERY: Final = 64
"""Reads in a row after which the device gets to work a little: a driver that polls waits for it."""
_ONES: Final = b"\xff"
_make_device = Device


class Window(Protocol):
    """A BAR: registers or memory of a device, by offset; `width` is bytes."""

    @property
    def length(self) -> int:
        """Bytes; 0 for a BAR that the device has not."""

    @property
    def is_io(self) -> bool:
        """True for ports."""

    def read(self, offset: int, width: int) -> int:
        """Read one register."""

    def write(self, offset: int, width: int, value: int) -> None:
        """Write one register."""


class InterruptLine(Protocol):
    """A connected interrupt."""

    def queue_dpc(self) -> bool:
        """Ask for the DPC; False if it is queued already."""


class Host(Protocol):
    """A computer with the driver's device in it, as a bus driver knows the two. `bars` are BAR 0 and those after it."""

    @property
    def machine(self) -> Machine: ...  # noqa: D102
    @property
    def pdo(self) -> DeviceObject: ...  # noqa: D102
    @property
    def bars(self) -> Sequence[Window]: ...  # noqa: D102

    def connect(self, isr: Callable[[], bool], dpc: Callable[[], None]) -> InterruptLine:
        """Connect the interrupt; `disconnect` undoes it."""

    def disconnect(self) -> None: ...  # noqa: D102

    def enter_d0(self) -> None:
        """Power up, with bus mastering; `leave_d0` undoes it."""

    def leave_d0(self) -> None: ...  # noqa: D102

    def step(self) -> object:
        """Let the device work a little while the driver waits; no interrupt comes."""

    def run(self) -> object:
        """Let the device work until it has nothing to do, with interrupts."""


@dataclass(frozen=True, slots=True)
class IoWindow:
    """What a driver mapped of a BAR: the memory it points at, `offset` into the BAR, `length` in bytes."""

    backing: Backing
    bar: Window
    offset: int
    length: int


class FxObject(WdfObject):
    """A framework object of which the model knows callbacks alone; `level` is the IRQL before a lock that is held.

    `serving` says that the framework holds an interrupt's lock, as around EvtInterruptIsr. `zero_length` says that a
    queue takes requests of no bytes.
    """

    def __init__(self, parent: WdfObject | None, callbacks: dict[str, int]) -> None:
        super().__init__(parent)
        self.callbacks = callbacks
        self.level: int | None = None
        self.serving = False
        self.zero_length = False

    @property
    def device(self) -> Device | None:
        """The device that it belongs to."""
        return self.parent if isinstance(self.parent, Device) else None


class FxRequest(Request):
    """WDFREQUEST: a read, write or control of a program, from `queue`. `status` None: the driver's yet.

    Lengths and `offset` in bytes. A control's input and output share its memory, which METHOD_BUFFERED does; of the
    direct methods that memory stands for both buffers.
    """

    def __init__(
        self, device: Device, queue: FxObject, major: Major, mdl: Mdl, *, input_length: int, output_length: int
    ) -> None:
        length = output_length if major is Major.READ else input_length
        super().__init__(device, major, mdl, length, output_length=output_length)
        self.queue = queue
        self.memory = mdl
        self.input_length = input_length
        self.offset = 0
        self.status: int | None = None
        self.information = 0


class Loaded(Session):
    """A driver that is loaded for the device of `host`, and what it told Windows of itself."""

    def __init__(self, host: Host, built: Built) -> None:
        super().__init__(host.machine, built.module(), built.name, built.around)
        self.host: Final = host
        self.windows: dict[int, IoWindow] = {}
        self.references: dict[int, int] = {}
        self.reads_in_a_row = 0
        self.driver: FxObject | None = None
        self.device: Device | None = None
        self.pnp: dict[str, int] = {}
        self.interrupt: FxObject | None = None
        self.line: InterruptLine | None = None
        self.queues: dict[int, FxObject] = {}

    def parent(self, attributes: ObjectAttributes | None) -> WdfObject | None:
        """Parent of a new lock: what its attributes name, or the driver."""
        return (None if attributes is None else attributes.parent_object) or self.driver

    def serve(self, interrupt: FxObject, function: object, *arguments: int, what: str) -> int:
        """Call a function of the driver at the interrupt's level, with its lock. Raises: BugCheck if that is held."""
        if interrupt.serving or interrupt.level is not None:
            raise deadlock("an interrupt's lock", self.place())
        interrupt.serving = True
        try:
            return self.enter(function, *arguments, what=what, irql=Irql.DEVICE_LEVEL)
        finally:
            interrupt.serving = False


# --- registers -----------------------------------------------------------------------------------------------------


def MmMapIoSpace(session: Loaded, PhysicalAddress: La, NumberOfBytes: int, CacheType: int) -> int:
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


def places(session: Loaded) -> list[tuple[int, Window]]:
    """(physical address, BAR) of each BAR that the device has."""
    at, found = {False: MEMORY_AT, True: PORTS_AT}, []
    for bar in session.host.bars:
        if bar.length:
            at[bar.is_io] += -at[bar.is_io] % bar.length
            found.append((at[bar.is_io], bar))
            at[bar.is_io] += bar.length
    return found


def MmUnmapIoSpace(session: Loaded, BaseAddress: Va, NumberOfBytes: int) -> None:
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


def _register(session: Loaded, register: CData, width: int) -> tuple[Window, int] | None:
    """BAR and offset of a mapped register; None, and a violation, for another address."""
    address = session.address(register)
    for base, window in session.windows.items():
        if base <= address <= base + window.length - width:
            return window.bar, window.offset + address - base
    session.machine.verifier.violate(Misuse.WILD_ADDRESS, f"no register is mapped at {address:#x}")
    return None


def nthal_read(session: Loaded, Register: CData, Width: int) -> int:
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


def nthal_write(session: Loaded, Register: CData, Width: int, Value: int) -> None:
    """WRITE_REGISTER_ULONG and its kin."""
    found = _register(session, Register, Width)
    session.reads_in_a_row = 0
    if found is not None:
        found[0].write(found[1], Width, Value)


def KeStallExecutionProcessor(session: Loaded, MicroSeconds: int) -> None:
    """Let time pass, in which the device works."""
    session.machine.clock += MicroSeconds * 1000
    session.reads_in_a_row = 0
    session.host.step()


def WdfDriverCreate(
    session: Loaded,
    DriverObject: CData,
    RegistryPath: CData,
    DriverAttributes: ObjectAttributes | None,
    DriverConfig: CData,
    Driver: Out[WdfObject],
) -> int:
    """Make the driver object; a driver has one."""
    if session.driver is not None:
        session.machine.processor.fail(
            NullReason.BAD_CALL, "WdfDriverCreate was called before: a driver has one object"
        )
        return _DRIVER_INTERNAL_ERROR
    session.driver = Driver.value = FxObject(None, session.callbacks_of(DriverConfig))
    return NtStatus.SUCCESS


def WdfDeviceInitSetPnpPowerEventCallbacks(session: Loaded, DeviceInit: CData, PnpPowerEventCallbacks: CData) -> None:
    """Take the device's callbacks. Raises: BugCheck for what is no DeviceInit, or callbacks of another size."""
    _look_at_init(session, session.address(DeviceInit))
    due = session.ffi.sizeof("WDF_PNPPOWER_EVENT_CALLBACKS")
    if int(PnpPowerEventCallbacks.Size) != due:
        words = f"WdfDeviceInitSetPnpPowerEventCallbacks: Size is {int(PnpPowerEventCallbacks.Size)}, {due} is due"
        raise BugCheck(f"{words}: call WDF_PNPPOWER_EVENT_CALLBACKS_INIT first")
    session.pnp = session.callbacks_of(PnpPowerEventCallbacks)


def _look_at_init(session: Loaded, number: int) -> None:
    if session.object_of(number) != INIT:
        raise BugCheck(f"DeviceInit is {number:#x}, which is none", INVALID_HANDLE)


def WdfDeviceCreate(
    session: Loaded, DeviceInit: CData, DeviceAttributes: ObjectAttributes | None, Device: Out[Device]
) -> NtStatus:
    """Make the device object; the driver's DeviceInit is NULL from then on. Raises: BugCheck if it was already."""
    if not DeviceInit[0]:
        raise BugCheck("DeviceInit is NULL: its device is made already", INVALID_HANDLE)
    _look_at_init(session, session.address(DeviceInit[0]))
    session.device = Device.value = _make_device(session.machine, driver=session.name, pdo=session.host.pdo)
    DeviceInit[0] = session.ffi.NULL
    return NtStatus.SUCCESS


def WdfDeviceWdmGetPhysicalDevice(session: Loaded, Device: Device) -> int:
    """Give the bus driver's device object; the function driver's is the same one here."""
    return marshal.show_device(session, live(Device, _make_device).pdo)


def WdfInterruptCreate(
    session: Loaded,
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


def WdfInterruptQueueDpcForIsr(session: Loaded, Interrupt: FxObject) -> bool:
    """Ask for the DPC; FALSE if it is queued already."""
    live(Interrupt, FxObject)
    return session.line is not None and session.line.queue_dpc()


def WdfInterruptSynchronize(session: Loaded, Interrupt: FxObject, Callback: CData, Context: int) -> bool:
    """Call a function at the interrupt's level."""
    numbers = session.number(Interrupt), Context
    interrupt = live(Interrupt, FxObject)
    return bool(session.serve(interrupt, Callback, *numbers, what="EvtInterruptSynchronize") & 0xFF)


def WdfInterruptAcquireLock(session: Loaded, Interrupt: FxObject) -> None:
    """Keep the service routine out. Raises: BugCheck where that waits for itself."""
    held = live(Interrupt, FxObject).level is not None or Interrupt.serving
    Interrupt.level = acquire(session, "an interrupt's lock", held=held, at=Irql.DEVICE_LEVEL)


def WdfInterruptReleaseLock(session: Loaded, Interrupt: FxObject) -> None:
    """Let it in again. Raises: BugCheck if it was not kept out."""
    level, Interrupt.level = live(Interrupt, FxObject).level, None
    release(session, level or 0, "an interrupt's lock", held=level is not None, at=Irql.DEVICE_LEVEL)


def WdfSpinLockCreate(
    session: Loaded, SpinLockAttributes: ObjectAttributes | None, SpinLock: Out[WdfObject]
) -> NtStatus:
    """Make a lock, under the parent that the attributes name or the driver."""
    SpinLock.value = FxObject(session.parent(SpinLockAttributes), {})
    return NtStatus.SUCCESS


def WdfSpinLockAcquire(session: Loaded, SpinLock: FxObject) -> None:
    """Take a lock. Raises: BugCheck if it is held: there is one processor."""
    SpinLock.level = acquire(session, "a spin lock", held=live(SpinLock, FxObject).level is not None)


def WdfSpinLockRelease(session: Loaded, SpinLock: FxObject) -> None:
    """Give a lock back. Raises: BugCheck if it is not held."""
    level, SpinLock.level = live(SpinLock, FxObject).level, None
    release(session, level or 0, "a spin lock", held=level is not None)


def WdfIoQueueCreate(
    session: Loaded, Device: Device, Config: CData, QueueAttributes: ObjectAttributes | None, Queue: Out[WdfObject]
) -> NtStatus:
    """Make a queue; the default one takes what no other is configured for."""
    made = Queue.value = FxObject(live(Device, _make_device), session.callbacks_of(Config))
    made.zero_length = bool(int(Config.AllowZeroLengthRequests))
    if int(Config.DefaultQueue):
        session.queues[ANY] = made
    return NtStatus.SUCCESS


def WdfDeviceConfigureRequestDispatching(
    session: Loaded, Device: Device, Queue: FxObject, RequestType: int
) -> NtStatus:
    """Let a queue take the requests of one kind; a kind has one queue."""
    if RequestType in session.queues:
        return NtStatus.INVALID_PARAMETER
    session.queues[RequestType] = live(Queue, FxObject)
    return NtStatus.SUCCESS


def nthal_request(session: Loaded, Request: FxRequest, Output: bool, Buffer: Out[Va], Mdl: Out[Mdl]) -> int:
    """WdfRequestRetrieveInputBuffer and its kin: give one side of a request and its bytes, 0 for a side it has not."""
    live(Request, FxRequest)
    length = Request.output_length if Output else Request.input_length
    if length:
        Buffer.value, Mdl.value = Request.memory.va, Request.memory
    return length


def WdfRequestGetParameters(session: Loaded, Request: FxRequest, Parameters: CData) -> None:
    """Say what is asked for."""
    Parameters.Type = live(Request, FxRequest).major
    inner = Parameters.Parameters
    if Request.major is Major.DEVICE_CONTROL:
        control = inner.DeviceIoControl
        control.OutputBufferLength, control.InputBufferLength = Request.output_length, Request.input_length
        control.IoControlCode = Request.control_code
    else:
        inner.Read.Length, inner.Read.DeviceOffset = max(Request.input_length, Request.output_length), Request.offset


def WdfRequestSetInformation(session: Loaded, Request: FxRequest, Information: int) -> None:
    """Say how many bytes were moved."""
    live(Request, FxRequest).information = Information


def nthal_complete(session: Loaded, Request: FxRequest, Status: int) -> None:
    """WdfRequestComplete: DMA verification looks whether the request's transfers were flushed. Raises: BugCheck."""
    if live(Request, FxRequest).status is not None:
        raise BugCheck(f"the request is completed twice, at {session.place()}")
    for adapter in session.machine.adapters:
        if adapter.device is session.host.pdo and not adapter.gone:
            packet.complete_request(session.machine, adapter, Request.mdl)
    Request.status = Status


def WdfRequestCompleteWithInformation(session: Loaded, Request: FxRequest, Status: int, Information: int) -> None:
    """End a request, with the bytes moved."""
    WdfRequestSetInformation(session, Request, Information)
    nthal_complete(session, Request, Status)


def WdfInterruptGetDevice(session: Loaded, Interrupt: FxObject) -> Device | None:
    """Give the interrupt's device."""
    return live(Interrupt, FxObject).device


def WdfIoQueueGetDevice(session: Loaded, Queue: FxObject) -> Device | None:
    """Give the queue's device."""
    return live(Queue, FxObject).device


def WdfRequestGetIoQueue(session: Loaded, Request: FxRequest) -> WdfObject | None:
    """Give the request's queue."""
    return live(Request, FxRequest).queue
