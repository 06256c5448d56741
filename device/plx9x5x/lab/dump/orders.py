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
from plx9x5x.regs.eeprom_map import dword_at

PLX: Final = 0x10B5
"""The chip maker's vendor ID."""

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
_LAST_CLASS: Final = 0x13
_NO_CLASS: Final = 0xFF
_INTA: Final = 1


class Order(enum.Enum):
    """Which bytes of four in the file are those of a dword as we keep it: upper word first, low byte first."""

    WORD_LE = ("word-le", (0, 1, 2, 3))
    WORD_BE = ("word-be", (1, 0, 3, 2))
    DWORD_LE = ("dword-le", (2, 3, 0, 1))
    DWORD_BE_WORDS = ("half-be", (3, 2, 1, 0))

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
    mask = value & (0xFFFF_FFFC if value & 1 else 0xFFFF_FFF0)
    return mask != 0 and mask == -(mask & -mask) & 0xFFFF_FFFF


def evidence(image: bytes) -> int:
    """Count what makes sense in the first 80 bytes of an image, the IDs most."""
    ids, class_revision, interrupt = (dword_at(image, at) for at in (0x00, 0x04, 0x08))
    vendor, device, base_class = ids & 0xFFFF, ids >> 16, class_revision >> 24
    subsystem = dword_at(image, 0x44) & 0xFFFF
    found = (
        2 * (vendor == PLX),
        vendor == PLX and device in DEVICES,
        0 < base_class <= _LAST_CLASS or base_class == _NO_CLASS,
        interrupt >> 8 & 0xFF == _INTA,
        is_range(dword_at(image, 0x14)),
        is_range(dword_at(image, 0x48)),
        subsystem == PLX,
        subsystem == vendor != 0,
    )
    return sum(found)


def told(data: bytes) -> tuple[Order, bytes]:
    """Find the order of a file's bytes, and give them in ours.

    Raises: BadDump if nothing or everything is in it, or if no order makes clearly more sense than the others.
    """
    if len(set(data)) == 1 and data[0] in (0x00, 0xFF):
        raise BadDump(
            f"every byte is {data[0]:02x}: the part is blank, or was not read (CNTRL bit 28, EEPROM present?)"
        )
    tried = sorted(((evidence(order.turn(data)), order) for order in Order), key=lambda it: it[0], reverse=True)
    (most, order), (second, _) = tried[:2]
    if most < _ENOUGH or most - second < _LEAD:
        raise BadDump(
            f"the file begins with {data[:12].hex(' ')}, and in no byte order do IDs, class, interrupt pin and ranges "
            f"make clearly more sense than in another; say it with --order (here with 10b5:9054): {listed()}"
        )
    return order, order.turn(data)
