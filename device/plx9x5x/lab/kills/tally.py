# SPDX-License-Identifier: Apache-2.0
"""What came of so many kills, in figures."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_SHOWN: Final = 5
HEADINGS: Final = ("killed", "kills", "what is timed", "n", "median", "p99", "worst")
_LEFT: Final = (0, 2)


@dataclass(slots=True)
class Tally:
    """Kills of one kind. `times` in seconds, by what was timed.

    In words, empty if all is well: `leaks`; `hung_up`, clients that the server left before they were killed; `wrong`
    answers. `limit` names whose fault the first two are if not ours: they are told then, and not judged.
    """

    what: str
    kills: int = 0
    times: dict[str, list[float]] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    limit: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if nothing was left, nobody hung up on and nobody answered wrongly, limits apart."""
        return not self.wrong and (bool(self.limit) or not (self.leaks or self.hung_up))

    def took(self, what: str, seconds: float) -> None:
        """Note a time."""
        self.times.setdefault(what, []).append(seconds)

    def rows(self) -> list[tuple[str, ...]]:
        """Cells for each quantity, times in ms."""
        return [
            (
                self.what,
                str(self.kills),
                what,
                str(len(times)),
                *(f"{value * 1e3:.1f} ms" for value in (statistics.median(times), percentile(times, 99), max(times))),
            )
            for what, times in self.times.items()
        ]

    def verdicts(self) -> list[str]:
        """Lines on what was left and what went wrong."""
        told = [
            f"left behind: {_told(self.leaks)}",
            f"hung up on: {_told(self.hung_up)}",
            f"wrong: {_told(self.wrong)}",
        ]
        if self.limit and (self.leaks or self.hung_up):
            told.append(f"limit: {self.limit}")
        return [f"{self.what}: {line}" for line in (*told, *self.notes)]


def percentile(times: Sequence[float], percent: int) -> float:
    """The smallest of the times that so many percent do not exceed."""
    return sorted(times)[max(0, -(-len(times) * percent // 100) - 1)]


def table(tallies: Sequence[Tally]) -> str:
    """All of it as text."""
    rows = [HEADINGS, *(row for tally in tallies for row in tally.rows())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if number in _LEFT else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join((*lines, *(line for tally in tallies for line in tally.verdicts())))


def _told(what: Sequence[str]) -> str:
    if not what:
        return "nothing"
    more = f"; and {len(what) - _SHOWN} more" if len(what) > _SHOWN else ""
    return f"{len(what)} times: " + "; ".join(what[:_SHOWN]) + more
