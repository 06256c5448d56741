# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around the server: clients that lie, stall or die, bugs in the device, sockets in the way."""

import errno
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.ports import ResetKind
from plx9x5x.transport import libvfio
from plx9x5x.transport.libvfio_abi import LibVfioUser
from plx9x5x.transport.wire import lobby
from plx9x5x.transport.wire import server as wire_server
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command, Refused
from plx9x5x.transport.wire.server import WireServer
from plx9x5x.units import KIB
from tests.transport.conftest import Served
from tests.transport.fake_device import CONFIG, CONTROL, COPIES, FAULT, LINE, MEMORY
from tests.transport.test_libvfio import copy, until

ENDLESS_COPY = """
import sys, time
from pathlib import Path
from tests.transport.test_libvfio import copy
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
client, ram = VfioUserClient(Path(sys.argv[1])), SharedRam(1 << 20)
client.map(0, 1 << 20, ram.fd)
client.listen_intx()
client.write(0, 0x10, 1)
copy(client, 0, 1 << 19, 1 << 19, start=2)
print("copying", flush=True)
time.sleep(60)
"""


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no server be patient with a client that stalls."""
    monkeypatch.setattr(libvfio, "CLIENT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(lobby, "SILENCE_S", 0.2)
    monkeypatch.setattr(wire_server, "STALL_S", 0.2)


def serves_right(served: Served) -> None:
    """A whole client session on a server that has been through something."""
    with served.client() as client:
        ram = SharedRam(64 * KIB)
        client.map(0, 64 * KIB, ram.fd)
        ram.bytes[:4] = b"data"
        intx = client.listen_intx()
        copy(client, 0, 32 * KIB, 4)
        until(lambda: client.read(CONTROL, COPIES) == 1)
        client.write(CONTROL, LINE, 1)
        assert intx.take() == 1
        assert ram.bytes[32 * KIB : 32 * KIB + 4] == b"data"


def test_a_client_killed_in_the_middle_of_dma_leaves_nothing_behind(served: Served) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS_COPY, served.path], stdout=subprocess.PIPE, env=environment
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"copying\n"
        victim.kill()
    until(lambda: served.device.resets == [ResetKind.LOST_CLIENT])
    assert served.server.memory.ranges == ()
    serves_right(served)


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (0, b"\0" * 8),
        (99, b"\0" * 8),
        (Command.VERSION, b"\0" * 4),
        (Command.GET_INFO, b""),
        (Command.GET_INFO, b"\0" * 3),
        (Command.GET_REGION_INFO, struct.pack("<IIIIQQ", 32, 0, 1 << 31, 0, 0, 0)),
        (Command.GET_IRQ_INFO, struct.pack("<IIII", 16, 0, 0xFFFFFFFF, 0)),
        (Command.SET_IRQS, struct.pack("<IIIII", 20, 0x3F, 0, 0, 1)),
        (Command.SET_IRQS, struct.pack("<IIIII", 20, 0x21, 0, 1, 0xFFFFFFFF)),
        (Command.SET_IRQS, struct.pack("<IIIII", 20, 0x11, 4, 0, 1)),
        (Command.DMA_MAP, b"\0" * 4),
        (Command.DMA_MAP, struct.pack("<IIQQQ", 32, 0xFF, 0, 0, 4096)),
        (Command.DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 1 << 63)),
        (Command.DMA_UNMAP, struct.pack("<IIQQ", 24, 0, 0x123, 4096)),
        (Command.REGION_READ, b"\0" * 5),
        (Command.REGION_READ, struct.pack("<QII", 0, 0, 0x7FFFFFFF)),
        (Command.REGION_READ, struct.pack("<QII", 0xFFFFFFFFFFFFFFFF, 0, 8)),
        (Command.REGION_WRITE, struct.pack("<QII", 0, 0, 64) + b"short"),
    ],
)
def test_a_malformed_message_is_refused_and_the_next_one_served(
    client: VfioUserClient, command: int, body: bytes
) -> None:
    with pytest.raises(Refused):
        client.call(command, body)
    client.write(MEMORY, 0, 0xCAFE)
    assert client.read(MEMORY, 0) == 0xCAFE


@pytest.mark.parametrize(
    "region", [(0, 0), ((1 << 64) - 4096, 8192), ((1 << 64) - 1, 1)], ids=["empty", "wraps", "last"]
)
def test_a_mapping_at_the_edges_of_the_address_space_does_no_harm(
    served: Served, client: VfioUserClient, region: tuple[int, int]
) -> None:
    with suppress(Refused):
        client.map(*region, None)
    client.read(MEMORY, 0)
    client.close()
    serves_right(served)


@pytest.mark.parametrize("cut", [1, 15])
def test_a_client_that_leaves_in_the_middle_of_a_header_is_forgotten(served: Served, cut: int) -> None:
    with served.client() as client:
        client.socket.sendall(HEADER.pack(1, Command.DEVICE_RESET, 16, 0, 0)[:cut])
    serves_right(served)


@pytest.mark.parametrize("size", [0, 8, 1 << 24, 0xFFFFFFFF])
def test_an_impossible_size_does_not_hang_the_server(served: Served, size: int) -> None:
    with served.client() as client:
        client.socket.sendall(HEADER.pack(1, Command.REGION_READ, size, 0, 0))
        with suppress(OSError):  # it may have hung up already
            client.socket.sendall(os.urandom(64))
    serves_right(served)


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


@pytest.mark.parametrize(
    "first",
    [b"", b"\0" * 16, HEADER.pack(1, Command.DEVICE_RESET, 16, 0, 0), random.Random(1).randbytes(64)],
    ids=["nothing", "zeros", "reset", "noise"],
)
def test_a_client_that_negotiates_nonsense_is_passed_over(served: Served, first: bytes) -> None:
    with VfioUserClient(served.path, negotiate=False) as client:
        client.socket.sendall(first)
    serves_right(served)


@pytest.mark.parametrize("started", [b"", HEADER.pack(1, Command.VERSION, 400, 0, 0)], ids=["nothing", "header"])
def test_a_client_that_connects_and_stalls_is_hung_up_on(
    served: Served, started: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with VfioUserClient(served.path, negotiate=False) as silent:
        silent.socket.sendall(started)
        serves_right(served)


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


def test_a_message_that_arrives_in_pieces_costs_the_client_its_connection(served: Served) -> None:
    """The library takes the first piece for the whole and would read the rest as messages."""
    if isinstance(served.server, WireServer):
        return  # it does better: test_wire
    with served.client() as client:
        client.socket.sendall(HEADER.pack(1, Command.REGION_WRITE, 16 + 24, 0, 0) + b"\0" * 10)
        with pytest.raises(OSError, match=r"."):  # noqa: PT012 - the error comes with whichever call is first to see it
            while True:
                client.receive()
                client.read(MEMORY, 0)
    serves_right(served)


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


def test_a_bug_in_the_device_fails_the_access_and_ends_run(library: LibVfioUser, folder: Path) -> None:
    served = Served(folder / "s", library)
    served.start()
    with served.client() as client, pytest.raises(Refused) as caught:
        client.read(CONTROL, FAULT)
    assert caught.value.errno == errno.EIO
    served.join()
    assert isinstance(served.failure, RuntimeError)
    served.server.close()
    assert not served.path.exists()


def test_the_socket_is_private_from_its_first_moment(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


def test_a_stale_socket_is_replaced(serve: Callable[[Path], AbstractContextManager[Served]], folder: Path) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    with serve(path) as served:
        serves_right(served)
    assert not path.exists()


def test_a_live_server_is_left_alone(served: Served, library: LibVfioUser) -> None:
    with pytest.raises(SetupError, match="another server listens"):
        Served(served.path, library)
    serves_right(served)
    with served.client(), pytest.raises(SetupError, match="another server listens"):
        Served(served.path, library)
    assert served.path.exists()


def test_a_file_in_the_way_is_left_alone(library: LibVfioUser, folder: Path) -> None:
    path = folder / "precious"
    path.write_text("data")
    with pytest.raises(SetupError, match="no socket"):
        Served(path, library)
    assert path.read_text() == "data"


def test_a_path_too_long_and_a_missing_folder_are_named(library: LibVfioUser, folder: Path) -> None:
    with pytest.raises(SetupError, match="takes 107"):
        Served(folder / ("s" * 107), library)
    with pytest.raises(SetupError, match="no folder") as caught:
        Served(folder / "absent" / "s", library)
    assert "mkdir" in caught.value.hint


def test_the_longest_path_works(serve: Callable[[Path], AbstractContextManager[Served]], folder: Path) -> None:
    with serve(folder / ("s" * (107 - len(os.fsencode(folder)) - 1))) as served:
        serves_right(served)


def test_another_servers_socket_is_not_removed(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path
) -> None:
    path = folder / "s"
    with serve(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(os.fspath(path))
    assert path.exists()


def test_a_restart_on_the_same_path_works(
    serve: Callable[[Path], AbstractContextManager[Served]], folder: Path
) -> None:
    for _ in range(3):
        with serve(folder / "s") as served:
            serves_right(served)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


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


class Serve:
    """`plx9x5x serve` as a process of its own."""

    def __init__(self, path: Path, library: Path) -> None:
        root = Path(libvfio.__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, root, "serve", "--socket-path", path, "--libvfio-user", library],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until_ready(self) -> str:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("listening on "):
                return "".join(lines)
        raise AssertionError(f"never ready: {self.process.communicate()}")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("client", ["none", "idle", "silent"])
def test_serve_ends_at_a_signal(
    folder: Path, library_path: Path, number: signal.Signals, code: int, client: str
) -> None:
    path = folder / "s"
    serve = Serve(path, library_path)
    said = serve.until_ready()
    assert f"listening on {path}\n" in said
    assert "share=on" in said
    assert "x-msg-timeout" in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = None if client == "none" else VfioUserClient(path, negotiate=client == "idle")
    if connection is not None and client == "idle":
        assert connection.read(CONFIG, 0) == 0x960110B5
    if client == "silent":
        time.sleep(0.1)
    begin = time.monotonic()
    serve.process.send_signal(number)
    out, err = serve.process.communicate(timeout=20)
    told = [line for line in err.splitlines() if not line.endswith(("client connected", "client left"))]
    assert (serve.process.returncode, told) == (code, []), out
    assert time.monotonic() - begin < 2
    assert not path.exists()
    if connection is not None:
        connection.close()


def test_two_serves_on_one_path_do_not_fight(folder: Path, library_path: Path) -> None:
    first = Serve(folder / "s", library_path)
    first.until_ready()
    second = Serve(folder / "s", library_path)
    _, err = second.process.communicate(timeout=20)
    assert second.process.returncode == 69
    assert "error: another server listens" in err
    assert "hint: " in err
    with VfioUserClient(folder / "s") as client:
        assert client.read(CONFIG, 0) == 0x960110B5
    first.process.terminate()
    first.process.communicate(timeout=20)
    assert first.process.returncode == 0
