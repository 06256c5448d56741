# SPDX-License-Identifier: Apache-2.0
"""Traces that have no name of their own yet lie beside it; a server that is killed while it starts leaves one there.

Whoever writes one holds a lock on it, which the kernel takes away with the process: without the lock it is nobody's.
"""

import contextlib
import fcntl
import glob
import os
import re
import stat
from pathlib import Path
from typing import Final

_RANDOM_BYTES: Final = 8
_RANDOM: Final = re.compile(rf"[0-9a-f]{{{2 * _RANDOM_BYTES}}}")


def beside(path: Path) -> Path:
    """Give a name in the folder of `path` that nobody can know beforehand."""
    return path.with_name(f".{path.name}.{os.urandom(_RANDOM_BYTES).hex()}")


def claim(fd: int) -> bool:
    """Have a file that was just made be ours; False if somebody swept it away before that.

    Where the file system has no locks it is ours as well: nobody sweeps there.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # by whoever sweeps it right now
        return False
    except OSError:
        return True
    return os.fstat(fd).st_nlink > 0


def sweep(path: Path) -> None:
    """Remove what killed servers left beside `path`; what cannot be removed stays."""
    prefix = f".{path.name}."
    for left in path.parent.glob(f"{glob.escape(prefix)}*"):
        if _RANDOM.fullmatch(left.name.removeprefix(prefix)):
            with contextlib.suppress(OSError):
                _remove(left)


def _remove(left: Path) -> None:
    """Remove one that is nobody's. Raises: OSError, as for one that somebody writes."""
    fd = os.open(left, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    finally:
        os.close(fd)
