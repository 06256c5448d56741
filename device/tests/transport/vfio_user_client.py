# SPDX-License-Identifier: Apache-2.0
"""A minimal vfio-user client: stands in for QEMU in the tests of a server.

Written from the protocol (header 16 bytes: id, command, size, flags, error; file descriptors beside the message).
"""

import enum
import itertools
import json
import mmap
import os
import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HEADER: Final = struct.Struct("<HHIII")
REPLY: Final = 1
NO_REPLY: Final = 0x10
ERROR: Final = 0x20


class Command(enum.IntEnum):
    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    GET_INFO = 4
    GET_REGION_INFO = 5
    GET_IRQ_INFO = 7
    SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DEVICE_RESET = 13


class IrqFlag(enum.IntFlag):
    NONE = 1
    BOOL = 2
    EVENTFD = 4
    MASK = 8
    UNMASK = 16
    TRIGGER = 32


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code: int) -> None:
        super().__init__(os.strerror(code))
        self.errno = code


class VfioUserClient:
    """One connection. Every call waits for its reply, but for posted writes."""

    def __init__(self, path: Path, *, negotiate: bool = True, timeout: float = 10) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ids = itertools.count(1)
        try:
            self.socket.connect(os.fspath(path))  # blocking: the server's backlog holds one
            self.socket.settimeout(timeout)
            if negotiate:
                self.version = self.negotiate()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def negotiate(self) -> dict[str, object]:
        caps = {"capabilities": {"max_msg_fds": 16, "max_data_xfer_size": 1 << 20}}
        body = struct.pack("<HH", 0, 0) + json.dumps(caps).encode() + b"\0"
        answer = self.call(Command.VERSION, body)
        version: dict[str, object] = json.loads(answer[4:].rstrip(b"\0"))
        return version

    def send(self, command: int, body: bytes = b"", fds: tuple[int, ...] = (), flags: int = 0) -> int:
        number = next(self._ids) & 0xFFFF
        header = HEADER.pack(number, command, HEADER.size + len(body), flags, 0)
        data = memoryview(header + body)
        sent = socket.send_fds(self.socket, [data], list(fds)) if fds else self.socket.send(data)
        self.socket.sendall(data[sent:])
        return number

    def receive(self) -> tuple[int, int, int, int, bytes]:
        """Give (id, command, flags, error, body) of the next message."""
        number, command, size, flags, error = HEADER.unpack(self._exactly(HEADER.size))
        return number, command, flags, error, self._exactly(size - HEADER.size)

    def call(self, command: int, body: bytes = b"", fds: tuple[int, ...] = ()) -> bytes:
        number = self.send(command, body, fds)
        answered, _, flags, error, answer = self.receive()
        assert answered == number
        assert flags & 0xF == REPLY
        if flags & ERROR:
            raise Refused(error)
        return answer

    def _exactly(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = self.socket.recv(length - len(parts))
            if not part:
                raise ConnectionResetError("the server hung up")
            parts += part
        return bytes(parts)

    # What a guest does.

    def read(self, region: int, offset: int, width: int = 4) -> int:
        answer = self.call(Command.REGION_READ, struct.pack("<QII", offset, region, width))
        return int.from_bytes(answer[16:], "little")

    def write(self, region: int, offset: int, value: int, width: int = 4, *, posted: bool = False) -> None:
        body = struct.pack("<QII", offset, region, width) + value.to_bytes(width, "little")
        if posted:
            self.send(Command.REGION_WRITE, body, flags=NO_REPLY)
        else:
            self.call(Command.REGION_WRITE, body)

    def map(self, iova: int, length: int, fd: int | None, *, offset: int = 0, prot: int = 3) -> None:
        body = struct.pack("<IIQQQ", 32, prot, offset, iova, length)
        self.call(Command.DMA_MAP, body, () if fd is None else (fd,))

    def unmap(self, iova: int, length: int) -> None:
        self.call(Command.DMA_UNMAP, struct.pack("<IIQQ", 24, 0, iova, length))

    def info(self) -> tuple[int, int, int]:
        """Give (flags, regions, irqs)."""
        _, flags, regions, irqs = struct.unpack("<IIII", self.call(Command.GET_INFO, struct.pack("<IIII", 16, 0, 0, 0)))
        return flags, regions, irqs

    def region_info(self, region: int) -> tuple[int, int]:
        """Give (flags, size)."""
        answer = self.call(Command.GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, region, 0, 0, 0))
        _, flags, _, _, size, _ = struct.unpack("<IIIIQQ", answer[:32])
        return flags, size

    def irq_count(self, index: int) -> int:
        return int(struct.unpack("<IIII", self.call(Command.GET_IRQ_INFO, struct.pack("<IIII", 16, 0, index, 0)))[3])

    def set_irqs(self, flags: IrqFlag, *, index: int = 0, count: int = 1, fds: tuple[int, ...] = ()) -> None:
        self.call(Command.SET_IRQS, struct.pack("<IIIII", 20, flags, index, 0, count), fds)

    def listen_intx(self) -> "EventFd":
        event = EventFd()
        self.set_irqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, fds=(event.fd,))
        return event

    def unmask_intx(self) -> None:
        self.set_irqs(IrqFlag.NONE | IrqFlag.UNMASK)

    def mask_intx(self) -> None:
        self.set_irqs(IrqFlag.NONE | IrqFlag.MASK)

    def reset(self) -> None:
        self.call(Command.DEVICE_RESET)


class EventFd:
    """Counts interrupts."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def take(self) -> int:
        """Give how often it was signalled since the last look."""
        try:
            return os.eventfd_read(self.fd)
        except BlockingIOError:
            return 0


class SharedRam:
    """Guest memory in a memfd, as `share=on` gives it."""

    def __init__(self, size: int) -> None:
        self.fd = os.memfd_create("guest-ram")
        os.ftruncate(self.fd, size)
        self.bytes = mmap.mmap(self.fd, size)
