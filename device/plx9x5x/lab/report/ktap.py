# SPDX-License-Identifier: Apache-2.0
"""Read KTAP, the text in which a guest reports its tests, as it arrives.

`Parser.feed` takes bytes in any pieces and gives the tests that ended; `Parser.finish` gives the `Report`. Nothing is
trusted: junk between the lines is kept and ignored, and whatever makes the report less than complete (no plan, tests
without a result, a number twice, a last line cut in the middle, `Bail out!`, totals that do not add up) is named in
`Report.problems`. Indented lines are subtests: they are kept with the next test and must not fail under a passing one.
A diagnostic `observed ...` is for a program (`lab.contract.guest`), not for people, and kept apart.

Source: Linux Documentation/dev-tools/ktap.rst.
"""

import enum
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_LINE: Final = 64 * 1024
"""A line that grows beyond this is cut: a guest that never sends a newline must not fill our memory."""
MAX_KEPT: Final = 2000
"""Lines of junk, or of diagnostics for one test, or problems, that are kept."""
MAX_CASES: Final = 10_000
"""Results that are taken; a guest that goes on is told so in a problem and read no further."""

_VERSION: Final = re.compile(r"K?TAP version (\d+)\s*$")
_PLAN: Final = re.compile(r"1\.\.(\d{1,9})\s*(?:#\s*(.*))?$")
_RESULT: Final = re.compile(r"(not )?ok\b[ \t]*(\d{1,9}(?!\d))?(?:[ \t]+-(?=[ \t]|$))?[ \t]*(.*)$")
_DIRECTIVE: Final = re.compile(r"(?:^|\s)#\s*(SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b:?\s*(.*)$", re.IGNORECASE)
_TIME: Final = re.compile(r"time (\S+) us=(\d{1,15})$")
_OBSERVED: Final = "observed "
_GROUP: Final = re.compile(r"group (\S.*)$")
_TOTALS: Final = re.compile(r"#\s*Totals:((?:\s*\w+:\d{1,9})+)\s*$", re.IGNORECASE)


class Verdict(enum.StrEnum):
    """How a test ended, in the words of the totals line."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "xfail"
    XPASS = "xpass"

    @property
    def good(self) -> bool:
        """False if this verdict fails a run: a failure, or a success that was not expected."""
        return self not in (Verdict.FAIL, Verdict.XPASS)


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `reason` is what the directive says.

    `seconds` is the time that the guest gives in a diagnostic `time NAME us=N`, which is taken out of the others;
    without one, the time since the result before. `group` is what its last diagnostic `group NAME` said; `observed`
    are its diagnostics of that kind, without the word.
    """

    number: int
    name: str
    verdict: Verdict
    reason: str = ""
    diagnostics: tuple[str, ...] = ()
    subtests: tuple["Case", ...] = ()
    seconds: float = 0.0
    group: str = ""
    observed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All that a guest said. `planned` is None without a plan.

    `trailing` are diagnostics after the last test, `trailing_observed` those of that kind.
    """

    cases: tuple[Case, ...] = ()
    planned: int | None = None
    problems: tuple[str, ...] = ()
    trailing: tuple[str, ...] = ()
    trailing_observed: tuple[str, ...] = ()
    junk: tuple[str, ...] = ()
    bailed_out: str | None = None
    started: bool = False

    @property
    def ok(self) -> bool:
        """True if every planned test reported, none failed, and the report has no fault of its own."""
        return not self.problems and all(c.verdict.good for c in self.cases)

    @property
    def passed(self) -> int:
        """Tests that passed, or failed as they were expected to."""
        return sum(c.verdict in (Verdict.PASS, Verdict.XFAIL) for c in self.cases)

    @property
    def failed(self) -> int:
        """Tests that failed, or passed against expectation, or were planned and never reported."""
        missing = max(0, (self.planned or 0) - len({c.number for c in self.cases}))
        return sum(not c.verdict.good for c in self.cases) + missing

    @property
    def skipped(self) -> int:
        """Tests that did not run, and say why."""
        return sum(c.verdict is Verdict.SKIP for c in self.cases)

    def find(self, name: str) -> Case | None:
        """The test of that name, the last one if there are several."""
        return next((c for c in reversed(self.cases) if c.name == name), None)

    def missing(self, expected: Iterable[str]) -> tuple[str, ...]:
        """Names of `expected` that have no result here, in their order."""
        seen = {c.name for c in self.cases}
        return tuple(name for name in expected if name not in seen)

    def totals(self) -> str:
        """The one line that everybody reads."""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def summary(self) -> str:
        """Totals, every failure with what it said, and what is wrong with the report itself."""
        lines = [self.totals()]
        for case in self.cases:
            if not case.verdict.good:
                lines.append(f"{case.verdict}: {case.number} {case.name}{f' ({case.reason})' if case.reason else ''}")
                lines.extend(f"    {text}" for text in case.diagnostics)
        lines.extend(f"problem: {text}" for text in self.problems)
        return "\n".join(lines)


@dataclass(slots=True)
class _Pending:
    """What belongs to the next test."""

    diagnostics: list[str] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)
    subtests: list[Case] = field(default_factory=list)


class Parser:
    """Reads one stream. Never raises on input and never waits for any."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tail = b""
        self._cutting = False
        self._started = False
        self._planned: int | None = None
        self._plan_seen = False
        self._cases: list[Case] = []
        self._numbers: set[int] = set()
        self._pending = _Pending()
        self._group = ""
        self._problems: list[str] = []
        self._junk: list[str] = []
        self._excess = 0
        self._bailed: str | None = None
        self._totals: dict[str, int] | None = None
        self._last = clock()

    @property
    def started(self) -> bool:
        """True once the version line, a plan or a result was seen."""
        return self._started

    @property
    def planned(self) -> int | None:
        """How many tests the plan names; None as long as there is no plan."""
        return self._planned

    @property
    def complete(self) -> bool:
        """True once every planned test has reported, or the guest gave up."""
        return self._bailed is not None or (self._planned is not None and len(self._numbers) >= self._planned)

    @property
    def over(self) -> bool:
        """True once the guest said that it has said all: its totals, or that it gives up."""
        return self._bailed is not None or self._totals is not None

    def feed(self, data: bytes) -> list[Case]:
        """Take the next bytes; give the tests that ended in them."""
        before = len(self._cases)
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            if self._cutting:  # the rest of a line that was already taken
                self._cutting = False
            else:
                self._line(line)
        if len(self._tail) > MAX_LINE:
            if not self._cutting:
                self._problem(f"a line is longer than {MAX_LINE} bytes")
                self._line(self._tail[:MAX_LINE])
            self._cutting, self._tail = True, b""
        return self._cases[before:]

    def finish(self) -> Report:
        """Give the report as it stands; harmless to call early, and more than once."""
        problems = list(self._problems)
        if self._tail:
            problems.append(f"the stream ends inside a line: {_text(self._tail)[:120]!r}")
        if self._bailed is not None:
            problems.append(f"Bail out! {self._bailed}".rstrip())
        if self._excess:
            problems.append(f"{self._excess} results after the first {MAX_CASES} were not taken")
        problems += self._check_plan()
        problems += self._check_totals()
        return Report(
            cases=tuple(self._cases),
            planned=self._planned,
            problems=tuple(problems),
            trailing=tuple(self._pending.diagnostics),
            trailing_observed=tuple(self._pending.observed),
            junk=tuple(self._junk),
            bailed_out=self._bailed,
            started=self._started,
        )

    def _line(self, raw: bytes) -> None:
        text = _text(raw)
        body = text.lstrip(" \t")
        if not body:
            return
        if len(body) < len(text):
            self._indented(body)
        elif match := _VERSION.match(body):
            if self._started and (self._plan_seen or self._cases):
                self._problem("a second report begins inside the first")
            self._begin()
        elif match := _PLAN.match(body):
            self._plan(int(match[1]), match[2] or "")
        elif match := _RESULT.match(body):
            self._result(match)
        elif body.startswith("Bail out!"):
            self._started = True
            self._bailed = body[len("Bail out!") :].strip()
        elif match := _TOTALS.match(body):
            self._totals = {k.lower(): int(v) for k, v in (pair.split(":") for pair in match[1].split())}
        elif body.startswith("#"):
            said = body[1:].strip()
            if match := _GROUP.match(said):
                self._group = match[1]
            elif said.startswith(_OBSERVED):
                _keep(self._pending.observed, said.removeprefix(_OBSERVED))
            else:
                _keep(self._pending.diagnostics, said)
        else:
            _keep(self._junk, body)

    def _begin(self) -> None:
        self._started = True
        self._last = self._clock()

    def _plan(self, count: int, note: str) -> None:
        self._started = True
        if self._plan_seen:
            self._problem(f"a second plan, 1..{count}")
            return
        self._plan_seen, self._planned = True, count
        if count == 0:
            reason = re.sub(r"^SKIP\b:?\s*", "", note, flags=re.IGNORECASE)
            self._problem(f"the plan has no tests{f': {reason}' if reason else ''}")

    def _problem(self, text: str) -> None:
        _keep(self._problems, text)

    def _result(self, match: re.Match[str]) -> None:
        self._started = True
        if len(self._cases) >= MAX_CASES:
            self._pending = _Pending()
            self._excess += 1
            return
        number = int(match[2]) if match[2] else len(self._cases) + 1
        now = self._clock()
        case = _case(match, number, pending=self._pending, seconds=now - self._last, group=self._group)
        self._last = now
        self._pending = _Pending()
        if number in self._numbers:
            self._problem(f"number {number} comes twice (the second time for {case.name!r})")
        elif number != len(self._cases) + 1:
            self._problem(f"number {number} ({case.name!r}) comes as test {len(self._cases) + 1}")
        if case.verdict is Verdict.PASS and (bad := [s.name for s in case.subtests if not s.verdict.good]):
            self._problem(f"{case.name!r} is ok although its subtests failed: {', '.join(bad)}")
        self._numbers.add(number)
        self._cases.append(case)

    def _indented(self, body: str) -> None:
        """Subtests of any depth: their results count for the next test, their diagnostics go with it."""
        if match := _RESULT.match(body):
            number = int(match[2]) if match[2] else len(self._pending.subtests) + 1
            if len(self._pending.subtests) < MAX_KEPT:
                self._pending.subtests.append(_case(match, number, pending=_Pending(), seconds=0.0))
        elif body.startswith("#"):
            _keep(self._pending.diagnostics, body[1:].strip())
        elif not _PLAN.match(body) and not _VERSION.match(body):
            _keep(self._junk, body)

    def _check_plan(self) -> list[str]:
        if not self._started:
            return ["there is no report: not one line of KTAP came"]
        if self._planned is None:
            if self._bailed is not None:
                return []
            return [f"there is no plan, so {len(self._cases)} results may not be all"]
        problems = []
        if absent := [n for n in range(1, min(self._planned, 100_000) + 1) if n not in self._numbers]:
            problems.append(f"{len(absent)} of {self._planned} planned tests have no result: {_ranges(absent)}")
        if extra := sorted(n for n in self._numbers if n > self._planned or n == 0):
            problems.append(f"results beyond the plan 1..{self._planned}: {_ranges(extra)}")
        return problems

    def _check_totals(self) -> list[str]:
        if self._totals is None:
            return []
        counted = Counter(str(c.verdict) for c in self._cases)
        counted["error"] = 0
        wrong = {k: v for k, v in self._totals.items() if counted.get(k, 0) != v}
        # A guest may count its errors apart; here they are failures.
        if (
            set(wrong) <= {"fail", "error"}
            and sum(self._totals.get(k, 0) for k in ("fail", "error")) == counted["fail"]
        ):
            return []
        return [f"the totals say {k}:{v}, the results {k}:{counted.get(k, 0)}" for k, v in wrong.items()]


def parse(data: bytes) -> Report:
    """Read a whole report at once."""
    parser = Parser(clock=lambda: 0.0)
    parser.feed(data)
    return parser.finish()


def _case(match: re.Match[str], number: int, *, pending: _Pending, seconds: float, group: str = "") -> Case:
    failed, rest = bool(match[1]), match[3]
    directive, reason = "", ""
    if found := _DIRECTIVE.search(rest):
        directive, reason, rest = found[1].upper(), found[2].strip(), rest[: found.start()]
    elif " # " in rest:
        rest, _, reason = rest.partition(" # ")
    name = rest.strip() or f"test {number}"
    diagnostics: list[str] = []
    for line in pending.diagnostics:
        if (timed := _TIME.match(line)) and timed[1] == name:
            seconds = int(timed[2]) / 1e6
        else:
            diagnostics.append(line)
    return Case(
        number=number,
        name=name,
        verdict=_verdict(directive, failed=failed),
        reason=reason.strip(),
        diagnostics=tuple(diagnostics),
        subtests=tuple(pending.subtests),
        seconds=seconds,
        group=group,
        observed=tuple(pending.observed),
    )


def _verdict(directive: str, *, failed: bool) -> Verdict:
    match directive:
        case "SKIP":
            return Verdict.SKIP
        case "TODO" | "XFAIL":
            return Verdict.XFAIL if failed else Verdict.XPASS
        case "TIMEOUT" | "ERROR":
            return Verdict.FAIL
        case _:
            return Verdict.FAIL if failed else Verdict.PASS


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace").rstrip("\r\n \t")


def _keep(into: list[str], text: str) -> None:
    if len(into) < MAX_KEPT:
        into.append(text)


def _ranges(numbers: Sequence[int]) -> str:
    """Write 1, 2, 3, 7 as '1-3, 7'."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:20]) + (", ..." if len(runs) > 20 else "")
