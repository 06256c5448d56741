# SPDX-License-Identifier: Apache-2.0
"""How long the chip's accesses keep the PCI bus: off by default, deterministic by its seed.

Without it a transfer takes no time at all; with it a driver finds the channel busy for about as long as on a real bus,
which is when drivers race. It is a model of magnitude, not of cycles: clocks per data phase, a fixed price for winning
the bus and reaching memory, and a spread on that price.
"""

import random
import re
from dataclasses import dataclass
from typing import Final

from plx9x5x.errors import BadRequest
from plx9x5x.units import KIB

TIMED_BURST: Final = 4 * KIB
"""Longest burst while transfers take time, so that software finds them half done."""

LOCAL_STEP_NS: Final = 100
"""What a step without the PCI bus takes then, so that a chain in local memory takes time as well."""

ARBITRATION_CLOCKS: Final = 12
"""Clocks from REQ# to the first data phase, on a quiet bus."""

SPREAD_CLOCKS: Final = 24
"""What other masters add at most."""

_NAME: Final = re.compile(r"(33|66)x(32|64)")


class NoSuchBus(BadRequest):
    """No bus is called that."""


@dataclass(frozen=True, slots=True)
class BusSpeed:
    """A PCI bus: `mhz` and `bits`; `seed` makes two runs wait alike."""

    mhz: int
    bits: int
    seed: int = 0

    @classmethod
    def parse(cls, text: str, *, seed: int = 0) -> "BusSpeed":
        """Read '33x32', '66x32', '33x64' or '66x64'. Raises: NoSuchBus for anything else."""
        found = _NAME.fullmatch(text)
        if not found:
            raise NoSuchBus(f"no bus is called {text!r}; there are 33x32, 33x64, 66x32 and 66x64 (MHz x bits)")
        return cls(int(found[1]), int(found[2]), seed)

    def __str__(self) -> str:
        return f"{self.mhz}x{self.bits}"


class BusTimer:
    """Prices of bus transactions, one after the other."""

    def __init__(self, speed: BusSpeed) -> None:
        self.speed: Final = speed
        self._random = random.Random(speed.seed)  # noqa: S311 (spread, not secrets)

    def nanoseconds(self, length: int) -> int:
        """How long a transaction of `length` bytes keeps the bus."""
        phases = -(-8 * length // self.speed.bits)
        clocks = ARBITRATION_CLOCKS + self._random.randint(0, SPREAD_CLOCKS) + phases
        return clocks * 1000 // self.speed.mhz
