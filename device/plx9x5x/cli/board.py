# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x board new|image`: a board package of a real card's dump, and a board's EEPROM as a file."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plx9x5x.cli.usage import UsageError
from plx9x5x.regs.profile import PROFILES

if TYPE_CHECKING:
    from plx9x5x.board import Board
    from plx9x5x.lab.dump.package import Made

NAME: Final = "board"
HELP: Final = "Make a board package of a real card's EEPROM or lspci text, or write a board's EEPROM to a file."

_ORDERS: Final = "word-le, word-be, dword-le or half-be"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    new = verbs.add_parser("new", help="make a board package of a dump", description="Make a board package of a dump.")
    new.add_argument("name", metavar="NAME", help="what the board is to be called, as in my-card")
    source = new.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--from-eeprom", type=Path, metavar="FILE", help="the EEPROM: raw bytes, or text with offsets and values"
    )
    source.add_argument(
        "--from-lspci",
        type=Path,
        metavar="FILE",
        help="output of lspci -xxxvv (or -xxx, or -vv -n), or sysfs's `config`",
    )
    new.add_argument("--chip", metavar="C", help=f"{' or '.join(PROFILES)}, if the dump does not tell")
    new.add_argument("--order", metavar="O", help=f"byte order of an EEPROM file, if it cannot be told: {_ORDERS}")
    new.add_argument("--slot", metavar="S", help="which device of an lspci text, as in 02:05.0")
    new.add_argument(
        "--into", type=Path, default=Path(), metavar="FOLDER", help="where the package's folder goes (here)"
    )
    image = verbs.add_parser(
        "image", help="write a board's EEPROM to a file", description="Write a board's EEPROM to a file."
    )
    image.add_argument("name", metavar="NAME", help="the board")
    image.add_argument("file", type=Path, metavar="FILE", help="a new file")
    image.add_argument("--order", default="word-le", metavar="O", help=f"byte order: {_ORDERS} (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Do it."""
    return _new(args) if args.what == "new" else _image(args)


def _new(args: argparse.Namespace) -> int:
    from plx9x5x.lab.dump import config_file, draft, eeprom_file, package

    package.check_name(args.name)
    if args.from_eeprom:
        if args.slot:
            raise UsageError("--slot goes with --from-lspci: an EEPROM is of one card")
        made_of = draft.from_eeprom(eeprom_file.read(args.from_eeprom, args.order), args.chip)
        source = "its EEPROM"
    else:
        if args.order:
            raise UsageError("--order goes with --from-eeprom: configuration space has one byte order")
        made_of = draft.from_card(config_file.read(args.from_lspci, args.slot), args.chip)
        source = "its configuration space"
    made = package.write(args.name, made_of, source=source, into=args.into)
    _say(args.name, made_of.board(args.name, ""), made, (*made_of.notes, f"chip: {made_of.profile.name}"))
    return 0


def _say(name: str, board: "Board", made: "Made", notes: tuple[str, ...]) -> None:
    from plx9x5x.lab.dump import against, bars

    print(f"made {made.folder}: {', '.join(made.files)}")
    for note in notes:
        print(note)
    for line in bars.lines(board, against.powered(board)):
        print(line)
    print("guessed:" if made.guessed else "nothing is guessed")
    for number, what in made.guessed:
        print(f"  {made.module}.py:{number}: {what}")
    folder = made.folder if made.folder.is_absolute() else f"./{made.folder}"
    print(f"next: pip install {folder}; plx9x5x try --board {name} YOUR-DRIVER")


def _image(args: argparse.Namespace) -> int:
    from plx9x5x.board import load_board
    from plx9x5x.lab.dump import orders
    from plx9x5x.lab.dump.bad import BadDump

    order = orders.named(args.order)
    board = load_board(args.name)
    if board.eeprom is None:
        raise BadDump(f"the board {board.name!r} has an empty EEPROM socket")
    data = order.turn(board.eeprom.image.ljust(board.eeprom.part.size, b"\xff"))
    try:
        with args.file.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise BadDump(f"{args.file} is there already: name a new file") from None
    except OSError as exc:
        raise BadDump(f"{args.file} cannot be written: {exc.strerror}") from exc
    print(f"{args.file}: {len(data)} bytes of a {board.eeprom.part.name}, {order.key}", file=sys.stderr)
    return 0
