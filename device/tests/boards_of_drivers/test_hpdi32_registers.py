# SPDX-License-Identifier: Apache-2.0
"""The HPDI32's registers behind BAR2, as Linux's gsc_hpdi.c has them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.board import load_board
from plx9x5x.cli.main import main
from plx9x5x_boards.hpdi32 import registers
from plx9x5x_boards.hpdi32.registers import REGISTERS
from tests.behaviour.driver import SPACE0
from tests.boards_of_drivers.card import (
    CONTROL,
    DEPTH,
    EDGE,
    FEATURES,
    FIFO,
    IDLE_FLAGS,
    INT_CONTROL,
    INT_STATUS,
    LINE,
    LINE_NS,
    POLARITY,
    RESET,
    REVISION,
    RX_ALMOST,
    RX_ALMOST_EMPTY,
    RX_EMPTY,
    RX_ENABLE,
    RX_FULL,
    RX_RESET,
    RX_SIZE,
    RX_UNDERRUN,
    RX_WORDS,
    STATUS,
    TX_ALMOST,
    TX_DIVIDER,
    TX_RESET,
    TX_SIZE,
    TX_WORDS,
    Card,
)
from tests.length import tries

AFTER_RESET = {
    REVISION: 0x8000, CONTROL: 0, STATUS: IDLE_FLAGS, TX_ALMOST: 0, RX_ALMOST: 0, FEATURES: 0x2B, 0x1C: 0, 0x20: 0,
    0x24: 0, 0x28: 0, 0x2C: 0, INT_CONTROL: 0, INT_STATUS: 0, TX_DIVIDER: 0, 0x3C: 0, TX_SIZE: DEPTH, RX_SIZE: DEPTH,
    TX_WORDS: 0, RX_WORDS: 0, EDGE: 0, POLARITY: 0, 0x58: 0, 0xFC: 0,
}  # fmt: skip
STORED = {
    TX_ALMOST: 0x00FF_FFFF,
    RX_ALMOST: 0x00FF_FFFF,
    INT_CONTROL: 0xFF03,
    TX_DIVIDER: 0xFFFF,
    EDGE: 0xFFFF_FFFF,
    POLARITY: 0xFFFF_FFFF,
}
"""Bits that keep what is written, of the registers where nothing else happens."""

TOLD_BY_THE_DRIVER = {
    "BOARD_CONTROL": {"reset", "tx_fifo_reset", "tx_enable", "rx_enable", "demand_tx"},
    "BOARD_STATUS": {
        "tx_in_progress", "tx_not_empty", "tx_not_almost_empty", "tx_not_almost_full", "tx_not_full", "rx_not_empty",
        "rx_not_almost_empty", "rx_not_almost_full", "rx_not_full", "rx_underrun", "rx_overrun",
    },
    "INTERRUPT_CONTROL": {
        "frame_start", "frame_end", "tx_empty", "tx_almost_empty", "tx_almost_full", "tx_full", "rx_empty",
        "rx_almost_empty", "rx_almost_full", "rx_full",
    },
    "INTERRUPT_STATUS": {"frame_start", "frame_end"},
    "TX_FIFO_WORDS": {"words"},
    "RX_FIFO_WORDS": {"words"},
}  # fmt: skip
"""Fields of which gsc_hpdi.c's names, and what it does with them, say all that the card does. Of the rest they do not."""


def test_the_driver_finds_its_ids_and_a_bar_of_256_bytes(card: Card) -> None:
    assert (card.config_read(0x00), card.config_read(0x2C)) == (0x9080_10B5, 0x2400_10B5)
    card.config_write(0x18, 0xFFFF_FFFF)
    assert card.config_read(0x18) == 0xFFFF_FF00


def test_reset_values(card: Card) -> None:
    assert {at: card.get(at) for at in AFTER_RESET} == AFTER_RESET


def test_what_only_says_something_is_not_written(card: Card) -> None:
    for at in (REVISION, FEATURES, TX_SIZE, RX_SIZE, TX_WORDS, RX_WORDS, 0x1C, 0x3C, 0xFC):
        card.put(at, 0xFFFF_FFFF)
    assert {at: card.get(at) for at in AFTER_RESET} == AFTER_RESET


@settings(max_examples=tries(20, 60), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(STORED)),
            st.integers(0, 3),
            st.sampled_from([1, 2, 4, 8]),
            st.integers(0, (1 << 64) - 1),
        ),
        max_size=12,
    )
)
def test_stored_bits_keep_what_was_written_by_byte_lanes(writes: list[tuple[int, int, int, int]]) -> None:
    card = Card(load_board("hpdi32"))
    memory = bytearray(0x108)
    for at, into, width, value in writes:
        lanes = range(at + into, at + into + width)
        if any(lane & ~3 not in STORED for lane in lanes):
            continue
        card.put(at + into, value, width)
        memory[at + into : at + into + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    for at, mask in STORED.items():
        assert card.get(at) == int.from_bytes(memory[at : at + 4], "little") & mask


def test_reset_bits_fall_by_themselves(card: Card) -> None:
    card.put(CONTROL, 0x8000_03F0 | RESET | TX_RESET | RX_RESET)
    assert card.get(CONTROL) == 0, "the card's reset takes the other bits along"
    card.put(CONTROL, 0x8000_02F0 | TX_RESET | RX_RESET)
    assert card.get(CONTROL) == 0x8000_02F0


def test_the_cards_reset_is_power_on(card: Card) -> None:
    for at in STORED:
        card.put(at, 0x1111_1111)
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    card.put(FIFO, 1)
    assert (card.get(RX_WORDS), card.get(TX_WORDS)) == (LINE, 1)
    card.put(CONTROL, RESET)
    assert {at: card.get(at) for at in AFTER_RESET} == AFTER_RESET


def test_a_byte_of_the_control_register_is_enough_for_its_bits(card: Card) -> None:
    card.put(FIFO, 1)
    card.put(CONTROL + 1, RESET, 1)
    assert card.get(TX_WORDS) == 1, "that was START_TX"
    card.put(CONTROL, RESET, 1)
    assert card.get(TX_WORDS) == 0


def test_an_empty_fifo_gives_zero_and_says_so_until_that_is_cleared(card: Card) -> None:
    assert card.get(FIFO) == 0
    assert card.get(STATUS) == IDLE_FLAGS | RX_UNDERRUN
    card.put(STATUS, ~RX_UNDERRUN & 0xFFFF_FFFF)
    assert card.get(STATUS) == IDLE_FLAGS | RX_UNDERRUN
    card.put(STATUS, 0x00C0_0000)
    assert card.get(STATUS) == IDLE_FLAGS


def test_events_are_cleared_by_ones_and_are_kept_whether_they_interrupt_or_not(card: Card) -> None:
    card.put(CONTROL, RX_ENABLE)
    card.wait(LINE_NS)
    card.put(CONTROL, 0)
    for _ in range(LINE):
        card.get(FIFO)
    assert card.get(INT_STATUS) == RX_EMPTY | RX_ALMOST_EMPTY
    card.put(INT_STATUS, RX_FULL | RX_EMPTY)
    assert card.get(INT_STATUS) == RX_ALMOST_EMPTY
    card.put(INT_STATUS, 0xFFFF_FFFF)
    assert card.get(INT_STATUS) == 0, "it began once, though it lasts"


def test_an_access_of_any_width_takes_a_word_of_the_data_port(card: Card) -> None:
    card.put(CONTROL, RX_ENABLE)
    card.wait(2 * LINE_NS)
    assert [card.get(FIFO, width) for width in (1, 2, 4)] == [0, 1, 2]
    assert [card.get(FIFO, width) for width in (1, 4)] == [3, 4]
    assert card.get(FIFO + 1, 1) == 0, "the second byte of word 5"
    assert card.get(FIFO) == 6
    assert card.get(FIFO - 4, 8) >> 32 == 7
    assert card.read(FIFO - 8, 64, bar=SPACE0) >> 64 & 0xFFFF_FFFF == 8
    assert card.get(RX_WORDS) == 2 * LINE - 9


def test_what_the_driver_does_not_tell_is_marked_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    marked = [
        f"{reg.__name__}.{field.name}"
        for reg in REGISTERS
        for field in reg.fields
        if field.name not in TOLD_BY_THE_DRIVER.get(reg.__name__, set())
    ]
    assert main(["regs", "--board", "hpdi32", "--unverified"]) == 0
    assert [line.partition(" ")[0] for line in capsys.readouterr().out.splitlines()] == marked
    assert {"TX_FIFO_SIZE.words", "BOARD_STATUS.command_lines", "BOARD_CONTROL.rx_fifo_reset"} <= set(marked)


def test_the_table_and_the_page_say_the_same_of_events() -> None:
    page = (Path(__file__).parents[3] / "docs/modelled.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `hpdi32`"))
    modelled, left_out = row.split("Left out: ")
    assert "each a flag's edge" in modelled
    assert "edge-triggered" not in left_out
    assert "a choice of edge or level" in left_out
    assert "not on this card, all are edges" in registers.FEATURES.edge_interrupts.doc
    assert "by the edge" in registers.INTERRUPT_STATUS.fifos.doc
