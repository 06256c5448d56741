# SPDX-License-Identifier: Apache-2.0
"""The boards for `plx9x5x.lab.pytest_plugin`: what its fixtures serve unless a test suite says otherwise."""

from typing import TYPE_CHECKING

import pytest

from plx9x5x import boards
from plx9x5x.lab.pytest_plugin import setting

if TYPE_CHECKING:
    from plx9x5x.lab.host.server import Backend
    from plx9x5x.lab.toolchain import Toolchain


@pytest.fixture
def plx_backend(request: pytest.FixtureRequest, plx_toolchain: "Toolchain") -> "Backend":
    """The program that serves the device: `plx9x5x serve` with the board of the nearest marker."""
    from plx9x5x.lab.card.backend import board_backend  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import PLAIN, named  # noqa: PLC0415
    from plx9x5x.transport.choice import AUTO, choose  # noqa: PLC0415

    board = setting(request, "board", boards.DEFAULT)
    guest = named(setting(request, "guest", PLAIN.name))
    carrier = choose(AUTO, has_library=True, many_mappings=guest.needs_many_mappings)
    return board_backend(board, libvfio_user=plx_toolchain.libvfio_user, transport=carrier.transport.value)
