# SPDX-License-Identifier: Apache-2.0
"""Constants and structures with the values that Windows gives them.

Names are in this project's spelling; the façades export the DDK's. Source: reference hal-contract 1.3 to 1.6, which
cites the pages of the Windows driver DDI reference.
"""

import enum
from dataclasses import dataclass, field
from typing import Final

from nthal.types import La

_SIGN_BIT: Final = 0x8000_0000


class NtStatus(enum.IntEnum):
    """The NTSTATUS values that the DMA routines use, as unsigned 32-bit numbers."""

    SUCCESS = 0x0000_0000
    UNSUCCESSFUL = 0xC000_0001
    NOT_IMPLEMENTED = 0xC000_0002
    INFO_LENGTH_MISMATCH = 0xC000_0004
    INVALID_PARAMETER = 0xC000_000D
    INVALID_DEVICE_REQUEST = 0xC000_0010
    MORE_PROCESSING_REQUIRED = 0xC000_0016
    BUFFER_TOO_SMALL = 0xC000_0023
    NONE_MAPPED = 0xC000_0073
    INTEGER_OVERFLOW = 0xC000_0095
    INSUFFICIENT_RESOURCES = 0xC000_009A
    NOT_SUPPORTED = 0xC000_00BB
    CANCELLED = 0xC000_0120
    WDF_BUSY = 0xC020_0204
    WDF_OBJECT_ATTRIBUTES_INVALID = 0xC020_0209
    WDF_TOO_FRAGMENTED = 0xC020_020A
    WDF_PARENT_ASSIGNMENT_NOT_ALLOWED = 0xC020_020F
    WDF_TOO_MANY_TRANSFERS = 0xC020_0213
    WDF_NOT_ENOUGH_MAP_REGISTERS = 0xC020_0214


def nt_success(status: int) -> bool:
    """NT_SUCCESS: the status read as a signed 32-bit number is not negative."""
    return not status & _SIGN_BIT


class InterfaceType(enum.IntEnum):
    """INTERFACE_TYPE: the bus that a device sits on."""

    UNDEFINED = -1
    INTERNAL = 0
    ISA = 1
    EISA = 2
    MICRO_CHANNEL = 3
    TURBO_CHANNEL = 4
    PCI = 5
    VME = 6
    NU_BUS = 7
    PCMCIA = 8
    C_BUS = 9
    MPI = 10
    MPSA = 11
    PROCESSOR_INTERNAL = 12
    INTERNAL_POWER = 13
    PNP_ISA = 14
    PNP = 15
    VMCS = 16
    ACPI = 17
    MAXIMUM = 18


class DmaWidth(enum.IntEnum):
    """DMA_WIDTH: bits that a subordinate device moves at a time."""

    WIDTH_8 = 0
    WIDTH_16 = 1
    WIDTH_32 = 2
    WIDTH_64 = 3
    NO_WRAP = 4


class DmaSpeed(enum.IntEnum):
    """DMA_SPEED: bus timing of a subordinate device."""

    COMPATIBLE = 0
    TYPE_A = 1
    TYPE_B = 2
    TYPE_C = 3
    TYPE_F = 4


class AllocationAction(enum.IntEnum):
    """IO_ALLOCATION_ACTION: what AdapterControl asks to keep."""

    KEEP_OBJECT = 1
    DEALLOCATE_OBJECT = 2
    DEALLOCATE_OBJECT_KEEP_REGISTERS = 3


class DmaCompletionStatus(enum.IntEnum):
    """DMA_COMPLETION_STATUS: how a transfer of system DMA ended."""

    COMPLETE = 0
    ABORTED = 1
    ERROR = 2
    CANCELLED = 3


DMA_SYNCHRONOUS_CALLBACK: Final = 0x1
"""Flag of the extended routines of version 3: now or not at all."""


class Caching(enum.IntEnum):
    """MEMORY_CACHING_TYPE."""

    NON_CACHED = 0
    CACHED = 1
    WRITE_COMBINED = 2


class Irql(enum.IntEnum):
    """IRQL, in the numbers of x86."""

    PASSIVE_LEVEL = 0
    APC_LEVEL = 1
    DISPATCH_LEVEL = 2
    DEVICE_LEVEL = 3
    """The lowest DIRQL, where an interrupt service routine runs; which one a device gets plays no part here."""


class WindowsVersion(enum.IntEnum):
    """Releases that differ in what this contract offers; ordered by age."""

    NT4 = 400
    WINDOWS_2000 = 500
    WINDOWS_XP = 501
    WINDOWS_VISTA = 600
    WINDOWS_7 = 601
    WINDOWS_8 = 602
    WINDOWS_10_1803 = 1803
    SERVER_2022 = 2022


NEWEST_DESCRIPTION: Final = 3
FIRST_WITH_VERIFICATION: Final = WindowsVersion.WINDOWS_XP
"""DMA verification came with it. Source: driver documentation, "DMA Verification"."""
FIRST_WITH_DESCRIPTION: Final = {
    0: WindowsVersion.NT4,
    1: WindowsVersion.NT4,
    2: WindowsVersion.WINDOWS_XP,
    3: WindowsVersion.WINDOWS_8,
}
"""DEVICE_DESCRIPTION.Version and the first Windows that takes it."""


@dataclass(slots=True)
class DeviceDescription:
    """DEVICE_DESCRIPTION. Its defaults are those of a structure that the driver zeroed, as it must.

    `maximum_length` is bytes of the largest single DMA operation; `dma_address_width` is bits and counts in version 3
    only. `ignore_count` says that the channel's counter is unreliable, and counts from version 1 on.
    """

    version: int = 0
    master: bool = False
    scatter_gather: bool = False
    demand_mode: bool = False
    auto_initialize: bool = False
    dma_32bit_addresses: bool = False
    ignore_count: bool = False
    dma_64bit_addresses: bool = False
    bus_number: int = 0
    dma_channel: int = 0
    interface_type: InterfaceType = InterfaceType.INTERNAL
    dma_width: DmaWidth = DmaWidth.WIDTH_8
    dma_speed: DmaSpeed = DmaSpeed.COMPATIBLE
    maximum_length: int = 0
    dma_port: int = 0
    dma_address_width: int = 0
    dma_controller_instance: int = 0
    dma_request_line: int = 0
    device_address: La = field(default_factory=lambda: La(0))


@dataclass(slots=True)
class DmaAdapterInfo:
    """DMA_ADAPTER_INFO with its V1: what the controller of a channel can do. `minimum_transfer_unit` is bytes."""

    version: int = 1
    read_dma_counter_available: bool = False
    scatter_gather_limit: int = 0
    dma_address_width: int = 0
    flags: int = 0
    minimum_transfer_unit: int = 0


@dataclass(slots=True)
class DmaTransferInfo:
    """DMA_TRANSFER_INFO with its V1: what a transfer takes. `scatter_gather_list_size` is bytes."""

    version: int = 1
    map_register_count: int = 0
    scatter_gather_element_count: int = 0
    scatter_gather_list_size: int = 0


ALIGNMENT_MASKS: Final = {
    "FILE_BYTE_ALIGNMENT": 0x000,
    "FILE_WORD_ALIGNMENT": 0x001,
    "FILE_LONG_ALIGNMENT": 0x003,
    "FILE_QUAD_ALIGNMENT": 0x007,
    "FILE_OCTA_ALIGNMENT": 0x00F,
    "FILE_32_BYTE_ALIGNMENT": 0x01F,
    "FILE_64_BYTE_ALIGNMENT": 0x03F,
    "FILE_128_BYTE_ALIGNMENT": 0x07F,
    "FILE_256_BYTE_ALIGNMENT": 0x0FF,
    "FILE_512_BYTE_ALIGNMENT": 0x1FF,
}
"""Masks, one less than the boundary in bytes."""
