# SPDX-License-Identifier: Apache-2.0
"""One connected socket that never blocks: messages in, messages out, and what could not be sent yet."""

import contextlib
import select
import socket
from collections.abc import Callable, Sequence
from typing import Final

from plx9x5x.transport.wire.inbox import Inbox, Message, SocketInbox, drain
from plx9x5x.units import MIB

MAX_UNSENT: Final = 4 * MIB
"""Of a client that does not read its answers nothing more is taken from here on."""


class Gone(Exception):
    """The other side has closed the connection, or broken it."""


class Connection:
    """Takes and sends messages. `make_inbox` gives what reads from the socket."""

    def __init__(self, peer: socket.socket, make_inbox: Callable[[socket.socket], Inbox] = SocketInbox) -> None:
        peer.setblocking(False)
        self._socket = peer
        self.inbox: Final = make_inbox(peer)
        self._unsent = bytearray()

    @property
    def fd(self) -> int:
        """For poll."""
        return self._socket.fileno()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the other side to read."""
        return len(self._unsent)

    @property
    def hung_up(self) -> bool:
        """True if nothing more will come, whatever is still to be read."""
        poll = select.poll()
        poll.register(self.fd, select.POLLRDHUP)
        return bool(poll.poll(0))

    def take(self) -> Message | None:
        """Give a message, reading more if none is there; None if that takes longer. Raises: Gone, FramingLost."""
        message = self.inbox.next()
        while message is None:
            if not self.fill():
                return None
            message = self.inbox.next()
        return message

    def fill(self) -> bool:
        """Read what is there; False if there is nothing. Raises: Gone."""
        try:
            if self.inbox.fill():
                return True
        except BlockingIOError:
            return False
        except OSError as exc:
            raise Gone(str(exc)) from exc
        raise Gone("the end of the stream")

    def send(self, data: bytes | bytearray | memoryview, fds: Sequence[int] = ()) -> None:
        """Send a message, or keep it for `flush`. Descriptors go with what can be sent at once. Raises: Gone."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = socket.send_fds(self._socket, [data], list(fds)) if fds else self._socket.send(data)
        except BlockingIOError:
            if fds:
                raise Gone("it reads nothing") from None
            sent = 0
        except OSError as exc:
            raise Gone(str(exc)) from exc
        if sent < len(data):
            self._unsent += memoryview(data)[sent:]

    def flush(self) -> bool:
        """Send what waits; False if some is left. Raises: Gone."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError as exc:
                raise Gone(str(exc)) from exc
            del self._unsent[:sent]
        return True

    def close(self) -> None:
        """Hang up, and close what came and was not taken, all that is still on its way too."""
        self.inbox.close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
            drain(self._socket)
        with contextlib.suppress(OSError):
            self._socket.close()
