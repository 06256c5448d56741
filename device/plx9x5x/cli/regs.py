# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x regs`: the register table that the model runs on, and what of it is proved by which test."""

import argparse
from typing import Final

from plx9x5x.regs.profile import PROFILES

NAME: Final = "regs"
HELP: Final = "List the registers, show one with its fields, or print the ledger of what is modelled."

_FAILED: Final = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one register, with its fields")
    parser.add_argument("--chip", metavar="C", help=f"{' or '.join(PROFILES)} (9656; the ledger: all)")
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
