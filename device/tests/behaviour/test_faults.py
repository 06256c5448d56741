# SPDX-License-Identifier: Apache-2.0
"""Every case fails on a chip whose bits it claims to prove are stuck: no proof without a fault that it finds."""

import pytest

from plx9x5x.regs.catalog import find
from plx9x5x.regs.kernel import Field, Register
from plx9x5x.regs.profile import PROFILES
from tests.behaviour.collect import all_cases
from tests.behaviour.driver import Case
from tests.behaviour.faults import faults_of, survives

NARROW = 8
"""Bits of a field that is looked at bit by bit."""


def field_of(name: str) -> tuple[type[Register], Field[object]]:
    register, _, field = name.partition(".")
    reg = find(register).register
    return reg, next(one for one in reg.fields if one.name == field)


@pytest.mark.parametrize(
    ("case", "proved"),
    [pytest.param(case, proved, id=f"{name}-{proved}") for name, case in all_cases().items() for proved in case.proves],
)
def test_a_case_finds_faults_in_what_it_claims_to_prove(case: Case, proved: str) -> None:
    """In each bit of a narrow field, in at least one bit of an address or a count."""
    reg, field = field_of(proved)
    chip = next(chip for chip in reversed(case.chips) if PROFILES[chip].chip in field.chips & reg.chips)
    bits = {bit: [stuck for stuck in faults_of(reg, field) if stuck.mask == bit] for bit in masks(field)}
    found = {bit: any(not survives(case, chip, stuck) for stuck in faults) for bit, faults in bits.items()}
    if len(bits) <= NARROW:
        assert all(found.values()), f"not found: {[hex(bit) for bit, known in found.items() if not known]}"
    else:
        assert any(found.values())


def masks(field: Field[object]) -> list[int]:
    return [1 << n for n in range(field.lo, field.hi + 1)]
