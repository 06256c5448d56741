# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x config`: a board's PCI configuration space, decoded or as lspci prints it, or beside a real card's.

Nothing is booted or served.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plx9x5x import boards
from plx9x5x.cli import board_options
from plx9x5x.cli.usage import UsageError

if TYPE_CHECKING:
    from plx9x5x.board import Board
    from plx9x5x.model.chip import Chip

EXIT_DIFFERS: Final = 1

NAME: Final = "config"
HELP: Final = "Show a board's PCI configuration space."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--board", default=boards.DEFAULT, metavar="B", help="the board to look at (%(default)s)")
    board_options.add(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--lspci", action="store_true", help="as 'lspci -xxx' prints it, for 'lspci -vvv -F FILE'")
    form.add_argument("--hex", action="store_true", help="the 256 bytes, and nothing else")
    form.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="only what differs from a real card (lspci -xxxvv, or sysfs's `config`); exit 1 if anything does",
    )
    parser.add_argument("--slot", metavar="S", help="with --against: which device of FILE, as in 02:05.0")
    parser.add_argument(
        "--assigned",
        action="store_true",
        help="as a driver finds it, with addresses in the BARs; otherwise as after power-on",
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from plx9x5x.board import load_board
    from plx9x5x.lab.card import config_space
    from plx9x5x.lab.dump import against, bars

    if args.slot and not args.against:
        raise UsageError("--slot goes with --against: it says which device of that file")
    if args.assigned and args.against:
        raise UsageError("--assigned goes without --against: addresses are not compared")
    board = load_board(args.board, args.settings, look=True)
    if args.against:
        return _against(board, args.against, args.slot)
    chip = against.powered(board)
    if args.assigned:
        config_space.assign(chip)
    image = config_space.dump(chip)
    if args.lspci:
        print(config_space.lspci_text(image), end="")
    elif args.hex:
        print(config_space.hex_lines(image), end="")
    else:
        print(f"board {board.name}: {board.summary}")
        for line in (*_decoded(chip), *bars.lines(board, chip)):
            print(line)
    return 0


def _against(board: "Board", file: Path, slot: str | None) -> int:
    """Print what differs; what is left out goes to stderr, so that stdout is empty where nothing differs."""
    from plx9x5x.lab.dump import against, config_file

    found = against.compare(board, config_file.read(file, slot, against.ids_of(board)))
    for line in found.differs:
        print(line)
    if found.left_out:
        print(
            f"not compared, since software writes it or the dump lacks it: {', '.join(found.left_out)}", file=sys.stderr
        )
    return EXIT_DIFFERS if found.differs else 0


def _decoded(chip: "Chip") -> Iterator[str]:
    """A line for each register: offset, name, value, fields."""
    registers = chip.config.registers
    longest = max(len(reg.__name__) for reg in registers)
    for reg in registers:
        raw = chip.config_read(reg.offset, reg.width // 8)
        value = f"0x{raw:0{reg.width // 4}x}"
        fields = reg(raw).text(chip.config.chip).partition(" ")[2]
        yield f"0x{reg.offset:02x}  {reg.__name__:{longest}}  {value:10}  {fields}"
