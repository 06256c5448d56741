# SPDX-License-Identifier: Apache-2.0
"""A device of one's own, guarded: what is wrong in its code is its author's, and said with the place.

What it gives is looked at before a transport has to make bytes of it, and its memory and its line are counted.
"""

import errno
import operator
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from plx9x5x.errors import BadRequest
from plx9x5x.own import blame
from plx9x5x.own.tally import CountingBus, CountingLine, Tally
from plx9x5x.ports import KIT, BusMaster, DeviceFactory, HasMessage, IrqLine, PciDevice, RegionSpec, ResetKind
from plx9x5x.witness.judge import UNTOLD, BusPurpose

_BARS: Final = 6
_METHODS: Final = ("read", "write", "config_read", "config_write", "reset", "step", "wait_ns")
_ABSENT: Final = (0x0000, 0xFFFF)
"""Vendors that nobody is: a guest takes them for an empty slot."""
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""What the host lacks is no mistake of the device's: that costs the client."""
_IS_IO, _TYPE_64 = 1, 4

T = TypeVar("T")


class DeviceFailed(BadRequest):
    """A device of one's own raised, or gave what means nothing; where, the text says."""


class GuardedDevice:
    """`device`, called `name`; `plx9x5x.ports.PciDevice`. `left` is called when the client is gone."""

    def __init__(self, device: PciDevice, name: str, tally: Tally, left: Callable[[], None]) -> None:
        self.device: Final = device
        self._name, self._tally, self._left = name, tally, left
        self._regions = tuple(device.regions)

    @property
    def regions(self) -> Sequence[RegionSpec]:
        """BAR0 to BAR5."""
        return self._regions

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read a BAR."""
        self._tally.reads += 1
        try:
            value = self.device.read(bar, offset, width)
        except Exception as exc:
            raise self._failed(exc, f"read(bar={bar}, offset={offset:#x}, width={width})") from exc
        if type(value) is int and 0 <= value < 1 << 8 * width:
            return value
        return self._number(value, width, f"read(bar={bar}, offset={offset:#x}, width={width})")

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write a BAR."""
        self._tally.writes += 1
        try:
            self.device.write(bar, offset, width, data)
        except Exception as exc:
            raise self._failed(exc, f"write(bar={bar}, offset={offset:#x}, width={width}, data={data:#x})") from exc

    def config_read(self, offset: int, width: int) -> int:
        """Read configuration space."""
        call = f"config_read(offset={offset:#x}, width={width})"
        return self._number(self._call(call, lambda: self.device.config_read(offset, width)), width, call)

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write configuration space."""
        call = f"config_write(offset={offset:#x}, width={width}, data={data:#x})"
        self._call(call, lambda: self.device.config_write(offset, width, data))

    def reset(self, kind: ResetKind) -> None:
        """Go back to the power-on state."""
        self._call(f"reset({kind})", lambda: self.device.reset(kind))
        if kind is ResetKind.LOST_CLIENT:
            self._left()

    def step(self, budget: int) -> bool:
        """Do DMA work."""
        try:
            return bool(self.device.step(budget))
        except Exception as exc:
            raise self._failed(exc, f"step(budget={budget})") from exc

    def wait_ns(self) -> int | None:
        """Until it may find work."""
        try:
            wait = self.device.wait_ns()
        except Exception as exc:
            raise self._failed(exc, "wait_ns()") from exc
        if wait is None or (type(wait) is int and wait >= 0):
            return wait
        raise self._wrong("wait_ns()", wait, "None, or whole nanoseconds from 0 on")

    def bus_purpose(self) -> BusPurpose | None:
        """What it is on the bus for, if it tells (`plx9x5x.witness.device.TellsPurpose`)."""
        tells = getattr(self.device, "bus_purpose", None)
        if tells is None:
            return UNTOLD
        told = self._call("bus_purpose()", tells)
        if told is None or isinstance(told, BusPurpose):
            return told
        raise self._wrong("bus_purpose()", told, "None or a BusPurpose")

    def _call(self, call: str, do: Callable[[], T]) -> T:
        try:
            return do()
        except Exception as exc:
            raise self._failed(exc, call) from exc

    def _failed(self, exc: Exception, call: str) -> DeviceFailed:
        if isinstance(exc, MemoryError) or (isinstance(exc, OSError) and exc.errno in _NO_ROOM):
            raise exc
        return DeviceFailed(f"{self._name}: {blame.told(exc)}; in {call}")

    def _number(self, value: object, width: int, call: str) -> int:
        most = (1 << 8 * width) - 1
        try:
            number = operator.index(value)  # type: ignore[arg-type] # an author may have given anything
        except TypeError:
            number = -1
        if 0 <= number <= most:
            return number
        raise self._wrong(call, value, f"a number from 0 to {most:#x}")

    def _wrong(self, call: str, value: object, wanted: str) -> DeviceFailed:
        return DeviceFailed(f"{self._name}: {call} gave {value!r:.80}; it gives {wanted}")


class _WithMessage(GuardedDevice):
    """The same of a device that interrupts by a message too."""

    def send_by(self, send: Callable[[], bool]) -> None:
        """Send the message by `send`."""
        assert isinstance(self.device, HasMessage)
        self.device.send_by(send)


def guarded(make: DeviceFactory, name: str, tally: Tally, left: Callable[[], None] = lambda: None) -> DeviceFactory:
    """A factory of the same devices, guarded, and counted in `tally`.

    It raises DeviceFailed if the device cannot be made, or is none that a client could use.
    """

    def made(bus: BusMaster, irq: IrqLine) -> GuardedDevice:
        line = CountingLine(irq, tally)
        try:
            device = make(CountingBus(bus, tally), line)
        except Exception as exc:
            raise DeviceFailed(f"{name} makes no device: {blame.told(exc)}") from exc
        _check(device, name)
        kind = _WithMessage if isinstance(device, HasMessage) else GuardedDevice
        guard = kind(device, name, tally, left)
        _check_config(guard, name)
        line.has_pin = lambda: guard.config_read(0x3D, 1) != 0
        return guard

    return made


def _check(device: object, name: str) -> None:
    """Look whether it is a PciDevice. Raises: DeviceFailed."""
    what = f"{name} makes a {type(device).__name__}, which is no PciDevice:"
    lacks = [method for method in _METHODS if not callable(getattr(device, method, None))]
    if lacks:
        raise DeviceFailed(f"{what} it has no {', no '.join(f'{method}()' for method in lacks)}")
    try:
        regions = tuple(device.regions)  # type: ignore[attr-defined] # that is what is looked at
    except (AttributeError, TypeError) as exc:
        raise DeviceFailed(f"{what} its regions are no sequence of {_BARS} RegionSpecs") from exc
    if len(regions) != _BARS or not all(isinstance(spec, RegionSpec) for spec in regions):
        raise DeviceFailed(f"{what} its regions are {_BARS} RegionSpecs, BAR0 to BAR5; RegionSpec(0) is no BAR")
    for bar, spec in enumerate(regions):
        least = 4 if spec.is_io else 16
        if spec.size and (spec.size < least or spec.size & spec.size - 1):
            raise DeviceFailed(f"{what} BAR{bar} has {spec.size:#x} bytes, and a BAR a power of two from {least} on")
    written_for = getattr(device, "kit", KIT)
    if written_for[:1] != KIT[:1] or tuple(written_for) > KIT:
        versions = (".".join(map(str, version)) for version in (written_for, KIT))
        raise DeviceFailed("{} was written for version {} of the kit, and this is {}".format(name, *versions))


def _check_config(device: GuardedDevice, name: str) -> None:
    """Look at what a guest would go by. Raises: DeviceFailed."""
    vendor = device.config_read(0, 2)
    if vendor in _ABSENT:
        raise DeviceFailed(f"{name}: its vendor, at 0 of configuration space, is {vendor:#06x}: no guest would see it")
    for bar, spec in enumerate(device.regions):
        kind = device.config_read(0x10 + 4 * bar, 4) if spec.size else 0
        if not spec.size:
            continue
        if bool(kind & _IS_IO) is not spec.is_io:
            says = "I/O" if kind & _IS_IO else "memory"
            raise DeviceFailed(
                f"{name}: BAR{bar} is {says} in configuration space (bit 0), and not so in its regions (is_io)"
            )
        if kind & _TYPE_64 and not spec.is_io and (bar + 1 >= _BARS or device.regions[bar + 1].size):
            raise DeviceFailed(f"{name}: BAR{bar} has 64 bits (bit 2), so its upper half stands in place of the next")
