# SPDX-License-Identifier: Apache-2.0
"""Linux gsc_hpdi on a PCI 9080 with an HPDI32 board: a demand-mode ring that drains a FIFO, LINTi#, and its trouble.

Source: reference sections 9.2, 4.8, 4.10 to 4.12. The FIFO and what the cable delivers are modelled here.
"""

import pytest

from plx9x5x.board import Window
from plx9x5x.units import LocalAddr
from tests.behaviour.driver import SPACE0
from tests.scenarios.gsc_hpdi import (
    BLOCK,
    BLOCKS,
    CONTROL,
    FIFO,
    IDLE,
    INT_CONTROL,
    INT_STATUS,
    OVERRUN,
    RX_FULL,
    RX_LEVELS,
    RX_SIZE,
    RX_WORDS,
    STATUS,
    TX_SIZE,
    GscHpdi,
    Hpdi32,
)
from tests.scenarios.support import (
    BIGEND,
    CNTRL,
    CONFIG,
    CSR,
    INTCSR,
    L2PDBELL,
    MODE,
    P2LDBELL,
    PADR,
    SIZ,
    Built,
    Machine,
    Read,
    Watched,
    bit,
    board_of,
    descriptor,
    off,
    on,
    pattern,
    registers,
    serve,
)


class Bench:
    """A card in a PC, with the driver."""

    def __init__(self, *, report_aborts: bool = True) -> None:
        self._built = Built(Hpdi32)
        board = board_of(
            "hpdi32", "9080", [Window("HPDI32", LocalAddr(0), self._built)],
            ids=0x9080_10B5, subsystem=0x2400_10B5, las0rr=0xFFFF_FF00, las0ba=1,
        )  # fmt: skip
        self.machine = Machine("9080", board=board, report_aborts=report_aborts)
        self.pc = Watched(self.machine)
        self.hpdi = GscHpdi(self.pc)

    @property
    def card(self) -> Hpdi32:
        return self._built.now

    def running(self) -> "Bench":
        self.hpdi.probe()
        self.hpdi.start()
        self.pc.settle()
        self.pc.seen()
        return self

    def isr_reads(self, block: int) -> list[Read]:
        """What the handler reads for a terminal count once the chip is at `block`."""
        return [
            on(INTCSR, IDLE | bit(21)), on(INT_STATUS, 0, bar=SPACE0), on(STATUS, 0, bar=SPACE0),
            on(CSR[0], 0x01, 1), off(PADR[0], self.hpdi.blocks[block]), off(CSR[1], 0x10, 1),
        ]  # fmt: skip


@pytest.fixture
def bench() -> Bench:
    return Bench().running()


def test_probe_finds_a_quiet_chip_and_its_board() -> None:
    bench = Bench()
    assert bench.pc.config_read(0x00) == 0x9080_10B5
    assert bench.pc.config_read(0x2C) == 0x2400_10B5
    bench.pc.seen()
    bench.hpdi.probe()
    assert bench.pc.seen() == [
        off(4, 7, 2, bar=CONFIG), off(CSR[0], 0x10, 1), off(CSR[1], 0x10, 1),
        off(TX_SIZE, 0x8000, bar=SPACE0), off(RX_SIZE, Hpdi32.depth, bar=SPACE0),
    ]  # fmt: skip
    assert bench.pc.read(INTCSR) == IDLE
    assert bench.pc.read(MODE[0]) == 0x0002_1F42
    assert bench.pc.read(BIGEND) == 0
    assert bench.pc.read(CONTROL, bar=SPACE0) == 0, "the reset bit falls by itself"
    assert bench.pc.read(RX_LEVELS, bar=SPACE0) == 0x0010_0010
    assert not bench.pc.inta()


def test_start_loads_the_first_descriptor_and_waits_for_data() -> None:
    bench = Bench()
    bench.hpdi.probe()
    bench.pc.seen()
    bench.hpdi.start()
    assert bench.pc.seen() == [off(CSR[0], 0x10, 1)]
    assert registers(bench.pc, 0) == (0, 0, 0, bench.hpdi.ring.bus | 0xC | 1)
    bench.pc.settle()
    first = bench.hpdi.ring.bus + 16 | 0xD
    assert registers(bench.pc, 0) == (bench.hpdi.blocks[0], FIFO, BLOCK, first)
    assert bench.pc.read(CSR[0], 1) == 0x01
    assert bench.pc.read(INTCSR) == IDLE
    assert not bench.pc.inta()


def test_a_full_block_interrupts_once_the_chip_is_at_the_next(bench: Bench) -> None:
    data = pattern(BLOCK)
    bench.card.cable(data[:-4])
    bench.pc.settle()
    assert not bench.pc.inta()
    assert bench.pc.read(PADR[0]) == bench.hpdi.blocks[0], "DMAPADR shows the start of the block, not the next byte"
    assert bench.pc.read(SIZ[0]) == BLOCK
    bench.card.cable(data[-4:])
    bench.pc.settle()
    bench.pc.seen()
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.seen() == bench.isr_reads(1)
    assert bench.hpdi.received == data
    assert registers(bench.pc, 0)[0] == bench.hpdi.blocks[1]
    assert bench.pc.read(CSR[0], 1) == 0x01
    assert bench.pc.read(INTCSR) == IDLE


def test_the_next_block_s_address_shows_no_later_than_the_interrupt(bench: Bench) -> None:
    bench.card.cable(pattern(BLOCK + 4))
    bench.machine.run_until(bench.pc.inta)
    assert bench.pc.read(PADR[0]) == bench.hpdi.blocks[1]
    assert bench.hpdi.buffers[0].read(BLOCK, 4) == b"\xa5" * 4, "of which nothing has moved"
    assert bench.hpdi.buffers[0].read(0, BLOCK) == pattern(BLOCK)
    assert bench.hpdi.isr()
    assert bench.hpdi.received == pattern(BLOCK)


def test_blocks_that_came_together_are_drained_by_one_interrupt(bench: Bench) -> None:
    data = pattern(3 * BLOCK + 100)
    for at in range(0, len(data), BLOCK):
        bench.card.cable(data[at : at + BLOCK])
        bench.pc.settle()
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.seen() == bench.isr_reads(3)
    assert bench.hpdi.received == data[: 3 * BLOCK]
    assert bench.hpdi.buffers[0].read(3 * BLOCK, 104) == data[3 * BLOCK :] + b"\xa5" * 4


def test_the_ring_goes_round_for_as_long_as_data_comes(bench: Bench) -> None:
    data = pattern((BLOCKS + 5) * BLOCK)
    for at in range(0, len(data), BLOCK):
        bench.card.cable(data[at : at + BLOCK])
        bench.pc.settle()
        assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.hpdi.received == data
    assert bench.pc.read(PADR[0]) == bench.hpdi.blocks[5]
    assert bench.pc.read(CSR[0], 1) == 0x01, "a ring never ends"


def test_a_full_fifo_interrupts_by_linti_while_the_receiver_is_off() -> None:
    bench = Bench()
    bench.hpdi.probe()
    bench.pc.write(INT_CONTROL, RX_FULL, bar=SPACE0)
    bench.pc.seen()
    bench.card.cable(bytes(4 * Hpdi32.depth))
    assert bench.pc.inta()
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.seen() == [
        on(INTCSR, IDLE | bit(15)), on(INT_STATUS, RX_FULL, bar=SPACE0), on(STATUS, 0, bar=SPACE0),
        off(CSR[0], 0x10, 1), off(CSR[1], 0x10, 1),
    ]  # fmt: skip
    assert bench.pc.read(RX_WORDS, bar=SPACE0) == Hpdi32.depth
    assert bench.pc.read(INTCSR) == IDLE


def test_linti_is_a_level_that_the_enable_gates(bench: Bench) -> None:
    bench.card.cable(bytes(4 * Hpdi32.depth))
    assert bench.pc.inta()
    bench.pc.write(INTCSR, 0x0005_0503)
    assert not bench.pc.inta()
    assert bench.pc.read(INTCSR) == 0x0F05_8503, "the status shows all the same"
    bench.pc.write(INTCSR, 0x0005_0D03)
    assert bench.pc.inta()
    bench.pc.write(INT_CONTROL, 0, bar=SPACE0)
    assert not bench.pc.inta(), "the board let go: nothing was latched"
    assert bench.pc.read(INTCSR) == IDLE


def test_terminal_count_full_fifo_and_overrun_are_one_interrupt(bench: Bench) -> None:
    bench.card.cable(pattern(4 * Hpdi32.depth + 8))
    bench.pc.settle()
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.seen() == [
        on(INTCSR, IDLE | bit(21) | bit(15)), on(INT_STATUS, RX_FULL, bar=SPACE0), on(STATUS, OVERRUN, bar=SPACE0),
        on(CSR[0], 0x01, 1), off(PADR[0], bench.hpdi.blocks[2]), off(CSR[1], 0x10, 1),
    ]  # fmt: skip
    assert bench.hpdi.errors == 1
    assert bench.pc.read(STATUS, bar=SPACE0) == 0
    assert bench.hpdi.received == pattern(4 * Hpdi32.depth)


def test_another_device_on_the_line_is_not_served(bench: Bench) -> None:
    assert not bench.hpdi.isr()
    assert bench.pc.seen() == [off(INTCSR, IDLE)]


def test_a_doorbell_is_answered_at_the_wrong_register_and_hurts_nobody(bench: Bench) -> None:
    """The driver looks at the local doorbell's bit, and acknowledges the other doorbell."""
    bench.pc.write(P2LDBELL, 5)
    bench.pc.local.write_register(L2PDBELL, 0x10)
    assert not bench.pc.inta(), "the doorbell is not enabled"
    bench.card.cable(bytes(BLOCK))
    bench.pc.settle()
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.seen() == [
        on(INTCSR, IDLE | bit(21) | bit(20) | bit(13)), on(INT_STATUS, 0, bar=SPACE0), on(STATUS, 0, bar=SPACE0),
        on(CSR[0], 0x01, 1), off(PADR[0], bench.hpdi.blocks[1]), off(CSR[1], 0x10, 1), off(L2PDBELL, 0x10),
    ]  # fmt: skip
    assert [bench.pc.read(at) for at in (P2LDBELL, L2PDBELL, INTCSR)] == [5, 0, IDLE | bit(20)]


def test_stop_ends_a_starved_ring_at_once_with_a_done_interrupt(bench: Bench) -> None:
    bench.card.cable(bytes(100))
    bench.pc.settle()
    bench.pc.seen()
    bench.hpdi.stop()
    assert bench.pc.seen() == [off(CSR[0], 0x01, 1), on(CSR[0], 0x10, 1)]
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.seen() == [
        on(INTCSR, IDLE | bit(21)), on(INT_STATUS, 0, bar=SPACE0), on(STATUS, 0, bar=SPACE0),
        on(CSR[0], 0x10, 1), off(CSR[1], 0x10, 1),
    ]  # fmt: skip
    assert bench.hpdi.received == b"", "a channel that is not enabled is not drained"
    assert bench.pc.read(CSR[0], 1) == 0x10
    assert registers(bench.pc, 0) == (bench.hpdi.blocks[0], FIFO, BLOCK, bench.hpdi.ring.bus + 16 | 0xD)
    bench.hpdi.detach()
    assert bench.pc.read(INTCSR) == 0x0F00_0000


def test_a_stopped_ring_starts_from_its_first_block_again(bench: Bench) -> None:
    bench.card.cable(pattern(BLOCK))
    bench.pc.settle()
    serve(bench.pc, bench.hpdi.isr)
    bench.hpdi.stop()
    serve(bench.pc, bench.hpdi.isr)
    assert bench.pc.read(PADR[0]) == bench.hpdi.blocks[1]
    bench.hpdi.start()
    bench.pc.settle()
    assert bench.pc.read(PADR[0]) == bench.hpdi.blocks[0]
    assert bench.pc.read(CSR[0], 1) == 0x01


def test_aborting_an_enabled_channel_that_is_done_burns_the_whole_wait() -> None:
    bench = Bench()
    bench.hpdi.probe()
    bench.pc.write(CSR[0], 1, 1)
    with pytest.raises(TimeoutError, match="10000"):
        bench.hpdi.abort(0)
    assert bench.pc.seen()[-1] == off(CSR[0], 0x11, 1)
    assert bench.pc.read(INTCSR) == IDLE


def test_aborting_a_paused_channel_returns_at_once_and_leaves_it_active(bench: Bench) -> None:
    bench.pc.write(CSR[0], 0, 1)
    assert bench.hpdi.abort(0) == 0
    assert bench.pc.seen() == [off(CSR[0], 0x00, 1)]
    assert bench.pc.read(CSR[0], 1) == 0x00


@pytest.mark.finds("unmapped-address")
def test_a_bad_buffer_address_storms_because_the_driver_never_looks_for_it() -> None:
    bench = Bench()
    bench.hpdi.probe()
    bench.hpdi.ring.write(0, descriptor(0xF800_0000, FIFO, BLOCK, bench.hpdi.ring.bus + 16 | 0xD))
    bench.hpdi.start()
    bench.card.cable(pattern(64))
    bench.pc.seen()
    bench.pc.settle()
    with pytest.raises(RuntimeError, match="still asserted"):
        serve(bench.pc, bench.hpdi.isr, most=100)
    assert bench.pc.seen() == [on(INTCSR, 0x0D05_4D03)], "not mine, it says, every time"
    assert bench.pc.config_read(6, 2) == 0x2280
    bench.hpdi.stop()
    assert bench.hpdi.isr(), "the abort's own interrupt is served"
    assert bench.pc.read(INTCSR) == 0x0D05_4D03
    assert bench.pc.inta(), "the abort ended the channel, not the cause"
    bench.pc.config_write(6, 0x2000, 2)
    assert not bench.pc.inta()
    assert bench.pc.read(INTCSR) == IDLE


@pytest.mark.finds("unmapped-address")
def test_without_abort_reports_a_bad_buffer_address_only_stops_the_ring() -> None:
    bench = Bench(report_aborts=False)
    bench.hpdi.probe()
    bench.hpdi.ring.write(0, descriptor(0xF800_0000, FIFO, BLOCK, bench.hpdi.ring.bus + 16 | 0xD))
    bench.hpdi.start()
    bench.card.cable(pattern(64))
    bench.pc.settle()
    assert not bench.pc.inta()
    assert bench.pc.read(INTCSR) == IDLE
    assert bench.pc.config_read(6, 2) == 0x2280
    assert bench.pc.read(CSR[0], 1) == 0x01
    bench.pc.seen()
    bench.hpdi.stop()
    assert bench.pc.seen() == [off(CSR[0], 0x01, 1), on(CSR[0], 0x10, 1)]
    assert serve(bench.pc, bench.hpdi.isr) == 1
    assert bench.pc.read(CNTRL) == 0x9003_767E, "no reset was needed"
