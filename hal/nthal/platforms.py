# SPDX-License-Identifier: Apache-2.0
"""Platforms as frozen values: architecture, memory map, translation, Windows version, and the switches of the model.

A switch stands for one question that the documents leave open; a profile is a named set of switch positions.
Source: reference hal-contract 3.1, 9.1 and 10.
"""

import enum
from dataclasses import dataclass, field, replace
from typing import Final

from nthal.runs import RunSet
from nthal.types import GIB, KIB, MIB, PAGE_SIZE
from nthal.windows import FIRST_WITH_VERIFICATION, WindowsVersion


class Arch(enum.Enum):
    """Processor architecture; decides caching."""

    X86 = "x86"
    X64 = "x64"
    IA64 = "ia64"
    ARM = "arm"
    ARM64 = "arm64"

    @property
    def is_arm(self) -> bool:
        """True where the ACPI _CCA of a device decides about caching."""
        return self in (Arch.ARM, Arch.ARM64)


class Translation(enum.Enum):
    """How a device's address becomes a physical one."""

    FLAT = "flat"
    BOUNCE = "bounce"
    IOMMU = "iommu"
    OFFSET = "offset"
    MAPREG = "mapreg"

    @property
    def scatters(self) -> bool:
        """True if pages may be anywhere, because hardware makes them contiguous for the device."""
        return self in (Translation.IOMMU, Translation.MAPREG)


class Tail(enum.Enum):
    """AM-09: an access past Length in the last page."""

    VIOLATION = "violation"
    FINDING = "finding"
    SILENT = "silent"


class CacheUpkeep(enum.Enum):
    """CB-67: whether mapping and flushing a transfer keep the processor's caches, where DMA is not coherent.

    `BY_VERSION`: those of a version 3 adapter do, as its documents say; with version 1 and 2 the driver calls
    KeFlushIoBuffers, as theirs say. `ALWAYS` is what a remark in the framework's source holds of every version.
    """

    BY_VERSION = "by version"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Switches:
    """The open questions AM-01 to AM-19 and that of CB-67, each at its default. Lengths in bytes."""

    zero_length_gives_page: bool = False
    enforce_map_register_limit: bool = True
    reactos_grant: bool = False
    honour_cache_enabled: bool = False
    sg_pci_is_32bit: bool = True
    word_channel_boundary: int = 64 * KIB
    cross_4g: bool = False
    maximum_address_inclusive: bool = True
    tail: Tail = Tail.VIOLATION
    verifier_offsets: bool = True
    alignment_all_profiles: bool = False
    bad_free_as_reactos: bool = False
    fill: int = 0xA5
    irql_raises: bool = True
    stop: bool = True
    put_with_live_finding: bool = True
    advisories: bool = False
    map_keeps_caches: CacheUpkeep = CacheUpkeep.BY_VERSION


PROFILES: Final = {
    "contract": Switches(),
    "reactos": Switches(
        zero_length_gives_page=True,
        enforce_map_register_limit=False,
        reactos_grant=True,
        honour_cache_enabled=True,
        sg_pci_is_32bit=False,
        tail=Tail.SILENT,
        verifier_offsets=False,
        bad_free_as_reactos=True,
        irql_raises=False,
        put_with_live_finding=False,
    ),
    "strict": Switches(advisories=True),
}


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Platform:
    """A computer before it runs.

    `free` is physical memory that nobody owns yet, `isolated` leaves only its odd-numbered pages free.
    `bus_offset` is LA minus PA on an OFFSET bus; `iova_base` where an IOMMU's addresses start; `register_base` the LA
    of map register 0.
    `register_cap` bounds what an adapter is granted. `cca` is the device's _CCA, None if absent. `dma_interrupts` says
    that the system DMA controller interrupts when a transfer ended; the AT's 8237 does not.
    Raises: ValueError for DMA verification on a Windows that has none.
    """

    name: str
    arch: Arch = Arch.X64
    page_size: int = PAGE_SIZE
    free: tuple[Span, ...] = (Span(0x0010_0000, 0x7FFF_FFFF),)
    isolated: bool = False
    translation: Translation = Translation.FLAT
    bus_offset: int = 0
    iova_base: int = 0x1000_0000
    register_pool: int = 0
    register_base: int = 0x0080_0000
    register_cap: int | None = None
    cca: bool | None = None
    windows: WindowsVersion = WindowsVersion.WINDOWS_10_1803
    isa_dma: bool = False
    dma_interrupts: bool = False
    hal_alignment: int = 1
    verifier: bool = False
    switches: Switches = field(default_factory=Switches)

    def __post_init__(self) -> None:
        if self.verifier and self.windows < FIRST_WITH_VERIFICATION:
            raise ValueError(
                f"{self.windows.name} has no DMA verification, it came with {FIRST_WITH_VERIFICATION.name}: "
                "leave verifier off, or take a newer windows"
            )

    def free_frames(self) -> RunSet:
        """Page frames that start out free: whole pages inside `free`."""
        size = self.page_size
        runs = [(-(-span.first // size), (span.last + 1) // size) for span in self.free]
        if self.isolated:
            return RunSet.of_singles(
                frame for first, end in sorted(runs) for frame in range(first + (first % 2 == 0), end, 2)
            )
        return RunSet((first, end - first) for first, end in runs if end > first)

    @property
    def memory_end(self) -> int:
        """Physical address after the highest free byte; 0 without any."""
        return max((span.last + 1 for span in self.free), default=0)

    @property
    def coherent(self) -> bool:
        """True if device accesses see the CPU's caches."""
        return not self.arch.is_arm or bool(self.cca)

    def with_free(self, *spans: tuple[int, int]) -> "Platform":
        """Replace the free memory by (first, last) pairs of byte addresses."""
        return replace(self, free=tuple(Span(first, last) for first, last in spans), isolated=False)

    def with_profile(self, name: str) -> "Platform":
        """Take the switch positions of profile `name`. Raises: KeyError if there is no such profile."""
        return replace(self, switches=PROFILES[name])

    def with_switches(self, **changes: object) -> "Platform":
        """Change switches by their names in `Switches`; None leaves one. Raises: TypeError for a name that is none."""
        said = {name: value for name, value in changes.items() if value is not None}
        return replace(self, switches=replace(self.switches, **said))  # type: ignore[arg-type]

    def verified(self, *, stop: bool = True) -> "Platform":
        """Turn DMA verification on; `stop=False` is report mode."""
        return replace(self, verifier=True, switches=replace(self.switches, stop=stop))


_BIG = (Span(0x0010_0000, 0x3FFF_FFFF), Span(0x1_0000_0000, 0x1_FFFF_FFFF))
_HIGH = (Span(0x1_0000_0000, 0x1_FFFF_FFFF),)

FLAT: Final = Platform("flat")
BIG: Final = Platform("big", free=_BIG, translation=Translation.BOUNCE)
HIGH: Final = Platform("high", free=_HIGH, translation=Translation.BOUNCE)
IOMMU: Final = Platform("iommu", free=_HIGH, translation=Translation.IOMMU)
OFFSET: Final = Platform("offset", translation=Translation.OFFSET, bus_offset=0x8000_0000)
MAPREG: Final = Platform("mapreg", translation=Translation.MAPREG, register_pool=64)
FRAG: Final = Platform("frag", isolated=True)
FULL: Final = Platform("full", free=())
ISA: Final = Platform(
    "isa", arch=Arch.X86, free=(Span(0x0010_0000, 0x03FF_FFFF),), isa_dma=True, translation=Translation.BOUNCE
)
ARM0: Final = Platform("arm0", arch=Arch.ARM64, cca=False)
ARM1: Final = Platform("arm1", arch=Arch.ARM64, cca=True)
PCI32: Final = Platform("pci32", arch=Arch.X86, free=(Span(1 * MIB, 1 * GIB - 1),), isa_dma=True)
PAE: Final = Platform(
    "pae", arch=Arch.X86, free=(Span(1 * MIB, 3 * GIB - 1), Span(4 * GIB, 16 * GIB - 1)), translation=Translation.BOUNCE
)
SERVER: Final = Platform(
    "server", free=(Span(1 * MIB, 2 * GIB - 1), Span(4 * GIB, 64 * GIB - 1)), translation=Translation.BOUNCE
)

FIXTURES: Final = {
    platform.name: platform
    for platform in (FLAT, BIG, HIGH, IOMMU, OFFSET, MAPREG, FRAG, FULL, ISA, ARM0, ARM1, PCI32, PAE, SERVER)
}
"""Every named platform: those of the test vectors, and three more of everyday machines."""
