# SPDX-License-Identifier: Apache-2.0
"""The corpus of wrong drivers in a guest: whoever is at fault is named, and nobody else. All guests: `make blame`."""

from pathlib import Path

import pytest
from trying import folder
from which_kernel import kernels

from plx9x5x.lab.blame import corpus, page
from plx9x5x.lab.blame.boots import plan, throw
from plx9x5x.lab.blame.judge import Judged, Line, Verdict, judge
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, Shape
from plx9x5x.lab.toolchain import build_module, load

pytestmark = [pytest.mark.guest, pytest.mark.timeout(300)]

FOUND = corpus.read(Path(folder("wrong")).parents[1] / "wrong")

PAGE = (Path(FOUND.folder).parents[1] / "docs" / page.NAME).read_text(encoding="utf-8")


def thrown(*names: str, shape: Shape) -> list[Judged]:
    """These switches, all of them without a name, each loaded once: in one guest, but for those that need another."""
    boot = max(plan(FOUND.select(names), shape, kernels()[0], apart=False), key=lambda it: len(it.switches))
    return [judge(said) for said in throw(boot, FOUND)]


@pytest.fixture(scope="module")
def plain() -> list[Judged]:
    """All that share a guest."""
    judged = thrown(shape=PLAIN)
    assert len(judged) > 75
    return judged


def test_it_builds_without_warnings(kernel: str) -> None:
    assert build_module(load(kernel=kernel, need={"kernel"}), FOUND.folder, name=corpus.MODULE).is_file()


def test_each_mistake_is_named_by_its_rule_and_nobody_is_accused_of_what_is_right(plain: list[Judged]) -> None:
    assert not [str(it) for it in plain if not it.verdict.good]


def test_the_page_says_the_same(plain: list[Judged]) -> None:
    on_page = page.said_on(PAGE, PLAIN.name, plain[0].said.kernel)
    assert {it.said.switch.name: it.verdict.value for it in plain if it.said.switch.name}.items() <= on_page.items()


def test_nearly_all_are_named_with_the_line_that_is_wrong(plain: list[Judged]) -> None:
    named = [it for it in plain if it.verdict is Verdict.NAMED]
    elsewhere = [str(it) for it in named if it.line is not Line.RIGHT]
    assert len(elsewhere) <= len(named) // 12, elsewhere
    assert not [it for it in named if it.line is Line.NONE]


def test_lists_that_an_iommu_merges_are_told_there() -> None:
    judged = thrown("sg-count", "unmap-sg-count", "sg-list", "valid-bits", shape=IOMMU)
    verdicts = {it.said.switch.name: it.verdict for it in judged if it.said.switch.name}
    assert verdicts == {
        "sg-count": Verdict.NAMED,
        "unmap-sg-count": Verdict.NAMED,
        "sg-list": Verdict.UNSEEN,
        "valid-bits": Verdict.UNSEEN,
    }, [str(it) for it in judged]


def test_what_is_right_is_right_on_a_slow_bus_too() -> None:
    """Its waits run out, and it stops the channel before it lets the memory go."""
    rights = tuple(it.name for it in FOUND.rights if it.board is None)
    (boot,) = plan(FOUND.select(rights), PLAIN, kernels()[0], apart=False)
    judged = [judge(said) for said in throw(boot, FOUND, faults=("slow bus by 100 ms",))]
    assert not [str(it) for it in judged if it.verdict is Verdict.ACCUSED]
    late = {it.said.switch.name for it in judged if it.said.trouble == "its driver could not do it: -110"}
    assert {"bidirectional", "exact-end", "sg-list"} <= late, [str(it) for it in judged]
