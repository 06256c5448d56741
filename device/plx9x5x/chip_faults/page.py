# SPDX-License-Identifier: Apache-2.0
"""The kinds of faults for people: docs/faults.md, a list, and one of them in a terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from plx9x5x.faults.grammar import MOST, MOST_BYTES, Sentences
from plx9x5x.faults.kinds import Kind, Slot, What
from plx9x5x.units import KIB

_WORDS: Final = {What.TIME: "T", What.NUMBER: "N", What.REGISTER: "REGISTER", What.DIRECTION: "read|write"}

_HEAD: Final = f"""\
# Faults on demand

Error paths are where drivers fail, and a card that works never takes them. `--fault` lets it fail by plan, where a
sentence says:

    plx9x5x try --fault 'channel 0: master abort at transfer 7' ./mydrv -- ./run-tests.sh
    plx9x5x run --fault 'late interrupt by 20 ms every 10'
    plx9x5x serve --socket-path /tmp/plx.sock --board rdk-9656-lite --fault @plan.txt

`serve`, `run` and `try` take it alike, again for one more sentence. A file, by its path or as `@FILE`, has a sentence
a line, and `#` before comments. Up to {MOST} sentences, a file up to {MOST_BYTES // KIB} KiB. From pytest it is
`plx_try("./mydrv", faults=["stuck busy at transfer 2"])`, and for the fixtures that boot a guest the marker
`plx_board(..., faults=[...])`. Of several cards in a guest a sentence is about the first, or begins with `card 2:`.

## A sentence

    [card N:] [channel N:] KIND [what the kind takes] [WHEN] [HOW OFTEN] [CHANCE]

| part | is one of |
|---|---|
| WHEN | `at transfer N`: START number N of the channel, or of both if none is named |
| | `at access N`: the N-th of what the kind is about: an access of the bus, a read or write of software |
| | `at access N of REGISTER`, `at read N of REGISTER`, `at write N of REGISTER`, `at write of REGISTER = VALUE` |
| | `at interrupt N`: the N-th time that the chip asserts INTA# |
| | `at address A..B`: accesses of the bus that touch these addresses; beside another WHEN, too |
| | `T after POINT`, as in `5 ms after write of DMACSR0 = 3`, and `after T`: since software first accessed a BAR |
| HOW OFTEN | `once`, `for N times`, `for T`, `from then on`, `every N`: each N-th of what the kind is about |
| CHANCE | `with probability P`, a number above 0, up to 1 |

T is a number and `us`, `ms` or `s`, of the card's time. REGISTER is a name of the data book (`plx9x5x regs`), or a
place, as in `BAR2+0x10` (a dword) or `BAR2` (all of it); registers that valid mode moves keep the name that they have
after a reset. Numbers are decimal or begin with 0x. Case is free, and what follows the kind may be in any order.

Without WHEN a fault is due from the start. It strikes once, at the first occurrence once it is due; those that say
*lasting* below go on, and so does one with a CHANCE and no WHEN. All is counted for each client afresh, so a second
guest on the same server meets the same plan. What configuration space is asked by firmware and kernel counts as well.

The same plan, the same `--seed` and the same accesses give the same faults: each sentence has a random generator of
its own; `run` draws a seed, for its driver's random lengths too, and says it. With a plan the chip's Python decides
everything, whatever `--plane` says, so that no access is missed.

## What is said of it

A line in the server's log for each strike (of one sentence the first five, the 10th, the 100th and so on):

    fault 1 strikes (1): channel 0: master abort at transfer 7 - write of 256 bytes at 0x58fa000, channel 0

In a trace (`--trace`) the line `fault 1 channel 0: ...` stands before what comes of it; the lines after it show what
the chip did, so an access that a fault answers, or loses, is not there. `serve --summary` has a list `faults`: `fault`
(the sentence), `kind`, `struck`, `first` (where) and `first_s`, `last_s` (seconds of the card's time). The verdict of
`try` and `run` has a line for each sentence, and says which NEVER struck: then nothing was tried.

What a fault causes is not the driver's, and no finding says so: an abort that was planned, what follows from a
read that gave something else or a write that was lost, until that register is read or written as it should be, what
follows from a reset that the driver did not ask for. Where the driver is watched ([witness.md](witness.md)) that is so
of its memory too: which bytes the card reached, and what the driver touched because it was told of an end. What it
gives back wrongly, or never, is its own, and what it does then: one that polls for ever for a DONE that will not come
is told so (`spinning`, [findings.md](findings.md)).

The bits are those that were read back from silicon (aborts: a PEX 8311), that the PCI 9080's data book names (parity,
EOT#, DREQ#, 256 retries) or that the PCI specification asks for; [registers.md](registers.md) has each with its source.

## The kinds

This page is made from the kinds: `plx9x5x faults --markdown`; `plx9x5x faults --explain KIND` shows one of them.
"""


def markdown(kinds: Iterable[Kind]) -> str:
    """The whole page."""
    return _HEAD + "".join(
        f"\n### {kind.name}\n\n`{usage(kind)}`{_notes(kind)}\n\n{kind.silicon}\n\nSeen: {kind.shows}.\n\n"
        f"    --fault '{kind.example}'\n"
        for kind in kinds
    )


def explain(kind: Kind) -> Iterator[str]:
    """One kind, for a terminal."""
    yield f"{usage(kind)}{_notes(kind).replace('*', '')}"
    yield ""
    yield from textwrap.wrap(kind.silicon, 100)
    yield from textwrap.wrap(f"Seen: {kind.shows}.", 100)
    yield ""
    yield f"  --fault '{kind.example}'"


def listing(kinds: Sequence[Kind]) -> Iterator[str]:
    """All of them, a line each."""
    widest = max(len(kind.name) for kind in kinds)
    for kind in kinds:
        yield f"{kind.name:<{widest}}  {_lower(kind.silicon.partition('. ')[0].rstrip('.'))}"
    yield ""
    yield "plx9x5x faults --explain KIND says more; docs/faults.md has the sentences, as in"
    yield "  plx9x5x try --fault 'channel 0: master abort at transfer 7' ./mydrv"


def named(name: str, kinds: Sequence[Kind]) -> Kind:
    """The kind of that name, in any case. Raises: FaultPlan that names the nearest."""
    return Sentences(kinds, lambda _: None).kind_at(name.lower().split())[0]


def usage(kind: Kind) -> str:
    """How it stands in a sentence."""
    parts = ["[channel N:]"] if kind.by_unit else []
    parts.append(kind.name)
    parts += [_slot(slot) for slot in kind.slots]
    return " ".join(parts)


def _slot(slot: Slot) -> str:
    said = f"{slot.word} {_WORDS[slot.what]}".strip()
    return said if slot.required else f"[{said}]"


def _notes(kind: Kind) -> str:
    return " *from power-on*" if kind.standing else " *lasting*" if kind.lasting else ""


def _lower(text: str) -> str:
    first = text.partition(" ")[0]
    return text if len(first) > 1 and first.rstrip("#").isupper() else text[:1].lower() + text[1:]
