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
    MOVE  -- EOT# ----------------------------> RETIRE

The visible registers never count: they show the current descriptor as it was loaded. Working counters are private.
Descriptors are fetched one at a time and late, because drivers append to a running chain; N+1 is loaded before N's
terminal count is signalled, because interrupt handlers look at DMAPADR to see how far the chip has come.

The file is long because all of a channel's transitions stand here; what moves the bytes is in datapath.py.

Source: PLX SDK, Linux comedi and farsync drivers, the Windows PLX9x5x sample, read-back of a PEX 8311.
"""

import dataclasses
import enum
import functools
import struct
from typing import TYPE_CHECKING, Final, Protocol

from plx9x5x import events
from plx9x5x.errors import BusAbort, ParityError
from plx9x5x.model.datapath import DataPath
from plx9x5x.model.localbus import LOCAL_SPACE, LocalBus
from plx9x5x.model.transfer import Mode, Transfer, decode
from plx9x5x.ports import BusMaster, Clock, TraceSink
from plx9x5x.regs.dma import ChannelRegisters, DescriptorPointer, DmaCommand, DmaMode, DmaSize
from plx9x5x.regs.kernel import RegisterFile
from plx9x5x.units import KIB, BusAddr

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BURST: Final = 64 * KIB
"""Bytes moved by one step at most, so that a pause or an abort is never far away."""

TRANSACTION_COST: Final = 8 * KIB
"""What any step costs of the budget at least, in bytes: it takes about as long as copying so many. This bounds how long
a chain of small descriptors can keep the host waiting, where bytes alone would not."""

LWORD: Final = 4

DESCRIPTOR: Final = 16
LONG_DESCRIPTOR: Final = 20
"""Bytes of a descriptor, without and with the upper PCI address."""

RECHECK_NS: Final = 100_000
"""How long a channel that waits for memory or for the board lets pass before it looks again."""

LONGEST_RECHECK_NS: Final = 2_000_000
"""A ring that nobody fills is looked at less and less often, down to this: it bounds what it costs the host."""

RING_MOST: Final = 4096
"""Descriptors of one transfer that are remembered."""

ENDLESS: Final = 4096
"""Descriptors one after the other that move nothing: more than any driver puts into a list to skip."""

LOW_HALF: Final = 1 << 32
"""The PCI address counter is 32 bits wide and wraps without a carry into the upper half."""

_WORDS: Final = struct.Struct("<5I")
_COUNT: Final = DmaSize.count.mask
_VALID: Final = DmaSize.valid.mask
_ENABLE: Final = DmaCommand.enable.mask
_START: Final = DmaCommand.start.mask
_ABORT: Final = DmaCommand.abort.mask
_CLEAR: Final = DmaCommand.clear_intr.mask
_DONE: Final = DmaCommand.done.mask
_DONE_INTR: Final = DmaMode.done_intr.mask
_IN_PCI: Final = DescriptorPointer.in_pci_memory.mask
_LAST: Final = DescriptorPointer.end_of_chain.mask
_TERMINAL_COUNT: Final = DescriptorPointer.terminal_count_intr.mask
_NEXT: Final = DescriptorPointer.next.mask


class State(enum.Enum):
    """Where the channel is."""

    IDLE = "idle"
    FETCH = "fetch"
    MOVE = "move"
    RETIRE = "retire"
    POLL = "poll"
    FAILED = "failed"


class _Superseded(Exception):
    """A peripheral ended or started the channel's transfer while it was being asked for data, or told of a pin."""


class ChannelHost(Protocol):
    """What a channel needs of the chip around it."""

    may_master: bool
    """True while the chip can ask for the bus."""
    last_bus_address: int
    """The last bus address that a channel put on the bus."""
    by_host: bool
    """True while the host writes a register."""
    thorough: bool
    """True if each descriptor is looked at again when it is done."""
    accesses: int
    """Of BARs, by software so far; counted if `thorough`."""

    @property
    def hold_cause(self) -> events.Hold:
        """Why `may_master` is False."""
        ...

    def big_endian(self, channel: int) -> bool:
        """True if BIGEND turns the words of this channel."""
        ...

    def bus_error(self, channel: int, abort: BusAbort, purpose: events.Purpose) -> None:
        """Set the status bits of a failed access."""
        ...

    def parity_error(self, channel: int, address: int, *, writes: bool = False) -> None:
        """Set the status bits of bad data read from `address` on, or written there."""
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
        count_to_pci: bool,
    ) -> None:
        self.index: Final = index
        self.names: Final = names
        self._regs, self._host = registers, host
        self.path: Final = DataPath(bus, local, functools.partial(host.parity_error, index))
        self._now, self._trace = clock.now, trace
        self.state = State.IDLE
        self.interrupt = False
        """The channel's interrupt latch."""
        self._terminal_count_pending = False
        self._transfer: Transfer | None = None
        self._next = 0
        self._next_in_pci = False
        self._held = False
        self._count_to_pci: Final = count_to_pci
        self._eot = False
        self._poll_at = 0
        self._poll_ns = RECHECK_NS
        self._life = 0
        """Counts transfers that began or ended: a step that finds another number after a local access is void."""
        self.demand: Callable[[], int] | None = None
        """DREQ# as the board drives it: how many bytes may move now, or words of the bus. None never asks."""
        self._demand_in_words = False
        self._demand_seen: bool | None = None
        """What the transfer saw of DREQ# when it last looked; None if it has not."""
        self._told_of_demand = False
        """It has been said that the board drives no DREQ#."""
        self.purpose: events.Purpose | None = None
        """What the channel is on a bus for right now."""
        self._told_of_empty = self._told_of_wrap = False
        """It has been said that a transfer moves nothing, and that one wraps."""
        self._counts = events.ChannelTally()
        self._empty = 0
        """Descriptors of size 0, one after the other."""
        self._fetched: tuple[int, tuple[int, int, int, int]] = (-1, (0, 0, 0, 0))
        self._ring: dict[int, tuple[int, tuple[int, int, int, int], int]] = {}
        """Descriptors of this transfer: the count of accesses when each was fetched, its words, how often."""
        self._scratch: Final = memoryview(bytearray(LONG_DESCRIPTOR))

    # -- what software does ------------------------------------------------------------------------

    def command(self, written: int, *, was_enabled: bool = False) -> None:
        """Act on a write to DMACSR, after ENABLE was stored; `was_enabled` says what it was before."""
        enabled = self._regs[self.names.command] & _ENABLE
        self._poll_ns = RECHECK_NS
        if written & _CLEAR and self.interrupt:
            self.interrupt = False
            self._counts.acknowledged += 1
            self._host.interrupts_changed()
        if written & _ABORT and self.state is not State.IDLE:
            if enabled:
                self._ignore(written, events.Ignored.ABORT_ENABLED)
            else:
                self._end(aborted=True)
        if written & _START:
            self._start_or_not(written, enabled=bool(enabled), was_enabled=was_enabled)
        if self._held or not self._host.may_master:
            self.note_hold(starts=True)

    def _start_or_not(self, written: int, *, enabled: bool, was_enabled: bool) -> None:
        if self.state is State.IDLE:
            if enabled:
                self._start()
            else:
                self._ignore(written, events.Ignored.START_DISABLED)
        elif not enabled:
            self._ignore(written, events.Ignored.START_DISABLED)
        # On a paused channel START with ENABLE is how a transfer resumes; a ring that polls is looked at at once.
        elif was_enabled and self._expects_no_start:
            self._ignore(written, events.Ignored.START_BUSY)

    @property
    def _expects_no_start(self) -> bool:
        transfer = self._transfer
        return self.state is not State.POLL and not (transfer is not None and transfer.mode.valid_mode)

    def _ignore(self, written: int, why: events.Ignored) -> None:
        if self._host.by_host:
            self._trace.emit(events.CommandIgnored(self._now(), self.index, written, why))

    def _start(self) -> None:
        self._life += 1
        self._counts.transfers += 1
        self._empty = 0
        self._ring.clear()
        regs, names = self._regs, self.names
        mode, pointer = decode(regs[names.mode]), regs[names.pointer]
        regs[names.command] = regs[names.command] & ~_DONE
        self._terminal_count_pending = self._eot = False
        self._counts.chains += mode.chain
        self._demand_seen = None
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
                swapped=self._swapped(mode),
            )
            self.state = State.MOVE
            self._look_for_odd(self._transfer, None)
        if mode.demand:
            self._look_for_demand()
        if self._trace.enabled:
            self._trace.emit(events.TransferStarted(self._now(), self.index, mode.chain))

    def _follow(self, pointer: int) -> None:
        """Go to the descriptor that `pointer` names."""
        self._next, self._next_in_pci = pointer & _NEXT, bool(pointer & _IN_PCI)
        self.state = State.FETCH

    def _swapped(self, mode: Mode) -> int:
        return mode.word if mode.word > 1 and self._host.big_endian(self.index) else 0

    @property
    def enabled(self) -> bool:
        """ENABLE as software left it."""
        return bool(self._regs[self.names.command] & _ENABLE)

    @property
    def runnable(self) -> bool:
        """True if a step would do something now."""
        # Asked several times a step, hence in one piece.
        state = self.state
        if state is State.IDLE or state is State.FAILED or not self._host.may_master:
            return False
        return bool(self._regs[self.names.command] & _ENABLE) and not self._waits

    @property
    def under_way(self) -> bool:
        """True if nothing in the chip keeps the channel from going on; it may wait for memory or for the board."""
        return self.busy and self._host.may_master and self.enabled

    @property
    def _waits(self) -> bool:
        """True if the channel wants something from outside: a valid descriptor, or the board's DREQ#."""
        if self.state is State.POLL:
            return self._now() < self._poll_at
        transfer = self._transfer
        if self.state is not State.MOVE or transfer is None or not transfer.mode.demand or self._eot:
            return False
        return transfer.moved < transfer.count and not self._asks(transfer, self._demanded(transfer))

    def _asks(self, transfer: Transfer, ready: int) -> bool:
        """True if the `ready` bytes that the board would let move are enough for any to move: the level of DREQ#."""
        level = ready >= self._least(transfer)
        if level is not self._demand_seen:
            self._demand_seen = level
            if self._trace.enabled:
                self._trace.emit(events.DemandSeen(self._now(), self.index, level))
        return level

    @staticmethod
    def _least(transfer: Transfer) -> int:
        """Bytes below which nothing moves: at a held address the board gives and takes whole words of the local bus."""
        if not transfer.mode.hold_local:
            return 1
        unit = Channel._unit(transfer)
        return min(transfer.count - transfer.moved, unit - transfer.moved % unit)

    @staticmethod
    def _unit(transfer: Transfer) -> int:
        """Bytes that move together at a held address: a word of the local bus, or the Lword that DREQ# counts.

        Source: PCI 9080 data book 1.02, p. 33, for 16-bit local buses. UNVERIFIED: 8-bit ones alike.
        """
        return max(LWORD, transfer.mode.word) if transfer.mode.demand else transfer.mode.word

    @property
    def wait_ns(self) -> int | None:
        """Nanoseconds until a channel that waits looks again; None if it does not wait.

        It may be due by now: time passes between a step that found nothing and this question.
        """
        if not self.under_way:
            return None
        if self.state is State.POLL:
            return self._poll_at - self._now()
        # A board that drives no DREQ# at all will not drive it later.
        return RECHECK_NS if self._waits and self.demand is not None else None

    def _demanded(self, transfer: Transfer) -> int:
        """Bytes that the board lets move now."""
        if self.demand is None:
            return 0
        return max(0, self.demand()) * (transfer.mode.word if self._demand_in_words else 1)

    def drive_demand(self, ready: "Callable[[], int] | None", *, words: bool = False) -> None:
        """Take how the board drives DREQ# from now on; `words`: `ready` counts words of the local bus."""
        self._demand_in_words = words
        changed = (ready is None) is not (self.demand is None)
        self.demand = ready
        if changed and self._trace.enabled:
            self._trace.emit(events.DemandDriven(self._now(), self.index, ready is not None))

    def assert_eot(self) -> None:
        """EOT# from the board. Outside a transfer, or if the driver has not enabled it, nobody looks."""
        transfer = self._transfer
        heeded = self.state is State.MOVE and transfer is not None and transfer.mode.eot_enable
        if self._trace.enabled:
            self._trace.emit(events.EotAsserted(self._now(), self.index, heeded))
        if heeded:
            self._eot = True

    @property
    def busy(self) -> bool:
        """True while a transfer is under way and has not failed."""
        return self.state is not State.IDLE and self.state is not State.FAILED

    @property
    def hung(self) -> str | None:
        """Why DONE will not come, where the state does not tell: a channel of this class has no such reason."""
        return None

    def note_hold(self, *, starts: bool = False) -> None:
        """Report, once for each time, that the transfer waits for bus mastering; `starts`: it begins or resumes now."""
        held = self.busy and self.enabled and not self._host.may_master
        # A ring that polls for a valid descriptor moves nothing.
        if held and not self._held and (starts or self.state is not State.POLL):
            cause = self._host.hold_cause
            self._trace.emit(events.TransferHeld(self._now(), self.index, cause.value, cause, moving=not starts))
        self._held = held

    def settle(self) -> None:
        """Have all be seen that the chip's channels did without Python; here that is nothing."""

    def see_board(self, local: LocalBus) -> None:
        """The local bus is another one: the board is new."""
        self.path.local = local

    def _look_for_demand(self) -> None:
        """Say, once, that a transfer waits for a DREQ# which nobody drives."""
        if self.demand is not None or self._told_of_demand:
            return
        self._told_of_demand = True
        cause = events.Hold.NO_DREQ
        self._trace.emit(events.TransferHeld(self._now(), self.index, cause.value, cause))

    def _look_for_odd(self, transfer: Transfer, descriptor: int | None) -> None:
        """Say, each once, that a transfer moves nothing or counts past 32 bits; valid mode skips what is empty."""
        if transfer.count == 0:
            if not self._told_of_empty and not (transfer.mode.valid_mode and transfer.chained):
                self._told_of_empty = True
                self._trace.emit(events.NothingToMove(self._now(), self.index, descriptor))
        elif transfer.pci + transfer.count > LOW_HALF and not self._told_of_wrap:
            self._told_of_wrap = True
            address = transfer.upper << 32 | transfer.pci
            self._trace.emit(events.AddressWrapped(self._now(), self.index, address, transfer.count, descriptor))

    @property
    def tally(self) -> events.ChannelTally:
        """What the channel has done since `forget_tally`."""
        return dataclasses.replace(self._counts)

    def forget_tally(self) -> None:
        """Count afresh, for another client."""
        self._counts = events.ChannelTally()
        self.say_again()

    def say_again(self) -> None:
        """What has been said once may be said again, of another driver."""
        self._told_of_empty = self._told_of_wrap = self._told_of_demand = False

    @property
    def visible(self) -> tuple[tuple[str, int], ...]:
        """The channel's registers by name, as they are now."""
        names, regs = self.names, self._regs
        shown = (names.mode, names.pci_address, names.local_address, names.size, names.pointer)
        return tuple((reg.__name__, regs[reg]) for reg in shown)

    @property
    def descriptor(self) -> tuple[int, bool] | None:
        """Where the descriptor of the transfer stands, or the one to be fetched: (address, in PCI memory)."""
        if self.state is State.FETCH or self.state is State.POLL or self.purpose is events.Purpose.DESCRIPTOR:
            return self._next, self._next_in_pci
        transfer = self._transfer
        return (self._next, self._next_in_pci) if transfer is not None and transfer.chained else None

    @property
    def extent(self) -> tuple[int, int]:
        """Local address and bytes of the transfer under way; (0, 0) if there is none."""
        return (0, 0) if self._transfer is None else (self._transfer.local, self._transfer.count)

    @property
    def begin(self) -> int | None:
        """Bus address of the first byte of the transfer under way."""
        transfer = self._transfer
        return None if transfer is None else transfer.upper << 32 | transfer.pci

    def reset(self) -> None:
        """Forget everything, what the board drives too. The register file is reset by the chip."""
        self._life += 1
        self.state = State.IDLE
        self.interrupt = False
        self._terminal_count_pending = False
        self._transfer = None
        self._held = self._eot = False
        self.drive_demand(None)

    # -- what the chip does ------------------------------------------------------------------------

    def run(self, budget: int) -> int:
        """Go on while nothing but this channel moves; a step here, and more at once in C (native_channel.py)."""
        return self.step(budget)

    def step(self, budget: int) -> int:
        """Do one bus transaction of at most about `budget` bytes; give what it cost, in bytes."""
        self.path.bus_bytes = 0
        life = self._life
        try:
            match self.state:
                case State.MOVE:
                    self.purpose = events.Purpose.DATA
                    return self._move(budget)
                case State.RETIRE:
                    self.purpose = events.Purpose.WRITE_BACK
                    return self._retire()
                case State.FETCH | State.POLL:
                    self.purpose = events.Purpose.DESCRIPTOR
                    return self._fetch()
                case State.IDLE | State.FAILED:
                    return budget
        except _Superseded:
            return TRANSACTION_COST
        except BusAbort as abort:
            if self._life == life and self.purpose is not None:
                self._fail(abort, self.purpose)
            return TRANSACTION_COST
        finally:
            self.purpose = None

    def _go_on(self, life: int) -> None:
        """Raises: _Superseded if a peripheral has meanwhile ended the transfer that was in its `life`."""
        if self._life != life:
            raise _Superseded

    def _fetch(self) -> int:
        regs, names, life = self._regs, self.names, self._life
        mode = decode(regs[names.mode])
        try:
            self._load(self._scratch[: LONG_DESCRIPTOR if mode.dac_chain else DESCRIPTOR])
        except BusAbort:
            self._latch_pending()
            raise
        self._go_on(life)
        pci, local, size, pointer, upper = _WORDS.unpack(self._scratch)
        if mode.valid_mode:
            size, pci, local = pci, local, size
        regs[names.pci_address], regs[names.local_address], regs[names.size] = pci, local, size
        if mode.dac_chain:
            regs[names.upper_address] = upper
        else:
            upper = regs[names.upper_address]
        self._latch_pending()
        self._go_on(life)
        if mode.valid_mode and not size & _VALID:
            # DMADPR keeps pointing here: another START, or the next poll, reads the same descriptor again.
            if mode.valid_stop:
                self._end(aborted=False)
                return TRANSACTION_COST
            self.state = State.POLL
            self._poll_at = self._now() + self._poll_ns
            self._poll_ns = min(2 * self._poll_ns, LONGEST_RECHECK_NS)
            return TRANSACTION_COST
        self._poll_ns = RECHECK_NS
        regs[names.pointer] = pointer
        at, in_pci = self._next, self._next_in_pci
        size_word = (at + (0 if mode.valid_mode else 8)) % LOW_HALF
        self._transfer = Transfer(
            mode, pci, upper, local, size & _COUNT, pointer, True, size_word, in_pci, self._swapped(mode)
        )
        self._counts.descriptors += 1
        if self._host.thorough:
            self._remember(at, (pci, local, size, pointer))
        self._look_for_odd(self._transfer, at)
        self._look_for_an_end(at, size & _COUNT)
        if self._trace.enabled:
            self._trace.emit(
                events.DescriptorLoaded(self._now(), self.index, at, in_pci, pci, local, size & _COUNT, pointer)
            )
        self.state = State.MOVE
        return TRANSACTION_COST

    def _move(self, budget: int) -> int:
        transfer, life = self._current(), self._life
        done = transfer.moved
        left = transfer.count - done
        if left == 0 or self._eot:
            self.state = State.RETIRE
            return TRANSACTION_COST
        if transfer.mode.demand:
            # Once: the board may say something else the next time.
            ready = self._demanded(transfer)
            if not self._asks(transfer, ready):
                return TRANSACTION_COST
            budget = min(budget, ready)
        pci = (transfer.pci + done) % LOW_HALF
        address = BusAddr(transfer.upper << 32 | pci)
        port = self.path.port(transfer) if transfer.mode.hold_local else None
        length = min(left, budget, LOW_HALF - pci, port.most if port else MAX_BURST)
        if port and length < left:
            # End on a word of the local bus, lest a FIFO sees half an access because the budget ran out.
            unit = self._unit(transfer)
            whole = length - (done + length) % unit
            length = whole if whole > 0 else min(left, unit - done % unit, LOW_HALF - pci)
        try:
            if port:
                cost = port.cost(length)
                length = self.path.held(transfer, address, length, lambda: self._eot)
            else:
                span = self.path.local.find((transfer.local + done) % LOCAL_SPACE, length)
                cost = length = span.length
                self.path.linear(transfer, address, span)
        except BusAbort as abort:
            self._go_on(life)
            self._advance(transfer, address, abort.moved)
            raise
        self._go_on(life)
        self._advance(transfer, address, length)
        if length == left:
            self.state = State.RETIRE
        return max(cost, TRANSACTION_COST)

    def _remember(self, address: int, words: tuple[int, int, int, int]) -> None:
        """Keep what was fetched; say if nobody can have taken what the descriptor held the last time."""
        self._fetched = address, words
        before = self._ring.get(address)
        accesses = self._host.accesses
        if before is None:
            if len(self._ring) < RING_MOST:
                self._ring[address] = accesses, words, 1
            return
        then, held, rounds = before
        self._ring[address] = accesses, words, rounds + 1
        mode = decode(self._regs[self.names.mode])
        takes = words[3] & DescriptorPointer.to_pci.mask and not mode.valid_mode and not mode.clear_count
        if takes and then == accesses and held == words and words[2] & _COUNT:
            self._trace.emit(events.RingOverrun(self._now(), self.index, address, rounds))

    def _compare(self) -> None:
        """Look at the descriptor again, now that it is done. Appending changes the pointer alone, and is right."""
        address, fetched = self._fetched
        if not self._next_in_pci or address != self._next:
            return
        again, life, purpose = memoryview(bytearray(DESCRIPTOR)), self._life, self.purpose
        self.purpose = None  # no card does this: nobody is to be blamed for it
        try:
            self.path.bus.read_into(BusAddr(address), again)
        except (BusAbort, ParityError):
            return
        finally:
            self.purpose = purpose
        self._go_on(life)
        words = struct.unpack("<4I", again)
        if self._current().mode.valid_mode:
            words = (words[1], words[2], words[0], words[3])
        if words[:3] != fetched[:3]:
            self._trace.emit(events.DescriptorChanged(self._now(), self.index, address, fetched, words))

    def _look_for_an_end(self, address: int, count: int) -> None:
        """Say, once a transfer, that a chain goes on and on and moves nothing."""
        if count:
            self._empty = 0
        elif self._empty < ENDLESS:
            self._empty += 1
            if self._empty == ENDLESS:
                self._trace.emit(events.EndlessChain(self._now(), self.index, address, self._empty))

    def _advance(self, transfer: Transfer, address: int, moved: int) -> None:
        """Count what has crossed the bridge."""
        if not moved:
            return
        if self._trace.enabled:
            local = transfer.local if transfer.mode.hold_local else (transfer.local + transfer.moved) % LOCAL_SPACE
            to_pci = transfer.to_pci
            self._trace.emit(events.DataMoved(self._now(), self.index, to_pci, address, local, moved))
        transfer.moved += moved
        if transfer.to_pci:
            self._counts.to_pci += moved
        else:
            self._counts.to_local += moved
        self._host.last_bus_address = address + moved - 1

    def _retire(self) -> int:
        """Finish a descriptor: write-back, DONE, the interrupt; a mid-chain terminal count waits for FETCH."""
        transfer, life = self._current(), self._life
        pointer = transfer.pointer
        stopped = self._eot and not (transfer.mode.eot_end_link and transfer.chained)
        self._eot = False
        last = pointer & _LAST or not transfer.chained or stopped
        if transfer.mode.valid_mode and transfer.chained and transfer.count == 0 and not last:
            self._follow(pointer)
            return TRANSACTION_COST
        if self._host.thorough and transfer.chained:
            self._compare()
            self._go_on(life)
        if transfer.mode.clear_count and transfer.chained:
            self._write_back(transfer)
            self._go_on(life)
        if pointer & _TERMINAL_COUNT:
            self._terminal_count_pending = True
        if last:
            self._end(aborted=False)
        else:
            self._follow(pointer)
        return TRANSACTION_COST

    def _write_back(self, transfer: Transfer) -> None:
        """Store what EOT# left of the count, otherwise 0, in the descriptor's size word; that clears VALID too."""
        rest = memoryview((transfer.count - transfer.moved).to_bytes(4, "little"))
        if not transfer.size_word_in_pci:
            self.path.local.write(transfer.size_word, rest)
        elif self._count_to_pci:
            self.path.write_bus(BusAddr(transfer.size_word), rest)
            self._host.last_bus_address = transfer.size_word

    def _end(self, *, aborted: bool) -> None:
        """DONE, then the interrupt. An abort drops a terminal count that waits."""
        self._life += 1
        terminal_count = self._terminal_count_pending and not aborted
        self._terminal_count_pending = self._eot = False
        self._transfer = None
        self.state = State.IDLE
        self._regs[self.names.command] = self._regs[self.names.command] | _DONE
        self._counts.aborted += aborted
        if self._trace.enabled:
            self._trace.emit(events.TransferDone(self._now(), self.index, aborted))
        if terminal_count or self._regs[self.names.mode] & _DONE_INTR:
            self._latch()
            self._host.interrupts_changed()

    def _fail(self, abort: BusAbort, purpose: events.Purpose) -> None:
        """Stay at DONE=0 until software aborts, as silicon does."""
        self.state = State.FAILED
        self._counts.failed += 1
        self._host.last_bus_address = abort.address
        self._host.bus_error(self.index, abort, purpose)

    def _latch_pending(self) -> None:
        if self._terminal_count_pending:
            self._terminal_count_pending = False
            self._latch()
            self._host.interrupts_changed()

    def _latch(self) -> None:
        self._counts.raised += not self.interrupt
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
            into[:] = self.path.local.read(self._next, len(into))
            return
        head = min(len(into), LOW_HALF - self._next)
        self.path.bus_bytes = len(into)
        self.path.read_bus(BusAddr(self._next), into[:head])
        if head < len(into):
            self.path.read_bus(BusAddr(0), into[head:])
        self._host.last_bus_address = (self._next + len(into) - 1) % LOW_HALF
