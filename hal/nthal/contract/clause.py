# SPDX-License-Identifier: Apache-2.0
"""A clause of the contract as a value: words, source, confidence, and a predicate over a few named facts.

A check never answers with a bare boolean: a verdict says that the clause holds, is violated and why, does not apply, or
that a fact is missing. Source: reference hal-contract 0.1, 2 and 11.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Fact = int | str | bool | None
"""One observed or chosen value; integers are bytes, addresses or status values as the fact's name says."""


class Kind(enum.Enum):
    """How a check ends."""

    HOLDS = "holds"
    VIOLATED = "violated"
    NOT_APPLICABLE = "not applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check's answer; `why` names the facts, or what is missing, and `missing` that alone."""

    kind: Kind
    why: str
    missing: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.why}"


class MissingFact(LookupError):
    """A predicate asked for a fact that nobody observed."""


class Facts:
    """Facts by name, typed as they are asked for. Remembers what was asked, for the words of a verdict."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self._facts = facts
        self.asked: dict[str, Fact] = {}

    def _get(self, name: str) -> Fact:
        if name not in self._facts:
            raise MissingFact(name)
        self.asked[name] = self._facts[name]
        return self._facts[name]

    def n(self, name: str) -> int:
        """Give a number. Raises: MissingFact."""
        value = self._get(name)
        if not isinstance(value, int):
            raise MissingFact(f"{name} as a number")
        return value

    def yes(self, name: str) -> bool:
        """Give a truth value. Raises: MissingFact."""
        return bool(self._get(name))

    def text(self, name: str) -> str:
        """Give a word. Raises: MissingFact."""
        return str(self._get(name))


Predicate = Callable[[Facts], bool]
Exemption = Callable[[Facts], str]
"""Why a clause says nothing of the facts; an empty text if it does."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause. `confidence` is A to D; `good` and `bad` are facts that pass and violate it.

    `linux` marks clauses that a Linux guest's dma_alloc_coherent promises too (reference 8.2). `question` is the open
    question ("AM-07") from whose default answer the clause follows: a system known to answer it otherwise is not bound.
    `exempt` says of facts why the clause does not apply to them.
    """

    id: str
    text: str
    source: str
    confidence: str
    holds: Predicate
    good: Mapping[str, Fact]
    bad: Mapping[str, Fact]
    advisory: bool = False
    linux: bool = False
    question: str = ""
    exempt: Exemption | None = None

    def check(self, facts: Mapping[str, Fact]) -> Verdict:
        """Judge the facts."""
        asked = Facts(facts)
        try:
            if self.exempt is not None and (why := self.exempt(asked)):
                return Verdict(Kind.NOT_APPLICABLE, f"{self.id}: {why}")
            holds = self.holds(asked)
        except MissingFact as missing:
            return Verdict(Kind.UNKNOWN, f"{self.id} needs the fact {missing}", str(missing))
        return Verdict(Kind.HOLDS if holds else Kind.VIOLATED, f"{told(asked.asked)}; {self.text}")


def told(facts: Mapping[str, Fact]) -> str:
    """Facts as a line of text."""
    return ", ".join(f"{name}={_show(value)}" for name, value in facts.items())


def _show(value: Fact) -> str:
    return hex(value) if isinstance(value, int) and not isinstance(value, bool) and value > 9 else str(value)


def pages(length: int, page_size: int) -> int:
    """Pages that `length` bytes need at least; written out again so that the clauses do not lean on the model."""
    return (length + page_size - 1) // page_size


def driver_flushes(f: Facts) -> str:
    """Exempt the one buffer whose two sides need a flush to agree (CB-65, AM-20)."""
    return "cached memory where DMA is not coherent is the driver's to flush" if f.yes("driver_flushes") else ""
