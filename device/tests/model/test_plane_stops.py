# SPDX-License-Identifier: Apache-2.0
"""Where the native plane stops and leaves a step to the reference: each reason has a transfer that meets it."""

from collections.abc import Callable
from typing import Any

import pytest

from plx9x5x import events
from plx9x5x.board import Window
from plx9x5x.model.engine import Channel
from plx9x5x.model.localbus import LocalBus
from plx9x5x.model.native_channel import PRICE, Stop
from plx9x5x.model.timing import BusSpeed
from plx9x5x.peripheral import Pin
from plx9x5x.plane.choice import Plane
from plx9x5x.units import LocalAddr
from tests.model.bench import MODE
from tests.model.plane_worlds import (
    NEXT_SRAM,
    NOTHING,
    PAGE,
    PAGES,
    PORT,
    SRAM,
    Derived,
    World,
    ends,
    ring,
)  # fmt: skip


def native(**options: object) -> World:
    return World(Plane.NATIVE, price=None, **options)


def stopped(world: World, channel: int = 0) -> Stop:
    return world.chip.channels[channel].stopped


def test_a_chain_in_plain_memory_needs_no_python() -> None:
    world = native()
    ring(world, (PAGES, SRAM, 256, 0), (PAGES + PAGE, SRAM + PAGE, PAGE, 8), (PAGES + 100, NEXT_SRAM - 4, 8, 0))
    world.chip.channels[0].step = count_calls(world.chip.channels[0].step)
    world.settle()
    assert ends(world)
    assert stopped(world) is Stop.DONE
    assert world.chip.channels[0].step.calls == 0


def count_calls(function: Any) -> Any:
    def call(*args: Any) -> Any:
        call.calls += 1
        return function(*args)

    call.calls = 0
    return call


def test_budget_bounds_a_circle() -> None:
    world = native()
    ring(world, (PAGES, SRAM, 4, 0), circle=True)
    spent = world.chip.channels[0].run(100 * PRICE)
    assert stopped(world) is Stop.BUDGET
    assert spent == 100 * PRICE
    assert not ends(world)


def test_a_burst_is_bounded_by_the_budget() -> None:
    world = native()
    world.block(0, 0x03, PAGES, SRAM, PAGE, 0)
    assert world.chip.channels[0].run(1000) == 1000
    assert stopped(world) is Stop.BUDGET
    assert world.chip.last_bus_address == PAGES + 999


@pytest.mark.parametrize("at", [PORT, NOTHING])
def test_a_target_that_is_no_plain_memory_is_asked_by_python(at: int) -> None:
    world = native()
    ring(world, (PAGES, at, 16, 0), (PAGES, SRAM, 16, 0))
    world.chip.channels[0].run(3 * PRICE)
    assert stopped(world) is Stop.LOCAL
    world.settle()
    assert ends(world)
    assert world.port.seen == ([(0, bytes(world.stores[PAGES][:16]))] if at == PORT else [])
    assert len(world.trace.events) - 1 == (at == NOTHING)  # beside the reset's


def test_a_class_derived_from_plain_memory_is_not_plain() -> None:
    bus = LocalBus([Window("w", LocalAddr(0), lambda: Derived(64))], lambda *_: None)
    world = native()
    for channel in world.chip.channels:
        channel.path.local = bus
    world.block(0, 0x03, PAGES, 0, 16, 0)
    world.chip.channels[0].run(PRICE)
    assert stopped(world) is Stop.LOCAL


@pytest.mark.parametrize(
    ("mode", "why"),
    [(0x803, Stop.HELD), (0x1003, Stop.DEMAND), (0x4003, Stop.EOT), (0x10_0003, Stop.VALID)],
)
def test_a_mode_in_which_the_board_has_a_say_is_pythons(mode: int, why: Stop) -> None:
    world = native()
    ring(world, (PAGES, SRAM, 16, 0), mode=mode)
    world.chip.channels[0].run(PRICE)
    assert stopped(world) is why


def test_a_transfer_keeps_the_mode_it_began_with() -> None:
    world = native()
    world.block(0, 0x803, PAGES, SRAM, 16, 0)
    world.reg(0, MODE, 0x03)
    world.chip.channels[0].run(PRICE)
    assert stopped(world) is Stop.HELD


def test_turned_words_are_pythons_when_the_transfer_began_with_them_too() -> None:
    world = native()
    world.chip.write(0, 0x0C, 1, 0x80)
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    world.chip.channels[0].run(PRICE)
    assert stopped(world) is Stop.SWAP
    world.block(1, 0x03, PAGES, SRAM, 16, 0)
    world.chip.write(0, 0x0C, 1, 0x40)
    world.chip.channels[1].run(PRICE)
    assert stopped(world, 1) is Stop.SWAP


@pytest.mark.parametrize(
    ("spoil", "event"),
    [
        (lambda world: world.host.memory.unmap(PAGES + 8, 1), "bus address 0x2000008 was mapped, and is not any more"),
        (lambda world: world.map(PAGES, writable=False), "read-only"),
        (lambda world: world.map(PAGES, writable=True, shared=False), "no file descriptor"),
    ],
)
def test_an_address_that_aborts_is_pythons(spoil: Callable[[World], None], event: str) -> None:
    world = native()
    spoil(world)
    ring(world, (PAGES + PAGE, SRAM, 16, 8), (PAGES, SRAM, 16, 8))
    world.settle()
    assert stopped(world) is Stop.BUS or stopped(world) is Stop.STATE
    assert [str(e) for e in world.trace.of(events.BusError) if event in e.reason]
    assert not ends(world)


def test_a_terminal_count_on_its_way_to_inta_is_latched_in_c_once() -> None:
    world = native()
    world.chip.write(0, 0x68, 4, 0x4_0900)
    channel = world.chip.channels[0]
    channel.step = count_calls(channel.step)
    ring(world, *[(PAGES, SRAM, 16, 4)] * 4, mode=0x2_0003)
    assert world.host.line.rises == 0
    world.settle()
    assert ends(world)
    assert stopped(world) is Stop.DONE
    assert channel.step.calls == 0
    assert channel.interrupt
    assert world.host.line.rises == 1
    world.command(0, 9)
    assert not channel.interrupt
    assert not world.host.line.level


def test_an_interrupt_on_its_way_to_the_local_side_is_pythons() -> None:
    seen = []
    for plane in Plane:
        world = World(plane, price=None)
        levels: list[bool] = []
        world.chip.local_side.watch(Pin.LINTO, levels.append)
        world.chip.write(0, 0x68, 4, 0x5_0900)
        channel = world.chip.channels[0]
        channel.step = count_calls(channel.step)
        ring(world, *[(PAGES, SRAM, 16, 4)] * 2)
        world.settle()
        assert ends(world)
        if plane is Plane.NATIVE:
            assert channel.step.calls == 1  # the first latches, the second finds it latched
        world.command(0, 9)
        seen.append(levels)
    assert seen[0] == seen[1] == [False, True, False]


def test_a_bus_master_that_looks_at_each_access_is_asked() -> None:
    class Watcher:
        may_watch = True

        def __init__(self, memory: Any) -> None:
            self.memory, self.looks = memory, True
            self.read_into, self.write_from = memory.read_into, memory.write_from

        @property
        def mappings(self) -> object:
            return None if self.looks else self.memory.mappings

    watchers = []
    world = native(wrap=lambda bus: watchers.append(Watcher(bus)) or watchers[0])
    world.block(0, 0x03, PAGES, SRAM, PAGE, 0)
    world.chip.channels[0].run(PRICE)
    assert stopped(world) is Stop.MASTER
    watchers[0].looks = False
    world.settle()
    assert stopped(world) is Stop.DONE


def test_a_bus_master_without_mappings_gets_the_reference() -> None:
    class Plain:
        def __init__(self, memory: Any) -> None:
            self.read_into, self.write_from = memory.read_into, memory.write_from

    world = World(Plane.NATIVE, price=None, wrap=Plain)
    assert {type(channel) for channel in world.chip.channels} == {Channel}


def test_each_step_is_an_event_while_a_trace_is_on() -> None:
    seen = []
    for plane in Plane:
        world = World(plane, price=None, traced=True)
        ring(world, (PAGES, SRAM, 256, 4), (PAGES + PAGE, SRAM + PAGE, PAGE, 8))
        world.settle()
        seen.append([str(event) for event in world.trace.events])
        if plane is Plane.NATIVE:
            assert stopped(world) is Stop.TRACE
    assert seen[0] == seen[1]


def test_a_bus_that_takes_time_is_pythons() -> None:
    world = native(speed=BusSpeed.parse("33x32", seed=0))
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    world.chip.step(1 << 20)
    assert stopped(world) is Stop.STATE  # never asked


def test_two_channels_take_turns_in_python() -> None:
    world = native()
    for channel in range(2):
        world.block(channel, 0x03, PAGES + channel * PAGE, SRAM + channel * PAGE, 16, 0)
    world.chip.channels[0].run = world.chip.channels[1].run = lambda budget: pytest.fail("not alone")
    world.chip.step(2)


def test_memory_of_a_board_that_is_gone_is_not_touched() -> None:
    world = native()
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    world.settle()
    world.chip.write(0, 0x6C, 4, 0x4000_0000 | world.chip.read(0, 0x6C, 4))
    world.chip.write(0, 0x6C, 4, ~0x4000_0000 & world.chip.read(0, 0x6C, 4))
    assert world.chip.local_bus.read(SRAM, 16) == bytes(16)
    world.block(0, 0x03, PAGES, SRAM, 16, 0)
    world.settle()
    assert world.chip.local_bus.read(SRAM, 16) == world.stores[PAGES][:16]


def test_memory_that_is_unmapped_between_steps_is_not_touched() -> None:
    world = native()
    ring(world, (PAGES, SRAM, 16, 8), circle=True)
    world.chip.step(9000)
    world.host.memory.unmap(PAGES, PAGE)
    world.stores[PAGES].extend(b"x")  # BufferError while anybody holds it
    before = bytes(world.stores[PAGES])
    world.chip.local_bus.write(SRAM, b"\xee" * 16)
    world.settle()
    assert bytes(world.stores[PAGES]) == before
    assert world.trace.of(events.BusError)
