# SPDX-License-Identifier: Apache-2.0
"""The SJA1000's acceptance filter: which frames it keeps.

Source: SJA1000 data sheet (Philips, 2000 Jan 04), 6.4.15.
"""

from plx9x5x_boards.esd_can_pci266.can.frame import Frame


def accepts(code: bytes, mask: bytes, frame: Frame, *, single: bool) -> bool:
    """Tell whether a frame passes: each bit is that of `code`, or its bit in `mask` is 1. Both are four bytes.

    `single` is one filter of all of them, else it is two, of which one is enough. What a frame does not have, such as
    the data of a remote one, is not compared.
    """
    wanted, free = int.from_bytes(code, "big"), int.from_bytes(mask, "big")
    filters = (_single(frame),) if single else _dual(frame)
    return any(not (wanted ^ bits) & compared & ~free for bits, compared in filters)


def _single(frame: Frame) -> tuple[int, int]:
    """The frame as the four bytes that one filter sees, and which of their bits are compared."""
    if frame.extended:
        return frame.identifier << 3 | frame.remote << 2, 0xFFFF_FFFC
    bits = frame.identifier << 21 | frame.remote << 20 | int.from_bytes(frame.data[:2].ljust(2, b"\0"), "big")
    return bits, 0xFFF0_0000 | (0, 0xFF00, 0xFFFF)[len(frame.data[:2])]


def _dual(frame: Frame) -> tuple[tuple[int, int], tuple[int, int]]:
    """The same for each of two filters: bytes 0 and 1 with the low half of byte 3, and bytes 2 and 3."""
    if frame.extended:
        high = frame.identifier >> 13
        return (high << 16, 0xFFFF_0000), (high, 0xFFFF)
    head = frame.identifier << 5 | frame.remote << 4
    first, compared = head << 16, 0xFFF0_0000
    if frame.data:
        first |= frame.data[0] >> 4 << 16 | frame.data[0] & 0xF
        compared |= 0x000F_000F
    return (first, compared), (head, 0xFFF0)
