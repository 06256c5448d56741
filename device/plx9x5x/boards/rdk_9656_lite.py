# SPDX-License-Identifier: Apache-2.0
"""PCI 9656 RDK-LITE: 128 KiB of 32-bit SRAM at local address 0, shown whole by BAR2."""

from typing import Final

from plx9x5x.board import EepromPart
from plx9x5x.boards.reference import Memory, reference_board
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB

BOARD: Final = reference_board(
    "rdk-9656-lite",
    "PCI 9656 RDK-LITE, 128 KiB SRAM (10b5:9601)",
    profile=PROFILES["9656"],
    device=0x9601,
    subsystem=0x9656,
    part=EepromPart.C93CS56,
    memory=(Memory("SRAM", 0x0000_0000, 128 * KIB),),
)
