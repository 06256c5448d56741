# SPDX-License-Identifier: Apache-2.0
"""Child processes that cannot outlive us.

Each child leads its own session, so that a Ctrl-C on the terminal reaches us alone and we end them in order, and so
that one signal to the group ends whatever it started. The kernel kills the child when the thread that started it is
gone, whatever ended us: start children from a thread that lives as long as they shall.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from plx9x5x.errors import SetupError
from plx9x5x.lab.host.drain import Drain

_PR_SET_PDEATHSIG: Final = 1
_READ_TAIL: Final = 64 * 1024
_SETTLE_S: Final = 0.2
"""Longer only if what it started goes on and could print."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Child:
    """A program that runs; its output goes to the file `log`, up to a limit (`Drain`).

    `cpus` are the cores that it may use, None for all of ours. Raises: SetupError if it cannot be started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        name: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pass_fds: Collection[int] = (),
        cpus: Collection[int] | None = None,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        try:
            self._drain = Drain(log)
            with self._drain.giving():
                self._process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=self._drain.writer,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    pass_fds=tuple(pass_fds),
                    start_new_session=True,
                    preexec_fn=_prepare(os.getpid(), cpus),  # noqa: PLW1509 - two system calls, no lock
                )
        except OSError as exc:
            where = argv[0] if exc.filename is None or str(exc.filename) == argv[0] else exc.filename
            raise SetupError(
                f"cannot start {name}: {exc.strerror}: {where}", hint="plx9x5x doctor says what is missing"
            ) from exc

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._process.pid

    def poll(self) -> int | None:
        """Exit code, minus the signal's number, or None while it runs."""
        return self._process.poll()

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self.poll() is None

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end; None if it still runs by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def place(self, cpus: Collection[int]) -> None:
        """Have all of its threads run on these cores only; a host that refuses is left alone."""
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{self.pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), cpus)

    def end(self, *, grace_s: float = 2.0) -> None:
        """SIGTERM, then SIGKILL after `grace_s`; its group goes with it. Harmless on one that has ended."""
        if self.alive:
            self._signal(signal.SIGTERM)
            if grace_s > 0:
                self.wait(grace_s)
        self._signal(signal.SIGKILL)  # it, or what it left in its group
        self._process.wait()
        self._drain.finish()

    def how_it_ended(self) -> str:
        """Say it in words: 'exit code 1', 'SIGKILL', 'still running'."""
        code = self.poll()
        if code is None:
            return "still running"
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def output(self) -> str:
        """The last 64 KiB of what it printed so far; all of it once it has ended."""
        self.settle()
        return self._drain.tail()

    def settle(self) -> None:
        """Have its log complete, if it has ended."""
        if not self.alive:
            self._drain.finish(_SETTLE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.end()

    def _signal(self, number: signal.Signals) -> None:
        # The group's number stays taken as long as the leader is not reaped or a member lives.
        if self._process.returncode is not None and not _group_exists(self.pid):
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def tail_of(path: Path, limit: int = _READ_TAIL) -> str:
    """The last `limit` bytes of a text file, '' if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - limit))
            return file.read(limit).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _prepare(parent: int, cpus: Collection[int] | None) -> Callable[[], None]:
    """What the child does between fork and exec."""

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # we died before the line above
            os._exit(1)
        if cpus:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, cpus)

    return prepare


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    return True
