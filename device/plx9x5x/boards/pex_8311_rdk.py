# SPDX-License-Identifier: Apache-2.0
"""PEX 8311 RDK: 128 KiB of 32-bit SRAM at local address 0, shown whole by BAR2; the PCI Express bridge is left out."""

from typing import Final

from plx9x5x.board import EepromPart
from plx9x5x.boards.reference import Memory, reference_board
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB

BOARD: Final = reference_board(
    "pex-8311-rdk",
    "PEX 8311 RDK, its endpoint alone, 128 KiB SRAM (10b5:86e1)",
    profile=PROFILES["8311"],
    device=0x86E1,
    subsystem=0x8311,
    part=EepromPart.C93CS56,
    memory=(Memory("SRAM", 0x0000_0000, 128 * KIB),),
)
