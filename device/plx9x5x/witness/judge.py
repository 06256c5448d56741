# SPDX-License-Identifier: Apache-2.0
"""The device's way to the guest's memory, held against what the driver gave it: a `BusMaster` around another.

Nothing is stopped here: the bus does what it would do. Where it refuses an access that is wrong, one finding is told,
and the abort has a cause of its own (`AbortCause.NOT_GIVEN`) for whoever tells of aborts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from plx9x5x.errors import AbortCause, BusAbort
from plx9x5x.findings.place import Seen, Source, Spot
from plx9x5x.ports import BusMaster
from plx9x5x.units import BusAddr
from plx9x5x.witness.diagnosis import Wrong, look
from plx9x5x.witness.events import Fault, Mistake, WrongAccess
from plx9x5x.witness.ledger import Ledger
from plx9x5x.witness.matching import Matching
from plx9x5x.witness.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Doing:
    """What a device is on the bus for. `begin` is where the transfer began, None: where the access does.

    `status` says that the bytes are the device's own state in memory (descriptors), not data. `address_from` and
    `length_from` are where the driver said so; `started` is the access that began it, if nothing else comes in between.
    """

    words: str = "the device"
    begin: int | None = None
    status: bool = False
    address_from: tuple[Source, ...] = ()
    length_from: tuple[Source, ...] = ()
    started: Source | None = None


class Knows(Protocol):
    """What the judge needs of the witness."""

    doing: Callable[[], Doing | None]
    """What the device is on the bus for; None for an access that is not a driver's."""
    now: Callable[[], int]

    @property
    def ledger(self) -> Ledger:
        """The guest's memory."""
        ...

    @property
    def matching(self) -> Matching:
        """Its accesses."""
        ...

    @property
    def traffic(self) -> Traffic:
        """What was moved and touched."""
        ...

    def sees(self) -> bool:
        """Take what has been recorded; True if an access can be judged."""
        ...

    def find(self, source: Source) -> Spot | None:
        """Where something was done."""
        ...

    def tell(self, mistake: Mistake) -> None:
        """Take what is wrong."""
        ...


class JudgingBus:
    """Guest memory as a watched device masters it."""

    def __init__(self, bus: BusMaster, witness: Knows) -> None:
        self._bus: Final = bus
        self._witness: Final = witness

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on."""
        self._judged(address, len(into), lambda: self._bus.read_into(address, into), write=False)

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on."""
        self._judged(address, len(data), lambda: self._bus.write_from(address, data), write=True)

    def _judged(self, address: int, length: int, access: Callable[[], None], *, write: bool) -> None:
        witness = self._witness
        doing = witness.doing() if length and witness.sees() else None
        if doing is None:
            access()
            return
        begin = address if doing.begin is None else doing.begin
        wrong = look(witness.ledger, begin, address, length, write=write, first_due=witness.matching.first_due)
        try:
            access()
        except BusAbort as abort:
            if wrong is not None:
                abort.cause = AbortCause.NOT_GIVEN
                self._tell(wrong, doing, begin, address, length, write=write, stopped=True)
            self._moved(doing, address, min(abort.moved, length), write=write)
            raise
        if wrong is not None:
            self._tell(wrong, doing, begin, address, length, write=write, stopped=False)
        self._moved(doing, address, length, write=write)

    def _moved(self, doing: Doing, address: int, length: int, *, write: bool) -> None:
        witness = self._witness
        witness.traffic.moved(
            address,
            length,
            write=write,
            status=doing.status,
            after=witness.matching.last,
            since=witness.find(doing.started) if doing.started is not None else None,
            doing=doing.words,
            sources=doing.address_from,
        )

    def _tell(
        self, wrong: Wrong, doing: Doing, begin: int, address: int, length: int, *, write: bool, stopped: bool
    ) -> None:
        sources = doing.length_from if wrong.fault is Fault.BEYOND_END else doing.address_from
        memory = wrong.memory
        if wrong.fault is Fault.FREED and memory is not None and memory.released is not None:
            sources = (*sources, Seen(memory.released_by, memory.released))
        if memory is not None:
            sources = (*sources, Seen(memory.made_by, memory.made))
        if wrong.hit is not None and wrong.hit is not memory:
            sources = (*sources, Seen(f"what it hits {wrong.hit.made_by}", wrong.hit.made))
        self._witness.tell(
            WrongAccess(
                self._witness.now(),
                None,
                sources,
                wrong.fault,
                doing.words,
                write,
                address,
                length,
                begin,
                memory,
                wrong.hit,
                stopped,
                self._witness.ledger.translated,
                wrong.note,
            )
        )
