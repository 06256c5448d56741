# SPDX-License-Identifier: Apache-2.0
"""KMDF's DMA enablers: a profile and a configuration become one adapter or two.

Source: reference hal-contract 2.10; the framework's fxdmaenabler.cpp and fxdmaenablerapi.cpp (2.33).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from nthal import policy
from nthal.arguments import check_fields, size_t
from nthal.objects import Direction, WdfObject, live
from nthal.operations import adapter as adapters
from nthal.types import MAXULONG, La
from nthal.verifier import Misuse
from nthal.windows import DeviceDescription, DmaWidth, InterfaceType, Irql, NtStatus, WindowsVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.machine import Machine
    from nthal.objects import Device, ObjectAttributes
    from nthal.records.adapter import Adapter

_POINTERS: Final = 6
"""Callbacks in WDF_DMA_ENABLER_CONFIG, between the fields of 1.9 and those that came with 1.11."""
_SINGLE_TRANSFER_CLIENT: Final = (1, 19)
SYSTEM_PROFILE_CONFIG_SIZE: Final = 40
"""Bytes of WDF_DMA_SYSTEM_PROFILE_CONFIG in this model. UNVERIFIED against the header; only equality matters."""


class ConfigFlags(enum.IntFlag):
    """WDF_DMA_ENABLER_CONFIG_FLAGS."""

    NO_SGLIST_PREALLOCATION = 0x1
    REQUIRE_SINGLE_TRANSFER = 0x2


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
    """WDF_DMA_ENABLER_CONFIG as its INIT macro leaves it; lengths in bytes, `address_width_override` in bits.

    `size` None is what the INIT macro of the client's version sets.
    """

    profile: int
    maximum_length: int
    size: int | None = None
    address_width_override: int = 0
    wdm_dma_version_override: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True)
class DmaResource:
    """The DMA resource of a CM_PARTIAL_RESOURCE_DESCRIPTOR: channel, and request line (its Port)."""

    channel: int
    port: int = 0


@dataclass(slots=True)
class SystemProfileConfig:
    """WDF_DMA_SYSTEM_PROFILE_CONFIG: `dma_descriptor` is the DMA resource, `looped_transfer` auto-initializes."""

    dma_descriptor: DmaResource | None
    dma_width: DmaWidth = DmaWidth.WIDTH_8
    device_address: La = field(default_factory=lambda: La(0))
    demand_mode: bool = False
    looped_transfer: bool = False
    size: int = SYSTEM_PROFILE_CONFIG_SIZE


def config_size(device: Device) -> int:
    """Bytes of the WDF_DMA_ENABLER_CONFIG that the device's client was compiled with: before 1.11 without overrides."""
    word = device.pointer_bits // 8
    old = 8 + word + _POINTERS * word
    return -(-(old + 12) // word) * word if device.masks() else old


class Enabler(WdfObject):
    """WDFDMAENABLER: one adapter, or two for duplex profiles, and the alignment that its common buffers get.

    `maximum_length` is what one operation of the device moves at most, in bytes.
    """

    def __init__(self, device: Device, config: EnablerConfig, profile: Profile, parent: WdfObject) -> None:
        super().__init__(parent)
        self.device = device
        self.profile = profile
        # A ULONG in the framework: what does not fit is cut off, not refused.
        self.maximum_length = config.maximum_length & MAXULONG
        self.maximum_elements = MAXULONG
        self.single_transfer = False
        self.version = 0
        self.read_adapter: Adapter | None = None
        self.write_adapter: Adapter | None = None
        self.mask = 0

    @property
    def machine(self) -> Machine:
        """The machine that everything runs on."""
        return self.device.machine

    @property
    def uses_v3(self) -> bool:
        """True if its adapters are asked for by version 3 of the description."""
        return self.version >= 3

    def adapter_for(self, direction: Direction) -> Adapter | None:
        """Adapter of a direction; a simplex enabler has one for both."""
        write = direction is Direction.WRITE_TO_DEVICE and self.profile.duplex
        return self.write_adapter if write else self.read_adapter

    def fragment_length(self, direction: int) -> int:
        """Bytes that one transfer may have (CB-45); 0 for a direction that is none, and without an adapter."""
        if direction not in list(Direction):
            self.device.ignores("WdfDmaEnablerGetFragmentLength", f"there is no direction {direction}")
            return 0
        adapter = self.adapter_for(Direction(direction))
        if adapter is None:
            return 0
        return policy.fragment_length(self.maximum_length, adapter.granted, self.machine.platform.page_size)

    def wdm_adapter(self, direction: int) -> Adapter | None:
        """WdfDmaEnablerWdmGetDmaAdapter: adapter of a direction; None for one that is none."""
        if direction not in list(Direction):
            self.device.ignores("WdfDmaEnablerWdmGetDmaAdapter", f"there is no direction {direction}")
            return None
        return self.adapter_for(Direction(direction))

    def set_maximum_elements(self, elements: int) -> None:
        """WdfDmaEnablerSetMaximumScatterGatherElements: 0 is passed over."""
        routine = "WdfDmaEnablerSetMaximumScatterGatherElements"
        if not self.device.irql_allows(Irql.PASSIVE_LEVEL, routine):
            return
        if not size_t(elements, "MaximumElements"):
            self.device.ignores(routine, "MaximumElements is 0")
            return
        self.maximum_elements = elements

    def dispose(self) -> None:
        """Put the adapters; the buffers went before, being children (CB-118)."""
        for adapter in (self.read_adapter, self.write_adapter):
            if adapter is not None:
                adapters.put(self.machine, adapter)


@dataclass(frozen=True, slots=True)
class _Described:
    """What a bus-master profile came to; `reach` is the width in bits that version 2 of the description cannot say."""

    description: DeviceDescription
    reach: int | None = None


def _describe(device: Device, config: EnablerConfig, profile: Profile) -> _Described | NtStatus:
    """Build the DEVICE_DESCRIPTION of a profile (CB-59, CB-121), in the order in which the framework looks."""
    platform = device.machine.platform
    override = config.address_width_override
    wide = profile.is_64
    description = DeviceDescription(
        version=3 if platform.arch.is_arm or profile.system else 2,
        master=not profile.system,
        scatter_gather=profile.scatter_gather,
        interface_type=InterfaceType.PCI,
        dma_32bit_addresses=not profile.system,
        dma_64bit_addresses=wide,
        maximum_length=config.maximum_length & MAXULONG,
    )
    reach = None
    if override:
        if profile.system or (override > 32 and not wide):
            detail = f"AddressWidthOverride {override} on profile {profile.name}"
            return device.refuse(NtStatus.INVALID_PARAMETER, detail)
        if platform.windows >= WindowsVersion.WINDOWS_8:
            description.version = 3
            description.dma_address_width = override
        else:
            if override < 24:
                return device.refuse(NtStatus.UNSUCCESSFUL, f"AddressWidthOverride {override}: 24 is the least")
            description.dma_64bit_addresses &= override >= 64
            description.dma_32bit_addresses &= override >= 32
            # The HAL takes scatter/gather on PCI for 32 bits whatever the flag says (CB-51); the framework means 24.
            reach = 24 if override < 32 else None
    version = config.wdm_dma_version_override
    if version:
        if version < description.version:
            detail = f"WdmDmaVersionOverride {version}, and the rest needs version {description.version}"
            return device.refuse(NtStatus.INVALID_PARAMETER, detail)
        description.version = version
    if description.version >= 3 and not description.dma_address_width:
        description.dma_address_width = 64 if wide else 32
    if config.flags & ConfigFlags.REQUIRE_SINGLE_TRANSFER and (
        device.client < _SINGLE_TRANSFER_CLIENT or description.version != 3
    ):
        detail = f"single transfers need a client of 1.19 and DMA version 3; this is {device.client}, {version or 2}"
        return device.refuse(NtStatus.INVALID_PARAMETER, detail)
    return _Described(description, reach)


def create_enabler(
    device: Device, config: EnablerConfig, attributes: ObjectAttributes | None, clear: Callable[[], None]
) -> Enabler | NtStatus:
    """WdfDmaEnablerCreate: the enabler, or the status of the first thing that is wrong (CB-122).

    `clear` empties the out handle, at the point where the framework does so.
    """
    device.check()
    check_fields("Config", config)
    if not device.irql_allows(Irql.PASSIVE_LEVEL, "WdfDmaEnablerCreate"):
        return NtStatus.INVALID_DEVICE_REQUEST
    clear()
    parent = None if attributes is None else attributes.parent_object
    if parent is not None and not _under(live(parent, WdfObject), device):
        if device.masks():
            detail = "Attributes.ParentObject is not below the device"
            return device.refuse(NtStatus.WDF_OBJECT_ATTRIBUTES_INVALID, detail)
        device.ignores("Attributes.ParentObject", "clients before 1.11 get the device for a parent")
    expected = config_size(device)
    if config.size is not None and config.size != expected:
        return device.refuse(NtStatus.INFO_LENGTH_MISMATCH, f"Config.Size {config.size}, {expected} is due")
    if not device.masks():
        parent = device
        config = EnablerConfig(config.profile, config.maximum_length)  # the rest came later than this client
    if config.profile not in list(Profile):
        return device.refuse(NtStatus.INVALID_PARAMETER, f"there is no profile {config.profile}")
    if config.maximum_length == 0:
        return device.refuse(NtStatus.INVALID_PARAMETER, "Config.MaximumLength is 0")
    profile = Profile(config.profile)
    described = _describe(device, config, profile)
    if isinstance(described, NtStatus):
        return described
    enabler = Enabler(device, config, profile, parent or device)
    enabler.version = described.description.version
    enabler.single_transfer = bool(config.flags & ConfigFlags.REQUIRE_SINGLE_TRANSFER)
    if not profile.system and not _attach_all(enabler, described):
        enabler.delete()
        return NtStatus.UNSUCCESSFUL
    return enabler


def _under(child: WdfObject, device: Device) -> bool:
    at: WdfObject | None = child
    while at is not None:
        if at is device:
            return True
        at = at.parent
    return False


def _attach_all(enabler: Enabler, described: _Described) -> bool:
    """Get the adapter of a bus master, for both directions if it is duplex; False with the HAL's reason kept."""
    directions = list(Direction) if enabler.profile.duplex else [Direction.READ_FROM_DEVICE]
    if not all(_attach(enabler, described, direction) for direction in directions):
        return False
    _set_mask(enabler)
    return True


def _attach(enabler: Enabler, described: _Described, direction: Direction) -> bool:
    made = adapters.create(enabler.machine, described.description, enabler.device.pdo, reach=described.reach)
    if enabler.profile.duplex and direction is Direction.WRITE_TO_DEVICE:
        enabler.write_adapter = made
    else:
        enabler.read_adapter = made
    return made is not None


def configure_system_profile(
    enabler: Enabler, config: SystemProfileConfig | DeviceDescription | None, direction: int
) -> NtStatus:
    """WdfDmaEnablerConfigureSystemProfile: only now has the enabler an adapter in that direction (CB-121).

    A DEVICE_DESCRIPTION is taken too, as the framework would have built it. The length is the enabler's either way.
    """
    enabler.check()
    device = enabler.device
    if config is None:
        return device.refuse(NtStatus.INVALID_PARAMETER, "ProfileConfig is NULL")
    check_fields("ProfileConfig", config)
    if isinstance(config, SystemProfileConfig):
        if config.size != SYSTEM_PROFILE_CONFIG_SIZE:
            return device.refuse(NtStatus.INFO_LENGTH_MISMATCH, f"ProfileConfig.Size {config.size}")
        if config.dma_descriptor is None:
            return device.refuse(NtStatus.INVALID_PARAMETER, "ProfileConfig.DmaDescriptor is NULL")
    if direction not in list(Direction):
        return device.refuse(NtStatus.INVALID_PARAMETER, f"there is no direction {direction}")
    if enabler.adapter_for(Direction(direction)) is not None:
        detail = f"direction {Direction(direction).name} of profile {enabler.profile.name} is configured already"
        return device.refuse(NtStatus.INVALID_PARAMETER, detail)
    described = _Described(_system_description(enabler, config))
    if not _attach(enabler, described, Direction(direction)):
        return NtStatus.UNSUCCESSFUL
    _set_mask(enabler)
    return NtStatus.SUCCESS


def _system_description(enabler: Enabler, config: SystemProfileConfig | DeviceDescription) -> DeviceDescription:
    if isinstance(config, DeviceDescription):
        return replace(config, maximum_length=enabler.maximum_length)
    resource = config.dma_descriptor or DmaResource(0)
    return DeviceDescription(
        version=3,
        demand_mode=config.demand_mode,
        auto_initialize=config.looped_transfer,
        dma_width=config.dma_width,
        device_address=config.device_address,
        interface_type=InterfaceType.INTERNAL,
        dma_channel=resource.channel,
        dma_request_line=resource.port,
        maximum_length=enabler.maximum_length,
    )


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
