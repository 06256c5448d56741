# SPDX-License-Identifier: Apache-2.0
"""The devices of docs/your-own-device.md in process: one as the page tries it, `edu` by its specification."""

import os
import runpy
import sys
from math import factorial
from pathlib import Path
from typing import Any

import pytest

from plx9x5x.own.guard import guarded
from plx9x5x.own.tally import Tally
from plx9x5x.ports import ResetKind
from plx9x5x.transport.loopback import Loopback, Ram
from tests import pages

PAGE = pages.ROOT / "docs" / "your-own-device.md"
RAM, BUFFER = 0x10_0000, 0x4_0000
ID, LIVENESS, FACTORIAL, STATUS, RAISED, RAISE, ACKNOWLEDGE = 0x00, 0x04, 0x08, 0x20, 0x24, 0x60, 0x64
SOURCE, DESTINATION, COUNT, COMMAND = 0x80, 0x88, 0x90, 0x98
START, TO_MEMORY, INTERRUPT = 1, 2, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reader")
    pages.write_files(PAGE, made)
    return made


def test_the_page_does_what_it_prints(folder: Path) -> None:
    first = pages.steps(PAGE)[0]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = pages.shell(first.commands, folder, {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert (done.stdout, done.returncode) == (first.prints, 0), done.stderr


def test_they_are_as_short_as_is_said(folder: Path) -> None:
    def lines(name: str) -> int:
        return sum(1 for line in (folder / name).read_text(encoding="utf-8").splitlines() if line.strip())

    assert lines("turner.py") <= 65
    assert len((folder / "edu.py").read_text(encoding="utf-8").splitlines()) < 150


class Driver:
    """A host with an edu and 64 KiB of memory."""

    def __init__(self, make: Any) -> None:
        self.host: Loopback[Any] = Loopback(guarded(make, "edu.py:Edu", Tally()))
        self.ram: Ram = self.host.ram(RAM, 0x1_0000, fill=0xEE)

    def read(self, offset: int, width: int = 4) -> int:
        return int(self.host.device.read(0, offset, width))

    def write(self, offset: int, value: int, width: int = 4) -> None:
        self.host.device.write(0, offset, width, value)

    def move(self, source: int, destination: int, count: int, command: int) -> None:
        for offset, value in ((SOURCE, source), (DESTINATION, destination), (COUNT, count)):
            self.write(offset, value, 8)
        self.write(COMMAND, command | START)

    @property
    def asserted(self) -> bool:
        return self.host.line.level


@pytest.fixture
def edu(folder: Path) -> Driver:
    return Driver(runpy.run_path(str(folder / "edu.py"))["Edu"])


def test_edu_says_who_it_is(edu: Driver) -> None:
    assert edu.host.device.config_read(0, 4) == 0x11E8_1234
    assert edu.host.device.regions[0].size == 1 << 20
    assert edu.read(ID) == 0x0100_00ED
    edu.write(ID, 0)
    assert edu.read(ID) == 0x0100_00ED


@pytest.mark.parametrize("value", [0, 1, 0x1234_5678, 0xFFFF_FFFF])
def test_edu_inverts(edu: Driver, value: int) -> None:
    edu.write(LIVENESS, value)
    assert edu.read(LIVENESS) == value ^ 0xFFFF_FFFF


@pytest.mark.parametrize("number", [0, 1, 5, 12, 13, 33, 34, 35, 0xFFFF_FFFF])
def test_edu_computes_a_factorial_and_says_when(edu: Driver, number: int) -> None:
    edu.write(FACTORIAL, number)
    assert edu.read(STATUS) == 1, "it takes its time"
    edu.write(FACTORIAL, 3)
    edu.host.run()
    assert edu.read(STATUS) == 0
    assert edu.read(FACTORIAL) == (factorial(number) & 0xFFFF_FFFF if number < 100 else 0)
    assert not edu.asserted


def test_edu_interrupts_after_a_factorial_if_it_is_asked_to(edu: Driver) -> None:
    edu.write(STATUS, 0xFFFF_FFFF)
    assert edu.read(STATUS) == 0x80
    edu.write(FACTORIAL, 4)
    edu.host.run()
    assert (edu.read(FACTORIAL), edu.read(RAISED), edu.asserted) == (24, 1, True)
    edu.write(ACKNOWLEDGE, 1)
    assert (edu.read(RAISED), edu.asserted) == (0, False)


def test_edu_adds_up_what_is_raised_and_takes_back_what_is_acknowledged(edu: Driver) -> None:
    edu.write(RAISE, 2)
    edu.write(RAISE, 0x8000_0004)
    assert (edu.read(RAISED), edu.asserted) == (0x8000_0006, True)
    edu.write(ACKNOWLEDGE, 0x8000_0002)
    edu.write(ACKNOWLEDGE, 8)
    assert (edu.read(RAISED), edu.asserted) == (4, True)
    edu.write(ACKNOWLEDGE, 4)
    assert (edu.read(RAISED), edu.asserted) == (0, False)


@pytest.mark.parametrize("interrupt", [0, INTERRUPT])
@pytest.mark.parametrize("above", [0, 1 << 28, 1 << 32], ids=["", "bit 28", "bit 32"])
def test_edu_moves_both_ways_with_28_bits_of_the_address(edu: Driver, interrupt: int, above: int) -> None:
    edu.ram[0:100] = bytes(range(100))
    edu.move(RAM | above, BUFFER + 10, 100, interrupt)
    assert edu.read(COMMAND) & START, "not within the write"
    edu.host.run()
    assert edu.read(COMMAND) == interrupt
    assert edu.read(RAISED) == (0x100 if interrupt else 0)
    edu.write(ACKNOWLEDGE, 0x100)
    edu.move(BUFFER + 9, RAM + 4095 | above, 101, TO_MEMORY | interrupt)
    edu.host.run()
    assert edu.ram[4095:4196] == b"\0" + bytes(range(100))
    assert edu.ram[100:4095] == b"\xee" * 3995
    assert edu.ram.untouched_outside(0, 4196)
    assert edu.asserted is bool(interrupt)


def test_edu_keeps_its_dma_registers_while_it_moves(edu: Driver) -> None:
    edu.move(RAM, BUFFER, 8, 0)
    edu.write(SOURCE, RAM + 0x100, 8)
    edu.host.run()
    assert (edu.read(SOURCE, 8), edu.read(COUNT), edu.read(DESTINATION, 8)) == (RAM, 8, BUFFER)
    edu.write(COMMAND, INTERRUPT)
    assert edu.read(COMMAND) == 0, "a command without a start is none"


@pytest.mark.parametrize(
    ("source", "destination", "count", "command"),
    [
        (RAM, BUFFER + 4000, 97, 0),
        (RAM, BUFFER - 1, 1, 0),
        (RAM, 0, 1 << 40, 0),
        (BUFFER, RAM, 4097, TO_MEMORY),
        (0xFFF_F000, BUFFER, 4096, 0),
        (BUFFER, 0xFFF_F000, 16, TO_MEMORY),
    ],
)
def test_edu_outlives_what_a_driver_gets_wrong(
    edu: Driver, source: int, destination: int, count: int, command: int
) -> None:
    edu.move(source, destination, count, command | INTERRUPT)
    edu.host.run()
    assert edu.ram.untouched_outside(0, 0)
    assert (edu.read(COMMAND) & START, edu.read(RAISED)) == (0, 0x100)


def test_edu_waits_for_bus_mastering(edu: Driver) -> None:
    edu.host.device.config_write(4, 2, 3)
    edu.move(RAM, BUFFER, 8, 0)
    edu.host.run()
    assert edu.read(COMMAND) == START
    edu.host.device.config_write(4, 2, 7)
    edu.host.run()
    assert edu.read(COMMAND) == 0


@pytest.mark.parametrize(("offset", "width"), [(0, 1), (0, 2), (0, 8), (0x80, 2), (0x10, 4), (0x84, 4), (0xF_FFF8, 8)])
def test_edu_gives_ones_for_accesses_that_it_does_not_take(edu: Driver, offset: int, width: int) -> None:
    edu.write(offset, 0, width)
    assert edu.read(offset, width) == (1 << 8 * width) - 1


def test_edu_is_as_new_after_a_reset(edu: Driver) -> None:
    edu.write(RAISE, 1)
    edu.write(LIVENESS, 5)
    edu.move(RAM, BUFFER, 8, 0)
    edu.host.device.reset(ResetKind.POWER_ON)
    assert not edu.asserted
    assert edu.read(LIVENESS) == 0xFFFF_FFFF, "its BAR does not decode"
    edu.host.device.config_write(4, 2, 7)
    assert (edu.read(LIVENESS), edu.read(RAISED), edu.read(COMMAND)) == (0xFFFF_FFFF, 0, 0)
