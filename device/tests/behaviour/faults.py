# SPDX-License-Identifier: Apache-2.0
"""Breaks one bit of the register table: stuck at 0 or at 1, for software and for the chip's own logic alike.

A test that claims to prove a bit has to fail on a chip with that bit broken.
"""

from dataclasses import dataclass
from typing import Any

from plx9x5x.regs.kernel import Access, Field, Register, RegisterFile, Write


@dataclass(frozen=True)
class Stuck:
    """One bit of one register, stuck."""

    register: type[Register]
    mask: int
    level: bool

    def __str__(self) -> str:
        return f"{self.register.__name__} bit {self.mask.bit_length() - 1} stuck at {int(self.level)}"

    def of(self, value: int) -> int:
        return value | self.mask if self.level else value & ~self.mask


class _Values(dict[type[Register], int]):
    """Stored values of which one bit cannot change."""

    def __init__(self, values: dict[type[Register], int], stuck: Stuck) -> None:
        super().__init__(values)
        self._stuck = stuck

    def __getitem__(self, reg: type[Register]) -> int:
        value = super().__getitem__(reg)
        return self._stuck.of(value) if reg is self._stuck.register else value


def inject(files: tuple[RegisterFile, ...], stuck: Stuck) -> None:
    """Break the bit in whichever of a chip's register files has it."""
    for regs in files:
        if stuck.register in regs:
            _inject(regs, stuck)


def _inject(regs: Any, stuck: Stuck) -> None:
    regs._value = _Values(regs._value, stuck)
    shown = regs._on_read.get(stuck.register)
    regs._on_read[stuck.register] = lambda value: stuck.of(shown(value) if shown else value)
    acts = regs._on_write.get(stuck.register)
    triggers = sum(field.mask for field in stuck.register.fields if field.access is not Access.RW)
    if acts and stuck.mask & triggers:

        def broken(write: Write) -> None:
            acts(Write(write.old, write.new, stuck.of(write.data) & write.lanes, write.lanes))

        regs._on_write[stuck.register] = broken


def faults_of(reg: type[Register], field: Field[object]) -> list[Stuck]:
    """Both faults of each bit of a field."""
    return [Stuck(reg, 1 << n, level) for n in range(field.lo, field.hi + 1) for level in (False, True)]
