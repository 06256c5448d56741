# SPDX-License-Identifier: Apache-2.0
"""A plan as values: what was asked for, in sentences that were understood."""

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.faults.kinds import BUS, INTERRUPT, READ, TRANSFER, WRITE, Kind, Occurrence, Place, Value, writes_value


class FaultPlan(BadRequest):
    """A sentence of a plan of faults that says nothing; the message names what was meant, perhaps, and where."""


class At(enum.Enum):
    """What a fault can wait for."""

    TRANSFER = "transfer"
    ACCESS = "access"
    READ = "read"
    WRITE = "write"
    INTERRUPT = "interrupt"
    BEGIN = "the first access to a BAR"


_STREAMS: Final = {At.TRANSFER: (TRANSFER,), At.READ: (READ,), At.WRITE: (WRITE,), At.INTERRUPT: (INTERRUPT,)}


@dataclass(frozen=True, slots=True)
class Point:
    """The `number`-th (from 1) of something; of a register, if one is named, and of one value written."""

    at: At
    number: int = 1
    place: Place | None = None
    value: int | None = None

    def counts(self, occurrence: Occurrence, unit: int | None) -> bool:
        """True if it is one of those that are counted; what has neither register nor stream is the kind's to say."""
        if occurrence.stream not in _STREAMS.get(self.at, (READ, WRITE)):
            return False
        if self.at is At.BEGIN:
            return occurrence.bar >= 0
        if self.at is At.TRANSFER:
            return unit in (None, occurrence.unit)
        if self.place is None:
            return self.at is At.INTERRUPT
        if self.place.overlap(occurrence.bar, occurrence.offset, occurrence.width) is None:
            return False
        return self.value is None or writes_value(occurrence, self.place, self.value)


@dataclass(frozen=True, slots=True)
class Planned:
    """One sentence.

    It comes to be due at `point` (None: from the start), `delay_ns` later. Then it strikes `times` (None: without an
    end), for `lasts_ns`, at each `every`-th occurrence that its kind is about, at `addresses`, by the `chance` given.
    """

    text: str
    kind: Kind
    card: int = 1
    unit: int | None = None
    told: Mapping[str, Value] | None = None
    point: Point | None = None
    delay_ns: int = 0
    every: int = 1
    times: int | None = 1
    lasts_ns: int | None = None
    addresses: tuple[int, int] | None = None
    chance: float = 1.0

    def number(self, word: str, default: int) -> int:
        """What was said after `word`."""
        value = (self.told or {}).get(word)
        return value if isinstance(value, int) else default

    @property
    def place(self) -> Place | None:
        """The register that it is about."""
        place = (self.told or {}).get("of", self.kind.place)
        return place if isinstance(place, Place) else None

    def concerns(self, occurrence: Occurrence) -> bool:
        """True if it could strike there, once it is due."""
        if not self.kind.concerns(occurrence, self.unit, self.told or {}):
            return False
        if self.addresses is None or occurrence.stream != BUS:
            return True
        first, last = self.addresses
        return occurrence.address <= last and first < occurrence.address + max(1, occurrence.length)


def listed(faults: object) -> tuple[str, ...]:
    """Sentences as somebody gave them in Python. Raises: TypeError for one alone, which is a row of letters."""
    if isinstance(faults, str | bytes) or not isinstance(faults, Iterable):
        raise TypeError(f"faults takes a list of sentences, not {faults!r}: say faults=[{faults!r}]")
    return tuple(map(str, faults))


def nanoseconds(number: float, unit: str) -> int:
    """A time as people write it. Raises: FaultPlan for one that is none."""
    scale = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}[unit]
    if not math.isfinite(number) or number * scale > LONGEST_NS:
        raise FaultPlan(f"{number:g} {unit} is too long a time: at most {LONGEST_NS // 1_000_000_000} s")
    return round(number * scale)


LONGEST_NS: Final = 86_400_000_000_000
"""A day."""
