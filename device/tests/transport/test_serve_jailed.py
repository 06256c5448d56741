# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x serve` is in the jail unless told otherwise, and works there: a board of another package, traces, its end."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plx9x5x import jail
from plx9x5x.trace.regtrace import ConfigWrite, parse
from plx9x5x.transport.wire.client import VfioUserClient

CONFIG = 7

BOARD = """
import dataclasses, socket
from plx9x5x.board import Window
from plx9x5x.boards.rdk_9656_lite import BOARD as REFERENCE

def refusal(attempt):
    try:
        attempt()
    except OSError as exc:
        return exc.errno
    return 0

class Probe:
    size = 128 << 10
    def read(self, offset, length):
        from inmate import late
        answers = (lambda: late.VALUE, lambda: refusal(lambda: open("/etc/passwd")), lambda: refusal(socket.socket))
        return answers[offset // 4]().to_bytes(length, "little")
    def write(self, offset, data):
        pass
    def view(self, offset, length):
        return None

BOARD = dataclasses.replace(REFERENCE, name="inmate", windows=(Window("probe", 0, Probe),))
"""


@contextmanager
def serving(
    path: Path, library: Path, *options: object, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server that listens, and what it said until then."""
    argv = ["-m", "plx9x5x", "serve", "--socket-path", path, "--libvfio-user", library, *options]
    with subprocess.Popen(
        [sys.executable, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    ) as server:
        try:
            assert server.stdout is not None
            said = []
            for line in server.stdout:
                said.append(line)
                if line.startswith("listening on "):
                    break
            yield server, "".join(said)
        finally:
            server.kill()


def kernel_says(pid: int | str) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_serve_is_jailed_by_default(folder: Path, library_path: Path) -> None:
    with serving(folder / "s", library_path) as (server, said):
        assert jail.offered().describe() in said.splitlines()
        there = kernel_says(server.pid)
        assert there["NoNewPrivs"] == "1"
        assert there["Seccomp"] == "2" or not jail.offered().seccomp
        (files,) = [
            line for line in Path(f"/proc/{server.pid}/limits").read_text().splitlines() if "open files" in line
        ]
        assert int(files.split()[4]) <= jail.MAX_FILES


def test_no_jail_leaves_it_out(folder: Path, library_path: Path) -> None:
    with serving(folder / "s", library_path, "--no-jail") as (server, said):
        assert "jail: none (--no-jail)" in said.splitlines()
        there, ours = kernel_says(server.pid), kernel_says("self")
        assert [there[name] for name in ("NoNewPrivs", "Seccomp")] == [ours[name] for name in ("NoNewPrivs", "Seccomp")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_trace_in_another_folder_is_whole_at_the_end_and_the_socket_gone(
    folder: Path, tmp_path: Path, library_path: Path, number: signal.Signals, code: int
) -> None:
    trace = tmp_path / "trace"
    with serving(folder / "s", library_path, "--trace", trace) as (server, _):
        with VfioUserClient(folder / "s") as client:
            client.write(CONFIG, 4, 7, 2)
        server.send_signal(number)
        _, complaints = server.communicate(timeout=20)
    assert (server.returncode, "Traceback" in complaints) == (code, False), complaints
    assert ConfigWrite(4, 2, 7) in map(parse, trace.read_text().splitlines())
    assert (list(folder.iterdir()), list(tmp_path.iterdir())) == ([], [trace])


def test_a_board_of_another_package_imports_late_and_finds_the_world_shut(folder: Path, library_path: Path) -> None:
    for name, text in {
        "inmate/__init__.py": BOARD,
        "inmate/late.py": "VALUE = 0x600D",
        "inmate-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: inmate\nVersion: 1\n",
        "inmate-1.dist-info/entry_points.txt": "[plx9x5x.boards]\ninmate = inmate:BOARD\n",
    }.items():
        (folder / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "site" / name).write_text(text)
    path = os.pathsep.join((str(folder / "site"), os.environ.get("PYTHONPATH", "")))
    with (
        serving(folder / "s", library_path, "--board", "inmate", PYTHONPATH=path.rstrip(os.pathsep)),
        VfioUserClient(folder / "s") as client,
    ):
        client.write(CONFIG, 4, 7, 2)
        assert client.read(2, 0) == 0x600D
        assert client.read(2, 4) == (errno.EACCES if jail.offered().landlock else 0)
        assert client.read(2, 8) == (errno.EPERM if jail.offered().seccomp else 0)


def test_nobody_who_reads_is_no_fault_of_the_jail(folder: Path, library_path: Path) -> None:
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--socket-path", folder / "s", "--libvfio-user", library_path]
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(argv, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr, list(folder.iterdir())) == (141, "", [])
