# SPDX-License-Identifier: Apache-2.0
"""The cache folder: nothing half-made is ever visible in it.

::

    lock                      flock of whoever changes the cache; holds its process id
    manifest.json             what is there: versions and checksums, for people and for CI logs
    parts/NAME-rRECIPE[-FOR]  one finished part, with its own part.json; appears by one rename
    built/KIND-HASH           modules and programs compiled for guests; appears by one rename
    stage/                    work in progress of the lock's holder; whatever an interrupted run left is removed

A part is known by its name, the recipe it was made by and, where it matters, the host library it was linked against.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError
from plx9x5x.lab.toolchain.progress import Progress
from plx9x5x.lab.toolchain.table import Part
from plx9x5x.units import MIB

ENV: Final = "PLX9X5X_CACHE"
RECORD: Final = "part.json"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_REFUSALS: Final = (*_FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOLCK)
_STALE_S: Final = 24 * 3600.0
_NOT_FOR_MAKE: Final = re.compile(r"[^\w./+@-]")
_OURS: Final = ("parts", "built", "images", "runs", "stage", "manifest.json")


@dataclass(frozen=True, slots=True)
class Package:
    """One file that came from the mirror, checked by apt against the signed index."""

    name: str
    version: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Record:
    """What a finished part says about itself: `keep` are the files without which it is not usable."""

    part: str
    recipe: int
    version: str
    keep: tuple[str, ...]
    packages: tuple[Package, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    made: str = ""

    @classmethod
    def parse(cls, text: str) -> "Record":
        """Read part.json. Raises: ValueError, KeyError, TypeError on anything else."""
        raw = json.loads(text)
        packages = tuple(Package(**p) for p in raw["packages"])
        return cls(**{**raw, "keep": tuple(raw["keep"]), "packages": packages})


@dataclass(frozen=True, slots=True)
class Installed:
    """A finished part and where it is."""

    path: Path
    record: Record


class Cache:
    """One cache folder; makes nothing before it is asked to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def locate(cls) -> "Cache":
        """$PLX9X5X_CACHE, else $XDG_CACHE_HOME/plx9x5x, else ~/.cache/plx9x5x.

        Raises: SetupError if there is no home folder, the variable is empty, or the path is none or has a character
        that make takes for its own.
        """
        own, base = os.environ.get(ENV), os.environ.get("XDG_CACHE_HOME", "")
        if own == "":  # more likely a mistake of a script than a wish, and the default may not be for it
            raise SetupError(f"{ENV} is set and empty", hint=f"unset {ENV}, or set it to a folder that you can write")
        try:
            if own:
                root = Path(own).expanduser()
            else:
                root = (Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "plx9x5x"
            root = root.absolute()
            above = next(place for place in (root, *root.parents) if place.is_symlink() or place.exists())
            if not above.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
        except RuntimeError as exc:
            raise SetupError(
                "this user has no home folder for the cache", hint=f"set {ENV} to a folder that you can write"
            ) from exc
        except OSError as exc:
            raise SetupError(
                f"the cache folder cannot be: {exc}", hint=f"set {ENV} to a folder that you can write"
            ) from exc
        if bad := _NOT_FOR_MAKE.search(str(root)):
            raise SetupError(
                f"the cache folder {root} has {bad[0]!r} in its path, which make cannot take",
                hint=f"set {ENV} to a path of letters, digits and . _ - + @",
            )
        return cls(root)

    def place(self, part: Part, variant: str = "") -> Path:
        """Where the part is, or will be."""
        return self.root / "parts" / f"{part.name}-r{part.recipe}{'-' if variant else ''}{variant}"

    def find(self, part: Part, variant: str = "") -> Installed | None:
        """The finished part, or None when it is absent, of another recipe, or lacks a file."""
        found = _read(self.place(part, variant))
        if found is None or (found.record.part, found.record.recipe) != (part.name, part.recipe):
            return None
        return found

    def installed(self) -> list[Installed]:
        """Every finished part, by name."""
        folder = self.root / "parts"
        return [f for p in sorted(folder.iterdir()) if (f := _read(p))] if folder.is_dir() else []

    @contextlib.contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Be the only one that changes the cache; says so when another process has to finish first."""
        self._make()
        with self.guard():
            handle = (self.root / "lock").open("a+", encoding="ascii")
        with handle:
            with self.guard():
                if not _try_lock(handle.fileno()):
                    handle.seek(0)
                    who = handle.read().strip() or "unknown"
                    progress.note(f"waiting for process {who}, which fills the cache {self.root}")
                    fcntl.flock(handle, fcntl.LOCK_EX)
                handle.seek(0)
                handle.truncate()
                handle.write(f"{os.getpid()}\n")
                handle.flush()
            yield

    @contextlib.contextmanager
    def stage(self) -> Iterator[Path]:
        """A fresh work folder, gone afterwards; removes what interrupted runs left. Only under `lock`."""
        top = self.root / "stage"
        with self.guard():
            remove(top)
            top.mkdir(parents=True)
            folder = Path(tempfile.mkdtemp(dir=top))
            folder.chmod(0o755)
        try:
            yield folder
        finally:
            remove(top)

    def publish(self, part: Part, tree: Path, record: Record, variant: str = "") -> Installed:
        """Make a finished tree the part, by one rename; drop older recipes of it. Only under `lock`."""
        final = self.place(part, variant)
        record = replace(record, made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        missing = [k for k in record.keep if not (tree / k).exists()]
        if missing:
            raise SetupError(
                f"{part.title}: the packages no longer hold {', '.join(missing)}",
                hint="this version of plx9x5x does not fit what the mirror has now; look for a newer plx9x5x",
            )
        with self.guard():
            (tree / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
            final.parent.mkdir(parents=True, exist_ok=True)
            if final.exists():
                final.rename(tree.parent / f"replaced-{final.name}")
            tree.rename(final)
            for old in range(part.recipe):
                for stale in final.parent.glob(f"{part.name}-r{old}"), final.parent.glob(f"{part.name}-r{old}-*"):
                    for path in stale:
                        remove(path)
            self._write_manifest()
        return Installed(final, record)

    def _write_manifest(self) -> None:
        """Sum up the parts' own records, which stay the truth."""
        parts = {found.path.name: asdict(found.record) for found in self.installed()}
        fresh = self.root / "stage" / "manifest.json"
        fresh.write_text(json.dumps({"parts": parts}, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.root / "manifest.json")

    def built(self, key: str) -> Path | None:
        """The folder of something compiled earlier under this key."""
        folder = self.root / "built" / key
        return folder if folder.is_dir() else None

    @contextlib.contextmanager
    def building(self, key: str) -> Iterator[Path]:
        """A work folder that becomes `built(key)` if the block ends well; needs no lock, the first one wins."""
        top = self.root / "built"
        self._make()
        with self.guard():
            top.mkdir(parents=True, exist_ok=True)
            for left in top.glob(".tmp-*"):
                if _age_s(left) > _STALE_S:
                    remove(left)
            work = Path(tempfile.mkdtemp(prefix=".tmp-", dir=top))
            work.chmod(0o755)
        try:
            with self.guard():
                yield work
                with contextlib.suppress(FileExistsError):
                    _rename_new(work, top / key)
        finally:
            remove(work)

    def clean(self, progress: Progress) -> int:
        """Remove what this package put into the folder, and nothing else; give the bytes that this freed."""
        if not self.root.is_dir():
            return 0
        with self.lock(progress), self.guard():
            freed = sum(size_of(self.root / name) for name in _OURS)
            for name in _OURS:
                remove(self.root / name, strict=True)
        return freed

    def check_space(self, need_mib: int) -> None:
        """Refuse before the first byte when the disk cannot hold the work. Raises: SetupError."""
        free = shutil.disk_usage(self.root).free // MIB
        if free < need_mib:
            raise self.full(f"{free} MiB are free, {need_mib} MiB are needed while it is filled")

    def _make(self) -> None:
        """Make the folder itself. Raises: SetupError, whatever the reason: the place is the host's."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise self._refused(exc) from exc

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Turn the file system's refusals into words. Raises: SetupError."""
        try:
            yield
        except OSError as exc:
            if exc.errno not in _REFUSALS:
                raise
            raise self._refused(exc) from exc

    def _refused(self, exc: OSError) -> SetupError:
        if exc.errno in _FULL:
            return self.full(str(exc))
        return SetupError(
            f"cannot write to the cache {self.root}: {exc}",
            hint=f"make that folder writable, or set {ENV} to one that is",
        )

    def disk_full(self, output: str) -> SetupError | None:
        """The error for a program that ran out of disk, judged by what it said."""
        line = next((line for line in output.splitlines() if "No space left on device" in line), "")
        return self.full(line.strip()) if line else None

    def full(self, detail: str) -> SetupError:
        """Make the error for a full disk."""
        return SetupError(
            f"the disk that holds the cache {self.root} is full: {detail}",
            hint=f"free some space there, or set {ENV} to a folder on a bigger disk",
        )


def remove(path: Path, *, strict: bool = False) -> None:
    """Remove a file or a tree; what cannot be removed stays unless `strict`."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=not strict)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        if strict:
            raise


def size_of(path: Path) -> int:
    """Bytes on disk below `path`, 0 when there is nothing."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                info = os.lstat(Path(folder) / name)
                total += info.st_size if stat.S_ISREG(info.st_mode) else 0
    return total


def _read(path: Path) -> Installed | None:
    try:
        record = Record.parse((path / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Installed(path, record) if all((path / k).exists() for k in record.keep) else None


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _rename_new(work: Path, final: Path) -> None:
    """Rename a folder unless the name is taken; whoever came first made the same thing."""
    try:
        work.rename(final)
    except OSError as exc:
        if exc.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError from exc
        raise
