# SPDX-License-Identifier: Apache-2.0
"""A device of one's own behind one command: it is found, served, and ended; a factory that is none is explained."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.host.server import DeviceServer, device_backend
from plx9x5x.transport.alone import find

ADDER = Path(__file__).parents[3] / "guest-tests/own_device.py"


def test_a_device_is_served_until_it_is_ended(tmp_path: Path) -> None:
    with DeviceServer.start(backend=device_backend(f"{ADDER}:Adder"), logs=tmp_path) as server:
        server.wait_ready()
        assert server.socket_path.is_socket()
        assert server.trouble() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "plx9x5x.transport.alone", f"{ADDER}:Adder", "--socket-path", tmp_path / "s"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        assert process.stdout.readline() == f"listening on {tmp_path / 's'}\n"
        process.send_signal(number)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("nothing", "names no factory"),
        (":x", "names no factory"),
        ("no.such.module:X", "ModuleNotFoundError: No module named 'no'"),
        ("json:nothing", "AttributeError"),
        ("json:__name__", "cannot be called"),
        ("/no/such/file.py:X", "FileNotFoundError"),
    ],
)
def test_a_factory_that_is_none_is_explained(tmp_path: Path, factory: str, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        find(factory)
    with (
        DeviceServer.start(backend=device_backend(factory), logs=tmp_path) as server,
        pytest.raises(SetupError, match=says) as refused,
    ):
        server.wait_ready()
    assert "name it as MODULE:NAME" in str(refused.value.hint)


def test_a_factory_whose_module_does_not_run_is_explained(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(SetupError, match="ZeroDivisionError"):
        find(f"{tmp_path}/wrong.py:X")
