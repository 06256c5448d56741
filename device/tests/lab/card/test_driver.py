# SPDX-License-Identifier: Apache-2.0
"""Which boards the project's own driver drives."""

from importlib.metadata import entry_points

from plx9x5x import boards
from plx9x5x.board import BOARD_GROUP
from plx9x5x.lab.card import driver

ANSWERS = {"rdk-local-cpu"}
"""Boards whose local side does something by itself: the driver's cases play that side themselves."""


def test_the_driver_knows_every_reference_board() -> None:
    """Those of `plx9x5x.boards`: a new one there is to be taught to guest-tests/user/board.c and kmod/plx_main.c."""
    ours = {entry.name for entry in entry_points(group=BOARD_GROUP) if entry.module.startswith(f"{boards.__name__}.")}
    assert ours >= ANSWERS
    assert set(driver.BOARDS) == ours - ANSWERS
    assert boards.DEFAULT in driver.BOARDS
