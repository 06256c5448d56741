# SPDX-License-Identifier: Apache-2.0
"""Boards with another EEPROM than the reference boards': none, a blank or a bad one, other parts (reference 3.4, 7, 8)."""

import struct
from dataclasses import replace

import pytest

from plx9x5x.board import Eeprom, EepromPart, load_board
from plx9x5x.ports import ResetKind
from tests.behaviour.cases_eeprom import (
    CLOCK,
    CNTRL,
    DATA,
    DEVICE,
    DISABLE,
    ENABLE,
    ERASE_ALL,
    LISTEN,
    PRESENT,
    READ,
    RELOAD,
    RESET,
    SELECT,
    SPARE,
    WRITE,
    WRITE_ALL,
    Wires,
    rise,
)
from tests.behaviour.driver import BOARD_OF, FAMILY, PORTS, SINCE_9054, SINCE_9056, SPACE0, SPACE1
from tests.behaviour.in_process import InProcess

ONES = 0xFFFF_FFFF
EACH = pytest.mark.parametrize("chip", FAMILY)


def image(chip: str, *, until: int | None = None, **changed: int) -> bytes:
    """The reference board's image, ones from `until` on, and then dwords changed by byte offset (at_20=...)."""
    made = load_board(BOARD_OF[chip]).eeprom
    assert made is not None
    raw = bytearray(made.image if until is None else made.image[:until].ljust(len(made.image), b"\xff"))
    for name, value in changed.items():
        struct.pack_into("<HH", raw, int(name.removeprefix("at_"), 16), value >> 16, value & 0xFFFF)
    return bytes(raw)


def machine(chip: str, eeprom: Eeprom | None) -> InProcess:
    return InProcess(chip, board=replace(load_board(BOARD_OF[chip]), eeprom=eeprom))


def part_of(chip: str) -> EepromPart:
    return EepromPart.C93CS46 if chip == "9080" else EepromPart.C93CS56


def default_ids(driver: InProcess) -> None:
    """The chip is as it is without an EEPROM: its own IDs, both spaces off, registers and ports there."""
    chip = int("9056" if driver.chip == "8311" else driver.chip, 16)
    assert driver.config_read(0x00) == chip << 16 | 0x10B5
    assert driver.config_read(0x08, 4) >> 8 == 0x06_8000
    assert driver.config_read(0x2C, 2) == 0x10B5
    assert driver.config_read(0x3D, 1) == 1, "INTA#"
    assert (driver.read(0x00), driver.read(0x04), driver.read(0x18)) == (0xFFF0_0000, 0, 0x4043_0043)
    assert (driver.read(0xF0), driver.read(0xF4), driver.read(0xF8)) == (0xFFF0_0000, 0, 0x43)
    assert (driver.read(0x78), driver.read(0x7C)) == (0, 0)
    assert driver.read(0x70) == chip << 16 | 0x10B5
    assert driver.read(0x70, bar=PORTS) == chip << 16 | 0x10B5
    assert driver.read(0, bar=SPACE0) == ONES
    assert driver.read(0, bar=SPACE1) == ONES
    assert driver.read(0x80) == 0x43


# -- no part, a blank one, a bad one --------------------------------------------------------------


@EACH
def test_without_a_part_the_chip_has_its_power_on_values(chip: str) -> None:
    driver = machine(chip, None)
    default_ids(driver)
    assert driver.read(CNTRL) & PRESENT == 0
    rise(driver, RELOAD)
    rise(driver, RESET)
    default_ids(driver)


@EACH
def test_without_a_part_nobody_answers_on_the_wires(chip: str) -> None:
    """UNVERIFIED: that DO reads 0 then."""
    driver = machine(chip, None)
    wires = Wires(driver)
    wires.drive(SELECT | wires.listen)
    assert wires.answer == 0
    assert wires.read(0, 2) == [0, 0]
    wires.write(0, 0x1234)
    assert driver.read(CNTRL) & PRESENT == 0


@EACH
def test_with_a_blank_part_the_chip_has_its_power_on_values_and_says_that_there_is_one(chip: str) -> None:
    driver = machine(chip, Eeprom(part_of(chip), b""))
    default_ids(driver)
    assert driver.read(CNTRL) & PRESENT
    assert Wires(driver).read(0, 2) == [0xFFFF, 0xFFFF]
    rise(driver, RELOAD)
    default_ids(driver)


@EACH
def test_a_blank_part_can_be_given_a_content_and_loaded(chip: str) -> None:
    """What the SDK's EEPROM editor does with a new board."""
    driver = machine(chip, Eeprom(part_of(chip), b""))
    wires = Wires(driver)
    for at in range(0, 0x44, 4):
        wires.program_dword(at, 0)
    for at, value in ((0x00, 0x1234_10B5), (0x14, 0xFFFF_0000), (0x18, driver.memory_at | 1), (0x2C, 0x4043_0043)):
        wires.program_dword(at, value)
    rise(driver, RELOAD)
    assert driver.config_read(0x00) == 0x1234_10B5
    driver.local.write_memory(driver.memory_at, b"seen")
    assert driver.read(0, bar=SPACE0) == int.from_bytes(b"seen", "little")
    assert driver.read(0xF8) == 0x43, "not asked for by LBRD0[25]"


@EACH
def test_an_image_of_zeros_is_loaded_as_it_is(chip: str) -> None:
    """Garbage, but not blank: BAR0 stays, the device answers and can be mended."""
    driver = machine(chip, Eeprom(part_of(chip), bytes(0x80)))
    assert driver.config_read(0x00) == 0
    assert driver.read(0x70) & 0xFFFF == 0x10B5
    assert driver.read(0, bar=SPACE0) == ONES
    assert driver.read(0x70, bar=PORTS) == (ONES if chip in SINCE_9054 else 0x9080_10B5)
    if chip in SINCE_9054:
        assert driver.read(0x0D, 1) == 0x04, "local initialisation is done nevertheless"
    wires = Wires(driver)
    wires.program_dword(0, 0x5555_10B5)
    rise(driver, RELOAD)
    assert driver.config_read(0x00) == 0x5555_10B5


@EACH
def test_ones_behind_good_ids_are_loaded_and_read_only_bits_keep_theirs(chip: str) -> None:
    """An image cut off after the IDs, but for MARBR and PMCSR. Only bits that exist are loaded."""
    driver = machine(chip, Eeprom(part_of(chip), image(chip, until=0x10, at_1C=0x0020_0000, at_60=0)))
    assert driver.config_read(0x00) == DEVICE[chip] << 16 | 0x10B5
    assert driver.read(0x7C) == ONES
    assert driver.read(0x04) == 0xFFFF_FFFD
    assert driver.read(0x18) == 0xFFFF_7FFF
    assert driver.read(0xF8) == 0x7FFF
    assert driver.read(0x2C) == 0x80FF_FFFF
    if chip in SINCE_9056:
        assert driver.read(0x100) == 0xF
    driver.write(0x50, 0x1234_5678)
    assert driver.read(0x50) == 0x1234_5678, "and the chip answers"
    assert driver.read(0x80) == 0x43


@EACH
def test_a_write_protected_part_keeps_what_it_has(chip: str) -> None:
    driver = machine(chip, Eeprom(part_of(chip), image(chip), write_protected=True))
    wires = Wires(driver)
    wires.bare(ENABLE)
    wires.write(SPARE, 0x1234)
    wires.drive(SELECT | wires.listen)
    assert wires.answer == 1, "it does not hang a driver that waits for ready"
    wires.end()
    wires.bare(ERASE_ALL)
    wires.command(WRITE_ALL)
    wires.send(0, 16)
    wires.end()
    wires.bare(DISABLE)
    assert wires.read(SPARE) == [0xFFFF]
    assert wires.read(0, 2) == [DEVICE[chip], 0x10B5]
    if chip in SINCE_9054:
        driver.write(0x0E, 0, 1)
        driver.config_write(0x50, 0x1234_5678)
        driver.config_write(0x4C, 0x80D0_0003)
        assert driver.config_read(0x4E, 2) == 0x00D0, "F falls all the same"
        driver.config_write(0x4C, 0x00D0_0003)
        assert driver.config_read(0x50) == ONES


@pytest.mark.parametrize("chip", SINCE_9054)
def test_vpd_without_a_part_completes_and_gives_ones(chip: str) -> None:
    """UNVERIFIED: a driver that waits for the flag must not hang."""
    driver = machine(chip, None)
    driver.config_write(0x4C, 0x0000_0003)
    assert driver.config_read(0x4C) == 0x8000_0003
    assert driver.config_read(0x50) == ONES
    driver.config_write(0x4C, 0x80D0_0003)
    assert driver.config_read(0x4C) == 0x00D0_0003


# -- how much is loaded ---------------------------------------------------------------------------


def test_a_short_load_of_the_9080_ends_after_the_mailboxes() -> None:
    driver = machine("9080", Eeprom(EepromPart.C93CS46, image("9080", at_0C=0x1111, at_10=0x2222), short_load=True))
    assert driver.config_read(0x00) == 0x0401_10B5
    assert (driver.read(0x78), driver.read(0x7C)) == (0x1111, 0x2222)
    assert (driver.read(0x00), driver.read(0x04), driver.read(0x18)) == (0xFFF0_0000, 0, 0x4043_0043)
    assert driver.config_read(0x2C) == 0x9080_10B5
    assert driver.read(0xF4) == 0
    rise(driver, RELOAD)
    assert driver.read(0x04) == 0
    rise(driver, RESET)
    assert driver.read(0x04) == 0


@pytest.mark.parametrize("chip", SINCE_9054)
def test_the_other_chips_have_no_short_load(chip: str) -> None:
    driver = machine(chip, Eeprom(EepromPart.C93CS56, image(chip), short_load=True))
    assert driver.read(0x04) == driver.memory_at | 1


@EACH
def test_without_the_extra_long_bit_the_load_ends_at_44(chip: str) -> None:
    content = image(chip, at_2C=0x4043_0043, at_40=0x1234, at_44=0x5678_1234, at_48=0xFFFF_0000, at_50=0x57)
    driver = machine(chip, Eeprom(part_of(chip), content))
    assert driver.read(0x2C) == 0x1234
    assert driver.config_read(0x2C, 2) == 0x10B5
    assert driver.config_read(0x2E, 2) == int("9056" if chip == "8311" else chip, 16)
    assert (driver.read(0xF0), driver.read(0xF8)) == (0xFFF0_0000, 0x43)


def test_the_9080s_last_dword_is_the_rom_base_and_the_9054s_is_hot_swap() -> None:
    content = image("9080", at_24=0xFFFF_0000, at_54=0xFE00_0001)
    assert machine("9080", Eeprom(EepromPart.C93CS46, content)).config_read(0x30) == 0xFE00_0001
    content = image("9054", at_54=0x00BA_4C06)
    assert machine("9054", Eeprom(EepromPart.C93CS56, content)).config_read(0x48) == 0x00BA_4C06


@pytest.mark.parametrize("chip", ["9080", "9054"])
def test_the_older_chips_load_nothing_behind_their_58_bytes(chip: str) -> None:
    content = image(chip).ljust(0x80, b"\xff")[:0x58] + b"\x12\x34" * 6
    driver = machine(chip, Eeprom(part_of(chip), content))
    assert driver.read(0x100) == 0
    assert driver.config_read(0x40) == (0 if chip == "9080" else 0x4801_4801)
    assert driver.config_read(0x44, 2) == 0


# -- other parts ----------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize(
    ("part", "words", "address_bits"),
    [(EepromPart.C93CS46, 64, 6), (EepromPart.C93CS56, 128, 8), (EepromPart.C93CS66, 256, 8)],
)
def test_each_part_answers_to_its_own_length_of_command(
    chip: str, part: EepromPart, words: int, address_bits: int
) -> None:
    """The part is the board's, whatever the chip."""
    driver = machine(chip, Eeprom(part, image(chip)[:0x80]))
    assert driver.config_read(0x00) == DEVICE[chip] << 16 | 0x10B5
    wires = Wires(driver, address_bits=address_bits)
    assert wires.read(0, 2) == [DEVICE[chip], 0x10B5]
    wires.program(((words - 1, 0x1234), (words // 2, 0x5678)))
    assert wires.read(words - 1) == [0x1234]
    assert wires.read(words // 2) == [0x5678]
    assert wires.read(words - 2, 2) == [0xFFFF, 0x1234], "and no other"
    assert wires.read(words // 2, 2)[0] == 0x5678
    assert wires.read(0, 2) == [DEVICE[chip], 0x10B5]


def test_a_command_for_the_larger_part_is_no_command_to_the_smaller_one() -> None:
    """The 9080's own SDK driver on a cb_pcidas64 board finds other words, not the ones that it asked for."""
    driver = machine("9080", Eeprom(EepromPart.C93CS46, image("9080")))
    assert Wires(driver, address_bits=8).read(1) != [0x10B5]
    assert Wires(driver, address_bits=6).read(1) == [0x10B5]
    driver = machine("9080", Eeprom(EepromPart.C93CS56, image("9080")))
    assert Wires(driver, address_bits=6).read(1) != [0x10B5]
    assert Wires(driver, address_bits=8).read(1) == [0x10B5]


def cb_pcidas64_reads(driver: InProcess, word: int) -> int:
    """Its `read_eeprom`, write by write: 0x600 | address in 11 bits, then 16 bits sampled with SK low."""
    bits = driver.read(CNTRL) & ~(CLOCK | SELECT) & ONES
    driver.write(CNTRL, bits)
    bits |= SELECT
    driver.write(CNTRL, bits)
    for at in reversed(range(11)):
        bits = bits | DATA if (0x600 | word) >> at & 1 else bits & ~DATA
        driver.write(CNTRL, bits)
        driver.write(CNTRL, bits | CLOCK)
        driver.write(CNTRL, bits)
    value = 0
    for _ in range(16):
        driver.write(CNTRL, bits | CLOCK)
        driver.write(CNTRL, bits)
        value = value << 1 | driver.read(CNTRL) >> 27 & 1
    driver.write(CNTRL, bits & ~SELECT)
    return value


def test_cb_pcidas64_reads_all_128_words_of_a_93cs56_behind_a_9080() -> None:
    content = image("9080")[:0x58] + struct.pack("<84H", *range(0x1000, 0x1054))
    driver = machine("9080", Eeprom(EepromPart.C93CS56, content))
    assert driver.read(CNTRL) & PRESENT
    words = struct.unpack("<128H", content)
    assert [cb_pcidas64_reads(driver, word) for word in range(128)] == list(words)
    for wire in (1 << 16, DATA, DATA | 1 << 16, 0) * 8:  # its I2C
        driver.write(CNTRL, 0x0000_767E | wire)
    assert cb_pcidas64_reads(driver, 1) == 0x10B5


def sdk_9054_reads(driver: InProcess, at: int) -> int:
    """PlxEepromReadByOffset on a 9056: bit 31 off for the command, then on with bit 26, 32 bits, off again."""
    control = driver.read(CNTRL) & ~(CLOCK | SELECT | DATA | LISTEN) & ONES
    driver.write(CNTRL, control)
    driver.write(CNTRL, control | SELECT)
    for bit in reversed(range(11)):
        wires = control | SELECT | (DATA if (0x600 | at // 2) >> bit & 1 else 0)
        driver.write(CNTRL, wires)
        driver.write(CNTRL, wires | CLOCK)
        driver.write(CNTRL, wires)
    wires = control | SELECT | DATA | LISTEN
    driver.write(CNTRL, wires)
    value = 0
    for _ in range(32):
        driver.write(CNTRL, wires | CLOCK)
        driver.write(CNTRL, wires)
        value = value << 1 | driver.read(CNTRL) >> 27 & 1
    driver.write(CNTRL, control)
    return value


@pytest.mark.parametrize("chip", SINCE_9054)
def test_the_sdk_reads_the_whole_image_by_dwords(chip: str) -> None:
    driver = InProcess(chip)
    for at in range(0, 0x64, 4):
        high, low = struct.unpack_from("<HH", image(chip), at)
        assert sdk_9054_reads(driver, at) == high << 16 | low


# -- how long it keeps what was written -----------------------------------------------------------


@EACH
def test_a_power_on_reset_loads_what_was_written(chip: str) -> None:
    """As a device reset from the client: the part is on the board."""
    driver = InProcess(chip)
    wires = Wires(driver)
    wires.program_dword(0x00, 0x1234_10B5)
    wires.program_dword(0x0C, 0x5555_6666)
    driver.device.reset(ResetKind.POWER_ON)
    assert driver.config_read(0x00) == 0x1234_10B5
    assert driver.read(0x78) == ONES, "memory decoding is off"
    driver.config_write(0x04, 7, 2)
    assert driver.read(0x78) == 0x5555_6666


@EACH
def test_another_client_finds_the_part_as_it_was_made(chip: str) -> None:
    driver = InProcess(chip)
    wires = Wires(driver)
    wires.program_dword(0x00, 0x1234_10B5)
    driver.device.reset(ResetKind.LOST_CLIENT)
    assert driver.config_read(0x00) == DEVICE[chip] << 16 | 0x10B5
    driver.config_write(0x04, 7, 2)
    assert Wires(driver).read(0, 2) == [DEVICE[chip], 0x10B5]


def test_two_machines_with_the_same_board_have_a_part_each() -> None:
    first, second = InProcess("9656"), InProcess("9656")
    Wires(first).program(((SPARE, 0x1234),))
    assert Wires(first).read(SPARE) == [0x1234]
    assert Wires(second).read(SPARE) == [0xFFFF]


@pytest.mark.parametrize("chip", SINCE_9056)
def test_an_image_that_asks_for_a_sleeping_chip_gets_one_that_is_awake(chip: str) -> None:
    """UNVERIFIED: that the load leaves the power state alone; a card that wakes up in D3hot could not be mended."""
    driver = machine(chip, Eeprom(part_of(chip), image(chip, at_60=0x0000_0103)))
    assert driver.config_read(0x44, 2) == 0x0100
    assert driver.read(0x68) == 0x0F01_0100


@EACH
def test_a_reset_lets_go_of_the_wires(chip: str) -> None:
    """What was being clocked in is forgotten, and the next command needs no falling CS before it."""
    driver = InProcess(chip)
    before = driver.device.eeprom.image
    wires = Wires(driver)
    wires.bare(ENABLE)
    wires.command(WRITE, 0)
    wires.send(0, 16)
    driver.device.reset(ResetKind.POWER_ON)
    driver.config_write(0x04, 7, 2)
    driver.write(CNTRL, 0x000F_767E)
    assert driver.device.eeprom.image == before


@pytest.mark.parametrize("chip", SINCE_9054)
def test_a_vpd_address_that_wraps_meets_the_protection_of_where_it_lands(chip: str) -> None:
    driver = InProcess(chip)
    before = driver.device.eeprom.image
    driver.config_write(0x50, 0xDEAD_BEEF)
    driver.config_write(0x4C, 0x8100_0003)  # byte 100h of a part of 256 bytes: dword 0
    assert driver.device.eeprom.image == before
    driver.config_write(0x4C, 0x81F0_0003)
    assert driver.device.eeprom.image != before, "dword 7Ch lies above PROT_AREA"


@EACH
def test_a_clock_that_stays_high_is_one_edge(chip: str) -> None:
    driver = InProcess(chip)
    wires = Wires(driver)
    wires.command(READ, 0)
    value = 0
    for _ in range(16):
        for level in (CLOCK, CLOCK, CLOCK, 0, 0):
            wires.drive(SELECT | DATA | wires.listen | level)
        value = value << 1 | wires.answer
    assert value == DEVICE[chip]
