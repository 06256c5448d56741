# SPDX-License-Identifier: Apache-2.0
"""A card with a plan of faults: the chip, its channels, and the decorators around what it is given, and gives."""

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from plx9x5x.board import Board
from plx9x5x.chip_faults import kinds as k
from plx9x5x.chip_faults import names
from plx9x5x.chip_faults.channel import FaultyChannel
from plx9x5x.chip_faults.excuse import Excuses
from plx9x5x.events import FaultStruck
from plx9x5x.faults.bus import FaultyBus
from plx9x5x.faults.device import FaultyDevice
from plx9x5x.faults.injector import Injector
from plx9x5x.faults.kinds import INTERRUPT, Occurrence, Strike
from plx9x5x.faults.line import FaultyLine
from plx9x5x.faults.plan import Planned
from plx9x5x.model.chip import Chip
from plx9x5x.model.timing import BusSpeed
from plx9x5x.ports import BusMaster, Clock, IrqLine, NullTrace, TraceSink

SAID: Final = 5
"""Strikes of one fault that are said each; then the 10th, the 100th and so on."""

_LOG: Final = logging.getLogger("plx9x5x.faults")


@dataclass(frozen=True, slots=True)
class FaultyCard:
    """A card: the `device` that a transport serves, and the `chip` in it. `excuses` are what a witness has to tell."""

    device: FaultyDevice
    chip: Chip
    injector: Injector
    excuses: Excuses

    @property
    def parts(self) -> tuple[FaultyDevice, Chip, Excuses]:
        """What whoever serves it needs."""
        return self.device, self.chip, self.excuses


def make(
    plan: Sequence[Planned],
    board: Board,
    *,
    bus: BusMaster,
    irq: IrqLine,
    clock: Clock,
    trace: TraceSink | None = None,
    seed: int = 0,
    speed: BusSpeed | None = None,
    report_aborts: bool = True,
    thorough: bool = False,
    say: Callable[[str], None] = _LOG.warning,
) -> FaultyCard:
    """Make a card that fails by `plan`; `say` gets a line for a strike. The rest is as for `Chip`."""
    sink = trace or NullTrace()
    made: list[Chip] = []
    known = names.places(board.profile)
    excuses = Excuses(sink, withheld=lambda: line.withheld, now=clock.now, name=functools.partial(names.name_at, known))

    def tell(strike: Strike) -> None:
        if strike.kind in _OF_LINE:
            excuses.struck(strike.text)
        sink.emit(FaultStruck(strike.time, strike.number, strike.text, strike.count, strike.where))
        if strike.count <= SAID or str(strike.count).rstrip("0") == "1":
            say(f"fault {strike.number} strikes ({strike.count}): {strike.text} - {strike.where}")

    injector = _Injector(plan, clock=clock, seed=seed, tell=tell, excuses=excuses)
    line = FaultyLine(irq, injector)
    faulty = FaultyBus(bus, injector, functools.partial(_on_bus, made), excuses.spoilt)
    chip = Chip(
        spoilt(board, plan),
        bus=faulty,
        irq=line,
        clock=clock,
        trace=excuses,
        channel=functools.partial(FaultyChannel, injector=injector),
        speed=speed,
        report_aborts=report_aborts,
        thorough=thorough,
    )
    made.append(chip)
    return FaultyCard(FaultyDevice(chip, injector, faulty, line, excuses), chip, injector, excuses)


_OF_LINE: Final = frozenset(kind.name for kind in k.KINDS if kind.stream == INTERRUPT)


class _Injector(Injector):
    """Tells the excuses of each transfer that begins."""

    def __init__(
        self, plan: Sequence[Planned], *, excuses: Excuses, clock: Clock, seed: int, tell: Callable[[Strike], None]
    ) -> None:
        super().__init__(plan, clock=clock, seed=seed, tell=tell)
        self._excuses = excuses

    def see(self, occurrence: Occurrence) -> None:
        self._excuses.begins(occurrence)
        super().see(occurrence)


def _on_bus(made: Sequence[Chip]) -> tuple[int | None, str]:
    """Which channel is on the bus, and what for."""
    for chip in made:
        for channel in chip.channels:
            if channel.purpose is not None:
                return channel.index, channel.purpose.value
    return None, ""


def spoilt(board: Board, plan: Sequence[Planned]) -> Board:
    """The board with its EEPROM as the plan has it."""
    for planned in plan:
        eeprom, name = board.eeprom, planned.kind.name
        if name == k.ABSENT:
            board = replace(board, eeprom=None)
        elif eeprom is not None and name == k.BLANK:
            board = replace(board, eeprom=replace(eeprom, image=b""))
        elif eeprom is not None and name == k.WRONG_WORD:
            image = bytearray(eeprom.image.ljust(eeprom.part.size, b"\xff"))
            at, value = planned.number("", 0), planned.number("=", 0)
            image[at : at + 2] = (value >> 16).to_bytes(2, "little")
            image[at + 2 : at + 4] = (value & 0xFFFF).to_bytes(2, "little")
            board = replace(board, eeprom=replace(eeprom, image=bytes(image)))
    return board
