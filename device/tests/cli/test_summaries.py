# SPDX-License-Identifier: Apache-2.0
"""The file of `serve --summary`: whole lines, whatever became of the last one, and an end to it."""

import os
from pathlib import Path

import pytest

from plx9x5x.cli import summaries
from plx9x5x.errors import SetupError
from plx9x5x.findings.finding import Finding, Who
from plx9x5x.findings.kept import read

FOUND = Finding("size-zero", Who.DRIVER, False, "nothing moves", (), "write it", 1, 0, 0)
SUMMARY: dict[str, object] = {"findings": [FOUND.json()]}


def test_clients_are_counted_and_each_has_a_line(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    with summaries.opened(path, "a-board") as kept:
        kept.keep(SUMMARY)
        kept.keep(SUMMARY)
    lines = path.read_text().splitlines()
    assert ['"board": "a-board", "client": 1' in lines[0], '"client": 2' in lines[1], len(lines)] == [True, True, 2]
    assert read(path) == (FOUND, FOUND)


def test_a_line_that_was_cut_off_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "findings.jsonl"
    write = os.write
    with summaries.opened(path, "a-board") as kept:
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:-30]))
        kept.keep(SUMMARY)
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data))
        kept.keep(SUMMARY)
    assert any("is the disk full?" in line for line in caplog.messages)
    assert read(path) == (FOUND,)


def test_what_a_killed_server_left_costs_no_line_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    path.write_text('{"findings": [{"rule"')
    with summaries.opened(path, "a-board") as kept:
        kept.keep(SUMMARY)
    assert read(path) == (FOUND,)


def test_a_file_that_is_full_takes_no_more_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(summaries, "MOST", 300)
    path = tmp_path / "findings.jsonl"
    with summaries.opened(path, "a-board") as kept:
        for _ in range(9):
            kept.keep(SUMMARY)
    assert path.stat().st_size <= 300
    assert len(read(path)) == 1
    assert any("was not written" in line for line in caplog.messages)


def test_a_full_disk_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with summaries.opened(Path("/dev/full"), "a-board") as kept:
        kept.keep(SUMMARY)
        assert kept.lost == 1
    assert any("No space left" in line for line in caplog.messages)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot write the summaries"), summaries.opened(tmp_path, "a-board"):
        pass
