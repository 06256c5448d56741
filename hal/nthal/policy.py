# SPDX-License-Identifier: Apache-2.0
"""The decisions of the contract as pure functions: size, limit, boundary, caching, registers.

The core and `contract.predict` both ask here, so a prediction cannot drift from the model. Source: reference
hal-contract 2.3 to 2.7, each function with its clause.
"""

import enum
from typing import Final

from nthal.platforms import CacheUpkeep, Platform, Switches, Translation
from nthal.types import GIB, KIB, MAX_ADDRESS, bytes_to_pages
from nthal.windows import (
    FIRST_WITH_DESCRIPTION,
    NEWEST_DESCRIPTION,
    Caching,
    DeviceDescription,
    DmaWidth,
    InterfaceType,
)

LIMIT_24: Final = 0xFF_FFFF
LIMIT_32: Final = 0xFFFF_FFFF
CLASSIC_REGISTERS: Final = 16
"""Map registers per adapter that the classic x86 HAL gives a device without scatter/gather (CB-47)."""
LARGE_PAGE_FACTOR: Final = 512
_CHANNELS: Final = 8
_VERIFIER_GRAIN: Final = 8


class Routine(enum.Enum):
    """Which allocator was called; they differ in caching and in address windows."""

    ALLOCATE = "AllocateCommonBuffer"
    EX = "AllocateCommonBufferEx"
    BOUNDS = "AllocateCommonBufferWithBounds"


def pages_for(length: int, page_size: int) -> int:
    """Pages that a buffer consumes: at least one (CB-20)."""
    return max(1, bytes_to_pages(length, page_size))


def address_limit(description: DeviceDescription, switches: Switches) -> int:
    """Highest logical address that the device can drive (CB-50, CB-51)."""
    if not description.master:
        return LIMIT_24
    if description.version >= 3:
        return (1 << description.dma_address_width) - 1
    if description.dma_64bit_addresses:
        return MAX_ADDRESS
    sg_pci = description.scatter_gather and description.interface_type is InterfaceType.PCI
    if description.dma_32bit_addresses or (sg_pci and switches.sg_pci_is_32bit):
        return LIMIT_32
    return LIMIT_24


def address_bits(limit: int) -> int:
    """Width in bits of a limit."""
    return limit.bit_length()


def boundary(description: DeviceDescription, switches: Switches) -> int:
    """Distance in bytes of which a buffer may cross no multiple; 0 for none (CB-55 to CB-58)."""
    if description.master:
        return 0 if switches.cross_4g else 4 * GIB
    return switches.word_channel_boundary if is_word_channel(description) else 64 * KIB


def is_word_channel(description: DeviceDescription) -> bool:
    """True for the 16-bit channels 5 to 7 of a plain AT."""
    return not description.master and description.dma_channel >= 5


def why_no_adapter(description: DeviceDescription, platform: Platform, *, nt_hal: bool = False) -> str | None:
    """Reason why the adapter cannot be made, or None (CB-04, CB-59). `nt_hal` for HalGetAdapter."""
    first = FIRST_WITH_DESCRIPTION.get(description.version)
    if first is None:
        return f"DEVICE_DESCRIPTION.Version {description.version} does not exist"
    if platform.windows < first:
        return f"version {description.version} is newer than this Windows"
    if platform.switches.reactos_grant:
        return _why_no_reactos_adapter(description)
    if nt_hal and description.version > 2:
        return f"HalGetAdapter takes no version {description.version}"
    if description.version == 3 and description.master and not 24 <= description.dma_address_width <= 64:
        return f"DmaAddressWidth {description.dma_address_width} is outside 24 to 64"
    if description.master:
        return None
    if description.dma_channel == 4 or not 0 <= description.dma_channel <= 7:
        return f"system DMA has no channel {description.dma_channel} for devices"
    return _why_wrong_width(description) if platform.isa_dma else None


def shared_channel(description: DeviceDescription) -> int | None:
    """Channel whose one adapter object ReactOS gives to whoever names it; None where each caller gets its own.

    Source: ROS hal dma.c, HalGetAdapter.
    """
    on_isa = description.interface_type in (InterfaceType.ISA, InterfaceType.EISA)
    if description.master and not on_isa:
        return None
    return None if on_isa and description.dma_channel >= _CHANNELS else description.dma_channel


def _why_no_reactos_adapter(description: DeviceDescription) -> str | None:
    channel = shared_channel(description)
    if description.version > 2:
        return f"ReactOS knows no version {description.version}"
    if channel == 4:
        return "channel 4 joins the two controllers"
    if channel is not None and not 0 <= channel < _CHANNELS:
        return f"channel {channel} is past the table of ReactOS"
    if description.master or channel is None:
        return None
    return _why_wrong_width(description)


def _why_wrong_width(description: DeviceDescription) -> str | None:
    width = DmaWidth.WIDTH_16 if is_word_channel(description) else DmaWidth.WIDTH_8
    if description.dma_width != width:
        return f"channel {description.dma_channel} moves {8 << width} bits at a time"
    return None


def ignores_count(description: DeviceDescription) -> bool:
    """True if the HAL may not go by the channel's counter (reference 4.6); version 0 has no such member."""
    return description.ignore_count and description.version >= 1


def registers_granted(description: DeviceDescription, platform: Platform) -> int:
    """NumberOfMapRegisters that the adapter comes with (CB-05, CB-06, CB-46)."""
    if platform.switches.reactos_grant:
        granted = _reactos_grant(description, platform.page_size)
    else:
        granted = bytes_to_pages(description.maximum_length, platform.page_size) + 1
    if platform.register_cap is not None:
        granted = min(granted, platform.register_cap)
    if platform.translation is Translation.MAPREG:
        granted = min(granted, platform.register_pool)
    return granted


def _reactos_grant(description: DeviceDescription, page_size: int) -> int:
    needed = bytes_to_pages(description.maximum_length & 0x7FFF_FFFF, page_size) + 1
    if description.scatter_gather:
        if description.interface_type in (InterfaceType.EISA, InterfaceType.PCI):
            return needed if description.master else 1
        if not description.master:
            return 1
    return min(needed, CLASSIC_REGISTERS)


def needs_map_registers(description: DeviceDescription, platform: Platform, limit: int) -> bool:
    """True if packet transfers of an adapter that reaches up to `limit` may need registers (reference 3.5)."""
    if platform.translation is Translation.MAPREG:
        return True
    if platform.switches.reactos_grant:
        wide = description.interface_type in (InterfaceType.EISA, InterfaceType.PCI)
        return not (description.scatter_gather and wide)
    return not description.scatter_gather or limit < platform.memory_end - 1


def over_register_limit(length: int, granted: int, page_size: int) -> bool:
    """True if the buffer's upper bound of registers is more than the adapter has (CB-41)."""
    return bytes_to_pages(length, page_size) > granted


def effective_caching(
    platform: Platform, routine: Routine, *, cache_enabled: bool, cache_type: Caching | None = None
) -> Caching | None:
    """How the CPU maps the buffer (CB-60 to CB-65); None if the request is unsupported."""
    if routine is Routine.BOUNDS and cache_type is not None:
        return None if cache_type is Caching.WRITE_COMBINED else cache_type
    if not platform.coherent:
        return Caching.NON_CACHED
    wish_counts = routine is Routine.EX or (routine is Routine.ALLOCATE and platform.switches.honour_cache_enabled)
    return Caching.NON_CACHED if wish_counts and not cache_enabled else Caching.CACHED


def map_keeps_caches(description: DeviceDescription, switches: Switches) -> bool:
    """True if mapping and flushing a transfer keep the processor's caches, with no KeFlushIoBuffers (CB-67)."""
    if switches.map_keeps_caches is CacheUpkeep.BY_VERSION:
        return description.version >= NEWEST_DESCRIPTION
    return switches.map_keeps_caches is CacheUpkeep.ALWAYS


def verifier_offset(length: int, platform: Platform) -> int:
    """Bytes between the page and a verified buffer, which sits in the middle of its padding (reference 6).

    A driver lays words and descriptors in it, so the middle is the one before it that is a multiple of eight bytes, and
    of what GetDmaAlignment says. The sources show 0x7F8, 0x680 and 0x400, and no odd one.
    """
    rest = length % platform.page_size
    grain = max(_VERIFIER_GRAIN, platform.hal_alignment)
    return (platform.page_size - rest) // 2 // grain * grain if rest else 0


def fragment_length(maximum_length: int, granted: int, page_size: int) -> int:
    """Bytes that a KMDF enabler moves at once (CB-45): one register is kept for a start in mid-page, so one gives 0."""
    return min(maximum_length, max(granted - 1, 0) * page_size)
