# SPDX-License-Identifier: Apache-2.0
"""Progress for people: bars on a terminal, one line per event elsewhere, nothing by default."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichBars

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


class Bars:
    """Bars on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)

    def note(self, text: str) -> None:
        """Write the line above the bars."""
        self._console.print(text, markup=False)

    @contextmanager
    def task(self, label: str) -> Iterator[Task]:
        """Show a spinner, and a bar once a total is known."""
        bars = RichBars(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[size]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
        with bars:
            yield _Bar(bars, label)


class _Bar:
    """One rich bar as a `Task`."""

    def __init__(self, bars: RichBars, label: str) -> None:
        self._bars = bars
        self._id = bars.add_task(label, total=None, size="")

    def update(self, done: int, total: int) -> None:
        """Move the bar."""
        size = f"{done / MIB:.1f} of {total / MIB:.1f} MB"
        self._bars.update(self._id, completed=min(done, total), total=total, size=size)


def for_stream(stream: TextIO) -> Progress:
    """Bars when `stream` is a terminal, plain lines otherwise."""
    return Bars(stream) if stream.isatty() else Lines(stream)
