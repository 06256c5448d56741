# SPDX-License-Identifier: Apache-2.0
"""The behaviour suite on the model in this process, once for each chip of the family."""

import pytest

from tests.behaviour.collect import all_cases
from tests.behaviour.driver import Case
from tests.behaviour.in_process import InProcess


@pytest.mark.parametrize(
    ("chip", "case"),
    [pytest.param(chip, case, id=f"{chip}-{name}") for name, case in all_cases().items() for chip in case.chips],
)
def test_behaviour(chip: str, case: Case) -> None:
    case.body(InProcess(chip))
