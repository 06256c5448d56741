#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What watching a driver costs: `plx9x5x run` with the witness beside `run --no-witness`, taking turns.

Ratios count: 1 is for nothing. Figures are medians of the rounds, after ± stands half of the width of the middle half.
Processor time is that of QEMU, server and launcher together. What comes behind `--` goes to both, as in
`scripts/witness_cost.py -- --guest iommu`.
"""

import argparse
import os
import subprocess
import sys
import time
from typing import NamedTuple

from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.figures import Figure

WITH, WITHOUT = "with", "without"


class Cost(NamedTuple):
    """Of one run, in seconds."""

    wall: float
    processor: float


class RunFailed(Exception):
    """A run did not end well, so that its time says nothing; the text is what it said."""


def one_run(*options: str) -> Cost:
    """Run; the children of the launcher count once it has waited for them, as it does. Raises: RunFailed."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "plx9x5x", "run", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RunFailed(said)
    return Cost(time.monotonic() - began, used.ru_utime + used.ru_stime)


def line(name: str, ours: list[float], peers: list[float]) -> str:
    """One line of the table: both medians in seconds, and how many times the peer's ours is."""
    with_it, without = Figure(tuple(ours)), Figure(tuple(peers))
    ratio = with_it.over(without)
    spread = "" if len(ours) == 1 else f" ±{ratio.spread / 2:.0%}"
    return f"{name:<15} {with_it.median:8.2f} s {without.median:8.2f} s   x{ratio.median:.2f}{spread}"


def main(words: list[str]) -> int:
    """Measure, and print a table; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="runs of each (%(default)s)")
    parser.add_argument("options", nargs="*", metavar="OPTION", help="of `plx9x5x run`, behind --")
    asked = parser.parse_args(words)
    if asked.rounds < 1:
        parser.error(f"--rounds is at least 1, not {asked.rounds}")
    try:
        one_run(*asked.options)  # fills caches: built once, read once
        costs = contest.alternate(
            asked.rounds,
            {WITH: lambda: one_run(*asked.options), WITHOUT: lambda: one_run("--no-witness", *asked.options)},
        )
    except RunFailed as exc:
        print(f"a run failed, so nothing is measured:\n{exc}", file=sys.stderr)
        return 1
    print(f"{asked.rounds} rounds{'':<8} watched  unwatched   ratio")
    print(line("wall time", [it.wall for it in costs[WITH]], [it.wall for it in costs[WITHOUT]]))
    print(line("processor time", [it.processor for it in costs[WITH]], [it.processor for it in costs[WITHOUT]]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
