# SPDX-License-Identifier: Apache-2.0
"""A driver that reads and reads: it waits for what will not come, or never takes an interrupt back.

On the native plane C counts, and hands on every 1,024th read of a kind (plane/serving.h); here every read is seen.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from plx9x5x.ports import Clock
from plx9x5x.regs import dma, intr

if TYPE_CHECKING:
    from plx9x5x.plane._serving import Watch

RUN: Final = 1024
"""Reads of the interrupt status by which a driver has had its time to take the cause back."""

SPIN: Final = 4096
"""Reads of one register without a write or a change between."""

FEW: Final = 8
"""As many, and again as many once a second has passed, are enough: a VM that was paused reads no more than a few."""

LONG_NS: Final = 1_000_000_000
"""By which a driver has had its time, too."""

STATUS: Final = (intr.INTCSR.offset, dma.CHANNELS[0].command.offset & ~3)
"""Dwords that say why INTA# is asserted."""


class Patience:
    """Counts reads by offset and value.

    `stuck` is called with the count of status reads, and whether it has been for long, once INTA# has stayed asserted
    for `RUN` of them or for `LONG_NS`; and `spinning` with (offset, width, value, reads) at `SPIN` reads of one
    register.
    """

    def __init__(
        self, clock: Clock, stuck: Callable[[int, bool], None], spinning: Callable[[int, int, int, int], None]
    ) -> None:
        self._clock, self._stuck, self._spinning = clock, stuck, spinning
        self.watch: Watch | None = None
        """What C counts, on the native plane."""
        self._last = (-1, -1)
        self._same = self._status = self._since = 0
        self._changes = -1
        self._late = False

    def read(self, offset: int, width: int, value: int, line_changes: int, *, line: bool) -> None:
        """Note a read that Python answered, of a register. `line_changes` is another after each change of INTA#."""
        status = line and offset & ~3 in STATUS
        if status and line_changes != self._changes:
            self._changes, self._status, self._late = line_changes, 0, False
        if self.watch is not None:
            self._read_by_c(self.watch, offset, width, value, status=status)
        if (offset, value) == self._last:
            self._same += 1
            if self._same == SPIN:
                self._spinning(offset, width, value, SPIN)
        else:
            self._last, self._same = (offset, value), 1
        if status:
            self._status += 1
            if self._status == RUN:
                self._stuck(RUN, self._late)
            if self._status % FEW == 0:
                self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        now = self._clock.now()
        if self._status == FEW:
            self._since = now
        if now - self._since >= LONG_NS:
            self._tell_late(self._status)

    def _tell_late(self, reads: int) -> None:
        if not self._late:
            self._late = True
            self._stuck(reads, True)

    def _read_by_c(self, watch: "Watch", offset: int, width: int, value: int, *, status: bool) -> None:
        """Look at what C counted until it handed this read on."""
        here = watch.same if watch.offset == offset else 0
        if here >= SPIN and here % RUN == 0:
            self._spinning(offset, width, value, here)
        # Where C does not know the line, equal reads are what is left to go by.
        seen = max(watch.status, here)
        if status and seen >= RUN and seen % RUN == 0:
            self._stuck(seen, watch.late)
        if status and watch.late:
            self._tell_late(watch.status)

    def wrote(self) -> None:
        """Note a write: whoever writes does not only wait."""
        self._same = 0
