# SPDX-License-Identifier: Apache-2.0
"""Configuration space (reference section 1): IDs, command and status, BARs, capabilities, power states.

Nearly all of it needs the chip's own configuration space, which QEMU hides from a guest.

Long, because the header's storage and its effects are proved from one table of its registers.
"""

from typing import Final

from plx9x5x.regs.config import CONFIG_REGISTERS
from plx9x5x.regs.kernel import Register
from tests.behaviour.driver import (
    PORTS,
    SINCE_9054,
    SINCE_9056,
    SPACE0,
    SPACE1,
    CommonBuffer,
    Driver,
    behaviour,
)

ONES: Final = 0xFFFF_FFFF
CNTRL: Final = 0x6C
RELOAD: Final = 1 << 29
IDLE_STATUS: Final = {"9080": 0x0280, "9054": 0x0290, "9056": 0x02B0, "9656": 0x02B0, "8311": 0x02B0}
DEVICE: Final = {"9080": 0x0401, "9054": 0x5406, "9056": 0x5601, "9656": 0x9601, "8311": 0x86E1}
SUBSYSTEM: Final = {"9080": 0x9080, "9054": 0x9054, "9056": 0x9056, "9656": 0x9656, "8311": 0x8311}
REVISION: Final = {"9080": 0x03, "9054": 0x0B, "9056": 0xBA, "9656": 0xBA, "8311": 0xBA}
POWER_CAPABILITIES: Final = {"9054": 0x4801, "9056": 0x4802, "9656": 0x4802, "8311": 0x4802}
BAR_MASKS: Final = {
    "9080": (0xFFFF_FF00, 0xFFFF_FF01, 0xFF00_0000, 0xFFF8_0000),
    "9054": (0xFFFF_FF00, 0xFFFF_FF01, 0xFFFE_0000, 0),
    "9056": (0xFFFF_FE00, 0xFFFF_FF01, 0xFFFE_0000, 0),
    "9656": (0xFFFF_FE00, 0xFFFF_FF01, 0xFFFE_0000, 0),
    "8311": (0xFFFF_FE00, 0xFFFF_FF01, 0xFFFE_0000, 0),
}
"""What BAR0 to BAR3 read after a write of ones: 256 or 512 bytes, 256 ports, the board's memories."""

PATTERNS: Final = (
    ONES, 0, 0x5555_5555, 0xAAAA_AAAA, 0x3333_3333, 0xCCCC_CCCC, 0x0F0F_0F0F, 0xF0F0_F0F0, 0x00FF_00FF, 0xFF00_FF00,
    0x0000_FFFF, 0xFFFF_0000, 0,
)  # fmt: skip
"""Any two bits of a dword differ in some of them, both ways round."""


def claims(*registers: type[Register], but: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Every field of the registers, by name; the values that a case compares with are its own."""
    names = (f"{register.__name__}.{field.name}" for register in registers for field in register.fields)
    return tuple(name for name in names if name not in but)


def block(
    driver: Driver, buffer: CommonBuffer | int, length: int, *, to_pci: bool, channel: int = 0, mode: int = 0x43
) -> None:
    """Run a block transfer between the buffer, or a bus address, and the start of local memory."""
    first = (0x80, 0x94)[channel]
    driver.write(first, mode)
    driver.write(first + 0x4, buffer if isinstance(buffer, int) else buffer.bus)
    driver.write(first + 0x8, driver.memory_at)
    driver.write(first + 0xC, length)
    driver.write(first + 0x10, 8 if to_pci else 0)
    driver.write(0xA8 + channel, 3, 1)
    driver.settle()


def size_of(driver: Driver, offset: int) -> int:
    """What a base address register reads after a write of ones."""
    driver.config_write(offset, ONES)
    return driver.config_read(offset)


# -- identity ----------------------------------------------------------------------------------------


@behaviour(
    *("PCIIDR.vendor", "PCIIDR.device", "PCISVID.vendor", "PCISID.device", "PCIREV.revision"),
    *("PCICCR_INTERFACE.interface", "PCICCR.sub_class", "PCICCR.base_class"),
    guest=False,
)
def ids_class_and_revision_are_the_boards(driver: Driver) -> None:
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5
    assert driver.config_read(0x08) == 0x06_8000 << 8 | REVISION[driver.chip]
    assert driver.config_read(0x2C) == SUBSYSTEM[driver.chip] << 16 | 0x10B5
    for offset in (0x00, 0x08, 0x2C):
        before = driver.config_read(offset)
        driver.config_write(offset, ~before & ONES)
        assert driver.config_read(offset) == before, "read-only"


@behaviour("MARBR.subsystem_ids", "PCISVID.vendor", "PCISID.device", "PCIIDR.vendor", "PCIIDR.device", guest=False)
def marbr_29_shows_the_subsystem_ids_in_dword_0(driver: Driver) -> None:
    before = driver.read(0x08)
    driver.write(0x08, before | 1 << 29)
    assert driver.config_read(0x00) == SUBSYSTEM[driver.chip] << 16 | 0x10B5
    assert driver.config_read(0x02, 2) == SUBSYSTEM[driver.chip]
    driver.write(0x08, before & ~(1 << 29))
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5


@behaviour(
    *("PCISR.capabilities", "CAP_PTR.pointer", "PMCAPID.id", "PMNEXT.next", "HS_CNTL.id", "HS_NEXT.next"),
    *("PVPDCNTL.id", "PVPD_NEXT.next", *claims(*(r for r in CONFIG_REGISTERS if r.__name__ == "PMC"))),
    chips=SINCE_9054,
    guest=False,
)
def the_capability_list_is_power_management_hot_swap_and_vpd(driver: Driver) -> None:
    assert driver.config_read(0x06, 2) & 0x10
    found, at = [], driver.config_read(0x34, 1)
    while at and len(found) < 8:
        found.append((at, driver.config_read(at, 1)))
        at = driver.config_read(at + 1, 1)
    assert found == [(0x40, 0x01), (0x48, 0x06), (0x4C, 0x03)]
    assert driver.config_read(0x42, 2) == POWER_CAPABILITIES[driver.chip]


@behaviour("PCISR.capabilities", chips=("9080",), guest=False)
def the_9080_has_no_capability_list(driver: Driver) -> None:
    assert not driver.config_read(0x06, 2) & 0x10
    assert driver.config_read(0x34) == 0
    for offset in range(0x40, 0x54, 4):
        driver.config_write(offset, ONES)
        assert driver.config_read(offset) == 0, hex(offset)
    assert driver.config_read(0x00) == DEVICE["9080"] << 16 | 0x10B5, "nor power states: it is awake"
    assert driver.read(0x70) == 0x9080_10B5


@behaviour(guest=False)
def configuration_offsets_without_a_register_read_0_and_take_nothing(driver: Driver) -> None:
    for offset in (0x20, 0x24, 0x28, 0x38, *range(0x54, 0x100, 4)):
        driver.config_write(offset, ONES)
        assert driver.config_read(offset) == 0, hex(offset)
    driver.config_write(0x35, 0xFF_FFFF, 2)
    assert driver.config_read(0x34) == (0 if driver.chip == "9080" else 0x40)
    assert driver.config_read(0x06, 2) == IDLE_STATUS[driver.chip]


# -- command and status ------------------------------------------------------------------------------


@behaviour("PCICR.memory", guest=False)
def memory_windows_decode_only_while_memory_is_enabled(driver: Driver) -> None:
    driver.write(0x50, 0x1234_5678)
    driver.write(0x10, 0x0BAD_CAFE, bar=SPACE0)
    driver.config_write(0x04, 0x5, 2)
    assert [driver.read(0x50), driver.read(0x10, bar=SPACE0)] == [ONES, ONES]
    assert driver.read(0x50, 1) == 0xFF
    driver.write(0x50, 0)
    driver.write(0x10, 0, bar=SPACE0)
    assert driver.read(0x50, bar=PORTS) == 0x1234_5678, "the ports go by their own bit"
    driver.config_write(0x04, 0x7, 2)
    assert [driver.read(0x50), driver.read(0x10, bar=SPACE0)] == [0x1234_5678, 0x0BAD_CAFE]


@behaviour("PCICR.io", guest=False)
def the_ports_decode_only_while_io_is_enabled(driver: Driver) -> None:
    driver.write(0x50, 0x1234_5678)
    driver.config_write(0x04, 0x6, 2)
    assert driver.read(0x50, bar=PORTS) == ONES
    driver.write(0x50, 0, bar=PORTS)
    assert driver.read(0x50) == 0x1234_5678, "the memory window goes by its own bit"
    driver.config_write(0x04, 0x7, 2)
    assert driver.read(0x50, bar=PORTS) == 0x1234_5678


@behaviour("PCICR.bus_master", guest=False)
def a_transfer_held_by_bus_mastering_changes_no_status_and_can_be_aborted(driver: Driver) -> None:
    buffer = driver.buffer(16)
    driver.config_write(0x04, 0x3, 2)
    block(driver, buffer, 8, to_pci=True)
    assert driver.read(0xA8, 1) == 0x01
    assert driver.config_read(0x06, 2) == IDLE_STATUS[driver.chip]
    assert driver.read(0x68) == 0x0F01_0100
    driver.write(0xA8, 0x04, 1)
    driver.settle()
    assert driver.read(0xA8, 1) == 0x10
    driver.config_write(0x04, 0x7, 2)
    driver.settle()
    assert buffer.read(0, 8) == b"\xa5" * 8


@behaviour(
    *("PCISR.capabilities", "PCISR.mhz66", "PCISR.user_definable", "PCISR.fast_back_to_back", "PCISR.devsel"),
    guest=False,
)
def the_idle_status_tells_what_the_chip_can_do_and_keeps_to_it(driver: Driver) -> None:
    assert driver.config_read(0x06, 2) == IDLE_STATUS[driver.chip]
    driver.config_write(0x06, 0xFFFF, 2)
    assert driver.config_read(0x06, 2) == IDLE_STATUS[driver.chip]
    driver.config_write(0x04, 0xFFFF_0007)
    assert driver.config_read(0x04) == IDLE_STATUS[driver.chip] << 16 | 7


@behaviour(
    *("PCISR.parity_error", "PCISR.master_parity_error", "PCICR.parity_response", "DMACSR0.done"),
    guest=False,
)
def bad_parity_is_noted_for_the_bus_and_if_asked_for_as_masters_and_the_transfer_goes_on(driver: Driver) -> None:
    idle = IDLE_STATUS[driver.chip]
    buffer = driver.buffer(16)
    buffer.write(0, bytes(range(1, 17)))
    driver.local.bad_parity(buffer.bus, 16)
    block(driver, buffer, 8, to_pci=False)
    assert driver.read(0xA8, 1) == 0x11
    assert driver.read(4, bar=SPACE0) == 0x0807_0605
    assert driver.config_read(0x06, 2) == idle | 0x8000
    driver.config_write(0x06, 0x7FFF, 2)
    assert driver.config_read(0x06, 2) == idle | 0x8000, "only its own bit clears it"
    driver.config_write(0x06, 0x8000, 2)
    assert driver.config_read(0x06, 2) == idle

    driver.config_write(0x04, 0x47, 2)
    block(driver, buffer, 16, to_pci=False)
    assert driver.read(0xA8, 1) == 0x11
    assert driver.read(12, bar=SPACE0) == 0x100F_0E0D
    assert driver.config_read(0x06, 2) == idle | 0x8100
    driver.config_write(0x06, 0x8000, 2)
    assert driver.config_read(0x06, 2) == idle | 0x0100
    driver.config_write(0x06, 0x0100, 2)
    assert driver.config_read(0x06, 2) == idle


@behaviour("PCISR.parity_error", "PCISR.master_parity_error", guest=False)
def only_data_that_the_chip_reads_has_parity_to_check(driver: Driver) -> None:
    good, bad = driver.buffer(16), driver.buffer(16)
    driver.local.bad_parity(bad.bus, 16)
    driver.config_write(0x04, 0x47, 2)
    block(driver, good, 16, to_pci=False)
    block(driver, bad, 16, to_pci=True)
    assert driver.config_read(0x06, 2) == IDLE_STATUS[driver.chip]


@behaviour("PCICR.serr", "PCISR.signaled_serr", "INTCSR.serr", guest=False)
def intcsr_2_rising_signals_serr_if_the_command_register_lets_it(driver: Driver) -> None:
    idle, quiet, serr = IDLE_STATUS[driver.chip], 0x0001_0100, 0x0001_0104
    driver.write(0x68, serr)
    assert driver.read(0x68) == 0x0F01_0104
    assert driver.config_read(0x06, 2) == idle, "SERR# is not enabled"
    driver.config_write(0x04, 0x107, 2)
    driver.write(0x68, serr)
    assert driver.config_read(0x06, 2) == idle, "it was 1 already"
    driver.write(0x68, quiet)
    driver.write(0x68, serr)
    assert driver.config_read(0x06, 2) == idle | 0x4000
    driver.write(0x68, quiet)
    assert driver.config_read(0x06, 2) == idle | 0x4000, "clearing the bit takes nothing back"
    driver.config_write(0x06, 0x4000, 2)
    assert driver.config_read(0x06, 2) == idle
    driver.write(0x68, serr)
    assert driver.config_read(0x06, 2) == idle | 0x4000


@behaviour("PCIBISTR.code", "PCIBISTR.start", "PCIBISTR.supported", "INTCSR.bist_active", guest=False)
def a_self_test_is_asked_for_by_the_host_and_ended_by_the_local_side(driver: Driver) -> None:
    assert driver.config_read(0x0F, 1) == 0
    driver.local.finish_self_test(0)
    assert driver.config_read(0x0F, 1) == 0x80
    driver.config_write(0x0F, 0x40, 1)
    assert driver.config_read(0x0F, 1) == 0xC0, "bit 7 is the local side's"
    assert driver.read(0x68) == 0x0F81_0100
    driver.local.finish_self_test(0xA)
    assert driver.config_read(0x0F, 1) == 0x8A
    assert driver.read(0x68) == 0x0F01_0100
    driver.config_write(0x0F, 0x4F, 1)
    assert driver.config_read(0x0F, 1) == 0xCA, "so is the code"
    assert driver.read(0x68) == 0x0F81_0100
    driver.config_write(0x0F, 0x00, 1)
    assert driver.config_read(0x0F, 1) == 0x8A
    assert driver.read(0x68) == 0x0F01_0100, "writing bit 6 as 0 clears the interrupt as well"
    driver.local.finish_self_test(0x5, supported=False)
    assert driver.config_read(0x0F, 1) == 0x05


# -- base address registers --------------------------------------------------------------------------


@behaviour("PCIBAR0.base", "PCIBAR1.base", "PCIBAR2.base", "PCIBAR3.base", guest=False)
def ones_written_to_a_bar_read_back_as_its_size_and_type(driver: Driver) -> None:
    for number, mask in enumerate(BAR_MASKS[driver.chip]):
        assert size_of(driver, 0x10 + 4 * number) == mask, f"BAR{number}"
    for offset in (0x20, 0x24, 0x30):
        assert size_of(driver, offset) == 0, hex(offset)


@behaviour("PCIBAR0.base", "PCIBAR1.base", "PCIBAR2.base", "PCIBAR3.base", guest=False)
def a_bar_keeps_the_address_bits_above_its_size(driver: Driver) -> None:
    for number, mask in enumerate(BAR_MASKS[driver.chip]):
        kind = mask & 0xF
        for pattern in PATTERNS:
            driver.config_write(0x10 + 4 * number, pattern)
            assert driver.config_read(0x10 + 4 * number) == pattern & mask & ~0xF | kind, f"BAR{number} {pattern:#x}"


@behaviour(
    *("LAS0RR.io", "LAS0RR.memory_type", "LAS0RR.prefetchable", "LAS0RR.mask", "LAS0BA.enable", "PCIBAR2.base"),
    *("LAS1RR.io", "LAS1RR.memory_type", "LAS1RR.prefetchable", "LAS1RR.mask", "LAS1BA.enable", "PCIBAR3.base"),
    guest=False,
)
def range_registers_give_the_bars_of_the_spaces_their_size_and_type(driver: Driver) -> None:
    for bar, size, base in ((0x18, 0x00, 0x04), (0x1C, 0xF0, 0xF4)):
        driver.write(base, 1)
        for value, mask in (
            (0xFFF0_0000, 0xFFF0_0000),
            (0xFFFF_F000, 0xFFFF_F000),
            (0xFFFF_F00A, 0xFFFF_F00A),
            (0xFFFF_FFF4, 0xFFFF_FFF4),
            (0xFFFF_FFF0, 0xFFFF_FFF0),
            (0x8000_0008, 0x8000_0008),
            (0xFFFF_FF01, 0xFFFF_FF01),
            (0xFFFF_FFFD, 0xFFFF_FFFD),
        ):
            driver.write(size, value)
            assert driver.read(size) == value
            assert size_of(driver, bar) == mask, hex(value)
        driver.write(base, 0)
        assert size_of(driver, bar) == 0, "the space is off"


@behaviour("LMISC1.io_bar", "LMISC1.shift", chips=SINCE_9054, guest=False)
def lmisc1_drops_the_io_bar_and_can_move_the_spaces_down(driver: Driver) -> None:
    memory, ports, space0, _ = BAR_MASKS[driver.chip]
    driver.write(0xF0, 0xFFFF_F008)
    driver.write(0xF4, driver.memory_at | 1)
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    space1 = 0xFFFF_F008
    for bits, bars in (
        (0x01, (memory, ports, space0, space1)),
        (0x00, (memory, 0, space0, space1)),
        (0x02, (memory, space0, space1, 0)),
        (0x03, (memory, ports, space0, space1)),
    ):
        driver.write(0x0D, bits, 1)
        assert tuple(size_of(driver, 0x10 + 4 * number) for number in range(4)) == bars, bits
    driver.write(0x0D, 0x02, 1)
    assert driver.read(0x20, bar=1) == 0xCAFE_F00D, "space 0 answers in BAR1"
    assert driver.read(0x20, bar=2) == 0xCAFE_F00D, "space 1 in BAR2"
    assert driver.read(0x20, bar=3) == ONES
    assert driver.read(0x70) != ONES, "BAR0 stays"


@behaviour("QSR.i2o_enable", guest=False)
def the_queue_ports_mode_moves_space_1_from_bar3_to_bar0(driver: Driver) -> None:
    memory = BAR_MASKS[driver.chip][0]
    driver.write(0xF0, 0xFFFF_0000)
    driver.write(0xF4, driver.memory_at | 1)
    driver.write(0x8000, 0xCAFE_F00D, bar=SPACE0)
    assert driver.read(0x8000, bar=SPACE1) == 0xCAFE_F00D
    driver.write(0xE8, 0x51)
    assert size_of(driver, 0x10) == 0xFFFF_0000
    assert size_of(driver, 0x1C) == 0
    assert driver.read(0x8000, bar=SPACE1) == ONES
    assert driver.read(0x8000) == 0xCAFE_F00D
    driver.write(0xE8, 0x50)
    assert size_of(driver, 0x10) == memory
    assert size_of(driver, 0x1C) == 0xFFFF_0000


@behaviour("EROMRR.mask", "PCIERBAR.base", "PCIERBAR.enable", guest=False)
def the_rom_bar_exists_while_its_range_is_programmed(driver: Driver) -> None:
    for size, mask in ((0, 0), (0xFFFF_0001, 0xFFFF_0001), (0xFFFF_F801, 0xFFFF_F801), (0xFF00_0000, 0xFF00_0001)):
        driver.write(0x10, size)
        for pattern in PATTERNS:
            driver.config_write(0x30, pattern)
            assert driver.config_read(0x30) == pattern & mask, f"{size:#x} {pattern:#x}"


# -- power management and hot swap -------------------------------------------------------------------


@behaviour("PMCSR.pme_status", chips=SINCE_9054, guest=False)
def a_power_management_event_stays_in_pmcsr_until_written_as_1(driver: Driver) -> None:
    driver.config_write(0x44, 0x1F00, 2)
    assert driver.config_read(0x44) == 0x1F00
    driver.local.wake_host()
    assert driver.config_read(0x44) == 0x9F00
    driver.config_write(0x44, 0x0000, 2)
    assert driver.config_read(0x44) == 0x8000
    driver.config_write(0x44, 0x8100, 2)
    assert driver.config_read(0x44) == 0x0100
    driver.config_write(0x44, 0x8000, 2)
    assert driver.config_read(0x44) == 0x0000, "writing 1 never sets it"


@behaviour("PMCSR.power_state", "INTCSR.pci_enable", chips=SINCE_9054, guest=False)
def in_d3hot_windows_read_ones_and_take_nothing_and_inta_is_released(driver: Driver) -> None:
    driver.write(0x50, 0x1234_5678)
    driver.write(0x10, 0x0BAD_CAFE, bar=SPACE0)
    driver.local.write_register(0x64, 1)
    driver.write(0x68, 0x0001_0300)
    assert driver.inta()
    driver.config_write(0x44, 3, 2)
    assert driver.config_read(0x44, 2) == 3
    assert not driver.inta()
    assert [driver.read(0x50), driver.read(0x50, bar=PORTS), driver.read(0x10, bar=SPACE0)] == [ONES] * 3
    driver.write(0x50, 0)
    driver.write(0x50, 0, bar=PORTS)
    driver.write(0x10, 0, bar=SPACE0)
    assert driver.local.read_register(0x50) == 0x1234_5678
    assert driver.local.read_memory(driver.memory_at + 0x10, 4) == b"\xfe\xca\xad\x0b"
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5, "configuration space stays"
    driver.config_write(0x3C, 0x5A, 1)
    assert driver.config_read(0x3C, 1) == 0x5A


@behaviour("PMCSR.power_state", chips=SINCE_9054, guest=False)
def in_d3hot_a_transfer_is_held(driver: Driver) -> None:
    buffer = driver.buffer(16)
    driver.config_write(0x04, 0x3, 2)
    block(driver, buffer, 8, to_pci=True)
    driver.config_write(0x44, 3, 2)
    driver.config_write(0x04, 0x7, 2)
    driver.settle()
    assert buffer.read(0, 8) == b"\xa5" * 8
    assert driver.local.read_register(0xA8) & 0xFF == 0x01


@behaviour("PMCSR.power_state", "PCICR.memory", "MBOX2.value", chips=SINCE_9054, guest=False)
def d3hot_to_d0_is_a_power_on_reset_with_the_eeprom_load(driver: Driver) -> None:
    intact = {offset: driver.read(offset) for offset in (0x00, 0x04, 0x0C, 0x18, 0x68, 0x6C, 0x80, 0xA8, 0xE8)}
    for offset in (0x04, 0x18, 0x48, 0x60, 0x84):
        driver.write(offset, 0x7FFF_FFFD)
    driver.write(0x68, 0x0001_0F08)
    driver.write(0x10, 0x0BAD_CAFE, bar=SPACE0)
    driver.config_write(0x0D, 0x40, 1)
    driver.config_write(0x10, 0xFE00_0000)
    driver.config_write(0x44, 0x0103, 2)
    driver.config_write(0x44, 0x0000, 2)
    assert driver.config_read(0x44, 2) == 0
    assert driver.config_read(0x04, 2) == 0, "nothing decodes and nothing masters"
    assert [driver.config_read(0x0D, 1), driver.config_read(0x10)] == [0, 0]
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5
    assert driver.read(0x68) == ONES
    driver.config_write(0x04, 0x7, 2)
    assert {offset: driver.read(offset) for offset in intact} == intact
    assert [driver.read(offset) for offset in (0x48, 0x60, 0x84)] == [0, 0, 0]
    assert driver.read(0x10, bar=SPACE0) == 0, "the board is new as well"


@behaviour("INTCSR.pm_active", "INTCSR.pm_enable", "PMCSR.power_state", chips=SINCE_9054, guest=False)
def a_change_of_the_power_state_interrupts_the_local_side(driver: Driver) -> None:
    driver.write(0x68, 0x0001_0110)
    assert not driver.local.linto()
    driver.config_write(0x44, 0x0100, 2)
    assert driver.read(0x68) == 0x0F01_0110, "PME# enable is no power state"
    driver.config_write(0x44, 0x0001, 2)
    assert driver.read(0x68) == 0x0F01_0130
    assert driver.local.linto()
    assert not driver.inta()
    driver.write(0x68, 0x0001_0100)
    assert driver.read(0x68) == 0x0F01_0120, "writing 0 leaves it"
    assert not driver.local.linto(), "bit 4 lets it out"
    driver.write(0x68, 0x0001_0130)
    assert driver.read(0x68) == 0x0F01_0110
    assert not driver.local.linto()
    driver.config_write(0x44, 0x0003, 2)
    assert driver.local.read_register(0x68) == 0x0F01_0130
    assert driver.local.linto(), "D3hot does not silence the local side"


@behaviour(
    "HS_CSR.enum_mask", "HS_CSR.led", "HS_CSR.programming_interface", chips=SINCE_9054, guest=False, generic=True
)
def the_hot_swap_register_stores_mask_and_led_alone(driver: Driver) -> None:
    for written, read in ((0xFFFF, 0x000A), (0x0002, 0x0002), (0x0008, 0x0008), (0x0000, 0x0000)):
        driver.config_write(0x4A, written, 2)
        assert driver.config_read(0x48) == read << 16 | 0x4C06


# -- the EEPROM's part in it, through VPD ------------------------------------------------------------


def _program(driver: Driver, at: int, value: int) -> None:
    """Write a dword of the EEPROM: data, then the address with F set, which falls when it is done."""
    driver.config_write(0x50, value)
    driver.config_write(0x4C, 0x8000_0003 | at << 16)
    assert driver.config_read(0x4E, 2) == at


def _reload(driver: Driver) -> None:
    driver.write(CNTRL, 0x000D_767E | RELOAD)
    driver.write(CNTRL, 0x000D_767E)


@behaviour(
    "PVPDAD.address", "PVPDAD.flag", "PVPDATA.data", "PVPDCNTL.id", "PVPD_NEXT.next", chips=SINCE_9054, guest=False
)
def vpd_reads_and_writes_dwords_of_the_eeprom(driver: Driver) -> None:
    assert driver.config_read(0x4C) == 0x0000_0003
    for at, value in ((0x00, DEVICE[driver.chip] << 16 | 0x10B5), (0x44, SUBSYSTEM[driver.chip] << 16 | 0x10B5)):
        driver.config_write(0x4C, at << 16 | 0x03)
        assert driver.config_read(0x4C) == 0x8000_0003 | at << 16, "F tells that the data is there"
        assert driver.config_read(0x50) == value
    for value in (0x5A5A_C3C3, 0xA5A5_3C3C):
        _program(driver, 0xC8, value)
        driver.config_write(0x50, 0)
        driver.config_write(0x4E, 0xC8, 2)
        assert driver.config_read(0x4E, 2) == 0x80C8
        assert driver.config_read(0x50) == value


@behaviour("PROT_AREA.first_writable", chips=SINCE_9054, guest=False)
def vpd_writes_nothing_below_the_protected_area(driver: Driver) -> None:
    for first in (0x01, 0x02, 0x04, 0x08, 0x10, 0x18):
        driver.write(0x0E, first, 1)
        for dword in (first - 1, first):
            at = 4 * dword
            driver.config_write(0x4E, at, 2)
            before = driver.config_read(0x50)
            _program(driver, at, before ^ 0x0101_0101)
            driver.config_write(0x4E, at, 2)
            after = before ^ 0x0101_0101 if dword >= first else before
            assert driver.config_read(0x50) == after, f"dword {dword:#x}, protected below {first:#x}"


@behaviour(
    *("PCIIDR.vendor", "PCIIDR.device", "PCIREV.revision", "PCICCR_INTERFACE.interface", "PCICCR.sub_class"),
    *("PCICCR.base_class", "PCIIPR.pin", "PCIMGR.quarter_microseconds", "PCIMLR.quarter_microseconds"),
    *("PCISVID.vendor", "PCISID.device", "HS_CSR.removal", "HS_CSR.insertion", "HS_CSR.programming_interface"),
    "CNTRL.reload",
    chips=SINCE_9054,
    guest=False,
)
def what_the_eeprom_holds_of_the_header_and_hot_swap_shows_after_a_reload(driver: Driver) -> None:
    for word in (0x5A5A_5A5A, 0xA5A5_A5A5, 0x00FF_F0F0, 0xFF00_0F0F):
        driver.write(0x0E, 0, 1)  # no area is protected, until the reload
        swap = word & 0x00FA_0000 | 0x4C06
        for at, value in ((0x00, word), (0x04, word), (0x08, word), (0x44, word), (0x54, swap)):
            _program(driver, at, value)
        assert driver.read(CNTRL) & RELOAD == 0
        _reload(driver)
        for offset, value in ((0x00, word), (0x08, word), (0x3C, word), (0x2C, word), (0x48, swap)):
            assert driver.config_read(offset) == value, hex(offset)
        driver.config_write(0x4A, 0x0000, 2)
        assert driver.config_read(0x4A, 2) == swap >> 16 & 0xF0, "removal and insertion stay"
        driver.config_write(0x4A, 0x0040, 2)
        assert driver.config_read(0x4A, 2) == swap >> 16 & 0xB0
        driver.config_write(0x4A, 0x0080, 2)
        assert driver.config_read(0x4A, 2) == swap >> 16 & 0x30, "each went by a 1 of its own"


@behaviour(
    *claims(*(r for r in CONFIG_REGISTERS if r.__name__ == "PMC")),
    "PMCSR.data_scale",
    chips=SINCE_9056,
    guest=False,
)
def what_the_eeprom_holds_of_power_management_shows_after_a_reload(driver: Driver) -> None:
    for capabilities, status in ((0xFFEF, 0x7F00), (0x0000, 0x0000), (0x554A, 0x2A00), (0xAAA5, 0x5500)):
        driver.write(0x0E, 0, 1)  # no area is protected, until the reload
        _program(driver, 0x5C, capabilities << 16 | 0x4801)
        _program(driver, 0x60, status)
        _reload(driver)
        assert driver.config_read(0x40) == capabilities << 16 | 0x4801
        assert driver.config_read(0x44, 2) == status
        driver.config_write(0x40, ~(capabilities << 16) & ONES)
        driver.config_write(0x44, 0x6000, 2)
        assert driver.config_read(0x40) == capabilities << 16 | 0x4801, "read-only"
        assert driver.config_read(0x44, 2) == status & 0x6000, "the scale is read-only"


# -- all of it ---------------------------------------------------------------------------------------


def header(chip: str) -> dict[int, tuple[int, int]]:
    """Configuration space as the board's EEPROM leaves it: width and value of each register by offset."""
    table = {
        0x00: (4, DEVICE[chip] << 16 | 0x10B5),
        0x04: (2, 0x0007),  # the driver's probe
        0x06: (2, IDLE_STATUS[chip]),
        0x08: (4, 0x0680_0000 | REVISION[chip]),
        **dict.fromkeys((0x0C, 0x0D, 0x0E, 0x0F), (1, 0)),
        **dict.fromkeys((0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x30), (4, 0)),
        0x14: (4, 0x0000_0001),
        0x2C: (4, SUBSYSTEM[chip] << 16 | 0x10B5),
        0x34: (4, 0 if chip == "9080" else 0x40),
        0x38: (4, 0),
        0x3C: (4, 0x0000_0100),
    }
    if chip != "9080":
        table |= {
            0x40: (4, POWER_CAPABILITIES[chip] << 16 | 0x4801),
            0x44: (4, 0),
            0x48: (4, 0x0000_4C06),
            0x4C: (4, 0x0000_0003),
            0x50: (4, 0),
        }
    return table


@behaviour(*claims(*CONFIG_REGISTERS), guest=False, generic=True)
def each_register_of_configuration_space_shows_its_reset_value(driver: Driver) -> None:
    for offset, (width, value) in header(driver.chip).items():
        assert driver.config_read(offset, width) == value, hex(offset)


STORING: Final = {
    0x04: (2, 0x0357),
    0x0C: (1, 0xFF),
    0x0D: (1, 0xFF),
    0x3C: (1, 0xFF),
}
STORING_SINCE_9054: Final = {
    0x4A: (2, 0x000A),
    0x50: (4, ONES),
}
"""Width and the bits that store what is written, by offset; BARs, PMCSR and PVPDAD have rules of their own."""


@behaviour(
    *claims(*(r for r in CONFIG_REGISTERS if r.__name__ in ("PCICR", "PCICLSR", "PCILTR", "PCIILR"))),
    *("HS_CSR.enum_mask", "HS_CSR.led", "PVPDATA.data", "PMCSR.pme_enable", "PMCSR.data_select", "PMCSR.power_state"),
    *("PVPDAD.address", "PCIHTR.layout", "PCIIPR.pin", "PCIMGR.quarter_microseconds", "PCIMLR.quarter_microseconds"),
    *("PCIBAR4.value", "PCIBAR5.value", "PCICIS.value", "CAP_PTR.pointer", "PMCSR_BSE.value", "PMDATA.value"),
    *("PMCAPID.id", "PMNEXT.next", "HS_CNTL.id", "HS_NEXT.next", "PVPDCNTL.id", "PVPD_NEXT.next"),
    guest=False,
    generic=True,
)
def each_writable_bit_of_configuration_space_stores_0_and_1_and_no_other_does(driver: Driver) -> None:
    table = header(driver.chip)
    writable = STORING | (STORING_SINCE_9054 if driver.chip != "9080" else {})
    for offset, (width, mask) in writable.items():
        lanes = (1 << 8 * width) - 1
        before = driver.config_read(offset, width)
        for pattern in PATTERNS:
            driver.config_write(offset, pattern & lanes, width)
            assert driver.config_read(offset, width) == before & ~mask | pattern & mask, f"{offset:#x} {pattern:#x}"
        driver.config_write(offset, before, width)
    if driver.chip != "9080":
        for pattern in PATTERNS:
            driver.config_write(0x44, pattern & 0xFFFC, 2)
            assert driver.config_read(0x44) == pattern & 0x1F00
            driver.config_write(0x4E, pattern & 0x7FFF, 2)
            assert driver.config_read(0x4E, 2) == pattern & 0x7FFF | 0x8000, "F tells that it was read"
        for state in (1, 2, 1, 0):
            driver.config_write(0x44, state, 2)
            assert driver.config_read(0x44) == state
        driver.config_write(0x4E, 0x8000, 2)  # a write of dword 0, which is protected
        driver.config_write(0x50, 0)
    for offset in (0x00, 0x08, 0x0E, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38, 0x40, 0x48):
        if offset in table:
            width, _ = table[offset]
            driver.config_write(offset, ((1 << 8 * width) - 1) & ~0x000A_0000, width)
    driver.config_write(0x3D, 0xFF, 1)
    driver.config_write(0x3E, 0xFFFF, 2)
    for offset, (width, value) in table.items():
        assert driver.config_read(offset, width) == value, hex(offset)


@behaviour("PCICLSR.dwords", "PCILTR.clocks", "PCICR.serr", "PCIILR.line", "PCIIPR.pin", guest=False, generic=True)
def each_byte_lane_of_configuration_space_is_written_by_itself(driver: Driver) -> None:
    driver.config_write(0x0C, 0x4010, 2)
    assert driver.config_read(0x0C) == 0x0000_4010
    driver.config_write(0x0D, 0x20, 1)
    assert [driver.config_read(at, 1) for at in (0x0C, 0x0D, 0x0E, 0x0F)] == [0x10, 0x20, 0, 0]
    driver.config_write(0x05, 0x01, 1)
    assert driver.config_read(0x04, 2) == 0x0107
    driver.config_write(0x04, 0x03, 1)
    assert driver.config_read(0x04, 2) == 0x0103
    driver.config_write(0x3C, 0xFFFF_FF0B)
    assert driver.config_read(0x3C) == 0x0000_010B
