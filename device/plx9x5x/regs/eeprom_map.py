# SPDX-License-Identifier: Apache-2.0
"""Where each dword of the serial EEPROM goes at load time, and how an image is written.

A dword is stored as two 16-bit words, the most significant first; the part is 16 bits wide, and each word is kept here
with its low byte first.

Source: PLX SDK register definitions for word order and offsets. UNVERIFIED: the load lengths.
"""

import enum
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final


class Space(enum.Enum):
    """Which register file a dword belongs to."""

    CONFIG = "configuration space"
    LOCAL = "BAR0"


@dataclass(frozen=True, slots=True)
class EepromDword:
    """One dword of the image: its name, its byte offset there, and the register dword that it loads."""

    name: str
    at: int
    space: Space
    register: int


EEPROM_MAP: Final = (
    EepromDword("ids", 0x00, Space.CONFIG, 0x00),
    EepromDword("class_revision", 0x04, Space.CONFIG, 0x08),
    EepromDword("latency_interrupt", 0x08, Space.CONFIG, 0x3C),
    EepromDword("mbox0", 0x0C, Space.LOCAL, 0x78),
    EepromDword("mbox1", 0x10, Space.LOCAL, 0x7C),
    EepromDword("las0rr", 0x14, Space.LOCAL, 0x00),
    EepromDword("las0ba", 0x18, Space.LOCAL, 0x04),
    EepromDword("marbr", 0x1C, Space.LOCAL, 0x08),
    EepromDword("misc", 0x20, Space.LOCAL, 0x0C),
    EepromDword("eromrr", 0x24, Space.LOCAL, 0x10),
    EepromDword("eromba", 0x28, Space.LOCAL, 0x14),
    EepromDword("lbrd0", 0x2C, Space.LOCAL, 0x18),
    EepromDword("dmrr", 0x30, Space.LOCAL, 0x1C),
    EepromDword("dmlbam", 0x34, Space.LOCAL, 0x20),
    EepromDword("dmlbai", 0x38, Space.LOCAL, 0x24),
    EepromDword("dmpbam", 0x3C, Space.LOCAL, 0x28),
    EepromDword("dmcfga", 0x40, Space.LOCAL, 0x2C),
    EepromDword("subsystem", 0x44, Space.CONFIG, 0x2C),
    EepromDword("las1rr", 0x48, Space.LOCAL, 0xF0),
    EepromDword("las1ba", 0x4C, Space.LOCAL, 0xF4),
    EepromDword("lbrd1", 0x50, Space.LOCAL, 0xF8),
    EepromDword("hot_swap", 0x54, Space.CONFIG, 0x48),
    EepromDword("pciarb", 0x58, Space.LOCAL, 0x100),
    EepromDword("pm_capability", 0x5C, Space.CONFIG, 0x40),
    EepromDword("pm_status", 0x60, Space.CONFIG, 0x44),
)
"""The 9056, 9656 and 8311 table."""

EXTRA_LONG_FROM: Final = 0x44
"""Dwords from here on are loaded only if the image's LBRD0 asks for it (bit 25)."""

EXTRA_LONG_LOAD: Final = 1 << 25

LOADED_BYTES: Final = 0x64


def build_image(values: Mapping[str, int], *, size: int = 256) -> bytes:
    """Lay out an image of `size` bytes (93C56: 256); dwords that `values` does not name are 0, the rest is blank.

    Raises: KeyError if a name is not in the map.
    """
    unknown = set(values) - {entry.name for entry in EEPROM_MAP}
    if unknown:
        raise KeyError(f"not in the EEPROM map: {', '.join(sorted(unknown))}")
    loaded = bytearray(LOADED_BYTES)
    for entry in EEPROM_MAP:
        value = values.get(entry.name, 0)
        struct.pack_into("<HH", loaded, entry.at, value >> 16, value & 0xFFFF)
    return bytes(loaded).ljust(size, b"\xff")


def loaded_dwords(image: bytes) -> Iterator[tuple[EepromDword, int]]:
    """Yield what the chip loads from `image`: nothing from a blank one, the first part only if it says so."""
    if len(image) < LOADED_BYTES or image[:4] == b"\xff\xff\xff\xff":
        return
    values = {entry.name: _dword(image, entry.at) for entry in EEPROM_MAP}
    extra_long = values["lbrd0"] & EXTRA_LONG_LOAD
    for entry in EEPROM_MAP:
        if entry.at < EXTRA_LONG_FROM or extra_long:
            yield entry, values[entry.name]


def _dword(image: bytes, at: int) -> int:
    high, low = struct.unpack_from("<HH", image, at)
    return int(high << 16 | low)
