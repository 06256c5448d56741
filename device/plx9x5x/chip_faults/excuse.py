# SPDX-License-Identifier: Apache-2.0
"""What a planned fault has caused is marked on its way to the rules, so that no driver is blamed for it.

A fault explains an event if it made it (an abort says so itself), or if it spoilt what the event is drawn from, until
that is right again:

    a read gave another value, a write vanished    that register, until it is read, or written, as it should be
    data of a descriptor, or of its count          that channel, until its next START
    a reset, or the card back from nowhere         the card, until PCICR is written
    an interrupt that was kept from the host       what is said of INTA#, until it falls

What the driver then does by itself, as to poll for ever for what will not come, stays its own.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from plx9x5x import events
from plx9x5x.faults.injector import Live
from plx9x5x.faults.kinds import CONFIG, READ, TRANSFER, Effect, Occurrence
from plx9x5x.ports import TraceSink

_ITS_OWN: Final = (events.Spinning, events.NobodyAnswers)
"""Said of a driver that waits, whatever it waits for."""
_OF_INTA: Final = (events.LineStuck, events.DeliveredAgain)
_OF_RESET: Final = (events.TransferHeld, events.DecodeOff, events.ResetWhileBusy, events.WindowClosed)
_COMMAND: Final = range(4, 6)
_SPACES: Final = (range(0x10), range(0x18, 0x1C), range(0xF0, 0x100))
_DMA: Final = (range(0x6C, 0x70), range(0x80, 0xC0))
_LINE: Final = (range(0x60, 0x6C), *_DMA)
_DRAWN_FROM: Final[dict[type, tuple[range, ...]]] = {
    events.LineStuck: _LINE,
    events.DeliveredAgain: _LINE,
    events.NeverReachedHost: _LINE,
    events.DoorbellLost: (range(0x60, 0x68),),
    events.EepromMisused: (range(0x0C, 0x10), range(0x6C, 0x70)),
    events.LocalUndecoded: (*_SPACES, *_DMA),
    events.WindowClosed: _SPACES,
}
"""Of BAR0, the registers that an event is drawn from; configuration space is for all. The rest: those of DMA."""
_MOST: Final = 256


class Excuses:
    """A `TraceSink` before `sink`. `withheld` says whether the host has not been told of INTA#."""

    def __init__(
        self,
        sink: TraceSink,
        *,
        withheld: Callable[[], bool],
        now: Callable[[], int],
        name: Callable[[int, int], str],
    ) -> None:
        self._sink, self._withheld, self._now, self._name = sink, withheld, now, name
        self._registers: dict[tuple[str, int, int, int], str] = {}
        """What is spoilt: the stream, and where."""
        self._channels: dict[int | None, str] = {}
        self._reset = ""
        self._master = ""
        self._last = ""
        """The fault that struck last on an interrupt."""

    # -- what was spoilt (`plx9x5x.faults.device.Hears`) -------------------------------------------

    def misled(self, occurrence: Occurrence, live: Live) -> None:
        """A read gave, or a write did, something else."""
        if live.kind.effect is Effect.IGNORE_BITS:
            self._master = live.planned.text
        elif len(self._registers) < _MOST:
            self._registers[_key(occurrence)] = live.planned.text

    def passed(self, occurrence: Occurrence) -> None:
        """A read, or a write, did as it should: what it gave, or set, is as it seems."""
        if not (self._registers or self._reset or self._master):
            return
        if occurrence.stream == READ:
            self._registers.pop(_key(occurrence), None)
            return
        for key in [key for key in self._registers if _covers(occurrence, key)]:
            del self._registers[key]
        if occurrence.bar == CONFIG and occurrence.offset in _COMMAND:
            self._reset = self._master = ""

    def spins(self, occurrence: Occurrence, value: int, reads: int, fault: str) -> None:
        """The driver polls, and a fault answers: that it does so without an end is its own."""
        name = self._name(occurrence.bar, occurrence.offset)
        self._sink.emit(events.Spinning(self._now(), name, value, reads, fault))

    def taken_away(self, fault: str) -> None:
        """The card was reset, by nobody's wish."""
        self._reset = fault

    def spoilt(self, channel: int | None, purpose: str, live: Live) -> None:
        """Bytes came wrong to a channel."""
        if purpose != events.Purpose.DATA.value:
            self._channels[channel] = live.planned.text

    def begins(self, occurrence: Occurrence) -> None:
        """A transfer begins: what its channel was told before is over."""
        if occurrence.stream == TRANSFER:
            self._channels.pop(occurrence.unit, None)

    def forget(self) -> None:
        """The client has reset the card, or is gone."""
        self._registers.clear()
        self._channels.clear()
        self._reset = self._master = ""

    def struck(self, text: str) -> None:
        """A fault of INTA# has struck."""
        self._last = text

    # -- TraceSink ---------------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """As the sink."""
        return self._sink.enabled

    def emit(self, event: object) -> None:
        """Pass it on, marked if a fault is to blame."""
        if isinstance(event, events.Fault) and not event.injected and (fault := self._why(event)):
            event = replace(event, injected=fault)
        self._sink.emit(event)

    def _why(self, event: events.Fault) -> str:
        if isinstance(event, _ITS_OWN):
            return ""
        if isinstance(event, _OF_INTA) and self._withheld():
            return self._last
        if isinstance(event, _OF_RESET) and (fault := self._reset or self._master):
            return fault
        if (fault := self._channels.get(getattr(event, "channel", None), "")) and hasattr(event, "channel"):
            return fault
        if not self._registers:
            return ""
        drawn = _DRAWN_FROM.get(type(event), _DMA if hasattr(event, "channel") else ())
        found = (text for (_, bar, at, width), text in self._registers.items() if _touches(drawn, bar, at, width))
        return next(found, "")


def _key(occurrence: Occurrence) -> tuple[str, int, int, int]:
    return occurrence.stream, occurrence.bar, occurrence.offset, occurrence.width


def _covers(occurrence: Occurrence, key: tuple[str, int, int, int]) -> bool:
    """True if a write reaches all of what was spoilt: what was read wrong is put right by a write too."""
    _, bar, offset, width = key
    return occurrence.bar == bar and occurrence.offset <= offset <= occurrence.offset + occurrence.width - width


def _touches(drawn: tuple[range, ...], bar: int, offset: int, width: int) -> bool:
    return bar == CONFIG or any(offset < there.stop and there.start < offset + width for there in drawn)
