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
import functools
import struct
from dataclasses import dataclass
from typing import Final, Protocol

from plx9x5x import events
from plx9x5x.errors import BusAbort
from plx9x5x.model.localbus import LOCAL_SPACE, LocalBus, Span
from plx9x5x.ports import BusMaster, Clock, TraceSink
from plx9x5x.regs.dma import ChannelRegisters, DescriptorPointer, DmaCommand, DmaMode, DmaSize
from plx9x5x.regs.kernel import RegisterFile
from plx9x5x.units import KIB, BusAddr

MAX_BURST: Final = 64 * KIB
"""Bytes moved by one step at most, so that a pause or an abort is never far away."""

HELD_WORDS: Final = 256
"""Local bus words moved by one step at most where the local address is held: each is an access of its own."""

HELD_COST: Final = 1 * KIB
"""What each of those words costs of the budget."""

TRANSACTION_COST: Final = 8 * KIB
"""What any step costs of the budget at least, in bytes: it takes about as long as copying so many. This bounds how long
a chain of small descriptors can keep the host waiting, where bytes alone would not."""

DESCRIPTOR: Final = 16
LONG_DESCRIPTOR: Final = 20
"""Bytes of a descriptor, without and with the upper PCI address."""

LOW_HALF: Final = 1 << 32
"""The PCI address counter is 32 bits wide and wraps without a carry into the upper half."""

_WORDS: Final = struct.Struct("<5I")
_ZERO: Final = memoryview(bytes(4))
_COUNT: Final = DmaSize.count.mask
_VALID: Final = DmaSize.valid.mask
_ENABLE: Final = DmaCommand.enable.mask
_IN_PCI: Final = DescriptorPointer.in_pci_memory.mask
_LAST: Final = DescriptorPointer.end_of_chain.mask
_TERMINAL_COUNT: Final = DescriptorPointer.terminal_count_intr.mask
_TO_PCI: Final = DescriptorPointer.to_pci.mask
_NEXT: Final = DescriptorPointer.next.mask


class State(enum.Enum):
    """Where the channel is."""

    IDLE = "idle"
    FETCH = "fetch"
    MOVE = "move"
    RETIRE = "retire"
    POLL = "poll"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Mode:
    """DMAMODE taken apart, for the loop that looks at it for every descriptor."""

    chain: bool
    hold_local: bool
    word: int
    """Bytes of one local bus word."""
    clear_count: bool
    dac_chain: bool
    valid_mode: bool
    valid_stop: bool


@functools.lru_cache(maxsize=64)
def _decode(raw: int) -> Mode:
    mode = DmaMode(raw)
    return Mode(
        chain=mode.chain,
        hold_local=mode.hold_local,
        word=mode.local_width.bytes,
        clear_count=mode.clear_count,
        dac_chain=mode.dac_chain,
        valid_mode=mode.valid_mode,
        valid_stop=mode.valid_stop,
    )


@dataclass(slots=True)
class Transfer:
    """One descriptor, or one block, as the channel latched it. `pointer` is its DMADPR value."""

    mode: Mode
    pci: int
    upper: int
    local: int
    count: int
    pointer: int
    chained: bool
    size_word: int = 0
    """Where the descriptor's size stands, for the write-back."""
    size_word_in_pci: bool = False
    moved: int = 0


class ChannelHost(Protocol):
    """What a channel needs of the chip around it."""

    may_master: bool
    """True while the chip can ask for the bus."""
    last_bus_address: int
    """The last bus address that a channel put on the bus."""

    @property
    def hold_reason(self) -> str:
        """Why `may_master` is False, in words."""
        ...

    def bus_error(self, channel: int, abort: BusAbort, purpose: events.Purpose) -> None:
        """Set the status bits of a failed access."""
        ...

    def interrupts_changed(self) -> None:
        """Work out INTA# again."""
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
        clock: Clock,
        trace: TraceSink,
    ) -> None:
        self.index: Final = index
        self.names: Final = names
        self._regs, self._bus, self._local, self._host = registers, bus, local, host
        self._now, self._trace = clock.now, trace
        self.state = State.IDLE
        self.interrupt = False
        """The channel's interrupt latch."""
        self._terminal_count_pending = False
        self._transfer: Transfer | None = None
        self._next = 0
        self._next_in_pci = False
        self._held = False
        self._scratch: Final = memoryview(bytearray(LONG_DESCRIPTOR))

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
        regs, names = self._regs, self.names
        mode, pointer = _decode(regs[names.mode]), regs[names.pointer]
        regs.set_bits(names.command, DmaCommand.done.mask, to=False)
        self._terminal_count_pending = False
        if mode.chain:
            # Bits 3:1 of the first pointer mean nothing: the Windows sample writes them from an unset variable.
            self._follow(pointer)
        else:
            self._transfer = Transfer(
                mode=mode,
                pci=regs[names.pci_address],
                upper=regs[names.upper_address],
                local=regs[names.local_address],
                count=regs[names.size] & _COUNT,
                pointer=pointer,
                chained=False,
            )
            self.state = State.MOVE
        if self._trace.enabled:
            self._trace.emit(events.TransferStarted(self._now(), self.index, mode.chain))

    def _follow(self, pointer: int) -> None:
        """Go to the descriptor that `pointer` names."""
        self._next, self._next_in_pci = pointer & _NEXT, bool(pointer & _IN_PCI)
        self.state = State.FETCH

    @property
    def enabled(self) -> bool:
        """ENABLE as software left it."""
        return bool(self._regs[self.names.command] & _ENABLE)

    @property
    def runnable(self) -> bool:
        """True if a step would do something now."""
        return self.busy and self._host.may_master and self.enabled

    @property
    def busy(self) -> bool:
        """True while a transfer is under way and has not failed."""
        return self.state is not State.IDLE and self.state is not State.FAILED

    @property
    def polling(self) -> bool:
        """True while the channel waits for a descriptor to become valid."""
        return self.state is State.POLL

    def note_hold(self) -> None:
        """Report, once for each time, that the transfer waits for bus mastering."""
        held = self.busy and self.enabled and not self._host.may_master
        if held and not self._held:
            self._trace.emit(events.TransferHeld(self._now(), self.index, self._host.hold_reason))
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
                case State.MOVE:
                    return self._move(budget)
                case State.RETIRE:
                    purpose = events.Purpose.WRITE_BACK
                    return self._retire()
                case State.FETCH | State.POLL:
                    purpose = events.Purpose.DESCRIPTOR
                    return self._fetch(budget)
                case State.IDLE | State.FAILED:
                    return budget
        except BusAbort as abort:
            self._fail(abort, purpose)
            return TRANSACTION_COST

    def _fetch(self, budget: int) -> int:
        regs, names = self._regs, self.names
        mode = _decode(regs[names.mode])
        try:
            self._load(self._scratch[: LONG_DESCRIPTOR if mode.dac_chain else DESCRIPTOR])
        except BusAbort:
            self._latch_pending()
            raise
        pci, local, size, pointer, upper = _WORDS.unpack(self._scratch)
        if mode.valid_mode:
            size, pci, local = pci, local, size
        regs[names.pci_address], regs[names.local_address], regs[names.size] = pci, local, size
        if mode.dac_chain:
            regs[names.upper_address] = upper
        else:
            upper = regs[names.upper_address]
        self._latch_pending()
        if mode.valid_mode and not size & _VALID:
            # DMADPR keeps pointing here: another START, or the next poll, reads the same descriptor again.
            if mode.valid_stop:
                self._end(aborted=False)
                return TRANSACTION_COST
            self.state = State.POLL
            return budget
        regs[names.pointer] = pointer
        at, in_pci = self._next, self._next_in_pci
        size_word = (at + (0 if mode.valid_mode else 8)) % LOW_HALF
        self._transfer = Transfer(mode, pci, upper, local, size & _COUNT, pointer, True, size_word, in_pci)
        if self._trace.enabled:
            self._trace.emit(
                events.DescriptorLoaded(self._now(), self.index, at, in_pci, pci, local, size & _COUNT, pointer)
            )
        self.state = State.MOVE
        return TRANSACTION_COST

    def _move(self, budget: int) -> int:
        transfer = self._current()
        done = transfer.moved
        left = transfer.count - done
        if left == 0:
            self.state = State.RETIRE
            return TRANSACTION_COST
        pci = (transfer.pci + done) % LOW_HALF
        address = BusAddr(transfer.upper << 32 | pci)
        most = HELD_WORDS * transfer.mode.word if transfer.mode.hold_local else MAX_BURST
        length = min(left, budget, LOW_HALF - pci, most)
        if transfer.mode.hold_local and length < left:
            # End on a word of the local bus, lest a FIFO sees half an access because the budget ran out.
            word = transfer.mode.word
            whole = length - (done + length) % word
            length = whole if whole > 0 else min(left, word - done % word, LOW_HALF - pci)
        try:
            if transfer.mode.hold_local:
                cost = length * (HELD_COST // transfer.mode.word)
                self._move_held(transfer, address, length)
            else:
                span = self._local.find((transfer.local + done) % LOCAL_SPACE, length)
                cost = length = span.length
                self._move_linear(transfer, address, span)
        except BusAbort as abort:
            self._advance(transfer, address, abort.moved)
            raise
        self._advance(transfer, address, length)
        if length == left:
            self.state = State.RETIRE
        return max(cost, TRANSACTION_COST)

    def _advance(self, transfer: Transfer, address: int, moved: int) -> None:
        """Count what has crossed the bridge."""
        if not moved:
            return
        if self._trace.enabled:
            local = transfer.local if transfer.mode.hold_local else (transfer.local + transfer.moved) % LOCAL_SPACE
            to_pci = bool(transfer.pointer & _TO_PCI)
            self._trace.emit(events.DataMoved(self._now(), self.index, to_pci, address, local, moved))
        transfer.moved += moved
        self._host.last_bus_address = address + moved - 1

    def _move_linear(self, transfer: Transfer, address: BusAddr, span: Span) -> None:
        """Move a run of local addresses that has one answer, without a copy where the target is plain memory."""
        memory = span.target.view(span.offset, span.length) if span.target else None
        if transfer.pointer & _TO_PCI:
            self._bus.write_from(address, memoryview(self._local.read_span(span)) if memory is None else memory)
        elif memory is not None:
            self._bus.read_into(address, memory)
        else:
            buffer = memoryview(bytearray(span.length))
            try:
                self._bus.read_into(address, buffer)
            except BusAbort as abort:
                self._local.write_span(span, buffer[: abort.moved])
                raise
            self._local.write_span(span, buffer)

    def _move_held(self, transfer: Transfer, address: BusAddr, length: int) -> None:
        """Move word by word from or to one local address."""
        word = transfer.mode.word
        pieces = []
        at, phase = 0, transfer.moved % word
        while at < length:
            size = min(word - phase, length - at)
            pieces.append((at, transfer.local + phase, size))
            at, phase = at + size, 0
        if transfer.pointer & _TO_PCI:
            data = b"".join(self._local.read(local, size) for _, local, size in pieces)
            self._bus.write_from(address, memoryview(data))
            return
        buffer = memoryview(bytearray(length))
        arrived = length
        try:
            self._bus.read_into(address, buffer)
        except BusAbort as abort:
            arrived = abort.moved
            raise
        finally:
            for at, local, size in pieces:
                if at < arrived:
                    self._local.write(local, buffer[at : min(at + size, arrived)])

    def _retire(self) -> int:
        """Finish a descriptor: write-back, DONE, the interrupt; a mid-chain terminal count waits for FETCH."""
        transfer = self._current()
        pointer = transfer.pointer
        last = pointer & _LAST or not transfer.chained
        if transfer.mode.valid_mode and transfer.chained and transfer.count == 0 and not last:
            self._follow(pointer)
            return TRANSACTION_COST
        if transfer.mode.clear_count and transfer.chained:
            self._write_back(transfer)
        if pointer & _TERMINAL_COUNT:
            self._terminal_count_pending = True
        if last:
            self._end(aborted=False)
        else:
            self._follow(pointer)
        return TRANSACTION_COST

    def _write_back(self, transfer: Transfer) -> None:
        """Store the remaining count, which is 0, in the descriptor's size word; that clears VALID too."""
        if transfer.size_word_in_pci:
            self._bus.write_from(BusAddr(transfer.size_word), _ZERO)
            self._host.last_bus_address = transfer.size_word
        else:
            self._local.write(transfer.size_word, _ZERO)

    def _end(self, *, aborted: bool) -> None:
        """DONE, then the interrupt. An abort drops a terminal count that waits."""
        terminal_count = self._terminal_count_pending and not aborted
        self._terminal_count_pending = False
        self._transfer = None
        self.state = State.IDLE
        self._regs.set_bits(self.names.command, DmaCommand.done.mask, to=True)
        if self._trace.enabled:
            self._trace.emit(events.TransferDone(self._now(), self.index, aborted))
        if terminal_count or self._regs[self.names.mode] & DmaMode.done_intr.mask:
            self._latch()
        self._host.interrupts_changed()

    def _fail(self, abort: BusAbort, purpose: events.Purpose) -> None:
        """Stay at DONE=0 until software aborts, as silicon does."""
        self.state = State.FAILED
        self._host.last_bus_address = abort.address
        self._host.bus_error(self.index, abort, purpose)

    def _latch_pending(self) -> None:
        if self._terminal_count_pending:
            self._terminal_count_pending = False
            self._latch()
            self._host.interrupts_changed()

    def _latch(self) -> None:
        self.interrupt = True
        if self._trace.enabled:
            self._trace.emit(events.InterruptLatched(self._now(), self.index))

    def _current(self) -> Transfer:
        if self._transfer is None:
            raise AssertionError(f"channel {self.index} is in {self.state} without a transfer")
        return self._transfer

    def _load(self, into: memoryview) -> None:
        """Read the next descriptor; the address counter wraps at 4 GiB."""
        if not self._next_in_pci:
            into[:] = self._local.read(self._next, len(into))
            return
        head = min(len(into), LOW_HALF - self._next)
        self._bus.read_into(BusAddr(self._next), into[:head])
        if head < len(into):
            self._bus.read_into(BusAddr(0), into[head:])
        self._host.last_bus_address = (self._next + len(into) - 1) % LOW_HALF
