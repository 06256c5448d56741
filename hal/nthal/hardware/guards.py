# SPDX-License-Identifier: Apache-2.0
"""What DMA verification watches at a common buffer: guard bytes on either side, and bytes that nobody wrote yet.

Source: reference hal-contract 6; CB-28.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nthal.runs import RunSet
from nthal.verifier import PADDING, TAG, Misuse

if TYPE_CHECKING:
    from nthal.hardware.memory import PhysicalMemory
    from nthal.records.region import Region
    from nthal.verifier import Verifier


class GuardBytes:
    """Tag and padding around verified buffers: on the rest of their pages, and on a page on either side."""

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory

    def arm(self, region: Region) -> None:
        """Put them around a new buffer, of which nobody wrote a byte."""
        size = self._memory.page_size
        before, after = self._image(region)
        self._memory.write(region.frames.pa(0), before[size:])
        tail = region.offset + region.length
        if tail < region.page_bytes:
            self._memory.write(region.frames.pa(tail), after[: region.page_bytes - tail])
        region.shadow = (bytearray(before[:size]), bytearray(after[region.page_bytes - tail :]))
        region.unwritten = RunSet([(0, region.length)])

    def _image(self, region: Region) -> tuple[bytes, bytes]:
        size = self._memory.page_size
        before = bytes([PADDING]) * (size + region.offset - len(TAG)) + TAG
        after_length = region.page_bytes - region.offset - region.length + size
        return before, TAG + bytes([PADDING]) * (after_length - len(TAG))

    def broken(self, region: Region) -> tuple[int, int] | None:
        """Look at the guard bytes: (parameter 2 of 0xE6/0x0F, offset from the base), or None if all are whole."""
        if region.shadow is None:
            return None
        before, after = self._image(region)
        tail = region.offset + region.length
        now_before = bytes(region.shadow[0]) + self._memory.read(region.frames.pa(0), region.offset)
        in_page = region.page_bytes - tail
        now_after = (self._memory.read(region.frames.pa(tail), in_page) if in_page else b"") + bytes(region.shadow[1])
        if (now_before, now_after) == (before, after):
            return None
        for back in range(1, len(before) + 1):
            if now_before[-back] != before[-back]:
                return (1 if back <= len(TAG) else 4), -back
        for ahead, (now, due) in enumerate(zip(now_after, after, strict=True)):
            if now != due:
                return (2 if ahead < len(TAG) else 5), region.length + ahead
        return None


def tell_unwritten(verifier: Verifier, region: Region, offset: int, length: int, doing: str) -> None:
    """Tell, once a buffer, of a read of bytes that nobody wrote: what they hold is unspecified (CB-28)."""
    if region.unwritten is not None and region.unwritten.meets(offset, length):
        region.unwritten = None
        verifier.note(Misuse.NEVER_WRITTEN, f"{doing}: {region.what} of {region.length} bytes")
