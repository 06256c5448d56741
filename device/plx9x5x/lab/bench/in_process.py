# SPDX-License-Identifier: Apache-2.0
"""The groups `registers` and `dma`: the whole chip model in one process, without a socket.

Registers: beside a call of a Python method that does nothing. DMA: a block is programmed and run through the chip, and
so is a chain of 256-byte descriptors; a block beside a copy of as many bytes, by memmove called from Python and by
memcpy in a loop of C, a chain beside a loop of C that reads each descriptor and copies. Guest memory lies in one piece,
or in 4 KiB mappings none of which follows its neighbour.
"""

import ctypes
import gc
import random
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from plx9x5x import boards
from plx9x5x.board import Window, load_board
from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.figures import Figure, Part, Row
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.bench.plane import ONLY
from plx9x5x.model.chip import Chip
from plx9x5x.model.localbus import Sram
from plx9x5x.ports import TraceSink
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB, MIB, BusAddr, LocalAddr

RAM: Final = 0x100_0000
DATA: Final = RAM + 4 * MIB
PAGE: Final = 4 * KIB
STAGGER: Final = 1088
"""What a board's memory is shifted by; see the model's Sram."""
DESCRIPTOR_BYTES: Final = 256
SIZES: Final = (4 * KIB, 64 * KIB, 1 * MIB)
MODE, PADR, LADR, SIZ, DPR, CSR, INTCSR = 0x80, 0x84, 0x88, 0x8C, 0x90, 0xA8, 0x68
BLOCK: Final = 0x43
CHAIN: Final = 0x243
IN_PCI, LAST, TO_PCI = 1, 2, 8
CALLS: Final = 2000


def make_host(*, scattered: bool = False, trace: TraceSink | None = None, thorough: bool = False) -> Loopback[Chip]:
    """A board with 2 MiB of local memory, and guest memory at RAM: 8 MiB in one piece.

    `scattered`: from DATA on each 4 KiB is a mapping of its own, on host memory in another order. `trace`, `thorough`
    are the chip's.
    """
    board = replace(load_board(boards.DEFAULT), windows=(Window("memory", LocalAddr(0), lambda: Sram(2 * MIB)),))
    host = Loopback(lambda bus, irq: Chip(board, bus=bus, irq=irq, trace=trace, thorough=thorough))
    if not scattered:
        host.ram(RAM, 8 * MIB)
        return host
    host.ram(RAM, DATA - RAM)
    memory = memoryview(bytearray(4 * MIB))
    pages = list(range(0, 4 * MIB, PAGE))
    random.Random(0).shuffle(pages)  # noqa: S311 - an order, the same each time
    for number, at in enumerate(pages):
        host.memory.map(DATA + number * PAGE, PAGE, memory[at : at + PAGE], writable=True)
    return host


def write_chain(host: Loopback[Chip], count: int, flags: int, *, at: int = RAM) -> None:
    """Put `count` descriptors at the bus address `at`; their data goes round a MiB on both sides."""
    table = bytearray(16 * count)
    for n in range(count):
        pointer = at + 16 * (n + 1) | IN_PCI | flags | (LAST if n == count - 1 else 0)
        place = n * DESCRIPTOR_BYTES % MIB
        struct.pack_into("<4I", table, 16 * n, DATA + place, place, DESCRIPTOR_BYTES, pointer)
    host.memory.write_from(BusAddr(at), memoryview(table))


def run_block(host: Loopback[Chip], size: int, flags: int) -> None:
    """Program one block and run it."""
    write = host.device.write
    for register, value in ((PADR, DATA), (LADR, 0), (SIZ, size), (DPR, flags)):
        write(0, register, 4, value)
    write(0, CSR, 1, 3)
    host.run()


def start_block(host: Loopback[Chip]) -> None:
    """Run the block that was programmed last, with steps that are as long as it."""
    host.device.write(0, CSR, 1, 3)
    step = host.device.step
    while step(MIB):
        pass


def run_chain(host: Loopback[Chip], *, at: int = RAM, steps: int = 100_000) -> None:
    """Start the chain at `at` and run it to its end."""
    host.device.write(0, DPR, 4, at | IN_PCI)
    host.device.write(0, CSR, 1, 3)
    host.run(steps=steps)


def mean_time(work: Callable[[], None], repeat: int) -> float:
    """Seconds for one of `repeat` calls, after one that brings back to the caches what others threw out of them."""
    gc.collect()
    work()
    start = time.perf_counter()
    for _ in range(repeat):
        work()
    return (time.perf_counter() - start) / repeat


@dataclass(frozen=True, slots=True)
class _Task:
    """A piece of work to be timed, `repeat` times in a round."""

    work: Callable[[], None]
    repeat: int

    def time(self) -> float:
        return mean_time(self.work, self.repeat)


def measure_dma(options: Options) -> Part:
    """Run the group `dma`. Raises: SetupError, LostVm."""
    with contest.on_core(options.cpus):
        rows = [row for size in SIZES for to_pci in (False, True) for row in _transfers(options, size, to_pci=to_pci)]
    return Part("dma", "DMA in process, through the whole chip model", tuple(rows))


def _transfers(options: Options, size: int, *, to_pci: bool) -> Iterator[Row]:
    """Block, scattered block and chain of one size and direction, all in the same rounds as their peers."""
    flags, way = (TO_PCI, "to_pci") if to_pci else (0, "to_local")
    flat, scattered, chained = make_host(), make_host(scattered=True), make_host()
    count = size // DESCRIPTOR_BYTES
    write_chain(chained, count, flags)
    for host, mode in ((flat, BLOCK), (scattered, BLOCK), (chained, CHAIN)):
        host.device.write(0, MODE, 4, mode)
    repeat = options.count(max(10, 2 * MIB // size))
    tasks = {
        "flat": _Task(lambda: run_block(flat, size, flags), repeat),
        "scattered": _Task(lambda: run_block(scattered, size, flags), repeat),
        "started": _Task(lambda: start_block(flat), 4 * repeat),  # as many as the loop in C that it is held against
        "chain": _Task(lambda: run_chain(chained), max(1, repeat // 8)),
        "memmove": _Task(_memmove(size), repeat),
    }
    loops = 3 if options.quick else 30

    def in_c(what: str, size: int) -> float:
        return contest.run_client(None, what, size, loops, cpus=options.cpus)[what].median

    turns: dict[str, Callable[[], float]] = {name: partial(task.time) for name, task in tasks.items()}
    turns |= {"memcpy": partial(in_c, "memcpy", size), "walk": partial(in_c, "walk", count)}
    if options.plane != ONLY and not to_pci:
        turns["card"] = partial(in_c, "card", size)
    times = contest.alternate(options.rounds, turns)
    figures = {name: Figure(tuple(t * 1e6 for t in seconds)) for name, seconds in times.items()}

    def row(name: str, ours: str, peer: str, peer_name: str, note: str = "") -> Row:
        return Row(f"{name} {way}", "us", figures[ours], figures[peer], peer_name, note, options.plane)

    title = f"{size // KIB} KiB"
    speed = f"{size / figures['flat'].median / 1e3:.2f} GB/s"
    yield row(f"block {title}", "flat", "memcpy", "memcpy in C", speed)
    yield row(f"block {title}", "flat", "memmove", "memmove by ctypes")
    yield row(f"START to DONE of {title}", "started", "memcpy", "memcpy in C")
    if "card" in figures:
        yield row(f"START to DONE of {title} in C alone", "card", "memcpy", "memcpy in C")
    if size > PAGE:
        yield row(f"block {title}, 4 KiB-scattered", "scattered", "flat", "ours, in one piece")
    rate = f"{count / figures['chain'].median * 1e3:.0f} k descriptors/s"
    yield row(f"chain {title} of 256 B", "chain", "walk", "a loop in C", rate)


def _memmove(size: int) -> Callable[[], None]:
    """Copy between two buffers, one of them shifted as a board's memory is."""
    source, target = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size + STAGGER)
    into = ctypes.byref(target, STAGGER)
    memmove = ctypes.memmove

    def work() -> None:
        memmove(into, source, size)  # these keep the buffers alive, which addresses as numbers would not

    return work


class _Nothing:
    """A method call and no more."""

    def read(self, _bar: int, _offset: int, _width: int) -> int:
        return 0


READS: Final = "register read"
MIX: Final = "a driver's mix of reads and writes"


def read_often(chip: Chip, calls: int) -> None:
    """Read the channel's status."""
    for _ in range(calls):
        chip.read(0, CSR, 1)


def drive(chip: Chip, calls: int) -> None:
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


def measure_registers(options: Options) -> Part:
    """Run the group `registers`."""
    chip, nothing, calls = make_host().device, _Nothing(), options.count(CALLS) // 10 * 10

    def bare() -> None:
        for _ in range(calls):
            nothing.read(0, CSR, 1)

    works: dict[str, Callable[[], None]] = {
        READS: partial(read_often, chip, calls),
        MIX: partial(drive, chip, calls),
        "bare": bare,
    }
    with contest.on_core(options.cpus):
        times = contest.alternate(options.rounds, {name: _Task(work, 3).time for name, work in works.items()})
    figures = {name: Figure(tuple(t * 1e6 / calls for t in seconds)) for name, seconds in times.items()}
    peer = figures.pop("bare")
    rows = (
        Row(name, "us", ours, peer, "bare method call", f"{1e3 / ours.median:.0f} k/s", options.plane)
        for name, ours in figures.items()
    )
    return Part("registers", "Registers in process, through the whole chip model", tuple(rows))
