#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model judged by its own judge: random drivers on random nthal machines, 100 000 by default, in pieces by seed.

The fast suite runs 150 of the same (hal/tests/judged.py); this is the whole number. The exit code is 1 if a clause is
violated or lacks a fact, and then hypothesis prints the smallest case that it finds.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "hal")]

from nthal.contract import Kind  # noqa: E402
from tests.judged import CASES, Case, judge  # noqa: E402

PIECE = 5_000


def run(cases: int, number: int) -> Counter[Kind]:
    """Judge `cases` random cases of one seed; give how the verdicts fell. Raises: AssertionError."""
    kinds: Counter[Kind] = Counter()

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def any_case(case: Case) -> None:
        kinds.update(one.verdict.kind for one in judge(case))

    any_case()
    return kinds


def main() -> int:
    """Run the pieces; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="cases in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first piece (default: %(default)s)")
    chosen = parser.parse_args()
    begun, left, number = time.perf_counter(), chosen.cases, chosen.seed
    kinds: Counter[Kind] = Counter()
    while left > 0:
        kinds += run(min(left, PIECE), number)
        left, number = left - PIECE, number + 1
        print(f"{chosen.cases - max(left, 0)} of {chosen.cases} cases", file=sys.stderr, flush=True)
    told = ", ".join(f"{kinds[kind]} {kind.value}" for kind in Kind)
    print(f"{chosen.cases} cases, seeds {chosen.seed} to {number - 1}: {told}; {time.perf_counter() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
