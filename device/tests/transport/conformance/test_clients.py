# SPDX-License-Identifier: Apache-2.0
"""Clients that come while another is served, that say nothing, that stop in the middle, that read no answers."""

import contextlib
import os
import resource
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from pathlib import Path

import pytest

from plx9x5x.ports import ResetKind
from plx9x5x.transport.lookout import SECOND_CLIENT
from plx9x5x.transport.wire import codec, connection, lobby
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command, IrqFlag, Version
from plx9x5x.units import KIB
from tests.transport.conformance.rules import Group, Limit, Missing, rule
from tests.transport.conftest import Served
from tests.transport.fake_device import CONTROL, LINE, MEMORY
from tests.transport.support import (
    PAGE,
    be_patient,
    copy,
    hangs_up,
    hurry,
    map_message,
    open_descriptors,
    read_message,
    send_with,
    serves_right,
    still_serves,
    until,
    write_message,
)


def told(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.messages.count(SECOND_CLIENT)


@rule(Group.CLIENTS)
def test_a_second_client_waits_for_its_turn(served: Served, client: VfioUserClient) -> None:
    second = VfioUserClient(served.path, negotiate=False)
    client.write(MEMORY, 0, 1)
    assert client.read(MEMORY, 0) == 1
    client.close()
    second.negotiate()
    assert second.read(MEMORY, 0) == 0
    second.close()


@rule(Group.CLIENTS)
def test_a_second_client_is_told_of_once_and_keeps_nothing_from_resting(
    served: Served, client: VfioUserClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.read(MEMORY, 0)
    assert told(caplog) == 0
    second = VfioUserClient(served.path, negotiate=False)
    until(lambda: told(caplog) == 1)
    time.sleep(0.02)
    before, steps = time.process_time(), served.device.steps
    time.sleep(0.1)
    assert served.device.steps == steps
    assert time.process_time() - before < 0.05, "it waits, and does not spin"
    client.read(MEMORY, 0)
    client.close()
    second.negotiate()
    assert second.read(MEMORY, 0) == 0
    third = VfioUserClient(served.path, negotiate=False)
    until(lambda: told(caplog) == 2)
    second.close()
    third.negotiate()
    third.close()
    assert told(caplog) == 2


@rule(Group.CLIENTS)
def test_a_second_client_is_told_of_although_the_device_never_rests(
    served: Served, client: VfioUserClient, caplog: pytest.LogCaptureFixture
) -> None:
    ram = SharedRam(64 * KIB)
    client.map(0, 64 * KIB, ram.fd)
    copy(client, 0, 32 * KIB, 32 * KIB, start=2)
    second = VfioUserClient(served.path, negotiate=False)
    until(lambda: told(caplog) == 1)
    second.close()


@rule(Group.CLIENTS)
def test_one_client_after_the_other_is_no_news(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        with served.client() as one:
            one.read(MEMORY, 0)
        until(lambda: served.server.memory.ranges == ())
    assert told(caplog) == 0


@rule(Group.CLIENTS)
@pytest.mark.parametrize("started", [b"", HEADER.pack(1, Command.VERSION, 400, 0, 0)], ids=["nothing", "header"])
def test_a_client_that_connects_and_stalls_is_hung_up_on(
    served: Served, started: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with VfioUserClient(served.path, negotiate=False) as silent:
        silent.socket.sendall(started)
        serves_right(served)


@rule(Group.CLIENTS)
def test_a_client_that_stalls_in_a_message_does_not_hang_the_server(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with serve(folder / "s") as served:
        with served.client() as client:
            client.socket.sendall(HEADER.pack(1, Command.REGION_READ, 32, 0, 0))
            with suppress(ConnectionResetError):
                _, _, flags, _, _ = client.receive()
                assert flags & 0x20, "the time-out hangs up, or answers with an error"
        serves_right(served)


@rule(Group.CLIENTS)
def test_a_client_that_never_reads_does_not_hang_the_server(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with serve(folder / "s") as served:
        with served.client() as client:
            client.socket.settimeout(0.5)
            try:
                for _ in range(100):
                    client.send(Command.REGION_READ, struct.pack("<QII", 0, MEMORY, 128 * KIB))
            except OSError:
                pass
        serves_right(served)


@rule(
    Group.CLIENTS,
    libvfio=Limit(
        "each client that connects and says nothing holds the next one up for 5 s; QEMU says VERSION at once",
        error=(AssertionError, TimeoutError, ConnectionError),
    ),
)
def test_four_silent_clients_cost_the_next_one_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    with ExitStack() as stack:
        for said in (b"", b"\0", HEADER.pack(1, Command.VERSION, 400, 0, 0)[:8], HEADER.pack(1, 1, 400, 0, 0) + b"{"):
            silent = stack.enter_context(VfioUserClient(served.path, negotiate=False))
            silent.socket.sendall(said)
        begin = time.monotonic()
        with VfioUserClient(served.path) as client:
            still_serves(client)
        assert time.monotonic() - begin < 0.1


@rule(Group.CLIENTS, libvfio=Missing("one client at a time is looked at: see the silent ones"))
def test_a_silent_client_is_hung_up_on_while_another_is_served(
    served: Served, client: VfioUserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with VfioUserClient(served.path, negotiate=False) as silent:
        silent.socket.settimeout(2)
        assert hangs_up(silent.socket)
    still_serves(client)


@rule(Group.CLIENTS, libvfio=Missing("the kernel's queue is the only one, and its length the library's"))
def test_more_silent_clients_than_there_is_room_for_push_out_the_oldest(served: Served) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(VfioUserClient(served.path, negotiate=False)) for _ in range(lobby.MOST + 4)]
        serves_right(served)
        silent[0].socket.settimeout(2)
        assert hangs_up(silent[0].socket)
        silent[-1].negotiate()
        still_serves(silent[-1])


@rule(Group.CLIENTS, libvfio=Missing("a client is read from when it is served, not before"))
def test_those_who_wait_are_served_in_the_order_of_their_version(served: Served, client: VfioUserClient) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(VfioUserClient(served.path, negotiate=False)) for _ in range(3)]
        for one in waiting:
            one.send(Command.VERSION, Version().pack())
        still_serves(client)
        client.close()
        for one in waiting:
            assert one.receive()[1] == Command.VERSION
            still_serves(one)
            one.close()


STARTED = [b"", HEADER.pack(1, Command.VERSION, 400, 0, 0), codec.request(1, Command.VERSION, Version().pack())]


@rule(Group.CLIENTS)
@pytest.mark.parametrize("started", STARTED, ids=["silent", "half a message", "a whole one"])
def test_one_that_waits_and_goes_away_is_forgotten(served: Served, client: VfioUserClient, started: bytes) -> None:
    with VfioUserClient(served.path, negotiate=False) as waiting:
        waiting.socket.sendall(started)
    still_serves(client)
    client.close()
    serves_right(served)


def session(ram: SharedRam, event: int) -> list[tuple[bytes, tuple[int, ...]]]:
    """What a client of a guest says, message by message, with the descriptors beside."""
    irqs = codec.SetIrqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, 0, 0, 1).pack()
    info = codec.INFO.pack(16, 0, 0, 0)
    return [
        (codec.request(1, Command.VERSION, Version().pack()), ()),
        (map_message(0, 4 * PAGE, number=2), (ram.fd,)),
        (codec.request(3, Command.GET_INFO, info), ()),
        (codec.request(4, Command.GET_REGION_INFO, codec.REGION_INFO.pack(32, 0, 0, 0, 0, 0)), ()),
        (codec.request(5, Command.GET_IRQ_INFO, info), ()),
        (codec.request(6, Command.SET_IRQS, irqs), (event,)),
        (codec.request(7, Command.DEVICE_RESET), ()),
        (write_message(CONTROL, 0x20, struct.pack("<QQI", 0, 2 * PAGE, PAGE), number=8), ()),
        (write_message(CONTROL, 0x38, b"\2", number=9, flags=codec.NO_REPLY), ()),
        (write_message(CONTROL, LINE, b"\1\0\0\0", number=10), ()),
        (read_message(MEMORY, 0, 4096, number=11), ()),
        (codec.request(12, Command.DMA_UNMAP, codec.DmaUnmap(0, 4 * PAGE).pack()), ()),
    ]


@rule(Group.CLIENTS)
@pytest.mark.parametrize("half", [0, 8, HEADER.size, HEADER.size + 3], ids=["whole", "half a header", "header", "more"])
def test_a_client_may_go_after_any_message_and_within_any(served: Served, half: int) -> None:
    """At every message of a session: nothing of it is left, no descriptor of it either."""
    with closing(SharedRam(4 * PAGE)) as ram:
        serves_right(served)
        until(lambda: served.device.resets == [ResetKind.LOST_CLIENT])
        event = os.eventfd(0, os.EFD_CLOEXEC)
        before = open_descriptors()
        messages = session(ram, event)
        for last in range(len(messages) + 1):
            with VfioUserClient(served.path, negotiate=False) as client:
                for data, fds in messages[:last]:
                    send_with(client.socket, data, fds)
                    if not data[8] & codec.NO_REPLY:
                        client.receive()
                if last < len(messages):
                    client.socket.sendall(messages[last][0][:half])
            until(lambda: open_descriptors() == before)
            until(lambda: served.server.memory.ranges == ())
        serves_right(served)
        os.close(event)


@rule(Group.CLIENTS)
def test_a_client_may_send_all_at_once_and_go(served: Served) -> None:
    """Without reading an answer."""
    for last in range(1, 12):
        with closing(SharedRam(4 * PAGE)) as ram:
            event = os.eventfd(0, os.EFD_CLOEXEC)
            with VfioUserClient(served.path) as client, suppress(ConnectionError):
                for data, fds in session(ram, event)[1 : 1 + last]:
                    send_with(client.socket, data, fds)
            until(lambda last=last: served.device.resets.count(ResetKind.LOST_CLIENT) == last)
            os.close(event)
    serves_right(served)


@rule(Group.CLIENTS, libvfio=Missing("it waits in send for 5 s, and is hung up on: see the client that never reads"))
def test_a_client_that_reads_no_answers_costs_bounded_memory(
    served: Served, client: VfioUserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, 0.2)
    request = read_message(MEMORY, 0, 128 * KIB)
    seen = [0]

    def gone() -> bool:
        seen.append(getattr(served.server._connection, "unsent", 0))
        return served.device.resets == [ResetKind.LOST_CLIENT]

    client.socket.settimeout(0.05)
    with suppress(OSError):
        for _ in range(2000):
            client.socket.sendall(request)
            gone()
    until(gone)
    assert 0 < max(seen) <= connection.MAX_UNSENT + 2 * 128 * KIB
    serves_right(served)


@rule(Group.CLIENTS, libvfio=Missing("it waits in send for 5 s, and is hung up on: see the client that never reads"))
def test_a_client_that_reads_its_answers_late_gets_them_all(
    client: VfioUserClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of so many that no more are taken meanwhile."""
    be_patient(monkeypatch)
    for number in range(100):
        client.socket.sendall(read_message(MEMORY, 0, 128 * KIB, number=number + 1))
    assert [client.receive()[0] for _ in range(100)] == list(range(1, 101))
    still_serves(client)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """So many open that the next one is beyond what select can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2200, hard), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1100):
            stack.callback(os.close, os.dup(0))
        yield


@rule(Group.CLIENTS)
def test_a_device_that_waits_is_served_beyond_1023_descriptors(
    many_descriptors: None, serve: Callable[[Path], AbstractContextManager[Served]], folder: Path
) -> None:
    with serve(folder / "s") as served:
        with served.client() as client:
            assert client.socket.fileno() > 1023
            served.device.wait = 100_000
            still_serves(client)
            before = served.device.steps
            until(lambda: served.device.steps > before + 5)
            still_serves(client)
        serves_right(served)
        assert served.failure is None
