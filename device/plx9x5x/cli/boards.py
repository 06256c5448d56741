# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x boards`: what can be served; other packages add to it."""

import argparse
from typing import Final

from plx9x5x.errors import SetupError

EXIT_HOST: Final = 69

NAME: Final = "boards"
HELP: Final = "List the boards, with their chip, EEPROM and local memory map."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--names", action="store_true", help="only the names, one a line")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    from plx9x5x.board import board_names, load_board

    broken = False
    for name in board_names():
        if args.names:
            print(name)
            continue
        try:
            board = load_board(name)
        except SetupError as exc:
            # One package that is broken must not hide the others.
            print(f"{name:16} cannot be used: {exc}")
            broken = True
            continue
        part = board.eeprom.part.name if board.eeprom else "no EEPROM"
        print(f"{name:16} {board.summary}")
        print(f"{'':16} {board.profile.name}, {part}")
        for window in board.windows:
            size = window.target().size
            first = int(window.local_base)
            print(f"{'':16} local {first:08x}-{first + size - 1:08x}  {window.name}")
    return EXIT_HOST if broken else 0
