# SPDX-License-Identifier: Apache-2.0
"""What sets a transfer's pace, ends it early or turns its bytes: pause, demand mode, EOT#, whose turn it is, BIGEND
(reference 2.3, 2.4, 4.10, 4.11).

Long, because each of these is small and needs the same half-done transfer.
"""

from collections.abc import Callable
from typing import Final

from tests.behaviour.cases_block import (
    ABORT,
    CHAIN,
    CLEAR,
    CLEAR_COUNT,
    CSR,
    DEMAND,
    DONE_INTR,
    DPR,
    ENABLE,
    END_LINK,
    EOT,
    FRESH,
    HOLD_LOCAL,
    LAST,
    LONG,
    MODE,
    PADR,
    RESET_MODE,
    SIZ,
    START,
    TC,
    TO_PCI,
    VALID_MODE,
    VALID_STOP,
    Dma,
    both,
    bus_mastering,
    got,
    pattern,
    put,
)
from tests.behaviour.cases_chain import in_local, in_pci, moved_to
from tests.behaviour.driver import SINCE_9054, SINCE_9056, Driver, behaviour, channel_behaviour

FAST: Final = 1 << 15
BIGEND: Final = 0x0C


# -- pause: 4.11 ----------------------------------------------------------------------------------


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", "PCICR.bus_master")
def a_paused_block_moves_nothing_until_it_is_resumed(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 8, TO_PCI)
    dma.command(ENABLE | START)
    dma.command(0)
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x00
    assert buffer.read(0, 8) == FRESH * 8
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 8) == bytes(8)


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", "DMAPADR#.address")
def a_paused_chain_has_not_read_its_descriptor_and_takes_it_as_it_is_later(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_pci(driver)
    where.write(0, buffer.bus, driver.memory_at, 8, TO_PCI | LAST)
    bus_mastering(driver, on=False)
    dma.chain(where.start)
    dma.command(ENABLE | START)
    dma.command(0)
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x00
    assert dma.read(PADR) == 0
    where.write(0, buffer.bus + 4, driver.memory_at, 4, TO_PCI | LAST)
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert dma.read(PADR) == buffer.bus + 4
    assert buffer.read(0, 8) == FRESH * 4 + bytes(4)


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", guest=False)
def a_pause_in_the_middle_keeps_the_place(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(16))
    allowed = [7]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.block(buffer.bus, 0, 16, TO_PCI, mode=RESET_MODE | DEMAND)
    dma.run()
    dma.command(0)
    allowed[0] = 16
    driver.settle()
    assert dma.status == 0x00
    assert buffer.read(0, 16) == pattern(7) + FRESH * 9
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == pattern(16)


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", guest=False)
def a_pause_takes_effect_between_two_transactions(driver: Driver, channel: int) -> None:
    """Here the board's own request is the moment at which software pauses."""
    dma, buffer = Dma(driver, channel), driver.buffer(16)

    def ready() -> int:
        if buffer.read(4, 1) == FRESH:
            return 5
        dma.command(0)
        return 0

    driver.local.demand(channel, ready)
    dma.block(buffer.bus, 0, 16, TO_PCI, mode=RESET_MODE | DEMAND)
    dma.run()
    assert dma.status == 0x00
    assert buffer.read(0, 16) == bytes(5) + FRESH * 11
    driver.local.demand(channel, lambda: 16)
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == bytes(16)


@behaviour("DMACSR0.enable", "DMACSR1.enable", "DMACSR0.done", "DMACSR1.done")
def a_paused_channel_does_not_hold_up_the_other(driver: Driver) -> None:
    first, second = both(driver)
    buffer = driver.buffer(16)
    for paused, runs in ((first, second), (second, first)):
        buffer.write(0, FRESH * 16)
        bus_mastering(driver, on=False)
        paused.block(buffer.bus, 0, 8, TO_PCI)
        paused.command(ENABLE | START)
        paused.command(0)
        bus_mastering(driver, on=True)
        runs.block(buffer.bus + 8, 0, 8, TO_PCI)
        runs.run()
        assert (paused.status, runs.status) == (0x00, 0x11)
        assert buffer.read(0, 16) == FRESH * 8 + bytes(8)
        paused.command(ENABLE)
        driver.settle()
        assert buffer.read(0, 16) == bytes(16)


# -- demand mode: 4.10 ----------------------------------------------------------------------------


@channel_behaviour("DMAMODE#.demand", "DMACSR#.done", "DMAPADR#.address", "DMALADR#.address", "DMASIZ#.count")
def without_dreq_a_demand_mode_chain_reads_its_descriptor_and_waits(driver: Driver, channel: int) -> None:
    """These boards have no DREQ# logic. The direction makes no difference."""
    dma, where = Dma(driver, channel), in_pci(driver)
    for direction in (TO_PCI, 0):
        buffer = driver.buffer(8)
        where.write(0, buffer.bus, driver.memory_at, 8, direction | LAST)
        dma.chain(where.start, mode=RESET_MODE | CHAIN | DEMAND)
        dma.run()
        assert dma.status == 0x01
        assert dma.shown == where.words(0)
        assert buffer.read(0, 8) == FRESH * 8
        assert got(driver, 0, 8) == bytes(8)
        dma.command(ABORT)
        assert dma.status == 0x10


@channel_behaviour("DMAMODE#.demand", "DMACSR#.done", guest=False)
def data_moves_as_the_board_asks_for_it(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(32)
    put(driver, 0, pattern(32))
    allowed = [0]
    driver.local.demand(channel, moved_to(buffer, lambda: allowed[0]))
    dma.block(buffer.bus, 0, 32, TO_PCI, mode=RESET_MODE | DEMAND)
    dma.run()
    for limit in (0, 1, 4, 4, 11, 31):
        allowed[0] = limit
        driver.settle()
        assert buffer.read(0, 32) == pattern(limit) + FRESH * (32 - limit)
        assert dma.status == 0x01
    allowed[0] = 1000
    driver.settle()
    assert buffer.read(0, 32) == pattern(32)
    assert dma.status == 0x11


@channel_behaviour("DMAMODE#.demand", "DMACSR#.done", guest=False)
def what_goes_to_the_board_waits_for_its_request_too(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    buffer.write(0, pattern(16))
    allowed = [5]
    driver.local.demand(channel, lambda: allowed[0] - len(got(driver, 0, 16).rstrip(b"\0")))
    dma.block(buffer.bus, 0, 16, mode=RESET_MODE | DEMAND)
    dma.run()
    assert dma.status == 0x01
    assert got(driver, 0, 16) == pattern(5) + bytes(11)
    allowed[0] = 16
    driver.settle()
    assert dma.status == 0x11
    assert got(driver, 0, 16) == pattern(16)


@channel_behaviour("DMAMODE#.demand", guest=False)
def without_demand_mode_nobody_looks_at_dreq(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    driver.local.demand(channel, lambda: 0)
    driver.local.demand(1 - channel, lambda: 8)
    dma.block(buffer.bus, 0, 8, TO_PCI)
    dma.run()
    assert dma.status == 0x11
    dma.block(buffer.bus, 0, 8, TO_PCI, mode=RESET_MODE | DEMAND)
    dma.run()
    assert dma.status == 0x01, "and the other channel's does not count"
    driver.local.demand(channel, None)
    driver.settle()
    assert dma.status == 0x01


@channel_behaviour("DMACSR#.done", guest=False)
def a_starved_channel_does_not_hold_up_the_other(driver: Driver, channel: int) -> None:
    dma, other, buffer = Dma(driver, channel), Dma(driver, 1 - channel), driver.buffer(32)
    driver.local.demand(channel, moved_to(buffer, lambda: 4))
    dma.block(buffer.bus, 0, 8, TO_PCI, mode=RESET_MODE | DEMAND)
    dma.run()
    other.block(buffer.bus + 16, 0, 16, TO_PCI)
    other.run()
    assert (dma.status, other.status) == (0x01, 0x11)
    assert buffer.read(0, 32) == bytes(4) + FRESH * 12 + bytes(16)


# -- EOT#: 4.10 -----------------------------------------------------------------------------------


def _starved(driver: Driver, channel: int, mode: int, *, second: int = 0) -> tuple[Dma, Callable[[], bytes]]:
    """A block of 16 bytes of which 6 have moved, or with CHAIN a chain of 16 and 8 in local memory, flags `second`."""
    dma, buffer, where = Dma(driver, channel), driver.buffer(32), in_local(driver)
    put(driver, 0, pattern(24))
    driver.local.demand(channel, moved_to(buffer, lambda: 6))
    if mode & VALID_MODE:
        where.write(0, 1 << 31 | 16, buffer.bus, driver.memory_at, where.pointer(32, TO_PCI | TC))
        where.write(32, 1 << 31 | 8, buffer.bus + 16, driver.memory_at + 16, TO_PCI | LAST)
    elif mode & CHAIN:
        where.write(0, buffer.bus, driver.memory_at, 16, where.pointer(32, TO_PCI | second))
        where.write(32, buffer.bus + 16, driver.memory_at + 16, 8, TO_PCI | LAST)
    dma.block(buffer.bus, 0, 16, TO_PCI)
    if mode & CHAIN:
        dma.write(DPR, where.start)
    dma.write(MODE, RESET_MODE | DEMAND | mode)
    dma.run()
    assert dma.status == 0x01
    assert buffer.read(0, 32) == pattern(6) + FRESH * 26
    return dma, lambda: buffer.read(0, 32)


@channel_behaviour("DMAMODE#.eot_enable", "DMAMODE#.demand", "DMAMODE#.done_intr", guest=False)
def eot_ends_a_block_early(driver: Driver, channel: int) -> None:
    for mode in (EOT, EOT | FAST):
        dma, memory = _starved(driver, channel, mode | DONE_INTR)
        driver.local.assert_eot(channel)
        driver.settle()
        assert dma.status == 0x11
        assert dma.latched
        assert memory() == pattern(6) + FRESH * 26
        assert dma.read(SIZ) == 16, "the register keeps the programmed count"
        dma.command(CLEAR)


@channel_behaviour("DMAMODE#.eot_enable", guest=False)
def eot_is_not_looked_at_unless_it_is_enabled(driver: Driver, channel: int) -> None:
    dma, memory = _starved(driver, channel, 0)
    driver.local.assert_eot(channel)
    driver.settle()
    assert dma.status == 0x01
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    assert memory() == pattern(16) + FRESH * 16


@channel_behaviour("DMACSR#.done", guest=False)
def eot_of_the_other_channel_or_of_an_idle_one_does_nothing(driver: Driver, channel: int) -> None:
    driver.local.assert_eot(channel)
    dma, memory = _starved(driver, channel, EOT)
    driver.local.assert_eot(1 - channel)
    driver.settle()
    assert dma.status == 0x01
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    assert memory() == pattern(16) + FRESH * 16


@channel_behaviour("DMAMODE#.eot_enable", "DMACSR#.done", guest=False)
def eot_ends_the_whole_chain(driver: Driver, channel: int) -> None:
    dma, memory = _starved(driver, channel, CHAIN | EOT | DONE_INTR)
    driver.local.assert_eot(channel)
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    assert dma.latched
    assert memory() == pattern(6) + FRESH * 26


@channel_behaviour("DMAMODE#.eot_end_link", "DMAMODE#.eot_enable", chips=SINCE_9056, guest=False)
def with_end_link_eot_ends_only_the_descriptor(driver: Driver, channel: int) -> None:
    dma, memory = _starved(driver, channel, CHAIN | EOT | END_LINK)
    driver.local.assert_eot(channel)
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    assert memory() == pattern(6) + FRESH * 10 + pattern(24)[16:] + FRESH * 8
    assert dma.read(SIZ) == 8


@channel_behaviour(chips=("9080", "9054"), guest=False)
def chips_without_end_link_end_the_chain(driver: Driver, channel: int) -> None:
    dma, memory = _starved(driver, channel, CHAIN | EOT | END_LINK)
    driver.local.assert_eot(channel)
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    assert memory() == pattern(6) + FRESH * 26


@channel_behaviour("DMAMODE#.eot_end_link", chips=SINCE_9056, guest=False)
def end_link_means_nothing_to_a_block(driver: Driver, channel: int) -> None:
    dma, memory = _starved(driver, channel, EOT | END_LINK)
    assert dma.read(MODE) & END_LINK
    driver.local.assert_eot(channel)
    driver.settle()
    assert dma.status == 0x11
    assert memory() == pattern(6) + FRESH * 26


@channel_behaviour("DMAMODE#.clear_count", "DMAMODE#.eot_enable", guest=False)
def what_eot_left_is_written_back_as_the_count(driver: Driver, channel: int) -> None:
    dma, _ = _starved(driver, channel, CHAIN | EOT | CLEAR_COUNT)
    driver.local.assert_eot(channel)
    driver.settle()
    assert dma.status == 0x11
    where = in_local(driver)
    assert (where.words(8, 1), where.words(40, 1)) == ((10,), (8,)), "10 of 16 left, the second one untouched"


@channel_behaviour("DMAMODE#.clear_count", "DMAMODE#.eot_end_link", chips=SINCE_9056, guest=False)
def with_end_link_each_descriptor_gets_what_is_left_of_it(driver: Driver, channel: int) -> None:
    dma, _ = _starved(driver, channel, CHAIN | EOT | END_LINK | CLEAR_COUNT)
    driver.local.assert_eot(channel)
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    where = in_local(driver)
    assert (where.words(8, 1), where.words(40, 1)) == ((10,), (0,))


@channel_behaviour("DMAMODE#.valid_mode", "DMAMODE#.clear_count", chips=SINCE_9056, guest=False)
def the_count_that_eot_left_comes_back_without_valid(driver: Driver, channel: int) -> None:
    dma, _ = _starved(driver, channel, CHAIN | EOT | END_LINK | CLEAR_COUNT | VALID_MODE | VALID_STOP)
    driver.local.assert_eot(channel)
    driver.local.demand(channel, lambda: 100)
    driver.settle()
    assert dma.status == 0x11
    where = in_local(driver)
    assert (where.words(0, 1), where.words(32, 1)) == ((10,), (0,))
    assert dma.latched, "its terminal count is signalled as usual"


@channel_behaviour("INTCSR.dma#_active", guest=False)
def a_terminal_count_that_eot_brings_forward_is_signalled(driver: Driver, channel: int) -> None:
    dma, _ = _starved(driver, channel, CHAIN | EOT, second=TC)
    assert not dma.latched
    driver.local.assert_eot(channel)
    driver.settle()
    assert dma.status == 0x11
    assert dma.latched


@channel_behaviour("DMAMODE#.eot_enable", guest=False)
def eot_while_paused_ends_the_transfer_once_it_is_resumed(driver: Driver, channel: int) -> None:
    """Its first bus transaction would be a data transfer: there is none left."""
    dma, memory = _starved(driver, channel, EOT)
    dma.command(0)
    driver.local.assert_eot(channel)
    driver.local.demand(channel, lambda: 100)
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert memory() == pattern(6) + FRESH * 26


# -- whose turn it is: 2.3 ------------------------------------------------------------------------


@behaviour("MARBR.dma_priority")
def the_channel_with_priority_goes_first(driver: Driver) -> None:
    """Both write the same place: the other one comes last, and stays."""
    first, second = both(driver)
    buffer = driver.buffer(4)
    put(driver, 0, b"0000" + b"1111")
    marbr = driver.read(0x08) & ~0x0018_0000
    for priority, last in ((1, b"1111"), (2, b"0000"), (1, b"1111")):
        driver.write(0x08, marbr | priority << 19)
        bus_mastering(driver, on=False)
        for dma in (first, second):
            dma.block(buffer.bus, 4 * dma.channel, 4, TO_PCI)
        driver.write(CSR, 0x0303)
        bus_mastering(driver, on=True)
        driver.settle()
        assert driver.read(CSR) == 0x1111
        assert buffer.read(0, 4) == last


def _ahead(driver: Driver, priority: int) -> list[int]:
    """How many bytes channel 0 is ahead of channel 1, seen whenever channel 0 is asked, 4 bytes at a time each."""
    buffers = (driver.buffer(64), driver.buffer(64))
    driver.write(0x08, driver.read(0x08) & ~0x0018_0000 | priority << 19)
    seen: list[int] = []

    def moved(channel: int) -> int:
        return buffers[channel].read(0, 64).count(0)

    def ready() -> int:
        seen.append(moved(0) - moved(1))
        return 4

    bus_mastering(driver, on=False)
    for dma in both(driver):
        driver.local.demand(dma.channel, (lambda: 4) if dma.channel else ready)
        dma.block(buffers[dma.channel].bus, 0, 64, TO_PCI, mode=RESET_MODE | DEMAND)
        dma.command(ENABLE | START)
    bus_mastering(driver, on=True)
    driver.settle()
    assert driver.read(CSR) == 0x1111
    return seen


@behaviour("MARBR.dma_priority", guest=False)
def without_priority_the_channels_take_turns(driver: Driver) -> None:
    seen = _ahead(driver, 0)
    assert set(seen) <= {-4, 0, 4}
    assert len(set(seen)) > 1


@behaviour("MARBR.dma_priority", guest=False)
def with_priority_a_channel_is_through_before_the_other_begins(driver: Driver) -> None:
    assert max(_ahead(driver, 1)) >= 60
    assert min(_ahead(driver, 2)) == -64


@behaviour("DMACSR0.done", "DMACSR1.done", guest=False)
def a_starved_channel_with_priority_lets_the_other_go_on(driver: Driver) -> None:
    """'Goes first whenever it can move.'"""
    first, second = both(driver)
    buffer = driver.buffer(32)
    for dma, other, priority in ((first, second, 1), (second, first, 2)):
        driver.write(0x08, driver.read(0x08) & ~0x0018_0000 | priority << 19)
        buffer.write(0, FRESH * 32)
        driver.local.demand(dma.channel, lambda: 0)
        dma.block(buffer.bus, 0, 8, TO_PCI, mode=RESET_MODE | DEMAND)
        dma.run()
        other.block(buffer.bus + 16, 0, 16, TO_PCI)
        other.run()
        assert (dma.status, other.status) == (0x01, 0x11)
        dma.command(ABORT)


@behaviour("MARBR.dma_priority", guest=False)
def a_channel_with_priority_goes_first_as_soon_as_it_can_move(driver: Driver) -> None:
    """The board asks for the rest of channel 0 once two words of channel 1 are through."""
    first, second = both(driver)
    there, other = driver.buffer(16), driver.buffer(64)
    driver.write(0x08, driver.read(0x08) & ~0x0018_0000 | 1 << 19)
    seen: list[int] = []

    def moved() -> int:
        return other.read(0, 64).count(0)

    def ready() -> int:
        if moved() < 8:
            return 0
        seen.append(moved())
        return 4

    driver.local.demand(0, ready)
    driver.local.demand(1, lambda: 4)
    first.block(there.bus, 0, 16, TO_PCI, mode=RESET_MODE | DEMAND)
    first.run()
    second.block(other.bus, 0, 64, TO_PCI, mode=RESET_MODE | DEMAND)
    second.run()
    assert driver.read(CSR) == 0x1111
    assert seen
    assert max(seen) == 8, "channel 1 has moved no more until channel 0 was through"


# -- BIGEND: 2.4 ----------------------------------------------------------------------------------


def _turned(data: bytes, word: int) -> bytes:
    return b"".join(data[at : at + word][::-1] for at in range(0, len(data), word))


@channel_behaviour("BIGEND.dma#", "DMAMODE#.local_width")
def bigend_turns_the_bytes_of_each_local_word(driver: Driver, channel: int) -> None:
    """Bit 7 is channel 0, bit 6 channel 1."""
    dma, buffer = Dma(driver, channel), driver.buffer(32)
    driver.write(BIGEND, 0x80 >> channel, 1)
    for width, word in ((0, 1), (1, 2), (2, 4), (3, 4)):
        put(driver, 0, pattern(16))
        buffer.write(0, FRESH * 32)
        dma.block(buffer.bus, 0, 16, TO_PCI, mode=0x40 | width)
        dma.run()
        assert buffer.read(0, 32) == _turned(pattern(16), word) + FRESH * 16
        dma.block(buffer.bus, 0x20, 16, mode=0x40 | width)
        dma.run()
        assert got(driver, 0x20, 16) == pattern(16)


@channel_behaviour("BIGEND.dma#", "DMAMODE#.local_width")
def bigend_takes_a_part_of_a_word_from_the_words_other_end(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(32)
    put(driver, 0, pattern(32))
    driver.write(BIGEND, 0x80 >> channel, 1)
    for width, word in ((1, 2), (2, 4)):
        for local, count in ((1, 2), (3, 7), (2, 12), (4, 1)):
            buffer.write(0, FRESH * 32)
            dma.block(buffer.bus + 1, local, count, TO_PCI, mode=0x40 | width)
            dma.run()
            expected = bytes(pattern(32)[at ^ word - 1] for at in range(local, local + count))
            assert buffer.read(0, 32) == (FRESH + expected).ljust(32, FRESH)
            put(driver, 0x40, bytes(32))
            dma.block(buffer.bus + 1, 0x40 + local, count, mode=0x40 | width)
            dma.run()
            lanes = {at ^ word - 1 for at in range(local, local + count)}
            there = bytes(byte if at in lanes else 0 for at, byte in enumerate(pattern(32)))
            assert got(driver, 0x40, 32) == there


@channel_behaviour("BIGEND.dma#")
def the_other_bits_of_bigend_turn_nothing_of_this_channel(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(16))
    driver.write(BIGEND, 0xDB & ~(0x80 >> channel), 1)
    dma.block(buffer.bus, 0, 16, TO_PCI)
    dma.run()
    assert buffer.read(0, 16) == pattern(16)


@channel_behaviour("BIGEND.dma#", "DMAMODE#.clear_count")
def bigend_does_not_touch_descriptors_in_local_memory(driver: Driver, channel: int) -> None:
    dma, buffer, where = Dma(driver, channel), driver.buffer(8), in_local(driver)
    put(driver, 0, pattern(8))
    driver.write(BIGEND, 0x80 >> channel, 1)
    where.write(0, buffer.bus, driver.memory_at, 8, where.pointer(32, TO_PCI | LAST))
    dma.chain(where.start, mode=RESET_MODE | CHAIN | CLEAR_COUNT)
    dma.run()
    assert dma.status == 0x11
    assert dma.shown == (buffer.bus, driver.memory_at, 8, where.pointer(32, TO_PCI | LAST))
    assert where.words(8, 1) == (0,)
    assert buffer.read(0, 8) == _turned(pattern(8), 4)


@channel_behaviour("BIGEND.dma#", "DMAMODE#.hold_local")
def bigend_turns_the_words_of_a_held_address_too(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(4))
    driver.write(BIGEND, 0x80 >> channel, 1)
    for width, word in ((1, 2), (2, 4)):
        buffer.write(0, FRESH * 16)
        dma.block(buffer.bus, 0, 8, TO_PCI, mode=0x40 | width | HOLD_LOCAL)
        dma.run()
        assert buffer.read(0, 16) == (_turned(pattern(word), word) * 4)[:8] + FRESH * 8


@channel_behaviour("DMAMODE#.dac_chain", chips=SINCE_9054)
def without_dreq_a_long_chain_waits_with_its_upper_address_loaded(driver: Driver, channel: int) -> None:
    dma, where = Dma(driver, channel), in_local(driver)
    where.write(0, 0xF800_0000, driver.memory_at, 8, TO_PCI | LAST, 0xCAFE_F00D)
    dma.chain(where.start, mode=RESET_MODE | CHAIN | DEMAND | LONG)
    dma.run()
    assert dma.status == 0x01
    assert driver.read(0xB4 + 4 * channel) == 0xCAFE_F00D
    dma.command(ABORT)
