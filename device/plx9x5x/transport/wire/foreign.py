# SPDX-License-Identifier: Apache-2.0
"""Closes descriptors that a client has sent, and that nobody wants, without waiting for what that may take.

The last close of a socket waits as long as its SO_LINGER says, and of a file on FUSE or on a network until somebody
answers. A socket is told not to linger; a file that is not in memory is closed by a thread of its own, which may hang
alone. So that no such close is ever the kernel's, in the middle of a call of ours, a read has room for all descriptors
that can come with it, and a connection is read empty before it is closed.
"""

import contextlib
import fcntl
import os
import queue
import socket
import struct
import threading
from pathlib import Path
from typing import Final

_ROOM: Final = 512
"""Files that wait to be closed; beyond that they stay open, and count against the process."""
_NO_LINGER: Final = struct.pack("@ii", 0, 0)

_waiting: "queue.Queue[int]" = queue.Queue(_ROOM)
_threads: list[threading.Thread] = []


def close(fd: int) -> None:
    """Close a descriptor; never waits. Raises: nothing."""
    if _on_a_file_system(fd):
        _close_elsewhere(fd)
        return
    _do_not_linger(fd)
    with contextlib.suppress(OSError):
        os.close(fd)


def close_all(fds: list[int]) -> None:
    """Close and forget descriptors."""
    while fds:
        close(fds.pop())


def seals(fd: int) -> int | None:
    """The seals of a file in memory; None of any other. The kernel tells without asking a file system."""
    try:
        return fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        return None


def name(fd: int) -> str:
    """The path of a file, or what the kernel calls something else; nobody is asked for it. Empty without /proc."""
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:
        return ""


def settle() -> None:
    """Wait until what is closed by the thread is closed: for whoever counts."""
    _waiting.join()


def _on_a_file_system(fd: int) -> bool:
    """True of a file, folder or device by a path, but for files in memory."""
    return seals(fd) is None and name(fd).startswith("/")


def _do_not_linger(fd: int) -> None:
    with contextlib.suppress(OSError):
        borrowed = socket.socket(fileno=fd)
        try:
            borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        finally:
            borrowed.detach()


def _close_elsewhere(fd: int) -> None:
    if not _threads or not _threads[0].is_alive():
        _threads[:] = [threading.Thread(target=_closer, name="plx9x5x-closer", daemon=True)]
        _threads[0].start()
    with contextlib.suppress(queue.Full):
        _waiting.put_nowait(fd)


def _closer() -> None:
    while True:
        with contextlib.suppress(OSError):
            os.close(_waiting.get())
        _waiting.task_done()
