# SPDX-License-Identifier: Apache-2.0
"""Who waits to be served: nobody costs anybody anything, the order is that of VERSION, and room is bounded."""

import errno
import logging
import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plx9x5x.transport.wake_pipe import WakePipe
from plx9x5x.transport.wire import codec, lobby
from plx9x5x.transport.wire.codec import HEADER, Command, Version
from plx9x5x.transport.wire.connection import Connection
from plx9x5x.transport.wire.lobby import MOST, Lobby
from tests.transport.support import open_descriptors

VERSION = codec.request(3, Command.VERSION, Version().pack())


class House:
    """A lobby on a socket, looked at by hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(os.fspath(path))
        self.listening.listen(32)
        self.wake = WakePipe()
        self.lobby = Lobby(self.listening, self.wake.fd, Connection, logging.getLogger(__name__))
        self.peers: list[socket.socket] = []

    def come(self, said: bytes = b"") -> socket.socket:
        """Connect and say something; the lobby has heard it then."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(1)
        peer.connect(os.fspath(self.path))
        self.peers.append(peer)
        assert self.lobby.look(), "it has come"
        if said:
            peer.sendall(said)
            self.lobby.look()
        return peer

    @property
    def readable(self) -> bool:
        return bool(select.select([self.lobby.fd], [], [], 0)[0])

    def close(self) -> None:
        self.lobby.close()
        self.listening.close()
        self.wake.close()
        for peer in self.peers:
            peer.close()


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    made = House(folder / "s")
    yield made
    made.close()


def test_the_seat_goes_in_the_order_of_coming_to_those_who_have_said_version(house: House) -> None:
    silent = house.come()
    house.come(VERSION)
    house.come(VERSION)
    assert house.lobby.waiting == 2
    first, second = house.lobby.next(), house.lobby.next()
    assert first is not None
    assert second is not None
    assert first.header.id == 3
    assert house.lobby.next() is None
    silent.sendall(VERSION)
    house.lobby.look()
    third = house.lobby.next()
    assert third is not None
    for arrival in (first, second, third):
        arrival.connection.close()


def test_who_waits_keeps_nobody_awake(house: House) -> None:
    house.come(VERSION)
    house.come(VERSION[:20])
    assert not house.readable
    assert house.lobby.timeout_s is not None
    house.wake.wake()
    assert house.readable


def test_those_who_have_said_version_have_no_deadline(house: House) -> None:
    house.come(VERSION)
    assert house.lobby.timeout_s is None


@pytest.mark.parametrize("said", [b"", HEADER.pack(1, 1, 400, 0, 0) + b"{"], ids=["nothing", "a part"])
def test_the_silent_are_hung_up_on(house: House, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = house.come(said)
    later = time.monotonic() + lobby.SILENCE_S
    monkeypatch.setattr(time, "monotonic", lambda: later)
    house.lobby.look()
    monkeypatch.undo()
    assert silent.recv(1) == b""
    assert house.lobby.timeout_s is None


WRONG = {
    "no version": codec.request(1, Command.GET_INFO, bytes(16)),
    "version 1.0": codec.request(1, Command.VERSION, Version(1).pack()),
    "a reply": codec.request(1, Command.VERSION, Version().pack(), flags=codec.REPLY),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_wrong_words_are_refused_and_hung_up_on(house: House, what: str) -> None:
    peer = house.come(WRONG[what])
    header = codec.Header.read(peer.recv(100))
    assert (header.id, header.failed, header.error) == (1, True, errno.EINVAL)
    assert peer.recv(1) == b""


def test_who_wants_no_reply_is_hung_up_on_without(house: House) -> None:
    assert house.come(codec.request(1, Command.GET_INFO, flags=codec.NO_REPLY)).recv(1) == b""


def test_who_leaves_is_forgotten_whether_it_has_spoken_or_not(house: House) -> None:
    before = open_descriptors()
    for said in (b"", VERSION[:8], VERSION):
        house.come(said).close()
        house.lobby.look()
        assert house.lobby.next() is None
        assert not house.readable
    assert open_descriptors() == before


def test_descriptors_beside_a_version_are_refused_and_closed(house: House) -> None:
    peer = house.come()
    before = open_descriptors()
    socket.send_fds(peer, [VERSION], [0, 1, 2])
    house.lobby.look()
    assert codec.Header.read(peer.recv(100)).failed
    assert open_descriptors() == before - 1, "its connection is closed too"


def test_one_too_many_pushes_out_the_oldest_silent_one(house: House) -> None:
    spoken = house.come(VERSION)
    silent = [house.come() for _ in range(MOST - 1)]
    house.come(VERSION)
    assert silent[0].recv(1) == b""
    assert house.lobby.waiting == 2
    silent[1].settimeout(0)
    with pytest.raises(BlockingIOError):
        silent[1].recv(1)
    spoken.settimeout(0)
    with pytest.raises(BlockingIOError):
        spoken.recv(1)


def test_if_all_have_spoken_one_more_is_turned_away(house: House) -> None:
    for _ in range(MOST):
        house.come(VERSION)
    late = socket.socket(socket.AF_UNIX)
    late.settimeout(1)
    late.connect(os.fspath(house.path))
    assert not house.lobby.look()
    assert late.recv(1) == b""
    late.close()
    assert house.lobby.waiting == MOST


class Full:
    """A listening socket on a host without descriptors."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.full = True

    def accept(self) -> tuple[socket.socket, object]:
        if self.full:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listening.accept()

    def fileno(self) -> int:
        return self._listening.fileno()


def test_a_host_without_descriptors_is_told_of_once_and_tried_again(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Full(house.listening)
    monkeypatch.setattr(house.lobby, "_listening", full)
    monkeypatch.setattr(lobby, "BREATH_S", 0.02)
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(os.fspath(house.path))
    house.peers.append(peer)
    for _ in range(3):
        assert not house.lobby.look()
        assert not house.readable, "it does not spin meanwhile"
        assert house.lobby.timeout_s is not None
        select.select([], [], [], house.lobby.timeout_s)
        house.lobby.look()
        assert house.readable
    assert [line for line in caplog.messages if "cannot accept" in line] == caplog.messages
    assert len(caplog.messages) == 1
    full.full = False
    assert house.lobby.look()


def test_without_descriptors_the_oldest_silent_one_goes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = house.come()
    monkeypatch.setattr(house.lobby, "_listening", Full(house.listening))
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(os.fspath(house.path))
    house.peers.append(peer)
    house.lobby.look()
    assert silent.recv(1) == b""


def test_a_connected_socket_alone_is_a_lobby_that_ends() -> None:
    wake = WakePipe()
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    alone = Lobby(None, wake.fd, Connection, logging.getLogger(__name__))
    assert alone.over
    alone.admit(ours)
    assert not alone.over
    theirs.sendall(VERSION)
    alone.look()
    arrival = alone.next()
    assert arrival is not None
    assert alone.over
    arrival.connection.close()
    theirs.close()
    alone.close()
    wake.close()
