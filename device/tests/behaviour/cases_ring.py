# SPDX-License-Identifier: Apache-2.0
"""Ring management: valid bits, the moved registers, stop and poll (reference 4.1, 4.7, 4.8, 9.8)."""

from typing import Final

from tests.behaviour.cases_block import (
    ABORT,
    CHAIN,
    CLEAR,
    CLEAR_COUNT,
    DAC,
    DONE_INTR,
    DPR,
    ENABLE,
    FRESH,
    IN_PCI,
    LADR,
    LAST,
    LONG,
    MODE,
    PADR,
    RESET_MODE,
    SIZ,
    START,
    TC,
    TO_INTA,
    TO_PCI,
    VALID_MODE,
    VALID_STOP,
    Dma,
    bus_mastering,
    got,
    pattern,
    put,
)
from tests.behaviour.cases_chain import List, in_local, in_pci
from tests.behaviour.driver import SINCE_9056, CommonBuffer, Driver, channel_behaviour

VALID: Final = 1 << 31
RING: Final = RESET_MODE | CHAIN | VALID_MODE
STOPPING: Final = RING | VALID_STOP | CLEAR_COUNT

RING_SIZ, RING_PADR, RING_LADR = PADR, LADR, SIZ
"""In valid mode the size register comes first and the two addresses follow."""


def four(dma: Dma, where: List, buffer: CommonBuffer, *valid: bool, flags: int = TO_PCI) -> None:
    """A ring of four descriptors, 4 bytes each, between neighbouring places of `buffer` and the board's memory."""
    for n, is_valid in enumerate(valid):
        size, pointer = 4 | (VALID if is_valid else 0), where.pointer(16 * ((n + 1) % 4), flags)
        where.write(16 * n, size, buffer.bus + 4 * n, dma.driver.memory_at + 4 * n, pointer)


# -- registers: 4.1 -------------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.valid_mode", "DMASIZ#.count", "DMAPADR#.address", "DMALADR#.address", chips=SINCE_9056)
def valid_mode_shows_the_same_registers_in_another_order(driver: Driver, channel: int) -> None:
    dma, other = Dma(driver, channel), Dma(driver, 1 - channel)
    dma.block(0x1111_1111, 0, 0x33_3333, 0x4444_4444)
    dma.write(LADR, 0x2222_2222)
    other.block(0x5555_5555, 0, 0x77_7777)
    dma.write(MODE, RESET_MODE | VALID_MODE)
    assert dma.shown == (0x33_3333, 0x1111_1111, 0x2222_2222, 0x4444_4444)
    assert (other.read(PADR), other.read(SIZ)) == (0x5555_5555, 0x77_7777), "the other channel's stay"
    dma.write(RING_SIZ, 0x8066_6666)
    dma.write(RING_PADR, 0x7777_7777)
    dma.write(RING_LADR, 0x8888_8888)
    assert dma.shown == (0x8066_6666, 0x7777_7777, 0x8888_8888, 0x4444_4444)
    dma.write(MODE, RESET_MODE)
    assert dma.shown == (0x7777_7777, 0x8888_8888, 0x8066_6666, 0x4444_4444)


@channel_behaviour("DMAMODE#.valid_mode", chips=SINCE_9056)
def the_moved_registers_take_single_bytes(driver: Driver, channel: int) -> None:
    dma, first = Dma(driver, channel), 0x84 + 0x14 * channel
    dma.write(MODE, RESET_MODE | VALID_MODE)
    driver.write(first + 3, 0x80, 1)
    driver.write(first + 4, 0x1234, 2)
    driver.write(first + 10, 0x5678, 2)
    assert driver.read(first + 3, 1) == 0x80
    dma.write(MODE, RESET_MODE)
    assert dma.shown[:3] == (0x1234, 0x5678_0000, 0x8000_0000)


@channel_behaviour("DMASIZ#.valid", chips=SINCE_9056)
def the_valid_bit_of_the_register_means_nothing_to_a_block(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    for size in (0x8000_0004, 4):
        buffer.write(0, FRESH * 8)
        dma.block(buffer.bus, 0, size, TO_PCI)
        assert dma.read(SIZ) == size
        dma.run()
        assert dma.read(SIZ) == size
        assert buffer.read(0, 8) == bytes(4) + FRESH * 4


# -- stop: 4.8 ------------------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.valid_mode", "DMAMODE#.valid_stop", "DMAMODE#.clear_count", chips=SINCE_9056)
def a_ring_runs_up_to_the_first_invalid_descriptor(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(16))
    for where in (in_pci(driver), in_local(driver)):
        buffer.write(0, FRESH * 16)
        four(dma, where, buffer, True, True, False, True)
        dma.chain(where.start, mode=STOPPING)
        dma.run()
        assert dma.status == 0x11
        assert buffer.read(0, 16) == pattern(8) + FRESH * 8
        sizes = [where.words(16 * n, 1)[0] for n in range(4)]
        assert sizes == [0, 0, 4, VALID | 4], "the write-back clears VALID with the count"


@channel_behaviour(
    "DMADPR#.next",
    "DMADPR#.in_pci_memory",
    "DMAMODE#.valid_stop",
    "DMAPADR#.address",
    "DMASIZ#.count",
    "DMALADR#.address",
    chips=SINCE_9056,
)
def a_stopped_ring_shows_the_invalid_descriptor_and_points_to_it(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, True, False, False, False)
    dma.chain(where.start, mode=STOPPING)
    dma.run()
    assert dma.status == 0x11
    assert dma.shown == (4, buffer.bus + 4, driver.memory_at + 4, where.pointer(16, TO_PCI))


@channel_behaviour("DMACSR#.start", "DMAMODE#.valid_stop", "DMADPR#.next", chips=SINCE_9056)
def start_reads_the_descriptor_that_stopped_the_ring_once_more(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    put(driver, 0, pattern(16))
    four(dma, where, buffer, False, False, False, False)
    dma.chain(where.start, mode=STOPPING)
    for done in range(4):
        dma.run()
        assert dma.status == 0x11
        assert dma.read(DPR) & ~0xF | IN_PCI == where.pointer(16 * done)
        assert buffer.read(0, 16) == pattern(16)[: 4 * done] + FRESH * (16 - 4 * done)
        where.write(16 * done, VALID | 4)
    dma.run()
    assert buffer.read(0, 16) == pattern(16)
    assert dma.read(DPR) & ~0xF | IN_PCI == where.pointer(0), "round to the first"


@channel_behaviour("DMAMODE#.done_intr", "DMAMODE#.valid_stop", "INTCSR.dma#_active", chips=SINCE_9056)
def a_stop_raises_the_done_interrupt(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    for mode, latches in ((DONE_INTR, True), (0, False)):
        four(dma, where, buffer, True, False, False, False)
        dma.chain(where.start, mode=STOPPING | mode)
        dma.run()
        assert dma.status == 0x11
        assert dma.latched == latches
        dma.command(CLEAR)


@channel_behaviour("INTCSR.dma#_active", "DMACSR#.clear_intr", chips=SINCE_9056)
def the_terminal_count_before_an_invalid_descriptor_is_signalled(driver: Driver, channel: int) -> None:
    """Once it is loaded, whether it stops the ring or is polled."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    for mode, status in ((STOPPING, 0x11), (RING | CLEAR_COUNT, 0x01)):
        four(dma, where, buffer, True, False, False, False, flags=TO_PCI | TC)
        dma.chain(where.start, mode=mode | TO_INTA)
        dma.enable_interrupt()
        dma.run()
        assert driver.inta()
        assert dma.latched
        assert dma.status == status
        assert dma.read(RING_PADR) == buffer.bus + 4
        dma.command(CLEAR)
        dma.command(ABORT)
        assert not dma.latched
        assert not driver.inta()


@channel_behaviour("DMAMODE#.clear_count", "DMAMODE#.valid_mode", chips=SINCE_9056)
def without_clear_count_a_descriptor_stays_valid(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, True, True, True, False)
    dma.chain(where.start, mode=RING | VALID_STOP)
    dma.run()
    assert dma.status == 0x11
    assert [where.words(16 * n, 1)[0] for n in range(4)] == [VALID | 4] * 3 + [4]


@channel_behaviour("DMADPR#.end_of_chain", "DMACSR#.done", chips=SINCE_9056)
def a_valid_descriptor_with_end_of_chain_ends_it(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, True, True, True, True)
    where.write(16, VALID | 4, buffer.bus + 4, driver.memory_at + 4, where.pointer(32, TO_PCI | LAST))
    dma.chain(where.start, mode=RING | CLEAR_COUNT)
    dma.run()
    assert dma.status == 0x11
    assert dma.read(DPR) == where.pointer(32, TO_PCI | LAST)
    assert buffer.read(0, 16) == bytes(8) + FRESH * 8
    assert [where.words(16 * n, 1)[0] for n in range(4)] == [0, 0, VALID | 4, VALID | 4]


# -- no bytes: 4.8 --------------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.valid_mode", "INTCSR.dma#_active", chips=SINCE_9056)
def a_valid_descriptor_of_no_bytes_is_passed_in_silence(driver: Driver, channel: int) -> None:
    """Neither write-back nor terminal count."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, True, True, False, False)
    where.write(0, VALID, buffer.bus, driver.memory_at, where.pointer(16, TO_PCI | TC))
    dma.chain(where.start, mode=STOPPING)
    dma.run()
    assert dma.status == 0x11
    assert not dma.latched
    assert [where.words(16 * n, 1)[0] for n in range(3)] == [VALID, 0, 4]
    assert buffer.read(0, 16) == FRESH * 4 + bytes(4) + FRESH * 8


@channel_behaviour("INTCSR.dma#_active", "DMADPR#.end_of_chain", chips=SINCE_9056)
def a_valid_descriptor_of_no_bytes_that_ends_the_chain_counts(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, VALID, buffer.bus, driver.memory_at, where.pointer(16, TO_PCI | TC | LAST))
    dma.chain(where.start, mode=STOPPING)
    dma.run()
    assert dma.status == 0x11
    assert dma.latched
    assert dma.read(DPR) == where.pointer(16, TO_PCI | TC | LAST)
    assert where.words(0, 1) == (0,)
    assert buffer.read(0, 16) == FRESH * 16


# -- poll: 4.8 ------------------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.valid_stop", "DMAMODE#.valid_mode", "DMADPR#.next", "DMACSR#.done", chips=SINCE_9056)
def a_polled_descriptor_is_not_followed_and_shows(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, True, False, True, True)
    dma.chain(where.start, mode=RING | CLEAR_COUNT | DONE_INTR)
    dma.run()
    driver.settle()
    assert dma.status == 0x01
    assert dma.shown == (4, buffer.bus + 4, driver.memory_at + 4, where.pointer(16, TO_PCI))
    assert not dma.latched
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12
    assert where.words(16, 1) == (4,)


@channel_behaviour("DMAMODE#.valid_mode", "DMAMODE#.valid_stop", chips=SINCE_9056)
def a_polled_ring_goes_on_from_descriptor_to_descriptor(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(16))
    for where in (in_pci(driver), in_local(driver)):
        buffer.write(0, FRESH * 16)
        four(dma, where, buffer, False, False, False, False)
        dma.chain(where.start, mode=RING | CLEAR_COUNT)
        dma.run()
        for done in range(1, 4):
            where.write(16 * (done - 1), VALID | 4)
            driver.settle()
            assert buffer.read(0, 16) == pattern(16)[: 4 * done] + FRESH * (16 - 4 * done)
            assert where.words(16 * (done - 1), 1) == (0,)
            assert dma.status == 0x01
        dma.command(ABORT)
        assert dma.status == 0x10


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", chips=SINCE_9056)
def a_pause_holds_the_polling_too(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, False, False, False, False)
    dma.chain(where.start, mode=RING | CLEAR_COUNT)
    dma.run()
    dma.command(0)
    assert dma.status == 0x00
    where.write(0, VALID | 4)
    driver.settle()
    assert buffer.read(0, 16) == FRESH * 16
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x01
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12


@channel_behaviour("DMAMODE#.valid_stop", chips=SINCE_9056)
def a_polled_ring_stops_once_the_mode_says_so(driver: Driver, channel: int) -> None:
    """The mode is looked at whenever a descriptor is read."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, False, False, False, False)
    dma.chain(where.start, mode=RING | CLEAR_COUNT)
    dma.run()
    assert dma.status == 0x01
    dma.write(MODE, STOPPING)
    driver.settle()
    assert dma.status == 0x11


@channel_behaviour("DMACSR#.start", "DMACSR#.done", "DMACSR#.enable", chips=SINCE_9056)
def a_start_that_comes_too_early_is_ignored_and_the_new_valid_is_seen(driver: Driver, channel: int) -> None:
    """The gap that hangs silicon: the load still to come sees the new VALID."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    four(dma, where, buffer, False, False, False, False)
    bus_mastering(driver, on=False)
    dma.chain(where.start, mode=STOPPING)
    dma.command(ENABLE | START)
    where.write(0, VALID | 4)
    dma.command(ENABLE | START)
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12
    assert dma.read(DPR) & ~0xF | IN_PCI == where.pointer(16)


# -- the long format: 4.7 -------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.dac_chain", "DMADAC#.high", chips=SINCE_9056)
def a_long_ring_descriptor_has_the_upper_address_in_its_fifth_dword(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, VALID | 8, buffer.bus, driver.memory_at, where.pointer(32, TO_PCI), 0)
    where.write(32, VALID | 8, buffer.bus + 8, driver.memory_at, where.pointer(0, TO_PCI), 1)
    dma.write(DAC, 0x8000_0000)
    dma.chain(where.start, mode=STOPPING | LONG)
    dma.run()
    assert dma.status == 0x01, "nothing is there"
    assert dma.read(DAC) == 1
    assert buffer.read(0, 16) == bytes(8) + FRESH * 8
    assert [where.words(32 * n, 1)[0] for n in range(2)] == [0, VALID | 8]
    dma.command(ABORT)
    assert dma.status == 0x10


@channel_behaviour("DMASIZ#.valid", "DMASIZ#.count", "DMAMODE#.valid_mode", chips=SINCE_9056)
def a_valid_descriptor_shows_its_size_word_while_it_is_held(driver: Driver, channel: int) -> None:
    """The bits between count and VALID do not exist."""
    dma, where = Dma(driver, channel), in_pci(driver)
    where.write(0, 0xFF80_0004, 0xF800_0000, driver.memory_at, where.pointer(16, TO_PCI))
    dma.chain(where.start, mode=STOPPING)
    dma.run()
    assert dma.status == 0x01
    assert dma.read(RING_SIZ) == VALID | 4
    dma.command(ABORT)
    assert got(driver, 0, 4) == bytes(4)
