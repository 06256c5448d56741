# SPDX-License-Identifier: Apache-2.0
"""Guest memory by bus address, kept in C: what `GuestMemory` is, for the native plane.

The table is the only storage: `mappings` gives it to a unit in C that moves data by itself, and what is mapped or
unmapped here is seen there.
"""

from typing import Final

from plx9x5x.errors import BusAbort, TargetAbort
from plx9x5x.plane.table import MappingTable, Why
from plx9x5x.transport.guest_memory import Unreachable
from plx9x5x.transport.refusals import Refusals
from plx9x5x.units import BusAddr

_ABORTS: Final[dict[Why, type[BusAbort]]] = {
    Why.READ_ONLY: TargetAbort,
    Why.NO_MEMORY: Unreachable,
}
_LAST: Final = (1 << 64) - 1


class NativeGuestMemory:
    """What the client lets the device master. Contracts are those of `GuestMemory`."""

    __slots__ = ("map", "mappings", "refused", "unmap")

    may_watch: Final = False

    def __init__(self) -> None:
        self.mappings: Final = MappingTable()
        self.map, self.unmap = self.mappings.map, self.mappings.unmap
        self.refused: Final = Refusals()

    def clear(self) -> None:
        """Drop all mappings, and what is known of those that were refused."""
        self.mappings.clear()
        self.refused.clear()

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(start, length) of every mapping, ascending."""
        return self.mappings.ranges

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on. Raises: MasterAbort, TargetAbort."""
        moved, why = self.mappings.read(address, into)
        if why is not Why.MAPPED:
            raise self._abort(address + moved & _LAST, moved, why)

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on. Raises: MasterAbort, TargetAbort."""
        moved, why = self.mappings.write(address, data)
        if why is not Why.MAPPED:
            raise self._abort(address + moved & _LAST, moved, why)

    def _abort(self, address: int, moved: int, why: Why) -> BusAbort:
        around = self.mappings.around(address)
        if why is Why.NOTHING_MAPPED:
            return self.refused.abort(BusAddr(address), moved=moved, nearest=around)
        return _ABORTS[why](BusAddr(address), moved=moved, nearest=around)
