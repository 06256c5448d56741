# SPDX-License-Identifier: Apache-2.0
"""The units in C under random descriptors and mappings, with sanitizers. `scripts/hostile.py` alone does ten millions."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts/hostile.py"


def test_hostile_descriptors_find_nothing_beside_mapped_memory() -> None:
    argv = [sys.executable, SCRIPT, "--count", "60000", "--seed", "7"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert " descriptors; stops: " in done.stdout
