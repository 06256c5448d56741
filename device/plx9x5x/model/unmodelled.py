# SPDX-License-Identifier: Apache-2.0
"""Accesses that mean nothing on the chip: counted, so that a driver author sees them at the end of a run.

They have results, as on silicon: reads give 0 (ones where nothing decodes), writes vanish. A driver for another chip of
the family, or a mistake in an offset, shows here first.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

MOST: Final = 256
"""Kinds that are told apart; a guest that scans every offset must not grow the process."""


@dataclass(frozen=True, slots=True, order=True)
class Unmodelled:
    """One kind of access. `bar` is -1 for configuration space, `offset` that of a dword, `what` in words."""

    bar: int
    offset: int
    is_write: bool
    what: str

    def __str__(self) -> str:
        where = "configuration space" if self.bar < 0 else f"BAR{self.bar}"
        return f"{where} {self.offset:#05x} {'write' if self.is_write else 'read'}: {self.what}"


class UnmodelledAccesses:
    """How often each kind came."""

    def __init__(self) -> None:
        self._seen: Counter[Unmodelled] = Counter()
        self.others = 0
        """Accesses of kinds beyond the first `MOST`."""

    def note(self, bar: int, offset: int, *, is_write: bool, what: str) -> None:
        """Count an access that means nothing, at the dword of its `offset`."""
        access = Unmodelled(bar, offset & ~3, is_write, what)
        if access in self._seen or len(self._seen) < MOST:
            self._seen[access] += 1
        else:
            self.others += 1

    def clear(self) -> None:
        """Start again, for another client."""
        self._seen.clear()
        self.others = 0

    def lines(self) -> list[str]:
        """A line for each kind, by BAR and offset; empty if there were none."""
        found = [f"{access} ({count} x)" for access, count in sorted(self._seen.items())]
        if self.others:
            found.append(f"... and {self.others} accesses of more kinds")
        return found
