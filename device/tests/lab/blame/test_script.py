# SPDX-License-Identifier: Apache-2.0
"""`make blame`: what it refuses, and what it fails for; its guests are stubs here."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from plx9x5x.lab.blame.judge import Judged, Said, judge
from tests.lab.blame.samples import LEFT, SMALL, finding
from tests.lab.blame.test_corpus import ROOT


@pytest.fixture
def blame(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, which reads a small corpus and writes into a folder of its own."""
    spec = importlib.util.spec_from_file_location("blame_script", ROOT / "scripts" / "blame.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module.corpus, "read", lambda _folder: SMALL)
    return module


@pytest.mark.parametrize("part", [["left"], ["--guest", "plain"], ["--kernel", "6.1"]])
def test_the_page_is_not_written_of_a_part(
    blame: ModuleType, part: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        blame.main([*part, "--write-docs"])
    assert left.value.code == 2
    assert "--write-docs writes the whole page: leave out NAME, --guest and --kernel" in capsys.readouterr().err


@pytest.mark.parametrize(("line", "status"), [("b.c:3", 0), ("b.c:4", 1)])
def test_it_fails_if_the_lines_are_missed(
    blame: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, status: int
) -> None:
    def run(*_: object) -> Iterator[Judged]:
        yield from [judge(Said(LEFT, "plain", "6.1", (finding("dma-left", f"go(), {line}"),)))] * 10

    monkeypatch.setattr(blame, "run", run)
    assert blame.main([]) == status
    assert (tmp_path / "docs" / "blame.md").exists() is (status == 0)
