# SPDX-License-Identifier: Apache-2.0
"""Cards in this process, on a plane by name."""

import functools
from collections.abc import Callable

import pytest

from plx9x5x.board import load_board
from plx9x5x.plane.choice import NAMES, VARIABLE
from tests.boards_of_drivers.card import Card

_board = functools.cache(load_board)


@pytest.fixture(params=NAMES)
def plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What moves the data of every card of the test."""
    monkeypatch.setenv(VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def on_plane(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Card]:
    """Makes cards on planes that the test names."""

    def make(plane: str, name: str = "hpdi32", *, traced: bool = False) -> Card:
        monkeypatch.setenv(VARIABLE, plane)
        return Card(_board(name), traced=traced)

    return make


@pytest.fixture
def card(plane: str) -> Card:
    return Card(_board("hpdi32"))
