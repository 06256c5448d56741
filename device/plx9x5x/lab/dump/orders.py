# SPDX-License-Identifier: Apache-2.0
"""How the bytes of an EEPROM lie in a file, and which way that is, told by what they would mean.

The part is 16 bits wide and holds the upper word of a dword first. Each order below is its own reverse.

Source: PLX SDK (PlxCm and PlxEep save dwords with the words exchanged: WORD_LE); others are what reading the part word
by word (WORD_BE), or dword by dword through VPD (DWORD_LE), leaves on a little-endian machine.
"""

import enum
from collections.abc import Mapping
from typing import Final

from plx9x5x.lab.dump.bad import BadDump
from plx9x5x.model.windows import range_mask
from plx9x5x.regs.config import PLX
from plx9x5x.regs.eeprom_map import dword_at

DEVICES: Final[Mapping[int, str]] = {
    **dict.fromkeys((0x9080, 0x0401, 0x0860), "9080"),
    **dict.fromkeys((0x9054, 0x1860, 0xC860, 0x5406), "9054"),
    **dict.fromkeys((0x9056, 0x5601, 0x56C2), "9056"),
    **dict.fromkeys((0x9656, 0x9601, 0x96C2), "9656"),
    **dict.fromkeys((0x8311, 0x86E1), "8311"),
}
"""Chip by device ID, of the chip maker's own. Source: PLX SDK (what its drivers bind to)."""

_ENOUGH: Final = 4
_LEAD: Final = 2
_MUCH: Final = 4
_LAST_CLASS: Final = 0x13
_NO_CLASS: Final = 0xFF
_INTA: Final = 1


class Order(enum.Enum):
    """Which bytes of four in the file are those of a dword as we keep it: upper word first, low byte first."""

    WORD_LE = ("word-le", (0, 1, 2, 3))
    WORD_BE = ("word-be", (1, 0, 3, 2))
    DWORD_LE = ("dword-le", (2, 3, 0, 1))
    HALF_BE = ("half-be", (3, 2, 1, 0))

    @property
    def key(self) -> str:
        """As the option says it."""
        return self.value[0]

    @property
    def example(self) -> str:
        """How a 9054's IDs, 10b5:9054, lie in such a file."""
        return self.turn(b"\x54\x90\xb5\x10").hex(" ")

    def turn(self, data: bytes) -> bytes:
        """Give bytes of a file in the order that we keep, or the other way round; a multiple of four."""
        places = self.value[1]
        return bytes(data[at + place] for at in range(0, len(data), 4) for place in places)


ORDERS: Final = {order.key: order for order in Order}


def listed() -> str:
    """Every order with its example, for a message."""
    return "; ".join(f"{order.key} ({order.example})" for order in Order)


def named(key: str) -> Order:
    """Give an order by its name. Raises: BadDump that lists them."""
    if key not in ORDERS:
        raise BadDump(f"no order is called {key!r}; there are, each with how 10b5:9054 lies in it: {listed()}")
    return ORDERS[key]


def is_range(value: int) -> bool:
    """Tell whether a LASnRR makes sense: ones from bit 31 down to the size, then zeros, whatever the type bits say."""
    mask = range_mask(value)
    return mask != 0 and mask == -(mask & -mask) & 0xFFFF_FFFF


def evidence(image: bytes) -> Mapping[str, int]:
    """Count what makes sense in the first 80 bytes of an image, by name; the IDs count most."""
    ids, class_revision, interrupt = (dword_at(image, at) for at in (0x00, 0x04, 0x08))
    vendor, device, base_class = ids & 0xFFFF, ids >> 16, class_revision >> 24
    subsystem = dword_at(image, 0x44) & 0xFFFF
    return {
        "IDs": 2 * (vendor == PLX) + (vendor == PLX and device in DEVICES),
        "class": 0 < base_class <= _LAST_CLASS or base_class == _NO_CLASS,
        "interrupt pin": interrupt >> 8 & 0xFF == _INTA,
        "ranges": is_range(dword_at(image, 0x14)) + is_range(dword_at(image, 0x48)),
        "subsystem vendor": (subsystem == PLX) + (subsystem == vendor != 0),
    }


def _tried(data: bytes) -> list[tuple[int, Order, Mapping[str, int]]]:
    """Every order, that which makes the most sense first. Raises: BadDump if nothing or everything is in the part."""
    if len(set(data)) == 1 and data[0] in (0x00, 0xFF):
        raise BadDump(
            f"every byte is {data[0]:02x}: the part is blank, or was not read (CNTRL bit 28, EEPROM present?)"
        )
    found = [(order, evidence(order.turn(data))) for order in Order]
    return sorted(((sum(signs.values()), order, signs) for order, signs in found), key=lambda it: it[0], reverse=True)


def told(data: bytes) -> tuple[Order, bytes, str]:
    """Find the order of a file's bytes; give it, the bytes in ours, and what decided.

    Raises: BadDump if nothing or everything is in it, or if no order makes clearly more sense than the others.
    """
    (most, order, signs), (second, _, others) = _tried(data)[:2]
    if most < _ENOUGH or most - second < _LEAD:
        raise BadDump(
            f"the file begins with {data[:12].hex(' ')}, and in no byte order do IDs, class, interrupt pin and ranges "
            f"make clearly more sense than in another; say it with --order (here with 10b5:9054): {listed()}"
        )
    decided = ", ".join(name for name, count in signs.items() if count > others[name])
    return order, order.turn(data), decided


def check(wanted: Order, data: bytes) -> None:
    """Raises: BadDump if nothing or everything is in it, or if it makes much less sense so than in another order."""
    tried = _tried(data)
    most, order, signs = tried[0]
    own, ours = next((count, signs) for count, order, signs in tried if order is wanted)
    if most >= _ENOUGH and most - own >= _MUCH:
        more = ", ".join(name for name, count in signs.items() if count > ours[name])
        raise BadDump(
            f"read in the order {wanted.key}, the file makes much less sense than in the order {order.key} ({more}); "
            f"leave --order out, or say another: {listed()}"
        )
