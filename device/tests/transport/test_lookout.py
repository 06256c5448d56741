# SPDX-License-Identifier: Apache-2.0
"""A client that waits for another to leave is told of once, on either plane, and costs nothing."""

import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from plx9x5x.transport.lookout import SECOND_CLIENT, Lookout
from plx9x5x.transport.wake_pipe import WakePipe
from plx9x5x.transport.wire.client import SharedRam, VfioUserClient
from plx9x5x.units import KIB
from tests.transport.conftest import Served
from tests.transport.fake_device import MEMORY
from tests.transport.test_libvfio import copy, until


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


def told(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.messages.count(SECOND_CLIENT)


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


def test_a_second_client_is_told_of_although_the_device_never_rests(
    served: Served, client: VfioUserClient, caplog: pytest.LogCaptureFixture
) -> None:
    ram = SharedRam(64 * KIB)
    client.map(0, 64 * KIB, ram.fd)
    copy(client, 0, 32 * KIB, 32 * KIB, start=2)
    second = VfioUserClient(served.path, negotiate=False)
    until(lambda: told(caplog) == 1)
    second.close()


def test_one_client_after_the_other_is_no_news(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        with served.client() as one:
            one.read(MEMORY, 0)
        until(lambda: served.server.memory.ranges == ())
    assert told(caplog) == 0
