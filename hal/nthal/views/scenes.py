# SPDX-License-Identifier: Apache-2.0
"""Three machines after real allocations, for the pictures of the contract's page."""

from dataclasses import replace
from typing import Final

from nthal.machine import DeviceObject, Machine
from nthal.operations import adapter as adapters
from nthal.operations import common_buffer, mdl, scatter_gather
from nthal.platforms import BIG, IOMMU, MAPREG, Span
from nthal.records.adapter import Adapter
from nthal.records.request import BufferRequest
from nthal.types import KIB
from nthal.windows import DeviceDescription, InterfaceType, Irql

_DEVICE: Final = DeviceDescription(
    version=2,
    master=True,
    scatter_gather=True,
    interface_type=InterfaceType.PCI,
    dma_32bit_addresses=True,
    maximum_length=64 * KIB,
)


def _started(machine: Machine, *lengths: int) -> Adapter:
    """An adapter for a 32-bit PCI master, and a common buffer of each length."""
    adapter = adapters.create(machine, _DEVICE)
    assert adapter is not None
    for length in lengths:
        made = common_buffer.allocate(machine, adapter, BufferRequest(length))
        assert made is not None, str(machine.last_failure)
    return adapter


def _transfer(machine: Machine, adapter: Adapter, length: int, *, frame: int | None = None) -> None:
    """Map a program's buffer for a write to the device."""
    pool = machine.allocate_pool(length, frame=frame, scattered=True)
    assert pool is not None, str(machine.last_failure)
    described = mdl.allocate(machine, pool, length)
    assert described is not None
    mdl.probe_and_lock(machine, described)
    with machine.at_irql(Irql.DISPATCH_LEVEL):
        scatter_gather.get(
            machine, adapter, DeviceObject(), described, pool, length, lambda *_: None, None, to_device=True
        )


def map_registers() -> Machine:
    """Hardware map registers over fragmented memory: scattered pages, one logical run a buffer."""
    machine = Machine(replace(MAPREG, free=(Span(0x0010_0000, 0x001F_FFFF),)))
    machine.frames.fragment(3, keep=16)
    adapter = _started(machine, 12 * KIB, 100)
    _transfer(machine, adapter, 8 * KIB)
    return machine


def remapped() -> Machine:
    """An IOMMU: pages above 4 GiB, logical addresses below it."""
    machine = Machine(IOMMU)
    machine.frames.fragment(5, keep=12)
    adapter = _started(machine, 16 * KIB, 4097)
    _transfer(machine, adapter, 4 * KIB)
    return machine


def bounced() -> Machine:
    """No translation: the common buffers are below 4 GiB, and a packet buffer above it is copied through low pages."""
    machine = Machine(BIG)
    adapter = _started(machine, 8 * KIB, 100)
    _transfer(machine, adapter, 8 * KIB, frame=0x1_2345_6000 // machine.platform.page_size)
    return machine


SCENES: Final = {
    "contract-map-registers": map_registers,
    "contract-iommu": remapped,
    "contract-bounce": bounced,
}
"""Machines by the name of their picture's file."""
