# SPDX-License-Identifier: Apache-2.0
"""Memory of MmAllocateContiguousMemory whose physical address the device is given: named as that mistake everywhere.

Source: "Common-buffer DMA? No translation required!", advice 3; reference hal-contract 3.2, CB-36 and CB-150.
"""

from dataclasses import replace

import pytest

from nthal import wdm
from nthal.attach import BusRefused, DeviceBus
from nthal.events import BufferAllocated
from nthal.machine import DeviceObject
from nthal.platforms import BIG, FIXTURES, FLAT, FRAG, FULL, HIGH, IOMMU, MAPREG, OFFSET, Translation
from nthal.types import La, Out, Pa
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import AllocationAction, Irql

SPARE = [platform for platform in FIXTURES.values() if platform.free_frames().total]
ANYWHERE = Pa((1 << 64) - 1)
REMEDY = "(allocate the buffer by AllocateCommonBuffer and give the device the logical address, or map it by an MDL)"


def start(bench):
    """What the wrong driver does in its start."""
    va = wdm.MmAllocateContiguousMemory(3000, ANYWHERE)
    assert va is not None
    return va, wdm.MmGetPhysicalAddress(va)


def refused(bench, la, length=16):
    with pytest.raises(DmaViolation) as caught:
        bench.machine.device_read(la, length, bench.adapter.core)
    return caught.value.finding


@pytest.mark.parametrize("verified", [False, True], ids=["plain", "verified"])
@pytest.mark.parametrize("adapter", ["A32", "A64", "A24"])
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "in a ULONG"])
@pytest.mark.parametrize("platform", SPARE, ids=lambda platform: platform.name)
def test_cb150_the_physical_address_of_pool_is_named_as_that(bench, platform, cut, adapter, verified):
    b = bench(platform.verified() if verified else platform, adapter)
    va, pa = start(b)
    at = pa + 64
    finding = refused(b, La(at.low if cut else int(at)))
    assert finding.cause is Misuse.PHYSICAL_ADDRESS
    assert b.machine.verifier.of(Misuse.PHYSICAL_ADDRESS) == [finding]
    said = str(finding)
    assert finding.rule.mistake in said
    assert "the device is given the physical address of memory that is not mapped for DMA: " in said
    assert "of 3000 bytes of pool memory allocated at test_physical_address.py:" in said
    assert " in start, which was never mapped for DMA (CB-36, CB-150)" in said
    assert said.endswith(REMEDY)
    if cut and at.high:
        assert f"that is {at!r} cut to 32 bits" in said
    faults = platform.translation is Translation.IOMMU and finding.misuse is not Misuse.BEYOND_WIDTH
    assert (finding.misuse is Misuse.DMA_FAULT, finding.code) == (faults, 0x26 if faults else None)
    wdm.MmFreeContiguousMemory(va)
    assert b.machine.frames.used == 0


def test_cb150_a_device_with_fewer_address_bits_cuts_more(bench):
    b = bench(BIG, "A24")
    b.machine.allocate_pool(4096, frame=0x3_4567)
    assert "that is Pa(0x34567010) cut to 24 bits" in str(refused(b, La(0x56_7010)))


def test_cb150_what_a_device_model_is_refused_says_so_too(bench):
    b = bench(IOMMU.verified(stop=False), "A64")
    _, pa = start(b)
    with pytest.raises(BusRefused, match="never mapped for DMA") as caught:
        DeviceBus(b.machine, b.adapter.core).read_into(int(pa), memoryview(bytearray(4)))
    assert caught.value.misuse is Misuse.DMA_FAULT


def test_pool_that_a_transfer_once_mapped_is_not_called_never_mapped(bench):
    b = bench(IOMMU, "A64")
    va, pa = start(b)
    mdl = wdm.IoAllocateMdl(va, 3000, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    made = []
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.GetScatterGatherList(b.adapter, DeviceObject(), mdl, va, 3000, lambda *got: made.append(got[2]), 0, True)
        assert "the physical address of the transfer" in str(refused(b, La(int(pa))))
        b.ops.PutScatterGatherList(b.adapter, made[0], True)
    assert "which no transfer maps now (CB-36, CB-150)" in str(refused(b, La(int(pa))))


def test_where_a_freed_buffer_became_pool_both_are_said_and_neither_is_chosen(bench):
    b = bench(FLAT)
    buffer = b.ok(4096)
    b.free(buffer)
    _, pa = start(b)
    assert int(pa) == int(buffer.la)
    finding = refused(b, La(int(pa)))
    assert finding.cause is None
    assert "was there until it was freed" in finding.detail
    assert "which was never mapped for DMA" in finding.detail
    assert finding.rule.hint in str(finding)


def test_contiguous_memory_is_one_run_up_to_the_highest_address_or_null(bench):
    """Source: MmAllocateContiguousMemory, HighestAcceptableAddress."""
    b = bench(BIG)
    highest = Pa(0x10_2FFF)
    va = wdm.MmAllocateContiguousMemory(3 * 4096, highest)
    assert va is not None
    assert int(wdm.MmGetPhysicalAddress(va + (3 * 4096 - 1))) == int(highest)
    assert wdm.MmAllocateContiguousMemory(1, highest) is None
    assert str(b.machine.last_failure).endswith("1 pages of pool up to 0x102fff")
    bench(FRAG)
    assert wdm.MmAllocateContiguousMemory(2 * 4096, ANYWHERE) is None


# --- BOOLEAN -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "freed"), [(True, 1), (1, True), (False, 0), (0, False), (2, 1)])
def test_cb81_a_boolean_of_the_free_is_true_or_false_as_in_c(bench, asked, freed):
    """Source: BOOLEAN is an unsigned char of C, and whatever is not 0 is true."""
    b = bench(FLAT)
    la = Out()
    va = b.ops.AllocateCommonBuffer(b.adapter, 4096, la, asked)
    b.ops.FreeCommonBuffer(b.adapter, 4096, la.taken, va, freed)
    assert not b.machine.verifier.findings
    assert not b.machine.bus.buffers()
    assert [event.cache_enabled for event in b.machine.events if isinstance(event, BufferAllocated)] == [bool(asked)]


def test_cb81_another_boolean_is_still_a_mismatch(bench):
    b = bench(FLAT)
    la = Out()
    va = b.ops.AllocateCommonBuffer(b.adapter, 4096, la, 1)
    with pytest.raises(DmaViolation, match="CacheEnabled 0, allocated 1"):
        b.ops.FreeCommonBuffer(b.adapter, 4096, la.taken, va, 0)


@pytest.mark.parametrize(("mapped", "flushed"), [(True, 1), (1, True), (0, False)])
def test_a_direction_is_true_or_false_as_in_c(bench, mapped, flushed):
    b = bench(FLAT)
    va = b.machine.allocate_pool(4096)
    mdl = wdm.IoAllocateMdl(va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    files = []

    def granted(_device, _irp, base, _context):
        files.append(base)
        return AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS

    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.AllocateAdapterChannel(b.adapter, DeviceObject(), 2, granted, None)
        b.ops.MapTransfer(b.adapter, mdl, files[0], va, Out(4096), mapped)
        assert b.ops.FlushAdapterBuffers(b.adapter, mdl, files[0], va, 4096, flushed)
    assert not b.machine.verifier.findings


# --- why NULL ----------------------------------------------------------------------------------------------------------
# Source: reference hal-contract CB-70 and CB-71; the words are those of the model.

TWO = FLAT.with_free((0x1_0000_0000, 0x1_0000_FFFF), (0x2_0000_0000, 0x2_0000_0FFF))
FAR = replace(OFFSET, bus_offset=0xFFFF_0000)


@pytest.mark.parametrize(
    ("platform", "length", "words"),
    [
        (HIGH, 4096, "4096 bytes up to 0xffffffff: free memory lies from 0x100000000 to 0x1ffffffff"),
        (TWO, 1, "free memory lies from 0x100000000 to 0x10000ffff and from 0x200000000 to 0x200000fff"),
        (FRAG, 8192, "free memory lies in 262016 pieces of 4096 bytes at most, from 0x101000 to 0x7fffffff"),
        (FULL, 4096, "there are not enough free pages: 4096 bytes up to 0xffffffff: no memory is free"),
        (FAR, 8192, "free memory lies from 0x100000 to 0x7fffffff; the bus sees memory 0xffff0000 further up"),
        (IOMMU.with_free((0x10_0000, 0x10_0FFF)), 8192, "free memory lies from 0x100000 to 0x100fff"),
    ],
    ids=["high", "two", "frag", "full", "offset", "iommu"],
)
def test_cb70_why_null_says_where_memory_lies(bench, platform, length, words):
    b = bench(platform)
    assert b.ops.AllocateCommonBuffer(b.adapter, length, Out(), True) is None
    assert words in str(b.machine.last_failure)


def test_cb70_why_null_says_who_holds_the_map_registers(bench):
    b = bench(MAPREG)
    b.ok(16 * 4096)
    assert b.ops.AllocateCommonBuffer(b.adapter, 2 * 4096, Out(), True) is None
    assert str(b.machine.last_failure).endswith(
        "8192 bytes up to 0xffffffff: adapter 1 of driver holds 16 of 17 map registers"
    )


def test_cb70_why_null_names_the_window_that_was_asked_for(bench):
    b = bench(FLAT, "A64v3")
    low, high = La(0x8000_0000), La(0x8000_FFFF)
    assert b.ops.AllocateCommonBufferWithBounds(b.adapter, low, high, 4096, 0, None, 0, Out()) is None
    assert "4096 bytes from 0x80000000 on up to 0x8000ffff: free memory lies from 0x100000" in str(
        b.machine.last_failure
    )


def test_why_no_bounce_page_was_found_says_where_memory_lies(bench):
    b = bench(HIGH)
    va = b.machine.allocate_pool(4096)
    mdl = wdm.IoAllocateMdl(va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.GetScatterGatherList(b.adapter, DeviceObject(), mdl, va, 4096, lambda *_: None, None, True)
    assert "1 bounce pages up to 0xffffffff: free memory lies from 0x100001000 to 0x1ffffffff" in str(
        b.machine.last_failure
    )
