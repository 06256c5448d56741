# SPDX-License-Identifier: Apache-2.0
"""A held local address: words one by one or many at once come to the same, and a processor's access is the bus's words."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x import events
from plx9x5x.board import Board, Window, load_board
from plx9x5x.errors import SetupError
from plx9x5x.model import heldport
from plx9x5x.peripheral import LocalPins
from plx9x5x.units import KIB, LocalAddr
from tests.length import tries
from tests.model.bench import ABORT, DONE, ENABLE, Bench

RAM = Bench.RAM
AT = 0x100
HOLD, DEMAND, EOT = 0x800, 0x1000, 0x4000
LBRD0, BIGEND, LAS0BA = 0x18, 0x0C, 0x04
WIDTH_OF = {1: 0x40, 2: 0x41, 4: 0x43}


class Fifo:
    """A FIFO of whatever words it is asked for; it asserts EOT# with the byte that brings its count to `ends_at`."""

    size = 64

    def __init__(self, *, ends_at: int | None = None, ready: int | None = None) -> None:
        self.given = self.taken = b""
        self.calls = 0
        self.ends_at = ends_at
        self.ready = ready
        self.pins: LocalPins | None = None

    def plug(self, pins: LocalPins) -> None:
        self.pins = pins
        if self.ready is not None:
            for channel in (0, 1):
                pins.demand(channel, lambda: self.ready or 0)

    def read(self, offset: int, length: int) -> bytes:
        self.calls += 1
        return self.give(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.calls += 1
        self.take(bytes(data))

    def view(self, offset: int, length: int) -> memoryview | None:
        return None

    def give(self, length: int) -> bytes:
        data = bytes((len(self.given) + n) * 7 & 0xFF for n in range(length))
        self.given += data
        self.count(length, len(self.given))
        return data

    def take(self, data: bytes) -> None:
        self.taken += data
        self.count(len(data), len(self.taken))

    def count(self, length: int, now: int) -> None:
        if self.ready is not None:
            self.ready -= length
        if self.ends_at is not None and now - length < self.ends_at <= now and self.pins:
            for channel in (0, 1):
                self.pins.assert_eot(channel)


class BulkFifo(Fifo):
    """The same with many words in one call."""

    def left(self, done: int, width: int, count: int) -> int:
        """Words until EOT#, if that comes among them."""
        if self.ends_at is None or not done < self.ends_at <= done + width * count:
            return count
        return -(-(self.ends_at - done) // width)

    def read_words(self, offset: int, width: int, count: int) -> bytes:
        self.calls += 1
        return self.give(width * self.left(len(self.given), width, count))

    def write_words(self, offset: int, width: int, data: memoryview) -> int:
        self.calls += 1
        taken = width * self.left(len(self.taken), width, len(data) // width)
        self.take(bytes(data[:taken]))
        return taken


def board_of(target: Fifo) -> Board:
    return replace(load_board("rdk-9656-lite"), windows=(Window("fifo", LocalAddr(AT), lambda: target),))


def bench_of(target: Fifo) -> Bench:
    return Bench(board_of(target))


@settings(max_examples=tries(20, 60), deadline=None)
@given(
    st.sampled_from(list(WIDTH_OF)),
    st.integers(1, 300),
    st.sampled_from(["pci", "local"]),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 300)),
    st.sampled_from([1, 7, 8 * KIB, 256 * KIB]),
)
def test_many_words_at_once_are_as_many_one_by_one(
    width: int, length: int, to: str, swapped: bool, ends_at: int | None, budget: int
) -> None:
    seen = []
    for kind in (Fifo, BulkFifo):
        target = kind(ends_at=ends_at)
        bench = bench_of(target)
        bench.ram[0:512] = Bench.pattern(512)
        bench.chip.write(0, BIGEND, 1, 0x80 if swapped else 0)
        mode = WIDTH_OF[width] | HOLD | EOT
        bench.channel(0).block(pci=RAM, local=AT, length=length, to=to, mode=mode)
        while bench.chip.step(budget):
            pass
        seen.append((target.given, target.taken, bench.ram[0:512], bench.channel(0).csr, bench.chip.last_bus_address))
    assert seen[0] == seen[1]
    assert seen[0][3] == ENABLE | DONE


def test_many_words_are_one_call() -> None:
    target = BulkFifo()
    bench = bench_of(target)
    bench.channel(0).block(pci=RAM, local=AT, length=4 * KIB, to="pci", mode=WIDTH_OF[4] | HOLD).run()
    assert target.calls == 4 * KIB // heldport.BULK


def test_an_address_within_a_word_is_served_by_words_too() -> None:
    """The target of such words is looked up for each: they may lie in two windows."""
    target = BulkFifo()
    bench = bench_of(target)
    bench.ram[0:8] = b"01234567"
    bench.channel(0).block(pci=RAM, local=AT + 2, length=8, to="local", mode=WIDTH_OF[4] | HOLD).run()
    assert target.taken == b"01234567"


@pytest.mark.parametrize("to", ["pci", "local"])
def test_turned_words_at_an_address_within_a_word_come_back_as_they_went(to: str) -> None:
    """Each word of such a transfer lies as a burst of its length from that address on would."""
    seen = []
    for mode in (HOLD, 0):
        bench = Bench(load_board("rdk-9656-lite"))
        bench.chip.write(0, BIGEND, 1, 0x80)
        bench.ram[0:4] = b"0123"
        bench.chip.local_bus.write(0, b"abcdefghijklmnop")
        bench.channel(0).block(pci=RAM, local=6, length=4, to=to, mode=WIDTH_OF[4] | mode).run()
        seen.append((bench.ram[0:4], bench.chip.local_bus.read(0, 16)))
    assert seen[0] == seen[1]


class Wrong(BulkFifo):
    """Gives or takes another number of words than it was asked for."""

    def __init__(self, by: int) -> None:
        super().__init__()
        self.by = by

    def read_words(self, offset: int, width: int, count: int) -> bytes:
        return bytes(width * count + self.by)

    def write_words(self, offset: int, width: int, data: memoryview) -> int:
        return len(data) + self.by


@pytest.mark.parametrize("by", [-4, -1, 1, 4])
@pytest.mark.parametrize(
    ("to", "said"), [("pci", r"read_words\(0x0, 4, 16\) gave"), ("local", "write_words of 64 bytes")]
)
def test_a_wrong_number_of_words_is_the_boards_fault(by: int, to: str, said: str) -> None:
    bench = bench_of(Wrong(by))
    bench.channel(0).block(pci=RAM, local=AT, length=64, to=to, mode=WIDTH_OF[4] | HOLD)
    with pytest.raises(SetupError, match=rf"local window 'fifo': {said}"):
        bench.chip.step(64 * KIB)


def test_a_word_of_another_length_is_the_boards_fault() -> None:
    class Short(Fifo):
        def read(self, offset: int, length: int) -> bytes:
            return bytes(length - 1)

    bench = bench_of(Short())
    bench.channel(0).block(pci=RAM, local=AT, length=64, to="pci", mode=WIDTH_OF[4] | HOLD)
    with pytest.raises(SetupError, match=r"local window 'fifo': read\(0x0, 4\) gave 3 bytes"):
        bench.chip.step(64 * KIB)


# -- demand mode -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize(("ready", "moved"), [(0, 0), (2, 0), (3, 0), (4, 4), (6, 4), (7, 4), (8, 8), (100, 10)])
def test_dreq_counts_lwords_whatever_the_width_of_the_bus(width: int, ready: int, moved: int) -> None:
    target = Fifo(ready=ready)
    bench = bench_of(target)
    bench.channel(0).block(pci=RAM, local=AT, length=10, to="pci", mode=WIDTH_OF[width] | HOLD | DEMAND)
    for _ in range(20):
        bench.chip.step(256 * KIB)
    assert len(target.given) == moved


def held(bench: Bench) -> list[str]:
    return [event.reason for event in bench.trace.of(events.TransferHeld)]


@pytest.mark.parametrize("chained", [False, True])
def test_demand_mode_on_a_board_without_dreq_is_said_once(chained: bool) -> None:
    bench = bench_of(Fifo())
    channel = bench.channel(1)
    for _ in range(3):
        if chained:
            start = bench.put_chain([], at=None)
            bench.ram[0x8000:0x8010] = b"".join(n.to_bytes(4, "little") for n in (RAM, AT, 16, 2))
            channel.chain(start, mode=WIDTH_OF[4] | HOLD | DEMAND | 0x200)
        else:
            channel.block(pci=RAM, local=AT, length=16, to="local", mode=WIDTH_OF[4] | HOLD | DEMAND)
        bench.chip.step(64 * KIB)
        bench.chip.step(64 * KIB)
        channel.csr = 0
        channel.csr = ABORT
    (said,) = held(bench)
    assert said == "the board drives no DREQ#"


def test_demand_mode_on_a_board_that_is_not_ready_is_no_fault() -> None:
    bench = bench_of(Fifo(ready=0))
    bench.channel(0).block(pci=RAM, local=AT, length=16, to="local", mode=WIDTH_OF[4] | HOLD | DEMAND)
    bench.chip.step(64 * KIB)
    assert held(bench) == []


# -- the processor's accesses ----------------------------------------------------------------------


class Log(Fifo):
    """Notes each access."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[int, bytes]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.log.append((offset, bytes(length)))
        return bytes(range(len(self.log) * 16, len(self.log) * 16 + length))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self.log.append((offset, bytes(data)))


Access = tuple[int, int]


@pytest.mark.parametrize(
    ("code", "offset", "width", "words"),
    [
        (0, 0, 4, [(0, 1), (1, 1), (2, 1), (3, 1)]),
        (1, 0, 4, [(0, 2), (2, 2)]),
        (1, 0, 2, [(0, 2)]),
        (1, 1, 4, [(1, 1), (2, 2), (4, 1)]),
        (1, 0, 1, [(0, 1)]),
        (3, 0, 4, [(0, 4)]),
        (3, 0, 8, [(0, 4), (4, 4)]),
        (2, 2, 4, [(2, 2), (4, 2)]),
    ],
)
def test_an_access_is_the_words_of_the_local_bus_lowest_first(
    code: int, offset: int, width: int, words: list[Access]
) -> None:
    target = Log()
    bench = Bench(
        replace(load_board("rdk-9656-lite"), windows=(Window("log", LocalAddr(0), lambda: target),)),
    )
    bench.chip.write(0, LBRD0, 4, bench.chip.read(0, LBRD0, 4) & ~3 | code)
    data = bytes(range(1, width + 1))
    bench.chip.write(2, offset, width, int.from_bytes(data, "little"))
    assert target.log == [(at, data[at - offset : at - offset + size]) for at, size in words]
    target.log.clear()
    value = bench.chip.read(2, offset, width).to_bytes(width, "little")
    assert [(at, len(raw)) for at, raw in target.log] == words
    assert value == b"".join(bytes(range(16 * n, 16 * n + size)) for n, (_, size) in enumerate(words, 1))
