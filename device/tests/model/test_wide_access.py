# SPDX-License-Identifier: Apache-2.0
"""One access of many bytes, as a client may make it by one message: cheap where nobody can tell its words apart."""

import dataclasses
from typing import Any

import pytest

from plx9x5x.board import Window, load_board
from plx9x5x.model.localbus import Sram
from plx9x5x.units import KIB, LocalAddr
from tests.model.bench import Bench

LBRD0, BIGEND = 0x18, 0x0C
BIG = 1 << 2
"""BIGEND: space 0."""
MEMORY, PORT, NOTHING = 0, 64 * KIB, 68 * KIB
PATTERN = bytes(n * 7 + (n >> 8) & 0xFF for n in range(64 * KIB))
WIDTHS = pytest.mark.parametrize("word", [1, 2, 4])


class Counted(Sram):
    calls = 0

    def read(self, offset: int, length: int) -> bytes:
        self.calls += 1
        return super().read(offset, length)

    def write(self, offset: int, data: Any) -> None:
        self.calls += 1
        super().write(offset, data)


class Port:
    """No memory: it shows what it is asked."""

    size = 4 * KIB

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.seen.append((offset, length))
        return bytes((offset + n) * 3 & 0xFF for n in range(length))

    def write(self, offset: int, data: Any) -> None:
        self.seen.append((offset, len(data)))

    def view(self, offset: int, length: int) -> None:
        return None


class Machine:
    def __init__(self, word: int, *, big: bool = False) -> None:
        self.memory, self.port = Counted(64 * KIB), Port()
        windows = (
            Window("memory", LocalAddr(MEMORY), lambda: self.memory), Window("port", LocalAddr(PORT), lambda: self.port),
        )  # fmt: skip
        self.chip = Bench(dataclasses.replace(load_board("rdk-9656-lite"), windows=windows)).chip
        self.chip.write(0, LBRD0, 1, self.chip.read(0, LBRD0, 1) & ~3 | word.bit_length() - 1)
        self.chip.write(0, BIGEND, 1, BIG if big else 0)
        self.memory.write(0, PATTERN)
        self.memory.calls = 0

    def read(self, offset: int, length: int) -> bytes:
        return self.chip.read(2, offset, length).to_bytes(length, "little")


@WIDTHS
@pytest.mark.parametrize("big", [False, True])
def test_much_memory_is_one_access_and_its_ends(word: int, big: bool) -> None:
    machine = Machine(word, big=big)
    machine.read(1, 64 * KIB - 2)
    assert machine.memory.calls <= 3
    machine.chip.write(2, 1, 64 * KIB - 2, 0)
    assert machine.memory.calls <= 6


@WIDTHS
def test_where_nothing_is_much_is_one_access(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, asked = Machine(word), []
    monkeypatch.setattr(machine.chip.local_bus, "_on_undecoded", lambda *where: asked.append(where))
    assert machine.read(NOTHING, 16 * KIB) == b"\xff" * 16 * KIB
    assert asked == [(NOTHING, 16 * KIB)]


@WIDTHS
def test_a_peripheral_sees_each_word(word: int) -> None:
    machine = Machine(word)
    machine.read(PORT - 8, 8 + 64)
    machine.chip.write(2, PORT - 8, 8 + 64, 0)
    assert machine.port.seen == [(at, word) for at in range(0, 64, word)] * 2


@WIDTHS
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("offset", "length"), [(0, 16), (1, 513), (3, 5), (PORT - 7, 21), (NOTHING - 5, 64), (128 * KIB - 6, 16)]
)
def test_many_bytes_are_what_they_are_one_by_one(word: int, big: bool, offset: int, length: int) -> None:
    wide, narrow = Machine(word, big=big), Machine(word, big=big)
    one_by_one = b"".join(narrow.read((offset + n) % (128 * KIB), 1) for n in range(length))
    assert wide.read(offset, length) == one_by_one
    data = bytes(n * 11 & 0xFF for n in range(length))
    wide.chip.write(2, offset, length, int.from_bytes(data, "little"))
    for n, byte in enumerate(data):
        narrow.chip.write(2, (offset + n) % (128 * KIB), 1, byte)
    assert wide.memory.read(0, 64 * KIB) == narrow.memory.read(0, 64 * KIB)
