# SPDX-License-Identifier: Apache-2.0
"""What a board asks to be called at: times of the past, of this moment, and such as never come."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from plx9x5x.board import Board, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.model.pins import NEVER
from plx9x5x.peripheral import LocalPins
from plx9x5x.transport.host_clock import HostClock, TimeRule
from plx9x5x.units import LocalAddr
from tests.model.bench import Bench


class Caller(Sram):
    """It has pins, and does what a test does with them."""

    pins: LocalPins

    def plug(self, given: LocalPins) -> None:
        self.pins = given


@pytest.fixture
def caller(board: Board) -> tuple[Bench, LocalPins]:
    bench = Bench(replace(board, windows=(Window("caller", LocalAddr(0), lambda: Caller(64)),)))
    bench.clock.advance(1000)
    ((_, target),) = bench.chip.local_bus.targets
    assert isinstance(target, Caller)
    return bench, target.pins


@pytest.mark.parametrize("when", [lambda now: 0, lambda now: now - 1, lambda now: now, lambda now: -(1 << 1100)])
def test_who_asks_for_a_time_that_is_over_again_and_again_keeps_nobody_waiting(
    caller: tuple[Bench, LocalPins], when: Callable[[int], int]
) -> None:
    bench, pins = caller
    seen: list[str] = []

    def again() -> None:
        seen.append("again")
        pins.call_at(when(pins.now()), again)

    pins.call_at(0, again)
    for name in ("one", "two"):
        pins.call_at(pins.now(), lambda name=name: seen.append(name))  # type: ignore[misc]
    bench.chip.step(1)
    assert seen == ["again", "one", "two"]
    assert bench.chip.wait_ns() == 0
    bench.chip.step(1)
    assert seen == ["again", "one", "two", "again"], "once a step"


def test_a_reset_by_a_call_forgets_what_else_was_due(caller: tuple[Bench, LocalPins]) -> None:
    bench, pins = caller
    seen: list[str] = []
    pins.call_at(0, lambda: bench.chip.write(0, 0x6C, 4, 1 << 30))
    pins.call_at(0, lambda: seen.append("of before"))
    for _ in range(2):
        bench.chip.step(1)
    assert seen == []


@pytest.mark.parametrize("time", [NEVER, NEVER + 1, 1 << 64, 1 << 1100])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_a_time_that_never_comes_is_waited_for_as_long_as_one_can(board: Board, time: int, scale: float) -> None:
    bench = Bench(replace(board, windows=(Window("caller", LocalAddr(0), lambda: Caller(64)),)))
    ((_, target),) = bench.chip.local_bus.targets
    assert isinstance(target, Caller)
    called: list[int] = []
    target.pins.call_at(time, lambda: called.append(1))
    target.pins.call_at(5, lambda: called.append(5))
    assert bench.chip.wait_ns() == 5
    bench.clock.advance(5)
    bench.chip.step(1)
    assert called == [5]
    wait = bench.chip.wait_ns()
    assert wait is not None
    assert 0 < wait <= NEVER
    assert HostClock(TimeRule(scale)).expect(wait) is not None


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_a_clock_of_the_host_takes_a_wait_of_any_length(scale: float) -> None:
    clock = HostClock(TimeRule(scale))
    longest = clock.expect(1 << 1100)
    assert longest == clock.expect(1 << 62)
    assert clock.expect(1000) == round(1000 / scale)
