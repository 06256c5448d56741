# SPDX-License-Identifier: Apache-2.0
"""A vfio-user client: stands in for QEMU to test, measure and break servers, and drives a device from Python.

::

    ram = SharedRam(64 * KIB)
    with VfioUserClient(path) as client:
        client.map(0, 64 * KIB, ram.fd)
        interrupts = client.listen_intx()
        client.write(7, 4, 7, width=2)  # configuration space: memory, I/O and bus mastering on
        client.write(0, 0x8C, 64)  # DMASIZ0; BARs are regions 0 to 5
        client.write(0, 0xA8, 3, width=1)  # DMACSR0: ENABLE and START

Calls wait for their replies. DMA by message is answered from `memory` whenever a call waits, or by `serve_dma`.
"""

import contextlib
import errno
import itertools
import mmap
import os
import socket
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import Command, Header, IrqFlag, Refused
from plx9x5x.transport.wire.inbox import Message, SocketInbox
from plx9x5x.units import KIB

__all__ = ["ClientMemory", "EventFd", "Refused", "SharedRam", "VfioUserClient"]


class ClientMemory(Protocol):
    """What the device reaches by messages; an OSError is the errno of the reply."""

    def read(self, address: int, count: int) -> bytes:
        """Give `count` bytes at a bus address."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Store them."""
        ...


class VfioUserClient:
    """One connection. `capabilities` are what is offered; `memory` answers DMA by message.

    Raises: OSError from the constructor if nobody listens, ConnectionResetError from any call once the server hung up.
    """

    def __init__(
        self,
        path: Path,
        *,
        negotiate: bool = True,
        timeout: float = 10,
        capabilities: codec.Capabilities | None = None,
        memory: ClientMemory | None = None,
    ) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.twin: socket.socket | None = None
        """The second socket, if both sides want one."""
        self.memory = memory
        self.accepted = codec.Capabilities()
        """What the server can do."""
        self._offered = capabilities or codec.Capabilities(max_msg_fds=codec.MAX_FDS)
        self._ids = itertools.count(1)
        self._inboxes: dict[socket.socket, SocketInbox] = {}
        self._timeout = timeout
        try:
            self.socket.connect(os.fspath(path))  # blocking: a server's backlog may hold one
            self._hear(self.socket)
            if negotiate:
                self.negotiate()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; may be called twice."""
        for connection, inbox in self._inboxes.items():
            inbox.close()
            connection.close()
        self.socket.close()

    def negotiate(self) -> codec.Version:
        """Say VERSION, and give the server's. Raises: Refused."""
        self.send(Command.VERSION, codec.Version(capabilities=self._offered).pack())
        message = self._reply()
        try:
            version = codec.Version.unpack(message.body)
            self.accepted = version.capabilities
            if message.fds:
                self.twin = socket.socket(fileno=message.fds.pop(0))
                self._hear(self.twin)
        finally:
            message.close()
        return version

    # Messages.

    def send(self, command: int, body: bytes = b"", fds: Sequence[int] = (), flags: int = 0) -> int:
        """Send a request and give its number; nothing is waited for."""
        number = next(self._ids) & 0xFFFF
        data = memoryview(codec.request(number, command, body, flags=flags))
        sent = socket.send_fds(self.socket, [data], list(fds)) if fds else self.socket.send(data)
        if sent < len(data):  # sending nothing would find out that the server has answered, and hung up since
            self.socket.sendall(data[sent:])
        return number

    def receive(self) -> tuple[int, int, int, int, bytes]:
        """Give (id, command, flags, error, body) of the next message on the socket, whatever it is."""
        message = self._next(self.socket)
        message.close()
        header = message.header
        return header.id, header.command, header.flags, header.error, bytes(message.body)

    def call(self, command: int, body: bytes = b"", fds: Sequence[int] = ()) -> bytes:
        """Send a request and give the body of its reply. Raises: Refused."""
        number = self.send(command, body, fds)
        message = self._reply()
        message.close()
        if message.header.id != number:
            raise ConnectionResetError(f"a reply to {message.header.id} where {number} was asked")
        return bytes(message.body)

    def _reply(self) -> Message:
        """The next reply; requests of the server are served until it is there."""
        message = self._next(self.socket)
        while not message.header.is_reply:
            self._serve(message, self.socket)
            message = self._next(self.socket)
        if message.header.failed:
            message.close()
            raise Refused(message.header.error)
        return message

    def _next(self, connection: socket.socket) -> Message:
        inbox = self._inboxes[connection]
        while (message := inbox.next()) is None:
            try:
                came = inbox.fill()
            except BlockingIOError as exc:
                raise TimeoutError("the server does not answer") from exc
            if not came:
                raise ConnectionResetError("the server hung up")
        return message

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(self._timeout)
        self._inboxes[connection] = SocketInbox(connection)

    # DMA by message.

    def serve_dma(self, until: Callable[[], bool], *, seconds: float = 10) -> None:
        """Answer the server's requests until `until()`. Raises: TimeoutError."""
        connection = self.twin or self.socket
        end = time.monotonic() + seconds
        connection.settimeout(0.01)
        try:
            while not until():
                if time.monotonic() > end:
                    raise TimeoutError("the server asks for nothing more")
                with contextlib.suppress(TimeoutError):
                    self._serve(self._next(connection), connection)
        finally:
            connection.settimeout(self._timeout)

    def _serve(self, message: Message, connection: socket.socket) -> None:
        message.close()
        header = message.header
        try:
            body = self._dma(header, message.body)
        except OSError as exc:
            connection.sendall(codec.refusal(header, exc.errno or errno.EIO))
        else:
            connection.sendall(codec.answer(header, body))

    def _dma(self, header: Header, body: memoryview) -> bytes:
        if self.memory is None or header.command not in (Command.DMA_READ, Command.DMA_WRITE):
            raise OSError(errno.ENOSYS, "no memory")
        head = bytes(body[: codec.DMA_ACCESS.size])
        address, count = codec.DMA_ACCESS.unpack(head)
        if header.command == Command.DMA_READ:
            return head + self.memory.read(address, count)
        self.memory.write(address, bytes(body[codec.DMA_ACCESS.size :]))
        return head

    # What a guest does.

    def read(self, region: int, offset: int, width: int = 4) -> int:
        """Read `width` bytes of a region."""
        answer = self.call(Command.REGION_READ, codec.REGION_ACCESS.pack(offset, region, width))
        return int.from_bytes(answer[codec.REGION_ACCESS.size :], "little")

    def write(self, region: int, offset: int, value: int, width: int = 4, *, posted: bool = False) -> None:
        """Write `width` bytes of a region; `posted` waits for nothing."""
        body = codec.REGION_ACCESS.pack(offset, region, width) + value.to_bytes(width, "little")
        if posted:
            self.send(Command.REGION_WRITE, body, flags=codec.NO_REPLY)
        else:
            self.call(Command.REGION_WRITE, body)

    def write_many(self, writes: Sequence[tuple[int, int, int, int]]) -> None:
        """Write (region, offset, value, width up to 8) in one message."""
        ones = (
            codec.MULTI_ONE.pack(at, region, width, value.to_bytes(8, "little")) for region, at, value, width in writes
        )
        self.call(Command.REGION_WRITE_MULTI, codec.MULTI_HEAD.pack(len(writes)) + b"".join(ones))

    def map(self, iova: int, length: int, fd: int | None, *, offset: int = 0, prot: int = 3) -> None:
        """Let the device master `length` bytes at `iova`: those of a file, or by message."""
        self.call(Command.DMA_MAP, codec.DmaMap(prot, offset, iova, length).pack(), () if fd is None else (fd,))

    def unmap(self, iova: int, length: int) -> None:
        """Take a range back."""
        self.call(Command.DMA_UNMAP, codec.DmaUnmap(iova, length).pack())

    def unmap_all(self) -> None:
        """Take all back."""
        self.call(Command.DMA_UNMAP, codec.DmaUnmap(0, 0, codec.UNMAP_ALL).pack())

    def info(self) -> tuple[int, int, int]:
        """Give (flags, regions, irqs)."""
        _, flags, regions, irqs = codec.INFO.unpack(self.call(Command.GET_INFO, codec.INFO.pack(16, 0, 0, 0)))
        return flags, regions, irqs

    def region_info(self, region: int) -> tuple[int, int]:
        """Give (flags, size)."""
        layout = codec.REGION_INFO
        answer = self.call(Command.GET_REGION_INFO, layout.pack(layout.size, 0, region, 0, 0, 0))
        _, flags, _, _, size, _ = layout.unpack(answer[: layout.size])
        return flags, size

    def irq_count(self, index: int) -> int:
        """How many interrupts of a kind there are."""
        return int(codec.INFO.unpack(self.call(Command.GET_IRQ_INFO, codec.INFO.pack(16, 0, index, 0)))[3])

    def set_irqs(
        self,
        flags: IrqFlag,
        *,
        index: int = 0,
        start: int = 0,
        count: int = 1,
        data: bytes = b"",
        fds: Sequence[int] = (),
    ) -> None:
        """Do anything to interrupts."""
        self.call(Command.SET_IRQS, codec.SetIrqs(flags, index, start, count, data).pack(), fds)

    def listen_intx(self) -> "EventFd":
        """Hear of INTA#."""
        event = EventFd()
        self.set_irqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, fds=(event.fd,))
        return event

    def unmask_intx(self) -> None:
        """Say that the next edge may come."""
        self.set_irqs(IrqFlag.NONE | IrqFlag.UNMASK)

    def mask_intx(self) -> None:
        """Hold edges back."""
        self.set_irqs(IrqFlag.NONE | IrqFlag.MASK)

    def reset(self) -> None:
        """Reset the device."""
        self.call(Command.DEVICE_RESET)


class EventFd:
    """Counts interrupts, until it is closed or forgotten."""

    def __init__(self) -> None:
        self.fd: Final = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._end = weakref.finalize(self, os.close, self.fd)

    def take(self) -> int:
        """Give how often it was signalled since the last look."""
        try:
            return os.eventfd_read(self.fd)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Stop hearing. May be called twice."""
        self._end()


class SharedRam:
    """Guest memory in a memfd, as QEMU's memory-backend-memfd with share=on gives it.

    `sealed` says that it never shrinks, which lets the server map it. The descriptor is good until it is closed or
    forgotten. Units: `size` in bytes.
    """

    def __init__(self, size: int = 64 * KIB, *, sealed: bool = True) -> None:
        self.fd: Final = os.memfd_create("guest-ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._end = weakref.finalize(self, os.close, self.fd)
        os.ftruncate(self.fd, size)
        if sealed:
            _seal(self.fd)
        self.bytes: Final = mmap.mmap(self.fd, size)

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self.bytes.close()
        self._end()


def _seal(fd: int) -> None:
    import fcntl  # noqa: PLC0415 - of use here alone

    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
