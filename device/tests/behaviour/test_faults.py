# SPDX-License-Identifier: Apache-2.0
"""Every case fails on a chip whose bits it claims to prove are stuck: no proof without a fault that it finds."""

import pytest

from plx9x5x.ports import ResetKind
from plx9x5x.regs.config import CONFIG_REGISTERS
from plx9x5x.regs.dma import DMA_REGISTERS
from plx9x5x.regs.intr import MESSAGING_REGISTERS, RUNTIME_REGISTERS
from plx9x5x.regs.kernel import Field, Register
from plx9x5x.regs.local import LOCAL_REGISTERS
from plx9x5x.regs.profile import PROFILES
from tests.behaviour.collect import all_cases
from tests.behaviour.driver import Case
from tests.behaviour.faults import Stuck, faults_of, inject
from tests.behaviour.in_process import InProcess

NARROW = 8
"""Bits of a field that is looked at bit by bit."""

BY_NAME = {
    reg.__name__: reg
    for reg in (*CONFIG_REGISTERS, *LOCAL_REGISTERS, *RUNTIME_REGISTERS, *MESSAGING_REGISTERS, *DMA_REGISTERS)
}


def field_of(name: str) -> tuple[type[Register], Field[object]]:
    register, _, field = name.partition(".")
    reg = BY_NAME[register]
    return reg, next(one for one in reg.fields if one.name == field)


def survives(case: Case, chip: str, stuck: Stuck) -> bool:
    """True if the case passes on a chip with that fault."""
    driver = InProcess(chip, steps=300)
    inject((driver.device.registers, driver.device.config), stuck)
    driver.device.reset(ResetKind.POWER_ON)
    driver.config_write(0x04, 7, 2)
    try:
        case.body(driver)
    except AssertionError:
        return False
    except RuntimeError as error:  # the broken chip never gets done
        return "still runs" not in str(error)
    return True


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
