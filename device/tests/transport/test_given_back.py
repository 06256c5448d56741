# SPDX-License-Identifier: Apache-2.0
"""What a client of the wire costs is given back when it leaves, and not when Python next looks for circles."""

import gc
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.server import WireServer
from tests.transport.conftest import Served


@pytest.fixture
def circles_stay() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("circles_stay")
def test_session_and_inbox_go_with_their_client(folder: Path, native: bool) -> None:
    served = Served(folder / "s", None, native=native)
    served.start()
    try:
        with VfioUserClient(folder / "s") as client:
            client.info()
            server = served.server
            assert isinstance(server, WireServer)
            assert server._session is not None
            assert server._connection is not None
            kept = {"session": weakref.ref(server._session), "inbox": weakref.ref(server._connection.inbox)}
        end = time.monotonic() + 5
        while left := [name for name, ref in kept.items() if ref() is not None]:
            assert time.monotonic() < end, f"still there: {left}"
            time.sleep(0.002)
    finally:
        served.close()
