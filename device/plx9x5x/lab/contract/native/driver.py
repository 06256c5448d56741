# SPDX-License-Identifier: Apache-2.0
"""Windows around a driver in C: who loads it, finds its device, powers it, and hands it the requests of programs.

::

    with load(build(["mydriver.c"]), host) as driver:     # DriverEntry, EvtDriverDeviceAdd, hardware, D0
        driver.write(b"data")                             # EvtIoWrite, until the request is completed
                                                          # on the way out: D0 exit, hardware, delete, unload
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from nthal import wdm
from nthal.objects import Major
from nthal.operations import adapter as adapters
from nthal.verifier import Misuse, called_from
from nthal.windows import Irql, NtStatus, nt_success
from nthal_c import calls, rules
from nthal_c.builder import build as compile_driver
from nthal_c.shapes import NativeError
from plx9x5x.lab.contract.native import basics, windows
from plx9x5x.lab.contract.native.windows import FxRequest, Loaded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nthal.framework import WdfObject
    from nthal.types import Va
    from nthal_c.builder import Built
    from nthal_c.shapes import CData
    from plx9x5x.lab.contract.native.windows import FxObject, Host

_PORT, _INTERRUPT, _MEMORY = 1, 2, 3
_D3_FINAL = 5
_STATUS = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended: NTSTATUS, bytes moved as the driver says, and the bytes that a read or control gave."""

    status: int
    information: int
    data: bytes = b""


class Driver:
    """A loaded driver. `status` is how its start ended; `printed` what it printed."""

    def __init__(self, session: Loaded) -> None:
        self.session = session
        self.status: int = NtStatus.UNSUCCESSFUL
        self._resources = session.show(self, self._describe)
        self._started = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.end()

    def _describe(self) -> CData:
        """What the device has: its BARs and its interrupt."""
        made, bars = self.session.ffi.new("struct WDFCMRESLIST__ *"), windows.places(self.session)
        made.Count = len(bars) + 1
        for index, (start, bar) in enumerate(bars):
            descriptor = made.Descriptors[index]
            descriptor.Type = _PORT if bar.is_io else _MEMORY
            descriptor.u.Generic.Start.QuadPart, descriptor.u.Generic.Length = start, bar.length
        interrupt = made.Descriptors[len(bars)]
        interrupt.Type = _INTERRUPT
        interrupt.u.Interrupt.Level = interrupt.u.Interrupt.Vector = Irql.DEVICE_LEVEL
        return made

    @property
    def printed(self) -> list[str]:
        """What DbgPrint said."""
        return self.session.printed

    # --- start and end -----------------------------------------------------------------------------------------------

    def start(self) -> int:
        """Load, add the device, start it; give the status of the first step that failed. Raises: what a rule says."""
        session, ffi = self.session, self.session.ffi
        entry, driver_object, path = (
            session.lib.nthal_driver_entry(),
            ffi.new("DRIVER_OBJECT *"),
            ffi.new("UNICODE_STRING *"),
        )
        session.show(driver_object, lambda: driver_object)
        session.show(path, lambda: path)
        status = self._call(entry, session.address(driver_object), session.address(path), what="DriverEntry")
        if nt_success(status):
            if session.driver is None:
                raise NativeError(f"DriverEntry of {session.name} succeeded without WdfDriverCreate: nothing to drive")
            numbers = session.number(session.driver), session.number(windows.INIT)
            status = self._call(session.driver.callbacks["EvtDriverDeviceAdd"], *numbers, what="EvtDriverDeviceAdd")
        if nt_success(status) and session.device is None:
            raise NativeError(f"EvtDriverDeviceAdd of {session.name} succeeded without WdfDeviceCreate")
        if nt_success(status):
            status = self._start_device()
        if not nt_success(status):
            self._delete(session.device)
        self.status = status
        self._started = nt_success(status)
        return status

    def _start_device(self) -> int:
        """Hardware, D0, interrupt; a step that fails undoes those before it, as the framework's power-up failure does.

        EvtDeviceD0Exit is not called on that way. Source: the framework's powerstatemachine.cpp (2.33).
        """
        status = self._pnp("EvtDevicePrepareHardware", self._resources, self._resources)
        if nt_success(status):
            self.session.host.enter_d0()
            status = self._pnp("EvtDeviceD0Entry", _D3_FINAL)
            if nt_success(status):
                self._connect()
                status = self._pnp("EvtDeviceD0EntryPostInterruptsEnabled", _D3_FINAL)
                if nt_success(status):
                    return status
                self._disconnect()
            self.session.host.leave_d0()
        self._pnp("EvtDeviceReleaseHardware", self._resources)
        return status

    def end(self) -> None:
        """Remove the device and unload the driver. Raises: DmaViolation for what it leaves behind."""
        session = self.session
        if self._started:
            self._started = False
            self._pnp("EvtDeviceD0ExitPreInterruptsDisabled", _D3_FINAL)
            self._disconnect()
            self._pnp("EvtDeviceD0Exit", _D3_FINAL)
            session.host.leave_d0()
            self._pnp("EvtDeviceReleaseHardware", self._resources)
            self._delete(session.device)
        if session.driver is not None and session.driver.alive:
            self._call(
                session.driver.callbacks["EvtDriverUnload"], session.number(session.driver), what="EvtDriverUnload"
            )
            self._delete(session.driver)
        self._look_for_leaks()

    def _look_for_leaks(self) -> None:
        session, machine = self.session, self.session.machine
        with called_from(f"the unload of {session.name}"):
            machine.look_at_freed()
            adapters.unload(machine, session.host.pdo.driver)
            mine = [one for one in machine.adapters if one.device is session.host.pdo and not one.gone]
            held = [*session.held.values(), *(f"{one!r} made at {one.made_at}" for one in mine)]
            if held:
                hint = ", ".join(by for what, by in _GIVEN_BACK_BY.items() if any(what in one for one in held))
                detail = f"{session.name} leaves {', '.join(held)}"
                mistake = Misuse.LEAK.value.mistake
                rules.tell(machine, Misuse.LEAK, mistake, detail, len(held), hint=f"before the unload: {hint}")

    def _call(self, function: object, *arguments: int, what: str) -> int:
        return self.session.enter(function, *arguments, what=what) & _STATUS

    def _pnp(self, name: str, *arguments: int) -> int:
        """Call one of the device's callbacks; one that there is not succeeds."""
        function = self.session.pnp.get(name, 0)
        return self._call(function, self.session.number(self.session.device), *arguments, what=name)

    def _delete(self, thing: WdfObject | None) -> None:
        if thing is not None and thing.alive:
            with self.session.machine, called_from(f"the removal of {self.session.name}"):
                thing.delete()

    # --- the interrupt -----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        session, interrupt = self.session, self.session.interrupt
        if interrupt is None:
            return
        number, device = session.number(interrupt), session.number(session.device)
        service, later = interrupt.callbacks["EvtInterruptIsr"], interrupt.callbacks["EvtInterruptDpc"]

        def isr() -> bool:
            return bool(session.serve(interrupt, service, number, 0, what="EvtInterruptIsr") & 0xFF)

        def dpc() -> None:
            session.enter(later, number, device, what="EvtInterruptDpc")

        session.line = session.host.connect(isr, dpc)
        basics.WdfInterruptEnable(session, interrupt)

    def _disconnect(self) -> None:
        session, interrupt = self.session, self.session.interrupt
        if interrupt is None or session.line is None:
            return
        basics.WdfInterruptDisable(session, interrupt)
        session.host.disconnect()
        session.line = None

    # --- requests of a program ---------------------------------------------------------------------------------------

    def write(self, data: bytes, offset: int = 0) -> Answer:
        """WriteFile: hand `data` to the driver, and let the device work until the request is completed."""
        return self._request(Major.WRITE, data, 0, "EvtIoWrite", offset=offset)

    def read(self, length: int, offset: int = 0) -> Answer:
        """ReadFile: as many bytes as the driver says it moved."""
        return self._request(Major.READ, b"", length, "EvtIoRead", offset=offset)

    def control(self, code: int, data: bytes = b"", length: int = 0) -> Answer:
        """DeviceIoControl: `data` goes in, `length` bytes at most come back."""
        return self._request(Major.DEVICE_CONTROL, data, length, "EvtIoDeviceControl", code=code)

    def _request(self, kind: Major, data: bytes, length: int, name: str, *, offset: int = 0, code: int = 0) -> Answer:
        session, machine = self.session, self.session.machine
        queue = session.queues.get(kind) or session.queues.get(windows.ANY)
        function = 0 if queue is None else queue.callbacks[name] or queue.callbacks["EvtIoDefault"]
        if queue is None or not function or not self._started:
            return Answer(NtStatus.INVALID_DEVICE_REQUEST, 0)
        size = max(len(data), length)
        if size == 0 and kind is not Major.DEVICE_CONTROL and not queue.zero_length:
            return Answer(NtStatus.SUCCESS, 0)
        # A program's buffer lies on whatever pages are free, and begins anywhere in its first one.
        base = machine.allocate_pool(max(size, 1) + _WITHIN, scattered=True)
        if base is None:
            raise NativeError(f"the machine has no {size} bytes for the program's buffer: {machine.last_failure}")
        va = base + _WITHIN
        machine.cpu_write(va, data.ljust(max(size, 1), b"\0"))
        machine.flush_io_buffers(va, max(size, 1))
        request = self._make(queue, kind, va, data, length)
        request.offset, request.control_code = offset, code
        number = session.adopt(request, None, "WDFREQUEST")
        sizes = (length, len(data), code) if kind is Major.DEVICE_CONTROL else (size,)
        arguments = sizes if queue.callbacks[name] else ()
        session.enter(function, session.number(queue), number, *arguments, what=name)
        session.host.run()
        if request.status is None:
            last = "".join(f"; the last finding: {one}" for one in machine.verifier.findings[-1:])
            raise NativeError(f"the device is idle, and {session.name} holds the request that {name} got{last}")
        with machine:
            given = machine.cpu_read(va, min(request.information, length)) if length else b""
        session.hide(session.show_mdl(request.memory))
        self._delete(request)
        machine.free_pool(base)
        return Answer(request.status, request.information, given)

    def _make(self, queue: FxObject, kind: Major, va: Va, data: bytes, length: int) -> FxRequest:
        device = self.session.device
        assert device is not None  # the driver is started
        with self.session.machine:
            mdl = wdm.IoAllocateMdl(va, max(len(data), length, 1), False, False)
            if mdl is None:
                raise NativeError("no MDL can describe the program's buffer")
            wdm.MmProbeAndLockPages(mdl)
        return FxRequest(device, queue, kind, mdl, input_length=len(data), output_length=length)


_GIVEN_BACK_BY = {
    "bytes of pool": "ExFreePoolWithTag for pool",
    "an MDL": "IoFreeMdl for an MDL",
    "bytes of registers": "MmUnmapIoSpace for registers",
    "a reference": "WdfObjectDereference for a reference",
    "adapter ": "PutDmaAdapter for an adapter",
}
"""By words of what is held: what gives it back."""
_WITHIN = 0x64
"""Offset of a program's buffer in its first page: no driver may hope for a page's start."""


def build(
    sources: Sequence[Path | str],
    *,
    defines: Mapping[str, str | int] | Sequence[str] = (),
    include: Sequence[Path | str] = (),
    flags: Sequence[str] = (),
    name: str | None = None,
) -> Built:
    """Compile a driver's unmodified sources for this process: `nthal_c.build`, with Windows around it."""
    return compile_driver(sources, defines=defines, include=include, flags=flags, name=name, around=[windows, basics])


def load(built: Built, host: Host) -> Driver:
    """Load a copy of a driver for the device of `host`; `start()` or `with` runs it.

    Raises: DoesNotLoad, NativeError if the machine already has memory in use.
    """
    session = Loaded(host, built)
    calls.bind(session, built.routines)
    return Driver(session)
