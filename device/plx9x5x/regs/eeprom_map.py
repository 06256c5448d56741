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

from plx9x5x.regs.config import CONFIG_REGISTERS
from plx9x5x.regs.family import Chips
from plx9x5x.regs.intr import RUNTIME_REGISTERS
from plx9x5x.regs.local import LOCAL_REGISTERS
from plx9x5x.regs.profile import Profile


class Space(enum.Enum):
    """Which register file a dword belongs to."""

    CONFIG = "configuration space"
    LOCAL = "BAR0"


@dataclass(frozen=True, slots=True)
class EepromDword:
    """One dword of the image: its name, its byte offset there, the register dword that it loads, and on which chips."""

    name: str
    at: int
    space: Space
    register: int
    chips: Chips = Chips.ALL


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
    EepromDword("rom_base", 0x54, Space.CONFIG, 0x30, Chips.PCI9080),
    EepromDword("hot_swap", 0x54, Space.CONFIG, 0x48, Chips.SINCE_9054),
    EepromDword("pciarb", 0x58, Space.LOCAL, 0x100, Chips.SINCE_9056),
    EepromDword("pm_capability", 0x5C, Space.CONFIG, 0x40, Chips.SINCE_9056),
    EepromDword("pm_status", 0x60, Space.CONFIG, 0x44, Chips.SINCE_9056),
)
"""The whole family's table; a chip loads the entries that name it."""

SHORT_LOAD: Final = 0x14
"""A short load, where the chip has one, ends here."""

EXTRA_LONG_FROM: Final = 0x44
"""Dwords from here on are loaded only if the image's LBRD0 asks for it (bit 25)."""

EXTRA_LONG_LOAD: Final = 1 << 25


def entries(profile: Profile) -> tuple[EepromDword, ...]:
    """What a whole load reads on this chip, by rising offset."""
    return tuple(entry for entry in EEPROM_MAP if profile.chip in entry.chips)


def build_image(profile: Profile, values: Mapping[str, int], *, size: int) -> bytes:
    """Lay out an image of `size` bytes.

    A dword that `values` does not name holds what the chip has without an EEPROM, and LBRD0 then asks for the whole
    load; what the chip never loads is blank. Raises: ValueError if a name is not in this chip's map, a value has more
    than 32 bits, or the part is too small.
    """
    known = {entry.name: entry for entry in entries(profile)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"the {profile.name} loads no {', '.join(unknown)}; it loads {', '.join(known)}")
    if size < profile.eeprom_bytes:
        raise ValueError(f"{size} bytes are too few: the {profile.name} loads {profile.eeprom_bytes}")
    loaded = bytearray(profile.eeprom_bytes)
    for name, entry in known.items():
        value = values.get(name, _power_on(profile, entry))
        if not 0 <= value < 1 << 32:
            raise ValueError(f"{name}: {value:#x} is no 32-bit value")
        struct.pack_into("<HH", loaded, entry.at, value >> 16, value & 0xFFFF)
    return bytes(loaded).ljust(size, b"\xff")


def _power_on(profile: Profile, entry: EepromDword) -> int:
    """What the registers of a dword hold without an EEPROM; LBRD0 with the bit that loads the rest."""
    tables = CONFIG_REGISTERS if entry.space is Space.CONFIG else (*LOCAL_REGISTERS, *RUNTIME_REGISTERS)
    value = sum(
        reg.on(profile.chip).reset << 8 * (offset & 3)
        for reg in tables
        for offset in (reg.offset, *reg.aliases)
        if offset & ~3 == entry.register
    )
    return value | (EXTRA_LONG_LOAD if entry.name == "lbrd0" else 0)


def loaded_dwords(profile: Profile, image: bytes, *, short: bool = False) -> Iterator[tuple[EepromDword, int]]:
    """Yield what the chip loads, in load order: nothing from a blank image, the first part only if it says so.

    A blank part reads ones; a chip that finds no IDs in the first dword leaves its defaults. `short` is the strap.
    """
    if len(image) < profile.eeprom_bytes or image[:4] == b"\xff\xff\xff\xff":
        return
    table = entries(profile)
    values = {entry.name: dword_at(image, entry.at) for entry in table}
    end = profile.eeprom_bytes if values["lbrd0"] & EXTRA_LONG_LOAD else EXTRA_LONG_FROM
    if short and profile.short_load:
        end = SHORT_LOAD
    for entry in table:
        if entry.at < end:
            yield entry, values[entry.name]


def wrong_image(profile: Profile, image: bytes) -> str:
    """Say why an image is none that this chip could load, as when a dump was cut.

    Empty if nothing is wrong with it, or nothing in it.
    """
    if image and len(image) < profile.eeprom_bytes:
        return f"the EEPROM's image has {len(image)} bytes, and a {profile.name} loads {profile.eeprom_bytes}"
    return ""


def dword_at(image: bytes | bytearray, at: int) -> int:
    """Give the dword at byte offset `at`, the most significant word first."""
    high, low = struct.unpack_from("<HH", image, at)
    return int(high << 16 | low)
