#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random allocations and frees on nthal's platforms, 100 000 in all by default, with exact books after every step.

The fast suite runs a few thousand of the same; this is the whole number. The exit code is 1 if the books disagree.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "hal")]

from tests.churn import SCENES, churn  # noqa: E402


def main() -> int:
    """Run all scenes; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000, help="steps in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    share = -(-chosen.steps // len(SCENES))
    failed = False
    for name, (platform, description) in SCENES.items():
        start = time.perf_counter()
        try:
            tally = churn(platform, description, share, chosen.seed)
        except AssertionError as error:
            print(f"{name}: {error}")
            failed = True
            continue
        print(
            f"{name:<8} {share} steps: {tally.allocated} allocated, {tally.refused} refused, {tally.freed} freed,"
            f" books exact, {time.perf_counter() - start:.1f} s"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
