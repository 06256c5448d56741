# SPDX-License-Identifier: Apache-2.0
"""INTA# with faults, as a transport and its client see it: edges that are taken, and a client that masks the line."""

import pytest

from plx9x5x.board import load_board
from plx9x5x.chip_faults import names
from plx9x5x.faults.injector import Injector
from plx9x5x.faults.line import AGAIN_NS, FaultyLine
from plx9x5x.model.clock import VirtualClock
from plx9x5x.transport.intx import IntxLine

READER = names.reader(load_board("rdk-9656-lite").profile)
MS = 1_000_000


class Wired:
    def __init__(self, *sentences: str) -> None:
        self.edges = 0
        self.clock = VirtualClock()
        self.pin = IntxLine(self._edge)
        self.injector = Injector(READER.plan(sentences), clock=self.clock)
        self.line = FaultyLine(self.pin, self.injector)

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


def test_a_pulse_for_a_client_that_never_unmasks_is_given_up() -> None:
    it = Wired("doubled interrupt")
    it.line.set(True)
    it.line.set(False)
    for _ in range(100):
        it.wait(AGAIN_NS)
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
