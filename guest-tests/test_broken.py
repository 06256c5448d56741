# SPDX-License-Identifier: Apache-2.0
"""Runs that go wrong, each on purpose: reported as what they are, within their time, with nothing left behind."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from plx9x5x.lab.card.driver import build, driver_image
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.kills.guests import ring_image
from plx9x5x.lab.pytest_plugin import BootGuest
from plx9x5x.lab.toolchain import Toolchain

pytestmark = [pytest.mark.guest, pytest.mark.timeout(400)]

ONE_CASE = "block_moves_the_whole_sram"
EVERY_LENGTH = "cpu_and_device_share_buffers_of_every_length"
NARROW = "a_narrow_device_gets_low_memory"
WHOLE_PAGES = "common_buffers_are_whole_pages_below_4_gib"
PROCESSES = re.compile(r"server: process (\d+|-), QEMU: process (\d+)")


@dataclass
class Cli:
    """`plx9x5x run` as a user starts it, read line by line."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    server: int = 0
    qemu: int = 0

    def read_until(self, wanted: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if match := PROCESSES.search(line):
                self.server, self.qemu = int(match[1].replace("-", "0")), int(match[2])
            if wanted and wanted in line:
                return
        assert not wanted, f"'{wanted}' never came:\n{self.text}"

    def finish(self) -> int:
        self.read_until("")
        return self.process.wait(30)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def assert_nothing_is_left(self) -> None:
        assert self.qemu, f"QEMU was never started:\n{self.text}"
        deadline = time.monotonic() + 60
        while left := alive_in_groups({self.server, self.qemu} - {0}):
            assert time.monotonic() < deadline, f"still there: {left}"
            time.sleep(0.02)


def alive_in_groups(groups: set[int]) -> list[str]:
    """Processes of these process groups, zombies apart: an orphan's end waits for whoever adopted it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group, *_ = entry.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(group) in groups and state != "Z":
                found.append(entry.parent.name)
    return found


@pytest.fixture
def cli() -> Iterator[Callable[..., Cli]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> Cli:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "plx9x5x", "run", "--verbose", *arguments],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return Cli(process)

        yield start


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        ("fail", 1, "FAIL: broken_on_purpose_fail"),
        ("oops", 1, "PROBLEM: the guest's kernel complained: BUG: kernel NULL pointer dereference"),
        ("truncate", 1, "planned tests have no result"),
        ("nodevice", 1, "Bail out! no PLX device"),
        ("panic", 75, "PROBLEM: VM lost: the guest's kernel panicked"),
    ],
)
def test_broken_run_is_reported_as_what_it_is(cli: Callable[..., Cli], mode: str, code: int, said: str) -> None:
    run = cli("--mode", mode)
    assert run.finish() == code, run.text
    assert said in run.text
    assert re.fullmatch(r"\d+ passed, \d+ failed, \d+ skipped", run.lines[-1])
    run.assert_nothing_is_left()


def test_oops_beside_passing_tests_fails_the_run(cli: Callable[..., Cli]) -> None:
    run = cli("--mode", "oops", "--only", ONE_CASE)
    assert run.finish() == 1, run.text
    assert re.fullmatch(r"2 passed, 0 failed, 0 skipped", run.lines[-1])


def test_hanging_guest_meets_the_time_limit(cli: Callable[..., Cli], tmp_path: Path) -> None:
    began = time.monotonic()
    run = cli("--mode", "hang", "--only", ONE_CASE, "--timeout", "15", "--junit", str(tmp_path / "out.xml"))
    assert run.finish() == 75, run.text
    assert time.monotonic() - began < 25
    assert "VM lost: the guest ran longer than 15 s (--timeout)" in run.text
    assert "the guest's console ended with:" in run.text
    assert "loading out-of-tree module" in run.text
    suite = ET.parse(tmp_path / "out.xml").getroot()[0]
    assert int(suite.get("errors", "0")) >= 1
    run.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("arguments", "clauses", "said"),
    [
        (
            ("shim-length", "--only", EVERY_LENGTH),
            "CB-21, CB-22",
            "CB-22 is violated: Past a whole number of pages the rest of the last page is not the caller's.",
        ),
        (
            ("shim-limit", "--only", NARROW),
            "CB-50",
            "CB-50 is violated: Every byte of the buffer is within the device's address limit.",
        ),
        (
            # What was only said to be freed can still be read.
            ("shim-twice", "--only", EVERY_LENGTH),
            "CB-80, CB-83",
            "CB-83 is violated: A buffer is freed once.",
        ),
        (
            # Memory above 4 GiB is what the kernel gives first, and the device has 32 address lines.
            ("shim-limit", "--only", WHOLE_PAGES, "--guest", "high"),
            "CB-50",
            "CB-50 is violated: Every byte of the buffer is within the device's address limit.",
        ),
        (
            # The IOMMU blocks the device, so it shares no byte with the CPU either.
            # TV-142
            ("shim-physical", "--only", EVERY_LENGTH, "--guest", "iommu"),
            "CB-23, CB-30, CB-34, CB-35, CB-36, CB-66",
            "CB-36 is violated: The device is programmed with the logical address that the allocation returned, "
            "not with a physical one.",
        ),
    ],
    ids=["wrong-length", "above-the-limit", "freed-twice", "above-4-gib", "physical-address"],
)
def test_broken_shim_is_named_by_the_clause_that_it_breaks(
    cli: Callable[..., Cli], arguments: tuple[str, ...], clauses: str, said: str
) -> None:
    run = cli("--mode", *arguments)
    assert run.finish() == 1, run.text
    assert f"PROBLEM: common buffers: {said}" in run.text
    line = next(line for line in run.lines if line.startswith("common buffers: "))
    moved = ", logical addresses of all are not physical ones" if "iommu" in arguments else ""
    assert re.fullmatch(rf"common buffers: \d+ observed{moved}, \d+ clauses hold, violated: {clauses}( \(.*\))?", line)
    assert run.text.count("PROBLEM: ") == clauses.count("CB-")
    run.assert_nothing_is_left()


def test_physical_address_goes_unnoticed_where_it_is_the_logical_one(cli: Callable[..., Cli]) -> None:
    """Why the guest above has an IOMMU: on a plain PC this mistake works (reference hal-contract 3.1)."""
    run = cli("--mode", "shim-physical", "--only", EVERY_LENGTH)
    assert run.finish() == 0, run.text


@pytest.mark.parametrize("victim", ["server", "qemu"])
def test_process_killed_while_dma_runs_is_a_lost_vm(cli: Callable[..., Cli], victim: str) -> None:
    run = cli()
    run.read_until("ring_interrupts_and_never_ends")  # the ring of 1000 laps runs now
    os.kill(getattr(run, victim), signal.SIGKILL)
    assert run.finish() == 75, run.text
    who = {
        "server": "the device server ended under the guest: SIGKILL",
        "qemu": "QEMU ended before the guest did: SIGKILL",
    }
    assert who[victim] in run.text
    assert "cases gave no result" in run.text
    run.assert_nothing_is_left()


def test_ctrl_c_ends_everything_with_130(cli: Callable[..., Cli]) -> None:
    run = cli()
    run.read_until("bars_have_the_boards_sizes")
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 130, run.text
    run.assert_nothing_is_left()


def test_runner_killed_hard_takes_everything_with_it(cli: Callable[..., Cli]) -> None:
    run = cli()
    run.read_until("bars_have_the_boards_sizes")
    run.process.kill()
    run.finish()
    run.assert_nothing_is_left()


def test_server_outlives_a_qemu_killed_while_dma_runs_and_serves_the_next_one(
    plx_server: DeviceServer, plx_toolchain: Toolchain, plx_vm: BootGuest, plx_image: GuestImage, tmp_path: Path
) -> None:
    image = ring_image(plx_image, tmp_path)
    for _ in range(2):
        with plx_vm(image) as vm:
            line = vm.wait_for("ring: csr")
            assert "csr 0x01" in line, line  # enabled, not done: it runs
            os.kill(vm.pid, signal.SIGKILL)
        assert plx_server.alive, plx_server.output()

    sources = guest_sources.find()
    image = driver_image(plx_toolchain, sources, build(plx_toolchain, sources), mode="test", arguments=())
    with plx_vm(image) as vm:
        report = vm.run_ktap()
        assert not vm.oopses
        assert not vm.vfio_errors()
    assert report.ok, report.summary()
    assert plx_server.alive
