# SPDX-License-Identifier: Apache-2.0
"""A guest that is away for longer than its driver's time limit, in the middle of a transfer, finds the transfer good.

QEMU's process is stopped, as a host that is suspended does it: the guest's clock goes on, and so does the card.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plx9x5x.findings.finding import Finding
from plx9x5x.lab.bench.sampler import SAMPLES
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import FINDINGS
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.vm import GuestVm
from plx9x5x.lab.host.server import Backend, DeviceServer
from plx9x5x.lab.pytest_plugin import BootGuest
from plx9x5x.lab.toolchain import Toolchain

pytestmark = [pytest.mark.guest, pytest.mark.timeout(600)]

PAUSE_S = 1.5
ROUNDS = 3
LINE = re.compile(r"pause limit_us=(\d+) us=(\d+)")


@pytest.fixture
def plx_backend(plx_toolchain: Toolchain, tmp_path: Path) -> Backend:
    """The sampler in place of a board of ours: its transfers last as long as its samples do."""
    module = "plx9x5x.lab.bench.sampler"
    options = ("--libvfio-user", str(plx_toolchain.libvfio_user), "--summary", str(tmp_path / FINDINGS))
    return Backend((sys.executable, "-m", module, *options))


@pytest.fixture
def image(plx_toolchain: Toolchain) -> GuestImage:
    """The test driver and its program, for the case with pauses alone."""
    sources = guest_sources.find()
    built = driver.build(plx_toolchain, sources)
    return driver.driver_image(plx_toolchain, sources, built, arguments=("--pause",))


@contextmanager
def pausing(vm: GuestVm, server: DeviceServer) -> Iterator[None]:
    """Pause the guest each time that the card begins to sample."""
    over = threading.Event()

    def pause() -> None:
        for number in range(1, ROUNDS + 1):
            while server.output().count(SAMPLES) < number:
                if over.wait(0.01):
                    return
            os.kill(vm.pid, signal.SIGSTOP)
            over.wait(PAUSE_S)
            os.kill(vm.pid, signal.SIGCONT)

    thread = threading.Thread(target=pause)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_transfer_that_ends_while_the_guest_is_away_is_good(
    image: GuestImage, plx_vm: BootGuest, plx_server: DeviceServer, plx_findings: Callable[[], tuple[Finding, ...]]
) -> None:
    with plx_vm(image) as vm:
        with pausing(vm, plx_server):
            report = vm.run_ktap()
        assert not vm.oopses
        assert not vm.vfio_errors()
    said = "\n".join(line for case in report.cases for line in case.diagnostics)
    assert report.ok, said
    rounds = [(int(found[1]), int(found[2])) for found in LINE.finditer(said)]
    assert len(rounds) == ROUNDS, said
    assert any(took > limit for limit, took in rounds), f"no pause fell into a transfer:\n{said}"
    assert plx_findings() == (), "nobody did wrong"
