# SPDX-License-Identifier: Apache-2.0
"""The peer and ours answer the same client, which checks what DMA moved; who takes a turn when; what goes wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plx9x5x.errors import LostVm, SetupError
from plx9x5x.lab.bench import contest, programs
from plx9x5x.lab.host.server import DeviceServer
from plx9x5x.lab.toolchain import Toolchain, load


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return load(need={"libvfio-user"})


@pytest.fixture(scope="module")
def servers(toolchain: Toolchain) -> Iterator[dict[str, DeviceServer]]:
    backends = {"ours": contest.our_backend(toolchain, ""), "peer": programs.peer(toolchain)}
    with contest.serving(backends, cpus=None) as running:
        yield running


@pytest.mark.parametrize("who", ["ours", "peer"])
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("read", 20), {"read"}),
        (("posted", 20), {"posted"}),
        (("acknowledged", 20), {"acknowledged"}),
        (("command-posted", 20), {"command-posted"}),
        (("command-acknowledged", 20), {"command-acknowledged"}),
        (("interrupt", 20), {"interrupt", "interrupt-rise"}),
        (("block", 4, 5), {"block"}),
        (("block", 128 * 1024, 5), {"block"}),
        (("chain", 1, 5), {"chain"}),
        (("chain", 3000, 2), {"chain"}),  # more than a step's budget
    ],
)
def test_both_servers_do_what_the_client_times(
    servers: dict[str, DeviceServer], who: str, arguments: tuple[str | int, ...], names: set[str]
) -> None:
    timings = contest.run_client(servers[who].socket_path, *arguments)
    assert timings.keys() == names
    assert all(timing.p99 >= timing.median > 0 and timing.mean > 0 for timing in timings.values())


@pytest.mark.parametrize("arguments", [("ping-pong", 20), ("memcpy", 4096, 3), ("walk", 100, 3)])
def test_the_floors_need_no_server(arguments: tuple[str | int, ...]) -> None:
    assert contest.run_client(None, *arguments).keys() == {arguments[0]}


def test_a_client_that_holds_is_connected_until_the_block_ends(servers: dict[str, DeviceServer]) -> None:
    for server in servers.values():
        with contest.holding(server.socket_path, mib=1, cpus=None):
            assert server.alive
        contest.run_client(server.socket_path, "read", 1)  # the place is free again


def test_a_client_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(LostVm, match="No such file"):
        contest.run_client(tmp_path / "nobody", "read", 1)
    with pytest.raises(LostVm, match="exit code 2"):
        contest.run_client(None, "dance", 1)
    with pytest.raises(LostVm, match="No such file"), contest.holding(tmp_path / "nobody", mib=1, cpus=None):
        pass


def test_turns_alternate_and_every_second_round_goes_backwards() -> None:
    seen: list[str] = []
    turns = {name: lambda name=name: seen.append(name) or len(seen) for name in "abc"}
    assert contest.alternate(2, turns) == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}
    assert seen == list("abccba")


def test_the_peer_is_built_once(toolchain: Toolchain) -> None:
    first = programs.peer(toolchain)
    made = Path(first.argv[0]).stat().st_mtime_ns
    assert programs.peer(toolchain) == first
    assert Path(first.argv[0]).stat().st_mtime_ns == made


def test_a_library_without_its_header_gives_no_peer(toolchain: Toolchain, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no header beside it") as caught:
        programs.peer(replace(toolchain, libvfio_user=tmp_path / "libvfio-user.so"))
    assert "PLX9X5X_LIBVFIO_USER" in caught.value.hint


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("memcpy(local + local_address, at, count);", "memcpy(local + local_address, at, count - 1);"),
        ("!(desc[3] & DPR_END)", "!(desc[3] & DPR_END) && *moved < 60000"),  # ends before its chain does
    ],
)
def test_the_client_notices_a_server_that_moves_wrong_bytes(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: str, wrong: str
) -> None:
    source = (programs.SOURCES / "peer.c").read_text(encoding="utf-8")
    assert right in source
    (tmp_path / "peer.c").write_text(source.replace(right, wrong), encoding="utf-8")
    (tmp_path / "bench.h").write_bytes((programs.SOURCES / "bench.h").read_bytes())
    programs.client()
    with monkeypatch.context() as patched:
        patched.setattr(programs, "SOURCES", tmp_path)
        broken = programs.peer(replace(toolchain, cache=tmp_path / "cache"))
    with (
        contest.serving({"broken": broken}, cpus=None) as running,
        pytest.raises(LostVm, match="DMA moved wrong bytes"),
    ):
        contest.run_client(running["broken"].socket_path, "chain", 256, 2)
