# SPDX-License-Identifier: Apache-2.0
"""A signal ends `serve` at any moment of its start, with the right code, without a word and with nothing left."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plx9x5x.cli import ending, serve
from plx9x5x.cli import main as cli
from plx9x5x.transport.libvfio import LibvfioServer
from plx9x5x.transport.libvfio_find import ENV_VAR

# In parts of the time from the first line of ours until it listens.
POINTS = [0.0, 0.15, 0.35, 0.6, 0.85, 1.0]


class Start:
    """A `serve` that starts, with a trace."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder = folder
        argv = ["-m", "plx9x5x", "serve", "--socket-path", folder / "s", "--trace", folder / "t"]
        self.process = subprocess.Popen(
            [sys.executable, *argv],
            env={**os.environ, ENV_VAR: str(library)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.began = self._until_handled(signal.SIGTERM)

    def _until_handled(self, number: signal.Signals) -> float:
        """Before that it is Python's own start, which a signal ends as it ends any program."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
            if caught is not None and int(caught[1], 16) >> (number - 1) & 1:
                return time.monotonic()
        raise AssertionError("it handles no signal")

    def until_it_listens(self) -> float:
        assert self.process.stdout is not None
        assert any(line.startswith("listening on") for line in self.process.stdout)
        return time.monotonic() - self.began

    def end(self, number: signal.Signals) -> tuple[int, str, list[str]]:
        """Give the exit code, what it said on stderr, and what it left but the trace under its own name."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        left = [path.name for path in self.folder.iterdir() if path.name != "t"]
        return self.process.returncode, said, left


@pytest.fixture(scope="module")
def start_s(library_path: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    start = Start(tmp_path_factory.mktemp("s"), library_path)
    took = start.until_it_listens()
    assert start.end(signal.SIGTERM) == (0, "", [])
    return took


@pytest.mark.parametrize("point", POINTS)
def test_a_signal_ends_serve_while_it_starts(point: float, start_s: float, library_path: Path, tmp_path: Path) -> None:
    number, code = ((signal.SIGTERM, 0), (signal.SIGINT, 130))[POINTS.index(point) % 2]
    start = Start(tmp_path, library_path)
    time.sleep(max(0, start.began + point * start_s - time.monotonic()))
    assert start.end(number) == (code, "", [])


@pytest.fixture
def fresh() -> Iterator[None]:
    hook, handlers = sys.unraisablehook, {number: signal.getsignal(number) for number in ending.ENDING}
    ending.forget()
    yield
    ending.forget()
    sys.unraisablehook = hook
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("fresh")
def test_a_signal_that_python_drops_is_raised_at_the_next_check(capsys: pytest.CaptureFixture[str]) -> None:
    ending.take()

    class Dropped:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            "".join(())

    Dropped()
    assert capsys.readouterr().err == ""
    with pytest.raises(ending.Ended) as caught:
        ending.check()
    assert caught.value.number == signal.SIGTERM
    ending.forget()
    ending.check()


@pytest.mark.usefixtures("fresh")
def test_a_signal_that_python_makes_another_error_of_is_told() -> None:
    ending.take()

    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(signal.SIGTERM)
            "".join(())

    with pytest.raises(ending.Ended), ending.told():
        type("Owner", (), {"named": Named()})
    ending.forget()
    with pytest.raises(ValueError, match="no signal"), ending.told():
        raise ValueError("no signal")


@pytest.mark.usefixtures("fresh")
def test_what_was_dropped_ends_the_command_line_before_the_verb_and_serve_before_it_makes_anything(
    tmp_path: Path, library_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LibvfioServer, "run", pytest.fail)
    argv = ["serve", "--socket-path", str(tmp_path / "s"), "--trace", str(tmp_path / "t")]
    argv += ["--libvfio-user", str(library_path)]
    ending._noted.append(signal.SIGTERM)
    with pytest.raises(ending.Ended):
        cli.main(argv)
    with pytest.raises(ending.Ended):
        serve.run(cli._parser().parse_args(argv))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("fresh")
def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ending.take()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is ending.unwind


@pytest.mark.parametrize(
    ("number", "verb", "code"),
    [
        (signal.SIGTERM, "serve", 0),
        (signal.SIGINT, "serve", 130),
        (signal.SIGHUP, "serve", 129),
        (signal.SIGTERM, "run", 143),
        (signal.SIGTERM, "", 143),
    ],
)
def test_only_serve_takes_sigterm_for_its_right_end(number: int, verb: str, code: int) -> None:
    assert ending.exit_code(number, verb) == code
