# SPDX-License-Identifier: Apache-2.0
"""INTA# that fails by plan: a decorator around `plx9x5x.ports.IrqLine`.

The device sees the level that it drives; what reaches the host may be another. A pulse is one delivery: a line that
rises and falls at once makes a client interrupt its guest once. While the host is being interrupted, or has masked the
line, it would see nothing of it: the pulse waits until it can, however long that takes. Another one that comes
meanwhile is one with it, as on a line that is low already.
"""

from typing import Final

from plx9x5x.faults.injector import Injector, Live
from plx9x5x.faults.kinds import INTERRUPT, Effect, Occurrence
from plx9x5x.ports import IrqLine

AGAIN_NS: Final = 100_000
"""How long a pulse that nobody could take waits before it is tried again, at first; then each time twice as long."""
AGAIN_MOST_NS: Final = 10_000_000


class FaultyLine:
    """What a device drives, and what comes of it. `gone` is a device that is pulled out."""

    def __init__(self, pin: IrqLine, injector: Injector) -> None:
        self._pin, self._injector = pin, injector
        self._level = self._gone = False
        self.withheld = False
        """The device drives the line, and the host has not been told."""
        self._late_at: int | None = None
        self._doubles = False
        self._stuck: Live | None = None
        self._pulse_at: int | None = None
        self._again_ns = AGAIN_NS
        injector.on("spurious interrupt", lambda _: self.pulse())

    @property
    def level(self) -> bool:
        """What the device drives."""
        return self._level

    @property
    def sent(self) -> int:
        """Edges that somebody took, where the line counts them."""
        return int(getattr(self._pin, "sent", 0))

    @sent.setter
    def sent(self, count: int) -> None:
        if hasattr(self._pin, "sent"):
            self._pin.sent = count

    def set(self, level: bool) -> None:
        """Drive the line."""
        if level == self._level:
            return
        self._level = level
        if level:
            self._rise()
        else:
            self._fall()

    def _rise(self) -> None:
        occurrence = Occurrence(INTERRUPT)
        self._injector.see(occurrence)
        live = self._injector.strike(occurrence)
        effect = None if live is None else live.kind.effect
        if effect is Effect.LOST:
            self.withheld = True
        elif effect is Effect.LATE and live is not None:
            self.withheld = True
            self._late_at = self._injector.clock.now() + live.planned.number("by", 0)
        else:
            self._doubles = effect is Effect.DOUBLE
            self._stuck = live if effect is Effect.STUCK else self._stuck
            self._drive(True)

    def _fall(self) -> None:
        self.withheld, self._late_at = False, None
        self._drive(self._is_stuck())
        if self._doubles:
            self._doubles = False
            self.pulse()

    def _is_stuck(self) -> bool:
        if self._stuck is not None and not self._lasts(self._stuck):
            self._stuck = None
        return self._stuck is not None

    def _lasts(self, live: Live) -> bool:
        return live.ends_at is None or self._injector.clock.now() < live.ends_at

    def _drive(self, level: bool) -> None:
        self._pin.set(level and not self._gone)

    @property
    def gone(self) -> bool:
        """True while nothing comes out."""
        return self._gone

    @gone.setter
    def gone(self, gone: bool) -> None:
        self._gone = gone
        self._drive(self._level and not self.withheld)

    def pulse(self) -> None:
        """Have the host interrupted once, as soon as it can be."""
        self._again_ns = AGAIN_NS
        self._pulse()

    def _pulse(self) -> None:
        if self._unheard():
            self._pulse_at = self._injector.clock.now() + self._again_ns
            self._again_ns = min(2 * self._again_ns, AGAIN_MOST_NS)
            return
        self._pulse_at = None
        self._drive(True)
        self._drive(False)

    def _unheard(self) -> bool:
        """True while the host would see nothing of a pulse."""
        return self._gone or self._pin.level or bool(getattr(self._pin, "masked", False))

    def tick(self) -> None:
        """Let time pass."""
        if self._late_at is None and self._pulse_at is None and self._stuck is None:
            return
        now = self._injector.clock.now()
        if self._late_at is not None and now >= self._late_at:
            self.withheld, self._late_at = False, None
            self._drive(True)
        if self._pulse_at is not None and (now >= self._pulse_at or not self._unheard()):
            self._pulse()
        if self._stuck is not None and not self._is_stuck() and not self._level:
            self._drive(False)

    def next_at(self) -> int | None:
        """When time alone has something to do."""
        ends = None if self._stuck is None else self._stuck.ends_at
        return min((at for at in (self._late_at, self._pulse_at, ends) if at is not None), default=None)

    def restart(self) -> None:
        """A new client comes."""
        self.withheld = self._doubles = self._gone = False
        self._late_at = self._pulse_at = self._stuck = None
        self._drive(self._level)
