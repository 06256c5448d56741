# SPDX-License-Identifier: Apache-2.0
"""A FIFO of words, and what all kinds of FIFOs have in common: levels, thresholds, words that were lost or missing."""

import enum
from collections.abc import Callable
from typing import Final


class Levels(enum.IntFlag):
    """Where a FIFO stands. As numbers, the four flags that most cards have side by side."""

    EMPTY = 1
    ALMOST_EMPTY = 2
    ALMOST_FULL = 4
    FULL = 8


_EMPTY: Final = int(Levels.EMPTY | Levels.ALMOST_EMPTY)
_ALMOST_EMPTY: Final = int(Levels.ALMOST_EMPTY)
_ALMOST_FULL: Final = int(Levels.ALMOST_FULL)
_FULL: Final = int(Levels.FULL | Levels.ALMOST_FULL)
"""Whatever the thresholds are, none is almost none, too."""


class Level:
    """Words of `width` bytes, `depth` of them at most; None for a FIFO that is never full.

    `almost_empty`: so many words or fewer are almost none. `almost_full`: room for so many words or fewer is almost
    none. Raises: ValueError for a FIFO without words.
    """

    def __init__(self, width: int, depth: int | None) -> None:
        if width < 1 or (depth is not None and depth < 1):
            raise ValueError(f"a FIFO of {depth} words of {width} bytes takes nothing")
        self.width: Final = width
        self.depth: Final = depth
        self.almost_empty = self.almost_full = 0
        self.overruns = 0
        """Words that found it full, and are lost."""
        self.underruns = 0
        """Words that were taken and not there."""

    @property
    def level(self) -> int:
        """Words that are in it now."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """Words that it could take now; of one that is never full, more than anybody has."""
        return (1 << 62) - self.level if self.depth is None else self.depth - self.level

    @property
    def flags(self) -> Levels:
        """Where it stands now."""
        level = self.level  # once: a clock may have to be asked, and this is what each look at a card comes to
        found = 0
        if level <= self.almost_empty:
            found = _ALMOST_EMPTY if level else _EMPTY
        if self.depth is not None and self.depth - level <= self.almost_full:
            found |= _ALMOST_FULL if level < self.depth else _FULL
        return Levels(found)


class Fifo(Level):
    """A FIFO that keeps what is put into it. `changed` is told its flags whenever they become others."""

    def __init__(self, width: int, depth: int, *, changed: Callable[[Levels], None] | None = None) -> None:
        super().__init__(width, depth)
        self._bytes = bytearray()
        self._changed = changed
        self._was = self.flags

    @property
    def level(self) -> int:
        """Words that are in it."""
        return len(self._bytes) // self.width

    def put(self, data: bytes | memoryview) -> int:
        """Take whole words; give how many of them it had no room for."""
        words = len(data) // self.width
        taken = min(words, self.room)
        self._bytes += data[: taken * self.width]
        self.overruns += words - taken
        self._look()
        return words - taken

    def take(self, count: int) -> bytes:
        """Give `count` words, or as many as there are."""
        data = bytes(self._bytes[: count * self.width])
        del self._bytes[: len(data)]
        self.underruns += count - len(data) // self.width
        self._look()
        return data

    def clear(self) -> None:
        """Drop all words; the counts stay."""
        self._bytes.clear()
        self._look()

    def _look(self) -> None:
        flags = self.flags
        if flags != self._was:
            self._was = flags
            if self._changed is not None:
                self._changed(flags)
