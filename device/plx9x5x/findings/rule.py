# SPDX-License-Identifier: Apache-2.0
"""A rule: which event means that somebody did something wrong, and the words for people who want to know why."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from plx9x5x.findings.finding import Charge, UnknownRule, Who

EventT = TypeVar("EventT")

Looks = Mapping[type, Callable[[Any], Charge | None]]
"""By an event's class: what makes a charge of it, or nothing."""

_NEAR: Final = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of mistake.

    `meaning` is a paragraph; `wrong` and `right` are a few lines of C beside each other. `thorough` rules need
    `--findings all`: what they look at costs time.
    """

    name: str
    who: Who
    title: str
    meaning: str
    wrong: str
    right: str
    certain: bool = True
    thorough: bool = False
    looks: Looks = field(default_factory=dict)

    def charge(self, event: object) -> Charge | None:
        """What the rule makes of an event; None if that is no affair of its."""
        look = self.looks.get(type(event))
        return None if look is None else look(event)


def when(event: type[EventT], look: Callable[[EventT], Charge | None]) -> Looks:
    """Give the `looks` of a rule that cares for one class of events; typed, which a bare dict is not."""
    return {event: look}


def by_event(rules: Iterable[Rule]) -> dict[type, tuple[Rule, ...]]:
    """Which rules look at which class of events. Raises: ValueError for two rules of one name."""
    found: dict[type, tuple[Rule, ...]] = {}
    names: set[str] = set()
    for rule in rules:
        if rule.name in names:
            raise ValueError(f"two rules are called {rule.name}")
        names.add(rule.name)
        for event in rule.looks:
            found[event] = (*found.get(event, ()), rule)
    return found


def named(name: str, rules: Iterable[Rule]) -> Rule:
    """Find a rule. Raises: UnknownRule with the nearest names."""
    known = {rule.name: rule for rule in rules}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=_NEAR, cutoff=0.4)
    raise UnknownRule(f"no rule '{name}'; " + (f"did you mean {', '.join(near)}?" if near else ", ".join(known)))
