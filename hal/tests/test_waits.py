# SPDX-License-Identifier: Apache-2.0
"""A wait for map registers or a channel that cannot end is a finding that says who holds what, and no other wait is.

Source: hal-contract CB-42 (registers of live buffers and channels never exceed the grant or the pool; a channel waits).
"""

from dataclasses import replace

import pytest

from nthal import kmdf, wdm
from nthal.framework import Device
from nthal.machine import Machine
from nthal.operations import adapter as adapters
from nthal.operations import channel as channels
from nthal.platforms import FLAT, ISA, MAPREG
from nthal.records.adapter import Waiter
from nthal.types import Out
from nthal.verifier import BugCheck, Misuse, Rank
from nthal.windows import AllocationAction, Irql, NtStatus

THREE = replace(MAPREG, register_pool=3)
PAGE = 4096
KEPT = AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS


def locked(machine, length=2 * PAGE):
    va = machine.allocate_pool(length)
    mdl = wdm.IoAllocateMdl(va, length, False, False)
    wdm.MmProbeAndLockPages(mdl)
    return mdl


def list_of(b, mdl, lists, device=None):
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        return b.ops.GetScatterGatherList(
            b.adapter,
            device or wdm.DeviceObject(),
            mdl,
            mdl.va,
            mdl.byte_count,
            lambda *a: lists.append(a[2]),
            None,
            True,
        )


def test_callbacks_that_ask_again_for_ever_are_stopped(bench, monkeypatch):
    monkeypatch.setattr(channels, "_WATCHDOG", 50)
    b = bench()
    ran = []

    def again(*_given):
        ran.append(1)
        channels.request(b.machine, Waiter(b.adapter.core, wdm.DeviceObject(), 1, again, None))
        return AllocationAction.DEALLOCATE_OBJECT

    with b.machine.at_irql(Irql.DISPATCH_LEVEL), pytest.raises(BugCheck, match="each asks again") as caught:
        b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 1, again, None)
    assert (len(ran), caught.value.code) == (50, 0x133)


def test_any_number_of_requests_that_waited_is_served_when_the_channel_is_given_back(bench):
    b, ran = bench(), []

    def control(*_given):
        ran.append(1)
        return AllocationAction.DEALLOCATE_OBJECT

    channel(b, 1)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        for _ in range(2000):
            b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 1, control, None)
        assert ran == []
        b.ops.FreeAdapterChannel(b.adapter)
    assert len(ran) == 2000


@pytest.mark.parametrize("answer", [0, 4, None, "x"])
def test_an_answer_that_is_none_is_a_bug_check_and_keeps_nothing(bench, answer):
    """DDI IO_ALLOCATION_ACTION: KeepObject, DeallocateObject, DeallocateObjectKeepRegisters."""
    b = bench()
    with pytest.raises(BugCheck, match="no IO_ALLOCATION_ACTION"):
        channel(b, 1, answer)
    assert b.adapter.core.held_registers == b.adapter.core.books.channels.live == 0


def channel(b, count, answer=AllocationAction.KEEP_OBJECT, device=None):
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        return b.ops.AllocateAdapterChannel(b.adapter, device or wdm.DeviceObject(), count, lambda *a: answer, None)


def waits(b):
    return b.machine.verifier.of(Misuse.ENDLESS_WAIT)


def test_two_list_buffers_hold_what_a_third_request_needs(bench):
    """Two common buffers of a page each hold 2 of 3 registers; a list of 3 pages can never be made beside them."""
    b = bench(THREE)
    b.ok(100)
    b.ok(200)
    lists = []
    assert list_of(b, locked(b.machine, 3 * PAGE), lists) == NtStatus.SUCCESS
    assert lists == []
    (finding,) = waits(b)
    assert finding.rank is Rank.FINDING
    for words in (
        "for 3 map registers of adapter 1 of driver: 1 of the 3 of adapter 1 of driver remain",
        "1 by the common buffer of 100 bytes made at conftest.py:",
        "1 by the common buffer of 200 bytes made at",
        "the request at test_waits.py:",
    ):
        assert words in finding.detail
    assert finding.place.startswith("test_waits.py:")
    assert "CB-42" in finding.rule.clauses


def test_the_same_request_ends_once_a_buffer_is_freed_and_is_told_but_once(bench):
    b = bench(THREE)
    one, lists = b.ok(100), []
    list_of(b, locked(b.machine, 3 * PAGE), lists)
    assert len(waits(b)) == 1
    b.free(one)
    assert len(lists) == 1
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.PutScatterGatherList(b.adapter, lists[0], True)
    b.ops.PutDmaAdapter(b.adapter)
    assert len(waits(b)) == 1


def test_a_wait_that_lists_and_channels_can_end_is_not_accused(bench):
    b = bench(THREE)
    b.ok(100)
    lists = []
    list_of(b, locked(b.machine), lists)
    list_of(b, locked(b.machine), lists)
    assert (len(lists), waits(b)) == (1, [])
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.PutScatterGatherList(b.adapter, lists[0], True)
    assert (len(lists), waits(b)) == (2, [])


def test_registers_in_a_row_count_not_their_sum(bench):
    """One buffer in the middle of the pool leaves two short runs; registers of a request must be contiguous."""
    b = bench(replace(MAPREG, register_pool=5))
    hold = [b.ok(2 * PAGE), b.ok(PAGE)]
    b.free(hold[0])
    other = b.get(b.adapter.core.description)
    lists = []
    list_of(other, locked(b.machine, 3 * PAGE), lists)
    (finding,) = waits(b)
    assert "the pool has 5, no run of it is longer than 2 while common buffers live" in finding.detail
    b.free(hold[1])
    list_of(other, locked(b.machine), lists)
    assert len(lists) == 2


def test_more_than_the_pool_has_is_told_though_it_was_granted(bench):
    b = bench(THREE)
    b.adapter.core.granted = 5  # as of an adapter that several share, whose count only grows
    assert channel(b, 4) == NtStatus.SUCCESS
    assert "the pool has 3, no run of it is longer than 3" in waits(b)[0].detail
    assert "none is held" in waits(b)[0].detail


def test_where_no_registers_are_needed_nothing_is_accused(bench):
    b = bench(FLAT)
    channel(b, 1)
    channel(b, 1)
    assert waits(b) == []
    # ReactOS bounds no request of an adapter that needs none: 40 pages wait for the channel alone.
    b = bench(FLAT.with_profile("reactos"))
    channel(b, 1)
    assert channel(b, 40) == NtStatus.SUCCESS
    assert waits(b) == []


@pytest.mark.parametrize("end", ["put", "unload", "with"])
def test_a_wait_that_its_holder_never_ended_is_told_at_the_end(end):
    """Who kept the channel and never freed it is named when the adapter is put, the driver unloaded, or all is over."""
    machine = Machine(THREE)
    with machine:
        count = Out()
        description = replace(_A32, maximum_length=2 * PAGE)
        adapter = wdm.IoGetDmaAdapter(wdm.DeviceObject(), description, count)
        ops = adapter.DmaOperations
        with machine.at_irql(Irql.DISPATCH_LEVEL):
            for _ in range(2):
                ops.AllocateAdapterChannel(
                    adapter, wdm.DeviceObject(), 2, lambda *a: AllocationAction.KEEP_OBJECT, None
                )
        assert machine.verifier.findings == []
        if end == "put":
            ops.PutDmaAdapter(adapter)
        elif end == "unload":
            adapters.unload(machine)
    told = machine.verifier.of(Misuse.ENDLESS_WAIT)
    assert len(told) == 1
    assert told[0].rank is Rank.WARNING
    when = {"put": "as the adapter is put", "unload": "as driver is unloaded", "with": "as the machine's `with` ends"}
    assert told[0].detail.startswith(when[end])
    assert "the channel is held since test_waits.py:" in told[0].detail
    assert "2 by the request at test_waits.py:" in told[0].detail


_A32 = wdm.DEVICE_DESCRIPTION(version=2, master=True, scatter_gather=True, dma_32bit_addresses=True)


def fails_with_a_request_waiting(machine):
    with machine:
        adapter = wdm.IoGetDmaAdapter(wdm.DeviceObject(), replace(_A32, maximum_length=PAGE), Out())
        with machine, machine.at_irql(Irql.DISPATCH_LEVEL):
            for _ in range(2):
                adapter.DmaOperations.AllocateAdapterChannel(
                    adapter, wdm.DeviceObject(), 1, lambda *a: AllocationAction.KEEP_OBJECT, None
                )
        assert machine.verifier.findings == []
        raise KeyError


def test_a_driver_that_failed_and_an_inner_with_say_nothing_of_waits():
    machine = Machine(FLAT)
    with pytest.raises(KeyError):
        fails_with_a_request_waiting(machine)
    assert machine.verifier.of(Misuse.ENDLESS_WAIT) == []


def test_requests_of_an_adapter_that_was_put_leave_the_queue_of_a_shared_channel(bench, adapters):
    b = bench(ISA, "S1")
    other = b.get(adapters["S1"])
    ran = []
    channel(b, 1)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        for one in (other, b):
            one.ops.AllocateAdapterChannel(
                one.adapter, wdm.DeviceObject(), 1, lambda *a: (ran.append(a), KEPT)[1], None
            )
    other.ops.PutDmaAdapter(other.adapter)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.FreeAdapterChannel(b.adapter)
    assert len(ran) == 1


def test_a_framework_transaction_that_can_never_start_is_told():
    """Execute is a success and nothing ever comes: the finding says why."""
    machine = Machine(THREE)
    device = Device(machine)
    out = Out()
    config = kmdf.WDF_DMA_ENABLER_CONFIG(kmdf.WDF_DMA_PROFILE.SCATTER_GATHER, 2 * PAGE)
    assert kmdf.WdfDmaEnablerCreate(device, config, None, out) == 0
    for _ in range(2):
        assert kmdf.WdfCommonBufferCreate(out.taken, 64, None, Out()) == 0
    with machine:
        va = machine.allocate_pool(3 * PAGE)
        mdl = wdm.IoAllocateMdl(va + 100, 2 * PAGE, False, False)
        wdm.MmProbeAndLockPages(mdl)
        transaction = Out()
        kmdf.WdfDmaTransactionCreate(out.taken, None, transaction)
        ran = []
        kmdf.WdfDmaTransactionInitialize(
            transaction.taken, lambda *a: bool(ran.append(a)) or True, 1, mdl, va + 100, 2 * PAGE
        )
        assert kmdf.WdfDmaTransactionExecute(transaction.taken, None) == 0
    assert ran == []
    (finding,) = machine.verifier.of(Misuse.ENDLESS_WAIT)
    assert "1 by the common buffer of 64 bytes made at test_waits.py:" in finding.detail


def test_many_holders_are_counted_and_not_all_named(bench):
    b = bench(replace(MAPREG, register_pool=20))
    for _ in range(10):
        b.ok(100)
    channel(b, 12)
    detail = waits(b)[0].detail
    assert detail.count("common buffer of 100 bytes") == 6
    assert "4 holders more" in detail
