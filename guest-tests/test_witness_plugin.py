# SPDX-License-Identifier: Apache-2.0
"""QEMU's plugin beside what others know: the driver's own report, the server's trace, the guest's console."""

import bisect
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from which_kernel import kernels
from witnessing import (
    ACCESS,
    ALLOC,
    CONFIG,
    FREE,
    IRQ,
    MAP,
    MASK,
    MASTER,
    MODULE_IS,
    POOL_ALLOC,
    POOL_CREATE,
    POOL_DESTROY,
    POOL_FREE,
    SYNC,
    TOUCH,
    UNMAP,
    Record,
    Watched,
    traced,
    watched,
)

from plx9x5x.lab.card import driver
from plx9x5x.lab.contract import guest as contract_guest
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestFile, GuestImage, program
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, SWIOTLB, Shape
from plx9x5x.lab.toolchain import Toolchain, build_module, load
from plx9x5x.lab.witness.attach import prepare

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

PAGE = 4096
ENDED = 3
NEVER = 2**64 - 1


def own_driver(tc: Toolchain) -> GuestImage:
    sources = guest_sources.find()
    return driver.driver_image(tc, sources, driver.build(tc, sources))


def pages(length: int) -> int:
    return -(-length // PAGE) * PAGE


def check_nothing_is_missing(seen: Watched) -> None:
    assert (seen.lost, seen.unreturned, seen.state) == (0, 0, ENDED)
    counted = [record.seq for record in seen.records]
    assert counted == sorted(set(counted))
    assert not seen.oopses


@pytest.mark.parametrize(
    ("series", "lies", "processors"),
    [(kernel, shape, 1) for kernel in kernels() for shape in (PLAIN, IOMMU)] + [(kernels()[-1], PLAIN, 2)],
    ids=lambda value: value.name if isinstance(value, Shape) else str(value),
)
def test_all_that_our_own_driver_does_is_seen(series: str, lies: Shape, processors: int, tmp_path: Path) -> None:
    tc = load(kernel=series)
    seen = watched(tc, own_driver(tc), logs=tmp_path, shape=lies, watch=(driver.DRIVER,), processors=processors)
    assert seen.report.passed > 50
    assert not seen.report.failed
    check_nothing_is_missing(seen)
    asked = [
        (one["kind"], pages(one["length"]), one.get("va", 0), one.get("la", 0))
        for one in reported(seen)
        if one["kind"] in ("alloc", "free") and one["length"]  # of no bytes the driver's shim asks nobody
    ]
    got = [
        (
            "alloc" if record.kind == ALLOC else "free",
            pages(record.a[2]),
            record.a[0],
            record.a[1] if record.a[0] else 0,
        )
        for record in seen.records
        if record.kind in (ALLOC, FREE)
    ]
    assert got == asked
    server = list(traced(seen.trace))
    assert len(server) > 10_000
    known = [
        (*line[:4], None) if there[4] is None else line for line, there in zip(server, seen.accesses(), strict=True)
    ]
    assert known == seen.accesses()
    (module,) = seen.modules
    assert module.name == driver.DRIVER
    assert all(record.pc - module.core < module.core_size for record in seen.of(ACCESS) + seen.of(ALLOC))


def reported(seen: Watched) -> Iterator[dict[str, Any]]:
    verdict = contract_guest.judge(seen.report)
    assert verdict is not None
    yield from map(json.loads, contract_guest.json_lines(verdict.observations).splitlines())


def test_a_ring_that_nobody_reads_is_lost_and_the_guest_goes_on(tmp_path: Path) -> None:
    tc = load(kernel=kernels()[0])
    seen = watched(tc, own_driver(tc), logs=tmp_path, shape=PLAIN, watch=(driver.DRIVER,), drain=False, records=1 << 10)
    assert not seen.report.failed
    assert seen.lost > 1000
    assert seen.state == ENDED
    assert len(list(traced(seen.trace))) > 10_000


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("", "give facts=FD or facts=PATH"),
        ("facts=/nowhere", "the facts at '/nowhere' cannot be read"),
        ("facts={facts},ring=999", "ring=999 is no descriptor of a ring"),
        ("facts={facts},ring={blank}", "is not a ring of version 1, or too short"),
        ("facts={facts},code={blank}", "is no code map of version 1, or too short"),
        ("facts={facts},nonsense=1", "no option 'nonsense=1'; there are"),
        (f"facts={{facts}},watch={'x' * 60}", "no module's name"),
    ],
)
def test_qemu_does_not_start_with_what_the_plugin_cannot_use(option: str, says: str, tmp_path: Path) -> None:
    tc = load(kernel=kernels()[0])
    made = prepare(tc, guest_sources.find().witness)
    known = tmp_path / "facts"
    known.write_text(made.facts.text)
    blank = os.memfd_create("blank")
    try:
        os.ftruncate(blank, 2 * PAGE)
        given = option.format(facts=known, blank=blank)
        argv = [*tc.qemu.argv, *("-M", "none", "-accel", "tcg", "-nodefaults", "-display", "none")]
        argv += ["-plugin", f"{made.plugin},{given}".rstrip(",")]
        done = subprocess.run(
            argv, pass_fds=(blank,), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
    finally:
        os.close(blank)
    assert done.returncode == 1
    assert any(line.startswith("witness: ") and says in line for line in done.stderr.splitlines()), done.stderr


# What a driver says of itself, against what was seen of it.


@pytest.fixture(
    scope="module",
    params=[(kernel, shape) for kernel in kernels() for shape in (PLAIN, IOMMU)] + [(kernels()[0], SWIOTLB)],
    ids=lambda value: f"{value[0]}-{value[1].name}",
)
def called(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """guest-tests/watched, which makes every call, on two processors; loaded again, it fails on purpose."""
    kernel, shape = request.param
    tc = load(kernel=kernel)
    sources = guest_sources.find()
    module = build_module(tc, sources.root / "watched", name="watched")
    base = guest_sources.base_image(tc, sources)
    files = {"watched.ko": GuestFile(module), "bin/run": program(sources.root / "watched" / "run")}
    image = replace(base, files={**base.files, **files}, own_modules=(module,), words=("plx.run=/bin/run",))
    logs = tmp_path_factory.mktemp("called")
    return watched(tc, image, logs=logs, shape=shape, watch=("watched",), processors=2)


def told(seen: Watched, *names: str) -> list[tuple[str, tuple[str, ...]]]:
    """The driver's lines of these names: the words after them."""
    found = []
    for line in seen.console:
        _, mark, said = line.partition("watched: ")
        words = said.split()
        if mark and words and words[0] in names:
            found.append((words[0], tuple(words[1:])))
    return found


def numbers(words: tuple[str, ...], *at: int) -> tuple[int, ...]:
    """The numbers of a line; those at these places are hexadecimal ones."""
    return tuple(int(word, 16 if place in at else 10) for place, word in enumerate(words))


def places(seen: Watched) -> list[tuple[int, str]]:
    return sorted((int(words[1], 16), words[0]) for _, words in told(seen, "function"))


def caller(seen: Watched, record: Record) -> str:
    """The function of the driver that did it."""
    known = places(seen)
    at = bisect.bisect_right(known, (record.pc, "~")) - 1
    return known[at][1] if at >= 0 and record.pc - known[at][0] < PAGE else hex(record.pc)


def by(seen: Watched, kind: int, *functions: str) -> list[Record]:
    return [record for record in seen.of(kind) if caller(seen, record) in functions]


def test_the_driver_did_all_of_it_and_nothing_is_missing(called: Watched) -> None:
    assert told(called, "probed") == [("probed", ("0",))]
    check_nothing_is_missing(called)


def test_allocations_and_frees_by_hand_and_managed_ones(called: Watched) -> None:
    wanted = [numbers(words, 0, 1) for _, words in told(called, "alloc")]
    hand = [record for record in by(called, ALLOC, "in_coherent", "in_pages") if not record.flags]
    assert [record.a[:3] for record in hand] == wanted
    managed = [record for record in by(called, ALLOC, "in_coherent") if record.flags == 2]
    assert [record.a[:3] for record in managed] == [numbers(words, 0, 1) for _, words in told(called, "alloc-managed")]
    freed = by(called, FREE, "in_coherent", "in_pages")
    wanted = [numbers(words, 0, 1) for _, words in told(called, "free", "free-managed")]
    assert sorted(record.a[:3] for record in freed) == sorted(wanted)
    assert [record.flags for record in freed if record.a[2] == 5000] == [2]
    # The other one goes with the device: the kernel frees it, and it is known to be managed.
    (left,) = [numbers(words, 0, 1) for _, words in told(called, "left")]
    assert [record.flags for record in called.of(FREE) if record.a[:3] == left] == [2]


def test_the_physical_address_of_an_allocation_is_that_of_its_memory(called: Watched) -> None:
    for record in called.of(ALLOC):
        direct = record.a[0] >> 39 == 0x1FFFF11
        assert not record.a[0] or not direct or record.a[3] == record.a[0] & 0x7F_FFFF_FFFF


def test_pools_their_pages_and_their_blocks(called: Watched) -> None:
    pools = [numbers(words, 0) for _, words in told(called, "pool")]
    assert [record.a[:3] for record in by(called, POOL_CREATE, "in_pool")] == pools
    assert [record.text for record in by(called, POOL_CREATE, "in_pool")] == ["watched-pool", "watched-managed"]
    for kind, name in ((POOL_ALLOC, "pool-alloc"), (POOL_FREE, "pool-free")):
        assert [record.a[:3] for record in by(called, kind, "in_pool")] == [
            numbers(words, 0, 1, 2) for _, words in told(called, name)
        ]
    assert [record.a[:1] for record in by(called, POOL_DESTROY, "in_pool")] == [
        numbers(words, 0) for _, words in told(called, "pool-destroy")
    ]
    (page,) = by(called, ALLOC, "in_pool")
    assert page.flags == 1
    assert [(record.flags, record.a[:3]) for record in by(called, FREE, "in_pool")] == [(1, page.a[:3])]
    assert all(0 <= record.a[1] - page.a[1] < page.a[2] for record in by(called, POOL_ALLOC, "in_pool"))


def test_single_mappings_and_their_syncs(called: Watched) -> None:
    mapped = by(called, MAP, "in_single")
    assert [(*record.a[:4], record.a[4]) for record in mapped] == [
        numbers(words, 0, 3, 4) for _, words in told(called, "map")
    ]
    unmapped = by(called, UNMAP, "in_single", "in_resource")
    assert [record.a[:3] for record in unmapped] == [numbers(words, 0) for _, words in told(called, "unmap")]
    (resource,) = [numbers(words, 0, 2) for _, words in told(called, "resource")]
    (record,) = by(called, MAP, "in_resource")
    assert (record.a[0], record.a[1], record.a[3]) == resource
    syncs = by(called, SYNC, "in_single")
    for name, flag in (("sync", 0), ("sync-device", 1)):
        lines = [numbers(words, 0) for _, words in told(called, name)]
        seen = [record.a[:3] for record in syncs if record.flags == flag]
        # Where the kernel does not show them, they come to it only for memory that is bounced.
        assert seen == lines if called.shows_sync else seen in (lines, [])


def test_writes_of_configuration_space(called: Watched) -> None:
    """Those of the driver; the kernel makes its own."""
    written = [numbers(words) for _, words in told(called, "config")]
    assert len(written) == 3
    assert [record.a[:2] for record in by(called, CONFIG, "in_config")] == written
    assert len(called.of(CONFIG)) > 3


def test_lists_of_any_length(called: Watched) -> None:
    lists = [numbers(words, 0) for _, words in told(called, "map-sg")]
    segments = [numbers(words, 0) for _, words in told(called, "segment")]
    mapped = by(called, MAP, "in_lists", "in_pages")
    assert [record.a[:2] for record in mapped] == segments
    wanted = [(at, index, count, way) for at, count, way in lists for index in range(count)]
    assert [(record.a[5], record.a[6], record.a[7], record.a[2]) for record in mapped] == wanted
    unmapped = [record for record in by(called, UNMAP, "in_lists", "in_pages") if record.a[5]]
    assert [(record.a[5], record.a[7], record.a[2]) for record in unmapped] == [
        numbers(words, 0) for _, words in told(called, "unmap-sg")
    ]
    for record in mapped:
        assert not record.a[4] or record.a[4] & 0x7F_FFFF_FFFF == record.a[3]


def test_masks_mastering_and_interrupts(called: Watched) -> None:
    masks = by(called, MASK, "in_masks")
    said = [("mask-coherent" if record.flags else "mask", record.a[0], record.a[1]) for record in masks]
    wanted = [
        (name, int(words[0], 16), int(words[1]) & 0xFFFF_FFFF) for name, words in told(called, "mask", "mask-coherent")
    ]
    assert said == wanted
    master = [record.flags for record in called.of(MASTER)]
    assert master[0] == 1
    assert set(master[1:]) == {0, 2}
    irqs = by(called, IRQ, "in_interrupts")
    asked = [(record.a[0], record.a[1], record.a[4]) for record in irqs if not record.flags]
    assert asked == [numbers(words, 1, 2) for _, words in told(called, "irq")]
    freed = [(record.a[0], record.a[4]) for record in irqs if record.flags]
    assert freed == [numbers(words, 1) for _, words in told(called, "irq-free")]
    assert [record.text for record in irqs if not record.flags] == ["watched-plain", "watched-devm"]


def test_threads_on_two_processors_lose_no_call(called: Watched) -> None:
    ((_, (threads, rounds)),) = told(called, "threads")
    made, freed = by(called, ALLOC, "in_thread"), by(called, FREE, "in_thread")
    assert len(made) == len(freed) == int(threads) * int(rounds)
    assert len({record.cpu for record in made}) == 2
    live: Counter[tuple[int, ...]] = Counter()
    for record in called.records:
        if record.kind in (ALLOC, FREE) and caller(called, record) == "in_thread":
            live[record.a[:3]] += 1 if record.kind == ALLOC else -1
            assert 0 <= live[record.a[:3]] <= 1
    assert not any(live.values())


def test_accesses_of_every_kind(called: Watched) -> None:
    for function, port in (("in_memory", False), ("in_helpers", False), ("in_ports", True)):
        lines = told(called, "port") if port else told(called, "access")
        wanted = [(int(words[0]), words[1], int(words[2], 16), int(words[3], 16)) for _, words in lines]
        seen = by(called, ACCESS, function)
        assert all(bool(record.flags & 4) == (function == "in_helpers") for record in seen)
        got = [(record.width, "w" if record.flags & 1 else "r", record.a[0], record.a[1]) for record in seen]
        if port:
            assert got == wanted
        else:
            mine = [one for one in wanted if one[2] in {other[2] for other in got}]
            assert mine
            assert got[: len(mine)] == mine
    copied = by(called, ACCESS, "in_helpers")
    for _, (way, at, count) in told(called, "bytes"):
        low = int(at, 16)
        width = sum(r.width for r in copied if low <= r.a[0] < low + int(count) and (r.flags & 1) == (way == "w"))
        assert width == int(count)


def test_the_drivers_own_use_of_shared_memory(called: Watched) -> None:
    touches = by(called, TOUCH, "in_touches")
    said = [(r.a[0], r.a[1], r.a[2], "poll" if r.flags & 2 else "w" if r.flags & 1 else "r") for r in touches]
    assert said == [
        (int(low, 16), int(end, 16), int(times, 16), way) for _, (low, end, times, way) in told(called, "touch")
    ]
    (made,) = by(called, ALLOC, "in_touches")
    assert {(r.a[3], r.a[4]) for r in touches} == {made.a[:2]}


def test_modules_come_and_go(called: Watched) -> None:
    said = [(record.flags, record.text) for record in called.of(MODULE_IS)]
    # busybox tries a load that failed once more, by the older system call.
    assert said == [(0, "watched"), (1, "watched")] * 3 + [(0, "watched")]
    loads = [record for record in called.of(MODULE_IS) if not record.flags]
    gone = [record for record in called.of(MODULE_IS) if record.flags]
    assert [(m.seq_in, m.core, m.core_size, m.init, m.init_size) for m in called.modules] == [
        (record.seq, *record.a[1:5]) for record in loads
    ]
    assert [m.seq_out for m in called.modules] == [*(record.seq for record in gone), 0]
    for module, (_, (init,)) in zip(called.modules, told(called, "init"), strict=True):
        assert 0 <= int(init, 16) - module.init < module.init_size
    ((_, words),) = told(called, "sections")
    assert 0 <= int(words[0], 16) - called.modules[-1].core < called.modules[-1].core_size
    # It went after its exit had run.
    (removed,) = [record for record in called.of(MASTER) if not record.flags and record.seq < gone[0].seq]
    assert removed.pc - called.modules[0].core < called.modules[0].core_size


def test_blocks_that_ran_are_counted_and_belong_to_their_load(called: Watched) -> None:
    for number, module in enumerate(called.modules):
        blocks = [block for block in called.blocks if block.module == number]
        assert blocks
        for block in blocks:
            inside = block.address - module.core < module.core_size or block.address - module.init < module.init_size
            assert inside
    start = next(address for address, name in places(called) if name == "in_thread")
    (entry,) = [block for block in called.blocks if block.address == start]
    ((_, (threads, _)),) = told(called, "threads")
    assert entry.executed == int(threads)
