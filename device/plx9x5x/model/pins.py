# SPDX-License-Identifier: Apache-2.0
"""The chip's local side: what the peripherals of a board can do to it.

The local side reads and writes the same registers as the host, with other rules for the doorbells and the mailboxes.

Source: PCI 9080 data book 1.02 (doorbells), PLX SDK (pins). UNVERIFIED: that reading a mailbox takes back its
interrupt.
"""

import heapq
import operator
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from plx9x5x import events
from plx9x5x.model.boardside import Seat, one_line
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


NEVER: Final = 1 << 62
"""A time that does not come, 146 years on, ns: what a board asks for beyond it, it has asked for then."""

LONGEST_LINE: Final = 200
"""Characters of what a board says at once."""

_NOBODY: Final = 0xFFFF_FFFF
"""What a read gives that nobody answers."""

_REGISTERS: Final = 0x200
"""Bytes of registers, on the chip that has most."""


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
        self._due: deque[Callable[[], None]] = deque()
        """What is left to be called in this step."""
        self._timers_made = 0
        self._given_out: list[Pins] = []

    def reset(self) -> None:
        """The board is new: nothing is driven, nobody watches."""
        for pins in self._given_out:
            pins.let_go()
        self._given_out.clear()
        self._linti.clear()
        self._tell_linti()
        self._watchers.clear()
        self.timers.clear()
        self._due.clear()
        self._interrupts.board_gone()
        self._user_out = self._user_level
        self._regs.set_bits(intr.CNTRL, intr.CNTRL.user_in.mask, to=True)

    def new_pins(self, seat: Seat) -> "Pins":
        """Give one more peripheral its pins."""
        pins = Pins(self, seat)
        self._given_out.append(pins)
        return pins

    # -- pins --------------------------------------------------------------------------------------

    def now(self) -> int:
        """The model's clock, nanoseconds."""
        return self._clock.now()

    def call_at(self, time: int, call: Callable[[], None]) -> None:
        """Have `call` called by the first step at or after `time`."""
        self._timers_made += 1  # two of one time go in the order that they were asked for
        heapq.heappush(self.timers, (max(0, min(time, NEVER)), self._timers_made, call))

    def run_timers(self) -> None:
        """Call what is due now. What a call asks for anew, at whatever time, waits for the next step."""
        now = self._clock.now()
        while self.timers and self.timers[0][0] <= now:
            self._due.append(heapq.heappop(self.timers)[2])
        while self._due:
            self._due.popleft()()

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
        if self._trace.enabled and level is not bool(self._regs[intr.CNTRL] & intr.CNTRL.user_in.mask):
            self._trace.emit(events.UserInputChanged(self._clock.now(), level))
        self._regs.set_bits(intr.CNTRL, intr.CNTRL.user_in.mask, to=level)

    def demand(self, channel: int, ready: Callable[[], int] | None, *, words: bool = False) -> None:
        """Say how DREQ# of a channel is driven. Raises: IndexError if the chip has no such channel."""
        self._channels[channel].drive_demand(ready, words=words)

    def check_channel(self, channel: int) -> None:
        """Raises: IndexError if the chip has no such channel."""
        if channel not in range(len(self._channels)):
            raise IndexError(f"there is no DMA channel {channel!r}: they are 0 to {len(self._channels) - 1}")

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
        if self._trace.enabled:
            self._trace.emit(events.LocalRegisterWritten(self._clock.now(), offset, value))
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

    def log(self, window: str, text: str) -> None:
        """Pass on what a board says of itself, a line of at most `LONGEST_LINE` characters."""
        self._trace.emit(events.BoardSaid(self._clock.now(), window, one_line(text, LONGEST_LINE)))

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
    """One peripheral's `plx9x5x.peripheral.LocalPins`: it drives LINTi# beside the others.

    Raises, from every method: RuntimeError while the peripheral is only asked something; what it is given and cannot be
    is a TypeError, ValueError or IndexError. All of them come out in the board's own code.
    """

    def __init__(self, side: LocalSide, seat: Seat) -> None:
        self._side: Final = side
        self._seat: Final = seat
        self._old = False
        self.now: Final = side.now

    def let_go(self) -> None:
        """The board was built anew: what this peripheral still does, as its last call ends, reaches no pin."""
        self._old = True

    def drive_linti(self, level: bool) -> None:
        """Drive LINTi# for this peripheral."""
        self._may("drive_linti")
        if not self._old:
            self._side.drive_linti(bool(level), by=self)

    def drive_useri(self, level: bool) -> None:
        """Drive USERi."""
        self._may("drive_useri")
        if not self._old:
            self._side.drive_useri(bool(level))

    def demand(self, channel: int, ready: Callable[[], int] | None, *, words: bool = False) -> None:
        """Say how DREQ# of a channel is driven."""
        self._may("demand")
        self._side.check_channel(channel)
        if not self._old:
            asked = None if ready is None else self._seat.asking(channel, ready)
            self._side.demand(channel, asked, words=bool(words))

    def assert_eot(self, channel: int) -> None:
        """Assert EOT# of a channel."""
        self._may("assert_eot")
        self._side.check_channel(channel)
        if not self._old:
            self._side.assert_eot(channel)

    def watch(self, pin: Pin, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the pin's level, now and on every change."""
        self._may("watch")
        named: object = pin
        if not isinstance(named, Pin):
            raise TypeError(f"watch() was given {named!r}, which is no plx9x5x.peripheral.Pin")
        if not self._old:
            self._side.watch(pin, self._seat.called(f"watch({pin})", changed))

    def call_at(self, time: int, call: Callable[[], None]) -> None:
        """Have `call` called once the clock shows `time`."""
        self._may("call_at")
        given: object = time
        if not isinstance(given, int):
            raise TypeError(f"call_at() was given the time {given!r}, and takes whole nanoseconds")
        if not self._old:
            self._side.call_at(time, self._seat.called("call_at", call))

    def log(self, text: str) -> None:
        """Have a line in the trace."""
        if not self._old:
            self._side.log(self._seat.name, str(text))

    def finish_self_test(self, code: int = 0, *, supported: bool = True) -> None:
        """Give the result of the built-in self test."""
        self._may("finish_self_test")
        if not self._old:
            self._side.finish_self_test(code, supported=supported)

    def wake_host(self) -> None:
        """Note a power management event."""
        self._may("wake_host")
        if not self._old:
            self._side.wake_host()

    def parity_error(self) -> None:
        """Note a parity error on the local bus."""
        self._may("parity_error")
        if not self._old:
            self._side.parity_error()

    def read_register(self, offset: int) -> int:
        """Read a dword register; ones once the board was built anew."""
        self._may("read_register")
        at = _dword(offset)
        return _NOBODY if self._old else self._side.read_register(at)

    def write_register(self, offset: int, value: int) -> None:
        """Write a dword register."""
        self._may("write_register")
        at, data = _dword(offset), operator.index(value)
        if not self._old:
            self._side.write_register(at, data)

    def _may(self, what: str) -> None:
        if self._seat.asked is not None:
            raise RuntimeError(
                f"{what}() was called while {self._seat.asked.rstrip(',')} only has to answer: drive pins from an "
                "access, a timer or a pin's change"
            )


def _dword(offset: object) -> int:
    """Raises: TypeError, ValueError for what is no offset of a dword."""
    if not isinstance(offset, int):
        raise TypeError(f"{offset!r} is no register's offset")
    if offset & 3 or not 0 <= offset < _REGISTERS:
        raise ValueError(f"{offset:#x} is no dword register: offsets are those of BAR0, multiples of 4")
    return offset
