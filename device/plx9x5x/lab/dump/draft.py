# SPDX-License-Identifier: Apache-2.0
"""A board as far as a dump tells it: chip, part, what the EEPROM loads, local memory; and which of it was guessed."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from plx9x5x.board import Board, Eeprom, EepromPart, Window
from plx9x5x.lab.dump.bad import BadDump
from plx9x5x.lab.dump.config_file import REGISTER_WINDOWS, Card
from plx9x5x.lab.dump.eeprom_file import Found
from plx9x5x.lab.dump.orders import DEVICES
from plx9x5x.model.localbus import Sram
from plx9x5x.model.windows import IO_WINDOW, space_bar
from plx9x5x.regs.catalog import profile_of
from plx9x5x.regs.config import PLX
from plx9x5x.regs.eeprom_map import (
    EXTRA_LONG_FROM,
    EXTRA_LONG_LOAD,
    build_image,
    dword_at,
    entries,
    loaded_dwords,
)
from plx9x5x.regs.profile import PROFILES, Profile
from plx9x5x.units import KIB, MIB, LocalAddr

GUESSED_SIZE: Final = 64 * KIB
MOST_MEMORY: Final = 256 * MIB
"""Of a larger space only so much is memory: nobody can want the host to have it all."""

_SPACE_BARS: Final = (2, 3)
_LMISC1: Final = 8
"""Where LMISC1 begins in the dword `misc`."""
_IO_BAR: Final = 1
_SHIFT: Final = 2
_CAPABILITIES: Final = 1 << 4
_MHZ66: Final = 1 << 5


@dataclass(frozen=True, slots=True)
class Memory:
    """Plain memory on the local bus that stands for what is really there."""

    name: str
    at: int
    size: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What a board package is made of. `guesses`, by dword or 'memory', 'chip', 'part': not in the dump."""

    profile: Profile
    part: EepromPart
    loaded: Mapping[str, int]
    """Every dword that the chip could load, by its name in `plx9x5x.regs.eeprom_map`."""
    rest: bytes
    """What the part holds beyond those, without blank bytes at the end."""
    guesses: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def image(self) -> bytes:
        """The whole part, in our order."""
        loaded = build_image(self.profile, self.loaded, size=self.part.size)[: self.profile.eeprom_bytes]
        return (loaded + self.rest).ljust(self.part.size, b"\xff")

    @property
    def ids(self) -> str:
        """Vendor and device, as people say them."""
        return f"{self.loaded['ids'] & 0xFFFF:04x}:{self.loaded['ids'] >> 16:04x}"

    @property
    def memory(self) -> tuple[Memory, ...]:
        """Memory under each space that the chip opens; spaces that show the same local addresses share it."""
        read = {entry.name: value for entry, value in loaded_dwords(self.profile, self.image)}
        ranges: list[tuple[int, int, str]] = []
        for space in (0, 1):
            if f"las{space}ba" in read:
                bar = space_bar(read[f"las{space}rr"], read[f"las{space}ba"])
                if bar.size:
                    size = min(bar.size, MOST_MEMORY)
                    ranges.append((bar.local_base, bar.local_base + size, f"space {space}"))
        joined: list[tuple[int, int, str]] = []
        for first, end, name in sorted(ranges):
            if joined and first < joined[-1][1]:
                before = joined.pop()
                joined.append((before[0], max(end, before[1]), "spaces 0 and 1"))
            else:
                joined.append((first, end, name))
        return tuple(Memory(name, first, end - first) for first, end, name in joined)

    def board(self, name: str, summary: str) -> Board:
        """Make the board itself, as the package's module does."""
        windows = tuple(
            Window(piece.name, LocalAddr(piece.at), functools.partial(Sram, piece.size)) for piece in self.memory
        )
        return Board(name, summary, self.profile, Eeprom(self.part, self.image), windows)


# -- from an EEPROM --------------------------------------------------------------------------------------------------


def from_eeprom(found: Found, chip: str | None = None) -> Draft:
    """Take what an EEPROM says. Raises: BadDump if it is not said which chip it belongs to, or it is too short."""
    image = found.image
    guesses: dict[str, str] = {}
    profile = _chip_of_image(image, chip, guesses)
    if len(image) < profile.eeprom_bytes:
        raise BadDump(
            f"the file has {len(image)} bytes, and a {profile.name} loads {profile.eeprom_bytes}: "
            "read the part again, or say with --chip which chip it belongs to"
        )
    part = next((part for part in EepromPart if part.size == len(image)), None)
    if part is None:
        likely = EepromPart.C93CS46 if profile.short_load else EepromPart.C93CS56
        part = likely if len(image) <= likely.size else EepromPart.C93CS66
        guesses["part"] = f"{len(image)} bytes are in the file: taken for a {part.name} that is blank beyond them"
    loaded = {entry.name: dword_at(image, entry.at) for entry in entries(profile)}
    notes = [*found.notes]
    if not loaded["lbrd0"] & EXTRA_LONG_LOAD:
        notes.append(
            f"bit 25 of lbrd0 is clear: the chip loads nothing from offset {EXTRA_LONG_FROM:#x} on, "
            "so that subsystem IDs and space 1 are what it has without an EEPROM"
        )
    guesses |= _cut_off(
        image, profile, reads=profile.eeprom_bytes if loaded["lbrd0"] & EXTRA_LONG_LOAD else EXTRA_LONG_FROM
    )
    return Draft(
        profile, part, loaded, image[profile.eeprom_bytes :].rstrip(b"\xff"), guesses | _memory(), tuple(notes)
    )


def _cut_off(image: bytes, profile: Profile, *, reads: int) -> dict[str, str]:
    """Dwords at the end of what the chip reads that are all ones: a file that was cut and filled up has them.

    One alone may be meant.
    """
    end = len(image[: min(reads, len(image))].rstrip(b"\xff"))
    blank = [entry.name for entry in entries(profile) if end <= entry.at < reads]
    return dict.fromkeys(blank, f"all ones from {end:#x} on: was the file cut off?") if len(blank) > 1 else {}


def _memory() -> dict[str, str]:
    return {"memory": "what answers on the local bus is in no dump: plain memory stands for it"}


def _chip_of_image(image: bytes, chip: str | None, guesses: dict[str, str]) -> Profile:
    vendor, device = dword_at(image, 0) & 0xFFFF, dword_at(image, 0) >> 16
    if chip is not None:
        return _asked(chip, vendor, device, guesses)
    if vendor == PLX and device in DEVICES:
        return _known(device, guesses)
    hot_swap = dword_at(image, 0x54)
    if len(image) >= PROFILES["9056"].eeprom_bytes and dword_at(image, 0x5C) & 0xFF == 1 and hot_swap & 0xFF == 6:
        guesses["chip"] = "a power management capability is loaded: a 9056, 9656 or 8311; --chip says which"
        return PROFILES["9056"]
    if hot_swap & 0xFFFF == 0x4C06:
        guesses["chip"] = "a hot swap capability is loaded, and no power management: a 9054"
        return PROFILES["9054"]
    raise BadDump(
        f"the card calls itself {vendor:04x}:{device:04x}, which says nothing of its chip; say it with --chip, "
        f"one of {', '.join(PROFILES)}: it is printed on the chip"
    )


def _asked(chip: str, vendor: int, device: int, guesses: dict[str, str]) -> Profile:
    """The chip that was asked for; said if the card calls itself another."""
    profile = profile_of(chip)
    own = DEVICES.get(device) if vendor == PLX else None
    if own not in (None, profile.key, *({"9056"} if profile.key == "8311" else ())):
        guesses["chip"] = f"--chip {profile.key}, although the card calls itself a {own} ({vendor:04x}:{device:04x})"
    return profile


def _known(device: int, guesses: dict[str, str]) -> Profile:
    if device == 0x9056:
        guesses["chip"] = "a PEX 8311's endpoint calls itself 9056 too: --chip 8311 if it is a PCI Express card"
    return PROFILES[DEVICES[device]]


# -- from configuration space ----------------------------------------------------------------------------------------


def from_card(card: Card, chip: str | None = None) -> Draft:
    """Take what configuration space says: local addresses are not in it. Raises: BadDump, NoSuchChip."""
    guesses = _memory()
    profile = _chip_of_card(card, chip, guesses)
    values: dict[str, int] = {}
    _identity(card, values, guesses)
    _spaces(card, profile, values, guesses)
    _capabilities(card, profile, values)
    blank = {entry.name: value for entry, value in loaded_dwords(profile, build_image(profile, {}, size=512))}
    for entry in entries(profile):
        if entry.name not in values and entry.name not in guesses:
            guesses[entry.name] = "not in configuration space: as without an EEPROM"
    part = EepromPart.C93CS46 if profile.short_load else EepromPart.C93CS56
    guesses["part"] = f"not in configuration space: taken for a {part.name}"
    notes = (f"card: {card.ids} in slot {card.slot}",) if card.slot else ()
    return Draft(profile, part, blank | values, b"", guesses, notes)


def _chip_of_card(card: Card, chip: str | None, guesses: dict[str, str]) -> Profile:
    if chip is not None:
        return _asked(chip, card.vendor, card.device, guesses)
    if card.vendor == PLX and card.device in DEVICES:
        return _known(card.device, guesses)
    window = card.sizes.get(0)
    if window is not None and window not in REGISTER_WINDOWS:
        raise BadDump(
            f"BAR0 has {window} bytes, and the chips of the family show their registers in "
            f"{' or '.join(map(str, sorted(REGISTER_WINDOWS)))}: if it is one of them, say which with --chip"
        )
    status, knows_status = card.value(0x06, 2), card.knows(0x06, 2)
    if window == PROFILES["9056"].register_window or (knows_status and status & _MHZ66):
        key = "9056"
        guesses["chip"] = "512 bytes of registers or 66 MHz: a 9056, 9656 or 8311; --chip says which"
    elif knows_status:
        key = "9054" if status & _CAPABILITIES else "9080"
        guesses["chip"] = f"33 MHz, and {'a' if status & _CAPABILITIES else 'no'} list of capabilities: a {key}"
    else:
        raise BadDump(
            f"the card calls itself {card.ids}, which says nothing of its chip; "
            f"say it with --chip, one of {', '.join(PROFILES)}: it is printed on the chip"
        )
    return PROFILES[key]


def _identity(card: Card, values: dict[str, int], guesses: dict[str, str]) -> None:
    values["ids"] = card.value(0x00, 4)
    for name, at, what in (("class_revision", 0x08, "class and revision"), ("subsystem", 0x2C, "subsystem IDs")):
        if any(card.known[at : at + 4]):
            values[name] = card.value(at, 4)
        if not card.knows(at, 4) and any(card.known[at : at + 4]):
            guesses[name] = f"{what}: only in part in the dump"
    if card.knows(0x3D, 1):
        # The interrupt line is firmware's.
        values["latency_interrupt"] = card.value(0x3C, 4) & ~0xFF
        guesses["latency_interrupt"] = "the interrupt line is firmware's: left 0"


def _spaces(card: Card, profile: Profile, values: dict[str, int], guesses: dict[str, str]) -> None:
    """Spaces from BARs: kinds and sizes are the card's, local addresses are guessed."""
    bars = _SPACE_BARS
    has_misc = profile.key != "9080"
    if has_misc and not card.has_bar(1):
        values["misc"] = _misc(profile) & ~((_IO_BAR | _SHIFT) << _LMISC1)
        guesses["misc"] = "BAR1 is off (LMISC1 bit 0 clear); the rest as without an EEPROM"
    elif has_misc and (not card.bar(1) & 1 or card.sizes.get(1, IO_WINDOW) != IO_WINDOW):
        values["misc"] = _misc(profile) & ~(_IO_BAR << _LMISC1) | _SHIFT << _LMISC1
        guesses["misc"] = "BAR1 is no register window: LMISC1 bits 1:0 are 2, spaces move down"
        bars = (1, 2)
    free = 0
    for space, index in enumerate(bars):
        size, kind = _size(card, index, space, guesses), card.bar(index) & 0xF
        if not size:
            values[f"las{space}ba"] = 0
            continue
        kind = 1 if kind & 1 else kind
        size = max(size, 4 if kind & 1 else 16)
        base = -(-free // size) * size
        if base + size > 1 << 32:
            base = 0
        free = base + size
        values[f"las{space}rr"] = -size & 0xFFFF_FFFF | kind
        values[f"las{space}ba"] = base | 1
        guesses[f"las{space}ba"] = "local address (remap) guessed: configuration space does not have it"
    if size := _rom_size(card, guesses):
        values["eromrr"] = -max(size, 2 * KIB) & 0xFFFF_FFFF
        guesses["eromba"] = "local address of the ROM guessed"


def _misc(profile: Profile) -> int:
    return dword_at(build_image(profile, {}, size=512), 0x20)


def _size(card: Card, index: int, space: int, guesses: dict[str, str]) -> int:
    if index in card.sizes:
        return card.sizes[index]
    if not card.has_bar(index):
        return 0
    usual = IO_WINDOW if card.bar(index) & 1 else GUESSED_SIZE
    size, guesses[f"las{space}rr"] = _by_address(f"BAR{index}", card.bar(index) & ~0xF, usual)
    return size


def _rom_size(card: Card, guesses: dict[str, str]) -> int:
    if card.rom_size is not None or not card.rom_address:
        return card.rom_size or 0
    size, guesses["eromrr"] = _by_address("the expansion ROM", card.rom_address, GUESSED_SIZE)
    return size


def _by_address(what: str, address: int, usual: int) -> tuple[int, str]:
    """Guess a size that an address allows, 0 being none: the size, and what to say of it."""
    most = min(usual, address & -address) if address else usual
    limit = f" (at most {address & -address} by its address {address:#x})" if address else ""
    return most, f"size of {what} guessed: {most} bytes{limit}; 'lspci -v' and sysfs's `resource` have it"


def _capabilities(card: Card, profile: Profile, values: dict[str, int]) -> None:
    for entry in entries(profile):
        if entry.name in ("hot_swap", "pm_capability", "pm_status") and card.knows(entry.register, 4):
            value = card.value(entry.register, 4)
            if entry.name == "hot_swap":
                value &= 0x0030_FFFF  # not the LED, nor what waits for an acknowledgement
            elif entry.name == "pm_status":
                value &= 0xFFFF_6000  # D0, PME# off
            values[entry.name] = value
