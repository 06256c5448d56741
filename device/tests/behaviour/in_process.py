# SPDX-License-Identifier: Apache-2.0
"""The behaviour suite's driver on the model in this process."""

from plx9x5x import events
from plx9x5x.board import Board, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.transport.loopback import Loopback, Ram
from tests.behaviour.driver import BOARD_OF, MEMORY_AT, REGISTERS

PAGE = 0x1000
FIRST_BUFFER = 0x0100_0000
FRESH = 0xA5


class Accesses:
    """Keeps the BAR accesses, and every other event apart."""

    enabled = True

    def __init__(self) -> None:
        self.accesses: list[events.RegionAccess] = []
        self.others: list[object] = []

    def emit(self, event: object) -> None:
        if not isinstance(event, events.RegionAccess):
            self.others.append(event)
        elif event.bar >= 0:
            self.accesses.append(event)


class LoopbackBuffer:
    """A common buffer in the loopback host's memory."""

    def __init__(self, ram: Ram, length: int) -> None:
        self._ram = ram
        self.bus = ram.base
        self.length = length

    def read(self, offset: int, length: int) -> bytes:
        return self._ram[offset : offset + length]

    def write(self, offset: int, data: bytes) -> None:
        self._ram[offset : offset + len(data)] = data


class InProcess:
    """A driver, its machine and the chip, all here. `addresses` are the bus addresses that its buffers get, in order."""

    def __init__(self, chip: str, *, board: Board | None = None, addresses: tuple[int, ...] = ()) -> None:
        self.chip = chip
        self.memory_at = MEMORY_AT.get(chip, 0)
        self.trace = Accesses()
        made = board or load_board(BOARD_OF[chip])
        self.clock = VirtualClock()
        self.host = Loopback(
            lambda bus, irq: Chip(made, bus=bus, irq=irq, clock=self.clock, trace=self.trace), clock=self.clock
        )
        self.device = self.host.device
        self._addresses = list(addresses)
        self._next = FIRST_BUFFER

    def read(self, offset: int, width: int = 4, *, bar: int = REGISTERS) -> int:
        return self.device.read(bar, offset, width)

    def write(self, offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> None:
        self.device.write(bar, offset, width, value)

    def config_read(self, offset: int, width: int = 4) -> int:
        return self.device.config_read(offset, width)

    def config_write(self, offset: int, value: int, width: int = 4) -> None:
        self.device.config_write(offset, width, value)

    def buffer(self, length: int) -> LoopbackBuffer:
        size = -(-max(length, 1) // PAGE) * PAGE
        at = self._addresses.pop(0) if self._addresses else self._next
        self._next = max(self._next, at) + size + PAGE
        return LoopbackBuffer(self.host.ram(at, size, fill=FRESH), length)

    def settle(self) -> None:
        self.host.run()

    def inta(self) -> bool:
        return self.host.line.level
