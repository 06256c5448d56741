# SPDX-License-Identifier: Apache-2.0
"""Children that cannot outlive us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plx9x5x.errors import SetupError
from plx9x5x.lab.host.process import Child, tail_of


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int, within_s: float = 3) -> bool:
    deadline = time.monotonic() + within_s
    while running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def sh(script: str, tmp_path: Path, **more: object) -> Child:
    return Child(["sh", "-c", script], name="it", log=tmp_path / "log", **more)  # type: ignore[arg-type]


def test_context_ends_the_child_and_keeps_its_output(tmp_path: Path) -> None:
    with sh("echo hello; echo oops >&2; exec sleep 60", tmp_path) as child:
        while "oops" not in child.output():
            time.sleep(0.01)
        assert child.alive
        assert child.how_it_ended() == "still running"
    assert not running(child.pid)
    assert child.how_it_ended() == "SIGTERM"
    assert child.output() == "hello\noops\n"


def test_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    with sh("trap '' TERM; echo ready; while :; do sleep 1; done", tmp_path) as child:
        while not child.output():
            time.sleep(0.01)
        child.end(grace_s=0.1)
    assert child.how_it_ended() == "SIGKILL"


def test_what_the_child_started_ends_too(tmp_path: Path) -> None:
    with sh("sleep 60 & echo $!; exit 0", tmp_path) as child:
        child.wait(2)
        orphan = int(child.output())
        assert running(orphan)
    assert gone(orphan)


def test_what_the_child_started_and_ignores_sigterm_ends_too(tmp_path: Path) -> None:
    with sh("(trap '' TERM; echo ready; while :; do sleep 0.1; done) & echo $!; wait", tmp_path) as child:
        while len(child.output().split()) < 2:
            time.sleep(0.01)
        stubborn = next(int(word) for word in child.output().split() if word.isdecimal())
        child.end()
        assert child.how_it_ended() == "SIGTERM"
    assert gone(stubborn)


def test_log_that_cannot_be_written_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"cannot start it: No such file or directory: .*nowhere/log"):
        Child(["true"], name="it", log=tmp_path / "nowhere/log")


def test_end_is_harmless_twice(tmp_path: Path) -> None:
    child = sh("exit 3", tmp_path)
    child.end()
    child.end()
    assert child.poll() in (3, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("script", "words"), [("exit 3", "exit code 3"), ("kill -9 $$", "SIGKILL"), ("kill -40 $$", "signal 40")]
)
def test_end_is_said_in_words(tmp_path: Path, script: str, words: str) -> None:
    with sh(script, tmp_path) as child:
        child.wait(2)
        assert child.how_it_ended() == words


def test_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from plx9x5x.lab.host.process import Child
child = Child(["sleep", "60"], name="it", log=Path({str(tmp_path / "log")!r}))
print(child.pid, flush=True)
time.sleep(60)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.kill()
    assert gone(pid)


def test_child_gets_the_cores_it_is_given(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    with sh("exec sleep 60", tmp_path, cpus={core}) as child:
        assert os.sched_getaffinity(child.pid) == {core}


def test_child_can_be_placed_later(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    with sh("exec sleep 60", tmp_path) as child:
        child.place({core})
        assert os.sched_getaffinity(child.pid) == {core}


def test_child_has_its_own_session(tmp_path: Path) -> None:
    with sh("exec sleep 60", tmp_path) as child:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)


def test_program_that_is_not_there_is_a_setup_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot start it: No such file"):
        Child(["/nonexistent"], name="it", log=tmp_path / "log")


def test_tail_is_the_end_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100 + b"end\xff")
    assert tail_of(tmp_path / "f", 4) == "end\ufffd"
    assert tail_of(tmp_path / "none") == ""
