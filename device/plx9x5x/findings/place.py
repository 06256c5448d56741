# SPDX-License-Identifier: Apache-2.0
"""Places: where in a driver's code something was done, as far as anybody saw it; and how a rule names the one it means.

::

    event -> sources (which access, which register, which call) -> Whereabouts.find -> Spot -> Place, once it is known

A spot may be filled in after the finding was told: what read a register is known only once the read has its answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Place:
    """A program counter of the guest at a time: `seq` counts all that was recorded of it. `where` is for people."""

    role: str
    pc: int
    seq: int
    where: str = ""

    def json(self) -> dict[str, object]:
        """What a program reads."""
        return {"role": self.role, "pc": self.pc, "seq": self.seq, "where": self.where}


def place_from_json(data: dict[str, object]) -> Place:
    """Read one back. Raises: KeyError, ValueError for what is none."""
    return Place(str(data["role"]), int(str(data["pc"])), int(str(data["seq"])), str(data["where"]))


@dataclass(slots=True, eq=False)
class Spot:
    """A place that may not be known yet: then `pc` is 0."""

    pc: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Here:
    """The register access that is under way."""

    role: str = "access"


@dataclass(frozen=True, slots=True)
class Written:
    """The last write of an offset, in whichever of `bars` it came."""

    role: str
    offset: int
    bars: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LastWrite:
    """The last write of any BAR."""

    role: str = "last write"


@dataclass(frozen=True, slots=True)
class Stored:
    """The driver's own store to memory at a bus address that it gave the device.

    `most`: only if it is known of so few bytes around it; stores that follow each other are seen as one. `soon`: the
    device saw it before anybody told of it, so that a store which is told of next is nearer to the truth.
    """

    role: str
    address: int
    most: int | None = None
    soon: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The last write of any BAR, if the interrupt handler made it since the device asked for an interrupt."""

    role: str = "answered by"


@dataclass(frozen=True, slots=True)
class Handler:
    """The interrupt handler of the driver."""

    role: str = "handler"


@dataclass(frozen=True, slots=True)
class MasterCall:
    """The last call that gave bus mastering, or took it back."""

    role: str = "called"


@dataclass(frozen=True, slots=True)
class Seen:
    """A spot that the event brings along."""

    role: str
    spot: Spot = field(compare=False)


Source = Here | Written | LastWrite | Answered | Stored | Handler | MasterCall | Seen


class Whereabouts(Protocol):
    """Who knows where the driver is."""

    def load(self) -> int:
        """Which load of the driver what happens now belongs to, from 1; 0 if that is not known."""
        ...

    def find(self, source: Source) -> Spot | None:
        """Where that was; None if nobody saw it."""
        ...


class Nowhere:
    """Nobody looks at the guest's code."""

    def load(self) -> int:
        """None is known."""
        return 0

    def find(self, source: Source) -> Spot | None:
        """Nothing is known."""
        del source
        return None


NOWHERE: Final = Nowhere()


def spots(sources: Sequence[Source], whereabouts: Whereabouts) -> tuple[tuple[str, Spot], ...]:
    """Those of `sources` that somebody saw or will have seen, each once."""
    found: list[tuple[str, Spot]] = []
    for source in sources:
        spot = whereabouts.find(source)
        if spot is not None and all(spot is not it for _, it in found):
            found.append((source.role, spot))
    return tuple(found)


def places(found: Sequence[tuple[str, Spot]]) -> tuple[Place, ...]:
    """What is known of them by now."""
    return tuple(Place(role, spot.pc, spot.seq) for role, spot in found if spot.pc)
