# SPDX-License-Identifier: Apache-2.0
"""What DMA verification watches at a common buffer: guard bytes on either side, and bytes that nobody wrote yet.

Source: reference hal-contract 6; CB-28.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nthal.runs import RunSet
from nthal.verifier import PADDING, TAG, Misuse

if TYPE_CHECKING:
    from nthal.hardware.memory import PhysicalMemory
    from nthal.records.region import Region
    from nthal.verifier import Verifier


MARK: Final = bytes.fromhex("a5c31e96f04b872dd25a69e17cb80f3e")
"""What never-written bytes hold where native code can write unseen: what does not hold it any more was written."""


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
        shadow = before[:size], after[region.page_bytes - tail :]
        if region.backing is None:
            region.shadow = bytearray(shadow[0]), bytearray(shadow[1])
        else:
            region.shadow = region.backing.before, region.backing.after
            region.backing.before[:], region.backing.after[:] = shadow
        region.unwritten = RunSet([(0, region.length)])
        mark_unwritten(self._memory, region)

    def _read(self, region: Region, offset: int, length: int) -> bytes:
        if region.backing is not None:
            return bytes(region.backing.pages[offset : offset + length])
        return self._memory.read(region.frames.pa(offset), length) if length else b""

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
        now_before = bytes(region.shadow[0]) + self._read(region, 0, region.offset)
        now_after = self._read(region, tail, region.page_bytes - tail) + bytes(region.shadow[1])
        if (now_before, now_after) == (before, after):
            return None
        for back in range(1, len(before) + 1):
            if now_before[-back] != before[-back]:
                return (1 if back <= len(TAG) else 4), -back
        for ahead, (now, due) in enumerate(zip(now_after, after, strict=True)):
            if now != due:
                return (2 if ahead < len(TAG) else 5), region.length + ahead
        return None


def _marks(at: int, length: int) -> bytes:
    return (MARK * (length // len(MARK) + 2))[at % len(MARK) :][:length]


def mark_unwritten(memory: PhysicalMemory, region: Region) -> None:
    """Mark what nobody wrote yet, where native code may write it unseen."""
    if region.backing is None or region.unwritten is None:
        return
    for run in region.unwritten.runs():
        at = run.start
        for pa, size in region.frames.pieces(region.offset + run.start, run.count):
            memory.write(pa, _marks(at, size))
            at += size


def _written_unseen(region: Region, offset: int, length: int) -> bool:
    """True if no mark of a word, or of half of one, is left in what counts as never written of the range."""
    if region.backing is None or region.unwritten is None:
        return False
    for run in region.unwritten.runs():
        start, end = max(run.start, offset), min(run.end, offset + length)
        now = bytes(region.backing.pages[region.offset + start : region.offset + end]) if start < end else b""
        due = _marks(start, len(now))
        if any(now[at : at + 4] == due[at : at + 4] for at in range(0, len(now) - 1, 4)):
            return False
    return True


def tell_unwritten(verifier: Verifier, region: Region, offset: int, length: int, doing: str) -> None:
    """Tell, once a buffer, of a read of bytes that nobody wrote: what they hold is unspecified (CB-28)."""
    if region.unwritten is not None and region.unwritten.meets(offset, length):
        if _written_unseen(region, offset, length):
            region.unwritten.discard(offset, length)
            return
        region.unwritten = None
        verifier.note(Misuse.NEVER_WRITTEN, f"{doing}: {region.what} of {region.length} bytes")
