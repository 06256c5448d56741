# SPDX-License-Identifier: Apache-2.0
"""The device's way to the guest's memory, held against what the driver gave it: a `BusMaster` around another.

Nothing is stopped here: the bus does what it would do. Where it refuses an access that is wrong, one finding is told,
and the abort has a cause of its own (`AbortCause.NOT_GIVEN`) for whoever tells of aborts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from plx9x5x.errors import AbortCause, BusAbort
from plx9x5x.findings.place import LastWrite, Seen, Source, Spot
from plx9x5x.ports import BusMaster
from plx9x5x.units import BusAddr
from plx9x5x.witness.diagnosis import Wrong, given_back, look
from plx9x5x.witness.events import Fault, Mistake, WrongAccess
from plx9x5x.witness.ledger import Ledger
from plx9x5x.witness.matching import Matching
from plx9x5x.witness.traffic import Traffic

if TYPE_CHECKING:
    from plx9x5x.witness.memory import Memory
    from plx9x5x.witness.modules import Module

Sources = tuple[Source, ...]


@dataclass(slots=True)
class BusPurpose:
    """What a device is on the bus for.

    `begin` is where the transfer began, None: where the access does. `status` says that the bytes are the device's own
    state in memory (descriptors), not data. `started` is the access that began it all; `whole` is True if that access
    began this very transfer, and not a list of them. `blames` gives for a fault where the driver said so, and what more
    the device has to say of it; if it gives nothing, that is where it was started. `unit` is which of its like parts
    is at work.
    """

    words: str = "the device"
    begin: int | None = None
    status: bool = False
    whole: bool = False
    started: Source | None = None
    blames: Callable[[Fault], Sources] = lambda _: ()
    unit: int | None = None


UNTOLD: Final = BusPurpose(status=True, blames=lambda _: (LastWrite(),))
"""Of a device that does not tell what it is on the bus for.

That an access is in memory which the device was given holds whatever it is for. But what is read or changed too early
is so of data alone: a ring of descriptors is looked at, and filled, while the device works. So where nobody says which
it is, it is not called data. The driver's last write is shown beside: most often it began it.
"""


class WitnessView(Protocol):
    """What the judge needs of the witness."""

    doing: Callable[[], BusPurpose | None]
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

    def module_of(self, spot: Spot | None) -> "Module | None":
        """Whose code an access is."""
        ...

    def accuse(self, mistake: Mistake, given_back: int) -> None:
        """Take what is wrong with memory that was given back by call `given_back`, 0: that never was."""
        ...


class JudgingBus:
    """Guest memory as a watched device masters it."""

    def __init__(self, bus: BusMaster, witness: WitnessView) -> None:
        self._bus: Final = bus
        self._witness: Final = witness
        self._lately: dict[bool, Memory] = {}
        """Where data, and the device's own state, was found to be right the last time: most often it is there again."""

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on."""
        self._judged(self._bus.read_into, address, into, write=False)

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on."""
        self._judged(self._bus.write_from, address, data, write=True)

    def _judged(
        self, access: Callable[[BusAddr, memoryview], None], address: BusAddr, data: memoryview, *, write: bool
    ) -> None:
        witness, length = self._witness, len(data)
        doing = witness.doing() if length and witness.sees() else None
        if doing is None:
            access(address, data)
            return
        started = witness.find(doing.started) if doing.started is not None else None
        wrong = self._look(doing, started, address, length, write=write)
        try:
            access(address, data)
        except BusAbort as abort:
            if wrong is not None:
                abort.cause = AbortCause.NOT_GIVEN
                self._tell(wrong, doing, address, length, write=write, stopped=True)
            witness.traffic.moved(
                address, min(abort.moved, length), doing, write=write, after=witness.matching.last, started=started
            )
            raise
        if wrong is not None:
            self._tell(wrong, doing, address, length, write=write, stopped=False)
        witness.traffic.moved(address, length, doing, write=write, after=witness.matching.last, started=started)

    def _look(self, doing: BusPurpose, started: Spot | None, address: int, length: int, *, write: bool) -> Wrong | None:
        """What is wrong with an access, if anything is."""
        witness = self._witness
        begin = address if doing.begin is None else doing.begin
        lately = self._lately.get(doing.status)
        if (
            lately is not None
            and lately.live
            and lately.start <= begin <= address
            and address + length <= lately.end
            and lately.direction.allows(write=write)
        ):
            return None
        found = look(
            witness.ledger,
            begin,
            address,
            length,
            write=write,
            first_due=witness.matching.first_due,
            module=lambda: witness.module_of(started),
        )
        if isinstance(found, Wrong):
            return found
        if found is not None:
            self._lately[doing.status] = found
        return None

    def _tell(self, wrong: Wrong, doing: BusPurpose, address: int, length: int, *, write: bool, stopped: bool) -> None:
        sources = doing.blames(wrong.fault) or ((doing.started,) if doing.started is not None else ())
        memory = wrong.memory
        if memory is not None:
            if memory.released is not None:
                sources = self._with_release(sources, Seen(memory.released_by, memory.released))
            sources = (*sources, Seen(memory.made_by, memory.made))
        if wrong.hit is not None and wrong.hit is not memory:
            sources = (*sources, Seen(f"what it hits {wrong.hit.made_by}", wrong.hit.made))
        begin = address if doing.begin is None else doing.begin
        translated = self._witness.ledger.translated
        told = WrongAccess(
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
            translated,
            wrong.note,
            unit=doing.unit,
        )
        self._witness.accuse(told, given_back(self._witness.ledger, begin, address, length))

    def _with_release(self, sources: Sources, released: Seen) -> Sources:
        """Put what was done after memory was given back first, then the call: the first one is the mistake."""

        def is_later(source: Source) -> bool:
            spot = self._witness.find(source)
            return spot is not None and spot.seq > released.spot.seq

        later = tuple(source for source in sources if is_later(source))
        return (*later, released, *(source for source in sources if source not in later))
