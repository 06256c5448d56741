#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Throw every switch of guest-tests/wrong in guests of every shape, with every kernel; say who was named for it.

Writes docs/blame.md if all of the corpus was thrown everywhere and is as it should be. The exit code is 1 if a mistake
was not named by its rule, something right was accused, or fewer than nine in ten were named with the wrong line first.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "device")]

from plx9x5x.errors import BadRequest, SetupError  # noqa: E402
from plx9x5x.lab.blame import corpus, page  # noqa: E402
from plx9x5x.lab.blame.boots import plan, throw  # noqa: E402
from plx9x5x.lab.blame.judge import Judged, judge, lines_missed  # noqa: E402
from plx9x5x.lab.guest.shapes import SHAPES, named  # noqa: E402
from plx9x5x.lab.toolchain import KERNEL_SERIES, for_stream  # noqa: E402

EXIT_HOST = 69


def parser() -> argparse.ArgumentParser:
    """Declare the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("names", nargs="*", metavar="NAME", help="switches; all, unless some are named")
    made.add_argument("--guest", action="append", choices=SHAPES, help="a guest shape (all)")
    made.add_argument("--kernel", action="append", choices=KERNEL_SERIES, help="a kernel (all)")
    made.add_argument("--apart", action="store_true", help="a guest for each switch")
    made.add_argument("--write-docs", action="store_true", help="write docs/blame.md, although something is wrong")
    made.add_argument("--verbose", action="store_true", help="each finding, and where each guest's logs are")
    return made


def run(args: argparse.Namespace, found: corpus.Corpus) -> Iterator[Judged]:
    """Boot, and judge what was said. Raises: BadRequest, SetupError."""
    switches = found.select(tuple(args.names))
    for kernel in args.kernel or KERNEL_SERIES:
        for shape in args.guest or SHAPES:
            for boot in plan(switches, named(shape), kernel, apart=args.apart):
                began = time.monotonic()
                tell = (lambda logs: print(f"logs: {logs}")) if args.verbose else None
                for said in throw(boot, found, tell=tell, progress=for_stream(sys.stderr)):
                    if args.verbose:
                        for finding in said.findings:
                            print(f"  {said.switch.name}: {finding}")
                    yield judge(said)
                print(f"{kernel} {shape}: {len(boot.switches)} in {time.monotonic() - began:.1f} s", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Throw, judge, tell, write."""
    options = parser()
    args = options.parse_args(argv)
    whole = not (args.names or args.guest or args.kernel)
    if args.write_docs and not whole:
        options.error("--write-docs writes the whole page: leave out NAME, --guest and --kernel")
    judged = []
    try:
        found = corpus.read(ROOT / "guest-tests" / "wrong")
        for it in run(args, found):
            print(it, flush=True)
            judged.append(it)
    except (BadRequest, SetupError) as exc:
        hint = getattr(exc, "hint", "")
        print(f"error: {exc}" + (f"\nhint: {hint}" if hint else ""), file=sys.stderr)
        return EXIT_HOST if isinstance(exc, SetupError) else 2
    bad = [it for it in judged if not it.verdict.good]
    print(f"{len(judged) - len(bad)} of {len(judged)} as they should be")
    missed = lines_missed(judged)
    if missed:
        print(missed)
    if args.write_docs or (whole and not bad and not missed):
        (ROOT / "docs" / page.NAME).write_text(page.render(found, judged), encoding="utf-8")
        print(f"wrote docs/{page.NAME}")
    return 1 if bad or missed else 0


if __name__ == "__main__":
    sys.exit(main())
