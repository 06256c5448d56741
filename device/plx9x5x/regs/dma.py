# SPDX-License-Identifier: Apache-2.0
"""DMA registers of both channels.

Sources: Linux plx9080.h, PLX SDK register headers, read-back of a PEX 8311.
"""

import enum
from dataclasses import dataclass
from typing import Final

from plx9x5x.regs.family import Chips, Register
from plx9x5x.regs.kernel import Access, bit, bits

_LINUX = "Linux comedi plx9080.h"
_DUMP = "PEX 8311 register dumps"


class LocalWidth(enum.IntEnum):
    """Width of the local bus."""

    W8 = 0
    W16 = 1
    W32 = 2
    W32_ALSO = 3

    @property
    def bytes(self) -> int:
        """Bytes of one local bus word."""
        return min(1 << self.value, 4)


class DmaMode(Register):
    """What DMAMODE0 and DMAMODE1 have in common."""

    local_width = bits(1, 0, Access.RW, LocalWidth, reset=LocalWidth.W32_ALSO, doc="Width of the local bus.")
    wait_states = bits(5, 2, Access.RW, doc="Local bus wait states.")
    ready_enable = bit(6, Access.RW, reset=1, doc="READY# input is looked at.")
    bterm_enable = bit(7, Access.RW, doc="BTERM# input is looked at.")
    burst = bit(8, Access.RW, doc="Local bursts.")
    chain = bit(9, Access.RW, doc="Scatter-gather: descriptors are fetched from memory.")
    done_intr = bit(10, Access.RW, doc="Interrupt when the transfer or the chain is done.")
    hold_local = bit(11, Access.RW, doc="The local address stays where it is (a FIFO).")
    demand = bit(12, Access.RW, doc="Data moves only while DREQ# asks for it.")
    write_invalidate = bit(13, Access.RW, doc="Memory write and invalidate on PCI.")
    eot_enable = bit(14, Access.RW, doc="EOT# ends the transfer.")
    fast_stop = bit(15, Access.RW, doc="EOT# and demand mode stop at once.")
    clear_count = bit(16, Access.RW, doc="The remaining count is written back to each descriptor.")
    to_inta = bit(17, Access.RW, doc="1: the channel interrupts the host (INTA#), 0: the local side (LINTo#).")
    dac_chain = bit(18, Access.RW, doc="Descriptors have a fifth dword: the upper PCI address.", chips=Chips.SINCE_9054)
    eot_end_link = bit(19, Access.RW, doc="EOT# ends the current descriptor, not the chain.", chips=Chips.SINCE_9056)
    valid_mode = bit(
        20, Access.RW, doc="Ring management: the size word, with its valid bit, comes first.", chips=Chips.SINCE_9056
    )
    valid_stop = bit(
        21, Access.RW, doc="An invalid descriptor ends the chain instead of being polled.", chips=Chips.SINCE_9056
    )


class DMAMODE0(DmaMode, offset=0x80, source=_DUMP):
    """DMA channel 0: mode."""


class DMAMODE1(DmaMode, offset=0x94, source=_DUMP):
    """DMA channel 1: mode."""


class _PciAddress(Register):
    address = bits(31, 0, Access.RW, doc="Bus address, low half; the start of the current descriptor or block.")


class DMAPADR0(_PciAddress, offset=0x84, source=_LINUX):
    """DMA channel 0: PCI address."""


class DMAPADR1(_PciAddress, offset=0x98, source=_LINUX):
    """DMA channel 1: PCI address."""


class _LocalAddress(Register):
    address = bits(31, 0, Access.RW, doc="Local address; the start of the current descriptor or block.")


class DMALADR0(_LocalAddress, offset=0x88, source=_LINUX):
    """DMA channel 0: local address."""


class DMALADR1(_LocalAddress, offset=0x9C, source=_LINUX):
    """DMA channel 1: local address."""


class DmaSize(Register):
    """What DMASIZ0 and DMASIZ1 have in common."""

    count = bits(22, 0, Access.RW, doc="Bytes to move.")
    valid = bit(31, Access.RW, doc="Valid mode: the descriptor may be used.", chips=Chips.SINCE_9056)


class DMASIZ0(DmaSize, offset=0x8C, source=_LINUX):
    """DMA channel 0: byte count."""


class DMASIZ1(DmaSize, offset=0xA0, source=_LINUX):
    """DMA channel 1: byte count."""


class DescriptorPointer(Register):
    """What DMADPR0 and DMADPR1 have in common; the last dword of a descriptor has the same fields."""

    in_pci_memory = bit(0, Access.RW, doc="The next descriptor is in PCI memory, else in local memory.")
    end_of_chain = bit(1, Access.RW, doc="This descriptor is the last.")
    terminal_count_intr = bit(2, Access.RW, doc="Interrupt after this descriptor.")
    to_pci = bit(3, Access.RW, doc="Direction: 1 local to PCI, 0 PCI to local.")
    next = bits(31, 4, Access.RW, address=True, doc="Address of the next descriptor, 16-byte aligned.")


class DMADPR0(DescriptorPointer, offset=0x90, source=_LINUX):
    """DMA channel 0: descriptor pointer."""


class DMADPR1(DescriptorPointer, offset=0xA4, source=_LINUX):
    """DMA channel 1: descriptor pointer."""


class DmaCommand(Register):
    """What DMACSR0 and DMACSR1 have in common. Written bits act in the order enable, clear_intr, abort, start."""

    enable = bit(0, Access.RW, doc="The channel may run; clearing it pauses the channel. Never cleared by the chip.")
    start = bit(1, Access.W1T, doc="Begin the programmed transfer; ignored unless enabled and done.")
    abort = bit(2, Access.W1T, doc="End the transfer; ignored unless enable is 0.")
    clear_intr = bit(3, Access.W1T, doc="Acknowledge this channel's interrupt.")
    done = bit(4, Access.RO, reset=1, doc="No transfer is running.")


class DMACSR0(DmaCommand, offset=0xA8, width=8, source=_DUMP):
    """DMA channel 0: command and status."""


class DMACSR1(DmaCommand, offset=0xA9, width=8, source=_DUMP):
    """DMA channel 1: command and status."""


class DMATHR(Register, offset=0xB0, source=_LINUX):
    """FIFO thresholds of both channels."""

    c0plaf = bits(3, 0, Access.RW, doc="Channel 0, PCI to local, almost full.")
    c0lpae = bits(7, 4, Access.RW, doc="Channel 0, local to PCI, almost empty.")
    c0lpaf = bits(11, 8, Access.RW, doc="Channel 0, local to PCI, almost full.")
    c0plae = bits(15, 12, Access.RW, doc="Channel 0, PCI to local, almost empty.")
    c1plaf = bits(19, 16, Access.RW, doc="Channel 1, PCI to local, almost full.")
    c1lpae = bits(23, 20, Access.RW, doc="Channel 1, local to PCI, almost empty.")
    c1lpaf = bits(27, 24, Access.RW, doc="Channel 1, local to PCI, almost full.")
    c1plae = bits(31, 28, Access.RW, doc="Channel 1, PCI to local, almost empty.")


class _UpperAddress(Register):
    high = bits(31, 0, Access.RW, doc="Bus address, high half; 0 gives single-address cycles.")


class DMADAC0(_UpperAddress, offset=0xB4, source=_LINUX, chips=Chips.SINCE_9054):
    """DMA channel 0: upper PCI address."""


class DMADAC1(_UpperAddress, offset=0xB8, source=_LINUX, chips=Chips.SINCE_9054):
    """DMA channel 1: upper PCI address."""


@dataclass(frozen=True, slots=True)
class ChannelRegisters:
    """The registers of one DMA channel."""

    mode: type[DmaMode]
    pci_address: type[Register]
    local_address: type[Register]
    size: type[DmaSize]
    pointer: type[DescriptorPointer]
    command: type[DmaCommand]
    upper_address: type[Register]

    @property
    def programmed(self) -> tuple[type[Register], ...]:
        """What says where a transfer goes, or where its descriptors lie."""
        return (self.pci_address, self.local_address, self.size, self.pointer, self.upper_address)

    @property
    def all(self) -> tuple[type[Register], ...]:
        """Every register of the channel."""
        return (self.mode, *self.programmed, self.command)


CHANNELS: Final = (
    ChannelRegisters(DMAMODE0, DMAPADR0, DMALADR0, DMASIZ0, DMADPR0, DMACSR0, DMADAC0),
    ChannelRegisters(DMAMODE1, DMAPADR1, DMALADR1, DMASIZ1, DMADPR1, DMACSR1, DMADAC1),
)

DMA_REGISTERS: tuple[type[Register], ...] = (*CHANNELS[0].all, *CHANNELS[1].all, DMATHR)
