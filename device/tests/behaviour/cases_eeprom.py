# SPDX-License-Identifier: Apache-2.0
"""The serial EEPROM on CNTRL's four wires, and what a load of it does (reference 3.4, 7).

The board of the 9080 has a 93CS46, which takes 9 bits of command, the others a 93CS56, which takes 11. A guest's case
writes words that the chip never loads, and leaves them blank again: they outlive a reset.

Long, because the wires are of no use without what is read and written over them.
"""

from collections.abc import Iterable
from typing import Final

from tests.behaviour.cases_block import Dma, put
from tests.behaviour.driver import SINCE_9056, SPACE0, Driver, behaviour, channel_behaviour

CNTRL: Final = 0x6C
CLOCK, SELECT, DATA, ANSWER, PRESENT, RELOAD, RESET, LISTEN = (1 << n for n in range(24, 32))
READ, WRITE, ERASE = 0b110, 0b101, 0b111
"""The start bit and two bits of opcode; an address follows."""
DISABLE, WRITE_ALL, ERASE_ALL, ENABLE = 0b10000, 0b10001, 0b10010, 0b10011
"""Commands without an address: what their first five bits are."""
BLANK: Final = 0xFFFF
SPARE: Final = 0x3C
"""A word behind all that is loaded, in either part."""

DEVICE: Final = {"9080": 0x0401, "9054": 0x5406, "9056": 0x5601, "9656": 0x9601, "8311": 0x86E1}


class Wires:
    """CNTRL as a driver clocks an EEPROM through it, one write a step, all other bits as they are."""

    def __init__(self, driver: Driver, *, address_bits: int | None = None) -> None:
        self.driver = driver
        self.address_bits = address_bits or (6 if driver.chip == "9080" else 8)
        self.rest = driver.read(CNTRL) & 0x000F_FFFF
        self.listen = LISTEN if driver.chip in SINCE_9056 else 0

    def drive(self, wires: int) -> None:
        self.driver.write(CNTRL, self.rest | wires)

    def clock(self, wires: int) -> None:
        """One period: SK high, SK low."""
        self.drive(wires | CLOCK)
        self.drive(wires)

    def begin(self) -> None:
        """CS low, then high: a command follows."""
        self.drive(0)
        self.drive(SELECT)

    def send(self, value: int, count: int) -> None:
        """Shift out, most significant bit first."""
        for at in reversed(range(count)):
            bit = DATA if value >> at & 1 else 0
            self.drive(SELECT | bit)
            self.clock(SELECT | bit)

    def command(self, code: int, address: int = 0) -> None:
        """Select the part and send a command, with an address or without."""
        self.begin()
        if code < 8:
            self.send(code << self.address_bits | address, 3 + self.address_bits)
        else:
            self.send(code << self.address_bits - 2, 3 + self.address_bits)

    def take(self, count: int) -> int:
        """Shift in as the SDK does: EEDO enabled, DI high, sampled once SK is low again."""
        value = 0
        for _ in range(count):
            self.clock(SELECT | DATA | self.listen)
            value = value << 1 | self.answer
        return value

    @property
    def answer(self) -> int:
        return self.driver.read(CNTRL) >> 27 & 1

    def end(self) -> None:
        """CS low."""
        self.drive(0)

    # -- whole commands --------------------------------------------------------------------------

    def read(self, word: int, count: int = 1) -> list[int]:
        """Words in one command."""
        self.command(READ, word)
        words = [self.take(16) for _ in range(count)]
        self.end()
        return words

    def write(self, word: int, value: int) -> None:
        self.command(WRITE, word)
        self.send(value, 16)
        self.end()

    def bare(self, code: int) -> None:
        self.command(code)
        self.end()

    def program(self, values: Iterable[tuple[int, int]]) -> None:
        """The SDK's way of writing: enable, each word until it is ready, disable."""
        self.bare(ENABLE)
        for word, value in values:
            self.write(word, value)
            self.drive(SELECT | self.listen)
            assert self.answer == 1, "ready"
            self.end()
        self.bare(DISABLE)

    def program_dword(self, at: int, value: int) -> None:
        """A dword by its byte offset: the most significant word comes first."""
        self.program(((at // 2, value >> 16), (at // 2 + 1, value & 0xFFFF)))


def rise(driver: Driver, bit: int) -> None:
    """Take a level bit of CNTRL from 0 to 1 and back, as drivers do."""
    value = driver.read(CNTRL) & 0x000F_FFFF
    driver.write(CNTRL, value | bit)
    driver.write(CNTRL, value)


# -- reading --------------------------------------------------------------------------------------


@behaviour("CNTRL.eeprom_data_in", "CNTRL.eeprom_present")
def the_sdk_reads_32_bits_with_one_command(driver: Driver) -> None:
    """Most significant word first, each from its most significant bit down."""
    wires = Wires(driver)
    assert driver.read(CNTRL) & PRESENT
    known = {
        0x00: DEVICE[driver.chip] << 16 | 0x10B5,
        0x08: 0x0000_0100,
        0x18: driver.memory_at | 1,
        0x2C: 0x4243_0043,
        0x44: int(driver.chip, 16) << 16 | 0x10B5,
    }
    for at, value in known.items():
        wires.command(READ, at // 2)
        assert wires.take(32) == value, hex(at)
        wires.end()


@behaviour("CNTRL.eeprom_data_in")
def a_read_goes_on_with_the_next_word_while_cs_is_high(driver: Driver) -> None:
    wires = Wires(driver)
    words = wires.read(0, 4)
    assert words[:3] == [DEVICE[driver.chip], 0x10B5, 0x0680]
    assert words == [wires.read(at)[0] for at in range(4)]


@behaviour("CNTRL.eeprom_data_in")
def a_zero_comes_before_the_data(driver: Driver) -> None:
    wires = Wires(driver)
    wires.begin()
    wires.send(READ << wires.address_bits | SPARE, 3 + wires.address_bits)
    wires.drive(SELECT | wires.listen)
    assert wires.answer == 0
    assert wires.take(16) == BLANK
    wires.end()


@behaviour("CNTRL.eeprom_data_in", "CNTRL.eeprom_clock")
def data_comes_with_the_rise_of_sk_and_stays(driver: Driver) -> None:
    wires = Wires(driver)
    wires.command(READ, SPARE)
    low, high = SELECT | wires.listen, SELECT | CLOCK | wires.listen
    wires.drive(low)
    assert wires.answer == 0
    for level in (high, high, low, low):
        wires.drive(level)
        assert wires.answer == 1
        assert driver.read(CNTRL) & (CLOCK | SELECT | DATA) == level & (CLOCK | SELECT)
    wires.command(READ, 1)  # 0x10B5
    assert [wires.take(1) for _ in range(4)] == [0, 0, 0, 1]
    wires.end()


@behaviour()
def zeros_before_the_start_bit_do_not_count(driver: Driver) -> None:
    wires = Wires(driver)
    wires.begin()
    wires.send(0, 5)
    wires.send(READ << wires.address_bits | 1, 3 + wires.address_bits)
    assert wires.take(16) == 0x10B5
    wires.end()


@behaviour("CNTRL.eeprom_select", "CNTRL.eeprom_data_in")
def a_new_command_begins_with_the_rise_of_cs(driver: Driver) -> None:
    """Whatever became of the one before: cut off in its command, or in its data."""
    wires = Wires(driver)
    for cut in (1, 4, 3 + wires.address_bits):
        wires.begin()
        wires.send(READ << wires.address_bits >> 3 + wires.address_bits - cut, cut)
        assert wires.read(1) == [0x10B5]
    wires.command(READ, 0)
    wires.take(7)
    assert wires.read(1) == [0x10B5]
    assert driver.read(CNTRL) & SELECT == 0
    wires.drive(SELECT)
    assert driver.read(CNTRL) & SELECT
    wires.end()


@behaviour("CNTRL.eeprom_data_in", "CNTRL.eeprom_data_out")
def writes_of_cntrl_that_leave_cs_low_disturb_nothing(driver: Driver) -> None:
    """cb_pcidas64 clocks I2C through bits 16 and 26."""
    wires = Wires(driver)
    for bits in (DATA, DATA | CLOCK, CLOCK, 0) * 12:
        wires.drive(bits)
        assert driver.read(CNTRL) & (DATA | CLOCK | SELECT | ANSWER) == bits, "DO reads 0 while CS is low"
        driver.write(CNTRL, (wires.rest ^ 1 << 16) | bits)
    assert wires.read(0, 2) == [DEVICE[driver.chip], 0x10B5]
    assert wires.read(SPARE) == [BLANK]


@behaviour("CNTRL.eeprom_input_enable", "CNTRL.eeprom_data_in", chips=SINCE_9056)
def without_bit_31_the_chip_does_not_listen_and_the_part_talks_all_the_same(driver: Driver) -> None:
    wires = Wires(driver)
    wires.command(READ, SPARE)
    for _ in range(4):
        wires.clock(SELECT)
        assert wires.answer == 0
        assert driver.read(CNTRL) & LISTEN == 0
    for _ in range(12):
        wires.clock(SELECT | LISTEN)
        assert wires.answer == 1
        assert driver.read(CNTRL) & LISTEN
    wires.end()


@behaviour("CNTRL.eeprom_data_in", chips=("9080", "9054"))
def the_older_chips_listen_always(driver: Driver) -> None:
    wires = Wires(driver)
    wires.command(READ, SPARE)
    wires.clock(SELECT | LISTEN)
    assert wires.answer == 1
    assert driver.read(CNTRL) & LISTEN == (LISTEN if driver.chip == "9080" else 0), "local init done, or reserved"
    wires.clock(SELECT)
    assert wires.answer == 1
    wires.end()


@behaviour("CNTRL.eeprom_clock", "CNTRL.eeprom_select", "CNTRL.eeprom_data_out", "CNTRL.eeprom_data_in")
def the_part_answers_to_byte_writes_of_cntrl_too(driver: Driver) -> None:
    bits = 9 if driver.chip == "9080" else 11
    listen = 0x80 if driver.chip in SINCE_9056 else 0
    command = (0x180 if bits == 9 else 0x600) | 1
    driver.write(0x6F, 0x00, 1)
    driver.write(0x6F, 0x02, 1)
    for at in reversed(range(bits)):
        data = 4 if command >> at & 1 else 0
        for wires in (0x02 | data, 0x03 | data, 0x02 | data):
            driver.write(0x6F, wires, 1)
            assert driver.read(0x6F, 1) & 7 == wires
    word = 0
    for _ in range(16):
        driver.write(0x6F, 0x07 | listen, 1)
        driver.write(0x6F, 0x06 | listen, 1)
        word = word << 1 | driver.read(0x6F, 1) >> 3 & 1
    assert word == 0x10B5
    driver.write(0x6F, 0x00, 1)


# -- writing --------------------------------------------------------------------------------------


@behaviour("CNTRL.eeprom_data_in")
def a_word_is_written_between_enable_and_disable(driver: Driver) -> None:
    wires = Wires(driver)
    assert wires.read(SPARE, 4) == [BLANK] * 4
    wires.program(((SPARE + 1, 0x1234), (SPARE + 2, 0xA5C3)))
    assert wires.read(SPARE, 4) == [BLANK, 0x1234, 0xA5C3, BLANK]
    wires.program(((SPARE + 1, 0xEDCB), (SPARE + 2, 0x0000)))
    assert wires.read(SPARE, 4) == [BLANK, 0xEDCB, 0x0000, BLANK], "a word need not be erased before"
    wires.program(((SPARE + 1, BLANK), (SPARE + 2, BLANK)))
    assert wires.read(SPARE, 4) == [BLANK] * 4
    assert wires.read(0, 2) == [DEVICE[driver.chip], 0x10B5]


@behaviour()
def nothing_is_written_unless_it_was_enabled(driver: Driver) -> None:
    """Neither after power-on, nor after the disable."""
    wires = Wires(driver)
    wires.write(SPARE, 0x1234)
    assert wires.read(SPARE) == [BLANK]
    wires.bare(ENABLE)
    wires.bare(DISABLE)
    wires.write(SPARE, 0x1234)
    wires.command(ERASE, 1)
    wires.end()
    assert wires.read(SPARE) == [BLANK]
    assert wires.read(0, 2) == [DEVICE[driver.chip], 0x10B5]


@behaviour("CNTRL.eeprom_data_in")
def an_erased_word_is_ones(driver: Driver) -> None:
    wires = Wires(driver)
    wires.program(((SPARE, 0x1234), (SPARE + 1, 0x5678)))
    wires.bare(ENABLE)
    wires.command(ERASE, SPARE)
    wires.end()
    wires.drive(SELECT | wires.listen)
    assert wires.answer == 1, "ready"
    wires.end()
    assert wires.read(SPARE, 2) == [BLANK, 0x5678]
    wires.command(ERASE, SPARE + 1)
    wires.end()
    wires.bare(DISABLE)
    assert wires.read(SPARE, 2) == [BLANK] * 2


@behaviour()
def a_write_that_is_cut_off_writes_nothing(driver: Driver) -> None:
    """In its command, or before its sixteenth bit."""
    wires = Wires(driver)
    wires.bare(ENABLE)
    wires.begin()
    wires.send(WRITE << wires.address_bits >> 1, 2 + wires.address_bits)
    wires.end()
    wires.command(WRITE, SPARE)
    wires.send(0, 15)
    wires.end()
    assert wires.read(SPARE) == [BLANK]
    wires.bare(DISABLE)
    assert wires.read(0) == [DEVICE[driver.chip]]


@behaviour("CNTRL.eeprom_data_in")
def reading_does_not_need_the_enable_and_does_not_take_it_away(driver: Driver) -> None:
    wires = Wires(driver)
    wires.bare(ENABLE)
    assert wires.read(1) == [0x10B5]
    wires.write(SPARE, 0x1234)
    wires.write(SPARE + 1, 0x5678)
    assert wires.read(SPARE, 2) == [0x1234, 0x5678]
    wires.write(SPARE, BLANK)
    wires.write(SPARE + 1, BLANK)
    wires.bare(DISABLE)
    assert wires.read(SPARE, 2) == [BLANK] * 2


@behaviour(guest=False)
def the_whole_part_can_be_erased_and_written_with_one_word(driver: Driver) -> None:
    wires = Wires(driver)
    count = 64 if driver.chip == "9080" else 128
    wires.command(WRITE_ALL)
    wires.send(0x1234, 16)
    wires.end()
    wires.bare(ERASE_ALL)
    assert wires.read(0, 2) == [DEVICE[driver.chip], 0x10B5], "not enabled"
    wires.bare(ENABLE)
    wires.command(WRITE_ALL)
    wires.send(0x1234, 16)
    wires.end()
    sample = (0, 1, count // 2, count - 1)
    assert [wires.read(at)[0] for at in sample] == [0x1234] * 4
    wires.bare(ERASE_ALL)
    wires.bare(DISABLE)
    assert [wires.read(at)[0] for at in sample] == [BLANK] * 4
    assert driver.read(CNTRL) & PRESENT, "a blank part is there all the same"


@behaviour("CNTRL.software_reset")
def the_part_keeps_what_was_written_over_a_software_reset(driver: Driver) -> None:
    wires = Wires(driver)
    wires.program(((SPARE, 0x1234),))
    rise(driver, RESET)
    assert driver.read(CNTRL) & RESET == 0
    assert wires.read(SPARE) == [0x1234]
    wires.program(((SPARE, BLANK),))
    assert wires.read(SPARE) == [BLANK]


# -- loading --------------------------------------------------------------------------------------


@behaviour("CNTRL.reload", "CNTRL.software_reset", "MBOX0.value")
def reload_and_software_reset_are_levels_and_registers_answer_meanwhile(driver: Driver) -> None:
    """plx_pci's reset, and farsync's: c | [30], c, c | [29], c."""
    value = driver.read(CNTRL) & 0x000F_FFFF
    for bit in (RESET, RELOAD):
        driver.write(CNTRL, value | bit)
        assert driver.read(CNTRL) & (RESET | RELOAD) == bit, "not self-clearing"
        assert driver.read(0x04) == driver.memory_at | 1
        assert driver.read(0x70) & 0xFFFF == 0x10B5
        driver.write(0x78, 0x1234_5678)
        assert driver.read(0x78) == 0x1234_5678, "only the rise acts"
        driver.write(CNTRL, value)
        assert driver.read(CNTRL) & (RESET | RELOAD) == 0
        assert driver.read(0x78) == 0x1234_5678
    for half in (0x440F, 0x040F, 0x240F, 0x040F):
        driver.write(0x6E, half, 2)
    assert driver.read(0x78) == 0, "loaded"
    assert driver.read(0x04) == driver.memory_at | 1


@behaviour(
    "CNTRL.reload",
    "MBOX0.value",
    "MBOX1.value",
    guest=False,
)
def a_reload_loads_each_dword_into_its_register(driver: Driver) -> None:
    wires = Wires(driver)
    table = {
        0x0C: (0x78, 0x1111_2222),
        0x10: (0x7C, 0x3333_4444),
        0x14: (0x00, 0xFFFE_0000 if driver.chip != "9080" else 0xFF00_0000),
        0x18: (0x04, driver.memory_at | 1),
        0x1C: (0x08, 0x0920_5A00),
        0x20: (0x0C, 0x08),
        0x24: (0x10, 0xFFFF_0001),
        0x28: (0x14, 0x00AB_C80F),
        0x2C: (0x18, 0x4261_0243),
        0x30: (0x1C, 0x1234_0000),
        0x34: (0x20, 0x5678_0000),
        0x38: (0x24, 0x9ABC_0000),
        0x3C: (0x28, 0xDEF0_0003),
        0x40: (0x2C, 0x8001_2345),
        0x48: (0xF0, 0xFFFF_0000),
        0x4C: (0xF4, 0x4000_0000),
        0x50: (0xF8, 0x0000_0157),
    }
    for at, (_, value) in table.items():
        wires.program_dword(at, value)
    rise(driver, RELOAD)
    for at, (offset, value) in table.items():
        if offset == 0x0C:
            assert driver.read(offset, 1) == value
            assert driver.read(0x0D, 1) == (0 if driver.chip == "9080" else 0x04), "init done, whatever the part says"
        else:
            assert driver.read(offset) == value, hex(at)


@behaviour("CNTRL.reload", "LMISC1.io_bar", "PROT_AREA.first_writable", chips=SINCE_9056, guest=False)
def a_reload_loads_the_four_bytes_at_0x0c_in_register_order_and_the_arbiter(driver: Driver) -> None:
    wires = Wires(driver)
    wires.program_dword(0x20, 0x2A55_85C3)
    wires.program_dword(0x58, 0x0000_000A)
    rise(driver, RELOAD)
    assert driver.read(0x0C) == 0x2A55_85C3
    assert driver.read(0x100) == 0x0A


@behaviour("CNTRL.reload", "PCIIDR.device", "PCIREV.revision", "PCISID.device", guest=False)
def a_reload_loads_the_ids(driver: Driver) -> None:
    wires = Wires(driver)
    for at, value in ((0x00, 0xABCD_10B5), (0x04, 0x1180_0042), (0x08, 0x0504_010B), (0x44, 0x5678_1234)):
        wires.program_dword(at, value)
    rise(driver, RELOAD)
    assert driver.config_read(0x00) == 0xABCD_10B5
    assert driver.config_read(0x08) == 0x1180_0042
    assert driver.config_read(0x3C) == 0x0504_010B
    assert driver.config_read(0x2C) == 0x5678_1234
    assert driver.read(0x70) != 0xABCD_10B5, "PCIHIDR is the chip's own"


@behaviour("CNTRL.reload", "LAS1RR.mask", "PCISID.device", guest=False)
def without_the_extra_long_bit_the_load_ends_before_the_subsystem(driver: Driver) -> None:
    """LBRD0[25], in the image itself."""
    wires = Wires(driver)
    wires.program_dword(0x40, 0x0000_1234)
    wires.program_dword(0x44, 0x5678_1234)
    wires.program_dword(0x48, 0xFFFF_0000)
    wires.program_dword(0x2C, 0x4043_0043)
    before = driver.config_read(0x2C), driver.read(0xF0)
    rise(driver, RELOAD)
    assert driver.read(0x18) == 0x4043_0043
    assert driver.read(0x2C) == 0x1234
    assert (driver.config_read(0x2C), driver.read(0xF0)) == before
    wires.program_dword(0x2C, 0x4243_0043)
    rise(driver, RELOAD)
    assert (driver.config_read(0x2C), driver.read(0xF0)) == (0x5678_1234, 0xFFFF_0000)


@channel_behaviour("CNTRL.reload", "DMACSR#.enable")
def a_reload_loads_nothing_of_the_dma_channels(driver: Driver, channel: int) -> None:
    """The table has no DMAMODE: it stays as software left it."""
    dma = Dma(driver, channel)
    dma.block(0x1234_5678, 0x10, 0x20, 0x30, mode=0x2_0543)
    dma.command(1)
    before = (0x1234_5678, driver.memory_at + 0x10, 0x20, 0x30)
    driver.write(CNTRL, driver.read(CNTRL) & 0x000F_FFFF | RELOAD)
    assert dma.read(0x80) == 0x2_0543
    assert dma.shown == before
    assert dma.status == 0x11
    driver.write(CNTRL, driver.read(CNTRL) & 0x000F_FFFF)
    assert driver.read(CNTRL) & RELOAD == 0
    assert dma.read(0x80) == 0x2_0543


@behaviour("CNTRL.reload", "LAS0BA.enable")
def a_reload_brings_a_space_back_with_what_it_held(driver: Driver) -> None:
    put(driver, 0x40, b"kept")
    driver.write(0x04, 0)
    assert driver.read(0x40, bar=SPACE0) == 0xFFFF_FFFF
    rise(driver, RELOAD)
    assert driver.read(CNTRL) & RELOAD == 0
    assert driver.read(0x40, bar=SPACE0) == int.from_bytes(b"kept", "little")


@behaviour("CNTRL.software_reset", "LAS0RR.mask", "MBOX0.value", "PCIIDR.device", guest=False)
def a_software_reset_takes_the_local_configuration_from_a_changed_eeprom(driver: Driver) -> None:
    """And neither configuration space, nor a mailbox."""
    wires = Wires(driver)
    for at, value in ((0x00, 0xABCD_10B5), (0x0C, 0x1111_2222), (0x14, 0xFFFF_0000), (0x30, 0x1234_0000)):
        wires.program_dword(at, value)
    assert driver.read(0x00) != 0xFFFF_0000
    rise(driver, RESET)
    assert driver.read(0x00) == 0xFFFF_0000
    assert driver.read(0x1C) == 0x1234_0000
    assert driver.config_read(0x00) == DEVICE[driver.chip] << 16 | 0x10B5
    assert driver.read(0x78) == 0
    driver.config_write(0x18, 0xFFFF_FFFF)
    assert driver.config_read(0x18) == 0xFFFF_0000, "the BAR has the new size"
    rise(driver, RELOAD)
    assert driver.config_read(0x00) == 0xABCD_10B5
    assert driver.read(0x78) == 0x1111_2222


@behaviour("CNTRL.software_reset", "LAS0RR.mask", "LAS0BA.enable", "LBRD0.extra_long_load", guest=False)
def a_software_reset_with_a_blank_eeprom_gives_power_on_values(driver: Driver) -> None:
    wires = Wires(driver)
    wires.bare(ENABLE)
    wires.bare(ERASE_ALL)
    wires.bare(DISABLE)
    rise(driver, RESET)
    assert (driver.read(0x00), driver.read(0x04), driver.read(0x18)) == (0xFFF0_0000, 0, 0x4043_0043)
    assert (driver.read(0xF0), driver.read(0xF4), driver.read(0xF8)) == (0xFFF0_0000, 0, 0x43)
    assert driver.read(0x0C) == (0 if driver.chip == "9080" else 0x0030_0500)
    assert driver.read(0x40, bar=SPACE0) == 0xFFFF_FFFF
    assert driver.read(CNTRL) & PRESENT
