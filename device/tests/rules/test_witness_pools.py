# SPDX-License-Identifier: Apache-2.0
"""Pools and their blocks, lists of descriptors: what of them is the device's."""

from collections.abc import Callable

import pytest

from plx9x5x.witness.records import Alloc, Kind
from tests.witness.guest import (
    CHAIN,
    CLEAR_COUNT,
    CSR,
    DPR,
    IN_PCI,
    LAST,
    RAM,
    TO_PCI,
    Guest,
    chain,
    guest,
)

POOL = 0xFFFF_8880_0001_0000
OTHER = RAM + 0x10_0000


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


def test_a_chain_is_data_and_descriptors() -> None:
    with guest() as driver:
        ring_at, buffer = driver.alloc(32), driver.alloc(128)
        chain(driver, buffer=buffer, ring_at=ring_at, mode=CHAIN | CLEAR_COUNT)
        driver.run(16)
        assert driver.read(CSR, 1) & 16
        driver.free(ring_at, 32)
        driver.free(buffer, 128)
        assert not driver.findings, driver.said


def test_a_wrong_address_in_a_descriptor_is_where_the_descriptor_was_written() -> None:
    with guest() as driver:
        ring_at = driver.alloc(32)
        chain(driver, buffer=OTHER, ring_at=ring_at)
        driver.run(16)
        (finding,) = driver.findings.values()
        assert finding.rule == "dma-not-allocated"
        assert [it.role for it in finding.places] == ["started", "DMADPR0 written", "descriptors written"]
        assert finding.count == 2


def test_one_word_of_a_list_that_is_wrong_is_where_it_was_written() -> None:
    with guest() as driver:
        ring_at, buffer = driver.alloc(32), driver.alloc(128)
        chain(driver, buffer=buffer, ring_at=ring_at)
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
        chain(driver, buffer=buffer, ring_at=ring_at)
        driver.free(ring_at, 32)
        driver.run(16)
        assert driver.names == ["dma-freed"]
        assert "reading a descriptor" in str(driver.findings["dma-freed"])
