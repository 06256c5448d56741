# SPDX-License-Identifier: Apache-2.0
"""The corpus of wrong drivers in a guest: whoever is at fault is named, and nobody else. All guests: `make blame`."""

from pathlib import Path

import pytest
from trying import folder
from which_kernel import kernels

from plx9x5x.lab.blame import corpus
from plx9x5x.lab.blame.boots import plan, throw
from plx9x5x.lab.blame.judge import Judged, Verdict, judge
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, Shape
from plx9x5x.lab.toolchain import build_module, load
from plx9x5x.rules.catalog import RULES

pytestmark = [pytest.mark.guest, pytest.mark.timeout(300)]

FOUND = corpus.read(Path(folder("wrong")).parents[1] / "wrong")
NAMES = {rule.name for rule in RULES}


def thrown(*names: str, shape: Shape, kernel: str) -> list[Judged]:
    """Each of these switches in a guest of its own."""
    boots = plan(FOUND.select(names), shape, kernel, apart=True)
    return [judge(said, NAMES) for boot in boots for said in throw(boot, FOUND)]


def test_it_builds_without_warnings(kernel: str) -> None:
    assert build_module(load(kernel=kernel, need={"kernel"}), FOUND.folder, name=corpus.MODULE).is_file()


@pytest.mark.parametrize("name", ["running-left", "local-descriptor", "no-ack"])
def test_a_mistake_is_named_and_nothing_else_is(name: str) -> None:
    (judged,) = thrown(name, shape=PLAIN, kernel=kernels()[0])
    assert judged.verdict is Verdict.NAMED, str(judged)


def test_a_count_that_is_wrong_behind_an_iommu_is_named_there() -> None:
    (judged,) = thrown("sg-count", shape=IOMMU, kernel=kernels()[0])
    assert judged.verdict is Verdict.NAMED, str(judged)


def test_what_is_right_is_accused_of_nothing() -> None:
    (judged,) = thrown("valid-bits", shape=IOMMU, kernel=kernels()[0])
    assert judged.verdict is Verdict.UNSEEN, str(judged)


def test_every_switch_can_be_thrown_in_one_guest() -> None:
    """A mistake leaves the chip, and the kernel, so that the next load starts as the first did."""
    (boot,) = (it for it in plan(FOUND.switches, PLAIN, kernels()[0], apart=False) if len(it.switches) > 1)
    assert not [str(judge(said, NAMES)) for said in throw(boot, FOUND) if "did not come" in said.trouble]
