# SPDX-License-Identifier: Apache-2.0
"""What a planned fault has caused is marked on its way to the rules, so that no driver is blamed for it.

A fault explains an event if it made it (an abort says so itself), or if it spoilt what the event is drawn from, until
that is right again:

    a read gave another value, a write vanished    that register, until it is read, or written, as it should be;
                                                   a status, until it is read so, or its channel's next START
    data of a descriptor, or of its count          that channel, until its next START
    a reset, or the card back from nowhere         the card, until PCICR is written
    an interrupt that was kept from the host       what is said of INTA#, until it falls

What the driver then does by itself, as to poll for ever for what will not come, stays its own. So do its calls: memory
that it gives back wrongly, or never. What it touched is judged later than it did so: there the excuse is one that held
in that window, between two of its accesses.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from plx9x5x import events
from plx9x5x.faults.injector import Live
from plx9x5x.faults.kinds import CONFIG, READ, TRANSFER, Effect, Occurrence
from plx9x5x.findings.place import Spot
from plx9x5x.ports import TraceSink
from plx9x5x.witness.events import Mistake, NotSynced, Touched, WrongAccess

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
    WrongAccess: _LINE,
    NotSynced: _LINE,
    Touched: _LINE,
}
"""Of BAR0, the registers that an event is drawn from; configuration space is for all. The rest: those of DMA."""
_CHANNELS_OWN: Final = {
    0: (range(0x80, 0x94), range(0xA8, 0xA9), range(0xB4, 0xB8)),
    1: (range(0x94, 0xA8), range(0xA9, 0xAA), range(0xB8, 0xBC)),
}
"""What is spoilt there alone is no excuse for the other channel."""
_STATUS: Final = (range(0x68, 0x6C), range(0xA8, 0xAA))
"""A write here does not tell a driver what it read wrong."""
_MOST: Final = 256
_PAST: Final = 64
_BARS: Final = (0, 1)
"""Where the registers are."""

_Key = tuple[str, int, int, int]
"""A stream, a BAR, an offset, a width."""


@dataclass(frozen=True, slots=True)
class _Excuse:
    """`text` is the fault; `where` is what it spoilt, a register or a channel; `since` is the access that it struck."""

    text: str
    where: _Key | int | None
    since: Spot | None
    until: Spot | None = None

    def held(self, seq: int) -> bool:
        """True if it held after the access with that seq, and before the next one of the driver."""
        begun = self.since is None or 0 < self.since.seq <= seq
        return begun and (self.until is None or not self.until.seq or seq < self.until.seq)


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
        self.place: Callable[[], Spot | None] = lambda: None
        """The access that is under way, where somebody watches the driver: whoever does sets it."""
        self._registers: dict[_Key, _Excuse] = {}
        """What is spoilt."""
        self._channels: dict[int | None, _Excuse] = {}
        self._past: deque[_Excuse] = deque(maxlen=_PAST)
        self._reset = ""
        self._master = ""
        self._last = ""
        """The fault that struck last on an interrupt."""

    # -- what was spoilt (`plx9x5x.faults.device.Hears`) -------------------------------------------

    def misled(self, occurrence: Occurrence, live: Live) -> None:
        """A read gave, or a write did, something else."""
        if live.kind.effect is Effect.IGNORE_BITS:
            self._master = live.planned.text
        elif (key := _key(occurrence)) in self._registers:
            self._registers[key] = replace(self._registers[key], text=live.planned.text)
        elif len(self._registers) < _MOST:
            self._registers[key] = _Excuse(live.planned.text, key, self.place())

    def passed(self, occurrence: Occurrence) -> None:
        """A read, or a write, did as it should: what it gave, or set, is as it seems."""
        if not (self._registers or self._reset or self._master):
            return
        if occurrence.stream == READ:
            self._lapse(self._registers.pop(_key(occurrence), None))
            return
        for key in [key for key in self._registers if _covers(occurrence, key)]:
            self._lapse(self._registers.pop(key))
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
            self._channels[channel] = _Excuse(live.planned.text, channel, None)

    def begins(self, occurrence: Occurrence) -> None:
        """A transfer begins: what its channel was told before is over, and what a driver was told of it."""
        if occurrence.stream != TRANSFER:
            return
        self._lapse(self._channels.pop(occurrence.unit, None))
        for key in [key for key in self._registers if key[0] == READ and _is_status(key, occurrence.unit)]:
            self._lapse(self._registers.pop(key))

    def _lapse(self, excuse: _Excuse | None) -> None:
        if excuse is not None:
            self._past.append(replace(excuse, until=self.place()))

    def forget(self) -> None:
        """The client has reset the card, or is gone."""
        self._registers.clear()
        self._channels.clear()
        self._past.clear()
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
        if isinstance(event, events.Fault):
            if not event.injected and (fault := self._why(event)):
                event = replace(event, injected=fault)
        elif isinstance(event, Mistake) and (fault := self._why_mistaken(event)):
            event = replace(event, injected=fault)
        self._sink.emit(event)

    def _why_mistaken(self, event: Mistake) -> str:
        """The fault that led to what a witness saw of the driver's memory."""
        if type(event) not in _DRAWN_FROM:
            return ""
        found = (*self._channels.values(), *self._registers.values())
        if isinstance(event, Touched):
            found = tuple(it for it in (*found, *self._past) if it.held(event.after))
        return next((it.text for it in found if _explains(it, type(event), event.unit)), "")

    def _why(self, event: events.Fault) -> str:
        if isinstance(event, _ITS_OWN):
            return ""
        if isinstance(event, _OF_INTA) and self._withheld():
            return self._last
        if isinstance(event, _OF_RESET) and (fault := self._reset or self._master):
            return fault
        channel: int | None = getattr(event, "channel", None)
        found = self._registers.values()
        if hasattr(event, "channel") and (spoilt := self._channels.get(channel)) is not None:
            return spoilt.text
        drawn = _DMA if hasattr(event, "channel") else ()
        return next((it.text for it in found if _explains(it, type(event), channel, drawn)), "")


def _key(occurrence: Occurrence) -> _Key:
    return occurrence.stream, occurrence.bar, occurrence.offset, occurrence.width


def _covers(occurrence: Occurrence, key: _Key) -> bool:
    """True if a write reaches all of what was spoilt: what was read wrong is put right by a write too, but a status."""
    stream, bar, offset, width = key
    if stream == READ and bar in _BARS and any(_meets(there, key) for there in _STATUS):
        return False
    return occurrence.bar == bar and occurrence.offset <= offset <= occurrence.offset + occurrence.width - width


def _is_status(key: _Key, channel: int | None) -> bool:
    """True for what a channel says of itself: its byte of DMACSR, or INTCSR."""
    own = _STATUS[0], *(there for there in _CHANNELS_OWN.get(channel or 0, ())[1:2])
    return key[1] in _BARS and any(_meets(there, key) for there in own)


def _meets(there: range, key: _Key) -> bool:
    _, _, offset, width = key
    return offset < there.stop and there.start < offset + width


def _explains(excuse: _Excuse, kind: type, channel: int | None, drawn: tuple[range, ...] = ()) -> bool:
    """True if what is spoilt leads to an event of that kind, of that channel (None: of any)."""
    where = excuse.where
    if not isinstance(where, tuple):
        return channel is None or where is None or where == channel
    if where[1] == CONFIG:
        return True
    if where[1] not in _BARS or not any(_meets(there, where) for there in _DRAWN_FROM.get(kind, drawn)):
        return False
    others = () if channel is None else _CHANNELS_OWN.get(1 - channel, ())
    return not any(there.start <= where[2] and where[2] + where[3] <= there.stop for there in others)
