# SPDX-License-Identifier: Apache-2.0
"""Configuration space, windows, resets, doorbells: what software sees of the chip outside the DMA engine."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plx9x5x import events
from plx9x5x.board import Board, Eeprom, EepromPart, board_names
from plx9x5x.ports import RegionSpec, ResetKind
from plx9x5x.regs.intr import OPQIS
from tests.length import tries
from tests.model.bench import (
    CHAIN,
    CNTRL,
    COMMAND,
    DONE,
    DONE_INTR,
    ENABLE,
    INTCSR,
    LAS0BA,
    MARBR,
    MODE_RESET,
    START,
    TO_INTA,
    Bench,
    Descriptor,
)

# Offset, reset value, bits that software may store: the 9656 on an RDK-LITE board, from the reference.
STORED = {
    0x00: (0xFFFE_0000, 0xFFFF_FFFF), 0x04: (0x0000_0001, 0xFFFF_FFFD), 0x08: (0x0020_0000, 0xBFFF_FFFF),
    0x0C: (0x0030_0500, 0x3F7F_FBFF), 0x10: (0, 0xFFFF_F801), 0x14: (0, 0xFFFF_F83F), 0x18: (0x4243_0043, 0xFFFF_7FFF),
    0x1C: (0, 0xFFFF_0000), 0x20: (0, 0xFFFF_0000), 0x24: (0, 0xFFFF_0000), 0x28: (0, 0xFFFF_FFFF), 0x2C: (0, 0x80FF_FFFF),
    0x30: (0, 0), 0x34: (8, 8), 0x40: (0, 0xFFFF_FFFF), 0x44: (0, 0xFFFF_FFFF), 0x48: (0, 0xFFFF_FFFF),
    0x4C: (0, 0xFFFF_FFFF), 0x50: (0, 0xFFFF_FFFF), 0x54: (0, 0xFFFF_FFFF), 0x58: (0, 0xFFFF_FFFF), 0x5C: (0, 0xFFFF_FFFF),
    0x64: (0, 0), 0x70: (0x9656_10B5, 0), 0x74: (0xBA, 0), 0x80: (0x43, 0x003F_FFFF), 0x84: (0, 0xFFFF_FFFF),
    0x88: (0, 0xFFFF_FFFF), 0x8C: (0, 0x807F_FFFF), 0x90: (0, 0xFFFF_FFFF), 0x94: (0x43, 0x003F_FFFF), 0x98: (0, 0xFFFF_FFFF),
    0x9C: (0, 0xFFFF_FFFF), 0xA0: (0, 0x807F_FFFF), 0xA4: (0, 0xFFFF_FFFF), 0xA8: (0x1010, 0), 0xB0: (0, 0xFFFF_FFFF),
    0xB4: (0, 0xFFFF_FFFF), 0xB8: (0, 0xFFFF_FFFF), 0xC0: (2, 0x3F), 0xC4: (0, 0xFFF0_0000), 0xC8: (0, 0xFFFFC),
    0xCC: (0, 0xFFFFC), 0xD0: (0, 0xFFFFC), 0xD4: (0, 0xFFFFC), 0xD8: (0, 0xFFFFC), 0xDC: (0, 0xFFFFC), 0xE0: (0, 0xFFFFC),
    0xE4: (0, 0xFFFFC), 0xE8: (0x50, 0x5F), 0xF0: (0xFFF0_0000, 0xFFFF_FFFF), 0xF4: (0, 0xFFFF_FFFD), 0xF8: (0x43, 0x7FFF),
    0xFC: (0, 0xFFFF_FFFF), 0x100: (0, 0xF), 0x104: (0, 0),
}  # fmt: skip
ALIASES = {**{0xAC + n: 0x08 + n for n in range(4)}, **{0x78 + n: 0x40 + n for n in range(8)}}
ALSO_AT_RESET = {0x60: 0, 0x68: 0x0F01_0100, 0x6C: 0x100F_767E, 0x78: 0, 0x7C: 0, 0xAC: 0x0020_0000}


@pytest.mark.parametrize("offset", range(0, 0x200, 4))
def test_every_dword_of_the_register_window_has_its_reset_value(bench: Bench, offset: int) -> None:
    expected = {**{at: reset for at, (reset, _) in STORED.items()}, **ALSO_AT_RESET}.get(offset, 0)
    assert bench.chip.read(0, offset, 4) == expected
    if offset < 0x100:
        assert bench.chip.read(1, offset, 4) == expected


def test_the_regions_are_those_of_the_card(bench: Bench) -> None:
    none = RegionSpec(0)
    assert bench.chip.regions == (
        RegionSpec(0x200), RegionSpec(0x100, is_io=True), RegionSpec(0x2_0000), none, none, none,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("offset", "width", "value"),
    [
        (0x00, 4, 0x9601_10B5), (0x04, 2, 0), (0x06, 2, 0x02B0), (0x08, 4, 0x0680_00BA), (0x0C, 4, 0), (0x10, 4, 0),
        (0x14, 4, 1), (0x18, 4, 0), (0x1C, 4, 0), (0x20, 8, 0), (0x28, 4, 0), (0x2C, 4, 0x9656_10B5), (0x30, 4, 0),
        (0x34, 4, 0x40), (0x3C, 4, 0x0100), (0x40, 4, 0x4802_4801), (0x44, 4, 0), (0x48, 4, 0x4C06), (0x4C, 4, 3), (0x50, 4, 0),
        (0x54, 4, 0), (0xFC, 4, 0),
    ],
)  # fmt: skip
def test_configuration_space_at_reset(board: Board, offset: int, width: int, value: int) -> None:
    assert Bench(board, enabled=False).chip.config_read(offset, width) == value


@pytest.mark.parametrize(
    ("offset", "width", "stored"),
    [(0x00, 4, 0), (0x04, 2, 0x0357), (0x08, 4, 0), (0x0C, 2, 0xFFFF), (0x0E, 2, 0x4000), (0x10, 4, 0xFFFF_FE00),
     (0x14, 4, 0xFFFF_FF00), (0x18, 4, 0xFFFE_0000), (0x1C, 4, 0), (0x20, 4, 0), (0x24, 4, 0), (0x2C, 4, 0), (0x30, 4, 0),
     (0x34, 4, 0), (0x3C, 4, 0xFF), (0x40, 4, 0), (0x48, 4, 0x000A_0000), (0x50, 4, 0xFFFF_FFFF)],
)  # fmt: skip
def test_only_writable_configuration_bits_store(board: Board, offset: int, width: int, stored: int) -> None:
    chip = Bench(board, enabled=False).chip
    ones = (1 << 8 * width) - 1
    before = chip.config_read(offset, width)
    chip.config_write(offset, width, ones)
    assert chip.config_read(offset, width) == before | stored
    chip.config_write(offset, width, 0)
    assert chip.config_read(offset, width) == before & ~stored


writes = st.lists(
    st.tuples(
        st.sampled_from(sorted(STORED)), st.integers(0, 3), st.sampled_from([1, 2, 4, 8]), st.integers(0, 2**64 - 1)
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=tries(35, 100))
@given(sequence=writes)
def test_any_register_write_sequence_equals_an_oracle(
    sequence: list[tuple[int, int, int, int]], new_bench: Callable[[], Bench]
) -> None:
    chip = new_bench().chip
    state = {at + n: reset >> 8 * n & 0xFF for at, (reset, _) in STORED.items() for n in range(4)}
    mask = {at + n: bits >> 8 * n & 0xFF for at, (_, bits) in STORED.items() for n in range(4)}
    for at, plus, width, data in sequence:
        raw = bytearray((data & (1 << 8 * width) - 1).to_bytes(width, "little"))
        for n in range(width):
            where = at + plus + n
            if where in (0x82, 0x96):
                raw[n] &= 0xEF  # the register order of valid mode has a test of its own
            if where in (0xA8, 0xA9) or where & ~7 == 0x68:
                raw[n] = 0  # so have commands, interrupts and resets
            if where in (0xC0, 0xE8):
                raw[n] &= 0xFE  # so have the queues
            where = ALIASES.get(where, where)
            if where in state:
                state[where] = state[where] & ~mask[where] | raw[n] & mask[where]
        chip.write(0, at + plus, width, int.from_bytes(raw, "little"))
    queue_base = state[0xC6] << 16 | state[0xC7] << 24
    for at in STORED:
        expected = sum(state[at + n] << 8 * n for n in range(4)) | (queue_base if 0xC8 <= at <= 0xE4 else 0)
        assert chip.read(0, at, 4) == expected, hex(at)


# -- windows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 64])
def test_the_sram_window_and_dma_see_the_same_bytes(bench: Bench, width: int) -> None:
    value = int.from_bytes(bench.pattern(width), "little")
    bench.chip.write(2, 0x1_0001, width, value)
    assert bench.chip.read(2, 0x1_0001, width) == value
    assert bench.local(0x1_0001, width) == bench.pattern(width)
    assert bench.local(0x1_0001 + width, 8) == bytes(8)


def test_a_bar_forgets_the_bits_below_its_size(bench: Bench) -> None:
    bench.chip.config_write(0x18, 4, 0xE001_2340)
    assert bench.chip.config_read(0x18, 4) == 0xE000_0000
    bench.chip.write(0, 0, 4, 0xFFFF_FFF0)
    assert bench.chip.config_read(0x18, 4) == 0xE000_0000


def test_the_rom_bar_takes_nothing_while_there_is_no_rom(bench: Bench) -> None:
    bench.chip.config_write(0x30, 4, 0xFFFF_FFFF)
    bench.chip.write(0, 0x10, 4, 0xFFFF_0000)
    assert bench.chip.config_read(0x30, 4) == 0


def test_the_registers_stay_memory_whatever_space_1_is(bench: Bench) -> None:
    bench.chip.write(0, 0xF0, 4, 0xFFFF_0001)
    bench.chip.write(0, 0xF4, 4, 1)
    bench.chip.write(0, 0xE8, 4, 0x51)
    assert bench.chip.regions[0] == RegionSpec(0x200)
    bench.chip.config_write(COMMAND, 2, 2)
    assert bench.chip.read(0, 0xE8, 4) & 1
    bench.chip.write(0, 0xE8, 4, 0x50)
    assert bench.chip.regions[3] == RegionSpec(0x1_0000, is_io=True)


@pytest.mark.parametrize("name", ["rdk-9054-lite", "rdk-9656-lite"])
def test_a_software_reset_keeps_the_power_state(name: str, new_bench: Callable[[str], Bench]) -> None:
    bench = new_bench(name)
    bench.chip.config_write(0x44, 2, 0x101)
    bench.chip.write(0, CNTRL, 4, 0x400F_767E)
    assert bench.chip.config_read(0x44, 2) == 0x101


def test_a_reload_without_an_entry_for_it_keeps_the_power_state(new_bench: Callable[[str], Bench]) -> None:
    bench = new_bench("rdk-9054-lite")
    bench.chip.config_write(0x44, 2, 0x101)
    bench.chip.write(0, CNTRL, 4, 0x200F_767E)
    assert bench.chip.config_read(0x44, 2) == 0x101


def test_the_rom_bar_takes_what_its_range_leaves(bench: Bench) -> None:
    bench.chip.config_write(0x30, 4, 0xFFFF_FFFF)
    assert bench.chip.config_read(0x30, 4) == 0
    bench.chip.write(0, 0x10, 4, 0xFFFF_0000)
    bench.chip.config_write(0x30, 4, 0xFFFF_FFFF)
    assert bench.chip.config_read(0x30, 4) == 0xFFFF_0001


def test_a_space_in_io_needs_the_io_bit_and_says_so(bench: Bench) -> None:
    bench.chip.local_bus.write(0, b"port")
    bench.chip.write(0, 0, 4, 0xFFFF_FF01)
    bench.chip.config_write(0x18, 4, 0xFFFF_FFFF)
    assert bench.chip.config_read(0x18, 4) == 0xFFFF_FF01
    assert bench.chip.regions[2] == RegionSpec(0x100, is_io=True)
    assert bench.chip.read(2, 0, 4) == int.from_bytes(b"port", "little")
    bench.chip.config_write(COMMAND, 2, 6)
    assert bench.chip.read(2, 0, 4) == 0xFFFF_FFFF


def test_a_space_keeps_its_memory_type_bits(bench: Bench) -> None:
    bench.chip.write(0, 0, 4, 0xFFFE_000C)
    assert bench.chip.config_read(0x18, 4) & 0xF == 0xC


def test_a_bar_that_is_off_stores_nothing(bench: Bench) -> None:
    bench.chip.config_write(0x1C, 4, 0xFFFF_FFFF)
    bench.chip.write(0, 0xF4, 4, 1)
    assert bench.chip.config_read(0x1C, 4) == 0
    bench.chip.config_write(0x1C, 4, 0xFFFF_FFFF)
    assert bench.chip.config_read(0x1C, 4) == 0xFFF0_0000


def test_local_initialisation_is_done_whatever_the_eeprom_says(board: Board) -> None:
    values = {"ids": 0x9601_10B5, "misc": 0, "las0rr": 0xFFFE_0000, "las0ba": 1}
    eeprom = Eeprom.loading(board.profile, EepromPart.C93CS56, values)
    assert Bench(replace(board, eeprom=eeprom)).chip.read(0, 0x0C, 4) & 0x400


def test_the_remap_register_moves_what_the_window_shows(bench: Bench) -> None:
    bench.chip.local_bus.write(0, b"here")
    bench.chip.write(0, LAS0BA, 4, 0x0002_0001)  # a local address that nothing decodes
    assert bench.chip.read(2, 0, 4) == 0xFFFF_FFFF
    assert bench.trace.of(events.LocalUndecoded)[-1].local_address == 0x2_0000
    bench.chip.write(0, LAS0BA, 4, 1)
    assert bench.chip.read(2, 0, 4) == int.from_bytes(b"here", "little")


def test_a_disabled_space_reads_ones_and_its_bar_reads_zero(bench: Bench) -> None:
    bench.chip.config_write(0x18, 4, 0xE000_0000)
    bench.chip.write(0, LAS0BA, 4, 0)
    assert bench.chip.read(2, 0, 4) == 0xFFFF_FFFF
    assert bench.chip.config_read(0x18, 4) == 0


def test_a_narrower_range_wraps_inside_itself(bench: Bench) -> None:
    bench.chip.write(0, 0, 4, 0xFFFF_FFF0)
    bench.chip.write(2, 14, 4, 0x4433_2211)
    assert bench.local(14, 2) == b"\x11\x22"
    assert bench.local(0, 2) == b"\x33\x44"


@pytest.mark.parametrize(("command", "answers"), [(0, ()), (1, (1,)), (2, (0, 2)), (3, (0, 1, 2))])
def test_windows_answer_only_when_the_command_register_lets_them(
    bench: Bench, command: int, answers: tuple[int, ...]
) -> None:
    bench.chip.config_write(COMMAND, 2, command)
    for bar in (0, 1, 2):
        value = bench.chip.read(bar, 0x70, 4)
        assert (value != 0xFFFF_FFFF) == (bar in answers)
        bench.chip.write(bar, 0x48, 4, 0x5A5A_5A5A)
    bench.chip.config_write(COMMAND, 2, 3)
    assert (bench.chip.read(0, 0x48, 4) == 0x5A5A_5A5A) == bool({0, 1} & set(answers))


def test_zeroing_the_misc_dword_drops_bar1_and_nothing_else(bench: Bench) -> None:
    bench.chip.write(0, 0x0C, 4, 0)
    assert bench.chip.read(0, 0x0C, 4) == 0x0400, "local initialisation stays done"
    assert bench.chip.read(1, 0x70, 4) == 0xFFFF_FFFF
    assert bench.chip.config_read(0x14, 4) == 0
    assert bench.chip.read(0, 0x70, 4) == 0x9656_10B5


@pytest.mark.parametrize("bar", [-1, 3, 4, 5, 6, 99])
def test_a_bar_that_is_not_there_reads_ones(bench: Bench, bar: int) -> None:
    bench.chip.write(bar, 0, 4, 1)
    assert bench.chip.read(bar, 0, 4) == 0xFFFF_FFFF


def test_an_access_past_the_end_of_a_window_reads_zero_there(bench: Bench) -> None:
    assert bench.chip.read(0, 0x104, 0x200) == 0
    assert bench.chip.read(1, 0xFC, 8) == 0, "BAR1 ends at 0x100"
    bench.chip.write(1, 0xFC, 8, 0xF << 32)
    assert bench.chip.read(0, 0x100, 4) == 0


def test_an_access_that_crosses_a_dword_is_split(bench: Bench) -> None:
    bench.chip.write(0, 0x4A, 4, 0x4433_2211)
    assert bench.chip.read(0, 0x48, 8) == 0x0000_4433_2211_0000
    assert bench.chip.read(0, 0x4B, 2) == 0x3322


def test_configuration_dword_0_can_show_the_subsystem(bench: Bench) -> None:
    bench.chip.write(0, MARBR, 4, 1 << 29)
    assert bench.chip.config_read(0, 4) == 0x9656_10B5
    assert bench.chip.read(0, 0xAC, 4) == 1 << 29, "DMAARB is the same register"


# -- doorbells, mailboxes, the local interrupt -----------------------------------------------------


def test_the_pci_doorbell_rings_and_is_cleared_by_ones(bench: Bench) -> None:
    bench.intcsr = 0x0300
    bench.chip.local_side.write_register(0x64, 0x8000_0001)
    assert bench.host.line.level
    assert bench.intcsr & 1 << 13
    bench.chip.write(0, 0x64, 4, 1)
    assert bench.host.line.level
    bench.chip.write(0, 0x64, 4, 0x8000_0000)
    assert not bench.host.line.level
    assert bench.chip.read(0, 0x64, 4) == 0


def test_the_local_doorbell_is_set_by_ones_and_answered(bench: Bench) -> None:
    bench.chip.write(0, 0x60, 4, 0x10)
    bench.chip.write(0, 0x60, 4, 0x01)
    assert bench.chip.read(0, 0x60, 4) == 0x11
    assert bench.intcsr & 1 << 20
    bench.chip.local_side.write_register(0x60, 0x11)
    assert bench.intcsr & 1 << 20 == 0
    assert not bench.host.line.level


def test_linti_is_a_level(bench: Bench) -> None:
    bench.intcsr = 0x0900
    bench.chip.local_side.drive_linti(True)
    assert bench.host.line.level
    assert bench.intcsr & 1 << 15
    bench.chip.local_side.drive_linti(False)
    assert not bench.host.line.level


def test_the_outbound_queue_drives_inta_unless_masked(bench: Bench) -> None:
    bench.chip.registers.set_bits(OPQIS, 8, to=True)
    bench.chip.write(0, 0x34, 4, 0)
    assert bench.host.line.level
    bench.chip.write(0, 0x34, 4, 8)
    assert not bench.host.line.level
    bench.chip.write(0, 0x34, 4, 0)
    bench.intcsr = 0
    assert not bench.host.line.level, "INTCSR[8] gates it"


def test_mailboxes_tell_the_local_side_when_asked(bench: Bench) -> None:
    bench.chip.write(0, 0x48, 4, 1)
    assert bench.intcsr >> 28 == 0
    bench.intcsr = 0x0108
    bench.chip.write(0, 0x78, 4, 0xAA)
    bench.chip.write(0, 0x4C, 1, 0xBB)
    assert bench.intcsr >> 28 == 0b1001
    assert bench.chip.read(0, 0x40, 4) == 0xAA


# -- resets ----------------------------------------------------------------------------------------


def busy(bench: Bench) -> None:
    """A running ring with an interrupt pending on the other channel."""
    bench.intcsr = 0x000C_0100
    mode = MODE_RESET | DONE_INTR | TO_INTA
    bench.channel(1).block(pci=Bench.RAM, local=0, length=4, to="local", mode=mode).run()
    first = bench.put_chain([Descriptor(Bench.RAM, 0, 64)], ring=True)
    bench.channel(0).chain(first, mode=mode | CHAIN)
    bench.chip.step(1024)
    assert bench.host.line.level


def test_software_reset_has_the_stated_scope(bench: Bench) -> None:
    busy(bench)
    bench.chip.config_write(0x10, 4, 0xE000_0000)
    bench.chip.write(0, 0x48, 4, 0x1234)
    bench.chip.write(0, 0xE8, 4, 1)
    bench.chip.write(0, 0x08, 4, 7)
    bench.chip.write(2, 0x100, 4, 0x5555)
    bench.chip.write(0, CNTRL, 4, bench.chip.read(0, CNTRL, 4) | 1 << 30)
    assert not bench.host.line.level
    assert bench.chip.read(0, 0xA8, 2) == 0x1010
    assert bench.chip.read(0, 0x80, 4) == 0x43
    assert bench.chip.read(0, 0xE8, 4) == 0x50
    assert bench.chip.read(0, 0x08, 4) == 0x0020_0000
    assert bench.chip.read(0, 0x00, 4) == 0xFFFE_0000
    assert bench.chip.read(0, 0x48, 4) == 0x1234, "mailboxes stay"
    assert bench.intcsr & 0xF_FFFF == 0x000C_0100, "INTCSR stays"
    assert bench.chip.config_read(0x10, 4) == 0xE000_0000
    assert bench.chip.config_read(COMMAND, 2) == 7
    assert bench.chip.read(2, 0, 4) == 0xFFFF_FFFF, "the local side is dead while the bit is set"
    channel = bench.channel(0)
    channel.csr = ENABLE | START
    assert channel.csr == ENABLE | DONE, "START is ignored while the bit is set"
    bench.chip.write(0, CNTRL, 4, 0x000F_767E)
    assert bench.chip.read(2, 0x100, 4) == 0
    channel.block(pci=Bench.RAM, local=0, length=4, to="local").run()
    assert channel.csr == ENABLE | DONE


def test_software_reset_releases_linti(bench: Bench) -> None:
    bench.intcsr = 0x0900
    bench.chip.local_side.drive_linti(True)
    bench.chip.write(0, CNTRL, 4, 1 << 30)
    assert not bench.host.line.level
    assert bench.intcsr & 1 << 15 == 0


def test_reload_takes_the_eeprom_again_and_keeps_the_bars(bench: Bench) -> None:
    bench.chip.config_write(0x10, 4, 0xE000_0000)
    bench.chip.write(0, 0x18, 4, 0)
    bench.chip.write(0, CNTRL, 4, 1 << 29)
    assert bench.chip.read(0, 0x18, 4) == 0x4243_0043
    assert bench.chip.read(0, CNTRL, 4) & 1 << 29, "the bit does not clear itself"
    assert bench.chip.config_read(0x10, 4) == 0xE000_0000
    bench.chip.write(0, 0x18, 4, 0)
    bench.chip.write(0, CNTRL, 4, 1 << 29)
    assert bench.chip.read(0, 0x18, 4) == 0, "only the rise of the bit loads"


@pytest.mark.parametrize("kind", list(ResetKind))
def test_a_device_reset_is_power_on(bench: Bench, kind: ResetKind) -> None:
    busy(bench)
    bench.chip.config_write(0x10, 4, 0xE000_0000)
    bench.chip.write(2, 0, 4, 0x5555)
    bench.chip.reset(kind)
    assert not bench.host.line.level
    assert not bench.chip.step(1024)
    assert bench.chip.config_read(0x00, 8) == 0x02B0_0000_9601_10B5
    assert bench.chip.config_read(0x10, 4) == 0
    bench.chip.config_write(COMMAND, 2, 7)
    for offset, (reset, _) in STORED.items():
        assert bench.chip.read(0, offset, 4) == reset
    assert bench.chip.read(2, 0, 4) == 0


def test_d3hot_closes_the_chip_and_waking_up_resets_it(bench: Bench) -> None:
    busy(bench)
    bench.chip.config_write(0x44, 2, 3)
    assert bench.chip.read(0, 0x70, 4) == 0xFFFF_FFFF
    assert not bench.host.line.level
    assert not bench.chip.step(1024)
    assert bench.chip.config_read(0, 4) == 0x9601_10B5
    bench.chip.config_write(0x44, 2, 0)
    assert bench.chip.config_read(COMMAND, 2) == 0
    bench.chip.config_write(COMMAND, 2, 7)
    assert bench.chip.read(0, INTCSR, 4) == 0x0F01_0100


# -- a hostile guest -------------------------------------------------------------------------------

accesses = st.lists(
    st.tuples(
        st.sampled_from(["write", "read", "config_write", "config_read", "step", "start", "reset"]),
        st.integers(-1, 6),
        st.one_of(
            st.integers(0, 0x1FF), st.sampled_from([0x80, 0x84, 0x88, 0x8C, 0x90, 0xA8, 0xA9, 0x68, 0x6C, 0x1FFFF])
        ),
        st.sampled_from([1, 2, 3, 4, 5, 8, 64]),
        st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 3, 0x243, Bench.RAM | 1, 0xFFFF_FFFF])),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=tries(25, 80))
@given(sequence=accesses, seed=st.integers(0, 255), name=st.sampled_from(board_names()))
def test_no_access_sequence_raises_or_hangs(
    sequence: list[tuple[str, int, int, int, int]], seed: int, name: str, new_bench: Callable[[str], Bench]
) -> None:
    bench = new_bench(name)
    chip = bench.chip
    bench.trace.enabled = False
    bench.ram[0:4096] = bench.pattern(4096, seed=seed)
    for what, bar, offset, width, value in sequence:
        match what:
            case "write":
                chip.write(bar, offset, width, value)
            case "read":
                assert 0 <= chip.read(bar, offset, width) < 1 << 8 * width
            case "config_write":
                chip.config_write(offset & 0xFF, width, value)
            case "config_read":
                assert 0 <= chip.config_read(offset & 0xFF, width) < 1 << 8 * width
            case "step":
                chip.step(4096)
            case "start":
                chip.config_write(COMMAND, 2, 7)
                bench.channel(value & 1).csr = ENABLE | START
            case "reset":
                chip.reset(ResetKind.POWER_ON)
    chip.reset(ResetKind.LOST_CLIENT)  # the EEPROM as well: the guest may have written it
    chip.config_write(COMMAND, 2, 7)
    bench.ram[0:4] = b"live"
    first, target = next(chip.local_bus.targets)
    bench.channel(0).block(pci=Bench.RAM, local=first, length=4, to="local").run()
    assert bench.channel(0).csr & DONE
    if target.view(0, 4) is not None:  # memory, and not registers
        assert bench.local(first, 4) == b"live"
