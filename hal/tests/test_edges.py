# SPDX-License-Identifier: Apache-2.0
"""Edges of core, framework and contract that no vector reaches.

Long, because it is a list of edges, each a few lines, from all over the package.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from nthal import kmdf, verifier, wdm
from nthal.attach import BusRefused, DeviceBus
from nthal.contract import CLAUSES, Kind, Request, predict
from nthal.contract.clause import Clause
from nthal.dump import Show, dump_adapter
from nthal.events import NullReason
from nthal.framework import Device, ObjectAttributes
from nthal.hardware.cache import Cache
from nthal.hardware.memory import FrameAllocator, PhysicalMemory
from nthal.hardware.space import IntervalMap
from nthal.machine import Machine
from nthal.operations.adapter import ForeignAdapter
from nthal.operations.common_buffer import allocate
from nthal.platforms import ARM0, FLAT, IOMMU, ISA, MAPREG, Tail
from nthal.policy import Routine, fragment_length
from nthal.records.region import FrameList
from nthal.records.request import BufferRequest
from nthal.runs import Run, RunSet, Where
from nthal.types import La, Out, Pa, Va
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import AllocationAction, Caching, Irql, WindowsVersion

P = kmdf.WDF_DMA_PROFILE


def test_an_adapter_serves_the_machine_that_made_it_and_no_other(bench):
    one, other = bench(FLAT), bench(FLAT)
    with other.machine, pytest.raises(ForeignAdapter, match=r"belongs to another machine"):
        allocate(other.machine, one.adapter.core, BufferRequest(100))
    for b in (one, other):
        assert (b.machine.frames.used, b.adapter.core.books.buffers.allocated) == (0, 0)


def test_a_tail_can_be_a_finding_and_the_access_goes_on(bench):
    b = bench(FLAT.with_switches(tail=Tail.FINDING))
    buffer = b.ok(100)
    b.machine.cpu_write(buffer.va + 100, b"x")
    b.machine.device_write(buffer.la + 101, b"y")
    assert b.machine.cpu_read(buffer.va + 100, 2) == b"xy"
    assert len(b.machine.verifier.of(Misuse.OUTSIDE_BUFFER)) == 3
    with pytest.raises(DmaViolation):
        b.machine.cpu_read(buffer.va + 4096, 1)


def test_an_access_over_the_guard_page_is_seen_by_the_guard(bench):
    b = bench(FLAT.with_switches(tail=Tail.SILENT).verified())
    buffer = b.ok(4096)
    b.machine.cpu_write(buffer.va + -2, b"abcd")
    assert b.machine.cpu_read(buffer.va, 2) == b"cd"
    assert b.machine.cpu_read(buffer.va + 4096, 4)
    b.machine.device_read(buffer.la, 1)
    with pytest.raises(DmaViolation):
        b.free(buffer)
    assert b.used == 0


def test_report_mode_gives_fill_and_ones_for_refused_reads(bench):
    b = bench(FLAT.verified(stop=False))
    assert b.machine.cpu_read(Va(0x1000), 2) == b"\xa5\xa5"
    assert b.machine.device_read(La(0x5000), 2) == b"\xff\xff"
    assert b.machine.physical_address(Va(1)) == Pa(0)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert b.acb(1) is None
    assert wdm.IoGetDmaAdapter(None, wdm.DEVICE_DESCRIPTION(version=9), Out()) is None


def test_irql_can_be_a_finding(bench):
    b = bench(FLAT.with_profile("reactos"))
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert b.acb(1)
    assert b.machine.verifier.of(Misuse.WRONG_IRQL)


def test_zero_length_can_give_a_page_and_cache_enabled_can_count(bench):
    b = bench(FLAT.with_profile("reactos"))
    assert b.acb(0) is not None
    buffer = b.ok(1, cache=False)
    assert b.machine.space.find(buffer.va).caching is Caching.NON_CACHED


def test_a_length_beyond_a_ulong_is_null(bench):
    b = bench()
    assert b.acb(1 << 32) is None
    assert b.machine.last_failure.reason is NullReason.NOT_A_ULONG
    assert "ULONG" in str(b.machine.last_failure)


def test_ex_refuses_a_negative_node_and_large_pages_are_aligned(bench):
    b = bench(FLAT, "A64v3", maximum_length=4 << 20)
    assert b.ops.AllocateCommonBufferEx(b.adapter, None, 1, Out(), True, -1) is None
    buffer = b.bounds(4096, flags=wdm.DOMAIN_COMMON_BUFFER_LARGE_PAGE)
    assert int(buffer.la) % (2 << 20) == 0
    assert b.used == 512
    request = Request(b.adapter.core.description, BufferRequest(4096, routine=Routine.BOUNDS, large_pages=True))
    assert predict(request, FLAT).pages == 512


def test_an_iommu_refuses_another_devices_address(bench):
    b = bench(IOMMU)
    buffer = b.ok(4096)
    other = b.get(b.adapter.core.description)
    with pytest.raises(DmaViolation) as caught:
        b.machine.device_read(buffer.la, 1, other.adapter.core)
    assert caught.value.code == 0x26


def test_a_bus_that_refuses_a_write_says_where():
    machine = Machine(FLAT)
    with pytest.raises(BusRefused) as caught:
        DeviceBus(machine).write_from(0x5000, memoryview(b"x"))
    assert caught.value.address == 0x5000


def test_typed_stores_obey_alignment_in_report_mode(bench):
    b = bench(replace(ARM0, switches=replace(ARM0.switches, stop=False)))
    buffer = b.ok(16)
    b.machine.store(buffer.va, 0x11223344, 4)
    b.machine.store(buffer.va + 1, 0, 4)
    assert b.machine.load(buffer.va, 4) == 0x11223344
    assert b.machine.load(buffer.va + 2, 4) == 0
    assert len(b.machine.verifier.of(Misuse.MISALIGNED)) == 2


def test_the_dump_shows_a_mapping_and_who_waits(bench):
    b = bench(ISA, "S1")
    buffer = b.ok(4096)
    mdl = wdm.IoAllocateMdl(buffer.va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    bases = []

    def control(device, irp, base, context):
        bases.append(base)
        return AllocationAction.KEEP_OBJECT

    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 1, control, None)
        b.ops.MapTransfer(b.adapter, mdl, bases[0], buffer.va, Out(4096), True)
    text = dump_adapter(b.adapter.core, Show.MAP_REGISTERS | Show.WAITERS)
    assert "4096 bytes mapped to" in text
    assert "waiting for the channel: 0" in text


# --- framework -----------------------------------------------------------------------------------------------------


def enable(device, profile, attributes=None, maximum=4096, **config):
    handle = Out()
    status = kmdf.WdfDmaEnablerCreate(
        device, kmdf.WDF_DMA_ENABLER_CONFIG(profile, maximum, **config), attributes, handle
    )
    return status, handle.value


def test_enabler_create_checks_size_irql_and_parent():
    machine = Machine(FLAT)
    device = Device(machine, fx_verifier_on=True)
    assert enable(device, P.PACKET, size=4) == (0xC0000004, None)
    with machine.at_irql(Irql.DISPATCH_LEVEL):
        assert enable(device, P.PACKET) == (0xC0000010, None)
    assert enable(device, P.PACKET, ObjectAttributes(Device(machine))) == (0xC0200209, None)
    assert enable(device, P.PACKET, ObjectAttributes(device))[0] == 0


def test_a_system_profile_has_an_adapter_only_once_it_is_configured(adapters):
    device = Device(Machine(ISA))
    _, enabler = enable(device, P.SYSTEM, maximum=65536)
    with pytest.raises(DmaViolation) as caught:
        kmdf.WdfCommonBufferCreate(enabler, 4096, None, Out())
    assert caught.value.misuse is Misuse.NULL_ADAPTER
    direction = kmdf.WDF_DMA_DIRECTION.READ_FROM_DEVICE
    assert kmdf.WdfDmaEnablerGetFragmentLength(enabler, direction) == 0
    assert kmdf.WdfDmaEnablerConfigureSystemProfile(enabler, wdm.DEVICE_DESCRIPTION(version=9), direction) == 0xC0000001
    assert kmdf.WdfDmaEnablerConfigureSystemProfile(enabler, adapters["S1"], direction) == 0
    assert kmdf.WdfCommonBufferCreate(enabler, 4096, None, Out()) == 0
    _, packet = enable(device, P.PACKET)
    assert kmdf.WdfDmaEnablerConfigureSystemProfile(packet, adapters["S1"], direction) == 0xC000000D


def test_arm_and_overrides_describe_version_3():
    arm = enable(Device(Machine(ARM0)), P.SCATTER_GATHER)[1]
    assert (arm.read_adapter.description.version, arm.read_adapter.limit) == (3, 0xFFFFFFFF)
    wide = enable(Device(Machine(FLAT)), P.SCATTER_GATHER_64, address_width_override=40)[1]
    assert (wide.read_adapter.description.version, wide.read_adapter.limit) == (3, (1 << 40) - 1)


def test_deleting_a_device_deletes_all_and_its_handle_dies():
    machine = Machine(FLAT)
    device = Device(machine)
    _, enabler = enable(device, P.SCATTER_GATHER)
    kmdf.WdfCommonBufferCreate(enabler, 4096, None, Out())
    kmdf.WdfObjectDelete(device)
    assert machine.frames.used == 0
    with pytest.raises(BugCheck):
        kmdf.WdfDeviceSetAlignmentRequirement(device, 1)


# --- small parts ---------------------------------------------------------------------------------------------------


def test_runs_are_given_and_taken_once():
    runs = RunSet([(0, 4)])
    with pytest.raises(ValueError, match="not free"):
        runs.take(2, 4)
    with pytest.raises(ValueError, match="free already"):
        runs.give(3, 1)
    assert runs.find_scattered(5) is None
    assert runs.find(1, Where(after=10)) == 0
    assert list(runs.runs()) == [Run(0, 4)]


def test_frames_end_where_they_end():
    frames = FrameList([Run(1, 1), Run(5, 1)], 4096)
    assert frames.pa(4097) == Pa(0x5001)
    with pytest.raises(IndexError):
        frames.pa(8192)
    with pytest.raises(IndexError):
        list(frames.pieces(8192, 1))


def test_a_scripted_place_that_does_not_fit_is_passed_over():
    frames = FrameAllocator(RunSet([(10, 10)]))
    frames.place(100, 12)
    assert frames.find(2, Where()) == [Run(12, 2)]
    assert frames.find(2, Where()) == [Run(10, 2)]


def test_big_memory_is_forgotten_by_what_was_written():
    memory = PhysicalMemory()
    memory.write(Pa(0x5000), b"x")
    memory.forget([Run(0, 1 << 24)])
    assert memory.read(Pa(0x5000), 1) == b"\xa5"
    assert memory.resident_pages == 0


def test_a_cache_keeps_dirty_lines_until_flushed_or_dropped():
    memory = PhysicalMemory(fill=0)
    cache = Cache(memory)
    cache.write(Pa(60), b"12345678")
    assert cache.dirty_lines == 2
    assert cache.read(Pa(60), 8) == b"12345678"
    assert memory.read(Pa(60), 8) == bytes(8)
    cache.flush(Pa(0), 64)
    assert memory.read(Pa(60), 8) == b"1234" + bytes(4)
    cache.drop(Pa(64), 64)
    assert cache.read(Pa(64), 4) == bytes(4)


def test_interval_map_knows_its_ranges():
    ranges = IntervalMap()
    ranges.add(4, 2, "x")
    assert (ranges.find(3), ranges.find(4), ranges.find(6)) == (None, "x", None)
    assert len(ranges) == 1
    with pytest.raises(KeyError):
        ranges.remove(5)


def test_an_enabler_with_one_register_moves_nothing_at_once():
    assert [fragment_length(4096, granted, 4096) for granted in (0, 1, 2)] == [0, 0, 4096]


def test_cb81_a_free_of_null_is_refused_in_words(bench):
    """Source: reference hal-contract CB-72 and CB-81."""
    b = bench(FLAT)
    buffer = b.ok(4096)
    with pytest.raises(DmaViolation, match="a NULL address is used: FreeCommonBuffer of 4096 bytes at None, La"):
        b.ops.FreeCommonBuffer(b.adapter, 4096, La(0), None, True)
    with pytest.raises(DmaViolation, match="VirtualAddress None, allocated Va"):
        b.ops.FreeCommonBuffer(b.adapter, 4096, buffer.la, None, True)
    with pytest.raises(TypeError, match="LogicalAddress is NULL"):  # a PHYSICAL_ADDRESS is no pointer
        b.ops.FreeCommonBuffer(b.adapter, 4096, None, buffer.va, True)
    b.free(buffer)


def test_predictions_name_every_reason(adapters):
    def why(adapter, request, platform):
        return predict(Request(adapters[adapter], request), platform).null

    bounds = BufferRequest(4096, routine=Routine.BOUNDS, cache_type=Caching.WRITE_COMBINED)
    assert why("A32", bounds, FLAT) is NullReason.UNSUPPORTED_CACHING
    assert why("A32", BufferRequest(4096, maximum=La(16)), FLAT) is NullReason.EMPTY_WINDOW
    low = replace(IOMMU, iova_base=1 << 32)
    assert why("A32", BufferRequest(4096), low) is NullReason.NO_LOGICAL_SPACE
    assert why("A32", BufferRequest(4096), IOMMU.with_free((0, 0))) is NullReason.NO_MEMORY
    assert why("A32", BufferRequest(4096), MAPREG.with_free((0, 0))) is NullReason.NO_MEMORY
    high = replace(MAPREG, register_base=1 << 33)
    assert why("A32", BufferRequest(4096), high) is NullReason.NO_LOGICAL_SPACE
    assert (
        predict(Request(adapters["A32"], BufferRequest(100)), FLAT.verified()).page_offset == 1992
    )  # 1998, down to a multiple of eight
    offset = replace(FLAT, bus_offset=1 << 40)
    assert why("A32", BufferRequest(4096), offset) is NullReason.EMPTY_WINDOW


def test_a_fact_of_the_wrong_kind_is_missing():
    verdict = CLAUSES["CB-20"].check({"length": "many", "page_size": 4096, "pages": 1})
    assert verdict.kind is Kind.UNKNOWN
    assert str(verdict).startswith("unknown: ")
    assert isinstance(CLAUSES["CB-20"], Clause)


@pytest.mark.parametrize(
    ("facts", "limit"),
    [
        ({"master": False}, 0xFFFFFF),
        ({"version": 3, "width": 36}, (1 << 36) - 1),
        ({"dma64": True}, (1 << 64) - 1),
        ({"bus": "isa", "dma32": False}, 0xFFFFFF),
    ],
)
def test_the_limit_clause_covers_every_kind_of_device(facts, limit):
    clause = CLAUSES["CB-51"]
    assert clause.check({**clause.good, **facts, "limit": limit}).kind is Kind.HOLDS


@pytest.mark.parametrize(
    ("facts", "granted"),
    [
        ({"scatter_gather": True}, 17),
        ({"scatter_gather": True, "master": False}, 1),
        ({"scatter_gather": True, "master": False, "bus": "isa"}, 1),
    ],
)
def test_the_reactos_clause_covers_every_row(facts, granted):
    clause = CLAUSES["CB-46"]
    assert clause.check({**clause.good, **facts, "granted": granted}).kind is Kind.HOLDS


@pytest.mark.parametrize("call", [lambda: kmdf.WdfCommonBufferGetLength(None), lambda: kmdf.WdfObjectDelete(7)])
def test_a_handle_that_is_none_is_a_bug_check(call):
    with pytest.raises(BugCheck):
        call()


def test_the_adapter_is_looked_at_before_the_irql_and_both_before_the_arguments(bench):
    b = bench(FLAT.verified(stop=False))
    b.ops.PutDmaAdapter(b.adapter)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.acb(0)
    assert [finding.code for finding in b.machine.verifier.findings] == [0x18]


# --- vectors of common buffers (CB-133) ----------------------------------------------------------------------------


def vector(b, count=4, size=4096):
    out = Out()
    status = b.ops.AllocateCommonBufferVector(b.adapter, None, None, None, 0, 0, count, size, out)
    return status, out.value


def parameter(call):
    with pytest.raises(BugCheck) as caught:
        call()
    assert caught.value.code == 0x1DC
    return caught.value.parameter


def test_cb133_a_vector_is_fetched_and_freed_by_index(bench):
    b = bench(FLAT, "A32v3")
    status, made = vector(b)
    assert (status, b.used) == (0, 4)
    va, la = Out(), Out()
    b.ops.GetCommonBufferFromVectorByIndex(b.adapter, made, 3, va, la)
    b.machine.cpu_write(va.taken, b"x")
    assert b.machine.device_read(la.taken, 1) == b"x"
    assert parameter(lambda: b.ops.FreeCommonBufferVector(b.adapter, made)) == 2
    assert parameter(lambda: b.ops.GetCommonBufferFromVectorByIndex(b.adapter, made, 4, va, la)) == 3
    for index in range(4):
        b.ops.FreeCommonBufferFromVector(b.adapter, made, index)
    assert parameter(lambda: b.ops.FreeCommonBufferFromVector(b.adapter, made, 0)) == 4
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert parameter(lambda: b.ops.FreeCommonBufferVector(b.adapter, made)) == 1
    b.ops.FreeCommonBufferVector(b.adapter, made)
    assert b.used == 0


def test_cb133_a_vector_is_whole_or_nothing(bench):
    b = bench(FLAT.with_free((0x100000, 0x102FFF)), "A32v3")
    assert vector(b)[0] == 0xC000009A
    assert b.used == 0
    assert vector(b, count=0)[0] == 0xC000000D


def test_the_newest_routines_need_the_newest_windows(bench):
    b = bench(replace(FLAT, windows=WindowsVersion.WINDOWS_8), "A32v3")
    assert "AllocateCommonBufferWithBounds" not in b.ops
    for call in (lambda: b.bounds(4096), lambda: vector(b)):
        with pytest.raises(DmaViolation) as caught:
            call()
        assert caught.value.misuse is Misuse.ABSENT_ROUTINE


@pytest.mark.parametrize(
    ("client", "hal", "fdo", "mask"),
    [((1, 33), 1, 0, 0), ((1, 9), 1, 0, 1), ((1, 33), 64, 15, 63), ((1, 9), 64, 15, 64), ((1, 11), 1, 15, 15)],
)
def test_cb106_the_enablers_mask_is_the_larger_of_device_and_hal(client, hal, fdo, mask):
    device = Device(Machine(replace(FLAT, hal_alignment=hal)), client=client)
    kmdf.WdfDeviceSetAlignmentRequirement(device, fdo)
    assert enable(device, P.SCATTER_GATHER)[1].mask == mask


def test_cb104_and_cb105_alignments_belong_to_an_enabler_or_to_one_buffer():
    device = Device(Machine(FLAT))
    masks = []
    for mask in (15, 31):
        kmdf.WdfDeviceSetAlignmentRequirement(device, mask)
        enabler = enable(device, P.SCATTER_GATHER)[1]
        masks.append(enabler.mask)
    assert masks == [15, 31]
    one, next_one = Out(), Out()
    assert kmdf.WdfCommonBufferCreateWithConfig(enabler, 8, kmdf.WDF_COMMON_BUFFER_CONFIG(255), None, one) == 0
    assert kmdf.WdfCommonBufferCreate(enabler, 8, None, next_one) == 0
    assert (one.taken.mask, next_one.taken.mask) == (255, 31)


# --- what is listed and cannot happen --------------------------------------------------------------------------------


def test_every_misuse_but_the_listed_ones_is_raised_somewhere():
    root = Path(verifier.__file__).parent
    source = "\n".join(path.read_text() for path in sorted(root.rglob("*.py")) if path.name != "verifier.py")
    raised = set(re.findall(r"Misuse\.([A-Z0-9_]+)", source))
    assert {misuse.name for misuse in Misuse} - raised == {misuse.name for misuse in verifier.LISTED_ONLY}
    assert all(misuse.value.code is not None and why for misuse, why in verifier.LISTED_ONLY.items())


def test_the_codes_are_those_of_dma_verification():
    undocumented = {0x12, 0x17, 0x1A, 0x1C}
    assert {misuse.value.code for misuse in Misuse} - {None} == set(range(0x27)) - undocumented


def test_runs_know_what_they_hold_of_a_range():
    runs = RunSet([(10, 10), (30, 10), (50, 1)])
    assert [runs.meets(*one) for one in [(0, 10), (0, 11), (19, 1), (20, 10), (25, 6)]] == [
        False,
        True,
        True,
        False,
        True,
    ]
    runs.discard(20, 10)
    assert runs.total == 21
    runs.discard(15, 20)
    assert runs.snapshot() == ((10, 15), (35, 40), (50, 51))
    runs.discard(36, 1)
    assert runs.snapshot() == ((10, 15), (35, 36), (37, 40), (50, 51))
    runs.discard(0, 100)
    assert (runs.snapshot(), runs.total) == ((), 0)


def test_a_read_of_what_nobody_wrote_is_told_once_and_under_verification_only(bench):
    for platform, told in ((FLAT, 0), (FLAT.verified(), 1)):
        b = bench(platform)
        buffer = b.ok(64)
        b.machine.cpu_write(buffer.va, bytes(32))
        b.machine.device_write(buffer.la + 32, bytes(16))
        b.machine.cpu_read(buffer.va, 48)
        assert not b.machine.verifier.findings
        b.machine.device_read(buffer.la + 40, 10)
        b.machine.cpu_read(buffer.va + 48, 1)
        assert len(b.machine.verifier.of(Misuse.NEVER_WRITTEN)) == told


def test_an_mdl_over_nothing_is_refused_and_a_too_long_one_is_null(bench):
    b = bench(FLAT.verified(stop=False))
    pool = b.machine.allocate_pool(4096, pageable=True)
    paged = wdm.IoAllocateMdl(pool, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(paged)
    assert not paged.resident
    beyond = wdm.IoAllocateMdl(pool, 8192, False, False)
    wdm.MmProbeAndLockPages(beyond)
    wdm.MmBuildMdlForNonPagedPool(wdm.IoAllocateMdl(Va(0x1000), 1, False, False))
    assert not beyond.resident
    wdm.MmProbeAndLockPages(paged)
    wdm.MmUnlockPages(paged)
    assert not paged.resident
    assert wdm.IoAllocateMdl(pool, 1 << 32, False, False) is None
    with b.machine.at_irql(Irql.DEVICE_LEVEL):
        assert wdm.IoAllocateMdl(pool, 1, False, False) is None
    assert {one.misuse for one in b.machine.verifier.findings} == {
        Misuse.NOT_LOCKED, Misuse.WILD_ADDRESS, Misuse.WRONG_IRQL
    }  # fmt: skip


@pytest.mark.parametrize(
    ("windows", "longest"),
    [
        (WindowsVersion.WINDOWS_7, (4 << 30) - 4096),
        (WindowsVersion.WINDOWS_VISTA, (2 << 30) - 4096),
        (WindowsVersion.WINDOWS_2000, 4096 * (65535 - 0x30) // 8),
    ],
)
def test_the_longest_mdl_grew_with_windows(bench, windows, longest):
    bench(replace(FLAT, windows=windows))
    assert wdm.IoAllocateMdl(Va(0x1000), longest, False, False)
    assert wdm.IoAllocateMdl(Va(0x1000), longest + 1, False, False) is None


def test_fixed_mdls_are_neither_locked_nor_unlocked_in_report_mode(bench):
    b = bench(FLAT.verified(stop=False))
    buffer = b.ok(4096)
    mdl = wdm.IoAllocateMdl(buffer.va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    wdm.MmProbeAndLockPages(mdl)
    wdm.MmUnlockPages(mdl)
    assert mdl.resident
    assert len(b.machine.verifier.of(Misuse.FIXED_MDL)) == 2


def test_a_bus_that_knows_its_device_takes_the_adapter_that_the_driver_got_last(bench):
    b = bench(IOMMU)
    pdo = wdm.DeviceObject()
    bus = DeviceBus(b.machine, pdo=pdo)
    assert bus.adapter is None
    into = bytearray(1)
    buffer = b.ok(1)
    bus.read_into(int(buffer.la), memoryview(into))
    registers = Out()
    mine = wdm.IoGetDmaAdapter(pdo, b.adapter.core.description, registers)
    assert bus.adapter is mine.core
    with pytest.raises(BusRefused) as caught:
        bus.read_into(int(buffer.la), memoryview(into))
    assert caught.value.misuse is Misuse.DMA_FAULT
    assert caught.value.nearest == ((int(buffer.la), 1),)
