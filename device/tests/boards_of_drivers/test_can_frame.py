# SPDX-License-Identifier: Apache-2.0
"""A CAN frame's arbitration field and length in bits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x_boards.esd_can_pci266.can.frame import Frame, crc, first_difference
from tests.boards_of_drivers.can_bench import extended, standard


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    is_extended, remote, code = draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 15))
    size = 0 if remote else min(code, 8)
    identifier = draw(st.integers(0, (1 << (29 if is_extended else 11)) - 1))
    return Frame(identifier, is_extended, remote, code, draw(st.binary(min_size=size, max_size=size)))


def test_the_crc_is_that_of_the_catalogue() -> None:
    assert crc(int.from_bytes(b"123456789", "big"), 72) == 0x059E  # CRC-15/CAN


@given(frames())
def test_the_length_is_that_of_the_frame_written_out_bit_by_bit(frame: Frame) -> None:
    name = f"{frame.identifier:0{29 if frame.extended else 11}b}"
    rtr, tail = str(int(frame.remote)), f"{frame.code:04b}" + "".join(f"{byte:08b}" for byte in frame.data)
    body = f"0{name[:11]}11{name[11:]}{rtr}00{tail}" if frame.extended else f"0{name}{rtr}00{tail}"
    body += f"{crc(int(body, 2), len(body)):015b}"
    stuffed = re.compile("0{5}|1{5}")
    at = 0
    while found := stuffed.search(body, at):
        at = found.end()
        body = body[:at] + ("1" if found[0][0] == "0" else "0") + body[at:]
    assert frame.stuffed_bits() == len(body)


@given(frames(), frames())
def test_the_frame_whose_first_other_bit_is_dominant_wins(one: Frame, other: Frame) -> None:
    def sent(frame: Frame) -> str:
        name = f"{frame.identifier:0{29 if frame.extended else 11}b}"
        rtr = str(int(frame.remote))
        return f"{name[:11]}11{name[11:]}{rtr}" if frame.extended else f"{name}{rtr}0"

    differing = [at for at, (a, b) in enumerate(zip(sent(one), sent(other), strict=False)) if a != b]
    assert first_difference(one, other) == (differing[0] if differing else None)
    if differing:
        assert (one.arbitration < other.arbitration) is (sent(one)[differing[0]] == "0")


@pytest.mark.parametrize(
    ("winner", "loser", "position"),
    [
        (standard(0x100), standard(0x101), 10),
        (standard(0x000), standard(0x400), 0),
        (standard(0x123, b"x"), Frame(0x123, extended=False, remote=True, code=1, data=b""), 11),
        (standard(0x123), extended(0x123 << 18), 11),
        (Frame(0x123, extended=False, remote=True, code=0, data=b""), extended(0x123 << 18), 12),
        (extended(2), extended(3), 30),
        (extended(3), Frame(3, extended=True, remote=True, code=0, data=b""), 31),
    ],
)
def test_positions_are_those_that_the_capture_register_numbers(winner: Frame, loser: Frame, position: int) -> None:
    assert first_difference(winner, loser) == position
    assert winner.arbitration < loser.arbitration
