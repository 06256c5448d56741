# SPDX-License-Identifier: Apache-2.0
"""Bytes to messages: both inboxes give the same, however the stream is cut, and close what nobody took."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plx9x5x.plane.line import NativeLine
from plx9x5x.plane.serving import NativeServing
from plx9x5x.transport.wire import codec
from plx9x5x.transport.wire.codec import HEADER, MAX_BODY, MAX_FDS, FramingLost
from plx9x5x.transport.wire.hot import NativeInbox, taker
from plx9x5x.transport.wire.inbox import Inbox, SocketInbox
from tests.length import tries
from tests.transport.support import open_descriptors, send_with

Taken = list[tuple[int, bytes, int, bool]]


@pytest.fixture(scope="module")
def serving() -> NativeServing:
    return NativeServing(take=taker(), wake_fd=-1, batch=64, budget=1 << 16, line=NativeLine())


@pytest.fixture(params=["socket", "native"])
def make(request: pytest.FixtureRequest, serving: NativeServing) -> Callable[[socket.socket], Inbox]:
    return SocketInbox if request.param == "socket" else lambda peer: NativeInbox(peer, serving)


class Pair:
    """A sender and an inbox."""

    def __init__(self, make: Callable[[socket.socket], Inbox]) -> None:
        self.sender, self.receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.receiver.setblocking(False)
        self.inbox = make(self.receiver)

    def taken(self) -> Taken:
        """All messages that are there: (id, body, descriptors, torn); the descriptors are closed."""
        found: Taken = []
        while True:
            while (message := self.inbox.next()) is not None:
                found.append((message.header.id, bytes(message.body), len(message.fds), message.torn))
                message.close()
            try:
                if not self.inbox.fill():
                    return found
            except BlockingIOError:
                return found

    def close(self) -> None:
        self.inbox.close()
        self.sender.close()
        self.receiver.close()


@pytest.fixture
def pair(make: Callable[[socket.socket], Inbox]) -> Iterator[Pair]:
    made = Pair(make)
    yield made
    made.close()


@settings(max_examples=tries(15, 40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 3)), min_size=1, max_size=8),
    st.lists(st.integers(1, 60), max_size=12),
)
def test_both_inboxes_take_the_same_from_any_cuts(
    serving: NativeServing, messages: list[tuple[bytes, int]], cuts: list[int]
) -> None:
    """Each message is sent with its descriptors, in pieces; the inbox is looked at after each."""
    expected: Taken = [(n, body, fds, False) for n, (body, fds) in enumerate(messages)]
    before = open_descriptors()
    for kind in (SocketInbox, lambda peer: NativeInbox(peer, serving)):
        pair = Pair(kind)
        found: Taken = []
        for n, (body, fds) in enumerate(messages):
            data = codec.request(n, 1, body)
            cut = cuts[n % len(cuts)] if cuts else len(data)
            socket.send_fds(pair.sender, [data[:cut]], [0] * fds)
            if n % 2:
                found += pair.taken()
            if data[cut:]:
                pair.sender.sendall(data[cut:])
        found += pair.taken()
        assert found == expected
        assert not pair.inbox.partial
        pair.close()
    assert open_descriptors() == before


def test_a_message_byte_by_byte_is_whole_with_its_last(pair: Pair) -> None:
    data = codec.request(5, 1, b"12345678")
    for n, byte in enumerate(data):
        assert pair.taken() == []
        assert pair.inbox.partial == (n > 0)
        pair.sender.sendall(bytes([byte]))
    assert pair.taken() == [(5, b"12345678", 0, False)]
    assert not pair.inbox.partial


def test_the_largest_message_is_taken_and_one_byte_more_ends_the_stream(pair: Pair) -> None:
    data = codec.request(1, 1, bytes(MAX_BODY))
    found: Taken = []
    for at in range(0, len(data), 1 << 15):
        pair.sender.sendall(data[at : at + (1 << 15)])
        found += pair.taken()
    assert [(number, len(body)) for number, body, _, _ in found] == [(1, MAX_BODY)]
    pair.sender.sendall(HEADER.pack(1, 1, len(data) + 1, 0, 0))
    with pytest.raises(FramingLost):
        pair.taken()


def test_a_size_less_than_a_header_ends_the_stream(pair: Pair) -> None:
    pair.sender.sendall(HEADER.pack(1, 1, 15, 0, 0))
    with pytest.raises(FramingLost):
        pair.taken()


def test_16_descriptors_are_taken_and_more_are_torn(pair: Pair) -> None:
    before = open_descriptors()
    for count in (MAX_FDS, MAX_FDS + 1, 253):
        send_with(pair.sender, codec.request(count, 1), [0] * count)
    pair.sender.sendall(codec.request(1, 1))
    first, *torn, last = pair.taken()
    assert first == (MAX_FDS, b"", MAX_FDS, False)
    assert [(number, lost) for number, _, _, lost in torn] == [(MAX_FDS + 1, True), (253, True)]
    assert last == (1, b"", 0, False)
    assert open_descriptors() == before


def test_descriptors_of_many_pieces_are_bounded(pair: Pair) -> None:
    before = open_descriptors()
    data = codec.request(1, 1, bytes(64))
    for at in range(0, len(data), 8):
        socket.send_fds(pair.sender, [data[at : at + 8]], [0] * MAX_FDS)
    ((_, _, count, torn),) = pair.taken()
    assert torn
    assert count <= MAX_FDS
    assert open_descriptors() == before


def test_descriptors_of_a_message_that_never_comes_are_closed(make: Callable[[socket.socket], Inbox]) -> None:
    before = open_descriptors()
    pair = Pair(make)
    socket.send_fds(pair.sender, [b"\0" * 15], [0] * 10)
    assert pair.inbox.fill() == 15
    assert open_descriptors() == before + 12
    pair.close()
    assert open_descriptors() == before


def test_descriptors_do_not_outlive_a_program_that_is_started(pair: Pair) -> None:
    send_with(pair.sender, codec.request(1, 1), [0])
    pair.inbox.fill()
    message = pair.inbox.next()
    assert message is not None
    assert not os.get_inheritable(message.fds[0])
    message.close()


def test_of_messages_in_a_row_each_has_its_own(pair: Pair) -> None:
    """One of every two has descriptors, and all are there before anything is read."""
    with ExitStack() as stack:
        stack.callback(pair.inbox.close)
        for n in range(10):
            send_with(pair.sender, codec.request(n, 1, bytes(n)), [0] * (n % 2 * n))
        assert pair.taken() == [(n, bytes(n), n % 2 * n, False) for n in range(10)]


def test_the_end_is_nothing_that_was_read(pair: Pair) -> None:
    with pytest.raises(BlockingIOError):
        pair.inbox.fill()
    pair.sender.close()
    assert pair.inbox.fill() == 0
