# SPDX-License-Identifier: Apache-2.0
"""Linux cb_pcidas64 on a PCI 9080: an input ring, an output ring that underruns, its EEPROM by the 11-bit form, I2C.

Source: reference sections 9.3, 2.2, 4.8, 7.2. Board registers are 16 bits wide; the FIFOs are modelled here.
"""

from collections.abc import Callable

import pytest

from plx9x5x.board import Board, EepromPart, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.peripheral import LocalPins
from plx9x5x.units import LocalAddr
from tests.behaviour.driver import SPACE0, SPACE1
from tests.scenarios.cb_pcidas64 import (
    ADC_FIFO,
    AI,
    AO,
    BUFFER,
    BUFFERS,
    COUNTERS_AT,
    DAC_FIFO,
    IDLE,
    MAIN_AT,
    STATUS,
    Acquisition,
    CbPcidas64,
)
from tests.scenarios.support import (
    BIGEND,
    CNTRL,
    CONFIG,
    CSR,
    DPR,
    INTCSR,
    LAS0BA,
    LAS0RR,
    LAS1BA,
    LAS1RR,
    MODE,
    PADR,
    Built,
    Machine,
    Watched,
    bit,
    board_of,
    off,
    on,
    pattern,
    registers,
    serve,
)


class Bench:
    """A PCI-DAS6402/16 like card in a PC, with the driver."""

    def __init__(self, part: EepromPart = EepromPart.C93CS56, card: Callable[[], Acquisition] = Acquisition) -> None:
        self._built = Built(card)
        board = board_of(
            "pci-das6402-16", "9080",
            [
                Window("main", LocalAddr(MAIN_AT), self._built),
                Window("counters", LocalAddr(COUNTERS_AT), lambda: Sram(0x100)),
            ],
            ids=0x001D_1307, subsystem=0x001D_1307, part=part, tail=pattern(part.size - 0x58, seed=0x33),
            las0rr=0xFFFF_F000, las0ba=MAIN_AT | 1, las1rr=0xFFFF_FF00, las1ba=COUNTERS_AT | 1, lbrd0=0x4241_0041,
        )  # fmt: skip
        self.machine = Machine("9080", board=board)
        self.pc = Watched(self.machine)
        self.pc.config_write(0x18, 0xFEB0_0000)
        self.pc.config_write(0x1C, 0xFEB0_1000)
        self.driver = CbPcidas64(self.pc)

    @property
    def card(self) -> Acquisition:
        return self._built.now

    def ready(self) -> "Bench":
        self.driver.probe()
        self.pc.seen()
        return self


class Wired(Acquisition):
    """A card whose output is wired to its input, through a few samples of delay."""

    def plug(self, pins: LocalPins) -> None:
        super().plug(pins)
        pins.demand(AO, lambda: 32 - 2 * len(self.sampled))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        super().write(offset, data)
        self.sample(bytes(data))


def board_4020(fifo: Built[Acquisition]) -> Board:
    """A PCI-DAS4020/12 like card: the input FIFO is in space 1."""
    return board_of(
        "pci-das4020-12", "9080",
        [Window("main", LocalAddr(MAIN_AT), lambda: Sram(0x1000)), Window("FIFO", LocalAddr(COUNTERS_AT), fifo)],
        ids=0x0052_1307, subsystem=0x0052_1307,
        las0rr=0xFFFF_F000, las0ba=MAIN_AT | 1, las1rr=0xFFFF_FC00, las1ba=COUNTERS_AT | 1,
    )  # fmt: skip


@pytest.fixture
def bench() -> Bench:
    return Bench().ready()


def test_probe_works_out_the_local_addresses_from_the_windows() -> None:
    bench = Bench()
    assert bench.pc.config_read(0) == 0x001D_1307
    bench.pc.seen()
    bench.driver.probe()
    assert bench.pc.seen() == [
        off(LAS0RR, 0xFFFF_F000), off(LAS0BA, MAIN_AT | 1), off(0x18, 0xFEB0_0000, bar=CONFIG),
        off(LAS1RR, 0xFFFF_FF00), off(LAS1BA, COUNTERS_AT | 1), off(0x1C, 0xFEB0_1000, bar=CONFIG),
        off(CNTRL, 0x9003_767E), off(CSR[AO], 0x10, 1), off(CSR[AI], 0x10, 1),
    ]  # fmt: skip
    assert (bench.driver.local0, bench.driver.local1) == (MAIN_AT, COUNTERS_AT)
    assert [bench.pc.read(at) for at in (*MODE, INTCSR, BIGEND)] == [0x0002_1FC1, 0x0002_1FC1, IDLE, 0]
    bench.pc.write(0x10, 0x1234, 2, bar=SPACE1)
    assert bench.pc.local.read_memory(bench.driver.local1 + 0x10, 2) == b"\x34\x12"
    assert not bench.pc.inta()


def test_input_fills_buffer_after_buffer(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    data = pattern(2 * BUFFER + 10)
    driver.start(AI, driver.input_ring.bus)
    pc.settle()
    assert registers(pc, AI) == (driver.inputs[0].bus, MAIN_AT + ADC_FIFO, BUFFER, driver.input_ring.bus + 16 | 0xD)
    assert pc.read(CSR[AI], 1) == 0x01
    pc.seen()
    bench.card.sample(data)
    bench.card.status = 0x0040
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [
        on(INTCSR, IDLE | bit(22)), on(STATUS, 0x0040, 2, bar=SPACE0), on(CSR[AI], 0x01, 1),
        off(PADR[AI], driver.inputs[2].bus), off(CSR[AO], 0x10, 1),
    ]  # fmt: skip
    assert driver.received == data[: 2 * BUFFER]
    # Of the five samples that are left the last one stays: DREQ# counts Lwords, also of a 16-bit bus.
    assert driver.inputs[2].read(0, 12) == data[2 * BUFFER : 2 * BUFFER + 8] + b"\xa5" * 4
    assert pc.read(INTCSR) == IDLE


def test_a_4020_takes_its_samples_from_space_1_in_dwords() -> None:
    fifo = Built(lambda: Acquisition(word=4))
    pc = Watched(Machine("9080", board=board_4020(fifo)))
    driver = CbPcidas64(pc, fast=True)
    driver.probe()
    assert (driver.local0, driver.local1) == (MAIN_AT, COUNTERS_AT)
    assert [pc.read(at) for at in MODE] == [0x43, 0x0002_1FC2]
    driver.start(AI, driver.input_ring.bus)
    fifo.now.sample(pattern(BUFFER + 4))
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert driver.received == pattern(BUFFER)
    assert registers(pc, AI)[:3] == (driver.inputs[1].bus, COUNTERS_AT + ADC_FIFO, BUFFER)
    assert driver.inputs[1].read(0, 8) == pattern(BUFFER + 4)[BUFFER:] + b"\xa5" * 4


def test_input_goes_round_its_ring(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    data = pattern((BUFFERS + 1) * BUFFER)
    driver.start(AI, driver.input_ring.bus)
    for at in range(0, len(data), 4 * BUFFER):
        bench.card.sample(data[at : at + 4 * BUFFER])
        pc.settle()
        assert serve(pc, driver.isr) == 1
    assert driver.received == data
    assert pc.read(PADR[AI]) == driver.inputs[1].bus
    assert pc.read(CSR[AI], 1) == 0x01
    driver.abort(AI)
    assert pc.read(CSR[AI], 1) == 0x10
    assert serve(pc, driver.isr) == 1
    assert pc.read(INTCSR) == IDLE


def test_output_appends_to_a_chain_that_runs(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    data = [pattern(BUFFER, seed) for seed in range(3)]
    driver.queue_output(data[0])
    driver.queue_output(data[1])
    driver.start(AO, driver.output_ring.bus)
    bench.card.room = 100
    pc.settle()
    assert bench.card.played == data[0][:100]
    ring = driver.output_ring.bus
    assert registers(pc, AO) == (driver.outputs[0].bus, MAIN_AT + DAC_FIFO, BUFFER, ring + 16 | 0x5)
    assert pc.read(CSR[AO], 1) == 0x01
    driver.queue_output(data[2])
    bench.card.room = 2 * BUFFER
    pc.seen()
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [
        on(INTCSR, IDLE | bit(21)), on(STATUS, 0, 2, bar=SPACE0), on(CSR[AI], 0x10, 1), on(CSR[AO], 0x01, 1),
    ]  # fmt: skip
    assert pc.read(PADR[AO]) == driver.outputs[2].bus, "the end that was moved while it ran was not seen"
    bench.card.room = 4 * BUFFER
    pc.settle()
    pc.seen()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [
        on(INTCSR, IDLE | bit(21)), on(STATUS, 0, 2, bar=SPACE0), on(CSR[AI], 0x10, 1), on(CSR[AO], 0x11, 1),
        off(CSR[AO], 0x10, 1), off(PADR[AO], driver.outputs[2].bus),
    ]  # fmt: skip
    assert driver.restarts == 0
    assert driver.output_finished()
    assert bench.card.played == b"".join(data)
    assert pc.read(DPR[AO]) == ring + 48 | 0x7


def test_an_end_that_moves_while_the_descriptor_before_it_is_played_is_never_seen(bench: Bench) -> None:
    """The chip reads one descriptor at a time: the next one's end may go until the chip is there."""
    driver, pc = bench.driver, bench.pc
    for seed in range(2):
        driver.queue_output(pattern(64, seed))
    driver.start(AO, driver.output_ring.bus)
    bench.card.room = 64 + 60
    pc.settle()
    assert pc.read(PADR[AO]) == driver.outputs[1].bus
    assert pc.read(DPR[AO]) == driver.output_ring.bus + 32 | 0x7, "too late for this one"
    driver.queue_output(pattern(64, 2))
    driver.queue_output(pattern(64, 3))
    bench.card.room = 4 + 128
    pc.settle()
    assert pc.read(CSR[AO], 1) == 0x11
    assert driver.isr()
    assert driver.restarts == 1
    pc.settle()
    assert bench.card.played == b"".join(pattern(64, seed) for seed in range(4))
    assert driver.output_finished()


def test_the_last_terminal_count_comes_with_done(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.queue_output(pattern(64))
    driver.queue_output(pattern(64))
    driver.start(AO, driver.output_ring.bus)
    bench.card.room = 128
    bench.machine.run_until(pc.inta)
    assert (pc.read(CSR[AO], 1), pc.read(PADR[AO])) == (0x01, driver.outputs[1].bus)
    assert driver.isr()
    bench.machine.run_until(pc.inta)
    assert (pc.read(CSR[AO], 1), pc.read(PADR[AO])) == (0x11, driver.outputs[1].bus)
    assert driver.isr()
    assert not pc.inta()


def test_output_that_came_too_late_starts_again_from_the_pointer_that_the_chip_shows(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    data = [pattern(BUFFER, seed) for seed in range(5)]
    driver.queue_output(data[0])
    driver.queue_output(data[1])
    driver.start(AO, driver.output_ring.bus)
    bench.card.room = 8 * BUFFER
    driver.pending.extend(data[2:])
    pc.settle()
    assert bench.card.played == data[0] + data[1]
    ring = driver.output_ring.bus
    assert pc.read(DPR[AO]) == ring + 32 | 0x7
    pc.seen()
    assert driver.isr()
    assert pc.seen() == [
        on(INTCSR, IDLE | bit(21)), on(STATUS, 0, 2, bar=SPACE0), on(CSR[AI], 0x10, 1), on(CSR[AO], 0x11, 1),
        off(CSR[AO], 0x10, 1), off(PADR[AO], driver.outputs[1].bus), off(DPR[AO], ring + 32 | 0x7),
    ]  # fmt: skip
    assert driver.restarts == 1
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert driver.restarts == 1
    assert bench.card.played == b"".join(data)
    assert driver.output_finished()
    assert not pc.inta()


def test_a_chain_that_ended_with_its_last_buffer_is_not_started_again(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.queue_output(pattern(64))
    driver.start(AO, driver.output_ring.bus)
    bench.card.room = BUFFER
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert driver.restarts == 0
    assert pc.read(CSR[AO], 1) == 0x10
    assert bench.card.played == pattern(64)


@pytest.mark.finds("unmapped-address")
def test_an_output_buffer_that_nobody_answers_storms_because_pcisr_is_never_touched(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.queue_output(pattern(64))
    driver.output_ring.write(0, (0xF800_0000).to_bytes(4, "little"))
    driver.start(AO, driver.output_ring.bus)
    bench.card.room = BUFFER
    pc.settle()
    with pytest.raises(RuntimeError, match="still asserted"):
        serve(pc, driver.isr)
    assert pc.seen() == [on(INTCSR, 0x0D0D_4D03), on(STATUS, 0, 2, bar=SPACE0)] * 8
    driver.abort(AO)
    assert driver.isr(), "the abort's own interrupt is served"
    assert pc.inta()
    pc.config_write(6, 0x2000, 2)
    assert pc.read(INTCSR) == IDLE
    assert not pc.inta()


def test_both_rings_share_one_interrupt(bench: Bench) -> None:
    driver, pc = bench.driver, bench.pc
    driver.queue_output(pattern(BUFFER, 5))
    driver.queue_output(pattern(BUFFER, 6))
    driver.start(AO, driver.output_ring.bus)
    driver.start(AI, driver.input_ring.bus)
    bench.card.room = BUFFER
    bench.card.sample(pattern(BUFFER, 7))
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert pc.seen() == [
        on(INTCSR, IDLE | bit(21) | bit(22)), on(STATUS, 0, 2, bar=SPACE0), on(CSR[AI], 0x01, 1),
        on(PADR[AI], driver.inputs[1].bus), on(CSR[AO], 0x01, 1),
    ]  # fmt: skip
    assert driver.received == pattern(BUFFER, 7)
    assert bench.card.played == pattern(BUFFER, 5)
    assert pc.read(INTCSR) == IDLE


def test_what_is_played_arrives_where_output_is_wired_to_input() -> None:
    """Each ring waits for the other one's next few samples."""
    bench = Bench(card=Wired).ready()
    driver, pc = bench.driver, bench.pc
    for seed in range(3):
        driver.queue_output(pattern(BUFFER, seed))
    driver.start(AI, driver.input_ring.bus)
    driver.start(AO, driver.output_ring.bus)
    pc.settle()
    assert serve(pc, driver.isr) == 1
    assert driver.output_finished()
    assert driver.received == b"".join(pattern(BUFFER, seed) for seed in range(3))
    assert pc.read(PADR[AI]) == driver.inputs[3].bus
    assert pc.read(CSR[AI], 1) == 0x01


def test_the_eeprom_is_read_word_by_word_with_the_11_bit_form() -> None:
    bench = Bench()
    assert bench.pc.read(CNTRL) & bit(28)
    image = bench.machine.eeprom_image
    expected = [int.from_bytes(image[at : at + 2], "little") for at in range(0, 256, 2)]
    assert [bench.driver.eeprom_word(at) for at in range(128)] == expected
    assert expected[:2] == [0x001D, 0x1307], "the most significant word of a dword comes first"
    assert bench.pc.read(CNTRL) == 0x9003_767E


def test_a_part_with_short_commands_answers_the_11_bit_form_two_clocks_early() -> None:
    bench = Bench(EepromPart.C93CS46)
    assert [bench.driver.eeprom_word(at) for at in (0, 4)] == [0x001D << 2 & 0xFFFF, 0x1307 << 2 & 0xFFFF]


def test_without_an_eeprom_there_is_no_eeprom_subdevice() -> None:
    made = Bench().machine.device.board
    bare = Machine("9080", board=type(made)(made.name, made.summary, made.profile, None, made.windows))
    assert bare.read(CNTRL) == 0x8003_767E
    assert bare.config_read(0) == 0x9080_10B5
    assert bare.config_read(0x18) == 0, "nor a window"


def test_i2c_on_the_same_pins_does_not_disturb_the_eeprom(bench: Bench) -> None:
    before = bench.machine.eeprom_image
    bench.driver.i2c_byte(0xA5)
    assert bench.card.usero == [True] + [False, True] * 8 + [False, True]
    assert bench.driver.eeprom_word(0) == 0x001D
    assert bench.driver.eeprom_word(1) == 0x1307
    assert bench.machine.eeprom_image == before
    assert bench.pc.read(CNTRL) == 0x9003_767E
