# SPDX-License-Identifier: Apache-2.0
"""Descriptors that come along: which are taken, which are refused, and that none outlives its client."""

import gc
import itertools
import os
import resource
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

import pytest

from plx9x5x.ports import ResetKind
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.client import EventFd, SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, MAX_FDS, Command, DmaMap, IrqFlag
from tests.transport.conformance.rules import Group, Limit, Missing, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONFIG
from tests.transport.support import (
    PAGE,
    copied,
    copy,
    hangs_up,
    map_message,
    open_descriptors,
    refused,
    serves_right,
    still_serves,
    until,
)

BUS = 0x10_0000
MOST_FDS = 253
"""In one message, says the kernel."""
LEAKED = Limit(
    "descriptors stay open until `serve` closes them, once that client has left; QEMU sends none of these",
    error=(AssertionError, ConnectionError),
)


def back_to(base: int) -> None:
    """Every descriptor of a client is closed once it has left."""
    until(lambda: open_descriptors() == base, seconds=0.5)


@pytest.fixture
def base(served: Served) -> int:
    """How many descriptors there are with no client."""
    serves_right(served)
    until(lambda: served.device.resets == [ResetKind.LOST_CLIENT])
    gc.collect()
    # The device hears that the client is lost before its descriptors are closed.
    before, now = 0, open_descriptors()
    while now != before:
        time.sleep(0.02)
        before, now = now, open_descriptors()
    return now


@rule(Group.DESCRIPTORS)
def test_no_descriptor_and_no_mapping_leaks(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path
) -> None:
    with serve(folder / "warm") as served:
        serves_right(served)
    before = open_descriptors()
    with serve(folder / "s") as served:
        open_while_serving = open_descriptors()
        for _ in range(20):
            with served.client() as client:
                client.read(CONFIG, 0)
        until(lambda: len(served.device.resets) == 20)
        assert open_descriptors() == open_while_serving
    assert open_descriptors() == before


@rule(Group.DESCRIPTORS)
def test_no_descriptor_of_a_map_outlives_its_client(served: Served, base: int) -> None:
    for _ in range(3):
        with served.client() as client:
            for n in range(8):
                with closing(SharedRam(PAGE)) as ram:
                    client.map(n * PAGE, PAGE, ram.fd)
            client.listen_intx().close()
        back_to(base)


@rule(Group.DESCRIPTORS, libvfio=LEAKED)
def test_the_same_map_two_hundred_times_leaves_no_descriptor(served: Served, base: int) -> None:
    with served.client() as client, closing(SharedRam(PAGE)) as ram:
        serving = open_descriptors()
        for _ in range(200):
            client.map(BUS, PAGE, ram.fd)
        assert open_descriptors() <= serving + 1
        assert served.server.memory.ranges == ((BUS, PAGE),)
    back_to(base)


@pytest.fixture
def many() -> Iterator[list[int]]:
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(MOST_FDS)]
    yield fds
    for fd in fds:
        os.close(fd)


@rule(Group.DESCRIPTORS, libvfio=LEAKED)
def test_half_a_header_with_253_descriptors_leaves_none(served: Served, many: list[int]) -> None:
    half_a_header(served, many, negotiate=True)


@rule(Group.DESCRIPTORS)
def test_253_descriptors_before_any_version_leave_none(served: Served, many: list[int]) -> None:
    half_a_header(served, many, negotiate=False)


def half_a_header(served: Served, many: list[int], *, negotiate: bool) -> None:
    base = open_descriptors()
    with VfioUserClient(served.path, negotiate=negotiate) as client:
        socket.send_fds(client.socket, [b"\0" * 15], many)
        client.socket.shutdown(socket.SHUT_WR)
        client.socket.settimeout(2)
        assert hangs_up(client.socket)
    back_to(base)


@rule(Group.DESCRIPTORS)
def test_descriptors_beside_a_message_that_takes_none_leave_none(served: Served, many: list[int]) -> None:
    base = open_descriptors()
    for command in range(16):
        with served.client() as client, suppress(ConnectionError):
            for count in (1, 2, 8, MOST_FDS):
                socket.send_fds(client.socket, [codec.request(1, command, bytes(32))], many[:count])
            client.socket.shutdown(socket.SHUT_WR)
            client.socket.settimeout(2)
            assert hangs_up(client.socket)
    back_to(base)


@rule(
    Group.DESCRIPTORS,
    libvfio=Limit("of too many the first few are taken; the rest is passed over", match="taken"),
)
@pytest.mark.parametrize("count", [2, MAX_FDS, MAX_FDS + 1, MOST_FDS])
def test_more_descriptors_than_a_message_may_have_are_refused(
    client: VfioUserClient, many: list[int], count: int
) -> None:
    with closing(SharedRam(PAGE)) as ram:
        assert refused(client, Command.DMA_MAP, DmaMap(3, 0, BUS, PAGE).pack(), [ram.fd, *many[: count - 1]]), "taken"
    event = EventFd()
    body = codec.SetIrqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, 0, 0, 1).pack()
    assert refused(client, Command.SET_IRQS, body, [event.fd, *many[: count - 1]]), "taken"
    still_serves(client)
    event.close()


@rule(Group.DESCRIPTORS)
def test_descriptors_that_come_in_two_parts_of_a_message_do_no_harm(served: Served, many: list[int]) -> None:
    with served.client() as client, suppress(ConnectionError):
        data = map_message(BUS, PAGE)
        for begin in range(0, len(data), 8):
            socket.send_fds(client.socket, [data[begin : begin + 8]], many[:MAX_FDS])
        client.socket.shutdown(socket.SHUT_WR)
        client.socket.settimeout(2)
        assert hangs_up(client.socket)
    serves_right(served)


NO_MEMORY: dict[str, Callable[[], int]] = {
    "a pipe": lambda: os.pipe2(os.O_CLOEXEC)[0],
    "a directory": lambda: os.open("/", os.O_RDONLY),
    "a path": lambda: os.open("/proc/self/exe", os.O_PATH),
    "a device": lambda: os.open("/dev/zero", os.O_RDWR),
    "a socket": lambda: socket.socket(socket.AF_UNIX).detach(),
    "an eventfd": lambda: os.eventfd(0, os.EFD_CLOEXEC),
    "a file of /proc": lambda: os.open("/proc/self/maps", os.O_RDONLY),
}


@rule(
    Group.DESCRIPTORS,
    libvfio=Limit("a device that can be mapped, as /dev/zero, is taken for memory", match="taken: .'a device'"),
)
def test_what_is_no_file_of_memory_is_refused(served: Served, client: VfioUserClient) -> None:
    taken = []
    for what, make in NO_MEMORY.items():
        fd = make()
        if not refused(client, Command.DMA_MAP, DmaMap(3, 0, BUS, PAGE).pack(), [fd]):
            taken.append(what)
            client.unmap(BUS, PAGE)
        os.close(fd)
    still_serves(client)
    client.close()
    serves_right(served)
    assert not taken, f"taken: {taken}"


@rule(Group.DESCRIPTORS)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY], ids=["read", "write"])
def test_a_file_without_the_right_that_a_map_asks_for_is_refused(
    served: Served, client: VfioUserClient, flags: int
) -> None:
    with closing(SharedRam(PAGE)) as ram:
        half = os.open(f"/proc/self/fd/{ram.fd}", flags)
        try:
            assert refused(client, Command.DMA_MAP, DmaMap(3, 0, BUS, PAGE).pack(), [half])
            assert served.server.memory.ranges == ()
        finally:
            os.close(half)
    still_serves(client)


@rule(Group.DESCRIPTORS)
def test_a_file_that_may_be_read_alone_is_read_and_takes_no_write(served: Served, client: VfioUserClient) -> None:
    with closing(SharedRam(2 * PAGE)) as ram:
        ram.bytes[:4] = b"data"
        half = os.open(f"/proc/self/fd/{ram.fd}", os.O_RDONLY)
        client.map(BUS, PAGE, half, prot=1)
        client.map(0, PAGE, ram.fd, offset=PAGE)
        copied(client, BUS, 0, 4)
        assert ram.bytes[PAGE : PAGE + 4] == b"data"
        copy(client, 0, BUS, 4)
        until(lambda: len(served.device.aborts) == 1)
        os.close(half)


IN_A_PROCESS = Missing("it costs that client its connection, which is looked at where `serve` is a process of its own")


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.fixture
def few() -> Iterator[Callable[[int], None]]:
    """Leave this process room for so many more descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit(more: int) -> None:
        free = (fd for fd in itertools.count() if not is_open(fd))
        resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, more, None)), hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@rule(
    Group.DESCRIPTORS,
    libvfio=IN_A_PROCESS,
)
def test_a_lack_of_descriptors_costs_a_request_and_not_the_server(
    served: Served, client: VfioUserClient, few: Callable[[int], None]
) -> None:
    ram, more = SharedRam(PAGE), SharedRam(PAGE)
    event = EventFd()
    few(0)
    for _ in range(3):
        assert refused(client, Command.DMA_MAP, DmaMap(3, 0, BUS, PAGE).pack(), [ram.fd])
        assert refused(
            client, Command.SET_IRQS, codec.SetIrqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, 0, 0, 1).pack(), [event.fd]
        )
        still_serves(client)
    few(4)  # two on the way, and one kept for each of two files
    client.map(BUS, PAGE, ram.fd)
    client.map(BUS + PAGE, PAGE, more.fd)
    copied(client, BUS, BUS + PAGE, 8)
    for one in (ram, more, event):
        one.close()


@rule(Group.DESCRIPTORS, libvfio=IN_A_PROCESS)
def test_a_lack_of_descriptors_keeps_the_next_client_waiting_and_no_longer(
    served: Served, few: Callable[[int], None]
) -> None:
    before = open_descriptors()
    serves_right(served)
    back_to(before)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    few(0)
    peer.connect(str(served.path))
    peer.settimeout(0.05)
    peer.sendall(codec.request(1, Command.VERSION, codec.Version().pack()))
    with pytest.raises(TimeoutError):
        peer.recv(1)
    few(8)
    peer.settimeout(5)
    assert peer.recv(HEADER.size)[:4] == struct.pack("<HH", 1, Command.VERSION)
    peer.close()
    serves_right(served)
