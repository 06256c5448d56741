# SPDX-License-Identifier: Apache-2.0
"""Anybody's driver under the contract: its common buffers as QEMU recorded the kernel's calls, judged by nthal.

::

    serve --witness-log calls.jsonl -> read -> Calls -> judge        ContractVerdict
                                                '-----> differences  beside what a driver tells of itself (observed)

The calls of one load of the driver are one story, and its unload is the end: what it asked for is recognised by the
code that called. What the driver then does with its buffers is the rules' affair (plx9x5x.witness.rules).
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nthal.contract import Observation, check
from nthal.contract.observation import LINUX
from plx9x5x.lab.contract.guest import ContractVerdict
from plx9x5x.lab.contract.observed import PROBLEMS_MAX, Sightings
from plx9x5x.witness.ledger import DEFAULT_MASK
from plx9x5x.witness.memory import is_translated

PAGE: Final = 4096
MOST: Final = 1 << 20
"""Calls that are read: the file is bounded, and its lines are not short."""
_FRAMES_MAX: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Call:
    """One call: "alloc", with what came of it (`va` 0: nothing), or "free". `limit` is the mask at that time."""

    kind: str
    seq: int
    va: int
    la: int
    length: int
    physical: int = 0
    limit: int = DEFAULT_MASK


@dataclass(slots=True)
class Calls:
    """Those of one driver, load by load; `problems` are lines that could not be read."""

    loads: list[list[Call]] = field(default_factory=list)
    ended: list[bool] = field(default_factory=list)
    """By load: True if the driver was unloaded."""
    problems: list[str] = field(default_factory=list)

    @property
    def translated(self) -> bool:
        """True behind an IOMMU."""
        return any(
            is_translated(it.la, it.physical) for calls in self.loads for it in calls if it.kind == "alloc" and it.va
        )


def read(path: Path) -> Calls:
    """Read the file of `serve --witness-log`. Raises: OSError."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        return parse(lines)


def parse(lines: Iterable[str]) -> Calls:
    """Read its lines; what makes no sense is named in `problems`."""
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        if number > MOST:
            reader.problem(f"more than {MOST} calls: the rest is not looked at")
            break
        try:
            record = json.loads(line)
            reader.take(record)
        except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
            reader.problem(f"line {number} of the calls cannot be read: {line[:60].strip()!r}")
    return reader.calls


class _Reader:
    """Follows the modules, to know whose a call is."""

    def __init__(self) -> None:
        self.calls = Calls()
        self._of_module: dict[int, tuple[int, tuple[range, ...]]] = {}
        """By the kernel's address of a module: the number of its load, and where its text is."""
        self._held: dict[int, int] = {}
        """Whose load the allocation at a virtual address is."""
        self._limit = DEFAULT_MASK

    def problem(self, text: str) -> None:
        if len(self.calls.problems) < PROBLEMS_MAX:
            self.calls.problems.append(text)

    def take(self, record: Mapping[str, object]) -> None:
        match record["kind"]:
            case "module":
                self._module(record)
            case "mask" if not _n(record, "refused") and record["coherent"]:
                self._limit = _n(record, "mask")
            case "alloc" if not record["pool_page"]:
                self._alloc(record)
            case "free" if not record["pool_page"]:
                self._free(record)

    def _module(self, record: Mapping[str, object]) -> None:
        number = _n(record, "module")
        if record["gone"]:
            load, _ = self._of_module.pop(number, (None, ()))
            if load is not None:
                self.calls.ended[load] = True
            return
        core, init = _n(record, "core"), _n(record, "init")
        texts = range(core, core + _n(record, "core_size")), range(init, init + _n(record, "init_size"))
        self._of_module[number] = len(self.calls.loads), texts
        self.calls.loads.append([])
        self.calls.ended.append(False)

    def _load_of(self, pc: int) -> int | None:
        """Whose code a call is in: which load; None for somebody else's."""
        return next((load for load, texts in self._of_module.values() if any(pc in text for text in texts)), None)

    def _alloc(self, record: Mapping[str, object]) -> None:
        va = _n(record, "va")
        self._held.pop(va, None)  # whoever has it now
        load = self._load_of(_n(record, "pc"))
        if load is None:
            return  # somebody else's
        call = Call(
            "alloc",
            _n(record, "seq"),
            va,
            _n(record, "handle"),
            _n(record, "size"),
            _n(record, "physical"),
            self._limit,
        )
        self.calls.loads[load].append(call)
        if va:
            self._held[va] = load

    def _free(self, record: Mapping[str, object]) -> None:
        va = _n(record, "va")
        load = self._held.pop(va, None)
        if load is None:
            load = self._load_of(_n(record, "pc"))
        if load is not None and va:
            self.calls.loads[load].append(Call("free", _n(record, "seq"), va, _n(record, "handle"), _n(record, "size")))


def _n(record: Mapping[str, object], name: str) -> int:
    value = record[name]
    if not isinstance(value, int) or value < 0:
        raise ValueError(name)
    return value


def judge(calls: Calls) -> ContractVerdict | None:
    """Judge what was recorded; None if the driver asked for no common buffer."""
    stories = [
        tuple(_observations(load, translated=calls.translated, ended=ended))
        for load, ended in zip(calls.loads, calls.ended, strict=True)
        if load
    ]
    if not stories and not calls.problems:
        return None
    seen = Sightings(problems=list(calls.problems), translated=calls.translated, began=True, ended=True)
    judged = tuple(one for story in stories for one in check(story))
    return ContractVerdict(seen, tuple(one for story in stories for one in story), judged)


def _observations(load: list[Call], *, translated: bool, ended: bool) -> Iterator[Observation]:
    for call in load:
        if call.kind == "free":
            yield Observation(call.seq, kind="free", origin=LINUX, length=call.length, va=call.va, la=call.la)
        elif not call.va:
            yield Observation(call.seq, origin=LINUX, length=call.length, page_size=PAGE, limit=call.limit, null=True)
        else:
            yield Observation(
                call.seq,
                origin=LINUX,
                length=call.length,
                page_size=PAGE,
                limit=call.limit,
                va=call.va,
                la=call.la,
                pages=None if translated else _frames(call),
                translated=translated,
            )
    if ended:
        yield Observation(load[-1].seq + 1, kind="unload", origin=LINUX)


def _frames(call: Call) -> tuple[int, ...] | None:
    """The page frames behind a buffer, which follow each other where nothing translates."""
    count = -(-call.length // PAGE)
    first = call.physical // PAGE
    return tuple(range(first, first + count)) if call.physical and 0 < count <= _FRAMES_MAX else None


def differences(seen: Sightings, calls: Calls) -> tuple[str, ...]:
    """What a driver tells of its own buffers and the kernel's calls do not show, and the other way round, in words.

    Lengths are compared by pages: a shim may ask for whole ones.
    """
    told = Counter(("alloc", it.va, it.la, _pages(it.length)) for it in seen.buffers.values())
    la_of = {it.order: (it.la, it.length) for it in seen.buffers.values()}
    told += Counter(("free", it.va, *_freed(la_of.get(it.of), it.la, it.length)) for it in seen.frees)
    made = Counter((it.kind, it.va, it.la, _pages(it.length)) for load in calls.loads for it in load if it.va)
    lines = [f"the driver tells of it, no call shows it: {_words(one)}" for one in (told - made).elements()]
    lines += [f"a call shows it, the driver does not tell of it: {_words(one)}" for one in (made - told).elements()]
    return tuple(lines[:PROBLEMS_MAX])


def _freed(made: tuple[int, int] | None, la: int, length: int) -> tuple[int, int]:
    la, length = made if made is not None else (la, length)
    return la, _pages(length)


def _pages(length: int) -> int:
    return -(-length // PAGE)


def _words(one: tuple[str, int, int, int]) -> str:
    kind, va, la, pages = one
    return f"{kind} of {pages} pages at {va:#x}, logical {la:#x}"
