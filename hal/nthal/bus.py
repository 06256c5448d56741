# SPDX-License-Identifier: Apache-2.0
"""The devices' view of memory: logical addresses, the windows that translate them, and who answers where none does.

Source: reference hal-contract 3.1 and 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nthal.events import DeviceAccess
from nthal.platforms import Tail, Translation
from nthal.space import IntervalMap
from nthal.types import AddressKindError, La, Pa
from nthal.verifier import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nthal.adapter import Adapter
    from nthal.channel import Mapping
    from nthal.common_buffer import CommonBuffer
    from nthal.machine import Machine
    from nthal.memory import FrameList


@dataclass(eq=False, slots=True)
class Window:
    """A packet mapping as the bus sees it: `length` bytes at logical address `la`, `offset` bytes into `frames`."""

    la: La
    length: int
    frames: FrameList
    offset: int
    adapter: Adapter
    to_device: bool


class Bus:
    """Translates, refuses, and says why."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._buffers: IntervalMap[CommonBuffer] = IntervalMap()
        self.windows: list[Window] = []
        self.by_mapping: dict[Mapping, Window] = {}

    def attach(self, buffer: CommonBuffer) -> None:
        """Set up the translation of a common buffer (CB-34)."""
        self._buffers.add(buffer.page_la // buffer.frames.page_size, buffer.frames.count, buffer)

    def detach(self, buffer: CommonBuffer) -> None:
        """Take the translation away (CB-80)."""
        self._buffers.remove(buffer.page_la // buffer.frames.page_size)

    def buffers(self) -> list[CommonBuffer]:
        """Every live common buffer by logical address."""
        return self._buffers.values()

    def read(self, la: La, length: int, adapter: Adapter | None) -> bytes:
        """Read for a device; in report mode a refused access gives all ones, as a bus that nobody drives."""
        pieces = self._resolve(la, length, adapter, write=False)
        if pieces is None:
            return b"\xff" * length
        return b"".join(self._machine.memory.read(pa, size) for pa, size in pieces)

    def write(self, la: La, data: bytes, adapter: Adapter | None) -> None:
        """Write for a device; all of it or nothing."""
        pieces = self._resolve(la, len(data), adapter, write=True)
        done = 0
        for pa, size in pieces or ():
            self._machine.memory.write(pa, data[done : done + size])
            done += size

    def _resolve(self, la: La, length: int, adapter: Adapter | None, *, write: bool) -> list[tuple[Pa, int]] | None:
        if not isinstance(la, La):
            raise AddressKindError(f"a device takes logical addresses, not {la!r} (CB-35)")
        pieces: list[tuple[Pa, int]] = []
        doing = f"device {'write' if write else 'read'} of {length} bytes at {la!r}"
        at, left = int(la), length
        ok = self._in_width(la, length, adapter, doing)
        while ok and left > 0:
            found = self._one(at, left, adapter, doing)
            ok = found is not None
            for pa, size in found or ():
                pieces.append((pa, size))
                at += size
                left -= size
        self._machine.emit(DeviceAccess(self._machine.clock, la, length, write, ok))
        return pieces if ok else None

    def _in_width(self, la: La, length: int, adapter: Adapter | None, doing: str) -> bool:
        if adapter is None or int(la) + length - 1 <= adapter.limit:
            return True
        self._machine.verifier.violate(Misuse.BEYOND_WIDTH, f"{doing}: the adapter reaches {adapter.limit:#x}")
        return False

    def _one(self, at: int, left: int, adapter: Adapter | None, doing: str) -> list[tuple[Pa, int]] | None:
        page_size = self._machine.platform.page_size
        for window in self.windows:
            start = at - int(window.la)
            if 0 <= start < window.length and self._may_use(window.adapter, adapter):
                size = min(left, window.length - start)
                return list(window.frames.pieces(window.offset + start, size))
        buffer = self._buffers.find(at // page_size)
        if buffer is None or not self._may_use(buffer.adapter, adapter):
            return self._astray(at, doing)
        start = at - buffer.page_la
        offset = at - int(buffer.la)
        inside = offset >= 0 and offset + left <= buffer.length
        if inside:
            return list(buffer.frames.pieces(start, left))
        return self._tail(buffer, at, left, doing)

    def _may_use(self, owner: Adapter, adapter: Adapter | None) -> bool:
        return adapter is None or adapter is owner or self._machine.platform.translation is not Translation.IOMMU

    def _tail(self, buffer: CommonBuffer, at: int, left: int, doing: str) -> list[tuple[Pa, int]] | None:
        offset = at - int(buffer.la)
        detail = f"{doing}: buffer of {buffer.length} bytes at {buffer.la!r}, offset {offset}"
        tail = self._machine.platform.switches.tail
        parameters = (1 if offset < 0 else 2, buffer.length)
        if tail is Tail.VIOLATION:
            self._machine.verifier.violate(Misuse.OUTSIDE_BUFFER, detail, *parameters)
            return None
        if tail is Tail.FINDING:
            self._machine.verifier.note(Misuse.OUTSIDE_BUFFER, detail, *parameters)
        start = at - buffer.page_la
        return list(buffer.frames.pieces(start, min(left, buffer.frames.count * buffer.frames.page_size - start)))

    def _astray(self, at: int, doing: str) -> list[tuple[Pa, int]] | None:
        platform = self._machine.platform
        misuse = Misuse.DEVICE_ASTRAY
        if platform.translation is Translation.IOMMU:
            misuse = Misuse.DMA_FAULT
        elif platform.translation is Translation.MAPREG or at < platform.bus_offset:
            misuse = Misuse.BUS_FAULT
        self._machine.verifier.violate(misuse, "; ".join((doing, *self._guesses(at))), at)
        return None

    def _guesses(self, at: int) -> Iterator[str]:
        """Words for the two mistakes that a number betrays."""
        for buffer in self.buffers():
            for pa, size in buffer.frames.pieces(0, buffer.frames.count * buffer.frames.page_size):
                if int(pa) <= at < int(pa) + size and int(pa) != buffer.page_la:
                    yield f"that is the physical address of the buffer whose logical address is {buffer.la!r} (CB-36)"
            if buffer.la.high and at == buffer.la.low:
                yield f"that is {buffer.la!r} without its upper half (CB-154)"
