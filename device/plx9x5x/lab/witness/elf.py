# SPDX-License-Identifier: Apache-2.0
"""A kernel module's file as sections and symbols, and its debug information with addresses filled in.

A module is a relocatable object: each section begins at address 0, and what debug information says of an address is a
relocation. `relocated` gives the file with its debug sections as they would be if each section of code lay at an
address of its own; what reads them afterwards tells the sections apart.

Source: ELF-64 Object File Format 1.5; System V ABI, AMD64 supplement 1.0 (relocation types).
"""

import gzip
import lzma
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_COMPRESSED = 0x1, 0x2, 0x4, 0x800
SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
STT_FUNC: Final = 2

_MOST: Final = 256 << 20
"""Bytes of a module's file, and of all its sections unpacked."""
LITTLE_64: Final = b"\x7fELF\x02\x01"
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_COMPRESSED: Final = struct.Struct("<IIQQ")
_ZLIB: Final = 1
_SYMBOL: Final = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_RELOCATION: Final = np.dtype([("at", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_ABSOLUTE: Final = {1: 8, 10: 4, 11: 4}
"""Bytes that R_X86_64_64, R_X86_64_32 and R_X86_64_32S fill."""

Table = npt.NDArray[Any]


class BadElf(Exception):
    """The file is no module that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section's header."""

    index: int
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    address: int = 0
    """Where it runs; 0 in a module's file."""

    @property
    def holds_code(self) -> bool:
        """Whether the kernel loads it to be executed."""
        return self.flags & (SHF_ALLOC | SHF_EXECINSTR) == SHF_ALLOC | SHF_EXECINSTR


@dataclass(frozen=True, slots=True)
class Elf:
    """A module's file. `symbols` and each table of `relocations` (by the section that they fill) are records."""

    data: bytes
    sections: tuple[Section, ...]
    symbols: Table
    names: bytes
    """Of the symbols."""

    def name_of(self, symbol: int) -> str:
        """A symbol's name; '' if it has none."""
        if not 0 <= symbol < len(self.symbols):
            return ""
        return _string(self.names, int(self.symbols["name"][symbol]))

    def contents(self, section: int) -> bytes:
        """A section's bytes, as far as the file has them."""
        return _bytes_of(self.data, self.sections[section].offset, self.sections[section].size)

    def relocations(self, section: int) -> Table:
        """Those of a section, in the file's order."""
        tables = (it for it in self.sections if it.type == SHT_RELA and it.info == section)
        mine = [_records(self.data, it, _RELOCATION) for it in tables]
        return np.concatenate(mine) if mine else np.zeros(0, _RELOCATION)


def read(path: Path) -> bytes:
    """Give a module's bytes, unpacked if it is a .ko.xz or .ko.gz. Raises: BadElf."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        elif path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as exc:
        raise BadElf(f"{path} cannot be read: {exc}") from exc
    if len(data) > _MOST:
        raise BadElf(f"{path} is larger than a module can be")
    return data


def sections(data: bytes) -> tuple[Section, ...]:
    """What a file is made of: a module's, a program's or a kernel's. Raises: BadElf."""
    if not data.startswith(LITTLE_64) or len(data) < 64:
        raise BadElf("no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", data, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    if entry_size != _SECTION.size or table + count * entry_size > len(data) or names_index >= count:
        raise BadElf("its table of sections is cut off")
    headers = list(_SECTION.iter_unpack(data[table : table + count * entry_size]))
    names = _bytes_of(data, headers[names_index][4], headers[names_index][5])
    return tuple(
        Section(index, _string(names, name), type_, flags, offset, size, link, info, align, address)
        for index, (name, type_, flags, address, offset, size, link, info, align, _) in enumerate(headers)
    )


def parse(data: bytes) -> Elf:
    """Take a module's file apart. Raises: BadElf."""
    found = sections(data)
    symbols, strings = np.zeros(0, _SYMBOL), b""
    for section in found:
        if section.type == SHT_SYMTAB and section.link < len(found):
            symbols = _records(data, section, _SYMBOL)
            strings = _bytes_of(data, found[section.link].offset, found[section.link].size)
            break
    return Elf(data, found, symbols, strings)


def relocated(elf: Elf, bases: Mapping[int, int]) -> bytes:
    """Give the file with its debug sections unpacked, and relocated as if section i lay at `bases[i]` (else at 0).

    Relocations of kinds that debug information has no use for, and those that point nowhere, are left out.
    """
    moved = _values(elf, bases)
    image = bytearray(elf.data)
    (table,) = struct.unpack_from("<Q", elf.data, 0x28)
    left = _MOST
    for section in elf.sections:
        if not section.name.startswith(".debug_") or section.flags & SHF_ALLOC:
            continue
        whole = _unpacked(elf.data, section, left)
        left -= len(whole)
        fresh = _filled(whole, elf.relocations(section.index), moved)
        offset = section.offset
        if section.flags & SHF_COMPRESSED:
            offset = len(image)
            image += fresh
        else:
            image[offset : offset + len(fresh)] = fresh
        at = table + section.index * _SECTION.size
        struct.pack_into("<QQQQ", image, at + 8, section.flags & ~SHF_COMPRESSED, 0, offset, len(fresh))
    return bytes(image)


def _values(elf: Elf, bases: Mapping[int, int]) -> npt.NDArray[np.int64]:
    """Each symbol's value with the base of its section."""
    base_of = np.zeros(1 << 16, np.int64)
    for index, base in bases.items():
        base_of[index] = base
    moved: npt.NDArray[np.int64] = elf.symbols["value"].astype(np.int64) + base_of[elf.symbols["section"]]
    return moved


def _filled(section: bytes, relocations: Table, values: npt.NDArray[np.int64]) -> bytes:
    """A section with its relocations applied."""
    data = np.frombuffer(section, np.uint8).copy()
    for kind, width in _ABSOLUTE.items():
        mine = relocations[relocations["type"] == kind]
        mine = mine[(mine["symbol"] < len(values)) & (mine["at"] + width <= len(data)) & (mine["at"] < len(data))]
        filled = values[mine["symbol"]] + mine["addend"]
        where = mine["at"].astype(np.int64)[:, None] + np.arange(width)
        data[where] = filled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    return data.tobytes()


def _unpacked(data: bytes, section: Section, most: int) -> bytes:
    """A section's bytes; those of one that cannot be unpacked within `most` bytes are none."""
    raw = _bytes_of(data, section.offset, section.size)
    if not section.flags & SHF_COMPRESSED:
        return raw
    if len(raw) < _COMPRESSED.size:
        return b""
    kind, _, size, _ = _COMPRESSED.unpack_from(raw)
    if kind != _ZLIB or size > most:
        return b""
    try:
        return zlib.decompressobj().decompress(raw[_COMPRESSED.size :], size)
    except zlib.error:
        return b""


def _records(data: bytes, section: Section, kind: "np.dtype[np.void]") -> Table:
    raw = _bytes_of(data, section.offset, section.size)
    whole = len(raw) - len(raw) % kind.itemsize
    return np.frombuffer(raw[:whole], kind) if whole else np.zeros(0, kind)


def _bytes_of(data: bytes, offset: int, size: int) -> bytes:
    return data[offset : offset + size]


def _string(table: bytes, at: int) -> str:
    """A string as far as it can be shown: what is not printable is escaped."""
    return text(table[at : max(table.find(b"\0", at), at)])


def text(raw: bytes) -> str:
    """Bytes of a file that is not ours, for people: what a terminal would obey is escaped."""
    shown = raw.decode("utf-8", "backslashreplace")
    return shown if shown.isprintable() else "".join(it if it.isprintable() else f"\\x{ord(it):02x}" for it in shown)


def code_symbols(elf: Elf, section: int) -> Sequence[tuple[int, int, str]]:
    """Give functions of a section: offset, size and name, by offset; of several at one place the first with a size."""
    table = elf.symbols
    mine = np.flatnonzero((table["section"] == section) & (table["info"] & 0xF == STT_FUNC))
    found: dict[int, tuple[int, int, str]] = {}
    for index in mine:
        offset, size = int(table["value"][index]), int(table["size"][index])
        name = elf.name_of(int(index))
        # init_module and cleanup_module are the kernel's other names for what the driver calls otherwise.
        before = found.get(offset)
        if name and (before is None or before[2] in ("init_module", "cleanup_module")):
            found[offset] = (offset, size, name)
    return sorted(found.values())
