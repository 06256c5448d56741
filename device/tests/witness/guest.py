# SPDX-License-Identifier: Apache-2.0
"""A guest's driver in process, and the QEMU that records what it does: calls, accesses and code, in one order.

A call is a record; an access is a record and, at once or later (`posted`), the same access of the device.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from plx9x5x.board import load_board
from plx9x5x.chip_faults import card, names
from plx9x5x.cli import watched as cli
from plx9x5x.findings.finding import Finding
from plx9x5x.model.chip import Chip
from plx9x5x.model.clock import VirtualClock
from plx9x5x.ports import BusMaster, IrqLine, PciDevice, ResetKind
from plx9x5x.rules.room import Room
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB, MIB
from plx9x5x.witness import ring
from plx9x5x.witness.device import WitnessedDevice, witnessed
from plx9x5x.witness.records import FAILED, Access, Kind, Mask, Touch
from plx9x5x.witness.ring import RingReader, RingWriter
from plx9x5x.witness.witness import Witness

RAM, SIZE = 0x100_0000, 2 * MIB
BAR0, BAR0_BYTES = 0xFEB0_0000, 512
MODE, PADR, LADR, SIZ, DPR, CSR, INTCSR, DAC = 0x80, 0x84, 0x88, 0x8C, 0x90, 0xA8, 0x68, 0xB4
BLOCK, CHAIN, DONE_INTERRUPT, TO_INTA, CLEAR_COUNT = 0x43, 0x243, 1 << 10, 1 << 17, 1 << 16
IN_PCI, LAST, TO_PCI = 1, 2, 8
TEXT, TEXT_BYTES = 0xFFFF_FFFF_C000_0000, 0x100_0000
VA = 0xFFFF_C900_0000_0000
"""CPU addresses, as of memory that is mapped for itself: their low half tells nothing of the physical one."""
BOTH, TO_DEVICE, FROM_DEVICE = 0, 1, 2


class Guest:
    """A card, 2 MiB of memory at `RAM`, and a driver whose every step is at its own program counter.

    `faults` are sentences of a plan, by which the card fails.
    """

    def __init__(self, fd: int, *, syncs: bool = False, watched: bool = True, faults: Sequence[str] = ()) -> None:
        self._plan, self.clock = faults, VirtualClock()
        self.said: list[str] = []
        self.kept: list[dict[str, object]] = []
        self.writer = RingWriter(fd)
        self.witness = Witness(RingReader(fd), sink=lambda _: None, say=self.said.append, syncs=syncs)
        self.room = Room(self.said.append, keep=self.kept.append, witness=self.witness)
        self.chips: list[Chip] = []
        self.host = Loopback(witnessed(self._make, self.witness), enabled=False)
        self.device = self.host.device
        assert isinstance(self.device, WitnessedDevice)
        self.ram = self.host.ram(RAM, SIZE)
        self.pc = TEXT
        self.last = 0
        """Seq of the last record."""
        self.posted: list[tuple[int, int, int, int]] = []
        self._free = RAM + 64 * KIB
        self.boot(watched=watched)

    def _make(self, bus: BusMaster, irq: IrqLine) -> PciDevice:
        board = load_board("rdk-9656-lite")
        if self._plan:
            plan = names.plan(self._plan, board)
            made = card.make(plan, board, bus=bus, irq=irq, clock=self.clock, trace=self.room, say=self.said.append)
            device, chip, excuses = made.parts
        else:
            device = chip = Chip(board, bus=bus, irq=irq, clock=self.clock, trace=self.room)
            excuses = None
        self.chips.append(chip)
        cli.watch(self.witness, chip, self.room, self.clock.now, excuses)
        return device

    def boot(self, *, watched: bool = True) -> None:
        """The kernel finds the card, and loads the driver."""
        if watched:
            self.writer.state(ring.SAW_KERNEL)
        self.device.config_write(0x10, 4, BAR0)
        self.device.config_write(4, 2, 7)

    def load(self, module: int = 0x77, name: str = "my_drv") -> None:
        self.put(Kind.MODULE, module, TEXT, TEXT_BYTES, 0, 0, text=name)

    def unload(self, module: int = 0x77) -> None:
        self.put(Kind.MODULE, module, TEXT, TEXT_BYTES, 0, 0, text="my_drv", flags=1)

    def put(self, kind: Kind, *a: int, flags: int = 0, width: int = 0, text: str = "", cpu: int = 0) -> int:
        """A record of the driver's next line; give its seq."""
        self.pc += 16
        seq = self.writer.put(kind, *a, flags=flags, width=width, text=text, pc=self.pc, cpu=cpu)
        assert seq is not None
        self.last = seq
        return seq

    def handles(self, handler: int, *, cpu: int = 0) -> int:
        """The interrupt handler at `handler` begins; give the record's seq."""
        seq = self.writer.put(Kind.HANDLER, pc=handler, cpu=cpu)
        assert seq is not None
        self.last = seq
        return seq

    # -- registers ---------------------------------------------------------------------------------

    def write(self, offset: int, value: int, width: int = 4, *, post: bool = False, cpu: int = 0) -> int:
        seq = self.put(Kind.ACCESS, BAR0 + offset, value, flags=Access.WRITE, width=width, cpu=cpu)
        if post:
            self.posted.append((0, offset, width, value))
        else:
            self.deliver()
            self.device.write(0, offset, width, value)
        return seq

    def read(self, offset: int, width: int = 4, *, cpu: int = 0) -> int:
        self.deliver()
        value = self.device.read(0, offset, width)
        self.put(Kind.ACCESS, BAR0 + offset, value, width=width, cpu=cpu)
        return value

    def deliver(self) -> None:
        """What was posted arrives."""
        posted, self.posted = self.posted, []
        for access in posted:
            self.device.write(*access)

    def program(self, pci: int, size: int = 64, *, to_pci: bool = True, channel: int = 0, mode: int = BLOCK) -> None:
        at = 0x14 * channel
        flags = TO_PCI if to_pci else 0
        for offset, value in ((MODE, mode), (PADR, pci & 0xFFFF_FFFF), (LADR, 0), (SIZ, size), (DPR, flags)):
            self.write(offset + at, value)
        if channel == 0:
            self.write(DAC, pci >> 32)

    def start(self, *, post: bool = False) -> int:
        return self.write(CSR, 3, 1, post=post)

    def run(self, steps: int = 8, budget: int = 256 * KIB) -> None:
        for _ in range(steps):
            self.device.step(budget)

    def transfer(self, pci: int, size: int = 64, *, to_pci: bool = True) -> None:
        """All of it, and wait for DONE."""
        self.program(pci, size, to_pci=to_pci)
        self.start()
        self.run()
        self.read(CSR, 1)

    def stop(self) -> None:
        """As after a failure."""
        self.write(CSR, 0, 1)
        self.write(CSR, 4, 1)
        self.run()
        self.read(CSR, 1)

    # -- memory ------------------------------------------------------------------------------------

    def va(self, handle: int) -> int:
        return VA + 0x1234_0000 + handle

    def alloc(self, size: int = 4096, *, handle: int = 0, physical: int = 0, flags: int = 0) -> int:
        if not handle:
            handle = self._free
            self._free += (size + 4095) // 4096 * 4096
        self.put(Kind.ALLOC, self.va(handle), handle, size, physical or handle, flags=flags)
        return handle

    def free(self, handle: int, size: int = 4096, *, va: int = 0, flags: int = 0, cpu: int = 0) -> int:
        return self.put(Kind.FREE, va or self.va(handle), handle, size, flags=flags, cpu=cpu)

    def map(self, start: int, size: int, direction: int, *, sg: int = 0, index: int = 0, of: int = 1) -> None:
        self.put(Kind.MAP, start, size, direction, start, self.va(start), sg, index, of)

    def masks(self, mask: int) -> None:
        """As by dma_set_mask_and_coherent(), which is two calls."""
        self.put(Kind.MASK, mask, 0)
        self.put(Kind.MASK, mask, 0, flags=Mask.COHERENT)

    def map_failed(self, size: int) -> None:
        self.put(Kind.MAP, FAILED, size, TO_DEVICE)

    def unmap(self, start: int, size: int, direction: int, *, sg: int = 0) -> None:
        self.put(Kind.UNMAP, start, size, direction, 0, 0, sg, 0, 1)

    def touch(
        self, base: int, after: int, start: int, end: int, *, write: bool = False, poll: bool = False, times: int = 0
    ) -> None:
        """The driver's code touches bytes `start` to `end` of the buffer at `base`, after access `after`."""
        va = self.va(base)
        flags = (Touch.WRITE if write else 0) | (Touch.POLL if poll else 0)
        count = times or max(1, (end - start) // 8)
        self.put(Kind.TOUCH, va + start, va + end, count, va, base, after, flags=flags)

    def descriptor(self, at: int, pci: int, size: int, pointer: int) -> None:
        self.ram[at - RAM : at - RAM + 16] = struct.pack("<4I", pci, 0, size, pointer)

    # -- what is said ------------------------------------------------------------------------------

    @property
    def findings(self) -> dict[str, Finding]:
        self.witness.conclude()
        return {it.rule: it for it in self.room.findings}

    @property
    def names(self) -> list[str]:
        return sorted(self.findings)

    def leave(self) -> None:
        self.device.reset(ResetKind.LOST_CLIENT)


@contextmanager
def guest(
    *,
    capacity: int = 4096,
    syncs: bool = False,
    watched: bool = True,
    loaded: bool = True,
    faults: Sequence[str] = (),
) -> Iterator[Guest]:
    fd = ring.create("0000:00:02.0", capacity)
    try:
        made = Guest(fd, syncs=syncs, watched=watched, faults=faults)
        if loaded:
            made.load()
        yield made
    finally:
        os.close(fd)


def chain(driver: Guest, *, buffer: int, ring_at: int, mode: int = CHAIN) -> int:
    """Start a list of two descriptors of 64 bytes each to a buffer; give the seq of the start."""
    driver.touch(ring_at, 1, 0, 32, write=True)
    driver.descriptor(ring_at, buffer, 64, ring_at + 16 | IN_PCI | TO_PCI)
    driver.descriptor(ring_at + 16, buffer + 64, 64, IN_PCI | TO_PCI | LAST)
    driver.write(MODE, mode)
    driver.write(DPR, ring_at | IN_PCI)
    return driver.start()
