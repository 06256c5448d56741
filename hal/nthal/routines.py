# SPDX-License-Identifier: Apache-2.0
"""Which routines an adapter's table has, by DEVICE_DESCRIPTION.Version and Windows. Source: reference hal-contract 1.7.

Only modelled routines are listed; the extended packet routines of version 3 are not modelled.
"""

from typing import Final

from nthal.windows import WindowsVersion

_VERSION_1: Final = (
    "PutDmaAdapter",
    "AllocateCommonBuffer",
    "FreeCommonBuffer",
    "AllocateAdapterChannel",
    "FlushAdapterBuffers",
    "FreeAdapterChannel",
    "FreeMapRegisters",
    "MapTransfer",
    "GetDmaAlignment",
    "ReadDmaCounter",
    "GetScatterGatherList",
    "PutScatterGatherList",
)
_VERSION_2: Final = (
    *_VERSION_1,
    "CalculateScatterGatherList",
    "BuildScatterGatherList",
    "BuildMdlFromScatterGatherList",
)
_WINDOWS_8: Final = ("AllocateCommonBufferEx",)
_WINDOWS_10_1803: Final = (
    "AllocateCommonBufferWithBounds",
    "AllocateCommonBufferVector",
    "GetCommonBufferFromVectorByIndex",
    "FreeCommonBufferFromVector",
    "FreeCommonBufferVector",
)


def names(version: int, windows: WindowsVersion) -> tuple[str, ...]:
    """Routines of the table, in the order of the structure."""
    if version < 2:
        return _VERSION_1
    if version == 2:
        return _VERSION_2
    newest = _WINDOWS_10_1803 if windows >= WindowsVersion.WINDOWS_10_1803 else ()
    return (*_VERSION_2, *_WINDOWS_8, *newest)
