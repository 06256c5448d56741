# SPDX-License-Identifier: Apache-2.0
"""A DMA channel that goes from START to DONE in C (walker.c) where nothing but plain memory has a say.

One call does as many transactions as the budget allows. Each is the reference's (engine.py) or is not begun: C stops
before it with the channel as it was, `stopped` says why, and the reference does it. So events, aborts, interrupts and
DONE come from one place, and a board, a pin or a watcher finds the channel as it always did. The channel's state is
Python's; it is copied into a C struct for the call and back, and no pointer outlives the call.
"""

import enum
import functools
from typing import TYPE_CHECKING, Final

from plx9x5x.model import _walker
from plx9x5x.model.engine import RECHECK_NS, Channel, State
from plx9x5x.model.localbus import LocalBus, Sram
from plx9x5x.model.transfer import Mode, Transfer, decode
from plx9x5x.plane.port import Mapped
from plx9x5x.plane.table import MappingTable

if TYPE_CHECKING:
    from plx9x5x.model._walker import Walk

_LIB: Final = _walker.lib

PRICE: Final = 256
"""What a transaction in C costs of the budget at least, in bytes. It takes 5 to 30 ns, about what copying so many does:
a step of 256 KiB of small descriptors ends after 13 us. Where each is looked up afresh among 65,536 mappings it takes
up to 400 ns, and the step as long as one of the reference, which does 32 transactions of 4 us."""

_STATES: Final = (State.FETCH, State.MOVE, State.RETIRE)
"""By their numbers in C."""


class Stop(enum.Enum):
    """Why the last transaction, or the next, is not C's."""

    BUDGET = _LIB.WALK_BUDGET
    """It is: there was no budget left."""
    END = _LIB.WALK_END
    """DONE, and what comes with it."""
    LOCAL = _LIB.WALK_LOCAL
    """The local address is not plain memory."""
    BUS = _LIB.WALK_BUS
    """The bus address will abort."""
    TERMINAL_COUNT = _LIB.WALK_TERMINAL_COUNT
    """An interrupt is to be latched."""
    MASTER = "the bus master looks at each access"
    TRACE = "each step is an event"
    STATE = "nothing to walk: a poll, or no transfer"
    SWAP = "BIGEND turns words"
    HELD = "the local address is held"
    DEMAND = "DREQ# paces the transfer"
    EOT = "EOT# may end the transfer"
    VALID = "descriptors have a valid bit"


_STOPS: Final = tuple(Stop(number) for number in range(_LIB.WALK_TERMINAL_COUNT + 1))


class NativeChannel(Channel):
    """A `Channel` whose `run` does what it can in C."""

    price = PRICE

    _foreign: Transfer | None = None
    """A transfer that met what is not plain memory: it would only be met again."""
    _plain: tuple[LocalBus, MappingTable] | None = None
    """The plain memory of a local bus."""
    _prepared: tuple[MappingTable, MappingTable, Mode, int] | None = None
    """What C has been told of what seldom changes."""
    stopped = Stop.STATE
    """Why C went no further, the last time."""

    @functools.cached_property
    def _walk(self) -> "Walk":
        return _walker.ffi.new("struct walk *")

    @functools.cached_property
    def _mapped(self) -> Mapped:
        assert isinstance(self.path.bus, Mapped), "channel_type() makes this class for no other bus"
        return self.path.bus

    def reset(self) -> None:
        """Forget everything, the board's memory too."""
        super().reset()
        self._foreign = self._plain = self._prepared = None

    def run(self, budget: int) -> int:
        """Do as many transactions as `budget` bytes pay for, or one that is the reference's; give what they cost."""
        bus = self._mapped.mappings
        mode = decode(self._regs[self.names.mode])
        stop = Stop.MASTER if bus is None else self._say(mode)
        if bus is None or stop is not None:
            self.stopped = stop or Stop.MASTER
            return self.step(budget)
        spent = self._go(bus, mode, budget)
        return spent if spent >= budget else spent + self.step(budget - spent)

    def _say(self, mode: Mode) -> Stop | None:
        """Tell who has a say in what comes next, or in the next descriptor of this mode."""
        state, transfer = self.state, self._transfer
        if self._trace.enabled:
            return Stop.TRACE
        if state is State.MOVE or state is State.RETIRE:
            if transfer is None or (transfer is self._foreign and state is State.MOVE):
                return Stop.LOCAL
            if transfer.swapped:
                return Stop.SWAP
            if transfer.mode is not mode and (stop := _special(transfer.mode)):
                return stop
        elif state is not State.FETCH:
            return Stop.STATE
        return _special(mode) or (Stop.SWAP if self._swapped(mode) else None)

    def _go(self, bus: MappingTable, mode: Mode, budget: int) -> int:
        """Walk; give what it cost."""
        walk, transfer, host = self._walk, self._transfer, self._host
        self._prepare(bus, mode)
        _LIB.walk_at(
            walk, _STATES.index(self.state), self._next, self._next_in_pci, self._terminal_count_pending,
            self.interrupt, self._regs[self.names.upper_address], host.last_bus_address,
        )  # fmt: skip
        if transfer is not None:
            _LIB.walk_with(
                walk, transfer.pci, transfer.upper, transfer.local, transfer.count, transfer.moved, transfer.pointer,
                transfer.size_word, transfer.size_word_in_pci, transfer.chained, transfer.mode.clear_count,
            )  # fmt: skip
        spent = _LIB.walk(walk, budget)
        self.stopped = _STOPS[walk.stop]
        if spent:
            self.state = _STATES[walk.state]
            self._next, self._next_in_pci = walk.next, walk.next_in_pci
            self._terminal_count_pending = walk.terminal_count_pending
            host.last_bus_address = walk.last_bus_address
            if walk.fetched:
                self._take(walk, mode)
            elif transfer is not None:
                transfer.moved = walk.moved
        if self.stopped is Stop.LOCAL:
            self._foreign = self._transfer
        return spent

    def _prepare(self, bus: MappingTable, mode: Mode) -> None:
        """Tell C what seldom changes: the tables, and what each fetch looks at in DMAMODE."""
        local = self._plain_memory()
        now = bus, local, mode, self.price
        if now != self._prepared:
            walk = self._walk
            walk.bus, walk.local, walk.price = bus.table, local.table, self.price
            walk.dac_chain, walk.clear_count, walk.count_to_pci = mode.dac_chain, mode.clear_count, self._count_to_pci
            self._prepared = now

    def _take(self, walk: "Walk", mode: Mode) -> None:
        """Make C's descriptor ours, and show it in the registers."""
        regs, names = self._regs, self.names
        self._transfer = Transfer(
            mode, walk.pci, walk.upper, walk.local_address, walk.count, walk.pointer, True, walk.size_word,
            walk.size_word_in_pci, 0, walk.moved,
        )  # fmt: skip
        regs[names.pci_address], regs[names.local_address] = walk.pci, walk.local_address
        regs[names.size], regs[names.pointer] = walk.size, walk.pointer
        if mode.dac_chain:
            regs[names.upper_address] = walk.upper
        self._poll_ns = RECHECK_NS

    def _plain_memory(self) -> MappingTable:
        """What of the local bus is plain memory: such a target does nothing but keep bytes."""
        local = self.path.local
        if self._plain is None or self._plain[0] is not local:
            table = MappingTable()
            for base, target in local.targets:
                if type(target) is Sram:
                    table.map(base, target.size, target.view(0, target.size), writable=True)
            self._plain = local, table
        return self._plain[1]


def _special(mode: Mode) -> Stop | None:
    """Tell what of a mode is the reference's."""
    if not (mode.hold_local or mode.demand or mode.eot_enable or mode.valid_mode):
        return None
    if mode.hold_local:
        return Stop.HELD
    if mode.demand:
        return Stop.DEMAND
    return Stop.EOT if mode.eot_enable else Stop.VALID
