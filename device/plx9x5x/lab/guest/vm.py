# SPDX-License-Identifier: Apache-2.0
"""A guest under QEMU: its life, and the report that it gives on a channel of its own.

A guest that does not live to report is `LostGuest`, never a failed test. What it and QEMU said is kept in files.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from plx9x5x.errors import LostVm
from plx9x5x.lab.guest.machine import VmSpec
from plx9x5x.lab.guest.qmp import Qmp
from plx9x5x.lab.host.drain import Drain
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.host.symptoms import Oops, SerialLog, tail_lines, vfio_errors
from plx9x5x.lab.report.ktap import Case, Parser, Report
from plx9x5x.units import MIB

_TERMINATED: Final = "terminating on signal"
TAIL_LINES: Final = 30
MAX_REPORT: Final = 16 * MIB
"""A report is some KiB; a guest that floods its port must fill neither our memory nor the disk."""
POLL_S: Final = 0.05
PANIC_GRACE_S: Final = 5.0
POWEROFF_GRACE_S: Final = 20.0


class Watcher(Protocol):
    """Is told what happens in a guest, as it happens."""

    def case(self, case: Case, *, planned: int | None) -> None:
        """One test ended."""
        ...

    def serial(self, line: str) -> None:
        """The guest's console said this."""
        ...


class Nobody:
    """Watches without a word."""

    def case(self, case: Case, *, planned: int | None) -> None:
        """Drop it."""

    def serial(self, line: str) -> None:
        """Drop it."""


class Companion(Protocol):
    """A process that the guest cannot do without, as the device's server. `Child` is one."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def alive(self) -> bool:
        """False once it is gone."""
        ...

    def how_it_ended(self) -> str:
        """Say it in words."""
        ...

    def output(self) -> str:
        """The last of what it printed."""
        ...


class LostGuest(LostVm):
    """The guest is gone; `report` is what it had said by then, `serial_tail` the last lines of its console.

    `timed_out`: it was given no more time, and may still live.
    """

    timed_out = False

    def __init__(
        self, reason: str, *, report: Report, serial_tail: Sequence[str] = (), said: Sequence[str] = ()
    ) -> None:
        parts = [reason]
        if said:
            parts.append("\n".join(f"  {line}" for line in said))
        if serial_tail:
            parts.append("the guest's console ended with:\n" + "\n".join(f"  | {line}" for line in serial_tail))
        super().__init__("\n".join(parts))
        self.reason = reason
        self.report = report
        self.serial_tail = tuple(serial_tail)


class GuestVm:
    """A guest that runs; a context manager, at whose end nothing of it is left.

    Logs in `logs`: serial.log (the guest's console), qemu.log (QEMU's own output), ktap.log (the report as it came),
    qemu.cmd (the command line).
    """

    def __init__(
        self,
        qemu: Child,
        report: socket.socket,
        console: Drain,
        serial: SerialLog,
        *,
        logs: Path,
        deadline: float,
        limit_s: float,
    ) -> None:
        self._qemu = qemu
        self._console = console
        self._socket: socket.socket | None = report
        self._logs = logs
        self._deadline = deadline
        self._limit_s = limit_s
        self._companions: tuple[Companion, ...] = ()
        self._serial = serial
        self._panic_told = False
        self._parser = Parser()
        self._done: list[Report] | None = None
        self._report_bytes = 0
        self._reason_to_stop = ""
        self.seconds_to_report: float | None = None
        self.seconds_to_last_case: float | None = None
        self._started = time.monotonic()

    @classmethod
    def boot(
        cls,
        spec: VmSpec,
        *,
        logs: Path,
        timeout_s: float,
        companions: Sequence[Companion] = (),
        agent: socket.socket | None = None,
        files: socket.socket | None = None,
        qmp: Qmp | None = None,
    ) -> Self:
        """Start QEMU. The guest may live for `timeout_s`, and no longer than any of its `companions`.

        `agent` is the far end of a socket pair, for requests to a program in the guest, `files` one for the files that
        it sends; the caller closes them then.
        `qmp` is connected to QEMU's monitor.

        Raises: SetupError if QEMU cannot be started at all.
        """
        serial = SerialLog()
        console = Drain(logs / "serial.log", taker=serial.feed)
        ours, theirs = socket.socketpair()
        agent_fd = None if agent is None else agent.fileno()
        files_fd = None if files is None else files.fileno()
        qmp_fd = None if qmp is None else qmp.theirs.fileno()
        channels = (fd for fd in (agent_fd, files_fd, qmp_fd) if fd is not None)
        fds = (theirs.fileno(), console.writer, *channels, *spec.plugin_fds)
        try:
            with console.giving():
                # QEMU opens the pipe as the file that it takes it for.
                console_file = Path(f"/dev/fd/{console.writer}")
                argv = spec.command_line(
                    serial=console_file, report_fd=fds[0], agent_fd=agent_fd, files_fd=files_fd, qmp_fd=qmp_fd
                )
                (logs / "qemu.cmd").write_text("\n".join(argv) + "\n", encoding="utf-8")
                qemu = Child(argv, name="QEMU", log=logs / "qemu.log", pass_fds=fds, cpus=spec.cpus)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        deadline = time.monotonic() + timeout_s
        vm = cls(qemu, ours, console, serial, logs=logs, deadline=deadline, limit_s=timeout_s)
        vm._companions = tuple(companions)
        return vm

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._qemu.pid

    @property
    def logs(self) -> Path:
        """Where the logs are."""
        return self._logs

    @property
    def alive(self) -> bool:
        """True while QEMU runs."""
        return self._qemu.alive

    @property
    def seconds(self) -> float:
        """Since QEMU was started."""
        return time.monotonic() - self._started

    @property
    def oopses(self) -> tuple[Oops, ...]:
        """What the guest's kernel complained about so far."""
        return self._serial.oopses

    def vfio_errors(self) -> tuple[str, ...]:
        """What QEMU says about a device that failed."""
        self._qemu.settle()
        with self._qemu.log.open(encoding="utf-8", errors="replace") as lines:
            return vfio_errors(lines)

    def run_ktap(self, watcher: Watcher | None = None) -> Report:
        """Read the report until the guest has powered off, which it does by itself after its program.

        Raises: LostGuest if it does not live that long: QEMU or a companion gone, panic, time limit, no report at all.
        """
        watcher = watcher or Nobody()
        self._until(watcher, lambda: not self.alive)
        self._drain(watcher)
        self._check_companions()
        if self._serial.panic is not None:
            raise self.lost(f"the guest's kernel panicked: {self._serial.panic}")
        if self._qemu.poll() != 0:
            raise self.lost(f"QEMU ended before the guest did: {self._qemu.how_it_ended()}", said=self._qemu_said())
        if ended := [line for line in self._qemu_said() if _TERMINATED in line]:
            # On SIGTERM QEMU exits with 0.
            raise self.lost(f"QEMU was ended from outside: {ended[-1]}", said=self._qemu_said())
        if not self._parser.started:
            raise self.lost("the guest powered off without a report", said=self._qemu_said())
        return self._parser.finish()

    def run_reports(self, count: int, watcher: Watcher | None = None) -> tuple[Report, ...]:
        """Read `count` reports, each to its totals, of a guest that reports again and again; it goes on then.

        A guest that reboots (`VmSpec.may_reboot`) gives one at each boot. Raises: LostGuest if it does not come to that
        many, as for `run_ktap`.
        """
        self._done = []
        self._until(watcher or Nobody(), lambda: len(self._done or ()) >= count or not self.alive)
        if len(self._done) < count:
            self._drain(Nobody())
            raise self.lost(f"the guest gave {len(self._done)} of {count} reports", said=self._qemu_said())
        return tuple(self._done[:count])

    def wait_for(self, text: str, watcher: Watcher | None = None) -> str:
        """Wait until the guest's console says a line that contains `text`; give the line. Raises: LostGuest."""
        seen: list[str] = []

        class Ear(Nobody):
            def serial(self, line: str) -> None:
                if watcher is not None:
                    watcher.serial(line)
                if text in line:
                    seen.append(line)

        self._until(Ear(), lambda: bool(seen) or not self.alive)
        if not seen:
            raise self.lost(f"the guest ended before its console said '{text}'", said=self._qemu_said())
        return seen[0]

    def check(self) -> None:
        """Look, without waiting, whether the guest can still do what it was booted for.

        Raises: LostGuest if it has ended, or will: QEMU or a companion gone, panic, time limit.
        """
        self._take_report(Nobody(), 0)
        self._take_serial(Nobody())
        self._check_companions()
        if self._serial.panic is not None:
            raise self.lost(f"the guest's kernel panicked: {self._serial.panic}")
        if not self.alive:
            raise self.lost(f"the guest has ended (QEMU: {self._qemu.how_it_ended()})", said=self._qemu_said())
        if time.monotonic() > self._deadline:
            raise self.lost(self._reason_to_stop or f"the guest ran longer than {self._limit_s:g} s")

    def lost(self, reason: str, *, said: Sequence[str] = ()) -> LostGuest:
        """Make the error, with the report and the console as they are now."""
        if not self.alive:
            self._console.finish()
        self._serial.poll(last=True)
        tail = tail_lines(self._console.tail(), TAIL_LINES)
        report = self._parser.finish()
        if report.cases:
            last = report.cases[-1]
            reason += f"; the last test that reported is {last.number} of {report.planned or '?'}, {last.name}"
        return LostGuest(reason, report=report, serial_tail=tail, said=said)

    def end(self) -> None:
        """End QEMU at once, and wait for it."""
        self._qemu.end(grace_s=0)
        self._console.finish()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.end()

    def _until(self, watcher: Watcher, done: Callable[[], bool]) -> None:
        """Pass on what arrives until `done`. Raises: LostGuest on panic, time limit, or a companion's death."""
        while not done():
            self._take_report(watcher, POLL_S)
            self._take_serial(watcher)
            self._check_companions()
            if time.monotonic() > self._deadline:
                # QEMU may have ended while we waited for its last words.
                if not self.alive:
                    return
                lost = self.lost(self._reason_to_stop or f"the guest ran longer than {self._limit_s:g} s (--timeout)")
                lost.timed_out = True
                raise lost

    def _take_report(self, watcher: Watcher, wait_s: float) -> bool:
        """Read what the guest sent; False if there was nothing."""
        if self._socket is None:
            time.sleep(wait_s)
            return False
        if not select.select([self._socket], [], [], wait_s)[0]:
            return False
        try:
            data = self._socket.recv(64 * 1024)
        except ConnectionError:
            data = b""
        if not data:
            self._socket.close()
            self._socket = None
            return False
        self._report_bytes += len(data)
        if self._report_bytes > MAX_REPORT:
            self._socket.close()
            self._socket = None
            raise self.lost(f"the guest's report is endless: more than {MAX_REPORT // MIB} MiB")
        with contextlib.suppress(OSError), (self._logs / "ktap.log").open("ab") as log:
            log.write(data)  # a full disk costs the copy, not the report
        cases = self._parser.feed(data) if self._done is None else self._feed_again(data, self._done)
        if self._parser.started and self.seconds_to_report is None:
            self.seconds_to_report = self.seconds
        for case in cases:
            watcher.case(case, planned=self._parser.planned)
        if self._done is None and self._parser.complete and self.seconds_to_last_case is None:
            self.seconds_to_last_case = self.seconds
            self._hurry(POWEROFF_GRACE_S, f"the guest did not power off within {POWEROFF_GRACE_S:g} s of its report")
        return True

    def _feed_again(self, data: bytes, done: list[Report]) -> list[Case]:
        """Have whatever comes after a report begin the next one."""
        cases = []
        for piece in data.splitlines(keepends=True):
            cases += self._parser.feed(piece)
            if self._parser.over:
                done.append(self._parser.finish())
                self._parser = Parser()
        return cases

    def _take_serial(self, watcher: Watcher, *, last: bool = False) -> None:
        for line in self._serial.poll(last=last):
            watcher.serial(line)
        if self._serial.panic is not None and not self._panic_told:
            self._panic_told = True
            self._hurry(PANIC_GRACE_S, f"the guest's kernel panicked: {self._serial.panic}")

    def _hurry(self, grace_s: float, reason: str) -> None:
        """Wait no longer than `grace_s` from now on."""
        soon = time.monotonic() + grace_s
        if soon < self._deadline:
            self._deadline, self._reason_to_stop = soon, reason

    def _drain(self, watcher: Watcher) -> None:
        """Take what was still under way when QEMU ended."""
        while self._take_report(watcher, 0):
            pass
        self._console.finish()
        self._take_serial(watcher, last=True)

    def _check_companions(self) -> None:
        for companion in self._companions:
            if not companion.alive:
                raise self.lost(
                    f"{companion.name} ended under the guest: {companion.how_it_ended()}",
                    said=tail_lines(companion.output(), TAIL_LINES),
                )

    def _qemu_said(self) -> tuple[str, ...]:
        return tail_lines(self._qemu.output(), TAIL_LINES)
