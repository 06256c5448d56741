# SPDX-License-Identifier: Apache-2.0
"""A board's peripheral and the chip: what it offers the local bus, and the pins that it is given."""

import enum
from collections.abc import Callable
from typing import Protocol, runtime_checkable


class LocalBusTarget(Protocol):
    """One peripheral behind a local-bus window; `offset` counts bytes from its start.

    One access may be up to 64 KiB long, at any alignment: a DMA burst, or what a CPU reads or writes at once. At a held
    local address (DMAMODE bit 11) it is one word.
    """

    @property
    def size(self) -> int:
        """Bytes that it decodes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Give `length` bytes; the caller keeps the range inside `size`."""
        ...

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Store `data`; the caller keeps the range inside `size`."""
        ...

    def view(self, offset: int, length: int) -> memoryview | None:
        """Plain memory as a writable view for DMA without a copy, or None if accesses have side effects."""
        ...


class WordTarget(LocalBusTarget, Protocol):
    """A peripheral that gives and takes many words at one address in one call, such as a FIFO: DMA is then fast.

    DMA at a held local address calls these in place of `read` and `write` of one word each. A target has both or none.
    `width` is the local bus word in bytes, and words are what one `read` or `write` would have moved.
    """

    def read_words(self, offset: int, width: int, count: int) -> bytes:
        """Give `count` words from `offset`, or fewer, the last of them that with which it asserted EOT#."""
        ...

    def write_words(self, offset: int, width: int, data: memoryview) -> int:
        """Take the words in `data` at `offset`; give the bytes taken: all, or up to the word that asserted EOT#."""
        ...


class Pin(enum.Enum):
    """Outputs of the chip that a board may watch. True is asserted, whatever the pin's polarity."""

    LINTO = "LINTo#"
    """Interrupt to the local processor."""
    USERO = "USERo"
    """General purpose output, CNTRL bit 16; True is high."""
    LSERR = "LSERR#"
    """System error to the local side (TEA# in M mode)."""


class LocalPins(Protocol):
    """The chip as one peripheral on its local bus sees it. Callable only from within the peripheral's own calls.

    All of it may be called from `plug`, an access, a timer (`call_at`) and a pin's change (`watch`). While the
    peripheral is only asked something, in a `ready` and in `view`, it may call `now` and `log`: the rest is refused.
    After a reset the pins of the peripheral that was there before do nothing any more, and its reads give ones.
    """

    def now(self) -> int:
        """The model's clock, nanoseconds."""
        ...

    def drive_linti(self, level: bool) -> None:
        """Drive LINTi#: a level, not latched. Peripherals are wired together: one that asserts is enough."""
        ...

    def drive_useri(self, level: bool) -> None:
        """Drive USERi; it floats high."""
        ...

    def demand(self, channel: int, ready: Callable[[], int] | None, *, words: bool = False) -> None:
        """Pace a DMA channel in demand mode (DREQ#): `ready` says how many bytes may move now; None never asks.

        With `words` it says how many words of the local bus, as wide as the transfer's is (DMAMODE): a FIFO moves one
        of its own for each. It is called at any time and any number of times, and has no effect by itself.
        """
        ...

    def assert_eot(self, channel: int) -> None:
        """Assert EOT# for a channel: the transfer ends after the access that runs now, if the driver enabled EOT#.

        At a held address an access is one local bus word; otherwise it is whatever one `read` or `write` was asked for.
        """
        ...

    def watch(self, pin: Pin, changed: Callable[[bool], None]) -> None:
        """Call `changed` at once, and whenever the pin changes."""
        ...

    def call_at(self, time: int, call: Callable[[], None]) -> None:
        """Have `call` called once the clock shows `time`, ns; a reset forgets it.

        What has been asked for during a call waits for the next step. 2^62 ns and more is never.
        """
        ...

    def log(self, text: str) -> None:
        """Say something, with the window's name and the time: in the trace, and on stderr of `serve --verbose`.

        One line; what no terminal shows is escaped, and what is longer than 200 characters is cut.
        """
        ...

    def finish_self_test(self, code: int = 0, *, supported: bool = True) -> None:
        """Give the result of the built-in self test (0 is passed) and end it."""
        ...

    def wake_host(self) -> None:
        """Note a power management event: PME# would be driven."""
        ...

    def parity_error(self) -> None:
        """Note a parity error on the local bus."""
        ...

    def read_register(self, offset: int) -> int:
        """Read a dword register, offsets as in BAR0. Reading MBOX0 to MBOX3 takes back their interrupt."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write a dword register, offsets as in BAR0; doorbells work the other way round than from PCI."""
        ...


@runtime_checkable
class Pluggable(Protocol):
    """A peripheral that wants the pins."""

    def plug(self, pins: LocalPins) -> None:
        """Take the pins; called once, before any access."""
        ...
