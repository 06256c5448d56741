# SPDX-License-Identifier: Apache-2.0
"""The wire's server under hostile clients: `WireServer.run` itself, in one thread, with the clients' turns in its waits.

Whenever the server would wait, the next part of the input is played: messages whole, cut or mangled, descriptors of all
kinds, answers to its requests, clients that come and go, time that passes. Its clock is ours.

An input is a list of items: kind, a, length (u16), and that many bytes. Kinds are the cases of `WireTarget._item`.
"""

import dataclasses
import fcntl
import gc
import logging
import mmap
import os
import select
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from plx9x5x.board import load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.ports import BusMaster, IrqLine
from plx9x5x.transport.wire import foreign
from plx9x5x.transport.wire import lobby as lobby_module
from plx9x5x.transport.wire import server as server_module
from plx9x5x.transport.wire.inbox import Message
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.transport.wire.session import Session
from plx9x5x.units import KIB
from tests.fuzz.chip import BOARDS, PORTS
from tests.fuzz.peer import DMA_READ, HEADER, Peer
from tests.fuzz.target import Finding, Meter

ITEM = struct.Struct("<BBH")
MESSAGE, RAW, TURN, ANSWER, RAM, CLIENT, HANGUP, TIME, TRUNCATE, DEAF, REPEAT = range(11)
RAM_BYTES, LOOSE_BYTES = 256 * KIB, 64 * KIB
MOST_TURNS = 400
"""Of the server, for one input, until nobody is left."""
MOST_REPEATED = 64 * KIB
"""Bytes."""
PATIENCE = 3
"""Turns without an answer until nothing more is expected, or nobody who still has to be let in."""
MOST_BUSY = 3
"""Turns that a transfer without end is given."""
PLAIN_VERSION = struct.pack("<HH", 0, 0) + b'{"capabilities":{"max_msg_fds":8}}\0'
WORLDS = tuple(f"{board}/{plane}" for plane in ("native", "python") for board in (*BOARDS, "rdk-9656-lite+port"))


class FakeTime:
    """Passes when it is told to."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000

    def monotonic(self) -> float:
        return self.ns / 1e9

    def monotonic_ns(self) -> int:
        return self.ns

    perf_counter_ns = staticmethod(time.perf_counter_ns)
    """How long a batch takes is the host's affair."""


class _Chip(Chip):
    """Gives the clients their turn when it has work without end."""

    target: "WireTarget"

    def step(self, budget: int) -> bool:
        meter = self.target.meter
        meter.stop("messages")
        more = super().step(budget)
        meter.stop("a step of DMA")
        if more:
            self.target.still_busy()
        return more


class _Session(Session):
    """Each message is a step."""

    def handle(self, message: Message) -> None:
        meter = self._device.target.meter  # type: ignore[attr-defined]
        meter.stop("a message before this one, or several in C")
        super().handle(message)
        meter.stop(f"command {message.header.command}")


class _Server(WireServer):
    """Waits for nothing: its polls are the clients' turns."""

    def _wait(self, device_ns: int | None, *, minded: bool) -> int | None:
        super()._wait(device_ns, minded=minded)
        return 1


class _Wait:
    """A wait of the server's: the clients have their turn, and then what there is, is there."""

    def __init__(self, target: "WireTarget", poll: select.poll) -> None:
        self._target, self._poll = target, poll

    def poll(self, _wait: int | None) -> list[tuple[int, int]]:
        self._target.turn()
        return self._poll.poll(0)


class WireTarget:
    """One server on a socket without a name, and its clients."""

    def __init__(self, world: str) -> None:
        name, plane = world.split("/")
        name, _, extra = name.partition("+")
        board = load_board(name)
        if extra:
            board = dataclasses.replace(board, windows=PORTS)
        self.meter = Meter()
        self.time = FakeTime()
        self._clock = VirtualClock()
        self._items: Iterator[tuple[int, int, bytes]] = iter(())
        self._peers: list[Peer | None] = [None] * 4
        self._at = 0
        self._turns = self._busy = self._number = self._quiet = self._answered = self._alone = 0
        self._answers = 0, b""
        self._last = 4, 0, b""
        self._ended = True
        self._base: int | None = None
        """Open descriptors while nobody is there."""
        self._stock = _Stock()
        self._patched: list[tuple[Any, str, Any]] = []
        for module, attribute, value in (
            (server_module, "time", self.time), (lobby_module, "time", self.time), (server_module, "_poll", self._polls),
        ):  # fmt: skip
            self._patched.append((module, attribute, getattr(module, attribute)))
            setattr(module, attribute, value)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind("")
        self._listening.listen(16)
        log = logging.getLogger("tests.fuzz")
        log.setLevel(logging.CRITICAL)

        def make(bus: BusMaster, irq: IrqLine) -> Chip:
            chip = _Chip(board, bus=bus, irq=irq, clock=self._clock)
            chip.target = self
            return chip

        self._server = _Server(None, make, given=self._listening, plane=plane, logger=log)
        if self._server._native is not None:
            self._server._native.serve = self._serve_natively(self._server._native.serve)
        self.play(b"")
        gc.collect()
        self.settle()

    def play(self, data: bytes) -> None:
        self._items = items(data)
        self._turns = self._busy = self._at = self._number = self._quiet = self._answered = self._alone = 0
        self._answers = 0, b""
        self._last = 4, 0, bytes(16)
        self._ended = False
        self._stock.renew()
        self._server._stopping = False
        try:
            self.meter.start()
            self._server.run()
        finally:
            self._drop()
        if self._server._memory.count or self._server._memory.ranges:
            raise Finding(f"mappings of a client that is gone: {self._server._memory.ranges}")
        if self._base is not None and (now := _fds()) != self._base:
            raise Finding(f"{now} descriptors are open where {self._base} were")

    def settle(self) -> None:
        """As many descriptors as now are open while nobody is there."""
        self._base = _fds()

    def close(self) -> None:
        self._server.close()
        self._listening.close()
        self._stock.close()
        for module, attribute, value in self._patched:
            setattr(module, attribute, value)

    # Whose turn it is.

    def turn(self) -> None:
        """The clients': the server waits."""
        self.meter.stop("messages")
        self._turns += 1
        for peer in self._peers:
            if peer is not None:
                peer.hear()
                if peer.asked:
                    self._serve(peer)
        if self._turns > MOST_TURNS:
            raise Finding("the server does not come to rest")
        if self._ended:
            self._rest()
        else:
            self._play_on()
        for peer in self._peers:
            if peer is not None and not peer.held():
                peer.flush()
        self.meter.start()

    def still_busy(self) -> None:
        """The device has work, and may have for ever."""
        self._busy += 1
        if self._busy > MOST_BUSY:
            self._ended = True
        self.time.ns += server_module.LOOK_NS + 1
        self.turn()

    def _serve_natively(self, serve: Any) -> Any:
        def served(_wait_ns: int | None) -> Any:
            why = serve(0)
            if why not in (serving.Served.DEVICE_HAD_A_SAY, serving.Served.TAKING_FAILED):
                self.turn()
            return why

        from plx9x5x.plane import serving

        return served

    def _polls(self, *fds: int) -> Any:
        """What the server waits by."""
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        return _Wait(self, poll)

    def _play_on(self) -> None:
        count = 0
        for kind, a, payload in self._items:
            if self._item(kind, a, payload) or (count := count + 1) > 64:
                if not count:
                    self.time.ns += 500_000_000
                return
        self._ended = True

    def _rest(self) -> None:
        """Nothing is left to play: once no answers come any more everybody hangs up, and the server finds out."""
        answered = sum(peer.answered for peer in self._peers if peer is not None)
        self._quiet = self._quiet + 1 if answered == self._answered else 0
        self._answered = answered
        self.time.ns += 100_000_000
        if self._quiet < PATIENCE:
            return
        self._drop()
        server = self._server
        self._alone = 0 if server._session is not None or server._lobby._guests else self._alone + 1
        if self._alone > PATIENCE:  # whoever knocked last was let in, and left
            server.stop()

    def _drop(self) -> None:
        for at, peer in enumerate(self._peers):
            if peer is not None:
                self.meter.count += peer.answered
                peer.close()
                self._peers[at] = None

    # What an input says.

    def _item(self, kind: int, a: int, payload: bytes) -> bool:
        """Play one; True if the server is to have its turn."""
        match kind:
            case 0:
                self._message(a, payload)
                return bool(a & 0xF0)
            case 1:
                self._peer().send(payload, self._stock.fds(a))
            case 3:
                self._answers = a, payload
            case 4:
                at = a * 1024 % RAM_BYTES
                kept = payload[: RAM_BYTES - at]
                self._stock.ram[at : at + len(kept)] = kept
            case 5:
                before, self._at = self._at, a & 3
                if self._peers[self._at] is None:
                    self._connect(payload if a & 0x10 else PLAIN_VERSION, say=not a & 0x20)
                if not a & 0x40:
                    self._at = before
            case 6:
                self._hang_up(half=bool(a & 1))
            case 7:
                self.time.ns += a * 50_000_000
                self._clock.advance(a * 1000)
                return True
            case 8:
                os.ftruncate(self._stock.loose, a * 1024 % (2 * LOOSE_BYTES))
            case 9:
                self._peer().deaf = bool(a & 1)
            case 10:
                self._repeat(a & 0x3F)
            case _:
                return True
        return False

    def _repeat(self, times: int) -> None:
        """Send the last message that often again, in one go: a pipeline."""
        command, flags, body = self._last
        whole = bytearray()
        for _ in range(min(times, MOST_REPEATED // (len(body) + 16))):
            self._number = self._number + 1 & 0xFFFF
            whole += HEADER.pack(self._number, command, 16 + len(body), flags, 0) + body
        self._peer().send(whole)

    def _message(self, a: int, payload: bytes) -> None:
        if len(payload) < 6:
            return
        command, flags = struct.unpack_from("<HI", payload)
        self._number = self._number + 1 & 0xFFFF
        self._last = command, flags, payload[6:]
        data = HEADER.pack(self._number, command, 16 + len(payload) - 6, flags, 0) + payload[6:]
        peer, cut = self._peer(), a >> 4
        if cut:
            at = max(1, len(data) * cut // 16)
            peer.send(data[:at], self._stock.fds(a & 0xF))
            peer.flush()
            peer.send(data[at:])  # goes once the server has seen the first piece
            peer.hold()
        else:
            peer.send(data, self._stock.fds(a & 0xF))

    def _peer(self) -> Peer:
        while (peer := self._peers[self._at]) is not None and peer.closed:
            self._hang_up(half=False)
        return peer or self._connect(PLAIN_VERSION, say=True)

    def _connect(self, version: bytes, *, say: bool) -> Peer:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        peer = self._peers[self._at] = Peer(connection)
        try:
            connection.connect(self._listening.getsockname())
        except BlockingIOError:
            peer.closed = True
        if say:
            peer.send(HEADER.pack(0, 1, 16 + len(version), 0, 0) + version)
        return peer

    def _hang_up(self, *, half: bool) -> None:
        peer = self._peers[self._at]
        if peer is None:
            return
        if half:
            peer.flush()
            if not peer.closed:
                peer.socket.shutdown(socket.SHUT_WR)
        else:
            self.meter.count += peer.answered
            peer.close()
            self._peers[self._at] = None
            self._at = next((at for at, other in enumerate(self._peers) if other is not None), self._at)

    def _serve(self, peer: Peer) -> None:
        """Answer a request of the server's, as `ANSWER` says."""
        how, said = self._answers
        while peer.asked:
            number, command, body = peer.asked.popleft()
            count = int.from_bytes(body[8:16], "little")
            data = body[:16] + (
                (said * (count // max(1, len(said)) + 1))[:count] if command == DMA_READ and said else bytes(count)
            )
            if command != DMA_READ:
                data = body[:16]
            match how & 0xF:
                case 1:
                    continue
                case 2:
                    peer.answer(HEADER.pack(number, command, 16, 0x21, how >> 4))
                    continue
                case 3:
                    data = data[: len(data) * (how >> 4) // 16]
                case 4:
                    data += bytes(how)
                case 5:
                    number ^= 1
                case 6:
                    command ^= 1
                case 7:
                    peer.answer(HEADER.pack(number, command, 16 + len(data), 1, 0) + data)
                case 8:
                    self._hang_up(half=False)
                    return
                case 9:
                    peer.answer(said)
                    continue
            peer.answer(HEADER.pack(number, command, 16 + len(data), 1, 0) + data)


class _Stock:
    """What descriptors a client can hand over."""

    def __init__(self) -> None:
        sealing = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
        self.sealed, self.loose = os.memfd_create("sealed", sealing), os.memfd_create("loose", sealing)
        os.ftruncate(self.sealed, RAM_BYTES)
        fcntl.fcntl(self.sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.ram = mmap.mmap(self.sealed, RAM_BYTES)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._file.truncate(LOOSE_BYTES)
        self._event, self._full = os.eventfd(0, os.EFD_CLOEXEC), os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        os.eventfd_write(self._full, (1 << 64) - 2)
        self._pipe = os.pipe()
        read_only = os.open(f"/proc/self/fd/{self.sealed}", os.O_RDONLY | os.O_CLOEXEC)
        write_only = os.open(f"/proc/self/fd/{self.sealed}", os.O_WRONLY | os.O_CLOEXEC)
        folder, path = os.open("/", os.O_RDONLY | os.O_CLOEXEC), os.open("/proc/self/exe", os.O_PATH | os.O_CLOEXEC)
        null, proc = (
            os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC),
            os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC),
        )
        self._others = [read_only, write_only, folder, path, null, proc]
        one = [self.sealed]
        self._kinds: tuple[list[int], ...] = (
            [], one, one, [self.loose], [self._file.fileno()], [self._event], [self._full], [read_only], [self._pipe[1]],
            [self.sealed, self._event], one * 16, one * 17, [write_only], [folder], [null], [path, proc, self._pipe[0]],
        )  # fmt: skip

    def fds(self, a: int) -> list[int]:
        return self._kinds[a & 0xF]

    def renew(self) -> None:
        self.ram[:] = bytes(RAM_BYTES)
        os.ftruncate(self.loose, LOOSE_BYTES)

    def close(self) -> None:
        self.ram.close()
        self._file.close()
        for fd in (self.sealed, self.loose, self._event, self._full, *self._pipe, *self._others):
            os.close(fd)


def items(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Cut an input into items: (kind, a, bytes)."""
    at = 0
    while at + ITEM.size <= len(data):
        kind, a, length = ITEM.unpack_from(data, at)
        at += ITEM.size
        yield kind & 15, a, data[at : at + length]
        at += length


def item(kind: int, a: int = 0, payload: bytes = b"") -> bytes:
    """Make one."""
    return ITEM.pack(kind, a, len(payload)) + payload


def _fds() -> int:
    foreign.settle()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - after each input, so quick
