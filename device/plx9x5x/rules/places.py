# SPDX-License-Identifier: Apache-2.0
"""Where in a driver's code each event comes from: the write of the register that the wrong value is in, or the access.

The kit knows who wrote an offset last (`plx9x5x.findings.place`), and nothing of registers: those are named here.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from plx9x5x import events
from plx9x5x.events import Hold, Purpose
from plx9x5x.findings.place import Answered, Handler, Here, MasterCall, Source, Stored, Written
from plx9x5x.model.engine import Channel
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.kernel import Register
from plx9x5x.rules import words
from plx9x5x.witness.events import Fault, Mistake
from plx9x5x.witness.judge import BusPurpose

BARS: Final = (0, 1)
"""Where the registers are: as memory and as I/O."""

_DESCRIPTOR: Final = 20
"""Bytes of a descriptor, the longer kind."""

Places = tuple[Source, ...]

_WORDS: Final = {
    Purpose.DATA: "moving data",
    Purpose.DESCRIPTOR: "reading a descriptor",
    Purpose.WRITE_BACK: "writing a descriptor's count back",
}


def written(register: type[Register], role: str = "") -> Written:
    """The last write of a register."""
    return Written(role or f"{register.__name__} written", register.offset, BARS)


def started(channel: int) -> Written:
    """The last write of a channel's command."""
    return written(dma.CHANNELS[channel].command, "started")


def _programmed(channel: int, register: type[Register], descriptor: int | None) -> Places:
    """Where a value of a transfer was given: in a register, or by a store into its descriptor.

    A list that was filled in at one go is seen as one store, at its first word: then the start is nearer to the truth.
    """
    if descriptor is None:
        return written(register), started(channel)
    return (
        Stored("descriptor written", descriptor, _DESCRIPTOR),
        started(channel),
        written(dma.CHANNELS[channel].pointer),
        Stored("descriptors written", descriptor),
    )


class ChannelPurposes:
    """What the chip is on the bus for, of its channels; None for a look of its own."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels: Final = tuple(channels)
        self._state: Final = {
            (index, purpose): BusPurpose(
                f"DMA channel {index}, {what}",
                status=True,
                started=started(index),
                blames=partial(_blames_pointer, index),
                unit=index,
            )
            for index in range(len(self._channels))
            for purpose, what in _WORDS.items()
        }
        self._data: Final = tuple(
            _DataPurpose(index, self._state[index, Purpose.DATA].words) for index in range(len(self._channels))
        )

    def __call__(self) -> BusPurpose | None:
        """Look at it now; what is given is good until the next look."""
        for channel in self._channels:
            purpose = channel.purpose
            if purpose is not None:
                break
        else:
            return None
        index = channel.index
        if purpose is not Purpose.DATA:
            return self._state[index, purpose]
        where = channel.descriptor
        begin = channel.begin
        if where is not None and begin is not None and begin & words.ONES == words.ONES:
            return None  # nobody answered for the descriptor, and that has been said
        return self._data[index].now(begin, where)


class _DataPurpose:
    """What one channel is on the bus for while it moves data: one object, for it is asked at each access."""

    def __init__(self, channel: int, words: str) -> None:
        self._channel = channel
        self._where: tuple[int, bool] | None = None
        self._purpose = BusPurpose(words, started=started(channel), blames=self._blames, unit=channel)

    def now(self, begin: int | None, where: tuple[int, bool] | None) -> BusPurpose:
        """A transfer that began at bus address `begin`; its descriptor is `where`."""
        self._where = where
        self._purpose.begin, self._purpose.whole = begin, where is None
        return self._purpose

    def _blames(self, fault: Fault) -> Places:
        return _blames(self._channel, self._where, fault)


def _blames_pointer(channel: int, _: Fault) -> Places:
    return written(dma.CHANNELS[channel].pointer), started(channel)


def _blames(channel: int, where: tuple[int, bool] | None, fault: Fault) -> Places:
    """The register, or the descriptor, that what is wrong with a transfer's data stands in."""
    names = dma.CHANNELS[channel]
    if where is not None and not where[1]:
        return _blames_pointer(channel, fault)
    register = {Fault.BEYOND_END: names.size, Fault.DIRECTION: names.pointer}.get(fault, names.pci_address)
    return _programmed(channel, register, None if where is None else where[0])


def of(event: object) -> Places:
    """Where the driver's code was that an event is about; the main place first."""
    if isinstance(event, Mistake):
        return event.sources
    return _OF.get(type(event), _here)(event)


def _here(_: object) -> Places:
    return (Here(),)


def _bus_error(event: events.BusError) -> Places:
    names = dma.CHANNELS[event.channel]
    if event.purpose is Purpose.DATA:
        return _programmed(event.channel, names.pci_address, event.descriptor if event.in_pci_memory else None)
    return written(names.pointer), started(event.channel)


def _held(event: events.TransferHeld) -> Places:
    if event.cause is Hold.NO_DREQ:
        return written(dma.CHANNELS[event.channel].mode), started(event.channel)
    if event.moving and event.cause is Hold.CLEARED_MASTER:
        return MasterCall(), started(event.channel)
    return started(event.channel), MasterCall()


def _undecoded(event: events.LocalUndecoded) -> Places:
    if event.channel is None or event.purpose is None:
        return (Here(),)
    names = dma.CHANNELS[event.channel]
    if event.purpose is not Purpose.DATA:
        return written(names.pointer), started(event.channel)
    inside = any(base <= event.start < base + size for _, base, size in event.nearest)
    if event.descriptor is not None:
        at, in_pci = event.descriptor
        if in_pci:
            return _programmed(event.channel, names.local_address, at)
        return written(names.pointer), started(event.channel)
    return written(names.size if inside else names.local_address), written(names.pointer), started(event.channel)


def _kept_in(event: events.NeverReachedHost) -> Places:
    return written(dma.CHANNELS[event.channel].mode), written(intr.INTCSR), started(event.channel)


def _closed(event: events.WindowClosed) -> Places:
    shaping = (local.LAS0RR, local.LAS0BA, local.LAS1RR, local.LAS1BA)
    return (*(written(it) for it in shaping if it.__name__ == event.register), Here())


def _wrapped(event: events.AddressWrapped) -> Places:
    return _programmed(event.channel, dma.CHANNELS[event.channel].pci_address, event.descriptor)


def _empty(event: events.NothingToMove) -> Places:
    return _programmed(event.channel, dma.CHANNELS[event.channel].size, event.descriptor)


def _started(event: events.CommandIgnored) -> Places:
    """The access; of a start, whatever else the same write did."""
    return Here(), started(event.channel)


def _descriptor(event: events.DescriptorChanged) -> Places:
    return Stored("descriptor changed", event.address, soon=True), started(event.channel)


def _chain(event: events.EndlessChain | events.RingOverrun) -> Places:
    return _programmed(event.channel, dma.CHANNELS[event.channel].pointer, event.address)


_OF: Final[dict[type, Callable[[Any], Places]]] = {
    events.BusError: _bus_error,
    events.TransferHeld: _held,
    events.LocalUndecoded: _undecoded,
    events.NeverReachedHost: _kept_in,
    events.WindowClosed: _closed,
    events.AddressWrapped: _wrapped,
    events.NothingToMove: _empty,
    events.DescriptorChanged: _descriptor,
    events.CommandIgnored: _started,
    events.EndlessChain: _chain,
    events.RingOverrun: lambda event: (Handler(), *_chain(event)),
    # Where the handler wrote something, that was not what the chip waits for.
    events.LineStuck: lambda _: (Answered(), Handler(), Here()),
    events.DeliveredAgain: lambda _: (Answered(), Handler()),
    events.ResetWhileBusy: lambda event: (Here(), started(event.channel)),
}
