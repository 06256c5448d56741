# SPDX-License-Identifier: Apache-2.0
"""What KMDF does above the HAL: objects with parents, DMA enablers with profiles, aligned common buffers.

Source: reference hal-contract 2.10, which follows the published framework source.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from nthal import policy
from nthal.machine import DeviceObject
from nthal.operations import adapter as adapters
from nthal.operations import common_buffer
from nthal.platforms import Arch
from nthal.records.request import BufferRequest, FreeRequest
from nthal.types import MAXULONG, La, Va
from nthal.verifier import BugCheck, Misuse
from nthal.windows import DeviceDescription, InterfaceType, Irql, NtStatus, WindowsVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.machine import Machine
    from nthal.records.adapter import Adapter

COMMON_BUFFER_CONFIG_SIZE: Final = 8
ENABLER_CONFIG_SIZE: Final = 80
"""Bytes of the enabler's configuration in this model. UNVERIFIED against the header; only equality matters."""
_MASK_CLIENT: Final = (1, 11)
"""First client version for which the framework treats alignments as masks and pads only above a page."""


H = TypeVar("H", bound="WdfObject")


class Profile(enum.IntEnum):
    """WDF_DMA_PROFILE."""

    PACKET = 1
    SCATTER_GATHER = 2
    PACKET_64 = 3
    SCATTER_GATHER_64 = 4
    SCATTER_GATHER_DUPLEX = 5
    SCATTER_GATHER_64_DUPLEX = 6
    SYSTEM = 7
    SYSTEM_DUPLEX = 8

    @property
    def scatter_gather(self) -> bool:
        """True for the profiles with scatter/gather hardware."""
        return "SCATTER_GATHER" in self.name

    @property
    def is_64(self) -> bool:
        """True for the profiles that drive 64 address bits."""
        return "64" in self.name

    @property
    def duplex(self) -> bool:
        """True if reads and writes have an adapter each."""
        return "DUPLEX" in self.name

    @property
    def system(self) -> bool:
        """True for the system DMA controller."""
        return "SYSTEM" in self.name


@dataclass(slots=True)
class EnablerConfig:
    """WDF_DMA_ENABLER_CONFIG as its INIT macro leaves it; lengths in bytes, `address_width_override` in bits."""

    profile: int
    maximum_length: int
    size: int = ENABLER_CONFIG_SIZE
    address_width_override: int = 0
    wdm_dma_version_override: int = 0


@dataclass(slots=True)
class CommonBufferConfig:
    """WDF_COMMON_BUFFER_CONFIG: an alignment mask for one buffer."""

    alignment_requirement: int
    size: int = COMMON_BUFFER_CONFIG_SIZE


@dataclass(slots=True)
class ObjectAttributes:
    """WDF_OBJECT_ATTRIBUTES, as far as DMA objects look at it."""

    parent_object: WdfObject | None = None


@dataclass(slots=True)
class RawBuffer:
    """What the HAL gave: addresses and length before alignment. Cleared when the allocation failed (CB-123)."""

    length: int = 0
    va: Va = field(default_factory=lambda: Va(0))
    la: La = field(default_factory=lambda: La(0))


class WdfObject:
    """A framework object. Deleting it deletes its children first; a handle to a deleted object is a bug check."""

    def __init__(self, parent: WdfObject | None) -> None:
        self.parent = parent
        self.children: list[WdfObject] = []
        self.alive = True
        if parent is not None:
            parent.children.append(self)

    def delete(self) -> None:
        """WdfObjectDelete: children last to first, then the object itself."""
        self.check()
        for child in reversed(self.children[:]):
            child.delete()
        self.alive = False
        if self.parent is not None:
            self.parent.children.remove(self)
        self.dispose()

    def dispose(self) -> None:
        """Give back what the object holds."""

    def check(self) -> None:
        """Bug-check on a dead handle (CB-119). Raises: BugCheck."""
        if not self.alive:
            raise BugCheck(f"{type(self).__name__} handle is invalid: the object was deleted")


def live(handle: object, kind: type[H]) -> H:
    """Give the object behind a handle. Raises: BugCheck if it is NULL, of another kind, or deleted (CB-119)."""
    if not isinstance(handle, kind):
        raise BugCheck(f"{handle!r} is no {kind.__name__} handle")
    handle.check()
    return handle


class Device(WdfObject):
    """WDFDEVICE: the FDO's alignment mask, the client's framework version, and the framework's own verifier.

    `fdo_alignment` is a mask. `pointer_bits` bounds size_t. `pdo` is the bus driver's device object, where one exists.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        client: tuple[int, int] = (1, 33),
        fx_verifier_on: bool = False,
        driver: str = "driver",
        pdo: DeviceObject | None = None,
    ) -> None:
        super().__init__(None)
        self.machine = machine
        self.client = client
        self.fx_verifier_on = fx_verifier_on
        self.pdo = pdo or DeviceObject(driver)
        self.fdo_alignment = 0
        self.pointer_bits = 32 if machine.platform.arch in (Arch.X86, Arch.ARM) else 64

    def masks(self) -> bool:
        """True for clients that get the newer alignment rules."""
        return self.client >= _MASK_CLIENT

    def passive(self) -> bool:
        """True if a create may go on; only the framework's verifier looks (CB-12)."""
        return not self.fx_verifier_on or self.machine.processor.irql == Irql.PASSIVE_LEVEL

    def set_alignment_requirement(self, mask: int) -> None:
        """WdfDeviceSetAlignmentRequirement: stored as it is (CB-101)."""
        self.check()
        self.machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "WdfDeviceSetAlignmentRequirement")
        look_at_mask(self.machine, mask)
        self.fdo_alignment = mask


def look_at_mask(machine: Machine, mask: int) -> None:
    """Tell of an alignment that is no mask; it is used all the same (CB-101, CB-112)."""
    if mask & (mask + 1):
        machine.verifier.note(Misuse.NOT_A_MASK, f"AlignmentRequirement {mask:#x}, {mask - 1:#x} was meant perhaps")


class Enabler(WdfObject):
    """WDFDMAENABLER: one adapter, or two for duplex profiles, and the alignment that its common buffers get."""

    def __init__(self, device: Device, config: EnablerConfig, profile: Profile, parent: WdfObject) -> None:
        super().__init__(parent)
        self.device = device
        self.profile = profile
        self.maximum_length = config.maximum_length
        self.maximum_elements = MAXULONG
        self.read_adapter: Adapter | None = None
        self.write_adapter: Adapter | None = None
        self.mask = 0

    @property
    def machine(self) -> Machine:
        """The machine that everything runs on."""
        return self.device.machine

    @property
    def fragment_length(self) -> int:
        """Bytes that one transfer may have (CB-45)."""
        if self.read_adapter is None:
            return 0
        granted = self.read_adapter.granted
        return policy.fragment_length(self.maximum_length, granted, self.machine.platform.page_size)

    def dispose(self) -> None:
        """Put the adapters; the buffers went before, being children (CB-118)."""
        for adapter in (self.read_adapter, self.write_adapter):
            if adapter is not None:
                adapters.put(self.machine, adapter)


def describe(device: Device, config: EnablerConfig, profile: Profile) -> DeviceDescription | NtStatus:
    """Build the DEVICE_DESCRIPTION of a bus-master profile (CB-59, CB-121)."""
    platform = device.machine.platform
    override = config.address_width_override
    wide = profile.is_64
    description = DeviceDescription(
        version=2,
        master=True,
        scatter_gather=profile.scatter_gather,
        interface_type=InterfaceType.PCI,
        dma_32bit_addresses=True,
        dma_64bit_addresses=wide,
        maximum_length=config.maximum_length,
    )
    newer = platform.windows >= WindowsVersion.WINDOWS_8
    if platform.arch.is_arm or config.wdm_dma_version_override == 3 or (newer and override):
        description.version = 3
        description.dma_address_width = override or (64 if wide else 32)
    elif override:
        if override < 24:
            return NtStatus.UNSUCCESSFUL
        description.dma_64bit_addresses = False
        description.dma_32bit_addresses = override >= 32
    return description


def create_enabler(
    device: Device, config: EnablerConfig, attributes: ObjectAttributes | None = None
) -> Enabler | NtStatus:
    """WdfDmaEnablerCreate: the enabler, or the status of the first thing that is wrong (CB-122)."""
    device.check()
    if config.size != ENABLER_CONFIG_SIZE:
        return NtStatus.INFO_LENGTH_MISMATCH
    if not device.passive():
        return NtStatus.INVALID_DEVICE_REQUEST
    if config.profile not in list(Profile) or config.maximum_length == 0:
        return NtStatus.INVALID_PARAMETER
    profile = Profile(config.profile)
    override = config.address_width_override
    if override and (profile.system or override > 63 or (override > 32 and not profile.is_64)):
        return NtStatus.INVALID_PARAMETER
    parent = attributes.parent_object if attributes is not None else None
    if parent is not None and not _under(parent, device):
        return NtStatus.WDF_OBJECT_ATTRIBUTES_INVALID
    description = None if profile.system else describe(device, config, profile)
    if isinstance(description, NtStatus):
        return description
    enabler = Enabler(device, config, profile, parent or device)
    if description is not None and not _attach(enabler, description):
        enabler.delete()
        return NtStatus.UNSUCCESSFUL
    _set_mask(enabler)
    return enabler


def _under(child: WdfObject, device: Device) -> bool:
    at: WdfObject | None = child
    while at is not None:
        if at is device:
            return True
        at = at.parent
    return False


def _attach(enabler: Enabler, description: DeviceDescription) -> bool:
    machine, pdo = enabler.machine, enabler.device.pdo
    enabler.read_adapter = adapters.create(machine, description, pdo)
    if enabler.read_adapter is None:
        return False
    if enabler.profile.duplex:
        enabler.write_adapter = adapters.create(machine, description, pdo)
        return enabler.write_adapter is not None
    return True


def configure_system_profile(enabler: Enabler, description: DeviceDescription) -> NtStatus:
    """WdfDmaEnablerConfigureSystemProfile: only now has the enabler an adapter (CB-121)."""
    enabler.check()
    if not enabler.profile.system:
        return NtStatus.INVALID_DEVICE_REQUEST
    if not _attach(enabler, description):
        return NtStatus.UNSUCCESSFUL
    _set_mask(enabler)
    return NtStatus.SUCCESS


def _set_mask(enabler: Enabler) -> None:
    """Copy the alignment into the enabler; a later SetAlignmentRequirement is too late (CB-102, CB-106, CB-107)."""
    device, machine = enabler.device, enabler.machine
    if enabler.read_adapter is None:
        return
    if not enabler.profile.scatter_gather and not machine.platform.switches.alignment_all_profiles:
        if device.fdo_alignment:
            detail = f"alignment {device.fdo_alignment:#x} on profile {enabler.profile.name}"
            machine.verifier.note(Misuse.NO_EFFECT, detail)
        return
    hal = adapters.alignment(machine, enabler.read_adapter)
    enabler.mask = max(device.fdo_alignment, hal - 1 if device.masks() else hal)


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
    if config is not None and config.size != COMMON_BUFFER_CONFIG_SIZE:
        return NtStatus.INFO_LENGTH_MISMATCH
    clear()
    device, machine = enabler.device, enabler.machine
    if not device.passive():
        return NtStatus.INVALID_DEVICE_REQUEST
    if length == 0:
        return NtStatus.INVALID_PARAMETER
    if attributes is not None and attributes.parent_object is not None:
        return NtStatus.WDF_PARENT_ASSIGNMENT_NOT_ALLOWED
    mask = enabler.mask if config is None else config.alignment_requirement
    if config is not None:
        look_at_mask(machine, mask)
    raw = raw_length(length, mask, page_size=machine.platform.page_size, masks=device.masks())
    if raw >> device.pointer_bits:
        return NtStatus.INTEGER_OVERFLOW
    buffer = CommonBuffer(enabler, length, mask)
    if raw <= MAXULONG:
        request = BufferRequest(raw, cache_enabled=True, page_aligned=True)
        made = common_buffer.allocate(machine, enabler.read_adapter, request)
        if made is not None:
            buffer.raw = RawBuffer(raw, made.va, made.la)
            return buffer
    buffer.length = 0
    buffer.delete()
    return NtStatus.INSUFFICIENT_RESOURCES
