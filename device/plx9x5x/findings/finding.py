# SPDX-License-Identifier: Apache-2.0
"""A finding as a value: who did what wrong, how sure that is, what shows it, and what mends it."""

import enum
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.findings.place import Place, place_from_json

_NS_PER_S: Final = 1_000_000_000


class Who(enum.Enum):
    """Who is at fault."""

    DRIVER = "driver"
    GUEST_SETUP = "guest set-up"
    """The machine around the driver: its memory, its IOMMU, QEMU's command line."""
    TRANSPORT = "transport"
    BOARD = "board"
    MODEL = "chip model"


class UnknownRule(BadRequest):
    """No rule has that name; the message lists those that there are."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a rule makes of one event.

    `cause` tells one cause from another: two charges of one rule with the same cause are one finding, counted twice.
    `what` is a sentence without its end; `evidence` (name, value) pairs in the order in which they are shown. `load` is
    which load of the driver it is about, where the event knows better than the clock.
    """

    cause: tuple[object, ...]
    what: str
    evidence: tuple[tuple[str, str], ...] = ()
    remedy: str = ""
    load: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one cause came to. Times are nanoseconds of the device's clock; `what` and `evidence` are the first's.

    `places` are where the driver's code was, the main one first; `load` is which load of the driver it was, from 1.
    Without anybody who looks at the guest's code there are none, and `load` is 0.
    """

    rule: str
    who: Who
    certain: bool
    what: str
    evidence: tuple[tuple[str, str], ...]
    remedy: str
    count: int
    first_ns: int
    last_ns: int
    places: tuple[Place, ...] = ()
    load: int = 0

    def __str__(self) -> str:
        """One line: `driver, likely, in my_start(), my.c:12: what [evidence]. remedy (rule)`."""
        shown = ", ".join(f"{name} {value}" for name, value in self.evidence)
        where = self.places[0].where if self.places else ""
        parts = [
            f"{self.who.value}{'' if self.certain else ', likely'}",
            f", in {where}: {self.what}" if where else f": {self.what}",
            f" [{shown}]" if shown else "",
            f". {self.remedy}" if self.remedy else "",
            f" ({self.rule})",
        ]
        return "".join(parts)

    def json(self) -> dict[str, object]:
        """What a program reads; docs/findings.md describes it."""
        return {
            "rule": self.rule,
            "who": self.who.value,
            "certain": self.certain,
            "what": self.what,
            "evidence": dict(self.evidence),
            "remedy": self.remedy,
            "count": self.count,
            "first_s": self.first_ns / _NS_PER_S,
            "last_s": self.last_ns / _NS_PER_S,
            "places": [place.json() for place in self.places],
            "load": self.load,
        }


def from_json(data: dict[str, object]) -> Finding:
    """Read one back. Raises: KeyError, TypeError, ValueError for what is none."""
    evidence = data["evidence"]
    if not isinstance(evidence, dict):
        raise TypeError("evidence is no object")
    places = data.get("places", ())
    if not isinstance(places, list | tuple):
        raise TypeError("places is no list")
    return Finding(
        rule=str(data["rule"]),
        who=Who(data["who"]),
        certain=bool(data["certain"]),
        what=str(data["what"]),
        evidence=tuple((str(name), str(value)) for name, value in evidence.items()),
        remedy=str(data["remedy"]),
        count=int(str(data["count"])),
        first_ns=round(float(str(data["first_s"])) * _NS_PER_S),
        last_ns=round(float(str(data["last_s"])) * _NS_PER_S),
        places=tuple(place_from_json(place) for place in places),
        load=int(str(data.get("load", 0))),
    )
