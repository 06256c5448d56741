# SPDX-License-Identifier: Apache-2.0
"""A guest that the witness's plugin watches, read here without the server's half: records as they come, and the map.

Who serves a card tells the plugin where its BARs are; here QEMU's monitor says it, so that the plugin is tested alone.
"""

import contextlib
import mmap
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from plx9x5x import boards
from plx9x5x.lab.card.backend import board_backend
from plx9x5x.lab.guest import sources as guest_sources
from plx9x5x.lab.guest.image import GuestImage
from plx9x5x.lab.guest.launch import prepared
from plx9x5x.lab.guest.machine import vfio_user_pci
from plx9x5x.lab.guest.qmp import Qmp
from plx9x5x.lab.guest.shapes import Shape
from plx9x5x.lab.host.symptoms import Oops
from plx9x5x.lab.report.ktap import Report
from plx9x5x.lab.toolchain import Toolchain
from plx9x5x.lab.witness.attach import QemuWitness, attached, prepare
from plx9x5x.transport.choice import AUTO, choose

SLOT = 0x10
DEVICE = f"0000:00:{SLOT:02x}.0"
HEAD = 4096
BAR_AT, BAR_BYTES = 256, 24
RECORD = struct.Struct("<QBBHIQ8Q40s")
MODULE, BLOCK = struct.Struct("<6Q56s24x"), struct.Struct("<QIIIIQ")
ACCESS, ALLOC, FREE, MAP, UNMAP, SYNC, MASK, MASTER, IRQ = range(1, 10)
POOL_CREATE, POOL_ALLOC, POOL_FREE, POOL_DESTROY, MODULE_IS, TOUCH, CONFIG = range(10, 17)


class Record(NamedTuple):
    """One record of a ring."""

    seq: int
    kind: int
    flags: int
    cpu: int
    width: int
    pc: int
    a: tuple[int, ...]
    text: str

    @classmethod
    def of(cls, raw: bytes) -> "Record":
        seq, kind, flags, cpu, width, pc, *a, text = RECORD.unpack(raw)
        return cls(seq, kind, flags, cpu, width, pc, tuple(a), text.partition(b"\0")[0].decode("ascii"))


class Module(NamedTuple):
    """A module in the code map."""

    seq_in: int
    seq_out: int
    core: int
    core_size: int
    init: int
    init_size: int
    name: str


class Block(NamedTuple):
    """A block in the code map."""

    address: int
    size: int
    instructions: int
    module: int
    executed: int


@dataclass
class Watched:
    """What came of a guest."""

    report: Report
    console: tuple[str, ...]
    trace: Path
    oopses: tuple[Oops, ...]
    seconds: float
    lost: int
    unreturned: int
    state: int
    shows_sync: bool
    records: list[Record] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    bars: dict[int, tuple[int, int, bool]] = field(default_factory=dict)

    def of(self, kind: int) -> list[Record]:
        return [record for record in self.records if record.kind == kind]

    def accesses(self) -> list[tuple[str, int, int, int, int | None]]:
        """As the server's trace has them: R or W, BAR, offset, width, value; None for what IN gave."""
        found = []
        for record in self.of(ACCESS):
            port = bool(record.flags & 2)
            bar, base = next(
                (bar, base)
                for bar, (base, size, is_port) in self.bars.items()
                if is_port == port and 0 <= record.a[0] - base < size
            )
            write = record.flags & 1
            value = None if port and not write else record.a[1]
            found.append(("W" if write else "R", bar, record.a[0] - base, record.width, value))
        return found


class _Reader(threading.Thread):
    """Takes the records of a ring while the guest runs, and tells it the BARs."""

    def __init__(self, fd: int, qmp: Qmp, *, drain: bool) -> None:
        super().__init__()
        self._map = mmap.mmap(fd, 0)
        self._qmp = qmp
        self._drain = drain
        self._ended = threading.Event()
        self.raw: list[bytes] = []
        self.bars: dict[int, tuple[int, int, bool]] = {}

    def run(self) -> None:
        asked, told = 0.0, False
        while not self._ended.wait(0.005):
            self.take()
            if not told and time.monotonic() - asked > 0.05:
                told = self._tell_bars()
                asked = time.monotonic()

    def take(self) -> None:
        capacity, head, tail = struct.unpack_from("<3Q", self._map, 16)
        while self._drain and tail < head:
            at = HEAD + tail % capacity * RECORD.size
            self.raw.append(self._map[at : at + RECORD.size])
            tail += 1
        struct.pack_into("<Q", self._map, 32, tail if self._drain else 0)

    def _tell_bars(self) -> bool:
        """Tell those that the guest has placed; False while one has no place."""
        said = self._qmp.execute("query-pci", {})
        assert isinstance(said, list)
        card = next(card for bus in said for card in bus["devices"] if card["slot"] == SLOT)
        for region in card["regions"]:
            if region["address"] > 0 and region["bar"] not in self.bars:
                bar, port = region["bar"], region["type"] == "io"
                at = BAR_AT + BAR_BYTES * bar
                struct.pack_into("<I", self._map, at + 16, port)
                struct.pack_into("<Q", self._map, at, region["address"])
                struct.pack_into("<Q", self._map, at + 8, region["size"])
                self.bars[bar] = (region["address"], region["size"], port)
        return len(self.bars) == len(card["regions"])

    def finish(self) -> None:
        self._ended.set()
        self.join()
        self.take()

    def counts(self) -> tuple[int, int, int]:
        lost, unreturned, state = struct.unpack_from("<QQI", self._map, 40)
        return lost, unreturned, state


def watched(
    tc: Toolchain,
    image: GuestImage,
    *,
    logs: Path,
    shape: Shape,
    watch: tuple[str, ...],
    processors: int = 1,
    drain: bool = True,
    records: int = 1 << 16,
    timeout_s: float = 240,
) -> Watched:
    """Boot it with the project's default board at SLOT; nobody takes the records unless `drain`."""
    carrier = choose(AUTO, has_library=True, many_mappings=shape.needs_many_mappings)
    backend = board_backend(
        boards.DEFAULT,
        libvfio_user=tc.libvfio_user,
        transport=carrier.transport.value,
        trace=logs / "trace",
        summary=logs / "findings.jsonl",
    )
    made = prepare(tc, guest_sources.find().witness)
    with contextlib.ExitStack() as stack:
        witness = stack.enter_context(attached(made, devices=(DEVICE,), watch=watch, records=records))
        ready = stack.enter_context(prepared(tc, image, backend=backend, logs=logs))
        qmp = stack.enter_context(Qmp())
        assert ready.server is not None
        vm = stack.enter_context(
            ready.boot(
                devices=(vfio_user_pci(ready.server.socket_path, address=f"{SLOT:x}.0"),),
                logs=logs,
                timeout_s=timeout_s,
                shape=shape,
                processors=processors,
                qmp=qmp,
                witness=witness,
            )
        )
        reader = _Reader(witness.rings[0], qmp, drain=drain)
        reader.start()
        try:
            report = vm.run_ktap()
            seconds = vm.seconds
        finally:
            reader.finish()
        vm.end()
        console = (logs / "serial.log").read_text(errors="replace").splitlines()
        result = Watched(
            report, tuple(console), logs / "trace", vm.oopses, seconds, *reader.counts(), witness.facts.shows_sync
        )
        result.bars = reader.bars
        result.records = [Record.of(raw) for raw in reader.raw]
        result.modules, result.blocks = _code(witness)
        return result


def _code(witness: QemuWitness) -> tuple[list[Module], list[Block]]:
    with mmap.mmap(witness.code, 0) as code:
        most, _, modules, blocks = struct.unpack_from("<4Q", code, 16)
        at = HEAD + most * MODULE.size
        return (
            [_module(MODULE.unpack_from(code, HEAD + MODULE.size * n)) for n in range(modules)],
            [_block(BLOCK.unpack_from(code, at + BLOCK.size * n)) for n in range(blocks)],
        )


def _module(raw: tuple[Any, ...]) -> Module:
    return Module(*raw[:6], raw[6].partition(b"\0")[0].decode("ascii"))


def _block(raw: tuple[int, ...]) -> Block:
    address, size, instructions, module, _, executed = raw
    return Block(address, size, instructions, module, executed)


def traced(trace: Path) -> Iterator[tuple[str, int, int, int, int]]:
    """Accesses that the server saw: R or W, BAR, offset, width, value."""
    with trace.open() as lines:
        for line in lines:
            words = line.partition(" ;")[0].split()
            if len(words) == 6 and words[1] in ("R", "W"):
                _, what, bar, offset, width, value = words
                yield what, int(bar), int(offset, 16), int(width), int(value, 16)
