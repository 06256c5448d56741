# SPDX-License-Identifier: Apache-2.0
"""What a device is given, and what it gives: the seams between its model and everything around it.

Nothing here knows what the device is: a transport serves any `PciDevice`.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from plx9x5x.units import BusAddr

KIT: Final = (1, 0)
"""The version of what docs/your-own-device.md calls stable.

The second number grows with what is added, the first (and the second begins at 0) with what breaks a device that was
right before: a name that goes or moves, one more argument that has to be given, another meaning. A test holds names and
arguments to it.
"""


class ResetKind(enum.Enum):
    """Where a reset comes from; the device decides what each one clears."""

    POWER_ON = "power-on"
    """Power-on, PCI RST#, or a device reset from the vfio-user client."""
    LOST_CLIENT = "lost client"
    """The client is gone, its memory with it: as power-on for the next client."""


class BusMaster(Protocol):
    """Guest memory by bus address, as the device masters it.

    An access may cross as many mappings as it likes. The bytes before a failing one have moved when `BusAbort` is
    raised, and its `moved` says how many. `ParityError` says that all bytes moved and some were bad.

    Memory that a client does not share is reached by asking it, and the client's own accesses are served meanwhile: any
    method of the device but `step` may be called from within `read_into` and `write_from`, a reset too. A client that
    waits for an answer cannot be asked, so such memory is out of reach within the device's `read` and `write`.
    """

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` (bytes, contiguous, writable) from `address` on. Raises: MasterAbort, ParityError."""
        ...

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` (bytes, contiguous) from `address` on. Raises: MasterAbort, TargetAbort, ParityError."""
        ...


class IrqLine(Protocol):
    """The INTA# pin as a level."""

    @property
    def level(self) -> bool:
        """What the device drives."""
        ...

    def set(self, level: bool) -> None:
        """Drive the line; called on every change, and harmless without one."""
        ...


class Clock(Protocol):
    """Time as the model sees it; a test advances it by hand."""

    def now(self) -> int:
        """Nanoseconds since an arbitrary start; never runs backwards."""
        ...

    def expect(self, wait_ns: int | None) -> int | None:
        """Take note that the device will not look for `wait_ns` (None: until asked); give the host's time for that.

        A clock may leave out what passes unexpectedly between two looks.
        """
        ...


class TraceSink(Protocol):
    """Takes the typed events of a device; which there are is the device's affair."""

    @property
    def enabled(self) -> bool:
        """False lets the model skip building events that nobody reads; faults come all the same."""
        ...

    def emit(self, event: object) -> None:
        """Take one event; must not raise and must not block."""
        ...


class NullTrace:
    """A trace that nobody reads."""

    enabled = False

    def emit(self, event: object) -> None:
        """Drop the event."""


@dataclass(frozen=True, slots=True)
class RegionSpec:
    """One base address register as the client sees it. `size` in bytes; 0 means that the BAR is absent."""

    size: int
    is_io: bool = False


class PciDevice(Protocol):
    """What a transport serves. It never raises on guest input and never blocks.

    So it catches the `BusAbort` of a bus address that the guest got wrong (`plx9x5x.errors`): an exception that leaves
    the device is its own bug and ends the server. Whether it may master the bus (bit 2 of the command register) is for
    the device to look at, before each access.

    Values are little-endian integers; `width` is the access length in bytes, any number from 1 up.
    """

    @property
    def regions(self) -> Sequence[RegionSpec]:
        """BAR0 to BAR5, in this order."""
        ...

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read `width` bytes of a BAR at `offset`."""
        ...

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write the low `width` bytes of `data` to a BAR at `offset`."""
        ...

    def config_read(self, offset: int, width: int) -> int:
        """Read PCI configuration space, 256 bytes."""
        ...

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write PCI configuration space, 256 bytes."""
        ...

    def reset(self, kind: ResetKind) -> None:
        """Go back to the power-on state."""
        ...

    def step(self, budget: int) -> bool:
        """Do DMA work worth about `budget` bytes; True while more could be done right now."""
        ...

    def wait_ns(self) -> int | None:
        """Nanoseconds of the host until `step` may find work though it gave False; None is: not by itself."""
        ...


@runtime_checkable
class HasMessage(Protocol):
    """A device that interrupts by a message too: one vector of MSI-X."""

    def send_by(self, send: Callable[[], bool]) -> None:
        """Send the message by `send`, which says whether somebody listens."""
        ...


class DeviceFactory(Protocol):
    """Builds the device around the host's side: a transport owns the memory map and the interrupt."""

    def __call__(self, bus: BusMaster, irq: IrqLine) -> PciDevice:
        """Make one device; two calls share nothing."""
        ...
