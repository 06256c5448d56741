# SPDX-License-Identifier: Apache-2.0
"""The driver of seed 000 told again in Python: KMDF objects above, the chip's registers below, nthal as the machine.

It creates a common buffer per direction in its add-device routine, as the seed shows, builds the chip's transfer
elements in it, starts the chip, takes the interrupt and finishes the request in its DPC. Register facts are those of
reference plx9x5x 9.1; the words and the code are ours.

`WdkDriver` talks KMDF. `WdmDriver` is the same device driven by WDM calls, `ChannelDriver` maps its transfers itself.
Each step of each is a method of its own, so that a wrong driver differs by one of them.
"""

import struct
from dataclasses import dataclass
from typing import Final

from nthal import kmdf, nt, wdm
from nthal.framework import CommonBuffer, Device, Enabler
from nthal.records.mdl import Mdl
from nthal.transaction import Transaction
from nthal.types import KIB, La, Out, Va
from nthal.windows import AllocationAction, InterfaceType, Irql, NtStatus, nt_success
from plx9x5x.lab.contract.host import NthalHost
from plx9x5x.model.chip import Chip

WRITE, READ = 0, 1
"""Channel 0 moves to the device, channel 1 from it."""

OPERATION: Final = 8 * KIB
"""Bytes that the chip is given at once."""
ELEMENT: Final = 32
ELEMENTS: Final = 5
"""Pages that MaximumLength bytes touch at most: the framework counts them before it cuts a request."""
LIST_BYTES: Final = ELEMENT * ELEMENTS
ALIGNMENT_MASK: Final = 15
"""The chip's list address has no bits below 16."""
MAXIMUM: Final = OPERATION + 2 * 4 * KIB
"""MaximumLength: one operation, and a page for each list, since common buffers count against the map registers."""

INTCSR, CNTRL = 0x68, 0x6C
MODE, DPR, CSR, DAC = (0x80, 0x94), (0x90, 0xA4), (0xA8, 0xA9), (0xB4, 0xB8)
CHAINED, DONE_INTERRUPT, CLEAR_COUNT, TO_INTA = 1 << 9, 1 << 10, 1 << 16, 1 << 17
INTERRUPTS_ON, CHANNEL_ON, CHANNEL_ACTIVE = 1 << 8, (1 << 18, 1 << 19), (1 << 21, 1 << 22)
ENABLE_START, CLEAR, DONE = 3, 8, 0x10
IN_PCI, LAST, TERMINAL, TO_PCI = 1, 2, 4, 8

Pieces = list[tuple[La, int]]


@dataclass(eq=False)
class Request:
    """One read or write of a program: `mdl` is its locked buffer, `at` where on the card. `status` None is pending."""

    channel: int
    mdl: Mdl
    at: int
    status: NtStatus | None = None
    information: int = 0
    done: int = 0

    @property
    def length(self) -> int:
        return wdm.MmGetMdlByteCount(self.mdl)


@dataclass
class ListBuffer:
    """What the driver keeps of a common buffer."""

    va: Va
    la: La
    length: int


class Card:
    """The chip's side of the driver, whatever made the buffers."""

    def __init__(self, host: NthalHost[Chip]) -> None:
        self.host = host
        self.machine = host.machine
        self.registers = host.registers
        self.lists: dict[int, ListBuffer] = {}
        self.requests: dict[int, Request | None] = {WRITE: None, READ: None}
        self.moving = {WRITE: 0, READ: 0}
        """Bytes of the operation that the channel does."""
        self.csr = {WRITE: 0, READ: 0}
        self.interrupt = host.connect(self.isr, self.dpc)

    # --- power -----------------------------------------------------------------------------------------------------

    def d0_entry(self) -> None:
        for offset in DAC:
            self.registers.write_ulong(offset, 0)
        self.registers.write_ulong(INTCSR, self.registers.read_ulong(INTCSR) | INTERRUPTS_ON)

    def d0_exit(self) -> None:
        self.registers.write_ulong(INTCSR, self.registers.read_ulong(INTCSR) & ~INTERRUPTS_ON)

    # --- the list --------------------------------------------------------------------------------------------------

    def zero(self, channel: int) -> None:
        """RtlZeroMemory over the whole length, and not one byte more."""
        kept = self.lists[channel]
        self.machine.cpu_write(kept.va, bytes(kept.length))

    def device_address(self, la: La) -> int:
        """What goes into a register or an element of 32 bits; the chip loads no upper half here."""
        assert not la.high, "the enabler was told that the device drives 32 bits"
        return la.low

    def element_count(self, length: int) -> int:
        return length

    def build(self, channel: int, pieces: Pieces, at: int) -> None:
        """Write the transfer elements for one operation, `at` bytes into the card's memory."""
        assert len(pieces) <= ELEMENTS
        kept = self.lists[channel]
        first = self.list_address(channel)
        for index, (la, length) in enumerate(pieces):
            pointer = first + (index + 1) * ELEMENT | IN_PCI
            pointer |= LAST if index == len(pieces) - 1 else 0
            pointer |= TO_PCI if channel == READ else 0
            words = (self.device_address(la), at, self.element_count(length), pointer, 0, 0, 0, 0)
            self.machine.cpu_write(kept.va + index * ELEMENT, struct.pack("<8I", *words))
            at += length
        self.moving[channel] = sum(length for _, length in pieces)

    def list_address(self, channel: int) -> int:
        return self.device_address(self.lists[channel].la)

    def start(self, channel: int) -> None:
        registers = self.registers
        mode = CHAINED | DONE_INTERRUPT | TO_INTA | (CLEAR_COUNT if channel == READ else 0)
        registers.write_ulong(MODE[channel], registers.read_ulong(MODE[channel]) | mode)
        registers.write_ulong(INTCSR, registers.read_ulong(INTCSR) | INTERRUPTS_ON | CHANNEL_ON[channel])
        registers.write_ulong(DPR[channel], self.list_address(channel) | IN_PCI | TERMINAL)
        registers.write_uchar(CSR[channel], registers.read_uchar(CSR[channel]) | ENABLE_START)

    # --- the end of an operation -----------------------------------------------------------------------------------

    def isr(self) -> bool:
        status = self.registers.read_ulong(INTCSR)
        mine = [channel for channel in (WRITE, READ) if status & CHANNEL_ACTIVE[channel]]
        for channel in mine:
            self.csr[channel] = self.registers.read_uchar(CSR[channel])
            self.registers.write_uchar(CSR[channel], self.csr[channel] | CLEAR)
        if any(self.csr[channel] & DONE for channel in mine):
            self.interrupt.queue_dpc()
        return bool(mine)

    def dpc(self) -> None:
        for channel in (WRITE, READ):
            if self.csr[channel] & DONE:
                self.csr[channel] = 0
                self.finish(channel, self.bytes_moved(channel))

    def bytes_moved(self, channel: int) -> int:
        """A read is counted by what the chip left in the elements' counts, element by element to the last."""
        if channel == WRITE:
            return self.moving[channel]
        left, at = 0, self.lists[channel].va
        while True:
            left += self.machine.load(at + 8, 4)
            if self.machine.load(at + 12, 4) & LAST:
                return self.moving[channel] - left
            at = at + ELEMENT

    def finish(self, channel: int, moved: int) -> None:
        raise NotImplementedError

    def complete(self, request: Request, status: NtStatus) -> None:
        request.status, request.information = status, request.done
        self.requests[request.channel] = None

    def prepare(self, request: Request) -> None:
        """Before any transfer caches and memory must agree about the program's buffer."""
        wdm.KeFlushIoBuffers(request.mdl, request.channel == READ, True)


class WdkDriver(Card):
    """The driver in KMDF."""

    profile = kmdf.WDF_DMA_PROFILE.SCATTER_GATHER_DUPLEX
    """The sample asks for the 64-bit profile, but lets the chip load lists and addresses of 32 bits only; so ask for
    what the chip really does."""

    def __init__(self, host: NthalHost[Chip]) -> None:
        super().__init__(host)
        self.device = Device(host.machine, pdo=host.pdo)
        self.enabler: Enabler | None = None
        self.buffers: dict[int, CommonBuffer] = {}
        self.transactions: dict[int, Transaction] = {}

    def add_device(self) -> NtStatus:
        """EvtDriverDeviceAdd: all or nothing."""
        status = self.create_all()
        if nt_success(status):
            self.d0_entry()
        else:
            kmdf.WdfObjectDelete(self.device)
        return status

    def create_all(self) -> NtStatus:
        status = self.create_enabler()
        for channel in (WRITE, READ):
            if nt_success(status):
                status = self.create_list(channel)
        for channel in (WRITE, READ):
            if nt_success(status):
                transaction: Out[Transaction] = Out()
                status = kmdf.WdfDmaTransactionCreate(self.enabler, kmdf.WDF_NO_OBJECT_ATTRIBUTES, transaction)
                self.transactions[channel] = transaction.taken
        return status

    def create_enabler(self) -> NtStatus:
        kmdf.WdfDeviceSetAlignmentRequirement(self.device, ALIGNMENT_MASK)
        config = kmdf.WDF_DMA_ENABLER_CONFIG(self.profile, MAXIMUM)
        enabler: Out[Enabler] = Out()
        status = kmdf.WdfDmaEnablerCreate(self.device, config, kmdf.WDF_NO_OBJECT_ATTRIBUTES, enabler)
        if nt_success(status):
            self.enabler = enabler.taken
            kmdf.WdfDmaEnablerSetMaximumScatterGatherElements(self.enabler, ELEMENTS)
        return status

    def create_list(self, channel: int) -> NtStatus:
        buffer: Out[CommonBuffer] = Out()
        status = kmdf.WdfCommonBufferCreate(self.enabler, LIST_BYTES, kmdf.WDF_NO_OBJECT_ATTRIBUTES, buffer)
        if nt_success(status):
            made = self.buffers[channel] = buffer.taken
            self.lists[channel] = ListBuffer(
                kmdf.WdfCommonBufferGetAlignedVirtualAddress(made),
                kmdf.WdfCommonBufferGetAlignedLogicalAddress(made),
                kmdf.WdfCommonBufferGetLength(made),
            )
            self.zero(channel)
        return status

    def remove_device(self) -> None:
        self.d0_exit()
        kmdf.WdfObjectDelete(self.device)

    def io(self, request: Request) -> None:
        """EvtIoRead and EvtIoWrite."""
        self.requests[request.channel] = request
        self.prepare(request)
        transaction = self.transactions[request.channel]
        status = kmdf.WdfDmaTransactionInitialize(
            transaction,
            self.program_dma,
            kmdf.WDF_DMA_DIRECTION(1 - request.channel),
            request.mdl,
            wdm.MmGetMdlVirtualAddress(request.mdl),
            request.length,
        )
        if nt_success(status):
            # The lists hold map registers for good: a transfer of the whole MaximumLength would wait for them for ever.
            kmdf.WdfDmaTransactionSetMaximumLength(transaction, OPERATION)
            status = kmdf.WdfDmaTransactionExecute(transaction, request)
        if not nt_success(status):
            kmdf.WdfDmaTransactionRelease(transaction)
            self.complete(request, status)

    def program_dma(self, transaction, device, request, direction, sg_list) -> bool:
        pieces = [(element.address, element.length) for element in sg_list.elements]
        self.build(request.channel, pieces, request.at + transaction.transferred)
        self.start(request.channel)
        return True

    def finish(self, channel: int, moved: int) -> None:
        transaction, request = self.transactions[channel], self.requests[channel]
        status: Out[NtStatus] = Out()
        ended = kmdf.WdfDmaTransactionDmaCompletedWithLength(transaction, moved, status)
        request.done += moved
        if ended:
            kmdf.WdfDmaTransactionRelease(transaction)
            self.complete(request, status.taken)


class WdmDriver(Card):
    """The same device by WDM calls: the driver frees what it allocated, and aligns its lists by itself."""

    def __init__(self, host: NthalHost[Chip]) -> None:
        super().__init__(host)
        self.adapter: wdm.DMA_ADAPTER | None = None
        self.raw: dict[int, ListBuffer] = {}
        self.open: dict[int, object] = {}

    def description(self) -> wdm.DEVICE_DESCRIPTION:
        return wdm.DEVICE_DESCRIPTION(
            version=2,
            master=True,
            scatter_gather=True,
            interface_type=InterfaceType.PCI,
            dma_32bit_addresses=True,
            maximum_length=MAXIMUM,
        )

    # --- IRP_MN_START_DEVICE, IRP_MN_REMOVE_DEVICE -------------------------------------------------------------------

    def add_device(self) -> NtStatus:
        self.map_registers: Out[int] = Out()
        self.adapter = wdm.IoGetDmaAdapter(self.host.pdo, self.description(), self.map_registers)
        if self.adapter is None:
            return NtStatus.INSUFFICIENT_RESOURCES
        for channel in (WRITE, READ):
            if not self.create_list(channel):
                self.undo()
                return NtStatus.INSUFFICIENT_RESOURCES
        self.d0_entry()
        return NtStatus.SUCCESS

    def undo(self) -> None:
        """The start fails: give back what was claimed so far."""
        self.free_lists()
        self.put_adapter()

    def allocate(self, length: int) -> tuple[Va | None, La]:
        la: Out[La] = Out()
        va = self.adapter.DmaOperations.AllocateCommonBuffer(self.adapter, length, la, False)
        return va, la.taken

    def raw_length(self) -> int:
        """No alignment is promised below a page, so ask for room to align."""
        return LIST_BYTES + ALIGNMENT_MASK

    def align(self, raw: ListBuffer) -> ListBuffer:
        skip = -int(raw.la) & ALIGNMENT_MASK
        return ListBuffer(raw.va + skip, raw.la + skip, LIST_BYTES)

    def create_list(self, channel: int) -> bool:
        va, la = self.allocate(self.raw_length())
        if va is None:
            return False
        self.raw[channel] = ListBuffer(va, la, self.raw_length())
        self.lists[channel] = self.align(self.raw[channel])
        self.zero(channel)
        return True

    def free_list(self, raw: ListBuffer) -> None:
        self.adapter.DmaOperations.FreeCommonBuffer(self.adapter, raw.length, raw.la, raw.va, False)

    def free_lists(self) -> None:
        while self.raw:
            self.free_list(self.raw.popitem()[1])

    def put_adapter(self) -> None:
        self.adapter.DmaOperations.PutDmaAdapter(self.adapter)

    def remove_device(self) -> None:
        self.d0_exit()
        self.free_lists()
        self.put_adapter()

    # --- a request, one operation after the other --------------------------------------------------------------------

    def io(self, request: Request) -> None:
        self.requests[request.channel] = request
        self.prepare(request)
        self.next_operation(request)

    def next_operation(self, request: Request) -> None:
        with self.machine.at_irql(Irql.DISPATCH_LEVEL):
            self.map(request, min(OPERATION, request.length - request.done))

    def map(self, request: Request, length: int) -> None:
        status = self.adapter.DmaOperations.GetScatterGatherList(
            self.adapter,
            self.host.pdo,
            request.mdl,
            wdm.MmGetMdlVirtualAddress(request.mdl) + request.done,
            length,
            self.list_control,
            request,
            request.channel == WRITE,
        )
        if not nt_success(status):
            self.complete(request, status)

    def list_control(self, device, irp, sg_list, request) -> None:
        self.open[request.channel] = sg_list
        self.go(request, [(element.address, element.length) for element in sg_list.elements])

    def go(self, request: Request, pieces: Pieces) -> None:
        self.build(request.channel, pieces, request.at + request.done)
        self.start(request.channel)

    def unmap(self, request: Request) -> None:
        sg_list = self.open.pop(request.channel)
        self.adapter.DmaOperations.PutScatterGatherList(self.adapter, sg_list, request.channel == WRITE)

    def finish(self, channel: int, moved: int) -> None:
        request = self.requests[channel]
        self.unmap(request)
        request.done += moved
        if request.done < request.length:
            self.next_operation(request)
        else:
            self.complete(request, NtStatus.SUCCESS)

    def complete(self, request: Request, status: NtStatus) -> None:
        wdm.IoCompleteRequest(self.adapter, request.mdl)
        super().complete(request, status)


class ChannelDriver(WdmDriver):
    """The WDM driver that maps its transfers itself: adapter channel, MapTransfer, flush, free."""

    def map(self, request: Request, length: int) -> None:
        va = wdm.MmGetMdlVirtualAddress(request.mdl) + request.done
        registers = nt.ADDRESS_AND_SIZE_TO_SPAN_PAGES(va, length)
        status = self.adapter.DmaOperations.AllocateAdapterChannel(
            self.adapter, self.host.pdo, registers, self.adapter_control, (request, va, length, registers)
        )
        if not nt_success(status):
            self.complete(request, status)

    def adapter_control(self, device, irp, base, context) -> AllocationAction:
        request, va, length, registers = context
        self.open[request.channel] = (base, va, length, registers)
        pieces, done = [], 0
        while done < length:
            size: Out[int] = Out(length - done)
            la = self.map_transfer(request, base, va + done, size)
            pieces.append((la, size.taken))
            done += size.taken
        self.go(request, pieces)
        return AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS

    def map_transfer(self, request: Request, base, va: Va, size: Out[int]) -> La:
        operations = self.adapter.DmaOperations
        return operations.MapTransfer(self.adapter, request.mdl, base, va, size, request.channel == WRITE)

    def unmap(self, request: Request) -> None:
        base, va, length, registers = self.open.pop(request.channel)
        self.flush(request, base, va, length)
        self.free_registers(base, registers)

    def flush(self, request: Request, base, va: Va, length: int) -> None:
        operations = self.adapter.DmaOperations
        operations.FlushAdapterBuffers(self.adapter, request.mdl, base, va, length, request.channel == WRITE)

    def free_registers(self, base, registers: int) -> None:
        self.adapter.DmaOperations.FreeMapRegisters(self.adapter, base, registers)


class Program:
    """The sample's test program: buffers of its own, one request after the other or two at once."""

    def __init__(self, driver: WdkDriver | WdmDriver) -> None:
        self.driver = driver
        self.machine = driver.machine
        self._pools: list[Va] = []

    def buffer(self, length: int, offset: int = 0) -> Mdl:
        """A locked buffer `offset` bytes into its first page, on whatever pages are free."""
        pool = self.machine.allocate_pool(length + offset, scattered=True)
        assert pool is not None, str(self.machine.last_failure)
        self._pools.append(pool)
        mdl = wdm.IoAllocateMdl(pool + offset, length, False, False)
        wdm.MmProbeAndLockPages(mdl)
        return mdl

    def request(self, channel: int, mdl: Mdl, at: int = 0) -> Request:
        request = Request(channel, mdl, at)
        self.driver.io(request)
        return request

    def write(self, data: bytes, at: int = 0, offset: int = 0) -> Request:
        mdl = self.buffer(len(data), offset)
        self.machine.cpu_write(mdl.va, data)
        request = self.request(WRITE, mdl, at)
        self.driver.host.run()
        return request

    def read(self, length: int, at: int = 0, offset: int = 0) -> tuple[Request, bytes]:
        mdl = self.buffer(length, offset)
        request = self.request(READ, mdl, at)
        self.driver.host.run()
        return request, self.machine.cpu_read(mdl.va, length)

    def end(self) -> None:
        while self._pools:
            self.machine.free_pool(self._pools.pop())
