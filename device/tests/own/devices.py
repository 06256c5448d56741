# SPDX-License-Identifier: Apache-2.0
"""Devices of one's own that tests are made with: one that does a little, and ways in which it may go wrong."""

import sys
from pathlib import Path

from plx9x5x.own.config import ConfigSpace
from plx9x5x.ports import BusMaster, IrqLine, RegionSpec, ResetKind

FOLDER = Path(__file__).parent
REGIONS = (RegionSpec(0x1000), *(RegionSpec(0),) * 5)
ADDRESS, LENGTH, GO, ASK, LINE = 0x00, 0x04, 0x08, 0x0C, 0x10


class Mover:
    """Reads `LENGTH` bytes from `ADDRESS` on when GO is 1, writes them when it is 2. A write of LINE drives INTA#."""

    regions = REGIONS

    def __init__(self, bus: BusMaster, irq: IrqLine) -> None:
        self.bus, self.irq = bus, irq
        self.config = ConfigSpace(vendor=0x1234, device=0x5678, regions=self.regions)
        self.cells = dict.fromkeys((ADDRESS, LENGTH, GO), 0)

    def read(self, _bar: int, offset: int, width: int) -> int:
        return self.cells.get(offset, 0) & (1 << 8 * width) - 1

    def write(self, _bar: int, offset: int, _width: int, data: int) -> None:
        if offset == LINE:
            self.irq.set(bool(data))
        self.cells[offset] = data

    def config_read(self, offset: int, width: int) -> int:
        return self.config.read(offset, width)

    def config_write(self, offset: int, width: int, data: int) -> None:
        self.config.write(offset, width, data)

    def reset(self, _kind: ResetKind) -> None:
        self.config.reset()

    def step(self, _budget: int) -> bool:
        go, self.cells[GO] = self.cells[GO], 0
        piece = memoryview(bytearray(self.cells[LENGTH]))
        if go == 1:
            self.bus.read_into(self.cells[ADDRESS], piece)  # type: ignore[arg-type]
        elif go == 2:
            self.bus.write_from(self.cells[ADDRESS], piece)  # type: ignore[arg-type]
        return False

    def wait_ns(self) -> int | None:
        return None


class Divides(Mover):
    """Its register at ASK is worked out by dividing."""

    def read(self, bar: int, offset: int, width: int) -> int:
        return self.quotient() if offset == ASK else super().read(bar, offset, width)

    def quotient(self) -> int:
        return 1 // self.cells[ADDRESS]


class Leaves(Mover):
    """Ends the program when ASK is read."""

    def read(self, bar: int, offset: int, width: int) -> int:
        return sys.exit(3) if offset == ASK else super().read(bar, offset, width)


class Hungry(Mover):
    """Takes more memory than there is when ASK is read."""

    def read(self, bar: int, offset: int, width: int) -> int:
        return len(bytearray(1 << 62)) if offset == ASK else super().read(bar, offset, width)


def raises(_bus: BusMaster, _irq: IrqLine) -> Mover:
    raise ValueError("not today")
