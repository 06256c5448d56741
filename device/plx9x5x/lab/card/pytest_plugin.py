# SPDX-License-Identifier: Apache-2.0
"""The boards for `plx9x5x.lab.pytest_plugin`: what its fixtures serve unless a test suite says otherwise."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plx9x5x import boards
from plx9x5x.lab.pytest_plugin import own_device, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plx9x5x.findings.finding import Finding
    from plx9x5x.lab.host.server import Backend, DeviceServer
    from plx9x5x.lab.toolchain import Toolchain


@pytest.fixture
def plx_backend(request: pytest.FixtureRequest, plx_toolchain: "Toolchain", tmp_path: Path) -> "Iterator[Backend]":
    """The program that serves the device: `plx9x5x serve` with the board of the nearest marker.

    With the marker `plx_device` it is a device of one's own. A test that fails shows what was found done wrong.
    """
    from plx9x5x.faults.plan import listed  # noqa: PLC0415
    from plx9x5x.findings.kept import read  # noqa: PLC0415
    from plx9x5x.lab.card.backend import FINDINGS, board_backend  # noqa: PLC0415
    from plx9x5x.lab.card.plans import of_cards  # noqa: PLC0415
    from plx9x5x.lab.card.settings import of_cards as of_settings  # noqa: PLC0415
    from plx9x5x.lab.card.settings import words_of  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import PLAIN, named  # noqa: PLC0415
    from plx9x5x.transport.choice import AUTO, choose  # noqa: PLC0415

    if (own := own_device(request)) is not None:
        yield own
        return
    board = setting(request, "board", boards.DEFAULT)
    guest = named(setting(request, "guest", PLAIN.name))
    carrier = choose(AUTO, has_library=True, many_mappings=guest.needs_many_mappings)
    kept = tmp_path / FINDINGS
    words = words_of(setting(request, "settings", ()))
    settings = of_settings(words, (board,), folder=request.path.parent) if words else ((),)
    yield board_backend(
        board,
        libvfio_user=plx_toolchain.libvfio_user,
        transport=carrier.transport.value,
        summary=kept,
        faults=of_cards(listed(setting(request, "faults", ())), (board,), settings)[0],
        seed=setting(request, "seed", 0),
        settings=settings[0],
    )
    if said := "\n".join(map(str, read(kept))):
        request.node.add_report_section("teardown", "device findings", said)


@pytest.fixture
def plx_findings(plx_server: "DeviceServer", tmp_path: Path) -> "Callable[[], tuple[Finding, ...]]":
    """A function that ends the device and gives what it found done wrong, and by whom: ask once the guest has ended.

    A `plx_backend` of a suite's own keeps them if it serves with `summary=tmp_path / FINDINGS`.
    """

    def findings() -> "tuple[Finding, ...]":
        from plx9x5x.findings.kept import read  # noqa: PLC0415
        from plx9x5x.lab.card.backend import FINDINGS  # noqa: PLC0415

        plx_server.end()
        return read(tmp_path / FINDINGS)

    return findings
