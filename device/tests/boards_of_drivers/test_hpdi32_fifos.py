# SPDX-License-Identifier: Apache-2.0
"""The HPDI32's FIFOs and its cable, each beside one that does it word by word."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x_boards.hpdi32.cable import NS_PER_S, PRBS_WORDS, Cable, Counter, Prbs15, Source
from plx9x5x_boards.hpdi32.fifos import Receiver, Transmitter
from tests.length import tries

Step = tuple[str, int]


def serial_prbs(words: int) -> list[int]:
    """PRBS15 by a list of its last 15 bits."""
    last, found = deque([1] * 15, maxlen=15), []
    for _ in range(words):
        word = 0
        for _ in range(32):
            word = word << 1 | last[0]
            last.append(last[0] ^ last[1])
        found.append(word)
    return found


def test_the_pseudo_random_words_are_those_of_a_shift_register() -> None:
    expected = serial_prbs(2 * PRBS_WORDS)
    assert Prbs15().words(0, 2 * PRBS_WORDS).tolist() == expected
    assert expected[:PRBS_WORDS] == expected[PRBS_WORDS:]
    assert sum(word.bit_count() for word in expected[:PRBS_WORDS]) == 32 << 14, "a period has 2^14 ones"
    assert expected[0] == 0xFFFE_0004


@pytest.mark.parametrize("source", [Counter(), Prbs15()], ids=lambda source: type(source).__name__)
@settings(max_examples=tries(20, 60), deadline=None)
@given(
    first=st.one_of(st.integers(0, 1 << 40), st.just((1 << 32) - 3)),
    count=st.integers(0, 300),
    split=st.integers(0, 300),
)
def test_a_source_gives_the_same_words_however_they_are_asked_for(
    source: Source, first: int, count: int, split: int
) -> None:
    whole = source.words(first, count)
    at = min(split, count)
    assert whole.dtype == np.uint32
    assert whole.tolist() == [*source.words(first, at), *source.words(first + at, count - at)]


@settings(max_examples=tries(65, 200), deadline=None)
@given(rate=st.integers(1, 50_000_000), line=st.integers(1, 4096), count=st.integers(1, 1 << 33))
def test_words_have_come_at_the_time_that_they_take_and_no_sooner(rate: int, line: int, count: int) -> None:
    cable = Cable(Counter(), rate, line)
    time = cable.takes(count)
    assert cable.sent(time) >= count > cable.sent(time - 1)
    assert cable.sent(time) % line == 0


@pytest.mark.parametrize(("rate", "line"), [(0, 1), (1, 0), (-1, 1)])
def test_a_cable_that_brings_nothing_is_refused(rate: int, line: int) -> None:
    with pytest.raises(ValueError, match="brings nothing"):
        Cable(Counter(), rate, line)


class WordByWord:
    """A receive FIFO as a list of words."""

    def __init__(self, depth: int, rate: int, line: int) -> None:
        self.depth, self.rate, self.line = depth, rate, line
        self.words: list[int] = []
        self.position = self.began = self.came = 0
        self.on = False

    def pass_time(self, now: int) -> int:
        lost = 0
        if self.on:
            total = (now - self.began) * self.rate // (NS_PER_S * self.line) * self.line
            for _ in range(total - self.came):
                if len(self.words) < self.depth:
                    self.words.append(self.position)
                else:
                    lost += 1
                self.position += 1
            self.came = total
        return lost


@settings(max_examples=tries(50, 150), deadline=None)
@given(
    depth=st.integers(1, 40),
    line=st.integers(1, 12),
    steps=st.lists(st.tuples(st.sampled_from(["wait", "take", "on", "off", "reset"]), st.integers(0, 60)), max_size=40),
)
def test_the_receiver_keeps_and_loses_what_a_list_of_words_would(depth: int, line: int, steps: list[Step]) -> None:
    rate, now = 1_000_000, 0
    fifo, model = Receiver(Cable(Counter(), rate, line), depth), WordByWord(depth, rate, line)
    for what, value in steps:
        if what == "wait":
            now += value * 300
            level = fifo.level_at(now)
        assert fifo.catch_up(now) == model.pass_time(now)
        assert fifo.level == len(model.words) == fifo.level_at(now)
        if what == "wait":
            assert level == fifo.level
        elif what == "take":
            assert fifo.take(value).tolist() == model.words[:value]
            del model.words[:value]
        elif what in {"on", "off"}:
            if what == "on" and not model.on:
                model.began, model.came = now, 0
            model.on = what == "on"
            fifo.switch(now, on=model.on)
        else:
            model.words.clear()
            model.position, model.began, model.came = 0, now, 0
            fifo.reset(now)
        assert len(fifo._runs) <= depth
        if fifo.on and fifo.level < depth:
            reached = fifo.when(fifo.level + 1)
            assert reached > now
            assert fifo.level_at(reached) > fifo.level >= fifo.level_at(reached - 1)


@settings(max_examples=tries(50, 150), deadline=None)
@given(
    depth=st.integers(1, 40),
    steps=st.lists(
        st.tuples(st.sampled_from(["wait", "give", "on", "off", "slow", "reset"]), st.integers(0, 60)), max_size=40
    ),
)
def test_the_transmitter_sends_a_word_a_clock(depth: int, steps: list[Step]) -> None:
    fifo, now, level, divider = Transmitter(depth), 0, 0, 1
    began = ticks = 0
    for what, value in steps:
        now += 7 * value if what == "wait" else 0
        fifo.catch_up(now)
        if fifo.on:
            total = (now - began) // (50 * divider)
            level, ticks = max(0, level - (total - ticks)), total
        assert fifo.level == level == fifo.level_at(now)
        if what == "give":
            assert fifo.give(value) == max(0, value - (depth - level))
            level = min(depth, level + value)
        elif what in {"on", "off", "slow"}:
            wanted = (fifo.on, value + 1) if what == "slow" else (what == "on", divider)
            if wanted != (fifo.on, divider):
                began, ticks = now, 0
            divider = wanted[1]
            fifo.switch(now, on=wanted[0], divider=divider)
        elif what == "reset":
            level = 0
            fifo.reset()
        if fifo.on and fifo.level:
            reached = fifo.when(fifo.level - 1)
            assert reached > now
            assert fifo.level_at(reached) < fifo.level == fifo.level_at(reached - 1)


def test_nothing_is_kept_for_a_gap_but_where_it_is() -> None:
    fifo = Receiver(Cable(Counter(), 1_000_000, 1), 8)
    fifo.switch(0, on=True)
    assert fifo.catch_up(1_000_000_000) == 1_000_000 - 8
    assert fifo.take(3).tolist() == [0, 1, 2]
    assert fifo.catch_up(2_000_000_000) == 1_000_000 - 3
    assert fifo.take(100).tolist() == [3, 4, 5, 6, 7, 1_000_000, 1_000_001, 1_000_002]
    assert fifo.take(1).tolist() == []
