# SPDX-License-Identifier: Apache-2.0
"""Figures as text, the same on the terminal and in the page."""

from plx9x5x.lab.bench.figures import Figure, Row

HEADINGS = ("what", "ours", "peer", "the peer is", "ours / peer", "")


def number(value: float) -> str:
    """Three digits that count, or all before the point."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(figure: Figure) -> str:
    """How wide the middle half of the rounds is, beside the median; nothing for one round."""
    return f" ±{figure.spread * 50:.0f}%" if len(figure.values) > 1 else ""


def quantity(figure: Figure | None, unit: str) -> str:
    """Median, unit, spread."""
    return "" if figure is None else f"{number(figure.median)} {unit}{spread(figure)}".strip()


def cells(row: Row) -> tuple[str, ...]:
    """One line of a table, by HEADINGS."""
    ratio = row.ratio
    name = f"{row.name} [{row.plane}]" if row.plane else row.name
    return (
        name,
        quantity(row.ours, row.unit),
        quantity(row.peer, row.unit),
        row.peer_name,
        "" if ratio is None else f"{number(ratio.median)}{spread(ratio)}",
        row.note,
    )
