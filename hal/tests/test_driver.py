# SPDX-License-Identifier: Apache-2.0
"""A descriptor-ring driver in KMDF style on every platform, its wrong variants, and the views of a machine."""

import json
from dataclasses import replace

import pytest

from nthal import kmdf, wdm
from nthal.__main__ import main
from nthal.attach import BusRefused, DeviceBus
from nthal.dump import Show, dump, dump_adapter, picture
from nthal.framework import Device
from nthal.machine import Machine, NotRunning, current_machine
from nthal.platforms import ARM0, ARM1, BIG, FLAT, FRAG, HIGH, IOMMU, MAPREG, OFFSET, PAE, PCI32, SERVER, Tail
from nthal.types import AddressKindError, La, Out, Pa, Va
from nthal.verifier import DmaViolation, Misuse
from nthal.windows import Irql, nt_success

PLATFORMS = [FLAT, BIG, HIGH, IOMMU, OFFSET, MAPREG, FRAG, ARM0, ARM1, PCI32, PAE, SERVER]
ELEMENT = 16


class ChipModel:
    """A bus master that follows a chain of 16-byte elements (address, length, next or 0) and sums the data."""

    def __init__(self, bus):
        self.bus = bus

    def fetch(self, address, length):
        into = bytearray(length)
        self.bus.read_into(address, memoryview(into))
        return bytes(into)

    def run(self, first):
        moved = b""
        while first:
            element = self.fetch(first, ELEMENT)
            address, length = int.from_bytes(element[:8], "little"), int.from_bytes(element[8:10], "little")
            step = int.from_bytes(element[10:12], "little")
            moved += self.fetch(address, length)
            first = first + step if step else 0
        self.bus.write_from(address, memoryview(moved[::-1][: len(moved)]))
        return moved


class RingDriver:
    """Creates its common buffers in EvtDriverDeviceAdd, builds a chain in one, programs the chip, deletes all."""

    profile = kmdf.WDF_DMA_PROFILE.SCATTER_GATHER_64_DUPLEX

    def __init__(self, platform):
        self.machine = Machine(platform.verified())
        self.device = Device(self.machine)
        kmdf.WdfDeviceSetAlignmentRequirement(self.device, kmdf.FILE_OCTA_ALIGNMENT)
        enabler = Out()
        config = kmdf.WDF_DMA_ENABLER_CONFIG(self.profile, 64 * 1024)
        assert nt_success(kmdf.WdfDmaEnablerCreate(self.device, config, None, enabler))
        self.enabler = enabler.taken
        self.ring, self.data = self.create(ELEMENT * 4), self.create(256)
        bus = DeviceBus(self.machine, self.enabler.read_adapter)
        self.chip = ChipModel(bus)

    def create(self, length):
        buffer = Out()
        status = kmdf.WdfCommonBufferCreate(self.enabler, length, kmdf.WDF_NO_OBJECT_ATTRIBUTES, buffer)
        assert nt_success(status), str(self.machine.last_failure)
        va = kmdf.WdfCommonBufferGetAlignedVirtualAddress(buffer.taken)
        self.machine.cpu_write(va, bytes(kmdf.WdfCommonBufferGetLength(buffer.taken)))
        return buffer.taken

    def va(self, buffer):
        return kmdf.WdfCommonBufferGetAlignedVirtualAddress(buffer)

    def la(self, buffer):
        return int(kmdf.WdfCommonBufferGetAlignedLogicalAddress(buffer))

    data_address = la

    def element(self, index, length, step):
        raw = self.data_address(self.data).to_bytes(8, "little") + length.to_bytes(2, "little")
        raw += step.to_bytes(2, "little") + bytes(4)
        self.machine.cpu_write(self.va(self.ring) + index * ELEMENT, raw)

    def transfer(self):
        self.machine.cpu_write(self.va(self.data), bytes(range(256)))
        for index in range(4):
            self.element(index, 64, ELEMENT if index < 3 else 0)
        return self.chip.run(self.la(self.ring))

    def unload(self):
        kmdf.WdfObjectDelete(self.device)


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p.name)
def test_the_right_driver_runs_clean_on_every_platform(platform):
    driver = RingDriver(platform)
    assert driver.transfer() == bytes(range(64)) * 4
    assert driver.machine.cpu_read(driver.va(driver.data), 64) == bytes(range(63, -1, -1))
    driver.unload()
    assert driver.machine.frames.used == 0
    assert not driver.machine.verifier.findings


class UsesPhysical(RingDriver):
    def data_address(self, buffer):
        return int(self.machine.physical_address(self.va(buffer)))


@pytest.mark.parametrize(
    ("platform", "misuse"), [(IOMMU, Misuse.DMA_FAULT), (OFFSET, Misuse.BUS_FAULT), (MAPREG, Misuse.BUS_FAULT)]
)
def test_a_driver_that_gives_the_physical_address_is_named(platform, misuse):
    driver = UsesPhysical(platform)
    with pytest.raises(BusRefused) as caught:
        driver.transfer()
    assert "physical address of the buffer" in str(caught.value)
    assert driver.machine.verifier.of(misuse)


def test_on_a_flat_platform_only_the_types_catch_a_physical_address():
    driver = UsesPhysical(FLAT)
    driver.transfer()
    with pytest.raises(AddressKindError):
        driver.machine.device_read(driver.machine.physical_address(driver.va(driver.data)), 1)


class Truncates(RingDriver):
    def data_address(self, buffer):
        return self.la(buffer) & 0xFFFFFFFF


def test_a_driver_that_drops_the_upper_half_is_named():
    driver = Truncates(HIGH)
    with pytest.raises(BusRefused, match="upper half"):
        driver.transfer()


def test_a_32_bit_device_cannot_use_a_buffer_beyond_4_gib(bench):
    wide, narrow = bench(HIGH, "A64"), None
    buffer = wide.ok(4096)
    narrow = wide.get(replace(wide.adapter.core.description, dma_64bit_addresses=False))
    with pytest.raises(DmaViolation) as caught:
        wide.machine.device_read(buffer.la, 4, narrow.adapter.core)
    assert caught.value.misuse is Misuse.BEYOND_WIDTH


def another_adapter(b):
    return b.get(b.adapter.core.description)


WRONG = {
    "null adapter": (lambda b, x: b.ops.AllocateCommonBuffer(None, 1, Out(), True), 0x19),
    "double free": (lambda b, x: (b.free(x), b.free(x)), 0x03),
    "free of a stranger": (lambda b, x: b.free(replace(x, va=Va(0x1000), la=La(0x1000))), Misuse.UNKNOWN_FREE),
    "short free": (lambda b, x: b.free(replace(x, length=x.length - 1)), Misuse.FREE_MISMATCH),
    "free with the caching turned": (lambda b, x: b.free(replace(x, cache=not x.cache)), Misuse.FREE_MISMATCH),
    "free by another adapter": (lambda b, x: another_adapter(b).free(x), Misuse.FREE_MISMATCH),
    "put before free": (lambda b, x: b.ops.PutDmaAdapter(b.adapter), 0x07),
    "second put": (lambda b, x: (b.free(x), b.ops.PutDmaAdapter(b.adapter), b.ops.PutDmaAdapter(b.adapter)), 0x18),
    "cpu overrun": (lambda b, x: b.machine.cpu_write(x.va + x.length, b"!"), 0x0F),
    "cpu underrun": (lambda b, x: b.machine.cpu_read(x.va + -1, 1), 0x0F),
    "device overrun": (lambda b, x: b.machine.device_write(x.la + (x.length - 1), b"!!"), 0x0F),
    "cpu use after free": (lambda b, x: (b.free(x), b.machine.cpu_read(x.va, 1)), Misuse.USE_AFTER_FREE),
    "device use after free": (lambda b, x: (b.free(x), b.machine.device_read(x.la, 1)), Misuse.DEVICE_ASTRAY),
    "stray pointer": (lambda b, x: b.machine.cpu_read(Va(0x10), 1), Misuse.WILD_ADDRESS),
    "physical address of nothing": (lambda b, x: b.machine.physical_address(Va(0x10)), Misuse.WILD_ADDRESS),
    "alignment of no adapter": (lambda b, x: b.ops.GetDmaAlignment(None), 0x19),
    "counter of no adapter": (lambda b, x: b.ops.ReadDmaCounter(None), 0x19),
    "buffer freed as pool": (lambda b, x: b.machine.free_pool(x.va), Misuse.UNKNOWN_FREE),
    "absent routine": (lambda b, x: b.ex(4096), Misuse.ABSENT_ROUTINE),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_call_is_caught_with_its_rule_its_words_and_its_place(bench, wrong):
    call, expected = wrong
    b = bench(FLAT.verified())
    buffer = b.ok(100)
    with pytest.raises(DmaViolation) as caught:
        call(b, buffer)
    assert expected in (caught.value.code, caught.value.misuse)
    assert caught.value.finding.rule.mistake in str(caught.value)
    assert "nthal" not in caught.value.finding.place
    assert ".py:" in caught.value.finding.place


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_report_mode_lists_the_same_finding_and_breaks_nothing(bench, wrong):
    call, expected = wrong
    b = bench(FLAT.verified(stop=False))
    call(b, b.ok(100))
    assert any(expected in (finding.code, finding.misuse) for finding in b.machine.verifier.findings)


@pytest.mark.parametrize("call", ["allocate", "free", "adapter"])
def test_a_wrong_irql_without_the_verifier_raises_too(bench, call):
    b = bench()
    buffer = b.ok(1)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL), pytest.raises(DmaViolation) as caught:
        {"allocate": lambda: b.acb(1), "free": lambda: b.free(buffer), "adapter": lambda: another_adapter(b)}[call]()
    assert (caught.value.code, caught.value.misuse) == (None, Misuse.WRONG_IRQL)


def test_put_with_a_live_buffer_without_the_verifier_is_a_finding_and_the_buffer_stays_freeable(bench):
    b = bench()
    buffer = b.ok(4096)
    b.ops.PutDmaAdapter(b.adapter)
    b.machine.device_write(buffer.la, b"still")
    b.free(buffer)
    assert b.used == 0
    assert [f.misuse for f in b.machine.verifier.findings] == [Misuse.PUT_WITH_BUFFERS, Misuse.ADAPTER_GONE]


def test_reactos_frees_by_address_and_keeps_quiet_about_the_tail(bench):
    b = bench(FLAT.with_profile("reactos"))
    buffer = b.ok(100)
    b.machine.cpu_write(buffer.va + 100, b"tail")
    b.free(replace(buffer, length=50, cache=False))
    assert b.used == 0


def test_strict_keeps_the_advice(bench):
    b = bench(FLAT.with_profile("strict"))
    b.ok(5000)
    assert {finding.misuse for finding in b.machine.verifier.findings} == {Misuse.WASTEFUL, Misuse.MANY_SMALL}


def mapped(b, length, **where):
    """A packet mapping of a program's buffer; gives its only element."""
    pool = b.machine.allocate_pool(length, **where)
    mdl = wdm.IoAllocateMdl(pool, length, False, False)
    wdm.MmProbeAndLockPages(mdl)
    made = []
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.GetScatterGatherList(
            b.adapter, wdm.DeviceObject(), mdl, pool, length, lambda *a: made.append(a[2]), None, True
        )
    return made[0], pool


@pytest.mark.parametrize("stop", [True, False], ids=["stop", "report"])
def test_what_fits_has_moved_when_a_device_is_refused(bench, stop):
    b = bench(FLAT.verified(stop=stop))
    buffer = b.ok(100)
    bus = DeviceBus(b.machine, b.adapter.core)
    with pytest.raises(BusRefused, match="offset 100") as caught:
        bus.write_from(int(buffer.la) + 96, memoryview(b"12345678"))
    assert (caught.value.moved, caught.value.address) == (4, int(buffer.la) + 100)
    into = bytearray(8)
    with pytest.raises(BusRefused, match="offset 100"):
        bus.read_into(int(buffer.la) + 96, memoryview(into))
    assert into == b"1234" + bytes(4)
    with pytest.raises(BusRefused, match="cannot drive so wide"):
        bus.read_into(0xFFFF_FFFF + 1, memoryview(into))


def test_a_silent_tail_is_within_a_devices_reach(bench):
    b = bench(FLAT.with_switches(tail=Tail.SILENT))
    buffer = b.ok(100)
    assert b.machine.bus.reach(buffer.la, 5000, b.adapter.core) == 4096
    assert b.machine.bus.reach(buffer.la + -1, 1, b.adapter.core) == 0


def refusal(b, la):
    with pytest.raises(DmaViolation) as caught:
        b.machine.device_read(la, 1, b.adapter.core)
    return str(caught.value)


def test_the_words_of_a_refusal_name_the_mistake_that_the_number_betrays(bench):
    b = bench(IOMMU)
    buffer = b.ok(4096)
    made, pool = mapped(b, 4096)
    element = made.elements[0]
    assert "physical address of the buffer" in refusal(b, La(b.pa(buffer)))
    assert "virtual address of the buffer" in refusal(b, La(buffer.va.low))
    assert "physical address of the transfer" in refusal(b, La(int(b.machine.physical_address(pool))))
    assert "the byte after the transfer of 4096 bytes" in refusal(b, element.address + 4096)
    with b.machine.at_irql(Irql.DISPATCH_LEVEL):
        b.ops.PutScatterGatherList(b.adapter, made, True)
    assert "was there until it was flushed" in refusal(b, element.address)
    b.free(buffer)
    assert "was there until it was freed" in refusal(b, buffer.la)


def test_a_list_is_put_in_the_direction_that_it_was_made_for(bench):
    """DDI PutScatterGatherList: WriteToDevice as it was; ROS hal dma.c flushes by what it is given."""
    b = bench()
    made, _ = mapped(b, 4096)
    with (
        b.machine.at_irql(Irql.DISPATCH_LEVEL),
        pytest.raises(DmaViolation, match="WriteToDevice False, the list was made with True") as caught,
    ):
        b.ops.PutScatterGatherList(b.adapter, made, False)
    assert caught.value.misuse is Misuse.FLUSH_NOT_MAPPED


def test_the_map_registers_of_a_live_buffer_are_no_finding_of_their_own(bench):
    """0xE6/0x09 asks for FreeMapRegisters, and those of a common buffer go with the buffer."""
    b = bench(MAPREG.verified(stop=False))
    b.ok(4096)
    b.ops.PutDmaAdapter(b.adapter)
    assert [finding.misuse for finding in b.machine.verifier.findings] == [Misuse.PUT_WITH_BUFFERS]


def test_a_packet_address_without_its_upper_half_is_named(bench):
    b = bench(HIGH, "A64")
    made, _ = mapped(b, 4096)
    assert "without its upper half" in refusal(b, La(made.elements[0].address.low))


def test_a_finding_on_behalf_of_a_place_stands_there(bench):
    b = bench(FLAT.verified(stop=False))
    with b.machine.verifier.on_behalf_of("driver.c:7 in Start"):
        b.machine.device_read(La(0x10), 1)
    b.machine.device_read(La(0x10), 1)
    places = [finding.place for finding in b.machine.verifier.findings]
    assert places[0] == "driver.c:7 in Start"
    assert places[1].startswith("test_driver.py:")


# --- views ---------------------------------------------------------------------------------------------------------


def test_the_dump_shows_what_is_out(bench):
    b = bench(maximum_length=1 << 20)
    b.ok(0x12010)
    core = b.adapter.core
    assert f"Adapter {core.number}" in dump(b.machine)
    text = dump_adapter(core, Show.GENERIC | Show.COMMON_BUFFERS | Show.DESCRIPTION | Show.LISTS | Show.MAP_REGISTERS)
    assert "length 0x12010" in text
    assert "buffers    allocated 1, freed 0" in text
    assert len(picture(b.machine).splitlines()) == 2


def test_addresses_refuse_to_mix_and_keep_their_halves():
    assert La(0x1_2345_6789).low == 0x2345_6789
    assert La(0x1_2345_6789).high == 1
    assert Va(8) - Va(4) == 4
    assert La(4) < La(8) <= La(8)
    assert La(8) > La(4) >= La(4)
    for mix in (
        lambda: La(1) == Pa(1),
        lambda: La(1) - Va(1),
        lambda: La(1) + Pa(1),
        lambda: La(Pa(1)),
        lambda: La(1) < Pa(2),
    ):
        with pytest.raises(AddressKindError):
            mix()
    with pytest.raises(ValueError, match="64-bit"):
        La(1 << 64)
    assert La(1) != "1"
    with pytest.raises(LookupError):
        _ = Out().taken


def test_a_routine_outside_a_machine_says_so():
    with pytest.raises(NotRunning):
        current_machine()


def test_the_command_line_lists_judges_and_exports(tmp_path, capsys):
    assert main(["clauses"]) == 0
    assert "CB-36" in capsys.readouterr().out
    log = tmp_path / "seen.jsonl"
    log.write_text('{"order": 1, "length": 1, "la": 4096, "va": 4096, "limit": 16, "pages": [1]}\n')
    assert main(["check", str(log)]) == 1
    out = capsys.readouterr().out
    assert "observation 1: CB-50 violated" in out
    assert "common buffers: 1 observed" in out
    log.write_text('{"order": 1, "length": 1, "la": 4096, "va": 4096, "limit": 8192, "pages": [1]}\n')
    assert main(["check", str(log)]) == 0
    log.write_text("?")
    assert main(["check", str(log)]) == 2
    capsys.readouterr()
    assert main(["vectors"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert main(["schema"]) == 0
