# SPDX-License-Identifier: Apache-2.0
"""Two watched modules beside each other: each has its own loads, its own memory and its own interrupt handler."""

import pytest

from plx9x5x.findings.place import Handler, Spot
from plx9x5x.witness.modules import MOST_LOADS, Modules
from plx9x5x.witness.records import GONE, Kind, Record
from tests.witness.guest import BOTH, CSR, INTCSR, RAM, TEXT, Guest, guest

OTHER = 0xFFFF_FFFF_D000_0000
MAPPED = RAM + 0x10_0000


def load_other(driver: Guest, *, gone: bool = False) -> None:
    driver.put(Kind.MODULE, 0x99, OTHER, 0x1000, 0, 0, text="other", flags=GONE if gone else 0)


@pytest.mark.parametrize("first", [True, False])
def test_what_a_driver_leaves_is_told_whoever_else_was_loaded(first: bool) -> None:
    with guest(loaded=False) as driver:
        if first:
            load_other(driver)
        driver.load()
        if not first:
            load_other(driver)
        driver.alloc()
        driver.map(MAPPED, 64, BOTH)
        load_other(driver, gone=True)
        assert not driver.findings
        driver.unload()
        assert driver.names == ["dma-left"]
        assert [it.load for it in driver.room.findings] == [1, 1]


def test_loads_are_counted_for_each_module_by_itself() -> None:
    with guest(loaded=False) as driver:
        for turn in range(1, 4):
            load_other(driver)
            driver.load()
            driver.alloc()
            if turn == 2:
                load_other(driver, gone=True)
            driver.unload()
            assert driver.findings
            assert driver.room.findings[-1].load == turn
        assert driver.witness.summary()["loads"] == 6


def test_a_freed_buffer_is_known_to_be_the_drivers_though_another_module_came_since() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.free(buffer)
        load_other(driver)
        driver.transfer(buffer)
        assert driver.names == ["dma-freed"]
        driver.free(buffer)
        assert "twice" in driver.findings["dma-free-mismatch"].what


def test_what_an_earlier_load_freed_was_somebody_elses_since() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.free(buffer)
        driver.unload()
        driver.load()
        driver.transfer(buffer)
        driver.free(buffer)
        assert driver.names == ["dma-free-mismatch", "dma-not-allocated"]
        assert "twice" not in driver.findings["dma-free-mismatch"].what


def irq(driver: Guest, handler: int) -> None:
    driver.put(Kind.IRQ, 11, handler, 0, 0x80, 1, 0)
    driver.handles(handler)
    driver.witness.drain()


def handler(driver: Guest) -> int:
    spot = driver.witness.find(Handler())
    return spot.pc if spot is not None else 0


@pytest.mark.parametrize("used_by", ["access", "call"])
def test_the_handler_is_that_of_the_module_which_uses_the_card(used_by: str) -> None:
    with guest() as driver:
        load_other(driver)
        irq(driver, OTHER + 0x10)
        assert handler(driver) == OTHER + 0x10, "nobody has used the card so far"
        if used_by == "access":
            driver.write(INTCSR, 0)
        else:
            driver.alloc()
        driver.witness.drain()
        assert handler(driver) == 0
        irq(driver, TEXT + 0x100)
        irq(driver, OTHER + 0x20)
        assert handler(driver) == TEXT + 0x100
        driver.read(CSR, 1)
        irq(driver, TEXT + 0x200)
        assert handler(driver) == TEXT + 0x200


def test_a_place_is_of_the_newest_loads_however_many_there_were() -> None:
    modules = Modules()

    def come(seq: int) -> None:
        modules.take(Record(seq, Kind.MODULE, 0, 0, 0, 0, (7, TEXT, 0x1000, 0, 0, 0, 0, 0), "my_drv"))

    for seq in range(1, 3 * MOST_LOADS):
        come(2 * seq)
    for load in (3 * MOST_LOADS - 1, 2 * MOST_LOADS + 5):
        found = modules.at_time(TEXT + 8, 2 * load + 1)
        assert found is not None
        assert found.load == load
    assert modules.at_time(TEXT, 1) is None
    assert len(modules._history) <= 2 * MOST_LOADS


def test_an_access_long_after_is_of_the_load_that_is_there() -> None:
    with guest(capacity=1 << 14) as driver:
        for _ in range(MOST_LOADS + 10):
            driver.unload()
            driver.load()
        driver.witness.drain(1 << 62)
        seq = driver.write(CSR, 0, 1)
        driver.witness.drain()
        module = driver.witness.module_of(Spot(driver.pc, seq))
        assert module is not None
        assert module.load == MOST_LOADS + 11
