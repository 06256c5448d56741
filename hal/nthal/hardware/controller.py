# SPDX-License-Identifier: Apache-2.0
"""The AT's pair of 8237 DMA controllers with page registers, behind their ports.

Controller 1 has channels 0 to 3 and counts bytes, controller 2 channels 4 to 7 and counts 16-bit words. Addresses wrap
inside 64 KiB (128 KiB) because the page register never moves. Source: reference hal-contract 4.1 to 4.4; Intel 8237A.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nthal.events import PortWrite
from nthal.types import La

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.hardware.bus import Bus
    from nthal.hardware.processor import Processor

PAGE_PORTS: Final = (0x87, 0x83, 0x81, 0x82, 0x8F, 0x8B, 0x89, 0x8A)
AUTO_INITIALIZE: Final = 0x10
DECREMENT: Final = 0x20
TO_MEMORY: Final = 0x04
FROM_MEMORY: Final = 0x08


class Request(enum.IntEnum):
    """Bits 7 and 6 of the mode register."""

    DEMAND = 0
    SINGLE = 1
    BLOCK = 2
    CASCADE = 3


def mode_byte(channel: int, request: Request, *, to_device: bool, auto_initialize: bool) -> int:
    """Value of the mode register; the 8237 names the direction as memory sees it."""
    direction = FROM_MEMORY if to_device else TO_MEMORY
    return request << 6 | (AUTO_INITIALIZE if auto_initialize else 0) | direction | channel & 3


@dataclass(slots=True)
class Channel:
    """Registers of one channel; addresses and counts are 16 bits, in bytes or words."""

    base_address: int = 0
    base_count: int = 0
    address: int = 0
    count: int = 0
    mode: int = 0
    page: int = 0
    masked: bool = True
    terminal_count: bool = False
    requested: bool = False

    @property
    def auto_initialize(self) -> bool:
        """True if the channel reloads itself at terminal count."""
        return bool(self.mode & AUTO_INITIALIZE)


class Controller:
    """One 8237: four channels, a byte-pointer flip-flop, command and mask registers."""

    def __init__(self) -> None:
        self.channels = tuple(Channel() for _ in range(4))
        self.high_byte = False
        self.command = 0

    def write(self, register: int, value: int) -> None:
        """Write register 0 to 15."""
        if register < 8:
            self._write_word(self.channels[register // 2], register % 2, value)
            return
        match register:
            case 0x8:
                self.command = value
            case 0x9:
                self.channels[value & 3].requested = bool(value & 4)
            case 0xA:
                self.channels[value & 3].masked = bool(value & 4)
            case 0xB:
                self.channels[value & 3].mode = value
            case 0xC:
                self.high_byte = False
            case 0xD:
                self._clear()
            case 0xE:
                for channel in self.channels:
                    channel.masked = False
            case _:
                for number, channel in enumerate(self.channels):
                    channel.masked = bool(value >> number & 1)

    def read(self, register: int) -> int:
        """Read register 0 to 15; reading status clears its terminal-count bits."""
        if register < 8:
            channel = self.channels[register // 2]
            word = channel.count if register % 2 else channel.address
            self.high_byte = not self.high_byte
            return word & 0xFF if self.high_byte else word >> 8
        if register != 0x8:
            return 0xFF
        status = 0
        for number, channel in enumerate(self.channels):
            status |= channel.terminal_count << number | channel.requested << (number + 4)
            channel.terminal_count = False
        return status

    def _write_word(self, channel: Channel, is_count: int, value: int) -> None:
        old = channel.base_count if is_count else channel.base_address
        word = (old & 0xFF) | value << 8 if self.high_byte else (old & 0xFF00) | value
        self.high_byte = not self.high_byte
        if is_count:
            channel.base_count = channel.count = word
        else:
            channel.base_address = channel.address = word

    def _clear(self) -> None:
        self.high_byte = False
        self.command = 0
        for channel in self.channels:
            channel.masked = True
            channel.terminal_count = channel.requested = False


class ControllerPair:
    """Both controllers, their ports, and the subordinate devices' end of them.

    `at_end` has what is to run, once, when a channel that does not start over reached its terminal count.
    """

    def __init__(self, bus: Bus, processor: Processor) -> None:
        self._bus = bus
        self._processor = processor
        self.controllers = (Controller(), Controller())
        self.port_log: list[tuple[int, int]] = []
        self.at_end: dict[int, Callable[[], None]] = {}

    def channel(self, number: int) -> Channel:
        """Registers of channel 0 to 7."""
        return self.controllers[number // 4].channels[number % 4]

    # --- ports -----------------------------------------------------------------------------------------------------

    def out(self, port: int, value: int) -> None:
        """Write a byte to a port; ports that are not the controllers' are ignored."""
        self.port_log.append((port, value))
        self._processor.emit(PortWrite(self._processor.clock, port, value))
        if port in PAGE_PORTS:
            self.channel(PAGE_PORTS.index(port)).page = value
        elif port <= 0x0F:
            self.controllers[0].write(port, value)
        elif 0xC0 <= port <= 0xDF:
            self.controllers[1].write((port - 0xC0) // 2, value)

    def inp(self, port: int) -> int:
        """Read a byte from a port; 0xFF where nothing answers."""
        if port in PAGE_PORTS:
            return self.channel(PAGE_PORTS.index(port)).page
        if port <= 0x0F:
            return self.controllers[0].read(port)
        if 0xC0 <= port <= 0xDF:
            return self.controllers[1].read((port - 0xC0) // 2)
        return 0xFF

    # --- the device's end ------------------------------------------------------------------------------------------

    def device_moves(self, channel: int, length: int, data: bytes | None = None) -> bytes:
        """Let the device move `length` bytes by DREQ, as far as the controller lets it.

        Give `data` for a transfer to memory; the bytes that the device got come back for one from memory. A masked
        channel moves nothing.
        """
        registers = self.channel(channel)
        unit = 2 if channel >= 4 else 1
        got = bytearray()
        done = 0
        while done < length and not registers.masked:
            la = self._address(channel, registers)
            if registers.mode & FROM_MEMORY:
                got += self._bus.read(la, unit, None)
            elif registers.mode & TO_MEMORY and data is not None:
                self._bus.write(la, data[done : done + unit], None)
            done += unit
            self._count_down(registers)
            if self.channel(channel).masked and channel in self.at_end:
                self.at_end.pop(channel)()
        return bytes(got)

    def _address(self, channel: int, registers: Channel) -> La:
        if channel >= 4:
            return La((registers.page & 0xFE) << 16 | registers.address << 1)
        return La(registers.page << 16 | registers.address)

    def _count_down(self, registers: Channel) -> None:
        step = -1 if registers.mode & DECREMENT else 1
        registers.address = (registers.address + step) & 0xFFFF
        registers.count = (registers.count - 1) & 0xFFFF
        if registers.count != 0xFFFF:
            return
        registers.terminal_count = True
        if registers.auto_initialize:
            registers.address, registers.count = registers.base_address, registers.base_count
        else:
            registers.masked = True
