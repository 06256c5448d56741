# SPDX-License-Identifier: Apache-2.0
"""Options of a guest's cards, looked at before anything is started."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from plx9x5x.board import Board, load_board
from plx9x5x.options import BadOption, checked, listed

_CARD: Final = re.compile(r"0*([0-9]+):(.*)", re.DOTALL)
_DIGITS: Final = 9
"""Of a card's number; one with more is no card's, and too long a one no number for Python."""


def words_of(settings: Mapping[str, object] | Sequence[str]) -> tuple[str, ...]:
    """Give settings as the command line has them: a mapping of names to values, or words already."""
    if isinstance(settings, Mapping):
        return tuple(f"{name}={_text(value)}" for name, value in settings.items())
    return (settings,) if isinstance(settings, str) else tuple(settings)


def of_cards(
    settings: Sequence[str], boards: Sequence[str], *, folder: Path | None = None
) -> tuple[tuple[str, ...], ...]:
    """Give each card its settings: those that name it by number, and of the others those for which it has an option.

    For the card that it names, one with a number takes the place of one without: `rate=1`, `2:rate=2` is 1 for all but
    the second. Paths of files are whole then, from `folder` on.

    Raises: BadOption for one that no card takes; NoSuchBoard.
    """
    if not settings:
        return ((),) * len(boards)
    if not boards:
        raise BadOption(f"--set {settings[0]!r}: options are a board's, and there is none")
    cards = [load_board(board) for board in boards]
    found: list[list[tuple[bool, str]]] = [[] for _ in cards]
    for word in settings:
        named = _CARD.fullmatch(word)
        if named:
            number = int(named[1][: _DIGITS + 1])
            if not 1 <= number <= len(cards):
                shown = number if len(named[1]) <= _DIGITS else f"{named[1][:_DIGITS]}..."
                raise BadOption(
                    f"--set {word[:80]!r}: there is no card {shown}; cards are counted from 1 to {len(cards)}"
                )
            found[number - 1].append((True, named[2]))
            continue
        name = word.partition("=")[0]
        takers = [at for at, card in enumerate(cards) if any(option.name == name for option in card.options)]
        if len(cards) > 1 and not takers:
            told = ", ".join(f"{card.name}: {listed(card.options)}" for card in cards)
            raise BadOption(f"--set {word!r}: no card has an option {name!r}; {told}")
        for at in takers or [0]:
            found[at].append((False, word))
    return tuple(_of_one(card, told, folder) for card, told in zip(cards, found, strict=True))


def _of_one(card: Board, told: Sequence[tuple[bool, str]], folder: Path | None) -> tuple[str, ...]:
    """Those that count of (it names the card, word); what is overruled has to be right all the same."""
    checked(card.name, card.options, [word for named, word in told if not named], folder=folder)
    own = {word.partition("=")[0] for named, word in told if named}
    kept = [word for named, word in told if named or word.partition("=")[0] not in own]
    return checked(card.name, card.options, kept, folder=folder)


def board_of(name: str, words: Sequence[str] = ()) -> Board:
    """Give a card's board with the settings that `of_cards` gave it, to look at: no file is made or written."""
    return load_board(name, words, look=True)


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
