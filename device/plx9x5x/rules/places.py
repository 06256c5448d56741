# SPDX-License-Identifier: Apache-2.0
"""Where in a driver's code each event comes from: the write of the register that the wrong value is in, or the access.

The kit knows who wrote an offset last (`plx9x5x.findings.place`), and nothing of registers: those are named here.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from plx9x5x import events
from plx9x5x.events import Hold, Purpose
from plx9x5x.findings.place import Handler, Here, LastWrite, MasterCall, Source, Stored, Written
from plx9x5x.model.engine import Channel
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.kernel import Register
from plx9x5x.witness.events import Mistake
from plx9x5x.witness.judge import Doing

BARS: Final = (0, 1)
"""Where the registers are: as memory and as I/O."""

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
    """Where a value of a transfer was given: in a register, or by a store into its descriptor."""
    if descriptor is None:
        return written(register), started(channel)
    stored = Stored("descriptor written", descriptor)
    return stored, written(dma.CHANNELS[channel].pointer), started(channel)


def doing(channels: Sequence[Channel]) -> Doing | None:
    """What the chip is on the bus for; None for a look of its own."""
    channel = next((it for it in channels if it.purpose is not None), None)
    if channel is None or channel.purpose is None:
        return None
    names, index = channel.names, channel.index
    words = f"DMA channel {index}, {_WORDS[channel.purpose]}"
    if channel.purpose is not Purpose.DATA:
        pointed = written(names.pointer), started(index)
        return Doing(words, status=True, address_from=pointed, length_from=pointed)
    where, in_pci = channel.descriptor or (None, True)
    if where is not None and not in_pci:
        pointed = written(names.pointer), started(index)
        return Doing(words, channel.begin, address_from=pointed, length_from=pointed)
    return Doing(
        words,
        channel.begin,
        address_from=_programmed(index, names.pci_address, where),
        length_from=_programmed(index, names.size, where),
        started=started(index) if where is None else None,
    )


def of(event: object) -> Places:
    """Where the driver's code was that an event is about; the main place first."""
    if isinstance(event, Mistake):
        return event.sources
    return (*_OF.get(type(event), _here)(event), LastWrite())


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
    return written(names.size if inside else names.local_address), written(names.pointer), started(event.channel)


def _kept_in(event: events.NeverReachedHost) -> Places:
    return written(dma.CHANNELS[event.channel].mode), written(intr.INTCSR), started(event.channel)


def _closed(event: events.WindowClosed) -> Places:
    shaping = (local.LAS0RR, local.LAS0BA, local.LAS1RR, local.LAS1BA)
    return (*(written(it) for it in shaping if it.__name__ == event.register), Here())


def _wrapped(event: events.AddressWrapped | events.NothingToMove) -> Places:
    return _programmed(event.channel, dma.CHANNELS[event.channel].size, event.descriptor)


def _descriptor(event: events.DescriptorChanged) -> Places:
    return Stored("descriptor changed", event.address), started(event.channel)


def _chain(event: events.EndlessChain | events.RingOverrun) -> Places:
    pointer = written(dma.CHANNELS[event.channel].pointer)
    return Stored("descriptor written", event.address), pointer, started(event.channel)


_OF: Final[dict[type, Callable[[Any], Places]]] = {
    events.BusError: _bus_error,
    events.TransferHeld: _held,
    events.LocalUndecoded: _undecoded,
    events.NeverReachedHost: _kept_in,
    events.WindowClosed: _closed,
    events.AddressWrapped: _wrapped,
    events.NothingToMove: _wrapped,
    events.DescriptorChanged: _descriptor,
    events.EndlessChain: _chain,
    events.RingOverrun: lambda event: (Handler(), *_chain(event)),
    events.LineStuck: lambda _: (Handler(), Here()),
    events.DeliveredAgain: lambda _: (Handler(),),
    events.ResetWhileBusy: lambda event: (Here(), started(event.channel)),
}
