# SPDX-License-Identifier: Apache-2.0
"""The guest's cases as pytest cases.

One guest is booted per kernel and session, when its first case is asked for; each case then looks up its own line. The
names come from the test program itself (`--list`, run on the host), so a line that never came is a case that fails.
PLX9X5X_KERNEL runs one kernel instead of all.
"""

import functools
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from plx9x5x.errors import LostVm, PlxError, SetupError
from plx9x5x.lab import session
from plx9x5x.lab.card import driver
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.toolchain import KERNEL_SERIES

# As a terminal leaves it: a CI runner may start us with it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

NO_LIST = "(the cases could not be listed)"
IOMMU_CASE = "cpu_and_device_share_buffers_of_every_length"
"""Fits the 16 mappings that libvfio-user has."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A run without guests must neither compile nor fetch anything."""
    return True if "not guest" in config.getoption("markexpr", "") and collection_path.suffix == ".py" else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "guest_case" in metafunc.fixturenames:
        wanted = [(kernel, name) for kernel in kernels() for name in case_names()]
        metafunc.parametrize(("kernel", "guest_case"), wanted, ids=[f"{k}-{n}" for k, n in wanted], scope="session")
    elif "kernel" in metafunc.fixturenames:
        metafunc.parametrize("kernel", kernels(), scope="session")


def kernels() -> Sequence[str]:
    named = os.environ.get("PLX9X5X_KERNEL")
    return (named,) if named else KERNEL_SERIES


@functools.cache
def case_names() -> Sequence[str]:
    try:
        return session.list_cases(driver.build_program(guest_sources.find()))
    except (OSError, PlxError):
        return (NO_LIST,)


@functools.cache
def _run(kernel: str, *, iommu: bool = False) -> session.RunResult | PlxError:
    """One guest per kernel, whatever the number of tests that ask; an error is kept for each of them as well."""
    only = IOMMU_CASE if iommu else None
    try:
        return session.run(session.RunSpec(kernel=kernel, iommu=iommu, only=only))
    except (SetupError, LostVm) as exc:
        return exc


@pytest.fixture
def guest_run(kernel: str) -> session.RunResult:
    """What the guest with this kernel reported."""
    return _reported(_run(kernel))


@pytest.fixture
def iommu_run(kernel: str) -> session.RunResult:
    """What the guest with this kernel and an IOMMU reported, of one case."""
    return _reported(_run(kernel, iommu=True))


def _reported(result: session.RunResult | PlxError) -> session.RunResult:
    if isinstance(result, SetupError):
        pytest.fail(f"{result}\nhint: {result.hint}", pytrace=False)
    if isinstance(result, PlxError):
        pytest.fail(str(result), pytrace=False)
    return result
