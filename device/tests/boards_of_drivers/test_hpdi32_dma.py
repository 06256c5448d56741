# SPDX-License-Identifier: Apache-2.0
"""The HPDI32 beside its driver: DMA that DREQ# paces, events by LINTi#, and gsc_hpdi's own sequence, on both planes."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plx9x5x.blocks import NS_PER_S
from plx9x5x.blocks.timer import MOST
from plx9x5x.board import load_board
from plx9x5x.options import BadOption
from plx9x5x.plane.choice import NAMES, VARIABLE
from plx9x5x_boards.hpdi32 import hpdi32_board
from plx9x5x_boards.hpdi32.cable import Counter, Prbs15
from tests.boards_of_drivers.card import (
    BLOCK_NS,
    CONTROL,
    DEMAND_TX,
    DEPTH,
    EDGE,
    FIFO,
    IDLE_FLAGS,
    INT_CONTROL,
    INT_STATUS,
    LINE,
    LINE_NS,
    POLARITY,
    RX_ALMOST,
    RX_ALMOST_FULL,
    RX_EMPTY,
    RX_ENABLE,
    RX_FLAGS,
    RX_FULL,
    RX_OVERRUN,
    RX_RESET,
    RX_UNDERRUN,
    RX_WORDS,
    START_TX,
    STATUS,
    TX_ALMOST,
    TX_ALMOST_EMPTY,
    TX_BUSY,
    TX_DIVIDER,
    TX_EMPTY,
    TX_ENABLE,
    TX_FLAGS,
    TX_FULL,
    TX_OVERRUN,
    TX_WORDS,
    Card,
    counted,
    text,
    unpacked,
)
from tests.length import tries
from tests.scenarios.gsc_hpdi import BLOCK, BLOCKS, GscHpdi
from tests.scenarios.support import CSR, INTCSR, PADR, bit, serve

LOCAL_INPUT = 0x0000_0900
"""INTCSR: INTA# may be driven, and LINTi# may drive it."""
LINTI_ACTIVE = bit(15)
FULL_NS = DEPTH // LINE * LINE_NS

EVEN = hpdi32_board("even", "a word each microsecond", Counter(), words_per_s=1_000_000, line=1)

MakeCard = Callable[..., Card]


def test_dma_stops_where_the_fifo_is_empty_and_goes_on_with_the_next_words(card: Card) -> None:
    buffer = card.buffer(8 * LINE)
    card.block(buffer, 8 * LINE, to_pci=True)
    card.wait(3 * LINE_NS)
    assert buffer.read(0, 4) == b"\xa5" * 4, "the receiver is off"
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS - 1)
    assert buffer.read(0, 4) == b"\xa5" * 4
    card.wait(101_000)  # a board is asked every 100 us while it has nothing
    assert buffer.read(0, 4 * LINE + 4) == counted(0, LINE) + b"\xa5" * 4
    assert (card.csr(), card.get(RX_WORDS), card.get(STATUS)) == (1, 0, IDLE_FLAGS)
    card.wait(LINE_NS)
    assert buffer.read(0, 8 * LINE) == counted(0, 2 * LINE)
    assert card.csr() == 0x11
    card.wait(LINE_NS)
    assert card.get(RX_WORDS) == LINE, "a transfer that is done takes no more"
    assert card.findings() == ()


def test_what_is_in_the_fifo_stays_there_while_the_receiver_is_off(card: Card) -> None:
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    card.put(CONTROL, 0)
    buffer = card.buffer(4 * LINE)
    card.block(buffer, 4 * LINE, to_pci=True)
    card.wait(3 * LINE_NS)
    assert (card.csr(), card.get(RX_WORDS)) == (1, LINE)
    card.put(CONTROL, RX_ENABLE)
    card.wait(200_000)
    assert buffer.read(0, 4 * LINE) == counted(0, LINE)


def test_the_sequence_stands_still_with_the_receiver_and_begins_anew_with_the_fifos_reset(card: Card) -> None:
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS + 1)
    card.put(CONTROL, 0)
    card.wait(5 * LINE_NS)
    assert card.words(LINE) == list(range(LINE))
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    assert card.words(2) == [LINE, LINE + 1]
    card.put(CONTROL, RX_RESET | RX_ENABLE)
    assert card.get(RX_WORDS) == 0
    card.wait(LINE_NS)
    assert card.words(2) == [0, 1]


def test_a_narrow_transfer_takes_a_word_for_each_of_its_accesses(card: Card) -> None:
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    buffer = card.buffer(16)
    card.block(buffer, 16, to_pci=True, width=1)
    card.wait(1000)
    assert buffer.read(0, 16) == b"".join(number.to_bytes(2, "little") for number in range(8))
    assert card.get(RX_WORDS) == LINE - 8


def test_a_narrow_transfer_waits_for_the_words_that_are_not_there_yet(card: Card) -> None:
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    buffer = card.buffer(4 * LINE)
    card.block(buffer, 4 * LINE, to_pci=True, width=1)
    card.wait(1000)
    assert (card.csr(), card.get(RX_WORDS), card.get(STATUS) & RX_UNDERRUN) == (1, 0, 0)
    card.wait(2 * LINE_NS)
    assert (card.csr(), card.get(STATUS) & RX_UNDERRUN) == (0x11, 0)
    assert buffer.read(0, 4 * LINE) == b"".join(number.to_bytes(2, "little") for number in range(2 * LINE))


def test_words_to_be_sent_are_taken_while_there_is_room_and_go_at_the_transmitters_clock(card: Card) -> None:
    buffer = card.buffer(4 * (DEPTH + 1000))
    card.put(CONTROL, DEMAND_TX)
    card.block(buffer, 4 * (DEPTH + 1000), to_pci=False)
    card.wait(1_000_000)
    assert (card.csr(), card.get(TX_WORDS)) == (1, DEPTH)
    assert card.get(STATUS) & (TX_FLAGS | TX_BUSY | TX_OVERRUN) == 0x300
    card.put(TX_DIVIDER, 20)  # a word a microsecond
    card.put(CONTROL, DEMAND_TX | TX_ENABLE | START_TX)
    card.wait(999_000)
    assert card.csr() == 1
    card.wait(101_000)
    assert card.csr() == 0x11
    assert DEPTH - 150 <= card.get(TX_WORDS) <= DEPTH - 100
    assert card.get(STATUS) & (TX_FLAGS | TX_BUSY) == 0xF00 | TX_BUSY
    card.wait(DEPTH * 1000)
    assert (card.get(TX_WORDS), card.get(STATUS)) == (0, IDLE_FLAGS)
    assert card.findings() == ()


def test_a_word_for_a_full_transmit_fifo_is_lost_and_that_is_said(card: Card) -> None:
    target = next(target for _, target in card.device.local_bus.targets)
    target.write_words(FIFO, 4, memoryview(bytes(4 * (DEPTH - 1))))  # type: ignore[attr-defined]
    card.put(FIFO, 1)
    assert (card.get(TX_WORDS), card.get(STATUS) & TX_OVERRUN) == (DEPTH, 0)
    card.put(FIFO, 1)
    assert (card.get(TX_WORDS), card.get(STATUS) & TX_OVERRUN) == (DEPTH, TX_OVERRUN)
    assert card.get(INT_STATUS) & TX_FULL
    card.put(STATUS, TX_OVERRUN)
    assert card.get(STATUS) & TX_OVERRUN == 0


def test_a_full_fifo_interrupts_at_its_time_and_loses_what_comes_after(card: Card) -> None:
    card.write(INTCSR, LOCAL_INPUT)
    card.put(INT_CONTROL, RX_FULL)
    card.put(CONTROL, RX_ENABLE)
    card.wait(FULL_NS - 1)
    assert not card.inta()
    card.wait(1)
    assert card.inta()
    assert card.read(INTCSR) & LINTI_ACTIVE
    assert (card.get(INT_STATUS), card.get(STATUS)) == (RX_FULL | RX_ALMOST_FULL, IDLE_FLAGS & ~RX_FLAGS | 0x3000)
    card.wait(2 * LINE_NS)
    assert card.get(STATUS) & RX_OVERRUN
    card.put(INT_STATUS, RX_FULL)
    assert not card.inta()
    card.put(STATUS, RX_OVERRUN)
    assert card.get(STATUS) & RX_OVERRUN == 0
    card.wait(LINE_NS)
    assert card.get(STATUS) & RX_OVERRUN, "it goes on losing words"
    assert not card.inta(), "full is not new"
    target = next(target for _, target in card.device.local_bus.targets)
    assert target.read_words(FIFO, 4, DEPTH) == counted(0, DEPTH)  # type: ignore[attr-defined]
    card.wait(LINE_NS)
    assert card.words(1) == [DEPTH + 3 * LINE], "the gap is in the sequence"


def test_full_that_was_acknowledged_interrupts_again_when_it_ended_and_began_anew(card: Card) -> None:
    card.write(INTCSR, LOCAL_INPUT)
    card.put(EDGE, 0xFFFF_FFFF)
    card.put(POLARITY, 0)
    card.put(INT_CONTROL, RX_FULL)
    card.put(CONTROL, RX_ENABLE)
    card.wait(FULL_NS)
    assert card.inta(), "LINTi# is a level, until it is acknowledged"
    card.wait(3 * LINE_NS)
    assert card.inta()
    card.put(INT_STATUS, RX_FULL)
    card.wait(3 * LINE_NS)
    assert (card.inta(), card.get(INT_STATUS) & RX_FULL, card.get(RX_WORDS)) == (False, 0, DEPTH)
    card.words(LINE)
    assert not card.inta()
    card.wait(LINE_NS)
    assert (card.inta(), card.get(INT_STATUS) & RX_FULL, card.get(RX_WORDS)) == (True, RX_FULL, DEPTH)


@pytest.mark.parametrize("almost", [0, 1, 255])
def test_almost_full_is_so_much_room(almost: int, plane: str) -> None:
    card = Card(EVEN)
    card.write(INTCSR, LOCAL_INPUT)
    card.put(RX_ALMOST, almost << 16)
    card.put(INT_CONTROL, RX_ALMOST_FULL)
    card.put(CONTROL, RX_ENABLE)
    card.wait((DEPTH - almost) * 1000 - 1)
    assert not card.inta()
    assert card.get(STATUS) & 0x4000
    card.wait(1)
    assert card.inta()
    assert card.get(STATUS) & 0x4000 == 0


def test_the_transmitter_sends_once_it_is_enabled_and_started_and_by_the_clock_of_that_time(card: Card) -> None:
    card.put(TX_DIVIDER, 20)
    for word in range(30):
        card.put(FIFO, word)
    for control in (TX_ENABLE, START_TX, 0):
        card.put(CONTROL, control)
        card.wait(5000)
        assert card.get(TX_WORDS) == 30
    card.put(CONTROL, TX_ENABLE | START_TX)
    card.wait(10_000)
    card.put(TX_DIVIDER, 200)
    assert card.get(TX_WORDS) == 20
    card.wait(49_999)
    assert card.get(TX_WORDS) == 16
    card.wait(1)
    assert card.get(TX_WORDS) == 15
    card.put(TX_DIVIDER, 0)
    card.wait(100)
    assert card.get(TX_WORDS) == 13, "at 20 MHz"


def test_an_event_between_two_others_comes_at_its_time_too(plane: str) -> None:
    card = Card(EVEN)
    card.write(INTCSR, LOCAL_INPUT)
    card.put(INT_CONTROL, RX_FULL)
    card.put(CONTROL, RX_ENABLE)
    card.put(RX_ALMOST, 200 << 16)
    card.put(INT_CONTROL, RX_FULL | RX_ALMOST_FULL)
    card.wait((DEPTH - 200) * 1000)
    assert card.inta()
    card.put(INT_STATUS, RX_ALMOST_FULL)
    card.put(TX_DIVIDER, 20)
    card.put(FIFO, 0)
    card.put(INT_STATUS, TX_EMPTY)
    card.put(INT_CONTROL, RX_FULL | TX_EMPTY)
    card.put(CONTROL, RX_ENABLE | TX_ENABLE | START_TX)
    assert not card.inta()
    card.wait(1000)
    assert card.inta()
    assert card.get(INT_STATUS) & (RX_FULL | TX_EMPTY) == TX_EMPTY
    card.put(INT_STATUS, TX_EMPTY)
    card.wait(198_999)
    assert not card.inta()
    card.wait(1)
    assert card.inta()


def test_the_transmitters_events_come_at_their_time(card: Card) -> None:
    card.write(INTCSR, LOCAL_INPUT)
    card.put(TX_ALMOST, 4)
    card.put(TX_DIVIDER, 20)
    for word in range(10):
        card.put(FIFO, word)
    card.put(INT_CONTROL, TX_ALMOST_EMPTY | TX_EMPTY)
    card.put(CONTROL, TX_ENABLE | START_TX)
    for event, words in ((TX_ALMOST_EMPTY, 6), (TX_EMPTY, 4)):
        card.wait(1000 * words - 1)
        assert not card.inta()
        card.wait(1)
        assert card.inta()
        assert card.get(INT_STATUS) == event
        card.put(INT_STATUS, event)
        assert not card.inta()


def test_the_last_word_that_dma_takes_makes_the_fifo_empty_at_once(card: Card) -> None:
    card.write(INTCSR, LOCAL_INPUT)
    card.put(INT_CONTROL, RX_EMPTY)
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    card.block(card.buffer(4 * LINE), 4 * LINE, to_pci=True)
    assert not card.inta()
    card.wait(0)
    assert card.inta()
    assert card.read(INTCSR) & LINTI_ACTIVE


def test_only_what_is_enabled_drives_linti(card: Card) -> None:
    card.write(INTCSR, LOCAL_INPUT)
    card.put(CONTROL, RX_ENABLE)
    card.wait(FULL_NS)
    assert not card.inta()
    card.put(INT_CONTROL, RX_FULL)
    assert card.inta(), "it is full since before"
    card.put(INT_CONTROL, 0)
    assert not card.inta()


# -- the driver --------------------------------------------------------------------------------------


class Stream:
    """gsc_hpdi with this card, which streams."""

    def __init__(self, card: Card) -> None:
        self.card, self.driver = card, GscHpdi(card)
        self.served: list[tuple[int, int]] = []
        """(time, blocks so far) of each interrupt."""
        self.driver.probe()

    def start(self) -> None:
        self.driver.received = b""
        self.driver._current = 0
        self.driver.start()

    def take(self, blocks: int, step_ns: int = BLOCK_NS) -> None:
        while len(self.driver.received) < blocks * BLOCK:
            self.card.wait(step_ns)
            if self.card.inta():
                serve(self.card, self.driver.isr)
                self.served.append((self.card.clock.now(), len(self.driver.received) // BLOCK))

    def stop(self) -> None:
        self.driver.stop()
        serve(self.card, self.driver.isr)


@pytest.mark.parametrize(("name", "source"), [("hpdi32", Counter()), ("hpdi32-prbs", Prbs15())])
def test_the_driver_streams_what_is_on_the_cable(
    name: str, source: Counter | Prbs15, plane: str, on_plane: MakeCard
) -> None:
    stream = Stream(on_plane(plane, name))
    for blocks in (1, 2 * BLOCKS + 3):
        stream.start()
        stream.take(blocks)
        received = stream.driver.received
        assert unpacked(received) == source.words(0, len(received) // 4).tolist()
        stream.stop()
        assert (stream.card.csr(), stream.card.get(INT_CONTROL)) == (0x10, 0)
    assert stream.driver.errors == 0
    assert stream.card.get(INT_STATUS) & RX_FULL == 0
    assert stream.card.findings() == ()
    stream.driver.detach()
    assert not stream.card.inta()


def test_a_driver_that_does_not_come_is_told_of_the_overrun_and_finds_the_gap(plane: str, on_plane: MakeCard) -> None:
    stream = Stream(on_plane(plane))
    stream.start()
    stream.take(2)
    card = stream.card
    card.write(CSR[0], 0, 1)  # the channel pauses
    card.wait(FULL_NS + 4 * LINE_NS)
    assert card.inta()
    serve(card, stream.driver.isr)
    assert stream.driver.errors == 1
    card.write(CSR[0], 1, 1)
    kept = len(stream.driver.received) // BLOCK
    stream.take(kept + DEPTH // 1024 + 2)
    words = unpacked(stream.driver.received)
    at = next(at for at, word in enumerate(words) if word != at)
    assert at >= DEPTH
    assert words[at] > at
    assert words[at:] == list(range(words[at], words[at] + len(words) - at))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(BLOCK_NS // 20, 12 * BLOCK_NS), min_size=1, max_size=6), stops=st.integers(0, 2))
def test_both_planes_do_the_same_at_the_same_times(on_plane: MakeCard, steps: list[int], stops: int) -> None:
    seen = []
    for plane in NAMES:
        stream = Stream(on_plane(plane))
        for _ in range(stops + 1):
            stream.start()
            for step_ns in steps:
                stream.take(len(stream.driver.received) // BLOCK + 1, step_ns)
            stream.stop()
        card = stream.card
        registers = {str(reg(card.device.registers[reg])) for reg in card.device.registers.registers}
        seen.append((stream.served, stream.driver.received, registers, card.host.line.rises, card.clock.now()))
    assert seen[0] == seen[1]


def test_both_planes_leave_the_same_trace(on_plane: MakeCard) -> None:
    seen = []
    for plane in NAMES:
        stream = Stream(on_plane(plane, traced=True))
        stream.start()
        stream.take(20)
        stream.stop()
        seen.append(text(stream.card))
    assert len(seen[0]) > 200
    assert seen[0] == seen[1]


# -- hostile -----------------------------------------------------------------------------------------

ACCESSES = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 0x60), st.sampled_from([1, 2, 4, 8, 64]), st.integers(0, (1 << 64) - 1)),
        st.tuples(st.just("write"), st.sampled_from([CONTROL, INT_CONTROL, RX_ALMOST, TX_ALMOST, TX_DIVIDER]), st.just(4),
                  st.sampled_from([0x20, 0x24, 0x130, 0x170, 0x60, 1, 0xFF00, 0xF0_0000, 0xFF_FFFF, 3, 0])),
        st.tuples(st.just("read"), st.integers(0, 0xC0), st.sampled_from([1, 2, 4, 8, 64]), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 100_000_000), st.just(0), st.just(0)),
        st.tuples(st.just("start"), st.integers(0, 3), st.just(0), st.integers(0, 4096)),
    ),
    max_size=60,
)  # fmt: skip


@settings(max_examples=tries(20, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accesses=ACCESSES, fast=st.booleans())
def test_whatever_a_guest_does_the_card_neither_raises_nor_grows(
    accesses: list[tuple[str, int, int, int]], fast: bool, plane: str
) -> None:
    rate = 50_000_000 if fast else 100
    card = Card(hpdi32_board("any", "any", Counter(), words_per_s=rate, line=1))
    card.write(INTCSR, LOCAL_INPUT)
    buffer = card.buffer(4096)
    target = next(target for _, target in card.device.local_bus.targets)
    for what, at, width, value in accesses:
        if what == "write":
            card.put(at, value, width)
        elif what == "read":
            assert 0 <= card.get(at, width) < 1 << 8 * width
        elif what == "wait":
            card.clock.advance(at)
        else:
            card.block(buffer, value, to_pci=bool(at & 1), width=at)
        card.device.step(4096)
        assert len(card.device.local_side.timers) <= MOST
        assert target._receiver.level <= DEPTH  # type: ignore[attr-defined]
        assert len(target._receiver._runs) <= DEPTH  # type: ignore[attr-defined]
        assert target._transmitter.level <= DEPTH  # type: ignore[attr-defined]


def test_a_guest_that_asks_for_ever_earlier_events_is_told_and_piles_nothing_up(card: Card) -> None:
    card.write(INTCSR, LOCAL_INPUT)
    card.put(INT_CONTROL, TX_ALMOST_EMPTY)
    card.put(TX_DIVIDER, 20)
    target = next(target for _, target in card.device.local_bus.targets)
    target.write_words(FIFO, 4, memoryview(bytes(4 * 20_000)))  # type: ignore[attr-defined]
    card.put(CONTROL, TX_ENABLE | START_TX)
    for level in range(10_000):
        card.put(TX_ALMOST, level)
    assert len(card.device.local_side.timers) == MOST
    card.wait((20_000 - MOST) * 1000 - 1)
    assert not card.inta()
    card.wait(8_000)
    assert card.inta()


@pytest.mark.parametrize("rate", [0, -1])
def test_a_board_without_a_rate_is_refused(rate: int) -> None:
    with pytest.raises(ValueError, match="brings nothing"):
        hpdi32_board("none", "nothing", Counter(), words_per_s=rate)


@pytest.mark.parametrize("setting", ["rate=1e300", "line=1e300", "rate=1_000_000_001", f"line={(1 << 30) + 1}"])
def test_a_rate_or_a_line_that_no_clock_counts_is_refused(setting: str) -> None:
    with pytest.raises(BadOption, match=r"a whole number from 1 to 1_[0-9_]+"):
        load_board("hpdi32", [setting])


def test_another_rate_is_another_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    card = Card(hpdi32_board("quick", "more in less time", Counter(), words_per_s=50_000_000, line=1))
    card.put(CONTROL, RX_ENABLE)
    card.clock.advance(NS_PER_S // 100_000)
    assert card.get(RX_WORDS) == 500
    assert load_board("hpdi32").summary != card.device.board.summary
    assert card.read(PADR[0]) == 0
