# SPDX-License-Identifier: Apache-2.0
"""Two SJA1000 on one wire, as a board's peripheral: their registers side by side, their INT# wired to LINTi#."""

from typing import Final

from plx9x5x.peripheral import LocalPins
from plx9x5x_boards.esd_can_pci266.can.bus import Bus
from plx9x5x_boards.esd_can_pci266.can.controller import Sja1000
from plx9x5x_boards.esd_can_pci266.can.registers import SIZE

_UNDECODED: Final = 0xFF


class CanPair:
    """Controllers at offset 0 and at `spacing`, each of 80h bytes; nothing answers behind them, and reads give ones."""

    def __init__(self, spacing: int, oscillator_hz: int) -> None:
        self.size: Final = 2 * spacing
        self._spacing: Final = spacing
        self._oscillator_hz: Final = oscillator_hz

    def plug(self, pins: LocalPins) -> None:
        """Take the pins, and put the controllers on the wire."""
        self._pins = pins
        self._controllers = tuple(Sja1000(pins.now, self._oscillator_hz) for _ in range(2))
        self._bus = Bus(self._controllers, pins.now, lambda at: pins.call_at(at, self._called))
        self._level = False
        for controller in self._controllers:
            controller.connect(self._bus)

    def read(self, offset: int, length: int) -> bytes:
        """Read registers, each as an access of its own."""
        return bytes(self._read(at) for at in range(offset, offset + length))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write registers, each as an access of its own."""
        for at, byte in enumerate(bytes(data), offset):
            self._bus.catch_up()
            which, register = divmod(at, self._spacing)
            if register < SIZE:
                self._controllers[which].write(register, byte)
                self._bus.arm()
            self._drive()

    def view(self, offset: int, length: int) -> None:
        """No shortcut: reading has side effects."""

    def _read(self, at: int) -> int:
        self._bus.catch_up()
        which, register = divmod(at, self._spacing)
        value = self._controllers[which].read(register) if register < SIZE else _UNDECODED
        self._drive()
        return value

    def _called(self) -> None:
        self._bus.called()
        self._drive()

    def _drive(self) -> None:
        """Drive LINTi# if what the controllers want has changed."""
        level = any(controller.interrupts for controller in self._controllers)
        if level is not self._level:
            self._level = level
            self._pins.drive_linti(level)
