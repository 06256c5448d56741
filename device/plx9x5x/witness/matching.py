# SPDX-License-Identifier: Apache-2.0
"""Which record belongs to which access that the device got: by content, and as tolerant as the two ways are different.

::

    driver --- ring ------------> records of watched code's accesses           the k-th record
       '------ QEMU, socket ----> accesses, whoever made them; writes posted   is not the k-th access

- An access that no watched code made has no record. It waits a little, and is let go.
- A record whose access never comes is passed over: once a later record of its processor has met its access, for one
  processor's accesses arrive in order; or once more later ones of any have than there are processors.
- QEMU may split an access: a record is met piece by piece.
- The value of a read is not compared: the record comes after the answer and may not have it.
- The record of an IN or OUT comes before the access: that of an IN waits for it as a write's does, and where one has
  met an access, which may be an earlier one of somebody else, nothing follows for the records before.

`first_due` is what judging needs: the oldest write that the driver has made and the device may not have seen.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plx9x5x.findings.place import Spot
from plx9x5x.witness.records import Access, Record

PASSED: Final = 16
"""Later records of other processors that must have met their accesses before one is passed over, at least: more than
there are processors, each of which may stand between an access and its record."""
MOST_GOT: Final = 512
MOST_QUEUES: Final = 2048
"""Offsets with a queue of accesses; of those that wait there are `MOST_GOT`."""
MOST_DUE: Final = 1 << 16
LOOKS: Final = 64
"""Candidates of one offset that are compared."""
UNWATCHED_NS: Final = 100_000_000
"""A write without a record for so long was made by nobody who is watched."""
WRITTEN_MOST: Final = 4096
"""Offsets of one BAR whose last write is remembered."""
WIDEST: Final = 8

_WRITE, _PORT = int(Access.WRITE), int(Access.PORT)
_Key = tuple[int, int, bool]


class _Got(Spot):
    """An access that the device got, and its place: one object, for there is one for each access of the guest.

    `number` is which of all accesses it was, from 1; `at_ns` is when a write came.
    """

    __slots__ = ("at_ns", "gone", "key", "number", "value", "width")

    def __init__(self, key: _Key, width: int, value: int, at_ns: int, number: int) -> None:
        self.pc = self.seq = 0
        self.key, self.width, self.value, self.at_ns, self.number = key, width, value, at_ns, number
        self.gone = False


@dataclass(slots=True, eq=False)
class _Due:
    """The record of a write, or of an IN, whose access has not come, or not all of it."""

    bar: int
    offset: int
    width: int
    value: int
    cpu: int
    spot: Spot
    write: bool
    port: bool
    met: bool = False
    waits: bool = True
    """It is in the table by offset."""


class Matching:
    """The accesses of one device and their records. `overflowed`: more are due than can be kept."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self.clear()

    def clear(self) -> None:
        """Forget all: another client."""
        self.overflowed = False
        self.matched = 0
        self._got: dict[_Key, deque[_Got]] = {}
        self._got_order: deque[_Got] = deque()
        self._due: dict[_Key, deque[_Due]] = {}
        self._due_order: deque[_Due] = deque()
        self._passed_by: dict[int, int] = {}
        """By processor: the newest of its records that has met its access."""
        self._newest: list[int] = []
        """The newest records that met their accesses, `_passed` at most, as a heap."""
        self._passed = PASSED
        self._written: dict[int, dict[int, Spot]] = {}
        self.last: Spot | None = None
        """Of the last access that the device got."""
        self.last_write: Spot | None = None
        self.accesses = 0
        self.met = 0
        """Which of them the last record that met one was of."""

    # -- what the device gets ----------------------------------------------------------------------

    def access(self, bar: int, offset: int, width: int, value: int, *, write: bool) -> Spot:
        """Note an access, before the device has it; give its place, which may be known later."""
        self.accesses += 1
        key = bar, offset, write
        spot = self._meet_due(key, width, value) if key in self._due else None
        if spot is None:
            spot = got = _Got(key, width, value, self._now() if write else 0, self.accesses)
            waiting = self._got.get(key)
            if waiting is None:
                waiting = self._begin(key)
            waiting.append(got)
            order = self._got_order
            order.append(got)
            if len(order) > MOST_GOT:
                self._forget(order.popleft())
        self.last = spot
        if write:
            self.last_write = spot
            written = self._written.setdefault(bar, {})
            for at in range(offset, offset + min(width, WIDEST)):
                written.pop(at, None)
                written[at] = spot
            while len(written) > WRITTEN_MOST:
                del written[next(iter(written))]
        return spot

    def written(self, offset: int, bars: tuple[int, ...]) -> Spot | None:
        """The last write of an offset in any of `bars`; the newest that is known, where there are several."""
        found = None
        for bar in bars:
            spot = self._written[bar].get(offset) if bar in self._written else None
            if spot is not None and (found is None or _newest(spot) > _newest(found)):
                found = spot
        return found

    # -- what the ring brings ----------------------------------------------------------------------

    def record(self, record: Record, bar: int, offset: int) -> bool:
        """Take the record of an access to a BAR; True if all of that has come."""
        write, port = bool(record.flags & _WRITE), bool(record.flags & _PORT)
        if record.cpu + 2 > self._passed:
            self._passed = record.cpu + 2
        key = (bar, offset, write)
        waiting = self._got.get(key)
        if not write and waiting and waiting[0].width == record.width:
            # Most are reads, whole ones, and the first that waits: the way below comes to the same.
            got = waiting.popleft()
            got.gone = True
            order = self._got_order
            while order and order[0].gone:
                order.popleft()
            self.met = got.number
            got.pc, got.seq = record.pc, record.seq
            if self._due_order and not port:
                self._count(record.cpu, record.seq)
            self.matched += 1
            return True
        width, spot = min(record.width, WIDEST), Spot(record.pc, record.seq)
        left = _Due(bar, offset, width, record.a[1], record.cpu, spot, write, port)
        while left.width and (first := self._take_got((bar, left.offset, write), left)) is not None:
            self.met = first.number
            first.pc, first.seq = record.pc, record.seq
            _consume(left, first.width)
        if not left.width:
            self._met(left)
        elif write or port:
            self._wait(left)
        return not left.width

    @property
    def first_due(self) -> int | None:
        """Seq of the oldest write that was made and whose access may still come; None if all have come."""
        order = self._due_order
        while order and self._is_over(order[0]):
            self._drop(order.popleft())
        return order[0].spot.seq if order else None

    # ----------------------------------------------------------------------------------------------

    def _take_got(self, key: _Key, due: _Due) -> _Got | None:
        """The first access that may be (a piece of) this record's."""
        waiting = self._got.get(key)
        if not waiting:
            return None
        oldest = self._now() - UNWATCHED_NS
        while waiting and key[2] and waiting[0].at_ns < oldest:
            waiting.popleft().gone = True
        for at, got in zip(range(LOOKS), waiting, strict=False):
            if got.width <= due.width and (not key[2] or got.value == due.value & _ones(got.width)):
                del waiting[at]
                got.gone = True
                break
        else:
            got = None
        order = self._got_order
        while order and order[0].gone:
            order.popleft()
        return got

    def _begin(self, key: _Key) -> deque[_Got]:
        """Make the queue of an offset. Empty ones stay, for most offsets come again; but not very many."""
        if len(self._got) >= MOST_QUEUES:
            self._got = {it: waiting for it, waiting in self._got.items() if waiting}
        made = self._got[key] = deque()
        return made

    def _forget(self, got: _Got) -> None:
        """Let an access go that nobody watched."""
        if not got.gone:
            got.gone = True
            self._got[got.key].remove(got)

    def _meet_due(self, key: _Key, width: int, value: int) -> Spot | None:
        """Find the record of a write that just came."""
        waiting = self._due.get(key)
        if not waiting:
            return None
        while waiting and self._is_over(waiting[0]):
            waiting.popleft().waits = False
        found = None
        for at, due in zip(range(LOOKS), waiting, strict=False):
            is_it = not key[2] or value & _ones(width) == due.value & _ones(width)
            if is_it and not self._is_over(due) and width <= due.width:
                found = due
                found.waits = False
                del waiting[at]
                break
        if not waiting:
            del self._due[key]
        if found is None:
            return None
        _consume(found, width)
        if found.width:
            found.waits = True
            self._due.setdefault((key[0], found.offset, key[2]), deque()).appendleft(found)
        else:
            self._met(found)
        return found.spot

    def _wait(self, due: _Due) -> None:
        if self.first_due is not None and len(self._due_order) >= MOST_DUE:
            self.overflowed = True
            return
        self._due.setdefault((due.bar, due.offset, due.write), deque()).append(due)
        self._due_order.append(due)

    def _met(self, due: _Due) -> None:
        due.met = True
        self.matched += 1
        order = self._due_order
        while order and order[0].met:
            self._drop(order.popleft())
        if order and not due.port:
            self._count(due.cpu, due.spot.seq)

    def _count(self, cpu: int, seq: int) -> None:
        """A processor's record has met its access: of those that are due, it passes the older ones."""
        if seq > self._passed_by.get(cpu, 0):
            self._passed_by[cpu] = seq
        if len(self._newest) < self._passed:
            heapq.heappush(self._newest, seq)
        elif seq > self._newest[0]:
            heapq.heapreplace(self._newest, seq)

    def _is_over(self, due: _Due) -> bool:
        """True if its access has come, or will not come any more."""
        seq = due.spot.seq
        return (
            due.met
            or seq < self._passed_by.get(due.cpu, 0)
            or (len(self._newest) == self._passed and seq < self._newest[0])
        )

    def _drop(self, due: _Due) -> None:
        """Take it out of the table by offset, if it is still there."""
        key = (due.bar, due.offset, due.write)
        if not due.waits:
            return
        due.waits = False
        waiting = self._due[key]
        waiting.remove(due)
        if not waiting:
            del self._due[key]


def _consume(due: _Due, width: int) -> None:
    """A piece of it has come."""
    due.offset += width
    due.width -= width
    due.value >>= 8 * width


def _newest(spot: Spot) -> int:
    """A place that is not known yet is newer than those that are."""
    return spot.seq if spot.pc else 1 << 64


def _ones(width: int) -> int:
    return (1 << 8 * width) - 1
