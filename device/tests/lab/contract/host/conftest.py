# SPDX-License-Identifier: Apache-2.0
"""A machine with the sample's board in it, and a driver's whole life there."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from nthal import scenarios
from nthal.machine import Machine
from nthal.platforms import FIXTURES, FRAG, Platform, Span
from nthal.verifier import DmaViolation, Finding, Misuse
from nthal.windows import NtStatus
from plx9x5x import events
from plx9x5x.boards.rdk_9656_lite import BOARD
from plx9x5x.lab.contract.host import NthalHost, host_of
from plx9x5x.model.chip import Chip
from tests.lab.contract.host.wdk_driver import Program, Request, WdkDriver, WdmDriver


@functools.cache
def pattern(length: int, seed: int = 1) -> bytes:
    return bytes((seed + 7 * n + (n >> 8)) & 0xFF for n in range(length))


PLATFORMS = FIXTURES | {"frag": replace(FRAG, free=(Span(0x0010_0000, 0x00FF_FFFF),))}
"""Every platform; the isolated pages over 15 MiB, since two GiB of them take a while to set up."""


@dataclass
class Faults:
    """A trace that keeps what a driver did not mean."""

    enabled: bool = False
    seen: list[object] = field(default_factory=list)

    def emit(self, event: object) -> None:
        if isinstance(event, events.Fault):
            self.seen.append(event)

    @property
    def bus_errors(self) -> list[events.BusError]:
        return [event for event in self.seen if isinstance(event, events.BusError)]


class World:
    """One machine, one board, one driver, one program; `violation` is what stopped the driver, if anything."""

    def __init__(self, platform: Platform, driver: type[WdkDriver | WdmDriver], *, address_bits: int = 64) -> None:
        self.faults = Faults()
        self.machine = Machine(platform)
        self.host: NthalHost[Chip] = host_of(self.machine, BOARD, trace=self.faults, address_bits=address_bits)
        self.driver = driver(self.host)
        self.program = Program(self.driver)
        self.status: NtStatus | None = None
        self.violation: DmaViolation | None = None
        self.written: Request | None = None
        self.answer: tuple[Request, bytes] | None = None

    @property
    def findings(self) -> list[Finding]:
        return self.machine.verifier.findings

    def the(self, misuse: Misuse) -> Finding:
        assert misuse in {finding.misuse for finding in self.findings}, [str(finding) for finding in self.findings]
        return self.machine.verifier.of(misuse)[0]

    def card(self, at: int, length: int) -> bytes:
        return self.host.device.local_bus.read(at, length)

    def life(self, length: int = 20_000, at: int = 0x100) -> None:
        """Start, write a pattern over some operations, read it back, remove, unload. A violation ends it."""
        try:
            self.status = self.driver.add_device()
            if self.status == NtStatus.SUCCESS:
                data = pattern(length)
                self.written = self.program.write(data, at, offset=100)
                self.answer = self.program.read(length, at, offset=4001)
                self.driver.remove_device()
            scenarios.unload(self.machine)
        except DmaViolation as violation:
            self.violation = violation
        self.program.end()


MakeWorld = Callable[..., World]


@pytest.fixture
def world() -> Iterator[MakeWorld]:
    """Make a world and run inside of its machine."""
    with ExitStack() as stack:

        def make(platform: Platform, driver: type[WdkDriver | WdmDriver] = WdkDriver, **options: int) -> World:
            made = World(platform.verified(), driver, **options)
            stack.enter_context(made.machine)
            return made

        yield make
