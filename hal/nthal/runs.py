# SPDX-License-Identifier: Apache-2.0
"""A set of whole numbers kept as runs: free page frames, free IOVA pages, free map registers, free virtual pages.

64 GiB of free memory are one run, so nothing here costs by the size of what it describes.
"""

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """`count` numbers from `start` on."""

    start: int
    count: int

    @property
    def end(self) -> int:
        """The number after the last one."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Where:
    """What a run must satisfy, in units of the set (pages, registers).

    `low` and `last` are inclusive; `boundary` is a distance of which no multiple may be crossed, 0 for none; `align` is
    what the first number must be a multiple of; `after` is where a search starts before it wraps. `shift` is added to a
    number before boundary and alignment are looked at.
    """

    low: int = 0
    last: int = (1 << 64) - 1
    boundary: int = 0
    align: int = 1
    after: int = 0
    shift: int = 0


ANYWHERE = Where()


def _fitted(start: int, count: int, where: Where) -> int:
    """First number from `start` on that is aligned and from which `count` cross no boundary."""
    at = start + where.shift
    at += -at % where.align
    if where.boundary and at // where.boundary != (at + count - 1) // where.boundary:
        at += -at % where.boundary
        at += -at % where.align
    return at - where.shift


class RunSet:
    """Sorted, disjoint, never adjacent runs: two sets with the same members have the same runs."""

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._total = 0
        for start, count in sorted(runs):
            if count:
                self.give(start, count)

    @classmethod
    def of_singles(cls, numbers: Iterable[int]) -> "RunSet":
        """Build a set from sorted numbers of which no two are neighbours, without a search for each."""
        made = cls()
        made._starts = list(numbers)
        made._ends = [number + 1 for number in made._starts]
        made._total = len(made._starts)
        return made

    @property
    def total(self) -> int:
        """How many numbers are in the set."""
        return self._total

    def runs(self) -> Iterator[Run]:
        """Every run, lowest first."""
        return (Run(start, end - start) for start, end in zip(self._starts, self._ends, strict=True))

    def snapshot(self) -> tuple[tuple[int, int], ...]:
        """Give the set as a value that can be compared later."""
        return tuple(zip(self._starts, self._ends, strict=True))

    def contains(self, start: int, count: int = 1) -> bool:
        """True if all of the run is in the set."""
        at = bisect.bisect_right(self._starts, start) - 1
        return at >= 0 and start + count <= self._ends[at]

    def find(self, count: int, where: Where = ANYWHERE) -> int | None:
        """First number of a run of `count` that fits `where`; None if there is none. Lowest first, from `after` on."""
        if where.boundary and count > where.boundary:
            return None
        if where.after > where.low:
            found = self._first_fit(count, where, where.after)
            if found is not None:
                return found
        return self._first_fit(count, where, where.low)

    def _first_fit(self, count: int, where: Where, low: int) -> int | None:
        at = max(bisect.bisect_right(self._starts, low) - 1, 0)
        for index in range(at, len(self._starts)):
            start = max(self._starts[index], low)
            if start + count - 1 > where.last:
                return None
            start = _fitted(start, count, where)
            if start + count <= self._ends[index] and start + count - 1 <= where.last:
                return start
        return None

    def take(self, start: int, count: int) -> None:
        """Remove a run. Raises: ValueError if part of it is not in the set."""
        at = bisect.bisect_right(self._starts, start) - 1
        if at < 0 or start + count > self._ends[at]:
            raise ValueError(f"{start:#x}+{count} is not free")
        first, end = self._starts[at], self._ends[at]
        pieces = [(a, b) for a, b in ((first, start), (start + count, end)) if a < b]
        self._starts[at : at + 1] = [a for a, _ in pieces]
        self._ends[at : at + 1] = [b for _, b in pieces]
        self._total -= count

    def meets(self, start: int, count: int) -> bool:
        """True if any of the run is in the set."""
        return bisect.bisect_right(self._ends, start) < bisect.bisect_left(self._starts, start + count)

    def discard(self, start: int, count: int) -> None:
        """Remove what there is of a run."""
        end = start + count
        low, high = bisect.bisect_right(self._ends, start), bisect.bisect_left(self._starts, end)
        if low >= high:
            return
        for at in range(low, high):
            self._total -= min(self._ends[at], end) - max(self._starts[at], start)
        pieces = [(a, b) for a, b in ((self._starts[low], start), (end, self._ends[high - 1])) if a < b]
        self._starts[low:high] = [a for a, _ in pieces]
        self._ends[low:high] = [b for _, b in pieces]

    def give(self, start: int, count: int) -> None:
        """Add a run. Raises: ValueError if part of it is in the set already."""
        end = start + count
        at = bisect.bisect_right(self._starts, start)
        if (at and self._ends[at - 1] > start) or (at < len(self._starts) and self._starts[at] < end):
            raise ValueError(f"{start:#x}+{count} is free already")
        lo, hi = at, at
        if at and self._ends[at - 1] == start:
            lo, start = at - 1, self._starts[at - 1]
        if at < len(self._starts) and self._starts[at] == end:
            hi, end = at + 1, self._ends[at]
        self._starts[lo:hi] = [start]
        self._ends[lo:hi] = [end]
        self._total += count

    def find_scattered(self, count: int) -> list[Run] | None:
        """Lowest free numbers, in as many runs as it takes; None if there are not `count` of them."""
        if count > self._total:
            return None
        found: list[Run] = []
        for run in self.runs():
            found.append(Run(run.start, min(run.count, count)))
            count -= found[-1].count
            if not count:
                break
        return found
