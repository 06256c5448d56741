# SPDX-License-Identifier: Apache-2.0
"""What came of a plan, read back from a server's records (`faults` in a line of `serve --summary`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Struck:
    """A planned fault, how often it struck, and where it did first; `first_s` is a time of the card."""

    text: str
    kind: str
    times: int = 0
    where: str = ""
    first_s: float | None = None

    def __str__(self) -> str:
        """One line for people."""
        if not self.times:
            return f"{self.text}: NEVER struck"
        often = "once" if self.times == 1 else f"{self.times} times, first"
        return f"{self.text}: struck {often} at {self.where}"

    def json(self) -> dict[str, object]:
        """What a program reads."""
        return {
            "fault": self.text,
            "kind": self.kind,
            "struck": self.times,
            "first": self.where,
            "first_s": self.first_s,
        }


def of_records(clients: Iterable[Mapping[str, object]]) -> tuple[Struck, ...]:
    """Add up what each client met, by the order of the plan; nothing of a record that is none."""
    found: dict[tuple[int, str], Struck] = {}
    for client in clients:
        listed = client.get("faults")
        for number, one in enumerate(listed if isinstance(listed, list) else ()):
            if not isinstance(one, dict) or not isinstance(one.get("struck"), int):
                continue
            text, first = str(one.get("fault")), one.get("first_s")
            before = found.setdefault((number, text), Struck(text, str(one.get("kind"))))
            if one["struck"] > 0 and not before.times:
                at = float(first) if isinstance(first, int | float) else None
                before = replace(before, where=str(one.get("first")), first_s=at)
            found[number, text] = replace(before, times=before.times + max(0, one["struck"]))
    return tuple(found.values())


def never(struck: Iterable[Struck]) -> int:
    """How many were planned in vain."""
    return sum(not it.times for it in struck)
