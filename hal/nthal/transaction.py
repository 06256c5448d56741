# SPDX-License-Identifier: Apache-2.0
"""WdfDmaTransaction over a scatter/gather list: a request cut into transfers that device and adapter can take.

What the transactions of all profiles share is here too; `packet_transaction` has those of packet and system profiles::

    CREATED, RELEASED -- Initialize --> INITIALIZED -- Execute --> TRANSFER -- DmaCompleted --> COMPLETED or FAILED
        ^                                                                                            |
        '---------------------------------------- Release -------------------------------------------'

Source: reference hal-contract 5.2; the framework's fxdmatransactionbase.cpp, fxdmatransactionapi.cpp and
fxdmatransactionscattergather.cpp (2.33).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

from nthal.arguments import size_t
from nthal.chain import Spot, required_registers
from nthal.objects import Direction, Request, WdfObject
from nthal.operations import scatter_gather, transfer
from nthal.operations.adapter import owned
from nthal.records.adapter import DmaTransferContext
from nthal.records.mdl import segments
from nthal.types import MAXULONG, span_pages
from nthal.verifier import BugCheck, Misuse
from nthal.windows import DMA_SYNCHRONOUS_CALLBACK, DmaCompletionStatus, DmaTransferInfo, Irql, NtStatus

if TYPE_CHECKING:
    from nthal.chain import Need
    from nthal.enabler import Enabler
    from nthal.objects import Device
    from nthal.records.adapter import Adapter, DeviceObject, ListControl, ScatterGatherList
    from nthal.records.mdl import Mdl
    from nthal.types import Va


class State(enum.Enum):
    """Where a transaction is in its life."""

    CREATED = "created"
    RESERVED = "reserved"
    INITIALIZED = "initialized"
    TRANSFER = "transfer"
    COMPLETED = "completed"
    FAILED = "failed"
    RELEASED = "released"


ProgramDma = Callable[["Transaction", "Device", object, Direction, "ScatterGatherList"], bool]
"""EVT_WDF_PROGRAM_DMA: (transaction, device, context, direction, list)."""
ReserveDma = Callable[["Transaction", object], None]
"""EVT_WDF_RESERVE_DMA: (transaction, context)."""
ConfigureChannel = Callable[["Transaction", "Device", object, "Mdl", int, int], bool]
"""EVT_WDF_DMA_TRANSACTION_CONFIGURE_DMA_CHANNEL: (transaction, device, context, MDL, offset, length)."""
TransferComplete = Callable[["Transaction", "Device", object, Direction, DmaCompletionStatus], None]
"""EVT_WDF_DMA_TRANSACTION_DMA_TRANSFER_COMPLETE: (transaction, device, context, direction, status)."""


class Transaction(WdfObject):
    """WDFDMATRANSACTION. `remaining`, `transferred`, `current_length` and `max_fragment` are bytes.

    `single_transfer` forbids the framework to cut the request; `request` is what it was initialized with, if anything.
    """

    def __init__(self, enabler: Enabler) -> None:
        super().__init__(enabler)
        self.enabler = enabler
        self.state = State.CREATED
        self.request: Request | None = None
        self.context = DmaTransferContext() if enabler.uses_v3 else None
        self._adapter: Adapter | None = None
        self._list: ScatterGatherList | None = None
        self._awaited: object = None
        self._reset()

    def _reset(self) -> None:
        """Forget everything but the enabler and the adapter."""
        self.remaining = self.transferred = self.current_length = 0
        self.max_fragment = self.total = 0
        self.single_transfer = self.enabler.single_transfer
        self.flags = 0
        self._start: Spot | None = None
        self._spot: Spot | None = None
        self._program: ProgramDma | None = None
        self._driver_context: object = None
        self._direction = Direction.READ_FROM_DEVICE

    @property
    def device(self) -> Device:
        """The device that the enabler is for."""
        return self.enabler.device

    def _wrong_state(self, call: str) -> BugCheck:
        return BugCheck(f"{call} on a transaction in state {self.state.value}: WDF_DMA_FATAL_ERROR")

    @property
    def takes_chains(self) -> bool:
        """True unless it is a packet transaction of DMA version 2."""
        return self.enabler.profile.scatter_gather or self.enabler.uses_v3

    # --- Initialize ------------------------------------------------------------------------------------------------

    def initialize(self, program: ProgramDma | None, direction: int, mdl: Mdl | None, va: Va, length: int) -> NtStatus:
        """WdfDmaTransactionInitialize: say what is to be moved. Raises: BugCheck in a state that does not allow it."""
        self.check()
        size_t(length, "Length")
        if program is None or mdl is None:
            return self._refuse("EvtProgramDmaFunction or Mdl is NULL")
        if length == 0:
            return self._refuse("Length is 0")
        if direction not in list(Direction):
            return self._refuse(f"there is no direction {direction}")
        offset = int(va) - int(mdl.va)
        if not 0 <= offset < mdl.byte_count:
            return self._refuse(f"{va!r} is not in the first MDL, which has {mdl.byte_count} bytes at {mdl.va!r}")
        if not self.takes_chains and offset + length > mdl.byte_count:
            return self._refuse(f"{length} bytes at {va!r} leave the MDL; packets of DMA version 2 take no chain")
        return self._initialize(program, Direction(direction), Spot(mdl, offset), length & MAXULONG)

    def initialize_using_offset(
        self, program: ProgramDma | None, direction: int, mdl: Mdl | None, offset: int, length: int
    ) -> NtStatus:
        """WdfDmaTransactionInitializeUsingOffset: the same from `offset` bytes into the MDL."""
        if mdl is None or size_t(offset, "Offset") >= mdl.byte_count:
            return self._refuse(f"there is no byte {offset} in {'a NULL Mdl' if mdl is None else 'the first MDL'}")
        return self.initialize(program, direction, mdl, mdl.va + offset, length)

    def initialize_using_request(self, request: Request, program: ProgramDma | None, direction: int) -> NtStatus:
        """WdfDmaTransactionInitializeUsingRequest: move the request's buffer, all of it."""
        self.check()
        if program is None:
            return self._refuse("EvtProgramDmaFunction is NULL")
        if direction not in list(Direction):
            return self._refuse(f"there is no direction {direction}")
        found = request.buffer_for(Direction(direction))
        if isinstance(found, str):
            return self.device.refuse(NtStatus.INVALID_DEVICE_REQUEST, found)
        mdl, length = found
        if not self.takes_chains and length > mdl.byte_count:
            return self._refuse(f"{length} bytes leave the MDL; packets of DMA version 2 take no chain")
        status = self._initialize(program, Direction(direction), Spot(mdl, 0), length)
        if status == NtStatus.SUCCESS:
            self.request = request
        return status

    def _refuse(self, detail: str, status: NtStatus = NtStatus.INVALID_PARAMETER) -> NtStatus:
        return self.device.refuse(status, detail)

    def _initialize(self, program: ProgramDma, direction: Direction, start: Spot, length: int) -> NtStatus:
        if self.state not in (State.CREATED, State.RESERVED, State.RELEASED):
            raise self._wrong_state("Initialize")
        owned(self.enabler.machine, "WdfDmaTransactionInitialize", start.mdl)
        self._adapter = self.enabler.adapter_for(direction)
        self.max_fragment = self.enabler.fragment_length(direction)
        self._direction, self._start, self._spot, self._program = direction, start, start, program
        self.remaining = self.total = length
        self._initialize_context()
        status = self._single() if self.single_transfer else NtStatus.SUCCESS
        if status == NtStatus.SUCCESS:
            status = self._initialize_resources()
        if status == NtStatus.SUCCESS:
            self.state = State.INITIALIZED
        else:
            self.release()
        return status

    def _initialize_context(self) -> None:
        if self.context is not None:
            transfer.initialize(self.enabler.machine, self._adapter, self.context)

    def _single(self) -> NtStatus:
        """Ask in advance whether one transfer will do (client 1.19 and later, DMA version 3)."""
        # What the grant of map registers took off the length counts by itself below.
        self.max_fragment = max(self.max_fragment, self.enabler.maximum_length)
        if self.total > self.max_fragment:
            detail = f"{self.total} bytes, and one transfer has {self.max_fragment}"
            return self._refuse(detail, NtStatus.WDF_TOO_MANY_TRANSFERS)
        info = DmaTransferInfo()
        status = transfer.transfer_info(self.enabler.machine, self._adapter, self._part(self._start, self.total), info)
        if status != NtStatus.SUCCESS:
            return status
        if info.map_register_count > self._available():
            detail = f"{info.map_register_count} map registers for one transfer, and there are {self._available()}"
            return self._refuse(detail, NtStatus.WDF_NOT_ENOUGH_MAP_REGISTERS)
        most = self.enabler.maximum_elements if self.enabler.profile.scatter_gather else 1
        if info.scatter_gather_element_count > most and not self.enabler.profile.system:
            detail = f"{info.scatter_gather_element_count} elements for one transfer, and the device takes {most}"
            return self._refuse(detail, NtStatus.WDF_TOO_FRAGMENTED)
        return NtStatus.SUCCESS

    def _part(self, spot: Spot | None, length: int) -> transfer.Part:
        assert spot is not None  # _initialize() set it
        return transfer.Part(spot.mdl, spot.offset, length, self._direction is Direction.WRITE_TO_DEVICE)

    def _available(self) -> int:
        """Map registers that one transfer may have."""
        return 0 if self._adapter is None else self._adapter.granted

    def _initialize_resources(self) -> NtStatus:
        """Look at every transfer that is to come: enough memory, and few enough elements in each."""
        if self.single_transfer:
            return NtStatus.SUCCESS
        if not self.max_fragment:
            cut = "the adapter has one map register" if self.enabler.maximum_length else "MaximumLength in 32 bits is 0"
            detail = f"{cut}, so that a transfer has 0 bytes: the framework looks for the first for ever"
            raise BugCheck(f"{detail}, and the watchdog ends it", 0x133)
        spot, left = self._start, self.remaining
        while left:
            length = min(left, self.max_fragment)
            need = None if spot is None else self._need(spot, length)
            if spot is None or need is None:
                detail = f"the chain of MDLs is too short for {self.total} bytes"
                return self._refuse(detail, NtStatus.BUFFER_TOO_SMALL)
            if need.registers > self.enabler.maximum_elements:
                return self._too_fragmented(need)
            spot, left = spot.after(length), left - length
        return NtStatus.SUCCESS

    def _need(self, spot: Spot, length: int) -> Need | None:
        return required_registers(spot, length, self._available(), self.enabler.machine.platform.page_size)

    def _too_fragmented(self, need: Need) -> NtStatus:
        detail = f"a transfer may need {need.registers} elements, and the device takes {self.enabler.maximum_elements}"
        return self._refuse(detail, NtStatus.WDF_TOO_FRAGMENTED)

    # --- Execute ---------------------------------------------------------------------------------------------------

    def execute(self, context: object) -> NtStatus:
        """WdfDmaTransactionExecute: start the first transfer; the rest follows from the completions."""
        self.check()
        self.enabler.machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "WdfDmaTransactionExecute")
        if self.state is not State.INITIALIZED:
            raise self._wrong_state("Execute")
        self.state, self._awaited = State.TRANSFER, object()
        self._driver_context = context
        status = self._start_transfer()
        if status != NtStatus.SUCCESS:
            self.state = State.FAILED
            self._driver_context = None
        return status

    def _start_transfer(self) -> NtStatus:
        return self._stage()

    def _stage(self) -> NtStatus:
        """Start the next transfer: work out its length, then map it."""
        spot = None if self._spot is None else self._spot.after(self.current_length)
        self.current_length = min(self.remaining, self.max_fragment)
        if spot is None or not self.current_length:
            self.enabler.machine.verifier.violate(Misuse.ZERO_MAP, f"a transfer of {self.current_length} bytes")
            return self._refuse("a transfer of no bytes", NtStatus.INSUFFICIENT_RESOURCES)
        self._spot = spot
        if not self.single_transfer:
            need = self._need(spot, self.current_length)
            if need is None or not need.possible:
                detail = f"{self.current_length} bytes of the chain cannot be mapped at once"
                return self._refuse(detail, NtStatus.INSUFFICIENT_RESOURCES)
            if need.registers > self.enabler.maximum_elements:
                return self._too_fragmented(need)
            self.current_length = need.possible
        self.remaining -= self.current_length
        processor = self.enabler.machine.processor
        before = processor.last_failure
        status = self._map(spot, self.current_length)
        if status != NtStatus.SUCCESS:
            self.remaining += self.current_length
            if processor.last_failure is before:
                return self._refuse(f"the HAL lists no {self.current_length} bytes at {spot.va!r}", status)
        return status

    def _map(self, spot: Spot, length: int) -> NtStatus:
        machine, adapter, pdo = self.enabler.machine, self._adapter, self.device.pdo
        part = self._part(spot, length)
        with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
            if self.context is not None:
                asked: transfer.Asked[ListControl] = transfer.Asked(
                    pdo, self.context, self.flags, self._run, self._awaited
                )
                return transfer.get_list(machine, adapter, asked, part, None)
            return scatter_gather.get(
                machine, adapter, pdo, spot.mdl, spot.va, length, self._run, self._awaited, to_device=part.to_device
            )

    def _run(self, _device: DeviceObject, _irp: object, made: ScatterGatherList, context: object) -> None:
        if context is not self._awaited:
            scatter_gather.put(self.enabler.machine, made.adapter, made, to_device=made.to_device)
            raise self._too_late()
        self._list = made
        self._call_program(made)

    def _too_late(self) -> BugCheck:
        life = "was released" if self.alive else "was deleted"
        return BugCheck(f"map registers arrive for a transaction that {life} while it waited for them: Cancel it first")

    def _call_program(self, made: ScatterGatherList) -> None:
        assert self._program is not None  # _initialize() set it
        self._program(self, self.device, self._driver_context, self._direction, made)

    @property
    def _running(self) -> bool:
        """True while a transfer is mapped, and not just waited for."""
        return self._list is not None

    # --- completion ------------------------------------------------------------------------------------------------

    def completed(self, moved: int | None = None, *, final: bool = False) -> tuple[bool, NtStatus]:
        """One transfer is done, with `moved` bytes of it; (finished, status). 0 bytes repeat it.

        More than was mapped ends the transaction with INVALID_PARAMETER, as does `final` with the status SUCCESS.
        """
        self.check()
        self.enabler.machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "WdfDmaTransactionDmaCompleted")
        if self.state is not State.TRANSFER or not self._running:
            raise self._wrong_state("DmaCompleted, and no transfer is mapped,")
        if moved is not None and size_t(moved, "TransferredLength") > self.current_length:
            detail = f"{moved} bytes transferred, and {self.current_length} were mapped"
            return self._end(self._refuse(detail))
        if moved is not None:
            self.remaining += self.current_length - moved
            self.current_length = moved
        self.transferred += self.current_length
        status = self._transfer_completed()
        if status != NtStatus.SUCCESS:
            return self._end(status)
        if self.single_transfer and self.remaining:
            detail = f"{self.remaining} of {self.total} bytes are left, and one transfer was to do"
            return self._end(self._refuse(detail, NtStatus.WDF_TOO_MANY_TRANSFERS))
        if self.remaining == 0 or final:
            return self._end(NtStatus.SUCCESS)
        status = self._stage()
        return (False, NtStatus.MORE_PROCESSING_REQUIRED) if status == NtStatus.SUCCESS else self._end(status)

    def _end(self, status: NtStatus) -> tuple[bool, NtStatus]:
        self.state = State.COMPLETED if status == NtStatus.SUCCESS else State.FAILED
        self._release_resources(force=False)
        self.current_length = 0
        return True, status

    def _transfer_completed(self) -> NtStatus:
        self._put()
        return NtStatus.SUCCESS

    def _put(self) -> None:
        if self._list is not None:
            made, self._list = self._list, None
            machine = self.enabler.machine
            with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
                scatter_gather.put(machine, made.adapter, made, to_device=made.to_device)

    def _release_resources(self, *, force: bool) -> None:
        """Give back what the transfers hold; `force` also what was reserved beforehand."""
        del force  # nothing is ever reserved for a list
        self._put()

    def release(self, *, force: bool = False) -> None:
        """WdfDmaTransactionRelease: give the mapping back, forget the rest; it may be initialized again.

        Raises: BugCheck with the framework's verifier if a transfer is running.
        """
        self.check()
        self.enabler.machine.processor.irql_at_most(Irql.DISPATCH_LEVEL, "WdfDmaTransactionRelease")
        if not force:
            if self.state is State.RELEASED:
                return
            if self.state is State.TRANSFER:
                self.device.fatal("WdfDmaTransactionRelease while a transfer is mapped: WDF_DMA_FATAL_ERROR")
        self.state = State.RELEASED
        self._release_resources(force=force)
        self._adapter = self.request = self._awaited = None
        self._reset()

    def dispose(self) -> None:
        """Give the mapping back with the object. Raises: BugCheck with the framework's verifier if one is running."""
        running = self.state is State.TRANSFER
        self.state, self._awaited = State.RELEASED, None
        self._release_resources(force=True)
        if running:
            self.device.fatal("a transaction is deleted while a transfer is mapped: WDF_DMA_FATAL_ERROR")

    # --- what else a driver asks and sets --------------------------------------------------------------------------

    def _v3(self, call: str) -> bool:
        if not self.enabler.uses_v3:
            self.device.ignores(call, "the enabler does not use DMA version 3")
        return self.enabler.uses_v3

    def set_maximum_length(self, length: int) -> None:
        """WdfDmaTransactionSetMaximumLength: fewer bytes a transfer. Raises: BugCheck before Initialize."""
        self.check()
        if self._adapter is None:
            raise self._wrong_state("SetMaximumLength")
        if size_t(length, "MaximumLength") < self.enabler.fragment_length(self._direction):
            self.max_fragment = length

    def set_single_transfer(self, *, single: bool) -> None:
        """WdfDmaTransactionSetSingleTransferRequirement: DMA version 3, before Initialize; else passed over."""
        self.check()
        call = "WdfDmaTransactionSetSingleTransferRequirement"
        if not self.device.irql_allows(Irql.DISPATCH_LEVEL, call) or not self._v3(call):
            return
        if self.state not in (State.CREATED, State.RELEASED, State.RESERVED):
            self.device.ignores(call, f"the transaction is in state {self.state.value}")
            return
        self.single_transfer = single

    def set_immediate(self, *, immediate: bool) -> None:
        """WdfDmaTransactionSetImmediateExecution: fail rather than wait for map registers; DMA version 3."""
        self.check()
        call = "WdfDmaTransactionSetImmediateExecution"
        if not self._v3(call):
            return
        if self.state not in (State.CREATED, State.INITIALIZED, State.RELEASED):
            self.device.ignores(call, f"too late in state {self.state.value}; the flag is set all the same")
        self.flags = DMA_SYNCHRONOUS_CALLBACK if immediate else 0

    def cancel(self) -> bool:
        """WdfDmaTransactionCancel: stop waiting for map registers; False if nothing waits. Raises: BugCheck."""
        self.check()
        if not self._v3("WdfDmaTransactionCancel"):
            return False
        if self.state in (State.CREATED, State.RELEASED):
            raise self._wrong_state("Cancel")
        assert self.context is not None  # version 3 has one
        if not transfer.cancel_channel(self.enabler.machine, self._adapter, self.context):
            return False
        self.state = State.FAILED
        return True

    def transfer_info(self) -> tuple[int, int]:
        """WdfDmaTransactionGetTransferInfo: map registers and elements of one transfer. Raises: BugCheck otherwise."""
        self.check()
        if self.state is not State.INITIALIZED or self._start is None:
            raise self._wrong_state("GetTransferInfo")
        machine, start = self.enabler.machine, self._start
        if self.context is not None:
            info = DmaTransferInfo()
            transfer.transfer_info(machine, self._adapter, self._part(start, self.total), info)
            return info.map_register_count, info.scatter_gather_element_count
        parts = segments(start.mdl, start.offset, self.total)
        pages = sum(span_pages(part.va, part.length, machine.platform.page_size) for part in parts)
        return pages, pages

    def wdm_context(self) -> DmaTransferContext | None:
        """WdfDmaTransactionWdmGetTransferContext: for the routines of DMA version 3; None where there is none yet."""
        self.check()
        call = "WdfDmaTransactionWdmGetTransferContext"
        if not self._v3(call):
            return None
        if self.state in (State.CREATED, State.RELEASED):
            self.device.ignores(call, f"the transaction is in state {self.state.value}")
            return None
        return self.context

    # --- what other profiles alone can do --------------------------------------------------------------------------

    def reserve(self, direction: int, registers: int, callback: ReserveDma | None, context: object) -> NtStatus:
        """WdfDmaTransactionAllocateResources: packet and system profiles have it."""
        del direction, registers, callback, context
        self.check()
        detail = f"AllocateResources on profile {self.enabler.profile.name}: packet and system profiles have it"
        return self._refuse(detail, NtStatus.INVALID_DEVICE_REQUEST)

    def free_reserved(self) -> None:
        """WdfDmaTransactionFreeResources: packet and system profiles have it."""
        self._not_here("WdfDmaTransactionFreeResources")

    def stop(self) -> None:
        """WdfDmaTransactionStopSystemTransfer: system profiles have it."""
        self._not_here("WdfDmaTransactionStopSystemTransfer")

    def set_configure(self, callback: ConfigureChannel | None, context: object) -> None:
        """WdfDmaTransactionSetChannelConfigurationCallback: system profiles have it."""
        del callback, context
        self._not_here("WdfDmaTransactionSetChannelConfigurationCallback")

    def set_complete(self, callback: TransferComplete | None, context: object) -> None:
        """WdfDmaTransactionSetTransferCompleteCallback: system profiles have it."""
        del callback, context
        self._not_here("WdfDmaTransactionSetTransferCompleteCallback")

    def set_address_offset(self, offset: int) -> None:
        """WdfDmaTransactionSetDeviceAddressOffset: system profiles have it."""
        del offset
        self._not_here("WdfDmaTransactionSetDeviceAddressOffset")

    def _not_here(self, call: str) -> None:
        self.check()
        self.device.ignores(call, f"not for profile {self.enabler.profile.name}")
