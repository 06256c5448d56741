# SPDX-License-Identifier: Apache-2.0
"""Mailboxes, CNTRL, identification, the two resets by software (reference sections 3.1 and 3.4, EEPROM wires 7.2)."""

from typing import Final

from tests.behaviour.cases_config import BAR_MASKS, DEVICE, IDLE_STATUS, ONES, block, size_of
from tests.behaviour.driver import PORTS, SINCE_9056, SPACE0, SPACE1, Driver, behaviour

INTCSR: Final = 0x68
CNTRL: Final = 0x6C
RELOAD: Final = 1 << 29
HELD: Final = 1 << 30
STORED: Final = {"9080": 0x0001_767E}
"""What a driver writes back to CNTRL: the bits that are stored, after reset; 000D767Eh where not named."""
SHOWN: Final = {"9080": 0x9003_767E}
"""What CNTRL reads after reset; 100F767Eh where not named."""
NOWHERE: Final = 0xF800_0000


def _stored(driver: Driver) -> int:
    return STORED.get(driver.chip, 0x000D_767E)


# -- mailboxes, identification, pins -----------------------------------------------------------------


@behaviour(*(f"MBOX{number}.value" for number in range(8)))
def mailboxes_are_storage_and_the_first_two_show_at_0x78_as_well(driver: Driver) -> None:
    values = [0x1020_3040 + 0x0101_0101 * number for number in range(8)]
    for number, value in enumerate(values):
        driver.write(0x40 + 4 * number, value)
    assert [driver.read(0x40 + 4 * number) for number in range(8)] == values
    assert [driver.read(0x78), driver.read(0x7C)] == values[:2]
    driver.write(0x78, 0xCAFE_F00D)
    driver.write(0x7D, 0x99, 1)
    assert driver.read(0x40) == 0xCAFE_F00D
    assert driver.read(0x44) == values[1] & ~0xFF00 | 0x9900
    assert [driver.read(0x40 + 4 * number) for number in range(2, 8)] == values[2:]


@behaviour("MBOX0.value", "MBOX7.value", guest=False)
def the_local_side_shares_the_mailboxes(driver: Driver) -> None:
    for number in range(8):
        driver.write(0x40 + 4 * number, 0x1000_0000 + number)
        assert driver.local.read_register(0x40 + 4 * number) == 0x1000_0000 + number
        driver.local.write_register(0x40 + 4 * number, 0x2000_0000 + number)
        assert driver.read(0x40 + 4 * number) == 0x2000_0000 + number
    driver.local.write_register(0x7C, 0xCAFE_F00D)
    assert [driver.read(0x44), driver.local.read_register(0x7C)] == [0xCAFE_F00D] * 2


@behaviour("DMAPADR0.address", "INTCSR.pci_enable", "LAS0BA.enable", guest=False)
def the_local_side_reads_and_writes_the_same_registers(driver: Driver) -> None:
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    driver.local.write_register(0x84, 0x1234_5678)
    assert driver.read(0x84) == 0x1234_5678
    assert driver.local.read_register(INTCSR) == 0x0F01_0100
    driver.local.write_register(INTCSR, 0x0001_0000)
    assert driver.read(INTCSR) == 0x0F01_0000
    base = driver.local.read_register(0x04)
    assert base == driver.memory_at | 1
    driver.local.write_register(0x04, driver.memory_at)
    assert driver.read(0x20, bar=SPACE0) == ONES, "at once"
    driver.local.write_register(0x04, base)
    assert driver.read(0x20, bar=SPACE0) == 0xCAFE_F00D


@behaviour("QSR.i2o_enable", "IQP.message", "OQP.message", "MBOX0.value", "MBOX1.value")
def qsr_0_puts_the_queue_ports_in_the_place_of_two_mailboxes(driver: Driver) -> None:
    driver.write(0x40, 0x1111_1111)
    driver.write(0x44, 0x2222_2222)
    driver.write(0xC0, 0x2)
    driver.write(0xE8, 0x51)
    assert [driver.read(0x40), driver.read(0x44)] == [ONES, ONES], "the unit is off: empty"
    driver.write(0x40, 0x3333_3333)
    driver.write(0x44, 0x4444_4444)
    assert [driver.read(0x78), driver.read(0x7C)] == [0x1111_1111, 0x2222_2222]
    driver.write(0x78, 0x5555_5555)
    driver.write(0xE8, 0x50)
    assert [driver.read(0x40), driver.read(0x44)] == [0x5555_5555, 0x2222_2222]


@behaviour("IQP.message", "OQP.message", "QBAR.base", "IFHPR.entry", "IFTPR.entry", "OPHPR.entry", "OPTPR.entry")
def the_queue_ports_pop_what_local_memory_holds(driver: Driver) -> None:
    """Inbound free from the first of the four parts behind QBAR, outbound post from the third."""
    messages = (0x5555_5555, 0xAAAA_AAAA, 0x0000_0000)
    for place, base in ((0x0, 0x1000), (0x8000, 0x2000)):
        for number, message in enumerate(messages):
            driver.write(place + 4 * number, message ^ base, bar=SPACE0)
    for offset, value in (
        (0xC4, driver.memory_at),
        (0xC0, 0x3),
        (0xCC, 0x0),
        (0xC8, 0xC),
        (0xE4, 0x8000),
        (0xE0, 0x800C),
    ):
        driver.write(offset, value)
    driver.write(0xE8, 0x51)
    for number, message in enumerate(messages):
        assert driver.read(0x40) == message ^ 0x1000
        assert driver.read(0xCC) == driver.memory_at + 4 * number + 4
        assert driver.read(0x44) == message ^ 0x2000
        assert driver.read(0xE4) == driver.memory_at + 0x8000 + 4 * number + 4
    assert [driver.read(0x40), driver.read(0x44)] == [ONES, ONES], "empty"


QUEUE_POINTERS: Final = ("IFHPR", "IFTPR", "IPHPR", "IPTPR", "OFHPR", "OFTPR", "OPHPR", "OPTPR")


@behaviour("QBAR.base", *(f"{name}.base" for name in QUEUE_POINTERS), *(f"{name}.entry" for name in QUEUE_POINTERS))
def queue_pointers_read_qbar_above_their_own_bits(driver: Driver) -> None:
    pointers = tuple(range(0xC8, 0xE8, 4))
    for base, entry in ((0xFFF0_0000, 0x5_5554), (0x5550_0000, 0xF_FFFC), (0xAAA0_0000, 0xA_AAA8), (0, 0)):
        driver.write(0xC4, base)
        for pointer in pointers:
            driver.write(pointer, ~base & 0xFFF0_0000 | entry)
        assert [driver.read(pointer) for pointer in pointers] == [base | entry] * 8


@behaviour("PCIHIDR.id", "PCIHREV.revision")
def the_chip_names_itself_whatever_the_board_is_called(driver: Driver) -> None:
    identity = {"9080": 0x9080_10B5, "9054": 0x9054_10B5, "9656": 0x9656_10B5}.get(driver.chip, 0x9056_10B5)
    revision = {"9080": 0x03, "9054": 0x0C}.get(driver.chip, 0xBA)
    for _ in range(2):
        assert [driver.read(0x70), driver.read(0x74)] == [identity, revision]
        driver.write(0x70, ~identity & ONES)
        driver.write(0x74, ~revision & ONES)


@behaviour("CNTRL.user_out", guest=False)
def cntrl_16_drives_usero(driver: Driver) -> None:
    stored = _stored(driver)
    assert driver.local.usero()
    for _ in range(2):
        driver.write(CNTRL, stored & ~0x1_0000)
        assert not driver.local.usero()
        driver.write(CNTRL + 2, stored >> 16 & 0xFF, 1)
        assert driver.local.usero()


@behaviour("CNTRL.user_in", guest=False)
def cntrl_17_shows_useri_and_cannot_be_written(driver: Driver) -> None:
    shown = SHOWN.get(driver.chip, 0x100F_767E)
    assert driver.read(CNTRL) == shown
    driver.local.drive_useri(False)
    assert driver.read(CNTRL) == shown & ~0x2_0000
    driver.write(CNTRL, _stored(driver) | 0x2_0000)
    assert driver.read(CNTRL) == shown & ~0x2_0000
    driver.local.drive_useri(True)
    driver.write(CNTRL, _stored(driver))
    assert driver.read(CNTRL) == shown


@behaviour(
    *("CNTRL.dma_read_command", "CNTRL.dma_write_command", "CNTRL.master_read_command", "CNTRL.master_write_command"),
    *("CNTRL.user_in_select", "CNTRL.user_out_select", "CNTRL.eeprom_input_enable", "CNTRL.init_done"),
    *("CNTRL.eeprom_present", "CNTRL.user_out"),
    generic=True,
)
def cntrl_stores_what_this_chip_has_of_it(driver: Driver) -> None:
    """Without resets, and with the EEPROM left alone."""
    stored, reserved = {
        "9080": (0x0001_FFFF, 0x9002_0000),
        "9054": (0x000D_FFFF, 0x1002_0000),
    }.get(driver.chip, (0x800D_FFFF, 0x1002_0000))
    for value in (0x9FFF_FFFF & ~0x0F30_0000, 0, 0x8005_5A5A, 0x000A_A5A5, SHOWN.get(driver.chip, 0x100F_767E)):
        driver.write(CNTRL, value)
        assert driver.read(CNTRL) == value & stored | reserved, hex(value)


@behaviour("CNTRL.user_out", "CNTRL.software_reset")
def cntrl_takes_16_bit_writes_of_its_upper_half_through_the_ports(driver: Driver) -> None:
    """As farsync does, at 6Eh."""
    shown, upper = SHOWN.get(driver.chip, 0x100F_767E), _stored(driver) >> 16
    driver.write(0x84, 0x1234_5678)
    driver.write(0x6E, upper & ~1, 2, bar=PORTS)
    assert driver.read(CNTRL) == shown & ~0x1_0000
    driver.write(0x6E, upper | 0x4000, 2, bar=PORTS)
    assert driver.read(CNTRL) == shown | HELD
    assert driver.read(0x84) == 0
    driver.write(0x6E, upper, 2, bar=PORTS)
    assert driver.read(0x6C, 2, bar=PORTS) == 0x767E
    assert driver.read(CNTRL) == shown


# -- software reset ----------------------------------------------------------------------------------


@behaviour("CNTRL.software_reset", "INTCSR.local_enable", "MBOX2.value", "MBOX0.value", "P2LDBELL.bells")
def a_software_reset_keeps_the_runtime_registers(driver: Driver) -> None:
    stored = _stored(driver) & ~0x1_0000 | 0x5
    kept = {0x60: 0x8000_0001, INTCSR: 0x0F1F_1B03, **{0x40 + 4 * n: 0x1111_1111 * (n + 1) for n in range(8)}}
    driver.write(0x60, 0x8000_0001)
    driver.write(INTCSR, 0x000F_1B03)
    for number in range(8):
        driver.write(0x40 + 4 * number, kept[0x40 + 4 * number])
    driver.write(CNTRL, stored)
    shown = driver.read(CNTRL)
    driver.write(CNTRL, stored | HELD)
    assert {offset: driver.read(offset) for offset in kept} == kept
    assert driver.read(CNTRL) == shown | HELD, "held until the host takes it back"
    driver.write(CNTRL, stored)
    assert {offset: driver.read(offset) for offset in kept} == kept
    assert driver.read(CNTRL) == shown


@behaviour("CNTRL.software_reset", "DMAMODE0.chain", "OPQIM.mask", "QSR.i2o_enable", "MQCR.enable")
def a_software_reset_brings_back_local_configuration_dma_and_messaging(driver: Driver) -> None:
    offsets = (*range(0x00, 0x38, 4), *range(0x80, 0xBC, 4), *range(0xC0, 0xEC, 4), *range(0xF0, 0x100, 4))
    before = {offset: driver.read(offset) for offset in offsets}
    for offset in offsets:
        if offset not in (0xA8, 0xE8, 0xC0, 0x30):
            driver.write(offset, before[offset] ^ 0x8001_1018)
    driver.write(0xA8, 0x0101, 2)
    driver.write(0xC0, 0x0C)
    driver.write(0xE8, 0x0F)
    changed = {offset for offset in offsets if driver.read(offset) != before[offset]}
    assert {0x00, 0x04, 0x08, 0x18, 0x34, 0x80, 0x84, 0x9C, 0xA8, 0xB0, 0xC0, 0xC4, 0xE8, 0xF0, 0xF8} <= changed
    driver.write(CNTRL, _stored(driver) | HELD)
    assert {offset: driver.read(offset) for offset in offsets} == before
    power_on = {0x34: 0x8, 0x80: 0x43, 0x84: 0, 0x94: 0x43, 0xB0: 0, 0xC0: 0x2, 0xC4: 0, 0xE8: 0x50}
    assert {offset: before[offset] for offset in power_on} == power_on
    assert before[0xA8] & 0xFFFF == 0x1010
    driver.write(CNTRL, _stored(driver))
    assert {offset: driver.read(offset) for offset in offsets} == before


@behaviour("CNTRL.software_reset", "DMACSR0.done", "DMACSR0.start")
def while_software_reset_is_held_the_registers_answer_and_start_is_ignored(driver: Driver) -> None:
    buffer = driver.buffer(16)
    size = driver.read(0x00)
    driver.write(CNTRL, _stored(driver) | HELD)
    assert [driver.read(0x00), driver.read(0x00, bar=PORTS)] == [size, size]
    block(driver, buffer, 4, to_pci=True)
    assert driver.read(0xA8, 1) == 0x11, "enabled, and not started"
    driver.write(0x50, 0x1234_5678)
    assert driver.read(0x50) == 0x1234_5678
    driver.write(CNTRL, _stored(driver))
    driver.settle()
    assert driver.read(0xA8, 1) == 0x11, "nothing was remembered"
    assert buffer.read(0, 4) == b"\xa5" * 4
    driver.write(0xA8, 3, 1)
    driver.settle()
    assert buffer.read(0, 4) == bytes(4)


@behaviour("CNTRL.software_reset")
def while_software_reset_is_held_the_spaces_read_ones_and_then_the_board_is_new(driver: Driver) -> None:
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    driver.write(CNTRL, _stored(driver) | HELD)
    assert driver.read(0x20, bar=SPACE0) == ONES
    assert driver.read(0x21, 1, bar=SPACE0) == 0xFF
    driver.write(0x24, 0x1234_5678, bar=SPACE0)
    driver.write(CNTRL, _stored(driver))
    assert [driver.read(0x20, bar=SPACE0), driver.read(0x24, bar=SPACE0)] == [0, 0]


@behaviour("CNTRL.software_reset", chips=("9080",))
def while_software_reset_is_held_space_1_reads_ones_as_well(driver: Driver) -> None:
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE1)
    driver.write(CNTRL, _stored(driver) | HELD)
    assert driver.read(0x20, bar=SPACE1) == ONES
    driver.write(CNTRL, _stored(driver))
    assert driver.read(0x20, bar=SPACE1) == 0


@behaviour("CNTRL.software_reset")
def only_the_rise_of_cntrl_30_resets(driver: Driver) -> None:
    driver.write(CNTRL, _stored(driver) | HELD)
    driver.write(0x84, 0x1234_5678)
    driver.write(0x34, 0)
    driver.write(CNTRL, _stored(driver) | HELD)
    assert [driver.read(0x84), driver.read(0x34)] == [0x1234_5678, 0]
    driver.write(CNTRL, _stored(driver))
    assert [driver.read(0x84), driver.read(0x34)] == [0x1234_5678, 0], "the fall only releases LRESETo#"
    driver.write(CNTRL, _stored(driver) | HELD)
    assert [driver.read(0x84), driver.read(0x34)] == [0, 8]


@behaviour("CNTRL.software_reset", "INTCSR.dma0_active", "INTCSR.dma1_active")
def a_software_reset_ends_transfers_and_takes_their_interrupts_back(driver: Driver) -> None:
    buffer = driver.buffer(16)
    block(driver, buffer, 4, to_pci=True, mode=0x2_0443)
    block(driver, NOWHERE, 4, to_pci=True, channel=1)
    driver.write(INTCSR, 0x000D_0100)
    assert driver.inta()
    assert driver.read(0xA8, 2) == 0x0111
    driver.write(CNTRL, _stored(driver) | HELD)
    assert not driver.inta()
    assert driver.read(0xA8, 2) == 0x1010
    assert driver.read(INTCSR) == 0x0B0D_4100, "PCISR has not forgotten the abort"
    driver.write(CNTRL, _stored(driver))
    driver.config_write(0x06, 0x2000, 2)
    assert driver.read(INTCSR) == 0x0F0D_0100
    assert not driver.inta()


@behaviour("CNTRL.software_reset", "OPQIM.mask", "OPQIS.not_empty")
def a_software_reset_takes_the_queues_interrupt_back(driver: Driver) -> None:
    driver.write(0xC0, 0x3)
    driver.write(0xE0, 0x8004)
    driver.write(0xE4, 0x8000)
    driver.write(0x34, 0)
    assert driver.inta()
    driver.write(CNTRL, _stored(driver) | HELD)
    assert not driver.inta()
    assert [driver.read(0x30), driver.read(0x34)] == [0, 8]


@behaviour("CNTRL.software_reset", "INTCSR.doorbell_active", "INTCSR.local_active", "L2PDBELL.bells", guest=False)
def a_software_reset_releases_linti_and_keeps_the_doorbell(driver: Driver) -> None:
    driver.local.drive_linti(True)
    driver.local.write_register(0x64, 0x10)
    driver.write(INTCSR, 0x0001_0900)
    assert driver.inta()
    driver.write(CNTRL, _stored(driver) | HELD)
    assert not driver.inta(), "the board that drove LINTi# is in reset"
    assert driver.read(INTCSR) == 0x0F01_2900
    assert driver.read(0x64) == 0x10
    driver.write(INTCSR, 0x0001_0B00)
    assert driver.inta()


@behaviour("CNTRL.software_reset", "PCISR.received_master_abort", guest=False)
def a_software_reset_keeps_configuration_space(driver: Driver) -> None:
    driver.config_write(0x0C, 0x4010, 2)
    driver.config_write(0x3C, 0x0B, 1)
    driver.config_write(0x10, 0xFE00_0000)
    driver.config_write(0x18, 0xFC00_0000)
    driver.config_write(0x04, 0x0147, 2)
    if driver.chip != "9080":
        driver.config_write(0x44, 0x0100, 2)
        driver.config_write(0x4A, 0x0008, 2)
    block(driver, NOWHERE, 4, to_pci=True)
    before = [driver.config_read(offset) for offset in range(0, 0x54, 4)]
    assert before[1] == (IDLE_STATUS[driver.chip] | 0x2000) << 16 | 0x0147
    assert [before[3], before[4], before[15]] == [0x4010, 0xFE00_0000, 0x010B]
    driver.write(CNTRL, _stored(driver) | HELD)
    assert [driver.config_read(offset) for offset in range(0, 0x54, 4)] == before
    driver.write(CNTRL, _stored(driver))
    assert [driver.config_read(offset) for offset in range(0, 0x54, 4)] == before


@behaviour("CNTRL.software_reset", "LAS0BA.enable", "LAS0RR.mask", guest=False)
def a_software_reset_gives_the_bars_their_size_back(driver: Driver) -> None:
    size = BAR_MASKS[driver.chip][2]
    driver.write(0x00, 0xFFFF_F000)
    driver.write(0x04, 0)
    assert size_of(driver, 0x18) == 0
    driver.write(CNTRL, _stored(driver) | HELD)
    assert size_of(driver, 0x18) == size, "decoding survives"


# -- reload ------------------------------------------------------------------------------------------


@behaviour("CNTRL.reload", "MBOX0.value", "MBOX1.value", "LAS0BA.base", "LAS0BA.enable", "LBRD0.bus_width")
def cntrl_29_rising_loads_what_the_eeprom_holds_and_stays_set(driver: Driver) -> None:
    loaded = (0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C, 0x78, 0x7C, 0xF0, 0xF4, 0xF8)
    loaded = (*loaded, 0x100) if driver.chip in SINCE_9056 else loaded
    before = {offset: driver.read(offset) for offset in loaded}
    known = {0x04: driver.memory_at | 1, 0x18: 0x4243_0043, 0x78: 0, 0x7C: 0}
    assert {offset: before[offset] for offset in known} == known

    def disturb() -> None:
        for offset in loaded:
            driver.write(offset, before[offset] ^ 0x0001_0001)
            assert driver.read(offset) != before[offset], hex(offset)

    disturb()
    driver.write(CNTRL, _stored(driver) | RELOAD)
    assert {offset: driver.read(offset) for offset in loaded} == before
    shown = SHOWN.get(driver.chip, 0x100F_767E)
    assert driver.read(CNTRL) == shown | RELOAD, "not self-clearing"
    driver.write(0x78, 0x1234_5678)
    driver.write(CNTRL, _stored(driver) | RELOAD)
    assert driver.read(0x78) == 0x1234_5678, "it was 1 already"
    driver.write(CNTRL, _stored(driver))
    assert driver.read(0x78) == 0x1234_5678, "nor does the fall load anything"
    assert driver.read(CNTRL) == shown
    driver.write(CNTRL, _stored(driver) | RELOAD)
    assert driver.read(0x78) == 0


@behaviour("CNTRL.reload", "MBOX2.value", "INTCSR.dma0_active", "OPQIM.mask")
def a_reload_leaves_what_the_eeprom_does_not_hold(driver: Driver) -> None:
    block(driver, driver.buffer(16), 4, to_pci=True, mode=0x2_0543)
    driver.write(0x78, 0x1234_5678)
    kept = {0x48: 0x1234_5678, 0x60: 0x10, 0x94: 0x143, 0xB0: 0x7654_3210, 0x34: 0, 0xC4: 0x8000_0000, 0x98: 0x1000}
    for offset, value in kept.items():
        driver.write(offset, value)
    driver.write(INTCSR, 0x0007_0100)
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    assert driver.inta()
    driver.write(CNTRL, _stored(driver) | RELOAD)
    assert driver.read(0x78) == 0, "it was loaded"
    assert driver.read(CNTRL) & RELOAD
    assert {offset: driver.read(offset) for offset in kept} == kept
    assert driver.read(INTCSR) == 0x0F37_0100
    assert [driver.read(0x80), driver.read(0x8C), driver.read(0xA8, 1)] == [0x2_0543, 4, 0x11]
    assert driver.read(0x20, bar=SPACE0) == 0xCAFE_F00D, "the board is not reset"
    assert driver.inta()
    driver.write(0x54, 0x1111_2222)
    assert driver.read(0x54) == 0x1111_2222


@behaviour("CNTRL.reload", "PCICR.memory", guest=False)
def a_reload_overwrites_interrupt_line_hot_swap_and_pmcsr_and_keeps_bars_and_command(driver: Driver) -> None:
    driver.config_write(0x3C, 0x0B, 1)
    driver.config_write(0x10, 0xFE00_0000)
    driver.config_write(0x04, 0x0147, 2)
    driver.config_write(0x0C, 0x4010, 2)
    if driver.chip != "9080":
        driver.config_write(0x44, 0x0100, 2)
        driver.config_write(0x4A, 0x0008, 2)
    driver.write(CNTRL, _stored(driver) | RELOAD)
    assert driver.config_read(0x3C) == 0x0000_0100
    if driver.chip != "9080":
        assert driver.config_read(0x4A, 2) == 0
        assert driver.config_read(0x44, 2) == (0 if driver.chip in SINCE_9056 else 0x0100)
    assert driver.config_read(0x10) == 0xFE00_0000
    assert driver.config_read(0x04, 2) == 0x0147
    assert driver.config_read(0x0C) == 0x4010
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5


# -- the EEPROM's wires ------------------------------------------------------------------------------


def _wires(driver: Driver, *, select: bool = True, clock: bool = False, data: int = 0) -> None:
    listens = 1 << 31 if driver.chip in SINCE_9056 else 0
    driver.write(CNTRL, _stored(driver) | listens | clock << 24 | select << 25 | data << 26)


def _command(driver: Driver, command: int, bits: int) -> None:
    _wires(driver, select=False)
    _wires(driver)
    for at in reversed(range(bits)):
        _wires(driver, data=command >> at & 1)
        _wires(driver, data=command >> at & 1, clock=True)
        _wires(driver, data=command >> at & 1)


def _shift(driver: Driver, bits: int) -> int:
    value = 0
    for _ in range(bits):
        _wires(driver, clock=True, data=1)
        _wires(driver, data=1)
        value = value << 1 | driver.read(CNTRL) >> 27 & 1
    return value


@behaviour(
    *("CNTRL.eeprom_clock", "CNTRL.eeprom_select", "CNTRL.eeprom_data_out", "CNTRL.eeprom_data_in"),
    "CNTRL.eeprom_present",
)
def cntrl_24_to_27_clock_the_eeprom_word_after_word(driver: Driver) -> None:
    """A 93CS46 on the 9080's board takes 9 bits of command, the others' 93CS56 takes 11."""
    read, bits = (0x180, 9) if driver.chip == "9080" else (0x600, 11)
    assert driver.read(CNTRL) & 1 << 28, "there is one"
    for wires in (0b001, 0b100, 0b101, 0b000):
        _wires(driver, select=False, clock=bool(wires & 1), data=wires >> 2)
        assert driver.read(CNTRL) >> 24 & 0b1111 == wires, "what is driven reads back"
    _command(driver, read, bits)
    assert not driver.read(CNTRL) >> 27 & 1, "a 0 comes before the data"
    assert _shift(driver, 32) == DEVICE[driver.chip] << 16 | 0x10B5
    _command(driver, read | 2, bits)
    assert _shift(driver, 16) == 0x0680, "the class"
    _wires(driver, select=False)
    assert not driver.read(CNTRL) >> 27 & 1, "reads 0 unless selected"
    driver.write(CNTRL, _stored(driver))


@behaviour("CNTRL.eeprom_input_enable", "CNTRL.eeprom_data_in", chips=SINCE_9056)
def cntrl_27_reads_0_while_cntrl_31_is_0(driver: Driver) -> None:
    _command(driver, 0x600 | 4, 11)  # MAX_LAT, MIN_GNT: zeros
    assert _shift(driver, 16) == 0
    assert _shift(driver, 8) == 0x01, "the interrupt pin"
    driver.write(CNTRL, _stored(driver) | 1 << 25)
    assert not driver.read(CNTRL) >> 27 & 1
    _wires(driver)
    assert driver.read(CNTRL) >> 27 & 1
    driver.write(CNTRL, _stored(driver))
