# SPDX-License-Identifier: Apache-2.0
"""Test vectors TV-01 to TV-16 and TV-40 to TV-85: size, access, addresses, caching, failure and freeing.

Every constant is written by hand from the reference; none comes from the code under test.

Long, because the vectors of the reference's 9.2 and 9.4 to 9.6 stand here one after the other.
"""

import itertools
from dataclasses import replace

import pytest

from nthal import nt, scenarios, wdm
from nthal.platforms import (
    ARM0,
    ARM1,
    BIG,
    FLAT,
    FRAG,
    FULL,
    HIGH,
    IOMMU,
    ISA,
    OFFSET,
    Tail,
    Translation,
)
from nthal.types import AddressKindError, La, Out, Va
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import AllocationAction, Caching, Irql

SILENT = FLAT.with_switches(tail=Tail.SILENT).verified()


# --- 9.2 size and access ------------------------------------------------------------------------------------------


def test_tv01_one_byte_takes_one_page_and_only_that_byte_is_accessible(bench):
    b = bench()
    buffer = b.ok(1)
    assert b.used == 1
    assert int(buffer.va) % 4096 == 0
    assert int(buffer.la) % 4096 == 0
    b.machine.cpu_write(buffer.va, b"x")
    with pytest.raises(DmaViolation) as caught:
        b.machine.cpu_read(buffer.va + 1, 1)
    assert caught.value.misuse is Misuse.OUTSIDE_BUFFER


def test_tv02_a_whole_page_is_accessible_to_its_last_byte(bench):
    b = bench()
    buffer = b.ok(4096)
    assert b.used == 1
    assert len(b.machine.cpu_read(buffer.va, 4096)) == 4096
    with pytest.raises(DmaViolation):
        b.machine.cpu_read(buffer.va + 4096, 1)


def test_tv03_4097_bytes_take_two_pages_and_the_rest_is_inaccessible(bench):
    b = bench()
    buffer = b.ok(4097)
    assert b.used == 2
    b.machine.cpu_write(buffer.va + 4096, b"x")
    with pytest.raises(DmaViolation):
        b.machine.cpu_write(buffer.va + 4097, b"x")


def test_tv04_length_zero_gives_null_and_consumes_nothing(bench):
    b = bench()
    before = b.books()
    assert b.acb(0) is None
    assert b.last_la == La(0)
    assert b.books() == before
    assert b.machine.verifier.of(Misuse.ZERO_LENGTH)


def test_tv05_the_device_may_touch_the_last_byte_and_no_more(bench):
    b = bench()
    buffer = b.ok(100)
    b.machine.device_write(buffer.la + 99, b"x")
    with pytest.raises(DmaViolation):
        b.machine.device_write(buffer.la + 100, b"x")


def test_tv06_the_device_sees_what_the_cpu_wrote_with_no_flush_between(bench):
    b = bench()
    buffer = b.ok(8192)
    b.machine.cpu_write(buffer.va + 5000, b"\x5a")
    assert b.machine.device_read(buffer.la + 5000, 1) == b"\x5a"


def test_tv07_the_cpu_sees_what_the_device_wrote(bench):
    b = bench()
    buffer = b.ok(8192)
    b.machine.device_write(buffer.la + 5000, b"\xc3")
    assert b.machine.cpu_read(buffer.va + 5000, 1) == b"\xc3"


def test_tv08_two_buffers_are_disjoint_in_both_spaces(bench):
    b = bench()
    one, two = b.ok(65536), b.ok(65536)
    assert abs(one.va - two.va) >= 65536
    assert abs(one.la - two.la) >= 65536


def test_tv09_a_new_buffer_is_not_zero(bench):
    b = bench()
    assert b.machine.cpu_read(b.ok(4096).va, 4096) == b"\xa5" * 4096


def test_tv10_the_largest_ulong_gives_null_and_never_wraps(bench):
    b = bench()
    assert b.acb(0xFFFFFFFF) is None
    assert b.used == 0


@pytest.mark.parametrize(
    ("length", "pages"), [(0, 0), (1, 1), (4095, 1), (4096, 1), (4097, 2), (8192, 2), (0xFFFFFFFF, 0x100000)]
)
def test_tv11_bytes_to_pages(length, pages):
    assert nt.BYTES_TO_PAGES(length) == pages


@pytest.mark.parametrize(
    ("va", "length", "pages"), [(0x1FFF, 2, 2), (0x1000, 4096, 1), (0x1001, 4096, 2), (0x1001, 0, 1), (0, 0, 0)]
)
def test_tv12_span_pages(va, length, pages):
    assert nt.ADDRESS_AND_SIZE_TO_SPAN_PAGES(Va(va), length) == pages
    assert nt.COMPUTE_PAGES_SPANNED(va, length) == pages


@pytest.mark.parametrize(("length", "pages"), [(1, 1), (8193, 2)])
def test_tv13_the_page_size_is_the_platforms(bench, length, pages):
    b = bench(replace(FLAT, page_size=8192))
    buffer = b.ok(length)
    assert b.used == pages
    assert int(buffer.la) % 8192 == 0


@pytest.mark.parametrize(("length", "offset"), [(0x12010, 0x7F8), (0x4300, 0x680), (0x4800, 0x400), (0x1000, 0)])
def test_tv14_verified_buffers_sit_in_the_middle_of_their_padding(bench, length, offset):
    b = bench(FLAT.verified(), maximum_length=1 << 20)
    buffer = b.ok(length)
    assert int(buffer.va) % 4096 == offset
    assert int(buffer.la) % 4096 == offset
    assert b.used == -(-length // 4096)


@pytest.mark.parametrize(("at", "kind"), [(100, 2), (107, 2), (108, 5), (2000, 5)])
def test_tv15_an_overrun_is_found_at_free(bench, at, kind):
    b = bench(SILENT)
    buffer = b.ok(100)
    b.machine.cpu_write(buffer.va + at, b"\x77")
    with pytest.raises(DmaViolation) as caught:
        b.free(buffer)
    assert (caught.value.code, caught.value.parameters[0]) == (0x0F, kind)


@pytest.mark.parametrize(("back", "kind"), [(1, 1), (8, 1), (9, 4), (1500, 4)])
def test_tv16_an_underrun_is_found_at_free(bench, back, kind):
    b = bench(SILENT)
    buffer = b.ok(100)
    b.machine.cpu_write(buffer.va + -back, b"\x77")
    with pytest.raises(DmaViolation) as caught:
        b.free(buffer)
    assert (caught.value.code, caught.value.parameters[0]) == (0x0F, kind)


def test_guard_pages_of_whole_page_buffers_are_watched_too(bench):
    b = bench(SILENT)
    buffer = b.ok(4096)
    b.machine.cpu_write(buffer.va + 4096, b"\x77")
    with pytest.raises(DmaViolation) as caught:
        b.free(buffer)
    assert caught.value.parameters[0] == 2


def test_untouched_guards_free_in_silence(bench):
    b = bench(SILENT)
    buffer = b.ok(100)
    b.machine.cpu_write(buffer.va, bytes(100))
    b.free(buffer)
    assert not b.machine.verifier.findings


# --- 9.4 addresses -------------------------------------------------------------------------------------------------


def test_tv40_no_memory_below_the_limit_gives_null(bench):
    assert bench(HIGH).acb(4096) is None


def test_tv41_a_64_bit_device_takes_high_memory(bench):
    b = bench(HIGH, "A64")
    buffer = b.ok(4096)
    assert int(buffer.la) >= 0x1_0000_0000
    assert int(buffer.la) == b.pa(buffer)


def test_tv42_an_iommu_lifts_the_limit_off_the_pages(bench):
    b = bench(IOMMU)
    buffer = b.ok(8192)
    assert int(buffer.la) + 8191 <= 0xFFFFFFFF
    assert b.pa(buffer) >= 0x1_0000_0000
    assert int(buffer.la) != b.pa(buffer)


def test_tv43_the_physical_address_faults_behind_an_iommu(bench):
    b = bench(IOMMU)
    buffer = b.ok(4096)
    with pytest.raises(DmaViolation) as caught:
        b.machine.device_read(La(b.pa(buffer)), 4)
    assert caught.value.code == 0x26
    assert "physical address of the buffer" in str(caught.value)


def test_tv44_an_offset_bus_answers_at_the_logical_address_only(bench):
    b = bench(OFFSET)
    buffer = b.ok(4096)
    assert int(buffer.la) == b.pa(buffer) + 0x80000000
    b.machine.device_write(buffer.la, b"ok")
    assert b.machine.cpu_read(buffer.va, 2) == b"ok"
    with pytest.raises(DmaViolation) as caught:
        b.machine.device_write(La(b.pa(buffer)), b"no")
    assert caught.value.misuse is Misuse.BUS_FAULT


def test_tv45_a_device_takes_no_physical_and_no_virtual_address(bench):
    b = bench()
    buffer = b.ok(4096)
    pa = b.machine.physical_address(buffer.va)
    assert int(pa) == int(buffer.la)
    for wrong in (pa, buffer.va):
        with pytest.raises(AddressKindError):
            b.machine.device_read(wrong, 1)


@pytest.mark.parametrize("adapter", ["A24", "S1"])
def test_tv46_24_bit_devices_get_memory_below_16_mib(bench, adapter):
    assert int(bench(FLAT, adapter).ok(4096).la) + 4095 <= 0xFFFFFF


def ask_for_18(b, ran):
    def control(device, irp, base, context):
        ran.append(base)
        return AllocationAction.DEALLOCATE_OBJECT

    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        return b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 18, control, None)


def test_tv47_more_registers_than_granted_are_refused_without_a_callback(bench):
    ran = []
    assert ask_for_18(bench(), ran) == 0xC000009A
    assert not ran
    with pytest.raises(DmaViolation) as caught:
        ask_for_18(bench(FLAT.verified()), ran)
    assert caught.value.code == 0x0C
    assert ask_for_18(bench(FLAT.with_profile("reactos")), ran) == 0
    assert ran == [None]


def test_tv48_scatter_gather_on_pci_counts_as_32_bit(bench):
    flat = FLAT.with_free((0x1000_0000, 0x7FFF_FFFF))
    assert bench(flat, dma_32bit_addresses=False).acb(4096)
    assert bench(flat.with_profile("reactos"), dma_32bit_addresses=False).acb(4096) is None


def test_tv49_no_buffer_crosses_4_gib(bench):
    b = bench(FLAT.with_free((0xFFFF_F000, 0x1_0000_1FFF)), "A64")
    assert int(b.ok(8192).la) == 0x1_0000_0000


def test_tv50_a_slaves_buffer_never_crosses_64_kib(bench):
    la = int(bench(ISA.with_free((0x118000, 0x127FFF)), "S1").ok(0x8000).la)
    assert la >> 16 == (la + 0x7FFF) >> 16


def test_tv51_no_64_kib_page_with_room_gives_null(bench):
    assert bench(ISA.with_free((0x11C000, 0x123FFF)), "S1").acb(0x8000) is None


def test_tv52_a_slave_gets_64_kib_and_not_one_byte_more(bench):
    b = bench(ISA, "S1")
    assert int(b.ok(65536).la) % 65536 == 0
    assert bench(ISA, "S1").acb(65537) is None


def test_tv53_128_kib_on_a_word_channel_is_a_switch(bench):
    wide = bench(ISA.with_switches(word_channel_boundary=131072), "S5", maximum_length=131072)
    assert wide.registers == 33
    assert int(wide.ok(131072).la) % 131072 == 0
    assert bench(ISA, "S5", maximum_length=131072).acb(131072) is None


def test_tv54_the_last_page_below_16_mib_is_within_reach(bench):
    assert int(bench(ISA.with_free((0xFFF000, 0xFFFFFF)), "S1").ok(4096).la) == 0xFFF000


def test_tv55_the_first_page_at_16_mib_is_not(bench):
    assert bench(ISA.with_free((0x1000000, 0x1000FFF)), "S1").acb(4096) is None


def test_tv56_36_address_bits_reach_high_memory(bench):
    la = int(bench(HIGH, "A32v3", dma_address_width=36).ok(4096).la)
    assert la < 1 << 36


@pytest.mark.parametrize("width", [0, 23, 65])
def test_tv57_bad_address_widths_give_no_adapter(bench, width):
    assert bench(FLAT, "A32v3", dma_address_width=width).adapter_or_none is None


def test_tv58_version_3_ignores_the_flags(bench):
    assert bench(HIGH, "A64v3", dma_address_width=32).acb(4096) is None


def test_tv59_ex_stays_below_the_maximum_address(bench):
    buffer = bench(BIG, "A64v3").ex(4096, maximum=0x3FFFFFFF)
    assert int(buffer.la) + 4095 <= 0x3FFFFFFF


def test_tv60_ex_keeps_the_devices_limit(bench):
    assert bench(HIGH, "A32v3").ex(4096, maximum=1 << 40) is None


def test_tv61_with_bounds_starts_at_the_minimum(bench):
    buffer = bench(BIG, "A64v3").bounds(4096, minimum=0x1_0000_0000)
    assert int(buffer.la) >= 0x1_0000_0000


def test_tv62_a_window_smaller_than_the_buffer_gives_null(bench):
    assert bench(FLAT, "A64v3").bounds(8192, minimum=0x200000, maximum=0x200FFF) is None


# --- 9.5 caching ---------------------------------------------------------------------------------------------------


def caching(b, buffer):
    return b.machine.space.find(buffer.va).caching


@pytest.mark.parametrize("cache", [True, False])
def test_tv63_cache_enabled_is_ignored(bench, cache):
    b = bench()
    assert caching(b, b.ok(4096, cache=cache)) is Caching.CACHED
    assert b.machine.platform.coherent


def test_tv64_ex_obeys_cache_enabled(bench):
    b = bench(FLAT, "A32v3")
    assert caching(b, b.ex(4096, cache=True)) is Caching.CACHED
    assert caching(b, b.ex(4096, cache=False)) is Caching.NON_CACHED


def test_tv65_a_non_coherent_device_gets_device_memory(bench):
    b = bench(ARM0)
    buffer = b.ok(4096)
    assert caching(b, buffer) is Caching.NON_CACHED
    b.machine.cpu_write(buffer.va, b"\x11\x22\x33\x44")
    assert b.machine.device_read(buffer.la, 4) == b"\x11\x22\x33\x44"
    assert b.machine.load(buffer.va, 4) == 0x44332211
    with pytest.raises(DmaViolation) as caught:
        b.machine.load(buffer.va + 1, 4)
    assert caught.value.misuse is Misuse.MISALIGNED


def test_tv66_a_coherent_arm_device_gets_cached_memory(bench):
    b = bench(ARM1)
    assert caching(b, b.ok(4096, cache=False)) is Caching.CACHED


def test_tv67_cca_0_beats_the_wish_of_ex(bench):
    b = bench(ARM0, "A32v3")
    assert caching(b, b.ex(4096, cache=True)) is Caching.NON_CACHED


def test_tv68_with_bounds_overrides_and_coherence_is_the_drivers_problem(bench):
    b = bench(ARM0, "A32v3")
    buffer = b.bounds(4096, caching=Caching.CACHED)
    assert caching(b, buffer) is Caching.CACHED
    b.machine.cpu_write(buffer.va, b"new")
    assert b.machine.device_read(buffer.la, 3) == b"\xa5\xa5\xa5"
    b.machine.flush_io_buffers(buffer.va, 4096)
    assert b.machine.device_read(buffer.la, 3) == b"new"


def test_tv69_write_combined_is_unsupported(bench):
    assert bench(FLAT, "A32v3").bounds(4096, caching=Caching.WRITE_COMBINED) is None


# --- 9.6 failure and freeing ---------------------------------------------------------------------------------------


def test_tv70_isolated_pages_give_one_page_and_no_more(bench):
    b = bench(FRAG)
    assert b.acb(4096)
    assert b.acb(4097) is None


def test_tv71_several_one_page_requests_succeed_where_a_large_one_cannot(bench):
    b = bench(FRAG)
    assert all(b.acb(4096) for _ in range(8))


def test_tv72_no_free_page_gives_null(bench):
    b = bench(FULL)
    assert b.acb(1) is None
    assert b.machine.last_failure is not None


def test_tv73_an_iommu_makes_scattered_pages_linear(bench):
    b = bench(replace(FRAG, translation=Translation.IOMMU))
    buffer = b.ok(65536)
    pages = [b.pa(buffer, i * 4096) for i in range(16)]
    assert all(b - a != 4096 for a, b in itertools.pairwise(pages))
    b.machine.cpu_write(buffer.va, bytes(i % 251 for i in range(65536)))
    assert b.machine.device_read(buffer.la, 65536) == bytes(i % 251 for i in range(65536))


def test_tv74_start_device_undoes_its_claims_when_the_buffer_is_null(bench, adapters):
    b = bench(FULL)
    claims = scenarios.Claims("port range", "interrupt")
    assert scenarios.start_device(b.machine, adapters["A32"], 4096, claims).status == 0xC000009A
    assert not claims.held
    assert b.machine.adapters[-1].gone
    assert b.machine.adapters[-1].books.buffers.live == 0


def test_tv75_an_nt_driver_falls_back_to_packets_or_fails(bench, adapters):
    b = bench(FULL)
    packet = scenarios.nt_driver_entry(b.machine, adapters["A32"], 4096, packet_capable=True)
    assert (packet.status, packet.va) == (0, None)
    assert scenarios.nt_driver_entry(b.machine, adapters["A32"], 4096, packet_capable=False).status == 0xC000009A


def test_tv76_free_restores_every_counter_and_ends_access(bench):
    b = bench()
    before = b.books()
    buffer = b.ok(4096)
    b.machine.cpu_write(buffer.va, b"x")
    b.free(buffer)
    assert b.books()[:9] == before[:9]
    with pytest.raises(DmaViolation) as cpu:
        b.machine.cpu_read(buffer.va, 1)
    assert cpu.value.misuse is Misuse.USE_AFTER_FREE
    with pytest.raises(DmaViolation):
        b.machine.device_read(buffer.la, 1)


def test_tv77_a_second_free_is_code_3(bench):
    b = bench(FLAT.verified())
    buffer = b.ok(4096)
    b.free(buffer)
    with pytest.raises(DmaViolation) as caught:
        b.free(buffer)
    assert (caught.value.code, caught.value.parameters) == (0x03, (1,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"length": 4095}, "Length 4095"),
        ({"va": 4096}, "VirtualAddress"),
        ({"la": 4096}, "LogicalAddress"),
        ({"cache": False}, "CacheEnabled False"),
    ],
)
def test_tv78_a_free_with_another_argument_is_refused_and_named(bench, change, words):
    b = bench()
    buffer = b.ok(4096)
    wrong = replace(
        buffer,
        length=change.get("length", 4096),
        va=buffer.va + change.get("va", 0),
        la=buffer.la + change.get("la", 0),
        cache=change.get("cache", True),
    )
    with pytest.raises(DmaViolation) as caught:
        b.free(wrong)
    assert words in str(caught.value)
    assert b.used == 1
    b.machine.cpu_read(buffer.va, 4096)
    b.free(buffer)


def test_tv78_a_free_through_another_adapter_is_refused(bench, adapters):
    b = bench()
    buffer = b.ok(4096)
    other = b.get(adapters["A64"])
    with pytest.raises(DmaViolation) as caught:
        other.free(buffer)
    assert caught.value.misuse is Misuse.FREE_MISMATCH
    assert b.used == 1


def test_tv79_put_with_a_live_buffer_is_code_7(bench):
    b = bench(FLAT.verified())
    b.ok(4096)
    with pytest.raises(DmaViolation) as caught:
        b.ops.PutDmaAdapter(b.adapter)
    assert (caught.value.code, caught.value.parameters[1]) == (0x07, 1)


def test_tv80_use_after_put_is_code_18(bench):
    b = bench(FLAT.verified())
    b.ops.PutDmaAdapter(b.adapter)
    with pytest.raises(DmaViolation) as caught:
        b.acb(4096)
    assert caught.value.code == 0x18


def test_tv81_a_null_adapter_is_code_19(bench):
    b = bench(FLAT.verified())
    with pytest.raises(DmaViolation) as caught:
        b.ops.FreeCommonBuffer(None, 4096, La(0), Va(0), True)
    assert caught.value.code == 0x19


def test_tv82_the_wrong_irql_is_code_13(bench):
    b = bench(FLAT.verified())
    with b.machine.at_irql(Irql.DISPATCH_LEVEL), pytest.raises(DmaViolation) as caught:
        b.acb(4096)
    assert caught.value.code == 0x13
    assert caught.value.parameters == (1, 0, 2)


def test_tv83_hal_get_adapter_is_code_1e(bench, adapters):
    b = bench(FLAT.verified())
    with pytest.raises(DmaViolation) as caught:
        b.nt_get(adapters["A32"])
    assert caught.value.code == 0x1E


def test_tv84_an_unload_with_a_live_buffer_names_it(bench, adapters):
    b = bench()
    count, las, vas = Out(), [], []
    adapter = nt.HalGetAdapter(adapters["A32"], count)
    for _ in range(3):
        la = Out()
        vas.append(nt.HalAllocateCommonBuffer(adapter, 4096, la, False))
        las.append(la.taken)
    for la, va in list(zip(las, vas, strict=True))[:2]:
        nt.HalFreeCommonBuffer(adapter, 4096, la, va, False)
    with pytest.raises(DmaViolation) as caught:
        scenarios.unload(b.machine)
    assert caught.value.parameters == (1,)
    assert repr(vas[2]) in str(caught.value)


def test_tv85_an_ex_buffer_is_freed_by_free_common_buffer(bench):
    b = bench(FLAT, "A32v3")
    b.free(b.ex(4096))
    assert b.used == 0
