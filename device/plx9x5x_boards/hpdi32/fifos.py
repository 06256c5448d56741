# SPDX-License-Identifier: Apache-2.0
"""The two FIFOs. What the cable did to them meanwhile is worked out when somebody looks, so that it costs no time.

A FIFO keeps positions of the source's sequence, and no words. Times are the model's, in nanoseconds.
"""

from collections import deque
from typing import Final

import numpy as np

from plx9x5x_boards.hpdi32.cable import NS_PER_S, Cable, Words

MASTER_HZ: Final = 20_000_000
"""The card's own clock, which the transmitter divides."""


class Receiver:
    """Takes what the cable brings while it is on; what finds the FIFO full is lost, and leaves a gap in the sequence.

    The cable's sequence begins when the FIFO is reset, and stands still while the receiver is off.
    """

    def __init__(self, cable: Cable, depth: int) -> None:
        self.depth: Final = depth
        self.level = 0
        """Words in the FIFO when somebody looked last."""
        self.on = False
        self._cable = cable
        self._runs: deque[tuple[int, int]] = deque()
        """(position, words) of what lies in the FIFO without a gap; as many as there are words, at most."""
        self._next = 0
        """Position of the word that comes next."""
        self._began = self._sent = 0
        """When the cable began, or went on, and the words that have come since then."""

    def switch(self, now: int, *, on: bool) -> None:
        """Turn it on or off; `catch_up` comes before."""
        if on and not self.on:
            self._began, self._sent = now, 0
        self.on = on

    def reset(self, now: int) -> None:
        """Empty the FIFO, and have the sequence begin."""
        self._runs.clear()
        self.level = self._next = self._sent = 0
        self._began = now

    def level_at(self, now: int) -> int:
        """Words in the FIFO now, if nobody has taken any since `catch_up`."""
        if not self.on:
            return self.level
        return min(self.level + self._cable.sent(now - self._began) - self._sent, self.depth)

    def catch_up(self, now: int) -> int:
        """Take what has come, and give the words that were lost."""
        if not self.on:
            return 0
        sent = self._cable.sent(now - self._began)
        fresh, self._sent = sent - self._sent, sent
        taken = min(fresh, self.depth - self.level)
        if taken:
            last = self._runs[-1] if self._runs else (0, 0)
            if sum(last) == self._next and last[1]:
                self._runs[-1] = (last[0], last[1] + taken)
            else:
                self._runs.append((self._next, taken))
            self.level += taken
        self._next += fresh
        return fresh - taken

    def take(self, count: int) -> Words:
        """Give up to `count` words of the FIFO."""
        wanted = min(count, self.level)
        self.level -= wanted
        pieces = []
        while wanted:
            position, words = self._runs.popleft()
            here = min(words, wanted)
            if here < words:
                self._runs.appendleft((position + here, words - here))
            pieces.append(self._cable.source.words(position, here))
            wanted -= here
        return pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, np.empty(0, np.uint32)])

    def when(self, level: int) -> int:
        """Give the time at which it has `level` words, more than it has, if it stays on and nobody takes any."""
        return self._began + self._cable.takes(self._sent + level - self.level)


class Transmitter:
    """Sends what is in its FIFO while it is on, a word a clock; the cable's far end takes all of it."""

    def __init__(self, depth: int) -> None:
        self.depth: Final = depth
        self.level = 0
        """Words in the FIFO when somebody looked last."""
        self.on = False
        self._divider = 1
        self._began = self._ticks = 0
        """When its clock began, and the ticks that are accounted for, whether there was a word to send or not."""

    def switch(self, now: int, *, on: bool, divider: int) -> None:
        """Turn it on or off, and set its clock; `catch_up` comes before."""
        if (on, divider) != (self.on, self._divider):
            self.on, self._divider, self._began, self._ticks = on, divider, now, 0

    def reset(self) -> None:
        """Empty the FIFO."""
        self.level = 0

    def level_at(self, now: int) -> int:
        """Words in the FIFO now, if nobody has given any since `catch_up`."""
        return max(0, self.level - (self._ticks_at(now) - self._ticks)) if self.on else self.level

    def catch_up(self, now: int) -> None:
        """Send."""
        if self.on:
            self.level, self._ticks = self.level_at(now), self._ticks_at(now)

    def give(self, count: int) -> int:
        """Take `count` words, and give how many of them there was no room for."""
        taken = min(count, self.depth - self.level)
        self.level += taken
        return count - taken

    def when(self, level: int) -> int:
        """Give the time at which it has `level` words, fewer than it has, if it stays on and nobody gives any."""
        ticks = self._ticks + self.level - level
        return self._began + -(-ticks * NS_PER_S * self._divider // MASTER_HZ)

    def _ticks_at(self, now: int) -> int:
        return (now - self._began) * MASTER_HZ // (NS_PER_S * self._divider)
