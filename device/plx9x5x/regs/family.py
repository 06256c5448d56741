# SPDX-License-Identifier: Apache-2.0
"""The chips of the family, as sets: a field or a register of the tables names those that have it."""

import enum

from plx9x5x.regs import kernel


class Chips(enum.Flag):
    """A set of chips. The members with one bit are the chips themselves."""

    PCI9080 = enum.auto()
    PCI9054 = enum.auto()
    PCI9056 = enum.auto()
    PCI9656 = enum.auto()
    PEX8311 = enum.auto()
    """Its endpoint half; the PCI Express bridge in front of it is not modelled."""

    SINCE_9056 = PCI9056 | PCI9656 | PEX8311
    SINCE_9054 = PCI9054 | SINCE_9056
    ALL = PCI9080 | SINCE_9054

    @property
    def names(self) -> tuple[str, ...]:
        """The chips in it as people write them: '9080', '9054', '9056', '9656', '8311'."""
        return tuple(str(chip.name)[3:] for chip in self)


class Register(kernel.Register, family=Chips):
    """A register of the family; see `plx9x5x.regs.kernel`."""
