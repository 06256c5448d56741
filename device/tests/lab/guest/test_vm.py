# SPDX-License-Identifier: Apache-2.0
"""A guest's life, with a program that poses as QEMU: what ends a run, what is said of it, what is left behind."""

import contextlib
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.guest import vm as vm_module
from plx9x5x.lab.guest.machine import (
    AGENT_PORT_NAME,
    EDU,
    PORT_NAME,
    VmSpec,
    card_address,
    guest_name,
    pci_bridge,
    vfio_user_pci,
)
from plx9x5x.lab.guest.vm import MAX_REPORT, GuestVm, LostGuest, Nobody
from plx9x5x.lab.host.drain import LIMIT, TAIL
from plx9x5x.lab.host.process import Child
from plx9x5x.lab.report.ktap import Case

FAKE = Path(__file__).parents[1] / "fake_qemu.py"
Boot = Callable[..., GuestVm]


def spec(behaviour: str) -> VmSpec:
    qemu = (sys.executable, "-I", "-S", str(FAKE), behaviour)
    return VmSpec(qemu, Path("vmlinuz"), Path("initrd"), devices=(vfio_user_pci(Path("dev.sock")), EDU))


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Boot]:
    with contextlib.ExitStack() as stack:

        def start(behaviour: str, *, timeout_s: float = 5, companions: tuple[vm_module.Companion, ...] = ()) -> GuestVm:
            return stack.enter_context(
                GuestVm.boot(spec(behaviour), logs=tmp_path, timeout_s=timeout_s, companions=companions)
            )

        yield start


def group_is_gone(pid: int, within_s: float = 2) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        alive = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group, *_ = entry.read_text().rpartition(")")[2].split()
                alive += [entry] if int(group) == pid and state != "Z" else []
        if not alive:
            return True
        time.sleep(0.01)
    return False


class TestCommandLine:
    def argv(self, tmp_path: Path) -> list[str]:
        return spec("x").command_line(serial=tmp_path / "s", report_fd=7)

    def test_guest_memory_is_shared(self, tmp_path: Path) -> None:
        argv = self.argv(tmp_path)
        assert "memory-backend-memfd,id=ram,size=256M,share=on" in argv
        assert "memory-backend=ram" in argv[argv.index("-M") + 1]

    def test_device_is_json_with_a_long_time_out(self, tmp_path: Path) -> None:
        argv = self.argv(tmp_path)
        devices = [json.loads(a) for a in argv if a.startswith("{")]
        assert devices[0]["socket"] == {"type": "unix", "path": "dev.sock"}
        assert devices[0]["x-msg-timeout"] == 60000
        assert devices[1] == {"driver": "edu"}

    def test_guest_ends_instead_of_booting_again(self, tmp_path: Path) -> None:
        argv = self.argv(tmp_path)
        assert "-no-reboot" in argv
        assert " panic=-1 " in argv[argv.index("-append") + 1]

    def test_guest_that_may_reboot_does_so_in_the_same_qemu(self, tmp_path: Path) -> None:
        assert "-no-reboot" not in replace(spec("x"), may_reboot=True).command_line(serial=tmp_path / "s")

    def test_report_has_its_own_port(self, tmp_path: Path) -> None:
        assert f"virtserialport,chardev=report,name={PORT_NAME}" in self.argv(tmp_path)

    def test_monitor_has_a_socket_of_its_own(self, tmp_path: Path) -> None:
        argv = spec("x").command_line(serial=tmp_path / "s", qmp_fd=9)
        assert "socket,id=qmp,fd=9" in argv
        assert argv[argv.index("-qmp") + 1] == "chardev:qmp"

    def test_agent_has_a_port_beside_it(self, tmp_path: Path) -> None:
        argv = spec("x").command_line(serial=tmp_path / "s", report_fd=7, agent_fd=8)
        assert f"virtserialport,chardev=agent,name={AGENT_PORT_NAME}" in argv
        assert "socket,id=agent,fd=8" in argv
        assert "virtio-serial-pci,max_ports=3" in argv, "the console's own takes one"
        assert not any("virtio" in word for word in spec("x").command_line(serial=tmp_path / "s"))

    def test_command_line_that_the_kernel_would_cut_is_refused(self, tmp_path: Path) -> None:
        long = VmSpec(("q",), Path("k"), Path("i"), append=("x" * 2048,))
        with pytest.raises(SetupError, match="the kernel's command line"):
            long.command_line(serial=tmp_path / "s")

    def test_slot_can_be_chosen(self) -> None:
        assert json.loads(vfio_user_pci(Path("s"), address="10.0").json())["addr"] == "10.0"

    def test_cards_stand_where_the_guest_is_said_to_see_them(self) -> None:
        assert [guest_name(card_address(number)) for number in (0, 1, 14)] == [
            "0000:00:02.0",
            "0000:00:03.0",
            "0000:00:10.0",
        ]

    def test_bus_can_be_chosen(self) -> None:
        bridge = json.loads(pci_bridge("own").json())
        assert json.loads(vfio_user_pci(Path("s"), bus="own").json())["bus"] == bridge["id"]


@pytest.mark.parametrize("behaviour", ["good", "slow"])
def test_report_is_read_case_by_case(boot: Boot, tmp_path: Path, behaviour: str) -> None:
    seen: list[tuple[str, int | None]] = []
    console: list[str] = []

    class Notes(Nobody):
        def case(self, case: Case, *, planned: int | None) -> None:
            seen.append((case.name, planned))

        def serial(self, line: str) -> None:
            console.append(line)

    vm = boot(behaviour)
    report = vm.run_ktap(Notes())
    assert report.ok
    assert seen == [("a", 2), ("b", 2)]
    assert console == ["[    0.1] booting", "[    3.0] reboot: Power down"]
    assert not vm.oopses
    assert not vm.vfio_errors()
    assert (tmp_path / "ktap.log").read_bytes().startswith(b"KTAP version 1")
    assert "-no-reboot" in (tmp_path / "qemu.cmd").read_text()


def test_oops_beside_a_good_report_is_found(boot: Boot) -> None:
    vm = boot("oops")
    assert vm.run_ktap().ok
    assert [o.title for o in vm.oopses] == ["BUG: kernel NULL pointer dereference, address: 0"]


def test_vfio_error_beside_a_good_report_is_found_and_harmless_lines_are_not(boot: Boot) -> None:
    vm = boot("vfio")
    assert vm.run_ktap().ok
    assert vm.vfio_errors() == ("qemu: vfio_container_dma_map(0x1, 0x1000) = -22 (Invalid argument)",)


def test_vfio_error_that_much_else_follows_is_found(boot: Boot) -> None:
    vm = boot("vfio-then-much")
    assert vm.run_ktap().ok
    assert vm.vfio_errors() == ("qemu: vfio_container_dma_map(0x1, 0x1000) = -22 (Invalid argument)",)


def test_qemu_that_somebody_ended_is_lost_although_it_exits_with_0(boot: Boot) -> None:
    with pytest.raises(LostGuest, match=r"QEMU was ended from outside: .*terminating on signal 15"):
        boot("terminated").run_ktap()


def test_endless_report_ends_the_guest_and_fills_no_disk(boot: Boot, tmp_path: Path) -> None:
    with pytest.raises(LostGuest, match="the guest's report is endless: more than 16 MiB"):
        boot("flood").run_ktap()
    assert (tmp_path / "ktap.log").stat().st_size <= MAX_REPORT


def test_a_flood_on_the_console_fills_no_disk_and_hides_no_panic(boot: Boot, tmp_path: Path) -> None:
    with pytest.raises(LostGuest, match="panicked: at last") as caught:
        boot("serial-flood", timeout_s=60).run_ktap()
    assert len(caught.value.serial_tail) <= vm_module.TAIL_LINES
    assert LIMIT < (tmp_path / "serial.log").stat().st_size < LIMIT + 2 * TAIL
    assert "panic - not syncing: at last" in (tmp_path / "serial.log").read_text()
    assert "panic - not syncing: at last" in str(caught.value)


def test_a_flood_that_nobody_looks_at_keeps_no_guest_waiting(boot: Boot) -> None:
    vm = boot("serial-flood", timeout_s=60)
    end = time.monotonic() + 30
    while vm.alive:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_truncated_report_is_a_bad_report_not_a_lost_guest(boot: Boot) -> None:
    report = boot("truncated").run_ktap()
    assert not report.ok
    assert any("inside a line" in p for p in report.problems)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("panic", "the guest's kernel panicked: Fatal exception"),
        ("early", "QEMU ended before the guest did: exit code 1"),
        ("killed", "QEMU ended before the guest did: SIGKILL; the last test that reported is 1 of 2, a"),
        ("silent", "the guest powered off without a report"),
        ("closed", "the guest powered off without a report"),
        ("hang", "the guest ran longer than 0.4 s (--timeout); the last test that reported is 1 of 2, a"),
    ],
)
def test_guest_that_does_not_live_to_report_is_lost(boot: Boot, behaviour: str, reason: str) -> None:
    vm = boot(behaviour, timeout_s=0.4 if behaviour == "hang" else 5)
    with pytest.raises(LostGuest) as caught:
        vm.run_ktap()
    assert caught.value.reason.startswith(reason)
    assert "| [    0.1] booting" in str(caught.value)
    if behaviour in ("panic", "killed", "hang"):
        assert caught.value.report.cases[0].name == "a"
    if behaviour == "early":
        assert "no such device" in str(caught.value)


def test_panic_trace_is_no_further_oops_and_an_earlier_oops_stays(boot: Boot) -> None:
    vm = boot("panic")
    with pytest.raises(LostGuest):
        vm.run_ktap()
    assert len(vm.oopses) == 1


def test_guest_that_reboots_gives_a_report_each_time_and_lives_on(boot: Boot) -> None:
    vm = boot("reboots")
    reports = vm.run_reports(3)
    assert [(report.ok, report.totals()) for report in reports] == [(True, "2 passed, 0 failed, 0 skipped")] * 3
    assert vm.alive


def test_guest_that_gives_fewer_reports_than_it_should_is_lost(boot: Boot) -> None:
    with pytest.raises(LostGuest, match="the guest gave 0 of 2 reports"):
        boot("good").run_reports(2)


@pytest.mark.parametrize(
    ("behaviour", "grace", "words"),
    [("panic-hang", "PANIC_GRACE_S", "panicked: Attempted"), ("no-poweroff", "POWEROFF_GRACE_S", "did not power off")],
)
def test_guest_that_will_not_end_is_ended_early(
    boot: Boot, monkeypatch: pytest.MonkeyPatch, behaviour: str, grace: str, words: str
) -> None:
    monkeypatch.setattr(vm_module, grace, 0.2)
    began = time.monotonic()
    with pytest.raises(LostGuest, match=words):
        boot(behaviour, timeout_s=30).run_ktap()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("behaviour", ["hang", "good"])
def test_guest_whose_server_died_is_lost_even_with_a_good_report(boot: Boot, tmp_path: Path, behaviour: str) -> None:
    with Child(["sh", "-c", "echo last words; kill -9 $$"], name="the device server", log=tmp_path / "c.log") as server:
        server.wait(2)
        vm = boot(behaviour, companions=(server,))
        with pytest.raises(LostGuest, match="the device server ended under the guest: SIGKILL") as caught:
            vm.run_ktap()
    assert "last words" in str(caught.value)


def test_server_that_died_with_the_guests_last_words_is_noticed(boot: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late:
        name = "the server"
        alive = True

        def how_it_ended(self) -> str:
            return "SIGSEGV"

        def output(self) -> str:
            return ""

    late = Late()
    vm = boot("good", companions=(late,))
    monkeypatch.setattr(vm, "_drain", lambda _watcher: setattr(late, "alive", False))
    with pytest.raises(LostGuest, match="the server ended under the guest: SIGSEGV"):
        vm.run_ktap()


@pytest.mark.parametrize("behaviour", ["hang", "stubborn", "child"])
def test_nothing_is_left_of_a_guest(tmp_path: Path, behaviour: str) -> None:
    with GuestVm.boot(spec(behaviour), logs=tmp_path, timeout_s=0.3) as vm, contextlib.suppress(LostGuest):
        vm.run_ktap()
    assert group_is_gone(vm.pid)


def test_console_can_be_waited_for(boot: Boot) -> None:
    assert boot("hang").wait_for("booting") == "[    0.1] booting"


def test_waiting_for_words_that_never_come_is_a_lost_guest(boot: Boot) -> None:
    with pytest.raises(LostGuest, match="before its console said 'nonsense'"):
        boot("good").wait_for("nonsense")


def test_qemu_that_is_not_there_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot start QEMU"):
        GuestVm.boot(VmSpec(("/nonexistent/qemu",), Path("k"), Path("i")), logs=tmp_path, timeout_s=1)


def test_interrupt_leaves_nothing(tmp_path: Path) -> None:
    class Stop(Nobody):
        def serial(self, line: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), GuestVm.boot(spec("hang"), logs=tmp_path, timeout_s=9) as vm:
        vm.run_ktap(Stop())
    assert group_is_gone(vm.pid)


class TestCheck:
    def test_guest_that_runs_is_left_alone(self, boot: Boot) -> None:
        vm = boot("hang")
        vm.wait_for("booting")
        vm.check()
        assert vm.alive

    def test_guest_that_panicked_is_lost(self, boot: Boot) -> None:
        vm = boot("panic-hang")
        with pytest.raises(LostGuest, match="panicked: Attempted to kill init"):
            check_until_lost(vm)

    def test_guest_that_ended_is_lost_with_what_qemu_said(self, boot: Boot) -> None:
        with pytest.raises(LostGuest, match=r"the guest has ended \(QEMU: exit code 1\)[^|]*no such device"):
            check_until_lost(boot("early"))

    def test_guest_whose_time_is_up_is_lost(self, boot: Boot) -> None:
        with pytest.raises(LostGuest, match=r"ran longer than 0.2 s"):
            check_until_lost(boot("hang", timeout_s=0.2))

    def test_guest_whose_server_died_is_lost(self, boot: Boot, tmp_path: Path) -> None:
        with Child(["true"], name="the device server", log=tmp_path / "c.log") as server:
            server.wait(2)
            with pytest.raises(LostGuest, match="the device server ended under the guest"):
                check_until_lost(boot("hang", companions=(server,)))


def check_until_lost(vm: GuestVm) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        vm.check()
        time.sleep(0.01)
    pytest.fail("the guest was never lost")


def test_agents_socket_reaches_qemu(boot: Boot, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, GuestVm.boot(spec("agent"), logs=tmp_path, timeout_s=5, agent=theirs):
        theirs.close()
        ours.settimeout(5)
        assert ours.recv(100) == b"ready\n"
