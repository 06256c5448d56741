# SPDX-License-Identifier: Apache-2.0
"""What a driver's own code touches of the memory that its device has in hand."""

import pytest

from plx9x5x.witness.records import Kind
from tests.witness.guest import (
    BLOCK,
    CHAIN,
    CLEAR_COUNT,
    CSR,
    DONE_INTERRUPT,
    DPR,
    IN_PCI,
    INTCSR,
    MODE,
    TEXT,
    TO_INTA,
    TO_PCI,
    Guest,
    chain,
    guest,
)


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


@pytest.mark.parametrize("who", ["before", "in the handler", "in its thread", "another's handler"])
def test_who_read_before_the_handler_began_had_not_heard_of_the_interrupt(who: str) -> None:
    handler, thread = TEXT + 0x4000, TEXT + 0x5000
    with guest() as driver:
        driver.put(Kind.IRQ, 11, handler, thread, 0x80, 1, 0)
        buffer = driver.alloc()
        driver.write(INTCSR, 0x0004_0100)
        driver.program(buffer, 512, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        window = driver.start()
        driver.run()
        if who == "in the handler":
            window = driver.handles(handler)
        elif who == "in its thread":
            driver.handles(handler)
            window = driver.handles(thread)
        driver.touch(buffer, window, 0, 512)
        if who in ("before", "another's handler"):
            driver.handles(handler if who == "before" else TEXT + 0x6000)
        driver.write(CSR, 9, 1)
        driver.run()
        assert driver.names == (["dma-touched-early"] if who == "before" else [])


def test_what_is_read_after_the_handler_is_not_what_was_moved_before_it() -> None:
    handler = TEXT + 0x4000
    with guest() as driver:
        driver.put(Kind.IRQ, 11, handler, 0, 0x80, 1, 0)
        buffer = driver.alloc()
        driver.write(INTCSR, 0x0004_0100)
        for _ in range(3):
            driver.program(buffer, 512, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
            driver.start()
            driver.run()
            driver.handles(handler)
            seq = driver.write(CSR, 9, 1)
            driver.touch(buffer, seq, 0, 512)
        driver.handles(handler)
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
        seq = chain(driver, buffer=buffer, ring_at=ring_at, mode=CHAIN | CLEAR_COUNT)
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
