# SPDX-License-Identifier: Apache-2.0
"""A served board whose own code goes wrong ends the server as a wrong board does, and what it logs is shown."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plx9x5x.trace.boardlog import MOST
from plx9x5x.transport.wire.client import VfioUserClient
from plx9x5x.transport.wire.codec import Refused

CONFIG, SPACE0 = 7, 2

BOARD = """
import dataclasses
import sys
from plx9x5x.board import Window
from plx9x5x.boards.rdk_9656_lite import BOARD as REFERENCE

class Odd:
    size = 128 << 10
    def plug(self, pins):
        self.pins = pins
        pins.demand(0, self.ready)
    def ready(self):
        return None
    def read(self, offset, length):
        if offset == 12:
            sys.exit()
        return bytes(length) if offset else self.table[offset]
    def write(self, offset, data):
        if offset == 4:
            self.pins.call_at(0, self.due)
        for n in range(data[0] << 8 if offset == 8 else 0):
            self.pins.log(f"line {n} \\n of some")
    def due(self):
        raise ValueError("not this time")
    def view(self, offset, length):
        return None

BOARD = dataclasses.replace(REFERENCE, name="odd", windows=(Window("teller", 0, Odd),))
"""


@pytest.fixture
def site(folder: Path) -> Path:
    for name, text in {
        "odd.py": BOARD,
        "odd-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: odd\nVersion: 1\n",
        "odd-1.dist-info/entry_points.txt": "[plx9x5x.boards]\nodd = odd:BOARD\n",
    }.items():
        (folder / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "site" / name).write_text(text)
    return folder / "site"


@contextmanager
def serving(site: Path, library: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    path = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", ""))).rstrip(os.pathsep)
    argv = [sys.executable, "-m", "plx9x5x", "serve", "--board", "odd", "--socket-path", site.parent / "s", *options]
    with (
        (site.parent / "said").open("w") as said,
        subprocess.Popen(
            [*argv, "--libvfio-user", library],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        ) as server,
    ):
        try:
            assert server.stdout is not None
            assert any(line.startswith("listening on ") for line in server.stdout)
            yield server
        finally:
            server.kill()


def read(client: VfioUserClient) -> None:
    client.read(SPACE0, 0)


def leave(client: VfioUserClient) -> None:
    client.read(SPACE0, 12)


def due(client: VfioUserClient) -> None:
    client.write(SPACE0, 4, 1)
    client.read(SPACE0, 8)
    client.read(SPACE0, 8)


def demand(client: VfioUserClient) -> None:
    for offset, value in ((0x80, 0x1043), (0x84, 0x10_0000), (0x88, 0), (0x8C, 16), (0x90, 8)):
        client.write(0, offset, value)
    client.write(0, 0xA8, 3, 1)
    client.read(0, 0x68)
    client.read(0, 0x68)


def drive(path: Path, do: Callable[[VfioUserClient], None]) -> None:
    with VfioUserClient(path) as client:
        client.write(CONFIG, 4, 7, 2)
        do(client)
        for _ in range(1000):
            client.read(0, 0x68)


WORDS = {
    read: "local window 'teller': read(0x0, 4) raised AttributeError: 'Odd' object has no attribute 'table' (",
    leave: "local window 'teller': read(0xc, 4) raised SystemExit (",
    due: "local window 'teller': Odd.due, called by call_at, raised ValueError: not this time (",
    demand: "local window 'teller': Odd.ready, DREQ# of channel 0, gave None, and not how many bytes may move",
}


@pytest.mark.parametrize("carrier", ["libvfio", "wire"])
@pytest.mark.parametrize("do", WORDS, ids=lambda do: do.__name__)
def test_an_error_in_a_board_ends_the_server_as_a_wrong_board(
    site: Path, library_path: Path, do: Callable[[VfioUserClient], None], carrier: str
) -> None:
    with serving(site, library_path, "--transport", carrier) as server:
        with pytest.raises((OSError, Refused)):
            drive(site.parent / "s", do)
        server.wait(timeout=20)
    said = (site.parent / "said").read_text()
    assert server.returncode == 69, said
    assert f"error: {WORDS[do]}" in said
    assert "hint: mend the package that the board comes from" in said
    assert "Traceback" not in said
    assert "bug in plx9x5x" not in said
    if "raised" in WORDS[do]:
        assert f"({site / 'odd.py'}:" in said


def test_what_a_board_logs_is_shown_with_verbose_and_is_bounded(site: Path, library_path: Path) -> None:
    with serving(site, library_path, "--verbose") as server:
        with VfioUserClient(site.parent / "s") as client:
            client.write(CONFIG, 4, 7, 2)
            client.write(SPACE0, 8, 255)
        with VfioUserClient(site.parent / "s") as client:
            client.write(CONFIG, 4, 7, 2)
            client.write(SPACE0, 8, 1)
        server.terminate()
        server.wait(timeout=20)
    said = (site.parent / "said").read_text()
    lines = [line.partition("plx9x5x.board: ")[2] for line in said.splitlines() if "plx9x5x.board: " in line]
    assert len(lines) == MOST + 1 + 256
    assert lines[0].startswith("odd, teller, ")
    assert lines[0].endswith(": line 0 of some")
    assert lines[MOST].startswith(f"odd has said {MOST} lines")
    assert lines[MOST + 1].endswith(": line 0 of some"), "the next client has all its lines"


def test_without_verbose_it_is_not_shown(site: Path, library_path: Path) -> None:
    with serving(site, library_path) as server:
        with VfioUserClient(site.parent / "s") as client:
            client.write(CONFIG, 4, 7, 2)
            client.write(SPACE0, 8, 1)
        server.terminate()
        server.wait(timeout=20)
    said = (site.parent / "said").read_text()
    assert "line 0" not in said
