# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a CAN bus, sleep, and drivers that do anything at all; the same on both planes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x_boards.esd_can_pci266.can.frame import BUS_FREE, ERROR_FRAME, INTERMISSION, TAIL
from plx9x5x_boards.esd_can_pci266.can.registers import Cmr, Ir, Mod, Pelican, Sr
from tests.boards_of_drivers.can_bench import (
    FRAME,
    INTCSR,
    KBIT250,
    KBIT500,
    MBIT,
    MS,
    NORMAL,
    CanBench,
    extended,
)
from tests.length import tries
from tests.model.bench import Trace


@pytest.fixture
def bench() -> CanBench:
    return CanBench().both()


# -- errors


def test_without_an_acknowledge_a_frame_goes_again_and_the_sender_ends_error_passive() -> None:
    bench = CanBench()
    bench.start(0)
    bench.send(0, FRAME)
    bench.run(200_000)
    assert bench.causes(0) == Ir.BUS_ERROR
    assert bench.read(0, Pelican.ECC) == 0xD9  # no other kind, in the acknowledge slot, sending
    bench.run(20 * MS)
    assert bench.causes(0) == Ir.BUS_ERROR | Ir.ERROR_WARNING | Ir.ERROR_PASSIVE
    assert bench.read(0, Pelican.TXERR) == 128
    assert bench.status(0) & (Sr.ERROR | Sr.BUS_OFF | Sr.BUFFER_FREE) == Sr.ERROR
    bench.start(1)
    bench.run(MS)
    assert bench.receive(1) == FRAME
    assert bench.read(0, Pelican.TXERR) == 127
    assert bench.causes(0) & (Ir.TRANSMITTED | Ir.ERROR_PASSIVE) == Ir.TRANSMITTED | Ir.ERROR_PASSIVE


def test_a_single_shot_that_nobody_acknowledges_is_not_repeated() -> None:
    bench = CanBench()
    bench.start(0)
    bench.send(0, FRAME, Cmr.TRANSMIT | Cmr.ABORT)
    bench.run(MS)
    assert bench.status(0) & (Sr.BUFFER_FREE | Sr.COMPLETE) == Sr.BUFFER_FREE
    assert bench.read(0, Pelican.TXERR) == 8


def test_the_captured_error_stays_until_it_is_read_and_no_other_is_told_meanwhile() -> None:
    bench = CanBench()
    bench.start(0)
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.causes(0) & Ir.BUS_ERROR
    bench.run(MS)
    assert not bench.causes(0) & Ir.BUS_ERROR
    bench.read(0, Pelican.ECC)
    bench.run(MS)
    assert bench.causes(0) & Ir.BUS_ERROR


def bus_off(bench: CanBench) -> None:
    """Another bit rate at the other end."""
    bench.start(1, KBIT250)
    bench.send(0, FRAME)
    bench.run(10 * MS)


def test_another_bit_rate_at_the_other_end_is_bus_off(bench: CanBench) -> None:
    bus_off(bench)
    assert bench.read(0, Pelican.MOD) == Mod.RESET
    assert bench.status(0) & (Sr.BUS_OFF | Sr.ERROR | Sr.BUFFER_FREE) == Sr.BUS_OFF | Sr.ERROR | Sr.BUFFER_FREE
    assert bench.causes(0) == Ir.ERROR_WARNING
    assert (bench.read(0, Pelican.TXERR), bench.read(0, Pelican.RXERR)) == (127, 0)
    assert bench.read(1, Pelican.RXERR) == 32


def test_after_bus_off_the_bus_has_to_be_free_128_times(bench: CanBench) -> None:
    bus_off(bench)
    bench.causes(0)
    bench.write(0, Pelican.RXERR, 5)
    assert bench.read(0, Pelican.RXERR) == 0
    bench.write(0, Pelican.MOD, 0)
    once = BUS_FREE * 2000
    bench.run(64 * once)
    assert bench.read(0, Pelican.TXERR) == 64
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.run(100 * once)
    assert bench.read(0, Pelican.TXERR) == 64, "it is frozen in reset mode"
    bench.write(0, Pelican.MOD, 0)
    bench.run(65 * once - 1)
    assert bench.status(0) & Sr.BUS_OFF
    assert bench.causes(0) == 0
    bench.run(1)
    assert bench.status(0) & (Sr.BUS_OFF | Sr.ERROR) == 0
    assert bench.causes(0) == Ir.ERROR_WARNING
    assert (bench.read(0, Pelican.TXERR), bench.read(0, Pelican.RXERR)) == (0, 0)


def test_frames_of_others_make_the_way_back_from_bus_off_longer(bench: CanBench) -> None:
    bus_off(bench)
    bench.start(1, KBIT500, Mod.SELF_TEST)
    bench.write(0, Pelican.MOD, 0)
    bench.send(1, FRAME)
    bench.run(128 * BUS_FREE * 2000)
    assert bench.status(0) & Sr.BUS_OFF
    bench.run((FRAME.stuffed_bits() + TAIL + INTERMISSION) * 2000)
    assert not bench.status(0) & Sr.BUS_OFF


def test_a_driver_that_clears_the_counter_is_back_after_one_free_bus(bench: CanBench) -> None:
    bus_off(bench)
    bench.write(0, Pelican.TXERR, 0)
    assert not bench.status(0) & Sr.BUS_OFF
    bench.start(1)
    bench.write(0, Pelican.MOD, 0)
    bench.run(BUS_FREE * 2000)
    assert bench.idle(0)
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.receive(1) == FRAME


def test_255_in_the_transmit_counter_asks_for_bus_off_once_reset_mode_is_left(bench: CanBench) -> None:
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.write(0, Pelican.TXERR, 255)
    assert bench.read(0, Pelican.TXERR) == 255
    assert not bench.status(0) & Sr.BUS_OFF
    bench.write(0, Pelican.MOD, 0)
    assert bench.status(0) & Sr.BUS_OFF
    assert bench.read(0, Pelican.MOD) == Mod.RESET
    assert bench.read(0, Pelican.TXERR) == 127
    assert bench.causes(0) == Ir.ERROR_WARNING


def test_counters_that_were_written_tell_their_state_once_reset_mode_is_left(bench: CanBench) -> None:
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.write(0, Pelican.RXERR, 200)
    assert not bench.status(0) & Sr.ERROR
    bench.write(0, Pelican.MOD, 0)
    assert bench.status(0) & Sr.ERROR
    assert bench.causes(0) == Ir.ERROR_WARNING | Ir.ERROR_PASSIVE
    bench.run(MS)
    bench.send(1, FRAME)
    bench.run(MS)
    assert bench.read(0, Pelican.RXERR) == 127
    assert bench.causes(0) == Ir.RECEIVED | Ir.ERROR_PASSIVE


def test_who_goes_into_reset_mode_in_the_middle_breaks_its_frame_off(bench: CanBench) -> None:
    bench.send(0, FRAME)
    bench.run(50_000)
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.run(ERROR_FRAME * 2000)
    assert bench.read(1, Pelican.RMC) == 0
    assert bench.read(1, Pelican.RXERR) == 1
    assert bench.causes(1) == Ir.BUS_ERROR


def test_who_leaves_in_the_middle_acknowledges_nothing(bench: CanBench) -> None:
    bench.send(0, FRAME, Cmr.TRANSMIT | Cmr.ABORT)
    bench.run(50_000)
    bench.write(1, Pelican.MOD, Mod.RESET)
    bench.run(MS)
    assert not bench.status(0) & Sr.COMPLETE
    assert bench.read(0, Pelican.ECC) == 0xD9


@pytest.mark.parametrize(("mode", "before", "after"), [(NORMAL, 254, 255), (Mod.LISTEN_ONLY, 50, 50)])
def test_who_is_error_passive_or_silent_disturbs_nobody_at_another_bit_rate(
    bench: CanBench, mode: int, before: int, after: int
) -> None:
    bench.start(1, KBIT250, mode)
    bench.write(1, Pelican.MOD, Mod.RESET | mode)
    bench.write(1, Pelican.RXERR, before)
    bench.write(1, Pelican.MOD, mode)
    bench.run(MS)
    bench.send(0, FRAME)
    bench.run(50 * MS)
    assert bench.read(0, Pelican.ECC) == 0xD9
    assert not bench.status(0) & Sr.BUS_OFF
    assert bench.read(1, Pelican.RXERR) == after


def test_in_basic_mode_there_is_no_interrupt_left(bench: CanBench) -> None:
    bus_off(bench)
    bench.write(1, Pelican.MOD, Mod.RESET)
    assert bench.host.line.level
    bench.write(0, Pelican.CDR, 0)
    assert not bench.host.line.level


# -- sleep


def test_a_sleeping_controller_wakes_up_at_a_frame_and_misses_it(bench: CanBench) -> None:
    bench.write(1, Pelican.MOD, Mod.SLEEP)
    assert bench.read(1, Pelican.MOD) == Mod.SLEEP
    bench.send(0, FRAME, Cmr.TRANSMIT | Cmr.ABORT)
    bench.run(MS)
    assert bench.read(1, Pelican.MOD) == 0
    assert bench.causes(1) == Ir.WAKE_UP
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.receive(1) == FRAME


def test_on_its_way_back_from_bus_off_it_does_not_sleep(bench: CanBench) -> None:
    bus_off(bench)
    bench.causes(0)
    bench.write(0, Pelican.MOD, 0)
    bench.write(0, Pelican.MOD, Mod.SLEEP)
    bench.write(0, Pelican.MOD, 0)
    bench.run(127 * BUS_FREE * 2000)
    assert bench.status(0) & Sr.BUS_OFF


def test_a_driver_wakes_it_up_and_it_does_not_sleep_with_an_interrupt_pending(bench: CanBench) -> None:
    bench.write(1, Pelican.MOD, Mod.SLEEP)
    bench.write(1, Pelican.MOD, 0)
    assert not bench.idle(1)
    bench.run(BUS_FREE * 2000)
    assert bench.idle(1)
    bench.write(1, Pelican.MOD, Mod.SLEEP)
    assert bench.read(1, Pelican.MOD) == 0
    assert bench.causes(1) == Ir.WAKE_UP


# -- any driver


accesses = st.tuples(
    st.integers(0, 1),
    st.one_of(
        st.sampled_from([Pelican.MOD, Pelican.CMR, Pelican.IER, Pelican.CDR, Pelican.TXERR, Pelican.BTR1]),
        st.integers(0, 0x7F),
    ),
    st.one_of(st.sampled_from([0, 1, 4, 8, 0x10, 0xC7, 0xFF]), st.integers(0, 255)),
    st.sampled_from([0, 0, 1, 2000, 40_000, MS, 1000 * MS]),
)


@settings(max_examples=tries(35, 100))
@given(st.lists(accesses, max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_whatever_a_driver_does_nothing_grows_or_hangs_and_a_reset_mends_it(
    done: list[tuple[int, int, int, int]], writes: list[bool]
) -> None:
    bench = CanBench().both()
    for (which, register, value, pause), is_write in zip(done, writes, strict=False):
        if is_write:
            bench.write(which, register, value)
        else:
            assert 0 <= bench.read(which, register) <= 0xFF
        bench.clock.advance(pause)
        bench.chip.step(1 << 16)
        assert len(bench.chip.local_side.timers) <= 10
        assert all(bench.read(it, Pelican.RMC) <= 0xFF for it in (0, 1))
    bench.local_reset()
    bench.both()
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.receive(1) == FRAME


def test_a_guest_that_asks_for_earlier_and_earlier_times_piles_up_no_calls(bench: CanBench) -> None:
    for step in range(400):
        bench.write(0, Pelican.MOD, Mod.RESET)
        bench.write(0, Pelican.BTR0, 0x3F - step % 0x40)
        bench.write(0, Pelican.BTR1, 0x7F)
        bench.write(0, Pelican.MOD, 0)
        bench.write(0, Pelican.CMR, Cmr.TRANSMIT)
    assert len(bench.chip.local_side.timers) <= 8


def test_time_that_ran_away_is_caught_up_in_a_bounded_number_of_steps() -> None:
    bench = CanBench()
    bench.start(0, MBIT)
    bench.send(0, FRAME)
    bench.clock.advance(3600 * 1000 * MS)
    assert bench.read(0, Pelican.TXERR) == 128
    steps = 0
    while bench.chip.wait_ns() == 0:
        bench.chip.step(1 << 16)
        steps += 1
    assert steps < 5


# -- planes


moves = st.lists(
    st.tuples(
        st.integers(0, 1), st.sampled_from(["send", "read", "causes", "wait", "sleep", "reset"]), st.integers(0, 7)
    ),
    max_size=40,
)


@settings(max_examples=tries(15, 40))
@given(moves)
def test_both_planes_tell_the_same_at_the_same_time(moves: list[tuple[int, str, int]]) -> None:
    told = []
    for plane, traced in (("python", False), ("native", False), ("python", True), ("native", True)):
        trace = Trace() if traced else None
        bench = CanBench(plane, trace).both()
        seen: list[object] = []
        for which, what, number in moves:
            match what:
                case "send":
                    bench.send(which, extended(number * 0x1_2345, bytes(number)))
                case "read":
                    seen.append([bench.read(which, Pelican.WINDOW + it) for it in range(13)])
                    bench.write(which, Pelican.CMR, Cmr.RELEASE)
                case "causes":
                    seen.append(bench.causes(which))
                case "wait":
                    bench.run(number * 100_000)
                case "sleep":
                    bench.write(which, Pelican.MOD, Mod.SLEEP)
                case _:
                    bench.write(which, Pelican.MOD, number & 1)
            seen.append((bench.clock.now(), bench.status(which), bench.host.line.level, bench.chip.read(0, INTCSR, 4)))
        told.append((seen, trace.events if trace else None))
    assert told[0] == told[1]
    assert told[2] == told[3]
    assert told[0][0] == told[2][0]
