# SPDX-License-Identifier: Apache-2.0
"""A `PciDevice` of a few lines: memory in the BARs, a copy engine, and an interrupt line that a register drives."""

import struct
from dataclasses import dataclass, field

from plx9x5x.errors import BusAbort
from plx9x5x.ports import BusMaster, IrqLine, RegionSpec, ResetKind
from plx9x5x.units import KIB, BusAddr

CONTROL = 0  # BAR of the registers below
MEMORY = 2  # BAR that is plain memory
CONFIG = 7

LINE = 0x10  # bit 0 drives INTA#
SOURCE = 0x20
DESTINATION = 0x28
LENGTH = 0x30
START = 0x38  # 1: copy once; 2: copy for ever
COPIES = 0x40  # RO: how many copies have ended
FAULT = 0x80  # any access raises: a bug of the device


@dataclass
class FakeDevice:
    bus: BusMaster
    irq: IrqLine
    resets: list[ResetKind] = field(default_factory=list)
    aborts: list[BusAbort] = field(default_factory=list)
    line_at_reset: list[bool | None] = field(default_factory=list)
    """INTA# as each reset found it: the device is the one that lets it fall."""
    accesses: list[tuple[int, int, int]] = field(default_factory=list)
    steps: int = 0
    wait: int | None = None
    """What `wait_ns` says."""
    regions: tuple[RegionSpec, ...] = (
        RegionSpec(4 * KIB),
        RegionSpec(256, is_io=True),
        RegionSpec(128 * KIB),
        RegionSpec(0),
        RegionSpec(0),
        RegionSpec(0),
    )

    def __post_init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.memory = [bytearray(spec.size) for spec in self.regions]
        self.config = bytearray(256)
        self.config[:4] = bytes.fromhex("b5100196")
        self.moved = 0

    def read(self, bar: int, offset: int, width: int) -> int:
        self._note(bar, offset, width)
        return int.from_bytes(self.memory[bar][offset : offset + width], "little")

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        self._note(bar, offset, width)
        self.memory[bar][offset : offset + width] = data.to_bytes(width, "little")
        if bar == CONTROL and offset == LINE:
            self.irq.set(bool(data & 1))

    def _note(self, bar: int, offset: int, width: int) -> None:
        self.accesses.append((bar, offset, width))
        if bar == CONTROL and offset == FAULT:
            raise RuntimeError("a bug in the device")

    def config_read(self, offset: int, width: int) -> int:
        return int.from_bytes(self.config[offset : offset + width], "little")

    def config_write(self, offset: int, width: int, data: int) -> None:
        self.config[offset : offset + width] = data.to_bytes(width, "little")

    def reset(self, kind: ResetKind) -> None:
        self.line_at_reset.append(getattr(self.irq, "level", None))
        self.resets.append(kind)
        self._clear()

    def wait_ns(self) -> int | None:
        return self.wait

    def step(self, budget: int) -> bool:
        self.steps += 1
        registers = self.memory[CONTROL]
        source, destination, length = struct.unpack_from("<QQI", registers, SOURCE)
        start = registers[START]
        if not start:
            return False
        count = min(budget, length - self.moved)
        piece = memoryview(bytearray(count))
        try:
            self.bus.read_into(BusAddr(source + self.moved), piece)
            self.bus.write_from(BusAddr(destination + self.moved), piece)
        except BusAbort as abort:
            self.aborts.append(abort)
            registers[START] = 0
            return False
        self.moved += count
        if self.moved >= length:
            self.moved = 0
            struct.pack_into("<I", registers, COPIES, struct.unpack_from("<I", registers, COPIES)[0] + 1 & 0xFFFFFFFF)
            if start == 1:
                registers[START] = 0
        return bool(registers[START])
