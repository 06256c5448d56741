# SPDX-License-Identifier: Apache-2.0
"""Guest memory that fails by plan: a decorator around `plx9x5x.ports.BusMaster`.

It offers no table of mappings, so the device's own code, and not C, makes each access: a plan strikes exactly.
"""

from collections.abc import Callable
from typing import Final, NoReturn

from plx9x5x.errors import BusAbort, MasterAbort, ParityError, TargetAbort
from plx9x5x.faults.injector import Injector, Live
from plx9x5x.faults.kinds import BUS, DATA, Effect, Occurrence
from plx9x5x.ports import BusMaster
from plx9x5x.units import BusAddr

Scope = Callable[[], tuple[int | None, str]]
"""Says for which of its parts a device is on the bus now, and what for."""

_ABORTS: Final = {Effect.MASTER_ABORT: MasterAbort, Effect.TARGET_ABORT: TargetAbort}


class FaultyBus:
    """`scope` is the device's; `spoilt` hears of a part whose data came, or went, wrong.

    `gone`: the device is pulled out.
    """

    def __init__(
        self, bus: BusMaster, injector: Injector, scope: Scope, spoilt: Callable[[int | None, str, Live], None]
    ) -> None:
        self._bus, self._injector, self._scope, self._spoilt = bus, injector, scope, spoilt
        self.gone = False

    def read_into(self, address: BusAddr, into: memoryview) -> None:
        """Fill `into` from `address` on, or fail by plan. Raises: MasterAbort, TargetAbort, ParityError."""
        live, occurrence = self._meet(address, len(into), writes=False)
        if live is None:
            self._bus.read_into(address, into)
            return
        effect = live.kind.effect
        if effect in _ABORTS:
            self._fail(live, occurrence, lambda good: self._bus.read_into(address, into[:good]))
        self._bus.read_into(address, into)
        if effect in (Effect.FLIP, Effect.PARITY) and len(into):
            at = self._before(live, occurrence)
            into[at] ^= 1 << live.planned.number("", 0) % 8
            self._spoilt(occurrence.unit, occurrence.purpose, live)
        if effect is Effect.PARITY:
            raise ParityError(f"bad parity at bus address {address:#x}: {live.planned.text}")

    def write_from(self, address: BusAddr, data: memoryview) -> None:
        """Store `data` from `address` on, or fail by plan. Raises: MasterAbort, TargetAbort, ParityError."""
        live, occurrence = self._meet(address, len(data), writes=True)
        if live is None:
            self._bus.write_from(address, data)
            return
        effect = live.kind.effect
        if effect in _ABORTS:
            self._fail(live, occurrence, lambda good: self._bus.write_from(address, data[:good]))
        self._spoilt(occurrence.unit, occurrence.purpose, live)
        if effect is Effect.DROP:
            return
        wrong = bytearray(data)
        if wrong:
            wrong[self._before(live, occurrence)] ^= 1 << live.planned.number("", 0) % 8
        self._bus.write_from(address, memoryview(wrong))
        if effect is Effect.PARITY:
            raise ParityError(f"bad parity at bus address {address:#x}: {live.planned.text}")

    def _meet(self, address: int, length: int, *, writes: bool) -> tuple[Live | None, Occurrence]:
        unit, purpose = self._scope()
        occurrence = Occurrence(BUS, unit, address=address, length=length, writes=writes, purpose=purpose or DATA)
        self._injector.see(occurrence)
        if self.gone:
            raise injected(MasterAbort(BusAddr(address), moved=0), "the card is gone")
        return self._injector.strike(occurrence), occurrence

    @staticmethod
    def _before(live: Live, occurrence: Occurrence) -> int:
        """Bytes of an access that stand before the first that fails."""
        addresses = live.planned.addresses
        return 0 if addresses is None else max(0, addresses[0] - occurrence.address)

    def _fail(self, live: Live, occurrence: Occurrence, move: Callable[[int], None]) -> NoReturn:
        """Abort, once `move` has moved the bytes that stand before. Raises: BusAbort."""
        good = self._before(live, occurrence)
        if good:
            move(good)
        kind = _ABORTS[live.kind.effect]
        raise injected(kind(BusAddr(occurrence.address + good), moved=good), live.planned.text)


def injected(abort: BusAbort, fault: str) -> BusAbort:
    """Say of an abort that a plan made it."""
    abort.injected = fault
    return abort
