# SPDX-License-Identifier: Apache-2.0
"""A device's server as a child process: started, known to be ready, ended.

It is a process of its own, and not a thread, because the real thing is one: what a driver's author runs is tested.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from plx9x5x.errors import LostVm, SetupError
from plx9x5x.lab import defaults
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.host.socket_place import SocketPlace
from plx9x5x.lab.host.symptoms import tail_lines

READY: Final = "listening on"
START_LIMIT_S: Final = 20.0
_POLL_S: Final = 0.005
SERVER_LOG: Final = "server.log"
"""What it printed, among the logs."""
_SOCKET: Final = "device.sock"
_TRACEBACK: Final = "Traceback (most recent call last)"
_SETUP_EXITS: Final = (2, 69)
_EXIT_BUG: Final = 70
_CRASHES: Final = tuple(-number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGFPE))
_OURS: Final = "this is a bug of ours"
_WHO: Final = {
    0: "as when somebody sends it SIGTERM",
    -signal.SIGTERM: "sent by somebody",
    -signal.SIGKILL: "sent by somebody, or by the kernel for lack of memory",
    -signal.SIGBUS: "as when the file of the guest's memory is truncated or finds no room (is /dev/shm full?)",
}
"""What an end that is no bug of ours comes from."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A program that serves one device over vfio-user, by the conventions of its backends.

    It is given `--socket-path S` after `argv`, prints a line that begins with `listening on` once a client may connect
    (and flushes it), and ends with 0 at SIGTERM. One that ends with 2 or 69 lacks something of the host, and a line
    `hint: ...` of its says how to get it. `environment` is added to ours. It runs in the folder of the logs, so paths
    in `argv` are absolute. It inherits the descriptors `pass_fds`. `whose` says whose fault a bug in it is.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    whose: str = _OURS


def device_backend(factory: str, *options: str, pass_fds: tuple[int, ...] = ()) -> Backend:
    """A backend for a device of one's own: what `factory` (MODULE:NAME or PATH.py:NAME) makes is a `PciDevice`.

    A relative path, and a module that is not installed, are looked for in the current folder. `options` are more of
    `plx9x5x serve`. It is that program, in whose terms this is no more than a name.
    """
    module, colon, name = factory.rpartition(":")
    if module.endswith(".py"):
        factory = f"{Path(module).absolute()}{colon}{name}"
    return Backend(
        (sys.executable, "-m", "plx9x5x", "serve", "--device", factory, *options),
        environment=own_environment(),
        pass_fds=pass_fds,
        whose="look at the device's code first",
    )


def own_environment() -> dict[str, str]:
    """What a program that makes a device of one's own needs: where Python looks for modules now, and here."""
    words = [word for word in sys.path if word]
    return {"PYTHONPATH": os.pathsep.join([*words, str(Path.cwd())]), "PYTHONUNBUFFERED": "1"}


class DeviceServer:
    """A server with one device; a context manager, at whose end nothing of it is left.

    `start` returns at once, so that other work can go on; `wait_ready` must come before a client. Its output goes to
    server.log in `logs`.
    """

    def __init__(self, child: Child, place: SocketPlace, whose: str = _OURS) -> None:
        self._child = child
        self._whose = whose
        self._place = place
        self.socket_path = place.path

    @classmethod
    def start(cls, *, backend: Backend, logs: Path, cpus: Collection[int] | None = None) -> Self:
        """Start it, on the cores `cpus` only if they are named. Raises: SetupError."""
        place = SocketPlace(logs, _SOCKET)
        try:
            child = Child(
                (*backend.argv, "--socket-path", str(place.path)),
                name="the device server",
                log=logs / SERVER_LOG,
                env={**os.environ, **backend.environment},
                cwd=logs,
                pass_fds=backend.pass_fds,
                cpus=cpus,
            )
        except BaseException:
            place.remove()
            raise
        return cls(child, place, backend.whose)

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
                heard = "\n".join(tail_lines(self.output(), 20)) or "(nothing)"
                raise LostVm(f"the device server was not ready within {limit_s:g} s: no line '{READY} ...' in\n{heard}")
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
        """Say it in words, with who may have done it."""
        code, how = self._child.poll(), self._child.how_it_ended()
        return f"{how}, {_WHO[code]}" if code in _WHO else how

    def output(self) -> str:
        """The last of what it printed."""
        return self._child.output()

    def trouble(self) -> str | None:
        """End it; say what went wrong in it by then, or None. Says so if it is a bug of ours (`Backend.whose`).

        That is an exception, a crash, and exit code 70. A server that somebody else ended is none.
        """
        lived = self.alive
        self.end()
        code = self._child.poll()
        if code in _CRASHES or code == _EXIT_BUG:
            return f"it ended with {self.how_it_ended()}; {self._whose}"
        if code == defaults.EXIT_UNWRITTEN:
            return "what it found could not be written: is the disk full?"
        if said := self.authors_error:
            return said
        if lived and code == -signal.SIGKILL:
            return f"it did not end at SIGTERM and had to be killed; {self._whose}"
        lines = self.output().splitlines()
        at = next((number for number, line in enumerate(lines) if line.startswith(_TRACEBACK)), None)
        if at is not None:
            what = next((line for line in lines[at + 1 :] if line and not line.startswith(" ")), "an exception")
            return f"{what}; {self._whose}"
        if code in (0, -signal.SIGTERM):  # the latter before it could install its handler
            return None
        return f"it ended with {self.how_it_ended()}"

    @property
    def authors_error(self) -> str | None:
        """What it said of the device's or the board's own code that ended it; None if nothing of that kind did."""
        if self._child.poll() not in (*_SETUP_EXITS, -signal.SIGTERM):
            return None
        # Our signal may have come between its last word and its end.
        return _error(self.output().splitlines()) or None

    def end(self) -> None:
        """SIGTERM, then SIGKILL; the socket goes too."""
        self._child.end()
        self._place.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.end()


def _hint(said: Collection[str]) -> str:
    """The server's own hint, if it gave one."""
    hints = [line.removeprefix("hint:").strip() for line in said if line.startswith("hint:")]
    return hints[-1] if hints else "plx9x5x doctor says what is missing"


def _error(said: Sequence[str]) -> str:
    """The error that it ended with, if it said one."""
    errors = [line.removeprefix("error:").strip() for line in said if line.startswith("error:")]
    return errors[-1] if errors else ""
