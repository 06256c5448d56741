# SPDX-License-Identifier: Apache-2.0
"""What a register trace says of INTA# on its way to gsc_hpdi's handler: the card's side of what the guest complains of.

On silicon a handler runs before the next access of the driver that caused the interrupt. Under QEMU it may run later:
its client takes the pin back at any access to a BAR, and raises it again from its main loop. The driver's stop aborts
DMA, which interrupts; if that comes only after the next start has begun, the driver takes it for the end of the new
command. The guest's program says ENDED then, and the trace that the card had INTA# asserted since before that start.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from plx9x5x.trace.regtrace import Access, Line, Note, parse, split_time

INTCSR, CSR = Access(False, 0, 0x68, 4, 0), Access(True, 0, 0xA8, 1, 0)
DMA0_ACTIVE, START = 1 << 21, 2
RX_RESET = Access(True, 2, 0x04, 4, 4)
"""gsc_hpdi's start begins with it, and ends with START."""


@dataclass(frozen=True)
class Late:
    """One interrupt; nanoseconds of the card's time."""

    asserted: int
    started: int
    """When the driver began to start a command."""
    read: int
    """When its handler asked whose interrupt it was: before the start was done."""


def same(one: Access, other: Access) -> bool:
    """Compare two accesses without their values."""
    return replace(one, value=0) == replace(other, value=0)


def timed(lines: Iterable[str]) -> Iterator[tuple[int, Line]]:
    """Read the lines that have a time."""
    for text in lines:
        time, _ = split_time(text.rstrip("\n"))
        if time is not None:
            yield time, parse(text.rstrip("\n"))


def late_interrupts(lines: Iterable[str]) -> list[Late]:
    """Find channel 0's interrupts that were asserted before a start, and all the time until they were read within it."""
    found: list[Late] = []
    asserted: int | None = None
    start: tuple[int, int | None] | None = None
    """When the start began, and since when INTA# was asserted then."""
    for time, line in timed(lines):
        if isinstance(line, Note) and line.kind == "line":
            asserted = time if line.text == "1" else None
        elif line == RX_RESET:
            start = time, asserted
        elif start and isinstance(line, Access):
            if same(line, CSR) and line.value & START:
                start = None
            elif same(line, INTCSR) and line.value & DMA0_ACTIVE and asserted is not None and asserted == start[1]:
                found.append(Late(asserted, start[0], time))
    return found


def unanswered(lines: Iterable[str]) -> int | None:
    """Give the nanoseconds for which INTA# is asserted at the trace's end and nobody has read INTCSR; None: it is not."""
    last = 0
    since: int | None = None
    for time, line in timed(lines):
        last = time
        if isinstance(line, Note) and line.kind == "line":
            since = time if line.text == "1" else None
        elif since is not None and isinstance(line, Access) and same(line, INTCSR):
            since = time
    return None if since is None else last - since
