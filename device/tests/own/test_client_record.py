# SPDX-License-Identifier: Apache-2.0
"""A driver of a device of one's own is judged by what it does with DMA memory; what needs to be told waits for that."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from plx9x5x.findings.place import Written
from plx9x5x.own.client_record import ClientRecord
from plx9x5x.ports import ResetKind
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB
from plx9x5x.witness import ring
from plx9x5x.witness.judge import BusPurpose
from plx9x5x.witness.records import Access, Kind, Touch
from plx9x5x.witness.ring import RingReader, RingWriter
from plx9x5x.witness.witness import Witness
from tests.own.devices import ADDRESS, GO, LENGTH, Mover

BASE, RAM = 0xFEB0_0000, 0x10_0000
TEXT = 0xFFFF_FFFF_C000_0000
VA = 0xFFFF_C900_0000_0000


class Tells(Mover):
    """Tells that it moves data, by which write."""

    def bus_purpose(self) -> BusPurpose:
        return BusPurpose("the mover", started=Written("started", GO, (0,)), whole=True)


class Driver:
    """A guest's driver in process, whose calls and accesses are recorded."""

    def __init__(self, fd: int, make: Callable[..., Any]) -> None:
        self.said: list[str] = []
        self.kept: list[dict[str, Any]] = []
        self.witness = Witness(RingReader(fd), sink=lambda _: None, say=self.said.append)
        self.room = ClientRecord(self.said.append, keep=self.kept.append, witness=self.witness)
        self.host = Loopback(self.room.of(make, "mine:Mover"), enabled=False)
        self.host.ram(RAM, 64 * KIB)
        self.writer, self.pc, self.last = RingWriter(fd), TEXT, 0
        self.writer.state(ring.SAW_KERNEL)
        self.put(Kind.MODULE, 7, TEXT, 0x1000, 0, 0, text="my_drv")
        self.host.device.config_write(0x10, 4, BASE)
        self.host.device.config_write(4, 2, 7)

    def put(self, kind: Kind, *a: int, text: str = "", flags: int = 0, width: int = 0) -> None:
        self.pc += 16
        seq = self.writer.put(kind, *a, text=text, flags=flags, width=width, pc=self.pc)
        assert seq is not None
        self.last = seq

    def alloc(self, handle: int, size: int) -> None:
        self.put(Kind.ALLOC, VA + handle, handle, size, handle)

    def write(self, offset: int, value: int) -> None:
        self.put(Kind.ACCESS, BASE + offset, value, flags=Access.WRITE, width=4)
        self.host.device.write(0, offset, 4, value)

    def read(self, offset: int) -> None:
        value = self.host.device.read(0, offset, 4)
        self.put(Kind.ACCESS, BASE + offset, value, width=4)

    def go(self, how: int, address: int, length: int) -> None:
        for offset, value in ((ADDRESS, address), (LENGTH, length), (GO, how)):
            self.write(offset, value)

    def leave(self) -> list[str]:
        """The rules that it broke."""
        self.host.device.reset(ResetKind.LOST_CLIENT)
        return [finding["rule"] for finding in self.kept[-1]["findings"]]


@contextmanager
def driving(make: Callable[..., Any]) -> Iterator[Driver]:
    fd = ring.create("0000:00:02.0", 1024)
    try:
        yield Driver(fd, make)
    finally:
        os.close(fd)


@pytest.fixture(params=[Mover, Tells])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with driving(request.param) as made:
        yield made


@pytest.mark.parametrize("how", [1, 2])
def test_who_uses_what_was_given_is_not_blamed(driver: Driver, how: int) -> None:
    driver.alloc(RAM, 4096)
    driver.go(how, RAM, 4096)
    driver.host.run()
    driver.read(GO)
    assert driver.leave() == []
    assert driver.said[-1] == "findings: none"


def test_memory_that_was_never_given(driver: Driver) -> None:
    driver.alloc(RAM, 4096)
    driver.go(1, RAM + 0x4000, 64)
    driver.host.run()
    driver.read(GO)
    assert driver.leave() == ["dma-not-allocated"]


def test_memory_past_a_buffers_end_and_where_that_began(driver: Driver) -> None:
    driver.alloc(RAM, 4096)
    driver.go(1, RAM, 8192)
    began = driver.pc
    driver.host.run()
    driver.read(GO)
    assert driver.leave() == ["dma-beyond-end"]
    (finding,) = driver.kept[-1]["findings"]
    assert began in {place["pc"] for place in finding["places"]}
    assert any("dma-beyond-end" in line for line in driver.said)


def test_memory_that_was_taken_back(driver: Driver) -> None:
    driver.alloc(RAM, 4096)
    driver.put(Kind.FREE, VA + RAM, RAM, 4096)
    driver.go(2, RAM, 64)
    driver.host.run()
    driver.read(GO)
    assert driver.leave() == ["dma-freed"]


@pytest.mark.parametrize(("make", "rules"), [(Mover, []), (Tells, ["dma-touched-early"])])
def test_what_is_read_too_early_waits_for_a_device_that_tells_data_from_state(
    make: Callable[..., Any], rules: list[str]
) -> None:
    with driving(make) as driver:
        driver.alloc(RAM, 4096)
        driver.go(2, RAM, 512)
        start = driver.last
        driver.put(Kind.TOUCH, VA + RAM, VA + RAM + 512, 64, VA + RAM, RAM, start)
        driver.host.run()
        driver.read(GO)
        assert driver.leave() == rules


@pytest.mark.parametrize(("make", "rules"), [(Mover, []), (Tells, ["dma-changed-busy"])])
def test_a_ring_that_is_filled_while_the_device_reads_it(make: Callable[..., Any], rules: list[str]) -> None:
    with driving(make) as driver:
        driver.alloc(RAM, 4096)
        driver.go(1, RAM, 512)
        start = driver.last
        driver.put(Kind.TOUCH, VA + RAM, VA + RAM + 512, 64, VA + RAM, RAM, start, flags=Touch.WRITE)
        driver.host.run()
        driver.read(GO)
        assert driver.leave() == rules


def test_each_client_is_summed_up_for_itself(driver: Driver) -> None:
    driver.alloc(RAM, 4096)
    driver.go(1, RAM, 64)
    driver.host.run()
    driver.leave()
    assert driver.kept[-1]["device"]["from_memory"] == 64
    driver.leave()
    assert driver.kept[-1]["device"]["from_memory"] == 0
    driver.room.conclude()
    assert len(driver.kept) == 2
    driver.read(GO)
    driver.room.conclude()
    assert driver.kept[-1]["device"]["reads"] == 1
    assert driver.kept[-1]["dma"]["blind"] == ""


def test_without_a_witness_nothing_is_judged_and_all_is_counted() -> None:
    said: list[str] = []
    room = ClientRecord(said.append)
    host = Loopback(room.of(Mover, "mine:Mover"))
    host.device.read(0, 0, 4)
    host.device.reset(ResetKind.LOST_CLIENT)
    assert said == [
        "1 read and 0 writes of its BARs; DMA: 0 bytes from memory, 0 bytes to memory",
        "INTA# asserted 0 times",
    ]
