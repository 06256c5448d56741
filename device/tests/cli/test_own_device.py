# SPDX-License-Identifier: Apache-2.0
"""`serve --device`: a device of one's own by the same door as a board, and who is named when it fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plx9x5x.cli import main as main_module
from plx9x5x.errors import LostVm
from plx9x5x.findings import kept
from plx9x5x.lab.host.server import DeviceServer, device_backend
from plx9x5x.lab.trial import NothingToTry, TrySpec, image, parse
from plx9x5x.lab.trial.image import NoDevice, _own_ids
from plx9x5x.lab.trial.once import _absolute
from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.codec import Refused
from tests.own.devices import ADDRESS, ASK, FOLDER, LINE

DEVICES = f"{FOLDER}/devices.py"
TRANSPORTS = pytest.mark.parametrize("carrier", ["wire", "auto"])


@contextmanager
def serving(tmp_path: Path, name: str, *options: str) -> Iterator[DeviceServer]:
    backend = device_backend(f"{DEVICES}:{name}", *options)
    with DeviceServer.start(backend=backend, logs=tmp_path) as server:
        yield server.wait_ready()


@TRANSPORTS
def test_it_is_served_as_a_board_is(tmp_path: Path, carrier: str) -> None:
    summary = tmp_path / "kept.jsonl"
    with serving(tmp_path, "Mover", "--transport", carrier, "--summary", str(summary)) as server:
        said = server.output()
        assert f"device {DEVICES}:Mover, on version 1.0 of the kit" in said
        assert "vfio-user-pci" in said
        assert "\njail: no_new_privs" in said
        with VfioUserClient(server.socket_path) as client:
            client.write(0, ADDRESS, 5)
            client.write(0, LINE, 1)
            assert client.read(0, ADDRESS) == 5
        assert server.trouble() is None
    counted = [record["device"] for record in kept.records(summary)]
    assert {"reads": 1, "writes": 2, "from_memory": 0, "to_memory": 0, "aborts": 0, "inta_asserted": 1} in counted
    assert "1 read and 2 writes of its BARs" in server.output()


@TRANSPORTS
def test_who_fails_while_it_is_served_is_named_and_no_bug_of_ours(tmp_path: Path, carrier: str) -> None:
    with serving(tmp_path, "Divides", "--transport", carrier) as server:
        with VfioUserClient(server.socket_path) as client, pytest.raises(Refused):
            client.read(0, ASK)
        trouble = server.trouble()
    assert trouble is not None
    assert f"{DEVICES}:Divides: " in trouble
    assert "in quotient, called from" in trouble
    assert "ZeroDivisionError" in trouble
    assert "bug" not in server.output()


def test_what_was_started_and_ended_otherwise_blames_the_device_first(tmp_path: Path) -> None:
    with serving(tmp_path, "Mover") as server:
        os.kill(server.pid, signal.SIGSEGV)
        trouble = server.trouble()
    assert trouble is not None
    assert trouble.endswith("look at the device's code first")


def test_a_device_that_cannot_be_made_ends_with_2_and_its_place() -> None:
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", "/nowhere", "--device", f"{DEVICES}:raises"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {DEVICES}:raises makes no device: ")
    assert "in raises: ValueError: not today\n" in done.stderr


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (["--trace", "t"], "--trace does not go with --device"),
        (["--fault", "lost interrupt once"], "--fault does not go with --device"),
        (["--bus", "33x32"], "--bus does not go with --device"),
        (["--quiet-aborts"], "--quiet-aborts does not go with --device"),
        (["--set", "rate=1"], "--set does not go with --device"),
        (["--time-scale", "2"], "--time-scale does not go with --device"),
        (["--time-scale", "1"], "--time-scale does not go with --device"),
        (["--max-time-step", "0"], "--max-time-step does not go with --device"),
        (["--bus", ""], "--bus does not go with --device"),
        (["--seed", "5"], "--seed does not go with --device"),
        (["--seed", "0"], "--seed does not go with --device"),
    ],
)
def test_what_only_a_board_has_is_refused(option: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main_module.main(["serve", "--socket-path", "/no/such/folder/s", "--device", f"{DEVICES}:Mover", *option]) == 2
    )
    assert says in capsys.readouterr().err


def test_a_board_and_a_device_are_two_servers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main_module.main(["serve", "--board", "hpdi32", "--device", "x:y"])
    assert "not allowed with" in capsys.readouterr().err


def test_try_asks_a_device_who_it_is() -> None:
    assert _own_ids(f"{DEVICES}:Mover") == "1234:5678"
    with pytest.raises(NoDevice, match="in raises: ValueError: not today"):
        _own_ids(f"{DEVICES}:raises")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import os\nos._exit(0)\n", "odd.py:device: its process ended with 0, and it did not say who it is"),
        ("import os\nos._exit(7)\n", "odd.py:device: its process ended with 7, and it did not say"),
        (
            "import os\nos.kill(os.getpid(), 11)\n",
            r"odd.py:device: \S*odd.py:2, in <module>: Segmentation fault, and it",
        ),
        ("import os\nprint('1234:5678', flush=True)\nos._exit(0)\n", "ended with 0, and it did not say who it is"),
        ("import os\nos.write(1, b'1234:5678\\n')\nos._exit(0)\n", "ended with 0, and it did not say who it is"),
        (  # into whatever is open, who it is to be said through included
            "import contextlib, os\nfor fd in range(1, 64):\n    with contextlib.suppress(OSError):\n"
            "        os.write(fd, b'panic=1\\n')\nos._exit(0)\n",
            "odd.py:device: its process ended with 0, and it did not say who it is",
        ),
        ("import sys\nsys.exit(0)\n", r"odd.py:2, in <module>: SystemExit: 0"),
        ("raise MemoryError\n", r"odd.py:1, in <module>: MemoryError"),
    ],
)
def test_a_device_that_does_not_say_who_it_is_is_told_by_its_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "odd.py").write_text(text, encoding="utf-8")
    with pytest.raises(NoDevice, match=says):
        _own_ids(f"{tmp_path}/odd.py:device")


def test_what_a_device_prints_does_not_get_into_the_guests_command_line(tmp_path: Path) -> None:
    (tmp_path / "talks.py").write_text(
        "import atexit, sys\nfrom tests.own.devices import Mover as device\n"
        "print('init=/bin/sh')\natexit.register(print, 'panic=1')\n",
        encoding="utf-8",
    )
    assert _own_ids(f"{tmp_path}/talks.py:device") == "1234:5678"


@pytest.mark.parametrize("where", ["module", "constructor"])
def test_one_that_ends_the_server_before_there_is_one_is_told(tmp_path: Path, where: str) -> None:
    body = "sys.exit()" if where == "module" else "def device(bus, irq):\n    sys.exit()"
    (tmp_path / "leaves.py").write_text(f"import sys\n{body}\n", encoding="utf-8")
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", f"{tmp_path}/s", "--device"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*argv, f"{tmp_path}/leaves.py:device"], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 2
    assert "leaves.py:" in done.stderr
    assert "SystemExit" in done.stderr


@TRANSPORTS
@pytest.mark.parametrize(("name", "says"), [("Leaves", "in read: SystemExit: 3"), ("Hungry", "in read: MemoryError")])
def test_what_ends_a_server_is_the_devices_line(tmp_path: Path, carrier: str, name: str, says: str) -> None:
    with serving(tmp_path, name, "--transport", carrier) as server:
        with VfioUserClient(server.socket_path) as client, pytest.raises(Refused):
            client.read(0, ASK)
        trouble = server.trouble()
    assert trouble is not None
    assert says in trouble
    assert "; in read(bar=0, offset=0xc, width=4)" in trouble


def test_a_vector_is_said_to_be_beside_what_the_device_has(tmp_path: Path) -> None:
    with serving(tmp_path, "Mover", "--transport", "wire", "--msix") as server:
        assert "msix: one vector beside INTA#, which the device itself has not" in server.output()


def test_a_device_that_is_never_made_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_MAKES_S", 0.5)
    (tmp_path / "slow.py").write_text("import time\n\n\ndef device(bus, irq):\n    time.sleep(60)\n", encoding="utf-8")
    with pytest.raises(NoDevice, match=r"was not made within 0\.5 s"):
        _own_ids(f"{tmp_path}/slow.py:device")


def test_cards_of_a_trial_are_boards_and_then_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = _absolute(TrySpec(parse(["x"]), boards=("a",), devices=("it.py:B", "c.d:E")))
    assert spec.cards == ("a", f"{tmp_path}/it.py:B", "c.d:E")
    assert [spec.device(number) for number in (1, 2, 3)] == [None, f"{tmp_path}/it.py:B", "c.d:E"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "a guest without a card"),
        ({"devices": ("a:b",), "faults": ("lost interrupt once",)}, "--fault lets a PLX card fail"),
        ({"devices": ("a:b",), "trace": Path("t")}, "--trace is what a PLX card tells"),
    ],
)
def test_a_trial_refuses_what_its_cards_do_not_have(options: dict[str, object], says: str) -> None:
    with pytest.raises(NothingToTry, match=says):
        _absolute(TrySpec(parse(["x"]), boards=(), **options))  # type: ignore[arg-type]


def test_a_server_that_is_not_there_in_time_is_lost(tmp_path: Path) -> None:
    with (
        DeviceServer.start(backend=device_backend(f"{DEVICES}:Mover"), logs=tmp_path) as server,
        pytest.raises(LostVm),
    ):
        server.wait_ready(limit_s=0)
