# SPDX-License-Identifier: Apache-2.0
"""Take files out of Debian's packages and archives, without dpkg's database and without root."""

import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain import host
from plx9x5x.lab.toolchain.cache import Cache, remove

LOADER: Final = "ld-linux-x86-64.so.2"
_LIBRARY_FOLDERS: Final = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")


def debs(folder: Path, into: Path, cache: Cache) -> None:
    """Unpack every .deb of `folder` into one tree, and drop the archives. Raises: SetupError."""
    into.mkdir(parents=True, exist_ok=True)
    for deb in sorted(folder.glob("*.deb")):
        try:
            host.run([host.tool("dpkg-deb"), "-x", deb, into], what=f"unpacking {deb.name}")
        except host.ProgramFailed as exc:
            raise cache.disk_full(exc.output) or exc from exc
        deb.unlink()
    plain_modes(into)


def plain_modes(tree: Path) -> None:
    """No set-user-id program in a cache, and every folder one that its owner can remove."""
    for folder, _, names in os.walk(tree):
        _chmod(Path(folder), lambda mode: mode & 0o777 | 0o755)
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                _chmod(path, lambda mode: mode & 0o777 | 0o600)


def _chmod(path: Path, change: Callable[[int], int]) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if change(mode) != mode:
        path.chmod(change(mode))


def keep_only(folder: Path, names: Iterable[str]) -> None:
    """Remove everything in `folder` but `names`."""
    kept = set(names)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept:
            remove(path)


def subtree(archive: Path, marker: str, into: Path) -> Path:
    """Extract the folder of `archive` whose path ends in a name that starts with `marker`; give its place.

    Reads the archive as a stream, and stops once the folder is behind. Raises: SetupError.
    """
    into.mkdir(parents=True, exist_ok=True)
    prefix = ""
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                head = _prefix(member.name if member.isdir() else member.name.rpartition("/")[0], marker)
                if head and (not prefix or head == prefix):
                    prefix = head
                    _extract(tar, member, into)
                elif prefix:
                    break
    except (tarfile.TarError, EOFError) as exc:
        raise SetupError(f"{archive.name} cannot be unpacked: {exc}", hint="run the command again") from exc
    if not prefix:
        raise SetupError(f"{archive.name} holds no folder {marker}", hint="look for a newer version of plx9x5x")
    shutil.move(into / prefix, into / "tree")
    return into / "tree"


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Write one plain file below `into`; Debian 12's Python has no extraction filters yet."""
    target = into / member.name
    if not member.isreg() or ".." in target.parts or member.name.startswith("/"):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    if content is not None:
        with target.open("wb") as out:
            shutil.copyfileobj(content, out)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _prefix(name: str, marker: str) -> str:
    """The part of `name` up to the marked folder, or nothing."""
    parent, _, last = marker.rpartition("/")
    parts = name.split("/")
    for i in range(1, len(parts)):
        if parts[i].startswith(last) and "/".join(parts[:i]).endswith(parent):
            return "/".join(parts[: i + 1])
    return ""


def library_folders(root: Path) -> list[Path]:
    """Where the unpacked tree `root` has shared libraries."""
    return [root / f for f in _LIBRARY_FOLDERS if (root / f).is_dir()]


def loader(root: Path) -> Path:
    """The dynamic loader of the unpacked tree `root`. Raises: SetupError."""
    for folder in library_folders(root):
        if (path := folder / LOADER).exists():
            return path
    raise SetupError(f"{root} holds no {LOADER}", hint="plx9x5x toolchain clean, then fetch again")
