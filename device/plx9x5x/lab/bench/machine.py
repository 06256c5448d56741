# SPDX-License-Identifier: Apache-2.0
"""What the figures were taken on, and how much of it others used meanwhile."""

import datetime as dt
import os
import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from plx9x5x.lab.toolchain import Toolchain, host
from plx9x5x.units import MIB

BUSY_PERCENT: Final = 5.0
"""More of the cores than that in other hands, and figures are to be taken again."""


class Neighbours:
    """Watches, from its construction on, how much of the machine's cores is used by others than us and our children."""

    def __init__(self) -> None:
        self._before = _all_work(), _our_work()

    def percent(self) -> float:
        """Their part of all cores so far; children that still run count as others."""
        (busy, total), ours = _all_work(), _our_work()
        (busy_then, total_then), ours_then = self._before
        return share(busy - busy_then - (ours - ours_then), total - total_then)


def share(others: float, total: float) -> float:
    """`others` in percent of `total`, both in seconds of a core; what is measured in ticks may miss by one."""
    return min(100.0, max(0.0, 100 * others / total)) if total > 0 else 0.0


def _all_work() -> tuple[float, float]:
    """Seconds of all cores so far: (at work, in all)."""
    try:
        fields = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split()[1:9]]
    except OSError:
        return 0.0, 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - fields[3] - fields[4]) / ticks, sum(fields) / ticks  # without idle and iowait


def _our_work() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


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
