# SPDX-License-Identifier: Apache-2.0
"""What a child prints is kept up to a limit, and its end always."""

import os
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from plx9x5x.lab.host.drain import LIMIT, TAIL, Drain
from plx9x5x.lab.host.process import Child

FLOOD = (
    "import sys; [sys.stdout.write('BUG: ' + 'x' * 60 + chr(10)) for _ in range(60 * 16 * 1024)]; print('last words')"
)


def pour(log: Path, data: bytes, *, limit: int) -> Drain:
    drain = Drain(log, limit=limit)
    with drain.giving():
        os.write(drain.writer, data)
    drain.finish()
    return drain


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_what_fits_is_kept_as_it_came(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    pour(tmp_path / "log", data, limit=1000)
    assert (tmp_path / "log").read_bytes() == data


def test_of_what_does_not_fit_head_and_tail_are_kept(tmp_path: Path) -> None:
    data = bytes(n * n % 251 for n in range(1000 + TAIL + 77))
    drain = pour(tmp_path / "log", data, limit=1000)
    marker = b"\n[the log is full: 77 bytes are left out here]\n"
    assert (tmp_path / "log").read_bytes() == data[:1000] + marker + data[-TAIL:]
    assert drain.tail() == data[-TAIL:].decode("utf-8", errors="replace")


def test_a_little_too_much_is_kept_without_a_gap(tmp_path: Path) -> None:
    pour(tmp_path / "log", b"a" * 10 + b"bcd", limit=10)
    assert (tmp_path / "log").read_bytes() == b"a" * 10 + b"\n[the log is full: 0 bytes are left out here]\nbcd"


def test_a_child_that_prints_60_mb_costs_little_memory_and_disk(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with Child(["python3", "-I", "-S", "-c", FLOOD], name="it", log=tmp_path / "log") as child:
            assert child.wait(30) == 0
            assert child.output().endswith("last words\n")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 1024 * 1024
    size = (tmp_path / "log").stat().st_size
    assert LIMIT < size < LIMIT + 2 * TAIL
    assert (tmp_path / "log").read_bytes().endswith(b"last words\n")


def test_a_disk_that_is_full_does_not_stop_who_prints(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    drain = pour(tmp_path / "log", b"x" * 100, limit=1000)
    assert drain.tail() == "x" * 100


def test_nothing_is_left_of_a_child_that_cannot_be_started(tmp_path: Path) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    with pytest.raises(Exception, match="cannot start"):
        Child(["/nonexistent"], name="it", log=tmp_path / "log")
    end = time.monotonic() + 5
    while any(thread.name.startswith("drain") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.001)
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_the_pipe_takes_much_before_its_writer_waits(tmp_path: Path) -> None:
    free = threading.Event()

    def hold(_: bytes) -> None:
        free.wait(10)

    drain = Drain(tmp_path / "log", taker=hold)
    with drain.giving():
        os.write(drain.writer, b"first")
        os.set_blocking(drain.writer, False)
        assert os.write(drain.writer, bytes(512 * 1024)) == 512 * 1024
        free.set()
    drain.finish()
    assert len(drain.tail()) == TAIL
