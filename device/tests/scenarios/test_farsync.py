# SPDX-License-Identifier: Apache-2.0
"""Linux farsync's TXU boards on a PCI 9054: everything through the I/O window, resets by half words, a block a frame.

Source: reference section 9.7. The card's memory is the reference board's.
"""

from typing import Final

import pytest

from plx9x5x.peripheral import Pin
from tests.behaviour.driver import PORTS, CommonBuffer, Driver
from tests.scenarios.support import (
    CNTRL,
    CSR,
    DMATHR,
    DPR,
    INTCSR,
    LADR,
    MODE,
    PADR,
    SIZ,
    Machine,
    Read,
    Watched,
    bit,
    off,
    on,
    pattern,
    serve,
)

RX, TX = 0, 1
"""DMA channels: to the host, and to the card."""
ENABLED: Final = 0x0F0C_0900
CONTROL_UPPER: Final = CNTRL + 2


class Farsync:
    """The driver's register accesses."""

    def __init__(self, pc: Driver) -> None:
        self.pc = pc
        self.done = {RX: 0, TX: 0}

    def reset(self) -> None:
        """Reset, release, reload the EEPROM, end; only the upper half of CNTRL is written."""
        for upper in (0x440F, 0x040F, 0x240F, 0x040F):
            self._out(CONTROL_UPPER, upper, 2)
            self.pc.read(CONTROL_UPPER, 2, bar=PORTS)

    def initialise(self) -> None:
        for channel in (RX, TX):
            self._out(MODE[channel], 0x0002_0441)
        self._out(DMATHR, 0)

    def enable_interrupts(self, wanted: bool) -> None:
        self._out(INTCSR, 0x0F0C_0900 if wanted else 0)

    def strobe(self) -> None:
        """Toggle USERo."""
        for upper in (0x040E, 0x040F):
            self._out(CONTROL_UPPER, upper, 2)

    def move(self, channel: int, bus: int, local: int, length: int) -> None:
        self._out(PADR[channel], bus)
        self._out(LADR[channel], local)
        self._out(SIZ[channel], length)
        self._out(DPR[channel], 0x0C if channel == RX else 0x04)
        self._out(CSR[channel], 0x03, 1)

    def isr(self) -> bool:
        status = self.pc.read(INTCSR, bar=PORTS)
        for channel in (RX, TX):
            if status & bit(21 + channel):
                self._out(CSR[channel], 0x08, 1)
                self.done[channel] += 1
        return bool(status & (bit(21) | bit(22)))

    def _out(self, register: int, value: int, width: int = 4) -> None:
        self.pc.write(register, value, width, bar=PORTS)


def on_port(offset: int, value: int, width: int = 4) -> Read:
    return on(offset, value, width, bar=PORTS)


def off_port(offset: int, value: int, width: int = 4) -> Read:
    return off(offset, value, width, bar=PORTS)


class Bench:
    def __init__(self) -> None:
        self.machine = Machine("9054")
        self.pc = Watched(self.machine)
        self.driver = Farsync(self.pc)
        self.memory: CommonBuffer = self.pc.buffer(0x1000)

    def ready(self) -> "Bench":
        self.driver.reset()
        self.driver.initialise()
        self.driver.enable_interrupts(True)
        self.pc.seen()
        return self


@pytest.fixture
def bench() -> Bench:
    return Bench().ready()


def test_half_word_writes_reset_the_card_and_reload_it() -> None:
    bench = Bench()
    pc, before = bench.pc, bench.pc.read(CNTRL)
    assert before == 0x100F_767E
    pc.local.write_memory(pc.memory_at, b"gone")
    pc.write(MODE[RX], 0)
    pc.seen()
    bench.driver.reset()
    assert pc.seen() == [
        off_port(CONTROL_UPPER, upper, 2) for upper in (0x540F, 0x140F, 0x340F, 0x140F)
    ]  # fmt: skip
    assert pc.read(CNTRL) == 0x140F_767E, "the lower half, with the PCI commands, was not touched"
    assert pc.read(MODE[RX]) == 0x43
    assert pc.local.read_memory(pc.memory_at, 4) == bytes(4)
    assert pc.config_read(0) == 0x5406_10B5


def test_data_in_to_the_eeprom_with_no_chip_select_changes_nothing(bench: Bench) -> None:
    """Bit 26, which every one of the words above sets."""
    before = bench.machine.eeprom_image
    bench.driver.reset()
    assert bench.machine.eeprom_image == before


def test_the_interrupt_enable_is_a_plain_write(bench: Bench) -> None:
    assert bench.pc.read(INTCSR, bar=PORTS) == ENABLED
    bench.driver.enable_interrupts(False)
    assert bench.pc.read(INTCSR, bar=PORTS) == 0x0F00_0000
    assert [bench.pc.read(at, bar=PORTS) for at in (*MODE, DMATHR)] == [0x2_0441, 0x2_0441, 0]


def test_usero_follows_its_bit(bench: Bench) -> None:
    levels: list[bool] = []
    bench.machine.device.local_side.watch(Pin.USERO, levels.append)
    bench.driver.strobe()
    assert levels == [True, False, True]
    assert bench.pc.read(CONTROL_UPPER, 2, bar=PORTS) == 0x140F


@pytest.mark.parametrize("channel", [RX, TX])
def test_terminal_count_and_done_are_one_interrupt(bench: Bench, channel: int) -> None:
    pc, frame = bench.pc, pattern(1503)
    local = pc.memory_at + 0x123
    if channel == RX:
        pc.local.write_memory(local, frame)
    else:
        bench.memory.write(2, frame)
    bench.driver.move(channel, bench.memory.bus + 2, local, len(frame))
    assert not pc.inta()
    pc.settle()
    assert pc.inta()
    assert pc.read(CSR[channel], 1, bar=PORTS) == 0x11
    pc.seen()
    assert serve(pc, bench.driver.isr) == 1
    assert pc.seen() == [on_port(INTCSR, ENABLED | bit(21 + channel))]
    assert bench.driver.done == {channel: 1, 1 - channel: 0}
    assert pc.read(CSR[channel], 1, bar=PORTS) == 0x10, "the acknowledge cleared ENABLE as well"
    assert pc.read(INTCSR, bar=PORTS) == ENABLED
    assert bench.memory.read(2, 1503) == pc.local.read_memory(local, 1503) == frame
    assert [pc.read(at[channel], bar=PORTS) for at in (PADR, LADR, SIZ, DPR)] == [
        bench.memory.bus + 2, local, 1503, 0x0C if channel == RX else 0x04,
    ]  # fmt: skip


def test_both_directions_at_once_are_served_by_one_call(bench: Bench) -> None:
    pc = bench.pc
    bench.memory.write(0, b"to the card.")
    pc.local.write_memory(pc.memory_at + 0x100, b"to the host.")
    bench.driver.move(TX, bench.memory.bus, pc.memory_at, 12)
    bench.driver.move(RX, bench.memory.bus + 64, pc.memory_at + 0x100, 12)
    pc.settle()
    assert serve(pc, bench.driver.isr) == 1
    assert pc.seen() == [on_port(INTCSR, ENABLED | bit(21) | bit(22))]
    assert bench.driver.done == {RX: 1, TX: 1}
    assert bench.memory.read(64, 12) == b"to the host."
    assert pc.local.read_memory(pc.memory_at, 12) == b"to the card."


def test_frames_follow_each_other_on_a_channel_that_the_acknowledge_disabled(bench: Bench) -> None:
    for number in range(5):
        bench.memory.write(0, bytes([number]) * 32)
        bench.driver.move(TX, bench.memory.bus, bench.pc.memory_at + 32 * number, 32)
        bench.pc.settle()
        assert serve(bench.pc, bench.driver.isr) == 1
    assert bench.driver.done[TX] == 5
    stored = bench.pc.local.read_memory(bench.pc.memory_at, 160)
    assert stored == b"".join(bytes([number]) * 32 for number in range(5))


def test_with_interrupts_off_a_frame_waits_in_the_latch(bench: Bench) -> None:
    bench.driver.enable_interrupts(False)
    bench.driver.move(RX, bench.memory.bus, bench.pc.memory_at, 8)
    bench.pc.settle()
    assert not bench.pc.inta()
    assert bench.pc.read(INTCSR, bar=PORTS) == 0x0F20_0000
    bench.driver.enable_interrupts(True)
    assert bench.pc.inta()
    assert serve(bench.pc, bench.driver.isr) == 1


def test_a_reset_in_the_middle_of_a_frame_drops_its_interrupt(bench: Bench) -> None:
    bench.driver.move(RX, bench.memory.bus, bench.pc.memory_at, 8)
    bench.pc.settle()
    assert bench.pc.inta()
    bench.driver.reset()
    assert not bench.pc.inta()
    assert bench.pc.seen() == [
        off_port(CONTROL_UPPER, 0x540F, 2),
        off_port(CONTROL_UPPER, 0x140F, 2), off_port(CONTROL_UPPER, 0x340F, 2), off_port(CONTROL_UPPER, 0x140F, 2),
    ]  # fmt: skip
    assert bench.pc.read(INTCSR, bar=PORTS) == ENABLED
    assert bench.pc.read(CSR[RX], 1, bar=PORTS) == 0x10
