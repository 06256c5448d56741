# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x regs`: the register table that the model runs on, and what of it is proved by which test; or a board's."""

import argparse
from typing import Final

from plx9x5x.regs.profile import PROFILES

NAME: Final = "regs"
HELP: Final = "List the registers, show one with its fields, or print the ledger of what is modelled."

_FAILED: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one register, with its fields")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--board", metavar="B", help="what stands on this board's local bus, instead of the chip's own")
    whose.add_argument("--chip", metavar="C", help=f"{' or '.join(PROFILES)} (9656; the ledger: all)")
    parser.add_argument(
        "--format",
        choices=("text", "md", "json", "c"),
        default="text",
        help="md shows all chips (default: %(default)s)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--ledger", action="store_true", help="each bit: modelled, stored or absent, and the test that proves it"
    )
    kind.add_argument("--unverified", action="store_true", help="only fields that no public source confirms")


def run(args: argparse.Namespace) -> int:
    """Print it; the ledger exits 1 if too little is modelled."""
    from plx9x5x.cli.usage import UsageError
    from plx9x5x.lab.card import ledger, register_text
    from plx9x5x.regs import catalog

    if args.board:
        return _of_board(args)
    profile = catalog.profile_of(args.chip or "9656")
    if args.format != "text" and (args.ledger or args.unverified):
        raise UsageError(f"--format {args.format} goes with the plain list of registers only")
    listed = (catalog.find(args.name),) if args.name else tuple(catalog.on(profile))
    if args.ledger:
        books = [book for book in ledger.books(args.name and listed) if args.chip in (None, book.profile.key)]
        for line in ledger.text(books):
            print(line)
        return _FAILED if any(book.short for book in books) else 0
    if args.unverified:
        lines = register_text.unverified(listed, profile)
    elif args.name and args.format == "text":
        lines = register_text.one(listed[0], profile)
    else:
        everything = catalog.CATALOG if args.format == "md" and not args.name else listed
        lines = register_text.FORMATS[args.format](everything, profile)
    for line in lines:
        print(line)
    return 0


def _of_board(args: argparse.Namespace) -> int:
    """Print what a board declares of its own registers."""
    from plx9x5x.board import load_board
    from plx9x5x.cli.usage import UsageError
    from plx9x5x.lab.card import board_text

    if args.format != "text" or args.ledger:
        what = "--ledger" if args.ledger else f"--format {args.format}"
        raise UsageError(f"{what} is of the chip's registers only; --board goes with a name or --unverified")
    board = load_board(args.board)
    if args.unverified:
        lines = board_text.unverified(board, args.name)
    elif args.name:
        lines = board_text.one(board, args.name)
    else:
        lines = board_text.table(board)
    for line in lines:
        print(line)
    return 0
