# SPDX-License-Identifier: Apache-2.0
"""Guest memory by bus address, kept in C: what `GuestMemory` is, for the native plane.

The table is the only storage of what can be pointed at: `mappings` gives it to a unit in C that moves data by itself,
and what is mapped or unmapped here is seen there. Far memory is a mapping without memory there, so that C leaves it to
us, and stands a second time in a map of Python's.
"""

from typing import Final

from plx9x5x.errors import BusAbort, TargetAbort
from plx9x5x.plane.table import MappingTable, Why
from plx9x5x.transport.guest_memory import Far, GuestMemory, Unreachable, mapped_parts, splits
from plx9x5x.transport.refusals import Refusals
from plx9x5x.units import BusAddr

_ABORTS: Final[dict[Why, type[BusAbort]]] = {
    Why.READ_ONLY: TargetAbort,
    Why.NO_MEMORY: Unreachable,
}
_LAST: Final = (1 << 64) - 1


class NativeGuestMemory:
    """What the client lets the device master. Contracts are those of `GuestMemory`."""

    __slots__ = ("_far", "mappings", "refused")

    may_watch: Final = False

    def __init__(self) -> None:
        self.mappings: Final = MappingTable()
        self.refused: Final = Refusals()
        self._far: GuestMemory | None = None
        """The far mappings alone; made with the first."""

    def map(self, iova: int, length: int, view: memoryview | None, writable: bool, far: Far | None = None) -> None:
        """Add a mapping, in place of whatever it overlaps; as `GuestMemory.map`."""
        self.mappings.map(iova, length, view, writable)
        if far is not None:
            self._far = self._far or GuestMemory()
            self._far.map(iova, length, None, writable, far)
        elif self._far is not None:
            self._far.unmap(iova, length)

    def unmap(self, iova: int, length: int) -> None:
        """Drop everything inside the range; a mapping that reaches beyond it keeps the part outside."""
        self.refused.note_gone(mapped_parts(self.mappings.around, iova, length))
        self.mappings.unmap(iova, length)
        if self._far is not None:
            self._far.unmap(iova, length)

    def splits(self, iova: int, length: int) -> bool:
        """True if an unmap of the range would leave two parts of one mapping."""
        return splits(self.mappings.around(iova), iova, length)

    def clear(self) -> None:
        """Drop all mappings, and what is known of those that were refused."""
        self.mappings.clear()
        self.refused.clear()
        self._far = None

    @property
    def count(self) -> int:
        """How many mappings there are."""
        return self.mappings.table.count

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(start, length) of every mapping, ascending."""
        return self.mappings.ranges

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on. Raises: MasterAbort, TargetAbort."""
        moved, why = self.mappings.read(address, into)
        while why is not Why.MAPPED:
            bus, end, far = self._far_piece(address, moved, len(into), why)
            try:
                far.read_into(bus, into[moved:end])
            except BusAbort as abort:
                raise self._whole(abort, moved) from None
            moved = end
            more, why = self.mappings.read(BusAddr(address + moved), into[moved:])
            moved += more

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on. Raises: MasterAbort, TargetAbort."""
        moved, why = self.mappings.write(address, data)
        while why is not Why.MAPPED:
            bus, end, far = self._far_piece(address, moved, len(data), why)
            try:
                far.write_from(bus, data[moved:end])
            except BusAbort as abort:
                raise self._whole(abort, moved) from None
            moved = end
            more, why = self.mappings.write(BusAddr(address + moved), data[moved:])
            moved += more

    def _whole(self, abort: BusAbort, moved: int) -> BusAbort:
        """Make what the far mappings know of an abort whole: the bytes before that piece, and the near mappings."""
        abort.moved += moved
        abort.nearest = self.mappings.around(abort.address)
        return abort

    def _far_piece(self, address: int, moved: int, length: int, why: Why) -> tuple[BusAddr, int, GuestMemory]:
        """Where an access of `length` bytes goes on in far memory after `moved`, and up to which of its bytes.

        Raises: MasterAbort, TargetAbort if it does not.
        """
        bus = BusAddr(address + moved & _LAST)
        count = self._far.reach(bus, length - moved) if self._far is not None and why is Why.NO_MEMORY else 0
        if self._far is None or not count:
            raise self._abort(bus, moved, why)
        return bus, moved + count, self._far

    def _abort(self, address: int, moved: int, why: Why) -> BusAbort:
        around = self.mappings.around(address)
        if why is Why.NOTHING_MAPPED:
            return self.refused.abort(BusAddr(address), moved=moved, nearest=around)
        return _ABORTS[why](BusAddr(address), moved=moved, nearest=around)
