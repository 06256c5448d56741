# SPDX-License-Identifier: Apache-2.0
"""What the driver scenarios share: a driver that notes what it reads, boards built in a test, descriptors, polling.

Offsets and values here and in the scenarios come from the reference, not from the tables under test.
"""

import functools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from plx9x5x.board import Board, Eeprom, EepromPart, Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.model.timing import BusSpeed
from plx9x5x.peripheral import LocalBusTarget
from plx9x5x.ports import BusMaster
from plx9x5x.regs.profile import PROFILES
from tests.behaviour.driver import BOARD_OF, REGISTERS, CommonBuffer, Driver, LocalSide
from tests.behaviour.in_process import InProcess, NoisyBus

LAS0RR, LAS0BA, MARBR, BIGEND, LBRD0, LAS1RR, LAS1BA, LBRD1 = 0x00, 0x04, 0x08, 0x0C, 0x18, 0xF0, 0xF4, 0xF8
OPQIS, OPQIM, P2LDBELL, L2PDBELL, INTCSR, CNTRL, PCIHIDR, PCIHREV = 0x30, 0x34, 0x60, 0x64, 0x68, 0x6C, 0x70, 0x74
MODE, PADR, LADR, SIZ, DPR = (0x80, 0x94), (0x84, 0x98), (0x88, 0x9C), (0x8C, 0xA0), (0x90, 0xA4)
CSR, DMATHR, DAC, QSR, PABTADR = (0xA8, 0xA9), 0xB0, (0xB4, 0xB8), 0xE8, 0x104

CONFIG: Final = -1
"""Stands for configuration space where a read names a BAR."""

LONG_ENOUGH_NS: Final = 10_000_000
"""For whatever a test transfers on a bus that takes time."""

MEMORY_BAR, IO_BAR = "memory", "I/O"


def bit(number: int) -> int:
    return 1 << number


@dataclass(frozen=True, slots=True)
class Read:
    """One value that the driver read, and whether INTA# was asserted right before."""

    inta: bool
    offset: int
    value: int
    width: int
    bar: int

    def __repr__(self) -> str:
        where = {REGISTERS: "", CONFIG: ", bar=CONFIG"}.get(self.bar, f", bar={self.bar}")
        width = "" if self.width == 4 else f", {self.width}"
        return f"{'on' if self.inta else 'off'}({self.offset:#04x}, {self.value:#x}{width}{where})"


def off(offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> Read:
    """A read while INTA# was not asserted."""
    return Read(False, offset, value, width, bar)


def on(offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> Read:
    """A read while INTA# was asserted."""
    return Read(True, offset, value, width, bar)


class Watched:
    """A driver whose every read is kept until `seen` asks; the same read over and over, as a poll does, counts once."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._seen: list[Read] = []

    @property
    def chip(self) -> str:
        return self._driver.chip

    @property
    def memory_at(self) -> int:
        return self._driver.memory_at

    @property
    def local(self) -> LocalSide:
        return self._driver.local

    def read(self, offset: int, width: int = 4, *, bar: int = REGISTERS) -> int:
        inta = self.inta()
        return self._note(Read(inta, offset, self._driver.read(offset, width, bar=bar), width, bar))

    def write(self, offset: int, value: int, width: int = 4, *, bar: int = REGISTERS) -> None:
        self._driver.write(offset, value, width, bar=bar)

    def config_read(self, offset: int, width: int = 4) -> int:
        inta = self.inta()
        return self._note(Read(inta, offset, self._driver.config_read(offset, width), width, CONFIG))

    def config_write(self, offset: int, value: int, width: int = 4) -> None:
        self._driver.config_write(offset, value, width)

    def buffer(self, length: int) -> CommonBuffer:
        return self._driver.buffer(length)

    def settle(self) -> None:
        self._driver.settle()

    def inta(self) -> bool:
        return self._driver.inta()

    def seen(self) -> list[Read]:
        """What the driver read since the last call."""
        seen, self._seen = self._seen, []
        return seen

    def _note(self, read: Read) -> int:
        if self._seen[-1:] != [read]:
            self._seen.append(read)
        return read.value


@functools.cache
def reference_board(chip: str) -> Board:
    """PLX's own board for a chip; looking it up takes milliseconds."""
    return load_board(BOARD_OF[chip])


class Machine(InProcess):
    """The chip in this process; `report_aborts` and `speed` as `Chip` has them."""

    def __init__(
        self,
        chip: str,
        *,
        board: Board | None = None,
        addresses: tuple[int, ...] = (),
        report_aborts: bool = True,
        speed: BusSpeed | None = None,
    ) -> None:
        self._report_aborts, self._speed = report_aborts, speed
        super().__init__(chip, board=board or reference_board(chip), addresses=addresses)

    @property
    def eeprom_image(self) -> bytes:
        """What the board's EEPROM holds now."""
        image = self.device.eeprom.image
        assert image is not None
        return image

    def settle(self) -> None:
        if self._speed is None:
            super().settle()
        else:
            self.host.run(for_ns=LONG_ENOUGH_NS)

    def run_until(self, so: Callable[[], bool]) -> None:
        """Let the chip do one thing after the other until it is so, and not one more. Raises: TimeoutError."""
        for _ in range(10_000):
            if so():
                return
            if not self.device.step(1):
                break
        if not so():
            raise TimeoutError("the chip stopped before")

    def _make(self, board: Board, bus: BusMaster, irq: object) -> Chip:
        self._noisy = NoisyBus(bus)
        return Chip(
            board,
            bus=self._noisy,
            irq=irq,  # type: ignore[arg-type]
            clock=self.clock,
            trace=self.trace,
            thorough=self.trace.enabled,
            report_aborts=self._report_aborts,
            speed=self._speed,
        )


TargetT = TypeVar("TargetT", bound=LocalBusTarget)


class Built(Generic[TargetT]):
    """Builds a board's peripheral, and keeps the one that is there now: a reset makes another."""

    def __init__(self, make: Callable[[], TargetT]) -> None:
        self._make = make
        self.made = 0
        self.now: TargetT

    def __call__(self) -> TargetT:
        self.made += 1
        self.now = self._make()
        return self.now


def board_of(
    name: str,
    chip: str,
    windows: Sequence[Window],
    *,
    ids: int,
    subsystem: int,
    part: EepromPart | None = None,
    tail: bytes = b"",
    **loads: int,
) -> Board:
    """A board by what its EEPROM loads; `tail` is what the part holds beyond what the chip reads."""
    profile = PROFILES[chip]
    values = {
        "ids": ids,
        "class_revision": 0x0680_0000,
        "latency_interrupt": 0x0000_0100,
        "marbr": 0x0020_0000,
        "misc": 0 if chip == "9080" else 0x0030_0500,
        "lbrd0": 0x4243_0043,
        "lbrd1": 0x0000_0043,
        "las1rr": 0xFFF0_0000,
        "subsystem": subsystem,
        **loads,
    }
    part = part or (EepromPart.C93CS46 if chip == "9080" else EepromPart.C93CS56)
    image = Eeprom.loading(profile, part, values).image
    image = image[: profile.eeprom_bytes] + tail + image[profile.eeprom_bytes + len(tail) :]
    return Board(name, "", profile, Eeprom(part, image), tuple(windows))


def bar_resources(driver: Driver) -> list[tuple[str, int]]:
    """Size BAR0 to BAR5 as an operating system does; give the kind and the length of those that are there."""
    found = []
    for offset in range(0x10, 0x28, 4):
        before = driver.config_read(offset)
        driver.config_write(offset, 0xFFFF_FFFF)
        sized = driver.config_read(offset)
        driver.config_write(offset, before)
        if sized:
            mask = sized & (0xFFFF_FFFC if sized & 1 else 0xFFFF_FFF0)
            found.append((IO_BAR if sized & 1 else MEMORY_BAR, (1 << 32) - mask))
    return found


def descriptor(pci: int, local: int, count: int, pointer: int) -> bytes:
    """A descriptor in the standard format."""
    return struct.pack("<4I", pci, local, count, pointer)


def words(buffer: CommonBuffer, offset: int, count: int) -> tuple[int, ...]:
    """Dwords of a common buffer as the CPU reads them."""
    return struct.unpack(f"<{count}I", buffer.read(offset, 4 * count))


def registers(driver: Driver, channel: int) -> tuple[int, int, int, int]:
    """PADR, LADR, SIZ and DPR of a channel, at their usual offsets."""
    return tuple(driver.read(names[channel]) for names in (PADR, LADR, SIZ, DPR))  # type: ignore[return-value]


def poll(driver: Driver, look: Callable[[], bool], tries: int) -> int:
    """Look until it is so, time passing in between; give how often it was not. Raises: TimeoutError."""
    for missed in range(tries):
        if look():
            return missed
        driver.settle()
    raise TimeoutError(f"not within {tries} looks")


def serve(driver: Driver, isr: Callable[[], bool], most: int = 8) -> int:
    """Call the handler for as long as INTA# is asserted; give how often. Raises: RuntimeError in a storm."""
    for called in range(most):
        if not driver.inta():
            return called
        isr()
    if driver.inta():
        raise RuntimeError(f"INTA# is still asserted after {most} calls of the handler")
    return most


def pattern(length: int, seed: int = 1) -> bytes:
    """Bytes that do not repeat at a power of two."""
    n = np.arange(length)
    return (seed + n * 7 + n // 251).astype(np.uint8).tobytes()
