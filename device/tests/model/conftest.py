# SPDX-License-Identifier: Apache-2.0
"""Fixtures around the bench."""

import functools
from collections.abc import Callable

import pytest

from plx9x5x.board import Board, load_board
from tests.model.bench import Bench


@pytest.fixture
def board() -> Board:
    return load_board("rdk-9656-lite")


@pytest.fixture
def bench(board: Board) -> Bench:
    return Bench(board)


@pytest.fixture(scope="session")
def new_bench() -> Callable[..., Bench]:
    """Makes a fresh bench for each example of a property."""
    cached = functools.cache(load_board)
    return lambda name="rdk-9656-lite": Bench(cached(name))
