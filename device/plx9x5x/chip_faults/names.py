# SPDX-License-Identifier: Apache-2.0
"""The registers of a chip by name, for sentences of a plan, and the reader of such sentences."""

from collections.abc import Iterable, Mapping
from typing import Final

from plx9x5x.chip_faults.kinds import KINDS
from plx9x5x.faults.grammar import Sentences
from plx9x5x.faults.kinds import CONFIG, Place
from plx9x5x.faults.plan import Planned
from plx9x5x.regs import catalog
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.profile import Profile

_IO_WINDOW: Final = 0x100
"""BAR1 shows the first registers of BAR0."""


def places(profile: Profile) -> dict[str, Place]:
    """Where each register stands on a chip, by the data book's name; those that valid mode moves, as after a reset."""
    found: dict[str, Place] = {}
    for listed in catalog.on(profile):
        register, width = listed.register, listed.register.width // 8
        if register.shadow:
            continue
        offsets = (register.offset, *register.aliases)
        if listed.space is Space.CONFIG:
            spots = tuple((CONFIG, offset) for offset in offsets)
        else:
            bars = ((0, offset) for offset in offsets)
            spots = (*bars, *((1, offset) for offset in offsets if offset + width <= _IO_WINDOW))
        found[listed.name] = Place(listed.name, spots, width)
    return found


def name_at(known: Mapping[str, Place], bar: int, offset: int) -> str:
    """The register that stands there, or just where that is."""
    found = (place.name for place in known.values() if place.overlap(bar, offset, 1) is not None)
    return next(found, f"BAR{bar}+{offset:#x}")


def reader(profile: Profile) -> Sentences:
    """What reads sentences about this chip."""
    known = places(profile)
    return Sentences(KINDS, lambda name: known.get(name.upper()), known)


def plan(arguments: Iterable[str], profile: Profile) -> tuple[Planned, ...]:
    """Read sentences, and files of them. Raises: FaultPlan."""
    return reader(profile).plan(arguments)
