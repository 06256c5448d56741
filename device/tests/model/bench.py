# SPDX-License-Identifier: Apache-2.0
"""The model under test with a loopback host, and the words that the tests use for what a driver does.

Register facts in here come from the reference, not from the tables under test.
"""

import functools
import struct
from dataclasses import dataclass, field
from typing import Any, TypeVar

from plx9x5x import events
from plx9x5x.board import Board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.transport.loopback import Loopback, Ram
from plx9x5x.units import KIB

E = TypeVar("E", bound=events.Event)

LAS0BA, MARBR, INTCSR, CNTRL, PABTADR = 0x04, 0x08, 0x68, 0x6C, 0x104
MODE, PADR, LADR, SIZ, DPR = 0x80, 0x84, 0x88, 0x8C, 0x90
CHANNEL_STRIDE = 0x14
CSR, DAC = 0xA8, 0xB4

ENABLE, START, ABORT, CLEAR, DONE = 1, 2, 4, 8, 16
CHAIN, DONE_INTR, HOLD_LOCAL, CLEAR_COUNT, TO_INTA = 1 << 9, 1 << 10, 1 << 11, 1 << 16, 1 << 17
DAC_CHAIN, VALID_MODE, VALID_STOP = 1 << 18, 1 << 20, 1 << 21
IN_PCI, LAST, TC, TO_PCI = 1, 2, 4, 8
MODE_RESET = 0x43
VALID = 1 << 31

COMMAND, STATUS = 0x04, 0x06
BUS_MASTER = 4
MASTER_ABORT, TARGET_ABORT = 1 << 13, 1 << 12


@dataclass
class Trace:
    """Keeps every event."""

    enabled: bool = True
    events: list[object] = field(default_factory=list)

    def emit(self, event: object) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


@dataclass(frozen=True)
class Descriptor:
    pci: int
    local: int
    count: int
    flags: int = 0


@dataclass
class ChannelView:
    """One DMA channel as a driver sees it, through BAR0."""

    bench: "Bench"
    index: int

    def register(self, offset: int) -> int:
        return offset + (CHANNEL_STRIDE * self.index if offset <= DPR else 4 * self.index)

    def set(self, offset: int, value: int) -> None:
        self.bench.chip.write(0, self.register(offset), 4, value)

    def get(self, offset: int) -> int:
        return self.bench.chip.read(0, self.register(offset), 4)

    @property
    def csr(self) -> int:
        return self.bench.chip.read(0, CSR + self.index, 1)

    @csr.setter
    def csr(self, value: int) -> None:
        self.bench.chip.write(0, CSR + self.index, 1, value)

    def block(
        self, *, pci: int, local: int, length: int, to: str, mode: int = MODE_RESET, tc: bool = False
    ) -> "ChannelView":
        """Program a block transfer and start it."""
        self.set(MODE, mode)
        self.set(PADR, pci)
        self.set(LADR, local)
        self.set(SIZ, length)
        self.set(DPR, (TO_PCI if to == "pci" else 0) | (TC if tc else 0))
        self.csr = ENABLE | START
        return self

    def chain(self, first: int, *, mode: int = MODE_RESET | CHAIN, in_pci: bool = True) -> "ChannelView":
        """Start a chain whose first descriptor is at `first`."""
        self.set(MODE, mode)
        self.set(DPR, first | (IN_PCI if in_pci else 0))
        self.csr = ENABLE | START
        return self

    def run(self) -> "ChannelView":
        self.bench.host.run()
        return self


class Bench:
    """A board, its host, 256 KiB of guest memory at 16 MiB, and SRAM seen from the local side."""

    RAM = 0x0100_0000

    def __init__(self, board: Board, *, enabled: bool = True, **options: Any) -> None:
        self.trace = Trace()
        self.clock = VirtualClock()
        self.host = Loopback(
            lambda bus, irq: Chip(board, bus=bus, irq=irq, clock=self.clock, trace=self.trace, **options),
            enabled=enabled,
            clock=self.clock,
        )
        self.chip = self.host.device
        self.ram = self.host.ram(self.RAM, 256 * KIB, fill=0xAA)

    def channel(self, index: int) -> ChannelView:
        return ChannelView(self, index)

    def guest_ram(self, size: int, *, base: int = 0x0200_0000, fill: int = 0xAA) -> Ram:
        return self.host.ram(base, size, fill=fill)

    @staticmethod
    @functools.cache
    def pattern(length: int, seed: int = 1) -> bytes:
        return bytes((seed + 7 * n + (n >> 8)) & 0xFF for n in range(length))

    def put_chain(
        self,
        descriptors: list[Descriptor],
        *,
        at: int | None = None,
        in_pci: bool = True,
        ring: bool = False,
        stride: int = 16,
        valid_mode: bool = False,
    ) -> int:
        """Write a chain to guest memory (or local memory) at `at`; give where it starts."""
        start = (self.RAM + 0x8000) if at is None else at
        for n, descriptor in enumerate(descriptors):
            last = n == len(descriptors) - 1
            following = start if last and ring else start + stride * (n + 1)
            pointer = following | (IN_PCI if in_pci else 0) | descriptor.flags | (LAST if last and not ring else 0)
            words = (descriptor.pci & 0xFFFF_FFFF, descriptor.local, descriptor.count, pointer)
            if valid_mode:
                words = (descriptor.count, descriptor.pci & 0xFFFF_FFFF, descriptor.local, pointer)
            raw = struct.pack("<4I", *words)
            if stride > 16:
                raw += struct.pack("<I", descriptor.pci >> 32).ljust(stride - 16, b"\0")
            self.put(start + stride * n, raw, in_pci=in_pci)
        return start

    def put(self, at: int, raw: bytes, *, in_pci: bool = True) -> None:
        if in_pci:
            self.ram[at - self.RAM : at - self.RAM + len(raw)] = raw
        else:
            self.chip.local_bus.write(at, raw)

    def dword(self, at: int) -> int:
        return int.from_bytes(self.ram[at - self.RAM : at - self.RAM + 4], "little")

    def local(self, at: int, length: int) -> bytes:
        return self.chip.local_bus.read(at, length)

    @property
    def intcsr(self) -> int:
        return self.chip.read(0, INTCSR, 4)

    @intcsr.setter
    def intcsr(self, value: int) -> None:
        self.chip.write(0, INTCSR, 4, value)

    @property
    def pcisr(self) -> int:
        return self.chip.config_read(STATUS, 2)

    def bus_mastering(self, on: bool) -> None:
        command = self.chip.config_read(COMMAND, 2)
        self.chip.config_write(COMMAND, 2, command | BUS_MASTER if on else command & ~BUS_MASTER)
