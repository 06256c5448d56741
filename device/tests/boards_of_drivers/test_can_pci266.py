# SPDX-License-Identifier: Apache-2.0
"""esd CAN-PCI/266: what a driver's probe finds, and the registers of its controllers."""

import pytest

from plx9x5x_boards.esd_can_pci266.can.frame import Frame
from plx9x5x_boards.esd_can_pci266.can.registers import Basic, Ir, Mod, Pelican, Sr
from tests.boards_of_drivers.can_bench import (
    EVERYTHING,
    FRAME,
    INTCSR,
    MS,
    NORMAL,
    CanBench,
    extended,
    standard,
)


@pytest.fixture
def bench() -> CanBench:
    return CanBench().both()


# -- the probe


@pytest.mark.parametrize("which", [0, 1])
def test_the_probe_finds_the_reset_values_of_both_modes(which: int) -> None:
    bench = CanBench()
    bench.local_reset()
    assert [bench.read(which, it) for it in (Basic.CR, Basic.SR, Basic.IR)] == [0x21, 0x0C, 0xE0]
    bench.write(which, Pelican.CDR, 0x80)
    assert [bench.read(which, it) for it in (Pelican.MOD, Pelican.SR, Pelican.IR)] == [0x01, 0x3C, 0x00]
    assert [bench.read(which, it) for it in (Pelican.EWLR, Pelican.RXERR, Pelican.TXERR, Pelican.RMC)] == [96, 0, 0, 0]


def test_the_ids_are_those_that_plx_pci_looks_for_also_after_its_reset() -> None:
    bench = CanBench()
    for _ in range(2):
        assert bench.chip.config_read(0x00, 4) == 0x9056_10B5
        assert bench.chip.config_read(0x2C, 4) == 0x0009_12FE
        bench.local_reset()


def test_a_local_reset_takes_both_controllers_back_to_basic_mode_and_lets_the_interrupt_go(bench: CanBench) -> None:
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.host.line.level
    bench.local_reset()
    assert not bench.host.line.level
    assert [bench.read(which, Basic.CR) for which in (0, 1)] == [0x21, 0x21]
    bench.run(MS)
    assert not bench.host.line.level


def test_while_the_card_is_held_in_reset_its_controllers_are_not_there(bench: CanBench) -> None:
    bench.chip.write(0, 0x6C, 4, bench.chip.read(0, 0x6C, 4) | 1 << 30)
    assert bench.read(0, Pelican.MOD) == 0xFF


# -- registers


RESET_ONLY = {Pelican.BTR0: 0xA5, Pelican.BTR1: 0x5A, Pelican.OCR: 0xDA, Pelican.EWLR: 0x60, Pelican.RBSA: 0x15}


def test_in_operating_mode_what_sets_the_chip_up_is_read_only(bench: CanBench) -> None:
    before = {register: bench.read(0, register) for register in (*RESET_ONLY, Pelican.RXERR, Pelican.TXERR)}
    for register, value in before.items():
        bench.write(0, register, value ^ 0x3F)
    assert {register: bench.read(0, register) for register in before} == before


def test_in_reset_mode_it_is_written_and_a_filter_is_where_frames_were(bench: CanBench) -> None:
    bench.write(0, Pelican.MOD, Mod.RESET)
    for register, value in RESET_ONLY.items():
        bench.write(0, register, value)
    for place in range(13):
        bench.write(0, Pelican.WINDOW + place, 0x40 + place)
    assert {register: bench.read(0, register) for register in RESET_ONLY} == RESET_ONLY
    assert [bench.read(0, Pelican.WINDOW + place) for place in range(13)] == [*range(0x40, 0x48), 0, 0, 0, 0, 0]


def test_modes_change_in_reset_mode_only_and_sleep_out_of_it_only(bench: CanBench) -> None:
    bench.write(0, Pelican.MOD, Mod.LISTEN_ONLY | Mod.SELF_TEST | Mod.SINGLE_FILTER)
    assert bench.read(0, Pelican.MOD) == 0
    bench.write(0, Pelican.MOD, 0xFF)
    assert bench.read(0, Pelican.MOD) == Mod.RESET
    bench.write(0, Pelican.MOD, 0xFF)
    assert bench.read(0, Pelican.MOD) == 0x0F


def test_the_mode_of_the_chip_changes_in_reset_mode_only_and_the_divider_always(bench: CanBench) -> None:
    bench.write(0, Pelican.CDR, 0x05)
    assert bench.read(0, Pelican.CDR) == 0xC5
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.write(0, Pelican.CDR, 0x7F)
    assert bench.read(0, Basic.CDR) == 0x6F  # bit 4 reads 0
    assert bench.read(0, Basic.IR) == 0xE0


def test_the_ram_is_read_always_and_written_in_reset_mode(bench: CanBench) -> None:
    bench.write(0, Pelican.RAM + 70, 0x77)
    assert bench.read(0, Pelican.RAM + 70) == 0
    bench.write(0, Pelican.MOD, Mod.RESET)
    bench.write(0, Pelican.RAM + 70, 0x77)
    assert bench.read(0, Pelican.RAM + 70) == 0x77


def test_a_dword_is_four_registers_and_between_the_controllers_reads_give_ones(bench: CanBench) -> None:
    single = [bench.read(0, Pelican.EWLR + it) for it in range(3)]
    assert bench.chip.read(2, 12, 4) == int.from_bytes(bytes((0, *single)), "little")
    assert bench.chip.read(2, 0x80, 4) == 0xFFFF_FFFF
    bench.chip.write(2, 0x80, 4, 0)


# -- interrupts


def test_linti_is_a_level_that_both_controllers_share(bench: CanBench) -> None:
    bench.send(0, FRAME)
    bench.run(MS)
    assert bench.chip.read(0, INTCSR, 4) & 1 << 15
    bench.causes(0)
    assert bench.host.line.level, "the other one has a message"
    bench.receive(1)
    assert not bench.host.line.level
    assert not bench.chip.read(0, INTCSR, 4) & 1 << 15
    assert bench.host.line.rises == 1


def test_what_is_not_enabled_is_not_told_but_that_of_a_message_comes_with_its_enable(bench: CanBench) -> None:
    for which in (0, 1):
        bench.write(which, Pelican.IER, 0)
    bench.send(0, FRAME)
    bench.run(MS)
    assert not bench.host.line.level
    for which in (0, 1):
        bench.write(which, Pelican.IER, EVERYTHING)
    assert bench.causes(0) == 0
    assert bench.causes(1) == Ir.RECEIVED
    bench.write(1, Pelican.IER, 0)
    assert not bench.host.line.level


# -- filters


FILTERS = [
    # single filter, standard: identifier, RTR, two data bytes
    (Mod.SINGLE_FILTER, "24600000", "000fffff", standard(0x123), True),
    (Mod.SINGLE_FILTER, "24600000", "000fffff", standard(0x122), False),
    (Mod.SINGLE_FILTER, "24600000", "000fffff", Frame(0x123, extended=False, remote=True, code=0, data=b""), False),
    (Mod.SINGLE_FILTER, "24605500", "000f00ff", standard(0x123, b"\x55\x99"), True),
    (Mod.SINGLE_FILTER, "24605500", "000f00ff", standard(0x123, b"\x54\x99"), False),
    (Mod.SINGLE_FILTER, "24605500", "000f00ff", standard(0x123), True),
    (Mod.SINGLE_FILTER, "24600066", "000fff00", standard(0x123, b"\x55\x66"), True),
    (Mod.SINGLE_FILTER, "24600066", "000fff00", standard(0x123, b"\x55\x67"), False),
    # single filter, extended: 29 bits and RTR
    (Mod.SINGLE_FILTER, "d5e6f780", "00000003", extended(0x1ABC_DEF0), True),
    (Mod.SINGLE_FILTER, "d5e6f780", "00000003", extended(0x1ABC_DEF1), False),
    (Mod.SINGLE_FILTER, "d5e6f780", "000000ff", extended(0x1ABC_DEF1), True),
    (Mod.SINGLE_FILTER, "d5e6f783", "00000000", extended(0x1ABC_DEF0), True),
    # two filters, standard: either may let it pass, the first one looks at a data byte
    (NORMAL, "24602000", "000f001f", standard(0x123), True),
    (NORMAL, "24602000", "000f001f", standard(0x100), True),
    (NORMAL, "24602000", "000f001f", standard(0x124), False),
    (NORMAL, "ffe02460", "0000000f", standard(0x123), True),
    (NORMAL, "ffe02460", "0000000f", Frame(0x123, extended=False, remote=True, code=0, data=b""), False),
    (NORMAL, "2465fff9", "00000010", standard(0x123, b"\x59"), True),
    (NORMAL, "2465fff9", "00000010", standard(0x123, b"\x58"), False),
    (NORMAL, "2465fff9", "00000010", standard(0x123), True),
    # two filters, extended: the upper 16 bits
    (NORMAL, "d5e61111", "00000000", extended(0x1ABC_DEF0), True),
    (NORMAL, "1111d5e6", "00000000", extended(0x1ABC_DEF0), True),
    (NORMAL, "1111d5e7", "00000000", extended(0x1ABC_DEF0), False),
]


@pytest.mark.parametrize(("mode", "code", "mask", "frame", "passes"), FILTERS)
def test_a_filter_lets_pass_what_matches_where_the_mask_is_0(
    bench: CanBench, mode: int, code: str, mask: str, frame: Frame, passes: bool
) -> None:
    bench.write(1, Pelican.MOD, Mod.RESET)
    for place, byte in enumerate(bytes.fromhex(code + mask)):
        bench.write(1, Pelican.WINDOW + place, byte)
    bench.write(1, Pelican.MOD, Mod.RESET | mode)
    bench.write(1, Pelican.MOD, mode)
    bench.run(MS)
    bench.send(0, frame)
    bench.run(MS)
    assert bench.status(0) & Sr.COMPLETE, "it is acknowledged whether it is kept or not"
    assert bench.read(1, Pelican.RMC) == int(passes)
