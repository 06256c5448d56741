# SPDX-License-Identifier: Apache-2.0
"""Each rule of the witness by a wrong driver that it names and a right one beside it, of which nothing is said."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from plx9x5x.findings.finding import Who, from_json
from plx9x5x.witness.records import Alloc, Kind, Mask
from plx9x5x.witness.rules import RULES
from tests.witness.guest import (
    BLOCK,
    BOTH,
    CHAIN,
    CLEAR_COUNT,
    CSR,
    DONE_INTERRUPT,
    DPR,
    FROM_DEVICE,
    IN_PCI,
    INTCSR,
    LAST,
    MODE,
    PADR,
    RAM,
    SIZ,
    TO_DEVICE,
    TO_INTA,
    TO_PCI,
    Guest,
    guest,
)

HIGH = 1 << 32
POOL = 0xFFFF_8880_0001_0000
LIST = 0xFFFF_8880_0002_0000
OTHER = RAM + 0x10_0000

Play = Callable[[Guest], None]


@dataclass(frozen=True)
class Case:
    """What is wrong, what is right beside it, words of the finding, and the roles of its places."""

    wrong: Play
    right: Play
    words: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    syncs: bool = False


def _to(address: Callable[[Guest, int], int], size: int = 64, handle: int = 0, physical: int = 0) -> Play:
    """A transfer to what `address` makes of a buffer's handle."""

    def play(driver: Guest) -> None:
        buffer = driver.alloc(handle=handle, physical=physical)
        driver.transfer(address(driver, buffer), size)
        driver.stop()
        driver.free(buffer)

    return play


def _exact(driver: Guest) -> None:
    buffer = driver.alloc(100)
    driver.transfer(buffer, 100)
    driver.transfer(buffer + 99, 1, to_pci=False)
    driver.free(buffer, 100)


def _freed(*, done: bool) -> Play:
    def play(driver: Guest) -> None:
        buffer = driver.alloc()
        driver.program(buffer)
        driver.start()
        if done:
            driver.run()
            driver.read(CSR, 1)
        driver.free(buffer)
        driver.run()

    return play


def _stopped_by_a_posted_write(driver: Guest) -> None:
    """The stop is on its way when the buffer is freed: the device may not know yet, and the driver is right."""
    buffer = driver.alloc(256 * 1024)
    driver.program(buffer, 256 * 1024)
    driver.start()
    driver.run(1, 4096)
    driver.write(CSR, 0, 1, post=True)
    driver.write(CSR, 4, 1, post=True)
    driver.free(buffer, 256 * 1024)
    driver.run(1, 4096)
    driver.deliver()
    driver.run()


def _beyond(driver: Guest) -> None:
    buffer = driver.alloc(100)
    driver.alloc(4096)
    driver.transfer(buffer, 8192)


def _beyond_a_burst(driver: Guest) -> None:
    """What comes after the first burst lies in another buffer as a whole."""
    buffer = driver.alloc(64 * 1024)
    driver.alloc(64 * 1024)
    driver.transfer(buffer, 128 * 1024)


def _mapped(direction: int, *, to_pci: bool) -> Play:
    def play(driver: Guest) -> None:
        driver.map(OTHER, 256, direction)
        driver.transfer(OTHER, 256, to_pci=to_pci)
        driver.unmap(OTHER, 256, direction)

    return play


def _truncated(driver: Guest, handle: int) -> int:
    del driver
    return handle & 0xFFFF_FFFF


def _swapped(driver: Guest, handle: int) -> int:
    del driver
    return int.from_bytes(handle.to_bytes(4, "little"), "big")


def _above(*, mask: int) -> Play:
    def play(driver: Guest) -> None:
        driver.put(Kind.MASK, mask, 0, flags=Mask.BOTH)
        driver.transfer(3 * HIGH + RAM)
        driver.stop()

    return play


def _within_mask(driver: Guest) -> None:
    driver.put(Kind.MASK, (1 << 64) - 1, 0, flags=Mask.BOTH)
    driver.host.ram(3 * HIGH, 8192)
    buffer = driver.alloc(handle=3 * HIGH)
    driver.transfer(buffer)
    driver.free(buffer)


def _unload(*, freed: bool, flags: int = 0) -> Play:
    def play(driver: Guest) -> None:
        buffer = driver.alloc(flags=flags)
        driver.map(OTHER, 64, BOTH)
        driver.unmap(OTHER, 64, BOTH)
        if freed:
            driver.free(buffer)
        driver.unload()

    return play


def _frees(call: Callable[[Guest, int], object]) -> Play:
    def play(driver: Guest) -> None:
        call(driver, driver.alloc())

    return play


def _rounds(*, synced: bool) -> Play:
    def play(driver: Guest) -> None:
        driver.map(OTHER, 256, FROM_DEVICE)
        for _ in range(3):
            driver.transfer(OTHER, 256)
            if synced:
                driver.put(Kind.SYNC, OTHER, 256, FROM_DEVICE)
        driver.unmap(OTHER, 256, FROM_DEVICE)

    return play


def _touched(*, write: bool, waits: bool) -> Play:
    def play(driver: Guest) -> None:
        buffer = driver.alloc()
        driver.program(buffer, 512, to_pci=not write)
        seq = driver.start()
        driver.run()
        if waits:
            driver.read(CSR, 1)
            seq = driver.last
        driver.touch(buffer, seq, 0, 512, write=write)
        driver.read(CSR, 1)
        driver.run()
        driver.free(buffer)

    return play


CASES = {
    "dma-not-allocated": Case(
        _to(lambda _, __: OTHER), _to(lambda _, handle: handle), ("0x1100000", "never gave", "overwritten"),
        ("DMAPADR0 written", "started"),
    ),
    "dma-freed": Case(
        _freed(done=False), _freed(done=True), ("taken back", "overwritten"),
        ("freed", "DMAPADR0 written", "started", "allocated"),
    ),
    "dma-beyond-end": Case(
        _beyond, _exact, ("beyond the end", "(100 bytes)", "it hits"), ("DMASIZ0 written", "started", "allocated"),
    ),
    "dma-direction": Case(
        _mapped(TO_DEVICE, to_pci=True), _mapped(FROM_DEVICE, to_pci=True), ("DMA_TO_DEVICE",),
        ("DMADPR0 written", "started", "mapped"),
    ),
    "dma-cpu-address": Case(
        _to(lambda driver, handle: driver.va(handle) & 0xFFFF_FFFF), _to(lambda _, handle: handle + 4),
        ("low 32 bits of its CPU address",), ("DMAPADR0 written", "started", "allocated"),
    ),
    "dma-truncated": Case(
        _to(_truncated, handle=HIGH + 0x4000_0000, physical=HIGH + 0x4000_0000), _within_mask, ("low half",)
    ),
    "dma-byte-order": Case(_to(_swapped), _to(lambda _, handle: handle), ("byte order", "at 0x101")),
    "dma-above-mask": Case(_above(mask=0xFFFF_FFFF), _within_mask, ("the mask is 0xffffffff",)),
    "dma-left": Case(
        _unload(freed=False), _unload(freed=True), ("still allocated when my_drv was unloaded",), ("allocated",)
    ),
    "dma-free-mismatch": Case(
        _frees(lambda driver, handle: (driver.free(handle), driver.free(handle))), _frees(Guest.free),
        ("freed twice",), ("freed", "freed before", "allocated"),
    ),
    "dma-not-synced": Case(
        _rounds(synced=False), _rounds(synced=True), ("neither synced nor unmapped",), syncs=True
    ),
    "dma-touched-early": Case(
        _touched(write=False, waits=False), _touched(write=False, waits=True), ("reads bytes",), ("read", "started")
    ),
    "dma-changed-busy": Case(
        _touched(write=True, waits=False), _touched(write=True, waits=True), ("changes bytes",), ("changed", "started")
    ),
}  # fmt: skip


def test_every_rule_of_the_witness_has_a_case() -> None:
    assert set(CASES) == {rule.name for rule in RULES}
    assert all(rule.who is Who.DRIVER and not rule.thorough for rule in RULES)


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_driver_is_named(name: str) -> None:
    case = CASES[name]
    with guest(syncs=case.syncs) as driver:
        case.wrong(driver)
        found = driver.findings
        assert name in found, driver.said
        assert all(word in str(found[name]) for word in case.words), str(found[name])
        assert [it.role for it in found[name].places][: len(case.roles)] == list(case.roles)
        assert all(it.pc and it.seq for it in found[name].places)
        assert found[name].load == 1
        assert from_json(found[name].json()) == found[name]
        assert not driver.witness.blind


@pytest.mark.parametrize("name", CASES)
def test_of_the_right_one_nothing_is_said(name: str) -> None:
    case = CASES[name]
    with guest(syncs=case.syncs) as driver:
        case.right(driver)
        assert not driver.findings, driver.said
        assert not driver.witness.blind


ONE_FINDING = {
    "nothing mapped, and the bus stops it": (_to(lambda _, __: 0x7000_0000), "dma-not-allocated"),
    "a whole burst beyond the end": (_beyond_a_burst, "dma-beyond-end"),
    "the CPU address in full": (_to(lambda driver, handle: driver.va(handle)), "dma-cpu-address"),
    "the physical address behind an IOMMU": (
        _to(lambda _, __: 0x4444_0000, physical=0x4444_0000), "dma-cpu-address",
    ),
    "the device reads what is mapped for writing": (_mapped(FROM_DEVICE, to_pci=False), "dma-direction"),
    "a mapping is left": (lambda driver: (driver.map(OTHER, 64, BOTH), driver.unload())[0], "dma-left"),
    "freed with another size": (_frees(lambda driver, handle: driver.free(handle, 100)), "dma-free-mismatch"),
    "freed with another CPU address": (_frees(lambda driver, handle: driver.free(handle, va=7)), "dma-free-mismatch"),
    "freed with another handle": (
        _frees(lambda driver, handle: driver.free(handle + 64, va=driver.va(handle))), "dma-free-mismatch",
    ),
    "freed without having been allocated": (lambda driver: [driver.free(OTHER)][0] and None, "dma-free-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_FINDING)
def test_one_mistake_is_one_finding(name: str) -> None:
    play, rule = ONE_FINDING[name]
    with guest() as driver:
        play(driver)
        assert driver.names == [rule], driver.said


def test_what_the_bus_stops_is_told_once_and_says_so() -> None:
    with guest() as driver:
        driver.transfer(0x7000_0000)
        (finding,) = driver.findings.values()
        assert "the bus stopped it" in str(finding)
        assert finding.count == 1
        driver.alloc(physical=0x5555_0000)
        driver.stop()
        driver.transfer(0x7000_0000, to_pci=False)
        assert "the IOMMU stopped it" in str(driver.room.findings[-1])


def test_an_abort_at_an_address_that_was_given_stays_an_abort() -> None:
    with guest() as driver:
        buffer = driver.alloc(handle=0x7000_0000)
        driver.transfer(buffer)
        assert driver.names == ["unmapped-address"]
        (finding,) = driver.findings.values()
        assert [it.role for it in finding.places] == ["DMAPADR0 written", "started", "last write"][
            : len(finding.places)
        ]


@pytest.mark.parametrize(("size", "direction"), [(32, BOTH), (64, TO_DEVICE), (32, TO_DEVICE)])
def test_an_unmap_that_does_not_fit(size: int, direction: int) -> None:
    with guest() as driver:
        driver.map(OTHER, 64, BOTH)
        driver.unmap(OTHER, size, direction)
        assert driver.names == ["dma-free-mismatch"]
        text = driver.findings["dma-free-mismatch"].what
        assert ("size" in text) is (size != 64), text
        assert ("DMA_TO_DEVICE" in text) is (direction != BOTH), text
        driver.unmap(OTHER, 64, BOTH)
        assert driver.findings
        assert len([it for it in driver.room.findings if "twice" in it.what]) == 1


def test_what_is_unmapped_twice_is_the_mapping_and_not_what_lay_there_before() -> None:
    with guest() as driver:
        driver.free(driver.alloc(64, handle=OTHER), 64)
        driver.map(OTHER, 64, BOTH)
        driver.unmap(OTHER, 64, BOTH)
        seq = driver.last
        driver.unmap(OTHER, 64, BOTH)
        finding = driver.findings["dma-free-mismatch"]
        assert [it.role for it in finding.places] == ["unmapped", "unmapped before", "mapped"]
        assert finding.places[1].seq == seq
        driver.unload()
        driver.load()
        driver.unmap(OTHER, 64, BOTH)
        assert driver.findings
        assert "nothing of the kind is mapped" in driver.room.findings[-1].what


def test_lists() -> None:
    """Segments that follow each other may be one transfer; what is no list may not."""
    with guest() as driver:
        for index in range(3):
            driver.map(OTHER + 4096 * index, 4096, FROM_DEVICE, sg=LIST, index=index, of=3)
        driver.transfer(OTHER, 3 * 4096)
        driver.unmap(0, 0, FROM_DEVICE, sg=LIST)
        assert not driver.findings
        driver.unmap(0, 0, FROM_DEVICE, sg=LIST)
        assert driver.names == ["dma-free-mismatch"]
        for index in range(2):
            driver.map(OTHER + 4096 * index, 4096, FROM_DEVICE)
        driver.transfer(OTHER, 2 * 4096)
        assert driver.names == ["dma-beyond-end", "dma-free-mismatch"]


def test_a_list_in_the_wrong_direction() -> None:
    with guest() as driver:
        driver.map(OTHER, 4096, FROM_DEVICE, sg=LIST)
        driver.unmap(0, 0, TO_DEVICE, sg=LIST)
        assert driver.names == ["dma-free-mismatch"]
        driver.unload()
        assert driver.names == ["dma-free-mismatch"]


def test_a_list_that_an_iommu_merged_is_unmapped_with_its_own_count() -> None:
    for entries in (2, 1):
        with guest() as driver:
            driver.put(Kind.MAP, OTHER, 8192, FROM_DEVICE, 0, 0, LIST, 0, 1, width=2)
            driver.put(Kind.UNMAP, OTHER, 0, FROM_DEVICE, 0, 0, LIST, 0, entries)
            assert driver.names == ([] if entries == 2 else ["dma-free-mismatch"])


def test_a_transfer_that_wraps_runs_past_its_buffer_alone() -> None:
    with guest() as driver:
        driver.host.ram((1 << 32) - 4096, 4096)
        buffer = driver.alloc(2048, handle=(1 << 32) - 4096)
        driver.transfer(buffer, 8192)
        assert driver.names == ["address-wraps", "dma-beyond-end"]


def _pool(driver: Guest, size: int = 32) -> tuple[int, int]:
    driver.put(Kind.POOL_CREATE, POOL, size, 16, 0)
    page = driver.alloc(flags=Alloc.POOL_PAGE)
    for block in (page, page + size):
        driver.put(Kind.POOL_ALLOC, driver.va(block), block, POOL)
    return page, page + size


def test_a_pool_is_its_blocks() -> None:
    with guest() as driver:
        first, second = _pool(driver)
        for block in (first, second):
            driver.transfer(block, 32)
            driver.put(Kind.POOL_FREE, driver.va(block), block, POOL)
        driver.put(Kind.POOL_DESTROY, POOL)
        driver.free(first, flags=Alloc.POOL_PAGE)
        driver.unload()
        assert not driver.findings, driver.said


@pytest.mark.parametrize(
    ("play", "rule"),
    [
        (lambda driver, block: driver.transfer(block, 33), "dma-beyond-end"),
        (lambda driver, block: driver.transfer(block + 64, 4), "dma-not-allocated"),
        (lambda driver, block: driver.put(Kind.POOL_DESTROY, POOL), "dma-left"),
        (lambda driver, block: driver.put(Kind.POOL_FREE, driver.va(block), block + 8, POOL), "dma-free-mismatch"),
        (lambda driver, block: driver.put(Kind.POOL_FREE, 7, block, POOL), "dma-free-mismatch"),
        (lambda driver, block: driver.unload(), "dma-left"),
    ],
)
def test_a_pool_that_is_misused(play: Callable[[Guest, int], object], rule: str) -> None:
    with guest() as driver:
        block, _ = _pool(driver)
        play(driver, block)
        assert driver.names == [rule], driver.said


def test_a_block_that_was_freed() -> None:
    with guest() as driver:
        block, _ = _pool(driver)
        driver.put(Kind.POOL_FREE, driver.va(block), block, POOL)
        driver.transfer(block, 32)
        assert driver.names == ["dma-freed"]
        driver.put(Kind.POOL_FREE, driver.va(block), block, POOL)
        assert driver.names == ["dma-free-mismatch", "dma-freed"]


def test_blocks_of_a_pool_that_nobody_saw_are_not_judged() -> None:
    with guest() as driver:
        page = driver.alloc(flags=Alloc.POOL_PAGE)
        driver.put(Kind.POOL_ALLOC, driver.va(page), page, POOL)
        driver.transfer(page, 64)
        assert not driver.findings


def _chain(driver: Guest, *, buffer: int, ring_at: int, mode: int = CHAIN) -> int:
    driver.touch(ring_at, 1, 0, 32, write=True)
    driver.descriptor(ring_at, buffer, 64, ring_at + 16 | IN_PCI | TO_PCI)
    driver.descriptor(ring_at + 16, buffer + 64, 64, IN_PCI | TO_PCI | LAST)
    driver.write(MODE, mode)
    driver.write(DPR, ring_at | IN_PCI)
    return driver.start()


def test_a_chain_is_data_and_descriptors() -> None:
    with guest() as driver:
        ring_at, buffer = driver.alloc(32), driver.alloc(128)
        _chain(driver, buffer=buffer, ring_at=ring_at, mode=CHAIN | CLEAR_COUNT)
        driver.run(16)
        assert driver.read(CSR, 1) & 16
        driver.free(ring_at, 32)
        driver.free(buffer, 128)
        assert not driver.findings, driver.said


def test_a_wrong_address_in_a_descriptor_is_where_the_descriptor_was_written() -> None:
    with guest() as driver:
        ring_at = driver.alloc(32)
        _chain(driver, buffer=OTHER, ring_at=ring_at)
        driver.run(16)
        (finding,) = driver.findings.values()
        assert finding.rule == "dma-not-allocated"
        assert [it.role for it in finding.places] == ["started", "DMADPR0 written", "descriptors written"]
        assert finding.count == 2


def test_one_word_of_a_list_that_is_wrong_is_where_it_was_written() -> None:
    with guest() as driver:
        ring_at, buffer = driver.alloc(32), driver.alloc(128)
        _chain(driver, buffer=buffer, ring_at=ring_at)
        driver.run(16)
        driver.touch(ring_at, driver.last, 16, 20, write=True)
        driver.descriptor(ring_at + 16, OTHER, 64, IN_PCI | TO_PCI | LAST)
        driver.write(DPR, ring_at | IN_PCI)
        driver.start()
        driver.run(16)
        (finding,) = driver.findings.values()
        assert (finding.rule, finding.places[0].role) == ("dma-not-allocated", "descriptor written")


def test_a_ring_that_was_freed_is_read() -> None:
    with guest() as driver:
        ring_at, buffer = driver.alloc(32), driver.alloc(128)
        _chain(driver, buffer=buffer, ring_at=ring_at)
        driver.free(ring_at, 32)
        driver.run(16)
        assert driver.names == ["dma-freed"]
        assert "reading a descriptor" in str(driver.findings["dma-freed"])


# -- what the driver's own code touches --------------------------------------------------------------


def test_a_buffer_that_is_read_before_the_device_has_written_it() -> None:
    """The transfer was started, and its bytes come after the next access."""
    with guest() as driver:
        buffer = driver.alloc()
        driver.program(buffer, 512)
        seq = driver.start()
        driver.touch(buffer, seq, 0, 512)
        driver.read(CSR, 1)
        driver.run()
        assert driver.names == ["dma-touched-early"]


@pytest.mark.parametrize("poll", [False, True])
def test_a_status_word_in_memory_may_be_looked_at(poll: bool) -> None:
    with guest() as driver:
        status, buffer = driver.alloc(), driver.alloc()
        driver.program(buffer, 512)
        seq = driver.start()
        driver.run()
        driver.touch(status, seq, 0, 4, poll=poll)
        driver.touch(buffer, seq, 0, 512)
        driver.read(CSR, 1)
        assert not driver.findings


def test_an_interrupt_says_that_the_device_is_done() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.write(INTCSR, 0x0004_0100)
        driver.program(buffer, 512, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        seq = driver.start()
        driver.run()
        driver.touch(buffer, seq, 0, 512)
        driver.write(CSR, 9, 1)
        assert not driver.findings


def test_other_bytes_of_the_buffer_are_the_drivers() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.program(buffer, 512)
        seq = driver.start()
        driver.run()
        driver.touch(buffer, seq, 512, 1024)
        driver.touch(buffer, seq, 0, 4096, times=2)
        driver.touch(buffer, seq, 0, 512, write=True)
        driver.read(CSR, 1)
        driver.run()
        assert not driver.findings


def test_descriptors_that_are_given_back_in_memory() -> None:
    """The driver reads the counts that the chip wrote back, then the data, and asks no register."""
    with guest() as driver:
        ring_at, buffer = driver.alloc(32), driver.alloc(128)
        seq = _chain(driver, buffer=buffer, ring_at=ring_at, mode=CHAIN | CLEAR_COUNT)
        driver.run(16)
        driver.touch(ring_at, seq, 0, 32)
        driver.touch(buffer, seq, 0, 128)
        driver.read(CSR, 1)
        assert not driver.findings


def _circle(driver: Guest, *, to_pci: bool) -> tuple[int, int, int]:
    """Four descriptors in a circle, 64 bytes each, of which the first two are done; the list, the buffer, the start."""
    ring_at, buffer = driver.alloc(64), driver.alloc(256)
    flags = IN_PCI | (TO_PCI if to_pci else 0)
    for at in range(4):
        driver.descriptor(ring_at + 16 * at, buffer + 64 * at, 64, ring_at + 16 * ((at + 1) % 4) | flags)
    driver.write(MODE, CHAIN)
    driver.write(DPR, ring_at | IN_PCI)
    seq = driver.start()
    driver.run(6, 4096)
    assert driver.chips[0].channels[0].tally.descriptors == 2
    return ring_at, buffer, seq


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    ("start", "end", "named"),
    [(0, 256, True), (64, 192, True), (0, 128, False), (128, 256, False), (0, 64, False)],
    ids=["all", "across", "behind", "ahead", "far behind"],
)
def test_what_lies_around_the_device_in_a_circle_is_not_touched(write: bool, start: int, end: int, named: bool) -> None:
    """It works on the third quarter: behind it and ahead of it is the driver's, across it is not."""
    with guest() as driver:
        ring_at, buffer, _ = _circle(driver, to_pci=not write)
        driver.read(CSR, 1)
        driver.touch(buffer, driver.last, start, end, write=write)
        driver.read(CSR, 1)
        driver.run(3, 4096)
        driver.read(CSR, 1)
        rule = "dma-changed-busy" if write else "dma-touched-early"
        assert driver.names == ([rule] if named else [])
        driver.stop()
        driver.free(ring_at, 64)


@pytest.mark.parametrize("freed_before", ["address", "start"])
def test_what_was_done_after_the_free_is_the_mistake(freed_before: str) -> None:
    with guest() as driver:
        buffer = driver.alloc()
        if freed_before == "address":
            driver.free(buffer)
        driver.program(buffer)
        if freed_before == "start":
            driver.free(buffer)
        driver.start()
        driver.run()
        roles = [it.role for it in driver.findings["dma-freed"].places]
        first = ["DMAPADR0 written", "started"] if freed_before == "address" else ["started"]
        assert roles[: len(first) + 1] == [*first, "freed"]


def test_what_an_earlier_load_gave_back_is_somebody_else_s() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.free(buffer)
        driver.unload()
        driver.load()
        driver.transfer(buffer)
        assert driver.names == ["dma-not-allocated"]


def test_a_transfer_that_outlives_its_load_is_told_of_that_load() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.program(buffer)
        driver.start()
        driver.free(buffer)
        driver.unload()
        driver.load()
        driver.run()
        assert driver.names == ["dma-freed"]
        assert driver.findings["dma-freed"].load == 1


# -- places and loads --------------------------------------------------------------------------------


def test_the_main_place_is_where_the_wrong_value_was_written() -> None:
    with guest() as driver:
        driver.alloc()
        driver.write(MODE, BLOCK)
        seq = driver.write(PADR, OTHER)
        driver.write(SIZ, 64)
        driver.write(DPR, TO_PCI)
        driver.start()
        driver.run()
        (finding,) = driver.findings.values()
        assert (finding.places[0].seq, finding.places[0].role) == (seq, "DMAPADR0 written")


def test_the_place_of_an_access_is_known_at_the_end_though_its_record_comes_later() -> None:
    with guest() as driver:
        for _ in range(5000):
            driver.read(0x78)
        finding = driver.findings["nobody-answers"]
        assert [it.role for it in finding.places][:1] == ["access"]
        assert finding.load == 1


def test_each_load_has_its_findings() -> None:
    with guest(loaded=False) as driver:
        for load in range(1, 4):
            driver.load()
            driver.write(CSR, 2, 1)
            driver.alloc()
            driver.unload()
            driver.witness.drain()
            assert [(it.rule, it.load) for it in driver.room.findings[-2:]] == [
                ("start-without-enable", load),
                ("dma-left", load),
            ]


def test_a_client_that_leaves_takes_all_and_leaves_a_summary() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.map_failed(64)
        driver.transfer(OTHER)
        driver.leave()
        (kept,) = driver.kept
        assert kept["dma"] == {
            "allocations": 1,
            "frees": 0,
            "mappings": 0,
            "unmappings": 0,
            "failed": 1,
            "live": 1,
            "loads": 1,
            "accesses": 8,
            "matched": 8,
            "blind": "",
        }
        driver.boot()
        driver.transfer(buffer)
        assert driver.names == ["dma-not-allocated"]
        assert driver.findings["dma-not-allocated"].load == 0
