# SPDX-License-Identifier: Apache-2.0
"""Clauses that no test vector names, each by number on a live machine."""

from dataclasses import replace

import pytest

from nthal import kmdf, nt, wdm
from nthal.contract import Observation, check, violations
from nthal.dump import Show, dump_adapter
from nthal.framework import Device, create_common_buffer
from nthal.machine import Machine
from nthal.operations.common_buffer import allocate
from nthal.platforms import ARM0, ARM1, BIG, FLAT, FRAG, FULL, HIGH, IOMMU, ISA, MAPREG, OFFSET, CacheUpkeep
from nthal.records.request import BufferRequest
from nthal.scenarios import Claims, start_device
from nthal.types import Out
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import AllocationAction, InterfaceType, Irql, NtStatus, WindowsVersion

EVERYWHERE = [FLAT, BIG, IOMMU, OFFSET, MAPREG, FRAG, ARM0, ARM1]
P = kmdf.WDF_DMA_PROFILE


def enabler_of(platform, profile=P.SCATTER_GATHER_64, **options):
    device = Device(Machine(platform), **options)
    handle = Out()
    assert kmdf.WdfDmaEnablerCreate(device, kmdf.WDF_DMA_ENABLER_CONFIG(profile, 65536), None, handle) == 0
    return handle.taken


@pytest.mark.parametrize("adapter", ["A32", "S1"])
def test_cb02_masters_and_system_dma_channels_get_buffers(bench, adapter):
    assert bench(ISA, adapter).ok(4096)


def test_cb03_the_routine_is_in_the_table_alone_and_a_saved_pointer_works(bench):
    b = bench()
    assert not hasattr(wdm, "AllocateCommonBuffer")
    assert not hasattr(wdm, "FreeCommonBuffer")
    saved, release, la = b.ops.AllocateCommonBuffer, b.ops.FreeCommonBuffer, Out()
    va = saved(b.adapter, 4096, la, True)
    release(b.adapter, 4096, la.taken, va, True)
    assert b.used == 0


def test_cb11_kmdf_getters_run_at_dispatch_and_creates_do_not():
    enabler = enabler_of(FLAT)
    buffer = create_common_buffer(enabler, 64, None, None, lambda: None)
    with enabler.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert kmdf.WdfCommonBufferGetLength(buffer) == 64
        assert kmdf.WdfCommonBufferGetAlignedVirtualAddress(buffer) == buffer.raw.va
        assert kmdf.WdfCommonBufferGetAlignedLogicalAddress(buffer) == buffer.raw.la
        kmdf.WdfDeviceSetAlignmentRequirement(enabler.device, 3)
        with pytest.raises(DmaViolation):
            kmdf.WdfCommonBufferCreate(enabler, 64, None, Out())
    with enabler.machine.at_irql(Irql.DEVICE_LEVEL), pytest.raises(DmaViolation):
        kmdf.WdfCommonBufferGetLength(buffer)


def test_cb24_and_cb25_profile_strict_says_what_is_wasteful(bench):
    b = bench(FLAT.with_profile("strict"))
    b.ok(4096)
    assert not b.machine.verifier.findings
    b.ok(5000)
    assert {one.misuse for one in b.machine.verifier.findings} == {Misuse.WASTEFUL, Misuse.MANY_SMALL}


def test_cb32_the_virtual_range_is_one_run_of_resident_system_space(bench):
    b = bench(IOMMU.with_free((0x1_0000_0000, 0x1_0000_0FFF), (0x1_0000_2000, 0x1_0000_2FFF)))
    buffer = b.ok(8192)
    assert b.pa(buffer, 4096) - b.pa(buffer) == 0x2000
    assert int(buffer.va) >> 40 == 0xFFFFA0
    b.machine.cpu_write(buffer.va + 4095, b"ab")
    assert b.machine.cpu_read(buffer.va + 4095, 2) == b"ab"
    assert not b.machine.space.find(buffer.va).pageable


@pytest.mark.parametrize("platform", EVERYWHERE, ids=lambda one: one.name)
def test_cb34_and_cb66_the_device_sees_the_buffer_at_once_and_without_a_flush(bench, platform):
    b = bench(platform)
    buffer = b.ok(100)
    b.machine.device_write(buffer.la + 99, b"d", b.adapter.core)
    assert b.machine.cpu_read(buffer.va + 99, 1) == b"d"
    b.machine.cpu_write(buffer.va, b"c")
    assert b.machine.device_read(buffer.la, 1, b.adapter.core) == b"c"


def test_cb37_no_step_of_an_allocation_is_the_drivers(bench):
    for platform in EVERYWHERE:
        b = bench(platform)
        buffer = b.ok(4096)
        b.machine.device_write(buffer.la, b"x")
        assert b.machine.cpu_read(buffer.va, 1) == b"x"


def test_cb43_a_register_maps_a_page_at_most_and_a_byte_at_least(bench):
    b = bench(MAPREG)
    pool = b.machine.allocate_pool(4096 * 2)
    mdl = wdm.IoAllocateMdl(pool + 4095, 2, False, False)
    wdm.MmProbeAndLockPages(mdl)
    size, registers = Out(), Out()
    b.ops.CalculateScatterGatherList(b.adapter, mdl, mdl.va, 2, size, registers)
    assert registers.taken == 2


def test_cb47_the_classic_hal_grants_sixteen_registers_without_scatter_gather(bench):
    assert bench(FLAT.with_switches(reactos_grant=True), "AP").registers == 16


def test_cb67_flushing_does_nothing_on_a_coherent_machine(bench):
    b = bench(FLAT)
    buffer = b.ok(64)
    b.machine.cpu_write(buffer.va, b"kept")
    b.machine.flush_io_buffers(buffer.va, 64)
    assert b.machine.cpu_read(buffer.va, 4) == b"kept"


def test_cb67_a_packet_buffer_needs_its_flush_where_dma_is_not_coherent(bench):
    b = bench(ARM0.verified())
    pool = b.machine.allocate_pool(64)
    mdl = wdm.IoAllocateMdl(pool, 64, False, False)
    wdm.MmProbeAndLockPages(mdl)
    b.machine.cpu_write(pool, b"new")
    lists = []

    def move(flush):
        if flush:
            wdm.KeFlushIoBuffers(mdl, False, True)
        with b.machine.at_irql(Irql.DISPATCH_LEVEL):
            b.ops.GetScatterGatherList(
                b.adapter, wdm.DeviceObject(), mdl, pool, 64, lambda *a: lists.append(a[2]), None, True
            )
            seen = b.machine.device_read(lists[-1].elements[0].address, 3)
            b.ops.PutScatterGatherList(b.adapter, lists[-1], True)
        return seen

    assert move(flush=False) == b"\xa5\xa5\xa5"
    assert [one.misuse for one in b.machine.verifier.findings] == [Misuse.STALE_DATA]
    assert move(flush=True) == b"new"
    assert len(b.machine.verifier.findings) == 1


def test_cb67_a_device_write_behind_the_cache_is_told_once_and_hidden_from_the_cpu(bench):
    b = bench(ARM0)
    pool = b.machine.allocate_pool(64)
    mdl = wdm.IoAllocateMdl(pool, 64, False, False)
    wdm.MmProbeAndLockPages(mdl)
    b.machine.cpu_write(pool, bytes(64))

    def control(_device, _irp, made, _context):
        for _ in range(2):
            b.machine.device_write(made.elements[0].address, b"fresh")

    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.GetScatterGatherList(b.adapter, wdm.DeviceObject(), mdl, pool, 64, control, None, False)
    assert b.machine.cpu_read(pool, 5) == bytes(5)
    assert "the CPU goes on reading its old line" in b.machine.verifier.of(Misuse.STALE_DATA)[0].detail
    assert len(b.machine.verifier.findings) == 1


@pytest.mark.parametrize(
    ("adapter", "keeps", "fresh"),
    [
        ("A32", CacheUpkeep.BY_VERSION, False),
        ("A32v3", CacheUpkeep.BY_VERSION, True),
        ("A32", CacheUpkeep.ALWAYS, True),
        ("A32v3", CacheUpkeep.NEVER, False),
    ],
)
@pytest.mark.parametrize("bounced", [False, True], ids=["direct", "bounced"])
def test_cb67_mapping_keeps_the_caches_by_version_or_as_the_switch_says(bench, adapter, keeps, fresh, bounced):
    """Source: DOC:flushing-cached-data and DOC:version-3; WDF fxdmatransactionpacket.cpp, _AdapterControl."""
    platform = ARM0.with_free((0x10_0000, 0x10_FFFF), (0x1_0000_0000, 0x1_000F_FFFF)).verified()
    b = bench(platform.with_switches(map_keeps_caches=keeps), adapter)
    pool = b.machine.allocate_pool(256, frame=0x10_0000 if bounced else None)
    mdl = wdm.IoAllocateMdl(pool + 32, 128, False, False)
    wdm.MmProbeAndLockPages(mdl)
    b.machine.cpu_write(pool, b"b" * 256)

    def transfer(move, to_device):
        def control(_device, _irp, made, _context):
            (element,) = made.elements
            move(element.address)
            lists.append(made)

        lists = []
        with b.machine.at_irql(Irql.DISPATCH_LEVEL):
            b.ops.GetScatterGatherList(b.adapter, wdm.DeviceObject(), mdl, pool + 32, 128, control, None, to_device)
            b.ops.PutScatterGatherList(b.adapter, lists[0], to_device)

    def reads(la):
        assert (b.machine.device_read(la, 128) == b"b" * 128) is fresh

    def writes(la):
        # Next door, in lines that the transfer shares, the processor goes on working.
        b.machine.cpu_write(pool + 160, b"n" * 32)
        b.machine.device_write(la, b"d" * 128)
        b.machine.cpu_write(pool, b"n" * 32)

    transfer(reads, to_device=True)
    transfer(writes, to_device=False)
    due = b"n" * 32 + (b"d" if fresh else b"b") * 128 + b"n" * 32 + b"b" * 64
    assert b.machine.cpu_read(pool, 256) == due
    stale = bool(b.machine.verifier.of(Misuse.STALE_DATA))
    assert stale is (not fresh and not bounced)


@pytest.mark.parametrize("stop", [True, False], ids=["stop", "report"])
def test_cb72_a_null_that_nobody_tested_is_named_with_the_reason_of_the_null(bench, stop):
    b = bench(FULL.verified(stop=stop))
    la = Out()
    va = b.ops.AllocateCommonBuffer(b.adapter, 4096, la, True)
    assert (va, int(la.taken)) == (None, 0)
    if stop:
        with pytest.raises(DmaViolation, match="not enough free pages"):
            b.machine.cpu_write(va, bytes(4096))
    else:
        b.machine.cpu_write(va, bytes(4096))
        assert b.machine.cpu_read(va, 2) == b"\xa5\xa5"
    assert b.machine.verifier.findings[0].misuse is Misuse.NULL_USED


def test_cb72_a_null_before_any_allocation_is_named_too():
    with pytest.raises(DmaViolation, match="a NULL address is used"):
        Machine(FLAT).cpu_read(None, 1)


def test_cb75_a_packet_capable_wdm_driver_starts_without_its_buffer(adapters):
    machine = Machine(FULL)
    claims = Claims("ports")
    started = start_device(machine, adapters["A32"], 4096, claims, packet_capable=True)
    assert (started.status, started.va, claims.held) == (NtStatus.SUCCESS, None, ["ports"])
    assert started.adapter


def test_cb86_both_addresses_are_needed_for_the_free(bench):
    b = bench()
    buffer = b.ok(4096)
    for wrong in ({"la": buffer.la + 4096}, {"va": buffer.va + 4096}):
        with pytest.raises(DmaViolation):
            b.free(replace(buffer, **wrong))
    b.free(buffer)
    assert b.used == 0


def test_cb100_and_cb124_the_order_of_kmdf_and_no_handle_after_a_failure():
    enabler = enabler_of(FLAT)
    handle = Out()
    assert kmdf.WdfCommonBufferCreate(enabler, 100, None, handle) == 0
    assert kmdf.WdfCommonBufferGetLength(handle.taken) == 100
    kmdf.WdfObjectDelete(handle.taken)
    assert enabler.machine.frames.used == 0
    none = Out()
    assert kmdf.WdfCommonBufferCreate(enabler_of(FULL), 100, None, none) == NtStatus.INSUFFICIENT_RESOURCES
    for getter in (kmdf.WdfCommonBufferGetAlignedVirtualAddress, kmdf.WdfCommonBufferGetAlignedLogicalAddress):
        with pytest.raises(BugCheck):
            getter(none.value)


@pytest.mark.parametrize("client", [(1, 9), (1, 33)])
def test_cb103_buffers_are_word_aligned_by_default(client):
    buffer = create_common_buffer(enabler_of(FLAT, client=client), 10, None, None, lambda: None)
    assert int(buffer.aligned_va) % 2 == int(buffer.aligned_la) % 2 == 0


@pytest.mark.parametrize(
    ("profile", "scatter_gather", "limit", "adapters"),
    [
        (P.PACKET, False, 32, 1),
        (P.SCATTER_GATHER, True, 32, 1),
        (P.PACKET_64, False, 64, 1),
        (P.SCATTER_GATHER_64, True, 64, 1),
        (P.SCATTER_GATHER_DUPLEX, True, 32, 2),
        (P.SCATTER_GATHER_64_DUPLEX, True, 64, 2),
    ],
)
def test_cb121_a_profile_decides_the_description(profile, scatter_gather, limit, adapters):
    enabler = enabler_of(FLAT, profile)
    description = enabler.read_adapter.description
    assert (description.master, description.version, description.interface_type) == (True, 2, InterfaceType.PCI)
    assert description.scatter_gather is scatter_gather
    assert enabler.read_adapter.limit == (1 << limit) - 1
    assert len(enabler.machine.adapters) == adapters


def test_cb123_a_failed_create_clears_length_and_addresses(monkeypatch):
    from nthal import framework

    made = []

    class Kept(framework.CommonBuffer):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(framework, "CommonBuffer", Kept)
    assert kmdf.WdfCommonBufferCreate(enabler_of(FULL), 100, None, Out()) == NtStatus.INSUFFICIENT_RESOURCES
    assert (made[0].length, made[0].raw, made[0].alive) == (0, framework.RawBuffer(), False)


def test_cb130_ex_needs_version_3_and_takes_a_node(bench):
    b = bench(FLAT, "A32v3")
    assert b.ex(4096)
    with pytest.raises(DmaViolation):
        bench(FLAT, "A32").ex(4096)
    assert bench(replace(FLAT, windows=WindowsVersion.WINDOWS_8), "A32v3").ex(4096)


def auto_initialize(b):
    """A subordinate driver's buffer and its MDL; gives what the flow needs."""
    buffer = b.ok(4096)
    mdl = wdm.IoAllocateMdl(buffer.va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    return buffer, mdl


@pytest.mark.parametrize("irp", ["StartIo", "dequeue", "device ready"])
def test_cb140_and_cb141_and_cb146_and_cb147_and_cb148_the_flow_needs_no_logical_address(bench, irp):
    b = bench(ISA, "S1")
    buffer, mdl = auto_initialize(b)
    del buffer.la
    channel = []

    def control(device, current, base, context):
        channel.append((base, current, context))
        return AllocationAction.KEEP_OBJECT

    device = wdm.DeviceObject(current_irp=irp)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.AllocateAdapterChannel(b.adapter, device, 1, control, irp)
        base, current, context = channel[0]
        assert (current, context) == (irp, irp)
        b.ops.MapTransfer(b.adapter, mdl, base, buffer.va, Out(4096), True)
        b.machine.cpu_write(buffer.va, b"sound")
        assert b.ops.ReadDmaCounter(b.adapter) == 4096
        assert b.ops.FlushAdapterBuffers(b.adapter, mdl, base, buffer.va, 4096, True)
        b.ops.FreeAdapterChannel(b.adapter)
        for call in (b.ops.FreeAdapterChannel, b.ops.ReadDmaCounter):
            with pytest.raises(DmaViolation) as caught:
                call(None)
            assert caught.value.misuse is Misuse.NULL_ADAPTER


def test_cb152_verification_and_the_dump_show_a_driver_its_mistake(bench):
    b = bench(FLAT.verified())
    b.ok(64)
    text = dump_adapter(b.adapter.core, Show.GENERIC | Show.COMMON_BUFFERS)
    assert "buffers    allocated 1, freed 0" in text
    assert "conftest.py:" in text
    with pytest.raises(DmaViolation) as caught:
        b.ops.PutDmaAdapter(b.adapter)
    assert caught.value.code == 0x07


def test_cb154_a_truncated_logical_address_is_named(bench):
    b = bench(HIGH, "A64")
    buffer = b.ok(4096)
    assert buffer.la.high
    with pytest.raises(DmaViolation, match="without its upper half"):
        b.machine.device_read(type(buffer.la)(buffer.la.low + 64), 4)


def test_cb160_and_cb161_and_cb162_an_nt_driver_allocates_and_uses_its_buffer(bench, adapters):
    b = bench()
    adapter, registers = b.nt_get(adapters["A32"])
    assert registers == 17
    la = Out()
    va = nt.HalAllocateCommonBuffer(adapter, 4096, la, False)
    b.machine.cpu_write(va, b"ring")
    assert b.machine.device_read(la.taken, 4) == b"ring"
    nt.HalFreeCommonBuffer(adapter, 4096, la.taken, va, False)
    assert b.used == 0


@pytest.mark.parametrize(("profile", "same"), [("contract", True), ("reactos", False)])
def test_cb163_the_nt_caching_wish_counts_in_reactos_only(bench, adapters, profile, same):
    b = bench(FLAT.with_profile(profile))
    adapter, _ = b.nt_get(adapters["A32"])
    made = [allocate(b.machine, adapter, BufferRequest(4096, cache_enabled=wish)).caching for wish in (True, False)]
    assert (made[0] is made[1]) is same


def test_cb50_and_cb55_an_observation_past_limit_or_boundary_is_named():
    seen = Observation(1, length=8192, va=0x10000, la=0xFFF000, limit=0xFFFFFF, boundary=0x10000, pages=(0xFFF, 0x1000))
    assert {"CB-50", "CB-55"} <= {one.clause for one in violations(check([seen]))}
