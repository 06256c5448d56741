# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x decode DMACSR0=0x13`: what a value that a driver read or wrote means, field by field."""

import argparse
from typing import Final

from plx9x5x.cli.usage import UsageError
from plx9x5x.regs.profile import PROFILES

NAME: Final = "decode"
HELP: Final = "Take a register's value apart, as in: decode DMACSR0=0x13 INTCSR=0x0f010100"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("values", nargs="+", metavar="NAME=VALUE", help="a register and a value (0x, 0b or decimal)")
    parser.add_argument("--chip", default="9656", metavar="C", help=f"{' or '.join(PROFILES)} (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Print each."""
    from plx9x5x.lab.card import register_text
    from plx9x5x.regs import catalog

    profile = catalog.profile_of(args.chip)
    for text in args.values:
        name, equals, number = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} is no NAME=VALUE, as in DMACSR0=0x13")
        listed = catalog.find(name)
        for line in register_text.decoded(listed, _value(number, listed.register.width), profile):
            print(line)
    return 0


def _value(text: str, width: int) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise UsageError(f"{text!r} is no number; 0x13, 0b10011 and 19 are") from None
    if not 0 <= value < 1 << width:
        raise UsageError(f"{text} does not fit a register of {width} bits")
    return value
