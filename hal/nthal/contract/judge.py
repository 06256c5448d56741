# SPDX-License-Identifier: Apache-2.0
"""Judge observations from anywhere: which clauses hold, which are violated and why, which cannot be told.

A Linux guest is held to the clauses that dma_alloc_coherent promises too (reference hal-contract 8.2); the others are
not applicable to it. Nor are those to a system that is known to answer their open question otherwise.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nthal.contract.clause import Clause, Fact, Kind, Verdict
from nthal.contract.clauses_layers import LAYER_CLAUSES
from nthal.contract.clauses_limits import ARGUMENTS, LIMIT_CLAUSES
from nthal.contract.clauses_memory import MEMORY_CLAUSES
from nthal.contract.observation import LINUX, Observation
from nthal.policy import Routine
from nthal.runs import RunSet
from nthal.types import KIB, MAX_ADDRESS

Case = tuple[str, Mapping[str, Fact]]
"""A clause's number and the facts to judge it by; None was not observed, and a clause that asks for it says so."""

_TOLD_BY: Final = {
    "unit": "granularity",
    "length": "raw_length",
    "la_linear": "pages or access",
    "needs_registers": "registers_needed",
    "asked": "cache_type",
    "mask": "alignment_mask",
    "hal_length": "raw_length",
    "get_length": "usable",
}
"""The field of an observation behind a fact that has another name; `length` itself is always told."""

_WORD: Final = 16
_WORD_BOUNDARY: Final = 128 * KIB

CLAUSES: Mapping[str, Clause] = {c.id: c for c in (*MEMORY_CLAUSES, *LIMIT_CLAUSES, *LAYER_CLAUSES)}
"""Every clause by its number."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdict of one clause about the observation with sequence number `order`."""

    clause: str
    order: int
    verdict: Verdict


@dataclass(slots=True, eq=False)
class _Life:
    """A buffer across observations."""

    made: Observation
    frees: int = 0


class _History:
    """Buffers so far, found by address. Where two overlap, which is told, the place belongs to the later one."""

    def __init__(self) -> None:
        self.live: set[_Life] = set()
        self.registers: Counter[str | int | None] = Counter()
        self._named: defaultdict[tuple[str, int], list[_Life]] = defaultdict(list)
        self._held: defaultdict[str, RunSet] = defaultdict(RunSet)
        self._pages: set[int] = set()

    def add(self, made: Observation) -> None:
        life = _Life(made)
        self.live.add(life)
        self.registers[made.adapter] += made.registers or 0
        for space, start, count in _places(made):
            self._named[space, start].append(life)
            self._held[space].discard(start, count)
            self._held[space].give(start, count)
        self._pages.update(made.pages or ())

    def free(self, life: _Life) -> None:
        life.frees += 1
        if life in self.live:
            self.live.remove(life)
            self.registers[life.made.adapter] -= life.made.registers or 0
            for space, start, count in _places(life.made):
                self._held[space].discard(start, count)
            self._pages.difference_update(life.made.pages or ())

    def overlapping(self, new: Observation) -> bool:
        met = any(self._held[space].meets(start, count) for space, start, count in _places(new))
        return met or not self._pages.isdisjoint(new.pages or ())

    def meant_by(self, free: Observation) -> _Life | None:
        """Latest buffer that the free names by either address; live ones first."""
        same = [life for space, start, _ in _places(free) for life in self._named[space, start]]
        return max(same, key=lambda life: (not life.frees, life.made.order), default=None)


def _places(seen: Observation) -> Iterator[tuple[str, int, int]]:
    """Where a buffer lies: address space, start and length."""
    for space, start in (("la", seen.la), ("va", seen.va)):
        if start is not None:
            yield space, start, max(seen.length, 1)


def _known(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {name: value for name, value in facts.items() if value is not None}


def _kmdf(seen: Observation) -> bool:
    return seen.routine is not None and seen.routine.startswith("Wdf")


def _asked(seen: Observation) -> int | None:
    """Bytes that the HAL was asked for; of a framework's buffer only its raw length says it."""
    return seen.raw_length if seen.raw_length is not None or _kmdf(seen) else seen.length


def _unit(seen: Observation) -> int | None:
    """What the allocator gives multiples of: pages, unless WithBounds was asked for large ones."""
    return seen.granularity or (None if seen.routine == Routine.BOUNDS.value else seen.page_size)


def _facts_of_null(seen: Observation) -> Iterator[Case]:
    yield "CB-70", {"null": True, "held": seen.held_after_null}
    yield "CB-27", {"null": True, "length": seen.length}
    if seen.irql is not None:
        yield "CB-10", {"irql": seen.irql}


def _facts_of_buffer(seen: Observation, history: _History) -> Iterator[Case]:
    size: dict[str, Fact] = {"length": seen.length, "page_size": seen.page_size}
    asked, unit, frames = _asked(seen), _unit(seen), seen.pages
    pages = None if frames is None else len(frames)
    yield "CB-20", {"length": asked, "page_size": seen.page_size, "unit": unit, "pages": pages}
    yield "CB-21", {**size, "usable": seen.usable}
    yield "CB-22", {**size, "usable": seen.usable}
    yield "CB-27", {"null": False, "length": asked}
    # Linux has no DMA verification that would move a buffer.
    verified = False if seen.origin == LINUX else seen.verified
    yield "CB-29", {"va": seen.va, "la": seen.la, "page_size": seen.page_size, "verified": verified}
    yield "CB-31", {"la_linear": _linear(seen), "overlaps": history.overlapping(seen)}
    yield "CB-36", {"la": seen.la, "length": max(seen.length, 1), "device_address": seen.device_address}
    yield from _within(seen)
    yield from _registers(seen, asked, unit, history)
    yield from _caches(seen)
    yield from _alignment(seen)
    if seen.irql is not None:
        yield "CB-10", {"irql": seen.irql}
    yield from _accesses(seen)


def _within(seen: Observation) -> Iterator[Case]:
    """Addresses inside what the device and the caller allow."""
    reach: dict[str, Fact] = {"la": seen.la, "length": max(seen.length, 1), "limit": seen.limit}
    yield "CB-50", reach
    if seen.translated:
        yield "CB-53", reach
    elif seen.translated is False and seen.pages:
        last = (max(seen.pages) + 1) * seen.page_size - 1
        yield "CB-52", {"translated": False, "null": False, "last_pa": last, "limit": seen.limit}
    span: dict[str, Fact] = {"la": seen.la, "length": max(seen.length, 1)}
    if seen.channel_bits == _WORD or (seen.channel_bits is None and seen.boundary == _WORD_BOUNDARY):
        yield "CB-56", {**span, "boundary": seen.boundary}
    elif seen.channel_bits is not None or seen.boundary is not None:
        yield "CB-55", span
        yield "CB-57", {"null": False, "length": seen.length}
    else:
        yield "CB-58", span
    if seen.maximum is not None and seen.routine == Routine.EX.value:
        yield "CB-131", {**reach, "maximum": seen.maximum}
    if seen.routine == Routine.BOUNDS.value:
        top = MAX_ADDRESS if seen.maximum is None else seen.maximum
        yield "CB-132", {**span, "null": False, "minimum": seen.minimum or 0, "maximum": top}


def _registers(seen: Observation, asked: int | None, unit: int | None, history: _History) -> Iterator[Case]:
    """Map registers; a large page takes them for all of it."""
    if seen.granted is not None:
        yield "CB-41", {"null": False, "length": asked, "page_size": seen.page_size, "granted": seen.granted}
    if seen.registers is not None or seen.registers_needed is not None:
        whole = None if asked is None or unit is None else max(1, -(-asked // unit)) * unit
        held: dict[str, Fact] = {"length": whole, "page_size": seen.page_size, "registers": seen.registers}
        yield "CB-33", {**held, "needs_registers": seen.registers_needed}
        yield "CB-40", held
    if seen.registers and seen.adapter is not None:
        others = history.registers[seen.adapter]
        yield "CB-42", {"held_by_buffers": seen.registers + others, "granted": seen.granted}


def _caches(seen: Observation) -> Iterator[Case]:
    """How the processor maps it: the system decides, the extended routines may ask."""
    if seen.routine is None or (seen.caching is None and seen.arch is None):
        return
    arm = None if seen.arch is None else seen.arch.startswith("arm")
    if seen.routine == Routine.BOUNDS.value:
        yield "CB-65", {"asked": seen.cache_type, "null": False, "caching": seen.caching}
    elif seen.routine == Routine.EX.value:
        yield "CB-63", {"cache_enabled": seen.cache_enabled, "caching": seen.caching}
        if arm:
            yield "CB-64", {"cca": seen.cca, "caching": seen.caching}
    elif arm:
        yield "CB-62", {"cca": seen.cca, "caching": seen.caching}
    else:
        yield "CB-61", {"arch": seen.arch, "caching": seen.caching, "coherent": None if arm is None else True}


def _alignment(seen: Observation) -> Iterator[Case]:
    """What the framework makes of an alignment mask; the HAL's own alignment binds its buffers alike."""
    mask = seen.alignment_mask
    at: dict[str, Fact] = {"la": seen.la, "va": seen.va, "mask": mask, "page_size": seen.page_size}
    if mask is not None:
        yield "CB-110", at
    if not _kmdf(seen):
        return
    raw: dict[str, Fact] = {"raw_la": seen.raw_la, "raw_va": seen.raw_va, "raw_length": seen.raw_length}
    yield "CB-68", {"cache_enabled": seen.cache_enabled}
    yield "CB-101", {"mask": mask, "old_client": seen.old_client}
    yield "CB-103", {"va": seen.va, "la": seen.la}
    old: dict[str, Fact] = {"old_client": seen.old_client, "page_size": seen.page_size}
    yield "CB-108", {**old, "length": seen.length, "mask": mask, "hal_length": seen.raw_length}
    yield "CB-109", {**at, **raw}
    yield "CB-111", {**at, **raw, "length": seen.length}
    yield "CB-117", {"length": seen.length, "get_length": seen.usable}


def _accesses(seen: Observation) -> Iterator[Case]:
    # Not known is taken for coherent: a guest that tells of no caches is held to what CB-66 promises.
    arm = seen.arch is not None and seen.arch.startswith("arm")
    flushes: dict[str, Fact] = {"driver_flushes": arm and seen.cca is False and seen.caching == 1}
    for byte in seen.access:
        both: dict[str, Fact] = {"cpu_byte": byte.cpu, "device_byte": byte.device, **flushes}
        yield "CB-23", {**both, "offset": byte.offset, "length": seen.length}
        yield "CB-66", {**both, "flushes": 0}
    same = [byte.cpu == byte.device for byte in seen.access]
    if same:
        yield "CB-30", {"calls_between": 0, "same_bytes": all(same), **flushes}
        yield "CB-34", {"first_device_access_ok": same[0], **flushes}


def _linear(seen: Observation) -> bool | None:
    """Without translation the page frames themselves must be a run; else only accesses at both ends can tell."""
    if seen.translated is False and seen.pages is not None:
        return all(b == a + 1 for a, b in zip(seen.pages, seen.pages[1:], strict=False))
    if seen.access or seen.length <= seen.page_size:
        # A byte that arrives elsewhere is CB-23's to tell.
        return True
    return None


def _told_alike(one: object, other: object) -> bool:
    """False if both are known and differ."""
    return one is None or other is None or one == other


def _facts_of_free(seen: Observation, history: _History) -> Iterator[Case]:
    life = history.meant_by(seen)
    if life is None:
        yield "CB-81", {"known": False}
        return
    made = life.made
    history.free(life)
    yield "CB-83", {"frees": life.frees}
    # Linux' free takes neither an adapter nor a flag, whatever a shim of it says.
    compared = [name for name in ARGUMENTS if seen.origin != LINUX or name in ("length", "la", "va")]
    same = {f"same_{name}": _told_alike(getattr(made, name), getattr(seen, name)) for name in compared}
    yield "CB-81", {"known": True, **dict.fromkeys((f"same_{name}" for name in ARGUMENTS), True), **same}
    yield "CB-82", {"freed_length": seen.length, "length": made.length}
    if seen.routine is not None and made.routine in (Routine.EX.value, Routine.BOUNDS.value):
        yield "CB-87", {"freed_by": seen.routine}
    if seen.access_after_free_ok is not None:
        yield "CB-80", {"held_after_free": seen.held_after_free or 0, "access_after_free_ok": seen.access_after_free_ok}
    if seen.irql is not None:
        yield "CB-10", {"irql": seen.irql}


def _facts(seen: Observation, history: _History) -> Iterator[Case]:
    if seen.kind == "free":
        yield from _facts_of_free(seen, history)
    elif seen.kind == "unload":
        yield "CB-84", {"live_at_unload": len(history.live)}
    elif seen.null:
        yield from _facts_of_null(seen)
    else:
        yield from _facts_of_buffer(seen, history)
        history.add(seen)


def _verdict(clause: Clause, facts: Mapping[str, Fact], seen: Observation) -> Verdict:
    if seen.origin == LINUX and not clause.linux:
        return Verdict(Kind.NOT_APPLICABLE, f"{clause.id} is a promise of Windows alone")
    if clause.question in seen.departs:
        return Verdict(
            Kind.NOT_APPLICABLE, f"{clause.id} follows from {clause.question}, which this system answers otherwise"
        )
    verdict = clause.check(_known(facts))
    if verdict.missing:
        needed = _TOLD_BY.get(verdict.missing, verdict.missing)
        return Verdict(Kind.UNKNOWN, f"{clause.id} needs the fact {needed}", needed)
    return verdict


def check(observations: Iterable[Observation]) -> list[Judgement]:
    """Judge observations in their order; overlaps, leaks and double frees are seen across them."""
    history = _History()
    judged = []
    for seen in sorted(observations, key=lambda one: one.order):
        for number, facts in _facts(seen, history):
            judged.append(Judgement(number, seen.order, _verdict(CLAUSES[number], facts, seen)))
    return judged


def violations(judged: Sequence[Judgement]) -> list[Judgement]:
    """Only what is violated."""
    return [one for one in judged if one.verdict.kind is Kind.VIOLATED]


def unjudged(judged: Sequence[Judgement]) -> dict[str, str]:
    """Clauses that could not be judged anywhere, by number, with the fact that they lack."""
    lacking = {one.clause: one.verdict.missing for one in judged if one.verdict.kind is Kind.UNKNOWN}
    told = {one.clause for one in judged if one.verdict.kind in (Kind.HOLDS, Kind.VIOLATED)}
    return {number: lacking[number] for number in CLAUSES if number in lacking and number not in told}


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
