# SPDX-License-Identifier: Apache-2.0
"""A guest that reboots with its buffers mapped finds, each time, a device that knows nothing of the boot before.

Behind an IOMMU the kernel gives the same logical addresses again, for other pages. A server that still holds a mapping
of the boot before moves bytes to and from a stranger's page, and reports success. PLX_ROUNDS is how often the guest
reboots.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from plx9x5x import boards
from plx9x5x.lab.card import driver
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.shapes import IOMMU, PLAIN, Shape
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import Toolchain

pytestmark = [pytest.mark.guest, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("PLX_ROUNDS", "3"))
BOOT_S = 20


def reboots(tc: Toolchain, shape: Shape, transport: str, logs: Path) -> Sequence[Report]:
    """Boot a guest, have it reboot ROUNDS times in one QEMU; give what it reported after each boot."""
    sources = guest_sources.find()
    image = driver.driver_image(tc, sources, driver.build(tc, sources), mode="reboot")
    backend = board_backend(boards.DEFAULT, libvfio_user=tc.libvfio_user, transport=transport)
    with prepared(tc, image, backend=backend, logs=logs) as ready:
        limit_s = BOOT_S * (ROUNDS + 1)
        with ready.boot(devices=ready.device(), logs=logs, timeout_s=limit_s, shape=shape, may_reboot=True) as vm:
            reports = vm.run_reports(ROUNDS + 1)
            assert not vm.oopses
            assert not vm.vfio_errors()
        assert ready.trouble() is None
    return reports


def assert_every_byte_was_right(reports: Sequence[Report]) -> None:
    for boot, report in enumerate(reports):
        assert report.ok, f"boot {boot}: {report.summary()}"
        moved = [line for line in report.cases[0].observed if line.startswith("dma ")]
        assert len(moved) >= 96, f"boot {boot} moved nothing to speak of"
        assert all(line.endswith("wrong=0") for line in moved)


@pytest.mark.parametrize(
    ("shape", "transport"),
    [(IOMMU, "wire"), (PLAIN, "libvfio"), (PLAIN, "wire")],
    ids=lambda one: getattr(one, "name", one),
)
def test_every_byte_is_right_after_a_reboot_with_live_mappings(
    plx_toolchain: Toolchain, tmp_path: Path, shape: Shape, transport: str
) -> None:
    assert_every_byte_was_right(reports := reboots(plx_toolchain, shape, transport, tmp_path))
    # The addresses come again, or nothing was tried.
    told = [{line.split(" la=")[1].split()[0] for line in one.cases[0].observed if " la=" in line} for one in reports]
    assert told[0] & told[1]
