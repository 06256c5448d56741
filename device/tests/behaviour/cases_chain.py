# SPDX-License-Identifier: Apache-2.0
"""Chains of descriptors: formats, flags, the order of events, clear count (reference 4.7 to 4.9, 10.1).

Long, because the formats and the engine's order of events are one state machine, best read side by side.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.behaviour.cases_block import (
    ABORT,
    CHAIN,
    CLEAR,
    CLEAR_COUNT,
    DAC,
    DEMAND,
    DONE_INTR,
    DPR,
    ENABLE,
    FRESH,
    HOLD_LOCAL,
    IDLE_INTCSR,
    IN_PCI,
    INTCSR,
    LADR,
    LAST,
    LONG,
    MODE,
    NOWHERE,
    PADR,
    RESET_MODE,
    SIZ,
    START,
    TC,
    TO_INTA,
    TO_PCI,
    Dma,
    both,
    bus_mastering,
    got,
    pattern,
    put,
)
from tests.behaviour.driver import SINCE_9054, SINCE_9056, CommonBuffer, Driver, behaviour, channel_behaviour

CHAINED: Final = RESET_MODE | CHAIN
LIST: Final = 0x8000
"""Offset in the board's memory of the chains that are kept there."""


@dataclass(frozen=True)
class List:
    """Where descriptors are kept: a common buffer, or the board's memory from an offset on."""

    driver: Driver
    buffer: CommonBuffer | None = None
    offset: int = LIST

    @property
    def start(self) -> int:
        """Its address, with bit 0 as a pointer to it has it."""
        return self.buffer.bus | IN_PCI if self.buffer else self.driver.memory_at + self.offset

    def pointer(self, offset: int, flags: int = 0) -> int:
        """A descriptor's last dword that goes on at `offset`."""
        return self.start + offset | flags

    def write(self, offset: int, *words: int) -> None:
        raw = struct.pack(f"<{len(words)}I", *words)
        if self.buffer:
            self.buffer.write(offset, raw)
        else:
            put(self.driver, self.offset + offset, raw)

    def words(self, offset: int, count: int = 4) -> tuple[int, ...]:
        raw = self.buffer.read(offset, 4 * count) if self.buffer else got(self.driver, self.offset + offset, 4 * count)
        return struct.unpack(f"<{count}I", raw)


def in_pci(driver: Driver) -> List:
    return List(driver, driver.buffer(4096))


def in_local(driver: Driver) -> List:
    return List(driver)


def moved_to(buffer: CommonBuffer, limit: Callable[[], int]) -> Callable[[], int]:
    """A board that asks for `limit()` bytes of a transfer to a fresh buffer in all, as its memory shows them."""

    def ready() -> int:
        return max(0, limit() - sum(byte != FRESH[0] for byte in buffer.read(0, buffer.length)))

    return ready


# -- formats: 4.7 ---------------------------------------------------------------------------------


def _scattered(dma: Dma, where: List, flags: int) -> None:
    """Three descriptors that reorder 48 bytes; the second of them is of odd size at odd addresses."""
    driver, buffer = dma.driver, dma.driver.buffer(256)
    pieces = ((0, 0x40, 20), (0x21, 0x23, 17), (0x80, 0x60, 11))
    for pci, local, count in pieces:
        if flags & TO_PCI:
            put(driver, local & ~3, bytes(local & 3) + pattern(count, first=pci + 1))
        else:
            buffer.write(pci, pattern(count, first=pci + 1))
    for n, (pci, local, count) in enumerate(pieces):
        pointer = where.pointer(32 * (n + 1), flags | (LAST if n == 2 else 0))
        where.write(32 * n, buffer.bus + pci, driver.memory_at + local, count, pointer)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x11
    assert dma.shown == where.words(64), "the registers show the last descriptor, its end of chain too"
    if flags & TO_PCI:
        expected = bytearray(FRESH * 256)
        for pci, _, count in pieces:
            expected[pci : pci + count] = pattern(count, first=pci + 1)
        assert buffer.read(0, 256) == bytes(expected)
    else:
        expected = bytearray(0x80)
        for pci, local, count in pieces:
            expected[local : local + count] = pattern(count, first=pci + 1)
        assert got(driver, 0, 0x80) == bytes(expected)


@channel_behaviour(
    "DMAMODE#.chain", "DMADPR#.in_pci_memory", "DMADPR#.next", "DMADPR#.end_of_chain", "DMASIZ#.count", "DMADPR#.to_pci"
)
def a_chain_in_pci_memory_to_local(driver: Driver, channel: int) -> None:
    _scattered(Dma(driver, channel), in_pci(driver), 0)


@channel_behaviour(
    "DMAMODE#.chain", "DMADPR#.in_pci_memory", "DMADPR#.next", "DMADPR#.end_of_chain", "DMASIZ#.count", "DMADPR#.to_pci"
)
def a_chain_in_pci_memory_to_pci(driver: Driver, channel: int) -> None:
    _scattered(Dma(driver, channel), in_pci(driver), TO_PCI)


@channel_behaviour("DMAMODE#.chain", "DMADPR#.in_pci_memory", "DMADPR#.end_of_chain")
def a_chain_in_local_memory_to_local(driver: Driver, channel: int) -> None:
    _scattered(Dma(driver, channel), in_local(driver), 0)


@channel_behaviour("DMAMODE#.chain", "DMADPR#.in_pci_memory", "DMADPR#.end_of_chain")
def a_chain_in_local_memory_to_pci(driver: Driver, channel: int) -> None:
    _scattered(Dma(driver, channel), in_local(driver), TO_PCI)


@channel_behaviour("DMADPR#.in_pci_memory", "DMADPR#.next")
def a_chain_may_change_between_pci_and_local_memory(driver: Driver, channel: int) -> None:
    """Bit 0 of a descriptor's last dword says where the next one is."""
    dma, buffer, near, far = Dma(driver, channel), driver.buffer(16), in_local(driver), in_pci(driver)
    buffer.write(0, pattern(12))
    far.write(0, buffer.bus, driver.memory_at, 4, near.pointer(0))
    near.write(0, buffer.bus + 4, driver.memory_at + 4, 4, far.pointer(16))
    far.write(16, buffer.bus + 8, driver.memory_at + 8, 4, LAST)
    dma.chain(far.start)
    dma.run()
    assert dma.status == 0x11
    assert got(driver, 0, 16) == pattern(12) + bytes(4)


@channel_behaviour("DMAMODE#.dac_chain", "DMADAC#.high", chips=SINCE_9054)
def a_long_descriptor_loads_the_upper_address(driver: Driver, channel: int) -> None:
    """Wherever it is kept; its fifth dword overrides the register, and its successor's overrides it."""
    dma = Dma(driver, channel)
    for where in (in_pci(driver), in_local(driver)):
        buffer = driver.buffer(16)
        where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(32, TO_PCI), 0)
        where.write(32, buffer.bus + 8, driver.memory_at, 8, TO_PCI | LAST, 0x0000_0001)
        dma.write(DAC, 0x8000_0000)
        dma.chain(where.start, mode=CHAINED | LONG)
        dma.run()
        assert dma.status == 0x01, "nothing is there"
        assert dma.read(DAC) == 1
        assert buffer.read(0, 16) == bytes(8) + FRESH * 8
        dma.command(ABORT)


@channel_behaviour("DMAMODE#.dac_chain", "DMADAC#.high", chips=SINCE_9054)
def a_standard_descriptor_leaves_the_upper_address_to_the_register(driver: Driver, channel: int) -> None:
    """The WDK sample writes a fifth dword that is not loaded, and zeroes DMADAC at first."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(32, TO_PCI), 1)
    where.write(32, buffer.bus + 8, driver.memory_at, 8, TO_PCI | LAST, 1)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == bytes(16)
    assert dma.read(DAC) == 0
    buffer.write(0, FRESH * 16)
    dma.write(DAC, 1)
    dma.chain(where.start)
    dma.run()
    assert dma.shown == where.words(0), "the register is for data: descriptors are below 4 GiB always"
    assert dma.status == 0x01, "nothing is there"
    assert buffer.read(0, 16) == FRESH * 16


@channel_behaviour("DMADPR#.next")
def descriptors_are_16_byte_aligned(driver: Driver, channel: int) -> None:
    """Bits 3:1 of the register are no address bits."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    buffer.write(0, pattern(4))
    where.write(0x30, buffer.bus, driver.memory_at, 4, LAST)
    dma.chain(where.pointer(0x3E))
    dma.run()
    assert dma.status == 0x11
    assert got(driver, 0, 4) == pattern(4)


@channel_behaviour("DMAMODE#.valid_mode", chips=SINCE_9056)
def the_valid_bit_means_nothing_in_a_standard_descriptor(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    buffer.write(0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 1 << 31 | 4, where.pointer(16))
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, LAST)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x11
    assert got(driver, 0, 12) == pattern(8) + bytes(4)


@channel_behaviour(chips=("9080", "9054"))
def chips_without_valid_mode_read_every_descriptor_as_a_standard_one(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    buffer.write(0, pattern(4))
    where.write(0, buffer.bus, driver.memory_at, 0xFF80_0004, LAST)
    dma.chain(where.start, mode=CHAINED | 0x0038_0000)
    dma.run()
    assert dma.status == 0x11
    assert dma.read(SIZ) == 4
    assert got(driver, 0, 8) == pattern(4) + bytes(4)


# -- flags: 4.7, 10.1 -----------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.chain", "INTCSR.dma#_active")
def the_flags_of_the_first_pointer_mean_nothing(driver: Driver, channel: int) -> None:
    """The WDK sample writes them from an unset variable, the SDK without the direction."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    put(driver, 0, pattern(8))
    for flags in (0, LAST, TC, TO_PCI, LAST | TC | TO_PCI):
        buffer.write(0, FRESH * 16)
        where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI))
        where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, TO_PCI | LAST)
        dma.chain(where.start | flags)
        dma.run()
        assert dma.status == 0x11
        assert buffer.read(0, 16) == pattern(8) + FRESH * 8
        assert not dma.latched


@channel_behaviour("DMAMODE#.chain")
def each_descriptor_has_its_own_direction(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    buffer.write(0, pattern(4))
    put(driver, 0x40, pattern(4, first=50))
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16))
    where.write(16, buffer.bus + 8, driver.memory_at + 0x40, 4, where.pointer(32, TO_PCI))
    where.write(32, buffer.bus + 8, driver.memory_at + 4, 4, LAST)
    dma.chain(where.start | TO_PCI)
    dma.run()
    assert got(driver, 0, 12) == pattern(4) + pattern(4, first=50) + bytes(4)
    assert buffer.read(0, 16) == pattern(4) + FRESH * 4 + pattern(4, first=50) + FRESH * 4


@channel_behaviour("DMADPR#.end_of_chain")
def what_the_last_descriptor_points_to_is_not_followed(driver: Driver, channel: int) -> None:
    """As the WDK sample's last one does, which points to the next element all the same."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI | LAST))
    where.write(16, buffer.bus + 4, driver.memory_at, 4, TO_PCI | LAST)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12
    assert dma.shown == where.words(0)


@channel_behaviour("DMAPADR#.address", "DMALADR#.address", "DMASIZ#.count")
def what_a_block_left_in_the_registers_does_not_disturb_a_chain(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 4, TO_PCI | LAST)
    dma.block(NOWHERE, 0x1000, 0x7F_FFFF)
    dma.chain(where.start)
    dma.run()
    assert dma.shown == where.words(0)
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12
    assert driver.read(INTCSR) == IDLE_INTCSR


@channel_behaviour("DMADPR#.end_of_chain", "DMADPR#.next", "DMADPR#.in_pci_memory")
def a_driver_goes_on_after_the_end_by_clearing_the_end_of_chain_bit(driver: Driver, channel: int) -> None:
    """cb_pcidas64's restart of an output that ran dry: DMADPR still holds the last descriptor's last dword."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    buffer.write(0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, LAST | TC))
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, where.pointer(0, LAST | TC))
    dma.chain(where.start)
    dma.run()
    assert dma.read(DPR) == where.pointer(16, LAST | TC)
    assert dma.read(PADR) == buffer.bus
    assert got(driver, 0, 8) == pattern(4) + bytes(4)
    dma.write(DPR, dma.read(DPR) & ~LAST)
    dma.command(0x0B)
    driver.settle()
    assert dma.status == 0x11
    assert dma.read(DPR) == where.pointer(0, LAST | TC)
    assert got(driver, 0, 12) == pattern(8) + bytes(4)


@channel_behaviour("DMAMODE#.chain", "DMAMODE#.hold_local", "DMAMODE#.local_width")
def a_descriptor_is_moved_in_the_mode_that_held_when_it_was_fetched(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    put(driver, 0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 8, TO_PCI | LAST)
    bus_mastering(driver, on=False)
    dma.chain(where.start)
    dma.command(ENABLE | START)
    dma.write(MODE, CHAINED & ~3 | HOLD_LOCAL | 1)
    bus_mastering(driver, on=True)
    driver.settle()
    assert buffer.read(0, 16) == pattern(2) * 4 + FRESH * 8


@channel_behaviour("DMAMODE#.hold_local", guest=False)
def a_mode_written_meanwhile_holds_from_the_next_descriptor_on(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    put(driver, 0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(16, TO_PCI))
    where.write(16, buffer.bus + 8, driver.memory_at, 8, TO_PCI | LAST)
    allowed = [4]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.chain(where.start, mode=CHAINED | DEMAND)
    dma.run()
    assert buffer.read(0, 16) == pattern(4) + FRESH * 12
    dma.write(MODE, CHAINED | HOLD_LOCAL)
    allowed[0] = 8
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == pattern(8) + pattern(4) * 2


@channel_behaviour("DMADPR#.next", "DMADPR#.to_pci", "DMADPR#.end_of_chain", guest=False)
def what_is_written_to_the_pointer_meanwhile_does_not_change_where_the_chain_goes(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    put(driver, 0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI))
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, TO_PCI | LAST)
    allowed = [2]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.chain(where.start, mode=CHAINED | DEMAND)
    dma.run()
    dma.write(DPR, NOWHERE | IN_PCI | LAST)
    assert dma.read(DPR) == NOWHERE | IN_PCI | LAST
    allowed[0] = 16
    driver.settle()
    assert dma.status == 0x11
    assert dma.read(DPR) == TO_PCI | LAST
    assert buffer.read(0, 16) == pattern(8) + FRESH * 8


# -- the order of events: 4.8, 10.1 ---------------------------------------------------------------


@channel_behaviour("DMADPR#.end_of_chain", "DMADPR#.next", guest=False)
def descriptors_are_fetched_one_at_a_time_and_late(driver: Driver, channel: int) -> None:
    """cb_pcidas64 appends to a chain that runs: it takes the end-of-chain bit back and fills in the next one."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(32), in_pci(driver)
    put(driver, 0, pattern(12))
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI))
    where.write(16, NOWHERE, 0, 4, TO_PCI | LAST)
    allowed = [2]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.chain(where.start, mode=CHAINED | DEMAND)
    dma.run()
    assert dma.shown[:3] == (buffer.bus, driver.memory_at, 4), "fetched at START"
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, where.pointer(32, TO_PCI))
    where.write(32, buffer.bus + 8, driver.memory_at + 8, 4, TO_PCI | LAST)
    allowed[0] = 12
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 32) == pattern(12) + FRESH * 20
    assert dma.shown == where.words(32)


@channel_behaviour("DMAPADR#.address", "DMADPR#.terminal_count_intr", "INTCSR.dma#_active", "DMACSR#.done")
def a_terminal_count_is_signalled_once_the_next_descriptor_shows(driver: Driver, channel: int) -> None:
    """gsc_hpdi takes a buffer for complete when DMAPADR is outside it: here the next one cannot move."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI | TC))
    where.write(16, NOWHERE, driver.memory_at + 4, 8, where.pointer(0, TO_PCI))
    dma.chain(where.start, mode=CHAINED | TO_INTA)
    dma.enable_interrupt()
    dma.run()
    assert driver.inta()
    assert dma.latched
    assert dma.status == 0x01, "DONE tells an intermediate terminal count from the end"
    assert dma.shown == where.words(16)
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12
    dma.command(CLEAR | ENABLE)
    assert not driver.inta()
    dma.command(ABORT)


@channel_behaviour("INTCSR.dma#_active", "DMAPADR#.address", guest=False)
def no_terminal_count_is_signalled_while_its_descriptor_moves(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI | TC))
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, where.pointer(32, TO_PCI | TC))
    where.write(32, buffer.bus + 8, driver.memory_at + 8, 4, TO_PCI | LAST)
    allowed = [0]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.chain(where.start, mode=CHAINED | DEMAND | TO_INTA)
    dma.enable_interrupt()
    dma.run()
    for limit, shown, latched in ((3, 0, False), (4, 4, True), (7, 4, True), (8, 8, True), (11, 8, True)):
        allowed[0] = limit
        driver.settle()
        assert (dma.read(PADR), dma.latched, driver.inta()) == (buffer.bus + shown, latched, latched)
    dma.command(CLEAR | ENABLE)
    allowed[0] = 12
    driver.settle()
    assert dma.status == 0x11
    assert not dma.latched, "the last one has no TC, and the mode no done interrupt"


@channel_behaviour("DMADPR#.terminal_count_intr", "INTCSR.dma#_active", "DMACSR#.done")
def a_terminal_count_is_signalled_even_if_the_next_descriptor_cannot_be_fetched(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 4, NOWHERE | IN_PCI | TO_PCI | TC)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x01
    assert dma.latched
    assert dma.shown == where.words(0)
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12


@channel_behaviour("DMAMODE#.done_intr", "DMADPR#.terminal_count_intr", "DMACSR#.clear_intr")
def the_end_of_a_chain_latches_one_interrupt(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    for mode, flags, latches in ((0, 0, False), (DONE_INTR, 0, True), (0, TC, True), (DONE_INTR, TC, True)):
        where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI))
        where.write(16, buffer.bus, driver.memory_at, 4, TO_PCI | LAST | flags)
        dma.chain(where.start, mode=CHAINED | mode)
        dma.run()
        assert dma.status == 0x11
        assert dma.read(DPR) == TO_PCI | LAST | flags
        assert dma.latched == latches
        dma.command(CLEAR)
        assert not dma.latched


@channel_behaviour("DMACSR#.done", "DMACSR#.enable", "DMACSR#.abort")
def a_circular_ring_is_never_done(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(4096), in_pci(driver)
    for n in range(4):
        where.write(16 * n, buffer.bus + 1024 * n, driver.memory_at, 1024, where.pointer(16 * (n + 1) % 64, TO_PCI))
    dma.chain(where.start, mode=CHAINED | DONE_INTR)
    dma.command(ENABLE | START)
    assert dma.status == 0x01
    dma.command(0)
    driver.settle()
    assert dma.status == 0x00
    dma.command(ABORT)
    assert dma.status == 0x10
    driver.settle()
    assert dma.latched


@channel_behaviour("DMAPADR#.address", "DMADPR#.next", guest=False)
def a_circular_ring_comes_round_again(driver: Driver, channel: int) -> None:
    """Of two descriptors, until the board wants no more in the middle of the third lap."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_pci(driver)
    put(driver, 0, pattern(8))
    where.write(0, buffer.bus, driver.memory_at, 4, where.pointer(16, TO_PCI))
    where.write(16, buffer.bus + 4, driver.memory_at + 4, 4, where.pointer(0, TO_PCI))
    laps = []

    def ready() -> int:
        if buffer.read(7, 1) != FRESH:
            laps.append(buffer.read(0, 8))
            buffer.write(0, FRESH * 8)
        return 4 if len(laps) < 2 else 4 - sum(byte != FRESH[0] for byte in buffer.read(0, 8))

    driver.local.demand(channel, ready)
    dma.chain(where.start, mode=CHAINED | DEMAND)
    dma.run()
    assert laps == [pattern(8)] * 2
    assert buffer.read(0, 8) == pattern(4) + FRESH * 4
    assert dma.status == 0x01
    assert dma.shown == where.words(16)
    dma.command(ABORT)
    assert dma.status == 0x10


@behaviour("DMAMODE0.chain", "DMAMODE1.chain", "DMADPR0.next", "DMADPR1.next", "DMACSR0.start", "DMACSR1.start")
def both_channels_run_their_chains_at_once(driver: Driver) -> None:
    """As the WDK sample's test program does: one writes, the other reads."""
    there, back = both(driver)
    lists, buffers = (in_pci(driver), in_pci(driver)), (driver.buffer(256), driver.buffer(256))
    buffers[0].write(0, pattern(128))
    put(driver, 0x200, pattern(128, first=90))
    for n in range(8):
        last = LAST if n == 7 else 0
        lists[0].write(
            32 * n, buffers[0].bus + 16 * n, driver.memory_at + 16 * n, 16, lists[0].pointer(32 * n + 32, last)
        )
        local = driver.memory_at + 0x200 + 16 * n
        lists[1].write(32 * n, buffers[1].bus + 16 * n, local, 16, lists[1].pointer(32 * n + 32, last | TO_PCI))
    there.chain(lists[0].start)
    back.chain(lists[1].start)
    there.command(ENABLE | START)
    back.command(ENABLE | START)
    driver.settle()
    assert (there.status, back.status) == (0x11, 0x11)
    assert got(driver, 0, 132) == pattern(128) + bytes(4)
    assert buffers[1].read(0, 256) == pattern(128, first=90) + FRESH * 128


# -- clear count: 4.9, 10.1 -----------------------------------------------------------------------


def _cleared(dma: Dma, where: List, count: int) -> None:
    """Run two descriptors with clear count; afterwards their counts are `count`, or what they were if it is -1."""
    buffer = dma.driver.buffer(64)
    where.write(0, buffer.bus, dma.driver.memory_at, 24, where.pointer(32, TO_PCI), 0x5555_5555)
    where.write(32, buffer.bus + 24, dma.driver.memory_at, 40, TO_PCI | LAST, 0x5555_5555)
    before = where.words(0, 16)
    dma.chain(where.start, mode=CHAINED | CLEAR_COUNT)
    dma.run()
    assert dma.status == 0x11
    assert buffer.read(0, 64) == bytes(64)
    after = list(before)
    if count >= 0:
        after[2] = after[10] = count
    assert where.words(0, 16) == tuple(after), "and no other word"
    assert dma.read(SIZ) == 40, "the register keeps the descriptor's count"


@channel_behaviour("DMAMODE#.clear_count", chips=SINCE_9054)
def clear_count_zeroes_the_counts_of_a_chain_in_pci_memory(driver: Driver, channel: int) -> None:
    _cleared(Dma(driver, channel), in_pci(driver), 0)


@channel_behaviour("DMAMODE#.clear_count")
def clear_count_zeroes_the_counts_of_a_chain_in_local_memory(driver: Driver, channel: int) -> None:
    _cleared(Dma(driver, channel), in_local(driver), 0)


@channel_behaviour(chips=("9080",))
def the_9080_leaves_the_counts_of_a_chain_in_pci_memory(driver: Driver, channel: int) -> None:
    _cleared(Dma(driver, channel), in_pci(driver), -1)


@channel_behaviour("DMAMODE#.clear_count", "DMADPR#.in_pci_memory")
def the_count_goes_back_to_where_the_descriptor_came_from(driver: Driver, channel: int) -> None:
    """Not to where the next one is: bit 0 of its own last dword says that."""
    dma, buffer, near, far = Dma(driver, channel), driver.buffer(16), in_local(driver), in_pci(driver)
    near.write(0, buffer.bus, driver.memory_at, 8, far.pointer(0, TO_PCI))
    far.write(0, buffer.bus + 8, driver.memory_at, 8, near.pointer(64, TO_PCI | LAST))
    dma.chain(near.start, mode=CHAINED | CLEAR_COUNT)
    dma.run()
    assert dma.status == 0x11
    assert near.words(8, 1) == (0,)
    assert far.words(8, 1) == ((8,) if driver.chip == "9080" else (0,))


@channel_behaviour("DMAMODE#.clear_count")
def without_clear_count_the_descriptors_stay_as_they_are(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    for where in (in_pci(driver), in_local(driver)):
        where.write(0, buffer.bus, driver.memory_at, 8, TO_PCI | LAST | TC)
        before = where.words(0)
        dma.chain(where.start)
        dma.run()
        assert where.words(0) == before


@channel_behaviour("DMACSR#.done", "INTCSR.dma#_active")
def a_descriptor_of_no_bytes_counts_like_any_other(driver: Driver, channel: int) -> None:
    """It moves nothing, signals its terminal count, and the chain goes on."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_pci(driver)
    where.write(0, NOWHERE, driver.memory_at, 0, where.pointer(16, TO_PCI | TC))
    where.write(16, buffer.bus, driver.memory_at, 4, TO_PCI | LAST)
    dma.chain(where.start)
    dma.run()
    assert dma.status == 0x11
    assert driver.read(INTCSR) == IDLE_INTCSR | dma.interrupt
    assert buffer.read(0, 16) == bytes(4) + FRESH * 12


@channel_behaviour(
    "DMAMODE#.clear_count",
    "DMAMODE#.done_intr",
    "DMAMODE#.to_inta",
    "DMAMODE#.chain",
    "INTCSR.dma#_enable",
    "DMACSR#.clear_intr",
    chips=SINCE_9054,
)
def the_wdk_samples_read_finds_its_counts_cleared_when_it_is_interrupted(driver: Driver, channel: int) -> None:
    """Register by register: mode and INTCSR are read and modified, the first pointer has garbage in its flags."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(96), in_pci(driver)
    dma.write(DAC, 0)
    put(driver, 0, pattern(96))
    for n in range(3):
        pointer = where.pointer(32 * (n + 1), TO_PCI | (LAST if n == 2 else 0))
        where.write(32 * n, buffer.bus + 32 * n, driver.memory_at + 32 * n, 32, pointer, 0, 0, 0, 0)
    dma.write(MODE, dma.read(MODE) | CHAIN | DONE_INTR | TO_INTA | CLEAR_COUNT)
    assert dma.read(MODE) == 0x3_0643
    driver.write(INTCSR, driver.read(INTCSR) | 1 << 8 | dma.interrupt_enable)
    dma.write(DPR, where.start | 4 | 2 | 8)
    dma.command(dma.status | 3)
    driver.settle()
    assert driver.inta()
    assert driver.read(INTCSR) == IDLE_INTCSR | dma.interrupt_enable | dma.interrupt
    assert dma.status == 0x11
    assert sum(where.words(32 * n + 8, 1)[0] for n in range(3)) == 0
    assert buffer.read(0, 96) == pattern(96)
    dma.command(0x11 | CLEAR)
    assert not driver.inta()
    driver.settle()
    assert driver.read(INTCSR) == IDLE_INTCSR | dma.interrupt_enable


@channel_behaviour("DMAMODE#.clear_count", "DMALADR#.address", guest=False)
def a_count_is_written_back_once_the_descriptor_is_through(driver: Driver, channel: int) -> None:
    """Neither before, nor only at the end of the chain."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(16), in_local(driver)
    where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(16, TO_PCI))
    where.write(16, buffer.bus + 8, driver.memory_at, 8, TO_PCI | LAST)
    allowed = [6]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.chain(where.start, mode=CHAINED | CLEAR_COUNT | DEMAND)
    dma.run()
    assert (where.words(8, 1), where.words(24, 1)) == ((8,), (8,))
    allowed[0] = 14
    driver.settle()
    assert (where.words(8, 1), where.words(24, 1)) == ((0,), (8,))
    assert dma.read(LADR) == driver.memory_at
    allowed[0] = 16
    driver.settle()
    assert (where.words(8, 1), where.words(24, 1)) == ((0,), (0,))
    assert dma.status == 0x11
