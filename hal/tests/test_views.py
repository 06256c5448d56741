# SPDX-License-Identifier: Apache-2.0
"""A buffer's bytes as a writable view: CPU, device and native code share them, and what is watched stays watched.

Source: reference hal-contract 6 (guard bytes, DMA verification), AM-20 (caches that are not coherent), CB-28, CB-80.
"""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from nthal import wdm
from nthal.hardware import backings
from nthal.machine import DeviceObject, Machine
from nthal.platforms import ARM0, ARM1, FIXTURES, FLAT, IOMMU, Platform, Tail
from nthal.types import KIB, Out, Va
from nthal.verifier import TAG, DmaViolation, Misuse
from nthal.windows import Caching, DeviceDescription, InterfaceType

DESCRIPTION = DeviceDescription(
    version=2, master=True, scatter_gather=True, dma_32bit_addresses=True, maximum_length=64 * KIB,
    interface_type=InterfaceType.PCI,
)  # fmt: skip


class Bench:
    """A machine with an adapter, and a common buffer of `length` bytes."""

    def __init__(self, platform: Platform, length: int = 5000, cache_type: Caching | None = None) -> None:
        self.machine = Machine(platform)
        self.length = length
        la = Out()
        with self.machine:
            registers = Out()
            description = DESCRIPTION if cache_type is None else replace(DESCRIPTION, version=3, dma_address_width=32)
            self.adapter = wdm.IoGetDmaAdapter(DeviceObject(), description, registers)
            operations = self.adapter.DmaOperations
            if cache_type is None:
                self.va = operations.AllocateCommonBuffer(self.adapter, length, la, True)
            else:
                bounds = (None, None, length, 0, cache_type, 0)
                self.va = operations.AllocateCommonBufferWithBounds(self.adapter, *bounds, la)
        self.la = la.taken

    @property
    def view(self) -> memoryview:
        return self.machine.cpu_view(self.va, self.length)

    def device_read(self, at: int, length: int) -> bytes:
        return self.machine.device_read(self.la + at, length, self.adapter.core)

    def device_write(self, at: int, data: bytes) -> None:
        self.machine.device_write(self.la + at, data, self.adapter.core)

    def free(self) -> None:
        with self.machine:
            self.adapter.DmaOperations.FreeCommonBuffer(self.adapter, self.length, self.la, self.va, True)

    def the(self, misuse: Misuse) -> str:
        (finding,) = self.machine.verifier.findings
        assert finding.misuse is misuse
        return str(finding)


ROOMY = [p for p in FIXTURES.values() if p.name not in ("full", "frag", "high")]


@pytest.mark.parametrize("verified", [False, True], ids=["plain", "verified"])
@pytest.mark.parametrize("platform", ROOMY, ids=lambda p: p.name)
def test_view_cpu_and_device_share_the_same_bytes_over_all_pages(platform: Platform, verified: bool) -> None:
    bench = Bench(platform.verified() if verified else platform)
    data = bytes(n * 7 & 0xFF for n in range(bench.length))
    bench.view[:] = data
    assert bench.device_read(0, bench.length) == data
    assert bench.machine.cpu_read(bench.va, bench.length) == data
    bench.device_write(4090, b"from the device")
    assert bytes(bench.view[4090:4105]) == b"from the device"
    bench.machine.cpu_write(bench.va, b"from the processor")
    assert bytes(bench.view[:18]) == b"from the processor"
    bench.free()
    assert bench.machine.verifier.findings == []


def test_a_view_shows_what_was_there_before_it_and_every_view_is_of_the_same_memory() -> None:
    bench = Bench(FLAT)
    bench.machine.cpu_write(bench.va, b"before")
    first, second = bench.view, bench.machine.cpu_view(bench.va + 2, 4)
    second[:] = b"later"[:4]
    assert bytes(first[:6]) == b"belate"


def test_a_view_is_an_array_for_numpy() -> None:
    bench = Bench(FLAT, 4096)
    words = np.frombuffer(bench.view, dtype="<u4")
    words[:] = np.arange(1024)
    assert bench.device_read(4, 8) == bytes([1, 0, 0, 0, 2, 0, 0, 0])


def test_scattered_frames_are_one_view() -> None:
    machine = Machine(IOMMU)
    machine.frames.fragment(3)
    va = machine.allocate_pool(3 * 4096, scattered=True)
    view = machine.cpu_view(va, 3 * 4096)
    view[:] = bytes(3 * 4096)
    view[4094:4098] = b"abcd"
    assert machine.cpu_read(va + 4093, 6) == b"\0abcd\0"
    assert machine.memory.read(machine.physical_address(va + 4096), 2) == b"cd"


def test_a_view_past_the_length_is_refused_and_in_report_mode_is_nobodys_memory() -> None:
    with pytest.raises(DmaViolation) as caught:
        Bench(FLAT.verified()).machine.cpu_view(Bench(FLAT.verified()).va, 5001)
    assert caught.value.misuse is Misuse.OUTSIDE_BUFFER
    quiet = Bench(FLAT.verified(stop=False).with_switches(tail=Tail.SILENT))
    quiet.machine.cpu_view(quiet.va, 5001)[:] = bytes(5001)
    assert "a view of 5001 bytes" in quiet.the(Misuse.OUTSIDE_BUFFER)
    assert quiet.machine.cpu_read(quiet.va, 4) != bytes(4)
    assert len(quiet.machine.cpu_view(None, 8)) == 8
    assert quiet.machine.verifier.findings[-1].misuse is Misuse.NULL_USED


@pytest.mark.parametrize(("at", "which"), [(-1, 1), (-9, 4), (5000, 2), (5008, 5), (-3000, 4), (7200, 5)])
@pytest.mark.parametrize("platform", [FLAT, IOMMU, ARM0], ids=lambda p: p.name)
def test_a_native_overrun_is_found_at_the_free(platform: Platform, at: int, which: int) -> None:
    """Driver Verifier's parameter 2: 1 and 2 for the tag before and after, 4 and 5 for the padding."""
    bench = Bench(platform.verified())
    view = bench.view
    view[:] = bytes(5000)
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(view)) + at, 0x55, 1)
    with pytest.raises(DmaViolation) as caught:
        bench.free()
    assert caught.value.code == 0x0F
    assert caught.value.parameters == (which, 5000)
    assert f"offset {at} of 5000" in str(caught.value)
    assert bench.machine.frames.used == 0, "the free itself was right"


def test_guard_bytes_stand_around_a_view_that_came_late() -> None:
    view = (bench := Bench(FLAT.verified())).view
    at = ctypes.addressof(ctypes.c_char.from_buffer(view))
    assert ctypes.string_at(at - 8, 8) == ctypes.string_at(at + 5000, 8) == TAG
    assert bench.machine.cpu_read(bench.va, 4) == bytes(view[:4])


# --- bytes that nobody wrote --------------------------------------------------------------------------------------


def test_a_device_that_reads_what_native_code_did_not_write_is_told() -> None:
    bench = Bench(FLAT.verified())
    bench.view[:64] = bytes(64)
    bench.view[4096:] = bytes(904)
    bench.device_read(0, 64)
    bench.device_read(4096, 904)
    assert bench.machine.verifier.findings == []
    bench.device_read(32, 64)
    assert "device read of 64 bytes" in bench.the(Misuse.NEVER_WRITTEN)


def test_the_fill_of_memory_may_be_data() -> None:
    """What marks unwritten bytes is no byte that a driver repeats: not the fill of new memory, for one."""
    bench = Bench(FLAT.verified())
    bench.view[:] = bytes([bench.machine.memory.fill]) * 5000
    bench.device_read(0, 5000)
    assert bench.machine.verifier.findings == []


def test_a_view_that_comes_late_keeps_what_was_never_written_apart() -> None:
    bench = Bench(FLAT.verified())
    bench.machine.cpu_write(bench.va + 100, b"x" * 50)
    assert bytes(bench.view[100:150]) == b"x" * 50
    bench.device_read(100, 50)
    assert bench.machine.verifier.findings == []
    bench.device_read(98, 50)
    assert bench.the(Misuse.NEVER_WRITTEN) != ""


# --- caches --------------------------------------------------------------------------------------------------------


def cached(platform: Platform = ARM0) -> Bench:
    return Bench(platform.verified(), cache_type=Caching.CACHED)


def test_a_device_reads_old_bytes_until_what_native_code_wrote_is_flushed() -> None:
    bench = cached()
    bench.view[:] = b"n" * 5000
    assert bench.device_read(0, 4) != b"nnnn"
    assert "older than the CPU's" in bench.the(Misuse.STALE_DATA)
    bench.machine.flush_io_buffers(bench.va, 5000)
    assert bench.device_read(4990, 10) == b"n" * 10
    assert len(bench.machine.verifier.findings) == 1


def test_native_code_sees_what_a_device_wrote_to_lines_that_it_did_not_change() -> None:
    bench = cached()
    bench.view[:] = bytes(5000)
    bench.machine.flush_io_buffers(bench.va, 5000)
    bench.device_write(100, b"fresh")
    assert bytes(bench.view[100:105]) == b"fresh"
    assert bench.machine.verifier.findings == []


def test_a_device_that_writes_under_a_changed_line_is_told_and_the_line_wins() -> None:
    bench = cached()
    bench.view[:] = bytes(5000)
    bench.device_write(100, b"lost")
    assert bytes(bench.view[100:104]) == bytes(4)
    assert "goes on reading its old line" in bench.the(Misuse.STALE_DATA)
    bench.machine.flush_io_buffers(bench.va, 5000)
    assert bench.device_read(100, 4) == bytes(4)


def test_a_line_that_the_processor_keeps_stays_old_until_the_flush_and_does_not_undo_the_device() -> None:
    bench = cached()
    bench.view[:] = bytes(5000)
    bench.machine.flush_io_buffers(bench.va, 5000)
    assert bench.machine.cpu_read(bench.va, 64) == bytes(64)
    bench.device_write(0, b"device")
    assert bytes(bench.view[:6]) == bytes(6)
    bench.machine.flush_io_buffers(bench.va, 5000)
    assert bytes(bench.view[:6]) == b"device"
    assert bench.device_read(0, 6) == b"device"


def test_lines_that_were_dirty_before_the_view_stay_so() -> None:
    bench = cached()
    bench.machine.cpu_write(bench.va, b"early")
    assert bytes(bench.view[:5]) == b"early"
    assert bench.device_read(0, 5) != b"early"
    bench.machine.flush_io_buffers(bench.va, 5)
    assert bench.device_read(0, 5) == b"early"


@pytest.mark.parametrize("caching", [Caching.CACHED, Caching.NON_CACHED], ids=lambda c: c.name)
def test_without_a_cache_in_between_nothing_is_stale(caching: Caching) -> None:
    bench = cached(ARM1) if caching is Caching.CACHED else Bench(ARM0.verified(), cache_type=caching)
    bench.view[:] = b"n" * 5000
    assert bench.device_read(0, 4) == b"nnnn"
    assert bench.machine.verifier.findings == []


# --- after the free ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [False, True], ids=["common buffer", "pool"])
def test_freed_memory_stays_memory_and_a_write_to_it_is_told_once(pool: bool) -> None:
    bench = Bench(FLAT.verified())
    machine = bench.machine
    va = machine.allocate_pool(100) if pool else bench.va
    view = machine.cpu_view(va, 100)
    view[:] = bytes(100)
    if pool:
        machine.free_pool(va)
    else:
        bench.free()
    machine.look_at_freed()
    assert machine.verifier.findings == []
    assert bytes(view) == bytes([backings.FREED]) * 100
    view[7] = 1
    machine.look_at_freed()
    machine.look_at_freed()
    assert "native write at offset 7" in bench.the(Misuse.USE_AFTER_FREE)


def test_the_next_owner_of_the_frames_has_memory_of_its_own() -> None:
    bench = Bench(FLAT)
    view = bench.view
    bench.free()
    view[:4] = b"late"
    bench.machine.frames.place(0x101000 // 4096)
    va = bench.machine.allocate_pool(5000)
    assert bench.machine.cpu_read(va, 4) == bytes([bench.machine.memory.fill]) * 4


def test_only_so_much_freed_memory_is_kept_and_the_oldest_is_looked_at_before_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backings, "KEPT", 8192)
    machine = Machine(FLAT)
    views = []
    for _ in range(4):
        va = machine.allocate_pool(4096)
        views.append(machine.cpu_view(va, 4096))
        machine.free_pool(va)
        views[0][0] = 1
    assert [finding.misuse for finding in machine.verifier.findings] == [Misuse.USE_AFTER_FREE]


# --- addresses -----------------------------------------------------------------------------------------------------


def test_for_native_drivers_a_virtual_address_is_the_real_one() -> None:
    machine = Machine(FLAT.verified())
    machine.backings.native()
    for _ in range(3):
        va = machine.allocate_pool(5000)
        ctypes.memmove(int(va), b"by pointer", 10)
        assert machine.cpu_read(va, 10) == b"by pointer"
        machine.cpu_write(va + 4995, b"tail!")
        assert ctypes.string_at(int(va) + 4995, 5) == b"tail!"
        machine.free_pool(va)
        assert machine.space.find(va) is None
        assert ctypes.string_at(int(va), 1) == bytes([backings.FREED])


@pytest.mark.parametrize("page_size", [4096, 8192])
def test_a_view_of_a_whole_region_stands_on_a_page(page_size: int) -> None:
    machine = Machine(replace(FLAT, page_size=page_size))
    machine.backings.native()
    va = machine.allocate_pool(1)
    assert int(va) % page_size == 0
    assert isinstance(va, Va)
