# SPDX-License-Identifier: Apache-2.0
"""A driver that keeps the rules is never accused, however calls, posted writes and the device's work interleave."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plx9x5x.units import KIB
from plx9x5x.witness.doubts import QUIET_NS, STEPS
from plx9x5x.witness.records import FOR_DEVICE, Kind
from tests.length import tries
from tests.witness.guest import BLOCK, BOTH, CSR, FROM_DEVICE, MODE, PADR, RAM, SIZ, TO_DEVICE, TO_PCI, Guest, guest
from tests.witness.guest import DPR as POINTER

OTHER = RAM + 0x10_0000
LIST = 0xFFFF_8880_0002_0000


class Late:
    """A driver whose writes are posted: they arrive when somebody draws so, at the latest before a read's answer."""

    def __init__(self, driver: Guest, data: st.DataObject) -> None:
        self.driver, self.data = driver, data

    def between(self) -> None:
        """Some of what was posted arrives, and the device works a little."""
        driver = self.driver
        for _ in range(self.data.draw(st.integers(0, 3), "arrive")):
            if driver.posted:
                driver.device.write(*driver.posted.pop(0))
        for _ in range(self.data.draw(st.integers(0, 2), "work")):
            driver.device.step(self.data.draw(st.sampled_from([1, 4096, 64 * KIB]), "budget"))

    def write(self, offset: int, value: int, width: int = 4) -> int:
        seq = self.driver.write(offset, value, width, post=True)
        self.between()
        return seq

    def wait(self) -> int:
        """Until DONE; give the last access."""
        while True:
            self.between()
            if self.driver.read(CSR, 1) & 16:
                return self.driver.last
            self.driver.run(1)

    def start(self, pci: int, size: int, *, to_pci: bool) -> int:
        for offset, value in ((MODE, BLOCK), (PADR, pci), (SIZ, size), (POINTER, TO_PCI if to_pci else 0)):
            self.write(offset, value)
        return self.write(CSR, 3, 1)

    def stop(self, *, waits: bool) -> None:
        """By posted writes alone, or to its end."""
        self.write(CSR, 0, 1)
        self.write(CSR, 4, 1)
        if waits:
            self.wait()


def coherent(driver: Guest, late: Late) -> None:
    size = late.data.draw(st.sampled_from([1, 100, 4096, 100 * KIB]), "size")
    buffer = driver.alloc(size)
    after = driver.last
    to_pci = late.data.draw(st.booleans(), "to PCI")
    driver.touch(buffer, after, 0, min(size, 512), write=True)
    late.start(buffer, size, to_pci=to_pci)
    after = late.wait()
    driver.touch(buffer, after, 0, min(size, 512))
    driver.free(buffer, size)
    late.between()


def stopped(driver: Guest, late: Late) -> None:
    """The stop may still be on its way when the memory goes, and the memory may be another's at once."""
    buffer = driver.alloc(100 * KIB)
    late.start(buffer, 100 * KIB, to_pci=True)
    late.stop(waits=late.data.draw(st.booleans(), "waits"))
    driver.free(buffer, 100 * KIB)
    late.between()


def stopped_by_others(driver: Guest, late: Late) -> None:
    """The stop is by code that nobody watches: it has no record, and is on its way when the memory goes."""
    size = 100 * KIB
    buffer = driver.alloc(size)
    late.start(buffer, size, to_pci=True)
    driver.posted += [(0, CSR, 1, 0), (0, CSR, 1, 4)]
    late.between()
    driver.free(buffer, size, cpu=late.data.draw(st.integers(0, 1), "cpu"))
    late.between()
    again = late.data.draw(st.sampled_from([0, 4096, size]), "allocated again")
    if again:
        driver.alloc(again, handle=buffer)
        late.between()
    if late.data.draw(st.booleans(), "stops it, too"):
        late.stop(waits=late.data.draw(st.booleans(), "waits"))
    if again:
        driver.free(buffer, again)
        late.between()


def mapped(driver: Guest, late: Late) -> None:
    to_pci = late.data.draw(st.booleans(), "to PCI")
    direction = late.data.draw(st.sampled_from([BOTH, FROM_DEVICE if to_pci else TO_DEVICE]), "direction")
    driver.map(OTHER, 5000, direction)
    for _ in range(late.data.draw(st.integers(1, 3), "rounds")):
        late.start(OTHER, 5000, to_pci=to_pci)
        late.wait()
        driver.put(Kind.SYNC, OTHER, 5000, direction)
        late.between()
        driver.put(Kind.SYNC, OTHER, 5000, direction, flags=FOR_DEVICE)
    driver.unmap(OTHER, 5000, direction)


def merged(driver: Guest, late: Late) -> None:
    """Mappings that happen to follow each other are one transfer."""
    sizes = (4096, 100, 3996)
    starts = (OTHER, OTHER + 4096, OTHER + 4196)
    directions = [late.data.draw(st.sampled_from([BOTH, FROM_DEVICE]), "direction") for _ in starts]
    pieces = tuple(zip(starts, sizes, directions, strict=True))
    for piece in pieces:
        driver.map(*piece)
    late.start(OTHER, sum(sizes), to_pci=True)
    late.wait()
    for piece in pieces:
        driver.unmap(*piece)


def listed(driver: Guest, late: Late) -> None:
    for index in range(3):
        driver.map(OTHER + 4096 * index, 4096, FROM_DEVICE, sg=LIST, index=index, of=3)
    late.start(OTHER, 3 * 4096, to_pci=True)
    late.wait()
    driver.unmap(0, 0, FROM_DEVICE, sg=LIST)


def other_work(driver: Guest, late: Late) -> None:
    """Another buffer is freed while a transfer runs; its memory is given to somebody else."""
    first, second = driver.alloc(), driver.alloc()
    late.start(first, 4096, to_pci=True)
    driver.free(second)
    late.between()
    third = driver.alloc(handle=second)
    late.wait()
    driver.free(first)
    driver.free(third)


PLAYS = st.lists(
    st.sampled_from([coherent, stopped, stopped_by_others, mapped, merged, listed, other_work]), min_size=1, max_size=5
)


@settings(
    max_examples=tries(20, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(PLAYS, st.data())
def test_a_driver_that_keeps_the_rules_is_never_accused(plays: list[object], data: st.DataObject) -> None:
    with guest(syncs=True) as driver:
        late = Late(driver, data)
        for play in plays:
            assert callable(play)
            play(driver, late)
        driver.deliver()
        driver.run()
        driver.unload()
        assert not driver.findings, driver.said
        assert not driver.witness.blind


@settings(max_examples=tries(10, 30), deadline=None)
@given(st.data())
def test_one_that_frees_too_early_is_accused_of_that_alone(data: st.DataObject) -> None:
    """Whatever arrives when: the device works on memory that is gone, unless it was done before."""
    with guest() as driver:
        late = Late(driver, data)
        buffer = driver.alloc(100 * KIB)
        late.start(buffer, 100 * KIB, to_pci=True)
        driver.free(buffer, 100 * KIB)
        moved_before = driver.chips[0].channels[0].tally.to_pci
        driver.deliver()
        driver.run()
        assert driver.names == (["dma-freed"] if moved_before < 100 * KIB else [])


def freed_at_once(driver: Guest) -> None:
    """A driver that frees while the device works, which goes on after that."""
    buffer = driver.alloc(100 * KIB)
    driver.program(buffer, 100 * KIB)
    driver.start()
    driver.run(1, 4096)
    driver.free(buffer, 100 * KIB)
    driver.run(1, 4096)


def test_a_stop_that_nobody_recorded_is_waited_for() -> None:
    with guest() as driver:
        freed_at_once(driver)
        assert not driver.room.findings, "it may be on its way"
        driver.device.write(0, CSR, 1, 0)
        driver.device.write(0, CSR, 1, 4)
        driver.read(CSR, 1)
        assert not driver.findings


def test_what_the_device_does_after_a_read_that_came_after_the_free_is_certain() -> None:
    with guest() as driver:
        freed_at_once(driver)
        driver.read(CSR, 1)
        driver.witness.drain()
        assert [it.rule for it in driver.room.findings] == ["dma-freed"]
        driver.device.write(0, CSR, 1, 0)
        assert driver.names == ["dma-freed"]


def test_a_write_behind_that_read_is_no_part_of_it_although_its_record_is_not_there_yet() -> None:
    with guest() as driver:
        freed_at_once(driver)
        driver.read(CSR, 1)
        driver.device.write(0, CSR, 1, 0)
        driver.witness.drain()
        assert [it.rule for it in driver.room.findings] == ["dma-freed"]


def test_a_read_by_another_processor_may_have_been_sent_before() -> None:
    with guest() as driver:
        freed_at_once(driver)
        driver.read(CSR, 1, cpu=1)
        driver.witness.drain()
        assert not driver.room.findings
        driver.read(CSR, 1, cpu=1)
        driver.witness.drain()
        assert [it.rule for it in driver.room.findings] == ["dma-freed"]


def test_without_any_read_it_is_told_once_it_is_quiet() -> None:
    with guest() as driver:
        time = 0
        driver.witness.doubts._host_ns = lambda: time
        freed_at_once(driver)
        for _ in range(2 * STEPS):
            driver.run(1)
        assert not driver.room.findings
        time = QUIET_NS
        driver.run(1)
        (finding,) = driver.room.findings
        assert finding.rule == "dma-freed"
        assert [it.role for it in finding.places] == ["freed", "DMAPADR0 written", "started", "allocated"]


def test_quiet_is_not_what_passes_while_nobody_listens() -> None:
    """A server that was stopped for a while has not heard what came meanwhile."""
    with guest() as driver:
        time = 0
        driver.witness.doubts._host_ns = lambda: time
        freed_at_once(driver)
        time = 10 * QUIET_NS
        driver.run(1, 4096)
        assert not driver.room.findings
        driver.device.write(0, CSR, 1, 0)
        driver.run(2 * STEPS)
        time *= 2
        driver.run(2 * STEPS)
        assert not driver.room.findings
