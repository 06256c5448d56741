# SPDX-License-Identifier: Apache-2.0
"""A driver of the sampler, in one process: a ring of blocks without end, an interrupt for each, every word compared.

It has the shape of the drivers of acquisition cards: demand mode at a held address, a chain that closes on itself, a
terminal count after each block, seven register accesses a handler. Time is the card's own and passes as it asks for it.
"""

import struct
from typing import Final

import numpy as np

from plx9x5x.lab.bench.sampler import CONTROL, LOST, RATE, WORD, sampler_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import BusAddr

BLOCK_WORDS: Final = 1024
BLOCK: Final = BLOCK_WORDS * WORD
BLOCKS: Final = 16
TABLE: Final = 0x0100_0000
BUFFER: Final = 0x0200_0000
MODE, PADR, DPR, CSR, INTCSR = 0x80, 0x84, 0x90, 0xA8, 0x68
_RING: Final = 0x2_1A43
"""DMAMODE: 32 bits, chain, held local address, demand mode, INTA#."""
_TO_PCI_TC_IN_PCI: Final = 0x8 | 0x4 | 0x1
_LOOK_NS: Final = 50_000
"""The host lets so much time pass between two looks at INTA#."""


class StreamBroken(Exception):
    """Words were lost, or came in another order."""


class RingDriver:
    """The card, its host and the driver. `rate_kib` is what the card samples a second of its time."""

    def __init__(self, rate_kib: int, *, plane: str | None = None) -> None:
        self.clock: Final = VirtualClock()
        board = sampler_board()
        self.host: Final = Loopback(
            lambda bus, irq: Chip(board, bus=bus, irq=irq, clock=self.clock), clock=self.clock, plane=plane or None
        )
        self.chip: Final = self.host.device
        self._buffer: Final = self.host.ram(BUFFER, BLOCKS * BLOCK)
        table = bytearray()
        for n in range(BLOCKS):
            following = TABLE + 16 * ((n + 1) % BLOCKS)
            table += struct.pack("<4I", BUFFER + n * BLOCK, 0, BLOCK, following | _TO_PCI_TC_IN_PCI)
        self.host.ram(TABLE, 0x1000)
        self.host.memory.write_from(BusAddr(TABLE), memoryview(table))
        self.interrupts = 0
        self.taken = 0
        """Blocks that the driver has looked at."""
        self._steps: Final = np.arange(BLOCK_WORDS, dtype=np.uint32)
        write = self.chip.write
        write(0, INTCSR, 4, 0x4_0100)
        write(2, RATE, 4, rate_kib)
        write(0, MODE, 4, _RING)
        write(0, DPR, 4, TABLE | 1)
        write(0, CSR, 1, 3)
        write(2, CONTROL, 4, 1)

    def run(self, blocks: int) -> None:
        """Take so many blocks. Raises: StreamBroken."""
        until = self.taken + blocks
        step, line, clock = self.chip.step, self.host.line, self.clock
        while self.taken < until:
            step(256 * 1024)
            if line.level:
                self._handle()
            else:
                clock.advance(_LOOK_NS)

    def _handle(self) -> None:
        """Seven accesses, then the blocks that are whole."""
        read = self.chip.read
        if not read(0, INTCSR, 4) & 1 << 21:
            raise StreamBroken("INTA# for another reason")
        read(0, CSR, 1)
        at = read(0, PADR, 4)
        read(0, DPR, 4)
        lost = read(2, LOST, 4)
        self.chip.write(0, CSR, 1, 9)
        read(0, INTCSR, 4)
        self.interrupts += 1
        if lost:
            raise StreamBroken(f"{lost} words were lost")
        now = (at - BUFFER) // BLOCK
        while self.taken % BLOCKS != now:
            where = self.taken % BLOCKS * BLOCK
            words = np.frombuffer(self._buffer.bytes[where : where + BLOCK], dtype="<u4")
            if not np.array_equal(words, self._steps + np.uint32(self.taken * BLOCK_WORDS & 0xFFFF_FFFF)):
                raise StreamBroken(f"block {self.taken} has other words, the first {words[0]:#x}")
            self.taken += 1
