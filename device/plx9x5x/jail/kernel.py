# SPDX-License-Identifier: Apache-2.0
"""System calls that Python has no function for, by the C library that every process has.

Never `ctypes.util.find_library`: it asks a compiler, which is a program, and slow.
"""

import ctypes
import os
import signal
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_LIBC.prctl.restype = ctypes.c_int

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38


def syscall(name: str, number: int, *arguments: int) -> int:
    """Make one system call. Raises: OSError, with `name` as its file name."""
    result = int(_LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments)))
    if result == -1:
        raise _failure(name)
    return result


def no_new_privs() -> None:
    """From now on no program that is run gains privileges. Raises: OSError."""
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))) != 0:
        raise _failure("no_new_privs")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it is gone. Raises: OSError."""
    if _LIBC.prctl(_PR_SET_PDEATHSIG, *map(ctypes.c_ulong, (signal.SIGKILL, 0, 0, 0))) != 0:
        raise _failure("PR_SET_PDEATHSIG")


def _failure(name: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), name)
