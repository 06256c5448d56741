# SPDX-License-Identifier: Apache-2.0
"""The PLX SDK's board reset and its EEPROM access, by CNTRL on every chip and by VPD on the 9054 and later.

Source: reference sections 9.6, 3.4, 7 and 8.
"""

from dataclasses import replace
from typing import Final

import pytest

from plx9x5x.board import Eeprom
from tests.behaviour.driver import FAMILY, PORTS, SINCE_9054, SINCE_9056, SPACE0
from tests.scenarios.plx_sdk import Piece, PlxSdk
from tests.scenarios.support import (
    CNTRL,
    CONFIG,
    CSR,
    INTCSR,
    MEMORY_BAR,
    MODE,
    PADR,
    QSR,
    Machine,
    Watched,
    bar_resources,
    bit,
    off,
    reference_board,
)

CNTRL_IDLE: Final = {"9080": 0x9003_767E}
"""The others 100F767Eh."""

PROT_AREA: Final = 0x0E
MBOX0, MBOX3, MBOX7 = 0x78, 0x4C, 0x5C
MBOX0_AT: Final = 0x0C
"""Its place in the EEPROM."""

IMAGE: Final = {
    "9080": {0x00: 0x0401_10B5, 0x08: 0x100, 0x14: 0xFF00_0000, 0x18: 1, 0x44: 0x9080_10B5, 0x54: 0},
    "9054": {0x00: 0x5406_10B5, 0x04: 0x0680_000B, 0x18: 0x2000_0001, 0x20: 0x0030_0500, 0x54: 0x0000_4C06},
    "9056": {0x00: 0x5601_10B5, 0x04: 0x0680_00BA, 0x2C: 0x4243_0043, 0x44: 0x9056_10B5, 0x5C: 0x4802_4801},
    "9656": {0x00: 0x9601_10B5, 0x14: 0xFFFE_0000, 0x18: 1, 0x1C: 0x0020_0000, 0x44: 0x9656_10B5, 0x5C: 0x4802_4801},
    "8311": {0x00: 0x86E1_10B5, 0x14: 0xFFFE_0000, 0x18: 1, 0x50: 0x43, 0x58: 0, 0x60: 0},
}
"""Some of what the boards' EEPROMs hold."""


def sdk_on(chip: str, image: bytes | None = None) -> PlxSdk:
    """A driver; `image` replaces what the EEPROM holds."""
    board = reference_board(chip)
    assert board.eeprom is not None
    if image is not None:
        board = replace(board, eeprom=Eeprom(board.eeprom.part, image))
    return PlxSdk(Watched(Machine(chip, board=board)))


@pytest.fixture(params=FAMILY)
def sdk(request: pytest.FixtureRequest) -> PlxSdk:
    return sdk_on(request.param)


@pytest.fixture(params=SINCE_9054)
def vpd(request: pytest.FixtureRequest) -> PlxSdk:
    return sdk_on(request.param)


def seen(sdk: PlxSdk) -> list[object]:
    assert isinstance(sdk.pc, Watched)
    return list(sdk.pc.seen())


def reload(sdk: PlxSdk) -> None:
    control = sdk.pc.read(CNTRL)
    sdk.pc.write(CNTRL, control | bit(29))
    sdk.pc.write(CNTRL, control)


# -- board reset ---------------------------------------------------------------------------------------


def test_a_board_reset_reads_what_it_has_to_put_back(sdk: PlxSdk) -> None:
    chip = sdk.pc.chip
    sdk.pc.config_write(0x3C, 0x0B, 1)
    range0 = sdk.pc.read(0)
    status = {"9080": 0x0280, "9054": 0x0290}.get(chip, 0x02B0)
    seen(sdk)
    sdk.reset_board()
    capabilities = [] if chip == "9080" else [off(0x44, 0, bar=CONFIG), off(0x48, 0x0000_4C06, bar=CONFIG)]
    assert seen(sdk) == [
        off(4, status << 16 | 7, bar=CONFIG), off(QSR, 0x50), off(0x3C, 0x0B, 1, bar=CONFIG), *capabilities,
        off(CNTRL, CNTRL_IDLE.get(chip, 0x100F_767E)), off(0, range0),
    ]  # fmt: skip
    assert sdk.pc.read(CNTRL) == CNTRL_IDLE.get(chip, 0x100F_767E)
    assert sdk.pc.config_read(0x3C) == 0x0000_010B


@pytest.mark.finds("no-demand", "running-at-reset", "window-closed")
def test_a_board_reset_takes_the_local_side_and_leaves_the_host_s(sdk: PlxSdk) -> None:
    pc = sdk.pc
    kept = [(0x10, 0xFEBF_F000), (0x14, 0xC001), (0x18, 0xFE00_0000)]
    for register, value in kept:
        pc.config_write(register, value)
    pc.write(MBOX3, 0x3333)
    pc.write(MBOX7, 0x7777)
    pc.write(MBOX0, 0x1111)
    pc.write(INTCSR, 0x000D_0100)
    pc.write(4, 0)
    pc.local.write_memory(pc.memory_at, b"gone")
    assert sdk.block(0, Piece(sdk.common.bus, 16), pc.memory_at, to_pci=True, mode=bit(12))
    pc.settle()
    assert pc.read(CSR[0], 1) == 0x01
    assert pc.read(0, bar=SPACE0) == 0xFFFF_FFFF
    sdk.reset_board()
    assert [pc.config_read(register) for register, _ in kept] == [value for _, value in kept]
    assert pc.config_read(4, 2) == 7
    assert [pc.read(at) for at in (MBOX3, MBOX7, INTCSR)] == [0x3333, 0x7777, 0x0F0D_0100]
    assert pc.read(MBOX0) == 0, "the EEPROM was loaded again"
    assert [pc.read(at) for at in (MODE[0], PADR[0], 4)] == [0x43, 0, pc.memory_at | 1]
    assert [pc.read(at, 1) for at in CSR] == [0x10, 0x10]
    assert pc.read(0, bar=SPACE0) == 0
    assert not pc.inta()


@pytest.mark.finds("unmapped-address")
def test_a_board_reset_clears_bus_errors_first(sdk: PlxSdk) -> None:
    pc = sdk.pc
    sdk.block(0, Piece(0xF800_0000, 16), pc.memory_at, to_pci=True)
    pc.settle()
    assert pc.read(INTCSR) == 0x0D01_4100
    sdk.reset_board()
    assert pc.read(INTCSR) == 0x0F01_0100
    assert pc.config_read(6, 2) & 0xF900 == 0
    assert pc.read(CSR[0], 1) == 0x10


def test_a_board_reset_turns_messaging_on_again_that_it_turned_off(sdk: PlxSdk) -> None:
    sdk.pc.write(QSR, 0x51)
    sdk.pc.write(CNTRL, sdk.pc.read(CNTRL) | bit(30))
    assert sdk.pc.read(QSR) == 0x50
    sdk.pc.write(CNTRL, sdk.pc.read(CNTRL) & ~bit(30))
    sdk.pc.write(QSR, 0x51)
    sdk.reset_board()
    assert sdk.pc.read(QSR) == 0x51


def test_a_board_reset_restores_the_hot_swap_led_and_power_state_bits(vpd: PlxSdk) -> None:
    vpd.pc.config_write(0x48, 0x0008_0000)
    vpd.pc.config_write(0x44, 0x0100, 2)
    assert vpd.pc.config_read(0x48) == 0x0008_4C06
    vpd.reset_board()
    assert vpd.pc.config_read(0x48) == 0x0008_4C06
    assert vpd.pc.config_read(0x44, 2) == 0x0100


@pytest.mark.finds("window-empty")
def test_a_window_can_be_remapped_while_it_is_in_use(sdk: PlxSdk) -> None:
    pc = sdk.pc
    assert sdk.probe() is not None
    size = -pc.read(0) & 0xFFFF_FFFF
    pc.write(4, pc.memory_at + size | 1)
    assert pc.read(4) == pc.memory_at + size | 1
    assert pc.read(0, bar=SPACE0) == 0xFFFF_FFFF, "nothing is there"
    pc.write(4, pc.memory_at | 1)
    pc.write(8, 0x1234_5678, bar=SPACE0)
    assert pc.local.read_memory(pc.memory_at + 8, 4) == b"\x78\x56\x34\x12"


def test_without_bar1_the_spaces_may_move_down(vpd: PlxSdk) -> None:
    pc = vpd.pc
    pc.write(0x0D, 0x04, 1)
    assert (pc.config_read(0x14), pc.read(0x0C) & 0x300) == (0, 0)
    assert bar_resources(pc) == [(MEMORY_BAR, 0x100 if pc.chip == "9054" else 0x200), (MEMORY_BAR, 0x2_0000)]
    pc.write(0x0D, 0x06, 1)
    assert pc.read(0x0C) & 0x300 == 0x200
    pc.config_write(0x14, 0xFFFF_FFFF)
    assert pc.config_read(0x14) == 0xFFFE_0000
    assert pc.config_read(0x18) == 0
    pc.write(0, 0x600D_F00D, bar=PORTS)
    assert pc.local.read_memory(pc.memory_at, 4) == b"\x0d\xf0\x0d\x60"


# -- EEPROM --------------------------------------------------------------------------------------------


def test_the_eeprom_reads_a_dword_by_one_command(sdk: PlxSdk) -> None:
    assert sdk.eeprom_present()
    expected = IMAGE[sdk.pc.chip]
    assert {at: sdk.eeprom_read(at) for at in expected} == expected
    assert sdk.pc.read(CNTRL) == CNTRL_IDLE.get(sdk.pc.chip, 0x100F_767E)


def test_a_9080_s_eeprom_holds_bigend_alone_in_its_dword() -> None:
    assert sdk_on("9080").eeprom_read(0x20) == 0


def test_vpd_reads_the_same_as_the_wires(vpd: PlxSdk) -> None:
    for at in range(0, 0x70, 12):
        assert vpd.vpd_read(at) == vpd.eeprom_read(at), hex(at)
    assert vpd.pc.config_read(0x4C) == 0x806C_0003
    assert vpd.vpd_read(0xFC) == 0xFFFF_FFFF, "blank beyond what the chip loads"
    assert vpd.pc.config_read(0x4C) == 0x80FC_0003


@pytest.mark.finds("eeprom-not-sampled", chips=SINCE_9056)
def test_what_the_wires_write_the_next_load_brings(sdk: PlxSdk) -> None:
    pc = sdk.pc
    sdk.eeprom_write(MBOX0_AT, 0xCAFE_1234)
    assert sdk.eeprom_read(MBOX0_AT) == 0xCAFE_1234
    assert pc.read(MBOX0) == 0
    reload(sdk)
    assert pc.read(MBOX0) == pc.read(0x40) == 0xCAFE_1234
    if pc.chip != "9080":
        assert pc.read(PROT_AREA, 1) == 0x30
        assert sdk.vpd_read(MBOX0_AT) == 0xCAFE_1234


def test_what_vpd_writes_the_wires_read(vpd: PlxSdk) -> None:
    pc = vpd.pc
    vpd.vpd_write(MBOX0_AT, 0x0BAD_CAFE)
    assert pc.config_read(0x4C) == MBOX0_AT << 16 | 3
    assert vpd.eeprom_read(MBOX0_AT) == vpd.vpd_read(MBOX0_AT) == 0x0BAD_CAFE
    assert pc.read(PROT_AREA, 1) == 0x30
    reload(vpd)
    assert pc.read(MBOX0) == 0x0BAD_CAFE


@pytest.mark.finds("eeprom-not-written")
def test_vpd_writes_below_the_protected_area_vanish(vpd: PlxSdk) -> None:
    vpd.vpd_write(MBOX0_AT, 0x0BAD_CAFE, unprotect=False)
    assert vpd.vpd_read(MBOX0_AT) == 0
    vpd.vpd_write(0xBC, 0x1111_2222, unprotect=False)
    assert vpd.vpd_read(0xBC) == 0xFFFF_FFFF, "the last dword below 30h"
    vpd.vpd_write(0xC0, 0x1111_2222, unprotect=False)
    assert vpd.vpd_read(0xC0) == vpd.eeprom_read(0xC0) == 0x1111_2222


@pytest.mark.finds("eeprom-not-written")
def test_a_dword_is_written_only_between_enable_and_disable(sdk: PlxSdk) -> None:
    sdk._release(sdk._command_eeprom(0b101, MBOX0_AT // 2))
    control = sdk._command_eeprom(0b101, MBOX0_AT // 2)
    for _ in range(16):
        sdk._pulse(control | bit(26))
    sdk._release(control)
    assert sdk.eeprom_read(MBOX0_AT) == 0


@pytest.mark.parametrize("chip", SINCE_9056)
def test_data_from_the_eeprom_needs_the_input_enable(chip: str) -> None:
    sdk = sdk_on(chip)
    control = sdk._command_eeprom(0b110, 0)
    bits = []
    for _ in range(16):
        sdk._pulse(control)
        deaf = sdk.pc.read(CNTRL) >> 27 & 1
        sdk.pc.write(CNTRL, control | bit(31))
        bits.append((deaf, sdk.pc.read(CNTRL) >> 27 & 1))
        sdk.pc.write(CNTRL, control)
    assert [deaf for deaf, _ in bits] == [0] * 16
    assert int("".join(str(heard) for _, heard in bits), 2) == IMAGE[chip][0] >> 16


@pytest.mark.finds("eeprom-not-sampled", chips=SINCE_9056)
@pytest.mark.parametrize("chip", ["9080", "9054", "9656"])
def test_a_blank_part_is_present_and_can_be_programmed(chip: str) -> None:
    sdk = sdk_on(chip, image=b"")
    pc = sdk.pc
    assert sdk.eeprom_present()
    assert sdk.eeprom_read(0) == 0xFFFF_FFFF
    assert pc.config_read(0) == int(chip, 16) << 16 | 0x10B5
    assert sdk.probe() is not None
    sdk.polls = 100  # it takes seconds otherwise, and each word is stored all the same
    table = {0x00: 0x1234_10B5, 0x04: 0x0680_0007, 0x14: 0xFFFF_F000, 0x18: 1, 0x2C: 0x4243_0043, 0x44: 0x5678_10B5}
    for at in range(0, 0x64 if chip in SINCE_9056 else 0x58, 4):
        sdk.eeprom_write(at, table.get(at, 0x100 if at == 8 else 0))
    reload(sdk)
    assert pc.config_read(0) == 0x1234_10B5
    assert pc.config_read(0x2C) == 0x5678_10B5
    assert pc.config_read(8) == 0x0680_0007
    assert [pc.read(at) for at in (0, 4)] == [0xFFFF_F000, 1]


@pytest.mark.parametrize("chip", FAMILY)
def test_an_empty_socket_answers_nothing(chip: str) -> None:
    pc = Machine(chip, board=replace(reference_board(chip), eeprom=None))
    sdk = PlxSdk(pc)
    assert not sdk.eeprom_present()
    assert sdk.probe() is not None
    assert pc.read(0) == 0xFFF0_0000
    assert pc.config_read(8, 1) == {"9080": 0x03, "9054": 0x0B}.get(chip, 0xBA)
