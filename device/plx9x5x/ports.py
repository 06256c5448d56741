# SPDX-License-Identifier: Apache-2.0
"""What the model is given, and what it gives: the seams between the chip and everything around it."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from plx9x5x.units import BusAddr


class ResetKind(enum.Enum):
    """Where a reset comes from; the chip decides what each one clears."""

    POWER_ON = "power-on"
    """Power-on, PCI RST#, or a device reset from the vfio-user client: defaults, then the EEPROM load."""
    LOST_CLIENT = "lost client"
    """The client is gone, its memory with it: as power-on for the next client."""


class BusMaster(Protocol):
    """Guest memory by bus address, as the chip masters it.

    An access may cross as many mappings as it likes. The bytes before a failing one have moved when `BusAbort` is
    raised, and its `moved` says how many. `ParityError` says that all bytes moved and some were bad.
    """

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` (bytes, contiguous, writable) from `address` on. Raises: MasterAbort, ParityError."""
        ...

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` (bytes, contiguous) from `address` on. Raises: MasterAbort, TargetAbort."""
        ...


class IrqLine(Protocol):
    """The INTA# pin as a level."""

    def set(self, level: bool) -> None:
        """Drive the line; called on every change, and harmless without one."""
        ...


class Clock(Protocol):
    """Time as the model sees it; a test advances it by hand."""

    def now(self) -> int:
        """Nanoseconds since an arbitrary start; never runs backwards."""
        ...


class LocalBusTarget(Protocol):
    """One peripheral behind a local-bus window; `offset` counts bytes from its start.

    One access may be up to 64 KiB long, at any alignment: a DMA burst, or what a CPU reads or writes at once. At a held
    local address (DMAMODE bit 11) it is one word.
    """

    @property
    def size(self) -> int:
        """Bytes that it decodes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes; the caller keeps the range inside `size`."""
        ...

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Store `data`; the caller keeps the range inside `size`."""
        ...

    def view(self, offset: int, length: int) -> memoryview | None:
        """Plain memory as a writable view for DMA without a copy, or None if accesses have side effects."""
        ...


class Pin(enum.Enum):
    """Outputs of the chip that a board may watch. True is asserted, whatever the pin's polarity."""

    LINTO = "LINTo#"
    """Interrupt to the local processor."""
    USERO = "USERo"
    """General purpose output, CNTRL bit 16; True is high."""
    LSERR = "LSERR#"
    """System error to the local side (TEA# in M mode)."""


class LocalPins(Protocol):
    """The chip as one peripheral on its local bus sees it. Callable only from within the peripheral's own calls."""

    def now(self) -> int:
        """The model's clock, nanoseconds."""
        ...

    def drive_linti(self, level: bool) -> None:
        """Drive LINTi#: a level, not latched. Peripherals are wired together: one that asserts is enough."""
        ...

    def drive_useri(self, level: bool) -> None:
        """Drive USERi; it floats high."""
        ...

    def demand(self, channel: int, ready: Callable[[], int] | None) -> None:
        """Pace a DMA channel in demand mode (DREQ#): `ready` says how many bytes may move now; None never asks.

        It is called at any time and any number of times, and has no effect by itself.
        """
        ...

    def assert_eot(self, channel: int) -> None:
        """Assert EOT# for a channel: the transfer ends after the access that runs now, if the driver enabled EOT#.

        At a held address an access is one local bus word; otherwise it is whatever one `read` or `write` was asked for.
        """
        ...

    def watch(self, pin: Pin, changed: Callable[[bool], None]) -> None:
        """Call `changed` at once, and whenever the pin changes."""
        ...

    def call_at(self, time: int, call: Callable[[], None]) -> None:
        """Have `call` called once the clock shows `time`; a reset forgets it."""
        ...

    def finish_self_test(self, code: int = 0, *, supported: bool = True) -> None:
        """Give the result of the built-in self test (0 is passed) and end it."""
        ...

    def wake_host(self) -> None:
        """Note a power management event: PME# would be driven."""
        ...

    def parity_error(self) -> None:
        """Note a parity error on the local bus."""
        ...

    def read_register(self, offset: int) -> int:
        """Read a dword register, offsets as in BAR0. Reading MBOX0 to MBOX3 takes back their interrupt."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write a dword register, offsets as in BAR0; doorbells work the other way round than from PCI."""
        ...


@runtime_checkable
class Pluggable(Protocol):
    """A peripheral that wants the pins."""

    def plug(self, pins: LocalPins) -> None:
        """Take the pins; called once, before any access."""
        ...


class TraceSink(Protocol):
    """Takes the typed events of `plx9x5x.events`."""

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
        """Nanoseconds of the device's clock until `step` may find work though it gave False; None is: not by itself."""
        ...


class DeviceFactory(Protocol):
    """Builds the device around the host's side: a transport owns the memory map and the interrupt."""

    def __call__(self, bus: BusMaster, irq: IrqLine) -> PciDevice:
        """Make one device; two calls share nothing."""
        ...
