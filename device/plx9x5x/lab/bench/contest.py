# SPDX-License-Identifier: Apache-2.0
"""Servers that take part, and the raw client that times them: all on one core, in rounds that alternate."""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from plx9x5x import boards
from plx9x5x.errors import LostVm
from plx9x5x.lab.bench import plane, programs
from plx9x5x.lab.bench.figures import Figure
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.host.placement import CorePicker
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.transport.choice import Transport

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

OURS: Final = "ours"
WIRE: Final = "ours, wire"
"""Without libvfio-user."""
PEER: Final = "C peer"
CLIENT_LIMIT_S: Final = 90.0
HOLDING: Final = "holding"
_WATCH_S: Final = 0.3
_LINE: Final = re.compile(
    r"name=(?P<name>\S+) n=\d+ median_ns=(?P<median>\S+) p99_ns=(?P<p99>\S+) mean_ns=(?P<mean>\S+)"
)


@dataclass(frozen=True, slots=True)
class Timing:
    """One line of the client's, in seconds for one operation."""

    median: float
    p99: float
    mean: float


def pick_core() -> frozenset[int] | None:
    """The core that idles most; None when there is no choice."""
    picker = CorePicker()
    time.sleep(_WATCH_S)
    return picker.pick()


@contextlib.contextmanager
def on_core(cpus: Collection[int] | None) -> Iterator[None]:
    """Have this very process run on those cores meanwhile; None leaves it alone."""
    before = os.sched_getaffinity(0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def our_backend(tc: Toolchain, plane_name: str, *, transport: Transport = Transport.LIBVFIO) -> Backend:
    """`plx9x5x serve` with the default board."""
    backend = board_backend(boards.DEFAULT, libvfio_user=tc.libvfio_user, transport=transport.value)
    return Backend((*backend.argv, *plane.options(plane_name)), environment=backend.environment)


def both_backends(options: Options) -> dict[str, Backend]:
    """Ours and the peer, by their names in a report. Raises: SetupError."""
    return {OURS: our_backend(options.tc, options.plane), PEER: programs.peer(options.tc)}


@contextlib.contextmanager
def serving(backends: Mapping[str, Backend], *, cpus: Collection[int] | None) -> Iterator[dict[str, DeviceServer]]:
    """Have each backend serve, by its name, until the end of the block. Raises: SetupError, LostVm."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, backend in backends.items():
            logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plx-bench-")))
            servers[name] = stack.enter_context(DeviceServer.start(backend=backend, logs=logs, cpus=cpus))
        for server in servers.values():
            server.wait_ready()
        yield servers


def client(folder: Path, socket: Path | None, *arguments: str | int, cpus: Collection[int] | None) -> Child:
    """Start the client; what it says goes to a file of its own in `folder`. Raises: SetupError."""
    argv = [str(programs.client()), "-" if socket is None else str(socket), *map(str, arguments)]
    log = folder / f"client-{time.monotonic_ns()}.log"
    return Child(argv, name="the raw client", log=log, cpus=cpus)


def run_client(socket: Path | None, *arguments: str | int, cpus: Collection[int] | None = None) -> dict[str, Timing]:
    """Run the client once; give what it timed, by name. Raises: LostVm with its words if it failed, SetupError."""
    with (
        tempfile.TemporaryDirectory(prefix="plx-bench-") as folder,
        client(Path(folder), socket, *arguments, cpus=cpus) as child,
    ):
        if child.wait(CLIENT_LIMIT_S) != 0:
            raise failed(child)
        return read_timings(child.output())


@contextlib.contextmanager
def holding(socket: Path, *, mib: int, cpus: Collection[int] | None) -> Iterator[None]:
    """Have a client connected that has given the server so much memory. Raises: LostVm."""
    with (
        tempfile.TemporaryDirectory(prefix="plx-bench-") as folder,
        client(Path(folder), socket, "hold", mib, cpus=cpus) as child,
    ):
        deadline = time.monotonic() + CLIENT_LIMIT_S
        while HOLDING not in child.output():
            if not child.alive or time.monotonic() > deadline:
                raise failed(child)
            time.sleep(0.01)
        yield


def failed(child: Child) -> LostVm:
    """Say what became of a client."""
    return LostVm(f"the raw client failed ({child.how_it_ended()}): {' '.join(child.argv)}\n{child.output().strip()}")


def read_timings(output: str) -> dict[str, Timing]:
    """The client's lines, by name."""
    found = (_LINE.match(line) for line in output.splitlines())
    return {
        m["name"]: Timing(float(m["median"]) * 1e-9, float(m["p99"]) * 1e-9, float(m["mean"]) * 1e-9)
        for m in found
        if m
    }


def alternate(rounds: int, contestants: Mapping[K, Callable[[], T]]) -> dict[K, list[T]]:
    """Let each take its turn, `rounds` times; every second round in reverse, so that none is always the first."""
    results: dict[K, list[T]] = {name: [] for name in contestants}
    order: Sequence[K] = tuple(contestants)
    for _ in range(rounds):
        for name in order:
            results[name].append(contestants[name]())
        order = order[::-1]
    return results


def figure(
    timings: Sequence[Mapping[str, Timing]], name: str, pick: Callable[[Timing], float], scale: float = 1e6
) -> Figure:
    """One quantity of a contestant's rounds, in microseconds unless `scale` says otherwise."""
    return Figure(tuple(pick(timing[name]) * scale for timing in timings))
