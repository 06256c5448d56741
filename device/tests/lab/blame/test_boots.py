# SPDX-License-Identifier: Apache-2.0
"""Which switches share a guest, and to which of them belongs what was said there."""

from dataclasses import replace
from pathlib import Path

from plx9x5x import boards
from plx9x5x.errors import LostVm
from plx9x5x.findings.finding import Finding
from plx9x5x.lab.blame.boots import Boot, plan, sort
from plx9x5x.lab.guest.shapes import PLAIN
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.trial import TryResult
from plx9x5x.lab.trial.verdict import OUTPUT, Card
from tests.lab.blame.samples import LEFT, POOL, SWAP, finding


def result(logs: Path, said: str, *findings: Finding, lost: LostVm | None = None) -> TryResult:
    (logs / OUTPUT).write_text(said, encoding="utf-8")
    return TryResult(Report(), logs, "6.1", lost=lost, cards=(Card("b", findings),))


def test_switches_share_a_guest_unless_they_cannot() -> None:
    other = replace(POOL, name="other", board="9080-401b")
    boots = list(plan((SWAP, LEFT, POOL, other), PLAIN, "6.1", apart=False))
    assert [(it.board, it.switches) for it in boots] == [
        (boards.DEFAULT, (LEFT,)),
        (boards.DEFAULT, (SWAP, POOL)),
        ("9080-401b", (other,)),
    ]
    ends = [replace(POOL, name=name, last=True) for name in ("first", "second")]
    assert [it.switches for it in plan((*ends, SWAP), PLAIN, "6.1", apart=False)] == [(ends[1],), (SWAP, ends[0])]
    assert [it.switches for it in plan((SWAP, LEFT), PLAIN, "6.1", apart=True)] == [(SWAP,), (LEFT,)]


def test_a_finding_belongs_to_the_switch_of_its_load(tmp_path: Path) -> None:
    boot = Boot(PLAIN, "6.1", "b", (SWAP, POOL))
    findings = finding("a", load=2), finding("b", load=3), finding("c", load=3), finding("d", load=1)
    swap, pool = sort(boot, result(tmp_path, "blame: bug=swap\nblame: right=pool\n", *findings))
    assert [it.rule for it in swap.findings] == ["a"]
    assert [it.rule for it in pool.findings] == ["b", "c"]


def test_who_is_alone_has_all_that_was_said(tmp_path: Path) -> None:
    (left,) = sort(Boot(PLAIN, "6.1", "b", (LEFT,)), result(tmp_path, "blame: bug=left\n", finding("a"), finding("b")))
    assert [it.rule for it in left.findings] == ["a", "b"]


def test_of_a_guest_that_ends_early_the_last_one_and_all_after_it_are_lost(tmp_path: Path) -> None:
    boot = Boot(PLAIN, "6.1", "b", (SWAP, LEFT, POOL))
    said = list(sort(boot, result(tmp_path, "blame: bug=swap\nblame: bug=left\n", lost=LostVm("gone"))))
    assert [bool(it.trouble) for it in said] == [False, True, True]
    assert "gone" in said[1].trouble


def test_findings_without_a_load_are_given_to_nobody(tmp_path: Path) -> None:
    boot = Boot(PLAIN, "6.1", "b", (SWAP, POOL))
    said = list(
        sort(boot, result(tmp_path, "blame: bug=swap\nblame: right=pool\n", finding("a", load=2), finding("b")))
    )
    assert [(it.findings, "--apart" in it.trouble) for it in said] == [((), True), ((), True)]
