# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x boards`: what can be served; other packages add to it."""

import argparse
from typing import Final

NAME: Final = "boards"
HELP: Final = "List the boards, with their chip, EEPROM and local memory map."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--names", action="store_true", help="only the names, one a line")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    from plx9x5x.board import board_names, load_board

    for name in board_names():
        if args.names:
            print(name)
            continue
        board = load_board(name)
        part = board.eeprom.part.name if board.eeprom else "no EEPROM"
        print(f"{name:16} {board.summary}")
        print(f"{'':16} {board.profile.name}, {part}")
        for window in board.windows:
            size = window.target().size
            first = int(window.local_base)
            print(f"{'':16} local {first:08x}-{first + size - 1:08x}  {window.name}")
    return 0
