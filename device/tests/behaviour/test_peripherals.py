# SPDX-License-Identifier: Apache-2.0
"""DMA against a FIFO on the local bus, which counts every access (reference 4.2, 4.10, 9.2)."""

import struct
from dataclasses import dataclass, field, replace

import pytest

from plx9x5x.board import Board, Window, load_board
from plx9x5x.peripheral import LocalPins
from plx9x5x.units import LocalAddr
from tests.behaviour.cases_block import (
    ABORT,
    CHAIN,
    CLEAR,
    CLEAR_COUNT,
    DEMAND,
    DONE_INTR,
    DPR,
    ENABLE,
    END_LINK,
    EOT,
    FRESH,
    HOLD_LOCAL,
    IDLE_INTCSR,
    INTCSR,
    LADR,
    LAST,
    MODE,
    PADR,
    RESET_MODE,
    SIZ,
    TC,
    TO_PCI,
    Dma,
    pattern,
)
from tests.behaviour.cases_chain import in_local
from tests.behaviour.driver import BOARD_OF, FAMILY, SINCE_9056
from tests.behaviour.in_process import InProcess

FIFO_AT = 0x3000_0000
"""Where no reference board has anything."""
PORT = 0x18
"""The data port of an HPDI32, whose other offsets are registers."""
CAPACITY = 64


@dataclass
class Fifo:
    """A data port. With `channels` it drives their DREQ# by what it holds, or by the room it has with `fills`."""

    channels: tuple[int, ...] = ()
    fills: bool = False
    ends: bool = False
    """It asserts EOT# when a read leaves it empty."""
    size: int = 0x100
    held: bytearray = field(default_factory=bytearray)
    accesses: list[tuple[int, int]] = field(default_factory=list)
    """Offset and length of each."""
    pins: LocalPins | None = None

    def plug(self, pins: LocalPins) -> None:
        self.pins = pins
        for channel in self.channels:
            pins.demand(channel, self._room if self.fills else self._level)

    def _level(self) -> int:
        return len(self.held)

    def _room(self) -> int:
        return CAPACITY - len(self.held)

    def read(self, offset: int, length: int) -> bytes:
        self.accesses.append((offset, length))
        data = bytes(self.held[:length])
        del self.held[:length]
        if self.ends and not self.held and self.pins:
            for channel in self.channels:
                self.pins.assert_eot(channel)
        return data.ljust(length, b"\xee")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.accesses.append((offset, len(data)))
        self.held += data

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


class Machine(InProcess):
    """The reference board of a chip with a FIFO added; `fifo` is the one that the board has now."""

    def __init__(
        self, chip: str, channel: int, *, paced: bool = False, fills: bool = False, ends: bool = False
    ) -> None:
        self._made: list[Fifo] = []
        channels = (channel,) if paced else ()

        def make() -> Fifo:
            self._made.append(Fifo(channels, fills, ends))
            return self._made[-1]

        board: Board = load_board(BOARD_OF[chip])
        super().__init__(chip, board=replace(board, windows=(*board.windows, Window("FIFO", LocalAddr(FIFO_AT), make))))
        self.dma = Dma(self, channel)

    @property
    def fifo(self) -> Fifo:
        return self._made[-1]

    def block(self, pci: int, count: int, pointer: int, mode: int) -> None:
        """Program a block from or to the data port."""
        self.dma.block(pci, 0, count, pointer, mode=mode)
        self.dma.write(LADR, FIFO_AT + PORT)


ON_EACH = pytest.mark.parametrize(("chip", "channel"), [(chip, channel) for chip in FAMILY for channel in (0, 1)])
WIDTHS = pytest.mark.parametrize(("width", "word"), [(0, 1), (1, 2), (2, 4), (3, 4)])


@ON_EACH
@WIDTHS
def test_a_held_address_empties_a_fifo_word_by_word(chip: str, channel: int, width: int, word: int) -> None:
    machine = Machine(chip, channel)
    buffer = machine.buffer(64)
    machine.fifo.held += pattern(40)
    machine.block(buffer.bus + 1, 32, TO_PCI, 0x40 | width | HOLD_LOCAL)
    machine.dma.run()
    assert machine.dma.status == 0x11
    assert buffer.read(0, 64) == FRESH + pattern(32) + FRESH * 31
    assert machine.fifo.accesses == [(PORT, word)] * (32 // word)
    assert machine.fifo.held == pattern(40)[32:]
    assert machine.dma.read(LADR) == FIFO_AT + PORT


@ON_EACH
@WIDTHS
def test_a_held_address_fills_a_fifo_word_by_word(chip: str, channel: int, width: int, word: int) -> None:
    machine = Machine(chip, channel)
    buffer = machine.buffer(64)
    buffer.write(3, pattern(32))
    machine.block(buffer.bus + 3, 32, 0, 0x40 | width | HOLD_LOCAL)
    machine.dma.run()
    assert machine.dma.status == 0x11
    assert machine.fifo.held == pattern(32)
    assert machine.fifo.accesses == [(PORT, word)] * (32 // word)


@pytest.mark.parametrize("pointer", [0, TO_PCI])
def test_a_count_that_is_no_multiple_of_the_word_ends_in_a_part_of_one(pointer: int) -> None:
    machine = Machine("9656", 0)
    machine.fifo.held += pattern(16)
    machine.block(machine.buffer(64).bus, 11, pointer, RESET_MODE | HOLD_LOCAL)
    machine.dma.run()
    assert machine.fifo.accesses == [(PORT, 4), (PORT, 4), (PORT, 3)]


@ON_EACH
def test_without_hold_the_local_address_counts(chip: str, channel: int) -> None:
    machine = Machine(chip, channel)
    buffer = machine.buffer(64)
    machine.fifo.held += pattern(32)
    machine.block(buffer.bus, 32, TO_PCI, RESET_MODE)
    machine.dma.run()
    assert buffer.read(0, 32) == pattern(32)
    ends = [offset + length for offset, length in machine.fifo.accesses]
    assert [offset for offset, _ in machine.fifo.accesses] == [PORT, *ends[:-1]]
    assert ends[-1] == PORT + 32


def test_a_long_held_transfer_is_cut_between_words_only() -> None:
    """However the model divides it into steps, and wherever the buffer begins in its page."""
    machine = Machine("9656", 0)
    buffer = machine.buffer(0x4000)
    data = pattern(0x3001)
    machine.fifo.held += data
    machine.block(buffer.bus + 0xFFD, 0x3001, TO_PCI, RESET_MODE | HOLD_LOCAL)
    machine.dma.command(3)
    while machine.dma.status & 16 == 0:
        machine.device.step(1)
    assert buffer.read(0xFFD, 0x3001) == data
    assert machine.fifo.accesses == [(PORT, 4)] * 0xC00 + [(PORT, 1)]


@ON_EACH
def test_a_demand_mode_transfer_takes_what_the_fifo_has(chip: str, channel: int) -> None:
    machine = Machine(chip, channel, paced=True)
    buffer = machine.buffer(64)
    machine.block(buffer.bus, 32, TO_PCI, RESET_MODE | HOLD_LOCAL | DEMAND | DONE_INTR)
    machine.dma.run()
    for level in (0, 4, 12, 28):
        machine.fifo.held += pattern(32)[buffer.read(0, 32).index(FRESH) : level]
        machine.settle()
        assert buffer.read(0, 64) == pattern(level) + FRESH * (64 - level)
        assert machine.dma.status == 0x01
        assert not machine.fifo.held
    machine.fifo.held += pattern(32)[28:] + b"more"
    machine.settle()
    assert machine.dma.status == 0x11
    assert machine.dma.latched
    assert machine.fifo.held == b"more", "what the count does not cover stays"
    assert all(length == 4 for _, length in machine.fifo.accesses)


@ON_EACH
def test_a_demand_mode_transfer_waits_for_the_rest_of_a_word(chip: str, channel: int) -> None:
    """A FIFO that asks for 6 bytes gives one word of 4, and the last part of one once the count ends in it."""
    # model: Channel._move rounds up to a word of a held address, past what DREQ# asked for
    machine = Machine(chip, channel, paced=True)
    buffer = machine.buffer(64)
    machine.block(buffer.bus, 11, TO_PCI, RESET_MODE | HOLD_LOCAL | DEMAND)
    machine.fifo.held += pattern(6)
    machine.dma.run()
    assert machine.dma.status == 0x01
    assert buffer.read(0, 64) == pattern(4) + FRESH * 60
    assert machine.fifo.held == pattern(6)[4:]
    machine.fifo.held += pattern(11)[6:]
    machine.settle()
    assert machine.dma.status == 0x11
    assert buffer.read(0, 64) == pattern(11) + FRESH * 53
    assert machine.fifo.accesses == [(PORT, 4), (PORT, 4), (PORT, 3)]


@ON_EACH
def test_a_demand_mode_transfer_gives_what_the_fifo_has_room_for(chip: str, channel: int) -> None:
    machine = Machine(chip, channel, paced=True, fills=True)
    buffer = machine.buffer(128)
    buffer.write(0, pattern(100))
    machine.block(buffer.bus, 100, 0, RESET_MODE | HOLD_LOCAL | DEMAND)
    machine.dma.run()
    assert machine.dma.status == 0x01
    assert machine.fifo.held == pattern(CAPACITY)
    del machine.fifo.held[:20]
    machine.settle()
    assert machine.dma.status == 0x01
    assert machine.fifo.held == pattern(84)[20:]
    machine.fifo.held.clear()
    machine.settle()
    assert machine.dma.status == 0x11
    assert machine.fifo.held == pattern(100)[84:]


@ON_EACH
def test_eot_of_a_fifo_that_runs_empty_ends_the_transfer(chip: str, channel: int) -> None:
    """The word whose access raised it still arrives."""
    machine = Machine(chip, channel, paced=True, ends=True)
    buffer = machine.buffer(64)
    machine.fifo.held += pattern(20)
    machine.block(buffer.bus, 64, TO_PCI, RESET_MODE | HOLD_LOCAL | EOT | DONE_INTR)
    machine.dma.run()
    assert machine.dma.status == 0x11
    assert machine.dma.latched
    assert buffer.read(0, 64) == pattern(20) + FRESH * 44
    assert machine.dma.read(SIZ) == 64


@ON_EACH
def test_without_eot_enable_the_empty_fifo_is_read_on(chip: str, channel: int) -> None:
    machine = Machine(chip, channel, paced=True, ends=True)
    buffer = machine.buffer(64)
    machine.fifo.held += pattern(20)
    machine.block(buffer.bus, 24, TO_PCI, RESET_MODE | HOLD_LOCAL)
    machine.dma.run()
    assert machine.dma.status == 0x11
    assert buffer.read(0, 64) == pattern(20) + b"\xee" * 4 + FRESH * 40


@pytest.mark.parametrize("chip", SINCE_9056)
@pytest.mark.parametrize("channel", [0, 1])
def test_end_link_gives_each_packet_of_the_fifo_a_descriptor_with_its_residue(chip: str, channel: int) -> None:
    machine = Machine(chip, channel, paced=True, ends=True)
    buffer, where = machine.buffer(64), in_local(machine)
    where.write(0, buffer.bus, FIFO_AT + PORT, 32, where.pointer(16, TO_PCI | TC))
    where.write(16, buffer.bus + 32, FIFO_AT + PORT, 32, TO_PCI | LAST)
    machine.dma.chain(where.start, mode=RESET_MODE | CHAIN | HOLD_LOCAL | DEMAND | EOT | END_LINK | CLEAR_COUNT)
    machine.dma.run()
    machine.fifo.held += pattern(12)
    machine.settle()
    assert machine.dma.status == 0x01
    assert machine.dma.latched
    assert machine.dma.read(PADR) == buffer.bus + 32
    machine.fifo.held += pattern(28)
    machine.settle()
    assert machine.dma.status == 0x11
    assert buffer.read(0, 64) == pattern(12) + FRESH * 20 + pattern(28) + FRESH * 4
    assert (where.words(8, 1), where.words(24, 1)) == ((20,), (4,))


@ON_EACH
def test_gsc_hpdis_ring_interrupts_for_each_block_and_shows_the_one_that_fills(chip: str, channel: int) -> None:
    """Register by register; blocks of 16 bytes in the place of pages."""
    machine = Machine(chip, channel, paced=True)
    dma, ring, buffer = machine.dma, machine.buffer(64), machine.buffer(64)
    machine.write(0x0C, 0)
    machine.write(INTCSR, 0)
    assert dma.status & ENABLE == 0, "nothing to abort"
    dma.write(MODE, 0x0002_1F42)
    for n in range(4):
        pointer = ring.bus + 16 * ((n + 1) % 4) | 0xD
        ring.write(16 * n, struct.pack("<4I", buffer.bus + 16 * n, FIFO_AT + PORT, 16, pointer))
    machine.write(INTCSR, 0x0001_0D03 | dma.interrupt_enable)
    for register in (SIZ, PADR, LADR):
        dma.write(register, 0)
    dma.write(DPR, ring.bus | 0xD)
    dma.command(0x0B)
    machine.settle()
    assert dma.read(PADR) == buffer.bus, "fetched at START"
    assert not machine.inta()
    sent = b""
    for block in range(6):
        machine.fifo.held += pattern(16, first=1 + 16 * block)
        sent += pattern(16, first=1 + 16 * block)
        machine.settle()
        assert machine.inta()
        assert machine.read(INTCSR) & (1 << 21 | 1 << 22 | 1 << 15) == dma.interrupt
        assert dma.status == 0x01
        dma.command(dma.status & ENABLE | CLEAR)
        assert not machine.inta()
        assert dma.read(PADR) == buffer.bus + 16 * ((block + 1) % 4), "outside the block that is complete"
        assert buffer.read(16 * (block % 4), 16) == sent[-16:]
    machine.write(0x0C, 0)
    assert dma.status == 0x01, "ENABLE is 1 and DONE is 0, as the abort expects"
    dma.command(0x04)
    assert dma.status == 0x10
    machine.write(INTCSR, 0)
    assert not machine.inta()


def test_abort_of_a_starved_transfer_leaves_the_fifo_alone() -> None:
    machine = Machine("9080", 0, paced=True)
    buffer = machine.buffer(64)
    machine.fifo.held += pattern(8)
    machine.block(buffer.bus, 32, TO_PCI, RESET_MODE | HOLD_LOCAL | DEMAND)
    machine.dma.run()
    machine.dma.command(ABORT)
    machine.fifo.held += pattern(8)
    machine.settle()
    assert machine.dma.status == 0x10
    assert machine.fifo.held == pattern(8)
    assert buffer.read(0, 64) == pattern(8) + FRESH * 56


def test_a_failed_access_of_the_host_leaves_the_other_words_in_the_fifo() -> None:
    machine = Machine("9656", 1)
    machine.fifo.held += pattern(32)
    machine.host.ram(0x0800_0000, 0x1000)
    machine.block(0x0800_0FF8, 16, 0, RESET_MODE | HOLD_LOCAL)
    machine.dma.run()
    assert machine.dma.status == 0x01
    assert machine.fifo.held == pattern(32) + bytes(8), "what came before the failing byte was delivered"
    assert machine.read(INTCSR) == IDLE_INTCSR & ~(1 << 26) | 1 << 14


@ON_EACH
def test_after_a_software_reset_the_fifo_is_a_new_one_and_drives_its_pins(chip: str, channel: int) -> None:
    machine = Machine(chip, channel, paced=True)
    old, buffer = machine.fifo, machine.buffer(64)
    old.held += pattern(8)
    control = machine.read(0x6C) & 0x000F_FFFF
    machine.write(0x6C, control | 1 << 30)
    machine.write(0x6C, control)
    assert machine.fifo is not old
    machine.block(buffer.bus, 8, TO_PCI, RESET_MODE | HOLD_LOCAL | DEMAND)
    machine.dma.run()
    assert machine.dma.status == 0x01
    machine.fifo.held += pattern(8, first=50)
    machine.settle()
    assert machine.dma.status == 0x11
    assert buffer.read(0, 8) == pattern(8, first=50)
    assert old.held == pattern(8)


def test_two_machines_share_no_peripheral() -> None:
    first, second = Machine("9656", 0), Machine("9656", 0)
    first.fifo.held += pattern(4)
    assert first.fifo is not second.fifo
    assert not second.fifo.held


@ON_EACH
def test_both_channels_share_one_fifo_each_by_its_own_address(chip: str, channel: int) -> None:
    """One fills while the other empties."""
    machine = Machine(chip, channel)
    source, sink = machine.buffer(64), machine.buffer(64)
    source.write(0, pattern(64))
    other = Dma(machine, 1 - channel)
    machine.block(source.bus, 64, 0, RESET_MODE | HOLD_LOCAL)
    machine.dma.run()
    other.block(sink.bus, 0, 64, TO_PCI, mode=RESET_MODE | HOLD_LOCAL)
    other.write(LADR, FIFO_AT + PORT + 4)
    other.run()
    assert sink.read(0, 64) == pattern(64)
    assert machine.fifo.accesses == [(PORT, 4)] * 16 + [(PORT + 4, 4)] * 16
