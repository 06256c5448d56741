# SPDX-License-Identifier: Apache-2.0
"""Judge observations from anywhere: which clauses hold, which are violated and why, which cannot be told.

A Linux guest is held to the clauses that dma_alloc_coherent promises too (reference hal-contract 8.2); the others are
not applicable to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nthal.contract.clause import Clause, Fact, Kind, Verdict
from nthal.contract.clauses_layers import LAYER_CLAUSES
from nthal.contract.clauses_limits import LIMIT_CLAUSES
from nthal.contract.clauses_memory import MEMORY_CLAUSES
from nthal.contract.observation import LINUX, Observation

CLAUSES: Mapping[str, Clause] = {c.id: c for c in (*MEMORY_CLAUSES, *LIMIT_CLAUSES, *LAYER_CLAUSES)}
"""Every clause by its number."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdict of one clause about the observation with sequence number `order`."""

    clause: str
    order: int
    verdict: Verdict


@dataclass(slots=True)
class _Life:
    """A buffer across observations."""

    made: Observation
    frees: int = 0


@dataclass(slots=True)
class _History:
    lives: list[_Life] = field(default_factory=list)

    def live(self) -> list[_Life]:
        return [life for life in self.lives if not life.frees]

    def overlapping(self, new: Observation) -> bool:
        return any(_overlap(life.made, new) for life in self.live())

    def meant_by(self, free: Observation) -> _Life | None:
        """Latest buffer that the free names by either address; live ones first."""
        same = [
            life
            for life in self.lives
            if (free.va is not None and life.made.va == free.va) or (free.la is not None and life.made.la == free.la)
        ]
        return max(same, key=lambda life: (not life.frees, life.made.order), default=None)


def _overlap(one: Observation, two: Observation) -> bool:
    for a, b in ((one.la, two.la), (one.va, two.va)):
        if a is not None and b is not None and a < b + max(two.length, 1) and b < a + max(one.length, 1):
            return True
    return bool(set(one.pages or ()) & set(two.pages or ()))


def _facts_of_null(seen: Observation) -> Iterator[tuple[str, dict[str, Fact]]]:
    yield "CB-70", _known({"null": True, "held": seen.held_after_null})


def _known(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {name: value for name, value in facts.items() if value is not None}


def _facts_of_buffer(seen: Observation, history: _History) -> Iterator[tuple[str, dict[str, Fact]]]:
    size: dict[str, Fact] = {"length": seen.length, "page_size": seen.page_size}
    frames = seen.pages
    yield "CB-20", _known({**size, "pages": None if frames is None else len(frames)})
    yield "CB-21", _known({**size, "usable": seen.usable})
    yield "CB-22", _known({**size, "usable": seen.usable})
    yield "CB-29", _known({"va": seen.va, "la": seen.la, "page_size": seen.page_size})
    yield "CB-31", _known({"la_linear": _linear(seen), "overlaps": history.overlapping(seen)})
    yield "CB-36", _known({"la": seen.la, "length": seen.length, "device_address": seen.device_address})
    reach = _known({"la": seen.la, "length": seen.length, "limit": seen.limit})
    yield "CB-50", reach
    if seen.translated:
        yield "CB-53", reach
    elif seen.translated is False and frames:
        last = (max(frames) + 1) * seen.page_size - 1
        yield "CB-52", _known({"translated": False, "null": False, "last_pa": last, "limit": seen.limit})
    if seen.boundary is not None:
        yield "CB-55", _known({"la": seen.la, "length": seen.length})
    else:
        yield "CB-58", _known({"la": seen.la, "length": seen.length})
    if seen.irql is not None:
        yield "CB-10", {"irql": seen.irql}
    for byte in seen.access:
        both: dict[str, Fact] = {"cpu_byte": byte.cpu, "device_byte": byte.device}
        yield "CB-23", {**both, "offset": byte.offset, "length": seen.length}
        yield "CB-66", {**both, "flushes": 0}
    if seen.access:
        yield "CB-30", {"calls_between": 0, "same_bytes": all(byte.cpu == byte.device for byte in seen.access)}
        yield "CB-34", {"first_device_access_ok": seen.access[0].cpu == seen.access[0].device}


def _linear(seen: Observation) -> bool | None:
    """Without translation the page frames themselves must be a run; with it only accesses can tell."""
    if seen.translated is not False or seen.pages is None:
        return True
    return all(b == a + 1 for a, b in zip(seen.pages, seen.pages[1:], strict=False))


def _facts_of_free(seen: Observation, history: _History) -> Iterator[tuple[str, dict[str, Fact]]]:
    life = history.meant_by(seen)
    if life is None:
        yield "CB-81", {"known": False, "same_length": False, "same_la": False, "same_va": False}
        return
    made = life.made
    life.frees += 1
    yield "CB-83", {"frees": life.frees}
    yield (
        "CB-81",
        {
            "known": True,
            "same_length": made.length == seen.length,
            "same_la": seen.la is None or made.la == seen.la,
            "same_va": seen.va is None or made.va == seen.va,
        },
    )
    yield "CB-82", {"freed_length": seen.length, "length": made.length}
    if seen.access_after_free_ok is not None:
        yield "CB-80", {"held_after_free": 0, "access_after_free_ok": seen.access_after_free_ok}


def _facts(seen: Observation, history: _History) -> Iterator[tuple[str, dict[str, Fact]]]:
    if seen.kind == "free":
        yield from _facts_of_free(seen, history)
    elif seen.kind == "unload":
        yield "CB-84", {"live_at_unload": len(history.live())}
    elif seen.null:
        yield from _facts_of_null(seen)
    else:
        yield from _facts_of_buffer(seen, history)
        history.lives.append(_Life(seen))


def check(observations: Iterable[Observation]) -> list[Judgement]:
    """Judge observations in their order; overlaps, leaks and double frees are seen across them."""
    history = _History()
    judged = []
    for seen in sorted(observations, key=lambda one: one.order):
        for number, facts in _facts(seen, history):
            clause = CLAUSES[number]
            if seen.origin == LINUX and not clause.linux:
                verdict = Verdict(Kind.NOT_APPLICABLE, f"{number} is a promise of Windows alone")
            else:
                verdict = clause.check(facts)
            judged.append(Judgement(number, seen.order, verdict))
    return judged


def violations(judged: Sequence[Judgement]) -> list[Judgement]:
    """Only what is violated."""
    return [one for one in judged if one.verdict.kind is Kind.VIOLATED]


def _translation(observations: Sequence[Observation]) -> str:
    """Say whose logical addresses are not the physical ones; nothing where they are the same throughout."""
    placed = [(seen.la, seen.pages[0] * seen.page_size) for seen in observations if seen.la is not None and seen.pages]
    moved = sum(la != physical for la, physical in placed)
    if not moved:
        return ""
    return f", logical addresses of {'all' if moved == len(placed) else moved} are not physical ones"


def summary(observations: Sequence[Observation], judged: Sequence[Judgement]) -> str:
    """Give the verdict in one line."""
    buffers = sum(seen.kind == "alloc" for seen in observations)
    broken = {one.clause for one in violations(judged)}
    holding = {one.clause for one in judged if one.verdict.kind is Kind.HOLDS} - broken
    text = f"common buffers: {buffers} observed{_translation(observations)}, {len(holding)} clauses hold"
    return f"{text}, violated: {', '.join(sorted(broken))}" if broken else text
