# SPDX-License-Identifier: Apache-2.0
"""The level of INTA# as edges: each line of the table in transport/intx.py."""

from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.transport.intx import IntxLine


class Wire:
    def __init__(self, *, listens: bool = True) -> None:
        self.edges = 0
        self.listens = listens
        self.line = IntxLine(self.trigger)

    def trigger(self) -> bool:
        self.edges += self.listens
        return self.listens


def test_a_rising_line_triggers_once_and_is_masked() -> None:
    wire = Wire()
    wire.line.set(True)
    wire.line.set(True)
    assert (wire.edges, wire.line.masked, wire.line.due) == (1, True, False)


def test_a_line_that_falls_and_rises_while_masked_stays_silent_until_unmask() -> None:
    wire = Wire()
    for level in (True, False, True):
        wire.line.set(level)
    assert wire.edges == 1
    wire.line.unmask()
    assert wire.edges == 2


def test_unmask_with_the_line_still_up_triggers_again() -> None:
    wire = Wire()
    wire.line.set(True)
    for round_ in range(2, 50):
        wire.line.unmask()
        assert wire.edges == round_


def test_unmask_with_the_line_down_triggers_nothing_and_arms_the_next_rise() -> None:
    wire = Wire()
    wire.line.set(True)
    wire.line.set(False)
    wire.line.unmask()
    assert wire.edges == 1
    wire.line.set(True)
    assert wire.edges == 2


def test_a_client_mask_holds_a_rise_until_unmask() -> None:
    wire = Wire()
    wire.line.mask()
    wire.line.set(True)
    assert wire.edges == 0
    wire.line.unmask()
    assert wire.edges == 1


def test_raised_and_cleared_while_masked_is_never_seen() -> None:
    wire = Wire()
    wire.line.mask()
    wire.line.set(True)
    wire.line.set(False)
    wire.line.unmask()
    assert wire.edges == 0


def test_reset_clears_the_line_and_the_mask() -> None:
    wire = Wire()
    wire.line.set(True)
    wire.line.reset()
    assert (wire.line.level, wire.line.masked) == (False, False)
    wire.line.set(True)
    assert wire.edges == 2


def test_an_edge_that_nobody_takes_stays_due() -> None:
    wire = Wire(listens=False)
    wire.line.set(True)
    assert wire.line.due
    wire.listens = True
    wire.line.retry()
    assert (wire.edges, wire.line.due) == (1, False)


def test_a_client_that_unmasks_inside_the_trigger_gets_no_endless_recursion() -> None:
    edges: list[int] = []

    def trigger() -> bool:
        edges.append(1)
        if len(edges) < 3:
            line.unmask()
        return True

    line = IntxLine(trigger)
    line.set(True)
    assert len(edges) == 3


@given(st.lists(st.sampled_from(["up", "down", "unmask", "mask", "reset"])))
def test_no_level_is_ever_lost(actions: list[str]) -> None:
    """After any history, an unmask with the line up delivers; an edge never leaves while masked or with the line down."""
    wire = Wire()
    for action in actions:
        before, masked, level = wire.edges, wire.line.masked, wire.line.level
        match action:
            case "up":
                wire.line.set(True)
                assert wire.edges - before == (not masked and not level)
            case "down":
                wire.line.set(False)
                assert wire.edges == before
            case "unmask":
                wire.line.unmask()
                assert wire.edges - before == level
            case "mask":
                wire.line.mask()
                assert wire.edges == before
            case "reset":
                wire.line.reset()
                assert wire.edges == before
        assert not wire.line.due
