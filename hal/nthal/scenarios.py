# SPDX-License-Identifier: Apache-2.0
"""Start-up and unload of a driver, written the way the documents ask for it: what to do when the buffer is NULL.

Source: reference hal-contract CB-72 to CB-75 and CB-84.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nthal.operations import adapter as adapters
from nthal.operations import common_buffer
from nthal.records.request import BufferRequest
from nthal.windows import NtStatus

if TYPE_CHECKING:
    from nthal.machine import DeviceObject, Machine
    from nthal.records.adapter import Adapter
    from nthal.types import La, Va
    from nthal.windows import DeviceDescription


class Claims:
    """What a driver claimed before it asked for DMA: names of resources, given back in reverse order."""

    def __init__(self, *names: str) -> None:
        self.held = list(names)

    def release(self) -> None:
        """Give everything back."""
        while self.held:
            self.held.pop()


@dataclass(frozen=True, slots=True)
class Started:
    """How a start ended: status, and adapter and buffer if there are any."""

    status: NtStatus
    adapter: Adapter | None = None
    va: Va | None = None
    la: La | None = None


def start_device(
    machine: Machine,
    description: DeviceDescription,
    length: int,
    claims: Claims,
    *,
    device: DeviceObject | None = None,
    packet_capable: bool = False,
) -> Started:
    """IRP_MN_START_DEVICE of a WDM driver: adapter, then buffer; without them it undoes all it did (CB-73, CB-75)."""
    adapter = adapters.create(machine, description, device)
    if adapter is None:
        claims.release()
        return Started(NtStatus.INSUFFICIENT_RESOURCES)
    buffer = common_buffer.allocate(machine, adapter, BufferRequest(length))
    if buffer is not None:
        return Started(NtStatus.SUCCESS, adapter, buffer.va, buffer.la)
    if packet_capable:
        return Started(NtStatus.SUCCESS, adapter)
    adapters.put(machine, adapter)
    claims.release()
    return Started(NtStatus.INSUFFICIENT_RESOURCES)


def nt_driver_entry(machine: Machine, description: DeviceDescription, length: int, *, packet_capable: bool) -> Started:
    """DriverEntry of an NT driver: without a buffer it does packet DMA only, or fails to load (CB-74)."""
    adapter = adapters.create(machine, description, nt=True)
    if adapter is None:
        return Started(NtStatus.INSUFFICIENT_RESOURCES)
    buffer = common_buffer.allocate(machine, adapter, BufferRequest(length, cache_enabled=False))
    if buffer is not None:
        return Started(NtStatus.SUCCESS, adapter, buffer.va, buffer.la)
    return Started(NtStatus.SUCCESS if packet_capable else NtStatus.INSUFFICIENT_RESOURCES, adapter)


def unload(machine: Machine, driver: str = "driver") -> int:
    """End a driver and count the common buffers that it leaves behind (CB-84)."""
    return adapters.unload(machine, driver)
