# SPDX-License-Identifier: Apache-2.0
"""One DMA channel as a visible state machine.

::

              START, chained          START, block
    IDLE ------------------> FETCH    IDLE --------> MOVE
     ^                        |  ^                    |
     | end of chain, invalid  |  | next descriptor    | count reached
     | (valid stop), abort    v  |                    v
     +---------------------- MOVE ---------------> RETIRE ---> FETCH or IDLE
                              |
                              +-- nobody answers --> FAILED (DONE stays 0 until software aborts)

    FETCH -- invalid descriptor, polled --> POLL --> FETCH

The visible registers never count: they show the current descriptor as it was loaded. Working counters are private.
Descriptors are fetched one at a time and late, because drivers append to a running chain; N+1 is loaded before N's
terminal count is signalled, because interrupt handlers look at DMAPADR to see how far the chip has come.

Source: PLX SDK, Linux comedi and farsync drivers, the Windows PLX9x5x sample, read-back of a PEX 8311.
"""

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from plx9x5x import events
from plx9x5x.errors import BusAbort
from plx9x5x.model.localbus import LOCAL_SPACE, LocalBus
from plx9x5x.ports import BusMaster
from plx9x5x.regs.dma import ChannelRegisters, DescriptorPointer, DmaCommand, DmaMode, DmaSize
from plx9x5x.regs.kernel import RegisterFile
from plx9x5x.units import KIB, BusAddr

MAX_BURST: Final = 64 * KIB
"""Bytes moved by one step at most, so that a pause or an abort is never far away."""

HELD_BURST: Final = 4 * KIB
"""The same where the local address is held, which goes word by word."""

FETCH_COST: Final = 256
"""What a descriptor costs of a step's budget, in bytes: about as long as moving so many."""

LOW_HALF: Final = 1 << 32
"""The PCI address counter is 32 bits wide and wraps without a carry into the upper half."""


class State(enum.Enum):
    """Where the channel is."""

    IDLE = "idle"
    FETCH = "fetch"
    MOVE = "move"
    RETIRE = "retire"
    POLL = "poll"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Burst:
    """One bus transaction: where it starts on either side, and its bytes."""

    pci: BusAddr
    local: int
    length: int


@dataclass(slots=True)
class Transfer:
    """One descriptor, or one block, as the channel latched it."""

    mode: DmaMode
    pci: int
    upper: int
    local: int
    count: int
    pointer: DescriptorPointer
    size_word: int
    """Where the descriptor's size stands, for the write-back."""
    size_word_in_pci: bool
    chained: bool
    moved: int = 0


class ChannelHost(Protocol):
    """What a channel needs of the chip around it."""

    @property
    def may_master(self) -> bool:
        """True while the chip can ask for the bus."""
        ...

    def mastered(self, address: int) -> None:
        """Take note of the last bus address."""
        ...

    def bus_error(self, channel: int, abort: BusAbort, purpose: events.Purpose) -> None:
        """Set the status bits of a failed access."""
        ...

    def interrupts_changed(self) -> None:
        """Work out INTA# again."""
        ...

    def emit(self, make: Callable[[int], events.Event]) -> None:
        """Trace an event, if anyone listens; `make` gets the time."""
        ...


class Channel:
    """DMA channel `index`. `registers` holds its visible state; `step` does one bus transaction."""

    def __init__(
        self,
        index: int,
        names: ChannelRegisters,
        *,
        registers: RegisterFile,
        bus: BusMaster,
        local: LocalBus,
        host: ChannelHost,
    ) -> None:
        self.index: Final = index
        self.names: Final = names
        self._regs, self._bus, self._local, self._host = registers, bus, local, host
        self.state = State.IDLE
        self.interrupt = False
        """The channel's interrupt latch."""
        self._terminal_count_pending = False
        self._transfer: Transfer | None = None
        self._next = 0
        self._next_in_pci = False
        self._held = False

    # -- what software does ------------------------------------------------------------------------

    def command(self, written: int) -> None:
        """Act on a write to DMACSR, after ENABLE was stored."""
        if written & DmaCommand.clear_intr.mask and self.interrupt:
            self.interrupt = False
        enabled = self.enabled
        if written & DmaCommand.abort.mask and not enabled and self.state is not State.IDLE:
            self._end(aborted=True)
        if written & DmaCommand.start.mask and enabled and self.state is State.IDLE:
            self._start()
        self._host.interrupts_changed()
        self.note_hold()

    def _start(self) -> None:
        mode = DmaMode(self._regs[self.names.mode])
        pointer = DescriptorPointer(self._regs[self.names.pointer])
        self._regs.set_bits(self.names.command, DmaCommand.done.mask, to=False)
        self._terminal_count_pending = False
        if mode.chain:
            # Bits 3:1 of the first pointer mean nothing: the Windows sample writes them from an unset variable.
            self._next, self._next_in_pci = pointer.raw & DescriptorPointer.next.mask, pointer.in_pci_memory
            self.state = State.FETCH
        else:
            self._transfer = Transfer(
                mode=mode,
                pci=self._regs[self.names.pci_address],
                upper=self._regs[self.names.upper_address],
                local=self._regs[self.names.local_address],
                count=DmaSize(self._regs[self.names.size]).count,
                pointer=pointer,
                size_word=0,
                size_word_in_pci=False,
                chained=False,
            )
            self.state = State.MOVE
        self._host.emit(lambda time: events.TransferStarted(time, self.index, mode.chain))

    @property
    def enabled(self) -> bool:
        """ENABLE as software left it."""
        return bool(self._regs[self.names.command] & DmaCommand.enable.mask)

    @property
    def runnable(self) -> bool:
        """True if a step would do something now."""
        return self.state not in (State.IDLE, State.FAILED) and self.enabled and self._host.may_master

    def note_hold(self) -> None:
        """Report, once for each time, that the transfer waits for bus mastering."""
        held = self.state not in (State.IDLE, State.FAILED) and self.enabled and not self._host.may_master
        if held and not self._held:
            self._host.emit(lambda time: events.TransferHeld(time, self.index))
        self._held = held

    def reset(self, local: LocalBus) -> None:
        """Forget everything; `local` is the bus from now on. The register file is reset by the chip."""
        self._local = local
        self.state = State.IDLE
        self.interrupt = False
        self._terminal_count_pending = False
        self._transfer = None
        self._held = False

    # -- what the chip does ------------------------------------------------------------------------

    def step(self, budget: int) -> int:
        """Do one bus transaction of at most about `budget` bytes; give what it cost, in bytes."""
        purpose = events.Purpose.DATA
        try:
            match self.state:
                case State.FETCH | State.POLL:
                    purpose = events.Purpose.DESCRIPTOR
                    return self._fetch(budget)
                case State.MOVE:
                    return self._move(min(budget, MAX_BURST))
                case State.RETIRE:
                    purpose = events.Purpose.WRITE_BACK
                    return self._retire()
                case State.IDLE | State.FAILED:
                    return budget
        except BusAbort as abort:
            self._fail(abort, purpose)
            return FETCH_COST

    def _fetch(self, budget: int) -> int:
        mode = DmaMode(self._regs[self.names.mode])
        length = 20 if mode.dac_chain else 16
        try:
            raw = self._load(self._next, in_pci=self._next_in_pci, length=length)
        except BusAbort:
            self._latch_pending()
            raise
        words = struct.unpack("<5I", raw.ljust(20, b"\0"))
        size, pci, local, pointer = (words[i] for i in ((0, 1, 2, 3) if mode.valid_mode else (2, 0, 1, 3)))
        names = self.names
        self._regs[names.size], self._regs[names.pci_address], self._regs[names.local_address] = size, pci, local
        if mode.dac_chain:
            self._regs[names.upper_address] = words[4]
        self._latch_pending()
        if mode.valid_mode and not DmaSize(size).valid:
            # DMADPR keeps pointing here: another START, or the next poll, reads the same descriptor again.
            if mode.valid_stop:
                self._end(aborted=False)
                return FETCH_COST
            self.state = State.POLL
            return budget
        self._regs[names.pointer] = pointer
        self._transfer = Transfer(
            mode=mode,
            pci=pci,
            upper=self._regs[names.upper_address],
            local=local,
            count=DmaSize(size).count,
            pointer=DescriptorPointer(pointer),
            size_word=(self._next + (0 if mode.valid_mode else 8)) % LOW_HALF,
            size_word_in_pci=self._next_in_pci,
            chained=True,
        )
        at, in_pci = self._next, self._next_in_pci
        count = self._transfer.count
        self._host.emit(lambda time: events.DescriptorLoaded(time, self.index, at, in_pci, pci, local, count, pointer))
        self.state = State.MOVE
        return FETCH_COST

    def _move(self, budget: int) -> int:
        transfer = self._current()
        left = transfer.count - transfer.moved
        if left == 0:
            self.state = State.RETIRE
            return 1
        pci = (transfer.pci + transfer.moved) % LOW_HALF
        length = min(left, budget, LOW_HALF - pci)
        if transfer.mode.hold_local:
            length = min(length, HELD_BURST)
            cost = length * (MAX_BURST // HELD_BURST)
            burst = Burst(BusAddr(transfer.upper << 32 | pci), transfer.local, length)
            move = self._move_held
        else:
            local = (transfer.local + transfer.moved) % LOCAL_SPACE
            cost = length = self._local.find(local, length).length
            burst = Burst(BusAddr(transfer.upper << 32 | pci), local, length)
            move = self._move_linear
        try:
            move(transfer, burst)
        except BusAbort as abort:
            self._advance(transfer, burst, abort.moved)
            raise
        self._advance(transfer, burst, length)
        if length == left:
            self.state = State.RETIRE
        return cost

    def _advance(self, transfer: Transfer, burst: Burst, moved: int) -> None:
        """Count what has crossed the bridge."""
        if not moved:
            return
        transfer.moved += moved
        self._host.mastered(burst.pci + moved - 1)
        to_pci = transfer.pointer.to_pci
        self._host.emit(lambda time: events.DataMoved(time, self.index, to_pci, burst.pci, burst.local, moved))

    def _move_linear(self, transfer: Transfer, burst: Burst) -> None:
        """Move a run of local addresses that has one answer, without a copy where the target is plain memory."""
        span = self._local.find(burst.local, burst.length)
        memory = span.target.view(span.offset, burst.length) if span.target else None
        if transfer.pointer.to_pci:
            if memory is None:
                memory = memoryview(self._local.read(burst.local, burst.length))
            self._bus.write_from(burst.pci, memory)
        elif memory is not None:
            self._bus.read_into(burst.pci, memory)
        else:
            buffer = memoryview(bytearray(burst.length))
            try:
                self._bus.read_into(burst.pci, buffer)
            except BusAbort as abort:
                self._local.write(burst.local, buffer[: abort.moved])
                raise
            self._local.write(burst.local, buffer)

    def _move_held(self, transfer: Transfer, burst: Burst) -> None:
        """Move word by word from or to one local address."""
        word = transfer.mode.local_width.bytes
        pieces = []
        at, phase = 0, transfer.moved % word
        while at < burst.length:
            length = min(word - phase, burst.length - at)
            pieces.append((at, burst.local + phase, length))
            at, phase = at + length, 0
        if transfer.pointer.to_pci:
            data = b"".join(self._local.read(local, length) for _, local, length in pieces)
            self._bus.write_from(burst.pci, memoryview(data))
            return
        buffer = memoryview(bytearray(burst.length))
        arrived = burst.length
        try:
            self._bus.read_into(burst.pci, buffer)
        except BusAbort as abort:
            arrived = abort.moved
            raise
        finally:
            for at, local, length in pieces:
                if at < arrived:
                    self._local.write(local, buffer[at : min(at + length, arrived)])

    def _retire(self) -> int:
        """Finish a descriptor: write-back, DONE, the interrupt; a mid-chain terminal count waits for FETCH."""
        transfer = self._current()
        pointer = transfer.pointer
        if not transfer.chained:
            self._terminal_count_pending = pointer.terminal_count_intr
            self._end(aborted=False)
            return FETCH_COST
        skipped = transfer.mode.valid_mode and transfer.count == 0 and not pointer.end_of_chain
        if not skipped:
            if transfer.mode.clear_count:
                self._store(transfer.size_word, b"\0\0\0\0", in_pci=transfer.size_word_in_pci)
            if pointer.terminal_count_intr:
                self._terminal_count_pending = True
        if pointer.end_of_chain:
            self._end(aborted=False)
        else:
            self._next, self._next_in_pci = pointer.raw & DescriptorPointer.next.mask, pointer.in_pci_memory
            self.state = State.FETCH
        return FETCH_COST

    def _end(self, *, aborted: bool) -> None:
        """DONE, then the interrupt. An abort drops a terminal count that waits."""
        terminal_count = self._terminal_count_pending and not aborted
        self._terminal_count_pending = False
        self._transfer = None
        self.state = State.IDLE
        self._regs.set_bits(self.names.command, DmaCommand.done.mask, to=True)
        self._host.emit(lambda time: events.TransferDone(time, self.index, aborted))
        if terminal_count or DmaMode(self._regs[self.names.mode]).done_intr:
            self._latch()
        self._host.interrupts_changed()

    def _fail(self, abort: BusAbort, purpose: events.Purpose) -> None:
        """Stay at DONE=0 until software aborts, as silicon does."""
        self.state = State.FAILED
        self._host.mastered(abort.address)
        self._host.bus_error(self.index, abort, purpose)

    def _latch_pending(self) -> None:
        if self._terminal_count_pending:
            self._terminal_count_pending = False
            self._latch()
            self._host.interrupts_changed()

    def _latch(self) -> None:
        self.interrupt = True
        self._host.emit(lambda time: events.InterruptLatched(time, self.index))

    def _current(self) -> Transfer:
        if self._transfer is None:
            raise AssertionError(f"channel {self.index} is in {self.state} without a transfer")
        return self._transfer

    def _load(self, address: int, *, in_pci: bool, length: int) -> bytes:
        """Read `length` bytes of a descriptor; the address counter wraps at 4 GiB."""
        if not in_pci:
            return self._local.read(address, length)
        raw = bytearray(length)
        head = min(length, LOW_HALF - address)
        self._bus.read_into(BusAddr(address), memoryview(raw)[:head])
        if head < length:
            self._bus.read_into(BusAddr(0), memoryview(raw)[head:])
        self._host.mastered((address + length - 1) % LOW_HALF)
        return bytes(raw)

    def _store(self, address: int, data: bytes, *, in_pci: bool) -> None:
        if in_pci:
            self._bus.write_from(BusAddr(address), memoryview(data))
            self._host.mastered(address + len(data) - 1)
        else:
            self._local.write(address, data)
