# SPDX-License-Identifier: Apache-2.0
"""A card that comes and goes while the guest runs works each time; its server keeps nothing of the time before.

PLX_ROUNDS is how often.
"""

import os
import time
from pathlib import Path

import pytest

from plx9x5x import boards
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import pcie_root_port
from plx9x5x.lab.guest.qmp import Qmp
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, Shape
from plx9x5x.lab.toolchain import Toolchain

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("PLX_ROUNDS", "3"))
BOOT_S, ROUND_S = 60, 10
SLOT, CARD = "port0", "card0"
CASES = ("selftest_dma_pattern", "a_streaming_mapping_carries_every_byte", "each_block_interrupts_once")


def files_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def assert_files_come_to(count: int, pid: int) -> None:
    """The server hears of the client's end when its loop comes round."""
    deadline = time.monotonic() + 5
    while (now := files_of(pid)) != count:
        assert time.monotonic() < deadline, f"{now} open files, not {count}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("shape", "transport"),
    [(PLAIN, "libvfio"), (PLAIN, "wire"), (IOMMU, "wire")],
    ids=lambda one: getattr(one, "name", one),
)
def test_a_card_that_comes_and_goes_works_each_time(
    plx_toolchain: Toolchain, tmp_path: Path, shape: Shape, transport: str
) -> None:
    sources = guest_sources.find()
    only = tuple(word for case in CASES for word in ("--only", case))
    built = driver.build(plx_toolchain, sources)
    image = driver.driver_image(plx_toolchain, sources, built, mode="plug", arguments=only)
    backend = board_backend(boards.DEFAULT, libvfio_user=plx_toolchain.libvfio_user, transport=transport)
    with prepared(plx_toolchain, image, backend=backend, logs=tmp_path) as ready, Qmp() as qmp:
        with ready.boot(
            devices=(pcie_root_port(SLOT),),
            logs=tmp_path,
            timeout_s=BOOT_S + ROUND_S * ROUNDS,
            shape=shape,
            qmp=qmp,
        ) as vm:
            (card,) = ready.device(bus=SLOT)
            assert ready.server is not None
            before = files_of(ready.server.pid)
            for number in range(ROUNDS):
                vm.wait_for("waits for")
                qmp.plug(CARD, card)
                (report,) = vm.run_reports(1)
                assert report.ok, f"round {number}: {report.summary()}"
                assert report.passed == len(CASES)
                qmp.unplug(CARD)
                assert_files_come_to(before, ready.server.pid)
            assert not vm.oopses
            assert not vm.vfio_errors()
        assert ready.trouble() is None
