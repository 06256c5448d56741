# SPDX-License-Identifier: Apache-2.0
"""The behaviour suite's driver in a Linux guest under QEMU, and what its trace has to be.

A case that a guest cannot express says `guest=False`: an access that is not aligned to its width, or 8 bytes wide (the
guest's driver refuses it); one to a BAR that does not decode, or in D3hot (QEMU answers by itself, the chip never hears
of it); a look at a channel that has not settled (there the transfer runs on at once, in process only in `settle`).
"""

from typing import Final

from plx9x5x.lab.agent.guest_agent import GuestAgent, GuestBuffer
from plx9x5x.trace.regtrace import Access, difference, normal
from tests.behaviour.driver import MEMORY_AT, REGISTERS, Case, LocalSide
from tests.behaviour.in_process import InProcess

SAME_FOR_A_REASON: Final[dict[str, str]] = {
    "bus addresses": "the model is given those that the guest got, so registers and descriptors hold the same ones",
    "BAR addresses": "they are in configuration space, which is not compared; no local register shows them",
    "rest of PCICR": "Linux and the firmware set SERR# too; configuration space is not compared",
    "polling": "runs of equal accesses count as one",
    "progress": "a case settles before it looks, so nothing is read in the middle of a transfer",
}
"""What could differ between guest and model, and why it does not show."""

MASKED: Final[dict[int, tuple[int, str]]] = {}
"""Bits that are not compared when read, by BAR0 offset, each with its reason. None is needed; a new entry needs one."""


class InGuest:
    """A driver in the guest. The chip is freshly reset, as `InProcess` gives it; `addresses` are what the buffers got."""

    def __init__(self, chip: str, agent: GuestAgent) -> None:
        self.chip = chip
        self.memory_at = MEMORY_AT.get(chip, 0)
        self.agent = agent
        self.addresses: list[int] = []
        agent.reset()

    def read(self, offset: int, width: int = 4, *, bar: int = REGISTERS) -> int:
        return self.agent.read(bar, offset, width)

    def write(self, offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> None:
        self.agent.write(bar, offset, width, value)

    def config_read(self, offset: int, width: int = 4) -> int:
        return self.agent.config_read(offset, width)

    def config_write(self, offset: int, value: int, width: int = 4) -> None:
        self.agent.config_write(offset, width, value)

    def buffer(self, length: int) -> GuestBuffer:
        buffer = self.agent.allocate(length)
        self.addresses.append(buffer.bus)
        return buffer

    def settle(self) -> None:
        self.agent.settle()

    def inta(self) -> bool:
        return self.agent.inta()

    @property
    def local(self) -> LocalSide:
        raise AssertionError("a guest has no hand on the local side: the case must say guest=False")


def model_trace(chip: str, case: Case, addresses: tuple[int, ...]) -> tuple[Access, ...]:
    """Run the case on the model here, with the guest's bus addresses."""
    driver = InProcess(chip, addresses=addresses, traced=True)
    driver.trace.enabled = True
    case.body(driver)
    return tuple(Access(e.is_write, e.bar, e.offset, e.width, e.value) for e in driver.trace.accesses)


def trace_difference(model: tuple[Access, ...], guest: tuple[Access, ...]) -> str | None:
    """Compare the normal forms; None if they are equal."""
    ours, theirs = normal(map(_masked, model)), normal(map(_masked, guest))
    return difference(ours, theirs, names=("in process", "in the guest"))


def _masked(access: Access) -> Access:
    """Hide what is not compared. BAR0 and BAR1 show the same registers."""
    if access.is_write or access.bar > 1:
        return access
    hidden = sum(
        (mask >> 8 * lane & 0xFF) << 8 * (offset + lane - access.offset)
        for offset, (mask, _) in MASKED.items()
        for lane in range(4)
        if access.offset <= offset + lane < access.offset + access.width
    )
    return Access(access.is_write, access.bar, access.offset, access.width, access.value & ~hidden)
