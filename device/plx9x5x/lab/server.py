# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve` as a child process: started, known to be ready, ended.

It is a process of its own, and not a thread, because the real thing is one: what a driver's author runs is tested.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import plx9x5x
from plx9x5x.errors import LostVm, SetupError
from plx9x5x.lab.process import Child
from plx9x5x.lab.symptoms import tail_lines

READY: Final = "listening on"
START_LIMIT_S: Final = 20.0
_POLL_S: Final = 0.005
_SOCKET: Final = "device.sock"
_SOCKET_PATH_MAX: Final = 100
_TRACEBACK: Final = "Traceback (most recent call last)"
_SETUP_EXITS: Final = (2, 69)


class DeviceServer:
    """A server with one board; a context manager, at whose end nothing of it is left.

    `start` returns at once, so that other work can go on; `wait_ready` must come before a client. Its output goes to
    server.log in `logs`.
    """

    def __init__(self, child: Child, socket_path: Path, own_folder: Path | None) -> None:
        self._child = child
        self._own_folder = own_folder
        self.socket_path = socket_path

    @classmethod
    def start(
        cls,
        *,
        board: str,
        libvfio_user: Path,
        logs: Path,
        cpus: Collection[int] | None = None,
        verbose: bool = False,
        trace: Path | None = None,
    ) -> Self:
        """Start it for `board`; it writes its register trace to the file `trace`. Raises: SetupError."""
        # A socket's path is short; a cache folder's need not be.
        own_folder = None
        folder = logs.absolute()
        if len(os.fsencode(folder / _SOCKET)) > _SOCKET_PATH_MAX:
            folder = own_folder = Path(tempfile.mkdtemp(prefix="plx9x5x-", dir="/tmp"))
        socket_path = folder / _SOCKET
        argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", str(socket_path), "--board", board]
        if verbose:
            argv.append("--verbose")
        if trace is not None:
            argv += ["--trace", str(trace)]
        try:
            child = Child(
                argv,
                name="the device server",
                log=logs / "server.log",
                env=_environment(libvfio_user),
                cwd=logs,
                cpus=cpus,
            )
        except BaseException:
            if own_folder is not None:
                shutil.rmtree(own_folder, ignore_errors=True)
            raise
        return cls(child, socket_path, own_folder)

    def wait_ready(self, *, limit_s: float = START_LIMIT_S) -> Self:
        """Wait until a client may connect.

        Raises: SetupError if it refuses to start, LostVm if it ends otherwise or takes longer than `limit_s`.
        """
        deadline = time.monotonic() + limit_s
        while not any(line.startswith(READY) for line in self.output().splitlines()):
            code = self._child.poll()
            if code is not None:
                said = tail_lines(self.output(), 20)
                if code in _SETUP_EXITS:
                    raise SetupError("the device server did not start:\n" + "\n".join(said), hint=_hint(said))
                raise LostVm(f"the device server ended at its start ({self.how_it_ended()}):\n" + "\n".join(said))
            if time.monotonic() > deadline:
                raise LostVm(f"the device server was not ready within {limit_s:g} s")
            time.sleep(_POLL_S)
        return self

    def place(self, cpus: Collection[int]) -> None:
        """Have it run on these cores only, all of its threads."""
        self._child.place(cpus)

    @property
    def name(self) -> str:
        """What it is, for people."""
        return self._child.name

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._child.alive

    def how_it_ended(self) -> str:
        """Say it in words."""
        return self._child.how_it_ended()

    def output(self) -> str:
        """The last of what it printed."""
        return self._child.output()

    def trouble(self) -> str | None:
        """End it; say what went wrong in it by then although it went on, or None. It is our bug, whatever it is."""
        self.end()
        code = self._child.poll()
        if code not in (0, -signal.SIGTERM):  # the latter before it could install its handler
            return f"it ended with {self.how_it_ended()}"
        lines = self.output().splitlines()
        at = next((number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)), None)
        if at is None:
            return None
        return next((line for line in lines[at + 1 :] if line and not line.startswith(" ")), "an exception")

    def end(self) -> None:
        """SIGTERM, then SIGKILL; the socket goes too."""
        self._child.end()
        self.socket_path.unlink(missing_ok=True)
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.end()


def _environment(libvfio_user: Path) -> dict[str, str]:
    """Ours, with the library, and with this very package first, which may be a bare checkout."""
    root = str(Path(plx9x5x.__file__).resolve().parent.parent)
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PLX9X5X_LIBVFIO_USER": str(libvfio_user),
        "PYTHONPATH": f"{root}{os.pathsep}{before}" if before else root,
        "PYTHONUNBUFFERED": "1",
    }


def _hint(said: Collection[str]) -> str:
    """The server's own hint, if it gave one."""
    hints = [line.removeprefix("hint:").strip() for line in said if line.startswith("hint:")]
    return hints[-1] if hints else "plx9x5x doctor says what is missing"
