# SPDX-License-Identifier: Apache-2.0
"""The card: its registers on the local bus, and what the bridge's EEPROM says of it."""

from typing import Final

from plx9x5x.board import Board, Eeprom, EepromPart, Window
from plx9x5x.regs.kernel import RegisterFile, Write
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import LocalAddr
from plx9x5x_boards.hpdi32 import registers as reg


class Hpdi32:
    """Registers from local address 0 on."""

    size: Final = 0x100

    def __init__(self) -> None:
        self._registers = RegisterFile(reg.REGISTERS, on_write={reg.BOARD_CONTROL: self._controlled})

    def read(self, offset: int, length: int) -> bytes:
        """Read registers."""
        return self._registers.read(offset, length).to_bytes(length, "little")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write registers."""
        self._registers.write(offset, len(data), int.from_bytes(data, "little"))

    def view(self, offset: int, length: int) -> memoryview | None:  # noqa: ARG002 (whatever it is)
        """Accesses have side effects."""
        return None

    def _controlled(self, write: Write) -> None:
        if write.data & reg.BOARD_CONTROL.reset.mask:
            self._registers.reset()


_PROFILE: Final = PROFILES["9080"]
_LOADED: Final = {
    "ids": 0x9080_10B5, "subsystem": 0x2400_10B5,
    "las0rr": 0xFFFF_FF00, "las0ba": 0x0000_0001,
}  # fmt: skip
"""Space 0 is BAR2: 256 bytes at local address 0. UNVERIFIED: its size."""

BOARD: Final = Board(
    name="hpdi32",
    summary="General Standards PCI-HPDI32, for Linux's gsc_hpdi (10b5:9080, subsystem 10b5:2400)",
    profile=_PROFILE,
    eeprom=Eeprom.loading(_PROFILE, EepromPart.C93CS46, _LOADED),
    windows=(Window("HPDI32", LocalAddr(0), Hpdi32),),
)
