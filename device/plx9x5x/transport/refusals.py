# SPDX-License-Identifier: Apache-2.0
"""Memory that a client offered and that could not be taken: whoever asks for it there is told that, and not "nothing".

A client goes on as if it were mapped, and so does its driver, with addresses that are right.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import AbortCause, MasterAbort
from plx9x5x.units import MIB, BusAddr

MOST: Final = 256
"""Ranges that are remembered of one client; a hostile one offers any number."""

LARGEST_BUFFER: Final = 16 * MIB
LOW: Final = MIB
"""Below it lies a PC's first memory in many pieces; a kernel gives its device addresses from the top."""

_HIT_MAX: Final = re.compile(rb"hit max regions (\d+)")
_NOT_ADDED: Final = re.compile(rb"failed to add DMA region \[(\w+), (\w+)\).*?: (.*)")


class TurnedAway(MasterAbort):
    """The client offered memory for the address, and nobody took it; `why` says so in words."""

    cause = AbortCause.TURNED_AWAY

    def __init__(
        self, address: BusAddr, *, moved: int, nearest: Sequence[tuple[int, int]] = (), why: str = "it was refused"
    ) -> None:
        super().__init__(address, moved=moved, nearest=nearest)
        self.why = why

    def __str__(self) -> str:
        return f"the client offered memory for bus address {self.address:#x}, but {self.why}"


class Unmapped(MasterAbort):
    """The client had mapped the address and took it back."""

    cause = AbortCause.UNMAPPED

    def __str__(self) -> str:
        return f"bus address {self.address:#x} was mapped, and is not any more"


@dataclass(frozen=True, slots=True)
class _Range:
    start: int
    end: int
    why: str


class Refusals:
    """Ranges of bus addresses with the reason why they are not mapped."""

    def __init__(self) -> None:
        self._ranges: list[_Range] = []
        self._gone: deque[tuple[int, int]] = deque(maxlen=MOST)

    def __len__(self) -> int:
        return len(self._ranges)

    def add(self, start: int, end: int, why: str) -> None:
        """Remember a range, up to but without `end`; what comes after the first `MOST` is not."""
        if len(self._ranges) < MOST and start < end:
            self._ranges.append(_Range(start, end, why))

    def drop(self, start: int, end: int) -> None:
        """Forget whatever overlaps a range: it has been mapped after all."""
        if self._ranges:
            self._ranges = [it for it in self._ranges if it.end <= start or end <= it.start]

    def note_gone(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Remember what was taken back, (start, end) each; the last `MOST` are. Once mapped again, nobody asks here.

        What is larger than a buffer, or low, is the guest's RAM, which was mapped until its IOMMU was on.
        """
        self._gone.extend((start, end) for start, end in ranges if start >= LOW and end - start <= LARGEST_BUFFER)

    def clear(self) -> None:
        """Forget all."""
        self._ranges.clear()
        self._gone.clear()

    def why(self, address: int) -> str | None:
        """Why nothing is mapped at `address`, None if nobody offered anything."""
        return next((it.why for it in self._ranges if it.start <= address < it.end), None)

    def abort(self, address: BusAddr, *, moved: int, nearest: Sequence[tuple[int, int]]) -> MasterAbort:
        """Make the error for an address where nothing is mapped."""
        why = self.why(address)
        if why is None:
            gone = any(start <= address < end for start, end in self._gone)
            return (Unmapped if gone else MasterAbort)(address, moved=moved, nearest=nearest)
        return TurnedAway(address, moved=moved, nearest=nearest, why=why)


class LibraryRefusals:
    """Reads libvfio-user's log: it calls nobody back for a mapping that it refuses, and says so there alone."""

    def __init__(self, into: Refusals) -> None:
        self._into = into
        self._room: int | None = None

    def hear(self, message: bytes) -> None:
        """Take one line."""
        if full := _HIT_MAX.search(message):
            self._room = int(full[1])
        elif refused := _NOT_ADDED.search(message):
            try:
                start, end = int(refused[1], 0), int(refused[2], 0)
            except ValueError:  # another library's way to print them
                return
            self._into.add(start, end, self._words(refused[3].decode(errors="replace").strip()))
            self._room = None

    def _words(self, error: str) -> str:
        if self._room is None:
            return f"libvfio-user refused it ({error}): see its lines in the log"
        return (
            f"libvfio-user had no room for it: it takes {self._room} mappings at a time "
            "(serve with --transport wire, or boot a guest without an IOMMU)"
        )
