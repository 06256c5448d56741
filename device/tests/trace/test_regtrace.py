# SPDX-License-Identifier: Apache-2.0
"""The register trace: what is written, how it is read back, how two of them are compared."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x import events
from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.rules.room import Room
from plx9x5x.trace import regtrace
from plx9x5x.trace.regtrace import Access, ConfigWrite, Note, RegisterTrace, difference, line_of, normal, parse
from plx9x5x.trace.tee import Tee
from plx9x5x.transport.loopback import Loopback

Open = Callable[..., RegisterTrace]

ACCESS = events.RegionAccess(0, 0, 0x68, 4, 0x0F01_0100, is_write=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace"


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


@pytest.mark.parametrize("line", ["R", "R 0 0x68 4", "W 0 0x68 4 0x1 0x2", "C x 1 2", "R 0 08 4 z", "W 0  4 1"])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line"):
        parse(line)


class TestFile:
    def test_a_line_is_in_the_file_at_once(self, trace: RegisterTrace, path: Path) -> None:
        trace.emit(ACCESS)
        assert path.read_text() == "R 0 0x068 4 0x0f010100\n"

    def test_idle_comes_once_after_news(self, trace: RegisterTrace, path: Path) -> None:
        trace.emit(events.StepEnded(0, goes_on=False))
        trace.emit(ACCESS)
        for _ in range(3):
            trace.emit(events.StepEnded(0, goes_on=False))
        assert path.read_text().splitlines()[1:] == ["idle"]

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
        assert path.read_text().splitlines()[1:] == ["waiting"] * 3

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
    lines = path.read_text().splitlines()
    assert lines[0] == "reset power-on"
    assert lines[-4:] == ["W 0 0x0a8 1 0x03", "start 0", "error 0 master abort at 0x7000, data", "idle"]
    assert len(said) == 1
    assert "master abort at 0x7000" in said[0]


def accesses(*lines: str) -> tuple[Access, ...]:
    return tuple(line for line in map(parse, lines) if isinstance(line, Access))


class TestComparison:
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
