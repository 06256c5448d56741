# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on this family beside what can on any PCI device: descriptors, DMA channels, the EEPROM.

Streams of its own: a channel's transfer is started, has the bus, moves, ends, is aborted, latches, asks for data.

Source: read-back of a PEX 8311 (what an abort leaves: PCISR, INTCSR, DMACSR, PABTADR), PCI 9080 data book 1.02 (256
retries, EOT#, DREQ#), PLX SDK (the EEPROM's content). UNVERIFIED: INTCSR bit 27 after retries, that only a reset ends a
channel which ignores ABORT.
"""

from dataclasses import replace
from typing import Final

from plx9x5x.events import Purpose
from plx9x5x.faults import kinds as kit
from plx9x5x.faults.kinds import BUS, Effect, Kind, Slot, What

START, TURN, MOVE = "START", "a turn on the bus", "the first bytes"
END, ABORT, LATCH, DEMAND = "the end of a transfer", "ABORT", "the latch of an interrupt", "a look at DREQ#"
POWER: Final = "power-on"

_DESCRIPTOR: Final = frozenset({Purpose.DESCRIPTOR.value})
_WRITE_BACK: Final = frozenset({Purpose.WRITE_BACK.value})
_OWN: Final = Effect.OWN
_MOST_BYTES: Final = (1 << 23) - 1
"""Of a transfer: DMASIZ."""
_DWORD: Final = (1 << 32) - 1

STUCK_BUSY, LATE_DONE, SHORT, IGNORED_START, IGNORED_ABORT = (
    "stuck busy", "late DONE", "short transfer", "START ignored", "ABORT ignored",
)  # fmt: skip
NO_GRANT, SLOW_BUS, RETRIES, NO_DREQ, NO_LATCH = "no grant", "slow bus", "retry storm", "no DREQ", "missing interrupt"
ABSENT, BLANK, WRONG_WORD = "EEPROM absent", "EEPROM blank", "EEPROM wrong"

OWN: Final = (
    Kind(
        "descriptor abort", Effect.MASTER_ABORT, BUS,
        "The fetch of a descriptor ends in a master abort.",
        "as with 'master abort'; DMAPADR, DMALADR and DMASIZ keep the descriptor before",
        "channel 1: descriptor abort at access 3", purposes=_DESCRIPTOR, by_unit=True,
    ),
    Kind(
        "corrupted descriptor", Effect.FLIP, BUS,
        "A bit of a descriptor is wrong as it is fetched: bit 0 of its first byte, or bit N of that byte.",
        "the register that the bit belongs to: DMAPADR, in valid mode DMASIZ",
        "corrupted descriptor at access 2", (Slot("", What.NUMBER, most=7),), _DESCRIPTOR, by_unit=True,
    ),
    Kind(
        "write-back abort", Effect.TARGET_ABORT, BUS,
        "In clear-count mode (DMAMODE bit 16) the write of a descriptor's count ends in a target abort.",
        "as with 'target abort'; the data has moved, the descriptor keeps its count",
        "write-back abort at access 1", (), _WRITE_BACK, by_unit=True,
    ),
    Kind(
        "dropped write-back", Effect.DROP, BUS,
        "In clear-count mode the write of a descriptor's count is lost on its way to memory.",
        "none; the descriptor keeps its count (and VALID), DONE and the interrupt come as ever",
        "dropped write-back at access 2", (), _WRITE_BACK, by_unit=True,
    ),
    Kind(
        STUCK_BUSY, _OWN, END,
        "All data has moved and the channel does not come to its end: the local side holds READY#.",
        "DMACSR bit 4 (DONE) stays 0 and no interrupt comes; an abort ends it as ever",
        "channel 0: stuck busy at transfer 3", by_unit=True,
    ),
    Kind(
        LATE_DONE, _OWN, END,
        "The channel comes to its end some time after its data has moved.",
        "DMACSR bit 4 (DONE) and the interrupt come late",
        "late DONE by 50 ms at transfer 2", (Slot("by", What.TIME, 10_000_000),), by_unit=True,
    ),
    Kind(
        SHORT, _OWN, MOVE,
        "The transfer ends before its count: EOT# where none was meant. Half of it, or N bytes, have moved.",
        "DONE and the interrupt as ever; with clear count the descriptor gets the residue; the rest of the memory "
        "keeps what it held. With DMAMODE bit 19 only the descriptor ends",
        "short transfer of 100 bytes at transfer 4", (Slot("of", What.NUMBER, most=_MOST_BYTES),), by_unit=True,
    ),
    Kind(
        IGNORED_START, _OWN, START,
        "The channel does not take START.",
        "DMACSR bit 4 (DONE) stays 1, as if the transfer were over; nothing moves, no interrupt comes",
        "START ignored at transfer 5", by_unit=True,
    ),
    Kind(
        IGNORED_ABORT, _OWN, ABORT,
        "The channel does not take ABORT, as where the local side never ends its access.",
        "DMACSR bit 4 (DONE) stays 0 after ENABLE=0 and ABORT; a software reset (CNTRL bit 30) ends it",
        "ABORT ignored for 3 times", by_unit=True,
    ),
    Kind(
        NO_GRANT, _OWN, TURN,
        "The chip asks for the bus (REQ#) and never gets it (GNT#).",
        "DMACSR bit 4 (DONE) stays 0; no status bit changes; an abort ends it",
        "no grant at transfer 2 for 100 ms", by_unit=True, lasting=True,
    ),
    Kind(
        SLOW_BUS, _OWN, TURN,
        "Each bus transaction comes late, as on a bus that others fill.",
        "DONE comes late",
        "slow bus by 100 us", (Slot("by", What.TIME, 100_000),), by_unit=True, lasting=True,
    ),
    Kind(
        RETRIES, _OWN, TURN,
        "A target answers each access with RETRY. With INTCSR bit 12 the chip takes 256 of them for a target abort, "
        "without it tries for ever.",
        "with INTCSR bit 12: PCISR bit 12, INTCSR bit 14, and 27 and 25 or 26 at 0; else DONE stays 0 and no bit "
        "changes",
        "retry storm at transfer 2", by_unit=True, lasting=True,
    ),
    Kind(
        NO_DREQ, _OWN, DEMAND,
        "In demand mode (DMAMODE bit 12) the board never asserts DREQ#, or not until it is over.",
        "DMACSR bit 4 (DONE) stays 0; no status bit changes; an abort ends it",
        "no DREQ at transfer 1", by_unit=True,
    ),
    Kind(
        NO_LATCH, _OWN, LATCH,
        "The channel ends, or comes to a terminal count, and does not latch its interrupt.",
        "DONE is 1, INTCSR bit 21 or 22 stays 0, INTA# does not come",
        "missing interrupt at transfer 6", by_unit=True,
    ),
    Kind(
        ABSENT, _OWN, POWER,
        "The socket of the EEPROM is empty: the chip has its power-on defaults.",
        "CNTRL bit 28 is 0; IDs are the chip's own, local address spaces (BAR2, BAR3) are off, VPD reads ones",
        "EEPROM absent", standing=True,
    ),
    Kind(
        BLANK, _OWN, POWER,
        "The EEPROM is erased: the chip has its power-on defaults.",
        "CNTRL bit 28 is 1; the rest as with an empty socket, and the part reads ones",
        "EEPROM blank", standing=True,
    ),
    Kind(
        WRONG_WORD, _OWN, POWER,
        "One dword of the EEPROM, by its byte offset, holds something else.",
        "the register that is loaded from it: 0x00 IDs, 0x04 class, 0x14 LAS0RR, 0x18 LAS0BA, 0x2C LBRD0, 0x44 "
        "subsystem IDs",
        "EEPROM wrong 0x00 = 0x12349601",
        (Slot("", What.NUMBER, required=True), Slot("=", What.NUMBER, required=True, most=_DWORD)), standing=True,
    ),
)  # fmt: skip

_SHOWS: Final = {
    "master abort": "PCISR bit 13; INTCSR bit 14, and bit 25 (channel 0) or 26 (channel 1) at 0; PABTADR has the "
    "address; DONE stays 0 until software aborts",
    "target abort": "PCISR bit 12; INTCSR, PABTADR and DONE as with a master abort",
    "parity error": "chip reads memory: PCISR bit 15, and 8 if PCICR bit 6 is set; chip writes memory (PERR# from the "
    "target): PCISR bit 8 if PCICR bit 6 is set. One bit of the data is wrong",
    "dropped write": "none; memory keeps what it held, DONE and the interrupt come as ever",
    "lost interrupt": "INTCSR tells the cause as ever; no handler is called",
    "late interrupt": "INTCSR tells the cause at once; the handler is called later",
    "doubled interrupt": "INTCSR bits 13 to 15 and 21, 22 are 0 when the handler looks",
    "spurious interrupt": "INTCSR bits 13 to 15 and 21, 22 are 0 when the handler looks",
    "stuck interrupt": "INTCSR shows that the cause was taken back, and the handler is called again and again",
    "bus mastering refused": "PCICR bit 2 reads 0; a transfer that is started waits, DONE 0",
    "wrong device ID": "PCIIDR [31:16]: no driver takes the card, or the wrong one does",
    "no interrupt pin": "PCIIPR is 0; the kernel gives the driver no interrupt",
    "reset": "PCICR, BARs, INTCSR and all channels have their reset values; reads of BARs give ones until PCICR bit 1 "
    "is set",
}
"""What this family's registers show of what can befall any device."""

_EXAMPLES: Final = {
    "spurious interrupt": "spurious interrupt 1 ms after write of DMACSR0",
    "surprise removal": "surprise removal 5 ms after write of DMACSR0",
    "bad read": "bad read of INTCSR at read 3 of INTCSR",
    "stale register": "stale register of DMACSR0 for 100 times",
    "stuck bit": "stuck bit 4 of DMACSR0 = 1",
    "ignored write": "ignored write of DMACSR0 = 0x03",
    "reset": "reset 1 ms after write of DMACSR0 = 0x03",
}


def _here(kind: Kind) -> Kind:
    """A kind of any device in words of this one."""
    return replace(kind, shows=_SHOWS.get(kind.name, kind.shows), example=_EXAMPLES.get(kind.name, kind.example))


KINDS: Final = (*map(_here, kit.KINDS), *OWN)
