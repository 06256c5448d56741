# SPDX-License-Identifier: Apache-2.0
"""A card's configuration space as a file: what lspci prints with -x or -v, or the file `config` of sysfs.

Text with hex lines is exact; text with -v alone has the numbers that lspci puts in words, and the rest is not known.
Sizes of BARs are in no byte of configuration space: -v prints them, and sysfs has them in `resource` beside `config`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plx9x5x.lab.card.config_space import BARS, ROM, ROM_ADDRESS, SIZE
from plx9x5x.lab.dump import bad, orders
from plx9x5x.lab.dump.bad import BadDump
from plx9x5x.lab.dump.eeprom_file import PARTS, SAVED, is_config_space
from plx9x5x.lab.dump.orders import DEVICES
from plx9x5x.model.windows import IO_WINDOW
from plx9x5x.regs.config import PLX
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB

HEADER: Final = 64
RAW_SIZES: Final = (HEADER, SIZE, 4096)
"""Bytes that sysfs gives to a user, to root, and of a PCI Express device."""

REGISTER_WINDOWS: Final = frozenset(profile.register_window for profile in PROFILES.values())
"""Bytes that the chips of the family show their registers in, by BAR0."""

_SLOT: Final = re.compile(r"((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])\s+(.*)")
_HEX: Final = re.compile(r"\s*([0-9a-f]{2,3}):((?: [0-9a-f]{2}){1,16})\s*")
# Of a region that the card itself does not have in its BARs, lspci says '[virtual]' or '[enhanced]' before or behind.
# Mail wraps lines: what stands in brackets may be on the next one.
_REGION: Final = re.compile(
    r"^\s*(?:Region (\d): )?(?:\[\w+\] )?(?:(Memory|I/O ports)|Expansion ROM) at (\S+)"
    r"([^\n]*(?:\n\s*(?:\[(?:size=\w+|disabled|virtual)\]\s*)+$)?)",
    re.MULTILINE,
)
_NAMED: Final = re.compile(r"^\s*(?:Region (\d):|.*Expansion ROM)", re.MULTILINE)
_TYPES: Final = {"low-1M": 2, "64-bit": 4, "type 3": 6}
_QUOTED: Final = re.compile(r"^(?:> ?)+")
_SIZE: Final = re.compile(r"\[size=(\d+)([KMGT]?)\]")
_NUMBERS: Final = re.compile(r"(?:\[|\s|^)([0-9a-f]{4}):([0-9a-f]{4})(?:\]|\s|$)")
_BY_NAME: Final = re.compile(r"PLX Technology, Inc\.?:? +(?:Unknown device|Device|PCI) ?([0-9a-f]{4})\b")
_CLASS: Final = re.compile(r"^(?:Class )?([0-9a-f]{4}):|\[([0-9a-f]{4})\]:")
_REVISION: Final = re.compile(r"\(rev ([0-9a-f]{2})\)")
_PIN: Final = re.compile(r"Interrupt: pin ([A-D])")
_UNITS: Final = {"": 1, "K": KIB, "M": KIB**2, "G": KIB**3, "T": KIB**4}
_IORESOURCE_ROM: Final = 6
"""Line of sysfs's `resource` that is the expansion ROM's; those before are the BARs'."""

_MOST_NAMED: Final = 16


@dataclass(slots=True)
class Card:
    """Configuration space of one device: bytes, which of their bits are known, and sizes of BARs (by number) and ROM.

    A BAR that is known to be off has size 0; one whose size is not known has none. The ROM's likewise.
    """

    slot: str = ""
    image: bytearray = field(default_factory=lambda: bytearray(SIZE))
    known: bytearray = field(default_factory=lambda: bytearray(SIZE))
    sizes: dict[int, int] = field(default_factory=dict)
    rom_size: int | None = None
    in_words: bool = False
    """It was read from lspci's words alone, without a hex line."""
    there: set[int] = field(default_factory=set)
    """BARs that the words name, whether or not an address or a size stands behind."""
    nameless: bool = False
    """There are regions of which nothing says which BAR they are."""

    def put(self, at: int, data: bytes) -> None:
        """Know these bytes; what lies beyond 256 bytes is nothing of PCI."""
        data = data[: max(0, SIZE - at)]
        self.image[at : at + len(data)] = data
        self.known[at : at + len(data)] = b"\xff" * len(data)

    def value(self, at: int, width: int) -> int:
        """Give `width` bytes, little-endian."""
        return int.from_bytes(self.image[at : at + width], "little")

    def knows(self, at: int, width: int) -> bool:
        """Tell whether all of these bytes are known."""
        return all(self.known[at : at + width])

    @property
    def vendor(self) -> int:
        """Vendor ID."""
        return self.value(0x00, 2)

    @property
    def device(self) -> int:
        """Device ID."""
        return self.value(0x02, 2)

    @property
    def ids(self) -> str:
        """Vendor and device, as people say them."""
        return f"{self.vendor:04x}:{self.device:04x}"

    @property
    def is_likely(self) -> bool:
        """Tell whether it calls itself a chip of the family, or shows registers as one does: as memory and in I/O."""
        if self.vendor == PLX and self.device in DEVICES:
            return True
        return self.sizes.get(0) in REGISTER_WINDOWS and self.sizes.get(1) == IO_WINDOW and bool(self.bar(1) & 1)

    def bar(self, index: int) -> int:
        """Give a BAR as it reads."""
        return self.value(BARS[index], 4)

    def has_bar(self, index: int) -> bool:
        """Tell whether there is such a BAR: it has a size, an address or a type, or is named."""
        return self.sizes[index] > 0 if index in self.sizes else self.bar(index) != 0 or index in self.there

    @property
    def rom_address(self) -> int:
        """Address of the expansion ROM, 0 if it has none; bit 0 of its register is an enable."""
        return self.value(ROM, 4) & ROM_ADDRESS


def read(file: Path, slot: str | None = None, ids: int | None = None) -> Card:
    """Read the one card that is meant: that in `slot`, the only one, that of `ids`, or the only one of the family.

    `ids` is the dword at offset 0. Of the family is who says so, or has its BARs of registers.

    Raises: BadDump that says what would do.
    """
    data = bad.content(file)
    text = bad.text(data)
    if text is None:
        return _raw(file, data, slot)
    cards = list(_devices(text, file))
    if slot is not None:
        there = [card.slot for card in cards]
        cards = [card for card in cards if card.slot.endswith(slot) or (card.slot and slot.endswith(f":{card.slot}"))]
        if not cards and any(there):
            raise BadDump(f"{file} has no device in slot {slot}; there are {', '.join(there[:_MOST_NAMED])}")
    if not cards:
        raise BadDump(
            f"{file} has no device{f' in slot {slot}' if slot else ''} with hex lines or numbers; "
            "'lspci -xxxvv -s SLOT', as root, prints what is wanted"
        )
    likely = [card for card in cards if card.is_likely]
    found = cards if len(cards) == 1 else [it for it in cards if it.value(0, 4) == ids] or likely
    if len(found) != 1:
        named = ", ".join(f"{card.slot} ({card.ids})" for card in (likely or cards)[:_MOST_NAMED])
        raise BadDump(f"{file} has {len(cards)} devices; say which one with --slot: {named}")
    if not found[0].knows(0, 4):
        raise BadDump(f"{file} has no IDs in numbers: print it with 'lspci -n' too, or better with -xxx as root")
    if found[0].value(0x00, 4) in (0, 0xFFFF_FFFF):
        raise BadDump(f"{file}: the IDs are {found[0].value(0, 4):08x}: nothing answered when it was read")
    if found[0].image[0x0E] & 0x7F:
        raise BadDump(
            f"{file}: header type {found[0].image[0x0E]:#04x} is a bridge's, and the chips are none: which --slot?"
        )
    if found[0].nameless or (found[0].in_words and not found[0].there):
        raise BadDump(f"{file} does not say which BAR a region is, as 'Region 2:' does: print it with 'lspci -xxxvv'")
    return found[0]


def _raw(file: Path, data: bytes, slot: str | None) -> Card:
    if len(data) not in RAW_SIZES:
        what = f"{file} is neither text nor raw bytes of configuration space: it has {len(data)} bytes"
        if len(data) in PARTS or len(data) in SAVED:
            what += ", as an EEPROM has (--from-eeprom takes that)"
        raise BadDump(f"{what}; a raw configuration space has {', '.join(map(str, RAW_SIZES))}")
    card = Card(slot=file.resolve().parent.name)
    if slot is not None and not card.slot.endswith(slot):
        raise BadDump(f"{file} is raw bytes of one device: --slot {slot} goes with lspci's text, which has several")
    card.put(0, data)
    no_header = card.vendor in (0, 0xFFFF) or data[0x0E] & 0x7F or data[0x3D] > 4
    if no_header or (len(data) in PARTS and not is_config_space(data) and _is_eeprom(data)):
        raise BadDump(
            f"{file} begins with {data[:4].hex(' ')} and is no header of type 0: is it an EEPROM (--from-eeprom)?"
        )
    beside = file.parent / "resource"
    if file.name == "config" and beside.is_file() and beside.stat().st_size:
        _resource(card, bad.text(bad.content(beside)) or "")
    return card


def _is_eeprom(data: bytes) -> bool:
    try:
        orders.told(data)
    except BadDump:
        return False
    return True


def _resource(card: Card, text: str) -> None:
    """Take sizes from sysfs: a line has first address, last address and flags, all 0 where there is nothing."""
    for index, line in enumerate(text.splitlines()[: _IORESOURCE_ROM + 1]):
        try:
            first, last, _ = (int(word, 16) for word in line.split())
        except ValueError:
            continue
        size = last - first + 1 if last else 0
        if size & (size - 1) or not 0 <= size < 1 << 32:
            continue
        if index == _IORESOURCE_ROM:
            card.rom_size = size
        elif index < len(BARS):
            card.sizes[index] = size


# -- lspci's text ----------------------------------------------------------------------------------------------------


def _devices(text: str, file: Path) -> Iterator[Card]:
    """Give each device of a text; one without a line that names its slot is one too."""
    blocks: list[tuple[str, list[str]]] = [("", [])]
    for quoted in text.splitlines():
        line = _QUOTED.sub("", quoted)
        if match := _SLOT.match(line):
            blocks.append((match[1], [match[2]]))
        else:
            blocks[-1][1].append(line)
    for slot, lines in blocks:
        card = Card(slot=slot)
        _hex(card, lines, file)
        if card.knows(0, HEADER):
            _regions(card, "\n".join(lines))
            yield card
        elif slot and lines and any(line.strip().startswith(("Flags:", "Control:")) for line in lines):
            _words(card, lines[0], "\n".join(lines[1:]))
            _regions(card, "\n".join(lines))
            yield card


def _hex(card: Card, lines: list[str], file: Path) -> None:
    """Take hex lines. Raises: BadDump if they are not one behind the other from 0."""
    until = 0
    for line in lines:
        if match := _HEX.fullmatch(line):
            at, data = int(match[1], 16), bytes.fromhex(match[2])
            if at != until:
                raise BadDump(f"{file}: the hex line {line.strip()!r} is out of place: {until:02x} is the next")
            card.put(at, data)
            until += len(data)


def _regions(card: Card, text: str) -> None:
    """Take kinds, addresses and sizes of BARs from lspci -v; without a number, by the address."""
    understood: set[int] = set()
    named = [match[1] for match in _NAMED.finditer(text)]
    for match in _REGION.finditer(text):
        number, kind, address, rest = match.groups()
        where = int(address, 16) if re.fullmatch(r"[0-9a-f]{1,16}", address) else None
        if not kind:
            card.rom_size = _size(rest)
            if card.in_words and where:
                card.put(ROM, (where & ROM_ADDRESS).to_bytes(4, "little"))
            continue
        index = int(number) if number else _by_address(card, where)
        if index is None:
            card.nameless = True
            continue
        if index >= len(BARS):
            continue
        understood.add(index)
        if card.in_words:
            low = 1 if kind.startswith("I/O") else _memory_type(rest)
            card.put(BARS[index], ((where or 0) & 0xFFFF_FFF0 | low).to_bytes(4, "little"))
        if size := _size(rest):
            card.sizes[index] = size
    numbered = {int(number) for number in named if number}
    card.there |= understood | {index for index in numbered if index < len(BARS)}
    if numbered and card.sizes:
        # What -vv does not print is not there.
        for index in range(len(BARS)):
            if index not in card.there and card.bar(index) == 0:
                card.sizes[index] = 0
                if card.in_words:
                    card.put(BARS[index], bytes(4))
        if None not in named and not card.value(ROM, 4):
            card.rom_size = 0


def _memory_type(rest: str) -> int:
    """Bits 3:0 of a memory BAR by what stands behind the address, as in '(64-bit, prefetchable)'."""
    type_ = next((bits for words, bits in _TYPES.items() if f"({words}," in rest), 0)
    return type_ | 8 * ("prefetchable" in rest and "non-prefetchable" not in rest)


def _by_address(card: Card, where: int | None) -> int | None:
    if card.in_words or not where:
        return None
    low = where & 0xFFFF_FFF0
    return next((index for index in range(len(BARS)) if card.bar(index) and card.bar(index) & ~0xF == low), None)


def _size(rest: str) -> int | None:
    if match := _SIZE.search(rest):
        size = int(match[1][:12]) * _UNITS[match[2]]
        if 0 < size < 1 << 32 and size & (size - 1) == 0:
            return size
    return None


def _words(card: Card, first: str, rest: str) -> None:
    """Take what lspci -v without -x says in numbers: IDs, class, revision, interrupt pin, subsystem."""
    card.in_words = True
    head, _, _ = first.partition("(rev")
    if ids := _ids(head):
        card.put(0x00, ids)
    if match := _REVISION.search(first):
        card.put(0x08, bytes.fromhex(match[1]))
    if match := _CLASS.search(head):
        card.put(0x0A, bytes.fromhex(match[1] or match[2])[::-1])
    card.put(0x0E, b"\0")
    if match := _PIN.search(rest):
        card.put(0x3D, bytes((ord(match[1]) - ord("A") + 1,)))
    for line in rest.splitlines():
        name, _, said = line.strip().partition(": ")
        if name == "Subsystem" and (ids := _ids(said)):
            card.put(0x2C, ids)


def _ids(text: str) -> bytes | None:
    """Vendor and device as they lie in the header."""
    if numbers := _NUMBERS.findall(text):
        vendor, device = (int(number, 16) for number in numbers[-1])
    elif match := _BY_NAME.search(text):
        vendor, device = PLX, int(match[1], 16)
    else:
        return None
    return vendor.to_bytes(2, "little") + device.to_bytes(2, "little")
