# SPDX-License-Identifier: Apache-2.0
"""PCI 9080-401B: 16 MiB of DRAM at local address 0 (BAR2) and 512 KiB of SRAM at 1000_0000h (BAR3)."""

from typing import Final

from plx9x5x.board import EepromPart
from plx9x5x.boards.reference import Memory, reference_board
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB, MIB

BOARD: Final = reference_board(
    "9080-401b",
    "PCI 9080-401B, 16 MiB DRAM, 512 KiB SRAM (10b5:0401)",
    profile=PROFILES["9080"],
    device=0x0401,
    subsystem=0x9080,
    part=EepromPart.C93CS46,
    memory=(
        Memory("DRAM", 0x0000_0000, 16 * MIB),
        Memory("SRAM", 0x1000_0000, 512 * KIB),
    ),
)
