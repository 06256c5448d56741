# SPDX-License-Identifier: Apache-2.0
"""`--set` of `serve`, `run`, `try` and `config`: an option of the board (docs/writing-a-board.md)."""

import argparse


def add(parser: argparse.ArgumentParser, *, cards: bool = False) -> None:
    """Declare it; with `cards` there may be several in the guest."""
    which = "; of several cards all that have it, but for one whose number stands before: 2:NAME=VALUE" if cards else ""
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help=f"set an option of the board, again for more ('plx9x5x boards NAME' lists them){which}",
    )
