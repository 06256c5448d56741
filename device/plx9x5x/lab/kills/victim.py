# SPDX-License-Identifier: Apache-2.0
"""A raw client that does all it can until it is killed: memory, endless DMA, INTA#, messages that nobody waited for.

Run as a program it is where such clients come from, each by a fork, since Python's own start takes longer than their
life. Argument: a connected SOCK_SEQPACKET socket. An order is `SEED WHOLE PATH`, and the answer a client's process id,
which is its own until the next order; that one is `end`, and the answer its exit code, minus the signal's number.
"""

import itertools
import os
import random
import select
import signal
import socket
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.client import EventFd, SharedRam
from plx9x5x.transport.wire.codec import Command, IrqFlag
from plx9x5x.units import KIB, MIB

HUNG_UP: Final = 3
"""Exit code of one that the server left first."""
BROKEN: Final = 4
WHOLE: Final = "whole"
PIECES: Final = "pieces"
_LIFE_S: Final = 30
"""If nobody kills it."""
_LOOSE: Final = 16 * MIB
_FAR: Final = 32 * MIB
_MORE: Final = 64 * MIB
_CONFIG: Final = 7
_PREFIX: Final = 2500
"""Bytes until the endless part is well under way."""
Said = tuple[bytes, tuple[int, ...]]
"""A message, and the descriptors beside it."""


def live(path: Path, seed: int, *, whole: bool = False) -> None:
    """Connect and talk until killed; `whole` has each message come at once or not at all.

    Raises: OSError if the server hangs up.
    """
    draw = random.Random(seed)  # noqa: S311 - the same life each time
    hears, torn, far = draw.random() < 0.6, draw.random() < 0.3, draw.random() < 0.25
    left = draw.randrange(_PREFIX) if draw.random() < 0.4 else sys.maxsize
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(os.fspath(path))
    kept: list[int] = []
    for message, fds in conversation(draw, far=far):
        said = message if whole else message[:left]
        for piece, beside in _pieces(draw, said, fds, torn=torn and not whole):
            _send(connection, piece, beside)
        left -= len(message)
        if left <= 0:
            break
        if hears and select.select([connection], [], [], 0.001)[0]:
            came, some, _, _ = socket.recv_fds(connection, 64 * KIB, codec.MAX_FDS)
            kept += some
            if not came:
                raise ConnectionResetError
    # In the middle of a message, or before one: from here on it is silent.
    while True:
        signal.pause()


def conversation(draw: random.Random, *, far: bool) -> Iterator[Said]:
    """What a driver's guest would say, and then all kinds of messages for ever; `far` has DMA go by messages."""
    numbers = itertools.count(1)
    ram, loose, event = SharedRam(MIB), SharedRam(64 * KIB, sealed=False), EventFd()

    def say(command: int, body: bytes = b"", fds: tuple[int, ...] = (), flags: int = 0) -> Said:
        return codec.request(next(numbers) & 0xFFFF, command, body, flags=flags), fds

    def write(region: int, offset: int, value: int, width: int = 4) -> Said:
        flags = codec.NO_REPLY if draw.random() < 0.5 else 0
        body = codec.REGION_ACCESS.pack(offset, region, width) + value.to_bytes(width, "little")
        return say(Command.REGION_WRITE, body, flags=flags)

    def share(address: int, length: int, *fds: int) -> Said:
        return say(Command.DMA_MAP, codec.DmaMap(3, 0, address, length).pack(), fds)

    def listen() -> Said:
        asked = codec.SetIrqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, 0, 0, 1, b"").pack()
        return say(Command.SET_IRQS, asked, (event.fd,))

    wanted = codec.Capabilities(max_msg_fds=codec.MAX_FDS, twin_socket=draw.random() < 0.3, write_multiple=True)
    yield say(Command.VERSION, codec.Version(capabilities=wanted).pack())
    yield share(0, MIB, ram.fd)
    yield share(_LOOSE, 64 * KIB, loose.fd)
    yield share(_FAR, 64 * KIB)
    yield listen()
    yield write(_CONFIG, 4, 6, 2)
    yield from itertools.starmap(write, _ring(ram, _FAR if far else draw.choice((0x8000, _LOOSE))))
    unmask = codec.SetIrqs(IrqFlag.NONE | IrqFlag.UNMASK, 0, 0, 1, b"").pack()
    while True:
        match draw.randrange(6):
            case 0:
                yield write(0, 0x78, draw.getrandbits(32))
            case 1:
                yield say(Command.SET_IRQS, unmask)
            case 2:
                yield listen()
            case 3:
                yield share(_MORE, 64 * KIB, ram.fd)
                yield say(Command.DMA_UNMAP, codec.DmaUnmap(_MORE, 64 * KIB).pack())
            case 4:
                ones = [codec.MULTI_ONE.pack(0x78, 0, 4, bytes(8)) for _ in range(draw.randrange(1, 20))]
                yield say(Command.REGION_WRITE_MULTI, codec.MULTI_HEAD.pack(len(ones)) + b"".join(ones))
            case _:
                yield say(Command.REGION_READ, codec.REGION_ACCESS.pack(0xA8, 0, 4))


def _ring(ram: SharedRam, target: int) -> Sequence[tuple[int, int, int]]:
    """Put a ring of two descriptors into memory; give the (BAR, offset, value) that start it, interrupts and all.

    Source: reference, sections 1 and 4; each descriptor writes to `target` and interrupts.
    """
    pci, to_pci, interrupt = 1, 8, 4
    for at, after in ((0x100, 0x110), (0x110, 0x100)):
        words = (target, 0, 0x1000, after | pci | to_pci | interrupt)
        ram.bytes[at : at + 16] = b"".join(word.to_bytes(4, "little") for word in words)
    return ((0, 0x68, 0x0F04_0100), (0, 0x80, 0x2_0643), (0, 0x90, 0x100 | pci | to_pci), (0, 0xA8, 3))


def _pieces(draw: random.Random, message: bytes, fds: tuple[int, ...], *, torn: bool) -> Iterator[Said]:
    """A message as it is sent: as a whole, or piece by piece, its descriptors with the first."""
    while message:
        size = draw.randrange(1, len(message) + 1) if torn else len(message)
        yield message[:size], fds
        message, fds = message[size:], ()


def _send(connection: socket.socket, data: bytes, fds: tuple[int, ...]) -> None:
    sent = socket.send_fds(connection, [data], fds) if fds else 0
    connection.sendall(data[sent:])


def main() -> None:
    """Make clients as ordered, one at a time."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    while order := orders.recv(4 * KIB).decode():
        seed, whole, path = order.split(" ", 2)
        pid = os.fork()
        if pid == 0:
            _be_one(Path(path), int(seed), whole=whole == WHOLE)
        orders.send(str(pid).encode())
        orders.recv(4 * KIB)
        _, status = os.waitpid(pid, 0)
        orders.send(str(os.waitstatus_to_exitcode(status)).encode())


def _be_one(path: Path, seed: int, *, whole: bool) -> None:
    """The life of a child, from which nothing returns."""
    code = BROKEN
    try:
        signal.alarm(_LIFE_S)
        live(path, seed, whole=whole)
    except OSError as exc:
        code = HUNG_UP
        print(f"seed {seed}: {exc!r}", file=sys.stderr, flush=True)  # noqa: T201 - its log
    except BaseException:  # noqa: BLE001 - told, and then the process is over
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
