# SPDX-License-Identifier: Apache-2.0
"""A part as tables for the terminal."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from plx9x5x.lab.bench import words
from plx9x5x.lab.bench.figures import Curve, Part

_RIGHT = (1, 2, 4)


def tables(part: Part) -> Iterator[Table | Text]:
    """Rows, then curves, then what was left out."""
    if part.rows:
        yield _rows(part)
    if part.curves:
        yield _curves(part)
    for line in part.left_out:
        yield Text(f"left out: {line}", style="yellow")


def _rows(part: Part) -> Table:
    table = Table(title=part.title, title_justify="left")
    for number, heading in enumerate(words.HEADINGS):
        table.add_column(heading, justify="right" if number in _RIGHT else "left")
    for row in part.rows:
        table.add_row(*map(Text, words.cells(row)))
    return table


def _curves(part: Part) -> Table:
    table = Table(title=f"{part.title}: the median of each size", title_justify="left")
    table.add_column("one of what grows")
    table.add_column("time for one, by size")
    table.add_column("last / first", justify="right")
    for curve in part.curves:
        table.add_row(_title(curve), Text(_points(curve)), words.number(curve.growth))
    return table


def _title(curve: Curve) -> Text:
    plane = f" [{curve.plane}]" if curve.plane else ""
    return Text(f"{curve.name}{plane}: {curve.per}\nby {curve.grows}")


def _points(curve: Curve) -> str:
    return "  ".join(f"{p.size}: {words.quantity(p.figure, curve.unit)}" for p in curve.points)
