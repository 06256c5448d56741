# SPDX-License-Identifier: Apache-2.0
"""A driver that keeps the rules is never accused, however calls, posted writes and the device's work interleave."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plx9x5x.units import KIB
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


PLAYS = st.lists(st.sampled_from([coherent, stopped, mapped, listed, other_work]), min_size=1, max_size=5)


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
