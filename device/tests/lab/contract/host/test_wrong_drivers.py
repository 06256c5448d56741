# SPDX-License-Identifier: Apache-2.0
"""Drivers that differ from the right one by one mistake: each is caught, by its rule, in words, at its line."""

from dataclasses import dataclass, replace

import pytest

from nthal import kmdf, wdm
from nthal.platforms import ARM0, BIG, FLAT, FULL, HIGH, IOMMU, MAPREG, OFFSET, CacheUpkeep, Platform, Tail
from nthal.types import La, Out
from nthal.verifier import Misuse
from nthal.windows import AllocationAction, Irql, WindowsVersion
from tests.lab.contract.host.wdk_driver import (
    ALIGNMENT_MASK,
    ELEMENT,
    ELEMENTS,
    LIST_BYTES,
    WRITE,
    ChannelDriver,
    ListBuffer,
    WdkDriver,
    WdmDriver,
)


def free(driver: WdmDriver, raw: ListBuffer, *, cache: bool = False) -> None:
    driver.adapter.DmaOperations.FreeCommonBuffer(driver.adapter, raw.length, raw.la, raw.va, cache)


# --- frees -----------------------------------------------------------------------------------------------------------


class FreesWhatItUses(WdmDriver):
    """Gives the length that it needs, not the one that it asked for."""

    def free_list(self, raw):
        free(self, replace(raw, length=LIST_BYTES))


class FreesByAlignedAddress(WdmDriver):
    """Gives the aligned virtual address, which is not the buffer's."""

    def free_list(self, raw):
        free(self, replace(raw, va=self.align(raw).va))


class FreesWithOtherLa(WdmDriver):
    """Forgot the logical address, as nobody needed it any more."""

    def free_list(self, raw):
        free(self, replace(raw, la=La(0)))


class FreesWithOtherCaching(WdmDriver):
    """Thinks that an ignored argument may be anything."""

    def free_list(self, raw):
        free(self, raw, cache=True)


class FreesThroughAnotherAdapter(WdmDriver):
    """Gets an adapter for the removal alone."""

    def free_list(self, raw):
        other = wdm.IoGetDmaAdapter(self.host.pdo, self.description(), Out())
        other.DmaOperations.FreeCommonBuffer(other, raw.length, raw.la, raw.va, False)


class FreesTwice(WdmDriver):
    """Frees each list and does not clear its pointer."""

    def free_list(self, raw):
        free(self, raw)
        free(self, raw)


class HasASecondFreePath(WdmDriver):
    """Stops and removes, and frees in both."""

    def d0_exit(self):
        super().d0_exit()
        for raw in self.raw.values():
            self.free_list(raw)

    def free_lists(self):
        for raw in self.raw.values():
            self.free_list(raw)


class FreesAtDispatch(WdmDriver):
    """Frees where the DPC left it."""

    def free_lists(self):
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            super().free_lists()


class LeaksAList(WdmDriver):
    """Frees one list of the two, and no adapter."""

    def free_lists(self):
        self.free_list(self.raw[WRITE])

    def put_adapter(self):
        pass


class PutsTheAdapterFirst(WdmDriver):
    """Releases in the order of acquisition."""

    def remove_device(self):
        self.put_adapter()
        self.free_lists()


class UsesTheAdapterAfterPut(WdmDriver):
    """Puts the adapter once more on the way out."""

    def put_adapter(self):
        super().put_adapter()
        super().put_adapter()


# --- allocations -----------------------------------------------------------------------------------------------------


class AllocatesAtDispatch(WdmDriver):
    """Holds a spin lock around its start."""

    def create_list(self, channel):
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            return super().create_list(channel)


class DoesNotCheckNull(WdmDriver):
    """Believes that memory is always there."""

    def create_list(self, channel):
        va, la = self.allocate(self.raw_length())
        self.lists[channel] = ListBuffer(va, la, LIST_BYTES)
        self.zero(channel)
        return True


class DoesNotCheckTheAdapter(WdmDriver):
    """Believes that it is always given an adapter."""

    def add_device(self):
        saved = wdm.IoGetDmaAdapter(self.host.pdo, self.description(), Out()).DmaOperations.AllocateCommonBuffer
        newer = replace(self.description(), version=3, dma_address_width=32)
        saved(wdm.IoGetDmaAdapter(self.host.pdo, newer, Out()), LIST_BYTES, Out(), True)


class AssumesAPage(WdmDriver):
    """Takes it for granted that a buffer begins on a page."""

    def raw_length(self):
        return LIST_BYTES + 4

    def align(self, raw):
        return ListBuffer(raw.va, raw.la, LIST_BYTES)


class GivesABoundaryForAMask(WdkDriver):
    """Asks for 16 where 15 is meant."""

    def create_enabler(self):
        kmdf.WdfDeviceSetAlignmentRequirement(self.device, ALIGNMENT_MASK + 1)
        return super().create_enabler()


class AsksForAlignmentInVain(WdkDriver):
    """Has a packet profile, whose buffers take no alignment from the device."""

    profile = kmdf.WDF_DMA_PROFILE.PACKET


# --- memory ----------------------------------------------------------------------------------------------------------


class ZeroesOneByteMore(WdkDriver):
    """Writes one byte past the list."""

    def zero(self, channel):
        kept = self.lists[channel]
        self.machine.cpu_write(kept.va, bytes(kept.length + 1))


class ZeroesAPage(WdkDriver):
    """Takes the whole page that was consumed."""

    def zero(self, channel):
        self.machine.cpu_write(self.lists[channel].va, bytes(4096))


class BeginsBeforeItsList(WdkDriver):
    """Keeps a header before the list."""

    def zero(self, channel):
        super().zero(channel)
        self.machine.cpu_write(self.lists[channel].va + -8, bytes(8))


class AssumesZero(WdkDriver):
    """Counts on new memory being zero, and adds its flags to what is there."""

    def zero(self, channel):
        pass

    def build(self, channel, pieces, at):
        pointer = self.lists[channel].va + 12
        flags = self.machine.load(pointer, 4)
        super().build(channel, pieces, at)
        self.machine.store(pointer, self.machine.load(pointer, 4) | flags, 4)


class StartsWithoutAList(WdkDriver):
    """Starts the chip before it wrote the elements."""

    def zero(self, channel):
        pass

    def build(self, channel, pieces, at):
        self.start(channel)
        self.host.run()


class UsesTheListAfterItsEnd(WdkDriver):
    """Clears its lists once everything is deleted."""

    def remove_device(self):
        super().remove_device()
        self.zero(WRITE)


class DeletesWhileTheChipRuns(WdkDriver):
    """Deletes everything, then starts the chip a last time: no different from not stopping it."""

    def remove_device(self):
        super().remove_device()
        self.start(WRITE)
        self.host.run()


# --- addresses -------------------------------------------------------------------------------------------------------


class GivesPhysical(WdkDriver):
    """Translates by itself."""

    def list_address(self, channel):
        return self.machine.physical_address(self.lists[channel].va).low


class GivesVirtual(WdkDriver):
    """Gives the chip its own pointer, as far as it fits."""

    def list_address(self, channel):
        return self.lists[channel].va.low


class DropsTheUpperHalf(WdkDriver):
    """Describes 64 bits and programs 32."""

    profile = kmdf.WDF_DMA_PROFILE.SCATTER_GATHER_64_DUPLEX

    def device_address(self, la):
        return la.low


# --- transfers -------------------------------------------------------------------------------------------------------


class MovesTooMuch(WdkDriver):
    """Gives the chip four bytes more than it mapped."""

    def element_count(self, length):
        return length + 4


class BuildsTooManyElements(WdkDriver):
    """Never tells the enabler how many elements a list holds."""

    def build(self, channel, pieces, at):
        for index in range(ELEMENTS + 1):
            self.machine.cpu_write(self.lists[channel].va + index * ELEMENT, bytes(ELEMENT))
        super().build(channel, pieces, at)


class DoesNotFlushCaches(WdkDriver):
    """Omits KeFlushIoBuffers."""

    def prepare(self, request):
        pass


class DoesNotPutItsLists(WdmDriver):
    """Ends its requests and keeps the lists."""

    def unmap(self, request):
        self.open.pop(request.channel)

    def complete(self, request, status):
        request.status = status


class CompletesBeforeItFlushes(ChannelDriver):
    """Completes the request, then flushes."""

    def unmap(self, request):
        wdm.IoCompleteRequest(self.adapter, request.mdl)
        super().unmap(request)


class FreesRegistersBeforeItFlushes(ChannelDriver):
    """Frees the map registers first."""

    def unmap(self, request):
        base, _va, _length, registers = self.open.pop(request.channel)
        self.free_registers(base, registers)


class LeaksMapRegisters(ChannelDriver):
    """Flushes and forgets FreeMapRegisters."""

    def free_registers(self, base, registers):
        pass


class FreesTooManyRegisters(ChannelDriver):
    """Frees what the adapter has, not what it took."""

    def free_registers(self, base, registers):
        super().free_registers(base, registers + 1)


class FreesTheChannelToo(ChannelDriver):
    """Frees a channel that AdapterControl gave back already."""

    def free_registers(self, base, registers):
        super().free_registers(base, registers)
        self.adapter.DmaOperations.FreeAdapterChannel(self.adapter)


class MapsNothing(ChannelDriver):
    """Maps a last piece of zero bytes."""

    def map_transfer(self, request, base, va, size):
        la = super().map_transfer(request, base, va, size)
        super().map_transfer(request, base, va + size.taken, Out(0))
        return la


class MapsTwice(ChannelDriver):
    """Maps each piece again."""

    def map_transfer(self, request, base, va, size):
        super().map_transfer(request, base, va, Out(size.taken))
        return super().map_transfer(request, base, va, size)


class FlushesTwice(ChannelDriver):
    """Flushes in its interrupt and in its DPC."""

    def flush(self, request, base, va, length):
        super().flush(request, base, va, length)
        super().flush(request, base, va, length)


class AsksForTooManyRegisters(ChannelDriver):
    """Sizes its channel by the program's whole buffer."""

    def map(self, request, length):
        def control(*_):
            return AllocationAction.KEEP_OBJECT

        self.adapter.DmaOperations.AllocateAdapterChannel(self.adapter, self.host.pdo, 64, control, None)


class GoesPastTheMdl(ChannelDriver):
    """Maps from the end of the MDL on."""

    def map_transfer(self, request, base, va, size):
        return super().map_transfer(request, base, request.mdl.va + request.length, size)


class ListsBeforeTheMdl(WdmDriver):
    """Gives GetScatterGatherList the page's start for the buffer's."""

    def map(self, request, length):
        operations, page = self.adapter.DmaOperations, request.mdl.va + -(int(request.mdl.va) % 4096)
        operations.GetScatterGatherList(
            self.adapter, self.host.pdo, request.mdl, page, length, self.list_control, request, True
        )


STRICT_ARM0 = ARM0.with_switches(map_keeps_caches=CacheUpkeep.NEVER)
"""By default version 3, which the framework takes on ARM, keeps the caches (CB-67)."""


@dataclass(frozen=True)
class Case:
    """A wrong driver, where it runs, and what must be said: rule, subcode of 0xE6, words, and the method at fault."""

    driver: type
    misuse: Misuse
    code: int | None
    words: str
    method: str
    platform: Platform = FLAT
    parameter: int | None = None


M = Misuse
OLD = replace(FLAT, windows=WindowsVersion.WINDOWS_7)
CASES = (
    Case(FreesWhatItUses, M.FREE_MISMATCH, None, "Length 160, allocated 175", "free"),
    Case(FreesByAlignedAddress, M.FREE_MISMATCH, None, "VirtualAddress", "free"),
    Case(FreesWithOtherLa, M.FREE_MISMATCH, None, "LogicalAddress La(0x0)", "free"),
    Case(FreesWithOtherCaching, M.FREE_MISMATCH, None, "CacheEnabled True, allocated False", "free"),
    Case(FreesThroughAnotherAdapter, M.FREE_MISMATCH, None, "it belongs to adapter 1 of driver", "free_list"),
    Case(FreesTwice, M.DOUBLE_FREE, 0x03, "freed before", "free", parameter=1),
    Case(HasASecondFreePath, M.DOUBLE_FREE, 0x03, "freed before", "free_list"),
    Case(FreesAtDispatch, M.WRONG_IRQL, 0x13, "FreeCommonBuffer wants PASSIVE_LEVEL", "free_list", parameter=1),
    Case(LeaksAList, M.LEAK, None, "leaves 1 common buffers: 175 bytes", "life"),
    Case(PutsTheAdapterFirst, M.PUT_WITH_BUFFERS, 0x07, "2 buffers of adapter 1", "put_adapter", parameter=1),
    Case(UsesTheAdapterAfterPut, M.ADAPTER_GONE, 0x18, "PutDmaAdapter(adapter 1", "put_adapter"),
    Case(AllocatesAtDispatch, M.WRONG_IRQL, 0x13, "AllocateCommonBuffer wants PASSIVE_LEVEL", "allocate", parameter=1),
    Case(DoesNotCheckNull, M.NULL_USED, None, "there are not enough free pages", "zero", FULL),
    Case(DoesNotCheckTheAdapter, M.NULL_ADAPTER, 0x19, "AllocateCommonBuffer(NULL", "add_device", OLD),
    Case(AssumesAPage, M.OUTSIDE_BUFFER, 0x0F, "offset -8", "start", parameter=1),
    Case(GivesABoundaryForAMask, M.NOT_A_MASK, None, "0x10, 0xf was meant", "create_enabler"),
    Case(AsksForAlignmentInVain, M.NO_EFFECT, None, "alignment 0xf on profile PACKET", "create_enabler"),
    Case(ZeroesOneByteMore, M.OUTSIDE_BUFFER, 0x0F, "CPU write of 161 bytes", "zero", parameter=2),
    Case(ZeroesAPage, M.OUTSIDE_BUFFER, 0x0F, "CPU write of 4096 bytes", "zero", parameter=2),
    Case(BeginsBeforeItsList, M.OUTSIDE_BUFFER, 0x0F, "offset -8", "zero", parameter=1),
    Case(AssumesZero, M.NEVER_WRITTEN, None, "CPU read of 4 bytes", "build"),
    Case(StartsWithoutAList, M.NEVER_WRITTEN, None, "device read of 16 bytes", "start"),
    Case(UsesTheListAfterItsEnd, M.USE_AFTER_FREE, None, "common buffer freed before", "zero"),
    Case(DeletesWhileTheChipRuns, M.DEVICE_ASTRAY, None, "was there until it was freed", "start"),
    Case(DeletesWhileTheChipRuns, M.DMA_FAULT, 0x26, "was there until it was freed", "start", IOMMU),
    Case(GivesPhysical, M.DMA_FAULT, 0x26, "nothing is mapped there", "start", IOMMU),
    Case(GivesPhysical, M.BUS_FAULT, None, "physical address of the buffer", "start", OFFSET),
    Case(GivesPhysical, M.BUS_FAULT, None, "physical address of the buffer", "start", MAPREG),
    Case(GivesVirtual, M.DEVICE_ASTRAY, None, "virtual address of the buffer", "start"),
    Case(DropsTheUpperHalf, M.DEVICE_ASTRAY, None, "without its upper half", "start", HIGH),
    Case(MovesTooMuch, M.DEVICE_ASTRAY, None, "the byte after the transfer", "start"),
    Case(BuildsTooManyElements, M.OUTSIDE_BUFFER, 0x0F, "offset 160", "build", parameter=2),
    Case(DoesNotFlushCaches, M.STALE_DATA, None, "older than the CPU's", "start", STRICT_ARM0),
    Case(DoesNotPutItsLists, M.PUT_WITH_REGISTERS, 0x09, "registers of adapter 1", "put_adapter", BIG),
    Case(CompletesBeforeItFlushes, M.NOT_FLUSHED, 0x0D, "bytes on adapter 1", "unmap"),
    Case(FreesRegistersBeforeItFlushes, M.FREED_WHILE_MAPPED, 0x10, "mappings", "free_registers"),
    Case(LeaksMapRegisters, M.PUT_WITH_REGISTERS, 0x09, "registers of adapter 1", "put_adapter", BIG),
    Case(FreesTooManyRegisters, M.REGISTERS_OVERFREED, 0x05, "freed, 3 are out", "free_registers"),
    Case(FreesTheChannelToo, M.CHANNEL_FREED_TWICE, 0x04, "FreeAdapterChannel(adapter 1", "free_registers"),
    Case(MapsNothing, M.ZERO_MAP, 0x21, "at Va(", "map_transfer"),
    Case(MapsTwice, M.ALREADY_MAPPED, 0x1D, "bytes at Va(", "map_transfer"),
    Case(FlushesTwice, M.FLUSH_NOT_MAPPED, 0x16, "bytes at Va(", "flush"),
    Case(AsksForTooManyRegisters, M.TOO_MANY_REGISTERS, 0x0C, "64 registers", "map"),
    Case(GoesPastTheMdl, M.OUTSIDE_MDL, 0x1B, "the MDL has 20000", "map_transfer"),
    Case(ListsBeforeTheMdl, M.INVALID_BUFFER, 0x1F, "the MDL has 20000", "map", parameter=1),
)


def label(case: Case) -> str:
    return f"{case.driver.__name__}-{case.platform.name}"


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_wrong_driver_is_caught_by_its_rule_in_words_and_at_its_line(world, case):
    w = world(case.platform, case.driver)
    w.life()
    finding = w.the(case.misuse)
    assert finding is w.findings[0], "the mistake itself is the first thing said"
    assert finding.code == case.code
    assert case.words in str(finding)
    assert finding.rule.mistake in str(finding)
    assert finding.rule.hint in str(finding)
    assert finding.place.endswith(f" in {case.method}"), finding.place
    assert finding.place.startswith(("test_wrong_drivers.py:", "wdk_driver.py:", "conftest.py:"))
    if case.parameter is not None:
        assert finding.parameters[0] == case.parameter


@pytest.mark.parametrize("wrong", [ZeroesOneByteMore, BeginsBeforeItsList], ids=lambda kind: kind.__name__)
def test_a_stray_write_that_goes_unseen_is_found_by_the_guard_bytes_at_the_free(world, wrong):
    """As on Windows, where the write itself hits padding and nobody looks until the buffer is freed."""
    w = world(FLAT.with_switches(tail=Tail.SILENT), wrong)
    w.life()
    finding = w.the(M.OUTSIDE_BUFFER)
    assert finding.code == 0x0F
    assert "create_list" in finding.detail, "the words name the buffer's own line"
    assert finding.place.endswith(" in remove_device")


def test_every_wrong_driver_is_another_one():
    assert len({case.driver for case in CASES}) == 42
    assert len({case.misuse for case in CASES}) == 28
