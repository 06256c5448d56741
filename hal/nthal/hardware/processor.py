# SPDX-License-Identifier: Apache-2.0
"""The processor's state: IRQL, clock, the stream of events, why the last routine gave NULL; and the checks of IRQL."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nthal.events import Event, Failure, IrqlChanged, NullReason
from nthal.verifier import Misuse, Verifier
from nthal.windows import Irql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nthal.platforms import Switches


class Processor:
    """One processor. `clock` is virtual time in nanoseconds; `recording = False` drops events, for long runs."""

    def __init__(self, switches: Switches, verifier: Verifier) -> None:
        self.verifier = verifier
        self.irql = Irql.PASSIVE_LEVEL
        self.clock = 0
        self.events: list[Event] = []
        self.recording = True
        self.last_failure: Failure | None = None
        self._irql_raises = switches.irql_raises

    def emit(self, event: Event) -> None:
        """Take one event."""
        if self.recording:
            self.events.append(event)

    def fail(self, reason: NullReason, detail: str) -> None:
        """Remember why the call that is about to give NULL does so."""
        self.last_failure = Failure(reason, detail)

    @contextlib.contextmanager
    def at_irql(self, irql: Irql) -> Iterator[None]:
        """Run at `irql`, then go back."""
        before, self.irql = self.irql, irql
        self.emit(IrqlChanged(self.clock, irql))
        try:
            yield
        finally:
            self.irql = before
            self.emit(IrqlChanged(self.clock, before))

    def irql_is(self, expected: Irql, routine: str) -> bool:
        """Check that the IRQL equals `expected`; False if the call must not go on (CB-10)."""
        return self.irql == expected or self._bad_irql(1, expected, routine)

    def irql_at_most(self, maximum: Irql, routine: str) -> bool:
        """Check that the IRQL is at most `maximum`; False if the call must not go on."""
        return self.irql <= maximum or self._bad_irql(2, maximum, routine)

    def _bad_irql(self, kind: int, expected: Irql, routine: str) -> bool:
        detail = f"{routine} wants {'' if kind == 1 else 'at most '}{expected.name}, the IRQL is {self.irql.name}"
        if self._irql_raises or self.verifier.on:
            self.verifier.violate(Misuse.WRONG_IRQL, detail, kind, expected, self.irql)
            return False
        self.verifier.note(Misuse.WRONG_IRQL, detail, kind, expected, self.irql)
        return True
