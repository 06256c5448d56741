# SPDX-License-Identifier: Apache-2.0
"""The Windows PLX9x5x sample on its two boards: chained DMA on both channels, counted by what the chip writes back.

Source: reference sections 9.1 and 10.5. Channel 0 writes to the device, channel 1 reads from it.
"""

import functools

import pytest

from plx9x5x.board import Window
from plx9x5x.model.localbus import Sram
from plx9x5x.model.timing import BusSpeed
from plx9x5x.units import KIB, LocalAddr
from tests.behaviour.driver import SPACE0
from tests.scenarios.support import (
    CNTRL,
    CSR,
    DAC,
    DPR,
    INTCSR,
    IO_BAR,
    LADR,
    MEMORY_BAR,
    MODE,
    PADR,
    PCIHIDR,
    PCIHREV,
    SIZ,
    Machine,
    Watched,
    bar_resources,
    bit,
    board_of,
    off,
    on,
    pattern,
    registers,
    serve,
    words,
)
from tests.scenarios.wdk_sample import OPERATION, READ, SRAM, WRITE, WdkSample, pages


@pytest.fixture(params=["9656", "9056"])
def pc(request: pytest.FixtureRequest) -> Watched:
    return Watched(Machine(request.param))


def test_a_lite_board_is_what_the_checklist_says() -> None:
    driver = Machine("9656")
    assert driver.config_read(0x00) == 0x9601_10B5
    assert driver.config_read(0x08) == 0x0680_00BA
    assert driver.config_read(0x2C) == 0x9656_10B5
    assert driver.config_read(0x3D, 1) == 1
    assert driver.config_read(0x34, 1) == 0x40
    assert [driver.config_read(at, 2) for at in (0x40, 0x48, 0x4C)] == [0x4801, 0x4C06, 0x0003]
    assert [driver.read(at) for at in (0x00, 0x04, 0x18)] == [0xFFFE_0000, 1, 0x4243_0043]
    assert driver.read(0x0D, 1) == 0x05
    assert [driver.read(at) for at in (CNTRL, PCIHIDR, PCIHREV)] == [0x100F_767E, 0x9656_10B5, 0xBA]
    assert [driver.read(at) for at in (INTCSR, *MODE)] == [0x0F01_0100, 0x43, 0x43]
    assert [driver.read(at, 1) for at in CSR] == [0x10, 0x10]
    assert not driver.inta()


def test_the_sample_finds_its_resources(pc: Watched) -> None:
    assert pc.config_read(0) == {"9656": 0x9601_10B5, "9056": 0x5601_10B5}[pc.chip]
    resources = bar_resources(pc)
    assert resources == [(MEMORY_BAR, 0x200), (IO_BAR, 0x100), (MEMORY_BAR, SRAM)]
    assert WdkSample.prepare_hardware(resources) == ["registers", "ports", "SRAM"]


def test_a_second_window_of_the_same_length_is_the_alternate_sram() -> None:
    both = [Window(f"SRAM {n}", LocalAddr(n * SRAM), functools.partial(Sram, SRAM)) for n in (0, 1)]
    board = board_of(
        "two", "9656", both, ids=0x9601_10B5, subsystem=0x9656_10B5,
        las0rr=0xFFFE_0000, las0ba=1, las1rr=0xFFFE_0000, las1ba=SRAM | 1,
    )  # fmt: skip
    resources = bar_resources(Machine("9656", board=board))
    assert WdkSample.prepare_hardware(resources) == ["registers", "ports", "SRAM", "alternate SRAM"]


def test_a_9054_is_refused_by_the_length_of_its_registers() -> None:
    assert WdkSample.prepare_hardware(bar_resources(Machine("9054"))) == []


def test_starting_the_device_leaves_the_line_alone(pc: Watched) -> None:
    sample = WdkSample(pc)
    sample.d0_entry()
    sample.enable_interrupts(False)
    sample.enable_interrupts(True)
    assert pc.seen() == [off(INTCSR, 0x0F01_0100), off(INTCSR, 0x0F01_0000)]
    assert [pc.read(at) for at in (*DAC, INTCSR)] == [0, 0, 0x0F01_0100]


@pytest.mark.parametrize("unset", [0, 2, 8, 10])
def test_a_write_takes_direction_and_end_from_the_descriptors(pc: Watched, unset: int) -> None:
    sample = WdkSample(pc, unset=unset)
    data = pattern(6 * KIB)
    memory = pc.buffer(12 * KIB)
    memory.write(100, data)
    pieces = pages(memory.bus + 100, len(data))
    assert len(pieces) == 2
    sample.start(WRITE, pieces)
    assert pc.seen() == [off(MODE[0], 0x43), off(INTCSR, 0x0F01_0100), off(CSR[0], 0x10, 1)]
    assert not pc.inta()
    pc.settle()
    assert pc.inta()
    assert serve(pc, sample.isr) == 1
    assert pc.seen() == [on(INTCSR, 0x0F25_0100), on(CSR[0], 0x11, 1)]
    assert sample.deferred == 1
    assert not pc.inta()
    assert pc.local.read_memory(0, len(data)) == data
    assert pc.read(INTCSR) == 0x0F05_0100
    assert pc.read(MODE[0]) == 0x2_0643
    assert pc.read(CSR[0], 1) == 0x11, "clearing the latch with 0x19 did not start the channel again"
    chain = sample.lists[WRITE].bus
    assert registers(pc, 0) == (pieces[1][0], pieces[0][1], pieces[1][1], chain + 64 | 1 | 2)
    assert words(sample.lists[WRITE], 0, 3) == (*pieces[0][:1], 0, pieces[0][1]), "a write leaves its list as it was"


def test_a_read_counts_its_bytes_by_what_the_chip_wrote_back(pc: Watched) -> None:
    sample = WdkSample(pc)
    data = pattern(OPERATION, seed=3)
    pc.local.write_memory(0, data)
    memory = pc.buffer(16 * KIB)
    pieces = pages(memory.bus + 0xFFE, OPERATION)
    assert [length for _, length in pieces] == [2, 4 * KIB, 4 * KIB - 2]
    sample.start(READ, pieces)
    assert pc.seen() == [off(MODE[1], 0x43), off(INTCSR, 0x0F01_0100), off(CSR[1], 0x10, 1)]
    assert sample.bytes_read(OPERATION) == 0
    pc.settle()
    assert serve(pc, sample.isr) == 1
    assert pc.seen() == [on(INTCSR, 0x0F49_0100), on(CSR[1], 0x11, 1)]
    assert sample.bytes_read(OPERATION) == OPERATION
    assert [words(sample.lists[READ], at, 1) for at in (8, 40, 72)] == [(0,), (0,), (0,)]
    assert memory.read(0, 0xFFE + OPERATION + 8) == b"\xa5" * 0xFFE + data + b"\xa5" * 8
    chain = sample.lists[READ].bus
    assert registers(pc, 1) == (pieces[2][0], 4 * KIB + 2, pieces[2][1], chain + 96 | 1 | 2 | 8)
    assert pc.read(MODE[1]) == 0x3_0643
    assert pc.read(INTCSR) == 0x0F09_0100
    assert not pc.inta()


def test_the_count_is_written_back_before_the_interrupt_shows(pc: Watched) -> None:
    driver = Machine(pc.chip)
    sample = WdkSample(driver)
    back = driver.buffer(64)
    sample.start(READ, [(back.bus, 64)])
    driver.run_until(lambda: words(sample.lists[READ], 8, 1) == (0,))
    assert back.read(0, 64) == bytes(64), "the data came before"
    driver.run_until(driver.inta)
    assert driver.read(CSR[1], 1) == 0x11
    assert words(sample.lists[READ], 8, 1) == (0,)


def test_seventeen_fragments_raise_one_interrupt(pc: Watched) -> None:
    sample = WdkSample(pc)
    data = pattern(OPERATION)
    memory = pc.buffer(16 * KIB)
    sizes = [480] * 16 + [OPERATION - 16 * 480]
    pieces, at, sent = [], 0, 0
    for size in sizes:
        memory.write(at, data[sent : sent + size])
        pieces.append((memory.bus + at, size))
        at, sent = at + size + 32, sent + size
    sample.start(WRITE, pieces)
    pc.settle()
    assert serve(pc, sample.isr) == 1
    assert sample.deferred == 1
    assert pc.local.read_memory(0, OPERATION) == data


def test_the_test_program_fills_the_sram_and_reads_it_back(pc: Watched) -> None:
    sample = WdkSample(pc)
    sample.d0_entry()
    data = pattern(SRAM)
    out, back = pc.buffer(SRAM + 8 * KIB), pc.buffer(SRAM + 8 * KIB)
    out.write(0x123, data)
    assert sample.transfer(WRITE, out, 0x123, SRAM) == SRAM
    assert pc.read(0, 8, bar=SPACE0) == int.from_bytes(data[:8], "little")
    assert sample.transfer(READ, back, 0x45, SRAM) == SRAM
    assert back.read(0x45, SRAM) == data
    assert back.read(0, 0x45) == b"\xa5" * 0x45
    assert sample.deferred == 2 * SRAM // OPERATION
    assert not pc.inta()


def test_on_a_bus_that_takes_time_a_channel_is_busy_until_its_interrupt(pc: Watched) -> None:
    slow = Machine(pc.chip, speed=BusSpeed(33, 32))
    sample = WdkSample(slow)
    memory = slow.buffer(SRAM)
    memory.write(0, pattern(OPERATION))
    sample.start(WRITE, pages(memory.bus, OPERATION))
    before = slow.clock.now()
    for _ in range(20):
        slow.device.step(OPERATION)
        assert (slow.read(CSR[0], 1), slow.inta()) == (0x01, False)
    slow.settle()
    assert serve(slow, sample.isr) == 1
    assert sample.csr[0] == 0x11
    assert slow.local.read_memory(0, OPERATION) == pattern(OPERATION)
    assert slow.clock.now() - before > OPERATION // 4 * 1000 // 33


def test_two_threads_share_one_interrupt(pc: Watched) -> None:
    sample = WdkSample(pc)
    pc.local.write_memory(0x1000, pattern(KIB, seed=9))
    out, back = pc.buffer(KIB), pc.buffer(KIB)
    out.write(0, b"\xab" * KIB)
    sample.start(WRITE, [(out.bus, KIB)])
    sample.start(READ, [(back.bus, KIB)], offset=0x1000)
    assert pc.seen() == [
        off(MODE[0], 0x43), off(INTCSR, 0x0F01_0100), off(CSR[0], 0x10, 1),
        off(MODE[1], 0x43), off(INTCSR, 0x0F05_0100), off(CSR[1], 0x10, 1),
    ]  # fmt: skip
    pc.settle()
    assert serve(pc, sample.isr) == 1
    assert pc.seen() == [on(INTCSR, 0x0F6D_0100), on(CSR[0], 0x11, 1), on(CSR[1], 0x11, 1)]
    assert not pc.inta()
    assert pc.local.read_memory(0, KIB) == b"\xab" * KIB
    assert back.read(0, KIB) == pattern(KIB, seed=9)
    assert sample.bytes_read(KIB) == KIB


def test_a_second_write_starts_from_an_enabled_channel(pc: Watched) -> None:
    sample = WdkSample(pc)
    memory = pc.buffer(16)
    for data in (b"first   ", b"second.."):
        memory.write(0, data)
        sample.start(WRITE, [(memory.bus, 8)])
        pc.settle()
        assert serve(pc, sample.isr) == 1
        assert pc.local.read_memory(0, 8) == data
    assert pc.seen() == [
        off(MODE[0], 0x43), off(INTCSR, 0x0F01_0100), off(CSR[0], 0x10, 1),
        on(INTCSR, 0x0F25_0100), on(CSR[0], 0x11, 1),
        off(MODE[0], 0x2_0643), off(INTCSR, 0x0F05_0100), off(CSR[0], 0x11, 1),
        on(INTCSR, 0x0F25_0100), on(CSR[0], 0x11, 1),
    ]  # fmt: skip


def test_the_line_follows_the_interrupt_enable_while_one_waits(pc: Watched) -> None:
    sample = WdkSample(pc)
    sample.start(WRITE, [(pc.buffer(8).bus, 8)])
    pc.settle()
    sample.enable_interrupts(False)
    assert not pc.inta()
    assert sample.isr(), "the sample does not look at the enable"
    sample.enable_interrupts(True)
    assert not pc.inta()
    assert not sample.isr()
    assert pc.seen()[-3:] == [off(CSR[0], 0x11, 1), off(INTCSR, 0x0F05_0000), off(INTCSR, 0x0F05_0100)]


@pytest.mark.finds("unmapped-address")
def test_a_doorbell_does_not_raise_an_interrupt_that_the_sample_cannot_handle(pc: Watched) -> None:
    sample = WdkSample(pc)
    sample.start(WRITE, [(0xF800_0000, 8)])
    pc.local.write_register(0x64, 1)
    pc.settle()
    assert not pc.inta()
    assert not sample.isr()
    assert pc.seen()[-1] == off(INTCSR, 0x0D05_6100)
    assert pc.read(CSR[0], 1) == 0x01, "the operation never ends: nobody was there"
    assert pc.config_read(6, 2) == 0x22B0


def test_a_buffer_above_4_gib_is_misaddressed_as_on_the_card() -> None:
    driver = Machine("9656", addresses=(0x0100_0000, 0x0101_0000, 0x0200_0000, 0x1_0200_0000))
    sample = WdkSample(driver)
    low, high = driver.buffer(16), driver.buffer(16)
    driver.local.write_memory(0, b"read me!")
    sample.start(READ, [(high.bus, 8)])
    driver.settle()
    assert serve(driver, sample.isr) == 1
    assert low.read(0, 8) == b"read me!"
    assert high.read(0, 8) == b"\xa5" * 8


def test_the_final_shutdown_resets_the_local_side_and_keeps_the_rest(pc: Watched) -> None:
    sample = WdkSample(pc)
    memory = pc.buffer(SRAM)
    memory.write(0, pattern(KIB))
    sample.transfer(WRITE, memory, 0, KIB)
    pc.config_write(0x10, 0xFEBF_E000)
    pc.seen()
    sample.final_shutdown()
    assert pc.seen() == [off(CNTRL, 0x100F_767E), off(CNTRL, 0x500F_767E)]
    assert pc.read(CNTRL) == 0x100F_767E
    assert [pc.read(at) for at in (MODE[0], PADR[0], LADR[0], SIZ[0], DPR[0])] == [0x43, 0, 0, 0, 0]
    assert pc.read(CSR[0], 1) == 0x10
    assert pc.read(INTCSR) == 0x0F05_0100
    assert pc.read(0) == 0xFFFE_0000
    assert pc.config_read(0x10) == 0xFEBF_E000
    assert pc.config_read(4, 2) == 7
    assert not pc.inta()
    assert sample.transfer(WRITE, memory, 0, KIB) == KIB, "and wakes up again"


def test_a_shutdown_in_the_middle_of_a_transfer_takes_its_interrupt_along(pc: Watched) -> None:
    sample = WdkSample(pc)
    memory = pc.buffer(KIB)
    sample.start(WRITE, [(memory.bus, KIB)])
    pc.settle()
    assert pc.inta()
    pc.write(CNTRL, pc.read(CNTRL) | bit(30))
    assert not pc.inta()
    assert pc.read(INTCSR) == 0x0F05_0100
    assert pc.read(0, bar=SPACE0) == 0xFFFF_FFFF
    pc.write(CNTRL, pc.read(CNTRL) & ~bit(30))
    assert pc.read(0, bar=SPACE0) == 0
