# SPDX-License-Identifier: Apache-2.0
"""INTA# with faults, as a transport and its client see it: edges that are taken, and a client that masks the line."""

import pytest

from plx9x5x.board import load_board
from plx9x5x.chip_faults import names
from plx9x5x.faults.injector import Injector
from plx9x5x.faults.line import AGAIN_MOST_NS, AGAIN_NS, FaultyLine
from plx9x5x.model.clock import VirtualClock
from plx9x5x.transport.intx import IntxLine
from plx9x5x.witness.device import WitnessedLine

READER = names.reader(load_board("rdk-9656-lite"))
MS = 1_000_000


class Wired:
    def __init__(self, *sentences: str, watched: bool = False) -> None:
        self.edges = self.rises_seen = 0
        self.clock = VirtualClock()
        self.pin = IntxLine(self._edge)
        self.injector = Injector(READER.plan(sentences), clock=self.clock)
        self.line = FaultyLine(WitnessedLine(self.pin, self) if watched else self.pin, self.injector)

    def rises(self) -> None:
        """What a witness hears."""
        self.rises_seen += 1

    def _edge(self) -> bool:
        self.edges += 1
        return True

    def serve(self) -> None:
        """A handler: the client unmasks at its first access, then the cause is taken back."""
        self.pin.unmask()
        self.line.set(False)

    def wait(self, nanoseconds: int) -> None:
        self.clock.advance(nanoseconds)
        self.line.tick()


def test_without_a_strike_it_is_the_line() -> None:
    it = Wired("lost interrupt at interrupt 9")
    it.line.set(True)
    it.line.set(True)
    assert (it.edges, it.line.level, it.line.sent) == (1, True, 1)
    it.line.sent = 0
    assert it.pin.sent == 0
    it.serve()
    assert (it.pin.level, it.line.next_at()) == (False, None)


def test_a_doubled_interrupt_is_two_edges_and_none_without_the_first() -> None:
    it = Wired("doubled interrupt")
    it.line.set(True)
    it.serve()
    assert it.edges == 2


def test_a_pulse_waits_for_a_client_that_is_being_interrupted() -> None:
    it = Wired("doubled interrupt")
    it.line.set(True)
    it.line.set(False)  # acknowledged before the client said UNMASK
    assert (it.edges, it.line.next_at()) == (1, AGAIN_NS)
    it.wait(AGAIN_NS)
    assert it.edges == 1
    it.pin.unmask()
    it.wait(AGAIN_NS)
    assert (it.edges, it.line.next_at()) == (2, None)


@pytest.mark.parametrize("watched", [False, True])
def test_a_pulse_is_kept_until_the_client_unmasks_however_late(watched: bool) -> None:
    it = Wired("doubled interrupt", watched=watched)
    it.line.set(True)
    it.line.set(False)
    looks = 0
    while it.clock.now() < 1_000 * MS:
        looks += 1
        due = it.line.next_at()
        assert due is not None
        it.wait(due - it.clock.now())
    assert it.edges == 1
    assert looks < 1_000 * MS / AGAIN_MOST_NS + 20, "it looks again and again, for nothing"
    it.pin.unmask()
    it.wait(AGAIN_MOST_NS)
    assert (it.edges, it.line.next_at()) == (2, None)


def test_a_spurious_interrupt_that_comes_while_the_line_is_up_comes_once_it_is_down() -> None:
    it = Wired("lost interrupt at interrupt 9")
    it.line.set(True)
    it.line.pulse()
    it.wait(100 * MS)
    assert it.edges == 1
    it.serve()  # told once more at the unmask: the cause is still there
    assert it.edges == 2
    it.pin.unmask()
    it.wait(0)
    assert (it.edges, it.line.next_at()) == (3, None)


def test_a_pulse_of_a_card_that_is_gone_comes_once_it_is_back() -> None:
    it = Wired("lost interrupt at interrupt 9")
    it.line.gone = True
    it.line.pulse()
    it.wait(AGAIN_NS)
    assert it.edges == 0
    it.line.gone = False
    it.wait(AGAIN_MOST_NS)
    assert (it.edges, it.line.next_at()) == (1, None)


def test_a_stuck_line_is_an_edge_at_each_unmask() -> None:
    it = Wired("stuck interrupt for 1 ms")
    it.line.set(True)
    for _ in range(3):
        it.serve()
    assert (it.edges, it.line.level) == (4, False)
    it.wait(MS)
    it.pin.unmask()
    assert (it.edges, it.pin.level) == (4, False)


def test_a_lost_interrupt_is_no_edge_at_an_unmask_either() -> None:
    it = Wired("lost interrupt")
    it.line.set(True)
    it.pin.unmask()
    assert (it.edges, it.line.withheld) == (0, True)
    it.serve()
    it.line.set(True)
    assert (it.edges, it.line.withheld) == (1, False)


@pytest.mark.parametrize("late", [True, False])
def test_a_late_interrupt_is_one_edge_if_its_cause_is_still_there(late: bool) -> None:
    it = Wired("late interrupt by 2 ms")
    it.line.set(True)
    it.wait(MS)
    if not late:
        it.serve()
    it.wait(MS)
    assert it.edges == late


def test_nothing_comes_out_of_a_card_that_is_gone() -> None:
    it = Wired("lost interrupt at interrupt 9")
    it.line.set(True)
    it.line.gone = True
    assert not it.pin.level
    it.pin.unmask()
    it.line.set(False)
    it.line.set(True)
    assert it.edges == 1
    it.line.gone = False
    assert it.edges == 2
