# SPDX-License-Identifier: Apache-2.0
"""A guest's lines about its common buffers are read as they are meant, and nothing in them is trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.contract import observed
from plx9x5x.lab.contract.observed import Buffer, Free, Moved, Null, Streaming
from tests.lab.contract.guest_words import BEGIN, BEGIN_TRANSLATED, GOOD, LA, VA, alloc, free, report


def test_a_buffers_life() -> None:
    seen = observed.read(report(GOOD, case="case_a"))
    assert not seen.problems
    assert seen.began
    assert seen.ended
    buffer = seen.buffers[1]
    assert (buffer.case, buffer.length, buffer.va, buffer.la, buffer.usable) == ("case_a", 4097, VA, LA, 4097)
    assert buffer.frames == [0x560E, 0x560F]
    assert buffer.moved == [Moved(LA, 4097, 0)]
    assert [byte.offset for byte in buffer.access] == [0, 4096]
    assert (buffer.past, buffer.gone_cpu, buffer.gone_device, buffer.reached_after_free) == (False, False, None, False)
    assert seen.frees == [Free(2, "case_a", 1, 4097, VA, LA, refused=False, cached=True)]


def test_a_request_that_got_nothing() -> None:
    seen = observed.read(report([BEGIN, "null order=1 length=0 limit=0xffffffff held=0 cached=1", "end order=1"]))
    assert seen.nulls == [Null(1, "a", 0, 0xFFFFFFFF, 0, cached=True)]
    assert not seen.problems


def test_refused_frees_are_kept_apart() -> None:
    seen = observed.read(report([BEGIN, *alloc(), *free(refused=1), *free(3), "end order=3"]))
    assert [one.order for one in seen.refused] == [2]
    assert [one.order for one in seen.frees] == [3]


def test_scattered_page_frames_over_several_lines() -> None:
    told, _ = alloc(length=16384)
    lines = [BEGIN_TRANSLATED, told, "frames order=1 run=0x9+1,0x3+2", "frames order=1 run=0x7+1", "end order=1"]
    seen = observed.read(report(lines))
    assert seen.translated
    assert seen.buffers[1].frames == [9, 3, 4, 7]
    assert not seen.problems


def test_a_streaming_mapping_is_no_request() -> None:
    seen = observed.read(report([BEGIN, "streaming length=64 physical=0x1031de000 la=0x7bb23000", "end order=0"]))
    assert seen.streaming == [Streaming("a", 64, 0x1_031D_E000, 0x7BB2_3000)]
    assert not seen.requests
    assert not seen.problems


def test_seed_is_reported() -> None:
    assert observed.read(report([BEGIN, "seed value=42", "end order=0"])).seed == 42


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([BEGIN, *alloc(), *free(3), "end order=3"], "1 of 3 requests for common buffers were not told"),
        ([BEGIN, *alloc(), "end order=2"], "1 of 2 requests for common buffers were not told"),
        ([BEGIN, *alloc()], "the guest did not tell of its common buffers to the end"),
        ([BEGIN, alloc()[0], "end order=1"], "request 1: 2 pages, 0 page frames"),
        ([BEGIN, *alloc(), alloc()[0], "end order=1"], "number 1 comes twice"),
        ([BEGIN, "alloc order=1", "end order=0"], "cannot read 'observed alloc order=1': no length"),
        ([BEGIN, "free order=one", "end order=0"], "cannot read 'observed free order=one': order is no number"),
        ([BEGIN, "guess order=1", "end order=0"], "cannot read 'observed guess order=1': unknown"),
        ([BEGIN, "gone order=5 cpu=0", "end order=0"], "'observed gone' is about request 5, which gave no buffer"),
        ([BEGIN, *alloc(), "past order=1", "end order=1"], "cannot read a line 'observed past': no cpu"),
        ([BEGIN, *alloc(), "frames order=1 run=7", "end order=1"], "'7' is no run of page frames"),
        ([BEGIN, *alloc(), "frames order=1 run=0x0+9999999", "end order=1"], "too many page frames"),
    ],
)
def test_what_is_wrong_with_the_lines_is_said(lines: list[str], said: str) -> None:
    assert any(said in problem for problem in observed.read(report(lines)).problems)


def test_a_report_that_broke_off_is_not_blamed_for_its_missing_end() -> None:
    whole = report([BEGIN, *alloc()])
    broken = type(whole)(cases=whole.cases, started=True, problems=("2 planned tests have no result",))
    assert not observed.read(broken).problems


def test_a_flood_of_nonsense_is_counted() -> None:
    seen = observed.read(report([BEGIN, *["x"] * 100, "end order=0"]))
    assert len(seen.problems) == observed.PROBLEMS_MAX + 1
    assert seen.problems[-1] == "80 more of these"


WORD = st.sampled_from(
    [*["alloc", "free", "null", "frames", "dma", "byte", "past", "gone", "begin", "end", "seed"], *GOOD[1:4], "x"]
)
VALUE = st.sampled_from(
    ["order=1", "order=0x2", "order=-1", "run=0x1+2", "run=,", "length=5", "a=b=c", "=", "cpu=2", "of=1"]
)


@given(st.lists(st.tuples(WORD, st.lists(VALUE)).map(lambda pair: " ".join([pair[0], *pair[1]])), max_size=20))
def test_no_line_makes_it_raise(lines: list[str]) -> None:
    seen = observed.read(report(lines))
    assert all(isinstance(request, (Buffer, Null, Free)) for request in seen.requests)
