# SPDX-License-Identifier: Apache-2.0
"""What a guest's records come to for one card: which code made which access, which memory is the driver's.

Nothing here raises or blocks on what a guest or its QEMU does. Once something was lost, nothing is judged any more
(`blind`), and that is said once.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Final

from plx9x5x.findings.place import Answered, Handler, Here, LastWrite, MasterCall, Seen, Source, Spot, Stored, Written
from plx9x5x.witness.doubts import Doubts
from plx9x5x.witness.events import Mistake
from plx9x5x.witness.judge import UNTOLD, BusPurpose
from plx9x5x.witness.ledger import Ledger
from plx9x5x.witness.log import CallLog
from plx9x5x.witness.matching import Matching
from plx9x5x.witness.modules import Handlers, Module
from plx9x5x.witness.records import GONE, Access, Kind, Record
from plx9x5x.witness.ring import SAW_KERNEL, RingReader
from plx9x5x.witness.traffic import Traffic

BATCH: Final = 128
"""Records between two looks at the clock."""
LOOK_NS: Final = 20_000_000
"""Of the processor's time, for one look at the ring: what a guest records does not keep us here."""
CATCH_UP_NS: Final = 1_000_000_000
"""The same, where an access of the device is to be judged, for which all before it must be known."""
MOST_TOLD: Final = 64
"""Reasons that are said."""
EVERY: Final = 64
"""Accesses between two looks at the ring."""
LAZY_NS: Final = 5_000_000
"""Between two looks while nothing is judged: each costs as much as a few records."""
WAIT_NS: Final = 2_000_000
"""For the record of a write, when a finding is about to be told."""
WAITS_NS: Final = 500_000_000
"""Of one client, together."""
HANDLER_BYTES: Final = 1024
"""Code from a handler's entry on that is taken for the handler's."""
_ACCESS, _WRITE, _PORT = int(Kind.ACCESS), int(Access.WRITE), int(Access.PORT)
_NAP_S: Final = 50e-6
_NO_DIGITS: Final = dict.fromkeys(map(ord, "0123456789"))


class Witness:
    """Of one card. `say` gets the one line that it is blind, `sink` takes the mistakes; `syncs`: calls are recorded.

    `now` is the device's clock, `doing` what it is on the bus for: whoever makes the device sets both, and `loaded`. A
    device that is a `TellsPurpose` (witness/device.py) sets `doing` itself.
    """

    def __init__(
        self,
        ring: RingReader,
        *,
        sink: Callable[[Mistake], None],
        say: Callable[[str], None],
        syncs: bool = False,
        log: CallLog | None = None,
        host_ns: Callable[[], int] = time.monotonic_ns,
        spent_ns: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        self.ring: Final = ring
        self.sink = sink
        self._say, self._log, self._host_ns, self._spent_ns = say, log, host_ns, spent_ns
        self.now: Callable[[], int] = host_ns
        self.doing: Callable[[], BusPurpose | None] = lambda: UNTOLD
        self.loaded: Callable[[], None] = lambda: None
        """Called when a driver is loaded."""
        self.matching: Final = Matching(host_ns)
        self.ledger: Final = Ledger(self.tell, self._time)
        self.doubts: Final = Doubts(self.tell, host_ns)
        self.traffic: Final = Traffic(self.ledger, self.tell, self._time, syncs=syncs)
        self.blind = ""
        """Why nothing is judged any more, in words."""
        self._told_blind: set[str] = set()
        self._bars: list[tuple[int, int, bool]] = []
        self._windows: list[tuple[int, int, int, bool]] = []
        """BAR, base, end, I/O of those that decode something."""
        self._forget()

    def _forget(self) -> None:
        self.blind = ""
        self._handlers = Handlers()
        self._master: Spot | None = None
        self._here: Spot | None = None
        self._write_at_rise: Spot | None = None
        self._config: tuple[int, Spot] | None = None
        """What a driver is about to write of configuration space: offset and place."""
        self._reads = False
        self._waits_left = WAITS_NS
        self._in_vain: Spot | None = None
        """What was waited for last, and did not come: it is most likely of code that nobody watches."""
        self._draining = False
        self._since = 0
        self._looked_ns = 0
        self.behind = False
        """More has been recorded than the last look took."""

    def clear(self) -> None:
        """The client is gone, and its guest with it."""
        self._forget()
        self.ledger.clear()
        self.matching.clear()
        self.traffic.clear()
        self.doubts.clear()

    @property
    def bars(self) -> list[tuple[int, int, bool]]:
        """Base, size, I/O of each BAR."""
        return self._bars

    @bars.setter
    def bars(self, found: list[tuple[int, int, bool]]) -> None:
        self._bars = found
        self._windows = [(bar, base, base + size, io) for bar, (base, size, io) in enumerate(found) if size]

    def _time(self) -> int:
        return self.now()

    # -- the ring ----------------------------------------------------------------------------------

    def drain(self, most_ns: int = LOOK_NS) -> bool:
        """Take what has been recorded by now, in so much of the processor's time; False if some is left."""
        self._since = 0
        if self._draining or self.ring.is_idle:
            return True
        self._draining = True
        try:
            self.behind = not self._drain(most_ns)
        finally:
            self._draining = False
        if self._log is not None:
            self._log.flush()
        self._look_for_gaps()
        return not self.behind

    def stepped(self) -> None:
        """The device is about to work: look at the ring, if that is due. What is judged has a look of its own."""
        if self.behind or self.doubts.any or self._host_ns() - self._looked_ns >= LAZY_NS:
            self._looked_ns = self._host_ns()
            self.drain()
        self.doubts.stepped()

    def _drain(self, most_ns: int) -> bool:
        self._take_all(self.ring.drain(BATCH))
        # What comes from here on is another look's.
        left = self.ring.left
        until = self._spent_ns() + most_ns if left else 0
        while left > 0 and not self.ring.broken:
            if self._spent_ns() >= until:
                return False
            self._take_all(self.ring.drain(min(BATCH, left)))
            left -= BATCH
        return True

    def _look_for_gaps(self) -> None:
        ring = self.ring
        why = (
            ring.broken
            or (f"{ring.lost} records were lost" if ring.lost else "")
            or (f"{ring.unreturned} calls were never seen to return" if ring.unreturned else "")
            or self.ledger.overflowed
            or ("more accesses were made than came" if self.matching.overflowed else "")
        )
        if why:
            self._go_blind(why)

    def _go_blind(self, why: str) -> None:
        if self.blind:
            return
        self.blind = why
        kind = why.translate(_NO_DIGITS)  # what is lost grows from client to client
        if kind not in self._told_blind and len(self._told_blind) < MOST_TOLD:
            self._told_blind.add(kind)
            self._say(f"the witness is blind from here on: {why}; no use of DMA memory is judged")

    def _take_all(self, records: list[Record]) -> None:
        """Take them. Once blind, only what places need: who is loaded, which access is whose."""
        for record in records:
            if record.kind == _ACCESS:
                self._take_access(record)
            else:
                self._take(record)

    def _take(self, record: Record) -> None:
        """Take one that is no access's."""
        blind = bool(self.blind)
        self.doubts.recorded(record)
        match record.kind:
            case Kind.TOUCH:
                self.traffic.touched(record)
                return
            case Kind.MODULE:
                self.ledger.take(record)
                if not record.flags & GONE:
                    self.loaded()
            case Kind.HANDLER:
                self._handlers.enter(record.pc)
                # Who has not come that far does not know by the interrupt what the device did.
                if not blind:
                    self.traffic.window_over(unaware=self._handlers.is_last(record.pc))
                return
            case Kind.IRQ:
                self._take_irq(record)
            case _:
                self._take_call(record, blind=blind)
        if self._log is not None:
            self._log.take(record)

    def _take_call(self, record: Record, *, blind: bool) -> None:
        """Take a call that somebody made for this very device."""
        module = self.ledger.modules.at(record.pc)
        self._handlers.uses(module)
        if record.kind == Kind.CONFIG:
            if module is not None:
                # The call itself, which ends before what it returns to.
                self._config = record.a[0], Spot(record.pc - 1, record.seq)
        elif record.kind == Kind.MASTER:
            # At a function's end it is no call but a jump, and then it returns to the kernel: no place of the driver's.
            self._master = None if module is None else Spot(record.pc, record.seq)
        elif blind:
            pass
        elif record.kind == Kind.SYNC:
            self.traffic.synced(record)
        else:
            self.ledger.take(record)

    def _take_access(self, record: Record) -> None:
        """Take the record of an access."""
        if not self.blind:
            self.traffic.window_over()
        read = 0
        flags, address = record.flags, record.a[0]
        is_port = bool(flags & _PORT)
        for bar, base, end, is_io in self._windows:
            if base <= address < end and is_io is is_port:
                self._handlers.uses(self.ledger.modules.at(record.pc))
                if self.matching.record(record, bar, address - base) and not flags & (_WRITE | _PORT):
                    read = self.matching.met
                break
        self.doubts.accessed(record.cpu, record.seq, read=read)

    def _take_irq(self, record: Record) -> None:
        """Note a handler, if it is a module's own."""
        if record.flags & GONE or record.a[5]:
            return
        for entry in record.a[1:3]:
            module = self.ledger.modules.at(entry) if entry else None
            if module is not None:
                self._handlers.add(module, Spot(entry, record.seq))
                return

    # -- accesses ----------------------------------------------------------------------------------

    def begins(self, bar: int, offset: int, width: int, value: int, *, write: bool) -> None:
        """The device is about to get an access."""
        self._here = self.matching.access(bar, offset, width, value, write=write)
        self._reads = not write
        if write:
            self.traffic.wrote_device()
            self.doubts.wrote(self._here, self.matching.accesses)
        self._since += 1
        if self._since >= EVERY:
            self.drain()

    def configures(self, offset: int) -> None:
        """The device is about to get a write of its configuration space."""
        self.drain()
        config, self._config = self._config, None
        self._here = config[1] if config is not None and config[0] == offset else None

    def ends(self) -> None:
        """The device had it."""
        self._here, self._reads = None, False

    def rises(self) -> None:
        """The device asks for an interrupt: a driver may know what has been done."""
        self._write_at_rise = self.matching.last_write
        self.traffic.interrupted()

    def here(self) -> Spot | None:
        """The place of the access that is under way."""
        return self._here

    # -- what others ask ---------------------------------------------------------------------------

    def sees(self) -> bool:
        """Take what has been recorded; True if an access of the device can be judged."""
        if not self.drain() and not self.blind and not self.drain(CATCH_UP_NS):
            self._go_blind("more is recorded than can be looked at")
        if not self.blind and self.ring.state < SAW_KERNEL:
            self._go_blind(
                "QEMU records nothing"
                if not self.ring.state
                else "the guest's kernel is not where it was expected (nokaslr?)"
            )
        return not self.blind

    def tell(self, mistake: Mistake) -> None:
        """Pass on what is wrong, while anything can be said."""
        if not self.blind:
            self.sink(mistake)

    def accuse(self, mistake: Mistake, given_back: int) -> None:
        """Pass on what is wrong with memory that call `given_back` gave back, 0: none did; now, or once it is sure.

        Places are those of now.
        """
        if given_back <= self.doubts.settled:
            self.tell(mistake)
        elif not self.blind:
            found = ((source.role, self.find(source)) for source in mistake.sources)
            sources = tuple(Seen(role, spot) for role, spot in found if spot is not None)
            self.doubts.add(replace(mistake, load=self.load(), sources=sources), given_back)

    def conclude(self) -> None:
        """Nothing comes any more of this client: say what waits to be said."""
        self.drain()
        self.doubts.conclude()

    def load(self) -> int:
        """Which load of the driver what happens now belongs to."""
        self.drain()
        newest = self.ledger.modules.newest
        last = self.matching.last
        if newest is None or self._reads or last is None:
            return self.ledger.modules.load  # the processor waits for its read: all that it did before is recorded
        return self.ledger.load_of(self.module_of(last))

    def module_of(self, spot: Spot | None) -> Module | None:
        """Whose code an access is, which may have been made just now; of what nobody knows, whoever came last."""
        if spot is not None and not spot.pc:
            self._wait_for(spot)
        modules = self.ledger.modules
        module = modules.at_time(spot.pc, spot.seq) if spot is not None and spot.pc else None
        return module if module is not None else modules.newest

    def _wait_for(self, spot: Spot) -> None:
        """Wait until the record of an access has come: it is made right after the access."""
        if self.ring.state < SAW_KERNEL or self.ring.broken or spot is self._in_vain:
            return
        begin = self._host_ns()
        until = begin + min(WAIT_NS, self._waits_left)
        while not spot.pc and self._host_ns() < until:
            time.sleep(_NAP_S)
            self.drain()
        if not spot.pc:
            self._in_vain = spot
        self._waits_left -= min(self._waits_left, self._host_ns() - begin)

    def find(self, source: Source) -> Spot | None:
        """Where in the driver's code something was done; a place that will be known later is one too."""
        match source:
            case Here():
                return self._here
            case Written():
                return self.matching.written(source.offset, source.bars)
            case LastWrite():
                return self.matching.last_write
            case Answered():
                return self._answer()
            case Stored():
                return self.traffic.stored(source.address, source.most, soon=source.soon)
            case Handler():
                return self._handlers.ran
            case MasterCall():
                return self._master
            case Seen():
                return source.spot

    def _answer(self) -> Spot | None:
        """The last write, if the handler made it since the device asked for it."""
        last, handler = self.matching.last_write, self._handlers.spot
        if last is None or handler is None or last is self._write_at_rise:
            return None
        return last if handler.pc <= last.pc < handler.pc + HANDLER_BYTES else None

    def summary(self) -> dict[str, object]:
        """What the guest's driver did with DMA memory, for programs."""
        return {
            **asdict(self.ledger.counts),
            "live": self.ledger.held,
            "loads": self.ledger.modules.count,
            "accesses": self.matching.accesses,
            "matched": self.matching.matched,
            "blind": self.blind,
            "calls_cut": "" if self._log is None else self._log.trouble,
        }
