# SPDX-License-Identifier: Apache-2.0
"""What ends a wait beside the messages of the client that is served: somebody wakes us, or another client connects."""

import select
from typing import Final

from plx9x5x.transport.wake_pipe import WakePipe

SECOND_CLIENT: Final = (
    "a second client waits until the first leaves: this server has one card, and QEMU gives up after 5 s; "
    "give each guest a server of its own, on another --socket-path"
)

MOST_TOLD: Final = 20
"""Of the clients that wait for one to leave so many are told of, lest some that come and go fill a disk."""


class Lookout:
    """One descriptor, `fd`, that is readable when either has happened, until `look`.

    Another client is told by the edge: it stays in the queue of the listening socket, and a level would keep every
    wait from waiting.
    """

    def __init__(self, wake: WakePipe) -> None:
        self._wake = wake
        self._epoll = select.epoll()
        self._epoll.register(wake.fd, select.EPOLLIN)
        self.fd = self._epoll.fileno()

    def listen(self, fd: int) -> None:
        """Mind the listening socket `fd` as well."""
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLET)

    def look(self) -> bool:
        """Take note of all that happened; True if a client has come to wait since the last look."""
        came = False
        for fd, _ in self._epoll.poll(0):
            if fd == self._wake.fd:
                self._wake.drain()
            else:
                came = True
        return came

    def close(self) -> None:
        """May be called twice."""
        self._epoll.close()
