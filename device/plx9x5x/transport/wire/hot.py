# SPDX-License-Identifier: Apache-2.0
"""An inbox whose bytes C has too (hot.h): it answers register accesses, from a page or by asking the device."""

from __future__ import annotations

import ctypes as c
import os
from typing import TYPE_CHECKING, Final, cast

from plx9x5x.transport.wire import _hot
from plx9x5x.transport.wire.codec import HEADER, MAX_BODY, Header
from plx9x5x.transport.wire.foreign import close_all
from plx9x5x.transport.wire.inbox import ROOM, Message

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from plx9x5x.plane._serving import Pointer
    from plx9x5x.plane.serving import NativeServing
    from plx9x5x.transport.wire._hot import Wire
    from plx9x5x.transport.wire.connection import Connection
    from plx9x5x.transport.wire.signaller import Signaller

_LIB, _FFI = _hot.lib, _hot.ffi


def taker() -> int:
    """Where the function is that takes a message of a `NativeInbox`."""
    return int(cast("int", _FFI.cast("uintptr_t", _LIB.wire_taker())))


# int64_t ask(uint32_t bar, uint64_t offset, uint32_t count, uint32_t data, bool is_write)
_Ask: Final = c.CFUNCTYPE(c.c_int64, c.c_uint32, c.c_uint64, c.c_uint32, c.c_uint32, c.c_bool)


class Asker:
    """What C asks for an access of up to 4 bytes that no page answers. `sizes` are the BARs', in bytes.

    `read` takes (bar, offset, width), `write` the data too; either gives an errno below 0 if the device failed.
    """

    def __init__(
        self, sizes: Sequence[int], read: Callable[[int, int, int], int], write: Callable[[int, int, int, int], int]
    ) -> None:
        def ask(bar: int, offset: int, count: int, data: int, is_write: bool) -> int:
            return write(bar, offset, count, data) if is_write else read(bar, offset, count)

        self.sizes: Final = tuple(sizes)
        self._callback = _Ask(ask)
        self.address: Final = int(c.cast(self._callback, c.c_void_p).value or 0)


class NativeInbox:
    """What `SocketInbox` is, for a socket that `serving` serves once it has the seat."""

    def __init__(self, connection: socket.socket, serving: NativeServing, asker: Asker | None = None) -> None:
        buffer = _FFI.new("uint8_t[]", ROOM)
        self._alive = (buffer, serving, asker)  # C keeps nothing alive
        self._wire = cast("Wire", _FFI.new("struct wire *"))
        self._wire.fd, self._wire.edge_fd = connection.fileno(), -1
        self._wire.buffer, self._wire.room = cast("Pointer", buffer), ROOM
        self._wire.most = HEADER.size + MAX_BODY
        self._wire.serving = serving.serving
        if asker is not None:
            self._wire.ask = _FFI.cast("ask_device", asker.address)
            for bar, size in enumerate(asker.sizes):
                self._wire.sizes[bar] = size
        self._view = memoryview(_FFI.buffer(cast("Pointer", buffer), ROOM)).cast("B")

    @property
    def address(self) -> int:
        """What the loop in C takes messages from."""
        return int(cast("int", _FFI.cast("uintptr_t", self._wire)))

    @property
    def edger(self) -> int:
        """Where the function is that sends an edge of INTA#, of `address`."""
        return int(cast("int", _FFI.cast("uintptr_t", _LIB.wire_edger())))

    def signal_by(self, signaller: Signaller) -> None:
        """Send edges as that does."""
        self._wire.aio_context, self._wire.aio_fd = signaller.context, signaller.memory

    def listen(self, fd: int) -> None:
        """Send edges to `fd`, -1 for nobody."""
        self._wire.edge_fd = fd

    @property
    def ours(self) -> bool:
        """True if the next message is Python's."""
        return bool(self._wire.ours)

    @property
    def partial(self) -> bool:
        """True while a message has begun to come and was not taken."""
        return self._wire.end > self._wire.begin

    @property
    def place(self) -> tuple[int, int]:
        """How many bytes have come, and been taken, since the connection began."""
        wire = self._wire
        return wire.received, wire.received - (wire.end - wire.begin)

    def block(self) -> None:
        """Have C's next answer wait behind those of the connection."""
        self._wire.blocked = 1

    def settle(self, connection: Connection) -> None:
        """Hand what C could not send to the connection, and let C answer again once nothing waits there."""
        wire = self._wire
        if wire.unsent_count:
            rest = bytes(_FFI.buffer(wire.unsent, wire.unsent_count))
            wire.unsent_count = 0
            connection.send(rest)
        if wire.blocked or connection.unsent:
            wire.blocked = connection.unsent > 0

    def fill(self) -> int:
        """Read what is there; give the bytes, 0 at the end of the stream. Raises: BlockingIOError, OSError."""
        self._close_spare()
        count = _LIB.wire_fill(self._wire)
        self._close_spare()
        if count < 0:
            raise OSError(-count, os.strerror(-count))
        return count

    def next(self) -> Message | None:
        """Take a message, None if none is whole. Raises: FramingLost."""
        wire = self._wire
        wire.ours = 0
        self._close_spare()
        after = _LIB.wire_whole(wire)
        if not after:
            return None
        begin = wire.begin
        header = Header.read(self._view, begin)
        wire.begin = after
        message = Message(header, self._view[begin + HEADER.size : after])
        if (wire.fd_count or wire.torn) and after >= wire.fds_end:
            message.fds, message.torn = self._take_fds(), bool(wire.torn)
            wire.torn = 0
        return message

    @property
    def has_fds(self) -> bool:
        """True if descriptors have come that no message has taken."""
        return bool(self._wire.fd_count or self._wire.torn)

    def begun(self) -> tuple[memoryview, int, int] | None:
        """Give what has come, as `Inbox.begun` says."""
        wire = self._wire
        begin, end = wire.begin, wire.end
        return None if begin == end or wire.fd_count or wire.torn else (self._view, begin, end)

    def skip(self, length: int) -> None:
        """Take so many bytes, a whole message that `begun` gave."""
        self._wire.begin += length
        self._wire.ours = 0

    def close(self) -> None:
        """Close what descriptors there are."""
        self._close_spare()
        close_all(self._take_fds())

    def _close_spare(self) -> None:
        wire = self._wire
        if wire.spare_count:
            spare = [wire.spare[n] for n in range(wire.spare_count)]
            wire.spare_count = 0
            close_all(spare)

    def _take_fds(self) -> list[int]:
        found = [self._wire.fds[n] for n in range(self._wire.fd_count)]
        self._wire.fd_count = 0
        return found
