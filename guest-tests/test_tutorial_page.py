# SPDX-License-Identifier: Apache-2.0
"""docs/tutorial.md is followed to the letter, in an empty folder; README's own example is run on the same driver."""

import re
from pathlib import Path

import pytest

from plx9x5x.lab.toolchain import build_module, load
from tests import pages

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

PAGE = pages.ROOT / "docs" / "tutorial.md"
README = pages.ROOT / "README.md"
BAD = re.compile(r"^bad \(exit (\d+)\): ", re.MULTILINE)
A_STORM = re.compile(r"^\d+ bytes right, \d+ interrupts$", re.MULTILINE)
"""How many interrupts a storm has, and whom it wakes, is chance."""
TOO_EARLY = re.compile(r"^finding: driver, likely\b.*\(dma-touched-early\)\n", re.MULTILINE)
"""Whom it wakes before the card is done reads what the card still writes."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's folder, with this checkout where the page clones one."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "plx9x5x").symlink_to(pages.ROOT)
    return folder


@pytest.fixture(scope="module")
def set_up(place: Path) -> str:
    """The line that is due in each terminal, once the page's set-up has run."""
    clone, *rest = pages.steps(PAGE)[0].commands.splitlines()
    assert clone.startswith("git clone ")
    done = pages.shell("\n".join(rest), place)
    assert done.returncode == 0, done.stderr
    assert rest[-1] == ". plx9x5x/.venv/bin/activate"
    return rest[-1]


def same(step: pages.Step, said: str) -> None:
    lasting = pages.lasting(said)
    printed = pages.lasting(step.prints or "")
    if "interrupt-not-acknowledged" in printed:
        lasting, printed = (TOO_EARLY.sub("", A_STORM.sub("A STORM", text)) for text in (lasting, printed))
    assert lasting == printed, step.commands


@pytest.fixture(scope="module")
def followed(place: Path, set_up: str) -> Path:
    """The folder once the whole page was followed, each block's output compared on the way."""
    pages.write_files(PAGE, place)
    for step in pages.steps(PAGE)[1:]:
        done = pages.shell(f"{set_up}\n{step.commands}", place)
        verdict = BAD.search(step.prints or "")
        assert done.returncode == (int(verdict[1]) if verdict else 0), step.commands + done.stdout + done.stderr
        if step.prints is not None:
            same(step, done.stdout)
    return place


def test_the_page_does_what_it_prints(followed: Path) -> None:
    assert (followed / "try.xml").is_file()


def test_what_the_command_takes_from_the_page_is_all_of_its_c(followed: Path) -> None:
    taken = (followed / "mydrv" / "mydrv.c").read_text(encoding="utf-8")
    assert taken == "".join(f"{text}\n" for text in pages.fenced(PAGE, "c"))
    assert taken.splitlines()[0] == "// SPDX-License-Identifier: GPL-2.0-only"


def test_the_driver_gives_no_warning_even_with_w_1(followed: Path, kernel: str) -> None:
    assert build_module(load(kernel=kernel), followed / "mydrv", name="mydrv").is_file()


def test_readme_prints_what_this_driver_gives(followed: Path, set_up: str) -> None:
    (example,) = [step for step in pages.steps(README) if step.commands.startswith("plx9x5x try ")]
    done = pages.shell(f"{set_up}\n{example.commands}", followed)
    assert done.returncode == 0, done.stderr
    same(example, done.stdout)
