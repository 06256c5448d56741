# SPDX-License-Identifier: Apache-2.0
"""What a guest says of its common buffers, as values: one for each request its driver's shim was given.

The lines are those of guest-tests/user/observe.c. Nothing in them is trusted: what cannot be read, a number that is
missing, a buffer that nobody allocated is named in `Sightings.problems`. Lengths and offsets in bytes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nthal.contract import Access
from plx9x5x.lab.report.ktap import Report

PROBLEMS_MAX: Final = 20
_RUN: Final = re.compile(r"(0x[0-9a-f]{1,16})\+(\d{1,7})")
_NUMBER: Final = re.compile(r"0x[0-9a-f]{1,16}|\d{1,20}")
_FRAMES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Moved:
    """Bytes that the device moved: the chip was programmed with bus address `address`, `wrong` of them were wrong."""

    address: int
    length: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Streaming:
    """A streaming mapping: memory at `physical` that the device was given as `la`. No common buffer, so no request."""

    case: str
    length: int
    physical: int
    la: int


@dataclass(slots=True)
class Buffer:
    """One allocation. `la` is its mapping's address, `given` what the shim told its caller that to be.

    `limit` is the highest address of the device, `usable` the bytes that the shim lets its caller touch; `case` is the
    test that asked for it. `past` is True if the byte after the last was given too; `gone_cpu` and `gone_device` tell
    whether either side still reached it after the free. None: not tried.
    """

    order: int
    case: str
    length: int
    limit: int
    va: int
    la: int
    given: int
    usable: int
    pages: int
    zeroed: bool
    cached: bool
    frames: list[int] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    access: list[Access] = field(default_factory=list)
    past: bool | None = None
    gone_cpu: bool | None = None
    gone_device: bool | None = None

    @property
    def reached_after_free(self) -> bool | None:
        """Whether anybody still got at it."""
        tried = [who for who in (self.gone_cpu, self.gone_device) if who is not None]
        return any(tried) if tried else None


@dataclass(frozen=True, slots=True)
class Null:
    """A request that was given no buffer; `held` are pages that it kept all the same."""

    order: int
    case: str
    length: int
    limit: int
    held: int
    cached: bool


@dataclass(frozen=True, slots=True)
class Free:
    """A request to free, with its arguments; `of` is the allocation that its virtual address names, 0 if none."""

    order: int
    case: str
    of: int
    length: int
    va: int
    la: int
    refused: bool
    cached: bool


@dataclass(slots=True)
class Sightings:
    """All that one run told. `began` and `ended` are False if the guest never said so."""

    requests: list[Buffer | Null | Free] = field(default_factory=list)
    streaming: list[Streaming] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    translated: bool = False
    page_size: int = 4096
    seed: int | None = None
    began: bool = False
    ended: bool = False

    @property
    def buffers(self) -> dict[int, Buffer]:
        """Allocations by their number."""
        return {request.order: request for request in self.requests if isinstance(request, Buffer)}

    @property
    def nulls(self) -> list[Null]:
        """Requests without a buffer."""
        return [request for request in self.requests if isinstance(request, Null)]

    @property
    def frees(self) -> list[Free]:
        """Frees that the shim took."""
        return [request for request in self.requests if isinstance(request, Free) and not request.refused]

    @property
    def refused(self) -> list[Free]:
        """Frees that it did not take, asked for by tests that do wrong on purpose."""
        return [request for request in self.requests if isinstance(request, Free) and request.refused]


class _BadLine(ValueError):
    """A line that cannot be read."""


class _Fields:
    """The NAME=VALUE words of a line."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words

    def text(self, name: str) -> str:
        try:
            return self._words[name]
        except KeyError:
            raise _BadLine(f"no {name}") from None

    def n(self, name: str) -> int:
        text = self.text(name)
        if not _NUMBER.fullmatch(text):
            raise _BadLine(f"{name} is no number")
        return int(text, 0)

    def yes(self, name: str) -> bool:
        return self.n(name) != 0

    def maybe(self, name: str) -> bool | None:
        return self.yes(name) if name in self._words else None


def read(report: Report) -> Sightings:
    """Read what `report` holds."""
    reader = _Reader()
    for case in report.cases:
        for line in case.observed:
            reader.take(line, case.name)
    for line in report.trailing_observed:
        reader.take(line, "(after the last case)")
    return reader.finish(complete=report.started and not report.problems)


class _Reader:
    """Lines about a buffer may come before the line that announces it: its allocation is told after its case."""

    def __init__(self) -> None:
        self._seen = Sightings()
        self._by_order: dict[int, Buffer | Null | Free] = {}
        self._about: list[tuple[_Fields, Callable[[Buffer, _Fields], None], str]] = []
        self._last: int | None = None
        self._unheard = 0

    def take(self, line: str, case: str) -> None:
        kind, *words = line.split()
        fields = _Fields(dict(word.split("=", 1) for word in words if "=" in word))
        try:
            self._take(kind, fields, case)
        except _BadLine as exc:
            self._problem(f"cannot read 'observed {line[:80]}': {exc}")

    def _take(self, kind: str, f: _Fields, case: str) -> None:
        seen = self._seen
        match kind:
            case "begin":
                seen.began = True
                seen.translated, seen.page_size = f.yes("translated"), f.n("page")
            case "end":
                seen.ended, self._last = True, f.n("order")
            case "seed":
                seen.seed = f.n("value")
            case "alloc":
                self._request(_buffer(f, case))
            case "null":
                self._request(
                    Null(f.n("order"), case, f.n("length"), f.n("limit"), f.n("held"), cached=f.yes("cached"))
                )
            case "free":
                self._request(_free(f, case))
            case "streaming":
                seen.streaming.append(Streaming(case, f.n("length"), f.n("physical"), f.n("la")))
            case _ if kind in _ABOUT:
                self._about.append((f, _ABOUT[kind], kind))
            case _:
                raise _BadLine("unknown")

    def _request(self, request: Buffer | Null | Free) -> None:
        if request.order in self._by_order:
            raise _BadLine(f"number {request.order} comes twice")
        self._by_order[request.order] = request

    def _problem(self, text: str) -> None:
        if len(self._seen.problems) < PROBLEMS_MAX:
            self._seen.problems.append(text)
        else:
            self._unheard += 1

    def finish(self, *, complete: bool) -> Sightings:
        seen = self._seen
        for f, put, kind in self._about:
            try:
                order = f.n("order")
                if isinstance(buffer := self._by_order.get(order), Buffer):
                    put(buffer, f)
                else:
                    self._problem(f"'observed {kind}' is about request {order}, which gave no buffer")
            except _BadLine as exc:
                self._problem(f"cannot read a line 'observed {kind}': {exc}")
        seen.requests = [self._by_order[order] for order in sorted(self._by_order)]
        if complete and seen.began and not seen.ended:
            self._problem("the guest did not tell of its common buffers to the end")
        for request in seen.requests:
            if isinstance(request, Buffer) and len(request.frames) != request.pages:
                self._problem(f"request {request.order}: {request.pages} pages, {len(request.frames)} page frames")
        last = self._last if self._last is not None else max(self._by_order, default=0)
        if missing := last - sum(order <= last for order in self._by_order):
            self._problem(f"{missing} of {last} requests for common buffers were not told")
        if self._unheard:
            seen.problems.append(f"{self._unheard} more of these")
        return seen


def _buffer(f: _Fields, case: str) -> Buffer:
    return Buffer(
        f.n("order"),
        case,
        f.n("length"),
        f.n("limit"),
        f.n("va"),
        f.n("la"),
        f.n("given"),
        f.n("usable"),
        f.n("pages"),
        zeroed=f.yes("zeroed"),
        cached=f.yes("cached"),
    )


def _free(f: _Fields, case: str) -> Free:
    return Free(
        f.n("order"),
        case,
        f.n("of"),
        f.n("length"),
        f.n("va"),
        f.n("la"),
        refused=f.yes("refused"),
        cached=f.yes("cached"),
    )


def _runs(text: str) -> Iterator[int]:
    for run in text.split(","):
        if not (match := _RUN.fullmatch(run)):
            raise _BadLine(f"{run[:40]!r} is no run of page frames")
        first, count = int(match[1], 16), int(match[2])
        yield from range(first, first + count)


def _put_frames(buffer: Buffer, f: _Fields) -> None:
    for frame in _runs(f.text("run")):
        if len(buffer.frames) >= _FRAMES_MAX:
            raise _BadLine("too many page frames")
        buffer.frames.append(frame)


def _put_moved(buffer: Buffer, f: _Fields) -> None:
    buffer.moved.append(Moved(f.n("address"), f.n("bytes"), f.n("wrong")))


def _put_byte(buffer: Buffer, f: _Fields) -> None:
    buffer.access.append(Access(f.n("offset"), f.n("cpu"), f.n("device")))


def _put_past(buffer: Buffer, f: _Fields) -> None:
    buffer.past = f.yes("cpu")


def _put_gone(buffer: Buffer, f: _Fields) -> None:
    buffer.gone_cpu, buffer.gone_device = f.yes("cpu"), f.maybe("device")


_ABOUT: Final[Mapping[str, Callable[[Buffer, _Fields], None]]] = {
    "frames": _put_frames,
    "dma": _put_moved,
    "byte": _put_byte,
    "past": _put_past,
    "gone": _put_gone,
}
