# SPDX-License-Identifier: Apache-2.0
"""Accesses that mean nothing have defined results; a write of another chip's register is told, once."""

import pytest

from plx9x5x import events
from plx9x5x.ports import ResetKind
from tests.model.bench import Bench
from tests.scenarios.support import reference_board


def test_what_is_reserved_reads_zero_and_is_legal(bench: Bench) -> None:
    assert bench.chip.read(0, 0x1F0, 4) == 0
    bench.chip.write(0, 0x1F2, 1, 0xFF)
    assert bench.chip.config_read(0x60, 4) == 0
    bench.chip.write(0, 0x80, 4, 0xFFC0_0043)
    assert bench.chip.read(0, 0x80, 4) == 0x43
    assert not bench.trace.of(events.Fault)[1:], "the reset of the start alone"


def test_an_odd_width_is_split(bench: Bench) -> None:
    bench.chip.write(0, 0x48, 3, 0x33_2211)
    assert bench.chip.read(0, 0x48, 3) == 0x33_2211


@pytest.mark.parametrize(("bar", "size"), [(0, 0x200), (1, 0x100)])
def test_beyond_the_registers_reads_zero(bench: Bench, bar: int, size: int) -> None:
    bench.chip.write(0, size - 4 if size == 0x200 else 0xFC, 4, 0x5555_5555)
    expected = 0x5555_5555 >> 16 if bar == 1 else 0
    assert bench.chip.read(bar, size - 2, 4) == expected


def test_an_access_wraps_in_a_space(bench: Bench) -> None:
    bench.chip.write(2, 0x1_FFFE, 4, 0x4433_2211)
    assert bench.local(0, 2) == b"\x33\x44"


def test_a_write_of_another_chip_s_register_is_told_once_a_client() -> None:
    bench = Bench(reference_board("9080"))
    for _ in range(3):
        bench.chip.write(0, 0xB4, 4, 1)
        assert bench.chip.read(0, 0xB4, 4) == 0
    told = bench.trace.of(events.RegisterMissing)
    assert [(event.offset, event.names) for event in told] == [(0xB4, ("DMADAC0",))]
    assert "9054" in told[0].chips
    assert "9080" not in told[0].chips
    bench.chip.reset(ResetKind.LOST_CLIENT)
    bench.chip.config_write(4, 2, 7)
    bench.chip.write(0, 0xB4, 4, 1)
    assert len(bench.trace.of(events.RegisterMissing)) == 2
