# SPDX-License-Identifier: Apache-2.0
"""Progress for people: bars on a terminal, one line per event elsewhere, nothing by default."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

MIB = 1_000_000


class Task(Protocol):
    """One step that is under way."""

    def update(self, done: int, total: int) -> None:
        """Say how many bytes are done of how many."""
        ...


class Progress(Protocol):
    """Where a long operation tells what it does."""

    def note(self, text: str) -> None:
        """Tell one fact."""
        ...

    def task(self, label: str) -> AbstractContextManager[Task]:
        """Begin a step; it ends with the context."""
        ...


class Silent:
    """Tells nobody."""

    def note(self, text: str) -> None:
        """Drop the text."""

    def update(self, done: int, total: int) -> None:
        """Drop the figures."""

    @contextmanager
    def task(self, label: str) -> Iterator[Task]:  # noqa: ARG002 - the protocol's signature
        """Take a step without a word."""
        yield self


class _LineTask:
    """Remembers the last figures for the line that ends a step."""

    def __init__(self) -> None:
        self.total = 0

    def update(self, done: int, total: int) -> None:  # noqa: ARG002 - a log wants the end, not each step
        """Keep the total."""
        self.total = total


class Lines:
    """Plain lines on `stream`, for logs: a step has one line when it begins and one when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def note(self, text: str) -> None:
        """Write the line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    @contextmanager
    def task(self, label: str) -> Iterator[Task]:
        """Write `label ...` and, once it worked, how long it took."""
        self.note(f"{label} ...")
        started = time.monotonic()
        task = _LineTask()
        yield task
        size = f", {task.total / MIB:.1f} MB" if task.total else ""
        self.note(f"{label}: done in {time.monotonic() - started:.1f} s{size}")


def for_stream(stream: TextIO) -> Progress:
    """Bars when `stream` is a terminal, plain lines otherwise."""
    if not stream.isatty():
        return Lines(stream)
    from plx9x5x.lab.toolchain.bars import Bars  # noqa: PLC0415 - rich takes as long to import as all that `serve` needs

    return Bars(stream)
