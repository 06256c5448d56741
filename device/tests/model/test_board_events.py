# SPDX-License-Identifier: Apache-2.0
"""What the board does to its pins is told to a trace, once for each change, and to nobody else."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from plx9x5x import events
from plx9x5x.board import Board, Window
from plx9x5x.events import DemandDriven, DemandSeen, EotAsserted, LineChanged, LocalInterruptChanged
from plx9x5x.model.localbus import Sram
from plx9x5x.peripheral import LocalPins
from plx9x5x.ports import ResetKind
from plx9x5x.trace import regtrace
from plx9x5x.trace.regtrace import line_of, parse
from plx9x5x.units import KIB, LocalAddr
from tests.model.bench import MODE_RESET, Bench

DEMAND, EOT = 1 << 12, 1 << 14
BOARD_SIDE = (LocalInterruptChanged, EotAsserted, DemandDriven, DemandSeen)


def told(bench: Bench) -> list[object]:
    """The board's side since the last call."""
    found = [event for event in bench.trace.events if isinstance(event, BOARD_SIDE)]
    bench.trace.events.clear()
    return found


def block(bench: Bench, mode: int, *, channel: int = 0, length: int = 16) -> None:
    bench.channel(channel).block(pci=bench.RAM, local=0, length=length, to="pci", mode=MODE_RESET | mode)


def test_linti_is_told_when_the_wire_changes_and_before_what_comes_of_it(bench: Bench) -> None:
    bench.intcsr = 0x0900
    bench.clock.advance(7)
    bench.trace.events.clear()
    side = bench.chip.local_side
    side.drive_linti(True, by="one")
    side.drive_linti(True, by="another")
    side.drive_linti(True, by="one")
    side.drive_linti(False, by="one")
    assert bench.trace.events == [LocalInterruptChanged(7, level=True), LineChanged(7, level=True)]
    assert told(bench) == [LocalInterruptChanged(7, level=True)]
    side.drive_linti(False, by="another")
    side.drive_linti(False, by="another")
    assert told(bench) == [LocalInterruptChanged(7, level=False)]


@pytest.mark.parametrize(
    ("mode", "channel", "heeded"), [(DEMAND | EOT, 0, True), (DEMAND, 0, False), (DEMAND | EOT, 1, False)]
)
def test_eot_is_told_with_whether_anybody_looked(bench: Bench, mode: int, channel: int, heeded: bool) -> None:
    side = bench.chip.local_side
    side.demand(0, lambda: 0)
    block(bench, mode)
    bench.chip.step(1 << 20)
    told(bench)
    side.assert_eot(channel)
    assert told(bench) == [EotAsserted(0, channel, heeded)]
    bench.chip.step(1 << 20)
    assert bool(bench.channel(0).csr & 0x10) is heeded


def test_eot_of_an_idle_channel_is_told_as_nobodys(bench: Bench) -> None:
    bench.chip.local_side.assert_eot(1)
    assert told(bench) == [EotAsserted(0, 1, heeded=False)]


def test_dreq_is_told_when_somebody_begins_and_ends_to_drive_it(bench: Bench) -> None:
    side = bench.chip.local_side
    for ready in (None, lambda: 0, lambda: 1, None, None):
        side.demand(1, ready)
    assert told(bench) == [DemandDriven(0, 1, driven=True), DemandDriven(0, 1, driven=False)]


def test_the_level_of_dreq_is_told_when_a_transfer_first_looks_and_when_it_has_changed(bench: Bench) -> None:
    allowed, side = [0], bench.chip.local_side
    side.demand(0, lambda: allowed[0])
    told(bench)
    block(bench, DEMAND)
    assert told(bench) == [], "a register access never asks the board"
    for _ in range(10):
        bench.chip.step(1 << 20)
        bench.chip.wait_ns()
    assert told(bench) == [DemandSeen(0, 0, level=False)]
    allowed[0] = 4
    bench.chip.step(1)
    assert told(bench) == [DemandSeen(0, 0, level=True)]
    allowed[0] = 0
    for _ in range(10):
        bench.chip.step(1 << 20)
    assert told(bench) == [DemandSeen(0, 0, level=False)]
    allowed[0] = 100
    bench.chip.step(1 << 20)
    assert bench.channel(0).csr & 0x10
    assert told(bench) == [DemandSeen(0, 0, level=True)]
    block(bench, DEMAND)
    bench.chip.step(1 << 20)
    assert told(bench) == [DemandSeen(0, 0, level=True)], "each transfer looks for itself"


def test_without_demand_mode_nobody_looks_at_dreq(bench: Bench) -> None:
    bench.chip.local_side.demand(0, lambda: 0)
    told(bench)
    block(bench, 0)
    bench.chip.step(1 << 20)
    assert told(bench) == []


class Driving:
    """Memory that drives DREQ# of channel 1 and LINTi# from the start."""

    size = 4 * KIB

    def __init__(self) -> None:
        sram = Sram(self.size)
        self.read, self.write, self.view = sram.read, sram.write, sram.view

    def plug(self, pins: LocalPins) -> None:
        pins.demand(1, lambda: 0)
        pins.drive_linti(True)


@pytest.mark.parametrize(
    "reset",
    [
        lambda bench: bench.chip.reset(ResetKind.POWER_ON),
        lambda bench: bench.chip.write(0, 0x6C, 4, bench.chip.read(0, 0x6C, 4) | 1 << 30),
    ],
)
def test_a_reset_releases_what_the_old_board_drove_then_the_new_one_drives(
    board: Board, reset: Callable[[Bench], object]
) -> None:
    bench = Bench(replace(board, windows=(Window("driving", LocalAddr(0), Driving),)))
    drives = [DemandDriven(0, 1, driven=True), LocalInterruptChanged(0, level=True)]
    assert told(bench) == drives
    reset(bench)
    ends = bench.trace.events[-1]
    assert told(bench) == [LocalInterruptChanged(0, level=False), DemandDriven(0, 1, driven=False), *drives]
    assert isinstance(ends, events.ChipReset)


def test_a_trace_that_is_off_hears_nothing_of_it(bench: Bench) -> None:
    bench.trace.enabled = False
    side = bench.chip.local_side
    side.drive_linti(True)
    side.demand(0, lambda: 4)
    side.assert_eot(0)
    block(bench, DEMAND)
    bench.chip.step(1 << 20)
    bench.chip.reset(ResetKind.POWER_ON)
    assert told(bench) == []


@pytest.mark.parametrize(
    ("bar", "offset", "width", "registers"),
    [
        (0, 0x68, 4, True),
        (0, 0x1FC, 4, True),
        (0, 0x1FE, 4, False),
        (1, 0x68, 1, True),
        (2, 0x68, 4, False),
        (3, 0, 4, False),
    ],
)
def test_an_access_says_whether_registers_answered(
    bench: Bench, bar: int, offset: int, width: int, registers: bool
) -> None:
    bench.trace.events.clear()
    bench.chip.read(bar, offset, width)
    bench.chip.write(bar, offset, width, 0)
    bench.chip.config_read(0, 4)
    found = [event for event in bench.trace.events if isinstance(event, events.RegionAccess)]
    assert [event.registers for event in found] == [registers, registers, True]


def test_a_bar_that_shows_a_local_space_in_the_place_of_registers_says_so(bench: Bench) -> None:
    bench.chip.write(0, 0x0D, 1, 0x02)  # LMISC1: BAR1 is off, and space 0 moves there
    for memory, expected in ((7, [True, False]), (0, [False, False])):
        bench.chip.config_write(4, 2, memory)
        bench.trace.events.clear()
        bench.chip.read(0, 0, 4)
        bench.chip.read(1, 0, 4)
        found = [event for event in bench.trace.events if isinstance(event, events.RegionAccess)]
        assert [event.registers for event in found] == expected


def test_useri_is_told_when_it_changes(bench: Bench) -> None:
    bench.trace.events.clear()
    for level in (True, False, False, True):
        bench.chip.local_side.drive_useri(level)
    assert bench.trace.of(events.UserInputChanged) == [
        events.UserInputChanged(0, level=False),
        events.UserInputChanged(0, level=True),
    ]


def test_what_the_board_writes_into_registers_is_told_before_what_comes_of_it(bench: Bench) -> None:
    bench.intcsr = 0x0300
    bench.trace.events.clear()
    bench.chip.local_side.write_register(0x64, 0x1_0000_0001)
    assert bench.trace.events == [events.LocalRegisterWritten(0, 0x64, 1), LineChanged(0, level=True)]


def test_what_a_board_says_is_one_bounded_line_with_its_window_and_time(board: Board) -> None:
    pins: list[LocalPins] = []

    class Teller(Sram):
        def plug(self, given: LocalPins) -> None:
            pins.append(given)

    bench = Bench(replace(board, windows=(Window("teller", LocalAddr(0), lambda: Teller(64)),)))
    bench.clock.advance(7)
    bench.trace.enabled = False
    pins[-1].log("two\nlines  and\ttabs")
    pins[-1].log("x" * 1000)
    pins[-1].log("\x1b[2Jred\x07 \u202e\ud800 ümlaut")
    assert bench.trace.of(events.BoardSaid) == [
        events.BoardSaid(7, "teller", "two lines and tabs"),
        events.BoardSaid(7, "teller", "x" * 200),
        events.BoardSaid(7, "teller", r"\x1b[2Jred\x07 \u202e\ud800 ümlaut"),
    ]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (events.UserInputChanged(0, level=False), "useri 0"),
        (events.LocalRegisterWritten(0, 0x64, 5), "local W 0x064 0x00000005"),
        (events.BoardSaid(0, "teller", "gain is 3"), "board teller: gain is 3"),
    ],
)
def test_the_boards_side_is_lines_of_the_trace_that_can_be_read_back(event: object, line: str) -> None:
    assert str(line_of(event)) == line
    assert parse(f"0.000000007 {line}") == line_of(event)
    assert line.partition(" ")[0] in regtrace.BOARD_SIDE
