# SPDX-License-Identifier: Apache-2.0
"""Test vectors TV-120 to TV-137: the 8237 pair, auto-initialize, channels and their misuse under verification."""

from dataclasses import replace

import pytest

from nthal import nt, wdm
from nthal.hardware.controller import Request, mode_byte
from nthal.platforms import ISA, MAPREG
from nthal.types import Out
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import AllocationAction, Irql, NtStatus


class Flow:
    """The auto-initialize flow of a subordinate driver, step by step."""

    def __init__(self, bench, platform=ISA, adapter="S1", length=4096, **changes):
        self.b = bench(platform, adapter, **changes)
        self.buffer = self.b.ok(length)
        self.mdl = wdm.IoAllocateMdl(self.buffer.va, length, False, False)
        wdm.MmBuildMdlForNonPagedPool(self.mdl)
        self.device = wdm.DeviceObject()
        self.base = None
        self.granted = 0

    def at_dispatch(self):
        return self.b.machine.at_irql(Irql.DISPATCH_LEVEL)

    def allocate(self, count=1, answer=AllocationAction.KEEP_OBJECT, device=None):
        def control(device, irp, base, context):
            self.base = base
            self.granted += 1
            return answer

        with self.at_dispatch():
            return self.b.ops.AllocateAdapterChannel(self.b.adapter, device or self.device, count, control, None)

    def map(self, length=None, *, offset=0, to_device=True):
        size = Out(self.buffer.length if length is None else length)
        with self.at_dispatch():
            la = self.b.ops.MapTransfer(self.b.adapter, self.mdl, self.base, self.buffer.va + offset, size, to_device)
        return la, size.taken

    def flush(self, *, to_device=True):
        with self.at_dispatch():
            return self.b.ops.FlushAdapterBuffers(
                self.b.adapter, self.mdl, self.base, self.buffer.va, self.buffer.length, to_device
            )

    def free_channel(self):
        with self.at_dispatch():
            self.b.ops.FreeAdapterChannel(self.b.adapter)

    @property
    def ports(self):
        return " ".join(f"{port:02X}<{value:02X}" for port, value in self.b.machine.dma.port_log)


def test_tv120_the_ports_of_a_byte_channel(bench):
    flow = Flow(bench, ISA.with_free((0x123000, 0x124FFF)), length=8192)
    assert int(flow.buffer.la) == 0x123000
    flow.allocate(2)
    flow.map(0x1000, offset=0x456)
    assert flow.ports == "0C<00 0B<59 02<56 02<34 83<12 03<FF 03<0F 0A<01"


@pytest.mark.parametrize(("profile", "address"), [("contract", "C4<00 C4<98"), ("reactos", "C4<00 C4<18")])
def test_tv121_the_ports_of_a_word_channel(bench, profile, address):
    platform = ISA.with_free((0x33000, 0x34FFF)).with_profile(profile)
    flow = Flow(bench, platform, "S5", length=8192)
    flow.allocate(2)
    flow.map(0x2000, to_device=False)
    assert flow.ports == f"D8<00 D6<55 {address} 8B<03 C6<FF C6<0F D4<01"


def test_tv122_the_mode_byte_of_demand_mode():
    assert mode_byte(3, Request.DEMAND, to_device=True, auto_initialize=False) == 0x0B


def test_tv123_an_isa_master_cascades(bench, adapters):
    b = bench(ISA)
    nt.HalGetAdapter(replace(adapters["A24"], dma_channel=5), Out())
    assert b.machine.dma.port_log == [(0xD6, 0xC1), (0xD4, 0x01)]


@pytest.mark.parametrize(("adapter", "remaining"), [("S1", 0x1000), ("S5", 0x2000)], ids=["tv124", "tv125"])
def test_tv124_and_tv125_the_counter_is_in_bytes(bench, adapter, remaining):
    b = bench(ISA, adapter)
    channel = b.machine.dma.channel({"S1": 1, "S5": 5}[adapter])
    channel.count = 0x0FFF
    assert b.ops.ReadDmaCounter(b.adapter) == remaining


def test_tv126_terminal_count_masks_the_channel(bench):
    flow = Flow(bench, auto_initialize=False)
    flow.allocate()
    flow.map()
    flow.b.machine.cpu_write(flow.buffer.va, bytes(range(256)) * 16)
    assert flow.b.machine.dma.device_moves(1, 5000) == bytes(range(256)) * 16
    assert flow.b.ops.ReadDmaCounter(flow.b.adapter) == 0
    assert flow.b.machine.dma.channel(1).masked


def test_tv127_auto_initialize_goes_round_and_stays_unmasked(bench):
    flow = Flow(bench)
    flow.allocate()
    flow.map(0x1000)
    flow.b.machine.dma.device_moves(1, 0x1010)
    assert flow.b.ops.ReadDmaCounter(flow.b.adapter) == 0xFF0
    assert flow.b.machine.dma.inp(0x08) & 0x0F == 0x02
    assert flow.b.machine.dma.inp(0x08) & 0x0F == 0
    assert not flow.b.machine.dma.channel(1).masked


def test_tv128_a_full_64_kib_pass_reads_as_zero(bench):
    flow = Flow(bench, length=65536)
    flow.allocate(16)
    flow.map(65536)
    assert flow.b.ops.ReadDmaCounter(flow.b.adapter) == 0


def test_tv129_a_second_device_waits_for_the_channel(bench, adapters):
    flow = Flow(bench)
    flow.allocate()
    other = Flow.__new__(Flow)
    other.b, other.device, other.base, other.granted = flow.b.get(adapters["S1"]), wdm.DeviceObject(), None, 0
    assert other.allocate() == NtStatus.SUCCESS
    assert other.granted == 0
    flow.free_channel()
    assert other.granted == 1


def test_tv130_a_device_error_flushes_and_frees_the_channel(bench):
    flow = Flow(bench)
    flow.allocate()
    flow.map(to_device=False)
    flow.b.machine.dma.device_moves(1, 100, bytes(100))
    assert flow.flush(to_device=False)
    assert flow.b.machine.dma.channel(1).masked
    flow.free_channel()
    assert flow.b.adapter.core.books.channels.live == 0
    assert not flow.b.machine.verifier.findings


def test_tv131_an_mdl_over_a_common_buffer_shows_its_frames(bench):
    flow = Flow(bench, length=8192)
    assert wdm.MmGetMdlVirtualAddress(flow.mdl) == flow.buffer.va
    assert wdm.MmGetMdlByteCount(flow.mdl) == 8192
    assert list(flow.mdl.page_frames) == [flow.b.pa(flow.buffer, i * 4096) >> 12 for i in range(2)]
    for routine in (wdm.MmProbeAndLockPages, wdm.MmUnlockPages):
        with pytest.raises(DmaViolation) as caught:
            routine(flow.mdl)
        assert caught.value.misuse is Misuse.FIXED_MDL


def test_tv132_a_second_map_of_one_auto_initialize_operation_is_a_warning(bench):
    flow = Flow(bench)
    flow.allocate(2)
    flow.map()
    assert not flow.b.machine.verifier.of(Misuse.MAPPED_TWICE)
    flow.map()
    assert flow.b.machine.verifier.of(Misuse.MAPPED_TWICE)


def test_tv133_a_master_has_no_dma_counter(bench):
    b = bench()
    with pytest.raises(DmaViolation) as caught:
        b.ops.ReadDmaCounter(b.adapter)
    assert caught.value.misuse is Misuse.MASTER_COUNTER


def test_tv134_a_channel_freed_after_deallocate_object_is_code_4(bench):
    flow = Flow(bench, ISA.verified())
    flow.allocate(answer=AllocationAction.DEALLOCATE_OBJECT)
    with pytest.raises(DmaViolation) as caught:
        flow.free_channel()
    assert caught.value.code == 0x04


def kept_registers(b):
    kept = []

    def control(device, irp, base, context):
        kept.append(base)
        return AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS

    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert b.ops.AllocateAdapterChannel(b.adapter, wdm.DeviceObject(), 2, control, None) == 0
    return kept[0]


def free_registers(b, base, count):
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.FreeMapRegisters(b.adapter, base, count)


@pytest.mark.parametrize("count", [1, 3])
def test_tv135_map_registers_are_freed_all_at_once(bench, count):
    b = bench(MAPREG)
    with pytest.raises(DmaViolation):
        free_registers(b, kept_registers(b), count)


def test_tv135_a_partial_free_is_found_when_the_adapter_is_put(bench):
    b = bench(MAPREG.verified())
    free_registers(b, kept_registers(b), 1)
    with pytest.raises(DmaViolation) as caught:
        b.ops.PutDmaAdapter(b.adapter)
    assert (caught.value.code, caught.value.parameters[1]) == (0x09, 1)


def test_tv135_freeing_too_many_is_code_5(bench):
    b = bench(MAPREG.verified())
    with pytest.raises(DmaViolation) as caught:
        free_registers(b, kept_registers(b), 3)
    assert (caught.value.code, caught.value.parameters) == (0x05, (1,))


def test_tv136_an_irp_completed_without_a_flush_is_code_d(bench):
    flow = Flow(bench, ISA.verified())
    flow.allocate()
    flow.map()
    with pytest.raises(DmaViolation) as caught:
        wdm.IoCompleteRequest(flow.b.adapter)
    assert caught.value.code == 0x0D


def test_tv137_a_map_of_zero_bytes_is_code_21(bench):
    flow = Flow(bench, ISA.verified())
    flow.allocate()
    with pytest.raises(DmaViolation) as caught:
        flow.map(0)
    assert caught.value.code == 0x21
