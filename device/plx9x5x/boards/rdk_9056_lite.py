# SPDX-License-Identifier: Apache-2.0
"""PCI 9056 RDK-LITE: 128 KiB of 32-bit SRAM at local address 0, shown whole by BAR2."""

from typing import Final

from plx9x5x.board import EepromPart
from plx9x5x.boards.reference import Memory, reference_board
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB

BOARD: Final = reference_board(
    "rdk-9056-lite",
    "PCI 9056 RDK-LITE, 128 KiB SRAM (10b5:5601)",
    profile=PROFILES["9056"],
    device=0x5601,
    subsystem=0x9056,
    part=EepromPart.C93CS56,
    memory=(Memory("SRAM", 0x0000_0000, 128 * KIB),),
)
