# SPDX-License-Identifier: Apache-2.0
"""Fixtures for test suites, ours and other people's: pytest finds them once plx9x5x is installed.

::

    from dataclasses import replace
    from pathlib import Path
    from plx9x5x.lab.guest.image import program

    @pytest.mark.plx_board("rdk-9656-lite")            # optional; also (kernel="6.12", guest="high", timeout_s=60)
    def test_my_driver(plx_image, plx_vm):
        image = replace(
            plx_image,
            own_modules=(Path("my_driver.ko"),),
            files={**plx_image.files, "bin/my_test": program(Path("my_test"))},   # static; gets --output PORT
            words=("plx.run=/bin/my_test",),
        )
        with plx_vm(image) as vm:                       # device, server and guest; raises LostVm, SetupError
            report = vm.run_ktap()
        assert report.ok, report.summary()

`plx_toolchain` is QEMU, kernel and the rest; `plx_backend` the program that serves the device, which a conftest may
override for a device of its own; `plx_server` that program, running, for a QEMU of your own; `plx_image` a guest with
an init and nothing to run; `plx_vm` boots one with the device. Logs are in the test's `tmp_path`.

Nothing is imported before a fixture is used: a plugin is loaded by every pytest run on the machine. Nothing here knows
what the device is: `plx_backend` is a fixture of `plx9x5x.lab.card.pytest_plugin`, for which the marker's board is.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from plx9x5x.lab import defaults

if TYPE_CHECKING:
    from plx9x5x.lab.guest.image import GuestImage
    from plx9x5x.lab.guest.vm import GuestVm
    from plx9x5x.lab.host.server import Backend, DeviceServer
    from plx9x5x.lab.toolchain import Toolchain

BootGuest = Callable[["GuestImage"], AbstractContextManager["GuestVm"]]
"""Boots an image with the device; the guest lives within the context."""

_MARK: Final = "plx_board"
_DEVICE_MARK: Final = "plx_device"
_POSITIONAL: Final = ("board",)
_SETTINGS: Final = ("board", "kernel", "guest", "memory_mib", "timeout_s", "faults", "seed", "settings")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(board, *, {', '.join(_SETTINGS[1:])}): the board and guest that the plx_ fixtures give",
    )
    config.addinivalue_line(
        "markers",
        f"{_DEVICE_MARK}(factory): MODULE:NAME or PATH.py:NAME, a device of one's own for plx_vm, plx_try",
    )


@pytest.fixture
def plx_toolchain(request: pytest.FixtureRequest) -> "Toolchain":
    """QEMU, guest kernel, busybox, libvfio-user; fetched at the first use ever."""
    from plx9x5x.lab.toolchain import load  # noqa: PLC0415

    return load(kernel=setting(request, "kernel", None))


@pytest.fixture
def plx_server(plx_backend: "Backend", tmp_path: Path) -> Iterator["DeviceServer"]:
    """A device that waits for its client at `plx_server.socket_path`."""
    from plx9x5x.lab.host.server import DeviceServer  # noqa: PLC0415

    with DeviceServer.start(backend=plx_backend, logs=tmp_path) as server:
        yield server.wait_ready()


@pytest.fixture
def plx_image(plx_toolchain: "Toolchain") -> "GuestImage":
    """An init, busybox, and what the report's channel needs; add your driver by `dataclasses.replace`."""
    from plx9x5x.lab.guest import sources as guest_sources  # noqa: PLC0415

    return guest_sources.base_image(plx_toolchain, guest_sources.find())


@pytest.fixture
def plx_vm(
    request: pytest.FixtureRequest, plx_toolchain: "Toolchain", plx_server: "DeviceServer", tmp_path: Path
) -> BootGuest:
    """A function that boots an image with the device on its bus."""
    from plx9x5x.lab.guest.launch import joined  # noqa: PLC0415
    from plx9x5x.lab.guest.shapes import PLAIN, named  # noqa: PLC0415

    @contextlib.contextmanager
    def boot(image: "GuestImage") -> Iterator["GuestVm"]:
        ready = joined(plx_toolchain, image, server=plx_server)
        with ready.boot(
            devices=ready.device(),
            logs=tmp_path,
            timeout_s=setting(request, "timeout_s", defaults.TIMEOUT_S),
            shape=named(setting(request, "guest", PLAIN.name)),
            memory_mib=setting(request, "memory_mib", None),
        ) as vm:
            yield vm

    return boot


def own_device(request: pytest.FixtureRequest) -> "Backend | None":
    """The program that serves the device of the nearest marker `plx_device`; None without one.

    Raises: pytest.UsageError for a marker that says something else.
    """
    from plx9x5x.lab.host.server import device_backend  # noqa: PLC0415

    factory = named_device(request)
    return None if factory is None else device_backend(factory)


def named_device(request: pytest.FixtureRequest) -> str | None:
    """The device of the nearest marker `plx_device`, a file beside the test; None without one.

    Raises: pytest.UsageError for a marker that says something else.
    """
    marker = request.node.get_closest_marker(_DEVICE_MARK)
    if marker is None:
        return None
    if marker.kwargs or len(marker.args) != 1 or not isinstance(marker.args[0], str):
        raise pytest.UsageError(f"{_DEVICE_MARK} takes one text, MODULE:NAME or PATH.py:NAME")
    factory = marker.args[0]
    return str(request.path.parent / factory) if ".py:" in factory else factory


def setting(request: pytest.FixtureRequest, name: str, default: Any) -> Any:
    """What the nearest marker says about `name`. Raises: pytest.UsageError for a marker that says what nobody asks."""
    for marker in request.node.iter_markers(_MARK):
        said = {**dict(zip(_POSITIONAL, marker.args, strict=False)), **marker.kwargs}
        if unknown := (*marker.args[len(_POSITIONAL) :], *(word for word in said if word not in _SETTINGS)):
            raise pytest.UsageError(f"{_MARK} knows no {unknown[0]!r}; it takes {', '.join(_SETTINGS)}")
        if name in said:
            return said[name]
    return default
