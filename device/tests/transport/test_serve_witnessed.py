# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve --witness-fd`: in the jail, on both transports, beside a client whose driver is recorded."""

import itertools
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from plx9x5x.findings import kept
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.units import KIB
from plx9x5x.witness import ring
from plx9x5x.witness.records import Access, Kind
from plx9x5x.witness.ring import RingWriter
from tests.transport.support import until

CONFIG = 7
RAM, BASE = 0x10_0000, 0xFEB0_0000
CSR = 0xA8
TEXT = 0xFFFF_FFFF_C000_0000


@contextmanager
def serving(fd: int, path: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    argv = ["-m", "plx9x5x", "serve", "--socket-path", path, "--witness-fd", fd, *options]
    with subprocess.Popen(
        [sys.executable, *map(str, argv)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[fd]
    ) as server:
        try:
            assert server.stdout is not None
            assert any(line.startswith("listening on ") for line in server.stdout)
            yield server
        finally:
            server.kill()


class Driver:
    """A driver over the socket, whose accesses and calls are recorded."""

    def __init__(self, client: VfioUserClient, fd: int) -> None:
        self.client, self.writer = client, RingWriter(fd)
        self.pc = TEXT
        self.writer.state(ring.SAW_KERNEL)
        self.call(Kind.MODULE, 7, TEXT, 0x1000, 0, 0, text="my_drv")
        client.write(CONFIG, 0x10, BASE)
        client.write(CONFIG, 4, 7, 2)

    def call(self, kind: Kind, *a: int, text: str = "", flags: int = 0, width: int = 0) -> None:
        self.pc += 16
        self.writer.put(kind, *a, text=text, flags=flags, width=width, pc=self.pc)

    def write(self, offset: int, value: int, width: int = 4) -> None:
        self.client.write(0, offset, value, width)
        self.call(Kind.ACCESS, BASE + offset, value, flags=Access.WRITE, width=width)

    def transfer(self, pci: int) -> None:
        for offset, value in ((0x80, 0x43), (0x84, pci), (0x88, 0), (0x8C, 64), (0x90, 8)):
            self.write(offset, value)
        self.write(CSR, 3, 1)

    def done(self) -> bool:
        value = self.client.read(0, CSR, 1)
        self.call(Kind.ACCESS, BASE + CSR, value, width=1)
        return bool(value & 16)


@pytest.fixture
def fd() -> Iterator[int]:
    made = ring.create("0000:00:02.0", 1024)
    yield made
    os.close(made)


def test_it_says_that_all_is_pythons_with_a_witness(fd: int, tmp_path: Path) -> None:
    argv = ["-m", "plx9x5x", "serve", "--socket-path", tmp_path / "s", "--transport", "wire"]
    for options, says in (
        (("--witness-fd", fd), "plane python, by the witness"),
        (("--witness-fd", fd, "--fault", "lost interrupt once"), "plane python, by the plan of faults"),
        (("--plane", "python"), "plane python"),
    ):
        with subprocess.Popen(
            [sys.executable, *map(str, (*argv, *options))], stdout=subprocess.PIPE, text=True, pass_fds=[fd]
        ) as server:
            try:
                assert server.stdout is not None
                said = list(itertools.takewhile(lambda line: not line.startswith("listening on "), server.stdout))
            finally:
                server.kill()
        assert f"{says}\n" in said


@pytest.mark.parametrize("carrier", ["wire", "libvfio"])
def test_a_driver_is_judged_and_its_calls_are_kept(fd: int, folder: Path, library_path: Path, carrier: str) -> None:
    summary, log = folder / "findings.jsonl", folder / "calls.jsonl"
    options = ("--transport", carrier, "--libvfio-user", library_path, "--summary", summary, "--witness-log", log)
    with serving(fd, folder / "s", *options) as server:
        with VfioUserClient(folder / "s") as client, closing(SharedRam(64 * KIB)) as ram:
            client.map(RAM, 64 * KIB, ram.fd)
            driver = Driver(client, fd)
            assert driver.writer.bar(0) == (BASE, 512, False)
            driver.call(Kind.ALLOC, 0xFFFF_8880_0010_0000, RAM, 4096, RAM)
            driver.transfer(RAM)
            until(driver.done)
            driver.transfer(RAM + 8192)
            until(driver.done)
            driver.call(Kind.MODULE, 7, TEXT, 0x1000, 0, 0, text="my_drv", flags=1)
            time.sleep(0.1)
        until(lambda: summary.exists() and summary.read_text() != "")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    found = kept.read(summary)
    assert [it.rule for it in found] == ["dma-not-allocated", "dma-left"]
    assert [it.role for it in found[0].places] == ["DMAPADR0 written", "started"]
    assert {it.load for it in found} == {1}
    record = next(it for it in kept.records(summary) if it["channels"])  # the library resets once more
    assert record["dma"]["live"] == 1  # type: ignore[index]
    assert record["dma"]["blind"] == ""  # type: ignore[index]
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [it["kind"] for it in calls] == ["module", "alloc", "module"]
    assert (calls[1]["handle"], calls[1]["size"]) == (RAM, 4096)
    assert log.stat().st_mode & 0o077 == 0


def test_what_is_thorough_is_looked_for_too(fd: int, folder: Path) -> None:
    """Every descriptor is Python's in any case: a ring that goes round before anybody looks is told."""
    summary = folder / "findings.jsonl"
    with serving(fd, folder / "s", "--summary", summary) as server:
        with VfioUserClient(folder / "s") as client, closing(SharedRam(64 * KIB)) as ram:
            client.map(RAM, 64 * KIB, ram.fd)
            driver = Driver(client, fd)
            driver.call(Kind.ALLOC, 0xFFFF_8880_0010_0000, RAM, 64 * KIB, RAM)
            ram.bytes[:16] = struct.pack("<4I", RAM + 4096, 0, 64, RAM | 9)
            driver.write(0x80, 0x243)
            driver.write(0x90, RAM | 9)
            driver.write(CSR, 3, 1)
            time.sleep(0.2)
            driver.write(CSR, 0, 1)
            driver.write(CSR, 4, 1)
            until(driver.done)
        until(lambda: summary.exists() and summary.read_text() != "")
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
    assert [it.rule for it in kept.read(summary)] == ["ring-overrun"]


def test_a_descriptor_that_is_no_ring_is_refused(folder: Path) -> None:
    other = os.memfd_create("other")
    try:
        argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", folder / "s", "--witness-fd", str(other)]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, pass_fds=[other], timeout=30)
        assert ended.returncode == 2
        assert "no ring" in ended.stderr
        assert "Traceback" not in ended.stderr
    finally:
        os.close(other)


def test_options_that_go_with_a_ring_are_refused_without(folder: Path) -> None:
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", folder / "s", "--witness-sync"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert "--witness-fd" in ended.stderr


def test_a_log_of_calls_that_is_there_is_not_written_over(fd: int, folder: Path) -> None:
    log = folder / "calls.jsonl"
    log.write_text("mine\n")
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", folder / "s", "--witness-fd", str(fd)]
    argv += ["--witness-log", log]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, pass_fds=[fd], timeout=30)
    assert ended.returncode
    assert "name another file" in ended.stderr
    assert log.read_text() == "mine\n"
