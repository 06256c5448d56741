# SPDX-License-Identifier: Apache-2.0
"""A board that a reset replaced reaches the chip no more, by none of its pins."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from plx9x5x.board import Board, Window
from plx9x5x.model.localbus import Sram
from plx9x5x.peripheral import LocalBusTarget, LocalPins, Pin
from plx9x5x.units import KIB, LocalAddr
from tests.model.bench import INTCSR, Bench


class Plugged(Sram):
    """Memory with pins."""

    pins: LocalPins

    def plug(self, pins: LocalPins) -> None:
        self.pins = pins


def broken(*_: object) -> Any:
    raise AssertionError("it was called")


def renewed(board: Board) -> tuple[Bench, list[Plugged]]:
    """A board that was built anew by a reset; first it was the first of these, now it is the last."""
    made: list[Plugged] = []

    def make() -> LocalBusTarget:
        made.append(Plugged(4 * KIB))
        return made[-1]

    bench = Bench(replace(board, windows=(Window("fifo", LocalAddr(0), make),)))
    del made[:-1]
    bench.chip.write(0, 0x6C, 4, 1 << 30)
    bench.chip.write(0, 0x6C, 4, 0)
    assert len(made) > 1
    return bench, made


def shown(bench: Bench) -> list[object]:
    chip = bench.chip
    registers = [dict(file.stored) for file in (chip.registers, chip.config)]
    driven = [bench.host.line.level, [channel.demand for channel in chip.channels], list(chip.local_side.timers)]
    return [*registers, *driven, list(bench.trace.events)]


ACTS: dict[str, Callable[[LocalPins], object]] = {
    "drive_linti": lambda pins: pins.drive_linti(True),
    "assert_eot": lambda pins: pins.assert_eot(0),
    "call_at": lambda pins: pins.call_at(0, print),
    "wake_host": lambda pins: pins.wake_host(),
    "parity_error": lambda pins: pins.parity_error(),
    "finish_self_test": lambda pins: pins.finish_self_test(),
    "read_register": lambda pins: pins.read_register(0x40),
    "write_register": lambda pins: pins.write_register(0x64, 1),
    "log": lambda pins: pins.log("still here"),
    "write_mailbox": lambda pins: pins.write_register(0x40, 5),
    "drive_useri": lambda pins: pins.drive_useri(False),
    "demand": lambda pins: pins.demand(0, lambda: 4),
    "watch": lambda pins: pins.watch(Pin.USERO, broken),
}


@pytest.mark.parametrize("act", ACTS)
def test_the_pins_of_before_a_reset_reach_nothing(board: Board, act: str) -> None:
    bench, made = renewed(board)
    bench.intcsr = 0x0F00
    before = shown(bench)
    ACTS[act](made[0].pins)
    assert shown(bench) == before


def test_every_pin_is_tried() -> None:
    assert set(ACTS) - {"write_mailbox"} == {name for name in vars(LocalPins) if name[0] != "_"} - {"now"}


def test_the_pins_of_before_a_reset_read_what_nobody_answers_and_take_no_interrupt_back(board: Board) -> None:
    bench, made = renewed(board)
    bench.chip.write(0, INTCSR, 4, 1 << 3)
    bench.chip.write(0, 0x78, 4, 0x1234)
    assert bench.chip.read(0, INTCSR, 4) & 1 << 28
    assert made[0].pins.read_register(0x78) == 0xFFFF_FFFF
    assert bench.chip.read(0, INTCSR, 4) & 1 << 28
    assert made[-1].pins.read_register(0x78) == 0x1234
    with pytest.raises(ValueError, match="no dword register"):
        made[0].pins.read_register(2)


def test_the_pins_of_before_a_reset_drive_nothing(board: Board) -> None:
    bench, made = renewed(board)
    old = made[0].pins
    bench.intcsr = 0x0900
    old.drive_linti(True)
    old.call_at(0, broken)
    old.demand(0, broken)
    bench.chip.step(1)
    assert bench.host.line.level is False
    assert bench.chip.channels[0].demand is None
    made[-1].pins.drive_linti(True)
    assert bench.host.line.level is True
