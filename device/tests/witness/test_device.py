# SPDX-License-Identifier: Apache-2.0
"""The decorators around a device: what is published, what is passed on, where the handler is; and the log of calls."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from plx9x5x.findings.place import Handler, LastWrite, MasterCall, Seen
from plx9x5x.ports import BusMaster, HasMessage, IrqLine, PciDevice, RegionSpec, ResetKind
from plx9x5x.transport.loopback import Loopback
from plx9x5x.transport.msix import with_messages
from plx9x5x.witness import ring
from plx9x5x.witness.device import DRAIN_NS, WitnessedDevice, WitnessedLine, witnessed
from plx9x5x.witness.log import CallLog, as_json
from plx9x5x.witness.records import GONE, Access, Alloc, Kind, Master, Record
from plx9x5x.witness.ring import RingReader, RingWriter
from plx9x5x.witness.rules import RULES
from plx9x5x.witness.witness import Witness
from tests.transport.fake_device import FakeDevice
from tests.witness.guest import BLOCK, CSR, DONE_INTERRUPT, INTCSR, RAM, TEXT, TO_INTA, guest

KERNEL = 0xFFFF_FFFF_8100_0000


@pytest.fixture
def fd() -> Iterator[int]:
    made = ring.create("0000:00:02.0", 64)
    yield made
    os.close(made)


def witness_of(fd: int, *, log: CallLog | None = None) -> Witness:
    return Witness(RingReader(fd), sink=lambda _: None, say=lambda _: None, log=log)


class Wide(FakeDevice):
    """A device with a BAR of 64 bits, one of I/O, and nothing else."""

    def __init__(self, bus: BusMaster, irq: IrqLine) -> None:
        specs = (RegionSpec(0x1000), RegionSpec(0), RegionSpec(0x100, is_io=True), *(RegionSpec(0),) * 3)
        super().__init__(bus, irq, regions=specs)

    def config_read(self, offset: int, width: int) -> int:
        return 4 if offset == 0x10 else 0


def test_bars_of_64_bits_and_of_io_are_published(fd: int) -> None:
    device = Loopback(witnessed(Wide, witness_of(fd)), enabled=False).device
    writer = RingWriter(fd)
    device.config_write(0x10, 4, 0xF000_0FFF)
    device.config_write(0x14, 4, 0x12)
    device.config_write(0x18, 4, 0xC001)
    assert writer.bar(0) == (0x12_F000_0000, 0, False), "not decoded"
    device.config_write(4, 1, 2)
    assert (writer.bar(0), writer.bar(2)) == ((0x12_F000_0000, 0x1000, False), (0xC000, 0, True))
    device.config_write(4, 1, 3)
    assert writer.bar(2) == (0xC000, 0x100, True)
    device.config_write(4, 1, 0)
    assert (writer.bar(0)[1], writer.bar(2)[1]) == (0, 0)


def test_accesses_by_port_are_matched_as_such(fd: int) -> None:
    witness = witness_of(fd)
    device = Loopback(witnessed(Wide, witness), enabled=False).device
    writer = RingWriter(fd)
    device.config_write(0x18, 4, 0xC000)
    device.config_write(4, 1, 3)
    for flags, matched in ((Access.WRITE, 0), (Access.WRITE | Access.PORT, 1)):
        device.write(2, 8, 4, 5)
        writer.put(Kind.ACCESS, 0xC008, 5, flags=flags, width=4, pc=9)
        witness.drain()
        assert witness.matching.matched == matched
    writer.put(Kind.ACCESS, 0x1234, 5, flags=Access.WRITE, width=4, pc=9)
    witness.drain()
    spot = witness.find(LastWrite())
    assert spot is not None


def test_the_ring_is_looked_at_while_a_client_is_there(fd: int) -> None:
    device: PciDevice = Loopback(witnessed(Wide, witness_of(fd)), enabled=False).device
    before = device.wait_ns()
    device.config_read(0, 4)
    assert device.wait_ns() == min(DRAIN_NS, before or DRAIN_NS)
    device.reset(ResetKind.LOST_CLIENT)
    assert device.wait_ns() == before


def test_messages_go_beside_it(fd: int) -> None:
    device = Loopback(with_messages(witnessed(Wide, witness_of(fd)))).device
    assert isinstance(device, HasMessage)
    device.write(5, 0, 4, 1)
    assert device.read(5, 0, 4) == 1


class Counting:
    """A line that counts, or one that does not."""

    level = False

    def set(self, level: bool) -> None:
        self.level = level


def test_a_line_counts_what_was_sent_where_it_can(fd: int) -> None:
    plain = Counting()
    line = WitnessedLine(plain, witness_of(fd))
    line.sent = 5
    assert (line.sent, line.level) == (0, False)
    plain.sent = 3  # type: ignore[attr-defined]
    assert line.sent == 3
    line.sent = 0
    assert line.sent == 0
    line.set(True)
    assert plain.level


def test_the_handler_is_the_drivers_own_and_the_last(fd: int) -> None:
    with guest() as driver:
        driver.put(Kind.IRQ, 11, KERNEL, 0, 0x80, 1, 0)
        driver.put(Kind.IRQ, 11, TEXT + 0x100, 0, 0x80, 1, (1 << 64) - 16)
        driver.put(Kind.IRQ, 11, TEXT + 0x200, 0, 0, 1, 0, flags=GONE)
        driver.witness.drain()
        assert driver.witness.find(Handler()) is None
        seq = driver.put(Kind.IRQ, 11, KERNEL, TEXT + 0x300, 0x80, 1, 0)
        driver.witness.drain()
        assert driver.witness.find(Handler()) is None  # it has not run
        driver.handles(TEXT + 0x300)
        driver.witness.drain()
        spot = driver.witness.find(Handler())
        assert spot is not None
        assert (spot.pc, spot.seq) == (TEXT + 0x300, seq)


def test_a_storm_is_the_handlers() -> None:
    with guest() as driver:
        driver.put(Kind.IRQ, 11, TEXT + 0x100, 0, 0x80, 1, 0)
        buffer = driver.alloc()
        driver.write(INTCSR, 0x0004_0100)
        driver.program(buffer, 512, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
        driver.start()
        driver.run()
        driver.handles(TEXT + 0x100)
        for _ in range(1100):
            driver.read(INTCSR)
        finding = driver.findings["interrupt-not-acknowledged"]
        assert [it.role for it in finding.places] == ["handler", "access"]
        assert finding.places[0].pc == TEXT + 0x100


def test_mastering_that_was_taken_back_is_where_the_call_was() -> None:
    with guest() as driver:
        buffer = driver.alloc()
        driver.put(Kind.MASTER, flags=Master.SET)
        driver.program(buffer, 4096)
        driver.start()
        seq = driver.put(Kind.MASTER, flags=Master.DISABLED)
        driver.device.config_write(4, 2, 3)
        driver.run()
        finding = driver.findings["bus-lost-while-busy"]
        assert (finding.places[0].role, finding.places[0].seq) == ("called", seq)
        spot = driver.witness.find(MasterCall())
        assert spot is not None
        assert driver.witness.find(Seen("x", spot)) is spot


def test_a_write_by_nobody_who_is_watched_is_waited_for_a_bounded_time() -> None:
    with guest() as driver:
        for _ in range(400):
            driver.device.write(0, CSR, 1, 2)
        (finding,) = driver.findings.values()
        assert (finding.rule, finding.count, finding.load) == ("start-without-enable", 400, 1)
        assert finding.places == ()


def test_rules_are_silent_without_a_ring_that_says_anything() -> None:
    with guest(watched=False) as driver:
        driver.transfer(RAM)
        assert not {rule.name for rule in RULES} & set(driver.names)
        assert "records nothing" in driver.witness.blind


def test_a_device_that_raises_is_not_under_way_any_more(fd: int) -> None:
    class Broken(Wide):
        def read(self, bar: int, offset: int, width: int) -> int:
            raise ZeroDivisionError

    witness = witness_of(fd)
    device = Loopback(witnessed(Broken, witness), enabled=False).device
    assert isinstance(device, WitnessedDevice)
    with pytest.raises(ZeroDivisionError):
        device.read(0, 0, 4)
    assert witness.here() is None


# -- the log -----------------------------------------------------------------------------------------


def test_each_in_is_met_however_often_the_ring_is_looked_at() -> None:
    with guest() as driver:
        driver.device.config_write(0x14, 4, 0xC001)
        for at in range(200):
            driver.put(Kind.ACCESS, 0xC000 + INTCSR, 0, flags=Access.PORT, width=4)
            if at % 3 == 0:
                driver.witness.drain()
            driver.device.read(1, INTCSR, 4)
        driver.witness.drain()
        assert driver.witness.matching.matched == driver.witness.matching.accesses == 200


NO_CALLS = (Kind.ACCESS, Kind.TOUCH, Kind.HANDLER)


def test_each_call_is_a_line_and_accesses_are_none(fd: int, tmp_path: Path) -> None:
    path = tmp_path / "calls"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        witness, writer = witness_of(fd, log=CallLog(file)), RingWriter(fd)
        for kind in Kind:
            writer.put(kind, 1, 2, 3, 4, 5, 6, 7, 8, flags=1, pc=99, text="name")
        witness.drain()
    finally:
        os.close(file)
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [it["kind"] for it in told] == [it.name.lower() for it in Kind if it not in NO_CALLS]
    assert all(it["pc"] == 99 and it["seq"] for it in told)
    of = {it["kind"]: it for it in told}
    assert (of["alloc"]["va"], of["alloc"]["handle"], of["alloc"]["size"], of["alloc"]["pool_page"]) == (1, 2, 3, True)
    assert (of["map"]["va"], of["map"]["list"], of["map"]["index"]) == (5, 6, 7)
    assert of["module"]["name"] == "name"
    assert of["module"]["gone"]
    assert of["sync"]["for_device"]
    assert of["mask"]["coherent"]
    assert of["master"]["set"]


def test_a_log_that_is_cut_is_known_of_every_client(fd: int, tmp_path: Path) -> None:
    file = os.open(tmp_path / "calls", os.O_WRONLY | os.O_CREAT)
    try:
        witness, writer = witness_of(fd, log=CallLog(file, most=300)), RingWriter(fd)
        assert witness.summary()["calls_cut"] == ""
        for _ in range(10):
            writer.put(Kind.FREE, 1)
        witness.drain()
        assert "has its bytes" in str(witness.summary()["calls_cut"])
    finally:
        os.close(file)


def test_a_log_is_bounded_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "calls"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    log = CallLog(file, most=300)
    record = Record(1, Kind.FREE, Alloc.MANAGED, 0, 0, 1, (0,) * 8)
    for _ in range(10):
        log.take(record)
        log.flush()
    assert "has its bytes" in log.trouble
    assert 0 < path.stat().st_size <= 300
    os.close(file)
    log = CallLog(file)
    log.take(record)
    log.flush()
    assert "cannot be written" in log.trouble
    assert as_json(record._replace(kind=Kind.ACCESS)) is None
