# SPDX-License-Identifier: Apache-2.0
"""What tests of a served device do again and again."""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from plx9x5x.transport import libvfio
from plx9x5x.transport.wire import codec, foreign, lobby
from plx9x5x.transport.wire import server as wire_server
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import Refused
from plx9x5x.units import KIB
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, COPIES, DESTINATION, LENGTH, LINE, MEMORY, SOURCE, START

PAGE = 4 * KIB


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for something that the server does after its reply."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


def copy(client: VfioUserClient, source: int, destination: int, length: int, *, start: int = 1) -> None:
    """Program the device's copy engine, and start it."""
    client.write(CONTROL, SOURCE, source, 8)
    client.write(CONTROL, DESTINATION, destination, 8)
    client.write(CONTROL, LENGTH, length, 4)
    client.write(CONTROL, START, start, 1)


def copied(client: VfioUserClient, source: int, destination: int, length: int) -> None:
    """Have the device copy, and wait until it has."""
    before = client.read(CONTROL, COPIES)
    copy(client, source, destination, length)
    until(lambda: client.read(CONTROL, COPIES) == before + 1)


def hurry(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.1) -> None:
    """Have no server be patient with a client that stalls."""
    monkeypatch.setattr(libvfio, "CLIENT_TIMEOUT_S", seconds)
    monkeypatch.setattr(lobby, "SILENCE_S", seconds)
    monkeypatch.setattr(wire_server, "STALL_S", seconds)


def be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a wait that ought to end by itself last longer than any test."""
    monkeypatch.setattr(wire_server, "STALL_S", 100)


def serves_right(served: Served) -> None:
    """A whole client session on a server that has been through something."""
    with served.client() as client, closing(SharedRam(64 * KIB)) as ram:
        client.map(0, 64 * KIB, ram.fd)
        ram.bytes[:4] = b"data"
        with closing(client.listen_intx()) as intx:
            copy(client, 0, 32 * KIB, 4)
            until(lambda: client.read(CONTROL, COPIES) == 1)
            client.write(CONTROL, LINE, 1)
            assert intx.take() == 1
        assert ram.bytes[32 * KIB : 32 * KIB + 4] == b"data"


def still_serves(client: VfioUserClient) -> None:
    """The connection is in step."""
    client.write(MEMORY, 0, 0xCAFE)
    assert client.read(MEMORY, 0) == 0xCAFE


def refused(client: VfioUserClient, command: int, body: bytes = b"", fds: Sequence[int] = ()) -> bool:
    """True if the server answers a request by an error."""
    try:
        client.call(command, body, fds)
    except Refused:
        return True
    return False


def send_with(connection: socket.socket, data: bytes, fds: Sequence[int]) -> None:
    """Send bytes, descriptors beside the first."""
    sent = socket.send_fds(connection, [data], list(fds)) if fds else 0
    connection.sendall(data[sent:])


def hangs_up(connection: socket.socket) -> bool:
    """True if the other side closes; whatever it says before is passed over."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def read_message(region: int, offset: int, count: int, *, number: int = 1, flags: int = 0) -> bytes:
    """REGION_READ as bytes."""
    body = codec.REGION_ACCESS.pack(offset, region, count)
    return codec.request(number, codec.Command.REGION_READ, body, flags=flags)


def write_message(region: int, offset: int, data: bytes, *, number: int = 1, flags: int = 0) -> bytes:
    """REGION_WRITE as bytes."""
    body = codec.REGION_ACCESS.pack(offset, region, len(data)) + data
    return codec.request(number, codec.Command.REGION_WRITE, body, flags=flags)


def map_message(iova: int, length: int, *, offset: int = 0, prot: int = 3, number: int = 1, flags: int = 0) -> bytes:
    """DMA_MAP as bytes."""
    body = codec.DmaMap(prot, offset, iova, length).pack()
    return codec.request(number, codec.Command.DMA_MAP, body, flags=flags)


def open_descriptors() -> int:
    """How many this process has."""
    foreign.settle()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def host_mappings(fd: int) -> int:
    """How often a file is mapped into this process."""
    about = os.fstat(fd)
    place = f" {os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x} {about.st_ino} "
    return Path("/proc/self/maps").read_text(encoding="utf-8").count(place)
