# SPDX-License-Identifier: Apache-2.0
"""QEMU killed hard, booting and with a ring running: the server is at once as it was, for the next client."""

from pathlib import Path

import pytest

from plx9x5x import boards
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.kills.guests import kill_guests
from plx9x5x.lab.toolchain import Toolchain

pytestmark = [pytest.mark.guest, pytest.mark.timeout(120)]


def test_a_qemu_that_is_killed_leaves_nothing_in_the_server(plx_toolchain: Toolchain, tmp_path: Path) -> None:
    backend = board_backend(boards.DEFAULT, libvfio_user=None, transport="wire")
    with DeviceServer.start(backend=backend, logs=tmp_path) as server:
        tally = kill_guests(plx_toolchain, server.wait_ready(), 2, seed=1, logs=tmp_path)
        assert server.trouble() is None
    assert tally.ok, tally.verdicts()
    assert tally.kills == 2
