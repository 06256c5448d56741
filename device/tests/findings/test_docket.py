# SPDX-License-Identifier: Apache-2.0
"""One cause is one finding: said once, then once a minute at most; a hostile guest grows neither memory nor log."""

from dataclasses import dataclass

import pytest

from plx9x5x.findings import docket
from plx9x5x.findings.docket import AGAIN_NS, Docket
from plx9x5x.findings.finding import Charge, UnknownRule, Who, from_json
from plx9x5x.findings.place import Nowhere
from plx9x5x.findings.rule import Rule, by_event, named, when


@dataclass(frozen=True)
class Slip:
    """A mistake, for a test."""

    cause: int


def _look(slip: Slip) -> Charge:
    return Charge((slip.cause,), f"slip {slip.cause}", (("value", hex(slip.cause)),), "do not")


RULE = Rule("slip", Who.BOARD, "t", "m", "w", "r", certain=False, looks=when(Slip, _look))


class Loaded(Nowhere):
    """Somebody who knows which load of a driver it is, and no more."""

    number = 0

    def load(self) -> int:
        return self.number


class Room:
    """A docket with a clock of its own."""

    def __init__(self, most: int = 64) -> None:
        self.said: list[str] = []
        self.time = 0
        self.place = Loaded()
        self.docket = Docket([RULE], self.said.append, most=most, now=lambda: self.time, whereabouts=self.place)

    def slip(self, cause: int, times: int = 1) -> None:
        for _ in range(times):
            self.docket.take(Slip(cause), self.time)


def test_a_cause_is_said_once_and_counted() -> None:
    room = Room()
    room.slip(7, 1000)
    assert room.said == ["board, likely: slip 7 [value 0x7]. do not (slip)"]
    assert [(it.count, it.who, it.certain) for it in room.docket.findings] == [(1000, Who.BOARD, False)]


def test_what_happened_first_comes_first_though_it_was_told_later() -> None:
    room = Room()
    for cause, time in ((7, 30), (8, 20), (9, 20)):
        room.docket.take(Slip(cause), time)
    assert [it.first_ns for it in room.docket.findings] == [20, 20, 30]
    assert [it.what for it in room.docket.findings] == ["slip 8", "slip 9", "slip 7"]


def test_what_comes_again_is_said_once_a_minute() -> None:
    room = Room()
    room.slip(7, 5)
    room.time = AGAIN_NS - 1
    room.slip(7)
    assert len(room.said) == 1
    room.time = AGAIN_NS
    room.slip(7, 3)
    assert len(room.said) == 2
    assert room.said[1].endswith("again: 6 x since, 7 in all")
    assert room.docket.findings[0].last_ns == AGAIN_NS
    assert room.docket.findings[0].first_ns == 0


def test_causes_without_number_are_bounded() -> None:
    room = Room(most=3)
    for cause in range(1000):
        room.slip(cause)
    assert len(room.docket.findings) == 3
    assert room.docket.others == 997
    assert len(room.said) == 4
    room.docket.clear()
    assert not room.docket.findings
    assert room.docket.others == 0


def test_each_load_of_the_driver_has_causes_of_its_own_and_that_they_are_many_is_said_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(docket, "MOST_IN_ALL", 10)
    room = Room(most=3)
    for room.place.number in (1, 2, 3):
        for cause in range(5):
            room.slip(cause)
    told = "3 causes so far; more are counted and not told apart"
    full = [line for line in room.said if "not told apart" in line]
    assert full == [f"load {load} of the driver: {told}" for load in (1, 2, 3)]
    for room.place.number in range(4, 20):
        room.slip(1)
    assert len(room.docket.findings) == 10
    assert room.docket.others == 6 + 15
    assert [line for line in room.said if "not told apart" in line][3:] == [
        "10 causes so far; more are counted and not told apart"
    ]
    assert len(room.said) == 10 + 4


def test_an_event_of_another_class_is_nobody_s() -> None:
    room = Room()
    room.docket.take("slip", 0)
    assert not room.said


def test_a_finding_goes_through_json_and_back() -> None:
    room = Room()
    room.slip(7, 2)
    (finding,) = room.docket.findings
    assert from_json(finding.json()) == finding


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two rules are called slip"):
        by_event([RULE, RULE])


def test_a_rule_that_is_not_there_is_named_with_its_neighbours() -> None:
    assert named("slip", [RULE]) is RULE
    with pytest.raises(UnknownRule, match="no rule 'slop'; did you mean slip"):
        named("slop", [RULE])
