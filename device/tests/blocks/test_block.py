# SPDX-License-Identifier: Apache-2.0
"""Peripherals as data: registers with handlers by name, ports of words, lanes and widths, LINTi#, EOT#, timers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.blocks import Block, ByteBlock, Fifo, Inflow, Levels, Pace, Timer
from plx9x5x.blocks.timer import MOST
from plx9x5x.board import Board, load_board
from plx9x5x.model.boardside import BoardFault
from plx9x5x.peripheral import LocalPins
from plx9x5x.regs.kernel import Access, Register, Write, bit, bits
from tests.model.bench import HOLD_LOCAL, MODE_RESET, Bench

DEMAND, EOT = 1 << 12, 1 << 14
WORDS_OF = {1: 0, 2: 1, 4: 3}
"""DMAMODE bits 1:0 by the bytes of a local bus word."""


class CONTROL(Register, offset=0x0, source="this test"):
    """What runs."""

    run = bit(0, Access.RW, doc="It runs.")
    kick = bit(1, Access.W1T, doc="It rings.")
    rate = bits(15, 8, Access.RW, doc="How fast.")


class STATUS(Register, offset=0x4, width=16, source="this test"):
    """What happened."""

    low = bit(0, Access.W1C, doc="One thing.")
    high = bit(9, Access.W1C, doc="Another.")


class ENABLE(Register, offset=0x6, width=16, source="this test"):
    """What of it interrupts."""

    low = bit(0, Access.RW, doc="One thing.")
    high = bit(9, Access.RW, doc="Another.")


class COUNT(Register, offset=0x8, source="this test"):
    """How often CONTROL was read."""

    reads = bits(31, 0, Access.RO, doc="Reads.")


class Card(Block):
    size = 0x20
    registers = (CONTROL, STATUS, ENABLE, COUNT)
    interrupts = (STATUS, ENABLE)

    def plugged(self) -> None:
        self.writes: list[Write] = []
        self.reads = 0
        self.fifo = Fifo(2, 8)
        self.port(0x10, self.fifo, dreq=0, dreq_room=1)

    def on_write_control(self, write: Write) -> None:
        self.writes.append(write)
        if CONTROL(write.data).kick:
            self.happened(STATUS.high.mask)

    def on_read_control(self, value: int) -> int:
        self.reads += 1
        return value

    def on_read_count(self, value: int) -> int:
        assert value == 0
        return self.reads


def bench_of(board: Board, block: type[Block] | type[ByteBlock], *args: Any) -> tuple[Bench, Any]:
    bench = Bench(replace(board, windows=(block.window("block", 0, *args),)))
    ((_, target),) = bench.chip.local_bus.targets
    return bench, target


@pytest.fixture
def board() -> Board:
    return load_board("rdk-9656-lite")


@pytest.fixture
def bench(board: Board) -> Bench:
    return bench_of(board, Card)[0]


@pytest.fixture
def card(bench: Bench) -> Card:
    ((_, target),) = bench.chip.local_bus.targets
    assert isinstance(target, Card)
    return target


def test_a_handler_hears_of_a_write_after_it_is_stored_with_its_lanes(bench: Bench, card: Card) -> None:
    bench.chip.write(2, 0, 4, 0x1203)
    bench.chip.write(2, 1, 1, 0x34)
    assert card.writes == [Write(0, 0x1201, 0x1203, 0xFFFF_FFFF), Write(0x1201, 0x3401, 0x3400, 0xFF00)]
    assert (card.get(CONTROL).run, card.get(CONTROL).rate, card.regs[CONTROL]) == (True, 0x34, 0x3401)


def test_a_handler_gives_what_a_read_shows(bench: Bench, card: Card) -> None:
    assert [bench.chip.read(2, at, 4) for at in (0x8, 0x0, 0x8, 0x0, 0x8)] == [0, 0, 1, 0, 2]
    card.regs[CONTROL] = 0x100
    assert card.writes == [], "what the block itself stores calls nobody"


@given(
    start=st.integers(0, 11),
    length=st.integers(1, 9),
    data=st.binary(min_size=9, max_size=9),
    before=st.integers(0, 255),
)
def test_an_access_of_any_width_is_the_bytes_of_the_registers(
    start: int, length: int, data: bytes, before: int
) -> None:
    """Beside one that goes byte by byte; COUNT and the triggers are left out."""
    board = load_board("rdk-9656-lite")
    whole, single = (bench_of(board, Card)[1] for _ in range(2))
    length = min(length, 12 - start)
    for one in (whole, single):
        one.regs[CONTROL] = before << 8
        one.regs[STATUS] = 0x201
    whole.write(start, data[:length])
    for at in range(length):
        single.write(start + at, data[at : at + 1])
    stored = [[one.regs[reg] for reg in (CONTROL, ENABLE)] for one in (whole, single)]
    assert stored[0] == stored[1]
    assert whole.read(0, 8) == b"".join(whole.read(at, 1) for at in range(8))


def test_offsets_without_anything_read_0_and_take_nothing(bench: Bench, card: Card) -> None:
    bench.chip.write(2, 0x0C, 4, 0xFFFF_FFFF)
    assert [bench.chip.read(2, at, 4) for at in (0x0C, 0x14, 0x1C)] == [0, 0, 0]
    assert bench.local(0, 0x20)[0x14:] == bytes(12)


def test_linti_is_a_level_of_what_happened_and_is_enabled(bench: Bench, card: Card) -> None:
    bench.intcsr = 0x0900
    line = bench.host.line
    card.happened(STATUS.low.mask)
    assert line.level is False
    bench.chip.write(2, 0x6, 2, 0x0001)
    assert line.level is True
    bench.chip.write(2, 0x0, 4, 2)  # another thing happens, and does not interrupt
    assert (line.level, bench.chip.read(2, 0x4, 2)) == (True, 0x201)
    bench.chip.write(2, 0x4, 2, 0x0001)
    assert (line.level, bench.chip.read(2, 0x4, 2)) == (False, 0x200)
    bench.chip.write(2, 0x4, 4, 0x0200_0000)
    assert line.level is True


@pytest.mark.parametrize(
    ("at", "width", "gives"), [(0, 2, 0x2211), (0, 4, 0x2211), (0, 1, 0x11), (1, 1, 0x22), (2, 2, 0x2211)]
)
def test_one_access_to_a_port_takes_one_word_whatever_part_of_it_it_reads(
    bench: Bench, card: Card, at: int, width: int, gives: int
) -> None:
    card.fifo.put(bytes.fromhex("1122 3344 5566"))
    assert bench.chip.read(2, 0x10 + at, width) == gives
    assert card.fifo.level == 2
    assert bench.chip.read(2, 0x10, 2) == 0x4433


@pytest.mark.parametrize(
    ("at", "width", "takes"), [(0, 2, "1122"), (0, 4, "1122"), (0, 1, "1100"), (1, 1, "0011"), (2, 2, "1122")]
)
def test_one_access_to_a_port_gives_it_one_word(bench: Bench, card: Card, at: int, width: int, takes: str) -> None:
    bench.chip.write(2, 0x10 + at, width, 0x4433_2211)
    assert card.fifo.take(8) == bytes.fromhex(takes)


def test_an_access_over_registers_and_a_port_goes_lowest_address_first(card: Card) -> None:
    card.fifo.put(bytes.fromhex("1122 3344"))
    assert card.read(0x0E, 8) == bytes.fromhex("0000 1122 0000 0000")
    card.write(0x0E, bytes.fromhex("ffff 7788 9900 ffff"))
    assert card.fifo.take(9) == bytes.fromhex("3344 7788")


def test_an_empty_port_gives_zeros_and_a_full_one_drops_and_both_are_counted(bench: Bench, card: Card) -> None:
    assert bench.chip.read(2, 0x10, 2) == 0
    for n in range(10):
        bench.chip.write(2, 0x10, 2, n)
    assert (card.fifo.underruns, card.fifo.overruns, card.fifo.level) == (1, 2, 8)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("words", [1, 7, 1000])
def test_many_words_at_a_held_address_are_what_one_at_a_time_would_be(board: Board, width: int, words: int) -> None:
    """The port's own width goes in bulk, another one word by word; both beside reads of one word."""
    data = bytes(n * 7 + 1 & 0xFF for n in range(words * 4))

    class Wide(Block):
        size = 8

        def plugged(self) -> None:
            self.fifo = Fifo(2, 4096)
            self.port(0, self.fifo)

    _, bulk = bench_of(board, Wide)
    _, single = bench_of(board, Wide)
    for one in (bulk, single):
        one.fifo.put(data)
    assert bulk.read_words(0, width, words) == b"".join(single.read(0, width) for _ in range(words))
    assert bulk.write_words(0, width, memoryview(data)[: words * width]) == words * width
    for n in range(words):
        single.write(0, data[n * width : (n + 1) * width])
    assert bulk.fifo.take(5000) == single.fifo.take(5000)


@pytest.mark.parametrize(("to", "channel"), [("pci", 0), ("local", 1)])
def test_dreq_is_driven_by_the_words_that_are_there_and_by_room(
    bench: Bench, card: Card, to: str, channel: int
) -> None:
    mode = MODE_RESET & ~3 | WORDS_OF[2] | HOLD_LOCAL | DEMAND
    bench.ram[0:16] = bytes(range(16))
    card.fifo.put(bytes(range(0x80, 0x80 + (4 if to == "pci" else 12))))
    view = bench.channel(channel).block(pci=bench.RAM, local=0x10, length=16, to=to, mode=mode)
    bench.host.run()
    assert not view.csr & 0x10
    if to == "pci":
        card.fifo.put(bytes(range(0x84, 0x90)))
        bench.host.run()
        assert bench.ram[:16] == bytes(range(0x80, 0x90))
    else:
        assert card.fifo.level == 8
        assert card.fifo.take(8) == bytes(range(0x80, 0x8C)) + bytes(range(4))
        bench.host.run()
        assert card.fifo.take(6) == bytes(range(4, 16))
    assert view.csr & 0x10


@pytest.mark.parametrize("width", [2, 4])
def test_eot_ends_a_transfer_with_the_word_that_asserts_it(board: Board, width: int) -> None:
    class Ending(Block):
        size = 8

        def plugged(self) -> None:
            self.left = 5
            self.taken = b""
            self.port(0, width=2, take=self.take, put=self.put)

        def take(self, count: int) -> bytes:
            given, self.left = min(count, self.left), self.left - min(count, self.left)
            if not self.left:
                self.end(0)
            return bytes(range(2 * given))

        def put(self, data: bytes | memoryview) -> int:
            taken = min(len(data) // 2, self.left)
            self.left -= taken
            self.taken += bytes(data[: 2 * taken])
            if not self.left:
                self.end(0)
            return len(data) // 2 - taken

    mode = MODE_RESET & ~3 | WORDS_OF[width] | HOLD_LOCAL | EOT
    bench, _ = bench_of(board, Ending)
    view = bench.channel(0).block(pci=bench.RAM, local=0, length=64, to="pci", mode=mode)
    bench.host.run()
    assert view.csr & 0x10
    assert bench.ram[5 * width : 64] == b"\xaa" * (64 - 5 * width)
    assert bench.ram[: 5 * width] != b"\xaa" * 5 * width
    bench, target = bench_of(board, Ending)
    bench.ram[:64] = bytes(range(64))
    view = bench.channel(0).block(pci=bench.RAM, local=0, length=64, to="local", mode=mode)
    bench.host.run()
    assert view.csr & 0x10
    assert len(target.taken) == 10


@pytest.mark.parametrize("size", [0x100, 0x1_0000])
def test_a_burst_over_all_of_a_block_is_quick_enough_for_a_step(board: Board, size: int) -> None:
    """What it comes to is a bounded number of small pieces: no number of 64 KiB is shifted about."""

    class Big(Block):
        registers = (CONTROL,)

    Big.size = size
    _, target = bench_of(board, Big)
    assert max(length for _, length, _ in target._parts(0, size)) <= 64
    target.write(0, b"\x01" + bytes(size - 1))
    assert target.read(0, size) == b"\x01" + bytes(size - 1)


def test_a_size_is_worked_out_and_a_window_lists_the_registers(board: Board) -> None:
    class Small(Block):
        registers = (CONTROL, COUNT)

    class None_(Block):
        pass

    assert (Small.size, None_.size) == (16, 4)
    window = Small.window("small", 0x40)
    assert (window.name, window.local_base, window.registers) == ("small", 0x40, (CONTROL, COUNT))
    assert isinstance(window.target(), Small)
    assert window.target() is not window.target()


def wrong(name: str, **parts: object) -> None:
    type(name, (Block,), {"registers": (CONTROL, STATUS), **parts})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"on_write_contorl": lambda self, write: None}, "Odd.on_write_contorl: it has no such register; there are control, status"),
        ({"on_read_count": lambda self, value: 0}, "Odd.on_read_count: it has no such register"),
        ({"on_write_control": lambda self: None}, "Odd.on_write_control takes self and the Write"),
        ({"on_read_status": lambda self, a, b: None}, "Odd.on_read_status takes self and the stored value"),
        ({"registers": [CONTROL]}, "is no tuple of registers with an offset"),
        ({"registers": (Register,)}, "is no tuple of registers with an offset"),
        ({"registers": (CONTROL, CONTROL)}, "CONTROL and CONTROL share bytes"),
        ({"interrupts": (STATUS, ENABLE)}, "names what is none of its registers"),
        ({"size": 4}, "size 0x4 ends before its last register, 0x6"),
    ],
)  # fmt: skip
def test_a_wrong_block_is_refused_at_import(parts: dict[str, object], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        wrong("Odd", **parts)


PORTS: list[tuple[Callable[[Block], object], str]] = [
    (lambda block: block.port(0x20, Fifo(2, 1)), "has no place in 0x20 bytes"),
    (lambda block: block.port(0x12, Fifo(2, 1)), "has no place"),
    (lambda block: block.port(0x14, Fifo(8, 1)), "a port of 8-byte words"),
    (lambda block: block.port(0x14, take=bytes), "a port of 0-byte words"),
    (lambda block: block.port(0x4, Fifo(2, 1)), "stands where a register or another port is"),
    (lambda block: block.port(0x10, Fifo(2, 1)), "stands where a register or another port is"),
    (lambda block: block.port(0x14, width=2, take=bytes, dreq=0), "no FIFO whose level could drive DREQ#"),
    (lambda block: block.port(0x14, Inflow(bytes_of, Pace(1), width=2, now=lambda: 0), dreq=7), "no DMA channel 7"),
]


def bytes_of(first: int, count: int) -> bytes:
    return bytes(2 * count)


@pytest.mark.parametrize(("declare", "words"), PORTS)
def test_a_wrong_port_is_refused_when_the_board_is_built(
    board: Board, declare: Callable[[Block], object], words: str
) -> None:
    class Odd(Card):
        def plugged(self) -> None:
            super().plugged()
            declare(self)

    with pytest.raises(BoardFault, match=f"local window 'block': plug raised .*{words}"):
        bench_of(board, Odd)


def test_bytes_are_an_access_each_lowest_address_first(board: Board) -> None:
    class Bytes(ByteBlock):
        size = 8

        def plugged(self) -> None:
            self.seen: list[tuple[int, int]] = []

        def read_byte(self, offset: int) -> int:
            return 0x10 + offset

        def write_byte(self, offset: int, value: int) -> None:
            self.seen.append((offset, value))
            self.linti(bool(value & 1))

    bench, target = bench_of(board, Bytes)
    assert bench.chip.read(2, 2, 4) == 0x1514_1312
    bench.chip.write(2, 1, 2, 0x0403)
    assert target.seen == [(1, 3), (2, 4)]


def test_a_fifo_tells_when_its_flags_change() -> None:
    seen: list[Levels] = []
    fifo = Fifo(2, 4, changed=seen.append)
    fifo.almost_empty = fifo.almost_full = 1
    assert fifo.put(bytes(4)) == 0
    assert fifo.put(bytes(8)) == 2
    assert fifo.take(3) == bytes(6)
    assert fifo.take(2) == bytes(2)
    fifo.clear()
    full, empty = Levels.FULL | Levels.ALMOST_FULL, Levels.EMPTY | Levels.ALMOST_EMPTY
    assert seen == [Levels(0), full, Levels.ALMOST_EMPTY, empty]
    assert (fifo.overruns, fifo.underruns) == (2, 1)


@pytest.mark.parametrize(("width", "depth"), [(0, 4), (2, 0)])
def test_a_fifo_that_takes_nothing_is_refused(width: int, depth: int) -> None:
    with pytest.raises(ValueError, match="takes nothing"):
        Fifo(width, depth)


class Clocked(Block):
    size = 4

    def plugged(self) -> None:
        self.rang: list[int] = []
        self.timer = Timer(self.pins, lambda: self.rang.append(self.pins.now()))


def let(bench: Bench, ns: int) -> None:
    """Let time pass, a stop at each timer."""
    end = bench.clock.now() + ns
    while bench.clock.now() < end:
        bench.chip.step(1)
        due = bench.chip.wait_ns()
        left = end - bench.clock.now()
        bench.clock.advance(left if due is None else max(0, min(left, due)))
        bench.chip.step(1)


def test_a_timer_rings_at_the_time_that_was_set_last_and_once(board: Board) -> None:
    bench, target = bench_of(board, Clocked)
    target.timer.set(500)
    target.timer.set(300)
    target.timer.set(700)
    assert target.timer.due == 700
    let(bench, 1000)
    assert target.rang == [700]
    assert target.timer.due is None
    target.timer.set(1200)
    target.timer.stop()
    let(bench, 1000)
    assert target.rang == [700]


def test_a_timer_that_is_set_over_and_over_piles_up_nothing(board: Board) -> None:
    bench, target = bench_of(board, Clocked)
    for n in range(1000):
        target.timer.set(10_000 - n)
    assert len(bench.chip.local_side.timers) == MOST
    for n in range(1000):
        target.timer.set(20_000 + n)
    let(bench, 30_000)
    assert target.rang == [20_999]
    assert not bench.chip.local_side.timers


def test_pins_are_there_for_a_block_as_for_any_target(card: Card) -> None:
    pins: LocalPins = card.pins
    assert pins.now() == 0
