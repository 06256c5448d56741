# SPDX-License-Identifier: Apache-2.0
"""Figures as tables, plots and the page; the committed page is the one that its figures make."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from plx9x5x.lab.bench import page, plot, table, words
from plx9x5x.lab.bench.figures import Figure, Part, Results
from tests.lab.bench.samples import ALONE, LEVEL, RESULTS, ROW, STEEP

DOCS = Path(__file__).parents[4] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def circles(svg: str) -> list[tuple[float, float]]:
    return [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in ET.fromstring(svg).iter(f"{SVG}circle")]


@pytest.mark.parametrize(("value", "shown"), [(1234.5, "1234"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")])
def test_numbers_have_the_digits_that_count(value: float, shown: str) -> None:
    assert words.number(value) == shown


def test_a_quantity_says_median_unit_and_half_the_spread() -> None:
    assert words.quantity(Figure((1.0, 2.0, 3.0, 4.0, 100.0)), "us") == "3.00 us ±33%"
    assert words.quantity(Figure((9.0,)), "s") == "9.00 s"
    assert words.quantity(None, "s") == ""


def test_a_plot_of_ratios_has_a_dot_for_each_row_that_has_one() -> None:
    svg = plot.ratios("Title", (ROW, ALONE))
    assert len(circles(svg)) == 1
    assert "read <8> & more [python] / C peer" in texts(svg)
    assert "2.00x" in texts(svg)


def test_a_plot_of_growth_rises_with_the_time_and_goes_right_with_the_size() -> None:
    (x1, y1), (x2, y2) = circles(plot.growth("Title", (STEEP,)))
    assert x2 > x1
    assert y2 < y1
    assert any("x50.0" in text for text in texts(plot.growth("Title", (STEEP,))))


def test_labels_of_curves_that_end_at_one_place_do_not_overlap() -> None:
    svg = ET.fromstring(plot.growth("Title", (LEVEL, LEVEL, STEEP)))
    named = [float(t.attrib["y"]) for t in svg.iter(f"{SVG}text") if t.text in (LEVEL.name, STEEP.name)]
    assert len(named) == 3
    assert min(abs(a - b) for a in named for b in named if a is not b) >= 28


def test_a_plot_of_equal_figures_is_drawn_too() -> None:
    same = type(LEVEL)("c", "chain", "n", "one", "us", (type(LEVEL.points[0])(1, Figure((1.0,))),))
    assert len(circles(plot.growth("One point", (same,)))) == 1


def test_the_page_has_every_row_every_curve_every_plot_and_what_was_left_out() -> None:
    files = page.render(RESULTS)
    text = files[f"{page.NAME}.md"]
    assert set(re.findall(r"\]\((\S+\.svg)\)", text)) == files.keys() - {f"{page.NAME}.md"}
    assert len(files) == 4
    for piece in (ROW.name, ALONE.name, LEVEL.per, STEEP.per, "Left out: devices: no compiler", "one of ours"):
        assert piece in text


def test_the_terminal_shows_the_same() -> None:
    out = io.StringIO()
    for part in RESULTS.parts:
        for shown in table.tables(part):
            Console(file=out, width=150).print(shown)
    for piece in (ROW.name, "[python]", "2.00 ±", "left out: devices", "50.0"):
        assert piece in out.getvalue()


def test_a_part_that_gave_nothing_shows_why() -> None:
    (only,) = table.tables(Part("guest", "guest", left_out=("guest: no QEMU",)))
    assert str(only) == "left out: guest: no QEMU"


def test_the_page_keeps_the_groups_that_were_not_measured_again(tmp_path: Path) -> None:
    page.write(RESULTS, tmp_path)
    before = (tmp_path / f"{page.NAME}.json").read_text(encoding="utf-8")
    page.write(replace(RESULTS, parts=RESULTS.parts[1:]), tmp_path)
    assert (tmp_path / f"{page.NAME}.json").read_text(encoding="utf-8") == before


def test_the_committed_page_and_plots_are_what_their_figures_make(tmp_path: Path) -> None:
    results = Results.from_json(json.loads((DOCS / f"{page.NAME}.json").read_text(encoding="utf-8")))
    made = page.write(results, tmp_path)
    assert {path.name for path in made} == {path.name for path in DOCS.glob(f"{page.NAME}*")}
    for path in made:
        assert path.read_text(encoding="utf-8") == (DOCS / path.name).read_text(encoding="utf-8"), path.name
