# SPDX-License-Identifier: Apache-2.0
"""The card's time: the host's, but for what a starved host could not use."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.model.chip import Chip
from plx9x5x.transport.host_clock import HostClock, NoSuchTime, TimeRule
from plx9x5x.transport.loopback import Loopback

MS = 1_000_000


class Host:
    """A host whose time we move, and the card's clock on it."""

    def __init__(self, rule: TimeRule) -> None:
        self.time = 77
        self.clock = HostClock(rule, source=lambda: self.time)

    def passes(self, nanoseconds: int) -> int:
        """Let time pass; give what passed for the card."""
        before = self.clock.now()
        self.time += nanoseconds
        return self.clock.now() - before


def test_time_that_is_looked_at_often_passes_as_it_does() -> None:
    host = Host(TimeRule())
    assert sum(host.passes(MS) for _ in range(10)) == 10 * MS


def test_a_host_that_is_away_costs_the_card_no_more_than_the_longest_step() -> None:
    host = Host(TimeRule(max_step_ns=MS))
    assert host.passes(700 * MS) == MS
    assert host.passes(MS // 2) == MS // 2
    assert host.clock.left_out_ns == 699 * MS


def test_without_a_longest_step_all_of_it_passes() -> None:
    assert Host(TimeRule(max_step_ns=None)).passes(700 * MS) == 700 * MS


def test_a_wait_that_the_device_asked_for_passes_whole_and_once() -> None:
    host = Host(TimeRule(max_step_ns=MS))
    assert host.clock.expect(5 * MS) == 5 * MS
    host.time += 500 * MS
    assert host.clock.now() == 6 * MS
    assert host.passes(5 * MS) == MS


def test_a_device_that_waits_for_nobody_sleeps_as_long_as_it_does() -> None:
    host = Host(TimeRule(max_step_ns=MS))
    assert host.clock.expect(None) is None
    host.time += 3600 * 1000 * MS
    assert host.clock.now() == 3600 * 1000 * MS


def test_a_slow_card_waits_longer_of_the_hosts_time() -> None:
    host = Host(TimeRule(scale=0.1, max_step_ns=None))
    assert host.passes(10 * MS) == MS
    assert host.clock.expect(MS) == 10 * MS


@given(
    st.lists(st.tuples(st.integers(0, 10**10), st.one_of(st.none(), st.integers(-1, 10**9))), max_size=30),
    st.sampled_from([0.001, 0.1, 1.0, 3.0]),
    st.one_of(st.none(), st.integers(1, 10**8)),
)
def test_time_never_runs_backwards_nor_ahead(
    looks: list[tuple[int, int | None]], scale: float, most: int | None
) -> None:
    host = Host(TimeRule(scale, most))
    began, last = host.time, 0
    for passed, wait in looks:
        if wait is None or wait >= 0:
            host.clock.expect(wait)
        host.time += passed
        now = host.clock.now()
        assert last <= now <= (host.time - began) * scale
        last = now


def test_the_rule_is_said_in_words() -> None:
    assert str(TimeRule()) == "scale 1, max step 1000000 ns"
    assert str(TimeRule.of(scale=0.1, max_step_ms=0)) == "scale 0.1, max step any"


@pytest.mark.parametrize(
    ("scale", "most"),
    [
        (0.0, 1.0),
        (-1.0, 1.0),
        (math.nan, 1.0),
        (math.inf, 1.0),
        (1.0, -1.0),
        (1.0, math.nan),
        (1.0, math.inf),
        (1e4, 1),
    ],
)
def test_a_rule_that_is_none_is_refused(scale: float, most: float) -> None:
    with pytest.raises(NoSuchTime):
        TimeRule.of(scale=scale, max_step_ms=most)


def test_the_chip_says_what_it_waits_for() -> None:
    from plx9x5x.board import load_board

    told: list[int | None] = []

    class Clock(HostClock):
        def expect(self, wait_ns: int | None) -> int | None:
            told.append(wait_ns)
            return 42

    chip = Loopback(lambda bus, irq: Chip(load_board("rdk-9656-lite"), bus=bus, irq=irq, clock=Clock())).device
    assert chip.wait_ns() == 42
    assert told == [None]
