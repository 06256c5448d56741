# SPDX-License-Identifier: Apache-2.0
"""The behaviour suite's driver on the model in this process."""

import functools
import os
from collections.abc import Callable

from plx9x5x import events
from plx9x5x.board import Board, load_board
from plx9x5x.errors import ParityError
from plx9x5x.findings.docket import Docket
from plx9x5x.findings.finding import Finding
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.peripheral import Pin
from plx9x5x.plane.choice import VARIABLE
from plx9x5x.plane.port import Mapped
from plx9x5x.ports import BusMaster
from plx9x5x.rules.catalog import RULES
from plx9x5x.transport.loopback import Loopback, Ram
from plx9x5x.units import BusAddr
from tests.behaviour.driver import BOARD_OF, MEMORY_AT, REGISTERS

_board = functools.cache(load_board)

PAGE = 0x1000
FIRST_BUFFER = 0x0100_0000
FRESH = 0xA5


class Accesses:
    """Keeps the BAR accesses, and every other event apart; `enabled` None is: unless a plane is asked for by name.

    That one is to work, and each step that is an event is the reference's.
    """

    def __init__(self, enabled: bool | None) -> None:
        self.enabled = VARIABLE not in os.environ if enabled is None else enabled
        self.accesses: list[events.RegionAccess] = []
        self.others: list[object] = []

    def emit(self, event: object) -> None:
        if not isinstance(event, events.RegionAccess):
            self.others.append(event)
        elif event.bar >= 0:
            self.accesses.append(event)


class NoisyBus:
    """A bus master whose reads of some addresses come with wrong parity."""

    def __init__(self, memory: BusMaster) -> None:
        self._memory = memory
        self.bad: list[range] = []

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        self._memory.read_into(address, into)
        if any(address < bad.stop and bad.start < address + len(into) for bad in self.bad):
            raise ParityError(f"wrong parity at {address:#x}")

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        self._memory.write_from(address, data)


class NoisyMappedBus(NoisyBus):
    """The same on memory that C may use while no address is bad."""

    may_watch = False

    @property
    def mappings(self) -> object:
        return None if self.bad else self._memory.mappings  # type: ignore[attr-defined]


class LoopbackBuffer:
    """A common buffer in the loopback host's memory."""

    def __init__(self, ram: Ram, length: int) -> None:
        self._ram = ram
        self.bus = ram.base
        self.length = length

    def read(self, offset: int, length: int) -> bytes:
        return self._ram[offset : offset + length]

    def write(self, offset: int, data: bytes) -> None:
        self._ram[offset : offset + len(data)] = data


class Local:
    """The local side of the chip in this process."""

    def __init__(self, chip: Chip, bus: NoisyBus) -> None:
        self._chip, self._bus = chip, bus
        side = chip.local_side
        self.read_register = side.read_register
        self.write_register = side.write_register
        self.drive_linti: Callable[[bool], None] = side.drive_linti
        self.drive_useri = side.drive_useri
        self.demand = side.demand
        self.assert_eot = side.assert_eot
        self.wake_host = side.wake_host
        self.parity_error = side.parity_error
        self.finish_self_test = side.finish_self_test

    def read_memory(self, address: int, length: int) -> bytes:
        return self._chip.local_bus.read(address, length)

    def write_memory(self, address: int, data: bytes) -> None:
        self._chip.local_bus.write(address, data)

    def linto(self) -> bool:
        return self._level(Pin.LINTO)

    def lserr(self) -> bool:
        return self._level(Pin.LSERR)

    def usero(self) -> bool:
        return self._level(Pin.USERO)

    def bad_parity(self, bus: int, length: int) -> None:
        self._bus.bad.append(range(bus, bus + length))
        if self._chip._native is not None:
            self._chip._native.card.may_start = False  # a real bus says so from the start (`may_watch`)

    def _level(self, pin: Pin) -> bool:
        seen: list[bool] = []
        self._chip.local_side.watch(pin, seen.append)
        return seen[0]


class InProcess:
    """A driver, its machine and the chip, all here. `addresses` are the bus addresses that its buffers get, in order."""

    def __init__(
        self,
        chip: str,
        *,
        board: Board | None = None,
        addresses: tuple[int, ...] = (),
        steps: int = 20_000,
        traced: bool | None = None,
    ) -> None:
        self.chip = chip
        self._steps = steps
        self.memory_at = MEMORY_AT.get(chip, 0)
        self.trace = Accesses(traced)
        self.clock = VirtualClock()
        made = board or _board(BOARD_OF[chip])
        self.host = Loopback(lambda bus, irq: self._make(made, bus, irq), clock=self.clock)
        self.device = self.host.device
        self.local = Local(self.device, self._noisy)
        self._addresses = list(addresses)
        self._next = FIRST_BUFFER

    def _make(self, board: Board, bus: BusMaster, irq: object) -> Chip:
        self._noisy = (NoisyMappedBus if isinstance(bus, Mapped) else NoisyBus)(bus)
        return Chip(board, bus=self._noisy, irq=irq, clock=self.clock, trace=self.trace, thorough=self.trace.enabled)  # type: ignore[arg-type]

    def read(self, offset: int, width: int = 4, *, bar: int = REGISTERS) -> int:
        return self.device.read(bar, offset, width)

    def write(self, offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> None:
        self.device.write(bar, offset, width, value)

    def config_read(self, offset: int, width: int = 4) -> int:
        return self.device.config_read(offset, width)

    def config_write(self, offset: int, value: int, width: int = 4) -> None:
        self.device.config_write(offset, width, value)

    def buffer(self, length: int) -> LoopbackBuffer:
        size = -(-max(length, 1) // PAGE) * PAGE
        at = self._addresses.pop(0) if self._addresses else self._next
        self._next = max(self._next, at) + size + PAGE
        return LoopbackBuffer(self.host.ram(at, size, fill=FRESH), length)

    def settle(self) -> None:
        self.host.run(steps=self._steps)

    def inta(self) -> bool:
        return self.host.line.level

    def findings(self) -> tuple[Finding, ...]:
        """What the chip's events make of the driver so far."""
        docket = Docket(RULES, lambda _: None)
        for event in self.trace.others:
            if isinstance(event, events.Event):
                docket.take(event, event.time)
        return docket.findings
