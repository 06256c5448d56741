# SPDX-License-Identifier: Apache-2.0
"""Each kind of error has its exit code and its words."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.cli import ending, serve
from plx9x5x.cli import main as cli
from plx9x5x.cli.usage import UsageError
from plx9x5x.errors import BadRequest, LostVm, SetupError
from plx9x5x.model.chip import Chip
from plx9x5x.rules.room import Room
from plx9x5x.trace.regtrace import parse, split_time
from plx9x5x.transport.guest_memory import GuestMemory
from plx9x5x.transport.host_clock import TimeRule
from plx9x5x.transport.loopback import CountingLine


class Verb:
    """A verb that ends as told."""

    NAME = "probe"
    HELP = "ends as told"

    def __init__(self, outcome: int | BaseException) -> None:
        self.outcome = outcome

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--flag", action="store_true")

    def run(self, args: argparse.Namespace) -> int:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome + args.flag


def run(monkeypatch: pytest.MonkeyPatch, outcome: int | BaseException, *argv: str) -> int:
    monkeypatch.setattr(cli, "_verbs", lambda: iter([Verb(outcome)]))
    return cli.main(["probe", *argv])


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (UsageError("no such thing"), 2, "error: no such thing\n"),
        (BadRequest("no such board"), 2, "error: no such board\n"),
        (SetupError("no compiler", hint="apt install gcc"), 69, "error: no compiler\nhint: apt install gcc\n"),
        (LostVm("QEMU is gone"), 75, "error: QEMU is gone\n"),
        (KeyboardInterrupt(), 130, ""),
        (OSError(errno.ENOSPC, "No space left on device"), 69, None),
        (PermissionError(errno.EACCES, "Permission denied"), 69, None),
    ],
)
def test_an_error_has_its_exit_code_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: BaseException,
    code: int,
    words: str | None,
) -> None:
    assert run(monkeypatch, outcome) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said == words if words is not None else "hint: " in said


def test_anything_else_is_our_bug_and_shown_in_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, ZeroDivisionError("oops")) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError: oops" in said
    assert "bug in plx9x5x" in said


def test_the_verbs_own_code_and_arguments_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, 0) == 0
    assert run(monkeypatch, 0, "--flag") == 1


def test_no_verb_and_an_unknown_one_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["no-such-verb"], ["serve", "--no-such-option"]):
        with pytest.raises(SystemExit) as caught:
            cli.main(argv)
        assert caught.value.code == 2
    assert "usage: plx9x5x" in capsys.readouterr().err


def test_every_verb_has_a_name_of_its_own_and_help() -> None:
    verbs = list(cli._verbs())
    assert len({verb.NAME for verb in verbs}) == len(verbs)
    assert all(verb.HELP for verb in verbs)


def test_serve_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve"]) == 2
    assert "--socket-path" in capsys.readouterr().err
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--board", "no-such-board"]) == 2
    assert "rdk-9656-lite" in capsys.readouterr().err
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--bus", "100x32"]) == 2
    assert "33x32, 33x64, 66x32 and 66x64" in capsys.readouterr().err
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--libvfio-user", "/dev/null"]) == 69
    assert "hint: " in capsys.readouterr().err
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--trace", str(tmp_path / "no" / "t")]) == 69
    assert "cannot write the trace" in capsys.readouterr().err
    os.mkfifo(tmp_path / "fifo")
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--trace", str(tmp_path / "fifo")]) == 69
    assert "it is no regular file" in capsys.readouterr().err
    for target in ("t", "absent"):
        link = tmp_path / "link"
        link.symlink_to(tmp_path / target)
        assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--trace", str(link)]) == 69
        assert "it is a symbolic link" in capsys.readouterr().err
        link.unlink()
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--bus", ""]) == 2
    capsys.readouterr()
    # A server that cannot start leaves another one's trace alone.
    (tmp_path / "t").write_text("another's")
    (tmp_path / "s").touch()
    assert cli.main(["serve", "--socket-path", str(tmp_path / "s"), "--trace", str(tmp_path / "t")]) == 69
    assert (tmp_path / "t").read_text() == "another's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "s", "t"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_no_bug(closed: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m plx9x5x boards --names {closed}; echo $? >{tmp_path}/code"
    subprocess.run(["sh", "-c", command], check=False, capture_output=True, env=os.environ)
    assert (tmp_path / "code").read_text() == "0\n"


def test_a_served_chip_tells_its_trace_when_it_is_idle_and_when_it_waits(tmp_path: Path) -> None:
    faults = Room(pytest.fail)
    with serve._open_trace(tmp_path / "t", TimeRule(), load_board("rdk-9656-lite")) as trace:
        made: list[Chip] = []
        factory = serve._factory(
            load_board("rdk-9656-lite"), faults, trace, made, speed=None, report_aborts=True, rule=TimeRule()
        )
        device = factory(GuestMemory(), CountingLine())
        assert made == [device]
        device.config_write(4, 2, 7)
        device.read(0, 0x68, 4)
        assert not device.step(4096)
        # A ring in local memory whose first descriptor is not valid: the chip looks again and again.
        for width, offset, value in ((4, 0x80, 0x10_0243), (4, 0x90, 0), (1, 0xA8, 3)):
            device.write(0, offset, width, value)
        for _ in range(3):
            device.step(4096)
        assert trace.path.parent == tmp_path
        lines = trace.path.read_text().splitlines()
    assert not list(tmp_path.iterdir()), "nobody published it"
    assert lines[0] == "time scale 1, max step 1000000 ns"
    read = [str(parse(line)) for line in lines]
    assert read[1:5] == ["reset power-on", "C 0x004 2 0x0007", "R 0 0x068 4 0x0f010100", "idle"]
    assert read[-2:] == ["start 0 chained", "waiting"]
    times = [time for time, _ in map(split_time, lines[1:]) if time is not None]
    assert len(times) == len(lines) - 1
    assert times == sorted(times)
    assert lines[2].endswith(" C 0x004 2 0x0007 ; PCICR=0x7 io=1 memory=1 bus_master=1")


def test_a_trace_has_a_name_that_nobody_knows_until_it_is_published(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with serve._open_trace(tmp_path / "t", TimeRule(), load_board("rdk-9656-lite")) as trace:
            assert str(os.getpid()) not in trace.path.name
            names.add(trace.path.name)
            (tmp_path / "precious").write_text("data")
            # A link that comes in between is replaced, and what it points to is not.
            (tmp_path / "t").unlink(missing_ok=True)
            (tmp_path / "t").symlink_to(tmp_path / "precious")
            serve._publish(trace, tmp_path / "t")
        assert (tmp_path / "precious").read_text() == "data"
        assert not (tmp_path / "t").is_symlink()
        assert (tmp_path / "t").stat().st_mode & 0o777 == 0o600
        (tmp_path / "t").unlink()
    assert len(names) == 2
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(SetupError, match="cannot write the trace"),
        serve._open_trace(tmp_path / "t", TimeRule(), load_board("rdk-9656-lite")) as trace,
    ):
        serve._publish(trace, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "precious"]


def test_serve_describes_itself_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--print-capabilities"]) == 0
    assert "type" in json.loads(capsys.readouterr().out)


def test_the_qemu_line_has_what_must_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLX9X5X_QEMU", "/opt/my qemu")
    line = serve.qemu_command(Path("/tmp/a socket"))
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {line}"], check=True, capture_output=True, text=True
    ).stdout.split("\0")
    assert words[0] == "/opt/my qemu"
    assert any("share=on" in word for word in words)
    device = json.loads(words[words.index("-device") + 1])
    assert device["socket"] == {"type": "unix", "path": "/tmp/a socket"}
    assert device["x-msg-timeout"] == 60000


def test_a_bare_checkout_runs() -> None:
    folder = Path(cli.__file__).parents[2]
    for argv in ([folder], ["-m", "plx9x5x"]):
        done = subprocess.run([sys.executable, *argv, "--help"], capture_output=True, text=True, cwd=folder, check=True)
        assert "serve" in done.stdout


class Endless(Verb):
    """Ends only when it is made to, and says that it tidied up."""

    def __init__(self) -> None:
        super().__init__(0)
        self.tidied = False

    def run(self, args: argparse.Namespace) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            self.tidied = True
        return 0


def test_sigterm_unwinds_what_a_verb_started(monkeypatch: pytest.MonkeyPatch) -> None:
    verb = Endless()
    monkeypatch.setattr(cli, "_verbs", lambda: iter([verb]))
    assert cli.main(["probe"]) == 128 + signal.SIGTERM
    assert verb.tidied
    ending.check()  # it has been dealt with
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_command_behind_two_dashes_is_only_for_the_verb_that_runs_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["boards", "--", "ls"])
    assert caught.value.code == 2
    assert "'boards' runs no command" in capsys.readouterr().err


def test_a_module_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["try", "x=1", "--", "ls", "--help"]) == 2
    assert "no module stands before it" in capsys.readouterr().err
