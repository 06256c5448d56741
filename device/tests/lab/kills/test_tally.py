# SPDX-License-Identifier: Apache-2.0
"""Figures of kills: what counts as clean, and how it is shown."""

import pytest

from plx9x5x.lab.kills.tally import Tally, percentile, table
from plx9x5x.lab.kills.traces import Footprint


@pytest.mark.parametrize(("count", "wanted"), [(1, 0), (10, 9), (100, 98), (101, 99), (1000, 989)])
def test_99_of_a_hundred_times_are_not_above_the_99th_percentile(count: int, wanted: int) -> None:
    assert percentile([float(number) for number in reversed(range(count))], 99) == wanted


@pytest.mark.parametrize("kind", ["leaks", "hung_up", "wrong"])
@pytest.mark.parametrize("limit", ["", "the library's"])
def test_what_is_left_fails_unless_it_is_a_limit_and_wrong_answers_always(kind: str, limit: str) -> None:
    tally = Tally("client", limit=limit)
    assert tally.ok
    getattr(tally, kind).append("one")
    assert tally.ok is (bool(limit) and kind != "wrong")
    assert ("client: limit: the library's" in tally.verdicts()) is tally.ok


def test_the_table_has_a_row_for_each_quantity_and_tells_what_was_left() -> None:
    tally = Tally("client", kills=3, leaks=[f"file {number}" for number in range(7)], notes=["a note"])
    for seconds in (0.001, 0.002, 0.0104):
        tally.took("answer", seconds)
    assert table([tally]).splitlines() == [
        "killed  kills  what is timed  n  median      p99    worst",
        "client      3  answer         3  2.0 ms  10.4 ms  10.4 ms",
        "client: left behind: 7 times: file 0; file 1; file 2; file 3; file 4; and 2 more",
        "client: hung up on: nothing",
        "client: wrong: nothing",
        "client: a note",
    ]


def test_what_differs_between_footprints_is_said_and_memory_is_not_compared() -> None:
    before = Footprint((("pipe:", 1), ("socket:", 2)), mappings=1, threads=1, rss_kib=10)
    after = Footprint((("/memfd:ram", 1), ("socket:", 1)), mappings=2, threads=3, rss_kib=20)
    assert after.more_than(before) == (
        "0 -> 1 descriptors of /memfd:ram, 1 -> 0 descriptors of pipe:, 2 -> 1 descriptors of socket:, "
        "1 -> 2 mappings, 1 -> 3 threads"
    )
    assert before == Footprint(before.descriptors, mappings=1, threads=1, rss_kib=99)
