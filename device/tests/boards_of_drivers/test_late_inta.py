# SPDX-License-Identifier: Apache-2.0
"""A trace of the card tells an interrupt that came late from one that the card raised late, or not at all."""

from collections.abc import Callable

from plx9x5x import events
from plx9x5x.trace.regtrace import line_of
from tests.boards_of_drivers.card import BLOCK_NS, Card
from tests.boards_of_drivers.late_inta import (
    Ended,
    Late,
    ended_commands,
    late_interrupts,
    most_repeated,
    of_ended,
    unanswered,
)
from tests.scenarios.gsc_hpdi import GscHpdi
from tests.scenarios.support import INTCSR, serve

STOP = ["1.000000000 W 2 0x004 4 0x00000000", "1.000000001 done 0 aborted", "1.000000002 latched 0"]
ASSERTED, RELEASED = "1.000000010 line 1", "1.000000030 line 0"
BEGIN = "1.000000020 W 2 0x004 4 0x00000004"
WRITES = "1.000000021 W 0 0x08c 4 0x00000000 ; DMASIZ0=0x0"
HANDLER = "1.000000025 R 0 0x068 4 0x0f250d03 ; INTCSR=0xf250d03"
GO = "1.000000040 W 0 0x0a8 1 0x0b ; DMACSR0=0xb"


def test_what_was_asserted_before_a_start_and_read_within_it_came_late() -> None:
    assert late_interrupts([*STOP, ASSERTED, BEGIN, WRITES, HANDLER, RELEASED, GO]) == [
        Late(1, 1_000_000_010, 1_000_000_020, 1_000_000_025)
    ]


def test_the_start_that_it_came_in_is_told_by_its_number() -> None:
    quiet = [*STOP, BEGIN, WRITES, GO, HANDLER]
    (late,) = late_interrupts([*quiet, *quiet, *STOP, ASSERTED, BEGIN, WRITES, HANDLER, RELEASED, GO])
    assert late.command == 3


def test_what_the_program_says_of_an_ended_command_is_read() -> None:
    said = "ENDED: command 23: by itself after 0 of 4096 bytes: the driver took an interrupt\nstream: 8 bytes\n"
    assert ended_commands(said + said.replace("23", "7").replace("after 0", "after 64")) == [Ended(23, 0), Ended(7, 64)]
    assert ended_commands("WRONG: command 2: byte 0 has 0x1\n") == []


def test_bytes_of_ended_commands_are_counted_for_the_last_run_alone() -> None:
    good = "good: 9 bytes compared, 2 cycles, 1 repeated, 0.1 s, 5 interrupts\n"
    ended = "ENDED: command 3: by itself after 4096 of 65536 bytes: the driver\n"
    assert of_ended(ended + good) == 4096
    assert of_ended(ended + good + ended + ended.replace("3", "5") + good) == 8192
    assert of_ended(ended + good + good) == 0


def test_a_run_whose_every_command_is_ended_is_too_much() -> None:
    assert most_repeated(10) < 20
    assert most_repeated(300) < 200


def test_an_interrupt_that_the_card_raised_within_the_start_did_not() -> None:
    assert late_interrupts([*STOP, BEGIN, "1.000000022 line 1", HANDLER, GO]) == []


def test_nor_one_that_the_card_let_go_meanwhile() -> None:
    again = ["1.000000022 line 0", "1.000000023 line 1"]
    assert late_interrupts([*STOP, ASSERTED, BEGIN, *again, HANDLER, GO]) == []


def test_nor_what_was_served_in_time_or_is_not_the_channels() -> None:
    assert late_interrupts([*STOP, ASSERTED, HANDLER, RELEASED, BEGIN, WRITES, GO, HANDLER]) == []
    assert late_interrupts([*STOP, ASSERTED, BEGIN, HANDLER.replace("0f250d03", "0f058d03"), GO]) == []
    assert late_interrupts([*STOP, ASSERTED, BEGIN, HANDLER.replace("0x068", "0x084"), GO]) == []


def test_an_interrupt_that_nobody_answers_is_told_with_its_age() -> None:
    assert unanswered([*STOP, ASSERTED, "1.000000110 idle"]) == 100
    assert unanswered([*STOP, ASSERTED, "1.000000060 R 0 0x068 4 0x0f250d03", "1.000000110 idle"]) == 50
    assert unanswered([*STOP, ASSERTED, "1.000000060 R 0 0x084 4 0x00000000", "1.000000110 idle"]) == 100
    assert unanswered([*STOP, ASSERTED, RELEASED]) is None
    assert unanswered(["time scale 1, max step 1000000 ns"]) is None


def test_a_driver_whose_handler_runs_in_the_middle_of_its_start_is_found(on_plane: Callable[..., Card]) -> None:
    card = on_plane("python", traced=True)
    lines: list[str] = []
    emit = card.trace.emit

    def kept(event: events.Event) -> None:
        if (line := line_of(event)) is not None:
            lines.append(f"{card.clock.now() / 1e9:.9f} {line}")
        emit(event)

    card.trace.emit = kept  # type: ignore[method-assign,assignment]
    driver = GscHpdi(card)
    driver.probe()
    for late in (False, True):
        driver.start()
        card.wait(2 * BLOCK_NS)
        serve(card, driver.isr)
        driver.stop()
        card.wait(0)
        assert card.inta()
        if not late:
            serve(card, driver.isr)
    write = card.write

    def interrupted(offset: int, value: int, width: int = 4, *, bar: int = 0) -> None:
        write(offset, value, width, bar=bar)
        if offset == 0x84:
            card.write = write  # type: ignore[method-assign]
            serve(card, driver.isr)

    card.write = interrupted  # type: ignore[method-assign]
    driver.start()
    (found,) = late_interrupts(lines)
    assert found.command == 3
    assert found.asserted <= found.started <= found.read
    card.wait(2 * BLOCK_NS)
    assert unanswered(lines) is not None
    card.read(INTCSR)
