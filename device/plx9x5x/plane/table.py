# SPDX-License-Identifier: Apache-2.0
"""Memory by address as a table that C owns (mappings.h), and who keeps the mapped memory alive.

Units: bytes; addresses have 64 bits. One thread at a time: C works on the table without the interpreter's lock.
"""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plx9x5x.plane import _mappings

if TYPE_CHECKING:
    from plx9x5x.plane._mappings import Pointer

_LIB, _FFI = _mappings.lib, _mappings.ffi
_BYTES: Final = "uint8_t[]"
_SPACE: Final = 1 << 64
_LAST: Final = _SPACE - 1


class Why(enum.Enum):
    """Why an access went no further."""

    MAPPED = _LIB.MAPPED
    NOTHING_MAPPED = _LIB.NOTHING_MAPPED
    READ_ONLY = _LIB.READ_ONLY
    NO_MEMORY = _LIB.NO_MEMORY


_WHY: Final = tuple(Why(number) for number in range(len(Why)))
"""By C's numbers: Why(number) takes longer than a short access."""


@dataclass(slots=True)
class _Owner:
    """Memory that mappings refer to: `pieces` of them, since an unmap may split one."""

    view: memoryview
    pieces: int = 1


class MappingTable:
    """Mappings that do not overlap. Memory is held as long as a mapping refers to it, and no longer."""

    def __init__(self) -> None:
        table = _LIB.mappings_new()
        if not table:
            raise MemoryError
        self.table: Final = _FFI.gc(table, _LIB.mappings_free)
        """For a unit in C, as long as this object lives: who lets C keep it keeps this."""
        self._owners: dict[int, _Owner] = {}
        self._last_owner = 0

    def map(self, start: int, length: int, view: memoryview | None, writable: bool) -> None:
        """Add a mapping, in place of whatever it overlaps; `view` is None if there is no memory for it.

        Raises: ValueError if `view` does not fit: our bug, never the client's.
        """
        if view is not None and (view.nbytes != length or view.format != "B" or (view.readonly and writable)):
            raise ValueError(f"a view of {view.nbytes} bytes, format {view.format!r}, for a mapping of {length}")
        end = min(start + length, _SPACE)
        if end <= start or start < 0:
            return
        self.unmap(start, length)
        self._last_owner += 1
        if view is None:
            self._add(start, end - 1, _FFI.NULL, writable)
            return
        # A view of our own, so that the caller may release theirs, and C's address stays good for as long as it lives.
        # The cdata is let go at once: if a collection cleared a view that it still holds, Python 3.11 would crash.
        own = view[: end - start]
        host = _FFI.from_buffer(_BYTES, own, require_writable=writable)
        try:
            self._add(start, end - 1, host, writable)
        finally:
            _FFI.release(host)
        self._owners[self._last_owner] = _Owner(own)

    def _add(self, start: int, last: int, host: "Pointer", writable: bool) -> None:
        if not _LIB.mappings_map(self.table, start, last, host, writable, self._last_owner):
            raise MemoryError

    def unmap(self, start: int, length: int) -> None:
        """Drop everything inside the range; a mapping that reaches beyond it keeps the part outside."""
        first, last = max(start, 0), min(start + length, _SPACE) - 1
        if last < first:
            return
        table = self.table
        at = max(_LIB.mappings_upto(table, first) - 1, 0)
        touched = [(m.start, m.last, m.owner) for m in (table.at[i] for i in range(at, self._upto(last)))]
        if not _LIB.mappings_unmap(table, first, last):
            raise MemoryError
        for begin, end, number in touched:
            owner = self._owners.get(number)
            if owner is not None and end >= first:
                owner.pieces += (begin < first) + (end > last) - 1
                if not owner.pieces:
                    self._owners.pop(number).view.release()

    def clear(self) -> None:
        """Drop all mappings."""
        _LIB.mappings_clear(self.table)
        for owner in self._owners.values():
            owner.view.release()
        self._owners.clear()

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(start, length) of every mapping, ascending."""
        return self._ranges(0, self.table.count)

    def around(self, address: int) -> tuple[tuple[int, int], ...]:
        """(start, length) of the mapping that starts at or below `address`, and of the next."""
        at = self._upto(address) - 1
        return self._ranges(max(at, 0), min(at + 2, self.table.count))

    def read(self, address: int, into: memoryview) -> tuple[int, Why]:
        """Fill `into` from `address` on; give the bytes that came, and why no more."""
        moved = _LIB.mappings_read(self.table, address & _LAST, _FFI.from_buffer(_BYTES, into, True), len(into))
        return moved.bytes, _WHY[moved.why]

    def write(self, address: int, data: memoryview) -> tuple[int, Why]:
        """Store `data` from `address` on; give the bytes that went, and why no more."""
        moved = _LIB.mappings_write(self.table, address & _LAST, _FFI.from_buffer(_BYTES, data), len(data))
        return moved.bytes, _WHY[moved.why]

    def _upto(self, address: int) -> int:
        return _LIB.mappings_upto(self.table, address)

    def _ranges(self, first: int, end: int) -> tuple[tuple[int, int], ...]:
        return tuple((m.start, m.last - m.start + 1) for m in (self.table.at[i] for i in range(first, end)))
