# SPDX-License-Identifier: Apache-2.0
"""Addresses as driver code writes them: hex, masks and formats give plain numbers, and kinds still never mix.

Source: reference hal-contract 0.3 and 1.2 (PHYSICAL_ADDRESS is a union of QuadPart with LowPart and HighPart).
"""

import operator
import struct

import pytest

from nthal.machine import Machine
from nthal.platforms import FLAT
from nthal.types import AddressKindError, La, Pa, Va

HIGH = 0xFFFF_A000_1234_5678


def test_an_address_is_written_as_a_number_or_with_its_kind():
    va = Va(HIGH)
    assert hex(va) == "0xffffa00012345678"
    assert f"{va:#x}" == hex(va)
    assert f"{La(0x1000):016x}" == "0000000000001000"
    assert f"{La(4096):,}" == "4,096"
    assert f"{La(5):>#8x}" == "     0x5"
    assert f"{va}" == str(va) == repr(va) == "Va(0xffffa00012345678)"
    with pytest.raises(ValueError, match="format code"):
        f"{va:s}"


def test_what_is_taken_of_an_address_is_a_plain_number():
    va = Va(HIGH)
    for got, due in (
        (va & 0xFFF, 0x678),
        (0xFFF & va, 0x678),
        (va & ~0xFFF, HIGH - 0x678),
        (va | 1, HIGH + 1),
        (1 | va, HIGH + 1),
        (va ^ 8, HIGH ^ 8),
        (8 ^ va, HIGH ^ 8),
        (va % 4096, 0x678),
        (va // 4096, HIGH >> 12),
        (va >> 32, 0xFFFF_A000),
    ):
        assert got == due
        assert type(got) is int
    assert struct.pack("<Q", La(0x1_2345_6000)) == (0x1_2345_6000).to_bytes(8, "little")


def test_an_address_some_bytes_on_or_back_is_an_address_of_its_kind():
    va = Va(0x1000)
    assert va + 8 == 8 + va == Va(0x1008)
    assert va - 8 == Va(0xFF8)
    assert type(va - 8) is Va
    assert Va(0x1008) - va == 8
    with pytest.raises(ValueError, match="64-bit"):
        va - 0x1001
    with pytest.raises(AddressKindError):
        sum([va, va])


def test_a_physical_address_has_the_members_of_the_union_and_a_virtual_one_has_not():
    assert (La(0x1_2345_6789).QuadPart, La(0x1_2345_6789).LowPart, La(0x1_2345_6789).HighPart) == (
        0x1_2345_6789,
        0x2345_6789,
        1,
    )
    # QuadPart is a LONGLONG and HighPart a LONG: signed, as in C.
    assert (Pa(HIGH).QuadPart, Pa(HIGH).HighPart, Pa(HIGH).LowPart) == (HIGH - (1 << 64), -0x6000, 0x1234_5678)
    assert (Pa(HIGH).low, Pa(HIGH).high) == (0x1234_5678, 0xFFFF_A000)
    assert not hasattr(Va(HIGH), "QuadPart")


OPERATORS = [
    *(operator.add, operator.sub, operator.and_, operator.or_, operator.xor, operator.mod, operator.floordiv),
    *(operator.rshift, operator.lt, operator.le, operator.gt, operator.ge, operator.eq),
]


@pytest.mark.parametrize("do", OPERATORS, ids=lambda do: do.__name__)
def test_cb35_no_operator_takes_two_kinds(do):
    with pytest.raises(AddressKindError):
        do(La(0x1000), Pa(0x1000))
    with pytest.raises(AddressKindError):
        do(Va(0x1000), La(1))


@pytest.mark.parametrize("make", [La, Pa, Va])
def test_cb35_no_kind_is_made_of_another_nor_added_to_one_of_its_own(make):
    with pytest.raises(AddressKindError):
        make(Pa(1))
    with pytest.raises(AddressKindError):
        make(1) + make(1)
    with pytest.raises(AddressKindError):
        make(1) & make(1)


def test_bytes_of_an_address_are_refused_instead_of_being_that_many_zeros():
    with pytest.raises(AddressKindError, match="to_bytes"):
        bytes(La(0x1000))


def test_cb35_a_device_takes_neither_a_virtual_nor_a_physical_address():
    machine = Machine(FLAT)
    for wrong in (Va(0x101000), Pa(0x101000), 0x101000):
        with pytest.raises(AddressKindError):
            machine.device_read(wrong, 4)
        with pytest.raises(AddressKindError):
            machine.device_write(wrong, b"1234")
    with pytest.raises(AddressKindError):
        machine.cpu_read(La(0x101000), 4)
