# SPDX-License-Identifier: Apache-2.0
"""One run from sources to verdict: toolchain, build, server, guest, report. What `plx9x5x run` and pytest share.

::

    toolchain -> build module + program -> image -\
                        server (starts meanwhile) -+-> QEMU -> report, case by case -> power off -> RunResult
"""

import contextlib
import difflib
import secrets
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

from plx9x5x import boards
from plx9x5x.errors import BadRequest, LostVm
from plx9x5x.faults import record
from plx9x5x.faults.record import Struck
from plx9x5x.findings import kept
from plx9x5x.findings.finding import Finding
from plx9x5x.lab import defaults
from plx9x5x.lab.card import driver, plans, settings
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.card.ground import OWN_CODE, aftermath, lay, serving
from plx9x5x.lab.card.watching import CutOff, Watching, blind, calls_of, watching
from plx9x5x.lab.contract import guest as contract_guest
from plx9x5x.lab.contract import witnessed
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.guest import accel
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import Device
from plx9x5x.lab.guest.shapes import PLAIN, Shape
from plx9x5x.lab.guest.vm import GuestVm, LostGuest, Nobody, Watcher
from plx9x5x.lab.host import runs
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.report import junit
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import Progress, Toolchain
from plx9x5x.lab.witness import after
from plx9x5x.lab.witness.covered import CoverageFile, Covered
from plx9x5x.plane.choice import Plane, choose
from plx9x5x.transport import choice as transports

NO_DEVICE: Final = "nodevice"
"""The mode of a guest that is booted without the device."""
BUFFERS: Final = "buffers.jsonl"
"""The guest's common buffers among the logs, for `nthal check`."""
BENCH: Final = "bench"
"""The mode of a guest that measures instead of testing."""


class NoSuchCase(BadRequest):
    """The test program has no case of that name."""


_MOST_SEED: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What to run. `only` is one case; `mode` is the guest's (its init script names them); 'tcg', 'kvm' or 'auto'.

    `memory_mib` is the shape's own unless it is a number.
    """

    board: str = boards.DEFAULT
    kernel: str | None = None
    guest: Shape = PLAIN
    memory_mib: int | None = None
    accel: str = accel.TCG
    timeout_s: float = defaults.TIMEOUT_S
    mode: str = "test"
    only: str | None = None
    verbose: bool = False
    keep: bool = False
    more_devices: tuple[Device, ...] = ()
    """Plugged in after the board."""
    seed: int | None = None
    """Of the guest's random lengths and of chance in `faults`; None for another one every time."""
    transport: str = transports.AUTO
    """Who speaks vfio-user (`plx9x5x.transport.choice`)."""
    plane: Plane | None = None
    """What moves data; None leaves it to the server."""
    append: tuple[str, ...] = ()
    """Words for the kernel's command line."""
    processors: int = 1
    trace: Path | None = None
    """Where the register trace goes (docs/trace.md)."""
    witness: bool = True
    """Watch the driver from outside, where that can be."""
    coverage: Path | None = None
    """The tracefile of lcov that what ran of the driver is added to (docs/coverage.md)."""
    faults: tuple[str, ...] = ()
    """The plan by which the card fails: sentences, or files of them (docs/faults.md)."""
    settings: tuple[str, ...] = ()
    """Options of the board, `NAME=VALUE` each (docs/writing-a-board.md)."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The test program's."""
        only = ("--only", self.only) if self.only else ()
        return (*only, "--seed", str(self.seed)) if self.seed is not None else only


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of a run, and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of it. `lost` is the whole story of a lost guest, `expected` the cases that had to report."""

    report: Report
    expected: tuple[str, ...]
    logs: Path
    kernel: str
    guest: Shape = PLAIN
    phases: tuple[Phase, ...] = ()
    lost: LostVm | None = None
    oopses: tuple[Oops, ...] = ()
    vfio_errors: tuple[str, ...] = ()
    server_trouble: str | None = None
    authors_error: str | None = None
    """What went wrong in the board's own code."""
    contract: ContractVerdict | None = None
    """On the guest's common buffers; None if it reported none."""
    untrue: tuple[str, ...] = ()
    """What the driver reported of its buffers and the kernel's calls do not show, or the other way round."""
    findings: tuple[Finding, ...] = ()
    """What the device's server saw done wrong, by whoever: cases that misuse the chip on purpose cause some."""
    facts: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[Struck, ...] = ()
    """What was planned to fail, and how often it did."""
    board: str = boards.DEFAULT
    coverage: Covered | None = None
    """Which of the driver's code ran, if it was watched or that was asked for."""
    unwritten: tuple[str, ...] = ()
    """What of it could not be written, a line each."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Cases that had to report and did not."""
        return self.report.missing(self.expected)

    @property
    def lost_reason(self) -> str | None:
        """Why the guest is gone, in one line."""
        if self.lost is None:
            return None
        return self.lost.reason if isinstance(self.lost, LostGuest) else str(self.lost).partition("\n")[0]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong beside tests that failed, a line each; the most important first."""
        found = [OWN_CODE.format(self.authors_error)] if self.authors_error else []
        found += [f"VM lost: {self.lost_reason}"] if self.lost else []
        found += [f"the guest's kernel complained: {oops.title}" for oops in self.oopses]
        found += [f"QEMU: {line}" for line in self.vfio_errors]
        if self.server_trouble and not self.authors_error:
            found.append(f"the device server had trouble: {self.server_trouble} (server.log)")
        if self.lost is None:
            found += [f"report: {text}" for text in self.report.problems]
            if self.report.started and not self.report.problems and self.report.passed == 0 and not self.failed:
                found.append("nothing was tested")
        if self.contract is not None:
            found += self.contract.problems
        found += [f"common buffers: {text}" for text in self.untrue]
        found += self.unwritten
        if self.missing:
            shown = ", ".join(self.missing[:6]) + (", ..." if len(self.missing) > 6 else "")
            found.append(f"{len(self.missing)} cases gave no result: {shown}")
        return tuple(found)

    @property
    def passed(self) -> int:
        """Cases that passed."""
        return self.report.passed

    @property
    def skipped(self) -> int:
        """Cases that were skipped, each with its reason."""
        return self.report.skipped

    @property
    def failed(self) -> int:
        """Cases that failed, or gave no result although they had to."""
        bad = sum(not c.verdict.good for c in self.report.cases)
        return max(self.report.failed, bad + len(self.missing))

    @property
    def ok(self) -> bool:
        """True if every case was heard of, none failed, and nothing else went wrong."""
        return not self.failed and not self.problems

    @property
    def exit_code(self) -> int:
        """0, 1 or 75 (design: the verbs)."""
        if self.lost is not None:
            return defaults.EXIT_LOST_VM
        return 0 if self.ok else defaults.EXIT_FAILED

    def totals(self) -> str:
        """The last line of a run."""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def junit(self) -> bytes:
        """The run as JUnit XML."""
        return junit.document(self.suite())

    def suite(self) -> ET.Element:
        """The run as one suite of a JUnit document, whose name says which board if it is not the usual one."""
        errors = [p for p in self.problems if not p.startswith("report: ")]
        name = f"plx9x5x.guest.{self.kernel}"
        return junit.suite_of(
            self.report,
            suite=name if self.board == boards.DEFAULT else f"{name}.{self.board}",
            errors=errors,
            expected=self.expected,
            properties={
                **self.facts,
                **({"common buffers": self.contract.line} if self.contract else {}),
                **{f"finding {number}": str(finding) for number, finding in enumerate(self.findings, 1)},
                **{f"fault {number}": str(it) for number, it in enumerate(self.faults, 1)},
            },
        )

    @property
    def seconds(self) -> float:
        """How long all of it took."""
        return sum(phase.seconds for phase in self.phases)

    def json(self) -> dict[str, object]:
        """The run for a program."""
        return {
            "board": self.board,
            "kernel": self.kernel,
            "guest": self.guest.name,
            "exit_code": self.exit_code,
            "passed": self.passed,
            "failed": self.failed,
            "skipped": self.skipped,
            "problems": list(self.problems),
            "cases": [
                {"name": case.name, "verdict": case.verdict.value, "reason": case.reason, "seconds": case.seconds}
                for case in self.report.cases
            ],
            "findings": [finding.json() for finding in self.findings],
            "coverage": None if self.coverage is None else self.coverage.json(),
            **({"faults": [it.json() for it in self.faults]} if self.faults else {}),
            "seconds": self.seconds,
            "logs": str(self.logs),
        }


def exit_code_of(results: Sequence[RunResult]) -> int:
    """Of several runs: 1 if any has a fault, else 75 if a guest was lost, else 0. A lost guest alone may try again."""
    codes = {result.exit_code for result in results}
    return next((code for code in (defaults.EXIT_FAILED, defaults.EXIT_LOST_VM) if code in codes), 0)


class RunWatcher(Watcher, Protocol):
    """Is told what a run does, as it happens."""

    def phase(self, name: str) -> None:
        """A step begins."""
        ...

    def booted(self, *, server: int | None, qemu: int) -> None:
        """The processes (their ids) are there; the guest boots."""
        ...


class Quiet(Nobody):
    """Watches without a word; the base of watchers that care for one thing."""

    def phase(self, name: str) -> None:
        """Drop it."""

    def booted(self, *, server: int | None, qemu: int) -> None:
        """Drop it."""


class _Stopwatch:
    """Times the phases and announces each."""

    def __init__(self, watcher: RunWatcher) -> None:
        self._watcher = watcher
        self.phases: list[Phase] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._watcher.phase(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases.append(Phase(name, time.monotonic() - began))


def list_cases(test_program: Path, *, only: str | None = None, bench: bool = False) -> tuple[str, ...]:
    """Ask the test program, which is static and so runs here too, for the names of its cases, or of its benches."""
    argv = [test_program, "--list", *(("--only", only) if only else ()), *(("--bench",) if bench else ())]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10)
    return tuple(done.stdout.split())


def check_case(name: str, names: Sequence[str]) -> None:
    """Refuse a name that no case has. Raises: NoSuchCase with the nearest ones."""
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or [n for n in names if name in n][:3]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise NoSuchCase(f"no case '{name}'{hint} (run --list)")


def drawn() -> int:
    """A seed, as the guest's test program takes it: it has to be said, and not to be secret."""
    return 1 + secrets.randbelow(_MOST_SEED)


def run(spec: RunSpec, *, watcher: RunWatcher | None = None, progress: Progress | None = None) -> RunResult:
    """Do one run. A lost guest is a result, not an exception: it may have reported much before.

    Raises: SetupError, BadRequest.
    """
    with CoverageFile(spec.coverage) if spec.coverage is not None else contextlib.nullcontext() as target:
        return _run(spec, watcher or Quiet(), progress, target)


def _run(spec: RunSpec, watcher: RunWatcher, progress: Progress | None, target: CoverageFile | None) -> RunResult:
    spec = replace(spec, seed=spec.seed or drawn())
    if spec.settings:
        spec = replace(spec, settings=settings.of_cards(spec.settings, (spec.board,))[0])
    if spec.faults:
        spec = replace(spec, faults=plans.of_cards(spec.faults, (spec.board,), (spec.settings,))[0])
    memory_mib = spec.guest.memory(spec.memory_mib)
    clock = _Stopwatch(watcher)
    with clock.phase("toolchain"):
        tc, carrier = lay(transport=spec.transport, shape=spec.guest, kernel=spec.kernel, progress=progress)
        accelerator, why = accel.choose(spec.accel, tc)
    logs = runs.make(tc.cache, keep=spec.keep)
    with clock.phase("build"):
        sources = guest_sources.find()
        built = driver.build(tc, sources)
        expected = list_cases(built.program, only=spec.only, bench=spec.mode == BENCH)
    image = driver.driver_image(tc, sources, built, mode=spec.mode, arguments=spec.arguments)
    image = replace(image, words=(*image.words, *spec.append))
    result = RunResult(
        Report(),
        expected,
        logs,
        tc.kernel.release,
        guest=spec.guest,
        board=spec.board,
        facts={
            **tc.versions(),
            "guest": f"{spec.guest.name}, {memory_mib} MiB ({spec.guest.summary})",
            "board": spec.board,
            "transport": f"{carrier.transport.value} ({carrier.why})",
            "plane": "python, by the plan of faults" if spec.faults else choose(spec.plane).value,
            "accelerator": f"{accelerator} ({why})",
            **({"seed": f"{spec.seed} (--seed)"} if spec.faults else {}),
        },
    )
    wanted = spec.witness and spec.mode not in (NO_DEVICE, BENCH)
    with watching(
        tc, sources.witness, cards=1, modules=[(driver.DRIVER, built.module)], accelerator=accelerator, wanted=wanted
    ) as eye:
        if wanted:
            result = replace(result, facts={**result.facts, **_seen_by(eye, spec)})
        try:
            spec = replace(spec, accel=accelerator, transport=carrier.transport.value)
            result = _boot(spec, tc, image, result, eye, clock=clock, watcher=watcher)
        except LostVm as exc:  # the server's start; a guest's end is part of the result
            result = replace(result, lost=exc)
        done = after.finish(
            eye.seen(),
            findings=[logs / FINDINGS],
            traces=[] if spec.trace is None else [spec.trace],
            target=target,
            logs=logs,
        )
    result = replace(
        result,
        phases=tuple(clock.phases),
        coverage=done.coverage,
        unwritten=done.troubles,
        contract=contract_guest.judge(result.report),
        findings=kept.findings_of(clients := kept.records(logs / FINDINGS)),
        faults=record.of_records(clients),
    )
    if lacks := blind(clients):
        result = replace(result, facts={**result.facts, "witness": f"blind: {lacks}"})
    elif result.contract is not None and eye.witness is not None and result.lost is None:
        try:
            # A driver that breaks the contract is told that; what else does not fit comes of it.
            if (calls := calls_of(logs, clients)) is not None and not result.contract.broken:
                told = witnessed.differences(result.contract.seen, witnessed.read(calls))
                result = replace(result, untrue=told)
        except CutOff as exc:
            result = replace(result, facts={**result.facts, "witness": f"QEMU's plugin; {exc}"})
    junit.write(logs / "junit.xml", result.junit())
    if result.contract is not None:
        (logs / BUFFERS).write_text(contract_guest.json_lines(result.contract.observations), encoding="ascii")
    if not result.ok:
        runs.mark_failed(logs)
    return result


def _seen_by(eye: Watching, spec: RunSpec) -> dict[str, str]:
    """What a run says of its witness; the device under one is Python's, whichever plane was asked for."""
    if eye.witness is None:
        return {"witness": eye.why}
    return {"witness": "QEMU's plugin", **({} if spec.faults else {"plane": "python, by the witness"})}


def _boot(
    spec: RunSpec,
    tc: Toolchain,
    image: GuestImage,
    result: RunResult,
    eye: Watching,
    *,
    clock: _Stopwatch,
    watcher: RunWatcher,
) -> RunResult:
    """Server, guest, report."""
    with contextlib.ExitStack() as stack:
        with clock.phase("server and image"):
            served = serving(
                tc,
                spec.board,
                transport=spec.transport,
                logs=result.logs,
                trace=spec.trace,
                verbose=spec.verbose,
                plane=spec.plane,
                watched=eye.card(0, result.logs),
                faults=spec.faults,
                seed=spec.seed or 0,
                settings=spec.settings,
            )
            backend = None if spec.mode == NO_DEVICE else served
            ready = stack.enter_context(prepared(tc, image, backend=backend, logs=result.logs))
        watcher.phase("boot")
        vm = stack.enter_context(
            ready.boot(
                devices=(*ready.device(), *spec.more_devices),
                logs=result.logs,
                timeout_s=spec.timeout_s,
                shape=spec.guest,
                memory_mib=spec.memory_mib,
                accel=spec.accel,
                processors=spec.processors,
                witness=eye.witness,
            )
        )
        watcher.booted(server=ready.server.pid if ready.server else None, qemu=vm.pid)
        try:
            result = replace(result, report=vm.run_ktap(watcher))
        except LostGuest as exc:
            result = replace(result, report=exc.report, lost=exc)
        clock.phases += vm_phases(vm)
        vm.end()
        return replace(result, **aftermath(vm, ready))


def vm_phases(vm: GuestVm) -> list[Phase]:
    """How a guest's life divides: boot, tests, power off; the last one that it came to takes the rest."""
    now = vm.seconds
    marks = [("boot", 0.0), ("tests", vm.seconds_to_report), ("power off", vm.seconds_to_last_case)]
    known = [(name, at) for name, at in marks if at is not None]
    ends = [at for _, at in known[1:]] + [now]
    return [Phase(name, end - at) for (name, at), end in zip(known, ends, strict=True)]
