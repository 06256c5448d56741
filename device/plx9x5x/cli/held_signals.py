# SPDX-License-Identifier: Apache-2.0
"""Signals that end a server are held back, and not raised: there is something to take away."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from plx9x5x.cli import ending

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SERVE: Final = "serve"


class HeldSignals:
    """Within, signals that end a server are held back, and it is told to stop."""

    def __init__(self) -> None:
        self._caught: list[int] = []
        self._stop: list[Callable[[], None]] = []
        self._before = {number: signal.getsignal(number) for number in _ENDING}

    def __enter__(self) -> "HeldSignals":
        for number in _ENDING:
            if number != signal.SIGHUP or self._before[number] is not signal.SIG_IGN:  # ignored: as under nohup
                signal.signal(number, self._end)
        ending.check()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        # Only a note: an exception here might be raised inside a C callback and get lost there.
        self._caught.append(number)
        for ask in self._stop:
            ask()

    def stops(self, stop: Callable[[], None]) -> bool:
        """Have a signal call `stop`; True if one has come already."""
        self._stop.append(stop)
        return bool(self._caught)

    @property
    def code(self) -> int:
        """The exit code by the signals that came: one that complains wins over SIGTERM."""
        caught = self._caught
        worst = next((number for number in (signal.SIGINT, signal.SIGHUP) if number in caught), signal.SIGTERM)
        return ending.exit_code(worst, _SERVE)
