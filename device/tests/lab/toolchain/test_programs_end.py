# SPDX-License-Identifier: Apache-2.0
"""A program of the host's that is given up takes with it what it started; a stranger's folder as it may be."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from plx9x5x.lab.toolchain import host, kmod


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_a_program_started_goes_with_it(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            host.run(["sh", "-c", f"sleep 777 & echo $! > {noted}; wait"], what="a make that hangs")
    finally:
        signal.signal(signal.SIGINT, before)
    pid = int(noted.read_text())
    end = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < end, "it goes on"
        time.sleep(0.01)


def test_a_folder_with_pipes_loops_and_dead_links_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("")
    (tmp_path / "gen.sh").write_text("#!/bin/sh\n")
    (tmp_path / "gen.sh").chmod(0o755)
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert [path.name for path in kmod._sources(tmp_path)] == ["a.c", "gen.sh"]
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    kmod._copy(tmp_path, copy)
    assert os.access(copy / "gen.sh", os.X_OK)
