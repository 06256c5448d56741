# SPDX-License-Identifier: Apache-2.0
"""What is tried, and what is made of a guest's report."""

import errno
import io
import json
import socket
import struct
import time
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.errors import LostVm
from plx9x5x.faults.record import Struck
from plx9x5x.findings.finding import Finding, Who
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.card.watching import CALLS, Watching
from plx9x5x.lab.guest.modules import Module
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.report.ktap import Report, parse
from plx9x5x.lab.trial import NothingToTry, TryResult, Wanted, once
from plx9x5x.lab.trial import parse as words
from plx9x5x.lab.trial.debugger import GdbWatcher
from plx9x5x.lab.trial.image import copied, taker
from plx9x5x.lab.trial.once import Pump
from plx9x5x.lab.trial.verdict import Card
from plx9x5x.lab.witness.covered import CoverageFile
from tests.lab.contract import guest_words

CARD = "pci:v000010B5d00009601sv000010B5sd00009656bc06sc80i00"
OTHER = "pci:v000010B5d00009080sv000010B5sd00002400bc*sc*i*"
ANY = "pci:v000010B5d00009601sv*sd*bc*sc*i*"
FOUND = Finding("size-zero", Who.DRIVER, True, "nothing moves", (), "write it", 1, 0, 0)


def result(*lines: str, wants: tuple[str, ...] = (ANY,), findings: tuple[Finding, ...] = ()) -> TryResult:
    report: Report = parse("\n".join(("KTAP version 1", *lines, "")).encode())
    return TryResult(report, Path("logs"), "6.1", wants=wants, cards=(Card("a-board", findings),))


GOOD = ("1..2", "ok 1 load", "# bound 0000:00:02.0 mine", "ok 2 bind")


def test_modules_come_with_their_parameters() -> None:
    assert words(["a", "x=1", "y=2", "./b.ko"]) == (Wanted("a", ("x=1", "y=2")), Wanted("./b.ko"))


@pytest.mark.parametrize("wrong", [[], ["x=1"]])
def test_no_module_is_refused(wrong: list[str]) -> None:
    with pytest.raises(NothingToTry):
        words(wrong)


def test_a_driver_that_took_the_card_is_good() -> None:
    got = result(*GOOD)
    assert (got.exit_code, got.problems, got.bound) == (0, (), ("0000:00:02.0 mine",))


def test_coverage_is_part_of_the_verdict_and_a_file_that_was_not_written_a_problem(tmp_path: Path) -> None:
    with CoverageFile(tmp_path / "cov.info") as target:
        got = replace(result(*GOOD), coverage=target.without("KVM has no plugins"))
    assert f"coverage: none, KVM has no plugins; {tmp_path}/cov.info is as it was" in got.lines()
    assert got.exit_code == 0
    assert got.json()["coverage"]
    got = replace(got, coverage=None, unwritten=("cannot write the coverage file",))
    assert (got.exit_code, got.problems) == (1, ("cannot write the coverage file",))
    assert got.json()["coverage"] is None


def test_a_certain_finding_is_1_and_a_likely_one_is_not() -> None:
    assert result(*GOOD, findings=(FOUND,)).exit_code == 1
    likely = Finding("size-zero", Who.DRIVER, False, "nothing moves", (), "write it", 1, 0, 0)
    assert result(*GOOD, findings=(likely,)).exit_code == 0


def test_a_verdict_says_which_faults_struck_and_which_never_did() -> None:
    struck = Struck("stuck busy", "stuck busy", 2, "end, channel 0", 1.5)
    got = replace(result(*GOOD), cards=(Card("a-board", faults=(struck, Struck("reset at access 9", "reset"))),))
    said = got.lines()
    assert "fault: stuck busy: struck 2 times, first at end, channel 0" in said
    assert "fault: reset at access 9: NEVER struck" in said
    assert (got.exit_code, got.verdict) == (0, "good, but 1 planned fault never struck")
    assert got.json()["faults"] == [
        {
            "card": 1,
            "fault": "stuck busy",
            "kind": "stuck busy",
            "struck": 2,
            "first": "end, channel 0",
            "first_s": 1.5,
        },
        {"card": 1, "fault": "reset at access 9", "kind": "reset", "struck": 0, "first": "", "first_s": None},
    ]
    assert "faults" not in result(*GOOD).json()


@pytest.mark.parametrize(
    ("wants", "said"),
    [
        ((OTHER,), "it is 10b5:9601 (subsystem 10b5:9656); the module wants 10b5:9080 (subsystem 10b5:2400)"),
        ((ANY,), "its probe failed"),
    ],
)
def test_a_card_that_nobody_took_is_explained(wants: tuple[str, ...], said: str) -> None:
    got = result("1..2", "ok 1 load", f"# unbound 0000:00:02.0 {CARD}", "not ok 2 bind", wants=wants)
    assert said in got.problems[0]
    assert got.exit_code == 1


def test_a_module_that_wants_no_card_need_not_take_it() -> None:
    got = result("1..2", "ok 1 load", f"# unbound 0000:00:02.0 {CARD}", "not ok 2 bind", wants=())
    assert (got.problems, got.exit_code) == ((), 0)
    assert not [line for line in got.lines() if line.startswith("hint: ")]
    assert [line for line in replace(got, wants=(OTHER,)).lines() if line.startswith("hint: add the card's IDs")]


def test_a_guest_without_the_card_is_said() -> None:
    assert result("1..2", "ok 1 load", "not ok 2 bind").problems == ("the guest sees no card",)


def test_a_commands_status_counts() -> None:
    got = result("1..3", *GOOD[1:], "# kernel: [ 1.0] odd", "# status 7", "not ok 3 command")
    assert (got.status, got.problems, got.kernel_said) == (7, ("the command ended with 7",), ("[ 1.0] odd",))
    assert got.json()["status"] == 7
    assert (got.exit_code, got.verdict) == (7, "bad (exit 7): the command ended with 7")


@pytest.mark.parametrize(
    "besides", [{"server_trouble": "x"}, {"vfio_errors": ("x",)}, {"cards": (Card("b", (FOUND,)),)}]
)
def test_a_commands_status_is_the_result_only_if_nothing_else_is_wrong(besides: dict[str, object]) -> None:
    got = result("1..3", *GOOD[1:], "# status 7", "not ok 3 command")
    assert replace(got, **besides).exit_code == 1  # type: ignore[arg-type]


def test_a_command_that_ends_with_75_does_not_say_that_the_guest_was_lost() -> None:
    got = result("1..3", *GOOD[1:], "# status 75", "not ok 3 command")
    assert (got.exit_code, got.problems) == (1, ("the command ended with 75",))


def test_what_stopped_a_guest_before_it_looked_for_the_card_comes_first() -> None:
    got = result("1..2", "Bail out! / of the host was not mounted: why")
    assert "was not mounted" in got.problems[0]


def test_a_file_that_was_not_got_is_a_problem() -> None:
    got = result("1..3", *GOOD[1:], "# not got 0: cat: can't open '/x'", "# status 0", "ok 3 command")
    assert (got.problems, got.exit_code) == (("not got: cat: can't open '/x'",), 1)
    assert got.not_there == {0}
    full = replace(result(*GOOD), ungot=("./x: No space left on device",))
    assert (full.problems, full.exit_code) == (("not got: ./x: No space left on device",), 1)


def test_one_card_of_two_that_nobody_took_is_named_if_the_module_wants_it() -> None:
    lines = ("1..2", "ok 1 load", "# bound 0000:00:02.0 mine", f"# unbound 0000:00:03.0 {CARD}", "ok 2 bind")
    assert "no driver took the card at 0000:00:03.0" in result(*lines).problems[0]
    assert result(*lines, wants=(OTHER,)).problems == ()


def test_lines_say_which_card_if_there_are_two() -> None:
    got = replace(result(*GOOD), cards=(Card("a", (), ("1 transfer",)), Card("b", (FOUND,), ("2 transfers",))))
    assert got.transfers == ("card 1 (a): 1 transfer", "card 2 (b): 2 transfers")
    assert next(line for line in got.lines() if "finding" in line).startswith("card 2 (b): finding: ")
    assert replace(got, cards=got.cards[:1]).transfers == ("1 transfer",)
    (found,) = got.json()["findings"]  # type: ignore[misc]
    assert found["card"] == 2


def test_a_folder_that_was_not_built_is_1_with_the_compilers_words() -> None:
    got = TryResult(Report(), Path("logs"), "6.1", unbuilt="a.c:1: error: no\n")
    assert (got.exit_code, got.problems) == (1, ("the module was not built",))
    assert "a.c:1: error: no" in got.lines()
    assert got.verdict == "bad (exit 1): the module was not built"


def test_a_lost_guest_is_75_unless_it_is_known_whose_fault_that_is() -> None:
    lost = replace(result(*GOOD), lost=LostVm("it hangs"))
    assert lost.exit_code == 75
    assert replace(lost, cards=(Card("a-board", (FOUND,)),)).exit_code == 1
    oops = replace(lost, oopses=(Oops("BUG: x", ()),))
    assert (oops.exit_code, oops.problems[0]) == (1, "the guest's kernel complained: BUG: x")


def test_the_last_line_tells_a_suspicion_from_none() -> None:
    likely = replace(FOUND, certain=False)
    assert result(*GOOD).verdict == "good"
    assert result(*GOOD, findings=(likely,)).verdict == "good, but 1 likely finding"
    assert result(*GOOD, findings=(FOUND,)).verdict == "bad (exit 1): driver: size-zero"


def test_a_report_that_is_cut_off_is_not_good() -> None:
    assert result("1..3", *GOOD[1:]).problems == ("the guest was switched off before the command had ended",)
    assert result("1..3", "ok 1 load").exit_code == 1


def test_a_command_whose_output_nobody_takes_does_not_hold_up_the_guest() -> None:
    """What it wrote is in the log all the same, up to its limit."""
    ours, theirs = socket.socketpair()
    log = io.BytesIO()

    def gone(_data: bytes) -> None:
        raise BrokenPipeError(errno.EPIPE, "gone")

    pump = Pump(ours, log, gone)
    pump.start()
    for _ in range(20):
        theirs.sendall(bytes(64 * 1024))
    theirs.close()
    pump.join(10)
    ours.close()
    assert isinstance(pump.failure, BrokenPipeError)
    assert len(log.getvalue()) == 20 * 64 * 1024


def test_a_full_disk_costs_the_log_of_the_output_and_nothing_else() -> None:
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    with Path("/dev/full").open("wb", buffering=0) as log, ours:
        pump = Pump(ours, log, heard.append)
        pump.start()
        theirs.sendall(b"words")
        theirs.close()
        pump.join(10)
    assert (heard, pump.failure) == ([b"words"], None)


@pytest.mark.parametrize("name", ["init", "lib", "absent", "folder"])
def test_a_file_that_cannot_go_into_the_guest_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name != "absent":
        path.touch()
    with pytest.raises(NothingToTry):
        list(copied([path]))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    files = [tmp_path / "x", tmp_path / "a" / "x"]
    for file in files:
        file.touch()
    with pytest.raises(NothingToTry, match="/x already"):
        list(copied(files))


def module_with(name: str, *entries: str) -> Module:
    """The least of an ELF file that holds a .modinfo."""
    info = b"".join(entry.encode() + b"\0" for entry in entries)
    names = b"\0.modinfo\0"
    header = b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 3, 2)
    at = 64 + 3 * 64

    def section(name_at: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name_at, 1, 0, 0, offset, size, 0, 0, 1, 0)

    table = bytes(64) + section(1, at, len(info)) + section(0, at + len(info), len(names))
    return Module(name, header + table + info + names)


def test_a_parameter_goes_to_the_module_that_has_it() -> None:
    first, last = module_with("a", "parmtype=k:int"), module_with("b", "parmtype=z:int")
    assert taker("k=1", [first, last]) == "a"
    assert taker("dyndbg=+p", [first, last]) == "b"
    with pytest.raises(NothingToTry, match="takes no parameter 'nosuch': k, z"):
        taker("nosuch=1", [first, last])
    with pytest.raises(NothingToTry, match="a blank would end it"):
        taker("k=1\n2", [first])


def test_what_the_kernel_said_is_its_log_or_else_the_console(tmp_path: Path) -> None:
    got = replace(result(*GOOD), logs=tmp_path)
    assert got.dmesg == ""
    (tmp_path / "serial.log").write_text("console\n", encoding="utf-8")
    assert got.dmesg == "console\n"
    (tmp_path / "dmesg.log").write_text("all\n", encoding="utf-8")
    assert got.dmesg == "all\n"


def test_registers_are_the_first_cards() -> None:
    cards = (Card("a", registers={"INTCSR": 1}), Card("b", registers={"INTCSR": 2}))
    assert replace(result(*GOOD), cards=cards).registers == {"INTCSR": 1}
    assert replace(result(*GOOD), cards=()).registers == {}


def test_how_attaching_goes_is_told_once_the_modules_are_loaded() -> None:
    told: list[str] = []
    watcher = GdbWatcher(Path("/tmp/x y"), {"mine": Path("/b/mine.ko")}, told.append)
    report = parse(b"KTAP version 1\n1..2\n# at mine 0xc0\n# at other 0xd0\nok 1 load\nok 2 bind\n")
    for case in report.cases:
        watcher.case(case, planned=2)
    assert told[:2] == ["mine lies at 0xc0", "other lies at 0xd0"]
    assert told[2] == "attach:  gdb -ex 'target remote /tmp/x y' -ex 'add-symbol-file /b/mine.ko 0xc0'"
    assert len(told) == 4


def test_an_error_in_the_cards_own_code_is_all_that_went_wrong() -> None:
    got = replace(
        result("1..2", "ok 1 load", findings=(FOUND,)),
        lost=LostVm("the device server ended under the guest\nqemu -M q35"),
        vfio_errors=("vfio: gone",),
        server_trouble="mine.py:61",
        authors_error="mine.py:61, in read: IndexError: 5",
    )
    said = "the card's own code failed: mine.py:61, in read: IndexError: 5"
    assert (got.exit_code, got.problems, got.verdict) == (1, (said,), f"bad (exit 1): {said}")
    assert not any("qemu" in line for line in got.lines())


def test_a_finding_that_is_certain_comes_first_and_a_likely_one_last() -> None:
    lines = ("1..2", "ok 1 load", f"# unbound 0000:00:02.0 {CARD}", "not ok 2 bind")
    assert result(*lines, findings=(FOUND,)).verdict.startswith("bad (exit 1): driver: size-zero; no driver took")
    likely = replace(FOUND, certain=False)
    assert result(*lines, findings=(likely,)).verdict.endswith("; driver, likely: size-zero")
    both = result(*GOOD, findings=(FOUND, replace(FOUND, rule="dma-freed"), likely)).verdict
    assert both == "bad (exit 1): driver: size-zero, and 1 finding more"


def test_where_all_of_memory_is_open_to_the_card_no_finding_says_so() -> None:
    assert "findings: none" in result(*GOOD).lines()
    seen = replace(result(*GOOD), all_mapped=True)
    assert "findings: none" in seen.lines()
    unseen = replace(seen, cards=tuple(replace(card, unwatched="kvm") for card in seen.cards))
    (line,) = [it for it in unseen.lines() if it.startswith("findings: none")]
    assert "not watched: kvm" in unseen.lines()
    assert "--guest iommu" in line
    assert "findings: not known" in replace(result(*GOOD), server_trouble="what it found could not be written").lines()


def left(logs: Path, **dma: str) -> None:
    """What a server keeps of one client."""
    record = {"channels": [], "findings": [], "dma": dma}
    (logs / FINDINGS).write_text(f"{json.dumps(record)}\n", encoding="ascii")


@pytest.mark.parametrize("lost", ["", "9 records were lost"])
def test_buffers_are_judged_by_the_calls_if_all_of_them_were_seen(tmp_path: Path, lost: str) -> None:
    calls = [*guest_words.CALLS[:2], {**guest_words.CALLS[0], "seq": 4, "gone": True}]
    (tmp_path / CALLS).write_text("".join(f"{json.dumps(call)}\n" for call in calls), encoding="ascii")
    left(tmp_path, blind=lost)
    got = replace(result(*GOOD), cards=(once._card("a-board", tmp_path, Watching(None)),))
    never_freed = [it for it in got.problems if it.startswith("common buffers: CB-84 is violated")]
    if lost:
        assert (never_freed, got.exit_code) == ([], 0)
        assert f"not watched: {lost}" in got.lines()
    else:
        assert (len(never_freed), got.exit_code) == (1, 1)
        (line,) = [it for it in got.lines() if it.startswith("common buffers: ")]
        assert line.startswith("common buffers: 1 observed, ")
        assert not [it for it in got.lines() if it.startswith("not watched")]


@pytest.mark.parametrize("how", ["half a line", "said", "nothing is said"])
def test_calls_of_which_the_end_is_cut_off_are_not_judged(tmp_path: Path, how: str) -> None:
    calls = [*guest_words.CALLS[:2], {**guest_words.CALLS[0], "seq": 4, "gone": True}]
    text = "".join(f"{json.dumps(call)}\n" for call in calls)
    (tmp_path / CALLS).write_text(text + '{"kind":"fr' * (how == "half a line"), encoding="ascii")
    if how != "nothing is said":  # a full disk takes nothing of the clients either
        left(tmp_path, calls_cut="the log of calls has its bytes" * (how == "said"))
    got = replace(result(*GOOD), cards=(once._card("a-board", tmp_path, Watching(None)),))
    assert (got.problems, got.exit_code) == ((), 0)
    assert "common buffers: not judged, the record of calls is cut off" in got.lines()


def test_findings_without_end_are_counted_behind_the_first() -> None:
    got = replace(result(*GOOD), cards=(Card("b", (FOUND,) * 1024),))
    said = [line for line in got.lines() if line.startswith("finding: ")]
    assert len(said) == 65
    assert said[-1] == "finding: ... and 960 more (findings.jsonl)"
    few = [line for line in replace(got, cards=(Card("b", (FOUND,) * 64),)).lines() if line.startswith("finding: ")]
    assert len(few) == 64
    assert set(few) == {said[0]}


def test_lines_of_buffers_and_of_what_was_not_watched_say_which_card(tmp_path: Path) -> None:
    (tmp_path / CALLS).write_text("".join(f"{json.dumps(call)}\n" for call in guest_words.CALLS), encoding="ascii")
    left(tmp_path)
    cards = once._card("a", tmp_path, Watching(None)), once._card("b", tmp_path / "gone", Watching(None, "kvm"))
    said = replace(result(*GOOD), cards=cards).lines()
    assert [it.partition(" observed")[0] for it in said if "common buffers" in it] == ["card 1 (a): common buffers: 1"]
    assert [it for it in said if "not watched" in it] == ["card 2 (b): not watched: kvm"]


def test_a_driver_that_asked_for_no_buffer_has_no_line_of_them(tmp_path: Path) -> None:
    (tmp_path / CALLS).write_text(f"{json.dumps(guest_words.CALLS[0])}\n", encoding="ascii")
    left(tmp_path)
    got = replace(result(*GOOD), cards=(once._card("a", tmp_path, Watching(None)),))
    assert not [it for it in got.lines() if "common buffers" in it]


def test_an_oops_that_ends_the_guest_is_shown_with_the_drivers_function() -> None:
    oops = Oops("BUG: x", ("BUG: x", "RIP: 0010:mine_isr+0x47/0x70 [mine]", "Call Trace:", " <IRQ>"))
    got = replace(result("1..2"), lost=LostVm("panicked\n  | a task"), oopses=(oops,), tried=("mine",))
    assert got.problems[0] == "the guest's kernel complained: BUG: x, in mine_isr+0x47/0x70 [mine]"
    assert "  RIP: 0010:mine_isr+0x47/0x70 [mine]" in got.lines()
    assert not [line for line in got.lines() if "a task" in line]


def test_a_module_that_takes_long_to_load_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(once, "_SLOW_S", 0.02)
    slow = once.SlowLoad(("mine",), told.append)
    slow.start()
    slow._timer.join(5)
    assert "mine: not back from being loaded" in told[0]
    (case,) = parse(b"KTAP version 1\n1..1\nok 1 load\n").cases
    quick = once.SlowLoad(("mine",), told.append)
    quick.start()
    quick.case(case, planned=1)
    quick._timer.join(5)
    assert len(told) == 1


@pytest.mark.parametrize("text", ["256", "-3", "abc", "9" * 5000, "", "1.5", "\u0663"])
def test_a_status_that_is_none_is_a_broken_report(text: str) -> None:
    got = result("1..3", *GOOD[1:], f"# status {text}", "not ok 3 command")
    assert (got.status, got.exit_code) == (None, 1)
    assert "the guest's report is broken" in got.problems[0]


def test_many_cases_of_one_name_cost_no_more_than_one() -> None:
    many = [line for number in range(3, 4000) for line in ("# kernel: x", f"ok {number} command")]
    began = time.process_time()
    got = result("1..2", *GOOD[1:], *many)
    got.lines()
    assert len(got.kernel_said) == 1
    assert time.process_time() - began < 20


@pytest.mark.parametrize("word", ["msg=hello world", "msg=a\tb", "msg=a\nb"])
def test_a_parameter_with_a_blank_is_refused(word: str) -> None:
    with pytest.raises(NothingToTry, match="cannot be passed"):
        taker(word, [Module("mine", b"")])
