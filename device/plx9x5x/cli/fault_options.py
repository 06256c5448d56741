# SPDX-License-Identifier: Apache-2.0
"""`--fault` of `serve`, `run` and `try`: what it means is the same (docs/faults.md)."""

import argparse
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from plx9x5x.board import Board
    from plx9x5x.chip_faults.card import FaultyCard
    from plx9x5x.faults.injector import Injector

_MOST_SEED: Final = 1 << 64

Keep = Callable[[dict[str, object]], None]


def add(parser: argparse.ArgumentParser) -> None:
    """Declare it."""
    parser.add_argument(
        "--fault",
        metavar="PLAN",
        action="append",
        default=[],
        help="let the card fail by plan: a sentence, as 'channel 0: master abort at transfer 7', or a file of them; "
        "again for more ('plx9x5x faults' lists the kinds)",
    )


def seed(text: str) -> int:
    """Read an argument: what chance begins with. Raises: ArgumentTypeError."""
    if not text.isdecimal() or not int(text) < _MOST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 on")
    return int(text)


class Served:
    """The plan of one served card; without sentences all of it does nothing. Raises: FaultPlan."""

    def __init__(self, arguments: Sequence[str], board: "Board", seed: int) -> None:
        self._seed = seed
        self._plan: tuple[Any, ...] = ()
        self._injectors: list[Injector] = []
        if arguments:
            from plx9x5x.chip_faults import names

            self._plan = names.plan(arguments, board)

    def __bool__(self) -> bool:
        return bool(self._plan)

    def make(self, board: "Board", **options: Any) -> "FaultyCard":
        """Make the card; `options` are the chip's."""
        from plx9x5x.chip_faults import card

        made = card.make(self._plan, board, seed=self._seed, **options)
        self._injectors.append(made.injector)
        return made

    def recorded(self, keep: Keep) -> Keep:
        """Have `keep` get what came of the plan too."""
        if not self._plan:
            return keep

        def more(record: dict[str, object]) -> None:
            with contextlib.suppress(IndexError):
                record = {**record, "faults": self._injectors[-1].record()}
            keep(record)

        return more

    def lines(self) -> list[str]:
        """What is planned, for people."""
        return [f"fault {number} is planned: {planned.text}" for number, planned in enumerate(self._plan, 1)]
