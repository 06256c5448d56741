# SPDX-License-Identifier: Apache-2.0
"""README and the pages under docs/: links lead somewhere, README leads to each page, options that are named exist."""

import re
from pathlib import Path

import pytest

from plx9x5x.cli import main as main_module
from tests import pages

README = pages.ROOT / "README.md"
DOCS = sorted((pages.ROOT / "docs").glob("*.md"))
TOP = sorted(pages.ROOT.glob("*.md"))
VERBS = "board new|boards|config|decode|doctor|findings|regs|run|serve|toolchain|try"
COMMAND = re.compile(rf"(?:plx9x5x |`)({VERBS}) ((?:(?! -- | && )[^`|>#\n])*)")
"""A verb and its words, up to what is another program's."""


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link.partition("#")[0] for link in found if "://" not in link and not link.startswith("#")]


@pytest.mark.parametrize("page", [*TOP, *DOCS], ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_readme_is_short_and_leads_to_every_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 110
    assert {f"docs/{page.name}" for page in DOCS} <= set(links(README))


@pytest.mark.parametrize("page", [README, *DOCS], ids=lambda page: page.name)
def test_every_option_that_a_page_names_with_its_verb_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {}
    for verb, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        named = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", rest))
        if named and named - options(verb, capsys):
            wrong[verb] = named - options(verb, capsys)
    assert wrong == {}


def options(verb: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    with pytest.raises(SystemExit):
        main_module.main(
            [*({"toolchain": ["toolchain", "fetch"], "board new": ["board", "new"]}.get(verb) or [verb]), "--help"]
        )
    return set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
