# SPDX-License-Identifier: Apache-2.0
"""The Windows PLX9x5x sample's register accesses. Channel 0 writes to the device, channel 1 reads from it.

Source: reference section 9.1.
"""

import struct
from typing import Final

from plx9x5x.units import KIB
from tests.behaviour.driver import CommonBuffer, Driver
from tests.scenarios.support import (
    CNTRL,
    CSR,
    DAC,
    DPR,
    INTCSR,
    IO_BAR,
    MEMORY_BAR,
    MODE,
    bit,
    serve,
    words,
)

OPERATION: Final = 8 * KIB
STRIDE: Final = 32
SRAM: Final = 0x2_0000
WRITE, READ = 0, 1
DONE: Final = bit(4)

Pieces = list[tuple[int, int]]


class WdkSample:
    """The sample's register accesses. `unset` are the bits 1 and 3 that its stack leaves in the list's address."""

    def __init__(self, pc: Driver, *, unset: int = 0) -> None:
        self.pc, self._unset = pc, unset
        self.lists = (pc.buffer(17 * STRIDE), pc.buffer(17 * STRIDE))
        self.csr = [0, 0]
        self.deferred = 0

    @staticmethod
    def prepare_hardware(resources: list[tuple[str, int]]) -> list[str]:
        """Name the resources that the sample takes, in order; empty if the start would fail."""
        taken = []
        for kind, length in resources:
            if kind == MEMORY_BAR and length == 0x200 and "registers" not in taken:
                taken.append("registers")
            elif kind == MEMORY_BAR and length == SRAM:
                taken.append("alternate SRAM" if "SRAM" in taken else "SRAM")
            elif kind == IO_BAR and length >= 0x100:
                taken.append("ports")
        return taken if {"registers", "SRAM"} <= set(taken) else []

    def d0_entry(self) -> None:
        self.pc.write(DAC[0], 0)
        self.pc.write(DAC[1], 0)

    def enable_interrupts(self, wanted: bool) -> None:
        status = self.pc.read(INTCSR)
        self.pc.write(INTCSR, status | bit(8) if wanted else status & ~bit(8))

    def start(self, channel: int, pieces: Pieces, offset: int = 0) -> None:
        """Program one operation of a request, `offset` bytes into the SRAM."""
        chain = self.lists[channel]
        for index, (address, length) in enumerate(pieces):
            after = (chain.bus + (index + 1) * STRIDE) & ~0xF
            flags = 1 | (2 if index == len(pieces) - 1 else 0) | (8 if channel == READ else 0)
            row = (address & 0xFFFF_FFFF, offset, length, after | flags, address >> 32, 0, 0, 0)
            chain.write(index * STRIDE, struct.pack("<8I", *row))
            offset += length
        clear_count = bit(16) if channel == READ else 0
        mode = self.pc.read(MODE[channel])
        self.pc.write(MODE[channel], mode | bit(9) | bit(10) | bit(17) | clear_count)
        self.pc.write(INTCSR, self.pc.read(INTCSR) | bit(8) | bit(18 + channel))
        self.pc.write(DPR[channel], chain.bus | 1 | 4 | self._unset)
        self.pc.write(CSR[channel], self.pc.read(CSR[channel], 1) | 3, 1)

    def isr(self) -> bool:
        status = self.pc.read(INTCSR)
        mine = [channel for channel in (0, 1) if status & bit(21 + channel)]
        for channel in mine:
            self.csr[channel] = self.pc.read(CSR[channel], 1)
            self.pc.write(CSR[channel], self.csr[channel] | 8, 1)
        self.deferred += any(self.csr[channel] & DONE for channel in mine)
        return bool(mine)

    def bytes_read(self, requested: int) -> int:
        """What the deferred call reports: the list's counts after the transfer say what did not move."""
        left, index = 0, 0
        while True:
            count, pointer = words(self.lists[READ], index * STRIDE + 8, 2)
            left, index = left + count, index + 1
            if pointer & 2:
                return requested - left

    def transfer(self, channel: int, memory: CommonBuffer, at: int, length: int) -> int:
        """A whole request; give what the sample reports as moved."""
        done = reported = 0
        while done < length:
            size = min(OPERATION, length - done)
            self.start(channel, pages(memory.bus + at + done, size), done)
            self.pc.settle()
            assert serve(self.pc, self.isr) == 1
            assert self.csr[channel] == 0x11
            reported += self.bytes_read(size) if channel == READ else size
            done += size
        return reported

    def final_shutdown(self) -> None:
        self.pc.write(CNTRL, self.pc.read(CNTRL) | bit(30))
        self.pc.settle()
        self.pc.write(CNTRL, self.pc.read(CNTRL) & ~bit(30))


def pages(address: int, length: int) -> Pieces:
    """Split a range at the pages, as a scatter-gather list does."""
    pieces = []
    while length:
        size = min(length, 4 * KIB - address % (4 * KIB))
        pieces.append((address, size))
        address, length = address + size, length - size
    return pieces
