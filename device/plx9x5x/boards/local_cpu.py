# SPDX-License-Identifier: Apache-2.0
"""A reference board with a processor on its local side: it answers doorbells and mailboxes, and drives LINTi# as told.

PLX's own boards have memory alone, or a processor whose program nobody has: samples that wait for an interrupt of the
board wait for ever. Here a small program runs, and the host says by registers in space 1 what it does and when.
SRAM is at local address 0 (space 0). The IDs are those of PLX's RDK with the same chip, so that its drivers bind.

The program is our own; what it does to the chip, a processor on the local bus could do (PLX SDK, data books).
"""

from typing import ClassVar, Final

from plx9x5x.blocks import Block, Timer
from plx9x5x.board import Board, Eeprom, EepromPart, Window, configurable
from plx9x5x.model.localbus import Sram
from plx9x5x.options import Chosen, choice, integer
from plx9x5x.peripheral import Pin
from plx9x5x.regs import dma, intr
from plx9x5x.regs.config import PLX
from plx9x5x.regs.kernel import Access, Register, Write, bit, bits
from plx9x5x.regs.profile import PROFILES
from plx9x5x.units import KIB, LocalAddr

SOURCE: Final = "docs/local-cpu.md"

AT: Final = 0x0800_0000
SRAM: Final = 128 * KIB
US: Final = 1000

_LISTENS: Final = (
    intr.INTCSR.mailbox_enable.mask | intr.INTCSR.local_output_enable.mask | intr.INTCSR.local_doorbell_enable.mask
)
_MAILBOX_WRITTEN: Final = (
    intr.INTCSR.mailbox0_written.mask, intr.INTCSR.mailbox1_written.mask,
    intr.INTCSR.mailbox2_written.mask, intr.INTCSR.mailbox3_written.mask,
)  # fmt: skip
_DMA_ACTIVE: Final = (intr.INTCSR.dma0_active.mask, intr.INTCSR.dma1_active.mask)
_ENABLED: Final = 0x0101
"""ENABLE of both channels, whose bytes share a dword: written back as it is, and nothing else of the other channel."""
_ANSWER: Final = 4
"""The answer to mailbox n is in mailbox n + 4."""
_MAILBOX_BELL: Final = 28


class ID(Register, offset=0x00, source=SOURCE):
    """Whose registers these are."""

    letters = bits(31, 0, Access.RO, reset=0x3155_5043, doc="CPU1, the first letter lowest.")


class CONTROL(Register, offset=0x04, source=SOURCE):
    """What the program does by itself."""

    echo_doorbell = bit(0, Access.RW, reset=1, doc="Bits of P2LDBELL are taken, and rung back in L2PDBELL.")
    echo_mailbox = bit(
        1, Access.RW, reset=1, doc="What is written to MBOX0 to MBOX3 is complemented in MBOX4 to MBOX7."
    )
    bell_for_mailbox = bit(2, Access.RW, doc="Such an answer rings bit 28 to 31 of L2PDBELL too.")
    listen = bit(8, Access.W1T, doc="INTCSR bits 3, 16 and 17 are set again, without which it hears nothing.")


class STATUS(Register, offset=0x08, source=SOURCE):
    """What happened."""

    kicked = bit(0, Access.W1C, doc="KICK was written, and DELAY is over.")
    ticked = bit(1, Access.W1C, doc="PERIOD is over.")
    rung = bit(2, Access.W1C, doc="It took bits of P2LDBELL.")
    mailed = bit(3, Access.W1C, doc="It read a mailbox.")
    moved = bit(
        4, Access.W1C, doc="It acknowledged a DMA channel whose interrupt goes to LINTo# (DMAMODE bit 17 is 0)."
    )


class ENABLE(Register, offset=0x0C, source=SOURCE):
    """What of STATUS drives LINTi#, for as long as it is set."""

    kicked = bit(0, Access.RW, doc="As in STATUS.")
    ticked = bit(1, Access.RW, doc="As in STATUS.")
    rung = bit(2, Access.RW, doc="As in STATUS.")
    mailed = bit(3, Access.RW, doc="As in STATUS.")
    moved = bit(4, Access.RW, doc="As in STATUS.")


class DELAY(Register, offset=0x10, source=SOURCE):
    """How long KICK, RING and POST take."""

    us = bits(23, 0, Access.RW, doc="Microseconds of the card's time; 0 is at once.")


class KICK(Register, offset=0x14, source=SOURCE):
    """Have STATUS.kicked set."""

    go = bit(0, Access.W1T, doc="After DELAY; once more meanwhile changes nothing.")


class RING(Register, offset=0x18, source=SOURCE):
    """Have bits of L2PDBELL rung."""

    bells = bits(31, 0, Access.W1T, doc="After DELAY; more of them meanwhile ring together.")


class MAILBOX(Register, offset=0x1C, source=SOURCE):
    """Which mailbox POST writes."""

    number = bits(2, 0, Access.RW, doc="0 to 7.")


class POST(Register, offset=0x20, source=SOURCE):
    """Have a mailbox written by the local side."""

    value = bits(
        31, 0, Access.RW, doc="After DELAY, to the MAILBOX of now; of more for one of them meanwhile the last counts."
    )


class PERIOD(Register, offset=0x24, source=SOURCE):
    """A timer that begins anew with each write."""

    us = bits(23, 0, Access.RW, doc="Microseconds between ticks; 0 is none.")


class TICKS(Register, offset=0x28, source=SOURCE):
    """How often PERIOD was over."""

    count = bits(31, 0, Access.RO, doc="Since the board was reset.")


class BELLS(Register, offset=0x2C, source=SOURCE):
    """What it took of P2LDBELL last."""

    bits = bits(31, 0, Access.RO, doc="All that were set then.")


class CALLS(Register, offset=0x30, source=SOURCE):
    """How often LINTo# called it."""

    count = bits(31, 0, Access.RO, doc="Since the board was reset.")


class PINS(Register, offset=0x34, source=SOURCE):
    """General purpose pins."""

    useri = bit(0, Access.RW, reset=1, doc="USERi is driven high.")
    usero = bit(8, Access.RO, doc="USERo is high.")


class LocalCpu(Block):
    """The processor. It comes `latency_us` after LINTo# called, and drives LINTi# by STATUS and ENABLE."""

    size = 0x100
    registers: ClassVar = (
        ID, CONTROL, STATUS, ENABLE, DELAY, KICK, RING, MAILBOX, POST, PERIOD, TICKS, BELLS, CALLS, PINS,
    )  # fmt: skip
    interrupts: ClassVar = (STATUS, ENABLE)

    def __init__(self, latency_us: int) -> None:
        super().__init__()
        self._latency = latency_us * US

    def plugged(self) -> None:
        """Boot: listen."""
        self._called_up, self._ringing, self._tick_due = False, 0, 0
        self._posted: dict[int, int] = {}
        self._called = Timer(self.pins, self._serve)
        self._kick, self._tick = Timer(self.pins, self._kicked), Timer(self.pins, self._ticked)
        self._ring, self._post = Timer(self.pins, self._rung), Timer(self.pins, self._sent)
        self._listen()
        self.pins.watch(Pin.LINTO, self._linto)
        self.pins.watch(Pin.USERO, lambda high: self.regs.set_bits(PINS, PINS.usero.mask, to=high))

    # -- what the chip calls it for ----------------------------------------------------------------

    def _listen(self) -> None:
        enabled = self.pins.read_register(intr.INTCSR.offset)
        self.pins.write_register(intr.INTCSR.offset, enabled & _KEPT | _LISTENS)

    def _linto(self, level: bool) -> None:
        self._called_up = level
        if level and self._called.due is None:  # a call that is under way is for all that comes meanwhile
            self._called.set(self.pins.now() + self._latency)

    def _serve(self) -> None:
        """Take all that is there."""
        self.regs[CALLS] = self.regs[CALLS] + 1 & 0xFFFF_FFFF
        bells = self.pins.read_register(intr.P2LDBELL.offset)
        if bells:
            self.pins.write_register(intr.P2LDBELL.offset, bells)
            self.regs[BELLS] = bells
            if self.get(CONTROL).echo_doorbell:
                self.pins.write_register(intr.L2PDBELL.offset, bells)
        status = self.pins.read_register(intr.INTCSR.offset)
        mailed = [n for n, mask in enumerate(_MAILBOX_WRITTEN) if status & mask]
        for number in mailed:
            self._answer(number)
        moved = self._acknowledge(status)
        self.happened(
            (STATUS.rung.mask if bells else 0)
            | (STATUS.mailed.mask if mailed else 0)
            | (STATUS.moved.mask if moved else 0)
        )
        self._quiet(status)
        if self._called_up and self._called.due is None:  # there is more, and no edge of LINTo# will tell of it
            self._called.set(self.pins.now() + max(self._latency, US))

    def _quiet(self, status: int) -> None:
        """Take back what it has no use for, which would hold LINTo# up for good: self tests, power states, a queue."""
        if status & intr.INTCSR.bist_active.mask:
            self.pins.finish_self_test(supported=False)
        if status & intr.INTCSR.pm_active.mask:
            enabled = self.pins.read_register(intr.INTCSR.offset) & _KEPT
            self.pins.write_register(intr.INTCSR.offset, enabled | intr.INTCSR.pm_active.mask)
        queue = self.pins.read_register(intr.QSR.offset)
        if queue & intr.QSR.inbound_not_empty.mask and not queue & intr.QSR.inbound_mask.mask:
            self.pins.write_register(intr.QSR.offset, queue & ~intr.QSR.overflow.mask | intr.QSR.inbound_mask.mask)

    def _acknowledge(self, status: int) -> bool:
        """Clear the interrupts of DMA channels that are the local side's; the driver's are left alone."""
        found = False
        for names, active in zip(dma.CHANNELS, _DMA_ACTIVE, strict=True):
            routed = self.pins.read_register(names.mode.offset) & dma.DmaMode.to_inta.mask
            if status & active and not routed:
                place = 8 * (names.command.offset & 3)
                enabled = self.pins.read_register(names.command.offset & ~3) & _ENABLED
                self.pins.write_register(names.command.offset & ~3, enabled | dma.DmaCommand.clear_intr.mask << place)
                found = True
        return found

    def _answer(self, number: int) -> None:
        value = self.pins.read_register(intr.MAILBOXES[number].offset)
        if self.get(CONTROL).echo_mailbox:
            self.pins.write_register(intr.MAILBOXES[number + _ANSWER].offset, ~value & 0xFFFF_FFFF)
            if self.get(CONTROL).bell_for_mailbox:
                self.pins.write_register(intr.L2PDBELL.offset, 1 << _MAILBOX_BELL + number)

    # -- what the host tells it to do --------------------------------------------------------------

    def on_write_control(self, write: Write) -> None:
        """Listen again."""
        if CONTROL(write.data).listen:
            self._listen()

    def on_write_kick(self, write: Write) -> None:
        """Kick, later or now."""
        if KICK(write.data).go:
            self._later(self._kick)

    def on_write_ring(self, write: Write) -> None:
        """Ring, later or now."""
        self._ringing |= write.data
        self._later(self._ring)

    def on_write_post(self, write: Write) -> None:
        """Write the mailbox that is named now, later or now."""
        self._posted[self.regs[MAILBOX]] = write.new
        self._later(self._post)

    def on_write_period(self, _: Write) -> None:
        """Start the timer anew."""
        if self.regs[PERIOD]:
            self._tick_due = self.pins.now() + US * self.regs[PERIOD]
            self._tick.set(self._tick_due)
        else:
            self._tick.stop()

    def on_write_pins(self, write: Write) -> None:
        """Drive USERi."""
        self.pins.drive_useri(PINS(write.new).useri)

    def _later(self, timer: Timer) -> None:
        """A delay that runs is not pushed out: who asks again and again is heard all the same."""
        due = self.pins.now() + US * self.regs[DELAY]
        if timer.due is None or due < timer.due:
            timer.set(due)

    def _kicked(self) -> None:
        self.happened(STATUS.kicked.mask)

    def _ticked(self) -> None:
        """Count each period that is over: the card may be stepped seldom, and the next one ends where it would have."""
        period = US * self.regs[PERIOD]
        over = 1 + (self.pins.now() - self._tick_due) // period
        self.regs[TICKS] = self.regs[TICKS] + over & 0xFFFF_FFFF
        self._tick_due += over * period
        self._tick.set(self._tick_due)
        self.happened(STATUS.ticked.mask)

    def _rung(self) -> None:
        ringing, self._ringing = self._ringing, 0
        self.pins.write_register(intr.L2PDBELL.offset, ringing)

    def _sent(self) -> None:
        posted, self._posted = self._posted, {}
        for number, value in posted.items():
            self.pins.write_register(intr.MAILBOXES[number].offset, value)


_KEPT: Final = sum(field.mask for field in intr.INTCSR.fields if field.access is Access.RW)
"""Bits of INTCSR that are written back as they were: no cause of an interrupt is cleared by it."""

_CARDS: Final = {
    "9656": (0x9601, EepromPart.C93CS56), "9056": (0x5601, EepromPart.C93CS56), "9054": (0x5406, EepromPart.C93CS56),
    "9080": (0x0401, EepromPart.C93CS46), "8311": (0x86E1, EepromPart.C93CS56),
}  # fmt: skip
"""Device ID and EEPROM of PLX's RDK with the chip."""

CHIP: Final = choice("chip", "9656", "which chip the bridge is", tuple(_CARDS))
LATENCY: Final = integer(
    "latency", 10, "microseconds until the processor comes when LINTo# calls", least=0, most=10_000_000
)


def _build(chosen: Chosen) -> Board:
    chip = chosen[CHIP]
    profile, (device, part) = PROFILES[chip], _CARDS[chip]
    loaded = {
        "ids": device << 16 | PLX, "subsystem": int(chip, 16) << 16 | PLX,
        "las0rr": (1 << 32) - SRAM, "las0ba": 0x0000_0001,
        "las1rr": (1 << 32) - LocalCpu.size, "las1ba": AT | 1,
    }  # fmt: skip
    return Board(
        name="rdk-local-cpu",
        summary=f"{profile.name} with 128 KiB SRAM and a processor that answers the host (10b5:{device:04x})",
        profile=profile,
        eeprom=Eeprom.loading(profile, part, loaded),
        windows=(Window("SRAM", LocalAddr(0), lambda: Sram(SRAM)), LocalCpu.window("CPU", AT, chosen[LATENCY])),
    )


BOARD: Final = configurable(_build, CHIP, LATENCY)
