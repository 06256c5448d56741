# SPDX-License-Identifier: Apache-2.0
"""A ring in demand mode that never ends, as drivers of acquisition cards run it: nothing is lost, and a loss shows."""

import pytest

from plx9x5x.lab.bench.ring import BLOCK, RingDriver, StreamBroken
from plx9x5x.lab.bench.sampler import DEPTH
from plx9x5x.plane.choice import NAMES


@pytest.mark.parametrize("plane", NAMES)
@pytest.mark.parametrize("rate_kib", [1_000, 20_000])
def test_a_ring_takes_every_word(plane: str, rate_kib: int) -> None:
    driver = RingDriver(rate_kib, plane=plane)
    driver.run(40)
    assert driver.taken >= 40
    assert driver.interrupts <= driver.taken
    assert driver.clock.now() >= 40 * BLOCK * 1_000_000_000 // (rate_kib * 1024)


def test_a_word_that_is_lost_shows() -> None:
    driver = RingDriver(20_000)
    driver.run(10)
    driver.clock.advance(2 * DEPTH * 1_000_000_000 // (20_000 * 1024))
    with pytest.raises(StreamBroken, match="lost"):
        driver.run(2000)


def test_a_wrong_word_shows() -> None:
    driver = RingDriver(20_000)
    driver.run(10)
    driver._steps[5] += 1
    with pytest.raises(StreamBroken, match="other words"):
        driver.run(2)
