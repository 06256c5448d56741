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
    both, free = [], []
    for live in (size for size in LIVE if not options.quick or size <= 100):
        repeat = 1 if options.quick else max(1, FREES // live)
        rounds = [
            [load.buffers(live, calls=options.count(CALLS)) for _ in range(repeat)] for _ in range(options.rounds)
        ]
        both.append(Point(live, Figure(tuple(_mean([one.both for one in times]) for times in rounds))))
        free.append(Point(live, Figure(tuple(_mean([one.free for one in times]) for times in rounds))))
    grows = "common buffers that are live"
    return (
        Curve("buffer", "buffers", grows, "allocation and free", "us", tuple(both)),
        Curve("free", "buffers", grows, "free, till none is left", "us", tuple(free)),
    )


def _lists(options: Options) -> Curve:
    points = []
    for pages in (size for size in PAGES if not options.quick or size <= 64):
        repeat = 1 if options.quick else max(1, ELEMENTS // pages)
        times = [_mean([load.scattered_list(pages) for _ in range(repeat)]) / pages for _ in range(options.rounds)]
        points.append(Point(pages, Figure(tuple(times))))
    return Curve("list", "lists", "single pages in a scatter/gather list", "page, got and put", "us", tuple(points))


def _mean(seconds: list[float]) -> float:
    """Microseconds."""
    return sum(seconds) / len(seconds) * 1e6
