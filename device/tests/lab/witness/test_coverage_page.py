# SPDX-License-Identifier: Apache-2.0
"""docs/coverage.md shows what the verdict has: its lines are made anew here, with the numbers that it names."""

import re
from pathlib import Path

import pytest

from plx9x5x.lab.witness.coverage import Function, Totals
from plx9x5x.lab.witness.covered import TABLE, Covered
from tests import pages

PAGE = pages.ROOT / "docs/coverage.md"
SHOWN = pages.fenced(PAGE, "text")
_TOTALS = re.compile(r"(\d+) % of (\d+) (?:lines|bytes), (\d+) of (\d+) functions(?:; never entered: (.*))?")
_FUNCTION = re.compile(r"(\w+) (?:\((\S+):(\d+)\)|\[(\w+)\])")
NONE = Totals(0, 0, 0, 0, ())


def totals(line: str) -> Totals:
    match = _TOTALS.search(line)
    assert match
    percent, lines, entered, functions = map(int, match.groups()[:4])
    never = tuple(
        Function(name, module, file, int(number or 0))
        for name, file, number, module in _FUNCTION.findall(match[5] or "")
    )
    return Totals(lines, -(-percent * lines // 100), functions, entered, never)


@pytest.mark.parametrize("text", SHOWN)
def test_the_verdict_has_those_lines(text: str) -> None:
    run, size, merged = NONE, NONE, None
    for line in text.splitlines():
        if line.startswith("coverage with the runs before: "):
            merged = totals(line)
        elif line.startswith("coverage, by the code"):
            size = totals(line)
        elif line != "coverage: cov.info":
            run = totals(line)
    said = Covered(Path("cov.info"), run, size, merged).lines()
    assert [line for line in said if line in text.splitlines()] == text.splitlines()


def test_the_page_names_the_table_and_the_fields() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"`{TABLE}`" in text
    named = re.search(r"`plx_try\(.*\)\.coverage`, with `(\w+)`, `(\w+)` and what was `(\w+)`", text)
    assert named
    covered = Covered(Path("cov.info"), NONE, NONE, NONE)
    assert isinstance(getattr(covered, named[1]), Totals)
    assert isinstance(getattr(covered, named[2]), Totals)
    assert getattr(NONE, named[3]) == ()
