# SPDX-License-Identifier: Apache-2.0
"""The 8237 behind its ports: flip-flop, modes, masks, status, wrap inside 64 KiB, and the NT routines that drive it."""

import pytest

from nthal import nt, scenarios, wdm
from nthal.platforms import FLAT, FULL, ISA
from nthal.types import Out
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import AllocationAction, Irql


@pytest.fixture
def dma(bench):
    return bench(ISA, "S1").machine.dma


def test_the_flip_flop_orders_low_before_high(dma):
    for value in (0x34, 0x12):
        dma.out(0x02, value)
    dma.out(0x0C, 0)
    assert [dma.inp(0x02), dma.inp(0x02)] == [0x34, 0x12]


def test_masks_requests_and_clear(dma):
    dma.out(0x0E, 0)
    assert not any(dma.channel(n).masked for n in range(4))
    dma.out(0x0F, 0b0101)
    assert [dma.channel(n).masked for n in range(4)] == [True, False, True, False]
    dma.out(0x09, 4 | 3)
    assert dma.inp(0x08) == 0x80
    dma.out(0x08, 0x04)
    assert dma.controllers[0].command == 4
    dma.out(0x0D, 0)
    assert all(dma.channel(n).masked for n in range(4))
    assert dma.inp(0x08) == 0


def test_page_registers_read_back_and_strange_ports_are_nobodys(dma):
    dma.out(0x83, 0x5A)
    assert dma.inp(0x83) == 0x5A
    dma.out(0x70, 1)
    assert dma.inp(0x70) == 0xFF
    assert dma.inp(0x0D) == 0xFF
    dma.out(0xD4, 1)
    assert not dma.channel(5).masked
    assert dma.inp(0xC2) in range(256)


def test_an_address_wraps_inside_its_64_kib_page(bench):
    b = bench(ISA.with_free((0x110000, 0x11FFFF)), "S1")
    buffer = b.ok(65536)
    channel = b.machine.dma.channel(1)
    channel.page, channel.address, channel.count, channel.mode, channel.masked = 0x11, 0xFFFF, 1, 0x45, False
    b.machine.dma.device_moves(1, 2, b"ab")
    assert b.machine.cpu_read(buffer.va + 0xFFFF, 1) == b"a"
    assert b.machine.cpu_read(buffer.va, 1) == b"b"


def test_a_decrementing_word_channel_takes_a16_from_the_controller(bench):
    b = bench(ISA.with_free((0x120000, 0x12FFFF)), "S5")
    buffer = b.ok(8)
    channel = b.machine.dma.channel(5)
    channel.page, channel.address, channel.count, channel.mode, channel.masked = 0x12, 3, 3, 0x20 | 0x45, False
    b.machine.dma.device_moves(5, 8, b"abcdefgh")
    assert b.machine.cpu_read(buffer.va, 8) == b"ghefcdab"
    assert channel.masked


def test_a_masked_channel_moves_nothing(dma):
    assert dma.device_moves(1, 10) == b""


class NtFlow:
    def __init__(self, bench, adapters, platform=ISA, length=4096):
        self.b = bench(platform)
        self.adapter = nt.HalGetAdapter(adapters["S1" if platform is ISA else "A32"], Out())
        la = Out()
        self.va = nt.HalAllocateCommonBuffer(self.adapter, length, la, False)
        self.la, self.length = la.taken, length
        self.mdl = wdm.IoAllocateMdl(self.va, length, False, False)
        wdm.MmBuildMdlForNonPagedPool(self.mdl)
        self.base = None

    def start(self, answer):
        def control(device, irp, base, context):
            self.base = base
            return answer

        with self.b.machine.at_irql(Irql.DISPATCH_LEVEL):
            return nt.IoAllocateAdapterChannel(self.adapter, wdm.DeviceObject(), 1, control, None)


def test_the_nt_routines_run_a_whole_transfer(bench, adapters):
    flow = NtFlow(bench, adapters)
    before = flow.b.machine.frames.used
    assert flow.start(AllocationAction.KEEP_OBJECT) == 0
    size = Out(4096)
    assert nt.IoMapTransfer(flow.adapter, flow.mdl, flow.base, flow.va, size, False) == flow.la
    flow.b.machine.dma.device_moves(1, 16, bytes(range(16)))
    assert nt.HalReadDmaCounter(flow.adapter) == 4080
    assert nt.IoFlushAdapterBuffers(flow.adapter, flow.mdl, flow.base, flow.va, 4096, False)
    with flow.b.machine.at_irql(Irql.DISPATCH_LEVEL):
        nt.IoFreeAdapterChannel(flow.adapter)
    assert flow.b.machine.cpu_read(flow.va, 16) == bytes(range(16))
    assert nt.HalFlushCommonBuffer(flow.adapter, 4096, flow.la, flow.va)
    nt.HalFreeCommonBuffer(flow.adapter, 4096, flow.la, flow.va, False)
    assert flow.b.machine.frames.used == before - 1
    assert int(nt.PAGE_ALIGN(flow.va + 5)) == int(flow.va)


def test_nt_masters_keep_registers_and_give_them_back(bench, adapters):
    flow = NtFlow(bench, adapters, FLAT)
    assert flow.start(AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS) == 0
    assert nt.IoMapTransfer(flow.adapter, flow.mdl, flow.base, flow.va, Out(4096), True) == flow.la
    nt.IoFlushAdapterBuffers(flow.adapter, flow.mdl, flow.base, flow.va, 4096, True)
    with flow.b.machine.at_irql(Irql.DISPATCH_LEVEL):
        nt.IoFreeMapRegisters(flow.adapter, flow.base, 1)
    assert flow.adapter.books.registers.live == 0


def test_an_odd_length_on_a_word_channel_is_refused(bench):
    b = bench(ISA, "S5", maximum_length=1 << 20)
    buffer = b.ok(4096)
    mdl = wdm.IoAllocateMdl(buffer.va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    size = Out(4095)
    with pytest.raises(DmaViolation) as caught:
        b.ops.MapTransfer(b.adapter, mdl, None, buffer.va, size, True)
    assert caught.value.misuse is Misuse.BAD_CHANNEL


def test_a_callback_may_not_ask_again(bench):
    b = bench()

    def control(device, irp, base, context):
        b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 1, control, None)
        return AllocationAction.DEALLOCATE_OBJECT

    with b.machine.at_irql(Irql.DISPATCH_LEVEL), pytest.raises(DmaViolation) as caught:
        b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 1, control, None)
    assert caught.value.misuse is Misuse.NOT_IN_CALLBACK


def test_every_packet_routine_refuses_a_null_adapter_and_a_wrong_irql_in_report_mode(bench):
    b = bench(FLAT.verified(stop=False))
    buffer = b.ok(4096)
    mdl = wdm.IoAllocateMdl(buffer.va, 4096, False, False)
    wdm.MmBuildMdlForNonPagedPool(mdl)
    device = wdm.DeviceObject()
    for adapter in (None, b.adapter):
        b.ops.AllocateAdapterChannel(adapter, device, 1, lambda *a: AllocationAction.KEEP_OBJECT, None)
        b.ops.GetScatterGatherList(adapter, device, mdl, buffer.va, 4096, lambda *a: None, None, True)
        b.ops.FreeAdapterChannel(adapter)
        b.ops.FreeMapRegisters(adapter, None, 1)
    for call in (
        lambda: b.ops.MapTransfer(None, mdl, None, buffer.va, Out(1), True),
        lambda: b.ops.FlushAdapterBuffers(None, mdl, None, buffer.va, 1, True),
        lambda: b.ops.PutScatterGatherList(None, None, True),
        lambda: b.ops.PutDmaAdapter(None),
    ):
        call()
    codes = {finding.code for finding in b.machine.verifier.findings}
    assert codes == {0x19, 0x13}
    assert b.adapter.core.books.channels.allocated == 0


def test_reports_of_wrong_packet_calls_leave_no_effect(bench):
    b = bench(FLAT.verified(stop=False))
    va = b.machine.allocate_pool(8192)
    mdl = wdm.IoAllocateMdl(va, 8192, False, False)

    def map_at(offset, length):
        size = Out(length)
        b.ops.MapTransfer(b.adapter, mdl, None, va + offset, size, True)
        return size.taken

    assert map_at(0, 10) == 0
    wdm.MmProbeAndLockPages(mdl)
    assert map_at(0, 0) == map_at(8192, 1) == map_at(1, 8192) == 0
    assert not b.ops.FlushAdapterBuffers(b.adapter, mdl, None, va, 8192, True)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.FreeAdapterChannel(b.adapter)
    codes = [finding.code for finding in b.machine.verifier.findings]
    assert codes == [0x0E, 0x21, 0x1B, 0x24, 0x20, 0x04]
    b.machine.free_pool(va)
    assert b.used == 0


def test_start_device_without_an_adapter_or_with_a_buffer(bench, adapters):
    b = bench()
    claims = scenarios.Claims("ports")
    started = scenarios.start_device(b.machine, adapters["A32"], 4096, claims)
    assert (started.status, started.va is None, claims.held) == (0, False, ["ports"])
    bad = wdm.DEVICE_DESCRIPTION(version=9)
    assert scenarios.start_device(b.machine, bad, 4096, claims).status == 0xC000009A
    assert not claims.held
    assert b.machine.verifier.of(Misuse.UNKNOWN_VERSION)
    assert scenarios.nt_driver_entry(b.machine, bad, 4096, packet_capable=True).status == 0xC000009A
    assert scenarios.nt_driver_entry(b.machine, adapters["A32"], 1, packet_capable=False).va is not None
    full = bench(FULL)
    packet = scenarios.start_device(full.machine, adapters["A32"], 1, claims, packet_capable=True)
    assert (packet.status, packet.va) == (0, None)
