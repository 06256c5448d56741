# SPDX-License-Identifier: Apache-2.0
"""What is on the HPDI32's cable, beside a shift register that makes it bit by bit."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x_boards.hpdi32.cable import PRBS_WORDS, Counter, Prbs15, Source
from tests.length import tries


def serial_prbs(words: int) -> list[int]:
    """PRBS15 by a list of its last 15 bits."""
    last, found = deque([1] * 15, maxlen=15), []
    for _ in range(words):
        word = 0
        for _ in range(32):
            word = word << 1 | last[0]
            last.append(last[0] ^ last[1])
        found.append(word)
    return found


def test_the_pseudo_random_words_are_those_of_a_shift_register() -> None:
    expected = serial_prbs(2 * PRBS_WORDS)
    assert Prbs15().words(0, 2 * PRBS_WORDS).tolist() == expected
    assert expected[:PRBS_WORDS] == expected[PRBS_WORDS:]
    assert sum(word.bit_count() for word in expected[:PRBS_WORDS]) == 32 << 14, "a period has 2^14 ones"
    assert expected[0] == 0xFFFE_0004


@pytest.mark.parametrize("source", [Counter(), Prbs15()], ids=lambda source: type(source).__name__)
@settings(max_examples=tries(20, 60), deadline=None)
@given(
    first=st.one_of(st.integers(0, 1 << 40), st.just((1 << 32) - 3)),
    count=st.integers(0, 300),
    split=st.integers(0, 300),
)
def test_a_source_gives_the_same_words_however_they_are_asked_for(
    source: Source, first: int, count: int, split: int
) -> None:
    whole = source.words(first, count)
    at = min(split, count)
    assert whole.dtype == np.uint32
    assert whole.tolist() == [*source.words(first, at), *source.words(first + at, count - at)]
