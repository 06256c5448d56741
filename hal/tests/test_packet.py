# SPDX-License-Identifier: Apache-2.0
"""Packet DMA: direct, bounced, through an IOMMU and through map registers; lists; transactions; misuse."""

from dataclasses import replace

import pytest

from nthal import kmdf, wdm
from nthal.framework import Device
from nthal.platforms import ARM0, BIG, FLAT, IOMMU, ISA, MAPREG, OFFSET
from nthal.types import Out, span_pages
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import AllocationAction, Irql

KEEP = AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS
PATTERN = bytes(i % 253 for i in range(10_000))


class Packet:
    """A locked user buffer and a bus-master driver's calls on it."""

    def __init__(self, bench, platform=FLAT, adapter="A32", *, length=10_000, frame=None, offset=0, **changes):
        self.b = bench(platform, adapter, **changes)
        self.machine, self.ops, self.adapter = self.b.machine, self.b.ops, self.b.adapter
        self.pool = self.machine.allocate_pool(length + offset, frame=frame)
        self.va, self.length = self.pool + offset, length
        self.mdl = wdm.IoAllocateMdl(self.va, length, False, False)
        wdm.MmProbeAndLockPages(self.mdl)
        self.device = wdm.DeviceObject()
        self.base = None

    def channel(self, count=None, answer=KEEP):
        def control(device, irp, base, context):
            self.base = base
            return answer

        pages = span_pages(self.va, self.length) if count is None else count
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            return self.ops.AllocateAdapterChannel(self.adapter, self.device, pages, control, None)

    def map_all(self, *, to_device):
        pieces, done = [], 0
        while done < self.length:
            size = Out(self.length - done)
            la = self.ops.MapTransfer(self.adapter, self.mdl, self.base, self.va + done, size, to_device)
            pieces.append((la, size.taken))
            done += size.taken
        return pieces

    def flush(self, *, to_device, va=None, length=None):
        return self.ops.FlushAdapterBuffers(
            self.adapter, self.mdl, self.base, va or self.va, self.length if length is None else length, to_device
        )

    def free_registers(self):
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            self.ops.FreeMapRegisters(self.adapter, self.base, self.base.count)

    def device_read(self, pieces):
        return b"".join(self.machine.device_read(la, size, self.adapter.core) for la, size in pieces)

    def device_write(self, pieces, data):
        done = 0
        for la, size in pieces:
            self.machine.device_write(la, data[done : done + size], self.adapter.core)
            done += size


CASES = {
    "direct": {"platform": FLAT, "offset": 100},
    "bounced": {"platform": BIG, "frame": 0x100000, "offset": 100},
    "bounced-whole": {"platform": BIG, "adapter": "AP", "frame": 0x100000},
    "isa-master": {"platform": ISA, "adapter": "A24", "frame": 0x2000},
    "iommu": {"platform": IOMMU, "offset": 3},
    "registers": {"platform": MAPREG, "offset": 4095},
    "offset": {"platform": OFFSET},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_write_reaches_the_device_and_the_books_balance(bench, case):
    p = Packet(bench, **case)
    before = p.b.books()[:11]
    p.machine.cpu_write(p.va, PATTERN)
    p.channel()
    pieces = p.map_all(to_device=True)
    assert p.device_read(pieces) == PATTERN
    assert p.flush(to_device=True)
    p.free_registers()
    assert p.b.books()[:11] == before
    assert not p.machine.verifier.findings


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_read_arrives_with_the_flush(bench, case):
    p = Packet(bench, **case)
    p.channel()
    pieces = p.map_all(to_device=False)
    p.device_write(pieces, PATTERN)
    bounced = p.machine.cpu_read(p.va, p.length) != PATTERN
    assert bounced == (case["platform"] in (BIG, ISA))
    p.flush(to_device=False)
    assert p.machine.cpu_read(p.va, p.length) == PATTERN
    with pytest.raises(DmaViolation):
        p.device_read(pieces)


def test_a_device_that_reads_before_keflushiobuffers_gets_stale_bytes(bench):
    p = Packet(bench, ARM0)
    p.machine.cpu_write(p.va, PATTERN)
    p.channel()
    pieces = p.map_all(to_device=True)
    assert p.device_read(pieces) == b"\xa5" * 10_000
    wdm.KeFlushIoBuffers(p.mdl, False, True)
    assert p.device_read(pieces) == PATTERN


def mapped(bench, platform=FLAT, **how):
    p = Packet(bench, platform.verified(), **how)
    p.channel()
    p.map_all(to_device=True)
    return p


def code_of(call):
    with pytest.raises(DmaViolation) as caught:
        call()
    return caught.value.code


def test_misuse_of_a_mapping_has_its_codes(bench):
    p = mapped(bench)
    assert code_of(lambda: p.map_all(to_device=True)) == 0x1D
    assert code_of(p.free_registers) == 0x10
    assert code_of(lambda: p.flush(to_device=False)) == 0x16
    assert code_of(lambda: p.flush(to_device=True, length=p.length + 1)) == 0x00
    p.flush(to_device=True)
    assert code_of(lambda: p.flush(to_device=True)) == 0x16


def test_misuse_of_the_range_has_its_codes(bench):
    p = Packet(bench, FLAT.verified())
    p.channel()
    assert code_of(lambda: p.flush(to_device=True)) == 0x20

    def map_at(offset, length):
        return lambda: p.ops.MapTransfer(p.adapter, p.mdl, p.base, p.va + offset, Out(length), True)

    assert code_of(map_at(10_000, 1)) == 0x1B
    assert code_of(map_at(1, 10_000)) == 0x24
    assert code_of(map_at(0, 0)) == 0x21
    wdm.MmUnlockPages(p.mdl)
    assert code_of(map_at(0, 1)) == 0x0E
    with p.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert code_of(lambda: p.ops.FreeMapRegisters(p.adapter, p.base, 99)) == 0x05


def test_put_with_channel_registers_or_lists_out_has_its_codes(bench):
    kept = Packet(bench, FLAT.verified())
    kept.channel(answer=AllocationAction.KEEP_OBJECT)
    assert code_of(lambda: kept.ops.PutDmaAdapter(kept.adapter)) == 0x08
    held = Packet(bench, FLAT.verified())
    held.channel()
    assert code_of(lambda: held.ops.PutDmaAdapter(held.adapter)) == 0x09
    report = Packet(bench, FLAT.verified(stop=False))
    report.channel(answer=AllocationAction.KEEP_OBJECT)
    report.ops.PutDmaAdapter(report.adapter)
    assert [finding.code for finding in report.machine.verifier.findings] == [0x08, 0x09]


def test_a_second_channel_of_one_adapter_is_code_b(bench):
    p = Packet(bench, FLAT.verified())
    p.channel(answer=AllocationAction.KEEP_OBJECT)
    assert code_of(lambda: p.channel()) == 0x0B


def test_a_channel_waits_for_registers_that_a_common_buffer_holds(bench):
    p = Packet(bench, MAPREG, length=4096)
    buffer = p.b.ok(16 * 4096)
    assert p.channel(2) == 0
    assert p.base is None
    p.b.free(buffer)
    assert p.base is not None


def test_pageable_memory_is_no_nonpaged_mdl(bench):
    b = bench()
    va = b.machine.allocate_pool(4096, pageable=True)
    mdl = wdm.IoAllocateMdl(va, 4096, False, False)
    with pytest.raises(DmaViolation) as caught:
        wdm.MmBuildMdlForNonPagedPool(mdl)
    assert caught.value.misuse is Misuse.NOT_LOCKED
    assert wdm.IoAllocateMdl(va, 1 << 33, False, False) is None
    assert wdm.IoAllocateMdl(va, 2, False, False).size == 0x30 + 8


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_scatter_gather_list_describes_the_whole_buffer(bench, case):
    p = Packet(bench, **case)
    p.machine.cpu_write(p.va, PATTERN)
    lists = []
    with p.machine.at_irql(Irql.DISPATCH_LEVEL):
        status = p.ops.GetScatterGatherList(
            p.adapter, p.device, p.mdl, p.va, p.length, lambda d, i, made, c: lists.append(made), None, True
        )
        assert status == 0
        assert p.device_read([(e.address, e.length) for e in lists[0].elements]) == PATTERN
        out = Out()
        assert p.ops.BuildMdlFromScatterGatherList(p.adapter, lists[0], out) == 0
        assert p.ops.BuildMdlFromScatterGatherList(p.adapter, lists[0], out) == 0xC0000073
        p.ops.PutScatterGatherList(p.adapter, lists[0], True)
        with pytest.raises(DmaViolation) as caught:
            p.ops.PutScatterGatherList(p.adapter, lists[0], True)
    assert caught.value.misuse is Misuse.LIST_OVERFREED
    assert p.adapter.core.books.lists.live == 0
    assert p.adapter.core.books.registers.live == 0


def test_a_list_needs_room_registers_and_a_long_enough_mdl(bench):
    p = Packet(bench)
    size, registers = Out(), Out()
    assert p.ops.CalculateScatterGatherList(p.adapter, p.mdl, p.va, p.length, size, registers) == 0
    assert (size.taken, registers.taken) == (16 + 24 * 3, 3)

    def build(room, length=p.length):
        with p.machine.at_irql(Irql.DISPATCH_LEVEL):
            return p.ops.BuildScatterGatherList(
                p.adapter, p.device, p.mdl, p.va, length, lambda *a: None, None, True, room
            )

    assert build(size.taken - 1) == 0xC0000023
    assert build(1 << 20, 10_001) == 0xC0000023
    assert build(size.taken) == 0
    poor = Packet(bench, replace(FLAT, register_cap=2))
    with poor.machine.at_irql(Irql.DISPATCH_LEVEL):
        status = poor.ops.GetScatterGatherList(
            poor.adapter, poor.device, poor.mdl, poor.va, poor.length, lambda *a: None, None, True
        )
    assert status == 0xC000009A


# --- transactions --------------------------------------------------------------------------------------------------


class Transfer:
    """A transaction over a locked buffer; the device moves each piece as soon as it is programmed."""

    def __init__(self, bench, *, maximum=8192, elements=None, length=10_000, profile=None, run=True):
        self.p = Packet(bench, length=length)
        self.device = Device(self.p.machine)
        enabler = Out()
        profile = profile or kmdf.WDF_DMA_PROFILE.SCATTER_GATHER_64_DUPLEX
        config = kmdf.WDF_DMA_ENABLER_CONFIG(profile, maximum)
        assert kmdf.WdfDmaEnablerCreate(self.device, config, None, enabler) == 0
        self.enabler = enabler.taken
        if elements:
            kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(self.enabler, elements)
            assert kmdf.WdfDmaEnablerGetMaximumScatterGatherElements(self.enabler) == elements
        handle = Out()
        assert kmdf.WdfDmaTransactionCreate(self.enabler, None, handle) == 0
        self.transaction = handle.taken
        self.got, self.sizes, self.status = bytearray(), [], Out()
        self.initialize()
        if run:
            self.p.machine.cpu_write(self.p.va, PATTERN[:length])
            assert kmdf.WdfDmaTransactionExecute(self.transaction, "context") == 0

    def initialize(self):
        return kmdf.WdfDmaTransactionInitialize(
            self.transaction,
            self.program,
            kmdf.WDF_DMA_DIRECTION.WRITE_TO_DEVICE,
            self.p.mdl,
            self.p.va,
            self.p.length,
        )

    def program(self, transaction, device, context, direction, made):
        assert context == "context"
        self.sizes.append(sum(element.length for element in made.elements))
        self.got += b"".join(self.p.machine.device_read(e.address, e.length) for e in made.elements)
        return True


def test_a_transaction_moves_everything_piece_by_piece(bench):
    t = Transfer(bench)
    assert not kmdf.WdfDmaTransactionDmaCompleted(t.transaction, t.status)
    assert t.status.taken == 0xC0000016
    assert kmdf.WdfDmaTransactionDmaCompleted(t.transaction, t.status)
    assert t.status.taken == 0
    assert bytes(t.got) == PATTERN
    assert t.sizes == [8192, 1808]
    assert kmdf.WdfDmaTransactionRelease(t.transaction) == 0
    assert t.initialize() == 0


def test_zero_bytes_repeat_a_piece_and_a_final_length_ends_it(bench):
    t = Transfer(bench)
    kmdf.WdfDmaTransactionDmaCompletedWithLength(t.transaction, 0, t.status)
    assert t.sizes == [8192, 8192]
    assert kmdf.WdfDmaTransactionDmaCompletedFinal(t.transaction, 100, t.status)
    assert t.transaction.transferred == 100
    kmdf.WdfObjectDelete(t.enabler)
    assert t.enabler.read_adapter.gone


def test_a_transaction_in_the_wrong_state_is_a_bug_check(bench):
    t = Transfer(bench, run=False)
    with pytest.raises(BugCheck):
        t.initialize()
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionDmaCompleted(t.transaction, t.status)
    assert kmdf.WdfDmaTransactionExecute(t.transaction, "context") == 0
    with pytest.raises(BugCheck):
        kmdf.WdfDmaTransactionExecute(t.transaction, None)


# --- lists that wait (CB-42) -----------------------------------------------------------------------------------------


def test_cb42_a_list_waits_for_registers_and_comes_when_they_are_free(bench):
    packet = Packet(bench, MAPREG, length=8192, maximum_length=3 * 4096)
    b, made = packet.b, []
    held = b.ok(2 * 4096)
    core = b.adapter.core
    assert (core.granted, core.held_registers) == (4, 2)

    def ask(note):
        return packet.ops.GetScatterGatherList(
            packet.adapter, packet.device, packet.mdl, packet.va, 8192, lambda *a: made.append((note, a[2])), None, True
        )

    with packet.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert ask("first") == 0
        assert ask("second") == 0, "success means that it will be called"
    assert [note for note, _ in made] == ["first"]
    b.free(held)
    assert [note for note, _ in made] == ["first", "second"], "freeing a common buffer frees registers too"
    with packet.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert ask("third") == 0
        packet.ops.PutScatterGatherList(packet.adapter, made[0][1], True)
        assert [note for note, _ in made] == ["first", "second", "third"]
        for _, one in made[1:]:
            packet.ops.PutScatterGatherList(packet.adapter, one, True)
    assert core.held_registers == 0
    assert not core.files


def test_a_list_waits_behind_a_channel_that_another_holds(bench):
    packet = Packet(bench, FLAT, length=4096)
    made = []
    packet.channel(answer=AllocationAction.KEEP_OBJECT)
    with packet.machine.at_irql(Irql.DISPATCH_LEVEL):
        packet.ops.GetScatterGatherList(
            packet.adapter, packet.device, packet.mdl, packet.va, 4096, lambda *a: made.append(a[2]), None, True
        )
        assert not made
        packet.ops.FreeAdapterChannel(packet.adapter)
        assert len(made) == 1
        packet.ops.PutScatterGatherList(packet.adapter, made[0], True)


def test_a_list_that_cannot_be_mapped_is_refused_and_holds_nothing(bench):
    packet = Packet(bench, BIG.with_free((0x1_0000_0000, 0x1_0000_FFFF)), length=4096)
    with packet.machine.at_irql(Irql.DISPATCH_LEVEL):
        status = packet.ops.GetScatterGatherList(
            packet.adapter, packet.device, packet.mdl, packet.va, 4096, lambda *a: None, None, True
        )
    assert status == 0xC000009A
    core = packet.adapter.core
    assert (core.held_registers, core.lists, core.files) == (0, [], [])


@pytest.mark.parametrize(
    ("offset", "length", "grain", "kind"), [(-1, 8, 1, 1), (4096, 8, 1, 2), (2, 8, 4, 4), (0, 6, 4, 5)]
)
@pytest.mark.parametrize("stop", [True, False], ids=["stop", "report"])
def test_a_list_of_an_invalid_buffer_is_code_1f(bench, offset, length, grain, kind, stop):
    packet = Packet(bench, replace(FLAT, hal_alignment=grain).verified(stop=stop), length=4096)
    with packet.machine.at_irql(Irql.DISPATCH_LEVEL):
        ask = (packet.adapter, packet.device, packet.mdl, packet.va + offset, length, lambda *a: None, None, True)
        if stop:
            with pytest.raises(DmaViolation):
                packet.ops.GetScatterGatherList(*ask)
        else:
            assert packet.ops.GetScatterGatherList(*ask) == 0xC000000D
    finding = packet.machine.verifier.findings[0]
    assert (finding.code, finding.parameters) == (0x1F, (kind,))
