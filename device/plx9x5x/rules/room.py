# SPDX-License-Identifier: Apache-2.0
"""The trace that judges: a card's events become findings, and a summary for each client."""

from collections.abc import Callable, Mapping
from typing import Final

from plx9x5x.events import AddressWrapped, ChipReset, ClientSummary, Event, Fault
from plx9x5x.findings.docket import Docket
from plx9x5x.findings.finding import Finding
from plx9x5x.findings.place import NOWHERE
from plx9x5x.ports import ResetKind
from plx9x5x.rules import places, summary
from plx9x5x.rules.catalog import RULES
from plx9x5x.witness.events import Mistake
from plx9x5x.witness.witness import Witness


class Room:
    """A `TraceSink`. `say` gets the lines for people, `keep` what a program reads of each client that left.

    `witness` knows where the driver's code is, and what it did with DMA memory.
    """

    enabled: Final = False

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        keep: Callable[[dict[str, object]], None] | None = None,
        witness: Witness | None = None,
    ) -> None:
        self.docket: Final = Docket(RULES, say, sources=places.of, whereabouts=witness or NOWHERE)
        self._witness = witness
        self._say, self._keep = say, keep
        self._summary: ClientSummary | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the client that is there, so far."""
        return self.docket.findings

    def emit(self, event: object) -> None:
        """Judge an event; a client that leaves takes its findings with it, once they have been summed up.

        What a planned fault caused is nobody's mistake.
        """
        if isinstance(event, ClientSummary):
            self._summary = event
        elif isinstance(event, ChipReset) and event.reason == ResetKind.LOST_CLIENT.value:
            self._sum_up(event.registers)
        elif isinstance(event, AddressWrapped) and self._runs_past_a_buffer(event):
            return
        elif isinstance(event, Event | Mistake) and not (isinstance(event, Fault | Mistake) and event.injected):
            self.docket.take(event, event.time)

    def _runs_past_a_buffer(self, event: AddressWrapped) -> bool:
        """True if the witness will say so, better: of a buffer that ends at 4 GiB each overrun wraps."""
        witness = self._witness
        return witness is not None and witness.sees() and any(witness.ledger.live.at(event.address))

    def conclude(self) -> None:
        """Sum up a client that has not left, if it did anything, and start afresh."""
        if self._witness is not None:
            self._witness.conclude()
        if self._summary is not None or self.docket.findings:
            self._sum_up()
            if self._witness is not None:
                self._witness.clear()

    def _sum_up(self, registers: Mapping[str, int] | None = None) -> None:
        """Say what there is to say, and keep a record of every client."""
        found, others = self.docket.findings, self.docket.others
        if self._summary is not None or found:
            for line in summary.lines(self._summary, found, others):
                self._say(line)
        if self._keep is not None:
            dma = {} if self._witness is None else {"dma": self._witness.summary()}
            self._keep(summary.json(self._summary, found, others, registers or {}) | dma)
        self._summary = None
        self.docket.clear()
