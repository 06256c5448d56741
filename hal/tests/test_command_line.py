# SPDX-License-Identifier: Apache-2.0
"""`nthal` on the command line: bad input is told in words, a reader that leaves is no error."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from nthal.__main__ import main
from nthal.contract import CLAUSES
from nthal.contract.differences import DIFFERENCES, of
from nthal.platforms import Switches

HAL = Path(__file__).parents[1]


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"error: cannot read {tmp_path / 'none'}: No such file or directory\n"


@pytest.mark.parametrize("text", ['{"x": 1}', "{", "[]", "1", '"a"', "{}"])
def test_what_is_no_observation_is_refused_with_file_and_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "observations"
    path.write_text(text + "\n")
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: line 1: ")


@pytest.mark.parametrize("verb", ["clauses", "vectors"])
def test_a_reader_that_leaves_early_is_no_error(verb: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "nthal", verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=HAL
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 141


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_a_file_without_an_observation_is_no_success_and_says_what_is_expected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    path = tmp_path / "observations"
    path.write_text(text)
    assert main(["check", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {path}: holds no observation")
    assert '{"order": 1,' in err


def test_a_byte_order_mark_of_powershell_is_no_part_of_the_first_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "observations"
    path.write_text('{"order": 1, "length": 64, "null": true}\n', encoding="utf-8-sig")
    assert main(["check", str(path)]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(path.read_text(encoding="utf-8")))
    assert main(["check", "-"]) == 0
    assert capsys.readouterr().out.count("1 observed") == 2


def test_a_file_that_is_no_text_is_refused_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "observations"
    path.write_bytes(b"MZ\x90\xff")
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: no text: invalid")


def test_lists_in_lists_without_end_are_refused_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "observations"
    path.write_text("[" * 200_000)
    assert main(["check", str(path)]) == 2
    assert "line 1" in capsys.readouterr().err


def test_what_is_not_judged_is_told_with_the_fact_that_it_lacks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "observations"
    path.write_text('{"order": 1, "origin": "windows-log", "length": 4096, "va": "0x10680", "la": "0x20680"}\n')
    assert main(["check", str(path)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("not judged, for want of a fact: CB-20 (pages), ")
    assert "CB-29 (verified)" in last
    assert main(["check", "--all", str(path)]) == 0
    assert "observation 1: CB-29 unknown: CB-29 needs the fact verified" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["CB-41", "cb-41", "CB41", "41"])
def test_one_clause_is_shown_whole(capsys: pytest.CaptureFixture[str], given: str) -> None:
    assert main(["clauses", given]) == 0
    out = capsys.readouterr().out
    clause = CLAUSES["CB-41"]
    for due in (
        f"CB-41  {clause.text}",
        f"source       {clause.source}",
        "confidence   A, text of a seed",
        "holds for    length=0x10000, page_size=0x1000, granted=0x10, null=False",
        "violated by  length=0x10001",
        "open question AM-02",
        "Switch: enforce_map_register_limit.",
        "test         hal/tests/test_vectors_adapter.py::test_tv30",
    ):
        assert due in out


def test_several_clauses_are_shown_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["clauses", "41", "CB-67", "CB-41"]) == 0
    out = capsys.readouterr().out
    assert [line[:5] for line in out.splitlines() if line.startswith("CB-")] == ["CB-41", "CB-67"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("CB-164", "CB-161, CB-162, CB-163"),
        ("9", "CB-08, CB-10, CB-07"),
        ("CB-" + "9" * 5000, "numbered CB-01"),
        ("alignment", "numbered CB-01"),
    ],
)
def test_a_number_that_no_clause_has_is_an_error_that_names_near_ones(
    capsys: pytest.CaptureFixture[str], given: str, words: str
) -> None:
    assert main(["clauses", "CB-41", given]) == 2
    out, err = capsys.readouterr()
    assert out == "", "nothing is shown of a wrong call"
    assert err.startswith(f"error: there is no clause {given}")
    assert all(word in err for word in words.split(", "))


@pytest.mark.parametrize("number", CLAUSES)
def test_every_clause_can_be_shown(capsys: pytest.CaptureFixture[str], number: str) -> None:
    assert main(["clauses", number]) == 0
    assert capsys.readouterr().out.count("in doubt") == len(of(number))


@pytest.mark.parametrize("one", DIFFERENCES, ids=lambda one: one.clauses[0])
def test_a_difference_is_of_clauses_and_of_a_switch_that_exist(one) -> None:
    assert set(one.clauses) <= set(CLAUSES)
    assert not one.switch or hasattr(Switches(), one.switch)
    assert all((one.subject, one.one, one.other, one.model))


def test_the_schema_is_of_the_vectors_or_of_an_observation(capsys: pytest.CaptureFixture[str]) -> None:
    titles = {}
    for arguments in ((), ("vectors",), ("observation",)):
        assert main(["schema", *arguments]) == 0
        titles[arguments] = json.loads(capsys.readouterr().out)["title"]
    assert titles[()] == titles["vectors",] == "Common-buffer test vectors"
    assert titles["observation",] == "Observation of a common buffer"
