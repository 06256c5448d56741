# SPDX-License-Identifier: Apache-2.0
"""Arguments that no driver could pass, and objects of another machine, are refused with words and without a leak.

Source: the rows "Length 10.5, another machine's adapter, out parameter None are refused without a leak"; CB-70, a call
that fails holds nothing; CB-35, addresses of another kind are refused.
"""

from dataclasses import replace

import pytest

from nthal import kmdf, nt, wdm
from nthal.arguments import ForeignObject, WrongArgument, checked
from nthal.operations.adapter import ForeignAdapter
from nthal.platforms import FLAT, MAPREG
from nthal.types import AddressKindError, La, Out, Pa, Va
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import Caching, DeviceDescription, Irql, NtStatus, WindowsVersion

KEEP = lambda *_: 1  # noqa: E731


def locked(b, length=4096):
    va = b.machine.allocate_pool(length)
    mdl = wdm.IoAllocateMdl(va, length, False, False)
    wdm.MmProbeAndLockPages(mdl)
    return mdl


def calls(b, mdl):
    """Calls of the table with one wrong argument each, and what the refusal must say."""
    ops, a, device, va = b.ops, b.adapter, wdm.DeviceObject(), mdl.va
    return [
        (lambda: ops.AllocateCommonBuffer(a, 10.5, Out(), True), "Length is 10.5 where a whole number is due"),
        (lambda: ops.AllocateCommonBuffer(a, "4096", Out(), True), "Length is '4096'"),
        (lambda: ops.AllocateCommonBuffer(a, 4096, None, True), r"LogicalAddress is NULL where an Out\(\)"),
        (lambda: ops.AllocateCommonBuffer(a, 4096, LogicalAddress=None, CacheEnabled=True), "LogicalAddress is NULL"),
        (lambda: ops.AllocateCommonBuffer(a, 4096, La(0), True), "LogicalAddress is La"),
        (lambda: ops.AllocateCommonBuffer(a, 4096, Out(), None), "CacheEnabled is NULL"),
        (lambda: ops.AllocateCommonBuffer("adapter", 4096, Out(), True), "DmaAdapter is 'adapter' where an object DMA"),
        (lambda: ops.AllocateCommonBuffer(a.core, 4096, Out(), True), "DmaAdapter is adapter 1 of driver"),
        (lambda: ops.AllocateAdapterChannel(a, None, 1, KEEP, None), "DeviceObject is NULL"),
        (lambda: ops.AllocateAdapterChannel(a, device, 1.0, KEEP, None), "NumberOfMapRegisters is 1.0"),
        (lambda: ops.AllocateAdapterChannel(a, device, 1, None, None), "ExecutionRoutine is NULL where a routine"),
        (lambda: ops.MapTransfer(a, None, None, va, Out(1), True), "Mdl is NULL where an object Mdl is due"),
        (lambda: ops.MapTransfer(a, mdl, None, va, None, True), "Length is NULL"),
        (lambda: ops.MapTransfer(a, mdl, None, va, Out(10.5), True), "whole number, not of 10.5"),
        (lambda: ops.MapTransfer(a, mdl, 7, va, Out(1), True), "MapRegisterBase is 7"),
        (lambda: ops.MapTransfer(a, mdl, None, 4096, Out(1), True), "CurrentVa is 4096 where an object Va"),
        (lambda: ops.FlushAdapterBuffers(a, mdl, None, va, 0.5, True), "Length is 0.5"),
        (lambda: ops.FreeMapRegisters(a, mdl, 1), "MapRegisterBase is Mdl"),
        (lambda: ops.GetScatterGatherList(a, device, mdl, va, 10.5, KEEP, None, True), "Length is 10.5"),
        (lambda: ops.PutScatterGatherList(a, mdl, True), "ScatterGather is Mdl"),
        (lambda: ops.CalculateScatterGatherList(a, mdl, va, 1, None, None), "ScatterGatherListSize is NULL"),
        (lambda: ops.FreeCommonBuffer(a, 10.5, La(0), va, True), "Length is 10.5"),
        (lambda: ops.InitializeDmaTransferContext(a, None), "DmaTransferContext is NULL"),
        (lambda: wdm.IoAllocateMdl(va, 10.5, False, False), "IoAllocateMdl: Length is 10.5"),
        (lambda: wdm.IoAllocateMdl(None, 10, False, False), "VirtualAddress is NULL"),
        (lambda: wdm.MmGetMdlByteCount(None), "Mdl"),
        (lambda: wdm.KeFlushIoBuffers(None, True, True), "Mdl is NULL"),
        (lambda: wdm.IoGetDmaAdapter(device, a.core.description, None), "NumberOfMapRegisters is NULL"),
        (lambda: wdm.IoGetDmaAdapter(device, None, Out()), "DeviceDescription is NULL"),
        (lambda: wdm.IoGetDmaAdapter(5, a.core.description, Out()), "PhysicalDeviceObject is 5"),
        (
            lambda: wdm.IoGetDmaAdapter(device, replace(a.core.description, maximum_length=10.5), Out()),
            "DeviceDescription.maximum_length is 10.5",
        ),
        (
            lambda: wdm.IoGetDmaAdapter(device, replace(a.core.description, interface_type=None), Out()),
            "DeviceDescription.interface_type is NULL",
        ),
        (lambda: nt.HalGetAdapter(DeviceDescription(), None), "NumberOfMapRegisters is NULL"),
        (lambda: nt.HalAllocateCommonBuffer(a.core, 10.5, Out(), True), "Length is 10.5"),
        (lambda: nt.HalAllocateCommonBuffer(a, 10, Out(), True), "AdapterObject is DMA_ADAPTER"),
        (lambda: nt.HalAllocateCommonBuffer(a.core, 10, None, True), "LogicalAddress is NULL"),
        (lambda: nt.IoMapTransfer(a.core, mdl, None, va, None, True), "Length is NULL"),
        (lambda: nt.IoFreeMapRegisters(a.core, None, None), "NumberOfMapRegisters is NULL"),
    ]


@pytest.mark.parametrize("number", range(38))
def test_a_wrong_argument_is_named_and_takes_nothing(bench, number):
    b = bench(FLAT, "A32v3")
    mdl = locked(b)
    wrong = calls(b, mdl)
    assert len(wrong) == 38
    call, words = wrong[number]
    before = b.books(), len(b.machine.adapters), list(b.machine.events)
    with b.machine.at_irql(Irql.PASSIVE_LEVEL), pytest.raises(TypeError, match=words) as caught:
        call()
    assert isinstance(caught.value, WrongArgument | AddressKindError)
    assert (b.books(), len(b.machine.adapters)) == before[:2]
    assert b.machine.verifier.findings == []


def test_an_address_of_another_kind_keeps_its_own_error(bench):
    b = bench()
    for wrong in (Pa(4096), Va(4096)):
        with pytest.raises(AddressKindError, match="LogicalAddress is"):
            b.ops.FreeCommonBuffer(b.adapter, 1, wrong, Va(4096), True)


def test_numbers_stand_for_booleans_and_enumerations_as_in_c(bench):
    b = bench(FLAT, "A32v3")
    out = Out()
    va = b.ops.AllocateCommonBuffer(b.adapter, 4096, out, 1)
    b.ops.FreeCommonBuffer(b.adapter, 4096, out.taken, va, 1)
    assert b.get(replace(b.adapter.core.description, interface_type=5)).registers == 17


def test_what_the_table_lacks_is_told_before_its_arguments_are_looked_at(bench):
    b = bench(replace(FLAT, windows=WindowsVersion.WINDOWS_8), "A32")
    with pytest.raises(DmaViolation, match="AllocateCommonBufferVector"):
        b.ops.AllocateCommonBufferVector(None, None, None, None, None, None, None, None, None)


def foreign_uses(b, other, theirs):
    """Calls on machine `b` with something of machine `other`."""
    mdl, base, made, buffer = theirs
    ops, device, context = b.ops, wdm.DeviceObject(), wdm.DMA_TRANSFER_CONTEXT()
    other.ops.InitializeDmaTransferContext(other.adapter, context)
    return {
        "adapter": lambda: ops.AllocateCommonBuffer(other.adapter, 4096, Out(), True),
        "adapter of a free": lambda: ops.FreeCommonBuffer(other.adapter, 4096, buffer.la, buffer.va, True),
        "adapter of a channel": lambda: ops.AllocateAdapterChannel(other.adapter, device, 1, KEEP, None),
        "mdl": lambda: ops.MapTransfer(b.adapter, mdl, None, mdl.va, Out(1), True),
        "mdl of a flush": lambda: ops.FlushAdapterBuffers(b.adapter, mdl, None, mdl.va, 1, True),
        "mdl of a list": lambda: ops.GetScatterGatherList(b.adapter, device, mdl, mdl.va, 1, KEEP, None, True),
        "mdl to measure": lambda: ops.CalculateScatterGatherList(b.adapter, mdl, mdl.va, 1, Out(), None),
        "mdl to lock": lambda: wdm.MmProbeAndLockPages(mdl),
        "mdl to unlock": lambda: wdm.MmUnlockPages(mdl),
        "mdl to build": lambda: wdm.MmBuildMdlForNonPagedPool(mdl),
        "mdl to flush": lambda: wdm.KeFlushIoBuffers(mdl, True, True),
        "registers": lambda: ops.FreeMapRegisters(b.adapter, base, 1),
        "registers to map": lambda: ops.MapTransferEx(
            b.adapter, locked(b), base, 0, 0, Out(1), True, Out(), 100, None, None
        ),
        "list": lambda: ops.PutScatterGatherList(b.adapter, made, True),
        "list for an mdl": lambda: ops.BuildMdlFromScatterGatherList(b.adapter, made, Out()),
        "context": lambda: ops.InitializeDmaTransferContext(b.adapter, context),
        "adapter of a request": lambda: wdm.IoCompleteRequest(other.adapter),
    }


USES = [
    "adapter",
    "adapter of a channel",
    "adapter of a free",
    "adapter of a request",
    "context",
    "list",
    "list for an mdl",
    "mdl",
    "mdl of a flush",
    "mdl of a list",
    "mdl to build",
    "mdl to flush",
    "mdl to lock",
    "mdl to measure",
    "mdl to unlock",
    "registers",
    "registers to map",
]


@pytest.mark.parametrize("use", USES)
def test_what_another_machine_made_is_refused_and_nothing_leaks(bench, use):
    other = bench(MAPREG, "A32v3")
    mdl, bases, lists, buffer = locked(other), [], [], other.ok(4096)
    with other.machine.at_irql(Irql.DISPATCH_LEVEL):
        other.ops.AllocateAdapterChannel(
            other.adapter, wdm.DeviceObject(), 1, lambda *a: (bases.append(a[2]), 3)[1], None
        )
        other.ops.GetScatterGatherList(
            other.adapter, wdm.DeviceObject(), mdl, mdl.va, 4096, lambda *a: lists.append(a[2]), None, True
        )
    b = bench(MAPREG, "A32v3")
    b.ok(100)
    uses = foreign_uses(b, other, (mdl, bases[0], lists[0], buffer))
    assert sorted(uses) == USES
    call = uses[use]
    before = b.books(), other.books()
    irql = Irql.DISPATCH_LEVEL if use != "registers to map" else Irql.PASSIVE_LEVEL
    with b.machine.at_irql(irql), pytest.raises(ForeignObject, match="belongs to another machine") as caught:
        call()
    assert isinstance(caught.value, ForeignAdapter) is use.startswith("adapter")
    if use != "registers to map":  # which locked a buffer of its own
        assert (b.books(), other.books()) == before
    assert b.machine.verifier.findings == []


def test_a_null_list_is_the_drivers_mistake(bench):
    b = bench()
    with pytest.raises(DmaViolation) as caught, b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.PutScatterGatherList(b.adapter, None, True)
    assert caught.value.misuse is Misuse.NULL_USED


def test_lengths_below_zero_are_refused(bench):
    b = bench()
    mdl, out = locked(b), Out()
    assert wdm.IoAllocateMdl(mdl.va, -1, False, False) is None
    with pytest.raises(DmaViolation) as caught:
        b.ops.MapTransfer(b.adapter, mdl, None, mdl.va, Out(-5), True)
    assert caught.value.misuse is Misuse.ZERO_MAP
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), -1, KEEP, None) == 0xC000000D
    assert b.ops.CalculateScatterGatherList(b.adapter, None, None, -1, out, None) == 0xC000000D
    assert out.value is None


def test_a_vector_of_another_machine_is_refused(bench):
    b = bench(FLAT, "A64v3")
    out = Out()
    b.ops.AllocateCommonBufferVector(b.adapter, None, None, None, 0, 0, 2, 4096, out)
    other = bench(FLAT, "A64v3")
    for call in (
        lambda: other.ops.GetCommonBufferFromVectorByIndex(other.adapter, out.taken, 0, Out(), Out()),
        lambda: other.ops.FreeCommonBufferFromVector(other.adapter, out.taken, 0),
        lambda: other.ops.FreeCommonBufferVector(other.adapter, out.taken),
    ):
        with pytest.raises(ForeignObject):
            call()
    assert out.taken.live == 2


def test_a_callback_that_fails_keeps_neither_channel_nor_registers(bench):
    """A request whose AdapterControl raises is over; the next one is served."""
    b = bench(MAPREG)

    def fails(*_):
        raise KeyError("the driver's own mistake")

    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        with pytest.raises(KeyError):
            b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 4, fails, None)
        assert (b.adapter.core.held_registers, b.adapter.core.books.channels.live) == (0, 0)
        ran = []
        b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 4, lambda *a: (ran.append(a), 2)[1], None)
    assert len(ran) == 1


def test_checked_goes_by_the_annotations_alone():
    @checked
    def routine(a: int, b: "Out[La]", c: int | None = None, d: object = None) -> int:
        return a

    assert routine(1, Out(), d="anything") == 1
    for wrong in ((1.5, Out()), (1, None), (1, Out(), "x")):
        with pytest.raises(WrongArgument, match="routine: "):
            routine(*wrong)


def test_lengths_below_zero_and_masks_that_are_none_are_refused(bench):
    b = bench()
    buffer = b.ok(64)
    device = kmdf.WDFDEVICE(b.machine)
    for call in (
        lambda: b.machine.cpu_view(buffer.va, -1),
        lambda: b.machine.cpu_read(buffer.va, -1),
        lambda: b.machine.allocate_pool(-1),
        lambda: wdm.MmAllocateContiguousMemory(-1, Pa(1 << 31)),
        lambda: wdm.MmAllocateContiguousMemory(10.5, Pa(1 << 31)),
        lambda: kmdf.WdfDeviceSetAlignmentRequirement(device, -1),
    ):
        with pytest.raises(WrongArgument, match="a whole number"):
            call()


def test_a_vector_that_no_memory_holds_is_refused_before_it_is_begun(bench):
    b = bench(adapter="A64v3")
    made = Out()
    status = b.ops.AllocateCommonBufferVector(b.adapter, None, None, Caching.CACHED, 0, 0, 0xFFFFFFFF, 64, made)
    assert status == NtStatus.INSUFFICIENT_RESOURCES
    assert len(b.machine.events) < 10
