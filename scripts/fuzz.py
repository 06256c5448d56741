#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile clients and hostile guests: the wire's server and the chip under inputs that nobody would write by hand.

    replay  mutants of the kept corpus, without instrumentation (the default): so many, or for so long
    guided  grows the corpus by coverage, with atheris, which is installed into this environment on demand
    show    plays one input that was found

Zero escapes: nothing is raised, no step takes more than 100 ms of CPU time, memory and descriptors stay flat. The exit
code is 1 if something was found; the input is then in a file, and a line says how to see it again.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "device")]

from tests.fuzz import guided  # noqa: E402
from tests.fuzz.corpus import KINDS, Kind  # noqa: E402
from tests.fuzz.target import nothing_unraisable  # noqa: E402
from tests.fuzz.volume import Books, Bounds, Failure, fuzz, opened  # noqa: E402


def main() -> int:
    """Do what is asked; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("replay", "guided", "show"), default="replay")
    parser.add_argument("file", nargs="?", type=Path, help="for `show`: the input")
    parser.add_argument("--target", choices=(*KINDS, "both"), default="both", help="(default: %(default)s)")
    parser.add_argument(
        "--world", action="append", default=[], help="a board and a plane; may be repeated (default: all)"
    )
    parser.add_argument("--seconds", type=float, help="how long, for each target (default: 60, unless --count)")
    parser.add_argument("--count", type=float, help="how many messages or operations, for each target")
    parser.add_argument("--jobs", type=int, default=1, help="processes for each target (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="for `guided`: keep what was found in the corpus")
    parser.add_argument(
        "--findings", type=Path, default=ROOT / "build/fuzz", help="where inputs go that found something"
    )
    chosen = parser.parse_args()
    kinds = list(KINDS.values()) if chosen.target == "both" else [KINDS[chosen.target]]
    for kind in kinds:
        if unknown := set(chosen.world) - set(kind.worlds):
            parser.error(f"no world of {kind.name} is called {', '.join(sorted(unknown))}: {' '.join(kind.worlds)}")
    match chosen.what:
        case "show":
            if chosen.file is None or len(kinds) != 1:
                parser.error("show needs --target and a file")
            return _show(kinds[0], chosen.file, chosen.world or list(kinds[0].worlds))
        case "guided":
            return max(guided.grow(kind, chosen.seconds or 60, keep=chosen.keep, seed=chosen.seed) for kind in kinds)
    bounds = Bounds(
        None if chosen.count is None else int(chosen.count), chosen.seconds or (None if chosen.count else 60)
    )
    found = fuzz(kinds, bounds, jobs=chosen.jobs, seed=chosen.seed, worlds=tuple(chosen.world))
    failures = [failure for _, _, failure in found if failure is not None]
    for failure in failures:
        _tell(failure, chosen.findings)
    print(
        f"{'target':<7}{'count':>13} {'unit':<11}{'inputs':>9}{'seconds':>9}{'us each':>9}{'slowest':>11}"
        "  memory and descriptors of all processes: start, warm, end"
    )
    for kind, books, failure in found:
        print(f"{kind.name:<7} found something" if failure else _line(kind, books, chosen.jobs))
    return 1 if failures else 0


def _line(kind: Kind, books: Books, jobs: int) -> str:
    each = books.seconds * jobs / max(1, books.count) * 1e6
    rss = " ".join(f"{bytes_ >> 20} MiB" for bytes_ in books.rss)
    return (
        f"{kind.name:<7}{books.count:>13,} {kind.unit:<11}{books.inputs:>9,}{books.seconds:>9.1f}{each:>9.2f}"
        f"{books.slowest_ns / 1e6:>8.1f} ms  {rss}; {' '.join(map(str, books.fds))}"
    )


def _tell(failure: Failure, folder: Path) -> None:
    print(f"{failure.kind}, {failure.world or 'any world'}, {failure.where}:\n{failure.why}")
    if failure.data:
        path = failure.write(folder)
        print(f"see it again: make fuzz ARGS='show {path} --target {failure.kind} --world {failure.world}'")


def _show(kind: Kind, file: Path, worlds: list[str]) -> int:
    data = file.read_bytes()
    for world in worlds:
        with opened(kind, world) as target, nothing_unraisable():
            target.play(data)
        print(
            f"{world}: {target.meter.count} {kind.unit}, nothing found; slowest {target.meter.slowest_ns / 1e6:.1f} ms"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
