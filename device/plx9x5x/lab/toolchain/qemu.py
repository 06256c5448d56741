# SPDX-License-Identifier: Apache-2.0
"""QEMU with `vfio-user-pci`: one that is named, one on PATH, or Debian's with all of its libraries.

The fetched one runs by its own loader, since the host's C library is usually older.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import host, unpack
from plx9x5x.lab.toolchain.cache import Installed

ENV: Final = "PLX9X5X_QEMU"
PROGRAM: Final = "qemu-system-x86_64"
DEVICE: Final = "vfio-user-pci"
OLDEST: Final = (10, 1)
_SHARE: Final = ("usr/share/qemu", "usr/share/seabios")
_BINARY: Final = f"usr/bin/{PROGRAM}"


@dataclass(frozen=True)
class Qemu:
    """How to start QEMU: `argv` is the program with its loader and firmware folders; options follow it."""

    argv: tuple[str, ...]
    version: str
    source: str


def from_environment() -> Qemu | None:
    """The QEMU that $PLX9X5X_QEMU names. Raises: SetupError naming the variable when it will not do."""
    named = os.environ.get(ENV)
    if not named:
        return None
    path = shutil.which(str(Path(named).expanduser()))
    if path is None:
        raise SetupError(f"{ENV}={named} is not a program", hint=_hint())
    try:
        version = verify((path,))
    except SetupError as exc:
        raise SetupError(f"{ENV}={named} will not do: {exc}", hint=_hint()) from exc
    return Qemu((path,), version, f"${ENV}")


def from_path() -> tuple[Qemu | None, str]:
    """The host's own QEMU if it will do; else None and why."""
    path = shutil.which(PROGRAM)
    if path is None:
        return None, f"no {PROGRAM} on PATH"
    try:
        return Qemu((path,), verify((path,)), "host"), ""
    except SetupError as exc:
        return None, f"{path}: {exc}"


def verify(argv: tuple[str, ...]) -> str:
    """The version of a QEMU that is new enough and has the device. Raises: SetupError."""
    said = host.run([*argv, "--version"], what="asking QEMU for its version")
    match = re.search(r"version (\d+)\.(\d+)\S*", said)
    if not match:
        raise SetupError(f"this does not look like QEMU: {host.tail(said, 3)!r}", hint=_hint())
    if (int(match[1]), int(match[2])) < OLDEST:
        raise SetupError(f"it is version {match[1]}.{match[2]}, vfio-user needs {_oldest()}", hint=_hint())
    if f'name "{DEVICE}"' not in host.run([*argv, "-device", "help"], what="asking QEMU for its devices"):
        raise SetupError(f"it was built without the device {DEVICE}", hint=_hint())
    return match[0].removeprefix("version ")


def argv_of(root: Path) -> tuple[str, ...]:
    """How to start the QEMU of the unpacked tree `root`. Raises: SetupError."""
    folders = ":".join(str(f) for f in unpack.library_folders(root))
    firmware = (word for share in _SHARE for word in ("-L", str(root / share)))
    return (str(unpack.loader(root)), "--library-path", folders, str(root / _BINARY), *firmware)


def prune(root: Path) -> None:
    """Keep the program, its libraries and the firmware."""
    unpack.keep_only(root, ("usr", "lib", "lib64"))
    usr = root / "usr"
    unpack.keep_only(usr, ("bin", "lib", "lib64", "share"))
    unpack.keep_only(usr / "bin", (PROGRAM,))
    unpack.keep_only(usr / "share", ("qemu", "seabios"))
    for folder in unpack.library_folders(root):
        for name in ("gconv", "perl", "perl-base", "systemd", "security", "dri", "gdk-pixbuf-2.0"):
            shutil.rmtree(folder / name, ignore_errors=True)


def installed(found: Installed) -> Qemu:
    """The fetched QEMU."""
    return Qemu(argv_of(found.path / "root"), found.record.version, "debian")


def _oldest() -> str:
    return ".".join(map(str, OLDEST))


def _hint() -> str:
    return (
        f"name a {PROGRAM} of version {_oldest()} or newer that has {DEVICE}, or unset {ENV} and let plx9x5x fetch one"
    )
