# SPDX-License-Identifier: Apache-2.0
"""An EEPROM as a file: raw bytes of a part or of what the vendor's tool saves, or text with offsets and values.

Text: an offset, then values of two, four or eight hex digits (bytes, words, dwords), as `hexdump`, U-Boot and vendors'
monitors print them; whatever follows the values in a line is a remark. Offsets count bytes, or values.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.board import EepromPart
from plx9x5x.lab.dump import bad, orders
from plx9x5x.lab.dump.bad import BadDump
from plx9x5x.lab.dump.orders import Order
from plx9x5x.regs.profile import PROFILES

PARTS: Final = {part.size: part for part in EepromPart}
SAVED: Final = tuple(sorted({profile.eeprom_bytes for profile in PROFILES.values()}))
"""Bytes that the vendor's tool saves: what the chip loads, 58h or 64h."""
CONFIG_SIZES: Final = (64, 4096)
"""Sizes of configuration space that no part has; 256 bytes are a part's too."""

_LINE: Final = re.compile(r"\s*[\[(]?(?:0x)?([0-9a-f]{1,8})h?[\])]?\s*(?:[:=,|]\s*|\s+)(.*)", re.IGNORECASE)
_VALUE: Final = re.compile(r"(?:0x)?([0-9a-f]{8}|[0-9a-f]{4}|[0-9a-f]{2})h?[,;]?(?:\s+|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """What a file held, in our order; `notes` says how it was understood. `image` is as long as the file had bytes."""

    image: bytes
    order: Order
    notes: tuple[str, ...]


def read(file: Path, order: str | None = None) -> Found:
    """Read a file, raw or text. Raises: BadDump that says what is wrong with it and what would do."""
    wanted = orders.named(order) if order is not None else None
    data = bad.content(file)
    text = bad.text(data)
    if text is not None:
        return _best(_sections(text, file), file, wanted)
    if len(data) not in PARTS and len(data) not in SAVED:
        raise BadDump(_wrong_length(file, len(data)))
    if is_config_space(data):
        raise BadDump(f"{file} looks like configuration space, not like an EEPROM: --from-lspci {file}")
    return _ordered(data, wanted)


def _ordered(data: bytes, wanted: Order | None) -> Found:
    if wanted is not None:
        if len(set(data)) == 1 and data[0] in (0x00, 0xFF):
            orders.told(data)  # says that it is blank
        return Found(wanted.turn(data), wanted, ())
    order, image = orders.told(data)
    return Found(image, order, (f"byte order {order.key}, told by the IDs (--order says otherwise)",))


def _wrong_length(file: Path, length: int) -> str:
    what = f"{file} has {length} bytes"
    if length in CONFIG_SIZES:
        what += ", as configuration space has (--from-lspci takes that)"
    parts = ", ".join(f"{size} ({part.name})" for size, part in PARTS.items())
    return (
        f"{what}; an EEPROM has {parts}, and PLX's tool saves {' or '.join(map(str, SAVED))}. "
        "Read the whole part again; what was cut off cannot be guessed"
    )


def is_config_space(data: bytes) -> bool:
    """Header type 0, no BAR4 to CIS, capabilities where the chips have them, INTA#: no EEPROM has all that."""
    header = len(data) >= max(SAVED) and data[0x0E] == 0 and not any(data[0x20:0x2C]) and data[0x3D] == 1
    if not header or data[0x36:0x3C] != bytes(6):
        return False
    return data[0x34] == 0 or (data[0x34] == 0x40 and data[0x40] == 1)


# -- text ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One line's values: their offset as printed, their digits, their number, the bytes in our order."""

    at: int
    digits: int
    count: int
    data: bytes


def _sections(text: str, file: Path) -> list[list[_Row]]:
    """Rows of each run that begins at offset 0. Raises: BadDump if there is none."""
    found: list[list[_Row]] = []
    for line in text.splitlines():
        if not (match := _LINE.fullmatch(line)):
            continue
        row = _row(int(match[1], 16), match[2])
        if row is None:
            continue
        if row.at == 0:
            found.append([])
        if found:
            found[-1].append(row)
    if not found:
        raise BadDump(
            f"{file} is text in which no line has offset 0 and values behind it; what can be read: raw bytes, or lines "
            "such as '00: 905410b5 06800000' (values of 2, 4 or 8 hex digits)"
        )
    return found


def _row(at: int, rest: str) -> _Row | None:
    values: list[str] = []
    place = 0
    while (match := _VALUE.match(rest, place)) and (not values or len(match[1]) == len(values[0])):
        values.append(match[1])
        place = match.end()
    if not values:
        return None
    raw = bytes.fromhex("".join(values))
    if len(values[0]) > 2:
        # A dword is printed upper word first, as it lies; a word upper byte first, which we keep the other way.
        raw = bytes(raw[place ^ 1] for place in range(len(raw)))
    return _Row(at, len(values[0]), len(values), raw)


def _best(sections: list[list[_Row]], file: Path, wanted: Order | None) -> Found:
    """Take the one run that is an EEPROM: a monitor prints configuration space in front of it."""
    read: list[Found] = []
    why: BadDump | None = None
    for rows in sections:
        try:
            data = _joined(rows, file)
            if not is_config_space(data) and not is_config_space(Order.DWORD_LE.turn(data)):
                read.append(_ordered(data, wanted))
        except BadDump as exc:
            why = why or exc
    if not read:
        raise why or BadDump(f"{file} looks like configuration space, not like an EEPROM: --from-lspci takes that")
    if len({found.image for found in read}) > 1:
        raise BadDump(f"{file} has {len(read)} EEPROMs in it that differ: leave one in")
    return read[0]


def _joined(rows: list[_Row], file: Path) -> bytes:
    """Put rows together. Raises: BadDump if something is missing, twice there, or too long."""
    size = rows[0].digits // 2
    by_value = len(rows) > 1 and rows[1].at == rows[0].count and size > 1
    step = size if by_value else 1
    whole = bytearray()
    for row in rows:
        # A remark may begin like a row.
        if row.at * step == len(whole) and row.digits == rows[0].digits:
            whole += row.data
    if len(whole) < min(SAVED):
        raise BadDump(
            f"{file} has {len(whole)} bytes from offset 0 on, one behind the other; a chip of the family loads "
            f"{' or '.join(map(str, SAVED))}: the next line would have offset {len(whole) // step:#x}"
        )
    if len(whole) > max(PARTS):
        raise BadDump(f"{file} has {len(whole)} bytes, and the largest part holds {max(PARTS)}: is it one EEPROM?")
    return bytes(whole[: len(whole) & ~3])
