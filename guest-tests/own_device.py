# SPDX-License-Identifier: Apache-2.0
"""A device that is no PLX, on the kit alone: it adds two numbers. `plx9x5x serve --device` serves it."""

from plx9x5x.ports import BusMaster, IrqLine, RegionSpec, ResetKind
from plx9x5x.regs.kernel import Access, Register, RegisterFile, bits


class IDS(Register, offset=0x00, source="this file"):
    vendor = bits(15, 0, Access.RO, reset=0x1234, doc="A vendor of emulated devices.")
    device = bits(31, 16, Access.RO, reset=0xADD0, doc="The adder.")


class COMMAND(Register, offset=0x04, width=16, source="PCI Local Bus Specification 2.2"):
    memory = bits(1, 1, Access.RW, doc="BAR0 decodes.")


class BAR0(Register, offset=0x10, source="PCI Local Bus Specification 2.2"):
    base = bits(31, 12, Access.RW, doc="4 KiB of registers.")


class LEFT(Register, offset=0x00, source="this file"):
    value = bits(31, 0, Access.RW, doc="One number.")


class RIGHT(Register, offset=0x04, source="this file"):
    value = bits(31, 0, Access.RW, doc="The other.")


class SUM(Register, offset=0x08, source="this file"):
    value = bits(31, 0, Access.RO, doc="Both.")


class Adder:
    """Two numbers in, their sum out."""

    regions = (RegionSpec(0x1000), *(RegionSpec(0) for _ in range(5)))

    def __init__(self, _bus: BusMaster, _irq: IrqLine) -> None:
        self.config = RegisterFile([IDS, COMMAND, BAR0])
        self.registers = RegisterFile([LEFT, RIGHT, SUM], on_read={SUM: lambda _: self._sum()})

    def _sum(self) -> int:
        return (self.registers[LEFT] + self.registers[RIGHT]) & 0xFFFF_FFFF

    def read(self, _bar: int, offset: int, width: int) -> int:
        return self.registers.read(offset, width) if self._decodes() else (1 << 8 * width) - 1

    def write(self, _bar: int, offset: int, width: int, data: int) -> None:
        if self._decodes():
            self.registers.write(offset, width, data)

    def _decodes(self) -> bool:
        return bool(self.config[COMMAND] & COMMAND.memory.mask)

    def config_read(self, offset: int, width: int) -> int:
        return self.config.read(offset, width)

    def config_write(self, offset: int, width: int, data: int) -> None:
        self.config.write(offset, width, data)

    def reset(self, _kind: ResetKind) -> None:
        self.config.reset()
        self.registers.reset()

    def step(self, _budget: int) -> bool:
        return False

    def wait_ns(self) -> int | None:
        return None
