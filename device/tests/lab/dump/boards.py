# SPDX-License-Identifier: Apache-2.0
"""Boards out of written packages, and a driver that binds to one."""

import runpy
from pathlib import Path

from plx9x5x.board import Board
from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump.draft import Draft
from plx9x5x.lab.dump.package import write
from plx9x5x.model.chip import Chip
from plx9x5x.transport.loopback import Loopback


def written(name: str, draft: Draft, into: Path) -> Board:
    """Write the package, and give the board of its module."""
    made = write(name, draft, source="a test", into=into)
    board = runpy.run_path(str(made.folder / f"{made.module}.py"))["BOARD"]
    assert isinstance(board, Board)
    return board


def config(board: Board, *, assigned: bool = False) -> bytes:
    """Configuration space, as after power-on or as a driver finds it."""
    chip = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq), enabled=False).device
    if assigned:
        config_space.assign(chip)
    return config_space.dump(chip)


def binds(board: Board) -> None:
    """Do what a driver's first minutes are: read the IDs, find the registers, move a block each way, hear INTA#."""
    host: Loopback[Chip] = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq))
    chip, ram = host.device, host.ram(0x10_0000, 0x1000, fill=0)
    assert chip.config_read(0, 4) not in (0, 0xFFFF_FFFF)
    assert chip.read(0, 0x70, 4) & 0xFFFF == 0x10B5
    window = board.windows[0]
    local, length = int(window.local_base), min(16, window.target().size)
    ram[0:length] = bytes(range(1, length + 1))
    for source, direction in ((0x10_0000, 0), (0x10_0800, 8)):  # to local, and back to another place
        for offset, value in ((0x80, 0x0002_0443), (0x84, source), (0x88, local), (0x8C, length), (0x90, direction)):
            chip.write(0, offset, 4, value)
        chip.write(0, 0x68, 4, 0x0004_0100)
        chip.write(0, 0xA8, 1, 3)
        host.run()
        assert chip.read(0, 0xA8, 1) == 0x11
        assert host.line.level
        chip.write(0, 0xA8, 1, 0x09)
        assert not host.line.level
    assert bytes(ram[0x800 : 0x800 + length]) == bytes(range(1, length + 1))
