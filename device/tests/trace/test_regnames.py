# SPDX-License-Identifier: Apache-2.0
"""What a trace calls the registers that were accessed."""

import pytest

from plx9x5x import events
from plx9x5x.regs import catalog
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.profile import PROFILES
from plx9x5x.trace import regnames
from plx9x5x.trace.regnames import NO_REGISTER, RegisterNames


def named(bar: int, offset: int, width: int, value: int, *, chip: str = "9656") -> str:
    access = events.RegionAccess(0, bar, offset, width, value, is_write=True)
    return RegisterNames(PROFILES[chip]).of(access)


@pytest.mark.parametrize(
    ("offset", "width", "value", "text"),
    [
        (0xA8, 1, 0x13, "DMACSR0=0x13 enable=1 start=1 done=1"),
        (0xA9, 1, 0x10, "DMACSR1=0x10 done=1"),
        (0xB0, 4, 0, "DMATHR=0x0"),
        (0x94, 4, 0x0002_0043, "DMAMODE1=0x20043 local_width=0x3 ready_enable=1 to_inta=1"),
        (0xAC, 4, 0x0028_0000, "MARBR=0x280000 dma_priority=0x1 give_up_bus=1"),
        (0x40, 4, 5, "MBOX0=0x5 value=0x5"),
        (0x90, 4, 0x1234_5679, "DMADPR0=0x12345679 in_pci_memory=1 to_pci=1 next=0x12345670"),
        (0xF4, 4, 0x0004_0001, "LAS1BA=0x40001 enable=1 base=0x40000"),
        (0x78, 4, 5, "MBOX0=0x5 value=0x5"),
    ],
)
def test_a_register_is_named_with_the_fields_that_are_not_0(offset: int, width: int, value: int, text: str) -> None:
    assert named(0, offset, width, value) == named(1, offset, width, value) == text


@pytest.mark.parametrize(
    ("offset", "width", "value", "text"),
    [
        (0x69, 1, 0x09, "INTCSR[15:8]=0x9 pci_enable=1 local_enable=1"),
        (0x8C, 2, 0x2010, "DMASIZ0[15:0]=0x2010 count[15:0]=0x2010"),
        (0x8E, 2, 0x8041, "DMASIZ0[31:16]=0x8041 count[22:16]=0x41 valid=1"),
        (0x8D, 1, 0x20, "DMASIZ0[15:8]=0x20 count[15:8]=0x20"),
        (0x90, 1, 0x18, "DMADPR0[7:0]=0x18 to_pci=1 next[7:4]=0x1"),
        (0x91, 2, 0x0123, "DMADPR0[23:8]=0x123 next[23:8]=0x123"),
    ],
)
def test_a_narrow_access_names_its_bits_and_those_of_a_field_that_is_wider(
    offset: int, width: int, value: int, text: str
) -> None:
    assert named(0, offset, width, value) == text


@pytest.mark.parametrize(
    ("offset", "width", "value", "text"),
    [
        (0xA8, 4, 0x1011, "DMACSR0=0x11 enable=1 done=1, DMACSR1=0x10 done=1"),
        (0xA8, 2, 0x0301, "DMACSR0=0x1 enable=1, DMACSR1=0x3 enable=1 start=1"),
        (0x84, 8, 0x20_0000_1000, "DMAPADR0=0x1000 address=0x1000, DMALADR0=0x20 address=0x20"),
        (0x86, 4, 0x0020_0010, "DMAPADR0[31:16]=0x10 address[31:16]=0x10, DMALADR0[15:0]=0x20 address[15:0]=0x20"),
        (0x0B, 3, 0x05_8000, "MARBR[31:24]=0x0, BIGEND=0x80 dma0=1, LMISC1=0x5 io_bar=1 init_done=1"),
    ],
)
def test_several_registers_at_once_come_lowest_first(offset: int, width: int, value: int, text: str) -> None:
    assert named(0, offset, width, value) == text


def test_configuration_space_has_registers_of_its_own() -> None:
    assert named(-1, 0x04, 2, 7) == "PCICR=0x7 io=1 memory=1 bus_master=1"
    assert named(-1, 0x04, 4, 0x2000_0006) == "PCICR=0x6 memory=1 bus_master=1, PCISR=0x2000 received_master_abort=1"
    assert named(-1, 0x0E, 1, 0) == "PCIHTR=0x0"


def test_it_is_the_chip_that_says_what_is_there() -> None:
    assert named(0, 0x104, 4, 0) == "PABTADR=0x0"
    assert named(0, 0x104, 4, 0, chip="9080") == NO_REGISTER
    assert named(-1, 0x44, 2, 3, chip="9080") == NO_REGISTER
    assert named(0, 0x80, 4, 1 << 20) == "DMAMODE0=0x100000 valid_mode=1"
    assert named(0, 0x80, 4, 1 << 20, chip="9054") == "DMAMODE0=0x100000 unknown=0x100000"
    assert named(0, 0xA9, 1, 0xE1) == "DMACSR1=0xe1 enable=1 unknown=0xe0"
    assert named(0, 0x83, 1, 0x80) == "DMAMODE0[31:24]=0x80 unknown=0x80000000"


@pytest.mark.parametrize("chip", PROFILES)
def test_every_register_of_every_chip_has_its_name(chip: str) -> None:
    for listed in catalog.on(PROFILES[chip]):
        if listed.register.shadow:
            continue
        bar = -1 if listed.space is Space.CONFIG else 0
        text = named(bar, listed.register.offset, listed.register.width // 8, 0, chip=chip)
        assert text == f"{listed.name}=0x0"


def test_what_is_kept_is_bounded_and_is_kept() -> None:
    names = RegisterNames(PROFILES["9656"])
    for value in range(2 * regnames.CACHED):
        for _ in range(2):
            names.of(events.RegionAccess(value, 0, 0x84, 4, value, is_write=True))
    kept = names.text.cache_info()
    assert (kept.currsize, kept.hits) == (regnames.CACHED, 2 * regnames.CACHED)
