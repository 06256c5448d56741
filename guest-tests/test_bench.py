# SPDX-License-Identifier: Apache-2.0
"""All of `make bench` once, quickly: what needs no guest (too long for the fast tests), and what boots them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.lab.bench import contest, groups, plane
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


def test_the_harness_measures_everything_that_needs_no_guest() -> None:
    cores = os.sched_getaffinity(0)
    options = Options(load(need={"libvfio-user"}), rounds=1, quick=True, cpus=contest.pick_core())
    parts = groups.run(groups.select(guests=False), options, plane.asked(None), tell=lambda _name: None)
    assert [part.group for part in parts] == list(groups.select(guests=False))
    assert not [part.left_out for part in parts if part.left_out]
    assert all(part.rows or part.curves for part in parts)
    assert os.sched_getaffinity(0) == cores
