# SPDX-License-Identifier: Apache-2.0
"""What is as it should be, and what is not."""

import pytest

from plx9x5x.lab.blame.judge import Line, Said, Verdict, judge
from tests.lab.blame.samples import LEFT, POOL, RULES, SWAP, finding


@pytest.mark.parametrize(
    ("shape", "rules", "verdict"),
    [
        ("high", ["dma-byte-order"], Verdict.NAMED),
        ("high", ["unmapped-address", "dma-byte-order"], Verdict.NAMED),
        ("high", ["unmapped-address"], Verdict.MISSED),
        ("high", [], Verdict.MISSED),
        ("high", ["dma-byte-order", "dma-left"], Verdict.ACCUSED),
        ("plain", [], Verdict.UNSEEN),
        ("plain", ["unmapped-address"], Verdict.ACCUSED),
        ("swiotlb", ["local-address"], Verdict.NAMED),
        ("swiotlb", ["dma-byte-order"], Verdict.ACCUSED),
    ],
)
def test_the_rule_of_the_guest_is_to_be_named_and_nothing_else(shape: str, rules: list[str], verdict: Verdict) -> None:
    judged = judge(Said(SWAP, shape, "6.1", tuple(map(finding, rules))), RULES)
    assert (judged.verdict, judged.verdict.good) == (verdict, verdict in (Verdict.NAMED, Verdict.UNSEEN))
    assert judged.who == ("driver" if verdict is Verdict.NAMED else "")


def test_what_is_right_may_be_accused_of_nothing() -> None:
    assert judge(Said(POOL, "plain", "6.1"), RULES).verdict is Verdict.UNSEEN
    judged = judge(Said(POOL, "plain", "6.1", (finding("dma-left"), finding("dma-left"))), RULES)
    assert (judged.verdict, judged.strange) == (Verdict.ACCUSED, ("dma-left",))
    assert str(judged) == "ACCUSED  right=pool                 6.1 plain      dma-left of what is right"


def test_a_rule_that_there_is_not_is_no_miss_and_not_good() -> None:
    judged = judge(Said(LEFT, "plain", "6.1"), ())
    assert (judged.verdict, judged.verdict.good) == (Verdict.UNRULED, False)
    assert "there is no rule dma-left; nothing was said" in str(judged)


def test_a_guest_that_was_lost_says_nothing_of_the_rule() -> None:
    judged = judge(Said(SWAP, "plain", "6.1", trouble="VM lost: it"), RULES)
    assert (judged.verdict, judged.verdict.good) == (Verdict.LOST, False)
    assert str(judged).endswith("VM lost: it")


@pytest.mark.parametrize(
    ("wheres", "line"),
    [
        (["go(), a.c:7"], Line.RIGHT),
        (["go(), /x/y/a.c:9", "b(), b.c:1"], Line.RIGHT),
        (["set(), b.c:1, called in go(), a.c:7, called in all(), a.c:20"], Line.RIGHT),
        (["b(), b.c:1", "go(), a.c:7"], Line.BESIDE),
        (["b(), b.c:1"], Line.WRONG),
        (["go(), a.c:70"], Line.WRONG),
        (["go()+0x12"], Line.NONE),
        ([], Line.NONE),
    ],
)
def test_the_line_is_right_if_it_is_the_first_place(wheres: list[str], line: Line) -> None:
    judged = judge(Said(SWAP, "high", "6.1", (finding("dma-byte-order", *wheres),)), RULES)
    assert (judged.verdict, judged.line) == (Verdict.NAMED, line)
    frames = [it.split("/")[-1].split(" ")[-1] for it in wheres[0].split(", called in ")] if wheres else []
    assert judged.where == (" < ".join(frames) if line is not Line.NONE else "")
