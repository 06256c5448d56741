# SPDX-License-Identifier: Apache-2.0
"""One wake-up of a card, of which the model's timers never hold more than a few."""

from collections.abc import Callable
from typing import Final

from plx9x5x.peripheral import LocalPins

MOST: Final = 8
"""Timers that wait at once. They cannot be taken back, so a guest must not be able to pile them up."""


class Alarm:
    """Calls `ring` at the earliest of the times that it was told, and perhaps sooner or once more: `ring` looks anew.

    Who tells it ever earlier times more often than `MOST` hears of the last of them late, with the first that is due.
    """

    def __init__(self, pins: LocalPins, ring: Callable[[], None]) -> None:
        self._pins, self._ring = pins, ring
        self._waiting: list[int] = []
        """Times, the earliest last."""

    def set(self, time: int) -> None:
        """Have it ring at `time`, nanoseconds of the model."""
        if (not self._waiting or time < self._waiting[-1]) and len(self._waiting) < MOST:
            self._waiting.append(time)
            self._pins.call_at(time, self._due)

    def _due(self) -> None:
        self._waiting.pop()
        self._ring()
