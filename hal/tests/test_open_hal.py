# SPDX-License-Identifier: Apache-2.0
"""The profile "reactos" beside its source, and what a Windows release has: routines, verification, a description's bits.

Source of the first part: ReactOS hal/halx86/generic/dma.c (HalGetAdapter, HalpDmaInitializeEisaAdapter,
HalpDmaAllocateChildAdapter, HalPutDmaAdapter, IoMapTransfer, IoFlushAdapterBuffers), as facts.
"""

from dataclasses import replace

import pytest

from nthal import nt, wdm
from nthal.machine import Machine
from nthal.platforms import FIXTURES, FLAT, ISA, PROFILES, Platform
from nthal.types import KIB, La, Out, Va
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import (
    AllocationAction,
    DeviceDescription,
    DmaWidth,
    InterfaceType,
    Irql,
    NtStatus,
    WindowsVersion,
)

OPEN = ISA.with_profile("reactos")
MASTER = DeviceDescription(
    version=2, master=True, interface_type=InterfaceType.ISA, dma_channel=5, maximum_length=16 * KIB
)
SLAVE = replace(MASTER, master=False, dma_width=DmaWidth.WIDTH_16)
ISA_BUSES = (InterfaceType.ISA, InterfaceType.EISA)


def hal_get(machine, description):
    """(adapter, registers) of HalGetAdapter."""
    count = Out()
    with machine:
        return nt.HalGetAdapter(description, count), count.taken


@pytest.mark.parametrize("bus", ISA_BUSES)
@pytest.mark.parametrize("master", [True, False])
def test_channel_4_is_null_for_masters_too(bus, master):
    machine = Machine(OPEN)
    one = replace(SLAVE, master=master, interface_type=bus, dma_channel=4)
    assert hal_get(machine, one)[0] is None
    assert "channel 4 joins the two controllers" in str(machine.last_failure)
    assert hal_get(Machine(OPEN), replace(MASTER, interface_type=InterfaceType.PCI, dma_channel=4))[0] is not None
    assert hal_get(Machine(ISA), replace(MASTER, interface_type=bus, dma_channel=4))[0] is not None


@pytest.mark.parametrize("bus", ISA_BUSES)
@pytest.mark.parametrize("channel", [0, 1, 2, 3, 5, 6, 7])
def test_masters_on_one_channel_share_an_object(bus, channel):
    machine = Machine(OPEN)
    one = replace(MASTER, interface_type=bus, dma_channel=channel)
    first, _ = hal_get(machine, one)
    second, _ = hal_get(machine, replace(one, interface_type=InterfaceType.ISA))
    other, _ = hal_get(machine, replace(one, dma_channel=(channel + 1) % 4))
    assert first is second
    assert other is not first
    windows = Machine(ISA)
    assert hal_get(windows, one)[0] is not hal_get(windows, one)[0]


def test_a_master_and_a_slave_of_one_channel_share_it_too():
    machine = Machine(OPEN)
    assert hal_get(machine, MASTER)[0] is hal_get(machine, SLAVE)[0]


def test_a_second_call_updates_the_mode_of_the_shared_object():
    machine = Machine(OPEN)
    adapter, _ = hal_get(machine, replace(MASTER, dma_32bit_addresses=True))
    assert (adapter.limit, adapter.boundary) == (0xFFFF_FFFF, 1 << 32)
    hal_get(machine, replace(SLAVE, auto_initialize=True, demand_mode=True))
    assert (adapter.limit, adapter.boundary) == (0xFF_FFFF, 64 * KIB)
    assert (adapter.description.master, adapter.description.auto_initialize) == (False, True)


def test_the_count_of_a_shared_object_grows_only_where_it_was_made_to_need_registers():
    machine = Machine(OPEN)
    assert [hal_get(machine, replace(SLAVE, maximum_length=n * KIB))[1] for n in (4, 16, 8)] == [2, 5, 5]
    none = Machine(OPEN)
    eisa = replace(SLAVE, interface_type=InterfaceType.EISA, scatter_gather=True)
    assert hal_get(none, eisa)[1] == 1
    assert hal_get(none, replace(SLAVE, maximum_length=16 * KIB))[1] == 1


def test_a_shared_object_lives_until_its_last_owner_put_it():
    machine = Machine(OPEN)
    adapter, _ = hal_get(machine, MASTER)
    hal_get(machine, replace(MASTER, maximum_length=32 * KIB))
    with machine:
        ops = wdm.DMA_OPERATIONS(machine, 2)
        whole = wdm.DMA_ADAPTER(adapter, ops)
        ops.PutDmaAdapter(whole)
        assert not adapter.gone
        ops.PutDmaAdapter(whole)
    assert adapter.gone
    again, count = hal_get(machine, MASTER)
    assert again is not adapter
    assert count == 9, "the count of the channel has grown for good"


@pytest.mark.parametrize("bus", ISA_BUSES)
def test_a_slave_channel_past_the_controllers_gives_an_object_of_its_own(bus):
    machine = Machine(OPEN)
    one = replace(SLAVE, interface_type=bus, dma_channel=8)
    first, second = hal_get(machine, one)[0], hal_get(machine, one)[0]
    assert first is not second
    assert None not in (first, second)
    assert hal_get(Machine(ISA), one)[0] is None
    past = Machine(OPEN)
    assert hal_get(past, replace(one, interface_type=InterfaceType.PCI))[0] is None
    assert "past the table of ReactOS" in str(past.last_failure)


def test_a_channel_that_no_controller_has_moves_nothing():
    machine = Machine(OPEN)
    adapter, _ = hal_get(machine, replace(SLAVE, dma_channel=9))
    with machine:
        va = machine.allocate_pool(4096)
        mdl = wdm.IoAllocateMdl(va, 4096, False, False)
        wdm.MmProbeAndLockPages(mdl)
        with pytest.raises(DmaViolation, match="there is no channel 9"):
            nt.IoMapTransfer(adapter, mdl, None, va, Out(4096), True)
        with pytest.raises(DmaViolation, match="there is no channel 9"):
            nt.HalReadDmaCounter(adapter)


@pytest.mark.parametrize("platform", [OPEN, FLAT.with_profile("reactos")], ids=["isa", "flat"])
def test_version_3_is_null(platform):
    machine = Machine(platform)
    with machine:
        made = wdm.IoGetDmaAdapter(None, replace(MASTER, version=3, dma_address_width=32, dma_channel=8), Out())
    assert made is None
    assert "ReactOS knows no version 3" in str(machine.last_failure)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_adapters_version_follows_the_description_and_one_table_serves_all(version):
    for platform, shown in ((OPEN, version), (ISA, 1)):
        with Machine(platform):
            adapter = wdm.IoGetDmaAdapter(None, replace(MASTER, version=version), Out())
        assert adapter.Version == shown
        assert ("BuildScatterGatherList" in adapter.DmaOperations) is (platform is OPEN or version == 2)


def test_a_shared_object_shows_the_version_of_who_came_first():
    with Machine(OPEN):
        first, second = (wdm.IoGetDmaAdapter(None, replace(MASTER, version=v), Out()) for v in (1, 2))
    assert (first.Version, second.Version) == (1, 1)


@pytest.mark.parametrize(("channel", "ports"), [(2, [(0x0B, 0xC2), (0x0A, 0x02)]), (5, [(0xD6, 0xC1), (0xD4, 0x01)])])
@pytest.mark.parametrize("bus", ISA_BUSES)
def test_a_master_on_a_channel_is_set_to_cascade_at_each_call(bus, channel, ports):
    machine = Machine(OPEN)
    for _ in range(2):
        hal_get(machine, replace(MASTER, interface_type=bus, dma_channel=channel))
    assert machine.dma.port_log == ports * 2


@pytest.mark.parametrize(("channel", "width"), [(1, DmaWidth.WIDTH_16), (5, DmaWidth.WIDTH_8), (6, DmaWidth.WIDTH_32)])
def test_a_slave_must_name_its_channels_width(channel, width):
    machine = Machine(FLAT.with_profile("reactos"))
    assert hal_get(machine, replace(SLAVE, dma_channel=channel, dma_width=width))[0] is None
    assert f"channel {channel} moves" in str(machine.last_failure)


# --- the counter of a channel (hal-contract 4.6, IgnoreCount) ---------------------------------------------------------


def short_read(bench, adapters, *, version=2, ignore, moved=1000):
    """A bounced read of 4,096 bytes of which the device moves a part; what the buffer holds afterwards."""
    description = replace(adapters["S1"], auto_initialize=False, version=version, ignore_count=ignore)
    b = bench(ISA).get(description)
    va = b.machine.allocate_pool(4096, frame=0x2000)  # above 16 MiB: bounced
    b.machine.cpu_write(va, b"o" * 4096)
    mdl = wdm.IoAllocateMdl(va, 4096, False, False)
    wdm.MmProbeAndLockPages(mdl)
    bases = []
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.AllocateAdapterChannel(
            b.adapter, wdm.DeviceObject(), 1, lambda *a: (bases.append(a[2]), AllocationAction.KEEP_OBJECT)[1], None
        )
        b.ops.MapTransfer(b.adapter, mdl, bases[0], va, Out(4096), False)
        b.machine.dma.device_moves(1, moved, b"n" * moved)
        assert b.ops.FlushAdapterBuffers(b.adapter, mdl, bases[0], va, 4096, False)
        b.ops.FreeAdapterChannel(b.adapter)
    return b.machine.cpu_read(va, 4096)


def test_a_flush_copies_what_the_counter_says_was_moved(bench, adapters):
    assert short_read(bench, adapters, ignore=False) == b"n" * 1000 + b"o" * 3096
    assert short_read(bench, adapters, ignore=False, moved=4096) == b"n" * 4096


def test_ignore_count_zeroes_the_bounce_area_and_copies_all_of_it(bench, adapters):
    assert short_read(bench, adapters, ignore=True) == b"n" * 1000 + bytes(3096)


def test_version_0_has_no_ignore_count(bench, adapters):
    assert short_read(bench, adapters, ignore=True, version=0) == b"n" * 1000 + b"o" * 3096


# --- what a Windows release has ---------------------------------------------------------------------------------------


def test_nt4_has_no_io_get_dma_adapter_and_says_what_it_has():
    """Source: DDI IoGetDmaAdapter, "available starting with Windows 2000"."""
    nt4 = replace(ISA, windows=WindowsVersion.NT4)
    with Machine(nt4) as machine:
        with pytest.raises(DmaViolation, match=r"came with Windows 2000, this is NT4.*HalGetAdapter") as caught:
            wdm.IoGetDmaAdapter(None, replace(MASTER, version=1), Out())
        assert caught.value.misuse is Misuse.ABSENT_EXPORT
        assert nt.HalGetAdapter(replace(MASTER, version=1), Out()) is not None
    report = replace(nt4, switches=replace(nt4.switches, stop=False))
    with Machine(report) as machine:
        assert wdm.IoGetDmaAdapter(None, replace(MASTER, version=1), Out()) is None
        assert "came with Windows 2000" in str(machine.last_failure)
    with Machine(replace(ISA, windows=WindowsVersion.WINDOWS_2000)):
        assert wdm.IoGetDmaAdapter(None, replace(MASTER, version=1), Out()) is not None


@pytest.mark.parametrize("windows", [WindowsVersion.NT4, WindowsVersion.WINDOWS_2000])
def test_dma_verification_came_with_windows_xp(windows):
    """Source: driver documentation, "DMA Verification": available in Windows XP and later.

    Who asks for a check that does not exist there gets no machine, since one that looks for less than it was asked to
    would pass what it never looked at.
    """
    for make in (
        lambda: replace(FLAT, windows=windows).verified(),
        lambda: replace(FLAT.verified(), windows=windows),
        lambda: Platform("own", windows=windows, verifier=True),
    ):
        with pytest.raises(ValueError, match=f"{windows.name} has no DMA verification, it came with WINDOWS_XP"):
            make()
    assert Machine(replace(FLAT, windows=WindowsVersion.WINDOWS_XP).verified()).verifier.on


def test_every_named_platform_and_profile_can_be_verified():
    for platform in FIXTURES.values():
        for profile in PROFILES:
            assert platform.with_profile(profile).verified().verifier


# --- the list's size without an MDL ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("va", "length", "registers"),
    [
        (None, 17 * 4096, 17),
        (Va(0xFFFF_A000_0000_0000), 17 * 4096, 17),
        (Va(4095), 16 * 4096, 17),
        (None, 1, 1),
        (Va(4095), 2, 2),
    ],
)
def test_without_an_mdl_a_list_takes_the_pages_from_current_va_on(bench, va, length, registers):
    """Exactly the granted registers for granted pages from NULL on, as KMDF asks for its lists.

    Source: WDF fxdmaenabler.cpp, ConfigureDmaAdapter (CurrentVa NULL, registers * PAGE_SIZE); DDI
    CalculateScatterGatherList: "the specified buffer" is CurrentVa and Length.
    """
    b = bench(FLAT)
    assert b.registers == 17
    size, count = Out(), Out()
    assert b.ops.CalculateScatterGatherList(b.adapter, None, va, length, size, count) == NtStatus.SUCCESS
    assert (size.taken, count.taken) == (16 + 24 * registers, registers)
    assert b.ops.CalculateScatterGatherList(b.adapter, None, va, length, size, None) == NtStatus.SUCCESS


def test_more_pages_than_were_granted_are_insufficient_resources(bench):
    b = bench(FLAT)
    size = Out()
    for va, length in ((None, 17 * 4096 + 1), (Va(4095), 17 * 4096)):
        status = b.ops.CalculateScatterGatherList(b.adapter, None, va, length, size, None)
        assert status == NtStatus.INSUFFICIENT_RESOURCES
    assert size.value is None
    assert b.last_la == La(0)
