# SPDX-License-Identifier: Apache-2.0
"""A device of one's own, guarded: what is wrong in its code is its author's, and said with the place.

What it gives is looked at before a transport has to make bytes of it, and its memory and its line are counted.
"""

import errno
import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar, cast

from plx9x5x.errors import RAISED
from plx9x5x.own import blame, config_check
from plx9x5x.own.config_check import BARS, DeviceFailed
from plx9x5x.own.tally import CountingBus, CountingLine, Tally
from plx9x5x.ports import KIT, BusMaster, DeviceFactory, HasMessage, IrqLine, PciDevice, RegionSpec, ResetKind
from plx9x5x.witness.judge import UNTOLD, BusPurpose

_METHODS: Final = ("read", "write", "config_read", "config_write", "reset", "step", "wait_ns")
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""What the host lacks is no mistake of the device's: that costs the client."""
_LOG: Final = logging.getLogger("plx9x5x.device")

T = TypeVar("T")


class GuardedDevice:
    """`device`, called `name`; `plx9x5x.ports.PciDevice`. `left` is called when the client is gone."""

    def __init__(
        self, device: PciDevice, regions: Sequence[RegionSpec], name: str, tally: Tally, left: Callable[[], None]
    ) -> None:
        self.device: Final = device
        self._regions = regions
        self._name, self._tally, self._left = name, tally, left

    @property
    def regions(self) -> Sequence[RegionSpec]:
        """BAR0 to BAR5."""
        return self._regions

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read a BAR."""
        self._tally.reads += 1
        try:
            value = self.device.read(bar, offset, width)
        except RAISED as exc:
            raise self._failed(exc, f"read(bar={bar}, offset={offset:#x}, width={width})") from exc
        if type(value) is int and 0 <= value < 1 << 8 * width:
            return value
        return self._number(value, width, f"read(bar={bar}, offset={offset:#x}, width={width})")

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write a BAR."""
        self._tally.writes += 1
        try:
            self.device.write(bar, offset, width, data)
        except RAISED as exc:
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
        except RAISED as exc:
            raise self._failed(exc, f"step(budget={budget})") from exc

    def wait_ns(self) -> int | None:
        """Until it may find work."""
        try:
            wait = self.device.wait_ns()
        except RAISED as exc:
            raise self._failed(exc, "wait_ns()") from exc
        if wait is None or (type(wait) is int and wait >= 0):
            return wait
        raise self._wrong("wait_ns()", wait, "None, or whole nanoseconds from 0 on")

    def bus_purpose(self) -> BusPurpose | None:
        """What it is on the bus for, if it tells (`plx9x5x.witness.device.TellsPurpose`)."""
        tells = self._call("bus_purpose", lambda: getattr(self.device, "bus_purpose", None))
        if tells is None:
            return UNTOLD
        told = self._call("bus_purpose()", tells)
        if told is None or isinstance(told, BusPurpose):
            return told
        raise self._wrong("bus_purpose()", told, "None or a BusPurpose")

    def _call(self, call: str, do: Callable[[], T]) -> T:
        try:
            return do()
        except RAISED as exc:
            raise self._failed(exc, call) from exc

    def _failed(self, exc: BaseException, call: str) -> DeviceFailed:
        failed = DeviceFailed(f"{self._name}: {blame.told(exc)}; in {call}")
        if _is_the_hosts(exc):
            _LOG.warning("%s", failed)  # a transport knows no place
            raise exc
        return failed

    def _number(self, value: object, width: int, call: str) -> int:
        most = (1 << 8 * width) - 1
        try:
            number = operator.index(value)  # type: ignore[arg-type] # an author may have given anything
        except TypeError:
            number = -1
        except RAISED as exc:
            raise self._failed(exc, call) from exc
        if 0 <= number <= most:
            return number
        raise self._wrong(call, value, f"a number from 0 to {most:#x}")

    def _wrong(self, call: str, value: object, wanted: str) -> DeviceFailed:
        return DeviceFailed(f"{self._name}: {call} gave {_shown(value)}; it gives {wanted}")


class _WithMessage(GuardedDevice):
    """The same of a device that interrupts by a message too."""

    def send_by(self, send: Callable[[], bool]) -> None:
        """Send the message by `send`."""
        device = cast("HasMessage", self.device)
        self._call("send_by(send)", lambda: device.send_by(send))


def guarded(make: DeviceFactory, name: str, tally: Tally, left: Callable[[], None] = lambda: None) -> DeviceFactory:
    """A factory of the same devices, guarded, and counted in `tally`.

    It raises DeviceFailed if the device cannot be made, or is none that a client could use.
    """

    def made(bus: BusMaster, irq: IrqLine) -> GuardedDevice:
        line = CountingLine(irq, tally)
        try:
            device = make(CountingBus(bus, tally), line)
        except RAISED as exc:
            raise DeviceFailed(f"{name} makes no device: {blame.told(exc)}") from exc
        what = f"{name} makes a {type(device).__name__}, which is no PciDevice:"
        try:  # its attributes may be properties, whose code is the author's too
            regions = _regions_of(device, what)
            _check_kit(device, name)
            kind = _WithMessage if isinstance(device, HasMessage) else GuardedDevice
        except DeviceFailed:
            raise
        except RAISED as exc:
            raise DeviceFailed(f"{what} {blame.told(exc)}") from exc
        guard = kind(device, regions, name, tally, left)
        config_check.check(guard, name)
        line.has_pin = lambda: guard.config_read(0x3D, 1) != 0
        return guard

    return made


def _regions_of(device: object, what: str) -> Sequence[RegionSpec]:
    """Look whether it has what a PciDevice has; give its BARs. Raises: DeviceFailed, and what its own code raises."""
    lacks = [method for method in _METHODS if not callable(getattr(device, method, None))]
    if lacks:
        raise DeviceFailed(f"{what} it has no {', no '.join(f'{method}()' for method in lacks)}")
    try:
        given = device.regions  # type: ignore[attr-defined] # that is what is looked at
    except AttributeError as exc:
        if blame.places(exc):  # it has some, and they raised this
            raise
        given = None
    if not isinstance(given, Iterable):
        raise DeviceFailed(f"{what} its regions are no sequence of {BARS} RegionSpecs")
    regions = tuple(given)
    if len(regions) != BARS or not all(isinstance(spec, RegionSpec) for spec in regions):
        raise DeviceFailed(f"{what} its regions are {BARS} RegionSpecs, BAR0 to BAR5; RegionSpec(0) is no BAR")
    for bar, spec in enumerate(regions):
        if not isinstance(spec.size, int) or not isinstance(spec.is_io, bool):
            raise DeviceFailed(
                f"{what} BAR{bar} is {_shown(spec)}: a RegionSpec has a whole number of bytes, and is_io True or False"
            )
        least = 4 if spec.is_io else 16
        if spec.size and (spec.size < least or spec.size & spec.size - 1):
            raise DeviceFailed(f"{what} BAR{bar} has {spec.size:#x} bytes, and a BAR a power of two from {least} on")
    return regions


def _check_kit(device: object, name: str) -> None:
    """Look at the version of the kit that it was written for. Raises: DeviceFailed, and what its own code raises."""
    kit = getattr(device, "kit", KIT)
    if not (isinstance(kit, tuple) and len(kit) == len(KIT) and all(type(it) is int and it >= 0 for it in kit)):
        raise DeviceFailed(
            f"{name}: its kit, the version that it was written for, is a pair as {KIT}, not {_shown(kit)}"
        )
    if kit[0] != KIT[0] or kit > KIT:
        versions = (".".join(map(str, version)) for version in (kit, KIT))
        raise DeviceFailed("{} was written for version {} of the kit, and this is {}".format(name, *versions))


def _is_the_hosts(exc: BaseException) -> bool:
    """Whether the host lacks something. Room that the device's own code asked for it asked too much of."""
    if isinstance(exc, MemoryError):
        return not blame.is_raised_by_them(exc)
    return isinstance(exc, OSError) and exc.errno in _NO_ROOM


def _shown(value: object) -> str:
    """It as Python writes it, cut short."""
    try:
        return f"{value!r:.80}"
    except RAISED:  # theirs as well
        return f"a {type(value).__name__}"
