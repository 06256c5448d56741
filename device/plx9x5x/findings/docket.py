# SPDX-License-Identifier: Apache-2.0
"""The room where findings are kept: events in, one finding a cause out, said once and then once a minute at most.

A guest is hostile: it may repeat a mistake millions of times, or make each one look new. What is kept is bounded by
`most`, what is said by `most` lines and one a minute for each.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from plx9x5x.findings.finding import Charge, Finding
from plx9x5x.findings.rule import Rule, by_event

MOST: Final = 64
"""Causes of one client that are told apart."""

AGAIN_NS: Final = 60_000_000_000
"""What has been said is not said again for so long."""


@dataclass(slots=True)
class _Case:
    rule: Rule
    charge: Charge
    count: int
    first_ns: int
    last_ns: int
    said_at: int
    said: int
    """The count when it was said last."""


class Docket:
    """Takes events, keeps findings. `say` gets the lines for people; `now` is the host's clock, nanoseconds.

    `others` counts what came after the first `most` causes. The findings are one client's: `clear` begins afresh.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        say: Callable[[str], None],
        *,
        most: int = MOST,
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._rules = by_event(rules)
        self._say, self._most, self._now = say, most, now
        self._cases: dict[tuple[str, tuple[object, ...]], _Case] = {}
        self.others = 0

    def take(self, event: object, time_ns: int) -> None:
        """Look at an event that happened at `time_ns` of the device's clock."""
        for rule in self._rules.get(type(event), ()):
            charge = rule.charge(event)
            if charge is not None:
                self._enter(rule, charge, time_ns)

    def _enter(self, rule: Rule, charge: Charge, time_ns: int) -> None:
        key = (rule.name, charge.cause)
        case = self._cases.get(key)
        if case is None:
            self._open(key, rule, charge, time_ns)
            return
        case.count += 1
        case.last_ns = time_ns
        now = self._now()
        if now - case.said_at >= AGAIN_NS:
            self._say(f"{_finding(case)} - again: {case.count - case.said} x since, {case.count} in all")
            case.said_at, case.said = now, case.count

    def _open(self, key: tuple[str, tuple[object, ...]], rule: Rule, charge: Charge, time_ns: int) -> None:
        if len(self._cases) >= self._most:
            if not self.others:
                self._say(f"{self._most} causes so far; more are counted and not told apart")
            self.others += 1
            return
        case = self._cases[key] = _Case(rule, charge, 1, time_ns, time_ns, self._now(), 1)
        self._say(str(_finding(case)))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those so far, in the order in which they came."""
        return tuple(_finding(case) for case in self._cases.values())

    def clear(self) -> None:
        """Begin afresh, for another client."""
        self._cases.clear()
        self.others = 0


def _finding(case: _Case) -> Finding:
    rule, charge = case.rule, case.charge
    return Finding(
        rule.name,
        rule.who,
        rule.certain,
        charge.what,
        charge.evidence,
        charge.remedy,
        case.count,
        case.first_ns,
        case.last_ns,
    )
