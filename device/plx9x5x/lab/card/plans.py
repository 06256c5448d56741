# SPDX-License-Identifier: Apache-2.0
"""The plan of faults of a guest's cards, looked at before anything is started."""

from collections.abc import Sequence

from plx9x5x.chip_faults import names
from plx9x5x.faults import grammar
from plx9x5x.faults.plan import FaultPlan
from plx9x5x.lab.card.settings import board_of


def of_cards(
    arguments: Sequence[str], boards: Sequence[str], settings: Sequence[Sequence[str]] = ()
) -> tuple[tuple[str, ...], ...]:
    """Give each card its sentences: those that name it, the first one those that name none.

    `settings` are those of each card (`lab.card.settings.of_cards`): they may have another chip on it.

    Raises: FaultPlan for one that says nothing, or names a card or a register that is not there; NoSuchBoard.
    """
    of_each = settings or ((),) * len(boards)
    readers = [names.reader(board_of(board, words)) for board, words in zip(boards, of_each, strict=True)]
    found: list[list[str]] = [[] for _ in boards]
    for text in grammar.expanded(arguments):
        card = grammar.Sentences.card(text)
        if not 1 <= card <= len(boards):
            raise FaultPlan(f"--fault {text!r}: there is no card {card}; cards are counted from 1 to {len(boards)}")
        found[card - 1].append(readers[card - 1].read(text).text)
    return tuple(map(tuple, found))
