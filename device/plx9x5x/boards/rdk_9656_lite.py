# SPDX-License-Identifier: Apache-2.0
"""PCI 9656 RDK-LITE: 128 KiB of 32-bit SRAM at local address 0, shown whole by BAR2.

Sources: PLX RDK reference guide (memory map), Windows PLX9x5x sample (IDs, BAR sizes). UNVERIFIED: the subsystem ID.
"""

from typing import Final

from plx9x5x.board import Board, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.regs.eeprom_map import build_image
from plx9x5x.units import KIB, LocalAddr

SRAM_SIZE: Final = 128 * KIB

BOARD: Final = Board(
    name="rdk-9656-lite",
    summary="PCI 9656 RDK-LITE, 128 KiB SRAM (10b5:9601)",
    eeprom=build_image(
        {
            "ids": 0x9601_10B5,
            "class_revision": 0x0680_00BA,
            "latency_interrupt": 0x0000_0100,  # INTA#
            "las0rr": 0x1_0000_0000 - SRAM_SIZE,
            "las0ba": 0x0000_0001,  # enabled, local base 0
            "marbr": 0x0020_0000,
            "misc": 0x0030_0500,  # BAR1 present, local initialisation done
            "lbrd0": 0x4243_0043,  # bit 25: load the rest as well
            "subsystem": 0x9656_10B5,
            "las1rr": 0xFFF0_0000,
            "lbrd1": 0x0000_0043,
            "hot_swap": 0x0000_4C06,
            "pm_capability": 0x4802_4801,
        }
    ),
    windows=(Window("SRAM", LocalAddr(0), lambda: Sram(SRAM_SIZE)),),
)
