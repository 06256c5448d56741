# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve` as a process: what it says, how a signal ends it, two on one path."""

import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plx9x5x.transport import libvfio
from plx9x5x.transport.wire.client import VfioUserClient
from tests.transport.fake_device import CONFIG


class Serve:
    """`plx9x5x serve` as a process of its own."""

    def __init__(self, path: Path, library: Path, *options: str) -> None:
        root = Path(libvfio.__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, root, "serve", "--socket-path", path, "--libvfio-user", library, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until_ready(self) -> str:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("listening on "):
                return "".join(lines)
        raise AssertionError(f"never ready: {self.process.communicate()}")


@pytest.mark.parametrize(
    ("client", "number", "code"),
    [
        ("none", signal.SIGTERM, 0),
        ("idle", signal.SIGTERM, 0),
        ("idle", signal.SIGINT, 130),
        ("idle", signal.SIGHUP, 129),
        ("silent", signal.SIGINT, 130),
    ],
)
def test_serve_ends_at_a_signal(
    folder: Path, library_path: Path, number: signal.Signals, code: int, client: str
) -> None:
    path = folder / "s"
    serve = Serve(path, library_path)
    said = serve.until_ready()
    assert f"listening on {path}\n" in said
    assert "share=on" in said
    assert "x-msg-timeout" in said
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = None if client == "none" else VfioUserClient(path, negotiate=client == "idle")
    if connection is not None and client == "idle":
        assert connection.read(CONFIG, 0) == 0x960110B5
    if client == "silent":
        time.sleep(0.1)
    begin = time.monotonic()
    serve.process.send_signal(number)
    out, err = serve.process.communicate(timeout=20)
    told = [line for line in err.splitlines() if not line.endswith(("client connected", "client left"))]
    assert (serve.process.returncode, told) == (code, []), out
    assert time.monotonic() - begin < 2
    assert not path.exists()
    if connection is not None:
        connection.close()


def test_serve_whose_findings_could_not_be_written_says_so_by_its_end(folder: Path, library_path: Path) -> None:
    serve = Serve(folder / "s", library_path, "--summary", "/dev/full")
    serve.until_ready()
    VfioUserClient(folder / "s").close()
    assert serve.process.stderr is not None
    while "could not be written: No space left" not in serve.process.stderr.readline():
        pass
    serve.process.send_signal(signal.SIGTERM)
    serve.process.communicate(timeout=20)
    assert serve.process.returncode == 74


def test_two_serves_on_one_path_do_not_fight(folder: Path, library_path: Path) -> None:
    first = Serve(folder / "s", library_path)
    first.until_ready()
    second = Serve(folder / "s", library_path)
    _, err = second.process.communicate(timeout=20)
    assert second.process.returncode == 69
    assert "error: another server listens" in err
    assert "hint: " in err
    with VfioUserClient(folder / "s") as client:
        assert client.read(CONFIG, 0) == 0x960110B5
    first.process.terminate()
    first.process.communicate(timeout=20)
    assert first.process.returncode == 0
