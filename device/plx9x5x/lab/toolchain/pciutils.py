# SPDX-License-Identifier: Apache-2.0
"""lspci with its libraries and its list of names, for the host and for the guest.

Both run the same files, by their own loader: the host's own lspci may be absent or another version, and two versions
word the same register differently. udev's database of names is off, since it differs from one host to the next.

::

    lspci       the program
    pci.ids     names of vendors, devices and classes
    lib/        the loader and every library that lspci loads
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import host, unpack

PACKAGE: Final = "pciutils"
PROGRAM: Final = "lspci"
IDS: Final = "pci.ids"
LIBRARIES: Final = "lib"
_NEWER: Final = "look for a newer version of plx9x5x"
# What the loader's --list prints: `libpci.so.3 => /path/libpci.so.3 (0x7f...)`, or that it is not found.
_LISTED: Final = re.compile(r"^\s*(\S+) => (/\S+|not found)", re.MULTILINE)


@dataclass(frozen=True)
class Pciutils:
    """The fetched lspci, in its folder."""

    folder: Path
    version: str = ""

    @property
    def argv(self) -> tuple[str, ...]:
        """How to start lspci here; options follow."""
        return command_line(str(self.folder))

    def files(self) -> Mapping[str, Path]:
        """Everything that lspci needs where it is copied to, by the path below that folder."""
        return {str(p.relative_to(self.folder)): p for p in _shipped(self.folder)}

    def lspci(self, *options: str | Path) -> str:
        """Run lspci here and give its output. Raises: SetupError with what it said."""
        command = [*self.argv, *map(str, options)]
        # Apart from stderr: lspci says there, of any machine, that it found no list of kernel modules.
        done = subprocess.run(command, env=host.plain_env(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise host.ProgramFailed("running lspci", command, done.returncode, done.stdout + done.stderr)
        return done.stdout


def program_line(folder: str) -> tuple[str, ...]:
    """How to start the program of `folder`, here or in a guest."""
    loader = f"{folder}/{LIBRARIES}/{unpack.LOADER}"
    return (loader, "--library-path", f"{folder}/{LIBRARIES}", f"{folder}/{PROGRAM}")


def command_line(folder: str) -> tuple[str, ...]:
    """How to start it so that it takes names from its own list and nowhere else."""
    return (*program_line(folder), "-O", "hwdb.disable=1", "-i", f"{folder}/{IDS}")


def arrange(tree: Path) -> tuple[str, ...]:
    """Make the folder of this part from the unpacked packages in tree/root; give the files it cannot do without.

    Raises: SetupError if the packages lack something.
    """
    root = tree / "root"
    program, names = root / "usr/bin" / PROGRAM, root / "usr/share/misc" / IDS
    for path in (program, names):
        if not path.is_file():
            raise SetupError(f"the packages of {PACKAGE} hold no {path.relative_to(root)}", hint=_NEWER)
    loader = unpack.loader(root)
    folders = ":".join(map(str, unpack.library_folders(root)))
    said = host.run([loader, "--library-path", folders, "--list", program], what="listing lspci's libraries")
    needed = {name.rpartition("/")[2]: place for name, place in _LISTED.findall(said)}
    # A library outside the tree would be the host's, which the guest does not have.
    if missing := [n for n, place in needed.items() if not Path(place).is_relative_to(root)]:
        raise SetupError(f"the packages of {PACKAGE} lack {', '.join(missing)}", hint=_NEWER)
    libraries = tree / LIBRARIES
    libraries.mkdir()
    for name, place in {**needed, unpack.LOADER: str(loader)}.items():
        shutil.copyfile(place, libraries / name)
    (libraries / unpack.LOADER).chmod(0o755)
    shutil.move(program, tree / PROGRAM)
    shutil.move(names, tree / IDS)
    unpack.keep_only(tree, (PROGRAM, IDS, LIBRARIES))
    return tuple(sorted(str(p.relative_to(tree)) for p in _shipped(tree)))


def verify(folder: Path) -> str:
    """The version that lspci says of itself. Raises: SetupError if it does not run."""
    said = host.run([*program_line(str(folder)), "--version"], what="asking lspci for its version")
    match = re.search(r"version (\S+)", said)
    if not match:
        raise SetupError(f"this does not look like lspci: {host.tail(said, 3)!r}", hint=_NEWER)
    return match[1]


def _shipped(folder: Path) -> Iterator[Path]:
    yield from (folder / PROGRAM, folder / IDS)
    yield from sorted((folder / LIBRARIES).iterdir())
