# SPDX-License-Identifier: Apache-2.0
"""Every register of the family in one list, found by name."""

import difflib
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.regs.config import CONFIG_REGISTERS
from plx9x5x.regs.dma import DMA_REGISTERS
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.family import Chips
from plx9x5x.regs.intr import MESSAGING_REGISTERS, RUNTIME_REGISTERS
from plx9x5x.regs.kernel import Register
from plx9x5x.regs.local import LOCAL_REGISTERS
from plx9x5x.regs.profile import PROFILES, Profile


class NoSuchRegister(BadRequest):
    """No register is called that."""


class NoSuchChip(BadRequest):
    """No chip is called that."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A register and where it stands."""

    register: type[Register]
    space: Space

    @property
    def name(self) -> str:
        """The data book's name."""
        return self.register.__name__


CATALOG: Final = (
    *(Listed(reg, Space.CONFIG) for reg in CONFIG_REGISTERS),
    *sorted(
        (
            Listed(reg, Space.LOCAL)
            for reg in (*LOCAL_REGISTERS, *RUNTIME_REGISTERS, *MESSAGING_REGISTERS, *DMA_REGISTERS)
        ),
        key=lambda listed: (listed.register.offset, listed.register.shadow),
    ),
)
"""Configuration space, then BAR0, each by rising offset."""

_ALSO: Final = {"DMAARB": "MARBR"}
"""Second names of registers that show twice."""


def find(name: str) -> Listed:
    """Give the register called `name`, in any case. Raises: NoSuchRegister that names the nearest."""
    wanted = _ALSO.get(name.upper(), name.upper())
    names = {listed.name: listed for listed in CATALOG}
    if wanted in names:
        return names[wanted]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "'plx9x5x regs' lists them"
    raise NoSuchRegister(f"no register is called {name!r}; {hint}")


def on(profile: Profile) -> Iterator[Listed]:
    """Give the registers that one chip has."""
    return (listed for listed in CATALOG if profile.chip in listed.register.chips)


def profile_of(key: str) -> Profile:
    """Give a chip by its number. Raises: NoSuchChip that names those there are."""
    if key not in PROFILES:
        raise NoSuchChip(f"no chip is called {key!r}; there are: {', '.join(PROFILES)}")
    return PROFILES[key]


def chips_text(chips: enum.Flag) -> str:
    """Which chips of the family, in words: 'all', '9054 and later', or their numbers. Raises: TypeError for others."""
    if not isinstance(chips, Chips):
        raise TypeError(f"{chips!r} is no chip of the family")
    words = {Chips.ALL: "all", Chips.SINCE_9054: "9054 and later", Chips.SINCE_9056: "9056 and later"}
    return words.get(chips) or ", ".join(chips.names)
