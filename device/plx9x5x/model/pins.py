# SPDX-License-Identifier: Apache-2.0
"""The chip's local side: what the peripherals of a board can do to it.

The local side reads and writes the same registers as the host, with other rules for the doorbells and the mailboxes.

Source: PCI 9080 data book 1.02 (doorbells), PLX SDK (pins). UNVERIFIED: that reading a mailbox takes back its
interrupt.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Final

from plx9x5x import events
from plx9x5x.model.engine import Channel
from plx9x5x.model.interrupts import MAILBOX_WRITTEN, Interrupts
from plx9x5x.peripheral import Pin
from plx9x5x.ports import Clock, TraceSink
from plx9x5x.regs import config as cfg
from plx9x5x.regs import intr
from plx9x5x.regs.kernel import RegisterFile

_MAILBOX_BITS: Final = {
    offset: mask
    for mailbox, mask in zip(intr.MAILBOXES, MAILBOX_WRITTEN, strict=False)
    for offset in (mailbox.offset, *mailbox.aliases)
}


_ALWAYS_MAILBOX: Final = {box.offset: box.aliases[0] for box in intr.MAILBOXES if box.aliases}
"""Where the local side finds a mailbox whose place the host's queue ports may have taken."""


class LocalSide:
    """One chip's local side, shared by all its peripherals and by whoever plays the local processor."""

    def __init__(
        self,
        registers: RegisterFile,
        config: RegisterFile,
        interrupts: Interrupts,
        channels: Sequence[Channel],
        *,
        clock: Clock,
        trace: TraceSink,
    ) -> None:
        self._regs, self._config, self._interrupts, self._channels = registers, config, interrupts, channels
        self._clock, self._trace = clock, trace
        self._linti: set[object] = set()
        self._watchers: list[Callable[[bool], None]] = []
        self._user_out = False
        self.timers: Final[list[tuple[int, int, Callable[[], None]]]] = []
        """What is to be called, and when."""
        self._timers_made = 0

    def reset(self) -> None:
        """The board is new: nothing is driven, nobody watches."""
        self._linti.clear()
        self._tell_linti()
        self._watchers.clear()
        self.timers.clear()
        self._interrupts.board_gone()
        self._user_out = self._user_level
        self._regs.set_bits(intr.CNTRL, intr.CNTRL.user_in.mask, to=True)

    def new_pins(self) -> "Pins":
        """Give one more peripheral its pins."""
        return Pins(self)

    # -- pins --------------------------------------------------------------------------------------

    def now(self) -> int:
        """The model's clock, nanoseconds."""
        return self._clock.now()

    def call_at(self, time: int, call: Callable[[], None]) -> None:
        """Have `call` called by the first step at or after `time`."""
        self._timers_made += 1  # two of one time go in the order that they were asked for
        heapq.heappush(self.timers, (time, self._timers_made, call))

    def run_timers(self) -> None:
        """Call what is due now. What a call asks for anew at this very time waits for the next step."""
        now, last = self._clock.now(), self._timers_made
        while self.timers and self.timers[0][0] <= now and self.timers[0][1] <= last:
            heapq.heappop(self.timers)[2]()

    @property
    def wait_ns(self) -> int | None:
        """Nanoseconds until the next timer, or None."""
        return self.timers[0][0] - self._clock.now() if self.timers else None

    def drive_linti(self, level: bool, *, by: object = None) -> None:
        """Drive LINTi# on behalf of `by`."""
        (self._linti.add if level else self._linti.discard)(by)
        self._tell_linti()
        self._interrupts.linti = bool(self._linti)
        self._interrupts.update()

    def _tell_linti(self) -> None:
        """Say that the wire changed, if it did, before anything comes of it."""
        level = bool(self._linti)
        if level is not self._interrupts.linti and self._trace.enabled:
            self._trace.emit(events.LocalInterruptChanged(self._clock.now(), level))

    def drive_useri(self, level: bool) -> None:
        """Drive USERi."""
        self._regs.set_bits(intr.CNTRL, intr.CNTRL.user_in.mask, to=level)

    def demand(self, channel: int, ready: Callable[[], int] | None) -> None:
        """Say how DREQ# of a channel is driven. Raises: IndexError if the chip has no such channel."""
        self._channels[channel].drive_demand(ready)

    def assert_eot(self, channel: int) -> None:
        """Assert EOT# of a channel. Raises: IndexError if the chip has no such channel."""
        self._channels[channel].assert_eot()

    def watch(self, pin: Pin, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the pin's level, now and on every change."""
        if pin is Pin.USERO:
            self._watchers.append(changed)
            changed(self._user_level)
        else:
            self._interrupts.watch(pin, changed)

    def control_written(self) -> None:
        """Look at USERo after CNTRL changed."""
        level = self._user_level
        if level != self._user_out:
            self._user_out = level
            for changed in tuple(self._watchers):
                changed(level)

    @property
    def _user_level(self) -> bool:
        return bool(self._regs[intr.CNTRL] & intr.CNTRL.user_out.mask)

    # -- registers ---------------------------------------------------------------------------------

    def read_register(self, offset: int) -> int:
        """Read a dword register; MBOX0 to MBOX3 take their interrupt back."""
        value = self._regs.read(_ALWAYS_MAILBOX.get(offset, offset), 4)
        if offset in _MAILBOX_BITS:
            self._regs.set_bits(intr.INTCSR, _MAILBOX_BITS[offset], to=False)
            self._interrupts.update()
        return value

    def write_register(self, offset: int, value: int) -> None:
        """Write a dword register: ones clear P2LDBELL and set L2PDBELL, a mailbox tells nobody."""
        value &= 0xFFFF_FFFF
        mailbox = next((box for box in intr.MAILBOXES if offset in (box.offset, *box.aliases)), None)
        if mailbox is not None:
            self._regs[mailbox] = value
        elif offset == intr.P2LDBELL.offset:
            self._regs.set_bits(intr.P2LDBELL, value, to=False)
        elif offset == intr.L2PDBELL.offset:
            self._regs.set_bits(intr.L2PDBELL, value, to=True)
        else:
            self._regs.write(offset, 4, value)
        self._interrupts.update()

    def finish_self_test(self, code: int = 0, *, supported: bool = True) -> None:
        """Give the result of the built-in self test (0 is passed) and end it."""
        self._config[cfg.PCIBISTR] = code & cfg.PCIBISTR.code.mask | (cfg.PCIBISTR.supported.mask if supported else 0)
        self._interrupts.update()

    def wake_host(self) -> None:
        """Note a power management event: PME# would be driven."""
        self._config.set_bits(cfg.PMCSR, cfg.PMCSR.pme_status.mask, to=True)

    def parity_error(self) -> None:
        """Note a parity error on the local bus."""
        self._regs.set_bits(intr.INTCSR, intr.INTCSR.parity_active.mask, to=True)
        self._interrupts.update()


class Pins:
    """One peripheral's `plx9x5x.peripheral.LocalPins`: it drives LINTi# beside the others."""

    def __init__(self, side: LocalSide) -> None:
        self._side = side
        self.now = side.now
        self.drive_useri = side.drive_useri
        self.demand = side.demand
        self.assert_eot = side.assert_eot
        self.watch = side.watch
        self.call_at = side.call_at
        self.finish_self_test = side.finish_self_test
        self.wake_host = side.wake_host
        self.parity_error = side.parity_error
        self.read_register = side.read_register
        self.write_register = side.write_register

    def drive_linti(self, level: bool) -> None:
        """Drive LINTi# for this peripheral."""
        self._side.drive_linti(level, by=self)
