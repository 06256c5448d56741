# SPDX-License-Identifier: Apache-2.0
"""The address spaces of a live machine as a drawing: where each buffer stands for driver, device and memory.

`lay_out` decides where everything goes and is what tests look at; `svg` only writes it down. A column is an address
space, low addresses on top and not to scale; a colour is a buffer; a band joins the same bytes in two spaces.

Units: SVG user units (pixels at scale 1).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nthal.platforms import Translation
from nthal.runs import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nthal.machine import Machine

COLUMN_WIDTH: Final = 196
COLUMN_GAP: Final = 76
MARGIN: Final = 24
HEAD: Final = 92
FOOT: Final = 30
BLOCK: Final = 38
"""Height of a one-page block: two lines of text."""
PER_PAGE: Final = 9
MOST_PAGES: Final = 8
"""A block grows no further, however many pages it has."""
TOUCHING: Final = 5
HOLE: Final = 22
TEXT: Final = 11
CHARACTER: Final = 0.62
"""Width of a character of the fixed font, in font sizes: a little more than fonts have."""

_COLOURS: Final = ("#3b6fb6", "#b5533c", "#4c8a57", "#8a5aa8", "#a8842c", "#2f8f96")


@dataclass(frozen=True, slots=True)
class Block:
    """A run of addresses in one column, with the lines of text in it."""

    column: int
    first: int
    pages: int
    colour: int
    lines: tuple[str, str]
    x: float = 0
    y: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A line of text; `x`, `y` is the left end of its baseline."""

    x: float
    y: float
    text: str
    size: int = TEXT
    bold: bool = False

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.x, self.y - self.size, self.x + len(self.text) * self.size * CHARACTER, self.y + self.size * 0.25


@dataclass(frozen=True, slots=True)
class Band:
    """Joins the right side of one block, from `top` to `bottom`, with the left side of another."""

    x1: float
    top1: float
    bottom1: float
    x2: float
    top2: float
    bottom2: float
    colour: int
    dashed: bool


@dataclass(slots=True)
class Drawing:
    """Everything that is drawn."""

    width: float
    height: float
    blocks: list[Block] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    holes: list[tuple[float, float]] = field(default_factory=list)
    """Middles of the gaps where addresses are left out."""


@dataclass(frozen=True, slots=True)
class Item:
    """One buffer or transfer, in pages of each space. `pieces` are its page-frame runs in order."""

    name: str
    text: str
    va_page: int
    va: int
    la_page: int
    la: int
    pieces: tuple[Run, ...]
    registers: Run | None
    copied_from: tuple[Run, ...] = ()

    @property
    def pages(self) -> int:
        """Pages in all."""
        return sum(run.count for run in self.pieces)


def _letters() -> Iterator[str]:
    yield from "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def items(machine: Machine) -> list[Item]:
    """Every live common buffer and packet mapping of the machine, in the order of their logical addresses."""
    size = machine.platform.page_size
    letters = _letters()
    found = []
    for buffer in machine.bus.buffers():
        text = f"{buffer.length} bytes"
        found.append(
            Item(
                next(letters), text, int(buffer.va) // size, int(buffer.va), int(buffer.la) // size, int(buffer.la),
                buffer.frames.runs, buffer.registers,
            )
        )  # fmt: skip
    for mapping, window in machine.bus.by_mapping.items():
        first = window.offset // size
        pages = (window.offset + window.length - 1) // size - first + 1
        shown = _runs(window.frames.frames()[first : first + pages])
        own = mapping.mdl.frames
        start = (mapping.va - mapping.mdl.start_va) // size
        source = _runs(own.frames()[start : start + pages]) if mapping.bounce is not None and own is not None else ()
        registers = None
        file = next((one for one in window.adapter.files if mapping in one.mappings), None)
        if file is not None and file.hardware is not None:
            registers = Run(file.hardware.start + mapping.first_register, mapping.registers)
        found.append(
            Item(
                next(letters), f"packet, {window.length} bytes", mapping.va // size, mapping.va, int(window.la) // size,
                int(window.la), shown, registers, source,
            )
        )  # fmt: skip
    return found


def _runs(frames: tuple[int, ...]) -> tuple[Run, ...]:
    runs: list[Run] = []
    for frame in frames:
        if runs and runs[-1].end == frame:
            runs[-1] = Run(runs[-1].start, runs[-1].count + 1)
        else:
            runs.append(Run(frame, 1))
    return tuple(runs)


def grouped(address: int) -> str:
    """Hexadecimal, in groups of four digits."""
    return f"{address:#_x}"


def _plural(count: int) -> str:
    return f"{count} page" if count == 1 else f"{count} pages"


_HEADS: Final = {
    "virtual": ("virtual", "what the driver uses"),
    "logical": ("logical", "what the device uses"),
    "registers": ("map registers", "one page each"),
    "physical": ("physical", "where the bytes are"),
}


_TRANSLATIONS: Final = {
    Translation.FLAT: "no translation",
    Translation.BOUNCE: "no translation; packets out of reach are copied",
    Translation.IOMMU: "translation by an IOMMU",
    Translation.OFFSET: "a bus at a constant distance",
    Translation.MAPREG: "translation by map registers",
}


class _Layout:
    """Columns by name, blocks by (column, item, index); then positions."""

    def __init__(self, machine: Machine) -> None:
        self.size = machine.platform.page_size
        self.items = items(machine)
        hardware = machine.platform.translation is Translation.MAPREG
        self.columns = ["virtual", "logical", *(["registers"] if hardware else []), "physical"]
        self.blocks: list[Block] = []
        self.of: dict[tuple[str, str], list[int]] = {}
        for colour, item in enumerate(self.items):
            self._add(item, colour)

    def _put(self, column: str, key: str, first: int, pages: int, colour: int, lines: tuple[str, str]) -> None:
        if column in self.columns:
            self.of.setdefault((column, key), []).append(len(self.blocks))
            self.blocks.append(Block(self.columns.index(column), first, pages, colour, lines))

    def _add(self, item: Item, colour: int) -> None:
        count = _plural(item.pages)
        self._put(
            "virtual", item.name, item.va_page, item.pages, colour, (grouped(item.va), f"{item.name}: {item.text}")
        )
        self._put("logical", item.name, item.la_page, item.pages, colour, (grouped(item.la), f"{item.name}: {count}"))
        if item.registers is not None:
            first, last = item.registers.start, item.registers.end - 1
            which = f"register {first}" if first == last else f"registers {first} to {last}"
            self._put("registers", item.name, first, item.registers.count, colour, (which, item.name))
        note = " (bounce)" if item.copied_from else ""
        for kind, pieces, words in (("", item.pieces, note), ("source", item.copied_from, " (the program's)")):
            for run in pieces:
                lines = (grouped(run.start * self.size), f"{item.name}: {_plural(run.count)}{words}")
                self._put("physical", item.name + kind, run.start, run.count, colour, lines)

    def heights(self) -> list[float]:
        return [self._place(column) for column in range(len(self.columns))]

    def _place(self, column: int) -> float:
        """Stack a column's blocks; gives its height."""
        order = sorted((block.first, index) for index, block in enumerate(self.blocks) if block.column == column)
        y, last_end = 0.0, None
        for first, index in order:
            block = self.blocks[index]
            if last_end is not None:
                y += TOUCHING if first == last_end else HOLE
            height = BLOCK + PER_PAGE * (min(block.pages, MOST_PAGES) - 1)
            x = MARGIN + column * (COLUMN_WIDTH + COLUMN_GAP)
            self.blocks[index] = Block(
                block.column, block.first, block.pages, block.colour, block.lines, float(x), y, float(height)
            )
            y += height
            last_end = first + block.pages
        return y


def lay_out(machine: Machine) -> Drawing:
    """Decide where everything goes."""
    layout = _Layout(machine)
    heights = layout.heights()
    tallest = max(heights, default=0.0)
    width = 2 * MARGIN + len(layout.columns) * COLUMN_WIDTH + (len(layout.columns) - 1) * COLUMN_GAP
    drawing = Drawing(width, HEAD + tallest + FOOT)
    platform = machine.platform
    what = f"{platform.arch.value}, {_TRANSLATIONS[platform.translation]}"
    drawing.labels.append(Label(MARGIN, 26, what, 14, bold=True))
    for column, name in enumerate(layout.columns):
        x = MARGIN + column * (COLUMN_WIDTH + COLUMN_GAP)
        title, who = _HEADS[name]
        drawing.labels += [Label(x, 58, title, 13, bold=True), Label(x, 75, who)]
    for block in layout.blocks:
        down = HEAD + (tallest - heights[block.column]) / 2
        placed = Block(
            block.column, block.first, block.pages, block.colour, block.lines, block.x, block.y + down, block.height
        )
        drawing.blocks.append(placed)
        middle = placed.y + placed.height / 2
        drawing.labels += [
            Label(placed.x + 8, middle - 4, block.lines[0]),
            Label(placed.x + 8, middle + 12, block.lines[1]),
        ]
    _join(layout, drawing)
    _mark_holes(layout, drawing)
    foot = HEAD + tallest + FOOT - 10
    drawing.labels.append(Label(MARGIN, foot, "low addresses on top, not to scale; colour and letter: the same bytes"))
    return drawing


def _join(layout: _Layout, drawing: Drawing) -> None:
    """Draw the bands: one block against the pieces of the next column, page by page."""
    for item in layout.items:
        for left, right in itertools.pairwise(layout.columns):
            _bands(drawing, layout.of.get((left, item.name), []), layout.of.get((right, item.name), []))
        copies = layout.of.get(("physical", item.name + "source"), [])
        _bands(drawing, layout.of[("virtual", item.name)], copies, dashed=True)


def _bands(drawing: Drawing, left: list[int], right: list[int], *, dashed: bool = False) -> None:
    """Join the blocks of two columns that hold the same pages in the same order; the left ones are one block."""
    if len(left) != 1 or not right:
        return
    one = drawing.blocks[left[0]]
    share = one.height / sum(drawing.blocks[index].pages for index in right)
    top = one.y
    for index in right:
        other = drawing.blocks[index]
        bottom = top + share * other.pages
        drawing.bands.append(
            Band(one.x + COLUMN_WIDTH, top, bottom, other.x, other.y, other.y + other.height, one.colour, dashed)
        )
        top = bottom


def _mark_holes(layout: _Layout, drawing: Drawing) -> None:
    for column in range(len(layout.columns)):
        blocks = sorted((block for block in drawing.blocks if block.column == column), key=lambda block: block.y)
        for above, below in itertools.pairwise(blocks):
            if above.first + above.pages != below.first:
                drawing.holes.append((above.x + COLUMN_WIDTH / 2, (above.y + above.height + below.y) / 2))


def svg(drawing: Drawing) -> str:
    """Write the drawing down."""
    w, h = f"{drawing.width:g}", f"{drawing.height:g}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}"'
        ' font-family="monospace">',
        f'<rect width="{w}" height="{h}" fill="#ffffff"/>',
    ]
    for band in drawing.bands:
        bend = (band.x1 + band.x2) / 2
        path = (
            f"M{band.x1:g} {band.top1:g}C{bend:g} {band.top1:g} {bend:g} {band.top2:g} {band.x2:g} {band.top2:g}"
            f"L{band.x2:g} {band.bottom2:g}"
            f"C{bend:g} {band.bottom2:g} {bend:g} {band.bottom1:g} {band.x1:g} {band.bottom1:g}Z"
        )
        dash = ' stroke-dasharray="4 3" fill-opacity="0.04"' if band.dashed else ' fill-opacity="0.16"'
        colour = _COLOURS[band.colour % len(_COLOURS)]
        out.append(f'<path d="{path}" fill="{colour}" stroke="{colour}" stroke-opacity="0.4"{dash}/>')
    for block in drawing.blocks:
        colour = _COLOURS[block.colour % len(_COLOURS)]
        out.append(
            f'<rect x="{block.x:g}" y="{block.y:g}" width="{COLUMN_WIDTH}" height="{block.height:g}" rx="3"'
            f' fill="#ffffff" stroke="none"/><rect x="{block.x:g}" y="{block.y:g}" width="{COLUMN_WIDTH}"'
            f' height="{block.height:g}" rx="3" fill="{colour}" fill-opacity="0.22" stroke="{colour}"/>'
        )
    for x, y in drawing.holes:
        out += [f'<circle cx="{x:g}" cy="{y + step:g}" r="1.4" fill="#777777"/>' for step in (-6, 0, 6)]
    for label in drawing.labels:
        weight = ' font-weight="bold"' if label.bold else ""
        out.append(
            f'<text x="{label.x:g}" y="{label.y:g}" font-size="{label.size}"{weight} fill="#1a1a1a">{label.text}</text>'
        )
    return "\n".join([*out, "</svg>", ""])
