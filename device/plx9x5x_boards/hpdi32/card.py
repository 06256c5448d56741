# SPDX-License-Identifier: Apache-2.0
"""The card: registers from local address 0 on, two FIFOs behind one port, DREQ# of DMA channel 0, LINTi#."""

from typing import Final

from plx9x5x.peripheral import LocalPins
from plx9x5x.regs.kernel import Access, Register, RegisterFile, Write
from plx9x5x_boards.hpdi32 import registers as reg
from plx9x5x_boards.hpdi32.alarm import Alarm
from plx9x5x_boards.hpdi32.cable import Cable
from plx9x5x_boards.hpdi32.fifos import Receiver, Transmitter

WORD: Final = 4
_TX_SHIFT: Final = 8
_RX_SHIFT: Final = 12
"""Where a FIFO's four flags stand in BOARD_STATUS, INTERRUPT_CONTROL and INTERRUPT_STATUS."""

_FLAGS: Final = 0xF << _TX_SHIFT | 0xF << _RX_SHIFT
_EMPTY, _ALMOST_EMPTY, _ALMOST_FULL, _FULL = 1, 2, 4, 8
_TROUBLE: Final = sum(field.mask for field in reg.BOARD_STATUS.fields if field.access is Access.W1C)


class Hpdi32:
    """What answers on the local bus.

    DMA moves while the driver has the receiver on and words are there, or, with `demand_tx`, while there is room.
    LINTi# is driven while INTERRUPT_STATUS has a bit that INTERRUPT_CONTROL has too; a flag's rise sets one.
    """

    size: Final = 0x100

    def __init__(self, cable: Cable) -> None:
        self._receiver = Receiver(cable, reg.DEPTH)
        self._transmitter = Transmitter(reg.DEPTH)
        self._registers = RegisterFile(
            reg.REGISTERS,
            on_write={
                reg.BOARD_CONTROL: self._controlled,
                reg.FIFO: lambda _: self._give(1),
                reg.TX_CLOCK_DIVIDER: lambda _: self._switch(),
                **dict.fromkeys(
                    (reg.TX_PROG_ALMOST, reg.RX_PROG_ALMOST, reg.INTERRUPT_CONTROL, reg.INTERRUPT_STATUS),
                    lambda _: self._look(),
                ),
            },
            on_read={
                reg.BOARD_STATUS: lambda _: self._status(),
                reg.FIFO: lambda _: int.from_bytes(self._take(1), "little"),
                reg.INTERRUPT_STATUS: lambda _: self._looked(reg.INTERRUPT_STATUS),
                reg.TX_FIFO_WORDS: lambda _: self._transmitter.level_at(self._pins.now()),
                reg.RX_FIFO_WORDS: lambda _: self._receiver.level_at(self._pins.now()),
            },
        )

        self._was = self._flags()
        """The flags when somebody looked last, as INTERRUPT_STATUS has them."""
        cable.source.words(0, 1)  # what it has to work out, it does now and not while a guest waits

    def plug(self, pins: LocalPins) -> None:
        """Drive DREQ# of channel 0."""
        self._pins = pins
        self._alarm = Alarm(pins, self._look)
        pins.demand(0, self._ready)

    def read(self, offset: int, length: int) -> bytes:
        """Read registers; of the data port a word for each dword of it that is touched."""
        return self._registers.read(offset, length).to_bytes(length, "little")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write registers."""
        self._registers.write(offset, len(data), int.from_bytes(data, "little"))

    def read_words(self, offset: int, width: int, count: int) -> bytes:
        """Read one place many times: of the data port, whole words at once."""
        if offset == reg.FIFO.offset and width == WORD:
            return self._take(count)
        return b"".join(self.read(offset, width) for _ in range(count))

    def write_words(self, offset: int, width: int, data: memoryview) -> int:
        """Write one place many times."""
        if offset == reg.FIFO.offset and width == WORD:
            self._give(len(data) // WORD)
        else:
            for at in range(0, len(data), width):
                self.write(offset, data[at : at + width])
        return len(data)

    def view(self, offset: int, length: int) -> memoryview | None:  # noqa: ARG002 (whatever it is)
        """Accesses have side effects."""
        return None

    # -- FIFOs -------------------------------------------------------------------------------------

    def _ready(self) -> int:
        """Bytes that DMA may move now."""
        now = self._pins.now()
        if self._registers[reg.BOARD_CONTROL] & reg.BOARD_CONTROL.demand_tx.mask:
            return WORD * (self._transmitter.depth - self._transmitter.level_at(now))
        return WORD * self._receiver.level_at(now) if self._receiver.on else 0

    def _take(self, count: int) -> bytes:
        """Give words that were received, and zeros where there are none."""
        self._look()
        data = self._receiver.take(count).astype("<u4").tobytes()
        if len(data) < WORD * count:
            self._registers.set_bits(reg.BOARD_STATUS, reg.BOARD_STATUS.rx_underrun.mask, to=True)
        self._note()
        return data.ljust(WORD * count, b"\0")

    def _give(self, count: int) -> None:
        """Take words that are to be sent."""
        self._look()
        if self._transmitter.give(count):
            self._registers.set_bits(reg.BOARD_STATUS, reg.BOARD_STATUS.tx_overrun.mask, to=True)
        self._note()

    def _controlled(self, write: Write) -> None:
        self._look()
        done = reg.BOARD_CONTROL(write.data)
        if done.reset or done.tx_fifo_reset:
            self._transmitter.reset()
        if done.reset or done.rx_fifo_reset:
            self._receiver.reset(self._pins.now())
        if done.reset:
            self._registers.reset()
            self._was = self._flags()  # as at power-on, nothing has begun
        self._switch()

    def _switch(self) -> None:
        """Something that runs may have been switched; until now the cable did what it did under the old settings."""
        self._look()
        now = self._pins.now()
        control = reg.BOARD_CONTROL(self._registers[reg.BOARD_CONTROL])
        divider = max(1, self._registers[reg.TX_CLOCK_DIVIDER])
        self._transmitter.switch(now, on=control.tx_enable and control.start_tx, divider=divider)
        self._receiver.switch(now, on=control.rx_enable)
        self._note()

    # -- flags and LINTi# --------------------------------------------------------------------------

    def _look(self) -> None:
        """Find out what the cable did until now."""
        now = self._pins.now()
        self._transmitter.catch_up(now)
        if self._receiver.catch_up(now):
            self._registers.set_bits(reg.BOARD_STATUS, reg.BOARD_STATUS.rx_overrun.mask, to=True)
        self._note()

    def _note(self) -> None:
        """Keep what begins, drive LINTi#, and see to it that what is to interrupt next is noticed in time.

        Events are edges: what lasts is not set anew once it was cleared (INTERRUPT_STATUS says why).
        """
        flags = self._flags()
        begun, self._was = flags & ~self._was, flags
        if begun:
            self._registers.set_bits(reg.INTERRUPT_STATUS, begun, to=True)
        happened, wanted = self._registers[reg.INTERRUPT_STATUS], self._registers[reg.INTERRUPT_CONTROL]
        self._pins.drive_linti(bool(happened & wanted))
        awaited = wanted & ~happened & ~flags
        if awaited & _FLAGS:
            self._await(awaited)

    def _await(self, awaited: int) -> None:
        """Set the alarm to the first of these events that comes without a driver's doing."""
        if self._receiver.on:
            depth, almost_full = self._receiver.depth, self._registers[reg.RX_PROG_ALMOST] >> 16
            for flag, level in ((_ALMOST_FULL, depth - almost_full), (_FULL, depth)):
                if awaited >> _RX_SHIFT & flag:
                    self._alarm.set(self._receiver.when(level))
                    break
        if self._transmitter.on:
            almost_empty = self._registers[reg.TX_PROG_ALMOST] & 0xFFFF
            for flag, level in ((_ALMOST_EMPTY, almost_empty), (_EMPTY, 0)):
                if awaited >> _TX_SHIFT & flag:
                    self._alarm.set(self._transmitter.when(level))
                    break

    def _flags(self) -> int:
        return (
            _flags_of(self._transmitter, self._registers[reg.TX_PROG_ALMOST]) << _TX_SHIFT
            | _flags_of(self._receiver, self._registers[reg.RX_PROG_ALMOST]) << _RX_SHIFT
        )

    def _looked(self, register: type[Register]) -> int:
        self._look()
        return self._registers[register]

    def _status(self) -> int:
        """BOARD_STATUS has the flags upside down."""
        trouble = self._looked(reg.BOARD_STATUS) & _TROUBLE
        sends = self._transmitter.on and self._transmitter.level
        return trouble | ~self._was & _FLAGS | (reg.BOARD_STATUS.tx_in_progress.mask if sends else 0)


def _flags_of(fifo: Receiver | Transmitter, almost: int) -> int:
    """Work out empty, almost empty, almost full, full; `almost` is that FIFO's register."""
    level, room = fifo.level, fifo.depth - fifo.level
    return (
        (_EMPTY if not level else 0)
        | (_ALMOST_EMPTY if level <= almost & 0xFFFF else 0)
        | (_ALMOST_FULL if room <= almost >> 16 else 0)
        | (_FULL if not room else 0)
    )
