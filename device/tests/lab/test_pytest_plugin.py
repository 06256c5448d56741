# SPDX-License-Identifier: Apache-2.0
"""The fixtures' marker: the nearest one counts, word by word, and what it cannot mean is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plx9x5x.lab.card.pytest_plugin import plx_backend
from plx9x5x.lab.pytest_plugin import own_device, setting


def request_with(*marks: pytest.MarkDecorator) -> pytest.FixtureRequest:
    """A request of a test with these markers, the nearest first."""
    node = SimpleNamespace(iter_markers=lambda _: [mark.mark for mark in marks])
    return cast("pytest.FixtureRequest", SimpleNamespace(node=node))


@pytest.mark.parametrize(
    ("name", "value"), [("board", "near"), ("kernel", "6.12"), ("memory_mib", 512), ("timeout_s", "default")]
)
def test_each_setting_comes_from_the_nearest_marker_that_has_it(name: str, value: Any) -> None:
    board = pytest.mark.plx_board
    request = request_with(board("near", memory_mib=512), board("far", kernel="6.12", memory_mib=96))
    assert setting(request, name, "default") == value


@pytest.mark.parametrize(
    "mark", [pytest.mark.plx_board(kernal="6.12"), pytest.mark.plx_board("rdk-9656-lite", "6.12")], ids=str
)
def test_marker_that_says_what_nobody_asks_is_refused(mark: pytest.MarkDecorator) -> None:
    with pytest.raises(pytest.UsageError, match=r"plx_board knows no '(kernal|6\.12)'; it takes board, kernel"):
        setting(request_with(mark), "memory_mib", 256)


def words_of_the_server(mark: pytest.MarkDecorator, tmp_path: Path) -> list[str]:
    """By the fixture's function, with a toolchain that has a library and nothing else."""
    made = plx_backend.__wrapped__  # type: ignore[attr-defined]
    node = SimpleNamespace(
        iter_markers=lambda _: [mark.mark],
        get_closest_marker=lambda _: None,
        add_report_section=lambda *_: None,
    )
    toolchain = SimpleNamespace(libvfio_user=tmp_path / "lib.so")
    backend = next(made(SimpleNamespace(node=node), toolchain, tmp_path))
    return list(backend.argv)


def test_faults_of_the_marker_are_the_servers(tmp_path: Path) -> None:
    words = words_of_the_server(pytest.mark.plx_board(faults=["stuck  BUSY at transfer 2"], seed=5), tmp_path)
    assert words[words.index("--fault") + 1] == "stuck BUSY at transfer 2"
    assert words[words.index("--seed") + 1] == "5"


def test_a_sentence_alone_in_the_marker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="faults takes a list of sentences"):
        words_of_the_server(pytest.mark.plx_board(faults="stuck busy"), tmp_path)


@pytest.mark.parametrize(
    "mark", [pytest.mark.plx_device(), pytest.mark.plx_device(1), pytest.mark.plx_device(name="x:y")]
)
def test_a_device_of_ones_own_is_one_text(mark: pytest.MarkDecorator) -> None:
    def request(*marks: pytest.MarkDecorator) -> pytest.FixtureRequest:
        node = SimpleNamespace(get_closest_marker=lambda _: next((it.mark for it in marks), None))
        return cast("pytest.FixtureRequest", SimpleNamespace(node=node, path=Path("/tests/test_it.py")))

    with pytest.raises(pytest.UsageError, match="plx_device takes one text"):
        own_device(request(mark))
    assert own_device(request()) is None
    backend = own_device(request(pytest.mark.plx_device("a.b:C")))
    assert backend is not None
    assert backend.argv[1:] == ("-m", "plx9x5x", "serve", "--device", "a.b:C")
    beside = own_device(request(pytest.mark.plx_device("it.py:C")))
    assert beside is not None
    assert beside.argv[-1] == "/tests/it.py:C"
