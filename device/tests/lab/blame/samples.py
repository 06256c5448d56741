# SPDX-License-Identifier: Apache-2.0
"""A corpus of three switches, and findings to judge."""

from pathlib import Path

from plx9x5x.findings.finding import Finding, Who
from plx9x5x.lab.blame.corpus import Corpus, Switch

SWAP = Switch(
    "swap",
    right=False,
    what="swaps",
    had="many",
    rule="dma-byte-order",
    also=frozenset(("unmapped-address",)),
    in_shapes={"plain": "", "swiotlb": "local-address"},
    lines=("a.c:7", "a.c:9"),
)
LEFT = Switch("left", right=False, what="leaves", had="some", rule="dma-left", alone=True, lines=("b.c:3",))
POOL = Switch("pool", right=True, what="a pool")
SMALL = Corpus(Path("/nowhere"), (SWAP, LEFT, POOL))
RULES = ("dma-byte-order", "dma-left", "unmapped-address", "local-address")


class Placed(Finding):
    """A finding that says where, and in which load."""

    __slots__ = ("load", "wheres")

    def json(self) -> dict[str, object]:
        return {**super().json(), "load": self.load, "places": [{"role": "x", "where": it} for it in self.wheres]}


def finding(rule: str, *wheres: str, load: int = 0) -> Finding:
    made = Placed(rule, Who.DRIVER, True, "what", (), "", 1, 0, 0)
    object.__setattr__(made, "load", load)
    object.__setattr__(made, "wheres", wheres)
    return made
