# SPDX-License-Identifier: Apache-2.0
"""What PLX's reference boards have in common: memory behind one or two windows, and an EEPROM that describes it.

Source: PLX RDK reference guide (memory maps, EEPROM parts), PLX SDK (IDs). UNVERIFIED: subsystem IDs, and that space 0
shows the first memory listed and space 1 the second.
"""

import functools
from dataclasses import dataclass

from plx9x5x.board import Board, Eeprom, EepromPart, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.regs.config import PLX
from plx9x5x.regs.profile import Profile
from plx9x5x.units import LocalAddr


@dataclass(frozen=True, slots=True)
class Memory:
    """Plain memory on the local bus: `size` bytes, a power of two, at a local address that is a multiple of it."""

    name: str
    at: int
    size: int


def reference_board(
    name: str,
    summary: str,
    *,
    profile: Profile,
    device: int,
    subsystem: int,
    part: EepromPart,
    memory: tuple[Memory, ...],
) -> Board:
    """Make a board whose space 0 shows the first memory whole, and space 1 the second if there is one."""
    values = {"ids": device << 16 | PLX, "subsystem": subsystem << 16 | PLX}
    for space, piece in enumerate(memory):
        values[f"las{space}rr"] = (1 << 32) - piece.size
        values[f"las{space}ba"] = piece.at | 1
    windows = tuple(Window(piece.name, LocalAddr(piece.at), functools.partial(Sram, piece.size)) for piece in memory)
    return Board(name, summary, profile, Eeprom.loading(profile, part, values), windows)
