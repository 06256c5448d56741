# SPDX-License-Identifier: Apache-2.0
"""PCI configuration space of the bridge: the standard header and the three capabilities.

Sources: PCI Local Bus Specification 2.2 for the header; the PLX SDK, public 9056/9656 register headers for the rest.
"""

import enum
from typing import Final

from plx9x5x.regs.family import Chips, Register
from plx9x5x.regs.kernel import Access, Reset, bit, bits

_PCI = "PCI Local Bus Specification 2.2"
_SDK = "PLX SDK register headers"

PLX: Final = 0x10B5
"""The chip maker's vendor ID."""

_CHIP_NUMBER: Final[Reset] = {
    Chips.PCI9080: 0x9080,
    Chips.PCI9054: 0x9054,
    Chips.PCI9056 | Chips.PEX8311: 0x9056,
    Chips.PCI9656: 0x9656,
}
"""The PEX 8311's endpoint calls itself a 9056."""


class PCIIDR(Register, offset=0x00, source=_PCI):
    """Vendor and device."""

    vendor = bits(15, 0, Access.RO, reset=PLX, doc="Vendor ID; 10B5 is PLX. Loaded from the EEPROM.")
    device = bits(31, 16, Access.RO, reset=_CHIP_NUMBER, doc="Device ID. Loaded from the EEPROM.")


class PCICR(Register, offset=0x04, width=16, source=_PCI):
    """Command."""

    io = bit(0, Access.RW, doc="Answer I/O accesses.")
    memory = bit(1, Access.RW, doc="Answer memory accesses.")
    bus_master = bit(2, Access.RW, doc="The chip may ask for the bus; while 0 a transfer holds.")
    write_invalidate = bit(4, Access.RW, doc="Memory write and invalidate may be used.")
    parity_response = bit(6, Access.RW, doc="Report parity errors.")
    serr = bit(8, Access.RW, doc="SERR# may be driven.")
    fast_back_to_back = bit(9, Access.RW, doc="Fast back-to-back cycles may be used.")


class PCISR(Register, offset=0x06, width=16, source=_PCI):
    """Status."""

    capabilities = bit(4, Access.RO, reset={Chips.SINCE_9054: 1}, doc="A capability list is present.", unverified=True)
    mhz66 = bit(5, Access.RO, reset={Chips.SINCE_9056: 1}, doc="Able to run at 66 MHz.", unverified=True)
    user_definable = bit(6, Access.RO, doc="User definable features: none.")
    fast_back_to_back = bit(7, Access.RO, reset=1, doc="Takes fast back-to-back cycles.")
    master_parity_error = bit(8, Access.W1C, doc="Parity error on data that the chip mastered.")
    devsel = bits(10, 9, Access.RO, reset=1, doc="DEVSEL# timing; 1 is medium.")
    signaled_target_abort = bit(11, Access.W1C, doc="The chip ended an access to it with target abort.")
    received_target_abort = bit(12, Access.W1C, doc="A target ended the chip's access.")
    received_master_abort = bit(13, Access.W1C, doc="Nobody answered the chip's access.")
    signaled_serr = bit(14, Access.W1C, doc="SERR# was driven.")
    parity_error = bit(15, Access.W1C, doc="A parity error was seen.")


class PCIREV(Register, offset=0x08, width=8, source=_PCI):
    """Revision."""

    revision = bits(
        7,
        0,
        Access.RO,
        reset={Chips.PCI9080: 0x03, Chips.PCI9054: 0x0B, Chips.SINCE_9056: 0xBA},
        doc="Revision ID. Loaded from the EEPROM.",
        unverified=True,
    )


class PCICCR_INTERFACE(Register, offset=0x09, width=8, source=_PCI):
    """Class code, programming interface."""

    interface = bits(7, 0, Access.RO, doc="Programming interface. Loaded from the EEPROM.")


class PCICCR(Register, offset=0x0A, width=16, source=_PCI):
    """Class code, sub-class and base class."""

    sub_class = bits(
        7, 0, Access.RO, reset=0x80, doc="Sub-class; 80 is 'other bridge'. Loaded from the EEPROM.", unverified=True
    )
    base_class = bits(
        15, 8, Access.RO, reset=0x06, doc="Base class; 06 is a bridge. Loaded from the EEPROM.", unverified=True
    )


class PCICLSR(Register, offset=0x0C, width=8, source=_PCI):
    """Cache line size."""

    dwords = bits(7, 0, Access.RW, doc="Cache line in dwords.")


class PCILTR(Register, offset=0x0D, width=8, source=_PCI):
    """Latency timer."""

    clocks = bits(7, 0, Access.RW, doc="PCI clocks that the chip may keep the bus.")


class PCIHTR(Register, offset=0x0E, width=8, source=_PCI):
    """Header type."""

    layout = bits(7, 0, Access.RO, doc="Type 0, one function.")


class PCIBISTR(Register, offset=0x0F, width=8, source=_PCI):
    """Built-in self test, which the local side runs."""

    code = bits(3, 0, Access.RO, doc="Result; 0 is passed. Set by the local side.")
    start = bit(6, Access.RW, doc="1 asks the local side for a self test (INTCSR bit 23), which clears it.")
    supported = bit(7, Access.RO, doc="The board has a self test. Set by the local side.")


class _BaseAddress(Register):
    base = bits(31, 0, Access.RW, doc="Base and type; the bits below the size read as the type and ignore writes.")


class PCIBAR0(_BaseAddress, offset=0x10, source=_PCI):
    """Memory window on the local, run-time, DMA and messaging registers."""


class PCIBAR1(_BaseAddress, offset=0x14, source=_PCI):
    """I/O window on the first 256 bytes of the same registers."""


class PCIBAR2(_BaseAddress, offset=0x18, source=_PCI):
    """Local address space 0."""


class PCIBAR3(_BaseAddress, offset=0x1C, source=_PCI):
    """Local address space 1."""


class _Unused(Register):
    value = bits(31, 0, Access.RO, doc="Not there; reads 0.")


class PCIBAR4(_Unused, offset=0x20, source=_PCI):
    """Unused."""


class PCIBAR5(_Unused, offset=0x24, source=_PCI):
    """Unused."""


class PCICIS(_Unused, offset=0x28, source=_PCI):
    """CardBus information structure pointer."""


class PCISVID(Register, offset=0x2C, width=16, source=_PCI):
    """Subsystem vendor."""

    vendor = bits(15, 0, Access.RO, reset=PLX, doc="Subsystem vendor ID. Loaded by an extra-long EEPROM load.")


class PCISID(Register, offset=0x2E, width=16, source=_PCI):
    """Subsystem."""

    device = bits(
        15, 0, Access.RO, reset=_CHIP_NUMBER, doc="Subsystem ID. Loaded by an extra-long EEPROM load.", unverified=True
    )


class PCIERBAR(Register, offset=0x30, source=_PCI):
    """Expansion ROM; reads 0 while EROMRR is 0."""

    enable = bit(0, Access.RW, doc="The ROM is decoded.")
    base = bits(31, 11, Access.RW, address=True, doc="Base; the bits below the size read 0.")


class CAP_PTR(Register, offset=0x34, width=8, source=_PCI):
    """First capability."""

    pointer = bits(7, 0, Access.RO, reset={Chips.SINCE_9054: 0x40}, doc="Offset of the power management capability.")


class PCIILR(Register, offset=0x3C, width=8, source=_PCI):
    """Interrupt line."""

    line = bits(7, 0, Access.RW, doc="Scratch for system software. Loaded from the EEPROM.")


class PCIIPR(Register, offset=0x3D, width=8, source=_PCI):
    """Interrupt pin."""

    pin = bits(7, 0, Access.RO, reset=1, doc="1 is INTA#. Loaded from the EEPROM.")


class PCIMGR(Register, offset=0x3E, width=8, source=_PCI):
    """Minimum grant."""

    quarter_microseconds = bits(7, 0, Access.RO, doc="Burst length wanted. Loaded from the EEPROM.")


class PCIMLR(Register, offset=0x3F, width=8, source=_PCI):
    """Maximum latency."""

    quarter_microseconds = bits(7, 0, Access.RO, doc="How often the bus is wanted. Loaded from the EEPROM.")


class PMCAPID(Register, offset=0x40, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Power management: capability ID."""

    id = bits(7, 0, Access.RO, reset=0x01, doc="Power management.")


class PMNEXT(Register, offset=0x41, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Power management: next capability."""

    next = bits(7, 0, Access.RO, reset=0x48, doc="Offset of the hot swap capability.")


class PMC(Register, offset=0x42, width=16, source=_SDK, chips=Chips.SINCE_9054):
    """Power management capabilities. Loaded from the EEPROM."""

    version = bits(
        2,
        0,
        Access.RO,
        reset={Chips.PCI9054: 1, Chips.SINCE_9056: 2},
        doc="Version of the power management specification.",
        unverified=True,
    )
    pme_clock = bit(3, Access.RO, doc="PME# needs the PCI clock.")
    device_specific_init = bit(5, Access.RO, doc="The driver must initialise the device after D0.")
    aux_current = bits(8, 6, Access.RO, doc="Current drawn from the auxiliary supply.")
    d1 = bit(9, Access.RO, doc="D1 is supported.")
    d2 = bit(10, Access.RO, doc="D2 is supported.")
    pme_support = bits(15, 11, Access.RO, reset=0x09, doc="States that PME# can be driven in.", unverified=True)


class PowerState(enum.IntEnum):
    """The device's power states. Source: PCI Power Management 1.1, 3.2.4."""

    D0 = 0
    D1 = 1
    D2 = 2
    D3HOT = 3


class PMCSR(Register, offset=0x44, width=16, source=_SDK, chips=Chips.SINCE_9054):
    """Power management control and status."""

    power_state = bits(1, 0, Access.RW, PowerState, doc="0 is D0, 3 is D3hot.")
    pme_enable = bit(8, Access.RW, doc="PME# may be driven.")
    data_select = bits(12, 9, Access.RW, doc="Which value PMDATA shows.")
    data_scale = bits(14, 13, Access.RO, doc="Scale of PMDATA.")
    pme_status = bit(15, Access.W1C, doc="PME# would be driven.")


class PMCSR_BSE(Register, offset=0x46, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Power management, bridge support."""

    value = bits(7, 0, Access.RO, doc="Reads 0.")


class PMDATA(Register, offset=0x47, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Power management data."""

    value = bits(7, 0, Access.RO, doc="Reads 0.")


class HS_CNTL(Register, offset=0x48, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """CompactPCI hot swap: capability ID."""

    id = bits(7, 0, Access.RO, reset=0x06, doc="Hot swap.")


class HS_NEXT(Register, offset=0x49, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Hot swap: next capability."""

    next = bits(7, 0, Access.RO, reset=0x4C, doc="Offset of the VPD capability.")


class HS_CSR(Register, offset=0x4A, width=16, source=_SDK, chips=Chips.SINCE_9054):
    """Hot swap control and status."""

    enum_mask = bit(1, Access.RW, doc="Mask ENUM#.")
    led = bit(3, Access.RW, doc="The LED is on.")
    programming_interface = bits(5, 4, Access.RO, doc="Programming interface.")
    removal = bit(6, Access.W1C, doc="The board is about to be taken out.")
    insertion = bit(7, Access.W1C, doc="The board was put in.")


class PVPDCNTL(Register, offset=0x4C, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Vital product data: capability ID."""

    id = bits(7, 0, Access.RO, reset=0x03, doc="Vital product data.")


class PVPD_NEXT(Register, offset=0x4D, width=8, source=_SDK, chips=Chips.SINCE_9054):
    """Vital product data: next capability."""

    next = bits(7, 0, Access.RO, doc="0 ends the list.")


class PVPDAD(Register, offset=0x4E, width=16, source=_SDK, chips=Chips.SINCE_9054):
    """Vital product data address."""

    address = bits(14, 0, Access.RW, doc="Byte address in the EEPROM.")
    flag = bit(15, Access.RW, doc="1 asks for a write, 0 for a read; it flips when the access is done.")


class PVPDATA(Register, offset=0x50, source=_SDK, chips=Chips.SINCE_9054):
    """Vital product data."""

    data = bits(31, 0, Access.RW, doc="The dword read or to be written.")


BASE_ADDRESSES: tuple[type[Register], ...] = (PCIBAR0, PCIBAR1, PCIBAR2, PCIBAR3)

CONFIG_REGISTERS: tuple[type[Register], ...] = (
    PCIIDR, PCICR, PCISR, PCIREV, PCICCR_INTERFACE, PCICCR, PCICLSR, PCILTR, PCIHTR, PCIBISTR, PCIBAR0, PCIBAR1,
    PCIBAR2, PCIBAR3, PCIBAR4, PCIBAR5, PCICIS, PCISVID, PCISID, PCIERBAR, CAP_PTR, PCIILR, PCIIPR, PCIMGR, PCIMLR,
    PMCAPID, PMNEXT, PMC, PMCSR, PMCSR_BSE, PMDATA, HS_CNTL, HS_NEXT, HS_CSR, PVPDCNTL, PVPD_NEXT, PVPDAD, PVPDATA,
)  # fmt: skip
"""Configuration space, by rising offset."""
