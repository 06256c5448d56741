# SPDX-License-Identifier: Apache-2.0
"""A port's words by whatever bus: DREQ# of it, lanes, LINTi# after a read; what of a block is refused or worked out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from plx9x5x.blocks import Block, Fifo
from plx9x5x.board import Board, load_board
from plx9x5x.model.boardside import BoardFault
from plx9x5x.regs.kernel import Access, Register, bit
from tests.model.bench import HOLD_LOCAL, MODE_RESET, Bench

DEMAND = 1 << 12
BUS = {1: 0, 2: 1, 4: 3}
"""DMAMODE bits 1:0 by the bytes of a local bus word."""

DEPTH = 4
COUNT = 32


class STATUS(Register, offset=0x0, source="this test"):
    """What happened."""

    one = bit(0, Access.W1C, doc="One thing.")


class ENABLE(Register, offset=0x4, source="this test"):
    """What of it interrupts."""

    one = bit(0, Access.RW, doc="One thing.")


class LAST(Register, offset=0x20, source="this test"):
    """A register further up."""

    one = bit(0, Access.RW, doc="One thing.")


class Queue(Block):
    """A FIFO whose words are as wide as it is told."""

    size = 8

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fifo = Fifo(width, DEPTH)

    def plugged(self) -> None:
        self.port(4, self.fifo, dreq=0, dreq_room=1)


class Cleared(Block):
    """What happened is taken back by who reads it."""

    size = 0x10
    registers = (STATUS, ENABLE)
    interrupts = (STATUS, ENABLE)

    def plugged(self) -> None:
        self.port(8, width=2, take=self.take)

    def take(self, count: int) -> bytes:
        self.regs[STATUS] = 0
        return bytes(2 * count)

    def on_read_status(self, value: int) -> int:
        self.regs[STATUS] = 0
        return value


def bench_of(board: Board, block: type[Block], *args: Any) -> tuple[Bench, Any]:
    bench = Bench(replace(board, windows=(block.window("block", 0, *args),)))
    ((_, target),) = bench.chip.local_bus.targets
    return bench, target


@pytest.fixture
def board() -> Board:
    return load_board("rdk-9656-lite")


def words_of(width: int, first: int, count: int) -> list[bytes]:
    return [bytes((n, *([0] * (width - 1)))) for n in range(first, first + count)]


@pytest.mark.parametrize("bus", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_in_demand_mode_each_word_of_the_bus_takes_a_word_that_is_there(board: Board, width: int, bus: int) -> None:
    """As many are had as there are, none is missed and none stays while it is wanted, whatever is wider."""
    bench, target = bench_of(board, Queue, width)
    sent = words_of(width, 1, COUNT)
    for word in sent[:DEPTH]:
        target.fifo.put(word)
    length, given = COUNT * bus, DEPTH
    mode = MODE_RESET & ~3 | BUS[bus] | HOLD_LOCAL | DEMAND
    view = bench.channel(0).block(pci=bench.RAM, local=4, length=length, to="pci", mode=mode)
    while given < COUNT:
        bench.host.run()
        assert not view.csr & 0x10
        assert target.fifo.level == 0
        for word in sent[given : given + DEPTH]:
            target.fifo.put(word)
        given += DEPTH
    bench.host.run()
    assert view.csr & 0x10
    assert (target.fifo.underruns, target.fifo.overruns, target.fifo.level) == (0, 0, 0)
    assert bench.ram[:length] == b"".join(word[:bus].ljust(bus, b"\0") for word in sent)


@pytest.mark.parametrize("bus", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_in_demand_mode_each_word_of_the_bus_finds_room(board: Board, width: int, bus: int) -> None:
    bench, target = bench_of(board, Queue, width)
    length = COUNT * bus
    bench.ram[:length] = bytes(n & 0xFF for n in range(length))
    mode = MODE_RESET & ~3 | BUS[bus] | HOLD_LOCAL | DEMAND
    view = bench.channel(1).block(pci=bench.RAM, local=4, length=length, to="local", mode=mode)
    got = b""
    for _ in range(COUNT // DEPTH):
        bench.host.run()
        assert target.fifo.level == DEPTH
        got += target.fifo.take(DEPTH)
    assert view.csr & 0x10
    assert target.fifo.overruns == 0
    words = [bytes(bench.ram[at : at + bus]) for at in range(0, length, bus)]
    assert got == b"".join(word[:width].ljust(width, b"\0") for word in words)


def test_a_ready_without_words_counts_bytes(board: Board) -> None:
    bench, target = bench_of(board, Queue, 4)
    target.pins.demand(0, lambda: 0 if target.fifo.underruns else 4)
    mode = MODE_RESET & ~3 | BUS[2] | HOLD_LOCAL | DEMAND
    bench.channel(0).block(pci=bench.RAM, local=4, length=8, to="pci", mode=mode)
    bench.chip.step(1 << 20)
    assert target.fifo.underruns == 2


@pytest.mark.parametrize(
    ("at", "length", "gives"),
    [(4, 4, "11223300"), (4, 1, "11"), (5, 1, "22"), (6, 1, "33"), (5, 2, "2233"), (5, 3, "223300"), (6, 2, "3300")],
)
def test_lanes_of_a_port_are_counted_from_its_place(board: Board, at: int, length: int, gives: str) -> None:
    _, target = bench_of(board, Queue, 3)
    target.fifo.put(bytes.fromhex("112233"))
    assert target.read(at, length) == bytes.fromhex(gives)


@pytest.mark.parametrize(
    ("at", "data", "takes"),
    [(4, "11223344", "112233"), (4, "11", "110000"), (5, "22", "002200"), (6, "3344", "000033")],
)
def test_lanes_written_are_counted_from_the_ports_place(board: Board, at: int, data: str, takes: str) -> None:
    _, target = bench_of(board, Queue, 3)
    target.write(at, bytes.fromhex(data))
    assert target.fifo.take(1) == bytes.fromhex(takes)


READS: dict[str, Callable[[Any], bytes]] = {
    "a register": lambda target: target.read(0, 4),
    "a register at a held address": lambda target: target.read_words(0, 4, 1),
    "a port": lambda target: target.read(8, 2),
    "a port in bulk": lambda target: target.read_words(8, 2, 5),
    "a port, wider": lambda target: target.read_words(8, 4, 5),
}


@pytest.mark.parametrize("read", READS)
def test_linti_is_released_by_a_read_that_takes_back_what_happened(board: Board, read: str) -> None:
    bench, target = bench_of(board, Cleared)
    bench.intcsr = 0x0900
    target.write(4, b"\1")
    target.happened(1)
    assert bench.host.line.level is True
    READS[read](target)
    assert bench.host.line.level is False


def test_a_size_that_was_worked_out_is_not_inherited() -> None:
    class Small(Block):
        registers = (STATUS, ENABLE)

    class More(Small):
        registers = (STATUS, ENABLE, LAST)

    class Less(More):
        registers = (STATUS,)

    class Same(More):
        pass

    assert [block.size for block in (Small, More, Less, Same)] == [8, 0x40, 4, 0x40]


def test_a_size_that_was_stated_is_inherited() -> None:
    class Stated(Block):
        size = 0x30
        registers = (STATUS,)

    class More(Stated):
        registers = (STATUS, LAST)

    class Worked(Stated):
        size = 0

    class Again(Worked):
        registers = (STATUS, LAST)

    assert [block.size for block in (Stated, More, Worked, Again)] == [0x30, 0x30, 4, 0x40]
    with pytest.raises(TypeError, match="Odd: size 0x20 ends before its last register, 0x24"):
        type("Odd", (type("Short", (Block,), {"size": 0x20}),), {"registers": (STATUS, LAST)})


@pytest.mark.parametrize("interrupts", [(STATUS,), (STATUS, ENABLE, LAST), (), [STATUS, ENABLE], STATUS, 5])
def test_interrupts_are_two_registers(interrupts: object) -> None:
    with pytest.raises(TypeError, match=r"Odd: interrupts=.* is no two registers: what happened, what interrupts"):
        type("Odd", (Block,), {"registers": (STATUS, ENABLE, LAST), "interrupts": interrupts})


PORTS: list[tuple[Callable[[Block], object], str]] = [
    (lambda block: block.port(0, Fifo(4, 8), width=2), "has words of 2 bytes, and its FIFO has 4"),
    (lambda block: block.port(0, Fifo(4, 8), dreq=0), "cannot drive DREQ# of channel 0: a port does already"),
    (lambda block: block.port(0, Fifo(4, 8), dreq_room=0), "cannot drive DREQ# of channel 0: a port does already"),
    (lambda block: block.port(0, Fifo(4, 8), dreq_room=1), "cannot drive DREQ# of channel 1: a port does already"),
]


@pytest.mark.parametrize(("declare", "words"), PORTS)
def test_a_port_that_cannot_be_what_it_says_is_refused(
    board: Board, declare: Callable[[Block], object], words: str
) -> None:
    class Odd(Queue):
        def plugged(self) -> None:
            super().plugged()
            declare(self)

    with pytest.raises(BoardFault, match=f"local window 'block': plug raised TypeError: the port at 0x0 {words}"):
        bench_of(board, Odd, 2)


def test_one_port_drives_one_channel_by_one_of_both(board: Board) -> None:
    class Odd(Block):
        def plugged(self) -> None:
            self.port(0, Fifo(4, 8), dreq=0, dreq_room=0)

    with pytest.raises(BoardFault, match="cannot drive DREQ# of channel 0"):
        bench_of(board, Odd)


def test_the_same_width_twice_is_no_contradiction(board: Board) -> None:
    class Even(Block):
        def plugged(self) -> None:
            assert self.port(0, Fifo(2, 8), width=2).width == 2

    bench_of(board, Even)
