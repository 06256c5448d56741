#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a register access and a DMA cost, each beside a peer in the same run.

Ratios count; absolute times are the machine's. Every figure is the median of several rounds.

DMA, in-process: one block, or a chain of 256-byte descriptors, through the whole chip model, beside a plain memcpy of
the same buffers. Registers, in-process: the accesses of a driver's transfer through the whole chip model, beside a call
of a Python method that does nothing. Registers, from a guest under QEMU (TCG): BAR0 of the emulated board beside QEMU's
built-in `edu` device; a write counts as issued when the CPU goes on, as drained when a read after the last one has its
answer.
"""

import argparse
import ctypes
import re
import statistics
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from plx9x5x.board import Window, load_board
from plx9x5x.errors import LostVm
from plx9x5x.lab.guest.machine import EDU
from plx9x5x.lab.session import BENCH, RunSpec, run
from plx9x5x.model.chip import Chip
from plx9x5x.model.localbus import Sram
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB, MIB, LocalAddr

RAM = 0x100_0000
DATA = RAM + 4 * MIB
DESCRIPTOR_BYTES = 256
MODE, PADR, LADR, SIZ, DPR, CSR = 0x80, 0x84, 0x88, 0x8C, 0x90, 0xA8
INTCSR = 0x68
CHAIN = 0x243
IN_PCI, LAST, TO_PCI = 1, 2, 8
BENCH_LINE = re.compile(r"bench name=(?P<name>\w+) .*ns_per_op=(?P<ns>[\d.]+)")


@dataclass(frozen=True)
class Row:
    """One line of the table: medians in seconds for one operation."""

    name: str
    ours: float
    peer: float
    peer_name: str
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times the peer's time ours takes."""
        return self.ours / self.peer


def median_time(work: Callable[[], None], *, rounds: int, repeat: int) -> float:
    """Median over `rounds` of the mean time of `repeat` calls, in seconds, after one call to warm up."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        times.append((time.perf_counter() - start) / repeat)
    return statistics.median(times)


def address_of(view: memoryview) -> int:
    """Where a writable view starts."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def dma_rows(rounds: int) -> list[Row]:
    """Measure block and chained DMA in-process, both directions."""
    board = replace(load_board("rdk-9656-lite"), windows=(Window("memory", LocalAddr(0), lambda: Sram(2 * MIB)),))
    host = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq))
    ram = host.ram(RAM, 8 * MIB)
    chip = host.device
    local = chip.local_bus.find(0, 2 * MIB).target
    assert local is not None
    memory = local.view(0, 2 * MIB)
    assert memory is not None
    here, there = address_of(memory), address_of(ram.bytes) + DATA - RAM
    rows = []
    for size in (4 * KIB, 64 * KIB, 1 * MIB):
        repeat = max(3, 2 * MIB // size)
        for to_pci in (False, True):
            source, target = (here, there) if to_pci else (there, here)
            peer = median_time(lambda: ctypes.memmove(target, source, size), rounds=rounds, repeat=repeat)  # noqa: B023
            way = "to_pci" if to_pci else "to_local"
            flags = TO_PCI if to_pci else 0

            def block() -> None:
                for register, value in ((PADR, DATA), (LADR, 0), (SIZ, size), (DPR, flags)):  # noqa: B023
                    chip.write(0, register, 4, value)
                chip.write(0, CSR, 1, 3)
                host.run()

            chip.write(0, MODE, 4, 0x43)
            ours = median_time(block, rounds=rounds, repeat=repeat)
            rows.append(Row(f"block {size // KIB} KiB {way}", ours, peer, "memcpy", f"{size / ours / 1e9:.2f} GB/s"))

            count = size // DESCRIPTOR_BYTES
            for n in range(count):
                pointer = RAM + 16 * (n + 1) | IN_PCI | flags | (LAST if n == count - 1 else 0)
                at = n * DESCRIPTOR_BYTES
                ram[16 * n : 16 * n + 16] = struct.pack("<4I", DATA + at, at, DESCRIPTOR_BYTES, pointer)

            def chain() -> None:
                chip.write(0, DPR, 4, RAM | IN_PCI)
                chip.write(0, CSR, 1, 3)
                host.run()

            chip.write(0, MODE, 4, CHAIN)
            ours = median_time(chain, rounds=rounds, repeat=max(1, repeat // 8))
            note = f"{count / ours / 1e3:.0f} k descriptors/s"
            rows.append(Row(f"chain {size // KIB} KiB of 256 B {way}", ours, peer, "memcpy", note))
    return rows


class Nothing:
    """A method call and no more."""

    def read(self, _bar: int, _offset: int, _width: int) -> int:
        """Give 0."""
        return 0


def register_rows(rounds: int) -> list[Row]:
    """Measure register accesses in-process."""
    chip = Loopback(lambda bus, irq: Chip(load_board("rdk-9656-lite"), bus=bus, irq=irq)).device
    nothing = Nothing()
    calls = 2000

    def accesses() -> None:
        """What a driver does around a transfer: program the channel, look at the status, mask and unmask."""
        read, write = chip.read, chip.write
        for _ in range(calls // 10):
            write(0, PADR, 4, DATA)
            write(0, LADR, 4, 0)
            write(0, SIZ, 4, 64)
            write(0, DPR, 4, 0)
            read(0, CSR, 1)
            read(0, INTCSR, 4)
            write(0, INTCSR, 4, 0x0F04_0000)
            write(0, CSR, 1, 8)
            read(0, PADR, 4)
            write(0, INTCSR, 4, 0x0F04_0100)

    def times(work: Callable[[], None]) -> float:
        return median_time(work, rounds=rounds, repeat=3) / calls

    def reads() -> None:
        for _ in range(calls):
            chip.read(0, CSR, 1)

    def bare() -> None:
        for _ in range(calls):
            nothing.read(0, CSR, 1)

    peer = times(bare)
    return [
        Row(name, ours, peer, "bare method call", f"{1e-3 / ours:.0f} k/s")
        for name, ours in (("register read", times(reads)), ("a driver's mix of reads and writes", times(accesses)))
    ]


def guest_rows() -> list[Row]:
    """Boot a guest that measures, and read its figures."""
    result = run(RunSpec(mode=BENCH, more_devices=(EDU,)))
    if not result.ok:
        raise LostVm("the guest's bench failed: " + "; ".join(result.problems or (result.report.summary(),)))
    rounds: dict[str, list[float]] = {}
    for case in result.report.cases:
        for line in case.diagnostics:
            if found := BENCH_LINE.search(line):
                rounds.setdefault(found["name"], []).append(float(found["ns"]) * 1e-9)
    medians = {name: statistics.median(times) for name, times in rounds.items()}
    pairs = (
        ("register read, round trip", "bar0_read", "edu_read"),
        ("register write, issued", "bar0_write_issued", "edu_write_issued"),
        ("register write, drained", "bar0_write_drained", "edu_write_drained"),
        ("port read (BAR1)", "bar1_in", "edu_read"),
        ("port write (BAR1)", "bar1_out", "edu_write_drained"),
        ("4-byte block to interrupt handled", "irq_round_trip", "bar0_read"),
    )
    return [Row(name, medians[ours], medians[peer], peer, f"{len(rounds[ours])} rounds") for name, ours, peer in pairs]


def show(title: str, rows: list[Row]) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left")
    for name, side in (
        ("what", "left"),
        ("ours, us", "right"),
        ("peer, us", "right"),
        ("peer", "left"),
        ("ratio", "right"),
        ("", "left"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.name, f"{row.ours * 1e6:.2f}", f"{row.peer * 1e6:.2f}", row.peer_name, f"{row.ratio:.1f}", row.note
        )
    Console(width=110).print(table)


def main() -> int:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds whose median counts (default %(default)s)")
    parser.add_argument("--no-guest", action="store_true", help="leave out what needs QEMU")
    args = parser.parse_args()
    show("Registers in-process, through the whole chip model", register_rows(args.rounds))
    show("DMA in-process, through the whole chip model", dma_rows(args.rounds))
    if not args.no_guest:
        show("Registers and interrupt from a guest under TCG", guest_rows())
    return 0


if __name__ == "__main__":
    sys.exit(main())
