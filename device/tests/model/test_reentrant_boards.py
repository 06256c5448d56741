# SPDX-License-Identifier: Apache-2.0
"""Peripherals that act on the chip in the middle of what the chip does to them: abort, reset, pause, start, acknowledge."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x import events
from plx9x5x.board import Board, Window
from plx9x5x.peripheral import LocalPins, Pin
from plx9x5x.ports import ResetKind
from plx9x5x.units import KIB, LocalAddr
from tests.length import tries
from tests.model.bench import (
    ABORT,
    BUS_MASTER,
    CHAIN,
    CLEAR_COUNT,
    CNTRL,
    COMMAND,
    CSR,
    DONE,
    ENABLE,
    HOLD_LOCAL,
    INTCSR,
    MODE_RESET,
    START,
    Bench,
    Descriptor,
)

Act = Callable[[LocalPins], None]
NOWHERE = 0x7000_0000


class Meddler:
    """Memory that calls `acts[n]` in its n-th access, before it answers."""

    size = 256 * KIB

    def __init__(self, acts: dict[int, Act]) -> None:
        self._acts = acts
        self._count = 0

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins

    def _act(self) -> None:
        self._count += 1
        act = self._acts.pop(self._count, None)  # once, also if a reset builds the peripheral anew
        if act:
            act(self._pins)

    def read(self, offset: int, length: int) -> bytes:
        self._act()
        return bytes(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._act()

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


def meddled(board: Board, acts: dict[int, Act]) -> Bench:
    bench = Bench(replace(board, windows=(Window("meddler", LocalAddr(0), lambda: Meddler(acts)),)))
    bench.guest_ram(256 * KIB)
    return bench


def abort(pins: LocalPins) -> None:
    pins.write_register(CSR, 0)
    pins.write_register(CSR, ABORT)


def pause(pins: LocalPins) -> None:
    pins.write_register(CSR, 0)


def reset(pins: LocalPins) -> None:
    pins.write_register(CNTRL, 1 << 30)
    pins.write_register(CNTRL, 0)


def restart(pins: LocalPins) -> None:
    abort(pins)
    pins.write_register(CSR, ENABLE | START)


ACTS: list[Act] = [abort, pause, reset, restart]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("to", ["local", "pci"])
@pytest.mark.parametrize("mode", [MODE_RESET, MODE_RESET | HOLD_LOCAL])
def test_what_a_board_does_in_an_access_holds_from_then_on(board: Board, act: Act, to: str, mode: int) -> None:
    bench = meddled(board, {1: act})
    bench.channel(0).block(pci=0x0200_0000, local=0, length=128 * KIB, to=to, mode=mode)
    bench.host.run()
    csr = bench.channel(0).csr
    expected = {"abort": DONE, "pause": 0, "reset": DONE, "restart": ENABLE | DONE}[act.__name__]
    assert csr == expected
    bench.chip.reset(ResetKind.POWER_ON)
    bench.chip.config_write(COMMAND, 2, 7)
    assert bench.channel(0).block(pci=0x0200_0000, local=0, length=64, to=to).run().csr == ENABLE | DONE


@pytest.mark.parametrize("access", [1, 2, 3])
@pytest.mark.parametrize("act", [abort, reset], ids=lambda act: act.__name__)
def test_a_board_may_end_a_chain_in_any_of_its_accesses(board: Board, act: Act, access: int) -> None:
    """The descriptor's fetch, the data, the count's write-back: all in local memory."""
    bench = meddled(board, {access: act})
    mode = MODE_RESET | CHAIN | CLEAR_COUNT
    bench.channel(0).chain(0, mode=mode, in_pci=False)
    bench.host.run(steps=50, budget=1) if access > 1 and act is abort else bench.chip.step(1 << 20)
    assert bench.channel(0).csr & DONE
    assert bench.chip.step(1 << 20) is False


def test_a_bus_error_after_the_board_ended_the_transfer_fails_nothing(board: Board) -> None:
    bench = meddled(board, {1: abort})
    bench.channel(0).block(pci=NOWHERE, local=0, length=16, to="pci").run()
    assert bench.channel(0).csr == DONE
    bench.channel(0).set(0x80, MODE_RESET)
    assert bench.channel(0).block(pci=bench.RAM, local=0, length=16, to="pci").run().csr == ENABLE | DONE


def test_a_pause_by_the_board_moves_no_further_burst(board: Board) -> None:
    bench = meddled(board, {1: pause})
    bench.channel(0).block(pci=0x0200_0000, local=0, length=256 * KIB, to="pci")
    bench.chip.step(1 << 30)
    assert bench.host.memory is not None
    moved = sum(event.length for event in bench.trace.events if type(event).__name__ == "DataMoved")  # type: ignore[attr-defined]
    assert moved == 64 * KIB


def test_a_channel_that_the_board_starts_gets_its_turn_in_the_same_step(board: Board) -> None:
    def start_other(pins: LocalPins) -> None:
        pins.write_register(0x98, bench.RAM)
        pins.write_register(0xA0, 16)
        pins.write_register(CSR, ENABLE | (ENABLE | START) << 8)

    bench = meddled(board, {1: start_other})
    bench.channel(0).block(pci=0x0200_0000, local=0, length=256 * KIB, to="pci")
    order: list[int] = []
    bench.chip.step(1 << 30)
    order = [event.channel for event in bench.trace.events if type(event).__name__ == "DataMoved"]  # type: ignore[attr-defined]
    assert order[:3] == [0, 1, 0]


@given(
    plan=st.dictionaries(st.integers(1, 12), st.sampled_from(ACTS), max_size=6), to=st.sampled_from(["local", "pci"])
)
@settings(deadline=None, max_examples=tries(20, 60))
def test_no_board_brings_the_chip_down(plan: dict[int, Act], to: str, new_bench: Callable[..., Bench]) -> None:
    bench = meddled(new_bench().chip.board, dict(plan))
    start = bench.put_chain([Descriptor(bench.RAM + n * 64, n * 64, 64, 8 if to == "pci" else 0) for n in range(6)])
    bench.channel(0).chain(start, mode=MODE_RESET | CHAIN | CLEAR_COUNT)
    bench.channel(1).block(pci=bench.RAM + 0x4000, local=0x1000, length=256, to=to)
    for _ in range(40):
        bench.chip.step(4096)
        wait = bench.chip.wait_ns()
        assert wait is None or wait >= 0
    bench.channel(0).csr = 0
    bench.channel(0).csr = ABORT
    assert bench.channel(0).csr == DONE


class Watcher:
    """Watches LINTo#; `acknowledges` in its call."""

    size = 16

    def __init__(self, base: int, *, acknowledges: bool) -> None:
        self._acknowledges = acknowledges
        self.level = False

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins
        pins.watch(Pin.LINTO, self._changed)

    def _changed(self, level: bool) -> None:
        self.level = level
        if level and self._acknowledges:
            self._pins.write_register(0x60, 0xFFFF_FFFF)

    def read(self, offset: int, length: int) -> bytes:
        return bytes([self.level]) * length

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Take nothing."""

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


def test_watchers_end_with_the_level_that_the_pin_has(board: Board) -> None:
    windows = tuple(
        Window(str(n), LocalAddr(16 * n), lambda n=n: Watcher(n, acknowledges=n == 0))  # type: ignore[misc]
        for n in range(3)
    )
    bench = Bench(replace(board, windows=windows))
    bench.intcsr = 0x0003_0100
    bench.chip.write(0, 0x60, 4, 1)
    assert [bench.local(16 * n, 1) for n in range(3)] == [b"\0", b"\0", b"\0"]
    assert bench.chip.read(0, CNTRL, 4) >> 20 & 1, "it was driven"


# -- timers and what only a served board can do -----------------------------------------------------


class Timed:
    """Drives LINTi# a while after it is written, and its self test's result at once."""

    size = 16

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins

    def read(self, offset: int, length: int) -> bytes:
        return bytes(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._pins.call_at(self._pins.now() + 5000, lambda: self._pins.drive_linti(True))
        self._pins.finish_self_test(3)
        self._pins.wake_host()
        self._pins.parity_error()

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


def test_a_timer_of_the_board_is_due_at_its_time_and_not_before(board: Board) -> None:
    bench = Bench(replace(board, windows=(Window("timed", LocalAddr(0), Timed),)))
    assert bench.chip.wait_ns() is None
    bench.chip.write(2, 0, 4, 1)
    assert bench.chip.wait_ns() == 5000
    bench.clock.advance(4999)
    bench.chip.step(4096)
    assert not bench.chip.read(0, INTCSR, 4) & 1 << 15
    bench.clock.advance(1)
    assert bench.chip.wait_ns() == 0
    bench.chip.step(4096)
    assert bench.chip.read(0, INTCSR, 4) & 1 << 15
    assert bench.chip.wait_ns() is None


def test_a_reset_forgets_the_boards_timers(board: Board) -> None:
    bench = Bench(replace(board, windows=(Window("timed", LocalAddr(0), Timed),)))
    bench.chip.write(2, 0, 4, 1)
    bench.chip.reset(ResetKind.POWER_ON)
    assert bench.chip.wait_ns() is None


def test_a_board_ends_its_self_test_wakes_the_host_and_reports_parity(board: Board) -> None:
    bench = Bench(replace(board, windows=(Window("timed", LocalAddr(0), Timed),)))
    bench.chip.config_write(0x0F, 1, 0x40)
    bench.chip.write(2, 0, 4, 1)
    assert bench.chip.config_read(0x0F, 1) == 0x83
    assert bench.chip.config_read(0x44, 2) & 0x8000
    assert bench.chip.read(0, INTCSR, 4) & 1 << 7


def test_a_board_without_dreq_is_not_asked_again_and_again(bench: Bench) -> None:
    bench.channel(0).block(pci=bench.RAM, local=0, length=16, to="local", mode=MODE_RESET | 1 << 12)
    assert bench.chip.step(1 << 20) is False
    assert bench.chip.wait_ns() is None
    bench.chip.local_side.demand(0, lambda: 0)
    assert bench.chip.wait_ns() == 100_000


def test_a_board_that_changes_its_mind_moves_nothing_it_did_not_offer(board: Board) -> None:
    answers = iter([4, 0, 0, 0, 0, 0, 0, 0])
    bench = Bench(board)
    mode = MODE_RESET | HOLD_LOCAL | 1 << 12
    bench.channel(0).block(pci=bench.RAM, local=0, length=8, to="pci", mode=mode)
    bench.chip.local_side.demand(0, lambda: next(answers, 0))
    bench.chip.step(1 << 20)
    assert bench.ram[:4] == b"\xaa" * 4


def test_held_by_the_command_register_in_the_middle_of_a_step(board: Board) -> None:
    bench = meddled(board, {})
    bench.bus_mastering(False)
    bench.channel(0).block(pci=0x0200_0000, local=0, length=16, to="pci").run()
    assert bench.channel(0).csr == ENABLE
    assert not bench.chip.config_read(COMMAND, 2) & BUS_MASTER


def test_a_board_that_is_gone_watches_nothing(board: Board) -> None:
    told: list[tuple[str, bool]] = []

    class Named(Watcher):
        def _changed(self, level: bool) -> None:
            told.append((str(id(self)), level))

    def plug(self: Named, pins: LocalPins) -> None:
        pins.watch(Pin.LINTO, self._changed)
        pins.watch(Pin.USERO, self._changed)

    Named.plug = plug  # type: ignore[method-assign]
    bench = Bench(replace(board, windows=(Window("w", LocalAddr(0), lambda: Named(0, acknowledges=False)),)))
    bench.chip.reset(ResetKind.POWER_ON)
    bench.chip.config_write(COMMAND, 2, 7)
    told.clear()
    bench.intcsr = 0x0003_0100
    bench.chip.write(0, 0x60, 4, 1)
    bench.chip.write(0, CNTRL, 4, 0x000E_767E)
    assert [level for _, level in told] == [True, False], "the new board's one watcher of each pin"


def test_a_hold_says_why(board: Board) -> None:
    bench = Bench(board)
    bench.bus_mastering(False)
    assert bench.chip.hold_cause is events.Hold.CLEARED_MASTER
    bench.chip.write(0, CNTRL, 4, 0x400F_767E)
    assert bench.chip.hold_cause is events.Hold.SOFTWARE_RESET
    bench.chip.config_write(0x44, 2, 3)
    assert bench.chip.hold_cause is events.Hold.D3HOT


def test_a_trace_that_nobody_reads_gets_no_routine_events(board: Board) -> None:
    bench = Bench(board)
    bench.trace.enabled = False
    bench.trace.events.clear()
    start = bench.put_chain([Descriptor(bench.RAM, 0, 64)])
    bench.channel(0).chain(start).run()
    bench.chip.config_read(0, 4)
    bench.chip.config_write(COMMAND, 2, 7)
    assert bench.trace.events == []
    bench.trace.enabled = True
    bench.chip.config_read(0, 4)
    bench.chip.config_write(COMMAND, 2, 7)
    assert [(event.bar, event.is_write) for event in bench.trace.events] == [(-1, False), (-1, True)]  # type: ignore[attr-defined]
