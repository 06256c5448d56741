# SPDX-License-Identifier: Apache-2.0
"""Breaks one bit of the register table: stuck at 0 or at 1, for software and for the chip's own logic alike.

A test that claims to prove a bit has to fail on a chip with that bit broken.
"""

import functools
from dataclasses import dataclass
from typing import Any

from plx9x5x.board import load_board
from plx9x5x.ports import ResetKind
from plx9x5x.regs.config import PCIBAR0, PCIBAR1
from plx9x5x.regs.kernel import Access, Field, Register, RegisterFile, Write
from tests.behaviour.driver import BOARD_OF, Case
from tests.behaviour.in_process import InProcess

_board = functools.cache(load_board)

STEPS = 300
"""A broken chip that has not settled by then never will."""

CONSTANT = frozenset(
    [
        "PCIIDR",
        "PCIREV",
        "PCICCR_INTERFACE",
        "PCICCR",
        "PCIHTR",
        "PCIBAR4",
        "PCIBAR5",
        "PCICIS",
        "PCISVID",
        "PCISID",
        "CAP_PTR",
        "PCIIPR",
        "PCIMGR",
        "PCIMLR",
        "PMCAPID",
        "PMNEXT",
        "PMC",
        "PMCSR.data_scale",
        "PMCSR_BSE",
        "PMDATA",
        "HS_CNTL",
        "HS_NEXT",
        "HS_CSR.programming_interface",
        "PVPDCNTL",
        "PVPD_NEXT",
        "PCISR.capabilities",
        "PCISR.mhz66",
        "PCISR.user_definable",
        "PCISR.fast_back_to_back",
        "PCISR.devsel",
        "PCISR.signaled_target_abort",
        "MARBR.write_fifo_full",
        "LMISC1.init_done",
        "INTCSR.not_direct_master",
        "INTCSR.not_retry_abort",
        "CNTRL.init_done",
        "CNTRL.eeprom_present",
        "PCIHIDR",
        "PCIHREV",
    ]
)
"""Registers and fields that never change on one board: being stuck at what they are is no fault.

INTCSR: no direct master is modelled, and no target retries here; MARBR: the same FIFO's. PCISR: as a target the chip
never aborts.
"""

NOTHING_BEHIND = frozenset(
    [
        "INTCSR.not_direct_master",
        "INTCSR.not_retry_abort",
        "HS_CSR.insertion",
        "HS_CSR.removal",
        "HS_CSR.programming_interface",
        "PMCSR.data_scale",
        "PMDATA.value",
        "PMCSR_BSE.value",
        "PCIERBAR.enable",
        "PCIERBAR.base",
        "PCISR.signaled_target_abort",
    ]
)
"""Fields that are right and whose other end is not modelled: no case makes them more than stored."""

ALWAYS_ZERO = {"PCIBAR1": 0xFE, "PABTADR": 0x3}
"""Bits that are below every size that the register's window can have, or below a dword."""


@dataclass(frozen=True)
class Stuck:
    """One bit of one register, stuck."""

    register: type[Register]
    mask: int
    level: bool

    def __str__(self) -> str:
        return f"{self.register.__name__} bit {self.mask.bit_length() - 1} stuck at {int(self.level)}"

    def of(self, value: int) -> int:
        return value | self.mask if self.level else value & ~self.mask


class _Values(dict[type[Register], int]):
    """Stored values of which one bit cannot change."""

    def __init__(self, values: dict[type[Register], int], stuck: Stuck) -> None:
        super().__init__(values)
        self._stuck = stuck

    def __getitem__(self, reg: type[Register]) -> int:
        value = super().__getitem__(reg)
        return self._stuck.of(value) if reg is self._stuck.register else value


def inject(files: tuple[RegisterFile, ...], stuck: Stuck) -> None:
    """Break the bit in whichever of a chip's register files has it."""
    for regs in files:
        if stuck.register in regs:
            _inject(regs, stuck)


def _inject(regs: Any, stuck: Stuck) -> None:
    regs._value = _Values(regs._value, stuck)
    shown = regs._on_read.get(stuck.register)
    regs._on_read[stuck.register] = lambda value: stuck.of(shown(value) if shown else value)
    acts = regs._on_write.get(stuck.register)
    triggers = sum(field.mask for field in stuck.register.fields if field.access is not Access.RW)
    if acts:

        def broken(write: Write) -> None:
            data = stuck.of(write.data) & write.lanes if stuck.mask & triggers else write.data
            acts(Write(stuck.of(write.old), stuck.of(write.new), data, write.lanes))

        regs._on_write[stuck.register] = broken


def faults_of(reg: type[Register], field: Field[object]) -> list[Stuck]:
    """Both faults of each bit of a field."""
    return [Stuck(reg, 1 << n, level) for n in range(field.lo, field.hi + 1) for level in (False, True)]


def survives(case: Case, chip: str, stuck: Stuck) -> bool:
    """True if the case passes on a chip with that fault."""
    driver = InProcess(chip, traced=True, steps=STEPS)
    inject((driver.device.registers, driver.device.config), stuck)
    driver.device.reset(ResetKind.POWER_ON)
    driver.config_write(0x04, 7, 2)
    try:
        case.body(driver)
    except AssertionError as error:
        return not _by_a_case(error)
    except RuntimeError as error:  # the broken chip never gets done
        return "still runs" not in str(error)
    return True


def _by_a_case(error: AssertionError) -> bool:
    """True if a case failed, and not a guard of the model's own that the fault has upset."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and "/tests/behaviour/" in trace.tb_frame.f_code.co_filename


def can_happen(chip: str, stuck: Stuck) -> bool:
    """False if the bit never has another value on the board that the chip is tried on."""
    reg = stuck.register
    below = ALWAYS_ZERO.get(reg.__name__, 0) | (_board(BOARD_OF[chip]).profile.register_window - 1) * (reg is PCIBAR0)
    if stuck.mask & below:
        return stuck.level
    if reg is PCIBAR1 and stuck.mask == 1:
        return not stuck.level  # I/O
    name = next(field.name for field in reg.fields_on(_board(BOARD_OF[chip]).profile.chip) if field.mask & stuck.mask)
    if not CONSTANT & {reg.__name__, f"{reg.__name__}.{name}"}:
        return True
    return bool(_at_reset(chip, reg) & stuck.mask) is not stuck.level


@functools.cache
def _at_reset(chip: str, reg: type[Register]) -> int:
    device = InProcess(chip).device
    return (device.config if reg in device.config else device.registers)[reg]
