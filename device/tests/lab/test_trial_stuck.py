# SPDX-License-Identifier: Apache-2.0
"""Where a guest hangs, read off what its kernel prints when an NMI ends it."""

from dataclasses import replace
from pathlib import Path

from plx9x5x.errors import LostVm
from plx9x5x.lab.report.ktap import parse
from plx9x5x.lab.trial import TryResult
from plx9x5x.lab.trial.stuck import Stuck, find

LOOPS = """\
[    7.4] Kernel panic - not syncing: NMI: Not continuing
[    7.4] CPU: 0 PID: 61 Comm: insmod Tainted: G           OE      6.1.0-50-cloud-amd64 #1  Debian
[    7.4] Call Trace:
[    7.4]  <NMI>
[    7.4]  dump_stack_lvl+0x44/0x5c
[    7.4]  unknown_nmi_error+0x5e/0x70
[    7.4] RIP: 0010:mine_poll+0x7/0x9 [mine]
[    7.4] Code: 00 00 0f 1f 44 00 00 f3 90 eb fc
[    7.4]  </NMI>
[    7.4]  <TASK>
[    7.4]  mine_probe+0x5b/0x100 [mine]
[    7.4]  local_pci_probe+0x41/0x80
[    7.5] task:mine            state:S stack:0     pid:70    ppid:2
[    7.5] Call Trace:
[    7.5]  <TASK>
[    7.5]  mine_thread+0x10/0x20 [mine]
"""
WAITS = """\
[    7.4] CPU: 0 PID: 0 Comm: swapper/0 Not tainted 6.12.1 #1  Debian
[    7.4]  <NMI>
[    7.4]  panic+0x10/0x20
[    7.4]  </NMI>
[    7.4]  pv_native_safe_halt+0xf/0x10
[    7.5] task:kthreadd        state:S stack:0     pid:2     ppid:0
[    7.5]  kthreadd+0x10/0x20
[    7.5] task:insmod          state:D stack:0     pid:61    ppid:1
[    7.5] Call Trace:
[    7.5]  <TASK>
[    7.5]  __schedule+0x34d/0x9e0
[    7.5]  ? mine_stale+0x1/0x2 [mine]
[    7.5]  wait_for_completion+0x86/0x160
[    7.5]  mine_probe+0x73/0x100 [mine]
"""


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_a_loop_is_found_where_the_nmi_came() -> None:
    found = find(lines(LOOPS), ["mine"])
    assert found is not None
    assert str(found) == "insmod loops in mine_poll+0x7/0x9 [mine]"
    assert found.stack[1] == "mine_probe+0x5b/0x100 [mine]"


def test_a_wait_is_found_in_the_task_that_sleeps_and_stale_words_of_its_stack_are_not() -> None:
    found = find(lines(WAITS), ["mine"])
    assert str(found) == "insmod waits in mine_probe+0x73/0x100 [mine]"


def test_somebody_elses_module_and_noise_are_nobody() -> None:
    assert find(lines(LOOPS), ["other"]) is None
    assert find(lines(WAITS), []) is None
    idle = [*lines(WAITS), "[    7.5]  kthread+0xd8/0x100"]
    assert find(idle, ["mine"]) is None
    assert find(["\x1b[31mRIP: \xff", "task:", "", " </NMI>"], ["mine"]) is None


def test_who_stands_in_the_driver_once_it_is_loaded_is_told_and_not_blamed() -> None:
    report = parse(b"KTAP version 1\n1..3\nok 1 load\n# bound 0000:00:02.0 mine\nok 2 bind\n")
    stuck = Stuck("f+0x1/0x2 [mine]", "cat", waits=True, stack=("f+0x1/0x2 [mine]",))
    got = TryResult(report, Path("logs"), "6.1", lost=LostVm("it ran longer"), stuck=stuck)
    assert (got.exit_code, got.problems[:2]) == (
        75,
        ("VM lost: it ran longer", "at that time cat waits in f+0x1/0x2 [mine]"),
    )


def test_a_driver_that_hangs_is_its_own_fault_and_the_first_thing_that_is_said() -> None:
    report = parse(b"KTAP version 1\n1..2\n")
    stuck = Stuck("f+0x1/0x2 [mine]", "insmod", waits=False, stack=("f+0x1/0x2 [mine]", "g+0x1/0x2"))
    got = TryResult(report, Path("logs"), "6.1", lost=LostVm("it ran longer"), stuck=stuck)
    assert (got.exit_code, got.verdict) == (1, "bad (exit 1): the driver hangs: insmod loops in f+0x1/0x2 [mine]")
    assert "  g+0x1/0x2" in got.lines()
    assert replace(got, stuck=None).exit_code == 75
