# SPDX-License-Identifier: Apache-2.0
"""Vital product data: the EEPROM by dwords, through configuration space (reference 8).

Not from a guest: under QEMU configuration space is partly QEMU's own, and here each bit counts.
"""

from typing import Final

from tests.behaviour.cases_eeprom import DEVICE, RELOAD, RESET, SPARE, Wires, rise
from tests.behaviour.driver import SINCE_9054, Driver, behaviour

VPD, VPDAD, VPDATA, PROT_AREA = 0x4C, 0x4E, 0x50, 0x0E
FLAG: Final = 0x8000
SPARE_AT: Final = 0xD0
"""Byte address of a dword that no load reads, above the protected area of 30h dwords."""
BLANK: Final = 0xFFFF_FFFF


def read(driver: Driver, at: int) -> int:
    """As the SDK reads: a dword with the capability's own bytes in its low half."""
    driver.config_write(VPD, at << 16 | 0x03)
    assert driver.config_read(VPDAD, 2) & FLAG, "done"
    return driver.config_read(VPDATA)


def write(driver: Driver, at: int, value: int) -> None:
    driver.config_write(VPDATA, value)
    driver.config_write(VPD, 0x8000_0000 | at << 16 | 0x03)
    assert driver.config_read(VPDAD, 2) & FLAG == 0, "done"


@behaviour("PVPDAD.address", "PVPDAD.flag", "PVPDATA.data", chips=SINCE_9054, guest=False)
def a_read_sets_the_flag_and_gives_the_dword(driver: Driver) -> None:
    known = {0x00: DEVICE[driver.chip] << 16 | 0x10B5, 0x18: driver.memory_at | 1, 0x2C: 0x4243_0043, SPARE_AT: BLANK}
    for at, value in known.items():
        assert read(driver, at) == value
        assert driver.config_read(VPD) == (FLAG | at) << 16 | 0x0003


@behaviour("PVPDAD.flag", "PVPDATA.data", chips=SINCE_9054, guest=False)
def a_write_clears_the_flag_and_programs_the_dword(driver: Driver) -> None:
    for value in (0x1234_5678, 0xEDCB_A987, 0, BLANK):
        write(driver, SPARE_AT, value)
        assert driver.config_read(VPD) == SPARE_AT << 16 | 0x0003
        assert driver.config_read(VPDATA) == value
        driver.config_write(VPDATA, 0x5555_5555)
        assert read(driver, SPARE_AT) == value
    assert (read(driver, SPARE_AT - 4), read(driver, SPARE_AT + 4)) == (BLANK, BLANK), "and no other"


@behaviour("PVPDATA.data", "CNTRL.eeprom_data_in", chips=SINCE_9054, guest=False)
def vpd_data_is_the_content_of_the_eeprom(driver: Driver) -> None:
    """Most significant word first, as on the wires."""
    wires = Wires(driver)
    wires.program(((SPARE_AT // 2, 0x1234), (SPARE_AT // 2 + 1, 0x5678)))
    assert read(driver, SPARE_AT) == 0x1234_5678
    write(driver, SPARE_AT, 0x9ABC_DEF0)
    assert wires.read(SPARE_AT // 2, 2) == [0x9ABC, 0xDEF0]


@behaviour("PVPDATA.data", chips=SINCE_9054, guest=False)
def writing_the_data_alone_programs_nothing(driver: Driver) -> None:
    driver.config_write(VPDATA, 0x1234_5678)
    assert driver.config_read(VPDATA) == 0x1234_5678
    assert read(driver, SPARE_AT) == BLANK


@behaviour("PVPDCNTL.id", "PVPD_NEXT.next", chips=SINCE_9054, guest=False)
def the_capabilitys_own_bytes_are_read_only(driver: Driver) -> None:
    driver.config_write(VPD, 0xFFFF, 2)
    assert driver.config_read(VPD, 2) == 0x0003
    driver.config_write(VPD, SPARE_AT << 16 | 0xFFFC)
    assert driver.config_read(VPD) == (FLAG | SPARE_AT) << 16 | 0x0003
    driver.config_write(VPD, 0)
    assert driver.config_read(VPD, 2) == 0x0003


@behaviour("PVPDAD.flag", "PVPDAD.address", chips=SINCE_9054, guest=False)
def a_write_of_the_low_half_alone_asks_for_nothing(driver: Driver) -> None:
    assert read(driver, 0) == DEVICE[driver.chip] << 16 | 0x10B5
    driver.config_write(VPDATA, 0x1234_5678)
    driver.config_write(VPD, 0x0003, 2)
    assert driver.config_read(VPD) == FLAG << 16 | 0x0003
    assert driver.config_read(VPDATA) == 0x1234_5678


@behaviour("PVPDAD.address", "PVPDAD.flag", chips=SINCE_9054, guest=False)
def a_write_of_the_address_alone_asks_as_well(driver: Driver) -> None:
    driver.config_write(VPDAD, 0, 2)
    assert driver.config_read(VPDATA) == DEVICE[driver.chip] << 16 | 0x10B5
    assert driver.config_read(VPDAD, 2) == FLAG
    driver.config_write(VPDATA, 0x1234_5678)
    driver.config_write(VPDAD, FLAG | SPARE_AT, 2)
    assert driver.config_read(VPDAD, 2) == SPARE_AT
    assert read(driver, SPARE_AT) == 0x1234_5678


@behaviour("PROT_AREA.first_writable", chips=SINCE_9054, guest=False)
def vpd_writes_are_blocked_below_prot_area(driver: Driver) -> None:
    """Which counts dwords and is 30h at first. The flag tells nothing of it."""
    assert driver.read(PROT_AREA, 1) == 0x30
    write(driver, 0xBC, 0x1234_5678)
    write(driver, 0xC0, 0x1234_5678)
    assert (read(driver, 0xBC), read(driver, 0xC0)) == (BLANK, 0x1234_5678)
    driver.write(PROT_AREA, 0x2F, 1)
    write(driver, 0xB8, 0x1234_5678)
    write(driver, 0xBC, 0x1234_5678)
    assert (read(driver, 0xB8), read(driver, 0xBC)) == (BLANK, 0x1234_5678)
    driver.write(PROT_AREA, 0x7F, 1)
    write(driver, 0xC0, 0)
    assert read(driver, 0xC0) == 0x1234_5678


@behaviour("PROT_AREA.first_writable", "PCIIDR.device", "CNTRL.reload", chips=SINCE_9054, guest=False)
def the_sdk_opens_the_protected_area_writes_and_closes_it_again(driver: Driver) -> None:
    was = driver.read(PROT_AREA, 1)
    driver.write(PROT_AREA, 0, 1)
    write(driver, 0x00, 0xABCD_10B5)
    driver.write(PROT_AREA, was, 1)
    assert read(driver, 0x00) == 0xABCD_10B5
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5, "only a load makes it the ID"
    rise(driver, RELOAD)
    assert driver.config_read(0x00) == 0xABCD_10B5
    assert driver.read(PROT_AREA, 1) == 0x30


@behaviour("PROT_AREA.first_writable", chips=SINCE_9054, guest=False)
def prot_area_blocks_vpd_and_not_the_wires(driver: Driver) -> None:
    assert driver.read(PROT_AREA, 1) == 0x30
    wires = Wires(driver)
    wires.program(((SPARE, 0x1234),))
    assert wires.read(SPARE) == [0x1234]
    assert read(driver, 2 * SPARE) == 0x1234_FFFF


@behaviour("PVPDAD.address", chips=SINCE_9054, guest=False)
def an_address_means_the_dword_around_it(driver: Driver) -> None:
    """It must be a multiple of 4: the two low bits do not count, and read back as written."""
    write(driver, SPARE_AT, 0x1234_5678)
    for at in (SPARE_AT + 1, SPARE_AT + 2, SPARE_AT + 3):
        assert read(driver, at) == 0x1234_5678
        assert driver.config_read(VPDAD, 2) == FLAG | at


@behaviour("PVPDATA.data", "CNTRL.software_reset", chips=SINCE_9054, guest=False)
def a_software_reset_keeps_the_vpd_registers(driver: Driver) -> None:
    """They are configuration space."""
    write(driver, SPARE_AT, 0x1234_5678)
    rise(driver, RESET)
    assert driver.config_read(VPD) == SPARE_AT << 16 | 0x0003
    assert driver.config_read(VPDATA) == 0x1234_5678
    assert driver.read(PROT_AREA, 1) == 0x30
    driver.write(0x6C, driver.read(0x6C) & 0xF_FFFF | RESET)
    assert driver.read(0x6C) & RESET
    assert read(driver, SPARE_AT) == 0x1234_5678


@behaviour(chips=("9080",), guest=False)
def the_9080_has_no_vpd(driver: Driver) -> None:
    driver.config_write(VPD, 0x8000_0003)
    driver.config_write(VPDATA, 0x1234_5678)
    assert (driver.config_read(VPD), driver.config_read(VPDATA)) == (0, 0)
    assert driver.read(PROT_AREA, 1) == 0
