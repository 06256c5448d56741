# SPDX-License-Identifier: Apache-2.0
"""The groups `start` and `run`: how soon a server listens, what it takes while idle, how long a run takes."""

import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

from plx9x5x.errors import LostVm
from plx9x5x.lab import session
from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.contest import OURS, PEER
from plx9x5x.lab.bench.figures import Figure, Part, Row
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.host.server import READY, START_LIMIT_S, Backend

GUEST_MIB: Final = 512
IDLE_S: Final = 5.0
RUNS_MAX: Final = 3
_POLL_S: Final = 0.0005
_RSS: Final = re.compile(r"^(RssAnon|RssFile):\s+(\d+) kB", re.MULTILINE)
_PSS: Final = re.compile(r"^(Pss_Anon|Pss_File):\s+(\d+) kB", re.MULTILINE)
_SWITCHES: Final = re.compile(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)


def measure(options: Options) -> Part:
    """Run the group `start`. Raises: SetupError, LostVm."""
    rows = [*_start_rows(options), *_rest_rows(options)]
    return Part("start", "Start and rest of a server", tuple(rows))


def _start_rows(options: Options) -> list[Row]:
    servers = {name: partial(_listens, backend) for name, backend in contest.both_backends(options).items()}
    turns = {**servers, "Python": partial(_bare_python)}
    for turn in turns.values():
        turn()  # what comes from the disk is in memory from now on
    times = contest.alternate(options.rounds, turns)
    figures = {name: Figure(tuple(t * 1e3 for t in seconds)) for name, seconds in times.items()}
    name = "exec to `listening on`"
    return [
        Row(name, "ms", figures[OURS], figures[PEER], PEER, plane=options.plane),
        Row(name, "ms", figures[OURS], figures["Python"], "python -c pass", plane=options.plane),
    ]


def _listens(backend: Backend) -> float:
    """Seconds from exec to the line; the server's output is looked at every half millisecond."""
    with tempfile.TemporaryDirectory(prefix="plx-bench-") as folder:
        argv = (*backend.argv, "--socket-path", f"{folder}/s")
        start = time.perf_counter()
        with _started(backend, argv, Path(folder)) as child:
            while not any(line.startswith(READY) for line in child.output().splitlines()):
                if not child.alive or time.perf_counter() - start > START_LIMIT_S:
                    raise LostVm(f"the server does not listen ({child.how_it_ended()}): {child.output()}")
                time.sleep(_POLL_S)
            return time.perf_counter() - start


def _started(backend: Backend, argv: tuple[str, ...], folder: Path) -> Child:
    return Child(argv, name="the device server", log=folder / "server.log", env={**os.environ, **backend.environment})


def _bare_python() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def _rest_rows(options: Options) -> list[Row]:
    """Memory and processor time of each server while a client with much memory is there and silent."""
    rest: dict[str, dict[str, float]] = {}
    with contest.serving(contest.both_backends(options), cpus=options.cpus) as servers:
        for name, server in servers.items():
            # Accesses and transfers first: memory as it is after work, not after start.
            contest.run_client(server.socket_path, "chain", 256, 3, cpus=options.cpus)
            with contest.holding(server.socket_path, mib=GUEST_MIB, cpus=options.cpus):
                rest[name] = _rest(server.pid, 0.3 if options.quick else IDLE_S)
    beside = f"beside {GUEST_MIB} MiB of the client's memory"

    def row(name: str, unit: str, key: str, note: str) -> Row:
        ours, theirs = (Figure((rest[who][key],)) for who in (OURS, PEER))
        return Row(name, unit, ours, theirs, PEER, note, options.plane)

    return [
        row("memory: RssAnon + RssFile", "MiB", "rss", beside),
        row("memory: Pss_Anon + Pss_File", "MiB", "pss", beside),
        row("processor time with a silent client", "%", "busy", "of one core"),
        row("wake-ups with a silent client", "/s", "switches", "context switches"),
    ]


def _rest(pid: int, seconds: float) -> dict[str, float]:
    before = _work(pid)
    time.sleep(seconds)
    busy, switches = (b - a for a, b in zip(before, _work(pid), strict=True))
    proc = Path(f"/proc/{pid}")
    return {
        "rss": _sum_mib(_RSS, proc / "status"),
        "pss": _sum_mib(_PSS, proc / "smaps_rollup"),
        "busy": busy * 1e-9 / seconds * 100,
        "switches": switches / seconds,
    }


def _work(pid: int) -> tuple[int, int]:
    """(nanoseconds on a core, context switches) of all threads so far."""
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    ns = sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks)
    switches = sum(int(n) for task in tasks for n in _SWITCHES.findall((task / "status").read_text(encoding="utf-8")))
    return ns, switches


def _sum_mib(pattern: re.Pattern[str], path: Path) -> float:
    found = pattern.findall(path.read_text(encoding="utf-8"))
    if not found:
        raise LostVm(f"{path} does not tell what the server's memory is (a kernel older than 5.4?)")
    return sum(int(kib) for _, kib in found) / 1024


def measure_run(options: Options) -> Part:
    """Run the group `run`: whole runs, of which the first only warms up. Raises: SetupError, LostVm."""
    only = _QUICK_CASE if options.quick else None
    _phases(only)
    rounds = 1 if options.quick else min(options.rounds, RUNS_MAX)
    phases = [_phases(only) for _ in range(rounds)]
    whole = [_whole_run(only) for _ in range(rounds)]
    rows = [Row("plx9x5x run, from exec to its end", "s", Figure(tuple(whole)), plane=options.plane)]
    by_name = {name: Figure(tuple(seconds[name] for seconds in phases)) for name in phases[0]}
    rows += [Row(f"- {name}", "s", figure, plane=options.plane) for name, figure in by_name.items()]
    return Part("run", "A warm run and its phases", tuple(rows))


def _phases(only: str | None) -> dict[str, float]:
    result = session.run(session.RunSpec(only=only))
    if not result.ok:
        raise LostVm(f"a run did not pass: {result.totals()} {'; '.join(result.problems)}")
    return {phase.name: phase.seconds for phase in result.phases}


def _whole_run(only: str | None) -> float:
    argv = [sys.executable, "-m", "plx9x5x", "run", *(("--only", only) if only else ())]
    start = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LostVm(f"a run did not pass ({done.returncode}): {done.stdout}{done.stderr}")
    return time.perf_counter() - start


_QUICK_CASE: Final = "selftest_dma_pattern"
