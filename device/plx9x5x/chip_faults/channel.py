# SPDX-License-Identifier: Apache-2.0
"""A DMA channel that fails by plan: what the chip's own does, but at the places where a fault can strike.

::

    START --START ignored--> (nothing)
      |                       a step: no grant, retry storm, slow bus
    MOVE --short transfer--> RETIRE --stuck busy--> hung (DONE 0) --abort, unless ABORT is ignored--> IDLE
                                    --late DONE---> waits ------------------------------------------> IDLE
"""

from typing import TYPE_CHECKING, Final

from plx9x5x.chip_faults import kinds as k
from plx9x5x.errors import TargetAbort
from plx9x5x.events import Purpose
from plx9x5x.faults.bus import injected
from plx9x5x.faults.injector import Injector, Live
from plx9x5x.faults.kinds import TRANSFER, Occurrence
from plx9x5x.model.engine import TRANSACTION_COST, Channel, State
from plx9x5x.regs import intr
from plx9x5x.regs.dma import ChannelRegisters, DmaCommand
from plx9x5x.units import BusAddr

if TYPE_CHECKING:
    from plx9x5x.model.engine import ChannelHost
    from plx9x5x.model.localbus import LocalBus
    from plx9x5x.model.transfer import Transfer
    from plx9x5x.ports import BusMaster, Clock, TraceSink
    from plx9x5x.regs.kernel import RegisterFile

_ABORT: Final = DmaCommand.abort.mask
_ENABLE: Final = DmaCommand.enable.mask
_RETRIES_END: Final = intr.INTCSR.retry_abort_enable.mask
_TOLD: Final = intr.INTCSR.abort_active.mask
"""It is 0 where aborts are kept out of INTCSR (`report_aborts`)."""
_NOT_RETRIES: Final = intr.INTCSR.not_retry_abort.mask
_DOING: Final = {State.FETCH: Purpose.DESCRIPTOR, State.POLL: Purpose.DESCRIPTOR, State.RETIRE: Purpose.WRITE_BACK}


class FaultyChannel(Channel):
    """A `Channel` with faults of `injector`."""

    def __init__(
        self,
        index: int,
        names: ChannelRegisters,
        *,
        injector: Injector,
        registers: "RegisterFile",
        bus: "BusMaster",
        local: "LocalBus",
        host: "ChannelHost",
        clock: "Clock",
        trace: "TraceSink",
        count_to_pci: bool,
    ) -> None:
        self._injector = injector
        self._hung: Live | None = None
        self._ends_at: int | None = None
        """When DONE comes, of a transfer that has ended otherwise."""
        self._not_before: int | None = None
        """When the bus is there, of a transaction that waits for it."""
        self._paid = False
        self._cut: tuple[Transfer, int] | None = None
        self._starved: Live | None = None
        self._asked = False
        """It is settled whether DREQ# comes in this transfer."""
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

    # -- START, ABORT ------------------------------------------------------------------------------

    def _start(self) -> None:
        self._injector.see(Occurrence(TRANSFER, self.index))
        if self._strike(k.START) is not None:
            return
        self._let_go()
        super()._start()

    def command(self, written: int, *, was_enabled: bool = False) -> None:
        """Act on a write to DMACSR; an ABORT may be ignored."""
        enabled = self._regs[self.names.command] & _ENABLE
        if written & _ABORT and not enabled and self.state is not State.IDLE and self._strike(k.ABORT) is not None:
            written &= ~_ABORT
        super().command(written, was_enabled=was_enabled)

    def reset(self) -> None:
        """Forget everything."""
        self._let_go()
        super().reset()

    def _let_go(self) -> None:
        self._hung = self._ends_at = self._not_before = self._cut = self._starved = None
        self._paid = self._asked = False

    def _strike(self, stream: str) -> Live | None:
        occurrence = Occurrence(stream, self.index)
        self._injector.see(occurrence)
        return self._injector.strike(occurrence)

    # -- what keeps it from going on ---------------------------------------------------------------

    @property
    def hung(self) -> str | None:
        """Why DONE will not come, while a fault keeps it away for good."""
        if self._hung is None or self._hung.ends_at is not None:
            return None
        return f"nothing ends the transfer but an abort (planned: {self._hung.planned.text})"

    @property
    def runnable(self) -> bool:
        """True if a step would do something now."""
        return self._waits_for() is None and super().runnable

    @property
    def wait_ns(self) -> int | None:
        """Nanoseconds until it looks again."""
        at = self._waits_for()
        if at is None:
            return super().wait_ns
        return None if at < 0 or not self.under_way else max(0, at - self._now())

    def _waits_for(self) -> int | None:
        """When a fault lets it go on; -1 is never by itself, None is now."""
        if self._hung is not None:
            ends = self._hung.ends_at
            if ends is None:
                return -1
            if self._now() < ends:
                return ends
            self._hung = None
        at = self._ends_at if self._ends_at is not None else self._not_before
        return at if at is not None and self._now() < at else None

    # -- a step ------------------------------------------------------------------------------------

    def step(self, budget: int) -> int:
        """Do one bus transaction, or end what has waited for its end."""
        if self._ends_at is not None:
            self._ends_at = None
            super()._end(aborted=False)
            return TRANSACTION_COST
        self.path.bus_bytes = 0
        if not self._paid and (live := self._strike(k.TURN)) is not None:
            self._has_no_turn(live)
            return TRANSACTION_COST
        self._paid = False
        self._not_before = None
        return super().step(budget)

    def _has_no_turn(self, live: Live) -> None:
        if live.kind.name == k.SLOW_BUS:
            self._paid = True
            self._not_before = self._now() + live.planned.number("by", 0)
        elif live.kind.name == k.RETRIES and self._regs[intr.INTCSR] & _RETRIES_END:
            self._fail(injected(TargetAbort(self._where(), moved=0), live.planned.text), self._doing)
            if self._regs[intr.INTCSR] & _TOLD:
                self._regs.set_bits(intr.INTCSR, _NOT_RETRIES, to=False)
        else:
            self._hung = live

    @property
    def _doing(self) -> Purpose:
        return _DOING.get(self.state, Purpose.DATA)

    def _where(self) -> BusAddr:
        """The bus address of the next transaction."""
        transfer = self._transfer
        if self._doing is Purpose.DESCRIPTOR or transfer is None:
            return BusAddr(self._next)
        if self._doing is Purpose.WRITE_BACK:
            return BusAddr(transfer.size_word)
        return BusAddr(transfer.upper << 32 | (transfer.pci + transfer.moved) & 0xFFFF_FFFF)

    def _move(self, budget: int) -> int:
        transfer = self._current()
        if self._cut is None and not transfer.moved and (live := self._strike(k.MOVE)) is not None:
            self._cut = transfer, min(live.planned.number("of", transfer.count // 2), transfer.count)
        if self._cut is not None and self._cut[0] is transfer:
            room = self._cut[1] - transfer.moved
            if room <= 0:
                self._cut = None
                self._eot = True
            else:
                budget = min(budget, room)
        return super()._move(budget)

    def _demanded(self, transfer: "Transfer") -> int:
        if not self._asked:
            self._asked = True
            self._starved = self._strike(k.DEMAND)
        starved = self._starved
        if starved is not None and (starved.ends_at is None or self._now() < starved.ends_at):
            return 0
        return super()._demanded(transfer)

    def _end(self, *, aborted: bool) -> None:
        if not aborted and self._ends_at is None and (live := self._strike(k.END)) is not None:
            if live.kind.name == k.LATE_DONE:
                self._ends_at = self._now() + live.planned.number("by", 0)
            elif live.ends_at is not None:
                self._ends_at = live.ends_at
            else:
                self._hung = live
            return
        self._let_go()
        super()._end(aborted=aborted)

    def _latch(self) -> None:
        if self._strike(k.LATCH) is None:
            super()._latch()
