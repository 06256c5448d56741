# SPDX-License-Identifier: Apache-2.0
"""When a planned fault strikes: it waits for its point, is due for a while or some times, and hears of all that occurs.

::

    waits --point, then delay--> due --strikes `times`, or `lasts_ns` are over--> over

`lasts_ns` count from when it is due; of a prompt one, which has to begin first, from when it began: nobody may have
looked at the device at the time.

Everything is counted from a client's first access; another client finds the plan afresh. The same plan, seed and
occurrences strike alike: each sentence has a random generator of its own.
"""

import random
from collections.abc import Callable, Iterable
from typing import Final

from plx9x5x.faults.kinds import READ, WRITE, Kind, Occurrence, Strike
from plx9x5x.faults.plan import At, Planned
from plx9x5x.ports import Clock


class Live:
    """One planned fault as it goes. `number` is its place in the plan, from 1."""

    def __init__(self, number: int, planned: Planned, seed: int) -> None:
        self.number: Final = number
        self.planned: Final = planned
        self._seed = f"{seed} {number} {planned.text}"
        self.restart()

    def restart(self) -> None:
        """Wait again, as for a new client."""
        self.struck = 0
        self.first_ns = self.last_ns = 0
        self.first_where = ""
        self._met = self._counted = 0
        self._chance = random.Random(self._seed)  # noqa: S311 - it has to be the same every time
        self.due_at: int | None = 0 if self.planned.point is None and not self.planned.delay_ns else None
        self.ends_at: int | None = None
        self._fired = self.planned.point is None
        self.memory: dict[tuple[int, int, int], int] = {}
        """What registers were read as, for a fault that remembers."""

    @property
    def kind(self) -> Kind:
        """What it does."""
        return self.planned.kind

    def feed(self, occurrence: Occurrence, now: int) -> None:
        """Count an occurrence towards its point."""
        point = self.planned.point
        if self._fired or point is None:
            return
        if point.at is At.ACCESS and point.place is None:
            counted = self.planned.concerns(occurrence)
        else:
            counted = point.counts(occurrence, self.planned.unit)
        if not counted:
            return
        self._counted += 1
        if self._counted == point.number:
            self._fired = True
            self.due_at = now + self.planned.delay_ns

    def is_due(self, now: int) -> bool:
        """True while it may strike."""
        if self.due_at is None or now < self.due_at:
            return False
        if self.planned.times is not None and self.struck >= self.planned.times:
            return False
        lasts = self.planned.lasts_ns
        if lasts is not None and self.ends_at is None and self.planned.point is not None and not self.kind.prompt:
            self.ends_at = self.due_at + lasts
        return self.ends_at is None or now < self.ends_at

    def hits(self, occurrence: Occurrence, now: int) -> bool:
        """True if it strikes at that; it is counted by `strike`."""
        if not self.planned.concerns(occurrence) or not self.is_due(now):
            return False
        self._met += 1
        if self._met % self.planned.every:
            return False
        return self.planned.chance >= 1 or self._chance.random() < self.planned.chance

    def strike(self, where: str, now: int) -> None:
        """Count a strike."""
        self.struck += 1
        if self.struck == 1:
            self.first_ns, self.first_where = now, where
            if self.planned.lasts_ns is not None and self.ends_at is None:
                self.ends_at = now + self.planned.lasts_ns
        self.last_ns = now

    def json(self) -> dict[str, object]:
        """What a program reads of it (docs/faults.md)."""
        return {
            "fault": self.planned.text,
            "kind": self.kind.name,
            "struck": self.struck,
            "first_s": self.first_ns / 1e9 if self.struck else None,
            "last_s": self.last_ns / 1e9 if self.struck else None,
            "first": self.first_where,
        }


class Injector:
    """All faults of one device. `tell` hears of each strike; `clock` is the device's."""

    def __init__(
        self, plan: Iterable[Planned], *, clock: Clock, seed: int = 0, tell: Callable[[Strike], None] = lambda _: None
    ) -> None:
        self.clock: Final = clock
        self._tell = tell
        self.lives: Final = tuple(Live(number, planned, seed) for number, planned in enumerate(plan, 1))
        self._at: dict[str, tuple[Live, ...]] = {}
        for live in self.lives:
            if not (live.kind.prompt or live.kind.standing):
                self._at[live.kind.stream] = (*self._at.get(live.kind.stream, ()), live)
        self._prompt: Final = tuple(live for live in self.lives if live.kind.prompt)
        self._doers: dict[str, tuple[Callable[[Live], None], Callable[[Live], None]]] = {}
        self._going: list[Live] = []
        """Prompt ones that have begun, and whose end is to come."""
        self._stood = False

    def on(self, kind: str, begin: Callable[[Live], None], end: Callable[[Live], None] = lambda _: None) -> None:
        """Say who does what a prompt kind does, and ends it."""
        self._doers[kind] = begin, end

    def planned(self, *streams: str) -> bool:
        """True if some fault acts there."""
        return any(live.kind.stream in streams and not live.kind.standing for live in self.lives)

    def see(self, occurrence: Occurrence) -> None:
        """Be told of what happens, before it does."""
        now = self.clock.now()
        if not self._stood and occurrence.stream in (READ, WRITE):
            self._stand(now)
        for live in self.lives:
            live.feed(occurrence, now)
        for live in self._prompt:
            if live not in self._going and (_first(live, now) or live.hits(occurrence, now)):
                self._begin(live, str(occurrence), now)

    def strike(self, occurrence: Occurrence) -> Live | None:
        """Give the fault that strikes there, if one does; it has been told of then."""
        lives = self._at.get(occurrence.stream)
        if not lives:
            return None
        now = self.clock.now()
        hit = None
        for live in lives:
            # All of them count; the first one acts.
            if live.hits(occurrence, now) and hit is None:
                hit = live
        if hit is not None:
            self.note(hit, str(occurrence), now)
        return hit

    def note(self, live: Live, where: str, now: int | None = None) -> None:
        """Count and tell a strike."""
        at = self.clock.now() if now is None else now
        live.strike(where, at)
        self._tell(Strike(live.number, live.planned.text, live.kind.name, live.struck, at, where))

    def tick(self) -> None:
        """Let time pass: what is due by now begins, what is over ends."""
        if not self._prompt:
            return
        now = self.clock.now()
        for live in tuple(self._going):
            if live.ends_at is not None and now >= live.ends_at:
                self._going.remove(live)
                self._doers[live.kind.name][1](live)
        for live in self._prompt:
            if live not in self._going and _first(live, now):
                self._begin(live, "its time", now)

    def _begin(self, live: Live, where: str, now: int) -> None:
        if live.kind.name not in self._doers:
            return
        self.note(live, where, now)
        if live.kind.lasting:
            self._going.append(live)
        self._doers[live.kind.name][0](live)

    def next_at(self) -> int | None:
        """When time alone has something to do; None if it has not."""
        times = [live.ends_at for live in self._going if live.ends_at is not None]
        times += [
            live.due_at
            for live in self._prompt
            if live.due_at is not None and live.kind.name in self._doers and _comes_by_itself(live)
        ]
        return min(times, default=None)

    def _stand(self, now: int) -> None:
        """Count those that are there from power-on, now that somebody looks at the card."""
        self._stood = True
        for live in self.lives:
            if live.kind.standing:
                self.note(live, "power-on", now)

    def restart(self) -> None:
        """A new client comes: all waits again."""
        self._stood = False
        self._going.clear()
        for live in self.lives:
            live.restart()

    def record(self) -> list[dict[str, object]]:
        """What was planned, and how often it struck."""
        return [live.json() for live in self.lives]


def _comes_by_itself(live: Live) -> bool:
    """True for a prompt one that waits for its time, or its point, alone: that needs no occurrence of its own."""
    return live.planned.point is not None and not live.struck


def _first(live: Live, now: int) -> bool:
    """True if its point, or its time, has come and it has not struck."""
    return _comes_by_itself(live) and live.is_due(now)
