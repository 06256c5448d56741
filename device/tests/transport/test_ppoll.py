# SPDX-License-Identifier: Apache-2.0
"""Waits to the nanosecond, for any descriptor, whatever signals come meanwhile."""

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Iterator

import pytest

from plx9x5x.transport.ppoll import NanoPoll

ABOVE_SELECT = 1100
US, MS = 1000, 1_000_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """So many open that the next one is no longer select's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * ABOVE_SELECT, hard), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(ABOVE_SELECT):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


def test_what_is_ready_is_named_and_the_rest_is_not(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    poll = NanoPoll()
    poll.register(reader)
    assert poll.poll(0) == []
    poll.register(writer, select.POLLOUT)
    assert poll.poll(None) == [(writer, select.POLLOUT)]
    os.write(writer, b"x")
    assert poll.poll(None) == [(reader, select.POLLIN), (writer, select.POLLOUT)]
    poll.unregister(writer)
    assert poll.poll(10**18) == [(reader, select.POLLIN)]


@pytest.mark.parametrize("wait", [0, -1, 50 * US, 3 * MS])
def test_a_wait_ends_in_time_and_not_early(pipe: tuple[int, int], wait: int) -> None:
    poll = NanoPoll()
    poll.register(pipe[0])
    took = []
    for _ in range(5):
        began = time.monotonic_ns()
        assert poll.poll(wait) == []
        took.append(time.monotonic_ns() - began)
    assert min(took) >= wait
    assert min(took) < wait + MS, "below the millisecond that poll(2) knows"


@pytest.mark.parametrize("wait", [None, 10**9])
def test_a_closed_descriptor_is_an_event(wait: int | None) -> None:
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    poll = NanoPoll()
    poll.register(fd)
    assert poll.poll(wait) == [(fd, select.POLLNVAL)]


def test_a_signal_runs_its_handler_and_the_wait_goes_on(pipe: tuple[int, int]) -> None:
    heard: list[float] = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(time.monotonic()))
    poll = NanoPoll()
    poll.register(pipe[0])
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        began = time.monotonic()
        assert poll.poll(40 * MS) == []
        assert time.monotonic() - began >= 0.04
        assert heard
        assert heard[0] - began < 0.03, "it runs at once, not at the end"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("wait", [None, 10**10])
def test_a_handler_that_raises_ends_the_wait(pipe: tuple[int, int], wait: int | None) -> None:
    def enough(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, enough)
    poll = NanoPoll()
    poll.register(pipe[0])
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        with pytest.raises(InterruptedError):
            poll.poll(wait)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("many_descriptors")
def test_descriptors_beyond_selects_are_waited_for(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    assert reader > 1023
    poll = NanoPoll()
    poll.register(reader)
    assert poll.poll(0) == []
    os.write(writer, b"x")
    assert poll.poll(None) == poll.poll(10**9) == [(reader, select.POLLIN)]
