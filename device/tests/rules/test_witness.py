# SPDX-License-Identifier: Apache-2.0
"""Each rule of the witness by a wrong driver that it names and a right one beside it, of which nothing is said."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from plx9x5x.findings.finding import Who, from_json
from plx9x5x.witness.records import Kind
from plx9x5x.witness.rules import RULES
from tests.witness.guest import (
    BOTH,
    CSR,
    FROM_DEVICE,
    RAM,
    TO_DEVICE,
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
        driver.masks(mask)
        driver.transfer(3 * HIGH + RAM)
        driver.stop()

    return play


def _within_mask(driver: Guest) -> None:
    driver.masks((1 << 64) - 1)
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


@pytest.mark.parametrize("polled", [True, False])
def test_who_saw_a_word_that_the_card_writes_may_read_on_behind_it(polled: bool) -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.program(buffer, 512, to_pci=True)
        seq = driver.start()
        driver.run()
        driver.touch(buffer, seq, 0, 4, poll=polled, times=50 if polled else 1)
        driver.touch(buffer, seq, 4, 512)
        driver.read(CSR, 1)
        driver.run()
        assert not driver.findings


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


def test_nobody_but_an_iommu_stops_a_direction() -> None:
    with guest() as driver:
        driver.map(0x7000_0000, 4096, FROM_DEVICE)
        driver.transfer(0x7000_0000, to_pci=False)
        (finding,) = driver.findings.values()
        assert finding.rule == "dma-direction"
        assert "the IOMMU stopped it" in str(finding)


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


@pytest.mark.parametrize(
    ("second", "direction", "size", "right"),
    [
        (OTHER + 4096, FROM_DEVICE, 4096, True),
        (OTHER + 4096, BOTH, 4096, True),
        (OTHER + 4096, TO_DEVICE, 4096, False),
        (OTHER + 4160, FROM_DEVICE, 4096, False),
        (OTHER + 4096, FROM_DEVICE, 4032, False),
    ],
)
def test_mappings_that_follow_each_other_may_be_one_transfer(
    second: int, direction: int, size: int, right: bool
) -> None:
    with guest() as driver:
        driver.map(OTHER, 4096, FROM_DEVICE)
        driver.map(second, size, direction)
        driver.transfer(OTHER, 2 * 4096)
        assert driver.names == ([] if right else ["dma-beyond-end"])


def test_a_list_of_more_pieces_than_are_looked_at_is_right() -> None:
    with guest() as driver:
        for index in range(1500):
            driver.map(OTHER + 8 * index, 8, FROM_DEVICE, sg=LIST, index=index, of=1500)
        driver.transfer(OTHER, 8 * 1500)
        assert not driver.findings


def test_allocations_that_happen_to_follow_each_other_are_two() -> None:
    with guest() as driver:
        driver.alloc(4096, handle=OTHER)
        driver.alloc(4096, handle=OTHER + 4096)
        driver.transfer(OTHER, 2 * 4096)
        assert driver.names == ["dma-beyond-end"]


def test_a_copy_of_a_lists_entries_is_as_good_as_the_list() -> None:
    with guest() as driver:
        for index in range(2):
            driver.map(OTHER + 4096 * index, 4096, FROM_DEVICE, sg=LIST, index=index, of=2)
        driver.unmap(OTHER, 0, FROM_DEVICE, sg=LIST + 0x1000)
        driver.unload()
        assert not driver.findings
    with guest() as driver:
        for index in range(2):
            driver.map(OTHER + 4096 * index, 4096, FROM_DEVICE, sg=LIST, index=index, of=2)
        driver.unmap(OTHER + 4096, 0, FROM_DEVICE, sg=LIST + 0x1000)  # not its first
        assert driver.names == ["dma-free-mismatch"]


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
        assert driver.names == ["dma-beyond-end"]


def test_a_transfer_that_wraps_and_began_in_no_buffer_wraps() -> None:
    with guest() as driver:
        driver.alloc(2048)
        driver.transfer((1 << 32) - 64, 128)
        assert "address-wraps" in driver.names
