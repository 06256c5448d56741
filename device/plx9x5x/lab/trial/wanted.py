# SPDX-License-Identifier: Apache-2.0
"""What is to be tried: modules with their parameters, a command, the board, the guest."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from plx9x5x import boards
from plx9x5x.errors import BadRequest
from plx9x5x.lab import defaults
from plx9x5x.lab.guest.shapes import PLAIN, Shape
from plx9x5x.transport import choice as transports

RESERVED: Final = frozenset(("init", "bin", "dev", "proc", "sys", "tmp", "lib", "modules.list", "try", "host"))
"""Names at the guest's root that are not free."""
_OF_THE_KERNEL: Final = frozenset(("dev", "proc", "sys"))


class NothingToTry(BadRequest):
    """What was asked for cannot be tried; in which way, the text says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module as it was asked for: a folder, a .ko file or a module of the guest's kernel, and its parameters."""

    name: str
    parameters: tuple[str, ...] = ()


def parse(words: Sequence[str]) -> tuple[Wanted, ...]:
    """Take `MODULE [name=value ...] ...` apart. Raises: NothingToTry."""
    found: list[Wanted] = []
    for word in words:
        if not word:
            raise NothingToTry("a module's name is empty")
        if "=" in word and not Path(word).exists():
            if not found:
                raise NothingToTry(f"'{word}' is a parameter, and no module stands before it")
            found[-1] = replace(found[-1], parameters=(*found[-1].parameters, word))
        else:
            found.append(Wanted(word))
    if not found:
        raise NothingToTry("name a module: a folder with its sources, a .ko file, or one of the guest's kernel")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the host that the guest has at the same path."""

    path: Path
    writable: bool = False


def folders(read: Iterable[Path], write: Iterable[Path]) -> tuple[Folder, ...]:
    """Give the folders, outer ones before those that they hold. Raises: NothingToTry for one that cannot be there."""
    found: dict[Path, Folder] = {}
    for writable, paths in ((False, read), (True, write)):
        for path in map(_absolute, paths):
            first = path.parts[1] if len(path.parts) > 1 else ""
            if not path.is_dir():
                raise NothingToTry(f"{path} is no folder that the guest could have")
            if not os.access(path, os.R_OK | os.X_OK | (os.W_OK if writable else 0)):
                raise NothingToTry(f"you may not {'write' if writable else 'read'} {path}: the guest could not either")
            if "\n" in str(path):
                raise NothingToTry(f"{path!r} cannot be passed to the guest: it has more than one line")
            if not first:
                raise NothingToTry("the guest has a root of its own: name a folder below /, or use --root host")
            if first in _OF_THE_KERNEL or (first in RESERVED and len(path.parts) == 2):
                raise NothingToTry(f"{path} is the guest's own: move what it is to see, or use --copy")
            if path in found:
                raise NothingToTry(f"{path} is named twice: once is enough, and --rw lets it be read too")
            found[path] = Folder(path, writable)
    return tuple(sorted(found.values(), key=lambda folder: len(folder.path.parts)))


def _absolute(path: Path) -> Path:
    """As it was named, for it is to have that name in the guest: links stay."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links


@dataclass(frozen=True, slots=True)
class TrySpec:
    """What to try. `command` is a line for the guest's sh; what it reads comes from the file `input`."""

    modules: tuple[Wanted, ...]
    command: str | None = None
    input: Path | None = None
    boards: tuple[str, ...] = (boards.DEFAULT,)
    """The cards, each with a server of its own, in the order of their slots."""
    devices: tuple[str, ...] = ()
    """Devices of one's own, MODULE:NAME or PATH.py:NAME, in the slots after those of the boards."""
    kernel: str | None = None
    guest: Shape = PLAIN
    memory_mib: int | None = None
    timeout_s: float = defaults.TIMEOUT_S
    transport: str = transports.AUTO
    files: tuple[Path, ...] = ()
    """Copied to the root of the guest, each by its own name."""
    folders: tuple[Folder, ...] = ()
    """Folders of the host (`folders`). The command runs in the first that can be written, or else in the first."""
    firmware: tuple[Path, ...] = (Path("/lib/firmware"),)
    """Folders of the host where firmware is looked for that a module names (MODULE_FIRMWARE)."""
    host_root: bool = False
    """The guest's root is the host's, read-only below a layer in memory."""
    get: tuple[str, ...] = ()
    """Files of the guest to be copied here when the command has ended, relative to where it ran."""
    get_into: Path | None = None
    """The folder for them; None is `got` among the logs."""
    append: tuple[str, ...] = ()
    """Words for the kernel's command line."""
    processors: int = 1
    trace: Path | None = None
    """Where the register trace goes (docs/trace.md)."""
    witness: bool = True
    """Watch the driver from outside, where that can be."""
    coverage: Path | None = None
    """The tracefile of lcov that what ran of the driver is added to (docs/coverage.md)."""
    shell: int | None = None
    """The descriptor that a shell reads, in place of a command; it writes as a command does."""
    gdb: int | None = None
    """A debugger can attach, and the probe waits for a line from this descriptor."""
    keep: bool = False
    faults: tuple[str, ...] = ()
    """The plan by which the cards fail: sentences, or files of them (docs/faults.md)."""
    seed: int = 0
    """What chance begins with in the plan."""
    settings: tuple[str, ...] = ()
    """Options of the cards, `NAME=VALUE` each (docs/writing-a-board.md)."""

    @property
    def cards(self) -> tuple[str, ...]:
        """The names of all of them, in the order of their slots."""
        return (*self.boards, *self.devices)

    def device(self, number: int) -> str | None:
        """The device of one's own that the card of that number is, counted from 1; None if it is a board."""
        return None if number <= len(self.boards) else self.devices[number - 1 - len(self.boards)]
