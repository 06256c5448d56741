# SPDX-License-Identifier: Apache-2.0
"""The group `nthal`: what a call of the Windows model costs by what is live, and a page by the length of its list."""

from typing import Final

from plx9x5x.lab.bench import contest
from plx9x5x.lab.bench.figures import Curve, Figure, Part, Point
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.contract import load

LIVE: Final = (10, 100, 1000, 10_000)
PAGES: Final = (16, 64, 256, 1024, 4096, 16_384)
CALLS: Final = 200
FREES: Final = 1000
"""So many frees at least make one figure: ten are over before the processor is warm."""
ELEMENTS: Final = 2048
"""So many elements at least make one figure of a list."""


def measure(options: Options) -> Part:
    """Run the group; no data plane plays a part in it."""
    with contest.on_core(options.cpus):
        return Part("nthal", "nthal, the model of Windows, as it fills", curves=(*_buffers(options), _lists(options)))


def _buffers(options: Options) -> tuple[Curve, Curve]:
    sizes = [size for size in LIVE if not options.quick or size <= 100]
    both: dict[int, list[float]] = {size: [] for size in sizes}
    free: dict[int, list[float]] = {size: [] for size in sizes}
    for size in sizes * options.rounds:  # a round has all sizes: what slows it slows each of them
        repeat = 1 if options.quick else max(1, FREES // size)
        times = [load.buffers(size, calls=options.count(CALLS)) for _ in range(repeat)]
        both[size].append(_mean([one.both for one in times]))
        free[size].append(_mean([one.free for one in times]))
    grows = "common buffers that are live"
    return (
        Curve("buffer", "buffers", grows, "allocation and free", "us", _points(both)),
        Curve("free", "buffers", grows, "free, till none is left", "us", _points(free)),
    )


def _lists(options: Options) -> Curve:
    sizes = [size for size in PAGES if not options.quick or size <= 64]
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for size in sizes * options.rounds:
        repeat = 1 if options.quick else max(1, ELEMENTS // size)
        found[size].append(_mean([load.scattered_list(size) for _ in range(repeat)]) / size)
    return Curve("list", "lists", "single pages in a scatter/gather list", "page, got and put", "us", _points(found))


def _points(found: dict[int, list[float]]) -> tuple[Point, ...]:
    return tuple(Point(size, Figure(tuple(times))) for size, times in found.items())


def _mean(seconds: list[float]) -> float:
    """Microseconds."""
    return sum(seconds) / len(seconds) * 1e6
