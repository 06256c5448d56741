# SPDX-License-Identifier: Apache-2.0
"""An EEPROM as a file: raw bytes of a part or of what the vendor's tool saves, or text with offsets and values.

Text: an offset, then values of two, four or eight hex digits (bytes, words, dwords), as `hexdump`, U-Boot and vendors'
monitors print them; whatever follows the values in a line is a remark. Offsets count bytes, or values. A line '*' means
that the line before it repeats. xxd prints a file's bytes, and no numbers, in groups: characters behind them tell it.
"""

import re
from dataclasses import dataclass, replace
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
_LENGTH: Final = re.compile(r"([0-9a-f]{6,8})\s*", re.IGNORECASE)
"""Behind the last line hexdump and od print where the next would begin."""
_FAR: Final = 2 * max(PARTS)
"""No offset from here on is one of a part; it is of something else."""
_MOST_VALUES: Final = 64
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
        orders.check(wanted, data)
        return Found(wanted.turn(data), wanted, ())
    order, image, decided = orders.told(data)
    return Found(image, order, (f"byte order {order.key}, told by {decided} (--order says otherwise)",))


def _wrong_length(file: Path, length: int) -> str:
    what = f"{file} is neither text nor raw bytes of a part's length: it has {length} bytes"
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
    """One line: its offset as printed, its values' digits, number and bytes; without values it says the length alone.

    `star`: a line '*' is before it, and the row before that repeats up to here.
    """

    at: int
    line: str
    shape: str
    """What stands around the offset."""
    digits: int = 0
    count: int = 0
    plain: bytes = b""
    """As printed, from left to right."""
    ordered: bytes = b""
    """In our order, if each value is a number."""
    in_file_order: bool | None = None
    """What a column of characters behind the values says, if anything."""
    star: bool = False


def _sections(text: str, file: Path) -> list[list[_Row]]:
    """Rows of each run that begins at offset 0. Raises: BadDump if there is none."""
    found: list[list[_Row]] = []
    star = False
    for line in text.splitlines():
        if line.strip() == "*":
            star = bool(found)
            continue
        row = _row(line)
        if row is None or not (found or (row.at == 0 and row.count)):
            continue
        if row.at == 0 and row.count:
            found.append([])
        found[-1].append(replace(row, star=star))
        star = False
    if not found:
        raise BadDump(
            f"{file} is text in which no line has offset 0 and values behind it; what can be read: raw bytes, or lines "
            "such as '00: 905410b5 06800000' (values of 2, 4 or 8 hex digits)"
        )
    if star:
        raise BadDump(f"{file} ends with '*', and the offset behind it that says how many lines are alike is missing")
    return found


def _row(line: str) -> _Row | None:
    if match := _LENGTH.fullmatch(line):
        return _Row(int(match[1], 16), line, "")
    if not (match := _LINE.fullmatch(line)):
        return None
    shape = line[: match.start(1)].strip() + "0" + line[match.end(1) : match.start(2)]
    rest, ends = match[2], [0]
    values: list[str] = []
    while (value := _VALUE.match(rest, ends[-1])) and (not values or len(value[1]) == len(values[0])):
        values.append(value[1])
        ends.append(value.end())
    if not values:
        return None
    digits, in_file_order = len(values[0]), None
    for count in range(min(len(values), _MOST_VALUES), 0, -1):
        # Characters may look like one more value.
        in_file_order = _column(bytes.fromhex("".join(values[:count])), digits // 2, rest[ends[count] :])
        if in_file_order is not None:
            del values[count:]
            break
    plain = bytes.fromhex("".join(values))
    # A dword is printed upper word first, as it lies; a word upper byte first, which we keep the other way.
    ordered = bytes(plain[place ^ 1] for place in range(len(plain))) if digits > 2 else plain
    return _Row(int(match[1], 16), line, shape, digits, len(values), plain, ordered, in_file_order)


def _column(plain: bytes, size: int, behind: str) -> bool | None:
    """Tell whether characters behind values are those of the bytes as printed, or of each value's bytes reversed.

    None if there are none, or they could be both.
    """
    characters = behind.strip()
    if len(characters) > 1 and characters[0] + characters[-1] in ("||", "><"):
        characters = characters[1:-1].strip()
    turned = b"".join(plain[at : at + size][::-1] for at in range(0, len(plain), size))
    as_printed, reversed_ = (_characters(data) == characters for data in (plain, turned))
    return None if not characters or as_printed == reversed_ else as_printed


def _characters(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data).strip()


def _best(sections: list[list[_Row]], file: Path, wanted: Order | None) -> Found:
    """Take the one run that is an EEPROM: a monitor prints configuration space in front of it."""
    read: list[Found] = []
    why: BadDump | None = None
    for rows in sections:
        try:
            data, as_printed = _joined(rows, file)
            if not is_config_space(data) and not is_config_space(Order.DWORD_LE.turn(data)):
                notes = ("values are bytes in the order of a file, as the characters behind them say",)
                found = _ordered(data, wanted)
                read.append(replace(found, notes=notes + found.notes) if as_printed else found)
        except BadDump as exc:
            why = why or exc
    if not read:
        raise why or BadDump(f"{file} looks like configuration space, not like an EEPROM: --from-lspci takes that")
    if len({found.image for found in read}) > 1:
        raise BadDump(f"{file} has {len(read)} EEPROMs in it that differ: leave one in")
    return read[0]


def _joined(rows: list[_Row], file: Path) -> tuple[bytes, bool]:
    """Put rows together; tell too whether they are bytes as they lie in a file, as xxd prints them, and not numbers.

    Raises: BadDump if something is missing, twice there and not the same, or too long.
    """
    first = rows[0]
    rows = [row for row in rows if row.digits in (0, first.digits)]
    said = {row.in_file_order for row in rows} - {None}
    as_printed = said == {True}
    size = first.digits // 2
    step = size if len(rows) > 1 and rows[1].at == first.count and size > 1 else 1
    whole, last = bytearray(), b""
    for row in rows:
        at, data = row.at * step, row.plain if as_printed else row.ordered
        missing = at - len(whole)
        if row.star and 0 < missing <= _FAR and missing % len(last) == 0:
            whole += last * (missing // len(last))
        if at == len(whole):
            whole += data
            last = data or last
        # A remark may begin like a row, and another table may follow.
        elif row.shape in ("", first.shape) and at < _FAR and (missing > 0 or whole[at : at + len(data)] != data):
            raise BadDump(
                f"{file}: the line {row.line.strip()[:80]!r} is out of place: the next line would have offset "
                f"{len(whole) // step:#x}; lines are missing, or twice there and not the same"
            )
    if len(whole) < min(SAVED):
        raise BadDump(
            f"{file} has {len(whole)} bytes from offset 0 on, one behind the other; a chip of the family loads "
            f"{' or '.join(map(str, SAVED))}: the next line would have offset {len(whole) // step:#x}"
        )
    if len(whole) > max(PARTS):
        raise BadDump(f"{file} has {len(whole)} bytes, and the largest part holds {max(PARTS)}: is it one EEPROM?")
    return bytes(whole[: len(whole) & ~3]), as_printed
