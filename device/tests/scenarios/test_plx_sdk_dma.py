# SPDX-License-Identifier: Apache-2.0
"""The PLX SDK on every chip: probe, block and list transfers, pause, abort and close.

Source: reference section 9.6, with 4.6, 4.7, 4.11 and 10.1.
"""

from typing import Final

import pytest

from plx9x5x.units import KIB, MIB
from tests.behaviour.driver import FAMILY, SINCE_9054, SINCE_9056
from tests.scenarios.plx_sdk import Cause, Piece, PlxSdk, Status
from tests.scenarios.support import (
    CONFIG,
    CSR,
    DAC,
    DPR,
    INTCSR,
    IO_BAR,
    LADR,
    MEMORY_BAR,
    MODE,
    OPQIS,
    PADR,
    PCIHIDR,
    PCIHREV,
    SIZ,
    Machine,
    Watched,
    bar_resources,
    bit,
    descriptor,
    off,
    on,
    pattern,
    registers,
    words,
)

RDK: Final = {
    "9080": (0x0401_10B5, 0xFF00_0000, 0x9080, 0x03, 0x100),
    "9054": (0x5406_10B5, 0xFFFE_0000, 0x9054, 0x0C, 0x100),
    "9056": (0x5601_10B5, 0xFFFE_0000, 0x9056, 0xBA, 0x200),
    "9656": (0x9601_10B5, 0xFFFE_0000, 0x9656, 0xBA, 0x200),
    "8311": (0x86E1_10B5, 0xFFFE_0000, 0x9056, 0xBA, 0x200),
}
"""IDs, LAS0RR, PCIHIDR's chip, PCIHREV and the length of BAR0."""

HIGH: Final = (0x0100_0000, 0x0110_0000, 0x1_2345_6000, 0x7_0000_0000)
"""Buffers: the two of the SDK, then two above 4 GiB."""

LIST_MODE: Final = 0x2_0643
DEMAND: Final = bit(12)


@pytest.fixture(params=FAMILY)
def sdk(request: pytest.FixtureRequest) -> PlxSdk:
    return PlxSdk(Watched(Machine(request.param)))


@pytest.fixture(params=SINCE_9054)
def wide(request: pytest.FixtureRequest) -> PlxSdk:
    """With memory above 4 GiB."""
    return PlxSdk(Watched(Machine(request.param, addresses=HIGH)))


def seen_by(sdk: PlxSdk) -> list[object]:
    assert isinstance(sdk.pc, Watched)
    return list(sdk.pc.seen())


def channels(value: int, other: int, channel: int) -> int:
    """DMACSR of both channels as one dword: `value` is `channel`'s."""
    return value << 8 * channel | other << 8 * (1 - channel)


def test_probe_recognises_the_chip(sdk: PlxSdk) -> None:
    chip = sdk.pc.chip
    ids, range0, identity, revision, _ = RDK[chip]
    assert sdk.probe() == (identity, revision)
    bars = [0, 1, 0, 0, 0, 0]
    expected = [off(0, ids, bar=CONFIG), off(0x0E, 0, 1, bar=CONFIG), off(4, 7, 2, bar=CONFIG)]
    expected += [off(0x10 + 4 * index, kind, bar=CONFIG) for index, kind in enumerate(bars)]
    expected += [off(0, range0), off(PCIHIDR, identity << 16 | 0x10B5), off(PCIHREV, revision)]
    expected += [off(INTCSR, 0x0F01_0100), off(INTCSR, 0x0F01_0000)]
    assert seen_by(sdk) == expected
    assert sdk.pc.read(INTCSR) == 0x0F01_0100
    assert sdk.pc.config_read(8, 1) == {"9054": 0x0B}.get(chip, revision)


def test_the_windows_are_the_board_s(sdk: PlxSdk) -> None:
    memory = [(MEMORY_BAR, 16 * MIB), (MEMORY_BAR, 512 * KIB)] if sdk.pc.chip == "9080" else [(MEMORY_BAR, 128 * KIB)]
    assert bar_resources(sdk.pc) == [(MEMORY_BAR, RDK[sdk.pc.chip][4]), (IO_BAR, 0x100), *memory]


def test_probe_turns_decoding_on(sdk: PlxSdk) -> None:
    sdk.pc.config_write(4, 0, 2)
    assert sdk.pc.read(0) == 0xFFFF_FFFF
    assert sdk.probe() is not None
    assert sdk.pc.config_read(4, 2) == 7


def test_probe_refuses_a_chip_that_sleeps(wide: PlxSdk) -> None:
    wide.pc.config_write(0x44, 3, 2)
    assert wide.probe() is None
    assert seen_by(wide)[-1] == off(0, 0xFFFF_FFFF)


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("to_pci", [False, True])
def test_a_block_moves_and_interrupts_once(sdk: PlxSdk, channel: int, to_pci: bool) -> None:
    pc, data = sdk.pc, pattern(777)
    memory = pc.buffer(4 * KIB)
    if to_pci:
        pc.local.write_memory(pc.memory_at + 5, data)
    else:
        memory.write(3, data)
    sdk.open(channel)
    assert sdk.block(channel, Piece(memory.bus + 3, 777), pc.memory_at + 5, to_pci=to_pci)
    enabled = 0x0F01_0100 | bit(18 + channel)
    assert seen_by(sdk) == [
        off(INTCSR, 0x0F01_0100), off(CSR[0], 0x1010), off(MODE[channel], 0x43),
        off(CSR[0], 0x1010), off(CSR[0], channels(0x11, 0x10, channel)),
    ]  # fmt: skip
    pc.settle()
    assert pc.inta()
    assert sdk.interrupt() is (Cause.DMA0, Cause.DMA1)[channel]
    assert seen_by(sdk) == [
        on(INTCSR, enabled | bit(21 + channel)), on(MODE[channel], 0x2_0443), on(OPQIS, 0),
        off(CSR[0], channels(0x11, 0x10, channel)), off(INTCSR, enabled & ~bit(8)),
    ]  # fmt: skip
    assert not pc.inta()
    assert pc.read(INTCSR) == enabled
    assert sdk.status(channel) is Status.COMPLETE
    assert registers(pc, channel) == (memory.bus + 3, pc.memory_at + 5, 777, 8 if to_pci else 0)
    assert memory.read(3, 777) == pc.local.read_memory(pc.memory_at + 5, 777) == data
    assert memory.read(0, 3) + memory.read(780, 3) == b"\xa5" * 6


def test_a_polled_block_never_interrupts(sdk: PlxSdk) -> None:
    memory = sdk.pc.buffer(64)
    sdk.open(0)
    assert sdk.block(0, Piece(memory.bus, 64), sdk.pc.memory_at, to_pci=True, interrupt=False)
    sdk.pc.settle()
    assert sdk.status(0) is Status.COMPLETE
    assert not sdk.pc.inta()
    assert sdk.pc.read(INTCSR) == 0x0F05_0100
    assert memory.read(0, 65) == bytes(64) + b"\xa5"


def test_a_block_goes_above_4_gib(wide: PlxSdk) -> None:
    pc, data = wide.pc, pattern(64)
    memory = pc.buffer(64)
    assert memory.bus == HIGH[2]
    pc.local.write_memory(pc.memory_at, data)
    assert wide.block(0, Piece(memory.bus, 64), pc.memory_at, to_pci=True)
    pc.settle()
    assert [pc.read(at) for at in (PADR[0], DAC[0])] == [0x2345_6000, 1]
    assert memory.read(0, 64) == data


@pytest.mark.parametrize("channel", [0, 1])
def test_a_user_buffer_is_a_list_with_one_interrupt(sdk: PlxSdk, channel: int) -> None:
    pc, data = sdk.pc, pattern(9000)
    memory = pc.buffer(12 * KIB)
    memory.write(0x800, data)
    pieces = [Piece(memory.bus + 0x800, 2048), Piece(memory.bus + 0x1000, 4096), Piece(memory.bus + 0x2000, 2856)]
    sdk.open(channel)
    assert sdk.user_buffer(channel, pieces, pc.memory_at, to_pci=False)
    pc.settle()
    seen_by(sdk)
    assert sdk.interrupt() is (Cause.DMA0, Cause.DMA1)[channel]
    assert seen_by(sdk)[:2] == [
        on(INTCSR, 0x0F01_0100 | bit(18 + channel) | bit(21 + channel)), on(MODE[channel], LIST_MODE),
    ]  # fmt: skip
    assert pc.local.read_memory(pc.memory_at, 9000) == data
    assert registers(pc, channel) == (memory.bus + 0x2000, pc.memory_at + 6144, 2856, 1 | 2)
    assert words(sdk.list, 0, 4) == (memory.bus + 0x800, pc.memory_at, 2048, sdk.list.bus + 16 | 1)
    assert sdk.status(channel) is Status.COMPLETE
    assert sdk.user_buffer(channel, pieces, pc.memory_at, to_pci=True), "the channel can go again"
    memory.write(0x800, bytes(9000))
    pc.settle()
    assert memory.read(0x800, 9000) == data


def test_a_list_to_a_fixed_local_address_does_not_count_it_up(sdk: PlxSdk) -> None:
    pc = sdk.pc
    memory = pc.buffer(64)
    memory.write(0, pattern(64))
    assert sdk.set_properties(0, 0x43 | bit(11))
    assert sdk.user_buffer(0, [Piece(memory.bus, 32), Piece(memory.bus + 32, 32)], pc.memory_at, to_pci=False)
    pc.settle()
    assert pc.read(LADR[0]) == pc.memory_at
    assert pc.local.read_memory(pc.memory_at, 8) == pattern(64)[60:] + bytes(4)


def test_a_wide_list_takes_upper_addresses_from_its_descriptors(wide: PlxSdk) -> None:
    pc, data = wide.pc, pattern(6000)
    first, second = pc.buffer(4 * KIB), pc.buffer(4 * KIB)
    pc.local.write_memory(pc.memory_at, data)
    pieces = [Piece(first.bus, 4096), Piece(second.bus, 1904)]
    wide.open(0)
    assert wide.user_buffer(0, pieces, pc.memory_at, to_pci=True, wide=True)
    pc.settle()
    assert wide.interrupt() is Cause.DMA0
    assert (pc.read(MODE[0]), pc.read(DAC[0])) == (0x6_0643, 7)
    assert registers(pc, 0) == (0, pc.memory_at + 4096, 1904, 1 | 2 | 8)
    assert first.read(0, 4096) + second.read(0, 1904) == data
    assert words(wide.list, 0, 5)[3:] == (wide.list.bus + 32 | 9, 1)


def test_a_narrow_list_after_a_wide_one_is_below_4_gib_again(wide: PlxSdk) -> None:
    pc = wide.pc
    high = pc.buffer(64)
    assert wide.user_buffer(0, [Piece(high.bus, 64)], pc.memory_at, to_pci=True, wide=True)
    pc.settle()
    assert pc.read(DAC[0]) == 1
    wide.common.write(0, b"\xa5" * 64)
    assert wide.user_buffer(0, [Piece(wide.common.bus, 64)], pc.memory_at, to_pci=True)
    pc.settle()
    assert (pc.read(MODE[0]), pc.read(DAC[0])) == (LIST_MODE, 0)
    assert wide.common.read(0, 64) == bytes(64)


@pytest.mark.parametrize("chip", SINCE_9056)
def test_a_list_leaves_valid_mode_and_finds_its_registers_in_place(chip: str) -> None:
    sdk = PlxSdk(Machine(chip))
    assert sdk.set_properties(0, 0x43 | bit(20))
    assert sdk.user_buffer(0, [Piece(sdk.common.bus, 16)], sdk.pc.memory_at, to_pci=True)
    sdk.pc.settle()
    assert sdk.pc.read(MODE[0]) == LIST_MODE
    assert registers(sdk.pc, 0) == (sdk.common.bus, sdk.pc.memory_at, 16, 1 | 2 | 8)
    assert sdk.common.read(0, 17) == bytes(16) + b"\xa5"


def test_the_register_level_sample_runs_a_chain_from_the_start_of_its_buffer(sdk: PlxSdk) -> None:
    pc, ring = sdk.pc, sdk.common
    pc.local.write_memory(pc.memory_at, pattern(0x300))
    for index in range(3):
        pointer = 0xB if index == 2 else ring.bus + 16 * (index + 1) | 9
        data = ring.bus + 0x1000 + 0x200 * index
        ring.write(16 * index, descriptor(data, pc.memory_at + 0x100 * index, 0x100, pointer))
    pc.write(MODE[0], 0x0002_0642)
    pc.write(DPR[0], ring.bus | 1)
    pc.write(CSR[0], 1, 1)
    pc.write(CSR[0], 3, 1)
    pc.settle()
    assert pc.read(CSR[0], 1) == 0x11
    assert registers(pc, 0) == (ring.bus + 0x1400, pc.memory_at + 0x200, 0x100, 0xB)
    assert b"".join(ring.read(0x1000 + 0x200 * n, 0x100) for n in range(3)) == pattern(0x300)
    assert not pc.inta(), "the channel's enable is off"
    assert pc.read(INTCSR) == 0x0F21_0100


def test_reserved_properties_read_back_zero(sdk: PlxSdk) -> None:
    assert sdk.set_properties(0, 0xFFFF_FFFF)
    mask = {"9080": 0x0003_FFFF, "9054": 0x0007_FFFF}.get(sdk.pc.chip, 0x003F_FFFF)
    assert sdk.pc.read(MODE[0]) == mask


# -- pause, abort and close; demand mode on a board without DREQ# keeps a transfer from ending ---------


def stuck(sdk: PlxSdk, channel: int) -> Piece:
    piece = Piece(sdk.common.bus + 4 * KIB * channel, 256)
    assert sdk.block(channel, piece, sdk.pc.memory_at, to_pci=True, mode=DEMAND)
    sdk.pc.settle()
    assert sdk.status(channel) is Status.RUNNING
    return piece


@pytest.mark.finds("no-demand")
@pytest.mark.parametrize("channel", [0, 1])
def test_a_pause_holds_a_transfer_and_a_resume_goes_on(sdk: PlxSdk, channel: int) -> None:
    stuck(sdk, channel)
    seen_by(sdk)
    sdk.pause(channel)
    sdk.pc.local.demand(channel, lambda: 1 << 20)
    sdk.pc.settle()
    assert sdk.status(channel) is Status.PAUSED
    assert seen_by(sdk) == [off(CSR[0], channels(0x01, 0x10, channel)), off(CSR[0], channels(0x00, 0x10, channel))]
    assert sdk.common.read(4 * KIB * channel, 4) == b"\xa5" * 4
    sdk.resume(channel)
    sdk.pc.settle()
    assert sdk.status(channel) is Status.COMPLETE
    assert sdk.common.read(4 * KIB * channel, 257) == bytes(256) + b"\xa5"


@pytest.mark.finds("no-demand")
@pytest.mark.parametrize("channel", [0, 1])
def test_closing_a_busy_channel_ends_with_its_done_interrupt(sdk: PlxSdk, channel: int) -> None:
    sdk.open(channel)
    piece = stuck(sdk, channel)
    assert not sdk.pc.inta()
    seen_by(sdk)
    assert sdk.abort(channel)
    assert seen_by(sdk) == [off(CSR[0], channels(0x01, 0x10, channel)), off(CSR[0], channels(0x00, 0x10, channel))]
    assert sdk.pc.inta()
    assert sdk.interrupt() is (Cause.DMA0, Cause.DMA1)[channel]
    assert seen_by(sdk)[3] == off(CSR[0], 0x1010)
    assert not sdk.pc.inta()
    assert registers(sdk.pc, channel) == (piece.bus, sdk.pc.memory_at, 256, 8)
    assert sdk.status(channel) is Status.COMPLETE
    assert sdk.common.read(4 * KIB * channel, 4) == b"\xa5" * 4


def test_closing_a_finished_channel_is_silent(sdk: PlxSdk) -> None:
    sdk.open(0)
    sdk.block(0, Piece(sdk.common.bus, 16), sdk.pc.memory_at, to_pci=True)
    sdk.pc.settle()
    assert sdk.interrupt() is Cause.DMA0
    assert not sdk.abort(0)
    assert not sdk.pc.inta()
    assert sdk.pc.read(CSR[0]) == 0x1010


@pytest.mark.finds("no-demand")
def test_an_abort_without_done_interrupt_is_silent(sdk: PlxSdk) -> None:
    sdk.open(0)
    sdk.block(0, Piece(sdk.common.bus, 16), sdk.pc.memory_at, to_pci=True, interrupt=False, mode=DEMAND)
    sdk.pc.settle()
    assert sdk.abort(0)
    assert not sdk.pc.inta()
    assert sdk.pc.read(INTCSR) == 0x0F05_0100


@pytest.mark.finds("no-demand")
def test_a_dword_access_to_one_channel_leaves_the_other_running(sdk: PlxSdk) -> None:
    stuck(sdk, 1)
    assert sdk.block(0, Piece(sdk.common.bus, 16), sdk.pc.memory_at, to_pci=True)
    sdk.pc.settle()
    assert sdk.pc.read(CSR[0]) == 0x0111
    assert not sdk.abort(0)
    assert sdk.pc.read(CSR[0]) == 0x0110
    sdk.pc.local.demand(1, lambda: 1 << 20)
    sdk.pc.settle()
    assert sdk.pc.read(CSR[0]) == 0x1110


@pytest.mark.finds("no-demand")
def test_a_busy_channel_takes_neither_properties_nor_another_transfer(sdk: PlxSdk) -> None:
    piece = stuck(sdk, 0)
    assert not sdk.set_properties(0, 0x43)
    assert not sdk.block(0, piece, 0, to_pci=True)
    assert not sdk.user_buffer(0, [piece], 0, to_pci=True)
    sdk.pause(0)
    assert not sdk.set_properties(0, 0x43), "paused is busy too"
    assert sdk.pc.read(MODE[0]) == 0x2_1443
    assert sdk.pc.read(SIZ[0]) == 256
