# SPDX-License-Identifier: Apache-2.0
"""Who is not served yet: the listening socket, and connections on their way to a VERSION or waiting for the seat.

None of them costs anybody else anything: nothing here blocks, and `fd` is readable while something wants to be looked
at. One that says nothing for SILENCE_S is hung up on; one too many pushes out the oldest that has said nothing.
"""

import contextlib
import errno
import logging
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plx9x5x.transport.serving import NO_ROOM
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import Command, FramingLost, Refused
from plx9x5x.transport.wire.connection import Connection, Gone
from plx9x5x.transport.wire.inbox import Message
from plx9x5x.units import KIB

SILENCE_S: Final = 5.0
"""How long a client may take for its first message; QEMU itself gives up after 5 s by default."""
MOST: Final = 16
"""Connections that wait at most."""
TOLD: Final = 1000
"""Clients that failed to attach are told of so often, lest one that goes on fills a disk."""
AHEAD: Final = 32 * KIB
"""What somebody who waits may send before its turn."""
BREATH_S: Final = 0.1
"""How long nobody is let in once the host has no room for one."""
_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


@dataclass(slots=True)
class _Guest:
    connection: Connection
    deadline: float
    version: codec.Version | None = None
    header: codec.Header | None = None
    heard: int = 0
    """Bytes that had come with its VERSION."""

    @property
    def is_timed(self) -> bool:
        """True of one that may not stay for ever: its end could not be seen once we hold its own socket for it."""
        return self.version is None or self.connection.inbox.has_fds


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client that has said a VERSION of ours, and waits for the answer to `header`."""

    connection: Connection
    version: codec.Version
    header: codec.Header


class Lobby:
    """Lets clients in, if there is somebody who listens; `make` makes a connection of a socket.

    `wake_fd` is one more thing that `fd` is readable for.
    """

    def __init__(
        self,
        listening: socket.socket | None,
        wake_fd: int,
        make: Callable[[socket.socket], Connection],
        log: logging.Logger,
    ) -> None:
        self._listening, self._make, self._log = listening, make, log
        self._epoll = select.epoll()
        self._epoll.register(wake_fd, select.EPOLLIN)
        if listening is not None:
            listening.setblocking(False)
            self._epoll.register(listening, select.EPOLLIN)
        self._guests: dict[int, _Guest] = {}
        self._closed_until: float | None = None
        self._told_no_room = False
        self._failures = 0

    @property
    def fd(self) -> int:
        """For poll."""
        return self._epoll.fileno()

    @property
    def timeout_s(self) -> float | None:
        """When it has to be looked at though nothing comes; None is never."""
        due = [guest.deadline for guest in self._guests.values() if guest.is_timed]
        if self._closed_until is not None:
            due.append(self._closed_until)
        return max(0.0, min(due) - time.monotonic()) if due else None

    @property
    def waiting(self) -> int:
        """How many have said VERSION."""
        return sum(guest.version is not None for guest in self._guests.values())

    @property
    def rests(self) -> bool:
        """True if nothing has to be done at some time."""
        return self._closed_until is None and not any(guest.is_timed for guest in self._guests.values())

    @property
    def over(self) -> bool:
        """True if nobody is here, and nobody can come."""
        return self._listening is None and not self._guests

    def look(self) -> bool:
        """Do what there is to do, without waiting; True if somebody has come."""
        came = False
        for fd, events in self._epoll.poll(0):
            if self._listening is not None and fd == self._listening.fileno():
                came |= self._accept(self._listening)
            elif (guest := self._guests.get(fd)) is not None:
                self._hear(fd, guest, events)
        now = time.monotonic()
        for fd, guest in list(self._guests.items()):
            if guest.is_timed and guest.deadline <= now:
                what = "said nothing" if guest.version is None else "has sent descriptors, and waits"
                self._hang_up(fd, f"it {what} for {SILENCE_S:g} s")
        if self._listening is not None and self._closed_until is not None and now >= self._closed_until:
            self._closed_until = None
            self._epoll.modify(self._listening, select.EPOLLIN)
        return came

    def next(self) -> Arrival | None:
        """Give who waits for longest, who is no longer ours then."""
        for fd, guest in self._guests.items():
            if guest.version is not None and guest.header is not None:
                del self._guests[fd]
                self._epoll.unregister(fd)
                return Arrival(guest.connection, guest.version, guest.header)
        return None

    def watch(self, fd: int, *, writable: bool) -> None:
        """Have `fd` be readable once somebody else's descriptor can be written to, or no longer."""
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        if writable:
            self._epoll.register(fd, select.EPOLLOUT)

    def close(self) -> None:
        """Hang up on everybody."""
        for guest in self._guests.values():
            guest.connection.close()
        self._guests.clear()
        self._epoll.close()

    def _accept(self, listening: socket.socket) -> bool:
        try:
            peer, _ = listening.accept()
        except BlockingIOError:
            return False
        except OSError as exc:
            if exc.errno in NO_ROOM:
                self._make_room(listening, exc)
            return False
        self._told_no_room = False
        if len(self._guests) >= MOST and not self._push_out():
            self._log.warning("a client is turned away: %d wait already", MOST)
            peer.close()
            return False
        self.admit(peer)
        return True

    def admit(self, peer: socket.socket) -> None:
        """Let a connected socket in."""
        try:
            connection = self._make(peer)
            self._epoll.register(connection.fd, select.EPOLLIN | _GONE)
        except (MemoryError, OSError) as exc:
            self._tell(str(exc))
            peer.close()
            return
        self._guests[connection.fd] = _Guest(connection, time.monotonic() + SILENCE_S)

    def _make_room(self, listening: socket.socket, exc: OSError) -> None:
        """The host has no descriptor left for one more; somebody silent goes, or all wait a little."""
        if not self._told_no_room:
            self._told_no_room = True
            self._log.warning("cannot accept a client: %s", exc.strerror)
        if not self._push_out():
            self._epoll.modify(listening, 0)
            self._closed_until = time.monotonic() + BREATH_S

    def _push_out(self) -> bool:
        """Hang up on the oldest that has not said VERSION; False if there is none."""
        for fd, guest in self._guests.items():
            if guest.version is None:
                self._hang_up(fd, "others wait, and it says nothing")
                return True
        return False

    def _hear(self, fd: int, guest: _Guest, events: int) -> None:
        """Take what a guest says, which should be its VERSION."""
        if guest.version is not None:
            self._hear_more(fd, guest, events)
            return
        message: Message | None = None
        try:
            message = guest.connection.take()
            if message is None:
                if events & _GONE:
                    self._hang_up(fd, "it hung up")
                return
            guest.header = message.header
            guest.version = self._version(message)
            guest.heard = guest.connection.inbox.place[0]
        except (Gone, FramingLost) as exc:
            self._hang_up(fd, str(exc))
            return
        except Refused as exc:
            with contextlib.suppress(Gone):
                if guest.header is not None and guest.header.wants_reply:
                    guest.connection.send(codec.refusal(guest.header, exc.errno))
            self._hang_up(fd, str(exc))
            return
        finally:
            if message is not None:
                message.close()
        # What it sends from now on is for later; only whether it goes away matters.
        self._epoll.modify(fd, select.EPOLLIN | _GONE)

    def _hear_more(self, fd: int, guest: _Guest, events: int) -> None:
        """Keep a little of what somebody says who waits, and hang up on one that has gone, or talks on."""
        try:
            came = guest.connection.fill()
        except Gone as exc:
            self._hang_up(fd, f"it did not wait: {exc}")
            return
        if guest.connection.inbox.place[0] - guest.heard > AHEAD:
            self._hang_up(fd, "it says too much before its turn")
        elif not came and events & _GONE:
            self._hang_up(fd, "it did not wait")

    @staticmethod
    def _version(message: Message) -> codec.Version:
        header = message.header
        if header.command != Command.VERSION or header.flags & codec.TYPE:
            raise Refused(errno.EINVAL, "the first message is not VERSION")
        if message.fds or message.torn:
            raise Refused(errno.EINVAL, "VERSION with descriptors")
        return codec.Version.unpack(message.body)

    def _hang_up(self, fd: int, why: str) -> None:
        self._tell(why)
        guest = self._guests.pop(fd)
        self._epoll.unregister(fd)
        guest.connection.close()

    def _tell(self, why: str) -> None:
        self._failures += 1
        self._log.log(logging.INFO if self._failures <= TOLD else logging.DEBUG, "a client failed to attach: %s", why)
