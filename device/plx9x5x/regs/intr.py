# SPDX-License-Identifier: Apache-2.0
"""Run-time registers: mailboxes, doorbells, interrupts, control, identification, messaging.

Sources: Linux plx9080.h, PLX SDK register headers, PCI 9080 data book 1.02, read-back of a PEX 8311.
"""

from plx9x5x.regs.family import Chips, Register
from plx9x5x.regs.kernel import Access, bit, bits

_SDK = "PLX SDK register headers"
_LINUX = "Linux comedi plx9080.h"
_DUMP = "PEX 8311 register dumps"
_BOOK = "PCI 9080 data book 1.02"


class OPQIS(Register, offset=0x30, source=_DUMP):
    """Outbound post queue interrupt status."""

    not_empty = bit(3, Access.RO, doc="The outbound post queue holds a message.")


class OPQIM(Register, offset=0x34, source=_DUMP):
    """Outbound post queue interrupt mask."""

    mask = bit(3, Access.RW, reset=1, doc="1 keeps the queue from interrupting.")


class _QueuePort(Register):
    message = bits(31, 0, Access.RW, doc="A message frame address; FFFFFFFF when the queue is empty.", unverified=True)


class IQP(_QueuePort, offset=0x40, source=_SDK, shadow=True):
    """Inbound queue port, in the place of MBOX0 while QSR bit 0 is 1: pops inbound free, pushes inbound post."""


class OQP(_QueuePort, offset=0x44, source=_SDK, shadow=True):
    """Outbound queue port, in the place of MBOX1: pops outbound post, pushes outbound free."""


class _Mailbox(Register):
    value = bits(31, 0, Access.RW, doc="Storage shared with the local side.")


class MBOX0(_Mailbox, offset=0x40, source=_LINUX, aliases=(0x78,)):
    """Mailbox 0."""


class MBOX1(_Mailbox, offset=0x44, source=_LINUX, aliases=(0x7C,)):
    """Mailbox 1."""


class MBOX2(_Mailbox, offset=0x48, source=_LINUX):
    """Mailbox 2."""


class MBOX3(_Mailbox, offset=0x4C, source=_LINUX):
    """Mailbox 3."""


class MBOX4(_Mailbox, offset=0x50, source=_LINUX):
    """Mailbox 4."""


class MBOX5(_Mailbox, offset=0x54, source=_LINUX):
    """Mailbox 5."""


class MBOX6(_Mailbox, offset=0x58, source=_LINUX):
    """Mailbox 6."""


class MBOX7(_Mailbox, offset=0x5C, source=_LINUX):
    """Mailbox 7."""


class P2LDBELL(Register, offset=0x60, source=_BOOK):
    """PCI to local doorbell."""

    bells = bits(31, 0, Access.W1S, doc="Set by the host, cleared by the local side.")


class L2PDBELL(Register, offset=0x64, source=_BOOK):
    """Local to PCI doorbell."""

    bells = bits(31, 0, Access.W1C, doc="Set by the local side, cleared by the host.")


class INTCSR(Register, offset=0x68, source=_DUMP):
    """Interrupt control and status."""

    lserr_on_abort = bit(0, Access.RW, doc="PCI master or target abort drives LSERR#.")
    lserr_on_parity = bit(1, Access.RW, doc="PCI parity error or outbound-free overflow drives LSERR#.")
    serr = bit(2, Access.RW, doc="0 to 1 drives SERR#.")
    mailbox_enable = bit(3, Access.RW, doc="Mailbox writes interrupt the local side.")
    pm_enable = bit(4, Access.RW, doc="Power management interrupts the local side.", chips=Chips.SINCE_9054)
    pm_active = bit(5, Access.W1C, doc="Power management interrupt.", chips=Chips.SINCE_9054)
    parity_enable = bit(6, Access.RW, doc="Local parity is checked.", chips=Chips.SINCE_9054)
    parity_active = bit(7, Access.W1C, doc="Local parity error.", chips=Chips.SINCE_9054)
    pci_enable = bit(8, Access.RW, reset=1, doc="INTA# may be driven at all.")
    doorbell_enable = bit(9, Access.RW, doc="L2PDBELL drives INTA#.")
    abort_enable = bit(10, Access.RW, doc="Master or target abort drives INTA#.")
    local_enable = bit(11, Access.RW, doc="LINTi# drives INTA#.")
    retry_abort_enable = bit(12, Access.RW, doc="256 retries count as target abort.")
    doorbell_active = bit(13, Access.RO, doc="L2PDBELL is not 0.")
    abort_active = bit(14, Access.RO, doc="PCISR has received master abort or received target abort.")
    local_active = bit(15, Access.RO, doc="LINTi# is active.")
    local_output_enable = bit(16, Access.RW, reset=1, doc="LINTo# may be driven.")
    local_doorbell_enable = bit(17, Access.RW, doc="P2LDBELL drives LINTo#.")
    dma0_enable = bit(18, Access.RW, doc="DMA channel 0 may interrupt.")
    dma1_enable = bit(19, Access.RW, doc="DMA channel 1 may interrupt.")
    local_doorbell_active = bit(20, Access.RO, doc="P2LDBELL is not 0.")
    dma0_active = bit(21, Access.RO, doc="DMA channel 0 has latched its interrupt.")
    dma1_active = bit(22, Access.RO, doc="DMA channel 1 has latched its interrupt.")
    bist_active = bit(23, Access.RO, doc="BIST interrupt.")
    not_direct_master = bit(24, Access.RO, reset=1, doc="0: direct master had the bus at the last abort.")
    not_dma0 = bit(25, Access.RO, reset=1, doc="0: DMA channel 0 had the bus at the last abort.")
    not_dma1 = bit(26, Access.RO, reset=1, doc="0: DMA channel 1 had the bus at the last abort.")
    not_retry_abort = bit(27, Access.RO, reset=1, doc="0: target abort after 256 retries.")
    mailbox0_written = bit(
        28, Access.RO, doc="The host wrote MBOX0 and the local side has not read it.", unverified=True
    )
    mailbox1_written = bit(29, Access.RO, doc="The same for MBOX1.", unverified=True)
    mailbox2_written = bit(30, Access.RO, doc="The same for MBOX2.", unverified=True)
    mailbox3_written = bit(31, Access.RO, doc="The same for MBOX3.", unverified=True)


class CNTRL(Register, offset=0x6C, source=_DUMP):
    """EEPROM, PCI commands, user pins, reset."""

    dma_read_command = bits(3, 0, Access.RW, reset=0xE, doc="PCI command of DMA reads.")
    dma_write_command = bits(7, 4, Access.RW, reset=0x7, doc="PCI command of DMA writes.")
    master_read_command = bits(11, 8, Access.RW, reset=0x6, doc="PCI command of direct-master reads.")
    master_write_command = bits(15, 12, Access.RW, reset=0x7, doc="PCI command of direct-master writes.")
    user_out = bit(16, Access.RW, reset=1, doc="USERo pin.")
    user_in = bit(17, Access.RO, reset=1, doc="USERi pin.")
    user_in_select = bit(18, Access.RW, reset=1, doc="USERi pin function.", chips=Chips.SINCE_9054)
    user_out_select = bit(19, Access.RW, reset=1, doc="USERo pin function.", chips=Chips.SINCE_9054)
    linto_status = bit(20, Access.W1C, doc="LINTo# was driven.", chips=Chips.SINCE_9056)
    lserr_status = bit(21, Access.W1C, doc="TEA# or LSERR# was driven.", chips=Chips.SINCE_9056)
    eeprom_clock = bit(24, Access.RW, doc="EESK.")
    eeprom_select = bit(25, Access.RW, doc="EECS.")
    eeprom_data_out = bit(26, Access.RW, doc="EEDI, to the EEPROM.")
    eeprom_data_in = bit(27, Access.RO, doc="EEDO, from the EEPROM.")
    eeprom_present = bit(28, Access.RO, doc="An EEPROM answers.")
    reload = bit(29, Access.RW, doc="0 to 1 loads the configuration from the EEPROM.")
    software_reset = bit(30, Access.RW, doc="Holds LRESETo#; 0 to 1 resets the local side.")
    init_done = bit(31, Access.RO, reset=1, doc="Local initialisation is done.", chips=Chips.PCI9080)
    eeprom_input_enable = bit(31, Access.RW, doc="EEDO is sampled.", chips=Chips.SINCE_9056)


class PCIHIDR(Register, offset=0x70, source=_DUMP):
    """Hard-wired vendor and device."""

    id = bits(
        31,
        0,
        Access.RO,
        reset={
            Chips.PCI9080: 0x9080_10B5,
            Chips.PCI9054: 0x9054_10B5,
            Chips.PCI9056 | Chips.PEX8311: 0x9056_10B5,
            Chips.PCI9656: 0x9656_10B5,
        },
        doc="Device and vendor of the chip itself.",
    )


class PCIHREV(Register, offset=0x74, source=_DUMP):
    """Hard-wired revision."""

    revision = bits(
        7,
        0,
        Access.RO,
        reset={Chips.PCI9080: 0x03, Chips.PCI9054: 0x0C, Chips.SINCE_9056: 0xBA},
        doc="Stepping of the chip.",
        unverified=True,
    )


class MQCR(Register, offset=0xC0, source=_DUMP):
    """Messaging queue configuration."""

    enable = bit(0, Access.RW, doc="The queue ports work.")
    size = bits(
        5, 1, Access.RW, reset=1, doc="Entries of each queue: 1 is 4 Ki, each next code doubles.", unverified=True
    )


class QBAR(Register, offset=0xC4, source=_SDK):
    """Queue base address."""

    base = bits(31, 20, Access.RW, address=True, doc="Local address of the four queues.")


class _QueuePointer(Register):
    entry = bits(19, 2, Access.RW, address=True, doc="Byte offset of the entry.")
    base = bits(31, 20, Access.RO, address=True, doc="Reads as QBAR.")


class IFHPR(_QueuePointer, offset=0xC8, source=_BOOK):
    """Inbound free head."""


class IFTPR(_QueuePointer, offset=0xCC, source=_BOOK):
    """Inbound free tail."""


class IPHPR(_QueuePointer, offset=0xD0, source=_BOOK):
    """Inbound post head."""


class IPTPR(_QueuePointer, offset=0xD4, source=_BOOK):
    """Inbound post tail."""


class OFHPR(_QueuePointer, offset=0xD8, source=_BOOK):
    """Outbound free head."""


class OFTPR(_QueuePointer, offset=0xDC, source=_BOOK):
    """Outbound free tail."""


class OPHPR(_QueuePointer, offset=0xE0, source=_BOOK):
    """Outbound post head."""


class OPTPR(_QueuePointer, offset=0xE4, source=_BOOK):
    """Outbound post tail."""


class QSR(Register, offset=0xE8, source=_DUMP):
    """Queue status and control."""

    i2o_enable = bit(0, Access.RW, doc="The queue ports take the place of MBOX0 and MBOX1.")
    local_space = bit(1, Access.RW, doc="Where the queues are.", unverified=True)
    outbound_prefetch = bit(2, Access.RW, doc="Outbound post prefetch.", unverified=True)
    inbound_prefetch = bit(3, Access.RW, doc="Inbound free prefetch.", unverified=True)
    inbound_mask = bit(4, Access.RW, reset=1, doc="Inbound post interrupt mask.", unverified=True)
    inbound_not_empty = bit(5, Access.RO, doc="The inbound post queue holds a message.", unverified=True)
    overflow_mask = bit(6, Access.RW, reset=1, doc="Outbound free overflow mask.", unverified=True)
    overflow = bit(7, Access.W1C, doc="Outbound free queue overflowed.", unverified=True)


MAILBOXES: tuple[type[Register], ...] = (MBOX0, MBOX1, MBOX2, MBOX3, MBOX4, MBOX5, MBOX6, MBOX7)

QUEUE_POINTERS: tuple[type[Register], ...] = (IFHPR, IFTPR, IPHPR, IPTPR, OFHPR, OFTPR, OPHPR, OPTPR)

MESSAGING_REGISTERS: tuple[type[Register], ...] = (OPQIS, OPQIM, IQP, OQP, MQCR, QBAR, *QUEUE_POINTERS, QSR)

RUNTIME_REGISTERS: tuple[type[Register], ...] = (*MAILBOXES, P2LDBELL, L2PDBELL, INTCSR, CNTRL, PCIHIDR, PCIHREV)
