# SPDX-License-Identifier: Apache-2.0
"""`--fault` of `serve`, `run` and `try`: what it means is the same (docs/faults.md)."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plx9x5x.board import Board
    from plx9x5x.chip_faults.card import FaultyCard
    from plx9x5x.faults.injector import Injector
    from plx9x5x.faults.plan import Planned
    from plx9x5x.model.timing import BusSpeed
    from plx9x5x.ports import BusMaster, Clock, IrqLine, TraceSink

MOST_SEED: Final = (1 << 32) - 1
"""The guest's test driver takes no more."""

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


def add_seed(parser: argparse.ArgumentParser, told: str, *, default: int | None = 0, least: int = 0) -> None:
    """Declare `--seed`, a number from `least` on."""

    def seed(text: str) -> int:
        """Read it. Raises: ArgumentTypeError."""
        if not text.isdecimal() or not least <= int(text) <= MOST_SEED:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {MOST_SEED}")
        return int(text)

    parser.add_argument("--seed", metavar="N", type=seed, default=default, help=told)


class Served:
    """The plan of one served card; without sentences all of it does nothing. Raises: FaultPlan."""

    def __init__(self, arguments: Sequence[str], board: "Board", seed: int) -> None:
        self._seed = seed
        self._plan: tuple[Planned, ...] = ()
        self._injector: Injector | None = None
        if arguments:
            from plx9x5x.chip_faults import names

            self._plan = names.plan(arguments, board)

    def __bool__(self) -> bool:
        return bool(self._plan)

    def make(
        self,
        board: "Board",
        *,
        bus: "BusMaster",
        irq: "IrqLine",
        clock: "Clock",
        trace: "TraceSink",
        speed: "BusSpeed | None",
        report_aborts: bool,
        thorough: bool,
    ) -> "FaultyCard":
        """Make the card, as `Chip` is made."""
        from plx9x5x.chip_faults import card

        made = card.make(
            self._plan,
            board,
            bus=bus,
            irq=irq,
            clock=clock,
            trace=trace,
            seed=self._seed,
            speed=speed,
            report_aborts=report_aborts,
            thorough=thorough,
        )
        self._injector = made.injector
        return made

    def recorded(self, keep: Keep) -> Keep:
        """Have `keep` get what came of the plan too."""
        if not self._plan:
            return keep

        def more(record: dict[str, object]) -> None:
            if self._injector is not None:
                record = {**record, "faults": self._injector.record()}
                # That client is over: a server that ends sums up before it hangs up, and then once more.
                self._injector.restart()
            keep(record)

        return more

    def lines(self) -> list[str]:
        """What is planned, for people."""
        return [f"fault {number} is planned: {planned.text}" for number, planned in enumerate(self._plan, 1)]
