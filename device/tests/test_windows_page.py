# SPDX-License-Identifier: Apache-2.0
"""docs/windows.md is followed to the letter, and what it says of nthal is so."""

import re
import sys
from pathlib import Path

import pytest

from nthal.contract import CLAUSES
from nthal.platforms import FIXTURES
from nthal.verifier import LISTED_ONLY
from nthal_c.prototypes import INCLUDE
from tests import pages

PAGE = pages.ROOT / "docs" / "windows.md"


@pytest.mark.parametrize("step", pages.steps(PAGE), ids=lambda step: step.commands.splitlines()[-1])
def test_commands_print_what_the_page_shows(step: pages.Step, tmp_path: Path) -> None:
    pages.write_files(PAGE, tmp_path)
    done = pages.shell(step.commands, tmp_path, {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == step.prints


def test_the_page_names_every_machine_once_in_its_table() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name.strip("`") for row in rows for name in row.split(", ")]
    assert sorted(named) == sorted(FIXTURES)


def test_the_page_counts_right_and_names_the_subcodes_that_cannot_arise() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"{len(CLAUSES)} clauses" in page
    codes = sorted(misuse.value.code or 0 for misuse in LISTED_ONLY)
    *some, last = (f"0x{code:02x}" for code in codes)
    assert f"Subcodes {', '.join(some)} and {last} are listed" in page


def test_the_page_names_every_header_that_a_driver_may_include() -> None:
    named = set(re.findall(r"`<(\w+\.h)>`", PAGE.read_text(encoding="utf-8")))
    assert named == {path.name for path in INCLUDE.glob("*.h")}
