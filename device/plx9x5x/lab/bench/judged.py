# SPDX-License-Identifier: Apache-2.0
"""The group `findings`: what each level of `serve --findings` costs, beside `off`, in one process without a socket."""

import timeit
from collections.abc import Callable
from functools import partial

from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.figures import Figure, Part, Row
from plx9x5x.lab.bench.in_process import (
    BLOCK,
    CALLS,
    CHAIN,
    DESCRIPTOR_BYTES,
    MIX,
    MODE,
    READS,
    TO_PCI,
    drive,
    make_host,
    read_often,
    run_block,
    run_chain,
    write_chain,
)
from plx9x5x.lab.bench.options import Options
from plx9x5x.model.chip import Chip
from plx9x5x.ports import NullTrace
from plx9x5x.rules.room import Room
from plx9x5x.transport.loopback import Loopback
from plx9x5x.units import KIB

SIZE = 64 * KIB
LEVELS = ("off", "cheap", "all")


def measure(options: Options) -> Part:
    """Run the group: each level's works in the same rounds as those of `off`."""
    calls = options.count(CALLS) // 10 * 10
    works = {(level, name): work for level in LEVELS for name, work in _works(level, calls).items()}
    turns = {key: partial(_seconds, timeit.Timer(work)) for key, work in works.items()}
    with contest.on_core(options.cpus):
        times = contest.alternate(options.rounds, turns)
    figures = {key: Figure(tuple(t * 1e6 for t in seconds)) for key, seconds in times.items()}
    rows = (
        Row(f"{name}, --findings {level}", "us", ours, figures["off", name], "--findings off", "", options.plane)
        for (level, name), ours in figures.items()
        if level != "off"
    )
    return Part("findings", "What --findings costs, in process", tuple(rows))


def _works(level: str, calls: int) -> dict[str, Callable[[], None]]:
    """Registers, a block, a chain; nothing of it is a finding."""

    def host() -> Loopback[Chip]:
        trace = NullTrace() if level == "off" else Room(_silent)
        return make_host(trace=trace, thorough=level == "all")

    chip, block, chain = host().device, host(), host()
    block.device.write(0, MODE, 4, BLOCK)
    chain.device.write(0, MODE, 4, CHAIN)
    write_chain(chain, SIZE // DESCRIPTOR_BYTES, TO_PCI)
    return {
        f"{calls} x {READS}": partial(read_often, chip, calls),
        f"{calls} accesses, {MIX}": partial(drive, chip, calls),
        f"block {SIZE // KIB} KiB": partial(run_block, block, SIZE, TO_PCI),
        f"chain {SIZE // KIB} KiB of {DESCRIPTOR_BYTES} B": partial(run_chain, chain),
    }


def _seconds(timer: timeit.Timer) -> float:
    """Of one call, of three after one that warms the caches; without the garbage collector, as timeit has it."""
    timer.timeit(1)
    return timer.timeit(3) / 3


def _silent(line: str) -> None:
    raise AssertionError(f"the bench is accused: {line}")
