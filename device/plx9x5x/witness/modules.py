# SPDX-License-Identifier: Apache-2.0
"""The watched modules of a guest's kernel: whose code a program counter is, now and at an earlier time; and handlers.

Loads are counted for each module by its name: what is told of a driver does not depend on which others come and go.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, TypeVar

from plx9x5x.findings.place import Spot
from plx9x5x.witness.records import GONE, Record

MOST_MODULES: Final = 256
"""That are there at once."""
MOST_NAMES: Final = 1024
MOST_LOADS: Final = 4096
"""The newest loads that places are looked up in."""
LOOKED_BACK: Final = 256
"""Loads before a place that are tried as its own."""


@dataclass(slots=True, eq=False)
class Module:
    """A load of a module. `load` counts those of its name, `order` those of all modules, both from 1; `seq` is when."""

    name: str
    load: int
    order: int
    seq: int
    core: int
    core_size: int
    init: int
    init_size: int
    gone: bool = False

    def holds(self, pc: int) -> bool:
        """True if the code at `pc` is the module's."""
        return self.core <= pc < self.core + self.core_size or self.init <= pc < self.init + self.init_size


class Modules:
    """Those of one guest. All is bounded: the oldest is forgotten."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all: another guest."""
        self.count = 0
        """Loads of all modules."""
        self.newest: Module | None = None
        self._there: dict[int, Module] = {}
        """By the kernel's address of it."""
        self._by_name: dict[str, int] = {}
        self._history: list[Module] = []
        self._last: Module | None = None
        """Whose code the last place was: most often the next one is its, too."""

    def __len__(self) -> int:
        return len(self._there)

    @property
    def load(self) -> int:
        """Which load of it the module is that came last; 0 if none did."""
        return self.newest.load if self.newest is not None else 0

    def take(self, record: Record) -> Module | None:
        """Take a MODULE record; give the module that came or goes, None if it was not known."""
        number, core, core_size, init, init_size = record.a[:5]
        there = self._there.pop(number, None)
        if there is not None:
            there.gone = True
            if self._last is there:
                self._last = None
        if record.flags & GONE:
            return there
        load = self._by_name.pop(record.text, 0) + 1
        _drop_oldest(self._by_name, MOST_NAMES)
        self._by_name[record.text] = load
        self.count += 1
        module = Module(record.text, load, self.count, record.seq, core, core_size, init, init_size)
        self.newest = module
        _drop_oldest(self._there, MOST_MODULES)
        self._there[number] = module
        self._last = None
        if len(self._history) >= 2 * MOST_LOADS:
            del self._history[:MOST_LOADS]
        self._history.append(module)
        return module

    def at(self, pc: int) -> Module | None:
        """Whose code a program counter is now; the newest load, where there are several."""
        last = self._last
        if last is None or not last.holds(pc):
            last = next((it for it in reversed(self._there.values()) if it.holds(pc)), None)
            self._last = last if last is not None else self._last
        return last

    def at_time(self, pc: int, seq: int) -> Module | None:
        """Whose code it was then; of what is nobody's, whoever came last before."""
        end = bisect_right(self._history, seq, key=lambda it: it.seq)
        before = self._history[max(end - LOOKED_BACK, 0) : end]
        return next((it for it in reversed(before) if it.holds(pc)), before[-1] if before else None)


class Handlers:
    """Interrupt handlers: of all that modules register, that of the driver of this device."""

    def __init__(self) -> None:
        self._handlers: dict[str, Spot] = {}
        """By the module's name, the newest last."""
        self._users: dict[str, None] = {}
        """Modules that did something with this device. Handlers are told of to all devices of a guest."""
        self._entered: dict[int, None] = {}
        """Those that have begun."""

    def uses(self, module: Module | None) -> None:
        """A module called for this device, or accessed it."""
        if module is not None and module.name not in self._users:
            _drop_oldest(self._users, MOST_NAMES)
            self._users[module.name] = None

    def add(self, module: Module, spot: Spot) -> None:
        """It registered one."""
        self._handlers.pop(module.name, None)
        _drop_oldest(self._handlers, MOST_NAMES)
        self._handlers[module.name] = spot

    def enter(self, pc: int) -> None:
        """One begins."""
        if pc not in self._entered:
            _drop_oldest(self._entered, MOST_NAMES)
            self._entered[pc] = None

    def is_last(self, pc: int) -> bool:
        """True if it is the one of this device's driver."""
        spot = self.spot
        return spot is not None and spot.pc == pc

    @property
    def ran(self) -> Spot | None:
        """The one of this device's driver, if it has begun."""
        spot = self.spot
        return spot if spot is not None and spot.pc in self._entered else None

    @property
    def spot(self) -> Spot | None:
        """The last one of a module that uses the device; of any, while none has used it."""
        for name, spot in reversed(self._handlers.items()):
            if name in self._users or not self._users:
                return spot
        return None


_KeyT = TypeVar("_KeyT")
_ValueT = TypeVar("_ValueT")


def _drop_oldest(table: dict[_KeyT, _ValueT], most: int) -> None:
    """Make room for one more."""
    while len(table) >= most:
        del table[next(iter(table))]
