# SPDX-License-Identifier: Apache-2.0
"""The processor's cache where DMA is not coherent: what the CPU wrote stays here until it is flushed.

On a coherent platform none of this exists. On ARM with _CCA 0 a device reads what memory holds, so a missing flush
shows as stale bytes, in both directions. Source: reference hal-contract AM-20.
"""

from collections.abc import Sequence
from typing import Final

from nthal.hardware.memory import PhysicalMemory
from nthal.records.region import FrameList
from nthal.types import Pa

LINE: Final = 64
"""Bytes of a cache line."""


class Cache:
    """Write-back, write-allocate, never evicts by itself: the worst case for a driver that forgets to flush.

    Pages that native code sees (`adopt`) are the processor's side of memory as a whole. What native code wrote there is
    a line that differs from memory; what it only read nobody can see, so a clean line follows what a device writes.
    """

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        self._lines: dict[int, bytearray | memoryview] = {}
        self._dirty: set[int] = set()
        self._sides: dict[int, memoryview] = {}
        self._outdated: dict[int, bytes] = {}

    @property
    def dirty_lines(self) -> int:
        """Lines that memory does not hold yet."""
        return len(self._dirty)

    def adopt(self, frames: Sequence[int], side: memoryview) -> None:
        """Let `side` be what the processor sees of these frames, one page after the other."""
        size = self._memory.page_size
        self._memory.follower = self
        for index, frame in enumerate(frames):
            page = self._sides[frame] = side[index * size : (index + 1) * size]
            page[:] = self._memory.read(Pa(frame * size), size)
            for number in range(frame * size // LINE, (frame + 1) * size // LINE):
                line = self._lines.get(number)
                if line is not None:
                    own = self._lines[number] = self._side(number) or line
                    own[:] = line

    def _side(self, number: int) -> memoryview | None:
        frame, offset = divmod(number * LINE, self._memory.page_size)
        side = self._sides.get(frame)
        return None if side is None else side[offset : offset + LINE]

    def clean_lines(self, frame: int, offset: int, size: int) -> list[int]:
        """Lines of an adopted page that memory is about to change, and that the processor neither wrote nor keeps."""
        if frame not in self._sides:
            return []
        at = frame * self._memory.page_size + offset
        follow = []
        for number in range(at // LINE, -(-(at + size) // LINE)):
            side = self._side(number)
            if side is None or self._changed(number):
                continue
            if number in self._lines:
                self._outdated.setdefault(number, bytes(side))
            else:
                follow.append(number)
        return follow

    def refresh(self, lines: list[int]) -> None:
        """Take these lines of adopted pages from memory."""
        for number in lines:
            side = self._side(number)
            if side is not None:
                side[:] = self._memory.read(Pa(number * LINE), LINE)

    def _changed(self, number: int) -> bool:
        """True if memory lacks what the processor wrote to the line."""
        side = self._side(number)
        if number in self._dirty or side is None:
            return number in self._dirty
        known = self._outdated.get(number)
        return bytes(side) != (self._memory.read(Pa(number * LINE), LINE) if known is None else known)

    def _line(self, number: int) -> bytearray | memoryview:
        line = self._lines.get(number)
        if line is None:
            line = self._side(number) or bytearray(self._memory.read(Pa(number * LINE), LINE))
            self._lines[number] = line
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
        """Lines of the range that are here, or in pages that native code sees. Looks through the shorter of the two."""
        numbers = range(int(address) // LINE, -(-(int(address) + length) // LINE))
        if len(numbers) > len(self._lines) and not self._sides:
            return [number for number in self._lines if number in numbers]
        page = self._memory.page_size
        return [number for number in numbers if number in self._lines or number * LINE // page in self._sides]

    def holds(self, address: Pa, length: int, *, dirty: bool) -> bool:
        """True if a line of the range is here; with `dirty`, if one is that memory does not have yet."""
        held = self._held(address, length)
        return any(self._changed(number) or (not dirty and number in self._lines) for number in held)

    def flush(self, address: Pa, length: int) -> None:
        """Write dirty lines of the range to memory and drop all of its lines, as KeFlushIoBuffers does before DMA."""
        for number in self._held(address, length):
            line = self._lines.pop(number, None) or self._side(number)
            if line is not None and self._changed(number):
                self._memory.write(Pa(number * LINE), bytes(line))
            self._dirty.discard(number)
            self._outdated.pop(number, None)
            self.refresh([number])

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
                at, new = first - number * LINE, self._memory.read(Pa(first), last - first)
                line = self._lines.get(number) or self._side(number)
                if line is not None:
                    line[at : at + len(new)] = new
                known = self._outdated.get(number)
                if known is not None:
                    self._outdated[number] = known[:at] + new + known[at + len(new) :]

    def drop(self, address: Pa, length: int) -> None:
        """Forget the range without writing it: its pages change their owner."""
        for number in self._held(address, length):
            self._lines.pop(number, None)
            self._dirty.discard(number)
            self._outdated.pop(number, None)
        for frame in range(
            int(address) // self._memory.page_size, -(-(int(address) + length) // self._memory.page_size)
        ):
            self._sides.pop(frame, None)
