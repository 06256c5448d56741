# SPDX-License-Identifier: Apache-2.0
"""The verdict on a run, the folders of its logs, and what a run needs around it."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import plx9x5x
from nthal.contract import from_json_lines
from plx9x5x.errors import LostVm, SetupError
from plx9x5x.findings.finding import Finding, Who
from plx9x5x.lab import session
from plx9x5x.lab.card import driver, ground
from plx9x5x.lab.contract import guest as contract_guest
from plx9x5x.lab.guest import accel
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.machine import EDU
from plx9x5x.lab.guest.shapes import HIGH, IOMMU, PointlessMemory
from plx9x5x.lab.guest.vm import LostGuest
from plx9x5x.lab.host import placement, runs
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.report.ktap import parse
from plx9x5x.lab.session import RunResult, RunSpec
from plx9x5x.lab.toolchain import GuestKernel, Qemu, Toolchain
from plx9x5x.lab.witness import attach
from plx9x5x.lab.witness.attach import Prepared
from plx9x5x.lab.witness.facts import KernelFacts
from plx9x5x.transport.choice import TooManyMappings
from tests.lab.contract import guest_words
from tests.lab.elf import module
from tests.lab.fake_server import FakeServer

FAKE_QEMU = Path(__file__).with_name("fake_qemu.py")
BROKEN = [guest_words.BEGIN, *guest_words.alloc(), "end order=1"]
GOOD = b"KTAP version 1\n1..2\nok 1 a\nok 2 b # SKIP no\n"


def result(text: bytes = GOOD, **more: object) -> RunResult:
    return RunResult(parse(text), ("a", "b"), Path("logs"), "6.1", **more)  # type: ignore[arg-type]


def test_good_run_is_0() -> None:
    got = result()
    assert (got.exit_code, got.problems, got.totals()) == (0, (), "1 passed, 0 failed, 1 skipped")


def test_failed_test_is_1() -> None:
    assert result(b"KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n").exit_code == 1


def test_oops_beside_passing_tests_is_1_and_said() -> None:
    got = result(oopses=(Oops("BUG: x", ()),))
    assert (got.exit_code, got.problems) == (1, ("the guest's kernel complained: BUG: x",))


def test_vfio_error_beside_passing_tests_is_1_and_said() -> None:
    got = result(vfio_errors=("vfio: no",))
    assert (got.exit_code, got.problems) == (1, ("QEMU: vfio: no",))


def test_trouble_in_the_server_beside_passing_tests_is_1_and_said() -> None:
    got = result(server_trouble="ValueError: boom")
    assert got.exit_code == 1
    assert got.problems == ("the device server had trouble: ValueError: boom (server.log)",)


def test_common_buffer_that_breaks_the_contract_is_1_and_named_by_its_clause() -> None:
    text = "\n".join(["KTAP version 1", "1..2", *(f"# observed {line}" for line in BROKEN), "ok 1 a", "ok 2 b", ""])
    got = result(text.encode(), contract=contract_guest.judge(parse(text.encode())))
    assert got.exit_code == 1
    assert [problem.split(" (")[0] for problem in got.problems] == [
        "common buffers: CB-84 is violated: An unloading driver frees each of its buffers."
    ]
    assert "common buffers: 1 observed" in got.junit().decode()


def test_lost_guest_is_75_whatever_else() -> None:
    report = parse(b"KTAP version 1\n1..2\nnot ok 1 a\n")
    lost = LostGuest("QEMU ended", report=report, serial_tail=("x",))
    got = RunResult(report, ("a", "b"), Path(), "6.1", lost=lost)
    assert got.exit_code == 75
    assert got.problems[0] == "VM lost: QEMU ended"
    assert got.totals() == "0 passed, 2 failed, 0 skipped"


def test_server_lost_before_the_guest_is_75() -> None:
    assert result(lost=LostVm("gone\nmore")).problems[0] == "VM lost: gone"


def test_case_that_the_report_does_not_know_fails_the_run() -> None:
    got = result(b"KTAP version 1\n1..1\nok 1 a\n")
    assert got.exit_code == 1
    assert got.problems == ("1 cases gave no result: b",)
    assert got.totals() == "1 passed, 1 failed, 0 skipped"


def test_guest_that_gave_up_fails_with_its_words() -> None:
    got = result(b"KTAP version 1\nBail out! no PLX device\n")
    assert got.exit_code == 1
    assert got.problems[0] == "report: Bail out! no PLX device"
    assert got.failed == 2


def test_run_in_which_nothing_was_tested_is_no_success() -> None:
    got = result(b"KTAP version 1\n1..2\nok 1 a # SKIP x\nok 2 b # SKIP x\n")
    assert (got.exit_code, got.problems) == (1, ("nothing was tested",))


def test_junit_of_a_bad_run_names_what_is_wrong() -> None:
    text = result(b"KTAP version 1\n1..1\nok 1 a\n", oopses=(Oops("BUG: x", ()),)).junit().decode()
    assert "BUG: x" in text
    assert 'name="b"' in text


def test_junit_has_what_the_server_found_done_wrong() -> None:
    found = Finding("size-zero", Who.DRIVER, False, "nothing moves", (), "write it", 1, 0, 0)
    text = result(b"KTAP version 1\n1..1\nok 1 a\n", findings=(found,)).junit().decode()
    assert "driver, likely: nothing moves. write it (size-zero)" in text


def test_unknown_case_is_refused_with_a_near_one() -> None:
    with pytest.raises(session.NoSuchCase, match="no case 'ring_of_100_laps'; did you mean ring_of_1000_laps"):
        session.check_case("ring_of_100_laps", ("a", "ring_of_1000_laps"))
    session.check_case("a", ("a",))


def test_arguments_of_the_program() -> None:
    assert RunSpec(only="x").arguments == ("--only", "x")
    assert RunSpec(only="x", seed=7).arguments == ("--only", "x", "--seed", "7")
    assert RunSpec().arguments == ()


@pytest.fixture
def fake(tmp_path: Path) -> Toolchain:
    """A toolchain whose QEMU only poses."""
    for name in ("busybox", "vmlinuz", "plx_test", "init"):
        (tmp_path / name).touch()
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "modules.builtin").write_text("kernel/virtio_pci.ko kernel/virtio_console.ko\n")
    (tmp_path / "plx_test.ko").write_bytes(module(depends=""))
    kernel = GuestKernel("6.1", "6.1.0-test", tmp_path / "vmlinuz", modules, tmp_path, ())
    qemu = Qemu((sys.executable, "-I", "-S", str(FAKE_QEMU), "good"), "11.1.3", "test")
    return Toolchain(qemu, kernel, tmp_path / "busybox", tmp_path / "lib.so", tmp_path / "cache", {"qemu": "11.1.3"})


class TestRun:
    @pytest.fixture(autouse=True)
    def surroundings(self, fake: Toolchain, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = fake.busybox.parent
        built = driver.GuestTests(folder / "plx_test.ko", folder / "plx_test")
        monkeypatch.setattr(ground, "load", lambda **_: fake)
        monkeypatch.setattr(driver, "build", lambda _tc, _sources: built)
        monkeypatch.setattr(session, "list_cases", lambda *_, **__: ("a", "b"))

    def test_run_gives_report_phases_and_logs(self, fake: Toolchain) -> None:
        phases: list[str] = []

        class Notes(session.Quiet):
            def phase(self, name: str) -> None:
                phases.append(name)

        got = session.run(RunSpec(mode=session.NO_DEVICE), watcher=Notes())
        assert got.exit_code == 0, got.problems
        assert phases == ["toolchain", "build", "server and image", "boot"]
        assert [p.name for p in got.phases] == ["toolchain", "build", "server and image", "boot", "tests", "power off"]
        assert got.logs.parent == fake.cache / "runs"
        assert {p.name for p in got.logs.iterdir()} >= {"serial.log", "qemu.log", "qemu.cmd", "ktap.log", "junit.xml"}
        assert got.facts["accelerator"] == "tcg (asked for)"

    def test_guest_with_an_iommu_has_it_before_the_device_and_uses_it(self) -> None:
        got = session.run(RunSpec(guest=IOMMU, more_devices=(EDU,), mode=session.NO_DEVICE))
        words = (got.logs / "qemu.cmd").read_text()
        assert words.index("intel-iommu") < words.index('"edu"')
        assert "intel_iommu=on" in words
        assert got.guest is IOMMU
        assert got.facts["guest"].startswith("iommu, 256 MiB (")

    def test_processors_words_and_trace_go_where_they_belong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[str] = []
        monkeypatch.setattr(
            DeviceServer, "start", lambda *, backend, **_: served.extend(backend.argv) or FakeServer(None)
        )
        got = session.run(RunSpec(board="9080-401b", processors=2, append=("quiet", "a=b"), trace=Path("t.log")))
        words = (got.logs / "qemu.cmd").read_text().split()
        assert words[words.index("-smp") + 1] == "2"
        assert "quiet a=b" in " ".join(words)
        assert served[served.index("--board") + 1] == "9080-401b"
        assert served[served.index("--trace") + 1] == str(Path("t.log").absolute())
        assert b'name="plx9x5x.guest.6.1.0-test.9080-401b"' in got.junit()
        assert (got.json()["board"], got.json()["passed"], got.json()["exit_code"]) == ("9080-401b", got.passed, 0)

    @pytest.mark.parametrize("asked", [None, 42])
    def test_the_guest_and_the_faults_have_one_seed(self, asked: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[str] = []
        told: list[tuple[str, ...]] = []
        made = driver.driver_image

        def image(*given: object, arguments: tuple[str, ...], **more: object) -> GuestImage:
            told.append(arguments)
            return made(*given, arguments=arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(driver, "driver_image", image)
        monkeypatch.setattr(
            DeviceServer, "start", lambda *, backend, **_: served.extend(backend.argv) or FakeServer(None)
        )
        seeds = []
        for _ in range(2):
            served.clear()
            got = session.run(RunSpec(faults=("bad read with probability 0.5",), seed=asked))
            seed = served[served.index("--seed") + 1]
            assert told[-1] == ("--seed", seed)
            assert got.facts["seed"] == f"{seed} (--seed)"
            seeds.append(int(seed))
        assert seeds == [42, 42] if asked else seeds[0] != seeds[1]
        assert all(0 < seed < 1 << 32 for seed in seeds)

    def test_guests_memory_is_its_shapes_unless_it_is_named(self) -> None:
        for memory, want in ((None, "6144M"), (4096, "4096M")):
            got = session.run(RunSpec(guest=HIGH, memory_mib=memory, mode=session.NO_DEVICE))
            words = (got.logs / "qemu.cmd").read_text().splitlines()
            assert words[words.index("-m") + 1] == want

    def test_guest_with_an_iommu_is_refused_by_libvfio_user_before_anything_is_fetched(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ground, "load", lambda **_: pytest.fail("the toolchain was loaded"))
        for mode in ("test", "reboot"):
            with pytest.raises(TooManyMappings, match=r"takes 16 mappings, .* one a page, .* --transport wire"):
                session.run(RunSpec(guest=IOMMU, transport="libvfio", mode=mode))

    def test_memory_that_makes_a_guest_pointless_is_refused_before_anything_is_fetched(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ground, "load", lambda **_: pytest.fail("the toolchain was loaded"))
        with pytest.raises(PointlessMemory):
            session.run(RunSpec(guest=HIGH, memory_mib=256))

    def test_what_the_guest_told_of_its_buffers_is_judged_and_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = guest_words.report(guest_words.GOOD)
        monkeypatch.setattr(session.GuestVm, "run_ktap", lambda *_: told)
        got = session.run(RunSpec(mode=session.NO_DEVICE))
        assert got.contract is not None
        assert len(from_json_lines((got.logs / session.BUFFERS).read_text().splitlines())) == 3

    @pytest.mark.parametrize(
        ("kinds", "lost", "said"),
        [
            (("module", "alloc", "free"), "", []),
            (("module", "alloc"), "", ["the driver tells of it, no call shows it: free of 2 pages"]),
            (("module",), "9 records were lost", []),
        ],
    )
    def test_what_the_driver_tells_of_its_buffers_is_held_against_its_calls_if_all_were_seen(
        self, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...], lost: str, said: list[str]
    ) -> None:
        calls = "".join(f"{json.dumps(call)}\n" for call in guest_words.CALLS if call["kind"] in kinds)

        def start(*, backend: Backend, **_: object) -> FakeServer:
            record = {"channels": [], "findings": [], "dma": {"blind": lost}}
            for option, text in (("--witness-log", calls), ("--summary", f"{json.dumps(record)}\n")):
                Path(backend.argv[backend.argv.index(option) + 1]).write_text(text, encoding="ascii")
            return FakeServer(None)

        monkeypatch.setattr(DeviceServer, "start", start)
        monkeypatch.setattr(session.GuestVm, "run_ktap", lambda *_: guest_words.report(guest_words.GOOD))
        monkeypatch.setattr(attach, "prepare", lambda *_: Prepared(Path("w.so"), KernelFacts("")))
        got = session.run(RunSpec())
        assert [line.partition(" at ")[0] for line in got.untrue] == said
        assert [it for it in got.problems if it.startswith("common buffers: ")] == [
            f"common buffers: {line}" for line in got.untrue
        ]
        assert got.facts["witness"] == (f"blind: {lost}" if lost else "QEMU's plugin")
        assert got.facts["plane"] == "python, by the witness"

    def test_server_that_does_not_start_is_a_setup_error(self) -> None:
        with pytest.raises(SetupError, match="no board is named 'none'"):
            session.run(RunSpec(board="none"))

    def test_server_that_dies_after_the_guests_last_word_fails_the_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        server = FakeServer("it ended with exit code 70")
        end = session.GuestVm.end

        def end_both(vm: session.GuestVm) -> None:
            end(vm)
            server.alive = False

        monkeypatch.setattr(session.GuestVm, "end", end_both)
        monkeypatch.setattr(DeviceServer, "start", lambda **_: server)
        got = session.run(RunSpec())
        assert got.exit_code == 1
        assert "it ended with exit code 70" in got.problems[0]

    def test_lost_guest_is_a_result_with_what_it_had_said(
        self, fake: Toolchain, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = replace(fake, qemu=Qemu((*fake.qemu.argv[:-1], "killed"), "11", "test"))
        monkeypatch.setattr(ground, "load", lambda **_: lost)
        got = session.run(RunSpec(mode=session.NO_DEVICE))
        assert got.exit_code == 75
        assert got.report.cases[0].name == "a"
        assert got.missing == ("b",)
        assert "VM lost" in (got.logs / "junit.xml").read_text()


class TestFolders:
    def test_newest_and_kept_ones_stay(self, tmp_path: Path) -> None:
        top = tmp_path / "runs"
        dead = 4_000_000  # above any process id
        for number in range(20):
            (top / f"20200101-0000{number:02}-{dead}").mkdir(parents=True)
        (top / f"20200101-000000-{dead}" / "keep").touch()
        alive = top / f"20200101-000001-{os.getppid()}"
        alive.mkdir()
        (top / "notes").mkdir()
        fresh = runs.make(tmp_path, keep=True)
        left = {p.name for p in top.iterdir()}
        assert {fresh.name, alive.name, "notes", f"20200101-000000-{dead}", f"20200101-000019-{dead}"} <= left
        assert len(left) == runs.KEPT + 4

    def test_failed_ones_stay_longer(self, tmp_path: Path) -> None:
        folders = [tmp_path / f"20200101-0000{number:02}-4000000" for number in range(30)]
        for number, folder in enumerate(folders):
            folder.mkdir()
            if number % 2 == 0:
                runs.mark_failed(folder)
        runs.prune(tmp_path, kept=2)
        left = sorted(p.name[13:15] for p in tmp_path.iterdir())
        assert left == ["22", "24", "26", "27", "28", "29"]

    def test_two_in_one_second_differ_and_are_private(self, tmp_path: Path) -> None:
        made = {runs.make(tmp_path) for _ in range(3)}
        assert len(made) == 3
        assert all(p.stat().st_mode & 0o777 == 0o700 for p in made)

    def test_cache_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(SetupError, match="cannot make a folder for the logs"):
            runs.make(tmp_path / "file")


class TestPlacement:
    def test_idle_core_is_picked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ticks = [{0: 100, 1: 100}, {0: 101, 1: 150}]
        monkeypatch.setattr(placement, "_idle_ticks", lambda: ticks.pop(0))
        monkeypatch.setattr(placement.os, "sched_getaffinity", lambda _: {0, 1})
        assert placement.CorePicker().pick() == frozenset({1})

    def test_single_core_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(placement.os, "sched_getaffinity", lambda _: {3})
        assert placement.CorePicker().pick() is None

    def test_host_without_statistics_gets_some_core(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(placement, "_STAT", Path("/nonexistent"))
        monkeypatch.setattr(placement.os, "sched_getaffinity", lambda _: {0, 1})
        assert placement.CorePicker().pick() in ({0}, {1})


class TestAccelerator:
    @pytest.mark.parametrize(
        ("wish", "usable", "boots", "got"),
        [
            ("tcg", True, True, "tcg"),
            ("kvm", True, False, "kvm"),
            ("auto", False, True, "tcg"),
            ("auto", True, False, "tcg"),
            ("auto", True, True, "kvm"),
        ],
    )
    def test_kvm_is_proven_before_auto_takes_it(
        self, monkeypatch: pytest.MonkeyPatch, wish: str, usable: bool, boots: bool, got: str
    ) -> None:
        monkeypatch.setattr(accel, "_usable", lambda: usable)
        monkeypatch.setattr(accel, "prove_kvm", lambda _tc: boots)
        assert accel.choose(wish, None)[0] == got  # type: ignore[arg-type]

    def test_kvm_that_is_not_there_is_a_setup_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(accel, "_usable", lambda: False)
        with pytest.raises(SetupError, match="cannot be opened"):
            accel.choose("kvm", None)  # type: ignore[arg-type]

    @pytest.mark.parametrize(("behaviour", "works"), [("kvm-works", True), ("kvm-hangs", False)])
    def test_guest_that_hangs_with_kvm_is_no_proof(self, fake: Toolchain, behaviour: str, works: bool) -> None:
        fake = replace(fake, qemu=Qemu((*fake.qemu.argv[:-1], behaviour), "11", "test"))
        assert accel.prove_kvm(fake, limit_s=5 if works else 0.2) is works

    def test_unknown_one_is_a_usage_error(self) -> None:
        with pytest.raises(accel.NoSuchAccelerator, match="no accelerator 'xen'"):
            accel.choose("xen", None)  # type: ignore[arg-type]


class TestGuestSources:
    def test_checkout_has_them(self) -> None:
        sources = guest_sources.find()
        assert sources.init.is_file()
        assert (sources.root / "user/plx_test.c").is_file()

    def test_installation_without_them_says_so(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(plx9x5x, "__file__", str(tmp_path / "lib" / "plx9x5x" / "__init__.py"))
        with pytest.raises(SetupError, match="not with this installation") as caught:
            guest_sources.find()
        assert "checkout" in caught.value.hint

    def test_copy_inside_the_package_will_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        inside = tmp_path / "lib" / "plx9x5x" / "_guest"
        (inside / "initramfs").mkdir(parents=True)
        (inside / "initramfs" / "init").touch()
        monkeypatch.setattr(plx9x5x, "__file__", str(tmp_path / "lib" / "plx9x5x" / "__init__.py"))
        assert guest_sources.find().root == inside
