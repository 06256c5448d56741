# SPDX-License-Identifier: Apache-2.0
"""Cards that were rewritten with `plx9x5x.blocks` do what they did before: the traces of both are equal.

What is kept of the traces of before is a digest each, made by the card as it stood before it was rewritten.
"""

import hashlib
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.board import Board, Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.peripheral import LocalPins
from plx9x5x.trace.regtrace import line_of
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import LocalAddr

SPACE0, INTCSR, CNTRL = 2, 0x68, 0x6C
STEPS = 400

OF_THE_CARD = {"linti", "dreq", "eot", "done", "latched", "line"}
"""Lines that are the card's doing; what a driver wrote is no news."""

Script = dict[str, list[int]]

CARDS: dict[str, Script] = {
    "hpdi32": {
        "offsets": [0x04, 0x04, 0x08, 0x0C, 0x10, 0x18, 0x18, 0x18, 0x30, 0x34, 0x38, 0x44, 0x48, 0x4C, 0x16, 0x19, 0x3D],
        "values": [0x20, 0x24, 0x130, 0x170, 0x60, 1, 0xFF00, 0xF0_0000, 0xFF_FFFF, 3, 0, 0x8040_0020, 0x20],
        "waits": [0, 1, 1000, 512_000, 1_024_000, 70_000_000],
    },
    "esd-can-pci266": {
        "offsets": [0, 1, 2, 3, 4, 6, 7, 15, 16, 17, 18, 29, 31, 0x60, 0x7F, 0x80, 0x100, 0x101, 0x103, 0x11F, 0x104],
        "values": [0, 1, 2, 4, 8, 0x10, 0x1C, 0x14, 0xFF, 0xC7, 0x80, 0x08, 0x91],
        "waits": [0, 1000, 22_000, 1_000_000],
    },
}  # fmt: skip
BEFORE = {
    ("hpdi32", 1): "58b270db2cc5180a",
    ("hpdi32", 2): "2384fe5e40ad60e5",
    ("hpdi32", 3): "d82c8941010c6352",
    ("hpdi32", 4): "a9650e16d5e05a49",
    ("hpdi32", 5): "e883cf3f252108a7",
    ("hpdi32", 6): "d2cde130231da515",
    ("esd-can-pci266", 1): "6b161225f4bfab40",
    ("esd-can-pci266", 2): "0a1b7ce22398765a",
    ("esd-can-pci266", 3): "a7dd95cdf13c1ae2",
    ("esd-can-pci266", 4): "32472e5661f2ca34",
    ("esd-can-pci266", 5): "6e06a10495a200fd",
    ("esd-can-pci266", 6): "640d629e2d8949d6",
}


def traced(name: str, seed: int) -> list[str]:
    """What a driver without sense saw, and the chip told: one that reads, writes, starts channel 0 and waits."""
    dice = random.Random(seed)
    script = CARDS[name]
    lines: list[str] = []

    class Sink:
        enabled = True

        def emit(self, event: object) -> None:
            if str(line := line_of(event)).partition(" ")[0] in OF_THE_CARD:
                lines.append(f"{getattr(event, 'time', 0)} {line}")

    clock = VirtualClock()
    host = Loopback(
        lambda bus, irq: Chip(load_board(name), bus=bus, irq=irq, clock=clock, trace=Sink()),
        clock=clock,
        plane="python",
    )
    chip, ram = host.device, host.ram(0x10_0000, 0x4000)
    chip.write(0, INTCSR, 4, 0x0004_0900)
    for _ in range(STEPS):
        at, width = dice.choice(script["offsets"]), dice.choice([1, 2, 4, 4, 4, 8])
        match dice.choice(["read", "write", "write", "wait", "start", "run", "reset"]):
            case "read":
                lines.append(f"{at:#x} {width}: {chip.read(SPACE0, at, width):#x}")
            case "write":
                chip.write(SPACE0, at, width, dice.choice(script["values"]))
            case "wait":
                clock.advance(dice.choice(script["waits"]))
                chip.step(1 << 18)
            case "start":
                mode = dice.choice([0x1DC3, 0x0DC3, 0x0DC1, 0x0143, 0x1DC0]) | 1 << 17 | 1 << 10
                for register, value in ((0x80, mode), (0x84, 0x10_0000), (0x88, at & ~3), (0x90, dice.choice([0, 8]))):
                    chip.write(0, register, 4, value)
                chip.write(0, 0x8C, 4, dice.choice([0x10, 0x20, 0x80]))
                chip.write(0, 0xA8, 1, 3)
            case "run":
                for _ in range(3):
                    chip.step(1 << 18)
                chip.write(0, 0xA8, 1, 9)
            case "reset" if dice.random() < 0.1:
                chip.write(0, 0xA8, 1, 0)
                chip.write(0, 0xA8, 1, 4)
                chip.write(0, CNTRL, 4, 1 << 30)
                chip.write(0, CNTRL, 4, 0)
    lines.append(hashlib.sha256(ram[:]).hexdigest())
    return lines


class ConverterBefore:
    """The page's converter as it was written without blocks."""

    size = 8

    def plug(self, pins: LocalPins) -> None:
        self._pins, self._taken = pins, 0
        pins.demand(0, self.ready)

    def ready(self) -> int:
        return 2 * (self._pins.now() // 1000 - self._taken)

    def read(self, offset: int, length: int) -> bytes:
        if offset >= 4:
            return bytes(length)
        self._taken += 1
        return (self._taken & 0xFFFF).to_bytes(length, "little")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        if offset == 4:
            self._pins.drive_linti(bool(data[0] & 1))

    def view(self, offset: int, length: int) -> None:
        return None


def of_the_page() -> Board:
    """The digitizer as docs/writing-a-board.md has it now."""
    page = (Path(__file__).parents[3] / "docs/writing-a-board.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^# file: digitizer/digitizer\.py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    module: dict[str, object] = {"__name__": "digitizer"}
    exec(compile(text, "digitizer.py", "exec"), module)
    board = module["BOARD"]
    assert isinstance(board, Board)
    return board


def digitized(board: Board, seed: int) -> list[object]:
    """What a driver that reads, moves blocks in demand mode and plays with LINTi# sees of it, and the trace's lines."""
    dice, clock = random.Random(seed), VirtualClock()
    seen: list[object] = []

    class Sink:
        enabled = True

        def emit(self, event: object) -> None:
            if (line := line_of(event)) is not None:
                seen.append((getattr(event, "time", 0), str(line)))

    host = Loopback(
        lambda bus, irq: Chip(board, bus=bus, irq=irq, clock=clock, trace=Sink()), clock=clock, plane="python"
    )
    chip, ram = host.device, host.ram(0x10_0000, 0x1000)
    chip.write(0, INTCSR, 4, 0x0004_0900)
    for _ in range(60):
        clock.advance(dice.choice([5_000, 33_333]))  # an empty FIFO gave samples of the future before, and gives 0 now
        match dice.choice(["cpu", "linti", "block"]):
            case "cpu":
                seen.append(chip.read(SPACE0, 0, 2))
            case "linti":
                chip.write(SPACE0, 4, dice.choice([1, 4]), dice.choice([0, 1]))
            case "block":
                words = dice.choice([2, 8, 250])
                for register, value in (
                    (0x80, 0x0002_1C41),
                    (0x84, 0x10_0000),
                    (0x88, 0),
                    (0x8C, 2 * words),
                    (0x90, 8),
                ):
                    chip.write(0, register, 4, value)
                chip.write(0, 0xA8, 1, 3)
                host.run(for_ns=300_000)
                chip.write(0, 0xA8, 1, 9)
                seen.append(ram[: 2 * words])
    return seen


def test_the_pages_digitizer_gives_0_while_it_is_empty_and_no_sample_of_the_future() -> None:
    clock = VirtualClock()
    host = Loopback(lambda bus, irq: Chip(of_the_page(), bus=bus, irq=irq, clock=clock), clock=clock)
    seen = []
    for ns in (0, 999, 1, 0, 2_000):
        clock.advance(ns)
        seen.append(host.device.read(SPACE0, 0, 2))
    assert seen == [0, 0, 1, 0, 2], "1 at 1 us, and what was not there yet is not lost either"


@pytest.mark.parametrize("seed", range(5))
def test_the_pages_digitizer_does_what_it_did_without_blocks(seed: int) -> None:
    now = of_the_page()
    before = replace(now, windows=(Window("converter", LocalAddr(0), ConverterBefore), now.windows[1]))
    seen = digitized(now, seed)
    assert len(seen) > 250
    assert seen == digitized(before, seed)


@pytest.mark.parametrize(("name", "seed"), BEFORE)
def test_a_card_does_what_it_did_before_it_was_made_of_blocks(name: str, seed: int) -> None:
    lines = traced(name, seed)
    assert len(lines) > 50
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == BEFORE[name, seed]
