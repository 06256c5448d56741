# SPDX-License-Identifier: Apache-2.0
"""Figures as SVG: ratios as dots on a logarithmic line, growth as lines between logarithmic axes.

Written by hand so that the same figures always give the same text, which can be committed and compared.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from plx9x5x.lab.bench import words
from plx9x5x.lab.bench.figures import Curve, Row

WIDTH: Final = 820
_ROW: Final = 24
_LEFT: Final = 440
_RIGHT: Final = 110
_TOP: Final = 44
_COLOURS: Final = ("#1f5fa8", "#b8501a", "#2f7d4f", "#7a3f9d")
_INK: Final = "#222222"
_GRID: Final = "#dddddd"
_STEPS: Final = ((12.0, (1, 2, 3, 4, 5, 6, 8)), (300.0, (1, 2, 5)), (math.inf, (1,)))
_DECADES: Final = 30.0
_LABEL: Final = 30
"""Two lines of text."""


def ratios(title: str, rows: Sequence[Row]) -> str:
    """Rows with a ratio, a dot each and a bar for the middle half of the rounds; the line at 1 is the peer."""
    found = [(row, ratio) for row in rows if (ratio := row.ratio) is not None and ratio.median > 0]
    ends = [value for _, ratio in found for value in (*ratio.quartiles, ratio.median)]
    low, high = min([*ends, 1.0]) / 1.2, max([*ends, 1.0]) * 1.2
    x = _axis(low, high, _LEFT, WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(found)
    parts = [_text(16, 24, title, size=15, weight="bold")]
    for tick in _ticks(low, high):
        parts.append(_line(x(tick), _TOP, x(tick), bottom, _INK if tick == 1 else _GRID))
        parts.append(_text(x(tick), bottom + 16, f"{tick:g}", anchor="middle", size=11))
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, bottom + 34, "ours / peer", anchor="middle", size=11))
    for number, (row, ratio) in enumerate(found):
        y = _TOP + _ROW * (number + 0.5)
        label = f"{words.cells(row)[0]} / {row.peer_name}"
        left, right = ratio.quartiles
        parts += [
            _text(_LEFT - 10, y + 4, label, anchor="end", size=12),
            _line(x(left), y, x(right), y, _COLOURS[0], width=3),
            f'<circle cx="{x(ratio.median):.1f}" cy="{y:.1f}" r="4.5" fill="{_COLOURS[0]}"/>',
            _text(WIDTH - _RIGHT + 12, y + 4, f"{words.number(ratio.median)}x", size=12),
        ]
    return _svg(parts, bottom + 46, title)


def growth(title: str, curves: Sequence[Curve]) -> str:
    """Curves over the same sizes: time for one piece of work, both axes logarithmic."""
    height, top, bottom, left, right = 360, 60, 310, 80, WIDTH - 290
    medians = [point.figure.median for curve in curves for point in curve.points]
    sizes = [point.size for curve in curves for point in curve.points]
    low, high = _at_least(_DECADES, min(medians) / 1.6, max(medians) * 1.6)
    x, y = _axis(min(sizes), max(sizes), left, right), _axis(low, high, bottom, top)
    unit = curves[0].unit
    parts = [_text(16, 24, title, size=15, weight="bold"), _text(16, 46, f"{unit} for one", size=11)]
    for tick in _ticks(low, high):
        parts.append(_line(left, y(tick), right, y(tick), _GRID))
        parts.append(_text(left - 8, y(tick) + 4, f"{tick:g}", anchor="end", size=11))
    for size in sorted(set(sizes)):
        parts.append(_line(x(size), top, x(size), bottom, _GRID))
        parts.append(_text(x(size), bottom + 18, f"{size:,}".replace(",", " "), anchor="middle", size=11))
    parts.append(_text((left + right) / 2, bottom + 40, curves[0].grows, anchor="middle", size=12))
    labels = _apart([y(curve.points[-1].figure.median) for curve in curves])
    for curve, colour, label in zip(curves, _COLOURS, labels, strict=False):
        at = [(x(point.size), y(point.figure.median)) for point in curve.points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in at)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{colour}"/>' for px, py in at]
        name = f"{curve.name} [{curve.plane}]" if curve.plane else curve.name
        parts.append(_text(right + 10, label - 3, name, size=12, colour=colour))
        says = f"{curve.per}: x{words.number(curve.growth)}"
        parts.append(_text(right + 10, label + 11, says, size=11, colour=colour))
    return _svg(parts, height, title)


def _at_least(reach: float, low: float, high: float) -> tuple[float, float]:
    """The range, widened to `reach` times its start, so that a line that is all but level looks so."""
    middle, half = math.sqrt(low * high), math.sqrt(max(reach, high / low))
    return middle / half, middle * half


def _apart(places: Sequence[float]) -> list[float]:
    """The same places, each at least a label below the one above it."""
    moved = list(places)
    lowest = -math.inf
    for number in sorted(range(len(moved)), key=lambda number: moved[number]):
        moved[number] = lowest = max(moved[number], lowest + _LABEL)
    return moved


def _axis(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Where a value lies between `start` and `end`, by its logarithm."""
    wide = math.log(high / low) or 1.0

    def place(value: float) -> float:
        return start + (end - start) * math.log(max(value, low) / low) / wide

    return place


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers in the range, the more of each decade the fewer decades there are."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = next(steps for reach, steps in _STEPS if high / low < reach)
    return [tick for decade in decades for step in steps if low <= (tick := float(step * 10.0**decade)) <= high]


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", colour: str = _INK
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" role="img">'
    body = "\n".join(parts)
    return (
        f'{head}\n<title>{escape(title)}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
