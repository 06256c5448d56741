# SPDX-License-Identifier: Apache-2.0
"""The processor's cache where DMA is not coherent: what the CPU wrote stays here until it is flushed.

On a coherent platform none of this exists. On ARM with _CCA 0 a device reads what memory holds, so a missing flush
shows as stale bytes, in both directions. Source: reference hal-contract AM-20.
"""

from typing import Final

from nthal.hardware.memory import PhysicalMemory
from nthal.records.region import FrameList
from nthal.types import Pa

LINE: Final = 64
"""Bytes of a cache line."""


class Cache:
    """Write-back, write-allocate, never evicts by itself: the worst case for a driver that forgets to flush."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        self._lines: dict[int, bytearray] = {}
        self._dirty: set[int] = set()

    @property
    def dirty_lines(self) -> int:
        """Lines that memory does not hold yet."""
        return len(self._dirty)

    def _line(self, number: int) -> bytearray:
        line = self._lines.get(number)
        if line is None:
            line = self._lines[number] = bytearray(self._memory.read(Pa(number * LINE), LINE))
        return line

    def read(self, address: Pa, length: int) -> bytes:
        """Give `length` bytes as the CPU sees them."""
        out = bytearray()
        at, end = int(address), int(address) + length
        while at < end:
            number, offset = divmod(at, LINE)
            size = min(LINE - offset, end - at)
            out += self._line(number)[offset : offset + size]
            at += size
        return bytes(out)

    def write(self, address: Pa, data: bytes) -> None:
        """Store `data` where only the CPU sees it."""
        at, done = int(address), 0
        while done < len(data):
            number, offset = divmod(at + done, LINE)
            size = min(LINE - offset, len(data) - done)
            self._line(number)[offset : offset + size] = data[done : done + size]
            self._dirty.add(number)
            done += size

    def _held(self, address: Pa, length: int) -> list[int]:
        """Lines of the range that are here. Looks through the shorter of the two."""
        numbers = range(int(address) // LINE, -(-(int(address) + length) // LINE))
        if len(numbers) > len(self._lines):
            return [number for number in self._lines if number in numbers]
        return [number for number in numbers if number in self._lines]

    def holds(self, address: Pa, length: int, *, dirty: bool) -> bool:
        """True if a line of the range is here; with `dirty`, if one is that memory does not have yet."""
        return any(not dirty or number in self._dirty for number in self._held(address, length))

    def flush(self, address: Pa, length: int) -> None:
        """Write dirty lines of the range to memory and drop all of its lines, as KeFlushIoBuffers does before DMA."""
        for number in self._held(address, length):
            line = self._lines.pop(number)
            if number in self._dirty:
                self._memory.write(Pa(number * LINE), bytes(line))
            self._dirty.discard(number)

    def clean(self, frames: FrameList, offset: int, length: int) -> None:
        """Bring a range of a buffer to memory before a device moves it; nothing of it stays here."""
        for pa, size in frames.pieces(offset, length):
            self.flush(pa, size)

    def renew(self, frames: FrameList, offset: int, length: int) -> None:
        """Let the CPU see what a device wrote into a range. What shares the range's lines keeps its newer bytes."""
        for pa, size in frames.pieces(offset, length):
            start, end = int(pa), int(pa) + size
            for number in self._held(pa, size):
                first, last = max(start, number * LINE), min(end, (number + 1) * LINE)
                at = first - number * LINE
                self._lines[number][at : at + last - first] = self._memory.read(Pa(first), last - first)

    def drop(self, address: Pa, length: int) -> None:
        """Forget the range without writing it: its pages change their owner."""
        for number in self._held(address, length):
            del self._lines[number]
            self._dirty.discard(number)
