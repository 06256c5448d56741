# SPDX-License-Identifier: Apache-2.0
"""The socket file of a server: made only if nobody else listens there, private to its owner, removed at the end."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from plx9x5x.errors import SetupError

MAX_PATH_BYTES: Final = 107
"""sun_path holds 108 bytes, the last of them NUL."""

_OWNER_ONLY: Final = 0o177  # the umask that gives a socket mode 0600


class SocketFile:
    """One path to listen on. `path` is absolute.

    Raises: SetupError from the constructor if nothing can be bound there.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path.absolute()
        self._identity: tuple[int, int] | None = None
        length = len(os.fsencode(self.path))
        if length > MAX_PATH_BYTES:
            raise SetupError(
                f"socket path of {length} bytes, and the kernel takes {MAX_PATH_BYTES}: {self.path}",
                hint="choose a shorter --socket-path, under /tmp for one",
            )
        if not self.path.parent.is_dir():
            raise SetupError(f"no folder {self.path.parent} for the socket", hint=f"mkdir -p {self.path.parent}")

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Have the socket bound within: a stale file is gone before, and the new one is 0600 from its first moment.

        Raises: SetupError if somebody listens there, or something that is no socket is in the way.
        """
        self._remove_stale()
        old = os.umask(_OWNER_ONLY)
        try:
            yield
        finally:
            os.umask(old)
        with contextlib.suppress(OSError):
            self._identity = _identity(self.path)

    def remove(self) -> None:
        """Remove the file if it is still the one that we made."""
        with contextlib.suppress(OSError):
            if self._identity is not None and _identity(self.path) == self._identity:
                self.path.unlink()
        self._identity = None

    def _remove_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        except OSError as exc:
            raise SetupError(
                f"cannot look at {self.path}: {exc.strerror}", hint="choose another --socket-path"
            ) from exc
        if not stat.S_ISSOCK(mode):
            raise SetupError(f"{self.path} exists and is no socket", hint="remove it, or choose another --socket-path")
        if self._somebody_listens():
            raise SetupError(
                f"another server listens on {self.path}", hint="end that one, or choose another --socket-path"
            )
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _somebody_listens(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            code = probe.connect_ex(os.fsencode(self.path))
        # EAGAIN: the backlog is full, so there is one. ENOENT: it went away while we looked.
        return code not in (errno.ECONNREFUSED, errno.ENOENT)


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
