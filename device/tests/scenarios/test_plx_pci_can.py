# SPDX-License-Identifier: Apache-2.0
"""Linux plx_pci with esd CAN boards: the reset through CNTRL, two SJA1000 behind BAR2, LINTi# as their interrupt.

Source: reference section 9.5. The SJA1000 is modelled as far as the checks and one interrupt go.
"""

from typing import Final

import pytest

from plx9x5x.board import Window
from plx9x5x.peripheral import LocalPins
from plx9x5x.units import LocalAddr
from tests.behaviour.driver import SPACE0, Driver
from tests.scenarios.support import CNTRL, INTCSR, Built, Machine, Watched, bit, board_of, off, on, serve

CR, SR, IR, CDR = 0x00, 0x02, 0x03, 0x1F
"""SJA1000 registers; in its PeliCAN mode the first is MOD."""
IER: Final = 4
PELICAN: Final = 0x80
SPACING: Final = 0x100
IDLE: Final = 0x0F00_0900

BOARDS: Final = {"CAN-PCI/266": ("9056", 0x0009), "CAN-PMC/266": ("9056", 0x000E), "CAN-PCIe/2000": ("8311", 0x0200)}


class Sja1000:
    """One controller as its reset pin leaves it: basic mode, in reset."""

    size: Final = 0x80

    def __init__(self) -> None:
        self.memory = bytearray(self.size)
        self.mode = 0x21
        self.interrupt = 0

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins

    def frame(self) -> None:
        """A frame comes in from the bus."""
        if self.mode & 1 == 0:
            self.interrupt |= 1
            self._drive()

    def read(self, offset: int, length: int) -> bytes:
        value = bytes(self.value(at) for at in range(offset, offset + length))
        if offset <= IR < offset + length:
            self.interrupt = 0
            self._drive()
        return value

    def value(self, offset: int) -> int:
        pelican = bool(self.memory[CDR] & PELICAN)
        match offset:
            case 0:
                return self.mode & 1 if pelican else self.mode
            case 2:
                return 0x3C if pelican else 0x0C
            case 3:
                return self.interrupt if pelican else 0xE0 | self.interrupt
            case _:
                return self.memory[offset]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        for at, value in enumerate(bytes(data), offset):
            if at == CR:
                self.mode = value
            else:
                self.memory[at] = value
        self._drive()

    def view(self, offset: int, length: int) -> memoryview | None:
        return None

    def _drive(self) -> None:
        self._pins.drive_linti(bool(self.interrupt & self.memory[IER]))


class PlxPciCan:
    """The driver's register accesses. `channels` are the controllers that it found."""

    def __init__(self, pc: Driver) -> None:
        self.pc = pc
        self.channels: list[int] = []

    def reset(self) -> None:
        """Reset the local side, then reload the EEPROM: two levels of CNTRL, each put up and taken back."""
        control = self.pc.read(CNTRL)
        for pulse in (bit(30), bit(29)):
            self.pc.write(CNTRL, control | pulse)
            self.pc.settle()
            self.pc.write(CNTRL, control)

    def probe(self) -> None:
        self.reset()
        for channel in (0, 1):
            if self._is_there(channel):
                self.channels.append(channel)
                self._put(channel, CDR, PELICAN | 0x48)
        self.pc.write(INTCSR, 0x0000_0900)

    def open(self, channel: int) -> None:
        self._put(channel, IER, 1)
        self._put(channel, CR, 0)

    def remove(self) -> None:
        self.reset()
        self.pc.write(INTCSR, 0)

    def isr(self) -> bool:
        """Each controller on the line looks for itself; reading IR takes the interrupt back."""
        causes = [self._get(channel, IR) for channel in self.channels]
        return any(causes)

    def _is_there(self, channel: int) -> bool:
        reset = (self._get(channel, CR) & 0xA1, self._get(channel, SR), self._get(channel, IR))
        if reset != (0x21, 0x0C, 0xE0):
            return False
        self._put(channel, CDR, PELICAN)
        return (self._get(channel, CR), self._get(channel, SR), self._get(channel, IR)) == (0x01, 0x3C, 0x00)

    def _get(self, channel: int, register: int) -> int:
        return self.pc.read(channel * SPACING + register, 1, bar=SPACE0)

    def _put(self, channel: int, register: int, value: int) -> None:
        self.pc.write(channel * SPACING + register, value, 1, bar=SPACE0)


class Bench:
    """A CAN card in a PC, with the driver."""

    def __init__(self, name: str = "CAN-PCI/266", controllers: int = 2) -> None:
        chip, subsystem = BOARDS[name]
        self.built = [Built(Sja1000) for _ in range(controllers)]
        board = board_of(
            name, chip,
            [Window(f"SJA1000 {n}", LocalAddr(n * SPACING), built) for n, built in enumerate(self.built)],
            ids=0x9056_10B5, subsystem=subsystem << 16 | 0x12FE, las0rr=0xFFFF_FE00, las0ba=1, lbrd0=0x4240_0040,
        )  # fmt: skip
        self.machine = Machine(chip, board=board)
        self.pc = Watched(self.machine)
        self.driver = PlxPciCan(self.pc)

    def controller(self, index: int) -> Sja1000:
        return self.built[index].now


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("name", BOARDS)
def test_probe_finds_both_controllers_in_reset(name: str) -> None:
    bench = Bench(name)
    assert bench.pc.config_read(0) == 0x9056_10B5
    assert bench.pc.config_read(0x2C) == BOARDS[name][1] << 16 | 0x12FE
    bench.pc.seen()
    bench.driver.probe()
    checks = [
        [
            off(at + CR, 0x21, 1, bar=SPACE0), off(at + SR, 0x0C, 1, bar=SPACE0), off(at + IR, 0xE0, 1, bar=SPACE0),
            off(at + CR, 0x01, 1, bar=SPACE0), off(at + SR, 0x3C, 1, bar=SPACE0), off(at + IR, 0x00, 1, bar=SPACE0),
        ]
        for at in (0, SPACING)
    ]  # fmt: skip
    assert bench.pc.seen() == [off(CNTRL, 0x100F_767E), *checks[0], *checks[1]]
    assert bench.driver.channels == [0, 1]
    assert bench.pc.read(INTCSR) == IDLE
    assert bench.pc.read(CNTRL) == 0x100F_767E
    assert not bench.pc.inta()


def test_probe_resets_controllers_that_somebody_left_running(bench: Bench) -> None:
    bench.driver.probe()
    bench.driver.open(0)
    bench.driver.open(1)
    again = PlxPciCan(bench.pc)
    again.probe()
    assert again.channels == [0, 1]


@pytest.mark.finds("window-empty")
def test_a_card_with_one_controller_has_one_channel() -> None:
    bench = Bench(controllers=1)
    bench.driver.probe()
    assert bench.driver.channels == [0]
    assert bench.pc.seen()[-3:] == [
        off(SPACING + at, 0xFF, 1, bar=SPACE0) for at in (CR, SR, IR)
    ]  # fmt: skip


def test_without_the_reset_the_check_fails(bench: Bench) -> None:
    """So the check is worth something: software reset is what makes it pass."""
    bench.driver.probe()
    bench.driver.open(0)
    blind = PlxPciCan(bench.pc)
    blind.reset = lambda: None  # type: ignore[method-assign]
    blind.probe()
    assert blind.channels == []


def test_reset_and_reload_lose_neither_windows_nor_ids(bench: Bench) -> None:
    pc = bench.pc
    for register, value in ((0x10, 0xFEBF_F000), (0x14, 0xC001), (0x18, 0xFEBF_E000)):
        pc.config_write(register, value)
    pc.config_write(0x3C, 0x0B, 1)
    before = [pc.config_read(at) for at in (0, 4, 8, 0x10, 0x14, 0x18, 0x1C, 0x2C, 0x34, 0x40, 0x48)]
    bench.driver.reset()
    assert [pc.config_read(at) for at in (0, 4, 8, 0x10, 0x14, 0x18, 0x1C, 0x2C, 0x34, 0x40, 0x48)] == before
    assert pc.config_read(0x18) == 0xFEBF_E000
    assert [pc.read(at) for at in (0, 4, 0x18)] == [0xFFFF_FE00, 1, 0x4240_0040]
    assert pc.config_read(0x3C, 1) == 0, "the reload brings the EEPROM's interrupt line"


def test_the_local_side_is_dead_while_the_reset_is_held_and_registers_are_not(bench: Bench) -> None:
    pc = bench.pc
    pc.write(CNTRL, 0x500F_767E)
    assert pc.read(0, 1, bar=SPACE0) == 0xFF
    assert pc.read(CNTRL) == 0x500F_767E
    assert pc.read(0) == 0xFFFF_FE00
    pc.write(CNTRL, 0x100F_767E)
    assert pc.read(0, 1, bar=SPACE0) == 0x21
    assert [built.made for built in bench.built] == [2, 2]


def test_the_reload_bit_is_a_level_and_resets_no_controller(bench: Bench) -> None:
    pc = bench.pc
    pc.write(CR, 0, 1, bar=SPACE0)
    pc.write(CNTRL, 0x300F_767E)
    assert pc.read(CNTRL) == 0x300F_767E
    pc.write(CNTRL, 0x100F_767E)
    assert pc.read(CR, 1, bar=SPACE0) == 0
    assert [built.made for built in bench.built] == [1, 1]


def test_a_frame_on_either_controller_interrupts(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.probe()
    driver.open(0)
    driver.open(1)
    pc.seen()
    for index, (first, second) in enumerate(((1, 0), (0, 1))):
        bench.controller(index).frame()
        assert pc.read(INTCSR) == IDLE | bit(15)
        assert serve(pc, driver.isr) == 1
        later = off if first else on
        assert pc.seen() == [
            on(INTCSR, IDLE | bit(15)), on(IR, first, 1, bar=SPACE0), later(SPACING + IR, second, 1, bar=SPACE0),
        ]  # fmt: skip
        assert pc.read(INTCSR) == IDLE
        pc.seen()


def test_the_line_stays_until_the_last_controller_is_served(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.probe()
    driver.open(0)
    driver.open(1)
    for index in (0, 1):
        bench.controller(index).frame()
    pc.seen()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [on(IR, 1, 1, bar=SPACE0), on(SPACING + IR, 1, 1, bar=SPACE0)]
    assert not pc.inta()


def test_remove_silences_a_card_in_the_middle_of_traffic(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.probe()
    driver.open(0)
    bench.controller(0).frame()
    assert pc.inta()
    driver.remove()
    assert not pc.inta()
    assert pc.read(INTCSR) == 0x0F00_0000
    bench.controller(0).frame()
    assert not pc.inta()
    assert pc.read(CR, 1, bar=SPACE0) == 0x21
