# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md with its plots, made from the figures of one run and from nothing else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from plx9x5x.lab.bench import plot, words
from plx9x5x.lab.bench.figures import Curve, Part, Results

NAME: Final = "benchmarks"
"""Of every file: NAME.md, NAME.json, NAME-*.svg."""

_HEAD: Final = """\
# Benchmarks

Made by `make bench ARGS=--write-docs`; do not edit. Every round's figure is in [benchmarks.json](benchmarks.json).

The times are those of the machine below; another one has others. **Ratios count**: ours and its peer were measured in
the same run, in rounds that alternate, and a ratio is the median of the rounds' own ratios. After ± stands half of the
width of the middle half of the rounds, as a part of the median. No test asserts a time.

The **C peer** (`device/plx9x5x/lab/bench/peer.c`) is a device in C on the same libvfio-user, with the registers, the
interrupt and the chains that a driver's transfer needs and nothing else: what the library allows. The **raw client**
(`client/` beside it) plays QEMU's part, so that the server alone differs.
"""
_RATIO_PLOTS: Final = ("socket", "dma", "guest")
_CURVES: Final[Mapping[str, str]] = {
    "chain": "A descriptor's time by the length of its chain",
    "mappings": "Guest memory in many pieces",
    "devices": "Servers that are all busy, on one core",
    "buffers": "A common buffer's time by how many others are live",
    "lists": "A page's time by the length of its scatter/gather list",
}


def write(results: Results, folder: Path) -> tuple[Path, ...]:
    """Write the page, its plots and its figures to `folder`; give the files.

    Groups that were not measured keep the figures that the folder has of them, if they are of the same machine.
    """
    old = folder / f"{NAME}.json"
    if old.exists():
        results = results.beside(Results.from_json(json.loads(old.read_text("utf-8"))))
    files = {**render(results), f"{NAME}.json": json.dumps(results.to_json(), indent=1) + "\n"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in files)


def render(results: Results) -> dict[str, str]:
    """The page and its plots, by file name."""
    plots = dict(_plots(results))
    lines = [_HEAD, "## The machine", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in {**results.machine, **results.options}.items()]
    for part in results.parts:
        shown = [f"![{part.title}]({name})" for name in plots if name.startswith(f"{NAME}-{part.group}")]
        left_out = [f"Left out: {line}" for line in part.left_out]
        for block in ([f"## {part.title}"], shown, _rows(part), _curves(part), left_out):
            lines += ["", *block] if block else []
    return {f"{NAME}.md": "\n".join(lines) + "\n", **plots}


def _plots(results: Results) -> Iterator[tuple[str, str]]:
    for part in results.parts:
        if part.group in _RATIO_PLOTS and any(row.ratio for row in part.rows):
            yield f"{NAME}-{part.group}.svg", plot.ratios(part.title, part.rows)
        families: dict[str, list[Curve]] = {}
        for curve in part.curves:
            families.setdefault(curve.family, []).append(curve)
        for family, curves in families.items():
            yield f"{NAME}-{part.group}-{family}.svg", plot.growth(_CURVES.get(family, family), curves)


def _rows(part: Part) -> list[str]:
    head = ["| " + " | ".join(words.HEADINGS) + " |", "|---|---:|---:|---|---:|---|"]
    return [*head, *("| " + " | ".join(words.cells(row)) + " |" for row in part.rows)] if part.rows else []


def _curves(part: Part) -> list[str]:
    lines = ["| one | by | time for one, by size | last / first |", "|---|---|---|---:|"]
    for curve in part.curves:
        points = ", ".join(f"{p.size}: {words.quantity(p.figure, curve.unit)}" for p in curve.points)
        name = f"{curve.name} [{curve.plane}]" if curve.plane else curve.name
        lines.append(f"| {name}: {curve.per} | {curve.grows} | {points} | {words.number(curve.growth)} |")
    return lines if part.curves else []
