# SPDX-License-Identifier: Apache-2.0
"""Registers and messages that need no Python (serving.h): pages that a device offers, and the loop that uses them.

A page holds registers as a client sees them. What is plain in it C answers, with the interpreter's lock released; the
rest goes to the device as ever. The device opens a page while it decodes it and nobody listens in.

Units: offsets and sizes in bytes, values are dwords.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from plx9x5x.plane import _serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableSequence

    from plx9x5x.plane.line import NativeLine
    from plx9x5x.plane.port import PlainDword

_LIB, _FFI = _serving.lib, _serving.ffi


class Served(enum.IntEnum):
    """Why `NativeServing.serve` came back."""

    DEVICE_HAD_A_SAY = _LIB.DEVICE_HAD_A_SAY
    NOTHING_CAME = _LIB.NOTHING_CAME
    WOKEN = _LIB.WOKEN
    TAKING_FAILED = _LIB.TAKING_FAILED


_SERVED: Final = tuple(Served)


@dataclass(frozen=True, slots=True)
class Part:
    """What a device does in C beside its pages: a `struct native_part`, which lives as long as its `owner`."""

    pointer: _serving.Part
    owner: object


class RegisterPage:
    """One BAR's view of the registers, closed at first."""

    __slots__ = ("_alive", "page")

    def __init__(self, page: _serving.Page, alive: object) -> None:
        self.page = page
        self._alive = alive
        """What the page points to: C keeps nothing alive."""

    def open(self, on: bool) -> None:
        """Let C answer, or not."""
        self.page.open = on

    def read(self, offset: int, width: int) -> bytes | None:
        """What a client's read gets here, None if the device is asked."""
        data = bytearray(width)
        return bytes(data) if self._access(data, offset, is_write=False) else None

    def write(self, offset: int, data: bytes) -> bool:
        """Write as a client does; False if the device is asked, and then nothing has changed."""
        return self._access(bytearray(data), offset, is_write=True)

    @property
    def reader(self) -> Callable[[int, int], int]:
        """What reads up to 4 bytes as a number: by (offset, width); -1 if the device is to be asked."""
        return functools.partial(_LIB.page_read, self.page)

    @property
    def writer(self) -> Callable[[int, int, int], bool]:
        """What writes up to 4 bytes of a number: by (offset, width, data); False as for `write`."""
        return functools.partial(_LIB.page_write, self.page)

    def _access(self, data: bytearray, offset: int, *, is_write: bool) -> bool:
        return _LIB.page_access(self.page, _FFI.from_buffer("char[]", data), len(data), offset, is_write)


class RegisterPages:
    """The plain registers of one device: `values` is where they are stored, `show` says what stands where."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._dwords = cast("list[_serving.PlainDword]", _FFI.new("struct plain_dword[]", window // 4))
        for dword in range(window // 4):
            self._dwords[dword].read = self._dwords[dword].write = -1
        self._values: _serving.Values | None = None
        self._idle: dict[int, _serving.Pointer] = {}
        self.watch: Final = cast("_serving.Watch", _FFI.new("struct page_watch *"))
        """What software does to the pages: reads that change nothing, and those of an interrupt's status."""
        self._line: NativeLine | None = None

    def watch_line(self, line: NativeLine, tells: Iterable[tuple[int, int, _serving.Pointer | None]]) -> None:
        """Count reads that tell why `line` is up: (offset, bytes, a bool that says whether they do now, or None)."""
        self._line = line  # C keeps nothing alive
        self.watch.line = line.line
        for at, (offset, length, shows) in enumerate(tells):
            told = self.watch.tells[at]
            told.offset, told.bytes, told.shows = offset, length, _FFI.NULL if shows is None else shows

    def hold(self, idle: _serving.Pointer, places: Iterable[int]) -> None:
        """While the bool `idle` is false, have a change of the values at `places` be the device's, once shown again.

        The caller keeps the bool alive.
        """
        self._idle |= dict.fromkeys(places, idle)

    def values(self, count: int) -> MutableSequence[int]:
        """Make the storage: `count` dwords, all zero. Once only; every page shows it."""
        self._values = cast("_serving.Values", _FFI.new("uint32_t[]", count))
        return cast("MutableSequence[int]", self._values)

    @property
    def cells(self) -> _serving.Values:
        """The storage, for a unit in C; it lives as long as this object."""
        assert self._values is not None
        return self._values

    def show(self, dwords: Iterable[PlainDword]) -> None:
        """Say what some dwords are from now on; those outside the window are nobody's."""
        for dword in dwords:
            if dword.offset < self._window:
                at = self._dwords[dword.offset // 4]
                at.read, at.write, at.stored, at.known = dword.read, dword.write, dword.stored, dword.known
                at.watched = dword.watched
                at.idle = self._idle.get(dword.write, _FFI.NULL)

    def page(self, size: int, part: Part | None = None) -> RegisterPage:
        """Give a closed page of the first `size` bytes; `part` is asked for what is not plain in it."""
        page = cast("_serving.Page", _FFI.new("struct register_page *"))
        page.values, page.dwords, page.bytes = self.cells, self._dwords, min(size, self._window)
        page.watch = self.watch
        if part is not None:
            page.part = part.pointer
        return RegisterPage(page, (self, part))


class NativeServing:
    """The loop for one served device. The arguments of all methods that name C functions are their addresses.

    `private_of` gives the pointer that a context was made with, which has to be `address`: `region` needs it. Between
    two looks at the device at most `batch` messages are taken; one look costs about `budget` bytes.
    """

    def __init__(
        self, *, take: int, wake_fd: int, batch: int, budget: int, line: NativeLine, private_of: int | None = None
    ) -> None:
        self._serving = cast("_serving.Serving", _FFI.new("struct serving *"))
        self._serving.take = _FFI.cast("take_message", take)
        self._serving.wake_fd, self._serving.batch, self._serving.budget = wake_fd, batch, budget
        self._serving.line = line.line
        self._line = line  # C keeps nothing alive
        self._part: Part | None = None
        self._pages: dict[int, RegisterPage] = {}
        if private_of is not None:
            _LIB.serving_of_context(_FFI.cast("private_of", private_of))

    @property
    def serving(self) -> _serving.Serving:
        """For a unit in C; it lives as long as this object."""
        return self._serving

    @property
    def address(self) -> int:
        """What the context's own pointer has to be."""
        return int(cast("int", _FFI.cast("uintptr_t", self._serving)))

    def region(self, bar: int, *, device: int, page: RegisterPage | None) -> int:
        """Give the callback for a BAR, that asks `page` first and then the callback `device`."""
        self._serving.device[bar] = _FFI.cast("access_region", device)
        if page is not None:
            self.show(bar, page)
        return int(cast("int", _FFI.cast("uintptr_t", _LIB.region_access(bar))))

    def show(self, bar: int, page: RegisterPage) -> None:
        """Have `page` be asked first for accesses to a BAR."""
        self._serving.pages[bar] = page.page
        self._pages[bar] = page  # C keeps nothing alive

    @property
    def line_callback(self) -> int:
        """The callback for MASK and UNMASK of the line."""
        return int(cast("int", _FFI.cast("uintptr_t", _LIB.line_callback())))

    def wake_by(self, fd: int) -> None:
        """Come back when `fd` is readable, in place of the one before."""
        self._serving.wake_fd = fd

    def ask(self, part: Part) -> None:
        """Have `part` do the device's work, as long as it can."""
        self._serving.part = part.pointer
        self._part = part

    def attach(self, context: int, client_fd: int) -> None:
        """A client is there."""
        self._serving.context = _FFI.cast("void *", context)
        self._serving.client_fd = client_fd

    def say(self) -> None:
        """Note that the device was told something: `serve` comes back soon."""
        self._serving.had_a_say = 1

    def serve(self, wait_ns: int | None) -> Served:
        """Take messages until the device has to be looked at from here, or `wait_ns` are over (None: never)."""
        return _SERVED[_LIB.serve_messages(self._serving, -1 if wait_ns is None else wait_ns)]

    @property
    def code(self) -> int:
        """The errno of TAKING_FAILED."""
        return self._serving.code
