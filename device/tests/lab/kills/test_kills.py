# SPDX-License-Identifier: Apache-2.0
"""Killed clients and servers leave nothing, on each transport and plane; and what would be left is found."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from plx9x5x import boards
from plx9x5x.board import load_board
from plx9x5x.errors import LostVm
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.host.server import Backend
from plx9x5x.lab.kills import servers, traces
from plx9x5x.lab.kills.clients import Watch, kill_clients
from plx9x5x.lab.kills.servers import kill_servers
from plx9x5x.lab.kills.tally import Tally
from plx9x5x.lab.kills.victims import Victims
from plx9x5x.lab.toolchain import Toolchain, load
from plx9x5x.model.chip import Chip
from plx9x5x.ports import BusMaster, IrqLine
from plx9x5x.transport.libvfio import LibvfioServer
from plx9x5x.transport.libvfio_abi import load_abi
from plx9x5x.transport.wire.server import WireServer


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return load(need={"libvfio-user"})


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="plx-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with TemporaryDirectory(prefix="plx-") as logs, Victims(Path(logs)) as made:
        yield made


class Served:
    """A card that is served by a thread, so this very process is the server that is looked at."""

    def __init__(self, path: Path, transport: str, plane: str, toolchain: Toolchain) -> None:
        self.chips: list[Chip] = []
        self.server: LibvfioServer | WireServer = (
            WireServer(path, self._make, plane=plane)
            if transport == "wire"
            else LibvfioServer(path, self._make, library=load_abi(toolchain.libvfio_user), plane=plane)
        )
        self.path = path
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def _make(self, bus: BusMaster, irq: IrqLine) -> Chip:
        self.chips.append(chip := Chip(load_board(boards.DEFAULT), bus=bus, irq=irq))
        return chip

    def close(self) -> None:
        self.server.stop()
        self._thread.join(10)
        self.server.close()


@pytest.fixture
def served(request: pytest.FixtureRequest, folder: Path, toolchain: Toolchain) -> Iterator[Served]:
    transport, plane = getattr(request, "param", ("wire", "python"))
    made = Served(folder / "s", transport, plane, toolchain)
    yield made
    made.close()


COMBINATIONS = [(transport, plane) for transport in ("wire", "libvfio") for plane in ("native", "python")]


@pytest.mark.parametrize("served", COMBINATIONS, indirect=True, ids=map("-".join, COMBINATIONS))
def test_a_client_that_is_killed_leaves_nothing_and_the_next_one_is_served(served: Served, victims: Victims) -> None:
    whole = isinstance(served.server, LibvfioServer)  # it takes no message that comes in pieces
    tally = kill_clients(os.getpid(), served.path, 8, seed=1, victims=victims, whole=whole)
    assert tally.ok, tally.verdicts()
    assert tally.kills == 8
    assert [len(times) for times in tally.times.values()] == [8, 8]


def test_servers_that_are_killed_leave_nothing_and_the_next_one_takes_their_path(
    folder: Path, tmp_path: Path, victims: Victims
) -> None:
    backend = board_backend(boards.DEFAULT, libvfio_user=None, transport="wire")
    tally = kill_servers(backend, folder, tmp_path, 3, seed=2, victims=victims)
    assert tally.ok, tally.verdicts()
    assert tally.kills == 3
    assert 1 < len(tally.times[servers.RESTARTED]) < 4, "one of them was killed while it started"
    assert [path.name for path in folder.iterdir()] == ["t"]


class Stub:
    """Clients that do something to the server instead of living."""

    def __init__(self, harm: Callable[[], object], code: int = -signal.SIGKILL) -> None:
        self.kill, self._code = harm, code

    def start(self, path: Path, seed: int, *, whole: bool = False) -> None:
        pass

    def ended(self) -> int:
        return self._code


def test_a_descriptor_that_stays_is_found(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "CLEAN_LIMIT_S", 0.1)
    kept: list[int] = []
    stub = Stub(lambda: kept.append(os.open(os.devnull, os.O_RDONLY)))
    tally = kill_clients(os.getpid(), served.path, 1, seed=1, victims=stub)  # type: ignore[arg-type]
    os.close(kept[0])
    assert not tally.ok
    assert [" descriptors of /dev/null" in leak for leak in tally.leaks] == [True]
    assert tally.wrong == []


def test_memory_that_grows_is_found_and_a_peak_is_not(served: Served) -> None:
    for audits, grew in (([20, 21, 90, 20, 21, 20], False), ([20, 21, 90, 30, 31, 30], True), ([20], False)):
        watch = Watch(os.getpid(), served.path, tally := Tally("client"))
        watch._rss_kib = [mib * 1024 for mib in audits]
        watch.conclude()
        assert tally.ok is not grew
        assert f"20 to {max(audits)} MiB" in tally.notes[0]


def test_a_card_that_is_not_as_new_is_found(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Chip.read
    monkeypatch.setattr(Chip, "read", lambda chip, *where: read(chip, *where) ^ broken[0])
    broken = [0]
    stub = Stub(lambda: broken.__setitem__(0, 1))
    tally = kill_clients(os.getpid(), served.path, 1, seed=1, victims=stub)  # type: ignore[arg-type]
    assert not tally.ok
    assert tally.wrong[0].startswith("after client 0")
    assert "and the first one read 0x960110b5" in tally.wrong[0]


def test_a_server_that_hangs_up_on_a_client_that_lives_is_found(served: Served) -> None:
    tally = kill_clients(os.getpid(), served.path, 1, seed=1, victims=Stub(lambda: None, 3))  # type: ignore[arg-type]
    assert not tally.ok
    assert "exit code 3" in tally.hung_up[0]


def test_a_file_that_killed_servers_leave_is_found(folder: Path) -> None:
    (folder / "left").touch()
    tally = Tally("server")
    servers._look_around(tally, folder)
    assert "files left" in tally.leaks[0]
    assert not list(folder.iterdir())


def test_a_server_that_ends_by_itself_is_told_with_its_words(folder: Path, tmp_path: Path, victims: Victims) -> None:
    with pytest.raises(LostVm, match=r"(?s)after 0 kills no server answers.*no such card"):
        kill_servers(Backend(("sh", "-c", "echo no such card")), folder, tmp_path, 1, seed=1, victims=victims)
