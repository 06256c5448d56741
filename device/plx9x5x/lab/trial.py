# SPDX-License-Identifier: Apache-2.0
"""Somebody's driver put to the test once: built, loaded in a guest beside the card, a command run, a verdict.

The guest reports in KTAP (guest-tests/initramfs/try): cases `load`, `bind` and, if there is one, `command`. What the
command writes comes by a port of its own, as it is written.
"""

import contextlib
import fnmatch
import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from plx9x5x import boards
from plx9x5x.board import load_board
from plx9x5x.errors import BadRequest, LostVm
from plx9x5x.findings import kept
from plx9x5x.findings.finding import Finding
from plx9x5x.lab import defaults
from plx9x5x.lab.card.backend import FINDINGS, board_backend
from plx9x5x.lab.guest import modules
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile, GuestImage
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.shapes import PLAIN, Shape
from plx9x5x.lab.guest.vm import LostGuest
from plx9x5x.lab.host import runs
from plx9x5x.lab.host.symptoms import Oops, scan_oopses
from plx9x5x.lab.report import junit
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import FOR_A_RUN, FolderNotBuilt, Progress, Toolchain, build_folder, load
from plx9x5x.model.chip import Chip
from plx9x5x.rules import summary
from plx9x5x.transport import choice as transports
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import MIB

LOAD, BIND, COMMAND = "load", "bind", "command"
OUTPUT: Final = "output.log"
"""What the command wrote, among the logs."""

_LOG_MOST: Final = 64 * MIB
_LOOK_S: Final = 0.1
_BUILD_LINES: Final = 30
_TAKEN: Final = frozenset(("init", "bin", "dev", "proc", "sys", "tmp", "lib", "modules.list", "try"))
"""Names at the guest's root that are not free."""
_KERNEL_LINES: Final = 12
"""As many are shown: the first ones of an oops decide."""
_MODALIAS: Final = re.compile(r"pci:v(\w+|\*)d(\w+|\*)sv(\w+|\*)sd(\w+?|\*)bc")
_BOUND, _UNBOUND, _STATUS, _KERNEL = "bound ", "unbound ", "status ", "kernel: "


class NothingToTry(BadRequest):
    """A module that is no folder, no file, and by its form no name; or a parameter before any module."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module as it was asked for: a folder, a .ko file or a module of the guest's kernel, and its parameters."""

    name: str
    parameters: tuple[str, ...] = ()


def parse(words: Sequence[str]) -> tuple[Wanted, ...]:
    """Take `MODULE [name=value ...] ...` apart. Raises: NothingToTry."""
    found: list[Wanted] = []
    for word in words:
        if not word:
            raise NothingToTry("a module's name is empty")
        if "=" in word and not Path(word).exists():
            if not found:
                raise NothingToTry(f"'{word}' is a parameter, and no module stands before it")
            found[-1] = replace(found[-1], parameters=(*found[-1].parameters, word))
        else:
            found.append(Wanted(word))
    if not found:
        raise NothingToTry("name a module: a folder with its sources, a .ko file, or one of the guest's kernel")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TrySpec:
    """What to try. `command` is a line for the guest's sh; what it reads comes from the file `input`."""

    modules: tuple[Wanted, ...]
    command: str | None = None
    input: Path | None = None
    board: str = boards.DEFAULT
    kernel: str | None = None
    guest: Shape = PLAIN
    memory_mib: int | None = None
    timeout_s: float = defaults.TIMEOUT_S
    transport: str = transports.AUTO
    files: tuple[Path, ...] = ()
    """Copied to the root of the guest, each by its own name."""
    append: tuple[str, ...] = ()
    """Words for the kernel's command line."""
    processors: int = 1
    trace: Path | None = None
    """Where the register trace goes (docs/trace.md)."""
    shell: int | None = None
    """The descriptor that a shell reads, in place of a command; it writes as a command does."""
    keep: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class TryResult:
    """What came of it.

    `wants` are the modalias patterns of the modules that were tried, `foreign` says which another kernel was meant for.
    """

    report: Report
    logs: Path
    kernel: str
    built: tuple[str, ...] = ()
    seconds: float = 0.0
    wants: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    unbuilt: str | None = None
    """What make and the compiler said of a folder that could not be built; there was no guest then."""
    lost: LostVm | None = None
    oopses: tuple[Oops, ...] = ()
    vfio_errors: tuple[str, ...] = ()
    server_trouble: str | None = None
    findings: tuple[Finding, ...] = ()
    transfers: tuple[str, ...] = ()
    """What the card did for the guest, a line a channel, and its interrupts."""

    @property
    def bound(self) -> tuple[str, ...]:
        """'ADDRESS DRIVER' of each card that a driver took."""
        return tuple(self._said(BIND, _BOUND))

    @property
    def unbound(self) -> tuple[str, ...]:
        """'ADDRESS MODALIAS' of each card that none took."""
        return tuple(self._said(BIND, _UNBOUND))

    @property
    def refused(self) -> tuple[str, ...]:
        """Why modules could not be loaded."""
        case = self.report.find(LOAD)
        return () if case is None else tuple(line for line in case.diagnostics if not line.startswith(_KERNEL))

    @property
    def kernel_said(self) -> tuple[str, ...]:
        """The kernel's words at warning level or worse, since it booted."""
        return tuple(line for case in self.report.cases for line in self._said(case.name, _KERNEL))

    @property
    def status(self) -> int | None:
        """The command's exit status; None if it did not run to its end."""
        return next((int(text) for text in self._said(COMMAND, _STATUS)), None)

    @property
    def mismatch(self) -> str | None:
        """Why no driver took the card, if the modules tell: they want others."""
        wanted = sorted(alias for alias in self.wants if alias.startswith("pci:"))
        cards = [text.partition(" ")[2] for text in self.unbound]
        if not cards or any(fnmatch.fnmatchcase(card, alias) for card in cards for alias in wanted):
            return None
        wants = ", ".join(map(_pci_ids, wanted))
        return f"it is {', '.join(map(_pci_ids, cards))}; the module wants {wants}"

    @property
    def complaints(self) -> tuple[str, ...]:
        """Oopses, warnings and the like, by their titles: of the console, and of the kernel's log if that is quiet."""
        return tuple(dict.fromkeys(oops.title for oops in (*self.oopses, *scan_oopses(self.kernel_said))))

    @property
    def _unfinished(self) -> tuple[str, ...]:
        """What the guest had to report and did not, although it switched itself off in order."""
        missing = {LOAD, BIND, COMMAND} - {case.name for case in self.report.cases}
        if self.report.planned == len(self.report.cases):
            return ()
        if COMMAND in missing and len(missing) == 1:
            return ("the guest was switched off before the command had ended",)
        return tuple(f"report: {text}" for text in self.report.problems) or ("the guest's report is cut off",)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each, the most important first."""
        if self.unbuilt is not None:
            return ("the module was not built",)
        found = [f"the guest's kernel complained: {title}" for title in self.complaints]
        found += [f"VM lost: {str(self.lost).partition(chr(10))[0]}"] if self.lost else []
        found += self.foreign if self.refused else ()
        found += [f"a module was not loaded: {line}" for line in self.refused]
        wants_a_card = any(alias.startswith("pci:") for alias in self.wants)
        if self.unbound and not self.bound and wants_a_card and not self.refused:
            why = self.mismatch or "its probe failed: the kernel's words say why"
            found.append(f"no driver took the card: {why}")
        elif self.lost is None and not self.bound and not self.unbound:
            found.append("the guest sees no card")
        if self.status:
            found.append(f"the command ended with {self.status}")
        if self.lost is None:
            found += self._unfinished
        found += [f"QEMU: {line}" for line in self.vfio_errors]
        if self.server_trouble:
            found.append(f"the device server had trouble: {self.server_trouble} (server.log)")
        return tuple(found)

    @property
    def exit_code(self) -> int:
        """0; 1 if something is wrong or somebody was found at fault for certain; 75 if the guest was just lost."""
        if self.complaints or any(finding.certain for finding in self.findings):
            return 1
        if self.lost is not None:
            return 75
        return 1 if self.problems else 0

    @property
    def output(self) -> str:
        """What the command wrote."""
        return (self.logs / OUTPUT).read_text(encoding="utf-8", errors="replace")

    def lines(self) -> list[str]:
        """The verdict, for people."""
        words = self.kernel_said
        said = [f"bound {text.replace(' ', ' to ')}" for text in self.bound]
        said += [f"kernel: {text}" for text in words[:_KERNEL_LINES]]
        if len(words) > _KERNEL_LINES:
            said.append(f"kernel: ... and {len(words) - _KERNEL_LINES} lines more (serial.log)")
        if self.unbuilt is not None:
            said += self.unbuilt.rstrip().splitlines()[-_BUILD_LINES:]
        said += [f"PROBLEM: {text}" for text in self.problems]
        if self.lost is not None and not self.kernel_said:
            said += str(self.lost).splitlines()[1:]
        said += self.transfers
        said += [f"finding: {finding}" for finding in self.findings] or ["findings: none"]
        return [*said, f"logs: {self.logs}", self.verdict]

    @property
    def verdict(self) -> str:
        """The last line."""
        certain = [finding for finding in self.findings if finding.certain]
        suspicions = len(self.findings) - len(certain)
        if self.exit_code == 0:
            return "good" + (f", but {suspicions} likely finding{'s' if suspicions > 1 else ''}" if suspicions else "")
        why = [*self.problems[:1], *(f"{it.who.value}: {it.rule}" for it in certain[:1])]
        return f"bad ({self.exit_code}): {'; '.join(why)}"

    def __repr__(self) -> str:
        return f"<TryResult {self.verdict}>"

    def json(self) -> dict[str, object]:
        """The same for a program."""
        return {
            "exit_code": self.exit_code,
            "kernel": self.kernel,
            "built": list(self.built),
            "bound": list(self.bound),
            "status": self.status,
            "problems": list(self.problems),
            "transfers": list(self.transfers),
            "kernel_said": list(self.kernel_said),
            "findings": [finding.json() for finding in self.findings],
            "seconds": self.seconds,
            "logs": str(self.logs),
        }

    def junit(self) -> bytes:
        """The same as JUnit XML: what is wrong is its errors, findings are properties."""
        return junit.to_xml(
            self.report,
            suite=f"plx9x5x.try.{self.kernel}",
            errors=self.problems,
            properties={f"finding {number}": str(it) for number, it in enumerate(self.findings, 1)},
        )

    def _said(self, name: str, start: str) -> Iterator[str]:
        case = self.report.find(name)
        for line in () if case is None else case.diagnostics:
            if line.startswith(start):
                yield line.removeprefix(start)


def _pci_ids(alias: str) -> str:
    """A modalias or a pattern of one, as `lspci -nn` writes IDs; what is left open is not shown."""
    found = _MODALIAS.match(alias)
    if found is None:
        return alias
    vendor, device, *subsystem = (
        part.lstrip("0").lower().rjust(4, "0") if part != "*" else "*" for part in found.groups()
    )
    shown = "" if subsystem == ["*", "*"] else f" (subsystem {':'.join(subsystem)})"
    return f"{vendor}:{device}{shown}"


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
        image, built, tried = _image(tc, spec, logs, listener)
    except FolderNotBuilt as exc:
        runs.mark_failed(logs)
        (logs / "build.log").write_text(exc.said, encoding="utf-8")
        return TryResult(Report(), logs, tc.kernel.release, unbuilt=exc.said)
    result = TryResult(
        Report(),
        logs,
        tc.kernel.release,
        built=built,
        wants=tuple(alias for module in tried for alias in modules.aliases(module.data)),
        foreign=tuple(_foreign(tried, tc.kernel.release)),
    )
    try:
        result = _boot(tc, spec, image, result, listener)
    except LostVm as exc:  # the server's start; a guest's end is part of the result
        result = replace(result, lost=exc)
    result = replace(
        result,
        findings=kept.read(logs / FINDINGS),
        transfers=tuple(line for one in kept.records(logs / FINDINGS) for line in summary.of_record(one)),
    )
    if result.exit_code:
        runs.mark_failed(logs)
    return result


def _image(
    tc: Toolchain, spec: TrySpec, logs: Path, listener: Listener
) -> tuple[GuestImage, tuple[str, ...], Sequence[modules.Module]]:
    """Build what is to be built, and lay out the guest; give the image, what was built, and what is tried."""
    sources = guest_sources.find()
    base = guest_sources.base_image(tc, sources)
    own: list[Path] = []
    named: list[str] = []
    built: list[str] = []
    parameters: dict[str, tuple[str, ...]] = {}
    tree = modules.ModuleTree(tc.kernel.modules)

    def find(name: str) -> modules.Module | None:
        mine = [path for path in own if path.name.partition(".ko")[0] == name]
        return modules.read_module(mine[-1]) if mine else tree.find(name)

    for wanted in spec.modules:
        path = Path(wanted.name)
        if path.is_dir():
            began = time.monotonic()
            made, fresh = build_folder(tc, path)
            own += made
            built += [it.name for it in made]
            listener.phase(
                f"built {', '.join(it.name for it in made)} "
                + (f"({time.monotonic() - began:.1f} s)" if fresh else "(nothing has changed)")
            )
            names = [it.stem for it in made]
        elif path.is_file():
            own.append(path)
            names = [path.name.partition(".ko")[0]]
        elif "/" in wanted.name or ".ko" in wanted.name:
            raise NothingToTry(f"no {wanted.name}: name a folder, a .ko file, or a module of the guest's kernel")
        else:
            named.append(wanted.name)
            names = [wanted.name]
        for word in wanted.parameters:
            name = _taker(word, [found for found in map(find, names) if found is not None])
            parameters[name] = (*parameters.get(name, ()), word)
    tried = [module for module in (*map(modules.read_module, own), *map(tree.find, named)) if module is not None]
    files = {**base.files, "bin/try": GuestFile(sources.root / "initramfs" / "try")}
    if spec.command is not None:
        line = logs / "command"
        line.write_text(spec.command + "\n", encoding="utf-8")
        files["try/command"] = GuestFile(line)
    if spec.input is not None:
        files["try/input"] = GuestFile(spec.input)
    files |= dict(_copied(spec.files))
    image = replace(
        base,
        files=files,
        modules=(*base.modules, *named),
        own_modules=tuple(own),
        parameters=parameters,
        mode="try",
        words=(f"plx.device={_ids(spec.board)}", *(("plx.shell",) if spec.shell is not None else ()), *spec.append),
    )
    return image, tuple(built), tried


def _taker(word: str, among: Sequence[modules.Module]) -> str:
    """Which of the modules takes a parameter. Raises: NothingToTry if none does, or it cannot be passed on."""
    name = word.partition("=")[0]
    if any(c in word for c in "\n\r"):
        raise NothingToTry(f"the parameter {word!r} cannot be passed to the guest: it has more than one line")
    for module in among:
        if name in modules.parameters(module.data) or (name == "dyndbg" and module is among[-1]):
            return module.name
    known = sorted({known for module in among for known in modules.parameters(module.data)})
    names = ", ".join(module.name for module in among) or "a module that the kernel has built in"
    raise NothingToTry(f"{names} takes no parameter '{name}': {', '.join(known) or 'it has none'}")


def _copied(files: Sequence[Path]) -> Iterator[tuple[str, GuestFile]]:
    """Where the guest has the caller's files. Raises: NothingToTry for one that cannot go there."""
    seen: set[str] = set()
    for path in files:
        if not path.is_file():
            raise NothingToTry(f"{path} is no file that could be copied")
        if path.name in _TAKEN or path.name in seen:
            raise NothingToTry(f"the guest has a /{path.name} already: name the file otherwise")
        seen.add(path.name)
        yield path.name, GuestFile(path, path.stat().st_mode & 0o777)


def _foreign(tried: Sequence[modules.Module], release: str) -> Iterator[str]:
    """Say which modules were built for another kernel than the guest's."""
    for module in tried:
        made_for = modules.modinfo(module.data).get("vermagic", release).partition(" ")[0]
        if made_for != release:
            yield f"{module.name}.ko was built for Linux {made_for}, and the guest runs {release}"


def _ids(board: str) -> str:
    """VVVV:DDDD as a guest sees the card."""
    chip = Loopback(lambda bus, irq: Chip(load_board(board), bus=bus, irq=irq), plane="python").device
    value = chip.config_read(0, 4)
    return f"{value & 0xFFFF:04x}:{value >> 16:04x}"


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
        pump = _Pump(ours, log, listener.output)
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


class _Pump(threading.Thread):
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
