# SPDX-License-Identifier: Apache-2.0
"""Guest memory by bus address: an interval map of what the client has mapped; implements `plx9x5x.ports.BusMaster`.

The transport fills it from DMA_MAP and DMA_UNMAP; the model reads and writes through it and never holds a pointer.
A mapping's host memory may vanish as soon as `unmap` or `clear` has returned, so both let go of the view before that.

How an access can fail (the bytes before the failing one have moved):

    no mapping covers the address               MasterAbort; TurnedAway, one of them, if the client offered one
    a write meets a mapping that is read-only   TargetAbort
    a mapping without host memory               Unreachable, a TargetAbort: the client shared no file for the range
                                                (ROM, another device's BAR, RAM that is not share=on); something
                                                decodes it, and we cannot get there
    far memory that does not answer             FarFault, an Unreachable: a file that was truncated, a client that
                                                answers no message

Far memory is reached by a call and not by a pointer. What happens meanwhile may change the mappings, so after each
`piece` of it the next byte is looked up anew.

Units: bytes; addresses are 64-bit and wrap.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from plx9x5x.errors import AbortCause, BusAbort, TargetAbort
from plx9x5x.transport.refusals import MOST, Refusals
from plx9x5x.units import BusAddr

_SPACE: Final = 1 << 64
_LAST: Final = _SPACE - 1
_NOWHERE: Final = memoryview(b"")


WRITE_ONLY: Final = "the client has mapped it for writing alone"


class Unreachable(TargetAbort):
    """The client mapped the range without sharing its memory with us."""

    cause = AbortCause.NO_MEMORY

    def __str__(self) -> str:
        return f"bus address {self.address:#x} is mapped, but the client shares no memory for it (no file descriptor)"


class FarFault(Unreachable):
    """Far memory did not answer; `reason` says why, for people."""

    cause = AbortCause.NO_ANSWER

    def __init__(self, address: BusAddr, *, moved: int, reason: str, nearest: Sequence[tuple[int, int]] = ()) -> None:
        super().__init__(address, moved=moved, nearest=nearest)
        self.reason = reason
        if reason == WRITE_ONLY:
            self.cause = AbortCause.WRITE_ONLY

    def __str__(self) -> str:
        return f"bus address {self.address:#x} is mapped, and cannot be reached: {self.reason}"


class FarMemory(Protocol):
    """Memory behind a call: never raises, and gives the bytes that moved; fewer than asked for is a fault."""

    @property
    def reason(self) -> str:
        """Why the last access fell short."""
        ...

    @property
    def piece(self) -> int:
        """Bytes of one call at most."""
        ...

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset` on."""
        ...

    def write_from(self, offset: int, data: memoryview) -> int:
        """Store `data` from `offset` on."""
        ...


@dataclass(frozen=True, slots=True)
class Far:
    """What a mapping has instead of a view: `memory` from `offset` on."""

    memory: FarMemory
    offset: int


class NoMemory:
    """Far memory that nobody gives, for a `reason`."""

    def __init__(self, reason: str, *, piece: int = _SPACE) -> None:
        self.reason = reason
        self.piece: Final = piece

    def read_into(self, offset: int, into: memoryview) -> int:  # noqa: ARG002
        """Read nothing."""
        return 0

    def write_from(self, offset: int, data: memoryview) -> int:  # noqa: ARG002
        """Write nothing."""
        return 0


@dataclass(slots=True, eq=False)
class _Mapping:
    start: int
    end: int
    view: memoryview | None
    writable: bool
    far: Far | None = None


class GuestMemory:
    """What the client lets the device master, as sorted mappings that do not overlap."""

    __slots__ = ("_end", "_hit", "_mappings", "_start", "_starts", "_view", "_writable", "refused")

    def __init__(self) -> None:
        self.refused: Final = Refusals()
        self._starts: list[int] = []
        self._mappings: list[_Mapping] = []
        self._forget_hit()

    def _forget_hit(self) -> None:
        # The last mapping used, taken apart so that the hot path costs two comparisons. Empty range: never hit.
        self._start, self._end = 1, 0
        self._view = _NOWHERE
        self._writable = False

    # What the transport tells us.

    def map(self, iova: int, length: int, view: memoryview | None, writable: bool, far: Far | None = None) -> None:
        """Add a mapping, in place of whatever it overlaps. `view` is None if no memory is shared: `far` may be then.

        Raises: ValueError if `view` is not `length` bytes: our bug, never the client's.
        """
        if view is not None and (view.nbytes != length or view.format != "B" or (view.readonly and writable)):
            raise ValueError(f"a view of {view.nbytes} bytes, format {view.format!r}, for a mapping of {length}")
        end = min(iova + length, _SPACE)
        if end <= iova or iova < 0:
            return
        self._drop(iova, length)
        at = bisect_left(self._starts, iova)
        self._starts.insert(at, iova)
        # A view of our own, so that `unmap` can release it and any use after that raises instead of crashing.
        own = None if view is None else view[: end - iova]
        self._mappings.insert(at, _Mapping(iova, end, own, writable, far))

    def unmap(self, iova: int, length: int) -> None:
        """Drop everything inside the range; a mapping that reaches beyond it keeps the part outside."""
        self.refused.note_gone(mapped_parts(self.around, iova, length))
        self._drop(iova, length)

    def _drop(self, iova: int, length: int) -> None:
        self._forget_hit()
        end = iova + length
        if length <= 0:
            return
        first = bisect_right(self._starts, iova)
        if first and self._mappings[first - 1].end > iova:
            first -= 1
        last = bisect_left(self._starts, end, lo=first)
        gone = self._mappings[first:last]
        kept: list[_Mapping] = []
        for old in gone:
            if old.start < iova:
                kept.append(_part(old, old.start, iova))
            if old.end > end:
                kept.append(_part(old, end, old.end))
            if old.view is not None:
                old.view.release()
                old.view = None
        self._mappings[first:last] = kept
        self._starts[first:last] = [m.start for m in kept]

    def clear(self) -> None:
        """Drop all mappings, and what is known of those that were refused."""
        self.unmap(0, _SPACE)
        self.refused.clear()

    @property
    def count(self) -> int:
        """How many mappings there are."""
        return len(self._starts)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(start, length) of every mapping, ascending."""
        return tuple((m.start, m.end - m.start) for m in self._mappings)

    # What the model does: plx9x5x.ports.BusMaster.

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on. Raises: MasterAbort, TargetAbort."""
        end = address + len(into)
        if self._start <= address and end <= self._end:
            into[:] = self._view[address - self._start : end - self._start]
            return
        mappings, moved, left, bus = self._mappings, 0, len(into), address & _LAST
        at = bisect_right(self._starts, bus) - 1
        while left:
            found = mappings[at] if 0 <= at < len(mappings) else None
            if found is None or not found.start <= bus < found.end or (found.view is None and found.far is None):
                raise self._abort(bus, moved, found)
            offset = bus - found.start
            count = min(left, found.end - bus)
            if found.view is not None:
                into[moved : moved + count] = found.view[offset : offset + count]
            elif found.far is not None:
                count = min(count, found.far.memory.piece)
                self._far_read(found, bus, into, moved, count)
                at = bisect_right(self._starts, bus + count) - 2
            moved, left, bus, at = moved + count, left - count, bus + count, at + 1
            if bus > _LAST:
                bus, at = 0, 0
            elif not left:
                self._note_hit(found)

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on. Raises: MasterAbort, TargetAbort."""
        end = address + len(data)
        if self._start <= address and end <= self._end and self._writable:
            self._view[address - self._start : end - self._start] = data
            return
        mappings, moved, left, bus = self._mappings, 0, len(data), address & _LAST
        at = bisect_right(self._starts, bus) - 1
        while left:
            found = mappings[at] if 0 <= at < len(mappings) else None
            if (
                found is None
                or not found.start <= bus < found.end
                or (found.view is None and found.far is None)
                or not found.writable
            ):
                raise self._abort(bus, moved, found)
            offset = bus - found.start
            count = min(left, found.end - bus)
            if found.view is not None:
                found.view[offset : offset + count] = data[moved : moved + count]
            elif found.far is not None:
                count = min(count, found.far.memory.piece)
                self._far_write(found, bus, data, moved, count)
                at = bisect_right(self._starts, bus + count) - 2
            moved, left, bus, at = moved + count, left - count, bus + count, at + 1
            if bus > _LAST:
                bus, at = 0, 0
            elif not left:
                self._note_hit(found)

    def _far_read(self, found: _Mapping, bus: int, into: memoryview, moved: int, count: int) -> None:
        assert found.far is not None
        far, start = found.far, found.start
        came = far.memory.read_into(far.offset + bus - start, into[moved : moved + count])
        self._check_far(far, bus, moved, came, count)

    def _far_write(self, found: _Mapping, bus: int, data: memoryview, moved: int, count: int) -> None:
        assert found.far is not None
        far, start = found.far, found.start
        went = far.memory.write_from(far.offset + bus - start, data[moved : moved + count])
        self._check_far(far, bus, moved, went, count)

    def _check_far(self, far: Far, bus: int, moved: int, done: int, count: int) -> None:
        if done < count:
            address = BusAddr(bus + done)
            raise FarFault(address, moved=moved + done, reason=far.memory.reason, nearest=self.around(address))

    def splits(self, iova: int, length: int) -> bool:
        """True if an unmap of the range would leave two parts of one mapping."""
        return splits(self.around(iova), iova, length)

    def reach(self, address: int, length: int) -> int:
        """How many of `length` bytes from `address` on are one piece of a far mapping; 0 if none holds it."""
        at = bisect_right(self._starts, address) - 1
        found = self._mappings[at] if at >= 0 else None
        if found is None or found.far is None:
            return 0
        return max(0, min(length, found.end - address, found.far.memory.piece))

    def around(self, address: int) -> tuple[tuple[int, int], ...]:
        """(start, length) of the mapping that starts at or below `address`, and of the next."""
        at = bisect_right(self._starts, address) - 1
        return tuple((m.start, m.end - m.start) for m in self._mappings[max(at, 0) : at + 2])

    def _note_hit(self, found: _Mapping) -> None:
        if found.view is not None:
            self._start, self._end, self._view, self._writable = found.start, found.end, found.view, found.writable

    def _abort(self, bus: int, moved: int, found: _Mapping | None) -> BusAbort:
        """Tell why the access fails at `bus`; `found` is a mapping that may hold it."""
        if found is None or not found.start <= bus < found.end:
            return self.refused.abort(BusAddr(bus), moved=moved, nearest=self.around(bus))
        kind = Unreachable if found.view is None and found.far is None else TargetAbort
        return kind(BusAddr(bus), moved=moved, nearest=self.around(bus))


def mapped_parts(
    around: Callable[[int], Sequence[tuple[int, int]]], iova: int, length: int
) -> Iterator[tuple[int, int]]:
    """Give (start, end) of what is mapped of a range, by what `around` says of an address; the first `MOST` of it."""
    at, end = min(max(iova, 0), _LAST), iova + length
    for _ in range(MOST):
        found = [(start, start + size) for start, size in around(at) if start < end and at < start + size]
        for start, stop in found:
            yield max(start, iova), min(stop, end)
        at = found[-1][1] if found else end
        if at >= min(end, _LAST):
            return


def splits(around: Sequence[tuple[int, int]], iova: int, length: int) -> bool:
    """True if one of the mappings `around` an address reaches beyond a range on both sides."""
    return any(start < iova and iova + length < start + size for start, size in around)


def _part(old: _Mapping, start: int, end: int) -> _Mapping:
    view = None if old.view is None else old.view[start - old.start : end - old.start]
    far = None if old.far is None else Far(old.far.memory, old.far.offset + start - old.start)
    return _Mapping(start, end, view, old.writable, far)
