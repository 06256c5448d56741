# SPDX-License-Identifier: Apache-2.0
"""Finds the cases: every module `cases_*.py` of this folder registers its own."""

import importlib
from pathlib import Path

from tests.behaviour.driver import CASES, Case


def all_cases() -> dict[str, Case]:
    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        importlib.import_module(f"{__package__ or 'tests.behaviour'}.{path.stem}")
    return CASES
