# SPDX-License-Identifier: Apache-2.0
"""The code map: which modules the guest loaded, where, and how often each block of their code ran.

QEMU's plugin writes it into shared memory, and QEMU runs a guest that may be hostile: nothing in it is believed that
was not checked. What does not hold together is left out and counted (`CodeMap.refused`).

Shape (little endian): a header of 4096 bytes, then `max_modules` records of 128 bytes, then `max_blocks` of 32::

    header   char magic[8]; u32 version, pad; u64 max_modules, max_blocks, modules, blocks, modules_left_out,
             blocks_left_out
    module   u64 seq_in, seq_out (0: still there), core, core_size, init, init_size; char name[56]; pad
    block    u64 address; u32 bytes, instructions, module, 0; u64 executed

Units: addresses are the guest's virtual ones, sizes bytes, `seq` counts what the plugin recorded.
"""

import os
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"PLXCODE1"
VERSION: Final = 1
MAX_MODULES: Final = 1024
MAX_BLOCKS: Final = 65536
SIZE: Final = 4096 + MAX_MODULES * 128 + MAX_BLOCKS * 32
"""Bytes of a whole code map."""

_HEADER_BYTES: Final = 4096
_HEADER: Final = struct.Struct("<8sI4xQQQQQQ")
_MODULE: Final = struct.Struct("<QQQQQQ56s24x")
_BLOCK: Final = struct.Struct("<QIIIIQ")
_COUNTERS_AT: Final = 32
"""Where the header's four counts begin."""
_TOP: Final = 1 << 64
_MOST_TEXT: Final = 1 << 30
"""The kernel's area for modules is not larger."""
_NAME: Final = re.compile(rb"[\w.-]{1,55}", re.ASCII)


class BadCodeMap(Exception):
    """What is there is no code map; the text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """A module, for as long as it was loaded once. `left` is the count at which it went, None if it is still there."""

    name: str
    came: int
    left: int | None
    core: int
    core_size: int
    init: int
    init_size: int

    def holds(self, address: int) -> bool:
        """Whether its core or init text does."""
        return self.in_core(address) or self.init <= address < self.init + self.init_size

    def in_core(self, address: int) -> bool:
        """Whether the core text does, which is there as long as the module is."""
        return self.core <= address < self.core + self.core_size

    def was_there(self, seq: int) -> bool:
        """Whether it was loaded at that count."""
        return self.came <= seq and (self.left is None or seq <= self.left)


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions that QEMU translated as one: entered at `address` only, `executed` times."""

    address: int
    size: int
    instructions: int
    load: Load
    executed: int


@dataclass(frozen=True, slots=True)
class CodeMap:
    """What could be read. The plugin left `modules_left_out` and `blocks_left_out` for want of room."""

    loads: tuple[Load, ...] = ()
    blocks: tuple[Block, ...] = ()
    modules_left_out: int = 0
    blocks_left_out: int = 0
    refused: int = 0
    """Records that made no sense."""

    def load_at(self, pc: int, seq: int) -> Load | None:
        """Whose code was at that address then; None if no watched module's was.

        An init text is freed once its module has come up, and may be another's afterwards.
        """
        there = [load for load in self.loads if load.was_there(seq) and load.holds(pc)]
        return max(there, key=lambda load: (load.in_core(pc), load.came), default=None)


def read(fd: int) -> CodeMap:
    """Read the code map in the file `fd`, which may still be written. Raises: BadCodeMap."""
    pieces, at = [], 0
    try:
        # Read once, so that what is checked is what is used; not mapped, since QEMU could cut the file meanwhile.
        while at < SIZE and (piece := os.pread(fd, SIZE - at, at)):
            pieces.append(piece)
            at += len(piece)
    except OSError as exc:
        raise BadCodeMap(f"the code map cannot be read: {exc.strerror}") from exc
    return parse(b"".join(pieces))


def parse(data: bytes) -> CodeMap:
    """Read the bytes of a code map. Raises: BadCodeMap."""
    if len(data) < SIZE:
        raise BadCodeMap(f"the code map has {len(data)} bytes, not {SIZE}")
    magic, version, max_modules, max_blocks, modules, blocks, modules_out, blocks_out = _HEADER.unpack_from(data)
    if (magic, version, max_modules, max_blocks) != (MAGIC, VERSION, MAX_MODULES, MAX_BLOCKS):
        raise BadCodeMap("the code map's header is not what was written there")
    refused = max(modules - MAX_MODULES, 0) + max(blocks - MAX_BLOCKS, 0)
    loads = [_load(data, index) for index in range(min(modules, MAX_MODULES))]
    kept: list[Block] = []
    blocks_from = _HEADER_BYTES + MAX_MODULES * _MODULE.size
    records = data[blocks_from : blocks_from + min(blocks, MAX_BLOCKS) * _BLOCK.size]
    for address, length, instructions, index, _, executed in _BLOCK.iter_unpack(records):
        load = loads[index] if index < len(loads) else None
        if load is None or not _is_block(load, address, length, instructions):
            refused += 1
        else:
            kept.append(Block(address, length, instructions, load, executed))
    known = tuple(load for load in loads if load is not None)
    return CodeMap(known, tuple(kept), modules_out, blocks_out, refused + len(loads) - len(known))


def _load(data: bytes, index: int) -> Load | None:
    """The module record of that number; None for one that cannot be."""
    fields = _MODULE.unpack_from(data, _HEADER_BYTES + index * _MODULE.size)
    came, left, core, core_size, init, init_size, raw = fields
    name = raw.partition(b"\0")[0]
    if not _NAME.fullmatch(name) or not came or (left and left < came):
        return None
    for base, size in ((core, core_size), (init, init_size)):
        if size > _MOST_TEXT or base + size > _TOP:
            return None
    return Load(name.decode("ascii"), came, left or None, core, core_size, init, init_size)


def _is_block(load: Load, address: int, length: int, instructions: int) -> bool:
    """Whether a block can be one of that module's: it begins and ends in one of its texts."""
    if not length or not 0 < instructions <= length:
        return False
    return any(
        base <= address and address + length <= base + size
        for base, size in ((load.core, load.core_size), (load.init, load.init_size))
    )


class CodeMapWriter:
    """Writes a code map as the plugin does, into a file of `SIZE` bytes that it makes so: for tests."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._modules = self._blocks = 0
        prepare(fd)

    def load(self, load: Load) -> int:
        """Add a module; give its index."""
        text = _MODULE.pack(
            load.came, load.left or 0, load.core, load.core_size, load.init, load.init_size, load.name.encode("ascii")
        )
        index = self._modules
        os.pwrite(self._fd, text, _HEADER_BYTES + index * _MODULE.size)
        self._modules += 1
        self._count()
        return index

    def blocks(self, index: int, blocks: Iterable[tuple[int, int, int, int]]) -> None:
        """Add blocks (address, bytes, instructions, executed) of the module of that index."""
        for address, length, instructions, executed in blocks:
            text = _BLOCK.pack(address, length, instructions, index, 0, executed)
            os.pwrite(self._fd, text, _HEADER_BYTES + MAX_MODULES * _MODULE.size + self._blocks * _BLOCK.size)
            self._blocks += 1
        self._count()

    def _count(self) -> None:
        os.pwrite(self._fd, struct.pack("<QQ", self._modules, self._blocks), _COUNTERS_AT)


def prepare(fd: int) -> None:
    """Make the file `fd` an empty code map: what QEMU is given to write into."""
    os.ftruncate(fd, SIZE)
    os.pwrite(fd, _HEADER.pack(MAGIC, VERSION, MAX_MODULES, MAX_BLOCKS, 0, 0, 0, 0), 0)
