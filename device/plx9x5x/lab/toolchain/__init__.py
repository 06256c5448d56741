# SPDX-License-Identifier: Apache-2.0
"""The lab's toolchain, fetched through the host's apt and built without root into one cache folder.

>>> tc = load(progress=for_stream(sys.stderr))          # doctest: +SKIP
>>> build_module(tc, Path("my_driver"), name="my_driver")  # doctest: +SKIP
"""

from collections.abc import Sequence
from pathlib import Path

from plx9x5x.lab.toolchain import kmod
from plx9x5x.lab.toolchain.cache import Cache
from plx9x5x.lab.toolchain.kernels import GuestKernel
from plx9x5x.lab.toolchain.kmod import BuiltFolder, FolderNotBuilt
from plx9x5x.lab.toolchain.loader import ALL, FOR_A_RUN, Toolchain, load
from plx9x5x.lab.toolchain.pciutils import Pciutils
from plx9x5x.lab.toolchain.progress import Progress, for_stream
from plx9x5x.lab.toolchain.qemu import Qemu
from plx9x5x.lab.toolchain.table import KERNEL_SERIES, KERNELS

__all__ = [
    "ALL",
    "FOR_A_RUN",
    "KERNELS",
    "KERNEL_SERIES",
    "BuiltFolder",
    "Cache",
    "FolderNotBuilt",
    "GuestKernel",
    "Pciutils",
    "Progress",
    "Qemu",
    "Toolchain",
    "build_folder",
    "build_module",
    "build_static",
    "for_stream",
    "load",
]


def build_module(tc: Toolchain, source: Path, *, name: str) -> Path:
    """Build the out-of-tree module in the folder `source` (copied first) by `make W=1`; a warning is an error.

    Give the .ko, from the cache when sources, kernel and compiler are the same. Raises: SetupError.
    """
    return kmod.module(Cache(tc.cache), tc.kernel, source, name=name)


def build_folder(
    tc: Toolchain, source: Path, *, symbols: Sequence[Path] = (), limit_s: float | None = None
) -> BuiltFolder:
    """Build somebody's folder of modules (copied first). It may take `limit_s`.

    `symbols` are what folders built before export, for one that needs it. Raises: FolderNotBuilt, SetupError.
    """
    return kmod.folder(Cache(tc.cache), tc.kernel, source, symbols=symbols, limit_s=limit_s)


def build_static(source: Path, *, name: str, include: Sequence[Path] = ()) -> Path:
    """Compile a .c file, or the .c files of a folder, to a static program for the guest. Raises: SetupError."""
    return kmod.static_program(Cache.locate(), source, name=name, include=include)
