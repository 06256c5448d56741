# SPDX-License-Identifier: Apache-2.0
"""Both planes do the same: the native one beside the reference, after every step, whatever software and the host do.

At the reference's price of a transaction both are in the same place after each step; at its own price the native one
is further, and they meet where a transfer ends.
"""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.board import Window
from plx9x5x.model.engine import TRANSACTION_COST
from plx9x5x.model.localbus import LocalBus, Sram
from plx9x5x.plane.choice import Plane
from plx9x5x.plane.line import NativeLine
from plx9x5x.regs.config import PMCSR
from plx9x5x.regs.intr import OPQIS
from plx9x5x.transport.intx import IntxLine
from plx9x5x.units import LocalAddr
from tests.length import tries
from tests.model.bench import MODE
from tests.model.plane_worlds import (
    CHAIN,
    HIGH,
    LOCAL_RING,
    LOCAL_TOP,
    LOW_END,
    NEXT_SRAM,
    NOTHING,
    PAGE,
    PAGES,
    PORT,
    RING,
    SLOT,
    SRAM,
    STARTS,
    World,
    ends,
    ring,
)  # fmt: skip

PLAIN_MODES = [0x03, 0x403, 0x1_0003, 0x2_0403, 0x4_0003, 0x5_0403]
ODD_MODES = [0x803, 0x1003, 0x4003, 0x10_0003, 0x30_0003, 0x8_4003]


def mostly(usual: st.SearchStrategy, odd: st.SearchStrategy, *, of: int) -> st.SearchStrategy:
    """`odd` once in `of` times."""
    return st.integers(1, of).flatmap(lambda number: odd if number == 2 else usual)


near = st.sampled_from([0, 0, 0, 1, 3, 0x800, PAGE - 16, PAGE - 8, PAGE - 1])
good_pci = st.builds(lambda page, offset: PAGES + page * PAGE + offset, st.integers(0, 4), near)
odd_pci = st.builds(
    lambda base, offset: (base + offset) % LOW_END,
    st.sampled_from([PAGES + 5 * PAGE, LOW_END - PAGE, LOW_END - PAGE, 0, RING, 0x5000_0000]),
    near,
)
pci = mostly(good_pci, odd_pci, of=10)
good_local = st.builds(
    lambda base, offset: base + offset,
    st.sampled_from([SRAM, SRAM + 0x4000, NEXT_SRAM - PAGE, NEXT_SRAM, PORT - 2 * PAGE]),
    near,
)
odd_local = st.builds(
    lambda base, offset: (base + offset) % LOW_END,
    st.sampled_from([PORT - PAGE, LOCAL_TOP, LOCAL_TOP, LOCAL_RING, PORT, NOTHING]),
    near,
)
local = mostly(good_local, odd_local, of=8)
count = mostly(
    st.sampled_from([0, 1, 4, 16, 255, 256, PAGE, PAGE + 1, 0x17FF]),
    st.sampled_from([3 * PAGE, 70_000, 0x7F_FFFF, 1 << 23]),
    of=12,
)
flags = st.sampled_from([0, 0, 4, 8, 8, 12])
upper = mostly(st.just(0), st.sampled_from([HIGH >> 32, 0xFFFF_FFFF]), of=8)
descriptor = st.tuples(pci, local, count, flags, st.booleans(), upper)
mode = mostly(st.sampled_from(PLAIN_MODES), st.sampled_from(ODD_MODES), of=8)
channel = st.sampled_from([0, 0, 0, 1])
start = st.sampled_from(STARTS)
chain = st.tuples(
    st.just("chain"),
    channel,
    mode,
    st.lists(descriptor, min_size=1, max_size=6),
    st.sampled_from(["last", "last", "circle"]),
)
block = st.tuples(st.just("block"), channel, mode, pci, local, count, flags, upper)
change = st.one_of(
    st.tuples(st.just("map"), start, st.sampled_from([True, True, False]), st.sampled_from([True, True, True, False])),
    st.tuples(st.just("unmap"), start, st.integers(0, PAGE), st.integers(1, PAGE)),
    st.tuples(st.just("bigend"), st.sampled_from([0, 0, 0, 0, 0, 0x80, 0xC0])),
    st.tuples(
        st.just("intcsr"), st.sampled_from([0x900, 0xF00_0100, 0x4_0900, 0xC_0900, 0x5_0100, 0xD_0F00, 0x4_0800])
    ),
    st.tuples(st.just("doorbell"), st.sampled_from([0, 1, 0x80])),
    st.tuples(st.just("linti"), st.booleans()),
    st.tuples(st.just("queue"), st.sampled_from([(0x30, 0), (0x34, 8), (0x34, 0)])),
    st.tuples(st.just("outbound"), st.integers(0, 1)),
    st.tuples(st.just("master"), st.sampled_from([0x7, 0x7, 0x7, 0x7, 0x3])),
    st.tuples(st.just("mode"), channel, mode),
    st.tuples(st.just("pair"), st.sampled_from([0x0000, 0x0101, 0x0303, 0x0909, 0x0404, 0x0300, 0x0001])),
    st.tuples(st.just("power"), st.sampled_from([3, 0])),
    st.tuples(st.just("reset"), st.sampled_from([1, 0])),
)
look = st.tuples(st.just("look"), st.sampled_from([(0x68, 4), (0xA8, 1), (0xA9, 1), (0xA8, 4), (0x84, 4), (0x104, 4)]))
command = st.tuples(st.just("command"), channel, st.sampled_from([0, 1, 4, 8, 9, 3, 0x0B, 0x23, 0x80, 0xFF]))
step = st.tuples(st.just("step"), st.sampled_from([1, 300, 8192, 9000, 65536, 65536, 262_144, 262_144]))
begin = st.builds(
    lambda fresh, op, steps: [*([("command", op[1], 0), ("command", op[1], 4)] if fresh else []), op, *steps],
    st.sampled_from([True, True, True, False]),
    st.one_of(chain, chain, block),
    st.lists(step, min_size=1, max_size=5),
)


def flat(groups: list[list[tuple]]) -> list[tuple]:
    return [op for group in groups for op in group]


histories = st.lists(
    mostly(begin, st.one_of(step, command, look, change).map(lambda op: [op]), of=3), min_size=2, max_size=10
).map(flat)


def act(world: World, op: tuple) -> object:
    """Do it; give what software saw, if it looked."""
    match op:
        case ("look", (offset, width)):
            return world.chip.read(0, offset, width)
        case ("doorbell", value):
            world.chip.local_side.write_register(0x64, value) if value else world.chip.write(0, 0x64, 4, 0xFF)
        case ("linti", level):
            world.chip.local_side.drive_linti(level)
        case ("queue", (offset, value)):
            world.chip.write(0, offset, 4, value)
        case ("outbound", waits):
            world.chip.registers.set_bits(OPQIS, OPQIS.not_empty.mask, to=bool(waits))
            world.chip.interrupts_changed()
        case ("mode", channel, value):
            world.reg(channel, MODE, value)
        case ("pair", value):
            world.chip.write(0, 0xA8, 2, value)
        case ("power", value):
            world.chip.config_write(PMCSR.offset, 2, value)
        case ("reset", on):
            cntrl = world.chip.read(0, 0x6C, 4) & ~(1 << 30)
            world.chip.write(0, 0x6C, 4, cntrl | on << 30)
        case ("chain", channel, mode, descriptors, end):
            places = [place for *_, place, _ in descriptors]
            for slot, (pci, local, count, flags, place, upper) in enumerate(descriptors):
                following = (slot + 1) % len(descriptors)
                last = 2 if following == 0 and end == "last" else 0
                at = (RING if places[following] else LOCAL_RING) + following * SLOT
                words = (pci, local, count, at | flags | last | places[following], upper)
                if mode & 0x10_0000:
                    words = (count | 1 << 31, pci, local, *words[3:])
                world.put(slot, place, words)
            world.chain(channel, mode | CHAIN, (RING if places[0] else LOCAL_RING) | places[0])
        case ("block", channel, mode, pci, local, count, flags, upper):
            world.upper(channel, upper)
            world.block(channel, mode, pci, local, count, flags)
        case ("step", budget):
            world.chip.step(budget)
        case ("command", channel, value):
            world.command(channel, value)
        case ("map", start, writable, shared):
            world.map(start, writable=writable, shared=shared)
        case ("unmap", start, offset, length):
            world.host.memory.unmap(start + offset, length)
        case ("bigend", value):
            world.chip.write(0, 0x0C, 1, value)
        case ("intcsr", value):
            world.chip.write(0, 0x68, 4, value)
        case ("master", value):
            world.chip.config_write(4, 2, value)
        case _:
            raise AssertionError(op)
    return None


def compare(native: World, python: World, op: object) -> None:
    mine, reference = native.seen(), python.seen()
    for what, value in reference.items():
        assert mine[what] == value, (what, op)


@settings(max_examples=tries(20, 60))
@given(
    st.sampled_from(["rdk-9656-lite", "rdk-9656-lite", "rdk-9054-lite", "9080-401b"]),
    histories,
    st.sampled_from([1, 3, 1000]),
    st.booleans(),
)
def test_planes_are_in_the_same_state_after_every_step(
    name: str, ops: list[tuple], pace: int, native_line: bool
) -> None:
    """Compared after each step, or seldom: who compares takes back what C has of a channel.

    INTA# is C's to drive, or Python's.
    """
    lines = (NativeLine(), IntxLine(lambda: True)) if native_line else (None, None)
    native, python = (
        World(plane, price=TRANSACTION_COST, name=name, line=line)
        for plane, line in zip((Plane.NATIVE, Plane.PYTHON), lines, strict=True)
    )
    for number, op in enumerate(ops):
        assert act(native, op) == act(python, op), op
        if number % pace == 0:
            compare(native, python, op)
    for world in (native, python):
        world.settle()
    compare(native, python, "the end")


@settings(max_examples=tries(15, 40))
@given(
    st.lists(
        st.one_of(
            begin.filter(lambda ops: ops[-1] and all("circle" not in op for op in ops)), change.map(lambda op: [op])
        ),
        min_size=1,
        max_size=6,
    ).map(flat)
)
def test_planes_end_in_the_same_state_at_the_native_price(ops: list[tuple]) -> None:
    native, python = World(Plane.NATIVE, price=None), World(Plane.PYTHON, price=None)
    for op in ops:
        for world in (native, python):
            act(world, op)
            world.settle()
        compare(native, python, op)


@pytest.mark.parametrize("in_pci", [True, False])
@pytest.mark.parametrize("mode", [0x4_0003, 0x5_0003])
def test_a_long_descriptor_wraps_at_4_gib_on_both_planes(in_pci: bool, mode: int) -> None:
    at = LOW_END - 16
    seen = []
    for plane in Plane:
        world = World(plane)
        tail, wrapped = (PAGES, SRAM + PAGE, 64, RING | 1), 0
        words = struct.pack("<5I", *tail, wrapped)
        if in_pci:
            world.stores[LOW_END - PAGE][PAGE - 16 : PAGE], world.stores[0][:4] = words[:16], words[16:]
        else:
            world.chip.local_bus.write(at, words)
        world.put(0, True, (PAGES + PAGE, SRAM, 100, RING | 2 | 8, 1))
        world.map(PAGES + PAGE, writable=False)
        world.chain(0, mode | CHAIN, at | in_pci)
        world.chip.step(8192)
        seen.append(world.seen())
        world.settle()
        seen.append(world.seen())
        assert world.chip.local_bus.read(SRAM + PAGE, 64) == world.stores[PAGES][:64]
    assert seen[:2] == seen[2:]


def on_both(act: Callable[[World], None], name: str = "rdk-9656-lite") -> World:
    """Do the same on both planes, at the same price, and give one of the worlds; they must not differ."""
    worlds = [World(plane, name=name) for plane in Plane]
    for world in worlds:
        act(world)
    compare(*worlds, act)
    return worlds[0]


def test_a_terminal_count_that_found_the_latch_set_is_over() -> None:
    def act(world: World) -> None:
        ring(world, (PAGES, SRAM, 16, 4), (PAGES, SRAM, 16, 4), *[(PAGES, SRAM, 16, 0)] * 4, circle=True)
        world.chip.step(8 * 8192)
        assert world.chip.channels[0].interrupt
        world.command(0, 9)
        world.chip.step(6 * 8192)

    assert not on_both(act).chip.channels[0].interrupt


def test_a_burst_is_one_transaction_of_64_kib_at_most() -> None:
    def act(world: World) -> None:
        world.host.ram(0x4000_0000, 0x2_0000)
        world.chip.channels[0].path.local = LocalBus([Window("w", LocalAddr(0), lambda: Sram(0x2_0000))], pytest.fail)
        world.block(0, 0x03, 0x4000_0000, 0, 0x1_0010, 0)
        world.chip.step(0x1_1000)
        assert not ends(world)
        assert world.chip.last_bus_address == 0x4000_FFFF + 0x10

    on_both(act)


@pytest.mark.parametrize("flags", [0, 8])
def test_the_pci_address_counter_wraps_at_4_gib_though_the_mapping_goes_on(flags: int) -> None:
    def act(world: World) -> None:
        world.block(0, 0x03, LOW_END - 8, SRAM, 16, flags)
        world.settle()

    world = on_both(act)
    data = world.chip.local_bus.read(SRAM, 16)
    assert data == world.stores[LOW_END - PAGE][PAGE - 8 : PAGE] + world.stores[0][:8]


@pytest.mark.parametrize("flags", [0, 8])
def test_the_local_address_counter_wraps_at_4_gib(flags: int) -> None:
    def act(world: World) -> None:
        world.block(0, 0x03, PAGES, LOW_END - 8, 16, flags)
        world.settle()

    world = on_both(act)
    data = world.chip.local_bus.read(LOW_END - 8, 8) + world.chip.local_bus.read(SRAM, 8)
    assert data == world.stores[PAGES][:16]


@pytest.mark.parametrize("name", ["rdk-9656-lite", "9080-401b"])
@pytest.mark.parametrize("in_pci", [True, False])
def test_the_count_is_written_back_where_the_chip_does_so(name: str, in_pci: bool) -> None:
    def act(world: World) -> None:
        world.put(0, in_pci, (PAGES, SRAM, 16, RING + SLOT | 1))
        world.put(1, True, (PAGES, SRAM, 16, RING | 3))
        world.chain(0, 0x1_0203, (RING if in_pci else LOCAL_RING) | in_pci)
        world.settle()

    world = on_both(act, name)
    kept = name == "9080-401b" and in_pci
    size = world.stores[RING][8:12] if in_pci else world.chip.local_bus.read(LOCAL_RING + 8, 4)
    assert int.from_bytes(size, "little") == (16 if kept else 0)


def test_a_write_back_that_meets_the_end_of_a_mapping_aborts_there() -> None:
    def act(world: World) -> None:
        world.put(0, True, (PAGES, SRAM, 16, RING + SLOT | 1))
        world.chain(0, 0x1_0203, RING | 1)
        world.chip.step(8192)
        world.host.memory.unmap(RING + 10, 1)
        world.chip.write(0, 0x68, 4, 0x900)
        world.settle()

    on_both(act)


# -- why C leaves a transaction to Python, one by one --------------------------------------------------
