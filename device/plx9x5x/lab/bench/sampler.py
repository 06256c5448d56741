# SPDX-License-Identifier: Apache-2.0
"""A data acquisition card to measure streams with, and a program that serves it: a bridge with a FIFO of counted words.

::

    0x00  data     the next word of a counter; DMA reads it at a held address, DREQ# of both channels follows the FIFO
    0x40  control  write: words lost are forgotten, the counter and the FIFO start afresh; 1 samples, 0 does not
    0x44  rate     samples come at so many KiB a second of the card's time; 0: whenever somebody wants one
    0x48  lost     words that found the FIFO full
    0x4c  given    words that somebody has read, low half

The words go on counting through what was lost: a reader finds the gap as well. Local addresses; BAR2 shows them from 0.

    python -m plx9x5x.lab.bench.sampler --socket-path S [--plane P] [--max-time-step MS] [--word-by-word] [--depth KIB]
"""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from plx9x5x import boards
from plx9x5x.board import Board, Window, load_board
from plx9x5x.model.chip import Chip
from plx9x5x.peripheral import LocalBusTarget, LocalPins
from plx9x5x.ports import BusMaster, IrqLine, NullTrace
from plx9x5x.rules.room import Room
from plx9x5x.transport.host_clock import MAX_STEP_MS, HostClock, TimeRule
from plx9x5x.transport.libvfio import LibvfioServer
from plx9x5x.transport.libvfio_abi import load_abi
from plx9x5x.transport.libvfio_find import find_library
from plx9x5x.units import KIB, MIB, LocalAddr

DATA, CONTROL, RATE, LOST, GIVEN = 0x00, 0x40, 0x44, 0x48, 0x4C
WORD: Final = 4
DEPTH: Final = 4 * MIB
"""Bytes of the FIFO: 40 ms of the fastest stream that it is measured with."""
SAMPLES: Final = "samples from now on"
"""What the log says when a driver has turned it on."""

_LOG: Final = logging.getLogger(__name__)
_NS_PER_S: Final = 1_000_000_000
_MASK: Final = 0xFFFF_FFFF


class Sampler:
    """The FIFO, word by word."""

    size = 0x100

    def __init__(self, depth: int = DEPTH) -> None:
        self._depth = depth // WORD
        self._pins: LocalPins | None = None
        self._samples = False
        self._rate = 0
        self._began = 0
        self._next = 0
        """The next word of the counter."""
        self._lost = self._given = 0

    def plug(self, pins: LocalPins) -> None:
        """Drive DREQ# of both channels."""
        self._pins = pins
        for channel in (0, 1):
            pins.demand(channel, self.ready)

    def ready(self) -> int:
        """Bytes in the FIFO."""
        if not self._samples:
            return 0
        if not self._rate or self._pins is None:
            return MIB
        made = (self._pins.now() - self._began) * self._rate * KIB // _NS_PER_S // WORD
        level = made - self._next
        if level > self._depth:
            over = level - self._depth
            self._lost += over
            self._next += over
            level = self._depth
        return level * WORD

    def read(self, offset: int, length: int) -> bytes:
        """Give the next word, or a register."""
        if offset < CONTROL:
            word = self._next & _MASK
            self._next += 1
            self._given += 1
            return word.to_bytes(max(length, WORD), "little")[:length]
        self.ready()
        value = {CONTROL: int(self._samples), RATE: self._rate, LOST: self._lost, GIVEN: self._given}.get(offset, 0)
        return (value & _MASK).to_bytes(4, "little")[:length].ljust(length, b"\0")

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Set a register."""
        value = int.from_bytes(data, "little")
        if offset == RATE:
            self._rate = value & _MASK
        elif offset == CONTROL:
            self._samples = bool(value & 1)
            _LOG.info(SAMPLES if self._samples else "samples no more")
            self._next = self._lost = self._given = 0
            self._began = self._pins.now() if self._pins is not None else 0

    def view(self, offset: int, length: int) -> memoryview | None:  # noqa: ARG002 (whatever it is)
        """Every access is one."""
        return None


class BulkSampler(Sampler):
    """The same with many words in one call."""

    def read_words(self, offset: int, width: int, count: int) -> bytes:
        """Give the next words."""
        if offset >= CONTROL or width != WORD:
            return b"".join(self.read(offset, width) for _ in range(count))
        words = np.arange(self._next, self._next + count, dtype=np.uint64).astype("<u4")
        self._next += count
        self._given += count
        return words.tobytes()

    def write_words(self, offset: int, width: int, data: memoryview) -> int:  # noqa: ARG002 (it has one answer)
        """Nothing is there to take them."""
        return len(data)


def sampler_board(target: Callable[[], LocalBusTarget] = BulkSampler) -> Board:
    """The card, on the default board's bridge."""
    windows = (Window("sampler", LocalAddr(0), target),)
    return replace(load_board(boards.DEFAULT), name="sampler", summary="a FIFO of counted words", windows=windows)


def main() -> None:
    """Serve the card until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket-path", type=Path, required=True)
    parser.add_argument("--libvfio-user", type=Path)
    parser.add_argument("--plane")
    parser.add_argument("--max-time-step", type=float, default=MAX_STEP_MS)
    parser.add_argument("--word-by-word", action="store_true")
    parser.add_argument("--depth", type=int, default=DEPTH // KIB, metavar="KIB")
    parser.add_argument("--summary", type=Path, help="as `plx9x5x serve` has it")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    kind = Sampler if args.word_by_word else BulkSampler
    board = sampler_board(partial(kind, args.depth * KIB))
    rule = TimeRule.of(scale=1.0, max_step_ms=args.max_time_step)

    def make(bus: BusMaster, irq: IrqLine) -> Chip:
        return Chip(board, bus=bus, irq=irq, clock=HostClock(rule), trace=trace)

    def keep(summary: dict[str, object]) -> None:
        with args.summary.open("a", encoding="utf-8") as file:
            file.write(json.dumps(summary) + "\n")

    trace = NullTrace() if args.summary is None else Room(logging.getLogger(__name__).warning, keep=keep)

    library = load_abi(args.libvfio_user or find_library())
    with LibvfioServer(args.socket_path, make, library=library, plane=args.plane) as server:
        signal.signal(signal.SIGTERM, lambda *_: server.stop())
        print("listening on", server.socket_path, flush=True)  # noqa: T201 (what a backend says)
        server.run()
        if isinstance(trace, Room):
            trace.conclude()


if __name__ == "__main__":
    main()
