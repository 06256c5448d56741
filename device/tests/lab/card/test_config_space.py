# SPDX-License-Identifier: Apache-2.0
"""Configuration space as bytes: assigned like an operating system does it, written and read back as lspci's text."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.card import config_space

COMMAND = config_space.COMMAND


class Config:
    """A device that has nothing but configuration space. `bars` are sizes by offset; a negative one is I/O."""

    def __init__(self, bars: dict[int, int], *, pin: int = 1) -> None:
        self.bars = bars
        self.bytes = bytearray(256)
        self.bytes[config_space.INTERRUPT_PIN] = pin
        self.written: list[tuple[int, int, int]] = []
        for offset in (*config_space.BARS, config_space.ROM):
            self._store(offset, 0)

    def config_read(self, offset: int, width: int) -> int:
        return int.from_bytes(self.bytes[offset : offset + width], "little")

    def config_write(self, offset: int, width: int, data: int) -> None:
        self.written.append((offset, width, data))
        if offset in (*config_space.BARS, config_space.ROM):
            self._store(offset, data)
        else:
            self.bytes[offset : offset + width] = data.to_bytes(width, "little")

    def _store(self, offset: int, data: int) -> None:
        size = self.bars.get(offset, 0)
        kind = data & 1 if offset == config_space.ROM else int(size < 0)
        value = data & -abs(size) & 0xFFFF_FFFF | kind if size else 0
        self.bytes[offset : offset + 4] = value.to_bytes(4, "little")


SIZES = {0x10: 0x200, 0x14: -0x100, 0x18: 0x20000, 0x20: -0x20, config_space.ROM: 0x1_0000}


def test_every_window_gets_an_address_of_its_own_that_its_size_divides() -> None:
    device = Config(SIZES)
    config_space.assign(device)
    taken: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for offset, size in SIZES.items():
        address = device.config_read(offset, 4) & (~3 if size < 0 else ~0xF)
        assert address
        assert address % abs(size) == 0
        taken[size < 0].append((address, abs(size)))
    for ranges in taken.values():
        ranges.sort()
        for (low, size), (high, _) in itertools.pairwise(ranges):
            assert low + size <= high


def test_absent_windows_stay_zero_and_the_rom_stays_off() -> None:
    device = Config(SIZES)
    config_space.assign(device)
    assert device.config_read(0x1C, 4) == 0
    assert device.config_read(0x24, 4) == 0
    assert not device.config_read(config_space.ROM, 4) & 1


def test_windows_are_enabled_last() -> None:
    device = Config(SIZES)
    config_space.assign(device)
    assert device.written[-1] == (COMMAND, 2, 7)
    assert [offset for offset, _, _ in device.written].count(COMMAND) == 1


@pytest.mark.parametrize("pin", [0, 1])
def test_a_device_without_an_interrupt_pin_gets_no_line(pin: int) -> None:
    device = Config({}, pin=pin)
    config_space.assign(device)
    assert bool(device.config_read(config_space.INTERRUPT_LINE, 1)) == bool(pin)


def test_what_software_wrote_elsewhere_is_written_here_and_nothing_else() -> None:
    there = Config(SIZES)
    config_space.assign(there)
    there.config_write(config_space.CACHE_LINE, 1, 0x10)
    here = Config(SIZES)
    config_space.give(here, config_space.dump(there))
    assert config_space.dump(here) == config_space.dump(there)
    assert here.written[-1][0] == COMMAND
    strange = bytearray(config_space.dump(there))
    strange[0:4], strange[0x40:] = b"\x11" * 4, b"\x22" * 0xC0
    again = Config(SIZES)
    config_space.give(again, bytes(strange))
    assert config_space.dump(again) == config_space.dump(there)


@given(st.binary(min_size=256, max_size=256))
def test_text_comes_back_as_the_same_bytes(image: bytes) -> None:
    assert config_space.from_lspci(config_space.lspci_text(image, slot="03:1f.7")) == {"03:1f.7": image}


def test_several_devices_and_words_between_the_bytes_are_no_matter() -> None:
    one, two = bytes(range(256)), bytes(reversed(range(256)))
    text = config_space.lspci_text(one, slot="00:01.0") + "\tControl: I/O+\n" + config_space.lspci_text(two)
    found = config_space.from_lspci("0000:02:00.0 Bridge\n\n" + text)
    assert found == {"0000:02:00.0": b"", "00:01.0": one, config_space.SLOT: two}


@pytest.mark.parametrize("drop", [0, 3])
def test_bytes_that_belong_to_no_place_are_refused_with_their_line(drop: int) -> None:
    lines = config_space.lspci_text(bytes(256)).splitlines()
    del lines[drop]
    with pytest.raises(ValueError, match=f"line {drop + 1} is out of place"):
        config_space.from_lspci("\n".join(lines))
