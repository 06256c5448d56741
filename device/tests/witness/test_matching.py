# SPDX-License-Identifier: Apache-2.0
"""Accesses meet their records by content, in whatever order the two ways bring them."""

from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.findings.place import Spot
from plx9x5x.witness.matching import MOST_GOT, PASSED, UNWATCHED_NS, WRITTEN_MOST, Matching
from plx9x5x.witness.records import Access, Kind, Record


class Ways:
    """Both ways to a matching, and a clock."""

    def __init__(self) -> None:
        self.time = 0
        self.matching = Matching(lambda: self.time)
        self.seq = 0

    def record(
        self, offset: int, value: int = 0, *, width: int = 4, write: bool = True, cpu: int = 0, port: bool = False
    ) -> int:
        self.seq += 1
        flags = (Access.WRITE if write else 0) | (Access.PORT if port else 0)
        record = Record(self.seq, Kind.ACCESS, flags, cpu, width, 0x1000 + self.seq, (0, value, 0, 0, 0, 0, 0, 0))
        self.matching.record(record, 0, offset)
        return self.seq

    def access(self, offset: int, value: int = 0, *, width: int = 4, write: bool = True) -> Spot:
        return self.matching.access(0, offset, width, value, write=write)


def test_a_write_may_come_before_its_record_or_after() -> None:
    ways = Ways()
    early = ways.access(4, 7)
    assert (early.pc, early.seq) == (0, 0)
    assert ways.record(4, 7) == early.seq
    due = ways.record(8, 9)
    assert ways.matching.first_due == due
    assert ways.access(8, 9).seq == due
    assert ways.matching.first_due is None
    assert ways.matching.matched == 2


def test_another_value_width_or_offset_is_another_access() -> None:
    ways = Ways()
    spots = [ways.access(4, 7), ways.access(8, 8), ways.access(4, 8, width=1)]
    ways.record(4, 8)
    assert [it.seq for it in spots] == [0, 0, 1], "one byte of four may be a piece"
    ways = Ways()
    spots = [ways.access(4, 7), ways.access(8, 8)]
    ways.record(4, 8)
    ways.record(4, 7, write=False)
    assert [it.seq for it in spots] == [0, 0]


def test_an_in_is_told_before_it_happens() -> None:
    ways = Ways()
    for at in range(3):
        seq = ways.record(4, write=False, port=True)
        assert ways.matching.first_due == seq
        spot = ways.access(4, at, write=False)
        assert (spot.seq, ways.matching.first_due) == (seq, None)
    assert ways.matching.matched == ways.matching.accesses == 3
    assert ways.access(4, write=False).seq == 0


def test_an_in_that_meets_somebody_elses_passes_no_write_over() -> None:
    ways = Ways()
    ways.access(4, write=False)  # of a program
    due = ways.record(8, 9)
    ways.record(4, write=False, port=True)
    assert ways.matching.first_due == due
    ways.record(4, write=False, port=True)
    ways.access(4, write=False)
    assert ways.matching.first_due == due
    assert ways.access(8, 9).seq == due
    assert ways.matching.first_due is None


def test_reads_meet_whatever_they_gave() -> None:
    ways = Ways()
    spot = ways.access(4, write=False)
    ways.record(4, 0x1234, write=False)
    assert spot.seq == 1
    ways.record(4, 0x1234, write=False)
    assert ways.matching.first_due is None


def test_an_access_of_eight_bytes_comes_in_pieces() -> None:
    for first in (True, False):
        ways = Ways()
        value = 0x1122_3344_5566_7788
        if first:
            ways.record(16, value, width=8)
            low = ways.access(16, 0x5566_7788)
            assert ways.matching.first_due == 1
            high = ways.access(20, 0x1122_3344)
        else:
            low, high = ways.access(16, 0x5566_7788), ways.access(20, 0x1122_3344)
            ways.record(16, value, width=8)
        assert (low.seq, high.seq) == (1, 1)
        assert ways.matching.first_due is None


def test_an_access_of_nobody_is_let_go() -> None:
    ways = Ways()
    nobody = ways.access(4, 7)
    ways.time = UNWATCHED_NS + 1
    mine = ways.access(4, 7)
    ways.record(4, 7)
    assert (nobody.seq, mine.seq) == (0, 1)
    first = ways.access(8, 1)
    for value in range(MOST_GOT + 5):
        ways.access(12, value)
    ways.record(8, 1)
    assert first.seq == 0


def test_a_record_whose_access_never_comes_is_passed_over() -> None:
    """By a later one of its processor at once, by those of others after some."""
    ways = Ways()
    lost = ways.record(4, 1, cpu=1)
    ways.record(8, 2, cpu=1)
    assert ways.matching.first_due == lost
    ways.access(8, 2)
    assert ways.matching.first_due is None
    ways = Ways()
    lost = ways.record(4, 1, cpu=1)
    for turn in range(PASSED):
        assert ways.matching.first_due == lost
        ways.record(8, turn)
        ways.access(8, turn)
    assert ways.matching.first_due is None
    assert ways.access(4, 1).seq == 0, "it is not met any more"


def test_the_last_write_of_an_offset() -> None:
    ways = Ways()
    ways.record(0xA8, 3, width=1)
    ways.access(0xA8, 3, width=1)
    ways.record(0xA8, 0, width=4)
    ways.access(0xA8, 0, width=4)
    written = ways.matching.written(0xA9, (0, 1))
    assert written is not None
    assert written.seq == 2
    assert ways.matching.written(0xAC, (0, 1)) is None
    ways.matching.access(1, 0xA9, 1, 5, write=True)
    spot = ways.matching.written(0xA9, (0, 1))
    assert spot is ways.matching.last_write
    for at in range(WRITTEN_MOST):
        ways.access(0x1000 + at, 1, width=1)
    assert ways.matching.written(0xA8, (0,)) is None


@given(st.lists(st.tuples(st.sampled_from((0, 4, 8)), st.integers(0, 2), st.booleans(), st.integers(0, 3))), st.data())
def test_one_processor_is_followed_exactly(accesses: list[tuple[int, int, bool, int]], data: st.DataObject) -> None:
    """Writes are posted, reads wait for all before them: each access has its own record's place in the end."""
    ways = Ways()
    spots: list[tuple[int, Spot]] = []
    posted: list[tuple[int, int, int]] = []

    def arrive(count: int) -> None:
        for _ in range(min(count, len(posted))):
            seq, offset, value = posted.pop(0)
            spots.append((seq, ways.access(offset, value)))

    for offset, value, write, late in accesses:
        if write:
            if late == 0 and not posted:
                spots.append((ways.seq + 1, ways.access(offset, value)))
                ways.record(offset, value)
            else:
                posted.append((ways.record(offset, value), offset, value))
                arrive(data.draw(st.integers(0, 2)))
        else:
            arrive(len(posted))
            spots.append((ways.seq + 1, ways.access(offset, write=False)))
            ways.record(offset, write=False)
        due = ways.matching.first_due
        assert due == (posted[0][0] if posted else None)
    arrive(len(posted))
    assert all(spot.seq == seq for seq, spot in spots)
    assert ways.matching.first_due is None


def test_as_many_processors_as_there_are_may_stand_between_an_access_and_its_record() -> None:
    """With more of them than usual, more must have gone by before a write counts as one that never comes."""
    ways = Ways()
    many = 3 * PASSED
    mine = ways.record(4, 1, cpu=many)
    for cpu in range(many):
        ways.record(8, cpu, cpu=cpu)
        ways.access(8, cpu)
        assert ways.matching.first_due == mine
    assert ways.access(4, 1).seq == mine
