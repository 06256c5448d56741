# SPDX-License-Identifier: Apache-2.0
"""One wake-up of a peripheral, which may be set anew; the chip's own timers cannot be taken back."""

from collections.abc import Callable
from typing import Final

from plx9x5x.peripheral import LocalPins

MOST: Final = 8
"""Timers of the chip that one `Timer` has under way: a guest that sets it over and over piles up none."""


class Timer:
    """Calls `ring` once at the time that it was set to last, nanoseconds of the model.

    Who sets it to ever earlier times more often than `MOST` without any of them coming hears of the last one late, with
    the first that is due.
    """

    def __init__(self, pins: LocalPins, ring: Callable[[], None]) -> None:
        def called() -> None:
            self._called()

        called.__qualname__ = getattr(ring, "__qualname__", called.__qualname__)  # an error in it has its name
        self._pins, self._ring, self._call = pins, ring, called
        self._waiting: list[int] = []
        """Times at which the chip will call, the earliest last."""
        self.due: int | None = None
        """When it rings; None if it is not set."""

    def set(self, time: int) -> None:
        """Have it ring at `time`, and at no time that it was set to before."""
        self.due = time
        if (not self._waiting or time < self._waiting[-1]) and len(self._waiting) < MOST:
            self._waiting.append(time)
            self._pins.call_at(time, self._call)

    def stop(self) -> None:
        """Have it not ring."""
        self.due = None

    def _called(self) -> None:
        self._waiting.pop()
        if self.due is None:
            return
        if self.due <= self._pins.now():
            self.due = None
            self._ring()
        else:
            self.set(self.due)
