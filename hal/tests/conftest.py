# SPDX-License-Identifier: Apache-2.0
"""A driver's world in a fixture: one running machine, one WDM adapter, and the calls in short."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from nthal import nt, wdm
from nthal.machine import DeviceObject, Machine
from nthal.platforms import FLAT, Platform
from nthal.types import KIB, La, Out, Va
from nthal.windows import DeviceDescription, DmaWidth, InterfaceType

A32 = DeviceDescription(
    version=2,
    master=True,
    scatter_gather=True,
    interface_type=InterfaceType.PCI,
    dma_32bit_addresses=True,
    maximum_length=64 * KIB,
)
ADAPTERS = {
    "A32": A32,
    "A64": replace(A32, dma_64bit_addresses=True),
    "AP": replace(A32, scatter_gather=False),
    "A24": DeviceDescription(
        version=2, master=True, interface_type=InterfaceType.ISA, dma_channel=8, maximum_length=64 * KIB
    ),
    "S1": DeviceDescription(
        version=2,
        interface_type=InterfaceType.ISA,
        dma_channel=1,
        dma_width=DmaWidth.WIDTH_8,
        auto_initialize=True,
        maximum_length=64 * KIB,
    ),
    "S5": DeviceDescription(
        version=2,
        interface_type=InterfaceType.ISA,
        dma_channel=5,
        dma_width=DmaWidth.WIDTH_16,
        auto_initialize=True,
        maximum_length=64 * KIB,
    ),
    "A32v3": replace(A32, version=3, dma_address_width=32),
    "A64v3": replace(A32, version=3, dma_address_width=64, dma_64bit_addresses=True),
}


@dataclass
class Buffer:
    """A common buffer as a driver keeps it."""

    length: int
    va: Va
    la: La
    cache: bool = True


class Bench:
    """One machine with one adapter. `acb` allocates, `free` frees with the same arguments."""

    def __init__(self, machine: Machine, adapter: wdm.DMA_ADAPTER | None, registers: int) -> None:
        self.machine = machine
        self.adapter_or_none = adapter
        self.registers = registers
        self.last_la = La(0)

    @property
    def adapter(self) -> wdm.DMA_ADAPTER:
        assert self.adapter_or_none is not None, str(self.machine.last_failure)
        return self.adapter_or_none

    @property
    def ops(self) -> wdm.DMA_OPERATIONS:
        return self.adapter.DmaOperations

    def acb(self, length: int, *, cache: bool = True) -> Buffer | None:
        la: Out[La] = Out()
        va = self.ops.AllocateCommonBuffer(self.adapter, length, la, cache)
        self.last_la = la.taken
        return None if va is None else Buffer(length, va, la.taken, cache)

    def ok(self, length: int, *, cache: bool = True) -> Buffer:
        buffer = self.acb(length, cache=cache)
        assert buffer is not None, str(self.machine.last_failure)
        return buffer

    def ex(self, length: int, *, maximum: int | None = None, cache: bool = True) -> Buffer | None:
        la: Out[La] = Out()
        top = None if maximum is None else La(maximum)
        va = self.ops.AllocateCommonBufferEx(self.adapter, top, length, la, cache, 0)
        return None if va is None else Buffer(length, va, la.taken, cache)

    def bounds(self, length, *, minimum=None, maximum=None, caching=None, flags=0) -> Buffer | None:
        la: Out[La] = Out()
        low, top = (None if x is None else La(x) for x in (minimum, maximum))
        va = self.ops.AllocateCommonBufferWithBounds(self.adapter, low, top, length, flags, caching, 0, la)
        return None if va is None else Buffer(length, va, la.taken)

    def free(self, buffer: Buffer) -> None:
        self.ops.FreeCommonBuffer(self.adapter, buffer.length, buffer.la, buffer.va, buffer.cache)

    def pa(self, buffer: Buffer, offset: int = 0) -> int:
        return int(self.machine.physical_address(buffer.va + offset))

    def get(self, description: DeviceDescription) -> "Bench":
        """Another adapter on the same machine."""
        count: Out[int] = Out()
        adapter = wdm.IoGetDmaAdapter(DeviceObject(), description, count)
        return Bench(self.machine, adapter, count.taken)

    def nt_get(self, description: DeviceDescription) -> tuple[object, int]:
        count: Out[int] = Out()
        return nt.HalGetAdapter(description, count), count.taken

    @property
    def used(self) -> int:
        return self.machine.frames.used

    def books(self) -> tuple[object, ...]:
        """Every counter and every free set of the machine, to compare before and after."""
        machine, core = self.machine, self.adapter.core
        return (
            machine.frames.free.snapshot(),
            machine.frames.used,
            machine.iova.snapshot(),
            machine.registers.snapshot(),
            machine.space.free_pages,
            len(machine.space.regions()),
            len(machine.bus.buffers()),
            len(machine.bus.windows),
            core.held_registers,
            core.books.buffers.live,
            core.books.registers.live,
            machine.memory.resident_pages,
        )


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench() -> Iterator[MakeBench]:
    """Make a running machine with an adapter by name or description."""
    with ExitStack() as stack:

        def make(platform: Platform = FLAT, adapter: str | DeviceDescription = "A32", **changes: object) -> Bench:
            description = ADAPTERS[adapter] if isinstance(adapter, str) else adapter
            machine = stack.enter_context(Machine(platform))
            return Bench(machine, None, 0).get(replace(description, **changes))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def adapters() -> dict[str, DeviceDescription]:
    """The adapters of the test vectors, by name."""
    return dict(ADAPTERS)
