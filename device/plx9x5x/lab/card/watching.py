# SPDX-License-Identifier: Apache-2.0
"""A guest's driver is watched from outside, where that can be: a ring for each card's server, lines for what was seen.

::

    with watching(tc, sources.witness, cards=1, modules=[("my_drv", path)], accelerator="tcg") as eye:
        backend = serving(..., watched=eye.card(0, logs))
        ... ready.boot(..., witness=eye.witness) ...
        done = after.finish(eye.seen(), ...)
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.lab.card.backend import Watched
from plx9x5x.lab.guest.accel import TCG
from plx9x5x.lab.guest.machine import card_address, guest_name
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.witness import attach, codemap
from plx9x5x.lab.witness.after import Unseen
from plx9x5x.lab.witness.attach import NoWitness, QemuWitness
from plx9x5x.lab.witness.seen import Reading, SeenCode

CALLS: Final = "calls.jsonl"
"""What a server keeps of the driver's calls of the DMA API, among its logs: one a line."""


class CutOff(Exception):
    """The record of a driver's calls is not whole: nothing follows from what it lacks."""

    def __init__(self) -> None:
        super().__init__("the record of calls is cut off")


@dataclass(frozen=True, slots=True)
class Watching:
    """The witness of a guest; or none, and `why`."""

    witness: QemuWitness | None
    why: str = ""
    modules: Sequence[tuple[str, Path | bytes]] = ()
    read: Reading | None = None

    def card(self, number: int, logs: Path) -> Watched | None:
        """What the server of a card needs, counted from 0, that keeps its logs there."""
        if self.witness is None:
            return None
        return Watched(self.witness.rings[number], (logs / CALLS).absolute(), shows_sync=self.witness.facts.shows_sync)

    def seen(self) -> SeenCode | Unseen:
        """What was seen, in the lines of the modules."""
        if self.witness is None:
            return Unseen(self.why)
        try:
            return SeenCode(codemap.read(self.witness.code), self.modules, read=self.read)
        except codemap.BadCodeMap as exc:
            return Unseen(f"what QEMU's plugin left cannot be read ({exc})")


def blind(clients: Iterable[Mapping[str, object]]) -> str:
    """Why not all was seen of a card's driver, by what the server kept of its clients; '' if it was.

    Then its calls are not all there, and nothing follows from those that lack.
    """
    return _told(clients, "blind")


def calls_of(logs: Path, clients: Sequence[Mapping[str, object]]) -> Path | None:
    """The record of a driver's calls, by the logs of a card's server and what it kept of its clients; None: none.

    Raises: CutOff if not all of it is there: the disk was full, or it has as many bytes as it may have.
    """
    path = logs / CALLS
    try:
        with path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return path
            file.seek(-1, os.SEEK_END)
            whole = file.read() == b"\n"
    except OSError:  # no server has begun one
        return None
    if not whole or not clients or _told(clients, "calls_cut"):  # a full disk takes no record of clients either
        raise CutOff
    return path


def _told(clients: Iterable[Mapping[str, object]], name: str) -> str:
    told = (it.get("dma") for it in clients)
    return next((str(why) for it in told if isinstance(it, dict) and (why := it.get(name))), "")


@contextlib.contextmanager
def watching(
    tc: Toolchain,
    source: Path,
    *,
    cards: int,
    modules: Sequence[tuple[str, Path | bytes]],
    accelerator: str,
    wanted: bool = True,
) -> Iterator[Watching]:
    """Make the witness of a guest with so many cards; `source` is the plugin's folder.

    `modules` are watched: names with .ko files, or the bytes of such, which are read meanwhile.
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
            names = [name for name, _ in modules]
            witness = stack.enter_context(attach.attached(attach.prepare(tc, source), devices=devices, watch=names))
            eye = Watching(witness, modules=modules, read=Reading(modules, Cache(tc.cache)))
        except NoWitness as exc:
            eye = Watching(None, f"{exc} ({exc.hint})")
        yield eye
