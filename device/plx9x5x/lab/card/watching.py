# SPDX-License-Identifier: Apache-2.0
"""A guest's driver is watched from outside, where that can be: a ring for each card's server, lines for what was seen.

::

    with watching(tc, sources.witness, cards=1, modules=("my_drv",), accelerator="tcg") as eye:
        backend = serving(..., watched=eye.card(0, logs))
        ... ready.boot(..., witness=eye.witness) ...
        done = after.finish(eye.seen([("my_drv", path)]), ...)
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.lab.card.backend import Watched
from plx9x5x.lab.guest.accel import TCG
from plx9x5x.lab.guest.machine import card_address, guest_name
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.lab.witness import attach, codemap
from plx9x5x.lab.witness.after import Unseen
from plx9x5x.lab.witness.attach import NoWitness, Witness
from plx9x5x.lab.witness.seen import Seen

CALLS: Final = "calls.jsonl"
"""What a server keeps of the driver's calls of the DMA API, among its logs: one a line."""


@dataclass(frozen=True, slots=True)
class Watching:
    """The witness of a guest; or none, and `why`."""

    witness: Witness | None
    why: str = ""

    def card(self, number: int, logs: Path) -> Watched | None:
        """What the server of a card needs, counted from 0, that keeps its logs there."""
        if self.witness is None:
            return None
        return Watched(self.witness.rings[number], (logs / CALLS).absolute(), shows_sync=self.witness.facts.shows_sync)

    def seen(self, modules: Iterable[tuple[str, Path | bytes]]) -> Seen | Unseen:
        """What was seen, in the lines of `modules`: names with .ko files, or the bytes of such."""
        if self.witness is None:
            return Unseen(self.why)
        try:
            return Seen(codemap.read(self.witness.code), modules)
        except codemap.BadCodeMap as exc:
            return Unseen(f"what QEMU's plugin left cannot be read ({exc})")


def blind(clients: Iterable[Mapping[str, object]]) -> str:
    """Why not all was seen of a card's driver, by what the server kept of its clients; '' if it was.

    Then its calls are not all there, and nothing follows from those that lack.
    """
    told = (it.get("dma") for it in clients)
    return next((str(why) for it in told if isinstance(it, dict) and (why := it.get("blind"))), "")


@contextlib.contextmanager
def watching(
    tc: Toolchain, source: Path, *, cards: int, modules: Sequence[str], accelerator: str, wanted: bool = True
) -> Iterator[Watching]:
    """Make the witness of a guest with so many cards, whose `modules` are watched; `source` is the plugin's folder.

    It is worth nothing without modules, and not to be had if others than TCG run the guest. That is no error.
    """
    if not wanted:
        yield Watching(None, "it was not wanted (--no-witness)")
        return
    if not modules:
        yield Watching(None, "no module is known that could be watched")
        return
    if accelerator != TCG:
        yield Watching(None, f"{accelerator} runs the guest's code where QEMU does not see it (--accel tcg)")
        return
    with contextlib.ExitStack() as stack:
        try:
            devices = [guest_name(card_address(number)) for number in range(cards)]
            eye = Watching(
                stack.enter_context(attach.attached(attach.prepare(tc, source), devices=devices, watch=modules))
            )
        except NoWitness as exc:
            eye = Watching(None, f"{exc} ({exc.hint})")
        yield eye
