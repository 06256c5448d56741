# SPDX-License-Identifier: Apache-2.0
"""esd CAN-PCI/266: two SJA1000 behind a PCI 9056, which Linux drives with plx_pci and sja1000 (SocketCAN).

Both controllers are on one bus here, so that they hear each other without a cable.

Source: Linux plx_pci.c (IDs, BAR2, clock, what the probe looks at). UNVERIFIED: class code (the chip's
own), size of BAR2, width of the local bus, that nothing answers behind each controller.
"""

from typing import Final

from plx9x5x.board import Board, Eeprom, EepromPart
from plx9x5x.regs.profile import PROFILES
from plx9x5x_boards.esd_can_pci266.pair import CanPair

OSCILLATOR_HZ: Final = 16_000_000
SPACING: Final = 0x100
_PROFILE: Final = PROFILES["9056"]
_LOADED: Final = {
    "ids": 0x9056_10B5,
    "subsystem": 0x0009_12FE,
    "las0rr": 0xFFFF_FE00,
    "las0ba": 0x0000_0001,
    "lbrd0": 0x4243_0040,  # 8 bits wide, READY#; the EEPROM is loaded to its end
}
BOARD: Final = Board(
    name="esd-can-pci266",
    summary="esd CAN-PCI/266, two SJA1000 on one CAN bus (10b5:9056, subsystem 12fe:0009)",
    profile=_PROFILE,
    eeprom=Eeprom.loading(_PROFILE, EepromPart.C93CS56, _LOADED),
    windows=(CanPair.window("two SJA1000", 0, SPACING, OSCILLATOR_HZ),),
)
