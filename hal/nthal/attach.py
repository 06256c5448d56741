# SPDX-License-Identifier: Apache-2.0
"""A machine as the bus that a device model masters: plain bus addresses in, logical addresses inside.

The shape fits a protocol with `read_into(address, into)` and `write_from(address, data)`. A device model puts numbers
on its bus, so this is the one place where a number becomes a logical address.
"""

from nthal.machine import DeviceObject, Machine
from nthal.records.adapter import Adapter
from nthal.types import MAX_ADDRESS, La
from nthal.verifier import DmaViolation, Misuse


class BusRefused(Exception):
    """Nobody answers at `address`, or somebody refuses; the first `moved` bytes of the access went through.

    `misuse` is the rule that the finding in the machine names, `why` its text. `nearest` holds (logical address, bytes)
    of the live ranges around the address.
    """

    def __init__(
        self, address: int, why: str, *, misuse: Misuse, moved: int = 0, nearest: tuple[tuple[int, int], ...] = ()
    ) -> None:
        super().__init__(why)
        self.address = address
        self.misuse = misuse
        self.moved = moved
        self.nearest = nearest


class DeviceBus:
    """The bus between one device and a machine's memory.

    `adapter` bounds what the device may address. With `pdo` in its place it is the adapter that the device's driver got
    last, whenever that is: a device stands on its bus before its driver is loaded.
    """

    def __init__(self, machine: Machine, adapter: Adapter | None = None, *, pdo: DeviceObject | None = None) -> None:
        self._machine = machine
        self._adapter = adapter
        self._pdo = pdo

    @property
    def adapter(self) -> Adapter | None:
        """Adapter whose limits and mappings count now; None before the driver has one."""
        if self._pdo is None:
            return self._adapter
        return next((one for one in reversed(self._machine.adapters) if one.device is self._pdo), None)

    def read_into(self, address: int, into: memoryview) -> None:
        """Fill `into` from bus address `address` on. Raises: BusRefused, in report mode too."""
        adapter = self.adapter
        moved = self._machine.bus.reach(La(address), len(into), adapter)
        into[:moved] = self._machine.bus.read(La(address), moved, adapter) if moved else b""
        if moved < len(into):
            try:
                self._machine.bus.read(La(address + moved & MAX_ADDRESS), len(into) - moved, adapter)
            except DmaViolation as violation:
                raise self._refused(address + moved, moved) from violation
            raise self._refused(address + moved, moved)

    def write_from(self, address: int, data: memoryview) -> None:
        """Store `data` from bus address `address` on. Raises: BusRefused, in report mode too."""
        adapter = self.adapter
        moved = self._machine.bus.reach(La(address), len(data), adapter)
        if moved:
            self._machine.bus.write(La(address), bytes(data[:moved]), adapter)
        if moved < len(data):
            try:
                self._machine.bus.write(La(address + moved & MAX_ADDRESS), bytes(data[moved:]), adapter)
            except DmaViolation as violation:
                raise self._refused(address + moved, moved) from violation
            raise self._refused(address + moved, moved)

    def _refused(self, address: int, moved: int) -> BusRefused:
        ranges = self._machine.bus.ranges()
        below = [one for one in ranges if one[0] <= address][-1:]
        above = [one for one in ranges if one[0] > address][:1]
        finding = self._machine.verifier.findings[-1]
        nearest = tuple(below + above)
        return BusRefused(address & MAX_ADDRESS, str(finding), misuse=finding.misuse, moved=moved, nearest=nearest)
