# SPDX-License-Identifier: Apache-2.0
"""How a channel's bytes cross the bridge: a run of local addresses at once, or word by word at a held one."""

from collections.abc import Callable
from typing import Protocol

from plx9x5x.errors import BusAbort, ParityError
from plx9x5x.model.heldport import HeldPort
from plx9x5x.model.localbus import LocalBus, Span
from plx9x5x.model.transfer import Transfer
from plx9x5x.ports import BusMaster
from plx9x5x.units import BusAddr


class OnParity(Protocol):
    """Is told of bad data at a bus address."""

    def __call__(self, address: int, *, writes: bool = False) -> None:
        """`writes`: the chip wrote it, and the target says so."""
        ...


class DataPath:
    """One channel's way between guest memory and the local bus. `on_parity` is told where bad data came or went."""

    def __init__(self, bus: BusMaster, local: LocalBus, on_parity: OnParity) -> None:
        self.bus, self._on_parity = bus, on_parity
        self.local = local
        """The local bus, which is new after a reset."""
        self._port: HeldPort | None = None
        self.bus_bytes = 0
        """What the last step put on the PCI bus."""

    def linear(self, transfer: Transfer, address: BusAddr, span: Span) -> None:
        """Move a run of local addresses that has one answer, without a copy where the target is plain memory."""
        to_pci = transfer.to_pci
        word = transfer.swapped
        self.bus_bytes = span.length
        memory = self.local.view(span) if not word else None
        if to_pci:
            if memory is None:
                memory = memoryview(self.local.read_swapped(span.address, span.length, word))
            self.write_bus(address, memory)
        elif memory is not None:
            self.read_bus(address, memory)
        else:
            buffer = memoryview(bytearray(span.length))
            arrived = span.length
            try:
                self.read_bus(address, buffer)
            except BusAbort as abort:
                arrived = abort.moved
                raise
            finally:
                self.local.write_swapped(span.address, buffer[:arrived], word)

    def held(self, transfer: Transfer, address: BusAddr, length: int, stopped: Callable[[], bool]) -> int:
        """Move word by word from or to one local address; give the bytes moved, fewer once `stopped` says so."""
        port = self.port(transfer)
        if transfer.to_pci:
            data = port.read(transfer.moved, length, stopped)
            self.write_bus(address, memoryview(data))
            return len(data)
        buffer = memoryview(bytearray(length))
        arrived, taken = length, 0
        self.bus_bytes = length
        try:
            self.read_bus(address, buffer)
        except BusAbort as abort:
            arrived = abort.moved
            raise
        finally:
            taken = port.write(transfer.moved, buffer[:arrived], stopped)
        return taken

    def port(self, transfer: Transfer) -> HeldPort:
        """What a transfer at a held local address talks to: worked out once for a transfer."""
        if self._port is None or self._port.transfer is not transfer or self._port.local is not self.local:
            self._port = HeldPort(transfer, self.local)
        return self._port

    def read_bus(self, address: BusAddr, into: memoryview) -> None:
        """Read as bus master; bad parity sets status bits and the transfer goes on."""
        try:
            self.bus.read_into(address, into)
        except ParityError:
            self._on_parity(address)

    def write_bus(self, address: BusAddr, data: memoryview) -> None:
        """Write as bus master; bad parity is for the status bits, as in a read. Raises: MasterAbort, TargetAbort."""
        self.bus_bytes = len(data)
        try:
            self.bus.write_from(address, data)
        except ParityError:
            self._on_parity(address, writes=True)
