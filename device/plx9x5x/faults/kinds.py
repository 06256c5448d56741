# SPDX-License-Identifier: Apache-2.0
"""What can go wrong: kinds of faults as data, and what happens in a device, as a fault sees it.

Source: PCI Local Bus Specification 2.2: 3.3.3 (how accesses end), 3.7 (parity and PERR#), 2.2.6 (INTA# is a level), 6.2
(configuration space). What the registers of a device show beside is that device's to say.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

CONFIG: Final = -1
"""Stands for configuration space where a BAR's number is expected."""

BUS, READ, WRITE, INTERRUPT, TRANSFER = "bus", "read", "write", "a rise of INTA#", "the start of a transfer"
"""Streams that any device has: it masters the bus, software reads and writes it, its line rises, a transfer begins.

A device may have more of its own.
"""

DATA: Final = "data"
"""The purpose of a bus access that is not about a descriptor."""


@dataclass(frozen=True, slots=True)
class Place:
    """A register: its name, where it shows (BAR and offset), and its bytes."""

    name: str
    spots: tuple[tuple[int, int], ...]
    width: int

    def overlap(self, bar: int, offset: int, width: int) -> tuple[int, int, int] | None:
        """Which bytes an access shares with it: (first of the access, first of the register, how many)."""
        for where, start in self.spots:
            low, high = max(offset, start), min(offset + width, start + self.width)
            if where == bar and low < high:
                return low - offset, low - start, high - low
        return None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happens, at which a fault may strike. What does not belong to its stream keeps its default."""

    stream: str
    unit: int | None = None
    """Which of the device's like parts, as a DMA channel."""
    bar: int = 0
    offset: int = 0
    width: int = 0
    value: int = 0
    address: int = 0
    """On the bus."""
    length: int = 0
    writes: bool = False
    """The device writes memory."""
    purpose: str = ""

    def __str__(self) -> str:
        part = "" if self.unit is None else f", channel {self.unit}"
        if self.stream == BUS:
            return f"{'write' if self.writes else 'read'} of {self.length} bytes at {self.address:#x}{part}"
        if self.stream in (READ, WRITE):
            where = "configuration space" if self.bar == CONFIG else f"BAR{self.bar}"
            value = f" = {self.value:#x}" if self.stream == WRITE else ""
            return f"{self.stream} of {where}+{self.offset:#x}, {self.width} bytes{value}"
        return f"{self.stream}{part}"


class Effect(enum.Enum):
    """What a strike does, in terms of any device. `OWN` is the device's own affair, by the kind's name."""

    MASTER_ABORT = "the access ends in a master abort"
    TARGET_ABORT = "the access ends in a target abort"
    PARITY = "a bit is wrong, and the parity says so"
    FLIP = "a bit is wrong, and nothing says so"
    DROP = "the data does not land"
    READ_AS = "a read gives another value"
    STALE = "a read gives what it gave before"
    STUCK_BIT = "a bit reads as stuck"
    IGNORE = "a write vanishes"
    IGNORE_BITS = "a write leaves some bits 0"
    LOST = "the line's rise is not passed on"
    LATE = "the line's rise is passed on later"
    DOUBLE = "the line rises once more after it fell"
    SPURIOUS = "the line rises without a cause"
    STUCK = "the line does not fall"
    REMOVED = "the device is gone"
    RESET = "the device is reset"
    OWN = "as the device says"


class What(enum.Enum):
    """What a sentence may say of a kind."""

    TIME = "a time, as '20 ms'"
    NUMBER = "a number"
    REGISTER = "a register"
    DIRECTION = "'read' or 'write'"


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that a kind may be told, after `word`; "" follows the kind's name at once."""

    word: str
    what: What
    default: int | str | None = None
    required: bool = False
    least: int = 0
    most: int | None = None
    """Of a number; None: 64 bits."""


Value: TypeAlias = "int | str | Place"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault.

    `stream` is what it acts on; `silicon` says what a real device does then, and `shows` which bits tell. A `lasting`
    one goes on unless told otherwise, any other strikes once. A `prompt` one acts by itself once it is its time, and
    not at the next occurrence. A `standing` one is there from power-on and takes no time.
    """

    name: str
    effect: Effect
    stream: str
    silicon: str
    shows: str
    example: str
    slots: tuple[Slot, ...] = ()
    purposes: frozenset[str] = frozenset()
    by_unit: bool = False
    lasting: bool = False
    prompt: bool = False
    standing: bool = False
    place: Place | None = None
    """A register that it is always about."""
    bits: int = 0
    """Of that register; or the value that is read, if no sentence says another."""

    def concerns(self, occurrence: Occurrence, unit: int | None, told: Mapping[str, Value]) -> bool:
        """True if it could strike there, for a plan that names `unit` and has `told` it more."""
        if self.prompt:
            return occurrence.stream in (READ, WRITE) and occurrence.bar != CONFIG
        if occurrence.stream != self.stream or (unit is not None and occurrence.unit not in (unit, None)):
            return False
        if self.purposes and occurrence.purpose not in self.purposes:
            return False
        if (way := told.get("on")) is not None and occurrence.stream == BUS and occurrence.writes != (way == "write"):
            return False
        place = told.get("of", self.place)
        if not isinstance(place, Place):
            return occurrence.stream not in (READ, WRITE) or occurrence.bar != CONFIG
        if place.overlap(occurrence.bar, occurrence.offset, occurrence.width) is None:
            return False
        if self.effect is Effect.IGNORE_BITS and not _sets(occurrence, place, self.bits):
            return False
        wanted = told.get("=")
        return self.stream != WRITE or not isinstance(wanted, int) or writes_value(occurrence, place, wanted)


def writes_value(occurrence: Occurrence, place: Place, wanted: int) -> bool:
    """True if a write gives those bytes of the register that it reaches the value `wanted`."""
    shared = place.overlap(occurrence.bar, occurrence.offset, occurrence.width)
    if shared is None:
        return False
    ours, theirs, count = shared
    mask = (1 << 8 * count) - 1
    return occurrence.value >> 8 * ours & mask == wanted >> 8 * theirs & mask


def _sets(occurrence: Occurrence, place: Place, bits: int) -> bool:
    ours, theirs, count = place.overlap(occurrence.bar, occurrence.offset, occurrence.width) or (0, 0, 0)
    return bool(occurrence.value >> 8 * ours & bits >> 8 * theirs & (1 << 8 * count) - 1)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault has struck, for the `count`-th time."""

    number: int
    text: str
    kind: str
    count: int
    time: int
    """Nanoseconds of the device's clock."""
    where: str


_DIRECTION: Final = Slot("on", What.DIRECTION)
_ALL: Final = 0xFFFF_FFFF
_ID: Final = Place("device ID", ((CONFIG, 2),), 2)
_PIN: Final = Place("interrupt pin", ((CONFIG, 0x3D),), 1)
_COMMAND: Final = Place("command", ((CONFIG, 4),), 2)
_SPACE: Final = Place("configuration space", ((CONFIG, 0),), 256)
_BUS_MASTER: Final = 4

KINDS: Final = (
    Kind(
        "master abort", Effect.MASTER_ABORT, BUS,
        "Nobody claims the address (no DEVSEL#): the chip ends the access and stops.",
        "status register bit 13",
        "channel 0: master abort at transfer 7", (_DIRECTION,), frozenset({DATA}), by_unit=True,
    ),
    Kind(
        "target abort", Effect.TARGET_ABORT, BUS,
        "Whoever claimed the address gives up (STOP# without DEVSEL#): the chip ends the access and stops.",
        "status register bit 12",
        "target abort on write at address 0x10000..0x1ffff", (_DIRECTION,), frozenset({DATA}), by_unit=True,
    ),
    Kind(
        "parity error", Effect.PARITY, BUS,
        "One bit flips on the bus and PAR shows it. The transfer goes on, with the wrong bit.",
        "chip reads memory: status register bit 15, and 8 if command bit 6 is set; chip writes memory (PERR# from the "
        "target): bit 8 if command bit 6 is set. One bit of the data is wrong",
        "channel 1: parity error on read at access 3", (_DIRECTION,), frozenset({DATA}), by_unit=True,
    ),
    Kind(
        "corrupted byte", Effect.FLIP, BUS,
        "One bit of the data is wrong and parity is right: a fault on the card, behind the bridge.",
        "none; one bit of the data is wrong",
        "corrupted byte with probability 0.01", (_DIRECTION,), frozenset({DATA}), by_unit=True,
    ),
    Kind(
        "dropped write", Effect.DROP, BUS,
        "A write of the chip is accepted on its way to memory and lost there.",
        "none; memory keeps what it held, the device's end and its interrupt come as ever",
        "channel 1: dropped write at transfer 2", (), frozenset({DATA}), by_unit=True,
    ),
    Kind(
        "lost interrupt", Effect.LOST, INTERRUPT,
        "INTA# does not get through, until it falls and rises again.",
        "the device tells the cause as ever; no handler is called",
        "lost interrupt at interrupt 3",
    ),
    Kind(
        "late interrupt", Effect.LATE, INTERRUPT,
        "INTA# gets through, some time after it was asserted; not at all if its cause was taken back meanwhile.",
        "the device tells the cause at once; the handler is called later",
        "late interrupt by 20 ms", (Slot("by", What.TIME, 10_000_000),),
    ),
    Kind(
        "doubled interrupt", Effect.DOUBLE, INTERRUPT,
        "INTA# is delivered a second time after its cause was taken back: a slow bridge, or a line that is shared.",
        "the device names no cause when the handler looks",
        "doubled interrupt every 2",
    ),
    Kind(
        "spurious interrupt", Effect.SPURIOUS, READ,
        "INTA# is delivered once, and the chip has no cause: another device on the line.",
        "the device names no cause when the handler looks",
        "spurious interrupt 1 ms after write of BAR0", prompt=True,
    ),
    Kind(
        "stuck interrupt", Effect.STUCK, INTERRUPT,
        "INTA# stays low once it was asserted: the pin, or another device on the line.",
        "the device shows that the cause was taken back, and the handler is called again and again",
        "stuck interrupt for 50 ms", lasting=True,
    ),
    Kind(
        "surprise removal", Effect.REMOVED, READ,
        "The card is pulled out, or loses its power: nobody answers any more. If it comes back ('for T'), it is as "
        "after power-on, without BARs and command bits.",
        "all reads give ones, of BARs and of configuration space; writes vanish; no DMA, INTA# is released",
        "surprise removal 5 ms after write of BAR0", lasting=True, prompt=True,
    ),
    Kind(
        "bad read", Effect.READ_AS, READ,
        "A read by software fails on the way (master or target abort at the bridge above) and gives ones; or another "
        "value, if the sentence says one.",
        "the value that was read; the next read is right",
        "bad read of BAR0+0x10 at read 3 of BAR0+0x10", (Slot("of", What.REGISTER), Slot("=", What.NUMBER, -1)),
    ),
    Kind(
        "stale register", Effect.STALE, READ,
        "A register goes on reading as it did when it was read last: a read that was answered from a bridge's buffer.",
        "the register; what it stands for goes on",
        "stale register of BAR0+0x10 for 100 times", (Slot("of", What.REGISTER, required=True),), lasting=True,
    ),
    Kind(
        "stuck bit", Effect.STUCK_BIT, READ,
        "One bit of a register reads as 0 or 1, whatever is written and whatever happens.",
        "the bit",
        "stuck bit 4 of BAR0+0x10 = 1",
        (
            Slot("", What.NUMBER, required=True), Slot("of", What.REGISTER, required=True),
            Slot("=", What.NUMBER, required=True, most=1),
        ),
        lasting=True,
    ),
    Kind(
        "ignored write", Effect.IGNORE, WRITE,
        "A posted write of software is lost on its way.",
        "the register keeps its value",
        "ignored write of BAR0+0x10 = 0x03", (Slot("of", What.REGISTER, required=True), Slot("=", What.NUMBER)),
    ),
    Kind(
        "bus mastering refused", Effect.IGNORE_BITS, WRITE,
        "Bit 2 of the command register cannot be set, as where the slot has no REQ#/GNT# pair.",
        "command bit 2 reads 0; a transfer that is started waits",
        "bus mastering refused", place=_COMMAND, bits=_BUS_MASTER, lasting=True,
    ),
    Kind(
        "configuration all ones", Effect.READ_AS, READ,
        "Reads of configuration space fail and give ones; BARs work.",
        "vendor and device ID 0xffff: the kernel finds no card, or takes it for one that was removed",
        "configuration all ones after 10 ms", place=_SPACE, bits=-1, lasting=True,
    ),
    Kind(
        "wrong device ID", Effect.READ_AS, READ,
        "The card says that it is another one: the EEPROM of another board.",
        "the device ID: no driver takes the card, or the wrong one does",
        "wrong device ID = 0x9999", (Slot("=", What.NUMBER, required=True),), place=_ID, lasting=True,
    ),
    Kind(
        "no interrupt pin", Effect.READ_AS, READ,
        "The interrupt pin register reads 0: the card says that it has no INTA#.",
        "the interrupt pin is 0; the kernel gives the driver no interrupt",
        "no interrupt pin", place=_PIN, lasting=True,
    ),
    Kind(
        "reset", Effect.RESET, READ,
        "RST# is asserted and released: the chip is as after power-on, in the middle of what it does.",
        "all registers have their reset values; reads of BARs give ones until command bit 1 is set",
        "reset 1 ms after write of BAR0+0x10 = 0x03", prompt=True,
    ),
)  # fmt: skip


def known(kinds: tuple[Kind, ...]) -> dict[tuple[str, ...], Kind]:
    """By the words of their names, in lower case. Raises: ValueError for two of one name."""
    found = {tuple(kind.name.lower().split()): kind for kind in kinds}
    if len(found) != len(kinds):
        raise ValueError("two kinds of faults have one name")
    return found
