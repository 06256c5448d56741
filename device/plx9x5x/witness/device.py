# SPDX-License-Identifier: Apache-2.0
"""A device that is watched: the decorators around it.

::

    transport -> WitnessedDevice -> device -> JudgingBus  -> memory        notes accesses, tells where the BARs are
                        |            '------> WitnessedLine -> INTA#
                        '-- Witness: ring -> matching, ledger, traffic -> mistakes -> sink
"""

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from plx9x5x.ports import BusMaster, DeviceFactory, IrqLine, PciDevice, RegionSpec, ResetKind
from plx9x5x.witness.judge import BusPurpose, JudgingBus
from plx9x5x.witness.witness import Witness

DRAIN_NS: Final = 20_000_000
"""The ring is looked at so often while a client is there."""

_COMMAND, _BASES, _BASES_END = 0x04, 0x10, 0x28
_IO_ON, _MEMORY_ON = 1, 2
_TYPE_64: Final = 4


@runtime_checkable
class TellsPurpose(Protocol):
    """A device that tells what it is on the bus for, at each access: findings name it, and data is told from state."""

    def bus_purpose(self) -> BusPurpose | None:
        """Tell it of the access that is made now; None for one that is not a driver's."""
        ...


def witnessed(make: DeviceFactory, witness: Witness) -> DeviceFactory:
    """Give a factory of the same devices, watched."""

    def made(bus: BusMaster, irq: IrqLine) -> WitnessedDevice:
        device = make(JudgingBus(bus, witness), WitnessedLine(irq, witness))
        if isinstance(device, TellsPurpose):
            witness.doing = device.bus_purpose
        return WitnessedDevice(device, witness)

    return made


class WitnessedLine:
    """INTA# of a watched device; implements `plx9x5x.ports.IrqLine`."""

    def __init__(self, line: IrqLine, witness: Witness) -> None:
        self._line, self._witness = line, witness

    @property
    def level(self) -> bool:
        """What the device drives."""
        return self._line.level

    @property
    def masked(self) -> bool:
        """True while the host would see no edge, where the line knows."""
        return bool(getattr(self._line, "masked", False))

    @property
    def sent(self) -> int:
        """Edges that somebody took, where the line counts them."""
        return int(getattr(self._line, "sent", 0))

    @sent.setter
    def sent(self, count: int) -> None:
        if hasattr(self._line, "sent"):
            self._line.sent = count

    def set(self, level: bool) -> None:
        """Drive the line."""
        if level and not self._line.level:
            self._witness.rises()
        self._line.set(level)


class WitnessedDevice:
    """A device whose accesses are noted; `plx9x5x.ports.PciDevice`."""

    def __init__(self, device: PciDevice, witness: Witness) -> None:
        self.device: Final = device
        self._witness: Final = witness
        self._config = bytearray(256)
        self._is_64 = [
            bool(spec.size) and not spec.is_io and bool(device.config_read(_BASES + 4 * bar, 1) & _TYPE_64)
            for bar, spec in enumerate(device.regions[:-1])
        ] + [False]
        self._there = False
        self._publish()

    @property
    def regions(self) -> Sequence[RegionSpec]:
        """BAR0 to BAR5."""
        return self.device.regions

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read a BAR."""
        self._there = True
        self._witness.begins(bar, offset, width, 0, write=False)
        try:
            return self.device.read(bar, offset, width)
        finally:
            self._witness.ends()

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write a BAR."""
        self._there = True
        self._witness.begins(bar, offset, width, data & (1 << 8 * width) - 1, write=True)
        try:
            self.device.write(bar, offset, width, data)
        finally:
            self._witness.ends()

    def config_read(self, offset: int, width: int) -> int:
        """Read configuration space."""
        self._there = True
        return self.device.config_read(offset, width)

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write configuration space; where the BARs lie goes into the ring."""
        self._there = True
        # It may be a driver's probe, too: then what is said once is said of this one as well.
        self._witness.configures(offset)
        try:
            self.device.config_write(offset, width, data)
        finally:
            self._witness.ends()
        for at, byte in enumerate(data.to_bytes(width, "little"), offset):
            if at < len(self._config):
                self._config[at] = byte
        if offset < _BASES_END and offset + width > _COMMAND:
            self._publish()

    def reset(self, kind: ResetKind) -> None:
        """Go back to the power-on state. What the guest holds it still holds, unless it is gone itself."""
        if kind is ResetKind.LOST_CLIENT:
            self._witness.conclude()
        self._witness.drain()
        self.device.reset(kind)
        self._config[:] = bytes(len(self._config))
        self._publish()
        if kind is ResetKind.LOST_CLIENT:
            self._there = False
            self._witness.clear()

    def step(self, budget: int) -> bool:
        """Do DMA work."""
        self._witness.stepped()
        return self.device.step(budget)

    def wait_ns(self) -> int | None:
        """As the device says, but not for long while a guest fills the ring."""
        wait = self.device.wait_ns()
        if not self._there:
            return wait
        if self._witness.behind:
            return 0
        return DRAIN_NS if wait is None else min(wait, DRAIN_NS)

    def _publish(self) -> None:
        """Tell where each BAR is decoded: its base in whole sizes, nothing while its kind is off."""
        on = self._config[_COMMAND]
        found = []
        for bar, spec in enumerate(self.device.regions):
            at = _BASES + 4 * bar
            width = 8 if self._is_64[bar] else 4
            base = int.from_bytes(self._config[at : at + width], "little") & -spec.size if spec.size else 0
            size = spec.size if base and on & (_IO_ON if spec.is_io else _MEMORY_ON) else 0
            found.append((base, size, spec.is_io))
        for bar, (was, now) in enumerate(zip(self._witness.bars or [(0, 0, False)] * len(found), found, strict=True)):
            if was != now:
                self._witness.ring.publish(bar, now[0], now[1], io=now[2])
        self._witness.bars = found
