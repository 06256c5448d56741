# SPDX-License-Identifier: Apache-2.0
"""What is said, and kept, of each client of a device of one's own: its findings, and what the device did for it.

Judged is how the driver uses DMA memory (`witness/rules.py`), where somebody sees its calls; of the device's registers
nobody here knows anything.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from plx9x5x.findings.docket import Docket
from plx9x5x.findings.place import NOWHERE, Source
from plx9x5x.own.guard import guarded
from plx9x5x.own.tally import Tally
from plx9x5x.ports import DeviceFactory
from plx9x5x.witness.device import witnessed
from plx9x5x.witness.events import Mistake
from plx9x5x.witness.rules import RULES
from plx9x5x.witness.witness import Witness


class ClientRecord:
    """Of one device. `say` gets the lines for people, `keep` what a program reads of each client that left.

    `judges`: findings are told.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        keep: Callable[[dict[str, object]], None] | None = None,
        witness: Witness | None = None,
        judges: bool = True,
    ) -> None:
        self.tally: Final = Tally()
        self._docket: Final = Docket(RULES, say, sources=_sources, whereabouts=witness or NOWHERE)
        self._witness, self._say, self._keep = witness, say, keep
        self._began = time.monotonic_ns()
        if witness is not None:
            witness.now = self._now
            witness.sink = self._take if judges else lambda _: None

    def of(self, make: DeviceFactory, name: str) -> DeviceFactory:
        """A factory of the same devices: guarded, counted, watched if there is a witness, and summed up here."""
        made = guarded(make, name, self.tally, self._left)
        return made if self._witness is None else witnessed(made, self._witness)

    def conclude(self) -> None:
        """Sum up a client that has not left, if it did anything."""
        if self._witness is not None:
            self._witness.conclude()
        if self.tally.any or self._docket.findings:
            self._left()
            if self._witness is not None:
                self._witness.clear()

    def _now(self) -> int:
        return time.monotonic_ns() - self._began

    def _take(self, mistake: Mistake) -> None:
        self._docket.take(mistake, mistake.time)

    def _left(self) -> None:
        """Say what there is to say, and keep a record of every client."""
        found, others = self._docket.findings, self._docket.others
        for line in self.tally.lines() if self.tally.any else ():
            self._say(line)
        if found:
            self._say(f"findings: {', '.join(it.rule for it in found)} (plx9x5x findings --explain RULE)")
        elif self.tally.any and self._witness is not None:
            self._say("findings: none")
        if self._keep is not None:
            dma = {} if self._witness is None else {"dma": self._witness.summary()}
            told = {"device": asdict(self.tally), "findings": [it.json() for it in found], "more": others}
            self._keep({**told, **dma})
        self.tally.clear()
        self._docket.clear()


def _sources(event: object) -> tuple[Source, ...]:
    return event.sources if isinstance(event, Mistake) else ()
