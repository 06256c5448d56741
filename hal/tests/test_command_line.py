# SPDX-License-Identifier: Apache-2.0
"""`nthal` on the command line: bad input is told in words, a reader that leaves is no error."""

import subprocess
import sys
from pathlib import Path

import pytest

from nthal.__main__ import main

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
