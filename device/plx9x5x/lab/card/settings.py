# SPDX-License-Identifier: Apache-2.0
"""Options of a guest's cards, looked at before anything is started."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from plx9x5x.board import Board, load_board
from plx9x5x.options import BadOption, checked, listed

_CARD: Final = re.compile(r"(\d+):(.*)", re.DOTALL)


def words_of(settings: Mapping[str, object] | Sequence[str]) -> tuple[str, ...]:
    """Give settings as the command line has them: a mapping of names to values, or words already."""
    if isinstance(settings, Mapping):
        return tuple(f"{name}={_text(value)}" for name, value in settings.items())
    return (settings,) if isinstance(settings, str) else tuple(settings)


def of_cards(
    settings: Sequence[str], boards: Sequence[str], *, folder: Path | None = None
) -> tuple[tuple[str, ...], ...]:
    """Give each card its settings: those that name it by number, and of the others those for which it has an option.

    Paths of files are whole then, from `folder` on. Raises: BadOption for one that no card takes; NoSuchBoard.
    """
    if not settings:
        return ((),) * len(boards)
    if not boards:
        raise BadOption(f"--set {settings[0]!r}: options are a board's, and there is none")
    cards = [load_board(board) for board in boards]
    found: list[list[str]] = [[] for _ in cards]
    for word in settings:
        named = _CARD.fullmatch(word)
        if named:
            number = int(named[1])
            if not 1 <= number <= len(cards):
                raise BadOption(f"--set {word!r}: there is no card {number}; cards are counted from 1 to {len(cards)}")
            found[number - 1].append(named[2])
            continue
        name = word.partition("=")[0]
        takers = [at for at, card in enumerate(cards) if any(option.name == name for option in card.options)]
        if len(cards) > 1 and not takers:
            told = ", ".join(f"{card.name}: {listed(card.options)}" for card in cards)
            raise BadOption(f"--set {word!r}: no card has an option {name!r}; {told}")
        for at in takers or [0]:
            found[at].append(word)
    return tuple(
        checked(card.name, card.options, words, folder=folder) for card, words in zip(cards, found, strict=True)
    )


def board_of(name: str, words: Sequence[str] = ()) -> Board:
    """Give a card's board with the settings that `of_cards` gave it, but for its files: none is opened here."""
    board = load_board(name)
    options = {option.name: option for option in board.options}

    def is_file(word: str) -> bool:
        option, text = word.split("=", 1)
        return options[option].path(text) is not None

    return board.set([word for word in words if not is_file(word)])


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
