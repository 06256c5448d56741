# SPDX-License-Identifier: Apache-2.0
"""nthal with much to keep: what one common buffer costs among many, and one page of a long scatter/gather list.

Times are seconds of this process. Nothing is recorded meanwhile, as in any long run (`Machine.recording`).
"""

import gc
import time
from dataclasses import dataclass, replace
from typing import Final

from nthal import wdm
from nthal.machine import DeviceObject, Machine
from nthal.platforms import FLAT, FRAG, Span
from nthal.records.adapter import ScatterGatherList
from nthal.types import La, Out, Va
from nthal.windows import DeviceDescription, InterfaceType, Irql

PAGE: Final = FLAT.page_size
_FIRST: Final = 0x0100_0000
_MASTER: Final = DeviceDescription(
    version=2,
    master=True,
    scatter_gather=True,
    interface_type=InterfaceType.PCI,
    dma_32bit_addresses=True,
    maximum_length=0x1000_0000,
)


@dataclass(frozen=True, slots=True)
class BufferTimes:
    """Seconds for one allocation with its free among those that live, and for one free while all of them are freed."""

    both: float
    free: float


def _adapter() -> wdm.DMA_ADAPTER:
    adapter = wdm.IoGetDmaAdapter(DeviceObject(), _MASTER, Out())
    assert adapter is not None
    return adapter


def _allocate(adapter: wdm.DMA_ADAPTER, la: Out[La]) -> Va:
    va = adapter.DmaOperations.AllocateCommonBuffer(adapter, PAGE, la, True)
    assert va is not None
    return va


def buffers(live: int, *, calls: int) -> BufferTimes:
    """Measure common buffers of one page while `live` others are there; `calls` times, of which the mean is given."""
    with Machine(FLAT) as machine:
        machine.recording = False
        adapter = _adapter()
        free = adapter.DmaOperations.FreeCommonBuffer
        la: Out[La] = Out()
        kept = [(_allocate(adapter, la), la.taken) for _ in range(live)]
        gc.collect()
        start = time.perf_counter()
        for _ in range(calls):
            va = _allocate(adapter, la)
            free(adapter, PAGE, la.taken, va, True)
        middle = time.perf_counter()
        for va, one in kept:
            free(adapter, PAGE, one, va, True)
        return BufferTimes((middle - start) / calls, (time.perf_counter() - middle) / live)


def scattered_list(pages: int) -> float:
    """Seconds to get and to put one list over `pages` pages of which no two are neighbours."""
    span = Span(_FIRST, _FIRST + 2 * (pages + 1) * PAGE - 1)
    with Machine(replace(FRAG, free=(span,))) as machine:
        machine.recording = False
        adapter, device = _adapter(), DeviceObject()
        va = machine.allocate_pool(pages * PAGE, scattered=True)
        mdl = None if va is None else wdm.IoAllocateMdl(va, pages * PAGE, False, False)
        assert mdl is not None
        wdm.MmBuildMdlForNonPagedPool(mdl)

        def put(_device: object, _irp: object, made: ScatterGatherList, _context: object) -> None:
            assert len(made.elements) == pages
            adapter.DmaOperations.PutScatterGatherList(adapter, made, True)

        gc.collect()
        with machine.at_irql(Irql.DISPATCH_LEVEL):
            start = time.perf_counter()
            adapter.DmaOperations.GetScatterGatherList(adapter, device, mdl, mdl.va, pages * PAGE, put, None, True)
            return time.perf_counter() - start
