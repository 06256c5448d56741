# SPDX-License-Identifier: Apache-2.0
"""What PLX's reference boards have in common: memory behind one or two windows, and an EEPROM that describes it.

Source: PLX RDK reference guide (memory maps, EEPROM parts), PLX SDK (IDs). UNVERIFIED: subsystem IDs, and that space 0
shows the first memory listed and space 1 the second.
"""

import functools
from dataclasses import dataclass
from typing import Final

from plx9x5x.board import Board, Eeprom, EepromPart, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.regs.config import PCIREV
from plx9x5x.regs.eeprom_map import entries
from plx9x5x.regs.local import LMISC1
from plx9x5x.regs.profile import Profile
from plx9x5x.units import LocalAddr

VENDOR: Final = 0x10B5


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
    wanted = {
        "ids": device << 16 | VENDOR,
        "class_revision": 0x0680_0000 | PCIREV.on(profile.chip).reset,
        "latency_interrupt": 0x0000_0100,  # INTA#
        "marbr": 0x0020_0000,
        # BAR1 present, local initialisation done, VPD writes from dword 30h on
        "misc": 0x0030_0500 if profile.chip in LMISC1.chips else 0,
        "lbrd0": 0x4243_0043,  # bit 25: load the rest as well
        "lbrd1": 0x0000_0043,
        "las1rr": 0xFFF0_0000,
        "subsystem": subsystem << 16 | VENDOR,
        "hot_swap": 0x0000_4C06,
        "pm_capability": 0x4802_4801,
    }
    for space, piece in enumerate(memory):
        wanted[f"las{space}rr"] = (1 << 32) - piece.size
        wanted[f"las{space}ba"] = piece.at | 1
    loads = {entry.name for entry in entries(profile)}
    values = {entry: value for entry, value in wanted.items() if entry in loads}
    windows = tuple(Window(piece.name, LocalAddr(piece.at), functools.partial(Sram, piece.size)) for piece in memory)
    return Board(name, summary, profile, Eeprom.loading(profile, part, values), windows)
