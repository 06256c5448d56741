# SPDX-License-Identifier: Apache-2.0
"""FIFOs that a clock fills and empties, each beside one that does it word by word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.blocks import NS_PER_S, Inflow, Levels, Outflow, Pace
from tests.length import tries

Step = tuple[str, int]
WIDTH, HZ = 4, 20_000_000


def counted(first: int, count: int) -> bytes:
    return b"".join(n.to_bytes(WIDTH, "little") for n in range(first, first + count))


def numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + WIDTH], "little") for at in range(0, len(data), WIDTH)]


class Time:
    def __init__(self) -> None:
        self.ns = 0

    def now(self) -> int:
        return self.ns


@settings(max_examples=tries(65, 200), deadline=None)
@given(rate=st.integers(1, 50_000_000), line=st.integers(1, 4096), count=st.integers(1, 1 << 33))
def test_words_have_come_at_the_time_that_they_take_and_no_sooner(rate: int, line: int, count: int) -> None:
    cable = Pace(rate, line=line)
    time = cable.takes(count)
    assert cable.sent(time) >= count > cable.sent(time - 1)
    assert cable.sent(time) % line == 0


@pytest.mark.parametrize(("rate", "divider", "line"), [(0, 1, 1), (1, 1, 0), (-1, 1, 1), (1, 0, 1)])
def test_a_pace_at_which_nothing_comes_is_refused(rate: int, divider: int, line: int) -> None:
    with pytest.raises(ValueError, match="brings nothing"):
        Pace(rate, divider, line)


def at(time: Time, ns: int, fifo: Inflow | Outflow) -> int:
    """Words in a FIFO at a time."""
    time.ns = ns
    return fifo.level


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
    rate, time = 1_000_000, Time()
    fifo = Inflow(counted, Pace(rate, line=line), width=WIDTH, depth=depth, now=time.now, on=False)
    model, lost, missing = WordByWord(depth, rate, line), 0, 0
    for what, value in steps:
        if what == "wait":
            time.ns += value * 300
            level = fifo.level
        now = time.ns
        lost += (more := fifo.look())
        assert more == model.pass_time(now)
        assert fifo.level == len(model.words) == depth - fifo.room
        assert bool(fifo.flags & Levels.FULL) is (len(model.words) == depth)
        if what == "wait":
            assert level == fifo.level
        elif what == "take":
            assert numbers(fifo.take(value)) == model.words[:value]
            missing += max(0, value - len(model.words))
            del model.words[:value]
        elif what in {"on", "off"}:
            if what == "on" and not model.on:
                model.began, model.came = now, 0
            model.on = what == "on"
            assert fifo.switch(on=model.on) == 0
        else:
            model.words.clear()
            model.position, model.began, model.came = 0, now, 0
            fifo.reset()
        assert len(fifo._runs) <= depth
        assert (fifo.overruns, fifo.underruns) == (lost, missing)
        if fifo.on and (level := fifo.level) < depth:
            reached = fifo.when(level + 1)
            assert reached > now
            assert at(time, reached, fifo) > level >= at(time, reached - 1, fifo)
            time.ns = now


@settings(max_examples=tries(50, 150), deadline=None)
@given(
    depth=st.integers(1, 40),
    steps=st.lists(
        st.tuples(st.sampled_from(["wait", "give", "on", "off", "slow", "reset"]), st.integers(0, 60)), max_size=40
    ),
)
def test_the_transmitter_sends_a_word_a_clock(depth: int, steps: list[Step]) -> None:
    time, level, divider, lost = Time(), 0, 1, 0
    sent: list[int] = []
    given: list[int] = []
    fifo = Outflow(
        Pace(HZ), width=WIDTH, depth=depth, now=time.now, on=False, sink=lambda data: sent.extend(numbers(data))
    )
    began = ticks = 0
    for what, value in steps:
        time.ns += 7 * value if what == "wait" else 0
        now = time.ns
        if fifo.on:
            total = (now - began) // (50 * divider)
            level, ticks = max(0, level - (total - ticks)), total
        assert fifo.level == level
        fifo.look()
        assert fifo.level == level == depth - fifo.room
        assert sent == given[: len(given) - level]
        if what == "give":
            taken = min(value, depth - level)
            assert fifo.put(counted(len(given), value)) == value - taken
            given += range(len(given), len(given) + taken)
            level, lost = level + taken, lost + value - taken
        elif what in {"on", "off", "slow"}:
            wanted = (fifo.on, value + 1) if what == "slow" else (what == "on", divider)
            if wanted != (fifo.on, divider):
                began, ticks = now, 0
            divider = wanted[1]
            fifo.switch(on=wanted[0], pace=Pace(HZ, divider))
        elif what == "reset":
            del given[len(given) - level :]
            level = 0
            fifo.reset()
        assert fifo.overruns == lost
        if fifo.on and level:
            reached = fifo.when(level - 1)
            assert reached > now
            assert at(time, reached, fifo) < level == at(time, reached - 1, fifo)
            time.ns = now


def test_nothing_is_kept_for_a_gap_but_where_it_is() -> None:
    time = Time()
    fifo = Inflow(counted, Pace(1_000_000), width=WIDTH, depth=8, now=time.now)
    time.ns = 1_000_000_000
    assert fifo.look() == 1_000_000 - 8
    assert numbers(fifo.take(3)) == [0, 1, 2]
    time.ns = 2_000_000_000
    assert numbers(fifo.take(100)) == [3, 4, 5, 6, 7, 1_000_000, 1_000_001, 1_000_002]
    assert fifo.take(1) == b""
    assert (fifo.overruns, fifo.underruns) == (2_000_000 - 11, 93)


def test_one_without_a_depth_keeps_everything_and_costs_nothing() -> None:
    time = Time()
    fifo = Inflow(counted, Pace(1_000_000), width=WIDTH, now=time.now)
    time.ns = 3_600 * NS_PER_S
    assert (fifo.level, fifo.overruns) == (3_600_000_000, 0)
    assert fifo.room > 1 << 60
    assert numbers(fifo.take(2)) == [0, 1]
    assert len(fifo._runs) == 1
    assert not fifo.flags


@pytest.mark.parametrize("fifo", [Inflow, Outflow])
def test_thresholds_are_levels_at_which_a_flag_is_up(fifo: type[Inflow] | type[Outflow]) -> None:
    time = Time()
    made = (
        Inflow(counted, Pace(NS_PER_S), width=WIDTH, depth=10, now=time.now)
        if fifo is Inflow
        else Outflow(Pace(NS_PER_S), width=WIDTH, depth=10, now=time.now)
    )
    made.almost_empty, made.almost_full = 2, 3
    if isinstance(made, Outflow):
        made.put(counted(0, 10))
    seen = {}
    for time.ns in range(11):
        seen[made.level] = made.flags
    almost_empty, almost_full = Levels.ALMOST_EMPTY, Levels.ALMOST_FULL
    assert seen == {
        0: Levels.EMPTY | almost_empty, 1: almost_empty, 2: almost_empty, 3: Levels(0), 4: Levels(0), 5: Levels(0),
        6: Levels(0), 7: almost_full, 8: almost_full, 9: almost_full, 10: almost_full | Levels.FULL,
    }  # fmt: skip
