# SPDX-License-Identifier: Apache-2.0
"""Configuration space of a device of one's own, looked at as a guest will: who it is, and the sizes of its BARs.

Source: PCI Local Bus Specification 2.2, 6.2.1 and 6.2.5.1.
"""

from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.ports import PciDevice, RegionSpec
from plx9x5x.units import GIB

BARS: Final = 6
_ABSENT: Final = (0x0000, 0xFFFF)
"""Vendors that nobody is: a guest takes them for an empty slot."""
_BASES: Final = 0x10
_IS_IO, _BELOW_1M, _TYPE_64 = 1, 2, 4
_ONES: Final = 0xFFFF_FFFF
_MOST, _MOST_IO, _MOST_64 = 2 * GIB, 256, 1 << 63


class DeviceFailed(BadRequest):
    """A device of one's own raised, or gave what means nothing; where, the text says."""


def check(device: PciDevice, name: str) -> None:
    """Look at what a guest would go by; base addresses are as before afterwards. Raises: DeviceFailed."""
    vendor = device.config_read(0, 2)
    if vendor in _ABSENT:
        raise DeviceFailed(f"{name}: its vendor, at 0 of configuration space, is {vendor:#06x}: no guest would see it")
    upper_half = False
    for bar, spec in enumerate(device.regions):
        if upper_half:
            upper_half = False
            continue
        kind = device.config_read(_BASES + 4 * bar, 4)
        is_io = bool(kind & _IS_IO)
        if spec.size and is_io is not spec.is_io:
            says = "I/O" if is_io else "memory"
            raise DeviceFailed(
                f"{name}: BAR{bar} is {says} in configuration space (bit 0), and not so in its regions (is_io)"
            )
        upper_half = bool(spec.size and kind & _TYPE_64 and not is_io)
        if upper_half and (bar + 1 >= BARS or device.regions[bar + 1].size):
            raise DeviceFailed(f"{name}: BAR{bar} has 64 bits (bit 2), so its upper half stands in place of the next")
        most = _MOST_IO if is_io else _MOST_64 if upper_half else _MOST
        if spec.size > most:
            what = "an I/O BAR" if is_io else f"a memory BAR of {64 if upper_half else 32} bits"
            raise DeviceFailed(f"{name}: BAR{bar} has {spec.size:#x} bytes, and {what} at most {most:#x}")
        _check_size(device, name, bar, spec, kind, is_64=upper_half)


def _check_size(device: PciDevice, name: str, bar: int, spec: RegionSpec, kind: int, *, is_64: bool) -> None:
    """Write ones, as a guest does to learn the size, and look at what stays. Raises: DeviceFailed."""
    takes = sum(
        _ones_left(device, _BASES + 4 * at) << 32 * half for half, at in enumerate((bar, bar + 1) if is_64 else (bar,))
    )
    flags = 0x3 if kind & _IS_IO else 0xF
    if not spec.size:
        if takes & ~flags:
            raise DeviceFailed(
                f"{name}: BAR{bar} is none in its regions, and one in configuration space: with ones written to "
                f"{_BASES + 4 * bar:#x} it reads {takes:#x}"
            )
        return
    wanted = -spec.size & (1 << 64 if is_64 else 1 << 32) - 1 | kind & flags
    # Bits above what is reachable need not be there: I/O has 64 KiB, a BAR may want to be below 1 MiB.
    reachable = 0xFFFF if kind & _IS_IO else 0xF_FFFF if kind & _BELOW_1M else wanted
    if takes not in (wanted, wanted & reachable):
        raise DeviceFailed(
            f"{name}: BAR{bar} has {spec.size:#x} bytes in its regions, and not so in configuration space: with ones "
            f"written to {_BASES + 4 * bar:#x} it reads {takes:#x}, and would be {wanted:#x}"
        )


def _ones_left(device: PciDevice, at: int) -> int:
    before = device.config_read(at, 4)
    device.config_write(at, 4, _ONES)
    takes = device.config_read(at, 4)
    device.config_write(at, 4, before)
    return takes
