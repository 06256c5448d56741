# SPDX-License-Identifier: Apache-2.0
"""What a killed server left beside its trace is removed by the next one, and nothing else is."""

import os
from pathlib import Path

import pytest

from plx9x5x.board import load_board
from plx9x5x.cli import serve
from plx9x5x.trace import unpublished
from plx9x5x.trace.regtrace import RegisterTrace
from plx9x5x.transport.host_clock import TimeRule

STALE = ".t.0123456789abcdef"


def test_a_server_removes_what_killed_ones_left_beside_its_trace(tmp_path: Path) -> None:
    (tmp_path / STALE).touch()
    with serve._open_trace(tmp_path / "t", TimeRule(), load_board("rdk-9656-lite")) as trace:
        assert list(tmp_path.iterdir()) == [trace.path]


def test_a_trace_that_another_server_writes_is_left_alone(tmp_path: Path) -> None:
    trace = RegisterTrace(unpublished.beside(tmp_path / "t"))
    unpublished.sweep(tmp_path / "t")
    assert trace.path.exists()
    trace.close()
    unpublished.sweep(tmp_path / "t")
    assert not trace.path.exists()


@pytest.mark.parametrize("name", [".t.0123", ".t.0123456789abcdeg", ".u.0123456789abcdef", "t.0123456789abcdef", ".t."])
def test_files_of_other_names_are_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    unpublished.sweep(tmp_path / "t")
    assert (tmp_path / name).exists()


def test_a_name_with_letters_of_a_pattern_is_no_pattern(tmp_path: Path) -> None:
    for name in (".*.0123456789abcdef", STALE):
        (tmp_path / name).touch()
    unpublished.sweep(tmp_path / "*")
    assert [path.name for path in tmp_path.iterdir()] == [STALE]


def test_what_is_no_file_stays_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    (tmp_path / STALE).symlink_to(tmp_path / "precious")
    os.mkfifo(tmp_path / STALE.replace("0", "f"))
    unpublished.sweep(tmp_path / "t")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_trace_that_is_swept_away_before_it_is_claimed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, claim, swept = tmp_path / STALE, unpublished.claim, []

    def late(fd: int) -> bool:
        if not swept:
            swept.append(unpublished.sweep(tmp_path / "t"))
        return claim(fd)

    monkeypatch.setattr(unpublished, "claim", late)
    trace = RegisterTrace(path)
    assert swept
    assert path.exists()
    trace.close()
