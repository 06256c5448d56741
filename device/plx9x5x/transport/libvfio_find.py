# SPDX-License-Identifier: Apache-2.0
"""Finds the libvfio-user shared library, and says in one line what is wrong with what it found.

One class per way to fail, each a `SetupError` with a hint::

    SetupError
    |-- LibraryNotNamed     nobody said where the library is
    |-- LibraryMissing      the named file does not exist or cannot be read
    |-- NotALibrary         the file is no ELF shared object
    |-- WrongArchitecture   it is one, for another machine
    `-- LoadFailed          the dynamic loader refuses it
"""

import ctypes as c
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError

ENV_VAR: Final = "PLX9X5X_LIBVFIO_USER"
"""Names the library file; an argument wins over it."""

_GET_IT: Final = f"run `plx9x5x toolchain fetch`, or set {ENV_VAR} to a libvfio-user.so"

_ELF_MAGIC: Final = b"\x7fELF"
_ELF_SHARED: Final = 3  # e_type ET_DYN
_HEADER_BYTES: Final = 20  # up to and with e_machine


class LibraryNotNamed(SetupError):
    """Nobody said where the library is."""


class LibraryMissing(SetupError):
    """The named file does not exist or cannot be read."""


class NotALibrary(SetupError):
    """The file is no ELF shared object."""


class WrongArchitecture(SetupError):
    """The file is a shared object for another machine than this interpreter's."""


class LoadFailed(SetupError):
    """The dynamic loader refuses the file: most often a library that it needs is absent."""


def find_library(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Give the library file: `path` if given, else what the environment names.

    Raises: LibraryNotNamed, LibraryMissing, NotALibrary, WrongArchitecture.
    """
    if path is None:
        named = environ.get(ENV_VAR, "")
        if not named:
            raise LibraryNotNamed("no libvfio-user library is named", hint=_GET_IT)
        path = Path(named)
        origin = f" (from {ENV_VAR})"
    else:
        origin = ""
    _check_elf(path, origin)
    return path


def open_library(path: Path) -> c.CDLL:
    """Load the file. Raises: LoadFailed."""
    try:
        return c.CDLL(str(path.absolute()), use_errno=True)
    except OSError as exc:
        raise LoadFailed(f"cannot load {path}: {exc}", hint=f"`ldd {path}` names what is missing; {_GET_IT}") from exc


def _check_elf(path: Path, origin: str) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as exc:
        raise LibraryMissing(f"cannot read {path}{origin}: {exc.strerror}", hint=_GET_IT) from exc
    if len(header) < _HEADER_BYTES or header[:4] != _ELF_MAGIC:
        raise NotALibrary(f"{path}{origin} is not an ELF file", hint=_GET_IT)
    kind = _identity(header)
    if kind[:2] != _identity(_own_header())[:2]:
        raise WrongArchitecture(f"{path}{origin} is built for another machine than this Python", hint=_GET_IT)
    if kind[2] != _ELF_SHARED:
        raise NotALibrary(f"{path}{origin} is an ELF file, but no shared library", hint=_GET_IT)


def _identity(header: bytes) -> tuple[bytes, int, int]:
    """Give (class and byte order, e_machine, e_type) of an ELF header."""
    order = ">" if header[5] == 2 else "<"  # ELFDATA2MSB
    kind, machine = struct.unpack_from(order + "HH", header, 16)
    return header[4:6], machine, kind


def _own_header() -> bytes:
    with Path(sys.executable).open("rb") as file:
        return file.read(_HEADER_BYTES)
