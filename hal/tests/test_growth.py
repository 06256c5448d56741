# SPDX-License-Identifier: Apache-2.0
"""What one call costs does not depend on how much else is live. Steps are counted, not timed.

A step is a line that Python executes, or one object compared with another: whoever searches a list counts each element.
"""

import itertools
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nthal import runs, wdm
from nthal.contract import Observation, check, violations
from nthal.events import Mapped
from nthal.machine import DeviceObject, Machine
from nthal.platforms import ARM0, BIG, FLAT, FRAG, IOMMU, MAPREG, Platform, Span
from nthal.records.adapter import CommonBuffer, Mapping, MapRegisterFile, ScatterGatherList, Window
from nthal.records.region import FrameList, Region
from nthal.runs import Run, RunSet, Where
from nthal.types import GIB, La, Out, Va
from nthal.verifier import Misuse
from nthal.windows import DeviceDescription, InterfaceType, Irql

PAGE = 4096
FEW, MANY = 32, 512
LEVEL = 1.15
MASTER = DeviceDescription(
    version=2,
    master=True,
    scatter_gather=True,
    interface_type=InterfaceType.PCI,
    dma_32bit_addresses=True,
    maximum_length=1 << 26,
)
COMPARED = (CommonBuffer, Mapping, MapRegisterFile, ScatterGatherList, Window, Region)


class Steps:
    """How many steps were made inside of `counted`."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, *_: object) -> "Steps":
        self.made += 1
        return self

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Steps]:
    """Make counters; what is kept in lists counts whenever it is compared."""
    for kind in COMPARED:
        monkeypatch.setattr(kind, "__eq__", lambda one, other: one is other, raising=False)
        monkeypatch.setattr(kind, "__hash__", object.__hash__, raising=False)
    return Steps


def scattered(pages: int, *, above: bool = False) -> tuple[Span, ...]:
    """Room for `pages` single pages, below 4 GiB and, if asked for, as many above."""
    size = (2 * pages + 64) * PAGE
    low = Span(0x0100_0000, 0x0100_0000 + size - 1)
    return (low, Span(4 * GIB, 4 * GIB + size - 1)) if above else (low,)


class Driver:
    """A driver with an adapter and what it holds."""

    def __init__(self, machine: Machine, description: DeviceDescription = MASTER) -> None:
        self.machine = machine
        self.device = DeviceObject()
        adapter = wdm.IoGetDmaAdapter(self.device, description, Out())
        assert adapter is not None
        self.adapter, self.table = adapter, adapter.DmaOperations

    def allocate(self, length: int = PAGE) -> tuple[Va, La]:
        la: Out[La] = Out()
        va = self.table.AllocateCommonBuffer(self.adapter, length, la, True)
        assert va is not None
        return va, la.taken

    def free(self, va: Va, la: La, length: int = PAGE) -> None:
        self.table.FreeCommonBuffer(self.adapter, length, la, va, True)

    def mdl(self, pages: int) -> wdm.Mdl:
        va = self.machine.allocate_pool(pages * PAGE, scattered=True)
        mdl = None if va is None else wdm.IoAllocateMdl(va, pages * PAGE, False, False)
        assert mdl is not None
        wdm.MmBuildMdlForNonPagedPool(mdl)
        return mdl

    def get(self, mdl: wdm.Mdl) -> ScatterGatherList:
        made: list[ScatterGatherList] = []
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            self.table.GetScatterGatherList(
                self.adapter, self.device, mdl, mdl.va, mdl.byte_count, lambda *args: made.append(args[2]), None, True
            )
        return made[0]

    def put(self, made: ScatterGatherList) -> None:
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            self.table.PutScatterGatherList(self.adapter, made, True)


def grows(cost: Callable[[int], float], few: int = FEW, many: int = MANY) -> float:
    """How many times the cost of one piece of work among `few` it has among `many`."""
    return cost(many) / cost(few)


PLATFORMS = (
    FLAT,
    FLAT.verified(),
    IOMMU,
    replace(FRAG, name="iommu+frag", free=scattered(2 * MANY), translation=IOMMU.translation),
    replace(MAPREG, register_pool=2 * MANY),
    ARM0,
)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda one: one.name + ("+v" if one.verifier else ""))
def test_a_buffer_costs_the_same_however_many_are_live(platform: Platform, steps: Callable[[], Steps]) -> None:
    def both(live: int) -> float:
        with Machine(platform) as machine:
            driver, counter = Driver(machine), steps()
            kept = [driver.allocate() for _ in range(live)]
            driver.free(*driver.allocate())  # what a routine's first call does once is no part of its cost
            with counter.counted():
                driver.free(*driver.allocate())
            driver.free(*kept[live // 2])
            return counter.made

    def free(live: int) -> float:
        with Machine(platform) as machine:
            driver, counter = Driver(machine), steps()
            kept = [driver.allocate() for _ in range(live)]
            random.Random(1).shuffle(kept)
            with counter.counted():
                for one in kept:
                    driver.free(*one)
            assert not machine.bus.buffers()
            return counter.made / live

    assert grows(both) < LEVEL
    assert grows(free) < LEVEL


def test_a_line_of_a_log_costs_the_same_however_many_buffers_are_live(steps: Callable[[], Steps]) -> None:
    def cost(live: int) -> float:
        made = [
            Observation(2 * n + 1, length=PAGE, va=1 << 40 | n * PAGE, la=n * PAGE, pages=(n,), adapter=1, registers=1)
            for n in range(live)
        ]
        frees = [replace(one, order=4 * live - n, kind="free") for n, one in enumerate(made)]
        counter = steps()
        with counter.counted():
            judged = check([*made, *frees])
        assert judged
        assert not violations(judged)
        return counter.made / live

    assert grows(cost) < LEVEL


def test_a_buffer_costs_the_same_however_many_holes_are_too_small_for_it(steps: Callable[[], Steps]) -> None:
    def cost(holes: int) -> float:
        with Machine(FLAT) as machine:
            driver, counter = Driver(machine), steps()
            kept = [driver.allocate() for _ in range(2 * holes)]
            for one in kept[::2]:
                driver.free(*one)
            driver.free(*driver.allocate(2 * PAGE), 2 * PAGE)
            with counter.counted():
                driver.free(*driver.allocate(2 * PAGE), 2 * PAGE)
            return counter.made

    # A search may look through one chunk of holes, and passes by the others.
    assert grows(cost, 256, 2048) < 1.5


def test_a_search_in_vain_does_not_look_at_every_single_page(steps: Callable[[], Steps]) -> None:
    def cost(singles: int) -> float:
        free, counter = RunSet.of_singles(range(0, 2 * singles, 2)), steps()
        with counter.counted():
            assert free.find(2, Where()) is None
        return counter.made / singles

    assert cost(4096) < 0.1


LISTS = {
    "direct": (lambda pages: replace(FRAG, free=scattered(pages)), MASTER),
    "bounced": (lambda pages: replace(BIG, isolated=True, free=scattered(pages, above=True)), MASTER),
    "iommu": (
        lambda pages: replace(FRAG, free=scattered(pages), translation=IOMMU.translation),
        replace(MASTER, dma_64bit_addresses=True),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_for_each_of_its_scattered_pages(name: str, steps: Callable[[], Steps]) -> None:
    platform, description = LISTS[name]

    def cost(pages: int) -> float:
        with Machine(platform(pages)) as machine:
            driver, counter = Driver(machine, description), steps()
            below = machine.allocate_pool((pages + 32) * PAGE, scattered=True) if name == "bounced" else None
            mdl = driver.mdl(pages)
            if below is not None:
                machine.free_pool(below)  # what the device reaches was taken when the driver's pages were chosen
            with counter.counted():
                made = driver.get(mdl)
                driver.put(made)
            assert len(made.elements) == (1 if name == "iommu" else pages)
            assert any(event.bounced for event in machine.events if isinstance(event, Mapped)) == (name == "bounced")
            return counter.made / pages

    assert grows(cost) < LEVEL


def test_a_page_out_of_reach_is_bounced_without_a_look_at_those_after_it(steps: Callable[[], Steps]) -> None:
    narrow = replace(MASTER, dma_32bit_addresses=False, interface_type=InterfaceType.ISA)

    def cost(pages: int) -> float:
        with Machine(FLAT) as machine:
            driver, counter = Driver(machine, narrow), steps()
            va = machine.allocate_pool(pages * PAGE, frame=0x0200_0000 // PAGE)
            mdl = None if va is None else wdm.IoAllocateMdl(va, pages * PAGE, False, False)
            assert mdl is not None
            wdm.MmBuildMdlForNonPagedPool(mdl)
            # As BuildMdlFromScatterGatherList leaves it: neighbours, in a run each.
            mdl.frames = FrameList([Run(frame, 1) for frame in mdl.page_frames], PAGE)
            with counter.counted():
                made = driver.get(mdl)
                driver.put(made)
            assert len(made.elements) == pages
            return counter.made / pages

    assert grows(cost) < LEVEL


def test_an_mdl_costs_by_its_own_pages(steps: Callable[[], Steps]) -> None:
    def cost(pages: int) -> float:
        with Machine(replace(FRAG, free=scattered(pages))) as machine:
            va, counter = machine.allocate_pool(pages * PAGE, scattered=True), steps()
            assert va is not None
            mdl = wdm.IoAllocateMdl(va + (pages - 2) * PAGE + 100, PAGE, False, False)
            assert mdl is not None
            with counter.counted():
                wdm.MmBuildMdlForNonPagedPool(mdl)
            assert mdl.page_frames == machine.space.regions()[0].frames.frames()[-2:]
            return counter.made

    assert grows(cost) < LEVEL


def test_lists_cost_the_same_however_many_are_out_and_so_does_the_device(steps: Callable[[], Steps]) -> None:
    def cost(out: int) -> float:
        with Machine(replace(FRAG, free=scattered(4 * out + 4))) as machine:
            driver, counter = Driver(machine), steps()
            kept = [driver.get(driver.mdl(4)) for _ in range(out)]
            mdl = driver.mdl(4)
            with counter.counted():
                made = driver.get(mdl)
                machine.device_write(made.elements[3].address, bytes(64), driver.adapter.core)
                driver.put(made)
                driver.put(kept[out // 2])
            return counter.made

    assert grows(cost) < LEVEL


def test_the_driver_and_the_device_touch_a_long_buffer_at_the_cost_of_a_short_one(steps: Callable[[], Steps]) -> None:
    def cost(pages: int) -> float:
        platform = replace(FRAG, free=scattered(pages), translation=IOMMU.translation)
        with Machine(platform) as machine:
            driver, counter = Driver(machine), steps()
            va, la = driver.allocate(pages * PAGE)
            with counter.counted():
                machine.device_write(la + (pages - 1) * PAGE, bytes(64), driver.adapter.core)
                machine.cpu_read(va + (pages - 1) * PAGE, 64)
            return counter.made

    assert grows(cost) < LEVEL


def test_stale_bytes_are_told_at_the_same_cost_however_often_they_were(steps: Callable[[], Steps]) -> None:
    def cost(told: int) -> float:
        with Machine(ARM0) as machine:
            driver, counter = Driver(machine), steps()
            mdl = driver.mdl(1)
            made = driver.get(mdl)
            for at in range(told):
                machine.cpu_write(mdl.va, bytes([at & 0xFF]))
                machine.device_read(made.elements[0].address, at % 2048 + 1, driver.adapter.core)
            assert len(machine.verifier.of(Misuse.STALE_DATA)) == told
            with counter.counted():
                machine.device_read(made.elements[0].address, 3000, driver.adapter.core)
            return counter.made

    assert grows(cost) < LEVEL


def test_the_oldest_of_two_windows_over_each_other_answers_and_an_iommu_shows_a_device_its_own() -> None:
    with Machine(FLAT) as machine:
        one, other = Driver(machine), Driver(machine)
        mdl = one.mdl(2)
        first, second = one.get(mdl), other.get(mdl)
        assert first.elements == second.elements
        (older, newer) = machine.bus.windows
        assert machine.bus.windows.over(int(first.elements[0].address) + PAGE) == [older, newer]
        one.put(first)
        assert machine.bus.windows.over(int(first.elements[0].address)) == [newer]
        machine.device_write(second.elements[0].address, b"still there", other.adapter.core)
        other.put(second)
        assert not len(machine.bus.windows)
    with Machine(IOMMU) as machine:
        one, other = Driver(machine), Driver(machine)
        made = one.get(one.mdl(1))
        at = made.elements[0].address
        assert machine.bus.reach(at, PAGE, one.adapter.core) == PAGE
        assert machine.bus.reach(at, PAGE, other.adapter.core) == 0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_a_run_set_in_small_chunks_is_the_set_of_its_numbers(seed: int) -> None:
    draw = random.Random(seed)
    plain: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_CHUNK", 2)
        kept = RunSet()
        for _ in range(150):
            start, count = draw.randrange(120), draw.randrange(1, 8)
            wanted = set(range(start, start + count))
            match draw.randrange(4):
                case 0:
                    with pytest.raises(ValueError, match="free already") if plain & wanted else nullcontext():
                        kept.give(start, count)
                    plain = plain if plain & wanted else plain | wanted
                case 1:
                    with nullcontext() if wanted <= plain else pytest.raises(ValueError, match="is not free"):
                        kept.take(start, count)
                    plain = plain - wanted if wanted <= plain else plain
                case 2:
                    kept.discard(start, count)
                    plain -= wanted
                case _:
                    fits = (n for n in range(start, 130) if set(range(n, n + count)) <= plain)
                    assert kept.find(count, Where(low=start)) == next(fits, None)
            assert (kept.meets(start, count), kept.contains(start, count)) == (bool(plain & wanted), wanted <= plain)
            assert [n for run in kept.runs() for n in range(run.start, run.end)] == sorted(plain)
            assert all(one[1] < other[0] for one, other in itertools.pairwise(kept.snapshot()))
            assert kept.total == len(plain)
