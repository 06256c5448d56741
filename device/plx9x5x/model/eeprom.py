# SPDX-License-Identifier: Apache-2.0
"""The serial EEPROM as a part on three wires, and as the dwords that the chip itself reads and writes (VPD).

A command starts with CS going high; then come a one, two bits of opcode and the address, most significant bit first,
each taken at the rising edge of SK. A read answers with a 0 and then 16 bits, and goes on with the next word for as
long as SK is clocked. A write is programmed when CS falls, and DO tells at the next CS whether it is done.

Source: PLX SDK and Linux cb_pcidas64 (the sequences that drivers clock); 93CS46/56 common hardware knowledge.
UNVERIFIED: what an address beyond the part gives (it wraps), the part's answer while idle (1).
"""

import enum
from typing import Final, Protocol

from plx9x5x.board import Eeprom
from plx9x5x.regs.eeprom_map import dword_at

WORD_BITS: Final = 16
ERASED: Final = 0xFFFF


class _Phase(enum.Enum):
    IDLE = "waits for the start bit"
    COMMAND = "takes opcode and address"
    READ = "shifts data out"
    WRITE = "takes data"
    DONE = "waits for CS to fall"


class Refused(Protocol):
    """Is told of a write that the part does not do: at a byte address, None for the whole part."""

    def __call__(self, address: int | None, *, protected: bool) -> None:
        """`protected`: the board ties the part's protection; else no EWEN came before."""
        ...


class SerialEeprom:
    """One 93CSxx part. It keeps what was written until `restore`."""

    def __init__(self, eeprom: Eeprom, refused: Refused | None = None) -> None:
        self._made, self._refused = eeprom, refused
        self._words = [0] * eeprom.part.words
        self._address_bits = eeprom.part.address_bits
        self._select = self._clock = self._enabled = False
        self._phase = _Phase.IDLE
        self._shift = self._count = self._address = 0
        self._pending: tuple[int | None, int] | None = None
        self.data_out = True
        """DO; it floats high while the part has nothing to say."""
        self.restore()

    def restore(self) -> None:
        """Hold again what the board left the factory with; the wires start afresh."""
        raw = self._made.image.ljust(self._made.part.size, b"\xff")
        self._words = [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]
        self._enabled = False
        self.release()

    @property
    def image(self) -> bytes:
        """What it holds, each word with its low byte first."""
        return b"".join(word.to_bytes(2, "little") for word in self._words)

    # -- the chip's own accesses -------------------------------------------------------------------

    def place(self, at: int) -> int:
        """Give the byte offset of the dword that address `at` reaches: rounded down, wrapped at the part's end."""
        return (at & ~3) % self._made.part.size

    def read_dword(self, at: int) -> int:
        """Give the dword that address `at` reaches."""
        return dword_at(self.image, self.place(at))

    def write_dword(self, at: int, value: int) -> None:
        """Program the dword that address `at` reaches, as VPD does; a protected part keeps what it has."""
        if self._made.write_protected:
            self._refuse(self.place(at), protected=True)
            return
        first = self.place(at) // 2
        self._words[first], self._words[first + 1] = value >> WORD_BITS, value & ERASED

    # -- the wires ---------------------------------------------------------------------------------

    def pins(self, *, select: bool, clock: bool, data_in: bool) -> None:
        """Set CS, SK and DI."""
        if self._select and not select:
            self._program()
            self._deselect()
        elif select and not self._select:
            # Programming takes no time here: a part that is asked right away answers that it is ready.
            self._phase, self._count, self._shift, self.data_out = _Phase.IDLE, 0, 0, True
        self._select = select
        rising = clock and not self._clock
        self._clock = clock
        if rising and select:
            self._clocked(data_in)

    def release(self) -> None:
        """Let all wires fall; a write that was clocked in is not programmed."""
        self._select = self._clock = False
        self._deselect()

    def _deselect(self) -> None:
        self._phase, self._count, self._shift, self._pending = _Phase.IDLE, 0, 0, None
        self.data_out = True

    def _clocked(self, bit: bool) -> None:
        match self._phase:
            case _Phase.IDLE:
                if bit:
                    self._phase, self._count, self._shift = _Phase.COMMAND, 0, 0
            case _Phase.COMMAND:
                self._shift, self._count = self._shift << 1 | bit, self._count + 1
                if self._count == 2 + self._address_bits:
                    self._decode()
            case _Phase.READ:
                if self._count == 0:
                    self._shift, self._count = self._words[self._address], WORD_BITS
                    self._address = (self._address + 1) % len(self._words)
                self._count -= 1
                self.data_out = bool(self._shift >> self._count & 1)
            case _Phase.WRITE:
                self._shift, self._count = self._shift << 1 | bit, self._count + 1
                if self._count == WORD_BITS:
                    self._pending = (self._address if self._address >= 0 else None, self._shift)
                    self._phase = _Phase.DONE
            case _Phase.DONE:
                pass

    def _decode(self) -> None:
        opcode, operand = self._shift >> self._address_bits, self._shift & (1 << self._address_bits) - 1
        self._address, self._count, self._shift = operand % len(self._words), 0, 0
        self._phase = _Phase.DONE
        match opcode:
            case 0b10:
                self._phase, self.data_out = _Phase.READ, False
            case 0b01:
                self._phase = _Phase.WRITE
            case 0b11:
                self._pending = (self._address, ERASED)
            case _:
                self._special(operand >> self._address_bits - 2)

    def _special(self, kind: int) -> None:
        """The four commands without an address: their kind stands in its two topmost bits."""
        match kind:
            case 0b11:
                self._enabled = True
            case 0b00:
                self._enabled = False
            case 0b10:
                self._pending = (None, ERASED)
            case _:
                self._phase, self._address = _Phase.WRITE, -1

    def _program(self) -> None:
        if self._pending is None:
            return
        where, value = self._pending
        if not self._enabled or self._made.write_protected:
            self._refuse(None if where is None else 2 * where, protected=self._made.write_protected)
            return
        if where is None:
            self._words = [value] * len(self._words)
        else:
            self._words[where] = value

    def _refuse(self, address: int | None, *, protected: bool) -> None:
        if self._refused is not None:
            self._refused(address, protected=protected)
