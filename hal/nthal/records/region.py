# SPDX-License-Identifier: Apache-2.0
"""The frames behind a buffer, and the range of virtual addresses at which the processor sees them.

Units: frames are page numbers (physical address divided by the page size).
"""

import bisect
import itertools
from collections.abc import Iterable, Sequence

from nthal.runs import Run, RunSet
from nthal.types import Pa, Va
from nthal.windows import Caching


class FrameList:
    """The frames behind a buffer, in the buffer's order; consecutive frames share a run."""

    def __init__(self, runs: Sequence[Run], page_size: int) -> None:
        self.runs = tuple(runs)
        self.page_size = page_size
        # How many pages there are up to the end of each run: a buffer of single pages must not be walked to its middle.
        self._ends = list(itertools.accumulate(run.count for run in self.runs))
        self.count = self._ends[-1] if self._ends else 0

    def pa(self, offset: int) -> Pa:
        """Physical address of the byte `offset` bytes in. Raises: IndexError past the last page."""
        page, within = divmod(offset, self.page_size)
        index, skip = self._run_of(page)
        return Pa((self.runs[index].start + skip) * self.page_size + within)

    def frames(self) -> tuple[int, ...]:
        """Every frame number, in order."""
        return tuple(frame for run in self.runs for frame in range(run.start, run.end))

    def pieces(self, offset: int, length: int) -> Iterable[tuple[Pa, int]]:
        """(physical address, bytes) of each physically contiguous piece."""
        if length <= 0:
            return
        page, within = divmod(offset, self.page_size)
        index, skip = self._run_of(page)
        within += skip * self.page_size
        while True:
            run = self.runs[index]
            size = min(length, run.count * self.page_size - within)
            yield Pa(run.start * self.page_size + within), size
            length -= size
            if not length:
                return
            index, within = index + 1, 0
            if index == len(self.runs):
                raise IndexError(f"{length} bytes are past {self.count} pages")

    def part(self, first: int, count: int) -> "FrameList":
        """The frames of `count` pages from page `first` on. Raises: IndexError past the last page."""
        runs: list[Run] = []
        index, skip = self._run_of(first) if count else (0, 0)
        while count:
            run = self.runs[index]
            size = min(count, run.count - skip)
            runs.append(Run(run.start + skip, size))
            index, skip, count = index + 1, 0, count - size
        return FrameList(runs, self.page_size)

    def _run_of(self, page: int) -> tuple[int, int]:
        """Which run the page is in, and how many pages into it."""
        index = bisect.bisect_right(self._ends, page)
        if page < 0 or index == len(self.runs):
            raise IndexError(f"page {page} is past {self.count} pages")
        return index, page - (self._ends[index - 1] if index else 0)


class Region:
    """Virtual pages backed by frames; the driver may use `length` bytes from `base` on.

    `page_base` is the address of the first page. With DMA verification, `shadow` holds the guard pages' bytes,
    and `unwritten` the offsets from `base` of a common buffer that nobody wrote yet; None once a read of one was told.
    Of pool, `made_at` is the driver's line that allocated it, and `was_mapped` says that a transfer was once mapped.
    """

    def __init__(
        self, page_base: int, offset: int, length: int, frames: FrameList, caching: Caching, *, what: str
    ) -> None:
        self.page_base = page_base
        self.base = Va(page_base + offset)
        self.offset = offset
        self.length = length
        self.frames = frames
        self.caching = caching
        self.what = what
        self.is_common_buffer = False
        self.pageable = False
        self.made_at = ""
        self.was_mapped = False
        self.shadow: tuple[bytearray, bytearray] | None = None
        self.unwritten: RunSet | None = None

    @property
    def page_bytes(self) -> int:
        """Bytes of all its pages."""
        return self.frames.count * self.frames.page_size

    def inside(self, va: int, length: int) -> bool:
        """True if all of the range is the driver's to use."""
        start = va - int(self.base)
        return start >= 0 and start + length <= self.length

    def in_pages(self, va: int, length: int) -> bool:
        """True if all of the range is at least on its pages."""
        start = va - self.page_base
        return start >= 0 and start + length <= self.page_bytes
