# SPDX-License-Identifier: Apache-2.0
"""The driver of seed 000, in KMDF and in WDM, against the chip on every platform: data compared, nothing left behind."""

import pytest

from nthal import kmdf, wdm
from nthal.events import NullReason
from nthal.platforms import ARM0, BIG, FLAT, HIGH, IOMMU, MAPREG, OFFSET, CacheUpkeep
from nthal.types import KIB
from nthal.windows import NtStatus
from tests.lab.contract.host.conftest import PLATFORMS, pattern
from tests.lab.contract.host.wdk_driver import ELEMENTS, OPERATION, READ, WRITE, ChannelDriver, WdkDriver, WdmDriver

NO_ROOM = {"high": NullReason.NO_RUN, "full": NullReason.NO_MEMORY}
"""Platforms without memory that this chip reaches, and why the buffer is NULL there."""
DRIVERS = (WdkDriver, WdmDriver, ChannelDriver)


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda one: one.name)
def test_cb30_and_cb36_and_cb118_the_right_driver_moves_its_data_or_fails_its_start_and_leaves_nothing(
    world, platform, driver
):
    w = world(platform, driver)
    first = w.machine.frames.free.snapshot()
    w.life()
    assert [str(finding) for finding in w.findings] == []
    assert w.faults.seen == []
    assert w.machine.frames.free.snapshot() == first
    assert not w.machine.bus.ranges()
    assert w.machine.registers.total == platform.register_pool
    if platform.name in NO_ROOM:
        assert w.status == NtStatus.INSUFFICIENT_RESOURCES
        assert w.machine.last_failure.reason is NO_ROOM[platform.name]
        return
    assert (w.written.status, w.written.information) == (NtStatus.SUCCESS, 20_000)
    assert w.card(0x100, 20_000) == pattern(20_000)
    request, data = w.answer
    assert (request.status, request.information) == (NtStatus.SUCCESS, 20_000)
    assert data == pattern(20_000)


def test_cb28_and_cb102_and_cb117_the_buffers_are_as_the_seed_says(world):
    w = world(FLAT)
    assert w.driver.add_device() == NtStatus.SUCCESS
    for channel in (WRITE, READ):
        kept = w.driver.lists[channel]
        assert int(kept.la) % 16 == int(kept.va) % 16 == 0
        assert kept.length == kmdf.WdfCommonBufferGetLength(w.driver.buffers[channel]) == 32 * ELEMENTS
        assert w.machine.cpu_read(kept.va, kept.length) == bytes(kept.length)


def test_two_requests_at_once_share_the_interrupt(world):
    w = world(IOMMU)
    w.driver.add_device()
    w.host.device.local_bus.write(0x8000, pattern(OPERATION, 9))
    out, back = w.program.buffer(OPERATION), w.program.buffer(OPERATION)
    w.machine.cpu_write(out.va, pattern(OPERATION))
    requests = [w.program.request(WRITE, out), w.program.request(READ, back, 0x8000)]
    w.host.run()
    assert [one.information for one in requests] == [OPERATION] * 2
    assert w.card(0, OPERATION) == pattern(OPERATION)
    assert w.machine.cpu_read(back.va, OPERATION) == pattern(OPERATION, 9)


def test_cb42_on_hardware_map_registers_the_second_request_waits_for_those_of_the_first(world):
    w = world(MAPREG, WdmDriver)
    w.driver.add_device()
    assert w.driver.map_registers.taken == 5
    assert w.driver.adapter.core.held_registers == 2
    w.host.device.local_bus.write(0, pattern(OPERATION))
    out, back = w.program.buffer(OPERATION, 100), w.program.buffer(OPERATION, 100)
    w.machine.cpu_write(out.va, pattern(OPERATION))
    requests = [w.program.request(WRITE, out, 0x4000), w.program.request(READ, back)]
    assert w.driver.adapter.core.held_registers == 5
    assert len(w.driver.adapter.core.channel_state.queue) == 1
    w.host.run()
    assert [one.information for one in requests] == [OPERATION] * 2
    assert w.machine.cpu_read(back.va, OPERATION) == pattern(OPERATION)
    w.driver.remove_device()
    w.program.end()
    assert not w.findings


class Sample64(WdkDriver):
    """What the sample asks for: a device of 64 bits, though its list address has 32."""

    profile = kmdf.WDF_DMA_PROFILE.SCATTER_GATHER_64_DUPLEX

    def device_address(self, la):
        return la.low


def test_the_samples_profile_works_while_memory_below_4_gib_lasts(world):
    for platform in (FLAT, BIG, IOMMU):
        w = world(platform, Sample64)
        w.life(4 * KIB)
        assert w.answer[1] == pattern(4 * KIB)
        assert not w.findings


def test_cb154_the_samples_profile_loses_its_list_where_memory_begins_at_4_gib(world):
    w = world(HIGH, Sample64)
    w.life(4 * KIB)
    assert w.written.status is None, "the chip stops at its bus error and the request never ends"
    error = w.faults.bus_errors[0]
    assert error.address == w.driver.lists[WRITE].la.low
    assert "without its upper half" in error.reason
    assert "create_list" in error.reason


def test_cb50_and_cb154_a_32_bit_device_cannot_reach_the_packet_buffer_that_a_64_bit_description_leaves_high(world):
    """The list is low, the program's pages are high: the chip gets the lower half of each address."""
    w = world(BIG, Sample64)
    w.driver.add_device()
    frame = 0x1_0000_0000 // 4096
    pool = w.machine.allocate_pool(4 * KIB, frame=frame)
    mdl = wdm.IoAllocateMdl(pool, 4 * KIB, False, False)
    wdm.MmProbeAndLockPages(mdl)
    request = w.program.request(WRITE, mdl)
    w.host.run()
    assert request.status is None
    assert "without its upper half" in w.faults.bus_errors[0].reason


def test_the_right_profile_bounces_the_same_packet_buffer(world):
    w = world(BIG)
    w.driver.add_device()
    pool = w.machine.allocate_pool(4 * KIB, frame=0x1_0000_0000 // 4096)
    w.machine.cpu_write(pool, pattern(4 * KIB))
    mdl = wdm.IoAllocateMdl(pool, 4 * KIB, False, False)
    wdm.MmProbeAndLockPages(mdl)
    assert w.program.request(WRITE, mdl).status is None
    w.host.run()
    assert w.card(0, 4 * KIB) == pattern(4 * KIB)


class Physical(WdkDriver):
    """Gives the chip the physical addresses of its pages."""

    def list_address(self, channel):
        return self.machine.physical_address(self.lists[channel].va).low


@pytest.mark.parametrize("platform", [IOMMU, OFFSET, MAPREG], ids=lambda one: one.name)
def test_cb36_and_cb150_a_physical_address_fails_where_the_device_has_addresses_of_its_own(world, platform):
    w = world(platform, Physical)
    w.life(4 * KIB)
    assert w.written.status is None
    assert "the physical address of the buffer" in w.findings[0].detail or platform is IOMMU
    assert w.findings[0].place.endswith("in start")


def test_a_physical_address_goes_unnoticed_on_a_flat_machine(world):
    w = world(FLAT, Physical)
    w.life(4 * KIB)
    assert w.answer[1] == pattern(4 * KIB)


class Unflushed(WdkDriver):
    """Forgets KeFlushIoBuffers."""

    def prepare(self, request):
        pass


def test_cb67_the_framework_needs_no_flush_since_version_3_keeps_the_caches(world):
    """Source: WDF fxdmatransactionpacket.cpp, _AdapterControl, calls it no more; DOC:version-3 says who does it."""
    w = world(ARM0, Unflushed)
    w.driver.add_device()
    w.program.write(pattern(4 * KIB))
    assert w.card(0, 4 * KIB) == pattern(4 * KIB)
    assert not w.machine.verifier.findings


def test_cb67_without_a_flush_a_device_that_is_not_coherent_moves_old_bytes(world):
    w = world(ARM0.with_switches(map_keeps_caches=CacheUpkeep.NEVER), Unflushed)
    w.driver.add_device()
    written = w.program.write(pattern(4 * KIB))
    assert written.information == 4 * KIB, "nobody notices but the verifier and the data"
    assert w.card(0, 4 * KIB) != pattern(4 * KIB)
    assert "older than the CPU's" in w.findings[0].detail


def test_without_a_flush_a_coherent_machine_is_fine(world):
    w = world(FLAT, Unflushed)
    w.life()
    assert w.answer[1] == pattern(20_000)
    assert not w.findings
