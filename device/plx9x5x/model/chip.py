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
from plx9x5x.ports import BusMaster, Clock, IrqLine, NullTrace, RegionSpec, ResetKind, TraceSink
from plx9x5x.regs import config as cfg
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.eeprom_map import Space, loaded_dwords
from plx9x5x.regs.kernel import Register, RegisterFile, Write

REGISTER_WINDOW: Final = 0x200
IO_WINDOW: Final = 0x100
D3HOT: Final = 3

_CHANNEL_ACTIVE: Final = (intr.INTCSR.dma0_active.mask, intr.INTCSR.dma1_active.mask)
_CHANNEL_ENABLE: Final = (intr.INTCSR.dma0_enable.mask, intr.INTCSR.dma1_enable.mask)
_NOT_MASTER: Final = (intr.INTCSR.not_dma0.mask, intr.INTCSR.not_dma1.mask)
_LAST_MASTER: Final = intr.INTCSR.not_direct_master.mask | sum(_NOT_MASTER)
_RECEIVED_ABORT: Final = cfg.PCISR.received_master_abort.mask | cfg.PCISR.received_target_abort.mask
_LIVE: Final = (
    intr.INTCSR.doorbell_active.mask
    | intr.INTCSR.abort_active.mask
    | intr.INTCSR.local_active.mask
    | intr.INTCSR.local_doorbell_active.mask
    | sum(_CHANNEL_ACTIVE)
)
"""INTCSR bits that follow their sources."""

_MAILBOX_WRITTEN: Final = {
    mailbox: 1 << intr.INTCSR.mailboxes_written.lo + n for n, mailbox in enumerate(intr.MAILBOXES[:4])
}


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
        on_write: dict[type[Register], Callable[[Write], None]] = {
            intr.INTCSR: lambda _: self.interrupts_changed(),
            intr.CNTRL: self._wrote_cntrl,
            intr.P2LDBELL: lambda _: self.interrupts_changed(),
            intr.L2PDBELL: lambda _: self.interrupts_changed(),
            intr.OPQIM: lambda _: self.interrupts_changed(),
        }
        for mailbox in _MAILBOX_WRITTEN:
            on_write[mailbox] = self._mailbox_hook(mailbox)
        on_read = dict.fromkeys(intr.QUEUE_POINTERS, self._queue_pointer)
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
                cfg.PCICR: lambda _: self._note_holds(),
                cfg.PCISR: self._wrote_status,
                cfg.PMCSR: self._wrote_power,
            },
            on_read={
                cfg.PCIIDR: self._ids,
                cfg.PCIERBAR: lambda value: value & self._rom_mask(),
                **{bar: self._bar_hook(index) for index, bar in enumerate(cfg.BASE_ADDRESSES)},
            },
        )
        self._local = self._new_local_bus()
        self.channels: Final = tuple(
            Channel(index, names, registers=self.registers, bus=bus, local=self._local, host=self)
            for index, names in enumerate(dma.CHANNELS)
        )
        self.reset(ResetKind.POWER_ON)

    # -- PciDevice ---------------------------------------------------------------------------------

    @property
    def regions(self) -> tuple[RegionSpec, ...]:
        """BAR0 to BAR5 as the registers size them now; a client takes them once, when it connects."""
        return (
            *(RegionSpec(self._bar_size(n), self._bar_type(n) & 1 == 1) for n in range(4)),
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
        self.interrupts_changed()
        self.emit(lambda time: events.ChipReset(time, kind.value))

    def step(self, budget: int) -> bool:
        """Let the channels move about `budget` bytes; True while one could go on."""
        while budget > 0:
            channel = self._next_channel()
            if channel is None:
                return False
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
    def may_master(self) -> bool:
        """Bus mastering is on, and the chip is neither powered down nor held in reset."""
        return bool(self.config[cfg.PCICR] & cfg.PCICR.bus_master.mask) and self._powered and not self._held_in_reset

    def mastered(self, address: int) -> None:
        """Keep the last bus address in PABTADR."""
        self.registers[local.PABTADR] = address & 0xFFFF_FFFC

    def bus_error(self, channel: int, abort: BusAbort, purpose: events.Purpose) -> None:
        """Set PCISR and INTCSR as silicon does for a master or target abort."""
        target = isinstance(abort, TargetAbort)
        status = cfg.PCISR.received_target_abort if target else cfg.PCISR.received_master_abort
        self.config.set_bits(cfg.PCISR, status.mask, to=True)
        self.registers.set_bits(intr.INTCSR, _LAST_MASTER, to=True)
        self.registers.set_bits(intr.INTCSR, _NOT_MASTER[channel], to=False)
        self.interrupts_changed()
        kind = events.BusErrorKind.TARGET_ABORT if target else events.BusErrorKind.MASTER_ABORT
        self.emit(lambda time: events.BusError(time, channel, kind, purpose, abort.address, abort.nearest))

    def interrupts_changed(self) -> None:
        """Work out INTCSR's live bits and the level of INTA#."""
        regs = self.registers
        live = 0
        if regs[intr.L2PDBELL]:
            live |= intr.INTCSR.doorbell_active.mask
        if self.config[cfg.PCISR] & _RECEIVED_ABORT:
            live |= intr.INTCSR.abort_active.mask
        if self._linti:
            live |= intr.INTCSR.local_active.mask
        if regs[intr.P2LDBELL]:
            live |= intr.INTCSR.local_doorbell_active.mask
        for channel in self.channels:
            if channel.interrupt:
                live |= _CHANNEL_ACTIVE[channel.index]
        value = regs[intr.INTCSR] & ~_LIVE | live
        regs[intr.INTCSR] = value
        level = self._powered and self._inta(intr.INTCSR(value))
        if level != self._level:
            self._level = level
            self._irq.set(level)
            self.emit(lambda time: events.LineChanged(time, level))

    def emit(self, make: Callable[[int], events.Event]) -> None:
        """Trace an event, if anyone listens."""
        if self._trace.enabled:
            self._trace.emit(make(self._clock.now()))

    # -- interrupts --------------------------------------------------------------------------------

    def _inta(self, status: intr.INTCSR) -> bool:
        """The INTA# equation (PCI 9080 data book, figure 3-21; the queue's gating by pci_enable is UNVERIFIED)."""
        if not status.pci_enable:
            return False
        queue = self.registers[intr.OPQIS] & ~self.registers[intr.OPQIM] & intr.OPQIS.not_empty.mask
        return bool(
            (status.doorbell_active and status.doorbell_enable)
            or (status.abort_active and status.abort_enable)
            or (status.local_active and status.local_enable)
            or any(self._channel_drives(channel, status.raw) for channel in self.channels)
            or queue
        )

    def _channel_drives(self, channel: Channel, status: int) -> bool:
        mode = self.registers[channel.names.mode]
        return bool(channel.interrupt and status & _CHANNEL_ENABLE[channel.index] and mode & dma.DmaMode.to_inta.mask)

    # -- arbitration -------------------------------------------------------------------------------

    def _next_channel(self) -> Channel | None:
        """Whose step it is: MARBR's priority, or the channels in turn."""
        first, second = self.channels
        if not second.runnable:
            return first if first.runnable else None
        if not first.runnable:
            return second
        match local.MARBR(self.registers[local.MARBR]).dma_priority:
            case 1:
                return first
            case 2:
                return second
            case _:
                self._turn ^= 1
                return self.channels[self._turn]

    def _note_holds(self) -> None:
        for channel in self.channels:
            channel.note_hold()

    # -- windows -----------------------------------------------------------------------------------

    def _space(self, bar: int) -> tuple[int, int]:
        """Range and base of the local address space behind BAR2 or BAR3."""
        if bar == 2:
            return self.registers[local.LAS0RR], self.registers[local.LAS0BA]
        return self.registers[local.LAS1RR], self.registers[local.LAS1BA]

    def _bar_type(self, bar: int) -> int:
        """Low bits that a base address register reads as: bit 0 is I/O."""
        if bar < 2:
            return bar
        size_mask = self._space(bar)[0]
        return size_mask & (0x1 if size_mask & local.LAS0RR.io.mask else 0xF)

    def _bar_size(self, bar: int) -> int:
        """Bytes that a BAR decodes; 0 if it is absent."""
        if bar == 0:
            return REGISTER_WINDOW
        if bar == 1:
            return IO_WINDOW if self.registers[local.LMISC1] & local.LMISC1.io_bar.mask else 0
        _, base = self._space(bar)
        if not base & local.LAS0BA.enable.mask:
            return 0
        # A mask that is no run of ones decodes no clean window on silicon either; its lowest one sets the size.
        mask = self._space_mask(bar)
        return mask & -mask

    def _space_mask(self, bar: int) -> int:
        size_mask, _ = self._space(bar)
        return size_mask & (0xFFFF_FFFC if size_mask & local.LAS0RR.io.mask else 0xFFFF_FFF0)

    def _bar_hook(self, bar: int) -> Callable[[int], int]:
        def visible(value: int) -> int:
            size = self._bar_size(bar)
            return value & -size & 0xFFFF_FFFF | self._bar_type(bar) if size else 0

        return visible

    def _rom_mask(self) -> int:
        size_mask = self.registers[local.EROMRR] & local.EROMRR.mask.mask
        return size_mask | 1 if size_mask else 0

    def _decodes(self, bar: int) -> bool:
        """True if an access to the BAR reaches anything."""
        if not 0 <= bar < 4 or not self._powered or (bar >= 2 and self._held_in_reset):
            return False
        enable = cfg.PCICR.io if self._bar_type(bar) & 1 else cfg.PCICR.memory
        return bool(self.config[cfg.PCICR] & enable.mask) and self._bar_size(bar) > 0

    def _inside(self, bar: int, offset: int, width: int) -> int:
        return max(0, min(width, self._bar_size(bar) - offset))

    def _read_window(self, bar: int, offset: int, width: int) -> int:
        if bar < 2:
            return self.registers.read(offset, self._inside(bar, offset, width))
        raw = b"".join(self._local.read(at, length) for at, length in self._window_runs(bar, offset, width))
        return int.from_bytes(raw, "little")

    def _window_runs(self, bar: int, offset: int, width: int) -> list[tuple[int, int]]:
        """Local (address, length) of an access to a space's window: one run, or two if it wraps at the end."""
        _, base = self._space(bar)
        size = self._bar_size(bar)
        start = base & self._space_mask(bar) & ~(size - 1)
        runs = []
        while width > 0:
            offset %= size
            length = min(width, size - offset)
            runs.append((start + offset, length))
            offset, width = offset + length, width - length
        return runs

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
        self._note_holds()

    def _wrote_cntrl(self, write: Write) -> None:
        rising = write.new & ~write.old
        if rising & intr.CNTRL.software_reset.mask:
            self._software_reset()
        if rising & intr.CNTRL.reload.mask:
            self._load_eeprom()
            self.interrupts_changed()
        self._note_holds()

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
        self.emit(lambda time: events.ChipReset(time, "software reset"))

    def _reset_local_side(self) -> None:
        self._local = self._new_local_bus()
        for channel in self.channels:
            channel.reset(self._local)
            self._arrange(channel.index)

    def _new_local_bus(self) -> LocalBus:
        return LocalBus(self.board.windows, self._undecoded)

    def _undecoded(self, address: int, length: int) -> None:
        self.emit(lambda time: events.LocalUndecoded(time, address, length))

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
