# SPDX-License-Identifier: Apache-2.0
"""A board's own code as the chip calls it: what goes wrong there is the board's, and is said with window, method, line.

Each window has a `Seat`. Who calls the board's code catches what it raises and has the seat make a `BoardFault` of it.
Errors of ours that only pass through a board, as those of a transport that is told of INTA#, stay what they are.
"""

import inspect
import operator
from collections.abc import Callable
from traceback import walk_tb
from types import TracebackType
from typing import Final

from plx9x5x.errors import RAISED, SetupError, printable, said
from plx9x5x.peripheral import LocalBusTarget, Pluggable

BOARD_HINT: Final = "mend the package that the board comes from"

_OURS: Final = "plx9x5x."
_LOOKS_AT_ARGUMENTS: Final = (
    "plx9x5x.boards", "plx9x5x.blocks", "plx9x5x.model.boardside", "plx9x5x.model.localbus", "plx9x5x.model.pins",
    "plx9x5x.regs.kernel",
)  # fmt: skip
"""What a board calls, or is made of: an error that is raised there speaks of what the board gave."""

_METHODS: Final = {"read": 2, "write": 2, "view": 2}
_WORD_METHODS: Final = {"read_words": 3, "write_words": 3}
_LONGEST: Final = 200
"""Characters of an exception's text that are worth a line."""


class BoardFault(SetupError):
    """A board's own code went wrong; the message names its window, the method, and the line in the board's file."""

    def __init__(self, message: str) -> None:
        super().__init__(message, hint=BOARD_HINT)


class Seat:
    """One window of a board: its name, its target, and what goes wrong in it.

    Raises: BoardFault for a target that cannot be made, or that lacks what the chip will call.
    """

    def __init__(self, name: str, make: Callable[[], LocalBusTarget]) -> None:
        self.name: Final = name
        self.asked: str | None = None
        """The method that runs now and may only answer; None if the board may drive its pins."""
        self._package = ""
        try:
            self.target: Final = make()
            size: object = self.target.size
        except RAISED as exc:
            raise BoardFault(f"local window {name!r} cannot be made: {_told(exc)}{self._line(exc)}") from exc
        self._package = _package(self.target)
        self.size: Final = self._check(size)
        """Bytes that it decodes, as it said when it was made."""

    def wrong(self, what: str) -> BoardFault:
        """Make the error that says `what` is wrong here."""
        return BoardFault(f"local window {self.name!r}: {what}")

    def raised(self, method: str, exc: BaseException) -> BaseException:
        """Make of what the board's `method` raised what is to be raised instead: `raise seat.raised(...) from exc`."""
        if isinstance(exc, BoardFault) or (not isinstance(exc, RecursionError) and self._is_ours(exc.__traceback__)):
            return exc
        return self.wrong(f"{method} raised {_told(exc)}{self._line(exc)}")

    def plug(self, pins: object) -> None:
        """Give the target its pins. Raises: BoardFault."""
        if isinstance(self.target, Pluggable):
            try:
                self.target.plug(pins)  # type: ignore[arg-type]
            except RAISED as exc:
                raise self.raised("plug", exc) from exc

    def called(self, what: str, call: Callable[..., object]) -> Callable[..., None]:
        """Give `call` as the chip keeps it: what it raises is the board's. Raises: BoardFault if it is no function."""
        if not callable(call):
            raise self.wrong(f"{what} was given {call!r}, which is no function")

        def guarded(*args: object) -> None:
            try:
                call(*args)
            except RAISED as exc:
                raise self.raised(f"{_name(call)}, called by {what},", exc) from exc

        return guarded

    def asking(self, channel: int, ready: Callable[[], int]) -> Callable[[], int]:
        """Give a `ready` as a channel asks it: always a number, and meanwhile no pin is driven. Raises: BoardFault."""
        if not callable(ready):
            raise self.wrong(f"demand({channel}, ...) was given {ready!r}, which is no function")
        where = f"{_name(ready)}, DREQ# of channel {channel},"

        def asked() -> int:
            before, self.asked = self.asked, where
            try:
                answer = ready()
            except RAISED as exc:
                raise self.raised(where, exc) from exc
            finally:
                self.asked = before
            if type(answer) is int:
                return answer
            try:
                return operator.index(answer)
            except TypeError:
                raise self.wrong(f"{where} gave {answer!r}, and not how many bytes may move") from None
            except RAISED as exc:
                raise self.raised(where, exc) from exc

        return asked

    def view(self, offset: int, length: int) -> memoryview | None:
        """Ask the target for its bytes. Raises: BoardFault, also for a view that is not of these bytes."""
        before, self.asked = self.asked, "view"
        try:
            memory = self.target.view(offset, length)
        except RAISED as exc:
            raise self.raised(f"view({offset:#x}, {length})", exc) from exc
        finally:
            self.asked = before
        if memory is None:
            return None
        given: object = memory
        if not isinstance(given, memoryview):
            raise self.wrong(f"view({offset:#x}, {length}) gave {type(given).__name__}, no memoryview")
        if memory.nbytes != length or memory.itemsize != 1 or memory.readonly or not memory.c_contiguous:
            raise self.wrong(
                f"view({offset:#x}, {length}) gave {memory.nbytes} bytes of format {memory.format!r}"
                f"{', read-only' if memory.readonly else ''}; it takes as many bytes as were asked for, to be written"
            )
        return memory

    def whole(self, data: object, asked: str) -> bytes:
        """Take what a read gave, which is bytes or nearly so. Raises: BoardFault."""
        if isinstance(data, bytes):
            return data
        if isinstance(data, (bytearray, memoryview)):
            return bytes(data)
        raise self.wrong(f"{asked} gave {'None' if data is None else f'{type(data).__name__}'}, no bytes")

    def _check(self, size: object) -> int:
        if not isinstance(size, int):
            raise BoardFault(f"local window {self.name!r} has a size of {size!r}, which is no number of bytes")
        if size <= 0:
            raise BoardFault(f"local window {self.name!r} has a size of {size} bytes")
        words = {name: count for name, count in _WORD_METHODS.items() if hasattr(self.target, name)}
        if len(words) == 1:
            (has,), (lacks,) = words, _WORD_METHODS.keys() - words
            raise self.wrong(f"{type(self.target).__name__} has {has} and no {lacks}: a target has both or none")
        plug = {"plug": 1} if hasattr(self.target, "plug") else {}
        for name, count in (_METHODS | words | plug).items():
            method = getattr(self.target, name, None)
            if not callable(method):
                raise self.wrong(f"{type(self.target).__name__} has no method {name} (plx9x5x.peripheral)")
            if not _takes(method, count):
                raise self.wrong(
                    f"{type(self.target).__name__}.{name}{inspect.signature(method)} does not take "
                    f"{count} argument{'s' if count > 1 else ''} (plx9x5x.peripheral)"
                )
        return size

    def _is_ours(self, trace: TracebackType | None) -> bool:
        """True if the last to act was neither the board nor what looks at its arguments."""
        last = ""
        for frame, _ in walk_tb(trace):
            module = frame.f_globals.get("__name__", "")
            if module.startswith(_OURS) or _within(module, self._package):
                last = module
        return last.startswith(_OURS) and not any(
            _within(last, room) for room in (self._package, *_LOOKS_AT_ARGUMENTS) if room
        )

    def _line(self, exc: BaseException) -> str:
        """Where in the board's own files it happened; else the last place that is not ours."""
        steps = [
            (frame.f_globals.get("__name__", ""), f"{frame.f_code.co_filename}:{line}")
            for frame, line in walk_tb(exc.__traceback__)
        ]
        own = [place for module, place in steps if self._package and _within(module, self._package)]
        others = [place for module, place in steps if not module.startswith(_OURS)]
        found = own or others
        return f" ({found[-1]})" if found else ""


def _within(module: str, package: str) -> bool:
    return bool(package) and (module == package or module.startswith(f"{package}."))


def _package(target: object) -> str:
    """The package, or the module, that a target's class stands in."""
    module = type(target).__module__
    return module.rpartition(".")[0] or module


def _told(exc: BaseException) -> str:
    return said(exc, lambda text: one_line(text, _LONGEST))


def one_line(text: str, most: int) -> str:
    """Give what a board says as one line of at most `most` characters, all of which a terminal shows."""
    return printable(" ".join(text.split()))[:most]


def _name(call: Callable[..., object]) -> str:
    return str(getattr(call, "__qualname__", type(call).__name__))


def _takes(method: Callable[..., object], count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a method in C that does not tell
        return True
    return True
