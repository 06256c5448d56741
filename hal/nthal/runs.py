# SPDX-License-Identifier: Apache-2.0
"""A set of whole numbers kept as runs: free page frames, free IOVA pages, free map registers, free virtual pages.

64 GiB of free memory are one run, so nothing here costs by the size of what it describes.
"""

import bisect
import itertools
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_CHUNK: Final = 64
"""Runs that are kept together; twice as many are halved."""


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


class _Chunk:
    """Neighbouring runs of a set; none of them has more than `longest` numbers."""

    __slots__ = ("ends", "longest", "starts")

    def __init__(self, starts: list[int], ends: list[int]) -> None:
        self.starts = starts
        self.ends = ends
        self.measure()

    def measure(self) -> None:
        """Look which run is the longest."""
        self.longest = max(map(operator.sub, self.ends, self.starts), default=0)


class RunSet:
    """Sorted, disjoint, never adjacent runs: two sets with the same members have the same runs.

    They are kept in chunks: a change moves the runs of its own chunk only, and a search passes by every chunk that has
    no run long enough, so that neither costs by how many pieces the set fell into.
    """

    def __init__(self, runs: Iterable[tuple[int, int]] = ()) -> None:
        self._chunks: list[_Chunk] = []
        self._firsts: list[int] = []
        self._total = 0
        for start, count in sorted(runs):
            if count:
                self.give(start, count)

    @classmethod
    def of_singles(cls, numbers: Iterable[int]) -> "RunSet":
        """Build a set from sorted numbers of which no two are neighbours, without a search for each."""
        made = cls()
        singles = list(numbers)
        made._total = len(singles)
        for at in range(0, len(singles), _CHUNK):
            starts = singles[at : at + _CHUNK]
            made._chunks.append(_Chunk(starts, [number + 1 for number in starts]))
            made._firsts.append(starts[0])
        return made

    @property
    def total(self) -> int:
        """How many numbers are in the set."""
        return self._total

    def runs(self) -> Iterator[Run]:
        """Every run, lowest first."""
        return (Run(start, end - start) for start, end in self._from(0))

    @property
    def pieces(self) -> int:
        """How many runs there are."""
        return sum(len(chunk.starts) for chunk in self._chunks)

    @property
    def bounds(self) -> tuple[int, int]:
        """The lowest number, and the one after the highest. Raises: IndexError if the set is empty."""
        return self._firsts[0], self._chunks[-1].ends[-1]

    @property
    def longest(self) -> int:
        """Numbers in the longest run; 0 if the set is empty."""
        while self._chunks:
            chunk = max(self._chunks, key=lambda one: one.longest)
            thought = chunk.longest
            chunk.measure()
            if chunk.longest == thought:
                return thought
        return 0

    def snapshot(self) -> tuple[tuple[int, int], ...]:
        """Give the set as a value that can be compared later."""
        return tuple(self._from(0))

    def _from(self, number: int) -> Iterator[tuple[int, int]]:
        """Start and end of every run that ends after `number`, lowest first."""
        first, at = self._before(number)
        for index in range(max(first, 0), len(self._chunks)):
            chunk = self._chunks[index]
            for each in range(max(at, 0), len(chunk.starts)):
                if chunk.ends[each] > number:
                    yield chunk.starts[each], chunk.ends[each]
            at = 0

    def _before(self, number: int) -> tuple[int, int]:
        """Chunk of the last run that starts at `number` or below, and its place there; (-1, -1) if there is none."""
        index = bisect.bisect_right(self._firsts, number) - 1
        return (index, bisect.bisect_right(self._chunks[index].starts, number) - 1) if index >= 0 else (-1, -1)

    def contains(self, start: int, count: int = 1) -> bool:
        """True if all of the run is in the set."""
        index, at = self._before(start)
        return index >= 0 and start + count <= self._chunks[index].ends[at]

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
        first, at = self._before(low)
        for index in range(max(first, 0), len(self._chunks)):
            chunk = self._chunks[index]
            if chunk.longest >= count:
                for each in range(max(at, 0), len(chunk.starts)):
                    start = max(chunk.starts[each], low)
                    if start + count - 1 > where.last:
                        return None
                    start = _fitted(start, count, where)
                    if start + count <= chunk.ends[each] and start + count - 1 <= where.last:
                        return start
                chunk.measure()
            at = 0
        return None

    def take(self, start: int, count: int) -> None:
        """Remove a run. Raises: ValueError if part of it is not in the set."""
        index, at = self._before(start)
        if index < 0 or start + count > self._chunks[index].ends[at]:
            raise ValueError(f"{start:#x}+{count} is not free")
        chunk = self._chunks[index]
        first, end = chunk.starts[at], chunk.ends[at]
        pieces = [(a, b) for a, b in ((first, start), (start + count, end)) if a < b]
        chunk.starts[at : at + 1] = [a for a, _ in pieces]
        chunk.ends[at : at + 1] = [b for _, b in pieces]
        self._total -= count
        self._settle(index)

    def meets(self, start: int, count: int) -> bool:
        """True if any of the run is in the set."""
        index, at = self._before(start + count - 1)
        return index >= 0 and self._chunks[index].ends[at] > start

    def discard(self, start: int, count: int) -> None:
        """Remove what there is of a run."""
        end = start + count
        for first, last in list(itertools.takewhile(lambda run: run[0] < end, self._from(start))):
            self.take(max(first, start), min(last, end) - max(first, start))

    def give(self, start: int, count: int) -> None:
        """Add a run. Raises: ValueError if part of it is in the set already."""
        end = start + count
        index, at = self._before(start)
        chunks = self._chunks
        over, place = (index, at + 1) if index >= 0 and at + 1 < len(chunks[index].starts) else (index + 1, 0)
        above = chunks[over].starts[place] if over < len(chunks) else None
        if (index >= 0 and chunks[index].ends[at] > start) or (above is not None and above < end):
            raise ValueError(f"{start:#x}+{count} is free already")
        if above == end:
            end = chunks[over].ends[place]
            del chunks[over].starts[place], chunks[over].ends[place]
            self._settle(over)
        if not chunks:
            chunks.append(_Chunk([], []))
            self._firsts.append(start)
        index = max(index, 0)
        chunk = chunks[index]
        if at >= 0 and chunk.ends[at] == start:
            start = chunk.starts[at]
            chunk.ends[at] = end
        else:
            chunk.starts.insert(at + 1, start)
            chunk.ends.insert(at + 1, end)
        chunk.longest = max(chunk.longest, end - start)
        self._total += count
        self._settle(index)

    def _settle(self, index: int) -> None:
        """Take a changed chunk away if it is empty, halve it if it is large, and note where it starts."""
        chunk = self._chunks[index]
        if not chunk.starts:
            del self._chunks[index], self._firsts[index]
            return
        self._firsts[index] = chunk.starts[0]
        if len(chunk.starts) > 2 * _CHUNK:
            upper = _Chunk(chunk.starts[_CHUNK:], chunk.ends[_CHUNK:])
            del chunk.starts[_CHUNK:], chunk.ends[_CHUNK:]
            self._chunks.insert(index + 1, upper)
            self._firsts.insert(index + 1, upper.starts[0])

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
