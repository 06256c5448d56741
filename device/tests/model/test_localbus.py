# SPDX-License-Identifier: Apache-2.0
"""Big-endian words on the local bus, and peripherals that take the chip's pins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.board import Window
from plx9x5x.model.localbus import LocalBus, Sram
from plx9x5x.peripheral import LocalPins, Pluggable
from plx9x5x.units import LocalAddr

SIZE = 64


def bus() -> LocalBus:
    return LocalBus((Window("memory", LocalAddr(0), lambda: Sram(SIZE)),), lambda address, length: None)


@given(
    word=st.sampled_from([2, 4]),
    start=st.integers(0, 40),
    data=st.binary(min_size=1, max_size=20),
)
def test_each_byte_goes_to_the_mirrored_place_in_its_word(word: int, start: int, data: bytes) -> None:
    swapped = bus()
    swapped.write_swapped(start, data, word)
    memory = swapped.read(0, SIZE)
    expected = bytearray(SIZE)
    for n, byte in enumerate(data):
        expected[(start + n) ^ (word - 1)] = byte
    assert memory == expected
    assert swapped.read_swapped(start, len(data), word) == data


def test_a_part_of_a_word_is_one_access_at_the_other_end() -> None:
    seen: list[tuple[int, bytes]] = []

    class Noting(Sram):
        def write(self, offset: int, data: bytes | memoryview) -> None:
            seen.append((offset, bytes(data)))

    swapped = LocalBus((Window("noting", LocalAddr(0), lambda: Noting(SIZE)),), lambda address, length: None)
    swapped.write_swapped(1, bytes(range(1, 11)), 4)
    assert seen == [(0, b"\x03\x02\x01"), (4, b"\x07\x06\x05\x04"), (9, b"\x0a\x09\x08")]


def test_a_peripheral_gets_its_own_pins_once_and_plain_memory_none() -> None:
    given_out: list[str] = []

    class Wired(Sram):
        def plug(self, pins: LocalPins) -> None:
            given_out.append(str(pins))

    count = iter(range(10))
    windows = (
        Window("wired", LocalAddr(0), lambda: Wired(16)),
        Window("plain", LocalAddr(16), lambda: Sram(16)),
        Window("wired too", LocalAddr(32), lambda: Wired(16)),
    )
    LocalBus(windows, lambda address, length: None, lambda _: f"pins {next(count)}")  # type: ignore[arg-type, return-value]
    assert given_out == ["pins 0", "pins 1"]
    assert isinstance(Wired(1), Pluggable)
    assert not isinstance(Sram(1), Pluggable)


def test_a_bus_without_windows_decodes_nothing() -> None:
    told: list[tuple[int, int]] = []
    empty = LocalBus((), lambda address, length: told.append((address, length)))
    empty.write(4, b"x")
    assert empty.read(0xFFFF_FFFE, 4) == b"\xff" * 4
    assert told == [(4, 1), (0xFFFF_FFFE, 2), (0, 2)]


@pytest.mark.parametrize("word", [2, 4])
def test_a_swapped_access_may_reach_the_byte_below(word: int) -> None:
    swapped = bus()
    swapped.write(0, bytes(range(SIZE)))
    assert swapped.read_swapped(word - 1, 1, word) == b"\x00"
    assert swapped.read_swapped(0, 1, word) == bytes([word - 1])
