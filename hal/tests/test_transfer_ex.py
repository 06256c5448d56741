# SPDX-License-Identifier: Apache-2.0
"""What DEVICE_DESCRIPTION version 3 adds to the operations, and chained MDLs on the list that versions 1 and 2 give.

Source of each test: the DDI page of the routine that it calls (MicrosoftDocs windows-driver-docs-ddi, wdm,
nc-wdm-p*.md), "Using the MapTransferEx Routine", and hal-contract 1.7 and 5.1.
The module is long because the table has thirteen routines, each with what it does and what it refuses.
"""

from dataclasses import replace

import pytest

from nthal import routines, wdm
from nthal.platforms import BIG, FIXTURES, FLAT, FRAG, IOMMU, ISA, MAPREG
from nthal.types import Out
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import AllocationAction, DmaCompletionStatus, InterfaceType, Irql, NtStatus, WindowsVersion

SYNC = wdm.DMA_SYNCHRONOUS_CALLBACK
KEEP = AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS
PATTERN = bytes(i % 251 for i in range(40_000))
SLAVE3 = {"version": 3, "auto_initialize": False, "maximum_length": 0x8000}


class Driver:
    """A version 3 driver of one bus master (or channel), with a chain of locked buffers and a context."""

    def __init__(self, bench, platform=FLAT, adapter="A32v3", *, lengths=(10_000,), scattered=False, **changes):
        self.b = bench(platform, adapter, **changes)
        self.machine, self.ops, self.adapter = self.b.machine, self.b.ops, self.b.adapter
        self.device = wdm.DeviceObject()
        self.length = sum(lengths)
        self.mdls = []
        for length in lengths:
            va = self.machine.allocate_pool(length + 300, scattered=scattered) + 200
            mdl = wdm.IoAllocateMdl(va, length, False, False)
            wdm.MmProbeAndLockPages(mdl)
            if self.mdls:
                self.mdls[-1].next = mdl
            self.mdls.append(mdl)
        self.mdl = self.mdls[0]
        self.context = self.new_context()

    def new_context(self):
        context = wdm.DMA_TRANSFER_CONTEXT()
        assert self.ops.InitializeDmaTransferContext(self.adapter, context) == NtStatus.SUCCESS
        return context

    def fill(self, data=PATTERN):
        done = 0
        for mdl in self.mdls:
            self.machine.cpu_write(mdl.va, data[done : done + mdl.byte_count])
            done += mdl.byte_count

    def bytes(self):
        return b"".join(self.machine.cpu_read(mdl.va, mdl.byte_count) for mdl in self.mdls)

    def channel(self, count=5, flags=SYNC, *, context=None, routine=None, base=...):
        """AllocateAdapterChannelEx at DISPATCH_LEVEL: (status, MapRegisterBase)."""
        out = (Out() if routine is None else None) if base is ... else base
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            status = self.ops.AllocateAdapterChannelEx(
                self.adapter, self.device, context or self.context, count, flags, routine, "ctx", out
            )
        return status, None if out is None else out.value

    def map(self, base, offset=0, length=None, *, to_device=True, room=16 + 24 * 64, done=None, context=None):
        """MapTransferEx: (status, bytes mapped, list)."""
        size, made = Out(self.length - offset if length is None else length), Out()
        status = self.ops.MapTransferEx(
            self.adapter, self.mdl, base, offset, 0, size, to_device, made if room else None, room, done, context
        )
        return status, size.taken, made.value

    def flush(self, base, offset=0, length=None, *, to_device=True):
        length = self.length - offset if length is None else length
        return self.ops.FlushAdapterBuffersEx(self.adapter, self.mdl, base, offset, length, to_device)

    def free(self, action=AllocationAction.DEALLOCATE_OBJECT):
        self.ops.FreeAdapterObject(self.adapter, action)

    def list(self, flags=SYNC, *, routine=None, out=..., length=None, offset=0, to_device=True, context=None):
        """GetScatterGatherListEx: (status, list)."""
        out = Out() if out is ... else out
        status = self.ops.GetScatterGatherListEx(
            self.adapter,
            self.device,
            context or self.context,
            self.mdl,
            offset,
            self.length - offset if length is None else length,
            flags,
            routine,
            "ctx",
            to_device,
            None,
            None,
            out,
        )
        return status, None if out is None else out.value

    def put(self, made, *, to_device=True):
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            self.ops.PutScatterGatherList(self.adapter, made, to_device)

    def device_read(self, made):
        return b"".join(self.machine.device_read(e.address, e.length, self.adapter.core) for e in made.elements)

    def device_write(self, made, data):
        done = 0
        for element in made.elements:
            self.machine.device_write(element.address, data[done : done + element.length], self.adapter.core)
            done += element.length


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table_of_version_3_stands_in_the_order_of_the_structure(bench):
    ops = bench(replace(FLAT, windows=WindowsVersion.SERVER_2022), "A32v3").ops
    assert len(ops.names) == 12 + 3 + 13 + 5 + 5 + 1
    assert ops.names.index("AllocateCommonBufferEx") == 18
    assert ops.names.index("AllocateCommonBufferWithBounds") == 33
    assert ops.Size == 8 + 8 * 39
    windows_8 = bench(replace(FLAT, windows=WindowsVersion.WINDOWS_8), "A32v3").ops.names
    assert (len(windows_8), windows_8[-1]) == (28, "CancelMappedTransfer")


@pytest.mark.parametrize("name", sorted(routines.NOT_MODELLED))
def test_a_routine_that_is_not_modelled_says_so_in_words_and_does_nothing(bench, name):
    b = bench(replace(FLAT, windows=WindowsVersion.SERVER_2022), "A32v3")
    assert name in b.ops
    with pytest.raises(DmaViolation, match=f"{name} is not modelled: .{{20}}") as caught:
        getattr(b.ops, name)(b.adapter, None)
    assert caught.value.misuse is Misuse.ABSENT_ROUTINE


def test_a_version_2_table_has_none_of_them(bench):
    b = bench(FLAT, "A32")
    with pytest.raises(DmaViolation, match="MapTransferEx"):
        b.ops.MapTransferEx(b.adapter, None, None, 0, 0, None, True, None, 0, None, None)
    with pytest.raises(AttributeError):
        b.ops.JoinDmaDomain  # noqa: B018  (past the end of the structure)
    quiet = bench(FLAT.verified(stop=False), "A32")
    assert quiet.ops.FlushAdapterBuffersEx(quiet.adapter, None, None, 0, 0, True) == NtStatus.NOT_SUPPORTED
    assert quiet.ops.AllocateCommonBufferEx(quiet.adapter, None, 1, Out(), False, 0) is None


# --- what a transfer takes --------------------------------------------------------------------------------------------


def test_adapter_info_of_a_master_and_of_a_channel(bench):
    info = wdm.DMA_ADAPTER_INFO()
    d = Driver(bench, dma_address_width=40)
    assert d.ops.GetDmaAdapterInfo(d.adapter, info) == NtStatus.SUCCESS
    assert (info.read_dma_counter_available, info.dma_address_width, info.minimum_transfer_unit) == (False, 40, 1)
    slave = Driver(bench, ISA, "S5", **SLAVE3)
    assert slave.ops.GetDmaAdapterInfo(slave.adapter, info) == NtStatus.SUCCESS
    assert (info.read_dma_counter_available, info.scatter_gather_limit) == (True, 1)
    assert (info.dma_address_width, info.minimum_transfer_unit) == (24, 2)
    assert d.ops.GetDmaAdapterInfo(d.adapter, wdm.DMA_ADAPTER_INFO(version=2)) == NtStatus.NOT_SUPPORTED


def test_transfer_info_counts_pages_over_the_chain(bench):
    d = Driver(bench, lengths=(4096, 8192))
    info = wdm.DMA_TRANSFER_INFO()
    # Each MDL starts 200 bytes into a page: 2 and 3 pages; from 4,000 on the first keeps 1.
    for offset, length, pages in ((0, 12_288, 5), (4000, 8000, 3), (4096, 1, 1), (0, 4096, 2)):
        assert d.ops.GetDmaTransferInfo(d.adapter, d.mdl, offset, length, True, info) == NtStatus.SUCCESS
        assert (info.map_register_count, info.scatter_gather_element_count) == (pages, pages)
        assert info.scatter_gather_list_size == 16 + 24 * pages
    assert d.ops.GetDmaTransferInfo(d.adapter, d.mdl, 0, 12_289, True, info) == NtStatus.INVALID_PARAMETER
    assert d.ops.GetDmaTransferInfo(d.adapter, d.mdl, 1 << 40, 1, True, info) == NtStatus.INVALID_PARAMETER
    bad = wdm.DMA_TRANSFER_INFO(version=9)
    assert d.ops.GetDmaTransferInfo(d.adapter, d.mdl, 0, 1, True, bad) == NtStatus.NOT_SUPPORTED


def test_the_8237_has_no_function_of_its_own(bench):
    d = Driver(bench, ISA, "S1", **SLAVE3)
    assert d.ops.ConfigureAdapterChannel(d.adapter, 1, None) == NtStatus.NOT_IMPLEMENTED


# --- channels --------------------------------------------------------------------------------------------------------


def test_without_a_routine_the_channel_is_the_callers_until_free_adapter_object(bench):
    d = Driver(bench)
    before = d.b.books()
    status, base = d.channel(5)
    assert (status, base.count, d.adapter.core.books.channels.live) == (NtStatus.SUCCESS, 5, 1)
    d.free(AllocationAction.KEEP_OBJECT)
    assert d.adapter.core.books.channels.live == 1
    d.free()
    assert d.adapter.core.books.channels.live == 0
    assert d.b.books() == before
    with pytest.raises(DmaViolation) as caught:
        d.free()
    assert caught.value.misuse is Misuse.CHANNEL_FREED_TWICE


def test_keep_registers_leaves_them_to_free_map_registers(bench):
    d = Driver(bench, MAPREG)
    _, base = d.channel(5)
    d.free(KEEP)
    assert (d.adapter.core.books.channels.live, d.adapter.core.held_registers) == (0, 5)
    with d.machine.at_irql(Irql.DISPATCH_LEVEL):
        d.ops.FreeMapRegisters(d.adapter, base, 5)
    assert d.adapter.core.held_registers == 0


def test_a_synchronous_request_fails_at_once_instead_of_waiting(bench):
    d = Driver(bench, MAPREG, maximum_length=0x4000)
    assert d.channel(3)[0] == NtStatus.SUCCESS
    status, base = d.channel(3, context=d.new_context())
    assert (status, base) == (NtStatus.INSUFFICIENT_RESOURCES, None)
    assert not d.adapter.core.channel_state.queue
    ran = []
    assert d.channel(3, context=d.new_context(), routine=lambda *a: ran.append(a))[0] == 0xC000009A
    d.free()
    assert ran == []


def test_a_synchronous_routine_runs_before_the_return(bench):
    d = Driver(bench)
    ran = []

    def control(device, irp, base, context):
        ran.append((device is d.device, base.count, context, d.machine.irql))
        return AllocationAction.DEALLOCATE_OBJECT

    assert d.channel(4, routine=control)[0] == NtStatus.SUCCESS
    assert ran == [(True, 4, "ctx", Irql.DISPATCH_LEVEL)]
    assert d.adapter.core.books.channels.live == 0


@pytest.mark.parametrize(
    ("flags", "routine", "base"),
    [
        (0, None, None),
        (0, None, Out()),
        (0, lambda *a: KEEP, Out()),
        (SYNC, None, None),
        (SYNC, lambda *a: KEEP, Out()),
    ],
    ids=["nothing", "a base without the flag", "both without the flag", "neither", "both"],
)
def test_routine_and_map_register_base_exclude_each_other(bench, flags, routine, base):
    d = Driver(bench)
    assert d.channel(1, flags, routine=routine, base=base)[0] == NtStatus.INVALID_PARAMETER
    assert "MapRegisterBase" in str(d.machine.last_failure)
    assert d.adapter.core.books.channels.allocated == 0


def test_more_registers_than_granted_are_insufficient_resources(bench):
    d = Driver(bench, maximum_length=0x4000)
    assert d.channel(6)[0] == NtStatus.INSUFFICIENT_RESOURCES
    loud = Driver(bench, FLAT.verified(), maximum_length=0x4000)
    with pytest.raises(DmaViolation) as caught:
        loud.channel(6)
    assert caught.value.code == 0x0C


def test_a_waiting_request_can_be_cancelled_and_its_routine_never_runs(bench):
    d = Driver(bench)
    d.channel(1)
    ran, waiting, behind = [], d.new_context(), d.new_context()

    def control(name):
        return lambda *a: (ran.append(name), AllocationAction.DEALLOCATE_OBJECT)[1]

    assert d.channel(1, 0, context=waiting, routine=control("waiting"))[0] == NtStatus.SUCCESS
    assert d.channel(1, 0, context=behind, routine=control("behind"))[0] == NtStatus.SUCCESS
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, waiting) is True
    d.free()
    assert ran == ["behind"]
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, behind) is False, "its routine has run"


def test_cancelling_the_head_of_the_queue_lets_who_stands_behind_it_go_on(bench):
    d = Driver(bench, MAPREG, maximum_length=0x4000)
    _, base = d.channel(3)
    d.free(KEEP)
    ran, big = [], d.new_context()
    d.channel(5, 0, context=big, routine=lambda *a: ran.append("big"))
    small = lambda *a: (ran.append("small"), AllocationAction.DEALLOCATE_OBJECT)[1]  # noqa: E731
    d.channel(2, 0, context=d.new_context(), routine=small)
    assert ran == []
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, big)
    assert ran == ["small"]
    assert base.count == 3


def test_a_context_that_is_cancelled_before_it_is_used_cancels_the_request(bench):
    d = Driver(bench)
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, d.context) is True
    assert d.channel(1)[0] == NtStatus.CANCELLED
    assert d.list()[0] == NtStatus.CANCELLED
    d.ops.InitializeDmaTransferContext(d.adapter, d.context)
    assert d.channel(1)[0] == NtStatus.SUCCESS
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, d.context) is False, "it holds the channel"


def test_a_context_serves_one_request_at_a_time_and_must_be_initialized(bench):
    d = Driver(bench)
    raw = wdm.DMA_TRANSFER_CONTEXT()
    assert d.channel(1, context=raw)[0] == NtStatus.INVALID_PARAMETER
    assert "not initialized" in str(d.machine.last_failure)
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, raw) is False
    d.channel(1)
    for again in (
        lambda: d.channel(1),
        d.list,
        lambda: d.ops.InitializeDmaTransferContext(d.adapter, d.context),
    ):
        with pytest.raises(DmaViolation) as caught:
            again()
        assert caught.value.misuse is Misuse.CONTEXT_IN_USE
    d.free()
    assert d.channel(1)[0] == NtStatus.SUCCESS


def test_irqls_of_the_extended_routines(bench):
    d = Driver(bench, FLAT.verified())
    with pytest.raises(DmaViolation, match="AllocateAdapterChannelEx wants DISPATCH_LEVEL"):
        d.ops.AllocateAdapterChannelEx(d.adapter, d.device, d.context, 1, SYNC, None, None, Out())
    assert d.list()[0] == NtStatus.SUCCESS  # at PASSIVE_LEVEL, which its page allows
    with d.machine.at_irql(Irql.DEVICE_LEVEL):
        for call in (
            d.free,
            lambda: d.ops.InitializeDmaTransferContext(d.adapter, d.context),
            lambda: d.ops.CancelAdapterChannel(d.adapter, d.device, d.context),
            lambda: d.ops.CancelMappedTransfer(d.adapter, d.context),
            lambda: d.map(None),
            lambda: d.flush(None),
        ):
            with pytest.raises(DmaViolation, match="at most DISPATCH_LEVEL"):
                call()


# --- MapTransferEx ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", [p for p in FIXTURES.values() if p.name != "full"], ids=lambda p: p.name)
@pytest.mark.parametrize("to_device", [True, False])
def test_a_chain_is_mapped_in_one_call_and_the_device_sees_all_of_it(bench, platform, to_device):
    # The wide device of "high" needs no bounce page; bounced is what "big" and "pae" have above 4 GiB.
    d = Driver(bench, platform, "A64v3", lengths=(5000, 1, 6000), scattered=True, maximum_length=0x10000)
    before = d.b.books()
    d.fill()
    for mdl in d.mdls:
        wdm.KeFlushIoBuffers(mdl, not to_device, True)
    _, base = d.channel(12)
    status, mapped, made = d.map(base, to_device=to_device)
    assert (status, mapped, made.length) == (NtStatus.SUCCESS, d.length, d.length)
    if to_device:
        assert d.device_read(made) == PATTERN[: d.length]
    else:
        d.device_write(made, PATTERN[1 : d.length + 1])
    assert d.flush(base, to_device=to_device) == NtStatus.SUCCESS
    if not to_device:
        assert d.bytes() == PATTERN[1 : d.length + 1]
    d.free()
    assert d.b.books()[:5] == before[:5]
    assert not d.machine.bus.windows


def test_a_short_list_buffer_maps_a_part_and_the_rest_follows(bench):
    d = Driver(bench, FRAG, lengths=(9000, 5000), scattered=True)
    d.fill()
    _, base = d.channel(8)
    offset, seen, calls = 0, b"", 0
    while offset < d.length:
        status, mapped, made = d.map(base, offset, room=16 + 24 * 2 + 23)
        assert status == NtStatus.SUCCESS
        assert len(made.elements) <= 2
        seen += d.device_read(made)
        assert d.flush(base, offset, mapped) == NtStatus.SUCCESS
        offset, calls = offset + mapped, calls + 1
    assert seen == PATTERN[: d.length]
    assert calls == 3


def test_few_map_registers_map_a_part(bench):
    d = Driver(bench, MAPREG, lengths=(9000, 5000))
    d.fill()
    _, base = d.channel(2)
    status, mapped, made = d.map(base)
    assert (status, mapped) == (NtStatus.SUCCESS, 2 * 4096 - 200)
    assert d.device_read(made) == PATTERN[:mapped]
    d.flush(base, 0, mapped)
    assert d.map(base, mapped)[:2] == (NtStatus.SUCCESS, 9000 - mapped + 4096 - 200)


def test_a_device_without_scatter_gather_gets_one_run_for_a_whole_chain(bench):
    for platform in (FLAT, BIG, IOMMU, MAPREG):
        d = Driver(bench, platform, "A32v3", lengths=(300, 5000, 70), scatter_gather=False)
        before = d.b.books()
        d.fill()
        _, base = d.channel(4)
        _, mapped, made = d.map(base)
        assert (mapped, len(made.elements)) == (5370, 1)
        assert d.device_read(made) == PATTERN[:5370]
        d.flush(base)
        _, _, made = d.map(base, to_device=False)
        d.device_write(made, PATTERN[7 : 7 + 5370])
        assert d.bytes() == PATTERN[:5370], "what is bounced arrives with the flush"
        with pytest.raises(DmaViolation) as caught:
            d.flush(base, 0, 5000, to_device=False)
        assert caught.value.misuse is Misuse.FLUSH_NOT_MAPPED
        d.flush(base, to_device=False)
        assert d.bytes() == PATTERN[7 : 7 + 5370]
        d.free()
        assert d.b.books()[:5] == before[:5]


def test_a_second_map_before_the_flush_is_told(bench):
    d = Driver(bench)
    _, base = d.channel(5)
    d.map(base, 0, 4096)
    with pytest.raises(DmaViolation) as caught:
        d.map(base, 4096)
    assert caught.value.misuse is Misuse.MAP_BEFORE_FLUSH


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"offset": 10_000, "length": 1}, "the chain has 10000 bytes"),
        ({"offset": -1}, "the chain has 10000 bytes"),
        ({"length": 10_001}, "10001 from 0 on"),
        ({"offset": 1 << 33, "length": 1}, "the chain has 10000 bytes"),
        ({"room": 39}, "no list of one element"),
        ({"room": 0}, "no list of one element"),
    ],
)
def test_what_map_transfer_ex_refuses(bench, arguments, words):
    d = Driver(bench)
    _, base = d.channel(5)
    assert d.map(base, **arguments)[0] == NtStatus.INVALID_PARAMETER
    assert words in str(d.machine.last_failure)
    assert not base.mappings


def test_map_transfer_ex_wants_registers_that_are_held(bench):
    d = Driver(bench)
    _, base = d.channel(5)
    d.free()
    for wrong in (None, base):
        assert d.map(wrong)[0] == NtStatus.INVALID_PARAMETER
    assert d.flush(None) == NtStatus.INVALID_PARAMETER


def test_verification_names_an_empty_and_a_too_long_transfer(bench):
    d = Driver(bench, FLAT.verified())
    _, base = d.channel(5)
    for length, code in ((0, 0x21), (10_001, 0x24)):
        with pytest.raises(DmaViolation) as caught:
            d.map(base, 0, length)
        assert caught.value.code == code
    quiet = Driver(bench)
    _, base = quiet.channel(5)
    assert quiet.map(base, 0, 0)[:2] == (NtStatus.SUCCESS, 0)


def test_an_mdl_that_is_not_locked_is_found_before_anything_is_mapped(bench):
    d = Driver(bench, lengths=(100, 100))
    wdm.MmUnlockPages(d.mdls[1])
    _, base = d.channel(5)
    with pytest.raises(DmaViolation) as caught:
        d.map(base)
    assert caught.value.misuse is Misuse.NOT_LOCKED
    assert not base.mappings
    assert not d.machine.bus.windows


def test_a_transfer_that_fails_half_way_changes_no_byte_and_keeps_no_page(bench):
    # Bounce pages run out after the first element. Source: CB-70, a call that fails holds nothing.
    d = Driver(bench, BIG, "A32v3", lengths=(8192,))
    high = d.machine.allocate_pool(8192, frame=0x100010)
    d.mdl = wdm.IoAllocateMdl(high, 8192, False, False)
    d.length, d.mdls = 8192, [d.mdl]
    wdm.MmProbeAndLockPages(d.mdl)
    d.fill()
    hoard = d.machine.frames.free.total
    low = [run for run in d.machine.frames.free.runs() if run.end <= 0x100000]
    for run in low:
        d.machine.frames.free.take(run.start, run.count)
    d.machine.frames.free.give(0x200, 1)
    assert hoard > 1
    _, base = d.channel(3)
    assert d.map(base, to_device=False)[0] == NtStatus.INSUFFICIENT_RESOURCES
    assert d.bytes() == PATTERN[:8192]
    assert d.machine.frames.free.contains(0x200)
    assert (len(base.mappings), base.used) == (0, 0)


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_without_a_routine_keeps_the_channel_until_free_adapter_object(bench):
    d = Driver(bench, lengths=(5000, 3000))
    d.fill()
    status, made = d.list()
    assert status == NtStatus.SUCCESS
    assert d.device_read(made) == PATTERN[:8000]
    assert d.list(context=d.new_context()) == (NtStatus.INSUFFICIENT_RESOURCES, None)
    with pytest.raises(DmaViolation) as caught:
        d.free()
    assert caught.value.misuse is Misuse.FREED_WHILE_MAPPED
    d.free(KEEP)
    d.put(made)
    assert d.adapter.core.books.lists.live == d.adapter.core.held_registers == 0
    status, made = d.list()
    d.put(made)
    d.free()
    assert (d.adapter.core.files, d.adapter.core.books.registers.live) == ([], 0)


def test_a_list_with_a_routine_is_handed_to_both_and_frees_the_channel(bench):
    d = Driver(bench)
    got = []
    status, made = d.list(0, routine=lambda device, irp, one, context: got.append((one, context)))
    assert (status, got) == (NtStatus.SUCCESS, [(made, "ctx")])
    assert d.adapter.core.books.channels.live == 0
    d.put(made)


@pytest.mark.parametrize(("flags", "out"), [(0, ...), (SYNC, None), (0, None)])
def test_a_list_needs_a_routine_or_the_flag_and_a_place(bench, flags, out):
    d = Driver(bench)
    assert d.list(flags, out=out)[0] == NtStatus.INVALID_PARAMETER
    assert "place for the list" in str(d.machine.last_failure)


def test_a_waiting_list_can_be_cancelled(bench):
    d = Driver(bench, MAPREG, maximum_length=0x4000)
    d.channel(3)
    d.free(KEEP)
    context, ran = d.new_context(), []
    assert d.list(0, routine=lambda *a: ran.append(a), context=context)[0] == NtStatus.SUCCESS
    assert d.ops.CancelAdapterChannel(d.adapter, d.device, context) is True
    assert (ran, len(d.adapter.core.channel_state.queue)) == ([], 0)


def test_build_wants_dispatch_level_and_room(bench):
    d = Driver(bench)

    def build(room):
        out = Out()
        return d.ops.BuildScatterGatherListEx(
            d.adapter, d.device, d.context, d.mdl, 0, d.length, SYNC, None, None, True, room, None, None, out
        ), out.value

    with pytest.raises(DmaViolation):
        build(1000)
    with d.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert build(16 + 24 * 2) == (NtStatus.BUFFER_TOO_SMALL, None)
        status, made = build(16 + 24 * 3)
    assert (status, made.length) == (NtStatus.SUCCESS, 10_000)


def test_no_list_for_system_dma(bench):
    d = Driver(bench, ISA, "S1", **SLAVE3)
    assert d.list()[0] == NtStatus.INVALID_PARAMETER
    assert "bus masters" in str(d.machine.last_failure)


def test_what_map_transfer_ex_wrote_is_no_list_to_put(bench):
    d = Driver(bench)
    _, base = d.channel(5)
    _, _, made = d.map(base)
    with pytest.raises(DmaViolation) as caught:
        d.put(made)
    assert caught.value.misuse is Misuse.LIST_OVERFREED


# --- chained MDLs on the older list ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scatter_gather", [True, False])
@pytest.mark.parametrize("platform", [FLAT, BIG, IOMMU, MAPREG], ids=lambda p: p.name)
def test_get_scatter_gather_list_takes_a_chain(bench, platform, scatter_gather):
    """Source: hal-contract 5.1, "chained MDLs ok"; DDI GetScatterGatherList."""
    d = Chained(bench, platform, scatter_gather=scatter_gather)
    before = d.b.books()
    d.fill()
    lists = []
    with d.machine.at_irql(Irql.DISPATCH_LEVEL):
        for to_device in (True, False):
            status = d.ops.GetScatterGatherList(
                d.adapter, d.device, d.mdl, d.mdl.va + 100, 8500, lambda *a: lists.append(a[2]), None, to_device
            )
            assert status == NtStatus.SUCCESS
            made = lists.pop()
            assert scatter_gather or len(made.elements) == 1
            if to_device:
                assert d.device_read(made) == PATTERN[100:8600]
            else:
                d.device_write(made, bytes(8500))
            d.ops.PutScatterGatherList(d.adapter, made, to_device)
    assert d.bytes() == PATTERN[:100] + bytes(8500) + PATTERN[8600:9000]
    assert d.b.books()[:9] == before[:9]


class Chained(Driver):
    """A driver of version 2, which needs no context."""

    def __init__(self, bench, platform, **changes):
        super().__init__(bench, platform, "A32", lengths=(3000, 2000, 4000), **changes)

    def new_context(self):
        return None


def test_a_chain_too_short_or_left_at_its_start_is_refused(bench):
    d = Chained(bench, FLAT)
    size, registers = Out(), Out()

    def get(va, length):
        with d.machine.at_irql(Irql.DISPATCH_LEVEL):
            return d.ops.GetScatterGatherList(d.adapter, d.device, d.mdl, va, length, lambda *a: None, None, True)

    assert d.ops.CalculateScatterGatherList(d.adapter, d.mdl, d.mdl.va, 9000, size, registers) == 0
    assert (size.taken, registers.taken) == (16 + 24 * 4, 4)  # 200 bytes into a page each: 1, 1 and 2 pages
    assert d.ops.CalculateScatterGatherList(d.adapter, d.mdl, d.mdl.va, 9001, size, registers) == 0xC0000023
    assert d.ops.CalculateScatterGatherList(d.adapter, d.mdl, d.mdl.va + -1, 10, size, registers) == 0xC0000023
    assert (size.taken, registers.taken) == (16 + 24 * 4, 4), "a refusal writes nothing"
    assert get(d.mdl.va, 9001) == NtStatus.BUFFER_TOO_SMALL
    for va in (d.mdl.va + 3000, d.mdls[2].va, d.mdl.va + -1):
        with pytest.raises(DmaViolation) as caught:
            get(va, 10)
        assert caught.value.misuse is Misuse.OUTSIDE_MDL
    with pytest.raises(DmaViolation) as caught:
        get(d.mdl.va, 0)
    assert caught.value.misuse is Misuse.ZERO_MAP
    assert d.adapter.core.files == []


def test_a_chain_that_leads_back_to_itself_is_refused(bench):
    d = Chained(bench, FLAT)
    d.mdls[2].next = d.mdls[1]
    with pytest.raises(TypeError, match="leads back to itself"), d.machine.at_irql(Irql.DISPATCH_LEVEL):
        d.ops.GetScatterGatherList(d.adapter, d.device, d.mdl, d.mdl.va, 9000, lambda *a: None, None, True)


# --- system DMA ------------------------------------------------------------------------------------------------------

INTERRUPTING = replace(ISA, dma_interrupts=True)


class Slave(Driver):
    """A driver of channel 1 with one transfer under way."""

    def __init__(self, bench, platform=INTERRUPTING, *, to_device=False, routine=..., **changes):
        super().__init__(bench, platform, "S1", lengths=(4000, 1000), **(SLAVE3 | changes))
        self.ended, self.to_device = [], to_device
        done = (lambda *a: self.ended.append((*a[1:], self.machine.irql))) if routine is ... else routine
        self.base = self.channel(2)[1]
        self.status, self.mapped, _ = self.map(self.base, to_device=to_device, room=0, done=done, context="mine")

    def moves(self, length):
        return self.machine.dma.device_moves(1, length, bytes(length))


def test_a_completion_routine_runs_once_at_the_terminal_count(bench):
    """Source: DDI DMA_COMPLETION_ROUTINE: called at DISPATCH_LEVEL, if the controller interrupts."""
    d = Slave(bench)
    assert (d.status, d.mapped) == (NtStatus.SUCCESS, 5000)
    d.moves(4999)
    assert d.ended == []
    d.moves(1)
    assert d.ended == [(d.device, "mine", DmaCompletionStatus.COMPLETE, Irql.DISPATCH_LEVEL)]
    assert d.flush(d.base, to_device=False) == NtStatus.SUCCESS
    assert d.bytes() == bytes(5000)
    d.free()
    assert d.machine.verifier.findings == []


def test_a_controller_that_does_not_interrupt_calls_no_routine_and_says_so(bench):
    d = Slave(bench, ISA)
    assert [f.misuse for f in d.machine.verifier.findings] == [Misuse.NEVER_CALLED]
    d.moves(5000)
    assert d.ended == []
    assert d.flush(d.base, to_device=False) == NtStatus.SUCCESS
    master = Driver(bench)
    _, base = master.channel(5)
    master.map(base, done=lambda *a: None)
    assert [f.misuse for f in master.machine.verifier.findings] == [Misuse.NEVER_CALLED]


def test_a_cancelled_transfer_tells_its_routine_and_lets_no_other_follow(bench):
    d = Slave(bench, ISA)
    d.moves(1000)
    assert d.ops.CancelMappedTransfer(d.adapter, d.context) == NtStatus.SUCCESS
    assert d.ended == [(d.device, "mine", DmaCompletionStatus.CANCELLED, Irql.DISPATCH_LEVEL)]
    assert d.moves(1) == b""
    assert d.machine.dma.channel(1).masked
    assert d.ops.CancelMappedTransfer(d.adapter, d.context) == NtStatus.SUCCESS
    assert len(d.ended) == 1
    assert d.flush(d.base, to_device=False) == NtStatus.SUCCESS
    assert d.map(d.base, room=0)[0] == NtStatus.CANCELLED
    d.free()


def test_only_a_held_channel_of_system_dma_can_be_cancelled(bench):
    d = Driver(bench)
    d.channel(1)
    assert d.ops.CancelMappedTransfer(d.adapter, d.context) == NtStatus.INVALID_PARAMETER
    slave = Driver(bench, ISA, "S1", **SLAVE3)
    assert slave.ops.CancelMappedTransfer(slave.adapter, slave.context) == NtStatus.INVALID_PARAMETER


def test_verification_wants_a_transfer_completed_or_cancelled_before_the_flush(bench):
    """Source: hal-contract 6, 0xE6/0x23 (0, controller, channel)."""
    d = Slave(bench, INTERRUPTING.verified())
    d.moves(10)
    with pytest.raises(DmaViolation) as caught:
        d.flush(d.base, to_device=False)
    assert (caught.value.code, caught.value.parameters) == (0x23, (0, 0, 1))
    d.ops.CancelMappedTransfer(d.adapter, d.context)
    assert d.flush(d.base, to_device=False) == NtStatus.SUCCESS
    calm = Slave(bench)
    assert calm.flush(calm.base, to_device=False) == NtStatus.SUCCESS
    assert [f.misuse for f in calm.machine.verifier.findings] == [Misuse.FLUSH_UNFINISHED]
    calm.machine.dma.device_moves(1, 5000, bytes(5000))
    assert calm.ended == [], "the flush stopped the channel, and nobody waits for its end any more"


def test_a_channel_that_starts_over_never_completes(bench):
    d = Slave(bench, auto_initialize=True)
    d.moves(15_000)
    assert d.ended == []


def test_a_slave_needs_no_list_and_takes_one_element(bench):
    d = Slave(bench, ISA, to_device=True, routine=None)
    assert (d.status, len(d.base.mappings)) == (NtStatus.SUCCESS, 1)
    assert d.moves(5000) == d.bytes()


# --- a bus master on another bus: the description's other members count as in version 2 -------------------------------


def test_the_width_of_version_3_bounds_what_is_mapped_directly(bench):
    d = Driver(bench, BIG, dma_address_width=24, interface_type=InterfaceType.PCI)
    d.fill()
    _, base = d.channel(5)
    _, mapped, made = d.map(base)
    assert mapped == d.length
    assert all(int(e.address) + e.length <= 1 << 24 for e in made.elements)
    assert d.device_read(made) == PATTERN[: d.length]


# --- what every extended routine has in common ------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["null", "put"])
def test_every_extended_routine_refuses_an_adapter_that_is_none_or_gone(bench, state):
    """Source: hal-contract 6, 0xE6/0x19 and 0x18; in report mode the call has no effect."""
    d = Driver(bench, FLAT.verified(stop=False))
    _, base = d.channel(5)
    d.free()
    if state == "put":
        d.ops.PutDmaAdapter(d.adapter)
    a, out, length = None if state == "null" else d.adapter, Out(), Out(4096)
    before, findings = d.b.books(), len(d.machine.verifier.findings)
    info, transfer = wdm.DMA_ADAPTER_INFO(), wdm.DMA_TRANSFER_INFO()
    raw = wdm.DMA_TRANSFER_CONTEXT()
    with d.machine.at_irql(Irql.DISPATCH_LEVEL):
        for status in (
            d.ops.GetDmaAdapterInfo(a, info),
            d.ops.GetDmaTransferInfo(a, d.mdl, 0, 1, True, transfer),
            d.ops.InitializeDmaTransferContext(a, raw),
            d.ops.AllocateAdapterChannelEx(a, d.device, d.context, 1, SYNC, None, None, out),
            d.ops.MapTransferEx(a, d.mdl, base, 0, 0, length, True, out, 100, None, None),
            d.ops.GetScatterGatherListEx(a, d.device, d.context, d.mdl, 0, 1, SYNC, None, None, True, None, None, out),
            d.ops.BuildScatterGatherListEx(
                a, d.device, d.context, d.mdl, 0, 1, SYNC, None, None, True, 999, None, None, out
            ),
            d.ops.FlushAdapterBuffersEx(a, d.mdl, base, 0, 1, True),
            d.ops.CancelMappedTransfer(a, d.context),
        ):
            assert status == NtStatus.INVALID_PARAMETER
        assert d.ops.CancelAdapterChannel(a, d.device, d.context) is False
        d.ops.FreeAdapterObject(a, AllocationAction.DEALLOCATE_OBJECT)
        d.ops.ConfigureAdapterChannel(a, 0, None)
    misuse = Misuse.NULL_ADAPTER if state == "null" else Misuse.ADAPTER_GONE
    assert [f.misuse for f in d.machine.verifier.findings[findings:]] == [misuse] * 12
    assert (d.b.books(), out.value, length.value, raw.adapter, info.dma_address_width) == (before, None, 4096, None, 0)


def test_a_list_over_nothing_or_over_unlocked_pages_is_refused(bench):
    d = Driver(bench, lengths=(300, 300), scatter_gather=False)
    assert d.list(length=0)[0] == NtStatus.INVALID_PARAMETER
    wdm.MmUnlockPages(d.mdls[1])
    before = d.b.books()
    for call in (d.list, lambda: d.list(SYNC, routine=lambda *a: None)):
        with pytest.raises(DmaViolation) as caught:
            call()
        assert caught.value.misuse is Misuse.NOT_LOCKED
    assert d.b.books() == before


def test_a_gathered_chain_counts_whole_pages_and_stays_inside_its_registers(bench):
    """Three short MDLs on three pages take one page of the HAL; what exceeds the registers is left for the next call."""
    d = Driver(bench, MAPREG, lengths=(300, 4000, 300), scatter_gather=False)
    info = wdm.DMA_TRANSFER_INFO()
    d.ops.GetDmaTransferInfo(d.adapter, d.mdl, 0, d.length, True, info)
    assert (info.map_register_count, info.scatter_gather_element_count) == (2, 1)
    d.fill()
    _, base = d.channel(1)
    status, mapped, made = d.map(base)
    assert (status, mapped, len(made.elements)) == (NtStatus.SUCCESS, 4096, 1)
    assert d.device_read(made) == PATTERN[:4096]
    assert d.flush(base, 0, mapped) == NtStatus.SUCCESS


def test_a_chain_that_no_page_is_left_for_is_insufficient_resources(bench):
    d = Driver(bench, lengths=(300, 5000), scatter_gather=False)
    _, base = d.channel(3)
    for run in list(d.machine.frames.free.runs()):
        d.machine.frames.free.take(run.start, run.count)
    assert d.map(base)[0] == NtStatus.INSUFFICIENT_RESOURCES
    assert "2 pages for a chain of MDLs" in str(d.machine.last_failure)
    assert d.list(context=d.new_context())[0] == NtStatus.INSUFFICIENT_RESOURCES


def test_registers_of_the_older_routine_do_for_map_transfer_ex_too(bench):
    """The page of MapTransferEx names AllocateAdapterChannelEx; a base without a context has nothing to cancel by."""
    d = Slave(bench, ISA, routine=None)
    d.moves(5000)
    d.flush(d.base, to_device=False)
    d.free()
    bases = []
    with d.machine.at_irql(Irql.DISPATCH_LEVEL):
        d.ops.AllocateAdapterChannel(
            d.adapter, d.device, 2, lambda *a: (bases.append(a[2]), AllocationAction.KEEP_OBJECT)[1], None
        )
        assert d.map(bases[0], to_device=False, room=0)[:2] == (NtStatus.SUCCESS, 5000)
        d.moves(5000)
        assert d.flush(bases[0], to_device=False) == NtStatus.SUCCESS
        d.ops.FreeAdapterChannel(d.adapter)
    assert d.adapter.core.books.channels.live == 0


def test_a_flushed_transfer_is_over_and_is_not_told_of_a_later_cancel(bench):
    d = Slave(bench)
    d.moves(10)
    assert d.flush(d.base, to_device=False) == NtStatus.SUCCESS
    assert d.ops.CancelMappedTransfer(d.adapter, d.context) == NtStatus.SUCCESS
    assert d.ended == []
