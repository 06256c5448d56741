# SPDX-License-Identifier: Apache-2.0
"""What happens in the chip, as typed events. A `TraceSink` takes them; the model adds nothing to what they say.

`time` is the model's clock in nanoseconds. Addresses are bus addresses unless the field says local.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from plx9x5x.errors import AbortCause


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

    injected: str = field(default="", kw_only=True)
    """The planned fault that caused it, in its own words: then the driver did not. Empty for what is the driver's."""


@dataclass(frozen=True, slots=True)
class FaultStruck(Event):
    """A planned fault has struck, for the `count`-th time. Sinks get it like a fault of a driver's."""

    number: int
    text: str
    count: int
    where: str


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


class Hold(enum.Enum):
    """What keeps a channel from the bus."""

    NEVER_MASTER = "bus mastering has not been enabled"
    CLEARED_MASTER = "a write of PCICR took bus mastering back"
    RESET_MASTER = "a reset took bus mastering back"
    D3HOT = "the chip is in D3hot"
    SOFTWARE_RESET = "software reset is held"
    NO_DREQ = "the board drives no DREQ#"


@dataclass(frozen=True, slots=True)
class TransferHeld(Fault):
    """The channel wants the bus and may not have it, for `reason`; it goes on by itself once it may.

    `moving` if it had the bus before: `cause` came in the middle of a transfer.
    """

    channel: int
    reason: str
    cause: Hold = Hold.NEVER_MASTER
    moving: bool = False


class Ignored(enum.Enum):
    """What the chip does not do, and why."""

    START_DISABLED = "START without ENABLE"
    START_IN_RESET = "START while CNTRL bit 30 holds the reset"
    START_BUSY = "START while a transfer is under way"
    ABORT_ENABLED = "ABORT with ENABLE set"


@dataclass(frozen=True, slots=True)
class CommandIgnored(Fault):
    """A write of DMACSR asked for something that the chip does not do."""

    channel: int
    written: int
    why: Ignored


@dataclass(frozen=True, slots=True)
class AddressWrapped(Fault):
    """A transfer's PCI address counts past 32 bits: it goes on at 0, in the same upper half."""

    channel: int
    address: int
    count: int
    descriptor: int | None


@dataclass(frozen=True, slots=True)
class NothingToMove(Fault):
    """A block, or a descriptor outside valid mode, has size 0. `descriptor` is its address, None for a block."""

    channel: int
    descriptor: int | None


@dataclass(frozen=True, slots=True)
class RewrittenWhileBusy(Fault):
    """A register of a channel got another value while the channel worked on what it held before."""

    channel: int
    register: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ResetWhileBusy(Fault):
    """A reset, or D3hot, came while a channel moved data."""

    channel: int
    reason: str


@dataclass(frozen=True, slots=True)
class DecodeOff(Fault):
    """A BAR was written while PCICR lets the chip decode no memory, or no I/O."""

    bar: int
    io: bool


@dataclass(frozen=True, slots=True)
class WindowClosed(Fault):
    """A write of `register` turned off a BAR that decoded."""

    bar: int
    register: str
    value: int


class EepromMisuse(enum.Enum):
    """What a driver does wrong with the serial EEPROM."""

    DO_NOT_SAMPLED = "DO is polled while CNTRL bit 31 is 0"
    NOT_ENABLED = "a write without EWEN before it"
    PROTECTED = "a write of a part that is write protected"
    VPD_PROTECTED = "a VPD write below PROT_AREA"


@dataclass(frozen=True, slots=True)
class EepromMisused(Fault):
    """An access of the EEPROM that cannot do what it is for. `address` in bytes, or None."""

    misuse: EepromMisuse
    address: int | None
    first_writable: int | None = None
    """Of PROT_AREA, in bytes."""


@dataclass(frozen=True, slots=True)
class DoorbellLost(Fault):
    """P2LDBELL bits were written while they were still set: the local side hears of one ring, not two."""

    bits: int


@dataclass(frozen=True, slots=True)
class RegisterMissing(Fault):
    """Software wrote a register that other chips of the family have, and this one lacks."""

    offset: int
    names: tuple[str, ...]
    chips: str


class IntaSource(enum.Enum):
    """What asserts INTA#."""

    DMA_0 = "DMA channel 0"
    DMA_1 = "DMA channel 1"
    DOORBELL = "doorbell"
    ABORT = "abort"
    LINTI = "LINTi#"
    OUTBOUND_QUEUE = "outbound queue"


@dataclass(frozen=True, slots=True)
class LineStuck(Fault):
    """INTA# stays asserted, and no cause of it has changed, although software looked `reads` times.

    `late`: that began more than a second ago.
    """

    reads: int
    late: bool
    sources: tuple[IntaSource, ...]


@dataclass(frozen=True, slots=True)
class DeliveredAgain(Fault):
    """The interrupt was delivered `count` times, each time to its end, and none of its causes changed."""

    count: int
    sources: tuple[IntaSource, ...]


@dataclass(frozen=True, slots=True)
class NeverReachedHost(Fault):
    """A channel's interrupt was latched `count` times and never acknowledged: the `gates` that are closed kept it."""

    channel: int
    count: int
    gates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spinning(Fault):
    """Software reads one register over and over, and what it waits for will not come, for `why`."""

    register: str
    value: int
    reads: int
    why: str


@dataclass(frozen=True, slots=True)
class NobodyAnswers(Fault):
    """Software reads a register over and over that only the local side changes, and there nothing runs."""

    register: str
    value: int
    reads: int


@dataclass(frozen=True, slots=True)
class DescriptorChanged(Fault):
    """A descriptor's words in memory, when it was done, are not those that the chip had fetched."""

    channel: int
    address: int
    fetched: tuple[int, ...]
    found: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RingOverrun(Fault):
    """A running ring came to a descriptor again, and the driver has touched neither it nor a register since."""

    channel: int
    address: int
    rounds: int


@dataclass(frozen=True, slots=True)
class EndlessChain(Fault):
    """A chain has fetched `descriptors` of them since it last moved a byte."""

    channel: int
    address: int
    descriptors: int


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
class UserInputChanged(Event):
    """The board drove USERi to another level; True is high."""

    level: bool


@dataclass(frozen=True, slots=True)
class LocalRegisterWritten(Event):
    """The local side wrote a register: a doorbell, a mailbox or any other. `offset` as in BAR0."""

    offset: int
    value: int


@dataclass(frozen=True, slots=True)
class BoardSaid(Event):
    """The board says something of itself, for people. Sinks get it even while they are not enabled."""

    window: str
    text: str


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
    cause: AbortCause = AbortCause.NOTHING_MAPPED
    registers: tuple[tuple[str, int], ...] = ()
    """The channel's registers by name, as software would read them."""
    descriptor: int | None = None
    """Where the transfer's descriptor stands, or that which was to be fetched; None for a block."""
    in_pci_memory: bool = True
    """Of that address."""


@dataclass(frozen=True, slots=True)
class ParityBad(Event):
    """Data that the chip read from `address` on came with wrong parity; the transfer went on."""

    channel: int
    address: int


@dataclass(frozen=True, slots=True)
class LocalUndecoded(Fault):
    """No target decodes the local address: reads gave ones, writes vanished.

    `channel` and `purpose` say who asked: both None is the processor, through the BAR `bar`, or the local side itself.
    """

    local_address: int
    length: int
    channel: int | None = None
    purpose: Purpose | None = None
    bar: int | None = None
    nearest: tuple[tuple[str, int, int], ...] = ()
    """Name, local address and size of the windows around it."""
    registers: tuple[tuple[str, int], ...] = ()
    start: int = 0
    """Of the transfer: its local address and its length in bytes."""
    count: int = 0
    descriptor: tuple[int, bool] | None = None
    """Of the transfer: where its descriptor is, and whether that is in PCI memory. A block has none."""


@dataclass(slots=True)
class ChannelTally:
    """What one channel did for a client. Bytes are those that crossed the bridge. An event has a copy of its own."""

    transfers: int = 0
    chains: int = 0
    """Of those transfers."""
    descriptors: int = 0
    to_pci: int = 0
    to_local: int = 0
    raised: int = 0
    """Interrupts that were latched."""
    acknowledged: int = 0
    aborted: int = 0
    failed: int = 0
    """Transfers that ended at a bus error."""


@dataclass(frozen=True, slots=True)
class ClientSummary(Event):
    """What a client came to, when it leaves. Sinks always get it, unless it did not use the card."""

    channels: tuple[ChannelTally, ...]
    lines_raised: int
    doorbells: int
    mailboxes: int


@dataclass(frozen=True, slots=True)
class ChipReset(Event):
    """The chip went back to its reset state; `reason` in words. Sinks get it like a fault: a new story begins.

    `registers` are the chip's as a client left them, by name; given for one that has gone.
    """

    reason: str
    registers: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
