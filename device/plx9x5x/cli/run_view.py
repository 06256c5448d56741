# SPDX-License-Identifier: Apache-2.0
"""How `plx9x5x run` shows a run: live, then a table. On a terminal by rich, plain lines elsewhere."""

import itertools
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TextIO

from plx9x5x.findings import kept
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.report.ktap import Case, Verdict
from plx9x5x.lab.session import RunResult, RunWatcher

if TYPE_CHECKING:
    from rich.status import Status

_WORDS: Final = {
    Verdict.PASS: "ok",
    Verdict.FAIL: "FAIL",
    Verdict.SKIP: "skip",
    Verdict.XFAIL: "xfail",
    Verdict.XPASS: "XPASS",
}
_COLOURS: Final = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.SKIP: "yellow",
    Verdict.XFAIL: "yellow",
    Verdict.XPASS: "bold red",
}
_NAME_WIDTH: Final = 56


class View(RunWatcher, Protocol):
    """A watcher that is shown for as long as its context lasts."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Leave the screen in order."""
        ...


class PlainView:
    """A line for each thing that happens; `verbose` adds the guest's console."""

    def __init__(self, out: TextIO, *, verbose: bool = False) -> None:
        self._out = out
        self._verbose = verbose
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._out.flush()

    def phase(self, name: str) -> None:
        """A step begins."""
        self._say(f"[{time.monotonic() - self._began:6.2f} s] {name}")

    def booted(self, *, server: int | None, qemu: int) -> None:
        """The processes are there."""
        if self._verbose:
            self._say(f"server: process {server or '-'}, QEMU: process {qemu}")

    def case(self, case: Case, *, planned: int | None) -> None:
        """One test ended."""
        self._say(
            f"{_WORDS[case.verdict]:>5} {_numbered(case, planned)} {case.name:<{_NAME_WIDTH}} {_time(case.seconds)}"
        )
        for line in _remarks(case, verbose=self._verbose):
            self._say(f"          {line}")

    def serial(self, line: str) -> None:
        """The guest's console."""
        if self._verbose:
            self._say(f"    | {line}")

    def _say(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


class LiveView:
    """Colours, and a last line that says what goes on; `verbose` adds the guest's console."""

    def __init__(self, out: TextIO, *, verbose: bool = False) -> None:
        from rich.console import Console

        self._console = Console(file=out, highlight=False)
        self._verbose = verbose
        self._status: Status | None = None

    def __enter__(self) -> Self:
        self._status = self._console.status("")
        self._status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self._status is not None:
            self._status.stop()

    def phase(self, name: str) -> None:
        """A step begins."""
        self._now(name)

    def booted(self, *, server: int | None, qemu: int) -> None:
        """The processes are there."""
        if self._verbose:
            self._console.print(f"server: process {server or '-'}, QEMU: process {qemu}", markup=False)

    def case(self, case: Case, *, planned: int | None) -> None:
        """One test ended."""
        from rich.text import Text

        line = Text.assemble(
            (f"{_WORDS[case.verdict]:>5}", _COLOURS[case.verdict]),
            (f" {_numbered(case, planned)} ", "dim"),
            f"{case.name:<{_NAME_WIDTH}} ",
            (_time(case.seconds), "dim"),
        )
        self._console.print(line, soft_wrap=True)
        for remark in _remarks(case, verbose=self._verbose):
            self._console.print(Text(f"          {remark}", style="dim"), soft_wrap=True)
        self._now(f"tests: {case.number} of {planned or '?'}")

    def serial(self, line: str) -> None:
        """The guest's console."""
        if self._verbose:
            self._console.print(f"    | {line}", markup=False, style="cyan", soft_wrap=True)

    def _now(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)


def view_for(out: TextIO, *, verbose: bool) -> View:
    """The live one on a terminal."""
    return LiveView(out, verbose=verbose) if out.isatty() else PlainView(out, verbose=verbose)


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that share a row of the table."""

    title: str
    cases: tuple[Case, ...]

    def count(self, *verdicts: Verdict) -> int:
        """How many ended so."""
        return sum(case.verdict in verdicts for case in self.cases)

    @property
    def seconds(self) -> float:
        """The time of all."""
        return sum(case.seconds for case in self.cases)


def grouped(cases: Iterable[Case], *, most: int = 10) -> list[Group]:
    """Neighbours in one row: those of one group if the guest names groups, else up to `most`, named by the first."""
    listed = list(cases)
    if any(case.group for case in listed):
        parts = [tuple(part) for _, part in itertools.groupby(listed, key=lambda case: case.group)]
        return [Group(part[0].group or "(no group)", part) for part in parts]
    chunks = (tuple(listed[i : i + most]) for i in range(0, len(listed), most))
    return [Group(_title(part), part) for part in chunks]


def tables(result: RunResult, *, width: int = 100) -> list[str]:
    """The results and the timings as lines of text."""
    name_width = max(30, min(62, width - 38))
    rows: list[Sequence[str]] = [(f"cases, guest {result.guest.name}", "passed", "failed", "skipped", "time")]
    for group in grouped(result.report.cases):
        counts = (str(n) if n else "-" for n in _counts(group))
        rows.append((_cut(group.title, name_width), *counts, _time(group.seconds).strip()))
    lines = [_row(row, name_width) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    if result.contract is not None:
        lines += [lines[1], result.contract.line]
        if result.contract.seen.seed is not None:
            lines[-1] += f" (random lengths: --seed {result.contract.seen.seed})"
    slow = sorted(result.report.cases, key=lambda case: -case.seconds)[:3]
    if slow:
        lines += ["", "slowest: " + ", ".join(f"{case.name} {_time(case.seconds).strip()}" for case in slow)]
    steps = "  ".join(f"{phase.name} {phase.seconds:.2f}" for phase in result.phases)
    lines.append(f"seconds: {steps}  all {result.seconds:.2f}")
    return lines


def table_of_boards(results: Sequence[RunResult]) -> list[str]:
    """A row a board, then why a board that was lost or has a fault beside its cases is not good."""
    width = max(20, *(len(result.board) for result in results))
    rows: list[Sequence[str]] = [("board", "passed", "failed", "skipped", "findings", "time")]
    for result in results:
        counts = (result.passed, result.failed, result.skipped, len(result.findings))
        rows.append((result.board, *(str(n) if n else "-" for n in counts), _time(result.seconds).strip()))
    lines = [_row(row, width) for row in rows]
    lines.insert(1, "-" * len(lines[0]))
    return [*lines, *(f"PROBLEM: {result.board}: {text}" for result in results for text in result.problems)]


def totals(results: Sequence[RunResult]) -> str:
    """The last line of all, as `RunResult.totals` has it of one."""
    counts = (sum(it.passed for it in results), sum(it.failed for it in results), sum(it.skipped for it in results))
    return "{} passed, {} failed, {} skipped".format(*counts)


def logs_line(result: RunResult) -> str:
    """Where its logs are, and which."""
    return f"logs: {result.logs} ({', '.join(sorted(path.name for path in result.logs.iterdir() if path.suffix))})"


def findings_line(result: RunResult) -> list[str]:
    """How often who was found at fault: there are cases that misuse the chip on purpose."""
    count = len(result.findings)
    return [f"findings: {count}, as cases that misuse the chip on purpose cause them ({FINDINGS})"] if count else []


def verdict_lines(result: RunResult) -> list[str]:
    """What went wrong, and what the guest said last if it was lost; nothing for a good run."""
    lines = []
    for case in result.report.cases:
        if not case.verdict.good:
            lines.append(f"{_WORDS[case.verdict]}: {case.name}{f' ({case.reason})' if case.reason else ''}")
            lines += [f"    {text}" for text in case.diagnostics]
    lines += [f"PROBLEM: {text}" for text in result.problems]
    for oops in result.oopses:
        lines += [f"    | {text}" for text in oops.lines[:20]]
    if result.lost is not None:
        lines += str(result.lost).splitlines()[1:]
    if not result.ok:
        lines += kept.lines(result.findings, FINDINGS)
    return lines


def say(lines: Iterable[str], out: TextIO | None = None) -> None:
    """Print them."""
    for line in lines:
        print(line, file=out or sys.stdout)


def _counts(group: Group) -> Sequence[int]:
    return (
        group.count(Verdict.PASS, Verdict.XFAIL),
        group.count(Verdict.FAIL, Verdict.XPASS),
        group.count(Verdict.SKIP),
    )


def _row(cells: Sequence[str], name_width: int) -> str:
    name, *numbers = cells
    return f"{name:<{name_width}}" + "".join(f"{cell:>9}" for cell in numbers)


def _title(cases: Sequence[Case]) -> str:
    first, last = cases[0], cases[-1]
    return first.name if len(cases) == 1 else f"{first.number}-{last.number}  {first.name} ..."


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _remarks(case: Case, *, verbose: bool) -> tuple[str, ...]:
    """What the case said: all of it if it failed or `verbose`, the reason of a skip."""
    said = (case.reason,) if case.reason else ()
    return (*said, *case.diagnostics) if verbose or not case.verdict.good else said


def _numbered(case: Case, planned: int | None) -> str:
    return f"{case.number:>3}/{planned if planned is not None else '?'}"


def _time(seconds: float) -> str:
    return f"{seconds * 1000:7.1f} ms" if seconds < 1 else f"{seconds:7.2f} s "
