# SPDX-License-Identifier: Apache-2.0
"""What public sources have of real cards with chips of the family: numbers alone, each with where it is from."""

import struct

DASA_SIM = (
    0x905410B5, 0x09800001, 0x28140100, 0, 0, 0xFFFC0000, 0x00000001, 0x00200000, 0x00300500, 0, 0,
    0x43030000, 0, 0, 0, 0, 0, 0x010212FE, 0xFFE00000, 0x00040001, 0x00000208, 0x00004C06,
)  # fmt: skip
"""PCI 9054 of the esd DASA-SIM: what U-Boot programs, dword by dword (u-boot/u-boot, board/esd/dasa_sim/cmd_dasa_sim.c).

LAS1BA is not a multiple of the space's size, and the two spaces show the same local addresses.
"""

DASA_SIM_CONFIG = (0x905410B5, 0x02900007, 0x09800001, 0, 0, 0, 0, 0, 0, 0, 0, 0x010212FE, 0, 0x40, 0, 0x28140100)
"""What that monitor prints before the EEPROM: the header, with the PCISR and PCICR that the board's start writes
(dasa_sim.c there), and the rest from the EEPROM."""

COMM2_LPCIE = {
    "ids": 0x905610B5, "class_revision": 0x068000AA, "latency_interrupt": 0x00000100, "subsystem": 0x319810B5,
    "las0rr": 0xFFFFFFF0, "las0ba": 0x03000001, "marbr": 0x09210007, "misc": 0x20308400, "lbrd0": 0x42000300,
    "dmlbam": 0x60000000, "dmlbai": 0x50000000, "las1rr": 0xFFFFFFF0, "las1ba": 0x03100001, "lbrd1": 0x00000000,
}  # fmt: skip
"""PEX 8311 of a Sealevel COMM+2.LPCIe (7205e) after its EEPROM was loaded, read back from the card.

Chester-Gillon/fpga_sio, software_tests/eclipse_project/source/sealevel_serial_7205e/uart_test_notes.txt; IDs, class and
revision from serial_ports/identify_uarts_notes.txt there.
"""

COMM2_LPCIE_LSPCI = """\
05:04.0 0680: 10b5:9056 (rev aa)
    Subsystem: 10b5:3198
    Control: I/O- Mem- BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-
    Status: Cap+ 66MHz+ UDF- FastB2B+ ParErr- DEVSEL=medium >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-
    Interrupt: pin A routed to IRQ 4
    Region 0: Memory at fe302000 (32-bit, non-prefetchable) [disabled] [size=512]
    Region 2: Memory at fe301000 (32-bit, non-prefetchable) [disabled] [size=16]
    Region 3: Memory at fe300000 (32-bit, non-prefetchable) [disabled] [size=16]
    Capabilities: <access denied>
"""
"""The same kind of card by lspci -vv -n, without root (identify_uarts_notes.txt there)."""

USB_ON_5406 = """\
0000:00:0e.0 Bridge: PLX Technology, Inc.: Unknown device 5406 (rev 0b)
        Subsystem: PLX Technology, Inc.: Unknown device 9054
        Control: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop-
ParErr- Stepping- SERR- FastB2B-
        Latency: 32, Cache Line Size: 0x08 (32 bytes)
        Interrupt: pin A routed to IRQ 9
        Region 0: Memory at df100000 (32-bit, non-prefetchable)
[size=256]
        Region 1: I/O ports at e400 [size=256]
        Region 2: I/O ports at e800 [size=256]
        Region 3: Memory at df000000 (32-bit, non-prefetchable)
[size=1M]
"""
"""A USB controller behind a 9054 with the RDK-LITE's IDs, wrapped by mail (linux-kernel, 21 November 2004, "PCI resource
allocation problem in 2.6.8"). Space 0 is I/O."""


def part(dwords: tuple[int, ...], size: int = 256) -> bytes:
    """A part with these dwords, upper word first, low byte first."""
    return b"".join(struct.pack("<HH", value >> 16, value & 0xFFFF) for value in dwords).ljust(size, b"\xff")
