# SPDX-License-Identifier: Apache-2.0
"""What a person reads when a driver goes wrong."""

import pytest

from plx9x5x import events
from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.ports import ResetKind
from plx9x5x.trace.text import FaultLog, describe
from plx9x5x.transport.loopback import Loopback


class Host:
    """A chip whose faults are said to a list."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.log = FaultLog(self.lines.append, most=3)
        board = load_board("rdk-9656-lite")
        self.host = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq, trace=self.log))

    def block(self, pci: int, local: int = 0) -> None:
        chip = self.host.device
        for register, value in ((0x84, pci), (0x88, local), (0x8C, 4), (0x90, 0)):
            chip.write(0, register, 4, value)
        chip.write(0, 0xA8, 1, 3)
        self.host.run()
        chip.write(0, 0xA8, 1, 4)


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_bus_error_names_channel_address_and_what_is_mapped(host: Host) -> None:
    host.host.ram(0x1000, 0x1000)
    host.block(0x7000)
    assert host.lines == [
        "DMA channel 0: master abort at 0x7000 while moving data: nothing is mapped at bus address 0x7000 "
        "(nearest: 0x1000-0x1fff). DONE stays 0 until the driver aborts."
    ]


def test_without_any_memory_it_asks_for_share_on(host: Host) -> None:
    host.block(0x7000)
    assert "share=on?" in host.lines[0]


def test_bus_mastering_off_names_the_call_that_is_missing(host: Host) -> None:
    host.host.device.config_write(4, 2, 3)
    host.block(0x7000)
    assert host.lines[0].startswith("DMA channel 0 waits: bus mastering is off")
    assert "pci_set_master()" in host.lines[0]


def test_an_undecoded_local_address_is_named(host: Host) -> None:
    host.host.ram(0x1000, 0x1000)
    host.block(0x1000, local=0x4000_0000)
    assert host.lines[0].startswith("local address 0x40000000 (4 bytes): the board decodes nothing there")


def test_a_guest_that_repeats_itself_fills_no_log(host: Host) -> None:
    for _ in range(100):
        host.block(0x7000)
    assert len(host.lines) == 4
    assert host.lines[-1] == "BusError: 3 so far; more are counted and not shown"
    assert host.log.summary() == "faults: 100 BusError"


def test_the_next_client_is_told_afresh(host: Host) -> None:
    for _ in range(10):
        host.block(0x7000)
    host.host.device.reset(ResetKind.LOST_CLIENT)
    host.host.device.config_write(4, 2, 7)
    host.block(0x8000)
    assert host.lines[-2] == "faults: 10 BusError"
    assert "at 0x8000" in host.lines[-1]


@pytest.mark.parametrize(("offset", "value", "words"), [(0x44, 3, "D3hot"), (0x04, 3, "pci_set_master()")])
def test_a_transfer_that_waits_says_why(host: Host, offset: int, value: int, words: str) -> None:
    chip = host.host.device
    host.host.ram(0x1000, 0x1000)
    for register, content in ((0x84, 0x1000), (0x88, 0), (0x8C, 4), (0x90, 0)):
        chip.write(0, register, 4, content)
    chip.write(0, 0xA8, 1, 3)
    chip.config_write(offset, 2, value)
    assert words in host.lines[0]


def test_no_fault_no_summary(host: Host) -> None:
    host.host.ram(0x1000, 0x1000)
    host.block(0x1000)
    assert host.lines == []
    assert host.log.summary() is None


@pytest.mark.parametrize("purpose", list(events.Purpose))
def test_every_purpose_has_words(purpose: events.Purpose) -> None:
    fault = events.BusError(0, 1, events.BusErrorKind.TARGET_ABORT, purpose, 0x10, (), "it is read-only")
    assert "DMA channel 1: target abort at 0x10 while " in describe(fault)


def test_accesses_that_mean_nothing_are_listed_when_the_client_leaves(host: Host) -> None:
    host.host.device.read(0, 0x1F0, 4)
    host.host.device.write(0, 0x80, 4, 0xFF00_0043)
    assert host.lines == []
    host.host.device.reset(ResetKind.LOST_CLIENT)
    assert host.lines == [
        "accesses that mean nothing on this chip (reads gave 0, writes vanished):",
        "  BAR0 0x080 write: no such bits 0xff000000 (1 x)",
        "  BAR0 0x1f0 read: no such register (1 x)",
    ]
