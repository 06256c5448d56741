# SPDX-License-Identifier: Apache-2.0
"""The ledger: for each field of each chip, whether it is modelled, stored or absent, and which tests prove that.

A field is *modelled* if a behaviour of it is proved: a named case of the behaviour suite fails on a chip on which a bit
of it is stuck. It is *stored* if it keeps what is written and reads back its reset value, and nothing else depends on
it, as on silicon nothing that software sees does. It is *absent* if the chip has it and nothing here does.

`proofs.json` beside this file says which cases find which field's faults; `scripts/prove.py` makes it by breaking each
bit, and a test holds it to the suite.
"""

import enum
import functools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from plx9x5x.lab.card.register_text import UNVERIFIED, bits_text
from plx9x5x.regs import catalog
from plx9x5x.regs.catalog import Listed
from plx9x5x.regs.kernel import Field
from plx9x5x.regs.profile import PROFILES, Profile

ENOUGH: Final = 0.95
"""Share of a chip's bits that has to be modelled or stored."""

PROOFS: Final = "proofs.json"


class State(enum.Enum):
    """What became of a field."""

    MODELLED = "modelled"
    STORED = "stored"
    ABSENT = "absent"
    UNPROVED = "unproved"
    """In the table, and no test fails when it breaks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One field on one chip."""

    listed: Listed
    field: Field[object]
    state: State
    proofs: tuple[str, ...]
    """Cases that together find every fault of its bits, the telling ones first."""

    @property
    def bits(self) -> int:
        """How many."""
        return self.field.hi - self.field.lo + 1


@dataclass(frozen=True, slots=True)
class Book:
    """One chip's entries."""

    profile: Profile
    entries: tuple[Entry, ...]

    def count(self, *states: State) -> int:
        """Bits in any of the states."""
        return sum(entry.bits for entry in self.entries if entry.state in states)

    @property
    def share(self) -> float:
        """Of the bits, how many are modelled or stored."""
        return self.count(State.MODELLED, State.STORED) / max(1, self.count(*State))

    @property
    def short(self) -> bool:
        """True if that is too little."""
        return self.share < ENOUGH


@dataclass(frozen=True, slots=True)
class Proof:
    """What `proofs.json` says of a field: the cases, and whether one of them is about what the field does."""

    cases: tuple[str, ...]
    modelled: bool


@functools.cache
def proofs(key: str) -> dict[str, Proof]:
    """The proofs of one chip, by 'REGISTER.field'; empty if there are none yet."""
    source = files("plx9x5x.lab.card").joinpath(PROOFS)
    if not source.is_file():
        return {}
    recorded = json.loads(source.read_text())
    return {
        name: Proof(tuple(cases), modelled=kind == State.MODELLED.value)
        for kind, fields in recorded.get(key, {}).items()
        for name, cases in fields.items()
    }


def books(only: Collection[Listed] | None = None) -> list[Book]:
    """The ledger of each chip, whole or of some registers."""
    return [
        Book(
            profile,
            tuple(
                _entry(profile, listed, field)
                for listed in catalog.on(profile)
                if not only or listed in only
                for field in listed.register.fields_on(profile.chip)
            ),
        )
        for profile in PROFILES.values()
    ]


def _entry(profile: Profile, listed: Listed, field: Field[object]) -> Entry:
    if field.absent:
        return Entry(listed, field, State.ABSENT, ())
    proof = proofs(profile.key).get(f"{listed.name}.{field.name}")
    if proof is None:
        return Entry(listed, field, State.UNPROVED, ())
    return Entry(listed, field, State.MODELLED if proof.modelled else State.STORED, proof.cases)


def text(books: Sequence[Book]) -> Iterator[str]:
    """A line for each field, chips that agree together; then the totals."""
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for book in books:
        for entry in book.entries:
            reg, field = entry.listed.register, entry.field
            name = f"{entry.listed.name}.{field.name}"
            confidence = UNVERIFIED if field.unverified else "sourced"
            what = f"{name} [{bits_text(field)}] {field.access.value} {entry.state.value}; {confidence}: {reg.source}"
            rows.setdefault((what, entry.proofs), []).append(book.profile.key)
    for (what, cases), chips in rows.items():
        yield f"{what}; on {'all' if len(chips) == len(PROFILES) else ', '.join(chips)}"
        for case in cases:
            yield f"    {case}"
    yield ""
    yield f"{'chip':9} {'bits':>5} {'modelled':>9} {'stored':>7} {'absent':>7} {'unproved':>9}  modelled or stored"
    for book in books:
        counts = [book.count(state) for state in State]
        verdict = f"too little: {ENOUGH:.0%} are needed" if book.short else ""
        yield (
            f"{book.profile.name:9} {sum(counts):>5} {counts[0]:>9} {counts[1]:>7} {counts[2]:>7} {counts[3]:>9}  "
            f"{book.share:.1%} {verdict}".rstrip()
        )
