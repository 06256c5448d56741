# SPDX-License-Identifier: Apache-2.0
"""Linux's CAN drivers, as they are, on the esd CAN-PCI/266: SocketCAN from one controller to the other."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.toolchain import build_static

if TYPE_CHECKING:
    from plx9x5x.lab.trial import TryResult
    from plx9x5x.lab.trial_plugin import Try

pytestmark = [pytest.mark.guest, pytest.mark.plx_board("esd-can-pci266")]


@pytest.fixture(scope="module")
def program() -> Path:
    """The program that sends and checks, `guest-tests/cards`."""
    return build_static(guest_sources.find().root / "cards/can_exchange.c", name="can_exchange")


def good(result: "TryResult") -> None:
    """Nobody complains: neither the kernel nor the findings."""
    assert (result.exit_code, result.kernel_said, result.findings) == (0, (), ()), result.lines()
    assert [text.split()[1] for text in result.bound] == ["sja1000_plx_pci"]


def test_a_thousand_frames_of_every_kind_go_each_way(full_kernel: str, program: Path, plx_try: "Try") -> None:
    command = "/can_exchange exchange 1000 500000 && grep -o 'can.*' /proc/interrupts"
    result = plx_try("can-raw", "plx_pci", command=command, kernel=full_kernel, files=(program,))
    good(result)
    said, *shared = result.output.splitlines()
    assert said.startswith("1000 frames each way")
    assert shared == ["can0, can1"], "one interrupt line for both"


def test_the_driver_sees_bus_off_and_finds_the_card_again_after_it_was_removed(
    full_kernel: str, program: Path, plx_try: "Try"
) -> None:
    again = "rmmod plx_pci && insmod /lib/modules/plx_pci.ko && /can_exchange exchange 40 125000"
    command = f"/can_exchange busoff 500000 250000 && {again}"
    result = plx_try("can-raw", "plx_pci", command=command, kernel=full_kernel, files=(program,))
    good(result)
    assert result.output.splitlines() == ["bus-off, and back", "40 frames each way, 0 arbitrations lost"]
