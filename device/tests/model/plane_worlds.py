# SPDX-License-Identifier: Apache-2.0
"""The same machine on both planes, and all that can be seen of it."""

import contextlib
import dataclasses
import struct
from typing import Any

from plx9x5x.board import Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.engine import TRANSACTION_COST
from plx9x5x.model.localbus import Sram
from plx9x5x.model.timing import BusSpeed
from plx9x5x.plane.choice import Plane
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB, LocalAddr
from tests.model.bench import CHANNEL_STRIDE, CSR, DAC, DPR, LADR, MODE, PADR, SIZ, Trace

PAGE = 4 * KIB
RING = 0x0100_0000
PAGES = 0x0200_0000
HIGH = 1 << 32 | PAGES
LOW_END, TOP = 1 << 32, 1 << 64
STARTS = (0, LOW_END - PAGE, RING, *(PAGES + PAGE * n for n in range(6)), HIGH, TOP - PAGE)
"""Where guest memory is at first, a page each; each is a mapping of its own. The one that ends at 4 GiB goes on behind it,
where an address counter of 32 bits must not go."""

SRAM, NEXT_SRAM, PORT, NOTHING, LOCAL_TOP = 0, 64 * KIB, 0x2_0000, 0x3_0000, LOW_END - PAGE
LOCAL_RING = 0xF000
SLOT = 32
CHAIN = 0x200
"""Mode: the channel reads its descriptors itself."""


def _filled(start: int) -> bytes:
    """What is there at first: bytes that differ from page to page."""
    length = 2 * PAGE if start == LOW_END - PAGE else PAGE
    return bytes((start >> 12) + n & 0xFF for n in range(length))


_FILLED = {start: _filled(start) for start in STARTS}
_LOCAL = bytes(n * 7 & 0xFF for n in range(PORT))


class Port:
    """A peripheral that counts what it is asked: it is no plain memory."""

    size = PAGE

    def __init__(self) -> None:
        self.seen: list[tuple[int, bytes | int]] = []

    def read(self, offset: int, length: int) -> bytes:
        self.seen.append((offset, length))
        return bytes((offset + n + len(self.seen)) & 0xFF for n in range(length))

    def write(self, offset: int, data: Any) -> None:
        self.seen.append((offset, bytes(data)))

    def view(self, offset: int, length: int) -> None:
        return None


class Derived(Sram):
    """Memory with a mind of its own, so no plain memory either."""


class World:
    """One machine. `price` is what C asks for a transaction: with the reference's, both planes keep step.

    `line` is INTA# in place of the host's own.
    """

    def __init__(
        self, plane: Plane, *, price: int | None = TRANSACTION_COST, name: str = "rdk-9656-lite", traced: bool = False,
        speed: BusSpeed | None = None, wrap: Any = lambda bus: bus, line: Any = None,
    ) -> None:  # fmt: skip
        windows = (
            Window("sram", LocalAddr(SRAM), lambda: Sram(NEXT_SRAM - SRAM)),
            Window("next", LocalAddr(NEXT_SRAM), lambda: Sram(PORT - NEXT_SRAM)),
            Window("port", LocalAddr(PORT), lambda: self.port),
            Window("top", LocalAddr(LOCAL_TOP), lambda: Sram(PAGE)),
        )
        self.port = Port()
        board = dataclasses.replace(load_board(name), windows=windows)
        self.trace = Trace(enabled=traced)
        self.host = Loopback(
            lambda bus, irq: Chip(board, bus=wrap(bus), irq=line or irq, trace=self.trace, speed=speed), plane=plane
        )
        self.line = line
        self.chip = self.host.device
        if price is not None:
            for channel in self.chip.channels:
                channel.price = price
        self.stores = {start: bytearray(data) for start, data in _FILLED.items()}
        for start in STARTS:
            self.map(start, writable=True)
        self.chip.local_bus.write(SRAM, _LOCAL)

    def map(self, start: int, *, writable: bool, shared: bool = True) -> None:
        store = self.stores[start]
        self.host.memory.map(start, len(store), memoryview(store) if shared else None, writable)

    def reg(self, channel: int, offset: int, value: int) -> None:
        self.chip.write(0, offset + CHANNEL_STRIDE * channel, 4, value & 0xFFFF_FFFF)

    def command(self, channel: int, value: int) -> None:
        self.chip.write(0, CSR + channel, 1, value)

    def upper(self, channel: int, value: int) -> None:
        self.chip.write(0, DAC + 4 * channel, 4, value)

    def put(self, slot: int, in_pci: bool, words: tuple[int, ...]) -> None:
        """Write one descriptor of the ring in guest memory or in local memory."""
        data = struct.pack(f"<{len(words)}I", *words)
        if in_pci:
            self.stores[RING][slot * SLOT : slot * SLOT + len(data)] = data
        else:
            self.chip.local_bus.write(LOCAL_RING + slot * SLOT, data)

    def block(self, channel: int, mode: int, pci: int, local: int, count: int, pointer: int) -> None:
        for offset, value in ((MODE, mode), (PADR, pci), (LADR, local), (SIZ, count), (DPR, pointer)):
            self.reg(channel, offset, value)
        self.command(channel, 3)

    def chain(self, channel: int, mode: int, pointer: int) -> None:
        self.reg(channel, MODE, mode)
        self.reg(channel, DPR, pointer)
        self.command(channel, 3)

    def settle(self, budget: int = 256 * KIB) -> None:
        with contextlib.suppress(RuntimeError):  # a circle
            self.host.run(steps=300, budget=budget)

    def seen(self) -> dict[str, object]:
        """All that software, the board and whoever reads events can tell."""
        chip = self.chip
        return {
            "registers": {reg.__name__: chip.registers[reg] for reg in chip.registers.registers},
            "config": {reg.__name__: chip.config[reg] for reg in chip.config.registers},
            "bars": [chip.read(0, offset, 4) for offset in (0x68, 0xA8, 0x104)],
            "channels": [(channel.state, channel.interrupt) for channel in chip.channels],
            "last": chip.last_bus_address,
            "line": (self.host.line.level, self.host.line.rises) if self.line is None else self.line.level,
            "guest": {start: bytes(store) for start, store in self.stores.items()},
            "local": chip.local_bus.read(SRAM, PORT) + chip.local_bus.read(LOCAL_TOP, PAGE),
            "port": list(self.port.seen),
            "mapped": self.host.memory.ranges,
            "events": [str(event) for event in self.trace.events],
        }


def ends(world: World) -> bool:
    return bool(world.chip.read(0, 0xA8, 1) & 0x10)


def ring(world: World, *descriptors: tuple[int, int, int, int], mode: int = 0x03, circle: bool = False) -> None:
    """Start a chain in guest memory; the last descriptor ends it."""
    for slot, (pci, local, count, flags) in enumerate(descriptors):
        following = (slot + 1) % len(descriptors)
        last = 0 if following or circle else 2
        world.put(slot, True, (pci, local, count, RING + following * SLOT | 1 | flags | last, 0))
    world.chain(0, mode | CHAIN, RING | 1)
