# SPDX-License-Identifier: Apache-2.0
"""A CAN frame as it is on the wire: its arbitration field, and how many bits it takes.

Source: CAN specification 2.0 (Bosch, 1991), part B: frame formats, CRC sequence, bit stuffing.
"""

from dataclasses import dataclass
from typing import Final

_CRC_POLYNOMIAL: Final = 0x4599
_CRC_BITS: Final = 15
_LONGEST_RUN: Final = 5

MOST_DATA: Final = 8
"""Data bytes, whatever the length code says."""
INTERMISSION: Final = 3
"""Recessive bits between two frames."""
BUS_FREE: Final = 11
"""Recessive bits after which a controller knows that the bus is free."""
ERROR_FRAME: Final = 14
"""Six bits of error flag, eight of delimiter; two flags that overlap would take up to six more."""
SUSPEND: Final = 8
"""Bits that an error passive transmitter waits after the intermission."""
TAIL: Final = 2 + 1 + 7
"""Bits without stuffing: CRC delimiter and acknowledge slot, acknowledge delimiter, end of frame."""
_ARBITRATION_BITS: Final = 32
_STANDARD_BITS: Final = 13
"""Of the arbitration field in a standard frame: 11 of the identifier, RTR, IDE."""
_CODE_BITS: Final = 4
_BASE_AT: Final = 21
_REMOTE_AT: Final = 20
_EXTENDED_AT: Final = 19
_LOW_BITS: Final = 18


@dataclass(frozen=True, slots=True)
class Frame:
    """A data or remote frame.

    `identifier` has 11 bits, or 29 if `extended`; `code` is the data length code, 0 to 15, as it is sent; `data` holds
    the bytes that are: none of a remote frame, and never more than eight.
    """

    identifier: int
    extended: bool
    remote: bool
    code: int
    data: bytes

    @property
    def arbitration(self) -> int:
        """The 32 bits by which nodes that start together decide who goes on, the first one on top; the lowest wins.

        A standard frame has decided after 13, and then holds zeros.
        """
        if self.extended:
            base, low = self.identifier >> _LOW_BITS, self.identifier & (1 << _LOW_BITS) - 1
            return base << _BASE_AT | 1 << _REMOTE_AT | 1 << _EXTENDED_AT | low << 1 | self.remote
        return self.identifier << _BASE_AT | self.remote << _REMOTE_AT

    @property
    def header_bits(self) -> int:
        """Start of frame to data length code, without stuff bits."""
        return 39 if self.extended else 19

    def stuffed_bits(self) -> int:
        """Bits from the start of frame to the CRC sequence, stuff bits counted."""
        kept = _ARBITRATION_BITS if self.extended else _STANDARD_BITS
        reserved = 2 if self.extended else 1
        value = self.arbitration >> _ARBITRATION_BITS - kept << reserved + _CODE_BITS | self.code
        bits = 1 + kept + reserved + _CODE_BITS
        value, bits = value << 8 * len(self.data) | int.from_bytes(self.data, "big"), bits + 8 * len(self.data)
        value, bits = value << _CRC_BITS | crc(value, bits), bits + _CRC_BITS
        return bits + _stuff_bits(f"{value:0{bits}b}")


def first_difference(one: Frame, other: Frame) -> int | None:
    """The bit of the arbitration field at which two frames differ, 0 for the first; None if they do not."""
    differing = one.arbitration ^ other.arbitration
    return _ARBITRATION_BITS - differing.bit_length() if differing else None


def crc(value: int, bits: int) -> int:
    """The CRC sequence over `bits` bits."""
    register = 0
    for at in range(bits - 1, -1, -1):
        out = register >> _CRC_BITS - 1 ^ value >> at & 1
        register = register << 1 & (1 << _CRC_BITS) - 1
        if out:
            register ^= _CRC_POLYNOMIAL
    return register


def _stuff_bits(sent: str) -> int:
    """How many bits are stuffed in: one of the other kind after five equal ones, and it counts for the next five."""
    stuffed, run, last = 0, 0, ""
    for bit in sent:
        run = run + 1 if bit == last else 1
        last = bit
        if run == _LONGEST_RUN:
            stuffed += 1
            last, run = "0" if bit == "1" else "1", 1
    return stuffed
