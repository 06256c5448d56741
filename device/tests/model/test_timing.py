# SPDX-License-Identifier: Apache-2.0
"""Bus time: off by default, transfers that take as long as a bus, the same for the same seed."""

from dataclasses import replace

import pytest

from plx9x5x.board import Board
from plx9x5x.model.timing import BusSpeed, BusTimer, NoSuchBus
from plx9x5x.units import KIB
from tests.model.bench import CHAIN, DONE, ENABLE, MODE_RESET, Bench, Descriptor

SLOW = BusSpeed(33, 32, seed=1)


def timed(board: Board, speed: BusSpeed = SLOW) -> Bench:
    return Bench(board, speed=speed)


def test_without_a_speed_a_transfer_takes_no_time(bench: Bench) -> None:
    bench.channel(0).block(pci=bench.RAM, local=0, length=64 * KIB, to="local").run()
    assert bench.clock.now() == 0
    assert bench.channel(0).csr == ENABLE | DONE


def test_a_transfer_takes_about_as_long_as_its_bytes_on_the_bus(board: Board) -> None:
    bench = timed(board)
    bench.channel(0).block(pci=bench.RAM, local=0, length=64 * KIB, to="local")
    bench.host.run(for_ns=10**9)
    at_least = 64 * KIB // 4 * 1000 // 33
    assert at_least < bench.clock.now() < 2 * at_least
    assert bench.channel(0).csr == ENABLE | DONE
    assert bench.local(0, 64 * KIB) == bytes([0xAA]) * 64 * KIB


def test_a_driver_finds_the_channel_busy_until_the_time_has_passed(board: Board) -> None:
    bench = timed(board)
    channel = bench.channel(0).block(pci=bench.RAM, local=0, length=64 * KIB, to="local")
    seen = []
    while channel.csr == ENABLE:
        assert bench.chip.step(1 << 30) is False, "on a busy bus nothing more can be done now"
        wait = bench.chip.wait_ns()
        assert wait is None or wait > 0
        seen.append(wait)
        bench.clock.advance(wait or 0)
    assert len([wait for wait in seen if wait]) >= 16, "a burst of 4 KiB at most"


def test_a_busy_bus_is_not_asked_again_before_its_time(board: Board) -> None:
    bench = timed(board)
    channel = bench.channel(0).block(pci=bench.RAM, local=0, length=8 * KIB, to="local")
    bench.chip.step(1 << 30)
    wait = bench.chip.wait_ns()
    assert wait is not None
    bench.clock.advance(wait - 1)
    assert bench.chip.step(1 << 30) is False
    assert (channel.csr, bench.chip.wait_ns()) == (ENABLE, 1)


def test_both_channels_share_the_bus(board: Board) -> None:
    one, two = timed(board), timed(board)
    one.channel(0).block(pci=one.RAM, local=0, length=32 * KIB, to="local")
    one.host.run(for_ns=10**9)
    for index in (0, 1):
        two.channel(index).block(pci=two.RAM, local=index * 64 * KIB, length=32 * KIB, to="local")
    two.host.run(for_ns=10**9)
    assert two.clock.now() > 1.8 * one.clock.now()


def test_descriptors_and_write_backs_cost_bus_time_too(board: Board) -> None:
    block, chain = timed(board), timed(board)
    block.channel(0).block(pci=block.RAM, local=0, length=1 * KIB, to="local")
    block.host.run(for_ns=10**9)
    start = chain.put_chain([Descriptor(chain.RAM + n * 32, n * 32, 32) for n in range(32)])
    chain.channel(0).chain(start, mode=MODE_RESET | CHAIN)
    chain.host.run(for_ns=10**9)
    assert chain.clock.now() > 5 * block.clock.now()


def test_a_pause_takes_effect_between_two_bursts(board: Board) -> None:
    bench = timed(board)
    channel = bench.channel(0).block(pci=bench.RAM, local=0, length=64 * KIB, to="local")
    bench.chip.step(1 << 30)
    channel.csr = 0
    bench.host.run(for_ns=10**9)
    assert channel.csr == 0
    assert bench.local(4 * KIB, 60 * KIB) == bytes(60 * KIB)
    channel.csr = ENABLE
    bench.host.run(for_ns=10**9)
    assert channel.csr == ENABLE | DONE


@pytest.mark.parametrize(("speed", "factor"), [("33x32", 1), ("66x32", 2), ("33x64", 2), ("66x64", 4)])
def test_clock_and_width_count(speed: str, factor: int) -> None:
    slow, fast = BusTimer(BusSpeed(33, 32)), BusTimer(BusSpeed.parse(speed))
    ratio = slow.nanoseconds(64 * KIB) / fast.nanoseconds(64 * KIB)
    assert factor * 0.95 < ratio < factor * 1.05


def test_the_same_seed_waits_alike_and_another_does_not() -> None:
    def waits(seed: int) -> list[int]:
        timer = BusTimer(replace(SLOW, seed=seed))
        return [timer.nanoseconds(64) for _ in range(50)]

    assert waits(7) == waits(7)
    assert waits(7) != waits(8)


@pytest.mark.parametrize("text", ["", "33", "100x32", "33x33", "33x32x1"])
def test_an_unknown_bus_names_those_there_are(text: str) -> None:
    with pytest.raises(NoSuchBus, match="33x32, 33x64, 66x32 and 66x64"):
        BusSpeed.parse(text)


def test_a_speed_reads_back_as_it_is_written() -> None:
    assert str(BusSpeed.parse("66x64", seed=3)) == "66x64"
    assert BusSpeed.parse("66x64", seed=3).seed == 3


def test_a_chain_in_local_memory_that_moves_nothing_takes_time_too(board: Board) -> None:
    bench = timed(board)
    start = bench.put_chain([Descriptor(bench.RAM, 0, 0)], at=0x100, in_pci=False, ring=True)
    bench.channel(0).chain(start, in_pci=False)
    for _ in range(50):
        bench.chip.step(1 << 30)
        bench.clock.advance(bench.chip.wait_ns() or 0)
    assert bench.clock.now() >= 5000
    assert bench.channel(0).csr == ENABLE
