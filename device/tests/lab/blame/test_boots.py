# SPDX-License-Identifier: Apache-2.0
"""Which switches share a guest, and to which of them belongs what was said there."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x import boards
from plx9x5x.errors import LostVm
from plx9x5x.findings.finding import Finding
from plx9x5x.lab.blame.boots import Boot, plan, sort
from plx9x5x.lab.blame.corpus import REST
from plx9x5x.lab.card.watching import CALLS
from plx9x5x.lab.guest.shapes import PLAIN
from plx9x5x.lab.report.ktap import Case, Report, Verdict
from plx9x5x.lab.trial import TryResult
from plx9x5x.lab.trial.verdict import DMESG, OUTPUT, Card
from tests.lab.blame.samples import LEFT, POOL, SWAP, finding

CAME_TO = "[ 9.1] wrong 0000:00:02.0: {}: {}\n"
DONE = "".join(CAME_TO.format(name, 0) for name in ("swap", "left", "pool"))
TWO = "blame: bug=swap\nblame: right=pool\n"


def result(
    logs: Path, said: str, *findings: Finding, lost: LostVm | None = None, dmesg: str = DONE, trouble: str | None = None
) -> TryResult:
    """What came of a guest in which nothing is wrong but `trouble`."""
    (logs / OUTPUT).write_text(said, encoding="utf-8")
    (logs / DMESG).write_text(dmesg, encoding="utf-8")
    said_of = {"load": (), "bind": ("bound 0000:00:02.0 wrong",), "command": ("status 0",)}
    cases = tuple(Case(n, name, Verdict.PASS, diagnostics=it) for n, (name, it) in enumerate(said_of.items(), 1))
    return TryResult(
        Report(cases, planned=3),
        logs,
        "6.1",
        lost=lost,
        cards=(Card("b", findings),),
        vfio_errors=() if trouble is None else (trouble,),
    )


def test_switches_share_a_guest_unless_they_cannot() -> None:
    other = replace(POOL, name="other", board="9080-401b")
    boots = list(plan((SWAP, LEFT, POOL, other), PLAIN, "6.1", apart=False))
    assert [(it.board, it.switches) for it in boots] == [
        (boards.DEFAULT, (SWAP, LEFT, POOL)),
        ("9080-401b", (other,)),
    ]
    ends = [replace(POOL, name=name, last=True) for name in ("first", "second")]
    assert [it.switches for it in plan((*ends, SWAP), PLAIN, "6.1", apart=False)] == [(ends[1],), (SWAP, ends[0])]
    assert [it.switches for it in plan((SWAP, LEFT), PLAIN, "6.1", apart=True)] == [(SWAP,), (LEFT,)]


def test_a_finding_belongs_to_the_switch_of_its_load_or_to_none(tmp_path: Path) -> None:
    boot = Boot(PLAIN, "6.1", "b", (SWAP, POOL))
    loads = {"a": 2, "b": 3, "c": 3, "d": 1, "e": 4}
    findings = [finding(rule, load=load) for rule, load in loads.items()]
    said = list(sort(boot, result(tmp_path, TWO, *findings)))
    assert [(it.switch, [one.rule for one in it.findings], it.trouble) for it in said] == [
        (SWAP, ["a"], ""),
        (POOL, ["b", "c"], ""),
        (REST, ["d", "e"], ""),
    ]


def test_who_is_alone_has_what_was_said_in_its_load_or_in_no_known_one(tmp_path: Path) -> None:
    findings = finding("a"), finding("b", load=2), finding("c", load=1)
    left, rest = sort(Boot(PLAIN, "6.1", "b", (LEFT,)), result(tmp_path, "blame: bug=left\n", *findings))
    assert [it.rule for it in left.findings] == ["a", "b"]
    assert [it.rule for it in rest.findings] == ["c"]


def test_of_a_guest_that_ends_early_the_last_one_and_all_after_it_are_lost(tmp_path: Path) -> None:
    boot = Boot(PLAIN, "6.1", "b", (SWAP, LEFT, POOL))
    said = list(sort(boot, result(tmp_path, "blame: bug=swap\nblame: bug=left\n", lost=LostVm("gone"))))
    assert [bool(it.trouble) for it in said] == [False, True, True, False]
    assert "gone" in said[1].trouble


def test_findings_without_a_load_are_given_to_nobody(tmp_path: Path) -> None:
    boot = Boot(PLAIN, "6.1", "b", (SWAP, POOL))
    said = list(sort(boot, result(tmp_path, TWO, finding("a", load=2), finding("b"))))[:2]
    assert [(it.findings, "--apart" in it.trouble) for it in said] == [((), True), ((), True)]


@pytest.mark.parametrize(
    ("swap", "pool", "troubles"),
    [
        (0, 0, ("", "")),
        (-110, 0, ("", "")),
        (-12, -110, ("its driver could not do it: -12", "its driver could not do it: -110")),
        (0, None, ("", "its driver did not say what it came to")),
        (None, 0, ("its driver did not say what it came to", "")),
    ],
)
def test_who_did_nothing_is_not_taken_for_one_who_did_right(
    swap: int | None, pool: int | None, troubles: tuple[str, str], tmp_path: Path
) -> None:
    said = "".join(CAME_TO.format(name, it) for name, it in (("swap", swap), ("pool", pool)) if it is not None)
    got = list(sort(Boot(PLAIN, "6.1", "b", (SWAP, POOL)), result(tmp_path, TWO, dmesg=said)))
    assert tuple(it.trouble for it in got) == (*troubles, "")


def test_the_problems_of_a_guest_that_was_not_lost_are_judged(tmp_path: Path) -> None:
    *switches, rest = sort(Boot(PLAIN, "6.1", "b", (SWAP, POOL)), result(tmp_path, TWO, trouble="no map"))
    assert not any(it.trouble for it in switches)
    assert rest.trouble == "QEMU: no map"


def test_a_violated_clause_is_that_of_its_load(tmp_path: Path) -> None:
    """Each load takes a buffer; the first and the third do not give it back."""
    (tmp_path / CALLS).write_text("".join(json.dumps(it) + "\n" for it in calls(left=(1, 3))), encoding="utf-8")
    swap, pool, rest = sort(Boot(PLAIN, "6.1", "b", (SWAP, POOL)), result(tmp_path, TWO))
    assert (swap.broken, pool.broken, rest.broken) == ((), ("CB-84",), ("CB-84",))
    assert rest.trouble == ""


def calls(*, left: tuple[int, ...]) -> Iterator[dict[str, object]]:
    for load in (1, 2, 3):
        module = {"kind": "module", "module": 9, "core": 0x100, "core_size": 16, "init": 0, "init_size": 0}
        memory = {"va": 0x4000, "handle": 0x4000, "size": 4096, "pool_page": False, "pc": 0x108}
        yield {**module, "gone": False}
        yield {**memory, "kind": "alloc", "seq": 10 * load, "physical": 0x4000}
        if load not in left:
            yield {**memory, "kind": "free", "seq": 10 * load + 1}
        yield {**module, "gone": True}


@pytest.mark.parametrize(("function", "kept"), [("swap_it", False), ("swap_items", True), ("go", True)])
def test_what_linux_says_of_a_mistake_that_it_sees_is_no_trouble(function: str, kept: bool, tmp_path: Path) -> None:
    told = f"WARNING: CPU: 0 PID: 9 at dma-iommu.c:1, in {function}+0x73/0xb0 [wrong]"
    boot = Boot(PLAIN, "6.1", "b", (replace(SWAP, kernel="swap_it"), POOL))
    *_, rest = sort(boot, result(tmp_path, TWO, trouble=told))
    assert rest.trouble == (f"QEMU: {told}" if kept else "")
