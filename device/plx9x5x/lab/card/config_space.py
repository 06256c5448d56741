# SPDX-License-Identifier: Apache-2.0
"""PCI configuration space as 256 bytes: taken from a device, filled in as an operating system does, printed as text.

Source: PCI Local Bus Specification 2.2, chapter 6; pciutils, lspci(8) for the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from plx9x5x.units import KIB

SIZE: Final = 256
SLOT: Final = "00:04.0"
"""Where a device stands in our own text: anything will do."""

COMMAND: Final = 0x04
CACHE_LINE: Final = 0x0C
LATENCY: Final = 0x0D
BARS: Final = tuple(range(0x10, 0x28, 4))
ROM: Final = 0x30
INTERRUPT_LINE: Final = 0x3C
INTERRUPT_PIN: Final = 0x3D

_IO: Final = 1
_COMMAND_ON: Final = 0x7
ROM_ADDRESS: Final = 0xFFFF_F800
_MEMORY_ADDRESS: Final = 0xFFFF_FFF0
_IO_ADDRESS: Final = 0xFFFF_FFFC
_ALL_ONES: Final = 0xFFFF_FFFF

_MEMORY_FROM: Final = 0xFE00_0000
_PAGE: Final = 4 * KIB
_IO_FROM: Final = 0xC000
_LINE: Final = 11
# Linux raises a smaller one to this when a driver turns bus mastering on (drivers/pci/pci.c, pcibios_set_master).
_LATENCY: Final = 64

_SLOT_LINE: Final = re.compile(r"((?:[0-9a-f]{4,}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) ")
_HEX_LINE: Final = re.compile(r"([0-9a-f]{2,3}):((?: [0-9a-f]{2}){16})\s*")


class HasConfig(Protocol):
    """A device, as far as this goes."""

    def config_read(self, offset: int, width: int) -> int:
        """Read `width` bytes, little-endian."""
        ...

    def config_write(self, offset: int, width: int, data: int) -> None:
        """Write the low `width` bytes of `data`."""
        ...


@dataclass(frozen=True, slots=True)
class Owned:
    """A register of the header that only software writes."""

    name: str
    offset: int
    width: int

    def of(self, image: bytes) -> int:
        """Its value in a dump."""
        return int.from_bytes(image[self.offset : self.offset + self.width], "little")


OWNED: Final = (
    *(Owned(f"BAR{index}", offset, 4) for index, offset in enumerate(BARS)),
    Owned("expansion ROM", ROM, 4),
    Owned("cache line size", CACHE_LINE, 1),
    Owned("latency timer", LATENCY, 1),
    Owned("interrupt line", INTERRUPT_LINE, 1),
    Owned("command", COMMAND, 2),
)
"""In the order to write them: nothing may decode before it has its address."""


def dump(device: HasConfig) -> bytes:
    """The whole of it, as a driver reads it."""
    return b"".join(device.config_read(offset, 4).to_bytes(4, "little") for offset in range(0, SIZE, 4))


def give(device: HasConfig, image: bytes) -> None:
    """Write into the device what software had written where `image` was taken."""
    for register in OWNED:
        device.config_write(register.offset, register.width, register.of(image))


def assign(device: HasConfig) -> None:
    """Size the BARs and give them addresses, the biggest first; then the rest of what a driver finds in its probe."""
    free = {True: _IO_FROM, False: _MEMORY_FROM}
    for size, offset, is_io in sorted(_probe(device), reverse=True):
        address = -(-free[is_io] // size) * size
        device.config_write(offset, 4, address)
        # A page of its own for each memory BAR, so that one can be mapped without its neighbour.
        free[is_io] = address + (size if is_io else max(size, _PAGE))
    if device.config_read(INTERRUPT_PIN, 1):
        device.config_write(INTERRUPT_LINE, 1, _LINE)
    device.config_write(LATENCY, 1, _LATENCY)
    device.config_write(COMMAND, 2, _COMMAND_ON)


def _probe(device: HasConfig) -> Iterator[tuple[int, int, bool]]:
    """Size, offset and kind (is it I/O) of each BAR and the expansion ROM, found as software does: by writing ones."""
    for offset in (*BARS, ROM):
        # Not bit 0 of the ROM's: it is an enable.
        device.config_write(offset, 4, ROM_ADDRESS if offset == ROM else _ALL_ONES)
        value = device.config_read(offset, 4)
        is_io = offset != ROM and bool(value & _IO)
        if address := value & (_IO_ADDRESS if is_io else _MEMORY_ADDRESS):
            yield _ALL_ONES - address + 1, offset, is_io


def hex_lines(image: bytes) -> str:
    """Sixteen bytes a line, as lspci -xxx."""
    return "".join(f"{at:02x}: {image[at : at + 16].hex(' ')}\n" for at in range(0, len(image), 16))


def lspci_text(image: bytes, *, slot: str = SLOT) -> str:
    """What `lspci -n -xxx` prints of one device; `lspci -F` reads it."""
    vendor, device, class_ = (int.from_bytes(image[at : at + 2], "little") for at in (0x00, 0x02, 0x0A))
    revision = f" (rev {image[0x08]:02x})" if image[0x08] else ""
    return f"{slot} {class_:04x}: {vendor:04x}:{device:04x}{revision}\n{hex_lines(image)}\n"


def from_lspci(text: str) -> dict[str, bytes]:
    """The bytes of each device, by its slot, in the output of lspci -x and more; other lines do not matter.

    Raises: ValueError for hex lines that are not one device's, each after the other from 0.
    """
    found: dict[str, bytes] = {}
    slot = ""
    for number, line in enumerate(text.splitlines(), 1):
        if match := _SLOT_LINE.match(line):
            slot = match[1]
            found[slot] = b""
        elif match := _HEX_LINE.fullmatch(line):
            if slot not in found or len(found[slot]) != int(match[1], 16):
                raise ValueError(f"line {number} is out of place: {line}")
            found[slot] += bytes.fromhex(match[2])
    return found
