# SPDX-License-Identifier: Apache-2.0
"""Memory without a file is asked for by DMA_READ and DMA_WRITE, and the client may answer as it likes, or not."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from plx9x5x.errors import MasterAbort
from plx9x5x.ports import ResetKind
from plx9x5x.transport.guest_memory import FarFault, Unreachable
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire import server as wire_server
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import Capabilities, Command, DmaUnmap, Header
from plx9x5x.units import KIB
from tests.transport.conformance.rules import Group, Limit, Missing, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, COPIES, START
from tests.transport.support import PAGE, be_patient, copied, copy, read_message, serves_right, still_serves, until

NONE_BY_MESSAGE = Missing(
    "no memory is asked for by messages: libvfio-user loses the socket's framing over it with QEMU"
)
SIZE = 512 * KIB


class Ram:
    """Memory that the client keeps to itself, from bus address 0 on; `asked` are the requests for it."""

    def __init__(self) -> None:
        self.bytes = bytearray(SIZE)
        self.asked: list[tuple[str, int, int]] = []

    def read(self, address: int, count: int) -> bytes:
        self.asked.append(("read", address, count))
        return bytes(self.bytes[address : address + count])

    def write(self, address: int, data: bytes) -> None:
        self.asked.append(("write", address, len(data)))
        self.bytes[address : address + len(data)] = data


@pytest.fixture(params=["one socket", "two sockets"])
def far(request: pytest.FixtureRequest, served: Served) -> Iterator[tuple[VfioUserClient, Ram]]:
    """A client whose memory has no file."""
    ram = Ram()
    offered = Capabilities(max_msg_fds=8, twin_socket=request.param == "two sockets")
    with VfioUserClient(served.path, capabilities=offered, memory=ram) as client:
        client.map(0, SIZE, None)
        yield client, ram


def raw(served: Served, **offered: int) -> VfioUserClient:
    """A client that answers requests for its memory by hand; all of its memory is mapped without a file."""
    client = VfioUserClient(served.path, capabilities=Capabilities(max_msg_fds=8, **offered))
    client.map(0, SIZE, None)
    return client


def asked(client: VfioUserClient) -> tuple[Header, bytes]:
    """The next request for memory."""
    number, command, flags, error, body = client.receive()
    assert command in (Command.DMA_READ, Command.DMA_WRITE)
    return Header(number, command, 0, flags, error), body


def answer(client: VfioUserClient, to: Header, body: bytes) -> None:
    client.socket.sendall(codec.answer(to, body))


def patient(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.1) -> None:
    monkeypatch.setattr(wire_server, "STALL_S", seconds)


@rule(
    Group.MESSAGES,
    libvfio=Limit(
        "DMA to memory without a file (memory-backend-ram, another device's BAR) aborts, and serve says which address it was",
        match="not asked for",
    ),
)
def test_memory_without_a_file_is_reached_by_messages(served: Served) -> None:
    ram = Ram()
    ram.bytes[:PAGE] = data = bytes(n % 251 for n in range(PAGE))
    with VfioUserClient(served.path, memory=ram) as client:
        client.map(0, SIZE, None)
        copy(client, 1, 2 * PAGE + 3, PAGE - 1)
        until(lambda: client.read(CONTROL, COPIES) == 1 or served.device.aborts != [])
        assert not served.device.aborts, "it is not asked for"
        assert ram.bytes[2 * PAGE : 3 * PAGE + 8] == b"\0\0\0" + data[1:] + bytes(6)
        assert ram.asked == [("read", 1, PAGE - 1), ("write", 2 * PAGE + 3, PAGE - 1)]


@rule(Group.MESSAGES)
@pytest.mark.parametrize("prot", [0, 2, 3])
def test_memory_that_cannot_be_reached_aborts_and_says_why(
    served: Served, client: VfioUserClient, prot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_server, "STALL_S", 0.1)  # without a file it is asked for by messages, and answers none
    if prot == 3:
        client.map(0, PAGE, None)
    else:
        ram = SharedRam(PAGE)
        client.map(0, PAGE, ram.fd, prot=prot)
    copy(client, 0, 8, 8)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], Unreachable)


@rule(Group.MESSAGES)
def test_memory_that_may_be_written_alone_says_so_when_it_is_read(served: Served, client: VfioUserClient) -> None:
    ram, own = SharedRam(PAGE), SharedRam(PAGE)
    client.map(0, PAGE, own.fd)
    client.map(PAGE, PAGE, ram.fd, prot=2)
    copy(client, PAGE, 0, 8)
    until(lambda: len(served.device.aborts) == 1)
    assert isinstance(served.device.aborts[0], FarFault)
    assert served.device.aborts[0].reason == "the client has mapped it for writing alone"


@rule(
    Group.MESSAGES,
    libvfio=Limit("DMA to memory that a client maps for writing alone aborts", match="was not written"),
)
def test_memory_that_may_be_written_alone_is_written_by_message(served: Served) -> None:
    ram, own = Ram(), SharedRam(PAGE)
    own.bytes[:8] = b"by bytes"
    with VfioUserClient(served.path, memory=ram) as client:
        client.map(0, PAGE, own.fd)
        client.map(PAGE, PAGE, None, prot=2)
        copy(client, 0, PAGE + 4, 8)
        until(lambda: client.read(CONTROL, COPIES) == 1 or served.device.aborts != [])
        assert not served.device.aborts, "it was not written"
        assert ram.asked == [("write", PAGE + 4, 8)]
        assert ram.bytes[PAGE + 4 : PAGE + 12] == b"by bytes"


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_the_guest_reads_registers_while_its_memory_is_asked_for(
    served: Served, far: tuple[VfioUserClient, Ram]
) -> None:
    """On the socket of the registers, or on the second one beside it."""
    client, ram = far
    ram.bytes[: 128 * KIB] = data = bytes(n % 253 for n in range(128 * KIB))
    copy(client, 0, 256 * KIB, 128 * KIB)
    done = threading.Event()
    beside = None
    if client.twin is not None:
        beside = threading.Thread(target=client.serve_dma, args=(done.is_set,))
        beside.start()
    reads = 0
    while client.read(CONTROL, COPIES) == 0:
        reads += 1
        assert not served.device.aborts
    done.set()
    if beside is not None:
        beside.join()
    assert ram.bytes[256 * KIB : 384 * KIB] == data
    assert max(count for _, _, count in ram.asked) <= 64 * KIB
    assert len(ram.asked) == 4


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_no_request_is_larger_than_the_client_takes(served: Served) -> None:
    ram = Ram()
    with VfioUserClient(served.path, memory=ram, capabilities=Capabilities(max_data_xfer_size=PAGE)) as client:
        client.map(0, SIZE, None)
        copied(client, 100, 256 * KIB, 3 * PAGE)
    assert [(kind, count) for kind, _, count in ram.asked] == [("read", PAGE)] * 3 + [("write", PAGE)] * 3


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_one_transfer_goes_through_files_and_messages(served: Served) -> None:
    """The middle page of three has no file."""
    ram = Ram()
    ram.bytes[PAGE : 2 * PAGE] = b"f" * PAGE
    with VfioUserClient(served.path, memory=ram) as client, closing(SharedRam(8 * PAGE)) as near:
        client.map(0, 8 * PAGE, near.fd)
        client.map(16 * PAGE, PAGE, near.fd, offset=PAGE)
        near.bytes[: 3 * PAGE] = b"n" * (3 * PAGE)
        client.unmap(PAGE, PAGE)
        client.map(PAGE, PAGE, None)
        copied(client, PAGE - 8, 4 * PAGE, PAGE + 16)
        assert near.bytes[4 * PAGE : 5 * PAGE + 16] == b"n" * 8 + b"f" * PAGE + b"n" * 8
        copied(client, 4 * PAGE, PAGE - 8, PAGE + 16)
        assert near.bytes[PAGE - 8 : PAGE] == near.bytes[2 * PAGE : 2 * PAGE + 8] == b"n" * 8
        assert ram.bytes[PAGE : 2 * PAGE] == b"f" * PAGE


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_late_reply_is_dropped_and_the_next_request_is_answered_by_its_own(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    with raw(served) as client:
        copy(client, 0, PAGE, 8)
        late, body = asked(client)
        until(lambda: len(served.device.aborts) == 1)
        assert "does not answer" in str(served.device.aborts[0])
        patient(monkeypatch, 5)
        copy_posted(client, 0, PAGE, 8)
        number, body = asked(client)
        answer(client, late, body + b"late....")
        answer(client, Header(number.id, Command.DMA_WRITE, 0, 0, 0), body)
        answer(client, number, body + b"in time.")
        write, body = asked(client)
        assert body[codec.DMA_ACCESS.size :] == b"in time."
        answer(client, write, body[: codec.DMA_ACCESS.size])
        assert client.read(CONTROL, COPIES) == 1


def copy_posted(client: VfioUserClient, source: int, destination: int, length: int) -> None:
    """Start a copy without waiting for an answer: what comes next is the first request."""
    client.write(CONTROL, 0x20, source, 8)
    client.write(CONTROL, 0x28, destination, 8)
    client.write(CONTROL, 0x30, length, 4)
    client.write(CONTROL, START, 1, 1, posted=True)


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_message_that_comes_together_with_a_reply_is_served_at_once(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_patient(monkeypatch)
    with raw(served) as client:
        copy_posted(client, 0, PAGE, 8)
        number, body = asked(client)
        answer(client, number, body + b"12345678")
        number, body = asked(client)
        client.socket.sendall(codec.answer(number, body[:16]) + read_message(CONTROL, COPIES, 4))
        assert client.receive()[1] == Command.REGION_READ


REPLIES: dict[str, Callable[[Header, bytes], bytes]] = {
    "an error": lambda to, body: codec.refusal(to, errno.EFAULT),
    "nothing": lambda to, body: codec.answer(to, body),
    "a byte less": lambda to, body: codec.answer(to, body + b"x" * 7),
    "a byte more": lambda to, body: codec.answer(to, body + b"x" * 9),
    "no body": lambda to, body: codec.answer(to),
    "a MiB": lambda to, body: codec.answer(to, body + bytes(1024 * KIB)),
}


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
@pytest.mark.parametrize("what", REPLIES)
def test_a_reply_that_says_no_or_has_another_size_is_a_bus_abort(served: Served, what: str) -> None:
    with raw(served) as client:
        copy_posted(client, 0, PAGE, 8)
        client.socket.sendall(REPLIES[what](*asked(client)))
        until(lambda: len(served.device.aborts) == 1)
        abort = served.device.aborts[0]
        assert isinstance(abort, FarFault)
        assert (abort.address, abort.moved) == (0, 0)
        assert ("Bad address" if what == "an error" else "bytes of 8") in str(abort)
        still_serves(client)


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_client_that_answers_no_request_is_waited_for_no_longer_than_a_stall(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    with raw(served) as client:
        begin = time.monotonic()
        copy_posted(client, 0, PAGE, 8)
        until(lambda: len(served.device.aborts) == 1)
        assert 0.1 <= time.monotonic() - begin < 1
        asked(client)
        still_serves(client)
    serves_right(served)


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
@pytest.mark.parametrize("cut", [0, 8, 20, 30])
def test_a_client_that_goes_while_its_memory_is_asked_for_is_a_lost_one(served: Served, writes: bool, cut: int) -> None:
    """At once, or after a part of its answer."""
    with raw(served) as client:
        copy_posted(client, 0, PAGE, 8)
        number, body = asked(client)
        reply = codec.answer(number, body + b"12345678")
        if writes:
            client.socket.sendall(reply)
            number, body = asked(client)
            reply = codec.answer(number, body[: codec.DMA_ACCESS.size])
        client.socket.sendall(reply[:cut])
    until(lambda: served.device.resets == [ResetKind.LOST_CLIENT])
    serves_right(served)


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_an_unmap_while_memory_is_asked_for_ends_the_transfer_there(served: Served) -> None:
    with raw(served) as client:
        copy_posted(client, 0, 256 * KIB, 256 * KIB)
        first, body = asked(client)
        assert codec.DMA_ACCESS.unpack(body[:16]) == (0, 64 * KIB)
        client.send(Command.DMA_UNMAP, DmaUnmap(64 * KIB, 64 * KIB).pack(), flags=codec.NO_REPLY)
        answer(client, first, body + bytes(64 * KIB))
        until(lambda: len(served.device.aborts) == 1)
        abort = served.device.aborts[0]
        assert isinstance(abort, MasterAbort)
        assert (abort.address, abort.moved) == (64 * KIB, 64 * KIB)
        still_serves(client)


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_map_while_memory_is_asked_for_serves_the_rest(served: Served) -> None:
    with raw(served) as client, closing(SharedRam(64 * KIB)) as ram:
        ram.bytes[:] = b"m" * (64 * KIB)
        copy_posted(client, 0, 256 * KIB, 128 * KIB)
        first, body = asked(client)
        socket_map = codec.DmaMap(3, 0, 64 * KIB, 64 * KIB).pack()
        client.send(Command.DMA_MAP, socket_map, (ram.fd,), flags=codec.NO_REPLY)
        answer(client, first, body + b"f" * (64 * KIB))
        for expected in (b"f", b"m"):
            write, body = asked(client)
            assert body[16:] == expected * (64 * KIB)
            answer(client, write, body[:16])
        assert client.read(CONTROL, COPIES) == 1


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_reset_while_memory_is_asked_for_is_served(served: Served) -> None:
    with raw(served) as client:
        copy_posted(client, 0, PAGE, 8)
        number, body = asked(client)
        client.reset()
        answer(client, number, body + b"12345678")
        until(lambda: served.device.resets == [ResetKind.POWER_ON])
        while True:  # what the device still writes
            number, command, *_, body = client.receive()
            if command == Command.DMA_WRITE:
                answer(client, Header(number, command, 0, 0, 0), body[:16])
                break
        still_serves(client)


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_second_client_waits_while_memory_is_asked_for(served: Served) -> None:
    with raw(served) as client:
        copy_posted(client, 0, PAGE, 8)
        asked(client)
        second = VfioUserClient(served.path, negotiate=False)
        still_serves(client)
    second.negotiate()
    still_serves(second)
    second.close()


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
def test_a_request_on_the_second_socket_is_passed_over(served: Served) -> None:
    with raw(served, twin_socket=True) as client:
        assert client.twin is not None
        client.twin.sendall(codec.request(1, Command.DEVICE_RESET))
        still_serves(client)
        assert served.device.resets == []


@rule(Group.MESSAGES, libvfio=NONE_BY_MESSAGE)
@pytest.mark.parametrize("how", ["closed", "noise"])
def test_a_second_socket_that_is_broken_costs_that_client_alone(
    served: Served, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(monkeypatch)
    with raw(served, twin_socket=True) as client:
        assert client.twin is not None
        if how == "closed":
            client.twin.close()
        else:
            client.twin.sendall(b"\xff" * 64)
        copy_posted(client, 0, PAGE, 8)
        until(lambda: served.device.aborts != [] or served.device.resets != [])
    serves_right(served)
