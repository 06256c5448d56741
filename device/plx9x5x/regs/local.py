# SPDX-License-Identifier: Apache-2.0
"""Local configuration registers: how the chip maps the local bus and runs it.

Sources: PLX SDK register headers, Linux plx9080.h, public 9056 headers, read-back of a PEX 8311. Offsets are from BAR0.
"""

import enum

from plx9x5x.regs.family import Chips, Register
from plx9x5x.regs.kernel import Access, bit, bits

_SDK = "PLX SDK register headers"
_HEADERS = "public PCI 9056 register headers"
_DUMP = "PEX 8311 register dumps"


class _Range(Register):
    io = bit(0, Access.RW, doc="1 maps the space into I/O.")
    memory_type = bits(2, 1, Access.RW, doc="0 anywhere in 32 bits, 1 below 1 MiB, 2 in 64 bits.")
    prefetchable = bit(3, Access.RW, doc="Reads have no side effects.")
    mask = bits(31, 4, Access.RW, reset=0xFFF0000, address=True, doc="Range: 1 for each address bit that is compared.")


class _LocalBase(Register):
    enable = bit(0, Access.RW, doc="The space is decoded.")
    base = bits(31, 2, Access.RW, address=True, doc="Local address that the start of the window shows (remap).")


class LAS0RR(_Range, offset=0x00, source=_SDK):
    """Local address space 0: range."""


class LAS0BA(_LocalBase, offset=0x04, source=_SDK):
    """Local address space 0: local base address (remap)."""


class DmaPriority(enum.IntEnum):
    """Which DMA channel comes first when both want the bus. Source: PLX SDK register headers."""

    IN_TURN = 0
    CHANNEL0 = 1
    CHANNEL1 = 2
    RESERVED = 3
    """Taken for 0. UNVERIFIED."""


class MARBR(Register, offset=0x08, source=_SDK, aliases=(0xAC,)):
    """Mode and DMA arbitration; shows at 0xAC as DMAARB too."""

    latency_timer = bits(7, 0, Access.RW, doc="Local bus latency timer; a live counter on silicon.")
    pause_timer = bits(15, 8, Access.RW, doc="Local bus pause timer.")
    latency_enable = bit(16, Access.RW, doc="Latency timer runs.")
    pause_enable = bit(17, Access.RW, doc="Pause timer runs.")
    breq_enable = bit(18, Access.RW, doc="BREQi is looked at.")
    dma_priority = bits(
        20, 19, Access.RW, DmaPriority, doc="0 the channels take turns, 1 channel 0 first, 2 channel 1 first."
    )
    give_up_bus = bit(21, Access.RW, reset=1, doc="Direct slave gives up the local bus.")
    lock_enable = bit(22, Access.RW, doc="Direct slave LOCK#.")
    request_mode = bit(23, Access.RW, doc="PCI request mode.")
    delayed_read = bit(24, Access.RW, doc="PCI 2.1 delayed reads.")
    read_no_write = bit(25, Access.RW, doc="Reads are retried while a write is pending.")
    read_write_flush = bit(26, Access.RW, doc="A write flushes a pending read.")
    gate_latency = bit(27, Access.RW, doc="BREQi gates the latency timer.")
    read_no_flush = bit(28, Access.RW, doc="Read ahead.")
    subsystem_ids = bit(29, Access.RW, doc="Configuration dword 0 reads the subsystem IDs.")
    write_fifo_full = bit(30, Access.RO, doc="Direct-master write FIFO is full.", chips=Chips.SINCE_9054)
    m_mode = bit(31, Access.RW, doc="M mode: BIGEND# or WAIT#.", chips=Chips.SINCE_9054)


class BIGEND(Register, offset=0x0C, width=8, source=_SDK):
    """Big endian per path."""

    configuration = bit(0, Access.RW, doc="Configuration registers, from the local side.")
    direct_master = bit(1, Access.RW, doc="Direct master.")
    space0 = bit(2, Access.RW, doc="Local address space 0.", unverified=True)
    rom = bit(3, Access.RW, doc="Expansion ROM.")
    byte_lane = bit(4, Access.RW, doc="Which lanes a narrow access uses.")
    space1 = bit(5, Access.RW, doc="Local address space 1.", unverified=True)
    dma1 = bit(6, Access.RW, doc="DMA channel 1.", unverified=True)
    dma0 = bit(7, Access.RW, doc="DMA channel 0.", unverified=True)


class LMISC1(Register, offset=0x0D, width=8, source=_HEADERS, chips=Chips.SINCE_9054, missing=0x05):
    """Local miscellaneous control 1."""

    io_bar = bit(0, Access.RW, reset=1, doc="BAR1 exists.", unverified=True)
    shift = bit(1, Access.RW, doc="While BAR1 is off, the later BARs move down.")
    init_done = bit(2, Access.RO, reset=1, doc="Local initialisation is done.", unverified=True)
    flush_on_abort = bit(3, Access.RW, doc="Direct-master write FIFO is flushed on master abort.")
    m_delayed_read = bit(4, Access.RW, doc="M mode delayed reads.")
    tea_mask = bit(5, Access.RW, doc="M mode TEA# input is masked.")
    write_retry = bit(6, Access.RW, doc="Direct-master write FIFO almost full gives RETRY#.")
    read_flush = bit(7, Access.RW, doc="Disconnect flushes the read FIFO.")


class PROT_AREA(Register, offset=0x0E, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """EEPROM write protection."""

    first_writable = bits(
        6, 0, Access.RW, reset=0x30, doc="Dwords below this one are closed to VPD writes.", unverified=True
    )


class LMISC2(Register, offset=0x0F, width=8, source=_HEADERS, chips=Chips.SINCE_9056):
    """Local miscellaneous control 2."""

    ready_timeout = bit(0, Access.RW, doc="READY# timeout runs.", unverified=True)
    timeout_select = bit(1, Access.RW, doc="Which timeout.", unverified=True)
    delayed_write = bits(4, 2, Access.RW, doc="Direct-slave delayed write, clocks.", unverified=True)
    fifo_full = bit(5, Access.RW, doc="Direct-slave write FIFO full condition.", unverified=True)


class EROMRR(Register, offset=0x10, source=_SDK):
    """Expansion ROM: range."""

    enable = bit(0, Access.RW, doc="ROM is decoded.")
    mask = bits(31, 11, Access.RW, address=True, doc="Range.")


class EROMBA(Register, offset=0x14, source=_SDK):
    """Expansion ROM: local base address."""

    breqo_delay = bits(3, 0, Access.RW, doc="Clocks until BREQo.")
    breqo_enable = bit(4, Access.RW, doc="BREQo may be driven.")
    breqo_resolution = bit(5, Access.RW, doc="Unit of the delay.")
    base = bits(31, 11, Access.RW, address=True, doc="Local base address.")


class LBRD0(Register, offset=0x18, source=_SDK):
    """Bus region descriptor of space 0 and the ROM."""

    bus_width = bits(1, 0, Access.RW, reset=3, doc="Local bus width of space 0: 0 is 8 bits, 1 is 16, 2 and 3 are 32.")
    wait_states = bits(5, 2, Access.RW, doc="Wait states of space 0.")
    ready_enable = bit(6, Access.RW, reset=1, doc="READY# is looked at in space 0.")
    bterm_enable = bit(7, Access.RW, doc="BTERM# is looked at in space 0.")
    prefetch_disable = bit(8, Access.RW, doc="No prefetch from space 0.")
    rom_prefetch_disable = bit(9, Access.RW, doc="No prefetch from the ROM.")
    prefetch_count_enable = bit(10, Access.RW, doc="The prefetch counter is used.")
    prefetch_count = bits(14, 11, Access.RW, doc="Dwords of a prefetch.")
    rom_width = bits(17, 16, Access.RW, reset=3, doc="Local bus width of the ROM.")
    rom_wait_states = bits(21, 18, Access.RW, doc="Wait states of the ROM.")
    rom_ready_enable = bit(22, Access.RW, reset=1, doc="READY# is looked at for the ROM.")
    rom_bterm_enable = bit(23, Access.RW, doc="BTERM# is looked at for the ROM.")
    burst = bit(24, Access.RW, doc="Bursts in space 0.")
    extra_long_load = bit(25, Access.RW, doc="The EEPROM is loaded past 0x44.")
    rom_burst = bit(26, Access.RW, doc="Bursts from the ROM.")
    slave_write_mode = bit(27, Access.RW, doc="Direct-slave write mode.")
    retry_delay = bits(31, 28, Access.RW, reset=4, doc="Direct-slave retry delay, in units of 8 clocks.")


class DMRR(Register, offset=0x1C, source=_SDK):
    """Direct master: range."""

    mask = bits(31, 16, Access.RW, address=True, doc="Range.")


class DMLBAM(Register, offset=0x20, source=_SDK):
    """Direct master: local base for memory."""

    base = bits(31, 16, Access.RW, address=True, doc="Local base address.")


class DMLBAI(Register, offset=0x24, source=_SDK):
    """Direct master: local base for I/O and configuration."""

    base = bits(31, 16, Access.RW, address=True, doc="Local base address.")


class DMPBAM(Register, offset=0x28, source=_SDK):
    """Direct master: PCI base for memory."""

    memory_enable = bit(0, Access.RW, doc="Direct-master memory accesses are decoded.")
    io_enable = bit(1, Access.RW, doc="Direct-master I/O accesses are decoded.")
    cache_enable = bit(2, Access.RW, doc="LLOCK# input, or read cache.")
    prefetch_low = bit(3, Access.RW, doc="Read prefetch size, with bit 12.")
    irdy_mode = bit(4, Access.RW, doc="IRDY# is kept while the FIFO is empty.")
    almost_full_low = bits(8, 5, Access.RW, doc="Almost-full level, with bit 10.")
    write_invalidate = bit(9, Access.RW, doc="Memory write and invalidate.")
    almost_full_high = bit(10, Access.RW, doc="Almost-full level, upper bit.")
    prefetch_limit = bit(11, Access.RW, doc="Prefetch ends at 4 KiB.")
    prefetch_high = bit(12, Access.RW, doc="Read prefetch size, upper bit.")
    io_remap = bit(13, Access.RW, doc="Upper I/O address bits are 0 or come from the base.")
    write_delay = bits(15, 14, Access.RW, doc="Direct-master write delay.")
    base = bits(31, 16, Access.RW, address=True, doc="PCI base address (remap).")


class DMCFGA(Register, offset=0x2C, source=_SDK):
    """Direct master: PCI configuration address."""

    cycle_type = bits(1, 0, Access.RW, doc="Configuration cycle type.")
    register = bits(7, 2, Access.RW, doc="Dword of configuration space.")
    function = bits(10, 8, Access.RW, doc="Function.")
    device = bits(15, 11, Access.RW, doc="Device.")
    bus = bits(23, 16, Access.RW, doc="Bus.")
    enable = bit(31, Access.RW, doc="I/O accesses become configuration cycles.")


class LAS1RR(_Range, offset=0xF0, source=_SDK):
    """Local address space 1: range."""


class LAS1BA(_LocalBase, offset=0xF4, source=_SDK):
    """Local address space 1: local base address (remap)."""


class LBRD1(Register, offset=0xF8, source=_SDK):
    """Bus region descriptor of space 1."""

    bus_width = bits(1, 0, Access.RW, reset=3, doc="Local bus width of space 1.", unverified=True)
    wait_states = bits(5, 2, Access.RW, doc="Wait states of space 1.")
    ready_enable = bit(6, Access.RW, reset=1, doc="READY# is looked at in space 1.", unverified=True)
    bterm_enable = bit(7, Access.RW, doc="BTERM# is looked at in space 1.")
    burst = bit(8, Access.RW, doc="Bursts in space 1.")
    prefetch_disable = bit(9, Access.RW, doc="No prefetch from space 1.")
    prefetch_count_enable = bit(10, Access.RW, doc="The prefetch counter is used.")
    prefetch_count = bits(14, 11, Access.RW, doc="Dwords of a prefetch.")


class DMDAC(Register, offset=0xFC, source=_SDK, chips=Chips.SINCE_9054):
    """Direct master: upper address half."""

    high = bits(31, 0, Access.RW, doc="Upper 32 address bits.")


class PCIARB(Register, offset=0x100, source=_SDK, chips=Chips.SINCE_9056):
    """PCI arbiter."""

    enable = bit(0, Access.RW, doc="The chip's own arbiter works.")
    high_priority = bit(1, Access.RW, doc="The chip goes first.")
    early_grant_release = bit(2, Access.RW, doc="GNT# is taken back early.")
    parking = bit(3, Access.RW, doc="The bus is parked on the chip.")


class PABTADR(Register, offset=0x104, source=_DUMP, chips=Chips.SINCE_9056):
    """PCI abort address."""

    address = bits(31, 0, Access.RO, doc="Last PCI address mastered, dword aligned; after an abort the failing one.")


LOCAL_REGISTERS: tuple[type[Register], ...] = (
    LAS0RR, LAS0BA, MARBR, BIGEND, LMISC1, PROT_AREA, LMISC2, EROMRR, EROMBA, LBRD0, DMRR, DMLBAM, DMLBAI, DMPBAM,
    DMCFGA, LAS1RR, LAS1BA, LBRD1, DMDAC, PCIARB, PABTADR,
)  # fmt: skip
"""Local configuration registers."""
