# SPDX-License-Identifier: Apache-2.0
"""Properties: live buffers never overlap, the books are exact, a failed call leaves no trace."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nthal.hardware.memory import FrameAllocator
from nthal.machine import Machine
from nthal.operations import adapter as adapters
from nthal.operations.common_buffer import allocate, free
from nthal.platforms import ARM0, FLAT, IOMMU, MAPREG, OFFSET
from nthal.records.request import BufferRequest, FreeRequest
from nthal.runs import RunSet, Where
from nthal.types import GIB
from nthal.windows import DeviceDescription, InterfaceType
from tests.churn import SCENES, churn

SMALL = FLAT.with_free((0x100000, 0x13FFFF), (0x200000, 0x2FFFFF))
PLATFORMS = [SMALL, SMALL.verified(), IOMMU, MAPREG, OFFSET, ARM0]


def start(platform):
    machine = Machine(platform)
    description = DeviceDescription(
        version=2,
        master=True,
        scatter_gather=True,
        interface_type=InterfaceType.PCI,
        dma_32bit_addresses=True,
        maximum_length=1 << 20,
    )
    adapter = adapters.create(machine, description)
    assert adapter is not None
    return machine, adapter


def release(machine, adapter, buffer):
    request = FreeRequest(buffer.length, buffer.la, buffer.va, buffer.request.cache_enabled)
    assert free(machine, adapter, request)


def state(machine, adapter):
    return (
        machine.frames.free.snapshot(),
        machine.frames.used,
        machine.iova.snapshot(),
        machine.registers.snapshot(),
        machine.space.free_pages,
        machine.memory.resident_pages,
        len(machine.bus.buffers()),
        adapter.held_registers,
        adapter.books.buffers.live,
        adapter.books.registers.live,
    )


def disjoint(ranges):
    ordered = sorted(ranges)
    return all(a_end <= b_start for (_, a_end), (b_start, _) in itertools.pairwise(ordered))


Steps = st.lists(st.tuples(st.booleans(), st.integers(0, 200_000), st.integers(0, 63)), min_size=1, max_size=40)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p.name + ("+v" if p.verifier else ""))
@settings(max_examples=15, deadline=None)
@given(steps=Steps)
def test_live_buffers_are_disjoint_and_the_books_are_exact(platform, steps):
    machine, adapter = start(platform)
    first = state(machine, adapter)
    live = []
    for allocates, length, which in steps:
        if allocates or not live:
            before = state(machine, adapter)
            made = allocate(machine, adapter, BufferRequest(length))
            if made is None:
                assert state(machine, adapter) == before
            else:
                live.append(made)
        else:
            release(machine, adapter, live.pop(which % len(live)))
        assert disjoint([(int(b.la), int(b.la) + b.length) for b in live])
        assert disjoint([(int(b.va), int(b.va) + b.length) for b in live])
        frames = [frame for b in live for frame in b.frames.frames()]
        assert len(frames) == len(set(frames)) == machine.frames.used
        assert adapter.books.buffers.live == len(live)
    while live:
        release(machine, adapter, live.pop())
    # Guard bytes of verified buffers stay in memory that nobody owns; the books do not count them.
    assert state(machine, adapter)[:5] == first[:5]
    assert state(machine, adapter)[6:] == first[6:]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 100), st.sampled_from([0, 4, 16])), max_size=30))
def test_a_run_set_agrees_with_a_plain_set(requests):
    plain = set(range(10, 60)) | set(range(64, 100))
    runs = RunSet([(10, 50), (64, 36)])
    taken = []
    for count, last, boundary in requests:
        where = Where(0, last, boundary)
        expected = next(
            (
                n
                for n in sorted(plain)
                if all(n + i in plain for i in range(count))
                and n + count - 1 <= last
                and (not boundary or n // boundary == (n + count - 1) // boundary)
            ),
            None,
        )
        found = runs.find(count, where)
        assert found == expected
        if found is not None:
            runs.take(found, count)
            plain -= set(range(found, found + count))
            taken.append((found, count))
        if len(taken) > 4:
            start_at, size = taken.pop(0)
            runs.give(start_at, size)
            plain |= set(range(start_at, start_at + size))
        assert runs.total == len(plain)


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_cb31_and_cb70_and_cb80_page_accounting_is_exact_over_random_allocations_and_frees(scene):
    """1500 steps a platform; `scripts/churn.py` does the 100 000."""
    tally = churn(*scene, steps=1500, seed=5)
    assert tally.allocated == tally.freed
    assert tally.allocated + tally.refused > 700


def test_64_gib_cost_nothing_until_written_and_fragment_by_seed():
    frames = FrameAllocator(RunSet([(0, 64 * GIB // 4096)]))
    before = frames.free.snapshot()
    assert frames.fragment(7, keep=100) == 100
    assert frames.find(1, Where()) is not None
    assert frames.find(2, Where()) is None
    layout = frames.free.snapshot()
    frames.settle()
    assert frames.free.snapshot() == before
    frames.fragment(7, keep=100)
    assert frames.free.snapshot() == layout
