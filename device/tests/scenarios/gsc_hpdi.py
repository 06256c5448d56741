# SPDX-License-Identifier: Apache-2.0
"""Linux gsc_hpdi's register accesses, and the HPDI32 card: a FIFO that a cable fills, on a PCI 9080.

Source: Linux drivers/comedi/drivers/gsc_hpdi.c, and plx9080.h for comedi's way to abort. A handler's clear of DMACSR keeps ENABLE.
"""

from collections import deque
from typing import Final

from plx9x5x.peripheral import LocalPins
from plx9x5x.units import KIB
from tests.behaviour.driver import SPACE0, Driver
from tests.scenarios.support import (
    BIGEND,
    CSR,
    DPR,
    INTCSR,
    L2PDBELL,
    LADR,
    MODE,
    PADR,
    SIZ,
    bit,
    descriptor,
    poll,
)

CONTROL, STATUS, TX_LEVELS, RX_LEVELS, FIFO = 0x04, 0x08, 0x0C, 0x10, 0x18
INT_CONTROL, INT_STATUS, TX_SIZE, RX_SIZE, RX_WORDS = 0x30, 0x34, 0x40, 0x44, 0x4C
RX_ENABLE, RX_RESET, BOARD_RESET = 0x20, 4, 1
RX_FULL, OVERRUN = 0x8000, bit(23)

BUFFER: Final = 64 * KIB
BLOCK: Final = 4 * KIB
BLOCKS: Final = 64
IDLE: Final = 0x0F05_0D03
"""INTCSR while the driver has the board and nothing waits."""


class Hpdi32:
    """The board: registers, and a receive FIFO that a cable fills. DREQ# follows the FIFO while the receiver is on."""

    size: Final = 0x58
    depth: Final = 0x800
    """Words."""

    def __init__(self) -> None:
        self.fifo: deque[bytes] = deque()
        self.registers = {TX_SIZE: 0x8000, RX_SIZE: self.depth, 0x00: 0x8000, 0x14: 0x2B}

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins
        pins.demand(0, lambda: 4 * len(self.fifo) if self.registers.get(CONTROL, 0) & RX_ENABLE else 0)

    def cable(self, data: bytes) -> None:
        """Receive: what does not fit is lost."""
        for at in range(0, len(data), 4):
            if len(self.fifo) == self.depth:
                self._set(STATUS, OVERRUN)
                break
            self.fifo.append(data[at : at + 4])
        if len(self.fifo) == self.depth:
            self._set(INT_STATUS, RX_FULL)

    def read(self, offset: int, length: int) -> bytes:
        if offset == FIFO:
            return self.fifo.popleft()[:length] if self.fifo else bytes(length)
        return self.value(offset & ~3).to_bytes(4, "little")[offset & 3 :][:length]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        value = int.from_bytes(data, "little")
        if offset in (STATUS, INT_STATUS):
            self.registers[offset] = self.registers.get(offset, 0) & ~value
        elif offset == CONTROL:
            if value & (RX_RESET | BOARD_RESET):
                self.fifo.clear()
            self.registers[CONTROL] = value & ~7
        else:
            self.registers[offset] = value
        self._drive()

    def value(self, offset: int) -> int:
        return len(self.fifo) if offset == RX_WORDS else self.registers.get(offset, 0)

    def view(self, offset: int, length: int) -> memoryview | None:
        return None

    def _set(self, offset: int, mask: int) -> None:
        self.registers[offset] = self.registers.get(offset, 0) | mask
        self._drive()

    def _drive(self) -> None:
        self._pins.drive_linti(bool(self.value(INT_STATUS) & self.value(INT_CONTROL)))


class GscHpdi:
    """The driver's register accesses; what it received is in `received`."""

    def __init__(self, pc: Driver) -> None:
        self.pc = pc
        self.buffers = [pc.buffer(BUFFER) for _ in range(4)]
        self.ring = pc.buffer(BLOCKS * 16)
        self.blocks = [buffer.bus + at for buffer in self.buffers for at in range(0, BUFFER, BLOCK)]
        self.received = b""
        self.errors = 0
        self._current = 0

    def probe(self) -> None:
        self.pc.config_write(4, self.pc.config_read(4, 2) | 7, 2)
        self.pc.write(BIGEND, 0)
        self.pc.write(INTCSR, 0)
        self.abort(0)
        self.abort(1)
        self.pc.write(MODE[0], 0x0002_1F42)
        for index, block in enumerate(self.blocks):
            after = self.ring.bus + (index + 1) % BLOCKS * 16
            self.ring.write(index * 16, descriptor(block, FIFO, BLOCK, after | 0xD))
        self._board(CONTROL, BOARD_RESET)
        self.pc.settle()
        self._board(RX_LEVELS, 0x0010_0010)
        self._board(TX_LEVELS, 0x0010_0010)
        for register in (TX_SIZE, RX_SIZE):
            self.pc.read(register, bar=SPACE0)
        self._board(0x30, 0)
        self.pc.write(INTCSR, 0x0005_0D03)

    def start(self) -> None:
        self._board(CONTROL, RX_RESET)
        self.abort(0)
        for stale in (SIZ[0], PADR[0], LADR[0]):
            self.pc.write(stale, 0)
        self.pc.write(DPR[0], self.ring.bus | 0xD)
        self.pc.write(CSR[0], 0x0B, 1)
        self._board(STATUS, 0x00C0_0000)
        self._board(INT_CONTROL, RX_FULL)
        self._board(CONTROL, RX_ENABLE)

    def stop(self) -> None:
        self._board(CONTROL, 0)
        self._board(INT_CONTROL, 0)
        self.abort(0)

    def detach(self) -> None:
        self.pc.write(INTCSR, 0)

    def isr(self) -> bool:
        status = self.pc.read(INTCSR)
        if not status & (bit(21) | bit(22) | bit(15)):
            return False
        cause = self.pc.read(INT_STATUS, bar=SPACE0)
        board = self.pc.read(STATUS, bar=SPACE0)
        if cause:
            self._board(INT_STATUS, cause)
        for channel in (0, 1):
            command = self.pc.read(CSR[channel], 1)
            if status & bit(21 + channel):
                self.pc.write(CSR[channel], command & 1 | 8, 1)
                if channel == 0 and command & 1:
                    self._drain()
        if status & bit(20):
            self.pc.write(L2PDBELL, self.pc.read(L2PDBELL))
        if board & (bit(23) | bit(22)):
            self._board(STATUS, board & (bit(23) | bit(22)))
            self.errors += 1
        return True

    def abort(self, channel: int) -> int:
        """Abort, as comedi's helper does; give how often DONE was not yet 0. Raises: TimeoutError."""

        def command() -> int:
            return self.pc.read(CSR[channel], 1)

        if not command() & 1:
            return 0
        waited = poll(self.pc, lambda: not command() & 0x10, 10_000)
        self.pc.write(CSR[channel], 0x04, 1)
        poll(self.pc, lambda: bool(command() & 0x10), 10_000)
        return waited

    def _drain(self) -> None:
        """Take every block that the chip has left behind."""
        for _ in range(BLOCKS):
            block = self.blocks[self._current]
            if block <= self.pc.read(PADR[0]) < block + BLOCK:
                return
            buffer = self.buffers[self._current * BLOCK // BUFFER]
            self.received += buffer.read(self._current * BLOCK % BUFFER, BLOCK)
            self._current = (self._current + 1) % BLOCKS

    def _board(self, register: int, value: int) -> None:
        self.pc.write(register, value, bar=SPACE0)
