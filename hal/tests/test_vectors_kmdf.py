# SPDX-License-Identifier: Apache-2.0
"""Test vectors TV-90 to TV-117: what the framework does above the HAL."""

from dataclasses import replace

import pytest

from nthal import kmdf
from nthal.events import AdapterPut, BufferAllocated, BufferFreed
from nthal.framework import Device, ObjectAttributes
from nthal.machine import Machine
from nthal.platforms import FLAT, FULL
from nthal.types import Out
from nthal.verifier import BugCheck, DmaViolation, Misuse
from nthal.windows import Irql, WindowsVersion

P = kmdf.WDF_DMA_PROFILE


class Fx:
    """A device with one enabler, as EvtDriverDeviceAdd leaves it."""

    def __init__(self, platform=FLAT, profile=P.SCATTER_GATHER_64, mask=None, maximum=1 << 20, make=True, **device):
        self.machine = Machine(platform)
        self.device = Device(self.machine, **device)
        if mask is not None:
            kmdf.WdfDeviceSetAlignmentRequirement(self.device, mask)
        self.enabler = None
        if make:
            self.status = self.enable(profile, maximum)
            assert self.status == 0

    def enable(self, profile, maximum=1 << 20, **config):
        handle = Out()
        status = kmdf.WdfDmaEnablerCreate(
            self.device, kmdf.WDF_DMA_ENABLER_CONFIG(profile, maximum, **config), None, handle
        )
        self.enabler = handle.value
        return status

    def at(self, *, la=None, va=None):
        """Let the HAL give exactly these raw addresses."""
        if la is not None:
            self.machine.frames.place(la >> 12)
        if va is not None:
            self.machine.space.place(va)
        return self

    def create(self, length, *, mask=None, attributes=None, size=8):
        handle = Out()
        if mask is None:
            status = kmdf.WdfCommonBufferCreate(self.enabler, length, attributes, handle)
        else:
            config = kmdf.WDF_COMMON_BUFFER_CONFIG(mask, size)
            status = kmdf.WdfCommonBufferCreateWithConfig(self.enabler, length, config, attributes, handle)
        return status, handle.value

    def ok(self, length, **how):
        status, buffer = self.create(length, **how)
        assert status == 0
        return buffer

    @property
    def hal(self):
        return [event for event in self.machine.events if isinstance(event, BufferAllocated)]

    @property
    def freed(self):
        return [event for event in self.machine.events if isinstance(event, BufferFreed)]


def la(buffer):
    return int(kmdf.WdfCommonBufferGetAlignedLogicalAddress(buffer))


def va(buffer):
    return int(kmdf.WdfCommonBufferGetAlignedVirtualAddress(buffer))


def test_tv90_length_zero_is_an_invalid_parameter():
    assert Fx().create(0) == (0xC000000D, None)


def test_tv91_a_wrong_config_size_leaves_the_handle_untouched():
    fx = Fx()
    handle = Out("as it was")
    config = kmdf.WDF_COMMON_BUFFER_CONFIG(15, 4)
    status = kmdf.WdfCommonBufferCreateWithConfig(fx.enabler, 0, config, None, handle)
    assert (status, handle.value) == (0xC0000004, "as it was")


def test_tv92_a_common_buffer_takes_no_parent():
    fx = Fx()
    assert fx.create(4096, attributes=ObjectAttributes(fx.device))[0] == 0xC020020F


def test_tv93_no_memory_means_no_handle_and_no_leak():
    fx = Fx(FULL)
    assert fx.create(4096) == (0xC000009A, None)
    assert fx.enabler.children == []
    assert fx.machine.frames.used == 0


def test_tv94_with_config_aligns_one_buffer():
    fx = Fx()
    buffer = fx.ok(10, mask=31)
    assert kmdf.WdfCommonBufferGetLength(buffer) == 10
    assert va(buffer) % 32 == 0
    assert la(buffer) % 32 == 0
    assert fx.hal[0].length == 10


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64])
def test_tv95_a_small_mask_pads_nothing(n):
    fx = Fx(mask=0xF)
    buffer = fx.ok(24 * n)
    assert fx.hal[0].length == 24 * n
    assert la(buffer) % 16 == 0
    assert va(buffer) % 16 == 0


def test_tv96_a_mask_set_after_the_enabler_is_too_late():
    fx = Fx()
    kmdf.WdfDeviceSetAlignmentRequirement(fx.device, 0xFFFF)
    fx.ok(4096)
    assert fx.hal[0].length == 4096


TV97 = {"la": 0x12345000, "va": 0xFFFFA00000010000}


def test_tv97_a_large_mask_aligns_the_logical_address_only():
    fx = Fx(mask=0xFFFF).at(**TV97)
    buffer = fx.ok(0x2000)
    assert fx.hal[0].length == 0x11FFF
    assert fx.hal[0].pages == 18
    assert la(buffer) == 0x12350000
    assert va(buffer) == 0xFFFFA0000001B000
    assert la(buffer) + 0x2000 == 0x12352000 <= 0x12345000 + 0x11FFF


def test_tv98_a_packet_profile_ignores_the_mask_and_says_so():
    fx = Fx(profile=P.PACKET, mask=0xFFFF).at(**TV97)
    buffer = fx.ok(0x2000)
    assert fx.hal[0].length == 0x2000
    assert la(buffer) == 0x12345000
    assert fx.machine.verifier.of(Misuse.NO_EFFECT)


def test_am12_the_mask_for_all_profiles_is_a_switch():
    fx = Fx(FLAT.with_switches(alignment_all_profiles=True), profile=P.PACKET, mask=0xFFFF)
    fx.ok(0x2000)
    assert fx.hal[0].length == 0x11FFF


def test_tv99_with_config_works_with_a_packet_profile():
    fx = Fx(profile=P.PACKET).at(**TV97)
    buffer = fx.ok(0x2000, mask=0xFFFF)
    assert fx.hal[0].length == 0x11FFF
    assert (la(buffer), va(buffer)) == (0x12350000, 0xFFFFA0000001B000)


def test_tv100_a_mask_of_one_page_pads_nothing():
    fx = Fx(mask=0xFFF)
    fx.ok(0x1000)
    assert fx.hal[0].length == 0x1000


def test_tv101_above_a_page_the_virtual_address_follows_the_logical_one():
    fx = Fx().at(la=0x11000, va=0x80010000)
    fx.machine.frames.free.give(0x11, 3)
    buffer = fx.ok(0x1000, mask=0x1FFF)
    assert fx.hal[0].length == 0x2FFF
    assert (la(buffer), va(buffer)) == (0x12000, 0x80011000)


def test_tv102_a_boundary_instead_of_a_mask_aligns_nothing():
    fx = Fx().at(la=0x11000)
    fx.machine.frames.free.give(0x11, 1)
    buffer = fx.ok(0x1000, mask=16)
    assert fx.hal[0].length == 0x1000
    assert la(buffer) == 0x11000


def test_tv103_a_large_boundary_instead_of_a_mask_is_not_rejected():
    fx = Fx().at(la=0x11000, va=0x80011000)
    fx.machine.frames.free.give(0x11, 0x11)
    buffer = fx.ok(0x1000, mask=0x10000)
    assert fx.hal[0].length == 0x11000
    assert (la(buffer), va(buffer)) == (0x21000, 0x80021000)


def test_tv104_an_old_client_pays_a_second_page_for_the_default():
    fx = Fx(client=(1, 9))
    buffer = fx.ok(4096)
    assert (fx.hal[0].length, fx.hal[0].pages) == (4097, 2)
    assert kmdf.WdfCommonBufferGetLength(buffer) == 4096


def test_tv105_an_old_client_always_pads():
    fx = Fx(client=(1, 9))
    fx.ok(4096, mask=15)
    assert fx.hal[0].length == 4111


def test_tv106_a_length_beyond_ulong_is_out_of_resources():
    fx = Fx()
    assert fx.create(0x1_0000_0000) == (0xC000009A, None)
    assert not fx.hal


def test_tv107_padding_beyond_size_t_is_an_overflow():
    assert Fx().create(2**64 - 1, mask=0x1FFF)[0] == 0xC0000095


def test_tv108_deleting_the_enabler_frees_its_buffers_then_puts_the_adapter():
    fx = Fx(mask=0x1FFF)
    buffers = [fx.ok(0x1000) for _ in range(3)]
    kmdf.WdfObjectDelete(fx.enabler)
    ends = [event for event in fx.machine.events if isinstance(event, BufferFreed | AdapterPut)]
    assert [type(event) for event in ends] == [BufferFreed] * 3 + [AdapterPut]
    assert {event.length for event in fx.freed} == {0x2FFF}
    assert fx.machine.frames.used == 0
    assert not any(buffer.alive for buffer in buffers)
    assert not fx.machine.verifier.findings


def test_tv109_a_deleted_buffer_is_not_freed_again():
    fx = Fx()
    kmdf.WdfObjectDelete(fx.ok(4096))
    kmdf.WdfObjectDelete(fx.enabler)
    assert len(fx.freed) == 1


def test_tv110_only_the_frameworks_verifier_looks_at_the_irql():
    checked = Fx(fx_verifier_on=True)
    with checked.machine.at_irql(Irql.DISPATCH_LEVEL):
        assert checked.create(4096)[0] == 0xC0000010
    unchecked = Fx()
    with unchecked.machine.at_irql(Irql.DISPATCH_LEVEL), pytest.raises(DmaViolation) as caught:
        unchecked.create(4096)
    assert caught.value.misuse is Misuse.WRONG_IRQL


def test_tv111_a_deleted_handle_is_a_bug_check():
    buffer = Fx().ok(4096)
    kmdf.WdfObjectDelete(buffer)
    with pytest.raises(BugCheck):
        kmdf.WdfCommonBufferGetLength(buffer)


def test_tv112_a_duplex_enabler_allocates_from_the_read_adapter():
    fx = Fx(profile=P.SCATTER_GATHER_64_DUPLEX)
    fx.ok(4096)
    assert fx.hal[0].adapter == fx.enabler.read_adapter.number
    assert fx.hal[0].cache_enabled is True
    assert fx.enabler.write_adapter is not None


@pytest.mark.parametrize(("profile", "maximum"), [(P.PACKET, 0), (99, 4096)])
def test_tv113_bad_enabler_parameters(profile, maximum):
    assert Fx(make=False).enable(profile, maximum) == 0xC000000D


@pytest.mark.parametrize(("profile", "override"), [(P.SCATTER_GATHER, 40), (P.SYSTEM, 32)])
def test_tv114_overrides_that_a_profile_refuses(profile, override):
    assert Fx(make=False).enable(profile, address_width_override=override) == 0xC000000D


@pytest.mark.parametrize(("override", "status"), [(40, 0), (20, 0xC0000001)])
def test_tv115_overrides_before_windows_8(override, status):
    fx = Fx(replace(FLAT, windows=WindowsVersion.WINDOWS_7), make=False)
    assert fx.enable(P.SCATTER_GATHER_64, address_width_override=override) == status
    if not status:
        assert fx.enabler.read_adapter.limit == 0xFFFFFFFF


def test_tv116_no_adapter_means_unsuccessful():
    fx = Fx(replace(FLAT, windows=WindowsVersion.WINDOWS_2000), make=False)
    assert fx.enable(P.PACKET) == 0xC0000001
    assert fx.device.children == []


@pytest.mark.parametrize(("registers", "fragment"), [(17, 65536), (16, 61440), (2, 4096)])
def test_tv117_the_fragment_length_leaves_one_register(registers, fragment):
    fx = Fx(replace(FLAT, register_cap=registers), maximum=65536)
    direction = kmdf.WDF_DMA_DIRECTION.READ_FROM_DEVICE
    assert kmdf.WdfDmaEnablerGetFragmentLength(fx.enabler, direction) == fragment
