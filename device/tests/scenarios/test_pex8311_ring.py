# SPDX-License-Identifier: Apache-2.0
"""A user-space driver on a PEX 8311 with serial ports: polled rings of valid descriptors, polled blocks.

Source: reference sections 9.8, 4.1, 4.8 to 4.12 and the read-backs of 2.1 and 4.4.
"""

import struct
from typing import Final

import pytest

from plx9x5x.board import Window
from plx9x5x.model.localbus import Sram
from plx9x5x.units import KIB, LocalAddr
from tests.behaviour.driver import CommonBuffer, Driver
from tests.scenarios.support import (
    BIGEND,
    CNTRL,
    CSR,
    DAC,
    DPR,
    INTCSR,
    LADR,
    LAS0BA,
    LAS0RR,
    LAS1BA,
    LAS1RR,
    LBRD0,
    LBRD1,
    MARBR,
    MODE,
    PABTADR,
    PADR,
    PCIHIDR,
    PCIHREV,
    SIZ,
    Built,
    Machine,
    Watched,
    bit,
    board_of,
    off,
    pattern,
    poll,
    words,
)

UART_AT: Final = 0x0300_0000
"""A byte-wide FIFO."""
MEMORY_AT: Final = 0x0310_0000
VALID: Final = bit(31)
RING_MODE: Final = 0x0031_0A00
TO_UART, FROM_UART = 0, 1
"""DMA channels."""


class Uart:
    """The byte FIFOs of a port: what was written, and what it has to give."""

    size: Final = 16

    def __init__(self) -> None:
        self.sent = b""
        self.arrived = b""

    def read(self, offset: int, length: int) -> bytes:
        if offset:
            return bytes(length)
        taken, self.arrived = self.arrived[:length], self.arrived[length:]
        return taken.ljust(length, b"\0")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        if offset == 0:
            self.sent += bytes(data)

    def view(self, offset: int, length: int) -> memoryview | None:
        return None


class RingDriver:
    """The driver's register accesses. No interrupt: it polls memory, then DMACSR."""

    SLOTS: Final = 4

    def __init__(self, pc: Driver) -> None:
        self.pc = pc
        self.rings = (pc.buffer(16 * self.SLOTS), pc.buffer(16 * self.SLOTS))
        self._slot = [0, 0]

    def local_bits(self) -> int:
        """The bus settings that both spaces must share. Raises: ValueError if they do not."""
        first, second = self.pc.read(LBRD0) & 0xFF, self.pc.read(LBRD1) & 0xFF
        if first != second:
            raise ValueError(f"space 0 has {first:#x}, space 1 {second:#x}")
        return first

    def abort(self, channel: int) -> None:
        self.pc.write(CSR[channel], 0x04, 1)
        self.pc.read(CSR[channel], 1)

    def make_ring(self, channel: int) -> None:
        self.abort(channel)
        mode = self.local_bits() | bit(9) | bit(11) | bit(16) | bit(20) | bit(21)
        self.pc.write(MODE[channel], mode)
        ring = self.rings[channel]
        ring.write(0, bytes(16 * self.SLOTS))
        self.pc.write(DPR[channel], ring.bus | 1)
        self._slot[channel] = 0

    def queue(self, channel: int, bus: int, length: int) -> int:
        """Fill the next descriptor, its size word last; give its slot."""
        ring, slot = self.rings[channel], self._slot[channel]
        after = ring.bus + (slot + 1) % self.SLOTS * 16
        ring.write(16 * slot + 4, struct.pack("<3I", bus, UART_AT, after | (9 if channel == FROM_UART else 1)))
        ring.write(16 * slot, struct.pack("<I", length | VALID))
        self._slot[channel] = (slot + 1) % self.SLOTS
        return slot

    def kick(self, channel: int) -> None:
        """Start a channel by a dword, which pauses the other one."""
        self.pc.write(CSR[0], 3 << 8 * channel)

    def used(self, channel: int, slot: int) -> bool:
        return not words(self.rings[channel], 16 * slot, 1)[0] & VALID

    def done(self, channel: int) -> bool:
        return bool(self.pc.read(CSR[channel], 1) & 0x10)

    def wait(self, channel: int, slot: int) -> None:
        """First the size word, then DONE: a start in between is not safe."""
        poll(self.pc, lambda: self.used(channel, slot), 1000)
        poll(self.pc, lambda: self.done(channel), 1000)

    def send(self, bus: int, length: int) -> None:
        slot = self.queue(TO_UART, bus, length)
        self.kick(TO_UART)
        self.wait(TO_UART, slot)

    def receive(self, bus: int, length: int) -> None:
        slot = self.queue(FROM_UART, bus, length)
        self.kick(FROM_UART)
        self.wait(FROM_UART, slot)

    def block(self, bus: int, length: int, *, to_pci: bool, local: int = UART_AT, hold: bool = True) -> None:
        self.pc.write(MODE[0], self.local_bits() | (bit(11) if hold else 0))
        self.pc.write(SIZ[0], length)
        self.pc.write(PADR[0], bus & 0xFFFF_FFFF)
        self.pc.write(DAC[0], bus >> 32)
        self.pc.write(LADR[0], local)
        self.pc.write(DPR[0], 8 if to_pci else 0)
        self.kick(0)

    def wait_block(self) -> None:
        poll(self.pc, lambda: self.done(0), 1000)


class Bench:
    """The board as its EEPROM was read back, in a PC, with the driver."""

    def __init__(self, *, lbrd1: int = 0, addresses: tuple[int, ...] = ()) -> None:
        self._built = Built(Uart)
        board = board_of(
            "serial", "8311",
            [Window("UART", LocalAddr(UART_AT), self._built), Window("memory", LocalAddr(MEMORY_AT), lambda: Sram(16))],
            ids=0x9056_10B5, subsystem=0x9056_10B5, marbr=0x0921_0007, misc=0x2030_8400,
            las0rr=0xFFFF_FFF0, las0ba=UART_AT | 1, las1rr=0xFFFF_FFF0, las1ba=MEMORY_AT | 1,
            lbrd0=0x4200_0300, lbrd1=lbrd1, dmlbam=0x6000_0000, dmlbai=0x5000_0000,
        )  # fmt: skip
        self.machine = Machine("8311", board=board, addresses=addresses)
        self.pc = Watched(self.machine)
        self.driver = RingDriver(self.pc)
        self.memory: CommonBuffer = self.pc.buffer(4 * KIB)

    @property
    def uart(self) -> Uart:
        return self._built.now


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def ring(bench: Bench) -> Bench:
    bench.driver.make_ring(TO_UART)
    bench.driver.make_ring(FROM_UART)
    bench.pc.seen()
    return bench


def test_the_registers_read_as_on_the_real_board(bench: Bench) -> None:
    pc = bench.pc
    found = {at: pc.read(at) for at in (LAS0RR, LAS0BA, MARBR, BIGEND, LBRD0, 0x20, 0x24, LAS1RR, LAS1BA, LBRD1)}
    assert found == {
        LAS0RR: 0xFFFF_FFF0, LAS0BA: 0x0300_0001, MARBR: 0x0921_0007, BIGEND: 0x2030_8400, LBRD0: 0x4200_0300,
        0x20: 0x6000_0000, 0x24: 0x5000_0000, LAS1RR: 0xFFFF_FFF0, LAS1BA: 0x0310_0001, LBRD1: 0,
    }  # fmt: skip
    assert pc.read(0xAC) == 0x0921_0007
    assert [pc.read(at) for at in (INTCSR, CNTRL, PCIHIDR, PCIHREV)] == [0x0F01_0100, 0x100F_767E, 0x9056_10B5, 0xBA]
    assert [pc.read(at) for at in (*MODE, CSR[0], 0xB0, 0x30, 0x34, 0xC0, 0xE8)] == [
        0x43,
        0x43,
        0x1010,
        0,
        0,
        8,
        2,
        0x50,
    ]
    assert pc.config_read(0x14) == 0, "this board has no I/O window"


def test_the_ring_s_mode_comes_from_the_bus_settings(bench: Bench) -> None:
    bench.driver.make_ring(TO_UART)
    assert bench.pc.seen() == [off(CSR[0], 0x10, 1), off(LBRD0, 0x4200_0300), off(LBRD1, 0)]
    assert bench.pc.read(MODE[0]) == RING_MODE
    assert bench.pc.read(DPR[0]) == bench.driver.rings[0].bus | 1


def test_two_spaces_with_different_bus_settings_are_refused() -> None:
    bench = Bench(lbrd1=0x43)
    with pytest.raises(ValueError, match="0x43"):
        bench.driver.make_ring(TO_UART)


def test_a_transfer_clears_its_descriptor_and_then_is_done(ring: Bench) -> None:
    driver, pc = ring.driver, ring.pc
    ring.memory.write(0, b"hello")
    driver.send(ring.memory.bus, 5)
    assert ring.uart.sent == b"hello"
    assert pc.seen() == [off(CSR[0], 0x11, 1)]
    assert words(driver.rings[0], 0, 4) == (0, ring.memory.bus, UART_AT, driver.rings[0].bus + 16 | 1)
    assert pc.read(DPR[0]) == driver.rings[0].bus + 16 | 1, "it points at the invalid descriptor"
    assert pc.read(INTCSR) == 0x0F01_0100
    assert not pc.inta()


def test_the_registers_show_the_invalid_descriptor_in_ring_order(ring: Bench) -> None:
    driver, pc = ring.driver, ring.pc
    driver.rings[0].write(16, struct.pack("<4I", 7, 0x1234_5678, 0x9ABC_DEF0, 0xFFFF_FFF1))
    driver.send(ring.memory.bus, 1)
    assert [pc.read(at) for at in (0x84, 0x88, 0x8C)] == [7, 0x1234_5678, 0x9ABC_DEF0]
    pc.write(MODE[0], RING_MODE & ~bit(20))
    assert [pc.read(at) for at in (PADR[0], LADR[0], SIZ[0])] == [0x1234_5678, 0x9ABC_DEF0, 7]
    pc.write(MODE[0], RING_MODE)
    assert [pc.read(at) for at in (0x84, 0x88, 0x8C)] == [7, 0x1234_5678, 0x9ABC_DEF0]


def test_the_ring_goes_round(ring: Bench) -> None:
    driver = ring.driver
    for number in range(3 * RingDriver.SLOTS + 1):
        ring.memory.write(64 * number, f"line {number}\n".encode())
        driver.send(ring.memory.bus + 64 * number, len(f"line {number}\n"))
    assert ring.uart.sent == "".join(f"line {n}\n" for n in range(3 * RingDriver.SLOTS + 1)).encode()
    assert ring.pc.seen() == [off(CSR[0], 0x11, 1)], "the same at every poll"
    assert ring.pc.read(DPR[0]) == driver.rings[0].bus + 16 | 1


def test_descriptors_that_wait_go_out_by_one_start(ring: Bench) -> None:
    ring.memory.write(0, b"onetwothree")
    slots = [ring.driver.queue(TO_UART, ring.memory.bus + at, size) for at, size in ((0, 3), (3, 3), (6, 5))]
    ring.driver.kick(TO_UART)
    for slot in slots:
        ring.driver.wait(TO_UART, slot)
    assert ring.uart.sent == b"onetwothree"
    assert words(ring.driver.rings[0], 0, 1) == words(ring.driver.rings[0], 32, 1) == (0,)


def test_a_ring_receives(ring: Bench) -> None:
    ring.uart.arrived = b"from the line"
    ring.driver.receive(ring.memory.bus + 8, 13)
    assert ring.memory.read(0, 24) == b"\xa5" * 8 + b"from the line" + b"\xa5" * 3
    assert ring.pc.seen() == [off(CSR[1], 0x11, 1)]
    assert ring.pc.read(CSR[0]) == 0x1110, "the dword disabled channel 0"


def test_a_start_on_an_empty_ring_is_done_at_once(ring: Bench) -> None:
    ring.driver.kick(TO_UART)
    ring.pc.settle()
    assert ring.pc.read(CSR[0], 1) == 0x11
    assert ring.pc.read(DPR[0]) == ring.driver.rings[0].bus | 1
    assert ring.uart.sent == b""


def test_valid_is_cleared_before_done_and_a_start_in_between_is_lost_but_its_descriptor_is_not(ring: Bench) -> None:
    driver, pc = ring.driver, ring.pc
    ring.memory.write(0, b"firstsecond")
    slot = driver.queue(TO_UART, ring.memory.bus, 5)
    driver.kick(TO_UART)
    ring.machine.run_until(lambda: driver.used(TO_UART, slot))
    assert pc.read(CSR[0], 1) == 0x01, "VALID is 0 and DONE is not yet 1"
    slot = driver.queue(TO_UART, ring.memory.bus + 5, 6)
    driver.kick(TO_UART)
    driver.wait(TO_UART, slot)
    assert ring.uart.sent == b"firstsecond"
    assert pc.read(CSR[0], 1) == 0x11


def test_the_other_channel_s_start_pauses_a_ring_in_the_middle(ring: Bench) -> None:
    driver, pc = ring.driver, ring.pc
    ring.memory.write(0, b"outgoing")
    ring.uart.arrived = b"incoming"
    slot = driver.queue(TO_UART, ring.memory.bus, 8)
    driver.kick(TO_UART)
    driver.receive(ring.memory.bus + 64, 8)
    assert pc.read(CSR[0]) == 0x1100, "channel 0 has been paused before it began"
    assert ring.uart.sent == b""
    assert not driver.used(TO_UART, slot)
    pc.write(CSR[0], 1, 1)
    driver.wait(TO_UART, slot)
    assert ring.uart.sent == b"outgoing"
    assert ring.memory.read(64, 8) == b"incoming"


def test_another_start_of_a_ring_that_is_paused_in_a_descriptor_only_resumes_it(ring: Bench) -> None:
    ring.memory.write(0, pattern(1000))
    slot = ring.driver.queue(TO_UART, ring.memory.bus, 1000)
    ring.driver.kick(TO_UART)
    ring.machine.run_until(lambda: len(ring.uart.sent) > 0)
    ring.pc.write(CSR[0], 0, 1)
    sent = len(ring.uart.sent)
    assert sent < 1000
    ring.pc.settle()
    assert (ring.pc.read(CSR[0], 1), len(ring.uart.sent)) == (0x00, sent)
    ring.driver.kick(TO_UART)
    ring.driver.wait(TO_UART, slot)
    assert ring.uart.sent == pattern(1000)


def test_a_block_leaves_its_registers_as_they_were_written(bench: Bench) -> None:
    bench.uart.arrived = pattern(100)
    bench.driver.block(bench.memory.bus + 1, 100, to_pci=True)
    bench.driver.wait_block()
    assert bench.pc.seen()[-2:] == [off(CSR[0], 0x01, 1), off(CSR[0], 0x11, 1)]
    assert [bench.pc.read(at) for at in (MODE[0], PADR[0], LADR[0], SIZ[0], DPR[0], DAC[0])] == [
        0x800, bench.memory.bus + 1, UART_AT, 100, 8, 0,
    ]  # fmt: skip
    assert bench.memory.read(0, 102) == b"\xa5" + pattern(100) + b"\xa5"


def test_a_block_above_4_gib_reaches_the_endpoint_s_memory() -> None:
    bench = Bench(addresses=(0x0100_0000, 0x0101_0000, 0x2_0000_0000))
    bench.memory.write(0, b"high")
    bench.driver.block(bench.memory.bus, 4, to_pci=False)
    bench.driver.wait_block()
    assert bench.uart.sent == b"high"
    assert [bench.pc.read(at) for at in (PADR[0], DAC[0])] == [0, 2]


def test_pabtadr_follows_what_was_mastered(bench: Bench) -> None:
    bench.driver.block(bench.memory.bus, 8, to_pci=True)
    bench.driver.wait_block()
    assert bench.pc.read(PABTADR) & ~0xFFF == bench.memory.bus
    assert bench.pc.read(PABTADR) % 4 == 0


@pytest.mark.finds("unmapped-address")
def test_an_address_that_nobody_answers_stops_the_channel_as_it_was_seen_to(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.block(0xF800_0000, 4, to_pci=True)
    with pytest.raises(TimeoutError):
        driver.wait_block()
    assert pc.read(INTCSR) == 0x0D01_4100
    assert pc.read(CSR[0], 1) == 0x01
    assert pc.read(PABTADR) == 0xF800_0000
    assert pc.config_read(6, 2) == 0x22B0
    assert not pc.inta()
    driver.abort(0)
    assert pc.read(CSR[0], 1) == 0x10
    assert pc.read(INTCSR) == 0x0D01_4100
    pc.config_write(6, 0x2000, 2)
    assert pc.read(INTCSR) == 0x0F01_0100


def test_an_abort_of_a_finished_channel_only_clears_enable(ring: Bench) -> None:
    ring.driver.send(ring.memory.bus, 1)
    assert ring.pc.read(CSR[0], 1) == 0x11
    ring.driver.abort(TO_UART)
    assert ring.pc.seen()[-1] == off(CSR[0], 0x10, 1)
    assert ring.pc.read(INTCSR) == 0x0F01_0100


def test_a_size_with_valid_can_be_stored_outside_ring_mode(bench: Bench) -> None:
    bench.pc.write(SIZ[0], 0x8000_0001)
    assert bench.pc.read(SIZ[0]) == 0x8000_0001
    bench.pc.write(SIZ[0], 0xFFFF_FFFF)
    assert bench.pc.read(SIZ[0]) == 0x807F_FFFF
