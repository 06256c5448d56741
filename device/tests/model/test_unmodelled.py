# SPDX-License-Identifier: Apache-2.0
"""Accesses that mean nothing have defined results and are counted."""

import pytest

from plx9x5x.model.unmodelled import MOST
from plx9x5x.ports import ResetKind
from tests.model.bench import Bench


def test_a_well_behaved_driver_leaves_no_lines(bench: Bench) -> None:
    bench.channel(0).block(pci=bench.RAM, local=0, length=64, to="local").run()
    assert bench.chip.unmodelled.lines() == []


def test_an_unknown_offset_is_counted_by_kind(bench: Bench) -> None:
    for _ in range(3):
        assert bench.chip.read(0, 0x1F0, 4) == 0
    bench.chip.write(0, 0x1F2, 1, 0xFF)
    bench.chip.config_read(0x60, 4)
    assert bench.chip.unmodelled.lines() == [
        "configuration space 0x060 read: no such register (1 x)",
        "BAR0 0x1f0 read: no such register (3 x)",
        "BAR0 0x1f0 write: no such register (1 x)",
    ]


def test_bits_that_the_chip_lacks_are_named(bench: Bench) -> None:
    bench.chip.write(0, 0x80, 4, 0xFFC0_0043)
    assert bench.chip.read(0, 0x80, 4) == 0x43
    assert bench.chip.unmodelled.lines() == ["BAR0 0x080 write: no such bits 0xffc00000 (1 x)"]


def test_an_odd_width_is_counted_and_split(bench: Bench) -> None:
    bench.chip.write(0, 0x48, 3, 0x33_2211)
    assert bench.chip.read(0, 0x48, 3) == 0x33_2211
    assert bench.chip.unmodelled.lines() == [
        "BAR0 0x048 read: 3 bytes at once (1 x)",
        "BAR0 0x048 write: 3 bytes at once (1 x)",
    ]


@pytest.mark.parametrize(("bar", "size"), [(0, 0x200), (1, 0x100)])
def test_beyond_the_registers_reads_zero(bench: Bench, bar: int, size: int) -> None:
    bench.chip.write(0, size - 4 if size == 0x200 else 0xFC, 4, 0x5555_5555)
    expected = 0x5555_5555 >> 16 if bar == 1 else 0
    assert bench.chip.read(bar, size - 2, 4) == expected
    bench.chip.write(bar, size - 2, 4, 0xFFFF_FFFF)
    lines = "\n".join(bench.chip.unmodelled.lines())
    assert f"BAR{bar} {size - 4:#05x} read: beyond the registers (1 x)" in lines
    assert f"BAR{bar} {size - 4:#05x} write: beyond the registers (1 x)" in lines


def test_an_access_that_wraps_in_a_space_is_counted(bench: Bench) -> None:
    bench.chip.write(2, 0x1_FFFE, 4, 0x4433_2211)
    assert bench.local(0, 2) == b"\x33\x44"
    assert bench.chip.unmodelled.lines() == ["BAR2 0x1fffc write: wraps at the end of its 0x20000 bytes (1 x)"]


def test_a_guest_that_scans_everything_grows_nothing(bench: Bench) -> None:
    for offset in range(0x4000):
        bench.chip.config_read(offset, 4)
        bench.chip.config_read(0x54, 4)
    lines = bench.chip.unmodelled.lines()
    assert len(lines) == MOST + 1
    assert lines[-1].startswith("... and ")


def test_another_client_starts_with_a_clean_slate(bench: Bench) -> None:
    bench.chip.read(0, 0x1F0, 4)
    bench.chip.reset(ResetKind.POWER_ON)
    assert len(bench.chip.unmodelled.lines()) == 1, "a driver's own reset keeps the count"
    bench.chip.reset(ResetKind.LOST_CLIENT)
    assert bench.chip.unmodelled.lines() == []
