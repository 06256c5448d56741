# SPDX-License-Identifier: Apache-2.0
"""The ledger's record is whole and names real cases; a stuck bit is noticed by a case that uses it, and by no other.

That each recorded case still notices each fault takes minutes: `make prove ARGS=--check`, which CI runs.
"""

import pytest

from plx9x5x.lab.card import ledger
from plx9x5x.regs.catalog import find, on
from plx9x5x.regs.dma import DMACSR0
from plx9x5x.regs.intr import INTCSR
from plx9x5x.regs.profile import PROFILES
from tests.behaviour.collect import all_cases
from tests.behaviour.faults import NOTHING_BEHIND, Stuck, can_happen, faults_of, survives

CASES = all_cases()


def test_each_case_claims_fields_that_its_chips_have() -> None:
    for case in CASES.values():
        for name in case.proves:
            register, _, field = name.partition(".")
            reg = find(register).register
            (found,) = [one for one in reg.fields if one.name == field]
            assert any(PROFILES[chip].chip in found.chips & reg.chips for chip in case.chips), (case.name, name)


@pytest.mark.parametrize("chip", PROFILES)
def test_every_field_of_a_chip_is_recorded_with_cases_that_claim_it(chip: str) -> None:
    recorded = ledger.proofs(chip)
    profile = PROFILES[chip]
    wanted = {
        f"{listed.name}.{field.name}"
        for listed in on(profile)
        for field in listed.register.fields_on(profile.chip)
        if not field.absent
    }
    assert set(recorded) == wanted, "make prove"
    for name, proof in recorded.items():
        cases = [CASES[case] for case in proof.cases]
        assert all(name in case.proves and chip in case.chips for case in cases), name
        stored = name in NOTHING_BEHIND or all(case.generic for case in cases)
        assert proof.modelled is not stored, name


@pytest.mark.parametrize("level", [False, True])
def test_a_stuck_start_bit_is_noticed_by_a_transfer(level: bool) -> None:
    stuck = Stuck(DMACSR0, DMACSR0.start.mask, level)
    found = [case for case in CASES.values() if "DMACSR0.start" in case.proves and not survives(case, "9656", stuck)]
    assert found


def test_a_case_that_does_not_use_a_bit_survives_its_fault() -> None:
    stuck = Stuck(INTCSR, INTCSR.retry_abort_enable.mask, True)
    assert survives(CASES["block_to_local_moves_the_bytes"], "9656", stuck)


def test_both_levels_of_each_bit_of_a_field_are_faults() -> None:
    assert [(stuck.mask, stuck.level) for stuck in faults_of(DMACSR0, DMACSR0.done)] == [(16, False), (16, True)]
    assert str(Stuck(DMACSR0, 16, True)) == "DMACSR0 bit 4 stuck at 1"


def test_a_constant_has_one_fault_only() -> None:
    reg = find("PCIHIDR").register
    assert can_happen("9656", Stuck(reg, 1, False))
    assert not can_happen("9656", Stuck(reg, 1, True)), "bit 0 of 10B5 is 1"
