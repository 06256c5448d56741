# SPDX-License-Identifier: Apache-2.0
"""What a register trace says of INTA# on its way to gsc_hpdi's handler: the card's side of what the guest complains of.

On silicon a handler runs before the next access of the driver that caused the interrupt. Under QEMU it may run later:
its client takes the pin back at any access to a BAR, and raises it again from its main loop. The driver's stop aborts
DMA, which interrupts; if that comes only after the next start has begun, the driver takes it for the end of the new
command. The guest's program says ENDED then, and the trace that the card had INTA# asserted since before that start.

The driver starts the card nevertheless, so that a block or more of such a command may be read before it is found ended.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from plx9x5x.trace.regtrace import Access, Line, Note, parse, split_time

INTCSR, CSR = Access(False, 0, 0x68, 4, 0), Access(True, 0, 0xA8, 1, 0)
DMA0_ACTIVE, START = 1 << 21, 2
RX_RESET = Access(True, 2, 0x04, 4, 4)
"""gsc_hpdi's start begins with it, and ends with START."""


GOOD = re.compile(r"good: (\d+) bytes compared, (\d+) cycles, (\d+) repeated, ([\d.]+) s, (\d+) interrupts")
"""The guest's program's last line: bytes, cycles, commands that it repeated, seconds, interrupts."""

_ENDED = re.compile(r"^ENDED: command (\d+): by itself after (\d+) of \d+ bytes", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """What the guest's program says of a command that the driver ended."""

    command: int
    """Commands count from 1."""
    taken: int
    """Bytes that were read before, and compared."""


def ended_commands(output: str) -> list[Ended]:
    """Find those that the program named."""
    return [Ended(int(command), int(taken)) for command, taken in _ENDED.findall(output)]


def of_ended(output: str) -> int:
    """Bytes that the last run compared of commands that it then had to repeat."""
    *before, last = GOOD.finditer(output)
    own = output[before[-1].end() if before else 0 : last.start()]
    return sum(ended.taken for ended in ended_commands(own))


def most_repeated(cycles: int) -> int:
    """Give how often one run of the program may have to repeat a command.

    What a finite command leaves ends the next one: every second of `cycles`. A quarter of these were, and of those again a
    quarter, on an idle host and on one with more guests than cores; at that rate one run in a hundred thousand has more.
    """
    return 8 + cycles // 2


@dataclass(frozen=True)
class Late:
    """One interrupt; nanoseconds of the card's time."""

    command: int
    """Of the start that it came in; starts count from 1."""

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
    starts = 0
    start: tuple[int, int | None] | None = None
    """When the start began, and since when INTA# was asserted then."""
    for time, line in timed(lines):
        if isinstance(line, Note) and line.kind == "line":
            asserted = time if line.text == "1" else None
        elif line == RX_RESET:
            start = time, asserted
            starts += 1
        elif start and isinstance(line, Access):
            if same(line, CSR) and line.value & START:
                start = None
            elif same(line, INTCSR) and line.value & DMA0_ACTIVE and asserted is not None and asserted == start[1]:
                found.append(Late(starts, asserted, start[0], time))
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
