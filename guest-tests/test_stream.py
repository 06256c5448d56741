# SPDX-License-Identifier: Apache-2.0
"""A guest that takes a stream of samples, and a host that takes the processor away meanwhile: nothing is lost.

PLX_STREAM_MIB is how much is taken, PLX_STREAM_STOPS how often the card's process is stopped for half a second.
"""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from plx9x5x.lab.bench.sampler import SAMPLES
from plx9x5x.lab.card import driver
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.pytest_plugin import BootGuest
from plx9x5x.lab.toolchain import Toolchain

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

MIB = int(os.environ.get("PLX_STREAM_MIB", "8"))
STOPS = int(os.environ.get("PLX_STREAM_STOPS", "2"))
STOPPED_S = 0.5
DEPTH_KIB = 64
"""The FIFO lasts for 27 ms of what the guest's program asks for."""
LINE = re.compile(r"stream bytes=(\d+) us=(\d+) interrupts=(\d+)")


@pytest.fixture
def plx_backend(request: pytest.FixtureRequest, plx_toolchain: Toolchain) -> Backend:
    """The sampler in place of a board of ours."""
    argv = (sys.executable, "-m", "plx9x5x.lab.bench.sampler", "--libvfio-user", str(plx_toolchain.libvfio_user))
    return Backend((*argv, "--depth", str(DEPTH_KIB), *getattr(request, "param", ())))


@pytest.fixture
def image(plx_toolchain: Toolchain) -> GuestImage:
    """The test driver and its program, for the stream alone."""
    sources = guest_sources.find()
    built = driver.build(plx_toolchain, sources)
    return driver.driver_image(plx_toolchain, sources, built, arguments=("--stream", str(MIB)))


@contextmanager
def stopping(server: DeviceServer, times: int) -> Iterator[list[float]]:
    """Stop the card's process so often while it samples; give when that was."""
    over = threading.Event()
    stops: list[float] = []

    def stop() -> None:
        while SAMPLES not in server.output():
            if over.wait(0.05):
                return
        while len(stops) < times and not over.wait(STOPPED_S):
            os.kill(server.pid, signal.SIGSTOP)
            stops.append(time.monotonic())
            over.wait(STOPPED_S)
            os.kill(server.pid, signal.SIGCONT)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        yield stops
    finally:
        over.set()
        thread.join()


def stream(image: GuestImage, boot: BootGuest, server: DeviceServer, stops: int) -> tuple[bool, str, int]:
    """Take the stream; give whether all was well, what the guest said, and how often the card was stopped."""
    with boot(image) as vm:
        with stopping(server, stops) as seen:
            report = vm.run_ktap()
        assert not vm.oopses
        assert not vm.vfio_errors()
    return report.ok, "\n".join(line for case in report.cases for line in case.diagnostics), len(seen)


def test_a_stream_arrives_whole(image: GuestImage, plx_vm: BootGuest, plx_server: DeviceServer) -> None:
    ok, said, _ = stream(image, plx_vm, plx_server, 0)
    assert ok, said
    found = LINE.search(said)
    assert found, said
    assert int(found[1]) >= MIB << 20  # whole blocks, all that were there
    print(f"{int(found[1]) / int(found[2]):.2f} MB/s, {found[3]} interrupts")  # noqa: T201 (a figure for people)


def test_a_card_that_is_stopped_overruns_nothing(
    image: GuestImage, plx_vm: BootGuest, plx_server: DeviceServer
) -> None:
    ok, said, stops = stream(image, plx_vm, plx_server, STOPS)
    assert ok, said
    assert stops == STOPS


@pytest.mark.parametrize("plx_backend", [("--max-time-step", "0")], indirect=True)
def test_without_a_longest_step_of_time_it_does(image: GuestImage, plx_vm: BootGuest, plx_server: DeviceServer) -> None:
    ok, said, _ = stream(image, plx_vm, plx_server, 1)
    assert not ok
    assert "words lost" in said
