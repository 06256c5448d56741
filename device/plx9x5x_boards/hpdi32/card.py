# SPDX-License-Identifier: Apache-2.0
"""The card: registers from local address 0 on, two FIFOs behind one port, DREQ# of DMA channel 0, LINTi#."""

from typing import Final

from plx9x5x.blocks import Block, Inflow, Outflow, Pace, Timer
from plx9x5x.regs.kernel import Access, Write
from plx9x5x_boards.hpdi32 import registers as reg
from plx9x5x_boards.hpdi32.cable import Source

WORD: Final = 4
MASTER_HZ: Final = 20_000_000
"""The card's own clock, which the transmitter divides."""

_TX_SHIFT: Final = 8
_RX_SHIFT: Final = 12
"""Where a FIFO's four flags stand in BOARD_STATUS, INTERRUPT_CONTROL and INTERRUPT_STATUS; `Levels` has their order."""

_FLAGS: Final = 0xF << _TX_SHIFT | 0xF << _RX_SHIFT
_EMPTY, _ALMOST_EMPTY, _ALMOST_FULL, _FULL = 1, 2, 4, 8
_TROUBLE: Final = sum(field.mask for field in reg.BOARD_STATUS.fields if field.access is Access.W1C)


class Hpdi32(Block):
    """What answers on the local bus.

    DMA moves while the driver has the receiver on and words are there, or, with `demand_tx`, while there is room.
    LINTi# is driven while INTERRUPT_STATUS has a bit that INTERRUPT_CONTROL has too; a flag's rise sets one.
    """

    size = 0x100
    registers = reg.REGISTERS
    interrupts = (reg.INTERRUPT_STATUS, reg.INTERRUPT_CONTROL)

    def __init__(self, source: Source, pace: Pace) -> None:
        super().__init__()
        self._source, self._pace = source, pace
        source.words(0, 1)  # what it has to work out, it does now and not while a guest waits

    def plugged(self) -> None:
        """Drive DREQ# of channel 0."""
        now = self.pins.now
        self._receiver = Inflow(self._sent, self._pace, width=WORD, depth=reg.DEPTH, now=now, on=False)
        self._transmitter = Outflow(Pace(MASTER_HZ), width=WORD, depth=reg.DEPTH, now=now, on=False)
        self._was = self._flags()
        """The flags when somebody looked last, as INTERRUPT_STATUS has them."""
        self._alarm = Timer(self.pins, self._look)
        self.port(reg.FIFO.offset, width=WORD, take=self._take, put=self._give)
        self.pins.demand(0, self._ready, words=True)

    # -- FIFOs -------------------------------------------------------------------------------------

    def _sent(self, first: int, count: int) -> bytes:
        """What is on the cable."""
        return self._source.words(first, count).astype("<u4").tobytes()

    def _ready(self) -> int:
        """Words that DMA may move now."""
        if self.get(reg.BOARD_CONTROL).demand_tx:
            return self._transmitter.room
        return self._receiver.level if self._receiver.on else 0

    def _take(self, count: int) -> bytes:
        """Give words that were received."""
        self._look()
        data = self._receiver.take(count)
        if len(data) < WORD * count:
            self.regs.set_bits(reg.BOARD_STATUS, reg.BOARD_STATUS.rx_underrun.mask, to=True)
        self._note()
        return data

    def _give(self, data: bytes | memoryview) -> None:
        """Take words that are to be sent."""
        self._look()
        if self._transmitter.put(data):
            self.regs.set_bits(reg.BOARD_STATUS, reg.BOARD_STATUS.tx_overrun.mask, to=True)
        self._note()

    def on_write_board_control(self, write: Write) -> None:
        """Reset what is to be reset, and switch."""
        self._look()
        done = reg.BOARD_CONTROL(write.data)
        if done.reset or done.tx_fifo_reset:
            self._transmitter.reset()
        if done.reset or done.rx_fifo_reset:
            self._receiver.reset()
        if done.reset:
            self.regs.reset()
            self._set_up()
            self._was = self._flags()  # as at power-on, nothing has begun
        self.on_write_tx_clock_divider(write)

    def on_write_tx_clock_divider(self, _: Write) -> None:
        """Something that runs may have been switched; until now the cable did what it did under the old settings."""
        self._look()
        control = self.get(reg.BOARD_CONTROL)
        pace = Pace(MASTER_HZ, max(1, self.regs[reg.TX_CLOCK_DIVIDER]))
        self._transmitter.switch(on=control.tx_enable and control.start_tx, pace=pace)
        self._receiver.switch(on=control.rx_enable)
        self._note()

    # -- flags and LINTi# --------------------------------------------------------------------------

    def on_write_interrupt_control(self, _: Write) -> None:
        """What is to interrupt, or is almost empty, is something else now."""
        self._set_up()
        self._look()

    on_write_interrupt_status = on_write_tx_prog_almost = on_write_rx_prog_almost = on_write_interrupt_control

    def _set_up(self) -> None:
        for fifo, almost in ((self._transmitter, reg.TX_PROG_ALMOST), (self._receiver, reg.RX_PROG_ALMOST)):
            fifo.almost_empty, fifo.almost_full = self.regs[almost] & 0xFFFF, self.regs[almost] >> 16

    def _look(self) -> None:
        """Find out what the cable did until now."""
        self._transmitter.look()
        if self._receiver.look():
            self.regs.set_bits(reg.BOARD_STATUS, reg.BOARD_STATUS.rx_overrun.mask, to=True)
        self._note()

    def _note(self) -> None:
        """Keep what begins, drive LINTi#, and see to it that what is to interrupt next is noticed in time.

        Events are edges: what lasts is not set anew once it was cleared (INTERRUPT_STATUS says why).
        """
        flags = self._flags()
        begun, self._was = flags & ~self._was, flags
        self.happened(begun)
        awaited = self.regs[reg.INTERRUPT_CONTROL] & ~self.regs[reg.INTERRUPT_STATUS] & ~flags
        if awaited & _FLAGS and (times := self._times(awaited)):
            self._alarm.set(min(times))

    def _times(self, awaited: int) -> list[int]:
        """When the first of these events of either FIFO comes without a driver's doing."""
        rx, tx = self._receiver, self._transmitter
        rising = ((_ALMOST_FULL, reg.DEPTH - rx.almost_full), (_FULL, reg.DEPTH))
        falling = ((_ALMOST_EMPTY, tx.almost_empty), (_EMPTY, 0))
        received = [rx.when(level) for flag, level in rising if rx.on and awaited >> _RX_SHIFT & flag]
        sent = [tx.when(level) for flag, level in falling if tx.on and awaited >> _TX_SHIFT & flag]
        return received[:1] + sent[:1]

    def _flags(self) -> int:
        return self._transmitter.flags << _TX_SHIFT | self._receiver.flags << _RX_SHIFT

    def on_read_board_status(self, _: int) -> int:
        """It has the flags upside down."""
        self._look()
        sends = self._transmitter.on and self._transmitter.level
        trouble = self.regs[reg.BOARD_STATUS] & _TROUBLE
        return trouble | ~self._was & _FLAGS | (reg.BOARD_STATUS.tx_in_progress.mask if sends else 0)

    def on_read_interrupt_status(self, _: int) -> int:
        """Find out first."""
        self._look()
        return self.regs[reg.INTERRUPT_STATUS]

    def on_read_tx_fifo_words(self, _: int) -> int:
        """Count now."""
        return self._transmitter.level

    def on_read_rx_fifo_words(self, _: int) -> int:
        """Count now."""
        return self._receiver.level
