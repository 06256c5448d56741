# SPDX-License-Identifier: Apache-2.0
"""What the figures were taken on."""

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from plx9x5x.lab.toolchain import Toolchain, host
from plx9x5x.units import MIB


def describe(tc: Toolchain) -> dict[str, str]:
    """The machine and what ran on it, by name, in the order to show."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // MIB} MiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "C library": host.libc(),
        "compiler": f"{Path(host.compiler()).name} {host.compiler_version(host.compiler())[1]}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _version(name) for name in ("plx9x5x", "numpy", "cffi")},
        **tc.versions(),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "day": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # a bare checkout
        return "(not installed)"
