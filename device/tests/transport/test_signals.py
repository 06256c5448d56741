# SPDX-License-Identifier: Apache-2.0
"""A signal that arrives while C works and is followed by silence ends the server all the same, on either plane."""

import os
import random
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from plx9x5x.plane.choice import NAMES
from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.codec import HEADER, Command
from tests.length import tries

ROUNDS = tries(1, 3)
POSTED = struct.pack("<QII", 0x84, 0, 4) + struct.pack("<I", 1)
WRITE = HEADER.pack(1, Command.REGION_WRITE, HEADER.size + len(POSTED), 0x10, 0) + POSTED


@pytest.mark.parametrize("plane", NAMES)
def test_sigterm_behind_a_burst_of_posted_writes_is_heard(plane: str, library_path: Path, folder: Path) -> None:
    dice = random.Random(1)
    for number in range(ROUNDS):
        path = folder / f"s{number}"
        argv = ["-m", "plx9x5x", "serve", "--socket-path", path, "--plane", plane, "--libvfio-user", library_path]
        with subprocess.Popen(
            [sys.executable, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
        ) as server:
            try:
                end = time.monotonic() + 20
                client = None
                while client is None:
                    assert time.monotonic() < end
                    with suppress(FileNotFoundError, ConnectionRefusedError):  # not bound, or bound and not listening
                        client = VfioUserClient(path)
                    time.sleep(0.005)
                with client:
                    client.write(7, 4, 7, 2)
                    client.socket.sendall(WRITE * 50)
                    until = time.perf_counter() + dice.random() * 2e-4
                    while time.perf_counter() < until:
                        pass
                    server.send_signal(signal.SIGTERM)
                    assert server.wait(10) == 0
            finally:
                server.kill()
