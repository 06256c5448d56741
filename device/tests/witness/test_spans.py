# SPDX-License-Identifier: Apache-2.0
"""Spans are found as a list that is looked through would find them."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.witness.spans import CROWD, Crowded, Spans


@dataclass(eq=False)
class Piece:
    """A span."""

    start: int
    size: int


PIECES = st.lists(st.builds(Piece, st.integers(0, 5000), st.integers(1, 3000)), max_size=30)


@given(PIECES, st.data())
def test_as_a_plain_list(pieces: list[Piece], data: st.DataObject) -> None:
    spans: Spans[Piece] = Spans()
    for piece in pieces:
        spans.add(piece)
    gone = data.draw(st.sets(st.sampled_from(range(len(pieces))))) if pieces else set()
    for at in gone:
        spans.remove(pieces[at])
    left = [piece for at, piece in enumerate(pieces) if at not in gone]
    assert len(spans) == len(left)
    address, size = data.draw(st.integers(0, 9000)), data.draw(st.integers(1, 5000))
    assert {*spans.at(address)} == {it for it in left if it.start <= address < it.start + it.size}
    over = list(spans.overlapping(address, size))
    assert len(over) == len({*over})
    assert {*over} == {it for it in left if it.start < address + size and address < it.start + it.size}


def test_a_crowd_is_refused_and_changes_nothing() -> None:
    spans: Spans[Piece] = Spans()
    for _ in range(CROWD):
        spans.add(Piece(4096, 4096))
    with pytest.raises(Crowded):
        spans.add(Piece(4100, 4096))
    assert len(spans) == len(list(spans.at(4096))) == CROWD
    spans.add(Piece(4096, 8))
