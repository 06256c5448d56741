# SPDX-License-Identifier: Apache-2.0
"""One local address that is held: a FIFO's, most often. Which target answers there is found once for a transfer."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from plx9x5x.errors import RAISED
from plx9x5x.model.localbus import LOCAL_SPACE, LocalBus, turned
from plx9x5x.units import KIB

if TYPE_CHECKING:
    from plx9x5x.model.boardside import Seat
    from plx9x5x.model.transfer import Transfer
    from plx9x5x.peripheral import LocalBusTarget

WORDS: Final = 16
"""Words of one step at most that are an access each, 0.4 us long and more: a step takes 10 to 20 us."""

WORD_COST: Final = 16 * KIB
"""What each of those costs of the budget, in bytes: a transport's 256 KiB are one such step, so that a register access
which meets a stream waits about as long as it takes itself."""

BULK: Final = 4 * KIB
"""Bytes of one step at most where the target takes many words in one call."""

BULK_COST: Final = 256 * KIB
"""What such a step costs: how long the board's part of it is nobody knows, 5 to 20 us in the examples."""

ReadWords = Callable[[int, int, int], bytes]
WriteWords = Callable[[int, int, memoryview], int]


class HeldPort:
    """The way to the target of one transfer. `most` bytes move in one step."""

    def __init__(self, transfer: "Transfer", local: LocalBus) -> None:
        self.transfer: Final = transfer
        self.local: Final = local
        self._word: Final = transfer.mode.word
        self._swapped: Final = transfer.swapped
        span = local.find(transfer.local % LOCAL_SPACE, self._word)
        whole = span.target is not None and span.length == self._word and transfer.local % self._word == 0
        self._target = span.target if whole else None
        self._span: Final = span
        self._read_words: ReadWords | None = getattr(self._target, "read_words", None)
        self._write_words: WriteWords | None = getattr(self._target, "write_words", None)
        self._bulk: Final = self._read_words is not None
        self.most: Final = BULK if self._bulk else WORDS * self._word

    def cost(self, moved: int) -> int:
        """What `moved` bytes cost of the budget."""
        return BULK_COST if self._bulk else moved * WORD_COST // self._word

    def read(self, done: int, length: int, stopped: Callable[[], bool]) -> bytes:
        """Give `length` bytes, or fewer once `stopped`; the transfer has moved `done` before."""
        phase = done % self._word
        part = min(self._word - phase, length) if phase else 0
        data = self._read_part(phase, part) if part else b""
        if part and stopped():
            return data
        count, rest = divmod(length - part, self._word)
        if count:
            words = self._read_whole(count, stopped)
            data += words
            if len(words) < count * self._word or stopped():
                return data
        return data + self._read_part(0, rest) if rest else data

    def write(self, done: int, data: memoryview, stopped: Callable[[], bool]) -> int:
        """Store `data`, or less once `stopped`; give the bytes stored. The transfer has moved `done` before."""
        if not data or stopped():
            return 0
        phase, at = done % self._word, 0
        if phase:
            at = min(self._word - phase, len(data))
            self._write_part(phase, data[:at])
            if stopped():
                return at
        whole = (len(data) - at) // self._word * self._word
        if whole:
            taken = self._write_whole(data[at : at + whole], stopped)
            at += taken
            if taken < whole or stopped():
                return at
        if at < len(data):
            self._write_part(0, data[at:])
        return len(data)

    def _read_part(self, phase: int, length: int) -> bytes:
        return self.local.read_swapped((self.transfer.local + phase) % LOCAL_SPACE, length, self._swapped)

    def _write_part(self, phase: int, data: memoryview) -> None:
        self.local.write_swapped((self.transfer.local + phase) % LOCAL_SPACE, data, self._swapped)

    def _read_whole(self, count: int, stopped: Callable[[], bool]) -> bytes:
        if self._target is None:  # no one target has the whole word, or its bytes do not lie as the bus's
            return self._read_each(lambda: self._read_part(0, self._word), count, stopped)
        if self._read_words is not None:
            data = self._read_many(self._read_words, count, stopped)
        else:
            data = self._read_each(partial(self._read_word, self._target), count, stopped)
        return turned(data, self._swapped) if self._swapped else data

    def _read_many(self, read_words: ReadWords, count: int, stopped: Callable[[], bool]) -> bytes:
        word, offset = self._word, self._span.offset
        try:
            data = read_words(offset, word, count)
        except RAISED as exc:
            raise self._seat.raised(f"read_words({offset:#x}, {word}, {count})", exc) from exc
        if type(data) is not bytes:
            data = self._seat.whole(data, f"read_words({offset:#x}, {word}, {count})")
        if len(data) != count * word and (len(data) > count * word or len(data) % word or not stopped()):
            raise self._seat.wrong(f"read_words({offset:#x}, {word}, {count}) gave {len(data)} bytes")
        return data

    def _read_word(self, target: "LocalBusTarget") -> bytes:
        return self.local.read_target(target, self._span.offset, self._word)

    @property
    def _seat(self) -> "Seat":
        assert self._target is not None
        return self.local.seat(self._target)

    @staticmethod
    def _read_each(read: Callable[[], bytes], count: int, stopped: Callable[[], bool]) -> bytes:
        pieces = []
        for _ in range(count):
            pieces.append(read())
            if stopped():
                break
        return b"".join(pieces)

    def _write_whole(self, data: memoryview, stopped: Callable[[], bool]) -> int:
        if self._target is None:
            return self._write_each(partial(self._write_part, 0), data, stopped)
        if self._swapped:
            data = memoryview(turned(data, self._swapped))
        if self._write_words is not None:
            return self._write_many(self._write_words, data, stopped)
        return self._write_each(partial(self.local.write_target, self._target, self._span.offset), data, stopped)

    def _write_many(self, write_words: WriteWords, data: memoryview, stopped: Callable[[], bool]) -> int:
        word = self._word
        try:
            taken = write_words(self._span.offset, word, data)
        except RAISED as exc:
            raise self._seat.raised(f"write_words({self._span.offset:#x}, {word}, {len(data)} bytes)", exc) from exc
        given: object = taken
        if not isinstance(given, int):
            raise self._seat.wrong(f"write_words of {len(data)} bytes gave {given!r}, and not how many bytes it took")
        if taken != len(data) and (not 0 <= taken < len(data) or taken % word or not stopped()):
            raise self._seat.wrong(f"write_words of {len(data)} bytes took {taken}")
        return taken

    def _write_each(self, write: Callable[[memoryview], None], data: memoryview, stopped: Callable[[], bool]) -> int:
        for at in range(0, len(data), self._word):
            write(data[at : at + self._word])
            if stopped():
                return at + self._word
        return len(data)
