# SPDX-License-Identifier: Apache-2.0
"""The adapter object and everything that it hands out, each with a pointer back to its adapter.

They are one module because they point at each other: the adapter's books list what is out, and what is out names the
adapter that must take it back. Source: reference hal-contract 2.1, 2.5, 4.5 and 5.1.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from nthal.windows import AllocationAction, DmaCompletionStatus

if TYPE_CHECKING:
    from nthal.records.mdl import Mdl, Segment
    from nthal.records.region import FrameList, Region
    from nthal.records.request import BufferRequest
    from nthal.runs import Run
    from nthal.types import La, Va
    from nthal.windows import Caching, DeviceDescription

T = TypeVar("T")


class Held(dict[T, None]):
    """What is out, in the order in which it went; taking one back costs the same however many there are."""

    __hash__ = None  # as a list's, with which it is compared

    def append(self, one: T) -> None:
        """Count it as out."""
        self[one] = None

    def remove(self, one: T) -> None:
        """Count it as back. Raises: KeyError if it is not out."""
        del self[one]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Held, list)) and list(self) == list(other)


@dataclass(slots=True)
class DeviceObject:
    """DEVICE_OBJECT, as far as DMA needs it: whose it is, and the IRP that AdapterControl is shown."""

    driver: str = "driver"
    current_irp: object = None


@dataclass(slots=True)
class Tally:
    """How many objects of one kind an adapter gave out and took back."""

    allocated: int = 0
    freed: int = 0

    @property
    def live(self) -> int:
        """Objects that are out."""
        return self.allocated - self.freed


@dataclass(slots=True)
class Books:
    """The four counters that `!dma` shows."""

    buffers: Tally = field(default_factory=Tally)
    channels: Tally = field(default_factory=Tally)
    registers: Tally = field(default_factory=Tally)
    lists: Tally = field(default_factory=Tally)

    def tally(self, kind: str) -> Tally:
        """Counter by its name."""
        return {"buffers": self.buffers, "channels": self.channels, "registers": self.registers, "lists": self.lists}[
            kind
        ]


@dataclass(eq=False, slots=True, repr=False)
class Adapter:
    """One adapter object. `granted` is its NumberOfMapRegisters, `limit` the highest logical address of its device.

    `boundary` is the distance in bytes of which a buffer may cross no multiple, 0 for none. `buffers`, `lists` and
    `files` are what is out, and `held_registers` the map registers among them. `version` is what DMA_ADAPTER.Version
    reads, `references` how many owners share the object, which only ReactOS has.
    """

    number: int
    description: DeviceDescription
    device: DeviceObject | None
    limit: int
    boundary: int
    granted: int
    needs_registers: bool
    made_at: str
    held_registers: int = 0
    books: Books = field(default_factory=Books)
    buffers: Held[CommonBuffer] = field(default_factory=Held)
    lists: Held[ScatterGatherList] = field(default_factory=Held)
    files: Held[MapRegisterFile] = field(default_factory=Held)
    gone: bool = False
    version: int = 1
    references: int = 1
    channel_state: ChannelState | None = None

    @property
    def driver(self) -> str:
        """Name of the driver that asked for it."""
        return "driver" if self.device is None else self.device.driver

    def __repr__(self) -> str:
        return f"adapter {self.number} of {self.driver}"


# --- common buffers ------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class CommonBuffer:
    """A live common buffer. `page_la` is the logical address of its first page; `registers` are held map registers."""

    adapter: Adapter
    request: BufferRequest
    va: Va
    la: La
    page_la: int
    region: Region
    frames: FrameList
    registers: Run | None
    iova: Run | None
    made_at: str

    @property
    def length(self) -> int:
        """Bytes that driver and device may use."""
        return self.request.length

    @property
    def caching(self) -> Caching:
        """How the processor maps it."""
        return self.region.caching


@dataclass(eq=False, slots=True)
class BufferVector:
    """A common-buffer vector: elements by index, None where one was freed."""

    adapter: Adapter
    elements: list[CommonBuffer | None] = field(default_factory=list)

    @property
    def live(self) -> int:
        """Elements that are not freed."""
        return sum(element is not None for element in self.elements)


# --- channels and map registers ------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Mapping:
    """One MapTransfer that was not flushed yet. `bounce` is where its bytes really stand, if not in the MDL's pages."""

    mdl: Mdl
    va: int
    length: int
    to_device: bool
    bounce: FrameList | None
    bounce_offset: int
    first_register: int
    registers: int


class Mappings(Held[Mapping]):
    """The mappings of one file, oldest first, and by their place in their MDL."""

    def __init__(self) -> None:
        super().__init__()
        self._by_mdl: dict[Mdl, list[Mapping]] = {}

    def append(self, one: Mapping) -> None:
        """Keep a mapping."""
        super().append(one)
        bisect.insort(self._by_mdl.setdefault(one.mdl, []), one, key=_va)

    def remove(self, one: Mapping) -> None:
        """Drop a mapping. Raises: KeyError if it is not kept."""
        super().remove(one)
        kept = self._by_mdl[one.mdl]
        del kept[kept.index(one, bisect.bisect_left(kept, one.va, key=_va))]
        if not kept:
            del self._by_mdl[one.mdl]

    def overlap(self, mdl: Mdl, va: int, length: int) -> bool:
        """True if a mapping of the MDL lies over the range; they do not lie over each other."""
        kept = self._by_mdl.get(mdl, [])
        at = bisect.bisect_left(kept, va + length, key=_va)
        return at > 0 and kept[at - 1].va + kept[at - 1].length > va

    def inside(self, mdl: Mdl, va: int, length: int) -> list[Mapping]:
        """Mappings of the MDL that lie in the range whole, lowest first."""
        kept = self._by_mdl.get(mdl, [])
        found = kept[bisect.bisect_left(kept, va, key=_va) : bisect.bisect_left(kept, va + length, key=_va)]
        return [one for one in found if one.va + one.length <= va + length]


def _va(mapping: Mapping) -> int:
    return mapping.va


@dataclass(eq=False, slots=True)
class Window:
    """A packet mapping as the bus sees it: `length` bytes at logical address `la`, `offset` bytes into `frames`."""

    la: La
    length: int
    frames: FrameList
    offset: int
    adapter: Adapter
    to_device: bool
    made_at: str = ""


@dataclass(eq=False, slots=True)
class MapRegisterFile:
    """The map registers of one channel allocation; the object is the opaque MapRegisterBase.

    `made_at` is where the driver asked, `ticket` the context of an extended request, `gathered` what a chain of MDLs
    was copied to for a device without scatter/gather.
    """

    adapter: Adapter
    count: int
    hardware: Run | None = None
    used: int = 0
    mappings: Mappings = field(default_factory=Mappings)
    ever_mapped: bool = False
    freed: int = 0
    map_calls: int = 0
    hidden: bool = False
    made_at: str = ""
    ticket: DmaTransferContext | None = None
    gathered: Gathered | None = None


@dataclass(frozen=True, slots=True)
class Gathered:
    """Pages of the HAL that stand for a chain of MDLs, and an MDL over them."""

    mdl: Mdl
    frames: FrameList
    segments: tuple[Segment, ...]


@dataclass(eq=False, slots=True)
class DmaTransferContext:
    """DMA_TRANSFER_CONTEXT: memory of the driver by which the HAL knows an extended request.

    `adapter` is None until InitializeDmaTransferContext, `file` until the request is served.
    """

    adapter: Adapter | None = None
    cancelled: bool = False
    file: MapRegisterFile | None = None
    transfer: SystemTransfer | None = None


@dataclass(eq=False, slots=True)
class SystemTransfer:
    """A transfer of system DMA that MapTransferEx started; `done` once it ended.

    `adapter` is what its routine is told, the adapter as the driver knows it.
    """

    adapter: object
    routine: DmaCompletion | None
    context: object
    device: DeviceObject | None = None
    done: bool = False


DmaCompletion = Callable[[object, "DeviceObject | None", object, DmaCompletionStatus], None]
"""DMA_COMPLETION_ROUTINE: (DmaAdapter, DeviceObject, CompletionContext, Status)."""


AdapterControl = Callable[["DeviceObject", object, "MapRegisterFile | None", object], AllocationAction]
"""PDRIVER_CONTROL: (DeviceObject, Irp, MapRegisterBase, Context)."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A queued request for the channel. The HAL's own ones see the file that a driver is shown as NULL.

    `made_at` is where the driver asked, `told` says that a finding named the wait already.
    """

    adapter: Adapter
    device: DeviceObject
    count: int
    routine: AdapterControl
    context: object
    sees_hidden: bool = False
    made_at: str = ""
    ticket: DmaTransferContext | None = None
    told: bool = False


@dataclass(eq=False, slots=True)
class ChannelState:
    """One channel: of a bus master by itself, of a system DMA channel shared by every adapter that names it."""

    owner: MapRegisterFile | None = None
    owner_device: DeviceObject | None = None
    queue: deque[Waiter] = field(default_factory=deque)
    in_callback: bool = False
    waking: bool = False


# --- scatter/gather lists ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScatterGatherElement:
    """A piece that is contiguous for the device: logical address and length in bytes."""

    address: La
    length: int


@dataclass(eq=False, slots=True)
class ScatterGatherList:
    """SCATTER_GATHER_LIST with what Put needs to undo it; `live` only while there is something to put."""

    elements: tuple[ScatterGatherElement, ...]
    adapter: Adapter
    file: MapRegisterFile
    segments: tuple[Segment, ...]
    to_device: bool
    live: bool = True
    has_mdl: bool = False

    @property
    def length(self) -> int:
        """Bytes that the list describes."""
        return sum(element.length for element in self.elements)


ListControl = Callable[["DeviceObject", object, "ScatterGatherList", object], None]
"""PDRIVER_LIST_CONTROL: (DeviceObject, Irp, ScatterGather, Context)."""
