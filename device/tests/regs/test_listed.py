# SPDX-License-Identifier: Apache-2.0
"""The tables hold every bit that the reference lists for a chip, and none that it does not.

The list was written from the reference (sections 1 to 5), not from the tables.
"""

import pytest

from plx9x5x.regs.catalog import CATALOG, on
from plx9x5x.regs.eeprom_map import Space
from plx9x5x.regs.profile import PROFILES

ALL = ("9080", "9054", "9056", "9656", "8311")
SINCE_9054 = ALL[1:]
SINCE_9056 = ALL[2:]
ONES = 0xFFFF_FFFF

# name, offset, width in bits, bits listed, chips
CONFIG = (
    ("PCIIDR", 0x00, 32, ONES, ALL),
    ("PCICR", 0x04, 16, 0x0357, ALL),
    ("PCISR", 0x06, 16, 0xFFF0, ALL),
    ("PCIREV", 0x08, 8, 0xFF, ALL),
    ("PCICCR_INTERFACE", 0x09, 8, 0xFF, ALL),
    ("PCICCR", 0x0A, 16, 0xFFFF, ALL),
    ("PCICLSR", 0x0C, 8, 0xFF, ALL),
    ("PCILTR", 0x0D, 8, 0xFF, ALL),
    ("PCIHTR", 0x0E, 8, 0xFF, ALL),
    ("PCIBISTR", 0x0F, 8, 0xC0 | 0x0F, ALL),  # 0x0F: the result, of the PCI specification
    ("PCIBAR0", 0x10, 32, ONES, ALL),
    ("PCIBAR1", 0x14, 32, ONES, ALL),
    ("PCIBAR2", 0x18, 32, ONES, ALL),
    ("PCIBAR3", 0x1C, 32, ONES, ALL),
    ("PCIBAR4", 0x20, 32, ONES, ALL),
    ("PCIBAR5", 0x24, 32, ONES, ALL),
    ("PCICIS", 0x28, 32, ONES, ALL),
    ("PCISVID", 0x2C, 16, 0xFFFF, ALL),
    ("PCISID", 0x2E, 16, 0xFFFF, ALL),
    ("PCIERBAR", 0x30, 32, 0xFFFF_F801, ALL),
    ("CAP_PTR", 0x34, 8, 0xFF, ALL),
    ("PCIILR", 0x3C, 8, 0xFF, ALL),
    ("PCIIPR", 0x3D, 8, 0xFF, ALL),
    ("PCIMGR", 0x3E, 8, 0xFF, ALL),
    ("PCIMLR", 0x3F, 8, 0xFF, ALL),
    ("PMCAPID", 0x40, 8, 0xFF, SINCE_9054),
    ("PMNEXT", 0x41, 8, 0xFF, SINCE_9054),
    ("PMC", 0x42, 16, 0xFFEF, SINCE_9054),
    ("PMCSR", 0x44, 16, 0xFF03, SINCE_9054),
    ("PMCSR_BSE", 0x46, 8, 0xFF, SINCE_9054),
    ("PMDATA", 0x47, 8, 0xFF, SINCE_9054),
    ("HS_CNTL", 0x48, 8, 0xFF, SINCE_9054),
    ("HS_NEXT", 0x49, 8, 0xFF, SINCE_9054),
    ("HS_CSR", 0x4A, 16, 0x00FA, SINCE_9054),
    ("PVPDCNTL", 0x4C, 8, 0xFF, SINCE_9054),
    ("PVPD_NEXT", 0x4D, 8, 0xFF, SINCE_9054),
    ("PVPDAD", 0x4E, 16, 0xFFFF, SINCE_9054),
    ("PVPDATA", 0x50, 32, ONES, SINCE_9054),
)

LOCAL = (
    ("LAS0RR", 0x00, 32, ONES, ALL),
    ("LAS0BA", 0x04, 32, 0xFFFF_FFFD, ALL),
    ("MARBR", 0x08, 32, 0x3FFF_FFFF, ("9080",)),
    ("MARBR", 0x08, 32, ONES, SINCE_9054),
    ("BIGEND", 0x0C, 8, 0xFF, ALL),
    ("LMISC1", 0x0D, 8, 0xFF, SINCE_9054),
    ("PROT_AREA", 0x0E, 8, 0x7F, SINCE_9054),
    ("LMISC2", 0x0F, 8, 0x3F, SINCE_9056),
    ("EROMRR", 0x10, 32, 0xFFFF_F801, ALL),
    ("EROMBA", 0x14, 32, 0xFFFF_F83F, ALL),
    ("LBRD0", 0x18, 32, 0xFFFF_7FFF, ALL),
    ("DMRR", 0x1C, 32, 0xFFFF_0000, ALL),
    ("DMLBAM", 0x20, 32, 0xFFFF_0000, ALL),
    ("DMLBAI", 0x24, 32, 0xFFFF_0000, ALL),
    ("DMPBAM", 0x28, 32, ONES, ALL),
    ("DMCFGA", 0x2C, 32, 0x80FF_FFFF, ALL),
    ("OPQIS", 0x30, 32, 0x8, ALL),
    ("OPQIM", 0x34, 32, 0x8, ALL),
    *((f"MBOX{n}", 0x40 + 4 * n, 32, ONES, ALL) for n in range(8)),
    ("IQP", 0x40, 32, ONES, ALL),
    ("OQP", 0x44, 32, ONES, ALL),
    ("P2LDBELL", 0x60, 32, ONES, ALL),
    ("L2PDBELL", 0x64, 32, ONES, ALL),
    ("INTCSR", 0x68, 32, 0xFFFF_FF0F, ("9080",)),
    ("INTCSR", 0x68, 32, ONES, SINCE_9054),
    ("CNTRL", 0x6C, 32, 0xFF03_FFFF, ("9080",)),
    ("CNTRL", 0x6C, 32, 0x7F0F_FFFF, ("9054",)),
    ("CNTRL", 0x6C, 32, 0xFF3F_FFFF, SINCE_9056),
    ("PCIHIDR", 0x70, 32, ONES, ALL),
    ("PCIHREV", 0x74, 32, 0xFF, ALL),
    *((f"DMAMODE{n}", 0x80 + 0x14 * n, 32, 0x0003_FFFF, ("9080",)) for n in (0, 1)),
    *((f"DMAMODE{n}", 0x80 + 0x14 * n, 32, 0x0007_FFFF, ("9054",)) for n in (0, 1)),
    *((f"DMAMODE{n}", 0x80 + 0x14 * n, 32, 0x003F_FFFF, SINCE_9056) for n in (0, 1)),
    *((f"DMAPADR{n}", 0x84 + 0x14 * n, 32, ONES, ALL) for n in (0, 1)),
    *((f"DMALADR{n}", 0x88 + 0x14 * n, 32, ONES, ALL) for n in (0, 1)),
    *((f"DMASIZ{n}", 0x8C + 0x14 * n, 32, 0x007F_FFFF, ("9080", "9054")) for n in (0, 1)),
    *((f"DMASIZ{n}", 0x8C + 0x14 * n, 32, 0x807F_FFFF, SINCE_9056) for n in (0, 1)),
    *((f"DMADPR{n}", 0x90 + 0x14 * n, 32, ONES, ALL) for n in (0, 1)),
    *((f"DMACSR{n}", 0xA8 + n, 8, 0x1F, ALL) for n in (0, 1)),
    ("DMATHR", 0xB0, 32, ONES, ALL),
    *((f"DMADAC{n}", 0xB4 + 4 * n, 32, ONES, SINCE_9054) for n in (0, 1)),
    ("MQCR", 0xC0, 32, 0x3F, ALL),
    ("QBAR", 0xC4, 32, 0xFFF0_0000, ALL),
    *(
        (name, 0xC8 + 4 * n, 32, 0xFFFF_FFFC, ALL)
        for n, name in enumerate(("IFHPR", "IFTPR", "IPHPR", "IPTPR", "OFHPR", "OFTPR", "OPHPR", "OPTPR"))
    ),
    ("QSR", 0xE8, 32, 0xFF, ALL),
    ("LAS1RR", 0xF0, 32, ONES, ALL),
    ("LAS1BA", 0xF4, 32, 0xFFFF_FFFD, ALL),
    ("LBRD1", 0xF8, 32, 0x7FFF, ALL),
    ("DMDAC", 0xFC, 32, ONES, SINCE_9054),
    ("PCIARB", 0x100, 32, 0xF, SINCE_9056),
    ("PABTADR", 0x104, 32, ONES, SINCE_9056),
)

ALIASES = {"MARBR": 0xAC, "MBOX0": 0x78, "MBOX1": 0x7C}


@pytest.mark.parametrize("chip", ALL)
def test_the_tables_are_the_references_list(chip: str) -> None:
    listed = {
        (space, name): (offset, width, mask)
        for space, rows in ((Space.CONFIG, CONFIG), (Space.LOCAL, LOCAL))
        for name, offset, width, mask, chips in rows
        if chip in chips
    }
    held = {
        (one.space, one.name): (
            one.register.offset,
            one.register.width,
            sum(field.mask for field in one.register.fields_on(PROFILES[chip].chip)),
        )
        for one in on(PROFILES[chip])
    }
    assert held == listed


def test_registers_that_show_twice_do_so_where_the_reference_says() -> None:
    assert {one.name: one.register.aliases for one in CATALOG if one.register.aliases} == {
        name: (offset,) for name, offset in ALIASES.items()
    }


def test_the_upper_bits_of_an_address_are_declared_as_such() -> None:
    """A field that begins above bit 0 and is called base, next, entry or mask is shown in place, not shifted down."""
    upper = [
        (listed.name, field)
        for listed in CATALOG
        for field in listed.register.fields
        if field.hi > field.lo > 0 and field.name in {"base", "next", "entry", "mask"}
    ]
    assert len(upper) > 15
    assert [f"{name}.{field.name}" for name, field in upper if not field.address] == []
    assert all(int(field.shown(0xFFFF_FFFF), 0) == field.mask for _, field in upper)
