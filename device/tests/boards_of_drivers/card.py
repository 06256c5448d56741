# SPDX-License-Identifier: Apache-2.0
"""The HPDI32 in this process: a driver's accesses, and time that the test lets pass.

Offsets and bits come from Linux, drivers/comedi/drivers/gsc_hpdi.c, not from the card's own tables.
"""

import struct

import numpy as np

from plx9x5x.board import Board
from plx9x5x.units import KIB
from tests.behaviour.driver import SPACE0
from tests.behaviour.in_process import InProcess, LoopbackBuffer
from tests.scenarios.support import CSR, DPR, LADR, MODE, PADR, SIZ, bit

REVISION, CONTROL, STATUS, TX_ALMOST, RX_ALMOST, FEATURES, FIFO = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
INT_CONTROL, INT_STATUS, TX_DIVIDER = 0x30, 0x34, 0x38
TX_SIZE, RX_SIZE, TX_WORDS, RX_WORDS, EDGE, POLARITY = 0x40, 0x44, 0x48, 0x4C, 0x50, 0x54

RESET, TX_RESET, RX_RESET, TX_ENABLE, RX_ENABLE, DEMAND_TX, START_TX = (bit(at) for at in (0, 1, 2, 4, 5, 6, 8))
TX_BUSY, TX_FLAGS, RX_FLAGS = bit(7), 0xF00, 0xF000
TX_OVERRUN, RX_UNDERRUN, RX_OVERRUN = bit(21), bit(22), bit(23)
TX_EMPTY, TX_ALMOST_EMPTY, TX_ALMOST_FULL, TX_FULL, RX_EMPTY, RX_ALMOST_EMPTY, RX_ALMOST_FULL, RX_FULL = (
    bit(at) for at in range(8, 16)
)
IDLE_FLAGS = 0xCC00
"""Neither FIFO is full or almost full; both are empty."""

DEPTH = 0x8000
LINE, LINE_NS = 256, 512_000
"""Words that come together, and how often they do."""
BLOCK_NS = 4 * LINE_NS
"""What fills one of the driver's blocks."""


class Card(InProcess):
    """A PC with the card in it."""

    def __init__(self, board: Board, *, traced: bool | None = None) -> None:
        super().__init__("9080", board=board, traced=traced)

    def get(self, register: int, width: int = 4) -> int:
        return self.read(register, width, bar=SPACE0)

    def put(self, register: int, value: int, width: int = 4) -> None:
        self.write(register, value, width, bar=SPACE0)

    def wait(self, nanoseconds: int) -> None:
        """Let the card do what it does in that time, and no longer."""
        end = self.clock.now() + nanoseconds
        while True:
            while self.device.step(256 * KIB):
                pass
            left = end - self.clock.now()
            if not left:
                return
            due = self.device.wait_ns()
            self.clock.advance(left if due is None else min(left, due))

    def words(self, count: int) -> list[int]:
        """Read the data port."""
        return [self.get(FIFO) for _ in range(count)]

    def block(self, buffer: LoopbackBuffer, length: int, *, to_pci: bool, width: int = 3) -> None:
        """Start channel 0 at the data port in demand mode."""
        mode = 0x1DC0 & ~bit(9) | bit(17) | bit(10) | width
        values = (mode, buffer.bus, FIFO, length, 8 if to_pci else 0)
        for register, value in zip((MODE[0], PADR[0], LADR[0], SIZ[0], DPR[0]), values, strict=True):
            self.write(register, value)
        self.write(CSR[0], 3, 1)

    def csr(self) -> int:
        return self.read(CSR[0], 1)


def counted(first: int, count: int) -> bytes:
    """The words of the counter as they lie in memory."""
    return (np.arange(first, first + count, dtype=np.uint64) & 0xFFFF_FFFF).astype("<u4").tobytes()


def unpacked(data: bytes) -> list[int]:
    return [word for (word,) in struct.iter_unpack("<I", data)]


def text(card: Card) -> list[str]:
    """All that the chip told of, in order, as a trace has it."""
    return [str(event) for event in (*card.trace.accesses, *card.trace.others)]
