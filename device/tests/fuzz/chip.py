# SPDX-License-Identifier: Apache-2.0
"""The chip under any sequence of accesses from both sides, with guest memory that is hostile and comes and goes.

An input is a list of records of eight bytes: kind, a, offset (u16), value (u32), little-endian. Each is one operation of
the table `_Player.table`, whatever its numbers are, so that any bytes are an input.
"""

import dataclasses
import functools
import random
import struct
from collections.abc import Callable

import numpy as np  # noqa: F401 - the first access that turns words loads it, once (model/localbus.py): 50 ms of no step's

from plx9x5x.board import Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.model.localbus import Sram
from plx9x5x.model.timing import BusSpeed
from plx9x5x.peripheral import LocalPins, Pin
from plx9x5x.ports import ResetKind
from plx9x5x.transport.guest_memory import Far
from plx9x5x.transport.loopback import COMMAND_ALL_ON, COMMAND_OFFSET, Loopback
from plx9x5x.units import KIB, LocalAddr
from tests.fuzz.target import Finding, Meter

RECORD = struct.Struct("<BBHI")
PAGE = 4 * KIB
RAM = 64 * KIB
LOCAL = (
    0,
    0x100,
    0xFFFC,
    0x1_0000,
    0x1_FFF8,
    0x2_0000,
    0x2_0FFE,
    0x3_0000,
    0x2000_0000,
    0x2000_1000,
    0xFFFF_F000,
    0xFFFF_FFFE,
)
BASES = (0, 0x1_0000, 0x1_1000, 0x1_2000, 0x1_3000, 0x2_0000, 0x100_0000, 0x8000_0000, 0xFFFF_0000, 0xFFFF_F000,
         1 << 32, (1 << 32) + 0x1_0000, 0x7FFF_FFFF_FFFF_F000, (1 << 64) - 0x1_0000, (1 << 64) - PAGE, 0x3000)  # fmt: skip
"""Where guest memory may be mapped."""
COUNTS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 255, 4096, 4097, 0x1_0000, 0x2_0001, 0x7F_FFFF)
WIDTHS = (4, 1, 2, 8, 4, 1, 2, 4, 3, 5, 6, 7, 16, 64, 4096, 4)
BUDGETS = (1, 16, 64, 1024, 4096, 65536, 256 * KIB, 256 * KIB)
REGISTERS = 0x110


class Hostile:
    """A peripheral that does to its pins whatever it is told by what is written to it, and at any time."""

    size = PAGE

    def __init__(self) -> None:
        self._pins: LocalPins | None = None
        self._left = 0

    def plug(self, pins: LocalPins) -> None:
        self._pins = pins
        pins.watch(Pin.LINTO, self._changed)
        pins.watch(Pin.USERO, self._changed)

    def _changed(self, level: bool) -> None:
        self._left += level

    def read(self, offset: int, length: int) -> bytes:
        self._act(offset)
        return bytes(length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._act(data[0] if len(data) else 0)

    def view(self, offset: int, length: int) -> None:
        return None

    def _act(self, what: int) -> None:
        pins, channel = self._pins, what >> 4 & 1
        if pins is None:
            return
        match what & 0xF:
            case 1:
                pins.assert_eot(channel)
            case 2:
                pins.demand(channel, self._ready)
            case 3:
                pins.demand(channel, None)
            case 4 | 5:
                pins.drive_linti(bool(what & 1))
            case 6:
                pins.call_at(pins.now() + what * 100, functools.partial(self._act, what >> 4))
            case 7:
                pins.write_register(0xA8 if channel else 0x64, what)
            case 8:
                pins.parity_error()
            case 9:
                self._left += 64

    def _ready(self) -> int:
        self._left = max(0, self._left - 1)
        return self._left


class Fault:
    """Far memory that answers a part, or nothing."""

    reason = "it does not want to"
    piece = PAGE

    def read_into(self, offset: int, into: memoryview) -> int:
        return len(into) if offset & PAGE else len(into) // 2

    def write_from(self, offset: int, data: memoryview) -> int:
        return len(data) if offset & PAGE else 0


BOARDS = ("9080-401b", "rdk-9054-lite", "rdk-9056-lite", "rdk-9656-lite", "pex-8311-rdk")
PORTS = (
    Window("sram", LocalAddr(0), lambda: Sram(64 * KIB)),
    Window("next", LocalAddr(64 * KIB), lambda: Sram(64 * KIB)),
    Window("port", LocalAddr(0x2_0000), Hostile),
    Window("top", LocalAddr(0xFFFF_F000), lambda: Sram(PAGE)),
)
WORLDS = tuple(
    f"{board}{extra}/{plane}"
    for plane in ("native", "python")
    for board, extra in (*((board, "") for board in BOARDS), ("rdk-9656-lite", "+port"), ("rdk-9054-lite", "+port"), ("rdk-9656-lite", "+time"))
)  # fmt: skip
"""BOARD[+port|+time]/PLANE: with hostile peripherals, or with transfers that take time."""


class ChipTarget:
    """One chip on a loopback host."""

    def __init__(self, world: str) -> None:
        name, plane = world.split("/")
        name, _, extra = name.partition("+")
        board = load_board(name)
        if extra == "port":
            board = dataclasses.replace(board, windows=PORTS)
        speed = BusSpeed.parse("33x32") if extra == "time" else None
        self.meter = Meter()
        self.clock = VirtualClock()
        self.host = Loopback(
            lambda bus, irq: Chip(board, bus=bus, irq=irq, clock=self.clock, speed=speed), clock=self.clock, plane=plane
        )
        self.chip = self.host.device
        self.ram = memoryview(bytearray(RAM))
        self._player = _Player(self)
        self._renew()
        self._new = self._seen()

    def play(self, data: bytes) -> None:
        table, meter = self._player.table, self.meter
        meter.start()
        stop = meter.stop
        for kind, a, offset, value in RECORD.iter_unpack(data[: len(data) & ~7]):
            table[kind & 31](a, offset, value)
            stop()
        meter.count += len(data) // 8
        self._renew()
        if (seen := self._seen()) != self._new:
            changed = {name: (was, seen[name]) for name, was in self._new.items() if seen[name] != was}
            raise Finding(f"the next client does not find the chip as new (was, is): {changed}")

    def settle(self) -> None:
        """No input opens a descriptor."""

    def close(self) -> None:
        """Nothing is held."""

    def _renew(self) -> None:
        self.host.memory.clear()
        self.chip.reset(ResetKind.LOST_CLIENT)
        self.chip.config_write(COMMAND_OFFSET, 2, COMMAND_ALL_ON)
        self.ram[:] = bytes(RAM)
        self.host.memory.map(BASES[1], RAM, self.ram, True)

    def _seen(self) -> dict[str, object]:
        chip = self.chip
        seen: dict[str, object] = {reg.__name__: chip.registers[reg] for reg in chip.registers.registers}
        seen.update((f"config {reg.__name__}", chip.config[reg]) for reg in chip.config.registers)
        seen.update(line=self.host.line.level, busy=[channel.busy for channel in chip.channels], wait=chip.wait_ns())
        return seen


class _Player:
    """The operations, by the low five bits of a record's kind."""

    def __init__(self, target: ChipTarget) -> None:
        self.chip, self.memory, self.clock, self.ram = target.chip, target.host.memory, target.clock, target.ram
        self.table: tuple[Callable[[int, int, int], None], ...] = (
            *(self._read,) * 6, *(self._write,) * 6, self._config_read, *(self._config_write,) * 2, self._reset,
            *(self._step,) * 4, self._advance, self._wait, self._map, self._unmap, *(self._poke,) * 2,
            self._descriptor, self._descriptor, self._local, self._begin, self._command, self._local_bus,
        )  # fmt: skip
        assert len(self.table) == 32

    def _read(self, a: int, offset: int, value: int) -> None:
        width = WIDTHS[a >> 3 & 15]
        bar = a & 7
        if bar > 1:
            offset |= value & 0x1F_0000
        got = self.chip.read(bar, offset, width)
        if got < 0 or got >> 8 * width:
            raise Finding(f"{width} bytes of BAR{bar}+{offset:#x} are {got:#x}")

    def _write(self, a: int, offset: int, value: int) -> None:
        width = WIDTHS[a >> 3 & 15]
        bar = a & 7
        if bar > 1:
            offset |= (value & 0x1F) << 16
        if width > 4:
            value = int.from_bytes(value.to_bytes(4, "little") * (width + 3 >> 2), "little")
        self.chip.write(bar, offset, width, value & (1 << 8 * width) - 1)

    def _config_read(self, a: int, offset: int, value: int) -> None:
        offset &= 0xFF
        width = min(WIDTHS[a & 15], 256 - offset)
        got = self.chip.config_read(offset, width)
        if got < 0 or got >> 8 * width:
            raise Finding(f"{width} bytes of configuration space at {offset:#x} are {got:#x}")

    def _config_write(self, a: int, offset: int, value: int) -> None:
        offset &= 0xFF
        width = min(WIDTHS[a & 15], 256 - offset)
        self.chip.config_write(offset, width, value & (1 << 8 * width) - 1)

    def _reset(self, a: int, offset: int, value: int) -> None:
        if a > 15:  # it takes as long as thirty others: only now and then
            self._step(a, offset, value)
            return
        self.chip.reset(ResetKind.LOST_CLIENT if a & 1 else ResetKind.POWER_ON)
        if a & 2:
            self.chip.config_write(COMMAND_OFFSET, 2, COMMAND_ALL_ON)

    def _step(self, a: int, offset: int, value: int) -> None:
        self.chip.step(BUDGETS[a & 7])

    def _advance(self, a: int, offset: int, value: int) -> None:
        self.clock.advance(value)

    def _wait(self, a: int, offset: int, value: int) -> None:
        wait = self.chip.wait_ns()
        if wait is not None:
            if wait < 0:
                raise Finding(f"it waits {wait} ns")
            self.clock.advance(wait)

    def _map(self, a: int, offset: int, value: int) -> None:
        base = BASES[a & 15] + (value >> 20 & 0xF) * PAGE
        start = offset % RAM & ~0xFFF
        length = min(((value & 0xF) + 1) * PAGE, RAM - start)
        view = None if a & 0x40 else self.ram[start : start + length]
        far = Far(_FAULT, offset) if a & 0xC0 == 0xC0 else None
        self.memory.map(base, length, view, not a & 0x10, far)

    def _unmap(self, a: int, offset: int, value: int) -> None:
        self.memory.unmap(BASES[a & 15] + (value >> 20 & 0xF) * PAGE, (offset & 0x1F) * PAGE)

    def _poke(self, a: int, offset: int, value: int) -> None:
        if a < 24:
            self._eeprom(a, value)
            return
        at = offset & 0xFFFC
        self.ram[at : at + 4] = value.to_bytes(4, "little")

    def _eeprom(self, bits: int, value: int) -> None:
        """Clock bits into the serial EEPROM by CNTRL: clock is bit 24, chip select 25, data 26."""
        chip = self.chip
        for n in range(bits, -1, -1):
            level = 1 << 25 | (value >> n & 1) << 26
            chip.write(0, 0x6F, 1, level >> 24)
            chip.write(0, 0x6F, 1, level >> 24 | 1)
        if value >> 31:  # the end of the command
            chip.write(0, 0x6F, 1, 0)

    def _descriptor(self, a: int, offset: int, value: int) -> None:
        at = min(offset & 0xFFE0, RAM - 20)
        pci = BASES[value & 15] + (value >> 28)
        local = LOCAL[(value >> 4 & 15) % len(LOCAL)] + (a >> 6) & 0xFFFF_FFFF
        following = BASES[1] + ((value >> 12 & 0xFF) << 5) | value >> 20 & 0xF
        words = pci & 0xFFFF_FFFF, local, COUNTS[value >> 8 & 15], following, pci >> 32
        self.ram[at : at + 20] = struct.pack("<5I", *words)

    def _begin(self, a: int, offset: int, value: int) -> None:
        """Start a block, or a chain that begins at `offset` of the memory."""
        chip, channel = self.chip, a & 1
        base, pci = 0x80 + 0x14 * channel, BASES[value & 15]
        mode = (0x43, 0x243, 0x643, 0x2_0E43, 0x5C1, 0x18_0643, 0x1A43, 0x6_1F43)[a >> 1 & 7]
        pointer = BASES[1] + (offset & 0xFFE0) | 1 if a & 0x10 else BASES[1] + offset
        chip.write(0, base, 4, mode)
        chip.write(0, base + 4, 4, pci & 0xFFFF_FFFF)
        chip.write(0, base + 8, 4, LOCAL[(value >> 4 & 15) % len(LOCAL)])
        chip.write(0, base + 0xC, 4, COUNTS[value >> 8 & 15])
        chip.write(0, base + 0x10, 4, pointer | value >> 16 & 0xF)
        chip.write(0, 0xB4 + 4 * channel, 4, pci >> 32)
        chip.write(0, 0xA8 + channel, 1, 3)

    def _command(self, a: int, offset: int, value: int) -> None:
        self.chip.write(0, 0xA8 + (a & 1), 1, value & 0x1F)

    def _local_bus(self, a: int, offset: int, value: int) -> None:
        at = LOCAL[a % len(LOCAL)] + offset & 0xFFFF_FFFF
        bus, width = self.chip.local_bus, WIDTHS[value & 15]
        if value & 0x10:
            bus.write(at, bytes(width))
        elif len(got := bus.read(at, width)) != width:
            raise Finding(f"{len(got)} bytes of {width} from the local bus")

    def _local(self, a: int, offset: int, value: int) -> None:
        side = self.chip.local_side
        match a & 15:
            case 0 | 1 | 2:
                side.write_register(offset & 0x1FC, value)
            case 3 | 4:
                side.read_register(offset & 0x1FC)
            case 5:
                side.drive_linti(bool(value & 1))
            case 6:
                side.drive_useri(bool(value & 1))
            case 7:
                side.demand(value & 1, (lambda: offset) if value & 2 else None)
            case 8:
                side.assert_eot(value & 1)
            case 9:
                side.finish_self_test(value & 0xFF, supported=bool(value & 0x100))
            case 10:
                side.wake_host()
            case 11:
                side.parity_error()
            case 12:
                side.call_at(side.now() + value, lambda: side.assert_eot(a >> 7))
            case _:
                side.watch(Pin.LINTO, _hear)


_FAULT = Fault()


def _hear(level: bool) -> None:
    pass


# What a fuzzer changes.

_OFFSETS = (*range(0, REGISTERS, 4), 0xA8, 0xA9, 0xA8, 0xA9, 0x68, 0x6C, 0x6C, 0x60, 0x64, 0x40, 0x44, 0x30, 0x34)
_CONFIG = (*range(0, 0x54, 4), 4, 4, 6, 0x10, 0x18, 0x44, 0x4C, 0x4E, 0x50)
_VALUES = (
    0,
    1,
    2,
    3,
    4,
    7,
    0xFF,
    0x1000,
    0x1_0000,
    0x1_0001,
    0x8000_0000,
    0xFFFF_FFFF,
    0xFFFF_0000,
    0x1_0009,
    0x43,
    0x643,
    0x8000_0001,
)


def fresh(rng: random.Random) -> bytes:
    """Make a record that means something."""
    kind = rng.randrange(32)
    if kind == 22:  # a command of the EEPROM: start, two bits, an address, a word or none
        return RECORD.pack(
            kind, rng.choice((8, 10, 10, 18, 23)), 0, 1 << rng.choice((8, 10)) | rng.getrandbits(32) & 0x8000_03FF
        )
    a, value = rng.getrandbits(8), rng.choice(_VALUES) if rng.random() < 0.4 else rng.getrandbits(32)
    offset = rng.choice(_CONFIG) if 12 <= kind <= 14 else rng.choice(_OFFSETS)
    if kind < 12 and rng.random() < 0.8:
        a = rng.choice((0, 0, 0, 0, 0x08, 1, 2, 3))  # BAR0 by dwords, mostly
        offset += rng.random() < 0.05
    elif kind > 14:
        offset = rng.getrandbits(16) if rng.random() < 0.3 else rng.randrange(16) * 32
    return RECORD.pack(kind, a, offset, value)


def seeds(rng: random.Random) -> list[bytes]:
    """Give what a corpus begins with."""
    return [b"".join(fresh(rng) for _ in range(rng.choice((64, 256, 384)))) for _ in range(40)]


def mutate(rng: random.Random, data: bytes, other: bytes, most: int = 8192) -> bytes:
    """Change an input: records come, go and move, from `other` too, and bits of them flip."""
    new = bytearray(data[: len(data) & ~7])
    for _ in range(1 << rng.randrange(5)):
        size = len(new) >> 3
        at = 8 * rng.randrange(size) if size else 0
        match rng.randrange(8):
            case 0 | 1:
                new[at:at] = fresh(rng)
            case 2:
                new[at : at + 8] = fresh(rng)
            case 3:
                del new[at : at + 8 * rng.randrange(1, 9)]
            case 4 if size:
                new[rng.randrange(len(new))] ^= 1 << rng.randrange(8)
            case 5 if size:
                new[at + 4 : at + 8] = rng.choice(_VALUES).to_bytes(4, "little")
            case 6:
                to = 8 * rng.randrange(size) if size else 0
                new[to:to] = new[at : at + 8 * rng.randrange(1, 33)]
            case _:
                start = 8 * rng.randrange(max(1, len(other) >> 3))
                new[at:at] = other[start : start + 8 * rng.randrange(1, 65)]
    return bytes(new[: most & ~7])
