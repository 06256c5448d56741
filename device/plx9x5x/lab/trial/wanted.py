# SPDX-License-Identifier: Apache-2.0
"""What is to be tried: modules with their parameters, a command, the board, the guest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plx9x5x import boards
from plx9x5x.errors import BadRequest
from plx9x5x.lab import defaults
from plx9x5x.lab.guest.shapes import PLAIN, Shape
from plx9x5x.transport import choice as transports


class NothingToTry(BadRequest):
    """A module that is no folder, no file, and by its form no name; or a parameter before any module."""


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
class TrySpec:
    """What to try. `command` is a line for the guest's sh; what it reads comes from the file `input`."""

    modules: tuple[Wanted, ...]
    command: str | None = None
    input: Path | None = None
    board: str = boards.DEFAULT
    kernel: str | None = None
    guest: Shape = PLAIN
    memory_mib: int | None = None
    timeout_s: float = defaults.TIMEOUT_S
    transport: str = transports.AUTO
    files: tuple[Path, ...] = ()
    """Copied to the root of the guest, each by its own name."""
    append: tuple[str, ...] = ()
    """Words for the kernel's command line."""
    processors: int = 1
    trace: Path | None = None
    """Where the register trace goes (docs/trace.md)."""
    shell: int | None = None
    """The descriptor that a shell reads, in place of a command; it writes as a command does."""
    keep: bool = False
