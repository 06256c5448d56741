# SPDX-License-Identifier: Apache-2.0
"""Random allocations and frees against books kept by hand: who owns which frame and which logical page, and how many.

The suite runs a few thousand steps a platform; `scripts/churn.py` runs 100 000.
"""

import random
from dataclasses import dataclass

from nthal.machine import Machine
from nthal.operations import adapter as adapters
from nthal.operations.common_buffer import allocate, free
from nthal.platforms import FLAT, IOMMU, ISA, MAPREG, OFFSET, Platform
from nthal.records.adapter import CommonBuffer
from nthal.records.request import BufferRequest, FreeRequest
from nthal.windows import DeviceDescription, InterfaceType

MASTER = DeviceDescription(
    version=2,
    master=True,
    scatter_gather=True,
    interface_type=InterfaceType.PCI,
    dma_32bit_addresses=True,
    maximum_length=1 << 20,
)
SLAVE = DeviceDescription(version=2, interface_type=InterfaceType.ISA, dma_channel=1, maximum_length=1 << 16)
SMALL = FLAT.with_free((0x0010_0000, 0x0013_FFFF), (0x0020_0000, 0x002F_FFFF))
"""Little memory with a hole, so that requests fail for want of a run."""

SCENES = {
    "flat": (FLAT, MASTER),
    "small": (SMALL, MASTER),
    "iommu": (IOMMU, MASTER),
    "offset": (OFFSET, MASTER),
    "mapreg": (MAPREG, MASTER),
    "slave": (ISA, SLAVE),
}
LONGEST = 60_000
MOST_LIVE = 150


@dataclass
class Tally:
    """What a run did."""

    allocated: int = 0
    freed: int = 0
    refused: int = 0


class Books:
    """A machine and, beside it, an account of it that knows nothing of how it works."""

    def __init__(self, platform: Platform, description: DeviceDescription) -> None:
        self.machine = Machine(platform)
        self.machine.recording = False
        adapter = adapters.create(self.machine, description)
        assert adapter is not None
        self.adapter = adapter
        self.first = self.state()
        self.live: list[CommonBuffer] = []
        self.frames: set[int] = set()
        self.logical: set[int] = set()
        self.tally = Tally()

    def state(self) -> tuple[object, ...]:
        machine = self.machine
        return (
            machine.frames.free.snapshot(),
            machine.frames.used,
            machine.iova.snapshot(),
            machine.registers.snapshot(),
            machine.space.free_pages,
            len(machine.bus.buffers()),
            self.adapter.held_registers,
            self.adapter.books.buffers.live,
            self.adapter.books.registers.live,
        )

    def pages(self, buffer: CommonBuffer) -> set[int]:
        size = self.machine.platform.page_size
        return set(range(int(buffer.la) // size, int(buffer.la) // size + buffer.frames.count))

    def allocate(self, length: int) -> None:
        before = (self.machine.frames.used, self.adapter.held_registers, self.machine.space.free_pages)
        made = allocate(self.machine, self.adapter, BufferRequest(length))
        if made is None:
            self.tally.refused += 1
            assert before == (self.machine.frames.used, self.adapter.held_registers, self.machine.space.free_pages)
            return
        self.tally.allocated += 1
        frames, logical = set(made.frames.frames()), self.pages(made)
        assert len(frames) == len(logical) == -(-length // self.machine.platform.page_size)
        assert not frames & self.frames, "two live buffers share a page frame"
        assert not logical & self.logical, "two live buffers share a logical page"
        self.frames |= frames
        self.logical |= logical
        self.live.append(made)

    def free(self, index: int) -> None:
        buffer = self.live.pop(index)
        self.frames -= set(buffer.frames.frames())
        self.logical -= self.pages(buffer)
        assert free(self.machine, self.adapter, FreeRequest(buffer.length, buffer.la, buffer.va, cache_enabled=True))
        self.tally.freed += 1

    def check(self) -> None:
        assert self.machine.frames.used == len(self.frames)
        assert self.adapter.books.buffers.live == len(self.live)
        assert self.machine.frames.free.total + len(self.frames) == self.machine.frames.total


def churn(platform: Platform, description: DeviceDescription, steps: int, seed: int) -> Tally:
    """Do `steps` random steps, checking the books after each, free the rest, and compare with the first state."""
    chooser = random.Random(seed)
    books = Books(platform, description)
    for _ in range(steps):
        if books.live and (len(books.live) >= MOST_LIVE or chooser.random() < 0.5):
            books.free(chooser.randrange(len(books.live)))
        else:
            books.allocate(chooser.randrange(1, LONGEST))
        books.check()
    while books.live:
        books.free(-1)
    assert books.state() == books.first
    return books.tally
