# SPDX-License-Identifier: Apache-2.0
"""WdfDmaTransaction of packet and system profiles: one contiguous piece at a time through a channel of the adapter.

The map registers stay with the transaction from Execute, or from AllocateResources, until it ends. A system transfer
also keeps the channel of the DMA controller, and can be stopped.
Source: the framework's fxdmatransactionpacket.cpp, fxdmatransactionpacket.hpp and fxdmatransactionsystem.cpp (2.33).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.arguments import size_t
from nthal.objects import Direction
from nthal.operations import channel, packet, transfer
from nthal.operations.adapter import usable
from nthal.records.adapter import ScatterGatherElement, ScatterGatherList, SystemTransfer, Waiter
from nthal.records.mdl import Segment
from nthal.transaction import ConfigureChannel, ReserveDma, State, Transaction, TransferComplete
from nthal.types import span_pages
from nthal.verifier import BugCheck, driver_place
from nthal.windows import DMA_SYNCHRONOUS_CALLBACK, AllocationAction, DmaCompletionStatus, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.chain import Spot
    from nthal.enabler import Enabler
    from nthal.objects import ObjectAttributes
    from nthal.records.adapter import MapRegisterFile

_IDLE: Final = 1000


class PacketTransaction(Transaction):
    """A transaction of a packet profile. `reserved` map registers stay with it over Release, until FreeResources."""

    answer = AllocationAction.DEALLOCATE_OBJECT_KEEP_REGISTERS

    def __init__(self, enabler: Enabler) -> None:
        super().__init__(enabler)
        self.reserved = 0
        self._needed = 0
        self._file: MapRegisterFile | None = None
        self._reserve: tuple[ReserveDma, object] | None = None
        self._mapped: Spot | None = None
        self._mapped_length = 0
        self._staging = False
        self._again = False

    def _initialize_context(self) -> None:
        if self._file is None:  # else it is the context of the registers that are reserved
            super()._initialize_context()

    def _available(self) -> int:
        return self.reserved or super()._available()

    def _initialize_resources(self) -> NtStatus:
        return NtStatus.SUCCESS

    @property
    def _running(self) -> bool:
        return self._mapped is not None

    # --- the channel -----------------------------------------------------------------------------------------------

    def _start_transfer(self) -> NtStatus:
        owner = self.device.packet_owner
        if not self.enabler.uses_v3:
            if owner is not None:
                detail = "a packet transaction of this device is under way: DMA version 2 has one at a time"
                return self._refuse(detail, NtStatus.WDF_BUSY)
            self.device.packet_owner = self
        if self._file is not None:
            self._needed = self._registers_for_first()
            with self.enabler.machine.processor.at_irql(Irql.DISPATCH_LEVEL):
                self._staged(self._stage())
            return NtStatus.SUCCESS
        status = self._allocate(self.reserved or self._registers_for_first())
        if status != NtStatus.SUCCESS:
            self._release_device()
        return status

    def _registers_for_first(self) -> int:
        """Map registers for any transfer of the transaction: a later one may start elsewhere in a page."""
        page = self.enabler.machine.platform.page_size
        length = min(self.remaining, self.max_fragment)
        if self._start is None:
            return 0
        return span_pages(self._start.va if length == self.remaining else page - 1, length, page)

    def _allocate(self, count: int) -> NtStatus:
        machine, adapter = self.enabler.machine, self._adapter
        if not usable(machine, adapter, "AllocateAdapterChannel") or adapter is None:
            return self._refuse("the enabler has no adapter", NtStatus.INSUFFICIENT_RESOURCES)
        if count > adapter.granted:
            detail = f"{count} map registers, and {adapter!r} has {adapter.granted}"
            return self._refuse(detail, NtStatus.INSUFFICIENT_RESOURCES)
        self._needed = count
        with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
            waiter = Waiter(adapter, self.device.pdo, count, self._control, self._awaited, sees_hidden=True)
            waiter.made_at, waiter.ticket = driver_place(), self.context
            refused = channel.request(machine, waiter, now=bool(self.flags & DMA_SYNCHRONOUS_CALLBACK))
        return NtStatus.SUCCESS if refused is None else self._refuse(f"{count} map registers are not there", refused)

    def _control(
        self, _device: object, _irp: object, file: MapRegisterFile | None, context: object
    ) -> AllocationAction:
        """AdapterControl of the framework: the registers are there."""
        if context is not self._awaited:
            raise self._too_late()
        self._file = file
        if self.state is State.RESERVED:
            assert self._reserve is not None  # reserve() set it
            callback, context = self._reserve
            callback(self, context)
        else:
            self._staged(self._stage())
        return self.answer

    def _staged(self, status: NtStatus) -> None:
        """Take note of how a transfer started from AdapterControl, whose status reaches no driver."""

    def _stage(self) -> NtStatus:
        """Map and program the next piece; a completion in the driver's callback comes round for the one after."""
        if self._staging:
            self._again = True
            return NtStatus.SUCCESS
        self._staging, status = True, NtStatus.SUCCESS
        try:
            self._again, idle = True, 0
            while self._again:
                self._again, before = False, self.transferred
                status = self._stage_one()
                idle = idle + 1 if self.transferred == before else 0
                if idle > _IDLE:
                    raise BugCheck(f"EvtProgramDma completed {idle} transfers in a row with 0 bytes", 0x133)
        finally:
            self._staging = self._again = False
        return status

    def _stage_one(self) -> NtStatus:
        assert self._start is not None  # _initialize() set it
        self.current_length = min(self.remaining, self.max_fragment)
        spot = self._start.after(self.transferred)
        if spot is None:
            return self._refuse("the chain of MDLs is too short", NtStatus.BUFFER_TOO_SMALL)
        if self.reserved and self._needed > self.reserved and not self.single_transfer:
            page = self.enabler.machine.platform.page_size
            self.current_length = min(self.current_length, self.reserved * page - int(spot.va) % page)
        self.remaining -= self.current_length
        return self._map_one(spot)

    def _map_one(self, spot: Spot) -> NtStatus:
        machine, to_device = self.enabler.machine, self._direction is Direction.WRITE_TO_DEVICE
        # One element is contiguous within one MDL; the next of a chain is the next transfer.
        length = min(self.current_length, spot.mdl.byte_count - spot.offset)
        self.remaining += self.current_length - length
        mapped = packet.map_transfer(machine, self._adapter, spot.mdl, self._file, spot.va, length, to_device=to_device)
        if mapped is None or self._adapter is None or self._file is None:
            self.remaining += length
            return self._refuse(f"{length} bytes at {spot.va!r} cannot be mapped", NtStatus.INSUFFICIENT_RESOURCES)
        la, size = mapped
        self.remaining += length - size
        self.current_length = self._mapped_length = size
        self._mapped = spot
        part, element = (Segment(spot.mdl, spot.va, size),), (ScatterGatherElement(la, size),)
        # What the framework flushes itself is no list that could be put.
        self._call_program(ScatterGatherList(element, self._adapter, self._file, part, to_device, live=False))
        return NtStatus.SUCCESS

    # --- the end ---------------------------------------------------------------------------------------------------

    def _transfer_completed(self) -> NtStatus:
        flushed = self._flush(self.current_length)
        return NtStatus.SUCCESS if flushed else self._refuse("the buffers cannot be flushed", NtStatus.UNSUCCESSFUL)

    def _flush(self, moved: int) -> bool:
        """End the mapping; `moved` bytes of it are the device's."""
        if self._mapped is None:
            return True
        spot, self._mapped = self._mapped, None
        mapped = (spot.mdl, self._file, spot.va, self._mapped_length)
        machine, to_device = self.enabler.machine, self._direction is Direction.WRITE_TO_DEVICE
        with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
            return packet.flush(machine, self._adapter, *mapped, to_device=to_device, moved=moved)

    def _release_resources(self, *, force: bool) -> None:
        self._flush(0)
        if self._file is not None and (force or not self.reserved):
            machine, file = self.enabler.machine, self._file
            with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
                self._free(file)
            self._file = None
        if self._file is None:
            self.reserved = 0  # what was asked for and never came is not held
        self._release_device()

    def _free(self, file: MapRegisterFile) -> None:
        channel.free_registers(self.enabler.machine, file.adapter, file, file.count - file.freed)

    def _release_device(self) -> None:
        if self.device.packet_owner is self:
            self.device.packet_owner = None

    # --- AllocateResources -----------------------------------------------------------------------------------------

    def reserve(self, direction: int, registers: int, callback: ReserveDma | None, context: object) -> NtStatus:
        """WdfDmaTransactionAllocateResources: get the map registers before Execute; 0 for what it is initialized with.

        Raises: BugCheck in a state that does not allow it, or if some are reserved already.
        """
        self.check()
        if not self._v3("WdfDmaTransactionAllocateResources"):
            return self._refuse("the enabler does not use DMA version 3", NtStatus.INVALID_DEVICE_REQUEST)
        if direction not in list(Direction) or callback is None:
            return self._refuse(f"direction {direction}, EvtReserveDmaFunction {callback}")
        allowed = (State.CREATED, State.INITIALIZED, State.RELEASED)
        if self.state not in (allowed if size_t(registers, "RequiredMapRegisters") else (State.INITIALIZED,)):
            raise self._wrong_state(f"AllocateResources for {registers} map registers")
        if self.reserved:
            raise BugCheck(f"the transaction has {self.reserved} map registers reserved already: WDF_DMA_FATAL_ERROR")
        count = registers or self._registers_for_all()
        if count is None:
            self.release()
            return self._refuse("the chain of MDLs is too short", NtStatus.BUFFER_TOO_SMALL)
        kept = self.flags, self.single_transfer
        self._adapter = self.enabler.adapter_for(Direction(direction))
        self._reset()
        (self.flags, self.single_transfer), self._direction = kept, Direction(direction)
        self._initialize_context()
        self.reserved, self._reserve, self.state = count, (callback, context), State.RESERVED
        self._awaited = object()
        status = self._allocate(count)
        if status != NtStatus.SUCCESS:
            self.state, self.reserved = State.FAILED, 0
        return status

    def _registers_for_all(self) -> int | None:
        """Map registers of the transaction as it is initialized; None if its memory ends before."""
        assert self._start is not None  # it is
        need = self._need(self._start, self.total)
        return None if need is None else need.registers

    def free_reserved(self) -> None:
        """WdfDmaTransactionFreeResources. Raises: BugCheck before anything was reserved, and during a transfer."""
        self.check()
        if not self._v3("WdfDmaTransactionFreeResources"):
            return
        if self.state in (State.CREATED, State.TRANSFER):
            raise self._wrong_state("FreeResources")
        self.release(force=True)


class SystemTransaction(PacketTransaction):
    """A transaction of a system profile."""

    answer = AllocationAction.KEEP_OBJECT

    def __init__(self, enabler: Enabler) -> None:
        super().__init__(enabler)
        self._configuring = False
        self._configure: tuple[ConfigureChannel, object] | None = None
        self._complete: tuple[TransferComplete, object] | None = None
        self._stopped = False

    def set_configure(self, callback: ConfigureChannel | None, context: object) -> None:
        """WdfDmaTransactionSetChannelConfigurationCallback: `callback` runs before each transfer is mapped."""
        self.check()
        self._configure = None if callback is None else (callback, context)

    def set_complete(self, callback: TransferComplete | None, context: object) -> None:
        """WdfDmaTransactionSetTransferCompleteCallback: `callback` is told of a transfer that did not go its way."""
        self.check()
        self._complete = None if callback is None else (callback, context)

    def set_address_offset(self, offset: int) -> None:
        """WdfDmaTransactionSetDeviceAddressOffset: bytes from the device's address, which the 8237 does not have."""
        self.check()
        size_t(offset, "Offset")

    def _initialize_resources(self) -> NtStatus:
        self._stopped = False
        return NtStatus.SUCCESS

    @property
    def _running(self) -> bool:
        return self._configuring or super()._running

    def _registers_for_first(self) -> int:
        return super()._available()

    def _registers_for_all(self) -> int:
        return super()._available()

    def _staged(self, status: NtStatus) -> None:
        """Tell the driver's completion routine of a transfer that could not start."""
        if status != NtStatus.SUCCESS:
            cancelled = status == NtStatus.CANCELLED
            self._tell(DmaCompletionStatus.CANCELLED if cancelled else DmaCompletionStatus.ERROR)

    def _map_one(self, spot: Spot) -> NtStatus:
        if self._stopped:
            self.remaining += self.current_length
            return self._refuse("the transfer was stopped", NtStatus.CANCELLED)
        if self._configure is not None:
            (callback, context), start = self._configure, self._start
            assert start is not None  # _initialize() set it
            offset, self._configuring = start.offset + self.transferred, True
            try:
                goes_on = callback(self, self.device, context, start.mdl, offset, self.current_length)
            finally:
                self._configuring = False
            if not goes_on:
                return NtStatus.SUCCESS  # the driver completes the transfer itself
            if self.state is not State.TRANSFER or self._again:
                raise BugCheck("the transfer was completed in the callback that configures its channel, and then TRUE")
        return super()._map_one(spot)

    def _call_program(self, made: ScatterGatherList) -> None:
        routine = None if self._complete is None else lambda *given: self._tell(given[-1])
        transfer.watch(self.enabler.machine, made.adapter, made.file, SystemTransfer(made.adapter, routine, None))
        super()._call_program(made)

    def _free(self, file: MapRegisterFile) -> None:
        state = channel.state_of(self.enabler.machine, file.adapter)
        if state.owner is file:
            channel.free_channel(self.enabler.machine, file.adapter)
        else:  # the driver's callback raised, which freed the channel
            super()._free(file)

    def stop(self) -> None:
        """WdfDmaTransactionStopSystemTransfer: the controller's channel stops, and the completion routine is told.

        Raises: BugCheck with the framework's verifier if nothing runs that could be stopped.
        """
        self.check()
        already, self._stopped = self._stopped, True
        if already or not self._running or self.context is None:
            self.device.fatal("the transfer has been stopped already, or never ran: WDF_DMA_FATAL_ERROR")
            return
        transfer.cancel_mapped(self.enabler.machine, self._adapter, self.context)

    def _tell(self, status: DmaCompletionStatus) -> None:
        if self._complete is not None:
            callback, context = self._complete
            callback(self, self.device, context, self._direction, status)


def create_transaction(enabler: Enabler, attributes: ObjectAttributes | None) -> Transaction | NtStatus:
    """WdfDmaTransactionCreate: the kind that the enabler's profile asks for; the enabler is its parent and no other."""
    if attributes is not None and attributes.parent_object is not None:
        detail = "a transaction's parent is its enabler"
        return enabler.device.refuse(NtStatus.WDF_PARENT_ASSIGNMENT_NOT_ALLOWED, detail)
    if enabler.profile.system:
        return SystemTransaction(enabler)
    return Transaction(enabler) if enabler.profile.scatter_gather else PacketTransaction(enabler)
