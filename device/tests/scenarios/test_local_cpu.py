# SPDX-License-Identifier: Apache-2.0
"""The vendor's interrupt samples on the board whose local side answers: doorbells both ways, mailboxes, LINTi#, time."""

import functools
from typing import Final

import pytest

from plx9x5x.board import Board, load_board
from tests.behaviour.driver import FAMILY, PORTS, SPACE0, SPACE1
from tests.scenarios.plx_sdk import Cause, Piece, PlxSdk
from tests.scenarios.support import (
    CNTRL,
    INTCSR,
    L2PDBELL,
    Machine,
    Watched,
    bit,
    pattern,
)

P2LDBELL: Final = 0x60
MBOX: Final = {0: 0x78, 1: 0x7C, 2: 0x48, 3: 0x4C, 4: 0x50, 5: 0x54, 6: 0x58, 7: 0x5C}
"""MBOX0 and MBOX1 where they always are."""
ID, CONTROL, STATUS, ENABLE, DELAY, KICK, RING, MAILBOX, POST, PERIOD, TICKS, BELLS, CALLS, PINS = range(0, 0x38, 4)
KICKED, TICKED, RUNG, MAILED, MOVED = 1, 2, 4, 8, 16
LATENCY_NS: Final = 10_000

_board = functools.cache(load_board)


def board_with(chip: str, *words: str) -> Board:
    return _board("rdk-local-cpu").set([f"chip={chip}", *words])


class Host:
    """The SDK's driver, and a program that maps BAR3."""

    def __init__(self, chip: str, *words: str) -> None:
        self.pc = Machine(chip, board=board_with(chip, *words))
        self.sdk = PlxSdk(Watched(self.pc))
        assert self.sdk.probe()

    def get(self, register: int) -> int:
        return self.pc.read(register, bar=SPACE1)

    def put(self, register: int, value: int) -> None:
        self.pc.write(register, value, bar=SPACE1)

    def enable(self, *bits: int) -> None:
        for number in bits:
            self.pc.write(INTCSR, self.pc.read(INTCSR) | bit(number))

    def wait(self, ns: int) -> None:
        """Let time pass, and the card do what it does at each moment of it."""
        end = self.pc.clock.now() + ns
        while True:
            while self.pc.device.step(1 << 16):
                pass
            left, due = end - self.pc.clock.now(), self.pc.device.wait_ns()
            if not left:
                return
            self.pc.clock.advance(left if due is None else max(0, min(left, due)))


@pytest.fixture(params=FAMILY)
def host(request: pytest.FixtureRequest) -> Host:
    return Host(request.param)


def test_the_vendors_driver_finds_its_card_and_both_spaces(host: Host) -> None:
    assert host.get(ID) == int.from_bytes(b"CPU1", "little")
    host.pc.write(0x100, 0x1234_5678, bar=SPACE0)
    assert host.pc.read(0x100, bar=SPACE0) == 0x1234_5678
    buffer = host.pc.buffer(64)
    buffer.write(0, pattern(64))
    assert host.sdk.block(0, Piece(buffer.bus, 64), 0x200, to_pci=False)
    host.pc.settle()
    assert host.pc.device.local_bus.read(0x200, 64) == pattern(64)
    assert host.pc.read(0, bar=PORTS) == host.pc.read(0)


def test_a_doorbell_that_the_host_rings_is_taken_and_rung_back(host: Host) -> None:
    host.enable(9)
    host.pc.write(P2LDBELL, 0x8000_0005)
    assert host.pc.read(P2LDBELL) == 0x8000_0005
    host.wait(LATENCY_NS - 1)
    assert not host.pc.inta()
    host.wait(1)
    assert host.pc.read(P2LDBELL) == 0
    assert host.pc.inta()
    found = host.sdk.isr()
    assert found is Cause.DOORBELL
    assert host.sdk.deferred(found) == 0x8000_0005
    assert not host.pc.inta()
    assert [host.get(it) for it in (BELLS, CALLS, STATUS)] == [0x8000_0005, 1, RUNG]


def test_bells_that_are_rung_while_the_processor_comes_are_taken_together(host: Host) -> None:
    host.enable(9)
    host.pc.write(P2LDBELL, 1)
    host.wait(LATENCY_NS // 2)
    host.pc.write(P2LDBELL, 2)
    host.wait(LATENCY_NS)
    assert host.sdk.deferred(host.sdk.isr()) == 3
    host.pc.write(P2LDBELL, 4)
    host.wait(LATENCY_NS)
    assert host.sdk.deferred(host.sdk.isr()) == 4
    assert host.get(CALLS) == 2


def test_a_bell_of_the_boards_own_comes_when_the_host_asked_for_it(host: Host) -> None:
    host.enable(9)
    host.put(DELAY, 250)
    host.put(RING, 0x10)
    host.put(RING, 0x01)
    host.wait(249_999)
    assert not host.pc.inta()
    host.wait(1)
    assert host.sdk.deferred(host.sdk.isr()) == 0x11
    host.put(DELAY, 0)
    host.put(RING, 0x02)
    host.pc.settle()
    assert host.pc.read(L2PDBELL) == 2
    assert host.sdk.interrupt() is Cause.DOORBELL


@pytest.mark.parametrize("number", range(4))
def test_what_the_host_mails_is_answered_in_the_upper_half(host: Host, number: int) -> None:
    host.pc.write(MBOX[number], 0x1234_0000 + number)
    host.wait(LATENCY_NS)
    assert host.pc.read(MBOX[number + 4]) == 0xEDCB_FFFF - number
    assert host.pc.read(INTCSR) >> 28 == 0, "it has read it"
    assert host.get(STATUS) == MAILED
    assert host.pc.read(L2PDBELL) == 0
    host.put(CONTROL, 7)
    host.enable(9)
    host.pc.write(MBOX[number], 5)
    host.wait(LATENCY_NS)
    assert host.sdk.deferred(host.sdk.isr()) == 1 << 28 + number
    assert host.pc.read(MBOX[number + 4]) == 0xFFFF_FFFA


def test_a_mailbox_of_the_boards_own_is_written_when_the_host_asked_for_it(host: Host) -> None:
    host.put(DELAY, 100)
    host.put(MAILBOX, 6)
    host.put(POST, 0x600D_F00D)
    host.wait(99_999)
    assert host.pc.read(MBOX[6]) == 0
    host.wait(1)
    assert host.pc.read(MBOX[6]) == 0x600D_F00D


def test_linti_comes_when_it_was_asked_for_and_stays_until_its_cause_is_taken_back(host: Host) -> None:
    host.enable(11)
    host.put(ENABLE, KICKED)
    host.put(DELAY, 50)
    host.put(KICK, 1)
    host.wait(49_999)
    assert not host.pc.inta()
    host.wait(1)
    found = host.sdk.isr()
    assert found is Cause.LINTI
    host.put(STATUS, KICKED)  # what the vendor's sample does between handler and deferred call, on its own board
    host.sdk.deferred(found)
    host.enable(11)
    assert not host.pc.inta()
    host.put(KICK, 1)
    host.put(KICK, 0)
    host.wait(50_000)
    assert host.pc.inta()
    host.put(ENABLE, 0)
    assert not host.pc.inta()


def test_a_timer_ticks_until_it_is_stopped(host: Host) -> None:
    host.enable(11)
    host.put(ENABLE, TICKED)
    host.put(PERIOD, 1000)
    for ticks in (1, 2, 3):
        host.wait(999_999)
        assert not host.pc.inta()
        host.wait(1)
        assert host.pc.inta()
        assert host.get(TICKS) == ticks
        host.put(STATUS, TICKED)
    host.put(PERIOD, 0)
    host.wait(10_000_000)
    assert host.get(TICKS) == 3


def test_periods_that_nobody_stepped_through_are_counted_and_the_next_ends_where_it_would_have(host: Host) -> None:
    host.put(PERIOD, 100)
    host.pc.clock.advance(10_050_000)
    host.pc.settle()
    assert (host.get(TICKS), host.get(STATUS)) == (100, TICKED)
    host.wait(49_999)
    assert host.get(TICKS) == 100
    host.wait(1)
    assert host.get(TICKS) == 101


def test_each_post_goes_to_the_mailbox_that_was_named_with_it(host: Host) -> None:
    host.put(DELAY, 100)
    for number, value in ((4, 0x44), (5, 0x55), (4, 0x4444)):
        host.put(MAILBOX, number)
        host.put(POST, value)
    host.put(MAILBOX, 7)
    host.wait(100_000)
    assert [host.pc.read(MBOX[it]) for it in (4, 5, 7)] == [0x4444, 0x55, 0]


def test_a_value_that_is_posted_byte_by_byte_arrives_whole(host: Host) -> None:
    host.put(DELAY, 100)
    host.put(MAILBOX, 6)
    for lane, value in enumerate((0x11, 0x22, 0x33, 0x44)):
        host.pc.write(POST + lane, value, 1, bar=SPACE1)
    host.wait(100_000)
    assert host.pc.read(MBOX[6]) == 0x4433_2211


def test_who_asks_again_within_the_delay_is_heard_when_the_first_is_due(host: Host) -> None:
    host.put(DELAY, 500)
    host.put(MAILBOX, 4)
    for n in range(4):
        host.put(RING, 1 << n)
        host.put(KICK, 1)
        host.put(POST, 1 + n)
        host.wait(400_000)
    assert host.pc.read(L2PDBELL) == 0xF, "the third rang with the fourth, at 1.3 ms"
    assert host.pc.read(MBOX[4]) == 4
    assert host.get(STATUS) == KICKED


def hears(host: Host) -> bool:
    """Whether it answers a doorbell."""
    host.pc.write(L2PDBELL, 0xFFFF_FFFF)
    host.pc.write(P2LDBELL, 1)
    host.wait(2 * LATENCY_NS)
    return (host.pc.read(P2LDBELL), host.pc.read(L2PDBELL)) == (0, 1)


def test_a_self_test_is_ended_and_the_next_bell_heard(host: Host) -> None:
    host.pc.config_write(0x0F, 0x40, 1)
    host.wait(LATENCY_NS)
    assert host.pc.config_read(0x0F, 1) == 0
    assert not host.pc.read(INTCSR) & bit(23)
    assert hears(host)


def test_a_change_of_the_power_state_is_acknowledged_and_the_next_bell_heard() -> None:
    host = Host("9656")
    host.enable(4)
    for state in (1, 0):
        host.pc.config_write(0x44, state, 2)
        host.wait(LATENCY_NS)
    assert host.pc.read(INTCSR) & (bit(4) | bit(5)) == bit(4)
    assert hears(host)


def test_a_queue_that_it_has_no_use_for_is_masked_and_the_next_bell_heard(host: Host) -> None:
    host.pc.write(0xC0, 1)  # the queues are on
    host.pc.write(0xD0, 0x4004)  # the inbound post queue's head goes ahead of its tail
    host.pc.write(0xE8, 0)
    host.wait(LATENCY_NS)
    assert host.pc.read(0xE8) & 0x30 == 0x30
    assert hears(host)


def test_bells_that_come_faster_than_the_processor_do_not_keep_it_away(host: Host) -> None:
    for n in range(4):
        host.pc.write(P2LDBELL, 2 << n)
        host.wait(LATENCY_NS // 2)
        host.pc.write(INTCSR, host.pc.read(INTCSR) & ~bit(16))  # LINTo# falls, and rises anew
        host.pc.write(INTCSR, host.pc.read(INTCSR) | bit(16))
    assert host.get(CALLS) > 0
    assert hears(host)


def test_without_echo_it_takes_and_says_nothing(host: Host) -> None:
    host.put(CONTROL, 0)
    host.pc.write(P2LDBELL, 1)
    host.pc.write(MBOX[2], 7)
    host.wait(2 * LATENCY_NS)
    assert [host.pc.read(it) for it in (P2LDBELL, L2PDBELL, MBOX[6])] == [0, 0, 0]
    assert host.get(STATUS) == RUNG | MAILED


def test_a_driver_that_shuts_intcsr_makes_it_deaf_until_it_is_told_to_listen(host: Host) -> None:
    host.pc.write(INTCSR, 0x0000_0900)
    host.pc.write(P2LDBELL, 1)
    host.wait(10 * LATENCY_NS)
    assert host.pc.read(P2LDBELL) == 1
    host.put(CONTROL, 3 | bit(8))
    host.wait(LATENCY_NS)
    assert (host.pc.read(P2LDBELL), host.pc.read(L2PDBELL)) == (0, 1)
    assert host.pc.read(INTCSR) & 0xF00 == 0x900, "what the driver wants is left alone"


def test_a_reset_of_the_board_boots_the_processor_anew(host: Host) -> None:
    host.put(DELAY, 5)
    host.put(ENABLE, 0xF)
    host.put(KICK, 1)
    host.sdk.reset_board()
    host.wait(1_000_000)
    assert [host.get(it) for it in (CONTROL, STATUS, ENABLE, DELAY, CALLS)] == [3, 0, 0, 0, 0]
    host.pc.write(P2LDBELL, 2)
    host.wait(LATENCY_NS)
    assert host.pc.read(L2PDBELL) == 2


def test_pins_are_seen_and_driven(host: Host) -> None:
    assert host.get(PINS) == 0x101
    host.pc.write(CNTRL, host.pc.read(CNTRL) & ~bit(16))
    host.put(PINS, 0)
    assert (host.get(PINS), host.pc.read(CNTRL) & bit(17)) == (0, 0)


@pytest.mark.parametrize("latency", [0, 500])
def test_how_long_the_processor_takes_is_an_option(latency: int) -> None:
    host = Host("9656", f"latency={latency}")
    host.pc.write(P2LDBELL, 1)
    host.wait(latency * 1000 - 1 if latency else 0)
    assert host.pc.read(L2PDBELL) == (0 if latency else 1)
    host.wait(1)
    assert host.pc.read(L2PDBELL) == 1


@pytest.mark.parametrize("channel", [0, 1])
def test_dma_that_interrupts_the_local_side_is_acknowledged_there(host: Host, channel: int) -> None:
    host.enable(18 + channel)
    buffer, at = host.pc.buffer(16), 0x14 * channel
    for bells in (1, 2):
        for register, value in ((0x80, 0x443), (0x84, buffer.bus), (0x88, 0), (0x8C, 16), (0x90, 8)):
            host.pc.write(register + at, value)
        host.pc.write(0xA8 + channel, 3, 1)
        host.wait(10 * LATENCY_NS)
        assert host.pc.read(0xA8 + channel, 1) == 0x11, "ENABLE and DONE"
        assert host.get(STATUS) == MOVED
        host.put(STATUS, MOVED)
        host.pc.write(P2LDBELL, bells)
        host.wait(LATENCY_NS)
        assert host.get(BELLS) == bells, "it hears the next one"
        host.put(STATUS, RUNG)
    assert host.get(CALLS) == 4
    assert host.pc.device.wait_ns() is None
