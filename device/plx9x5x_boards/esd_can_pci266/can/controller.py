# SPDX-License-Identifier: Apache-2.0
"""The SJA1000, a stand-alone CAN controller, in PeliCAN mode.

It wakes up in BasicCAN mode, as the chip does; of that mode there is what a driver finds before it turns to PeliCAN:
registers and their reset values. A controller left in it takes no part in the bus.

Source: SJA1000 data sheet (Philips, 2000 Jan 04), by the table and section given. UNVERIFIED: registers that the data
sheet leaves undefined after a hardware reset read 0; a request to transmit in listen only mode is dropped; a sleeping
controller keeps a request until it wakes.
"""

from collections.abc import Callable
from typing import Final

from plx9x5x_boards.esd_can_pci266.can.bus import NOT_ACKNOWLEDGED, Bus, Request
from plx9x5x_boards.esd_can_pci266.can.faults import Faults
from plx9x5x_boards.esd_can_pci266.can.fifo import Fifo
from plx9x5x_boards.esd_can_pci266.can.filter import accepts
from plx9x5x_boards.esd_can_pci266.can.frame import BUS_FREE, MOST_DATA, Frame
from plx9x5x_boards.esd_can_pci266.can.registers import (
    BASIC_CR_RESERVED,
    BASIC_CR_STORED,
    BASIC_IR_IDLE,
    BUS_OFF_LIMIT,
    CODE_MASK,
    FIFO_SIZE,
    FILTER_SIZE,
    NOTHING,
    PASSIVE_LIMIT,
    RAM_SIZE,
    WINDOW_SIZE,
    Basic,
    Cdr,
    Cmr,
    Info,
    Ir,
    Mod,
    Pelican,
    Sr,
)

_QUANTUM_CYCLES: Final = 2
"""Cycles of the oscillator in the shortest time quantum (6.5.1)."""
_KEPT_MODE: Final = Mod.LISTEN_ONLY | Mod.SELF_TEST | Mod.SINGLE_FILTER
_NS: Final = 1_000_000_000


class Sja1000:
    """One controller on a `Bus`. `now` is the clock, `oscillator_hz` what is at XTAL1."""

    def __init__(self, now: Callable[[], int], oscillator_hz: int) -> None:
        self._now: Final = now
        self._cycle_ns: Final = _NS / oscillator_hz
        self._bus: Bus | None = None
        self._ram: Final = bytearray(RAM_SIZE)
        self._fifo: Final = Fifo(self._ram)
        self._filter: Final = bytearray(FILTER_SIZE)
        self._faults: Final = Faults(self._raise)
        self._pelican = False
        self._mode = int(Mod.RESET)
        self._basic_control = 0
        self._timing: Final = bytearray(3)
        """BTR0, BTR1, OCR."""
        self._divider = 0
        self._enabled = self._pending = 0
        self._overrun = False
        self._complete = True
        self._lost_at = self._error = 0
        self._lost_unread = self._error_unread = False
        """What ALC and ECC hold stays until they are read, and until then no other is told."""
        self.joined_at: int | None = None
        self.request: Request | None = None
        self._recovering = False
        """It is bus-off, and has not been told otherwise."""

    def connect(self, bus: Bus) -> None:
        """Join the wire."""
        self._bus = bus

    @property
    def interrupts(self) -> bool:
        """INT# is driven."""
        return self._pelican and bool(self._causes)

    # -- accesses ----------------------------------------------------------------------------------

    def read(self, offset: int) -> int:
        """Read a byte; `offset` from the controller's base."""
        if not self._pelican:
            return self._read_basic(offset)
        match offset:
            case Pelican.MOD:
                return self._mode
            case Pelican.SR:
                return self._status
            case Pelican.IR:
                causes, self._pending = self._causes, 0
                return causes
            case Pelican.IER:
                return self._enabled
            case Pelican.BTR0 | Pelican.BTR1 | Pelican.OCR:
                return self._timing[offset - Pelican.BTR0]
            case Pelican.ALC:
                self._lost_unread = False
                return self._lost_at
            case Pelican.ECC:
                self._error_unread = False
                return self._error
            case Pelican.EWLR:
                return self._faults.limit
            case Pelican.RXERR:
                return self._faults.receiving
            case Pelican.TXERR:
                return self._transmit_count
            case Pelican.RMC:
                return len(self._fifo)
            case Pelican.RBSA:
                return self._fifo.start
            case Pelican.CDR:
                return self._divider
        return self._read_memory(offset)

    def _read_memory(self, offset: int) -> int:
        """The window and the RAM (table 11); what is reserved reads 0."""
        if Pelican.RAM <= offset < Pelican.RAM + RAM_SIZE:
            return self._ram[offset - Pelican.RAM]
        place = offset - Pelican.WINDOW
        if not 0 <= place < WINDOW_SIZE:
            return 0
        if not self._mode & Mod.RESET:
            return self._fifo.visible(place)
        return self._filter[place] if place < FILTER_SIZE else 0

    def write(self, offset: int, value: int) -> None:
        """Write a byte; `offset` from the controller's base."""
        resting = bool(self._mode & Mod.RESET)
        if offset == Pelican.CDR:
            self._write_divider(value, resting=resting)
        elif not self._pelican:
            self._write_basic(offset, value)
        elif offset == Pelican.MOD:
            self._write_mode(value & 0x1F)
        elif offset == Pelican.IER:
            self._enabled = value
        elif resting:
            self._write_resting(offset, value)
        elif offset == Pelican.CMR:
            self._command(value)
        elif 0 <= offset - Pelican.WINDOW < WINDOW_SIZE and self.request is None:
            self._ram[FIFO_SIZE + offset - Pelican.WINDOW] = value

    def _write_resting(self, offset: int, value: int) -> None:
        """What can be written in reset mode only (table 11)."""
        match offset:
            case Pelican.BTR0 | Pelican.BTR1 | Pelican.OCR:
                self._timing[offset - Pelican.BTR0] = value
            case Pelican.EWLR:
                self._faults.limit = value
            case Pelican.RXERR:
                if not self._faults.bus_off:
                    self._faults.receiving = value
            case Pelican.TXERR:
                self._faults.write_sending(value)
                self._recovering = self._recovering and value == BUS_OFF_LIMIT
            case Pelican.RBSA:
                self._fifo.start = value % FIFO_SIZE
            case _ if 0 <= offset - Pelican.WINDOW < FILTER_SIZE:
                self._filter[offset - Pelican.WINDOW] = value
            case _ if Pelican.RAM <= offset < Pelican.RAM + RAM_SIZE:
                self._ram[offset - Pelican.RAM] = value

    def _write_divider(self, value: int, *, resting: bool) -> None:
        """CDR (6.5.4): the mode is chosen in reset mode."""
        writable = 0xFF & ~Cdr.RESERVED if resting else int(Cdr.DIVIDER)
        self._divider = self._divider & ~writable | value & writable
        self._pelican = bool(self._divider & Cdr.PELICAN)

    # -- BasicCAN ----------------------------------------------------------------------------------

    def _read_basic(self, offset: int) -> int:
        """The registers of BasicCAN mode (tables 2 and 3)."""
        resting = bool(self._mode & Mod.RESET)
        match offset:
            case Basic.CR:
                return BASIC_CR_RESERVED | self._basic_control | (self._mode & Mod.RESET)
            case Basic.SR:
                return Sr.BUFFER_FREE | Sr.COMPLETE
            case Basic.IR:
                return BASIC_IR_IDLE
            case Basic.ACR | Basic.AMR if resting:
                return self._filter[offset - Basic.ACR]
            case Basic.BTR0 | Basic.BTR1 | Basic.OCR if resting:
                return self._timing[offset - Basic.BTR0]
            case Basic.CDR:
                return self._divider
        return NOTHING

    def _write_basic(self, offset: int, value: int) -> None:
        match offset:
            case Basic.CR:
                self._basic_control = value & BASIC_CR_STORED
                self._mode = value & Mod.RESET
            case Basic.ACR | Basic.AMR if self._mode & Mod.RESET:
                self._filter[offset - Basic.ACR] = value
            case Basic.BTR0 | Basic.BTR1 | Basic.OCR if self._mode & Mod.RESET:
                self._timing[offset - Basic.BTR0] = value

    # -- mode --------------------------------------------------------------------------------------

    def _write_mode(self, value: int) -> None:
        """MOD (table 12): what is not sleep or reset changes in reset mode only, sleep out of it only."""
        if self._mode & Mod.RESET:
            self._mode = value & (_KEPT_MODE | Mod.RESET)
            if not value & Mod.RESET:
                self._operate()
            return
        if value & Mod.RESET:
            self._rest()
        elif value & Mod.SLEEP and not self._mode & Mod.SLEEP:
            self._sleep()
        elif self._mode & Mod.SLEEP and not value & Mod.SLEEP:
            self._wake(self._wire.free_from(self._now()))

    def _operate(self) -> None:
        """Reset mode was left: the bus is joined when it has been free for 11 bits, after a bus-off 128 times."""
        now = self._now()
        if self._faults.bus_off and self._faults.sending <= PASSIVE_LIMIT and self._recovering:
            self.joined_at = now + (self._faults.sending + 1) * BUS_FREE * self.bit_ns
            return
        if self._faults.judge():
            self._gone()
        else:
            busy = not self._wire.idle
            self.joined_at = self._wire.free_from(now) if busy else now + BUS_FREE * self.bit_ns

    def _rest(self) -> None:
        """Reset mode was entered (table 12, its last column)."""
        if self._recovering:
            self._faults.sending = self._transmit_count
        self._mode = self._mode & _KEPT_MODE | Mod.RESET
        self._wire.leave(self)
        self.joined_at = self.request = None
        self._fifo.clear()
        self._overrun = False
        self._pending = 0

    def _gone(self) -> None:
        """Bus-off: the controller puts itself into reset mode, with this one interrupt.

        That it is not error passive any more is no news: it did not become error active.
        """
        pending = self._pending & Ir.ERROR_WARNING
        self._recovering = False
        self._rest()
        self._pending, self._recovering = pending, True

    def _sleep(self) -> None:
        """Sleep, unless the bus is busy or an interrupt is pending: that wakes it at once (6.4.3, note 2)."""
        if self._wire.idle and not (self._causes or self._recovering) and self.request is None:
            self._mode |= Mod.SLEEP
            self.joined_at = None
        else:
            self._raise(Ir.WAKE_UP)

    def _wake(self, free_at: int) -> None:
        """Wake up; what is on the wire now is not received."""
        self._mode &= ~Mod.SLEEP
        self.joined_at = free_at + BUS_FREE * self.bit_ns
        self._raise(Ir.WAKE_UP)

    # -- commands and status -----------------------------------------------------------------------

    def _command(self, value: int) -> None:
        """CMR (6.4.4)."""
        if value & Cmr.RELEASE:
            self._fifo.release()
        if value & Cmr.CLEAR_OVERRUN:
            self._overrun = False
        once = bool(value & Cmr.ABORT)
        if value & (Cmr.TRANSMIT | Cmr.SELF_RECEPTION) and self.request is None:
            if not self._mode & Mod.LISTEN_ONLY:
                own = not value & Cmr.TRANSMIT
                self.request = Request(self._frame_to_send(), self._now(), once, own)
                self._complete = False
        elif once and self.request is not None:
            if self._wire.sends(self):
                self.request.once = True
            else:
                self._free_buffer()

    def _frame_to_send(self) -> Frame:
        """What the transmit buffer holds (6.4.13)."""
        info, *rest = self._ram[FIFO_SIZE : FIFO_SIZE + WINDOW_SIZE]
        extended, remote, code = bool(info & Info.EXTENDED), bool(info & Info.REMOTE), info & CODE_MASK
        width = 4 if extended else 2
        identifier = int.from_bytes(rest[:width], "big") >> (3 if extended else 5)
        data = b"" if remote else bytes(rest[width : width + min(code, MOST_DATA)])
        return Frame(identifier, extended, remote, code, data)

    def _free_buffer(self) -> None:
        """The transmit buffer can be written again; that is an interrupt, whatever became of the frame."""
        self.request = None
        self._raise(Ir.TRANSMITTED)

    @property
    def _status(self) -> int:
        """SR (table 14). Both of the last two are set while it waits for the bus to be free."""
        waits = self.joined_at is None or self.joined_at > self._now()
        sends = self._wire.sends(self)
        return (
            Sr.MESSAGE * bool(self._fifo)
            | Sr.OVERRUN * self._overrun
            | Sr.BUFFER_FREE * (self.request is None)
            | Sr.COMPLETE * self._complete
            | Sr.RECEIVING * (waits or not (sends or self._wire.idle))
            | Sr.TRANSMITTING * (waits or sends)
            | Sr.ERROR * self._faults.warning
            | Sr.BUS_OFF * (self._faults.bus_off and self._recovering)
        )

    @property
    def _causes(self) -> int:
        """IR (table 15): that of a message goes with the messages and its enable, the others until they are read."""
        return self._pending | (self._enabled & Ir.RECEIVED if self._fifo else 0)

    def _raise(self, cause: int) -> None:
        self._pending |= cause & self._enabled

    @property
    def _transmit_count(self) -> int:
        """TXERR; it counts down through a bus-off's recovery (6.4.12)."""
        if self._recovering and self.joined_at is not None:
            left = (self.joined_at - self._now()) // (BUS_FREE * self.bit_ns)
            return max(0, min(PASSIVE_LIMIT, left))
        return min(self._faults.sending, BUS_OFF_LIMIT)

    # -- as the wire sees it -----------------------------------------------------------------------

    @property
    def bit_ns(self) -> int:
        """Length of a bit, by BTR0 and BTR1 (6.5.1, 6.5.2)."""
        quanta = 3 + (self._timing[1] & 0xF) + (self._timing[1] >> 4 & 7)
        return round(self._cycle_ns * _QUANTUM_CYCLES * ((self._timing[0] & 0x3F) + 1) * quanta)

    @property
    def silent(self) -> bool:
        """Listen only."""
        return bool(self._mode & Mod.LISTEN_ONLY)

    @property
    def error_passive(self) -> bool:
        """Error passive, or meant to behave so."""
        return self._faults.passive

    @property
    def needs_no_acknowledge(self) -> bool:
        """Self test."""
        return bool(self._mode & Mod.SELF_TEST)

    def due(self) -> int | None:
        """When the recovery from bus-off is over."""
        return self.joined_at if self._recovering else None

    def do_due(self) -> None:
        """It is over."""
        self._recovering = False
        self._faults.recovered()

    def busy_until(self, started: int, free_at: int) -> None:
        """The bus was taken before this one had joined it, or while it slept."""
        if self._mode & Mod.SLEEP:
            self._wake(free_at)
        elif self.joined_at is not None:
            self.joined_at = self.joined_at + free_at - started if self._recovering else free_at

    def sent(self) -> None:
        """The frame went out."""
        self._complete = True
        self._free_buffer()
        self._judged(gone=self._faults.sent())

    def lost(self, position: int) -> None:
        """Another one had the lower identifier."""
        if not self._lost_unread:
            self._lost_at, self._lost_unread = position, True
            self._raise(Ir.ARBITRATION_LOST)
        if self.request is not None and self.request.once:
            self._free_buffer()

    def failed(self, code: int) -> None:
        """The frame ended with an error; it goes out again, unless it was to go once."""
        self._capture(code)
        if self.request is not None and self.request.once:
            self._free_buffer()
        self._judged(gone=self._faults.not_sent(only_acknowledge=code == NOT_ACKNOWLEDGED))

    def heard(self, frame: Frame, *, own: bool) -> None:
        """A frame came: it is kept if the filter lets it pass and there is room."""
        if not (self.silent or own):
            self._judged(gone=self._faults.received())
        code, mask = bytes(self._filter[:4]), bytes(self._filter[4:])
        if not accepts(code, mask, frame, single=bool(self._mode & Mod.SINGLE_FILTER)):
            return
        if not self._fifo.store(_message(frame)) and not self._overrun:
            self._overrun = True
            self._raise(Ir.OVERRUN)

    def misheard(self, code: int) -> None:
        """A frame that came ended with an error."""
        if not self.silent:
            self._capture(code)
            self._judged(gone=self._faults.not_received())

    def _capture(self, code: int) -> None:
        """ECC (6.4.9)."""
        if not self._error_unread:
            self._error, self._error_unread = code, True
            self._raise(Ir.BUS_ERROR)

    def _judged(self, *, gone: bool) -> None:
        if gone:
            self._gone()

    @property
    def _wire(self) -> Bus:
        assert self._bus is not None
        return self._bus


def _message(frame: Frame) -> bytes:
    """A frame as the receive buffer holds it (6.4.14)."""
    info = (Info.EXTENDED if frame.extended else 0) | (Info.REMOTE if frame.remote else 0) | frame.code
    if frame.extended:
        identifier = (frame.identifier << 3 | frame.remote << 2).to_bytes(4, "big")
    else:
        identifier = (frame.identifier << 5 | frame.remote << 4).to_bytes(2, "big")
    return bytes((info,)) + identifier + frame.data
