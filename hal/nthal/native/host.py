# SPDX-License-Identifier: Apache-2.0
"""What a driver in C is given: a computer with its device in it. Who has both brings something of this shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from nthal.machine import DeviceObject, Machine


class Window(Protocol):
    """A device's registers, by offset; `width` is bytes."""

    def read(self, offset: int, width: int) -> int:
        """Read one register."""

    def write(self, offset: int, width: int, value: int) -> None:
        """Write one register."""


class InterruptLine(Protocol):
    """A connected interrupt."""

    def queue_dpc(self) -> bool:
        """Ask for the DPC; False if it is queued already."""


class Host(Protocol):
    """The computer and the device that the driver is for: what a bus driver knows of it."""

    @property
    def machine(self) -> Machine:
        """The computer."""

    @property
    def pdo(self) -> DeviceObject:
        """The device object that the bus driver made."""

    @property
    def registers(self) -> Window:
        """BAR 0."""

    def connect(self, isr: Callable[[], bool], dpc: Callable[[], None]) -> InterruptLine:
        """Connect the interrupt."""

    def disconnect(self) -> None:
        """Disconnect it."""

    def enter_d0(self) -> None:
        """Power up, bus mastering on."""

    def leave_d0(self) -> None:
        """Bus mastering off, power down."""

    def step(self) -> object:
        """Let the device work a little while the driver waits; no interrupt comes."""

    def run(self) -> object:
        """Let the device work until it has nothing to do, with interrupts."""
