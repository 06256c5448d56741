# SPDX-License-Identifier: Apache-2.0
"""Abort in every state of a channel, and bus errors (reference 4.11, 4.12, 10.1).

Long, because every state of a channel has its own case of how it ends.

What a case about both master and target aborts needs of the host's memory, only the loopback host gives.
"""

from typing import Final

from tests.behaviour.cases_block import (
    ABORT,
    CHAIN,
    CLEAR,
    CLEAR_COUNT,
    CSR,
    DAC,
    DEMAND,
    DONE_INTR,
    ENABLE,
    FRESH,
    IDLE_INTCSR,
    IN_PCI,
    INTCSR,
    LAST,
    LONG,
    MODE,
    NOWHERE,
    PABTADR,
    PADR,
    RESET_MODE,
    SIZ,
    START,
    TC,
    TO_INTA,
    TO_PCI,
    VALID_MODE,
    Dma,
    both,
    bus_mastering,
    got,
    pattern,
    put,
)
from tests.behaviour.cases_chain import List, in_local, in_pci, moved_to
from tests.behaviour.driver import SINCE_9054, SINCE_9056, CommonBuffer, Driver, behaviour, channel_behaviour
from tests.behaviour.in_process import InProcess, LoopbackBuffer

PCISR: Final = 0x06
TARGET_ABORT, MASTER_ABORT = 1 << 12, 1 << 13
ABORTED: Final = 1 << 14
"""INTCSR: PCISR has one of the two."""
INTERRUPTED_BY_DONE: Final = RESET_MODE | DONE_INTR


def host_memory(driver: Driver, at: int, length: int = 4096, *, writable: bool = True) -> CommonBuffer:
    """Memory wherever a case wants it, or none may write."""
    assert isinstance(driver, InProcess)
    return LoopbackBuffer(driver.host.ram(at, length, fill=FRESH[0], writable=writable), length)


def failed_bus(dma: Dma) -> int:
    """INTCSR after this channel's abort, with its interrupt neither enabled nor latched."""
    return IDLE_INTCSR & ~(1 << 25 + dma.channel) | ABORTED


def _aborts(dma: Dma, status: int, *, interrupts: bool) -> None:
    """Abort what is unfinished: the done interrupt comes with MODE[10], and only then."""
    assert dma.status == status
    dma.command(0)
    assert dma.status == 0x00
    assert not dma.latched
    dma.command(ABORT)
    assert dma.status == 0x10
    assert dma.latched == interrupts
    dma.command(CLEAR)
    dma.driver.settle()
    assert dma.status == 0x10


# -- abort in each state: 4.11 --------------------------------------------------------------------


@channel_behaviour("DMACSR#.abort", "DMACSR#.done", "DMAMODE#.done_intr", "INTCSR.dma#_active", "DMACSR#.clear_intr")
def abort_ends_a_held_transfer(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    for mode, interrupts in ((INTERRUPTED_BY_DONE, True), (RESET_MODE, False)):
        bus_mastering(driver, on=False)
        dma.block(buffer.bus, 4, 8, TO_PCI | 0x10, mode=mode)
        dma.command(ENABLE | START)
        driver.settle()
        _aborts(dma, 0x01, interrupts=interrupts)
        assert dma.shown == (buffer.bus, driver.memory_at + 4, 8, TO_PCI | 0x10)
        bus_mastering(driver, on=True)
        driver.settle()
        assert buffer.read(0, 8) == FRESH * 8


@channel_behaviour("DMACSR#.abort", "DMACSR#.done", "DMAMODE#.done_intr", "DMAMODE#.demand")
def abort_ends_a_starved_transfer(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_local(driver)
    for mode, interrupts in ((INTERRUPTED_BY_DONE, True), (RESET_MODE, False)):
        where.write(0, buffer.bus, driver.memory_at, 8, TO_PCI | LAST | TC)
        dma.chain(where.start, mode=mode | CHAIN | DEMAND | CLEAR_COUNT)
        dma.run()
        _aborts(dma, 0x01, interrupts=interrupts)
        assert dma.shown == where.words(0), "the registers keep what they showed"
        assert where.words(8, 1) == (8,), "no write-back"


@channel_behaviour("DMACSR#.abort", "DMACSR#.done", "DMAMODE#.done_intr", "DMAMODE#.valid_mode", chips=SINCE_9056)
def abort_ends_the_polling_of_an_invalid_descriptor(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_pci(driver)
    for mode, interrupts in ((INTERRUPTED_BY_DONE, True), (RESET_MODE, False)):
        where.write(0, 8, buffer.bus, driver.memory_at, TO_PCI | LAST)
        dma.chain(where.start, mode=mode | CHAIN | VALID_MODE | CLEAR_COUNT)
        dma.run()
        _aborts(dma, 0x01, interrupts=interrupts)
        where.write(0, 1 << 31 | 8)
        driver.settle()
        assert buffer.read(0, 8) == FRESH * 8


@channel_behaviour("DMACSR#.abort", "DMACSR#.done", "DMAMODE#.done_intr", "INTCSR.not_dma#")
def abort_ends_a_failed_transfer(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    for mode, interrupts in ((INTERRUPTED_BY_DONE, True), (RESET_MODE, False)):
        dma.block(NOWHERE, 0, 8, TO_PCI | TC, mode=mode)
        dma.run()
        _aborts(dma, 0x01, interrupts=interrupts)
        assert driver.read(INTCSR) == failed_bus(dma), "the status of the bus stays"


@channel_behaviour("DMACSR#.abort", "DMACSR#.done", "DMACSR#.enable")
def abort_ends_a_paused_transfer(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 8, TO_PCI, mode=INTERRUPTED_BY_DONE)
    dma.command(ENABLE | START)
    dma.command(0)
    bus_mastering(driver, on=True)
    driver.settle()
    _aborts(dma, 0x00, interrupts=True)
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 8) == FRESH * 8, "it is over, not paused"


@channel_behaviour("DMACSR#.abort", "DMACSR#.done", "DMASIZ#.count", guest=False)
def abort_in_the_middle_of_a_descriptor_leaves_the_rest(driver: Driver, channel: int) -> None:
    """No write-back, its terminal count is dropped, and the chain does not go on."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(32), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(16, TO_PCI))
    where.write(16, buffer.bus + 8, driver.memory_at, 8, where.pointer(32, TO_PCI | TC))
    where.write(32, buffer.bus + 16, driver.memory_at, 8, TO_PCI | LAST)
    driver.local.demand(channel, moved_to(buffer, lambda: 11))
    dma.chain(where.start, mode=RESET_MODE | CHAIN | DEMAND | CLEAR_COUNT)
    dma.run()
    _aborts(dma, 0x01, interrupts=False)
    assert buffer.read(0, 32) == bytes(11) + FRESH * 21
    assert dma.shown == where.words(16)
    assert where.words(24, 1) == (8,)
    assert where.words(40, 1) == (8,)


@channel_behaviour("DMACSR#.abort", "DMACSR#.clear_intr", "INTCSR.dma#_active")
def abort_leaves_an_interrupt_that_was_latched_before(driver: Driver, channel: int) -> None:
    dma, other, buffer, where = Dma(driver, channel), Dma(driver, 1 - channel), driver.buffer(8), in_local(driver)
    other.block(0, 0, 0, TC)
    other.run()
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI | TC))
    where.write(16, NOWHERE, driver.memory_at, 4, TO_PCI | LAST)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x01
    dma.command(ABORT)
    assert dma.status == 0x10
    assert driver.read(INTCSR) == failed_bus(dma) | 3 << 21
    dma.command(CLEAR)
    assert driver.read(INTCSR) == failed_bus(dma) | other.interrupt


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", "INTCSR.dma#_active", "DMACSR#.abort")
def abort_of_an_idle_channel_does_nothing_and_interrupts_nobody(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    dma.write(MODE, INTERRUPTED_BY_DONE)
    dma.command(ABORT)
    assert dma.status == 0x10
    dma.block(buffer.bus, 0, 4, TO_PCI, mode=INTERRUPTED_BY_DONE)
    dma.run()
    dma.command(CLEAR | ENABLE)
    dma.command(ABORT)
    assert dma.status == 0x10, "ENABLE as written"
    assert driver.read(INTCSR) == IDLE_INTCSR
    dma.run()
    assert dma.status == 0x11


@channel_behaviour("DMACSR#.enable", "DMACSR#.done")
def abort_is_ignored_while_the_channel_is_enabled(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 8, TO_PCI)
    dma.command(ENABLE | START)
    dma.command(ENABLE | ABORT)
    assert dma.status == 0x01
    dma.command(0)
    dma.command(ENABLE | START | ABORT)
    assert dma.status == 0x01
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 8) == bytes(8)
    buffer.write(0, FRESH * 8)
    dma.command(ENABLE | START | ABORT)
    driver.settle()
    assert buffer.read(0, 8) == bytes(8), "and so it does not keep a START of the same write from starting"


@channel_behaviour("DMACSR#.abort", "DMACSR#.start", "DMACSR#.done")
def an_aborted_channel_starts_afresh(driver: Driver, channel: int) -> None:
    """gsc_hpdi stops and starts the same ring."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_pci(driver)
    put(driver, 0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI))
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, TO_PCI | LAST)
    for _ in range(2):
        bus_mastering(driver, on=False)
        dma.chain(where.start)
        dma.command(0x0B)
        dma.command(ABORT)
        assert dma.status == 0x10
        bus_mastering(driver, on=True)
    for register in (SIZ, PADR):
        dma.write(register, 0)
    dma.chain(where.start)
    dma.command(0x0B)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 8) == pattern(8)


@channel_behaviour("DMAMODE#.done_intr", "DMACSR#.abort", "INTCSR.dma#_active")
def rtd_takes_the_done_interrupt_away_before_it_aborts(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 8, TO_PCI, mode=INTERRUPTED_BY_DONE)
    dma.command(ENABLE | START)
    dma.write(MODE, dma.read(MODE) & ~DONE_INTR)
    dma.command(dma.status & ~5 | 4)
    assert dma.status == 0x10
    dma.write(MODE, dma.read(MODE) | DONE_INTR)
    assert driver.read(INTCSR) == IDLE_INTCSR


@channel_behaviour("DMACSR#.abort", "DMACSR#.enable", "DMAMODE#.done_intr", "DMAMODE#.to_inta")
def the_sdk_pauses_looks_and_aborts_with_dwords(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    shift = 8 * channel
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 8, TO_PCI, mode=INTERRUPTED_BY_DONE | TO_INTA)
    dma.enable_interrupt()
    driver.write(CSR, driver.read(CSR) | ENABLE << shift)
    driver.write(CSR, driver.read(CSR) | (ENABLE | START) << shift)
    driver.write(CSR, driver.read(CSR) & ~(ENABLE << shift))
    assert driver.read(CSR) == 0x10 << 8 * (1 - channel)
    driver.write(CSR, driver.read(CSR) | ABORT << shift)
    assert driver.read(CSR) == 0x1010
    assert driver.inta()
    driver.write(CSR, driver.read(CSR) | CLEAR << shift)
    assert not driver.inta()


@behaviour("DMACSR0.abort", "DMACSR1.abort", "DMACSR0.done", "DMACSR1.done")
def abort_of_one_channel_leaves_the_other_active(driver: Driver) -> None:
    first, second = both(driver)
    buffer = driver.buffer(8)
    for ended, stays in ((first, second), (second, first)):
        buffer.write(0, FRESH * 8)
        bus_mastering(driver, on=False)
        for dma in (first, second):
            dma.block(buffer.bus + 4 * dma.channel, 0, 4, TO_PCI)
            dma.command(ENABLE | START)
        ended.command(ABORT)
        assert (ended.status, stays.status) == (0x10, 0x01)
        bus_mastering(driver, on=True)
        driver.settle()
        assert (ended.status, stays.status) == (0x10, 0x11)
        assert buffer.read(4 * ended.channel, 4) == FRESH * 4
        assert buffer.read(4 * stays.channel, 4) == bytes(4)


# -- no bus mastering: 4.12 -----------------------------------------------------------------------


@channel_behaviour("PCICR.bus_master", "DMACSR#.done")
def a_chip_that_may_not_master_reads_no_descriptor_and_sets_no_status(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_pci(driver)
    bus_mastering(driver, on=False)
    for local in (in_local(driver), where):
        local.write(0, buffer.bus, driver.memory_at, 8, TO_PCI | LAST)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x01
    assert dma.shown == (0, 0, 0, where.start)
    assert driver.read(INTCSR) == IDLE_INTCSR
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert dma.shown == where.words(0)
    assert buffer.read(0, 8) == bytes(8)


# -- bus errors: 4.12 -----------------------------------------------------------------------------


def _fails(dma: Dma, at: int) -> None:
    """A bus error at `at`: DONE stays 0, pausing and resuming do not retry, abort ends it."""
    driver = dma.driver
    assert dma.status == 0x01
    assert driver.read(INTCSR) == failed_bus(dma)
    if driver.chip in SINCE_9056:
        assert driver.read(PABTADR) == at & ~3
    dma.command(0)
    assert dma.status == 0x00
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x01
    dma.command(ABORT)
    assert dma.status == 0x10


@channel_behaviour("INTCSR.abort_active", "INTCSR.not_dma#", "DMACSR#.done")
def data_that_nobody_takes_stops_the_channel(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.block(NOWHERE + 6, 0, 8, TO_PCI)
    dma.run()
    _fails(dma, NOWHERE + 6)


@channel_behaviour("INTCSR.abort_active", "INTCSR.not_dma#", "DMACSR#.done")
def data_that_nobody_gives_stops_the_channel(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    put(driver, 0, pattern(8))
    dma.block(NOWHERE, 0, 8)
    dma.run()
    _fails(dma, NOWHERE)
    assert got(driver, 0, 8) == pattern(8)


@channel_behaviour("INTCSR.abort_active", "INTCSR.not_dma#", "DMADPR#.next")
def a_descriptor_that_nobody_gives_stops_the_channel(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.chain(NOWHERE | 0x40 | IN_PCI)
    dma.run()
    _fails(dma, NOWHERE | 0x40)
    assert dma.shown == (0, 0, 0, NOWHERE | 0x40 | IN_PCI)


@channel_behaviour("PABTADR.address", chips=SINCE_9056)
def pabtadr_has_the_address_that_failed_in_a_chain(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(16, TO_PCI))
    where.write(16, NOWHERE + 0x123, driver.memory_at, 8, where.pointer(32, TO_PCI))
    dma.chain(where.start)
    dma.run()
    _fails(dma, NOWHERE + 0x120)
    assert buffer.read(0, 8) == bytes(8)


@channel_behaviour("PABTADR.address", chips=SINCE_9056)
def pabtadr_follows_every_access(driver: Driver, channel: int) -> None:
    """Which dword of a transfer it shows last is the last one."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(64), in_pci(driver)
    assert driver.read(PABTADR) == 0
    dma.block(buffer.bus, 0, 21, TO_PCI)
    dma.run()
    assert driver.read(PABTADR) == buffer.bus + 20
    dma.block(buffer.bus + 32, 0, 8)
    dma.run()
    assert driver.read(PABTADR) == buffer.bus + 36
    where.write(0, buffer.bus, driver.memory_at, 0, LAST)
    dma.chain(where.start)
    dma.run()
    assert driver.read(PABTADR) == (where.start & ~IN_PCI) + 12
    where.write(0, buffer.bus, driver.memory_at, 4, LAST)
    dma.chain(where.start, mode=RESET_MODE | CHAIN | CLEAR_COUNT)
    dma.run()
    assert driver.read(PABTADR) == (where.start & ~IN_PCI) + 8
    driver.write(PABTADR, 0xFFFF_FFFF)
    assert driver.read(PABTADR) == (where.start & ~IN_PCI) + 8


@channel_behaviour("INTCSR.abort_enable", "INTCSR.abort_active", "INTCSR.pci_enable")
def a_bus_error_interrupts_if_bit_10_says_so(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    driver.write(INTCSR, 0x0001_0100)
    dma.block(NOWHERE, 0, 8, TO_PCI)
    dma.run()
    assert not driver.inta()
    driver.write(INTCSR, 0x0001_0500)
    assert driver.inta()
    driver.write(INTCSR, 0x0001_0400)
    assert not driver.inta()
    driver.write(INTCSR, 0x0001_0500)
    dma.command(CLEAR | ABORT)
    assert driver.inta(), "neither abort nor acknowledge takes it away"
    driver.config_write(PCISR, MASTER_ABORT, 2)
    assert not driver.inta()
    assert driver.read(INTCSR) == 0x0F01_0500


@behaviour("INTCSR.not_dma0", "INTCSR.not_dma1")
def the_last_abort_names_its_channel(driver: Driver) -> None:
    first, second = both(driver)
    for dma in (first, second, first):
        dma.block(NOWHERE, 0, 8, TO_PCI)
        dma.run()
        assert driver.read(INTCSR) == failed_bus(dma), "and only that one"
        dma.command(ABORT)
        assert driver.read(INTCSR) == failed_bus(dma)
    driver.config_write(PCISR, MASTER_ABORT, 2)
    assert driver.read(INTCSR) == IDLE_INTCSR


@channel_behaviour("DMACSR#.done")
def a_failed_channel_does_not_hold_up_the_other(driver: Driver, channel: int) -> None:
    dma, other, buffer = Dma(driver, channel), Dma(driver, 1 - channel), driver.buffer(8)
    dma.block(NOWHERE, 0, 8, TO_PCI)
    dma.run()
    other.block(buffer.bus, 0, 8, TO_PCI)
    other.run()
    assert (dma.status, other.status) == (0x01, 0x11)
    assert buffer.read(0, 8) == bytes(8)


@channel_behaviour("PABTADR.address", chips=SINCE_9056)
def pabtadr_has_the_low_half_of_an_address_above_4_gib(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.write(DAC, 2)
    dma.block(NOWHERE + 8, 0, 8, TO_PCI)
    dma.run()
    _fails(dma, NOWHERE + 8)


@channel_behaviour("PCISR.received_master_abort", "PCISR.received_target_abort", "INTCSR.abort_active", guest=False)
def an_address_that_nothing_decodes_is_a_master_abort_and_a_read_only_one_a_target_abort(
    driver: Driver, channel: int
) -> None:
    dma, rom = Dma(driver, channel), host_memory(driver, 0x0800_0000, writable=False)
    idle = driver.config_read(PCISR, 2)
    assert idle & 0xF900 == 0
    for at, bit in ((NOWHERE, MASTER_ABORT), (rom.bus, TARGET_ABORT)):
        dma.block(at, 0, 8, TO_PCI)
        dma.run()
        assert driver.config_read(PCISR, 2) == idle | bit
        _fails(dma, at)
        driver.config_write(PCISR, bit, 2)
        assert driver.config_read(PCISR, 2) == idle
        assert driver.read(INTCSR) == IDLE_INTCSR
    dma.block(rom.bus, 0, 8)
    dma.run()
    assert dma.status == 0x11, "reading it is no error"
    assert got(driver, 0, 8) == FRESH * 8


@behaviour("PCISR.received_master_abort", "PCISR.received_target_abort", "INTCSR.not_dma0", guest=False)
def the_master_of_the_last_abort_shows_until_both_status_bits_are_clear(driver: Driver) -> None:
    dma, rom = Dma(driver, 0), host_memory(driver, 0x0800_0000, writable=False)
    for at in (NOWHERE, rom.bus):
        dma.block(at, 0, 8, TO_PCI)
        dma.run()
        dma.command(ABORT)
    driver.config_write(PCISR, MASTER_ABORT, 2)
    assert driver.read(INTCSR) == failed_bus(dma)
    driver.config_write(PCISR, TARGET_ABORT, 2)
    assert driver.read(INTCSR) == IDLE_INTCSR


@channel_behaviour("PCISR.received_target_abort", "DMACSR#.done", "DMAMODE#.clear_count", chips=SINCE_9054, guest=False)
def a_write_back_that_is_refused_stops_the_channel_without_an_interrupt(driver: Driver, channel: int) -> None:
    """So the write-back comes before DONE and the interrupt; abort drops the terminal count."""
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    where = List(driver, host_memory(driver, 0x0800_0000, writable=False))
    where.write(0, buffer.bus, driver.memory_at, 8, TO_PCI | LAST | TC)
    dma.chain(where.start, mode=INTERRUPTED_BY_DONE | CHAIN | CLEAR_COUNT)
    dma.run()
    assert driver.config_read(PCISR, 2) & (MASTER_ABORT | TARGET_ABORT) == TARGET_ABORT
    assert buffer.read(0, 8) == bytes(8)
    assert where.words(8, 1) == (8,)
    dma.write(MODE, RESET_MODE | CHAIN | CLEAR_COUNT)
    _fails(dma, 0x0800_0008)
    assert not dma.latched


@channel_behaviour("DMACSR#.done", guest=False)
def the_bytes_before_the_failing_one_have_moved(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    memory = host_memory(driver, 0x0800_0000)
    put(driver, 0, pattern(16))
    dma.block(memory.bus + 0xFF9, 0, 16, TO_PCI)
    dma.run()
    _fails(dma, 0x0800_1000)
    assert memory.read(0xFF0, 16) == FRESH * 9 + pattern(7)
    dma.block(memory.bus + 0xFF9, 0x20, 16)
    dma.run()
    _fails(dma, 0x0800_1000)
    assert got(driver, 0x20, 16) == pattern(7) + bytes(9)


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", guest=False)
def a_failed_transfer_is_not_retried_even_if_somebody_answers_by_then(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.block(0x0800_0000, 0, 8, TO_PCI)
    dma.run()
    assert dma.status == 0x01
    memory = host_memory(driver, 0x0800_0000)
    dma.command(0)
    dma.command(ENABLE)
    driver.settle()
    dma.command(ENABLE | START)
    driver.settle()
    assert dma.status == 0x01
    assert memory.read(0, 8) == FRESH * 8
    dma.command(ABORT)
    dma.run()
    assert dma.status == 0x11
    assert memory.read(0, 8) == bytes(8)


@channel_behaviour("PCISR.parity_error", "PCISR.master_parity_error", "PCICR.parity_response", guest=False)
def bad_parity_sets_status_and_the_transfer_goes_on(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    buffer.write(0, pattern(16))
    driver.local.bad_parity(buffer.bus + 4, 4)
    driver.local.bad_parity(where.start & ~IN_PCI, 16)
    idle, command = driver.config_read(PCISR, 2), driver.config_read(0x04, 2)
    where.write(0, buffer.bus, driver.memory_at, 16, LAST)
    for responds, bits in ((0, 0x8000), (0x40, 0x8100)):
        driver.config_write(0x04, command & ~0x40 | responds, 2)
        for chained in (False, True):
            put(driver, 0, bytes(16))
            dma.block(buffer.bus, 0, 16)
            if chained:
                dma.chain(where.start)
            dma.run()
            assert dma.status == 0x11
            assert got(driver, 0, 16) == pattern(16)
            assert driver.config_read(PCISR, 2) == idle | bits
            assert driver.read(INTCSR) == IDLE_INTCSR
            driver.config_write(PCISR, 0x8100, 2)
            assert driver.config_read(PCISR, 2) == idle


# -- above 4 GiB, and where a counter wraps: 4.3 --------------------------------------------------


@channel_behaviour("DMADAC#.high", chips=SINCE_9054, guest=False)
def a_block_reaches_memory_above_4_gib(driver: Driver, channel: int) -> None:
    dma, high, low = Dma(driver, channel), host_memory(driver, 0x3_0800_0000), host_memory(driver, 0x0800_0000)
    put(driver, 0, pattern(8))
    dma.write(DAC, 3)
    dma.block(0x0800_0010, 0, 8, TO_PCI)
    dma.run()
    assert dma.status == 0x11
    assert high.read(0, 32) == FRESH * 16 + pattern(8) + FRESH * 8
    assert low.read(0, 32) == FRESH * 32
    dma.block(0x0800_0010, 0x20, 8)
    dma.run()
    assert got(driver, 0x20, 8) == pattern(8)


@channel_behaviour("DMAMODE#.dac_chain", "DMADAC#.high", chips=SINCE_9054, guest=False)
def a_long_chain_reaches_memory_on_both_sides_of_4_gib(driver: Driver, channel: int) -> None:
    dma, high, low = Dma(driver, channel), host_memory(driver, 0x5_0000_0000), driver.buffer(16)
    high.write(0, b"high")
    low.write(0, b"low.")
    for where in (in_pci(driver), in_local(driver)):
        put(driver, 0, bytes(8))
        where.write(0, 0, driver.memory_at, 4, where.pointer(32), 5)
        where.write(32, low.bus, driver.memory_at + 4, 4, LAST, 0)
        dma.chain(where.start, mode=RESET_MODE | CHAIN | LONG)
        dma.run()
        assert dma.status == 0x11
        assert got(driver, 0, 8) == b"highlow."
        assert dma.read(DAC) == 0


@channel_behaviour("DMADAC#.high", chips=SINCE_9054, guest=False)
def the_upper_address_holds_for_every_standard_descriptor_and_for_no_descriptors(driver: Driver, channel: int) -> None:
    dma, high, where = Dma(driver, channel), host_memory(driver, 0x5_0000_0000), in_pci(driver)
    high.write(0, pattern(8))
    where.write(0, 0, driver.memory_at, 4, where.pointer(16))
    where.write(16, 4, driver.memory_at + 4, 4, LAST)
    dma.write(DAC, 5)
    dma.chain(where.start, mode=RESET_MODE | CHAIN | CLEAR_COUNT)
    dma.run()
    assert dma.status == 0x11
    assert got(driver, 0, 8) == pattern(8)
    assert where.words(8, 1) == (0,), "nor for the write-back"


@channel_behaviour("DMAPADR#.address", guest=False)
def the_pci_address_counter_wraps_at_32_bits(driver: Driver, channel: int) -> None:
    dma, top, bottom = Dma(driver, channel), host_memory(driver, 0xFFFF_F000), host_memory(driver, 0)
    put(driver, 0, pattern(8))
    dma.block(0xFFFF_FFFD, 0, 8, TO_PCI)
    dma.run()
    assert dma.status == 0x11
    assert (top.read(0xFFC, 4), bottom.read(0, 8)) == (FRESH + pattern(3), pattern(8)[3:] + FRESH * 3)
    dma.block(0xFFFF_FFFD, 0x20, 8)
    dma.run()
    assert got(driver, 0x20, 8) == pattern(8)


@channel_behaviour("DMADAC#.high", chips=SINCE_9054, guest=False)
def the_pci_address_counter_wraps_without_a_carry_into_the_upper_half(driver: Driver, channel: int) -> None:
    dma, top, bottom = Dma(driver, channel), host_memory(driver, 0x2_FFFF_F000), host_memory(driver, 0x2_0000_0000)
    put(driver, 0, pattern(8))
    dma.write(DAC, 2)
    dma.block(0xFFFF_FFFC, 0, 8, TO_PCI)
    dma.run()
    assert dma.status == 0x11
    assert (top.read(0xFFC, 4), bottom.read(0, 8)) == (pattern(4), pattern(8)[4:] + FRESH * 4)
