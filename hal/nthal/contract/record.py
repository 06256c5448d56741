# SPDX-License-Identifier: Apache-2.0
"""Turn a machine's buffers into observations, so that the model is judged by the clauses as a guest is."""

from nthal.contract.observation import Access, Observation
from nthal.machine import Machine
from nthal.records.adapter import CommonBuffer


def observe(machine: Machine, buffer: CommonBuffer, order: int, *, probe: bool = True) -> Observation:
    """Record a live buffer. With `probe`, its first and last byte are written by the device and read by the CPU."""
    access = []
    if probe:
        for offset in sorted({0, buffer.length - 1}):
            device = 0x5A ^ (offset & 0xFF)
            machine.device_write(buffer.la + offset, bytes([device]))
            access.append(Access(offset, machine.cpu_read(buffer.va + offset, 1)[0], device))
    slave = not buffer.adapter.description.master
    return Observation(
        order,
        length=buffer.length,
        page_size=machine.platform.page_size,
        limit=buffer.adapter.limit,
        boundary=buffer.adapter.boundary if slave else None,
        va=int(buffer.va),
        la=int(buffer.la),
        usable=buffer.region.length,
        pages=buffer.frames.frames(),
        translated=machine.platform.translation.scatters,
        device_address=int(buffer.la),
        access=tuple(access),
    )


def observe_free(buffer: CommonBuffer, order: int) -> Observation:
    """Record the free of a buffer."""
    return Observation(order, kind="free", length=buffer.length, va=int(buffer.va), la=int(buffer.la))
