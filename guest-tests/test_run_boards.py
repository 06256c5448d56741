# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x run --board all` as a user starts it: a guest for each reference board, a row for each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.lab.card import driver

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

CASE = "selftest_dma_pattern"
PLX9X5X = (sys.executable, "-m", "plx9x5x")


def test_all_boards_run_one_after_the_other(tmp_path: Path) -> None:
    files = ("--json", str(tmp_path / "all.json"), "--trace", str(tmp_path / "regs.log"))
    done = subprocess.run(
        [*PLX9X5X, "run", "--board", "all", "--only", CASE, "--smp", "2", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    lines = done.stdout.splitlines()
    assert lines[-2] == f"{len(driver.BOARDS)} passed, 0 failed, 0 skipped"
    first = next(number for number, line in enumerate(lines) if line.startswith("board ")) + 2
    assert [line.split()[:4] for line in lines[first : first + len(driver.BOARDS)]] == [
        [board, "1", "-", "-"] for board in driver.BOARDS
    ]
    told = json.loads((tmp_path / "all.json").read_text())
    assert [(run["board"], run["exit_code"], run["findings"]) for run in told["runs"]] == [
        (board, 0, []) for board in driver.BOARDS
    ]
    for board in driver.BOARDS:
        assert "DMACSR0" in (tmp_path / f"regs.{board}.log").read_text(), board
