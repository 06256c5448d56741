# SPDX-License-Identifier: Apache-2.0
"""The local bus: which target decodes a local address, and plain memory as a target."""

import bisect
import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from plx9x5x.board import Window
from plx9x5x.errors import RAISED
from plx9x5x.model.boardside import BoardFault, Seat
from plx9x5x.peripheral import LocalBusTarget, LocalPins, Pluggable

LOCAL_SPACE: Final = 1 << 32

_STAGGER: Final = 1088
"""Bytes that plain memory is shifted off a page boundary: copies between two page-aligned buffers ran up to ten times
slower (4 KiB aliasing)."""


class Sram:
    """Plain memory of `size` bytes, zero at first."""

    def __init__(self, size: int) -> None:
        self.size: Final = size
        # A map of its own is zero without being written, so that 16 MiB of DRAM cost nothing until they are used.
        self._bytes = memoryview(mmap.mmap(-1, size + _STAGGER))[_STAGGER:]

    def read(self, offset: int, length: int) -> bytes:
        """Give a copy of `length` bytes."""
        return bytes(self._bytes[offset : offset + length])

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Store `data`."""
        self._bytes[offset : offset + len(data)] = data

    def view(self, offset: int, length: int) -> memoryview | None:
        """Give the bytes themselves."""
        return self._bytes[offset : offset + length]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of local addresses from `address` on with one answer: a target's bytes from `offset` on, or nobody's."""

    address: int
    target: LocalBusTarget | None
    offset: int
    length: int


class LocalBus:
    """Routes local addresses (32 bits, wrapping) to the targets of a board.

    `on_undecoded` is told (local address, length) of every access that no target decodes: such reads give ones and
    such writes vanish. UNVERIFIED: silicon waits for READY# or its timeout instead.

    Raises: BoardFault if windows overlap or a target lacks something, and from any access if a target raises, or gives
    another number of bytes than asked for: the board is at fault, not the guest.
    """

    def __init__(
        self,
        windows: Iterable[Window],
        on_undecoded: Callable[[int, int], None],
        new_pins: Callable[[Seat], LocalPins] | None = None,
    ) -> None:
        placed = sorted(windows, key=lambda window: window.local_base)
        self._names = [window.name for window in placed]
        self._bases = [int(window.local_base) for window in placed]
        self._seats = [Seat(window.name, window.target) for window in placed]
        self._targets = [seat.target for seat in self._seats]
        self._sizes = [seat.size for seat in self._seats]  # once: the board's own code may be behind it
        self._seat_of = {id(seat.target): seat for seat in self._seats}
        self._on_undecoded = on_undecoded
        ends = [*zip(self._bases[1:], self._names[1:], strict=True), (LOCAL_SPACE, "the end of the local bus")]
        for base, name, size, (end, what) in zip(self._bases, self._names, self._sizes, ends, strict=False):
            if base + size > end:
                raise BoardFault(f"local window {name!r} at {base:#x} of {size:#x} bytes runs into {what} at {end:#x}")
        self.is_passive: Final = not any(isinstance(target, Pluggable) for target in self._targets)
        """Nothing on it drives a pin or a register of the chip, ever."""
        if new_pins is not None:
            for seat in self._seats:
                if isinstance(seat.target, Pluggable):
                    seat.plug(new_pins(seat))

    @property
    def targets(self) -> Iterator[tuple[int, LocalBusTarget]]:
        """(local address, target) of each window, ascending."""
        return zip(self._bases, self._targets, strict=True)

    def find(self, address: int, length: int) -> Span:
        """Give the longest run from `address` on that has one answer, up to `length` bytes."""
        index = bisect.bisect_right(self._bases, address) - 1
        if index >= 0:
            offset = address - self._bases[index]
            room = self._sizes[index] - offset
            if room > 0:
                return Span(address, self._targets[index], offset, min(length, room))
        following = self._bases[index + 1] if index + 1 < len(self._bases) else LOCAL_SPACE
        return Span(address, None, 0, min(length, following - address))

    def around(self, address: int) -> tuple[tuple[str, int, int], ...]:
        """(name, local address, size) of the window that starts at or below `address`, and of the next."""
        at = bisect.bisect_right(self._bases, address) - 1
        near = range(max(at, 0), min(at + 2, len(self._bases)))
        return tuple((self._names[one], self._bases[one], self._sizes[one]) for one in near)

    def read(self, address: int, length: int) -> bytes:
        """Read `length` bytes from `address` on."""
        return b"".join(self.read_span(span) for span in self._spans(address, length))

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Write `data` from `address` on."""
        done = 0
        for span in self._spans(address, len(data)):
            self.write_span(span, data[done : done + span.length])
            done += span.length

    def read_span(self, span: Span) -> bytes:
        """Read a run that `find` gave."""
        if span.target is not None:
            return self.read_target(span.target, span.offset, span.length)
        self._on_undecoded(span.address, span.length)
        return b"\xff" * span.length

    def write_span(self, span: Span, data: bytes | memoryview) -> None:
        """Write the first bytes of a run that `find` gave."""
        if span.target is not None:
            self.write_target(span.target, span.offset, data)
        else:
            self._on_undecoded(span.address, span.length)

    def read_target(self, target: LocalBusTarget, offset: int, length: int) -> bytes:
        """Read one target: as many bytes as are asked for."""
        try:
            data = target.read(offset, length)
        except RAISED as exc:
            raise self.seat(target).raised(f"read({offset:#x}, {length})", exc) from exc
        if type(data) is not bytes:
            data = self.seat(target).whole(data, f"read({offset:#x}, {length})")
        if len(data) != length:
            # Moved as it is, this would be a transfer that reports success over bytes that never came.
            raise self.seat(target).wrong(f"read({offset:#x}, {length}) gave {len(data)} bytes")
        return data

    def write_target(self, target: LocalBusTarget, offset: int, data: bytes | memoryview) -> None:
        """Write one target."""
        try:
            target.write(offset, data)
        except RAISED as exc:
            raise self.seat(target).raised(f"write({offset:#x}, {len(data)} bytes)", exc) from exc

    def view(self, span: Span) -> memoryview | None:
        """Give a run's bytes themselves if it is plain memory, None if not or if nobody is there."""
        if type(span.target) is Sram:
            return span.target.view(span.offset, span.length)
        return None if span.target is None else self.seat(span.target).view(span.offset, span.length)

    def seat(self, target: LocalBusTarget) -> Seat:
        """Find the window of a target."""
        return self._seat_of[id(target)]

    def read_swapped(self, address: int, length: int, word: int) -> bytes:
        """Read with the bytes of each local bus word in reverse (BIGEND); `word` in bytes, 0 for as they are."""
        if not word:
            return self.read(address, length)
        return b"".join(turned(self.read(at, size), word) for at, size in _word_runs(address, length, word))

    def write_swapped(self, address: int, data: bytes | memoryview, word: int) -> None:
        """Write with the bytes of each local bus word in reverse (BIGEND); `word` in bytes, 0 for as they are."""
        if not word:
            self.write(address, data)
            return
        raw, done = bytes(data), 0
        for at, size in _word_runs(address, len(raw), word):
            self.write(at, turned(raw[done : done + size], word))
            done += size

    def _spans(self, address: int, length: int) -> Iterator[Span]:
        while length:
            span = self.find(address % LOCAL_SPACE, length)
            yield span
            address += span.length
            length -= span.length


def _word_runs(address: int, length: int, word: int) -> Iterator[tuple[int, int]]:
    """Local (address, length) of what `length` bytes from `address` on become: part of a word, whole words, a part.

    The bytes of a part of a word end up at the word's other end.
    """
    if (into := address % word) and length:
        size = min(word - into, length)
        yield address + word - 2 * into - size, size
        address, length = address + size, length - size
    if whole := length - length % word:
        yield address, whole
    if rest := length - whole:
        yield address + whole + word - rest, rest


def turned(data: bytes | memoryview, word: int) -> bytes:
    """Give words with their bytes in reverse; `word` in bytes."""
    if len(data) % word:
        return bytes(data[::-1])
    import numpy as np  # noqa: PLC0415 - a server that never turns words starts in half the time without it

    return np.frombuffer(data, dtype=np.uint8).reshape(-1, word)[:, ::-1].tobytes()
