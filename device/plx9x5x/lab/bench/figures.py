# SPDX-License-Identifier: Apache-2.0
"""What a measurement gives: figures with their spread, rows that set ours beside a peer's, curves of growth.

Ratios count; a time is the machine's. What is compared was measured in rounds that alternate, so a ratio is the median
of the rounds' own ratios: what slows both sides of a round cancels.
"""

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

SCHEMA: Final = 1
"""Of the JSON; raised when a reader of the old one would misread the new."""
SAME_MACHINE: Final = ("processor", "cores", "Python")
"""What of a machine's description must agree for figures of two runs to stand in one table."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, a value for each round, in the order of the rounds."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a figure without a round")

    @property
    def median(self) -> float:
        """Half of the rounds gave less."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the rounds lies between these."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float:
        """The width of the middle half as a part of the median; 0 if that is 0."""
        low, high = self.quartiles
        return (high - low) / self.median if self.median else 0.0

    def over(self, other: Self) -> "Figure":
        """How many times `other` this is: round by round where there are as many, else by the other's median."""
        if len(self.values) == len(other.values):
            return Figure(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))
        return Figure(tuple(a / other.median for a in self.values))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: ours, and a peer's unless there is none to compare with.

    `unit` is what the figures count ('us', 'ms', 's', 'MiB', '%', ''); `plane` is the data plane that ours ran on.
    """

    name: str
    unit: str
    ours: Figure
    peer: Figure | None = None
    peer_name: str = ""
    note: str = ""
    plane: str = ""

    @property
    def ratio(self) -> Figure | None:
        """Ours over the peer's; None without one, or if the peer's is nothing."""
        if self.peer is None or not all(self.peer.values):
            return None
        return self.ours.over(self.peer)


@dataclass(frozen=True, slots=True)
class Point:
    """One place of a curve: `size` of whatever grows, and the time for one piece of work there."""

    size: int
    figure: Figure


@dataclass(frozen=True, slots=True)
class Curve:
    """How the time for one piece of work grows with a size. `grows` names the size, `per` the work.

    Curves of one `family` have the same sizes and belong into one picture.
    """

    name: str
    family: str
    grows: str
    per: str
    unit: str
    points: tuple[Point, ...]
    plane: str = ""

    @property
    def growth(self) -> float:
        """The last point over the first: 1 if size costs nothing."""
        return self.points[-1].figure.median / self.points[0].figure.median


@dataclass(frozen=True, slots=True)
class Part:
    """What one group of measurements gave. `left_out` says, a line each, what was not measured and why."""

    group: str
    title: str
    rows: tuple[Row, ...] = ()
    curves: tuple[Curve, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run: the machine, what was asked for, and all parts."""

    machine: dict[str, str]
    options: dict[str, str]
    parts: tuple[Part, ...]

    def beside(self, old: Self) -> Self:
        """These parts, and those of `old` for groups that are not among them, in its order; its head if any is left.

        Figures of two machines do not stand in one table: then these alone.
        """
        mine = {part.group: part for part in self.parts}
        if set(mine) >= {part.group for part in old.parts} or any(
            self.machine.get(key) != old.machine.get(key) for key in SAME_MACHINE
        ):
            return self
        parts = [mine.pop(part.group, part) for part in old.parts]
        return dataclasses.replace(old, parts=(*parts, *mine.values()))

    def to_json(self) -> dict[str, Any]:
        """Plain values for json.dump, every round's among them."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read `to_json` back. Raises: ValueError for another schema."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"figures of schema {data.get('schema')!r}, this version reads {SCHEMA}")
        return cls(data["machine"], data["options"], tuple(map(_part, data["parts"])))


def _figure(data: dict[str, Sequence[float]]) -> Figure:
    return Figure(tuple(data["values"]))


def _row(data: dict[str, Any]) -> Row:
    peer = _figure(data["peer"]) if data["peer"] else None
    return Row(**{**data, "ours": _figure(data["ours"]), "peer": peer})


def _curve(data: dict[str, Any]) -> Curve:
    points = tuple(Point(p["size"], _figure(p["figure"])) for p in data["points"])
    return Curve(**{**data, "points": points})


def _part(data: dict[str, Any]) -> Part:
    rows, curves = tuple(map(_row, data["rows"])), tuple(map(_curve, data["curves"]))
    return Part(data["group"], data["title"], rows, curves, tuple(data["left_out"]))
