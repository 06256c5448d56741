# SPDX-License-Identifier: Apache-2.0
"""What happens in the chip, as typed events. A `TraceSink` takes them; the model adds nothing to what they say.

`time` is the model's clock in nanoseconds. Addresses are bus addresses unless the field says local.
"""

import enum
from dataclasses import dataclass


class BusErrorKind(enum.Enum):
    """How a bus-master access ended."""

    MASTER_ABORT = "master abort"
    TARGET_ABORT = "target abort"


class Purpose(enum.Enum):
    """What the chip wanted on the bus."""

    DATA = "data"
    DESCRIPTOR = "descriptor"
    WRITE_BACK = "count write-back"


@dataclass(frozen=True, slots=True)
class Event:
    """Root of all events."""

    time: int


@dataclass(frozen=True, slots=True)
class Fault(Event):
    """Something that a driver did not mean. Sinks get these even while they are not enabled."""


@dataclass(frozen=True, slots=True)
class RegionAccess(Event):
    """Software read or wrote a BAR; `bar` is -1 for configuration space. `width` in bytes."""

    bar: int
    offset: int
    width: int
    value: int
    is_write: bool
    registers: bool = True
    """The chip's registers answered, not a local space and not nobody."""


@dataclass(frozen=True, slots=True)
class TransferStarted(Event):
    """START was accepted."""

    channel: int
    chained: bool


@dataclass(frozen=True, slots=True)
class TransferHeld(Fault):
    """The channel wants the bus and may not have it, for `reason`; it goes on by itself once it may."""

    channel: int
    reason: str


@dataclass(frozen=True, slots=True)
class DescriptorLoaded(Event):
    """A descriptor was fetched; `address` is a local one if `in_pci_memory` is False."""

    channel: int
    address: int
    in_pci_memory: bool
    pci_address: int
    local_address: int
    count: int
    pointer: int


@dataclass(frozen=True, slots=True)
class DataMoved(Event):
    """Bytes crossed the bridge."""

    channel: int
    to_pci: bool
    pci_address: int
    local_address: int
    length: int


@dataclass(frozen=True, slots=True)
class TransferDone(Event):
    """DONE went to 1. `aborted` tells software's abort from the natural end."""

    channel: int
    aborted: bool


@dataclass(frozen=True, slots=True)
class InterruptLatched(Event):
    """The channel latched its interrupt, for a terminal count or for the end."""

    channel: int


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    """A step is over; `goes_on` if the chip may find more to do by itself, now or after a while.

    A chip that polls steps without end, so a sink that keeps every event keeps a growing number of these.
    """

    goes_on: bool


@dataclass(frozen=True, slots=True)
class LineChanged(Event):
    """INTA# was asserted or released."""

    level: bool


@dataclass(frozen=True, slots=True)
class LocalInterruptChanged(Event):
    """LINTi#, the wire that the board's peripherals share, was asserted or released."""

    level: bool


@dataclass(frozen=True, slots=True)
class EotAsserted(Event):
    """The board asserted EOT#. Not `heeded`: no data phase runs on the channel, or the driver has not enabled EOT#."""

    channel: int
    heeded: bool


@dataclass(frozen=True, slots=True)
class DemandDriven(Event):
    """From now on the board drives DREQ# of the channel, or no more."""

    channel: int
    driven: bool


@dataclass(frozen=True, slots=True)
class DemandSeen(Event):
    """A transfer in demand mode looked at DREQ# for the first time, or found another level than the last time.

    The board is asked, it does not tell: between two looks of the channel the level may have been anything.
    """

    channel: int
    level: bool


@dataclass(frozen=True, slots=True)
class BusError(Fault):
    """A bus-master access failed; `nearest` holds (start, length) of the mapped ranges around `address`.

    `reason` says in words why nobody answered.
    """

    channel: int
    kind: BusErrorKind
    purpose: Purpose
    address: int
    nearest: tuple[tuple[int, int], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ParityBad(Event):
    """Data that the chip read from `address` on came with wrong parity; the transfer went on."""

    channel: int
    address: int


@dataclass(frozen=True, slots=True)
class LocalUndecoded(Fault):
    """No target decodes the local address: reads gave ones, writes vanished."""

    local_address: int
    length: int


@dataclass(frozen=True, slots=True)
class UnmodelledSeen(Event):
    """Accesses that mean nothing on the chip, a line for each kind, when a client leaves. Sinks always get it."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChipReset(Event):
    """The chip went back to its reset state; `reason` in words. Sinks get it like a fault: a new story begins."""

    reason: str
