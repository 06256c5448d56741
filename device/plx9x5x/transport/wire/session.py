# SPDX-License-Identifier: Apache-2.0
"""What one client asks of the device: each request of the protocol, its limits, its answer.

A request that cannot be is answered by an error, and nothing has changed. Descriptors that it brought are closed unless
it was one that keeps them, whatever happens.

Memory without a descriptor is far (message_memory.py): the client is asked for it, while it asks for its own things and
waits for the answers.
"""

import errno
import logging
import os
import struct
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from plx9x5x.ports import HasMessage, PciDevice, ResetKind
from plx9x5x.transport.client_memory import ClientMemory
from plx9x5x.transport.guest_memory import Far
from plx9x5x.transport.serving import CONFIG_SPACE
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import Command, Header, Irq, IrqFlag, Refused
from plx9x5x.transport.wire.connection import Connection
from plx9x5x.transport.wire.files import CalledFile, GuestFiles
from plx9x5x.transport.wire.inbox import Inbox, Message
from plx9x5x.transport.wire.message_memory import MessageMemory, WriteOnly
from plx9x5x.transport.wire.signaller import Signaller, is_eventfd
from plx9x5x.units import KIB

LONG: Final = 4 * KIB
"""Bytes of a region access that one turn does at most: a device may take 10 us a word of its local bus."""

IRQ_COUNTS: Final = {Irq.INTX: 1, Irq.MSI: 0, Irq.MSIX: 0, Irq.ERR: 1, Irq.REQ: 1}
"""QEMU asks for ERR and REQ of any device; nothing here ever raises them. A device may have messages, by MSI-X."""
_IRQ_FLAGS: Final = {
    Irq.INTX: codec.IRQ_EVENTFD_FLAG | codec.IRQ_MASKABLE_FLAG | codec.IRQ_AUTOMASKED_FLAG,
}
_OF_THE_HOST: Final = frozenset({Command.DMA_MAP, Command.DMA_UNMAP, Command.SET_IRQS})
"""Requests that the host may lack something for, and the device has no part in."""
_UNMASK: Final = int(IrqFlag.NONE | IrqFlag.UNMASK)
_MASK: Final = int(IrqFlag.NONE | IrqFlag.MASK)
_WORDS: Final = {width: struct.Struct(f"<HHIIIQII{code}") for width, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))}
"""The reply to a read of a usual width."""
_INTX_ALONE: Final = [int(Irq.INTX), 0, 1]
"""Index, start and count of the one interrupt that can be masked."""


class _Later(Exception):
    """The request is too long for one turn: `pieces` does a piece at each step, and gives the reply at last."""

    def __init__(self, pieces: Iterator[bytes | None]) -> None:
        super().__init__()
        self.pieces = pieces


class Line(Protocol):
    """INTA# as the transport keeps it (`IntxLine`, `NativeLine`)."""

    def mask(self) -> None:
        """Hold edges back."""
        ...

    def unmask(self) -> None:
        """Let edges through."""
        ...

    def reset(self) -> None:
        """Down and not masked."""
        ...


class Session:
    """One client that has said VERSION. `on_listener` is told which descriptor hears of INTA#, -1 for none.

    `handle` raises what the device raises, which is the device's own bug.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        device: PciDevice,
        memory: ClientMemory,
        line: Line,
        far: MessageMemory,
        on_listener: Callable[[int], None],
        signaller: Signaller,
        log: logging.Logger,
    ) -> None:
        self._connection, self._device, self._memory, self._line = connection, device, memory, line
        self._far, self._on_listener, self._signaller, self._log = far, on_listener, signaller, log
        self._files = GuestFiles(log)
        self._long: tuple[Header, Iterator[bytes | None]] | None = None
        self._irqs = dict(IRQ_COUNTS)
        if isinstance(device, HasMessage):
            self._irqs[Irq.MSIX] = 1
            device.send_by(lambda: self._signal(Irq.MSIX))
        self._listeners: dict[int, int] = {}
        """The eventfd of an interrupt, by its index: each has one."""
        self._sizes = [spec.size for spec in device.regions] + [0, CONFIG_SPACE, 0]
        self._requests: dict[int, Callable[[Message], bytes]] = {
            Command.DMA_MAP: self._map,
            Command.DMA_UNMAP: self._unmap,
            Command.GET_INFO: self._info,
            Command.GET_REGION_INFO: self._region_info,
            Command.GET_REGION_IO_FDS: self._region_io_fds,
            Command.GET_IRQ_INFO: self._irq_info,
            Command.SET_IRQS: self._set_irqs,
            Command.REGION_READ: self._read,
            Command.REGION_WRITE: self._write,
            Command.REGION_WRITE_MULTI: self._write_multi,
            Command.DEVICE_RESET: self._reset,
        }

    def handle_access(self, inbox: Inbox) -> bool:
        """Do the next message if it is what a running driver asks for, with few words; False if it is anything else.

        `handle` does the same for every message: nine tenths of this one's time is what it leaves out. Raises: Gone.
        """
        begun = inbox.begun()
        if begun is None:
            return False
        view, begin, end = begun
        if end - begin < codec.ACCESS.size:
            return False
        number, command, size, flags, _, offset, region, count = codec.ACCESS.unpack_from(view, begin)
        if command == codec.SET_IRQS:
            return self._handle_mask(inbox, begun)
        if region >= codec.BARS or offset + count > self._sizes[region]:
            return False
        if command == codec.REGION_READ:
            reply = _WORDS.get(count)
            if reply is None or size != codec.ACCESS.size or flags:
                return False
            inbox.skip(size)
            far = self._far
            far.in_requests += 1
            try:
                value = self._device.read(region, offset, count)
                answer = reply.pack(number, command, size + count, codec.REPLY, 0, offset, region, count, value)
            except Exception:
                self._reply(Header(number, command, size, flags, 0), None)
                raise
            finally:
                far.in_requests -= 1
            self._connection.send(answer)
            return True
        if (
            command != codec.REGION_WRITE
            or count not in _WORDS
            or size != codec.ACCESS.size + count
            or end - begin < size
        ):
            return False
        if flags and flags != codec.NO_REPLY:
            return False
        value = int.from_bytes(view[begin + codec.ACCESS.size : begin + size], "little")
        inbox.skip(size)
        far = self._far
        far.in_requests += 1
        try:
            self._device.write(region, offset, count, value)
        except Exception:
            self._reply(Header(number, command, size, flags, 0), None)
            raise
        finally:
            far.in_requests -= 1
        if not flags:
            self._connection.send(
                codec.ACCESS.pack(number, command, codec.ACCESS.size, codec.REPLY, 0, offset, region, count)
            )
        return True

    def _handle_mask(self, inbox: Inbox, begun: tuple[memoryview, int, int]) -> bool:
        view, begin, end = begun
        if end - begin < codec.UNMASK.size:
            return False
        number, command, size, flags, _, argsz, asked, *which = codec.UNMASK.unpack_from(view, begin)
        if size != codec.UNMASK.size or flags or argsz < size - codec.HEADER.size or which != _INTX_ALONE:
            return False
        if asked == _UNMASK:
            self._line.unmask()
        elif asked == _MASK:
            self._line.mask()
        else:
            return False
        inbox.skip(size)
        self._connection.send(codec.HEADER.pack(number, command, codec.HEADER.size, codec.REPLY, 0))
        return True

    def is_busy(self) -> bool:
        """True while an access that is too long for one turn goes on: the next message has to wait."""
        return self._long is not None

    def go_on(self) -> None:
        """Do the next piece of it, and answer at the end. Raises: Gone, and what the device raises."""
        assert self._long is not None
        header, pieces = self._long
        self._far.in_requests += 1
        try:
            reply = next(pieces)
        except Exception:
            self._long = None
            self._reply(header, None)
            raise
        finally:
            self._far.in_requests -= 1
        if reply is not None:
            self._long = None
            self._reply(header, codec.answer(header, reply))

    def handle(self, message: Message) -> None:
        """Do what a message asks, and answer. Raises: Gone."""
        header = message.header
        if header.is_reply:
            message.close()
            self._far.answered(message)
            return
        self._far.in_requests += 1
        try:
            reply: bytes | None = codec.answer(header, self._body(message))
        except _Later as exc:
            self._long = header, exc.pieces
            return
        except Refused as exc:
            self._log.debug("%s refused: %s", _name(header.command), exc)
            reply = codec.refusal(header, exc.errno)
        except Exception:
            self._reply(header, None)
            raise
        finally:
            message.close()
            self._far.in_requests -= 1
        self._reply(header, reply)

    def _body(self, message: Message) -> bytes:
        if message.torn:
            raise Refused(errno.EMFILE, "descriptors got lost: too many, or no room for them")
        if message.header.flags & codec.TYPE:
            raise Refused(errno.EINVAL, f"flags {message.header.flags:#x}")
        serve = self._requests.get(message.header.command)
        if serve is None:
            raise Refused(errno.ENOSYS, "no such request")
        if message.header.command not in _OF_THE_HOST:
            return serve(message)
        try:
            return serve(message)
        except (MemoryError, OSError) as exc:
            raise Refused(getattr(exc, "errno", None) or errno.ENOMEM, str(exc)) from exc

    def _reply(self, header: Header, reply: bytes | None) -> None:
        """Answer, with EIO if the device failed."""
        if header.wants_reply:
            self._connection.send(codec.refusal(header, errno.EIO) if reply is None else reply)

    def edge(self) -> bool:
        """Send an edge of INTA#; False if nobody listens."""
        return self._signal(Irq.INTX)

    def close(self) -> None:
        """Let go of all that was the client's; its memory has been forgotten before."""
        for fd in self._listeners.values():
            os.close(fd)
        self._listeners.clear()
        if isinstance(self._device, HasMessage):
            self._device.send_by(_nobody_listens)
        self._files.clear()
        self._long = None
        self._requests.clear()  # methods of ours: the inbox would stay until Python looks for circles

    # The device.

    def _info(self, message: Message) -> bytes:
        codec.read_info(message.body)
        flags = codec.DEVICE_RESET_FLAG | codec.DEVICE_PCI_FLAG
        return codec.INFO.pack(codec.INFO.size, flags, codec.REGIONS, len(Irq))

    def _region_info(self, message: Message) -> bytes:
        index = codec.read_region_index(message.body)
        size = self._sizes[index]
        flags = codec.REGION_READ_FLAG | codec.REGION_WRITE_FLAG if size else 0
        return codec.REGION_INFO.pack(codec.REGION_INFO.size, flags, index, 0, size, 0)

    def _region_io_fds(self, message: Message) -> bytes:
        index = codec.read_info(message.body).first
        if index >= codec.REGIONS:
            raise Refused(errno.EINVAL, f"region {index}")
        return codec.INFO.pack(codec.INFO.size, 0, index, 0)

    def _reset(self, message: Message) -> bytes:
        if message.body:
            raise Refused(errno.EINVAL, "a reset with a body")
        self._device.reset(ResetKind.POWER_ON)
        self._line.reset()
        return b""

    # Regions.

    def _read(self, message: Message) -> bytes:
        body = message.body
        if len(body) != codec.REGION_ACCESS.size:
            raise Refused(errno.EINVAL, f"a read of {len(body)} bytes")
        offset, region, count = codec.REGION_ACCESS.unpack(body)
        self._check(region, offset, count)
        if count > LONG:
            raise _Later(self._long_read(region, offset, count))
        return codec.REGION_ACCESS.pack(offset, region, count) + self._load(region, offset, count)

    def _load(self, region: int, offset: int, count: int) -> bytes:
        if region == codec.CONFIG_REGION:
            value = self._device.config_read(offset, count)
        else:
            value = self._device.read(region, offset, count)
        return value.to_bytes(count, "little")

    def _long_read(self, region: int, offset: int, count: int) -> Iterator[bytes | None]:
        data = bytearray()
        while len(data) < count:
            data += self._load(region, offset + len(data), min(LONG, count - len(data)))
            yield None
        yield codec.REGION_ACCESS.pack(offset, region, count) + data

    def _long_write(self, region: int, offset: int, data: bytes) -> Iterator[bytes | None]:
        for at in range(0, len(data), LONG):
            self._store(region, offset + at, memoryview(data)[at : at + LONG])
            yield None
        yield codec.REGION_ACCESS.pack(offset, region, len(data))

    def _write(self, message: Message) -> bytes:
        body = message.body
        if len(body) < codec.REGION_ACCESS.size:
            raise Refused(errno.EINVAL, f"a write of {len(body)} bytes")
        offset, region, count = codec.REGION_ACCESS.unpack_from(body)
        data = body[codec.REGION_ACCESS.size :]
        if len(data) != count:
            raise Refused(errno.EINVAL, f"{len(data)} bytes of data where {count} were said")
        self._check(region, offset, count)
        if count > LONG:
            raise _Later(self._long_write(region, offset, bytes(data)))
        self._store(region, offset, data)
        return codec.REGION_ACCESS.pack(offset, region, count)

    def _write_multi(self, message: Message) -> bytes:
        writes = codec.read_multi(message.body)
        for offset, region, count, _ in writes:
            if count > 8:
                raise Refused(errno.EINVAL, f"{count} bytes of 8")
            self._check(region, offset, count)
        for offset, region, count, data in writes:
            self._store(region, offset, memoryview(data)[:count])
        return codec.MULTI_HEAD.pack(len(writes))

    def _store(self, region: int, offset: int, data: memoryview) -> None:
        count = len(data)
        value = int.from_bytes(data, "little")
        if region == codec.CONFIG_REGION:
            self._device.config_write(offset, count, value)
        else:
            self._device.write(region, offset, count, value)

    def _check(self, region: int, offset: int, count: int) -> None:
        size = self._sizes[region] if region < codec.REGIONS else 0
        if not 0 < count <= codec.MAX_DATA or offset + count > size:
            raise Refused(errno.EINVAL, f"{count} bytes at {offset:#x} of region {region}, which has {size}")

    # Memory.

    def _map(self, message: Message) -> bytes:
        asked = codec.DmaMap.unpack(message.body)
        if len(message.fds) > 1:
            raise Refused(errno.EINVAL, f"{len(message.fds)} descriptors for one mapping")
        if self._memory.count >= codec.MAX_MAPPINGS:
            raise Refused(errno.ENOSPC, f"{codec.MAX_MAPPINGS} mappings are in use")
        writable = bool(asked.flags & codec.MAP_WRITE)
        view, far = None, None
        if not asked.flags & codec.MAP_READ:
            far = Far(WriteOnly(self._far), asked.address)
        elif message.fds:
            file = self._files.take(message.fds[0], offset=asked.offset, length=asked.length, writable=writable)
            if file is None:
                far = Far(self._far, asked.address)
            elif isinstance(file, CalledFile):
                far = Far(file, asked.offset)
            else:
                view = file.view(asked.offset, asked.length)
        else:
            far = Far(self._far, asked.address)
        self._memory.map(asked.address, asked.length, view, writable, far)
        if view is not None:
            view.release()
        self._log.debug("map %#x+%#x flags %d%s", asked.address, asked.length, asked.flags, " (far)" if far else "")
        return b""

    def _unmap(self, message: Message) -> bytes:
        asked = codec.DmaUnmap.unpack(message.body)
        if self._memory.count >= codec.MAX_MAPPINGS and self._memory.splits(asked.address, asked.length):
            raise Refused(errno.ENOSPC, f"{codec.MAX_MAPPINGS} mappings are in use, and this makes two of one")
        self._memory.unmap(asked.address, asked.length)
        self._files.release_unused()
        self._log.debug("unmap %#x+%#x", asked.address, asked.length)
        return bytes(message.body)

    # Interrupts.

    def _irq_info(self, message: Message) -> bytes:
        index = codec.read_info(message.body).first
        if index not in self._irqs:
            raise Refused(errno.EINVAL, f"interrupt index {index}")
        irq = Irq(index)
        flags = _IRQ_FLAGS.get(irq, codec.IRQ_EVENTFD_FLAG)
        return codec.INFO.pack(codec.INFO.size, flags, index, self._irqs[irq])

    def _set_irqs(self, message: Message) -> bytes:
        asked = codec.SetIrqs.unpack(message.body)
        if asked.start + asked.count > self._irqs[Irq(asked.index)]:
            raise Refused(errno.EINVAL, f"interrupts {asked.start}+{asked.count} of index {asked.index}")
        if message.fds and not asked.flags & IrqFlag.EVENTFD:
            raise Refused(errno.EINVAL, "descriptors that nobody asked for")
        if asked.flags.action is IrqFlag.TRIGGER:
            self._trigger(asked, message.fds)
        elif asked.index != Irq.INTX or asked.flags & IrqFlag.EVENTFD:
            raise Refused(errno.EINVAL, "INTx alone can be masked, and not by an eventfd")
        elif asked.flags & IrqFlag.NONE or asked.switches[0]:
            (self._line.mask if asked.flags & IrqFlag.MASK else self._line.unmask)()
        return b""

    def _trigger(self, asked: codec.SetIrqs, fds: list[int]) -> None:
        """Listen, listen no more, or have an interrupt raised for a test."""
        if asked.flags & IrqFlag.EVENTFD:
            if len(fds) > asked.count:
                raise Refused(errno.EINVAL, f"{len(fds)} descriptors for {asked.count} interrupts")
            self._listen(asked.index, fds)
        elif asked.count == 0:
            self._listen(asked.index, [])
        elif asked.flags & IrqFlag.NONE or asked.switches[0]:
            self._signal(asked.index)

    def _listen(self, index: int, fds: list[int]) -> None:
        """Take the descriptor that is there, or none: then nobody listens any more."""
        if fds and not is_eventfd(fds[0]):
            raise Refused(errno.EINVAL, "the descriptor is no eventfd")
        old = self._listeners.pop(index, None)
        if fds:
            self._listeners[index] = fds.pop(0)
        if index == Irq.INTX:
            self._on_listener(self._listeners.get(index, -1))
        if old is not None:
            os.close(old)

    def _signal(self, index: int) -> bool:
        fd = self._listeners.get(index)
        if fd is None:
            return False
        return self._signaller.signal(fd)


def _nobody_listens() -> bool:
    return False


def _name(command: int) -> str:
    return Command(command).name if command in set(Command) else f"request {command}"
