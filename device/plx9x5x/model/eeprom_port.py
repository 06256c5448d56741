# SPDX-License-Identifier: Apache-2.0
"""The chip's side of the serial EEPROM: the load at power-on, the wires in CNTRL, and VPD.

Source: PLX SDK (load order, VPD), read-back of a PEX 8311 (when DO is seen). UNVERIFIED: VPD while no part is there,
that a load of PMCSR leaves the chip in D0.
"""

from collections.abc import Callable, Sequence
from typing import Final

from plx9x5x.board import Eeprom
from plx9x5x.events import EepromMisuse
from plx9x5x.model.eeprom import SerialEeprom
from plx9x5x.regs import config as cfg
from plx9x5x.regs import intr, local
from plx9x5x.regs.eeprom_map import Space, loaded_dwords
from plx9x5x.regs.kernel import Register, RegisterFile, Write
from plx9x5x.regs.profile import Profile

_NOBODY: Final = 0xFFFF_FFFF

DEAF_POLLS: Final = 64
"""Reads of CNTRL, one after the other, by which a driver waits for a DO that the chip does not sample."""

_DWORD: Final = 4

Misused = Callable[[EepromMisuse, int | None, int | None], None]
"""Told what was wrong, the byte address if there is one, and PROT_AREA's first byte."""


class EepromPort:
    """Works on the chip's two register files; `eeprom` None is an empty socket."""

    def __init__(
        self,
        profile: Profile,
        eeprom: Eeprom | None,
        *,
        registers: RegisterFile,
        config: RegisterFile,
        misused: Misused,
    ) -> None:
        self._profile = profile
        self._regs, self._config = registers, config
        self._short_load = eeprom is not None and eeprom.short_load
        self._misused = misused
        self._part = SerialEeprom(eeprom, self._write_refused) if eeprom else None
        self._deaf_polls = 0
        """Reads of CNTRL since a wire moved, of a part that has something to say and a chip that does not listen."""
        # The part's DO reaches CNTRL only while the chip listens, and only some chips can be told not to.
        enable = intr.CNTRL.on(profile.chip).rw & intr.CNTRL.eeprom_input_enable.mask
        self._listens = intr.CNTRL.eeprom_select.mask | enable

    @property
    def image(self) -> bytes | None:
        """What the part holds now, each word with its low byte first; None for an empty socket."""
        return self._part.image if self._part else None

    def restore(self) -> None:
        """Let the part hold again what the board left the factory with."""
        if self._part:
            self._part.restore()

    def load(self, only: Sequence[type[Register]] | None = None) -> None:
        """Load the registers, or only some, as at power-on."""
        self._regs.set_bits(intr.CNTRL, intr.CNTRL.eeprom_present.mask, to=self._part is not None)
        if self._part is None:
            return
        wanted = None if only is None else {reg.offset & ~3 for reg in only}
        for entry, value in loaded_dwords(self._profile, self._part.image, short=self._short_load):
            if entry.space is Space.LOCAL and (wanted is None or entry.register in wanted):
                self._regs.load(entry.register, value)
            elif entry.space is Space.CONFIG and wanted is None:
                asleep = cfg.PMCSR.power_state.mask if entry.register == cfg.PMCSR.offset else 0
                self._config.load(entry.register, value & ~asleep)
        # A chip that answers at all has finished its local initialisation, whatever its EEPROM says.
        self._regs.set_bits(local.LMISC1, local.LMISC1.init_done.mask, to=True)

    def release(self) -> None:
        """Let go of the wires, as CNTRL's reset value does; what was being clocked in is forgotten."""
        if self._part:
            self._part.release()

    def _write_refused(self, address: int | None, *, protected: bool) -> None:
        why = EepromMisuse.PROTECTED if protected else EepromMisuse.NOT_ENABLED
        self._misused(why, address, None)

    def drive(self, control: int) -> None:
        """Put CNTRL's three outputs on the wires."""
        self._deaf_polls = 0
        if self._part:
            pins = intr.CNTRL(control)
            self._part.pins(select=pins.eeprom_select, clock=pins.eeprom_clock, data_in=pins.eeprom_data_out)

    def sense(self, control: int) -> int:
        """Give CNTRL as it reads, with DO if the chip listens."""
        if self._part is None:
            return control
        if control & self._listens != self._listens:
            self._note_deaf_poll(control)
            return control
        return control | (intr.CNTRL.eeprom_data_in.mask if self._part.data_out else 0)

    def _note_deaf_poll(self, control: int) -> None:
        """Selected and not sampled: as after a write, when a driver waits for the part to be ready."""
        if control & intr.CNTRL.eeprom_select.mask:
            self._deaf_polls += 1
            if self._deaf_polls == DEAF_POLLS:
                self._misused(EepromMisuse.DO_NOT_SAMPLED, None, None)

    def vpd_address_written(self, write: Write) -> None:
        """F=0 asks for a read, F=1 for a write; F flips when the dword has crossed, which is at once."""
        flag = cfg.PVPDAD.flag.mask
        if not write.lanes & flag:
            return
        at = cfg.PVPDAD(write.new).address
        if not write.new & flag:
            self._config[cfg.PVPDATA] = self._part.read_dword(at) if self._part else _NOBODY
        elif self._part:
            self._vpd_write(self._part, at)
        self._config[cfg.PVPDAD] = write.new ^ flag

    def _vpd_write(self, part: SerialEeprom, at: int) -> None:
        # The part ignores the upper address bits, and so must its write protection.
        first = local.PROT_AREA(self._regs[local.PROT_AREA]).first_writable
        if part.place(at) // _DWORD >= first:
            part.write_dword(at, self._config[cfg.PVPDATA])
        else:
            self._misused(EepromMisuse.VPD_PROTECTED, part.place(at), first * _DWORD)
