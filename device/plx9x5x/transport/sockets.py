# SPDX-License-Identifier: Apache-2.0
"""Sockets that whoever started us has opened: by a number, or as systemd hands them over."""

import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Final

from plx9x5x.errors import BadRequest

FIRST: Final = 3
"""The descriptor of systemd's first socket. Source: sd_listen_fds(3)."""


class NoSuchSocket(BadRequest):
    """A descriptor that is no unix stream socket."""


def inherited(fd: int | None = None, environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """Give the socket `fd`, or the one that LISTEN_FDS names; None if there is none. Raises: NoSuchSocket."""
    if fd is None:
        if environ.get("LISTEN_PID") != str(os.getpid()):
            return None
        count = environ.get("LISTEN_FDS", "")
        if count != "1":
            raise NoSuchSocket(f"LISTEN_FDS is {count!r}: one card takes one socket")
        fd = FIRST
    try:
        found = socket.socket(fileno=os.dup(fd))
    except OSError as exc:
        raise NoSuchSocket(f"descriptor {fd} is no socket: {exc.strerror}") from exc
    if (found.family, found.type) != (socket.AF_UNIX, socket.SOCK_STREAM):
        found.close()
        raise NoSuchSocket(f"descriptor {fd} is no unix stream socket")
    os.close(fd)
    return found


def listens(given: socket.socket) -> bool:
    """True if clients can connect to it, False if one is connected."""
    return bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def name(given: socket.socket | None) -> str:
    """Its path, for people."""
    if given is None:
        return "(a connected socket)"
    text = given.getsockname()
    return text if isinstance(text, str) and text else "(a socket without a name)"


class Notifier:
    """Tells systemd that we are ready; made before a jail closes, which lets nobody open a socket.

    Source: sd_notify(3).
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        address = environ.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@"):
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect("\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            self.close()

    def say(self, *words: str) -> None:
        """Send assignments, as `READY=1`; nobody is waited for, and nobody need hear it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send("\n".join(words).encode())

    def close(self) -> None:
        """May be called twice."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
