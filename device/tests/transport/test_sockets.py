# SPDX-License-Identifier: Apache-2.0
"""Sockets that somebody else has opened, and who hears that the server is ready."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.transport import sockets
from plx9x5x.transport.sockets import NoSuchSocket, Notifier
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.codec import Command, Header

SERVE = (sys.executable, "-m", "plx9x5x", "serve")


def test_without_a_word_there_is_none() -> None:
    assert sockets.inherited(environ={}) is None
    assert sockets.inherited(environ={"LISTEN_PID": str(os.getppid()), "LISTEN_FDS": "1"}) is None, "it is another's"


@pytest.mark.parametrize("count", ["", "0", "2", "x"])
def test_systemd_has_to_hand_over_one(count: str) -> None:
    with pytest.raises(NoSuchSocket, match="one card takes one socket"):
        sockets.inherited(environ={"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})


def test_what_is_no_unix_stream_socket_is_refused_and_left_open() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams, Path(os.devnull).open() as file:
        for fd in (datagrams.fileno(), file.fileno()):
            with pytest.raises(NoSuchSocket, match=f"descriptor {fd} "):
                sockets.inherited(fd)
            os.fstat(fd)
    with pytest.raises(NoSuchSocket):
        sockets.inherited(1 << 20)


def test_one_that_is_connected_is_told_from_one_that_listens(folder: Path) -> None:
    here, there = socket.socketpair()
    with here, there, socket.socket(socket.AF_UNIX) as listening:
        assert not sockets.listens(here)
        listening.bind(os.fspath(folder / "s"))
        listening.listen()
        assert sockets.listens(listening)
        assert sockets.name(listening) == str(folder / "s")
        assert sockets.name(here) == "(a socket without a name)"


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_notifier_says_it_where_it_was_told(folder: Path, kind: str) -> None:
    name = str(folder / "n") if kind == "path" else "@plx9x5x-test-" + str(os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.say("READY=1", "STATUS=there")
        assert manager.recv(100) == b"READY=1\nSTATUS=there"
        notifier.close()
        notifier.say("READY=1")


@pytest.mark.parametrize("name", ["", "vsock:2:1", "/no/such/socket"])
def test_a_manager_that_is_not_there_is_no_trouble(name: str) -> None:
    Notifier({"NOTIFY_SOCKET": name}).say("READY=1")


def test_serve_ends_once_the_client_of_a_connected_socket_has_left() -> None:
    ours, theirs = socket.socketpair()
    argv = (*SERVE, "--fd", str(theirs.fileno()))
    with ours, subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, text=True) as server:
        theirs.close()
        ours.settimeout(20)
        ours.sendall(codec.request(7, Command.VERSION, codec.Version().pack()))
        header = Header.read(ours.recv(4096))
        assert (header.id, header.command, header.flags) == (7, Command.VERSION, codec.REPLY)
        ours.close()
        said, _ = server.communicate(timeout=20)
    assert server.returncode == 0
    assert "transport wire" in said


AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_serve_takes_systemds_socket_tells_it_that_it_is_ready_and_leaves_the_file(folder: Path) -> None:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        listening.bind(os.fspath(path))
        listening.listen()
        manager.bind(os.fspath(folder / "n"))
        manager.settimeout(20)
        environment = {**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": str(folder / "n")}
        with subprocess.Popen(
            (sys.executable, "-c", AS_SYSTEMD, str(listening.fileno()), *SERVE),
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
        ) as server:
            assert manager.recv(200).startswith(b"READY=1\n")
            with VfioUserClient(path) as client:
                assert client.read(7, 0) == 0x960110B5
            server.terminate()
            assert server.wait(20) == 0
    assert path.exists(), "whoever made it removes it"


def test_one_of_both_has_to_be_given(folder: Path) -> None:
    for options in ((), ("--socket-path", folder / "s", "--fd", "0")):
        done = subprocess.run((*SERVE, *options), capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        assert done.returncode == 2
        assert "--fd" in done.stderr or "descriptor 0" in done.stderr


def test_the_description_of_the_backend_names_a_program() -> None:
    done = subprocess.run((*SERVE, "--print-backend"), capture_output=True, text=True, timeout=20, check=True)
    assert Path(json.loads(done.stdout)["binary"]).is_file()
