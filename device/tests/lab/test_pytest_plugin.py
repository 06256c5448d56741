# SPDX-License-Identifier: Apache-2.0
"""The fixtures' marker: the nearest one counts, word by word, and what it cannot mean is refused."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from plx9x5x.lab.pytest_plugin import setting


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
