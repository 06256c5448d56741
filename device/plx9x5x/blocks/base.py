# SPDX-License-Identifier: Apache-2.0
"""What every kind of block has: pins, LINTi# as a level, no bytes to be had without an access."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from plx9x5x.board import Window
from plx9x5x.peripheral import LocalPins
from plx9x5x.regs.kernel import Register
from plx9x5x.units import LocalAddr

if TYPE_CHECKING:
    from collections.abc import Callable


class Base:
    """A peripheral that takes the pins. `size` is what it decodes, in bytes."""

    registers: ClassVar[tuple[type[Register], ...]] = ()
    size: int = 0
    pins: LocalPins
    _linti = False

    @classmethod
    def window(cls, name: str, local_base: int, *args: Any, **named: Any) -> Window:
        """Have it at a local address; what else is given goes to the class when a device is made."""
        made: Callable[..., Any] = partial(cls, *args, **named)  # a block of one's own has `read` and `write`
        return Window(name, LocalAddr(local_base), made, cls.registers)

    def plug(self, pins: LocalPins) -> None:
        """Take the pins."""
        self.pins = pins
        self.plugged()

    def plugged(self) -> None:
        """The pins are there (`self.pins`): set up ports, timers and what is watched."""

    def linti(self, level: bool) -> None:
        """Drive LINTi#, if that is news."""
        if level is not self._linti:
            self._linti = level
            self.pins.drive_linti(level)

    def view(self, offset: int, length: int) -> memoryview | None:  # noqa: ARG002 (whatever it is)
        """Accesses have side effects."""
        return None


class ByteBlock(Base):
    """A peripheral whose registers are bytes, each of them an access of its own: write `read_byte` and `write_byte`."""

    def read_byte(self, offset: int) -> int:
        """Give the byte at `offset`, 0 to 255."""
        raise NotImplementedError

    def write_byte(self, offset: int, value: int) -> None:
        """Take the byte at `offset`."""
        raise NotImplementedError

    def read(self, offset: int, length: int) -> bytes:
        """Read, lowest address first."""
        return bytes(self.read_byte(at) for at in range(offset, offset + length))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write, lowest address first."""
        for at, value in enumerate(bytes(data), offset):
            self.write_byte(at, value)
