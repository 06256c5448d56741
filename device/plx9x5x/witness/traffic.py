# SPDX-License-Identifier: Apache-2.0
"""What the device moved, beside what the driver's own code touched of the same bytes, and when it synced them.

A *window* is the time between two accesses of the driver. In the window after access S the driver's code touched bytes
that the device had in hand, without having asked the device in between, so that it cannot have known. They were in hand

- if the device moved them in that window;
- if it moved them later, by a transfer that had been started by then, as a whole (no list of them);
- if the window began and ended with the device at work inside of what was touched, in one and the same list or circle.

Unless it heard of it by memory or by the interrupt, and then the window is nobody's fault:

- it polled (one address again and again), or looked at a word of coherent memory;
- it touched what the device keeps its own state in there (`status`: descriptors, counts written back);
- the device interrupted in that window, unless it is over because the driver's interrupt handler began: then nobody
  knew of the interrupt in there. (A handler may touch memory before it accesses the device.)

Source of the rules for streaming memory: Linux core-api/dma-api-howto.rst.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plx9x5x.findings.place import Seen, Spot
from plx9x5x.witness.events import Fault, Mistake, NotSynced, Touched
from plx9x5x.witness.ledger import Ledger
from plx9x5x.witness.memory import Direction, Held, Memory
from plx9x5x.witness.records import Record, Touch

if TYPE_CHECKING:
    from plx9x5x.witness.judge import BusPurpose

MOVES: Final = 256
"""Runs of bytes that are remembered, over all windows."""
TOUCHES: Final = 64
"""Of one window; more are not looked at."""
STORES: Final = 1024
WORD: Final = 8
"""Bytes: a touch of coherent memory that is no longer may be a look at a status word."""


@dataclass(slots=True, eq=False)
class _Move:
    """Bytes that the device wrote or read.

    `after` is the place of the last access that it had got, `started` of the one that started it all; `whole` if that
    one started this very transfer. `unit` is the part of the device that did. `told`: it has interrupted since.
    """

    after: Spot | None
    started: Spot | None
    whole: bool
    write: bool
    status: bool
    start: int
    end: int
    unit: int | None
    told: bool = False

    def over(self, span: tuple[int, int]) -> bool:
        """True if it moved a byte of the span."""
        return span[0] < self.end and self.start < span[1]

    def is_against(self, touch: "_Touch") -> bool:
        """True if one of the two wrote what the other read; descriptors and counts are no data."""
        return self.write is not touch.write and not self.status

    def meets(self, seq: int, span: tuple[int, int]) -> bool:
        """True if it was under way in the window after access `seq`, and moved a byte of the span."""
        if not self.over(span):
            return False
        after = self.after.seq if self.after is not None else 0
        since = self.started.seq if self.started is not None and self.whole else 0
        return seq == after or 0 < since <= seq <= (after or seq)


@dataclass(slots=True, eq=False)
class _Touch:
    """What was touched; `before` is what the device moved last by then, if that lay inside."""

    record: Record
    span: tuple[int, int]
    memory: Memory
    before: _Move | None = None

    @property
    def write(self) -> bool:
        """The driver wrote."""
        return bool(self.record.flags & Touch.WRITE)


class Traffic:
    """One device's. `syncs` says that the guest's sync calls are recorded; `tell` takes what is wrong."""

    def __init__(self, ledger: Ledger, tell: Callable[[Mistake], None], now: Callable[[], int], *, syncs: bool) -> None:
        self._ledger, self._tell, self._now, self._syncs = ledger, tell, now, syncs
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._moves: deque[_Move] = deque(maxlen=MOVES)
        self._touches: list[Record] = []
        self._before: deque[_Touch] = deque(maxlen=TOUCHES)
        """What was touched in windows that are over, where nothing excuses it so far."""
        self._stores: deque[tuple[int, int, Spot]] = deque(maxlen=STORES)
        self._awaited: deque[tuple[int, Spot, int]] = deque(maxlen=TOUCHES)
        """Addresses, places that a store which is not recorded yet would tell better, and how long they wait."""
        self._round = 0

    # -- the device --------------------------------------------------------------------------------

    def moved(
        self, start: int, length: int, doing: "BusPurpose", *, write: bool, after: Spot | None, started: Spot | None
    ) -> None:
        """Note what the device did."""
        if not length:
            return
        end = start + length
        last = self._moves[-1] if self._moves else None
        if last is not None and not last.told and (last.end, last.after, last.started) == (start, after, started):
            if last.write is write and last.status is doing.status and last.unit == doing.unit:
                last.end = end
                move = last
            else:
                move = _Move(after, started, doing.whole, write, doing.status, start, end, doing.unit)
                self._moves.append(move)
        else:
            move = _Move(after, started, doing.whole, write, doing.status, start, end, doing.unit)
            self._moves.append(move)
        if self._before and not doing.status:
            self._look_back(move)
        if write and self._syncs:
            for memory in tuple(self._ledger.live.at(start)):
                if memory.held is Held.MAPPING and memory.direction is not Direction.TO_DEVICE:
                    self._mark_dirty(memory, start, end, doing)

    def interrupted(self) -> None:
        """The device asked for the driver: from here on it may know what has been moved."""
        for move in reversed(self._moves):
            if move.told:
                break
            move.told = True

    def wrote_device(self) -> None:
        """The driver wrote a register: what the device does from here on may be another round."""
        self._round += 1

    def _look_back(self, move: _Move) -> None:
        """Look whether what the device does now had been touched before, by whom it has not waited for."""
        hit = []
        for touch in self._before:
            if touch.write is move.write:
                continue
            first, end = touch.span
            if first < move.end and move.start < end:
                hit.append((touch, touch.before))
            touch.before = None
        for touch, before in hit:
            across = before is not None and before.started is move.started
            if across or move.meets(touch.record.a[5], touch.span):
                self._before.remove(touch)
                self._accuse(touch, move)

    def _mark_dirty(self, memory: Memory, start: int, end: int, doing: "BusPurpose") -> None:
        dirty = memory.dirty
        if dirty is not None and memory.dirty_round == self._round and start <= dirty[1] and dirty[0] <= end:
            memory.dirty = min(dirty[0], start), max(dirty[1], end)
            return
        if dirty is not None and memory.dirty_round != self._round and start < dirty[1] and dirty[0] < end:
            looked = () if memory.looked is None else (Seen("read", memory.looked),)
            sources = (*looked, *doing.blames(Fault.DIRECTION), Seen("mapped", memory.made))
            span = max(start, dirty[0]), min(end, dirty[1])
            self._tell(NotSynced(self._now(), None, sources, doing.words, memory, *span, unit=doing.unit))
            memory.dirty = None
        if memory.dirty is not None and start == memory.dirty[1]:
            memory.dirty = memory.dirty[0], end  # goes on with what it was about
        else:
            memory.dirty, memory.dirty_round = (start, end), self._round

    # -- the driver --------------------------------------------------------------------------------

    def synced(self, record: Record) -> None:
        """Take a SYNC record."""
        for memory in self._ledger.synced(record):
            memory.dirty = memory.looked = None

    def touched(self, record: Record) -> None:
        """Take a TOUCH record; it is judged when its window is over."""
        if self._touches and self._touches[0].a[5] != record.a[5]:
            self.window_over()
        if len(self._touches) < TOUCHES:
            self._touches.append(record)
        start, end = _on_bus(record)
        if record.flags & Touch.WRITE:
            if start < end:
                self._stores.append((start, end, Spot(record.pc, record.seq)))
                for address, spot, _ in self._awaited:
                    if start <= address < end:
                        spot.pc, spot.seq = record.pc, record.seq
        elif self._syncs:
            for memory in self._ledger.live.at(start):
                memory.looked = Spot(record.pc, record.seq)

    def stored(self, address: int, most: int | None, *, soon: bool = False) -> Spot | None:
        """Where the driver's code last wrote to memory at a bus address, in a piece of at most so many bytes.

        `soon`: what it did in the window that is not over yet counts too, and the place is known then.
        """
        found = next((it for it in reversed(self._stores) if it[0] <= address < it[1]), None)
        unclear = found is None or (most is not None and found[1] - found[0] > most)
        spot = None if found is None or unclear else found[2]
        if not soon:
            return spot
        later = Spot() if spot is None else Spot(spot.pc, spot.seq)
        # The access with which this window began may be recorded last of all.
        self._awaited.append((address, later, 1))
        return later

    def window_over(self, *, unaware: bool = False) -> None:
        """The driver accessed the device, or its handler began: judge what it touched before.

        `unaware`: it has not heard of interrupts in that window.
        """
        if self._awaited:
            self._awaited = deque(((at, spot, left - 1) for at, spot, left in self._awaited if left), maxlen=TOUCHES)
        if not self._touches:
            return
        touches, self._touches = self._touches, []
        if len(touches) >= TOUCHES:
            return
        seq = touches[0].a[5]
        spans = [_on_bus(record) for record in touches]
        unknown = [it for it in self._moves if not it.told]
        moves = self._moves if unaware else unknown
        if any(record.flags & Touch.POLL for record in touches) or any(
            it.status and it.meets(seq, span) for it in moves for span in spans
        ):
            return
        found = [
            _Touch(record, span, memory)
            for record, span in zip(touches, spans, strict=True)
            if (memory := self._memory(span)) is not None
        ]
        if any(_may_be_status(touch) for touch in found):
            return
        for touch in found:
            if not _is_dense(touch):
                continue
            move = _first(it for it in moves if it.is_against(touch) and it.meets(seq, touch.span))
            if move is not None:
                self._accuse(touch, move)
                continue
            last = _first(it for it in reversed(unknown) if it.is_against(touch))
            touch.before = last if last is not None and last.over(touch.span) else None
            self._before.append(touch)

    def _accuse(self, touch: _Touch, move: _Move) -> None:
        record, memory = touch.record, touch.memory
        started = (Seen("started", move.started),) if move.started is not None else ()
        sources = (
            Seen("changed" if touch.write else "read", Spot(record.pc, record.seq)),
            *started,
            Seen(memory.made_by, memory.made),
        )
        start, end = max(touch.span[0], move.start), min(touch.span[1], move.end)
        load = self._ledger.load_of(memory.module)
        self._tell(Touched(self._now(), load, sources, touch.write, memory, start, end, record.a[5], unit=move.unit))

    def _memory(self, span: tuple[int, int]) -> Memory | None:
        return next((it for it in self._ledger.live.at(span[0])), None)


def _first(found: Iterable[_Move]) -> _Move | None:
    return next(iter(found), None)


def _on_bus(record: Record) -> tuple[int, int]:
    """The bus addresses of what was touched."""
    first, end, _, base, handle = record.a[:5]
    return handle + first - base, handle + end - base


def _may_be_status(touch: _Touch) -> bool:
    """True for a look at a word of coherent memory."""
    return touch.memory.held is not Held.MAPPING and not touch.write and touch.span[1] - touch.span[0] <= WORD


def _is_dense(touch: _Touch) -> bool:
    """True if so many accesses can have touched all of a span, and not only its ends."""
    return 0 < touch.span[1] - touch.span[0] <= touch.record.a[2] * WORD
