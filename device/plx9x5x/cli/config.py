# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x config`: a board's PCI configuration space, decoded or as lspci prints it. Nothing is booted or served."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from plx9x5x import boards
from plx9x5x.cli import board_options

if TYPE_CHECKING:
    from plx9x5x.model.chip import Chip

NAME: Final = "config"
HELP: Final = "Show a board's PCI configuration space."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--board", default=boards.DEFAULT, metavar="B", help="the board to look at (%(default)s)")
    board_options.add(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--lspci", action="store_true", help="as 'lspci -xxx' prints it, for 'lspci -vvv -F FILE'")
    form.add_argument("--hex", action="store_true", help="the 256 bytes, and nothing else")
    parser.add_argument(
        "--assigned",
        action="store_true",
        help="as a driver finds it, with addresses in the BARs; otherwise as after power-on",
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from plx9x5x.board import load_board
    from plx9x5x.lab.card import config_space
    from plx9x5x.model.chip import Chip
    from plx9x5x.transport.loopback import Loopback

    board = load_board(args.board, args.settings)
    chip = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq), enabled=False).device
    if args.assigned:
        config_space.assign(chip)
    image = config_space.dump(chip)
    if args.lspci:
        print(config_space.lspci_text(image), end="")
    elif args.hex:
        print(config_space.hex_lines(image), end="")
    else:
        print(f"board {board.name}: {board.summary}")
        for line in _decoded(chip):
            print(line)
    return 0


def _decoded(chip: "Chip") -> Iterator[str]:
    """A line for each register: offset, name, value, fields."""
    registers = chip.config.registers
    longest = max(len(reg.__name__) for reg in registers)
    for reg in registers:
        raw = chip.config_read(reg.offset, reg.width // 8)
        value = f"0x{raw:0{reg.width // 4}x}"
        fields = reg(raw).text(chip.config.chip).partition(" ")[2]
        yield f"0x{reg.offset:02x}  {reg.__name__:{longest}}  {value:10}  {fields}"
