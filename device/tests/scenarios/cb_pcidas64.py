# SPDX-License-Identifier: Apache-2.0
"""Linux cb_pcidas64's register accesses, and the card: two FIFOs and a status word, on a PCI 9080.

Source: reference sections 9.3, 2.2, 4.8, 7.2.
"""

from collections import deque
from typing import Final

from plx9x5x.peripheral import LocalPins, Pin
from plx9x5x.units import KIB
from tests.behaviour.driver import SPACE0, SPACE1, Driver
from tests.scenarios.support import (
    BIGEND,
    CNTRL,
    CSR,
    DPR,
    INTCSR,
    L2PDBELL,
    LADR,
    LAS0BA,
    LAS0RR,
    LAS1BA,
    LAS1RR,
    MODE,
    PADR,
    SIZ,
    bit,
    descriptor,
    poll,
    words,
)

AI, AO = 1, 0
"""DMA channels."""
STATUS, ADC_FIFO, DAC_FIFO = 0x0, 0x200, 0x300
MAIN_AT, COUNTERS_AT = 0x0020_0000, 0x0030_0000
BUFFER: Final = 4 * KIB
BUFFERS: Final = 16
END: Final = 2
IDLE: Final = 0x0F0D_0D03
"""INTCSR while the driver has the board and nothing waits."""


class Acquisition:
    """The main space: a status word and both FIFOs, `word` bytes wide. DREQ# 0 wants samples, DREQ# 1 has some."""

    size: Final = 0x400

    def __init__(self, word: int = 2) -> None:
        self._word = word
        self.sampled: deque[bytes] = deque()
        self.played = b""
        self.room = 0
        """Bytes that the output FIFO still takes."""
        self.status = 0
        self.usero: list[bool] = []

    def plug(self, pins: LocalPins) -> None:
        pins.demand(AO, lambda: self.room)
        pins.demand(AI, lambda: self._word * len(self.sampled))
        pins.watch(Pin.USERO, self.usero.append)

    def sample(self, data: bytes) -> None:
        self.sampled.extend(data[at : at + self._word] for at in range(0, len(data), self._word))

    def read(self, offset: int, length: int) -> bytes:
        if offset == ADC_FIFO:
            return self.sampled.popleft()[:length]
        return self.status.to_bytes(2, "little")[:length] if offset == STATUS else bytes(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        if offset == DAC_FIFO:
            self.played += bytes(data)
            self.room -= len(data)

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


class CbPcidas64:
    """The driver's register accesses; `fast` is a 4020, which has a 32-bit input FIFO in space 1 and no output."""

    def __init__(self, pc: Driver, *, fast: bool = False) -> None:
        self.pc, self._fast = pc, fast
        self.inputs = [pc.buffer(BUFFER) for _ in range(BUFFERS)]
        self.outputs = [pc.buffer(BUFFER) for _ in range(BUFFERS)]
        self.input_ring, self.output_ring = pc.buffer(16 * BUFFERS), pc.buffer(16 * BUFFERS)
        self.received = b""
        self.restarts = 0
        self._reading = self._loading = 0
        self.local0 = self.local1 = self.control = 0
        self.pending: deque[bytes] = deque()
        """Output that waits for a free buffer."""

    def local_address(self, bar: int, range_register: int, base_register: int) -> int:
        """Where a BAR points on the local bus, worked out as the driver does."""
        mask = self.pc.read(range_register) & 0xFFFF_FFF0
        remap = self.pc.read(base_register) & mask
        return self.pc.config_read(0x10 + 4 * bar) & 0xFFFF_FFF0 & ~mask | remap

    def probe(self) -> None:
        self.local0 = self.local_address(SPACE0, LAS0RR, LAS0BA)
        self.local1 = self.local_address(SPACE1, LAS1RR, LAS1BA)
        self.control = self.pc.read(CNTRL)
        self.pc.write(CNTRL, self.control)
        self.pc.write(BIGEND, 0)
        self.pc.write(INTCSR, 0)
        for channel in (AO, AI):
            self.abort(channel)
        self.pc.write(MODE[AI], 0x0002_1FC2 if self._fast else 0x0002_1FC1)
        if not self._fast:
            self.pc.write(MODE[AO], 0x0002_1FC1)
        fifo = (self.local1 if self._fast else self.local0) + ADC_FIFO
        for index, buffer in enumerate(self.inputs):
            after = self.input_ring.bus + (index + 1) % BUFFERS * 16
            self.input_ring.write(16 * index, descriptor(buffer.bus, fifo, BUFFER, after | 0xD))
        for index, buffer in enumerate(self.outputs):
            after = self.output_ring.bus + (index + 1) % BUFFERS * 16
            self.output_ring.write(16 * index, descriptor(buffer.bus, self.local0 + DAC_FIFO, 0, after | 0x5))
        self.pc.write(INTCSR, 0x000D_0D03)

    def abort(self, channel: int) -> None:
        def command() -> int:
            return self.pc.read(CSR[channel], 1)

        if command() & 1:
            poll(self.pc, lambda: not command() & 0x10, 10_000)
            self.pc.write(CSR[channel], 0x04, 1)
            poll(self.pc, lambda: bool(command() & 0x10), 10_000)

    def start(self, channel: int, ring: int) -> None:
        for stale in (SIZ, PADR, LADR):
            self.pc.write(stale[channel], 0)
        self.pc.write(DPR[channel], ring | (0xD if channel == AI else 0x5))
        self.pc.write(CSR[channel], 0x0B, 1)

    def queue_output(self, data: bytes) -> None:
        """Fill the next buffer; its descriptor becomes the end, the one before no longer is."""
        index, before = self._loading, (self._loading - 1) % BUFFERS
        self.outputs[index].write(0, data)
        pointer = words(self.output_ring, 16 * index + 12, 1)[0]
        self.output_ring.write(16 * index + 8, (len(data)).to_bytes(4, "little"))
        self.output_ring.write(16 * index + 12, (pointer | END).to_bytes(4, "little"))
        pointer = words(self.output_ring, 16 * before + 12, 1)[0]
        self.output_ring.write(16 * before + 12, (pointer & ~END).to_bytes(4, "little"))
        self._loading = (index + 1) % BUFFERS

    def isr(self) -> bool:
        status = self.pc.read(INTCSR)
        self.pc.read(STATUS, 2, bar=SPACE0)
        if not status & (bit(21) | bit(22) | bit(15)):
            return False
        command = self.pc.read(CSR[AI], 1)
        if status & bit(22):
            self.pc.write(CSR[AI], command & 1 | 8, 1)
            if command & 1:
                self._drain()
        command = self.pc.read(CSR[AO], 1)
        if status & bit(21):
            self.pc.write(CSR[AO], 0x09 if command & 1 and not command & 0x10 else 0x08, 1)
            if command & 1:
                self._load(command)
        if status & bit(20):
            self.pc.write(L2PDBELL, self.pc.read(L2PDBELL))
        return True

    def output_finished(self) -> bool:
        """True if the last buffer that was queued has been played: DONE, and DMAPADR exactly at it."""
        last = self.outputs[(self._loading - 1) % BUFFERS].bus
        return bool(self.pc.read(CSR[AO], 1) & 0x10) and self.pc.read(PADR[AO]) == last

    def _drain(self) -> None:
        for _ in range(BUFFERS):
            buffer = self.inputs[self._reading]
            if buffer.bus <= self.pc.read(PADR[AI]) < buffer.bus + BUFFER:
                return
            self.received += buffer.read(0, BUFFER)
            self._reading = (self._reading + 1) % BUFFERS

    def _load(self, command: int) -> None:
        """Refill; start again a ring that came to an end while the end was being moved."""
        while self.pending:
            self.queue_output(self.pending.popleft())
        if command & 0x11 == 0x11 and not self.output_finished():
            self.pc.write(DPR[AO], self.pc.read(DPR[AO]) & ~END)
            self.pc.write(CSR[AO], 0x0B, 1)
            self.restarts += 1

    # -- EEPROM and I2C by CNTRL -------------------------------------------------------------------

    def eeprom_word(self, address: int) -> int:
        """Clock out one word by the 11-bit command."""
        control = self.pc.read(CNTRL) & ~(bit(24) | bit(25) | bit(26))
        self.pc.write(CNTRL, control)
        control |= bit(25)
        self.pc.write(CNTRL, control)
        for at in reversed(range(11)):
            data = bit(26) if (0x600 | address) >> at & 1 else 0
            for level in (data, data | bit(24), data):
                self.pc.write(CNTRL, control | level)
        value = 0
        for _ in range(16):
            self.pc.write(CNTRL, control | bit(24))
            self.pc.write(CNTRL, control)
            value = value << 1 | (self.pc.read(CNTRL) >> 27 & 1)
        self.pc.write(CNTRL, control & ~bit(25))
        return value

    def i2c_byte(self, value: int) -> None:
        """Clock a byte out to the calibration DACs: data on bit 26, clock on bit 16."""
        for at in reversed(range(8)):
            data = bit(26) if value >> at & 1 else 0
            for clock in (0, bit(16), 0):
                self.pc.write(CNTRL, self.control & ~(bit(16) | bit(26)) | data | clock)
        self.pc.write(CNTRL, self.control)
