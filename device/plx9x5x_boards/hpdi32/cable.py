# SPDX-License-Identifier: Apache-2.0
"""What is on the cable: a source whose every word is known beforehand, at a rate of the card's own time."""

import functools
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
"""Words of 32 bits, in the order of the cable; shape (count,)."""

NS_PER_S: Final = 1_000_000_000

PRBS_WORDS: Final = 0x7FFF
"""Words until the sequence repeats: 32 and the 32767 bits of its period have no divisor in common."""


class Source(Protocol):
    """A sequence of words that is known by position, so that nothing has to be kept of it."""

    def words(self, first: int, count: int) -> Words:
        """Give `count` words from position `first` on."""
        ...


class Counter:
    """Word n is n, modulo 2^32."""

    def words(self, first: int, count: int) -> Words:
        """Count."""
        return np.arange(count, dtype=np.uint32) + np.uint32(first & 0xFFFF_FFFF)


class Prbs15:
    """The pseudo-random bits of x^15 + x^14 + 1 from all ones on, the first of 32 in bit 31 of a word.

    Source: ITU-T O.150 (the polynomial; not inverted here).
    """

    def words(self, first: int, count: int) -> Words:
        """Look them up."""
        start = first % PRBS_WORDS
        return np.take(_prbs_period(), np.arange(start, start + count), mode="wrap")


@functools.cache
def _prbs_period() -> Words:
    """Work out every word there is."""
    state = PRBS_WORDS
    bits = np.empty(PRBS_WORDS, dtype=np.uint8)
    for at in range(PRBS_WORDS):
        bits[at] = state >> 14
        state = state << 1 & PRBS_WORDS | (state >> 14 ^ state >> 13) & 1
    return np.packbits(np.tile(bits, 32)).view(">u4").astype(np.uint32)


@dataclass(frozen=True, slots=True)
class Cable:
    """A sender that never ends: `words_per_s` on average, `line` words at a time, as a line of a picture comes."""

    source: Source
    words_per_s: int
    line: int

    def __post_init__(self) -> None:
        """Raises: ValueError for a cable on which nothing can come."""
        if self.words_per_s < 1 or self.line < 1:
            raise ValueError(f"a cable with {self.words_per_s} words a second, {self.line} at a time, brings nothing")

    def sent(self, ns: int) -> int:
        """Words that have come in the first `ns` nanoseconds."""
        return ns * self.words_per_s // (NS_PER_S * self.line) * self.line

    def takes(self, count: int) -> int:
        """Nanoseconds until `count` words have come."""
        lines = -(-count // self.line)
        return -(-lines * self.line * NS_PER_S // self.words_per_s)
