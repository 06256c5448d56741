# SPDX-License-Identifier: Apache-2.0
"""`plx9x5x try` ended by Ctrl-C, in each phase: the exit code of that, or the signal itself, and no process left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trying import folder

pytestmark = [pytest.mark.guest, pytest.mark.timeout(300)]


def left_of(mark: str) -> list[str]:
    """Command lines of processes whose environment has `mark`."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(mark) in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if line]


def started(*words: str, mark: Path | None = None) -> subprocess.Popen[str]:
    """`plx9x5x try` with these words, all that it says on one pipe; `mark` is in its environment and its children's."""
    return subprocess.Popen(
        [sys.executable, "-m", "plx9x5x", "try", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PLX9X5X_TEST_MARK": str(mark), "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("when", ["it starts", "it builds", "the guest boots", "the command runs", "twice"])
def test_ctrl_c_leaves_nothing(when: str, tmp_path: Path) -> None:
    module = tmp_path / "mine"
    module.mkdir()
    (module / "Makefile").write_text("all:\n\tsleep 60\n" if when == "it builds" else "obj-m := mine.o\n", "utf-8")
    (module / "mine.c").write_text(
        '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("");\n', "utf-8"
    )
    mark = f"PLX9X5X_TEST_MARK={tmp_path}"
    process = started("--rw", str(tmp_path), str(module), "--", "echo runs; sleep 60", mark=tmp_path)
    assert process.stdout is not None
    said = ""
    if when == "it builds":
        while not any(line.startswith("sleep ") for line in left_of(mark)):
            time.sleep(0.05)
    elif when != "it starts":
        wanted = "runs" if when in ("the command runs", "twice") else "built mine.ko"
        while wanted not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        time.sleep(0.3 if when == "the guest boots" else 0)
    process.send_signal(signal.SIGINT)
    if when == "twice":  # somebody who is impatient
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=30)[0]
    assert process.returncode in ((130, -signal.SIGINT) if when in ("it starts", "twice") else (130,)), said
    assert "Traceback" not in said
    end = time.monotonic() + 5
    while left_of(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left_of(mark)


def test_a_try_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    process = started("--rw", str(tmp_path), folder("blink"), "--", "echo runs; sleep 60", mark=tmp_path)
    with process:
        assert process.stdout is not None
        while "runs" not in process.stdout.readline():
            pass
        process.kill()
        process.wait()
    mark = f"PLX9X5X_TEST_MARK={tmp_path}"
    end = time.monotonic() + 10
    while left_of(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert not left_of(mark)


def test_ctrl_c_says_what_a_module_hangs_in() -> None:
    process = started(folder("crash"), "how=loop")
    with process:
        assert process.stdout is not None
        said = ""
        while "not back from being loaded" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "stopped: " in said
    assert "loops in crash_" in said
    assert "\nstopped; logs: " in said
