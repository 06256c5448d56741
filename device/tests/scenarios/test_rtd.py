# SPDX-License-Identifier: Apache-2.0
"""RTD's boards: Linux rtd520 (PCI 9080, INTCSR and nothing else) and the DM7820's driver (PCI 9056, block DMA).

Source: reference sections 9.4, 9.7, 4.11. Of the boards only an interrupt and a FIFO are modelled.
"""

from typing import Final

import pytest

from plx9x5x.board import Board, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.peripheral import LocalPins
from plx9x5x.units import KIB, LocalAddr
from tests.behaviour.driver import PORTS, SPACE0, SPACE1, CommonBuffer, Driver
from tests.scenarios.support import (
    CONFIG,
    CSR,
    DPR,
    INTCSR,
    IO_BAR,
    LADR,
    MEMORY_BAR,
    MODE,
    PADR,
    PCIHIDR,
    SIZ,
    Built,
    Machine,
    Watched,
    bar_resources,
    bit,
    board_of,
    off,
    on,
    pattern,
    poll,
    registers,
    serve,
)

LATENCY: Final = 0x0D
DONE_INTERRUPT: Final = bit(10)


class Alarm(Sram):
    """Registers of which the first is an interrupt status: the outside sets a bit, a one clears it."""

    def __init__(self) -> None:
        super().__init__(0x100)

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins

    def ring(self, mask: int) -> None:
        self._set(int.from_bytes(self.read(0, 2), "little") | mask)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        if offset == 0:
            self._set(int.from_bytes(self.read(0, 2), "little") & ~int.from_bytes(data, "little"))
        else:
            super().write(offset, data)

    def view(self, offset: int, length: int) -> memoryview | None:
        return None

    def _set(self, status: int) -> None:
        super().write(0, status.to_bytes(2, "little"))
        self._pins.drive_linti(status != 0)


class Rtd520:
    """rtd520's register accesses."""

    def __init__(self, pc: Driver, *, has_irq: bool = True) -> None:
        self.pc, self._has_irq = pc, has_irq
        self.events = 0

    def attach(self) -> None:
        self.pc.config_write(4, self.pc.config_read(4, 2) | 7, 2)
        self._reset()
        if self.pc.config_read(LATENCY, 1) < 32:
            self.pc.config_write(LATENCY, 32, 1)
        if self._has_irq:
            self.pc.write(INTCSR, 0x0000_0900)

    def detach(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.pc.write(INTCSR, 0)

    def isr(self) -> bool:
        """The driver looks at its own board's status alone."""
        status = self.pc.read(0, 2, bar=SPACE0)
        if not status:
            return False
        self.events |= status
        self.pc.write(0, status, 2, bar=SPACE0)
        return True


def rtd520_board(alarm: Built[Alarm], device: int) -> Board:
    return board_of(
        "dm7520", "9080",
        [Window("LAS0", LocalAddr(0x1000), alarm), Window("LAS1", LocalAddr(0x2000), lambda: Sram(0x10))],
        ids=device << 16 | 0x1435, subsystem=0x9080_10B5,
        las0rr=0xFFFF_FF00, las0ba=0x1001, las1rr=0xFFFF_FFF0, las1ba=0x2001,
    )  # fmt: skip


@pytest.mark.parametrize("device", [0x7520, 0x4520])
def test_attach_enables_the_board_s_interrupt_and_raises_the_latency_timer(device: int) -> None:
    pc = Watched(Machine("9080", board=rtd520_board(Built(Alarm), device)))
    assert pc.config_read(0) == device << 16 | 0x1435
    pc.seen()
    Rtd520(pc).attach()
    assert pc.seen() == [off(4, 7, 2, bar=CONFIG), off(LATENCY, 0, 1, bar=CONFIG)]
    assert pc.config_read(LATENCY, 1) == 32
    assert pc.read(INTCSR) == 0x0F00_0900
    assert bar_resources(pc) == [(MEMORY_BAR, 0x100), (IO_BAR, 0x100), (MEMORY_BAR, 0x100), (MEMORY_BAR, 0x10)]
    pc.write(0, 0xBEEF, 2, bar=SPACE1)
    assert pc.local.read_memory(0x2000, 2) == b"\xef\xbe"


def test_a_latency_timer_that_is_long_enough_stays() -> None:
    pc = Watched(Machine("9080", board=rtd520_board(Built(Alarm), 0x7520)))
    pc.config_write(LATENCY, 64, 1)
    Rtd520(pc).attach()
    assert pc.config_read(LATENCY, 1) == 64


def test_an_event_of_the_board_comes_by_linti_and_goes_with_its_status() -> None:
    alarm = Built(Alarm)
    pc = Watched(Machine("9080", board=rtd520_board(alarm, 0x7520)))
    driver = Rtd520(pc)
    driver.attach()
    alarm.now.ring(0x0012)
    assert pc.read(INTCSR) == 0x0F00_8900
    pc.seen()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [on(0, 0x12, 2, bar=SPACE0)]
    assert driver.events == 0x12
    assert pc.read(INTCSR) == 0x0F00_0900
    assert not driver.isr(), "the line is shared"
    driver.detach()
    alarm.now.ring(1)
    assert not pc.inta()
    assert pc.read(INTCSR) == 0x0F00_8000


def test_without_an_irq_the_board_stays_off_the_line() -> None:
    alarm = Built(Alarm)
    pc = Machine("9080", board=rtd520_board(alarm, 0x7520))
    Rtd520(pc, has_irq=False).attach()
    alarm.now.ring(1)
    assert not pc.inta()
    assert pc.read(INTCSR) == 0x0F00_8000


# -- DM7820 --------------------------------------------------------------------------------------------


class Fifo(Sram):
    """The DM7820's registers, with a FIFO at 100h that gives what the outside put in."""

    def __init__(self) -> None:
        super().__init__(0x2000)
        self.data = b""

    def plug(self, pins: LocalPins) -> None:
        pins.demand(0, lambda: len(self.data))

    def read(self, offset: int, length: int) -> bytes:
        if offset != 0x100:
            return super().read(offset, length)
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


class Dm7820:
    """The DM7820 driver's DMA: a block at a time from the FIFO, and a careful abort."""

    MODE_0: Final = 0x2_1D43
    """32 bits, READY#, burst, done interrupt, held address, demand mode, INTA#."""

    def __init__(self, pc: Driver) -> None:
        self.pc = pc
        self.finished = 0

    def initialise(self) -> None:
        self.pc.write(MODE[0], self.MODE_0)
        self.pc.write(INTCSR, self.pc.read(INTCSR) | bit(8) | bit(11) | bit(18))

    def start(self, memory: CommonBuffer, length: int) -> None:
        self.pc.write(PADR[0], memory.bus)
        self.pc.write(LADR[0], 0x100)
        self.pc.write(SIZ[0], length)
        self.pc.write(DPR[0], 8)
        self.pc.write(CSR[0], 0x01, 1)
        self.pc.write(CSR[0], 0x03, 1)

    def isr(self) -> bool:
        status = self.pc.read(INTCSR)
        if not status & bit(21):
            return False
        command = self.pc.read(CSR[0], 1)
        self.pc.write(CSR[0], command | 8, 1)
        self.finished += bool(command & 0x10)
        return True

    def abort(self, *, masked: bool = True) -> int:
        """Abort with the done interrupt off; give how many polls it took."""
        mode = self.pc.read(MODE[0])
        if masked:
            self.pc.write(MODE[0], mode & ~DONE_INTERRUPT)
        command = self.pc.read(CSR[0], 1)
        self.pc.write(CSR[0], command & ~5 | 4, 1)
        polls = poll(self.pc, lambda: bool(self.pc.read(CSR[0], 1) & 0x10), 1_000_000)
        if masked:
            self.pc.write(MODE[0], mode)
        return polls


class Bench:
    """A DM7820 in a PC, with the driver."""

    def __init__(self) -> None:
        self._built = Built(Fifo)
        board = board_of(
            "dm7820", "9056", [Window("FIFO", LocalAddr(0), self._built)],
            ids=0x7820_1435, subsystem=0x9056_10B5, las0rr=0xFFFF_E000, las0ba=1,
        )  # fmt: skip
        self.pc = Watched(Machine("9056", board=board))
        self.driver = Dm7820(self.pc)
        self.memory = self.pc.buffer(8 * KIB)
        self.driver.initialise()
        self.pc.seen()

    @property
    def fifo(self) -> Fifo:
        return self._built.now


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_dm7820_s_windows_have_its_driver_s_lengths(bench: Bench) -> None:
    assert bar_resources(bench.pc) == [(MEMORY_BAR, 0x200), (IO_BAR, 0x100), (MEMORY_BAR, 0x2000)]
    assert bench.pc.read(PCIHIDR) == bench.pc.read(PCIHIDR, bar=PORTS) == 0x9056_10B5


def test_a_block_from_the_fifo_ends_with_one_interrupt(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    data = pattern(2 * KIB)
    driver.start(bench.memory, 2 * KIB)
    bench.fifo.data = data[:1000]
    pc.settle()
    assert not pc.inta()
    assert pc.read(CSR[0], 1) == 0x01
    assert bench.memory.read(996, 8) == data[996:1000] + b"\xa5" * 4
    bench.fifo.data = data[1000:]
    pc.settle()
    pc.seen()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [on(INTCSR, 0x0F25_0900), on(CSR[0], 0x11, 1)]
    assert driver.finished == 1
    assert bench.memory.read(0, 2 * KIB + 4) == data + b"\xa5" * 4
    assert registers(pc, 0) == (bench.memory.bus, 0x100, 2 * KIB, 8)


def test_the_careful_abort_is_silent(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.start(bench.memory, 2 * KIB)
    bench.fifo.data = pattern(64)
    pc.settle()
    assert driver.abort() == 0
    assert pc.seen() == [off(MODE[0], Dm7820.MODE_0), off(CSR[0], 0x01, 1), off(CSR[0], 0x10, 1)]
    assert pc.read(MODE[0]) == Dm7820.MODE_0
    assert not pc.inta(), "nor did putting the enable back latch one"
    assert pc.read(INTCSR) == 0x0F05_0900
    assert bench.memory.read(0, 68) == pattern(64) + b"\xa5" * 4
    driver.start(bench.memory, 4)
    bench.fifo.data = b"next"
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert bench.memory.read(0, 8) == b"next" + pattern(64)[4:8]


def test_a_careless_abort_interrupts(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.start(bench.memory, 2 * KIB)
    pc.settle()
    driver.abort(masked=False)
    pc.seen()
    assert pc.inta()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [on(INTCSR, 0x0F25_0900), on(CSR[0], 0x10, 1)]
    assert driver.finished == 1, "which the driver takes for a finished block"


def test_an_abort_that_comes_too_late_is_silent_even_so(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    bench.fifo.data = pattern(8)
    driver.start(bench.memory, 8)
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert driver.abort(masked=False) == 0
    assert pc.read(CSR[0], 1) == 0x10
    assert pc.read(INTCSR) == 0x0F05_0900
    assert not pc.inta()


@pytest.mark.finds("unmapped-address")
def test_an_abort_frees_a_channel_that_a_bus_error_stopped(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.start(bench.memory, 2 * KIB)
    pc.write(CSR[0], 0, 1)
    driver.abort()
    pc.write(PADR[0], 0xF800_0000)
    bench.fifo.data = pattern(16)
    pc.write(CSR[0], 0x03, 1)
    pc.settle()
    assert pc.read(CSR[0], 1) == 0x01
    assert pc.read(INTCSR) == 0x0D05_4900
    assert not pc.inta(), "nobody enabled the abort interrupt"
    assert driver.abort() == 0
    assert pc.read(CSR[0], 1) == 0x10
    assert pc.read(0x104) == 0xF800_0000
