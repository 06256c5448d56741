# SPDX-License-Identifier: Apache-2.0
"""What a socket has brought: bytes until they are whole messages, and the descriptors beside them.

One read takes whatever is there, often several messages. Linux ends a read behind the piece that descriptors came with,
so they belong to the last message that begins in what was read, or to the one that it goes on with: a sender hands them
over with one message by a call of its own, as all clients known do. While a message with descriptors is not whole, no
more is read than it lacks, so that two messages' descriptors never meet.

Every descriptor is closed by `Message.close` or `Inbox.close`: whoever wants one takes it out of `fds`.
"""

import array
import socket
from dataclasses import dataclass, field
from typing import Final, Protocol

from plx9x5x.transport.wire.codec import HEADER, MAX_BODY, MAX_FDS, Header
from plx9x5x.transport.wire.foreign import close_all
from plx9x5x.units import KIB

ROOM: Final = HEADER.size + MAX_BODY + 64 * KIB
READ: Final = 64 * KIB
"""Bytes of one read at most."""
_FD_BYTES: Final = array.array("i").itemsize
_MOST_FDS: Final = 253
"""Descriptors that come at once, at most: the kernel's SCM_MAX_FD. It closes itself what a read has no room for."""
_CONTROL: Final = socket.CMSG_SPACE(_MOST_FDS * _FD_BYTES)
# Plain numbers: with the enumeration's own each read takes a microsecond more.
_CLOEXEC: Final = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED: Final = int(socket.MSG_CTRUNC)
_NOW: Final = int(socket.MSG_DONTWAIT)
_MOST_READS: Final = 10_000
"""A socket's buffer holds some hundred messages; more than that nobody can have sent once it is shut down."""


@dataclass(slots=True)
class Message:
    """One whole message. `body` is good until the next one is taken.

    `torn` says that the kernel kept descriptors back: there were more than may be, or we have no room for them.
    """

    header: Header
    body: memoryview
    fds: list[int] = field(default_factory=list)
    torn: bool = False

    def close(self) -> None:
        """Close the descriptors that nobody took."""
        close_all(self.fds)


class Inbox(Protocol):
    """Where messages come from; here, or in C."""

    @property
    def partial(self) -> bool:
        """True while a message has begun to come and was not taken."""
        ...

    @property
    def place(self) -> tuple[int, int]:
        """How many bytes have come, and been taken, since the connection began."""
        ...

    def fill(self) -> int:
        """Read what is there; give the bytes, 0 at the end of the stream. Raises: BlockingIOError, OSError."""
        ...

    def next(self) -> Message | None:
        """Take a message, None if none is whole. Raises: FramingLost."""
        ...

    @property
    def has_fds(self) -> bool:
        """True if descriptors have come that no message has taken."""
        ...

    def begun(self) -> tuple[memoryview, int, int] | None:
        """Give what has come: the next message is in the view, from the one number on and up to the other at most.

        None if a descriptor came along, or nothing has come.
        """
        ...

    def skip(self, length: int) -> None:
        """Take so many bytes, a whole message that `begun` gave."""
        ...

    def close(self) -> None:
        """Close what descriptors there are."""
        ...


class SocketInbox:
    """Reads from a socket, which stays its owner's."""

    def __init__(self, connection: socket.socket) -> None:
        self._receive = connection.recvmsg_into
        self._view = memoryview(bytearray(ROOM))
        self._begin = self._end = self._received = 0
        self._fds: list[int] = []
        self._fds_end = 0
        self._torn = False

    @property
    def partial(self) -> bool:
        """True while a message has begun to come and was not taken."""
        return self._end > self._begin

    @property
    def place(self) -> tuple[int, int]:
        """How many bytes have come, and been taken, since the connection began."""
        return self._received, self._received - (self._end - self._begin)

    def fill(self) -> int:
        """Read what is there; give the bytes, 0 at the end of the stream. Raises: BlockingIOError, OSError."""
        if self._begin:
            self._move_up()
        room = self._missing() if self._fds or self._torn else READ
        count, control, flags, _ = self._receive([self._view[self._end : self._end + room]], _CONTROL, _CLOEXEC)
        self._end += count
        self._received += count
        if control:
            self._note_fds(control)
        if flags & _TRUNCATED:
            self._torn, self._fds_end = True, self._end
        return count

    def next(self) -> Message | None:
        """Take a message, None if none is whole. Raises: FramingLost."""
        begin, end = self._begin, self._end
        if end - begin < HEADER.size:
            return None
        header = Header.read(self._view, begin)
        after = begin + header.size
        if after > end:
            return None
        self._begin = after
        message = Message(header, self._view[begin + HEADER.size : after])
        if (self._fds or self._torn) and after >= self._fds_end:
            message.fds, message.torn = self._fds, self._torn
            self._fds, self._torn = [], False
        return message

    @property
    def has_fds(self) -> bool:
        """True if descriptors have come that no message has taken."""
        return bool(self._fds) or self._torn

    def begun(self) -> tuple[memoryview, int, int] | None:
        """Give what has come, as `Inbox.begun` says."""
        if self._end == self._begin or self._fds or self._torn:
            return None
        return self._view, self._begin, self._end

    def skip(self, length: int) -> None:
        """Take so many bytes, a whole message that `begun` gave."""
        self._begin += length

    def close(self) -> None:
        """Close what descriptors there are."""
        close_all(self._fds)

    def _move_up(self) -> None:
        if self._begin == self._end:
            self._begin = self._end = self._fds_end = 0
            return
        left = self._end - self._begin
        self._view[:left] = self._view[self._begin : self._end]
        self._fds_end -= self._begin
        self._begin, self._end = 0, left

    def _missing(self) -> int:
        """What the message that has begun lacks, or its header."""
        have = self._end - self._begin
        if have < HEADER.size:
            return HEADER.size - have
        return max(1, Header.read(self._view, self._begin).size - have)

    def _note_fds(self, control: list[tuple[int, int, bytes]]) -> None:
        self._fds += _descriptors(control)
        self._fds_end = self._end
        if len(self._fds) > MAX_FDS:  # of one message that came in several pieces
            close_all(self._fds)
            self._torn = True


def _descriptors(control: list[tuple[int, int, bytes]]) -> list[int]:
    """Those that came beside the bytes of one read."""
    found = array.array("i")
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % _FD_BYTES])
    return found.tolist()


def drain(connection: socket.socket) -> None:
    """Read a connection empty, and close the descriptors that come. Raises: OSError."""
    scratch = bytearray(READ)
    for _ in range(_MOST_READS):
        count, control, _, _ = connection.recvmsg_into([scratch], _CONTROL, _CLOEXEC | _NOW)
        close_all(_descriptors(control))
        if not count:
            return
