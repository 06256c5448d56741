# SPDX-License-Identifier: Apache-2.0
"""Servers killed while they start and while they serve: the next one takes the same path, and nothing lies about."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from plx9x5x.errors import LostVm
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.host.server import Backend
from plx9x5x.lab.kills.tally import Tally
from plx9x5x.lab.kills.traces import LIMIT_S, Readings, Wrong, arrival
from plx9x5x.lab.kills.victims import Victims

RESTARTED: Final = "start to first answer"
_SERVES_S: Final = 0.05
_START_S: Final = 0.5
"""Until a start was timed."""


def kill_servers(
    backend: Backend, folder: Path, logs: Path, count: int, *, seed: int, victims: Victims, what: str = "server"
) -> Tally:
    """Kill so many that serve at one path in `folder`, which is empty; half of them while they start.

    Each has a trace beside its socket. Raises: LostVm, OSError.
    """
    tally = Tally(what)
    path = folder / "s"
    backend = Backend((*backend.argv, "--trace", str(folder / "t")), environment=backend.environment)
    readings: Readings | None = None
    start_s = _START_S
    draw = random.Random(f"{seed} servers")  # noqa: S311 - the same instants each time
    while tally.kills < count:
        begun = time.monotonic()
        with _serving(backend, path, logs) as child:
            if readings is not None and draw.random() < 0.5:
                time.sleep(draw.uniform(0, start_s))
            else:
                readings = _first_answer(tally, child, path, readings, begun)
                start_s = time.monotonic() - begun
                _look_around(tally, folder)
                victims.start(path, draw.getrandbits(32))
                time.sleep(draw.uniform(0, _SERVES_S))
                _kill(tally, child)
                victims.kill()
                victims.ended()
                continue
            _kill(tally, child)
    _last(tally, backend, path, logs, readings)
    return tally


@contextlib.contextmanager
def _serving(backend: Backend, path: Path, logs: Path) -> Iterator[Child]:
    argv = (*backend.argv, "--socket-path", str(path))
    log = logs / "server.log"
    log.unlink(missing_ok=True)
    with Child(argv, name="the server", log=log, env={**os.environ, **backend.environment}, cwd=logs) as child:
        yield child


def _first_answer(tally: Tally, child: Child, path: Path, expected: Readings | None, begun: float) -> Readings:
    """Time how long it takes until a client is answered. Raises: LostVm if that is never."""
    try:
        found = arrival(path, expected, alive=lambda: child.alive)
    except Wrong as exc:
        tally.wrong.append(f"after {tally.kills} kills: {exc}")
        assert expected is not None, "nothing is wrong unless something is expected"
        return expected
    except OSError as exc:
        raise LostVm(f"after {tally.kills} kills no server answers ({exc})\n{child.output()}") from exc
    tally.took(RESTARTED, time.monotonic() - begun)
    return found


def _kill(tally: Tally, child: Child) -> None:
    """Kill it, wherever it is. Raises: LostVm if it had ended by itself."""
    with contextlib.suppress(ProcessLookupError):  # its parent, we, may have seen its end
        os.kill(child.pid, signal.SIGKILL)
    child.wait(LIMIT_S)
    if child.poll() != -signal.SIGKILL:
        raise LostVm(f"after {tally.kills} kills a server ended by itself: {child.how_it_ended()}\n{child.output()}")
    tally.kills += 1


def _look_around(tally: Tally, folder: Path) -> None:
    """One server runs: its socket and its trace are all that is there."""
    if left := sorted(path.name for path in folder.iterdir() if path.name not in ("s", "t")):
        tally.leaks.append(f"after {tally.kills} kills: files {', '.join(left)}")
        for name in left:
            (folder / name).unlink()


def _last(tally: Tally, backend: Backend, path: Path, logs: Path, readings: Readings | None) -> None:
    """One more, which ends as it should: the trace stays, and nothing else."""
    begun = time.monotonic()
    with _serving(backend, path, logs) as child:
        _first_answer(tally, child, path, readings, begun)
        child.end()
        if child.poll() != 0:
            tally.wrong.append(f"the last server: {child.how_it_ended()} at SIGTERM")
    _look_around(tally, path.parent)
    if path.exists():
        tally.leaks.append("the last server: its socket")
