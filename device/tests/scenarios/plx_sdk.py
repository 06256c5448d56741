# SPDX-License-Identifier: Apache-2.0
"""What the PLX SDK's driver does, on any chip of the family.

Source: reference section 9.6, with 4.11 (abort), 7.2 (bit-banged EEPROM) and 8 (VPD). Its delays are left out: loops of
dummy reads are shorter here.
"""

import contextlib
import enum
import struct
from dataclasses import dataclass
from typing import Final

from plx9x5x.units import KIB
from tests.behaviour.driver import SINCE_9054, SINCE_9056, Driver
from tests.scenarios.support import (
    CNTRL,
    CSR,
    DAC,
    DPR,
    INTCSR,
    L2PDBELL,
    LADR,
    MODE,
    OPQIM,
    OPQIS,
    PADR,
    PCIHIDR,
    PCIHREV,
    QSR,
    SIZ,
    bit,
    poll,
)

PROT_AREA: Final = 0x0E
MASTER_ENABLE: Final = bit(8)
SK, CS, DI, DO, LISTEN = bit(24), bit(25), bit(26), bit(27), bit(31)
DELAY_READS: Final = 50


class Status(enum.Enum):
    """What the SDK calls the state of a channel."""

    COMPLETE = "complete"
    PAUSED = "paused"
    RUNNING = "in progress"


class Cause(enum.Flag):
    """What an interrupt was about."""

    NONE = 0
    DOORBELL = enum.auto()
    ABORT = enum.auto()
    LINTI = enum.auto()
    DMA0 = enum.auto()
    DMA1 = enum.auto()
    OUTBOUND = enum.auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a user's buffer: bus address and length."""

    bus: int
    length: int


class PlxSdk:
    """The driver's register accesses."""

    polls = 20_000
    """Looks at DO after a word was written: all of them, from the 9056 on."""

    def __init__(self, pc: Driver) -> None:
        self.pc = pc
        self.since_9054, self.since_9056 = pc.chip in SINCE_9054, pc.chip in SINCE_9056
        self.common = pc.buffer(64 * KIB)
        self.list = pc.buffer(4 * KIB)

    # -- probe -------------------------------------------------------------------------------------

    def probe(self) -> tuple[int, int] | None:
        """Give (chip, revision), or None if the SDK would refuse the device."""
        if self.pc.config_read(0) == 0xFFFF_FFFF or self.pc.config_read(0x0E, 1) & 0x7F:
            return None
        self.pc.config_write(4, self.pc.config_read(4, 2) | 7, 2)
        bars = [self.pc.config_read(at) for at in range(0x10, 0x28, 4)]
        if self.pc.read(0) == 0xFFFF_FFFF or len(bars) != 6:
            return None
        identity = self.pc.read(PCIHIDR)
        if identity & 0xFFFF != 0x10B5:
            return None
        revision = self.pc.read(PCIHREV)
        if identity >> 16 == 0x9054 and revision == 0x0A:
            revision = 0xAB if self.pc.config_read(8, 1) == 0x0B else 0xAA
        self.pc.write(INTCSR, self.pc.read(INTCSR) & ~MASTER_ENABLE)
        self.pc.write(INTCSR, self.pc.read(INTCSR) | MASTER_ENABLE)
        return identity >> 16, revision

    # -- DMA ---------------------------------------------------------------------------------------

    def open(self, channel: int) -> None:
        self.pc.write(INTCSR, self.pc.read(INTCSR) | bit(18 + channel))

    def set_properties(self, channel: int, mode: int) -> bool:
        if self.status(channel) is not Status.COMPLETE:
            return False
        self.pc.write(MODE[channel], mode)
        return True

    def status(self, channel: int) -> Status:
        command = self._command(channel)
        if command & 0x10:
            return Status.COMPLETE
        return Status.RUNNING if command & 1 else Status.PAUSED

    def block(
        self, channel: int, piece: Piece, local: int, *, to_pci: bool, interrupt: bool = True, mode: int = 0
    ) -> bool:
        """Start a block transfer; False if the channel is busy. `mode` are more bits of DMAMODE."""
        if self.status(channel) is not Status.COMPLETE:
            return False
        before = self.pc.read(MODE[channel]) & ~(bit(9) | bit(10) | bit(18))
        self.pc.write(MODE[channel], before | mode | bit(17) | (bit(10) if interrupt else 0))
        self.pc.write(PADR[channel], piece.bus & 0xFFFF_FFFF)
        self.pc.write(LADR[channel], local)
        self.pc.write(SIZ[channel], piece.length)
        self.pc.write(DPR[channel], 8 if to_pci else 0)
        if self.since_9054:
            self.pc.write(DAC[channel], piece.bus >> 32)
        self._start(channel)
        return True

    def user_buffer(self, channel: int, pieces: list[Piece], local: int, *, to_pci: bool, wide: bool = False) -> bool:
        """Start a transfer over a list of pieces; `wide` is the 64-bit build, with addresses above 4 GiB."""
        if self.status(channel) is not Status.COMPLETE:
            return False
        mode = self.pc.read(MODE[channel])
        stride = 32 if wide else 16
        step = 0 if mode & bit(11) else 1
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            pointer = (0 if last else self.list.bus + (index + 1) * stride) | 1 | (2 if last else 0)
            row = (piece.bus & 0xFFFF_FFFF, local, piece.length, pointer | (8 if to_pci else 0), piece.bus >> 32)
            self.list.write(index * stride, struct.pack("<5I", *row)[: 20 if wide else 16])
            local += step * piece.length
        mode = mode | bit(9) | bit(10) | bit(17) | (bit(18) if wide else 0)
        if not wide:
            mode &= ~bit(18)
        if self.since_9056:
            mode &= ~bit(20)
        self.pc.write(MODE[channel], mode)
        if self.since_9054:
            self.pc.write(DAC[channel], 0)
        self.pc.write(DPR[channel], self.list.bus | 1)
        self._start(channel)
        return True

    def pause(self, channel: int) -> None:
        self._change(channel, clear=1)

    def resume(self, channel: int) -> None:
        self._change(channel, put=1)

    def abort(self, channel: int) -> bool:
        """Abort a transfer; False if there is none."""
        self.pause(channel)
        if self.status(channel) is Status.COMPLETE:
            return False
        self._change(channel, put=4)
        return True

    def _command(self, channel: int) -> int:
        return self.pc.read(CSR[0]) >> 8 * channel & 0xFF

    def _change(self, channel: int, *, put: int = 0, clear: int = 0) -> None:
        """Read, change and write both channels' DMACSR as one dword."""
        both = self.pc.read(CSR[0])
        self.pc.write(CSR[0], both & ~(clear << 8 * channel) | put << 8 * channel)

    def _start(self, channel: int) -> None:
        self._change(channel, put=1)
        self._change(channel, put=3)

    # -- interrupts --------------------------------------------------------------------------------

    def isr(self) -> Cause:
        """The handler: nothing is acknowledged, INTA# is masked as a whole."""
        status = self.pc.read(INTCSR)
        if status == 0xFFFF_FFFF or not status & MASTER_ENABLE:
            return Cause.NONE
        found = Cause.NONE
        for active, enable, cause in ((13, 9, Cause.DOORBELL), (14, 10, Cause.ABORT), (15, 11, Cause.LINTI)):
            if status & bit(active) and status & bit(enable):
                found |= cause
        for channel, cause in enumerate((Cause.DMA0, Cause.DMA1)):
            asked = status & bit(21 + channel) and status & bit(18 + channel)
            if asked and self.pc.read(MODE[channel]) & bit(17):
                found |= cause
        if self.pc.read(OPQIS) & bit(3) and not self.pc.read(OPQIM) & bit(3):
            found |= Cause.OUTBOUND
        if found:
            self.pc.write(INTCSR, status & ~MASTER_ENABLE)
        return found

    def deferred(self, found: Cause) -> int:
        """The deferred call; give the doorbells that it took."""
        doorbells = 0
        if found & Cause.LINTI:
            self.pc.write(INTCSR, self.pc.read(INTCSR) & ~bit(11))
        if found & Cause.DOORBELL:
            doorbells = self.pc.read(L2PDBELL)
            self.pc.write(L2PDBELL, doorbells)
        if found & Cause.ABORT:
            self.pc.config_write(4, self.pc.config_read(4))
        for channel, cause in enumerate((Cause.DMA0, Cause.DMA1)):
            if found & cause:
                self._change(channel, put=8)
        if found & Cause.OUTBOUND:
            self.pc.write(OPQIM, 8)
        self.pc.write(INTCSR, self.pc.read(INTCSR) | MASTER_ENABLE)
        return doorbells

    def interrupt(self) -> Cause:
        """Handler and deferred call, one after the other."""
        found = self.isr()
        if found:
            self.deferred(found)
        return found

    # -- board reset -------------------------------------------------------------------------------

    def reset_board(self) -> None:
        """Reset the local side, reload the EEPROM, and put back what that overwrote."""
        errors = self.pc.config_read(4)
        if errors >> 27:
            self.pc.config_write(4, errors)
        messaging = self.pc.read(QSR) & 1
        line = self.pc.config_read(0x3C, 1)
        power, hot_swap = (self.pc.config_read(0x44), self.pc.config_read(0x48)) if self.since_9054 else (0, 0)
        control = self.pc.read(CNTRL) & ~bit(29)
        for pulse in (bit(30), bit(29)):
            self.pc.write(CNTRL, control | pulse)
            self._delay()
            self.pc.write(CNTRL, control)
        if messaging:
            self.pc.write(QSR, self.pc.read(QSR) | messaging)
        self.pc.config_write(0x3C, line, 1)
        if self.since_9054:
            self.pc.config_write(0x44, power)
            self.pc.config_write(0x48, hot_swap & ~(0xC2 << 16))

    def _delay(self) -> None:
        for _ in range(DELAY_READS):
            self.pc.read(0)

    # -- EEPROM by CNTRL ---------------------------------------------------------------------------

    def eeprom_present(self) -> bool:
        return bool(self.pc.read(CNTRL) & bit(28))

    def eeprom_read(self, offset: int) -> int:
        """Clock out a dword: one command, and the part goes on with its next word."""
        control = self._command_eeprom(0b110, offset // 2) | DI
        value = 0
        if self.since_9056:
            control |= LISTEN
        self.pc.write(CNTRL, control)
        for _ in range(32):
            self._pulse(control)
            value = value << 1 | bool(self.pc.read(CNTRL) & DO)
        self._release(control)
        return value

    def eeprom_write(self, offset: int, value: int) -> None:
        """Program a dword, one word after the other.

        DO is polled without the bit that has the chip sample it: from the 9056 on the driver gives up, the word written.
        """
        area = self.pc.read(PROT_AREA, 1) if self.since_9054 else 0
        if self.since_9054:
            self.pc.write(PROT_AREA, 0, 1)
        for word, half in ((offset // 2, value >> 16), (offset // 2 + 1, value & 0xFFFF)):
            top = 3 << self._address_bits - 2
            self._release(self._command_eeprom(0b100, top))
            control = self._command_eeprom(0b101, word)
            for at in reversed(range(16)):
                self._pulse(control | (DI if half >> at & 1 else 0))
            self._release(control)
            self.pc.write(CNTRL, control | CS)
            with contextlib.suppress(TimeoutError):
                poll(self.pc, lambda: bool(self.pc.read(CNTRL) & DO), self.polls)
            self._release(control)
            self._release(self._command_eeprom(0b100, 0))
        if self.since_9054:
            self.pc.write(PROT_AREA, area, 1)

    @property
    def _address_bits(self) -> int:
        return 8 if self.since_9054 else 6

    def _command_eeprom(self, opcode: int, address: int) -> int:
        """Send start bit, opcode and address; give CNTRL as it stands then."""
        control = self.pc.read(CNTRL) & ~(SK | CS | DI | LISTEN if self.since_9056 else SK | CS | DI)
        self.pc.write(CNTRL, control)
        control |= CS
        self.pc.write(CNTRL, control)
        command = opcode << self._address_bits | address
        for at in reversed(range(3 + self._address_bits)):
            self._pulse(control | (DI if command >> at & 1 else 0))
        return control

    def _pulse(self, control: int) -> None:
        for level in (control, control | SK, control):
            self.pc.write(CNTRL, level)

    def _release(self, control: int) -> None:
        self.pc.write(CNTRL, control & ~(SK | CS | DI | (LISTEN if self.since_9056 else 0)))

    # -- EEPROM by VPD -----------------------------------------------------------------------------

    def vpd_read(self, offset: int) -> int:
        self._stop_listening()
        self.pc.config_write(0x4C, offset << 16 | 3)
        poll(self.pc, lambda: bool(self.pc.config_read(0x4C) & bit(31)), 11)
        return self.pc.config_read(0x50)

    def vpd_write(self, offset: int, value: int, *, unprotect: bool = True) -> None:
        self._stop_listening()
        area = self.pc.read(PROT_AREA, 1)
        if unprotect:
            self.pc.write(PROT_AREA, 0, 1)
        self.pc.config_write(0x50, value)
        self.pc.config_write(0x4C, bit(31) | offset << 16 | 3)
        poll(self.pc, lambda: not self.pc.config_read(0x4C) & bit(31), 11)
        self.pc.write(PROT_AREA, area, 1)

    def _stop_listening(self) -> None:
        self.pc.write(CNTRL, self.pc.read(CNTRL) & ~LISTEN)
