# SPDX-License-Identifier: Apache-2.0
"""The guest's cases as pytest cases.

One guest is booted per board, kernel, shape, transport and session, when its first case is asked for; each case then
looks up its own line. The names come from the test program itself (`--list`, run on the host), so a line that never
came is a case that fails. Which kernels they are: which_kernel.py.
"""

import functools
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from which_kernel import kernels, with_all_modules

from plx9x5x import boards
from plx9x5x.errors import LostVm, PlxError, SetupError
from plx9x5x.lab import session
from plx9x5x.lab.card import driver
from plx9x5x.lab.guest import shapes
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.shapes import Shape
from plx9x5x.lab.toolchain import for_stream, load
from plx9x5x.transport.choice import Transport

# As a terminal leaves it: a CI runner may start us with it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

NO_LIST = "(the cases could not be listed)"
LIBVFIO, WIRE = Transport.LIBVFIO.value, Transport.WIRE.value
# The wire serves every shape, libvfio-user the one that is everybody's.
ALL_GUESTS = (
    (shapes.PLAIN, LIBVFIO),
    (shapes.PLAIN, WIRE),
    (shapes.HIGH, WIRE),
    (shapes.SWIOTLB, WIRE),
    (shapes.IOMMU, WIRE),
)
# What `high` and `swiotlb` ask of a driver, and of us, does not differ by kernel.
FEWER_GUESTS = {"6.12": ((shapes.PLAIN, LIBVFIO), (shapes.IOMMU, WIRE))}
# The boards differ in nothing that kernel, shape and transport have a say in: of these, one of each.
OTHER_BOARDS = tuple(board for board in driver.BOARDS if board != boards.DEFAULT)

# Files whose tests have nothing in common.
APART = ("test_broken.py", "test_try.py", "test_try_ends.py", "test_try_files.py", "test_witness.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A run without guests must neither compile nor fetch anything."""
    return True if "not guest" in config.getoption("markexpr", "") and collection_path.suffix == ".py" else None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shapes(*names): run in these guests alone")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n 2 --dist loadgroup` those that look at one guest, or share what a file sets up, are of one process."""
    for item in items:
        if isinstance(item, pytest.Function) and "guest_run" in item.fixturenames:
            params = item.callspec.params
            group = id_of(*(params[name] for name in ("board", "kernel", "shape", "transport")))
        elif item.path.name in APART:
            continue
        else:
            group = item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "guest_run" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("shapes")
        guests = [guest for guest in all_guests() if marker is None or guest[2].name in marker.args]
        names = ("board", "kernel", "shape", "transport")
        if "guest_case" in metafunc.fixturenames:
            wanted = [(*guest, case) for guest in guests for case in case_names()]
            ids = [f"{id_of(*guest)}-{case}" for *guest, case in wanted]
            metafunc.parametrize((*names, "guest_case"), wanted, ids=ids, scope="session")
        else:
            metafunc.parametrize(names, guests, ids=[id_of(*guest) for guest in guests], scope="session")
    elif "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", kernels(), scope="session")


def all_guests() -> Sequence[tuple[str, str, Shape, str]]:
    of_the_default = [
        (boards.DEFAULT, kernel, *guest) for kernel in kernels() for guest in FEWER_GUESTS.get(kernel, ALL_GUESTS)
    ]
    return [*of_the_default, *((board, kernels()[0], shapes.PLAIN, LIBVFIO) for board in OTHER_BOARDS)]


def id_of(board: str, kernel: str, shape: Shape, transport: str) -> str:
    """Board and transport are told where they could be others."""
    words = (kernel, shape.name, *((transport,) if shape is shapes.PLAIN else ()))
    return "-".join(words if board == boards.DEFAULT else (*words, board))


@functools.cache
def case_names() -> Sequence[str]:
    try:
        return session.list_cases(driver.build_program(guest_sources.find()))
    except (OSError, PlxError):
        return (NO_LIST,)


@functools.cache
def _run(board: str, kernel: str, shape: str, transport: str) -> session.RunResult | PlxError:
    """One guest for all tests that ask for the same; an error is kept for each of them as well."""
    try:
        return session.run(session.RunSpec(board, kernel=kernel, guest=shapes.named(shape), transport=transport))
    except (SetupError, LostVm) as exc:
        return exc


@pytest.fixture
def guest_run(board: str, kernel: str, shape: Shape, transport: str) -> session.RunResult:
    """What the guest of this shape with this kernel and this board reported."""
    return _reported(_run(board, kernel, shape.name, transport))


def _reported(result: session.RunResult | PlxError) -> session.RunResult:
    if isinstance(result, SetupError):
        pytest.fail(f"{result}\nhint: {result.hint}", pytrace=False)
    if isinstance(result, PlxError):
        pytest.fail(str(result), pytrace=False)
    return result


@pytest.fixture(scope="session")
def full_kernel(pytestconfig: pytest.Config) -> str:
    """The name of the kernel with all modules, fetched now if it never was, and heard doing so."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        load(kernel=with_all_modules(), need={"kernel"}, progress=for_stream(sys.stderr))
    return with_all_modules()
