# SPDX-License-Identifier: Apache-2.0
"""Which kernels the guest tests boot: every small series, and of those with all modules the first alone.

PLX9X5X_KERNEL names one instead. A kernel with all modules is a download of 90 MB or more, so CI has the default's;
`PLX9X5X_KERNEL=6.12-full` has the same tests run with the other one.
"""

import os
from collections.abc import Sequence

from plx9x5x.lab.toolchain import KERNEL_SERIES, KERNELS


def named() -> str | None:
    """The one that the environment names."""
    return os.environ.get("PLX9X5X_KERNEL") or None


def kernels() -> Sequence[str]:
    """Those of tests that run with each."""
    one = named()
    return (one,) if one else KERNEL_SERIES


def with_all_modules() -> str:
    """The one of tests that need more modules than clouds have: of the series that is named, or what else is named."""
    wish = named() or KERNEL_SERIES[0]
    full = f"{wish}-full"
    return full if full in KERNELS else wish
