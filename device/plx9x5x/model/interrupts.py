# SPDX-License-Identifier: Apache-2.0
"""INTCSR's live bits and the pins that follow them: INTA# to the host, LINTo# and LSERR# to the local side.

All three are levels, worked out again after every change; CNTRL remembers that LINTo# or LSERR# was driven.

Source: PCI 9080 data book 1.02 figure 3-21 and the PLX SDK's handler for INTA#. UNVERIFIED: that `pci_enable` gates the
outbound queue too, the equations of LINTo# and LSERR#, when the two status bits of CNTRL are set.
"""

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from plx9x5x import events
from plx9x5x.events import IntaSource
from plx9x5x.peripheral import Pin
from plx9x5x.ports import Clock, IrqLine, TraceSink
from plx9x5x.regs import config as cfg
from plx9x5x.regs import dma, intr
from plx9x5x.regs.kernel import RegisterFile

if TYPE_CHECKING:
    from plx9x5x.model.engine import Channel


def _union(masks: Iterable[int]) -> int:
    return functools.reduce(operator.or_, masks)


_CHANNEL_ACTIVE: Final = (intr.INTCSR.dma0_active.mask, intr.INTCSR.dma1_active.mask)
_CHANNEL_ENABLE: Final = (intr.INTCSR.dma0_enable.mask, intr.INTCSR.dma1_enable.mask)
_TO_INTA: Final = dma.DmaMode.to_inta.mask
_NOT_MASTER: Final = (intr.INTCSR.not_dma0.mask, intr.INTCSR.not_dma1.mask)
_LAST_MASTER: Final = intr.INTCSR.not_direct_master.mask | intr.INTCSR.not_retry_abort.mask | sum(_NOT_MASTER)
_RECEIVED_ABORT: Final = cfg.PCISR.received_master_abort.mask | cfg.PCISR.received_target_abort.mask
_DOORBELL: Final = intr.INTCSR.doorbell_active.mask
_ABORT: Final = intr.INTCSR.abort_active.mask
_LINTI: Final = intr.INTCSR.local_active.mask
_LOCAL_DOORBELL: Final = intr.INTCSR.local_doorbell_active.mask
_BIST: Final = intr.INTCSR.bist_active.mask
_PCI_ENABLE: Final = intr.INTCSR.pci_enable.mask
_LOCAL_ENABLE: Final = intr.INTCSR.local_output_enable.mask
_NOT_EMPTY: Final = intr.OPQIS.not_empty.mask
_LINTO_STATUS: Final = intr.CNTRL.linto_status.mask
_LSERR_STATUS: Final = intr.CNTRL.lserr_status.mask
_LIVE: Final = _DOORBELL | _ABORT | _LINTI | _LOCAL_DOORBELL | _BIST | sum(_CHANNEL_ACTIVE)
"""INTCSR bits that follow their sources."""
_TO_HOST: Final = (
    (_DOORBELL, intr.INTCSR.doorbell_enable.mask),
    (_ABORT, intr.INTCSR.abort_enable.mask),
    (_LINTI, intr.INTCSR.local_enable.mask),
)
"""Status and enable of the sources of INTA#, but for DMA and the outbound queue."""
_NAMED: Final = (IntaSource.DOORBELL, IntaSource.ABORT, IntaSource.LINTI)
"""What events call them, in the same order."""
_CHANNEL_NAMED: Final = (IntaSource.DMA_0, IntaSource.DMA_1)

MAILBOX_WRITTEN: Final = (
    intr.INTCSR.mailbox0_written.mask,
    intr.INTCSR.mailbox1_written.mask,
    intr.INTCSR.mailbox2_written.mask,
    intr.INTCSR.mailbox3_written.mask,
)
"""INTCSR bits that tell the local side of MBOX0 to MBOX3."""

_TO_LOCAL: Final = (
    (_LOCAL_DOORBELL, intr.INTCSR.local_doorbell_enable.mask),
    (intr.INTCSR.pm_active.mask, intr.INTCSR.pm_enable.mask),
    (_BIST, _BIST),
    (sum(MAILBOX_WRITTEN), intr.INTCSR.mailbox_enable.mask),
)
"""Status and enable of the sources of LINTo#, but for DMA and the inbound queue."""

_BIST_START: Final = cfg.PCIBISTR.start.mask
_QUEUE_SOURCES: Final = intr.QSR.inbound_not_empty.mask
_SOURCES: Final = sum(_CHANNEL_ACTIVE) | _union(active for active, _ in (*_TO_HOST, *_TO_LOCAL))
"""INTCSR bits of which one has to be set for INTA# or LINTo#, but for the queues."""
_LSERR_SOURCES: Final = _ABORT | intr.INTCSR.parity_active.mask | intr.INTCSR.lserr_on_parity.mask
"""INTCSR bits of which one has to be set for LSERR#."""


class Interrupts:
    """Works on the two register files. `report_aborts` False keeps an abort out of INTCSR and thus off every pin."""

    def __init__(
        self,
        registers: RegisterFile,
        config: RegisterFile,
        *,
        irq: IrqLine,
        clock: Clock,
        trace: TraceSink,
        report_aborts: bool,
        served: Callable[[], None],
    ) -> None:
        self._regs, self._config = registers, config
        self._irq, self._clock, self._trace, self._served = irq, clock, trace, served
        self._report_aborts = report_aborts
        self.channels: Sequence[Channel] = ()
        self.linti = False
        """LINTi# as the board drives it."""
        self.powered = True
        """False in D3hot, which releases INTA#."""
        self._linto = self._lserr = False
        self.rises = 0
        """How often INTA# was asserted from here."""
        self._watchers: list[tuple[Pin, Callable[[bool], None]]] = []

    def watch(self, pin: Pin, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the level of LINTo# or LSERR#, now and on every change."""
        self._watchers.append((pin, changed))
        changed(self._level(pin))

    def board_gone(self) -> None:
        """Forget the board's side: its watchers and what it drove."""
        self._watchers.clear()
        self.linti = False

    def bus_error(self, channel: int, status: int) -> None:
        """Note a master or target abort: `status` is the PCISR bit, `channel` had the bus."""
        self._config.set_bits(cfg.PCISR, status, to=True)
        if self._report_aborts:
            self._regs.set_bits(intr.INTCSR, _LAST_MASTER, to=True)
            self._regs.set_bits(intr.INTCSR, _NOT_MASTER[channel], to=False)
        self.update()

    def status_written(self, status: int) -> None:
        """Take back who had the bus, once software cleared both abort bits of PCISR."""
        if not status & _RECEIVED_ABORT:
            self._regs.set_bits(intr.INTCSR, _LAST_MASTER, to=True)
        self.update()

    def update(self) -> None:
        """Work out INTCSR's live bits and the pins."""
        stored = self._regs.stored
        live = 0
        if stored[intr.L2PDBELL]:
            live |= _DOORBELL
        if stored[intr.P2LDBELL]:
            live |= _LOCAL_DOORBELL
        if self.linti:
            live |= _LINTI
        config = self._config.stored
        if self._report_aborts and config[cfg.PCISR] & _RECEIVED_ABORT:
            live |= _ABORT
        if config[cfg.PCIBISTR] & _BIST_START:
            live |= _BIST
        for channel in self.channels:
            if channel.interrupt:
                live |= _CHANNEL_ACTIVE[channel.index]
        before = stored[intr.INTCSR]
        value = before & ~_LIVE | live
        if value != before:
            self._regs[intr.INTCSR] = value
            self._served()
        inta = linto = False
        # Most updates find nothing that could drive a pin, and this is asked at each write of a DMA command.
        queues = stored[intr.QSR] & _QUEUE_SOURCES or stored[intr.OPQIS]
        if value & _SOURCES or queues:
            inta = self.powered and self._drives_inta(value)
            linto = self._drives_linto(value)
        if inta != self._irq.level:
            self.rises += inta
            self._served()
            self._irq.set(inta)
            if self._trace.enabled:
                self._trace.emit(events.LineChanged(self._clock.now(), inta))
        lserr = bool(value & _LSERR_SOURCES) and self._drives_lserr(value)
        if linto != self._linto or lserr != self._lserr:
            self._drive(linto, lserr)

    @property
    def sources(self) -> tuple[IntaSource, ...]:
        """What asserts INTA# now."""
        status = self._regs[intr.INTCSR]
        if not status & _PCI_ENABLE:
            return ()
        found = [
            _CHANNEL_NAMED[it.index]
            for it in self.channels
            if it.interrupt and status & _CHANNEL_ENABLE[it.index] and self._regs[it.names.mode] & _TO_INTA
        ]
        found += [name for name, (on, enable) in zip(_NAMED, _TO_HOST, strict=True) if status & on and status & enable]
        if self._regs[intr.OPQIS] & ~self._regs[intr.OPQIM] & _NOT_EMPTY:
            found.append(IntaSource.OUTBOUND_QUEUE)
        return tuple(found)

    def _level(self, pin: Pin) -> bool:
        return self._linto if pin is Pin.LINTO else self._lserr

    def _drives_inta(self, status: int) -> bool:
        if not status & _PCI_ENABLE:
            return False
        if self._any(_TO_HOST, status):
            return True
        if self._dma(status, _TO_INTA):
            return True
        return bool(self._regs[intr.OPQIS] & ~self._regs[intr.OPQIM] & _NOT_EMPTY)

    def _drives_linto(self, status: int) -> bool:
        if not status & _LOCAL_ENABLE:
            return False
        if self._any(_TO_LOCAL, status):
            return True
        if self._dma(status, 0):
            return True
        queue = intr.QSR(self._regs[intr.QSR])
        return queue.inbound_not_empty and not queue.inbound_mask

    def _drives_lserr(self, status: int) -> bool:
        if status & _ABORT and status & intr.INTCSR.lserr_on_abort.mask:
            return True
        if status & intr.INTCSR.parity_active.mask and status & intr.INTCSR.parity_enable.mask:
            return True
        if not status & intr.INTCSR.lserr_on_parity.mask:
            return False
        queue = intr.QSR(self._regs[intr.QSR])
        parity = self._config[cfg.PCISR] & cfg.PCISR.parity_error.mask
        return bool(parity) or (queue.overflow and not queue.overflow_mask)

    @staticmethod
    def _any(sources: Sequence[tuple[int, int]], status: int) -> bool:
        for active, enable in sources:  # noqa: SIM110 - `any` takes twice as long, and this is asked for each interrupt
            if status & active and status & enable:
                return True
        return False

    def _dma(self, status: int, routed: int) -> bool:
        """True if a channel whose mode has `routed` in the INTA# select bit asks for its pin."""
        for channel in self.channels:
            if channel.interrupt and status & _CHANNEL_ENABLE[channel.index]:
                mode = self._regs[channel.names.mode]
                if mode & _TO_INTA == routed:
                    return True
        return False

    def _drive(self, linto: bool, lserr: bool) -> None:
        """Set both pins, then tell who watches: a watcher may act on the chip, and so change them again."""
        changed = []
        if linto != self._linto:
            self._linto = linto
            changed.append((Pin.LINTO, linto, _LINTO_STATUS))
        if lserr != self._lserr:
            self._lserr = lserr
            changed.append((Pin.LSERR, lserr, _LSERR_STATUS))
        for _, level, note in changed:
            if level:
                self._regs.set_bits(intr.CNTRL, note, to=True)
        for pin, level, _ in changed:
            for watched, tell in tuple(self._watchers):
                if watched is pin and self._level(pin) is level:  # else it has been told of the newer one
                    tell(level)
