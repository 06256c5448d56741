# SPDX-License-Identifier: Apache-2.0
"""The registers of a chip by name, for sentences of a plan, and the reader of such sentences."""

from collections.abc import Iterable, Mapping
from typing import Final

from plx9x5x.board import Board
from plx9x5x.chip_faults.kinds import ABSENT, BLANK, KINDS, WRONG_WORD
from plx9x5x.faults.grammar import Sentences
from plx9x5x.faults.kinds import CONFIG, Place
from plx9x5x.faults.plan import FaultPlan, Planned
from plx9x5x.regs import catalog
from plx9x5x.regs.dma import CHANNELS
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.profile import Profile

_IO_WINDOW: Final = 0x100
"""BAR1 shows the first registers of BAR0."""
_DWORD: Final = 4


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


def reader(board: Board) -> Sentences:
    """What reads sentences about this card."""
    known = places(board.profile)

    def check(planned: Planned) -> None:
        _check(planned, board)

    return Sentences(KINDS, lambda name: known.get(name.upper()), known, units=len(CHANNELS), check=check)


def plan(arguments: Iterable[str], board: Board) -> tuple[Planned, ...]:
    """Read sentences, and files of them. Raises: FaultPlan."""
    return reader(board).plan(arguments)


def _check(planned: Planned, board: Board) -> None:
    """Refuse what cannot befall the EEPROM of this board. Raises: FaultPlan."""
    if planned.kind.name not in (ABSENT, BLANK, WRONG_WORD):
        return
    if board.eeprom is None:
        raise FaultPlan(f"the board {board.name} has no EEPROM")
    at, size = planned.number("", 0), board.eeprom.part.size
    if at % _DWORD or at >= size:
        raise FaultPlan(f"{at:#x} is no dword of the EEPROM: a multiple of {_DWORD}, up to {size - _DWORD:#x}")
