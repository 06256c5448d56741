# SPDX-License-Identifier: Apache-2.0
"""Register accesses, and what became of the transfers they started: a file that another process reads meanwhile.

::

    time scale 1, max step 1000000 ns    how the card's time follows the host's: the first line
    R 0 0x068 4 0x0f010100      read of BAR 0 at 0x68, 4 bytes wide, and what it gave
    W 1 0x0a8 1 0x03            write
    C 0x004 2 0x0007            write of configuration space; its reads leave no line
    start 0 chained             also: done 0 aborted, held 0 WHY, error 0 WHY, latched 0
    line 1                      INTA# was asserted (0: released)
    linti 1                     the board asserted LINTi# (0: released)
    useri 0                     the board drove USERi low (1: high)
    local W 0x064 0x00000001    the board wrote a register of the chip: a doorbell, a mailbox
    board WINDOW: TEXT          the board says something
    eot 0 ignored               the board asserted EOT# of channel 0; ignored: no data moves, or EOT# is not enabled
    dreq 0 driven               from now on the board drives DREQ# of channel 0 (free: no more)
    dreq 0 1                    the channel looked at DREQ#: the first time in a transfer, or it has changed since
    fault 2 SENTENCE; WHERE     the second planned fault (docs/faults.md) strikes, there
    reset WHY                   the chip is as after power-on, or as after a software reset
    idle                        the chip has done all that it can do by itself
    waiting                     so it has, but it looks again by itself: at a descriptor, or at what the board asks for
    full                        the file has reached its limit: nothing comes after this line

Before each of these stands the model's time in seconds, to the nanosecond; after an access to registers what was read
or written there, by name (regnames.py), and after two blanks who did it, for people. Readers drop all of that::

    12.000345678 W 0 0x0a8 1 0x03 ; DMACSR0=0x3 enable=1 start=1  my_start_dma() my_drv.c:212

The first line and `full` speak of the file and have no time. Traces of older versions have none at all, and no names;
they are read as well. docs/trace.md says all this to who reads a trace.

Where a witness is, a line waits a little for the place of its access. Else each line is one write, in the file before
the chip goes on. `idle` comes once after what it follows: a reader that has
seen it, and all accesses that it waits for before it, may look at memory and registers. `waiting` is said again while
it lasts, so a reader that has changed memory waits for two more: a look lies between them.

Two traces are compared in their normal form (`normal`): BAR accesses only, runs of equal ones as one, since how often
a status was polled says nothing about the chip.
"""

import difflib
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x import events
from plx9x5x.findings.place import Spot
from plx9x5x.trace import unpublished
from plx9x5x.units import MIB

LIMIT: Final = 64 * MIB
"""Some half a million accesses. A ring that never ends would fill the disk; this ends the trace instead."""

WAITING_NS: Final = 2_000_000
"""Quiet before `waiting` is said again; longer than the chip waits before it looks again, or for its bus."""

BOARD_SIDE: Final = frozenset(("linti", "useri", "eot", "dreq", "local", "board"))
"""Kinds of notes that say what the board does to its pins: they come between what software did and what came of it."""

_SECOND_NS: Final = 1_000_000_000
_STAMPED: Final = re.compile(r"([0-9]+)\.([0-9]{9}) ")
_NAMES: Final = " ; "
"""What stands between an access and its names."""
_WHERE: Final = "  "
"""What stands before the driver's line, after the names if there are any (lab.witness.places)."""

HELD_NS: Final = 50_000_000
"""A line waits so long for the place of its access, which is recorded once it has its answer."""
HELD_MOST: Final = 256
"""Lines that wait so at once."""
_LAST: Final = b"full\n"


@dataclass(frozen=True, slots=True)
class Access:
    """One access to a BAR. `width` in bytes."""

    is_write: bool
    bar: int
    offset: int
    width: int
    value: int

    def __str__(self) -> str:
        return (
            f"{'W' if self.is_write else 'R'} {self.bar} {self.offset:#05x} {self.width} {self.value:#0{self.digits}x}"
        )

    @property
    def digits(self) -> int:
        """Characters of the value with its 0x."""
        return 2 + 2 * self.width


@dataclass(frozen=True, slots=True)
class ConfigWrite:
    """One write of configuration space. `width` in bytes."""

    offset: int
    width: int
    value: int

    def __str__(self) -> str:
        return f"C {self.offset:#05x} {self.width} {self.value:#0{2 + 2 * self.width}x}"


@dataclass(frozen=True, slots=True)
class Note:
    """Any other line: its first word, and the rest."""

    kind: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.text}" if self.text else self.kind


Line = Access | ConfigWrite | Note

IDLE: Final = Note("idle")
WAITING: Final = Note("waiting")
FULL: Final = Note("full")


def line_of(event: object) -> Line | None:
    """Give the line that an event leaves, None for one that leaves none."""
    match event:
        case events.RegionAccess(bar=-1):
            return ConfigWrite(event.offset, event.width, event.value) if event.is_write else None
        case events.RegionAccess():
            return Access(event.is_write, event.bar, event.offset, event.width, event.value)
        case events.TransferStarted():
            return Note("start", f"{event.channel}{' chained' if event.chained else ''}")
        case events.TransferDone():
            return Note("done", f"{event.channel}{' aborted' if event.aborted else ''}")
        case events.TransferHeld():
            return Note("held", f"{event.channel} {event.reason}")
        case events.BusError():
            return Note("error", f"{event.channel} {event.kind.value} at {event.address:#x}, {event.purpose.value}")
        case events.InterruptLatched():
            return Note("latched", f"{event.channel}")
        case events.LineChanged():
            return Note("line", f"{int(event.level)}")
        case events.LocalInterruptChanged():
            return Note("linti", f"{int(event.level)}")
        case events.UserInputChanged():
            return Note("useri", f"{int(event.level)}")
        case events.LocalRegisterWritten():
            return Note("local", f"W {event.offset:#05x} {event.value:#010x}")
        case events.BoardSaid():
            return Note("board", f"{event.window}: {event.text}")
        case events.EotAsserted():
            return Note("eot", f"{event.channel}{'' if event.heeded else ' ignored'}")
        case events.DemandDriven():
            return Note("dreq", f"{event.channel} {'driven' if event.driven else 'free'}")
        case events.DemandSeen():
            return Note("dreq", f"{event.channel} {int(event.level)}")
        case events.ChipReset():
            return Note("reset", event.reason)
        case events.FaultStruck():
            return Note("fault", f"{event.number} {event.text}; {event.where}")
        case _:
            return None


def split_time(line: str) -> tuple[int | None, str]:
    """Take a line apart: the model's time in nanoseconds, None for a line without one, and the rest."""
    stamp = _STAMPED.match(line)
    if stamp is None:
        return None, line
    return int(stamp[1]) * _SECOND_NS + int(stamp[2]), line[stamp.end() :]


def parse(line: str) -> Line:
    """Read a line back, with a time, names and the driver's line or without. Raises: ValueError."""
    kind, _, rest = split_time(line)[1].partition(" ")
    if kind not in ("R", "W", "C"):
        return Note(kind, rest)
    try:
        words = rest.partition(_WHERE)[0].partition(_NAMES)[0].split(" ")
        numbers = [int(word, 0 if word.startswith("0x") else 10) for word in words]
        return ConfigWrite(*numbers) if kind == "C" else Access(kind == "W", *numbers)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"not a line of a register trace: {line!r}") from exc


class RegisterTrace:
    """Writes the trace to `path`; up to `limit` bytes, the last line included.

    It makes the file, for its owner alone; one that is there already, or a link, is an error. The first line is
    `header`, a kind and a text, if there is one. `names` says what an access to registers was, for people
    (`plx9x5x.trace.regnames.RegisterNames`). `place` gives the place in the driver's code of the access that is under
    way, which may be known a little later: then the line and those after it wait, `HELD_NS` at most.

    An error of the file system ends the trace as well, without a last line: a sink must not stop the chip.
    `trouble` then says what it was. Raises: OSError from the constructor.
    """

    def __init__(
        self,
        path: Path,
        *,
        limit: int = LIMIT,
        now: Callable[[], int] = time.monotonic_ns,
        header: str = "",
        names: Callable[[events.RegionAccess], str] = lambda _: "",
        place: Callable[[], Spot | None] = lambda: None,
    ) -> None:
        self.enabled = True
        self.trouble: str | None = None
        self.path: Final = path
        # Exclusive: neither another's file nor what a link points to.
        while not unpublished.claim(file := _make(path)):
            os.close(file)
        self._file = file
        self._left = limit - len(_LAST)
        self._now, self._names, self._place = now, names, place
        self._held: deque[tuple[str, Spot | None, int]] = deque()
        """Lines that wait for their place, or behind one that does; and since when."""
        self._news = False
        self._quiet_since = 0
        self._events = 0
        self._events_before = 0
        if header:
            self._write(header)

    def emit(self, event: object) -> None:
        """Write the event's line, if it has one."""
        if isinstance(event, events.StepEnded):
            self._stepped(event.time, goes_on=event.goes_on)
            return
        if not self.enabled or not isinstance(event, events.Event):
            return
        self._events += 1
        line = line_of(event)
        if line is not None:
            self._news = True
            names = self._names(event) if isinstance(event, events.RegionAccess) and event.registers else ""
            spot = self._place() if isinstance(line, Access) else None
            self._put(f"{_stamp(event.time)} {line}{_NAMES if names else ''}{names}", spot)

    def _stepped(self, at: int, *, goes_on: bool) -> None:
        """Say in which state a step left the chip.

        One that may find more to do by itself, but whose steps are without any other event, only looks in vain, at a
        descriptor that is not valid or a board that asks for nothing: it waits for others.
        """
        if self._held:
            self._let_go()
        nothing_happened = self._events == self._events_before
        self._events_before = self._events
        if not goes_on:
            if self._news:
                self._say(IDLE, at)
        elif not nothing_happened:
            self._quiet_since = self._now()
        elif self._news or self._now() - self._quiet_since >= WAITING_NS:
            self._quiet_since = self._now()
            self._say(WAITING, at)

    def close(self) -> None:
        """End the trace; events that still come are dropped. May be called twice."""
        self._let_go(all_of_them=True)
        self.enabled = False
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _say(self, state: Note, at: int) -> None:
        self._news = False
        if self.enabled:
            self._put(f"{_stamp(at)} {state}")

    def _put(self, line: str, spot: Spot | None = None) -> None:
        """Write a line, now or once its place is known."""
        if not self._held and (spot is None or spot.pc):
            self._write(f"{line}{_mark(spot)}")
        else:
            self._held.append((line, spot, self._now()))
            self._let_go()

    def _let_go(self, *, all_of_them: bool = False) -> None:
        """Write the lines whose place is known, or that have waited for long enough."""
        late = self._now() - HELD_NS
        while self._held:
            line, spot, since = self._held[0]
            waits = spot is not None and not spot.pc and since > late and len(self._held) <= HELD_MOST
            if waits and not all_of_them:
                return
            self._held.popleft()
            if self.enabled:
                self._write(f"{line}{_mark(spot)}")

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode("ascii", "replace")
        self._left -= len(data)
        try:
            if self._left < 0:
                self.enabled = False
                data = _LAST
                self.trouble = "the register trace is full: later accesses are not in it"
            whole = os.write(self._file, data) == len(data)
            problem = None if whole else "half a line was written"
        except OSError as exc:
            problem = exc.strerror
        if problem is not None:
            self.enabled = False
            self.trouble = f"the register trace ended early: {problem}"


def _mark(spot: Spot | None) -> str:
    """What stands for the driver's line until somebody has its debug information."""
    return f"{_WHERE}@{spot.pc:#x} #{spot.seq}" if spot is not None and spot.pc else ""


def _stamp(ns: int) -> str:
    seconds, rest = divmod(ns, _SECOND_NS)
    return f"{seconds}.{rest:09}"


def _make(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def normal(accesses: Iterable[Access]) -> tuple[Access, ...]:
    """Give the form that is compared: runs of equal accesses count as one."""
    kept: list[Access] = []
    for access in accesses:
        if not kept or access != kept[-1]:
            kept.append(access)
    return tuple(kept)


def difference(ours: Sequence[Access], theirs: Sequence[Access], *, names: tuple[str, str]) -> str | None:
    """Give the lines around each difference of two normal traces, None if they are equal. `names` are the sides'."""
    if tuple(ours) == tuple(theirs):
        return None
    left, right = ([str(access) for access in side] for side in (ours, theirs))
    lines = list(difflib.unified_diff(left, right, *names, lineterm="", n=4))
    return "\n".join(lines)
