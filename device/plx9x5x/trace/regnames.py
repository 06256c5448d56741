# SPDX-License-Identifier: Apache-2.0
"""What an access to registers was, by the names of the tables.

::

    DMACSR0=0x13 enable=1 start=1 done=1        a whole register; fields that are 0 are left out
    INTCSR[15:8]=0x1 pci_enable=1               one of its bytes
    DMASIZ0[15:0]=0x2000 count[15:0]=0x2000     of a field that is wider, the bits that were accessed
    DMACSR0=0x11 enable=1 done=1, DMACSR1=0x10 done=1       several registers at once, lowest address first
    DMATHR=0x0                                  all fields are 0
    BIGEND=0x80 dma0=1, LMISC1=0x100 ...        bits that no field of this chip has: `unknown=0x...`
    no register                                 this chip has none there

Each offset has one name, that of its register after a reset: MARBR at 0xAC too, MBOX0 while it is the inbound queue's
port, and the DMA registers that valid mode moves keep theirs.
"""

import functools
from collections.abc import Iterator
from typing import Final

from plx9x5x import events
from plx9x5x.regs import catalog
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.kernel import Register
from plx9x5x.regs.profile import Profile

CACHED: Final = 4096
"""Texts that are kept: a driver that polls sees few values, one that counts must not grow the process."""

NO_REGISTER: Final = "no register"


class RegisterNames:
    """Names the registers of one chip."""

    def __init__(self, profile: Profile) -> None:
        self._chip: Final = profile.chip
        self._bytes: Final[dict[Space, dict[int, tuple[type[Register], int]]]] = {space: {} for space in Space}
        """By byte of each space: the register there, and where it begins."""
        for listed in catalog.on(profile):
            register = listed.register
            if register.shadow:
                continue
            for start in (register.offset, *register.aliases):
                places = range(start, start + register.width // 8)
                self._bytes[listed.space].update(dict.fromkeys(places, (register, start)))
        self.text: Final = functools.lru_cache(maxsize=CACHED)(self._text)
        """Text of (space, offset, width, value), widths in bytes."""

    def of(self, access: events.RegionAccess) -> str:
        """Name what was accessed; the caller has seen that registers answered."""
        space = Space.CONFIG if access.bar < 0 else Space.LOCAL
        return self.text(space, access.offset, access.width, access.value)

    def _text(self, space: Space, offset: int, width: int, value: int) -> str:
        found = dict.fromkeys(
            self._bytes[space][at] for at in range(offset, offset + width) if at in self._bytes[space]
        )
        return ", ".join(self._one(register, start, offset, width, value) for register, start in found) or NO_REGISTER

    def _one(self, register: type[Register], start: int, offset: int, width: int, value: int) -> str:
        """Describe that part of a register, which begins at `start`, that the access reached."""
        low = 8 * max(0, offset - start)
        high = 8 * min(register.width // 8, offset + width - start) - 1
        ahead = 8 * max(0, start - offset)
        part = value >> ahead & (1 << high - low + 1) - 1
        whole = high - low + 1 == register.width
        name = register.__name__ if whole else f"{register.__name__}[{high}:{low}]"
        return " ".join((f"{name}={part:#x}", *self._fields(register, low, high, part << low)))

    def _fields(self, register: type[Register], low: int, high: int, raw: int) -> Iterator[str]:
        """Give the fields in bits `high` to `low`, those that are not 0; `raw` has 0 in all other bits."""
        for field in register.fields_on(self._chip):
            if raw & field.mask:
                if field.lo < low or field.hi > high:
                    # Of an address a part is bits of it: counted as the register's.
                    first = 0 if field.address else field.lo
                    top, bottom = min(field.hi, high) - first, max(field.lo, low) - first
                    value = (raw & field.mask) >> field.lo >> max(field.lo, low) - field.lo
                    yield f"{field.name}[{top}:{bottom}]={value:#x}"
                else:
                    yield f"{field.name}={field.shown(raw)}"
            raw &= ~field.mask
        if raw:
            yield f"unknown={raw:#x}"
