# SPDX-License-Identifier: Apache-2.0
"""Local configuration registers (reference section 2), widths of accesses, and every BAR0 register's storage."""

from dataclasses import dataclass
from typing import Final

from plx9x5x.regs.dma import DMA_REGISTERS
from plx9x5x.regs.intr import MESSAGING_REGISTERS, RUNTIME_REGISTERS
from plx9x5x.regs.local import LOCAL_REGISTERS
from tests.behaviour.cases_config import IDLE_STATUS, ONES, PATTERNS, block, claims
from tests.behaviour.driver import PORTS, SINCE_9054, SINCE_9056, SPACE0, SPACE1, Driver, behaviour

LAS0RR: Final = 0x00
LAS0BA: Final = 0x04
LAS1RR: Final = 0xF0
LAS1BA: Final = 0xF4
ENABLE: Final = 1
FOUR_KIB: Final = 0xFFFF_F000
NOWHERE: Final = 0xF800_0000
"""A bus address that nothing decodes."""

# -- spaces ------------------------------------------------------------------------------------------


@behaviour("LAS0BA.base", "LAS0RR.mask", "LAS0BA.enable")
def a_new_remap_shows_another_piece_of_local_memory_at_once(driver: Driver) -> None:
    for page in range(4):
        driver.write(0x1000 * page + 0x20, 0x1111_1111 * page, bar=SPACE0)
    driver.write(LAS0RR, FOUR_KIB)
    for page in (3, 1, 0, 2):
        base = driver.memory_at + 0x1000 * page | ENABLE
        driver.write(LAS0BA, base)
        assert driver.read(LAS0BA) == base
        assert driver.read(0x20, bar=SPACE0) == 0x1111_1111 * page
        driver.write(0x24, page, bar=SPACE0)
    driver.write(LAS0RR, 0xFFFF_8000)
    driver.write(LAS0BA, driver.memory_at | ENABLE)
    assert [driver.read(0x1000 * page + 0x24, bar=SPACE0) for page in range(4)] == [0, 1, 2, 3]


@behaviour("LAS0BA.base", "LAS0RR.mask")
def remap_bits_inside_the_range_do_not_count(driver: Driver) -> None:
    """The local address is (LASnBA & mask) | (offset & ~mask)."""
    driver.write(0x3020, 0xCAFE_F00D, bar=SPACE0)
    driver.write(LAS0RR, FOUR_KIB)
    driver.write(LAS0BA, driver.memory_at + 0x3FF0 | ENABLE)
    assert driver.read(LAS0BA) == driver.memory_at + 0x3FF0 | ENABLE
    assert driver.read(0x20, bar=SPACE0) == 0xCAFE_F00D


@behaviour("LAS0BA.enable")
def a_space_that_is_off_reads_ones_and_takes_nothing(driver: Driver) -> None:
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    base = driver.read(LAS0BA)
    driver.write(LAS0BA, base & ~ENABLE)
    assert driver.read(0x20, bar=SPACE0) == ONES
    assert driver.read(0x20, 2, bar=SPACE0) == 0xFFFF
    driver.write(0x20, 0, bar=SPACE0)
    driver.write(LAS0BA, base)
    assert driver.read(0x20, bar=SPACE0) == 0xCAFE_F00D


@behaviour("LAS1RR.mask", "LAS1BA.base", "LAS1BA.enable", guest=False)
def space_1_shows_what_its_own_registers_say(driver: Driver) -> None:
    for page in range(4):
        driver.write(0x1000 * page + 0x20, 0x1111_1111 * page, bar=SPACE0)
    driver.write(LAS1RR, FOUR_KIB)
    for page in (3, 1, 0, 2):
        driver.write(LAS1BA, driver.memory_at + 0x1000 * page | ENABLE)
        assert driver.read(0x20, bar=SPACE1) == 0x1111_1111 * page
        driver.write(0x24, page, bar=SPACE1)
    driver.write(LAS1BA, driver.memory_at)
    assert driver.read(0x20, bar=SPACE1) == ONES
    driver.write(0x24, ONES, bar=SPACE1)
    assert [driver.read(0x1000 * page + 0x24, bar=SPACE0) for page in range(4)] == [0, 1, 2, 3]


@behaviour("LAS1RR.mask", "LAS1BA.base", "LAS1BA.enable", chips=("9080",))
def the_9080_board_shows_its_second_memory_in_bar3(driver: Driver) -> None:
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE1)
    driver.write(0x20, 0x1234_5678, bar=SPACE0)
    assert driver.read(0x20, bar=SPACE1) == 0xCAFE_F00D
    driver.write(LAS0RR, FOUR_KIB)
    driver.write(LAS0BA, 0x1000_0000 | ENABLE)
    assert driver.read(0x20, bar=SPACE0) == 0xCAFE_F00D
    driver.write(LAS1RR, FOUR_KIB)
    driver.write(LAS1BA, 0x0000_0000 | ENABLE)
    assert driver.read(0x20, bar=SPACE1) == 0x1234_5678


@behaviour("LAS0RR.io", "LAS1RR.io", "PCICR.io", "PCICR.memory", guest=False)
def a_space_in_io_decodes_by_the_io_enable(driver: Driver) -> None:
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    for bar, size, base in ((SPACE0, LAS0RR, LAS0BA), (SPACE1, LAS1RR, LAS1BA)):
        driver.write(base, driver.memory_at | ENABLE)
        for kind, decoding in ((0x0, (True, False)), (0x1, (False, True))):
            driver.write(size, 0xFFFF_FF00 | kind)
            for command, answers in zip((0x2, 0x1), decoding, strict=True):
                driver.config_write(0x04, command, 2)
                assert driver.read(0x20, bar=bar) == (0xCAFE_F00D if answers else ONES), f"BAR{bar} {kind} {command}"
            driver.config_write(0x04, 0x7, 2)


@behaviour("LAS0RR.mask", "LAS0RR.io", "LAS0BA.base", guest=False)
def an_io_space_may_be_as_small_as_a_dword_and_lie_on_any(driver: Driver) -> None:
    driver.write(0x24, 0xCAFE_F00D, bar=SPACE0)
    driver.write(LAS0RR, 0xFFFF_FFFD)
    driver.write(LAS0BA, driver.memory_at + 0x24 | ENABLE)
    assert driver.read(0x00, bar=SPACE0) == 0xCAFE_F00D


@behaviour("LMISC1.io_bar", chips=SINCE_9054)
def a_dword_of_0_at_0x0c_drops_the_ports_and_nothing_else(driver: Driver) -> None:
    driver.write(0x50, 0x1234_5678)
    driver.write(0x20, 0xCAFE_F00D, bar=SPACE0)
    before = driver.read(0x0C)
    driver.write(0x0C, 0)
    assert driver.read(0x0C) == 0x0000_0400, "local initialisation stays done"
    assert driver.read(0x50, bar=PORTS) == ONES
    driver.write(0x50, 0, bar=PORTS)
    assert driver.read(0x50) == 0x1234_5678
    assert driver.read(0x20, bar=SPACE0) == 0xCAFE_F00D
    driver.write(0x0C, before)
    assert driver.read(0x50, bar=PORTS) == 0x1234_5678


@behaviour("BIGEND.configuration", chips=("9080",), generic=True)
def the_9080_has_bigend_alone_at_0x0c(driver: Driver) -> None:
    driver.write(0x0C, 0xFFFF_FF5A)
    assert driver.read(0x0C) == 0x0000_005A
    driver.write(0x0D, 0xFF, 1)
    driver.write(0x0E, 0xFFFF, 2)
    assert driver.read(0x0C) == 0x0000_005A
    driver.write(0x0C, 0)
    assert driver.read(0x0C) == 0
    assert driver.read(0x50, bar=PORTS) == 0, "the ports are not at stake"


# -- big endian --------------------------------------------------------------------------------------

_TURNED: Final = {3: 0x0102_0304, 2: 0x0102_0304, 1: 0x0304_0102, 0: 0x0403_0201}
"""What 04030201h reads with the bytes of its words in reverse, by the code of the local bus width."""


def _turns(driver: Driver, bar: int, *, bit: int, descriptor: int) -> None:
    plain = driver.read(descriptor)
    for code, turned in _TURNED.items():
        driver.write(0x0C, 0, 1)
        driver.write(descriptor, plain & ~0x3 | code)
        driver.write(0x20, 0x0403_0201, bar=bar)
        driver.write(0x0C, bit, 1)
        assert driver.read(0x20, bar=bar) == turned, code
        assert [driver.read(0x20 + lane, 1, bar=bar) for lane in range(4)] == list(turned.to_bytes(4, "little"))
        assert driver.read(0x22, 2, bar=bar) == turned >> 16
        driver.write(0x24, 0x0403_0201, bar=bar)
        driver.write(0x25, 0xAA, 1, bar=bar)
        assert driver.read(0x24, bar=bar) == 0x0403_AA01
        driver.write(0x0C, 0xFF & ~bit, 1)
        assert driver.read(0x20, bar=bar) == 0x0403_0201, "the other bits are about other paths"
        turned_back = 0x0403_AA01.to_bytes(4, "little")
        step = {3: 4, 2: 4, 1: 2, 0: 1}[code]
        words = b"".join(turned_back[at : at + step][::-1] for at in range(0, 4, step))
        assert driver.read(0x24, bar=bar) == int.from_bytes(words, "little")
    driver.write(0x0C, 0, 1)
    driver.write(descriptor, plain)


@behaviour("BIGEND.space0", "LBRD0.bus_width")
def bigend_2_reverses_the_bytes_of_each_local_word_of_space_0(driver: Driver) -> None:
    _turns(driver, SPACE0, bit=0x04, descriptor=0x18)


@behaviour("BIGEND.space1", "LBRD1.bus_width", guest=False)
def bigend_5_reverses_the_bytes_of_each_local_word_of_space_1(driver: Driver) -> None:
    driver.write(LAS1RR, FOUR_KIB)
    driver.write(LAS1BA, driver.memory_at + 0x1000 | ENABLE)
    _turns(driver, SPACE1, bit=0x20, descriptor=0xF8)


@behaviour("BIGEND.space0", "BIGEND.configuration", generic=True)
def bigend_leaves_the_registers_as_the_host_sees_them(driver: Driver) -> None:
    driver.write(0x50, 0x0403_0201)
    driver.write(0x0C, 0xFF, 1)
    assert driver.read(0x50) == 0x0403_0201
    assert driver.read(0x0C, 1) == 0xFF
    driver.write(0x0C, 0, 1)


# -- the rest ----------------------------------------------------------------------------------------


@behaviour("MARBR.latency_timer", "MARBR.pause_timer", "MARBR.subsystem_ids", generic=True)
def marbr_is_one_register_at_0x08_and_0xac(driver: Driver) -> None:
    driver.write(0x08, 0x2124_5678)
    assert driver.read(0xAC) == 0x2124_5678
    driver.write(0xAD, 0xAB, 1)
    assert driver.read(0x08) == 0x2124_AB78
    driver.write(0xAC, 0x0020_0000)
    assert driver.read(0x08) == 0x0020_0000
    assert driver.read(0x09, 1) == 0


@behaviour("PABTADR.address", chips=SINCE_9056)
def pabtadr_follows_the_last_address_mastered(driver: Driver) -> None:
    buffer = driver.buffer(4096)
    assert driver.read(0x104) == 0
    block(driver, buffer.bus + 0x10, 0x20, to_pci=True)
    assert driver.read(0x104) == buffer.bus + 0x2C, "the last dword"
    block(driver, buffer.bus + 0x800, 5, to_pci=False, channel=1)
    assert driver.read(0x104) == buffer.bus + 0x804
    driver.write(0x104, 0)
    driver.write(0x104, ONES)
    assert driver.read(0x104) == buffer.bus + 0x804, "read-only"


@behaviour("PABTADR.address", chips=SINCE_9056)
def pabtadr_holds_the_failing_address_after_an_abort(driver: Driver) -> None:
    buffer = driver.buffer(16)
    block(driver, NOWHERE + 0x124, 8, to_pci=True)
    assert driver.read(0x104) == NOWHERE + 0x124
    driver.write(0xA8, 0x04, 1)
    driver.settle()
    driver.config_write(0x06, 0x2000, 2)
    assert driver.read(0x104) == NOWHERE + 0x124, "its status gone, it stays"
    block(driver, buffer, 4, to_pci=True)
    assert driver.read(0x104) == buffer.bus


@behaviour("PABTADR.address", chips=SINCE_9056, guest=False)
def pabtadr_has_every_bit_of_a_dword_address(driver: Driver) -> None:
    for address in (0x5555_5554, 0xAAAA_AAA8, 0xFFFF_FFFC, 0x8000_0000):
        block(driver, address, 4, to_pci=False)
        assert driver.read(0x104) == address
        driver.write(0xA8, 0x04, 1)
        driver.settle()


def _unknown(chip: str) -> tuple[int, ...]:
    missing = {"9080": (0xB4, 0xB8, 0xFC), "9054": ()}.get(chip, tuple(range(0x108, 0x200, 4)))
    return (0x38, 0x3C, 0xBC, 0xEC, *missing)


@behaviour()
def offsets_without_a_register_read_0_and_take_nothing(driver: Driver) -> None:
    for offset in _unknown(driver.chip):
        driver.write(offset, ONES)
        assert driver.read(offset) == 0, hex(offset)
        assert driver.read(offset + 3, 1) == 0
        if offset < 0x100:
            driver.write(offset, ONES, bar=PORTS)
            assert driver.read(offset, bar=PORTS) == 0, hex(offset)
    assert driver.read(0x68) == 0x0F01_0100


@behaviour("MBOX4.value", "MBOX5.value", "MBOX6.value", guest=False)
def accesses_that_cross_a_dword_are_split_there(driver: Driver) -> None:
    driver.write(0x50, 0x8877_6655_4433_2211, 8)
    assert [driver.read(0x50), driver.read(0x54)] == [0x4433_2211, 0x8877_6655]
    assert driver.read(0x50, 8) == 0x8877_6655_4433_2211
    driver.write(0x51, 0x3322, 2)
    assert driver.read(0x50) == 0x4433_2211, "this one lies inside"
    driver.write(0x53, 0xBBAA, 2)
    assert [driver.read(0x50), driver.read(0x54)] == [0xAA33_2211, 0x8877_66BB]
    assert driver.read(0x52, 4) == 0x66BB_AA33
    driver.write(0x56, 0xFFEE_DDCC, 4)
    assert [driver.read(0x54), driver.read(0x58)] == [0xDDCC_66BB, 0x0000_FFEE]
    assert driver.read(0x52, 8) == 0xFFEE_DDCC_66BB_AA33


@behaviour("P2LDBELL.bells", "MBOX7.value", guest=False)
def an_8_byte_write_is_two_dwords_low_half_first(driver: Driver) -> None:
    driver.write(0x5C, 0x0000_0100_CAFE_F00D, 8)
    assert [driver.read(0x5C), driver.read(0x60)] == [0xCAFE_F00D, 0x100]
    driver.write(0x88, 0x0000_0004_0000_0000 | driver.memory_at, 8)
    assert [driver.read(0x88), driver.read(0x8C)] == [driver.memory_at, 4]
    assert driver.read(0x3C, 8) == 0, "half of it without a register"
    driver.write(0x20, 0x8877_6655_4433_2211, 8, bar=SPACE0)
    assert driver.read(0x24, bar=SPACE0) == 0x8877_6655
    assert driver.read(0x21, 8, bar=SPACE0) == 0x0088_7766_5544_3322


@behaviour("BIGEND.configuration", "PROT_AREA.first_writable", "LMISC2.fifo_full", chips=SINCE_9056, generic=True)
def the_four_bytes_at_0x0c_are_registers_of_their_own(driver: Driver) -> None:
    assert driver.read(0x0C) == 0x0030_0500
    driver.write(0x0E, 0x55, 1)
    assert driver.read(0x0C) == 0x0055_0500
    driver.write(0x0E, 0x2A2A, 2)
    assert driver.read(0x0C) == 0x2A2A_0500
    driver.write(0x0C, 0x81, 1)
    assert [driver.read(at, 1) for at in range(0x0C, 0x10)] == [0x81, 0x05, 0x2A, 0x2A]
    driver.write(0x0C, 0x0030_0500)
    assert driver.read(0x0C) == 0x0030_0500


# -- all of it ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A BAR0 register on one chip. `rw` stores what is written, `fixed` is what the other bits read.

    `reset` is None for one that the EEPROM loads.
    """

    name: str
    offset: int
    width: int
    rw: int
    fixed: int
    reset: int | None

    @property
    def lanes(self) -> int:
        return (1 << 8 * self.width) - 1


def _cells(chip: str) -> tuple[Cell, ...]:
    """The chip's BAR0 registers with the write masks of the reference's 2.7 and the reset values of its 2 to 5.

    Left out: DMACSR and the doorbells, of which a write does other things; the queue ports, which hide.
    """
    old, new = chip == "9080", chip not in ("9080", "9054")
    cells: list[Cell] = []

    def add(
        name: str, offset: int, rw: int, *, reset: int | None = 0, fixed: int | None = None, width: int = 4
    ) -> None:
        rest = (reset or 0) & ~rw if fixed is None else fixed
        cells.append(Cell(name, offset, width, rw, rest, reset))

    add("LAS0RR", 0x00, ONES, reset=None)
    add("LAS0BA", 0x04, 0xFFFF_FFFD, reset=None)
    add("MARBR", 0x08, 0x3FFF_FFFF if old else 0xBFFF_FFFF, reset=None)
    add("BIGEND", 0x0C, 0xFF, reset=None, width=1)
    add("LMISC1", 0x0D, 0 if old else 0xFB, reset=None, fixed=0 if old else 0x04, width=1)
    add("PROT_AREA", 0x0E, 0 if old else 0x7F, reset=None, width=1)
    add("LMISC2", 0x0F, 0x3F if new else 0, reset=None, width=1)
    add("EROMRR", 0x10, 0xFFFF_F801, reset=None)
    add("EROMBA", 0x14, 0xFFFF_F83F, reset=None)
    add("LBRD0", 0x18, 0xFFFF_7FFF, reset=None)
    for number, name in enumerate(("DMRR", "DMLBAM", "DMLBAI")):
        add(name, 0x1C + 4 * number, 0xFFFF_0000, reset=None)
    add("DMPBAM", 0x28, ONES, reset=None)
    add("DMCFGA", 0x2C, 0x80FF_FFFF, reset=None)
    add("OPQIS", 0x30, 0)
    add("OPQIM", 0x34, 0x8, reset=0x8)
    for number in range(8):
        add(f"MBOX{number}", 0x40 + 4 * number, ONES, reset=None if number < 2 else 0)
    if old:
        add("INTCSR", 0x68, 0x000F_1F0F, reset=0x0F01_0100)
        add("CNTRL", 0x6C, 0x6701_FFFF, reset=0x9003_767E)
    else:
        add("INTCSR", 0x68, 0x000F_1F5F, reset=0x0F01_0100)
        add("CNTRL", 0x6C, 0xE70D_FFFF if new else 0x670D_FFFF, reset=0x100F_767E)
    identity = {"9080": 0x9080_10B5, "9054": 0x9054_10B5, "9656": 0x9656_10B5}.get(chip, 0x9056_10B5)
    add("PCIHIDR", 0x70, 0, reset=identity)
    add("PCIHREV", 0x74, 0, reset={"9080": 0x03, "9054": 0x0C}.get(chip, 0xBA))
    for channel, first in enumerate((0x80, 0x94)):
        mode = 0x0003_FFFF if old else 0x003F_FFFF if new else 0x0007_FFFF
        add(f"DMAMODE{channel}", first, mode, reset=0x43)
        add(f"DMAPADR{channel}", first + 0x4, ONES)
        add(f"DMALADR{channel}", first + 0x8, ONES)
        add(f"DMASIZ{channel}", first + 0xC, 0x807F_FFFF if new else 0x007F_FFFF)
        add(f"DMADPR{channel}", first + 0x10, ONES)
        add(f"DMADAC{channel}", 0xB4 + 4 * channel, 0 if old else ONES)
    add("DMATHR", 0xB0, ONES)
    add("MQCR", 0xC0, 0x3F, reset=0x2)
    add("QBAR", 0xC4, 0xFFF0_0000)
    for number, name in enumerate(("IFHPR", "IFTPR", "IPHPR", "IPTPR", "OFHPR", "OFTPR", "OPHPR", "OPTPR")):
        add(name, 0xC8 + 4 * number, 0x000F_FFFC)
    add("QSR", 0xE8, 0x5F, reset=0x50)
    add("LAS1RR", 0xF0, ONES, reset=None)
    add("LAS1BA", 0xF4, 0xFFFF_FFFD, reset=None)
    add("LBRD1", 0xF8, 0x7FFF, reset=None)
    add("DMDAC", 0xFC, 0 if old else ONES)
    if new:
        add("PCIARB", 0x100, 0xF, reset=None)
        add("PABTADR", 0x104, 0)
    return tuple(cells)


BAR0_REGISTERS: Final = (*LOCAL_REGISTERS, *RUNTIME_REGISTERS, *MESSAGING_REGISTERS, *DMA_REGISTERS)
QUEUE_PORTS: Final = ("IQP.message", "OQP.message")
LOADED: Final = {cell.name for chip in ("9080", "8311") for cell in _cells(chip) if cell.reset is None}


@behaviour(
    *claims(*(register for register in BAR0_REGISTERS if register.__name__ not in LOADED), but=QUEUE_PORTS),
    generic=True,
)
def each_bar0_register_that_the_eeprom_does_not_load_shows_its_reset_value(driver: Driver) -> None:
    for cell in _cells(driver.chip):
        if cell.reset is not None:
            assert driver.read(cell.offset, cell.width) == cell.reset, cell.name
    assert [driver.read(0xA8, 1), driver.read(0xA9, 1), driver.read(0xAA, 2)] == [0x10, 0x10, 0]
    assert [driver.read(0x60), driver.read(0x64)] == [0, 0]
    driver.settle()
    assert driver.read(0x68) == 0x0F01_0100
    assert not driver.inta()


@behaviour(
    *("LAS0RR.mask", "LAS0RR.io", "LAS0RR.memory_type", "LAS0RR.prefetchable", "LAS0BA.base", "LAS0BA.enable"),
    *("LBRD0.bus_width", "LBRD0.ready_enable", "LBRD0.extra_long_load", "LBRD0.retry_delay", "LMISC1.init_done"),
    *("LMISC1.io_bar", "LAS1BA.enable"),
    generic=True,
)
def the_boards_eeprom_maps_its_memory(driver: Driver) -> None:
    memory = {"9080": 0xFF00_0000}.get(driver.chip, 0xFFFE_0000)
    assert driver.read(LAS0RR) == memory
    assert driver.read(LAS0BA) == driver.memory_at | ENABLE
    assert driver.read(0x18) == 0x4243_0043
    assert driver.read(0x0D, 1) == (0 if driver.chip == "9080" else 0x05)
    second = driver.read(LAS1RR), driver.read(LAS1BA)
    if driver.chip == "9080":
        assert second == (0xFFF8_0000, 0x1000_0001)
    else:
        assert not second[1] & ENABLE


@behaviour(*claims(*BAR0_REGISTERS, but=(*QUEUE_PORTS, "P2LDBELL.bells")), generic=True)
def each_writable_bit_of_bar0_stores_0_and_1_and_no_other_does(driver: Driver) -> None:
    for cell in _cells(driver.chip):
        before = driver.read(cell.offset, cell.width)
        assert before & ~cell.rw == cell.fixed, cell.name
        for pattern in PATTERNS:
            driver.write(cell.offset, pattern & cell.lanes, cell.width)
            shown = driver.read(cell.offset, cell.width)
            if cell.name == "CNTRL" and pattern & 1 << 25:
                shown &= ~(1 << 27)  # a selected EEPROM has a word in it
            assert shown == pattern & cell.rw | cell.fixed, f"{cell.name} {pattern:#x}"
        driver.write(cell.offset, before, cell.width)
        assert driver.read(cell.offset, cell.width) == before, cell.name
    for offset in (0xA8, 0xA9):
        for written, shown in ((0xFE, 0x10), (0xF1, 0x11), (0xFD, 0x11), (0x00, 0x10)):
            driver.write(offset, written, 1)
            assert driver.read(offset, 1) == shown, f"{offset:#x} {written:#x}"
    driver.write(0x64, ONES)
    assert driver.read(0x64) == 0, "a 1 from the host never rings L2PDBELL"


DECIDING: Final = ("CNTRL", "DMAMODE0", "DMAMODE1", "QSR", "QBAR", "MQCR")
"""What they hold changes how other registers look."""


@behaviour(
    *(f"{name}.value" for name in ("MBOX0", "MBOX1", "MBOX2", "MBOX3", "MBOX4", "MBOX5", "MBOX6", "MBOX7")),
    *("DMAPADR0.address", "DMAPADR1.address", "DMALADR0.address", "DMALADR1.address", "DMPBAM.base", "EROMRR.mask"),
    *("EROMBA.base", "DMRR.mask", "DMLBAM.base", "DMLBAI.base"),
    generic=True,
)
def no_two_bar0_registers_share_their_storage(driver: Driver) -> None:
    plain = [cell for cell in _cells(driver.chip) if cell.name not in DECIDING]
    before = [driver.read(cell.offset, cell.width) for cell in plain]
    for cell in plain:
        driver.write(cell.offset, _own(cell), cell.width)
    for cell in plain:
        assert driver.read(cell.offset, cell.width) == _own(cell) & cell.rw | cell.fixed, cell.name
    for cell, value in zip(plain, before, strict=True):
        driver.write(cell.offset, value, cell.width)
    for cell, value in zip(plain, before, strict=True):
        assert driver.read(cell.offset, cell.width) == value, cell.name
    assert driver.read(0x68) == 0x0F01_0100


def _own(cell: Cell) -> int:
    """A value that no other register is given; INTCSR's leaves SERR# and the mailboxes alone."""
    value = (cell.offset + 1) * 0x0101_0101 ^ 0x5AA5_3CC3
    return value & cell.lanes & (~0xC if cell.name == "INTCSR" else ONES)


@behaviour("LMISC1.init_done", "PCISR.capabilities", guest=False)
def a_chip_of_the_family_lacks_what_came_later(driver: Driver) -> None:
    """Neither storage nor status: LMISC1, PROT_AREA and LMISC2, DMADAC, DMDAC, INTCSR 7:4, CNTRL 21:18."""
    lacking = {
        "9080": {0x0C: 0xFFFF_FF00, 0xB4: ONES, 0xB8: ONES, 0xFC: ONES, 0x68: 0xF0, 0x6C: 0x003C_0000},
        "9054": {0x0C: 0xFF80_0000, 0x6C: 0x8030_0000, 0x80: 0x0038_0000, 0x94: 0x0038_0000},
    }.get(driver.chip, {0x80: 0xFFC0_0000})
    for offset, bits in lacking.items():
        before = driver.read(offset)
        driver.write(offset, before | bits)
        assert driver.read(offset) & bits == 0, hex(offset)
        driver.write(offset, before)
    if driver.chip == "9080":
        driver.local.parity_error()
        assert driver.read(0x68) == 0x0F01_0100
    else:
        assert driver.read(0x0D, 1) & 0x04
    assert driver.config_read(0x06, 2) == IDLE_STATUS[driver.chip]
