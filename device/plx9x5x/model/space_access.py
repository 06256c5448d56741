# SPDX-License-Identifier: Apache-2.0
"""Accesses of a BAR that go past the chip's registers: to local memory as the window maps it, or to nothing."""

from collections.abc import Callable, Iterator

from plx9x5x.model.localbus import LOCAL_SPACE, LocalBus
from plx9x5x.model.windows import Bar
from plx9x5x.regs.kernel import RegisterFile


class SpaceAccess:
    """What `Chip` asks when an access does not lie in the registers whole. `local_bus` gives the board's bus of now."""

    def __init__(self, registers: RegisterFile, local_bus: Callable[[], LocalBus]) -> None:
        self._regs, self._local_bus = registers, local_bus
        self.bar: int | None = None
        """The BAR through which the processor is on the local bus right now."""

    def read(self, bar: int, window: Bar, offset: int, width: int) -> int:
        """Read `width` bytes: what lies in the registers from them, the rest from local memory; 0 where neither is."""
        inside = max(0, min(width, window.registers - offset))
        value = self._regs.read(offset, inside) if inside else 0
        if window.registers >= window.size:
            return value
        local = self._local_bus()
        self.bar, before = bar, self.bar
        try:
            raw = b"".join(
                local.read_swapped(at, length, window.swapped)
                for at, length in self._runs(window, offset + inside, width - inside)
            )
        finally:
            self.bar = before
        return value | int.from_bytes(raw, "little") << 8 * inside

    def write(self, bar: int, window: Bar, offset: int, width: int, data: int) -> None:
        """Write `width` bytes: what lies in the registers to them, the rest to local memory."""
        inside = max(0, min(width, window.registers - offset))
        if inside:
            self._regs.write(offset, inside, data)
        if window.registers >= window.size:
            return
        rest = width - inside
        raw = (data >> 8 * inside & (1 << 8 * rest) - 1).to_bytes(rest, "little")
        local, done = self._local_bus(), 0
        self.bar, before = bar, self.bar
        try:
            for at, length in self._runs(window, offset + inside, rest):
                local.write_swapped(at, raw[done : done + length], window.swapped)
                done += length
        finally:
            self.bar = before

    def _runs(self, window: Bar, offset: int, width: int) -> Iterator[tuple[int, int]]:
        """Local (address, length) of what an access to a space's window is on the local bus, lowest address first.

        Words of the bus, so that a FIFO of 16 bits is read twice by a dword, or parts of one; and it wraps at the end.
        Many words of plain memory are one run, since nobody can tell: word by word 64 KiB took a tenth of a second.
        """
        while width > 0:
            offset %= window.size
            at = window.local_base + offset
            length = min(width, window.size - offset, window.word - at % window.word)
            if length < width:
                length = max(length, self._untold(window, at, min(width, window.size - offset)))
            yield at, length
            offset, width = offset + length, width - length

    def _untold(self, window: Bar, at: int, length: int) -> int:
        """How many bytes from `at` on are whole words that nobody sees one by one, as memory or where nothing is."""
        word = max(window.word, window.swapped)
        local = self._local_bus()
        span = local.find(at % LOCAL_SPACE, length)
        if at % word or (span.target is not None and local.view(span) is None):
            return 0
        return span.length - span.length % word
