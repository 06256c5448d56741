# SPDX-License-Identifier: Apache-2.0
"""The frames behind a buffer, and the range of virtual addresses at which the processor sees them.

Units: frames are page numbers (physical address divided by the page size).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.types import Pa, Va

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nthal.records.backing import Backing
    from nthal.runs import Run, RunSet
    from nthal.windows import Caching


class FrameList:
    """The frames behind a buffer, in the buffer's order; consecutive frames share a run."""

    def __init__(self, runs: Sequence[Run], page_size: int) -> None:
        self.runs = tuple(runs)
        self.page_size = page_size
        self.count = sum(run.count for run in self.runs)

    def pa(self, offset: int) -> Pa:
        """Physical address of the byte `offset` bytes in. Raises: IndexError past the last page."""
        page, within = divmod(offset, self.page_size)
        for run in self.runs:
            if page < run.count:
                return Pa((run.start + page) * self.page_size + within)
            page -= run.count
        raise IndexError(f"offset {offset:#x} is past {self.count} pages")

    def frames(self) -> tuple[int, ...]:
        """Every frame number, in order."""
        return tuple(frame for run in self.runs for frame in range(run.start, run.end))

    def pieces(self, offset: int, length: int) -> Iterable[tuple[Pa, int]]:
        """(physical address, bytes) of each physically contiguous piece."""
        while length > 0:
            page, within = divmod(offset, self.page_size)
            run, skip = self._run_of(page)
            size = min(length, (run.count - skip) * self.page_size - within)
            yield Pa((run.start + skip) * self.page_size + within), size
            offset += size
            length -= size

    def _run_of(self, page: int) -> tuple[Run, int]:
        for run in self.runs:
            if page < run.count:
                return run, page
            page -= run.count
        raise IndexError(f"page {page} is past {self.count} pages")


class Region:
    """Virtual pages backed by frames; the driver may use `length` bytes from `base` on.

    `page_base` is the address of the first page. With DMA verification, `shadow` holds the guard pages' bytes,
    and `unwritten` the offsets from `base` of a common buffer that nobody wrote yet; None once a read of one was told.
    `backing` is the memory of this process under it, if native code may see it.
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
        self.shadow: tuple[bytearray, bytearray] | tuple[memoryview, memoryview] | None = None
        self.backing: Backing | None = None
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
