# SPDX-License-Identifier: Apache-2.0
"""Local configuration registers: how the chip maps the local bus and runs it.

Sources: PLX SDK register headers, Linux plx9080.h, public 9056 headers, read-back of a PEX 8311. Offsets are from BAR0.
"""

from plx9x5x.regs.kernel import Access, Register, bit, bits

_SDK = "PLX SDK register headers"


class _Range(Register):
    io = bit(0, Access.RW, doc="1 maps the space into I/O.")
    memory_type = bits(2, 1, Access.RW, doc="0 anywhere in 32 bits, 1 below 1 MiB, 2 in 64 bits.")
    prefetchable = bit(3, Access.RW, doc="Reads have no side effects.")
    mask = bits(31, 4, Access.RW, reset=0xFFF0000, doc="Range: 1 for each address bit that is compared.")


class _LocalBase(Register):
    enable = bit(0, Access.RW, doc="The space is decoded.")
    base = bits(31, 2, Access.RW, doc="Local address that the start of the window shows (remap).")


class LAS0RR(_Range, offset=0x00, source=_SDK):
    """Local address space 0: range."""


class LAS0BA(_LocalBase, offset=0x04, source=_SDK):
    """Local address space 0: local base address (remap)."""


class MARBR(Register, offset=0x08, source=_SDK, aliases=(0xAC,)):
    """Mode and DMA arbitration; shows at 0xAC as DMAARB too."""

    latency_timer = bits(7, 0, Access.RW, doc="Local bus latency timer; a live counter on silicon.")
    pause_timer = bits(15, 8, Access.RW, doc="Local bus pause timer.")
    latency_enable = bit(16, Access.RW, doc="Latency timer runs.")
    pause_enable = bit(17, Access.RW, doc="Pause timer runs.")
    breq_enable = bit(18, Access.RW, doc="BREQi is looked at.")
    dma_priority = bits(20, 19, Access.RW, doc="0 the channels take turns, 1 channel 0 first, 2 channel 1 first.")
    give_up_bus = bit(21, Access.RW, reset=1, doc="Direct slave gives up the local bus.")
    lock_enable = bit(22, Access.RW, doc="Direct slave LOCK#.")
    request_mode = bit(23, Access.RW, doc="PCI request mode.")
    delayed_read = bit(24, Access.RW, doc="PCI 2.1 delayed reads.")
    read_no_write = bit(25, Access.RW, doc="Reads are retried while a write is pending.")
    read_write_flush = bit(26, Access.RW, doc="A write flushes a pending read.")
    gate_latency = bit(27, Access.RW, doc="BREQi gates the latency timer.")
    read_no_flush = bit(28, Access.RW, doc="Read ahead.")
    subsystem_ids = bit(29, Access.RW, doc="Configuration dword 0 reads the subsystem IDs.")
    write_fifo_full = bit(30, Access.RO, doc="Direct-master write FIFO is full.")
    m_mode = bit(31, Access.RW, doc="M mode: BIGEND# or WAIT#.")


class BIGEND(Register, offset=0x0C, width=8, source=_SDK):
    """Big endian per path."""

    configuration = bit(0, Access.RW, doc="Configuration registers, from the local side.")
    direct_master = bit(1, Access.RW, doc="Direct master.")
    space0 = bit(2, Access.RW, doc="Local address space 0.")
    rom = bit(3, Access.RW, doc="Expansion ROM.")
    byte_lane = bit(4, Access.RW, doc="Which lanes a narrow access uses.")
    space1 = bit(5, Access.RW, doc="Local address space 1.")
    dma1 = bit(6, Access.RW, doc="DMA channel 1.")
    dma0 = bit(7, Access.RW, doc="DMA channel 0.")


class LMISC1(Register, offset=0x0D, width=8, source="public PCI 9056 register headers"):
    """Local miscellaneous control 1."""

    io_bar = bit(0, Access.RW, reset=1, doc="BAR1 exists.", unverified=True)
    shift = bit(1, Access.RW, doc="While BAR1 is off, the later BARs move down.")
    init_done = bit(2, Access.RO, reset=1, doc="Local initialisation is done.", unverified=True)
    flush_on_abort = bit(3, Access.RW, doc="Direct-master write FIFO is flushed on master abort.")
    m_delayed_read = bit(4, Access.RW, doc="M mode delayed reads.")
    tea_mask = bit(5, Access.RW, doc="M mode TEA# input is masked.")
    write_retry = bit(6, Access.RW, doc="Direct-master write FIFO almost full gives RETRY#.")
    read_flush = bit(7, Access.RW, doc="Disconnect flushes the read FIFO.")


class PROT_AREA(Register, offset=0x0E, width=8, source=_SDK):
    """EEPROM write protection."""

    first_writable = bits(6, 0, Access.RW, reset=0x30, doc="Dwords below this one are closed to VPD writes.")


class LMISC2(Register, offset=0x0F, width=8, source="public PCI 9056 register headers"):
    """Local miscellaneous control 2."""

    ready_timeout = bit(0, Access.RW, doc="READY# timeout runs.")
    timeout_select = bit(1, Access.RW, doc="Which timeout.")
    delayed_write = bits(4, 2, Access.RW, doc="Direct-slave delayed write, clocks.")
    fifo_full = bit(5, Access.RW, doc="Direct-slave write FIFO full condition.")


class EROMRR(Register, offset=0x10, source=_SDK):
    """Expansion ROM: range."""

    enable = bit(0, Access.RW, doc="ROM is decoded.")
    mask = bits(31, 11, Access.RW, doc="Range.")


class EROMBA(Register, offset=0x14, source=_SDK):
    """Expansion ROM: local base address."""

    breqo = bits(5, 0, Access.RW, doc="BREQo delay, enable and resolution.")
    base = bits(31, 11, Access.RW, doc="Local base address.")


class LBRD0(Register, offset=0x18, source=_SDK):
    """Bus region descriptor of space 0 and the ROM."""

    space0 = bits(14, 0, Access.RW, reset=0x0043, doc="Width, wait states, READY#, BTERM#, prefetch of space 0.")
    rom = bits(24, 16, Access.RW, reset=0x043, doc="The same for the ROM; bit 24 enables bursts in space 0.")
    extra_long_load = bit(25, Access.RW, doc="The EEPROM is loaded past 0x44.")
    direct_slave = bits(31, 26, Access.RW, reset=0x10, doc="ROM bursts, direct-slave write mode, retry delay.")


class DMRR(Register, offset=0x1C, source=_SDK):
    """Direct master: range."""

    mask = bits(31, 16, Access.RW, doc="Range.")


class DMLBAM(Register, offset=0x20, source=_SDK):
    """Direct master: local base for memory."""

    base = bits(31, 16, Access.RW, doc="Local base address.")


class DMLBAI(Register, offset=0x24, source=_SDK):
    """Direct master: local base for I/O and configuration."""

    base = bits(31, 16, Access.RW, doc="Local base address.")


class DMPBAM(Register, offset=0x28, source=_SDK):
    """Direct master: PCI base for memory."""

    control = bits(15, 0, Access.RW, doc="Enables, prefetch, FIFO level, write delay.")
    base = bits(31, 16, Access.RW, doc="PCI base address (remap).")


class DMCFGA(Register, offset=0x2C, source=_SDK):
    """Direct master: PCI configuration address."""

    address = bits(23, 0, Access.RW, doc="Type, register, function, device, bus.")
    enable = bit(31, Access.RW, doc="I/O accesses become configuration cycles.")


class LAS1RR(_Range, offset=0xF0, source=_SDK):
    """Local address space 1: range."""


class LAS1BA(_LocalBase, offset=0xF4, source=_SDK):
    """Local address space 1: local base address (remap)."""


class LBRD1(Register, offset=0xF8, source=_SDK):
    """Bus region descriptor of space 1."""

    space1 = bits(14, 0, Access.RW, reset=0x0043, doc="Width, waits, READY#, BTERM#, burst, prefetch.", unverified=True)


class DMDAC(Register, offset=0xFC, source=_SDK):
    """Direct master: upper address half."""

    high = bits(31, 0, Access.RW, doc="Upper 32 address bits.")


class PCIARB(Register, offset=0x100, source=_SDK):
    """PCI arbiter."""

    control = bits(3, 0, Access.RW, doc="Enable, high priority, early grant release, parking.")


class PABTADR(Register, offset=0x104, source="PEX 8311 register dumps"):
    """PCI abort address."""

    address = bits(31, 0, Access.RO, doc="Last PCI address mastered, dword aligned; after an abort the failing one.")


LOCAL_REGISTERS: tuple[type[Register], ...] = (
    LAS0RR, LAS0BA, MARBR, BIGEND, LMISC1, PROT_AREA, LMISC2, EROMRR, EROMBA, LBRD0, DMRR, DMLBAM, DMLBAI, DMPBAM,
    DMCFGA, LAS1RR, LAS1BA, LBRD1, DMDAC, PCIARB, PABTADR,
)  # fmt: skip
"""The 9656's local configuration registers."""
