# SPDX-License-Identifier: Apache-2.0
"""What a guest has in memory when it boots: an init, programs, kernel modules in loading order.

::

    /init              our init script; /bin/busybox runs it
    /bin/...           programs
    /modules.list      the modules in the order to load, a line each: PATH [PARAMETER=VALUE ...]
    /lib/modules/*.ko  them

The archive is kept in the cache by the hash of its contents, so that a run that changes nothing builds nothing.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from plx9x5x.errors import BadRequest, SetupError
from plx9x5x.lab.guest.cpio import Archive
from plx9x5x.lab.guest.modules import Module, ModuleTree, canonical, read_module

MODULES_LIST: Final = "modules.list"
CONSOLE: Final = (5, 1)
KEPT: Final = 8
_KEPT_AT_LEAST_S: Final = 600.0


class UnwritableWord(BadRequest):
    """It cannot be written on a kernel's command line."""


@dataclass(frozen=True, slots=True)
class GuestFile:
    """One file of the guest, and its mode there."""

    source: Path
    mode: int = 0o644


def program(source: Path) -> GuestFile:
    """A file that the guest can run."""
    return GuestFile(source, 0o755)


@dataclass(frozen=True, slots=True)
class GuestImage:
    """A guest's contents, and what it is told to do.

    `files` go by their path in the guest; `modules` are names of modules of the guest's kernel (one that is built in
    is fine); `own_modules` are files of the caller's, loaded last and in order, after whatever they depend on;
    `parameters` are a module's, by its name. `mode` and `arguments` reach the init script as words of the kernel's
    command line, and `words` are added to them as they are.
    """

    files: Mapping[str, GuestFile]
    modules: tuple[str, ...] = ()
    own_modules: tuple[Path, ...] = ()
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mode: str = "test"
    arguments: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def kernel_words(self) -> tuple[str, ...]:
        """Words for the kernel's command line. Raises: UnwritableWord for what cannot be written there."""
        for text in (self.mode, *self.arguments):
            if any(c.isspace() or c in "\"'" for c in text):
                raise UnwritableWord(f"'{text}' cannot be passed to the guest: no blanks, no quotes")
        if clash := [a for a in self.arguments if "," in a]:
            raise UnwritableWord(f"'{clash[0]}' cannot be passed to the guest: a comma separates arguments there")
        arguments = (f"plx.args={','.join(self.arguments)}",) if self.arguments else ()
        return (f"plx.mode={self.mode}", *arguments, *self.words)

    def build(self, kernel_modules: Path, cache: Path) -> Path:
        """Give the archive for the kernel whose modules are in `kernel_modules`; built if the cache lacks it.

        Raises: SetupError if a file or a module is missing or the cache cannot be written.
        """
        archive = self._archive(ModuleTree(kernel_modules).resolve(self.modules, self._own()))
        folder = cache / "images"
        final = folder / f"{hashlib.sha256(archive).hexdigest()[:20]}.cpio"
        try:
            if final.is_file():
                os.utime(final)
                return final
            folder.mkdir(parents=True, exist_ok=True)
            _put(final, archive)
        except OSError as exc:
            raise SetupError(
                f"cannot write the guest image to {folder}: {exc.strerror}",
                hint="make room or make it writable, or set PLX9X5X_CACHE to another folder",
            ) from exc
        _prune(folder)
        return final

    def _own(self) -> list[Module]:
        return [read_module(path) for path in self.own_modules]

    def _archive(self, modules: list[Module]) -> bytes:
        archive = Archive()
        for path in ("dev", "proc", "sys", "tmp", "lib/modules"):
            archive.folder(path)
        archive.char_device("dev/console", major=CONSOLE[0], minor=CONSOLE[1])
        for path, file in sorted(self.files.items()):
            try:
                archive.file(path, file.source.read_bytes(), mode=file.mode)
            except OSError as exc:
                raise SetupError(
                    f"the guest's {path} cannot be read: {exc.strerror}: {file.source}", hint="name a readable file"
                ) from exc
        for module in modules:
            archive.file(f"lib/modules/{module.name}.ko", module.data)
        settings = {canonical(name): words for name, words in self.parameters.items()}
        lines = (" ".join((f"/lib/modules/{m.name}.ko", *settings.get(m.name, ()))) for m in modules)
        archive.file(MODULES_LIST, "".join(f"{line}\n" for line in lines).encode())
        return archive.close()


def _put(final: Path, data: bytes) -> None:
    """Write beside and rename, so that nobody ever sees half a file."""
    fd, fresh = tempfile.mkstemp(prefix=".new-", dir=final.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        Path(fresh).replace(final)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _prune(folder: Path) -> None:
    """Drop all but the last few; a young one may be about to be booted by another run."""
    aged = sorted((path.stat().st_mtime, path) for path in folder.iterdir() if path.is_file())
    for when, path in aged[:-KEPT]:
        if time.time() - when > _KEPT_AT_LEAST_S:
            path.unlink(missing_ok=True)
