# SPDX-License-Identifier: Apache-2.0
"""A corpus of three switches, and findings to judge."""

from pathlib import Path

from plx9x5x.findings.finding import Finding, Who
from plx9x5x.findings.place import Place
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
LEFT = Switch("left", right=False, what="leaves", had="some", rule="dma-left", lines=("b.c:3",))
POOL = Switch("pool", right=True, what="a pool")
SMALL = Corpus(Path("/nowhere"), (SWAP, LEFT, POOL))


def finding(rule: str, *wheres: str, load: int = 0) -> Finding:
    places = tuple(Place("x", 0x1000, 1, where) for where in wheres)
    return Finding(rule, Who.DRIVER, True, "what", (), "", 1, 0, 0, places, load)
