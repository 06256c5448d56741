# SPDX-License-Identifier: Apache-2.0
"""FIFOs that a clock fills or empties. What it did is worked out when somebody looks, so that it costs no time.

Times are the model's, in nanoseconds: `now` gives the present one.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plx9x5x.blocks.fifo import Level

NS_PER_S: Final = 1_000_000_000

Words = Callable[[int, int], bytes]
"""Gives `count` words from position `first` on: `words(first, count)`. Known by position, so that nothing is kept."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`hz` words a second, divided by `divider`; `line` of them come together, as a line of a picture does.

    Raises: ValueError for a pace at which nothing comes.
    """

    hz: int
    divider: int = 1
    line: int = 1

    def __post_init__(self) -> None:
        if self.hz < 1 or self.divider < 1 or self.line < 1:
            raise ValueError(
                f"a pace of {self.hz} words a second by {self.divider}, {self.line} at a time, brings nothing"
            )

    def sent(self, ns: int) -> int:
        """Words of the first `ns` nanoseconds."""
        return ns * self.hz // (NS_PER_S * self.divider * self.line) * self.line

    def takes(self, count: int) -> int:
        """Nanoseconds until `count` words have come."""
        lines = -(-count // self.line)
        return -(-lines * self.line * NS_PER_S * self.divider // self.hz)


class Inflow(Level):
    """Takes what `words` brings by `pace` while it is on; what finds it full is lost, and leaves a gap in the sequence.

    The sequence begins when the FIFO is made or reset, and stands still while it is off.
    """

    def __init__(
        self,
        words: Words,
        pace: Pace,
        *,
        width: int,
        now: Callable[[], int],
        depth: int | None = None,
        on: bool = True,
    ) -> None:
        super().__init__(width, depth)
        self.on = on
        self.pace: Final = pace
        self._words, self._now = words, now
        self._kept = 0
        """Words in the FIFO when somebody looked last."""
        self._runs: deque[tuple[int, int]] = deque()
        """(position, words) of what lies in the FIFO without a gap; as many as there are words, at most."""
        self._next = 0
        """Position of the word that comes next."""
        self._began, self._sent = now(), 0
        """When the sequence began, or went on, and the words that have come since then."""

    @property
    def level(self) -> int:
        """Words that are in it now."""
        if not self.on:
            return self._kept
        came = self._kept + self.pace.sent(self._now() - self._began) - self._sent
        return came if self.depth is None else min(came, self.depth)

    def switch(self, *, on: bool) -> int:
        """Turn it on or off; give the words that were lost until now."""
        lost = self.look()
        if on and not self.on:
            self._began, self._sent = self._now(), 0
        self.on = on
        return lost

    def reset(self) -> None:
        """Empty it, and have the sequence begin; the counts stay."""
        self._runs.clear()
        self._kept = self._next = self._sent = 0
        self._began = self._now()

    def look(self) -> int:
        """Take what has come, and give the words that were lost; they are among the `overruns` then."""
        if not self.on:
            return 0
        sent = self.pace.sent(self._now() - self._began)
        fresh, self._sent = sent - self._sent, sent
        taken = fresh if self.depth is None else min(fresh, self.depth - self._kept)
        if taken:
            first, length = self._runs[-1] if self._runs else (0, 0)
            if length and first + length == self._next:
                self._runs[-1] = (first, length + taken)
            else:
                self._runs.append((self._next, taken))
            self._kept += taken
        self._next += fresh
        self.overruns += fresh - taken
        return fresh - taken

    def take(self, count: int) -> bytes:
        """Give `count` words, or as many as there are."""
        self.look()
        wanted = min(count, self._kept)
        self.underruns += count - wanted
        self._kept -= wanted
        pieces = []
        while wanted:
            position, words = self._runs.popleft()
            here = min(words, wanted)
            if here < words:
                self._runs.appendleft((position + here, words - here))
            pieces.append(self._words(position, here))
            wanted -= here
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def when(self, level: int) -> int:
        """Give the time at which it has `level` words, more than it has, if it stays on and nobody takes any."""
        return self._began + self.pace.takes(self._sent + level - self._kept)


class Outflow(Level):
    """Sends what was put into it by `pace` while it is on, a word a clock; `sink` gets the words, if there is one."""

    def __init__(
        self,
        pace: Pace,
        *,
        width: int,
        depth: int,
        now: Callable[[], int],
        on: bool = True,
        sink: Callable[[bytes], None] | None = None,
    ) -> None:
        super().__init__(width, depth)
        self.on, self.pace = on, pace
        self._now, self._sink = now, sink
        self._kept = 0
        """Words in the FIFO when somebody looked last."""
        self._bytes = bytearray()
        """They themselves, if somebody wants them."""
        self._began, self._ticks = now(), 0
        """When its clock began, and the ticks that are accounted for, whether there was a word to send or not."""

    @property
    def level(self) -> int:
        """Words that are in it now."""
        gone = self.pace.sent(self._now() - self._began) - self._ticks if self.on else 0
        return max(0, self._kept - gone)

    def switch(self, *, on: bool, pace: Pace | None = None) -> None:
        """Turn it on or off, or set its clock: then that begins anew."""
        self.look()
        wanted = pace or self.pace
        if (on, wanted) != (self.on, self.pace):
            self.on, self.pace, self._began, self._ticks = on, wanted, self._now(), 0

    def reset(self) -> None:
        """Empty it; what has gone out until now has, and the counts stay."""
        self.look()
        self._kept = 0
        self._bytes.clear()

    def look(self) -> None:
        """Send what has gone out."""
        if not self.on:
            return
        left, self._ticks = self.level, self.pace.sent(self._now() - self._began)
        gone, self._kept = self._kept - left, left
        if self._sink is not None and gone:
            data = bytes(self._bytes[: gone * self.width])
            del self._bytes[: len(data)]
            self._sink(data)

    def put(self, data: bytes | memoryview) -> int:
        """Take whole words; give how many of them it had no room for."""
        self.look()
        words = len(data) // self.width
        assert self.depth is not None, "it has one"
        taken = min(words, self.depth - self._kept)
        self._kept += taken
        if self._sink is not None:
            self._bytes += data[: taken * self.width]
        self.overruns += words - taken
        return words - taken

    def when(self, level: int) -> int:
        """Give the time at which it has `level` words, fewer than it has, if it stays on and nobody puts any."""
        return self._began + self.pace.takes(self._ticks + self._kept - level)
