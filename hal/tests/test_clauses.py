# SPDX-License-Identifier: Apache-2.0
"""Every clause of the contract by number: it accepts its good example, refuses its bad one, and asks for what it lacks."""

import pytest

from nthal.contract import CLAUSES, Kind

# Written by hand from section 2 of the reference; what the framework's transactions add stands by itself.
TRANSACTIONS = range(125, 130)
NUMBERS = [
    *range(1, 9),
    *range(10, 15),
    *range(20, 30),
    *range(30, 40),
    *range(40, 48),
    *range(50, 60),
    *range(60, 69),
    *range(70, 77),
    *range(80, 88),
    *range(100, 125),
    *TRANSACTIONS,
    *range(130, 134),
    *range(140, 150),
    *range(150, 155),
    *range(160, 164),
]
IDS = [f"CB-{number:02d}" for number in NUMBERS]


def test_the_clauses_are_exactly_those_of_the_reference():
    assert list(CLAUSES) == IDS
    assert len(IDS) == 123 + len(TRANSACTIONS)


@pytest.mark.parametrize("number", IDS)
def test_a_clause_holds_for_its_good_example_and_names_what_its_bad_one_breaks(number):
    clause = CLAUSES[number]
    assert clause.check(clause.good).kind is Kind.HOLDS
    verdict = clause.check(clause.bad)
    assert verdict.kind is Kind.VIOLATED
    assert clause.text in verdict.why
    assert clause.source
    assert clause.confidence in "ABCD"


@pytest.mark.parametrize("number", IDS)
def test_a_clause_without_facts_says_what_is_missing(number):
    verdict = CLAUSES[number].check({})
    assert verdict.kind is Kind.UNKNOWN
    assert number in verdict.why


def test_the_clauses_for_linux_guests_are_those_of_the_comparison():
    listed = {20, 21, 22, 23, 30, 31, 34, 35, 36, 50, 53, 66, 70, 80, 81, 83}
    linux = {number for number, name in zip(NUMBERS, IDS, strict=True) if CLAUSES[name].linux}
    assert listed <= linux
    # Page alignment, whole frees and no leak follow from the kernel's own rules for the same call.
    assert linux - listed == {29, 82, 84}
