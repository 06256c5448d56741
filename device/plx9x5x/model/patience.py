# SPDX-License-Identifier: Apache-2.0
"""A driver that reads and reads: it waits for what will not come, or never takes an interrupt back.

On the native plane C counts, and hands on every 1,024th read of a kind (plane/serving.h); here every read is seen.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from plx9x5x.regs import dma, intr

if TYPE_CHECKING:
    from plx9x5x.plane._serving import Watch

RUN: Final = 1024
"""Reads of the interrupt status by which a driver has had its time to take the cause back."""

SPIN: Final = 4096
"""Reads of one register without a write or a change between."""

STATUS: Final = (intr.INTCSR.offset, dma.CHANNELS[0].command.offset & ~3)
"""Dwords that say why INTA# is asserted."""


class Patience:
    """Counts reads by offset and value. `line_changes` gives a number that is another after each change of INTA#.

    `stuck` is called with the count of status reads once INTA# has stayed asserted for `RUN` of them, and `spinning`
    with (offset, width, value, reads) at `SPIN` reads of one register.
    """

    def __init__(self, stuck: Callable[[int], None], spinning: Callable[[int, int, int, int], None]) -> None:
        self._stuck, self._spinning = stuck, spinning
        self.watch: Watch | None = None
        """What C counts, on the native plane."""
        self._last = (-1, -1)
        self._same = self._status = 0
        self._changes = -1

    def read(self, offset: int, width: int, value: int, line_changes: int, *, line: bool) -> None:
        """Note a read of a register that Python answered."""
        if self.watch is not None:
            if self.watch.offset == offset and self.watch.same >= SPIN and self.watch.same % RUN == 0:
                self._spinning(offset, width, value, self.watch.same)
            # Where C does not know the line, equal reads are what is left to go by.
            seen = max(self.watch.status, self.watch.same if self.watch.offset == offset else 0)
            if line and offset & ~3 in STATUS and seen >= RUN and seen % RUN == 0:
                self._stuck(seen)
        if (offset, value) == self._last:
            self._same += 1
            if self._same == SPIN:
                self._spinning(offset, width, value, SPIN)
        else:
            self._last, self._same = (offset, value), 1
        if line and offset & ~3 in STATUS:
            if line_changes != self._changes:
                self._changes, self._status = line_changes, 0
            self._status += 1
            if self._status == RUN:
                self._stuck(RUN)

    def wrote(self) -> None:
        """Note a write: whoever writes does not only wait."""
        self._same = 0
