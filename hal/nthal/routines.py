# SPDX-License-Identifier: Apache-2.0
"""Which routines an adapter's table has, by DEVICE_DESCRIPTION.Version and Windows, in the order of the structure.

`NOT_MODELLED` are routines of the real table that this model has not, with what a driver sees that calls one.
Source: reference hal-contract 1.7; the DDI page of DMA_OPERATIONS.
"""

from typing import Final

from nthal.platforms import Platform
from nthal.windows import WindowsVersion

# fmt: off
_VERSION_1: Final = (
    "PutDmaAdapter", "AllocateCommonBuffer", "FreeCommonBuffer", "AllocateAdapterChannel", "FlushAdapterBuffers",
    "FreeAdapterChannel", "FreeMapRegisters", "MapTransfer", "GetDmaAlignment", "ReadDmaCounter",
    "GetScatterGatherList", "PutScatterGatherList",
)
_VERSION_2: Final = (
    *_VERSION_1, "CalculateScatterGatherList", "BuildScatterGatherList", "BuildMdlFromScatterGatherList",
)
_WINDOWS_8: Final = (
    *_VERSION_2, "GetDmaAdapterInfo", "GetDmaTransferInfo", "InitializeDmaTransferContext", "AllocateCommonBufferEx",
    "AllocateAdapterChannelEx", "ConfigureAdapterChannel", "CancelAdapterChannel", "MapTransferEx",
    "GetScatterGatherListEx", "BuildScatterGatherListEx", "FlushAdapterBuffersEx", "FreeAdapterObject",
    "CancelMappedTransfer",
)
_DOMAINS: Final = ("AllocateDomainCommonBuffer", "FlushDmaBuffer", "JoinDmaDomain", "LeaveDmaDomain", "GetDmaDomain")
_WINDOWS_10_1803: Final = (
    *_WINDOWS_8, *_DOMAINS, "AllocateCommonBufferWithBounds", "AllocateCommonBufferVector",
    "GetCommonBufferFromVectorByIndex", "FreeCommonBufferFromVector", "FreeCommonBufferVector",
)
# fmt: on
_SERVER_2022: Final = (*_WINDOWS_10_1803, "CreateCommonBufferFromMdl")

_DOMAIN_WORDS: Final = "devices that share one IOMMU domain are not modelled: each adapter has its device's own"
NOT_MODELLED: Final = {
    "AllocateDomainCommonBuffer": f"{_DOMAIN_WORDS}; allocate with AllocateCommonBufferWithBounds",
    "FlushDmaBuffer": "caches are kept right by KeFlushIoBuffers and FlushAdapterBuffers here; call those",
    "JoinDmaDomain": _DOMAIN_WORDS,
    "LeaveDmaDomain": _DOMAIN_WORDS,
    "GetDmaDomain": f"{_DOMAIN_WORDS}; a driver that gets NULL goes on without",
    "CreateCommonBufferFromMdl": "memory of the driver's own as a common buffer is not modelled; let the HAL allocate",
}
"""Routine and what a driver is told that reaches for it: the violation ABSENT_ROUTINE with these words, no effect."""


def names(version: int, platform: Platform) -> tuple[str, ...]:
    """Routines of the table, in the order of the structure; those that are not modelled keep their places."""
    if platform.switches.reactos_grant:
        return _VERSION_2  # one table for every version; ROS hal dma.c, HalpDmaOperations
    if version < 2:
        return _VERSION_1
    if version == 2:
        return _VERSION_2
    if platform.windows >= WindowsVersion.SERVER_2022:
        return _SERVER_2022
    return _WINDOWS_10_1803 if platform.windows >= WindowsVersion.WINDOWS_10_1803 else _WINDOWS_8
