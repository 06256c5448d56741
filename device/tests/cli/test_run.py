# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x run`: what it prints, and its exit code, for runs that are made up."""

import argparse
import io
import json
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.cli import main as main_module
from plx9x5x.cli import run_view
from plx9x5x.errors import SetupError
from plx9x5x.faults.record import Struck
from plx9x5x.findings.finding import Finding, Who
from plx9x5x.lab import session
from plx9x5x.lab.card import driver
from plx9x5x.lab.contract import guest as contract_guest
from plx9x5x.lab.guest import shapes
from plx9x5x.lab.guest.vm import LostGuest
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.report.ktap import parse
from plx9x5x.lab.session import Phase, RunResult, RunSpec
from plx9x5x.lab.witness.covered import CoverageFile
from tests.lab.contract import guest_words

TEXT = b"KTAP version 1\n1..3\n# group first\nok 1 alpha\n# got 1, not 2\nnot ok 2 beta\n# group second\nok 3 gamma # SKIP no window\n"


@pytest.fixture
def result(tmp_path: Path) -> RunResult:
    (tmp_path / "serial.log").touch()
    return RunResult(
        parse(TEXT), ("alpha", "beta", "gamma"), tmp_path, "6.1.0", phases=(Phase("boot", 2.5),), facts={"qemu": "11"}
    )


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, result: RunResult) -> list[RunSpec]:
    """Has `session.run` give `result`, and collects what it was asked for."""
    asked: list[RunSpec] = []

    def run(spec: RunSpec, *, watcher: session.RunWatcher, progress: object) -> RunResult:
        asked.append(spec)
        watcher.phase("boot")
        watcher.booted(server=1, qemu=2)
        watcher.serial("a line of the console")
        for case in result.report.cases:
            watcher.case(case, planned=3)
        return result

    monkeypatch.setattr(session, "run", run)
    monkeypatch.setattr(session, "list_cases", lambda *_, **__: ("alpha", "beta", "gamma"))
    monkeypatch.setattr(driver, "build_program", lambda _sources: Path("plx_test"))
    return asked


def test_a_board_that_the_test_driver_does_not_know_is_refused_with_what_to_do(
    runner: list[RunSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_module.main(["run", "--board", "hpdi32"]) == 2
    said = capsys.readouterr().err
    assert "knows 9080-401b, " in said
    assert "for your own driver on hpdi32: plx9x5x try --board hpdi32 ./mydrv" in said
    assert runner == []


def test_all_boards_are_run_one_after_the_other_with_a_row_each(
    runner: list[RunSpec], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = ("--junit", str(tmp_path / "o.xml"), "--json", str(tmp_path / "o.json"), "--trace", str(tmp_path / "t.log"))
    assert main_module.main(["run", "--board", "all", *names]) == 1
    assert [spec.board for spec in runner] == list(driver.BOARDS)
    assert [spec.trace for spec in runner] == [tmp_path / f"t.{board}.log" for board in driver.BOARDS]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("== ")] == [f"== {board}" for board in driver.BOARDS]
    header = next(number for number, line in enumerate(lines) if line.startswith("board "))
    rows = lines[header + 2 : header + 2 + len(driver.BOARDS)]
    assert [row.split() for row in rows] == [["rdk-9656-lite", "1", "1", "1", "-", "2.50", "s"]] * len(rows)
    assert lines[-1] == "5 passed, 5 failed, 5 skipped"
    told = json.loads((tmp_path / "o.json").read_text())
    assert told["exit_code"] == 1
    assert [run["failed"] for run in told["runs"]] == [1] * len(driver.BOARDS)
    assert len(ET.parse(tmp_path / "o.xml").getroot().findall("testsuite")) == len(driver.BOARDS)


def test_row_of_a_board_that_was_lost_says_so_below(result: RunResult) -> None:
    lost = replace(result, board="b", lost=LostGuest("QEMU ended", report=result.report, serial_tail=()))
    assert run_view.table_of_boards([result, lost])[-1] == "PROBLEM: b: VM lost: QEMU ended"


def test_a_board_with_a_fault_outweighs_one_that_was_lost(result: RunResult) -> None:
    good = replace(result, report=parse(b"KTAP version 1\n1..1\nok 1 a\n"), expected=("a",))
    lost = replace(good, lost=LostGuest("QEMU ended", report=result.report, serial_tail=()))
    assert session.exit_code_of([good, good]) == 0
    assert session.exit_code_of([good, lost]) == 75
    assert session.exit_code_of([lost, result, good]) == 1


def test_repeats_go_on_until_something_is_wrong(
    runner: list[RunSpec], result: RunResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_module.main(["run", "--repeat", "3"]) == 1
    assert len(runner) == 1
    good = replace(result, report=parse(b"1..1\nok 1 alpha\n"), expected=("alpha",))
    monkeypatch.setattr(session, "run", lambda spec, **_: runner.append(spec) or good)
    assert main_module.main(["run", "--repeat", "3"]) == 0
    assert len(runner) == 4
    assert "-- 3 of 3\n" in capsys.readouterr().out
    assert main_module.main(["run", "--repeat", "0"]) == 2


def test_last_line_is_the_totals_and_the_failure_is_named(
    runner: list[RunSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_module.main(["run"]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "1 passed, 1 failed, 1 skipped"
    assert "FAIL: beta\n    got 1, not 2" in out
    assert "serial.log" in out
    assert "boot 2.50" in out
    assert "a line of the console" not in out
    assert runner == [RunSpec()]


def test_run_in_which_all_passed_ends_with_what_to_do_next(
    result: RunResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = replace(result, report=parse(b"1..1\nok 1 alpha\n"), expected=("alpha",))
    monkeypatch.setattr(session, "run", lambda *_, **__: good)
    monkeypatch.setattr(session, "list_cases", lambda *_, **__: ("alpha",))
    monkeypatch.setattr(driver, "build_program", lambda _sources: Path("plx_test"))
    assert main_module.main(["run"]) == 0
    totals, after = capsys.readouterr().out.splitlines()[-2:]
    assert totals == "1 passed, 0 failed, 0 skipped"
    program, _, rest = after.removeprefix("next, your own driver: ").partition(" try ./mydrv ")
    shown = subprocess.run([*program.split(), "--help"], capture_output=True, text=True, check=True)
    assert "try" in shown.stdout
    page = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    assert f"## {rest.split(chr(39))[1]}\n" in page


def test_verdict_on_the_common_buffers_is_a_line_of_the_table(result: RunResult) -> None:
    lines = [guest_words.GOOD[0], "seed value=42", *guest_words.GOOD[1:]]
    judged = replace(result, contract=contract_guest.judge(guest_words.report(lines)))
    row = next(line for line in run_view.tables(judged) if line.startswith("common buffers"))
    assert row == "common buffers: 1 observed, 17 clauses hold (random lengths: --seed 42)"


def test_without_common_buffers_there_is_no_such_line(result: RunResult) -> None:
    assert not any("common buffers" in line for line in run_view.tables(result))


def test_seed_and_guest_reach_the_run(runner: list[RunSpec]) -> None:
    main_module.main(["run", "--seed", "42", "--guest", "high"])
    assert (runner[0].seed, runner[0].guest, runner[0].memory_mib) == (42, shapes.HIGH, None)


def test_faults_reach_the_run_and_what_struck_is_said(
    runner: list[RunSpec], result: RunResult, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    struck = replace(result, faults=(Struck("stuck busy", "stuck busy", 1, "ABORT"), Struck("no grant", "no grant")))
    monkeypatch.setattr(session, "run", lambda spec, **_: runner.append(spec) or struck)
    main_module.main(["run", "--fault", "stuck busy", "--fault", "no grant"])
    assert runner[0].faults == ("stuck busy", "no grant")
    said = capsys.readouterr().out
    assert "fault: stuck busy: struck once at ABORT\n" in said
    assert "fault: no grant: NEVER struck\n" in said


def test_a_plan_for_a_board_that_lacks_the_register_is_refused_before_anything_runs(
    runner: list[RunSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_module.main(["run", "--board", "all", "--fault", "bad read of PCIARB"]) == 2
    assert not runner
    assert "no register is called 'PCIARB'" in capsys.readouterr().err


def test_what_try_takes_of_the_guest_is_taken_here_too(runner: list[RunSpec]) -> None:
    main_module.main(["run", "--smp", "2", "--append", "quiet loglevel=3", "--trace", "t", "--board", "9080-401b"])
    main_module.main(["run", "--coverage", "c"])
    assert runner == [
        RunSpec(board="9080-401b", processors=2, append=("quiet", "loglevel=3"), trace=Path("t")),
        RunSpec(coverage=Path("c")),
    ]


def test_coverage_is_told_and_with_all_boards_that_of_the_last_with_those_before(
    runner: list[RunSpec], result: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with CoverageFile(tmp_path / "c") as target:
        covered = target.without("KVM has no plugins")
    monkeypatch.setattr(session, "run", lambda *_, **__: replace(result, coverage=covered))
    for board in ("all", "9080-401b"):
        main_module.main(["run", "--coverage", str(tmp_path / "c"), "--board", board])
        said = capsys.readouterr().out.splitlines()
        assert said.count(f"coverage: none, KVM has no plugins; {tmp_path}/c is as it was") == 1
    unasked = replace(covered, file=None, why="")
    monkeypatch.setattr(session, "run", lambda *_, **__: replace(result, coverage=unasked))
    for board, times in (("all", len(driver.BOARDS)), ("9080-401b", 1)):
        main_module.main(["run", "--board", board])
        assert capsys.readouterr().out.splitlines().count(unasked.lines()[0]) == times
    assert isinstance(told := replace(result, coverage=covered).json()["coverage"], dict)
    assert told["why"] == "KVM has no plugins"
    assert result.json()["coverage"] is None


def test_a_coverage_file_that_cannot_be_written_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "lay", lambda **_: pytest.fail("something was fetched"))
    with pytest.raises(SetupError, match="coverage file"):
        session.run(RunSpec(coverage=tmp_path))


def test_what_of_the_driver_could_not_be_written_is_a_problem(result: RunResult) -> None:
    assert "the trace has no lines" in replace(result, unwritten=("the trace has no lines",)).problems


def test_table_names_the_guest(result: RunResult) -> None:
    assert run_view.tables(result)[0].startswith("cases, guest plain ")
    assert run_view.tables(replace(result, guest=shapes.HIGH))[0].startswith("cases, guest high ")


def test_help_has_a_line_for_each_guest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main_module.main(["run", "--help"])
    shown = capsys.readouterr().out
    assert all(f"  {name:<9} {shape.summary}\n" in shown for name, shape in shapes.SHAPES.items())


def test_verbose_shows_console_and_processes(runner: list[RunSpec], capsys: pytest.CaptureFixture[str]) -> None:
    main_module.main(["run", "--verbose", "--memory", "512", "--only", "alpha", "--timeout", "7"])
    out = capsys.readouterr().out
    assert "| a line of the console" in out
    assert "server: process 1, QEMU: process 2" in out
    assert (runner[0].memory_mib, runner[0].only, runner[0].timeout_s, runner[0].verbose) == (512, "alpha", 7.0, True)


def test_junit_is_written(runner: list[RunSpec], tmp_path: Path) -> None:
    main_module.main(["run", "--junit", str(tmp_path / "out.xml")])
    assert b'name="beta"' in (tmp_path / "out.xml").read_bytes()


def test_list_runs_nothing(runner: list[RunSpec], capsys: pytest.CaptureFixture[str]) -> None:
    assert main_module.main(["run", "--list"]) == 0
    assert capsys.readouterr().out.split() == ["alpha", "beta", "gamma"]
    assert runner == []


@pytest.mark.parametrize("arguments", [["--only", "alfa"], ["--board", "none"]])
def test_name_that_does_not_exist_is_a_usage_error_before_anything_runs(
    runner: list[RunSpec], arguments: list[str]
) -> None:
    assert main_module.main(["run", *arguments]) == 2
    assert runner == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--memory", "1"],
        ["--memory", "x"],
        ["--timeout", "0"],
        ["--timeout", "inf"],
        ["--timeout", "nan"],
        ["--seed", "0"],
        ["--seed", "x"],
    ],
)
def test_number_out_of_range_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main_module.main(["run", *arguments])
    assert caught.value.code == 2


def test_lost_guest_shows_the_console(result: RunResult) -> None:
    lost = LostGuest("QEMU ended", report=result.report, serial_tail=("last words",))
    lines = run_view.verdict_lines(replace(result, lost=lost, oopses=(Oops("BUG: x", ("BUG: x", "trace")),)))
    assert "PROBLEM: VM lost: QEMU ended" in lines
    assert "  | last words" in lines
    assert "    | trace" in lines


def test_findings_are_counted_in_a_good_run_and_listed_in_a_bad_one(result: RunResult) -> None:
    found = Finding("size-zero", Who.DRIVER, False, "nothing moves", (), "write it", 1, 0, 0)
    report = parse(b"KTAP version 1\n1..1\nok 1 a\n")
    good = replace(result, report=report, expected=("a",), findings=(found, replace(found, what="nor does this")))
    assert good.ok
    assert run_view.findings_line(result) == []
    assert "findings: 2," in run_view.findings_line(good)[0]
    assert run_view.verdict_lines(good) == []
    bad = replace(good, vfio_errors=("no",))
    assert "finding: driver, likely: nor does this. write it (size-zero)" in run_view.verdict_lines(bad)


def test_rows_go_by_the_groups_of_the_guest(result: RunResult) -> None:
    assert [g.title for g in run_view.grouped(result.report.cases)] == ["first", "second"]


def test_rows_without_groups_are_short_runs_of_cases() -> None:
    cases = parse(b"1..25\n" + b"".join(b"ok %d c%d\n" % (i, i) for i in range(1, 26))).cases
    assert [(g.title, len(g.cases)) for g in run_view.grouped(cases)] == [
        ("1-10  c1 ...", 10),
        ("11-20  c11 ...", 10),
        ("21-25  c21 ...", 5),
    ]


def test_live_view_shows_the_same_facts(result: RunResult) -> None:
    out = io.StringIO()
    with run_view.LiveView(out, verbose=True) as view:
        view.phase("boot")
        view.booted(server=None, qemu=2)
        view.serial("console [red]")
        for case in result.report.cases:
            view.case(case, planned=3)
    for text in ("server: process -, QEMU: process 2", "console [red]", "FAIL", "beta", "got 1, not 2", "no window"):
        assert text in out.getvalue()


def test_plain_view_is_taken_for_a_pipe() -> None:
    assert isinstance(run_view.view_for(io.StringIO(), verbose=False), run_view.PlainView)


def test_memory_is_a_number() -> None:
    parser = argparse.ArgumentParser()
    main_module.importlib.import_module("plx9x5x.cli.run").add_arguments(parser)
    assert parser.parse_args(["--memory", "96"]).memory == 96
    assert parser.parse_args([]).memory is None
