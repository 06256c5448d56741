# SPDX-License-Identifier: Apache-2.0
"""A machine as the bus that a device model masters: plain bus addresses in, logical addresses inside.

The shape fits a protocol with `read_into(address, into)` and `write_from(address, data)`. A device model puts numbers
on its bus, so this is the one place where a number becomes a logical address.
"""

from nthal.adapter import Adapter
from nthal.machine import Machine
from nthal.types import La
from nthal.verifier import DmaViolation


class BusRefused(Exception):
    """Nobody answers at `address`. `why` is the finding's text; it stands in the machine's findings as well."""

    def __init__(self, address: int, why: str) -> None:
        super().__init__(why)
        self.address = address


class DeviceBus:
    """The bus between one device and a machine's memory. `adapter` bounds what the device may address."""

    def __init__(self, machine: Machine, adapter: Adapter | None = None) -> None:
        self._machine = machine
        self._adapter = adapter

    def read_into(self, address: int, into: memoryview) -> None:
        """Fill `into` from bus address `address` on. Raises: BusRefused; nothing was read then."""
        try:
            into[:] = self._machine.device_read(La(address), len(into), self._adapter)
        except DmaViolation as violation:
            raise BusRefused(address, str(violation)) from violation

    def write_from(self, address: int, data: memoryview) -> None:
        """Store `data` from bus address `address` on. Raises: BusRefused; nothing was written then."""
        try:
            self._machine.device_write(La(address), bytes(data), self._adapter)
        except DmaViolation as violation:
            raise BusRefused(address, str(violation)) from violation
