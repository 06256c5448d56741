# SPDX-License-Identifier: Apache-2.0
"""Raw clients on order, to be killed."""

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import plx9x5x
from plx9x5x.errors import LostVm
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.kills.victim import PIECES, WHOLE

_LIMIT_S: Final = 30.0
_KIB: Final = 1024


class Victims:
    """Makes clients (victim.py), one at a time; a context manager, at whose end none is left. Raises: SetupError."""

    def __init__(self, logs: Path) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders.settimeout(_LIMIT_S)
        root = str(Path(plx9x5x.__file__).resolve().parent.parent)
        try:
            self._child = Child(
                (sys.executable, "-m", "plx9x5x.lab.kills.victim", str(theirs.fileno())),
                name="the raw clients",
                log=logs / "victims.log",
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))},
                pass_fds=(theirs.fileno(),),
            )
        finally:
            theirs.close()

    def start(self, path: Path, seed: int, *, whole: bool = False) -> None:
        """Have one live its life at the server's socket; `whole`: its messages come at once. Raises: LostVm."""
        self._orders.send(f"{seed} {WHOLE if whole else PIECES} {path}".encode())
        self._last = self._answer()

    def kill(self) -> None:
        """Kill it, wherever it is. Its number is its own until `ended`, so nobody else is hit."""
        os.kill(self._last, signal.SIGKILL)

    def ended(self) -> int:
        """Wait until it has ended; give its exit code, minus the signal's number. Raises: LostVm."""
        self._orders.send(b"end")
        return self._answer()

    def output(self) -> str:
        """What they said of their troubles."""
        return self._child.output()

    def _answer(self) -> int:
        with contextlib.suppress(OSError):
            if answer := self._orders.recv(_KIB):
                return int(answer)
        raise LostVm(f"no raw client comes any more ({self._child.how_it_ended()})\n{self.output()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._orders.close()
        self._child.end(grace_s=0)
