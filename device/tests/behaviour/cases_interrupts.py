# SPDX-License-Identifier: Apache-2.0
"""INTCSR, the equation of INTA#, and the pins to the local side (reference sections 3.2, 3.3 and 6).

Long, because every source has the same few questions: does it show, does its enable gate it, what takes it back.
"""

from collections.abc import Callable
from typing import Final

from tests.behaviour.cases_config import IDLE_STATUS, ONES, block
from tests.behaviour.driver import SINCE_9054, SINCE_9056, Driver, behaviour, channel_behaviour
from tests.behaviour.in_process import PAGE, InProcess

INTCSR: Final = 0x68
CNTRL: Final = 0x6C
QUIET: Final = 0x0001_0100
"""What INTCSR's enables are after reset: INTA# and LINTo# as such, no source."""
RESET: Final = 0x0F01_0100
NOWHERE: Final = 0xF800_0000
"""A bus address that nothing decodes."""
TO_HOST: Final = 0x2_0443
"""DMAMODE: done interrupt, on INTA#."""
TO_LOCAL: Final = 0x0_0443
"""DMAMODE: done interrupt, on LINTo#."""


def _level(driver: Driver, *, active: int, enable: int, clear: Callable[[], None]) -> None:
    """The equation for one source that is active now: its status, its enable, bit 8, and its end."""
    assert driver.read(INTCSR) == RESET | active, "the status shows without any enable"
    assert not driver.inta()
    driver.write(INTCSR, QUIET | enable)
    assert driver.inta()
    assert driver.read(INTCSR) == RESET | active | enable
    assert driver.inta(), "a level: reading the status does not take it away"
    driver.write(INTCSR, QUIET & ~0x100 | enable)
    assert not driver.inta(), "bit 8 masks it"
    driver.write(INTCSR, QUIET | enable)
    assert driver.inta(), "and lets it out again"
    driver.write(INTCSR, QUIET | 0x000C_0E00 & ~enable)
    assert not driver.inta(), "the other sources' enables are not its own"
    driver.write(INTCSR, QUIET | enable)
    assert driver.inta()
    clear()
    assert not driver.inta()
    assert driver.read(INTCSR) == RESET | enable


# -- INTA#, source by source -------------------------------------------------------------------------


@channel_behaviour(
    *("INTCSR.dma#_enable", "INTCSR.dma#_active", "INTCSR.pci_enable"),
    *("DMAMODE#.done_intr", "DMAMODE#.to_inta", "DMACSR#.clear_intr"),
)
def a_dma_interrupt_drives_inta_through_its_enable_and_bit_8(driver: Driver, channel: int) -> None:
    block(driver, driver.buffer(16), 4, to_pci=True, channel=channel, mode=TO_HOST)
    _level(
        driver,
        active=0x20_0000 << channel,
        enable=0x4_0000 << channel,
        clear=lambda: driver.write(0xA8 + channel, 0x09, 1),
    )


@behaviour("INTCSR.doorbell_active", "INTCSR.doorbell_enable", "L2PDBELL.bells", "INTCSR.pci_enable", guest=False)
def the_doorbell_to_the_host_drives_inta_through_its_enable_and_bit_8(driver: Driver) -> None:
    driver.local.write_register(0x64, 0x8000_0001)
    _level(driver, active=0x2000, enable=0x200, clear=lambda: driver.write(0x64, 0x8000_0001))


@behaviour("INTCSR.local_active", "INTCSR.local_enable", "INTCSR.pci_enable", guest=False)
def linti_drives_inta_through_its_enable_and_bit_8(driver: Driver) -> None:
    driver.local.drive_linti(True)
    _level(driver, active=0x8000, enable=0x800, clear=lambda: driver.local.drive_linti(False))


@channel_behaviour(
    *("INTCSR.abort_active", "INTCSR.abort_enable", "INTCSR.pci_enable", "INTCSR.not_dma#"),
    *("PCISR.received_master_abort",),
)
def a_master_abort_drives_inta_through_its_enable_and_bit_8(driver: Driver, channel: int) -> None:
    """The one source whose status has more than its own bit: who had the bus."""
    masters = (0x0D00_0000, 0x0B00_0000)[channel]
    block(driver, NOWHERE, 4, to_pci=True, channel=channel)
    assert driver.read(0xA8 + channel, 1) == 0x01
    assert driver.read(INTCSR) == masters | 0x0001_4100
    assert not driver.inta()
    driver.write(INTCSR, QUIET | 0x400)
    assert driver.inta()
    driver.write(INTCSR, QUIET & ~0x100 | 0x400)
    assert not driver.inta()
    driver.write(INTCSR, QUIET | 0x000C_0A00)
    assert not driver.inta()
    driver.write(INTCSR, QUIET | 0x400)
    driver.write(0xA8 + channel, 0x04, 1)
    driver.settle()
    assert driver.inta(), "the DMA abort does not clear the bus error"
    assert driver.read(INTCSR) == masters | 0x0001_4500
    driver.config_write(0x06, 0xC900, 2)
    assert driver.inta(), "these are other bits"
    driver.config_write(0x06, 0x2000, 2)
    assert not driver.inta()
    assert driver.read(INTCSR) == 0x0F01_0500


@behaviour("OPQIS.not_empty", "OPQIM.mask", "MQCR.enable", "INTCSR.pci_enable")
def a_posted_message_drives_inta_unless_masked_and_through_bit_8(driver: Driver) -> None:
    assert [driver.read(0x30), driver.read(0x34)] == [0, 8]
    driver.write(0xC0, 0x3)
    driver.write(0xE0, 0x8004)  # the outbound post queue's head goes ahead of its tail
    driver.write(0xE4, 0x8000)
    assert driver.read(0x30) == 8
    assert not driver.inta()
    driver.write(0x34, 0)
    assert driver.inta()
    driver.write(INTCSR, QUIET & ~0x100)
    assert not driver.inta()
    driver.write(INTCSR, QUIET)
    assert driver.inta()
    driver.write(0x34, 8)
    assert not driver.inta()
    driver.write(0x34, 0)
    assert driver.inta()
    driver.write(0xE4, 0x8004)  # drained
    assert not driver.inta()
    assert driver.read(0x30) == 0
    assert driver.read(INTCSR) == RESET, "INTCSR has no bit for it"


@behaviour("INTCSR.dma0_active", "INTCSR.pci_enable", "INTCSR.dma0_enable")
def what_comes_while_bit_8_is_clear_raises_inta_once_it_is_set_again(driver: Driver) -> None:
    driver.write(INTCSR, 0x0005_0000)
    block(driver, driver.buffer(16), 4, to_pci=True, mode=TO_HOST)
    assert not driver.inta()
    assert driver.read(INTCSR) == 0x0F25_0000, "the cause can be seen meanwhile"
    driver.write(INTCSR, 0x0005_0100)
    assert driver.inta()
    driver.write(0xA8, 0x08, 1)
    assert not driver.inta()


@behaviour(
    *("INTCSR.dma0_active", "INTCSR.dma1_active", "DMACSR0.clear_intr", "DMACSR1.clear_intr"),
    *("INTCSR.abort_active", "OPQIS.not_empty"),
)
def inta_falls_with_the_last_enabled_source(driver: Driver) -> None:
    buffer = driver.buffer(16)
    block(driver, buffer, 4, to_pci=True, channel=0, mode=TO_HOST)
    block(driver, buffer, 4, to_pci=True, channel=1, mode=TO_HOST)
    block(driver, NOWHERE, 4, to_pci=True, channel=1, mode=TO_HOST)
    driver.write(0xC0, 0x3)
    driver.write(0xE0, 0x8004)
    driver.write(0xE4, 0x8000)
    driver.write(0x34, 0)
    driver.write(INTCSR, 0x000D_0500)
    assert driver.read(INTCSR) == 0x0B6D_4500
    assert driver.inta()
    driver.write(0xA8, 0x09, 1)
    assert driver.inta()
    driver.write(0xA9, 0x08, 1)
    assert driver.read(INTCSR) == 0x0B0D_4500
    assert driver.inta()
    driver.write(0x34, 8)
    assert driver.inta()
    driver.config_write(0x06, 0x2000, 2)
    assert not driver.inta()
    driver.write(0x34, 0)
    assert driver.inta(), "and rises with the first"


@behaviour("INTCSR.doorbell_active", "INTCSR.local_active", "INTCSR.abort_active", guest=False)
def inta_of_the_local_sources_falls_with_the_last_of_them(driver: Driver) -> None:
    driver.local.write_register(0x64, 0x0000_0300)
    driver.local.drive_linti(True)
    block(driver, NOWHERE, 4, to_pci=True)
    driver.write(INTCSR, 0x0001_0F00)
    assert driver.read(INTCSR) == 0x0D01_EF00
    driver.write(0x64, 0x0000_0100)
    assert driver.read(INTCSR) == 0x0D01_EF00, "one bell still rings"
    driver.write(0x64, 0x0000_0200)
    assert driver.read(INTCSR) == 0x0D01_CF00
    assert driver.inta()
    driver.local.drive_linti(False)
    assert driver.read(INTCSR) == 0x0D01_4F00
    assert driver.inta()
    driver.config_write(0x06, 0x2000, 2)
    assert driver.read(INTCSR) == 0x0F01_0F00
    assert not driver.inta()


@behaviour("INTCSR.local_active", "INTCSR.local_enable", guest=False)
def linti_is_a_level_and_leaves_nothing_behind(driver: Driver) -> None:
    driver.write(INTCSR, QUIET | 0x800)
    for _ in range(2):
        driver.local.drive_linti(True)
        assert driver.inta()
        driver.write(INTCSR, QUIET | 0x8800)
        assert driver.read(INTCSR) == 0x0F01_8900, "software cannot clear it"
        assert driver.inta()
        driver.local.drive_linti(False)
        assert not driver.inta()
        assert driver.read(INTCSR) == 0x0F01_0900


# -- aborts ------------------------------------------------------------------------------------------


@behaviour(
    "INTCSR.not_dma0",
    "INTCSR.not_dma1",
    "INTCSR.not_direct_master",
    "INTCSR.not_retry_abort",
    "PCISR.received_master_abort",
)
def intcsr_26_24_tell_who_had_the_bus_at_the_last_abort(driver: Driver) -> None:
    block(driver, NOWHERE, 4, to_pci=True, channel=0)
    assert driver.read(INTCSR) == 0x0D01_4100
    block(driver, NOWHERE, 4, to_pci=False, channel=1)
    assert driver.read(INTCSR) == 0x0B01_4100, "written anew by the second"
    driver.write(0xA8, 0x0404, 2)
    driver.settle()
    driver.write(INTCSR, ONES & ~0x4)
    assert driver.read(INTCSR) & 0xFF00_4000 == 0x0B00_4000, "read-only"
    driver.write(INTCSR, QUIET)
    block(driver, NOWHERE, 4, to_pci=True, channel=0)
    assert driver.read(INTCSR) == 0x0D01_4100
    driver.config_write(0x06, 0x2000, 2)
    assert driver.read(INTCSR) == RESET


@behaviour(
    *("PCISR.received_target_abort", "PCISR.received_master_abort", "INTCSR.abort_active", "INTCSR.not_dma1"),
    guest=False,
)
def intcsr_14_stays_until_both_kinds_of_abort_are_cleared(driver: Driver) -> None:
    idle = IDLE_STATUS[driver.chip]
    assert isinstance(driver, InProcess), "the protocol has no memory that only reads"
    read_only = driver.host.ram(0x0800_0000, PAGE, writable=False)
    block(driver, read_only.base, 4, to_pci=False)
    assert driver.config_read(0x06, 2) == idle, "reading it is no error"
    driver.write(INTCSR, QUIET | 0x400)
    block(driver, read_only.base, 4, to_pci=True)
    assert driver.config_read(0x06, 2) == idle | 0x1000
    assert driver.read(INTCSR) == 0x0D01_4500
    assert driver.inta()
    assert driver.read(0xA8, 1) == 0x01
    block(driver, NOWHERE, 4, to_pci=True, channel=1)
    assert driver.config_read(0x06, 2) == idle | 0x3000
    driver.config_write(0x06, 0x2000, 2)
    assert driver.config_read(0x06, 2) == idle | 0x1000
    assert driver.read(INTCSR) == 0x0B01_4500
    assert driver.inta()
    driver.config_write(0x06, 0x1000, 2)
    assert driver.config_read(0x06, 2) == idle
    assert driver.read(INTCSR) == 0x0F01_0500
    assert not driver.inta()


@behaviour("PCISR.received_master_abort", "INTCSR.abort_active", guest=False)
def writing_the_command_dword_back_to_itself_clears_the_abort(driver: Driver) -> None:
    """As the SDK does it."""
    block(driver, NOWHERE, 4, to_pci=True)
    dword = driver.config_read(0x04)
    assert dword == (IDLE_STATUS[driver.chip] | 0x2000) << 16 | 0x0007
    driver.config_write(0x04, dword & 0xFFFF)
    assert driver.config_read(0x04) == dword, "zeros clear nothing"
    driver.config_write(0x04, dword)
    assert driver.config_read(0x04) == IDLE_STATUS[driver.chip] << 16 | 0x0007
    assert driver.read(INTCSR) == RESET


# -- the local side ----------------------------------------------------------------------------------


@behaviour("P2LDBELL.bells", "INTCSR.local_doorbell_active")
def the_host_rings_p2ldbell_and_cannot_silence_it(driver: Driver) -> None:
    driver.write(0x60, 0x0000_0001)
    assert driver.read(0x60) == 0x0000_0001
    assert driver.read(INTCSR) == RESET | 0x10_0000
    driver.write(0x60, 0x8000_0000)
    assert driver.read(0x60) == 0x8000_0001
    driver.write(0x60, 0)
    driver.write(0x60, 0x8000_0001)
    assert driver.read(0x60) == 0x8000_0001
    driver.write(0x62, 0x40, 1)
    assert driver.read(0x60) == 0x8040_0001
    assert not driver.inta(), "it is not for the host"


@behaviour(
    *("P2LDBELL.bells", "INTCSR.local_doorbell_active", "INTCSR.local_doorbell_enable", "INTCSR.local_output_enable"),
    guest=False,
)
def p2ldbell_drives_linto_through_its_enable_and_bit_16_until_the_local_side_clears_it(driver: Driver) -> None:
    driver.write(0x60, ONES)
    assert not driver.local.linto()
    driver.write(INTCSR, 0x0003_0100)
    assert driver.local.linto()
    driver.write(INTCSR, 0x0002_0100)
    assert not driver.local.linto(), "bit 16 lets LINTo# out"
    driver.write(INTCSR, 0x0003_0100)
    for bit in range(31):
        driver.local.write_register(0x60, 1 << bit)
        assert driver.read(0x60) == ONES << bit + 1 & ONES
    assert driver.local.linto()
    assert driver.read(INTCSR) == 0x0F13_0100
    driver.local.write_register(0x60, 0x8000_0000)
    assert not driver.local.linto()
    assert driver.read(0x60) == 0
    assert driver.read(INTCSR) == 0x0F03_0100
    assert not driver.inta()


@behaviour("L2PDBELL.bells", "INTCSR.doorbell_active", guest=False)
def the_local_side_rings_l2pdbell_and_the_host_clears_each_bell_by_a_1(driver: Driver) -> None:
    assert driver.read(0x64) == 0
    for bit in range(32):
        driver.local.write_register(0x64, 1 << bit)
        assert driver.read(0x64) == (2 << bit) - 1
    driver.write(0x64, 0)
    driver.local.write_register(0x64, 0)
    assert driver.read(0x64) == ONES
    driver.write(0x65, 0xFF, 1)
    assert driver.read(0x64) == 0xFFFF_00FF
    for bit in range(32):
        assert driver.read(INTCSR) == RESET | 0x2000
        driver.write(0x64, 1 << bit)
        assert not driver.read(0x64) >> bit & 1
    assert driver.read(0x64) == 0
    assert driver.read(INTCSR) == RESET


@behaviour(
    *("INTCSR.mailbox0_written", "INTCSR.mailbox1_written", "INTCSR.mailbox2_written", "INTCSR.mailbox3_written"),
    "INTCSR.mailbox_enable",
)
def with_intcsr_3_the_hosts_writes_of_the_first_four_mailboxes_are_noted(driver: Driver) -> None:
    for number in range(8):
        driver.write(0x40 + 4 * number, 1)
    assert driver.read(INTCSR) == RESET, "bit 3 is off"
    driver.write(INTCSR, QUIET | 0x8)
    for number in range(4, 8):
        driver.write(0x40 + 4 * number, 2)
    assert driver.read(INTCSR) == RESET | 0x8, "nobody waits for the last four"
    noted = 0
    for number in (2, 0, 3, 1):
        driver.write(0x40 + 4 * number, 3)
        noted |= 1 << 28 + number
        assert driver.read(INTCSR) == RESET | noted | 0x8
    assert driver.read(0x40) == 3
    assert driver.read(INTCSR) == 0xFF01_0108, "the host's reads take nothing back"
    assert not driver.inta()


@behaviour(
    *("INTCSR.mailbox0_written", "INTCSR.mailbox1_written", "INTCSR.mailbox2_written", "INTCSR.mailbox3_written"),
    *("INTCSR.mailbox_enable", "INTCSR.local_output_enable", "MBOX0.value"),
    guest=False,
)
def a_written_mailbox_drives_linto_until_the_local_side_has_read_it(driver: Driver) -> None:
    driver.write(INTCSR, QUIET | 0x8)
    for number, (written, read) in enumerate(((0x40, 0x78), (0x7C, 0x44), (0x48, 0x48), (0x4C, 0x4C))):
        assert not driver.local.linto()
        driver.write(written, 0x1234_5670 + number)
        assert driver.read(INTCSR) == RESET | 1 << 28 + number | 0x8
        assert driver.local.linto()
        assert driver.local.read_register(read) == 0x1234_5670 + number
        assert driver.read(INTCSR) == RESET | 0x8
    driver.write(0x40, 1)
    driver.write(0x44, 1)
    driver.local.read_register(0x40)
    assert driver.local.linto(), "one is left"
    driver.write(INTCSR, 0x0000_0108)
    assert not driver.local.linto()
    driver.write(INTCSR, QUIET | 0x8)
    assert driver.local.linto()
    driver.local.read_register(0x44)
    assert not driver.local.linto()
    driver.local.write_register(0x40, 7)
    assert driver.read(INTCSR) == RESET | 0x8, "what the local side writes it need not be told"
    assert driver.read(0x40) == 7


@channel_behaviour(
    "DMAMODE#.to_inta", "INTCSR.dma#_enable", "INTCSR.dma#_active", "INTCSR.local_output_enable", guest=False
)
def mode_17_moves_a_latched_interrupt_between_linto_and_inta(driver: Driver, channel: int) -> None:
    first, active, enable = (0x80, 0x94)[channel], 0x20_0000 << channel, 0x4_0000 << channel
    block(driver, driver.buffer(16), 4, to_pci=True, channel=channel, mode=TO_LOCAL)
    assert driver.read(INTCSR) == RESET | active
    assert (driver.local.linto(), driver.inta()) == (False, False)
    driver.write(INTCSR, QUIET | enable)
    assert (driver.local.linto(), driver.inta()) == (True, False)
    driver.write(INTCSR, QUIET & ~0x1_0000 | enable)
    assert (driver.local.linto(), driver.inta()) == (False, False)
    driver.write(INTCSR, QUIET & ~0x100 | enable)
    assert (driver.local.linto(), driver.inta()) == (True, False), "bit 8 is INTA#'s"
    driver.write(first, TO_HOST)
    assert (driver.local.linto(), driver.inta()) == (False, False)
    driver.write(INTCSR, QUIET & ~0x1_0000 | enable)
    assert (driver.local.linto(), driver.inta()) == (False, True), "bit 16 is LINTo#'s"
    driver.write(INTCSR, QUIET | enable)
    driver.write(first, TO_LOCAL)
    assert (driver.local.linto(), driver.inta()) == (True, False)
    driver.write(0xA8 + channel, 0x08, 1)
    assert (driver.local.linto(), driver.inta()) == (False, False)


@behaviour("INTCSR.bist_active", "PCIBISTR.start", "INTCSR.local_output_enable", guest=False)
def a_requested_self_test_drives_linto_until_it_is_finished(driver: Driver) -> None:
    driver.config_write(0x0F, 0x40, 1)
    assert driver.read(INTCSR) == RESET | 0x80_0000
    assert driver.local.linto()
    assert not driver.inta()
    driver.write(INTCSR, 0x100)
    assert not driver.local.linto()
    driver.write(INTCSR, QUIET)
    driver.local.finish_self_test(0)
    assert not driver.local.linto()
    assert driver.read(INTCSR) == RESET


@behaviour("QSR.inbound_not_empty", "QSR.inbound_mask", "MQCR.enable", "INTCSR.local_output_enable", guest=False)
def an_inbound_message_drives_linto_unless_masked(driver: Driver) -> None:
    driver.write(0xC0, 0x3)
    driver.write(0xD0, 0x4004)  # the inbound post queue's head goes ahead of its tail
    driver.write(0xD4, 0x4000)
    assert driver.read(0xE8) == 0x70
    assert not driver.local.linto()
    driver.write(0xE8, 0x40)
    assert driver.local.linto()
    driver.write(INTCSR, 0x100)
    assert not driver.local.linto()
    driver.write(INTCSR, QUIET)
    assert driver.local.linto()
    driver.write(0xD4, 0x4004)
    assert not driver.local.linto()
    assert driver.read(0xE8) == 0x40
    assert not driver.inta()


@behaviour("CNTRL.linto_status", chips=SINCE_9056, guest=False)
def cntrl_20_remembers_linto_until_written_as_1(driver: Driver) -> None:
    driver.write(INTCSR, 0x0003_0100)
    assert not driver.read(CNTRL) & 0x10_0000
    driver.write(0x60, 1)
    assert driver.read(CNTRL) == 0x101F_767E
    driver.local.write_register(0x60, 1)
    assert not driver.local.linto()
    assert driver.read(CNTRL) == 0x101F_767E
    driver.write(CNTRL, 0x000D_767E)
    assert driver.read(CNTRL) == 0x101F_767E, "writing 0 leaves it"
    driver.write(CNTRL, 0x002D_767E)
    assert driver.read(CNTRL) == 0x101F_767E, "so does the bit beside it"
    driver.write(CNTRL, 0x001D_767E)
    assert driver.read(CNTRL) == 0x100F_767E


@behaviour("INTCSR.lserr_on_abort", "PCISR.received_master_abort", guest=False)
def intcsr_0_lets_an_abort_drive_lserr(driver: Driver) -> None:
    block(driver, NOWHERE, 4, to_pci=True)
    assert not driver.local.lserr()
    driver.write(INTCSR, QUIET | 0x2)
    assert not driver.local.lserr(), "that is for parity"
    driver.write(INTCSR, QUIET | 0x1)
    assert driver.local.lserr()
    driver.config_write(0x06, 0x2000, 2)
    assert not driver.local.lserr()


@behaviour("INTCSR.lserr_on_parity", "PCISR.parity_error", guest=False)
def intcsr_1_lets_a_pci_parity_error_drive_lserr(driver: Driver) -> None:
    buffer = driver.buffer(16)
    driver.local.bad_parity(buffer.bus, 16)
    block(driver, buffer, 4, to_pci=False)
    assert not driver.local.lserr()
    driver.write(INTCSR, QUIET | 0x1)
    assert not driver.local.lserr(), "that is for aborts"
    driver.write(INTCSR, QUIET | 0x2)
    assert driver.local.lserr()
    driver.config_write(0x06, 0x8000, 2)
    assert not driver.local.lserr()
    assert driver.read(INTCSR) == RESET | 0x2, "INTCSR has no bit for it"
    block(driver, buffer, 4, to_pci=False)
    assert driver.local.lserr(), "as soon as it is seen"


@behaviour("INTCSR.lserr_on_parity", "QSR.overflow", "QSR.overflow_mask", guest=False)
def intcsr_1_gates_the_overflow_of_the_outbound_free_queue_too(driver: Driver) -> None:
    driver.write(INTCSR, QUIET | 0x2)
    driver.write(0xC0, 0x3)
    driver.write(0xC4, 0)
    driver.write(0xD8, 0xCFF8)  # the outbound free queue, one short of full
    driver.write(0xDC, 0xC000)
    driver.write(0xE8, 0x51)
    driver.write(0x44, 0x1234_5600)
    assert not driver.read(0xE8) & 0x80
    driver.write(0xD8, 0xFFFC)
    driver.write(0x44, 0x1234_5600)
    assert driver.read(0xE8) == 0xD1
    assert not driver.local.lserr(), "bit 6 masks it"
    driver.write(0xE8, 0x11)
    assert driver.read(0xE8) == 0x91
    assert driver.local.lserr()
    driver.write(INTCSR, QUIET)
    assert not driver.local.lserr()
    driver.write(INTCSR, QUIET | 0x2)
    driver.write(0xE8, 0x91)
    assert driver.read(0xE8) == 0x11
    assert not driver.local.lserr()


@behaviour("INTCSR.parity_active", "INTCSR.parity_enable", chips=SINCE_9054, guest=False)
def a_local_parity_error_stays_in_intcsr_7_until_written_as_1(driver: Driver) -> None:
    driver.write(INTCSR, QUIET | 0x40)
    driver.local.parity_error()
    assert driver.read(INTCSR) == RESET | 0xC0
    assert driver.local.lserr()
    driver.write(INTCSR, QUIET)
    assert driver.read(INTCSR) == RESET | 0x80
    assert not driver.local.lserr(), "bit 6 lets it out"
    driver.write(INTCSR, QUIET | 0x60)
    assert driver.read(INTCSR) == RESET | 0xC0, "the bit beside it leaves it"
    assert driver.local.lserr()
    driver.write(INTCSR, QUIET | 0x80)
    assert driver.read(INTCSR) == RESET
    assert not driver.local.lserr()
    assert not driver.inta()


@behaviour("CNTRL.lserr_status", chips=SINCE_9056, guest=False)
def cntrl_21_remembers_lserr_until_written_as_1(driver: Driver) -> None:
    driver.write(INTCSR, QUIET | 0x1)
    block(driver, NOWHERE, 4, to_pci=True)
    assert driver.read(CNTRL) == 0x102F_767E
    driver.config_write(0x06, 0x2000, 2)
    assert not driver.local.lserr()
    assert driver.read(CNTRL) == 0x102F_767E
    driver.write(CNTRL, 0x001D_767E)
    assert driver.read(CNTRL) == 0x102F_767E
    driver.write(CNTRL, 0x002D_767E)
    assert driver.read(CNTRL) == 0x100F_767E


@behaviour("INTCSR.lserr_on_abort", "INTCSR.local_doorbell_enable", chips=("9080", "9054"), guest=False)
def the_older_chips_drive_linto_and_lserr_without_remembering(driver: Driver) -> None:
    before = driver.read(CNTRL)
    driver.write(INTCSR, 0x0003_0101)
    driver.write(0x60, 1)
    block(driver, NOWHERE, 4, to_pci=True)
    assert driver.local.linto()
    assert driver.local.lserr()
    assert driver.read(CNTRL) == before


@behaviour(
    *("INTCSR.serr", "INTCSR.retry_abort_enable", "INTCSR.parity_enable", "INTCSR.pm_enable"),
    chips=SINCE_9054,
    generic=True,
)
def the_enables_are_stored_and_drive_nothing_by_themselves(driver: Driver) -> None:
    for bit in (0, 1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 16, 17, 18, 19):
        driver.write(INTCSR, 1 << bit)
        assert driver.read(INTCSR) == 0x0F00_0000 | 1 << bit
    driver.write(INTCSR, ONES)
    assert driver.read(INTCSR) == 0x0F0F_1F5F
    assert not driver.inta()
    driver.write(INTCSR, 0)
    assert driver.read(INTCSR) == 0x0F00_0000


@behaviour("INTCSR.pci_enable", "INTCSR.dma1_enable")
def byte_writes_of_intcsr_reach_their_own_enables(driver: Driver) -> None:
    driver.write(INTCSR + 1, 0x0F, 1)
    assert driver.read(INTCSR) == 0x0F01_0F00
    driver.write(INTCSR + 2, 0x0C, 1)
    assert driver.read(INTCSR) == 0x0F0C_0F00
    driver.write(INTCSR, 0x0100, 2)
    assert driver.read(INTCSR) == 0x0F0C_0100
    assert driver.read(INTCSR + 3, 1) == 0x0F
