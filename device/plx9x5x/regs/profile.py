# SPDX-License-Identifier: Apache-2.0
"""What differs between the chips beyond the bits of the register tables.

Source: PLX SDK (window sizes, EEPROM lengths), PCI 9080 data book 1.02 (count write-back).
"""

from dataclasses import dataclass
from typing import Final

from plx9x5x.regs.family import Chips


@dataclass(frozen=True, slots=True)
class Profile:
    """One chip of the family."""

    name: str
    """As people say it: 'PCI 9656'."""
    key: str
    """As options and file names say it: '9656'."""
    chip: Chips
    register_window: int
    """Bytes of BAR0."""
    eeprom_bytes: int
    """Bytes of the serial EEPROM that a whole load reads."""
    short_load: bool = False
    """The SHORT# strap can cut the load after MBOX1."""
    count_to_pci: bool = True
    """Clear-count mode writes the remaining count to descriptors in PCI memory too, not only in local memory."""


PROFILES: Final = {
    profile.key: profile
    for profile in (
        Profile("PCI 9080", "9080", Chips.PCI9080, 0x100, eeprom_bytes=0x58, short_load=True, count_to_pci=False),
        Profile("PCI 9054", "9054", Chips.PCI9054, 0x100, eeprom_bytes=0x58),
        Profile("PCI 9056", "9056", Chips.PCI9056, 0x200, eeprom_bytes=0x64),
        Profile("PCI 9656", "9656", Chips.PCI9656, 0x200, eeprom_bytes=0x64),
        Profile("PEX 8311", "8311", Chips.PEX8311, 0x200, eeprom_bytes=0x64),
    )
}
"""Every chip, by key. The PEX 8311 is its endpoint alone."""
