# SPDX-License-Identifier: Apache-2.0
"""INTA# whose level and mask are kept in C (line.h): a device there drives it, and a loop there is told of UNMASK."""

from typing import TYPE_CHECKING, Final, cast

from plx9x5x.plane import _serving

if TYPE_CHECKING:
    from plx9x5x.plane._serving import Line

_LIB, _FFI = _serving.lib, _serving.ffi


class NativeLine:
    """Drives one interrupt by the rules of `plx9x5x.transport.intx.IntxLine`, and is what that is to its users."""

    __slots__ = ("line",)

    def __init__(self) -> None:
        self.line: Final = cast("Line", _FFI.new("struct line *"))
        """For a unit in C; it lives as long as this object."""

    def connect(self, trigger: int, context: int) -> None:
        """Send edges by the C function at `trigger`, for the context at `context`; 0 and 0: nobody takes one."""
        self.line.trigger = _FFI.cast("send_edge", trigger)
        self.line.context = _FFI.cast("void *", context)

    @property
    def level(self) -> bool:
        """What the device drives."""
        return self.line.level

    @property
    def rises(self) -> int:
        """How often it was asserted; one that `reset` took back and nobody has asserted since is not counted."""
        return (self.line.changes + self.line.level) // 2

    @property
    def sent(self) -> int:
        """Edges that somebody took, since the device last set this to 0."""
        return self.line.sent

    @sent.setter
    def sent(self, count: int) -> None:
        self.line.sent = count

    @property
    def masked(self) -> bool:
        """True from an edge, or a MASK, until UNMASK."""
        return self.line.masked

    @property
    def due(self) -> bool:
        """True if the line is up and the client has not been told."""
        return _LIB.line_due(self.line)

    def set(self, level: bool) -> None:
        """Drive the line."""
        _LIB.line_set(self.line, level)

    def mask(self) -> None:
        """Hold edges back: the client asked for it."""
        self.line.masked = True

    def unmask(self) -> None:
        """Let edges through again; one that is due is sent by `retry`, after the messages that are there."""
        self.line.masked = False

    def retry(self) -> None:
        """Try once more to deliver an edge that nobody took."""
        _LIB.line_retry(self.line)

    def reset(self) -> None:
        """Line down and not masked: after a device reset, and when the client is gone."""
        self.line.level = self.line.masked = False
