# SPDX-License-Identifier: Apache-2.0
"""Configuration space of a plain PCI function, as a value that a device of one's own has: header type 0, no capability.

Source: PCI Local Bus Specification 2.2, 6.1 and 6.2.
"""

from collections.abc import Sequence
from typing import Final

from plx9x5x.ports import RegionSpec

_SIZE: Final = 256
_COMMAND, _CLASS, _BASES, _SUBSYSTEM, _LINE, _PIN = 0x04, 0x08, 0x10, 0x2C, 0x3C, 0x3D
_IO, _MEMORY, _MASTER = 1, 2, 4
_PARITY_AND_SERR: Final = 0x0140
"""Bits of the command register that a driver may set and that mean nothing here."""
_PREFETCHABLE: Final = 8


class ConfigSpace:
    """256 bytes: identity, the command register, base addresses, the interrupt's pin and line.

    `class_code` has 24 bits (class, subclass, interface); `subsystem` is (vendor, device). The BARs are those of
    `regions`, 32 bits wide; `prefetchable` ones may be read ahead. `interrupt_pin` is 1 for INTA#, 0 for none.
    """

    def __init__(
        self,
        *,
        vendor: int,
        device: int,
        regions: Sequence[RegionSpec],
        class_code: int = 0xFF_00_00,
        revision: int = 0,
        subsystem: tuple[int, int] = (0, 0),
        interrupt_pin: int = 1,
        prefetchable: Sequence[int] = (),
    ) -> None:
        self._reset: Final = bytearray(_SIZE)
        self._writable: Final = bytearray(_SIZE)
        self._put(0, 2, vendor)
        self._put(2, 2, device)
        self._put(_CLASS, 4, class_code << 8 | revision)
        self._put(_SUBSYSTEM, 2, subsystem[0])
        self._put(_SUBSYSTEM + 2, 2, subsystem[1])
        self._put(_PIN, 1, interrupt_pin)
        self._writable[_LINE] = 0xFF
        command = _PARITY_AND_SERR | _MASTER
        for bar, spec in enumerate(regions):
            if not spec.size:
                continue
            command |= _IO if spec.is_io else _MEMORY
            kind = 1 if spec.is_io else _PREFETCHABLE if bar in prefetchable else 0
            self._put(_BASES + 4 * bar, 4, kind, writable=-spec.size & 0xFFFF_FFFF)
        self._put(_COMMAND, 2, 0, writable=command)
        self._bytes = bytearray(self._reset)

    def _put(self, at: int, width: int, value: int, *, writable: int = 0) -> None:
        """Say what is there after a reset, and which bits software can write. Raises: OverflowError."""
        self._reset[at : at + width] = value.to_bytes(width, "little")
        self._writable[at : at + width] = writable.to_bytes(width, "little")

    @property
    def memory(self) -> bool:
        """BARs in memory decode."""
        return bool(self._bytes[_COMMAND] & _MEMORY)

    @property
    def io(self) -> bool:
        """BARs in I/O decode."""
        return bool(self._bytes[_COMMAND] & _IO)

    @property
    def master(self) -> bool:
        """It may master the bus."""
        return bool(self._bytes[_COMMAND] & _MASTER)

    def read(self, offset: int, width: int) -> int:
        """Read `width` bytes; beyond the end there are zeros."""
        return int.from_bytes(self._bytes[offset : offset + width], "little")

    def write(self, offset: int, width: int, data: int) -> None:
        """Write `width` bytes, as far as software can."""
        for at in range(offset, min(offset + width, _SIZE)):
            may = self._writable[at]
            self._bytes[at] = self._bytes[at] & ~may | data >> 8 * (at - offset) & may

    def reset(self) -> None:
        """Go back to the power-on state."""
        self._bytes[:] = self._reset
