# SPDX-License-Identifier: Apache-2.0
"""Volume: mutants of a kept corpus, by several processes, each with its books: time, memory, descriptors.

A worker keeps the input that it plays in a file that outlives it, so that one which crashes it or never ends is found.
All is decided by the seed: worker, series and input have random numbers of their own.
"""

import contextlib
import ctypes
import gc
import hashlib
import itertools
import mmap
import multiprocessing
import os
import random
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.fuzz.corpus import Kind
from tests.fuzz.target import Target, nothing_unraisable

SERIES = 200
"""Inputs in one world, before the next is made."""
HANGS_S = 60
"""A worker that plays one input for longer hangs."""
EARLY = 0.2
"""Which share of a run is warm-up: growth counts from then on."""
GROWTH = 16 << 20
"""Bytes that a worker may grow by after that: the largest answers so far, in pieces, not a leak of every input."""
_HEAD = struct.Struct("<QI32s")
_ROOM = 1 << 16


@dataclass
class Books:
    """What one worker, or all of them, did."""

    count: int = 0
    inputs: int = 0
    seconds: float = 0.0
    slowest_ns: int = 0
    rss: tuple[int, int, int] = (0, 0, 0)
    """Resident bytes: at the start, after the warm-up, at the end."""
    fds: tuple[int, int, int] = (0, 0, 0)
    """Open descriptors, likewise."""


@dataclass
class Failure:
    """What was found, and how to see it again."""

    kind: str
    world: str
    data: bytes
    why: str
    where: str
    """Seed, worker, series and input."""

    def write(self, folder: Path) -> Path:
        """Keep the input in a file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.kind}-{hashlib.sha256(self.data).hexdigest()[:12]}.bin"
        path.write_bytes(self.data)
        return path


@dataclass(frozen=True)
class Bounds:
    """How much is played: whichever comes first."""

    count: int | None = None
    seconds: float | None = None

    def share(self, count: int, began: float) -> float:
        """How much of it is done, 1 at the end."""
        done = [0.0]
        if self.count is not None:
            done.append(count / self.count)
        if self.seconds is not None:
            done.append((time.monotonic() - began) / self.seconds)
        return max(done)


@dataclass
class _Place:
    """A worker, and where it notes what it plays: shared with its parent, who outlives it."""

    kind: Kind
    where: str
    file: mmap.mmap
    pipe: Connection
    process: multiprocessing.process.BaseProcess
    inputs: int = 0
    seen: float = 0.0
    """When the count of inputs last changed."""
    books: Books | None = None
    failure: Failure | None = None


def _note(file: mmap.mmap, inputs: int, world: str, data: bytes) -> None:
    file[: _HEAD.size + len(data)] = _HEAD.pack(inputs, len(data), world.encode()) + data


def _noted(file: mmap.mmap) -> tuple[int, str, bytes]:
    inputs, length, world = _HEAD.unpack_from(file)
    return inputs, world.rstrip(b"\0").decode(), file[_HEAD.size : _HEAD.size + length]


def fuzz(
    kinds: Sequence[Kind], bounds: Bounds, *, jobs: int, seed: int, worlds: tuple[str, ...] = ()
) -> list[tuple[Kind, Books, Failure | None]]:
    """Play mutants side by side until the bounds are reached for each kind, or something is found in any."""
    places = [
        _start(kind, bounds, jobs, seed, number, worlds or kind.worlds) for kind in kinds for number in range(jobs)
    ]
    try:
        while any(place.books is None for place in places):
            for place in places:
                _watch(place)
            if any(place.failure is not None for place in places):
                break
    finally:
        for place in places:
            if place.books is None:
                place.process.kill()
            place.process.join()
            place.pipe.close()
            place.file.close()
    found = []
    for kind in kinds:
        own = [place for place in places if place.kind is kind]
        failure = next((place.failure for place in own if place.failure is not None), None)
        found.append((kind, _all([place.books for place in own if place.books is not None]), failure))
    return found


def _start(kind: Kind, bounds: Bounds, jobs: int, seed: int, number: int, worlds: tuple[str, ...]) -> _Place:
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryFile() as file:
        file.truncate(_ROOM)
        noted = mmap.mmap(file.fileno(), _ROOM)
    ours, theirs = context.Pipe(duplex=False)
    share = None if bounds.count is None else -(-bounds.count // jobs)
    process = context.Process(
        target=_work, args=(kind, Bounds(share, bounds.seconds), seed, number, worlds, noted, theirs)
    )
    process.start()
    theirs.close()
    return _Place(kind, f"seed {seed}, worker {number}", noted, ours, process)


def _watch(place: _Place) -> None:
    """Take what a worker says, or find out that it will say no more."""
    if place.books is not None or place.failure is not None:
        return
    inputs, why = _noted(place.file)[0], None
    if place.pipe.poll(0.1):
        try:
            said = place.pipe.recv()
        except EOFError:
            place.process.join()
            code = place.process.exitcode or 0
            why = f"the process died: {signal.Signals(-code).name if code < 0 else code}"
        else:
            if isinstance(said, Failure):
                place.failure = said
            else:
                place.books = said
    elif inputs != place.inputs:
        place.inputs, place.seen = inputs, time.monotonic()
    elif place.seen and time.monotonic() - place.seen > HANGS_S:
        why = f"it hangs: one input takes more than {HANGS_S} s"
    if why is not None:
        inputs, world, data = _noted(place.file)
        place.failure = Failure(place.kind.name, world, data, why, f"{place.where}, input {inputs} in all")


def _work(
    kind: Kind, bounds: Bounds, seed: int, worker: int, worlds: tuple[str, ...], noted: mmap.mmap, pipe: Connection
) -> None:  # fmt: skip
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    corpus, books, began = kind.corpus(), Books(), time.monotonic()
    parent = os.getppid()
    start = early = _held()
    try:
        for series in itertools.count():
            done = bounds.share(books.count, began)
            if done < EARLY or series <= len(worlds):
                early = _held()
            if done >= 1 or os.getppid() != parent:
                break
            rng = random.Random(f"{seed}/{worker}/{series}")
            where = f"seed {seed}, worker {worker}, series {series}"
            # Each world once, briefly: whatever is loaded late is there when growth begins to count.
            first = series < len(worlds)
            world = worlds[series] if first else rng.choice(worlds)
            _series(kind, world, rng, corpus, noted, books, bounds, began, where, 10 if first else SERIES)
    except _Stopped as stopped:
        pipe.send(stopped.failure)
        return
    books.seconds = time.monotonic() - began
    end = _held()
    books.rss, books.fds = (start[0], early[0], end[0]), (start[1], early[1], end[1])
    if end[0] > early[0] + GROWTH or end[1] != early[1]:
        why = f"not flat: {early[0] >> 10} KiB and {early[1]} descriptors became {end[0] >> 10} KiB and {end[1]}"
        pipe.send(Failure(kind.name, "", b"", why, f"seed {seed}, worker {worker}"))
        return
    pipe.send(books)


class _Stopped(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self.failure = failure


def _series(
    kind: Kind, world: str, rng: random.Random, corpus: list[bytes], noted: mmap.mmap, books: Books, bounds: Bounds, began: float,
    where: str, inputs: int,
) -> None:  # fmt: skip
    with opened(kind, world) as target:
        for number in range(inputs):
            if bounds.share(books.count + target.meter.count, began) >= 1:
                break
            data = kind.mutate(rng, rng.choice(corpus), rng.choice(corpus))
            books.inputs += 1
            _note(noted, books.inputs, world, data)
            try:
                with nothing_unraisable():
                    target.play(data)
            except Exception:  # noqa: BLE001 - any of them is what we look for
                raise _Stopped(
                    Failure(kind.name, world, data, traceback.format_exc(), f"{where}, input {number}")
                ) from None
        books.count += target.meter.count
        books.slowest_ns = max(books.slowest_ns, target.meter.slowest_ns)


@contextmanager
def opened(kind: Kind, world: str) -> Iterator[Target]:
    """Make a world, and let go of it."""
    target = kind.make(world)
    try:
        yield target
    finally:
        target.close()


def _held() -> tuple[int, int]:
    """Resident bytes and open descriptors."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # glibc's: what is free goes back
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path("/proc/self/fd").iterdir()))


def _all(books: list[Books]) -> Books:
    if not books:
        return Books()
    return Books(
        sum(one.count for one in books), sum(one.inputs for one in books), max(one.seconds for one in books),
        max(one.slowest_ns for one in books), *(tuple(map(sum, zip(*figures, strict=True))) for figures in ([one.rss for one in books], [one.fds for one in books])),
    )  # fmt: skip
