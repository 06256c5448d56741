# SPDX-License-Identifier: Apache-2.0
"""Spans of addresses, which may overlap: what holds an address is found in a few steps, however many there are.

A span stands in the class of its length (up to a power of two), and there in the one or two blocks of that size that it
touches. `CROWD` in one block are the most: a guest that maps one page thousands of times is not followed.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

CROWD: Final = 512
"""Spans of one class that touch one block."""


class Span(Protocol):
    """What is kept: `size` bytes from `start`."""

    @property
    def start(self) -> int:
        """First address."""
        ...

    @property
    def size(self) -> int:
        """Bytes, at least 1."""
        ...


SpanT = TypeVar("SpanT", bound=Span)


class Crowded(Exception):
    """Too many spans lie over each other."""


class Spans(Generic[SpanT]):
    """A set of spans. The order of those that hold an address is that in which they were added, newest last."""

    def __init__(self) -> None:
        self._classes: dict[int, dict[int, list[SpanT]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, span: SpanT) -> None:
        """Add one. Raises: Crowded."""
        power = (span.size - 1).bit_length()
        blocks = self._classes.setdefault(power, {})
        touched = _blocks(span, power)
        if any(len(blocks.get(block, ())) >= CROWD for block in touched):
            raise Crowded
        for block in touched:
            blocks.setdefault(block, []).append(span)
        self._count += 1

    def remove(self, span: SpanT) -> None:
        """Take one out that is in."""
        power = (span.size - 1).bit_length()
        blocks = self._classes[power]
        for block in _blocks(span, power):
            there = blocks[block]
            there.remove(span)
            if not there:
                del blocks[block]
        if not blocks:
            del self._classes[power]
        self._count -= 1

    def at(self, address: int) -> Iterator[SpanT]:
        """Those that hold an address."""
        for power, blocks in self._classes.items():
            for span in blocks.get(address >> power, ()):
                if span.start <= address < span.start + span.size:
                    yield span

    def overlapping(self, start: int, size: int) -> Iterator[SpanT]:
        """Those that share an address with a range; not for ranges that are much longer than the spans."""
        seen: set[int] = set()
        for power, blocks in self._classes.items():
            first, last = start >> power, (start + size - 1) >> power
            numbers = range(first, last + 1) if last - first < len(blocks) else tuple(blocks)
            for number in numbers:
                for span in blocks.get(number, ()):
                    if span.start < start + size and start < span.start + span.size and id(span) not in seen:
                        seen.add(id(span))
                        yield span


class Apart(Generic[SpanT]):
    """A set of spans of which no two overlap, in order: what a range hits is found whatever its length."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._spans: dict[int, SpanT] = {}

    def add(self, span: SpanT) -> None:
        """Add one that overlaps none."""
        insort(self._starts, span.start)
        self._spans[span.start] = span

    def remove(self, span: SpanT) -> None:
        """Take one out that is in."""
        del self._spans[span.start]
        del self._starts[bisect_left(self._starts, span.start)]

    def overlapping(self, start: int, size: int) -> list[SpanT]:
        """Those that share an address with a range."""
        found = []
        for at in range(bisect_left(self._starts, start + size) - 1, -1, -1):
            span = self._spans[self._starts[at]]
            if span.start + span.size <= start:
                break
            found.append(span)
        return found


def _blocks(span: Span, power: int) -> tuple[int, ...]:
    first, last = span.start >> power, (span.start + span.size - 1) >> power
    return (first,) if first == last else (first, last)
