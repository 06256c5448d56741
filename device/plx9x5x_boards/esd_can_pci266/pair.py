# SPDX-License-Identifier: Apache-2.0
"""Two SJA1000 on one wire, as a board's peripheral: their registers side by side, their INT# wired to LINTi#."""

from typing import Final

from plx9x5x.blocks import ByteBlock
from plx9x5x_boards.esd_can_pci266.can.bus import Bus
from plx9x5x_boards.esd_can_pci266.can.controller import Sja1000
from plx9x5x_boards.esd_can_pci266.can.registers import SIZE

_UNDECODED: Final = 0xFF


class CanPair(ByteBlock):
    """Controllers at offset 0 and at `spacing`, each of 80h bytes; nothing answers behind them, and reads give ones."""

    def __init__(self, spacing: int, oscillator_hz: int) -> None:
        self.size = 2 * spacing
        self._spacing: Final = spacing
        self._oscillator_hz: Final = oscillator_hz

    def plugged(self) -> None:
        """Put the controllers on the wire."""
        now = self.pins.now
        self._controllers = tuple(Sja1000(now, self._oscillator_hz) for _ in range(2))
        self._bus = Bus(self._controllers, now, lambda at: self.pins.call_at(at, self._called))
        for controller in self._controllers:
            controller.connect(self._bus)

    def read_byte(self, offset: int) -> int:
        """Read a register."""
        self._bus.catch_up()
        which, register = divmod(offset, self._spacing)
        value = self._controllers[which].read(register) if register < SIZE else _UNDECODED
        self._drive()
        return value

    def write_byte(self, offset: int, value: int) -> None:
        """Write a register."""
        self._bus.catch_up()
        which, register = divmod(offset, self._spacing)
        if register < SIZE:
            self._controllers[which].write(register, value)
            self._bus.arm()
        self._drive()

    def _called(self) -> None:
        self._bus.called()
        self._drive()

    def _drive(self) -> None:
        self.linti(any(controller.interrupts for controller in self._controllers))
