# SPDX-License-Identifier: Apache-2.0
"""Mistakes that are not told yet: the device used memory that was given back, and its stop may be on the way.

A stop by watched code is recorded before the call that gives the memory back. One by other code (a program in user
space, a module that nobody watches) is not, and it is posted. So what happened to memory that was given back lately
waits until all that had been written before has come, and is dropped if a write came that nobody recorded.

All has come

- once a read has come that a processor made after it had recorded the call, or something later: the way to the device
  keeps the order;
- or once nothing has come for `QUIET_NS`, in which the device was asked several times what there is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from plx9x5x.findings.place import Spot
from plx9x5x.witness.events import Mistake
from plx9x5x.witness.records import Kind, Record

QUIET_NS: Final = 100_000_000
STEPS: Final = 3
"""Steps of the device, between which its client is heard."""
MOST: Final = 64
"""Mistakes that wait; and writes that each waits with."""


@dataclass(slots=True)
class _Doubt:
    mistake: Mistake
    seq: int
    """Of the call that gave the memory back."""
    since_ns: int
    steps: int = 0
    writes: list[tuple[int, Spot]] = field(default_factory=list)
    """That came since, and which of all accesses each was."""


class Doubts:
    """Those of one device. `tell` takes what has become certain."""

    def __init__(self, tell: Callable[[Mistake], None], host_ns: Callable[[], int]) -> None:
        self._tell, self._host_ns = tell, host_ns
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self.settled = 0
        """All that was written to the device before the record with this number has come."""
        self._by_cpu: dict[int, int] = {}
        """The last record of each processor."""
        self._waiting: list[_Doubt] = []

    @property
    def any(self) -> bool:
        """True while a mistake waits."""
        return bool(self._waiting)

    def recorded(self, record: Record) -> None:
        """Take note of a record that is no access's."""
        if record.kind != Kind.TOUCH:  # told later than it happened, by whoever does something then
            self._by_cpu[record.cpu] = record.seq

    def accessed(self, cpu: int, seq: int, *, read: int = 0) -> None:
        """Take note of the record of an access; `read`: if that is a read which has come, which of all accesses."""
        by_cpu = self._by_cpu
        if read and (before := by_cpu.get(cpu, 0)) > self.settled:
            self.settled = before
            if self._waiting:
                self._decide(over=False, by=read)
        by_cpu[cpu] = seq

    def wrote(self, spot: Spot, number: int) -> None:
        """A write came, the access of that number; its place may be known later."""
        now = self._host_ns() if self._waiting else 0
        for doubt in self._waiting:
            if len(doubt.writes) < MOST:
                doubt.writes.append((number, spot))
                doubt.since_ns, doubt.steps = now, 0

    def add(self, mistake: Mistake, seq: int) -> None:
        """Have a mistake wait; more than can wait are left out, for they come again or are alike."""
        if len(self._waiting) < MOST:
            self._waiting.append(_Doubt(mistake, seq, self._host_ns()))

    def stepped(self) -> None:
        """The device was stepped, and its client heard before."""
        if self._waiting:
            for doubt in self._waiting:
                doubt.steps += 1
            self._decide(over=False)

    def conclude(self) -> None:
        """Nothing comes any more."""
        self._decide(over=True)

    def _decide(self, *, over: bool, by: int = 0) -> None:
        """`by` is the read that settles it: what came behind that is no part of it, and may not be recorded yet."""
        waiting, self._waiting = self._waiting, []
        now = self._host_ns() if waiting else 0
        for doubt in waiting:
            quiet = doubt.steps >= STEPS and now - doubt.since_ns >= QUIET_NS
            if not over and not quiet and doubt.seq > self.settled:
                self._waiting.append(doubt)
            elif all(spot.pc and spot.seq > doubt.seq for number, spot in doubt.writes if not by or number < by):
                self._tell(doubt.mistake)
