# SPDX-License-Identifier: Apache-2.0
"""The bridge: what each register does, which windows decode, who gets the bus.

The chip is given the host's side (`BusMaster`, `IrqLine`), a board and a clock, and is a `PciDevice` to any transport.
No guest input raises out of it. DMA runs in `step`, never inside a register write. The file is long because what each
register does stands here and nowhere else; how it is done is in the modules that it calls.

Source: PCI Local Bus Specification 2.2, PLX SDK, PCI 9080 data book 1.02. UNVERIFIED: the scope of the software reset,
D3hot to D0 as a power-on reset, SERR# by INTCSR bit 2.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from plx9x5x import events
from plx9x5x.board import Board
from plx9x5x.errors import BusAbort, TargetAbort
from plx9x5x.model.channels import ASK, BIG_ENDIAN, INTA_DUE, MORE, native_card
from plx9x5x.model.clock import VirtualClock
from plx9x5x.model.eeprom_port import EepromPort
from plx9x5x.model.engine import Channel, State
from plx9x5x.model.interrupts import MAILBOX_WRITTEN, Interrupts
from plx9x5x.model.localbus import LocalBus
from plx9x5x.model.messaging import MessagingUnit
from plx9x5x.model.patience import LEFT, SPIN, Patience
from plx9x5x.model.pins import LocalSide
from plx9x5x.model.places import Places
from plx9x5x.model.space_access import SpaceAccess
from plx9x5x.model.timing import LOCAL_STEP_NS, TIMED_BURST, BusSpeed, BusTimer
from plx9x5x.model.windows import SHAPING, Bar, arrange
from plx9x5x.ports import BusMaster, Clock, IrqLine, NullTrace, RegionSpec, ResetKind, TraceSink
from plx9x5x.regs import config as cfg
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.family import Chips
from plx9x5x.regs.kernel import ReadHook, Register, RegisterFile, Write, WriteHook

if TYPE_CHECKING:
    from plx9x5x.plane.serving import Part

CONFIG: Final = -1
"""Stands for configuration space where an event or a count names a BAR."""

DWORD: Final = 4
_QUICK: Final = (DWORD, 1)
"""Widths that a driver uses for registers; the native plane answers those itself where it can."""
_RESET: Final = intr.CNTRL.software_reset.mask
_RELOAD: Final = intr.CNTRL.reload.mask
_SPACES: Final[dict[int, type[Register]]] = {
    register.offset: register for register in (local.LAS0RR, local.LAS0BA, local.LAS1RR, local.LAS1BA)
}
"""What turns a local address space on and off."""
_ANSWERED: Final[tuple[type[Register], ...]] = (*intr.MAILBOXES, intr.P2LDBELL)
"""Where software waits for what the local side will say; L2PDBELL is also what a handler on a shared line looks at."""

_ENABLES: Final = (cfg.PCICR.memory.mask, cfg.PCICR.io.mask)


@functools.cache
def _of_other_chips(chip: Chips) -> dict[int, tuple[tuple[str, ...], str]]:
    """Dwords that hold registers on other chips and nothing on `chip`: the names, and the chips that have them."""
    declared = (*local.LOCAL_REGISTERS, *intr.RUNTIME_REGISTERS, *intr.MESSAGING_REGISTERS, *dma.DMA_REGISTERS)
    present = {reg.offset & ~3 for reg in declared if chip in reg.chips}
    found: dict[int, tuple[tuple[str, ...], str]] = {}
    for reg in declared:
        at = reg.offset & ~3
        if at not in present and not reg.shadow:
            names, _ = found.get(at, ((), ""))
            found[at] = ((*names, reg.__name__), ", ".join(Chips(reg.chips).names))
    return found


class Chip:
    """The bridge of `board`, with the board behind it.

    `speed` makes transfers take time on `clock`; None (the default) makes them instant. `report_aborts` False keeps
    bus errors out of INTCSR, for drivers that enable the abort interrupt and never clear its cause: they would hang in
    an interrupt storm, as on the card. `thorough` looks at each access and each descriptor, for the findings that need
    it; then nothing is answered or moved in C. `channel` makes a channel in place of `Channel`, of its arguments.
    """

    def __init__(
        self,
        board: Board,
        *,
        bus: BusMaster,
        irq: IrqLine,
        clock: Clock | None = None,
        trace: TraceSink | None = None,
        speed: BusSpeed | None = None,
        report_aborts: bool = True,
        thorough: bool = False,
        channel: Callable[..., Channel] | None = None,
    ) -> None:
        self.thorough = thorough
        self.accesses = 0
        """Of BARs, by software; counted if `thorough`."""
        self.board: Final = board
        self.profile: Final = board.profile
        self._clock = clock or VirtualClock()
        self._trace = trace or NullTrace()
        self._timer = BusTimer(speed) if speed else None
        self._bus_free_at = 0
        self._turn = 0
        self._alone = True
        """One channel runs by itself: nobody's turn has to be worked out before its next step."""
        self._bars: tuple[Bar, ...] = ()
        self._open: dict[int, Bar] = {}
        """BARs that decode now."""
        self._powered = True
        self.may_master = False
        self._not_master = events.Hold.NEVER_MASTER
        """Why bit 2 of PCICR is 0, if it is."""
        self._doorbells = self._mailboxes = 0
        self._missing_told: set[int] = set()
        self._shut: dict[int, tuple[str, int]] = {}
        """BARs that the host's write of a register turned off, and nobody has accessed since."""
        self._told_shut = False
        self._unwanted: set[int] = set()
        """Channels whose interrupt the host kept from INTA# while a transfer of theirs was under way."""
        self.by_host = False
        """The host's write to a register is under way: what is wrong with it is the driver's."""
        self._last_bus_address = 0
        chip = self.profile.chip
        self._native: Final = native_card(bus, irq, self.profile.register_window)
        self.registers: Final = RegisterFile(
            (*local.LOCAL_REGISTERS, *intr.RUNTIME_REGISTERS, *intr.MESSAGING_REGISTERS, *dma.DMA_REGISTERS),
            chip,
            on_write=self._register_writes(),
            on_read=self._register_reads(),
            watched=dict.fromkeys(
                (names.mode for names in dma.CHANNELS), dma.DmaMode.valid_mode.mask | dma.DmaMode.to_inta.mask
            ),
            storage=self._native.pages.values if self._native else None,
        )
        self._elsewhere: Final = _of_other_chips(chip)
        self._answered: Final = {
            offset: register for register in _ANSWERED for offset in (register.offset, *register.aliases)
        }
        self._programmed: Final = {
            register.offset: (index, register)
            for index, names in enumerate(dma.CHANNELS)
            for register in names.programmed
            if register in self.registers.registers
        }
        self._places = Places(self.registers, self._native, self.profile.register_window)
        self.pages: Final = self._places.pages
        self._readers: Final = {bar: page.reader for bar, page in self.pages.items()}
        self._writers: Final = {bar: page.writer for bar, page in self.pages.items()}
        self.config: Final = RegisterFile(
            cfg.CONFIG_REGISTERS,
            chip,
            on_write=self._config_writes(),
            on_read=self._config_reads(),
        )
        self.eeprom: Final = EepromPort(
            self.profile, board.eeprom, registers=self.registers, config=self.config, misused=self._eeprom_misused
        )
        self._irq: Final = irq
        self._patience: Final = Patience(
            self._clock,
            tells=self._tells_cause,
            stuck=self._line_stuck,
            spinning=self._spins,
            watch=self._native.watch() if self._native else None,
        )
        self._interrupts = Interrupts(
            self.registers,
            self.config,
            irq=irq,
            clock=self._clock,
            trace=self._trace,
            report_aborts=report_aborts,
            served=self._causes_changed,
        )
        self.interrupts_changed: Final = self._interrupts.update
        if self._native:
            self._native.begin(self.registers, self.interrupts_changed)
        self.messaging: Final = MessagingUnit(self.registers, lambda: self._local)
        self._local = LocalBus((), self._undecoded)
        self._spaces = SpaceAccess(self.registers, lambda: self._local)
        make_channel = channel or (self._native.channel if self._native else Channel)
        self.channels: Final = tuple(
            make_channel(
                index,
                names,
                registers=self.registers,
                bus=bus,
                local=self._local,
                host=self,
                clock=self._clock,
                trace=self._trace,
                count_to_pci=self.profile.count_to_pci,
            )
            for index, names in enumerate(dma.CHANNELS)
        )
        self._interrupts.channels = self.channels
        self._work: Final = self._native.work if self._native else None
        self.local_side: Final = LocalSide(
            self.registers, self.config, self._interrupts, self.channels, clock=self._clock, trace=self._trace
        )
        """What the board, or whoever plays it, can do to the chip."""
        self.reset(ResetKind.POWER_ON)

    # -- PciDevice ---------------------------------------------------------------------------------

    @property
    def regions(self) -> tuple[RegionSpec, ...]:
        """BAR0 to BAR5 as the registers size them now; a client takes them once, when it connects."""
        return (*(RegionSpec(bar.size, bar.kind & 1 == 1) for bar in self._bars), RegionSpec(0), RegionSpec(0))

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read `width` bytes of a BAR; ones where nothing decodes."""
        self.accesses += self.thorough
        reader = self._readers.get(bar)
        if reader is not None and width in _QUICK and not self._trace.enabled and (value := reader(offset, width)) >= 0:
            return value
        window = self._open.get(bar)
        if window is None:
            self._note_shut(bar, is_write=False)
            value = (1 << 8 * width) - 1
        elif offset + width <= window.registers:
            value = self.registers.read(offset, width)
        else:
            self._patience.served()
            value = self._spaces.read(bar, window, offset, width)
        if window is not None and offset + width <= window.registers:
            self._patience.read(offset, width, value, line=self._irq.level)
        if self._trace.enabled:
            self._emit_access(bar, offset, width, value, is_write=False)
        return value

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write `width` bytes of a BAR; nothing happens where nothing decodes."""
        self.accesses += self.thorough
        if self._trace.enabled:
            self._emit_access(bar, offset, width, data, is_write=True)
        elif bar in self._writers and width in _QUICK and self._writers[bar](offset, width, data & 0xFFFF_FFFF):
            if self._native is not None:
                self._native.drive_inta()
            return
        window = self._open.get(bar)
        if window is None:
            self._note_shut(bar, is_write=True)
            return
        self._patience.wrote()
        if offset + width <= window.registers:
            self._write_registers(offset, width, data)
        else:
            self._patience.served()
            self._spaces.write(bar, window, offset, width, data)

    def _write_registers(self, offset: int, width: int, data: int) -> None:
        """Write registers, and tell what it means for what goes on: only the host's writes come here."""
        if width > DWORD:
            self._write_registers(offset, DWORD, data & 0xFFFF_FFFF)
            self._write_registers(offset + DWORD, width - DWORD, data >> 32)
            return
        dword, open_before = offset & ~3, self._open
        place = self.registers.moved.get(dword, dword)
        index, register = self._programmed.get(place, (0, None))
        before = None if register is None else self.registers[register]
        busy = register is not None and self.channels[index].busy
        self.by_host = True
        try:
            self.registers.write(offset, width, data)
        finally:
            self.by_host = False
        if register is not None and busy and (after := self.registers[register]) != before:
            event = events.RewrittenWhileBusy(self._clock.now(), index, register.__name__, before or 0, after)
            self._trace.emit(event)
        # Zeros are what a driver of the whole family writes everywhere.
        if data and dword in self._elsewhere and dword not in self._missing_told:
            self._missing_told.add(dword)
            self._trace.emit(events.RegisterMissing(self._clock.now(), dword, *self._elsewhere[dword]))
        # What shapes several BARs at once moves them: only a space's own registers turn it off.
        if self._open is not open_before and place in _SPACES:
            shut = open_before.keys() - self._open.keys()
            self._shut |= dict.fromkeys(shut, (_SPACES[place].__name__, self.registers[_SPACES[place]]))

    def _note_shut(self, bar: int, *, is_write: bool) -> None:
        """Tell why an access meets nothing, once. A handler on a shared line reads ones, and is right."""
        if bar in self._shut:
            self._trace.emit(events.WindowClosed(self._clock.now(), bar, *self._shut.pop(bar)))
        elif is_write and not self._told_shut and self._powered and bar < len(self._bars):
            made = self._bars[bar]
            self._told_shut = made.size > 0 and not self.config[cfg.PCICR] & _ENABLES[made.kind & 1]
            if self._told_shut:
                self._trace.emit(events.DecodeOff(self._clock.now(), bar, made.kind & 1 == 1))

    def _emit_access(self, bar: int, offset: int, width: int, value: int, *, is_write: bool) -> None:
        window = self._open.get(bar)
        registers = window is not None and offset + width <= window.registers
        self._trace.emit(events.RegionAccess(self._clock.now(), bar, offset, width, value, is_write, registers))

    def config_read(self, offset: int, width: int) -> int:
        """Read configuration space; offsets without a register read 0."""
        value = self.config.read(offset, width)
        if self._trace.enabled:
            self._trace.emit(events.RegionAccess(self._clock.now(), CONFIG, offset, width, value, is_write=False))
        return value

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write configuration space."""
        if self._trace.enabled:
            self._trace.emit(events.RegionAccess(self._clock.now(), CONFIG, offset, width, data, is_write=True))
        self.config.write(offset, width, data)

    def reset(self, kind: ResetKind) -> None:
        """Power-on defaults, then the EEPROM load; the board is new. Another client finds the EEPROM as made."""
        lost = kind is ResetKind.LOST_CLIENT
        left: Mapping[str, int] = {}
        if lost:
            self.summarise()
            left = self._left()
            self.eeprom.restore()
        else:
            self._tell_of_dma(kind.value)
        if lost:
            self._not_master = events.Hold.NEVER_MASTER
        elif self.config[cfg.PCICR] & cfg.PCICR.bus_master.mask:
            self._not_master = events.Hold.RESET_MASTER
        self._power_up()
        self._trace.emit(events.ChipReset(self._clock.now(), kind.value, left))

    def _left(self) -> Mapping[str, int]:
        """The registers as a client would read them now; those whose reading does something are left out."""
        files = ((self.config, ()), (self.registers, (intr.IQP, intr.OQP)))
        return {
            register.__name__: file.read(register.offset, register.width // 8)
            for file, active in files
            for register in file.registers
            if register in file and register not in active
        }

    def step(self, budget: int) -> bool:
        """Let the channels move about `budget` bytes; True while one could go on."""
        more = self._step(budget)
        if self._trace.enabled:
            self._trace.emit(events.StepEnded(self._clock.now(), goes_on=more or self.wait_ns() is not None))
        return more

    def _step(self, budget: int) -> bool:
        if self.local_side.timers:
            self.local_side.run_timers()
        if self._work is not None and self._native is not None and not self._trace.enabled:
            came = self._work(budget)
            if came & INTA_DUE:
                self._interrupts.update()
            if not came & ASK:
                # Whoever heard of INTA# may have started a transfer.
                return bool(came & MORE or (came & INTA_DUE and self._native.moves))
            budget -= self._native.spent
        first, second = self.channels
        if not (first.busy or second.busy):
            return False
        if self._timer:
            return self._timed_step(self._timer, budget)
        while budget > 0:
            channel = self._next_channel()
            if channel is None:
                return False
            budget -= channel.run(budget) if self._alone else channel.step(budget)
            while budget > 0 and self._alone and channel.runnable:
                budget -= channel.run(budget)
        return first.runnable or second.runnable

    def wait_ns(self) -> int | None:
        """Nanoseconds until a bus that is busy is free, a channel that waits looks again, or a board's timer is due."""
        if self._native is not None and self._native.moves:
            return 0
        return self._clock.expect(self._wait())

    def _wait(self) -> int | None:
        first, second = self.channels
        asked = [self.local_side.wait_ns]
        if first.busy or second.busy:
            asked += [first.wait_ns, second.wait_ns]
            if first.runnable or second.runnable:
                asked.append(self._bus_free_at - self._clock.now())
        waits = [wait for wait in asked if wait is not None]
        # Time passes between a step that found nothing and this question: what was not due then may be now.
        return max(0, min(waits)) if waits else None

    def summarise(self) -> None:
        """Tell what was done for a client, and start counting afresh; nothing, if it did not use the card."""
        self.channels[0].settle()
        tallies = tuple(channel.tally for channel in self.channels)
        rises = self._interrupts.rises + (self._native.rises if self._native else 0)
        self._look_back(tallies, rises)
        if any(tally != events.ChannelTally() for tally in tallies) or self._doorbells or self._mailboxes:
            self._trace.emit(
                events.ClientSummary(
                    self._clock.now(),
                    tallies,
                    rises,
                    self._doorbells,
                    self._mailboxes,
                )
            )
        for channel in self.channels:
            channel.forget_tally()
        self.say_again()
        self._doorbells = self._mailboxes = self._interrupts.rises = 0
        if self._native:
            self._native.rises = 0
        self._patience.forget()
        self._shut.clear()
        self._unwanted.clear()

    def say_again(self) -> None:
        """What has been said once may be said again: another driver drives the chip, or another load of it."""
        for channel in self.channels:
            channel.say_again()
        self._missing_told.clear()
        self._told_shut = False

    def _causes_changed(self) -> None:
        """What asserts INTA# is another, or somebody has served one."""
        self._patience.served()
        if hasattr(self._irq, "sent"):
            self._irq.sent = 0

    def _look_back(self, tallies: "tuple[events.ChannelTally, ...]", rises: int) -> None:
        """Tell what shows only when a client leaves: interrupts that nobody served, or that never came out."""
        sent = getattr(self._irq, "sent", 0)
        if self._irq.level and sent >= LEFT and (sources := self._interrupts.sources):
            self._trace.emit(events.DeliveredAgain(self._clock.now(), sent, sources))
        for channel, tally in zip(self.channels, tallies, strict=True):
            unwanted = channel.index in self._unwanted
            if channel.interrupt and tally.raised and not tally.acknowledged and not rises and not unwanted:
                status, mode = self.registers[intr.INTCSR], self.registers[channel.names.mode]
                enable = intr.INTCSR.dma0_enable.mask << channel.index
                gates = (
                    ("INTCSR bit 8 is 0", status & intr.INTCSR.pci_enable.mask),
                    (f"INTCSR bit {18 + channel.index} is 0", status & enable),
                    (f"DMAMODE{channel.index} bit 17 is 0: it goes to LINTo#", mode & dma.DmaMode.to_inta.mask),
                )
                closed = tuple(text for text, is_open in gates if not is_open)
                if closed:
                    self._trace.emit(events.NeverReachedHost(self._clock.now(), channel.index, tally.raised, closed))

    def _tells_cause(self, offset: int, width: int) -> bool:
        """True if a read of BAR0 tells why INTA# is asserted: of INTCSR, or of DMACSR of a channel that latched it."""
        end = offset + width
        if offset < intr.INTCSR.offset + 4 and intr.INTCSR.offset < end:
            return True
        return any(it.interrupt and offset <= it.names.command.offset < end for it in self.channels)

    def _line_stuck(self, reads: int, late: bool) -> None:
        sources = self._interrupts.sources
        # A queue that is read shows no change until it is empty.
        if sources and events.IntaSource.OUTBOUND_QUEUE not in sources:
            self._trace.emit(events.LineStuck(self._clock.now(), reads, late, sources))

    def _spins(self, offset: int, width: int, value: int) -> None:
        """Say what a driver waits for in vain, if that is so: a transfer that goes on is worth waiting for."""
        seen = [
            it
            for it in self.channels
            if offset <= it.names.command.offset < offset + width and it.state is not State.IDLE
        ]
        reasons = [self._will_not_be_done(channel) for channel in seen]
        if seen and all(reasons):
            register, why = seen[0].names.command.__name__, reasons[0]
            self._trace.emit(events.Spinning(self._clock.now(), register, value, SPIN, why or ""))
        waited = self._answered.get(self.registers.moved.get(offset & ~3, offset & ~3))
        # A doorbell that is clear has been taken.
        if waited is not None and self._local.is_passive and (value or waited is not intr.P2LDBELL):
            self._trace.emit(events.NobodyAnswers(self._clock.now(), waited.__name__, value, SPIN))

    def _will_not_be_done(self, channel: Channel) -> str | None:
        """Why DONE of a channel will stay 0, if it will."""
        if channel.hung is not None:
            return channel.hung
        if channel.state is State.FAILED:
            return "the transfer ended at a bus error, and only an abort (ENABLE=0, then ABORT) sets DONE"
        if not channel.busy:
            return None
        if not channel.enabled:
            return "the transfer is paused: ENABLE is 0"
        return None if self.may_master else self.hold_cause.value

    def _tell_of_dma(self, reason: str) -> None:
        """Say which channels a reset, or D3hot, takes away from their transfers."""
        for channel in self.channels:
            if channel.under_way and channel.state is not State.POLL:
                self._trace.emit(events.ResetWhileBusy(self._clock.now(), channel.index, reason))

    @property
    def part(self) -> "Part | None":
        """What a transport's loop may ask in place of the chip."""
        return None if self._native is None else self._native.part

    @property
    def local_bus(self) -> LocalBus:
        """The local bus as the board's side sees it."""
        return self._local

    # -- ChannelHost -------------------------------------------------------------------------------

    @property
    def last_bus_address(self) -> int:
        """The last bus address that a channel put on the bus."""
        self.channels[0].settle()
        return self._last_bus_address

    @last_bus_address.setter
    def last_bus_address(self, address: int) -> None:
        self._last_bus_address = address

    @property
    def hold_cause(self) -> events.Hold:
        """Why the chip may not master the bus."""
        if not self._powered:
            return events.Hold.D3HOT
        if self._held_in_reset:
            return events.Hold.SOFTWARE_RESET
        return self._not_master

    def big_endian(self, channel: int) -> bool:
        """True if BIGEND turns the words of this channel."""
        return bool(self.registers[local.BIGEND] & BIG_ENDIAN[channel])

    def bus_error(self, channel: int, abort: BusAbort, purpose: events.Purpose) -> None:
        """Set PCISR and INTCSR as silicon does for a master or target abort."""
        target = isinstance(abort, TargetAbort)
        status = cfg.PCISR.received_target_abort if target else cfg.PCISR.received_master_abort
        self._interrupts.bus_error(channel, status.mask)
        kind = events.BusErrorKind.TARGET_ABORT if target else events.BusErrorKind.MASTER_ABORT
        now = self._clock.now()
        failed = self.channels[channel]
        where, in_pci = failed.descriptor or (None, True)
        self._trace.emit(
            events.BusError(
                now, channel, kind, purpose, abort.address, abort.nearest, str(abort), abort.cause, failed.visible,
                where, in_pci, injected=abort.injected,
            )
        )  # fmt: skip

    def parity_error(self, channel: int, address: int, *, writes: bool = False) -> None:
        """Set PCISR for bad data that the chip read as master, or that a target says it `writes`; it goes on."""
        responds = self.config[cfg.PCICR] & cfg.PCICR.parity_response.mask
        status = 0 if writes else cfg.PCISR.parity_error.mask
        status |= cfg.PCISR.master_parity_error.mask if responds else 0
        self.config.set_bits(cfg.PCISR, status, to=True)
        self._interrupts.update()
        self._trace.emit(events.ParityBad(self._clock.now(), channel, address))

    # -- arbitration and time ----------------------------------------------------------------------

    def _timed_step(self, timer: BusTimer, budget: int) -> bool:
        """One transaction after the other, each when the bus is free again on the clock."""
        while budget > 0 and self._clock.now() >= self._bus_free_at:
            channel = self._next_channel()
            if channel is None:
                return False
            budget -= channel.step(min(budget, TIMED_BURST))
            on_bus = channel.path.bus_bytes
            self._bus_free_at = self._clock.now() + (timer.nanoseconds(on_bus) if on_bus else LOCAL_STEP_NS)
        return self._clock.now() >= self._bus_free_at and any(channel.runnable for channel in self.channels)

    def _next_channel(self) -> Channel | None:
        """Whose step it is: MARBR's priority, or the channels in turn."""
        first, second = self.channels
        runnable = first.runnable, second.runnable
        # One that waits for its board or its descriptor may be able to go on after the other's next step.
        self._alone = not (first.busy and second.busy and first.under_way and second.under_way)
        match runnable:
            case (True, False):
                return first
            case (False, True):
                return second
            case (False, False):
                return None
        match local.MARBR(self.registers[local.MARBR]).dma_priority:
            case local.DmaPriority.CHANNEL0:
                return first
            case local.DmaPriority.CHANNEL1:
                return second
            case _:
                self._turn ^= 1
                return self.channels[self._turn]

    # -- windows -----------------------------------------------------------------------------------

    def _arrange_windows(self) -> None:
        """Work out, after a change, what each BAR decodes and whether the chip may master the bus."""
        self.channels[0].settle()  # C asks for the bus no more once it may not
        command, alive = self.config[cfg.PCICR], not self._held_in_reset
        self._powered = cfg.PMCSR(self.config[cfg.PMCSR]).power_state is not cfg.PowerState.D3HOT
        self._interrupts.powered = self._powered
        self.may_master = bool(command & cfg.PCICR.bus_master.mask) and self._powered and alive
        self._bars = arrange(self.profile, self.registers)
        self._open = {
            index: bar
            for index, bar in enumerate(self._bars)
            if self._powered and bar.size and command & _ENABLES[bar.kind & 1] and (bar.registers or alive)
        }
        for bar in self._shut.keys() & self._open.keys():
            del self._shut[bar]
        self._places.open(self._open, traced=self._trace.enabled or self.thorough)
        if self._native is not None:
            on = self._timer is None and not self._trace.enabled and not self.thorough
            self._native.arrange(on=on, may_master=self.may_master, powered=self._powered)
        for channel in self.channels:
            channel.note_hold()

    # -- what registers do -------------------------------------------------------------------------

    def _register_writes(self) -> dict[type[Register], WriteHook]:
        hooks: dict[type[Register], WriteHook] = {
            intr.INTCSR: self._wrote_intcsr,
            intr.CNTRL: self._wrote_cntrl,
            intr.OPQIM: lambda _: self._interrupts.update(),
            intr.L2PDBELL: self._wrote_answer,
            intr.P2LDBELL: self._wrote_doorbell,
            **dict.fromkeys(SHAPING, lambda _: self._arrange_windows()),
            **dict.fromkeys((intr.MQCR, *intr.QUEUE_POINTERS), lambda _: self._queues_changed()),
            intr.QSR: self._wrote_queue_status,
            intr.IQP: lambda write: self._wrote_port(self.messaging.write_inbound, write),
            intr.OQP: lambda write: self._wrote_port(self.messaging.write_outbound, write),
        }
        for mailbox, written in zip(intr.MAILBOXES, MAILBOX_WRITTEN, strict=False):
            hooks[mailbox] = self._mailbox_hook(written)
        for index, names in enumerate(dma.CHANNELS):
            hooks[names.mode] = self._mode_hook(index)
            hooks[names.command] = self._command_hook(index)
        return hooks

    def _register_reads(self) -> dict[type[Register], ReadHook]:
        return {
            **dict.fromkeys(intr.QUEUE_POINTERS, lambda value: value | self.registers[intr.QBAR]),
            local.PABTADR: lambda _: self.last_bus_address & 0xFFFF_FFFC,
            intr.CNTRL: self._read_cntrl,
            intr.IQP: lambda _: self._read_port(self.messaging.read_inbound),
            intr.OQP: lambda _: self._read_port(self.messaging.read_outbound),
        }

    def _config_writes(self) -> dict[type[Register], WriteHook]:
        return {
            cfg.PCICR: self._wrote_command,
            cfg.PCISR: lambda write: self._interrupts.status_written(write.new),
            cfg.PCIBISTR: lambda _: self._interrupts.update(),
            cfg.PMCSR: self._wrote_power,
            cfg.PVPDAD: self._wrote_vpd_address,
            cfg.PCIERBAR: self._wrote_rom_base,
            **{bar: self._bar_write_hook(index) for index, bar in enumerate(cfg.BASE_ADDRESSES)},
        }

    def _config_reads(self) -> dict[type[Register], ReadHook]:
        return {
            cfg.PCIIDR: self._ids,
            cfg.PCIERBAR: lambda value: value & self._rom_mask(),
            **{bar: self._bar_hook(index) for index, bar in enumerate(cfg.BASE_ADDRESSES)},
        }

    def _bar_hook(self, index: int) -> ReadHook:
        def visible(value: int) -> int:
            bar = self._bars[index]
            return value & -bar.size & 0xFFFF_FFFF | bar.kind if bar.size else 0

        return visible

    def _bar_write_hook(self, index: int) -> WriteHook:
        def written(write: Write) -> None:
            # The bits below the size ignore writes, and so do all of a BAR that is off.
            size = self._bars[index].size
            self.config[cfg.BASE_ADDRESSES[index]] = write.new & -size if size else write.old

        return written

    def _wrote_rom_base(self, write: Write) -> None:
        mask = self._rom_mask()
        self.config[cfg.PCIERBAR] = write.new & mask | write.old & ~mask

    def _rom_mask(self) -> int:
        size_mask = self.registers[local.EROMRR] & local.EROMRR.mask.mask
        return size_mask | 1 if size_mask else 0

    def _ids(self, value: int) -> int:
        if self.registers[local.MARBR] & local.MARBR.subsystem_ids.mask:
            return self.config[cfg.PCISID] << 16 | self.config[cfg.PCISVID]
        return value

    def _wrote_command(self, write: Write) -> None:
        if write.old & ~write.new & cfg.PCICR.bus_master.mask:
            self._not_master = events.Hold.CLEARED_MASTER
        self._arrange_windows()

    def _wrote_doorbell(self, write: Write) -> None:
        self._doorbells += 1
        if self.by_host and (lost := write.old & write.data):
            self._trace.emit(events.DoorbellLost(self._clock.now(), lost))
        self._interrupts.update()

    def _wrote_answer(self, write: Write) -> None:
        if write.old != write.new:
            self._causes_changed()
        self._interrupts.update()

    def _mailbox_hook(self, written_bit: int) -> WriteHook:
        def written(_: Write) -> None:
            self._mailboxes += 1
            if self.registers[intr.INTCSR] & intr.INTCSR.mailbox_enable.mask:
                self.registers.set_bits(intr.INTCSR, written_bit, to=True)
                self._interrupts.update()

        return written

    def _mode_hook(self, index: int) -> WriteHook:
        def written(_: Write) -> None:
            self._places.arrange_channel(index)
            self._interrupts.update()

        return written

    def _command_hook(self, index: int) -> WriteHook:
        def written(write: Write) -> None:
            self._alone = False  # the local side may do this in the middle of the other channel's step
            held = self._held_in_reset
            if held and write.data & dma.DmaCommand.start.mask:
                why = events.Ignored.START_IN_RESET
                self._trace.emit(events.CommandIgnored(self._clock.now(), index, write.data, why))
            self.channels[index].command(
                write.data & ~dma.DmaCommand.start.mask if held else write.data,
                was_enabled=bool(write.old & dma.DmaCommand.enable.mask),
            )

        return written

    def _wrote_intcsr(self, write: Write) -> None:
        rising = write.new & ~write.old
        for channel in self.channels:
            gates = intr.INTCSR.pci_enable.mask | intr.INTCSR.dma0_enable.mask << channel.index
            if write.old & gates == gates and write.new & gates != gates and channel.under_way:
                self._unwanted.add(channel.index)
        if rising & intr.INTCSR.serr.mask and self.config[cfg.PCICR] & cfg.PCICR.serr.mask:
            self.config.set_bits(cfg.PCISR, cfg.PCISR.signaled_serr.mask, to=True)
        self._interrupts.update()

    def _wrote_power(self, write: Write) -> None:
        before, after = cfg.PMCSR(write.old).power_state, cfg.PMCSR(write.new).power_state
        if before is cfg.PowerState.D3HOT and after is cfg.PowerState.D0:
            # PMCSR has no No_Soft_Reset bit: waking up is a power-on reset.
            self.reset(ResetKind.POWER_ON)
            return
        if after is cfg.PowerState.D3HOT and before is not after:
            self._tell_of_dma("D3hot")
        if before != after:
            self.registers.set_bits(intr.INTCSR, intr.INTCSR.pm_active.mask, to=True)
        self._arrange_windows()
        self._interrupts.update()

    def _wrote_vpd_address(self, write: Write) -> None:
        self.eeprom.vpd_address_written(write)

    def _eeprom_misused(self, misuse: events.EepromMisuse, address: int | None, first_writable: int | None) -> None:
        self._trace.emit(events.EepromMisused(self._clock.now(), misuse, address, first_writable))

    def _read_cntrl(self, value: int) -> int:
        return self.eeprom.sense(value)

    def _wrote_cntrl(self, write: Write) -> None:
        rising = write.new & ~write.old
        self.eeprom.drive(write.new)
        if rising & _RESET:
            self._software_reset()
        if rising & _RELOAD:
            self.eeprom.load()
            self._interrupts.update()
        if rising & (_RESET | _RELOAD) or write.old & ~write.new & _RESET:
            self._arrange_windows()
        self.local_side.control_written()

    def _wrote_port(self, push: Callable[[int], None], write: Write) -> None:
        push(write.data)
        self._interrupts.update()

    def _read_port(self, pop: Callable[[], int]) -> int:
        message = pop()
        self._interrupts.update()
        return message

    def _queues_changed(self) -> None:
        self.messaging.update()
        self._interrupts.update()

    def _wrote_queue_status(self, _: Write) -> None:
        self._places.arrange_ports()
        self._arrange_windows()
        self._queues_changed()

    @property
    def _held_in_reset(self) -> bool:
        return bool(self.registers[intr.CNTRL] & intr.CNTRL.software_reset.mask)

    # -- resets ------------------------------------------------------------------------------------

    def _power_up(self) -> None:
        self.config.reset()
        self.registers.reset()
        self.eeprom.release()
        self._new_board()
        self.eeprom.load()
        self._turn = 0
        self._bus_free_at = 0
        self._arrange_windows()
        self._interrupts.update()

    def _software_reset(self) -> None:
        """LRESETo#: DMA, local configuration, messaging and the board; configuration space and run-time registers stay.

        Source: PLX SDK, Windows sample and plx_pci sequences.
        """
        self._tell_of_dma("software reset")
        self.registers.reset((*local.LOCAL_REGISTERS, *intr.MESSAGING_REGISTERS, *dma.DMA_REGISTERS))
        self.eeprom.load(only=local.LOCAL_REGISTERS)
        self._new_board()
        self._interrupts.update()
        self._trace.emit(events.ChipReset(self._clock.now(), "software reset"))

    def _new_board(self) -> None:
        """Build the peripherals anew; what they drove is released."""
        self.channels[0].settle()  # what is to be forgotten must not come in later
        self.last_bus_address = 0
        self.local_side.reset()
        for channel in self.channels:
            channel.reset()
        self._places.arrange()
        self._local = LocalBus(self.board.windows, self._undecoded, self.local_side.new_pins)
        for channel in self.channels:
            channel.see_board(self._local)

    def _undecoded(self, address: int, length: int) -> None:
        now, near = self._clock.now(), self._local.around(address)
        asking = self._spaces.bar
        channel = next((it for it in self.channels if it.purpose is not None), None) if asking is None else None
        if channel is None:
            self._trace.emit(events.LocalUndecoded(now, address, length, bar=asking, nearest=near))
            return
        start, count = channel.extent
        self._trace.emit(
            events.LocalUndecoded(
                now, address, length, channel.index, channel.purpose, None, near, channel.visible,
                start, count, channel.descriptor,
            )
        )  # fmt: skip
