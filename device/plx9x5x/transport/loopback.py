# SPDX-License-Identifier: Apache-2.0
"""The whole host in one process: guest memory, the interrupt line and a driver's view of the BARs, without a socket.

Tests, the benchmark and scripts drive the device through it; it answers in microseconds and is deterministic.
"""

import mmap
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from plx9x5x.plane.choice import Plane, choose
from plx9x5x.plane.port import Mapped
from plx9x5x.ports import BusMaster, IrqLine, PciDevice
from plx9x5x.transport.client_memory import client_memory
from plx9x5x.units import KIB

if TYPE_CHECKING:
    from plx9x5x.plane.line import NativeLine

DeviceT = TypeVar("DeviceT", bound=PciDevice)

DEFAULT_BUDGET: Final = 256 * KIB

COMMAND_OFFSET: Final = 4
COMMAND_ALL_ON: Final = 0x7
"""I/O, memory and bus mastering: what a driver's probe leaves."""


class SteppedClock(Protocol):
    """A clock that its owner moves."""

    def advance(self, nanoseconds: int) -> None:
        """Let time pass."""
        ...


class CountingLine:
    """INTA# as a level, with how often it rose."""

    def __init__(self) -> None:
        self.level = False
        self.rises = self.sent = 0

    def set(self, level: bool) -> None:
        """Drive the line."""
        self.rises += level and not self.level
        self.level = level


class Ram:
    """A piece of guest memory at bus address `base`; slices count from there. `fill` is every byte's first value."""

    def __init__(self, base: int, size: int, fill: int) -> None:
        self.base: Final = base
        self.size: Final = size
        self.fill: Final = fill
        # On whole pages, as a guest's memory is: copies from the middle of a cache line take longer.
        self.bytes: Final = memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        if fill:
            self.bytes[:] = bytes([fill]) * size

    def __getitem__(self, where: slice) -> bytes:
        return bytes(self.bytes[where])

    def __setitem__(self, where: slice, data: bytes) -> None:
        self.bytes[where] = data

    def untouched_outside(self, start: int, length: int) -> bool:
        """True if every byte outside `length` bytes from `start` still has its first value."""
        after = self.size - start - length
        return self[:start] == bytes([self.fill]) * start and self[start + length :] == bytes([self.fill]) * after


class Loopback(Generic[DeviceT]):
    """One device and its host. `make_device` gets the bus master side and the interrupt line.

    `clock` is the device's, if the host is to let its time pass; `plane` is what moves data, as for `serve --plane`.
    """

    def __init__(
        self,
        make_device: Callable[[BusMaster, IrqLine], DeviceT],
        *,
        enabled: bool = True,
        clock: SteppedClock | None = None,
        plane: Plane | str | None = None,
    ) -> None:
        self.memory: Final = client_memory(choose(plane))
        self.line: Final = _line_of(self.memory)
        self._clock = clock
        self.device: Final = make_device(self.memory, self.line)
        if enabled:
            self.device.config_write(COMMAND_OFFSET, 2, COMMAND_ALL_ON)

    def ram(self, base: int, size: int, *, fill: int = 0, writable: bool = True) -> Ram:
        """Map `size` bytes of guest memory at bus address `base`."""
        ram = Ram(base, size, fill)
        self.memory.map(base, size, ram.bytes, writable)
        return ram

    def run(self, *, steps: int = 100_000, budget: int = DEFAULT_BUDGET, for_ns: int = 0) -> int:
        """Step the device until it has nothing to do; give the steps used.

        Time: a device that waits is given its wait once, and again while less than `for_ns` have passed; without
        `clock` no time passes. Raises: RuntimeError if it still wants to go on after `steps`, as a circular chain does.
        """
        passed = self._let_it_wait()
        for used in range(1, steps + 1):
            if not self.device.step(budget):
                if passed >= for_ns:
                    return used
                waited = self._let_it_wait()
                if not waited:
                    return used
                passed += waited
        raise RuntimeError(f"the device still runs after {steps} steps: a circular chain?")

    def _let_it_wait(self) -> int:
        """Give the device the time it waits for; tell how much."""
        wait = self.device.wait_ns()
        if wait is None or self._clock is None:
            return 0
        self._clock.advance(wait)
        return wait


def _line_of(memory: object) -> "CountingLine | NativeLine":
    """INTA# as a server of the plane has it: C drives it where C moves data."""
    if not isinstance(memory, Mapped):
        return CountingLine()
    from plx9x5x.plane.line import NativeLine  # noqa: PLC0415 - compiled: the other plane loads none of it

    return NativeLine()
