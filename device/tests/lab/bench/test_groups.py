# SPDX-License-Identifier: Apache-2.0
"""Which groups run, on which planes; what a guest says; the harness once, quickly, but for what guest-tests/test_bench.py has."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.bench import contest, groups, in_guest, machine, plane
from plx9x5x.lab.bench.figures import Figure, Part, Results, Row
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.report.ktap import parse
from plx9x5x.lab.toolchain import load

SCRIPT = Path(__file__).parents[4] / "scripts/bench.py"


@pytest.fixture
def selectable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A version that lets a plane be chosen."""
    monkeypatch.delenv(plane.ENV, raising=False)
    monkeypatch.setattr(plane, "selectable", lambda: True)
    yield
    assert plane.ENV not in os.environ


@pytest.fixture
def one_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane, "selectable", lambda: False)


def test_groups_keep_their_order_and_unknown_ones_are_refused() -> None:
    assert groups.select(("growth", "socket")) == ("socket", "growth")
    assert groups.select(guests=False) == tuple(name for name in groups.GROUPS if name not in groups.NEED_A_GUEST)
    with pytest.raises(groups.NoSuchGroup, match="no group 'sockets'; there are: socket"):
        groups.select(("sockets",))


@pytest.mark.usefixtures("one_plane")
def test_a_version_with_one_plane_knows_its_name_only() -> None:
    assert plane.asked(None) == ("",)
    assert plane.asked("all") == plane.asked("python") == ("python",)
    assert plane.options("python") == ()
    with pytest.raises(plane.NoSuchPlane, match="no data plane 'native' in this version; there are: python"):
        plane.asked("native")


@pytest.mark.usefixtures("selectable")
def test_a_version_with_two_is_told_by_option_and_by_variable() -> None:
    assert plane.asked("all") == ("python", "native")
    assert plane.options("native") == ("--plane", "native")
    assert plane.options("") == ()
    with plane.chosen("native"):
        assert os.environ[plane.ENV] == "native"
    with plane.chosen(""):
        assert plane.ENV not in os.environ


def test_planes_of_a_group_make_one_part_and_a_group_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def good(options: Options) -> Part:
        return Part("good", "Good", (Row("row", "us", Figure((1.0,)), plane=options.plane),))

    def bad(_options: Options) -> Part:
        raise SetupError("no compiler", hint="install one")

    monkeypatch.setattr(groups, "GROUPS", {"bad": bad, "good": good})
    options = Options(load(need=()))
    heard: list[str] = []
    parts = groups.run(("bad", "good"), options, ("python", "native"), tell=heard.append)
    assert heard == ["bad", "good"]
    assert parts[0].left_out == ("bad: no compiler",) * 2
    assert [row.plane for row in parts[1].rows] == ["python", "native"]


def test_a_quick_run_does_little_and_at_least_one_of_everything() -> None:
    options = Options(load(need=()))
    assert options.count(3000) == 3000
    quick = replace(options, quick=True)
    assert (quick.count(3000), quick.count(3)) == (60, 1)


REPORT = b"""\
KTAP version 1
1..1
# bench name=bar0_read round=1 n=10 ns_per_op=2000.0
# bench name=bar0_read round=2 n=10 ns_per_op=4000.0
# a word beside
ok 1 bench_bar0_read
"""


def test_the_guests_rounds_are_read_from_its_report() -> None:
    assert in_guest.times_of([parse(REPORT)] * 2) == {"bar0_read": Figure((2.0, 4.0, 2.0, 4.0))}


def test_every_line_of_the_guest_stands_beside_the_peer_and_some_beside_edu() -> None:
    names = ("bar0_read", "bar0_write_issued", "bar0_write_drained", "bar1_in", "bar1_out", "irq_round_trip")
    edu = ("edu_read", "edu_write_issued", "edu_write_drained")
    ours, theirs = dict.fromkeys((*names, *edu), Figure((4.0,))), dict.fromkeys(names, Figure((2.0,)))
    rows = in_guest.rows_of(ours, theirs)
    assert [(row.peer_name, row.ratio) for row in rows] == [("C peer", Figure((2.0,)))] * 6 + [
        ("edu", Figure((1.0,)))
    ] * 5


@pytest.mark.parametrize("group", [group for group in groups.select(guests=False) if group != "start"])
def test_the_harness_measures_everything_that_needs_no_guest_and_starts_nothing(group: str) -> None:
    cores = os.sched_getaffinity(0)
    options = Options(load(need={"libvfio-user"}), rounds=1, quick=True, cpus=contest.pick_core())
    (part,) = groups.run([group], options, plane.asked(None), tell=lambda _name: None)
    assert part.group == group
    assert not part.left_out
    assert part.rows or part.curves
    assert os.sched_getaffinity(0) == cores


def test_the_script_shows_what_it_measured_and_shows_it_again_from_its_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--only", "registers", "--json", figures],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (part,) = Results.from_json(json.loads(figures.read_text(encoding="utf-8"))).parts
    assert part.group == "registers"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--from", str(figures)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--rounds", "0"), "--rounds takes a number from 1 on"),
        (("--quick", "--write-docs"), "mean nothing"),
        (("--only", "sockets"), "no group 'sockets'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    options: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_what_others_use_of_the_cores_is_a_share_of_all_of_them() -> None:
    assert machine.share(1.0, 4.0) == 25
    assert machine.share(-0.01, 4.0) == 0
    assert machine.share(0.0, 0.0) == 0
    watch = machine.Neighbours()
    sum(range(200_000))
    assert 0 <= watch.percent() <= 100
