# SPDX-License-Identifier: Apache-2.0
"""Where the SJA1000 has what: offsets and bits.

The map is another one in each mode of the chip, and in PeliCAN in reset mode, so that it is numbers, and what is behind
them stands in `controller`. Bits are numbers too: flags would be most of what an access costs.

Source: SJA1000 data sheet (Philips, 2000 Jan 04), tables 3 to 9 for BasicCAN, 11 to 43 for PeliCAN.
"""

import enum
from typing import Final

SIZE: Final = 0x80
"""Bytes that one controller decodes."""


class Pelican(enum.IntEnum):
    """Offsets in PeliCAN mode. The window is the acceptance filter in reset mode, else a frame."""

    MOD = 0
    CMR = 1
    SR = 2
    IR = 3
    IER = 4
    BTR0 = 6
    BTR1 = 7
    OCR = 8
    ALC = 11
    ECC = 12
    EWLR = 13
    RXERR = 14
    TXERR = 15
    WINDOW = 16
    RMC = 29
    RBSA = 30
    CDR = 31
    RAM = 32


class Basic(enum.IntEnum):
    """Offsets in BasicCAN mode."""

    CR = 0
    CMR = 1
    SR = 2
    IR = 3
    ACR = 4
    AMR = 5
    BTR0 = 6
    BTR1 = 7
    OCR = 8
    CDR = 31


WINDOW_SIZE: Final = 13
FILTER_SIZE: Final = 8
"""Four bytes of code, four of mask."""
FIFO_SIZE: Final = 64
RAM_SIZE: Final = 80
"""The receive FIFO, the transmit buffer, three bytes to spare."""


class Mod(enum.IntEnum):
    """Mode."""

    RESET = 1
    LISTEN_ONLY = 2
    SELF_TEST = 4
    SINGLE_FILTER = 8
    SLEEP = 16


class Cmr(enum.IntEnum):
    """Command."""

    TRANSMIT = 1
    ABORT = 2
    RELEASE = 4
    CLEAR_OVERRUN = 8
    SELF_RECEPTION = 16


class Sr(enum.IntEnum):
    """Status."""

    MESSAGE = 1
    OVERRUN = 2
    BUFFER_FREE = 4
    COMPLETE = 8
    RECEIVING = 16
    TRANSMITTING = 32
    ERROR = 64
    BUS_OFF = 128


class Ir(enum.IntEnum):
    """Interrupt, and its enable."""

    RECEIVED = 1
    TRANSMITTED = 2
    ERROR_WARNING = 4
    OVERRUN = 8
    WAKE_UP = 16
    ERROR_PASSIVE = 32
    ARBITRATION_LOST = 64
    BUS_ERROR = 128


class Info(enum.IntEnum):
    """First byte of a frame in the window."""

    EXTENDED = 128
    REMOTE = 64


CODE_MASK: Final = 0x0F
"""The data length code in that byte."""


class Cdr(enum.IntEnum):
    """Clock divider."""

    PELICAN = 128
    DIVIDER = 7
    """The only bits that can be written in operating mode."""
    RESERVED = 16
    """Reads 0."""


BASIC_CR_RESERVED: Final = 0x20
"""Bit 5 of the control register reads 1."""
BASIC_CR_STORED: Final = 0x1E
BASIC_IR_IDLE: Final = 0xE0
"""Bits 7 to 5 read 1."""
NOTHING: Final = 0xFF
"""What BasicCAN gives where it gives nothing."""

WARNING_LIMIT: Final = 96
PASSIVE_LIMIT: Final = 127
BUS_OFF_LIMIT: Final = 255
