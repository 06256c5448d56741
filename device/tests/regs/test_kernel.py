# SPDX-License-Identifier: Apache-2.0
"""The register kernel: wrong tables are refused, each access kind does what its name says, byte lanes hold."""

import enum
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plx9x5x.regs import kernel
from plx9x5x.regs.family import Chips, Register
from plx9x5x.regs.kernel import SHADOW, Access, RegisterFile, Write, after_write, bit, bits

SRC = "test"
CHIP = Chips.PCI9656


class MIXED(Register, offset=0x10, source=SRC):
    low = bits(7, 0, Access.RW, reset=0x43, doc="")
    status = bits(15, 8, Access.RO, reset=0x0F, doc="")
    sticky = bits(23, 16, Access.W1C, doc="")
    bell = bits(27, 24, Access.W1S, doc="")
    go = bits(31, 28, Access.W1T, doc="")


class LANE0(Register, offset=0x20, width=8, source=SRC):
    value = bits(7, 0, Access.RW, reset=0x11, doc="")


class LANE1(Register, offset=0x21, width=8, source=SRC):
    value = bits(7, 0, Access.RW, reset=0x22, doc="")


class UPPER(Register, offset=0x22, width=16, source=SRC):
    value = bits(15, 0, Access.RW, reset=0x4433, doc="")


class SEEN_TWICE(Register, offset=0x40, source=SRC, aliases=(0x78,)):
    value = bits(31, 0, Access.RW, doc="")


def test_reset_and_masks_come_from_the_fields() -> None:
    layout = MIXED.on(CHIP)
    assert layout.reset == 0x0F43
    assert (layout.rw, layout.w1c, layout.w1s, layout.w1t) == (0xFF, 0xFF0000, 0xF000000, 0xF0000000)
    assert layout.stored == 0x0FFF_FFFF


def test_a_field_decodes_on_an_instance_and_is_itself_on_the_class() -> None:
    assert MIXED(0x0F43).low == 0x43
    assert MIXED.low.mask == 0xFF
    assert str(MIXED(0x0F43)) == "MIXED=0xf43 low=0x43 status=0xf sticky=0x0 bell=0x0 go=0x0"


def test_overlapping_fields_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"BAD\.b: overlaps"):

        class BAD(Register, offset=0, source=SRC):
            a = bits(3, 0, Access.RW, doc="")
            b = bits(4, 3, Access.RW, doc="")


def test_a_field_outside_its_register_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"BAD\.a: bits 8:0 are outside a 8-bit"):

        class BAD(Register, offset=0, width=8, source=SRC):
            a = bits(8, 0, Access.RW, doc="")


def test_a_reset_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"BAD\.a: 0x10 does not fit"):

        class BAD(Register, offset=0, source=SRC):
            a = bits(3, 0, Access.RW, reset=0x10, doc="")


def test_a_trigger_with_a_reset_value_is_refused() -> None:
    with pytest.raises(TypeError, match=r"BAD\.a: a trigger stores nothing"):

        class BAD(Register, offset=0, source=SRC):
            a = bit(0, Access.W1T, reset=1, doc="")


def test_a_field_may_not_hide_what_every_register_has() -> None:
    with pytest.raises(TypeError, match=r"BAD\.width: every register has a width"):

        class BAD(Register, offset=0, source=SRC):
            width = bits(3, 0, Access.RW, doc="")  # type: ignore[assignment]


def test_a_table_is_checked_for_each_chip_by_itself() -> None:
    class SHARED(Register, offset=0, source=SRC):
        old = bit(0, Access.RO, reset=1, doc="", chips=Chips.PCI9080)
        new = bit(0, Access.RW, doc="", chips=Chips.SINCE_9056)
        since = bits(2, 1, Access.RW, reset={Chips.PCI9054: 1, Chips.SINCE_9056: 2}, doc="", chips=Chips.SINCE_9054)
        listed = bit(3, Access.RW, doc="", absent=True)

    assert [field.name for field in SHARED.fields_on(Chips.PCI9054)] == ["since", "listed"]
    assert (SHARED.on(Chips.PCI9080).reset, SHARED.on(Chips.PCI9080).rw) == (1, 0)
    assert (SHARED.on(Chips.PCI9054).reset, SHARED.on(Chips.PCI9054).rw) == (2, 6)
    assert (SHARED.on(Chips.PCI9656).reset, SHARED.on(Chips.PCI9656).rw) == (4, 7)
    assert SHARED(1).text(Chips.PCI9080) == "SHARED=0x1 old=1 listed=0"


def test_a_device_without_relatives_declares_registers_without_a_family() -> None:
    class CONTROL(kernel.Register, offset=0, source=SRC):
        enable = bit(0, Access.RW, doc="")
        go = bit(1, Access.W1T, doc="")

    written: list[Write] = []
    regs = RegisterFile([CONTROL], on_write={CONTROL: written.append})
    regs.write(0, 4, 3)
    assert (regs[CONTROL], regs.read(0, 4), written) == (1, 1, [Write(0, 1, 3, 0xFFFF_FFFF)])
    assert str(CONTROL(1)) == "CONTROL=0x1 enable=1 go=0"


def test_a_family_of_ones_own_has_chips_of_its_own() -> None:
    class Models(enum.Flag):
        OLD = enum.auto()
        NEW = enum.auto()

    class ModelRegister(kernel.Register, family=Models):
        """What that family's registers derive from."""

    class STATUS(ModelRegister, offset=0, source=SRC):
        both = bit(0, Access.RO, reset={Models.NEW: 1}, doc="")
        newer = bit(1, Access.RW, reset=1, doc="", chips=Models.NEW)

    assert STATUS.chips == STATUS.both.chips == Models.OLD | Models.NEW
    assert [RegisterFile([STATUS], model).read(0, 4) for model in Models] == [0, 3]


def test_a_family_may_be_declared_with_its_only_register() -> None:
    class ALONE(kernel.Register, family=Chips, offset=0, source=SRC):
        value = bits(7, 0, Access.RW, reset=5, doc="")

    assert RegisterFile([ALONE], CHIP).read(0, 1) == 5


def test_a_chip_of_another_family_is_refused_where_it_is_named() -> None:
    one = kernel.OneDevice.DEVICE
    with pytest.raises(TypeError, match=r"BAD1\.value: <OneDevice.* is not of the family Chips"):

        class BAD1(Register, offset=0, source=SRC):
            value = bit(0, Access.RW, doc="", chips=one)

    with pytest.raises(TypeError, match=r"BAD2\.value: <OneDevice.* is not of the family Chips"):

        class BAD2(Register, offset=0, source=SRC):
            value = bit(0, Access.RW, doc="", reset={one: 1})

    with pytest.raises(TypeError, match=r"BAD3: <OneDevice.* is not of the family Chips"):

        class BAD3(Register, offset=0, source=SRC, chips=one):
            value = bit(0, Access.RW, doc="")


def test_a_family_without_chips_is_refused() -> None:
    class Nobody(enum.Flag):
        pass

    for family in (Nobody, int, kernel.Access, Chips.PCI9080):
        with pytest.raises(TypeError, match=r"BASE: family=.* is no enum.Flag with a chip in it"):

            class BASE(kernel.Register, family=family):
                pass


@pytest.mark.parametrize("chip", [Chips.SINCE_9056, Chips(0)])
def test_a_file_is_of_one_chip(chip: Chips) -> None:
    with pytest.raises(TypeError, match="is not one chip"):
        RegisterFile([MIXED], chip)


def test_a_hook_on_a_register_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="LANE0 has a hook and is not in the file"):
        RegisterFile([MIXED], CHIP, on_write={LANE0: lambda _: None})


@pytest.mark.parametrize("name", ["raw", "text", "fields_on", "width"])
def test_a_field_cannot_take_a_name_that_registers_have(name: str) -> None:
    with pytest.raises(TypeError, match=rf"BAD\.{name}: every register has a {name} of its own"):
        type("BAD", (Register,), {name: bit(0, Access.RW, doc="")}, offset=0, source=SRC)


def test_a_register_of_another_family_is_refused() -> None:
    with pytest.raises(TypeError, match=r"MIXED is a register of Chips, and <OneDevice\.DEVICE: 1> is none of them"):
        RegisterFile([MIXED])


def test_a_register_that_the_chip_lacks_takes_nothing_and_means_its_missing_value() -> None:
    class LATER(Register, offset=0, source=SRC, chips=Chips.SINCE_9056, missing=5):
        value = bits(7, 0, Access.RW, reset=9, doc="")

    regs = RegisterFile([LATER], Chips.PCI9054)
    assert (regs[LATER], LATER in regs, regs.read(0, 4)) == (5, False, 0)
    regs[LATER] = 7
    regs.set_bits(LATER, 2, to=True)
    regs.load(0, 0xFF)
    regs.write(0, 4, 0xFF)
    regs.reset([LATER])
    assert (regs[LATER], regs.read(0, 4)) == (5, 0)
    assert RegisterFile([LATER], Chips.PEX8311).read(0, 4) == 9


def test_a_shadow_shows_only_where_it_is_moved_to() -> None:
    class PORT(Register, offset=0x40, source=SRC, shadow=True):
        value = bits(31, 0, Access.RW, reset=0x99, doc="")

    regs = RegisterFile([SEEN_TWICE, PORT], CHIP)
    assert regs.read(0x40, 4) == 0
    regs.moved[0x40] = 0x40 | SHADOW
    assert regs.read(0x40, 4) == 0x99
    regs.write(0x40, 4, 1)
    assert (regs[PORT], regs[SEEN_TWICE]) == (1, 0)


def test_accesses_that_mean_nothing_are_told() -> None:
    told: list[tuple[int, int, bool]] = []
    regs = RegisterFile([LANE0, MIXED], CHIP, on_unknown=lambda *what: told.append(what))
    regs.read(0x30, 2)
    regs.write(0x30, 1, 0)
    regs.write(0x20, 4, 0xFF00_00FF)
    regs.write(0x22, 2, 0)
    regs.write(0x10, 4, 0xFFFF_FFFF)
    assert told == [(0x30, 0, False), (0x30, 0, True), (0x20, 0xFF00_0000, True)]


@pytest.mark.parametrize(("offset", "width"), [(1, 32), (2, 32), (1, 16), (0, 24)])
def test_an_unnatural_register_is_refused(offset: int, width: int) -> None:
    with pytest.raises(TypeError, match="not a natural register"):
        type("BAD", (Register,), {}, offset=offset, width=width, source=SRC)


def test_a_register_without_a_source_is_refused() -> None:
    with pytest.raises(TypeError, match="without a source"):
        type("BAD", (Register,), {}, offset=0)


def test_two_registers_on_the_same_bytes_are_refused() -> None:
    class CLASH(Register, offset=0x20, width=16, source=SRC):
        value = bits(15, 0, Access.RW, doc="")

    with pytest.raises(TypeError, match="share bytes at offset 0x20"):
        RegisterFile([LANE0, CLASH], CHIP)


@pytest.mark.parametrize(
    ("old", "data", "lanes", "new"),
    [
        (0x0F43, 0xFF, 0xFFFF_FFFF, 0x0FFF),  # RW takes, RO keeps
        (0x0F43, 0x0000_0000, 0xFFFF_FFFF, 0x0F00),
        (0x00FF_0F43, 0x0081_0043, 0xFFFF_FFFF, 0x007E_0F43),  # W1C clears ones only
        (0x0100_0F43, 0x0200_0043, 0xFFFF_FFFF, 0x0300_0F43),  # W1S adds
        (0x0000_0F43, 0xF000_0043, 0xFFFF_FFFF, 0x0000_0F43),  # W1T stores nothing
        (0x00FF_0F43, 0xFFFF_FFFF, 0x0000_FF00, 0x00FF_0F43),  # a lane that is off changes nothing
    ],
)
def test_each_access_kind(old: int, data: int, lanes: int, new: int) -> None:
    assert after_write(MIXED.on(CHIP), old, data, lanes) == new


def test_a_dword_reaches_every_register_in_it_lowest_first() -> None:
    order: list[str] = []
    seen: dict[str, Write] = {}

    def hook(name: str) -> object:
        def note(write: Write) -> None:
            order.append(name)
            seen[name] = write

        return note

    regs = RegisterFile([UPPER, LANE1, LANE0], CHIP, on_write={LANE0: hook("0"), LANE1: hook("1"), UPPER: hook("u")})  # type: ignore[dict-item]
    regs.write(0x20, 4, 0xDDCC_BBAA)
    assert order == ["0", "1", "u"]
    assert (regs[LANE0], regs[LANE1], regs[UPPER]) == (0xAA, 0xBB, 0xDDCC)
    assert seen["1"] == Write(0x22, 0xBB, 0xBB, 0xFF)


def test_a_byte_reaches_one_register() -> None:
    called: list[int] = []
    regs = RegisterFile([LANE0, LANE1, UPPER], CHIP, on_write={LANE0: lambda w: called.append(0)})
    regs.write(0x21, 1, 0x5A)
    assert called == []
    assert regs.read(0x20, 4) == 0x4433_5A11


def test_an_alias_is_the_same_storage() -> None:
    regs = RegisterFile([SEEN_TWICE], CHIP)
    regs.write(0x78, 4, 0x1234_5678)
    assert regs.read(0x40, 4) == 0x1234_5678


def test_unknown_offsets_read_zero_and_ignore_writes() -> None:
    regs = RegisterFile([LANE0], CHIP)
    regs.write(0x100, 4, 0xFFFF_FFFF)
    assert regs.read(0x100, 4) == 0
    assert regs.read(0x20, 4) == 0x11


def test_moved_dwords_show_elsewhere() -> None:
    regs = RegisterFile([MIXED, LANE0], CHIP)
    regs.moved[0x10] = 0x20
    assert regs.read(0x10, 4) == 0x11
    regs.write(0x10, 4, 0x77)
    assert regs[LANE0] == 0x77


def test_the_chip_may_set_read_only_bits() -> None:
    regs = RegisterFile([MIXED], CHIP)
    regs.set_bits(MIXED, 0x8000, to=True)
    assert regs.read(0x10, 4) == 0x8F43
    regs.set_bits(MIXED, 0x8000, to=False)
    assert regs.read(0x10, 4) == 0x0F43


def test_a_load_reaches_read_only_fields_and_runs_no_hook() -> None:
    called: list[int] = []
    regs = RegisterFile([MIXED], CHIP, on_write={MIXED: lambda w: called.append(1)})
    regs.load(0x10, 0xFFFF_AA55)
    assert regs[MIXED] == 0x0FFF_AA55
    assert called == []


@dataclass
class Oracle:
    """The same three rules on single bits, written another way."""

    bits: list[int]

    def write(self, address: int, data: bytes) -> None:
        for at, byte in enumerate(data):
            for n in range(8):
                index = 8 * (address + at - 0x10) + n
                if not 0 <= index < 32:
                    continue
                one = byte >> n & 1
                if index < 8:
                    self.bits[index] = one
                elif 16 <= index < 24 and one:
                    self.bits[index] = 0
                elif 24 <= index < 28 and one:
                    self.bits[index] = 1


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("w"), st.integers(0x0C, 0x16), st.binary(min_size=1, max_size=9)),
            st.tuples(st.just("set"), st.integers(0, 0xFFFF_FFFF), st.just(b"")),
        ),
        max_size=20,
    )
)
def test_any_write_sequence_equals_the_oracle(steps: list[tuple[str, int, bytes]]) -> None:
    regs = RegisterFile([MIXED], CHIP)
    oracle = Oracle([MIXED.on(CHIP).reset >> n & 1 for n in range(32)])
    for kind, where, data in steps:
        if kind == "w":
            regs.write(where, len(data), int.from_bytes(data, "little"))
            oracle.write(where, data)
        else:
            regs.set_bits(MIXED, where, to=True)
            oracle.bits = [b | (where >> n & 1 if n < 28 else 0) for n, b in enumerate(oracle.bits)]
        expected = sum(b << n for n, b in enumerate(oracle.bits))
        assert regs.read(0x10, 4) == expected
        assert regs.read(0x0D, 9) == expected << 24
        assert regs.read(0x12, 1) == expected >> 16 & 0xFF
