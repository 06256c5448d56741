# SPDX-License-Identifier: Apache-2.0
"""A driver that reads and reads: it waits for what will not come, or never takes an interrupt back.

On the native plane C counts the reads that it answers, and hands one on when a count has come to something
(plane/serving.h). What Python answers is counted here, in the same places.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from plx9x5x.ports import Clock

if TYPE_CHECKING:
    from plx9x5x.plane._serving import Watch

RUN: Final = 1024
"""Reads of the interrupt status by which a driver has had its time to take the cause back."""

FEW: Final = 8
"""As many, and again as many once `LONG_NS` have passed, are enough: a VM that was paused reads no more than a few."""

LONG_NS: Final = 1_000_000_000
"""By which a driver has had its time, too."""

SPIN: Final = 4096
"""Reads of one register without a write or a change between."""

LEFT: Final = 4
"""Deliveries of one interrupt after which it is nobody's who would have taken it back: a threaded handler needs two."""

NEWS_SPIN, NEWS_STUCK, NEWS_LATE = 1, 2, 4


@dataclass(slots=True)
class _Counts:
    """What C's `struct page_watch` is on the other plane."""

    offset: int = -1
    value: int = 0
    same: int = 0
    status: int = 0
    since_ns: int = 0
    late: bool = False
    news: int = 0


class Patience:
    """Counts reads by offset and value.

    `tells(offset, width)` says whether a read there tells why INTA# is asserted. `stuck` is called with the count of
    such reads, and whether it has been for long, once there were `RUN` of them, or `LONG_NS` have passed, without a
    change of the causes; and `spinning` with (offset, width, value) at `SPIN` reads of one register. `watch` is C's.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tells: Callable[[int, int], bool],
        stuck: Callable[[int, bool], None],
        spinning: Callable[[int, int, int], None],
        watch: "Watch | None" = None,
    ) -> None:
        # Where C keeps the time of the first read, it is C's time.
        self._now = clock.now if watch is None else time.monotonic_ns
        self._tells, self._stuck, self._spinning = tells, stuck, spinning
        self._counts: Watch | _Counts = _Counts() if watch is None else watch

    def read(self, offset: int, width: int, value: int, *, line: bool) -> None:
        """Note a read of a register that Python answered; `line` is INTA#."""
        counts = self._counts
        news = counts.news
        if news:
            counts.news = 0
        else:
            news = self._count(offset, value & 0xFFFF_FFFF, status=line and self._tells(offset, width))
        if not news:
            return
        if news & NEWS_SPIN:
            self._spinning(offset, width, value)
        if news & (NEWS_STUCK | NEWS_LATE):
            self._stuck(counts.status, counts.late)

    def wrote(self) -> None:
        """Note a write: whoever writes does not only wait."""
        self._counts.same = 0

    def forget(self) -> None:
        """Another client comes."""
        self.wrote()
        self.served()

    def served(self) -> None:
        """Note that the causes of INTA# have changed, or that somebody serves one."""
        self._counts.status = 0
        self._counts.late = False

    def _count(self, offset: int, value: int, *, status: bool) -> int:
        """Count a read as C does (`count_read`)."""
        counts, news = self._counts, 0
        if offset != counts.offset or value != counts.value:
            counts.offset, counts.value, counts.same = offset, value, 0
        counts.same += 1
        if counts.same == SPIN:
            news |= NEWS_SPIN
        if not status:
            return news
        counts.status += 1
        if counts.status == RUN:
            news |= NEWS_STUCK
        if counts.status % FEW == 0 and not counts.late:
            now = self._now()
            if counts.status == FEW:
                counts.since_ns = now
            counts.late = now - counts.since_ns >= LONG_NS
            if counts.late:
                news |= NEWS_LATE
        return news
