# SPDX-License-Identifier: Apache-2.0
"""What the witness finds wrong, as typed events. `time` is the device's clock; addresses are the device's."""

import enum
from dataclasses import dataclass, field

from plx9x5x.findings.place import Source
from plx9x5x.witness.memory import Memory


class Fault(enum.Enum):
    """What is wrong with an address that the device was given."""

    NOT_ALLOCATED = "dma-not-allocated"
    FREED = "dma-freed"
    BEYOND_END = "dma-beyond-end"
    DIRECTION = "dma-direction"
    CPU_ADDRESS = "dma-cpu-address"
    TRUNCATED = "dma-truncated"
    BYTE_ORDER = "dma-byte-order"
    ABOVE_MASK = "dma-above-mask"


@dataclass(frozen=True, slots=True)
class Mistake:
    """Root of them.

    `load` is which load of the driver, None: the one that is there now. `sources` are where the driver's code was.
    `unit` is which of the device's like parts it is about, None: any. `injected` is the planned fault that caused it,
    in its own words: then the driver did not.
    """

    time: int
    load: int | None
    sources: tuple[Source, ...]
    unit: int | None = field(default=None, kw_only=True)
    injected: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class WrongAccess(Mistake):
    """The device accessed memory as it was told to, and the driver had not given it that memory so.

    `doing` says what for ("DMA channel 0, moving data"); `begin` is where the transfer began. `memory` is what it has
    to do with, `hit` what it runs into; `stopped` is True if the bus refused it, `translated` if there is an IOMMU.
    `note` says more.
    """

    fault: Fault
    doing: str
    write: bool
    address: int
    length: int
    begin: int
    memory: Memory | None
    hit: Memory | None
    stopped: bool
    translated: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class FreeMismatch(Mistake):
    """A call that gives memory back is wrong by itself: `wrong` says how. `what` is not empty for what is no memory."""

    what: str
    start: int
    size: int
    wrong: str
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class LeftBehind(Mistake):
    """`count` buffers that one place asked for, `size` bytes together, were never given back; `memory` is the first."""

    memory: Memory
    count: int
    size: int
    when: str


@dataclass(frozen=True, slots=True)
class NotSynced(Mistake):
    """The device wrote bytes of a mapping again, and nobody had synced it between."""

    doing: str
    memory: Memory
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Touched(Mistake):
    """The driver's own code touched bytes while the device moved them: read what it wrote, or wrote what it read.

    `after` is the seq of the access that it had made last.
    """

    write: bool
    memory: Memory
    start: int
    end: int
    after: int
