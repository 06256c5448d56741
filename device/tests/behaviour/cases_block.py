# SPDX-License-Identifier: Apache-2.0
"""DMA registers, commands and block transfers (reference 4.1 to 4.6, 10.1), and the words all DMA cases are written in.

A transfer that has to stay unfinished in a guest too is started while bus mastering is off: DONE is 0 and nothing moves
until it is switched on.

Long, because the words are of no use without the cases that they were made for.
"""

from dataclasses import dataclass
from typing import Final

from plx9x5x.events import TransferStarted
from tests.behaviour.driver import SINCE_9054, SINCE_9056, SPACE0, Driver, behaviour, channel_behaviour
from tests.behaviour.in_process import InProcess

MODE, PADR, LADR, SIZ, DPR = 0x80, 0x84, 0x88, 0x8C, 0x90
CSR, DMATHR, DAC = 0xA8, 0xB0, 0xB4
INTCSR, PABTADR = 0x68, 0x104

ENABLE, START, ABORT, CLEAR, DONE = 1, 2, 4, 8, 16
IN_PCI, LAST, TC, TO_PCI = 1, 2, 4, 8

RESET_MODE: Final = 0x43
"""32 bits wide, READY# enabled."""
CHAIN, DONE_INTR, HOLD_LOCAL, DEMAND, EOT = 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 14
CLEAR_COUNT, TO_INTA, LONG, END_LINK, VALID_MODE, VALID_STOP = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21

IDLE_INTCSR: Final = 0x0F01_0100
NOWHERE: Final = 0xF800_0000
"""A bus address that nothing decodes, in a guest of ordinary size neither."""
FRESH: Final = b"\xa5"


@dataclass(frozen=True)
class Dma:
    """One channel as a driver programs it."""

    driver: Driver
    channel: int

    def write(self, register: int, value: int) -> None:
        self.driver.write(self._at(register), value)

    def read(self, register: int) -> int:
        return self.driver.read(self._at(register))

    def _at(self, register: int) -> int:
        return register + (4 if register == DAC else 0x14) * self.channel

    def command(self, value: int) -> None:
        """One byte to this channel's DMACSR."""
        self.driver.write(CSR + self.channel, value, 1)

    @property
    def status(self) -> int:
        """This channel's DMACSR, one byte."""
        return self.driver.read(CSR + self.channel, 1)

    @property
    def shown(self) -> tuple[int, int, int, int]:
        """PADR, LADR, SIZ and DPR."""
        return self.read(PADR), self.read(LADR), self.read(SIZ), self.read(DPR)

    def block(self, pci: int, local: int, count: int, pointer: int = 0, *, mode: int = RESET_MODE) -> None:
        """Program a block; `local` counts from the board's memory."""
        self.write(MODE, mode)
        self.write(PADR, pci)
        self.write(LADR, self.driver.memory_at + local)
        self.write(SIZ, count)
        self.write(DPR, pointer)

    def chain(self, pointer: int, *, mode: int = RESET_MODE | CHAIN) -> None:
        """Program a chain."""
        self.write(MODE, mode)
        self.write(DPR, pointer)

    def run(self) -> None:
        """Enable, start, and let it go as far as it goes."""
        self.command(ENABLE | START)
        self.driver.settle()

    # -- this channel's bits of INTCSR -----------------------------------------------------------

    @property
    def interrupt_enable(self) -> int:
        return 1 << 18 + self.channel

    @property
    def interrupt(self) -> int:
        return 1 << 21 + self.channel

    def enable_interrupt(self) -> None:
        """INTA# for this channel, and nothing else."""
        self.driver.write(INTCSR, IDLE_INTCSR | self.interrupt_enable)

    @property
    def latched(self) -> bool:
        return bool(self.driver.read(INTCSR) & self.interrupt)


def both(driver: Driver) -> tuple[Dma, Dma]:
    return Dma(driver, 0), Dma(driver, 1)


def put(driver: Driver, offset: int, data: bytes) -> None:
    """Write the board's memory through BAR2."""
    for at in range(0, len(data), 4):
        piece = data[at : at + 4]
        if len(piece) == 4:
            driver.write(offset + at, int.from_bytes(piece, "little"), bar=SPACE0)
        else:
            for n, byte in enumerate(piece):
                driver.write(offset + at + n, byte, 1, bar=SPACE0)


def got(driver: Driver, offset: int, length: int) -> bytes:
    """Read the board's memory through BAR2, from a dword on."""
    dwords = (driver.read(offset + at, bar=SPACE0) for at in range(0, length, 4))
    return b"".join(dword.to_bytes(4, "little") for dword in dwords)[:length]


def bus_mastering(driver: Driver, *, on: bool) -> None:
    command = driver.config_read(4, 2)
    driver.config_write(4, command | 4 if on else command & ~4, 2)


def pattern(length: int, first: int = 1) -> bytes:
    """Bytes of which neighbours, and the same place of neighbouring words, differ; none is 0 or 0xA5 up to 160."""
    return bytes((first + n) % 251 for n in range(length))


# -- registers: 4.1, 4.2, 4.3, 4.5 ----------------------------------------------------------------


def _of_both(*fields: str) -> tuple[str, ...]:
    return tuple(field.replace("#", channel) for channel in "01" for field in fields)


@behaviour(
    *_of_both("DMAMODE#.local_width", "DMAMODE#.ready_enable", "DMAPADR#.address", "DMALADR#.address"),
    *_of_both("DMASIZ#.count", "DMADPR#.next", "DMACSR#.done"),
    generic=True,
)
def the_dma_registers_reset_to_what_drivers_read_and_modify(driver: Driver) -> None:
    for dma in both(driver):
        assert dma.read(MODE) == 0x43
        assert dma.shown == (0, 0, 0, 0)
        assert dma.status == 0x10
        assert dma.read(DAC) == 0
    assert driver.read(DMATHR) == 0
    assert driver.read(INTCSR) == 0x0F01_0100


@behaviour(
    *_of_both("DMAMODE#.local_width", "DMAMODE#.wait_states", "DMAMODE#.ready_enable", "DMAMODE#.bterm_enable"),
    *_of_both("DMAMODE#.burst", "DMAMODE#.chain", "DMAMODE#.done_intr", "DMAMODE#.hold_local", "DMAMODE#.demand"),
    *_of_both("DMAMODE#.write_invalidate", "DMAMODE#.eot_enable", "DMAMODE#.fast_stop", "DMAMODE#.clear_count"),
    *_of_both("DMAMODE#.to_inta", "DMAMODE#.dac_chain", "DMAMODE#.eot_end_link", "DMAMODE#.valid_mode"),
    *_of_both("DMAMODE#.valid_stop"),
    generic=True,
)
def dmamode_keeps_the_bits_that_this_chip_has_and_no_others(driver: Driver) -> None:
    bits = {"9080": 0x0003_FFFF, "9054": 0x0007_FFFF}.get(driver.chip, 0x003F_FFFF)
    for dma, other in (both(driver), both(driver)[::-1]):
        for value in (0xFFFF_FFFF, 0, 0x5555_5555, 0xAAAA_AAAA, 0x43):
            dma.write(MODE, value)
            assert dma.read(MODE) == value & bits
            assert other.read(MODE) == 0x43


@behaviour(
    *_of_both("DMAPADR#.address", "DMALADR#.address", "DMASIZ#.count", "DMASIZ#.valid", "DMADPR#.in_pci_memory"),
    *_of_both("DMADPR#.end_of_chain", "DMADPR#.terminal_count_intr", "DMADPR#.to_pci", "DMADPR#.next"),
    generic=True,
)
def the_address_and_count_registers_keep_every_bit(driver: Driver) -> None:
    size = {"9080": 0x007F_FFFF, "9054": 0x007F_FFFF}.get(driver.chip, 0x807F_FFFF)
    for dma, other in (both(driver), both(driver)[::-1]):
        for value in (0xFFFF_FFFF, 0x1234_5678, 0xEDCB_A987, 0):
            for register in (PADR, LADR, SIZ, DPR):
                dma.write(register, value)
            assert dma.shown == (value, value, value & size, value)
            assert other.shown == (0, 0, 0, 0)


@behaviour("DMADAC0.high", "DMADAC1.high", chips=SINCE_9054, generic=True)
def dmadac_keeps_every_bit(driver: Driver) -> None:
    for dma, other in (both(driver), both(driver)[::-1]):
        for value in (0xFFFF_FFFF, 0x1234_5678, 0):
            dma.write(DAC, value)
            assert dma.read(DAC) == value
            assert other.read(DAC) == 0


@channel_behaviour(chips=("9080",))
def the_9080_has_no_dmadac(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    dma.write(DAC, 0xFFFF_FFFF)
    assert dma.read(DAC) == 0
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.run()
    assert buffer.read(0, 4) == bytes(4)


@behaviour(
    "DMATHR.c0plaf",
    "DMATHR.c0lpae",
    "DMATHR.c0lpaf",
    "DMATHR.c0plae",
    "DMATHR.c1plaf",
    "DMATHR.c1lpae",
    "DMATHR.c1lpaf",
    "DMATHR.c1plae",
    generic=True,
)
def the_thresholds_are_stored(driver: Driver) -> None:
    for value in (0xFFFF_FFFF, 0, 0x7654_3210, 0x89AB_CDEF):
        driver.write(DMATHR, value)
        assert driver.read(DMATHR) == value


# -- DMACSR: 4.1, 4.4, 4.13 -----------------------------------------------------------------------


@channel_behaviour("DMACSR#.enable", "DMACSR#.done", "DMACSR#.start", "DMACSR#.abort")
def dmacsr_shows_idle_active_paused_and_finished(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    assert dma.status == 0x10
    dma.command(ENABLE)
    assert dma.status == 0x11
    bus_mastering(driver, on=False)
    dma.command(ENABLE | START)
    assert dma.status == 0x01
    dma.command(0)
    assert dma.status == 0x00
    dma.command(ENABLE)
    assert dma.status == 0x01
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11, "ENABLE stays as software left it"
    dma.command(0xF0)
    assert dma.status == 0x10, "bits 7:4 ignore writes"


@channel_behaviour("DMACSR#.enable", "DMACSR#.start", "DMACSR#.done")
def start_is_ignored_unless_the_channel_is_enabled(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.command(START)
    driver.settle()
    assert dma.status == 0x10
    dma.command(ENABLE)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 4) == FRESH * 4, "nor was it remembered"
    dma.command(ENABLE | START)
    driver.settle()
    assert buffer.read(0, 4) == bytes(4)


@channel_behaviour("DMACSR#.start", "DMACSR#.done", "DMACSR#.enable")
def start_on_a_paused_channel_only_resumes_it(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(16))
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.command(ENABLE | START)
    dma.command(0)
    dma.write(PADR, buffer.bus + 8)
    dma.command(ENABLE | START)
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 16) == pattern(4) + FRESH * 12


@channel_behaviour("DMACSR#.start", "DMACSR#.done", "DMASIZ#.count", "DMAPADR#.address", "DMADPR#.to_pci")
def what_is_written_to_an_active_channel_is_stored_and_waits_for_the_next_start(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(32)
    put(driver, 0, pattern(16))
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.command(ENABLE | START)
    dma.block(buffer.bus + 16, 8, 8, TO_PCI)
    dma.command(ENABLE | START)
    later = (buffer.bus + 16, driver.memory_at + 8, 8, TO_PCI)
    assert dma.shown == later
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 32) == pattern(4) + FRESH * 28
    assert dma.shown == later
    dma.run()
    assert buffer.read(0, 32) == pattern(4) + FRESH * 12 + pattern(16)[8:] + FRESH * 8


@channel_behaviour("DMADAC#.high", chips=SINCE_9054)
def the_upper_address_of_an_active_channel_is_the_one_at_its_start(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.command(ENABLE | START)
    dma.write(DAC, 1)
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 4) == bytes(4)
    assert dma.read(DAC) == 1


@channel_behaviour("DMAMODE#.done_intr", "DMACSR#.clear_intr", "DMACSR#.start", "DMACSR#.enable")
def one_write_acknowledges_enables_and_starts(driver: Driver, channel: int) -> None:
    """0x0B of comedi: cleared before it starts, so the new transfer's interrupt is not lost."""
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    dma.block(buffer.bus, 0, 4, TO_PCI, mode=RESET_MODE | DONE_INTR)
    dma.run()
    assert dma.latched
    bus_mastering(driver, on=False)
    dma.write(PADR, buffer.bus + 4)
    dma.command(0x0B)
    assert dma.status == 0x01
    assert not dma.latched
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert dma.latched
    assert buffer.read(0, 8) == bytes(8)
    dma.write(SIZ, 0)
    dma.command(0x0B)
    driver.settle()
    assert dma.latched, "not even if the transfer is over at once"


@channel_behaviour("DMACSR#.enable", "DMACSR#.abort", "DMACSR#.done")
def one_write_disables_and_aborts(driver: Driver, channel: int) -> None:
    """0x04 of comedi: ENABLE is looked at as this write leaves it."""
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.command(ENABLE | START)
    assert dma.status == 0x01
    dma.command(0x04)
    assert dma.status == 0x10
    bus_mastering(driver, on=True)
    driver.settle()
    assert buffer.read(0, 4) == FRESH * 4


@channel_behaviour("DMACSR#.clear_intr", "DMACSR#.abort", "DMAMODE#.done_intr")
def one_write_acknowledges_before_it_aborts(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    dma.block(buffer.bus, 0, 4, TO_PCI, mode=RESET_MODE | DONE_INTR)
    dma.run()
    assert dma.latched
    bus_mastering(driver, on=False)
    dma.command(ENABLE | START)
    dma.command(CLEAR | ABORT)
    assert dma.status == 0x10
    assert dma.latched, "the abort's own interrupt came after"
    dma.command(CLEAR)
    assert not dma.latched


@behaviour("DMACSR0.enable", "DMACSR1.enable", "DMACSR0.done", "DMACSR1.done")
def a_byte_reaches_one_channel_and_a_dword_both(driver: Driver) -> None:
    assert driver.read(CSR) == 0x1010
    driver.write(CSR, 1, 1)
    assert driver.read(CSR) == 0x1011
    driver.write(CSR + 1, 1, 1)
    assert driver.read(CSR) == 0x1111
    driver.write(CSR, 0, 1)
    assert driver.read(CSR) == 0x1110
    assert driver.read(CSR, 2) == 0x1110
    driver.write(CSR, 0x0000_0001)
    assert driver.read(CSR) == 0x1011, "a dword for channel 0 pauses channel 1 on the way"
    driver.write(CSR, 0xFFFF_0100)
    assert driver.read(CSR) == 0x1110
    driver.write(CSR, 0x0001, 2)
    assert driver.read(CSR + 1, 1) == 0x10


@behaviour("DMACSR0.start", "DMACSR1.start", "DMACSR0.enable", "DMACSR1.enable")
def a_dword_starts_both_channels(driver: Driver) -> None:
    first, second = both(driver)
    buffer = driver.buffer(8)
    put(driver, 0, pattern(8))
    first.block(buffer.bus, 0, 4, TO_PCI)
    second.block(buffer.bus + 4, 4, 4, TO_PCI)
    driver.write(CSR, 0x0303)
    driver.settle()
    assert driver.read(CSR) == 0x1111
    assert buffer.read(0, 8) == pattern(8)


@behaviour("DMACSR0.start", "DMACSR1.start", guest=False)
def a_dword_acts_on_channel_0_before_channel_1(driver: Driver) -> None:
    assert isinstance(driver, InProcess)
    for dma in both(driver):
        dma.block(0, 0, 0)
    driver.trace.enabled = True
    driver.write(CSR, 0x0303)
    driver.settle()
    started = [event.channel for event in driver.trace.others if isinstance(event, TransferStarted)]
    assert started == [0, 1]


@behaviour("DMACSR0.clear_intr", "DMACSR1.clear_intr", "DMAMODE0.done_intr", "DMAMODE1.done_intr")
def a_dword_acknowledges_the_channels_that_it_names(driver: Driver) -> None:
    """The SDK's read-modify-write."""
    for dma in both(driver):
        dma.block(0, 0, 0, mode=RESET_MODE | DONE_INTR)
        dma.run()
    assert driver.read(INTCSR) == IDLE_INTCSR | 3 << 21
    driver.write(CSR, driver.read(CSR) | 0x0008)
    assert driver.read(INTCSR) == IDLE_INTCSR | 2 << 21
    driver.write(CSR, driver.read(CSR) | 0x0800)
    assert driver.read(INTCSR) == IDLE_INTCSR
    assert driver.read(CSR) == 0x1111


@channel_behaviour("DMACSR#.done", "DMACSR#.enable")
def the_other_channels_byte_can_be_written_while_this_one_is_active(driver: Driver, channel: int) -> None:
    dma, other, buffer = Dma(driver, channel), Dma(driver, 1 - channel), driver.buffer(4)
    bus_mastering(driver, on=False)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.command(ENABLE | START)
    other.command(ENABLE | CLEAR)
    other.command(ABORT)
    assert (dma.status, other.status) == (0x01, 0x10)
    driver.write(CSR, driver.read(CSR) | 8 << 8 * (1 - channel))
    assert dma.status == 0x01
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 4) == bytes(4)


# -- block mode: 4.3, 4.6 -------------------------------------------------------------------------


@channel_behaviour("DMASIZ#.count", "DMALADR#.address", "DMAPADR#.address", "DMADPR#.to_pci")
def a_block_to_pci_may_begin_and_end_at_any_byte(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(64)
    put(driver, 0, pattern(64))
    for pci, local, count in ((0, 1, 1), (1, 0, 3), (3, 2, 7), (2, 5, 17), (5, 3, 32)):
        buffer.write(0, FRESH * 64)
        dma.block(buffer.bus + pci, local, count, TO_PCI)
        dma.run()
        expected = FRESH * pci + pattern(64)[local : local + count]
        assert buffer.read(0, 64) == expected.ljust(64, FRESH)


@channel_behaviour("DMASIZ#.count", "DMALADR#.address", "DMAPADR#.address", "DMADPR#.to_pci")
def a_block_to_local_may_begin_and_end_at_any_byte(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(64)
    buffer.write(0, pattern(64))
    for pci, local, count in ((0, 1, 1), (1, 0, 3), (3, 2, 7), (2, 5, 17), (5, 3, 32)):
        put(driver, 0, bytes(64))
        dma.block(buffer.bus + pci, local, count)
        dma.run()
        expected = bytes(local) + pattern(64)[pci : pci + count]
        assert got(driver, 0, 64) == expected.ljust(64, b"\0")


@channel_behaviour("DMASIZ#.count", "DMADPR#.to_pci")
def a_block_may_be_longer_than_a_page(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(0x4100)
    data = pattern(0x4003)
    buffer.write(0x41, data)
    dma.block(buffer.bus + 0x41, 0x105, 0x4003)
    dma.run()
    buffer.write(0, FRESH * 0x4100)
    dma.block(buffer.bus + 0x13, 0x105, 0x4003, TO_PCI)
    dma.run()
    assert buffer.read(0, 0x4100) == (FRESH * 0x13 + data).ljust(0x4100, FRESH)
    assert got(driver, 0x104, 4) == bytes([0, *data[:3]])
    assert got(driver, 0x4108, 4) == bytes(4)


@channel_behaviour("DMASIZ#.count", "DMACSR#.done", "DMADPR#.terminal_count_intr")
def a_block_of_no_bytes_is_done_at_once(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.block(NOWHERE, 0, 0, TO_PCI | TC)
    dma.run()
    assert dma.status == 0x11
    assert driver.read(INTCSR) == IDLE_INTCSR | dma.interrupt, "no bus error, and an interrupt as usual"


@channel_behaviour("DMAPADR#.address", "DMALADR#.address", "DMASIZ#.count", "DMADPR#.next")
def the_registers_do_not_count(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(64)
    dma.block(buffer.bus + 4, 0x20, 40, TO_PCI | 0x1230)
    started_with = dma.shown
    bus_mastering(driver, on=False)
    dma.command(ENABLE | START)
    assert dma.shown == started_with
    bus_mastering(driver, on=True)
    driver.settle()
    assert dma.shown == started_with == (buffer.bus + 4, driver.memory_at + 0x20, 40, TO_PCI | 0x1230)
    buffer.write(0, FRESH * 64)
    dma.run()
    assert buffer.read(0, 64) == FRESH * 4 + bytes(40) + FRESH * 20, "and so the next START does the same again"


@channel_behaviour("DMADPR#.to_pci", "DMADPR#.in_pci_memory", "DMADPR#.end_of_chain", "DMAMODE#.chain")
def in_block_mode_only_direction_and_terminal_count_of_the_pointer_matter(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    for pointer in (0xFFFF_FFF0, IN_PCI, LAST, NOWHERE | IN_PCI | LAST):
        buffer.write(0, FRESH * 8)
        dma.block(buffer.bus, 0, 4, pointer | TO_PCI)
        dma.run()
        assert buffer.read(0, 8) == bytes(4) + FRESH * 4
        assert driver.read(INTCSR) == IDLE_INTCSR
        assert dma.read(DPR) == pointer | TO_PCI


@channel_behaviour("DMAMODE#.chain", "DMAMODE#.valid_mode")
def in_block_mode_the_bits_of_chains_mean_nothing(driver: Driver, channel: int) -> None:
    """But for bit 20, which moves the registers all the same."""
    bits = {"9080": CLEAR_COUNT, "9054": CLEAR_COUNT | LONG}
    dma, buffer = Dma(driver, channel), driver.buffer(32)
    put(driver, 0, pattern(16))
    dma.block(buffer.bus, 0, 16, TO_PCI)
    dma.write(MODE, RESET_MODE | bits.get(driver.chip, CLEAR_COUNT | LONG | END_LINK | VALID_MODE | VALID_STOP))
    dma.run()
    assert dma.status == 0x11
    assert buffer.read(0, 32) == pattern(16) + FRESH * 16
    moved = driver.chip in SINCE_9056
    assert dma.shown[:3] == ((16, buffer.bus, driver.memory_at) if moved else (buffer.bus, driver.memory_at, 16))


@channel_behaviour()
def bits_about_bus_timing_change_no_result(driver: Driver, channel: int) -> None:
    """Wait states, READY#, BTERM#, burst, write and invalidate, fast terminate."""
    dma, buffer = Dma(driver, channel), driver.buffer(32)
    put(driver, 0, pattern(16))
    for mode in (0x0000_A1FF, 0x0000_0003):
        buffer.write(0, FRESH * 32)
        dma.block(buffer.bus + 1, 0, 15, TO_PCI, mode=mode)
        dma.run()
        assert dma.status == 0x11
        assert buffer.read(0, 32) == FRESH + pattern(15) + FRESH * 16


@channel_behaviour("DMAMODE#.local_width", "DMAMODE#.hold_local")
def a_held_local_address_takes_word_after_word(driver: Driver, channel: int) -> None:
    """Memory keeps the last word; the local bus width says how long a word is."""
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    buffer.write(0, pattern(16))
    for width, word in ((0, 1), (1, 2), (2, 4), (3, 4)):
        put(driver, 0, bytes(32))
        dma.block(buffer.bus, 8, 16, mode=0x40 | width | HOLD_LOCAL)
        dma.run()
        assert got(driver, 0, 32) == bytes(8) + pattern(16)[-word:].ljust(24, b"\0")


@channel_behaviour("DMAMODE#.local_width", "DMAMODE#.hold_local")
def a_held_local_address_gives_word_after_word(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 8, pattern(16))
    for width, word in ((0, 1), (1, 2), (2, 4), (3, 4)):
        buffer.write(0, FRESH * 16)
        dma.block(buffer.bus, 8, 9, TO_PCI, mode=0x40 | width | HOLD_LOCAL)
        dma.run()
        assert buffer.read(0, 16) == (pattern(word) * 9)[:9] + FRESH * 7
        assert dma.read(LADR) == driver.memory_at + 8


@channel_behaviour("DMALADR#.address", "LAS0BA.base")
def a_local_address_is_the_local_buss_own_and_no_offset_in_a_bar(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    put(driver, 0x40, pattern(4))
    base = driver.read(0x04)
    driver.write(0x04, base ^ 0x4000_0000)
    assert driver.read(0x40, bar=SPACE0) == 0xFFFF_FFFF, "BAR2 shows another place now, where nothing is"
    dma.block(buffer.bus, 0x40, 4, TO_PCI)
    dma.run()
    assert buffer.read(0, 8) == pattern(4) + FRESH * 4


@channel_behaviour("DMALADR#.address")
def a_local_address_that_nothing_decodes_reads_ones_and_completes(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    dma.block(buffer.bus, 0x4000_0000, 4, TO_PCI)
    dma.run()
    assert dma.status == 0x11
    assert buffer.read(0, 8) == b"\xff" * 4 + FRESH * 4
    dma.write(DPR, 0)
    dma.run()
    assert dma.status == 0x11
    assert driver.read(INTCSR) == IDLE_INTCSR, "no PCI status knows of it"


@channel_behaviour("DMALADR#.address")
def the_local_address_counter_wraps_at_32_bits(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    put(driver, 0, pattern(4))
    dma.block(buffer.bus, 0, 6, TO_PCI)
    dma.write(LADR, 0xFFFF_FFFC)
    dma.run()
    at_0 = pattern(2) if driver.memory_at == 0 else b"\xff" * 2
    assert buffer.read(0, 8) == b"\xff" * 4 + at_0 + FRESH * 2
    buffer.write(0, pattern(8, first=100))
    dma.write(DPR, 0)
    dma.run()
    assert dma.status == 0x11
    written = pattern(8, first=100)[4:6] if driver.memory_at == 0 else pattern(2)
    assert got(driver, 0, 4) == written + pattern(4)[2:], "what went to the top of the space vanished"


@channel_behaviour("DMADAC#.high", chips=SINCE_9054)
def a_block_uses_the_upper_address(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    dma.write(DAC, 1)
    dma.block(buffer.bus, 0, 4, TO_PCI)
    dma.run()
    assert dma.status == 0x01, "nothing is there"
    assert driver.read(INTCSR) == IDLE_INTCSR & ~(1 << 25 + channel) | 1 << 14
    assert buffer.read(0, 4) == FRESH * 4
    dma.command(ABORT)
    dma.write(DAC, 0)
    dma.run()
    assert dma.status == 0x11
    assert buffer.read(0, 4) == bytes(4)


# -- the interrupt of a block: 4.2, 4.6, 3.3 ------------------------------------------------------


@channel_behaviour("DMAMODE#.done_intr", "DMADPR#.terminal_count_intr", "DMACSR#.clear_intr", "INTCSR.dma#_active")
def a_block_latches_one_interrupt_for_done_terminal_count_or_both(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    for mode, pointer, latches in ((0, 0, False), (DONE_INTR, 0, True), (0, TC, True), (DONE_INTR, TC, True)):
        dma.block(NOWHERE, 0, 0, pointer, mode=RESET_MODE | mode)
        dma.run()
        assert dma.status == 0x11
        assert dma.latched == latches, "whether INTCSR enables it or not"
        dma.command(CLEAR)
        assert driver.read(INTCSR) == IDLE_INTCSR
        assert dma.status == 0x10


@channel_behaviour("DMACSR#.done", "INTCSR.dma#_enable", "INTCSR.dma#_active", "INTCSR.pci_enable", "DMAMODE#.to_inta")
def done_is_set_once_the_interrupt_is_seen(driver: Driver, channel: int) -> None:
    """The WDK sample's interrupt handler: DMACSR reads 0x11, and 0x19 acknowledges without a restart."""
    dma, buffer = Dma(driver, channel), driver.buffer(8)
    dma.block(buffer.bus, 0, 4, TO_PCI, mode=RESET_MODE | DONE_INTR | TO_INTA)
    dma.enable_interrupt()
    assert not driver.inta()
    dma.run()
    assert driver.inta()
    assert driver.read(INTCSR) & 3 << 21 == dma.interrupt
    assert dma.status == 0x11
    buffer.write(0, FRESH * 8)
    dma.command(0x19)
    assert not driver.inta()
    driver.settle()
    assert dma.status == 0x11
    assert buffer.read(0, 8) == FRESH * 8


@channel_behaviour("INTCSR.dma#_enable", "INTCSR.dma#_active", "INTCSR.pci_enable")
def a_latched_interrupt_reaches_inta_through_three_gates(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.block(0, 0, 0, mode=RESET_MODE | DONE_INTR | TO_INTA)
    dma.enable_interrupt()
    dma.run()
    assert driver.inta()
    driver.write(INTCSR, IDLE_INTCSR)
    assert not driver.inta(), "INTCSR[18] or [19]"
    driver.write(INTCSR, IDLE_INTCSR | (3 << 18 & ~dma.interrupt_enable))
    assert not driver.inta(), "the other channel's does not count"
    driver.write(INTCSR, 0x0001_0000 | dma.interrupt_enable)
    assert not driver.inta(), "INTCSR[8]"
    dma.enable_interrupt()
    assert driver.inta()
    dma.write(MODE, RESET_MODE | DONE_INTR)
    assert not driver.inta(), "DMAMODE[17], looked at at all times"
    assert dma.latched
    dma.write(MODE, RESET_MODE | TO_INTA)
    assert driver.inta(), "the latch does not look at DMAMODE[10] any more"
    driver.write(INTCSR, 0)
    assert dma.latched, "the status is read-only, and not gated"
    dma.command(CLEAR)
    assert not dma.latched


@channel_behaviour("DMAMODE#.to_inta", "INTCSR.local_output_enable", "INTCSR.dma#_enable", guest=False)
def without_mode_bit_17_the_interrupt_goes_to_linto(driver: Driver, channel: int) -> None:
    dma = Dma(driver, channel)
    dma.block(0, 0, 0, mode=RESET_MODE | DONE_INTR)
    dma.enable_interrupt()
    assert not driver.local.linto()
    dma.run()
    assert (driver.local.linto(), driver.inta()) == (True, False)
    driver.write(INTCSR, 0x0000_0100 | dma.interrupt_enable)
    assert not driver.local.linto(), "INTCSR[16]"
    dma.enable_interrupt()
    assert driver.local.linto()
    dma.write(MODE, RESET_MODE | TO_INTA)
    assert (driver.local.linto(), driver.inta()) == (False, True)
    dma.write(MODE, RESET_MODE)
    assert (driver.local.linto(), driver.inta()) == (True, False)
    dma.command(CLEAR)
    assert not driver.local.linto()


@channel_behaviour("DMAMODE#.done_intr")
def the_done_interrupt_is_decided_when_the_transfer_ends(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(4)
    for at_start, at_end in ((DONE_INTR, 0), (0, DONE_INTR)):
        bus_mastering(driver, on=False)
        dma.block(buffer.bus, 0, 4, TO_PCI, mode=RESET_MODE | at_start)
        dma.command(ENABLE | START)
        dma.write(MODE, RESET_MODE | at_end)
        bus_mastering(driver, on=True)
        driver.settle()
        assert dma.status == 0x11
        assert dma.latched == bool(at_end)


@channel_behaviour("DMAMODE#.hold_local", "DMAMODE#.local_width")
def the_other_mode_bits_of_a_running_block_are_those_at_its_start(driver: Driver, channel: int) -> None:
    dma, buffer = Dma(driver, channel), driver.buffer(16)
    put(driver, 0, pattern(16))
    for at_start, later, expected in ((0x43, 0x840, pattern(16)), (0x840, 0x243, pattern(1) * 16)):
        bus_mastering(driver, on=False)
        dma.block(buffer.bus, 0, 16, TO_PCI, mode=at_start)
        dma.command(ENABLE | START)
        dma.write(MODE, later)
        bus_mastering(driver, on=True)
        driver.settle()
        assert buffer.read(0, 16) == expected
