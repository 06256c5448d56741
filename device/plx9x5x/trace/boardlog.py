# SPDX-License-Identifier: Apache-2.0
"""What a board says of itself (`pins.log`), for the person who watches `serve --verbose`."""

from collections.abc import Callable
from typing import Final

from plx9x5x import events

MOST: Final = 1000
"""Lines that one client can have the board say: a guest that makes it talk fills no disk."""

_SECOND_NS: Final = 1_000_000_000


class BoardLog:
    """A sink that tells `say` a line for each: board, window, the device's time in seconds, the text."""

    enabled: Final = False

    def __init__(self, board: str, say: Callable[[str], None]) -> None:
        self._board, self._say = board, say
        self._left = MOST

    def emit(self, event: object) -> None:
        """Say it; a client that is gone leaves the next one all its lines."""
        if isinstance(event, events.BoardSaid):
            self._left -= 1
            if self._left >= 0:
                seconds, rest = divmod(event.time, _SECOND_NS)
                self._say(f"{self._board}, {event.window}, {seconds}.{rest:09}: {event.text}")
            elif self._left == -1:
                self._say(f"{self._board} has said {MOST} lines: what it says to this client from now on is not shown")
        elif isinstance(event, events.ChipReset) and event.registers:
            self._left = MOST
