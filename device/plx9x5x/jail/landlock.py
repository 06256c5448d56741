# SPDX-License-Identifier: Apache-2.0
"""Landlock: which files a process may still open. The numbers are those of linux/landlock.h."""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from plx9x5x.jail.kernel import syscall

# The same on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_VERSION: Final = 1  # flag of landlock_create_ruleset
_PATH_BENEATH: Final = 1  # kind of rule

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_REMOVE_DIR: Final = 1 << 4
_REMOVE_FILE: Final = 1 << 5
_MAKE_DIR: Final = 1 << 7
_MAKE_REG: Final = 1 << 8
_MAKE_SOCK: Final = 1 << 9
_MAKE_FIFO: Final = 1 << 10
_MAKE_SYM: Final = 1 << 12
_REFER: Final = 1 << 13  # rename and link from folder to folder
_TRUNCATE: Final = 1 << 14

_FS_BITS: Final = ((5, 16), (3, 15), (2, 14), (1, 13))
"""From which ABI on how many of the rights to files are known: 5 has ioctl of devices, 3 truncate, 2 refer."""

_NET_SINCE: Final = 4
_NET: Final = 0b11  # bind, connect by TCP
_SCOPE_SINCE: Final = 6
_SCOPES: Final = 0b11  # abstract unix sockets, signals; it limits what we send, never what we get

_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
"""A rule for anything but a folder takes no other of the above."""

_READ: Final = _READ_FILE | _READ_DIR
_CHANGE: Final = (
    _READ | _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE
) | (_MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM)  # fmt: skip
"""All but to run a program and to make a device."""


def abi() -> int:
    """The version that this kernel has. Raises: OSError if it has none, or was started without."""
    return syscall("Landlock", _CREATE_RULESET, 0, 0, _VERSION)


def handled(version: int) -> tuple[int, int, int]:
    """What a ruleset of that ABI can refuse: rights to files, rights to TCP, scopes.

    The kernel takes a structure that is longer than the one it knows, if the rest is zero.
    """
    bits = next(bits for since, bits in _FS_BITS if version >= since)
    return (1 << bits) - 1, (_NET if version >= _NET_SINCE else 0), (_SCOPES if version >= _SCOPE_SINCE else 0)


def restrict(
    *, read: Iterable[Path], remove_in: Iterable[Path] = (), write: Iterable[Path] = (), run: Iterable[Path] = ()
) -> None:
    """Refuse this thread, and those that it starts, to open, make, rename or remove a file. Raises: OSError.

    But what is at the paths `read`, or beneath them, can be read; files in the folders `remove_in`, or beneath them,
    can be removed; beneath `write` all can be done but to run a program and to make a device; beneath `run` programs
    can be run and files read; the null device stays. A path that is not there, or cannot be reached, is left out. What
    is open stays as it is.
    """
    known = handled(abi())
    ruleset = ctypes.create_string_buffer(struct.pack("=QQQ", *known), 24)
    handle = syscall("Landlock ruleset", _CREATE_RULESET, ctypes.addressof(ruleset), len(ruleset), 0)
    allowed = ((read, _READ), (remove_in, _REMOVE_FILE), (write, _CHANGE & known[0]), (run, _READ | _EXECUTE))
    try:
        for paths, rights in allowed:
            for path in paths:
                _allow(handle, path, rights)
        _allow(handle, Path(os.devnull), _READ_FILE | _WRITE_FILE)
        syscall("Landlock", _RESTRICT_SELF, handle, 0)
    finally:
        os.close(handle)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, beneath))
        if rights:
            syscall(f"Landlock rule for {path}", _ADD_RULE, ruleset, _PATH_BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(beneath)
