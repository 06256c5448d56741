# SPDX-License-Identifier: Apache-2.0
"""A device that fails by plan: a decorator around `plx9x5x.ports.PciDevice`.

It offers no pages of plain registers, so that every access comes here.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from plx9x5x.faults.bus import FaultyBus
from plx9x5x.faults.injector import Injector, Live
from plx9x5x.faults.kinds import CONFIG, READ, WRITE, Effect, Occurrence
from plx9x5x.faults.line import FaultyLine
from plx9x5x.ports import PciDevice, RegionSpec, ResetKind

_MOST_SEEN: Final = 1024
"""Places of which is kept what they were read as: a BAR has more, and a guest may read them all."""

SPIN: Final = 4096
"""Reads of one register, that faults answer alike, after which software does nothing but wait."""


class Hears(Protocol):
    """Whoever has to know what the plan did to software's accesses, so that it is not blamed on the driver."""

    def misled(self, occurrence: Occurrence, live: Live) -> None:
        """A read gave, or a write did, something else."""
        ...

    def passed(self, occurrence: Occurrence) -> None:
        """A read, or a write, did as it should."""
        ...

    def spins(self, occurrence: Occurrence, value: int, reads: int, fault: str) -> None:
        """Software has read a register so often, without a write, and will be given the same `value` by a fault."""
        ...

    def taken_away(self, fault: str) -> None:
        """The device was reset, by nobody's wish."""
        ...

    def forget(self) -> None:
        """The client has reset the device, or is gone: what was wrong before is over."""
        ...


class FaultyDevice:
    """`device` with faults; `bus` and `line` are those that it was made with."""

    def __init__(self, device: PciDevice, injector: Injector, bus: FaultyBus, line: FaultyLine, hears: Hears) -> None:
        self._device, self._injector, self._bus, self._line, self._hears = device, injector, bus, line, hears
        self._gone = False
        self._deep = 0
        """How many calls of the device are under way: a reset waits for their end."""
        self._later: list[Callable[[], None]] = []
        self._seen: dict[tuple[int, int, int], int] = {}
        """What reads gave last, while some fault wants to know."""
        self._spinning: tuple[int, int, int, int] | None = None
        """What is read over and over, and what that gives."""
        self._reads = 0
        self._remembers = any(live.kind.effect is Effect.STALE for live in injector.lives)
        injector.on("surprise removal", self._remove, self._come_back)
        injector.on("reset", self._reset)

    @property
    def regions(self) -> Sequence[RegionSpec]:
        """BAR0 to BAR5."""
        return self._device.regions

    # -- accesses ----------------------------------------------------------------------------------

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read a BAR."""
        return self._read(bar, offset, width, lambda: self._device.read(bar, offset, width))

    def config_read(self, offset: int, width: int) -> int:
        """Read configuration space."""
        return self._read(CONFIG, offset, width, lambda: self._device.config_read(offset, width))

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write a BAR."""
        self._write(bar, offset, width, data, lambda value: self._device.write(bar, offset, width, value))

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write configuration space."""
        self._write(CONFIG, offset, width, data, lambda value: self._device.config_write(offset, width, value))

    def _read(self, bar: int, offset: int, width: int, read: Callable[[], int]) -> int:
        occurrence = Occurrence(READ, bar=bar, offset=offset, width=width)
        self._tick()
        ones = (1 << 8 * width) - 1
        self._deep += 1
        try:
            self._injector.see(occurrence)
            gone = self._gone
            live = None if gone else self._injector.strike(occurrence)
            value = ones if gone else read() & ones
        finally:
            self._leave()
        if gone:
            self._count(occurrence, ones, "the card is gone: nobody answers")
            return ones
        key = (bar, offset, width)
        if live is not None:
            value = self._misread(live, occurrence, value) & ones
            self._hears.misled(occurrence, live)
            self._count(occurrence, value, live.planned.text)
        else:
            self._hears.passed(occurrence)
        if self._remembers and (key in self._seen or len(self._seen) < _MOST_SEEN):
            self._seen[key] = value
        return value

    def _count(self, occurrence: Occurrence, value: int, fault: str) -> None:
        """Note a read that a fault answers; say once when there were many of the same."""
        this = (occurrence.bar, occurrence.offset, occurrence.width, value)
        self._reads = self._reads + 1 if this == self._spinning else 1
        self._spinning = this
        if self._reads == SPIN:
            self._hears.spins(occurrence, value, SPIN, fault)

    def _misread(self, live: Live, occurrence: Occurrence, value: int) -> int:
        kind, place = live.kind, live.planned.place
        if kind.effect is Effect.STALE:
            key = (occurrence.bar, occurrence.offset, occurrence.width)
            if key not in live.memory and len(live.memory) >= _MOST_SEEN:
                return value
            return live.memory.setdefault(key, self._seen.get(key, value))
        if place is None:
            return live.planned.number("=", kind.bits or -1)
        shared = place.overlap(occurrence.bar, occurrence.offset, occurrence.width)
        if shared is None:
            return value
        ours, theirs, count = shared
        if kind.effect is Effect.STUCK_BIT:
            bit = live.planned.number("", 0) - 8 * theirs
            if not 0 <= bit < 8 * count:
                return value
            mask = 1 << bit + 8 * ours
            return value | mask if live.planned.number("=", 0) else value & ~mask
        told = live.planned.number("=", kind.bits)
        # Whoever says no value gets ones, however wide the register is.
        wanted = -1 if told == -1 else told >> 8 * theirs
        mask = (1 << 8 * count) - 1
        return value & ~(mask << 8 * ours) | (wanted & mask) << 8 * ours

    def _write(self, bar: int, offset: int, width: int, data: int, write: Callable[[int], None]) -> None:
        occurrence = Occurrence(WRITE, bar=bar, offset=offset, width=width, value=data)
        self._tick()
        self._reads = 0
        self._deep += 1
        try:
            self._injector.see(occurrence)
            if self._gone:
                return
            live = self._injector.strike(occurrence)
            if live is None:
                write(data)
                self._hears.passed(occurrence)
                return
            self._hears.misled(occurrence, live)
            place = live.kind.place
            if live.kind.effect is Effect.IGNORE_BITS and place is not None:
                ours, theirs, _ = place.overlap(bar, offset, width) or (0, 0, 0)
                write(data & ~(live.kind.bits >> 8 * theirs << 8 * ours))
        finally:
            self._leave()

    # -- life --------------------------------------------------------------------------------------

    def reset(self, kind: ResetKind) -> None:
        """Go back to the power-on state; the plan begins afresh for another client."""
        self._device.reset(kind)
        self._hears.forget()
        if kind is ResetKind.LOST_CLIENT:
            self._seen.clear()
            self._later.clear()
            self._bus.gone = self._gone = False
            self._injector.restart()
            self._line.restart()

    def step(self, budget: int) -> bool:
        """Do DMA work."""
        self._tick()
        if self._gone:
            return False
        self._deep += 1
        try:
            return self._device.step(budget)
        finally:
            self._leave()

    def wait_ns(self) -> int | None:
        """Until the device, or the plan, has something to do."""
        at = [it for it in (self._injector.next_at(), self._line.next_at()) if it is not None]
        clock = self._injector.clock
        # Asked first: a look at the clock takes back what the device tells it to expect.
        mine = max(0, min(at) - clock.now()) if at else None
        wait = None if self._gone else self._device.wait_ns()
        if mine is None:
            return wait
        expected = clock.expect(mine) or 0
        return expected if wait is None else min(wait, expected)

    def _tick(self) -> None:
        self._injector.tick()
        self._line.tick()

    # -- what is done at once ----------------------------------------------------------------------

    def _leave(self) -> None:
        self._deep -= 1
        while self._later and not self._deep:
            self._later.pop(0)()

    def _soon(self, action: Callable[[], None]) -> None:
        """Do it now, or once the device has done what it is at."""
        if self._deep:
            self._later.append(action)
        else:
            action()

    def _remove(self, live: Live) -> None:
        del live
        self._gone = self._bus.gone = self._line.gone = True

    def _come_back(self, live: Live) -> None:
        self._gone = self._bus.gone = False
        self._soon(lambda: self._taken_away(live))
        self._line.gone = False

    def _reset(self, live: Live) -> None:
        self._soon(lambda: self._taken_away(live))

    def _taken_away(self, live: Live) -> None:
        self._hears.taken_away(live.planned.text)
        self._device.reset(ResetKind.POWER_ON)
