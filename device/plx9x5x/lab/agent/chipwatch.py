# SPDX-License-Identifier: Apache-2.0
"""Follows the register trace that a server writes: what the chip was asked, and when it has come to rest.

This is how a caller outside the guest waits without a register access. Posted writes reach the chip late, so it first
waits until the trace shows as many accesses as were made; then for `idle`, which the server writes when the chip has
done all that it can do by itself, whether a channel is done, failed, held or paused. A chip that waits and looks again
by itself, at a descriptor that is not valid, must have looked once more since.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from plx9x5x.errors import PlxError
from plx9x5x.trace.regtrace import BOARD_SIDE, FULL, IDLE, WAITING, Access, ConfigWrite, Line, Note, parse

POLL_S: Final = 0.0002
LOOK_ROUND_S: Final = 0.05
_TAIL: Final = 8
_LOOKS: Final = 2
"""Lines that say `waiting`: only between the first new one and the second the chip has looked for sure."""


class NotSettled(PlxError):
    """The chip did not come to where it was awaited; the message has the end of its trace."""


class ChipWatch:
    """Reads the trace at `path` as it grows; a context manager. `accesses` are those since the last `restart`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._rest = b""
        self._tail: list[Line] = []
        self._before: Line | None = None
        """The last line that says something else than what the board does."""
        self._fell_by_config = False
        self._looks = 0
        self.accesses: list[Access] = []
        self.config_writes: list[ConfigWrite] = []
        self.resets = 0
        self.full = False
        self.line = False
        """INTA# as the chip drives it."""

    @property
    def idle(self) -> bool:
        """True if the chip has done all that it can do, as far as the trace was read."""
        return bool(self._tail) and self._tail[-1] == IDLE

    def settled(self) -> Callable[[], bool]:
        """Give a test, for `until`: the chip has done all that it can do, also with what memory holds by now."""
        self.poll()
        looks = self._looks

        def done() -> bool:
            waiting = bool(self._tail) and self._tail[-1] == WAITING
            return self.idle or (waiting and self._looks >= looks + _LOOKS)

        return done

    @property
    def fell_unseen(self) -> bool:
        """True if INTA# fell by a write of configuration space and no BAR was accessed since.

        vfio-user carries no falling edge: QEMU lowers the guest's pin at the next access to a BAR, and not before.
        """
        return self._fell_by_config and not self.line

    def restart(self) -> None:
        """Forget what was accessed; the chip's state is kept."""
        self.poll()
        self.accesses.clear()
        self.config_writes.clear()
        self.resets = 0

    def poll(self) -> None:
        """Read what is new. Raises: ValueError if the file is no register trace."""
        while data := os.read(self._file, 256 * 1024):
            *whole, self._rest = (self._rest + data).split(b"\n")
            for text in whole:
                self._take(parse(text.decode("ascii", "replace")))

    def until(
        self, done: Callable[[], bool], what: str, *, limit_s: float, look_round: Callable[[], None] = lambda: None
    ) -> None:
        """Wait until `done`; `look_round` is called now and then, and may raise what ends the wait.

        Raises: NotSettled, after `limit_s` or at the end of a trace that is full.
        """
        began = looked = time.monotonic()
        while True:
            self.poll()
            if done():
                return
            now = time.monotonic()
            if self.full or now - began > limit_s:
                why = "its trace is full" if self.full else f"not within {limit_s:g} s"
                tail = "; ".join(map(str, self._tail)) or "nothing"
                raise NotSettled(f"the chip was to {what}: {why}. The trace ends with: {tail}")
            if now - looked > LOOK_ROUND_S:
                look_round()
                looked = now
            time.sleep(POLL_S)

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _take(self, line: Line) -> None:
        match line:
            case Access():
                self.accesses.append(line)
                self._fell_by_config = False
            case ConfigWrite():
                self.config_writes.append(line)
            case Note(kind="line"):
                self.line = line.text == "1"
                self._fell_by_config = not self.line and isinstance(self._before, ConfigWrite)
            case Note(kind="reset"):
                self.resets += 1
            case _ if line == WAITING:
                self._looks += 1
            case _ if line == FULL:
                self.full = True
        self._tail = [*self._tail[1 - _TAIL :], line]
        if not (isinstance(line, Note) and line.kind in BOARD_SIDE):
            self._before = line
