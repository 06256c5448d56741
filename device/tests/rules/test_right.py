# SPDX-License-Identifier: Apache-2.0
"""What correct drivers do that looks like a mistake: nothing is said of it, on either plane."""

import struct
from collections.abc import Callable

import pytest

from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.plane.choice import Plane
from plx9x5x.ports import BusMaster, ResetKind
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import BusAddr
from tests.rules.test_rules import (
    BLOCK,
    CHAIN,
    CSR,
    DONE_INTERRUPT,
    IN_PCI,
    INTCSR,
    KIB,
    LAST,
    MBOX0,
    MBOX1,
    RAM,
    SPINS,
    TO_INTA,
    TO_PCI,
    Card,
    ring,
)

VALID_MODE, CLEAR_COUNT = 1 << 20, 1 << 16
PMCSR = 0x44


def interrupting(card: Card, channel: int) -> None:
    """A block of a channel that ends with its interrupt."""
    at = 0x14 * channel
    for offset, value in ((0x80, BLOCK | DONE_INTERRUPT | TO_INTA), (0x84, RAM), (0x88, 0), (0x8C, 4), (0x90, 0)):
        card.write(offset + at, value)
    card.command(3, channel)
    card.run(2)


def handler_with_words(card: Card) -> None:
    """The handler looks at the upper half of INTCSR alone."""
    card.write(INTCSR, 0x0004_0100)
    for _ in range(1100):
        interrupting(card, 0)
        assert card.read(INTCSR + 2, 2) & 1 << 5
        card.command(0x09)


def two_channels(card: Card) -> None:
    """Each is acknowledged after the other has come: INTA# never falls."""
    card.write(INTCSR, 0x000C_0100)
    interrupting(card, 0)
    for turn in range(1200):
        interrupting(card, 1 - turn % 2)
        card.read(INTCSR)
        card.command(0x09, turn % 2)
        assert card.host.line.level


def polls_the_other_channel(card: Card) -> None:
    """With interrupts off: channel 0 has its interrupt, and channel 1 is waited for."""
    card.write(INTCSR, 0x0004_0100)
    interrupting(card, 0)
    for _ in range(1100):
        card.read(CSR + 1, 1)


def paused_beside(card: Card) -> None:
    """One channel is paused on purpose, and the other is waited for by dwords."""
    card.block(size=32 * KIB)
    card.command(0)
    for offset, value in ((0x94, BLOCK), (0x98, RAM), (0x9C, 0), (0xA0, 64), (0xA4, 0)):
        card.write(offset, value)
    card.command(3, 1)
    for _ in range(SPINS):
        card.read(CSR)


def clears_before_it_starts(card: Card) -> None:
    for _ in range(3):
        card.command(0x08)
        card.block()
        card.run()


def writes_between(card: Card) -> None:
    """Of two kinds: those that C takes, and those that Python does."""
    for turn in range(SPINS):
        card.write(MBOX0, turn)
        card.read(MBOX1)


def shared_line(card: Card) -> None:
    """The handler of a line that another device asserts."""
    for offset in (INTCSR, 0x64):
        for _ in range(SPINS):
            card.read(offset)


def another_client(card: Card) -> None:
    for _ in range(SPINS // 2):
        card.read(MBOX1)
    card.chip.reset(ResetKind.LOST_CLIENT)
    for _ in range(SPINS // 2):
        card.read(MBOX1)


def local_side(card: Card) -> None:
    """What the board does is not the driver's."""
    card.chip.local_side.write_register(0x04, 0)
    card.chip.local_side.write_register(CSR, 2)
    card.chip.local_side.write_register(0x04, 1)


def idle_ring_is_left(card: Card) -> None:
    """A ring that waits for a valid descriptor moves nothing when the driver goes."""
    card.descriptor(RAM + 0x100, 0, RAM + 0x1000, RAM + 0x100 | IN_PCI)
    card.chain(RAM + 0x100, mode=CHAIN | VALID_MODE)
    card.run()
    card.config(4, 3)


def removed_in_a_transfer(card: Card) -> None:
    """A driver that goes keeps interrupts in, then stops the channel, whose abort latches one."""
    card.write(INTCSR, 0x0004_0100)
    card.block(size=2 * 1024 * KIB, mode=BLOCK | DONE_INTERRUPT | TO_INTA)
    card.chip.step(1)
    card.write(INTCSR, 0)
    card.command(0)
    card.command(4)
    card.run()
    assert card.read(CSR, 1) & 0x10
    card.chip.summarise()


RIGHT: dict[str, Callable[[Card], None]] = {
    play.__name__: play
    for play in (
        handler_with_words, two_channels, polls_the_other_channel, paused_beside, clears_before_it_starts,
        writes_between, shared_line, another_client, local_side, idle_ring_is_left,
        removed_in_a_transfer,
    )
}  # fmt: skip


@pytest.mark.parametrize("plane", list(Plane), ids=lambda plane: plane.value)
@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_said_of(name: str, plane: Plane) -> None:
    card = Card(plane)
    RIGHT[name](card)
    card.room.conclude()
    assert [line for line in card.said if line.startswith(("driver", "board"))] == []


@pytest.mark.parametrize("plane", list(Plane), ids=lambda plane: plane.value)
def test_a_window_that_is_open_again_is_not_why_a_write_vanishes(plane: Plane) -> None:
    card = Card(plane)
    card.write(0x04, 0)
    card.write(0x04, 1)
    card.config(4, 0)
    card.chip.write(2, 0, 4, 1)
    assert list(card.findings) == ["decode-off"]


@pytest.mark.parametrize("flags", [0, TO_PCI])
def test_a_ring_that_plays_the_same_again_or_gives_descriptors_back_overruns_nothing(flags: int) -> None:
    card = Card(Plane.PYTHON, thorough=True)
    ring(flags=flags, mode=CHAIN | (CLEAR_COUNT if flags else 0))(card)
    assert "ring-overrun" not in card.findings


@pytest.mark.parametrize("plane", list(Plane), ids=lambda plane: plane.value)
def test_d3hot_in_a_transfer_is_one_mistake(plane: Plane) -> None:
    card = Card(plane)
    card.block(size=256 * KIB, local=0)
    card.chip.step(4 * KIB)
    card.config(PMCSR, 3)
    assert list(card.findings) == ["running-at-reset"]


@pytest.mark.parametrize("plane", list(Plane), ids=lambda plane: plane.value)
def test_bus_mastering_that_goes_after_the_start_is_lost_while_busy(plane: Plane) -> None:
    """Also before a byte has moved."""
    card = Card(plane)
    card.block(size=64)
    card.config(4, 3)
    assert list(card.findings) == ["bus-lost-while-busy"]


@pytest.mark.parametrize("plane", list(Plane), ids=lambda plane: plane.value)
def test_a_descriptor_that_nobody_answered_is_one_mistake(plane: Plane) -> None:
    """What follows from a descriptor of ones is not told."""
    card = Card(plane)
    card.chain(0x0200_0000, flags=0)
    card.run()
    assert list(card.findings) == ["descriptor-in-local-memory"]


def test_a_transfer_that_is_aborted_while_its_descriptor_is_looked_at_again_is_void() -> None:
    """A client that answers for its memory by messages can write registers meanwhile."""
    aborts: list[int] = []

    class Aborting:
        def __init__(self, memory: BusMaster) -> None:
            self.memory, self.looks = memory, 0

        def read_into(self, address: BusAddr, into: memoryview) -> None:
            self.memory.read_into(address, into)
            self.looks += address == RAM + 0x100
            if self.looks == 2 and not aborts:
                aborts.append(address)
                host.device.write(0, CSR, 1, 0)
                host.device.write(0, CSR, 1, 4)

        def write_from(self, address: BusAddr, data: memoryview) -> None:
            self.memory.write_from(address, data)

    host = Loopback(
        lambda bus, irq: Chip(load_board("rdk-9656-lite"), bus=Aborting(bus), irq=irq, thorough=True),
        plane=Plane.PYTHON,
    )
    ram = host.ram(RAM, 64 * KIB)
    ram[0x100:0x110] = struct.pack("<4I", RAM + 0x1000, 0, 64, LAST | IN_PCI | TO_PCI)
    for offset, value in ((0x80, CHAIN), (0x90, RAM + 0x100 | IN_PCI)):
        host.device.write(0, offset, 4, value)
    host.device.write(0, CSR, 1, 3)
    host.run()
    assert aborts
    assert host.device.read(0, CSR, 1) == 0x10, "the channel is done, and not enabled"
