# SPDX-License-Identifier: Apache-2.0
"""Progress as bars on a terminal. By itself, because only a terminal needs rich."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichBars

from plx9x5x.lab.toolchain.progress import MIB, Task


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
