# SPDX-License-Identifier: Apache-2.0
"""KMDF's common buffers: aligned by a mask, inside what the HAL gave. The objects below have their names here too.

Source: reference hal-contract 2.10, which follows the published framework source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nthal.arguments import check_fields, size_t
from nthal.enabler import Enabler, EnablerConfig, Profile
from nthal.events import NullReason
from nthal.objects import Device, ObjectAttributes, WdfObject, look_at_mask
from nthal.operations import common_buffer
from nthal.records.request import BufferRequest, FreeRequest
from nthal.types import MAXULONG, La, Va
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

# fmt: off
__all__ = [
    "CommonBuffer", "CommonBufferConfig", "Device", "Enabler", "EnablerConfig", "ObjectAttributes", "Profile",
    "RawBuffer", "WdfObject", "create_common_buffer", "raw_length",
]
# fmt: on

COMMON_BUFFER_CONFIG_SIZE: Final = 8


@dataclass(slots=True)
class CommonBufferConfig:
    """WDF_COMMON_BUFFER_CONFIG: an alignment mask for one buffer."""

    alignment_requirement: int
    size: int = COMMON_BUFFER_CONFIG_SIZE


@dataclass(slots=True)
class RawBuffer:
    """What the HAL gave: addresses and length before alignment. Cleared when the allocation failed (CB-123)."""

    length: int = 0
    va: Va = field(default_factory=lambda: Va(0))
    la: La = field(default_factory=lambda: La(0))


def raw_length(length: int, mask: int, *, page_size: int, masks: bool) -> int:
    """Bytes asked of the HAL for `length` bytes aligned to `mask`, without a look at overflow (CB-108)."""
    return length if masks and mask <= page_size - 1 else length + mask


class CommonBuffer(WdfObject):
    """WDFCOMMONBUFFER: the raw buffer and the aligned part of it that the driver sees.

    `length` is what the driver asked for, in bytes (CB-117).
    """

    def __init__(self, enabler: Enabler, length: int, mask: int) -> None:
        super().__init__(enabler)
        self.enabler = enabler
        self.length = length
        self.mask = mask
        self.raw = RawBuffer()

    @property
    def aligned_la(self) -> La:
        """Logical address rounded up to the mask (CB-109)."""
        return La((int(self.raw.la) + self.mask) & ~self.mask)

    @property
    def aligned_va(self) -> Va:
        """Virtual address of the byte at `aligned_la`; itself aligned for masks below a page only (CB-110)."""
        if self.mask < self.enabler.machine.platform.page_size:
            return Va((int(self.raw.va) + self.mask) & ~self.mask)
        return self.raw.va + (self.aligned_la - self.raw.la)

    def read(self, routine: str) -> None:
        """Check a getter's call: a live handle, at most DISPATCH_LEVEL (CB-11, CB-119)."""
        self.check()
        self.enabler.machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, routine)

    def dispose(self) -> None:
        """Free the raw buffer with the raw arguments, exactly once (CB-118)."""
        if self.raw.length:
            request = FreeRequest(self.raw.length, self.raw.la, self.raw.va, cache_enabled=True)
            common_buffer.free(self.enabler.machine, self.enabler.read_adapter, request)


def create_common_buffer(
    enabler: Enabler,
    length: int,
    attributes: ObjectAttributes | None,
    config: CommonBufferConfig | None,
    clear: Callable[[], None],
) -> CommonBuffer | NtStatus:
    """WdfCommonBufferCreate[WithConfig]; `clear` empties the out handle, at the point where the framework does so."""
    enabler.check()
    device, machine = enabler.device, enabler.machine
    size_t(length, "Length")
    if config is not None:
        check_fields("Config", config)
    if config is not None and config.size != COMMON_BUFFER_CONFIG_SIZE:
        detail = f"Config.Size {config.size}, {COMMON_BUFFER_CONFIG_SIZE} is due"
        return device.refuse(NtStatus.INFO_LENGTH_MISMATCH, detail)
    clear()
    if not device.irql_allows(Irql.PASSIVE_LEVEL, "WdfCommonBufferCreate"):
        return NtStatus.INVALID_DEVICE_REQUEST
    if length == 0:
        return device.refuse(NtStatus.INVALID_PARAMETER, "Length is 0", NullReason.ZERO_LENGTH)
    if attributes is not None and attributes.parent_object is not None:
        detail = "a common buffer's parent is its enabler"
        return device.refuse(NtStatus.WDF_PARENT_ASSIGNMENT_NOT_ALLOWED, detail)
    mask = enabler.mask if config is None else config.alignment_requirement
    if config is not None:
        look_at_mask(machine, mask)
    raw = raw_length(length, mask, page_size=machine.platform.page_size, masks=device.masks())
    if raw >> device.pointer_bits:
        detail = f"{length:#x} bytes and alignment {mask:#x} are more than a size_t holds"
        return device.refuse(NtStatus.INTEGER_OVERFLOW, detail, NullReason.NOT_A_ULONG)
    buffer = CommonBuffer(enabler, length, mask)
    if raw <= MAXULONG:
        request = BufferRequest(raw, cache_enabled=True, page_aligned=True)
        made = common_buffer.allocate(machine, enabler.read_adapter, request)
        if made is not None:
            buffer.raw = RawBuffer(raw, made.va, made.la)
            return buffer
    else:
        machine.processor.fail(NullReason.NOT_A_ULONG, f"{raw:#x} bytes with the alignment")
    buffer.length = 0
    buffer.delete()
    return NtStatus.INSUFFICIENT_RESOURCES
