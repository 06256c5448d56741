# SPDX-License-Identifier: Apache-2.0
"""The plan of faults of a guest's cards, looked at before anything is started."""

from collections.abc import Sequence

from plx9x5x.board import load_board
from plx9x5x.chip_faults import names
from plx9x5x.faults import grammar
from plx9x5x.faults.plan import FaultPlan


def of_cards(arguments: Sequence[str], boards: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Give each card its sentences: those that name it, the first one those that name none.

    Raises: FaultPlan for one that says nothing, or names a card or a register that is not there; NoSuchBoard.
    """
    readers = [names.reader(load_board(board)) for board in boards]
    found: list[list[str]] = [[] for _ in boards]
    for text in grammar.expanded(arguments):
        card = grammar.Sentences.card(text)
        if not 1 <= card <= len(boards):
            raise FaultPlan(f"--fault {text!r}: there is no card {card}; cards are counted from 1 to {len(boards)}")
        found[card - 1].append(readers[card - 1].read(text).text)
    return tuple(map(tuple, found))
