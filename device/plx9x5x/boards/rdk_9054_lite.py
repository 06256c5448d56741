# SPDX-License-Identifier: Apache-2.0
"""PCI 9054 RDK-LITE: 128 KiB of SRAM at local address 2000_0000h, shown whole by BAR2."""

from typing import Final

from plx9x5x.board import EepromPart
from plx9x5x.boards.reference import Memory, reference_board
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB

BOARD: Final = reference_board(
    "rdk-9054-lite",
    "PCI 9054 RDK-LITE, 128 KiB SRAM (10b5:5406)",
    profile=PROFILES["9054"],
    device=0x5406,
    subsystem=0x9054,
    part=EepromPart.C93CS56,
    memory=(Memory("SRAM", 0x2000_0000, 128 * KIB),),
)
