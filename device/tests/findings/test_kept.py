# SPDX-License-Identifier: Apache-2.0
"""The file of findings, read back."""

import json
from dataclasses import replace
from pathlib import Path

from plx9x5x.findings.finding import Finding, Who
from plx9x5x.findings.kept import read

FOUND = Finding("size-zero", Who.DRIVER, False, "nothing moves", (("DMASIZ0", "0x0"),), "write it", 3, 1_000, 2_000_000)


def line(*findings: Finding) -> str:
    return json.dumps({"channels": [], "findings": [it.json() for it in findings]}) + "\n"


def test_all_clients_findings_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    other = replace(FOUND, rule="spinning", certain=True)
    path.write_text(line(FOUND) + line() + line(other, FOUND))
    assert read(path) == (FOUND, other, FOUND)


def test_a_line_that_was_cut_off_says_nothing_and_the_others_still_do(tmp_path: Path) -> None:
    path = tmp_path / "findings.jsonl"
    path.write_text(line(FOUND)[:-9] + "\n" + line(FOUND) + '{"findings": 3}\n[]\n{"findings": [{}]}\n')
    assert read(path) == (FOUND,)


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read(tmp_path / "findings.jsonl") == ()
