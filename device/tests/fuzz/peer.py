# SPDX-License-Identifier: Apache-2.0
"""One hostile client: what it sends it notes, and what comes back has to be an answer to it.

It knows the protocol by itself (reference: the vfio-user specification), so it is a second opinion on the codec.
"""

import array
import errno
import os
import socket
import struct
from collections import deque

from tests.fuzz.target import Finding

HEADER = struct.Struct("<HHIII")
MOST = 16 + (1 << 20) + 4096
REPLY, NO_REPLY, ERROR = 1, 0x10, 0x20
VERSION, MAP, UNMAP, READ, WRITE, DMA_READ, DMA_WRITE, MULTI = 1, 2, 3, 9, 10, 11, 12, 15
SIZES = {MAP: 16, 4: 32, 5: 48, 6: 32, 7: 32, 8: 16, WRITE: 32, 13: 16, MULTI: 24}
"""Of a reply that grants the request; those of the others depend on what was asked."""
_FD = array.array("i").itemsize
_ROOM = 1 << 18


def success(command: int, body: bytes) -> int:
    """How long a reply is that grants a request; 0 if it must be refused."""
    if command in (MAP, UNMAP):
        layout = "<IIQQQ" if command == MAP else "<IIQQ"
        if len(body) != struct.calcsize(layout):
            return 0
        size, flags, *_, address, length = struct.unpack(layout, body)
        if command == UNMAP and flags == 2:
            return 0 if address or length else 40
        if size < len(body) or address & 0xFFF or length & 0xFFF or not length or address + length > 1 << 64:
            return 0
        return 16 if command == MAP else 40
    if command == READ:
        if len(body) != 16:
            return 0
        offset, _, count = struct.unpack("<QII", body)
        return 32 + count if 0 < count <= 1 << 20 and offset + count <= 1 << 32 else 0
    if command == WRITE and (len(body) < 17 or struct.unpack_from("<I", body, 12)[0] != len(body) - 16):
        return 0
    return SIZES.get(command, 0)


class Peer:
    """One connection. `answered` counts messages that the server has certainly taken."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.socket = peer
        self.twin: socket.socket | None = None
        self.closed = self.wild = False
        """The server hung up; what was sent is no longer a row of messages."""
        self.answered = 0
        self.deaf = False
        """It reads nothing."""
        self.asked: deque[tuple[int, int, bytes]] = deque()
        """The server's requests: (id, command, body)."""
        self._out: deque[tuple[memoryview, list[int]]] = deque()
        self._sent = bytearray()
        self._expected: deque[tuple[int, int, bytes] | None] = deque()
        self._first, self._held = True, False
        self._in: dict[socket.socket, bytearray] = {peer: bytearray()}

    def send(self, data: bytes | bytearray, fds: list[int] | None = None) -> None:
        """Send bytes, as far as they go now; the rest goes before what comes later."""
        if data and not self.closed:
            self._note(data)
            self._out.append((memoryview(bytes(data)), fds or []))

    def answer(self, data: bytes) -> None:
        """Answer a request of the server's."""
        if self.twin is None:
            self.send(data)
        elif not self.closed:
            try:
                self.twin.send(data)
            except OSError:
                self.wild = True

    def hold(self) -> None:
        """Keep what was not flushed until the server has had a turn."""
        self._held = True

    def held(self) -> bool:
        """True if nothing goes in this turn."""
        held, self._held = self._held, False
        return held

    def flush(self) -> None:
        """Send what waits."""
        while self._out and not self.closed:
            data, fds = self._out.popleft()
            while not fds and self._out and not self._out[0][1] and len(data) < 1 << 16:
                data = memoryview(bytes(data) + self._out.popleft()[0])
            try:
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
                count = self.socket.sendmsg([data], ancillary)
            except BlockingIOError:
                self._out.appendleft((data, fds))
                return
            except OSError:
                self.closed = True
                return
            if count < len(data):
                self._out.appendleft((data[count:], []))
                return

    def hear(self) -> None:
        """Take what has come. Raises: Finding if it answers nothing that was asked."""
        if not self.deaf:
            for connection in tuple(self._in):
                self._hear(connection)

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self.socket.close()
        if self.twin is not None:
            self.twin.close()
        self._out.clear()

    def _hear(self, connection: socket.socket) -> None:
        buffer = self._in[connection]
        while True:
            try:
                data, control, _, _ = connection.recvmsg(_ROOM, 64)
            except BlockingIOError:
                break
            except OSError:
                data, control = b"", []
            for _, _, fds in control:
                self._take(array.array("i", fds[: len(fds) - len(fds) % _FD]))
            if not data:
                self.closed |= connection is self.socket
                break
            buffer += data
            if len(data) < _ROOM:
                break
        at, end, unpack = 0, len(buffer), HEADER.unpack_from
        while end - at >= 16:
            number, command, size, flags, error = unpack(buffer, at)
            if not 16 <= size <= MOST:
                raise Finding(f"the server sends a message of {size} bytes")
            if end - at < size:
                break
            if flags & 0xF == 0:
                self.asked.append((number, command, bytes(buffer[at + 16 : at + size])))
            else:
                self._answer(number, command, size, flags, error)
            at += size
        del buffer[:at]

    def _take(self, fds: array.array) -> None:  # type: ignore[type-arg]
        for fd in fds:
            if self.twin is None:
                self.twin = socket.socket(fileno=fd)
                self.twin.setblocking(False)
                self._in[self.twin] = bytearray()
            else:
                os.close(fd)
                raise Finding("a descriptor that nobody asked for")

    def _answer(self, number: int, command: int, size: int, flags: int, error: int) -> None:
        expected = self._expected
        while expected and expected[0] is None:
            expected.popleft()
            self.answered += 1
        found = expected.popleft() if expected and expected[0] and expected[0][0] == number else None
        if found is None and self.twin is not None:  # served while one before it waits for our memory
            found = next((one for one in expected if one and one[0] == number and one[1] == command), None)
            if found is not None:
                expected.remove(found)
        if found is None or found[1] != command:
            raise Finding(f"a reply to {number}, command {command}, where {found} was asked")
        self.answered += 1
        if flags == REPLY | ERROR:
            if (
                size != 16 or not error or error == errno.EBADF
            ):  # what it was given was good: it has closed it too often
                raise Finding(f"a refusal of {size} bytes, errno {error}")
            return
        right = size if command == VERSION and not found[2] else success(command, found[2])
        if flags != REPLY or error or size != right:
            raise Finding(
                f"command {command} {found[2][:64].hex()}: flags {flags:#x}, {size} bytes where {right} belong"
            )

    def _note(self, data: bytes | bytearray) -> None:
        """Cut what is sent into messages, as the server has to."""
        if self.wild:
            return
        sent = self._sent
        sent += data
        at, end, unpack = 0, len(sent), HEADER.unpack_from
        while end - at >= 16:
            number, command, size, flags, _ = unpack(sent, at)
            if not 16 <= size <= MOST:
                self.wild = True
                break
            if end - at < size:
                break
            if flags & 0xF != REPLY or self._first:
                body = b"" if self._first else bytes(sent[at + 16 : at + min(size, 65536)])
                self._expected.append(None if flags & NO_REPLY else (number, command, body))
            self._first = False
            at += size
        del sent[:at]
