# SPDX-License-Identifier: Apache-2.0
"""Where the guest's side is: an init, and the sources of drivers and programs, which are built for each kernel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import plx9x5x
from plx9x5x.errors import SetupError
from plx9x5x.lab.guest.image import GuestFile, GuestImage, program
from plx9x5x.lab.toolchain import Toolchain

# What the report's own port needs; built in in some kernels.
REPORT_MODULES: Final = ("virtio_pci", "virtio_console")


@dataclass(frozen=True, slots=True)
class GuestSources:
    """The folder guest-tests/ of a checkout, or its copy in an installed package: init, and sources beside it."""

    root: Path

    @property
    def init(self) -> Path:
        """The guest's first process."""
        return self.root / "initramfs" / "init"

    @property
    def witness(self) -> Path:
        """The folder of QEMU's plugin that watches drivers."""
        return self.root / "witness"


def find() -> GuestSources:
    """Look beside the package, as in a checkout, then inside it. Raises: SetupError."""
    package = Path(plx9x5x.__file__).resolve().parent
    for root in (package.parent.parent / "guest-tests", package / "_guest"):
        if (root / "initramfs" / "init").is_file():
            return GuestSources(root)
    raise SetupError(
        "the guest driver's sources (guest-tests/) are not with this installation",
        hint="use a checkout of the project: git clone it, then make run",
    )


def base_image(tc: Toolchain, sources: GuestSources) -> GuestImage:
    """An image with an init and busybox, and the modules for the report; for a driver of your own."""
    return GuestImage(
        files={"init": GuestFile(sources.init, 0o755), "bin/busybox": program(tc.busybox)},
        modules=REPORT_MODULES,
    )
