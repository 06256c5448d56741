# SPDX-License-Identifier: Apache-2.0
"""WdfDmaTransaction: a request cut into pieces that the adapter can map, one after the other.

Each piece goes through the same scatter/gather path as WDM's GetScatterGatherList. Source: reference hal-contract 5.2.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING

from nthal.framework import Enabler, WdfObject
from nthal.operations import scatter_gather
from nthal.types import span_pages
from nthal.verifier import BugCheck
from nthal.windows import Irql, NtStatus

if TYPE_CHECKING:
    from nthal.framework import Device
    from nthal.records.adapter import ScatterGatherList
    from nthal.records.mdl import Mdl
    from nthal.types import Va


class State(enum.Enum):
    """Where a transaction is in its life."""

    CREATED = "created"
    INITIALIZED = "initialized"
    TRANSFER = "transfer"
    COMPLETED = "completed"
    RELEASED = "released"


class Direction(enum.IntEnum):
    """WDF_DMA_DIRECTION: from the driver's point of view."""

    READ_FROM_DEVICE = 0
    WRITE_TO_DEVICE = 1


ProgramDma = Callable[["Transaction", "Device", object, Direction, "ScatterGatherList"], bool]
"""EVT_WDF_PROGRAM_DMA: (transaction, device, context, direction, list)."""


class Transaction(WdfObject):
    """WDFDMATRANSACTION. `remaining` and `current_length` are bytes."""

    def __init__(self, enabler: Enabler) -> None:
        super().__init__(enabler)
        self.enabler = enabler
        self.state = State.CREATED
        self.remaining = 0
        self.current_length = 0
        self.transferred = 0
        self.single_transfer = False
        self._mdl: Mdl | None = None
        self._va: Va | None = None
        self._program: ProgramDma | None = None
        self._context: object = None
        self._direction = Direction.READ_FROM_DEVICE
        self._list: ScatterGatherList | None = None

    def initialize(self, program: ProgramDma, direction: Direction, mdl: Mdl, va: Va, length: int) -> NtStatus:
        """Say what is to be moved. Raises: BugCheck in a state that does not allow it."""
        self.check()
        if self.state not in (State.CREATED, State.RELEASED):
            raise BugCheck(f"a transaction in state {self.state.value} cannot be initialized")
        if length == 0 or int(va) - int(mdl.va) + length > mdl.byte_count:
            return NtStatus.INVALID_PARAMETER
        self._mdl, self._va, self._program, self._direction = mdl, va, program, direction
        self.remaining, self.transferred = length, 0
        self.state = State.INITIALIZED
        return NtStatus.SUCCESS

    def execute(self, context: object) -> NtStatus:
        """Start the first piece; the rest follows from the completions."""
        self.check()
        if self.state is not State.INITIALIZED:
            raise BugCheck(f"a transaction in state {self.state.value} cannot be executed")
        if self.single_transfer:
            if self.remaining > self.enabler.fragment_length:
                return NtStatus.WDF_TOO_MANY_TRANSFERS
            if self._piece() < self.remaining:
                return NtStatus.WDF_TOO_FRAGMENTED
        self._context = context
        self.state = State.TRANSFER
        return self._start()

    def _piece(self) -> int:
        """Bytes of the next piece: fragment length, and as few elements as the device takes."""
        assert self._va is not None  # initialize() came first
        page = self.enabler.machine.platform.page_size
        length = min(self.remaining, self.enabler.fragment_length)
        va = int(self._va) + self.transferred
        most = self.enabler.maximum_elements
        if span_pages(va, length, page) > most:
            length = most * page - va % page
        return length

    def _start(self) -> NtStatus:
        machine = self.enabler.machine
        write = self._direction is Direction.WRITE_TO_DEVICE
        adapter = self.enabler.write_adapter if write and self.enabler.profile.duplex else self.enabler.read_adapter
        assert self._mdl is not None
        assert self._va is not None
        self.current_length = self._piece()
        with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
            status = scatter_gather.get(
                machine,
                adapter,
                self.enabler.device.pdo,
                self._mdl,
                self._va + self.transferred,
                self.current_length,
                self._run,
                None,
                to_device=write,
            )
        if status != NtStatus.SUCCESS:
            self.state = State.COMPLETED
        return status

    def _run(self, _device: object, _irp: object, made: ScatterGatherList, _context: object) -> None:
        self._list = made
        assert self._program is not None
        self._program(self, self.enabler.device, self._context, self._direction, made)

    def completed(self, moved: int | None = None, *, final: bool = False) -> tuple[bool, NtStatus]:
        """One piece is done, with `moved` bytes of it; (finished, status). 0 bytes repeat the piece."""
        self.check()
        if self.state is not State.TRANSFER or self._list is None:
            raise BugCheck("no transfer of this transaction is running")
        moved = self.current_length if moved is None else moved
        if moved > self.current_length:
            return False, NtStatus.INVALID_PARAMETER
        self._put()
        self.transferred += moved
        self.remaining -= moved
        if self.remaining == 0 or final:
            self.state = State.COMPLETED
            return True, NtStatus.SUCCESS
        status = self._start()
        return (False, NtStatus.MORE_PROCESSING_REQUIRED) if status == NtStatus.SUCCESS else (True, status)

    def _put(self) -> None:
        if self._list is not None:
            made, self._list = self._list, None
            machine = self.enabler.machine
            with machine.processor.at_irql(Irql.DISPATCH_LEVEL):
                scatter_gather.put(machine, made.adapter, made)

    def release(self) -> None:
        """WdfDmaTransactionRelease: give the mapping back; the transaction may be initialized again."""
        self.check()
        self._put()
        self.state = State.RELEASED

    def dispose(self) -> None:
        """Give the mapping back with the object."""
        self._put()
