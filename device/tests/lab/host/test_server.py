# SPDX-License-Identifier: Apache-2.0
"""The device's server as a child, with a program that poses as it."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from plx9x5x.errors import LostVm, SetupError
from plx9x5x.lab.card import backend as server_module
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.host.server import DeviceServer

POSE = """
import sys, time, os
from pathlib import Path
Path(sys.argv[sys.argv.index("--socket-path") + 1]).touch()
how = sys.argv[sys.argv.index("--board") + 1]
if how == "refuses":
    print("error: no board is named 'x'\\nhint: name another", file=sys.stderr)
    sys.exit(69)
if how == "crashes":
    sys.exit("Traceback: boom")
if how == "slow":
    time.sleep(60)
if how == "stumbles":
    print("Traceback (most recent call last):\\n  File x\\nValueError: boom\\nmore", file=sys.stderr, flush=True)
if how in ("leaves", "good", "full"):
    import signal
    signal.signal(signal.SIGTERM, lambda *_: os._exit({"leaves": 70, "good": 0, "full": 74}[how]))
if how == "deaf":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("arguments", *sys.argv[1:])
print("board\\nlistening on PATH", os.environ["PLX9X5X_LIBVFIO_USER"], flush=True)
time.sleep(60)
"""


@pytest.fixture
def pose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has `python -m plx9x5x` run the posing program."""
    script = tmp_path / "pose.py"
    script.write_text(POSE)
    starter = tmp_path / "python"
    starter.write_text(f'#!/bin/sh\nshift 3\nexec {sys.executable} -I -S {script} "$@"\n')
    starter.chmod(0o755)
    monkeypatch.setattr(server_module.sys, "executable", str(starter))
    return tmp_path


def start(how: str, logs: Path) -> DeviceServer:
    return DeviceServer.start(backend=board_backend(how, libvfio_user=Path("/lib/x.so")), logs=logs)


def test_ready_server_has_its_library_and_leaves_nothing(pose: Path) -> None:
    with start("good", pose).wait_ready() as server:
        assert server.alive
        assert "/lib/x.so" in server.output()
        assert server.socket_path.exists()
    assert not server.alive
    assert not server.socket_path.exists()


def test_server_is_told_where_to_write_its_trace(pose: Path) -> None:
    backend = board_backend("good", libvfio_user=Path("x"), trace=pose / "t")
    with DeviceServer.start(backend=backend, logs=pose).wait_ready() as server:
        assert f"--trace {pose / 't'}" in server.output()


def test_refusal_is_passed_on_with_its_hint(pose: Path) -> None:
    with start("refuses", pose) as server, pytest.raises(SetupError, match="no board is named") as caught:
        server.wait_ready()
    assert caught.value.hint == "name another"


def test_crash_at_the_start_is_told(pose: Path) -> None:
    with start("crashes", pose) as server, pytest.raises(LostVm, match=r"exit code 1\):\nTraceback: boom"):
        server.wait_ready()


@pytest.mark.parametrize(
    ("how", "trouble"),
    [
        ("good", None),
        ("plain", None),
        ("stumbles", "ValueError: boom; this is a bug of ours"),
        ("leaves", "it ended with exit code 70; this is a bug of ours"),
        ("full", "what it found could not be written: is the disk full?"),
    ],
)
def test_trouble_that_no_client_noticed_is_told(pose: Path, how: str, trouble: str | None) -> None:
    with start(how, pose).wait_ready() as server:
        assert server.trouble() == trouble
        assert not server.alive


@pytest.mark.parametrize(
    ("number", "how", "trouble"),
    [
        (signal.SIGKILL, "SIGKILL, sent by somebody, or by the kernel for lack of memory", True),
        (signal.SIGTERM, "exit code 0, as when somebody sends it SIGTERM", False),
        (signal.SIGUSR1, "SIGUSR1", True),
        (signal.SIGBUS, "SIGBUS, as when the file of the guest's memory is truncated or finds no room", True),
    ],
)
def test_a_server_that_somebody_ended_is_no_bug_of_ours(
    pose: Path, number: signal.Signals, how: str, trouble: bool
) -> None:
    with start("good", pose).wait_ready() as server:
        os.kill(server.pid, number)
        end = time.monotonic() + 10
        while server.alive:
            assert time.monotonic() < end
            time.sleep(0.002)
        assert server.how_it_ended().startswith(how)
        said = server.trouble()
        assert (said is not None) == trouble
        assert said is None or (said.startswith(f"it ended with {how}") and "bug of ours" not in said)


def test_a_crash_is_a_bug_of_ours(pose: Path) -> None:
    with start("good", pose).wait_ready() as server:
        os.kill(server.pid, signal.SIGSEGV)
        assert server.trouble() == "it ended with SIGSEGV; this is a bug of ours"


def test_a_server_that_does_not_end_at_sigterm_is_a_bug_of_ours(pose: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start("deaf", pose).wait_ready() as server:
        end = server._child.end
        monkeypatch.setattr(server._child, "end", lambda: end(grace_s=0.1))
        said = server.trouble()
        assert said == "it did not end at SIGTERM and had to be killed; this is a bug of ours"


def test_server_that_is_never_ready_is_given_up(pose: Path) -> None:
    with start("slow", pose) as server, pytest.raises(LostVm, match=r"not ready within 0\.1 s"):
        server.wait_ready(limit_s=0.1)


def test_socket_path_stays_short(pose: Path) -> None:
    deep = pose / ("d" * 120)
    deep.mkdir()
    with start("good", deep).wait_ready() as server:
        assert len(str(server.socket_path)) < 100
        folder = server.socket_path.parent
    assert not folder.exists()


def test_real_server_refuses_an_unknown_board(tmp_path: Path) -> None:
    with start("nonsense", tmp_path) as server, pytest.raises(SetupError, match="no board is named 'nonsense'"):
        server.wait_ready()
