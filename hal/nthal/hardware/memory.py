# SPDX-License-Identifier: Apache-2.0
"""Physical memory that costs only what was written, and the page-frame allocator over it.

Units: frames are page numbers (physical address divided by the page size).
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from nthal.platforms import Platform
from nthal.runs import Run, RunSet, Where
from nthal.types import PAGE_SIZE, Pa

_SPELT_OUT: Final = 3
"""So many pieces of free memory are named one by one."""


class PhysicalMemory:
    """Bytes by physical address. A page that nobody wrote reads as `fill`, so that no driver may hope for zeroes."""

    def __init__(self, *, page_size: int = PAGE_SIZE, fill: int = 0xA5) -> None:
        self.page_size = page_size
        self.fill = fill
        self._pages: dict[int, bytearray] = {}

    @property
    def resident_pages(self) -> int:
        """Pages that hold bytes of their own."""
        return len(self._pages)

    def _pieces(self, address: int, length: int) -> Iterable[tuple[int, int, int]]:
        while length > 0:
            frame, offset = divmod(address, self.page_size)
            size = min(length, self.page_size - offset)
            yield frame, offset, size
            address += size
            length -= size

    def read(self, address: Pa, length: int) -> bytes:
        """Give `length` bytes from `address` on."""
        out = bytearray()
        for frame, offset, size in self._pieces(int(address), length):
            page = self._pages.get(frame)
            out += bytes([self.fill]) * size if page is None else page[offset : offset + size]
        return bytes(out)

    def write(self, address: Pa, data: bytes) -> None:
        """Store `data` from `address` on."""
        done = 0
        for frame, offset, size in self._pieces(int(address), len(data)):
            page = self._pages.get(frame)
            if page is None:
                page = self._pages[frame] = bytearray([self.fill]) * self.page_size
            page[offset : offset + size] = data[done : done + size]
            done += size

    def forget(self, runs: Iterable[Run]) -> None:
        """Drop what the frames hold: their next owner sees `fill`."""
        for run in runs:
            if run.count > len(self._pages):
                for frame in [frame for frame in self._pages if run.start <= frame < run.end]:
                    del self._pages[frame]
            else:
                for frame in range(run.start, run.end):
                    self._pages.pop(frame, None)


class FrameAllocator:
    """Free and used page frames, with the fragmentation of a machine that has been up for a while.

    `place()` scripts where the next allocation goes; `fragment()` isolates the free pages from a seed.
    """

    def __init__(self, free: RunSet) -> None:
        self.free = free
        self.total = free.total
        self.used = 0
        self.withheld: list[Run] = []
        self._script: list[int] = []

    def place(self, *frames: int) -> None:
        """Say at which frames the next contiguous allocations start, one each, if those are free and allowed."""
        self._script.extend(frames)

    def find(self, count: int, where: Where) -> list[Run] | None:
        """Find one run of `count` frames; None if none fits. Takes nothing."""
        while self._script:
            start = self._script.pop(0)
            exact = replace(where, low=start, last=min(where.last, start + count - 1), after=0)
            if start >= where.low and self.free.contains(start, count) and self.free.find(count, exact) == start:
                return [Run(start, count)]
        start_or_none = self.free.find(count, where)
        return None if start_or_none is None else [Run(start_or_none, count)]

    def where_free(self, platform: Platform) -> str:
        """Words for where free memory lies, in physical addresses, and for how far from there the bus sees it."""
        size, pieces = platform.page_size, self.free.pieces
        if not pieces:
            return "no memory is free"
        ends = (f"from {run.start * size:#x} to {run.end * size - 1:#x}" for run in self.free.runs())
        if pieces <= _SPELT_OUT:
            lies = " and ".join(ends)
        else:
            first, end = self.free.bounds
            lies = f"in {pieces} pieces of {self.free.longest * size} bytes at most, from {first * size:#x}"
            lies += f" to {end * size - 1:#x}"
        offset = platform.bus_offset
        return f"free memory lies {lies}" + (f"; the bus sees memory {offset:#x} further up" if offset else "")

    def find_scattered(self, count: int) -> list[Run] | None:
        """Find `count` frames wherever they are; None if there are fewer. Takes nothing."""
        return self.free.find_scattered(count)

    def take(self, runs: Iterable[Run]) -> None:
        """Mark the runs as used."""
        for run in runs:
            self.free.take(run.start, run.count)
            self.used += run.count

    def give(self, runs: Iterable[Run]) -> None:
        """Mark the runs as free again."""
        for run in runs:
            self.free.give(run.start, run.count)
            self.used -= run.count

    def fragment(self, seed: int, *, keep: int = 256) -> int:
        """Withhold memory as other users of a running system do, so that at most `keep` isolated pages stay free.

        The same seed leaves the same pages. Returns how many pages stay free. `settle()` undoes it.
        """
        chooser = random.Random(seed)  # noqa: S311  (a repeatable layout, no secret)
        total = self.free.total
        picks = sorted(chooser.sample(range(total), min(keep * 2, total)))
        kept: list[int] = []
        runs = list(self.free.runs())
        base = 0
        at = 0
        for run in runs:
            while at < len(picks) and picks[at] < base + run.count:
                frame = run.start + picks[at] - base
                if len(kept) < keep and (not kept or frame > kept[-1] + 1):
                    kept.append(frame)
                at += 1
            base += run.count
        for run in runs:
            self.free.take(run.start, run.count)
        for frame in kept:
            self.free.give(frame, 1)
        taken = RunSet((run.start, run.count) for run in runs)
        for frame in kept:
            taken.take(frame, 1)
        self.withheld.extend(taken.runs())
        return len(kept)

    def settle(self) -> None:
        """Give back everything that `fragment` withheld."""
        for run in self.withheld:
            self.free.give(run.start, run.count)
        self.withheld.clear()
