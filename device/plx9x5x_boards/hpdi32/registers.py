# SPDX-License-Identifier: Apache-2.0
"""The registers of the HPDI32 behind BAR2, as data.

Source: the register names of Linux's gsc_hpdi driver; what they do beyond the names follows from how it uses them.
UNVERIFIED, and marked so at the field, is what neither tells: a value that the driver never looks at, and what a bit
does beyond its name. `plx9x5x regs --board hpdi32 --unverified` lists them.
"""

from typing import Final

from plx9x5x.regs.kernel import Access, Register, bit, bits

SOURCE: Final = "Linux gsc_hpdi, BAR2 register map"

DEPTH: Final = 0x8000
"""Words of each FIFO."""


class FIRMWARE_REVISION(Register, offset=0x00, source=SOURCE):
    """What the card's logic is."""

    revision = bits(14, 0, Access.RO, unverified=True, doc="Of the firmware; this card's is none that was built.")
    features_present = bit(15, Access.RO, reset=1, unverified=True, doc="FEATURES is there.")


class BOARD_CONTROL(Register, offset=0x04, source=SOURCE):
    """What runs."""

    reset = bit(0, Access.W1T, doc="All registers and both FIFOs as at power-on.")
    tx_fifo_reset = bit(1, Access.W1T, doc="The transmit FIFO is empty.")
    rx_fifo_reset = bit(
        2, Access.W1T, unverified=True, doc="The receive FIFO is empty, and the cable begins its sequence again."
    )
    tx_enable = bit(4, Access.RW, doc="The transmitter has the cable.")
    rx_enable = bit(5, Access.RW, doc="The receive FIFO takes what the cable brings.")
    demand_tx = bit(6, Access.RW, doc="DREQ# of DMA channel 0 asks for words to send, and not for words to be taken.")
    line_valid = bit(7, Access.RW, unverified=True, doc="Line valid while status valid. Only stored.")
    start_tx = bit(8, Access.RW, unverified=True, doc="The transmitter sends. Stays until it is written.")
    cable_throttle = bit(9, Access.RW, unverified=True, doc="Only stored: the cable does not look at it.")
    test_mode = bit(31, Access.RW, unverified=True, doc="Only stored.")


class BOARD_STATUS(Register, offset=0x08, source=SOURCE):
    """FIFO flags, and what went wrong."""

    command_lines = bits(6, 0, Access.RO, unverified=True, doc="Levels of the cable's command lines: all low.")
    tx_in_progress = bit(7, Access.RO, doc="Words are on their way out.")
    tx_not_empty = bit(8, Access.RO, doc="The transmit FIFO has a word.")
    tx_not_almost_empty = bit(9, Access.RO, doc="It has more than TX_PROG_ALMOST.empty.")
    tx_not_almost_full = bit(10, Access.RO, reset=1, doc="It has room for more than TX_PROG_ALMOST.full.")
    tx_not_full = bit(11, Access.RO, reset=1, doc="It has room for a word.")
    rx_not_empty = bit(12, Access.RO, doc="The receive FIFO has a word.")
    rx_not_almost_empty = bit(13, Access.RO, doc="It has more than RX_PROG_ALMOST.empty.")
    rx_not_almost_full = bit(14, Access.RO, reset=1, doc="It has room for more than RX_PROG_ALMOST.full.")
    rx_not_full = bit(15, Access.RO, reset=1, doc="It has room for a word.")
    jumpers = bits(17, 16, Access.RO, unverified=True, doc="None is set.")
    tx_overrun = bit(
        21,
        Access.W1C,
        unverified=True,
        doc="A word was written to a full transmit FIFO, and is lost. The driver clears none.",
    )
    rx_underrun = bit(22, Access.W1C, doc="A word was read from an empty receive FIFO.")
    rx_overrun = bit(23, Access.W1C, doc="The cable brought a word to a full receive FIFO: it is lost.")


class _Almost(Register):
    """Where a FIFO calls itself almost empty and almost full."""

    empty = bits(15, 0, Access.RW, unverified=True, doc="Almost empty with so many words or fewer.")
    full = bits(23, 16, Access.RW, unverified=True, doc="Almost full with room for so many words or fewer.")


class TX_PROG_ALMOST(_Almost, offset=0x0C, source=SOURCE):
    """Of the transmit FIFO."""


class RX_PROG_ALMOST(_Almost, offset=0x10, source=SOURCE):
    """Of the receive FIFO."""


class FEATURES(Register, offset=0x14, source=SOURCE):
    """What this card has."""

    fifo_size = bit(0, Access.RO, reset=1, unverified=True, doc="TX_FIFO_SIZE and RX_FIFO_SIZE.")
    fifo_words = bit(1, Access.RO, reset=1, unverified=True, doc="TX_FIFO_WORDS and RX_FIFO_WORDS.")
    edge_interrupts = bit(
        2,
        Access.RO,
        unverified=True,
        doc="A choice of level or edge for each interrupt: not on this card, all are edges.",
    )
    gpio = bit(3, Access.RO, reset=1, unverified=True, doc="General purpose pins.")
    dma_channel_1 = bit(4, Access.RO, unverified=True, doc="DREQ# of DMA channel 1: not on this card.")
    overrun = bit(5, Access.RO, reset=1, unverified=True, doc="The overrun and underrun bits of BOARD_STATUS.")


class FIFO(Register, offset=0x18, source=SOURCE):
    """The data port: reads take a word of the receive FIFO, writes give one to the transmit FIFO."""

    word = bits(
        31,
        0,
        Access.RO,
        unverified=True,
        doc="A word of 32 bits, whatever part of it an access touches; 0 if there is none.",
    )


class _Events(Register):
    """A bit for each thing that may interrupt."""

    frame_start = bit(0, Access.RW, doc="Frame valid begins: the cable has no frames.")
    frame_end = bit(1, Access.RW, doc="Frame valid ends.")
    tx_empty = bit(8, Access.RW, doc="The transmit FIFO became empty.")
    tx_almost_empty = bit(9, Access.RW, doc="It became almost empty.")
    tx_almost_full = bit(10, Access.RW, doc="It became almost full.")
    tx_full = bit(11, Access.RW, doc="It became full.")
    rx_empty = bit(12, Access.RW, doc="The receive FIFO became empty.")
    rx_almost_empty = bit(13, Access.RW, doc="It became almost empty.")
    rx_almost_full = bit(14, Access.RW, doc="It became almost full.")
    rx_full = bit(15, Access.RW, doc="It became full.")


class INTERRUPT_CONTROL(_Events, offset=0x30, source=SOURCE):
    """What drives LINTi#."""


class INTERRUPT_STATUS(
    Register, offset=0x34, source=f"{SOURCE}; edges: as on General Standards' PCIe4-SIO8BX2, user manual, 2.1.10"
):
    """What happened: bits as in INTERRUPT_CONTROL, each set by an edge, whether it drives LINTi# or not.

    A flag's bit is set when the flag rises. Cleared while the flag stays up, it stays clear until the flag falls and
    rises. LINTi# is a level: it is driven as long as a bit is set that INTERRUPT_CONTROL has too.

    Edges are what gsc_hpdi is made for: its handler clears "receive FIFO full" and leaves it to DMA to make room. Were
    it a level, the handler would be called over and over until then.
    """

    frame_start = bit(0, Access.W1C, doc="Never.")
    frame_end = bit(1, Access.W1C, doc="Never.")
    fifos = bits(15, 8, Access.W1C, unverified=True, doc="Set by the edge when it begins, not for as long as it lasts.")


class TX_CLOCK_DIVIDER(Register, offset=0x38, source=SOURCE):
    """How fast the transmitter is: 20 MHz by this."""

    divider = bits(15, 0, Access.RW, unverified=True, doc="0 is as 1.")


class TX_FIFO_SIZE(Register, offset=0x40, source=SOURCE):
    """How many words the transmit FIFO takes."""

    words = bits(19, 0, Access.RO, reset=DEPTH, unverified=True, doc="Words of 32 bits.")


class RX_FIFO_SIZE(Register, offset=0x44, source=SOURCE):
    """How many words the receive FIFO takes."""

    words = bits(19, 0, Access.RO, reset=DEPTH, unverified=True, doc="Words of 32 bits.")


class TX_FIFO_WORDS(Register, offset=0x48, source=SOURCE):
    """How many words are in the transmit FIFO now."""

    words = bits(19, 0, Access.RO, doc="Words of 32 bits.")


class RX_FIFO_WORDS(Register, offset=0x4C, source=SOURCE):
    """How many words are in the receive FIFO now."""

    words = bits(19, 0, Access.RO, doc="Words of 32 bits.")


class INTERRUPT_EDGE_LEVEL(Register, offset=0x50, source=SOURCE):
    """Level or edge, where FEATURES has it. Only stored: every event is an edge."""

    choice = bits(31, 0, Access.RW, unverified=True, doc="A bit for each event.")


class INTERRUPT_POLARITY(Register, offset=0x54, source=SOURCE):
    """Which level or edge, where FEATURES has it. Only stored: every event is a flag's rise."""

    choice = bits(31, 0, Access.RW, unverified=True, doc="A bit for each event.")


REGISTERS: Final[tuple[type[Register], ...]] = (
    FIRMWARE_REVISION, BOARD_CONTROL, BOARD_STATUS, TX_PROG_ALMOST, RX_PROG_ALMOST, FEATURES, FIFO, INTERRUPT_CONTROL,
    INTERRUPT_STATUS, TX_CLOCK_DIVIDER, TX_FIFO_SIZE, RX_FIFO_SIZE, TX_FIFO_WORDS, RX_FIFO_WORDS, INTERRUPT_EDGE_LEVEL,
    INTERRUPT_POLARITY,
)  # fmt: skip
"""All there are; the counters from 1Ch to 2Ch read 0, as every other offset does."""
