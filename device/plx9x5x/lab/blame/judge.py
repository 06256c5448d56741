# SPDX-License-Identifier: Apache-2.0
"""What was said of a switch, held against what was to be said."""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plx9x5x.findings.finding import Finding
from plx9x5x.lab.blame.corpus import Switch

_LINES: Final = 10
"""Of so many mistakes that are named the wrong line may be missed once."""
_BOOKS: Final = frozenset(("dma-free-mismatch", "dma-left"))
"""Rules of mistakes by which nthal's contract is violated as well."""
_WHERE: Final = re.compile(r"([^\s/]+:\d+)(?=$|,)")


class Verdict(enum.Enum):
    """What came of a switch in one guest. The values stand on the page."""

    NAMED = "named"
    UNSEEN = "-"
    """Nothing was said, and nothing was to be: there it does no harm, or none that anybody could see."""
    MISSED = "MISSED"
    """The rule was not named."""
    ACCUSED = "ACCUSED"
    """Something was said that has nothing to do with it."""
    LOST = "LOST"
    """The guest did not come so far, or the driver could not do what it was to."""

    @property
    def good(self) -> bool:
        """As it has to be."""
        return self in (Verdict.NAMED, Verdict.UNSEEN)


class Line(enum.Enum):
    """How well the line was told. The values stand on the page."""

    RIGHT = "yes"
    BESIDE = "beside"
    """Not first, but among the places of the finding."""
    WRONG = "no"
    NONE = ""
    """No place was told, or none was to be."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a guest of `shape` with `kernel` came to for a switch; `trouble` says why it is not known, if it is not."""

    switch: Switch
    shape: str
    kernel: str
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    broken: tuple[str, ...] = ()
    """Clauses of nthal that it violated."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict, who was named, the line, and the rules that were named although they were not to be."""

    said: Said
    verdict: Verdict
    who: str = ""
    line: Line = Line.NONE
    where: str = ""
    """The place that was told first, as `FILE:LINE`, and where that is inlined."""
    strange: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for people."""
        switch = self.said.switch
        rule = switch.rule_in(self.said.shape, self.said.kernel)
        more = {
            Verdict.MISSED: f"{rule} was not named; {self._heard}",
            Verdict.ACCUSED: f"{', '.join(self.strange)} of what {'is right' if switch.right else 'is another matter'}",
            Verdict.LOST: self.said.trouble,
            Verdict.NAMED: f"{rule}" + (f" in {self.where} ({self.line.value})" if self.where else ""),
        }.get(self.verdict, "")
        guest = f"{self.said.kernel} {self.said.shape}"
        return f"{self.verdict.value:8} {switch.parameter:26} {guest:14} {more}".rstrip()

    @property
    def _heard(self) -> str:
        names = ", ".join(dict.fromkeys(it.rule for it in self.said.findings))
        return f"heard: {names}" if names else "nothing was said"


def judge(said: Said) -> Judged:
    """Judge one switch in one guest."""
    switch = said.switch
    if said.trouble and not (switch.right and (said.findings or said.broken)):
        return Judged(said, Verdict.LOST)
    rule = switch.rule_in(said.shape, said.kernel)
    # A rule that is named where it was to be nothing is strange there, `also` or not.
    allowed = {rule, *switch.also} if rule else frozenset[str]()
    strange = tuple(dict.fromkeys(it.rule for it in said.findings if it.rule not in allowed))
    if rule not in _BOOKS:
        strange += said.broken
    if strange:
        return Judged(said, Verdict.ACCUSED, strange=strange)
    if not rule:
        return Judged(said, Verdict.UNSEEN)
    named = next((it for it in said.findings if it.rule == rule), None)
    if named is None:
        return Judged(said, Verdict.MISSED)
    places = places_of(named)
    line = Line.NONE
    if places:
        right = [any(frame in switch.lines for frame in place) for place in places]
        line = Line.RIGHT if right[0] else Line.BESIDE if any(right) else Line.WRONG
    return Judged(said, Verdict.NAMED, named.who.value, line, " < ".join(places[0]) if places else "")


def places_of(finding: Finding) -> tuple[tuple[str, ...], ...]:
    """The places of a finding, the main one first; those that are not known are left out.

    Each as `FILE:LINE`, and those of the functions that it is inlined in.
    """
    found = (tuple(_WHERE.findall(place.where)) for place in finding.places)
    return tuple(it for it in found if it)


def lines_missed(judged: Sequence[Judged]) -> str:
    """Why the lines are not told well enough, which is in nine of ten that are named; empty if they are."""
    named = [it for it in judged if it.verdict is Verdict.NAMED]
    missed = [it for it in named if it.line is not Line.RIGHT]
    if len(missed) * _LINES <= max(len(named), _LINES):
        return ""
    names = ", ".join(dict.fromkeys(it.said.switch.name for it in missed))
    return f"{len(named) - len(missed)} of {len(named)} are named with the wrong line first, and not {names}"
