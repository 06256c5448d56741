# SPDX-License-Identifier: Apache-2.0
"""With a witness a line of the trace has the place of its access, and waits for it a little, in order."""

from pathlib import Path

import pytest

from plx9x5x import events
from plx9x5x.findings.place import Spot
from plx9x5x.trace.regtrace import HELD_MOST, HELD_NS, Access, RegisterTrace, parse
from tests.witness.guest import CSR, guest


class Writer:
    """A trace with a clock, and accesses whose places come when the test says so."""

    def __init__(self, path: Path) -> None:
        self.time = 0
        self.spot: Spot | None = None
        self.path = path
        self.trace = RegisterTrace(path, now=lambda: self.time, place=lambda: self.spot)

    def access(self, offset: int, spot: Spot | None) -> Spot | None:
        self.spot = spot
        self.trace.emit(events.RegionAccess(self.time, 0, offset, 4, 1, is_write=False))
        return spot

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.path.read_text().splitlines()]


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path / "trace")


def test_a_place_that_is_known_is_written_at_once(writer: Writer) -> None:
    writer.access(4, Spot(0xFFFF_FFFF_C000_1234, 56))
    writer.access(8, None)
    assert writer.lines == ["R 0 0x004 4 0x00000001  @0xffffffffc0001234 #56", "R 0 0x008 4 0x00000001"]
    assert parse("1.000000000 " + writer.lines[0]) == Access(False, 0, 4, 4, 1)


def test_a_line_waits_for_its_place_and_the_others_behind_it(writer: Writer) -> None:
    spot = writer.access(4, Spot())
    assert spot is not None
    writer.access(8, Spot(7, 7))
    writer.trace.emit(events.TransferDone(0, 0, aborted=False))
    assert writer.lines == []
    spot.pc, spot.seq = 5, 5
    writer.trace.emit(events.StepEnded(0, goes_on=False))
    assert writer.lines == ["R 0 0x004 4 0x00000001  @0x5 #5", "R 0 0x008 4 0x00000001  @0x7 #7", "done 0", "idle"]


def test_it_does_not_wait_for_ever(writer: Writer) -> None:
    writer.access(4, Spot())
    writer.time = HELD_NS
    writer.trace.emit(events.StepEnded(0, goes_on=False))
    assert writer.lines == ["R 0 0x004 4 0x00000001", "idle"]
    for _ in range(HELD_MOST + 3):
        writer.access(8, Spot())
    assert len(writer.lines) == 2 + 3
    writer.trace.close()
    assert len(writer.lines) == 2 + HELD_MOST + 3


class Sink:
    """Has the chip tell of every access."""

    enabled = True

    def __init__(self, trace: RegisterTrace) -> None:
        self.emit = trace.emit


def test_the_accesses_of_a_watched_driver_have_their_places(tmp_path: Path) -> None:
    with guest() as driver:
        trace = RegisterTrace(tmp_path / "trace", place=driver.witness.here)
        driver.chips[0]._trace = Sink(trace)
        driver.device.config_write(4, 2, 7)
        first = driver.write(CSR, 1, 1)
        driver.read(CSR, 1)
        driver.run(1)
        trace.close()
        lines = (tmp_path / "trace").read_text().splitlines()
        marked = [line.split(" ", 1)[1] for line in lines if "  @" in line]
        assert [line[0] for line in marked] == ["W", "R"]
        assert [int(line.split("#")[1]) for line in marked] == [first, driver.last]
