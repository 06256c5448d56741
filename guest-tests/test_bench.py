# SPDX-License-Identifier: Apache-2.0
"""What of `make bench` boots guests, and what starts servers (too long for the fast tests), once and quickly."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.lab.bench import groups, plane
from plx9x5x.lab.bench.figures import Results
from plx9x5x.lab.bench.groups import NEED_A_GUEST
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.toolchain import load

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).parents[1] / "scripts/bench.py"


def test_the_harness_measures_in_guests(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    only = [word for group in sorted(NEED_A_GUEST) for word in ("--only", group)]
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", *only, "--json", figures], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = {part.group: part for part in Results.from_json(json.loads(figures.read_text(encoding="utf-8"))).parts}
    assert parts.keys() == NEED_A_GUEST
    assert {row.peer_name for row in parts["guest"].rows} == {"C peer", "edu"}
    assert "START of a 4-byte block to interrupt handled" in [row.name for row in parts["guest"].rows]


def test_what_a_witness_costs_is_measured_beside_a_run_without() -> None:
    script = [sys.executable, SCRIPT.with_name("witness_cost.py"), "--rounds", "1", "--"]
    done = subprocess.run([*script, "--only", "start_needs_enable"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    _, wall, processor = done.stdout.splitlines()
    for line, name in ((wall, "wall time"), (processor, "processor time")):
        assert re.fullmatch(rf"{name} +\d+\.\d\d s +\d+\.\d\d s +x\d\.\d\d", line)
    failed = subprocess.run([*script, "--only", "nobody"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert "a run failed, so nothing is measured:\nerror: no case 'nobody'" in failed.stderr


def test_the_harness_measures_starts() -> None:
    (part,) = groups.run(("start",), Options(load(), rounds=1, quick=True), plane.asked(None), tell=lambda _name: None)
    assert part.rows
    assert not part.left_out
