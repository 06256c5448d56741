# SPDX-License-Identifier: Apache-2.0
"""The room where findings are kept: events in, one finding a cause out, said once and then once a minute at most.

A guest is hostile: it may repeat a mistake millions of times, or make each one look new, or load its driver for ever.
What is kept is bounded by `most` for each load and `MOST_IN_ALL`, what is said by as many lines and one a minute for
each.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from plx9x5x.findings.finding import Charge, Finding
from plx9x5x.findings.place import NOWHERE, Source, Spot, Whereabouts, places, spots
from plx9x5x.findings.rule import Rule, by_event

MOST: Final = 64
"""Causes of one client, and of one load of its driver, that are told apart."""

MOST_IN_ALL: Final = 1024
"""Causes of one client, whatever it loads."""

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
    load: int
    spots: tuple[tuple[str, Spot], ...]


class Docket:
    """Takes events, keeps findings. `say` gets the lines for people; `now` is the host's clock, nanoseconds.

    `others` counts what came after the first `most` causes of its load of the driver, or after `MOST_IN_ALL`. The
    findings are one client's: `clear` begins afresh.
    `sources` says for an event where the driver's code was that did it, `whereabouts` knows such places.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        say: Callable[[str], None],
        *,
        most: int = MOST,
        now: Callable[[], int] = time.monotonic_ns,
        sources: Callable[[object], Sequence[Source]] = lambda _: (),
        whereabouts: Whereabouts = NOWHERE,
    ) -> None:
        self._rules = by_event(rules)
        self._say, self._most, self._now = say, most, now
        self._sources, self._whereabouts = sources, whereabouts
        self._cases: dict[tuple[int, str, tuple[object, ...]], _Case] = {}
        self._of_load: dict[int, int] = {}
        """How many causes each load has."""
        self._full: set[int | None] = set()
        """Loads of which it has been said that more causes are not told apart; None: of all."""
        self.others = 0

    def take(self, event: object, time_ns: int) -> None:
        """Look at an event that happened at `time_ns` of the device's clock."""
        for rule in self._rules.get(type(event), ()):
            charge = rule.charge(event)
            if charge is not None:
                self._enter(rule, charge, event, time_ns)

    def _enter(self, rule: Rule, charge: Charge, event: object, time_ns: int) -> None:
        load = self._whereabouts.load() if charge.load is None else charge.load
        key = (load, rule.name, charge.cause)
        case = self._cases.get(key)
        if case is None:
            self._open(key, rule, charge, event, time_ns)
            return
        case.count += 1
        case.last_ns = time_ns
        now = self._now()
        if now - case.said_at >= AGAIN_NS:
            self._say(f"{_finding(case)} - again: {case.count - case.said} x since, {case.count} in all")
            case.said_at, case.said = now, case.count

    def _open(
        self, key: tuple[int, str, tuple[object, ...]], rule: Rule, charge: Charge, event: object, time_ns: int
    ) -> None:
        load = key[0]
        if self._of_load.get(load, 0) >= self._most or len(self._cases) >= MOST_IN_ALL:
            self._say_full(load)
            self.others += 1
            return
        self._of_load[load] = self._of_load.get(load, 0) + 1
        found = spots(self._sources(event), self._whereabouts)
        case = self._cases[key] = _Case(rule, charge, 1, time_ns, time_ns, self._now(), 1, load, found)
        self._say(str(_finding(case)))

    def _say_full(self, load: int) -> None:
        """Say once of each load that has its causes, and once of all of them together."""
        in_all = len(self._cases) >= MOST_IN_ALL
        of = None if in_all else load
        if of in self._full or None in self._full:
            return
        self._full.add(of)
        count = len(self._cases) if in_all else self._of_load[load]
        where = f"load {load} of the driver: " if of else ""
        self._say(f"{where}{count} causes so far; more are counted and not told apart")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those so far, in the order in which they happened: some are told only once they are sure."""
        return tuple(_finding(case) for case in sorted(self._cases.values(), key=lambda case: case.first_ns))

    def clear(self) -> None:
        """Begin afresh, for another client."""
        self._cases.clear()
        self._of_load.clear()
        self._full.clear()
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
        places(case.spots),
        case.load,
    )
