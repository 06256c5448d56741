# SPDX-License-Identifier: Apache-2.0
"""What a device of one's own did for a client, counted around what it is given."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from plx9x5x.errors import BusAbort
from plx9x5x.ports import BusMaster, IrqLine
from plx9x5x.units import BusAddr

_LOG: Final = logging.getLogger("plx9x5x.device")


@dataclass(slots=True)
class Tally:
    """Of one client: accesses to BARs, bytes of DMA, accesses to the bus that nobody answered, INTA#."""

    reads: int = 0
    writes: int = 0
    from_memory: int = 0
    to_memory: int = 0
    aborts: int = 0
    inta_asserted: int = 0

    def clear(self) -> None:
        """Begin afresh, for another client."""
        for name in asdict(self):
            setattr(self, name, 0)

    @property
    def any(self) -> bool:
        """True if a client did anything."""
        return self != Tally()

    def lines(self) -> list[str]:
        """For people."""
        aborts = f", {_many(self.aborts, 'access', 'es')} to the bus aborted" if self.aborts else ""
        return [
            f"{_many(self.reads, 'read')} and {_many(self.writes, 'write')} of its BARs; DMA: "
            f"{_many(self.from_memory, 'byte')} from memory, {_many(self.to_memory, 'byte')} to memory{aborts}",
            f"INTA# asserted {_many(self.inta_asserted, 'time')}",
        ]


def of_record(record: Mapping[str, object]) -> list[str]:
    """The lines of what a server kept of a client (`asdict`); none of what is no tally."""
    counted = record.get("device")
    try:
        tally = Tally(**{name: int(str(value)) for name, value in counted.items()})  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):
        return []
    return tally.lines() if tally.any else []


def _many(count: int, what: str, plural: str = "s") -> str:
    return f"{count} {what}{'' if count == 1 else plural}"


class CountingBus:
    """Guest memory; implements `plx9x5x.ports.BusMaster`."""

    def __init__(self, bus: BusMaster, tally: Tally) -> None:
        self._bus, self._tally = bus, tally

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on."""
        try:
            self._bus.read_into(address, into)
        except BusAbort as abort:
            self._tally.aborts += 1
            self._tally.from_memory += abort.moved
            raise
        self._tally.from_memory += len(into)

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on."""
        try:
            self._bus.write_from(address, data)
        except BusAbort as abort:
            self._tally.aborts += 1
            self._tally.to_memory += abort.moved
            raise
        self._tally.to_memory += len(data)


class CountingLine:
    """INTA#; implements `plx9x5x.ports.IrqLine`. Says once if the device has no such pin."""

    def __init__(self, line: IrqLine, tally: Tally) -> None:
        self._line, self._tally = line, tally
        self.has_pin: Callable[[], bool] | None = None
        """Whether configuration space says so: without it a guest never hears the line."""

    @property
    def level(self) -> bool:
        """What the device drives."""
        return self._line.level

    def set(self, level: bool) -> None:
        """Drive the line."""
        if level and not self._line.level:
            self._tally.inta_asserted += 1
            has_pin, self.has_pin = self.has_pin, None
            if has_pin is not None and not has_pin():
                _LOG.warning(
                    "the device drives INTA#, and its configuration space says that it has no such pin: 3Dh is 1 for "
                    "INTA#, or no guest hears it"
                )
        self._line.set(level)
