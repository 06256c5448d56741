# SPDX-License-Identifier: Apache-2.0
"""Test vectors TV-20 to TV-39: adapters, what they are granted, what a buffer holds of it."""

from dataclasses import replace

import pytest

from nthal.platforms import FLAT, ISA, MAPREG
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import DmaWidth, InterfaceType, WindowsVersion

REACTOS = FLAT.with_profile("reactos")
ISA_REACTOS = ISA.with_profile("reactos")


def test_tv20_a_master_is_granted_one_register_more_than_it_needs(bench):
    assert bench().registers == 17


def test_tv21_a_mib_takes_257(bench):
    assert bench(maximum_length=1 << 20).registers == 257


@pytest.mark.parametrize(("maximum", "granted"), [(65536, 16), (4096, 2), (61440, 16), (0, 1)])
def test_tv22_reactos_caps_masters_without_scatter_gather(bench, maximum, granted):
    assert bench(REACTOS, "AP", maximum_length=maximum).registers == granted


@pytest.mark.parametrize(("maximum", "granted"), [(65536, 16), (4096, 2)])
def test_tv23_reactos_caps_slaves(bench, maximum, granted):
    assert bench(ISA_REACTOS, "S1", maximum_length=maximum).registers == granted


@pytest.mark.parametrize(
    ("bus", "master", "granted"),
    [(InterfaceType.ISA, False, 1), (InterfaceType.EISA, False, 1), (InterfaceType.ISA, True, 16)],
    ids=["tv24", "tv25", "tv26"],
)
def test_tv24_and_tv25_and_tv26_reactos_grants_with_scatter_gather(bench, bus, master, granted):
    assert bench(ISA_REACTOS, "S1", scatter_gather=True, interface_type=bus, master=master).registers == granted


def test_tv27_reactos_shares_one_adapter_per_channel_and_its_grant_only_grows(bench, adapters):
    b = bench(ISA_REACTOS)
    one, first = b.nt_get(adapters["S1"])
    two, second = b.nt_get(replace(adapters["S1"], maximum_length=4096))
    assert one is two
    assert (first, second) == (16, 16)


def test_tv28_a_cap_grants_less_than_needed(bench):
    assert bench(replace(FLAT, register_cap=8)).registers == 8


def test_tv29_reactos_masks_the_top_bit_of_the_maximum(bench):
    assert bench(REACTOS, maximum_length=0xFFFFFFFF).registers == 524289


GRANTED_LIKE_REACTOS = FLAT.with_switches(reactos_grant=True)


def test_tv30_a_buffer_of_exactly_the_grant_succeeds(bench):
    b = bench(GRANTED_LIKE_REACTOS, "AP")
    assert b.registers == 16
    b.ok(65536)
    assert b.adapter.core.held_registers <= 16


def test_tv31_one_byte_more_is_null_and_in_reactos_a_finding(bench):
    assert bench(GRANTED_LIKE_REACTOS, "AP").acb(65537) is None
    b = bench(REACTOS, "AP")
    b.ok(65537)
    assert b.machine.verifier.of(Misuse.OVER_REGISTERS)


def test_tv32_and_tv33_hardware_registers_are_held_until_free(bench):
    b = bench(MAPREG)
    buffer = b.ok(65536)
    assert b.machine.registers.total == 48
    b.free(buffer)
    assert b.machine.registers.total == 64


def test_tv34_a_buffer_that_finds_no_register_is_null(bench):
    b = bench(replace(MAPREG, register_pool=4))
    assert b.registers == 4
    b.ok(4 * 4096)
    before = b.books()
    assert b.acb(1) is None
    assert b.books() == before


def test_tv35_no_register_is_consumed_where_none_is_needed(bench):
    b = bench()
    b.ok(65536)
    assert b.adapter.core.books.registers.allocated == 0


def test_tv36_version_3_does_not_exist_before_windows_8(bench):
    assert bench(replace(FLAT, windows=WindowsVersion.WINDOWS_7), "A32v3").adapter_or_none is None


def test_tv37_version_3_reads_version_1_and_has_the_ex_routines(bench):
    b = bench(replace(FLAT, windows=WindowsVersion.WINDOWS_8), "A32v3")
    assert b.adapter.Version == 1
    assert "AllocateCommonBufferEx" in b.ops


def test_tv38_version_0_has_no_calculate_scatter_gather_list(bench):
    b = bench(replace(FLAT, windows=WindowsVersion.WINDOWS_8), version=0)
    assert "CalculateScatterGatherList" not in b.ops
    assert len(b.ops.names) == 12
    with pytest.raises(DmaViolation) as caught:
        b.ops.CalculateScatterGatherList(b.adapter, None, None, 4096, None, None)
    assert caught.value.misuse is Misuse.ABSENT_ROUTINE


@pytest.mark.parametrize(
    "change",
    [
        {"dma_channel": 4},
        {"dma_channel": 5},
        {"dma_width": DmaWidth.WIDTH_16},
        {"version": 3},
    ],
)
def test_tv39_the_hal_refuses_impossible_channels(bench, adapters, change):
    b = bench(ISA_REACTOS)
    adapter, granted = b.nt_get(replace(adapters["S1"], **change))
    assert (adapter, granted) == (None, 0)
