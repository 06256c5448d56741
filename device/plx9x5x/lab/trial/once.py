# SPDX-License-Identifier: Apache-2.0
"""One trial: server, guest, report, verdict. What the command writes is passed on as it comes."""

import contextlib
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, TypedDict

from plx9x5x import jail
from plx9x5x.errors import LostVm
from plx9x5x.faults import record
from plx9x5x.findings import kept
from plx9x5x.lab.card import plans, settings
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.card.ground import aftermath, lay, own_serving, serving
from plx9x5x.lab.card.watching import CutOff, Watching, blind, calls_of, watching
from plx9x5x.lab.contract import witnessed
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.accel import TCG
from plx9x5x.lab.guest.folder import SharedFolder
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import card_address, shared_folder, vfio_user_pci
from plx9x5x.lab.guest.modules import aliases_of
from plx9x5x.lab.guest.qmp import Qmp
from plx9x5x.lab.guest.vm import GuestVm, LostGuest, Nobody
from plx9x5x.lab.host import runs
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.host.socket_place import SocketPlace
from plx9x5x.lab.report.ktap import Case, Report
from plx9x5x.lab.toolchain import FolderNotBuilt, Progress, Toolchain
from plx9x5x.lab.trial import files, stuck
from plx9x5x.lab.trial.debugger import GdbWatcher
from plx9x5x.lab.trial.image import LaidOut, foreign, lay_out, shares, undynamic
from plx9x5x.lab.trial.verdict import DMESG, OUTPUT, Card, TryResult
from plx9x5x.lab.trial.wanted import NothingToTry, TrySpec
from plx9x5x.lab.witness import after
from plx9x5x.lab.witness.covered import CoverageFile
from plx9x5x.own import tally
from plx9x5x.own.factory import absolute
from plx9x5x.rules import summary
from plx9x5x.units import MIB

_LOG_MOST: Final = 64 * MIB
_LAST_WORDS_S: Final = 2.0
_SLOW_S: Final = 20.0
_LOOK_S: Final = 0.1

Plans = Sequence[Sequence[str]]
"""The sentences of each card's plan."""


class Got(TypedDict):
    """What came of the files of the guest, as `TryResult` has it."""

    got: Mapping[str, Path]
    ungot: tuple[str, ...]


class Listener:
    """Is told what happens, as it does; this one keeps quiet."""

    def phase(self, text: str) -> None:
        """Something begins or has been done, in one line."""

    def output(self, data: bytes) -> None:
        """The command wrote this."""


def run(spec: TrySpec, *, listener: Listener, progress: Progress | None = None) -> TryResult:
    """Do it once. A guest that is lost is a result. Raises: SetupError, BadRequest."""
    files.check(spec.get)
    with CoverageFile(spec.coverage) if spec.coverage is not None else contextlib.nullcontext() as target:
        return _run(spec, listener, progress, target)


def _run(spec: TrySpec, listener: Listener, progress: Progress | None, target: CoverageFile | None) -> TryResult:
    spec = _absolute(spec)
    chosen = settings.of_cards(spec.settings, spec.boards)
    planned = plans.of_cards(spec.faults, spec.boards, chosen) if spec.faults else ((),) * len(spec.boards)
    if spec.get and spec.command is None and spec.shell is None:
        spec = replace(spec, command=":")
    more = frozenset(("virtiofsd",) if shares(spec) else ())
    tc, carrier = lay(transport=spec.transport, shape=spec.guest, kernel=spec.kernel, progress=progress, more=more)
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
        tried=tuple(module.name for module in guest.tried),
        all_mapped=not spec.guest.needs_many_mappings,
    )
    with contextlib.ExitStack() as stack:
        held = None
        if spec.get_into is not None:
            held = os.open(spec.get_into, os.O_PATH | os.O_DIRECTORY)
            stack.callback(os.close, held)
        eye = stack.enter_context(
            watching(
                tc,
                guest_sources.find().witness,
                cards=len(spec.cards),
                modules=[(module.name, module.data) for module in guest.tried],
                accelerator=TCG,
                wanted=spec.witness,
            )
        )
        try:
            result = _boot(tc, spec, planned, guest, result, eye, listener)
        except LostVm as exc:  # the server's start; a guest's end is part of the result
            result = replace(result, lost=exc)
        numbers = range(1, len(spec.cards) + 1)
        done = after.finish(
            eye.seen(),
            findings=[logs_of(logs, number) / FINDINGS for number in numbers],
            traces=[trace for number in numbers if (trace := _trace_of(spec, number)) is not None],
            target=target,
            logs=logs,
        )
        result = replace(
            result,
            coverage=done.coverage,
            unwritten=done.troubles,
            cards=tuple(_card(board, logs_of(logs, number), eye) for number, board in enumerate(spec.cards, 1)),
            undynamic=tuple(undynamic(spec)) if result.status else (),
            **_got(spec, result, held),
        )
    if result.exit_code:
        runs.mark_failed(logs)
    return result


def _absolute(spec: TrySpec) -> TrySpec:
    """With devices that are found from everywhere. Raises: NothingToTry for what they do not have; NoFactory."""
    if not spec.cards:
        raise NothingToTry("a guest without a card: name a board or a device")
    if not spec.boards:
        if spec.faults:
            raise NothingToTry("--fault lets a PLX card fail, and there is none: a device of one's own has no plan")
        if spec.trace is not None:
            raise NothingToTry("--trace is what a PLX card tells of itself, and there is none")
    return replace(spec, devices=tuple(map(absolute, spec.devices)))


def logs_of(logs: Path, number: int) -> Path:
    """The folder of the server of the card of that number, from 1: that of all the rest, for the first."""
    return logs if number == 1 else logs / f"card{number}"


def _card(board: str, logs: Path, eye: Watching) -> Card:
    clients = kept.records(logs / FINDINGS)
    lines = (line for one in clients for line in (*summary.of_record(one), *tally.of_record(one)))
    left = next((it for one in reversed(clients) if isinstance(it := one.get("registers"), dict) and it), {})
    why = eye.why or blind(clients)
    buffers, unjudged = None, ""
    try:
        if not why and (calls := calls_of(logs, clients)) is not None:
            buffers = witnessed.judge(witnessed.read(calls))
    except CutOff as exc:
        unjudged = str(exc)
    return Card(
        board,
        kept.findings_of(clients),
        tuple(lines),
        left,
        faults=record.of_records(clients),
        buffers=buffers,
        unjudged=unjudged,
        unwatched=why,
    )


def _got(spec: TrySpec, result: TryResult, held: int | None) -> Got:
    """Keep the files that the guest sent; they come last, and cost no verdict.

    `held` is their folder as it was before there was a guest, which may have been given what is around it.
    """
    logs = result.logs
    into, raw = spec.get_into or logs / "got", logs / "kmsg"
    try:
        there = into if held is None else Path(f"/proc/self/fd/{held}")
        got = {
            name: into / path.name for name, path in files.keep(logs / files.SENT, spec.get, there, last=raw).items()
        }
        (logs / files.SENT).unlink(missing_ok=True)
        if raw.is_file():
            (logs / DMESG).write_text(files.kernel_log(raw.read_text("utf-8", "replace")), "utf-8", "replace")
            raw.unlink()
    except OSError as exc:
        return Got(got={}, ungot=(f"{exc.filename or into}: {exc.strerror}",))
    refused = result.not_there
    lacks = [name for number, name in enumerate(spec.get) if name not in got and number not in refused]
    return Got(got=got, ungot=tuple(f"{name}: it did not come whole" for name in lacks if result.lost is None))


def _backend(tc: Toolchain, spec: TrySpec, planned: Plans, number: int, logs: Path, eye: Watching) -> Backend:
    """The server of the card of that number."""
    if (device := spec.device(number)) is not None:
        return own_serving(tc, device, transport=spec.transport, logs=logs, watched=eye.card(number - 1, logs))
    return serving(
        tc,
        spec.boards[number - 1],
        transport=spec.transport,
        logs=logs,
        trace=_trace_of(spec, number),
        faults=planned[number - 1],
        seed=spec.seed,
        settings=settings.of_cards(spec.settings, spec.boards)[number - 1],
        watched=eye.card(number - 1, logs),
    )


def _trace_of(spec: TrySpec, number: int) -> Path | None:
    """The register trace of the card of that number; all but the first have it in their names."""
    trace = spec.trace if spec.device(number) is None else None
    if trace is not None and number > 1:
        return trace.with_name(f"{trace.stem}.card{number}{trace.suffix}")
    return trace


def _boot(
    tc: Toolchain,
    spec: TrySpec,
    planned: Plans,
    guest: LaidOut,
    result: TryResult,
    eye: Watching,
    listener: Listener,
) -> TryResult:
    """Servers, guest, report."""
    logs = result.logs
    with contextlib.ExitStack() as stack:
        others = []
        for number in range(2, len(spec.cards) + 1):
            folder = logs_of(logs, number)
            folder.mkdir()
            backend = _backend(tc, spec, planned, number, folder, eye)
            others.append(stack.enter_context(DeviceServer.start(backend=backend, logs=folder)))
        given = [
            stack.enter_context(
                SharedFolder(
                    tc.virtiofsd, it.folder.path, tag=it.tag, writable=it.folder.writable, logs=logs.absolute()
                )
            )
            for it in shares(spec)
        ]
        if spec.host_root:
            who = "root" if os.geteuid() == 0 else "you"
            listener.phase(f"the guest's root is this machine's, as {who} may read it; what it writes there is dropped")
        if given and not jail.offered().landlock:
            listener.phase("no jail holds virtiofsd, which serves the folders: this kernel has no Landlock")
        ready = stack.enter_context(
            prepared(tc, guest.image, backend=_backend(tc, spec, planned, 1, logs, eye), logs=logs)
        )
        for server in others:
            server.wait_ready()
        qmp = stack.enter_context(Qmp())
        gdb = stack.enter_context(SocketPlace(logs, "gdb.sock")).path if spec.gdb is not None else None
        ours, theirs, sent, sends = map(stack.enter_context, (*socket.socketpair(), *socket.socketpair()))
        # Unbuffered: what does not fit on the disk is dropped then, and not again at the end.
        log = stack.enter_context((logs / OUTPUT).open("wb", buffering=0))
        sent_log = stack.enter_context((logs / files.SENT).open("wb", buffering=0))
        with theirs, sends:
            vm = stack.enter_context(
                ready.boot(
                    devices=(
                        *ready.device(),
                        *(vfio_user_pci(it.socket_path, address=card_address(n)) for n, it in enumerate(others, 1)),
                        *(shared_folder(it.tag, it.socket_path) for it in given),
                    ),
                    logs=logs,
                    timeout_s=spec.timeout_s,
                    shape=spec.guest,
                    memory_mib=spec.memory_mib,
                    agent=theirs,
                    files=sends,
                    processors=spec.processors,
                    companions=(*others, *given),
                    gdb=gdb,
                    qmp=qmp,
                    accel=TCG,
                    witness=eye.witness,
                )
            )
        most = files.MOST if spec.get else _LOG_MOST
        pumps = (Pump(ours, log, listener.output), Pump(sent, sent_log, _nobody, most=most))
        for pump in pumps:
            pump.start()
        over = threading.Event()
        source = spec.shell if spec.shell is not None else spec.gdb
        typed = threading.Thread(target=_type, args=(source, ours, over))
        if source is not None:
            typed.start()
            stack.callback(typed.join)
            stack.callback(over.set)
        slow = SlowLoad(result.tried, listener.phase)
        watcher = slow if gdb is None else GdbWatcher(gdb, guest.files, listener.phase)
        if gdb is None:
            slow.start()
        try:
            result = replace(result, report=vm.run_ktap(watcher))
        except LostGuest as exc:
            where = stuck.ask(vm, qmp, result.tried) if exc.timed_out and vm.alive else None
            result = replace(result, report=exc.report, lost=exc, stuck=where)
        except BaseException as exc:
            # Who has lost patience wants to know what it hangs in.
            if not isinstance(exc, Exception) and getattr(exc, "number", signal.SIGINT) == signal.SIGINT:
                _stopped(vm, qmp, result, listener, shell=spec.shell is not None)
            raise
        finally:
            slow.stop()
            vm.end()
            # QEMU is gone, and its end of the channel: what is left is under way to whoever reads it. That is waited
            # for, unless somebody or the time limit ended it all.
            in_order = sys.exc_info()[0] is None and result.lost is None
            for pump in pumps:
                pump.join(None if in_order else _LAST_WORDS_S)
        if pumps[0].failure is not None:
            raise pumps[0].failure
        return replace(result, seconds=vm.seconds, **aftermath(vm, ready, *others))


def _stopped(vm: GuestVm, qmp: Qmp, result: TryResult, listener: Listener, *, shell: bool) -> None:
    """Say where a guest stands that somebody has stopped."""
    where = stuck.ask(vm, qmp, result.tried) if vm.alive and not shell else None
    with contextlib.suppress(OSError):  # nobody may read it any more
        if where is not None:
            listener.phase("\n".join((f"stopped: {where}", *(f"  {line}" for line in where.stack))))
        listener.phase(f"stopped; logs: {result.logs}")


class SlowLoad(Nobody):
    """Says once that modules take long to load; whoever sees nothing would wait for the time limit."""

    def __init__(self, names: Sequence[str], tell: Callable[[str], None]) -> None:
        which = ", ".join(names) or "a module"
        what = f"{which}: not back from being loaded for {_SLOW_S:g} s; Ctrl-C ends it and says where it stands"
        self._timer = threading.Timer(_SLOW_S, tell, (what,))
        self._timer.daemon = True

    def start(self) -> None:
        """Begin to count."""
        self._timer.start()

    def case(self, case: Case, *, planned: int | None) -> None:
        """The first one is that of the modules."""
        del case, planned
        self.stop()

    def stop(self) -> None:
        """Say nothing any more."""
        self._timer.cancel()


def _nobody(_data: bytes) -> None:
    """What only the log has."""


class Sink(Protocol):
    """A file that may take less than it is given."""

    def write(self, data: bytes, /) -> int | None:
        """Give how much it took."""
        ...


class Pump(threading.Thread):
    """Passes on what the command writes, until QEMU is gone. `failure` is why nobody could be told any more."""

    def __init__(
        self,
        source: socket.socket,
        log: Sink,
        tell: Callable[[bytes], None],
        *,
        most: int = _LOG_MOST,
    ) -> None:
        super().__init__(name="output", daemon=True)  # who reads us may have stopped to
        self._source, self._log, self._tell = source, log, tell
        self._left = most
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
            self._left -= self._log.write(data[: self._left]) or 0
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
