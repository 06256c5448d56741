# SPDX-License-Identifier: Apache-2.0
"""One MSI-X vector beside INTA#, for a device whose silicon has none: an extension, for drivers that ask for vectors.

Real cards of such a device interrupt by INTA# alone; what passes here by messages says nothing of them. The device is
not touched: configuration space gets one more capability at the end of its list, BAR5 the table, and INTA#'s level
becomes
messages while somebody listens to the vector::

    level rises                          a message
    a write leaves it up                 another one: the driver has acknowledged one cause of several, or will do so
    nobody listens to the vector         INTA#, as ever

The second line is what a level gives and an edge does not. A driver that writes other registers while a cause is up
hears a message too many for it, as on a shared line.

Units: offsets in bytes. Source: PCI Local Bus Specification 3.0, 6.8.2.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.ports import BusMaster, DeviceFactory, IrqLine, PciDevice, RegionSpec, ResetKind
from plx9x5x.units import KIB

BAR: Final = 5
"""Holds the table, and the pending bits in its upper half."""
AT: Final = 0xF0
"""Where the capability stands: beyond everything that devices of this age have."""

_SIZE: Final = 4 * KIB
_LENGTH: Final = 12
_PENDING: Final = _SIZE // 2
_ID: Final = 0x11
_STATUS, _POINTER = 0x06, 0x34
_LISTED: Final = 0x10
"""Bit of the status register's low byte: there is a list of capabilities."""
_FIRST: Final = 0x40
_MOST: Final = (256 - _FIRST) // 4
"""Capabilities in a list at most; one that goes round has no end."""
_ENABLE, _MASK = 0x80, 0x40
"""Bits of the control register's high byte."""


class NoRoom(BadRequest):
    """The device uses what the extension needs."""


class MessageLine:
    """INTA# as the device drives it, sent by messages where they are heard; implements `plx9x5x.ports.IrqLine`.

    `send` sends one and says whether somebody listens.
    """

    def __init__(self, pin: IrqLine) -> None:
        self._pin = pin
        self._level = False
        self.send: Callable[[], bool] = lambda: False

    @property
    def level(self) -> bool:
        """What the device drives."""
        return self._level

    def set(self, level: bool) -> None:
        """Drive the line."""
        rises = level and not self._level
        self._level = level
        if not level:
            self._pin.set(False)
        elif rises and not self.send():
            self._pin.set(True)

    def again(self) -> None:
        """Say once more that it is up, if that was said by a message."""
        if self._level and not self._pin.level:
            self.set(False)
            self.set(True)


class MessageDevice:
    """A device with the extension; `plx9x5x.ports.PciDevice`, and `HasMessage`."""

    def __init__(self, device: PciDevice, line: MessageLine) -> None:
        self._device, self._line = device, line
        self._table = bytearray(_SIZE)
        self._control = 0
        self._overlay: Mapping[int, int] | None = None
        """Bytes of configuration space that are the extension's; None once they have to be looked for."""
        if device.regions[BAR].size:
            raise NoRoom(f"MSI-X needs BAR{BAR} for its table, and this device uses it")
        self.regions: Sequence[RegionSpec] = (*device.regions[:BAR], RegionSpec(_SIZE))

    def send_by(self, send: Callable[[], bool]) -> None:
        """Send the message by `send`, which says whether somebody listens."""
        self._line.send = send

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read a BAR."""
        if bar == BAR:
            return int.from_bytes(self._table[offset : offset + width], "little")
        return self._device.read(bar, offset, width)

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write a BAR."""
        if bar != BAR:
            up = self._line.level
            self._device.write(bar, offset, width, data)
            if up:
                self._line.again()
        elif offset + width <= _PENDING:
            self._table[offset : offset + width] = data.to_bytes(width, "little")

    def config_read(self, offset: int, width: int) -> int:
        """Read configuration space: the device's, and the capability."""
        data = bytearray(self._device.config_read(offset, width).to_bytes(width, "little"))
        overlay = self._capability()
        for at in range(width):
            if offset + at == _STATUS:
                data[at] |= _LISTED
            data[at] = overlay.get(offset + at, data[at])
        return int.from_bytes(data, "little")

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write configuration space; of the capability only the control register's high byte takes anything."""
        own = range(AT, AT + _LENGTH)
        if offset + width <= AT or offset >= own.stop:
            self._device.config_write(offset, width, data)
        else:
            for at, byte in enumerate(data.to_bytes(width, "little"), offset):
                if at == AT + 3:
                    self._control = byte & (_ENABLE | _MASK)
                elif at not in own:
                    self._device.config_write(at, 1, byte)
        self._overlay = None

    def reset(self, kind: ResetKind) -> None:
        """Go back to the power-on state."""
        self._table[:] = bytes(_SIZE)
        self._control = 0
        self._overlay = None
        self._device.reset(kind)

    def step(self, budget: int) -> bool:
        """Do DMA work."""
        return self._device.step(budget)

    def wait_ns(self) -> int | None:
        """As the device says."""
        return self._device.wait_ns()

    def _capability(self) -> Mapping[int, int]:
        """The bytes of configuration space that are the extension's: the capability, and what leads there."""
        if self._overlay is None:
            own = bytes((_ID, 0, 0, self._control, BAR, 0, 0, 0, BAR, _PENDING >> 8, 0, 0))
            self._overlay = {self._end_of_list(): AT, **dict(enumerate(own, AT))}
        return self._overlay

    def _end_of_list(self) -> int:
        """Where the pointer stands that leads nowhere yet."""
        read = self._device.config_read
        at = _POINTER
        if read(_STATUS, 1) & _LISTED:
            for _ in range(_MOST):
                following = read(at, 1) & ~3
                if following < _FIRST:
                    break
                at = following + 1
        return at


def with_messages(make: DeviceFactory) -> DeviceFactory:
    """Give a factory of the same devices with the extension. What it makes raises NoRoom."""

    def made(bus: BusMaster, irq: IrqLine) -> MessageDevice:
        line = MessageLine(irq)
        return MessageDevice(make(bus, line), line)

    return made
