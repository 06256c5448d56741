# SPDX-License-Identifier: Apache-2.0
"""A board beside a real card: every bit that is the card's is compared, what software writes is not."""

from dataclasses import replace

import pytest

from plx9x5x.board import Eeprom, EepromPart, board_names, load_board
from plx9x5x.lab.card import config_space
from plx9x5x.lab.dump import against, bars
from plx9x5x.lab.dump.config_file import Card
from plx9x5x.regs import config as cfg
from plx9x5x.regs.profile import PROFILES
from tests.lab.dump.boards import config

BOARD = load_board("rdk-9656-lite")


def card(changes: dict[int, int] | None = None, board: str = "rdk-9656-lite") -> Card:
    found = Card()
    image = bytearray(config(load_board(board), assigned=True))
    for at, value in (changes or {}).items():
        image[at] = value
    found.put(0, bytes(image))
    return found


@pytest.mark.parametrize("name", board_names())
def test_a_board_does_not_differ_from_itself(name: str) -> None:
    assert against.compare(load_board(name), card(board=name)).differs == ()


def test_what_differs_is_told_with_register_bits_and_fields() -> None:
    assert against.compare(BOARD, card({0x08: 0xAA, 0x06: 0x90, 0x43: 0x48})).differs == (
        "0x06 PCISR: board 0x02b0, card 0x0290",
        "      5  mhz66: board 1, card 0",
        "0x08 PCIREV: board 0xba, card 0xaa",
        "    7:0  revision: board 0xba, card 0xaa",
    )


SOFTWARES = {
    "PCICR": (0x04, 0x17), "PCISR": (0x07, 0x22), "PCICLSR": (0x0C, 8), "PCILTR": (0x0D, 0x20), "PCIILR": (0x3C, 9),
    "PMCSR": (0x44, 3), "HS_CSR": (0x4A, 0x48), "PVPDAD": (0x4E, 0x10), "PVPDATA": (0x50, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SOFTWARES)
def test_what_software_writes_is_left_out_and_named(name: str) -> None:
    at, value = SOFTWARES[name]
    found = against.compare(BOARD, card({at: value}))
    assert found.differs == ()
    assert name in found.left_out


def test_every_bit_of_configuration_space_is_either_compared_or_softwares() -> None:
    """Flip each bit of the card's dump: one that is not software's makes a line, and the others none."""
    chip = against.powered(BOARD)
    config_space.assign(chip)
    image, flipped = config_space.dump(chip), Card()
    sizes = dict(zip(config_space.BARS, [bar.size for bar in bars.of(chip)], strict=False))
    for reg in chip.config.registers:
        layout = reg.on(chip.profile.chip)
        for bit in range(reg.width):
            at = reg.offset + bit // 8
            flipped.put(0, image)
            flipped.put(at, bytes((image[at] ^ 1 << bit % 8,)))
            found = against.beside(chip, flipped)
            softwares = bool((layout.rw | layout.w1c) >> bit & 1)
            if reg.offset in config_space.BARS:
                # An address is software's, as far as it fits the size; a BAR that is off has none.
                size = sizes.get(reg.offset, 0)
                softwares = size > 0 and 1 << bit >= size
            elif reg is cfg.PCIERBAR:
                softwares = bit == 0  # the board has no ROM
            assert bool(found.differs) != softwares, (reg.__name__, bit)


@pytest.mark.parametrize(
    ("sizes", "changes", "line"),
    [
        ({2: 0x1_0000}, {}, "0x18 BAR2: board memory, 128 KiB; card memory, 64 KiB"),
        ({3: 0x100}, {0x1F: 0xFD}, "0x1c BAR3: board off; card memory, 256 bytes"),
        ({1: 0}, {0x14: 0, 0x15: 0}, "0x14 BAR1: board I/O, 256 bytes; card off"),
        ({2: 0x2_0000}, {0x18: 0x08}, "0x18 BAR2: board memory, 128 KiB; card memory, prefetchable, 128 KiB"),
        ({}, {0x18: 0x08}, "0x18 BAR2: board memory, 128 KiB; card memory, prefetchable, address 0xfe000000"),
        ({}, {0x1A: 0x01}, "0x18 BAR2: board memory, 128 KiB; card memory, address 0xfe010000"),
        ({5: 0x40}, {}, "0x24 BAR5: board off; card memory, 64 bytes"),
    ],
)
def test_bars_are_compared_by_kind_and_size(sizes: dict[int, int], changes: dict[int, int], line: str) -> None:
    there = card(changes)
    there.sizes.update(sizes)
    assert against.compare(BOARD, there).differs == (line,)


def test_an_address_alone_is_no_difference_and_a_size_that_is_not_known_is_said() -> None:
    found = against.compare(BOARD, card({0x1B: 0xD0}))
    assert found.differs == ()
    assert "BAR2 (its size is not in the dump: lspci -v, or sysfs's `resource`)" in found.left_out


def test_a_rom_and_bytes_without_a_register_are_compared() -> None:
    there = card({0x60: 0x12})
    there.rom_size = 0x800
    assert against.compare(BOARD, there).differs == (
        "0x30 expansion ROM: board off; card 2 KiB",
        "0x60 no register on the PCI 9656: board 0x00, card 0x12",
    )
    old = against.compare(load_board("9080-401b"), card(board="rdk-9054-lite"))
    assert any(line.startswith("0x40 no register on the PCI 9080") for line in old.differs)


ROM = replace(
    BOARD, eeprom=Eeprom.loading(PROFILES["9656"], EepromPart.C93CS56, {"ids": 0x9601_10B5, "eromrr": 0xFFFF_0000})
)
"""A ROM of 64 KiB."""


@pytest.mark.parametrize(
    ("rom", "line"),
    [
        (0, None),
        (0xFE04_0001, None),
        (0xFE04_8000, "0x30 expansion ROM: board 64 KiB; card at address 0xfe048000"),
        (0x0000_0006, "0x30 PCIERBAR: board 0 in bits 10:1, card 0x00000006"),
    ],
)
def test_a_rom_in_the_hex_bytes_is_compared_as_far_as_they_tell(rom: int, line: str | None) -> None:
    there = Card()
    there.put(0, config(ROM, assigned=True))
    there.put(0x30, rom.to_bytes(4, "little"))
    found = against.compare(ROM, there)
    assert found.differs == (() if line is None else (line,))
    assert any(left.startswith("expansion ROM (") for left in found.left_out) == (rom != 0xFE04_8000)
    assert ("PCIERBAR" in found.left_out) == bool(rom & 1)
    there.rom_size = 0x1_0000
    assert not any("expansion ROM" in line for line in against.compare(ROM, there).differs)


def test_a_rom_that_the_board_lacks_differs_by_its_address() -> None:
    assert against.compare(BOARD, card({0x33: 0xFE})).differs == (
        "0x30 expansion ROM: board off; card at address 0xfe000000",
    )


def test_what_the_dump_does_not_have_is_not_compared() -> None:
    there = Card()
    there.put(0, config(load_board("rdk-9054-lite"))[:4])
    assert [line.partition(": ")[0] for line in against.compare(BOARD, there).differs] == [
        "0x00 PCIIDR",
        "  31:16  device",
    ]
