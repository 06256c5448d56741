# SPDX-License-Identifier: Apache-2.0
"""Both planes do the same: the native one beside the reference, after every step, whatever software and the host do.

At the reference's price of a transaction both are in the same place after each step; at its own price the native one
is further, and they meet where a transfer ends.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x.model.engine import TRANSACTION_COST
from plx9x5x.plane.choice import Plane, lack
from tests.model.plane_worlds import (
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
)  # fmt: skip

pytestmark = pytest.mark.skipif(bool(lack()), reason=f"no native plane: {lack()}")

PLAIN_MODES = [0x03, 0x403, 0x1_0003, 0x2_0403, 0x4_0003, 0x5_0403]
ODD_MODES = [0x803, 0x1003, 0x4003, 0x10_0003, 0x30_0003, 0x8_4003]
CHAIN = 0x200

near = st.sampled_from([0, 0, 0, 1, 3, 0x800, PAGE - 16, PAGE - 8, PAGE - 1])
pci = st.builds(
    lambda base, offset: (base + offset) % LOW_END,
    st.sampled_from(
        [PAGES, PAGES, PAGES + PAGE, PAGES + 3 * PAGE, PAGES + 5 * PAGE, LOW_END - PAGE, 0, RING + 0x800, 0x5000_0000]
    ),
    near,
)
local = st.builds(
    lambda base, offset: (base + offset) % LOW_END,
    st.sampled_from([SRAM, SRAM + 0x4000, NEXT_SRAM - PAGE, NEXT_SRAM, PORT - PAGE, LOCAL_TOP, PORT, NOTHING]),
    near,
)
count = st.one_of(
    st.sampled_from([0, 1, 4, 16, 255, 256, PAGE, PAGE + 1]), st.sampled_from([70_000, 0x7F_FFFF, 1 << 23])
)
flags = st.sampled_from([0, 0, 4, 8, 8, 12])
upper = st.sampled_from([0, 0, 0, HIGH >> 32, 0xFFFF_FFFF])
descriptor = st.tuples(pci, local, count, flags, st.booleans(), upper)
mode = st.one_of(st.sampled_from(PLAIN_MODES), st.sampled_from(PLAIN_MODES), st.sampled_from(ODD_MODES))
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
    st.tuples(st.just("map"), start, st.booleans(), st.booleans()),
    st.tuples(st.just("unmap"), start, st.integers(0, PAGE), st.integers(1, PAGE)),
    st.tuples(st.just("bigend"), st.sampled_from([0, 0, 0x80, 0xC0])),
    st.tuples(st.just("intcsr"), st.sampled_from([0x900, 0xF00_0100 & 0xFFFF_FFFF, 0x4_0900, 0xC_0900])),
    st.tuples(st.just("master"), st.sampled_from([0x7, 0x7, 0x3])),
)
command = st.tuples(st.just("command"), channel, st.sampled_from([0, 1, 4, 8, 9, 3]))
step = st.tuples(st.just("step"), st.sampled_from([1, 300, 8192, 9000, 65536, 262_144]))


def act(world: World, op: tuple) -> None:
    match op:
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


def compare(native: World, python: World, op: object) -> None:
    mine, reference = native.seen(), python.seen()
    for what, value in reference.items():
        assert mine[what] == value, (what, op)


@settings(max_examples=150)
@given(
    st.sampled_from(["rdk-9656-lite", "rdk-9656-lite", "rdk-9054-lite", "9080-401b"]),
    st.lists(st.one_of(chain, chain, block, step, step, step, command, change), min_size=2, max_size=14),
)
def test_planes_are_in_the_same_state_after_every_step(name: str, ops: list[tuple]) -> None:
    native, python = (World(plane, price=TRANSACTION_COST, name=name) for plane in (Plane.NATIVE, Plane.PYTHON))
    for op in ops:
        for world in (native, python):
            act(world, op)
        compare(native, python, op)
    for world in (native, python):
        world.settle()
    compare(native, python, "the end")


@settings(max_examples=100)
@given(st.lists(st.one_of(chain.filter(lambda op: op[4] == "last"), block, change), min_size=1, max_size=8))
def test_planes_end_in_the_same_state_at_the_native_price(ops: list[tuple]) -> None:
    native, python = World(Plane.NATIVE, price=None), World(Plane.PYTHON, price=None)
    for op in ops:
        for world in (native, python):
            act(world, op)
            world.settle()
        compare(native, python, op)
