# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x faults`: what `--fault` can let fail, and how a plan is written."""

import argparse
from typing import Final

NAME: Final = "faults"
HELP: Final = "List the kinds of faults that --fault takes, or explain one."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--explain", metavar="KIND", help="say what a kind does, and which bits show it")
    parser.add_argument("--markdown", action="store_true", help="print docs/faults.md")


def run(args: argparse.Namespace) -> int:
    """Print it. Raises: FaultPlan for a kind that there is not."""
    from plx9x5x.chip_faults import page
    from plx9x5x.chip_faults.kinds import KINDS

    if args.markdown:
        print(page.markdown(KINDS), end="")
    elif args.explain:
        print("\n".join(page.explain(page.named(args.explain, KINDS))))
    else:
        print("\n".join(page.listing(KINDS)))
    return 0
