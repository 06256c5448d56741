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
from plx9x5x.transport.alone import NoFactory, find, main

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
    with pytest.raises(NoFactory, match=says):
        find(factory)
    with (
        DeviceServer.start(backend=device_backend(factory), logs=tmp_path) as server,
        pytest.raises(SetupError, match=says),
    ):
        server.wait_ready()


def test_a_factory_whose_module_does_not_run_is_explained(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(NoFactory, match="ZeroDivisionError"):
        find(f"{tmp_path}/wrong.py:X")


def test_a_file_that_is_called_as_a_module_of_pythons_own_does_not_replace_it(tmp_path: Path) -> None:
    before = sys.modules["struct"]
    (tmp_path / "struct.py").write_text("def device(bus, irq): ...\n", encoding="utf-8")
    assert callable(find(f"{tmp_path}/struct.py:device"))
    assert sys.modules["struct"] is before


def test_a_socket_that_cannot_be_had_is_69(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main([f"{ADDER}:Adder", "--socket-path", str(tmp_path / "no" / "folder" / "s")]) == 69
        assert main(["nothing", "--socket-path", str(tmp_path / "s")]) == 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err.count("error: ") == 2
