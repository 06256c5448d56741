# SPDX-License-Identifier: Apache-2.0
"""The KTAP reader: what a report says, and what is wrong with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.lab.report import ktap
from plx9x5x.lab.report.ktap import MAX_CASES, Parser, Verdict, parse

GOOD = b"""KTAP version 1
1..3
# plx_test: 0000:00:04.0 [10b5:9054] INTA
ok 1 bar0_reset_values
ok 2 - block_to_pci_4097_bytes
ok 3 abort_mid_chain # SKIP board has no slow window
# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:1 error:0
"""


def report(*lines: str) -> ktap.Report:
    return parse("".join(f"{line}\n" for line in ("KTAP version 1", *lines)).encode())


def test_good_report_is_ok_and_counted() -> None:
    got = parse(GOOD)
    assert got.ok
    assert got.problems == ()
    assert [c.name for c in got.cases] == ["bar0_reset_values", "block_to_pci_4097_bytes", "abort_mid_chain"]
    assert got.totals() == "2 passed, 0 failed, 1 skipped"
    assert got.cases[2].reason == "board has no slow window"


def test_diagnostics_go_with_the_next_test() -> None:
    got = report("1..2", "# a", "# b", "not ok 1 x", "# c", "ok 2 y", "# end")
    assert got.cases[0].diagnostics == ("a", "b")
    assert got.cases[1].diagnostics == ("c",)
    assert got.trailing == ("end",)


@pytest.mark.parametrize(
    ("line", "verdict", "good"),
    [
        ("ok 1 x", Verdict.PASS, True),
        ("not ok 1 x", Verdict.FAIL, False),
        ("ok 1 x # SKIP why", Verdict.SKIP, True),
        ("ok 1 x # skip why", Verdict.SKIP, True),
        ("not ok 1 x # SKIP why", Verdict.SKIP, True),
        ("not ok 1 x # TODO why", Verdict.XFAIL, True),
        ("not ok 1 x # XFAIL why", Verdict.XFAIL, True),
        ("ok 1 x # TODO why", Verdict.XPASS, False),
        ("ok 1 x # TIMEOUT why", Verdict.FAIL, False),
        ("not ok 1 x # ERROR why", Verdict.FAIL, False),
    ],
)
def test_directive_decides_the_verdict(line: str, verdict: Verdict, good: bool) -> None:
    got = report("1..1", line)
    assert got.cases[0].verdict is verdict
    assert got.cases[0].name == "x"
    assert got.ok is good


def test_number_sign_without_directive_is_a_remark() -> None:
    case = report("1..1", "not ok 1 x # 3 of 4 bytes").cases[0]
    assert (case.name, case.reason, case.verdict) == ("x", "3 of 4 bytes", Verdict.FAIL)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (("ok 1 x",), "no plan"),
        (("1..3", "ok 1 x"), "2 of 3 planned tests have no result: 2-3"),
        (("1..4", "ok 1 a", "ok 3 c"), "2 of 4 planned tests have no result: 2, 4"),
        (("1..2", "ok 1 x", "ok 1 y"), "number 1 comes twice"),
        (("1..1", "ok 1 x", "ok 2 y"), "results beyond the plan 1..1: 2"),
        (("1..1", "1..2", "ok 1 x"), "a second plan, 1..2"),
        (("1..2", "ok 2 b", "ok 1 a"), "number 2 ('b') comes as test 1"),
        (("1..1", "Bail out! no device"), "Bail out! no device"),
        (("1..0 # SKIP no device",), "the plan has no tests: no device"),
        (("1..1", "ok 1 x", "KTAP version 1"), "a second report begins inside the first"),
        (("1..1", "ok 1 x", "# Totals: pass:2 fail:0 skip:0"), "the totals say pass:2, the results pass:1"),
        (("1..1", "  ok 1 a", "  not ok 2 b", "ok 1 x"), "'x' is ok although its subtests failed: b"),
    ],
)
def test_fault_of_the_report_is_named_and_fails_it(lines: tuple[str, ...], problem: str) -> None:
    got = report(*lines)
    assert not got.ok
    assert any(problem in text for text in got.problems), got.problems


def test_empty_stream_is_no_report() -> None:
    got = parse(b"")
    assert not got.ok
    assert not got.started
    assert got.problems == ("there is no report: not one line of KTAP came",)


def test_line_cut_at_the_end_is_named() -> None:
    got = parse(b"KTAP version 1\n1..2\nok 1 a\nok 2 b_with_a_long_na")
    assert any("ends inside a line: 'ok 2 b_with_a_long_na'" in text for text in got.problems)
    assert got.failed == 1


def test_planned_tests_without_result_count_as_failed() -> None:
    assert report("1..5", "ok 1 a", "not ok 2 b").totals() == "1 passed, 4 failed, 0 skipped"


def test_nested_subtests_are_kept_and_do_not_disturb() -> None:
    got = report(
        "1..2", "    KTAP version 1", "    1..2", "    ok 1 in", "    not ok 2 side", "not ok 1 outer", "ok 2 z"
    )
    assert [c.name for c in got.cases] == ["outer", "z"]
    assert [(s.name, s.verdict) for s in got.cases[0].subtests] == [("in", Verdict.PASS), ("side", Verdict.FAIL)]
    assert not got.problems


def test_junk_is_kept_apart() -> None:
    got = parse(b"\x00\xff boot noise\r\nKTAP version 1\r\n1..1\r\n[  1.0] printk\r\nok 1 x\r\n")
    assert got.ok
    assert len(got.junk) == 2


def test_time_of_the_guest_is_taken_and_hidden() -> None:
    case = report("1..1", "# time x us=1500000", "# kept", "ok 1 x").cases[0]
    assert case.seconds == 1.5
    assert case.diagnostics == ("kept",)


def test_time_without_a_word_of_the_guest_is_ours() -> None:
    now = iter([0.0, 10.0, 12.5])
    parser = Parser(clock=lambda: next(now))
    parser.feed(b"KTAP version 1\n1..1\nok 1 x\n")
    assert parser.finish().cases[0].seconds == 2.5


def test_group_holds_until_the_next_one() -> None:
    got = report("1..3", "# group a b", "ok 1 x", "ok 2 y", "# group c", "ok 3 z")
    assert [c.group for c in got.cases] == ["a b", "a b", "c"]


def test_what_was_observed_is_kept_apart_from_what_people_read() -> None:
    got = report("1..2", "# observed begin a=1", "# said", "ok 1 x", "ok 2 y", "# observed end order=0", "# last")
    assert [(c.observed, c.diagnostics) for c in got.cases] == [(("begin a=1",), ("said",)), ((), ())]
    assert (got.trailing_observed, got.trailing) == (("end order=0",), ("last",))


def test_endless_line_is_cut() -> None:
    parser = Parser()
    parser.feed(b"KTAP version 1\n1..1\n")
    for _ in range(100):
        parser.feed(b"x" * ktap.MAX_LINE)
    assert parser.feed(b"\nok 1 after\n")[0].name == "after"
    assert any("longer than" in text for text in parser.finish().problems)


def test_expected_names_without_result_are_found() -> None:
    assert report("1..1", "ok 1 b").missing(["a", "b", "c"]) == ("a", "c")


def test_summary_names_each_failure_and_problem() -> None:
    text = report("1..3", "# one is 2", "not ok 1 bad", "ok 2 fine").summary()
    assert "fail: 1 bad" in text
    assert "    one is 2" in text
    assert "problem: 1 of 3 planned" in text
    assert "fine" not in text


@given(st.integers(1, 20), st.randoms())
def test_pieces_give_what_the_whole_gives(size: int, random: object) -> None:
    parser = Parser(clock=lambda: 0.0)
    cases = [case for i in range(0, len(GOOD), size) for case in parser.feed(GOOD[i : i + size])]
    assert tuple(cases) == parse(GOOD).cases
    assert parser.finish() == parse(GOOD)


@given(st.binary(max_size=400))
def test_any_bytes_give_a_report(data: bytes) -> None:
    got = parse(b"KTAP version 1\n1..2\n" + data)
    assert got.failed >= 0
    got.summary()


@given(st.lists(st.sampled_from(GOOD.decode().splitlines()), max_size=12))
def test_only_all_lines_in_order_are_ok(lines: list[str]) -> None:
    got = parse("".join(f"{line}\n" for line in lines).encode())
    results = [line for line in lines if line.startswith("ok")]
    if got.ok:
        assert sorted(set(results)) == results
        assert len(results) == 3


@pytest.mark.parametrize(
    "text",
    [
        "1.." + "9" * 6000 + "\n",
        "ok " + "9" * 6000 + " - x\n",
        "ok 1 - x\n# Totals: pass:" + "9" * 5000 + "\n",
        "# time x us=" + "9" * 400 + "\nok 1 - x\n",
    ],
)
def test_numbers_of_any_length_are_no_accident(text: str) -> None:
    report = parse(text.encode())
    assert not report.ok


def test_a_flood_of_results_is_cut_and_said() -> None:
    report = parse(b"1..1\n" + b"ok 1 - again\n" * (MAX_CASES + 5))
    assert len(report.cases) == MAX_CASES
    assert len(report.problems) < 2100
    assert f"5 results after the first {MAX_CASES} were not taken" in report.problems
