# SPDX-License-Identifier: Apache-2.0
"""A DMA channel that moves in C (walker.c) where nothing but plain memory has a say.

Each transaction of C's is the reference's (engine.py) or is not begun: C stops before it with the channel as it was,
`stopped` says why, and the reference does it. So aborts, held addresses, pins and watchers come from one place. While
the channel is lent, its state is C's; `state` takes it back, and the reference asks for that before anything else.
"""

import enum
from typing import TYPE_CHECKING, Final

from plx9x5x import events
from plx9x5x.model import _card
from plx9x5x.model.engine import RECHECK_NS, Channel, ChannelHost, State
from plx9x5x.model.localbus import LocalBus, Sram
from plx9x5x.model.transfer import Mode, Transfer, decode
from plx9x5x.plane.table import MappingTable
from plx9x5x.ports import BusMaster, Clock, TraceSink
from plx9x5x.regs.dma import ChannelRegisters
from plx9x5x.regs.kernel import RegisterFile

if TYPE_CHECKING:
    from plx9x5x.model.native_card import NativeCard

_LIB: Final = _card.lib

PRICE: Final = 256
"""What a transaction in C costs of the budget at least, in bytes. It takes 5 to 30 ns, about what copying so many
does: a step of 256 KiB of small descriptors ends after 13 us. Where each is looked up afresh among 65,536 mappings it
takes up to 400 ns, and the step as long as one of the reference, which does 32 transactions of 4 us."""

_IN_C: Final = ("transfers", "chains", "descriptors", "to_pci", "to_local", "raised", "acknowledged")
"""What of a tally C counts too."""

_STATES: Final = (State.FETCH, State.MOVE, State.RETIRE, State.IDLE)
"""By their numbers in C."""


class Stop(enum.Enum):
    """Why the last transaction, or the next, is not C's."""

    BUDGET = _LIB.WALK_BUDGET
    """It is: there was no budget left."""
    DONE = _LIB.WALK_DONE
    """There is none: the transfer is over."""
    LATCH = _LIB.WALK_LATCH
    """An interrupt is to be latched that drives more than INTA#."""
    LOCAL = _LIB.WALK_LOCAL
    """The local address is not plain memory."""
    BUS = _LIB.WALK_BUS
    """The bus address will abort."""
    MODE = _LIB.WALK_MODE
    """DMAMODE or BIGEND has changed meanwhile, and is one of those below."""
    ODD = _LIB.WALK_ODD
    """A descriptor moves nothing or wraps, and nobody has been told of one."""
    MASTER = "the bus master looks at each access"
    TRACE = "each step is an event"
    STATE = "nothing to walk: a poll, or no transfer"
    SWAP = "BIGEND turns words"
    HELD = "the local address is held"
    DEMAND = "DREQ# paces the transfer"
    EOT = "EOT# may end the transfer"
    VALID = "descriptors have a valid bit"


_STOPS: Final = tuple(Stop(number) for number in range(_LIB.WALK_ODD + 1))


class NativeChannel(Channel):
    """A `Channel` whose `run` does what it can in C. `native` is the chip's part of the plane."""

    def __init__(
        self,
        index: int,
        names: ChannelRegisters,
        *,
        native: "NativeCard",
        registers: RegisterFile,
        bus: BusMaster,
        local: LocalBus,
        host: ChannelHost,
        clock: Clock,
        trace: TraceSink,
        count_to_pci: bool,
    ) -> None:
        walk = native.walk(index)
        self._native, self._walk, self._card = native, walk, native.card
        self._state = State.IDLE
        self._foreign: Transfer | None = None
        """A transfer that met what is not plain memory: it would only be met again."""
        self._plain: tuple[LocalBus, MappingTable] | None = None
        """The plain memory of a local bus."""
        self._had_a_say: Stop | None = Stop.STATE
        """What kept C from it, the last time; None if it began."""
        walk.count_to_pci = count_to_pci
        self.price = PRICE
        super().__init__(
            index,
            names,
            registers=registers,
            bus=bus,
            local=local,
            host=host,
            clock=clock,
            trace=trace,
            count_to_pci=count_to_pci,
        )
        native.add(self)

    @property
    def price(self) -> int:
        """What a transaction in C costs of the budget at least."""
        return self._walk.price

    @price.setter
    def price(self, price: int) -> None:
        self._walk.price = price

    @property
    def stopped(self) -> Stop:
        """Why C went no further, the last time."""
        self.settle()
        return self._had_a_say or _STOPS[self._walk.stop]

    @property
    def state(self) -> State:
        """Where the channel is; it is not lent any more."""
        if self._card.news:
            self.settle()
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if (state is State.IDLE) is not (self._state is State.IDLE):
            self._walk.idle = state is State.IDLE
        self._state = state

    @property
    def interrupt(self) -> bool:
        """The channel's interrupt latch."""
        return self._walk.interrupt

    @interrupt.setter
    def interrupt(self, latched: bool) -> None:
        self._walk.interrupt = latched

    def settle(self) -> None:
        """Have Python know what became of all channels in C."""
        if not self._card.news:
            return
        last = self._native.take_back()
        if last is not None:
            self._host.last_bus_address = last

    @property
    def tally(self) -> events.ChannelTally:
        """What the channel has done since `forget_tally`, in C and here."""
        tally = super().tally
        for name in _IN_C:
            setattr(tally, name, getattr(tally, name) + getattr(self._walk, name))
        return tally

    def forget_tally(self) -> None:
        """Count afresh, for another client."""
        super().forget_tally()
        for name in _IN_C:
            setattr(self._walk, name, 0)

    def say_again(self) -> None:
        """What has been said once may be said again, of another driver."""
        super().say_again()
        self._walk.empty_told = self._walk.wrap_told = False

    def _look_for_odd(self, transfer: Transfer, descriptor: int | None) -> None:
        super()._look_for_odd(transfer, descriptor)
        self._walk.empty_told, self._walk.wrap_told = self._told_of_empty, self._told_of_wrap

    def reset(self) -> None:
        """Forget everything, the board's memory too."""
        super().reset()
        self._foreign = None
        self._forget_local()

    def see_board(self, local: LocalBus) -> None:
        """The local bus is another one; a board that started a transfer while it was built spoke of the old one."""
        super().see_board(local)
        self._forget_local()

    def command(self, written: int, *, was_enabled: bool = False) -> None:
        """Act on a write to DMACSR, after ENABLE was stored; `was_enabled` says what it was before."""
        self._know_local()
        self._poll_ns = RECHECK_NS
        if self._trace.enabled or not self._native.command(self.index, written):
            self.settle()
            super().command(written, was_enabled=was_enabled)
        else:
            self._native.drive_inta()

    def run(self, budget: int) -> int:
        """Do as many transactions as `budget` bytes pay for, or one that is the reference's; give what they cost."""
        self._had_a_say = self._say()
        if self._had_a_say is not None:
            return self.step(budget)
        self._lend()
        spent = _LIB.walk(self._walk, budget)
        self.settle()
        self._native.drive_inta()
        if self.stopped is Stop.LOCAL:
            self._foreign = self._transfer
        return spent if spent >= budget or self.stopped is Stop.DONE else spent + self.step(budget - spent)

    def _say(self) -> Stop | None:
        """Tell who has a say in what comes next, or in the next descriptor of this mode."""
        state, transfer, mode = self.state, self._transfer, decode(self._regs[self.names.mode])
        if not self._native.reach():
            return Stop.MASTER
        if self._trace.enabled or self._host.thorough:
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

    def _lend(self) -> None:
        """Give the channel's state to C."""
        self._know_local()
        walk, transfer = self._walk, self._transfer
        self._card.news = True
        walk.empty = self._empty
        _LIB.walk_at(walk, _STATES.index(self._state), self._next, self._next_in_pci, self._terminal_count_pending)
        if transfer is not None:
            _LIB.walk_with(
                walk, transfer.pci, transfer.upper, transfer.local, transfer.count, transfer.moved, transfer.pointer,
                transfer.size_word, transfer.size_word_in_pci, transfer.chained, transfer.mode.clear_count,
            )  # fmt: skip

    def take_back(self) -> None:
        """Have the channel's state again."""
        walk = self._walk
        walk.lent = False
        if not walk.touched:
            return
        walk.touched = False
        self._had_a_say, self._poll_ns = None, RECHECK_NS
        state = self._state = _STATES[walk.state]
        self._next, self._next_in_pci = walk.next, walk.next_in_pci
        self._terminal_count_pending = walk.terminal_count_pending
        self._empty = walk.empty
        if state is State.IDLE:
            self._transfer = None
        elif walk.fetched:
            self._transfer = Transfer(
                mode=decode(walk.mode),
                pci=walk.pci,
                upper=walk.upper,
                local=walk.local_address,
                count=walk.count,
                pointer=walk.pointer,
                chained=walk.chained,
                size_word=walk.size_word,
                size_word_in_pci=walk.size_word_in_pci,
                moved=walk.moved,
            )
        elif self._transfer is not None:
            self._transfer.moved = walk.moved

    def _forget_local(self) -> None:
        self._walk.local = _card.ffi.NULL
        self._plain = None

    def _know_local(self) -> None:
        """Tell C what of the local bus is plain memory: such a target does nothing but keep bytes."""
        local = self.path.local
        if self._plain is not None and self._plain[0] is local:
            return
        table = MappingTable()
        for base, target in local.targets:
            if type(target) is Sram:
                table.map(base, target.size, target.view(0, target.size), writable=True)
        self._plain = local, table
        self._walk.local = table.table


def _special(mode: Mode) -> Stop | None:
    """Tell what of a mode is the reference's."""
    if not (mode.hold_local or mode.demand or mode.eot_enable or mode.valid_mode):
        return None
    if mode.hold_local:
        return Stop.HELD
    if mode.demand:
        return Stop.DEMAND
    return Stop.EOT if mode.eot_enable else Stop.VALID
