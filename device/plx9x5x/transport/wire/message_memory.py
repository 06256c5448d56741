# SPDX-License-Identifier: Apache-2.0
"""Memory that the client shares no file for: it is asked for it, by DMA_READ and DMA_WRITE.

A guest's processor that waits for an answer of ours keeps QEMU from answering, so requests are served while we wait for
a reply, and the device is called within its own `step` (`plx9x5x.ports.BusMaster`).
"""

from collections.abc import Callable
from typing import Final, Protocol

from plx9x5x.transport.guest_memory import WRITE_ONLY, NoMemory
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import Command, Header
from plx9x5x.transport.wire.connection import MAX_UNSENT, Connection, Gone
from plx9x5x.transport.wire.inbox import Message
from plx9x5x.units import KIB

GIVE_UP: Final = 3
"""Requests in a row without an answer, each waited for as long as a stall may take."""
PIECE: Final = 64 * KIB
"""Of DMA by message: QEMU drops what its socket does not take at once."""


class Wait(Protocol):
    """Serves the client until a reply is there, and no longer than a stall may take; False if it never came."""

    def __call__(self, there: Callable[[], bool]) -> bool:
        """Wait."""
        ...


class MessageMemory:
    """The client's memory by DMA_READ and DMA_WRITE; a `plx9x5x.transport.guest_memory.FarMemory` by bus address."""

    def __init__(self, connection: Connection, *, piece: int, alone: bool, wait: Wait) -> None:
        self._connection = connection
        self._alone = alone
        """Replies come on a socket of their own, and the client serves it whatever else it waits for."""
        self.piece: Final = min(piece, PIECE)
        self._wait = wait
        self._number = 0
        self._waiting: Header | None = None
        self._into: memoryview | None = None
        self._done = False
        self._unanswered = 0
        self.in_requests = 0
        """How many of its own requests run: while it waits for an answer it would serve no message of ours."""
        self.reason = ""

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read at bus address `offset`, `piece` bytes at most; give the bytes that came."""
        came = self._ask(Command.DMA_READ, codec.DMA_ACCESS.pack(offset, len(into)), into)
        return len(into) if came else 0

    def write_from(self, offset: int, data: memoryview) -> int:
        """Write at bus address `offset`, `piece` bytes at most; give the bytes that went."""
        went = self._ask(Command.DMA_WRITE, codec.DMA_ACCESS.pack(offset, len(data)) + bytes(data), None)
        return len(data) if went else 0

    def _ask(self, command: Command, body: bytes, into: memoryview | None) -> bool:
        if self._waiting is not None:
            self.reason = "an answer for its memory is waited for already"
            return False
        if self._connection.unsent > MAX_UNSENT:
            self.reason = "it reads none of our requests"
            return False
        if self.in_requests and not self._alone:
            self.reason = "it shares no file, and is reached by messages only between its own accesses"
            return False
        self._number = self._number + 1 & 0xFFFF
        self._waiting = Header(self._number, command, codec.HEADER.size + len(body), 0, 0)
        self._into, self._done = into, False
        self.reason = "the client does not answer messages"
        try:
            self._connection.send(codec.request(self._number, command, body))
            self._unanswered += 1
            return self._wait(lambda: self._waiting is None) and self._done
        except Gone:  # whoever looks at the connection next finds out too
            return False
        finally:
            self._waiting = self._into = None

    @property
    def is_given_up(self) -> bool:
        """True once the client has left so many requests in a row unanswered that it had better go."""
        return self._unanswered >= GIVE_UP

    def answered(self, message: Message) -> None:
        """Take a reply; one that nobody waits for is too late, and dropped."""
        asked, header = self._waiting, message.header
        if asked is None or header.id != asked.id or header.command != asked.command:
            return
        self._waiting = None
        self._unanswered = 0
        body = message.body[codec.DMA_ACCESS.size :]
        if header.failed:
            self.reason = f"the client says {codec.words_of(header.error)}"
        elif self._into is not None and len(body) != len(self._into):
            self.reason = f"the client answers with {len(body)} bytes of {len(self._into)}"
        else:
            if self._into is not None:
                self._into[:] = body
            self._done = True


class WriteOnly(NoMemory):
    """The same where the client lets the device write and not read. It is told by message, file or not."""

    def __init__(self, memory: MessageMemory) -> None:
        super().__init__(WRITE_ONLY, piece=memory.piece)
        self._memory = memory

    def read_into(self, offset: int, into: memoryview) -> int:
        """Read nothing."""
        self.reason = WRITE_ONLY
        return super().read_into(offset, into)

    def write_from(self, offset: int, data: memoryview) -> int:
        """Write at bus address `offset`, `piece` bytes at most; give the bytes that went."""
        went = self._memory.write_from(offset, data)
        self.reason = self._memory.reason
        return went
