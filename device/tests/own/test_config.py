# SPDX-License-Identifier: Apache-2.0
"""The configuration space that a device of one's own may have: sizing, the command register, what cannot be written."""

import pytest

from plx9x5x.own.config import ConfigSpace
from plx9x5x.ports import RegionSpec

REGIONS = (RegionSpec(0x1000), RegionSpec(0x100, is_io=True), RegionSpec(1 << 20), *(RegionSpec(0),) * 3)


@pytest.fixture
def space() -> ConfigSpace:
    return ConfigSpace(
        vendor=0x1234,
        device=0xABCD,
        regions=REGIONS,
        class_code=0x02_80_00,
        revision=7,
        subsystem=(0x1111, 0x2222),
        prefetchable=(2,),
    )


def test_it_says_who_it_is(space: ConfigSpace) -> None:
    assert space.read(0, 4) == 0xABCD_1234
    assert space.read(8, 4) == 0x0280_0007
    assert space.read(0x2C, 4) == 0x2222_1111
    assert space.read(0x3D, 1) == 1


def test_bars_tell_their_size_and_kind(space: ConfigSpace) -> None:
    for at in range(0x10, 0x28, 4):
        space.write(at, 4, 0xFFFF_FFFF)
    assert [space.read(at, 4) for at in range(0x10, 0x28, 4)] == [0xFFFF_F000, 0xFFFF_FF01, 0xFFF0_0008, 0, 0, 0]
    space.write(0x12, 2, 0xFEB0)
    assert space.read(0x10, 4) == 0xFEB0_F000


def test_the_command_register_turns_on_what_there_is(space: ConfigSpace) -> None:
    assert (space.memory, space.io, space.master) == (False, False, False)
    space.write(4, 2, 0xFFFF)
    assert space.memory
    assert space.io
    assert space.master
    assert space.read(4, 2) == 0x0147
    space.reset()
    assert space.read(4, 2) == 0


def test_what_has_no_bar_of_a_kind_cannot_turn_it_on() -> None:
    space = ConfigSpace(vendor=1, device=1, regions=(RegionSpec(0x1000), *(RegionSpec(0),) * 5), interrupt_pin=0)
    space.write(4, 2, 7)
    assert (space.io, space.memory, space.read(0x3D, 1)) == (False, True, 0)


def test_identity_cannot_be_written_and_the_interrupts_line_can(space: ConfigSpace) -> None:
    space.write(0, 4, 0)
    space.write(0x3C, 2, 0x0A0B)
    assert (space.read(0, 4), space.read(0x3C, 2)) == (0xABCD_1234, 0x010B)


def test_accesses_beyond_the_end_mean_nothing(space: ConfigSpace) -> None:
    space.write(0xFE, 4, 0xFFFF_FFFF)
    assert space.read(0xFE, 4) == space.read(0x200, 4) == 0
