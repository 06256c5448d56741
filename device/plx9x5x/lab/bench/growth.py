# SPDX-License-Identifier: Apache-2.0
"""The group `growth`: what one piece of work costs as something grows. A line that stays level is what is wanted."""

import contextlib
import gc
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from plx9x5x.lab.bench import contest, in_process
from plx9x5x.lab.bench.contest import PEER
from plx9x5x.lab.bench.figures import Curve, Figure, Part, Point
from plx9x5x.lab.bench.in_process import BLOCK, CHAIN, CSR, DPR, LADR, MODE, PADR, PAGE, SIZ
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.host.server import Backend
from plx9x5x.model.chip import Chip
from plx9x5x.transport.loopback import Loopback

DESCRIPTORS: Final = (10, 100, 1000, 10_000, 100_000, 1_000_000)
MAPPINGS: Final = (10, 100, 1000, 10_000, 100_000)
DEVICES: Final = (1, 2, 4, 8)
FAR: Final = 0x4000_0000
ROUNDS_MAX: Final = 3
LONG: Final = 100_000
"""A chain of so many descriptors and more is timed once: it takes seconds, and is its own average."""
BLOCKS: Final = 2000
READS: Final = 20_000
"""So many that the clients' start, some milliseconds apart, does not count."""


def measure(options: Options) -> Part:
    """Run the group. Raises: SetupError, LostVm."""
    with contest.on_core(options.cpus):
        in_process_curves = (_chains(options), *_mappings(options))
    return Part("growth", "Growth", curves=(*in_process_curves, *_devices(options)))


def _sizes(options: Options, usual: Sequence[int], *, quick: int) -> Sequence[int]:
    return tuple(size for size in usual if not options.quick or size <= quick)


def _rounds(options: Options) -> int:
    return 1 if options.quick else min(options.rounds, ROUNDS_MAX)


def _chains(options: Options) -> Curve:
    points = []
    for count in _sizes(options, DESCRIPTORS, quick=100):
        host = in_process.make_host()
        host.ram(FAR, 16 * count)
        in_process.write_chain(host, count, 0, at=FAR)
        host.device.write(0, MODE, 4, CHAIN)

        def walk(host: Loopback[Chip] = host, count: int = count) -> None:
            in_process.run_chain(host, at=FAR, steps=100 * count)

        repeat = max(1, 2000 // count)
        walks = 1 if count >= LONG else _rounds(options)
        times = [in_process.mean_time(walk, repeat) / count * 1e6 for _ in range(walks)]
        points.append(Point(count, Figure(tuple(times))))
    return Curve(
        "chain", "chain", "descriptors in the chain", "descriptor of 256 B", "us", tuple(points), options.plane
    )


def _mappings(options: Options) -> tuple[Curve, ...]:
    """Guest memory in many pieces of 4 KiB, as an IOMMU leaves it: to map one, and to use one of them."""
    maps, blocks = [], []
    memory = memoryview(bytearray(PAGE))
    for count in _sizes(options, MAPPINGS, quick=100):
        mapping, using = [], []
        for number in range(_rounds(options)):
            order = list(range(count))
            draw = random.Random(number)  # noqa: S311 - an order, the same each time
            draw.shuffle(order)
            host = in_process.make_host()
            gc.collect()  # the host of the round before is large
            start = time.perf_counter()
            for at in order:
                host.memory.map(FAR + 2 * PAGE * at, PAGE, memory, writable=True)
            mapping.append((time.perf_counter() - start) / count * 1e6)
            picks = [FAR + 2 * PAGE * draw.randrange(count) for _ in range(options.count(BLOCKS))]
            using.append(_small_blocks(host, picks))
        maps.append(Point(count, Figure(tuple(mapping))))
        blocks.append(Point(count, Figure(tuple(using))))
    return (
        Curve("map", "mappings", "mappings of 4 KiB", "mapping added", "us", tuple(maps), options.plane),
        Curve(
            "use", "mappings", "mappings of 4 KiB", "4-byte block in one of them", "us", tuple(blocks), options.plane
        ),
    )


def _small_blocks(host: Loopback[Chip], addresses: Sequence[int]) -> float:
    """Microseconds for one block of 4 bytes, programmed and run."""
    write = host.device.write
    write(0, MODE, 4, BLOCK)
    write(0, LADR, 4, 0)
    write(0, SIZ, 4, 4)
    write(0, DPR, 4, 0)
    start = time.perf_counter()
    for address in addresses:
        write(0, PADR, 4, address)
        write(0, CSR, 1, 3)
        host.run()
    return (time.perf_counter() - start) / len(addresses) * 1e6


def _devices(options: Options) -> tuple[Curve, ...]:
    """Servers that are all busy at once, on one core: its time for one register read, whoever made it."""
    return tuple(_many(options, name, backend) for name, backend in contest.both_backends(options).items())


def _many(options: Options, name: str, backend: Backend) -> Curve:
    points = []
    for count in _sizes(options, DEVICES, quick=2):
        with contest.serving({str(number): backend for number in range(count)}, cpus=options.cpus) as servers:
            sockets = [server.socket_path for server in servers.values()]
            times = [_all_at_once(options, sockets) for _ in range(_rounds(options))]
        points.append(Point(count, Figure(tuple(times))))
    plane = "" if name == PEER else options.plane
    return Curve(name, "devices", "devices, each with a client", "register read", "us", tuple(points), plane)


def _all_at_once(options: Options, sockets: Sequence[Path]) -> float:
    """Microseconds of the core for one read, while as many clients as servers read as fast as they can.

    The last client's time is that of all reads: they start within milliseconds of each other. Raises: LostVm.
    """
    reads = options.count(READS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plx-bench-")))
        clients = [
            stack.enter_context(contest.client(folder, socket, "read", reads, cpus=options.cpus)) for socket in sockets
        ]
        for client in clients:
            if client.wait(contest.CLIENT_LIMIT_S) != 0:
                raise contest.failed(client)
        slowest = max(contest.read_timings(client.output())["read"].mean for client in clients)
        return slowest / len(clients) * 1e6
