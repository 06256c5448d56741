# SPDX-License-Identifier: Apache-2.0
"""The group `stream`: a card that samples into a ring without end, and what a register access waits for meanwhile.

The card is the sampler's (sampler.py), its DMA in demand mode at a held address. First as fast as it goes; then at half
of that, while the raw client reads a plain register now and then, as it did before of the idle card.
"""

import sys
from typing import Final

from plx9x5x.lab.bench import contest, plane
from plx9x5x.lab.bench.contest import Timing
from plx9x5x.lab.bench.figures import Figure, Part, Row
from plx9x5x.lab.bench.options import Options
from plx9x5x.lab.host.server import Backend

GROUP: Final = "stream"
TITLE: Final = "A card that streams: demand mode at a held address, over the socket"
READS: Final = 1000
Found = list[dict[str, Timing]]


def measure(options: Options) -> Part:
    """Run the group. Raises: SetupError, LostVm."""
    rows: list[Row] = []
    for words, arguments in (("many words a call", ()), ("word by word", ("--word-by-word",))):
        full, half = _streams(options, arguments)
        rows += _rows(options, words, full, half)
    return Part(GROUP, TITLE, tuple(rows))


def _streams(options: Options, arguments: tuple[str, ...]) -> tuple[Found, Found]:
    """Stream as fast as it goes, and at half of that, in turn."""
    count = options.count(READS)
    full, half = [], []
    with contest.serving({"ours": _backend(options, arguments)}, cpus=None) as servers:
        socket = servers["ours"].socket_path
        for _ in range(options.rounds):
            full.append(contest.run_client(socket, "stream", 1, count))
            rate = max(1, round(1 / full[-1]["stream-kib"].mean / 2))
            half.append(contest.run_client(socket, "stream", rate + 1, count))
    return full, half


def _backend(options: Options, arguments: tuple[str, ...]) -> Backend:
    argv = (sys.executable, "-m", "plx9x5x.lab.bench.sampler", "--libvfio-user", str(options.tc.libvfio_user))
    return Backend((*argv, *plane.options(options.plane), *arguments))


def _rows(options: Options, words: str, full: Found, half: Found) -> list[Row]:
    def figure(found: Found, name: str, *, worst: bool = False) -> Figure:
        return contest.figure(found, name, lambda timing: timing.p99 if worst else timing.median)

    per_kib = contest.figure(full, "stream-kib", lambda timing: timing.mean)
    speed = f"{1024 / per_kib.median:.1f} MB/s"
    at_half = 1024 / contest.figure(half, "stream-kib", lambda timing: timing.mean).median
    idle, name = figure(half, "stream-idle"), f"register read while {words} stream at half"
    note = f"at {at_half:.1f} MB/s"
    return [
        Row(f"1 KiB of a stream, {words}", "us", per_kib, note=speed, plane=options.plane),
        Row(name, "us", figure(half, "stream-read"), idle, "the idle card", note, options.plane),
        Row(
            f"{name}, 99th percentile",
            "us",
            figure(half, "stream-read", worst=True),
            idle,
            "the idle card",
            note,
            options.plane,
        ),
    ]
