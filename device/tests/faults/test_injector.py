# SPDX-License-Identifier: Apache-2.0
"""When a planned fault begins and ends, for whoever looks at the device now and then: also late."""

import pytest

from plx9x5x.board import load_board
from plx9x5x.chip_faults import names
from plx9x5x.faults.injector import Injector
from plx9x5x.faults.kinds import WRITE, Occurrence
from plx9x5x.model.clock import VirtualClock
from tests.chip_faults.faulty import Faulty

READER = names.reader(load_board("rdk-9656-lite"))
US, MS = 1_000, 1_000_000
SENTENCE = "surprise removal 5 ms after write of MBOX3 for 1 us"


class Removed:
    """What a device does with it."""

    def __init__(self, sentence: str, *, does: bool = True) -> None:
        self.clock = VirtualClock()
        self.injector = Injector(READER.plan([sentence]), clock=self.clock)
        self.heard: list[str] = []
        if does:
            self.injector.on(
                "surprise removal", lambda _: self.heard.append("gone"), lambda _: self.heard.append("back")
            )

    def write(self) -> None:
        self.injector.see(Occurrence(WRITE, bar=0, offset=0x4C, width=4))

    def look(self, after_ns: int) -> int | None:
        """When it says to look again, from now."""
        self.clock.advance(after_ns)
        self.injector.tick()
        due = self.injector.next_at()
        return None if due is None else due - self.clock.now()


@pytest.mark.parametrize("late", [0, 1 * US, 50 * MS])
def test_one_that_nobody_looked_at_in_time_begins_late_and_lasts_as_long(late: int) -> None:
    it = Removed(SENTENCE)
    it.write()
    assert it.look(0) == 5 * MS
    assert it.look(5 * MS + late) == 1 * US
    assert it.heard == ["gone"]
    assert it.look(1 * US) is None
    assert it.heard == ["gone", "back"]
    assert it.look(1_000 * MS) is None


def test_one_that_nobody_does_is_no_time_to_look() -> None:
    it = Removed(SENTENCE, does=False)
    it.write()
    assert it.look(1_000 * MS) is None


def test_a_server_that_looks_late_sleeps_again_once_it_is_over() -> None:
    it = Faulty(SENTENCE)
    it.chip.write(0, 0x4C, 4, 1)
    it.wait(7 * MS)
    assert it.struck == [1]
    it.wait(1 * MS)
    assert it.chip.wait_ns() is None
