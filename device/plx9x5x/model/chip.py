# SPDX-License-Identifier: Apache-2.0
"""The bridge: what each register does, which windows decode, who gets the bus, when INTA# is driven.

The chip is given the host's side (`BusMaster`, `IrqLine`), a board and a clock, and is a `PciDevice` to any transport.
No guest input raises out of it. DMA runs in `step`, never inside a register write.
"""

from collections.abc import Callable
from typing import Final

from plx9x5x import events
from plx9x5x.board import Board
from plx9x5x.errors import BusAbort, TargetAbort
from plx9x5x.model.clock import VirtualClock
from plx9x5x.model.engine import Channel
from plx9x5x.model.localbus import LocalBus
from plx9x5x.model.windows import IO_WINDOW, REGISTER_WINDOW, Bar, space_bar
from plx9x5x.ports import BusMaster, Clock, IrqLine, NullTrace, RegionSpec, ResetKind, TraceSink
from plx9x5x.regs import config as cfg
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.eeprom_map import Space, loaded_dwords
from plx9x5x.regs.kernel import Register, RegisterFile, Write

D3HOT: Final = 3

_CHANNEL_ACTIVE: Final = (intr.INTCSR.dma0_active.mask, intr.INTCSR.dma1_active.mask)
_CHANNEL_ENABLE: Final = (intr.INTCSR.dma0_enable.mask, intr.INTCSR.dma1_enable.mask)
_NOT_MASTER: Final = (intr.INTCSR.not_dma0.mask, intr.INTCSR.not_dma1.mask)
_LAST_MASTER: Final = intr.INTCSR.not_direct_master.mask | sum(_NOT_MASTER)
_RECEIVED_ABORT: Final = cfg.PCISR.received_master_abort.mask | cfg.PCISR.received_target_abort.mask
_DOORBELL: Final = intr.INTCSR.doorbell_active.mask
_ABORT: Final = intr.INTCSR.abort_active.mask
_LINTI: Final = intr.INTCSR.local_active.mask
_LOCAL_DOORBELL: Final = intr.INTCSR.local_doorbell_active.mask
_LIVE: Final = _DOORBELL | _ABORT | _LINTI | _LOCAL_DOORBELL | sum(_CHANNEL_ACTIVE)
"""INTCSR bits that follow their sources."""
_SOURCES: Final = (
    (_DOORBELL, intr.INTCSR.doorbell_enable.mask),
    (_ABORT, intr.INTCSR.abort_enable.mask),
    (_LINTI, intr.INTCSR.local_enable.mask),
)
"""Status and enable of every source of INTA# but DMA."""

_MAILBOX_WRITTEN: Final = {
    mailbox: 1 << intr.INTCSR.mailboxes_written.lo + n for n, mailbox in enumerate(intr.MAILBOXES[:4])
}


_SHAPES_WINDOWS: Final = (local.LAS0RR, local.LAS0BA, local.LAS1RR, local.LAS1BA, local.LMISC1)


def _ones(width: int) -> int:
    """What a read gives that nobody answers."""
    return (1 << 8 * width) - 1


class Chip:
    """A PCI 9656 with the given board behind it."""

    def __init__(
        self, board: Board, *, bus: BusMaster, irq: IrqLine, clock: Clock | None = None, trace: TraceSink | None = None
    ) -> None:
        self.board: Final = board
        self._irq = irq
        self._clock = clock or VirtualClock()
        self._trace = trace or NullTrace()
        self._level = False
        self._linti = False
        self._turn = 0
        self._alone = True
        """One channel runs by itself: nobody's turn has to be worked out before its next step."""
        self._bars: tuple[Bar, ...] = ()
        self._open: tuple[bool, ...] = ()
        self.may_master = False
        self.last_bus_address = 0
        on_write: dict[type[Register], Callable[[Write], None]] = {
            intr.INTCSR: lambda _: self.interrupts_changed(),
            intr.CNTRL: self._wrote_cntrl,
            intr.P2LDBELL: lambda _: self.interrupts_changed(),
            intr.L2PDBELL: lambda _: self.interrupts_changed(),
            intr.OPQIM: lambda _: self.interrupts_changed(),
            **dict.fromkeys(_SHAPES_WINDOWS, lambda _: self._arrange_windows()),
        }
        for mailbox in _MAILBOX_WRITTEN:
            on_write[mailbox] = self._mailbox_hook(mailbox)
        on_read: dict[type[Register], Callable[[int], int]] = dict.fromkeys(intr.QUEUE_POINTERS, self._queue_pointer)
        on_read[local.PABTADR] = lambda _: self.last_bus_address & 0xFFFF_FFFC
        for index, names in enumerate(dma.CHANNELS):
            on_write[names.mode] = self._mode_hook(index)
            on_write[names.command] = self._command_hook(index)
        self.registers: Final = RegisterFile(
            (*local.LOCAL_REGISTERS, *intr.RUNTIME_REGISTERS, *intr.MESSAGING_REGISTERS, *dma.DMA_REGISTERS),
            on_write=on_write,
            on_read=on_read,
        )
        self.config: Final = RegisterFile(
            cfg.CONFIG_REGISTERS,
            on_write={
                cfg.PCICR: lambda _: self._arrange_windows(),
                cfg.PCISR: self._wrote_status,
                cfg.PMCSR: self._wrote_power,
                **{bar: self._bar_write_hook(index) for index, bar in enumerate(cfg.BASE_ADDRESSES)},
            },
            on_read={
                cfg.PCIIDR: self._ids,
                cfg.PCIERBAR: lambda value: value & self._rom_mask(),
                **{bar: self._bar_hook(index) for index, bar in enumerate(cfg.BASE_ADDRESSES)},
            },
        )
        self._local = self._new_local_bus()
        self.channels: Final = tuple(
            Channel(
                index,
                names,
                registers=self.registers,
                bus=bus,
                local=self._local,
                host=self,
                clock=self._clock,
                trace=self._trace,
            )
            for index, names in enumerate(dma.CHANNELS)
        )
        self.reset(ResetKind.POWER_ON)

    # -- PciDevice ---------------------------------------------------------------------------------

    @property
    def regions(self) -> tuple[RegionSpec, ...]:
        """BAR0 to BAR5 as the registers size them now; a client takes them once, when it connects."""
        return (
            *(RegionSpec(bar.size, bar.kind & 1 == 1) for bar in self._bars),
            RegionSpec(0),
            RegionSpec(0),
        )

    def read(self, bar: int, offset: int, width: int) -> int:
        """Read `width` bytes of a BAR; ones where nothing decodes."""
        value = self._read_window(bar, offset, width) if self._decodes(bar) else _ones(width)
        if self._trace.enabled:
            self._trace.emit(events.RegionAccess(self._clock.now(), bar, offset, width, value, is_write=False))
        return value

    def write(self, bar: int, offset: int, width: int, data: int) -> None:
        """Write `width` bytes of a BAR; nothing happens where nothing decodes."""
        if self._trace.enabled:
            self._trace.emit(events.RegionAccess(self._clock.now(), bar, offset, width, data, is_write=True))
        if not self._decodes(bar):
            return
        if bar < 2:
            self.registers.write(offset, self._inside(bar, offset, width), data)
            return
        raw = (data & _ones(width)).to_bytes(width, "little")
        at = 0
        for local_address, length in self._window_runs(bar, offset, width):
            self._local.write(local_address, raw[at : at + length])
            at += length

    def config_read(self, offset: int, width: int) -> int:
        """Read configuration space; offsets without a register read 0."""
        value = self.config.read(offset, width)
        if self._trace.enabled:
            self._trace.emit(events.RegionAccess(self._clock.now(), -1, offset, width, value, is_write=False))
        return value

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write configuration space."""
        if self._trace.enabled:
            self._trace.emit(events.RegionAccess(self._clock.now(), -1, offset, width, data, is_write=True))
        self.config.write(offset, width, data)

    def reset(self, kind: ResetKind) -> None:
        """Power-on defaults, then the EEPROM load; the board's memory is new."""
        self.config.reset()
        self.registers.reset()
        self._reset_local_side()
        self._load_eeprom()
        self._linti = False
        self._turn = 0
        self._arrange_windows()
        self.interrupts_changed()
        self._trace.emit(events.ChipReset(self._clock.now(), kind.value))

    def step(self, budget: int) -> bool:
        """Let the channels move about `budget` bytes; True while one could go on."""
        while budget > 0:
            channel = self._next_channel()
            if channel is None:
                return False
            budget -= channel.step(budget)
            while budget > 0 and self._alone and channel.busy:
                budget -= channel.step(budget)
        return any(channel.runnable for channel in self.channels)

    # -- the local side, for boards and tests ------------------------------------------------------

    def ring_pci_doorbell(self, bells: int) -> None:
        """The local side writes ones to L2PDBELL."""
        self.registers.set_bits(intr.L2PDBELL, bells, to=True)
        self.interrupts_changed()

    def answer_local_doorbell(self, bells: int) -> None:
        """The local side clears bits of P2LDBELL."""
        self.registers.set_bits(intr.P2LDBELL, bells, to=False)
        self.interrupts_changed()

    def drive_linti(self, level: bool) -> None:
        """The board drives LINTi#; a level, not latched."""
        self._linti = level
        self.interrupts_changed()

    @property
    def local_bus(self) -> LocalBus:
        """The local bus as the board's side sees it."""
        return self._local

    # -- ChannelHost -------------------------------------------------------------------------------

    @property
    def hold_reason(self) -> str:
        """Why the chip may not master the bus."""
        if not self._powered:
            return "the chip is in D3hot (power management)"
        if self._held_in_reset:
            return "software reset is held (CNTRL bit 30)"
        return "bus mastering is off (bit 2 of the PCI command register); has the driver called pci_set_master()?"

    def bus_error(self, channel: int, abort: BusAbort, purpose: events.Purpose) -> None:
        """Set PCISR and INTCSR as silicon does for a master or target abort."""
        target = isinstance(abort, TargetAbort)
        status = cfg.PCISR.received_target_abort if target else cfg.PCISR.received_master_abort
        self.config.set_bits(cfg.PCISR, status.mask, to=True)
        self.registers.set_bits(intr.INTCSR, _LAST_MASTER, to=True)
        self.registers.set_bits(intr.INTCSR, _NOT_MASTER[channel], to=False)
        self.interrupts_changed()
        kind = events.BusErrorKind.TARGET_ABORT if target else events.BusErrorKind.MASTER_ABORT
        now = self._clock.now()
        self._trace.emit(events.BusError(now, channel, kind, purpose, abort.address, abort.nearest, str(abort)))

    def interrupts_changed(self) -> None:
        """Work out INTCSR's live bits and the level of INTA#."""
        regs = self.registers
        live = (
            (_DOORBELL if regs[intr.L2PDBELL] else 0)
            | (_ABORT if self.config[cfg.PCISR] & _RECEIVED_ABORT else 0)
            | (_LINTI if self._linti else 0)
            | (_LOCAL_DOORBELL if regs[intr.P2LDBELL] else 0)
        )
        for channel in self.channels:
            if channel.interrupt:
                live |= _CHANNEL_ACTIVE[channel.index]
        value = regs[intr.INTCSR] & ~_LIVE | live
        regs[intr.INTCSR] = value
        level = self._powered and self._inta(value)
        if level != self._level:
            self._level = level
            self._irq.set(level)
            if self._trace.enabled:
                self._trace.emit(events.LineChanged(self._clock.now(), level))

    # -- interrupts --------------------------------------------------------------------------------

    def _inta(self, status: int) -> bool:
        """The INTA# equation (PCI 9080 data book, figure 3-21; the queue's gating by pci_enable is UNVERIFIED)."""
        if not status & intr.INTCSR.pci_enable.mask:
            return False
        for active, enable in _SOURCES:
            if status & active and status & enable:
                return True
        for channel in self.channels:
            if channel.interrupt and self._channel_drives(channel, status):
                return True
        queue = self.registers[intr.OPQIS] & ~self.registers[intr.OPQIM]
        return bool(queue & intr.OPQIS.not_empty.mask)

    def _channel_drives(self, channel: Channel, status: int) -> bool:
        mode = self.registers[channel.names.mode]
        return bool(status & _CHANNEL_ENABLE[channel.index] and mode & dma.DmaMode.to_inta.mask)

    # -- arbitration -------------------------------------------------------------------------------

    def _next_channel(self) -> Channel | None:
        """Whose step it is: MARBR's priority, or the channels in turn."""
        first, second = self.channels
        runnable = first.runnable, second.runnable
        self._alone = runnable != (True, True)
        match runnable:
            case (True, False):
                return first
            case (False, True):
                return second
            case (False, False):
                return None
        polling = first.polling, second.polling
        if polling[0] != polling[1]:
            # A channel that only looks at an invalid descriptor must not keep the other from moving data.
            return second if polling[0] else first
        match local.MARBR(self.registers[local.MARBR]).dma_priority:
            case 1:
                return first
            case 2:
                return second
            case _:
                self._turn ^= 1
                return self.channels[self._turn]

    # -- windows -----------------------------------------------------------------------------------

    def _arrange_windows(self) -> None:
        """Work out, after a change, what each BAR decodes and whether the chip may master the bus."""
        command, alive = self.config[cfg.PCICR], not self._held_in_reset
        regs = self.registers
        self.may_master = bool(command & cfg.PCICR.bus_master.mask) and self._powered and alive
        io_window = IO_WINDOW if regs[local.LMISC1] & local.LMISC1.io_bar.mask else 0
        bars = (
            Bar(REGISTER_WINDOW),
            Bar(io_window, kind=1),
            space_bar(regs[local.LAS0RR], regs[local.LAS0BA]),
            space_bar(regs[local.LAS1RR], regs[local.LAS1BA]),
        )
        enables = (cfg.PCICR.memory.mask, cfg.PCICR.io.mask)
        self._bars = bars
        self._open = tuple(
            bool(self._powered and bar.size and command & enables[bar.kind & 1] and (index < 2 or alive))
            for index, bar in enumerate(bars)
        )
        for channel in self.channels:
            channel.note_hold()

    def _decodes(self, bar: int) -> bool:
        """True if an access to the BAR reaches anything."""
        return 0 <= bar < len(self._open) and self._open[bar]

    def _inside(self, bar: int, offset: int, width: int) -> int:
        return max(0, min(width, self._bars[bar].size - offset))

    def _read_window(self, bar: int, offset: int, width: int) -> int:
        if bar < 2:
            return self.registers.read(offset, self._inside(bar, offset, width))
        raw = b"".join(self._local.read(at, length) for at, length in self._window_runs(bar, offset, width))
        return int.from_bytes(raw, "little")

    def _window_runs(self, bar: int, offset: int, width: int) -> list[tuple[int, int]]:
        """Local (address, length) of an access to a space's window: one run, or more if it wraps at the end."""
        size, start = self._bars[bar].size, self._bars[bar].local_base
        runs = []
        while width > 0:
            offset %= size
            length = min(width, size - offset)
            runs.append((start + offset, length))
            offset, width = offset + length, width - length
        return runs

    def _bar_hook(self, index: int) -> Callable[[int], int]:
        def visible(value: int) -> int:
            bar = self._bars[index]
            return value & -bar.size & 0xFFFF_FFFF | bar.kind if bar.size else 0

        return visible

    def _bar_write_hook(self, index: int) -> Callable[[Write], None]:
        def written(write: Write) -> None:
            if not self._bars[index].size:  # a BAR that is off stores nothing
                self.config[cfg.BASE_ADDRESSES[index]] = write.old

        return written

    def _rom_mask(self) -> int:
        size_mask = self.registers[local.EROMRR] & local.EROMRR.mask.mask
        return size_mask | 1 if size_mask else 0

    # -- what registers do -------------------------------------------------------------------------

    def _ids(self, value: int) -> int:
        if self.registers[local.MARBR] & local.MARBR.subsystem_ids.mask:
            return self.config[cfg.PCISID] << 16 | self.config[cfg.PCISVID]
        return value

    def _queue_pointer(self, value: int) -> int:
        return value | self.registers[intr.QBAR]

    def _mailbox_hook(self, mailbox: type[Register]) -> Callable[[Write], None]:
        def written(_: Write) -> None:
            if self.registers[intr.INTCSR] & intr.INTCSR.mailbox_enable.mask:
                self.registers.set_bits(intr.INTCSR, _MAILBOX_WRITTEN[mailbox], to=True)

        return written

    def _mode_hook(self, index: int) -> Callable[[Write], None]:
        def written(_: Write) -> None:
            self._arrange(index)
            self.interrupts_changed()

        return written

    def _command_hook(self, index: int) -> Callable[[Write], None]:
        def written(write: Write) -> None:
            held = self._held_in_reset
            self.channels[index].command(write.data & ~dma.DmaCommand.start.mask if held else write.data)

        return written

    def _arrange(self, index: int) -> None:
        """In valid mode the size, PCI address and local address registers trade places."""
        names = dma.CHANNELS[index]
        order = (names.pci_address.offset, names.local_address.offset, names.size.offset)
        valid = self.registers[names.mode] & dma.DmaMode.valid_mode.mask
        shown = (order[2], order[0], order[1]) if valid else order
        self.registers.moved.update(zip(order, shown, strict=True))

    def _wrote_status(self, write: Write) -> None:
        if not write.new & _RECEIVED_ABORT:
            self.registers.set_bits(intr.INTCSR, _LAST_MASTER, to=True)
        self.interrupts_changed()

    def _wrote_power(self, write: Write) -> None:
        before, after = cfg.PMCSR(write.old).power_state, cfg.PMCSR(write.new).power_state
        if before == D3HOT and after == 0:
            # PMCSR has no No_Soft_Reset bit: waking up is a power-on reset.
            self.reset(ResetKind.POWER_ON)
        else:
            self.interrupts_changed()
        self._arrange_windows()

    def _wrote_cntrl(self, write: Write) -> None:
        rising = write.new & ~write.old
        if rising & intr.CNTRL.software_reset.mask:
            self._software_reset()
        if rising & intr.CNTRL.reload.mask:
            self._load_eeprom()
            self.interrupts_changed()
        self._arrange_windows()

    @property
    def _powered(self) -> bool:
        return cfg.PMCSR(self.config[cfg.PMCSR]).power_state != D3HOT

    @property
    def _held_in_reset(self) -> bool:
        return bool(self.registers[intr.CNTRL] & intr.CNTRL.software_reset.mask)

    # -- resets ------------------------------------------------------------------------------------

    def _software_reset(self) -> None:
        """LRESETo#: DMA, local configuration, messaging and the board; configuration space and run-time registers stay.

        Source: PLX SDK, Windows sample and plx_pci sequences; the exact scope is UNVERIFIED.
        """
        self.registers.reset((*local.LOCAL_REGISTERS, *intr.MESSAGING_REGISTERS, *dma.DMA_REGISTERS))
        self._load_eeprom(only=local.LOCAL_REGISTERS)
        self._reset_local_side()
        self._linti = False
        self.interrupts_changed()
        self._trace.emit(events.ChipReset(self._clock.now(), "software reset"))

    def _reset_local_side(self) -> None:
        self._local = self._new_local_bus()
        self.last_bus_address = 0
        for channel in self.channels:
            channel.reset(self._local)
            self._arrange(channel.index)

    def _new_local_bus(self) -> LocalBus:
        return LocalBus(self.board.windows, self._undecoded)

    def _undecoded(self, address: int, length: int) -> None:
        self._trace.emit(events.LocalUndecoded(self._clock.now(), address, length))

    def _load_eeprom(self, only: tuple[type[Register], ...] | None = None) -> None:
        self.registers.set_bits(intr.CNTRL, intr.CNTRL.eeprom_present.mask, to=self.board.eeprom is not None)
        if self.board.eeprom is None:
            return
        wanted = None if only is None else {reg.offset & ~3 for reg in only}
        for entry, value in loaded_dwords(self.board.eeprom):
            if entry.space is Space.LOCAL and (wanted is None or entry.register in wanted):
                self.registers.load(entry.register, value)
            elif entry.space is Space.CONFIG and wanted is None:
                self.config.load(entry.register, value)
        # A chip that answers at all has finished its local initialisation, whatever its EEPROM says.
        self.registers.set_bits(local.LMISC1, local.LMISC1.init_done.mask, to=True)
