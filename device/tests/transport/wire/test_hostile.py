# SPDX-License-Identifier: Apache-2.0
"""What a client could once do to the wire: each of these hung it, made it grow, or mixed up its answers."""

import array
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from plx9x5x.plane.choice import NAMES
from plx9x5x.transport.guest_memory import FarFault
from plx9x5x.transport.wire import codec, lobby, server
from plx9x5x.transport.wire import files as wire_files
from plx9x5x.transport.wire.client import EventFd, Refused, SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import Command, Irq, IrqFlag
from plx9x5x.transport.wire.signaller import Signaller, is_eventfd
from plx9x5x.units import KIB
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, DESTINATION, LENGTH, LINE, MEMORY, SOURCE, START
from tests.transport.support import copy, open_descriptors, serves_right, until

PAGE = 4 * KIB
BUS = 0x10_0000
FULL = (1 << 64) - 2


@pytest.fixture(params=NAMES)
def wire(request: pytest.FixtureRequest, folder: Path) -> Iterator[Served]:
    served = Served(folder / "s", None, native=request.param == "native")
    served.start()
    yield served
    served.close()
    assert served.failure is None


def test_answers_keep_their_order_behind_a_large_one(wire: Served) -> None:
    with wire.client() as client:
        client.write(MEMORY, 0, 0x1111)
        asked = [(MEMORY, 128 * KIB), (CONTROL, 4), (CONTROL, 8)] * 20
        numbers = [client.send(Command.REGION_READ, codec.REGION_ACCESS.pack(0, bar, n)) for bar, n in asked]
        time.sleep(0.05)  # what it has not sent by now does not fit into the socket
        for number, (_, length) in zip(numbers, asked, strict=True):
            answered, _, flags, _, body = client.receive()
            assert (answered, flags, len(body)) == (number, codec.REPLY, codec.REGION_ACCESS.size + length)


def test_a_client_that_repeats_itself_is_not_taken_for_stalled(wire: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL_S", 0.05)
    write = codec.request(
        1, Command.REGION_WRITE, codec.REGION_ACCESS.pack(0xC0, CONTROL, 4) + b"abcd", flags=codec.NO_REPLY
    )
    with wire.client() as client:
        for _ in range(3):
            client.socket.sendall(write * 70)
            time.sleep(0.07)
        assert client.read(CONTROL, 0xC0) == int.from_bytes(b"abcd", "little")


@pytest.fixture
def signaller() -> Iterator[Signaller]:
    made = Signaller()
    yield made
    made.close()
    made.close()


def test_an_edge_reaches_an_eventfd_and_nothing_else(signaller: Signaller) -> None:
    event = EventFd()
    assert is_eventfd(event.fd)
    assert signaller.signal(event.fd)
    assert signaller.signal(event.fd)
    assert event.take() == 2
    with closing(SharedRam(PAGE)) as ram:
        assert not is_eventfd(ram.fd)
        if signaller.context:
            assert not signaller.signal(ram.fd)
            assert ram.bytes[:8] == bytes(8)


@pytest.mark.parametrize("flags", [0, os.EFD_NONBLOCK], ids=["blocking", "not"])
def test_a_full_eventfd_is_signalled_without_waiting(signaller: Signaller, flags: int) -> None:
    fd = os.eventfd(0, flags)
    os.eventfd_write(fd, FULL)
    done = threading.Thread(target=lambda: signaller.signal(fd), daemon=True)
    done.start()
    done.join(5)
    assert not done.is_alive()
    os.close(fd)


def test_without_asynchronous_reads_a_full_one_is_left_alone(signaller: Signaller) -> None:
    signaller.close()
    fd = os.eventfd(0, 0)
    assert signaller.signal(fd)
    assert os.eventfd_read(fd) == 1
    os.eventfd_write(fd, FULL)
    assert signaller.signal(fd)
    os.close(fd)


def test_the_line_goes_by_it_on_both_planes(wire: Served) -> None:
    event = os.eventfd(0, 0)
    os.eventfd_write(event, FULL)
    with wire.client() as client:
        client.set_irqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, fds=(event,))
        for level in (1, 0) * 5:
            client.write(CONTROL, LINE, level)
            client.unmask_intx()
        client.set_irqs(IrqFlag.NONE | IrqFlag.TRIGGER, index=Irq.INTX)
        assert client.read(MEMORY, 0) == 0
    os.close(event)


class Blind:
    """Memory whose owner answers with a number that no errno has."""

    def read(self, address: int, count: int) -> bytes:
        raise OSError(0xFFFF_FFFF, "none")

    def write(self, address: int, data: bytes) -> None:
        raise OSError(0x8000_0000, "none")


def test_any_number_may_be_an_error(wire: Served) -> None:
    with VfioUserClient(wire.path, memory=Blind()) as client:
        client.map(0, PAGE, None)
        copy(client, 0, 8, 8)
        client.serve_dma(lambda: bool(wire.device.aborts))
        (abort,) = wire.device.aborts
        assert isinstance(abort, FarFault)
        assert "error 0xffffffff" in str(abort)
        assert client.read(MEMORY, 0) == 0


def test_a_client_that_answers_nothing_has_to_go(wire: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "STALL_S", 0.02)
    with wire.client() as client:
        client.map(0, PAGE, None)
        requests = b""
        for register, value, width in ((SOURCE, 0, 8), (DESTINATION, 8, 8), (LENGTH, 8, 4), (START, 1, 1)):
            body = codec.REGION_ACCESS.pack(register, CONTROL, width) + value.to_bytes(width, "little")
            requests += codec.request(1, Command.REGION_WRITE, body, flags=codec.NO_REPLY)
        for done in range(3):
            client.socket.sendall(requests)
            until(lambda before=done: len(wire.device.aborts) > before)
        until(lambda: bool(wire.device.resets))
    serves_right(wire)


def test_a_twin_that_nobody_reads_does_not_grow(wire: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from plx9x5x.transport.wire import message_memory

    monkeypatch.setattr(message_memory, "MAX_UNSENT", 64 * KIB)
    monkeypatch.setattr(message_memory, "GIVE_UP", 1 << 30)
    monkeypatch.setattr(server, "STALL_S", 0.01)
    offered = codec.Capabilities(max_msg_fds=8, twin_socket=True)
    with VfioUserClient(wire.path, capabilities=offered) as client:
        assert client.twin is not None
        ram = SharedRam(1024 * KIB)
        client.map(0, 1024 * KIB, ram.fd)
        client.map(1 << 30, 1024 * KIB, None)
        for done in range(12):
            copy(client, 0, 1 << 30, 64 * KIB)
            until(lambda before=done: len(wire.device.aborts) > before)
        assert wire.server._twin is not None
        assert wire.server._twin.unsent < 256 * KIB
        assert "reads none of our requests" in str(wire.device.aborts[-1])


def test_a_file_that_grows_is_not_mapped_for_ever(wire: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(wire_files, "MAX_FILES", 8)
    fd = os.memfd_create("grows", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    with wire.client() as client:
        before = open_descriptors()
        mapped = 0
        with suppress(Refused):
            for mapped in range(20):
                os.ftruncate(fd, (mapped + 1) * PAGE)
                client.map(BUS + mapped * PAGE, PAGE, fd, offset=mapped * PAGE)
        assert mapped == 8
        assert open_descriptors() <= before + 9
        client.unmap_all()
        client.map(BUS, PAGE, fd)
    os.close(fd)


def test_an_unmap_makes_no_more_mappings_than_there_may_be(wire: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_MAPPINGS", 4)
    with wire.client() as client:
        client.map(0, 64 * PAGE, None)
        for n in (10, 20, 30):
            client.unmap(n * PAGE, PAGE)
        with pytest.raises(Refused):
            client.unmap(40 * PAGE, PAGE)
        client.unmap(0, 11 * PAGE)
        assert wire.server.memory.count == 3


def lingering() -> socket.socket:
    """A socket whose last close waits for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = socket.create_connection(listening.getsockname())
        kept = listening.accept()[0]
    here.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            here.send(bytes(65536))
    here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    _KEPT.append(kept)
    return here


_KEPT: list[socket.socket] = []


@pytest.mark.parametrize("when", ["taken", "never read", "too many"])
def test_a_socket_that_lingers_holds_nobody(wire: Served, when: str) -> None:
    trap = lingering()
    client = wire.client() if when != "never read" else VfioUserClient(wire.path, negotiate=False)
    count = 40 if when == "too many" else 1
    socket.send_fds(client.socket, [codec.request(1, Command.GET_INFO, bytes(16))], [trap.fileno()] * count)
    trap.close()
    client.close()
    begin = time.monotonic()
    serves_right(wire)
    assert time.monotonic() - begin < 20, "the socket would have been waited for"
    while _KEPT:
        _KEPT.pop().close()


def test_one_who_waits_with_its_own_socket_in_the_queue_is_seen_to_go(
    wire: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lobby, "MOST", 4)
    monkeypatch.setattr(lobby, "SILENCE_S", 0.1)
    with wire.client() as client:
        for _ in range(4):
            waiter = VfioUserClient(wire.path, negotiate=False)
            waiter.send(Command.VERSION, codec.Version().pack())
            rights = array.array("i", [waiter.socket.fileno()])
            waiter.socket.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            waiter.close()
        assert isinstance(wire.server, server.WireServer)
        guests = wire.server._lobby._guests
        until(lambda: not guests)
        assert client.read(MEMORY, 0) == 0
