# SPDX-License-Identifier: Apache-2.0
"""What is said of a driver beside DMA: a finding in words of its own, and each routine's highest IRQL.

Source: the driver documentation of each routine, its "IRQL" line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nthal.verifier import DmaViolation, Finding, Misuse, Rank, Rule, driver_place
from nthal.windows import Irql

if TYPE_CHECKING:
    from nthal.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Finding):
    """A finding whose mistake and hint are `words`: those of its `misuse` are about common buffers and the HAL."""

    words: Rule

    @property
    def rule(self) -> Rule:
        """The mistake, and what to do instead."""
        return self.words

    def __str__(self) -> str:
        return f"{self.words.mistake}: {self.detail}, at {self.place} ({self.words.hint})"


def tell(
    machine: Machine, misuse: Misuse, mistake: str, detail: str, *parameters: int, hint: str, stop: bool = True
) -> None:
    """Record a finding. Raises: DmaViolation if it is to `stop`, and the machine is not in report mode."""
    rank = Rank.VIOLATION if stop else Rank.FINDING
    words = Rule(None, misuse.value.clauses, mistake, hint)
    finding = Said(misuse, rank, None, parameters, detail, driver_place(), words=words)
    machine.verifier.findings.append(finding)
    if stop and machine.verifier.stop:
        raise DmaViolation(finding)


HIGHEST: Final = {
    "ExAllocatePoolWithTag": Irql.DISPATCH_LEVEL,
    "ExFreePoolWithTag": Irql.DISPATCH_LEVEL,
    "MmMapIoSpace": Irql.DISPATCH_LEVEL,
    "MmUnmapIoSpace": Irql.DISPATCH_LEVEL,
    "MmBuildMdlForNonPagedPool": Irql.DISPATCH_LEVEL,
    "MmProbeAndLockPages": Irql.DISPATCH_LEVEL,
    "MmUnlockPages": Irql.DISPATCH_LEVEL,
    "IoFreeMdl": Irql.DISPATCH_LEVEL,
    "WdfDriverCreate": Irql.PASSIVE_LEVEL,
    "WdfDeviceCreate": Irql.PASSIVE_LEVEL,
    "WdfDeviceInitSetPnpPowerEventCallbacks": Irql.DISPATCH_LEVEL,
    "WdfInterruptCreate": Irql.DISPATCH_LEVEL,
    "WdfInterruptEnable": Irql.PASSIVE_LEVEL,
    "WdfInterruptDisable": Irql.PASSIVE_LEVEL,
    "WdfSpinLockCreate": Irql.DISPATCH_LEVEL,
    "WdfWaitLockCreate": Irql.DISPATCH_LEVEL,
    "WdfWaitLockRelease": Irql.DISPATCH_LEVEL,
    "WdfObjectDelete": Irql.DISPATCH_LEVEL,
    "WdfIoQueueCreate": Irql.DISPATCH_LEVEL,
    "WdfDeviceConfigureRequestDispatching": Irql.DISPATCH_LEVEL,
    "WdfRequestGetParameters": Irql.DISPATCH_LEVEL,
    "WdfRequestSetInformation": Irql.DISPATCH_LEVEL,
    "WdfRequestCompleteWithInformation": Irql.DISPATCH_LEVEL,
    "nthal_complete": Irql.DISPATCH_LEVEL,
    "nthal_request": Irql.DISPATCH_LEVEL,
}
"""The highest IRQL at which a routine may be called, where nthal does not look at it itself."""


def at_most(machine: Machine, highest: Irql, what: str) -> None:
    """Look at the IRQL, as the HAL's routines do. Raises: DmaViolation with verification on."""
    now = machine.irql
    if now > highest:
        detail = f"{what} wants at most {highest.name}, the IRQL is {now.name}"
        hint = "move it to where the IRQL is right, as from the ISR to the DPC"
        tell(
            machine,
            Misuse.WRONG_IRQL,
            "called at the wrong IRQL",
            detail,
            2,
            highest,
            now,
            hint=hint,
            stop=machine.verifier.on,
        )


def look_at_level(machine: Machine, routine: str, called: str) -> None:
    """Hold a call to the routine's row of `HIGHEST`; `called` is what the driver calls it."""
    highest = HIGHEST.get(routine)
    if highest is not None:
        at_most(machine, highest, called)
