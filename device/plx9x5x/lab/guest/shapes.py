# SPDX-License-Identifier: Apache-2.0
"""Guests that treat a device's addresses differently: a driver that works in one of them may fail in the next.

::

    plain     logical = physical, and every page is within a 32-bit device's reach
    high      most pages are not: the kernel has to look for low ones, or to bounce
    swiotlb   streaming mappings are copies in a pool, wherever the page is; common buffers are not
    iommu     logical is not physical, each page has a mapping of its own, and there is nothing beside the mappings
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.lab import defaults
from plx9x5x.lab.guest.machine import Device


class NoSuchShape(BadRequest):
    """There is no guest shape of that name."""


class PointlessMemory(BadRequest):
    """With so little memory the guest is not what its shape says."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What distinguishes a guest: QEMU's devices for it, words for its kernel, its memory in MiB.

    `devices` come before all others. `least_mib` is the memory below which the shape says nothing, `why_least` the
    reason. `needs_many_mappings`: the device's server gets a mapping for each page, not one for each bank of memory.
    """

    name: str
    summary: str
    memory_mib: int = defaults.MEMORY_MIB
    devices: tuple[Device, ...] = ()
    words: tuple[str, ...] = ()
    least_mib: int = 0
    why_least: str = ""
    needs_many_mappings: bool = False

    def memory(self, wish: int | None) -> int:
        """Give the memory in MiB: `wish` if it is one. Raises: PointlessMemory."""
        if wish is None:
            return self.memory_mib
        if wish < self.least_mib:
            raise PointlessMemory(
                f"a guest '{self.name}' of {wish} MiB says nothing: {self.why_least}; "
                f"give it {self.least_mib} MiB or more, or leave the memory out for {self.memory_mib} MiB"
            )
        return wish


PLAIN: Final = Shape("plain", "logical addresses are physical ones, all within 32 bits")
HIGH: Final = Shape(
    "high",
    "memory above 4 GiB, where a 32-bit device does not reach",
    memory_mib=6 * 1024,
    least_mib=2816,
    # QEMU's q35 keeps 2 GiB of such a memory below 4 GiB, and all of a smaller one.
    why_least="its memory lies below 4 GiB, all of it",
)
SWIOTLB: Final = Shape(
    "swiotlb",
    "streaming mappings are bounced through a pool, always",
    # 16 MiB in slabs of 2 KiB; the largest mapping that the kernel bounces is 256 KiB.
    words=("swiotlb=8192,force",),
    least_mib=128,
    why_least="the pool of 16 MiB leaves the kernel too little to start",
)
IOMMU: Final = Shape(
    "iommu",
    "an IOMMU between device and memory, a mapping for each page",
    devices=(Device("intel-iommu", {"caching-mode": True}),),  # vfio needs its caching mode
    words=("intel_iommu=on",),  # without it the kernel leaves the IOMMU alone
    needs_many_mappings=True,
)

SHAPES: Final[Mapping[str, Shape]] = {shape.name: shape for shape in (PLAIN, HIGH, SWIOTLB, IOMMU)}
"""By name, in the order in which they are shown."""


def named(name: str) -> Shape:
    """Give the shape of that name. Raises: NoSuchShape."""
    try:
        return SHAPES[name]
    except KeyError:
        raise NoSuchShape(f"no guest shape '{name}'; there are {', '.join(SHAPES)}") from None
