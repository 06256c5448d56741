# SPDX-License-Identifier: Apache-2.0
"""What ends a wait beside the messages: somebody wakes us, or another client connects."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plx9x5x.transport.lookout import Lookout
from plx9x5x.transport.wake_pipe import WakePipe


@pytest.fixture
def wake() -> Iterator[WakePipe]:
    pipe = WakePipe()
    yield pipe
    pipe.close()


@pytest.fixture
def lookout(wake: WakePipe) -> Iterator[Lookout]:
    made = Lookout(wake)
    yield made
    made.close()


def readable(lookout: Lookout) -> bool:
    return bool(select.select([lookout.fd], [], [], 0)[0])


def test_somebody_who_wakes_is_seen_once(wake: WakePipe, lookout: Lookout) -> None:
    assert not readable(lookout)
    wake.wake()
    assert readable(lookout)
    assert not lookout.look()
    assert not readable(lookout)


def test_each_client_that_connects_is_seen_once_and_one_that_was_accepted_never(
    wake: WakePipe, lookout: Lookout, folder: Path
) -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(os.fspath(folder / "s"))
        listening.listen(4)
        lookout.listen(listening.fileno())

        def connect() -> None:
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(os.fspath(folder / "s"))

        connect()
        listening.accept()[0].close()
        assert not readable(lookout)
        assert not lookout.look()
        for _ in range(2):
            connect()
            assert readable(lookout)
            assert lookout.look()
            assert not readable(lookout)
            assert not lookout.look()
        wake.wake()
        assert not lookout.look(), "those who wait already are no news"
