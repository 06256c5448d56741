# SPDX-License-Identifier: Apache-2.0
"""What the device moved, beside what the driver's own code touched of the same bytes, and when it synced them.

A *window* is the time between two accesses of the driver. In the window after access S the driver's code touched bytes
that the device moved in the same window, or moved later by a transfer that had been started by then: it cannot have
known that the device was done. Unless it heard of it by memory or by the interrupt:

- it polled (one address again and again), or looked at a word of coherent memory;
- it touched what the device keeps its own state in there (`status`: descriptors, counts written back);
- the device interrupted in that window.

Such a window is nobody's fault. Source of the rules for streaming memory: Linux core-api/dma-api-howto.rst.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from plx9x5x.findings.place import Seen, Source, Spot
from plx9x5x.witness.events import Mistake, NotSynced, Touched
from plx9x5x.witness.ledger import Ledger
from plx9x5x.witness.memory import Direction, Held, Memory
from plx9x5x.witness.records import Record, Touch

MOVES: Final = 256
"""Runs of bytes that are remembered, over all windows."""
TOUCHES: Final = 64
"""Of one window; more are not looked at."""
STORES: Final = 1024
WORD: Final = 8
"""Bytes: a touch of coherent memory that is no longer may be a look at a status word."""


@dataclass(slots=True)
class _Move:
    """Bytes that the device wrote or read.

    `after` is the place of the last access that it had got, `since` of the one that started the transfer, if known.
    """

    after: Spot | None
    since: Spot | None
    write: bool
    status: bool
    start: int
    end: int

    def meets(self, seq: int, span: tuple[int, int]) -> bool:
        """True if it was under way in the window after access `seq`, and moved a byte of the span."""
        if not (span[0] < self.end and self.start < span[1]):
            return False
        after = self.after.seq if self.after is not None else 0
        since = self.since.seq if self.since is not None else 0
        return seq == after or 0 < since <= seq <= (after or seq)


class Traffic:
    """One device's. `syncs` says that the guest's sync calls are recorded; `tell` takes what is wrong."""

    def __init__(self, ledger: Ledger, tell: Callable[[Mistake], None], now: Callable[[], int], *, syncs: bool) -> None:
        self._ledger, self._tell, self._now, self._syncs = ledger, tell, now, syncs
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._moves: deque[_Move] = deque(maxlen=MOVES)
        self._touches: list[Record] = []
        self._before: deque[tuple[Record, tuple[int, int], Memory]] = deque(maxlen=MOVES)
        """What was touched in windows that are over, where nothing excuses it so far."""
        self._stores: deque[tuple[int, int, Spot]] = deque(maxlen=STORES)
        self._round = 0

    # -- the device --------------------------------------------------------------------------------

    def moved(
        self,
        start: int,
        length: int,
        *,
        write: bool,
        status: bool,
        after: Spot | None,
        since: Spot | None,
        doing: str,
        sources: Sequence[Source],
    ) -> None:
        """Note what the device did."""
        if not length:
            return
        end = start + length
        move = _Move(after, since, write, status, start, end)
        if not status:
            for record, span, memory in tuple(self._before):
                self._look(record, span, memory, (move,))
        last = self._moves[-1] if self._moves else None
        if last and last.end == start and (last.after, last.since) == (after, since) and last.write is write:
            last.end, last.status = end, last.status or status
        else:
            self._moves.append(move)
        if write and self._syncs:
            for memory in tuple(self._ledger.live.at(start)):
                if memory.held is Held.MAPPING and memory.direction is not Direction.TO_DEVICE:
                    self._soil(memory, start, end, doing, sources)

    def interrupted(self) -> None:
        """The device asked for the driver: from here on it may know what has been moved."""
        self._moves.clear()

    def wrote_device(self) -> None:
        """The driver wrote a register: what the device does from here on may be another round."""
        self._round += 1

    def _soil(self, memory: Memory, start: int, end: int, doing: str, sources: Sequence[Source]) -> None:
        dirty = memory.dirty
        if dirty is not None and memory.dirty_round == self._round and start <= dirty[1] and dirty[0] <= end:
            memory.dirty = min(dirty[0], start), max(dirty[1], end)
            return
        if dirty is not None and memory.dirty_round != self._round and start < dirty[1] and dirty[0] < end:
            both = (*sources, Seen("mapped", memory.made))
            self._tell(NotSynced(self._now(), None, both, doing, memory, max(start, dirty[0]), min(end, dirty[1])))
            memory.dirty = None
        if memory.dirty is not None and start == memory.dirty[1]:
            memory.dirty = memory.dirty[0], end  # goes on with what it was about
        else:
            memory.dirty, memory.dirty_round = (start, end), self._round

    # -- the driver --------------------------------------------------------------------------------

    def synced(self, record: Record) -> None:
        """Take a SYNC record."""
        for memory in self._ledger.synced(record):
            memory.dirty = None

    def touched(self, record: Record) -> None:
        """Take a TOUCH record; it is judged when its window is over."""
        if self._touches and self._touches[0].a[5] != record.a[5]:
            self.window_over()
        if len(self._touches) < TOUCHES:
            self._touches.append(record)
        start, end = _on_bus(record)
        if record.flags & Touch.WRITE and start < end:
            self._stores.append((start, end, Spot(record.pc, record.seq)))

    def stored(self, address: int) -> Spot | None:
        """Where the driver's code last wrote to memory at a bus address."""
        return next((spot for start, end, spot in reversed(self._stores) if start <= address < end), None)

    def window_over(self) -> None:
        """The driver accessed the device: judge what it touched before."""
        touches, self._touches = self._touches, []
        if not touches or len(touches) >= TOUCHES:
            return
        seq = touches[0].a[5]
        spans = [_on_bus(record) for record in touches]
        if any(record.flags & Touch.POLL for record in touches) or any(
            it.status and it.meets(seq, span) for it in self._moves for span in spans
        ):
            return
        found = list(zip(touches, spans, map(self._memory, spans), strict=True))
        if any(memory is not None and _may_be_status(record, span, memory) for record, span, memory in found):
            return
        for record, span, memory in found:
            if memory is not None and _is_dense(record, span) and not self._look(record, span, memory, self._moves):
                self._before.append((record, span, memory))

    def _look(self, record: Record, span: tuple[int, int], memory: Memory, moves: Iterable[_Move]) -> bool:
        write = bool(record.flags & Touch.WRITE)
        # The driver reads what the device wrote, or writes what the device read.
        seq = record.a[5]
        move = next((it for it in moves if it.write is not write and not it.status and it.meets(seq, span)), None)
        if move is None:
            return False
        started = (Seen("started", move.since),) if move.since is not None else ()
        sources = (
            Seen("changed" if write else "read", Spot(record.pc, record.seq)),
            *started,
            Seen(memory.made_by, memory.made),
        )
        start, end = max(span[0], move.start), min(span[1], move.end)
        self._tell(Touched(self._now(), memory.load, sources, write, memory, start, end))
        return True

    def _memory(self, span: tuple[int, int]) -> Memory | None:
        return next((it for it in self._ledger.live.at(span[0])), None)


def _on_bus(record: Record) -> tuple[int, int]:
    """The bus addresses of what was touched."""
    first, end, _, base, handle = record.a[:5]
    return handle + first - base, handle + end - base


def _may_be_status(record: Record, span: tuple[int, int], memory: Memory) -> bool:
    """True for a look at a word of coherent memory."""
    return memory.held is not Held.MAPPING and not record.flags & Touch.WRITE and span[1] - span[0] <= WORD


def _is_dense(record: Record, span: tuple[int, int]) -> bool:
    """True if so many accesses can have touched all of a span, and not only its ends."""
    return 0 < span[1] - span[0] <= record.a[2] * WORD
