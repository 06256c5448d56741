# SPDX-License-Identifier: Apache-2.0
"""The stream under the messages: pieces of every kind, many messages in one, sizes that no message has."""

import fcntl
import itertools
import os
import random
import socket
import termios
import time
from contextlib import closing, suppress

import pytest

from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command
from plx9x5x.units import KIB
from tests.transport.conformance.rules import Group, Limit, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import MEMORY
from tests.transport.support import (
    PAGE,
    be_patient,
    copied,
    hangs_up,
    map_message,
    read_message,
    serves_right,
    write_message,
)

PIECES = Limit(
    "a message that arrives in pieces costs that client its connection; accesses of a guest have 8 bytes and arrive whole",
    error=(AssertionError, ConnectionError, TimeoutError),
)


def send_pieces(client: VfioUserClient, data: bytes, cuts: list[int]) -> None:
    """Send, and have the server read each piece by itself."""
    for begin, end in itertools.pairwise([0, *cuts, len(data)]):
        client.socket.sendall(data[begin:end])
        patience = time.monotonic() + 0.2  # a server that has hung up reads nothing
        while unread(client) and time.monotonic() < patience:
            time.sleep(0.0002)


def unread(client: VfioUserClient) -> int:
    """What the server has not read yet, in bytes of the kernel's."""
    waiting = bytearray(4)
    fcntl.ioctl(client.socket, termios.TIOCOUTQ, waiting)
    return int.from_bytes(waiting, "little")


@rule(Group.STREAM)
@pytest.mark.parametrize("cut", [1, 15])
def test_a_client_that_leaves_in_the_middle_of_a_header_is_forgotten(served: Served, cut: int) -> None:
    with served.client() as client:
        client.socket.sendall(HEADER.pack(1, Command.DEVICE_RESET, 16, 0, 0)[:cut])
    serves_right(served)


@rule(Group.STREAM)
@pytest.mark.parametrize("size", [0, 8, 1 << 24, 0xFFFFFFFF])
def test_an_impossible_size_does_not_hang_the_server(served: Served, size: int) -> None:
    with served.client() as client:
        client.socket.sendall(HEADER.pack(1, Command.REGION_READ, size, 0, 0))
        with suppress(OSError):  # it may have hung up already
            client.socket.sendall(os.urandom(64))
    serves_right(served)


@rule(Group.STREAM)
def test_noise_does_not_end_the_server(served: Served) -> None:
    noise = random.Random(9054)
    for _ in range(20):
        with served.client() as client:
            try:
                for _ in range(20):
                    client.socket.sendall(noise.randbytes(noise.randrange(1, 200)))
            except OSError:  # it hung up on us, rightly
                pass
    serves_right(served)


@rule(Group.STREAM, libvfio=PIECES)
def test_a_message_cut_at_each_byte_is_served(served: Served, client: VfioUserClient) -> None:
    """Of its header, its head and its data."""
    data = write_message(MEMORY, 0, b"12345678")
    for cut in range(1, len(data)):
        send_pieces(client, data, [cut])
        assert client.receive()[:2] == (1, Command.REGION_WRITE)
    send_pieces(client, data, list(range(1, len(data))))
    assert client.receive()[3] == 0
    assert served.device.accesses == [(MEMORY, 0, 8)] * len(data)


def in_a_row(accesses: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    """The one access that these are the pieces of, in order and without a gap."""
    bar, first, length = accesses[0]
    for other, offset, more in accesses[1:]:
        assert (other, offset) == (bar, first + length)
        length += more
    return bar, first, length


LARGE = HEADER.size + 16 + 128 * KIB
CUTS = {
    "in two": [LARGE // 2],
    "behind the head": [HEADER.size + 16],
    "before the last byte": [LARGE - 1],
    "as a page each": list(range(PAGE, LARGE, PAGE)),
    "as 64 KiB each": [64 * KIB, 128 * KIB],
    "in odd pieces": [1, 3, 1000, 5001, 70_000, 70_001, 100_003],
}


@rule(Group.STREAM, libvfio=PIECES)
@pytest.mark.parametrize("how", CUTS)
def test_a_write_of_128_kib_that_comes_in_pieces_is_served(served: Served, client: VfioUserClient, how: str) -> None:
    data = random.Random(1).randbytes(128 * KIB)
    send_pieces(client, write_message(MEMORY, 0, data), CUTS[how])
    assert client.receive()[3] == 0
    assert bytes(served.device.memory[MEMORY]) == data
    assert in_a_row(served.device.accesses) == (MEMORY, 0, 128 * KIB)


@rule(Group.STREAM)
def test_a_message_whose_header_comes_alone_is_served(served: Served, client: VfioUserClient) -> None:
    send_pieces(client, write_message(MEMORY, 0, bytes(128 * KIB)), [HEADER.size])
    assert client.receive()[3] == 0
    assert in_a_row(served.device.accesses) == (MEMORY, 0, 128 * KIB)


@rule(Group.STREAM)
def test_many_messages_in_one_piece_are_answered_in_their_order(
    client: VfioUserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More answers than the socket holds wait until the client reads them."""
    be_patient(monkeypatch)
    data = b"".join(
        write_message(MEMORY, 4 * n, n.to_bytes(4, "little"), number=2 * n)
        + read_message(MEMORY, 4 * n, 4, number=2 * n + 1)
        for n in range(200)
    )
    client.socket.sendall(data)
    for n in range(200):
        assert client.receive()[:2] == (2 * n, Command.REGION_WRITE)
        number, _, _, _, body = client.receive()
        assert (number, body[16:]) == (2 * n + 1, n.to_bytes(4, "little"))


@rule(Group.STREAM, libvfio=PIECES)
def test_many_messages_cut_anywhere_are_answered_in_their_order(client: VfioUserClient) -> None:
    cuts = random.Random(9054)
    data = b"".join(read_message(MEMORY, 4 * n, 4, number=n) for n in range(64))
    send_pieces(client, data, sorted(cuts.sample(range(1, len(data)), 40)))
    assert [client.receive()[0] for _ in range(64)] == list(range(64))


@rule(Group.STREAM, libvfio=PIECES)
@pytest.mark.parametrize("cut", [1, HEADER.size + 8])
def test_a_descriptor_beside_a_piece_belongs_to_the_message_of_that_piece(client: VfioUserClient, cut: int) -> None:
    """With the first or the second piece, and other messages before and behind."""
    with closing(SharedRam(2 * PAGE)) as ram:
        ram.bytes[:4] = b"mine"
        for number, first in enumerate((True, False)):
            before, data = read_message(MEMORY, 0, 4, number=7), map_message(0, 2 * PAGE, number=8)
            behind = map_message(4 * PAGE, PAGE, prot=0, number=9)
            socket.send_fds(client.socket, [before + data[:cut]], [ram.fd] if first else [])
            time.sleep(0.002)
            socket.send_fds(client.socket, [data[cut:]], [] if first else [ram.fd])
            client.socket.sendall(behind)
            assert [client.receive()[0::3] for _ in range(3)] == [(7, 0), (8, 0), (9, 0)]
            copied(client, 0, PAGE + 8 * number, 4)
            assert ram.bytes[PAGE + 8 * number : PAGE + 8 * number + 4] == b"mine"
            client.unmap(0, 2 * PAGE)
            client.unmap(4 * PAGE, PAGE)


@rule(Group.STREAM)
def test_of_maps_in_a_row_each_has_its_own_descriptor(served: Served, client: VfioUserClient) -> None:
    """Every other map comes with none, and none waits for an answer."""
    files = [SharedRam(PAGE) for _ in range(5)]
    for n, ram in enumerate(files):
        ram.bytes[:8] = bytes([n]) * 8
        socket.send_fds(client.socket, [map_message(2 * n * PAGE, PAGE, number=2 * n)], [ram.fd])
        client.socket.sendall(map_message((2 * n + 1) * PAGE, PAGE, prot=0, number=2 * n + 1))
    assert [client.receive()[0::3][:2] for _ in range(10)] == [(n, 0) for n in range(10)]
    for n in range(1, 5):
        copied(client, 2 * n * PAGE, 64, 8)
        assert files[0].bytes[64:72] == bytes([n]) * 8
    for ram in files:
        ram.close()


@rule(Group.STREAM)
@pytest.mark.parametrize("size", [0, 1, 15])
def test_a_size_less_than_a_header_costs_that_client_alone(served: Served, size: int) -> None:
    with served.client() as client:
        client.socket.settimeout(1)
        with suppress(ConnectionError):
            client.socket.sendall(HEADER.pack(1, Command.GET_INFO, size, 0, 0) * 4)
            client.socket.shutdown(socket.SHUT_WR)
            assert hangs_up(client.socket)
    serves_right(served)
