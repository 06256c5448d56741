# SPDX-License-Identifier: Apache-2.0
"""What is as it should be, and what is not."""

import pytest

from plx9x5x.lab.blame.judge import Line, Said, Verdict, judge, lines_missed
from tests.lab.blame.samples import LEFT, POOL, SWAP, finding


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
    judged = judge(Said(SWAP, shape, "6.1", tuple(map(finding, rules))))
    assert (judged.verdict, judged.verdict.good) == (verdict, verdict in (Verdict.NAMED, Verdict.UNSEEN))
    assert judged.who == ("driver" if verdict is Verdict.NAMED else "")


def test_what_is_right_may_be_accused_of_nothing() -> None:
    assert judge(Said(POOL, "plain", "6.1")).verdict is Verdict.UNSEEN
    judged = judge(Said(POOL, "plain", "6.1", (finding("dma-left"), finding("dma-left"))))
    assert (judged.verdict, judged.strange) == (Verdict.ACCUSED, ("dma-left",))
    assert str(judged) == "ACCUSED  right=pool                 6.1 plain      dma-left of what is right"


def test_a_guest_that_was_lost_says_nothing_of_the_rule() -> None:
    judged = judge(Said(SWAP, "plain", "6.1", trouble="VM lost: it"))
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
    judged = judge(Said(SWAP, "high", "6.1", (finding("dma-byte-order", *wheres),)))
    assert (judged.verdict, judged.line) == (Verdict.NAMED, line)
    frames = [it.split("/")[-1].split(" ")[-1] for it in wheres[0].split(", called in ")] if wheres else []
    assert judged.where == (" < ".join(frames) if line is not Line.NONE else "")


def test_a_right_driver_that_could_not_do_it_is_lost_unless_it_is_accused() -> None:
    trouble = "its driver could not do it: -12"
    assert judge(Said(POOL, "plain", "6.1", trouble=trouble)).verdict is Verdict.LOST
    assert judge(Said(POOL, "plain", "6.1", (finding("dma-left"),), trouble)).verdict is Verdict.ACCUSED
    assert judge(Said(SWAP, "high", "6.1", (finding("dma-byte-order"),), trouble)).verdict is Verdict.LOST


def test_clauses_are_broken_by_those_alone_that_give_memory_back_wrongly() -> None:
    judged = judge(Said(POOL, "plain", "6.1", broken=("CB-81", "CB-84")))
    assert (judged.verdict, judged.strange) == (Verdict.ACCUSED, ("CB-81", "CB-84"))
    swap = judge(Said(SWAP, "high", "6.1", (finding("dma-byte-order"),), broken=("CB-81",)))
    assert (swap.verdict, swap.strange) == (Verdict.ACCUSED, ("CB-81",))
    left = judge(Said(LEFT, "plain", "6.1", (finding("dma-left"),), broken=("CB-84",)))
    assert left.verdict is Verdict.NAMED


@pytest.mark.parametrize(
    ("right", "beside", "enough"), [(18, 2, True), (17, 3, False), (9, 1, True), (0, 1, True), (8, 2, False)]
)
def test_nine_lines_in_ten_are_enough(right: int, beside: int, enough: bool) -> None:
    yes = judge(Said(SWAP, "high", "6.1", (finding("dma-byte-order", "go(), a.c:7"),)))
    no = judge(Said(LEFT, "high", "6.1", (finding("dma-left", "go(), z.c:7"),)))
    unseen = judge(Said(SWAP, "plain", "6.1"))
    said = lines_missed([*[yes] * right, *[no] * beside, *[unseen] * 30])
    assert said == ("" if enough else f"{right} of {right + beside} are named with the wrong line first, and not left")
