# SPDX-License-Identifier: Apache-2.0
"""The behaviour suite once more, from a Linux guest: each case passes there, and leaves the model's own trace.

One guest is booted per chip, and another after one that was lost, or whose kernel or QEMU complained: that costs one
case, not all that follow. PLX9X5X_KERNEL names the kernel.
"""

import contextlib
import os
from collections.abc import Iterator

import pytest

from plx9x5x.board import board_names
from plx9x5x.errors import LostVm
from plx9x5x.lab.agent import guest_agent as agent
from plx9x5x.lab.agent.guest_agent import GuestAgent
from tests.behaviour.collect import all_cases
from tests.behaviour.driver import BOARD_OF, Case
from tests.behaviour.in_guest import InGuest, model_trace, trace_difference

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

CHIPS = [chip for chip, board in BOARD_OF.items() if board in board_names()]
GUEST_CASES = [case for case in all_cases().values() if case.guest]
MESSY = "a_case_finds_nothing_of_the_one_before"
# That one comes twice, the second time on its own leavings.
NAMED = [*((case.name, case) for case in GUEST_CASES), (f"{MESSY}_again", all_cases()[MESSY])]


class Guests:
    """The guest of one chip at a time."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._chip = ""
        self._agent: GuestAgent | None = None

    @contextlib.contextmanager
    def of(self, chip: str) -> Iterator[GuestAgent]:
        if self._agent is None or self._chip != chip:
            self.close()
            starting = agent.boot(board=BOARD_OF[chip], kernel=os.environ.get("PLX9X5X_KERNEL"))
            self._chip, self._agent = chip, self._stack.enter_context(starting)
        try:
            yield self._agent
        except BaseException as exc:
            for complaint in self._complaints():
                exc.add_note(complaint)
            raise
        if complaints := self._complaints():
            pytest.fail("the case passed, but: " + "; ".join(complaints), pytrace=False)

    def _complaints(self) -> tuple[str, ...]:
        """What is wrong with the guest, which is dropped then."""
        assert self._agent is not None
        try:
            found = self._agent.problems()
        except LostVm as exc:
            found = (str(exc),)
        if found:
            self.close()
        return found

    def close(self) -> None:
        self._agent = None
        self._stack.close()


@pytest.fixture(scope="module")
def guests() -> Iterator[Guests]:
    all_guests = Guests()
    with contextlib.closing(all_guests):
        yield all_guests


@pytest.mark.parametrize(
    ("chip", "case"),
    [pytest.param(chip, case, id=f"{chip}-{name}") for chip in CHIPS for name, case in NAMED if chip in case.chips],
)
def test_behaviour_in_a_guest(guests: Guests, chip: str, case: Case) -> None:
    with guests.of(chip) as chips_agent:
        driver = InGuest(chip, chips_agent)
        case.body(driver)
        in_guest = chips_agent.accesses()
    in_process = model_trace(chip, case, tuple(driver.addresses))
    if found := trace_difference(in_process, in_guest):
        where = f"logs: {chips_agent.logs}"
        pytest.fail(f"the case passed, but left another trace than in process:\n{found}\n{where}", pytrace=False)


def test_every_registered_board_of_the_family_is_tried() -> None:
    assert CHIPS
    assert {BOARD_OF[chip] for chip in CHIPS} == set(BOARD_OF.values()) & set(board_names())
