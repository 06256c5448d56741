# SPDX-License-Identifier: Apache-2.0
"""What a chip has in C on the native plane: its registers, its channels while they move, and the way to INTA#.

A driver's transfer (DMACSR, descriptors, DONE, the interrupt and its acknowledgement) needs no Python there (card.h).
Registers have one storage for both. A channel's state has one at a time: C has it while it is *lent*, and whoever looks
at it from Python takes it back first (`NativeChannel.settle`).
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from plx9x5x.model import _card
from plx9x5x.model.channels import BIG_ENDIAN
from plx9x5x.model.engine import Channel
from plx9x5x.model.native_channel import NativeChannel
from plx9x5x.plane.line import NativeLine
from plx9x5x.plane.port import Mapped
from plx9x5x.plane.serving import Part, RegisterPages
from plx9x5x.ports import IrqLine
from plx9x5x.regs import dma, intr, local
from plx9x5x.regs.kernel import RegisterFile

if TYPE_CHECKING:
    from plx9x5x.model._card import Card, Walk
    from plx9x5x.plane._serving import Watch
    from plx9x5x.plane.table import MappingTable

_LIB, _FFI = _card.lib, _card.ffi


class NativeCard:
    """One chip's part of the plane. `window` is the size of its register window in bytes."""

    def __init__(self, bus: Mapped, irq: IrqLine, window: int) -> None:
        self._bus, self._irq = bus, irq
        self.pages: Final = RegisterPages(window)
        self.card: Final = cast("Card", _FFI.new("struct card *"))
        self._channels: list[NativeChannel] = []
        self._reached: MappingTable | None = None
        """What C has been given: it is the same one every time."""

    def begin(self, registers: RegisterFile, interrupts_changed: Callable[[], None]) -> None:
        """Take the registers, whose values are in `pages`, and who works out INTA# where C does not."""
        self._interrupts_changed = interrupts_changed
        card = self.card
        line = self._irq.line if isinstance(self._irq, NativeLine) else _FFI.NULL
        _LIB.card_begin(card, self.pages.cells, line)
        card.watch = self.pages.watch
        place = registers.place
        card.at.intcsr = place(intr.INTCSR)
        card.at.outbound_status, card.at.outbound_mask = place(intr.OPQIS), place(intr.OPQIM)
        command = dma.CHANNELS[0].command
        card.command_offset, card.command_known = command.offset, registers.known(command)
        card.may_start = self.reach() and not self._bus.may_watch
        for names, channel in zip(dma.CHANNELS, card.channels, strict=True):
            at = channel.at
            at.mode, at.command, at.pointer = place(names.mode), place(names.command), place(names.pointer)
            at.pci_address, at.local_address = place(names.pci_address), place(names.local_address)
            at.size, at.upper_address = place(names.size), place(names.upper_address)
            channel.size_stored = registers.stored_bits(names.size)
            channel.big_endian_place = place(local.BIGEND)
            self.pages.hold(_FFI.addressof(channel, "idle"), map(place, names.programmed))
        for mask, channel in zip(BIG_ENDIAN, card.channels, strict=True):
            channel.big_endian = mask

    def watch(self) -> "Watch":
        """Have the pages count reads that tell why INTA# is asserted; give the counts."""
        if isinstance(self._irq, NativeLine):
            latches = (
                (names.command.offset, 1, _FFI.addressof(channel, "interrupt"))
                for names, channel in zip(dma.CHANNELS, self.card.channels, strict=True)
            )
            self.pages.watch_line(self._irq, ((intr.INTCSR.offset, 4, None), *latches))
        return self.pages.watch

    @property
    def channel(self) -> Callable[..., Channel]:
        """What makes a channel; the arguments are those of `Channel`."""
        return functools.partial(NativeChannel, native=self)

    def walk(self, index: int) -> "Walk":
        """Give the place of a channel in C."""
        return _FFI.addressof(self.card, "channels", index)

    def add(self, channel: "NativeChannel") -> None:
        """Note a channel, to be taken back with the others."""
        self._channels.append(channel)

    def reach(self) -> bool:
        """Give C what the chip can reach as master; False while somebody looks at each access."""
        table = self._bus.mappings
        if table is None:
            return False
        if self._reached is None:
            self._reached = table
            for channel in self.card.channels:
                channel.bus = table.table
        return True

    @property
    def part(self) -> Part:
        """What a transport's loop may call in place of the device."""
        return Part(_LIB.card_part(self.card), owner=self)

    def command(self, channel: int, written: int) -> bool:
        """Act on a write to DMACSR; False if that is the reference's, and then nothing has changed."""
        return _LIB.card_command(self.card, channel, written)

    @property
    def work(self) -> Callable[[int], int]:
        """What moves about so many bytes, and says in bits what came of it (MORE, ASK, INTA_DUE of channels.py).

        With ASK, `spent` of them are used up.
        """
        return functools.partial(_LIB.card_work, self.card)

    @property
    def spent(self) -> int:
        """What the last `work` has used of its budget, in bytes."""
        return self.card.spent

    @property
    def moves(self) -> bool:
        """True while a channel moves in C: it can go on now."""
        return self.card.news and any(channel.lent for channel in self.card.channels)

    def take_back(self) -> int | None:
        """Have Python know what became of the channels in C; give the chip's last bus address if that is new."""
        card = self.card
        card.news = False
        for channel in self._channels:
            channel.take_back()
        if not card.last.is_new:
            return None
        card.last.is_new = False
        return card.last.address

    @property
    def rises(self) -> int:
        """How often INTA# was asserted in C, since it was set to 0."""
        return self.card.rises

    @rises.setter
    def rises(self, count: int) -> None:
        self.card.rises = count

    def drive_inta(self) -> None:
        """Have INTA# follow a latch that has changed, unless C has driven it."""
        if self.card.inta_due:
            self.card.inta_due = False
            self._interrupts_changed()

    def arrange(self, *, on: bool, may_master: bool, powered: bool) -> None:
        """Say what the chip may do now. `on` False has C leave all to Python."""
        card = self.card
        card.on, card.may_master, card.powered = on, may_master, powered
