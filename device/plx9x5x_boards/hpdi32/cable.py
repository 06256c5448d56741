# SPDX-License-Identifier: Apache-2.0
"""What is on the cable: a source whose every word is known beforehand."""

import functools
from io import FileIO
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from plx9x5x.units import MIB

Words = npt.NDArray[np.uint32]
"""Words of 32 bits, in the order of the cable; shape (count,)."""

MOST_BYTES: Final = 64 * MIB
"""What of a file is read: more than two minutes of the card's own rate."""

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


class Recorded:
    """The words of a file, little-endian, over and over. Raises: ValueError for a file without one."""

    def __init__(self, file: FileIO) -> None:
        file.seek(0)
        data = file.read(MOST_BYTES)
        self._words = np.frombuffer(data[: len(data) // 4 * 4], dtype="<u4").astype(np.uint32)
        if not len(self._words):
            raise ValueError(f"{file.name} has no word of 32 bits")

    def words(self, first: int, count: int) -> Words:
        """Look them up."""
        start = first % len(self._words)
        return np.take(self._words, np.arange(start, start + count), mode="wrap")


@functools.cache
def _prbs_period() -> Words:
    """Work out every word there is."""
    state = PRBS_WORDS
    bits = np.empty(PRBS_WORDS, dtype=np.uint8)
    for at in range(PRBS_WORDS):
        bits[at] = state >> 14
        state = state << 1 & PRBS_WORDS | (state >> 14 ^ state >> 13) & 1
    return np.packbits(np.tile(bits, 32)).view(">u4").astype(np.uint32)
