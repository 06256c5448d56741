# SPDX-License-Identifier: Apache-2.0
"""A real guest's common buffers under the contract: nthal judges each that the guest's driver allocated or freed.

::

    plx_test -> "# observed alloc ..." -> ktap -> observed.read -> Observation -> nthal.contract.check
                                                                        '-> buffers.jsonl -> nthal check

The guest is a Linux one, so it is held to the clauses that dma_alloc_coherent promises too; `linux` has the
reasons for the others, and what Linux promises beyond. A free that the shim refused freed nothing: it is counted and
not judged, for the tests that ask for one do wrong on purpose.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Final

from nthal.contract import CLAUSES, Judgement, Kind, Observation, check, summary, violations
from nthal.contract.observation import LINUX
from plx9x5x.lab.contract import observed
from plx9x5x.lab.contract.observed import Buffer, Free, Null, Sightings
from plx9x5x.lab.report.ktap import Report

_DEVICE_GOT: Final = "CB-35"


@dataclass(frozen=True, slots=True)
class ContractVerdict:
    """The judgement on one run."""

    seen: Sightings
    observations: tuple[Observation, ...]
    judged: tuple[Judgement, ...]

    def of(self, clause: str) -> tuple[Judgement, ...]:
        """All judgements by one clause."""
        return tuple(one for one in self.judged if one.clause == clause)

    @property
    def broken(self) -> tuple[str, ...]:
        """Clauses that are violated, in their order."""
        found = {one.clause for one in violations(self.judged)}
        return tuple(number for number in CLAUSES if number in found)

    @property
    def holding(self) -> tuple[str, ...]:
        """Clauses that were tried and hold throughout."""
        found = {one.clause for one in self.judged if one.verdict.kind is Kind.HOLDS}
        return tuple(number for number in CLAUSES if number in found and number not in self.broken)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        return summary(self.observations, self.judged)

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each violated clause, with its words and the first request that broke it; then faults of ours."""
        broken = violations(self.judged)
        times = Counter(one.clause for one in broken)
        first = {one.clause: one for one in reversed(broken)}
        cases = {request.order: request.case for request in self.seen.requests}
        said = []
        for number in self.broken:
            one, text = first[number], CLAUSES[number].text
            facts = one.verdict.why.removesuffix(f"; {text}")
            more = f", and {times[number] - 1} times more" if times[number] > 1 else ""
            where = f"request {one.order} in {cases.get(one.order, 'the driver')}"
            said.append(f"common buffers: {number} is violated: {text} ({where}: {facts}{more})")
        return (*said, *(f"common buffers: {text}" for text in self.seen.problems))


def judge(report: Report) -> ContractVerdict | None:
    """Judge what a guest reported; None if it reported nothing of the kind."""
    seen = observed.read(report)
    if not (seen.began or seen.requests or seen.problems):
        return None
    observations = tuple(observations_of(seen))
    judged = (*check(observations), *_what_the_device_got(seen))
    return ContractVerdict(seen, observations, judged)


def json_lines(observations: Iterable[Observation]) -> str:
    """The observations as `nthal check` reads them."""
    return "".join(json.dumps(_told(one), separators=(",", ":")) + "\n" for one in observations)


def _told(one: Observation) -> dict[str, object]:
    """Without what is not known."""
    return {name: value for name, value in asdict(one).items() if value is not None and value != ()}


def observations_of(seen: Sightings) -> Iterator[Observation]:
    """What nthal takes: allocations, frees that freed, and the end of the driver's work."""
    buffers = seen.buffers
    first_free: set[int] = set()
    for request in seen.requests:
        match request:
            case Buffer():
                yield _allocation(request, seen)
            case Null():
                yield Observation(
                    request.order,
                    origin=LINUX,
                    length=request.length,
                    page_size=seen.page_size,
                    limit=request.limit,
                    null=True,
                    held_after_null=request.held,
                    cache_enabled=request.cached,
                )
            case Free(refused=False):
                yield _free(request, buffers.get(request.of), first=request.of not in first_free)
                first_free.add(request.of)
            case Free():
                pass
    if seen.ended:
        last = seen.requests[-1].order if seen.requests else 0
        yield Observation(last + 1, kind="unload", origin=LINUX)


def _allocation(buffer: Buffer, seen: Sightings) -> Observation:
    return Observation(
        buffer.order,
        origin=LINUX,
        length=buffer.length,
        page_size=seen.page_size,
        limit=buffer.limit,
        va=buffer.va,
        la=buffer.la,
        usable=max(buffer.usable, buffer.length + 1) if buffer.past else buffer.usable,
        pages=tuple(buffer.frames),
        translated=seen.translated,
        device_address=_programmed(buffer),
        access=tuple(buffer.access),
        cache_enabled=buffer.cached,
    )


def _programmed(buffer: Buffer) -> int | None:
    """What the chip was programmed with: the first address that is none of the buffer's, if there is one."""
    wrong = (moved.address for moved in buffer.moved if not buffer.la <= moved.address < buffer.la + buffer.length)
    return next(wrong, buffer.moved[0].address if buffer.moved else None)


def _free(free: Free, made: Buffer | None, *, first: bool) -> Observation:
    # The caller passes what it was given; where that is not the mapping's address, CB-36 is what is broken.
    la = made.la if made is not None and free.la == made.given else free.la
    return Observation(
        free.order,
        kind="free",
        origin=LINUX,
        length=free.length,
        va=free.va,
        la=la,
        access_after_free_ok=made.reached_after_free if made is not None and first else None,
        cache_enabled=free.cached,
    )


def _what_the_device_got(seen: Sightings) -> Iterator[Judgement]:
    """CB-35, of which nthal's observations hold no fact: whose address the chip was programmed with."""
    for buffer in seen.buffers.values():
        if (address := _programmed(buffer)) is not None:
            verdict = CLAUSES[_DEVICE_GOT].check(
                {"device_got": _whose(address, buffer, seen.page_size), "driver_uses": "virtual"}
            )
            yield Judgement(_DEVICE_GOT, buffer.order, verdict)


def _whose(address: int, buffer: Buffer, page_size: int) -> str:
    if buffer.la <= address < buffer.la + buffer.length:
        return "logical"
    if buffer.va <= address < buffer.va + buffer.length:
        return "virtual"
    return "physical" if address // page_size in buffer.frames else "another"
