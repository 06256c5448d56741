#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast the card is, beside peers that are measured in the same run.

Ratios count; times are the machine's. Figures are medians of rounds that alternate with the peer's, after ± stands half
of the width of the middle half of the rounds. Groups: socket (a raw client, beside a device in C on the same library),
registers and dma (in process), findings (what looking for them costs), start (of a server, and what it takes while
idle), guest (beside the C peer and QEMU's edu), run (a warm run), growth (of chains, mappings, devices), nthal (its
common buffers by how many are live, its lists by their length).
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from plx9x5x.errors import BadRequest, LostVm, SetupError
from plx9x5x.lab.bench import contest, groups, machine, page, plane, table
from plx9x5x.lab.bench.figures import Results
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.toolchain import for_stream, load
from plx9x5x.lab.toolchain.loader import FOR_A_RUN

DOCS = Path(__file__).resolve().parent.parent / "docs"
QUICK_ROUNDS = 2


def parser() -> argparse.ArgumentParser:
    """Declare the options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds whose median counts (%(default)s)")
    made.add_argument("--only", action="append", default=[], metavar="GROUP", help=f"one of {', '.join(groups.GROUPS)}")
    made.add_argument("--no-guest", action="store_true", help="leave out what boots guests")
    made.add_argument("--plane", metavar="NAME", help="the data plane of ours: python, native or all (the usual one)")
    made.add_argument("--quick", action="store_true", help="a few seconds, to see that it works; figures mean nothing")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every round to FILE")
    made.add_argument(
        "--write-docs", action="store_true", help="write docs/benchmarks.md with its plots; groups not run stay there"
    )
    made.add_argument("--from", dest="old", type=Path, metavar="FILE", help="measure nothing: show the figures of FILE")
    return made


def check(args: argparse.Namespace) -> None:
    """Refuse what cannot be meant. Raises: BadRequest."""
    if args.rounds < 1:
        raise BadRequest("--rounds takes a number from 1 on")
    if args.quick and args.write_docs:
        raise BadRequest("the figures of a quick run mean nothing: take --quick or --write-docs, not both")


def measure(args: argparse.Namespace, console: Console) -> Results:
    """Run what was asked for. Raises: BadRequest, SetupError."""
    names = groups.select(args.only, guests=not args.no_guest)
    planes = plane.asked(args.plane)
    need = FOR_A_RUN if groups.NEED_A_GUEST & set(names) else {"libvfio-user"}
    tc = load(need=need, progress=for_stream(sys.stderr))
    found = machine.describe(tc)
    neighbours = machine.Neighbours()
    cpus = contest.pick_core()
    rounds = QUICK_ROUNDS if args.quick else args.rounds
    options = Options(tc, rounds=rounds, quick=args.quick, cpus=cpus)
    parts = groups.run(names, options, planes, tell=lambda name: console.print(f"measuring: {name}", style="dim"))
    others = neighbours.percent()
    found["other work meanwhile"] = f"{others:.0f} % of the cores"
    if others > machine.BUSY_PERCENT:
        console.print(f"others used {others:.0f} % of the cores meanwhile: measure again when the machine is quiet")
    asked = {"rounds": str(rounds), "data plane": ", ".join(filter(None, planes)) or "the usual one"}
    return Results(found, asked, tuple(parts))


def main() -> int:
    """Measure, show, write; 1 if a group could not be measured."""
    args = parser().parse_args()
    out, err = Console(width=None if sys.stdout.isatty() else 150, highlight=False), Console(stderr=True)
    try:
        check(args)
        results = Results.from_json(json.loads(args.old.read_text("utf-8"))) if args.old else measure(args, err)
    except BadRequest as exc:
        err.print(f"error: {exc}", markup=False)
        return 2
    except (SetupError, LostVm) as exc:
        err.print(f"error: {exc}\nhint: {getattr(exc, 'hint', 'run it again')}", markup=False)
        return 69
    for part in results.parts:
        for shown in table.tables(part):
            out.print(shown)
    if args.json:
        args.json.write_text(json.dumps(results.to_json(), indent=1) + "\n", encoding="utf-8")
    if args.write_docs:
        for path in page.write(results, DOCS):
            err.print(f"wrote {path}", markup=False)
    return 1 if any(part.left_out for part in results.parts) else 0


if __name__ == "__main__":
    sys.exit(main())
