# SPDX-License-Identifier: Apache-2.0
"""The behaviour suite on the model in this process, once for each chip of the family; and who is accused by it."""

import re

import pytest

from tests.behaviour.accused import ACCUSED
from tests.behaviour.collect import all_cases
from tests.behaviour.driver import Case
from tests.behaviour.in_process import InProcess


def rules_of(chip: str, case: Case) -> dict[str, str]:
    """Run a case; what its driver is accused of, by rule."""
    driver = InProcess(chip)
    case.body(driver)
    return {finding.rule: str(finding) for finding in driver.findings()}


def on_purpose(case: Case) -> set[str]:
    name = re.sub(r"_channel_[01]$", "", case.name)
    return {rule for rule, names in ACCUSED.items() if name in names}


@pytest.mark.parametrize(
    ("chip", "case"),
    [pytest.param(chip, case, id=f"{chip}-{name}") for name, case in all_cases().items() for chip in case.chips],
)
def test_behaviour(chip: str, case: Case) -> None:
    found = rules_of(chip, case)
    assert found.keys() <= on_purpose(case), "\n".join(found.values())


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in all_cases().values() if on_purpose(c)])
def test_what_a_case_does_wrong_on_purpose_is_named(case: Case) -> None:
    """On one chip at least: not all have what is misused. A plane by name has no events to look at."""
    if not InProcess(case.chips[0]).trace.enabled:
        return
    found: set[str] = set()
    for chip in case.chips:
        found |= rules_of(chip, case).keys()
        if found == on_purpose(case):
            return
    assert found == on_purpose(case)


def test_the_table_names_cases_that_there_are() -> None:
    known = {re.sub(r"_channel_[01]$", "", name) for name in all_cases()}
    assert {name for names in ACCUSED.values() for name in names} <= known
