# SPDX-License-Identifier: Apache-2.0
"""Descriptors that a client sends: none outlives it, and a lack of them costs that client alone."""

import errno
import fcntl
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from plx9x5x.plane.choice import NAMES
from plx9x5x.ports import ResetKind
from plx9x5x.transport.leftovers import Leftovers
from plx9x5x.transport.libvfio_find import ENV_VAR
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command, IrqFlag, Refused
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
from tests.transport.conftest import Served
from tests.transport.fake_device import MEMORY
from tests.transport.support import until

PAGE = 4 * KIB
MOST_FDS = 253  # in one message, says the kernel
FEW = 64


class Server:
    """`plx9x5x serve` and how many descriptors it has open."""

    def __init__(self, path: Path, library: Path, plane: str) -> None:
        argv = ["-m", "plx9x5x", "serve", "--socket-path", path, "--plane", plane]
        self.path = path
        self.said = path.with_name("said")
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, *argv],
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, ENV_VAR: str(library)},
            )
        assert self.process.stdout is not None
        assert any(line.startswith("listening on") for line in self.process.stdout)

    @property
    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    @property
    def settled(self) -> int:
        """The same once a client has left whole: it says so before it has closed all."""
        counts = [self.descriptors]
        while len(counts) < 20 or len(set(counts[-20:])) > 1:
            assert len(counts) < 1000
            time.sleep(0.01)
            counts.append(self.descriptors)
        return counts[-1]

    def limit(self, descriptors: int) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))

    def serves_right(self) -> None:
        with VfioUserClient(self.path) as client:
            ram = SharedRam(PAGE)
            client.map(0, PAGE, ram.fd)
            client.listen_intx()
            assert client.read(7, 0) == 0x960110B5
            ram.close()

    def end(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=20)
        return self.process.returncode


@contextmanager
def opened(count: int) -> Iterator[list[int]]:
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest, folder: Path, library_path: Path) -> Iterator[Server]:
    running = Server(folder / "s", library_path, request.param)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.communicate()


def same_map_again(path: Path, fds: list[int]) -> None:
    with VfioUserClient(path) as client, suppress(OSError, Refused):
        ram = SharedRam(PAGE)
        for _ in range(200):
            client.map(0, PAGE, ram.fd)


def half_a_header(path: Path, fds: list[int]) -> None:
    with VfioUserClient(path) as client, suppress(OSError):
        socket.send_fds(client.socket, [b"\0" * 15], fds)
        client.socket.recv(1)


def half_a_header_before_anything(path: Path, fds: list[int]) -> None:
    with VfioUserClient(path, negotiate=False) as client, suppress(OSError):
        socket.send_fds(client.socket, [b"\0" * 15], fds)
        client.socket.shutdown(socket.SHUT_WR)
        client.socket.recv(1)


def greetings_with_descriptors(path: Path, fds: list[int]) -> None:
    caps = b"\0\0\0\0{}\0"
    for count in (1, 8, 9, 17, len(fds)):
        for body in (caps, b"\0\0\0\0[", b""):
            with VfioUserClient(path, negotiate=False) as client, suppress(OSError):
                message = HEADER.pack(1, Command.VERSION, 16 + len(body), 0, 0) + body
                socket.send_fds(client.socket, [message], fds[:count])
                client.socket.settimeout(0.05)
                client.socket.recv(1000)


def every_command_with_descriptors(path: Path, fds: list[int]) -> None:
    for command in range(16):
        with VfioUserClient(path) as client, suppress(OSError):
            for count in (1, 8, len(fds)):
                socket.send_fds(client.socket, [HEADER.pack(1, command, 16 + 32, 0, 0) + b"\0" * 32], fds[:count])
            client.socket.settimeout(0.05)
            client.socket.recv(1000)


def interrupts_that_the_device_lacks(path: Path, fds: list[int]) -> None:
    with VfioUserClient(path) as client:
        for index in range(5):
            for count in (1, 2):
                with suppress(OSError, Refused):
                    client.set_irqs(IrqFlag.EVENTFD | IrqFlag.TRIGGER, index=index, count=count, fds=tuple(fds[:count]))


LEAKS = [
    same_map_again,
    half_a_header,
    half_a_header_before_anything,
    greetings_with_descriptors,
    every_command_with_descriptors,
    interrupts_that_the_device_lacks,
]


def test_no_descriptor_of_a_client_outlives_it(server: Server) -> None:
    server.serves_right()
    until(lambda: "client left" in server.said.read_text())
    base = server.settled
    with opened(MOST_FDS) as fds:
        for leak in LEAKS:
            leak(server.path, fds)
            until(lambda: server.descriptors == base)
    for _ in range(20):
        server.serves_right()
    until(lambda: server.descriptors == base)
    assert server.end() == 0
    assert "Traceback" not in server.said.read_text()


def test_a_client_that_takes_all_descriptors_costs_nobody_else_anything(server: Server) -> None:
    server.serves_right()
    until(lambda: "client left" in server.said.read_text())
    base = server.settled
    server.limit(base + FEW)
    with opened(MOST_FDS) as fds:
        for leak in LEAKS:
            leak(server.path, fds)
            server.serves_right()
            until(lambda: server.descriptors == base)
    assert server.end() == 0
    assert "Traceback" not in server.said.read_text()


class TestLeftovers:
    @pytest.fixture
    def leftovers(self) -> Iterator[Leftovers]:
        made = Leftovers()
        yield made
        made.end()
        made.end()

    def test_what_came_inheritable_is_closed_and_nothing_else(self, leftovers: Leftovers) -> None:
        old = fcntl.fcntl(0, fcntl.F_DUPFD, 700)
        leftovers.mark()
        came = fcntl.fcntl(0, fcntl.F_DUPFD, 700)
        ours = os.open(os.devnull, os.O_RDONLY)
        assert leftovers.close() == 1
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(came)
        for fd in (old, ours):
            os.close(fd)
        assert leftovers.close() == 0

    def test_without_a_mark_nothing_is_closed(self, leftovers: Leftovers) -> None:
        came = fcntl.fcntl(0, fcntl.F_DUPFD, 700)
        assert leftovers.close() == 0
        os.close(came)

    def test_it_works_when_nothing_more_can_be_opened(self, leftovers: Leftovers) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        leftovers.mark()
        came = fcntl.fcntl(0, fcntl.F_DUPFD, 700)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        taken = []
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            assert leftovers.close() == 1
            assert leftovers.close() == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in taken:
                os.close(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(came)


def test_a_client_that_does_not_get_as_far_as_being_served_leaves_nothing_either(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Told(Leftovers):
        def mark(self) -> None:
            told.append("mark")

        def close(self) -> int:
            told.append("close")
            return 0

    if isinstance(served.server, WireServer):
        return  # it knows what is whose
    leftovers = Told()
    with monkeypatch.context() as patch:
        patch.setattr(served.server, "_leftovers", leftovers)
        with VfioUserClient(served.path, negotiate=False) as client:
            client.socket.sendall(b"\0" * 16)
        until(lambda: told == ["mark", "close"])
        with served.client() as client:
            client.read(MEMORY, 0)
            assert told == ["mark", "close", "mark"]
        until(lambda: told == ["mark", "close"] * 2)
    leftovers.end()


@pytest.mark.parametrize("where", ["read", "step"])
@pytest.mark.parametrize(
    ("lacks", "says"),
    [(OSError(errno.EMFILE, "Too many open files"), "[Errno 24]"), (OSError(errno.ENOMEM, "no"), "[Errno 12]"),
     (MemoryError(), "no memory")],
)  # fmt: skip
def test_a_device_that_finds_no_room_costs_the_client_its_connection(
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    lacks: Exception,
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def none_left(*_: object) -> int:
        raise lacks

    with monkeypatch.context() as patch:
        patch.setattr(type(served.device), where, none_left)
        with suppress(OSError, Refused), served.client() as client:
            for _ in range(1000):  # more than the server takes before it looks at the device
                client.read(MEMORY, 0)
        until(lambda: served.device.resets == [ResetKind.LOST_CLIENT])
    assert any(f"dropping the client: {says}" in line for line in caplog.messages)
    with served.client() as client:
        assert client.read(MEMORY, 0) == 0
