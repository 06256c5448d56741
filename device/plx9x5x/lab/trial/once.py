# SPDX-License-Identifier: Apache-2.0
"""One trial: server, guest, report, verdict. What the command writes is passed on as it comes."""

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Final

from plx9x5x.errors import LostVm
from plx9x5x.findings import kept
from plx9x5x.lab.card.backend import FINDINGS, board_backend
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.modules import aliases_of
from plx9x5x.lab.guest.vm import LostGuest
from plx9x5x.lab.host import runs
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import FOR_A_RUN, FolderNotBuilt, Progress, Toolchain, load
from plx9x5x.lab.trial.image import foreign, lay_out
from plx9x5x.lab.trial.verdict import OUTPUT, TryResult
from plx9x5x.lab.trial.wanted import TrySpec
from plx9x5x.rules import summary
from plx9x5x.transport import choice as transports
from plx9x5x.units import MIB

_LOG_MOST: Final = 64 * MIB
_LOOK_S: Final = 0.1


class Listener:
    """Is told what happens, as it does; this one keeps quiet."""

    def phase(self, text: str) -> None:
        """Something begins or has been done, in one line."""

    def output(self, data: bytes) -> None:
        """The command wrote this."""


def run(spec: TrySpec, *, listener: Listener, progress: Progress | None = None) -> TryResult:
    """Do it once. A guest that is lost is a result. Raises: SetupError, BadRequest."""
    carrier = transports.choose(spec.transport, has_library=True, many_mappings=spec.guest.needs_many_mappings)
    by_library = carrier.transport is transports.Transport.LIBVFIO
    tc = load(kernel=spec.kernel, progress=progress, need=FOR_A_RUN if by_library else FOR_A_RUN - {"libvfio-user"})
    spec = replace(spec, transport=carrier.transport.value)
    logs = runs.make(tc.cache, keep=spec.keep)
    try:
        guest = lay_out(tc, spec, logs, listener.phase)
    except FolderNotBuilt as exc:
        runs.mark_failed(logs)
        (logs / "build.log").write_text(exc.said, encoding="utf-8")
        return TryResult(Report(), logs, tc.kernel.release, unbuilt=exc.said)
    result = TryResult(
        Report(),
        logs,
        tc.kernel.release,
        built=guest.built,
        wants=tuple(alias for module in guest.tried for alias in aliases_of(module.data)),
        foreign=tuple(foreign(guest.tried, tc.kernel.release)),
    )
    try:
        result = _boot(tc, spec, guest.image, result, listener)
    except LostVm as exc:  # the server's start; a guest's end is part of the result
        result = replace(result, lost=exc)
    clients = kept.records(logs / FINDINGS)
    result = replace(
        result,
        findings=kept.findings_of(clients),
        transfers=tuple(line for one in clients for line in summary.of_record(one)),
    )
    if result.exit_code:
        runs.mark_failed(logs)
    return result


def _boot(tc: Toolchain, spec: TrySpec, image: GuestImage, result: TryResult, listener: Listener) -> TryResult:
    """Server, guest, report."""
    served = board_backend(
        spec.board,
        libvfio_user=tc.libvfio_user if spec.transport == transports.Transport.LIBVFIO.value else None,
        transport=spec.transport,
        summary=(result.logs / FINDINGS).absolute(),
        trace=None if spec.trace is None else spec.trace.absolute(),
    )
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(prepared(tc, image, backend=served, logs=result.logs))
        ours, theirs = socket.socketpair()
        log = stack.enter_context((result.logs / OUTPUT).open("wb"))
        with theirs:
            vm = stack.enter_context(
                ready.boot(
                    devices=ready.device(),
                    logs=result.logs,
                    timeout_s=spec.timeout_s,
                    shape=spec.guest,
                    memory_mib=spec.memory_mib,
                    agent=theirs,
                    processors=spec.processors,
                )
            )
        pump = Pump(ours, log, listener.output)
        pump.start()
        over = threading.Event()
        typed = threading.Thread(target=_type, args=(spec.shell, ours, over))
        if spec.shell is not None:
            typed.start()
            stack.callback(typed.join)
            stack.callback(over.set)
        try:
            result = replace(result, report=vm.run_ktap())
        except LostGuest as exc:
            result = replace(result, report=exc.report, lost=exc)
        finally:
            vm.end()
            pump.join()  # QEMU is gone, and its end of the channel: what is left is under way to whoever reads it
            ours.close()
        if pump.failure is not None:
            raise pump.failure
        return replace(
            result,
            seconds=vm.seconds,
            oopses=vm.oopses,
            vfio_errors=vm.vfio_errors(),
            server_trouble=ready.trouble(),
        )


class Pump(threading.Thread):
    """Passes on what the command writes, until QEMU is gone. `failure` is why nobody could be told any more."""

    def __init__(self, source: socket.socket, log: IO[bytes], tell: Callable[[bytes], None]) -> None:
        super().__init__(name="output")
        self._source, self._log, self._tell = source, log, tell
        self._left = _LOG_MOST
        self.failure: OSError | None = None

    def run(self) -> None:
        """Go on although nobody listens: the guest would wait for us, and its time is limited."""
        while True:
            try:
                data = self._source.recv(64 * 1024)
            except OSError:
                return
            if not data:
                return
            self._keep(data)
            if self.failure is None:
                try:
                    self._tell(data)
                except OSError as exc:
                    self.failure = exc

    def _keep(self, data: bytes) -> None:
        """Write the log, as far as there is room for it."""
        try:
            self._log.write(data[: self._left])
            self._log.flush()
            self._left -= len(data[: self._left])
        except OSError:
            self._left = 0


def _type(source: int, into: socket.socket, over: threading.Event) -> None:
    """Pass on what somebody types, until either side ends; the end of it ends the shell."""
    with contextlib.suppress(OSError, ValueError):
        while not over.is_set():
            if select.select([source], [], [], _LOOK_S)[0]:
                data = os.read(source, 4096)
                into.sendall(data or b"exit\n")
                if not data:
                    return
