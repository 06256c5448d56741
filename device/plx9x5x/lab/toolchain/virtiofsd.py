# SPDX-License-Identifier: Apache-2.0
"""virtiofsd with its libraries: gives a guest a folder of the host. It runs by its own loader, as QEMU does."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import host, unpack

PROGRAM: Final = "virtiofsd"
_BINARY: Final = f"usr/libexec/{PROGRAM}"
_NEWER: Final = "look for a newer version of plx9x5x"


@dataclass(frozen=True)
class Virtiofsd:
    """The fetched virtiofsd; `folder` holds all that it loads."""

    folder: Path
    version: str = ""

    @property
    def argv(self) -> tuple[str, ...]:
        """How to start it; options follow."""
        return _argv(self.folder / "root")


def arrange(tree: Path) -> tuple[str, ...]:
    """Keep the program and its libraries; give the files that it cannot do without. Raises: SetupError."""
    root = tree / "root"
    if not (root / _BINARY).is_file():
        raise SetupError(f"the packages of {PROGRAM} hold no {_BINARY}", hint=_NEWER)
    unpack.keep_only(root, ("usr", "lib", "lib64"))
    unpack.keep_only(root / "usr", ("lib", "lib64", "libexec"))
    for folder in unpack.library_folders(root):
        for name in ("gconv", "perl", "perl-base", "audit"):
            shutil.rmtree(folder / name, ignore_errors=True)
    return (f"root/{_BINARY}", str(unpack.loader(root).relative_to(tree)))


def verify(folder: Path) -> str:
    """The version that it says of itself. Raises: SetupError if it does not run."""
    said = host.run([*_argv(folder / "root"), "--version"], what="asking virtiofsd for its version")
    match = re.search(rf"{PROGRAM} (\d\S*)", said)
    if not match:
        raise SetupError(f"this does not look like virtiofsd: {host.tail(said, 3)!r}", hint=_NEWER)
    return match[1]


def _argv(root: Path) -> tuple[str, ...]:
    folders = ":".join(map(str, unpack.library_folders(root)))
    return (str(unpack.loader(root)), "--library-path", folders, str(root / _BINARY))
