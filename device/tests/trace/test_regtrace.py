# SPDX-License-Identifier: Apache-2.0
"""The register trace: what is written, how it is read back, how two of them are compared."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x import events
from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.regs.profile import PROFILES
from plx9x5x.rules.room import Room
from plx9x5x.trace import regtrace
from plx9x5x.trace.regnames import RegisterNames
from plx9x5x.trace.regtrace import (
    Access,
    ConfigWrite,
    Note,
    RegisterTrace,
    difference,
    line_of,
    normal,
    parse,
    split_time,
)
from plx9x5x.trace.tee import Tee
from plx9x5x.transport.loopback import Loopback

Open = Callable[..., RegisterTrace]

ACCESS = events.RegionAccess(0, 0, 0x68, 4, 0x0F01_0100, is_write=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def lines_of(path: Path) -> list[str]:
    """The lines without their times."""
    return [split_time(line)[1] for line in path.read_text().splitlines()]


@pytest.fixture
def trace(path: Path) -> Iterator[RegisterTrace]:
    made = RegisterTrace(path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (ACCESS, "R 0 0x068 4 0x0f010100"),
        (events.RegionAccess(0, 1, 0xA8, 1, 3, is_write=True), "W 1 0x0a8 1 0x03"),
        (events.RegionAccess(0, -1, 4, 2, 7, is_write=True), "C 0x004 2 0x0007"),
        (events.TransferStarted(0, 1, chained=True), "start 1 chained"),
        (events.TransferStarted(0, 0, chained=False), "start 0"),
        (events.TransferDone(0, 0, aborted=True), "done 0 aborted"),
        (events.TransferHeld(0, 1, "no bus"), "held 1 no bus"),
        (
            events.BusError(0, 0, events.BusErrorKind.MASTER_ABORT, events.Purpose.DATA, 0x7000, (), "nobody"),
            "error 0 master abort at 0x7000, data",
        ),
        (events.InterruptLatched(0, 1), "latched 1"),
        (events.LineChanged(0, level=True), "line 1"),
        (events.LocalInterruptChanged(0, level=True), "linti 1"),
        (events.LocalInterruptChanged(0, level=False), "linti 0"),
        (events.EotAsserted(0, 1, heeded=True), "eot 1"),
        (events.EotAsserted(0, 0, heeded=False), "eot 0 ignored"),
        (events.DemandDriven(0, 1, driven=True), "dreq 1 driven"),
        (events.DemandDriven(0, 0, driven=False), "dreq 0 free"),
        (events.DemandSeen(0, 0, level=True), "dreq 0 1"),
        (events.DemandSeen(0, 1, level=False), "dreq 1 0"),
        (events.ChipReset(0, "power-on"), "reset power-on"),
    ],
)
def test_each_event_has_its_line_and_the_line_reads_back(event: object, line: str) -> None:
    made = line_of(event)
    assert str(made) == line
    assert parse(line) == made


@pytest.mark.parametrize(
    "event",
    [
        events.RegionAccess(0, -1, 4, 2, 7, is_write=False),
        events.DataMoved(0, 0, True, 0, 0, 4),
        events.LocalUndecoded(0, 0, 4),
        "no event",
    ],
)
def test_other_events_leave_no_line(event: object) -> None:
    assert line_of(event) is None


@given(
    st.builds(
        Access,
        st.booleans(),
        st.integers(0, 5),
        st.integers(0, 2**20),
        st.sampled_from([1, 2, 4, 8]),
        st.integers(0, 2**64 - 1),
    )
)
def test_any_access_reads_back(access: Access) -> None:
    assert parse(str(access)) == access
    assert parse(f"12.000000345 {access} ; DMACSR0=0x1 enable=1, DMACSR1=0x0") == access
    for names in ("", " ; DMACSR0=0x1 enable=1, DMACSR1=0x0"):
        assert parse(f"12.000000345 {access}{names}  my_start_dma() my_drv.c:212") == access
        assert parse(f"12.000000345 {access}{names}  @0xffffffffc0201234 #567") == access


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("R 0 0x068 4 0x0f010100", Access(False, 0, 0x68, 4, 0x0F01_0100)),
        ("C 0x004 2 0x0007", ConfigWrite(4, 2, 7)),
        ("held 0 why; and ; what else", Note("held", "0 why; and ; what else")),
        ("idle", regtrace.IDLE),
        ("waiting", regtrace.WAITING),
        ("full", regtrace.FULL),
        ("time scale 1, max step 1000000 ns", Note("time", "scale 1, max step 1000000 ns")),
    ],
)
def test_a_line_is_the_same_with_a_time_or_as_older_versions_wrote_it(line: str, value: regtrace.Line) -> None:
    assert split_time(line) == (None, line)
    assert split_time(f"3.000000001 {line}") == (3_000_000_001, line)
    assert parse(line) == parse(f"3.000000001 {line}") == value


@pytest.mark.parametrize("line", ["1.5 idle", "1 idle", "1.0000000001 idle", ".000000001 idle"])
def test_what_is_no_time_of_ours_is_the_first_word(line: str) -> None:
    assert split_time(line) == (None, line)


@pytest.mark.parametrize("line", ["R", "R 0 0x68 4", "W 0 0x68 4 0x1 0x2", "C x 1 2", "R 0 08 4 z", "W 0  4 1"])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse(line)


class TestFile:
    def test_a_line_is_in_the_file_at_once(self, trace: RegisterTrace, path: Path) -> None:
        trace.emit(ACCESS)
        assert path.read_text() == "0.000000000 R 0 0x068 4 0x0f010100\n"

    def test_idle_comes_once_after_news(self, trace: RegisterTrace, path: Path) -> None:
        trace.emit(events.StepEnded(0, goes_on=False))
        trace.emit(ACCESS)
        for _ in range(3):
            trace.emit(events.StepEnded(0, goes_on=False))
        assert lines_of(path)[1:] == ["idle"]

    def test_a_chip_that_goes_on_is_not_idle(self, trace: RegisterTrace, path: Path) -> None:
        trace.emit(ACCESS)
        trace.emit(events.StepEnded(0, goes_on=True))
        trace.emit(events.DataMoved(0, 0, True, 0, 0, 4))
        trace.emit(events.StepEnded(0, goes_on=True))
        assert "idle" not in path.read_text()
        assert "waiting" not in path.read_text()

    def test_waiting_is_said_again_but_not_at_each_look(self, path: Path) -> None:
        now = 0
        trace = RegisterTrace(path, now=lambda: now)
        trace.emit(ACCESS)
        trace.emit(events.StepEnded(0, goes_on=True))
        for now in range(0, 3 * regtrace.WAITING_NS, regtrace.WAITING_NS // 10):  # noqa: B007 (the clock)
            trace.emit(events.StepEnded(0, goes_on=True))
        trace.close()
        assert lines_of(path)[1:] == ["waiting"] * 3

    def test_a_chip_that_is_only_slow_does_not_say_that_it_waits_again(self, path: Path) -> None:
        now = 0
        trace = RegisterTrace(path, now=lambda: now)
        trace.emit(ACCESS)
        for now in range(0, 4 * regtrace.WAITING_NS, regtrace.WAITING_NS // 2):  # noqa: B007 (the clock)
            trace.emit(events.StepEnded(0, goes_on=True))
            trace.emit(events.DataMoved(0, 0, True, 0, 0, 4))
            trace.emit(events.StepEnded(0, goes_on=True))
        trace.close()
        assert path.read_text().count("waiting") <= 1

    def test_each_line_has_the_events_time(self, trace: RegisterTrace, path: Path) -> None:
        trace.emit(replace(ACCESS, time=1))
        trace.emit(events.TransferStarted(12_000_345_678, 0, chained=False))
        trace.emit(events.StepEnded(10**18, goes_on=False))
        assert path.read_text().splitlines() == [
            "0.000000001 R 0 0x068 4 0x0f010100",
            "12.000345678 start 0",
            "1000000000.000000000 idle",
        ]

    def test_what_speaks_of_the_file_has_no_time(self, path: Path) -> None:
        trace = RegisterTrace(path, limit=100, header="time stands still")
        for _ in range(100):
            trace.emit(ACCESS)
        trace.close()
        lines = path.read_text().splitlines()
        assert (lines[0], lines[-1]) == ("time stands still", "full")

    def test_an_access_to_registers_has_names_and_no_other_line_has(self, path: Path) -> None:
        trace = RegisterTrace(path, names=RegisterNames(PROFILES["9656"]).of)
        for event in (
            events.RegionAccess(0, 0, 0xA8, 1, 3, is_write=True),
            events.RegionAccess(0, -1, 4, 2, 7, is_write=True),
            events.RegionAccess(0, 2, 0xA8, 1, 3, is_write=True, registers=False),
            events.TransferStarted(0, 0, chained=False),
        ):
            trace.emit(event)
        trace.close()
        assert lines_of(path) == [
            "W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1",
            "C 0x004 2 0x0007 ; PCICR=0x7 io=1 memory=1 bus_master=1",
            "W 2 0x0a8 1 0x03",
            "start 0",
        ]
        read = [parse(line) for line in path.read_text().splitlines()]
        assert read == [
            Access(True, 0, 0xA8, 1, 3),
            ConfigWrite(4, 2, 7),
            Access(True, 2, 0xA8, 1, 3),
            Note("start", "0"),
        ]

    def test_a_full_trace_says_so_and_ends(self, path: Path) -> None:
        trace = RegisterTrace(path, limit=100)
        for _ in range(100):
            trace.emit(ACCESS)
            trace.emit(events.StepEnded(0, goes_on=False))
        assert path.stat().st_size <= 100
        assert path.read_text().splitlines()[-1] == "full"
        assert not trace.enabled
        assert "full" in str(trace.trouble)
        trace.close()

    def test_the_file_is_private_and_nobody_elses(self, path: Path, tmp_path: Path) -> None:
        RegisterTrace(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(FileExistsError):
            RegisterTrace(path)
        precious = tmp_path / "precious"
        for target in (precious, tmp_path / "absent"):
            precious.write_text("data")
            link = tmp_path / f"to-{target.name}"
            link.symlink_to(target)
            with pytest.raises(FileExistsError):
                RegisterTrace(link)
        assert precious.read_text() == "data"
        assert not (tmp_path / "absent").exists()

    def test_an_error_of_the_disk_stops_the_trace_not_the_chip(self, path: Path) -> None:
        trace = RegisterTrace(path)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, trace._file)
        os.close(full)
        trace.emit(ACCESS)
        trace.emit(ACCESS)
        assert not trace.enabled
        assert "No space left" in str(trace.trouble)
        trace.close()

    def test_what_comes_after_the_end_is_dropped(self, trace: RegisterTrace, path: Path) -> None:
        trace.close()
        trace.close()
        trace.emit(ACCESS)
        trace.emit(events.StepEnded(0, goes_on=False))
        assert path.read_text() == ""


def test_a_chips_faults_are_said_beside_its_trace(trace: RegisterTrace, path: Path) -> None:
    said: list[str] = []
    tee = Tee(Room(said.append), trace)
    board = load_board("rdk-9656-lite")
    host = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq, trace=tee))
    for offset, value in ((0x84, 0x7000), (0x88, 0), (0x8C, 4), (0x90, 0)):
        host.device.write(0, offset, 4, value)
    host.device.write(0, 0xA8, 1, 3)
    host.device.step(4096)
    lines = lines_of(path)
    assert lines[0] == "reset power-on"
    assert lines[-4:] == ["W 0 0x0a8 1 0x03", "start 0", "error 0 master abort at 0x7000, data", "idle"]
    assert len(said) == 1
    assert "master abort at 0x7000" in said[0]


def accesses(*lines: str) -> tuple[Access, ...]:
    return tuple(line for line in map(parse, lines) if isinstance(line, Access))


class TestComparison:
    def test_neither_times_nor_names_are_compared(self) -> None:
        one = accesses(
            "0.000000001 R 0 0xa8 1 0x01 ; DMACSR0=0x1 enable=1", "0.000000002 R 0 0xa8 1 0x01 ; no register"
        )
        assert normal(one) == accesses("R 0 0xa8 1 0x01")
        assert difference(normal(one), accesses("7.000000000 R 0 0xa8 1 0x01"), names=("a", "b")) is None

    def test_runs_of_equal_accesses_count_as_one(self) -> None:
        polled = accesses("R 0 0xa8 1 0x01", "R 0 0xa8 1 0x01", "R 0 0xa8 1 0x11", "R 0 0xa8 1 0x11", "R 0 0xa8 1 0x01")
        assert normal(polled) == accesses("R 0 0xa8 1 0x01", "R 0 0xa8 1 0x11", "R 0 0xa8 1 0x01")
        assert normal([]) == ()

    @pytest.mark.parametrize(
        "other",
        ["W 0 0xa8 1 0x01", "R 1 0xa8 1 0x01", "R 0 0xa9 1 0x01", "R 0 0xa8 2 0x0001", "R 0 0xa8 1 0x00"],
    )
    def test_anything_that_differs_is_no_run(self, other: str) -> None:
        two = accesses("R 0 0xa8 1 0x01", other)
        assert normal(two) == two

    def test_equal_traces_have_no_difference(self) -> None:
        one = accesses("R 0 0xa8 1 0x01")
        assert difference(one, one, names=("a", "b")) is None
        assert difference((), (), names=("a", "b")) is None

    def test_a_difference_shows_both_sides_and_what_is_around(self) -> None:
        ours = accesses("W 0 0x84 4 0x1000", "R 0 0xa8 1 0x11", "W 0 0x90 4 0x8")
        theirs = accesses("W 0 0x84 4 0x1000", "R 0 0xa8 1 0x01", "W 0 0x90 4 0x8")
        shown = difference(ours, theirs, names=("in process", "in the guest"))
        assert shown is not None
        assert shown.splitlines() == [
            "--- in process",
            "+++ in the guest",
            "@@ -1,3 +1,3 @@",
            " W 0 0x084 4 0x00001000",
            "-R 0 0x0a8 1 0x11",
            "+R 0 0x0a8 1 0x01",
            " W 0 0x090 4 0x00000008",
        ]

    def test_an_access_too_many_is_a_difference(self) -> None:
        one = accesses("R 0 0xa8 1 0x01")
        shown = difference(one, (*one, *accesses("R 0 0x68 4 0x1")), names=("a", "b"))
        assert shown is not None
        assert "+R 0 0x068 4 0x00000001" in shown


def test_notes_keep_their_text() -> None:
    assert parse("held 0 bus mastering is off") == Note("held", "0 bus mastering is off")
    assert parse("idle") == regtrace.IDLE
    assert parse("C 0x004 2 0x0007") == ConfigWrite(4, 2, 7)
