# SPDX-License-Identifier: Apache-2.0
"""A board is a value behind the bridge: IDs by its EEPROM, memory by its windows.

Boards register under the entry-point group `plx9x5x.boards`, so another distribution adds one without touching ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from plx9x5x.errors import SetupError, UsageError
from plx9x5x.ports import LocalBusTarget
from plx9x5x.units import LocalAddr

BOARD_GROUP: Final = "plx9x5x.boards"


@dataclass(frozen=True, slots=True)
class Window:
    """A peripheral on the local bus. `target` builds a fresh one for each chip, so that two servers share nothing."""

    name: str
    local_base: LocalAddr
    target: Callable[[], LocalBusTarget]


@dataclass(frozen=True, slots=True)
class Board:
    """Everything behind the bridge. `eeprom` is the image that the chip loads; None is an empty socket."""

    name: str
    summary: str
    eeprom: bytes | None
    windows: tuple[Window, ...]


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=BOARD_GROUP)}


def board_names() -> tuple[str, ...]:
    """Names of every registered board, sorted."""
    return tuple(sorted(_installed()))


def load_board(name: str) -> Board:
    """Give the board registered as `name`.

    Raises: UsageError if there is none; SetupError if what is registered is no board.
    """
    entry = _installed().get(name)
    if entry is None:
        raise UsageError(f"no board is named {name!r}; there are: {', '.join(board_names()) or 'none'}")
    board = entry.load()
    if not isinstance(board, Board):
        raise SetupError(
            f"entry point {entry.name} = {entry.value} is not a plx9x5x.board.Board",
            hint="mend the package that registers it",
        )
    return board
