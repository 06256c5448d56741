# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x boards`: what can be served; other packages add to it."""

import argparse
from typing import TYPE_CHECKING, Final

from plx9x5x.errors import SetupError

if TYPE_CHECKING:
    from plx9x5x.board import Board

EXIT_HOST: Final = 69

NAME: Final = "boards"
HELP: Final = "List the boards, with their chip, EEPROM and local memory map."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="this one alone, with the options that --set takes")
    parser.add_argument("--names", action="store_true", help="only the names, one a line")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    from plx9x5x.board import board_names, load_board

    if args.name is not None:
        print("\n".join(_lines(args.name, load_board(args.name), alone=True)))
        return 0
    broken = False
    for name in board_names():
        if args.names:
            print(name)
            continue
        try:
            lines = _lines(name, load_board(name), alone=False)
        except SetupError as exc:
            # One package that is broken must not hide the others.
            print(f"{name:16} cannot be used: {exc}")
            broken = True
            continue
        print("\n".join(lines))
    return EXIT_HOST if broken else 0


def _lines(name: str, board: "Board", *, alone: bool) -> list[str]:
    """Tell of one; its options if it is alone, else that it has some. Raises: BoardFault."""
    from plx9x5x.model.boardside import Seat

    part = board.eeprom.part.name if board.eeprom else "no EEPROM"
    told = [f"{name:16} {board.summary}", f"{'':16} {board.profile.name}, {part}"]
    for window in board.windows:
        size = Seat(window.name, window.target).target.size
        first = int(window.local_base)
        told.append(f"{'':16} local {first:08x}-{first + size - 1:08x}  {window.name}")
    if board.options and not alone:
        told.append(f"{'':16} options: {', '.join(option.name for option in board.options)}")
    if alone:
        told += [f"{'':16} --set {option.shown():24} {option.told} ({option.takes})" for option in board.options]
    return told
