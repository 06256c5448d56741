# SPDX-License-Identifier: Apache-2.0
"""What stands in a kernel's boot image: its ELF file, its sections, the addresses of what it exports.

Sources: the kernel's Documentation/arch/x86/boot.rst (setup_sects, payload_offset, payload_length),
include/linux/export-internal.h (__ksymtab: three PC-relative words), LZ4's lz4_Frame_format.md (legacy frames).
"""

import gzip
import io
import lzma
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import lz4.block
import zstandard

from plx9x5x.errors import BadRequest
from plx9x5x.lab.witness import elf
from plx9x5x.lab.witness.elf import BadElf
from plx9x5x.units import MIB

MAX_IMAGE: Final = 256 * MIB
"""Larger than any kernel; a made-up image cannot ask for more memory than that."""
_BOOT_MAGIC: Final = b"HdrS"
_LZ4_LEGACY: Final = b"\x02\x21\x4c\x18"
_LZ4_BLOCK: Final = 8 * MIB
_KSYMTAB_ENTRY: Final = 12
_MAX_SECTIONS: Final = 4096
_MAX_NAME: Final = 512
_WORD: Final = 2**64 - 1
_DAMAGED: Final = (
    *(OSError, EOFError, ValueError, struct.error),
    *(zlib.error, lzma.LZMAError, zstandard.ZstdError, lz4.block.LZ4BlockError),
)


class UnreadableKernel(BadRequest):
    """The file is no kernel image that can be read; the message says what it lacks."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the ELF file: where it runs, and its bytes."""

    name: str
    address: int
    data: memoryview


class KernelImage:
    """A kernel's ELF file. Raises: UnreadableKernel if it is none, or if it is damaged."""

    def __init__(self, image: bytes) -> None:
        self._sections: Mapping[str, Section] = {section.name: section for section in _sections(image)}

    @classmethod
    def of(cls, image: bytes) -> "KernelImage":
        """The kernel of a bzImage, or of an ELF file as it is. Raises: UnreadableKernel."""
        return cls(image if image[: len(elf.LITTLE_64)] == elf.LITTLE_64 else unpacked(image))

    def section(self, name: str) -> Section | None:
        """The section of that name."""
        return self._sections.get(name)

    def text(self) -> tuple[int, int]:
        """First address and end of what the image occupies, where modules are not. Raises: UnreadableKernel."""
        loaded = [s for s in self._sections.values() if s.address >= 1 << 63]
        if not loaded:
            raise UnreadableKernel("the kernel has no section at a kernel's addresses")
        return min(s.address for s in loaded), max(s.address + len(s.data) for s in loaded)

    def exported(self) -> dict[str, int]:
        """The address of each symbol that modules can use. Raises: UnreadableKernel if there is no table of them."""
        found: dict[str, int] = {}
        for table in ("__ksymtab", "__ksymtab_gpl"):
            section = self.section(table)
            if section is None:
                raise UnreadableKernel(f"the kernel has no section {table}")
            for at in range(0, len(section.data) - _KSYMTAB_ENTRY + 1, _KSYMTAB_ENTRY):
                value, name = struct.unpack_from("<ii", section.data, at)
                if text := self._text_at(section.address + at + 4 + name):
                    found[text] = (section.address + at + value) & _WORD
        return found

    def _text_at(self, address: int) -> str:
        """The string at a run-time address, '' if there is none."""
        for section in self._sections.values():
            if 0 <= address - section.address < len(section.data):
                raw = bytes(section.data[address - section.address :][:_MAX_NAME])
                return raw.partition(b"\0")[0].decode("ascii", errors="replace")
        return ""


def unpacked(image: bytes) -> bytes:
    """The ELF file that a bzImage carries. Raises: UnreadableKernel."""
    if len(image) < 0x250 or image[0x202:0x206] != _BOOT_MAGIC:
        raise UnreadableKernel("it is neither a bzImage nor an ELF file")
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = ((image[0x1F1] or 4) + 1) * 512 + offset
    payload = image[start : start + length]
    if not length or len(payload) < length:
        raise UnreadableKernel("the bzImage ends before its payload does")
    return _inflated(payload)


def _inflated(payload: bytes) -> bytes:
    """By the formats that Debian's kernels, and most others, use."""
    limit = MAX_IMAGE + 1
    try:
        if payload[:4] == _LZ4_LEGACY:
            plain = b"".join(_lz4_blocks(payload))
        elif payload[:4] == b"\x28\xb5\x2f\xfd":
            plain = zstandard.ZstdDecompressor().stream_reader(payload).read(limit)
        elif payload[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(payload)) as file:
                plain = file.read(limit)
        elif payload[:6] == b"\xfd7zXZ\0":
            plain = lzma.LZMADecompressor(memlimit=MAX_IMAGE).decompress(payload, limit)
        elif payload[: len(elf.LITTLE_64)] == elf.LITTLE_64:
            plain = payload
        else:
            raise UnreadableKernel(
                f"its compression is not known (it begins with {payload[:4].hex()}; gzip, xz, lz4 and zstd are)"
            )
    except _DAMAGED as exc:
        raise UnreadableKernel(f"its payload is damaged: {exc}") from exc
    if len(plain) > MAX_IMAGE:
        raise UnreadableKernel(f"it is larger than {MAX_IMAGE // MIB} MiB")
    return plain


def _lz4_blocks(payload: bytes) -> Iterator[bytes]:
    """A legacy frame's blocks; the build puts the size of all after them, which is no block."""
    at, total = 4, 0
    while at + 4 < len(payload) and total <= MAX_IMAGE:
        (size,) = struct.unpack_from("<I", payload, at)
        at += 4
        block = lz4.block.decompress(payload[at : at + size], uncompressed_size=_LZ4_BLOCK)
        yield block
        at, total = at + size, total + len(block)


def _sections(image: bytes) -> Iterator[Section]:
    """Every section with bytes in the file. Raises: UnreadableKernel."""
    if image[: len(elf.LITTLE_64)] != elf.LITTLE_64:
        raise UnreadableKernel("it holds no 64-bit ELF file")
    try:
        found = elf.sections(image)
    except BadElf as exc:
        raise UnreadableKernel("its table of sections is damaged") from exc
    if len(found) > _MAX_SECTIONS:
        raise UnreadableKernel("its table of sections is damaged")
    whole = memoryview(image)
    for it in found:
        if it.type != elf.SHT_NOBITS:
            yield Section(it.name, it.address, whole[it.offset :][: it.size])
