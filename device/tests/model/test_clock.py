# SPDX-License-Identifier: Apache-2.0
"""The virtual clock."""

import pytest

from plx9x5x.model.clock import VirtualClock


def test_time_passes_only_when_it_is_advanced() -> None:
    clock = VirtualClock()
    assert clock.now() == clock.now() == 0
    clock.advance(5)
    assert clock.now() == 5


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards by 1 ns"):
        VirtualClock().advance(-1)
